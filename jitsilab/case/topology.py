"""The machines in a capture, decided once: which is the server, what addresses it has, what each connection is for.

Whoever asks where a packet came from, theory, diagnosis, narrative or figure, asks here, or the cast, which adds who
the participants are.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from jitsilab.case import legs
from jitsilab.case.recognition import PATHS
from jitsilab.ip import is_loopback, is_private
from jitsilab.tables import Tables, frame


@dataclass(frozen=True, slots=True)
class Topology:
    """Who is the server, and what runs where."""

    servers: tuple[str, ...] = ()  # its addresses as the capture has them, IPv4 and IPv6, the surest first
    evidence: str = ""  # what says so
    certainty: str = ""  # measured: by what only a server of a call says; deduced: it answers; inferred: it is busiest
    own: str = ""  # address of the one participant on whose machine it was captured, else empty
    public: str = ""  # where clients see the server, if that is none of its own addresses
    relayed: str = ""  # address that TURN on the server relays from, where all allocations agree
    roles: Mapping[int, tuple[str, str]] = field(default_factory=dict)  # flow: client, and web, websocket, turn, ...
    bridges: frozenset[tuple[str, int]] = frozenset()  # address and port of each bridge whose ICE is seen


def topology(tables: Tables) -> Topology:
    """The machines of a capture; ``tables`` as `Call.tables` gives them."""
    flows, stun = frame(tables, "flows"), frame(tables, "stun")
    bridges = legs.ice4j_ports(stun) if len(stun) else frozenset()
    if flows.empty:
        return Topology(bridges=bridges)
    flows = flows[[name for name in ("flow", "transport", "client", "server", "server_port", "kind") if name in flows]]
    outer = flows[~flows["client"].map(is_loopback) & (flows["client"] != flows["server"])]
    serving = _answering(tables, outer)
    servers, evidence, certainty = _servers(tables, outer, serving, bridges)
    served = roles(tables, flows, servers)
    return Topology(
        tuple(servers), evidence, certainty, _own(flows, serving, servers), public(stun, servers, bridges),
        relayed(stun, signaling(flows, served)), served, bridges,
    )  # fmt: skip


def _answering(tables: Tables, outer: pd.DataFrame) -> pd.DataFrame:
    """The flows whose server answers TLS or TURN; all of them where none does."""
    tls, stun = frame(tables, "tls"), frame(tables, "stun")
    answering = set(tls.loc[~tls["up"].fillna(True).astype(bool), "flow"].dropna()) if len(tls) else set()
    if len(stun):
        answering |= set(stun.loc[stun["method"].eq("Allocate"), "flow"].dropna())
    serving = outer[outer["flow"].isin(answering)]
    return serving if len(serving) else outer


def _servers(
    tables: Tables, outer: pd.DataFrame, serving: pd.DataFrame, bridges: Collection[tuple[str, int]]
) -> tuple[list[str], str, str]:
    """The server's addresses, what says so, and how surely.

    What only the server of a call is asked or says comes first: signaling, a bridge's ICE. Then a host that serves page
    and WebSocket, then one that TURN is asked of; at last the one that most others turn to. Other addresses are the
    same server's where they are asked for by the same name, or serve the same clients with TURN.
    """
    if outer.empty:
        return [], "", ""
    counted = serving.groupby("server").agg(clients=("client", "nunique"), flows=("client", "size"))
    ranks = [str(server) for server in counted.sort_values(["clients", "flows"], ascending=False, kind="stable").index]
    hosts = sorted({address for address, _ in bridges})
    asked = _asked(tables, outer)
    pages = _pages(tables, serving)
    turned = set(serving.loc[serving["flow"].isin(_allocating(tables)), "server"])
    reasons = (
        (asked, "signaling of a call", "measured"),
        (set(hosts) & set(ranks), "a bridge's ICE beside what it serves", "measured"),
        (pages, "a page and a WebSocket", "deduced"),
        (turned, "TURN", "deduced"),
    )
    chosen, evidence, certainty = next((reason for reason in reasons if reason[0]), (set(), "", ""))
    main = [server for server in ranks if server in chosen] or sorted(chosen)
    if not chosen:
        clients = set(serving["client"])
        # whoever opens flows as well is more likely a client
        quiet = [server for server in ranks if server not in clients]
        main, evidence, certainty = (quiet or ranks)[:1], "more turn to it than to any other", "inferred"
    kin = _kin(main, ranks, serving, tables, turned)
    clients = set(serving.loc[serving["server"].isin(kin), "client"]) - set(kin)
    return kin + [host for host in hosts if host not in kin and host not in clients], evidence, certainty


def _asked(tables: Tables, outer: pd.DataFrame) -> set[str]:
    """Hosts that are asked, in clear or decrypted, for what pages, bridges and focuses of Jitsi Meet ask for."""
    http, xmpp = frame(tables, "http"), frame(tables, "xmpp")
    flows: set[Any] = set()
    if len(http):
        flows |= set(http.loc[http["target"].fillna("").str.contains(PATHS), "flow"])
    if len(xmpp):
        flows |= set(xmpp.loc[xmpp["carrier"].isin(["ws", "bosh"]), "flow"].dropna())
    return set(outer.loc[outer["flow"].isin(flows), "server"].astype(str))


def _pages(tables: Tables, serving: pd.DataFrame) -> set[str]:
    """Hosts at one port of which somebody asks for a page (h2) and for a WebSocket (http/1.1 alone)."""
    tls = frame(tables, "tls")
    if not len(tls):
        return set()
    hellos = _hellos(tls).drop_duplicates("flow")
    offered = dict(zip(hellos["flow"], hellos["alpn"].fillna(""), strict=True))
    alpn = pd.Series([offered.get(flow, "") for flow in serving["flow"]], serving.index, dtype="str")
    page, socket = alpn.str.contains(r"\bh2\b"), alpn.eq("http/1.1")
    both = set(zip(serving["server"][page], serving["server_port"][page], strict=True)) & set(
        zip(serving["server"][socket], serving["server_port"][socket], strict=True)
    )
    return {str(server) for server, _ in both}


def _hellos(tls: pd.DataFrame) -> pd.DataFrame:
    """Of each ClientHello its flow and the protocols that it asks for."""
    return tls.loc[tls["handshake"].fillna("").str.contains("client_hello"), ["flow", "alpn"]]


def _allocating(tables: Tables) -> set[Any]:
    """Flows on which an allocation is asked of TURN."""
    stun = frame(tables, "stun")
    return set(stun.loc[stun["method"].eq("Allocate"), "flow"].dropna()) if len(stun) else set()


def _kin(
    main: list[str], ranks: list[str], serving: pd.DataFrame, tables: Tables, turned: Collection[str]
) -> list[str]:
    """The server's addresses and those of what belongs to it: asked for by the same name, or TURN of the same clients.

    A name in a ClientHello is what the client calls a host; two hosts of one name are one server, or one service.
    """
    tls = frame(tables, "tls")
    named = tls.loc[tls["sni"].notna(), ["flow", "sni"]] if len(tls) else tls
    names = named.drop_duplicates("flow").set_index("flow")["sni"] if len(tls) else pd.Series()
    asked = serving.assign(sni=serving["flow"].map(names) if len(names) else None)
    called = {str(server): set(sni.dropna()) for server, sni in asked.groupby("server")["sni"]}
    clients = {str(server): set(of_server) for server, of_server in serving.groupby("server")["client"]}
    kept = list(main)
    for address in ranks:
        if address in kept:
            continue
        same = any(called.get(address, set()) & called.get(other, set()) for other in main)
        relay = address in turned and any(clients.get(address, set()) & clients.get(other, set()) for other in main)
        kept += [address] if same or relay else []
    return kept


def _own(flows: pd.DataFrame, serving: pd.DataFrame, servers: Collection[str]) -> str:
    """The one client of a private address that reaches a public server: the capture was made at the client's."""
    local = flows[flows["client"].map(is_loopback)]
    if "kind" in local:
        local = local[local["kind"].ne("DNS")]  # a resolver on the host itself is no server's loopback
    clients = set(serving["client"])
    if len(local) or len(clients) != 1 or any(map(is_private, set(serving["server"]) & set(servers))):
        return ""
    only = str(next(iter(clients)))
    return only if is_private(only) else ""


