"""DNS and DHCP messages, rewritten in place: labels keep their lengths, so that names may go on pointing at others."""

from jitsilab.sharing.names import WORDS, public
from jitsilab.sharing.wording import Wording

_NAMED = {2: 0, 5: 0, 12: 0, 39: 0, 15: 2, 18: 2, 33: 6, 64: 2, 65: 2, 46: 18, 47: 0}  # types with a name: bytes before
_TEXTS = {13: 0, 16: 0, 99: 0, 35: 4}  # types with strings, each behind its length: bytes before them
_ADDRESSES = frozenset((3, 4, 5, 6, 28, 42, 44, 50, 54))  # options of DHCP that hold addresses
_KEPT = frozenset((1, 26, 51, 53, 55, 57, 58, 59, 52))


class Resolving:
    """Rewrites one message."""

    def __init__(self, wording: Wording) -> None:
        self.wording = wording
        self._seen: set[int] = set()

    def message(self, data: bytes) -> bytes:
        """A DNS message."""
        out = bytearray(data)
        try:
            at = 12
            questions, *records = (int.from_bytes(data[k : k + 2]) for k in (4, 6, 8, 10))
            for _ in range(questions):
                at = self._name(out, data, at) + 4
            for _ in range(sum(records)):
                at = self._record(out, data, self._name(out, data, at))
            out[at:] = self.wording.names.stream(b"rest" + data[at:], len(data) - at) if at < len(data) else b""
        except IndexError:
            return data[:12] + self.wording.names.stream(b"dns" + data, max(0, len(data) - 12))
        return bytes(out)

    def _record(self, out: bytearray, data: bytes, at: int) -> int:
        kind, size = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 8 : at + 10])
        begin, end = at + 10, at + 10 + size
        if end > len(data):
            raise IndexError
        value = data[begin:end]
        if kind in (1, 28) and size in (4, 16):
            out[begin:end] = self.wording.addresses.packed(value)
        elif kind == 6:
            self._name(out, data, self._name(out, data, begin))
        elif kind in _NAMED:
            after = self._name(out, data, begin + _NAMED[kind])
            if kind in (64, 65):
                self._parameters(out, data, after, end)
            elif kind == 46:
                out[after:end] = self.wording.names.stream(b"signature" + data[after:end], max(0, end - after))
        elif kind in _TEXTS:
            self._texts(out, data, begin + _TEXTS[kind], end, 3 if kind == 35 else 255)
        elif kind == 257 and size > 2:  # CAA (RFC 8659): who may issue certificates
            begin += 2 + data[begin + 1]
            out[begin:end] = self.wording.noise(data[begin:end])
        elif kind == 43 and size > 4:
            out[begin + 4 : end] = self.wording.names.stream(b"digest" + data[begin + 4 : end], size - 4)
        elif kind != 41:
            out[begin:end] = self.wording.names.stream(b"rdata" + value, size) if size else b""
        elif kind == 41 and size:
            out[begin:end] = bytes(size)
        return end

    def _texts(self, out: bytearray, data: bytes, at: int, end: int, most: int) -> None:
        """Strings of a record; what follows them in NAPTR is a name."""
        while at < end and most:
            begin, at, most = at + 1, at + 1 + data[at], most - 1
            out[begin : min(at, end)] = self.wording.noise(data[begin : min(at, end)])
        if at < end:
            self._name(out, data, at)

    def _parameters(self, out: bytearray, data: bytes, at: int, end: int) -> None:
        while at + 4 <= end:
            key, size = int.from_bytes(data[at : at + 2]), int.from_bytes(data[at + 2 : at + 4])
            begin, stop = at + 4, at + 4 + size
            step = {4: 4, 6: 16}.get(key, 0)
            for place in range(begin, stop, step) if step else ():
                out[place : place + step] = self.wording.addresses.packed(data[place : place + step])
            if key == 5:
                out[begin:stop] = self.wording.names.stream(b"ech" + data[begin:stop], size)
            at = stop

    def _name(self, out: bytearray, data: bytes, at: int) -> int:
        """Rewrite a name where its labels stand; gives the place after it."""
        places: list[tuple[int, int]] = []
        place, after = at, -1
        while data[place]:
            if data[place] >= 0xC0:
                after = place + 2 if after < 0 else after
                place = (data[place] & 0x3F) << 8 | data[place + 1]
                if len(places) > 128:
                    raise IndexError
                places.append((-1, 0))
                continue
            places.append((place + 1, data[place]))
            place += 1 + data[place]
            if place >= len(data) or len(places) > 128:
                raise IndexError
        after = place + 1 if after < 0 else after
        own = [(begin, size) for begin, size in places if begin >= 0]
        labels = [data[begin : begin + size].decode("latin-1") for begin, size in own]
        new = self._labels(labels)
        for (begin, size), label in zip(own, new, strict=True):
            if begin not in self._seen and len(label) == size:
                self._seen.add(begin)
                out[begin : begin + size] = label.encode("latin-1")
        return after

    def _labels(self, labels: list[str]) -> list[str]:
        names = self.wording.names
        host = ".".join(labels)
        if labels[-2:] in (["in-addr", "arpa"], ["ip6", "arpa"]):
            new = self.wording.text(host.encode()).decode().split(".")
            return (
                [a if len(a) == len(b) else names.alike(b) for a, b in zip(new, labels, strict=False)]
                if len(new) == len(labels)
                else labels
            )
        if public(host.lower()):
            return labels
        if labels[-1:] == ["local"]:
            return [self._local(label) for label in labels]
        return names.host(host).split(".") if len(labels) > 1 else labels

    def _local(self, label: str) -> str:
        """A label of a name that a device gave itself; services and what programs make up stay."""
        if label.startswith("_") or label.lower() in WORDS:
            return label
        given = self.wording.names.given.get(label)
        return given if given is not None and len(given) == len(label) else self.wording.names.alike(label)

    def lease(self, data: bytes) -> bytes:
        """A DHCP message."""
        out = bytearray(data)
        packed = self.wording.addresses.packed
        if len(data) < 240:
            return self.wording.names.stream(b"dhcp" + data, len(data))
        for at in (12, 16, 20, 24):
            out[at : at + 4] = packed(data[at : at + 4])
        out[28:34] = self.wording.addresses.mac(data[28:34])
        out[34:236] = bytes(202)
        at = 240
        while at + 2 <= len(data) and data[at] != 255:
            if not data[at]:
                at += 1
                continue
            kind, size = data[at], data[at + 1]
            begin, end = at + 2, min(at + 2 + size, len(data))
            value = data[begin:end]
            if kind in _ADDRESSES:
                for place in range(begin, end - 3, 4):
                    out[place : place + 4] = packed(data[place : place + 4])
            elif kind == 61 and len(value) == 7:
                out[begin + 1 : end] = self.wording.addresses.mac(value[1:])
            elif kind not in _KEPT:
                out[begin:end] = self.wording.noise(value)
            at = end
        return bytes(out)
