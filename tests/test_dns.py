"""Names: the table dns against tshark and RFC vectors, and the step that a name is resolved on real resolvers."""

import random
import struct
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.rrset
import made_names
import pandas as pd
import pytest
from datagrams import Segment, Sent, wire
from hypothesis import given, settings
from hypothesis import strategies as st

import jitsilab as jl
from jitsilab.analysis import joins
from jitsilab.call import Call
from jitsilab.errors import Problem
from jitsilab.tables.dns import DNS, table
from jitsilab.wire.labels import NAMES

VECTORS = sorted(made_names.FOLDER.glob("*.pcap"))
OTHERS = ("tls_certificate_too_long.pcap", "telegram_videocall.pcapng")
CLIENT, RESOLVER = (2, 40000), (53, 53)
GROUP = (251, 5353)


def made(*records: str, name: str = "meet.example.org", kind: str = "A", number: int = 7) -> bytes:
    """An answer with these records, each as in a zone file."""
    answer = dns.message.make_response(dns.message.make_query(name, kind, id=number))
    for record in records:
        owner, ttl, of, data = record.split(maxsplit=3)
        answer.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", of, data))
    return bytes(answer.to_wire())


def asked(name: str = "meet.example.org", kind: str = "A", number: int = 7) -> bytes:
    return bytes(dns.message.make_query(name, kind, id=number).to_wire())


def rows_of(*sent: Sent | Segment) -> tuple[pd.DataFrame, list[Problem]]:
    rows, problems = table(wire(*sent))
    assert list(rows.columns) == list(DNS)
    return rows, problems


def only(*sent: Sent | Segment) -> Any:
    rows, problems = rows_of(*sent)
    assert problems == []
    assert len(rows) == 1
    return rows.iloc[0]


# ---- against tshark

FIELDS = {  # what tshark prints, and the column
    "dns.flags.response": "response", "dns.flags.rcode": "rcode", "dns.qry.name": "name", "dns.a": "addresses",
    "dns.aaaa": "addresses", "dns.cname": "aliases",
}  # fmt: skip
CODES = {"0": "NOERROR", "2": "SERVFAIL", "3": "NXDOMAIN", "5": "REFUSED"}


