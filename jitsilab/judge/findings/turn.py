"""C. TURN: who may relay, where to, with which credentials, and whether the fallback works at all."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pandas as pd

from jitsilab.analysis import turn_in_tls
from jitsilab.facts import turnserver
from jitsilab.ip import is_loopback
from jitsilab.judge.checks import GUARD, Certainty, Outcome, Verdict
from jitsilab.judge.findings.rule import (
    Rule,
    View,
    beside,
    counted,
    failed,
    inside,
    joined,
    listed,
    noted,
    passed,
    unseen,
)

METHODS = ("Allocate", "Refresh", "CreatePermission", "ChannelBind", "Connect", "ConnectionBind", "Send", "Data")


class Request(NamedTuple):
    """A request to a TURN server with its answer."""

    frame: int
    flow: Any
    client: str
    server: str
    method: str
    peers: tuple[str, ...]
    proven: bool | None  # has USERNAME or MESSAGE-INTEGRITY; None where the attributes are not shown
    answer: str  # success, error, or empty
    code: int | None
    answer_frame: int


def asked(view: View, *methods: str) -> list[Request]:
    """Requests of these methods with their answers, paired by transaction."""
    rows = view.rows("stun")
    if rows is None:
        return []
    rows = rows[rows["method"].isin(methods)]
    answers: dict[tuple[Any, str], tuple[str, int | None, int]] = {}
    for frame, flow, transaction, kind, code in columns(
        rows, "frame", "flow", "transaction_id", "message_class", "error_code"
    ):
        if kind in ("success", "error"):
            answers.setdefault((flow, transaction), (kind, None if pd.isna(code) else int(code), int(frame)))
    requests, known = [], set()
    names = (
        "frame",
        "flow",
        "src",
        "dst",
        "method",
        "transaction_id",
        "message_class",
        "attributes",
        "peers",
        "peer_address",
    )
    for frame, flow, src, dst, method, transaction, kind, attributes, peers, peer in columns(rows, *names):
        if kind != "request" or (flow, transaction) in known:
            continue
        known.add((flow, transaction))
        answer, code, answer_frame = answers.get((flow, transaction), ("", None, 0))
        several = str(peers).split() if isinstance(peers, str) else []
        addresses = tuple(address.rpartition(":")[0].strip("[]") for address in several) or (
            (peer,) if isinstance(peer, str) else ()
        )
        proven = bool({"0006", "0008", "001c"} & set(attributes.split())) if isinstance(attributes, str) else None
        proven = proven or (None if int(frame) in view.cut else proven)
        requests.append(Request(int(frame), flow, src, dst, method, addresses, proven, answer, code, answer_frame))
    return requests


def columns(rows: pd.DataFrame, *names: str) -> Iterator[tuple[Any, ...]]:
    """The rows of some columns; None for a column that the table has not."""
    columns = [rows[name] if name in rows else pd.Series([None] * len(rows)) for name in names]
    return zip(*columns, strict=True)


# SEC-16


def open_relay(view: View) -> Outcome:
    """The TURN server relays for anybody, without credentials."""
    read = _open_on_wire(view)
    lengths = _open_in_lengths(view) if read.verdict is Verdict.NOT_OBSERVABLE else None
    return joined(read, lengths, _open_in_files(view))


def _open_on_wire(view: View) -> Outcome:
    allocations = asked(view, "Allocate")
    bare = [request for request in allocations if request.proven is False]
    taken = [request for request in bare if request.answer == "success"]
    if taken:
        frames = [frame for request in taken for frame in (request.frame, request.answer_frame)]
        return failed(f"{counted(len(taken), 'allocation')} granted without user name and integrity", frames)
    refused = [request for request in bare if request.answer == "error" and request.code in (401, 403, 437, 438)]
    if refused:
        frames = [frame for request in refused for frame in (request.frame, request.answer_frame)]
        return passed(f"{counted(len(refused), 'request')} without credentials refused", frames)
    return unseen("no Allocate request without credentials can be read in this capture")


def _open_in_lengths(view: View) -> Outcome | None:
    rows = view.rows("turn_in_tls")
    if rows is None:
        return None
    refused = rows[rows["message"].eq("allocate-error") & rows["certainty"].eq("deduced")]
    if refused.empty:
        return None
    note = f"{counted(len(refused), 'first request')} inside TLS refused, by their lengths"
    return passed(note, refused["frame"], certainty=Certainty.DEDUCED)


def _open_in_files(view: View) -> Outcome | None:
    turn = view.facts.turn if view.facts else None
    if turn is None:
        return None
    answer = turn.authenticates()
    if answer is None:
        return unseen("users may stand in a database", places=[turn.name])
    if not answer and not turn.first("no-auth") and _incomplete(view):
        return unseen(_incomplete(view), places=[turn.name])
    if not answer:
        fact = turn.first("no-auth")
        note = "no-auth" if fact else "neither use-auth-secret nor lt-cred-mech nor a user: no-auth is the default"
        return failed(note, places=[fact.place if fact else turn.name])
    names = ("use-auth-secret", "lt-cred-mech", "oauth", "static-auth-secret", "user")
    places = [fact.place for name in names if (fact := turn.first(name))]
    return passed("requests need credentials", places=places[:2])


def _incomplete(view: View) -> str:
    """Why the absence of an option from coturn's file says nothing; empty where it does."""
    facts = view.facts
    if facts is None or facts.turn is None:
        return "turnserver.conf was not given"
    if "turn" in facts.ambiguous:
        return "there are two turnserver.conf; which is in force is not known"
    return "" if facts.turn.whole else f"{facts.turn.name} is a piece of a configuration"


