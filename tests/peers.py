"""Real TLS peers, OpenSSL's, whose bytes and key log the tests read: in memory, or as programs behind a recorder."""

import contextlib
import datetime
import itertools
import selectors
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from jitsilab.wire.flows import Piece


class Bytes:
    """A byte stream made of segments, each of which is a frame; without the segments in ``lost``."""

    def __init__(self, segments: Sequence[tuple[int, bytes]], lost: frozenset[int] = frozenset()) -> None:
        self.extents: list[tuple[int, int, int]] = []
        self.pieces: list[Piece] = []
        at = 0
        for frame, data in segments:
            if frame not in lost and data:
                self.extents.append((at, at + len(data), frame))
                if self.pieces and self.pieces[-1].offset + len(self.pieces[-1].data) == at:
                    self.pieces[-1] = Piece(self.pieces[-1].offset, self.pieces[-1].data + data)
                else:
                    self.pieces.append(Piece(at, data))
            at += len(data)

    def span(self, start: int, end: int) -> tuple[int, int]:
        frames = [frame for low, high, frame in self.extents if low < max(end, start + 1) and high > start]
        return (min(frames), max(frames)) if frames else (0, 0)


@dataclass
class Talk:
    """What two peers said: segments in order, True for the client's, and their key log."""

    segments: list[tuple[bool, bytes]] = field(default_factory=list)
    keylog: bytes = b""

    def stream(self, up: bool, lost: frozenset[int] = frozenset()) -> Bytes:
        mine = [(number, data) for number, (side, data) in enumerate(self.segments, 1) if side == up]
        return Bytes(mine, lost)

    def said(self, up: bool) -> bytes:
        return b"".join(data for side, data in self.segments if side == up)


def certificate(folder: Path, kind: str = "ec") -> tuple[Path, Path]:
    """Self-signed certificate and key for example.test as PEM files."""
    chain, secret = folder / f"{kind}.crt", folder / f"{kind}.key"
    if not chain.exists():
        key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.test")])
        now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=36500))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("example.test")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        chain.write_bytes(built.public_bytes(Encoding.PEM))
        secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return chain, secret


def contexts(folder: Path, version: str, ciphers: str = "", kind: str = "ec") -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a client and a server that speak one version, and a suite below TLS 1.3."""
    client, server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    server.load_cert_chain(*certificate(folder, kind))
    keylog = folder / f"keys-{time.monotonic_ns()}.txt"
    keylog.touch()
    client.keylog_filename = str(keylog)
    client.set_alpn_protocols(["h2", "http/1.1"])
    server.set_alpn_protocols(["http/1.1"])
    for context in (client, server):
        wanted = getattr(ssl.TLSVersion, version)
        with contextlib.suppress(ValueError):
            context.set_ciphers(f"{ciphers or 'DEFAULT'}:@SECLEVEL=0")
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old versions are the point
            context.minimum_version, context.maximum_version = wanted, wanted
    return client, server


def talk(
    client: ssl.SSLContext,
    server: ssl.SSLContext,
    exchange: Sequence[tuple[bool, bytes]],
    session: ssl.SSLSession | None = None,
    size: int = 1 << 20,
) -> tuple[Talk, ssl.SSLObject]:
    """Let both shake hands in memory and exchange data; segments have at most ``size`` bytes."""
    bio = {True: (ssl.MemoryBIO(), ssl.MemoryBIO()), False: (ssl.MemoryBIO(), ssl.MemoryBIO())}  # incoming, outgoing
    peer = {
        True: client.wrap_bio(*bio[True], server_hostname="example.test", session=session),
        False: server.wrap_bio(*bio[False], server_side=True),
    }
    made = Talk()

    def carry() -> None:
        for up in (True, False):
            data = bio[up][1].read()
            for at in range(0, len(data), size):
                made.segments.append((up, data[at : at + size]))
            bio[not up][0].write(data)

    done: set[bool] = set()
    while len(done) < 2:
        for up in (True, False):
            if up not in done:
                with contextlib.suppress(ssl.SSLWantReadError):
                    peer[up].do_handshake()
                    done.add(up)
            carry()
    for up, data in exchange:
        peer[up].write(data)
        carry()
        got = b""
        while len(got) < len(data):
            got += peer[not up].read()
    assert client.keylog_filename
    made.keylog = Path(client.keylog_filename).read_bytes()
    return made, peer[True]


class _Recorder(threading.Thread):
    """A TCP proxy for one connection that keeps what passes."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.segments = port, list[tuple[bool, bytes]]()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.door.settimeout(10)

    def run(self) -> None:
        with (
            contextlib.suppress(OSError),
            self.door,
            self.door.accept()[0] as near,
            socket.create_connection(("127.0.0.1", self.port), 10) as far,
            selectors.DefaultSelector() as ready,
        ):
            ready.register(near, selectors.EVENT_READ, (True, far))
            ready.register(far, selectors.EVENT_READ, (False, near))
            while ready.get_map():
                for key, _ in ready.select(10) or ():
                    up, other = key.data
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if data:
                        self.segments.append((up, data))
                        other.sendall(data)
                    else:
                        ready.unregister(key.fileobj)
                        with contextlib.suppress(OSError):
                            other.shutdown(socket.SHUT_WR)


def programs(
    folder: Path,
    server: Sequence[str],
    client: Sequence[str],
    lines: Sequence[tuple[bool, bytes]],
    connections: int = 1,
    kind: str = "ec",
) -> list[Talk]:
    """`openssl s_server` and `s_client` with these options; ``lines`` are typed into the client (True) or the server.

    A line such as ``K`` or ``R`` is a command of theirs: KeyUpdate, renegotiation.
    """
    chain, secret = certificate(folder, kind)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    keys = folder / f"program-keys-{port}.txt"
    argv = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(chain), "-key", str(secret)]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    talks: list[Talk] = []
    with subprocess.Popen([*argv, *server], **pipe) as serving:  # type: ignore[call-overload]
        try:
            for _ in itertools.repeat(None, 100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            time.sleep(0.1)
            for number in range(connections):
                recorder = _Recorder(port)
                recorder.start()
                argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{recorder.door.getsockname()[1]}"]
                argv += ["-servername", "example.test", "-keylogfile", str(keys)]
                options = [option.replace("{number}", str(number)) for option in client]
                with subprocess.Popen([*argv, *options], **pipe) as asking:  # type: ignore[call-overload]
                    time.sleep(0.3)
                    for up, line in lines:
                        typed = asking.stdin if up else serving.stdin
                        typed.write(line + b"\n")
                        typed.flush()
                        time.sleep(0.15)
                    asking.stdin.close()
                    asking.wait(10)
                recorder.join(10)
                talks.append(Talk(recorder.segments))
        finally:
            serving.kill()
    for one in talks:
        one.keylog = keys.read_bytes()
    return talks
