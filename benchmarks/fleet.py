"""A survey of many captures on one and on several processes: ``python -m benchmarks.fleet [--cases N] [--workers N]``.

The captures are short recordings of the project with times shifted by days and addresses of participants renamed, in
the headers and where STUN hides them (RFC 8489 section 14.2).
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from jitsilab import pcap
from jitsilab.inputs import registry

RECORDINGS = ("alone", "ws-404", "focus-off", "no-bridge", "token-expired", "jvb-2")
DAY = 86_400 * 10**9
COOKIE = b"\x21\x12\xa4\x42"


def build(folder: Path, count: int) -> None:
    """Write ``count`` captures."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {}
    for number in range(count):
        name = RECORDINGS[number % len(RECORDINGS)]
        if name not in known:
            entry = registry.find(name)
            known[name] = pcap.read(registry.capture_path(entry, "eth0" if "eth0" in entry.points else None))
        (folder / f"{number:05d}-{name}.pcap").write_bytes(renamed(known[name], number))


def renamed(packets: pcap.Packets, number: int) -> bytes:
    """A recording as pcap, ``number`` days later and with other participants' addresses."""
    import ipaddress
    import struct

    changes = []
    outside = [one for one in packets.addresses if one.startswith(("198.51.100.", "192.0.2."))]
    for place, one in enumerate(outside):
        old = ipaddress.IPv4Address(one).packed
        new = bytes([198, 18 + place % 2, number % 250 + 1, place % 250 + 1])
        changes += [(old, new), (_hidden(old), _hidden(new))]
    link = packets.interfaces[0].link
    parts = [struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, link)]
    for row in range(len(packets)):
        frame = packets.frame(row + packets.first)
        for old, new in changes:
            frame = frame.replace(old, new)
        moment = int(packets.time[row]) + number * DAY
        parts.append(struct.pack("<IIII", moment // 10**9, moment % 10**9, len(frame), int(packets.length[row])))
        parts.append(frame)
    return b"".join(parts)


def _hidden(address: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(address, COOKIE, strict=True))


def _resident() -> float:
    """Megabytes of this process, the coordinator."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return float(line.split()[1]) / 1e3
    return float("nan")


def main(arguments: list[str]) -> None:
    from jitsilab.fleet import survey

    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--folder", type=Path, help="where captures and datasets stay (default: they are removed)")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        build(folder / "captures", given.cases)
        first = None
        for workers in given.workers:
            out = folder / f"fleet-{workers}"
            shutil.rmtree(out, ignore_errors=True)
            begun, before = time.perf_counter(), _resident()
            done = survey(folder / "captures", out, workers=workers)
            seconds = time.perf_counter() - begun
            first = first or seconds
            print(
                f"{workers} workers: {seconds:.1f} s, {given.cases / seconds:.1f} cases/s, {first / seconds:.2f} times "
                f"the first; coordinator {before:.0f} to {_resident():.0f} MB; {dict(done.states)}", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
