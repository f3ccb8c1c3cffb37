"""The machines in a capture: which is the server, which addresses are private, what each connection to it is for."""

from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from jitsilab.case import legs
from jitsilab.ip import is_loopback, is_private
from jitsilab.tables import Tables, frame


def ends(tables: Tables, flows: pd.DataFrame) -> tuple[list[str], str]:
    """The server's addresses, and the capturing participant's where the capture is a participant's.

    A server answers TLS, TURN or checks of several, or of one from outside; whoever opens all flows to it is none.
    """
    if flows.empty:
        return [], ""
    outer = flows[~flows["client"].map(is_loopback) & (flows["client"] != flows["server"])]
    tls, stun = frame(tables, "tls"), frame(tables, "stun")
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
    serving_tls = _related(_main(servers, counted), serving, tls)
    servers = serving_tls + [a for a, _ in sorted(bridge) if a not in serving_tls and a not in clients]
    local = flows[flows["client"].map(is_loopback)]
    if "kind" in local:
        local = local[local["kind"].ne("DNS")]  # a resolver on the host itself is no server's loopback
    if len(local) or len(clients) != 1:
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


def _related(servers: list[str], serving: pd.DataFrame, tls: pd.DataFrame) -> list[str]:
    """The first server, and those that share a client with it or are asked for by its name; others serve strangers."""
    if len(servers) < 2:
        return servers
    names = tls.dropna(subset=["sni"]).set_index("flow")["sni"] if len(tls) and "sni" in tls else pd.Series(dtype=str)
    asked = serving.assign(sni=serving["flow"].map(names[~names.index.duplicated()]))
    clients, hosts = asked.groupby("server")["client"].agg(set), asked.dropna(subset=["sni"]).groupby("server")["sni"]
    called = hosts.agg(set)
    kept = servers[:1]
    for one in servers[1:]:
        shared = any(
            clients[one] & clients[other] or called.get(one, set()) & called.get(other, set()) for other in kept
        )
        kept += [one] if shared else []
    return kept


def roles(tables: Tables, flows: pd.DataFrame, servers: Collection[str]) -> dict[int, tuple[str, str]]:
    """What each outer TCP flow to a server is for: client's address and web, websocket, turn, signaling or other."""
    if flows.empty:
        return {}
    tls, http, xmpp, stun = (frame(tables, name) for name in ("tls", "http", "xmpp", "stun"))
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


def public(tables: Tables, servers: Collection[str]) -> str:
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
        & ~stun["src"].isin(servers)  # a relay on the server itself says what TURN was told, and no client's view
    ]
    seen = [str(m) for m, d, p in zip(answers["mapped_address"], answers["dst"], answers["dst_port"], strict=True)
            if pd.notna(p) and (str(d), int(p)) in bridge and m not in servers]  # fmt: skip
    return max(set(seen), key=seen.count) if seen else ""


def signaling(flows: pd.DataFrame, roles: Mapping[int, tuple[str, str]]) -> set[str]:
    """Addresses of the host that serves page and signaling."""
    talking = [flow for flow, (_, role) in roles.items() if role in ("web", "websocket", "signaling")]
    return set(flows.loc[flows["flow"].isin(talking), "server"]) if len(flows) else set()


def relayed(tables: Tables, servers: Collection[str]) -> str:
    """The address that TURN on one of these hosts relays from, where all its allocations agree."""
    stun = tables.get("stun")
    if stun is None or stun.empty:
        return ""
    given = stun[stun["relayed_address"].notna() & stun["src"].isin(servers)]["relayed_address"].unique()
    return str(given[0]) if len(given) == 1 else ""
