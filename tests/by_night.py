"""What is left for the night of a long list of like cases."""

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any]) -> list[Any]:
    """Every third case as it is; the others are marked, and `make nightly` runs them. A tuple is several arguments."""
    mark = pytest.mark.nightly("every third by day")
    return [
        case if number % 3 == 0 else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=mark)
        for number, case in enumerate(cases)
    ]
