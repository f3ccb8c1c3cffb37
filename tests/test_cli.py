"""The command line gives what a notebook would hold, in three forms, and starts fast."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import pytest
from calls import named

import jitsilab as jl
from jitsilab import cli
from jitsilab.call import LINE_TABLES, TABLES, schemas
from jitsilab.commands import audit, diagnose
from jitsilab.commands import table as table_command
from jitsilab.judge import findings
from jitsilab.tables import TIME

ROOT = Path(__file__).resolve().parent.parent
ISO = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{9}Z")
LISTS = ("addresses", "jids", "endpoints", "ssrcs", "media_paths", "open_causes", "frames")


Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """What a command prints; captures are opened once for all tests."""
    for command in (diagnose, audit, table_command):
        monkeypatch.setattr(command, "load", lambda a, *e: named((e or a.evidence)[0], a.point, not a.no_keylog))

    def command(*arguments: str, code: int = 0) -> str:
        assert cli.main(arguments) == code
        out, err = capsys.readouterr()
        assert err == ""
        return str(out)

    return command


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# ---- tables


@pytest.mark.parametrize("name", [name for name in TABLES if name not in LINE_TABLES])
def test_every_table_has_its_columns_in_three_forms(name: str, run: Run, tmp_path: Path) -> None:
    schema = schemas()[name]
    frame = named("jvb-3").table(name)
    assert frame is not None
    assert list(frame.columns)[: len(schema)] == list(schema)
    as_csv = rows_of(run("table", name, "jvb-3"))
    as_json = json.loads(run("table", name, "jvb-3", "--to", "json"))
    run("table", name, "jvb-3", "-o", str(tmp_path / "t.parquet"))
    as_parquet = pd.read_parquet(tmp_path / "t.parquet")
    assert len(as_csv) == len(as_json) == len(as_parquet) == len(frame)
    assert as_parquet.dtypes.astype(str).to_dict() == frame.dtypes.astype(str).to_dict()
    for column in frame.columns:
        dtype = schema[column][0] if column in schema else str(frame[column].dtype)
        texts, values = [row[column] for row in as_csv], [row[column] for row in as_json]
        assert [bool(text) for text in texts] == [value not in (None, "") for value in values], column
        present = [value for value in values if value is not None]
        if dtype == TIME:
            assert all(ISO.fullmatch(value) for value in present), column
        elif "int" in dtype.lower():
            assert all(type(value) is int for value in present), column
        elif "float" in dtype:
            assert all(isinstance(value, int | float) for value in present), column
        elif "bool" in dtype:
            assert all(type(value) is bool for value in present), column
        else:
            assert all(isinstance(value, str) for value in present), column


def test_times_keep_their_nanoseconds(run: Run) -> None:
    frames = named("jvb-3").frames
    texts = [row["time"] for row in rows_of(run("table", "stun", "jvb-3"))]
    times = frames.set_index("frame")["time"].loc[named("jvb-3").stun["frame"]]
    assert [int(pd.Timestamp(text).value) for text in texts] == [int(time.value) for time in times]


def test_lists_are_one_string_and_missing_values_null(run: Run, tmp_path: Path) -> None:
    people = named("jvb-3").participants
    read = json.loads(run("table", "participants", "jvb-3", "--to", "json"))
    for column in LISTS:
        assert [row[column] for row in read] == [" ".join(map(str, value)) for value in people[column]]
    assert [row["cause"] for row in read] == [None] * len(people)
    run("table", "participants", "jvb-3", "-o", str(tmp_path / "people.parquet"))
    kept = pd.read_parquet(tmp_path / "people.parquet")
    assert [list(value) for value in kept["ssrcs"]] == [list(value) for value in people["ssrcs"]]


def test_several_captures_one_after_the_other(run: Run) -> None:
    rows = rows_of(run("table", "stun", "jvb-2", "jvb-3"))
    assert next(iter(rows[0])) == "input"
    for name in ("jvb-2", "jvb-3"):
        own = [row for row in rows if row["input"] == name]
        alone = rows_of(run("table", "stun", name))
        assert [{k: v for k, v in row.items() if k != "input"} for row in own] == alone
    mixed = json.loads(run("table", "xmpp", "project3-2020", "jvb-2", "--to", "json"))
    assert {row["input"] for row in mixed} == {"jvb-2"}


def test_a_table_that_cannot_be_seen_is_its_header(run: Run) -> None:
    for name in ("xmpp", "jingle", "http", "sources"):
        assert run("table", name, "jvb-3", "--no-keylog") == ",".join(schemas()[name]) + "\n"
        assert json.loads(run("table", name, "jvb-3", "--no-keylog", "--to", "json")) == []


def test_points_and_keys(run: Run) -> None:
    clear = rows_of(run("table", "xmpp", "jvb-3", "--point", "any", "--no-keylog"))
    assert {row["clear"] for row in clear} == {"True"}
    decrypted = rows_of(run("table", "xmpp", "jvb-3"))
    assert {row["clear"] for row in decrypted} == {"False"}
    assert {row["xml"] for row in decrypted} & {row["xml"] for row in clear}


@pytest.mark.parametrize("point", ["eth0", "any"])
def test_the_quick_way_gives_what_the_table_gives(
    point: str, recording: Callable[[str], Path], run: Run, tmp_path: Path
) -> None:
    path = recording("jvb-ipv6") / f"capture-{point}.pcapng"
    quick = run("table", "frames", str(path))
    assert quick == run("table", "frames", "jvb-ipv6", "--point", point)
    slow = io.StringIO()
    table_command.write([jl.load(path).frames], "csv", slow)
    assert quick.splitlines() == slow.getvalue().splitlines()
    run("table", "frames", str(path), "-o", str(tmp_path / "frames.csv"))
    assert (tmp_path / "frames.csv").read_text() == quick


@pytest.mark.tool("tshark")
def test_like_tshark_takes_names(run: Run, recording: Callable[[str], Path]) -> None:
    fields = ("frame.time_relative", "ip.src", "ip.dst", "ip.proto", "tcp.srcport", "tcp.dstport", "udp.srcport",
              "udp.dstport", "frame.len")  # fmt: skip
    command = ["tshark", "-r", str(recording("jvb-2") / "capture-eth0.pcapng"), "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    command += ["-E", "header=y", "-E", "separator=,", "-E", "quote=n", "-E", "occurrence=f"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert run("table", "frames", "jvb-2", "--to", "csv", "--like-tshark") == printed


# ---- answers


def test_diagnose_says_the_same_to_people_and_programs(run: Run) -> None:
    said = json.loads(run("diagnose", "--json", "turn-refused"))
    assert set(said) == {"calls", "participants", "causes", "conditions", "open", "inputs", "version", "server",
                         "hypotheses"}  # fmt: skip
    keys = {"id", "nick", "addresses", "media_path", "media_paths", "stage", "turn_stage", "cause", "open_causes",
            "certainty", "frames", "advice"}  # fmt: skip
    assert all(keys <= set(one) for one in said["participants"])
    text = run("diagnose", "turn-refused")
    for one in said["participants"]:
        assert one["nick"] in text
        assert one["media_path"] in text or "no media" in text
        assert one["cause"] is None or one["cause"] in text
    assert "turn-permission-refused" in text


def test_audit_lists_every_check_once_and_its_code_follows_fail_on(run: Run) -> None:
    found = json.loads(run("audit", "jvb-3", "--json", "--fail-on", "never"))["findings"]
    assert [one["id"] for one in found] == [rule.id for rule in findings.RULES]
    keys = {"id", "title", "result", "severity", "frames", "evidence", "advice", "reference"}
    assert all(keys <= set(one) for one in found)
    grave = [findings.SEVERITIES.index(one["severity"]) for one in found if one["result"] == "FAIL"]
    for number, severity in enumerate(findings.SEVERITIES):
        run("audit", "jvb-3", "--fail-on", severity, code=int(min(grave) <= number))
    run("audit", "jvb-3", code=int(min(grave) <= findings.SEVERITIES.index("high")))


def test_audit_of_facts_alone_and_of_both(run: Run, recording: Callable[[str], Path]) -> None:
    facts = str(recording("jvb-3") / "facts")
    alone = json.loads(run("audit", "--facts", facts, "--json", "--fail-on", "never"))["findings"]
    assert any(one["places"] for one in alone)
    assert not any(one["frames"] for one in alone)
    both = json.loads(run("audit", "jvb-3", "--facts", facts, "--sarif", "--fail-on", "never"))
    assert both["version"] == "2.1.0"


def test_tables_lists_names_columns_and_meanings(run: Run) -> None:
    text = run("tables")
    assert [line for line in text.splitlines() if not line.startswith(" ")] == list(schemas())
    assert set(schemas()) == set(TABLES)
    for schema in schemas().values():
        for column, (dtype, meaning) in schema.items():
            assert re.search(rf"^  {re.escape(column)} +{re.escape(dtype)} +{re.escape(meaning)}$", text, re.MULTILINE)


def test_the_page_of_tables_is_that_of_the_schemas() -> None:
    from tables_page import page

    written = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    assert written == page(), "run: python tests/tables_page.py"


def test_captures_lists_the_registry_and_exports(run: Run, tmp_path: Path) -> None:
    text = run("captures")
    for name in ("project3-2020", "jvb-3", "turn-refused"):
        assert re.search(rf"^{name} +\S", text, re.MULTILINE)
    run("captures", "--export", "alone", str(tmp_path / "alone"))
    written = tmp_path / "alone" / "capture-eth0.pcapng"
    assert written.read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    assert (tmp_path / "alone" / "keys.txt").is_file()
    assert len(jl.load(written).frames) == len(named("alone").frames)


def test_deploy_prints_commands(run: Run) -> None:
    assert "ss -lntup" in run("deploy", "facts")
    assert "tcpdump" in run("deploy", "capture") or "dumpcap" in run("deploy", "capture")


def test_the_study_is_a_name_like_others(run: Run) -> None:
    assert len(rows_of(run("table", "frames", "project3-2020"))) == 3076
    assert "REFUTED" in run("diagnose", "project3-2020")
    header, *rows = run("table", "dtls", "project3-2020").splitlines()
    assert header.startswith("frame,time,seconds")
    assert rows


# ---- the capture as Python holds it


def test_a_capture_names_its_tables_and_gives_packets() -> None:
    call = named("jvb-3")
    assert set(TABLES) <= set(dir(call))
    assert repr(call) == "<Call 'jvb-3': capture, key-log, configuration>"
    packet = call.packet(41)
    row = call.frames.set_index("frame").loc[41]
    assert len(packet) == row["captured_length"]
    assert packet["IP"].src == row["src"]
    for wrong in (0, -1, len(call.frames) + 1):
        with pytest.raises(jl.ParameterError, match="frames 1 to"):
            call.packet(wrong)
    with pytest.raises(jl.CaptureError, match="never published"):
        named("project3-2020").packet(1)
    with pytest.raises(AttributeError, match="frames"):
        call.no_such_table  # noqa: B018
    with pytest.raises(jl.ParameterError, match="frames"):
        call.table("no_such_table")
    with pytest.raises(jl.CaptureError, match="key log"):
        named("jvb-3", None, False).xmpp  # noqa: B018
    assert not named("jvb-3", None, False).has("xmpp")


def test_decoders_are_at_hand() -> None:
    payload = bytes.fromhex("000100002112a442000102030405060708090a0b")
    assert jl.stun.decode(payload).transaction_id == payload[8:]
    for name in ("dtls", "tls", "rtp", "rtcp", "xmpp", "jingle", "sdp"):
        assert getattr(jl, name).__name__ == f"jitsilab.protocols.{name}"
    with pytest.raises(AttributeError):
        jl.telepathy  # noqa: B018


# ---- start


HEAVY = ("numpy", "pandas", "scapy", "cryptography", "matplotlib", "zstandard", "papermill", "IPython", "pyarrow")


def loaded(code: str, names: Iterable[str] = HEAVY) -> set[str]:
    program = f"import sys\n{code}\nprint(*(name for name in {names!r} if name in sys.modules), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    return set(run.stderr.split())


@pytest.mark.parametrize(
    "code",
    ["import jitsilab", "import jitsilab; jitsilab.stun.decode; jitsilab.jingle.to_sdp",
     "from jitsilab import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass",
     "from jitsilab import cli\ncli.parser().parse_args(['audit', '--facts', 'x'])"],
)  # fmt: skip
def test_the_start_loads_nothing_heavy(code: str) -> None:
    assert loaded(code) == set()


def test_the_quick_way_loads_no_pandas(recording: Callable[[str], Path]) -> None:
    path = str(recording("alone") / "capture-eth0.pcapng")
    for words in (["table", "frames", path], ["table", "frames", path, "--like-tshark"]):
        found = loaded(f"from jitsilab import cli\ncli.main({words!r})")
        assert "numpy" in found
        assert not {"pandas", "scapy", "matplotlib", "pyarrow"} & found


PARSERS = ("pyhocon", "luaparser", "yaml", "crossplane")
OURS = ("jitsilab.facts", "jitsilab.inputs.logs", "jitsilab.inputs.prints")
OTHERS = ("dns", "http.client", "scapy", "cryptography.x509")


def test_a_diagnosis_loads_what_its_evidence_needs(recording: Callable[[str], Path]) -> None:
    names = ("pandas", *PARSERS, *OURS, *OTHERS)
    capture, log = recording("jvb-3") / "capture-any.pcapng", recording("jvb-3") / "logs/jvb.log"
    facts = recording("jvb-3") / "facts"

    def diagnosing(*words: Path | str) -> set[str]:
        return loaded(f"from jitsilab import cli\nassert cli.main({['diagnose', *map(str, words)]!r}) == 0", names)

    assert diagnosing(capture) == {"pandas"}
    assert not {*PARSERS, "dns", "scapy"} & diagnosing(log)
    assert {*PARSERS, "jitsilab.facts"} <= diagnosing(capture, "--facts", facts)


def test_the_module_is_the_command() -> None:
    run = subprocess.run([sys.executable, "-m", "jitsilab", "--version"], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout.strip()) == (0, f"jitsilab {jl.__version__}")
    script = Path(sys.executable).with_name("jitsilab")
    if script.exists():
        out = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60).stdout
        assert out == run.stdout


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name in ("report", "table", "diagnose", "audit", "deploy", "tables", "captures"):
        assert re.search(rf"^    {name} ", text, re.MULTILINE)
        with pytest.raises(SystemExit):
            cli.main([name, "--help"])
        assert "usage: jitsilab" in capsys.readouterr().out
