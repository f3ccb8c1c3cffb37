"""Two hosts on one wire: network namespaces in which programs of this machine talk, captured at the client's end."""

import subprocess
from pathlib import Path

TOOLS = ("unshare", "nsenter", "ip", "dumpcap")

# The outer namespace is the server's, with 203.0.113.10, .11 and .53; the client is 10.20.0.2. $1 is the folder.
NETWORK = """
cd "$1"
mount -t tmpfs none /run
ip link set lo up
ip link add outside type veth peer name inside
ip addr add 203.0.113.10/24 dev outside
for last in 11 53; do ip addr add 203.0.113.$last/32 dev outside; done
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
record() {
  dumpcap -q -P -i outside -f 'ip and (tcp or udp)' -w out.pcap 2> dumpcap.log &
  recording=$!
  until [ -s out.pcap ]; do sleep 0.05; done
  sleep 0.3
}
"""
END = """
sleep 0.6
kill -INT $recording
wait $recording || true
kill $(jobs -p)
"""


def run(folder: Path, script: str, **environment: str) -> Path:
    """The capture that a script makes, which says `record` where it is to begin.

    Raises CalledProcessError where this user may not make namespaces.
    """
    command = ["unshare", "-n", "-m", "--propagation", "private", "bash", "-uc", NETWORK + script + END, "two_hosts"]
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    subprocess.run([*command, str(folder)], check=True, env={"PATH": path, **environment}, timeout=60)
    return folder / "out.pcap"
