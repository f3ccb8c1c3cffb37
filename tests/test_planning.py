"""A planned server: refused where it cannot be, and else files that the real programs load and our own audit passes."""

import re
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from jitsilab import cli, facts, outputs
from jitsilab.deploy import planning
from jitsilab.errors import ParameterError
from jitsilab.judge import findings

DOMAIN, PUBLIC, PRIVATE = "meet.example.org", "203.0.113.10", "172.31.37.118"


def wishes(**changed: Any) -> planning.Wishes:
    return planning.Wishes(**{"domain": DOMAIN, "email": "me@example.org", "public_address": PUBLIC,
                              "private_address": PRIVATE, "secrets": planning.made_secrets(), **changed})  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"domain": "ec2-203-0-113-10.us-east-2.compute.amazonaws.com"}, "cannot get a certificate"),
        ({"domain": "10.113.0.203.bc.googleusercontent.com"}, "cloud's default name"),
        ({"domain": "203.0.113.10"}, "bare address"),
        ({"domain": "2001:db8::1"}, "bare address"),
        ({"domain": "meet"}, "no dot"),
        ({"domain": "Meet_X.example.org"}, "no name of a host"),
        ({"domain": "meet.example.org; rm -rf /"}, "no name of a host"),
        ({"domain": "meet.office.local"}, "no .local"),
        ({"public_address": "10.0.0.5", "private_address": ""}, "private, and there is no mapping"),
        ({"public_address": "10.0.0.5"}, "not routed on the Internet"),
        ({"public_address": ""}, "--public-address"),
        ({"public_address": "meet"}, "no IP address"),
        ({"private_address": "fd00::1"}, "two families"),
        ({"email": "nobody"}, "no e-mail address"),
        ({"email": "a@b.org\nroot"}, "no e-mail address"),
        ({"rooms": "everybody"}, "accounts, anybody, tokens"),
        ({"system": "centos"}, "debian, ubuntu, docker"),
        ({"channel": "quic"}, "websocket, sctp"),
        ({"bridge_port": 80}, "between 1024"),
    ],
)
def test_what_cannot_work_is_refused_with_its_reason(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=re.escape(words)):
        wishes(**changed)


ALL = [
    {"system": system, "turn": turn, "rooms": rooms, "channel": channel, "private_address": private}
    for system in planning.SYSTEMS for rooms in planning.ROOMS
    for turn, channel, private in ((True, "websocket", PRIVATE), (False, "sctp", ""), (True, "sctp", ""))
]  # fmt: skip


@pytest.mark.parametrize("changed", ALL, ids=lambda one: "-".join(str(value) or "public" for value in one.values()))
def test_the_files_pass_our_own_audit(tmp_path: Path, changed: dict[str, Any]) -> None:
    planning.write(wishes(**changed), tmp_path / "plan")
    seen = facts.load(tmp_path / "plan")
    failed = {one.id for one in findings.audit(None, seen) if one.result == "FAIL"}
    assert failed == ({"SEC-01"} if changed["rooms"] == "anybody" else set())
    said = {one.id: one.result for one in findings.audit(None, seen)}
    if changed["system"] != "docker":
        expected = ["SEC-02", "SEC-07", "SEC-08", "SEC-09", "SEC-10", "SEC-11", "SEC-12", "SEC-14", "SEC-26"]
        expected += ["SEC-16", "SEC-17", "SEC-19", "SEC-20", "SEC-21"] if changed["turn"] else []
        expected += ["SEC-18"] if changed["turn"] and changed["private_address"] else []
        assert {one: said[one] for one in expected} == dict.fromkeys(expected, "PASS")


def test_a_plan_that_is_only_looked_at_holds_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["deploy", "plan", DOMAIN, "--email", "me@example.org", "--public-address", PUBLIC]
    assert cli.main(arguments) == 0
    first = capsys.readouterr().out
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == first
    assert "IS-MADE-WITH-THE-FILES" in first
    for step in planning.steps(wishes()):
        assert step.reason
        assert step.commands
        assert step.reference


def test_written_secrets_are_new_and_the_owners_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for name in ("one", "two"):
        arguments = ["deploy", "plan", DOMAIN, "--email", "me@example.org", "--public-address", PUBLIC]
        assert cli.main([*arguments, "-o", str(tmp_path / name)]) == 0
        path = tmp_path / name / "etc/turnserver.conf"
        assert path.stat().st_mode & 0o777 == 0o600
        texts.append(re.findall(r"static-auth-secret=(\w{48})\n", path.read_text()))
    assert texts[0] != texts[1]
    assert len(texts[0]) == 1
    assert texts[0][0] in (tmp_path / "one" / f"etc/prosody/conf.d/{DOMAIN}.cfg.lua").read_text()
    assert texts[0][0] not in capsys.readouterr().out
    assert cli.main(["deploy", "plan", DOMAIN, "--email", "me@example.org", "--public-address", PUBLIC, "-o",
                     str(tmp_path / "one")]) == 2  # fmt: skip


