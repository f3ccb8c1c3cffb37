"""What a recording can be trusted with: its span, what it lost, and what it will not be able to show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from jitsilab import call as capture
from jitsilab.analysis import holes, limits
from jitsilab.errors import CaptureError
from jitsilab.recording import filters
from jitsilab.tables import part

_SILENCE = limits.CHECK_INTERVAL.value * 2  # s; a call in progress checks its consent every 4 to 6 s on every pair


@dataclass(slots=True)
class Integrity:
    """A recording, looked through."""

    files: list[str]
    frames: int = 0
    bytes: int = 0
    first: str = ""  # ISO 8601 UTC
    last: str = ""
    span_s: float = 0.0
    interfaces: dict[str, int] = field(default_factory=dict)  # frames of each
    recorder_packets: int | None = None
    kernel_dropped: int | None = None
    truncated_frames: int = 0  # the file has their beginning alone
    cut_media_frames: int = 0  # of those, what was cut on request
    silences: list[tuple[float, float]] = field(default_factory=list)  # s since the first frame, and how long
    broken_flows: int = 0  # TCP with bytes missing
    tcp_flows: int = 0
    late_flows: int = 0  # TCP whose opening is not there
    missed_handshakes: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    not_observable: list[tuple[str, str, str]] = field(default_factory=list)  # step, title, why
    jitsi: bool = False
    clear: list[str] = field(default_factory=list)  # how the signaling can be read

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def to_text(self) -> str:
        """For people: what is there, then only what is wrong or will be missing."""
        lines = [
            f"{self.frames:,} frames, {_size(self.bytes)} on the wire, {self.span_s:.1f} s from {self.first or '?'}"
        ]
        named = ", ".join(f"{name} {count:,}" for name, count in self.interfaces.items() if name)
        lines += [f"interfaces: {named}"] if named else []
        if self.recorder_packets is not None and self.recorder_packets != self.frames:
            lines.append(f"the recorder counted {self.recorder_packets:,} packets, the file holds {self.frames:,}")
        if self.kernel_dropped is None:
            lines.append("drops of the kernel: the recorder did not tell")
        elif self.kernel_dropped:
            share = self.kernel_dropped / max(1, self.kernel_dropped + self.frames)
            lines.append(
                f"the kernel dropped {self.kernel_dropped:,} packets ({share:.1%}): absence proves little here"
            )
        else:
            lines.append("the kernel dropped none")
        if self.truncated_frames > self.cut_media_frames:
            lines.append(f"{self.truncated_frames - self.cut_media_frames:,} frames are cut short by the snap length")
        if self.cut_media_frames:
            lines.append(f"{self.cut_media_frames:,} frames without their media payload, as asked for")
        for begin, length in self.silences[:5]:
            lines.append(f"nothing was recorded for {length:.1f} s from {begin:.1f} s on")
        if self.broken_flows:
            lines.append(f"{self.broken_flows} of {self.tcp_flows} TCP connections have holes")
        if self.late_flows:
            lines.append(
                f"{self.late_flows} of {self.tcp_flows} TCP connections were open before: they cannot be decrypted"
            )
        lines += self.missed_handshakes + self.damaged
        if not self.frames:
            lines.append("no frame at all: was there traffic, and on this interface?")
        elif not self.jitsi:
            lines.append("nothing shows that a Jitsi call is in it")
        lines += self.clear
        if self.not_observable:
            lines.append("will be NOT_OBSERVABLE:")
            lines += [f"  {step} {title}: {why}" for step, title, why in self.not_observable]
        return "\n".join(lines)


def inspect(
    paths: Sequence[Path], *, keylog: Path | None = None, recorder_packets: int | None = None,
    kernel_dropped: int | None = None, cut_media_frames: int = 0, devices: Mapping[int, str] | None = None,
) -> Integrity:  # fmt: skip
    """Look through the files of one recording, with what its recorder told.

    ``devices`` are names of interfaces by number, where they are those of the machine that recorded.
    """
    report = Integrity([path.name for path in paths], recorder_packets=recorder_packets, kernel_dropped=kernel_dropped)
    report.cut_media_frames = cut_media_frames
    try:
        call = capture.load(*paths, keylog=keylog)
    except CaptureError as error:
        report.damaged.append(str(error))
        return report
    for source in call.packets:
        if source.wire is not None:
            _frames(report, source.wire.packets, devices or {})
        flows = source.table("flows")
        if flows is not None and len(flows):
            _flows(report, flows, part(source, "segments"))
    report.damaged += [f"{problem.message}" for source in call.packets for problem in source.problems][:5]
    _tls(report, call)
    _steps(report, call)
    return report


def _frames(report: Integrity, packets: Any, devices: Mapping[int, str]) -> None:
    times = packets.time[packets.timed]
    report.frames += len(packets)
    report.bytes += int(packets.length.sum())
    report.truncated_frames += int((packets.captured_length < packets.length).sum())
    for number, interface in enumerate(packets.interfaces):
        count = int((packets.interface == number).sum())
        if count:
            name = interface.name or "?"
            if interface.index is not None:
                name = devices.get(interface.index, f"{name} (device {interface.index})")
            report.interfaces[name] = report.interfaces.get(name, 0) + count
    if not len(times):
        return
    first, last = pd.Timestamp(int(times.min()), tz="UTC"), pd.Timestamp(int(times.max()), tz="UTC")
    before = (pd.Timestamp(report.first), pd.Timestamp(report.last)) if report.first else (first, last)
    low, high = min(first, before[0]), max(last, before[1])
    report.first, report.last, report.span_s = low.isoformat(), high.isoformat(), (high - low).total_seconds()
    ordered = pd.Series(times).sort_values()
    gaps = ordered.diff() / 1e9
    for place, gap in gaps[gaps > _SILENCE].items():
        report.silences.append((round((int(times[place]) - low.value) / 1e9 - gap, 1), round(float(gap), 1)))


def _flows(report: Integrity, flows: pd.DataFrame, tcp: pd.DataFrame | None) -> None:
    streams = flows[flows["transport"] == "tcp"]
    report.tcp_flows += len(streams)
    report.broken_flows += len(holes.broken(flows, tcp) & set(streams["flow"]))
    carried = streams[(streams["payload_up"] + streams["payload_down"]) > 0]
    report.late_flows += int((~carried["handshake"].fillna(False).astype(bool)).sum())


def _tls(report: Integrity, call: capture.Call) -> None:
    tls, dtls, flows = call.table("tls"), call.table("dtls"), call.table("flows")
    if tls is not None and len(tls):
        opened = set(tls.loc[tls["handshake"].fillna("").str.contains("client_hello"), "flow"])
        late = set(tls["flow"]) - opened
        if late:
            report.missed_handshakes.append(
                f"{len(late)} of {tls['flow'].nunique()} TLS connections have no ClientHello: no keys fit"
            )
        if (tls["decrypted"].fillna(False).astype(bool)).any():
            report.clear.append("TLS can be opened with the keys at hand")
    if dtls is not None and flows is not None and len(flows):
        media = set(flows.loc[flows["kind"].fillna("").str.contains(r"\bRTP\b"), "flow"])
        shaken = set(dtls.loc[dtls["handshake_type"].notna(), "flow"])
        if media - shaken:
            report.missed_handshakes.append(
                f"{len(media - shaken)} of {len(media)} media flows without a DTLS handshake"
            )
    xmpp = call.table("xmpp")
    if xmpp is not None and len(xmpp) and xmpp["clear"].fillna(False).astype(bool).any():
        report.clear.append("signaling is in clear, on the server's loopback side")


def _steps(report: Integrity, call: capture.Call) -> None:
    steps = call.table("steps")
    if steps is None or not len(steps):
        return
    report.jitsi = bool((steps["participant"] != "").any())
    if not report.jitsi:
        return
    best = steps.groupby("step", sort=True)["verdict"].agg(set)
    for step, verdicts in best.items():
        if verdicts == {"NOT_OBSERVABLE"}:
            row = steps[steps["step"] == step].iloc[0]
            report.not_observable.append((str(step), str(row["title"]), str(row["note"])))


def forecast(interface: str, filter: str, snap_length: int, keylog: bool) -> list[str]:
    """What a recording made so will not be able to show, said before it begins."""
    notes = []
    if interface not in ("any", "lo"):
        notes.append(
            f"on {interface} alone signaling is inside TLS: it needs a key log, or the loopback side (-i any)"
            if not keylog else f"on {interface} alone what the server's programs say to each other is not seen"
        )  # fmt: skip
    if interface == "lo":
        notes.append("on lo alone there are no checks, no DTLS and no media of participants outside")
    if cost := filters.snap_cost(snap_length):
        notes.append(cost)
    if filter and "port 53" not in filter:
        notes.append("the filter leaves names out (port 53)")
    return notes


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
