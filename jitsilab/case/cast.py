"""The participants of a call with all that the capture shows of each: XMPP streams, addresses, flows, ICE legs.

With signaling, in clear or decrypted, a person is a display name, and several streams are one. Without, a person is
what stands behind an address (or behind several that share an ICE user fragment). The server is none.
"""

import weakref
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from jitsilab.analysis import holes
from jitsilab.analysis.turn_flows import TurnFlow, turn_flows
from jitsilab.case import legs, proxies, signaling
from jitsilab.case import topology as hosts
from jitsilab.case.legs import LASTING, Leg
from jitsilab.case.recognition import Recognition, recognised
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.case.topology import Topology
from jitsilab.ip import is_loopback, is_private
from jitsilab.tables import Tables, frame, part


@dataclass(slots=True)
class Person:
    """One participant."""

    nick: str = ""
    addresses: list[str] = field(default_factory=list)
    xmpp_streams: list[XmppStream] = field(default_factory=list)
    flows: dict[int, str] = field(default_factory=dict)  # outer TLS and TCP flows: web, websocket, turn, signaling
    legs: list[Leg] = field(default_factory=list)
    turn: list[TurnFlow] = field(default_factory=list)
    udp: bool = False  # UDP from one of the addresses reaches the server
    heard: bool = True  # the capture has packets from this one, where it has connections
    placed: str = ""  # how the addresses were found: flow, proxy, ufrag; empty if not
    older: dict[int, tuple[float, float]] = field(
        default_factory=dict
    )  # flows from before the capture: bytes/s up, down
    begun: float = float("inf")  # s of the first TCP flow, where the capture has the beginning of every one

    @property
    def id(self) -> str:
        """The display name where known, else the first address, else the XMPP connection."""
        connections = (f"connection {stream.connection}" for stream in self.xmpp_streams)
        return self.nick or next(iter([*self.addresses, *connections]), "")

    @property
    def sessions(self) -> list[Session]:
        """Jingle sessions of all its streams, in order."""
        return [session for stream in self.xmpp_streams for session in stream.sessions.values()]

    @property
    def first_seen(self) -> float:
        """Seconds at which the first of this participant's flows or stanzas came."""
        return min(
            [stream.start for stream in self.xmpp_streams]
            + [turn.start for turn in self.turn]
            + [leg.first for leg in self.legs]
            + [1e18]
        )


@dataclass(slots=True)
class Cast:
    """Everybody in a capture, and what it is a capture of."""

    people: list[Person]
    servers: list[str]  # addresses of the server, the public one of a server behind NAT not among them
    public: str  # the server's public address where it differs, "" if not seen
    jitsi: str  # why this is a Jitsi call; empty if nothing shows that it is one
    signaled: bool  # signaling is readable
    own: str  # address of the one participant on whose machine it was captured, else empty
    end: float  # s of the last frame
    relayed: str = ""  # public address that TURN on the server gives out, "" if not seen
    udp_served: bool = False  # somebody's UDP reaches the server
    topology: Topology = field(default_factory=Topology)
    recognition: Recognition = field(
        default_factory=Recognition
    )  # the same with frames, certainty, and what could be one
    lossy: bool = False  # the capture lost bytes of some flow, so it may have lost datagrams too
    gateways: list[Person] = field(default_factory=list)  # who puts an own address in for several: nobody of the call


_DECIDING = ("flows", "frames", "tcp", "tls", "stun", "dtls", "media", "http", "xmpp", "jingle", "candidates")
_latest: list[tuple[list["weakref.ref[pd.DataFrame] | None"], Cast]] = []


def build(tables: Tables) -> Cast:
    """Everybody that a capture shows; ``tables`` as `Call.tables` gives them.

    Several ask in turn for the same: the latest answer is kept as long as its tables live. Nobody changes it.
    """
    long = () if getattr(tables, "wire", None) is None else ("frames", "tcp")  # made of the same wire as the others
    asked = [tables.get(name) for name in _DECIDING if name not in long]
    if _latest:
        known = [ref() if ref is not None else None for ref in _latest[0][0]]
        if (
            len(known) == len(asked)
            and all(a is b for a, b in zip(known, asked, strict=True))
            and any(table is not None for table in known)
        ):
            return _latest[0][1]
    cast = _cast(tables)
    _latest[:] = [([weakref.ref(table) if table is not None else None for table in asked], cast)]
    return cast


