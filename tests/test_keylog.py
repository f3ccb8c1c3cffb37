from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jitsilab.errors import CaptureError
from jitsilab.wire.decrypt.keylog import MASTER, KeyLog

RANDOM = "ab" * 32
SECRET = "cd" * 48
LINE = f"{MASTER} {RANDOM} {SECRET}"


def test_a_line_is_a_label_a_random_and_a_secret() -> None:
    log = KeyLog.load(LINE)
    assert log.find(bytes.fromhex(RANDOM), MASTER) == bytes.fromhex(SECRET)
    assert len(log) == 1
    assert not log.problems


@pytest.mark.parametrize(
    "text",
    [
        f"# a comment\r\n\r\n{LINE}\r\n",
        f"\ufeff{LINE}",  # a byte order mark, as some editors leave
        f"  {LINE.replace(' ', chr(9))}  \n",
        f"{MASTER} {RANDOM.upper()} {SECRET.upper()}\n",
        f"{LINE}\nQUIC_CLIENT_TRAFFIC_SECRET_0 {RANDOM} {'00' * 32}\n",
        f"{LINE}\nCLIENT_TRAFFIC_SECRET_1 {RANDOM} {'00' * 32}\n",
    ],
)
def test_what_programs_write_around_it_is_no_problem(text: str) -> None:
    log = KeyLog.load(text.encode())
    assert log.find(bytes.fromhex(RANDOM), MASTER) == bytes.fromhex(SECRET)
    assert not log.problems


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        f"{MASTER} {RANDOM}",
        f"{MASTER} {RANDOM} {SECRET[:-1]}",  # half a byte
        f"{MASTER} {RANDOM[2:]} {SECRET}",  # a random has 32 bytes
        f"{MASTER} {RANDOM} {SECRET[2:]}",  # a master secret has 48
        f"{MASTER} {RANDOM} {SECRET} more",
        f"{MASTER} {RANDOM} {'xy' * 48}",
    ],
)
def test_a_garbage_line_is_a_problem_that_does_not_quote_it(line: str) -> None:
    log = KeyLog.load(f"{LINE}\n{line}\n{LINE}\n".encode())
    (problem,) = log.problems
    assert (problem.frame, problem.protocol, problem.offset) == (0, "keylog", 2)
    assert RANDOM[:8] not in problem.message
    assert SECRET[:8] not in problem.message
    assert len(log) == 1


def test_a_file_of_garbage_lists_a_hundred_lines_and_counts_the_rest() -> None:
    log = KeyLog.load(b"garbage\n" * 5000)
    assert len(log.problems) == 101
    assert "5000 lines" in log.problems[-1].message


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(LINE)
    (tmp_path / "b.txt").write_text(LINE.replace("ab", "12") + "\nwhat\n")
    (tmp_path / "below").mkdir()
    log = KeyLog.load(tmp_path)
    assert len(log) == 2
    assert [problem.message for problem in log.problems] == ["b.txt: line 2 is no secret"]


def test_decryption_secrets_blocks_are_several_texts() -> None:
    log = KeyLog.load([LINE.encode(), LINE.replace("ab", "12").encode()])
    assert len(log) == 2


def test_two_logs_become_one_and_stay_two() -> None:
    one, other = KeyLog.load(LINE), KeyLog.load(f"CLIENT_TRAFFIC_SECRET_0 {RANDOM} {'00' * 32}\nbad\n")
    both = one.merged(other)
    assert set(both.secrets[bytes.fromhex(RANDOM)]) == {MASTER, "CLIENT_TRAFFIC_SECRET_0"}
    assert len(both.problems) == 1
    assert set(one.secrets[bytes.fromhex(RANDOM)]) == {MASTER}


def test_a_master_secret_by_session_id() -> None:
    log = KeyLog.load(f"RSA Session-ID:{'0a' * 32} Master-Key:{SECRET}\n".encode())
    assert log.sessions == {bytes.fromhex("0a" * 32): bytes.fromhex(SECRET)}
    assert not log.problems


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"missing\.txt"):
        KeyLog.load(tmp_path / "missing.txt")
    with pytest.raises(CaptureError):
        KeyLog.load("no/such\0file")


def test_text_that_is_taken_for_a_path_is_not_quoted() -> None:
    assert KeyLog.load(f"WHAT {RANDOM} {SECRET}").problems  # one line: hexadecimal makes it text


def test_no_secret_in_its_representation() -> None:
    assert "cd" * 4 not in repr(KeyLog.load(LINE)) + str(KeyLog.load(LINE))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_key_log(text: bytes) -> None:
    KeyLog.load(text)
