"""Connections with a time limit for the whole of a step: TCP, TLS, HTTP/1.1 requests, WebSocket upgrades."""

import base64
import hashlib
import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from jitsilab.errors import LabError
from jitsilab.numerals import whole

LARGEST = 1 << 21  # bytes of an answer that are read
_HEAD = 1 << 16
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 4.2.2


class Unreached(LabError):
    """What kept a step from its answer, in words; ``kind`` is refused, timeout, closed, tls, name or protocol."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class Deadline:
    """The end of a step: what is left of its seconds."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self.seconds = seconds

    def left(self) -> float:
        """Seconds left. Raises Unreached where there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise Unreached(f"no answer within {self.seconds:g} s", "timeout")
        return left


@dataclass(frozen=True, slots=True)
class Route:
    """How the server is reached: at an address and port given by hand for its page, else as its names say."""

    domain: str
    connect: tuple[str, int] | None = None  # in place of the domain's own address and port 443
    authorities: str | None = None  # file of certificates to trust instead of the system's

    def address(self, host: str, port: int) -> tuple[str, int]:
        """Where to connect for a name and port."""
        if self.connect is not None and host == self.domain:
            return (self.connect[0], self.connect[1] if port == 443 else port)
        return host, port

    def trust(self, verified: bool = True) -> ssl.SSLContext:
        """A browser's idea of TLS: certificates are looked at, unless that was found wanting already."""
        context = ssl.create_default_context(cafile=self.authorities)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # set by Python from 3.13 on; browsers are not as strict
        if not verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Stream:
    """A TCP or TLS connection of which every read ends with its step."""

    def __init__(self, plain: socket.socket) -> None:
        self._socket: Any = plain
        self._buffer = b""

    @classmethod
    def open(cls, where: tuple[str, int], deadline: Deadline) -> "Stream":
        """Connect by TCP. Raises Unreached."""
        return cls(_guarded(lambda: socket.create_connection(where, deadline.left()), f"TCP {where[0]}:{where[1]}"))

    def secure(self, context: ssl.SSLContext, name: str, deadline: Deadline, alpn: tuple[str, ...] = ()) -> "Stream":
        """Put TLS on it. Raises ssl.SSLCertVerificationError for a certificate, Unreached for all else."""
        if alpn:
            context.set_alpn_protocols(list(alpn))
        self._socket.settimeout(deadline.left())

        def shake() -> Any:
            # the handshake's timeout is for each read: a server that drips is ended by its own deadline
            wrapped = context.wrap_socket(self._socket, server_hostname=name, do_handshake_on_connect=False)
            wrapped.settimeout(deadline.left())
            wrapped.do_handshake()
            return wrapped

        self._socket = _guarded(shake, f"TLS with {name}")
        return self

    @property
    def certificate(self) -> bytes | None:
        """The server's certificate in DER."""
        der: bytes | None = self._socket.getpeercert(binary_form=True)
        return der

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all of it."""
        self._socket.settimeout(deadline.left())
        _guarded(lambda: self._socket.sendall(data), "sending")

    def receive(self, deadline: Deadline) -> bytes:
        """What comes next; empty at the end."""
        self._socket.settimeout(deadline.left())
        data: bytes = _guarded(lambda: self._socket.recv(65536), "waiting for an answer")
        return data

    def ready(self, seconds: float) -> bool:
        """Whether something can be read, or can within so many seconds."""
        if self._buffer or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return True
        return bool(select.select([self._socket], [], [], seconds)[0])

    def exactly(self, size: int, deadline: Deadline) -> bytes:
        """So many bytes. Raises Unreached where the other side closes before."""
        while len(self._buffer) < size:
            piece = self.receive(deadline)
            if not piece:
                raise Unreached("the server closed the connection", "closed")
            self._buffer += piece
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def until(self, mark: bytes, most: int, deadline: Deadline) -> bytes:
        """Bytes up to and with a mark. Raises Unreached where there are more than ``most``, or the end comes before."""
        while mark not in self._buffer:
            if len(self._buffer) > most:
                raise Unreached("an answer without end", "protocol")
            piece = self.receive(deadline)
            if not piece:
                raise Unreached("the server closed the connection", "closed")
            self._buffer += piece
        data, _, self._buffer = self._buffer.partition(mark)
        return data + mark

    def rest(self, most: int, deadline: Deadline) -> bytes:
        """Bytes up to the end, at most so many."""
        while len(self._buffer) < most and (piece := self.receive(deadline)):
            self._buffer += piece
        data, self._buffer = self._buffer[:most], b""
        return data

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _guarded(call: Callable[[], Any], what: str) -> Any:
    try:
        return call()
    except ssl.SSLCertVerificationError:
        raise
    except TimeoutError:
        raise Unreached(f"{what}: no answer in time", "timeout") from None
    except ConnectionRefusedError:
        raise Unreached(f"{what}: refused, nobody listens there", "refused") from None
    except socket.gaierror as error:
        raise Unreached(f"{what}: the name is not found ({error.strerror})", "name") from None
    except ssl.SSLError as error:
        raise Unreached(f"{what}: {error.reason or error}", "tls") from None
    except OSError as error:
        kind = "closed" if isinstance(error, ConnectionError) else "refused"
        raise Unreached(f"{what}: {error.strerror or error}", kind) from None


@dataclass(slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)  # names in small letters
    body: bytes = b""


class Web:
    """Requests to the server's page, each on a connection of its own, as a step needs it."""

    def __init__(self, route: Route, verified: bool = True) -> None:
        self.route, self.verified = route, verified

    def _open(self, url: str, deadline: Deadline) -> tuple[Stream, str, str]:
        parts = urlsplit(url)
        host, secure = parts.hostname or "", parts.scheme in ("https", "wss")
        port = parts.port or (443 if secure else 80)
        stream = Stream.open(self.route.address(host, port), deadline)
        try:
            if secure:
                stream.secure(self.route.trust(self.verified), host, deadline, ("http/1.1",))
        except ssl.SSLCertVerificationError as error:
            stream.close()
            raise Unreached(f"certificate of {host}: {error.verify_message}", "tls") from None
        except BaseException:
            stream.close()
            raise
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return stream, parts.netloc, target

    def request(
        self, url: str, deadline: Deadline, *, method: str = "GET", body: bytes = b"", kind: str = ""
    ) -> Answer:
        """One request and its answer. Raises Unreached."""
        stream, host, target = self._open(url, deadline)
        with stream:
            head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {AGENT}\r\nAccept: */*\r\n"
            head += f"Origin: https://{self.route.domain}\r\nConnection: close\r\n"
            if body or method == "POST":
                head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            stream.send(head.encode() + b"\r\n" + body, deadline)
            answer = _head(stream, deadline)
            answer.body = _body(stream, answer, deadline)
            return answer

    def websocket(self, url: str, protocol: str, deadline: Deadline) -> "WebSocket":
        """A WebSocket as a browser opens it. Raises Refused with the status where it is not upgraded."""
        stream, host, target = self._open(url, deadline)
        try:
            key = base64.b64encode(os.urandom(16))
            head = (
                f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Origin: https://{self.route.domain}\r\nUser-Agent: {AGENT}\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {key.decode()}\r\n"
            )
            head += f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
            stream.send(head.encode() + b"\r\n", deadline)
            answer = _head(stream, deadline)
            if answer.status != 101:
                raise Refused(answer.status)
            expected = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode()
            if answer.headers.get("sec-websocket-accept") != expected:
                raise Refused(101)
            return WebSocket(stream)
        except BaseException:
            stream.close()
            raise


AGENT = "Mozilla/5.0 (X11; Linux x86_64) jitsilab-deploy-check"


class Refused(LabError):
    """A WebSocket that was not upgraded; 101 where it was in word and not in deed."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


def _head(stream: Stream, deadline: Deadline) -> Answer:
    text = stream.until(b"\r\n\r\n", _HEAD, deadline).decode("latin-1")
    first, *lines = text.split("\r\n")
    parts = first.split(" ", 2)
    status = whole(parts[1]) if len(parts) > 1 and parts[0].startswith("HTTP/1.") else None
    if status is None:
        raise Unreached("what answers does not speak HTTP", "protocol")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name
    }
    return Answer(status, headers)


def _body(stream: Stream, answer: Answer, deadline: Deadline) -> bytes:
    if answer.status in (204, 304):
        return b""
    if answer.headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while len(body) < LARGEST:
            size = stream.until(b"\r\n", 1024, deadline).split(b";")[0].strip()
            try:
                count = int(size, 16)
            except ValueError:
                raise Unreached("an answer in broken chunks", "protocol") from None
            if not count or count > LARGEST:
                return body
            body += stream.exactly(count, deadline)
            stream.exactly(2, deadline)
        return body
    length = whole(answer.headers.get("content-length"))
    if length is not None:
        return stream.exactly(min(length, LARGEST), deadline)
    return stream.rest(LARGEST, deadline)


class WebSocket:
    """An open WebSocket of text messages (RFC 6455)."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def send(self, text: str, deadline: Deadline, opcode: int = 1) -> None:
        """Send one message, masked as a client's are."""
        data = text.encode()
        size = len(data)
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | (size if size < 126 else 126 if size < 65536 else 127))
        head += b"" if size < 126 else struct.pack("!H", size) if size < 65536 else struct.pack("!Q", size)
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i & 3] for i, byte in enumerate(data))
        self._stream.send(head + mask + masked, deadline)

    def receive(self, deadline: Deadline) -> str:
        """The next text message; pings are answered. Raises Unreached where the server closes."""
        whole = b""
        while True:
            first, second = self._stream.exactly(2, deadline)
            size = second & 127
            if size == 126:
                (size,) = struct.unpack("!H", self._stream.exactly(2, deadline))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._stream.exactly(8, deadline))
            if size + len(whole) > LARGEST:
                raise Unreached("a message without end", "protocol")
            data = self._stream.exactly(size, deadline)
            opcode = first & 15
            if opcode == 8:
                raise Unreached("the server closed the WebSocket", "closed")
            if opcode == 9:
                self.send(data.decode("latin-1"), deadline, 10)
            elif opcode in (0, 1, 2):
                whole += data
                if first & 0x80:
                    return whole.decode("utf-8", "replace")

    def ready(self, seconds: float) -> bool:
        """Whether something came, or comes within so many seconds."""
        return self._stream.ready(seconds)

    def close(self) -> None:
        """Say goodbye, briefly."""
        try:
            self.send("\x03\xe8", Deadline(1), 8)
        except LabError:
            pass
        finally:
            self._stream.close()
