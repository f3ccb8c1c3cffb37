"""The participants of a call with all that the capture shows of each: stays, addresses, TLS and TURN flows, ICE legs.

With signaling, in clear or decrypted, a person is a display name, and several stays are one. Without, a person is what
stands behind an address (or behind several that share an ICE user fragment). The server is none.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pandas as pd

from jitsilab.analysis import holes, legs, proxies, signaling, turn_in_tls
from jitsilab.analysis.legs import Leg
from jitsilab.analysis.signaling import Session, Stay

Tables = dict[str, "pd.DataFrame | None"]

TURN_ORDER = ("unreachable", "auth-failed", "allocated", "permission-refused", "permitted", "relaying")
RELAYING = 1000.0  # bytes a second each way


@dataclass(slots=True)
class TurnFlow:
    """One connection to a TURN server."""

    flow: int
    via: str  # turn-udp, turn-tcp, turn-tls
    address: str
    start: float
    end: float
    stage: str
    kind: str = ""  # jvb or p2p where the checks inside tell
    certainty: str = "measured"
    frames: tuple[int, ...] = ()  # that show the stage
    refused: tuple[int, ...] = ()  # frames of refused permissions
    sent: int = 0  # relayed messages from the client, checks among them
    received: int = 0
    relayed: list[tuple[float, bool, int]] = field(default_factory=list)  # s, from the client, bytes; keyless reading
    holes: bool = False  # the capture lost bytes of it


@dataclass(slots=True)
class Person:
    """One participant."""

    nick: str = ""
    addresses: list[str] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    flows: dict[int, str] = field(default_factory=dict)  # outer TLS and TCP flows: web, websocket, turn, signaling
    legs: list[Leg] = field(default_factory=list)
    turn: list[TurnFlow] = field(default_factory=list)
    udp: bool = False  # UDP from one of the addresses reaches the server
    placed: str = ""  # how the addresses were found: flow, proxy, ufrag; empty if not
    older: dict[int, tuple[float, float]] = field(
        default_factory=dict
    )  # flows from before the capture: bytes/s up, down
    begun: float = float("inf")  # s of the first TCP flow, where the capture has the beginning of every one

    @property
    def id(self) -> str:
        """The display name where known, else the first address."""
        return self.nick or (self.addresses[0] if self.addresses else "")

    @property
    def sessions(self) -> list[Session]:
        """Jingle sessions of all stays, in order."""
        return [session for stay in self.stays for session in stay.sessions.values()]

    @property
    def first_seen(self) -> float:
        """Seconds at which the first of this participant's flows or stanzas came."""
        return min(
            [stay.start for stay in self.stays]
            + [one.start for one in self.turn]
            + [leg.first for leg in self.legs]
            + [1e18]
        )


@dataclass(slots=True)
class Call:
    """Everybody in a capture, and what it is a capture of."""

    people: list[Person]
    servers: list[str]  # addresses of the server, the public one of a server behind NAT not among them
    public: str  # the server's public address where it differs, "" if not seen
    jitsi: str  # why this is a Jitsi call; empty if nothing says so
    signaled: bool  # signaling is readable
    own: str  # address of the one participant on whose machine it was captured, else empty
    end: float  # s of the last frame
    relayed: str = ""  # public address that TURN on the server gives out, "" if not seen
    udp_served: bool = False  # somebody's UDP reaches the server
    lossy: bool = False  # the capture lost bytes of some flow, so it may have lost datagrams too


def is_private(address: str) -> bool:
    """Whether an address is one that the public internet does not route; names of a printed study are not."""
    try:
        one = ip_address(address)
    except ValueError:
        return False
    return not one.is_global and not any(one in net for net in _DOCUMENTATION)


def _networks(*texts: str) -> list[Any]:
    from ipaddress import ip_network

    return [ip_network(text) for text in texts]


_DOCUMENTATION = _networks("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")  # play the public part


