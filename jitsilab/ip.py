"""What an address is by its registered range, the same under every version of Python.

The ranges are those of the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890).
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


#: not routed by the public internet. The documentation ranges (RFC 5737, RFC 3849) are left out: they play its part.
_PRIVATE = _networks(
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.168.0.0/16", "198.18.0.0/15", "240.0.0.0/4",
    "::/127", "64:ff9b:1::/48", "100::/64", "fc00::/7", "fe80::/10",
)  # fmt: skip


def parse(address: Any) -> Address | None:
    """An address without zone, IPv4 where it is mapped into IPv6; None where the text is none (a name, nothing)."""
    if not isinstance(address, str):
        return None
    return _parse(address)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=4096)
def is_private(address: str) -> bool:
    """Whether the public internet does not route an address; names of a printed study are not private."""
    parsed = parse(address)
    return parsed is not None and any(parsed in network for network in _PRIVATE)


def is_loopback(address: Any) -> bool:
    """Whether an address never leaves its host."""
    parsed = parse(address)
    return parsed is not None and parsed.is_loopback


def endpoint(address: str, port: int | None = None) -> str:
    """Address and port as they are written: ``192.0.2.1:443``, ``[2001:db8::1]:443`` (RFC 5952 section 6)."""
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
