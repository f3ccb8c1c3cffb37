"""Addresses and pairs as ice4j prints them: ``172.31.37.118:10000/udp/host -> xx.xx.xx.xx:42234/udp/prflx``.

Since stable 9646 (2024-07) the bridge hides its clients' addresses. A hidden address is empty; its port is kept.
"""

import re

from jitsilab import ip

_HIDDEN = re.compile(r"[xX.:\[\]]+$")
_SHORT = re.compile(r"\[?([\w.:%]+?)\]?:(\d{1,5})/(\w+)(?:/(\w+))?$")
_LONG = re.compile(r"candidate:\S{1,60} \d{1,3} (\w{1,8}) \d{1,12} (\S{1,60}) (\d{1,5}) typ (\w+)")

ADDRESS = r"[\[\]\w.:%]{1,60}:\d{1,5}/\w{1,8}(?:/\w{1,8})?"
PAIR = rf"(?P<local>{ADDRESS}) -> (?P<remote>{ADDRESS})"


def shown(address: str, port: str) -> str:
    """Address and port as `jitsilab.ip.endpoint` writes them, ``:port`` of one that the program hides."""
    return f":{port}" if _HIDDEN.match(address) else ip.endpoint(address, int(port))


def short(text: str) -> tuple[str, str, str]:
    """Address (empty where it is hidden), port and candidate type of ``172.31.37.118:10000/udp/host``."""
    match = _SHORT.match(text)
    if not match:
        return "", "", ""
    address, port, _, kind = match.groups()
    return ("" if _HIDDEN.match(address) else address), port, kind or ""


def pair(local: str, remote: str) -> str:
    """A pair with addresses and ports alone."""
    both = []
    for text in (local, remote):
        address, port, _ = short(text)
        both.append(shown(address, port) if address else f":{port}")
    return " -> ".join(both)


def long(text: str) -> tuple[str, str, str]:
    """Address, port and type of ``candidate:1 1 udp 2130706431 172.31.37.118 10000 typ host``."""
    match = _LONG.search(text)
    if not match:
        return "", "", ""
    _, address, port, kind = match.groups()
    return ("" if _HIDDEN.match(address) else address), port, kind
