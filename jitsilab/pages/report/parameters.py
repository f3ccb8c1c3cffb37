"""The notebooks' parameters: which there are, and a user's values in their types."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jitsilab.errors import ParameterError

TYPES = {"str": str, "int": int, "float": float, "bool": bool}
OWN = ("evidence", "keylog", "point", "facts")  # what the arguments of a report set


def known(notebooks: list[Path]) -> dict[str, dict[str, Any]]:
    """Every parameter of these notebooks by name: type, default and help, as papermill reads the tagged cell."""
    import papermill

    parameters: dict[str, dict[str, Any]] = {}
    for notebook in notebooks:
        parameters |= papermill.inspect_notebook(str(notebook))
    return parameters


def checked(given: Mapping[str, Any], notebooks: list[Path]) -> dict[str, Any]:
    """The user's parameters with the types that the notebooks declare.

    Raises ParameterError, with the known names, for an unknown name, and for a value that is not of its type.
    """
    there = known(notebooks)
    names = ", ".join(
        f"{name} ({there[name]['inferred_type_name']}, default {there[name]['default']})"
        for name in sorted(there) if name not in OWN
    )  # fmt: skip
    values = {}
    for name, value in given.items():
        if name not in there or name in OWN:
            instead = f" The argument of the command sets {name!r}." if name in OWN else ""
            raise ParameterError(f"There is no parameter {name!r}.{instead} There are: {names}.")
        values[name] = _typed(name, value, there[name]["inferred_type_name"])
    return values


def _typed(name: str, value: Any, declared: str) -> Any:
    wanted = TYPES[declared]
    if wanted is bool and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and wanted in (int, float):
        try:
            return wanted(value)
        except ValueError:
            pass
    elif isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)):
        return value
    elif wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise ParameterError(f"The parameter {name!r} takes a value of type {declared}, not {value!r}.")
