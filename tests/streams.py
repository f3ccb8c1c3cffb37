"""Byte streams and captures made by hand, for what no recording holds."""

import struct
import zlib
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from jitsilab.wire.carriers import Carried, build
from jitsilab.wire.flows import Piece

STEP = 10  # bytes of each frame


class Bytes:
    """A stream whose frames have ten bytes each, from frame ``first`` on."""

    def __init__(self, *pieces: bytes | tuple[int, bytes], first: int = 1, from_start: bool = True) -> None:
        self.pieces, at = [], 0
        for piece in pieces:
            offset, data = piece if isinstance(piece, tuple) else (at, piece)
            if data:
                self.pieces.append(Piece(offset, data))
            at = offset + len(data)
        self.first, self.from_start = first, from_start

    def span(self, start: int, end: int) -> tuple[int, int]:
        return self.first + start // STEP, self.first + (max(end, start + 1) - 1) // STEP


def carried(*flows: tuple[Bytes, Bytes], sessions: dict[int, Any] | None = None) -> Carried:
    """What the carriers find in TCP flows: pairs of what the client and what the server sent."""
    made = []
    for number, (up, down) in enumerate(flows):
        one = SimpleNamespace(number=number, transport="tcp", client=("192.0.2.1", 5000 + number))
        one.server = ("192.0.2.9", 443)
        one.stream = lambda is_up, up=up, down=down: up if is_up else down
        made.append(one)
    wire: Any = SimpleNamespace(flows=made, sessions=sessions or {}, time=lambda frame: frame * 1_000_000)
    return build(wire)


def frame(payload: bytes, opcode: int = 1, *, mask: bytes = b"", final: bool = True, compressed: bool = False) -> bytes:
    """A WebSocket frame."""
    first = (0x80 if final else 0) | (0x40 if compressed else 0) | opcode
    size, masked = len(payload), 0x80 if mask else 0
    if size < 126:
        head = bytes([first, masked | size])
    elif size < 65536:
        head = bytes([first, masked | 126]) + struct.pack("!H", size)
    else:
        head = bytes([first, masked | 127]) + struct.pack("!Q", size)
    data = bytes(b ^ mask[i % 4] for i, b in enumerate(payload)) if mask else payload
    return head + mask + data


def deflated(compressor: Any, text: bytes) -> bytes:
    """A message as permessage-deflate sends it (RFC 7692 section 7.2.1)."""
    data: bytes = compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert data.endswith(b"\x00\x00\xff\xff")
    return data[:-4]


def upgrade(
    target: str = "/xmpp-websocket?room=x", subprotocol: str = "xmpp", extensions: str = "", key: str = "a2V5"
) -> tuple[bytes, bytes]:
    """A WebSocket handshake: request and response."""
    fields = f"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
    asked = f"GET {target} HTTP/1.1\r\n{fields}Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    answer += f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    answer += f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
    return asked.encode(), (answer + "\r\n").encode()


def post(body: str, path: str = "/http-bind") -> bytes:
    """An HTTP/1.1 request with a body."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {len(body.encode())}\r\n\r\n"
    return head.encode() + body.encode()


def ok(body: str | bytes, fields: str = "") -> bytes:
    """An HTTP/1.1 response with a body."""
    data = body.encode() if isinstance(body, str) else body
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n{fields}Content-Length: {len(data)}\r\n\r\n".encode() + data


def texts(stanzas: Sequence[Any]) -> list[str]:
    """The text of stanzas."""
    return [one.xml for one in stanzas]
