"""Stanzas against the XEPs' own examples, against what real clients said, and against bytes of any kind."""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams import Bytes

from jitsilab.errors import ParseError
from jitsilab.protocols import xml_stream, xmpp
from jitsilab.wire.carriers import bosh, http1
from jitsilab.wire.carriers.model import Exchange, Notes

DECODERS = (
    xmpp.header, xmpp.features, xmpp.sasl, xmpp.bound, xmpp.management, xmpp.error, xmpp.services, xmpp.presence,
    xmpp.conference, xmpp.disco, xmpp.json_message, xmpp.metadata, xmpp.moderation, xmpp.colibri, xmpp.body,
    xmpp.source_info, xmpp.properties, xmpp.purpose,
)  # fmt: skip


def logged(folder: Path) -> Iterator[xmpp.Stanza]:
    """Every stanza that the clients of a recording logged."""
    for log in sorted(folder.glob("stanzas-*.jsonl")):
        for line in log.read_text().splitlines():
            stanza = xmpp.parse(json.loads(line)["xml"])
            yield from map(xmpp.from_element, stanza.element) if stanza.name == "body" else [stanza]


def examples(data: Path, number: str) -> dict[int, str]:
    """The example blocks of a XEP by their numbers."""
    lines = (data / "xep-examples" / f"xep-{number}.jsonl").read_text().splitlines()
    return {one["number"]: one["xml"] for one in map(json.loads, lines)}


def test_every_example_block_is_read_or_refused_with_a_reason(data: Path) -> None:
    taken, reasons = 0, Counter[str]()
    for log in sorted((data / "xep-examples").glob("*.jsonl")):
        for example in map(json.loads, log.read_text().splitlines()):
            try:
                stanza = xmpp.parse(example["xml"])
            except ParseError as error:
                reasons[str(error)] += 1
                continue
            taken += 1
            for decoder in DECODERS:
                decoder(stanza)
    assert taken > 330
    assert all(reasons)


def test_blocks_with_several_stanzas_are_split(data: Path) -> None:
    notes = [part for part in xml_stream.split(examples(data, "0198")[7].encode(), b"<frame>") if part.kind == "note"]
    found = [
        part for part in xml_stream.split(examples(data, "0198")[7].encode(), b"<frame>") if part.kind == "element"
    ]
    assert [xmpp.parse(part.xml).name for part in found] == ["enable", "message", "enabled", "r", "a"]
    assert len(notes) == 7  # comments, which XMPP forbids
    begins = [part for part in xml_stream.split(examples(data, "0198")[1].encode())]
    assert [part.kind for part in begins] == ["open", "element"]
    assert 'xmlns="jabber:client"' in begins[1].xml.decode()


@pytest.mark.parametrize("number", ["0124", "0206"])
def test_bosh_examples_are_exchanges(data: Path, number: str) -> None:
    sessions = bodies = 0
    for text in examples(data, number).values():
        if not text.startswith(("POST", "HTTP")):
            continue
        bodies += 1
        lines = text.replace("\n", "\r\n").encode()
        head, _, body = lines.partition(b"\r\n\r\n")
        # the examples count their bytes with other ends of lines
        head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length"))
        whole = head + b"\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        sides = (Bytes(whole), Bytes(b"")) if text.startswith("POST") else (Bytes(b""), Bytes(whole))
        found = list(http1.exchanges(*sides, Notes(), flow=0, up=True, clear=True))
        exchanges = [one for one in found if isinstance(one, Exchange)]
        assert len(exchanges) == 1
        sessions += len(list(bosh.sessions(exchanges, Notes())))
    assert bodies > 10
    assert sessions >= bodies - 4  # errors of HTTP hold no body of BOSH


def test_services(data: Path) -> None:
    stanza = xmpp.parse(examples(data, "0215")[2])
    assert [(s.type, s.host, s.port, s.transport) for s in xmpp.services(stanza)] == [
        ("stun", "stun.shakespeare.lit", 9998, "udp"),
        ("turn", "relay.shakespeare.lit", 9999, "udp"),
        ("stun", "192.0.2.1", 8888, "udp"),
        ("turn", "192.0.2.1", 8889, "udp"),
        ("ftp", "ftp.shakespeare.lit", 20, "tcp"),
    ]
    assert xmpp.services(stanza)[1].password == "jj929jkj5sadjfj93v3n"
    assert "jj929" not in repr(xmpp.services(stanza))
    assert not xmpp.offers(xmpp.parse(examples(data, "0215")[1]))


def test_presence_in_a_room(data: Path) -> None:
    found = [xmpp.presence(xmpp.parse(text)) for n, text in examples(data, "0045").items() if n in (18, 24, 28)]
    assert all(found)
    codes = {code for one in found if one for code in one.codes}
    assert codes <= {100, 110, 201, 210}


