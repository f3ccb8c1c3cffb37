"""The ways that a participant's ICE took: each flow, or each inside of a TURN flow, with its checks, DTLS and media.

A leg is seen from the participant: ``sent`` is what came from that end. Where the USERNAMEs of the checks are known to
be the participant's, a relay's far side on the server's own loopback counts as a leg too.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from jitsilab.analysis import clock, limits

if TYPE_CHECKING:
    from jitsilab.case.topology import Topology

LASTING = limits.LASTING.value  # s that a stream must last to count as media: a burst between two paths is none


@dataclass(slots=True)
class Media:
    """What RTP one direction of a leg carried."""

    packets: int = 0
    first: float = float("inf")
    last: float = float("-inf")
    frame: int = 0  # a frame of it

    @property
    def lasting(self) -> bool:
        """Whether it went on for long enough to be media, not a probe."""
        return self.packets > 1 and self.last - self.first >= LASTING


@dataclass(slots=True)
class Leg:
    """One way between a participant and the bridge or a peer."""

    flow: int
    via: str  # udp, turn-udp, turn-tcp, turn-tls, or relay: the far side of a relay on the server
    address: str  # of the participant's end (of the relay's where via is relay)
    other: str = ""  # address of the other end
    port: int = -1  # of the participant's end
    kind: str = ""  # jvb or p2p, empty where it cannot be told
    ufrags: set[tuple[str, str]] = field(default_factory=set)  # participant's, other's
    sent: list[int] = field(default_factory=list)  # frames of checks from the participant
    answered: list[int] = field(default_factory=list)  # frames of success responses to those
    got: list[int] = field(default_factory=list)  # frames of checks to the participant
    replied: list[int] = field(default_factory=list)  # frames of success responses by the participant
    nominated: int = 0  # frame of the first USE-CANDIDATE
    first: float = float("inf")  # s of the first check
    answered_at: float = float("inf")  # s of the first answer to the participant
    answered_last: float = float("-inf")  # s of the last one
    last: float = float("-inf")  # s of the last check of the participant
    hello: list[int] = field(default_factory=list)  # frames of the participant's ClientHello or ServerHello
    other_hello: list[int] = field(default_factory=list)
    certificates: dict[str, int] = field(default_factory=dict)  # the participant's: fingerprint to frame
    other_certificates: dict[str, int] = field(default_factory=dict)
    secured_by: set[bool] = field(default_factory=set)  # directions (from the participant) that show encrypted DTLS
    secured: int = 0  # frame from which both show it
    secured_at: float = float("inf")  # s of it
    rtp_out: Media = field(default_factory=Media)
    rtp_in: Media = field(default_factory=Media)
    received: bool = False  # captured at the participant's: what is seen coming has arrived
    reports: int = 0  # RTCP frames of the participant

    @property
    def direct(self) -> bool:
        """No relay on this side of the leg."""
        return self.via == "udp"

    @property
    def connected(self) -> bool:
        """Both ends heard each other, as far as this capture can tell.

        What the participant said came here; that it hears the other shows in its answers and in what follows ICE. An
        answer that the other gave is proof only where the participant received it: at its machine, or inside TCP.
        """
        heard = self.replied or self.hello or self.secured or self.rtp_out.packets
        return bool(heard or (self.answered and (self.received or not self.direct)))

    @property
    def handshaken(self) -> bool:
        """DTLS finished: encrypted records of both sides, or SRTP of this one, which has keys only then."""
        return bool(self.secured) or self.rtp_out.packets > 1 or self.reports > 1


def ice4j_ports(stun: pd.DataFrame) -> frozenset[tuple[str, int]]:
    """Addresses and ports of a Jitsi bridge: its ICE library names itself, or shows the clock in its ufrag."""
    binding = stun["method"].eq("Binding") & stun["message_class"].isin(["request", "success"])
    names = ["message_class", "software", "username", "src", "src_port", "dst", "dst_port"]
    dated = set(clock.anchors(stun)["ufrag"])
    bridges: set[tuple[Any, Any]] = set()
    for kind, software, username, *ends in _columns(stun.loc[binding, names].drop_duplicates(), *names):
        source, target = (ends[0], ends[1]), (ends[2], ends[3])
        receiver, _, sender = username.partition(":") if kind == "request" and pd.notna(username) else ("", "", "")
        if sender in dated or (pd.notna(software) and software.startswith("ice4j")):
            bridges.add(source)
        if receiver in dated:
            bridges.add(target)
    return frozenset((str(address), int(port)) for address, port in bridges if pd.notna(port))


def _columns(table: pd.DataFrame, *names: str) -> Any:
    return zip(*(table[name].tolist() for name in names), strict=True)


def of_ufrags(
    own: Collection[str],
    tables: "Mapping[str, pd.DataFrame | None]",
    machines: "Topology",
    remote: Collection[str] = (),
) -> list[Leg]:
    """The legs on which checks name one of these ufrags as the participant's, or as those of its sessions' others."""
    return _legs(tables, machines, lambda username, src, dst: _mine(username, own, remote))


def of_address(
    addresses: Collection[str], tables: "Mapping[str, pd.DataFrame | None]", machines: "Topology"
) -> list[Leg]:
    """The legs of whoever is behind these addresses; without signaling that is all that tells whose they are."""

    def outgoing(username: str, src: str, dst: str) -> bool | None:
        return True if src in addresses else False if dst in addresses else None

    return _legs(tables, machines, outgoing)


def _mine(username: str, own: Collection[str], remote: Collection[str]) -> bool | None:
    """Whether a check comes from the participant (True), goes to it (False), or is none of its (None)."""
    receiver, _, sender = username.partition(":")
    if sender in own or receiver in own:
        return sender in own
    return True if receiver in remote else False if sender in remote else None


_CHECK = (
    "flow", "depth", "transport", "up", "frame", "seconds", "username", "src", "src_port", "dst", "dst_port",
    "use_candidate",
)  # fmt: skip


def _legs(
    tables: "Mapping[str, pd.DataFrame | None]",
    machines: "Topology",
    outgoing: Callable[[str, str, str], "bool | None"],
) -> list[Leg]:
    stun = tables.get("stun")
    if stun is None or stun.empty:
        return []
    once = ~stun["duplicate"].fillna(False).astype(bool) if "duplicate" in stun else True
    wanted = stun["method"].eq("Binding") & stun["flow"].notna() & once
    binding = stun.loc[wanted, [*_CHECK, "message_class"]]
    by_place: dict[tuple[int, bool], Leg] = {}
    ends: dict[tuple[int, bool], tuple[str, int]] = {}  # the participant's end of each leg
    requests = binding[binding["message_class"].eq("request") & binding["username"].notna()]
    for flow, depth, transport, up, frame, seconds, username, src, src_port, dst, dst_port, use in _columns(
        requests, *_CHECK
    ):
        from_me = outgoing(str(username), str(src), str(dst))
        if from_me is None or (depth and from_me != bool(up)):  # inside a relay the client's end is the participant's
            continue
        place = (int(flow), bool(depth))
        here, there = ((src, src_port), (dst, dst_port)) if from_me else ((dst, dst_port), (src, src_port))
        leg = by_place.get(place)
        if leg is None:
            via = f"turn-{transport}" if depth else "relay" if str(here[0]) in machines.servers else "udp"
            leg = by_place[place] = Leg(int(flow), via, str(here[0]), str(there[0]), _int(here[1]))
            ends[place] = (str(here[0]), _int(here[1]))
        receiver, _, sender = str(username).partition(":")
        leg.ufrags.add((sender, receiver) if from_me else (receiver, sender))
        (leg.sent if from_me else leg.got).append(int(frame))
        leg.first = min(leg.first, float(seconds))
        leg.last = max(leg.last, float(seconds)) if from_me else leg.last
        if pd.notna(use) and bool(use):  # a nullable boolean
            leg.nominated = leg.nominated or int(frame)
        if not leg.kind and _is_bridge(leg, (str(there[0]), _int(there[1])), machines.bridges):
            leg.kind = "jvb"
    _answers(binding, by_place, ends)
    _dtls(tables.get("dtls"), by_place, ends)
    if tables.get("media") is None:
        _datagrams(tables.get("frames"), by_place, ends)
    _media(tables.get("media"), by_place, ends)
    if _undecided(by_place.values()):  # the table is long, and RTP mostly says the same
        _reports(tables.get("rtcp"), by_place, ends)
    for leg in by_place.values():
        leg.kind = leg.kind or ("p2p" if leg.ufrags else "")
    return list(by_place.values())


def _is_bridge(leg: Leg, other: tuple[str, int], bridges: Collection[tuple[str, int]]) -> bool:
    if leg.direct or leg.via == "relay":
        return other in bridges
    return any(clock.made(theirs) is not None for _, theirs in leg.ufrags)


def _int(value: Any) -> int:
    return -1 if pd.isna(value) else int(value)


def _each(
    table: pd.DataFrame,
    by_place: dict[tuple[int, bool], Leg],
    ends: dict[tuple[int, bool], tuple[str, int]],
    *names: str,
) -> Any:
    """Of the rows of a table that belong to a leg: it, whether they come from the participant, and these columns."""
    wanted = ["flow", "depth", "src", "src_port", *names]
    rows = table.loc[table["flow"].isin({flow for flow, _ in by_place}), wanted]
    for flow, depth, src, src_port, *values in _columns(rows, *wanted):
        place = int(flow), bool(pd.notna(depth) and depth)  # a printed table says nothing of depth
        leg = by_place.get(place)
        if leg is not None:
            yield leg, ends[place] == (str(src), _int(src_port)), *values


def _answers(binding: pd.DataFrame, by_place: Any, ends: Any) -> None:
    rows = binding[binding["message_class"].eq("success") & binding["flow"].isin({flow for flow, _ in by_place})]
    for frame, at, flow, depth, src, src_port in _columns(rows, "frame", "seconds", "flow", "depth", "src", "src_port"):
        leg = by_place.get((int(flow), bool(depth)))
        if leg is None:
            continue
        if ends[int(flow), bool(depth)] == (str(src), _int(src_port)):
            leg.replied.append(int(frame))
        else:
            leg.answered.append(int(frame))
            leg.answered_at = min(leg.answered_at, float(at))
            leg.answered_last = max(leg.answered_last, float(at))


def _dtls(dtls: pd.DataFrame | None, by_place: Any, ends: Any) -> None:
    if dtls is None or dtls.empty:
        return
    names = ("frame", "seconds", "handshake_type", "certificate_sha256", "epoch", "record_type")
    for leg, from_me, number, at, handshake, certificate, epoch, kind in _each(dtls, by_place, ends, *names):
        frame = int(number)
        if handshake in ("client_hello", "server_hello"):
            (leg.hello if from_me else leg.other_hello).append(frame)
        elif handshake == "certificate" and isinstance(certificate, str):
            for fingerprint in certificate.split()[:1]:  # the first is the end's own, RFC 5246 section 7.4.2
                (leg.certificates if from_me else leg.other_certificates).setdefault(fingerprint, frame)
        encrypted = pd.notna(epoch) and int(epoch) > 0 and kind == "handshake"
        if encrypted or kind == "application_data":  # which comes with keys alone
            leg.secured_by.add(from_me)
            if len(leg.secured_by) == 2 and not leg.secured:
                leg.secured, leg.secured_at = frame, float(at)


def _media(media: pd.DataFrame | None, by_place: Any, ends: Any) -> None:
    if media is None or media.empty:
        return
    names = ("packets", "first_seconds", "last_seconds", "first_frame")
    for leg, from_me, packets, first, last, frame in _each(media, by_place, ends, *names):
        rtp = leg.rtp_out if from_me else leg.rtp_in
        rtp.packets += int(packets)
        rtp.first, rtp.last = min(rtp.first, first), max(rtp.last, last)
        rtp.frame = rtp.frame or int(frame)


def _datagrams(frames: pd.DataFrame | None, by_place: Any, ends: Any) -> None:
    """Where a printed table knows RTP only as UDP: the datagrams of a leg on which DTLS went through."""
    if frames is None or frames.empty:
        return
    secured = {flow for (flow, depth), leg in by_place.items() if leg.secured and not depth}
    plain = frames[(frames["protocol"] == "UDP") & frames["flow"].isin(secured)]
    for (flow, src, port), rows in plain.groupby(["flow", "src", "src_port"], sort=True):
        leg = by_place[int(flow), False]
        rtp = leg.rtp_out if ends[int(flow), False] == (str(src), _int(port)) else leg.rtp_in
        rtp.packets += len(rows)
        rtp.first, rtp.last = float(rows["seconds"].iloc[0]), float(rows["seconds"].iloc[-1])
        rtp.frame = int(rows["frame"].iloc[0])


def _undecided(legs: Iterable[Leg]) -> bool:
    """Whether ICE found a way of a session for which neither DTLS nor RTP shows keys."""
    done = {own for leg in legs if leg.handshaken for own, _ in leg.ufrags}
    return any(leg.connected and not any(own in done for own, _ in leg.ufrags) for leg in legs)


def _reports(rtcp: pd.DataFrame | None, by_place: Any, ends: Any) -> None:
    if rtcp is None or rtcp.empty:
        return
    for leg, from_me in _each(rtcp, by_place, ends):
        leg.reports += from_me
