"""docs/commands.md, made of the parser: ``python tests/commands_page.py`` writes it."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from jitsilab import cli
from jitsilab.commands import commands

HEAD = """# Commands

Made of the parser; `python tests/commands_page.py` writes it. `jitsilab help COMMAND` says the same. Exit codes:
0 done, 1 a finding (`audit`, `leaks`, `diagnose --fail-on`), 2 bad input or usage, 130 interrupted.
`jitsilab completion bash` (or zsh, fish) prints what completes all of it.
"""


def page() -> str:
    """The whole page."""
    parsers = next(one for one in cli.parser()._actions if isinstance(one, argparse._SubParsersAction)).choices
    parts = [HEAD]
    for one in commands():
        parts.append(f"\n## {one.name}\n\n{one.text[0].upper()}{one.text[1:]}.\n")
        parts.append("".join(["\n```sh\n", *(f"{line}\n" for line in one.examples), "```\n"]))
        parts += _arguments(parsers[one.name])
    return "".join(parts)


def _arguments(parser: argparse.ArgumentParser, before: str = "") -> Iterator[str]:
    rows, nested = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {one.dest: one.help or "" for one in action._choices_actions}
            for name, one in action.choices.items():
                rows.append(f"| `{before}{name}` | {_cell(helps.get(name, ''))} |\n")
                nested.append((f"{name}", one))
        elif not isinstance(action, argparse._HelpAction) and action.help != argparse.SUPPRESS:
            rows.append(f"| `{_cell(_form(action))}` | {_cell(action.help or '')} |\n")
    if rows:
        yield "".join(["\n| argument | means |\n|---|---|\n", *rows])
    for name, one in nested:
        inside = list(_arguments(one))
        if inside:
            yield f"\n`{name}` takes:\n"
            yield from inside


def _form(action: argparse.Action) -> str:
    if action.choices is not None and action.metavar is None:
        value = "|".join(map(str, action.choices))
    else:
        names = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
        value = names if isinstance(names, str) else " ".join(names)
    if not action.option_strings:
        return value
    return ", ".join(action.option_strings) + (f" {value}" if action.nargs != 0 else "")


def _cell(text: str) -> str:
    return " ".join(text.replace("%%", "%").split()).replace("|", "\\|").replace("<", "\\<")


if __name__ == "__main__":
    Path(__file__).resolve().parent.parent.joinpath("docs", "commands.md").write_text(page(), encoding="utf-8")
