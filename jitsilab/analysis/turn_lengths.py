"""What the lengths of TURN messages have in common, whatever the credentials, the realm and the server's name.

A STUN message is 20 bytes and its attributes, each 4 bytes and its value padded to 4 (RFC 8489 sections 5 and 14), so
lengths of messages are sums. Which attributes a request carries is fixed by RFC 8656; what they hold is not. Once a
client has opened an allocation, the unknown values (USERNAME, REALM, NONCE, SOFTWARE) follow from it, and each later
request and answer has one or two possible lengths.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import pandas as pd

HEADER, ATTRIBUTE, INTEGRITY, FINGERPRINT = 20, 4, 24, 8
ADDRESSES = {4: 12, 6: 24}  # XOR-...-ADDRESS with its attribute header, by IP version
LIFETIME = TRANSPORT = CHANNEL = 8
ERROR_CODE = ATTRIBUTE + 4  # before the reason phrase
SMALLEST_PAYLOAD = 24  # bytes: shorter than any check, DTLS record, SRTP or SRTCP packet that ICE would carry
UNAUTHORIZED = 12  # bytes: the standard reason of a 401, "Unauthorized"
FINISHED = {36, 52}  # bytes: the handshake message Finished with SHA-256 and with SHA-384 (RFC 8446 section 4.4.4)
LARGEST = 128  # bytes: what a first Allocate without credentials stays below
RECORD = 1 << 14


class Overhead(NamedTuple):
    """Bytes that protection adds to the plaintext of a record."""

    size: int
    finished: frozenset[int]  # lengths of the plaintext of a Finished message that travels as application data


def overhead(version: str | None, suite: str | None) -> list[Overhead]:
    """What protection may add: one entry where version and suite leave no choice, none where lengths are no sums.

    TLS 1.3 adds the inner type and the tag (RFC 8446 section 5.2); TLS 1.2 the tag and, but for ChaCha20, 8 bytes of
    nonce (RFC 5288 section 3, RFC 7905 section 2). Block ciphers pad to whole blocks: nothing can be said.
    """
    name, version = (suite or "").upper(), (version or "").upper()
    tag = 8 if "CCM_8" in name else 16
    if "1.3" in version or name.startswith(("TLS_AES_", "TLS_CHACHA20_")):
        hash_sizes = FINISHED if not name else {52} if "SHA384" in name else {36}
        return [Overhead(tag + 1, frozenset(hash_sizes))]
    if "GCM" in name or "CCM" in name:
        return [Overhead(tag + 8, frozenset())]
    if "CHACHA20" in name:
        return [Overhead(tag, frozenset())]
    if name or "1.2" not in version:
        return []
    return [Overhead(24, frozenset()), Overhead(16, frozenset())]


@dataclass(frozen=True, slots=True)
class Opening:
    """The four messages that open an allocation, and what follows from their lengths."""

    bare: int  # Allocate without credentials
    refused: int  # the 401 with REALM and NONCE
    authenticated: int  # Allocate with USERNAME, REALM, NONCE, MESSAGE-INTEGRITY
    answer: int  # what came back
    own: int = TRANSPORT  # bytes of the Allocate's own attributes
    phrase: int = UNAUTHORIZED  # padded bytes of the 401's reason
    mapped: int = ADDRESSES[4]  # XOR-MAPPED-ADDRESS of the answer
    relayed: int = ADDRESSES[4]  # XOR-RELAYED-ADDRESS of the answer

    @property
    def base(self) -> int:
        """An authenticated request without attributes of its own."""
        return self.authenticated - self.own

    @property
    def granted(self) -> int:
        """A success with no attribute of its own: CreatePermission, ChannelBind."""
        return self.answer - self.mapped - self.relayed - LIFETIME

    @property
    def fixed(self) -> int:
        """SOFTWARE and FINGERPRINT together, as each answer carries them; cannot be told apart by length."""
        return self.granted - HEADER - INTEGRITY

    @property
    def realm_and_nonce(self) -> int:
        """Padded bytes of REALM and NONCE together, if the 401 has that phrase."""
        return self.refused - HEADER - ERROR_CODE - self.phrase - 2 * ATTRIBUTE - self.fixed

    @property
    def username(self) -> int:
        """Padded bytes of USERNAME, under the same condition."""
        return self.authenticated - self.bare - 3 * ATTRIBUTE - INTEGRITY - self.realm_and_nonce

    @property
    def sound(self) -> bool:
        """Whether an answer of success leaves every unknown a possible value."""
        return self.fixed >= 0 and self.realm_and_nonce >= 8 and 4 <= self.username <= 516

    @property
    def create_permission(self) -> int:
        """CreatePermission for a peer; its address is of the relayed address's family (RFC 8656 section 10.2)."""
        return self.base + self.relayed

    @property
    def channel_bind(self) -> int:
        """ChannelBind, eight bytes more than a CreatePermission for the same peer."""
        return self.create_permission + CHANNEL

    @property
    def wrapper(self) -> int:
        """What a Send indication puts around its payload."""
        return HEADER + self.relayed + ATTRIBUTE

    @property
    def refresh(self) -> int:
        """Refresh with a LIFETIME."""
        return self.base + LIFETIME

    @property
    def refreshed(self) -> int:
        """The success of a Refresh, with its LIFETIME."""
        return self.granted + LIFETIME

    def reason(self, length: int) -> int | None:
        """Padded bytes of the reason phrase of an authenticated error of that length, or None if it can be none."""
        size = length - self.granted - ERROR_CODE
        return size if size % 4 == 0 and 8 <= size <= 64 else None


