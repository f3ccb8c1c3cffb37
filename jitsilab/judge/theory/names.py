"""Steps S01 and S02: the server's name is resolved, and the page comes over TLS with a certificate for that name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pandas as pd

from jitsilab.ip import is_loopback
from jitsilab.judge.checks import GUARD, Certainty, Outcome
from jitsilab.judge.theory.scope import Scope, Step, absent, broken, columns, hidden, holds, noted
from jitsilab.wire.x509 import covers

OLD = ("SSL 3.0", "TLS 1.0", "TLS 1.1")
JM = "jitsi/jitsi-meet"
FAILED = ("NXDOMAIN", "SERVFAIL", "REFUSED")
LOOKUPS = ("A", "AAAA", "HTTPS")
MOST_NAMES = 3  # that one sentence lists
_SEEN = {"NXDOMAIN": "does not exist", "SERVFAIL": "could not be looked up", "REFUSED": "was not looked up: refused"}


@dataclass(slots=True)
class _Lookup:
    """What became of the queries for one name, by seconds."""

    queries: list[tuple[float, int]] = field(default_factory=list)  # seconds, frame
    answers: list[tuple[float, int, frozenset[str]]] = field(default_factory=list)  # with addresses
    failures: list[tuple[float, int, str]] = field(default_factory=list)  # with the rcode
    other: list[float] = field(default_factory=list)  # answers without addresses of the kind, or cut short
    loose: bool = False  # an answer was cut short, or has more than its addresses say

    def before(self, seconds: float) -> set[str]:
        """Addresses that were known by then."""
        return {address for at, _, addresses in self.answers if at <= seconds for address in addresses}

    @property
    def ever(self) -> set[str]:
        """All addresses that any answer of the capture has."""
        return self.before(float("inf"))


@dataclass(frozen=True, slots=True)
class _Opened:
    """A TLS connection to a name."""

    name: str
    address: str
    flow: int
    frame: int
    seconds: float
    last: float
    begun: bool  # its SYN is in the capture


def resolved(scope: Scope) -> Outcome:
    """The name that a connection asks for was answered with the address that it went to, before it began."""
    own = scope.call.own if scope.call.own in scope.person.addresses else ""
    rows = scope.every.get("dns")
    ends = set(scope.person.addresses)
    messages = _asked_by(rows, ends, bool(own)) if rows is not None else pd.DataFrame()
    if messages.empty:
        if not own:
            return hidden("a client resolves names on its own side of the network")
        return hidden("no query in clear: a hosts file, a cache or DNS over HTTPS answered")
    lookups = _lookups(messages)
    opened = list(_opened(scope))
    right = [
        (connection, lookups[connection.name])
        for connection in opened
        if _fits(connection.address, lookups, connection.name, connection.seconds)
    ]
    if own and (fault := _astray(scope, opened, lookups) or _failed(scope, opened, lookups)):
        return fault
    if right:
        first, lookup = right[0]
        shown = [
            (at, frame) for at, frame, addresses in lookup.answers if at <= first.seconds and first.address in addresses
        ]
        at, frame = shown[0] if shown else (lookup.answers[0][0], lookup.answers[0][1])
        asked = [number for when, number in lookup.queries if when <= at]
        names = ", ".join(dict.fromkeys(connection.name for connection, _ in right[:MOST_NAMES]))
        note = f"{names} is {first.address}, answered {first.seconds - at:.3f} s before the connection"
        return holds(note, [*asked[-1:], frame, first.frame])
    wanted = sorted({connection.name for connection in opened})
    if not wanted:
        return noted(f"{len(messages)} queries and answers; no connection names its server", messages["frame"].head(4))
    what = f"no answer in clear for {', '.join(wanted[:MOST_NAMES])} before the connection"
    return hidden(f"{what}: a hosts file, a cache or DNS over HTTPS answered")


def _asked_by(rows: pd.DataFrame, ends: set[str], local: bool) -> pd.DataFrame:
    """Unicast queries and answers of a host; with ``local`` those to a resolver on the host itself too."""
    plain = rows[rows["service"].eq("dns") & rows["opcode"].eq("QUERY") & rows["name"].notna() & ~rows["duplicate"]]
    client = plain["src"].where(~plain["response"].astype(bool), plain["dst"])
    return plain[[address in ends or (local and is_loopback(address)) for address in client]]


def _lookups(rows: pd.DataFrame) -> dict[str, _Lookup]:
    """What was asked for and answered, by name, aliases included; names without regard to case (RFC 4343 section 3)."""
    lookups: dict[str, _Lookup] = {}
    targets: list[tuple[str, str]] = []
    for row in rows.itertuples(index=False):
        chain = [str(row.name).lower(), *_words(row.aliases)]
        for name in chain:
            lookup = lookups.setdefault(name, _Lookup())
            at, frame = float(row.seconds), int(row.frame)
            if not row.response:
                lookup.queries.append((at, frame))
                continue
            addresses = frozenset([*_words(row.addresses), *_words(row.hints)])
            lookup.loose |= bool(row.truncated) or not bool(row.complete) or row.ech is True
            targets += [(name, target) for target in _words(row.targets)]
            if addresses:
                lookup.answers.append((at, frame, addresses))
            elif row.rcode in FAILED and name == chain[0] and row.type in LOOKUPS:
                lookup.failures.append((at, frame, str(row.rcode)))
            else:
                lookup.other.append(at)
    for name, target in targets:  # the service may be at another name's addresses
        lookups[name].answers += lookups[target].answers if target in lookups and target != name else []
    return lookups


def _words(text: Any) -> list[str]:
    return str(text).lower().split() if isinstance(text, str) else []


def _opened(scope: Scope) -> Iterator[_Opened]:
    """The participant's TLS connections that name their server, in order."""
    tls, flows = scope.table("tls"), scope.table("flows")
    if tls is None or flows is None:
        return
    named = tls[tls["sni"].notna()].drop_duplicates("flow")
    sni = {int(flow): str(name).lower().rstrip(".") for flow, name in zip(named["flow"], named["sni"], strict=True)}
    for row in flows.sort_values("first_frame").itertuples(index=False):
        name = sni.get(int(row.flow))
        if name is not None:
            times = float(row.first_seconds), float(row.last_seconds)
            begun = bool(pd.notna(row.handshake) and row.handshake)
            yield _Opened(name, str(row.server), int(row.flow), int(row.first_frame), *times, begun)


