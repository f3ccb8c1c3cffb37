"""One person, one row: the nick, JIDs, endpoints, addresses, SSRCs and flows that belong together.

What ties them: a signaling connection has a bound JID and joins a room as an occupant, whose name is the endpoint id;
its source address is the person's, unless a proxy stands before it; a ufrag that the endpoint announced in Jingle is
in the checks it sends, and their source address is the person's too; host and reflexive candidates are its own
addresses. Where a capture shows a proxy's inside only, the outer connection is the one that beats in time
(`jitsilab.analysis.proxies`). The focus, the bridge and the server's own addresses are nobody's.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

import pandas as pd

from jitsilab.analysis import proxies
from jitsilab.errors import ParseError
from jitsilab.protocols import xmpp as stanzas
from jitsilab.tables import Schema, frame_from
from jitsilab.tables.occupants import Occupants, key, text

NEEDS = ("xmpp", "jingle", "candidates", "sources", "stun", "flows", "http", "tcp")

IDENTITIES: Schema = {  # object: a tuple, in order of appearance, each once
    "id": ("str", "nick where known, else endpoint id, else address"),
    "nick": ("str", "name that others see; missing where no presence is seen"),
    "room": ("str", "bare JID of the room"),
    "endpoints": ("object", "endpoint ids, one a stay"),
    "jids": ("object", "full JIDs that the server bound"),
    "addresses": ("object", "all addresses of the person, those it was seen from first"),
    "seen_addresses": ("object", "addresses from which packets of the person were seen"),
    "other_addresses": ("object", "addresses that only its candidates or answers to its checks name"),
    "ssrcs": ("object", "SSRCs that the person announced"),
    "ufrags": ("object", "ICE user fragments that the person announced"),
    "connections": ("object", "signaling connections, as numbered in the table xmpp"),
    "signaling_flows": ("object", "flows of its signaling as the person's machine opened them"),
    "media_flows": ("object", "flows that carry checks with its ufrags, or, without Jingle, its UDP flows of media"),
    "first_frame": ("Int64", "first frame that names the person"),
    "last_frame": ("Int64", "last such frame"),
    "joined": ("Int64", "frame of the first join request or own presence; missing where none is seen"),
    "left": ("Int64", "frame of the last unavailable presence; missing where none is seen"),
    "certainty": ("str", "of nick and address belonging together: measured, deduced, inferred; missing without both"),
}

_ORDER = ("measured", "deduced", "inferred")


@dataclass
class _Person:
    nick: str = ""
    room: str = ""
    endpoints: list[str] = field(default_factory=list)
    jids: list[str] = field(default_factory=list)
    seen_from: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)  # by its candidates, or in answers to its checks
    ssrcs: list[int] = field(default_factory=list)
    ufrags: list[str] = field(default_factory=list)
    connections: list[Hashable] = field(default_factory=list)
    signaling_flows: list[int] = field(default_factory=list)
    media_flows: list[int] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    joined: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    certainty: str = ""

    def place(self, address: str, certainty: str) -> None:
        """Note an address that packets of this person came from."""
        self.seen_from.append(address)
        if not self.certainty or _ORDER.index(certainty) < _ORDER.index(self.certainty):
            self.certainty = certainty

    def take(self, other: "_Person") -> None:
        """Become one with another stay or connection of the same person."""
        for name in (
            "endpoints", "jids", "seen_from", "named", "ssrcs", "ufrags", "connections", "signaling_flows",
            "media_flows", "frames", "joined", "left",
        ):  # fmt: skip
            getattr(self, name).extend(getattr(other, name))
        self.nick, self.room = self.nick or other.nick, self.room or other.room
        known = [c for c in (self.certainty, other.certainty) if c]
        self.certainty = min(known, key=_ORDER.index) if known else ""


def identities(tables: Mapping[str, pd.DataFrame | None]) -> pd.DataFrame:
    """The people of a call. ``tables`` has those of NEEDS by name; any may be None or missing, and then tells nothing.

    Without signaling in sight people are told apart by address alone; several behind one address are then one row.
    Several stays under one nick are one person, unless they overlap in time at different addresses.
    """
    xmpp, flows, stun = tables.get("xmpp"), tables.get("flows"), tables.get("stun")
    candidates = tables.get("candidates")
    hosts = servers(flows, candidates, stun)
    people: list[_Person] = []
    if xmpp is not None and len(xmpp):
        people = _occupants(xmpp.reset_index(drop=True), tables.get("http"), hosts)
        _describe(people, tables.get("jingle"), candidates, tables.get("sources"), hosts)
        _checks(people, stun, hosts)
        _outer(people, xmpp, flows, tables.get("tcp"), hosts)
        people = _merged(people)
    people += _strangers(people, flows, stun, hosts)
    _eliminate(people)
    _flows(people, flows, hosts)
    people.sort(key=lambda person: min(person.frames, default=0))
    return frame_from([_row(person) for person in people], IDENTITIES)


def servers(
    flows: pd.DataFrame | None, candidates: pd.DataFrame | None = None, stun: pd.DataFrame | None = None
) -> set[str]:
    """Addresses of the deployment: what serves TLS, what the bridge offers, what TURN hands out or answers from."""
    found: set[str] = set()
    if flows is not None and len(flows):
        served = flows[(flows["transport"] == "tcp") & flows["kind"].str.contains("TLS|XMPP|HTTP", na=False)]
        found |= set(served["server"].dropna())
    if candidates is not None and len(candidates):
        found |= set(candidates.loc[candidates["endpoint"] == "jvb", "address"].dropna())
        found |= set(candidates.loc[candidates["type"] == "relay", "address"].dropna())
    if stun is not None and len(stun):
        found |= set(stun["relayed_address"].dropna())
        answers = (stun["method"] == "Allocate") & stun["message_class"].isin(["success", "error"])
        bridge = stun["software"].str.contains("ice4j", na=False)  # the bridge's ICE library names itself
        found |= set(stun.loc[answers | bridge, "src"].dropna())
    if not found and flows is not None and len(flows):
        partners = pd.concat(
            [flows[["client", "server"]], flows[["server", "client"]].set_axis(["client", "server"], axis=1)]
        )
        found.add(str(partners.groupby("client")["server"].nunique().idxmax()))
    return found


def _own(address: object, hosts: set[str]) -> bool:
    """Whether an address can be a person's: not the server's, not one that a machine has for itself."""
    if not isinstance(address, str) or not address or address in hosts:
        return False
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return not address.endswith(".local")  # mDNS hides one; a study's pseudonym stands for one
    return not (parsed.is_loopback or parsed.is_unspecified)


def _occupants(xmpp: pd.DataFrame, http: pd.DataFrame | None, hosts: set[str]) -> list[_Person]:
    """A person for each occupant of a room and for each connection that never got so far."""
    occupants = Occupants(xmpp)
    people: dict[tuple[str, str], _Person] = {}
    connected: dict[Hashable, list[_Person]] = {}
    for seen in occupants.seen:
        said = seen.presence
        if not seen.person or not said.room or not said.occupant or said.type == "error":
            continue
        person = people.setdefault((said.room, said.occupant), _Person(room=said.room, endpoints=[said.occupant]))
        person.frames.append(seen.frame)
        person.nick = said.nick or person.nick
        if said.jid:
            person.jids.append(said.jid)
        own = seen.outgoing or 110 in said.codes
        if own and seen.connection not in person.connections:
            person.connections.append(seen.connection)
            connected.setdefault(seen.connection, []).append(person)
        if said.type == "unavailable":
            person.left.append(seen.frame)
        elif own:
            person.joined.append(seen.frame)
    everyone = list(people.values())
    for connection, rows in xmpp.groupby("connection", sort=True):
        if connection in connected:
            owners = connected[connection]
        elif _client(rows):
            owners = [_Person(connections=[connection], frames=[int(rows["frame"].iloc[0])])]
            everyone += owners
        else:
            continue
        for person in owners:
            _connect(person, rows, http, hosts)
    return everyone


def _client(rows: pd.DataFrame) -> bool:
    """Whether a connection without an occupant may be a person's: not one of the focus, the bridge or a component."""
    heads = rows[rows["name"].isin(["open", "stream", "body", "auth"])]
    if heads.empty and not rows["child"].isin(["bind"]).any():
        return False
    if rows["namespace"].isin(["jabber:component:accept", "jabber:server"]).any():
        return False
    for name in ("from", "to"):
        said = rows[name].dropna()
        if said.str.startswith(("focus@", "jvb@")).any() or said.str.contains("brewery@", regex=False).any():
            return False
    return True