def roles(tables: Tables, flows: pd.DataFrame, servers: Collection[str]) -> dict[int, tuple[str, str]]:
    """What each outer TCP flow to a server is for: client's address and web, websocket, turn, signaling or other."""
    if flows.empty:
        return {}
    tls, http, xmpp, stun = (frame(tables, name) for name in ("tls", "http", "xmpp", "stun"))
    offered: dict[int, Any] = {}
    known = set(tls["flow"].dropna().astype(int)) if len(tls) else set()
    if len(tls):
        hellos = _hellos(tls)
        offered = {int(f): a for f, a in zip(hellos["flow"], hellos["alpn"], strict=True) if pd.notna(f)}
    talking = set(xmpp["flow"].dropna().astype(int)) if len(xmpp) else set()
    turning = set(stun.loc[stun["transport"].isin(["tls", "tcp"]), "flow"].dropna().astype(int)) if len(stun) else set()
    asking = set(http["flow"].dropna().astype(int)) if len(http) else set()
    by_flow = {}
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
        by_flow[flow] = (str(client), role)
    return by_flow


def public(stun: pd.DataFrame, servers: Collection[str], bridges: Collection[tuple[str, int]]) -> str:
    """The server's public address: what clients saw its checks come from, where that is none of its own."""
    if stun.empty:
        return ""
    answers = (
        stun["method"].eq("Binding")
        & stun["message_class"].eq("success")
        & stun["depth"].eq(0)
        & stun["mapped_address"].notna()
        & ~stun["src"].isin(servers)  # a relay on the server itself says what TURN was told, and no client's view
    )
    columns = (stun.loc[answers, name] for name in ("mapped_address", "dst", "dst_port"))
    seen = [str(m) for m, d, p in zip(*columns, strict=True)
            if pd.notna(p) and (str(d), int(p)) in bridges and m not in servers]  # fmt: skip
    return max(set(seen), key=seen.count) if seen else ""


def signaling(flows: pd.DataFrame, roles: Mapping[int, tuple[str, str]]) -> set[str]:
    """Addresses of the host that serves page and signaling."""
    talking = [flow for flow, (_, role) in roles.items() if role in ("web", "websocket", "signaling")]
    return set(flows.loc[flows["flow"].isin(talking), "server"]) if len(flows) else set()


def relayed(stun: pd.DataFrame, servers: Collection[str]) -> str:
    """The address that TURN on one of these hosts relays from, where all its allocations agree."""
    if stun.empty:
        return ""
    given = stun.loc[stun["relayed_address"].notna() & stun["src"].isin(servers), "relayed_address"].unique()
    return str(given[0]) if len(given) == 1 else ""