# SEC-17


def relay_inside(view: View) -> Outcome:
    """The TURN server relays to addresses inside: private, link-local, loopback."""
    return joined(_inside_on_wire(view), _inside_in_files(view))


def bridge_addresses(view: View) -> set[str]:
    """Addresses of the bridge: its candidates in offers, what its configuration maps, and the server's own."""
    addresses = set(view.servers)
    rows = view.rows("candidates")
    if rows is not None:
        offered = rows[rows["from"].fillna("").str.endswith("/focus")]
        addresses |= set(offered["address"].dropna()) | set(offered["related_address"].dropna())
    bridge = view.facts.bridge if view.facts else None
    fact = bridge.get("ice4j.harvest.mapping.static-mappings") if bridge else None
    for mapping in fact.value if fact is not None and isinstance(fact.value, list) else ():
        if isinstance(mapping, dict):
            addresses |= {str(mapping.get(key)) for key in ("local-address", "public-address") if mapping.get(key)}
    return addresses


def _forbidden(address: str) -> bool:
    """Addresses that no relay has business with, whoever owns them."""
    return is_loopback(address) or address.startswith(("169.254.", "0.", "fe80:")) or address == "::"


def _inside_on_wire(view: View) -> Outcome:
    bridge = bridge_addresses(view)
    granted: list[Request] = []
    own: list[Request] = []
    refused: list[Request] = []
    for request in asked(view, "CreatePermission", "ChannelBind", "Connect"):
        inner = [peer for peer in request.peers if inside(peer)]
        if not inner:
            continue
        if request.answer == "error" and request.code == 403:
            refused.append(request)
        elif request.answer == "success":
            strange = [peer for peer in inner if _forbidden(peer) or peer not in bridge]
            near = inside(request.client) and inside(request.server) and not is_loopback(request.client)
            lan = near and not any(map(_forbidden, strange))
            (granted if strange and not lan else own).append(request)
    if granted:
        peers = {peer for request in granted for peer in request.peers if inside(peer)}
        frames = [frame for request in granted for frame in (request.frame, request.answer_frame)]
        heard = _heard(view, peers)
        if heard:
            return failed(f"relayed from {listed(sorted(peers))}", [*frames, *heard])
        note = f"permission granted for {listed(sorted(peers))}; whether anything answers there is not shown"
        return failed(note, frames, certainty=Certainty.INFERRED, severity="high")
    if refused:
        note = f"{counted(len(refused), 'request')} for an address inside refused"
        note += "; the bridge's own address is allowed, with every UDP port of that host" if own else ""
        return passed(note, [frame for request in refused for frame in (request.frame, request.answer_frame)])
    return unseen("nobody asked the relay for an address inside, or its requests cannot be read")


def _heard(view: View, peers: set[str]) -> list[int]:
    """Frames of what the relay brought back from these peers."""
    rows = view.rows("stun")
    if rows is None:
        return []
    back = rows[rows["method"].isin(["Data", "ChannelData"]) & ~rows["up"].fillna(True).astype(bool)]
    return [int(frame) for frame in back.loc[back["peer_address"].isin(peers), "frame"].head(5)]


