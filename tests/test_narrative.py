"""The sentences of the report: every number in them was computed, nothing fails where something is missing."""

import importlib
import re
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest
from by_night import thinned
from calls import named

from jitsilab.call import Call
from jitsilab.judge.causes import CAUSES
from jitsilab.pages.narrative import Story, fill, listed, people
from jitsilab.pages.narrative.blocks import Table

TELLING = {
    "traffic": ("overview", "protocols", "flows"),
    "checks": ("exchanges", "reading", "nomination", "answers"),
    "tunnel": ("overview", "lengths", "flows", "refusals", "unknowns", "hidden_checks", "retries", "invariants",
               "credentials"),
    "media": ("by_flow", "relayed", "silence", "asymmetry"),
    "handshakes": ("dtls", "resumption", "back_ends", "stacks", "keep_alive"),
    "moments": ("start", "clock"),
    "refusal": ("cause",),
    "people": ("table", "advice", "summary"),
    "signaling": ("stanzas", "offer", "answer"),
    "study.claims": ("summary", "verdicts"),
    "study.redaction": ("leaks",),
}  # fmt: skip
FUNCTIONS = [(module, name) for module, names in TELLING.items() for name in names]
NAMES = re.compile(  # numbers that are part of a name
    r"TLS 1\.[0-3]|and [\d,]+ more|ice4j|403 “Forbidden|RFC \d+|\[\[\d+\]\]\(#ref-\d+\)|#ref-\d+|`[^`]*`|base 32"
    r"|about 5 s|0\.8 and 1\.2|coturn 4\.5"
)


def where(module: str) -> str:
    return f"jitsilab.pages.{module}" if "." in module else f"jitsilab.pages.narrative.{module}"


def told(call: Call, module: str, name: str) -> list[Story | Table]:
    function: Callable[[Call], Any] = getattr(importlib.import_module(where(module)), name)
    blocks = function(call)
    return list(blocks) if isinstance(blocks, list) else [blocks]


