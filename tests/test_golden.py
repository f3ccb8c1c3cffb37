"""What the study's data show, written down beforehand: each fact from the tables, by the functions that reports use.

Where a row is altered, the fact must fall: else the test would hold of anything.
"""

from typing import Any

import pandas as pd
import pytest
from calls import named

from jitsilab.analysis import clock, turn_in_tls
from jitsilab.judge import hypotheses
from jitsilab.judge.checks import Verdict
from jitsilab.judge.hypotheses import Claim

A, B, C, D = "IP A", "IP B", "IP C", "IP D"
OF_C = [50984, 50986, 51028, 51676, 51698, 51734]
OF_A = [6231, 6234, 6262, 6264]


@pytest.fixture(scope="module")
def call() -> Any:
    return named("project3-2020")


@pytest.fixture(scope="module")
def stages(call: Any) -> pd.DataFrame:
    return turn_in_tls.stages(call.tls, call.flows)


def tables_of(call: Any) -> dict[str, Any]:
    return {name: call.table(name) for name in hypotheses.NEEDED}


def verdict(tables: dict[str, Any], premise: str) -> Verdict:
    tested = hypotheses.test(Claim((B, C)), tables)
    return next(outcome.verdict for check, outcome in tested.premises if check.id == premise)


def test_every_line_was_understood(call: Any) -> None:
    assert len(call.frames) == 3076
    assert call.errors.empty


def test_fifteen_flows(call: Any) -> None:
    """0.1: two long flows to the web server, two UDP sessions, ten short TLS flows, one SSH."""
    flows = call.flows
    assert len(flows) == 15
    ends = set(zip(flows["client"], flows["client_port"], flows["server"], flows["server_port"], strict=True))
    assert {(A, 6138, B, 443), (C, 48018, B, 443), (A, 6233, B, 10000), (A, 6263, B, 10000), (A, 8864, B, 22)} <= ends
    versions = call.tls.dropna(subset=["version"]).groupby("flow")["version"].agg(lambda column: set(column))
    short = flows[flows["flow"].map(versions).map(lambda found: found == {"TLS 1.3"})]
    assert sorted(short.loc[short["client"] == C, "client_port"]) == OF_C
    assert sorted(short.loc[short["client"] == A, "client_port"]) == OF_A
    assert set(short["server_port"]) == {443}


@pytest.mark.parametrize(
    ("message", "up", "length"),
    [("allocate-error", False, 88), ("allocate-success", False, 84), ("create-permission", True, 112),
     ("create-permission-error", False, 72), ("refresh", True, 108), ("refresh-success", False, 60)],
)  # fmt: skip
def test_lengths_of_messages(message: str, up: bool, length: int, call: Any) -> None:
    """0.2: each kind of message has one length."""
    rows = call.turn_in_tls
    rows = rows[rows["message"] == message]
    assert set(rows["length"]) == {length}
    assert set(rows["up"]) == {up}
    assert set(rows["record_length"]) == {length + 17}


def test_ten_allocations_were_granted(call: Any, stages: pd.DataFrame) -> None:
    """0.2: 28, 88, 108, 84 ten times; five equations or more hold in each flow."""
    rows = call.turn_in_tls
    asked = rows[rows["message"] == "allocate"].groupby("flow")["length"].apply(list)
    assert asked.tolist() == [[28, 108]] * 10
    assert (rows["message"] == "allocate-success").sum() == 10
    assert set(stages["certainty"]) == {"deduced"}
    assert sorted(stages.loc[stages["stage"] == "allocated", "address"]) == [A] * 4
    assert (stages["score"] >= 5).all()


def test_what_the_sums_leave_open(stages: pd.DataFrame) -> None:
    """0.2: the trailing 8 and the reason's 12 are deduced; the rest is conditional on the standard 401."""
    assert set(stages["fixed"]) == {8}
    assert set(stages["reason"].dropna()) == {12}
    assert set(stages["username"]) == {12}
    assert set(stages["realm_and_nonce"]) == {32}


def test_all_twelve_permissions_of_c_were_refused(call: Any, stages: pd.DataFrame) -> None:
    """0.3: twelve asked, twelve refused, none granted; eight of the answers share a frame with another."""
    mine = stages[stages["address"] == C]
    assert set(mine["stage"]) == {"permission-refused"}
    assert mine[["permissions", "granted", "refused"]].sum().tolist() == [12, 0, 12]
    assert stages.loc[stages["address"] == A, "permissions"].sum() == 0
    refusals = call.turn_in_tls[call.turn_in_tls["message"] == "create-permission-error"]
    assert refusals["frame"].duplicated(keep=False).sum() == 8
    assert verdict(tables_of(call), "H5") is Verdict.HOLDS


