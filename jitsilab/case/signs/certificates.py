"""TLS that the client refuses: the server shows its certificate, and an alert comes instead of the client's Finished.

With keys, or under TLS 1.2, the alert and the certificate are read. Without, an encrypted alert is a record of 19 bytes
(2 of the alert, 1 of the content type, 16 of the tag; RFC 8446 sections 5.2 and 6), shorter than any Finished.
"""

import weakref
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from jitsilab.case.signs.sign import DEDUCED, INFERRED, MEASURED, Sign, frames_of
from jitsilab.tables import Tables, frame

ALERT = 19  # bytes of an encrypted alert
#: alerts that say something of the certificate (RFC 8446 section 6)
OF_CERTIFICATE = ("bad_certificate", "unsupported_certificate", "certificate_revoked", "certificate_expired",
                  "certificate_unknown", "unknown_ca")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a client took what a server showed on one TLS flow."""

    flow: int
    finished: bool  # the client went on: Finished, or whatever else comes after it
    alert: str = ""  # what it said instead; ``unread`` where that is encrypted
    seconds: float = float("nan")
    frames: tuple[int, ...] = ()
    faults: tuple[str, ...] = ()  # of the certificate: expired, not-yet-valid, name-mismatch, self-signed
    seen: bool = False  # the certificate was read

    @property
    def refused(self) -> bool:
        """Whether the client ended it because of the certificate, as far as the alert can be read."""
        return not self.finished and (self.alert == "unread" or self.alert in OF_CERTIFICATE)


_SAID = ("frame", "seconds", "record_type", "inner_type", "length", "alert")
_READ = (
    "time", "certificate_sha256", "certificate_from", "certificate_until", "certificate_names",
    "certificate_self_signed",
)  # fmt: skip
_latest: list[tuple["weakref.ref[pd.DataFrame]", dict[int, Handshake]]] = []


def handshakes(tables: Tables, flows: Collection[int]) -> dict[int, Handshake]:
    """Of each of these flows in which the server answered a ClientHello how the client took it."""
    tls = frame(tables, "tls")
    if not len(tls):
        return {}
    known = _latest[0] if _latest else None
    if known is None or known[0]() is not tls:  # each participant asks for its own flows of one table
        known = (weakref.ref(tls), _handshakes(tls))
        _latest[:] = [known]
    return {flow: known[1][flow] for flow in sorted({int(flow) for flow in flows} & known[1].keys())}


def _handshakes(tls: pd.DataFrame) -> dict[int, Handshake]:
    """The same of every flow of the table."""
    up = tls["up"].fillna(False).astype(bool).to_numpy()
    spoke = np.flatnonzero(tls["handshake"].notna().to_numpy() & tls["flow"].notna().to_numpy())
    few = tls[[name for name in ("flow", "frame", "handshake", "sni", *_READ) if name in tls]].iloc[spoke]
    words, sent = few["handshake"].astype(str), up[spoke]
    answers = few[~sent & words.str.contains("server_hello", regex=False)].drop_duplicates("flow")
    shown = few[~sent & words.str.contains(r"\bcertificate\b")]
    certificates = _by_flow(shown, "frame")
    read = _by_flow(shown[shown["certificate_sha256"].notna()], *_READ) if "certificate_sha256" in shown else {}
    names = _by_flow(few[few["sni"].notna()], "sni") if "sni" in few else {}
    again = np.zeros(len(tls), bool)  # a ClientHello after a HelloRetryRequest
    again[spoke] = words.str.contains("client_hello", regex=False)
    since = tls["flow"].map(dict(zip(answers["flow"], answers["frame"], strict=True)))
    after = (tls["frame"] >= since).fillna(False).to_numpy(bool) & since.notna().to_numpy()
    went_on = np.flatnonzero(up & after & ~again & tls["record_type"].ne("change_cipher_spec").to_numpy())
    firsts = ~tls["flow"].iloc[went_on].duplicated().to_numpy()
    first = _by_flow(tls[[name for name in ("flow", *_SAID) if name in tls]].iloc[went_on[firsts]], *_SAID)
    nothing: dict[str, Any] = {}
    return {
        flow: _handshake(flow, certificates.get(flow, answer)["frame"], read.get(flow),
                         names.get(flow, nothing).get("sni"), first.get(flow))
        for flow, answer in _by_flow(answers, "frame").items()
    }  # fmt: skip


def _by_flow(rows: pd.DataFrame, *names: str) -> dict[int, dict[str, Any]]:
    """Some columns of the first row of each flow."""
    firsts = rows.drop_duplicates("flow")
    return dict(zip(firsts["flow"].astype(int), firsts.reindex(columns=list(names)).to_dict("records"), strict=True))


def _handshake(flow: int, shown: int, read: Any, name: str | None, first: Any) -> Handshake:
    """One flow: the frame that shows the certificate, what was read of it, the name asked for, the client's answer."""
    faults = _faults(read, name) if read is not None else ()
    if first is None:
        return Handshake(flow, finished=False, faults=faults, seen=read is not None)
    alert = _alert(first)
    frames = frames_of(int(shown), int(first["frame"]))
    return Handshake(flow, not alert, alert, float(first["seconds"]), frames, faults, read is not None)


