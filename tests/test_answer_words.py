"""The answer in words, for a terminal, a notebook and a script: made participants, causes and conditions."""

from dataclasses import replace
from typing import Any

import pytest
from made_answers import ANN, SECOND, line, stated, well, without

from jitsilab.judge.causes.paths import Path
from jitsilab.judge.causes.remedy import Advice
from jitsilab.judge.diagnosis import Diagnosed, Diagnosis, card, changes
from jitsilab.place import Place


def said(*people: Diagnosed, **more: Any) -> str:
    server = {"could_be": more.pop("could_be", None)}
    return Diagnosis([*people], server, **more).to_text(1000).split("\n\n")[0]


UNSEEN = without("dora", None, "not-observable")


@pytest.mark.parametrize(
    ("people", "verdict"),
    [
        ([well("a")], "The one participant has media."),
        ([well("a"), well("b")], "Both participants have media."),
        ([well("a"), well("b"), well("c")], "All 3 participants have media."),
        ([well("a"), UNSEEN], "1 of 2 participants has media; of the others it is not to be seen here."),
        ([well("a"), well("b"), UNSEEN], "2 of 3 participants have media; of the others it is not to be seen here."),
        ([UNSEEN], "Nothing shows a failure, but whether the one participant's media flowed is not to be seen here."),
        ([UNSEEN, UNSEEN],
         "Nothing shows a failure, but whether the 2 participants' media flowed is not to be seen here."),
        ([without("a"), well("b")], "1 of 2 participants has no media: a, the cause stays open."),
        ([without("a"), without("b", None), UNSEEN],
         "2 of 3 participants have no media: a and b, the cause stays open; of dora it is not to be seen here."),
        ([without("a", "dtls-failed"), without("b")], "2 of 2 participants have no media: a, "),
    ],
)  # fmt: skip
def test_the_verdict_in_a_sentence(people: list[Diagnosed], verdict: str) -> None:
    assert said(*people).startswith(verdict)


def test_conditions_are_said_of_those_for_whom_they_hold() -> None:
    both = [well("a"), well("b")]
    words = "packets are lost on the way"
    assert said(*both, conditions=[stated("lossy", None, ("a",))]) == (
        f"Both participants have media, but for a {words}."
    )  # fmt: skip
    assert said(*both, conditions=[stated("lossy", None, ("a", "b"))]) == f"Both participants have media, but {words}."
    assert said(*both, conditions=[stated("lossy")]) == f"Both participants have media, but {words}."
    assert said(conditions=[stated("lossy")]) == f"No cause of missing media shows. But {words}."
    assert said(without("a"), conditions=[stated("lossy")]).endswith(f"the cause stays open; beside that {words}.")
    assert said(causes=[stated("no-focus")], conditions=[stated("lossy")]).startswith("Broken: ")


def test_silence_is_no_health() -> None:
    def of(*kinds: str, **more: Any) -> str:
        return said(inputs=[{"kind": kind, "note": "", "path": "p"} for kind in kinds], **more)

    assert of("configuration").startswith("Configuration alone shows no call")
    assert of("configuration", "log", "unknown").endswith("shows (configuration, log).")
    assert of("unknown").endswith("shows (no evidence).")
    assert of("capture", could_be="WebRTC").endswith("It could be one (WebRTC), and nothing shows that it is.")


def page(answer: Diagnosis, **more: Any) -> list[str]:
    return answer.to_text(200, **more).splitlines()


def test_what_stands_under_a_failure() -> None:
    frames = tuple(Place("c.pcap", number) for number in range(14, 0, -1))
    places = tuple(line(number) for number in range(8, 0, -1))
    cause = stated("no-focus", "not-running", ("ann", "ben"), certainty="deduced", evidence=(*frames, *places),
                   detail="what was seen", ended=True, ended_time=SECOND, call="r#1")  # fmt: skip
    advice = Advice("Do this.", "/etc/a.conf", "a = 1\n  b = 2", "More may come in.", "A=1", "restart a")
    answer = Diagnosis([], {}, [cause], advice={("no-focus", "not-running"): advice})
    shown = page(answer)
    assert shown[2].startswith("FAILED  ")
    assert shown[2].endswith("[no-focus/not-running]")
    assert shown[3:] == [
        "  for:    ann, ben (deduced)",
        "  ended:  in the call r#1; from 1970-01-01T00:00:01.000Z on it is well",
        "  seen:   what was seen",
        "  change: Do this.",
        "  file:   /etc/a.conf",
        "  set:    a = 1",
        "            b = 2",
        "  docker: .env: A=1",
        "  then:   restart a",
        "  mind:   More may come in.",
        "  proof:  c.pcap: frame.number in {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}",
        "  proof:  jvb.log:1, jvb.log:2, jvb.log:3, jvb.log:4, jvb.log:5, jvb.log:6 and 2 more",
    ]
    asked = page(answer, given="c.pcap")
    assert "  next:   jitsilab evidence c.pcap --cause no-focus -o no-focus.pcapng" in asked
    assert asked[-1] == "After a change: jitsilab diagnose NEW-EVIDENCE --against c.pcap"
    six = replace(cause, evidence=places[:6])
    assert page(Diagnosis([], {}, [six]), given="x")[-3].endswith("jvb.log:8")  # no more, and no frames to look at


