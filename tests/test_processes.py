"""Processes that share the work on one capture, and the shelves on which they lay what is long."""

import errno
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import jitsilab as jl
from jitsilab.pcap import cores, shelf
from jitsilab.pcap.shelf import Shelf
from jitsilab.sharing import Options, case, connections, floors, search, seeds, several, share
from jitsilab.sharing.addresses import Addresses
from jitsilab.sharing.certificates import Certificates
from jitsilab.sharing.messages import Messages
from jitsilab.sharing.names import Names
from jitsilab.sharing.wording import Wording
from jitsilab.wire import Wire, decrypt
from jitsilab.wire.decrypt import KeyLog

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


def shelved(piece: int, laid: Shelf) -> tuple[int, int, shelf.Place]:
    return piece, os.getpid(), laid.put(list(range(piece)))


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that a test makes; those that other tests left (multiprocessing's trackers) are not ours."""
    made, fork = [], os.fork

    def noted() -> int:
        child = fork()
        if child:
            made.append(child)
        return child

    monkeypatch.setattr(os, "fork", noted)
    return made


def waited_for(children: list[int]) -> bool:
    for child in children:
        with pytest.raises(ChildProcessError):
            os.waitpid(child, os.WNOHANG)
    return bool(children)


def test_each_piece_behind_the_first_has_a_process_of_its_own(forked: list[int]) -> None:
    made = [(*one, laid.get(one[2])) for one, laid in cores.apart(shelved, [3, 1, 40_000])]
    assert [(piece, thing) for piece, _, _, thing in made] == [(n, list(range(n))) for n in (3, 1, 40_000)]
    assert made[0][1] == os.getpid()
    assert len({pid for _, pid, _, _ in made}) == 3
    assert waited_for(forked)


@pytest.mark.parametrize("how", ["killed", "failed", "unable to hand over"])
def test_what_a_process_could_not_do_is_done_here(how: str, forked: list[int]) -> None:
    here = os.getpid()

    def work(piece: int, laid: Shelf) -> Any:
        if os.getpid() != here and piece == 1:
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "failed":
                raise ValueError("no")
            return lambda: piece
        return piece

    made = [one if isinstance(one, int) else one() for one, _ in cores.apart(work, [0, 1, 2])]
    assert made == [0, 1, 2]
    assert waited_for(forked)


def test_a_failure_here_ends_the_other_processes(forked: list[int]) -> None:
    def work(piece: int, _: Shelf) -> int:
        if piece:
            signal.pause()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(cores.apart(work, [0, 1, 2]))
    assert waited_for(forked)


def test_a_process_that_cannot_write_hands_its_piece_back(monkeypatch: pytest.MonkeyPatch) -> None:
    here, write = os.getpid(), os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if os.getpid() != here and offset > 1000:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data[:700], offset)

    monkeypatch.setattr(os, "pwrite", full)
    made = [(one[1], laid.get(one[2])) for one, laid in cores.apart(shelved, [3, 4, 40_000])]
    assert [len(thing) for _, thing in made] == [3, 4, 40_000]
    assert [pid == here for pid, _ in made] == [True, False, True]


def test_where_nothing_can_be_forked_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> int:
        raise OSError(errno.EAGAIN, "no more processes")

    monkeypatch.setattr(os, "fork", none)
    assert {one[1] for one, _ in cores.apart(shelved, [1, 2, 3])} == {os.getpid()}


def test_a_process_with_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "available", lambda: 5)
    assert threading.active_count() > 1 or cores.processes() == 5
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert cores.processes() == 1
    finally:
        done.set()
        other.join()


@given(st.lists(st.binary(max_size=300)), st.booleans(), st.integers(0, 400))
def test_a_shelf_gives_what_was_laid_on_it(things: list[bytes], full: bool, held: int) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "HELD", held)
        laid = Shelf()
        places = []
        for number, thing in enumerate(things):
            if full and number == len(things) // 2:
                patch.setattr(os, "pwrite", refuse)
            places.append(laid.put(thing))
        assert [laid.get(place) for place in places] == things
        assert [laid.get(place) for place in reversed(places)] == things[::-1]