def of(tables: Tables) -> Call:
    """Everybody that a capture shows; ``tables`` as `Capture.tables` gives them."""
    flows = _frame(tables, "flows")
    servers, own = _ends(tables, flows)
    roles = _roles(tables, flows, servers)
    xmpp, jingle = tables.get("xmpp"), tables.get("jingle")
    stays = [] if xmpp is None or jingle is None else signaling.stays(xmpp, jingle, tables.get("candidates"))
    turn = _turn_flows(tables, flows, servers, roles)
    people = _named(stays, tables, flows, servers, roles) if stays else []
    strangers = _by_address(people, tables, flows, servers, roles, own)
    if not people or own:
        people += strangers
    datagrams = flows[flows["transport"].eq("udp") & flows["server"].isin(servers)] if len(flows) else flows
    udp = set(datagrams["client"]) if len(datagrams) else set()
    for person in people:
        person.turn = [one for one in turn if one.address in person.addresses]
        person.udp = bool(udp & set(person.addresses))
        person.flows = {flow: role for flow, (address, role) in roles.items() if address in person.addresses}
    broken = holes.broken(flows, tables.get("tcp"))
    _mark(people, flows, broken)
    for leg in (leg for person in people if own in person.addresses for leg in person.legs):
        leg.received = True
    people.sort(key=lambda person: person.first_seen)
    end = float(flows["last_seconds"].max()) if len(flows) else 0.0
    return Call(
        people,
        servers,
        _public(tables, servers),
        _jitsi(tables, stays),
        bool(stays),
        own,
        end,
        _relayed(tables, servers),
        bool(udp),
        bool(broken),
    )


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
    for person in people:
        for stay in person.stays:
            stay.holes = bool(stay.flows & broken)
        for one in person.turn:
            one.holes = one.flow in broken
        if person.flows and all(flow in begins for flow in person.flows):
            person.begun = min(begins[flow] for flow in person.flows)
        person.older = {flow: rates[flow] for flow in person.flows if flow in rates and flow not in begins}


def _frame(tables: Tables, name: str) -> pd.DataFrame:
    found = tables.get(name)
    return found if found is not None else pd.DataFrame()


def is_loopback(address: Any) -> bool:
    """Whether an address never leaves its host."""
    text = str(address)
    return text.startswith("127.") or text == "::1"


def _ends(tables: Tables, flows: pd.DataFrame) -> tuple[list[str], str]:
    """The server's addresses, and the capturing participant's where the capture is a participant's.

    A server answers TLS, TURN or checks of several, or of one from outside; whoever opens all flows to it is none.
    """
    if flows.empty:
        return [], ""
    outer = flows[~flows["client"].map(is_loopback) & (flows["client"] != flows["server"])]
    tls, stun = _frame(tables, "tls"), _frame(tables, "stun")
    answering = set(tls.loc[~tls["up"].fillna(True).astype(bool), "flow"].dropna()) if len(tls) else set()
    if len(stun):
        answering |= set(stun.loc[stun["method"].eq("Allocate"), "flow"].dropna())
    serving = outer[outer["flow"].isin(answering)]
    if serving.empty:
        serving = outer
    counted = serving.groupby("server").agg(clients=("client", "nunique"), flows=("client", "size"))
    clients = set(serving["client"])
    servers = [str(s) for s in counted.sort_values(["clients", "flows"], ascending=False).index if s not in clients]
    bridge = legs.ice4j_ports(stun) if len(stun) else set()
    serving_tls = _main(servers, counted)
    servers = serving_tls + [a for a, _ in sorted(bridge) if a not in serving_tls and a not in clients]
    if any(is_loopback(one) for one in flows["client"]) or len(clients) != 1:
        return servers, ""
    only = str(next(iter(clients)))
    # one client of a private address that reaches a public server: the capture was made at the client's
    return servers, only if is_private(only) and not any(is_private(one) for one in serving_tls) else ""


def _main(servers: list[str], counted: pd.DataFrame) -> list[str]:
    """The busiest server, and what is likely the same host: others with clients of the same kind (IPv6 beside IPv4)."""
    if not servers:
        return []
    most = counted.loc[servers[0], "flows"]
    return [one for one in servers if counted.loc[one, "flows"] * 20 >= most]


def _roles(tables: Tables, flows: pd.DataFrame, servers: Collection[str]) -> dict[int, tuple[str, str]]:
    """What each outer TCP flow to a server is for: client's address and web, websocket, turn, signaling or other."""
    if flows.empty:
        return {}
    tls, http, xmpp, stun = (_frame(tables, name) for name in ("tls", "http", "xmpp", "stun"))
    offered: dict[int, Any] = {}
    known = set(tls["flow"].dropna().astype(int)) if len(tls) else set()
    if len(tls):
        hellos = tls[tls["handshake"].fillna("").str.contains("client_hello")]
        offered = {int(f): a for f, a in zip(hellos["flow"], hellos["alpn"], strict=True) if pd.notna(f)}
    talking = set(xmpp["flow"].dropna().astype(int)) if len(xmpp) else set()
    turning = set(stun.loc[stun["transport"].isin(["tls", "tcp"]), "flow"].dropna().astype(int)) if len(stun) else set()
    asking = set(http["flow"].dropna().astype(int)) if len(http) else set()
    found = {}
    for flow, transport, client, server in zip(
        flows["flow"], flows["transport"], flows["client"], flows["server"], strict=True
    ):
        flow = int(flow)
        if transport != "tcp" or server not in servers or client in servers or is_loopback(client):
            continue
        if flow in turning:
            role = "turn"
        elif flow in talking:
            role = "signaling"
        elif flow in offered:
            alpn = str(offered[flow]).split() if isinstance(offered[flow], str) and offered[flow] else []
            role = "web" if "h2" in alpn else "websocket" if "http/1.1" in alpn else "turn"
        elif flow in known:
            role = "signaling"  # TLS whose beginning was before the capture: long-lived
        else:
            role = "web" if flow in asking else "other"
        found[flow] = (str(client), role)
    return found


