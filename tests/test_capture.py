"""A capture through every table and answer, whatever was done to its bytes: no error but LabError, bounded time."""

import contextlib
import io
import os
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import bounds
import cuts
import pytest

import jitsilab as jl
from jitsilab import pcap
from jitsilab.call import TABLES, Call, locate, schemas
from jitsilab.inputs.packets import PLAINTEXT, WIRE_TABLES
from jitsilab.judge import findings
from jitsilab.tables import TIME, as_text, catalogue, frame_from
from jitsilab.wire import Wire
from jitsilab.wire.decrypt import KeyLog

SEEDS = [("jvb-3", "eth0"), ("hostile", "any"), ("jvb-bosh", "any"), ("turn-refused", "eth0"), ("clear-5222", "any")]
EACH = int(os.environ.get("JITSILAB_DAMAGED", "1"))  # damaged captures of each seed
FRAMES = 450  # kept of each: the creation of the session
LONGEST = 20  # seconds of processor time for one of them; they take one or two


def through(call: Call) -> None:
    """All that can be asked of a capture."""
    for name in TABLES:
        rows = call.table(name)
        if rows is not None:
            assert list(rows.columns)[: len(schemas()[name])] == list(schemas()[name])
            as_text(rows)
    call.diagnosis.to_text()
    call.diagnosis.to_json()
    assert len(call.findings) == len(findings.RULES)


@cache
def parts(path: Path) -> tuple[bytes, tuple[bytes, ...]]:
    """The blocks before the first packet, and the first packets."""
    blocks = cuts.blocks(path)
    head = b"".join(block for kind, block in blocks if kind != cuts.ENHANCED)
    return head, tuple(block for kind, block in blocks if kind == cuts.ENHANCED)[:FRAMES]


def damaged(path: Path, chance: random.Random) -> bytes:
    """Bits flipped in few or many packets, packets lost, repeated or shuffled, blocks damaged, the end cut off."""
    head, packets = parts(path)
    blocks = [bytearray(block) for block in packets]
    way = chance.randrange(6)
    if way < 3:
        for _ in range(chance.choice((1, 8, 80, 800))):
            block = chance.choice(blocks)
            at = chance.randrange(28, len(block))  # behind the header of the block
            block[at] = chance.choice((0, 0xFF, block[at] ^ 1 << chance.randrange(8), *b'<>"{&='))
    elif way == 3:
        chance.shuffle(blocks)
    elif way == 4:
        blocks = [block for block in blocks if chance.random() < 0.8] + blocks[:40]
    data = bytearray(head + b"".join(blocks))
    if way == 5:
        for _ in range(chance.choice((1, 20))):
            data[chance.randrange(len(data))] = chance.choice((0, 0xFF, chance.randrange(256)))
    return bytes(data[: chance.randrange(len(data))] if chance.random() < 0.15 else data)


@pytest.mark.parametrize(("name", "point"), SEEDS)
def test_damaged_captures(name: str, point: str, recording: Callable[[str], Path]) -> None:
    path = recording(name) / f"capture-{point}.pcapng"
    keys = KeyLog.load(path.parent / "keys.txt")
    for seed in range(EACH):
        chance = random.Random(f"{name} {seed}")
        data = damaged(path, chance)
        with bounds.processor(LONGEST), contextlib.suppress(jl.LabError):
            through(Call("damaged", wire=Wire(pcap.read(io.BytesIO(data)), keys if seed % 4 else None)))


@pytest.mark.parametrize("name", ["stun.pcap", "stun_classic.pcap", "dtls.pcap", "jabber.pcap", "websocket.pcap"])
def test_damaged_captures_of_others(name: str, data: Path) -> None:
    whole = (data / "pcaps" / name).read_bytes()[:60_000]
    for seed in range(min(EACH, 20)):
        chance, content = random.Random(f"{name} {seed}"), bytearray(whole)
        for _ in range(chance.choice((1, 10, 100))):
            content[chance.randrange(len(content))] = chance.randrange(256)
        cut = chance.randrange(len(content)) if seed % 5 == 0 else len(content)
        with contextlib.suppress(jl.LabError):
            through(Call("damaged", wire=Wire(pcap.read(io.BytesIO(bytes(content[:cut]))))))


def pieces() -> Iterator[bytes]:
    """Files with a header and nothing, or next to nothing, behind it."""
    for magic in ("d4c3b2a1", "4d3cb2a1"):
        header = bytes.fromhex(f"{magic}020004000000000000000000000004000100 0000")
        yield header
        yield header + bytes(16)
        yield header + bytes(8) + b"\x01\x00\x00\x00\x01\x00\x00\x00\xff"


@pytest.mark.parametrize("content", list(pieces()), ids=len)
def test_next_to_nothing_is_an_empty_call(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(content)
    call = jl.load(tmp_path / "small")
    through(call)
    assert call.participants.empty
    assert call.diagnosis.to_json()["participants"] == []


# ---- what a capture is made of


def test_the_list_of_tables_is_complete() -> None:
    assert set(TABLES) == set(schemas())
    assert len(TABLES) == len(set(TABLES))
    assert set(WIRE_TABLES) == set(catalogue.BUILD)
    assert set(PLAINTEXT) <= set(WIRE_TABLES)


def test_names_and_paths_are_located(recording: Callable[[str], Path], tmp_path: Path) -> None:
    named = locate("jvb-3", "any")
    assert named.name == "jvb-3"
    assert "any" in named.path.name
    assert named.keylog is not None
    path = recording("jvb-3") / "capture-eth0.pcapng"
    assert locate(path) == (path.name, path, None, None, ())
    assert locate("-").name == "standard input"
    with pytest.raises(jl.CaptureError, match="no file"):
        locate(tmp_path / "gone.pcap")
    with pytest.raises(jl.ParameterError, match="no recording 'gone'"):
        locate("gone")


def test_an_explicit_key_log_wins(recording: Callable[[str], Path]) -> None:
    keys = recording("jvb-3") / "keys.txt"
    path = recording("jvb-3") / "capture-eth0.pcapng"
    assert not jl.load(path).has("xmpp")
    assert jl.load(path, keylog=keys).has("xmpp")
    assert jl.load("jvb-3").has("xmpp")
    assert not jl.load("jvb-3", use_keylog=False).has("xmpp")
    assert jl.load("jvb-3", keylog=keys, use_keylog=False).has("xmpp")
    assert jl.load("jvb-3", point="any", use_keylog=False).has("xmpp")


def test_a_scan_gives_every_frame_in_chunks(recording: Callable[[str], Path]) -> None:
    path = recording("jvb-3") / "capture-eth0.pcapng"
    chunks = list(jl.scan(path, chunk=1000))
    assert len(chunks) > 1
    assert sum(map(len, chunks)) == len(jl.load(path).frames)


def test_errors_are_gathered_from_every_table(recording: Callable[[str], Path]) -> None:
    path = recording("jvb-2") / "capture-eth0.pcapng"
    whole = path.read_bytes()
    call = Call("cut", wire=Wire(pcap.read(io.BytesIO(whole[:-7])), KeyLog.load(b"nonsense\n")))
    assert {"pcap", "keylog"} <= set(call.errors["protocol"]) or {"pcapng", "keylog"} <= set(call.errors["protocol"])
    assert list(call.errors.columns) == ["frame", "protocol", "offset", "message"]


def test_a_time_keeps_its_nanoseconds_beside_a_missing_one() -> None:
    time = 1_796_054_783_287_123_457
    rows = frame_from([(time,), (None,)], {"time": (TIME, "")})
    assert rows["time"][0].value == time
    assert rows["time"].isna().tolist() == [False, True]
