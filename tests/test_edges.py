"""Small differences that turn an answer: a value at an edge, which of two counts, what is said of nothing."""

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from made_answers import without
from made_scopes import TALKING, rows, scope, verdict, whole
from test_finding_rules import judged
from test_findings import result_of

import jitsilab as jl
from jitsilab.call import Call
from jitsilab.case.cast import Person
from jitsilab.case.signaling import Session, XmppStream
from jitsilab.facts import Given, load, locations, settings, sockets
from jitsilab.facts import services as servers
from jitsilab.facts.packetfilter import fronts, iptables, model, nft_rule
from jitsilab.facts.packetfilter.walk import _flags, _stranger_in
from jitsilab.judge import findings
from jitsilab.judge.causes import packets
from jitsilab.judge.diagnosis import Diagnosis, card, changes
from jitsilab.judge.findings import media as media_rules
from jitsilab.judge.findings import surface
from jitsilab.judge.findings import turn as turn_rules
from jitsilab.judge.findings.finding import counts
from jitsilab.judge.findings.rule import View
from jitsilab.judge.findings.text import _where as where
from jitsilab.judge.theory import signaling
from jitsilab.protocols import demux, dtls, hello, rtcp, stun, tls, xml_stream, xmpp

# ---- words of an answer


def test_what_else_may_be_the_cause_is_told_after_what_may_be_first() -> None:
    person = without(open_causes=["udp-blocked", "dtls-failed"], certainty="inferred")
    told = [line.split() for line in Diagnosis([person], {}).to_text(200).splitlines() if "be that" in line]
    assert [words[0] for words in told] == ["could:", "be"]


def test_a_card_has_a_name_where_there_is_one() -> None:
    answer = Diagnosis([without()], {})
    assert '<div style="opacity:.7">a.pcap</div>' in card.card(answer, "a.pcap")
    assert '"opacity:.7"' not in card.card(answer).partition("font-size")[0]


def test_the_sum_of_an_audit_says_how_grave_where_something_fails() -> None:
    every = findings.audit(None, load(Given("turnserver.conf", b"realm=meet.example.org\n")))
    bad = [finding for finding in every if finding.result == "FAIL"]
    good = [finding for finding in every if finding.result != "FAIL"]
    assert f"{len(bad)} of {len(every)} checks fail (" in findings.to_text(every, 300)
    assert f"0 of {len(good)} checks fail: " in findings.to_text(good, 300)
    shown = {"FAIL": len(bad), "PASS": sum(finding.result == "PASS" for finding in every)}
    assert {name: counts(every)[name] for name in shown} == shown
    assert sum(counts(every).values()) == len(every)


def test_what_was_not_judged_says_where_it_would_show_and_what_was_seen_says_what() -> None:
    every = findings.audit(None, load(Given("turnserver.conf", b"realm=meet.example.org\n")))
    hidden = next(finding for finding in every if finding.result == "NOT_OBSERVABLE")
    told = replace(hidden, result="INFO", evidence="so it is")
    lines = " ".join(findings.to_text([hidden, told], 4000).split())
    assert f"{hidden.id} {hidden.title}: would show in {hidden.rule.visible}" in lines
    assert f"{hidden.id} {hidden.title}: so it is" in lines


@pytest.mark.parametrize(("frames", "words"), [((5,), "[frame 5"), ((5, 6), "[frames 5, 6")])
def test_one_frame_or_several(frames: tuple[int, ...], words: str) -> None:
    finding = findings.audit(None, load(Given("turnserver.conf", b"realm=meet.example.org\n")))[0]
    assert where(replace(finding, frames=frames)).strip().startswith(words)


def test_addresses_that_the_world_sees() -> None:
    assert changes._public({"addresses": ["10.0.0.7", "198.51.100.20", "2001:db8::5"]}) >= {"198.51.100.20"}
    assert "10.0.0.7" not in changes._public({"addresses": ["10.0.0.7", "198.51.100.20"]})
    assert changes._public({}) == set()


# ---- a server's files


