"""What one table knows and another needs: keys for checks, fingerprints for certificates, owners for streams.

A ufrag in Jingle names an ICE flow, its password verifies that flow's MESSAGE-INTEGRITY, the fingerprint beside it
meets the certificate of the flow's DTLS handshake, an SSRC meets its stream. People are put together in
`jitsilab.case.cast`.
"""

from typing import NamedTuple

import pandas as pd

from jitsilab.protocols import xmpp as stanzas
from jitsilab.tables import Schema, frame_from
from jitsilab.tables.parsed import stanzas_of

CERTIFICATES: Schema = {
    "frame": ("int64", "frame in which a DTLS Certificate message ended"),
    "flow": ("Int64", "its flow; of a relayed one the connection to the relay"),
    "depth": ("Int64", "0 outermost, 1 inside TURN"),
    "up": ("boolean", "sent by the flow's client"),
    "endpoint": ("str", "whose certificate: endpoint id, jvb"),
    "session": ("str", "jvb or p2p"),
    "ufrag": ("str", "ICE user fragment of the one that showed it"),
    "peer_ufrag": ("str", "of the other side; both name the ICE session"),
    "certificate": ("str", "SHA-256 of the certificate, AA:BB"),
    "fingerprint": ("str", "what Jingle announced for that ufrag; several with spaces"),
    "announced_frame": ("Int64", "frame of that stanza"),
    "match": ("boolean", "whether it was announced; empty where Jingle is not seen or hashes otherwise"),
}
STREAMS: Schema = {
    "flow": ("Int64", "as in the table media"),
    "up": ("boolean", "sent by the flow's client"),
    "depth": ("Int64", "0 outermost, 1 inside TURN"),
    "ssrc": ("Int64", "stream"),
    "sender": ("str", "endpoint that sends it on this flow: endpoint id, jvb; empty where ICE does not tell"),
    "receiver": ("str", "endpoint at the other end"),
    "owner": ("str", "endpoint that the media come from; empty where no signaling names the SSRC"),
    "kind": ("str", "audio, video"),
    "name": ("str", "Jitsi's name of the source"),
    "origin": ("str", "jingle or bridge: where the SSRC was named"),
}


def passwords(jingle: pd.DataFrame) -> dict[str, str | tuple[str, ...]]:
    """ICE passwords by ufrag: the key of MESSAGE-INTEGRITY in checks sent to that ufrag (RFC 8445 section 7.2.2).

    Browsers' ufrags have four characters; where two sessions came to the same one, it has both passwords.
    """
    rows = jingle[["ufrag", "pwd"]].dropna().drop_duplicates()
    by_ufrag = {ufrag: tuple(group) for ufrag, group in rows.groupby("ufrag", sort=False)["pwd"]}
    return {ufrag: several[0] if len(several) == 1 else several for ufrag, several in by_ufrag.items()}


def local_names(candidates: pd.DataFrame, dns: pd.DataFrame | None) -> pd.Series:
    """Addresses of candidates that hide theirs behind a name in .local, where multicast DNS told it in this capture."""
    known: dict[str, list[str]] = {}
    answers = dns[dns["service"].eq("mdns") & dns["addresses"].notna()] if dns is not None else pd.DataFrame()
    for name, addresses in zip(answers.get("name", ()), answers.get("addresses", ()), strict=True):
        known.setdefault(str(name).lower(), []).extend(str(addresses).split())
    resolved = [
        " ".join(dict.fromkeys(known.get(str(address).lower().rstrip("."), []))) or None
        for address in candidates["address"]
    ]
    return pd.Series(resolved, candidates.index, dtype="str")


def clock_rates(payload_types: pd.DataFrame) -> dict[int | tuple[int, int], int]:
    """Ticks a second of each RTP payload type that all descriptions of the call agree on (RFC 4566 section 6)."""
    rows = payload_types[["id", "clock_rate"]].dropna().drop_duplicates()
    rows = rows[~rows["id"].duplicated(keep=False)]
    return {int(number): int(rate) for number, rate in zip(rows["id"], rows["clock_rate"], strict=True)}


def turn_credentials(xmpp: pd.DataFrame) -> list[tuple[str, str]]:
    """User names and passwords for TURN, as XEP-0215 answers and the room's metadata gave them, each once."""
    credentials: dict[tuple[str, str], None] = {}
    for stanza in stanzas_of(xmpp):
        for service in stanzas.services(stanza) if stanza is not None else ():
            if service.username and service.password:
                credentials[service.username, service.password] = None
    return list(credentials)


class _Side(NamedTuple):
    """Who speaks on one direction of a flow, at one depth of TURN."""

    seconds: float
    ufrag: str
    peer: str


class Sides:
    """Looks up whose ufrag stands behind a direction of a flow: USERNAME is ``receiver:sender`` (RFC 8445 7.2.2)."""

    def __init__(self, stun: pd.DataFrame) -> None:
        rows = stun[stun["username"].str.contains(":", regex=False, na=False) & (stun["method"] == "Binding")]
        self._known: dict[tuple[int, bool, bool], list[_Side]] = {}
        columns = ("seconds", "flow", "depth", "up", "message_class", "username")
        rows = rows[rows["flow"].notna() & rows["up"].notna()]  # a print without ports has neither
        for seconds, flow, depth, up, kind, username in zip(*(rows[c] for c in columns), strict=True):
            receiver, _, sender = username.partition(":")
            request = kind in ("request", "indication")
            asker = bool(up) if request else not bool(up)
            for direction, side in (
                (asker, _Side(float(seconds), sender, receiver)),
                (not asker, _Side(float(seconds), receiver, sender)),
            ):
                self._known.setdefault((int(flow), int(depth) > 0, direction), []).append(side)

    def at(self, flow: object, depth: object, up: object, seconds: float) -> _Side | None:
        """The one that spoke nearest in time, or None."""
        if pd.isna(flow) or pd.isna(up):
            return None
        inside = not pd.isna(depth) and int(depth) > 0  # type: ignore[call-overload]  # a number of any kind
        known = self._known.get((int(flow), inside, bool(up)), [])  # type: ignore[call-overload]  # likewise
        return min(known, key=lambda side: abs(side.seconds - seconds), default=None)