def addresses(call: Cast, flows: pd.DataFrame) -> dict[str, str]:
    """Of each address of a participant its owner's first one, in the order in which they first appear in the capture.

    Where a capture shows no participant, whoever stands at the other end of the server's flows.
    """
    first: dict[str, int] = {}
    for client, server, frame_number in zip(flows["client"], flows["server"], flows["first_frame"], strict=True):
        for address in (str(client), str(server)):
            first[address] = min(int(frame_number), first.get(address, int(frame_number)))
    groups = [[address for address in person.addresses if address in first] for person in call.people]
    if not any(groups):
        servers = set(call.servers)
        groups = [
            [str(far)]
            for client, server in zip(flows["client"], flows["server"], strict=True)
            for near, far in ((server, client), (client, server))
            if near in servers and far not in servers and not is_loopback(far)
        ]
    owners: dict[str, str] = {}
    for group in groups:
        group.sort(key=lambda address: first[address])
        for address in group:
            owners.setdefault(address, group[0])
    return dict(sorted(owners.items(), key=lambda entry: first[entry[0]]))


def _cast(tables: Tables) -> Cast:
    flows = frame(tables, "flows")
    machines = hosts.topology(tables)
    servers, own, roles = list(machines.servers), machines.own, dict(machines.roles)
    xmpp, jingle = tables.get("xmpp"), tables.get("jingle")
    xmpp_streams = (
        [] if xmpp is None or jingle is None else signaling.xmpp_streams(xmpp, jingle, tables.get("candidates"))
    )
    xmpp_streams = _of_call(xmpp_streams, flows, servers)
    turn = turn_flows(tables, flows, servers, roles)
    people = _named(xmpp_streams, tables, flows, machines) if xmpp_streams else []
    strangers = _by_address(people, tables, flows, machines)
    if own or all(person.addresses for person in people):  # else a stranger may be one whose address is not known
        people += strangers
    datagrams = flows[flows["transport"].eq("udp") & flows["server"].isin(servers)] if len(flows) else flows
    udp = set(datagrams["client"]) if len(datagrams) else set()
    for person in people:
        person.turn = [flow for flow in turn if flow.address in person.addresses]
        person.udp = bool(udp & set(person.addresses))
        person.flows = {flow: role for flow, (address, role) in roles.items() if address in person.addresses}
    strange = [] if own else gateways(people)
    people = [person for person in people if not any(person is gateway for gateway in strange)]
    broken = holes.broken(flows, part(tables, "segments"))
    _mark(people, flows, broken)
    for leg in (leg for person in people if own in person.addresses for leg in person.legs):
        leg.received = True
    people.sort(key=lambda person: person.first_seen)
    end = float(flows["last_seconds"].max()) if len(flows) else 0.0
    why = recognised(tables, xmpp_streams, servers, machines.bridges)
    return Cast(
        people,
        servers,
        machines.public,
        why.evidence,
        bool(xmpp_streams),
        own,
        end,
        relayed=machines.relayed,
        topology=machines,
        udp_served=bool(udp),
        recognition=why,
        lossy=bool(broken),
        gateways=strange,
    )


def gateways(people: list[Person]) -> list[Person]:
    """Inner addresses from which the sessions of several come at once, of people whose pages come from elsewhere.

    A router that puts its own address in for everybody's, or a relay on another host. Whoever takes part has opened the
    page, and one browser has one session with the bridge at a time.
    """
    elsewhere = sum(bool(other.flows) and not other.udp for other in people)
    inner = []
    for person in people:
        if person.flows or person.xmpp_streams or person.nick or not all(map(is_private, person.addresses)):
            continue
        legs = [leg for leg in person.legs if leg.direct and leg.kind != "p2p" and leg.sent and leg.ufrags]
        at_once = [
            (leg, other) for number, leg in enumerate(legs) for other in legs[number + 1 :]
            if leg.port != other.port and not {own for own, _ in leg.ufrags} & {own for own, _ in other.ufrags}
            and min(leg.last, other.last) - max(leg.first, other.first) >= LASTING
        ]  # fmt: skip
        if at_once and elsewhere >= 2:
            inner.append(person)
    return inner