def _inside_in_files(view: View) -> Outcome | None:
    turn = view.facts.turn if view.facts else None
    if view.facts is None or turn is None:
        return None
    own = bridge_addresses(view)
    relays = [str(f.value) for f in (*turn.texts("relay-ip"), *turn.texts("listening-ip"))]
    known = relays or view.facts.addresses
    six = any(":" in address for address in known) if known else True
    missing, places = [], []
    for name, sample in turnserver.SPECIAL.items():
        if name in ("loopback", "IPv6 loopback", "this host") and not turn.has("allow-loopback-peers"):
            continue  # coturn refuses these by itself
        if ":" in sample and not six:
            continue
        allowed, place = turn.rule_for(sample)
        if allowed and name != "carrier-grade NAT":
            missing.append(name)
            places.append(place)
    if missing and _incomplete(view):
        return unseen(_incomplete(view), places=[turn.name])
    if missing:
        return failed(f"no denied-peer-ip covers {listed(missing, 8)}", places=[*places, turn.name])
    wide = [r for r in turn.ranges("allowed-peer-ip") if r[2] != r[1] and any(inside(a) for a in _ends(r))]
    if wide:
        return failed("allowed-peer-ip opens a whole range inside", places=[r[3] for r in wide])
    denied = turn.texts("denied-peer-ip")
    others = [f for f in turn.texts("allowed-peer-ip") if inside(f.value) and f.value not in own]
    note = "the ranges inside are denied"
    if turn.texts("allowed-peer-ip"):
        note += "; one address is allowed, with every UDP port of that host"
    if others and own:
        return noted(
            f"allowed-peer-ip names {others[0].value}, which is not known as the bridge", places=[others[0].place]
        )
    return passed(note, places=[fact.place for fact in (*turn.texts("allowed-peer-ip"), *denied[:1])])


def _ends(span: turnserver.Range) -> tuple[str, str]:
    import ipaddress

    kind = ipaddress.IPv4Address if span[0] == 4 else ipaddress.IPv6Address
    return str(kind(span[1])), str(kind(span[2]))


# SEC-18


def dead_fallback(view: View) -> Outcome:
    """The relay refuses the bridge, so that whoever needs the relay has no media."""
    return joined(_refused_on_wire(view), _refused_in_files(view))


def _with_udp(view: View) -> set[str]:
    """Addresses for which an ICE check over UDP was answered, in either direction."""
    rows = view.rows("stun")
    if rows is None:
        return set()
    direct = rows[rows["method"].eq("Binding") & rows["transport"].eq("udp") & rows["depth"].eq(0)]
    checks = direct[direct["message_class"].eq("request")]
    if checks["priority"].notna().any():
        checks = checks[checks["priority"].notna()]
    answered = direct[direct["message_class"].eq("success") & direct["transaction_id"].isin(checks["transaction_id"])]
    return {str(a) for a in (*answered["src"], *answered["dst"])}


class _Relay(NamedTuple):
    client: str
    granted: int
    refused: int
    frames: tuple[int, ...]
    certainty: Certainty


def _relays(view: View) -> list[_Relay]:
    """Each TURN connection on which a permission was asked for: read, or else from the lengths of records."""
    flows: dict[Any, list[Request]] = {}
    for request in asked(view, "CreatePermission", "ChannelBind"):
        flows.setdefault(request.flow, []).append(request)
    relays = []
    for requests in flows.values():
        refused = [request for request in requests if request.answer == "error" and request.code == 403]
        granted = sum(request.answer == "success" for request in requests)
        frames = tuple(frame for request in refused for frame in (request.frame, request.answer_frame))
        relays.append(_Relay(requests[0].client, granted, len(refused), frames, Certainty.MEASURED))
    tls, ends = view.rows("tls"), view.rows("flows")
    if tls is None or ends is None:
        return relays
    for row in turn_in_tls.stages(tls, ends).itertuples(index=False):
        if row.flow in flows or not row.permissions or is_loopback(str(row.address)):
            continue
        frames = tuple(int(f) for f in str(row.refused_frames or "").split() if f.isdigit())
        certainty = Certainty.DEDUCED if row.certainty == "deduced" else Certainty.INFERRED
        relays.append(_Relay(str(row.address), int(row.granted), int(row.refused), frames, certainty))
    return relays


def _told_in_time(view: View, relays: list[_Relay]) -> bool:
    """Whether the capture goes on long enough after the first refusal for UDP to have been answered."""
    rows = view.part("bounds")
    refused = {frame for relay in relays for frame in relay.frames}
    if rows is None or not refused:
        return True
    tables = [table for name in ("stun", "tls") if (table := view.rows(name)) is not None]
    times = [table.loc[table["frame"].isin(refused), "seconds"].min() for table in tables]
    begun = min((at for at in times if at == at), default=None)
    return begun is None or bool(rows["seconds"].iloc[-1] - begun >= GUARD)


