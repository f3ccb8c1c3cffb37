"""A server's own files as facts: against real configurations, broken ones and any text."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitsilab import facts
from jitsilab.errors import CaptureError, Problem
from jitsilab.facts import (
    Given,
    apache,
    compose,
    hocon,
    nginx,
    packetfilter,
    programs,
    properties,
    prosody,
    services,
    sockets,
    turnserver,
    versions,
    webconfig,
)
from jitsilab.facts import settings as settings_of_shell
from jitsilab.facts.locations import Location
from jitsilab.facts.model import UNKNOWN, Secret, hide, secret

Get = Callable[[str], Path]


@pytest.fixture(scope="module")
def lab(recording: Get) -> facts.Facts:
    return facts.load(recording("jvb-3") / "facts")


def read_prosody(text: str) -> tuple[prosody.Prosody, list[Problem]]:
    server, problems = prosody.Prosody(), []
    prosody.parse(text, "p.cfg.lua", server, problems)
    return server, problems


def test_prosody_hosts_and_their_options(lab: facts.Facts) -> None:
    server = lab.prosody
    assert server is not None
    assert [host.name for host in server.hosts_of("VirtualHost")] == ["meet.lab", "auth.meet.lab"]
    main = server.hosts_of("VirtualHost")[0]
    assert main.options["authentication"] == facts.Fact("jitsi-anonymous", "prosody.cfg.lua:61")
    assert server.get(main, "c2s_require_encryption") == facts.Fact(False, "prosody.cfg.lua:50")
    assert server.hosts[0].options["plugin_paths"].value == ["/usr/share/jitsi-meet/prosody-plugins"]
    assert server.hosts[0].options["certificates"].value == "/srv/meet/certs"  # a local, joined with a string
    assert "muc_lobby_rooms" in server.modules(main)
    assert server.listens("c2s") == (["127.0.0.1"], [5222], "prosody.cfg.lua:13")
    assert server.open_to_others("http") is False


def test_prosody_listens_as_its_portmanager_would() -> None:
    bare, _ = read_prosody('VirtualHost "a"')
    assert bare.open_to_others("c2s") is True  # interfaces default to every address
    assert bare.open_to_others("component") is False  # private services default to loopback
    assert bare.listens("http")[:2] == (["127.0.0.1", "::1"], [5280])
    wide, _ = read_prosody('component_interface = "0.0.0.0"\ncomponent_ports = { 5347, "5348" }')
    assert wide.listens("component") == (["0.0.0.0"], [5347, 5348], "p.cfg.lua:1")
    assert read_prosody("interfaces = { os.getenv('X') }")[0].open_to_others("c2s") is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('x = "a" .. "b" .. 3', "ab3"),
        ("x = { 1, two = { true, false }, [3] = nil }", {1: 1, "two": [True, False], 3: None}),
        ("x = not false", True),
        ("x = nil or 5", 5),
        ("x = false and 5", False),
        ("x = -2 * 3 + 1", -5),
        ("x = [[long\ntext]]", "long\ntext"),
        ("local y = 'z'; x = y", "z"),
        ("x = os.getenv('HOME')", UNKNOWN),
        ("if a then x = 1 end", UNKNOWN),
        ("for i = 1, 3 do x = i end", UNKNOWN),
        ("x = 1\nif a then y = 1 elseif b then x = 2 else z = 3 end", UNKNOWN),
    ],
)
def test_lua_values_without_running_lua(text: str, value: object) -> None:
    assert read_prosody(text)[0].hosts[0].options["x"].value == value


def test_lua_forms_of_hosts() -> None:
    server, _ = read_prosody(
        'VirtualHost "a" { authentication = "token", app_secret = "s" }\nComponent("b", "muc")\nq = 1'
    )
    first, second = server.hosts[1:]
    assert (first.name, first.options["authentication"].value) == ("a", "token")
    assert isinstance(first.options["app_secret"].value, Secret)
    assert (second.kind, second.module, second.options["q"].value) == ("Component", "muc", 1)


def test_a_broken_line_costs_that_line_and_is_not_quoted() -> None:
    server, problems = read_prosody('a = 1\nexternal_service_secret = "hush" {% if %} )\nb = 2\n')
    assert server.hosts[0].options["a"].value == 1
    assert server.hosts[0].options["b"].value == 2
    assert problems
    assert all("hush" not in problem.message for problem in problems)
    assert "p.cfg.lua:2" in problems[0].message


def test_turnserver_ranges_and_what_wins(lab: facts.Facts, recording: Get) -> None:
    turn = lab.turn
    assert turn is not None
    assert turn.authenticates() is True
    assert turn.mapping() == {"203.0.113.10": "172.31.37.118"}
    assert turn.rule_for("172.31.37.118") == (True, "turnserver.conf:33")  # allowed wins over denied
    assert turn.rule_for("172.31.37.119") == (False, "turnserver.conf:40")
    assert turn.rule_for("::ffff:10.0.0.1")[0] is False
    refused = facts.load(recording("turn-refused") / "facts").turn
    assert refused is not None
    assert refused.rule_for("203.0.113.10")[0] is False


@pytest.mark.parametrize(
    ("text", "answer"),
    [("", False), ("no-auth\nuse-auth-secret", False), ("lt-cred-mech", True), ("user=a:b", True),
     ("userdb=/var/db", None), ("use-auth-secret", True)],
)  # fmt: skip
def test_whether_turn_asks_for_credentials(text: str, answer: bool | None) -> None:
    turn = turnserver.TurnServer()
    turnserver.parse(text, "t", turn)
    assert turn.authenticates() is answer


def test_hocon_with_lines_and_without_following_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUSH", "from the environment")
    conf, problems = hocon.Hocon(), []
    text = 'include "/etc/passwd"\na { b = ${?HUSH}, c.d : 5\n  e = [ 1, "x" ] # note\n  password = hush\n}\n'
    text += "a.f = ${HUSH}\n"
    hocon.parse(text, "c.conf", conf, problems)
    assert [p.message for p in problems] == ["c.conf:1: an include, not followed"]
    assert conf.values["a.c.d"] == facts.Fact(5, "c.conf:2")
    assert conf.values["a.e"] == facts.Fact([1, "x"], "c.conf:3")
    assert isinstance(conf.values["a.password"].value, Secret)
    assert conf.values["a.f"].value is UNKNOWN
    assert "environment" not in repr(conf)


@pytest.mark.parametrize("form", ['x { include "F" }', 'x { Include file("F") }', 'x { include required(file("F")) }'])
def test_hocon_opens_no_other_file(form: str, tmp_path: Path) -> None:
    other = tmp_path / "other.conf"
    other.write_text("stolen = 1")
    conf = hocon.Hocon()
    hocon.parse(form.replace("F", str(other)), "c.conf", conf, [])
    assert not any("stolen" in path for path in conf.values)


def test_bridge_and_focus(lab: facts.Facts) -> None:
    assert lab.bridge is not None
    assert lab.focus is not None
    assert lab.bridge.values["videobridge.http-servers.private.host"] == facts.Fact("127.0.0.1", "jvb.conf:25")
    assert lab.bridge.values["ice4j.harvest.mapping.static-mappings"].value[0]["public-address"] == "203.0.113.10"
    assert lab.focus.values["jicofo.rest.port"] == facts.Fact(8888, "jicofo.conf:33")


def test_nginx_blocks_inherit(lab: facts.Facts) -> None:
    assert lab.nginx is not None
    server = next(lab.nginx.tls_servers())
    assert server.place == "nginx.conf:53"
    location = next(one for one in lab.nginx.all("location") if "/xmpp-websocket" in one.args)
    log = location.inherited("access_log")
    assert log is not None
    assert log.place == "nginx.conf:37"


def test_a_site_alone_is_nginx_too(tmp_path: Path) -> None:
    (tmp_path / "meet.example.conf").write_text("server { listen 443 ssl; ssl_protocols TLSv1; }\n}\n")
    seen = facts.load(tmp_path)
    assert seen.nginx is not None
    assert [one.args for one in seen.nginx.all("ssl_protocols")] == [("TLSv1",)]
    assert any("meet.example.conf" in problem.message for problem in seen.problems)


def test_sockets_and_filter(recording: Get) -> None:
    seen = facts.load(recording("clear-5222") / "facts")
    there = [(one.address, one.process, one.local) for one in seen.listening("tcp", 5222)]
    assert there == [("172.31.37.118", "lua5.4", False), ("127.0.0.1", "lua5.4", True)]
    assert seen.firewall is not None
    assert seen.firewall.lets_in("tcp", 5222) == (True, "security-group.txt:18")
    assert seen.firewall.lets_in("tcp", 5347)[0] is False  # the policy drops
    shut = facts.load(recording("udp-closed") / "facts").firewall
    assert shut is not None
    assert shut.lets_in("udp", 10000) == (False, "security-group.txt:15")


def test_forms_of_sockets() -> None:
    text = (
        'tcp LISTEN 0 128 *:5347 *:* users:(("lua5.4",pid=1,fd=2))\ntcp LISTEN 0 5 [::1]:5280 [::]:*\n'
        "tcp6 0 0 :::9090 :::* LISTEN 77/java\ntcp LISTEN 0 1 [::ffff:127.0.0.1]:8080 *:*\n"
        "udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*\ntcp LISTEN 0 1 0.0.0.0:99999 *:*\nnonsense 5222\n"
    )
    found = [(one.transport, one.address, one.port, one.process, one.local) for one in sockets.listeners(text, "s")]
    assert found == [
        ("tcp", "*", 5347, "lua5.4", False), ("tcp", "::1", 5280, "", True), ("tcp", "*", 9090, "java", False),
        ("tcp", "::ffff:127.0.0.1", 8080, "", True), ("udp", "127.0.0.53", 53, "", True),
    ]  # fmt: skip


def test_the_way_out_is_one_interface_or_not_known() -> None:
    one = "default via 10.0.0.1 dev ens3 proto dhcp\n10.0.0.0/24 dev ens4 scope link\n"
    assert sockets.default_route(one) == "ens3"
    assert sockets.default_route("0.0.0.0  10.0.0.1  0.0.0.0  UG  0 0 0 ens3\n") == "ens3"
    assert sockets.default_route(one + "default via 10.0.1.1 dev ens4 metric 200\n") == ""
    assert sockets.default_route("10.0.0.0/24 dev ens4\n") == ""


def test_a_path_comes_by_a_location() -> None:
    def serves(modifier: str, path: str, asked: str) -> bool:
        return Location(path, modifier, "nginx.conf:1", None, None, None, (), "nginx").serves(asked)

    assert serves("", "/xmpp", "/xmpp-websocket")
    assert not serves("=", "/xmpp", "/xmpp-websocket")
    assert serves("=", "/http-bind", "/http-bind")
    assert serves("~", "^/[a-z-]+$", "/http-bind")
    assert not serves("~", "^/[a-z-]+$", "/HTTP-bind")
    assert serves("~*", "^/[a-z-]+$", "/HTTP-bind")
    assert not serves("~", "^/(http-bind", "/http-bind")  # no pattern that could be read


def test_what_the_shell_gives_a_program_is_its_configuration() -> None:
    line = b'JAVA_SYS_PROPS="-Dconfig.file=/etc/jvb.conf -Dorg.jitsi.videobridge.rest.private.jetty.port=8082"\n'
    seen = facts.load(facts.Given("etc/jitsi/videobridge/config", line))
    fact = seen.system["bridge"].values["org.jitsi.videobridge.rest.private.jetty.port"]
    assert (fact.value, fact.place) == ("8082", "etc/jitsi/videobridge/config:1")
    assert facts.load(facts.Given("etc/jitsi/videobridge/config", b"JVB_HOST=\n")).system == {}


def test_no_filter_is_not_an_open_one() -> None:
    assert packetfilter.Filters().lets_in("tcp", 1) == (None, "")


def test_config_js_without_running_it() -> None:
    web, problems = webconfig.WebConfig(), []
    text = (
        "/* x */ var subdomain = '<!--# echo -->';\nvar config = {\n hosts: { domain: 'meet.example', // a note\n"
        "  muc: 'conference.' + subdomain },\n p2p: { enabled: true,"
        " stunServers: [ { urls: 'stun:a.example:443' }, ] },\n"
        " fn: function (a) { return { b: 1 }; }, last: 5 * 60, more: ['a'].concat(b),"
        " giphy: { sdkKey: 'hush' } };\nconfig.resolution = 720\n"
        "config.e2ee = { on: false };\n"
    )
    webconfig.parse(text, "c.js", web, problems)
    assert web.values["hosts.domain"] == facts.Fact("meet.example", "c.js:3")
    assert web.values["hosts.muc"].value is UNKNOWN
    assert web.values["p2p.stunServers"].value == [{"urls": "stun:a.example:443"}]
    assert web.values["last"].value is UNKNOWN
    assert web.name == "c.js"
    assert web.values["more"].value is UNKNOWN  # a list that goes on is not the whole list
    assert web.values["resolution"] == facts.Fact(720, "c.js:7")
    assert web.values["e2ee.on"].value is False
    assert isinstance(web.values["giphy.sdkKey"].value, Secret)
    assert problems == []


@pytest.mark.parametrize(
    ("text", "package", "version"),
    [
        ("coturn 4.6.1-1\n", "coturn", "4.6.1-1"),
        ("ii  jicofo:amd64   1.0-1050-1  all  focus\n", "jicofo", "1.0-1050-1"),
        ("Setting up coturn (4.5.0.7-1ubuntu2.18.04.2) ...\n", "coturn", "4.5.0.7-1ubuntu2.18.04.2"),
        ('bridge {"name":"JVB","version":"2.3.SNAPSHOT"}\n', "bridge", "2.3.SNAPSHOT"),
    ],
)
def test_forms_of_versions(text: str, package: str, version: str) -> None:
    assert versions.parse(text, "v")[package].value == version


@pytest.mark.parametrize(
    ("older", "newer"),
    [("2.0.5076-1", "2.0.5963"), ("4.5.0.7-1ubuntu2.18.04.2", "4.5.2"), ("4.5.1.3", "4.5.2"), ("1.0-940", "1.0-1050"),
     ("2.1-504-g2f7fcb978", "2.1-595-g3637fda42"), ("1.0~rc1", "1.0")],
)  # fmt: skip
def test_versions_have_the_order_of_dpkg(older: str, newer: str) -> None:
    assert versions.order(older) < versions.order(newer)


def test_the_study_gives_its_versions() -> None:
    seen = facts.load(Path(__file__).resolve().parent.parent / "data" / "project3-2020" / "facts")
    assert seen.versions["jitsi-meet"].value == "2.0.5076-1"
    assert seen.versions["coturn"].value == "4.5.0.7-1ubuntu2.18.04.2"


def test_secrets_are_marks(lab: facts.Facts, recording: Get) -> None:
    for word in ("lab-turn-secret", "labjvb", "labfocus", "PRIVATE KEY"):
        assert word not in repr(lab)
    assert lab.private_keys == ["meet.lab.key"]
    other = facts.load(recording("turn-auth") / "facts")
    assert lab.turn is not None
    assert lab.prosody is not None
    assert other.prosody is not None
    shared = lab.turn.first("static-auth-secret")
    assert shared is not None
    assert shared.value == lab.prosody.hosts[0].options["external_service_secret"].value  # the same secret
    assert shared.value != other.prosody.hosts[0].options["external_service_secret"].value
    assert secret("hush").length == 4
    assert secret("changeme").common
    assert hide("x", "mysql://user:hush@host/db") == secret("mysql://user:hush@host/db")


def test_unknown_and_broken_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("buy milk")
    (tmp_path / "jvb.conf").write_text("a { b = [ ")
    (tmp_path / "big.conf").write_bytes(b"x" * (facts.LARGEST + 5))
    (tmp_path / "broken.crt").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "bytes.bin").write_bytes(bytes(range(256)))
    (tmp_path / "link").symlink_to("/etc/passwd")
    said = " ".join(problem.message for problem in facts.load(tmp_path).problems)
    assert all(name in said for name in ("notes.txt", "jvb.conf", "big.conf", "broken.crt", "bytes.bin"))
    assert "link" not in said
    with pytest.raises(CaptureError, match="no folder"):
        facts.load(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["[]", "[{a = 1}]", "# nothing\n[1,\n2]"])
def test_a_list_is_no_configuration(text: str) -> None:
    problems: list[Problem] = []
    read = hocon.Hocon()
    hocon.parse(text, "jvb.conf", read, problems)
    assert problems == [Problem(0, "hocon", 0, "jvb.conf: not readable as HOCON")]
    assert read.broken == ["jvb.conf"]
    assert not read.values


def test_what_another_file_sets_is_not_known() -> None:
    deep = facts.load(Given("jvb.conf", ("a {" * 200 + "}" * 200).encode()))
    assert deep.problems == [Problem(0, "hocon", 0, "jvb.conf: nested too deeply to be read")]
    included = facts.load(Given("jvb.conf", b'videobridge {}\ninclude "more.conf"\n'))
    assert programs.whole(included, "bridge") == "jvb.conf:2 includes a file that is not here"
    assert programs.whole(included, "focus") == "jicofo.conf was not given"
    assert programs.whole(deep, "bridge") == "jvb.conf cannot be read"
    assert programs.whole(facts.load(Given("jvb.conf", b"videobridge {}\n")), "bridge") == ""


def test_where_the_filter_is_not_understood_that_is_the_answer() -> None:
    rules = b"table inet f { chain input { type filter hook input priority 0; policy drop; frobnicate accept } }"
    found = facts.load(Given("nft.txt", rules), Given("ss.txt", b"tcp LISTEN 0 128 0.0.0.0:5222 0.0.0.0:*\n"))
    answer = services.reach_of(found, [services.Endpoint("tcp", "*", 5222, ("ss.txt:1",))])
    assert answer.open is None
    assert answer.note.startswith("tcp 5222 is bound to every address; what the filter does is not known: ")


TEXTS = st.text(max_size=200) | st.lists(
    st.sampled_from(
        ["VirtualHost", '"a"', "{", "}", "=", "config", ".", ",", "[", "]", "1", "'x'", "\n", "if", "end", ";",
         "server", "listen", "(", ")", "function", "tcp", "dport", "accept", "chain x {", "include", "${a}"]
    ),
    max_size=60,
).map(" ".join)  # fmt: skip


@given(text=TEXTS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_breaks_a_reader(text: str) -> None:
    problems: list[Problem] = []
    prosody.parse(text, "f", prosody.Prosody(), problems)
    hocon.parse(text, "f", hocon.Hocon(), problems)
    nginx.parse(text, "f", nginx.Nginx(), problems)
    webconfig.parse(text, "f", webconfig.WebConfig(), problems)
    turn = turnserver.TurnServer()
    turnserver.parse(text, "f", turn)
    turn.ranges("denied-peer-ip")
    sockets.listeners(text, "f")
    packetfilter.parse(text, "f", packetfilter.Filters())
    sockets.addresses(text)
    with contextlib.suppress(ValueError):
        versions.parse(text, "f")
    variables = settings_of_shell.Settings()
    settings_of_shell.read_env(text, "f", variables)
    settings_of_shell.read_shell(text, "f", variables)
    properties.parse(text, "f", variables)
    settings_of_shell.interpolate(text, {"a": "b"}, complete=True)
    compose.parse(text, "f", compose.Compose(), variables, True, problems)
    compose.parse("services:\n  jvb:\n    ports:\n" + text, "f", compose.Compose(), variables, True, problems)
    apache.parse(text, "f", problems)
    sockets.hosts(text, "f")
    sockets.handed_on(text, "f")


def test_calls_of_calls_are_left_out_before_the_parser_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    monkeypatch.setattr(prosody.ast, "parse", lambda text, real=prosody.ast.parse: texts.append(text) or real(text))
    problems: list[Problem] = []
    server = prosody.Prosody()
    chain = 'Component "a"' + ' "b"\n' * (prosody.CHAIN - 1)
    allowed = "x = {" + '"a"; ' * 40 + "}\n" + chain
    prosody.parse(f'VirtualHost "before"\n{allowed}', "allowed", server, problems)
    assert not problems
    text = f'VirtualHost "here"\nf = 1\n{chain}[[c]] --[[ "not" "these" ]]\nVirtualHost "behind"\n'
    prosody.parse(text, "f", server, problems)
    assert [problem.message for problem in problems] == [f"f:{prosody.CHAIN + 2}: not readable as Lua, left out"]
    assert [host.name for host in server.hosts] == ["*", "before", "a", "here", "behind"]
    assert "[[c]]" not in texts[-1]
    assert len(texts) == 2


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("f" + '"\na"' * 20, prosody.CHAIN + 1),  # the parser's strings go over lines, though Lua's do not
        ("f" + " 'a'" * (prosody.CHAIN - 1) + ' " ' + "'b' 'c'\n", 1),  # and it goes over a quote that nothing closes
        ("f" + " 'a'" * (prosody.CHAIN - 1) + ' " ' + "x 'b' 'c'\n", None),
        ("f '" + "\\'" * 300_000, None),
        ("f" + '"a\\"b" ' * 9, 1),
    ],
)
def test_strings_are_those_of_the_parser(text: str, line: int | None) -> None:
    assert prosody._chained(text)[0] == line


def test_a_file_of_many_calls_is_not_read_again_for_each_of_its_broken_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(prosody.ast, "parse", lambda text, real=prosody.ast.parse: read.append(text) or real(text))
    broken = "= 1\n" * 10
    for more, times in (("", 11), ('Component "a" "b"\n' * 8, 7), ('Component "a" "b"\n' * 200, 1)):
        read.clear()
        problems: list[Problem] = []
        prosody.parse(more + broken + f"-- {times}", "f", prosody.Prosody(), problems)
        assert len(read) == times
        assert len(problems) == min(times, 10) + (times < 11)


@given(
    text=TEXTS, name=st.sampled_from(["prosody.cfg.lua", "jvb.conf", "docker-compose.yml", ".env", "nginx.conf", "x"])
)
@settings(max_examples=60, deadline=None)
def test_no_file_breaks_a_deployment(text: str, name: str) -> None:
    seen = facts.load(facts.Given(name, text.encode()))
    seen.deployment.bridge_ports()
    seen.deployment.mappings()
    seen.deployment.locations()
    list(seen.deployment.values())
    for service in services.PROGRAM:
        services.reach(seen, service)


@pytest.mark.parametrize(
    "text",
    ["\n" * 300_000, "{{" * 200_000, "- " * 200_000, "services:\n" * 20_000, "<%" * 200_000, "a: &a [*a, *a]\n" * 100,
     "${" * 100_000],
)  # fmt: skip
def test_a_file_that_is_made_to_be_slow_ends(text: str) -> None:
    for name in ("x", "docker-compose.yml", "nft.txt", ".env"):
        facts.load(facts.Given(name, text.encode()))


@pytest.mark.parametrize("text", ["a = " + "{" * 4000 + "}" * 4000, "a = " + "-" * 3000 + "1", "x" * 20000])
def test_deep_or_long_text_ends(text: str) -> None:
    problems: list[Problem] = []
    prosody.parse(text, "f", prosody.Prosody(), problems)
    hocon.parse(text, "f", hocon.Hocon(), problems)
    nginx.parse(text.replace("=", ""), "f", nginx.Nginx(), problems)
    webconfig.parse("config " + text[2:], "f", webconfig.WebConfig(), problems)
