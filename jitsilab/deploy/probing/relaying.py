"""STUN and TURN as a client speaks them: is there an answer, an allocation, a permission for the bridge."""

import contextlib
import os
import secrets
import socket
import ssl
import struct
import zlib
from hmac import digest as hmac_digest
from typing import Any, NamedTuple

from jitsilab.deploy.probing.reach import Deadline, Route, Stream, Unreached
from jitsilab.deploy.probing.signaling import Relay
from jitsilab.errors import ParseError
from jitsilab.protocols import stun
from jitsilab.protocols.stun import Endpoint, Message

BINDING, ALLOCATE, REFRESH, PERMISSION = 0x0001, 0x0003, 0x0004, 0x0008
_TRANSPORT, _UDP = 0x0019, b"\x11\0\0\0"
_RETRY = 0.5  # s, RFC 8489 section 6.2.1


class Granted(NamedTuple):
    """What a relay gave."""

    relayed: Endpoint | None
    permissions: dict[str, int]  # bridge's address: 0 for granted, else the error code


class Denied(Exception):
    """A relay's refusal."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code


class _Wire:
    """One way to a STUN or TURN server: UDP, TCP or TLS."""

    def __init__(self, route: Route, relay: Relay, verified: bool, deadline: Deadline) -> None:
        where = route.address(relay.host, relay.port)
        if relay.transport == "udp" and relay.kind != "turns":
            self._stream: Stream | None = None
            self._socket = udp(where, deadline)
            return
        self._stream = Stream.open(where, deadline)
        if relay.kind == "turns":
            try:
                self._stream.secure(route.trust(verified), relay.host, deadline)
            except ssl.SSLCertVerificationError as error:
                self._stream.close()
                raise Unreached(
                    f"certificate of {relay.host}:{relay.port}: {error.verify_message}", "certificate"
                ) from None
            except BaseException:
                self._stream.close()
                raise

    def ask(self, request: bytes, deadline: Deadline) -> Message:
        if self._stream is None:
            return asked(self._socket, request, deadline)
        self._stream.send(request, deadline)
        while True:
            head = self._stream.exactly(20, deadline)
            size = int.from_bytes(head[2:4])
            if head[0] & 0xC0 or head[4:8] != stun.COOKIE:
                raise Unreached("what answers does not speak STUN", "protocol")
            answer = stun.decode(head + self._stream.exactly(size, deadline))
            if answer.transaction_id == request[8:20]:
                return answer

    def close(self) -> None:
        if self._stream is None:
            self._socket.close()
        else:
            self._stream.close()


def udp(where: tuple[str, int], deadline: Deadline) -> socket.socket:
    """A UDP socket that hears one address alone. Raises Unreached for a name that is not found."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(*where, type=socket.SOCK_DGRAM)[0]
    except socket.gaierror as error:
        raise Unreached(f"the name {where[0]} is not found ({error.strerror})", "name") from None
    sock = socket.socket(family, kind, protocol)
    sock.settimeout(deadline.left())
    try:
        sock.connect(address)
    except OSError as error:
        sock.close()
        raise Unreached(f"UDP {where[0]}:{where[1]}: {error.strerror}", "refused") from None
    return sock


def asked(sock: socket.socket, request: bytes, deadline: Deadline) -> Message:
    """A request over UDP, sent again as RFC 8489 says until its answer comes. Raises Unreached."""
    wait, refused = _RETRY, False
    while True:
        with contextlib.suppress(OSError):
            sock.send(request)
        again = Deadline(min(wait, deadline.left()))
        wait *= 2
        while True:
            try:
                sock.settimeout(again.left())
                data = sock.recv(4096)
            except (TimeoutError, Unreached):
                break
            except ConnectionRefusedError:  # an ICMP error tells that nobody listens
                if refused:
                    raise Unreached("nobody listens there (ICMP port unreachable)", "refused") from None
                refused = True
                break
            except OSError as error:
                raise Unreached(error.strerror or str(error), "refused") from None
            with contextlib.suppress(ParseError):
                answer = stun.decode(data)
                if answer.transaction_id == request[8:20]:
                    return answer
        deadline.left()


def message(method: int, *attributes: tuple[int, bytes], key: bytes = b"", fingerprint: bool = False) -> bytes:
    """A request; with ``key`` it is signed (RFC 8489 section 14.5)."""
    body = b"".join(struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4) for kind, value in attributes)
    identity = stun.COOKIE + secrets.token_bytes(12)

    def head(size: int) -> bytes:
        return struct.pack("!HH", method, size) + identity

    if key:
        code = hmac_digest(key, head(len(body) + 24) + body, "sha1")
        body += struct.pack("!HH", stun.MESSAGE_INTEGRITY, 20) + code
    if fingerprint:
        crc = zlib.crc32(head(len(body) + 8) + body) ^ 0x5354554E
        body += struct.pack("!HHI", stun.FINGERPRINT, 4, crc)
    return head(len(body)) + body


