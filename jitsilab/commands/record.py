"""``jitsilab record``: a capture of a call, with progress, and afterwards what it can be trusted with."""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jitsilab import terminal
from jitsilab.commands import Command
from jitsilab.errors import LabError, ParameterError

if TYPE_CHECKING:
    from jitsilab.recording import Recording
    from jitsilab.recording.browser import Browser
    from jitsilab.recording.containers import Namespace


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-i", "--interface", default="any",
                        help="where (default any: a server's loopback side holds the signaling in clear)")  # fmt: skip
    parser.add_argument("-d", "--seconds", type=float, help="for how long (default: until Ctrl-C)")
    parser.add_argument("-o", type=Path, dest="out", metavar="FILE", help="default: call-DATE-TIME.pcapng")
    parser.add_argument("--recorder", default="auto", choices=("auto", "dumpcap", "tshark", "tcpdump", "scapy"),
                        help="auto takes the first there is that may record")  # fmt: skip
    parser.add_argument(
        "--for", dest="purpose", choices=("jitsi",), help="keep what a Jitsi session is made of, drop the rest"
    )
    parser.add_argument(
        "-f", "--filter", metavar="BPF", help="a capture filter of one's own; with --for: keep this too"
    )
    parser.add_argument("--bridge-port", type=int, default=10000, metavar="PORT", help="UDP port of the bridge (10000)")
    parser.add_argument("-s", "--snap-length", type=int, default=0, metavar="BYTES",
                        help="of each frame (default all); what less costs is said")  # fmt: skip
    parser.add_argument(
        "--ring", type=_ring, metavar="FILES[xMB]", help="keep the newest FILES files of MB megabytes (5x100)"
    )
    parser.add_argument("--cut-media", action="store_true", help="cut the payload of RTP afterwards: small and private")
    parser.add_argument("--all", action="store_true", dest="everything",
                        help="also logs, answers and configuration of this machine, beside the capture")  # fmt: skip
    parser.add_argument("--docker", action="store_true", help="inside the networks of the services that compose runs")
    parser.add_argument("--project", type=Path, metavar="DIR", help="with --docker: folder of the compose file")
    parser.add_argument("--service", action="append", metavar="NAME", help="with --docker: this service alone")
    parser.add_argument("--keylog", type=Path, metavar="FILE", help="TLS secrets that somebody writes meanwhile")
    parser.add_argument("--browser", metavar="URL",
                        help="open this page in a Chromium with a fresh profile and a key log; its console and its "
                        "webrtc-internals dump are kept beside the capture")  # fmt: skip
    parser.add_argument("--browser-flag", action="append", metavar="FLAG", help="with --browser: one more of its flags")
    parser.add_argument("--embed", action="store_true", help="put the secrets of --keylog or --browser into the pcapng")
    parser.add_argument("--keylog-help", nargs="?", const="", choices=("", "linux", "macos", "windows"),
                        help="how to have browsers and servers write their TLS secrets; records nothing")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="what was recorded, for programs")


