"""Prosody's configuration: what its Lua assigns, host by host, without running any of it."""

import contextlib
import fnmatch
import functools
import io
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from luaparser import ast, astnodes

from jitsilab.errors import Problem
from jitsilab.facts.model import UNKNOWN, Fact, hide, is_local
from jitsilab.numerals import whole

GLOBAL = "*"
_MAIN = {"pidfile", "log", "data_path", "daemonize", "prosody_user"}  # what the main file alone sets
REPAIRS = 20  # lines that may be left out of a broken file before the rest is given up
DEPTH = 60  # nesting of tables and operators
CHAIN = 4  # calls of what a call gives, `Component "a" "muc" {}` has three: the parser's time grows with their square
DEAR = 4  # such calls for which reading a file once more is worth another repair
_TOKEN = re.compile(
    r"""(?P<blank>--\[(=*)\[.*?(?:\]\2\]|\Z)|--[^\n]*|\s+|[.:]\s*[A-Za-z_]\w*)|(?P<open>[({[](?!=*\[))|(?P<close>[)}\]])"""
    r"""|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\[(=*)\[.*?(?:\]\6\]|\Z))|(?P<unclosed>["'])|\w+|.""",
    re.DOTALL,
)
BLOCKS = (astnodes.If, astnodes.While, astnodes.Do, astnodes.Repeat, astnodes.Fornum, astnodes.Forin)
SERVICES = {  # service: (prefix of its options, default ports, bound to loopback where nothing is said)
    "c2s": ("c2s", (5222,), False),
    "s2s": ("s2s", (5269,), False),
    "component": ("component", (5347,), True),
    "http": ("http", (5280,), True),
}


@dataclass
class Host:
    """A VirtualHost or Component with its options; the host named ``*`` holds what stands above all of them."""

    kind: str
    name: str
    module: str = ""
    place: str = ""
    options: dict[str, Fact] = field(default_factory=dict)


@dataclass
class Prosody:
    """The hosts of one server, the global section first."""

    hosts: list[Host] = field(default_factory=lambda: [Host("global", GLOBAL)])
    main: str = ""  # the file with the global section, where it was given
    broken: list[str] = field(default_factory=list)  # files of which lines could not be read
    missing: list[str] = field(default_factory=list)  # places of includes whose files are not at hand

    @property
    def whole(self) -> bool:
        """Whether all that is in force was read: then what is not set has its default, and no host is missing."""
        return bool(self.main) and not self.broken and not self.missing

    def get(self, host: Host, key: str) -> Fact | None:
        """An option as the host sees it: its own, else the global one."""
        return host.options.get(key) or self.hosts[0].options.get(key)

    def hosts_of(self, kind: str, module: str | None = None) -> list[Host]:
        """The VirtualHosts or Components, of one module where it is named."""
        named = [host for host in self.hosts if host.kind == kind and (module is None or host.module == module)]
        return [host for host in named if not ((off := host.options.get("enabled")) and off.value is False)]

    def modules(self, host: Host) -> set[str]:
        """Modules that are enabled for a host, global ones included."""
        modules: set[str] = set()
        around = self.hosts[0]
        if host.kind == "Component" and not ((own := host.options.get("load_global_modules")) and own.value is True):
            around = host  # Prosody loads the global list on VirtualHosts alone
        for scope in (around, host):
            modules |= set(_strings(scope.options.get("modules_enabled")))
        for scope in (around, host):
            modules -= set(_strings(scope.options.get("modules_disabled")))
        return modules

    def runs(self, module: str) -> bool:
        """Whether some host enables a module."""
        return any(module in self.modules(host) for host in self.hosts)

    def disabled(self, module: str) -> Fact | None:
        """Where a module that loads by itself is turned off for all hosts; None where it is not."""
        off = self.hosts[0].options.get("modules_disabled")
        if (
            off is None
            or module not in _strings(off)
            or any(module in _strings(host.options.get("modules_enabled")) for host in self.hosts[1:])
        ):
            return None
        return off

    def listens(self, service: str) -> tuple[list[str], list[int], str]:
        """Interfaces and ports of a service and where that is said, as Prosody's portmanager works them out.

        Empty interfaces, or no ports: an expression that only the running server knows, or a list without any.
        """
        prefix, ports, private = SERVICES[service]
        world = self.hosts[0]
        keys = [f"{prefix}_interfaces", f"{prefix}_interface"]
        keys += ["local_interfaces"] if private else ["interfaces", "interface"]
        said_names = next((world.options[key] for key in keys if key in world.options), None)
        default = ["127.0.0.1", "::1"] if private else ["*", "::"]
        names = default if said_names is None else _strings(said_names)
        said_ports = self.ports_fact(service)
        listed = ports if said_ports is None else said_ports.value
        listed = listed if isinstance(listed, list | tuple) else [listed]
        numbers = [int(port) for port in listed if _numeric(port)]
        return names, numbers, (said_names or said_ports or Fact(None, "")).place

    def ports_fact(self, service: str) -> Fact | None:
        """Where the ports of a service are said: ``c2s_ports`` before ``c2s_port``, as portmanager looks for them."""
        prefix, options = SERVICES[service][0], self.hosts[0].options
        return options.get(f"{prefix}_ports") or options.get(f"{prefix}_port")

    def knows_ports(self, service: str) -> bool:
        """Whether the ports are known: said as numbers, or the default of a configuration that was read whole."""
        fact = self.ports_fact(service)
        if fact is None:
            return self.whole
        values = fact.value if isinstance(fact.value, list) else [fact.value]
        return fact.value is not UNKNOWN and all(_numeric(value) for value in values)

    def open_to_others(self, service: str) -> bool | None:
        """Whether a service is bound to more than loopback; None where the file does not tell."""
        names, ports, _ = self.listens(service)
        if not names:
            return None
        return bool(ports) and not all(is_local(name) for name in names)