def printed(path: Path) -> dict[int, dict[str, set[str]]]:
    """tshark's fields by frame; names of the question, and addresses and aliases of answers."""
    command = ["tshark", "-n", "-r", str(path), "-Y", "dns || mdns", "-T", "fields", "-e", "frame.number"]
    command += [part for field in ("dns.id", *FIELDS) for part in ("-e", field)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for line in text.splitlines():
        number, *values = line.split("\t")
        found[int(number)] = {
            field: set(value.split(",")) - {""} for field, value in zip(("dns.id", *FIELDS), values, strict=True)
        }
    return found


def hold(path: Path) -> None:
    theirs, ours = printed(path), jl.load(path).dns
    assert set(ours["frame"]) == set(theirs)
    for frame, rows in ours.groupby("frame"):
        shown = theirs[int(frame)]
        assert {int(one, 16) for one in shown["dns.id"]} == set(rows["id"]), frame
        assert {one in ("1", "True") for one in shown["dns.flags.response"]} == set(rows["response"]), frame
        answered = bool(rows["response"].all())
        if answered:
            assert {CODES[one] for one in shown["dns.flags.rcode"]} == set(rows["rcode"]), frame
        if shown["dns.qry.name"]:
            assert shown["dns.qry.name"] == set(rows["name"]), frame
        for ours_, fields in (("addresses", ("dns.a", "dns.aaaa")), ("aliases", ("dns.cname",))):
            wanted = set().union(*(shown[field] for field in fields))
            assert {word for text in rows[ours_].dropna() for word in text.split()} == wanted, frame


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("path", [one for one in VECTORS if one.stem != "hosts-alone"], ids=lambda path: path.stem)
def test_the_table_is_what_tshark_reads(path: Path) -> None:
    hold(path)


@pytest.mark.tool("tshark")
@pytest.mark.parametrize("name", OTHERS)
def test_so_it_is_of_others_captures(data: Path, name: str) -> None:
    hold(data / "pcaps" / name)


# ---- messages


def test_an_answer_follows_its_aliases_and_finds_its_query() -> None:
    chain = ("meet.example.org. 60 CNAME a.example.net.", "a.example.net. 5 CNAME b.example.net.")
    answer = made(*chain, "b.example.net. 30 A 192.0.2.1", "b.example.net. 30 A 192.0.2.2", "x. 1 A 192.0.2.9")
    rows, problems = rows_of(Sent(CLIENT, RESOLVER, asked()), Sent(RESOLVER, CLIENT, answer))
    assert problems == []
    query, found = rows.iloc[0], rows.iloc[1]
    assert not query["response"]
    assert pd.isna(query["rcode"])
    assert (found["name"], found["type"], found["rcode"]) == ("meet.example.org", "A", "NOERROR")
    assert found["aliases"] == "a.example.net b.example.net"
    assert found["addresses"] == "192.0.2.1 192.0.2.2"
    assert (found["ttl"], found["request_frame"]) == (5, 1)
    assert found["rtt"] == pytest.approx(0.01)


def test_an_answer_to_something_else_has_no_query() -> None:
    other = made("other.example.org. 60 A 192.0.2.1", name="other.example.org")
    rows, _ = rows_of(Sent(CLIENT, RESOLVER, asked()), Sent(RESOLVER, CLIENT, other))
    assert rows["request_frame"].isna().all()


def test_aliases_that_go_round_end() -> None:
    row = only(Sent(RESOLVER, CLIENT, made("meet.example.org. 60 CNAME b.", "b. 60 CNAME meet.example.org.")))
    assert row["aliases"] == "b"
    assert pd.isna(row["addresses"])


def test_a_service_record_of_rfc_9460() -> None:
    # RFC 9460 appendix D.2: 16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1
    data = bytes.fromhex(
        "001003666f6f076578616d706c65036f7267000000000400010004000100090268320568332d313900040004c0000201"
    )
    message = bytearray(asked("example.com", "HTTPS"))
    message[2], message[7] = 0x84, 1  # an answer with one record
    message += b"\xc0\x0c" + struct.pack("!HHIH", 65, 1, 300, len(data)) + data
    row = only(Sent(RESOLVER, CLIENT, bytes(message)))
    assert (row["type"], row["targets"], row["hints"], row["alpn"]) == (
        "HTTPS", "foo.example.org", "192.0.2.1", "h2 h3-19",
    )  # fmt: skip
    assert row["ech"] is False or not row["ech"]


def test_names_cannot_steer_a_screen() -> None:
    query = bytearray(asked("abcdef.example.org"))
    query[13:19] = b"\x1b[2J.\xff"
    assert only(Sent(CLIENT, RESOLVER, bytes(query)))["name"] == "\\027[2J\\.\\255.example.org"


def over_tcp(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


def test_messages_over_tcp_span_segments_and_share_them() -> None:
    first, second = over_tcp(asked(number=1)), over_tcp(asked(number=2, kind="AAAA"))
    stream = first + second + over_tcp(asked(number=3, name="third.example.org"))
    parts = [stream[:1], stream[1:20], stream[20:-5], stream[-5:]]
    seq, sent = 1, [Segment(CLIENT, RESOLVER, b"", 0, 2), Segment(RESOLVER, CLIENT, b"", 0, 0x12)]
    for part in parts:
        sent.append(Segment(CLIENT, RESOLVER, part, seq))
        seq += len(part)
    rows, problems = rows_of(*sent)
    assert problems == []
    assert list(rows["id"]) == [1, 2, 3]
    assert list(rows["frame"]) == [5, 5, 6]
    assert list(rows["first_frame"]) == [3, 5, 5]
    assert set(rows["transport"]) == {"tcp"}


def test_after_a_hole_only_what_begins_like_a_message_is_one() -> None:
    one = over_tcp(asked())
    start = Segment(CLIENT, RESOLVER, b"", 0, 2)
    rows, problems = rows_of(start, Segment(CLIENT, RESOLVER, one[9:], 1000), Segment(CLIENT, RESOLVER, one, 2000))
    assert problems == []
    assert list(rows["frame"]) == [3]


def test_port_53_alone_makes_no_dns() -> None:
    junk = [Sent(CLIENT, RESOLVER, b"GET / HTTP/1.1\r\n\r\n"), Segment(CLIENT, RESOLVER, b"\x16\x03\x01\0\x05hello", 1)]
    rows, problems = rows_of(*junk)
    assert rows.empty
    assert problems == []
    stun = bytes.fromhex("000100002112a442") + bytes(12)
    assert rows_of(Sent(CLIENT, RESOLVER, stun))[0].empty
    here = wire(Segment(CLIENT, RESOLVER, over_tcp(asked()), 1))
    assert NAMES[here.labels[0]] == "DNS"


def multicast(*records: str) -> bytes:
    """An answer that nobody asked for, with the bit that flushes caches (RFC 6762 section 10.2)."""
    message = dns.message.Message(id=0)
    message.flags = dns.flags.Flag(0x8400)
    for record in records:
        owner, ttl, of, data = record.split(maxsplit=3)
        message.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", of, data))
    return bytes(message.to_wire()).replace(b"\0\x01\0\x01\0\0\0\x78", b"\0\x01\x80\x01\0\0\0\x78")


HIDDEN = "0a1b2c3d-0000-4000-8000-123456789abc.local"


def test_multicast_dns_tells_what_hides_behind_a_candidate() -> None:
    told = multicast(f"{HIDDEN}. 120 A 192.168.1.7", "other.local. 120 A 192.168.1.8")
    here = wire(Sent((7, 5353), GROUP, told))
    rows, problems = table(here)
    assert problems == []
    assert list(rows["name"]) == [HIDDEN, "other.local"]
    assert set(rows["service"]) == {"mdns"}
    assert list(rows["addresses"]) == ["192.168.1.7", "192.168.1.8"]
    candidates = pd.DataFrame({"address": [HIDDEN.upper(), "192.0.2.1", None, "unknown.local"]})
    resolved = joins.local_names(candidates, rows)
    assert list(resolved.fillna("")) == ["192.168.1.7", "", "", ""]
    assert joins.local_names(candidates, None).isna().all()


def test_what_cannot_be_read_is_told() -> None:
    answer = made("meet.example.org. 60 A 192.0.2.1", "meet.example.org. 60 TXT hello")
    broken = answer[:-10]
    rows, problems = rows_of(Sent(RESOLVER, CLIENT, broken))
    assert [(one.frame, one.protocol) for one in problems] == [(1, "DNS")]
    assert list(rows["complete"]) == [False]
    assert list(rows["addresses"]) == ["192.0.2.1"]
    cut, problems = rows_of(Sent(RESOLVER, CLIENT, answer, kept=len(answer) - 10))
    assert problems == []  # the capture lacks the rest: no fault of the message
    assert list(cut["complete"]) == [False]


SEEDS = (
    asked(),
    made("meet.example.org. 60 CNAME b.", "b. 1 A 192.0.2.1", "b. 1 AAAA ::1"),
    made(*[f"a{n}. 1 TXT x{n}" for n in range(9)]),
    made("b. 1 HTTPS 1 . alpn=h3 ipv4hint=192.0.2.1", "b. 1 SRV 1 2 3 c.", "b. 1 LOC 1 N 1 E 1m", name="b", kind="ANY"),
)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(2, 200), st.sampled_from([0, 1, 0x28, 0x41, 0x80, 0xC0, 0xFF])), max_size=8),
    st.integers(0, 40),
    st.sampled_from([53, 5353]),
)
def test_any_bytes_make_rows_or_problems(seed: bytes, changes: list[tuple[int, int]], cut: int, port: int) -> None:
    data = bytearray(seed[: len(seed) - cut])
    for at, byte in changes:
        if at < len(data):
            data[at] = byte
    rows, _ = rows_of(Sent((9, port), CLIENT, bytes(data)), Segment((9, 53), CLIENT, over_tcp(bytes(data)), 1))
    for text in rows[["name", "aliases", "addresses", "targets", "hints", "alpn", "records"]].to_numpy().ravel():
        assert not isinstance(text, str) or text.isprintable()