def test_the_invariants_hold(call: Any) -> None:
    """0.3b: whatever the credentials, these differences are fixed."""
    length = call.turn_in_tls.groupby("message")["length"].max()
    assert length["create-permission"] == length["allocate"] + 4
    assert length["refresh"] == length["allocate"]
    assert length["allocate-success"] - length["refresh-success"] == 24
    assert length["create-permission-error"] == length["allocate-success"] - 32 + 20


def test_twelve_checks_of_c_run_inside_the_tunnel(call: Any, stages: pd.DataFrame) -> None:
    """0.5: four flows for the bridge, two for the peer, two checks each."""
    mine = stages[stages["address"] == C].set_index("client")
    assert mine["checks"].tolist() == [2] * 6
    by_session = mine.groupby("session")
    assert {client.split(":")[1] for client in by_session.get_group("p2p").index} == {"50986", "51698"}
    assert set(by_session.get_group("p2p")["check_length"]) == {96}
    assert set(by_session.get_group("jvb")["check_length"]) == {104}
    assert set(by_session.get_group("p2p")["username_longest"]) == {12}
    assert set(by_session.get_group("jvb")["username_longest"]) == {20}
    sent = call.turn_in_tls[call.turn_in_tls["message"] == "send"]
    assert sorted(sent["length"].unique()) == [132, 140]
    assert not len(call.stun[(call.stun["src"] == C) | (call.stun["dst"] == C)])


def test_restarts_follow_the_refusals(stages: pd.DataFrame) -> None:
    """0.6: refused at 15.26 s, closed at 17.53 s, anew at 17.88 s; again 55.73, 57.97, 58.32 s."""
    bridge = stages[stages["session"] == "jvb"].sort_values("first_seconds")
    begun, ended = bridge["first_seconds"].round(2).tolist(), bridge["last_seconds"].tolist()
    assert begun[1] == 17.88
    assert begun[3] == 58.32
    assert 2.0 < begun[1] - 15.26 < 3.0
    assert 17.53 < ended[0] < 17.60
    assert 57.97 < ended[2] < 58.05


def test_traffic(call: Any) -> None:
    """0.7: what the bridge sent A is feedback, and C's long flow is no larger than A's, which carries no media."""
    flows = call.flows.set_index(["client", "client_port"])
    assert flows.loc[(A, 6233), ["bytes_up", "bytes_down"]].tolist() == [79962, 10027]
    assert flows.loc[(A, 6263), ["bytes_up", "bytes_down"]].tolist() == [189336, 9512]
    assert flows.loc[(A, 6138), ["bytes_up", "bytes_down"]].tolist() == [96716, 204854]
    assert flows.loc[(C, 48018), ["bytes_up", "bytes_down"]].tolist() == [107432, 227331]
    assert call.frames[(call.frames["src"] == C) & (call.frames["ip_protocol"] == 17)].empty


def test_the_clock_of_the_server_is_in_its_ufrags(call: Any) -> None:
    """0.8: 19 October 2020, 19:47:27.054 and 19:48:07.701 UTC."""
    rows = clock.anchors(call.stun)
    assert rows["made"].dt.strftime("%Y-%m-%d %H:%M:%S.%f").str[:-3].tolist() == [
        "2020-10-19 19:47:27.054", "2020-10-19 19:48:07.701",
    ]  # fmt: skip
    assert rows["made"].diff().dt.total_seconds().iloc[1] == pytest.approx(40.647)
    assert rows["first_seconds"].diff().iloc[1] == pytest.approx(41.405, abs=0.0005)
    assert set(rows["certainty"]) == {"deduced"}


def test_two_stacks_and_one_hello(call: Any) -> None:
    """0.9: SYNs of two systems, ClientHellos of one length."""
    syn = call.tcp[call.tcp["flags"] == "SYN"]
    assert {client: set(zip(some["window"], some["scale"], strict=True)) for client, some in syn.groupby("src")} == {
        A: {(65535, 6)}, C: {(29200, 12)},
    }  # fmt: skip
    hello = call.tls[call.tls["handshake"] == "client_hello"]
    assert (hello["length"] + 5).tolist() == [543] * 10
    assert set(hello["src"]) == {A, C}


def test_server_flights_are_too_short_for_certificates(call: Any) -> None:
    """0.10: 241 bytes in all ten handshakes."""
    flights = call.tls[call.tls["handshake"].eq("server_hello")]["frame"]
    rows = call.tls[call.tls["frame"].isin(flights)]
    sizes = rows.groupby("frame").apply(
        lambda some: int(some["length"].sum() + some["length_sum"].max() + 5 * len(some)), include_groups=False
    )
    assert sizes.tolist() == [241] * 10


