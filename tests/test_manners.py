"""What a person reads first, and how the command line answers who does not know it yet."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from calls import named

import jitsilab as jl
from jitsilab import cli, terminal
from jitsilab.judge import findings
from jitsilab.judge.causes.catalogue import JVB_CONF, TURN_CONF
from jitsilab.judge.causes.remedy import Remedy

FIRST = 25  # lines that are read in ten seconds


def shown(name: str, width: int = 100) -> list[str]:
    return named(name).diagnosis.to_text(width, short=True, given=name).splitlines()


# ---- the answer

READ = {  # recording: what its truth says of who, why, and what to change
    "turn-refused": ("1 of 3 participants has no media: cem,", "[turn-permission-refused]",
                     "  file:   /etc/turnserver.conf", "  set:    allowed-peer-ip=172.31.37.118",
                     "capture-eth0.pcapng.zst: frame.number in {601, 602}"),
    "bridge-killed": ("2 of 2 participants have no media: ann and ben,", "[bridge-lost]", "journalctl -u",
                      "evidence.tar.zst/logs-whole/jicofo.log:"),
    "ws-404": ("2 of 2 participants have no media: ", "[signaling-refused/http-404]",
               "  file:   /etc/nginx/sites-available/DOMAIN.conf", "  then:   nginx -t && systemctl reload nginx"),
    "addr-container": ("2 of 2 participants have no media: ", "[nat-mapping-missing]",
                       'public-address = "203.0.113.10"', "  docker: .env: JVB_ADVERTISE_IPS=203.0.113.10"),
    "no-mic": ("Both participants have media, but for ann neither audio nor video is sent", "[sends-nothing]",
               "  change: ", "OK      ben (198.51.100.140): media over UDP through the bridge"),
    "udp-closed": ("Both participants have media, but nobody reaches the bridge by UDP", "[bridge-udp-unreachable]",
                   "  run:    ufw allow 10000/udp"),
    "jvb-ipv6": ("All 3 participants have media.", "OK      ann", "OK      ben", "OK      cem"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_the_first_lines_name_who_why_and_what_to_change(name: str) -> None:
    lines = shown(name)
    first = re.sub(r"\n {8,10}", " ", "\n".join(lines[:FIRST]))
    assert lines[0].startswith(READ[name][0])
    for words in READ[name][1:]:
        assert words in first, words
    healthy = name == "jvb-ipv6"
    assert ("jitsilab evidence " in first) is not healthy
    assert ("--against" in "\n".join(lines)) is not healthy


def test_media_between_two_that_pass_elsewhere_are_never_said_to_be_none() -> None:
    text = "\n".join(shown("p2p-2"))
    assert text.startswith("Nothing shows a failure, but whether the 2 participants' media flowed is not to be seen")
    assert "FAILED" not in text
    assert not re.search(r"no media|had none|has media\.", text, re.IGNORECASE)
    assert "chrome://webrtc-internals" in text
    assert {one.media_path for one in named("p2p-2").diagnosis.people} == {"not-observable"}


def test_what_was_not_read_and_what_would_tell_stand_beside_silence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PUBLIC_URL=https://meet.example.org\nJVB_ADVERTISE_IPS=10.0.0.5\n")
    text = jl.load(tmp_path / ".env").diagnosis.to_text(width=400)
    assert text.startswith("Configuration alone shows no call")
    assert f"  next:   jitsilab audit {tmp_path / '.env'}" in text
    (tmp_path / "notes.txt").write_text("buy milk\n")
    text = jl.load(tmp_path).diagnosis.to_text(short=True)
    assert "UNREAD  notes.txt: a text file, not a capture" in text
    assert text.endswith(f"Files named above are in {tmp_path}/")


@pytest.mark.parametrize("width", [50, 72, 100])
def test_the_width_of_the_terminal_is_kept(width: int) -> None:
    long = re.compile(rf"\S{{{width - 12},}}")  # a path or a URL is not broken
    for line in shown("turn-refused", width) + shown("ws-404", width):
        assert len(line) <= width or long.search(line), line


def test_colour_is_for_terminals_and_names_cannot_forge_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = named("turn-refused").diagnosis
    plain, coloured = answer.to_text(), answer.to_text(colour=True)
    assert "\x1b" not in plain
    assert coloured.startswith("\x1b[1m1 of 3")
    assert "\x1b[1;31mFAILED\x1b[0m" in coloured
    assert "\x1b[32mOK\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == terminal.printable(plain)
    hostile = named("hostile").diagnosis.to_text(colour=True)
    assert re.sub(r"\x1b\[(0|1|32|33|36|1;31)m", "", hostile).isprintable() is False  # line feeds alone
    assert "\x1b" not in re.sub(r"\x1b\[(0|1|32|33|36|1;31)m", "", hostile)
    monkeypatch.setattr(terminal.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert terminal.coloured("auto")
    assert not terminal.coloured("never")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not terminal.coloured("auto")
    assert terminal.coloured("always")


def test_a_remedy_names_its_file_its_line_and_what_takes_it_up() -> None:
    remedy = Remedy("Tell it.", JVB_CONF, 'a = [{\n  p = "{public}"\n}]', docker="IPS={public}")
    advice = remedy.filled("10.0.0.1", "192.0.2.1")
    assert (advice.file, advice.line, advice.docker) == (JVB_CONF, 'a = [{\n  p = "192.0.2.1"\n}]', "IPS=192.0.2.1")
    assert advice.then == "systemctl restart jitsi-videobridge2 (docker: docker compose up -d)"
    assert str(advice) == f'Tell it. {JVB_CONF}: a = [{{ p = "192.0.2.1" }}] (docker: IPS=192.0.2.1).'
    given = remedy.filled("10.0.0.1", "192.0.2.1", "lab/.env")
    assert (given.file, given.line, given.docker, given.then) == (
        "lab/.env",
        "IPS=192.0.2.1",
        "",
        "docker compose up -d",
    )
    assert Remedy("Wait.", TURN_CONF).filled().then == ""


# ---- the audit


def test_an_audit_says_totals_and_failures_first_and_folds_what_passed() -> None:
    call = named("turn-refused")
    found = findings.audit(call, call.facts)
    text, verbose = findings.to_text(found), findings.to_text(found, verbose=True)
    lines = text.splitlines()
    failing = [one for one in found if one.result == "FAIL"]
    assert lines[0].startswith(f"{len(failing)} of {len(found)} checks fail (")
    gravest = min(failing, key=lambda one: (findings.SEVERITIES.index(one.severity), one.id))
    assert lines[lines.index("") + 1].startswith(f"{gravest.id} {gravest.severity}: ")
    passed = [one for one in found if one.result == "PASS"]
    for one in passed:
        assert one.title not in text
        assert re.search(rf"  {one.id}  PASS +{re.escape(one.title)}\n", verbose)
    for one in (one for one in found if one.result == "NOT_OBSERVABLE"):
        assert f"  {one.id}  {one.title}: would show in" in re.sub(r"\n {10}", " ", text)


def test_titles_are_true_of_their_results() -> None:
    for rule in findings.RULES:
        assert rule.absent
        assert rule.absent != rule.title
    call = named("turn-refused")
    said = {one["id"]: one for one in findings.to_json(findings.audit(call, call.facts))["findings"]}
    assert (said["SEC-07"]["result"], said["SEC-07"]["says"]) == ("PASS", "XMPP inside TLS")
    assert (said["SEC-01"]["result"], said["SEC-01"]["says"]) == ("FAIL", "Rooms without an account")


def test_fail_on_decides_the_exit_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "notes.env"
    file.write_text("PUBLIC_URL=https://meet.example.org\nJVB_ADVERTISE_IPS=192.0.2.4\n")
    assert cli.main(["diagnose", str(file), "--fail-on", "no-media"]) == 0
    capsys.readouterr()
    for name, codes in {"turn-refused": (0, 1, 1), "udp-closed": (0, 1, 0), "jvb-ipv6": (0, 0, 0)}.items():
        answer = named(name).diagnosis
        assert tuple(int(answer.fails_at(level)) for level in ("none", "degraded", "no-media")) == codes


# ---- who does not know it yet


def test_no_arguments_say_what_to_do_next(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([]) == 0
    said = capsys.readouterr().out
    assert "sudo jitsilab diagnose --here" in said
    assert "what lies here" not in said
    (tmp_path / "call.pcapng").write_bytes(b"")
    (tmp_path / "my\x1b[31m jvb.log").write_bytes(b"")
    assert cli.main([]) == 0
    said = capsys.readouterr().out
    assert "what lies here           jitsilab diagnose call.pcapng 'my\\x1b[31m jvb.log'" in said
    for line in said.splitlines():
        if match := re.search(r"(?<!sudo )jitsilab (diagnose|audit|record|captures) ?(\S*)$", line):
            assert match[1] in cli.parser().format_help()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["diagnos", "x"], "Did you mean diagnose?"),
        (["diagnose", "x", "--jsn"], "Did you mean --json"),
        (["audit", "x", "--fail-on", "hihg"], "Did you mean high?"),
        (["diagnose", "turn-refusd"], "Did you mean turn-refused"),
        (["table", "stunn", "turn-refused"], "Did you mean stun?"),
        (["help", "evidense"], "Did you mean evidence?"),
        (["captures", "--cause", "udp-bloked"], "Did you mean udp-blocked?"),
        (["evidence", "turn-refused", "--step", "S999"], "There is no step 'S999'. There are: S01, S02"),
    ],
)
def test_what_is_misspelt_gets_a_suggestion(words: list[str], meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    assert meant in capsys.readouterr().err


def test_a_missing_file_names_the_one_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "call.pcapng").write_bytes(b"")
    assert cli.main(["diagnose", str(tmp_path / "cal.pcapng")]) == 2
    assert f"Did you mean {tmp_path / 'call.pcapng'}?" in capsys.readouterr().err


def test_errors_fit_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, content, word in (
        ("notes.txt", b"buy milk\n", "a text file, not a capture"), ("empty.pcap", b"", "empty"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "a.png is"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        assert cli.main(["diagnose", str(tmp_path / name)]) == 2
        err = capsys.readouterr().err
        assert word in err
        assert err.count("\n") == 1


def test_every_command_has_examples_that_it_takes() -> None:
    parser = cli.parser()
    from jitsilab.commands import commands

    for one in commands():
        assert one.examples, one.name
        for line in one.examples:
            found = re.findall(r"jitsilab ([^|>&)]+)", line)
            assert found, line
            for words in found:
                assert parser.parse_args(shlex.split(words, comments=True)).run is not None


def test_help_of_a_command_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help", "evidence"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: jitsilab evidence")
    assert "examples:\n  jitsilab evidence turn-refused" in said
    assert cli.main(["help"]) == 0
    assert "completion" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["-V"])
    assert capsys.readouterr().out == f"jitsilab {jl.__version__}\n"


def test_captures_are_grouped_and_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    def names(*words: str) -> list[str]:
        assert cli.main(["captures", *words]) == 0
        out = capsys.readouterr().out
        return [line.split()[0] for line in out.splitlines() if line[:1] not in (" ", "#")]

    from jitsilab.inputs import registry

    assert sorted(names()) == sorted(registry.names())
    failing = names("--kind", "failing")
    assert {"turn-refused", "bridge-killed", "dtls-drop"} <= set(failing)
    assert not {"jvb-3", "udp-closed", "no-mic", registry.STUDY} & set(failing)
    assert {"udp-closed", "no-mic", "colibri-403", "jvb-lossy"} <= set(names("--kind", "degraded"))
    assert "jvb-3" in names("--kind", "healthy")
    assert set(names("--cause", "udp-blocked")) <= set(failing)
    assert names("--cause", "sends-nothing") == ["no-mic"]
    assert names("october", "2020") == [registry.STUDY]
    assert cli.main(["captures", "nothing", "like", "it"]) == 2


def test_bash_completes_commands_options_and_recordings(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("shtab")
    assert cli.main(["completion", "bash"]) == 0
    script = tmp_path / "completion.bash"
    script.write_text(capsys.readouterr().out)

    def complete(*words: str) -> set[str]:
        line = " ".join(map(shlex.quote, words))
        program = (
            f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; COMPREPLY=(); "
            "$(complete -p jitsilab | sed 's/.*-F \\([^ ]*\\).*/\\1/') jitsilab; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=30, cwd=tmp_path)
        return set(done.stdout.split())

    assert complete("jitsilab", "dia") == {"diagnose"}
    assert "--against" in complete("jitsilab", "diagnose", "--")
    assert {"turn-refused", "turn-off"} <= complete("jitsilab", "diagnose", "turn-")
    (tmp_path / "mine.pcapng").write_bytes(b"")
    assert complete("jitsilab", "diagnose", "mi") == {"mine.pcapng"}
    for shell in ("zsh", "fish"):
        assert cli.main(["completion", shell]) in (0, 2)  # 2 where an old shtab does not know it
        assert "jitsilab" in "".join(capsys.readouterr())


def test_the_page_of_commands_is_that_of_the_parser() -> None:
    from commands_page import page

    root = Path(__file__).resolve().parent.parent
    assert (root / "docs" / "commands.md").read_text(encoding="utf-8") == page(), "run: python tests/commands_page.py"