def _connect(person: _Person, rows: pd.DataFrame, http: pd.DataFrame | None, hosts: set[str]) -> None:
    """Take JID, address and flows from a connection's stanzas, or the address from what its proxy forwards."""
    for xml in rows.loc[rows["child"] == "bind", "xml"]:
        try:
            jid = stanzas.bound(stanzas.read(text(xml)))
        except ParseError:
            continue
        if jid:
            person.jids.append(jid)
    person.frames += [int(rows["frame"].min()), int(rows["frame"].max())]
    sent = rows[rows["direction"] == "c2s"]
    for flow, part in sent.groupby("flow", sort=True):
        address = part["src"].iloc[0]
        if _own(address, hosts):
            person.place(str(address), "measured")
            person.signaling_flows.append(int(flow))
        elif http is not None and len(http):
            before = http[(http["flow"] == flow) & (http["frame"] <= int(part["frame"].min()))]
            told = before["forwarded_for"].dropna() if "forwarded_for" in before else pd.Series(dtype=str)
            if len(told):  # each proxy appends the address it saw: the last that is not the deployment's
                named = [one.strip() for one in str(told.iloc[-1]).split(",")]
                outside = [one for one in named if _own(one, hosts)]
                if outside:
                    person.place(outside[-1], "deduced")


