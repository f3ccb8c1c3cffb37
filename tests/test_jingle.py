"""Jingle against the XEPs' own examples, against the stanzas of real calls, and against bytes of any kind."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logged import stanzas

from jitsilab.errors import ParseError
from jitsilab.protocols import jingle, jitsi_sources, xml
from jitsilab.protocols.description import Feedback, Parameter, Source, SourceGroup


def offer(inner: str, attributes: str = "initiator='focus' sid='1'") -> str:
    return f"<iq><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' {attributes}>{inner}</jingle></iq>"


def content(inner: str, name: str = "audio") -> str:
    description = f"<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='{name}'>{inner}</description>"
    return f"<content creator='initiator' name='{name}' senders='both'>{description}</content>"


def test_every_example_of_the_xeps_is_read_or_refused_with_a_reason(data: Path) -> None:
    read, reasons = 0, []
    for log in sorted((data / "xep-examples").glob("*.jsonl")):
        for example in map(json.loads, log.read_text().splitlines()):
            try:
                message = jingle.decode(example["xml"])
            except ParseError as error:
                reasons.append(str(error))
            else:
                # XEP-0293's fifth example closes the jingle tag before its attributes
                assert (message.action in jingle.ACTIONS) != bool(message.problems)
                read += 1
    assert read >= 39
    assert len(reasons) > 400  # the rest of XMPP
    assert all(reasons)


def test_a_dtls_offer_of_xep_0320(data: Path) -> None:
    log = (data / "xep-examples" / "xep-0320.jsonl").read_text().splitlines()
    message = jingle.decode(json.loads(log[0])["xml"])
    assert (message.action, message.sid, message.session) == ("session-initiate", "a73sjjvkla37jfea", "p2p")
    (voice,) = message.contents
    assert [payload.name for payload in voice.payload_types] == ["speex", "speex", "G729", "L16", "x-ISAC"]
    assert voice.payload_types[3].channels == 2
    assert voice.transport is not None
    assert (voice.transport.ufrag, voice.transport.pwd) == ("8hhy", "asd88fgpdd777uzjYhagZg")
    (fingerprint,) = voice.transport.fingerprints
    assert fingerprint.value.startswith("02:1A:CC:54:27:AB")
    assert (fingerprint.hash, fingerprint.setup) == ("sha-256", "actpass")
    assert [(c.type, c.address, c.port, c.related_address) for c in voice.transport.candidates] == [
        ("host", "10.0.1.1", 8998, ""),
        ("srflx", "192.0.2.3", 45664, "10.0.1.1"),
    ]


def test_feedback_of_xep_0293(data: Path) -> None:
    log = (data / "xep-examples" / "xep-0293.jsonl").read_text().splitlines()
    description = json.loads(log[0])["xml"]
    (video,) = jingle.decode(offer(f"<content name='video'>{description}</content>")).contents
    assert video.feedback == (Feedback("nack", "pli"),)
    assert video.payload_types[0].feedback == (Feedback("nack", "sli"), Feedback("trr-int", "100"))


def test_extensions_of_xep_0294(data: Path) -> None:
    log = (data / "xep-examples" / "xep-0294.jsonl").read_text().splitlines()
    description = json.loads(log[4])["xml"]
    (video,) = jingle.decode(offer(f"<content name='video'>{description}</content>")).contents
    assert [(e.id, e.uri, e.senders) for e in video.header_extensions] == [
        (1, "URI-toffset", ""), (2, "URI-gps-string", "initiator"), (3, "URI-frametype", ""),
    ]  # fmt: skip
    assert video.extmap_allow_mixed


COMPACT = {  # the form that Jicofo documents: video sources, video groups, audio sources, audio groups
    "sources": {
        "831de82b": [[{"s": 1, "m": "831de82b-video-1 x"}, {"s": 2, "m": "831de82b-video-1 x"}], [["f", 1, 2]], []],
        "07af8d49": [[{"s": 3, "n": "07af8d49-v1", "v": "d"}], [], [{"s": 4, "n": "07af8d49-a0"}], [["s", 4]]],
        "jvb": [[{"s": 5, "m": "mixedmslabel mixedlabelvideo0"}]],
    }
}
STANDARD = content(
    "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='4' name='07af8d49-a0'>"
    "<ssrc-info xmlns='http://jitsi.org/jitmeet' owner='07af8d49'/></source>"
    "<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='SIM'><source ssrc='4'/></ssrc-group>"
) + content(
    "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='1'><parameter name='msid' value='831de82b-video-1 x'/>"
    "</source><source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='2'><parameter name='msid' "
    "value='831de82b-video-1 x'/></source><source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='3' "
    "videoType='desktop' name='07af8d49-v1'/><source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='5'>"
    "<parameter name='msid' value='mixedmslabel mixedlabelvideo0'/></source>"
    "<ssrc-group xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' semantics='FID'><source ssrc='1'/><source ssrc='2'/>"
    "</ssrc-group>",
    "video",
)


def test_json_and_standard_sources_are_the_same() -> None:
    words = json.dumps(COMPACT).replace('"', "&quot;")
    message = f"<json-message xmlns='http://jitsi.org/jitmeet'>{words}</json-message>"
    packed = jingle.decode(offer(content("") + content("", "video") + message)).contents
    assert packed == jingle.decode(offer(STANDARD)).contents
    assert packed[1].sources[0] == Source(1, owner="831de82b", parameters=(Parameter("msid", "831de82b-video-1 x"),))
    assert packed[1].sources[3].owner == "jvb"
    assert packed[1].groups == (SourceGroup("FID", (1, 2)),)


def test_json_sources_make_a_content_where_there_is_none() -> None:
    message = '<json-message xmlns=\'http://jitsi.org/jitmeet\'>{"sources":{"a":[[],[],[{"s":9}]]}}</json-message>'
    (audio,) = jingle.decode(offer(message)).contents
    assert (audio.name, audio.media, audio.sources) == ("audio", "audio", (Source(9, owner="a"),))


@pytest.mark.parametrize(
    "broken", ["{", "[" * 5000, '{"sources": 3}', '{"sources": {"a": [3]}}', '{"sources":{"a":[[3]]}}']
)
def test_broken_json_is_a_problem_and_the_rest_is_read(broken: str) -> None:
    message = f"<json-message xmlns='http://jitsi.org/jitmeet'>{broken}</json-message>"
    read = jingle.decode(offer(content("<rtcp-mux/>") + message))
    assert read.contents[0].rtcp_mux
    assert "JSON" in " ".join(read.problems)


def test_what_is_not_a_number_is_none_and_a_problem() -> None:
    source = "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='4294967296'/>"
    read = jingle.decode(offer(content(source + "<payload-type id='-1'/>")))
    assert read.contents[0].sources[0].ssrc is None
    assert read.contents[0].payload_types[0].id is None
    assert len(read.problems) == 2


def test_session_info_terminate_and_restart() -> None:
    info = jingle.decode(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='1'>"
        "<ice-state xmlns='http://jitsi.org/protocol/focus'>failed</ice-state>"
        "<bridge-session xmlns='http://jitsi.org/protocol/focus' id='b' ice-restart='true'/></jingle>"
    )
    assert [str(said) for said in info.info] == ["ice-state=failed"]
    assert (info.bridge_session, info.restart, info.session) == ("b", "ice-restart", "jvb")
    end = jingle.decode(
        "<jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='1'><reason><connectivity-error/>"
        "<text>ICE FAILED</text></reason></jingle>"
    )
    assert (end.reason, end.text) == ("connectivity-error", "ICE FAILED")


def test_ice_generation_and_tcp_candidates() -> None:
    read = jingle.decode(
        offer(
            "<content name='0'><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ice-generation='7' ufrag='u' "
            "pwd='p'><candidate foundation='1' component='1' protocol='TCP' priority='1' ip='2001:db8::1' port='9' "
            "type='host' tcptype='active' generation='2'/></transport></content>"
        )
    )
    transport = read.contents[0].transport
    assert transport is not None
    assert transport.generation == 7
    (candidate,) = transport.candidates
    assert (candidate.protocol, candidate.tcp_type, candidate.generation) == ("tcp", "active", 2)


@pytest.mark.parametrize("name", ["jvb-p2p-3", "jvb-bosh", "hostile"])
def test_the_stanzas_of_a_call_survive_writing(recording: Callable[[str], Path], name: str) -> None:
    found = 0
    for _, stanza, text in stanzas(recording(name)):
        if stanza.child == "jingle":
            message = jingle.decode(text)
            assert not message.problems
            written = jingle.decode(jingle.encode(message))
            assert written == message
            found += 1
    assert found > 3


def test_p2p_and_bridge_sessions_are_told_apart(recording: Callable[[str], Path]) -> None:
    seen: dict[str, set[tuple[str, ...]]] = {"p2p": set(), "jvb": set()}
    for _, stanza, text in stanzas(recording("jvb-p2p-3")):
        if stanza.child == "jingle":
            message = jingle.decode(text)
            if message.action == "session-initiate":
                seen[message.session].add(tuple(c.name for c in message.contents))
    assert seen == {"p2p": {("0", "1")}, "jvb": {("audio", "video", "data")}}


def test_the_bridge_maps_of_a_call() -> None:
    told = '{"colibriClass":"VideoSourcesMap","mappedSources":[{"source":"3a-v0","owner":"3a","ssrc":7,"rtx":8}]}'
    ((kind, sources, groups),) = jitsi_sources.mapped(told)
    assert (kind, [s.ssrc for s in sources], groups) == ("video", [7, 8], (SourceGroup("FID", (7, 8)),))
    assert jitsi_sources.mapped('{"colibriClass":"ServerHello"}') == ()


@pytest.mark.parametrize(
    "hostile",
    [
        "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        "<a>" * 10_000,
        "<a>" + "x" * 10_000_000 + "</a>",
        b"<a>\xff\xfe</a>",
        "<a/>" * 2,
        "\ud800",
        "",
    ],
)
def test_hostile_xml_is_refused(hostile: str | bytes) -> None:
    with pytest.raises(ParseError):
        jingle.decode(hostile)


ELEMENTS = st.sampled_from(
    [
        "jingle",
        "content",
        "description",
        "payload-type",
        "parameter",
        "rtcp-fb",
        "rtp-hdrext",
        "source",
        "ssrc-group",
        "transport",
        "candidate",
        "fingerprint",
        "group",
        "reason",
        "bridge-session",
        "sctpmap",
        "web-socket",
        "json-message",
    ]
)
SPACES = st.sampled_from([jingle.JINGLE, jingle.SOURCES, jingle.GROUPING, jingle.DTLS, jingle.FEEDBACK, jingle.JITMEET])
NAMES = st.sampled_from(
    [
        "id",
        "name",
        "ssrc",
        "port",
        "priority",
        "ip",
        "senders",
        "action",
        "sid",
        "media",
        "value",
        "semantics",
        "type",
        "generation",
    ]
)
TREES = st.recursive(
    st.builds(lambda name, space, said: xml.write(name, {"xmlns": space} | said), ELEMENTS, SPACES,
              st.dictionaries(NAMES, st.text(max_size=6), max_size=4)),
    lambda inner: st.builds(
        lambda name, space, said, parts: xml.write(name, {"xmlns": space} | said, *parts),
        ELEMENTS, SPACES, st.dictionaries(NAMES, st.text(max_size=6), max_size=4), st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(TREES, max_size=4))
def test_any_tree_is_read_and_written_again_or_refused(parts: list[str]) -> None:
    with contextlib.suppress(ParseError):
        message = jingle.decode(xml.write("jingle", {"xmlns": jingle.JINGLE, "action": "session-initiate"}, *parts))
        jingle.to_jingle(jingle.to_sdp(message))
        jingle.decode(jingle.encode(message))