def test_a_port_that_a_list_of_sockets_holds_may_be_open_and_one_that_it_lacks_is_not() -> None:
    line = b'udp UNCONN 0 0 0.0.0.0:10000 0.0.0.0:* users:(("java",pid=1,fd=2))\n'
    facts = load(Given("ss.txt", line))
    assert "nothing listens" not in servers.reach_port(facts, "udp", 10000).note
    assert servers.reach_port(facts, "udp", 10001).open is False
    assert servers.reach_port(None, "udp", 10000).open is None


def test_sockets_as_lsof_lists_them() -> None:
    text = (
        "java 77 jvb 45u IPv4 0x1 0t0 UDP *:10000\n"
        "lua5.4 88 prosody 6u IPv6 0x1 0t0 TCP [::1]:5280 (LISTEN)\n"
        "java 77 jvb 46u IPv4 0x1 0t0 TCP 10.0.0.2:4000\n"
    )
    assert sockets.listeners(text, "lsof.txt") == [
        sockets.Listener("udp", "*", 10000, "java", "lsof.txt:1", (77,)),
        sockets.Listener("tcp", "::1", 5280, "lua5.4", "lsof.txt:2", (88,)),
    ]


@pytest.mark.parametrize(("text", "end"), [("x}", 1), ("x${}}", 4), ("${a:-${b}}z}", 11), ("x", -1)])
def test_where_a_value_of_an_environment_ends(text: str, end: int) -> None:
    assert settings._brace(text, 0) == end


def test_how_a_place_of_nginx_is_matched_stands_before_it() -> None:
    site = b"server {\n location = /http-bind { proxy_pass http://b; }\n location /x { proxy_pass http://x; }\n}\n"
    found = {one.path: one.modifier for one in locations._of_nginx(load(Given("nginx.conf", site)))}
    assert found == {"/http-bind": "=", "/x": ""}


def test_names_and_defaults_of_ports_are_those_of_iana_and_of_prosody() -> None:
    assert model.PORT_NAMES == {
        "ssh": 22, "smtp": 25, "domain": 53, "bootps": 67, "bootpc": 68, "http": 80, "www": 80, "ntp": 123,
        "snmp": 161, "ldap": 389, "https": 443, "submission": 587, "ldaps": 636, "imaps": 993, "stun": 3478,
        "turn": 3478, "stuns": 5349, "turns": 5349, "xmpp-client": 5222, "xmpp-server": 5269, "xmpp-bosh": 5280,
        "http-alt": 8080, "webcache": 8080, "mdns": 5353, "postgresql": 5432, "mysql": 3306, "sip": 5060, "sips": 5061,
    }  # fmt: skip
    # c2s, c2s over TLS, s2s, s2s over TLS, http, https, components: prosody's portmanager
    assert sorted(servers.OF_PROSODY) == [5222, 5223, 5269, 5270, 5280, 5281, 5347]


def test_a_set_of_one_is_written_as_the_one() -> None:
    assert nft_rule._written([("10000",)]) == "10000"
    assert nft_rule._written([("443",), ("10000",)]) == "{ 443, 10000 }"


@pytest.mark.parametrize(
    ("value", "known"),
    [("fc00::/7", False), ("10.0.0.0/8", False), ("192.168.0.0/16", False), ("0.0.0.0/0", True), ("0.0.0.0/1", None),
     ("8.0.0.0/8", False), ("no address", None)],
)  # fmt: skip
def test_whether_a_stranger_is_in_a_range(value: str, known: bool | None) -> None:
    assert _stranger_in(value) is known


@pytest.mark.parametrize(
    ("name", "text", "result"),
    [("turnserver.conf", "realm=x\n", "FAIL"), ("turnserver.conf", "realm=x\nno-tcp-relay\n", "PASS"),
     ("turn-extra.conf", "denied-peer-ip=10.0.0.0-10.255.255.255\n", "NOT_OBSERVABLE"),
     ("turn-extra.conf", "denied-peer-ip=10.0.0.0-10.255.255.255\nno-tcp-relay\n", "PASS")],
)  # fmt: skip
def test_a_relay_of_tcp(name: str, text: str, result: str) -> None:
    assert result_of("SEC-20", None, load(Given(name, text.encode())))[0] == result


