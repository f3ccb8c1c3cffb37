"""CSV as its readers read it: whatever a capture holds, a row stays a row."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from jitsilab.tables import write_csv


def written(rows: pd.DataFrame) -> str:
    out = io.StringIO(newline="")
    write_csv(rows, out)
    return out.getvalue()


def test_a_carriage_return_in_a_name_splits_no_row(data: Path) -> None:
    """MS-TURN has REALM and NONCE the other way round, and a USERNAME of any bytes."""
    capture = data / "faults" / "stun-username-cr.pcap"
    done = subprocess.run(
        [sys.executable, "-m", "jitsilab", "table", "stun", str(capture)], capture_output=True, check=True
    )
    text = done.stdout.decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert "\r" in row["username"]
    assert row["realm"] == '"realm01"'
    (read,) = pd.read_csv(io.StringIO(text, newline="")).itertuples()
    assert (read.method, read.realm, read.size) == ("Allocate", '"realm01"', 133)


CELLS = st.text(st.sampled_from('a"\r\n,;\u2028 0'), max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=4))
def test_any_text_reads_back(cells: list[tuple[str, str]]) -> None:
    text = written(pd.DataFrame(cells, columns=["one", "two"], dtype="str"))
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert [tuple(row) for row in read] == [("one", "two"), *cells]


def test_a_plain_row_ends_plainly() -> None:
    assert written(pd.DataFrame({"a": [1, 2], "b": ["x", None]})) == "a,b\n1,x\n2,\n"