def test_those_of_whom_the_same_is_open_stand_together() -> None:
    same = {"stage": "checks", "open_causes": ["udp-blocked", "dtls-failed"], "note": "why"}
    shown = page(Diagnosis([without("a", **same), without("b", addresses=[ANN], **same), without("c")], {}))
    heads = [one for one in shown if one.startswith("FAILED")]
    assert heads == ["FAILED  No media, and the cause stays open [undetermined]"] * 2
    assert f"  for:    a and b ({ANN}) (inferred)" in shown
    assert "  seen:   came as far as checks: why" in shown
    assert sum("be that" in one for one in shown) == 2
    assert sum("could:" in one for one in shown) == 1
    assert "  for:    c (inferred)" in shown


def test_who_is_well_and_by_which_ways() -> None:
    ways = [Path("jvb-udp", float(at), at + 0.5) for at in range(7)]
    shown = page(Diagnosis([well("a", media_paths=ways[:2]), replace(UNSEEN, note="why", stage="dtls")], {}))
    assert shown[2] == (
        "OK      a: media over UDP through the bridge from 0.0 to 0.5 s, then over UDP through the bridge "
        "from 1.0 to 1.5 s [jvb-udp]"
    )
    assert shown[3] == "?       dora: media not to be seen from here, came as far as dtls: why"
    many = " ".join(page(Diagnosis([well(ANN, addresses=[ANN], media_paths=ways)], {}))).replace("         ", " ")
    assert f"OK      {ANN}: media" in many
    assert "then 1 more paths to 6.5 s" in many
    assert "more paths" not in " ".join(page(Diagnosis([well("a", media_paths=ways[:6])], {})))


def test_what_was_not_read_is_said_once_and_several_calls_are_named() -> None:
    inputs = [{"kind": kind, "note": note, "path": path} for kind, note, path in (
        ("unknown", "no kind of evidence", "a"), ("unknown", "no kind of evidence", "b"), ("log", "fine", "c"),
        ("capture", "Not read: 3 frames", "d"), ("archive", "", "e"),
    )]  # fmt: skip
    every = [{"id": name, "first_time": "1", "last_time": "2"} for name in ("r#1", "r#2")]
    shown = page(Diagnosis([well("a", call="r#1")], {}, inputs=inputs, calls=every))
    assert [one for one in shown if one.startswith("UNREAD")] == [
        "UNREAD  a and b: no kind of evidence", "UNREAD  d: Not read: 3 frames",
    ]  # fmt: skip
    assert [one for one in shown if one.startswith("CALL")] == [
        "CALL    r#1, 1 to 2: a", "CALL    r#2, 1 to 2: nobody is named",
    ]  # fmt: skip
    assert not any(one.startswith("CALL") for one in page(Diagnosis([well("a")], {}, calls=every[:1])))


def test_the_folder_of_all_evidence_is_named_once_where_it_is_long() -> None:
    def found(folder: str, short: bool = True) -> list[str]:
        inputs = [{"kind": "log", "note": "", "path": f"{folder}/{name}.log"} for name in "ab"]
        cause = stated("no-focus", evidence=(line(3, f"{folder}/a.log"),))
        return page(Diagnosis([], {}, [cause], inputs=inputs), short=short)

    long = "/srv/" + "x" * 20
    assert "  proof:  a.log:3" in found(long)
    assert found(long)[-1] == f"Files named above are in {long}/"
    assert f"  proof:  {long}/a.log:3" in found(long, short=False)
    brief = "/srv/" + "x" * 19
    assert f"  proof:  {brief}/a.log:3" in found(brief)


def test_nothing_is_broken_that_somebody_copies() -> None:
    words = "a-rather-long-name " * 6 + "x" * 70
    cause = stated("no-focus", detail=words, evidence=(Place("c.pcap", 1), Place("c.pcap", 22)))
    shown = Diagnosis([], {}, [cause]).to_text(60).splitlines()
    seen = shown[shown.index(next(one for one in shown if one.startswith("  seen:"))) :]
    assert "x" * 70 in "".join(seen)
    assert not any(one.endswith("-") for one in seen)
    assert all(one.startswith(" " * 10) and one[10] != " " for one in seen[1:-1])
    for last, whole in ((33, True), (333, False)):  # a filter of 30 and of 31 characters, where a line has 30
        proof = tuple(Place("c.pcap", number) for number in (1, 4, 22, last))
        told = Diagnosis([], {}, [stated("no-focus", evidence=proof)]).to_text(40)
        assert (f"frame.number in {{1, 4, 22, {last}}}" in told) is whole