def _turn_flows(
    tables: Tables, flows: pd.DataFrame, servers: Collection[str], roles: dict[int, tuple[str, str]]
) -> list[TurnFlow]:
    """Every connection to TURN: from its messages where they can be read, else from the lengths of TLS records."""
    stun = _frame(tables, "stun")
    found = list(_open_turn(stun, flows, servers, _frame(tables, "media"))) if len(stun) else []
    seen = {one.flow for one in found}
    tls = _frame(tables, "tls")
    if not len(tls) or not len(flows):
        return found
    relayed = _relayed_rows(_frame(tables, "turn_in_tls"))
    for row in turn_in_tls.stages(tls, flows).itertuples():
        if row.flow in seen or row.flow not in roles:
            continue
        seen.add(row.flow)
        found.append(
            TurnFlow(
                int(row.flow),
                "turn-tls",
                str(row.address),
                float(row.first_seconds),
                float(row.last_seconds),
                str(row.stage),
                kind=str(row.session) if isinstance(row.session, str) else "",
                certainty=str(row.certainty),
                frames=_numbers(row.frames),
                refused=_numbers(row.refused_frames),
                sent=int(row.sent),
                received=int(row.received),
                relayed=relayed.get(int(row.flow), []),
            )
        )
    silent = flows[flows["flow"].isin([f for f, (_, role) in roles.items() if role == "turn" and f not in seen])]
    answered = set(tls.loc[~tls["up"].fillna(True).astype(bool), "flow"].dropna().astype(int))
    for row in silent.itertuples():
        if int(row.flow) not in answered:  # a ClientHello without ALPN, and nothing came back
            found.append(
                TurnFlow(int(row.flow), "turn-tls", str(row.client), float(row.first_seconds), float(row.last_seconds),
                         "unreachable", certainty="inferred", frames=(int(row.first_frame), int(row.last_frame)))
            )  # fmt: skip
    return found


def _relayed_rows(rows: pd.DataFrame) -> dict[int, list[tuple[float, bool, int]]]:
    """By flow: when how many bytes were relayed, as the lengths of records tell."""
    found: dict[int, list[tuple[float, bool, int]]] = {}
    if len(rows):
        rows = rows[rows["message"].isin(["send", "data", "channel-data", "other"])]
        for flow, at, up, length in zip(rows["flow"], rows["seconds"], rows["up"], rows["length"], strict=True):
            found.setdefault(int(flow), []).append((float(at), bool(up), int(length)))
    return found


def _numbers(value: Any) -> tuple[int, ...]:
    if isinstance(value, str):
        return tuple(int(one) for one in value.split())
    return tuple(int(one) for one in value) if isinstance(value, list | tuple) else ()


def _open_turn(
    stun: pd.DataFrame, flows: pd.DataFrame, servers: Collection[str], media: pd.DataFrame
) -> Iterable[TurnFlow]:
    """TURN whose messages can be read: UDP, TCP, or TLS with keys."""
    ends = flows.set_index("flow")[["client", "transport", "first_seconds", "last_seconds"]]
    turn = stun[stun["depth"].eq(0) & ~stun["method"].eq("Binding")]
    for number, rows in turn.groupby("flow", sort=True):
        if not rows["method"].eq("Allocate").any():
            continue
        end = ends.loc[number]
        if is_loopback(end["client"]) or end["client"] in servers:
            continue
        stage, frames, refused = _stage(rows)
        inside = media[media["flow"].eq(number) & media["depth"].gt(0)] if len(media) else media
        up = float(inside.loc[inside["up"].fillna(False).astype(bool), "bytes"].sum()) if len(inside) else 0.0
        down = float(inside.loc[~inside["up"].fillna(True).astype(bool), "bytes"].sum()) if len(inside) else 0.0
        lasted = float(inside["last_seconds"].max() - inside["first_seconds"].min()) if len(inside) else 0.0
        if stage == "permitted" and lasted > 1 and min(up, down) / lasted >= RELAYING:
            stage = "relaying"
        yield TurnFlow(
            int(number),
            f"turn-{rows['transport'].iloc[0]}",
            str(end["client"]),
            float(end["first_seconds"]),
            float(end["last_seconds"]),
            stage,
            frames=frames,
            refused=refused,
            sent=int(rows["method"].eq("Send").sum()),
            received=int(rows["method"].eq("Data").sum()),
        )


