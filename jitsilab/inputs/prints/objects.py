"""``tshark -T json`` and ``-T ek``: one object a frame, read one after the other."""

import json
from collections.abc import Iterator
from typing import Any

from jitsilab.inputs.prints.fields import Pairs, canonical

_DEEPEST = 60  # objects inside objects


class _Pairs(list[tuple[str, Any]]):
    """An object as tshark writes it, names that come again kept."""


_DECODER = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=str, parse_float=str)


def frames(text: str) -> Iterator[tuple[int, Pairs | str]]:
    """Place in the text and fields of each frame; a text instead of fields is why the rest cannot be read."""
    at = text.find("{")
    while at >= 0:
        try:
            decoded, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield at, f"the JSON ends or breaks here: {str(error)[:80]}"
            return
        layers = _layers(decoded)
        if layers is not None:
            pairs: Pairs = []
            for name, layer in layers:
                _add(f"{name}_", name, layer, pairs)
            yield at, pairs
        at = text.find("{", end)


def _layers(node: Any) -> "_Pairs | None":
    for name in ("_source", "layers"):
        inside = next((value for key, value in node if key == name), None) if isinstance(node, _Pairs) else None
        node = inside if inside is not None else node
    held = node if isinstance(node, _Pairs) else None
    return held if held is not None and any(key.startswith("frame") for key, _ in held) else None


def _flatten(prefix: str, node: Any, pairs: Pairs, depth: int) -> None:
    if depth < _DEEPEST:
        for name, value in node:
            _add(prefix, name, value, pairs, depth)


def _add(prefix: str, name: str, value: Any, pairs: Pairs, depth: int = 0) -> None:
    """A field: with ``-T ek`` its layer's name stands before it once more."""
    if isinstance(value, _Pairs):
        _flatten(prefix, value, pairs, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _add(prefix, name, item, pairs, depth + 1) if depth < _DEEPEST else None
    elif value is not None:
        key = canonical(name.removeprefix(prefix) if name.count("_") else name)
        text = str(value)
        pairs.append((key, text))
        if key in ("tlsrecordcontenttype", "tlsrecordopaquetype", "dtlsrecordcontenttype"):
            pairs.append(("recordtypes", text))