def certificates(jingle: pd.DataFrame | None, dtls: pd.DataFrame, stun: pd.DataFrame) -> pd.DataFrame:
    """Each certificate of a DTLS handshake beside the fingerprint that was announced for its ICE session.

    Where several fingerprints were announced, one that matches is enough (RFC 8122 section 5). Handshakes of DTLS 1.3
    hide their certificates and give no row.
    """
    sides, announced = Sides(stun), _announced(jingle)
    rows = []
    shown = dtls[dtls["certificate_sha256"].notna()]
    for row in shown.itertuples(index=False):
        side = sides.at(row.flow, row.depth, row.up, float(row.seconds))
        known = announced.get(side.ufrag) if side else None
        match = None
        if known is not None:
            hashes, prints = known.hashes.split(), known.prints.split()
            usable = {p.upper() for h, p in zip(hashes, prints, strict=False) if h == "sha-256"}
            match = str(row.certificate_sha256).upper() in usable if usable else None
        rows.append(
            (
                row.frame,
                row.flow,
                row.depth,
                row.up,
                known.endpoint if known else None,
                known.session if known else None,
                side.ufrag if side else None,
                side.peer if side else None,
                row.certificate_sha256,
                known.prints if known else None,
                known.frame if known else None,
                match,
            )
        )
    return frame_from(rows, CERTIFICATES)


class _Announced(NamedTuple):
    frame: int
    endpoint: str | None
    session: str
    hashes: str
    prints: str


def _announced(jingle: pd.DataFrame | None) -> dict[str, _Announced]:
    """The first fingerprint of each ufrag."""
    if jingle is None:
        return {}
    rows = jingle.dropna(subset=["ufrag", "fingerprint"]).drop_duplicates("ufrag")
    columns = ("frame", "endpoint", "session", "fingerprint_hash", "fingerprint")
    details = zip(*(rows[column] for column in columns), strict=True)
    return {
        ufrag: _Announced(int(frame), endpoint if isinstance(endpoint, str) else None, session, hashes, prints)
        for ufrag, (frame, endpoint, session, hashes, prints) in zip(rows["ufrag"], details, strict=True)
    }


def streams(
    media: pd.DataFrame, sources: pd.DataFrame | None, stun: pd.DataFrame | None, jingle: pd.DataFrame | None
) -> pd.DataFrame:
    """The owner of each stream of ``media``, row by row.

    A client's own SSRCs are in its Jingle. Where the bridge rewrites SSRCs, what it sends is named only in the source
    map of the receiver's channel; what a map does not name either is the bridge's own (probes) or a sender's as it is.
    """
    sides = Sides(stun) if stun is not None else None
    endpoints = {ufrag: announced.endpoint for ufrag, announced in _announced(jingle).items()}
    named = _named(sources)
    rows = []
    for row in media.itertuples(index=False):
        middle = (float(row.first_seconds) + float(row.last_seconds)) / 2
        side = sides.at(row.flow, row.depth, row.up, middle) if sides else None
        sender = endpoints.get(side.ufrag) if side else None
        receiver = endpoints.get(side.peer) if side else None
        owner = _owner(named.get(int(row.ssrc), []), sender, receiver, float(row.last_seconds))
        rows.append((row.flow, row.up, row.depth, row.ssrc, sender, receiver, *(owner or (None,) * 4)))
    return frame_from(rows, STREAMS)


class _Named(NamedTuple):
    seconds: float
    owner: str | None
    kind: str | None
    name: str | None
    origin: str
    receiver: str | None


def _named(sources: pd.DataFrame | None) -> dict[int, list[_Named]]:
    by_ssrc: dict[int, list[_Named]] = {}
    if sources is not None:
        rows = sources.dropna(subset=["ssrc"]).astype(object)
        rows = rows.where(rows.notna(), None)
        columns = ("ssrc", "seconds", "owner", "kind", "name", "origin", "receiver")
        for ssrc, *rest in zip(*(rows[column] for column in columns), strict=True):
            by_ssrc.setdefault(int(ssrc), []).append(_Named(*rest))
    return by_ssrc


def _owner(
    named: list[_Named], sender: str | None, receiver: str | None, last: float
) -> tuple[str | None, str | None, str | None, str] | None:
    """The entry that fits: from a client what it named itself, from the bridge what the receiver's map says."""
    own = [entry for entry in named if entry.origin == "jingle" and (sender in (None, "jvb") or entry.owner == sender)]
    maps = [entry for entry in named if entry.origin == "bridge" and receiver in (None, entry.receiver)]
    timely = [entry for entry in maps if entry.seconds <= last] or maps
    fitting = (timely[-1:] + own[:1]) if sender in (None, "jvb") else own[:1]
    if sender is None and own:
        fitting = own[:1] + fitting
    return (fitting[0].owner, fitting[0].kind, fitting[0].name, fitting[0].origin) if fitting else None