def _describe(
    people: list[_Person],
    jingle: pd.DataFrame | None,
    candidates: pd.DataFrame | None,
    sources: pd.DataFrame | None,
    hosts: set[str],
) -> None:
    """Take ufrags, candidates and SSRCs from what each endpoint announced."""
    owner = {endpoint: person for person in people for endpoint in person.endpoints}
    if jingle is not None:
        for endpoint, ufrag, frame in jingle[["endpoint", "ufrag", "frame"]].dropna().itertuples(index=False):
            if endpoint in owner:
                owner[endpoint].ufrags.append(ufrag)
                owner[endpoint].frames.append(int(frame))
    if candidates is not None:
        rows = candidates[candidates["type"].isin(["host", "srflx"])]
        for endpoint, address in rows[["endpoint", "address"]].dropna().itertuples(index=False):
            if endpoint in owner and _own(address, hosts):
                owner[endpoint].named.append(address)
    if sources is not None:
        rows = sources[sources["origin"] == "jingle"]
        for endpoint, ssrc in rows[["owner", "ssrc"]].dropna().itertuples(index=False):
            if endpoint in owner:
                owner[endpoint].ssrcs.append(int(ssrc))


def _checks(people: list[_Person], stun: pd.DataFrame | None, hosts: set[str]) -> None:
    """Take addresses and flows from checks: USERNAME is the receiver's ufrag, a colon, the sender's."""
    if stun is None or not len(stun):
        return
    owner = {ufrag: person for person in people for ufrag in person.ufrags}
    rows = stun[(stun["method"] == "Binding") & (stun["message_class"] == "request")]
    rows = rows.dropna(subset=["username"]).drop_duplicates(["flow", "depth", "src", "username"])
    for row in rows[["src", "flow", "username"]].itertuples(index=False):
        receiver, _, sender = row.username.partition(":")
        if sender in owner:
            owner[sender].media_flows.append(int(row.flow))
            if _own(row.src, hosts):
                owner[sender].place(str(row.src), "measured")
        if receiver in owner:
            owner[receiver].media_flows.append(int(row.flow))
    answers = stun[(stun["method"] == "Binding") & (stun["message_class"] == "success")]
    for row in answers[["mapped_address", "username"]].dropna().drop_duplicates().itertuples(index=False):
        sender = row.username.partition(":")[2]
        if sender in owner and _own(row.mapped_address, hosts):
            owner[sender].named.append(str(row.mapped_address))


def _outer(
    people: list[_Person],
    xmpp: pd.DataFrame,
    flows: pd.DataFrame | None,
    tcp: pd.DataFrame | None,
    hosts: set[str],
) -> None:
    """Find the outer connection of those whose signaling is seen behind a proxy only."""
    if flows is None or tcp is None or not len(flows) or not len(tcp):
        return
    unseen = {connection for person in people if not person.signaling_flows for connection in person.connections}
    client = flows["client"].map(lambda address: _own(address, hosts))
    outer = flows[(flows["transport"] == "tcp") & client & flows["kind"].str.contains("TLS", na=False)]
    if not unseen or outer.empty:
        return
    inner = xmpp[xmpp["connection"].isin(unseen)]
    passed = proxies.outer_flows(inner, tcp, set(outer["flow"].astype(int)))
    address = dict(zip(outer["flow"].astype(int), outer["client"], strict=True))
    for person in people:
        for connection in person.connections:
            if connection in passed:
                flow = passed[connection].flow
                person.signaling_flows.append(flow)
                agreed = person.seen_from and address[flow] in person.seen_from
                if not person.seen_from or agreed:
                    person.place(address[flow], "inferred")


def _merged(people: list[_Person]) -> list[_Person]:
    """Stays of one nick together, and connections that never joined with the one person at their address."""
    found: list[_Person] = []
    named: dict[tuple[str, str], list[_Person]] = {}
    for person in sorted(people, key=lambda one: (not one.endpoints, min(one.frames, default=0))):
        if person.endpoints:
            namesakes = named.setdefault((person.room, person.nick), [])
            same = [other for other in namesakes if person.nick and _same(other, person)]
            namesakes += [] if same else [person]
        else:  # a connection that did not get to a room
            same = [other for other in found if set(other.jids) & set(person.jids)]
            same = same or [other for other in found if set(other.seen_from) & set(person.seen_from)]
        if len(same) == 1 or (same and person.endpoints):
            same[0].take(person)
        else:
            found.append(person)
    return found