def _ring(text: str) -> tuple[int, int]:
    files, _, size = text.partition("x")
    if not files.isdigit() or int(files) < 2 or (size and not size.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no ring: 5x100 keeps five files of 100 MB")
    return int(files), int(size or 100)


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab import recording
    from jitsilab.recording import files, filters, integrity, keys, session

    if arguments.keylog_help is not None:
        print(keys.text(arguments.keylog_help or None))
        return 0
    _check(arguments)
    chosen = recording.choose(arguments.recorder)
    out = arguments.out or Path(time.strftime("call-%Y%m%d-%H%M%S") + ".pcapng")
    session.check_output(out)
    keep = filters.expression(arguments.purpose, arguments.filter, arguments.bridge_port)
    ring = arguments.ring or (0, 100)
    _tell(f"recording with {chosen.recorder.name} ({chosen.why}) on {arguments.interface}"
          f"{', ' + '; '.join(chosen.refused) if chosen.refused else ''}")  # fmt: skip
    for line in integrity.forecast(arguments.interface, keep, arguments.snap_length, arguments.keylog is not None):
        _tell(f"note: {line}")
    again = session.again(sys.argv[1:])
    sessions, inputs = [], []
    browser = _browser(arguments, out)
    try:
        for namespace in _namespaces(arguments):
            path = _raw(out, chosen.recorder.form, namespace, ring[0])
            order = recording.Order(arguments.interface, path, _own_end(arguments), keep, arguments.snap_length, *ring)
            sessions.append(recording.Session(order, chosen, before=namespace.before if namespace else (), again=again))
            inputs.append(files.Input(path, namespace.name if namespace else "", arguments.interface))
        for capture in sessions:
            capture.open()
        if browser is not None:
            browser.start()
        bar = _Progress(arguments.seconds)
        done = recording.run(sessions, arguments.seconds, bar.update)
        bar.close()
        if browser is not None:
            made = browser.finish(
                out.with_name(f"{out.stem}.console.txt"), out.with_name(f"{out.stem}.webrtc-internals.txt")
            )
            files.hand_over(made)
            _tell(f"of the browser: {', '.join(str(path) for path in made) or 'nothing'}")
    except BaseException:
        for capture in sessions:
            capture.stop()
        if browser is not None:
            browser.close()
        raise
    paths = _joined(out, inputs, done, bool(ring[0]))
    return _afterwards(arguments, out, paths, done)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.seconds is not None and not 0 < arguments.seconds <= 604_800:
        raise ParameterError("Record for more than 0 and at most 604,800 seconds (a week).")
    if arguments.snap_length and not 32 <= arguments.snap_length <= 262_144:
        raise ParameterError("A snap length lies between 32 and 262,144 bytes; 0 keeps all.")
    if arguments.browser and arguments.keylog:
        raise ParameterError("--browser writes a key log of its own, so it goes without --keylog.")
    if arguments.embed and arguments.keylog is None and arguments.browser is None:
        raise ParameterError("--embed needs --keylog FILE, the secrets to put in, or --browser.")
    if arguments.docker and arguments.ring:
        raise ParameterError("--docker joins its captures when they end, so it goes without --ring.")
    if (arguments.project or arguments.service) and not arguments.docker:
        raise ParameterError("--project and --service go with --docker.")


def _own_end(arguments: argparse.Namespace) -> float | None:
    """When a recorder ends by itself: with a browser, whose start takes its time, later than it is ended."""
    seconds: float | None = arguments.seconds
    return seconds + 90 if seconds is not None and arguments.browser else seconds


def _browser(arguments: argparse.Namespace, out: Path) -> "Browser | None":
    """The browser that records itself, ready to be started; its key log stands for --keylog from here on."""
    if not arguments.browser:
        return None
    from jitsilab.recording.browser import Browser

    arguments.keylog = out.with_name(f"{out.stem}.keys.txt").absolute()
    return Browser(arguments.browser, arguments.keylog, tuple(arguments.browser_flag or ()))


def _namespaces(arguments: argparse.Namespace) -> "list[Namespace | None]":
    if not arguments.docker:
        return [None]
    from jitsilab.recording import containers

    namespaces = containers.namespaces(arguments.project, tuple(arguments.service or ()))
    _tell(f"in the networks of {', '.join(namespace.name for namespace in namespaces)}")
    return [*namespaces]


def _raw(out: Path, form: str, namespace: "Namespace | None", ring: int) -> Path:
    """Where a recorder writes: the file itself, or one beside it that is made into it afterwards."""
    if namespace is not None:
        return out.with_name(f"{out.stem}.{namespace.process}.{form}")
    if form == "pcap" and out.suffix == ".pcapng":
        return out.with_suffix(".pcap")
    return out


def _joined(out: Path, inputs: list[Any], done: "list[Recording]", ring: bool) -> list[Path]:
    """The files that stay: one pcapng of what was recorded, wherever its recorder or recorders wrote something else."""
    from jitsilab.recording import files

    there = [(given, recorded) for given, recorded in zip(inputs, done, strict=True) if recorded.paths]
    if ring or not there or (len(there) == 1 and there[0][0].path == out):
        return [path for recorded in done for path in recorded.paths]
    drops = [
        ((recorded.counts.received or recorded.counts.packets or 0), recorded.counts.dropped or 0)
        for _, recorded in there
    ]
    own = there[0][1].recorder == "tcpdump"  # a pcap has no statistics of its own
    try:
        files.join([given for given, _ in there], out, drops if own else _of_files(there))
    except OSError as error:  # a full disk: what was recorded stays as it is
        out.with_name(out.name + ".part").unlink(missing_ok=True)
        _tell(f"not made into one pcapng ({error.strerror}): the captures stay as they were recorded")
        return [path for recorded in done for path in recorded.paths]
    for recorded in done:
        for path in recorded.paths:
            path.unlink(missing_ok=True)
    files.hand_over([out])
    return [out]


def _of_files(there: list[Any]) -> list[tuple[int, int]]:
    from jitsilab.recording import files

    counts = []
    for given, recorded in there:
        statistics = files.statistics(given.path)
        counts.append(
            (sum(s.received or 0 for s in statistics) or recorded.counts.packets or 0, recorded.counts.dropped or 0)
        )
    return counts


def _afterwards(arguments: argparse.Namespace, out: Path, paths: list[Path], done: "list[Recording]") -> int:
    from jitsilab import recording
    from jitsilab.recording import files, integrity, session

    problem = next((recorded.problem for recorded in done if recorded.problem), "")
    dropped = [recorded.counts.dropped for recorded in done if recorded.counts.dropped is not None]
    packets = [recorded.counts.packets for recorded in done if recorded.counts.packets is not None]
    cut = [recording.cut_media(path) for path in paths] if arguments.cut_media else []
    if arguments.embed and arguments.keylog.exists():
        for path in paths:
            files.embed(path, arguments.keylog.read_bytes())
    keylog = arguments.keylog if arguments.keylog is not None and arguments.keylog.exists() else None
    if arguments.keylog is not None and keylog is None:
        _tell(f"there is no {arguments.keylog}: nobody wrote secrets meanwhile")
    report = integrity.inspect(
        paths, keylog=keylog, recorder_packets=sum(packets) if packets and not arguments.ring else None,
        kernel_dropped=sum(dropped) if dropped else None, cut_media_frames=sum(result.frames for result in cut),
        devices={} if arguments.docker else session.devices(),
    )  # fmt: skip
    files.hand_over(paths)
    beside = out.with_name(out.stem + ".recording.json")
    longest = max((recorded.ended - recorded.started for recorded in done), default=0.0)
    whole = {
        "recordings": [recorded.to_json() for recorded in done], "files": [str(path) for path in paths],
        "integrity": report.to_json(), "problem": problem, "beside": _collect(arguments, out, longest),
    }  # fmt: skip
    try:
        beside.write_text(json.dumps(whole, indent=1, default=str) + "\n")
        files.hand_over([beside])
    except OSError as error:
        _tell(f"{beside.name} could not be written: {error.strerror}")
    if arguments.json:
        print(terminal.to_json(json.loads(json.dumps(whole, default=str)), indent=1))
    else:
        names = ", ".join(str(path) for path in paths) or "nothing"
        print(terminal.printable(f"{names}\n{report.to_text()}"))
        if sealed := sum(result.sealed for result in cut):
            print(f"{sealed:,} bytes inside TLS stay: media of a relay may be among them")
    if problem:
        print(f"jitsilab: {terminal.printable(problem)}", file=sys.stderr)
    return int(bool(problem))


def _collect(arguments: argparse.Namespace, out: Path, seconds: float) -> str | None:
    """Logs, answers and configuration of this machine, in a folder beside the capture."""
    if not arguments.everything:
        return None
    import shutil

    from jitsilab import deploy

    folder = out.with_name(out.stem + ".here")
    hours = max(1, -int(-seconds // 3600))  # a log's lines of the whole span, however it began within an hour
    try:
        shutil.copytree(deploy.collect_here(hours=hours), folder)
    except (LabError, OSError) as error:
        _tell(f"logs, answers and configuration were not collected: {error}")
        return None
    _tell(f"logs, answers and configuration are in {folder}")
    return str(folder)


class _Progress:
    """A bar of the seconds, with packets and bytes, where somebody looks."""

    def __init__(self, seconds: float | None) -> None:
        self._bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            form = "{desc}{elapsed} {postfix}" if seconds is None else "{l_bar}{bar}| {n:.0f}/{total:.0f} s{postfix}"
            self._bar = tqdm(total=seconds, bar_format=form)

    def update(self, passed: float, packets: int | None, size: int) -> None:
        """Show how far it is."""
        if self._bar is not None:
            count = "" if packets is None else f"{packets:,} packets, "
            self._bar.set_postfix_str(f"{count}{size / 1e6:.1f} MB", refresh=False)
            self._bar.n = passed
            self._bar.refresh()

    def close(self) -> None:
        """Leave the line."""
        if self._bar is not None:
            self._bar.close()


def _tell(line: str) -> None:
    with contextlib.suppress(OSError):
        print(terminal.printable(line), file=sys.stderr)


COMMAND = Command(
    "record", "record a call on this machine, and say what the file can be trusted with", _arguments, _run,
    ("sudo jitsilab record -d 60 --for jitsi", "sudo jitsilab record --docker --project docker-jitsi-meet --cut-media",
     "jitsilab record -d 60 --browser https://meet.example.org/ROOM --embed", "jitsilab record --keylog-help"),
)  # fmt: skip