def test_services_that_are_no_tables_have_no_names() -> None:
    services = b'external_services = { "turn:x", { type = "turn" }, { host = "turn.example" } }\n'
    facts = load(Given("prosody.cfg.lua", b'VirtualHost "meet.example.org"\n' + services))
    assert "turn.example" in list(surface._names_asked(View(None, facts)))


def test_a_login_in_clear_is_as_grave_as_the_check() -> None:
    config = b'VirtualHost "meet.example.org"\n authentication = "internal_hashed"\n c2s_require_encryption = false\n'
    listed = b'LISTEN 0 128 0.0.0.0:5222 0.0.0.0:* users:(("lua5.4",pid=7,fd=6))\n'
    open_to_all = b"*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    facts = load(Given("prosody.cfg.lua", config), Given("ss.txt", listed), Given("iptables.txt", open_to_all))
    result, outcome = result_of("SEC-07", None, facts)
    assert (result, outcome.severity) == ("FAIL", ""), outcome


def test_what_a_file_of_nginx_includes_is_read_there_with_all_that_stands_in_it() -> None:
    main = (
        b"http {\n server {\n  listen 443 ssl;\n  server_name meet.example.org;\n  include snippets/bosh.conf;\n }\n}\n"
    )
    snippet = b"location = /http-bind {\n proxy_pass http://localhost:5280/http-bind;\n}\n"
    facts = load(Given("nginx.conf", main), Given("snippets/bosh.conf", snippet))
    assert facts.nginx is not None
    (server,) = facts.nginx.tls_servers()
    (location,) = [directive for directive in server.block if directive.name == "location"]
    assert [child.name for child in location.block] == ["proxy_pass"]
    assert location.block[0].parent is location


@pytest.mark.parametrize(
    ("flags", "meets"),
    [("syn/fin,syn,rst,ack", True), ("fin,syn/fin,syn", False), ("none/fin,urg", True), ("none/all", False),
     ("syn,rst/syn,rst", False), ("syn", True), ("ack", False)],
)  # fmt: skip
def test_whether_flags_of_a_rule_meet_the_first_packet_of_a_connection(flags: str, meets: bool) -> None:
    assert _flags(flags) is meets


@pytest.mark.parametrize(
    ("words", "unread"), [("-p udp --odd thing --dport 443", "--odd thing"), ("--odd --dport 443", "--odd --dport")]
)
def test_an_option_that_nobody_knows_takes_its_value_with_it(words: str, unread: str) -> None:
    rule = iptables._rule([*words.split(), "-j", "ACCEPT"], "rules:1")
    assert [condition.text for condition in rule.conditions if not condition.fields] == [unread]
    assert ("443",) in [element for condition in rule.conditions for element in condition.elements]


def test_a_module_that_one_host_enables_is_not_turned_off() -> None:
    for more, off in (("", True), (' modules_enabled = { "s2s" }\n', False)):
        text = 'modules_disabled = { "s2s" }\nVirtualHost "meet.example.org"\n' + more
        facts = load(Given("prosody.cfg.lua", text.encode()))
        assert facts.prosody is not None
        assert (facts.prosody.disabled("s2s") is not None) is off


@pytest.mark.parametrize("port", ['port port="10000" protocol="udp"', 'port protocol="udp" port="10000"'])
def test_a_rich_rule_names_its_port_in_either_order(port: str) -> None:
    (rule,) = fronts._rich(f'rule family="ipv4" {port} accept', "x:1")
    known = {condition.fields: condition.elements for condition in rule.conditions}
    assert known["udp dport",] == (("10000",),)


# ---- packets


