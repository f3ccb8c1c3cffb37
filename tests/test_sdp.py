"""Descriptions against the one that Jitsi's client made of the same offer, and what real browsers were handed."""

import contextlib
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logged import stanzas

from jitsilab.errors import ParseError
from jitsilab.protocols import jingle, sdp
from jitsilab.protocols.description import Content, Jingle, Parameter

RECORDINGS = [
    "jvb-3",
    "jvb-p2p-3",
    "jvb-mute",
    "jvb-sctp",
    "jvb-ipv6",
    "p2p-bosh",
    "auth-ok",
    "nat-map-missing-no-turn",
]


def sections(description: str) -> list[dict[str, list[str]]]:
    """Media sections by attribute, read on their own rather than with what is tested."""
    found: list[dict[str, list[str]]] = []
    for line in description.replace("\r\n", "\n").split("\n"):
        if line.startswith("m="):
            found.append(defaultdict(list, m=line[2:].split(" ")))
        elif found and line.startswith("a="):
            name, _, value = line[2:].partition(":")
            found[-1][name].append(value)
    return found


def formats(section: dict[str, list[str]]) -> dict[str, set[str]]:
    """Format parameters of each payload type, without those that the client sets by itself."""
    found = {}
    for line in section["fmtp"]:
        payload, _, rest = line.partition(" ")
        parts = {part.strip() for part in rest.split(";")} - {""}
        found[payload] = {part for part in parts if not part.startswith("maxaveragebitrate=")}
    return found


ALIKE = (
    "m", "candidate", "ice-ufrag", "ice-pwd", "fingerprint", "setup", "mid", "rtpmap", "rtcp-fb", "extmap", "ssrc",
    "ssrc-group", "sctp-port", "rtcp-mux", "extmap-allow-mixed", "sendrecv", "sendonly", "recvonly", "inactive",
)  # fmt: skip


def test_the_offer_of_jitsi_s_own_tests_line_by_line(data: Path) -> None:
    made = jingle.to_sdp((data / "jingle-sdp" / "session-initiate.xml").read_text()).split("\r\n")
    wanted = (data / "jingle-sdp" / "session-initiate.sdp").read_text().split("\n")
    assert [line for line in made if line[:2] != "o="] == [line for line in wanted if line[:2] != "o="]


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_description_is_what_the_browser_was_handed(recording: Callable[[str], Path], name: str) -> None:
    folder, compared = recording(name), 0
    handed = defaultdict(list)
    for log in folder.glob("sdp-*.jsonl"):
        for row in map(json.loads, log.read_text().splitlines()):
            if row["side"] == "remote":
                handed[log.stem.removeprefix("sdp-")].append(row["sdp"])
    for line, stanza, text in stanzas(folder):
        if line.outgoing or stanza.child != "jingle":
            continue
        message = jingle.decode(text)
        if message.action not in ("session-initiate", "session-accept"):
            continue
        transport = message.contents[0].transport
        assert transport is not None
        first = next(s for s in handed[line.laptop] if f"a=ice-ufrag:{transport.ufrag}\r\n" in s)
        made, wanted = sections(jingle.to_sdp(text)), sections(first)
        assert len(made) == len(wanted)
        for ours, theirs in zip(made, wanted, strict=True):
            for attribute in ALIKE:
                assert sorted(ours[attribute]) == sorted(theirs[attribute]), attribute
            assert formats(ours) == formats(theirs)
        compared += 1
    assert compared >= 2


def told(message: Jingle) -> Jingle:
    """What a message says, whatever its order, without the attributes of sources that the client drops."""

    def plain(content: Content) -> Content:
        sources = sorted((replace(s, parameters=s.parameters[:1]) for s in content.sources), key=repr)
        payloads = []
        for payload in content.payload_types:
            parts = [part.strip().partition("=") for part in payload.format.split(";") if part.strip()]
            parameters = tuple(Parameter(n, v) if e else Parameter("", n) for n, e, v in parts)
            payloads.append(replace(payload, parameters=parameters))
        groups = tuple(sorted(content.groups))
        return replace(content, sources=tuple(sources), groups=groups, payload_types=tuple(payloads))

    return replace(message, contents=tuple(map(plain, message.contents)), problems=())


@pytest.mark.parametrize("name", [*RECORDINGS, "turn-refused-long"])
def test_there_and_back_loses_nothing(recording: Callable[[str], Path], name: str) -> None:
    for _, stanza, text in stanzas(recording(name)):
        if stanza.child == "jingle":
            message = jingle.decode(text)
            assert told(jingle.decode(jingle.to_jingle(jingle.to_sdp(message)))) == told(message)


def test_the_examples_of_the_xeps_there_and_back(data: Path) -> None:
    compared = 0
    for log in sorted((data / "xep-examples").glob("*.jsonl")):
        for example in map(json.loads, log.read_text().splitlines()):
            with contextlib.suppress(ParseError):
                message = jingle.decode(example["xml"])
                if message.problems:  # an example whose tag closes before its attributes
                    continue
                assert told(jingle.decode(jingle.to_jingle(jingle.to_sdp(message)))) == told(message)
                compared += 1
    assert compared >= 38


def offer(video: str) -> str:
    return (
        "<iq from='r@c.example/focus'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='1'>"
        "<content creator='initiator' name='video' senders='both'><description "
        f"xmlns='urn:xmpp:jingle:apps:rtp:1' media='video'>{video}</description></content></jingle></iq>"
    )


