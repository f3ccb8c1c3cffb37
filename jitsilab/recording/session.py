"""One recording from its first packet to its end: a recorder is started, watched and ended, its files are kept."""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jitsilab.errors import CaptureError, ParameterError
from jitsilab.recording import files
from jitsilab.recording.filters import expression
from jitsilab.recording.recorders import Chosen, Counts, Order, choose

_TICK = 0.1  # s
_BEGIN = 10.0  # s for a recorder to open its device and file
_END = 15.0  # s for it to write the rest
_ROOM = 64 << 10  # bytes free on the disk, below which a recording ends while its file can still be closed


@dataclass(slots=True)
class Recording:
    """What was recorded, and how it ended."""

    order: Order
    recorder: str
    command: list[str]
    paths: list[Path] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    started: float = 0.0  # s since the epoch
    ended: float = 0.0
    problem: str = ""  # a sentence, where it ended before its time
    interrupted: bool = False
    cut: int = 0  # bytes of an unfinished record that were taken off

    def to_json(self) -> dict[str, Any]:
        """For the file beside the capture."""
        counts = self.counts
        return {
            "recorder": self.recorder, "command": shlex.join(self.command), "interface": self.order.interface,
            "filter": self.order.filter, "snap_length": self.order.snap_length,
            "files": [path.name for path in self.paths],
            "started": self.started, "ended": self.ended, "packets": counts.packets, "received": counts.received,
            "kernel_dropped": counts.dropped, "interface_dropped": counts.interface_dropped,
            "interrupted": self.interrupted, "problem": self.problem,
        }  # fmt: skip


