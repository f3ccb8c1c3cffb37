"""The steps of the theory: healthy calls conform, broken ones deviate where they broke, altered ones where altered."""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from by_night import thinned
from calls import named
from captures import captured

import jitsilab as jl
from jitsilab.call import Call
from jitsilab.judge import theory
from jitsilab.judge.checks import Verdict

Tables = dict[str, pd.DataFrame]
ROOT = Path(__file__).resolve().parent.parent
HEALTHY = ("jvb-3", "jvb-bosh", "jvb-p2p-3", "leave-rejoin", "auth-ok", "symmetric")
HEALTHY_TOO = ("jvb-lossy", "hostile", "p2p-relay-only", "p2p-leave-rejoin", "udp-closed")


def deviations(call: Call) -> dict[str, set[str]]:
    rows = call.steps[call.steps["verdict"] == "DEVIATES"]
    return {str(step): set(some["participant"]) for step, some in rows.groupby("step")}


def test_the_theory_is_in_order_and_each_step_says_where_it_comes_from() -> None:
    assert [step.id for step in theory.STEPS] == [f"S{number:02d}" for number in range(1, 36)]
    for step in theory.STEPS:
        assert step.title
        assert re.search(r"RFC \d{4}|XEP-\d{4}|jitsi/[\w-]+ \w", step.source), step.id
        assert step.precondition
        assert step.visible
        assert step.each in ("participant", "session")


def test_the_page_of_the_steps_tells_what_the_data_tell() -> None:
    page = (ROOT / "docs" / "steps.md").read_text()
    for step in theory.STEPS:
        assert f"| {step.id} | {step.title} |" in page
        assert step.source in page
    for one in theory.departures():
        assert one.practice in page
        assert one.step in {step.id for step in theory.STEPS}


@pytest.mark.parametrize("name", [*HEALTHY, *thinned(HEALTHY_TOO)])
def test_no_step_deviates_in_a_healthy_call(recording: Callable[[str], Path], name: str) -> None:
    steps = captured(recording(name)).steps
    assert list(steps.columns) == list(theory.SCHEMA)
    assert deviations(captured(recording(name))) == {}
    assert set(steps["verdict"]) <= {one.value for one in Verdict}
    judged = theory.summary(steps)
    assert len(judged) == len(theory.STEPS) * steps["participant"].nunique()
    assert (judged["verdict"] == "CONFORMS").groupby(judged["participant"]).sum().min() >= 15


@pytest.mark.parametrize(("name", "point", "keys"), [("jvb-tls12", "any", False), ("jvb-3", "eth0", False)])
def test_nor_without_keys(recording: Callable[[str], Path], name: str, point: str, keys: bool) -> None:
    call = captured(recording(name), point, keys)
    assert deviations(call) == {}
    signaled = theory.summary(call.steps).query("step in ('S05', 'S12', 'S13')")["verdict"]
    assert set(signaled) == ({"CONFORMS"} if point == "any" else {"NOT_OBSERVABLE"})


@pytest.mark.parametrize(
    ("name", "point", "keys", "wanted"),
    [
        ("auth-required", "eth0", True, {"S05": {"198.51.100.20", "198.51.100.140"}}),
        ("no-bridge", "any", False, {"S12": {"ann", "ben"}}),
        ("turn-refused", "eth0", True, {"S22": {"ann", "cem"}}),
        ("turn-refused", "eth0", False, {"S22": {"198.51.100.20", "192.0.2.30"}}),
        ("turn-auth", "eth0", False, {"S21": {"198.51.100.20", "198.51.100.140", "192.0.2.30"}}),
        ("turn-off", "eth0", True, {"S21": {"ann", "ben", "cem"}}),
        ("dtls-drop", "eth0", True, {"S26": {"ann"}}),
        ("fp-munge", "eth0", True, {"S26": {"ann"}, "S27": {"ann"}}),
        ("colibri-off", "eth0", True, {"S30": {"ann", "ben"}}),
        ("nat-map-missing-no-turn", "eth0", True, {"S31": {"ann", "ben"}}),
        ("tls-old", "eth0", False, {"S02": {"198.51.100.140"}}),
    ],
)
def test_a_broken_call_deviates_where_it_broke(
    recording: Callable[[str], Path], name: str, point: str, keys: bool, wanted: dict[str, set[str]]
) -> None:
    call = captured(recording(name), point, keys)
    assert deviations(call) == wanted
    for row in call.steps[call.steps["verdict"] == "DEVIATES"].itertuples():
        assert row.note
        assert row.frames


