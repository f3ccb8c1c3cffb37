"""``jitsilab completion``: what a shell needs to complete the commands, their options, files and recordings."""

import argparse
import sys
from typing import Any

from jitsilab.commands import Command
from jitsilab.errors import LabError, ParameterError

_FILES = ("FILE", "EVIDENCE", "PATH", "OLD", "DIR|FILE")
_FOLDERS = ("DIR",)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell it is for")


def _run(arguments: argparse.Namespace) -> int:
    import shtab

    if arguments.shell not in shtab.SUPPORTED_SHELLS:
        raise ParameterError(f"This shtab ({shtab.__version__}) knows no {arguments.shell}: pip install -U shtab.")
    _complete(arguments.top, _evidence(_names()))
    sys.stdout.write(shtab.complete(arguments.top, shell=arguments.shell) + "\n")
    return 0


def _names() -> list[str]:
    """The recordings, where they are installed; they are written into the script."""
    from jitsilab.inputs import registry

    try:
        return registry.names()
    except LabError:
        return []


def _evidence(names: list[str]) -> dict[str, Any]:
    """How shells complete what is evidence: files and folders, and names of recordings."""
    words = " ".join(names)
    return {
        "bash": "_jitsilab_evidence", "zsh": "_jitsilab_evidence", "fish": "(_jitsilab_evidence)", "tcsh": "f",
        "preamble": {
            "bash": f'_jitsilab_evidence() {{\n  compgen -f -- "$1"\n  compgen -W "{words}" -- "$1"\n}}',
            "zsh": "_jitsilab_evidence() {\n  _alternative 'files:file:_files' "
                   f"'recordings:recording:({words})'\n}}",
            "fish": "function _jitsilab_evidence\n  __fish_complete_path (commandline -ct)\n"
                    f"  printf '%s\\n' {words}\nend",
        },
    }  # fmt: skip


def _complete(parser: argparse.ArgumentParser, evidence: dict[str, Any]) -> None:
    """Say of each argument that takes a file how it is completed."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for subparser in dict.fromkeys(action.choices.values()):
                _complete(subparser, evidence)
        elif action.metavar == "EVIDENCE" or action.dest == "against":
            action.complete = evidence  # type: ignore[attr-defined]
        elif action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]


COMMAND = Command(
    "completion", "print what completes commands, options, files and recordings in a shell", _arguments, _run,
    ("source <(jitsilab completion bash)", "jitsilab completion zsh > ~/.zfunc/_jitsilab",
     "jitsilab completion fish > ~/.config/fish/completions/jitsilab.fish"),
)  # fmt: skip
