"""Apache's virtual hosts: sections and directives as they nest, in the same form as nginx's."""

import re
import shlex

from jitsilab.errors import Problem
from jitsilab.facts.directives import Directive

DEPTH = 20
SECTIONS = ("virtualhost", "location", "locationmatch", "directory", "proxy", "if", "ifmodule", "ifdefine", "ifversion",
            "files", "filesmatch", "macro", "else", "elseif", "limitexcept", "directorymatch")  # fmt: skip


def parse(text: str, name: str, problems: list[Problem]) -> Directive:
    """The tree of one file; a section that is never closed is closed at the end, and said."""
    root = Directive("", (), name)
    here = root
    lines = text.split("\n")
    at = depth = 0
    while at < len(lines):
        number, line = at + 1, lines[at].strip()
        at += 1
        while line.endswith("\\") and at < len(lines):
            line = line[:-1] + " " + lines[at].strip()
            at += 1
        if not line or line.startswith("#"):
            continue
        place = f"{name}:{number}"
        if line.startswith("</"):
            if here.parent is None:
                problems.append(Problem(0, "apache", 0, f"{place}: closes a section that was not opened"))
            else:
                here = here.parent
                depth -= 1
            continue
        section = re.match(r"<([A-Za-z]+)\s*([^>]*)>", line)
        words = _words(section[2] if section else line)
        if section and depth < DEPTH:
            made = Directive(section[1].lower(), tuple(words), place, parent=here)
            here.block.append(made)
            here = made
            depth += 1
        elif words and not section:
            here.block.append(Directive(words[0].lower(), tuple(words[1:]), place, parent=here))
    if here.parent is not None:
        problems.append(Problem(0, "apache", 0, f"{here.place}: a section that is never closed"))
    return root


def _words(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    lexer.escape = ""
    try:
        return list(lexer)
    except ValueError:
        return text.split()