def _fits(address: str, lookups: Mapping[str, _Lookup], name: str, seconds: float) -> bool:
    """Whether an address was answered for a name by then, also as the IPv4 address inside an IPv6 one (RFC 6052)."""
    if name not in lookups:
        return False
    known = lookups[name].before(seconds)
    return address in known or _inner(address) in known


def _inner(address: str) -> str:
    """The IPv4 address in the last 32 bits of an IPv6 one (RFC 6052 section 2.2, a prefix of 96 bits)."""
    parsed = _ip(address)
    return str(ip_address(int(parsed) & 0xFFFFFFFF)) if parsed is not None and parsed.version == 6 else ""


def _ip(address: str) -> Any:
    try:
        return ip_address(address)
    except ValueError:
        return None


def _astray(scope: Scope, opened: list[_Opened], lookups: Mapping[str, _Lookup]) -> Outcome | None:
    """A connection to an address that no answer for its name has, though the answers are there whole.

    Not one to an address that the client spoke to before it asked, which an older answer may have told.
    """
    if scope.call.lossy:
        return None
    flows = scope.every.get("flows")
    assert flows is not None  # the connections come from it
    for connection in opened:
        lookup = lookups.get(connection.name)
        if lookup is None or not connection.begun or lookup.loose:
            continue
        told_before = [(at, frame, addresses) for at, frame, addresses in lookup.answers if at <= connection.seconds]
        asked = [at for at, _ in lookup.queries if at <= connection.seconds]
        kinds = {_ip(address).version for _, _, addresses in told_before for address in addresses}
        target = _ip(connection.address)
        if not told_before or not asked or target is None or target.version not in kinds:
            continue
        older = flows["server"].eq(connection.address) & flows["first_seconds"].lt(min(asked))
        if connection.address in lookup.ever or _inner(connection.address) in lookup.ever or older.any():
            continue
        _, frame, addresses = told_before[-1]
        note = (
            f"{connection.name} was answered with {', '.join(sorted(addresses)[:MOST_NAMES])}, and the connection for "
            f"it went to {connection.address}: a line in the hosts file, an answer older than the capture, or a proxy"
        )
        return broken(note, [frame, connection.frame], certainty=Certainty.INFERRED)
    return None