def test_a_terminal_with_colours_shows_the_same_words() -> None:
    answer = Diagnosis([well("\x1b[2Ja"), without("b")], {}, conditions=[stated("lossy")])
    coloured = answer.to_text(200, colour=True)
    assert "\x1b[1;31mFAILED\x1b[0m  No media" in coloured
    assert "\x1b[32mOK\x1b[0m      " in coloured
    assert "\x1b[33mNOTE\x1b[0m    " in coloured
    assert "\x1b[2J" not in coloured
    assert coloured.startswith("\x1b[1m1 of 2 participants has no media: b, ")


@pytest.mark.parametrize(
    ("change", "before", "now", "words"),
    [
        ("has-media", "none", "jvb-udp", "MEDIA   ann has media now over UDP through the bridge, had none before"),
        ("lost-media", "turn-tls", "none", "MEDIA   ann has no media now, had them over TURN inside TLS"),
        ("other-path", "p2p", "turn-udp", "MEDIA   ann has media over TURN (UDP) now, directly before"),
        ("other-cause", "none", "none", "MEDIA   ann has no media, for another cause"),
        ("unseen", "not-observable", "p2p",
         "UNSEEN  ann: media directly now, not to be seen before: no comparison"),
        ("unseen", "none", "not-observable", "UNSEEN  ann: media not to be seen now, none before: no comparison"),
        ("unseen", "turn-tcp", None, "UNSEEN  ann: media not to be seen now, over TURN (TCP) before: no comparison"),
        ("unseen", None, "none", "UNSEEN  ann: media none now, not to be seen before: no comparison"),
        ("only-now", None, "p2p", "UNSEEN  ann is in the newer case alone (media: p2p)"),
        ("only-before", "not-observable", None, "UNSEEN  ann is in the older case alone (media: not to be seen)"),
    ],
)  # fmt: skip
def test_what_became_of_somebody_s_media(change: str, before: str | None, now: str | None, words: str) -> None:
    told = changes.Changes([changes.PersonChange("ann", change, before, now)])
    assert told.to_text(1000) == words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("went", "WENT    Packets are lost on the way (ann) [lossy/7]"),
        ("stayed", "Nothing changed:\nSTAYED  Packets are lost on the way (ann) [lossy/7]"),
        ("unseen", "UNSEEN  Whether this still holds (ann) is not to be seen in the newer evidence: "
                   "packets are lost on the way [lossy/7]"),
        ("unseen-before", "UNSEEN  Whether this held (ann) is not to be seen in the older evidence: "
                          "packets are lost on the way [lossy/7]"),
    ],
)  # fmt: skip
def test_what_became_of_a_condition(change: str, words: str) -> None:
    one = changes.StatementChange("condition", "lossy", 7, change, ("ann",))
    assert changes.Changes(conditions=[one]).to_text(1000) == words


@pytest.mark.parametrize(
    ("answer", "colour"),
    [
        (Diagnosis([without()], {}), "#c0392b"), (Diagnosis([], {}, [stated("no-focus")]), "#c0392b"),
        (Diagnosis([well()], {}, conditions=[stated("lossy")]), "#b7791f"), (Diagnosis([well()], {}), "#2f8f5b"),
        (Diagnosis([UNSEEN], {}), "#7a828e"), (Diagnosis([], {}), "#7a828e"),
    ],
)  # fmt: skip
def test_the_tone_of_a_card(answer: Diagnosis, colour: str) -> None:
    assert f"border-left:4px solid {colour}" in card.card(answer)


def test_a_card_shows_a_dozen_those_without_media_first() -> None:
    people = [well(f"p{number}") for number in range(12)]
    assert "more: <code>" not in card.card(Diagnosis(people, {}))
    shown = card.card(Diagnosis([*people, replace(UNSEEN, frames=[1]), without("x", frames=[1, 2])], {}))
    assert "2 more: <code>call.participants" in shown
    assert shown.index("<b>x</b>") < shown.index("<b>dora</b>") < shown.index("<b>p0</b>")
    assert "<b>p10</b>" not in shown
    assert ">frame 1<" in shown
    assert ">frames 1, 2<" in shown


@pytest.mark.parametrize(
    ("answer", "fails"),
    [
        (Diagnosis([well()], {}), (False, False, False)), (Diagnosis([UNSEEN], {}), (False, False, False)),
        (Diagnosis([well()], {}, conditions=[stated("lossy")]), (False, False, True)),
        (Diagnosis([without()], {}), (False, True, True)),
        (Diagnosis([], {}, [stated("no-focus")]), (False, True, True)),
    ],
)  # fmt: skip
def test_at_what_a_run_fails(answer: Diagnosis, fails: tuple[bool, ...]) -> None:
    assert tuple(answer.fails_at(level) for level in ("none", "no-media", "degraded")) == fails