def _strings(fact: Fact | None) -> list[str]:
    if fact is None:
        return []
    values = fact.value if isinstance(fact.value, list) else [fact.value]
    return [value for value in values if isinstance(value, str)]


def _numeric(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and whole(value) is not None)


def parse(text: str, name: str, into: Prosody, problems: list[Problem], beside: Collection[str] | None = None) -> None:
    """Add the assignments of one file. Lines that are no Lua are left out and reported; nothing is executed.

    ``beside`` are the names of the files that are read too, so that what an Include brings is known to be there;
    None where that is not asked.
    """
    tree, unread = _parse(text)
    problems += [Problem(0, "prosody", 0, f"{name}:{line}: not readable as Lua, left out") for line in unread]
    if tree is None:
        problems.append(Problem(0, "prosody", 0, f"{name}: not readable as Lua"))
    if unread or tree is None:
        into.broken.append(name)
    if tree is None:
        return
    if name.rpartition("/")[2] == "prosody.cfg.lua":
        into.main = name
    reader = _Reader(name, into)
    try:
        reader.block(tree.body.body)
    except RecursionError:
        problems.append(Problem(0, "prosody", 0, f"{name}: nested too deeply to be read"))
        into.broken.append(name)
    if not into.main and _MAIN & set(into.hosts[0].options):
        into.main = name  # under another name
    for place, pattern in reader.includes if beside is not None else ():
        if not any(other != name and _included(other, pattern) for other in beside or ()):
            into.missing.append(place)
            problems.append(Problem(0, "prosody", 0, f"{place}: includes {pattern[:80]}, which is not here"))


def _included(name: str, pattern: str) -> bool:
    """Whether a file at hand is what an Include names: its own name, and its folder where one is known."""
    wanted, have = pattern.split("/"), name.split("/")
    if not fnmatch.fnmatchcase(have[-1], wanted[-1]):
        return False
    return len(have) == 1 or len(wanted) == 1 or have[-2] in (wanted[-2], "conf.avail") or "*" in wanted[-2]


@functools.lru_cache(maxsize=32)  # the servers of a fleet say much the same, and reading it takes long
def _parse(text: str) -> tuple[astnodes.Chunk | None, tuple[int, ...]]:
    """The syntax tree, and the lines at which parsing stopped: each is blanked and the rest read again."""
    lines = text.split("\n")
    unread: list[int] = []
    left = REPAIRS
    while left > 0:
        left -= 1
        try:
            chained, calls = _chained("\n".join(lines))
            if chained is not None:
                unread.append(chained)
                lines[chained - 1] = ""
                continue
            left -= calls // DEAR
            with contextlib.redirect_stderr(io.StringIO()):  # its lexer quotes there what it cannot read
                return ast.parse("\n".join(lines)), tuple(unread)
        except RecursionError:
            break
        except Exception as error:  # the parser's own errors and those of its generated code
            number = _line_of(error)
            if number is None or not 1 <= number <= len(lines):
                break
            while number > 1 and not lines[number - 1].strip():  # blanked already, or the end of the file
                number -= 1
            if not lines[number - 1].strip():
                break
            unread.append(number)
            lines[number - 1] = ""
    return None, tuple(unread)