def mapped(route: Route, relay: Relay, deadline: Deadline) -> Endpoint:
    """Where a STUN server sees us. Raises Unreached."""
    wire = _Wire(route, relay, True, deadline)
    try:
        answer = wire.ask(message(BINDING), deadline)
    finally:
        wire.close()
    if answer.mapped is None:
        raise Unreached("an answer without an address", "protocol")
    return answer.mapped


def allocated(route: Route, relay: Relay, peers: list[str], deadline: Deadline, verified: bool = True) -> Granted:
    """An allocation, permissions for these addresses, and its end: nothing stays at the relay.

    Raises Unreached where it does not answer, Denied where it refuses the allocation.
    """
    wire = _Wire(route, relay, verified, deadline)
    try:
        first = wire.ask(message(ALLOCATE, (_TRANSPORT, _UDP)), deadline)
        if first.message_class == "success":
            raise Denied(0, "it gives an allocation to anybody")
        if first.error is None or first.error.code != 401:
            raise Denied(first.error.code if first.error else 0, first.error.reason if first.error else "")
        login = _Login(relay, first)
        given = login.ask(wire, ALLOCATE, ((_TRANSPORT, _UDP),), deadline)
        relayed = given.endpoints(stun.XOR_RELAYED_ADDRESS)
        try:
            granted = {}
            for peer in peers:
                try:
                    login.ask(wire, PERMISSION, ((stun.XOR_PEER_ADDRESS, None),), deadline, peer)
                    granted[peer] = 0
                except Denied as error:
                    granted[peer] = error.code
            return Granted(relayed[0] if relayed else None, granted)
        finally:
            with contextlib.suppress(Unreached, Denied, OSError):
                login.ask(wire, REFRESH, ((stun.LIFETIME, bytes(4)),), Deadline(2))
    finally:
        wire.close()


class _Login:
    """Long-term credentials of one allocation (RFC 8489 section 9.2)."""

    def __init__(self, relay: Relay, challenge: Message) -> None:
        self._relay = relay
        self._realm, self._nonce = challenge.get(stun.REALM) or b"", challenge.get(stun.NONCE) or b""
        self._key = stun.long_term_key(relay.username, self._realm.decode("utf-8", "replace"), relay.password)

    def ask(self, wire: _Wire, method: int, attributes: Any, deadline: Deadline, peer: str = "") -> Message:
        for attempt in (0, 1):
            more = [(kind, value if value is not None else b"") for kind, value in attributes]
            if peer:
                more = [(stun.XOR_PEER_ADDRESS, b"")]
            request = self._signed(method, more, peer)
            answer = wire.ask(request, deadline)
            if answer.message_class == "success":
                return answer
            code = answer.error.code if answer.error else 0
            if code == 438 and not attempt:  # a nonce that has gone stale
                self._nonce = answer.get(stun.NONCE) or self._nonce
                continue
            raise Denied(code, answer.error.reason if answer.error else "")
        raise AssertionError  # the second turn returns or raises

    def _signed(self, method: int, attributes: list[tuple[int, bytes]], peer: str) -> bytes:
        known = [(stun.USERNAME, self._relay.username.encode()), (stun.REALM, self._realm), (stun.NONCE, self._nonce)]
        if not peer:
            return message(method, *attributes, *known, key=self._key)
        return message(method, (stun.XOR_PEER_ADDRESS, _xored(peer)), *known, key=self._key)


def _xored(address: str) -> bytes:
    """An IPv4 address as XOR-PEER-ADDRESS has it (RFC 8489 section 14.2), with port 9: permissions look at none."""
    packed = bytes(a ^ b for a, b in zip(socket.inet_aton(address), stun.COOKIE, strict=True))
    return b"\0\1" + (9 ^ 0x2112).to_bytes(2) + packed


def checked(address: str, port: int, fragment: str, password: str, deadline: Deadline) -> Endpoint | None:
    """A connectivity check to the bridge with the credentials that it offered (RFC 8445 section 7.2.2).

    Gives the address at which it sees us. Raises Unreached where no answer comes.
    """
    request = message(
        BINDING, (stun.USERNAME, f"{fragment}:chk{secrets.token_hex(2)}".encode()),
        (stun.PRIORITY, (1 << 24).to_bytes(4)), (stun.ICE_CONTROLLING, os.urandom(8)),
        key=stun.short_term_key(password), fingerprint=True,
    )  # fmt: skip
    with udp((address, port), deadline) as sock:
        return asked(sock, request, deadline).mapped