def test_thousands_of_questions_make_few_rows() -> None:
    many = struct.pack("!HHHHHH", 1, 0x100, 6000, 0, 0, 0) + b"\1a\0\0\1\0\1" * 6000
    rows, problems = rows_of(Segment(CLIENT, RESOLVER, b"", 0, 2), Segment(CLIENT, RESOLVER, over_tcp(many), 1))
    assert len(rows) == 64
    assert [one.message for one in problems] == ["6000 questions, of which 64 are listed"]


def test_a_flood_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jitsilab.tables.dns.MOST_BYTES", 3 * len(asked()))
    rows, problems = rows_of(*[Sent(CLIENT, RESOLVER, asked(number=number)) for number in range(9)])
    assert list(rows["id"]) == [0, 1, 2]
    assert [(one.frame, one.protocol) for one in problems] == [(4, "DNS")]


# ---- the step

WANTED = {
    "resolved": ("CONFORMS", "meet.example.org is 203.0.113.10"),
    "over-tcp": ("CONFORMS", "meet.example.org is 203.0.113.10"),
    "hosts-file": ("DEVIATES", "went to 203.0.113.11"),
    "hosts-alone": ("NOT_OBSERVABLE", "a hosts file, a cache or DNS over HTTPS answered"),
    "gone": ("DEVIATES", "does not exist (NXDOMAIN)"),
    "silent": ("DEVIATES", "and no answer"),
    "never": ("NOT_APPLICABLE", "nothing shows that this is a Jitsi call; the name meet.example.org does not exist"),
}