def test_types_and_formats_of_rtcp_have_the_names_that_iana_lists() -> None:
    assert rtcp.NAMES == {
        192: "FIR", 193: "NACK", 194: "SMPTETC", 195: "IJ", 200: "SR", 201: "RR", 202: "SDES", 203: "BYE", 204: "APP",
        205: "RTPFB", 206: "PSFB", 207: "XR", 208: "AVB", 209: "RSI", 210: "TOKEN", 211: "IDMS", 212: "RGRS",
        213: "SNM",
    }  # fmt: skip
    assert [name for (kind, _), name in sorted(rtcp.FEEDBACK.items()) if kind == 205] == [
        "Generic NACK", "TMMBR", "TMMBN", "RTCP-SR-REQ", "RAMS", "TLLEI", "RTCP-ECN-FB", "PAUSE-RESUME", "DBI", "CCFB",
        "TWCC",
    ]  # fmt: skip
    assert [number for kind, number in sorted(rtcp.FEEDBACK)] == [*(1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15),
                                                                  *(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15)]  # fmt: skip


def test_the_shortest_message_at_the_end_of_a_stream_is_one() -> None:
    assert [(one.offset, one.end) for one in demux.split(b"\x40\x00\x00\x00", "turn")] == [(0, 4)]


def test_a_connection_id_may_have_255_bytes() -> None:
    body = b"\x17\xfe\xfd\0\1" + bytes(6) + b"\xa5" * 255 + b"\0\1x"
    assert dtls._connection_id(body, 11, None) == 255
    assert dtls._connection_id(b"\x17\xfe\xfd\0\1" + bytes(6) + b"\xa5" * 256 + b"\0\1x", 11, None) == 0


def test_elements_may_be_so_deep_and_no_deeper() -> None:
    for deep, kind in ((xml_stream.MAX_DEPTH, "element"), (xml_stream.MAX_DEPTH + 1, "broken")):
        text = b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        parts = list(xml_stream.split(text + b"<a>" * deep + b"</a>" * deep))
        assert parts[1].kind == kind, deep


def test_when_a_capture_begins_and_ends() -> None:
    call = jl.load("turn-refused", point="eth0")
    assert call.wire is not None
    (capture,) = [row for row in call.diagnosis.inputs if row["kind"] == "capture"]
    frames = call.frames["time"].dropna()
    begins, ends = (pd.Timestamp(capture[name]) for name in ("first_time", "last_time"))
    assert abs((begins - frames.min()).total_seconds()) < 0.002
    assert abs((ends - frames.max()).total_seconds()) < 0.002


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"\2\x28", "fatal handshake_failure"), (b"\1\0", "warning close_notify"), (b"\3\x28", None), (b"\2", None),
     (b"\2\x28\0", None)],
)  # fmt: skip
def test_an_alert_in_clear_has_two_bytes_of_which_the_first_is_known(body: bytes, words: str | None) -> None:
    assert hello.describe_alert(body) == words


def test_the_begin_of_a_handshake_is_enough_to_be_tls() -> None:
    assert tls.is_tls(b"\x16\x03\x01\1\0\x01\0\0\xfc")
    assert not tls.is_tls(b"\x16\x03\x01\1\0\x63\0\0\xfc")
    assert not tls.is_tls(b"\x17\x03\x03\1\0\x01\0\0\xfc")


def test_an_error_code_may_come_without_a_reason() -> None:
    head = b"\x01\x11\0\x08\x21\x12\xa4\x42" + bytes(12)
    assert stun.decode(head + b"\0\x09\0\x04\0\0\x04\x01").error == (401, "")
    assert stun.decode(head + b"\0\x09\0\x03\0\0\x04\0").error is None


def test_turn_of_the_drafts_is_stun_without_a_cookie() -> None:
    attributes = b"\0\x0f\0\x04\x72\xc6\x4b\xc6" + b"\0\x06\0\x04user"  # MAGIC-COOKIE, USERNAME
    for kind, classic in ((b"\0\x03", True), (b"\1\x03", True), (b"\0\x0b", False), (b"\2\x03", False)):
        assert demux.is_classic(kind + len(attributes).to_bytes(2) + bytes(range(16)) + attributes) is classic, kind