def _chained(text: str) -> tuple[int | None, int]:
    """The line at which more calls follow each other than `CHAIN`, and how many are calls of what a call gives.

    Strings go over lines, as the parser has them.
    """
    around: list[int] = []
    calls = at = every = 0
    unclosed: set[str] = set()  # quotes that nothing closes any more: the parser goes over them
    while at < len(text):
        if text[at] in unclosed:
            at += 1
            continue
        token = _TOKEN.match(text, at)
        assert token is not None
        begin, at = at, token.end()
        if token["unclosed"]:
            unclosed.add(text[begin])
        elif token["open"]:
            around.append(calls + 1)
            calls = 0
        elif token["close"]:
            calls = around.pop() if around else 0
            every += calls > 1
        elif token["string"]:
            calls += 1
            every += calls > 1
        elif not token["blank"]:
            calls = 0
        if calls > CHAIN:
            return text.count("\n", 0, begin) + 1, every
    return None, every


def _line_of(error: BaseException) -> int | None:
    """Where parsing stopped. The parser's text quotes the file, which may be a secret: only the number is kept."""
    here: BaseException | None = error
    while here is not None:
        token = getattr(here.args[0], "offendingToken", None) if here.args else None
        match = re.search(r"\bline (\d{1,8}):", str(here))
        if token is not None or match:
            return int(token.line) if token is not None else int(match[1]) if match else None
        here = here.__context__
    return None


class _Reader:
    """Walks statements in order, as Prosody would run them."""

    def __init__(self, name: str, prosody: Prosody) -> None:
        self.name = name
        self.prosody = prosody
        self.host = prosody.hosts[0]  # each file starts in the global section again
        self.locals: dict[str, Any] = {}
        self.includes: list[tuple[str, str]] = []

    def place(self, node: Any) -> str:
        line = getattr(node, "line", None)
        return f"{self.name}:{line}" if isinstance(line, int) else self.name

    def block(self, statements: list[Any], certain: bool = True) -> None:
        for statement in statements:
            if isinstance(statement, astnodes.LocalAssign):
                for target, value in _pairs(statement):
                    self.locals[target.id] = self.value(value) if certain else UNKNOWN
            elif isinstance(statement, astnodes.Assign):
                for target, value in _pairs(statement):
                    self.assign(target, value, self.place(statement), certain)
            elif isinstance(statement, astnodes.Call):
                self.call(statement)
            elif isinstance(statement, BLOCKS):
                self.block(list(_inner(statement)), certain=False)

    def assign(self, target: Any, value: Any, place: str, certain: bool) -> None:
        if not isinstance(target, astnodes.Name):
            return
        worth = self.value(value) if certain else UNKNOWN
        if target.id in self.locals:
            self.locals[target.id] = worth
        else:
            self.host.options[target.id] = Fact(hide(target.id, worth), place)

    def call(self, node: Any) -> None:
        """``VirtualHost "name"``, ``Component "name" "module"``, either with a table of options behind it."""
        arguments: list[Any] = []
        place = self.place(node)
        while isinstance(node, astnodes.Call):
            arguments = [*node.args, *arguments]
            node = node.func
        name = getattr(node, "id", "")
        if name in ("VirtualHost", "Host", "Component") and arguments:
            words = [self.value(argument) for argument in arguments if not isinstance(argument, astnodes.Table)]
            texts = [word if isinstance(word, str) else "" for word in words]
            if not texts:
                return
            texts[0] = texts[0].lower()  # nameprep, as configmanager has it
            kind = "Component" if name == "Component" else "VirtualHost"
            same = [host for host in self.prosody.hosts if host.name == texts[0]]
            if same:
                self.host = same[0]
            else:
                self.host = Host(kind, texts[0], texts[1] if len(texts) > 1 else "", place)
                self.prosody.hosts.append(self.host)
            for table in (argument for argument in arguments if isinstance(argument, astnodes.Table)):
                options = self.value(table)
                for key, worth in options.items() if isinstance(options, dict) else ():
                    self.host.options[str(key)] = Fact(hide(str(key), worth), place)
        elif name in ("Include", "include") and arguments:
            pattern = self.value(arguments[0])
            self.includes.append((place, pattern if isinstance(pattern, str) else "a file of a computed name"))

    def value(self, node: Any, depth: int = 0) -> Any:
        """What an expression is worth where it can be known without running it, else UNKNOWN."""
        if depth > DEPTH:
            return UNKNOWN
        simple = {astnodes.TrueExpr: True, astnodes.FalseExpr: False, astnodes.Nil: None}
        if type(node) in simple:
            return simple[type(node)]
        if isinstance(node, astnodes.String):
            return node.s.decode("utf-8", "replace") if isinstance(node.s, bytes) else str(node.s)
        if isinstance(node, astnodes.Number):
            return node.n
        if isinstance(node, astnodes.Name):
            if node.id in self.locals:
                return self.locals[node.id]
            known = self.host.options.get(node.id) or self.prosody.hosts[0].options.get(node.id)
            return known.value if known else UNKNOWN
        if isinstance(node, astnodes.Table):
            return self.table(node, depth)
        if isinstance(node, astnodes.UMinusOp):
            worth = self.value(node.operand, depth + 1)
            return -worth if isinstance(worth, int | float) else UNKNOWN
        if isinstance(node, astnodes.ULNotOp):
            worth = self.value(node.operand, depth + 1)
            return UNKNOWN if worth is UNKNOWN else worth in (None, False)
        if isinstance(node, astnodes.BinaryOp):
            return _operate(node, self.value(node.left, depth + 1), self.value(node.right, depth + 1))
        return UNKNOWN

    def table(self, node: Any, depth: int) -> Any:
        """A list where no entry has a key, else a dict (unkeyed entries numbered from 1, as in Lua)."""
        listed: list[Any] = []
        keyed: dict[Any, Any] = {}
        for entry in node.fields:
            worth = self.value(entry.value, depth + 1)
            if entry.key is None:
                listed.append(worth)
            else:
                named = isinstance(entry.key, astnodes.Name) and not entry.between_brackets
                key = entry.key.id if named else self.value(entry.key, depth + 1)
                keyed[key if isinstance(key, str | int) else str(key)] = worth
        return {**dict(enumerate(listed, 1)), **keyed} if keyed else listed