def test_what_would_have_shown_and_did_not_is_not_observed(recording: Callable[[str], Path]) -> None:
    steps = captured(recording("no-turn")).steps
    rows = steps[(steps["participant"] == "cem") & steps["step"].isin(["S18", "S26", "S28", "S32"])]
    assert set(rows["verdict"]) == {"NOT_OBSERVED"}
    rows = steps[(steps["participant"] == "ann") & steps["step"].isin(["S18", "S26", "S28"])]
    assert set(rows["verdict"]) == {"CONFORMS"}


def test_peer_to_peer_media_pass_no_server(recording: Callable[[str], Path]) -> None:
    steps = captured(recording("jvb-p2p-3")).steps
    rows = steps[(steps["session"] == "p2p") & steps["step"].isin(["S26", "S28", "S29"])]
    assert set(rows["verdict"]) == {"NOT_OBSERVABLE"}
    assert set(steps[(steps["session"] == "p2p") & (steps["step"] == "S16")]["verdict"]) == {"CONFORMS"}


def test_the_study_shows_permissions_refused_and_nothing_else_broken() -> None:
    steps = named("project3-2020").steps
    refused = steps[steps["verdict"] == "DEVIATES"]
    assert set(refused["step"]) == {"S22"}
    assert refused["participant"].nunique() == 1
    assert set(refused["certainty"]) == {"deduced"}
    consent = steps[(steps["step"] == "S25") & steps["variant"].ne("")]
    assert consent["variant"].str.contains("every 3.0 s, not randomised").any()
    assert set(steps[steps["step"] == "S12"]["verdict"]) == {"NOT_OBSERVABLE"}


def test_others_calls_are_none_of_jitsi(data: Path) -> None:
    for name in ("stun_dtls_rtp.pcapng", "telegram_videocall.pcapng", "jabber.pcap", "stun_wa_call.pcapng"):
        steps = jl.load(data / "pcaps" / name).steps
        assert list(steps["step"]) == [step.id for step in theory.STEPS]
        assert set(steps["verdict"]) == {"NOT_APPLICABLE"}


# What follows alters one thing in the tables of a healthy call: the step that is about it deviates, and no other.


def where(rows: pd.DataFrame, mask: pd.Series, **values: object) -> pd.DataFrame:
    mask = mask.fillna(False).astype(bool)
    assert mask.any()
    for column, value in values.items():
        new = rows[column].astype(object)
        new[mask] = [value(one) for one in new[mask]] if callable(value) else value
        rows = rows.assign(**{column: new.astype(rows[column].dtype)})
    return rows


def said(pattern: str, text: str | Callable[[re.Match[str]], str]) -> Callable[[Tables], Tables]:
    def alter(tables: Tables) -> Tables:
        xml = tables["xmpp"]["xml"]
        mask = xml.map(lambda one: bool(re.search(pattern, one)))
        return {"xmpp": where(tables["xmpp"], mask, xml=lambda one: re.sub(pattern, text, one))}

    return alter


def told(table: str, mask: Callable[[pd.DataFrame], pd.Series], **values: object) -> Callable[[Tables], Tables]:
    return lambda tables: {table: where(tables[table], mask(tables[table]), **values)}


def again(
    table: str, mask: Callable[[pd.DataFrame], pd.Series], count: int = 1, **values: object
) -> Callable[[Tables], Tables]:
    """The first such rows once more at the end, with other values."""

    def alter(tables: Tables) -> Tables:
        rows = tables[table]
        some = rows[mask(rows).fillna(False).astype(bool)].head(count)
        altered = where(some, pd.Series(True, some.index), **values)
        return {table: pd.concat([rows, altered], ignore_index=True)}

    return alter


def slowly(tables: Tables) -> Tables:
    """Ten times as long."""
    found = {}
    for name, rows in tables.items():
        names = [one for one in rows.columns if one == "seconds" or one.endswith("_seconds")]
        found[name] = rows.assign(**{one: rows[one] * 10 for one in names})
    return found