@pytest.mark.parametrize(
    ("hello_at", "media_at", "flow", "early"),
    [(5.0, 4.0, 1, [9]), (5.0, 6.0, 1, []), (5.0, 4.0, 2, []), (30.0, 4.0, 1, [])],
)
def test_media_before_their_handshake(hello_at: float, media_at: float, flow: int, early: list[int]) -> None:
    dtls_rows = rows({"handshake_type": "client_hello", "seconds": hello_at, "flow": 1})
    media_rows = rows({"depth": 0, "flow": flow, "first_seconds": media_at, "first_frame": 9})
    assert media_rules._before_keys(media_rows, dtls_rows) == early
    assert media_rules._before_keys(media_rows, rows({"handshake_type": None, "seconds": 5.0, "flow": 1})) == []


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [("127.0.0.1", True), ("169.254.169.254", True), ("0.0.0.0", True), ("fe80::1", True), ("::", True), ("::1", True),
     ("10.0.0.1", False), ("2001:db8::1", False)],
)  # fmt: skip
def test_addresses_that_no_relay_has_business_with(address: str, forbidden: bool) -> None:
    assert turn_rules._forbidden(address) is forbidden


@pytest.mark.parametrize("nonce", [b"", b"\7" * 8])
def test_the_ticket_of_tls_13_stands_behind_its_nonce(nonce: bytes) -> None:
    body = bytes(8) + bytes([len(nonce)]) + nonce + b"\0\4wxyz" + b"\0\0"
    assert hello.decode_ticket(body, tls13=True) == b"wxyz"
    assert hello.decode_ticket(bytes(4) + b"\0\4wxyz") == b"wxyz"


def test_words_of_a_room_s_messages() -> None:
    def words(inner: str) -> str:
        return xmpp.purpose(xmpp.parse(f"<message xmlns='jabber:client' type='groupchat'>{inner}</message>"))

    assert words("<body>hello</body>") == "chat"
    assert words("<subject>room</subject>") == "the subject of the room"


@pytest.mark.parametrize("bigger", [True, False])
def test_answers_to_strangers_are_those_with_401_alone(bigger: bool) -> None:
    asked = [{"message_class": "request", "transaction_id": str(n), "size": 28, "error_code": None} for n in range(120)]
    refused = [row | {"message_class": "error", "error_code": 401, "size": 60 if not bigger else 500} for row in asked]
    stale = [row | {"message_class": "error", "error_code": 438, "size": 9000} for row in asked]
    table = rows(*asked, *refused, *stale, transport="udp", depth=0, flow=1, method="Allocate")
    result, note = judged("SEC-21", stun=table)
    assert (result, note.split()[0]) == ("FAIL" if bigger else "PASS", "120")


def test_records_of_the_deployment_are_those_of_its_own_flows() -> None:
    view = View(Call("made", tables={"tls": rows({"flow": 1}, {"flow": 2})}), None)
    view.__dict__["own_flows"] = None
    assert surface._own_streams(view) is None
    view.__dict__["own_flows"] = {2}
    assert surface._own_streams(view) == {2}


@pytest.mark.parametrize(
    ("stream", "words"),
    [({"tried": 5, "refused": [6]}, "the server refused the login"),
     ({"tried": 5, "mechanisms": {"PLAIN"}}, "the server offers PLAIN and the client gave up"),
     ({"refused": [6]}, "the server offers no mechanism and the client gave up")],
)  # fmt: skip
def test_a_login_that_was_refused_was_tried(stream: dict[str, Any], words: str) -> None:
    assert packets._login(XmppStream(0, **stream)) == words


def test_a_session_that_was_too_short_to_judge_gives_way_to_one_that_was_not() -> None:
    first, second = (Session(sid, "jvb", offered=at, offered_at=float(at)) for sid, at in (("a", 10), ("b", 99)))
    peers = Session("p", "p2p", offered=5, offered_at=5.0)
    stream = XmppStream(0, sessions={one.sid: one for one in (peers, first, second)})
    assert packets._judged_session(Person(xmpp_streams=[stream]), 100.0) is first
    assert packets._judged_session(Person(xmpp_streams=[stream]), 200.0) is second


