"""What somebody wants of a server, checked: what cannot work is refused with its reason before anything is written."""

import re
import secrets
from dataclasses import dataclass, field
from ipaddress import IPv6Address

from jitsilab import ip
from jitsilab.errors import ParameterError

SYSTEMS = ("debian", "ubuntu", "docker")
ROOMS = ("accounts", "anybody", "tokens")
CHANNELS = ("websocket", "sctp")

#: names that a provider gives to a machine, by suffix, with what happens to them
_LENT = {
    "amazonaws.com": "Amazon asked Let's Encrypt to issue nothing for it (policy forbids issuing for name)",
    "compute.internal": "it exists inside Amazon's network alone",
    "googleusercontent.com": "it belongs to Google and is given to the next customer with the address",
    "cloudapp.net": "it belongs to Microsoft and goes with the machine",
    "cloudapp.azure.com": "it belongs to Microsoft and goes with the machine",
    "azurewebsites.net": "it belongs to Microsoft",
    "linodeusercontent.com": "it belongs to the provider and goes with the address",
    "members.linode.com": "it belongs to the provider and goes with the address",
    "vultrusercontent.com": "it belongs to the provider and goes with the address",
    "your-server.de": "it belongs to the provider and goes with the address",
    "contaboserver.net": "it belongs to the provider and goes with the address",
    "ovh.net": "it belongs to the provider and goes with the address",
    "ovh.ca": "it belongs to the provider and goes with the address",
    "kimsufi.com": "it belongs to the provider and goes with the address",
    "scw.cloud": "it belongs to the provider and goes with the machine",
    "clouding.host": "it belongs to the provider and goes with the machine",
    "oraclevcn.com": "it exists inside the provider's network alone",
}
#: top-level names that the public DNS does not have: RFC 2606, 6761, 6762, 7686, 8375, 9476, ICANN's .internal
_NOT_PUBLIC = ("local", "localhost", "test", "invalid", "internal", "onion", "alt", "home.arpa", "lan", "corp", "home")
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)$")
_MAIL = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,190}\.[A-Za-z]{2,}$")


@dataclass(frozen=True, slots=True)
class Wishes:
    """The parameters of a plan. Raises ParameterError, with the reason, for what cannot work."""

    domain: str
    email: str
    public_address: str
    private_address: str = ""  # of the machine, where a gateway translates one to one; empty: the public one is its own
    system: str = "debian"
    turn: bool = True
    rooms: str = "accounts"  # who may create one: accounts, tokens, anybody
    channel: str = "websocket"  # to the bridge
    own_certificate: bool = False  # from one's own authority, not Let's Encrypt
    bridge_port: int = 10000
    secrets: dict[str, str] = field(default_factory=dict)  # by `made_secrets`; placeholders where empty

    def __post_init__(self) -> None:
        _check_domain(self.domain, self.own_certificate)
        for value, known, what in (
            (self.system, SYSTEMS, "system"), (self.rooms, ROOMS, "choice of who may create rooms"),
            (self.channel, CHANNELS, "bridge channel"),
        ):  # fmt: skip
            if value not in known:
                raise ParameterError(f"There is no {what} {value!r}. There are: {', '.join(known)}.")
        if not self.own_certificate and not _MAIL.match(self.email):
            raise ParameterError(
                f"{self.email!r} is no e-mail address: Let's Encrypt takes one for the account (--email)."
            )
        if not 1024 <= self.bridge_port < 49152:
            raise ParameterError(
                f"The bridge's port lies between 1024 and 49151 (TURN relays from there), not {self.bridge_port}."
            )
        _check_addresses(self.public_address, self.private_address)

    @property
    def local_address(self) -> str:
        """The address that the machine itself has."""
        return self.private_address or self.public_address

    @property
    def translated(self) -> bool:
        """Whether a gateway stands in front that translates one to one."""
        return bool(self.private_address) and self.private_address != self.public_address

    def secret(self, name: str) -> str:
        """A secret by name, or what stands for it in a plan that is only looked at."""
        return self.secrets.get(name, f"SECRET-{name.upper()}-IS-MADE-WITH-THE-FILES")


def made_secrets() -> dict[str, str]:
    """New secrets for every login of the server: 192 random bits each."""
    return {name: secrets.token_hex(24) for name in ("turn", "focus", "jvb", "token")}


def _check_domain(domain: str, own_certificate: bool) -> None:
    if ip.parse(domain) is not None:
        raise ParameterError(
            f"{domain} is a bare address: a browser opens camera and microphone only over HTTPS with a "
            f"certificate that it "
            "trusts, and authorities certify names (an address at best for six days). Point a name of yours at it."
        )
    if domain != domain.lower() or not all(_LABEL.match(label) for label in domain.split(".")) or len(domain) > 200:
        raise ParameterError(
            f"{domain!r} is no name of a host: small letters, digits, hyphens and dots (other letters as xn--...)."
        )
    if "." not in domain:
        raise ParameterError(f"{domain!r} has no dot: no authority certifies it, and no name server outside knows it.")
    for suffix, reason in _LENT.items():
        if domain == suffix or domain.endswith("." + suffix):
            raise ParameterError(
                f"{domain} is a cloud's default name and cannot get a certificate for long: {reason}. Register "
                f"a name of "
                "your own and point it at the address."
            )
    for suffix in _NOT_PUBLIC:
        if domain.endswith("." + suffix) and not own_certificate:
            raise ParameterError(
                f"The public DNS has no .{suffix}, so no public authority certifies {domain}: take another name, or "
                "--own-certificate where every client trusts an authority of yours."
            )


def _check_addresses(public: str, private: str) -> None:
    for name, text in (("public", public), ("private", private)):
        if text and ip.parse(text) is None:
            raise ParameterError(f"{text!r} is no IP address (--{name}-address).")
    if not public:
        raise ParameterError("Name the address at which the world reaches the server: --public-address.")
    if ip.is_private(public):
        if private:
            raise ParameterError(f"{public} is not routed on the Internet, so it is no public address.")
        raise ParameterError(
            f"{public} is private, and there is no mapping: nobody outside could reach the bridge. Name both, "
            f"--private-address {public} and --public-address, the one that the gateway maps to it."
        )
    if private and isinstance(ip.parse(private), IPv6Address) != isinstance(ip.parse(public), IPv6Address):
        raise ParameterError(f"{private} and {public} are of two families: no gateway maps one to the other.")
