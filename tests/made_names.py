"""A client that looks a server's name up and opens its page: dnsmasq, OpenSSL and glibc on two hosts.

`python tests/made_names.py` writes the captures in tests/vectors/dns anew; it needs root, dnsmasq, dumpcap and openssl.
"""

import sys
from pathlib import Path

import two_hosts

TOOLS = (*two_hosts.TOOLS, "dnsmasq", "openssl")
FOLDER = Path(__file__).resolve().parent / "vectors" / "dns"

SETTING = """
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
record
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
    """The capture of a scenario; CalledProcessError where this user may not make namespaces."""
    told = {key: text for key, text in SCENARIOS[name].items() if key != "SCENARIO"}
    return two_hosts.run(folder, SETTING + SCENARIOS[name]["SCENARIO"], **told)


if __name__ == "__main__":
    import tempfile

    FOLDER.mkdir(exist_ok=True)
    for one in sys.argv[1:] or SCENARIOS:
        with tempfile.TemporaryDirectory() as made:
            (FOLDER / f"{one}.pcap").write_bytes(record(Path(made), one).read_bytes())