def _same(one: _Person, other: _Person) -> bool:
    """Whether two stays under one nick are one person's: one after the other, or from one address."""
    apart = max(one.frames) < min(other.frames) or (one.left and min(other.frames) >= min(one.left))
    return bool(apart or set(one.seen_from) & set(other.seen_from))


def _strangers(
    people: list[_Person], flows: pd.DataFrame | None, stun: pd.DataFrame | None, hosts: set[str]
) -> list[_Person]:
    """Addresses that speak TLS, ICE or media with the server and that no signaling explains, one person each."""
    if flows is None or not len(flows):
        return []
    known = {address for person in people for address in (*person.seen_from, *person.named)}
    found: dict[str, _Person] = {}
    kinds = flows["kind"].str.contains("TLS|STUN|DTLS|RTP|CHANNEL|XMPP", na=False)
    for row in flows[kinds].sort_values("first_frame").itertuples(index=False):
        for address, partner in ((row.client, row.server), (row.server, row.client)):
            if _own(address, hosts) and partner in hosts and address not in known:
                person = found.setdefault(str(address), _Person(seen_from=[str(address)]))
                person.frames += [int(row.first_frame), int(row.last_frame)]
    if stun is not None and len(stun):
        rows = stun[stun["username"].str.contains(":", regex=False, na=False) & (stun["message_class"] == "request")]
        behind: dict[str, _Person] = {}
        for address, frame, username in rows[["src", "frame", "username"]].itertuples(index=False):
            if _own(address, hosts) and address not in known:
                # also peers of a participant at whose machine the capture was made
                person = found.setdefault(str(address), _Person(seen_from=[str(address)]))
                person.frames.append(int(frame))
                first = behind.setdefault(username, person)
                if first is not person:  # one agent checks from all its addresses with one pair of ufrags
                    first.take(person)
                    found.update(dict.fromkeys(person.seen_from, first))
                    behind.update({name: first for name, one in behind.items() if one is person})
    return list({id(person): person for person in found.values()}.values())


def _eliminate(people: list[_Person]) -> None:
    """One person without an address and one address without a person: by elimination the same, inferred."""
    homeless = [person for person in people if person.connections and not person.seen_from]
    nameless = [person for person in people if not person.connections and not person.nick and person.seen_from]
    if len(homeless) == 1 and len(nameless) == 1:
        homeless[0].take(nameless[0])
        homeless[0].certainty = "inferred"
        people.remove(nameless[0])


def _flows(people: list[_Person], flows: pd.DataFrame | None, hosts: set[str]) -> None:
    """Flows of an address that is one person's alone."""
    if flows is None or not len(flows):
        return
    shared = pd.Series([a for person in people for a in set(person.seen_from + person.named)], dtype=str).value_counts()
    alone = {address for address, count in shared.items() if count == 1}
    for person in people:
        addresses = set(person.seen_from + person.named) & alone
        mine = flows[flows["client"].isin(addresses) | (flows["server"].isin(addresses) & flows["client"].isin(hosts))]
        media = mine[(mine["transport"] == "udp") & mine["kind"].str.contains("STUN|DTLS|RTP|CHANNEL", na=False)]
        if not person.ufrags:
            person.media_flows += [int(flow) for flow in media["flow"]]


def _row(person: _Person) -> tuple[object, ...]:
    seen, endpoints = tuple(dict.fromkeys(person.seen_from)), tuple(dict.fromkeys(person.endpoints))
    other = tuple(address for address in dict.fromkeys(person.named) if address not in seen)
    connections = tuple(key(connection) for connection in dict.fromkeys(person.connections))
    unnamed = (*endpoints, *seen, *(f"connection {connection}" for connection in connections))
    return (
        person.nick or next(iter(unnamed), None),
        person.nick or None,
        person.room or None,
        endpoints,
        tuple(dict.fromkeys(person.jids)),
        seen + other,
        seen,
        other,
        tuple(dict.fromkeys(person.ssrcs)),
        tuple(dict.fromkeys(person.ufrags)),
        connections,
        tuple(dict.fromkeys(person.signaling_flows)),
        tuple(sorted(set(person.media_flows))),
        min(person.frames, default=None),
        max(person.frames, default=None),
        min(person.joined, default=None),
        max(person.left, default=None),
        person.certainty if person.nick and seen else None,
    )