def test_dtls(call: Any) -> None:
    """0.10: A is the DTLS client, B answers 3 ms after ICE is done, no HelloVerifyRequest, application data in both."""
    hello = call.dtls[call.dtls["handshake_type"] == "client_hello"]
    assert set(hello["src"]) == {A}
    assert set(call.dtls.loc[call.dtls["handshake_type"] == "server_hello", "src"]) == {B}
    assert "hello_verify_request" not in set(call.dtls["handshake_type"])
    first = call.dtls[call.dtls["handshake_type"] == "server_hello"].iloc[0]
    assert first["seconds"] == pytest.approx(15.325, abs=0.0005)
    assert set(call.dtls.loc[call.dtls["record_type"] == "application_data", "flow"]) == set(hello["flow"])


def test_stun(call: Any) -> None:
    """0.10: the bridge's responses carry USERNAME; A saw D, one port; the bridge nominates from its second check on."""
    responses = call.stun[call.stun["message_class"] == "success"]
    mine = responses[responses["src"] == B]
    assert mine["username"].notna().all()
    assert set(mine["size"]) == {104}
    other = responses[responses["src"] == A]
    assert set(zip(other["mapped_address"], other["mapped_port"], strict=True)) == {(D, 10000)}
    assert len(other) == 10
    assert (mine["mapped_address"] == mine["dst"]).all()  # which says nothing of a NAT before the server
    checks = call.stun[(call.stun["message_class"] == "request") & (call.stun["src"] == B)]
    for _, some in checks.groupby("flow"):
        assert some["size"].diff().iloc[1] == 4


def test_the_redaction_leaks(call: Any) -> None:
    """0.11: an address, two hardware addresses, timestamps, ufrags."""
    assert "172.31.32.1" in set(call.arp["sender_ip"])
    assert len({*call.arp["sender_mac"], *call.arp["target_mac"]} - {"ff:ff:ff:ff:ff:ff"}) == 2
    assert call.tcp["tsval"].notna().sum() > 500
    assert clock.texts_with_time(call.stun["username"].dropna())


def test_altered_dropped_tls_rows_leave_nothing_observable(call: Any) -> None:
    tables = {
        **tables_of(call),
        "tls": call.tls.iloc[:0],
        "turn_in_tls": turn_in_tls.records(call.tls.iloc[:0], call.flows),
    }
    assert len(tables["turn_in_tls"]) == 0
    for premise in ("H3", "H4", "H5"):
        assert verdict(tables, premise) is Verdict.NOT_OBSERVABLE


def test_altered_refusals_as_long_as_successes_flip_the_verdict(call: Any) -> None:
    """The refused replies' 72 bytes become a success's 52."""
    tls = call.tls.copy()
    tls.loc[tls["length"].eq(89) & ~tls["up"].astype(bool), "length"] = 69
    tls.loc[tls["length_sum"].eq(178), "length_sum"] = 138
    stages = turn_in_tls.stages(tls, call.flows)
    mine = stages[stages["address"] == C]
    assert set(mine["stage"]) == {"permitted"}
    assert mine[["granted", "refused"]].sum().tolist() == [12, 0]
    tables = {**tables_of(call), "tls": tls, "turn_in_tls": turn_in_tls.records(tls, call.flows)}
    assert verdict(tables, "H5") is Verdict.BROKEN


def test_altered_udp_of_c_is_no_tunnel(call: Any) -> None:
    frames = call.frames.copy()
    frames.loc[frames["frame"] == 3076, "src"] = C
    tables = tables_of(call)
    assert verdict(tables, "H3") is Verdict.HOLDS
    assert verdict({**tables, "frames": frames}, "H3") is Verdict.BROKEN


def test_altered_lengths_of_an_opening_are_no_turn(call: Any) -> None:
    """One 401 longer by two bytes: that flow is read no more, the others are."""
    tls = call.tls.copy()
    flow = call.flows.loc[call.flows["client_port"] == 6231, "flow"].iloc[0]
    tls.loc[(tls["flow"] == flow) & (tls["length"] == 105), "length"] = 107
    assert set(turn_in_tls.stages(tls, call.flows)["flow"]) == set(call.turn_in_tls["flow"]) - {flow}


def test_altered_ufrags_are_no_clock(call: Any) -> None:
    stun = call.stun.copy()
    stun["username"] = stun["username"].str.replace("1el16dv6e", "1el1zdv6e").str.replace("1el16f6sl", "1dl16f6sl")
    assert clock.anchors(stun)["certainty"].tolist() == ["inferred"]
