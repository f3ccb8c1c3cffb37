"""The keyless reader against what keys show, against other vendors' TURN in clear, and against made-up deployments."""

import difflib
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pandas as pd
import pytest
from captures import captured
from made_turn import CONTROL, Connection, Server, tables

from jitsilab.analysis import turn_in_tls
from jitsilab.analysis.turn_lengths import openings, overhead, username_range
from jitsilab.call import load

Recording = Callable[[str], Path]
READ = ["jvb-3", "jvb-ipv6", "jvb-p2p-3", "p2p-turn-refused", "p2p-turn-tls", "symmetric", "turn-auth", "turn-refused",
        "udp-closed"]  # fmt: skip


def control(rows: pd.DataFrame) -> list[tuple[bool, str]]:
    return [(row.up, row.message) for row in rows.itertuples() if row.message.startswith(CONTROL)]


def compare(want: list[tuple[bool, str]], have: list[tuple[bool, str]]) -> tuple[int, int, int]:
    blocks = difflib.SequenceMatcher(None, want, have, autojunk=False).get_matching_blocks()
    same = sum(block.size for block in blocks)
    return same, len(want) - same, len(have) - same


@pytest.mark.parametrize("name", READ)
def test_each_control_message_is_named_as_its_plaintext_says(name: str, recording: Recording) -> None:
    folder = recording(name)
    want: dict[str, list[tuple[bool, str]]] = {}
    for line in (folder / "turn-in-tls.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["message"].startswith(CONTROL):
            want.setdefault(row["client"], []).append((row["up"], row["message"]))
    rows = captured(folder, keys=False).turn_in_tls
    assert set(rows["client"]) == set(want)
    for client, messages in want.items():
        assert control(rows[rows["client"] == client]) == messages


@pytest.mark.parametrize("name", [*READ, "turn-off", "no-turn", "auth-ok"])
def test_the_stage_is_the_one_that_was_measured(name: str, recording: Recording) -> None:
    folder = recording(name)
    call = captured(folder, keys=False)
    stages = turn_in_tls.stages(call.tls, call.flows)
    for one in json.loads((folder / "truth.json").read_text())["participants"]:
        mine = stages[stages["address"].isin([one["public"], one.get("public6")])]
        if one["turn_stage"] in ("not-tried", "not-offered"):
            assert mine.empty
        else:
            assert one["turn_stage"] in set(mine["stage"])


def test_checks_in_the_tunnel_are_told_apart_by_the_ufrags(recording: Recording) -> None:
    for name, session in (("turn-refused", "jvb"), ("p2p-turn-tls", "p2p"), ("p2p-turn-refused", "p2p")):
        call = captured(recording(name), keys=False)
        stages = turn_in_tls.stages(call.tls, call.flows)
        assert set(stages["session"].dropna()) == {session}, name


def test_refusals_of_another_vendor_are_read_from_lengths_alone(data: Path) -> None:
    """telegram_videocall.pcapng has TURN in clear: its lengths, fed as TLS records, give what the messages are."""
    call = load(data / "pcaps" / "telegram_videocall.pcapng")
    refused = call.stun[(call.stun["error_code"] == 403) & call.stun["frame"].isin([623, 639, 643])]
    clear = call.stun[call.stun["flow"].isin(refused["flow"]) & (call.stun["depth"] == 0)]
    rows = []
    for flow, messages in clear.groupby("flow"):
        first = messages.iloc[0]
        for up, kind, length, handshake in (
            (True, "handshake", 500, "client_hello"), (False, "handshake", 100, "server_hello"),
            (True, "application_data", 53, None),
        ):  # fmt: skip
            rows.append((first["frame"], first["seconds"], flow, up, kind, length, handshake))
        for one in messages.itertuples():
            rows.append((one.frame, one.seconds, flow, one.up, "application_data", one.size + 17, None))
    tls = pd.DataFrame(rows, columns=["frame", "seconds", "flow", "up", "record_type", "length", "handshake"])
    tls = tls.assign(version="TLS 1.3", suite=None, alpn=None)
    read = turn_in_tls.records(tls, call.flows)
    assert set(read.loc[read["message"] == "create-permission-error", "frame"]) == {623, 639, 643}
    words = {"Allocate": "allocate", "CreatePermission": "create-permission", "Refresh": "refresh", "Send": "send",
             "Data": "data"}  # fmt: skip
    for one in read.merge(clear, on=["frame", "flow"]).itertuples():
        suffix = {"success": "-success", "error": "-error"}.get(one.message_class, "")
        assert one.message == words[one.method] + suffix, one.frame


def made(kind: str, random: Random, server: Server) -> Connection:
    """A connection of one kind to one server."""
    one = Connection(server)
    one.open(good=kind != "auth")
    if kind == "refused":
        one.permit([False] * random.randrange(1, 4), random.randrange(3), random.choice([96, 100, 104, 108]))
    elif kind != "auth" and kind != "unused":
        one.permit([True, random.random() < 0.7], random.randrange(2), together=random.random() < 0.7)
        one.chat(random, 150 if kind == "unbound" else 4)
    if kind == "bound":
        one.bind()
        one.media(random, 300)
    one.wait(random.uniform(0.05, 2) if kind != "auth" else 8)
    if kind != "auth":
        one.leave(random.random() < 0.4)
    return one


@pytest.mark.parametrize("kind", ["unused", "refused", "checks", "bound", "unbound", "auth"])
def test_other_credentials_realms_servers_and_round_trips(kind: str) -> None:
    """Nothing named wrongly, at most one control message in twenty missed, whatever the deployment."""
    right = missed = wrong = 0
    for seed in range(12 if "bound" in kind else 30):
        random = Random(seed)
        one = made(kind, random, Server.any(random))
        same, less, more = compare(one.said, control(turn_in_tls.records(*one.tables)))
        right, missed, wrong = right + same, missed + less, wrong + more
    assert wrong == 0
    assert missed <= right / (3 if kind == "auth" else 20)  # a second refusal may be as long as a success


@pytest.mark.parametrize("seed", range(6))
def test_a_capture_that_ends_early_says_less_and_nothing_else(seed: int) -> None:
    random = Random(seed)
    one = made(random.choice(["refused", "checks", "bound"]), random, Server.any(random))
    tls, flows = one.tables
    whole = {row.frame: row.message for row in turn_in_tls.records(tls, flows).itertuples()}
    for size in range(1, len(tls), 1 + len(tls) // 20):
        cut = tls.iloc[:size]
        now = flows.assign(last_seconds=cut["seconds"].iloc[-1], last_frame=cut["frame"].iloc[-1], fins=0)
        for row in turn_in_tls.records(cut, now).itertuples():
            if row.message.startswith(CONTROL):
                assert whole[row.frame] == row.message


def test_what_lengths_cannot_say_is_not_said() -> None:
    """Padded records, block ciphers, connections from before the capture, web traffic."""
    one = made("checks", Random(1), Server())
    tls, flows = one.tables
    assert len(turn_in_tls.records(tls, flows))
    data = tls["record_type"] == "application_data"
    padded = tls.assign(length=tls["length"].where(~data, (tls["length"] + 511) // 512 * 512))
    no_hello = tls[tls["handshake"].isna()]
    web = tls.assign(alpn=["h2 http/1.1" if hello == "client_hello" else None for hello in tls["handshake"]])
    block = tls.assign(version="TLS 1.2", suite="TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256")
    for other in (padded, no_hello, web, block, tls.iloc[:0]):
        assert turn_in_tls.records(other, flows).empty


def test_credentials_refused_once_more_are_no_allocation() -> None:
    for server in (Server(), Server(fixed=0, fingerprint=8), Server(username=16, realm=4)):
        one = Connection(server)
        one.open(good=False)
        one.wait(9)
        assert control(turn_in_tls.records(*one.tables))[3] == (False, "allocate-error")
        assert turn_in_tls.stages(*one.tables)["stage"].tolist() == ["auth-failed"]


@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize("fins", [True, False])
def test_a_length_that_success_and_refusal_share_stays_open(good: bool, fins: bool) -> None:
    """As with a realm of nine to twelve letters and coturn's nonce of sixteen: both are 108 bytes with its SOFTWARE."""
    one = Connection(Server(realm=12, fixed=32, fingerprint=8))
    one.open(good)
    one.wait(9)
    tls, flows = tables([one], fins)
    read = turn_in_tls.records(tls, flows)
    assert read["length"].iloc[3] == read["length"].iloc[5] == 108
    assert read["message"].tolist()[-1] == "other"
    stages = turn_in_tls.stages(tls, flows)
    assert stages["stage"].tolist() != ["auth-failed"]
    assert stages["certainty"].tolist() == ["inferred"]


def test_a_success_as_long_as_the_401_is_known_by_what_follows() -> None:
    one = Connection(Server(realm=12))  # realm and nonce together as long as what a success holds
    one.open()
    one.permit([True])
    one.leave()
    read = turn_in_tls.records(*one.tables)
    assert read["length"].iloc[3] == read["length"].iloc[5]
    assert control(read) == one.said


def test_two_records_in_one_frame_are_split_where_one_split_stands_out() -> None:
    first, second = Connection(Server(), flow=1), Connection(Server(), flow=2, start=20.0, frame=500)
    for one in (first, second):
        one.open()
        one.permit([False, False])
        one.leave()
    tls, flows = tables([first, second])
    pair = (tls["flow"] == 2) & (tls["length"] == Server().told(20) + 17) & ~tls["up"]
    assert pair.sum() == 2
    tls["length_sum"], tls["sharing"] = pd.array([None] * len(tls), "Int64"), pd.array([None] * len(tls), "Int64")
    tls.loc[pair, ["length_sum", "sharing"]] = [int(tls.loc[pair, "length"].sum()), 2]
    tls.loc[pair, "frame"] = tls.loc[pair, "frame"].min()
    tls.loc[pair, "length"] = pd.NA
    read = turn_in_tls.records(tls, flows)
    assert (read.loc[read["flow"] == 2, "message"] == "create-permission-error").sum() == 2


def test_an_unanswered_hello_is_unreachable() -> None:
    one = Connection(Server())
    one.rows = one.rows[:1]
    one.wait(0.1)
    stages = turn_in_tls.stages(*one.tables)
    assert stages["stage"].tolist() == ["unreachable"]
    assert stages["frames"].tolist() == [str(one.rows[0]["frame"])]


def test_overhead_follows_the_protection() -> None:
    assert [one.size for one in overhead("TLS 1.3", None)] == [17]
    assert [one.size for one in overhead("TLS 1.3", "TLS_AES_128_CCM_8_SHA256")] == [9]
    assert [one.size for one in overhead("TLS 1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")] == [24]
    assert [one.size for one in overhead("TLS 1.2", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256")] == [16]
    assert overhead("TLS 1.2", "TLS_RSA_WITH_AES_128_CBC_SHA") == []
    assert overhead("TLS 1.0", None) == []


def test_the_lengths_of_the_study_have_one_meaning() -> None:
    """28, 88, 108, 84: every sum follows, and only what a standard 401 fixes is conditional."""
    opening = openings([28, 88, 108, 84])[0]
    assert (opening.create_permission, opening.channel_bind, opening.refresh) == (112, 120, 108)
    assert (opening.granted, opening.refreshed, opening.reason(72)) == (52, 60, 12)
    assert (opening.fixed, opening.username, opening.realm_and_nonce) == (8, 12, 32)
    assert openings([28, 90, 108, 84]) == []
    assert username_range(96) == (9, 12)
    assert username_range(104) == (17, 20)
