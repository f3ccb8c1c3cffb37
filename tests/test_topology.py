"""Who is the server: by what it says and serves, never by how busy it was in one laboratory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from captures import captured

from jitsilab.case.topology import topology

SERVER, UPDATES, CLIENT = "172.31.37.118", "192.0.2.200", "198.51.100.20"


def flows(*ends: tuple[str, str, int]) -> pd.DataFrame:
    """One TCP connection each: client, server, server's port."""
    rows = [
        {"flow": n, "transport": "tcp", "client": client, "client_port": 40000 + n, "server": server,
         "server_port": port, "first_frame": n + 1, "kind": "TLS"}
        for n, (client, server, port) in enumerate(ends)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def hellos(*alpn: str, sni: tuple[str, ...] = ()) -> pd.DataFrame:
    """A ClientHello and an answer on each flow."""
    names = sni or ("meet.example",) * len(alpn)
    asked = [(n, True, "client_hello", offered, names[n]) for n, offered in enumerate(alpn)]
    answered = [(n, False, "server_hello", None, None) for n in range(len(alpn))]
    table = pd.DataFrame(asked + answered, columns=["flow", "up", "handshake", "alpn", "sni"])
    return table.assign(frame=range(1, len(table) + 1)).astype({"alpn": "str", "sni": "str"})


def of(tables: dict[str, Any]) -> tuple[str, ...]:
    return topology(tables).servers


def test_a_server_that_fetches_its_updates_is_still_the_server() -> None:
    ends = [(CLIENT, SERVER, 443), (CLIENT, SERVER, 443)] + [(SERVER, UPDATES, 443)] * 40
    tls = hellos("h2 http/1.1", "http/1.1", *["http/1.1"] * 40, sni=("meet.example",) * 2 + ("mirror.example",) * 40)
    assert of({"flows": flows(*ends), "tls": tls}) == (SERVER,)


def test_a_second_address_of_the_same_name_is_the_server_s_however_few_use_it() -> None:
    ends = [(CLIENT, SERVER, 443)] * 60 + [("2001:db8::7", "2001:db8:1c::10", 443)] + [(CLIENT, "192.0.2.9", 443)] * 30
    names = ("meet.example",) * 61 + ("mail.example",) * 30
    tls = hellos("h2 http/1.1", "http/1.1", *["h2 http/1.1"] * 89, sni=names)
    assert set(of({"flows": flows(*ends), "tls": tls})) == {SERVER, "2001:db8:1c::10"}


def test_without_a_reason_the_busiest_is_no_more_than_inferred() -> None:
    found = topology({"flows": flows((CLIENT, SERVER, 443), ("192.0.2.30", SERVER, 443), (CLIENT, UPDATES, 443))})
    assert (found.servers, found.certainty) == ((SERVER,), "inferred")
    opens = topology({"flows": flows(("192.0.2.30", CLIENT, 80), ("192.0.2.30", SERVER, 80), (CLIENT, SERVER, 80))})
    assert opens.servers == (SERVER,)
    back = topology(
        {"flows": flows((CLIENT, SERVER, 80), (SERVER, CLIENT, 80), (SERVER, CLIENT, 80), (CLIENT, UPDATES, 1))}
    )
    assert back.servers == (UPDATES,)  # of three, the one that opens nothing
    assert topology({"flows": flows().reindex(columns=["flow"])}).servers == ()


@pytest.mark.parametrize(("point", "keys"), [("eth0", True), ("any", False), ("eth0", False)])
def test_a_recording_s_server_has_its_reason(recording: Callable[[str], Path], point: str, keys: bool) -> None:
    folder = recording("jvb-3")
    call = captured(folder, point, keys)
    found = topology(call.tables())
    assert found.servers == (SERVER,)
    assert found.public == "203.0.113.10"
    assert found.certainty == "measured"
    assert found.own == ""
    assert {role for _, role in found.roles.values()} >= {"web", "turn"}


def test_a_laptop_s_own_capture_is_known_as_one(recording: Callable[[str], Path]) -> None:
    folder = recording("client-a")
    call = captured(folder, "laptop-a-eth0")
    found = topology(call.tables())
    assert found.own == "192.168.1.23"
    assert found.servers == ("203.0.113.10", SERVER)  # the second: where the bridge's user fragment is asked for too
