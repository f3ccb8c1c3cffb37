"""What a real kernel does with a stranger's packets under rulesets of nft and iptables, and what the programs print."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

TOOLS = ("unshare", "nsenter", "ip", "nft", "iptables-save", "iptables-restore")
PORTS = (22, 80, 443, 4443, 5222, 5269, 8080, 8888, 9090, 10000, 10001)

NETWORK = """
cd "$1"
ip link set lo up
ip link add eth0 type veth peer name far
ip addr add 203.0.113.10/24 dev eth0
ip link set eth0 up
unshare -n sleep 300 &
client=$!
until [ "$(readlink /proc/$client/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link set far netns $client
ip route add 198.51.100.0/24 dev eth0
nsenter -t $client -n ip link set lo up
nsenter -t $client -n ip addr add 198.51.100.7/24 dev far
nsenter -t $client -n ip link set far up
nsenter -t $client -n ip route add 203.0.113.0/24 dev far src 198.51.100.7
"$PYTHON" "$HELPER" serve > serve.log 2>&1 &
server=$!
until [ -s serve.log ]; do sleep 0.05; done
for rules in *.nft *.iptables; do
  [ -f "$rules" ] || continue
  nft flush ruleset
  case $rules in
    *.nft) nft -f "$rules" || { touch "$rules.refused"; continue; } ;;
    *) iptables-restore "$rules" || { touch "$rules.refused"; continue; } ;;
  esac
  nft list ruleset > "$rules.text"
  nft -j list ruleset > "$rules.json"
  iptables-save > "$rules.save" 2> /dev/null || true
  iptables -L -n -v > "$rules.listing" 2> /dev/null || true
  nsenter -t $client -n "$PYTHON" "$HELPER" probe > "$rules.reality"
done
kill $server $client
"""


def run(folder: Path) -> None:
    """Ask the kernel about every ruleset of a folder. Raises CalledProcessError where this user may not."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHON": sys.executable, "HELPER": __file__}
    command = ["unshare", "-n", "bash", "-ec", NETWORK, "kernel_filter", str(folder)]
    subprocess.run(command, check=True, env=environment, timeout=120, capture_output=True)


def reality(path: Path) -> dict[tuple[str, int], bool]:
    """Which ports answered."""
    rows: list[list[Any]] = json.loads(path.read_text())
    return {(transport, port): answered for transport, port, answered in rows}


def _serve() -> None:
    import selectors
    import socket

    waiting = selectors.DefaultSelector()
    for port in PORTS:
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind(("0.0.0.0", port))
        tcp.listen(20)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("0.0.0.0", port))
        waiting.register(tcp, selectors.EVENT_READ)
        waiting.register(udp, selectors.EVENT_READ)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        for key, _ in waiting.select():
            one: Any = key.fileobj
            if one.type == socket.SOCK_STREAM:
                one.accept()[0].close()
            else:
                data, sender = one.recvfrom(100)
                one.sendto(data, sender)


def _probe() -> None:
    import concurrent.futures
    import socket

    def answered(asked: tuple[str, int]) -> list[Any]:
        transport, port = asked
        kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
        with socket.socket(socket.AF_INET, kind) as one:
            one.settimeout(0.6)
            try:
                one.connect(("203.0.113.10", port))
                if transport == "udp":
                    one.send(b"x")
                    one.recv(10)
            except OSError:
                return [transport, port, False]
            return [transport, port, True]

    every = [(transport, port) for transport in ("tcp", "udp") for port in PORTS]
    with concurrent.futures.ThreadPoolExecutor(len(every)) as pool:
        sys.stdout.write(json.dumps(list(pool.map(answered, every))))


if __name__ == "__main__":
    {"serve": _serve, "probe": _probe}[sys.argv[1]]()