def _operate(node: Any, left: Any, right: Any) -> Any:
    plain: dict[type, Callable[[Any, Any], Any]] = {
        astnodes.AddOp: lambda a, b: a + b,
        astnodes.SubOp: lambda a, b: a - b,
        astnodes.MultOp: lambda a, b: a * b,
    }
    if isinstance(node, astnodes.Concat):
        parts = [
            str(operand)
            for operand in (left, right)
            if isinstance(operand, str | int | float) and not isinstance(operand, bool)
        ]
        return "".join(parts) if len(parts) == 2 and len(parts[0]) + len(parts[1]) < 1 << 16 else UNKNOWN
    if isinstance(node, astnodes.OrLoOp):
        return right if left in (None, False) and left is not UNKNOWN else left
    if isinstance(node, astnodes.AndLoOp):
        return left if left in (None, False) or left is UNKNOWN else right
    if type(node) in plain and all(
        isinstance(operand, int | float) and abs(operand) < 1e15 for operand in (left, right)
    ):
        return plain[type(node)](left, right)
    return UNKNOWN


def _pairs(statement: Any) -> Iterator[tuple[Any, Any]]:
    values = list(statement.values or ())
    for number, target in enumerate(statement.targets):
        yield target, values[number] if number < len(values) else astnodes.Nil()


def _inner(statement: Any) -> Iterator[Any]:
    """Statements inside a block and its branches: what they assign is not certain."""
    if isinstance(statement, astnodes.If):
        yield from statement.body.body
        other = statement.orelse
        if isinstance(other, astnodes.ElseIf):
            yield from other.body.body
            while isinstance(other.orelse, astnodes.ElseIf):
                other = other.orelse
                yield from other.body.body
            other = other.orelse
        if isinstance(other, astnodes.Block):
            yield from other.body
    elif isinstance(getattr(statement, "body", None), astnodes.Block):
        yield from statement.body.body