def _refused_on_wire(view: View) -> Outcome:
    relays = _relays(view)
    if not relays:
        allocated = [request.frame for request in asked(view, "Allocate") if request.answer == "success"]
        if allocated:
            return beside("relays were allocated, and no permission was asked for", allocated)
        return unseen("no request for a permission can be read in this capture")
    by_client: dict[str, list[_Relay]] = {}
    for relay in relays:
        by_client.setdefault(relay.client, []).append(relay)
    udp = _with_udp(view)
    dead = [group for group in by_client.values() if not any(relay.granted for relay in group)]
    dead = [group for group in dead if sum(relay.refused for relay in group) >= 2]
    frames = [frame for group in dead for relay in group for frame in relay.frames]
    certainty = Certainty.MEASURED
    if any(relay.certainty is not Certainty.MEASURED for group in dead for relay in group):
        certainty = Certainty.DEDUCED
    lost = [group for group in dead if group[0].client not in udp and _told_in_time(view, group)]
    if dead and not lost and any(group[0].client not in udp for group in dead):
        return unseen("permissions were refused, and the capture ends before UDP had its time")
    total = sum(relay.refused for group in lost or dead for relay in group)
    if lost:
        note = (
            f"{counted(total, 'permission')} of {counted(len(lost), 'participant')} without UDP, all refused "
            "after the relay had been allocated"
        )
        return failed(note, [f for group in lost for relay in group for f in relay.frames], certainty=certainty)
    if dead:
        return noted(
            f"{counted(total, 'permission')} asked for, all refused, by participants who had UDP as well", frames
        )
    granted = sum(relay.granted for relay in relays)
    return passed(f"{counted(granted, 'permission')} granted") if granted else unseen("no permission was answered")


def _refused_in_files(view: View) -> Outcome | None:
    turn = view.facts.turn if view.facts else None
    addresses = sorted(address for address in bridge_addresses(view) if not is_loopback(address))
    if turn is None or not addresses or not turn.ranges("denied-peer-ip"):
        return None
    mapping = turn.mapping()
    private = next((a for a in addresses if inside(a)), "")
    verdicts = []
    for address in addresses:
        # coturn maps its public address back to the private one before it looks (external-ip)
        peer = (mapping[address] or private or address) if address in mapping else address
        verdicts.append((address, *turn.rule_for(peer)))
    public = set(mapping) - set(addresses)
    verdicts += [(address, *turn.rule_for(mapping[address] or private or address)) for address in public]
    refused = [(address, place) for address, allowed, place in verdicts if not allowed]
    if len(refused) == len(verdicts):
        note = f"denied-peer-ip covers every address of the bridge ({listed(a for a, _ in refused)})"
        return failed(note, places=[place for _, place in refused])
    allowed_places = [place for _, allowed, place in verdicts if allowed]
    return passed("the relay may reach the bridge", places=[*allowed_places, turn.name])


ALL = (
    Rule(
        id="SEC-16", area="C", title="TURN without credentials", needs=(), test=open_relay,
        absent="TURN with credentials alone",
        severity="critical", reason="anybody on the Internet sends traffic from this address, also into its network",
        source="RFC 8656 sections 5 and 21.1.1",
        guard="Binding requests need no credentials and are none of this",
        advice="Set use-auth-secret and static-auth-secret in turnserver.conf and remove no-auth.",
        visible="an Allocate request, in clear or with keys; or turnserver.conf", plan="turn",
    ),
    Rule(
        id="SEC-17", area="C", title="TURN into the network inside", needs=(), test=relay_inside,
        absent="No TURN into the network inside",
        severity="critical",
        reason="who may join a meeting reaches the server's private network and its metadata service",
        source="RFC 8656 section 10.2; CVE-2020-26262 (GHSA-6g6j-r9rf-cm7p); CVE-2026-27624",
        guard="the bridge's own address has to be allowed; a relay on a private network serves its neighbours",
        advice="Deny the private, link-local and IPv6 ranges (denied-peer-ip), allow the bridge's address alone "
        "(allowed-peer-ip), and run coturn 4.9.0 or later.",
        visible="CreatePermission requests in clear or with keys; or turnserver.conf", plan="turn",
    ),
    Rule(
        id="SEC-18", area="C", title="Relay that refuses the bridge", needs=(), test=dead_fallback,
        absent="Relay that lets through to the bridge",
        severity="medium", reason="participants whose networks let only TCP out have no sound and no picture",
        source="RFC 8656 sections 9 and 10.2; coturn issue 584; turnserver(1), allowed-peer-ip",
        guard="a laptop's private address is refused in healthy calls too; two refusals and no success are needed",
        advice="Add allowed-peer-ip=<private address of the bridge> to turnserver.conf. Weigh it against SEC-17: users "
        "of the relay then reach every UDP port of that host.",
        visible="permissions in clear, with keys, or by the lengths of TLS records; or turnserver.conf", plan="turn",
    ),
)  # fmt: skip
