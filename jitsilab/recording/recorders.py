"""The programs that record, as data: what each is started with, and what it prints of its counts."""

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from jitsilab.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be recorded."""

    interface: str
    path: Path
    seconds: float | None = None  # None: until it is ended
    filter: str = ""
    snap_length: int = 0  # bytes of each frame, 0 for all
    ring_files: int = 0  # 0: one file
    ring_megabytes: int = 100  # of each file of a ring
    buffer_megabytes: int = 16  # of the kernel


@dataclass(slots=True)
class Counts:
    """What a recorder tells of itself; None where it does not."""

    packets: int | None = None
    received: int | None = None  # by the interface, what the filter took
    dropped: int | None = None  # by the kernel, for want of room
    interface_dropped: int | None = None


class Recorder(NamedTuple):
    """A program that records."""

    name: str
    form: str  # what it writes: pcapng or pcap
    command: Callable[[Order, str], list[str]]  # its program's path goes in
    counts: Callable[[str, Counts], None]  # one line of standard error
    asks: bool = False  # whether it prints its counts on SIGUSR1


def _wireshark(order: Order, program: str) -> list[str]:
    command = [program, "-i", order.interface, "-w", str(order.path), "-B", str(order.buffer_megabytes)]
    if order.interface == "any":
        command += ["-y", "LINUX_SLL2"]  # which names the device of each frame
    if order.seconds is not None:
        command += ["-a", f"duration:{max(1, round(order.seconds))}"]
    if order.filter:
        command += ["-f", order.filter]
    if order.snap_length:
        command += ["-s", str(order.snap_length)]
    if order.ring_files:
        command += ["-b", f"filesize:{order.ring_megabytes * 1000}", "-b", f"files:{order.ring_files}"]
    return command


def _dumpcap(order: Order, program: str) -> list[str]:
    return [*_wireshark(order, program), *(["-P"] if order.path.suffix == ".pcap" else [])]


def _tshark(order: Order, program: str) -> list[str]:
    return [*_wireshark(order, program), *(["-F", "pcap"] if order.path.suffix == ".pcap" else [])]


def _tcpdump(order: Order, program: str) -> list[str]:
    command = [program, "-i", order.interface, "-w", str(order.path), "-U", "-n"]
    command += ["-B", str(order.buffer_megabytes * 1024), "-s", str(order.snap_length)]
    if order.ring_files:
        command += ["-C", str(order.ring_megabytes), "-W", str(order.ring_files)]
        if os.geteuid() == 0:
            command += ["-Z", "root"]  # a later file of the ring lies in a folder that only we may write to
    return [*command, order.filter] if order.filter else command


def _scapy(order: Order, program: str) -> list[str]:
    command = [program, "-m", "jitsilab.recording.sniffer", "--interface", order.interface, "-w", str(order.path)]
    command += ["--snap-length", str(order.snap_length), "--buffer", str(order.buffer_megabytes)]
    if order.ring_files:
        raise ParameterError("scapy writes one file: for a ring take dumpcap, tshark or tcpdump (--recorder).")
    return [*command, "--filter", order.filter] if order.filter else command


_RUNNING = re.compile(r"^(?:Packets: )?(\d+)\s*$")
_CAPTURED = re.compile(r"^(?:Packets captured: (\d+)|(\d+) packets? captured)")
_DUMPCAP_END = re.compile(r"^Packets received/dropped on interface '.*': (\d+)/(\d+) \(.*ps_ifdrop:(\d+)\)")
_TCPDUMP = re.compile(r"^(?:tcpdump: )?(\d+) packets? (captured|received by filter|dropped by (?:kernel|interface))")
_TCPDUMP_LINE = re.compile(
    r"(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped by kernel"
)
_SNIFFER = re.compile(r"^packets (\d+) dropped (\d+)$")


def _of_wireshark(line: str, counts: Counts) -> None:
    if match := _RUNNING.match(line) or _CAPTURED.match(line):
        counts.packets = int(next(count for count in match.groups() if count))
    elif match := _DUMPCAP_END.match(line):
        counts.received = int(match[1])
        counts.dropped = int(match[2])
        counts.interface_dropped = int(match[3])
    elif match := re.match(r"^(\d+) packets? dropped", line):
        counts.dropped = int(match[1])


def _of_tcpdump(line: str, counts: Counts) -> None:
    if match := _TCPDUMP_LINE.search(line):
        counts.packets, counts.received, counts.dropped = (int(count) for count in match.groups())
    elif match := _TCPDUMP.match(line):
        name = {"captured": "packets", "received by filter": "received", "dropped by kernel": "dropped"}
        setattr(counts, name.get(match[2], "interface_dropped"), int(match[1]))


def _of_sniffer(line: str, counts: Counts) -> None:
    if match := _SNIFFER.match(line):
        counts.packets, counts.dropped = int(match[1]), int(match[2])


RECORDERS = (  # in the order of choice
    Recorder("dumpcap", "pcapng", _dumpcap, _of_wireshark),
    Recorder("tshark", "pcapng", _tshark, _of_wireshark),
    Recorder("tcpdump", "pcap", _tcpdump, _of_tcpdump, asks=True),
    Recorder("scapy", "pcapng", _scapy, _of_sniffer),
)
NAMES = tuple(recorder.name for recorder in RECORDERS)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A recorder of this machine, and why it was taken."""

    recorder: Recorder
    program: str
    why: str
    refused: tuple[str, ...] = field(default=())  # those before it, with the reason


def choose(name: str = "auto") -> Chosen:
    """The recorder of that name, or the first there is; without root the first that may record without it.

    Raises ParameterError where it is not there.
    """
    if name != "auto":
        recorder = next((recorder for recorder in RECORDERS if recorder.name == name), None)
        if recorder is None:
            raise ParameterError(f"There is no recorder {name!r}. There are: auto, {', '.join(NAMES)}.")
        program = program_of(recorder)
        if program is None:
            raise ParameterError(f"{name} is not installed here: {_INSTALL[name]}, or leave the choice to auto.")
        return Chosen(recorder, program, "asked for")
    there = [(recorder, program) for recorder in RECORDERS if (program := program_of(recorder)) is not None]
    missing = tuple(f"{recorder.name} is not installed" for recorder in RECORDERS if program_of(recorder) is None)
    if not there:
        raise ParameterError(
            "Nothing here can record: install dumpcap (`sudo apt install wireshark-common`) or tcpdump."
        )
    if os.geteuid():
        able = [(recorder, program) for recorder, program in there if has_capabilities(program)]
        if able:
            return Chosen(*able[0], "may record without root", missing)
    return Chosen(*there[0], "the first there is", missing)


_INSTALL = {
    "dumpcap": "`sudo apt install wireshark-common`", "tshark": "`sudo apt install tshark`",
    "tcpdump": "`sudo apt install tcpdump`", "scapy": "it records on Linux only",
}  # fmt: skip


def program_of(recorder: Recorder) -> str | None:
    """The path of a recorder's program, None where it is not on this machine."""
    if recorder.name == "scapy":
        return sys.executable if sys.platform == "linux" else None
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(recorder.name, path=os.pathsep.join([path, "/usr/local/sbin", "/usr/sbin", "/sbin"]))


def has_capabilities(program: str) -> bool:
    """Whether a program's file gives the right to record (capabilities(7)), or is root's own setuid."""
    try:
        if os.stat(program).st_mode & 0o4000:  # noqa: PTH116  # a path as the shell finds it
            return True
        return bool(os.getxattr(program, "security.capability"))
    except (OSError, AttributeError):
        return False
