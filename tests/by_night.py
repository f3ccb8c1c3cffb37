"""What is left for the night of a long list of like cases."""

from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet


def thinned(cases: Iterable[Any], every: int = 3) -> list[Any]:
    """One case of ``every`` as it is; the others are marked for `make nightly`. A tuple is several arguments."""
    mark = pytest.mark.nightly("some of many by day")
    return [case if number % every == 0 else _marked(case, mark) for number, case in enumerate(cases)]


def _marked(case: Any, mark: pytest.MarkDecorator) -> ParameterSet:
    if isinstance(case, ParameterSet):
        return pytest.param(*case.values, marks=(*case.marks, mark), id=case.id)
    return pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=mark)