def judged(call: Call) -> Any:
    rows = call.steps[call.steps["step"] == "S01"]
    assert len(rows) == 1
    return rows.iloc[0]


def test_every_scenario_has_a_capture_and_a_verdict() -> None:
    assert {path.stem for path in VECTORS} == set(WANTED) == set(made_names.SCENARIOS)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_name_is_resolved(path: Path) -> None:
    row = judged(jl.load(path))
    verdict, note = WANTED[path.stem]
    assert row["verdict"] == verdict, row["note"]
    assert note in row["note"]
    assert (len(row["frames"]) > 0) == (path.stem != "hosts-alone")


@pytest.mark.tool(*made_names.TOOLS)
@pytest.mark.parametrize("name", ["over-tcp", "hosts-file"])
def test_so_it_is_with_the_resolver_of_this_machine(tmp_path: Path, name: str) -> None:
    try:
        path = made_names.record(tmp_path, name)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("this user may not make network namespaces")
    row = judged(jl.load(path))
    assert row["verdict"] == WANTED[name][0], row["note"]
    assert WANTED[name][1] in row["note"]


@cache
def tables_of(name: str) -> dict[str, pd.DataFrame]:
    found = jl.load(made_names.FOLDER / f"{name}.pcap").tables()
    return {key: rows for key, rows in found.items() if rows is not None}