def late_media(tables: Tables) -> Tables:
    """Streams of clients that begin between their ClientHello and their Finished."""
    hello = tables["dtls"][tables["dtls"]["handshake_type"] == "client_hello"]["frame"]
    media = tables["media"]
    return {"media": where(media, media["up"], first_frame=int(hello.iloc[0]) + 1)}


def silently(tables: Tables) -> Tables:
    """Feedback alone, over half a minute."""
    rtcp = tables["rtcp"]
    return {"rtcp": where(rtcp, rtcp["up"] & rtcp["position"].eq(0), packet_type=205, seconds=lambda one: one * 4)}


ALTERED: dict[str, Callable[[Tables], Tables]] = {
    "S02": told("tls", lambda t: t["handshake"].eq("server_hello"), version="TLS 1.0"),
    "S02 ended": told("tls", lambda t: t["certificate_until"].notna(), certificate_until="2020-02-29T12:00:00Z"),
    "S02 early": told("tls", lambda t: t["certificate_until"].notna(), certificate_from="2100-01-01T00:00:00Z"),
    "S02 name": told("tls", lambda t: t["certificate_until"].notna(), certificate_names="lab *.meet.lab"),
    "S03": told("http", lambda t: t["target"].str.startswith("/xmpp-websocket"), status=403),
    "S04": said("<mechanisms", "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><mechanisms"),
    "S05": said(r"<success (xmlns=['\"][^'\"]+['\"])/?>(</success>)?", r"<failure \1><not-authorized/></failure>"),
    "S06": again("xmpp", lambda t: t["name"].eq("iq") & t["direction"].eq("s2c") & t["child"].eq("bind"),
                 xml=lambda one: one.replace("</jid>", "2</jid>")),
    "S07": said("<enabled?(?= )", lambda found: "<failed" if found[0] == "<enabled" else "<resume"),
    "S08": said(r"username=(['\"])\d{10}", r"username=\g<1>1500000000"),
    "S09": said(r"(<iq(?=[^>]*from=['\"]focus)[^>]*)type=(['\"])result", r"\1type=\2error"),
    "S10": said(r"<presence (?=[^>]*from=)(?=.*code=['\"]110)", "<presence type='error' "),
    "S12": told("jingle", lambda t: t["action"].eq("session-initiate"), setup="active"),
    "S13": told("jingle", lambda t: t["action"].eq("session-accept"), setup="actpass"),
    "S15": told("media", lambda t: t["up"], ssrc=7),
    "S18": told("stun", lambda t: t["integrity_ok"].eq(True), integrity_ok=False),
    "S19": again("stun", lambda t: t["method"].eq("Binding") & t["message_class"].eq("success") & t["depth"].eq(0), 8,
                 message_class="error", error_code=487),
    "S20": told("stun", lambda t: t["use_candidate"], role="controlled"),
    "S25": slowly,
    "S26": told("dtls", lambda t: t["handshake_type"].eq("server_hello"), version="DTLS 1.0"),
    "S27": told("dtls", lambda t: t["handshake_type"].eq("certificate"), certificate_sha256=":".join(["00"] * 32)),
    "S28": told("dtls", lambda t: t["handshake_type"].eq("server_hello"), srtp_profile="SRTP_NULL_HMAC_SHA1_80"),
    "S28 early": late_media,
    "S29": told("media", lambda t: t["up"], payload_types="77"),
    "S29 extension": told("rtp", lambda t: t["up"] & t["extensions"].eq("5 1"), extensions="5 9"),
    "S29 received": told("rtp", lambda t: ~t["up"] & t["extensions"].eq("1 10"), extensions="1 10 15"),
    "S29 reports": silently,
    "S30": told("http", lambda t: t["target"].str.contains("colibri-ws"), status=404),
    "S31": told("candidates", lambda t: t["type"].eq("srflx"), address="192.0.2.77"),
    "S34": told("media", lambda t: t["up"], last_seconds=1000.0),
    "S35": again("xmpp", lambda t: t["direction"].eq("c2s") & t["type"].eq("groupchat"), frame=10**6),
}  # fmt: skip
ALSO = {"S07": {"S06"}, "S10": {"S12"}, "S26": set(), "S25": {"S33"}, "S09": {"S10"}}


