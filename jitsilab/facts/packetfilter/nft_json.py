"""The JSON of `nft -j list ruleset` (libnftables-json(5)) as the same rules that its text makes."""

import json
import re
from collections.abc import Iterator
from typing import Any

from jitsilab.facts.packetfilter.model import CONTINUE, Action, Condition, Element, Rule, Ruleset, priority

DEPTH = 12
_VERDICTS = ("accept", "drop", "return", "continue", "jump", "goto", "reject", "queue")
_QUIET = ("counter", "log", "comment", "notrack", "ct helper", "ct timeout", "quota")


def parse(text: str, ruleset: Ruleset) -> bool:
    """Add the tables of a JSON text; False where it is not one."""
    try:
        objects = json.loads(text)["nftables"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    if not isinstance(objects, list):
        return False
    lines = _lines(text)
    for entry in objects:
        if not isinstance(entry, dict):
            continue
        for kind, value in entry.items():
            if isinstance(value, dict):
                _object(kind, value, ruleset, next(lines) if kind in ("rule", "chain") else ruleset.place)
    return True


def _lines(text: str) -> Iterator[str]:
    """Lines at which rules and chains begin, in order."""
    line, last = 1, 0
    for match in re.finditer(r'"(?:rule|chain)"\s*:\s*\{', text):
        line += text.count("\n", last, match.start())
        last = match.start()
        yield f":{line}"
    while True:
        yield ""


def _object(kind: str, value: dict[str, Any], ruleset: Ruleset, where: str) -> None:
    family, name = str(value.get("family", "ip")), str(value.get("table", value.get("name", "")))
    if kind not in ("table", "chain", "rule", "set", "map"):
        return
    table = ruleset.table(family, name)
    place = ruleset.place + where
    if kind == "chain":
        chain = table.chain(str(value.get("name", "")))
        chain.hook, chain.kind = str(value.get("hook", "")), str(value.get("type", "filter"))
        chain.policy, chain.place = str(value.get("policy", "accept")), place
        prio = value.get("prio", 0)
        chain.priority = prio if isinstance(prio, int) else priority([str(prio)])
    elif kind == "rule":
        table.chain(str(value.get("chain", ""))).rules.append(_rule(value.get("expr"), place))
    elif kind == "set":
        table.sets[str(value.get("name"))] = tuple(_elements(value.get("elem", [])))
    elif kind == "map":
        table.maps[str(value.get("name"))] = tuple(_entries(value.get("elem", [])))


def _rule(expressions: Any, place: str) -> Rule:
    rule = Rule([], CONTINUE, place)
    for expression in expressions if isinstance(expressions, list) else ():
        if isinstance(expression, str):
            expression = {expression: None}
        if not isinstance(expression, dict) or len(expression) != 1:
            rule.conditions.append(Condition((), (), text="an expression"))
            continue
        ((kind, value),) = expression.items()
        if kind == "match":
            rule.conditions.append(_match(value))
        elif kind in _VERDICTS:
            rule.action = _action(kind, value)
        elif kind == "vmap" and isinstance(value, dict):
            rule.keys = _fields(value.get("key"), 0)
            data = value.get("data")
            if isinstance(data, str) and data.startswith("@"):
                rule.reference = data[1:]
            elif isinstance(data, dict):
                rule.verdicts = tuple(_entries(data.get("set")))
            if not rule.keys:
                rule.keys = ("a key",)
        elif kind == "limit" and isinstance(value, dict):
            if value.get("inv"):
                rule.conditions.append(Condition(("meta nfproto",), (), text="limit rate over"))
        elif kind in ("masquerade", "snat", "dnat", "redirect"):
            rule.action = Action("accept")
        elif kind == "set" and isinstance(value, dict):
            if "over" in json.dumps(value) or '"inv": true' in json.dumps(value):
                rule.conditions.append(Condition(("meta nfproto",), (), text="over a rate"))
        elif kind not in _QUIET and kind != "mangle":
            rule.conditions.append(Condition((), (), text=kind))
            if kind == "xt" and rule.action is CONTINUE:
                rule.action = Action("unknown", "xt")
    return rule


def _action(kind: str, value: Any) -> Action:
    if kind in ("jump", "goto"):
        return Action(kind, str(value.get("target", "")) if isinstance(value, dict) else str(value))
    if kind == "reject":
        return Action("drop")
    return Action("unknown", "queue") if kind == "queue" else Action(kind)


def _fields(left: Any, depth: int) -> tuple[str, ...]:
    """The names of the fields that an expression looks at; () where it does more with them."""
    if not isinstance(left, dict) or len(left) != 1 or depth > DEPTH:
        return ()
    ((kind, value),) = left.items()
    if kind == "concat" and isinstance(value, list):
        parts = [_fields(operand, depth + 1) for operand in value]
        return tuple(name for part in parts for name in part) if all(parts) else ()
    if not isinstance(value, dict):
        return ()
    if kind == "payload" and "field" in value:
        return (f"{value.get('protocol')} {value.get('field')}",)
    if kind == "meta":
        key = str(value.get("key"))
        return (key if key in ("iif", "iifname", "oif", "oifname") else f"meta {key}",)
    if kind == "ct":
        way = f"{value['dir']} " if "dir" in value else ""
        return (f"ct {way}{value.get('key')}",)
    if kind == "fib":
        flags = value.get("flags", [])
        flags = [flags] if isinstance(flags, str) else flags
        return (f"fib {' . '.join(map(str, flags))} {value.get('result')}",)
    return ()


def _match(value: Any) -> Condition:
    if not isinstance(value, dict):
        return Condition((), (), text="a match")
    left, operator, right = value.get("left"), value.get("op", "=="), value.get("right")
    flags = _flags(left, operator, right)
    if flags is not None:
        return flags
    names = _fields(left, 0)
    text = " . ".join(names) or "a match that is not known"
    if not names or operator not in ("==", "!=", "in", "<", ">", "<=", ">="):
        return Condition((), (), text=text)
    negated = operator == "!="
    if isinstance(right, str) and right.startswith("@"):
        return Condition(names, (), negated, right[1:], f"{text} {right}")
    elements = tuple(_elements(right))
    if operator in ("<", ">", "<=", ">="):
        elements = tuple(tuple(operator + part for part in element) for element in elements)
    if not elements:
        return Condition((), (), text=text)
    shown = ", ".join(" . ".join(element) for element in elements[:4])
    return Condition(names, elements, negated, "", f"{text} {'!= ' if negated else ''}{shown}")


def _flags(left: Any, operator: str, right: Any) -> Condition | None:
    """A match of the flags of TCP under a mask."""
    if not isinstance(left, dict):
        return None
    mask: Any = None
    if isinstance(left.get("&"), list) and len(left["&"]) == 2:
        left, mask = left["&"]
    if not isinstance(left, dict) or left.get("payload") != {"protocol": "tcp", "field": "flags"}:
        return None
    names = [_flag_names(side) for side in (right, mask)]
    value = names[0] if mask is None else f"{names[0]}/{names[1]}"
    return Condition(("tcp flags",), ((value,),), operator == "!=", text=f"tcp flags {value}")


def _flag_names(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("|"), list):
        return ",".join(_flag_names(flag) for flag in value["|"])
    if isinstance(value, list):
        return ",".join(_flag_names(flag) for flag in value)
    return "" if value in (None, 0) else str(value)


def _elements(value: Any, depth: int = 0) -> Iterator[Element]:
    """Values as elements: one, a set, a list of flags, a concatenation, an element with a time."""
    if depth > DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _elements(item, depth + 1)
    elif isinstance(value, dict):
        if "set" in value:
            yield from _elements(value["set"], depth + 1)
        elif "elem" in value and isinstance(value["elem"], dict):
            yield from _elements(value["elem"].get("val"), depth + 1)
        elif "concat" in value and isinstance(value["concat"], list):
            parts = [next(iter(_elements(item, depth + 1)), ("?",)) for item in value["concat"]]
            yield tuple(part[0] for part in parts)
        elif "range" in value and isinstance(value["range"], list) and len(value["range"]) == 2:
            yield (f"{value['range'][0]}-{value['range'][1]}",)
        elif isinstance(value.get("prefix"), dict):
            yield (f"{value['prefix'].get('addr')}/{value['prefix'].get('len')}",)
        elif isinstance(value.get("|"), list):
            yield from _elements(value["|"], depth + 1)
        else:
            yield ("?",)
    elif value is not None:
        yield (str(value),)


def _entries(value: Any) -> Iterator[tuple[Element, Action]]:
    for pair in value if isinstance(value, list) else ():
        if isinstance(pair, list) and len(pair) == 2:
            verdict = pair[1]
            if isinstance(verdict, str):
                verdict = {verdict: None}
            if isinstance(verdict, dict) and len(verdict) == 1:
                ((kind, target),) = verdict.items()
                action = _action(kind, target) if kind in _VERDICTS else Action("unknown", kind)
                for element in _elements(pair[0]):
                    yield element, action
