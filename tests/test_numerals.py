"""What looks like a number and is none, wherever evidence may say one."""

import pytest

from jitsilab import facts
from jitsilab.facts import deployment, services, versions
from jitsilab.facts.loading import Given
from jitsilab.judge import findings
from jitsilab.judge.findings import access
from jitsilab.numerals import whole

NONE = ["²", "٤٤٣", "4" * 5000, "-1", "", " 443", "4_4"]


@pytest.mark.parametrize("text", NONE)
def test_only_digits_are_a_number(text: str) -> None:
    assert whole(text) is None


@pytest.mark.parametrize("text", ["²", "²²²²²²²²²", "9" * 5000])
def test_no_file_of_a_server_ends_in_a_fault_where_it_should_have_a_number(text: str) -> None:
    files = {
        ".env": f"JVB_PORT={text}\nJVB_ADVERTISE_IPS=192.0.2.1#{text}\nXMPP_PORT={text}\nHTTPS_PORT={text}\n",
        "docker-compose.yml": "services:\n  jvb:\n    image: jitsi/jvb\n    ports:\n"
        f'      - "{text}:10000/udp"\n      - target: "{text}"\n        published: "{text}-{text}"\n',
        "turnserver.conf": f"listening-port={text}\nmin-port={text}\nmax-port={text}\ntotal-quota=0\n",
        "nginx.conf": "http { server { listen 443; location /http-bind { "
        f"proxy_pass http://prosody:{text}/http-bind; return {text}; }} }} }}\n",
        "prosody.cfg.lua": f'c2s_ports = {{ "{text}" }}\nVirtualHost "meet.example"\n',
        "jvb.conf": f"videobridge.ice.udp.port = {text}\n",
        "iptables.txt": f"*filter\n:INPUT DROP [0:0]\n-I INPUT {text} -p udp --dport {text} -j ACCEPT\nCOMMIT\n",
        "ss.txt": f"udp UNCONN 0 0 0.0.0.0:{text} 0.0.0.0:*\n",
        "dpkg.txt": f"ii  jitsi-videobridge2  {text}:2.3-{text}  all\n",
    }
    given = facts.load(*(Given(name, content.encode()) for name, content in files.items()))
    assert len(given.inputs) > 5
    for service in services.PROGRAM:
        services.reach(given, service)
    assert deployment.Deployment(given)
    rows = findings.audit(None, given)
    assert len(rows) > 20
    findings.to_text(rows, 100, inputs=findings.inputs(None, given), verbose=True, changes=None)


def test_a_version_and_a_room_may_hold_superscripts() -> None:
    assert versions.order("²:1.2") < versions.order("9:1.2")
    assert access.bits("room²³¹") > 0