class Session:
    """A recorder that runs. `wait` gives the recording when it has ended, by time, by a signal or by itself."""

    def __init__(self, order: Order, chosen: Chosen, *, before: Sequence[str] = (), again: str = "") -> None:
        """``before`` comes before the recorder's command (another namespace); ``again`` is how this was asked for."""
        self.chosen, self.again = chosen, again
        command = [*before, *chosen.recorder.command(order, chosen.program)]
        self.recording = Recording(order, chosen.recorder.name, command)
        self._lines: list[str] = []
        self._listening = threading.Event()
        self._before = _files(order)
        environment = {**os.environ, "LC_ALL": "C"}
        if chosen.recorder.name == "scapy":
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [_home(), os.environ.get("PYTHONPATH")]))
        with _umask(0o077):
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
                start_new_session=True,  # an interrupt comes to us alone, who end it in order
            )  # fmt: skip
        # Where this process is killed, the pipe closes, and the recorder is ended as by an interrupt.
        self._guard = subprocess.Popen(
            ["sh", "-c", 'read _; kill -INT "$0"', str(self._process.pid)], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.recording.started = time.time()

    def open(self) -> None:
        """Wait until it records. Raises CaptureError with one sentence where it cannot."""
        deadline = time.monotonic() + _BEGIN
        while time.monotonic() < deadline and self._process.poll() is None:
            if self.size():
                self.recording.started = time.time()
                return
            time.sleep(_TICK / 2)
        if self._process.poll() is None:
            return  # a device without traffic, and a recorder that writes its header with the first frame
        self._reader.join(2)
        if not self.size():
            for path in self._made():
                path.unlink(missing_ok=True)
            raise CaptureError(self._why())

    def size(self) -> int:
        """Bytes in the files so far."""
        total = 0
        for path in self._made():
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    @property
    def packets(self) -> int | None:
        """Packets so far, as the recorder counts them."""
        return self.recording.counts.packets

    def alive(self) -> bool:
        """Whether it still records."""
        return self._process.poll() is None

    def ask(self) -> None:
        """Let the recorder tell its counts, where it has to be asked."""
        if self.chosen.recorder.asks and self.alive():
            with contextlib.suppress(OSError):
                os.kill(self._process.pid, signal.SIGUSR1)

    def full(self) -> bool:
        """Whether the disk has no room for more."""
        try:
            disk = os.statvfs(self.recording.order.path.parent)
        except OSError:
            return False
        return disk.f_bavail * disk.f_frsize < _ROOM

    def stop(self) -> None:
        """End the recorder so that it closes its file; by force where it does not."""
        for number, patience in ((signal.SIGINT, _END), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
            if not self.alive():
                break
            with contextlib.suppress(OSError):
                os.kill(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        self._unguarded()

    def _unguarded(self) -> None:
        """The recorder has ended; its number may be another's soon."""
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()

    def finish(self, problem: str = "") -> Recording:
        """What there is once the recorder has ended: files mended and handed over, counts as it told them."""
        self._unguarded()
        self._reader.join(2)
        recording = self.recording
        recording.ended = time.time()
        recording.paths = [path for path in self._made() if path.stat().st_size]
        own = self._why() if any(word.search(line) for word, _ in _REASONS for line in self._lines) else ""
        recording.problem = problem or own
        if recording.problem:
            with contextlib.suppress(CaptureError, OSError):
                recording.cut = sum(files.mend(path) for path in recording.paths)
        self._statistics()
        files.hand_over(recording.paths)
        return recording

    def _statistics(self) -> None:
        """What the file's own statistics say and the recorder did not print."""
        if self.recording.counts.dropped is not None:
            return
        with contextlib.suppress(OSError):
            statistics = [counts for path in self.recording.paths for counts in files.statistics(path)]
            dropped = [
                counts.dropped or 0
                for counts in statistics
                if counts.dropped is not None or counts.interface_dropped is not None
            ]
            lost = [counts.interface_dropped or 0 for counts in statistics if counts.interface_dropped is not None]
            if dropped or lost:
                self.recording.counts.dropped = sum(dropped) + sum(lost)

    def _made(self) -> list[Path]:
        """Files of this recording: those of a ring have a number, and perhaps a time, in their names."""
        return sorted(path for path, when in _files(self.recording.order).items() if self._before.get(path) != when)

    def _read(self) -> None:
        assert self._process.stderr is not None
        pending = b""
        while piece := os.read(self._process.stderr.fileno(), 4096):
            *whole, pending = re.split(rb"[\r\n]+", pending + piece)
            for line in (*whole, *([pending] if re.fullmatch(rb"Packets: \d+ ", pending) else [])):
                self._line(line.decode("utf-8", "replace").strip())
        self._line(pending.decode("utf-8", "replace").strip())

    def _line(self, line: str) -> None:
        if line:
            self.chosen.recorder.counts(line, self.recording.counts)
            if len(self._lines) < 1000:
                self._lines.append(line[:1000])

    def _why(self) -> str:
        """One sentence on why the recorder could not begin, or ended by itself."""
        order = self.recording.order
        for pattern, reason in _REASONS:
            if any(pattern.search(line) for line in self._lines):
                return reason(self, order)
        last = next((line for line in reversed(self._lines) if not line[0].isdigit()), "no reason was given")
        return f"{self.recording.recorder} cannot record: {last}"


def _no_device(session: Session, order: Order) -> str:
    return f"There is no interface {order.interface} here. There are: {', '.join(['any', *interfaces()])}."


def _no_right(session: Session, order: Order) -> str:
    program = session.chosen.program
    grant = f", or once `sudo setcap cap_net_raw,cap_net_admin=eip {shlex.quote(program)}`, then without root"
    return (
        f"This user may not record on {order.interface}: run `{session.again or 'sudo jitsilab record ...'}`"
        f"{'' if session.chosen.recorder.name == 'scapy' else grant}."
    )


def _no_room(session: Session, order: Order) -> str:
    return f"The disk of {order.path.parent} is full: the recording ended, and what it has up to there can be read."


def _gone(session: Session, order: Order) -> str:
    return f"The interface {order.interface} is gone: the recording ended, and what it has up to there can be read."


def _bad_filter(session: Session, order: Order) -> str:
    complaint = next((line for line in session._lines if re.search(r"filter|syntax|expression", line)), "")
    return f"{session.recording.recorder} does not understand the filter {order.filter!r}: {complaint}"


def _no_file(session: Session, order: Order) -> str:
    return f"{session.recording.recorder} may not write {order.path}: choose another folder with -o."


_REASONS: tuple[tuple[re.Pattern[str], Callable[[Session, Order], str]], ...] = (
    (re.compile(r"No space left|no space left on the file system|disk is full"), _no_room),
    (re.compile(r"no longer attached|interface disappeared|interface went down|Network is down"), _gone),
    (re.compile(r"There is no device named|No such device"), _no_device),
    (re.compile(r"syntax error|[Ii]nvalid capture filter|not a valid capture filter|filter expression"), _bad_filter),
    (re.compile(r"[Pp]ermission to (?:perform this )?(?:capture|record)|Operation not permitted|don't have permission"),
     _no_right),
    (re.compile(r"could not be opened|open for writing|\.pcap\w*: Permission denied"), _no_file),
)  # fmt: skip


def interfaces() -> list[str]:
    """Names of this machine's interfaces."""
    return [name for _, name in socket.if_nameindex()]


def devices() -> dict[int, str]:
    """Names of this machine's interfaces by the kernel's numbers, which is all that a cooked capture has of them."""
    return dict(socket.if_nameindex())


def again(arguments: Sequence[str]) -> str:
    """The command that does the same with root's rights."""
    program = shutil.which("jitsilab") or ""
    started = [program] if program else [sys.executable, "-m", "jitsilab"]
    return shlex.join(["sudo", *started, *arguments])


def check_output(path: Path) -> None:
    """Say before anything is started where a recording cannot be written, or would overwrite another."""
    if path.exists():
        told = path.with_name(path.stem + ".recording.json")
        cut = "" if told.exists() else f" It was not ended in order (there is no {told.name}); what it has can be read."
        raise ParameterError(f"{path} is there already: a recording overwrites nothing.{cut}")
    if not path.parent.is_dir():
        raise ParameterError(f"There is no folder {path.parent}.")
    if not os.access(path.parent, os.W_OK):
        raise ParameterError(f"This user may not write to {path.parent}.")


def run(
    sessions: Sequence[Session], seconds: float | None, progress: Callable[[float, int | None, int], None] | None = None
) -> list[Recording]:
    """Wait for recordings that run: until their time is over, a signal comes, the disk is full or all have ended."""
    problem, interrupted = "", False
    with _signals() as signalled:
        opened = []
        try:
            for session in sessions:
                session.open()
                opened.append(session)
        except CaptureError:
            for session in sessions:
                session.stop()
            if not any(session.size() for session in sessions):
                raise
        begin = time.monotonic()
        last = 0.0
        while not signalled and any(session.alive() for session in sessions):
            passed = time.monotonic() - begin
            if seconds is not None and passed >= seconds:
                break
            if any(session.full() for session in sessions):
                problem = _no_room(sessions[0], sessions[0].recording.order)
                break
            if passed - last >= 0.5:
                last = passed
                for session in sessions:
                    session.ask()
                if progress is not None:
                    progress(
                        passed,
                        _sum(session.packets for session in sessions),
                        sum(session.size() for session in sessions),
                    )
            time.sleep(_TICK)
        interrupted = bool(signalled)
        for session in sessions:
            session.stop()
        recordings = [session.finish(problem) for session in sessions]
    for recording in recordings:
        recording.interrupted = interrupted
        if not recording.problem and not interrupted and seconds is not None:
            short = recording.ended - recording.started < seconds - 1.5
            if short:
                recording.problem = f"{recording.recorder} ended before its time, without a reason."
    return recordings


def record(interface: str = "any", seconds: float = 60.0, out: "str | Path | None" = None) -> Recording:
    """Record what a Jitsi session is made of, with the recorder that is there, and wait until it is done.

    ``out`` is by default a new file in the current folder. Raises CaptureError with one sentence where it cannot.
    """
    chosen = choose()
    path = Path(out) if out is not None else Path(time.strftime(f"call-%Y%m%d-%H%M%S.{chosen.recorder.form}"))
    check_output(path)
    session = Session(Order(interface, path, seconds, expression("jitsi")), chosen)
    try:
        (done,) = run([session], seconds)
    except BaseException:
        session.stop()
        raise
    return done


def _sum(values: Iterator[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Signals that ask for the end are noted, not obeyed, so that files are closed first."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    old = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield came
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _files(order: Order) -> dict[Path, float]:
    """Files with the order's name, or with a ring's number in it, and when each was written last."""
    path, written = order.path, {}
    numbered = re.compile(re.escape(path.stem) + r"(?:_\d{5}_\d{14})?" + re.escape(path.suffix) + r"\d*$")
    with contextlib.suppress(OSError):
        for file in path.parent.iterdir():
            if file.name == path.name or (order.ring_files and numbered.match(file.name)):
                with contextlib.suppress(OSError):
                    written[file] = file.stat().st_mtime
    return written


def _home() -> str:
    """Where this package is, for a child that imports it."""
    import jitsilab

    return str(Path(str(jitsilab.__file__)).parent.parent)