def _stage(rows: pd.DataFrame) -> tuple[str, tuple[int, ...], tuple[int, ...]]:
    """Stage of one TURN connection, the frames that show it, and those of refused permissions."""

    def frames(method: str, kind: str) -> list[int]:
        return [int(f) for f in rows.loc[rows["method"].eq(method) & rows["message_class"].eq(kind), "frame"]]

    granted = frames("CreatePermission", "success") + frames("ChannelBind", "success")
    refused = tuple(frames("CreatePermission", "error"))
    allocated = frames("Allocate", "success")
    if granted:
        return "permitted", tuple(sorted(granted)), refused
    if refused:
        return "permission-refused", refused, refused
    if allocated:
        return "allocated", tuple(allocated), ()
    asked = rows[rows["method"].eq("Allocate") & rows["message_class"].eq("request")]
    errors = frames("Allocate", "error")
    with_credentials = [int(f) for f in asked.loc[asked["username"].notna(), "frame"]]
    late = [frame for frame in errors if with_credentials and frame > with_credentials[0]]
    if late:
        return "auth-failed", (with_credentials[0], *late), ()
    return "unreachable", tuple(int(f) for f in asked["frame"]), ()


def _named(
    stays: list[Stay], tables: Tables, flows: pd.DataFrame, servers: Collection[str], roles: dict[int, tuple[str, str]]
) -> list[Person]:
    """People by display name (or room occupant, or connection), with the addresses of their connections and checks."""
    clients = {int(f): str(c) for f, c in zip(flows["flow"], flows["client"], strict=True)}
    outside = _through_proxy(stays, tables, flows, servers, roles)
    found: dict[str, Person] = {}
    for number, stay in enumerate(stays):
        name = stay.nick or stay.endpoint or f"connection {number}"
        while name in found and _beside(found[name], stay, clients):
            name += "'"  # somebody else of that name
        person = found.setdefault(name, Person(stay.nick))
        person.stays.append(stay)
        for flow in stay.flows:
            address = clients.get(flow, "")
            if address and not is_loopback(address) and address not in servers:
                _add(person, address, "flow")
        if stay.connection in outside:
            _add(person, clients[outside[stay.connection]], "proxy")
    for person in found.values():
        own = {ufrag: session.kind for session in person.sessions for ufrag in session.own}
        remote = {ufrag: session.kind for session in person.sessions for ufrag in session.remote}
        person.legs = legs.of_ufrags(own, tables, servers, remote) if own or remote else []
        for leg in person.legs:
            kinds = [own.get(mine, remote.get(other)) for mine, other in leg.ufrags]
            leg.kind = next((kind for kind in kinds if kind), leg.kind)
            if leg.direct and leg.address not in servers and not is_loopback(leg.address):
                _add(person, leg.address, "ufrag")
    return _merged(list(found.values()))


def _beside(person: Person, stay: Stay, clients: dict[int, str]) -> bool:
    """Whether a stay is that of another person of the same name: at the same time, and not from the same address.

    One whose connection broke may still be in the room when it comes back, from where it was.
    """
    here = {clients.get(flow, "") for flow in stay.flows}
    for other in person.stays:
        there = {clients.get(flow, "") for flow in other.flows}
        known = here | there
        if other.start < stay.end and stay.start < other.end and not here & there and not any(map(is_loopback, known)):
            return True
    return False


def _merged(people: list[Person]) -> list[Person]:
    """Nameless connections of an address that a person with a name has are the same person's."""
    named = [person for person in people if person.nick]
    for person in people:
        if person.nick:
            continue
        same = [one for one in named if set(one.addresses) & set(person.addresses)]
        joined = any(stay.joined for stay in person.stays)
        if len(same) == 1 and not joined:
            same[0].stays = sorted([*same[0].stays, *person.stays], key=lambda stay: stay.start)
        else:
            named.append(person)
    return named


def _add(person: Person, address: str, how: str) -> None:
    if address not in person.addresses:
        person.addresses.append(address)
        person.placed = person.placed or how