def flat(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from flat(item)
    elif value is not None:
        yield str(value)


@pytest.fixture(scope="module")
def study() -> Call:
    return named("project3-2020")


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
@pytest.mark.parametrize("capture", ["project3-2020", "turn-refused", "jvb-bosh"])
def test_no_number_in_a_sentence_was_typed(capture: str, module: str, name: str, calls: dict[str, Call]) -> None:
    for block in told(named(capture), module, name):
        if not isinstance(block, Story):
            continue
        known = " ".join(flat(block.values)).replace(",", "")
        numbers = [float(n) for n in re.findall(r"\d+(?:\.\d+)?", known)]
        for number in re.findall(r"(?<!\w)\d+(?:\.\d+)?", NAMES.sub("", block.text).replace(",", "")):
            decimals = len(number.partition(".")[2])
            assert any(round(value, decimals) == float(number) for value in numbers), (number, block.text)


@pytest.fixture(scope="module")
def calls(study: Call) -> dict[str, Call]:
    return {"project3-2020": study}


@pytest.mark.parametrize(("module", "name"), FUNCTIONS)
def test_nothing_fails_where_tables_are_missing_or_empty(study: Call, module: str, name: str) -> None:
    bare = {"frames": study.frames, "flows": study.flows}
    for tables in (bare, {name: rows.iloc[:0] for name, rows in study.tables().items() if rows is not None}):
        for block in told(Call("bare", tables=dict(tables)), module, name):
            assert isinstance(block.text, str)


@pytest.mark.parametrize("name", thinned(["alone", "no-turn", "p2p-no-turn", "tls-old"]))
def test_figures_of_calls_where_much_is_missing(name: str) -> None:
    from jitsilab.pages import figures
    from jitsilab.pages.narrative import checks, ladder, traffic

    call = named(name)
    assert figures.render(figures.plot_traffic(traffic.by_participant(call)), "a", "b").svg
    assert figures.render(figures.plot_pairs(checks.timeline(call)), "a", "b").svg
    for _, caption, page in ladder.pages(ladder.events(call)):
        assert caption
        assert figures.render(figures.plot_ladder(page), "a", "b").svg


def test_the_study_without_its_tls_rows_says_that_nothing_can_be_said(study: Call) -> None:
    tables = {name: rows for name, rows in study.tables().items() if rows is not None and name in ("frames", "flows")}
    from jitsilab.pages.narrative import tunnel

    assert "nothing can be said" in tunnel.overview(Call("bare", tables=dict(tables))).text


def test_refusals_follow_the_table(study: Call) -> None:
    from jitsilab.pages.narrative import tunnel

    values = tunnel.refusals(study).values
    assert (values["IP_C_asked"], values["IP_C_refused"], values["IP_C_granted"]) == (12, 12, 0)
    assert (values["allocated"], values["tried"]) == (10, 10)


def test_the_start_of_the_study_is_read_from_its_ufrags(study: Call) -> None:
    from jitsilab.pages.narrative import moments

    story = moments.start(study)
    assert story.values["begin"].startswith("2020-10-19 19:47:1")
    assert story.values["apart"] == pytest.approx(40.647)
    assert story.values["checks"] == pytest.approx(41.405, abs=0.001)


def test_no_secret_of_a_recording_is_told() -> None:
    call = named("jvb-3")
    secrets = set(call.jingle["pwd"].dropna()) | set(call.jingle["web_socket"].dropna().str.extract(r"pwd=(.*)")[0])
    secrets |= set(call.xmpp["xml"].str.extractall(r"password=['\"]([^'\"]+)")[0])
    assert len(secrets) > 3
    text = " ".join(block.text for module, name in FUNCTIONS for block in told(call, module, name))
    assert not [secret for secret in secrets if secret in text]


def test_words() -> None:
    assert fill("{a} of {b:,}", {"a": "x|y", "b": 1000}) == r"x\|y of 1,000"
    assert (listed([]), listed(["a"]), listed(["a", "b", "c"])) == ("", "a", "a, b and c")


def test_a_table_is_kept_as_results() -> None:
    rows = pd.DataFrame({"a": [1, None], "b": ["x", None]})
    assert Table("t", rows, "c").values() == [{"a": 1.0, "b": "x"}, {"a": None, "b": None}]


def test_the_diagnosis_of_the_study(study: Call) -> None:
    """Theory: C's only way was TURN inside TLS, which refused all its permissions; A had media over UDP."""
    found = study.participants.set_index("id")
    assert list(found["media_path"]) == ["jvb-udp", "none"]
    assert found.loc["IP C", "cause"] == "turn-permission-refused"
    assert found.loc["IP C", "certainty"] in ("deduced", "inferred")
    assert found.loc["IP C", "turn_stage"] == "permission-refused"


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_is_told_in_its_own_words(cause: str) -> None:
    rows = pd.DataFrame({"id": ["ann"], "media_path": ["none"], "cause": [cause], "certainty": ["deduced"]})
    call = SimpleNamespace(participants=rows)
    assert people.summary(cast("Call", call)).text == f"ann had none: {CAUSES[cause].words} (deduced)."


def test_of_media_that_cannot_be_seen_nobody_says_that_there_were_none() -> None:
    said = people.summary(named("p2p-2", "eth0")).text
    assert said == "Where the media of ann and ben went cannot be seen here."


def test_verdicts_have_one_order(calls: dict[str, Call]) -> None:
    from jitsilab.judge import theory
    from jitsilab.pages.narrative import steps

    order = [verdict.value for verdict in theory.RANK]
    call = named("turn-refused")
    told = steps.notable(call)
    assert isinstance(told, Table)
    shown = [order.index(str(one).upper().replace(" ", "_")) for one in told.rows["Verdict"]]
    assert len(set(shown)) > 1
    assert shown == sorted(shown)


@pytest.mark.parametrize("name", ["project3-2020", "turn-refused"])
def test_the_ladder_draws_no_refusal_as_kept(name: str) -> None:
    """The frames of a step are those that prove it: of an allocation its answer, not what was refused afterwards."""
    from jitsilab.pages.narrative import ladder

    call = named(name)
    drawn = ladder.events(call)
    refused = drawn[drawn["label"].str.contains("refused")]
    assert len(refused)
    assert set(refused["verdict"].dropna()) == {"DEVIATES"}
    allocated = call.steps.query("step == 'S21' and verdict == 'CONFORMS'")["frames"]
    shown = {int(frame) for frames in allocated for frame in frames}
    assert shown
    assert not shown & set(refused["frame"])