def _of_call(xmpp_streams: list[XmppStream], flows: pd.DataFrame, servers: Collection[str]) -> list[XmppStream]:
    """The connections to the call's own server, or behind its proxy; XMPP with other servers is no part of it."""
    ends = {int(f): (str(c), str(s)) for f, c, s in zip(flows["flow"], flows["client"], flows["server"], strict=True)}

    def ours(flow: int) -> bool:
        client, server = ends.get(flow, ("", ""))
        return server in servers or is_loopback(server) or client in servers

    return [stream for stream in xmpp_streams if stream.asked or stream.focus or any(map(ours, stream.flows))]


def _mark(people: list[Person], flows: pd.DataFrame, broken: set[int]) -> None:
    """Note what the capture has whole: connections without holes, people whose flows all begin in it."""
    begins = {
        int(flow): float(first)
        for flow, first, whole in zip(flows["flow"], flows["first_seconds"], flows["handshake"], strict=True)
        if pd.notna(whole) and whole
    } if len(flows) and "handshake" in flows else {}  # fmt: skip
    columns = ("flow", "payload_up", "payload_down", "first_seconds", "last_seconds")
    rates = {
        int(flow): (up / max(last - first, 1.0), down / max(last - first, 1.0))
        for flow, up, down, first, last in zip(*(flows[c].fillna(0) for c in columns), strict=True)
    } if len(flows) else {}  # fmt: skip
    spoke = set(flows.loc[flows["packets_up"].fillna(1).gt(0), "flow"]) if len(flows) else set()
    for person in people:
        for stream in person.xmpp_streams:
            stream.holes = bool(stream.flows & broken)
        for turn in person.turn:
            turn.holes = turn.flow in broken
        if person.flows and all(flow in begins for flow in person.flows):
            person.begun = min(begins[flow] for flow in person.flows)
        person.heard = not person.flows or any(flow in spoke for flow in person.flows)
        person.older = {flow: rates[flow] for flow in person.flows if flow in rates and flow not in begins}


def _named(xmpp_streams: list[XmppStream], tables: Tables, flows: pd.DataFrame, machines: Topology) -> list[Person]:
    """People by display name (or room occupant, or connection), with the addresses of their connections and checks."""
    servers = machines.servers
    clients = {int(f): str(c) for f, c in zip(flows["flow"], flows["client"], strict=True)}
    outside = _through_proxy(xmpp_streams, tables, flows, servers, machines.roles)
    behind = {flow: clients[outside[stream.connection]] for stream in xmpp_streams if stream.connection in outside
              for flow in stream.flows}  # fmt: skip
    by_name: dict[str, Person] = {}
    for number, stream in enumerate(xmpp_streams):
        name = stream.nick or stream.endpoint or f"connection {number}"
        while name in by_name and _beside(by_name[name], stream, clients | behind):
            name += "'"  # somebody else of that name
        person = by_name.setdefault(name, Person(stream.nick))
        person.xmpp_streams.append(stream)
        for flow in stream.flows:
            address = clients.get(flow, "")
            if address and not is_loopback(address) and address not in servers:
                _add(person, address, "flow")
        if stream.connection in outside:
            _add(person, clients[outside[stream.connection]], "proxy")
    for person in by_name.values():
        own = {ufrag: session.kind for session in person.sessions for ufrag in session.own}
        remote = {ufrag: session.kind for session in person.sessions for ufrag in session.remote}
        person.legs = legs.of_ufrags(own, tables, machines, remote) if own or remote else []
        for leg in person.legs:
            kinds = [own.get(ufrag, remote.get(other)) for ufrag, other in leg.ufrags]
            leg.kind = next((kind for kind in kinds if kind), leg.kind)
            if leg.direct and leg.address not in servers and not is_loopback(leg.address):
                _add(person, leg.address, "ufrag")
    return _merged(list(by_name.values()))


def _beside(person: Person, stream: XmppStream, clients: dict[int, str]) -> bool:
    """Whether a stream is that of another person of the same name: at the same time, and not from the same address.

    One whose connection broke may still be in the room when it comes back, from where it was.
    """
    here = {clients.get(flow, "") for flow in stream.flows}
    for other in person.xmpp_streams:
        there = {clients.get(flow, "") for flow in other.flows}
        known = here | there
        if (
            other.start < stream.end
            and stream.start < other.end
            and not here & there
            and not any(map(is_loopback, known))
        ):
            return True
    return False