def _through_proxy(
    stays: list[Stay], tables: Tables, flows: pd.DataFrame, servers: Collection[str], roles: dict[int, tuple[str, str]]
) -> dict[Any, int]:
    """Outer flows of connections that are seen only behind the server's proxy."""
    clients = {int(f): str(c) for f, c in zip(flows["flow"], flows["client"], strict=True)}
    hidden = [
        stay for stay in stays if all(is_loopback(clients.get(f, "127.")) or clients[f] in servers for f in stay.flows)
    ]
    xmpp, tcp = tables.get("xmpp"), tables.get("tcp")
    if not hidden or xmpp is None or tcp is None:
        return {}
    rows = xmpp[xmpp["connection"].isin([stay.connection for stay in hidden])]
    outer = {flow for flow, (_, role) in roles.items() if role in ("web", "websocket", "signaling")}
    return {connection: passed.flow for connection, passed in proxies.outer_flows(rows, tcp, outer).items()}


def _by_address(
    people: list[Person], tables: Tables, flows: pd.DataFrame, servers: Collection[str],
    roles: dict[int, tuple[str, str]], own: str,
) -> list[Person]:  # fmt: skip
    """Who stands behind the addresses that no signaling explains; addresses of one ICE user fragment are one person."""
    taken = {address for person in people for address in person.addresses}
    stun = _frame(tables, "stun")
    groups: list[set[str]] = [
        {address} for address, role in roles.values() if role in ("web", "websocket", "turn", "signaling")
    ]
    if len(stun):
        checks = stun[
            stun["method"].eq("Binding")
            & stun["message_class"].eq("request")
            & stun["username"].notna()
            & stun["depth"].eq(0)
        ]
        ends: dict[str, set[str]] = {}
        for username, src, dst in zip(checks["username"], checks["src"], checks["dst"], strict=True):
            receiver, _, sender = str(username).partition(":")
            ends.setdefault(sender, set()).add(str(src))
            ends.setdefault(receiver, set()).add(str(dst))
        outside = [{a for a in group if a not in servers and not is_loopback(a)} for group in ends.values()]
        groups += [group for group in outside if group and not (own and own in group and len(group) > 1)]
        if own:
            groups += [{own}]
    merged: list[set[str]] = []
    for group in groups:
        touching = [other for other in merged if other & group]
        merged = [other for other in merged if not other & group] + [group.union(*touching)]
    found = []
    for group in merged:
        if group & taken or group & set(servers):
            continue
        person = Person(addresses=sorted(group), placed="address")
        person.legs = legs.of_address(group, tables, servers)
        found.append(person)
    return found


def _public(tables: Tables, servers: Collection[str]) -> str:
    """The server's public address: what clients saw its checks come from, where that is none of its own."""
    stun = tables.get("stun")
    if stun is None or stun.empty:
        return ""
    bridge = legs.ice4j_ports(stun)
    answers = stun[
        stun["method"].eq("Binding")
        & stun["message_class"].eq("success")
        & stun["depth"].eq(0)
        & stun["mapped_address"].notna()
    ]
    seen = [str(m) for m, d, p in zip(answers["mapped_address"], answers["dst"], answers["dst_port"], strict=True)
            if pd.notna(p) and (str(d), int(p)) in bridge and m not in servers]  # fmt: skip
    return max(set(seen), key=seen.count) if seen else ""


def _relayed(tables: Tables, servers: Collection[str]) -> str:
    """The address that TURN on the server's own host relays from, where all its allocations agree."""
    stun = tables.get("stun")
    if stun is None or stun.empty:
        return ""
    given = stun[stun["relayed_address"].notna() & stun["src"].isin(servers)]["relayed_address"].unique()
    return str(given[0]) if len(given) == 1 else ""


def _jitsi(tables: Tables, stays: list[Stay]) -> str:
    """What shows that this is a Jitsi call; empty if nothing does."""
    if any(stay.asked or stay.focus for stay in stays):
        return "a request to the conference focus"
    stun, http = _frame(tables, "stun"), _frame(tables, "http")
    if len(stun) and legs.ice4j_ports(stun):
        return "a Jitsi bridge's ICE"
    if len(http) and http["target"].fillna("").str.contains(r"/(?:xmpp-websocket|http-bind|colibri-ws)\b").any():
        return "HTTP requests of a Jitsi Meet page"
    tls = _frame(tables, "tls")
    if len(tls):
        hellos = tls[tls["handshake"].fillna("").str.contains("client_hello")]
        alpn = hellos["alpn"].fillna("")
        for _, rows in hellos.assign(alpn=alpn).groupby("sni"):
            if (rows["alpn"] == "http/1.1").any() and rows["alpn"].str.contains("h2").any():
                return "a browser's page and WebSocket on one host (inferred)"
    return ""
