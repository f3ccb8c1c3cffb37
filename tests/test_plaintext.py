"""The plaintext of a direction of TLS, which is made of columns, against record after record."""

import random
from itertools import pairwise

import numpy as np
import pytest

from jitsilab.protocols import tls
from jitsilab.wire.decrypt import Plaintext, record_layer, records
from jitsilab.wire.decrypt.records import HEADERS, NONE, Records


def some_records(choice: random.Random, count: int) -> Records:
    """Records of both directions, some missing, some not opened, some of the handshake."""
    rows, kept, offsets = [], {True: b"", False: b""}, {True: 0, False: 0}
    for frame in range(1, count + 1):
        up, size, kind = (
            choice.random() < 0.6,
            choice.choice((0, 1, 7, 900)),
            choice.choices((22, 23, 21), (2, 9, 1))[0],
        )
        opened = choice.random() < 0.9
        if choice.random() < 0.07:
            offsets[up] += choice.randrange(1, 4000)
        at, length = len(kept[up]), size + 17
        rows.append((offsets[up], frame, max(1, frame - choice.randrange(3)), 23, kind if opened else NONE, 0x303,
                     length, up, True, True, at, size if opened else NONE))  # fmt: skip
        kept[up] += choice.randbytes(size) if opened else b""
        offsets[up] += tls.HEADER + length
    return Records(0, np.array(rows, HEADERS), {}, kept)


def one_by_one(made: Records, up: bool) -> tuple[list[tuple[int, bytes]], list[tuple[int, int, int, int]]]:
    """Runs and stretches as RFC 8446 section 5 and the docstring of `Plaintext` have them."""
    runs: list[tuple[int, bytes]] = []
    stretches = []
    at, after, hole = 0, None, True
    for record in made.each(up):
        hole = hole or after not in (None, record.offset)
        after = record.offset + tls.HEADER + record.length
        if record.plaintext is None:
            at, hole = at + max(record.length - record_layer.SMALLEST + tls.HEADER, 1), True
        elif record.inner_type == "application_data" and record.plaintext:
            if hole:
                at += bool(runs)
                runs.append((at, b""))
                hole = False
            runs[-1] = runs[-1][0], runs[-1][1] + record.plaintext
            stretches.append((at, at + len(record.plaintext), record.first_frame, record.frame))
            at += len(record.plaintext)
    return runs, stretches


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("part", [1, 2, 5, 1 << 14])
def test_columns_and_records_give_the_same(seed: int, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PART", part)
    monkeypatch.setattr("jitsilab.wire.decrypt.tls_session._PART", 64)
    made = some_records(random.Random(seed), seed * 9)
    for up in (True, False):
        runs, stretches = one_by_one(made, up)
        plaintext = Plaintext(made, up)
        assert [(piece.offset, piece.data) for piece in plaintext.pieces] == runs
        assert list(plaintext.starts) == [begin for begin, *_ in stretches]
        for begin, end, first, last in stretches:
            assert plaintext.span(begin, end) == (first, last)


@pytest.mark.parametrize("part", [1, 3, 1 << 14])
def test_handshakes_come_with_what_stands_behind_them(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PART", part)
    made = some_records(random.Random(5), 200)
    for up in (True, False):
        every = list(made.each(up))
        kinds = [None, *(record.inner_type for record in every)]
        expected = [record for record, (before, own) in zip(every, pairwise(kinds), strict=True)
                    if "handshake" in (before, own)]  # fmt: skip
        assert list(made.handshakes(up)) == expected