def test_half_a_plan_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full at the third file: no folder, nothing left over, and the next run succeeds."""
    real, count = outputs.whole, iter(range(99))

    def full(path: Path, **how: Any) -> Any:
        if next(count) == 2:
            raise OSError(28, "No space left on device", str(path))
        return real(path, **how)

    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        count = iter(range(99))
        monkeypatch.setattr(outputs, "whole", full)
        with pytest.raises(OSError, match="No space"):
            planning.write(wishes(), tmp_path / name)
        monkeypatch.setattr(outputs, "whole", real)
        assert not list(tmp_path.glob(f"{outputs.PART}*"))
        assert not (tmp_path / name).exists() or not any((tmp_path / name).iterdir())
        assert all(path.is_file() for path in planning.write(wishes(), tmp_path / name))


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of its own for a name."""
    crt, key = folder / f"{name}.crt", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "9",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(crt)],
        check=True, capture_output=True,
    )  # fmt: skip
    return crt, key


@pytest.mark.tool("prosodyctl", "openssl")
@pytest.mark.parametrize("rooms", planning.ROOMS)
def test_prosody_takes_its_files(tmp_path: Path, rooms: str) -> None:
    """Folders are moved below the test's; Jitsi's own modules are in no package here, and are not loaded by a check."""
    planning.write(wishes(rooms=rooms), tmp_path / "plan")
    etc = tmp_path / "plan/etc/prosody"
    (etc / "certs").mkdir()
    for name in (DOMAIN, f"auth.{DOMAIN}"):
        certificate(etc / "certs", name)
    for path in etc.rglob("*.lua"):
        text = path.read_text().replace("/etc/prosody/", f"{etc}/").replace("/var/log/prosody/", f"{tmp_path}/")
        path.write_text(text.replace("/run/prosody/", f"{tmp_path}/"))
    main = etc / "prosody.cfg.lua"
    main.write_text(f'run_as_root = true\ndata_path = "{tmp_path}"\n' + main.read_text())
    done = subprocess.run(["prosodyctl", "--config", str(main), "check", "config"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All checks passed" in done.stdout, done.stdout


@pytest.mark.tool("nginx", "openssl")
def test_nginx_takes_its_file(tmp_path: Path) -> None:
    planning.write(wishes(), tmp_path / "plan")
    crt, key = certificate(tmp_path, DOMAIN)
    site = (tmp_path / f"plan/etc/nginx/sites-available/{DOMAIN}.conf").read_text()
    site = site.replace(f"/etc/jitsi/meet/{DOMAIN}.crt", str(crt)).replace(f"/etc/jitsi/meet/{DOMAIN}.key", str(key))
    site = site.replace("/var/log/nginx", str(tmp_path))
    conf = tmp_path / "nginx.conf"
    conf.write_text(
        f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{ }}\nhttp {{\ninclude /etc/nginx/mime.types;\n{site}\n}}\n"
    )
    done = subprocess.run(["nginx", "-t", "-c", str(conf)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr, done.stderr


@pytest.mark.tool("turnserver", "openssl")
def test_coturn_starts_with_its_file(tmp_path: Path) -> None:
    planning.write(wishes(private_address="", public_address=PUBLIC), tmp_path / "plan")
    crt, key = certificate(tmp_path, DOMAIN)
    text = (tmp_path / "plan/etc/turnserver.conf").read_text().replace(PUBLIC, "127.0.0.1")
    text = text.replace(f"/etc/coturn/certs/{DOMAIN}.crt", str(crt)).replace(
        f"/etc/coturn/certs/{DOMAIN}.key", str(key)
    )
    text = text.replace("listening-port=3478", "listening-port=43478").replace(
        "tls-listening-port=5349", "tls-listening-port=45349"
    )
    text = text.replace("syslog", f"log-file={tmp_path}/log\nsimple-log\npidfile={tmp_path}/pid\nuserdb={tmp_path}/db")
    (tmp_path / "turnserver.conf").write_text(text)
    with subprocess.Popen(
        ["turnserver", "-c", str(tmp_path / "turnserver.conf")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as one:
        try:
            trust = ssl.create_default_context(cafile=str(crt))
            deadline = time.monotonic() + 90
            while True:
                try:
                    with socket.create_connection(("127.0.0.1", 45349), 5) as plain:
                        trust.wrap_socket(plain, server_hostname=DOMAIN).close()
                    break
                except ConnectionRefusedError:
                    assert one.poll() is None, one.communicate()
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
        finally:
            one.terminate()
            one.communicate(timeout=90)
    log = (tmp_path / "log").read_text()
    for word in ("Bad configuration format", "cannot find certificate", "Wrong ", "Unknown argument"):
        assert word not in log, log


@pytest.mark.tool("nft")
def test_the_packet_filter_loads(tmp_path: Path) -> None:
    planning.write(wishes(), tmp_path / "plan")
    path = tmp_path / "plan/etc/nftables.conf"
    done = subprocess.run(["unshare", "-n", "nft", "-c", "-f", str(path)], capture_output=True, text=True)
    if "Operation not permitted" in done.stderr and shutil.which("unshare"):
        pytest.skip("this user may not make a network namespace")
    assert done.returncode == 0, done.stderr


@pytest.mark.tool("bash")
@pytest.mark.parametrize("system", planning.SYSTEMS)
def test_the_commands_are_a_shell_s(system: str) -> None:
    for step in planning.steps(wishes(system=system)):
        for command in step.commands:
            done = subprocess.run(["bash", "-n"], input=command, text=True, capture_output=True)
            assert done.returncode == 0, (command, done.stderr)