def test_what_clients_of_a_real_call_said(recording: Callable[[str], Path]) -> None:
    stanzas = list(logged(recording("jvb-3")))
    offered = [xmpp.services(one) for one in stanzas if xmpp.offers(one)]
    assert [[s.type for s in some] for some in offered] == [["stun", "turn", "turns"]] * 3
    assert offered[0] == next(xmpp.services(one) for one in stanzas if xmpp.metadata(one))
    assert [c.ready for one in stanzas if (c := xmpp.conference(one))] == [None, True] * 3
    presences = [said for one in stanzas if (said := xmpp.presence(one))]
    assert {one.nick for one in presences if one.nick} == {"ann", "ben", "cem"}
    assert sum(one.joins for one in presences) == 3
    assert {one.bridges for one in presences} == {None, 1}
    assert {one.occupant for one in presences if one.bridges} == {"focus"}
    assert sum(110 in one.codes for one in presences) >= 3
    assert any(one.sources for one in presences)
    assert {step.mechanism for one in stanzas if (step := xmpp.sasl(one)) and step.step == "auth"} == {"ANONYMOUS"}
    assert len({jid for one in stanzas if (jid := xmpp.bound(one))}) == 3
    handled = [step.handled for one in stanzas if (step := xmpp.management(one)) and step.step == "a"]
    assert handled
    assert all(isinstance(number, int) for number in handled)


def test_no_bridge_and_a_refused_guest(recording: Callable[[str], Path]) -> None:
    told = [xmpp.presence(one) for one in logged(recording("no-bridge"))]
    assert any(one and one.bridge_not_available for one in told)
    refused = list(logged(recording("auth-required")))
    assert all("ANONYMOUS" not in offer.mechanisms for one in refused if (offer := xmpp.features(one)))
    assert not any(xmpp.sasl(one) for one in refused)


def test_a_purpose_is_one_line_without_secrets(recording: Callable[[str], Path]) -> None:
    for name in ("jvb-3", "auth-ok", "jvb-p2p", "hostile"):
        said = [(one, xmpp.purpose(one)) for one in logged(recording(name))]
        secrets = {s.password for one, _ in said for s in xmpp.services(one) if s.password}
        for _, text in said:
            assert text
            assert text.isprintable()
            assert "not known here" not in text
            assert not any(secret in text for secret in secrets)


