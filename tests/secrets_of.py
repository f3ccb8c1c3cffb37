"""Every secret of a recording, read from its logs, its keys, its facts and its plaintext."""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from pathlib import Path

from jitsilab.call import Call

SHORTEST = 6  # a shorter word is found by chance in any text

_PASSWORDS = (
    re.compile(r"""\b(?:pwd|password)=["']([^"']+)["']"""),  # ICE (XEP-0176), TURN (XEP-0215)
    re.compile(r"""[?&;](?:pwd|pass|jwt|token|password)=([^"'&<>\s]+)"""),  # bridge channel, tokens, accounts
    re.compile(r"""(eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"""),  # JSON web tokens (RFC 7519)
    re.compile(r'"(?:password|credential|token|jwt|pwd)" ?: ?"([^"]+)"'),
    re.compile(r"a=ice-pwd:(\S+)"),
)
_SASL = re.compile(r"<(?:auth|response|challenge|success)\b[^>]*>([^<]+)<")  # RFC 6120 section 6
_FACTS = (
    re.compile(r'(?im)^\s*[\w.-]*(?:secret|password)\s*[:=]\s*"?([^"\s;,]{6,})"?\s*$'),
    re.compile(r"(?m)^([A-Za-z0-9+/=]{40,})$"),  # lines of a private key
)


def of(folder: Path, *calls: Call) -> dict[str, set[str]]:
    """Secrets by the file that told them; ``folder`` holds a recording's plain files, ``calls`` its captures."""
    found = {"keys.txt": keys(folder / "keys.txt")}
    for path in sorted(folder.glob("*.jsonl")):
        found[path.name] = said(text for line in path.read_text().splitlines() for text in _strings(json.loads(line)))
    for path in sorted((folder / "facts").glob("*")):
        if path.suffix in (".lua", ".conf", ".key"):
            found[path.name] = {one for pattern in _FACTS for one in pattern.findall(path.read_text())}
    for call in calls:
        if call.wire is not None and call.has("xmpp"):
            targets = [one.request.target for one in call.wire.carried.http if one.request and one.request.target]
            found.setdefault(call.name, set()).update(said([*call.xmpp["xml"], *targets]))
    return {name: {one for one in values if len(one) >= SHORTEST} for name, values in found.items()}


def keys(path: Path) -> set[str]:
    """The secrets of a key log, in hexadecimal."""
    lines = [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    return {words[2].lower() for words in lines if len(words) == 3}


def said(texts: Iterable[str]) -> set[str]:
    """Passwords, tokens and logins in stanzas, descriptions and request targets."""
    found: set[str] = set()
    for text in texts:
        found |= {one for pattern in _PASSWORDS for one in pattern.findall(text)}
        for login in _SASL.findall(text):
            found |= {login, password(login)}
    return found


def shown(text: str, secrets: dict[str, set[str]]) -> list[str]:
    """The files whose secrets a text gives away, with the first letters, however it is escaped or wrapped."""
    forms = [text, text.lower(), text.replace("\\", ""), text.replace("&amp;", "&"), re.sub(r"\s+", "", text)]
    return sorted({f"{name}: {one[:3]}..." for name, values in secrets.items() for one in values
                   if any(one in form for form in forms)})  # fmt: skip


def password(login: str) -> str:
    """The password inside SASL PLAIN (RFC 4616); empty where there is none."""
    try:
        parts = base64.b64decode(login, validate=True).split(b"\0")
    except binascii.Error:
        return ""
    return parts[2].decode("utf-8", "replace") if len(parts) == 3 else ""


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in _strings(one)]
    return [value] if isinstance(value, str) else []
