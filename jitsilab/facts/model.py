"""What every reader of configuration hands on: a value with the place it stands, and secrets as nothing but a mark."""

import hashlib
import os
import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from jitsilab.ip import is_loopback

_SALT = os.urandom(16)  # of this process only: a mark can be compared here, and cannot be searched for elsewhere
_SECRET = re.compile(
    r"secret|passw|pwd|passphrase|credential|api_?key|sdk_?key|private_?key|userdb$|^user$|^token$|_token$|^pkey-pwd$",
    re.I,
)
_NO_SECRET = re.compile(r"whitelist|require|allow|enable|prompt|reset|^authentication$", re.I)
_COMMON = frozenset(
    ("", "admin", "changeme", "default", "jitsi", "password", "passw0rd", "secret", "s3cr3t", "test", "topsecret",
     "123456", "12345678", "yoursecret", "north", "logen", "turn", "replace-me", "insecure")
)  # fmt: skip


class _Unknown:
    """The value of an expression that only the running server knows; neither true nor false is claimed of it."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = _Unknown()
LEFT_OUT: Final = "left-out"  # what stands for a secret in files that `jitsilab deploy facts` collected


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as it leaves the reader: it can be compared with another and measured, never shown."""

    digest: bytes = field(repr=False)
    length: int | None  # characters; None where the secret was left out of the file
    common: bool  # a word that guessers try first

    def __str__(self) -> str:
        return "(a secret)"


class Fact(NamedTuple):
    """A configured value and where it stands (``file:line``)."""

    value: Any
    place: str


def secret(text: str) -> Secret:
    """The mark of a secret."""
    if text == LEFT_OUT:
        return Secret(os.urandom(16), None, False)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), key=_SALT, digest_size=16).digest()
    return Secret(digest, len(text), text.lower() in _COMMON)


def hide(key: str, value: Any) -> Any:
    """``value`` with whatever its key or its form says is secret turned into marks."""
    if isinstance(value, dict):
        return {k: hide(str(k) if isinstance(k, str) else key, v) for k, v in value.items()}
    if isinstance(value, list):
        return [hide(key, element) for element in value]
    if not isinstance(value, str):
        return value
    if _SECRET.search(key) and not _NO_SECRET.search(key):
        return secret(value)
    return secret(value) if re.search(r"://[^/\s:@]+:[^/\s@]+@", value) or value.startswith("eyJ") else value


def is_local(address: Any) -> bool:
    """Whether a configured or listed address is reached from the machine itself only; its usual names count too."""
    return address in ("localhost", "lo", "ip6-localhost", "localhost.localdomain") or is_loopback(address)


class Input(NamedTuple):
    """A file that was given, what it was taken for, and what of it was not used."""

    path: str
    kind: str  # as `jitsilab.facts.recognise` names it; "unknown"
    sha256: str
    note: str = ""  # why it, or a part of it, was not used
