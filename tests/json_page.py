"""docs/json.md, made of the schema of results.json: ``python tests/json_page.py`` writes it."""

from pathlib import Path
from typing import Any

from jitsilab.pages.casereport import results

HEAD = """# JSON

What programs read: `results.json` of a [case report](report.md), `jitsilab diagnose --json` (and `--against`),
`jitsilab audit --json`. [One schema](../jitsilab/pages/casereport/assets/results.schema.json) (JSON Schema 2020-12)
holds all of them: the first is the whole of it, the others are `#/$defs/diagnosis` and `#/$defs/audit`. A field that is
not always there has a star. `jitsilab audit --sarif` prints SARIF 2.1.0, `jitsilab table NAME --to json` the
[tables](tables.md).

```python
import jitsilab as jl
from jitsilab.pages.casereport import results

schema = results.schema()
answer = jl.load("turn-refused").diagnosis.to_json()
assert set(answer) <= set(schema["$defs"]["diagnosis"]["properties"])
```

This page is written by `tests/json_page.py`; a test keeps it so. A field that goes, or means something else, gets a new
number at the end of `format`; one that is new does not.
"""
TITLES = {
    "diagnosis": "diagnose --json", "participant": "A participant", "cause": "A cause", "condition": "A condition",
    "stated": "A cause or a condition", "call": "A call", "open": "What stays open", "input": "What was read",
    "hypothesis": "A claim that was tested", "compared": "What changed", "change": "A change", "audit": "audit --json",
    "finding": "A security check", "step": "A step", "ladder": "A ladder", "event": "An event of a ladder",
    "stream": "A stream", "place": "A place",
}  # fmt: skip


def page() -> str:
    """The whole page."""
    schema = results.schema()
    parts = [HEAD, "\n## results.json\n\n", _fields(schema, schema)]
    for name, title in TITLES.items():
        parts += [f"\n## {title}\n\n", _fields(schema["$defs"][name], schema)]
    return "".join(parts)


def _fields(node: dict[str, Any], schema: dict[str, Any]) -> str:
    """A table of what an object holds; those of an object inside stand below it."""
    rows = ["| field | is | means |\n|---|---|---|\n"]
    for base in node.get("allOf", ()):
        rows[0] = f"As [{TITLES[_name(base)].lower()}](#{_anchor(TITLES[_name(base)])}), and:\n\n" + rows[0]
    rows += _rows(node, schema, "")
    return "".join(rows)


def _rows(node: dict[str, Any], schema: dict[str, Any], above: str) -> list[str]:
    found = []
    for name, value in node.get("properties", {}).items():
        star = "" if name in node.get("required", ()) else " \\*"
        means = value.get("description", "")
        if not means and "$ref" in value:
            means = schema["$defs"][_name(value)].get("description", "")
        found.append(f"| `{above}{name}`{star} | {_kind(value, schema)} | {means} |\n")
        inside = value.get("items", value)
        if inside.get("properties"):
            found += _rows(inside, schema, f"{above}{name}.")
    return found


def _kind(node: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a value is, in words."""
    if "$ref" in node:
        name = _name(node)
        return f"[{name}](#{_anchor(TITLES[name])})" if name in TITLES else _kind(schema["$defs"][name], schema)
    if "const" in node:
        return f"`{node['const']}`"
    if "enum" in node:
        return ", ".join(f"`{one}`" for one in node["enum"])
    if "anyOf" in node:
        return " or ".join(_kind(one, schema) for one in node["anyOf"])
    kinds = node.get("type", "anything")
    words = [_plain(kind, node, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    return " or ".join(words)


def _plain(kind: str, node: dict[str, Any], schema: dict[str, Any]) -> str:
    if kind == "array" and node.get("items"):
        return f"list of {_kind(node['items'], schema)}"
    return {"array": "list", "null": "null"}.get(kind, kind)


def _name(node: dict[str, Any]) -> str:
    return str(node["$ref"]).rsplit("/", 1)[-1]


def _anchor(title: str) -> str:
    """As GitHub and MyST make it."""
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c == "-")


if __name__ == "__main__":
    Path(__file__).resolve().parent.parent.joinpath("docs", "json.md").write_text(page(), encoding="utf-8")
