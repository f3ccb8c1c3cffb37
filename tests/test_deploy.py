"""Commands for a server: what collects its facts leaves every secret out, and still lets the audit see."""

import os
import subprocess
from pathlib import Path

import pytest

from jitsilab import deploy, facts
from jitsilab.facts.model import Secret
from jitsilab.judge import findings

SECRETS = ("Zebra-turn-1", "Zebra-user", "Zebra-pass-2", "Zebra-app-3", "Zebra-ext-4", "Zebra-jvb-5", "Zebra-focus-6",
           "Zebra-db-7", "Zebra-sdk-8", "Zebra-auth-9", "Zebra-key-10", "Zebra-old-11",
           "eyJhbGciOiJIUzI1NiJ9")  # fmt: skip
ROOT = {
    "etc/prosody/prosody.cfg.lua": 'admins = { }\nexternal_service_secret = "Zebra-ext-4";\nc2s_ports = { 5222 }\n',
    "etc/prosody/conf.d/meet.example.cfg.lua": 'VirtualHost "meet.example"\n  authentication = "token"\n'
    '  app_id = "x"\n  app_secret = \'Zebra-app-3\'\n  allow_empty_token = false\n'
    '  external_services = { { type = "turns", secret = true, ttl = 86400, password = "Zebra-pass-2" } }\n'
    'Component "conference.meet.example" "muc"\n  restrict_room_creation = true\n'
    '  muc_password_whitelist = { "focus@auth.meet.example" }\n',
    "etc/turnserver.conf": "use-auth-secret\nstatic-auth-secret=Zebra-turn-1\n#static-auth-secret=Zebra-old-11\n"
    'user=Zebra-user:Zebra-pass-2\nmysql-userdb="host=db user=turn password=Zebra-db-7"\n'
    "denied-peer-ip=10.0.0.0-10.255.255.255\n",
    "etc/jitsi/videobridge/jvb.conf": 'videobridge { apis.xmpp-client.configs.a { PASSWORD = "Zebra-jvb-5", P = 1 } }\n'
    "videobridge.http-servers.private.host = 127.0.0.1\n",
    "etc/jitsi/jicofo/jicofo.conf": "jicofo { xmpp { client { password: Zebra-focus-6\n port = 5222 } } }\n",
    "etc/jitsi/meet/meet.example-config.js": "var config = { giphy: { sdkKey: 'Zebra-sdk-8' }, "
    "testing: { token: 'eyJhbGciOiJIUzI1NiJ9.e30.x' }, p2p: { enabled: true } };\n",
    "etc/nginx/nginx.conf": 'http { server { listen 443 ssl; server_name meet.example; ssl_protocols TLSv1.2 TLSv1.3;\n'
    'location / { proxy_set_header Authorization "Basic Zebra-auth-9"; proxy_pass http://a:Zebra-pass-2@b/; } } }\n',
    "etc/jitsi/meet/meet.example.crt": "-----BEGIN PRIVATE KEY-----\nZebra-key-10\n-----END PRIVATE KEY-----\n",
}  # fmt: skip


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The facts of a made-up root folder, as the printed command collects them."""
    root, work = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("work")
    for name, text in ROOT.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    command = deploy.facts_command().removeprefix("sudo ")
    done = subprocess.run(["sh", "-c", command], cwd=work, env={**os.environ, "ROOT": str(root)}, capture_output=True)
    assert (work / "facts.tar.gz").exists(), done.stderr
    subprocess.run(["tar", "-xzf", "facts.tar.gz"], cwd=work, check=True)
    return work / "facts"


@pytest.mark.tool("perl", "tar")
def test_no_secret_is_collected(collected: Path) -> None:
    kept = "".join(path.read_text() for path in collected.rglob("*") if path.is_file())
    assert "restrict_room_creation = true" in kept
    assert [secret for secret in SECRETS if secret in kept] == []


@pytest.mark.tool("perl", "tar")
def test_what_is_collected_can_be_audited(collected: Path) -> None:
    seen = facts.load(collected)
    assert seen.prosody is not None
    assert seen.turn is not None
    host = next(host for host in seen.prosody.hosts if host.name == "meet.example")
    assert host.options["app_secret"].value == Secret(host.options["app_secret"].value.digest, None, False)
    services = host.options["external_services"].value[0]
    assert (services["secret"], services["ttl"]) == (True, 86400)
    assert host.options["app_secret"].place == "etc/prosody/conf.d/meet.example.cfg.lua:4"
    assert seen.bridge is not None
    assert seen.bridge.values["videobridge.http-servers.private.host"].value == "127.0.0.1"
    said = {one.id: one for one in findings.audit(None, seen)}
    assert said["SEC-05"].result == "NOT_OBSERVABLE"  # a secret that was left out is not called short
    assert said["SEC-02"].result == "PASS"
    assert said["SEC-16"].result == "PASS"


def test_a_check_that_saw_nothing_has_a_plan() -> None:
    said = findings.audit(None, facts.Facts())
    plans = deploy.plan_capture(said, interface="ens5", seconds=90)
    planned = {check for _, ids in plans for check in ids}
    assert planned == {one.id for one in said if one.result == "NOT_OBSERVABLE"}
    text = deploy.capture_commands(said, interface="ens5", seconds=90)
    assert "timeout 90 tcpdump -i ens5 -s 0 -w server-ens5.pcap" in text
    assert "-i any" in text
    assert "SSLKEYLOGFILE" in text


def test_every_rule_names_a_plan() -> None:
    assert {rule.plan for rule in findings.RULES} <= set(deploy.PLANS)
    assert "{" not in deploy.capture_commands()