def test_a_conference_that_a_client_announces_opens_nothing() -> None:
    login = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>"
    conference = "<conference xmlns='http://jitsi.org/protocol/focus' ready='true'/>"
    ready = f"<iq xmlns='jabber:client' type='result'>{conference}</iq>"
    for direction, result in (("s2c", "FAIL"), ("c2s", "NOT_OBSERVABLE")):
        table = pd.DataFrame({
            "frame": [1, 2], "seconds": 1.0, "connection": 0, "direction": ["c2s", direction], "carrier": "ws",
            "clear": False, "src": "198.51.100.20", "dst": "203.0.113.10", "xml": [login, ready],
        })  # fmt: skip
        assert judged("SEC-01", xmpp=table)[0] == result


def test_whoever_comes_with_a_token_is_not_known_to_enter_without() -> None:
    login = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>"
    created = (
        "<presence xmlns='jabber:client' from='r@conference.m/a'><x xmlns='http://jabber.org/protocol/muc#user'>"
        "<status code='110'/><status code='201'/></x></presence>"
    )
    xmpp_rows = pd.DataFrame({
        "frame": [1, 2], "seconds": 1.0, "connection": 0, "direction": ["c2s", "s2c"], "carrier": "ws", "clear": False,
        "src": "198.51.100.20", "dst": "203.0.113.10", "xml": [login, created],
    })  # fmt: skip
    for target, result in (("/xmpp-websocket?room=r&token=***", "NOT_OBSERVABLE"), ("/xmpp-websocket?room=r", "FAIL")):
        http = pd.DataFrame({"target": [target], "frame": [1], "up": [True], "clear": [False]})
        assert judged("SEC-01", xmpp=xmpp_rows, http=http)[0] == result


@pytest.mark.parametrize(
    ("attributes", "kind", "result"),
    [("0019", "success", "FAIL"), ("0019 0006 0008", "success", "NOT_OBSERVABLE"), ("0019", "error", "PASS"),
     (None, "success", "NOT_OBSERVABLE")],
)  # fmt: skip
def test_an_allocation_without_credentials(attributes: str | None, kind: str, result: str) -> None:
    asked = {
        "frame": 5, "flow": 1, "src": "198.51.100.20", "dst": "203.0.113.10", "method": "Allocate",
        "transaction_id": "t", "message_class": "request", "attributes": attributes, "error_code": None,
    }  # fmt: skip
    answer = asked | {"frame": 6, "message_class": kind, "error_code": 401 if kind == "error" else None}
    outcome = turn_rules._open_on_wire(View(Call("made", tables={"stun": rows(asked, answer)}), None))
    assert outcome.verdict.security_word == result


@pytest.mark.parametrize(("direction", "told"), [("s2c", True), ("c2s", False)])
def test_a_password_that_the_server_tells(direction: str, told: bool) -> None:
    invitation = (
        "<message xmlns='jabber:client' from='lobby@m'><x xmlns='http://jabber.org/protocol/muc#user'>"
        "<invite from='a@m'/><password>geheim</password></x></message>"
    )
    table = pd.DataFrame({
        "frame": [4], "seconds": 1.0, "connection": 0, "direction": [direction], "carrier": "ws", "clear": False,
        "src": "198.51.100.20", "dst": "203.0.113.10", "xml": [invitation],
    })  # fmt: skip
    result, note = judged("SEC-04", xmpp=table)
    assert (result == "FAIL", "the server told a room's password" in note) == (told, told)


@pytest.mark.parametrize(("outgoing", "word"), [(True, "CONFORMS"), (False, "NOT_OBSERVED")])
def test_streams_that_were_announced_are_judged_where_some_were_sent(outgoing: bool, word: str) -> None:
    media = rows({"ssrc": 7, "outgoing": outgoing, "first_frame": 20})
    sources = rows({"ssrc": 7, "owner": "e1", "origin": "jingle"})
    made = scope(TALKING, stream=whole(TALKING, endpoint="e1"), tables={"media": media, "sources": sources})
    assert verdict(signaling.announced(media, sources, made))[0] == word
