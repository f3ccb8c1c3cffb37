"""What a JWT says of its time. Nothing else of it is looked at, and nothing of it is kept."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime

from jitsilab.inputs.moments import SECOND, from_epoch

_JWT = re.compile(r"[?&#](?:jwt|token)=([A-Za-z0-9_-]{4,4096})\.([A-Za-z0-9_-]{4,16384})\.[A-Za-z0-9_-]*")


def times(address: str) -> tuple[int | None, int | None]:
    """``nbf`` and ``exp`` (ns since the epoch) of the token in an address; None for what it does not have."""
    match = _JWT.search(address)
    if not match:
        return None, None
    try:
        claims = json.loads(base64.urlsafe_b64decode(match[2] + "=" * (-len(match[2]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None, None
    if not isinstance(claims, dict):
        return None, None
    return from_epoch(claims.get("nbf"), SECOND), from_epoch(claims.get("exp"), SECOND)


def refusal(address: str, moment: int | None) -> tuple[str, str] | None:
    """Why a token in an address cannot be accepted at a moment, in Prosody's words, and its time; or None."""
    if moment is None:
        return None
    before, after = times(address)
    if after is not None and moment > after:
        return "Not acceptable by exp", f"exp {_written(after)}"
    if before is not None and moment < before:
        return "Not acceptable by nbf", f"nbf {_written(before)}"
    return None


def _written(moment: int) -> str:
    return datetime.fromtimestamp(moment / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