def altered(name: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Any:
    tables = tables_of(name)
    return judged(Call("altered", tables=tables | {"dns": change(tables["dns"])}))


def test_more_than_one_answer_speaks_for_a_connection() -> None:
    def later(rows: pd.DataFrame) -> pd.DataFrame:  # the address stands in an answer after the connection
        extra = rows[rows["addresses"].notna()].tail(1).assign(addresses="203.0.113.11", seconds=99.0, frame=999)
        return pd.concat([rows, extra], ignore_index=True)

    assert altered("hosts-file", later)["verdict"] == "NOT_OBSERVABLE"

    def hinted(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(hints=rows["addresses"].where(rows["addresses"].isna(), "203.0.113.11"))

    assert altered("hosts-file", hinted)["verdict"] == "CONFORMS"

    def elsewhere(rows: pd.DataFrame) -> pd.DataFrame:  # a service record sends the client to another name
        extra = (
            rows[rows["addresses"].notna()]
            .head(1)
            .assign(name="svc.example.org", addresses="203.0.113.11", aliases=None)
        )
        return pd.concat(
            [extra, rows.assign(targets=rows["addresses"].where(rows["addresses"].isna(), "svc.example.org"))]
        )

    assert altered("hosts-file", elsewhere)["verdict"] == "CONFORMS"


@pytest.mark.parametrize(
    "change",
    [{"truncated": True}, {"complete": False}, {"ech": True}, {"addresses": "2001:db8::1"}, {"service": "mdns"}],
    ids=lambda change: next(iter(change)),
)
def test_what_is_not_known_whole_accuses_nobody(change: dict[str, Any]) -> None:
    answered = lambda rows: rows["addresses"].notna()  # noqa: E731
    for column, value in change.items():
        made_so = altered(
            "hosts-file",
            lambda rows, c=column, v=value: rows.assign(**{c: rows[c].astype(object).where(~answered(rows), v)}),
        )
        assert made_so["verdict"] == "NOT_OBSERVABLE", made_so["note"]


def test_an_answer_through_an_alias_or_nat64_is_one() -> None:
    def asked_as(rows: pd.DataFrame) -> pd.DataFrame:  # the query was for a name that leads to this one
        return rows.assign(
            name="www.example.org", aliases=rows["aliases"].where(rows["aliases"].isna(), "meet.example.org")
        )

    assert altered("resolved", asked_as)["verdict"] == "CONFORMS"
    tables = tables_of("resolved")
    flows = tables["flows"]
    through = flows.assign(server=flows["server"].where(flows["server"] != "203.0.113.10", "64:ff9b::cb00:710a"))
    frames = {
        name: rows.assign(**{c: rows[c].where(rows[c] != "203.0.113.10", "64:ff9b::cb00:710a") for c in ("src", "dst")})
        for name, rows in tables.items()
        if name in ("tls", "tcp", "frames")
    }
    assert judged(Call("altered", tables=tables | frames | {"flows": through}))["verdict"] == "CONFORMS"


def test_a_resolver_on_the_client_itself_is_asked_too() -> None:
    tables = tables_of("resolved")
    stub = {"10.20.0.2": "127.0.0.1", "203.0.113.53": "127.0.0.53"}
    flows, rows = tables["flows"], tables["dns"]
    asking = flows["kind"].eq("DNS")
    assert asking.any()
    local = flows.assign(**{c: flows[c].where(~asking, flows[c].replace(stub)) for c in ("client", "server")})
    rows = rows.assign(src=rows["src"].replace(stub), dst=rows["dst"].replace(stub))
    assert judged(Call("altered", tables=tables | {"flows": local, "dns": rows}))["verdict"] == "CONFORMS"


def test_a_server_that_fails_is_not_one_that_has_no_such_name() -> None:
    row = altered("gone", lambda rows: rows.assign(rcode=rows["rcode"].where(rows["rcode"] != "NXDOMAIN", "SERVFAIL")))
    assert row["verdict"] == "DEVIATES"
    assert "could not be looked up (SERVFAIL)" in row["note"]
    # another query of the name found it after all
    found = altered("gone", lambda rows: rows.assign(seconds=rows["seconds"].where(rows["addresses"].isna(), 3.0)))
    assert found["verdict"] != "DEVIATES"


def test_thousands_of_mutated_messages_raise_nothing() -> None:
    mutate, sent = random.Random(5), []
    for number in range(3000):
        data = bytearray(mutate.choice(SEEDS))
        for _ in range(mutate.randrange(1, 9)):
            data[mutate.randrange(len(data))] = mutate.randrange(256)
        sent.append(Sent(RESOLVER if number % 2 else (9, 5353), CLIENT, bytes(data)))
    rows, problems = rows_of(*sent)
    assert len(rows) > 2000
    assert len({one.frame for one in problems}) > 500
