"""For each security check a failing, a passing and an unobservable sample, and what it was made of.

``real``: a recording of this project, or configuration that a server runs with (tests/test_servers.py starts them).
``made``: a recording or configuration with one thing changed, since nobody had that hole.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import pandas as pd
from calls import named

from jitsilab import call as capture
from jitsilab import facts
from jitsilab.facts import Facts
from jitsilab.inputs import registry

Tables = dict[str, Any]


class Sample(NamedTuple):
    """One thing to audit, and what has to come out."""

    result: str
    origin: str  # real or made
    what: str  # in words, for docs/checks.md
    build: Callable[[], tuple[Any, Facts | None]]


@cache
def recorded(name: str, point: str = "eth0", keys: bool = True) -> capture.Call:
    """A recording."""
    return capture.load(name, point=point, use_keylog=keys)


@cache
def recorded_facts(name: str) -> Facts:
    """The facts of a recording."""
    folder = registry.find(name).facts
    assert folder is not None
    return facts.load(folder)


def real(result: str, name: str, *, keys: bool = True, with_facts: bool = True, point: str = "eth0") -> Sample:
    """A recording as it is."""
    what = f"recording {name}{'' if keys else ' without keys'}{'' if with_facts else ', capture alone'}"
    return Sample(
        result, "real", what,
        lambda: (recorded(name, point, keys), recorded_facts(name) if with_facts else None),
    )  # fmt: skip


def nothing(result: str = "NOT_OBSERVABLE") -> Sample:
    """A recording of which neither keys nor facts are at hand."""
    return real(result, "jvb-3", keys=False, with_facts=False)


def changed(result: str, what: str, change: Callable[[Tables], None], name: str = "jvb-3", **texts: str) -> Sample:
    """The tables of a recording with something changed; no facts, or those read from texts."""

    def build() -> tuple[Any, Facts | None]:
        call = recorded(name)
        tables = {key: call.table(key) for key in capture.WIRE_TABLES}
        tables = {key: None if rows is None else rows.copy() for key, rows in tables.items()}
        change(tables)
        return capture.Call(f"{name}, changed", tables=tables), from_texts(texts) if texts else None

    return Sample(result, "made", f"recording {name}: {what}", build)


def configured(result: str, what: str, **texts: str) -> Sample:
    """Facts read from texts: prosody, turn, bridge, focus, nginx, web, ss, nft, versions."""

    def build() -> tuple[Any, Facts | None]:
        return None, from_texts(texts)

    return Sample(result, "made", what, build)


def from_texts(texts: dict[str, str]) -> Facts:
    """Facts as `facts.load` reads them from files of these kinds."""
    names = {
        "prosody": "prosody.cfg.lua", "turn": "turnserver.conf", "bridge": "jvb.conf", "focus": "jicofo.conf",
        "nginx": "nginx.conf", "web": "config.js", "ss": "ss.txt", "nft": "nft.txt", "addresses": "ip-addr.txt",
        "versions": "versions.txt",
    }  # fmt: skip
    return facts.load(*(facts.Given(names[kind], text.encode()) for kind, text in texts.items()))


def study() -> tuple[Any, Facts | None]:
    """The study's tables and the facts it published."""
    folder = registry.find("project3-2020").tables
    assert folder is not None
    return named("project3-2020"), facts.load(folder / "facts")


def certificate(days: int, name: str = "meet.example") -> Sample:
    """A certificate that runs out in so many days, issued by an authority."""

    def build() -> tuple[Any, Facts | None]:
        from cryptography import x509 as lib
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        from jitsilab.facts import certificates

        key = ec.generate_private_key(ec.SECP256R1())
        subject, issuer = (lib.Name([lib.NameAttribute(lib.NameOID.COMMON_NAME, text)]) for text in (name, "authority"))
        end = datetime.now(UTC) + timedelta(days=days)
        made = (
            lib.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(1).not_valid_before(end - timedelta(days=900)).not_valid_after(end)
            .add_extension(lib.SubjectAlternativeName([lib.DNSName(name)]), critical=False).sign(key, hashes.SHA256())
        )  # fmt: skip
        seen = Facts()
        pem = made.public_bytes(serialization.Encoding.PEM).decode()
        seen.certificates = certificates.parse(pem, "meet.example.crt", seen.problems)
        return None, seen

    ends = "ran out" if days < 0 else "in date"
    return Sample("FAIL" if days < 0 else "PASS", "made", f"a certificate that {ends}", build)


# Changes to the tables of a recording


def text_in(table: str, column: str, old: str, new: str) -> Callable[[Tables], None]:
    """Other text in a column."""

    def change(tables: Tables) -> None:
        tables[table][column] = tables[table][column].str.replace(old, new, regex=True)

    return change


def value_in(
    table: str, column: str, value: Any, rows: Callable[[pd.DataFrame], Any] | None = None
) -> Callable[[Tables], None]:
    """Another value in a column, in some rows or in all."""

    def change(tables: Tables) -> None:
        frame = tables[table]
        tables[table] = frame.assign(
            **{column: frame[column].where(~(rows(frame) if rows else frame["frame"].gt(0)), value)}
        )

    return change


def all_of(*changes: Callable[[Tables], None]) -> Callable[[Tables], None]:
    """Several changes, one after the other."""

    def change(tables: Tables) -> None:
        for one in changes:
            one(tables)

    return change


def copied(table: str, rows: Callable[[pd.DataFrame], Any], **values: Any) -> Callable[[Tables], None]:
    """A copy of the first such row, with other values."""

    def change(tables: Tables) -> None:
        frame = tables[table]
        one = frame[rows(frame)].head(1).assign(**values).astype(frame.dtypes)
        tables[table] = pd.concat([frame, one], ignore_index=True)

    return change


def without(table: str, rows: Callable[[pd.DataFrame], Any]) -> Callable[[Tables], None]:
    """Some rows left out."""

    def change(tables: Tables) -> None:
        tables[table] = tables[table][~rows(tables[table])].reset_index(drop=True)

    return change


def check_rows(stun: pd.DataFrame) -> Any:
    """Connectivity checks."""
    return stun["method"].eq("Binding") & stun["message_class"].eq("request") & stun["depth"].eq(0)