def openings(lengths: Sequence[int], six: bool = False) -> list[Opening]:
    """What the first four messages may mean by their lengths, the likeliest first; none if nothing explains them.

    Where there are three and no answer yet, one without SOFTWARE and FINGERPRINT stands in for it.

    An Allocate may carry more than REQUESTED-TRANSPORT and end in a FINGERPRINT; addresses may be of IPv6 (``six``:
    the client's is) or of both kinds.
    """
    shortest = HEADER + 2 * ADDRESSES[4] + LIFETIME + INTEGRITY
    bare, refused, authenticated, answer = (*lengths, shortest)[:4]
    if any(length % 4 or length > RECORD for length in lengths):
        return []
    if not HEADER + TRANSPORT <= bare <= LARGEST or refused < HEADER + ERROR_CODE + 4 * ATTRIBUTE:
        return []
    if authenticated - bare < 3 * (ATTRIBUTE + 4) + INTEGRITY:
        return []
    owned = [bare - HEADER - extra for extra in (FINGERPRINT, 0) if bare - HEADER - extra >= TRANSPORT]
    families = [(4, 4)]
    if six:
        families += [(6, 4), (6, 6), (4, 6)]
    elif bare > HEADER + TRANSPORT:
        families.append((4, 6))  # REQUESTED-ADDRESS-FAMILY may have asked for it
    likely = []
    for mapped, relayed in families:
        for own in owned:
            first = Opening(bare, refused, authenticated, answer, own, 0, ADDRESSES[mapped], ADDRESSES[relayed])
            worded = (replace(first, phrase=phrase) for phrase in (UNAUTHORIZED, *range(4, 68, 4)))
            likely += [opening for opening in worded if opening.sound][:1]
    return sorted(likely, key=lambda opening: opening.phrase != UNAUTHORIZED)


def username_range(check: int, extra: int = 8) -> tuple[int, int]:
    """Shortest and longest USERNAME, in bytes, that an ICE check of that length may carry.

    A check holds USERNAME, PRIORITY, ICE-CONTROLLED or -CONTROLLING, MESSAGE-INTEGRITY and FINGERPRINT (RFC 8445
    section 7.1.1); libwebrtc adds its network cost, 8 bytes (``extra``).
    """
    padded = check - HEADER - ATTRIBUTE - 8 - 12 - INTEGRITY - FINGERPRINT - extra
    return padded - 3, padded


def settled(tls: pd.DataFrame) -> pd.DataFrame:
    """The records with the lengths of those that share a frame, where one split stands out.

    Printed tables know only the sum of two records in one frame. Two equal halves are taken where that length was seen
    alone, going the same way; else two lengths that were both seen alone; else nothing is.
    """
    if "length_sum" not in tls or not tls["length_sum"].notna().any():
        return tls
    tls = tls.copy()
    alone = tls[tls["length"].notna() & (tls["record_type"] == "application_data")]
    seen = {bool(up): set(map(int, records["length"])) for up, records in alone.groupby("up")}
    waiting = tls[tls["length_sum"].notna() & (tls["sharing"] == 2) & (tls["record_type"] == "application_data")]
    for (_, up), pair in waiting.groupby(["frame", "up"]):
        if len(pair) == 2:
            lengths = _split(int(pair["length_sum"].iloc[0]), seen.get(bool(up), set()))
            if lengths:
                tls.loc[pair.index, "length"] = lengths
    return tls


def _split(total: int, seen: Iterable[int]) -> tuple[int, int] | None:
    seen = set(seen)
    if total % 2 == 0 and total // 2 in seen:
        return total // 2, total // 2
    pairs = [(total - length, length) for length in sorted(seen) if total - length in seen and 2 * length < total]
    return pairs[0] if len(pairs) == 1 else None  # the longer first: tickets go ahead of answers