def _alert(record: Any) -> str:
    """Description of an alert, ``unread`` where it is encrypted; empty where the record is something else."""
    if isinstance(record["alert"], str) and record["alert"]:
        return str(record["alert"]).split()[-1]
    if "alert" in (record["record_type"], record["inner_type"]):
        return "unread"
    opaque = record["record_type"] == "application_data" and not isinstance(record["inner_type"], str)
    return "unread" if opaque and record["length"] == ALERT else ""


def _faults(row: Any, asked: str | None) -> tuple[str, ...]:
    """What a client holds against a certificate: its dates, its names, that it vouches for itself."""
    faults = []
    if pd.notna(row["time"]):
        now = row["time"].floor("s").to_pydatetime()
        until, since = _date(row["certificate_until"]), _date(row["certificate_from"])
        if until is not None and now > until:
            faults.append("expired")
        if since is not None and now < since:
            faults.append("not-yet-valid")
    covered = str(row["certificate_names"]).split() if isinstance(row["certificate_names"], str) else []
    if asked and not any(_covers(name, asked) for name in covered):
        faults.append("name-mismatch")
    if pd.notna(row["certificate_self_signed"]) and bool(row["certificate_self_signed"]):
        faults.append("self-signed")
    return tuple(faults)


def _date(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _covers(name: str, host: str) -> bool:
    """Whether a certificate's name stands for a host (RFC 9525 section 6.3): a star is its whole first label."""
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    if not name.startswith("*."):
        return name == host
    label, _, rest = host.partition(".")
    return bool(label) and rest == name[2:]


REASONS = {"expired": "expired", "name-mismatch": "name-mismatch", "self-signed": "untrusted"}


def refusal(what: str, shakes: list[Handshake]) -> Sign | None:
    """The sign of refused handshakes; None where there is none, or where the client went on in another one."""
    refused = [handshake for handshake in shakes if handshake.refused]
    if not refused or any(handshake.finished for handshake in shakes):
        return None
    alerts = {handshake.alert for handshake in refused}
    frames = frames_of(*(handshake.frames for handshake in refused))
    began = min(handshake.seconds for handshake in refused)
    faults = tuple(dict.fromkeys(fault for handshake in refused for fault in handshake.faults))
    read = any(handshake.seen for handshake in refused)
    words = " and ".join(sorted(alerts - {"unread"})).replace("_", " ")
    if not words:
        note = "the client answers the server's certificate with an alert, which is encrypted"
        return Sign(what, frames, DEDUCED, began, note=note)
    if not read:
        reason = "untrusted" if alerts == {"unknown_ca"} else "expired" if alerts == {"certificate_expired"} else ""
        return Sign(what, frames, MEASURED, began, reason, note=f"the client refuses the certificate: {words}")
    if len(faults) == 1:
        note = f"the client refuses the certificate ({words}), which is {faults[0].replace('-', ' ')}"
        return Sign(what, frames, MEASURED, began, REASONS.get(faults[0], ""), note=note)
    if faults:  # a browser names the gravest, which is not in the packets
        note = f"the client refuses the certificate ({words}), which is {', '.join(faults)}"
        return Sign(what, frames, MEASURED, began, note=note)
    note = f"the client refuses the certificate ({words}), whose dates and names fit: it does not trust the issuer"
    return Sign(what, frames, MEASURED if "unknown_ca" in alerts else INFERRED, began, "untrusted", note=note)