def _failed(scope: Scope, opened: list[_Opened], lookups: Mapping[str, _Lookup]) -> Outcome | None:
    """A name that the call needs, and that nothing was connected to after its last lookup failed."""
    needed = dict.fromkeys(connection.name for connection in opened)
    services = [service for stream in scope.xmpp_streams for service in stream.services or ()]
    needed |= dict.fromkeys(str(service.host).lower().rstrip(".") for service in services if service.host)
    for name in needed:
        connections = [connection for connection in opened if connection.name == name]
        since = max((connection.last for connection in connections), default=-1.0)
        fault = _fault(name, lookups.get(name), since, scope.call.end, scope.call.lossy)
        if fault is not None:
            return broken(*fault)
    return None


def _fault(name: str, lookup: _Lookup | None, since: float, end: float, lossy: bool) -> tuple[str, list[int]] | None:
    """What became of the lookups of a name after a time, if they failed all: a sentence, and its frames."""
    if lookup is None or any(at > since for at, *_ in lookup.answers):
        return None
    asked = [(at, frame) for at, frame in lookup.queries if at > since]
    failures = [(frame, code) for at, frame, code in lookup.failures if at > since and end - at >= GUARD]
    if failures:
        last, code = failures[-1]
        note = f"the name {name} {_SEEN[code]} ({code}), and no connection followed"
        return f"{note}: check its record and the resolver", [*(frame for _, frame in asked[:2]), last]
    answered = any(at > since for at in (*lookup.other, *(at for at, *_ in lookup.failures)))
    if len(asked) > 1 and not answered and not lossy and end - asked[0][0] >= GUARD:
        note = f"{len(asked)} queries for {name} and no answer, and no connection followed"
        return f"{note}: check the resolver, and that UDP port 53 gets there", [frame for _, frame in asked]
    return None


def unresolved(tables: Mapping[str, pd.DataFrame | None]) -> tuple[str, list[int]]:
    """Where no call is to be seen: names that a host looked up in vain and then connected nowhere for, and frames.

    Empty text where there is none. Names without a dot, of services and of addresses are what hosts try by themselves.
    """
    rows, flows = tables.get("dns"), tables.get("flows")
    if rows is None or rows.empty or flows is None:
        return "", []
    clients = set(rows.loc[~rows["response"].astype(bool), "src"])
    lookups = _lookups(_asked_by(rows, clients, local=True))
    opening = flows[flows["transport"].eq("tcp") & flows["server_port"].isin([80, 443])]
    since = float(opening["last_seconds"].max()) if len(opening) else -1.0
    end = float(flows["last_seconds"].max()) if len(flows) else 0.0
    notes: list[str] = []
    frames: list[int] = []
    for name, lookup in lookups.items():
        if "." not in name or name.startswith("_") or name.endswith((".arpa", ".local")) or len(notes) >= MOST_NAMES:
            continue
        fault = _fault(name, lookup, since, end, lossy=False)
        if fault is not None:
            notes.append(fault[0])
            frames += fault[1]
    return "; ".join(notes), frames


HANDSHAKE = (
    "flow", "frame", "time", "up", "handshake", "version", "sni", "resumed", "certificate_from", "certificate_until",
    "certificate_names", "certificate_self_signed",
)  # fmt: skip