def _merged(people: list[Person]) -> list[Person]:
    """Nameless connections of an address that a person with a name has are the same person's."""
    named = [person for person in people if person.nick]
    for person in people:
        if person.nick:
            continue
        same = [other for other in named if set(other.addresses) & set(person.addresses)]
        joined = any(stream.joined for stream in person.xmpp_streams)
        if len(same) == 1 and not joined:
            same[0].xmpp_streams = sorted(
                [*same[0].xmpp_streams, *person.xmpp_streams], key=lambda stream: stream.start
            )
        else:
            named.append(person)
    return named


def _add(person: Person, address: str, how: str) -> None:
    if address not in person.addresses:
        person.addresses.append(address)
        person.placed = person.placed or how


def _through_proxy(
    xmpp_streams: list[XmppStream],
    tables: Tables,
    flows: pd.DataFrame,
    servers: Collection[str],
    roles: Mapping[int, tuple[str, str]],
) -> dict[Any, int]:
    """Outer flows of connections that are seen only behind the server's proxy."""
    clients = {int(f): str(c) for f, c in zip(flows["flow"], flows["client"], strict=True)}
    hidden = [
        stream
        for stream in xmpp_streams
        if all(is_loopback(clients.get(f, "127.")) or clients[f] in servers for f in stream.flows)
    ]
    xmpp = tables.get("xmpp")
    tcp = part(tables, "segments") if hidden and xmpp is not None else None
    if xmpp is None or tcp is None:
        return {}
    wanted = xmpp["connection"].isin([stream.connection for stream in hidden])
    rows = xmpp.loc[wanted, ["connection", "frame", "seconds", "direction"]]
    outer = {flow for flow, (_, role) in roles.items() if role in ("web", "websocket", "signaling")}
    return {connection: passed.flow for connection, passed in proxies.outer_flows(rows, tcp, outer).items()}


def _by_address(people: list[Person], tables: Tables, flows: pd.DataFrame, machines: Topology) -> list[Person]:
    """Who stands behind the addresses that no signaling explains; addresses of one ICE user fragment are one person."""
    servers, own = machines.servers, machines.own
    taken = {address for person in people for address in person.addresses}
    stun = frame(tables, "stun")
    groups: list[set[str]] = [
        {address} for address, role in machines.roles.values() if role in ("web", "websocket", "turn", "signaling")
    ]
    if len(stun):
        checks = (
            stun["method"].eq("Binding")
            & stun["message_class"].eq("request")
            & stun["username"].notna()
            & stun["depth"].eq(0)
        )
        ends: dict[str, set[str]] = {}
        ways = stun.loc[checks, ["username", "src", "dst"]].drop_duplicates()
        for username, src, dst in zip(ways["username"], ways["src"], ways["dst"], strict=True):
            receiver, _, sender = str(username).partition(":")
            ends.setdefault(sender, set()).add(str(src))
            ends.setdefault(receiver, set()).add(str(dst))
        outside = [{a for a in group if a not in servers and not is_loopback(a)} for group in ends.values()]
        groups += [group for group in outside if group and not (own and own in group and len(group) > 1)]
        if own:
            groups += [{own}]
    near = _near(flows, {*servers, *taken, own}) | {own}
    merged: list[set[str]] = []
    for group in groups:
        touching = [other for other in merged if other & group]
        merged = [other for other in merged if not other & group] + [group.union(*touching)]
    strangers = []
    for group in merged:
        if group & taken or group & set(servers) or not group & near:
            continue
        person = Person(addresses=sorted(group), placed="address")
        person.legs = legs.of_address(group, tables, machines)
        strangers.append(person)
    return strangers


def _near(flows: pd.DataFrame, known: set[str]) -> set[str]:
    """Whoever exchanges packets with the call's server or with somebody in it; others are no part of the call."""
    if flows.empty:
        return set()
    there, here = flows["server"].isin(known), flows["client"].isin(known)
    return set(flows.loc[there, "client"]) | set(flows.loc[here, "server"])
