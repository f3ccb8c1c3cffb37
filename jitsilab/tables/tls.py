"""The tables ``tls`` and ``dtls``: every TLS record, every DTLS handshake message and record."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from jitsilab.errors import ParseError, Problem
from jitsilab.pcap.columns import Growing, laid, ordered, slices
from jitsilab.protocols import dtls as dtls_protocol
from jitsilab.protocols import hello, tls
from jitsilab.protocols.tls_registry import (
    content_type_name,
    extension_name,
    group_name,
    handshake_type_name,
    srtp_profile_name,
    suite_name,
    version_name,
)
from jitsilab.tables import COMMON, Schema, Table, frame_from
from jitsilab.tables.frames import booleans, common, texts
from jitsilab.wire.decrypt.records import NONE
from jitsilab.wire.units import Unit

if TYPE_CHECKING:
    from jitsilab.wire import Wire
    from jitsilab.wire.decrypt import Record, Session

Array = npt.NDArray[Any]

TLS: Schema = {
    **COMMON,
    "first_frame": ("int64", "first frame of a record that spans several"),
    "up": ("boolean", "from the flow's client"),
    "record_type": ("str", "type in the record's header; in TLS 1.3 all that is encrypted is application_data"),
    "inner_type": ("str", "what the record holds; empty where that is encrypted and was not opened"),
    "length": ("int64", "bytes of the fragment, by the record's header"),
    "version": ("str", "negotiated in this connection; empty where no ServerHello is in the capture"),
    "record_version": ("str", "version in the record's header, which is no more than a form"),
    "handshake": ("str", "handshake messages that end in the record, with spaces between"),
    "sni": ("str", "server_name of a ClientHello"),
    "alpn": (
        "str",
        "ClientHello: protocols offered, with spaces between; ServerHello, EncryptedExtensions: the choice",
    ),
    "suite": ("str", "ServerHello: the cipher suite"),
    "resumed": ("boolean", "ServerHello: whether the handshake resumes an earlier session"),
    "alert": ("str", "level and description"),
    "decrypted": ("boolean", "whether an encrypted record was opened; empty for records in clear"),
    "complete": ("boolean", "whether the capture has every byte of the record"),
    "versions": ("str", "ClientHello: versions offered"),
    "suites": ("str", "ClientHello: cipher suites offered, without GREASE"),
    "groups": ("str", "ClientHello: groups of its key shares; ServerHello: the group chosen or asked for"),
    "extensions": ("str", "ClientHello, ServerHello, EncryptedExtensions: extensions in order"),
    "ech": ("boolean", "ClientHello: whether it has an encrypted ClientHello, or GREASE of one"),
    "psk": (
        "boolean",
        "ClientHello: whether it offers to resume, by PSK or ticket; ServerHello: whether it accepts a PSK",
    ),
    "early_data": ("str", "ClientHello: 0-RTT offered, accepted or rejected"),
    "certificate_sha256": ("str", "Certificate: hash of the sender's own, as SDP prints it"),
    "certificate_names": ("str", "its DNS names and addresses (RFC 5280 section 4.2.1.6), with spaces between"),
    "certificate_from": ("str", "UTC from which on it is valid, ISO 8601"),
    "certificate_until": ("str", "UTC until which it is valid"),
    "certificate_self_signed": ("boolean", "its subject is its issuer"),
    "reason": ("str", "why an encrypted record was not opened"),
}

DTLS: Schema = {
    **COMMON,
    "first_frame": ("int64", "first frame of a message that spans several datagrams"),
    "up": ("boolean", "from the flow's client, which need not be the DTLS client"),
    "transport": ("str", "udp, tcp, or tls where it was decrypted"),
    "depth": ("int64", "0 outermost, one more inside each TURN wrapper"),
    "record_type": ("str", "content type; ciphertext where DTLS 1.3 hides it"),
    "handshake_type": ("str", "type of a handshake message; empty for other records and encrypted messages"),
    "message_seq": ("Int64", "number of the handshake message"),
    "epoch": ("int64", "0 in clear, one more with each change of keys; the low two bits in a ciphertext of DTLS 1.3"),
    "version": ("str", "hello: the version chosen, or the highest one offered; else that of the record's header"),
    "suite": ("str", "ServerHello: the cipher suite"),
    "suites": ("str", "ClientHello: cipher suites offered, without GREASE"),
    "extensions": ("str", "hello: extensions in order"),
    "srtp_profile": ("str", "use_srtp: profiles offered, or the one chosen"),
    "cookie_length": ("Int64", "bytes of the cookie of a ClientHello or HelloVerifyRequest"),
    "certificate_sha256": ("str", "Certificate: hash of the sender's own, as SDP prints it"),
    "random": ("str", "hello: 64 hex digits"),
    "length": ("int64", "bytes of the handshake message without header, or of the record's fragment"),
    "alert": ("str", "level and description, in clear"),
    "alpn": ("str", "hello: protocols offered, or the one chosen"),
    "groups": ("str", "hello: groups of the key shares"),
    "certificate_sha1": ("str", "Certificate: hash of the sender's own"),
    "certificate_sha384": ("str", "Certificate: hash of the sender's own"),
    "certificate_sha512": ("str", "Certificate: hash of the sender's own"),
    "connection_id_length": ("Int64", "hello: bytes of the connection id that the sender asks for"),
    "retransmission": ("boolean", "a handshake message that was complete before"),
    "duplicate": ("boolean", "the same packet as one seen on another interface of the host"),
    "wrapper_peer": ("str", "inside TURN: the peer behind the relay, as the wrapper names it"),
    "wrapper_peer_port": ("Int64", "its port"),
}

SCHEMAS = {"tls": TLS, "dtls": DTLS}

_DTLS_FIELDS = [name for name in DTLS if name not in COMMON]


def _words(names: "list[str] | tuple[str, ...]") -> str | None:
    return " ".join(names) or None


def tls_table(wire: "Wire") -> Table:
    """One row a record, in the order in which they could be read, with or without a key log."""
    said: dict[int, dict[str, Any]] = {}  # by the few records that say something, in their sessions' order
    problems = list(wire.keylog.problems) if wire.keylog is not None else []
    count, columns = 0, Growing()
    sessions = list(wire.sessions.values())
    for number, session in enumerate(sessions):
        records = session.records
        for place, content in records.contents.items():
            said[count + place] = {"alert": content.alert}
            if content.messages:
                said[count + place] |= _tls_messages(session, records[place], problems)
        last = np.zeros(1, np.uint32)
        for window in slices(len(records)):
            headers = records.headers[window]
            ready = np.maximum.accumulate(np.concatenate([last, headers["frame"]]))[1:]
            last = ready[-1:]
            owner = np.full(len(headers), number, np.int32)
            columns.add({"headers": headers, "ready": ready, "owner": owner})
        count += len(records)
        problems += session.problems
    if not count:
        return Table(frame_from([], TLS), problems)
    order = laid(np.argsort(columns.take("ready", np.uint32), kind="stable"))
    heads, owner = (ordered(columns.take(name, np.int32), order) for name in ("headers", "owner"))
    made = _tls_columns(wire, sessions, heads, owner)
    place_of = np.full(count, -1, np.int32)
    place_of[list(said)] = np.arange(len(said))
    places = place_of[order]
    nothing: dict[str, Any] = {}  # by dtype: the columns that nobody filled share one
    for name, (dtype, _) in TLS.items():
        if name not in made:
            values = [fields.get(name) for fields in said.values()]
            some = any(value is not None for value in values)
            if not some and dtype in nothing:
                made[name] = nothing[dtype]
                continue
            if dtype == "str":
                made[name] = texts(places, values)
            else:
                given = np.array([*(value is not None for value in values), False])[places]
                made[name] = booleans(np.array([*(value is True for value in values), False])[places], given)
            if not some:
                nothing[dtype] = made[name]
    return Table(pd.DataFrame({name: made[name] for name in TLS}, copy=False), problems)


def _tls_columns(wire: "Wire", sessions: "list[Session]", heads: Array, owner: Array) -> dict[str, Any]:
    """The columns that every record fills; ``owner`` says of which session it is."""
    opened = heads["size"] != NONE
    kinds = np.where(heads["inner"] == NONE, -1, heads["inner"])
    # what is newer than TLS 1.1 writes the number of TLS 1.2
    negotiated = [session.version for session in sessions]
    known = np.array([version is not None for version in negotiated])[owner]
    shown = np.where(heads["encrypted"] & (heads["version"] < 0x0303), heads["version"].astype(np.int32), -1)
    unread = heads["encrypted"] & ~opened
    reasons = [session.reason for session in sessions]
    given = np.array([bool(reason) for reason in reasons])[owner]
    plain = [f"{version_name(value)}" for value in range(0x0300, 0x0305)]
    return {
        **common(wire, heads["frame"].astype(np.int64) - wire.packets.first),
        "first_frame": laid(heads["first_frame"].astype(np.int64)),
        "up": booleans(heads["up"]),
        "length": laid(heads["length"].astype(np.int64)),
        "decrypted": booleans(opened, heads["encrypted"]),
        "complete": booleans(heads["complete"]),
        "record_type": texts(heads["kind"].astype(np.int32), [content_type_name(kind) for kind in range(256)]),
        "inner_type": texts(kinds.astype(np.int32), [content_type_name(kind) for kind in range(256)]),
        "version": texts(
            np.where(known, owner, np.where(shown >= 0, len(sessions) + shown - 0x0300, -1)).astype(np.int32),
            [version or "" for version in negotiated] + plain,
        ),
        "record_version": texts(heads["version"].astype(np.int32) - 0x0300, plain),
        "reason": texts(
            np.where(unread, np.where(given, owner, len(sessions) + (~heads["complete"]).astype(np.int32)), -1),
            [*reasons, "it does not authenticate", "bytes missing"],
        ),
    }  # fmt: skip


def _tls_messages(session: "Session", record: "Record", problems: list[Problem]) -> dict[str, Any]:
    """The columns that the handshake messages of a record fill."""
    fields: dict[str, Any] = {"handshake": _words([_message_name(message) for message in record.messages])}
    for message in record.messages:
        try:
            fields |= _tls_message(session, message)
            for remark in fields.pop(_REMARKS, ()):
                problems.append(Problem(record.frame, "TLS", record.offset, f"{_message_name(message)}: {remark}"))
        except ParseError as error:
            problems.append(Problem(record.frame, "TLS", record.offset, f"{_message_name(message)}: {error}"))
    return fields


def _message_name(message: tls.Message) -> str:
    if message.type == tls.SERVER_HELLO and message.body[2:34] == hello.RETRY_RANDOM:
        return "hello_retry_request"
    return handshake_type_name(message.type)


def _tls_message(session: "Session", message: tls.Message) -> dict[str, Any]:
    """The columns that a handshake message fills."""
    match message.type:
        case tls.CLIENT_HELLO:
            known = session.hellos.get(message)
            client = known if isinstance(known, hello.ClientHello) else hello.decode_client_hello(message.body)
            offer = client.extensions
            return {
                "sni": offer.server_name,
                "alpn": _words(offer.alpn),
                "versions": _words([version_name(version) for version in client.offered_versions]),
                "suites": _words([suite_name(suite) for suite in client.suites]),
                "groups": _words([group_name(group) for group in offer.key_shares]),
                "extensions": _words([extension_name(kind) for kind in offer.types]),
                "ech": offer.encrypted_hello,
                "psk": offer.psk is not None or bool(offer.ticket),
                "early_data": session.early_data if offer.early_data else None,
            }
        case tls.SERVER_HELLO:
            known = session.hellos.get(message)
            server = known if isinstance(known, hello.ServerHello) else hello.decode_server_hello(message.body)
            answer = server.extensions
            return {
                "alpn": _words(answer.alpn),
                "suite": suite_name(server.suite),
                "resumed": None if server.retry else session.resumed,
                "groups": _words([group_name(group) for group in answer.key_shares]),
                "extensions": _words([extension_name(kind) for kind in answer.types]),
                "psk": answer.psk is not None,
            }
        case tls.ENCRYPTED_EXTENSIONS:
            more = hello.decode_encrypted_extensions(message.body)
            return {"alpn": _words(more.alpn), "extensions": _words([extension_name(kind) for kind in more.types])}
        case tls.CERTIFICATE:
            chain = hello.decode_certificates(message.body, tls13=session.version == "TLS 1.3")
            return _certificate(chain[0]) if chain else {}
        case tls.COMPRESSED_CERTIFICATE:
            chain = hello.decode_compressed_certificates(message.body)
            return _certificate(chain[0]) if chain else {}
    return {}


_REMARKS = "remarks"  # no column: what a certificate's reader had to say becomes rows of ``errors``


@lru_cache(maxsize=256)
def _certificate(der: bytes) -> dict[str, Any]:
    """What a certificate says of itself; of one that cannot be read its hash alone."""
    from jitsilab.wire import x509  # TLS 1.3 without keys shows no certificate to read

    shown: dict[str, Any] = {"certificate_sha256": dtls_protocol.fingerprint(der)}
    try:
        certificate = x509.decode(der)
    except ParseError:
        return shown  # TLS carries what it is given; whoever receives it refuses it
    return shown | {
        "certificate_names": _words(
            tuple(name for name in certificate.names if name.isprintable() and " " not in name)
        ),
        "certificate_from": f"{certificate.not_before:%Y-%m-%dT%H:%M:%SZ}",
        "certificate_until": f"{certificate.not_after:%Y-%m-%dT%H:%M:%SZ}",
        "certificate_self_signed": certificate.self_signed,
        _REMARKS: certificate.remarks,
    }


@dataclass
class _Direction:
    """What has to be remembered of one direction of one DTLS association."""

    assembler: dtls_protocol.Assembler = field(default_factory=dtls_protocol.Assembler)
    connection_id: int | None = None  # length of the id that the other side asked for


def dtls_table(wire: "Wire") -> Table:
    """One row a handshake message, or a record of another type, or one that is encrypted; in the order of frames.

    A handshake message over several datagrams is at the last one; what was sent again is a row again.
    """
    rows: list[tuple[Any, ...]] = []
    problems: list[Problem] = []
    directions: dict[tuple[Any, ...], _Direction] = {}
    for unit in wire.units.each("dtls"):
        copy = unit.transport == "udp" and bool(wire.packets.duplicate_of[unit.frame - wire.packets.first])
        base = {
            "transport": unit.transport,
            "up": unit.up,
            "depth": unit.depth,
            "duplicate": copy,
            "wrapper_peer": unit.peer.address if unit.peer else None,
            "wrapper_peer_port": unit.peer.port if unit.peer else None,
        }
        key = (unit.flow, unit.depth, unit.peer, copy)
        sender = directions.setdefault((*key, unit.up), _Direction())
        other = directions.setdefault((*key, not unit.up), _Direction())
        common = (unit.frame, wire.time(unit.frame), wire.seconds(unit.frame), unit.flow, *unit[8:12])
        for fields in _datagram(unit, sender, other, problems):
            given = {"first_frame": unit.first_frame, **base, **fields}
            rows.append(common + tuple(given.get(name) for name in _DTLS_FIELDS))
    for direction in directions.values():
        for frame, kind, seq in direction.assembler.unfinished():
            text = f"handshake message {seq}, {handshake_type_name(kind)}, is not in the capture as a whole"
            problems.append(Problem(frame, "DTLS", 0, text))
    return Table(frame_from(rows, DTLS), sorted(problems))


def _datagram(unit: Unit, sender: _Direction, other: _Direction, problems: list[Problem]) -> "list[dict[str, Any]]":
    """What the records of a datagram say, one entry a row."""
    rows: list[dict[str, Any]] = []
    try:
        for record in dtls_protocol.records(unit.data, sender.connection_id):
            rows += _dtls_record(unit, record, sender, other, problems)
    except ParseError as error:
        problems.append(Problem(unit.frame, "DTLS", error.offset, str(error)))
    return rows


def _dtls_record(
    unit: Unit, record: dtls_protocol.Record, sender: _Direction, other: _Direction, problems: list[Problem]
) -> "list[dict[str, Any]]":
    plain: dict[str, Any] = {
        "record_type": "ciphertext" if record.content_type is None else content_type_name(record.content_type),
        "epoch": record.epoch,
        "version": None if record.version is None else version_name(record.version),
        "length": record.length,
    }
    if not record.complete and len(unit.data) >= unit.size:
        text = f"a record of {record.length} bytes, {len(record.fragment)} are there"
        problems.append(Problem(unit.frame, "DTLS", record.offset, text))
    if record.epoch == 0 and record.content_type == dtls_protocol.ALERT:
        plain["alert"] = hello.describe_alert(record.fragment)
    if record.epoch or record.content_type != dtls_protocol.HANDSHAKE:
        return [plain]
    rows = []
    try:
        for fragment in dtls_protocol.fragments(record):
            message = sender.assembler.feed(fragment, unit.frame)
            if message is not None:
                rows.append(plain | _dtls_message(unit, message, other, problems))
    except ParseError as error:
        problems.append(Problem(unit.frame, "DTLS", record.offset + dtls_protocol.HEADER + error.offset, str(error)))
    return rows


def _dtls_message(
    unit: Unit, message: dtls_protocol.Message, other: _Direction, problems: list[Problem]
) -> dict[str, Any]:
    """The columns that a handshake message fills."""
    fields: dict[str, Any] = {
        "first_frame": message.first_frame,
        "handshake_type": handshake_type_name(message.type),
        "message_seq": message.message_seq,
        "length": len(message.body),
        "retransmission": message.retransmission,
    }
    try:
        match message.type:
            case dtls_protocol.CLIENT_HELLO:
                client = hello.decode_client_hello(message.body, datagram=True)
                fields |= _hello(client.extensions, client.random, other)
                offered = client.offered_versions
                # versions of DTLS count down: the highest one is the smallest number
                fields["version"] = version_name(min((v for v in offered if v >> 8 == 0xFE), default=client.version))
                fields["suites"] = _words([suite_name(suite) for suite in client.suites])
                fields["cookie_length"] = len(client.cookie or client.extensions.cookie or b"")
            case dtls_protocol.SERVER_HELLO:
                server = hello.decode_server_hello(message.body)
                fields |= _hello(server.extensions, server.random, other)
                fields["version"] = version_name(server.selected_version)
                fields["suite"] = suite_name(server.suite)
                if server.retry:
                    fields["handshake_type"] = "hello_retry_request"
                    fields["cookie_length"] = len(server.extensions.cookie or b"")
            case dtls_protocol.HELLO_VERIFY_REQUEST:
                version, cookie = dtls_protocol.decode_verify_request(message.body)
                fields |= {"version": version_name(version), "cookie_length": len(cookie)}
            case dtls_protocol.CERTIFICATE:
                for certificate in hello.decode_certificates(message.body)[:1]:
                    for name in ("sha-1", "sha-256", "sha-384", "sha-512"):
                        column = f"certificate_{name.replace('-', '')}"
                        fields[column] = dtls_protocol.fingerprint(certificate, name)
    except ParseError as error:
        problems.append(Problem(unit.frame, "DTLS", error.offset, f"{fields['handshake_type']}: {error}"))
    return fields


def _hello(extensions: hello.Extensions, random: bytes, other: _Direction) -> dict[str, Any]:
    """The columns that both hellos fill; the connection id in it is for what the other side sends."""
    if extensions.connection_id is not None:
        other.connection_id = len(extensions.connection_id)
    return {
        "extensions": _words([extension_name(kind) for kind in extensions.types]),
        "srtp_profile": _words([srtp_profile_name(profile) for profile in extensions.srtp_profiles]),
        "random": random.hex(),
        "alpn": _words(extensions.alpn),
        "groups": _words([group_name(group) for group in extensions.key_shares]),
        "connection_id_length": None if extensions.connection_id is None else len(extensions.connection_id),
    }


BUILD = {"tls": tls_table, "dtls": dtls_table}
