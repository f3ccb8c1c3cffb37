"""A client that looks a server's name up and opens its page: dnsmasq, OpenSSL and glibc in two network namespaces.

`python tests/made_names.py` writes the captures in tests/vectors/dns anew; it needs root, dnsmasq, dumpcap and openssl.
"""

import subprocess
import sys
from pathlib import Path

TOOLS = ("unshare", "nsenter", "ip", "dnsmasq", "openssl", "dumpcap")
FOLDER = Path(__file__).resolve().parent / "vectors" / "dns"

# The server's namespace is the outer one: 203.0.113.10 and .11 serve the page, .53 resolves. The client is 10.20.0.2.
SCRIPT = """
cd "$1"
mount -t tmpfs none /run
ip link set lo up
ip link add outside type veth peer name inside
ip addr add 203.0.113.1/24 dev outside
for last in 10 11 53; do ip addr add 203.0.113.$last/32 dev outside; done
ip link set outside up
unshare -n -m sleep 120 &
client=$!
until [ "$(readlink /proc/$client/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set inside netns $client
ip route add 10.20.0.0/24 dev outside
in_client() { nsenter -t $client -n -m "$@"; }
in_client ip link set lo up
in_client ip addr add 10.20.0.2/32 dev inside
in_client ip link set inside up
in_client ip route add 203.0.113.0/24 dev inside src 10.20.0.2
printf 'nameserver 203.0.113.53\\noptions timeout:1 attempts:2 %s\\n' "${OPTIONS:-}" > resolv.conf
printf '127.0.0.1 localhost\\n%s\\n' "${HOSTS:-}" > hosts
printf 'hosts: files dns\\n' > nsswitch.conf
for name in resolv.conf hosts nsswitch.conf; do in_client mount --bind "$PWD/$name" /etc/$name; done
resolver() {
  dnsmasq -k -C /dev/null --pid-file= --listen-address=203.0.113.53 --bind-interfaces --no-resolv --no-hosts \\
    --user=root --local-ttl=60 --auth-ttl=60 "$@" > dnsmasq.log 2>&1 &
  resolving=$!
  sleep 0.4
}
serve() {
  openssl s_server -accept 203.0.113.$1:443 -cert cert.pem -key key.pem -alpn http/1.1,h2 -www -quiet > /dev/null 2>&1 &
}
open_page() {
  in_client timeout 3 openssl s_client -connect $1:443 -servername $1 -alpn $2 < /dev/null > /dev/null 2>&1 || true
}
RECORDS="--host-record=host.example.org,203.0.113.10 --cname=meet.example.org,host.example.org"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out cert.pem -days 30 \\
  -subj /CN=meet.example.org -addext subjectAltName=DNS:meet.example.org 2> /dev/null
serve 10
serve 11
dumpcap -q -P -i outside -f 'ip and (tcp or udp)' -w out.pcap 2> dumpcap.log &
recording=$!
until [ -s out.pcap ]; do sleep 0.05; done
sleep 0.3
$SCENARIO
sleep 0.6
kill -INT $recording
wait $recording || true
kill $(jobs -p)
"""

PAGE = "open_page meet.example.org h2,http/1.1; open_page meet.example.org http/1.1"
SCENARIOS: dict[str, dict[str, str]] = {  # name: the commands, and what the client's files say
    "resolved": {"SCENARIO": f"resolver $RECORDS; {PAGE}"},
    "over-tcp": {"SCENARIO": f"resolver $RECORDS; {PAGE}", "OPTIONS": "use-vc"},
    "hosts-file": {
        "SCENARIO": "resolver $RECORDS; in_client getent -s dns ahosts meet.example.org > seen.txt; " + PAGE,
        "HOSTS": "203.0.113.11 meet.example.org",
    },
    "hosts-alone": {"SCENARIO": PAGE, "HOSTS": "203.0.113.11 meet.example.org"},
    "gone": {
        "SCENARIO": f"resolver $RECORDS; {PAGE}; kill $resolving; resolver --local=/example.org/; "
        "open_page meet.example.org h2; sleep 5.5; open_page meet.example.org h2"
    },
    "silent": {
        "SCENARIO": f"resolver $RECORDS; {PAGE}; kill -STOP $resolving; open_page meet.example.org h2; "
        "open_page meet.example.org h2; open_page meet.example.org h2; kill -KILL $resolving"
    },
    "never": {
        "SCENARIO": "resolver --local=/example.org/; open_page meet.example.org h2; sleep 5.5; "
        "open_page meet.example.org h2"
    },
}


def record(folder: Path, name: str) -> Path:
    """The capture of a scenario, seen on the client's wire; CalledProcessError where namespaces are not allowed."""
    script = SCRIPT.replace("$SCENARIO", SCENARIOS[name]["SCENARIO"])
    told = {key: text for key, text in SCENARIOS[name].items() if key != "SCENARIO"}
    command = ["unshare", "-n", "-m", "--propagation", "private", "bash", "-uc", script, "made_names", str(folder)]
    subprocess.run(command, check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **told}, timeout=60)
    return folder / "out.pcap"


if __name__ == "__main__":
    import tempfile

    FOLDER.mkdir(exist_ok=True)
    for one in sys.argv[1:] or SCENARIOS:
        with tempfile.TemporaryDirectory() as made:
            (FOLDER / f"{one}.pcap").write_bytes(record(Path(made), one).read_bytes())