def page(tls: pd.DataFrame, scope: Scope) -> Outcome:
    """The page comes over TLS 1.2 or newer for the name that was asked for, with a certificate that covers it."""
    turning = {flow for flow, role in scope.person.flows.items() if role == "turn"}
    rows = columns(tls, *HANDSHAKE)[tls["handshake"].notna() & ~tls["flow"].isin(turning)]
    messages = rows["handshake"].astype("object")
    hellos = rows[messages.str.contains("client_hello").astype(bool)]
    answers = rows[messages.str.contains("server_hello").astype(bool) & rows["version"].notna()]
    if hellos.empty or answers.empty:
        return absent("the handshake is not in the capture: the connections are older")
    versions = sorted({str(version) for version in answers["version"]})
    frames = [*hellos["frame"].head(2), *answers["frame"].head(2)]
    old = answers[answers["version"].isin(OLD)]
    if len(old):
        return broken(f"the server took {', '.join(sorted(set(old['version'])))}", old["frame"], ", ".join(versions))
    fault, shown, vouched = _certificates(rows, hellos)
    if fault:
        return broken(fault, shown, ", ".join(versions))
    names = sorted({str(name) for name in hellos["sni"].dropna()})
    note = f"{', '.join(versions)} for {', '.join(names) or 'no name'}; {vouched}"
    frames += shown[:1]
    http = scope.table("http")
    spoken = scope.table("xmpp")
    if http is not None and len(http) and spoken is not None and len(spoken):
        first = spoken["frame"].min()
        fetched = http[http["method"].eq("GET") & http["status"].eq(200) & http["response_frame"].lt(first)]
        if len(fetched):
            note += f"; {len(fetched)} fetched before the first stanza"
            frames += list(fetched["response_frame"].head(2))
            if not fetched["target"].fillna("").str.contains(r"config\.js|lib-jitsi-meet", regex=True).any():
                note += ", config.js and the library not among it: cached, or part of the page"
    return holds(note, frames, ", ".join(versions))


def _certificates(rows: pd.DataFrame, hellos: pd.DataFrame) -> tuple[str, list[int], str]:
    """What is wrong with the server's certificates, the frames, and else what they say.

    Not judged: who signed them, and the names of one that its own key signed, which a lab's browser is told to accept.
    """
    if "certificate_until" not in rows:
        return "", [], "its certificate is not to be seen here"
    served = rows[rows["certificate_until"].notna() & ~rows["up"].fillna(True).astype(bool)]
    if served.empty:
        again = rows.loc[rows["resumed"].notna(), "resumed"].all()
        return "", [], "no certificate, sessions resumed" if again else "its certificate is encrypted here"
    sni = {int(flow): str(name) for flow, name in zip(hellos["flow"], hellos["sni"], strict=True) if pd.notna(name)}
    frames, remarks, ends = list(served["frame"].astype(int)), [], []
    for row in served.itertuples(index=False):
        begins, until = _day(row.certificate_from), _day(row.certificate_until)
        if pd.notna(row.time) and row.time.year >= 2000 and begins is not None and until is not None:
            if row.time > until:
                return f"the certificate ended on {until:%Y-%m-%d %H:%M} UTC, before the capture", [int(row.frame)], ""
            if row.time < begins:
                note = f"the certificate is not valid before {begins:%Y-%m-%d %H:%M} UTC, after the capture"
                return note, [int(row.frame)], ""
            ends.append(until)
        name, names = sni.get(int(row.flow)), str(row.certificate_names or "").split()
        own = bool(row.certificate_self_signed)
        if name is not None and names and not covers(names, name):
            if not own:
                listed = ", ".join(names[:MOST_NAMES]) + (" and more" if len(names) > MOST_NAMES else "")
                return f"the certificate is for {listed}, and {name} was asked for", [int(row.frame)], ""
            remarks.append(f"not for {name}")
        if own:
            remarks.append("signed by itself")
    valid = f"its certificate is valid until {min(ends):%Y-%m-%d}" if ends else "its certificate is there"
    return "", frames, ", ".join([valid, *dict.fromkeys(remarks)])


def _day(text: Any) -> "pd.Timestamp | None":
    """A time as a certificate's columns have it; None for what no Timestamp holds, such as the year 9999."""
    moment = pd.to_datetime(text, errors="coerce", utc=True)
    return None if pd.isna(moment) else moment


STEPS: tuple[Step, ...] = (
    Step(
        "S01",
        "The client resolves the server's name",
        "RFC 1035 section 4.1; RFC 8484 section 4",
        (),
        resolved,
        "a name and not an address was opened",
        "the client's own machine, DNS in clear",
    ),
    Step(
        "S02",
        "The page comes over TLS",
        f"RFC 8446 sections 4.1.2 and 4.1.3; {JM} doc/debian/jitsi-meet/jitsi-meet.example; "
        "RFC 5280 section 4.1.2.5; RFC 9525 section 6.3",
        ("tls",),
        page,
        "the page is opened in the capture",
        "the handshakes; keys for what was fetched, and for the certificate of TLS 1.3",
    ),
)