COLIBRI = """<iq xmlns='jabber:client' type='set' id='1'><conference-modify xmlns='jitsi:colibri2' meeting-id='m'
 name='room@x' create='true'><endpoint id='a' create='true'/><endpoint id='b' expire='true'/></conference-modify>
</iq>"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (COLIBRI, "the focus asks the bridge for a conference"),
        ("<iq xmlns='jabber:client' type='result'/>", "confirms a request"),
        ("<presence xmlns='jabber:client' type='error' from='r@x/n'><error><conflict "
         "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>", "the room refuses: conflict"),
        ("<presence xmlns='jabber:client' from='r@x/n'/>", "tells of an occupant without sources"),
        ("<presence xmlns='jabber:client' to='r@x/n'/>", "tells the room of changes of its own"),
        ("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
         "the login is refused: not-authorized"),
        ("<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>", "closes the stream"),
        ("<stream:error xmlns:stream='http://etherx.jabber.org/streams'><conflict "
         "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", "closes the stream: conflict"),
        ("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "the client asks for TLS"),
        ("<message xmlns='jabber:client'><av_moderation xmlns='http://jitsi.org/jitmeet' enable='true' "
         "mediaType='audio'/></message>", "moderation of audio or video"),
    ],
)  # fmt: skip
def test_purposes_that_no_recording_shows(text: str, words: str) -> None:
    assert xmpp.purpose(xmpp.parse(text)) == words


def test_colibri_of_both_versions() -> None:
    asked = xmpp.colibri(xmpp.parse(COLIBRI))
    assert asked is not None
    assert (asked.version, asked.create, asked.endpoints, asked.expired) == (2, True, ("a",), ("b",))
    old = "<iq xmlns='jabber:client' type='get'><conference xmlns='http://jitsi.org/protocol/colibri'>"
    old += "<content name='audio'><channel endpoint='e1'/><channel endpoint='e2'/></content></conference></iq>"
    first = xmpp.colibri(xmpp.parse(old))
    assert first is not None
    assert (first.version, first.create, first.endpoints) == (1, True, ("e1", "e2"))


def test_an_answer_that_refuses_a_conference() -> None:
    text = (
        "<iq xmlns='jabber:client' type='error' id='1'><conference xmlns='http://jitsi.org/protocol/focus' room='r'/>"
    )
    text += "<error type='auth'><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    text += "<session-invalid xmlns='http://jitsi.org/protocol/focus'/></error></iq>"
    said = xmpp.conference(xmpp.parse(text))
    assert said is not None
    assert (said.ready, said.condition, said.application) == (False, "not-authorized", "session-invalid")


# streams of XML -------------------------------------------------------------------------------------------------------

HEADER = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' xmlns:p='urn:p'>"


def test_inherited_namespaces_are_declared_and_only_where_they_are_used() -> None:
    inner = (
        b"<iq/><iq xmlns='urn:own'/><stream:features><a/></stream:features><m><p:x/></m><n xmlns:p='urn:q'><p:x/></n>"
    )
    texts = [part.xml for part in xml_stream.split(HEADER + inner) if part.kind == "element"]
    assert texts[0] == b'<iq xmlns="jabber:client"/>'
    assert texts[1] == b"<iq xmlns='urn:own'/>"
    assert [xmpp.parse(text).element[0].tag for text in texts[2:]] == ["{jabber:client}a", "{urn:p}x", "{urn:q}x"]


def test_offsets_are_those_of_the_bytes() -> None:
    data = HEADER + " <iq id='ä'/>\n<message><body>a > b</body></message></stream:stream>".encode()
    parts = list(xml_stream.split(data))
    assert [part.kind for part in parts] == ["open", "element", "element", "close"]
    assert [data[part.start : part.end].decode() for part in parts[1:]] == [
        "<iq id='ä'/>",
        "<message><body>a > b</body></message>",
        "</stream:stream>",
    ]


def test_many_headers_end_in_time() -> None:
    parts = list(xml_stream.split(HEADER * 5000))
    assert parts[-1].kind == "broken"
    assert len(parts) == xml_stream.MAX_RESTARTS + 1


@pytest.mark.parametrize("size", range(1, 220))
def test_every_truncation_gives_a_prefix(size: int) -> None:
    data = (
        HEADER + b"<iq id='1'><ping xmlns='urn:xmpp:ping'/></iq><presence/><r xmlns='urn:xmpp:sm:3'/></stream:stream>"
    )
    whole = [part for part in xml_stream.split(data) if part.kind in ("open", "element", "close")]
    short = [part for part in xml_stream.split(data[:size]) if part.kind in ("open", "element", "close")]
    assert short == whole[: len(short)]


PIECES = st.sampled_from(
    [HEADER, b"<iq id='1'>", b"</iq>", b"<a/>", b"</stream:stream>", b"<?xml version='1.0'?>", b"<!DOCTYPE x>",
     b"&amp;", b"&x;", b"text", b"<!-- c -->", b"<?pi?>", b"<![CDATA[<iq>]]>", b"\xff", b"\x00", b"<x:y/>",
     b"<b c=\"'>\"/>"]
)  # fmt: skip


@given(st.lists(PIECES | st.binary(max_size=12), max_size=14), st.sampled_from([b"", b"<frame>", HEADER]))
@settings(max_examples=300, deadline=None)
def test_any_bytes_split_and_what_is_given_can_be_read(pieces: list[bytes], context: bytes) -> None:
    for part in xml_stream.split(b"".join(pieces), context):
        assert 0 <= part.start <= part.end
        if part.kind in ("open", "element"):
            stanza = xmpp.parse(part.xml)
            for decoder in DECODERS:
                decoder(stanza)
        else:
            assert part.message or part.kind == "close"


NAMES = st.sampled_from(
    ["iq", "presence", "message", "conference", "services", "service", "x", "item", "json-message", "c"]
)
SPACES = st.sampled_from(
    ["jabber:client", xmpp.FOCUS, xmpp.JITMEET, xmpp.MUC_USER, xmpp.COLIBRI2, xmpp.SASL, *xmpp.EXTDISCO]
)
VALUES = st.sampled_from(
    ["error", "result", "-1", "99999999999999999999999", "true", "{", '{"type":"room_metadata"}', "é\u202e"]
)


@given(
    st.lists(
        st.tuples(NAMES, SPACES, st.sampled_from(["type", "h", "port", "ready", "code"]), VALUES),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=300, deadline=None)
def test_decoders_take_any_stanza(levels: list[tuple[str, str, str, str]]) -> None:
    text = ""
    for name, space, attribute, value in reversed(levels):
        quoted = value.replace('"', "&quot;")
        text = f'<{name} xmlns="{space}" {attribute}="{quoted}">{text or value}</{name}>'
    with contextlib.suppress(ParseError):
        stanza = xmpp.parse(text)
        for decoder in DECODERS:
            decoder(stanza)


@pytest.mark.parametrize(("enabled", "expected"), [("true", True), ("false", False), ('"yes"', None)])
def test_moderation_is_read_from_its_json_message(enabled: str, expected: bool | None) -> None:
    told = {
        "type": "av_moderation",
        "enabled": json.loads(enabled),
        "mediaType": "audio",
        "room": "x@y",
        "actor": "x@y/a",
    }
    text = json.dumps(told)
    stanza = xmpp.parse(
        f"<message xmlns='jabber:client'><json-message xmlns='http://jitsi.org/jitmeet'>{text}</json-message></message>"
    )
    assert xmpp.moderation(stanza) == xmpp.Moderation(expected, "audio", "x@y", "x@y/a")
    other = xmpp.parse(
        "<message xmlns='jabber:client'><json-message xmlns='http://jitsi.org/jitmeet'>{}</json-message></message>"
    )
    assert xmpp.moderation(other) is None


def test_elements_may_stand_as_deep_as_the_limit_and_no_deeper() -> None:
    from jitsilab.protocols import xml

    deep = xml.MAX_DEPTH
    xml.parse("<a>" * deep + "</a>" * deep)
    with pytest.raises(ParseError, match="deep"):
        xml.parse("<a>" * (deep + 1) + "</a>" * (deep + 1))