def source(ssrc: int, msid: str) -> str:
    space = "urn:xmpp:jingle:apps:rtp:ssma:0"
    return f"<source xmlns='{space}' ssrc='{ssrc}'><parameter name='msid' value='{msid}'/></source>"


def test_each_source_of_the_bridge_has_its_section_the_mixed_one_first() -> None:
    pair = "<source ssrc='1'/><source ssrc='2'/>"
    group = f"<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='FID'>{pair}</ssrc-group>"
    parts = (
        source(1, "aa-video-1 x") + source(2, "aa-video-1 x") + source(3, "mixedmslabel m") + source(4, "bb-video-1 y")
    )
    made = sections(jingle.to_sdp(offer(parts + group)))
    assert [[line.split()[0] for line in section["ssrc"]] for section in made] == [["3"], ["1", "2"], ["4"]]
    assert ["sendrecv" in section for section in made] == [True, False, False]
    assert made[1]["ssrc-group"] == ["FID 1 2"]
    assert [section["mid"] for section in made] == [["0"], ["1"], ["2"]]


def test_a_browser_s_own_description_becomes_jingle(recording: Callable[[str], Path]) -> None:
    log = (recording("jvb-3") / "sdp-laptop-a.jsonl").read_text().splitlines()
    answer = next(row["sdp"] for row in map(json.loads, log) if row["side"] == "local")
    message = jingle.decode(jingle.to_jingle(answer, sid="s", responder="r@c.example/x"))
    accept = next(
        jingle.decode(text)
        for line, stanza, text in stanzas(recording("jvb-3"))
        if line.laptop == "laptop-a" and line.outgoing and stanza.child == "jingle"
    )
    assert (message.action, message.sid) == ("session-accept", "s")
    for ours, theirs in zip(message.contents, accept.contents, strict=True):
        assert (ours.name, ours.senders or "both") == (theirs.name, theirs.senders or "both")
        assert [p.id for p in ours.payload_types] == [p.id for p in theirs.payload_types]
        assert {s.ssrc for s in ours.sources} == {s.ssrc for s in theirs.sources}
        assert sorted(ours.groups) == sorted(theirs.groups)
        assert ours.transport is not None
        assert theirs.transport is not None
        assert (ours.transport.ufrag, ours.transport.pwd) == (theirs.transport.ufrag, theirs.transport.pwd)
        assert ours.transport.fingerprints == theirs.transport.fingerprints


def test_a_line_break_in_a_value_cannot_make_a_line() -> None:
    made = jingle.to_sdp(
        offer("<payload-type id='96' name='VP8&#10;a=evil' clockrate='90000'/>" + source(1, "a&#13;&#10;a=evil"))
    )
    assert not [line for line in made.split("\r\n") if line.startswith("a=evil")]


def test_many_sources_do_not_make_a_giant() -> None:
    codecs = "".join(f"<payload-type id='{n % 128}' name='x' clockrate='90000'/>" for n in range(2000))
    sources = "".join(f"<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='{n}'/>" for n in range(9000))
    with pytest.raises(ParseError, match="more than"):
        jingle.to_sdp(offer(codecs + sources))


def test_many_lines_take_little_time() -> None:
    read = sdp.decode("v=0\nm=audio 9 x " + "96 " * 100_000 + "\n" + "a=rtcp-fb:96 nack\n" * 50_000)
    assert len(read.contents[0].payload_types) == 1
    with pytest.raises(ParseError):
        sdp.decode("v=0\n" + "a=x-jingle-info:%3Ca/%3E\n" * 20_000)


@pytest.mark.parametrize("broken", ["", "hello", "v=0\r\n a=b\r\n", "v=0\nx\n", "v=0\n" + "m=a\n" * 10_001])
def test_what_is_not_sdp_is_refused(broken: str) -> None:
    with pytest.raises(ParseError):
        sdp.decode(broken)


LINES = st.sampled_from(
    [
        "m=audio 9 UDP/TLS/RTP/SAVPF 0 96",
        "a=rtpmap:96 x/",
        "a=fmtp:96",
        "a=rtcp-fb:96 nack",
        "a=extmap:1/recvonly u",
        "a=mid:0",
        "a=ssrc:1 a:b",
        "a=ssrc-group:FID 1",
        "a=candidate:1 1 udp",
        "a=fingerprint:sha-256",
        "a=group:BUNDLE 0",
        "a=x-jingle:name",
        "a=x-jingle-info:%3C",
        "a=x-jingle-source: rid=1",
        "a=sctp-port:x",
        "m=application",
        "a=x-jingle-payload:96 name=%00",
    ]
)


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES | st.text(max_size=20).map(lambda t: f"a={t}"), max_size=20))
def test_any_lines_are_read_and_written_again_or_refused(lines: list[str]) -> None:
    with contextlib.suppress(ParseError):
        sdp.write(sdp.decode("\r\n".join(["v=0", *lines])))


def test_the_port_of_an_old_data_channel_stands_in_its_sctpmap() -> None:
    lines = ["v=0", "m=application 9 DTLS/SCTP 5000", "a=mid:data", "a=sctpmap:5000 webrtc-datachannel 1024"]
    (content,) = sdp.decode("\r\n".join(lines) + "\r\n").contents
    assert content.transport is not None
    assert content.transport.sctp is not None
    assert (content.transport.sctp.port, content.transport.sctp.streams) == (5000, 1024)
    lines[-1] = "a=sctp-port:5001"
    (content,) = sdp.decode("\r\n".join(lines) + "\r\n").contents
    assert content.transport.sctp.port == 5001