def described(wire: Wire) -> list[tuple[Any, ...]]:
    return [
        (
            number, one.version, one.suite, one.sni, one.alpn, one.certificates, one.decrypted, one.reason,
            one.problems, one.start, list(one.records), one.hellos, [one.plaintext(up).pieces for up in (True, False)],
        )
        for number, one in wire.sessions.items()
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["jvb-3", "p2p-turn-tls"])
@pytest.mark.parametrize("keys", [True, False])
def test_sessions_are_the_same_by_one_process_and_by_several(
    name: str, keys: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = jl.load(name, point="eth0").packets[0].wire
    keylog = source.keylog if keys else None
    assert (keylog is None) is not keys
    monkeypatch.setattr(decrypt, "processes", lambda: 1)
    alone = described(Wire(source.packets, keylog))
    monkeypatch.setattr(decrypt, "processes", lambda: 3)
    monkeypatch.setattr(decrypt, "WORTH", 0)
    used = []
    monkeypatch.setattr(decrypt, "apart", lambda work, parts: used.append(parts) or cores.apart(work, parts))
    assert described(Wire(source.packets, keylog)) == alone
    assert len(alone) > 3
    parts = used[0]
    assert len(parts) > 1
    assert all(parts)
    assert sorted(number for part in parts for number in part) == list(range(len(source.flows)))


@pytest.mark.parametrize(("name", "late"), [("jvb-3", False), ("jvb-3", True), ("p2p-turn-tls", False)])
def test_a_case_is_shared_the_same_by_one_process_and_by_several(
    name: str, late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``late``: each connection has a name in it that was not met before it was rewritten."""
    made, used, rewritten = [], [], connections.Connections._rewritten

    def meeting(self: connections.Connections, number: int) -> connections.Made:
        self.messages.names.host(f"{chr(97 + number % 26)}{number // 26}.late.net")
        return rewritten(self, number)

    def noted(work: Any, parts: list[Any]) -> Any:
        used.append(len(parts))
        return cores.apart(work, parts)

    if late:
        monkeypatch.setattr(connections.Connections, "_rewritten", meeting)
    for module in (several, search, seeds):
        monkeypatch.setattr(module, "apart", noted)
    monkeypatch.setattr(connections, "WORTH", 0)
    monkeypatch.setattr(decrypt, "WORTH", 0)
    for count in (1, 3):
        for module in (connections, decrypt, floors):
            monkeypatch.setattr(module, "processes", lambda count=count: count)
        out = tmp_path / str(count)
        made.append(share(jl.load(name, point="eth0").evidence, [], out, Options(key=b"k" * 32)))
    assert made[0].mapping == made[1].mapping
    assert made[0].digests == made[1].digests
    assert set(used[: len(used) // 2]) == {1}
    assert sum(parts > 1 for parts in used[len(used) // 2 :]) >= 3, "names, connections and the search"
    assert late == any(old.endswith("late.net") for old in made[0].mapping["names"])
    for file in made[0].files:
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "3" / file).read_bytes()


def test_a_text_is_shared_the_same_by_one_process_and_by_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked: list[int]
) -> None:
    lines = [
        f"Jicofo 2026-03-01 10:00:{n % 60:02}.000 INFO: [room=daily{n}@conference.meet.corp.net] Member joined:{n:08x}"
        f" 45.83.{n % 200}.7 mac 3c:22:fb:10:{n // 90:02d}:{n % 90:02d} jwt"
        " eyJhbGciOiJIUzI1NiJ9.eyJyb29tIjoiZGFpbHkifQ.c2ln"
        for n in range(400)
    ]
    (tmp_path / "jicofo.log").write_text("\n".join(lines))
    monkeypatch.setattr(case, "BLOCK", 4000)
    made = []
    for count in (1, 3):
        monkeypatch.setattr(case, "processes", lambda count=count: count)
        assert bool(forked) is False
        out = tmp_path / str(count)
        made.append(share(jl.load(tmp_path / "jicofo.log").evidence, [], out, Options(key=b"k" * 32, shift=10**9)))
    assert len(forked) > 20
    assert made[0].mapping == made[1].mapping
    assert len(made[0].mapping["hardware"]) == 400
    assert (tmp_path / "1" / "jicofo.log").read_bytes() == (tmp_path / "3" / "jicofo.log").read_bytes()


def test_a_connection_is_the_same_when_it_is_asked_for_at_once() -> None:
    captures = floors.rebuilt(jl.load("jvb-3", point="eth0").packets)
    wire = next(iter(captures.values())).wire
    assert isinstance(wire, floors.Floors)
    words = [Wording(Names(b"k" * 32), Addresses(b"k" * 32)) for _ in range(2)]
    ahead, late = (connections.Connections(wire, Messages(one, Certificates(one))) for one in words)
    ahead.begin(0, len(wire.packets))
    numbers = [flow.number for flow in wire.flows if flow.transport == "tcp"]
    assert len(numbers) > 10
    for number in numbers:
        for up in (True, False):
            one, other = ahead.side(number, up), late.side(number, up)
            assert one.base == other.base
            assert one.layout.end == other.layout.end
            assert one.layout.between(0, one.layout.end) == other.layout.between(0, one.layout.end)


def test_what_is_too_large_to_be_handed_over_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    source = jl.load("jvb-3", point="eth0").packets[0].wire
    monkeypatch.setattr(decrypt, "WORTH", 0)
    sizes = {flow.number: sum(len(flow.stream(up)) for up in (True, False)) for flow in source.flows}
    large = sorted(sizes, key=lambda number: -sizes[number])[:2]
    parts = decrypt.shares(source.packets, source.flows, 3, sizes[large[1]] - 1)
    assert len(parts) > 1
    assert set(large) <= set(parts[0])
    assert not {number for number in parts[0] if sizes[number]} - set(large)


def test_what_tls_1_2_resumes_is_read_by_one_process() -> None:
    newer = b"CLIENT_TRAFFIC_SECRET_0 " + b"11" * 32 + b" " + b"22" * 32 + b"\n"
    older = b"CLIENT_RANDOM " + b"33" * 32 + b" " + b"44" * 48 + b"\n"
    session = b"RSA Session-ID:" + b"55" * 32 + b" Master-Key:" + b"66" * 48 + b"\n"
    assert not KeyLog.load(newer).resumes
    assert KeyLog.load(newer + older).resumes
    assert KeyLog.load(newer + session).resumes