@pytest.mark.parametrize("step", thinned(ALTERED))
def test_an_altered_call_deviates_at_the_step_that_was_altered(step: str) -> None:
    tables = {name: rows for name, rows in named("jvb-2").tables().items() if rows is not None}
    call = Call("altered", tables=tables | ALTERED[step](tables))
    found = deviations(call)
    assert step[:3] in found
    assert set(found) <= {step[:3]} | ALSO.get(step, set())


def test_what_a_certificate_says(recording: Callable[[str], Path]) -> None:
    def note(call: Call) -> str:
        rows = call.steps[call.steps["step"] == "S02"]
        assert set(rows["verdict"]) == {"CONFORMS"}
        return str(rows["note"].iloc[0])

    assert "TLS 1.2 for meet.lab; its certificate is valid until 2027-12-26" in note(
        captured(recording("jvb-tls12"), keys=False)
    )
    hidden = captured(recording("jvb-2"), keys=False)
    assert "certificate is encrypted here" in note(hidden)
    call = captured(recording("jvb-2"))
    tables = {name: rows for name, rows in call.tables().items() if rows is not None}
    served = tables["tls"]["certificate_until"].notna()

    def altered(**values: object) -> Call:
        return Call("altered", tables=tables | {"tls": where(tables["tls"], served, **values)})

    # a lab's own: nobody but itself vouches for it, and it may be for another name
    assert "signed by itself" in note(altered(certificate_self_signed=True))
    own = altered(certificate_self_signed=True, certificate_names="localhost")
    assert "not for meet.lab, signed by itself" in note(own)
    assert "valid until 9999-12-31" in note(altered(certificate_until="9999-12-31T23:59:59Z"))
    # without dates in the capture, or with a clock that was never set, no date is judged
    old = {"certificate_until": "2020-02-29T12:00:00Z"}
    for time in (pd.NaT, pd.Timestamp("1970-01-01T00:01:00Z")):
        assert "its certificate is there" in note(altered(time=time, **old))
    wrong = altered(**old).steps.query("step == 'S02'").iloc[0]
    assert wrong["note"] == "the certificate ended on 2020-02-29 12:00 UTC, before the capture"
    assert len(wrong["frames"])
    wrong = altered(certificate_names="a.example b.example c.example d.example").steps.query("step == 'S02'").iloc[0]
    assert (
        wrong["note"] == "the certificate is for a.example, b.example, c.example and more, and meet.lab was asked for"
    )


def test_a_restart_takes_new_credentials(recording: Callable[[str], Path]) -> None:
    call = captured(recording("turn-refused-long"))
    rows = call.steps[(call.steps["step"] == "S33") & (call.steps["participant"] == "cem")]
    assert list(rows["verdict"][:2]) == ["CONFORMS", "CONFORMS"]
    tables = {name: rows for name, rows in call.tables().items() if rows is not None}
    jingle = tables["jingle"]
    old = jingle.loc[jingle["action"].eq("session-initiate") & jingle["session"].eq("jvb"), "ufrag"].iloc[0]
    same = where(jingle, jingle["action"].eq("session-initiate"), ufrag=old)
    assert deviations(Call("altered", tables=tables | {"jingle": same}))["S33"] == {"cem"}


def test_the_smaller_id_offers(recording: Callable[[str], Path]) -> None:
    call = captured(recording("jvb-p2p-3"))
    tables = {name: rows for name, rows in call.tables().items() if rows is not None}
    jingle = tables["jingle"]
    answers = jingle[jingle["session"].eq("p2p") & jingle["action"].eq("session-accept")]
    mask = jingle["session"].eq("p2p") & jingle["endpoint"].eq(answers["endpoint"].iloc[0])
    call = Call("altered", tables=tables | {"jingle": where(jingle, mask, endpoint="00000000")})
    assert "S16" in deviations(call)


def test_of_several_sessions_the_verdict_that_says_most_is_kept() -> None:
    steps = named("turn-refused").steps
    kept = theory.summary(steps).set_index(["step", "participant"])["verdict"].astype(str)
    rank = [verdict.value for verdict in theory.RANK]
    for key, some in steps.groupby(["step", "participant"]):
        assert kept[key] == min(some["verdict"].astype(str), key=rank.index)
