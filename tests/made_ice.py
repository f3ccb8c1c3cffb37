"""Two ICE agents that both want to control: aioice on two hosts, one of them named like a bridge.

`python tests/made_ice.py` writes the captures in tests/vectors/ice anew; it needs root and dumpcap.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import aioice
import two_hosts

TOOLS = two_hosts.TOOLS
FOLDER = Path(__file__).resolve().parent / "vectors" / "ice"
SCENARIOS = ("conflict", "stubborn")  # repaired as RFC 8445 has it; neither gives way
INSISTS = 4
DIGITS = "0123456789abcdefghijklmnopqrstuv"


def clocked() -> str:
    """A user fragment as ice4j makes it: 24 bits at random and the milliseconds since 1970, in base 32."""
    number, text = int(time.time() * 1000), ""
    while number:
        number, text = number >> 5, DIGITS[number & 31] + text
    return "38n62" + text


async def agent(scenario: str, name: str, other: str) -> None:
    """One agent, controlling; the two tell each other their candidates in files."""
    ufrag = {"local_username": clocked()} if name == "bridge" else {}
    one = aioice.Connection(ice_controlling=True, use_ipv6=False, **ufrag)
    if scenario == "stubborn":
        insisted: list[bool] = []

        def stream(ice_controlling: bool) -> None:
            insisted.append(ice_controlling)
            if len(insisted) > INSISTS:
                raise ConnectionError("neither gives way")

        one.switch_role = stream
    await one.gather_candidates()
    told = [candidate.to_sdp() for candidate in one.local_candidates]
    Path(f"{name}.part").write_text(json.dumps([one.local_username, one.local_password, told]))
    Path(f"{name}.part").rename(f"{name}.json")
    while not Path(f"{other}.json").exists():
        await asyncio.sleep(0.02)
    one.remote_username, one.remote_password, theirs = json.loads(Path(f"{other}.json").read_text())
    for text in theirs:
        await one.add_remote_candidate(aioice.Candidate.from_sdp(text))
    await one.add_remote_candidate(None)
    try:
        await asyncio.wait_for(one.connect(), 2)
        await one.send(b"\x80\x6f")
        await asyncio.sleep(1)
    except (ConnectionError, TimeoutError):
        pass
    await one.close()


def record(folder: Path, scenario: str) -> Path:
    """The capture; CalledProcessError where this user may not make namespaces."""
    command = f"{sys.executable} {Path(__file__).resolve()} {scenario}"
    script = f"""
for last in 11 53; do ip addr del 203.0.113.$last/32 dev outside; done
record
{command} bridge client 2> bridge.log &
bridge=$!
in_client --wd="$PWD" {command} client bridge 2> client.log
wait $bridge
"""
    return two_hosts.run(folder, script)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        asyncio.run(agent(*sys.argv[1:]))
    else:
        FOLDER.mkdir(exist_ok=True)
        for one in sys.argv[1:] or SCENARIOS:
            with tempfile.TemporaryDirectory() as made:
                while b"Role Conflict" not in (data := record(Path(made), one).read_bytes()):
                    (Path(made) / "client.json").unlink()  # the first check met the lower tie-breaker, which gives way
                    (Path(made) / "bridge.json").unlink()
                (FOLDER / f"{one}.pcap").write_bytes(data)
