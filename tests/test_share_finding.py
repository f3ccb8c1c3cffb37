"""What sharing looks for in many bytes, against the plain way of looking for it."""

import random
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from jitsilab.sharing import seeds, wording
from jitsilab.sharing.addresses import Addresses
from jitsilab.sharing.certificates import Certificates
from jitsilab.sharing.finder import Finder
from jitsilab.sharing.messages import Messages
from jitsilab.sharing.names import Names
from jitsilab.sharing.search import Originals, originals
from jitsilab.sharing.seeds import Seeds
from jitsilab.sharing.talk import Talk
from jitsilab.sharing.written import HEAD, Written, trie

PLACES = (
    b"1.2.3.4", b"::1", b"ab::1", b"fe80::1%eth0", b"0x1234abcd", b"deadbeef", b"1-2-3-4", b"aa:bb:cc:dd:ee:ff",
    b"1.0.0.127.in-addr.arpa", b"10.0.0.1/8", b"10.0.0.1-10.0.0.9", b"2001:db8::/32", b"[2001:db8::1]:443", b":",
    b".", b"-", b"_", b"+", b"x", b"0", b"12", b"f", b"/", b" ", b"abcd.ef01.2345", b"::ffff:1.2.3.4", b"v1.2.3.4",
    b"12345678", b"1234567890", b"g", b"%", b"1.2.3.4:10000", b"2001:db8::1:12345", b"0." * 32 + b"ip6.arpa",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_patterns_are_found_where_they_stand(seed: int) -> None:
    choice = random.Random(seed)

    def some(most: int) -> bytes:
        return bytes(choice.choices(b"abcA:.\0\xff9", k=choice.randrange(most)))

    for _ in range(40):
        patterns = [some(9 if choice.random() < 0.9 else 90) for _ in range(choice.randrange(40))]
        data = b"".join([some(3000), *(part for pattern in patterns[:5] for part in (pattern, some(50)))])
        expected = {
            (place, number)
            for number, pattern in enumerate(patterns)
            if len(pattern) >= 4
            for place in range(len(data))
            if data.startswith(pattern, place)
        }
        places = list(Finder(patterns).find(data))
        assert set(places) == expected
        assert len(places) == len(expected)


def test_patterns_of_more_than_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jitsilab.sharing.finder._SOME", 3)
    patterns = [b"n%04d" % number for number in range(20)]
    finder = Finder(iter(patterns))
    assert [finder.pattern(number) for number in range(20)] == patterns
    assert sorted(finder.find(b"n0003 n0019n0007")) == [(0, 3), (6, 19), (11, 7)]


@pytest.mark.parametrize("seed", range(8))
def test_names_are_found_as_an_alternation_of_all_would_find_them(seed: int) -> None:
    choice = random.Random(seed)

    def word() -> bytes:
        return bytes(choice.choices(b"ab-.", k=choice.randrange(1, 2 * HEAD - 2)))

    def either(names: list[bytes]) -> bytes:
        return b"|".join(map(re.escape, sorted(names, key=len, reverse=True))) or rb"(?!)"

    for _ in range(200):
        variants = {word(): b"<%d>" % number for number in range(choice.randrange(1, 30))}
        data = b"".join(choice.choice([word(), choice.choice(list(variants)), b" "]) for _ in range(30))
        short, long = ([name for name in variants if (len(name) < HEAD) == side] for side in (True, False))
        plain = re.compile(rb"(?:%s)|(?<![0-9A-Za-z])(?:%s)(?![0-9A-Za-z])" % (either(long), either(short)))
        assert Written(variants.items()).replaced(data) == plain.sub(lambda match: variants[match[0]], data)  # noqa: B023


def test_a_case_without_names() -> None:
    assert Written([]).replaced(b"anything at all") == b"anything at all"
    assert re.fullmatch(trie([b"a", b"ab", b"abc", b"b"]), b"abc")


@pytest.mark.parametrize("seed", range(8))
def test_addresses_are_found_as_their_pattern_alone_finds_them(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(_: Any, match: "re.Match[bytes]") -> bytes:
        return b"<%s|%s>" % ((match.lastgroup or "").encode(), match[0])

    monkeypatch.setattr(wording.Wording, "_address", shown)
    bare = object.__new__(wording.Wording)
    choice = random.Random(seed)
    for _ in range(3000):
        data = b"".join(choice.choices(PLACES, k=choice.randrange(1, 12)))
        assert bare._addresses_in(data) == wording._ADDRESS.sub(lambda match: shown(bare, match), data)


@pytest.mark.parametrize("seed", range(8))
def test_jids_are_found_as_their_pattern_alone_finds_them(seed: int) -> None:
    choice, parts = random.Random(seed), (
        b"@", b"@", b"%40", b"%", b"40", b"a", b"meet.example", b".", b"x.org", b"-", b" ", b"<", b"/", b"/Ann 1",
        b"\\", b"ann", b"+", b"b" * 90, b"c.d" * 45, b"_", b"@a.bc", b"/r@s.tu", b"\n",
    )  # fmt: skip
    for _ in range(5000):
        data = b"".join(choice.choices(parts, k=choice.randrange(1, 14)))
        assert [one.span() for one in seeds._jids(data)] == [one.span() for one in seeds._JID.finditer(data)], data


def test_a_password_of_digits_is_looked_for_by_its_words() -> None:
    words = (b"password", b"Password", b"PASSWORD", b"secret", b"Secret", b"SECRET", b"passwd", b"pin", b"Pin")
    for word in words:
        assert wording._PIN.search(word + b"=12345")
        assert any(part in word for part in wording._PIN_WORDS)


def test_what_chance_makes_grows_with_what_is_looked_for(tmp_path: Path) -> None:
    known = {f"45.{n >> 8}.{n & 255}.77": "address" for n in range(4096)}
    few, many = Originals(list(known.items())[:4]), Originals(known.items())
    assert few.by_chance(1 << 20) == (0, 1)
    assert many.by_chance(1 << 22)[0] > 4
    assert many.by_chance(1 << 40)[1] > 1000

    def held(*addresses: str, size: int = 1 << 20) -> int:
        (tmp_path / "file").write_bytes(bytes(size) + b"".join(ip_address(text).packed + b"\0" for text in addresses))
        return len(originals(tmp_path, known.items()))

    one, other, third = list(known)[300:303]
    assert held(one) == 0, "one of four thousand may stand in a megabyte"
    assert held(one, one) == 1, "the same one twice may not"
    assert held(*list(known)[300:400]) > 90, "nor a hundred of them"
    assert held(one, other, third, size=1 << 22) == 0
    assert held(one, size=1000) == 1, "nor one in a thousand bytes"


def test_times_of_turn_users_stay_apart() -> None:
    """A server names its users by the second: of hundreds in some minutes none becomes another."""
    names = Names(b"k" * 32)
    noted = Seeds(names)
    users = [str(1_795_639_000 + 2 * number) for number in range(300)]
    for user in users:
        noted.add(user, "turn user")
    noted.settle(0, (1_795_630_000_000, 1_795_650_000_000))
    made = [names.given[user] for user in users]
    assert len(set(made)) == len(users)
    assert set(made).isdisjoint(users)
    assert all(0 < int(user) - int(new) < 3600 for user, new in zip(users, made, strict=True))


@pytest.mark.parametrize("before", [0, 3000, 4000, 4090, 8180])
def test_a_key_in_a_long_text_is_replaced_as_a_whole(before: int) -> None:
    lines = b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n" * 40
    text = (
        b"line of no one\n" * (before // 15)
        + b"-----BEGIN PRIVATE KEY-----\n"
        + lines
        + b"-----END PRIVATE KEY-----\nmore\n"
    )
    words = wording.Wording(Names(b"k" * 32), Addresses(b"k" * 32))
    blocks = list(Talk(Messages(words, Certificates(words))).rewrite(text * 2, first=True))
    made = b"".join(block.data for block in blocks)
    assert b"MIIE" not in made
    assert made.count(b"removed") == 2
    assert sum(block.size for block in blocks) == 2 * len(text)
