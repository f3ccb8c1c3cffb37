"""A server planned from a few parameters: the files, the commands, each with its reason, or why it cannot be."""

import tempfile
from pathlib import Path

from jitsilab import outputs
from jitsilab.deploy.planning.steps import File, Step, files, steps
from jitsilab.deploy.planning.wishes import CHANNELS, ROOMS, SYSTEMS, Wishes, made_secrets
from jitsilab.errors import ParameterError

__all__ = ["CHANNELS", "ROOMS", "SYSTEMS", "File", "Step", "Wishes", "files", "made_secrets", "steps", "text", "write"]


def text(wishes: Wishes) -> str:
    """The plan as Markdown: steps with reasons, commands and references, and the files by name."""
    lines = [f"# A Jitsi Meet server at {wishes.domain}", ""]
    where = (
        f"{wishes.private_address}, mapped from {wishes.public_address}" if wishes.translated else wishes.public_address
    )
    lines += [
        f"{wishes.system}, {where}; rooms are created by {_WHO[wishes.rooms]}; bridge channel over {wishes.channel}; "
        f"{'with' if wishes.turn else 'without'} TURN.", "",
    ]  # fmt: skip
    if wishes.rooms == "anybody":
        lines += ["Anybody may create rooms: the audit says so (SEC-01), and strangers use bridge and relay.", ""]
    if not wishes.turn:
        lines += ["Without TURN whoever cannot send UDP has no media.", ""]
    for number, step in enumerate(steps(wishes), 1):
        lines += [f"## {number}. {step.title}", "", step.reason, "", "```sh", *step.commands, "```", "",
                  f"Reference: {step.reference}", ""]  # fmt: skip
    lines += [
        "## Files",
        "",
        *(f"- `{file.path}`{' (holds secrets)' if file.secret else ''}" for file in files(wishes)),
        "",
    ]
    return "\n".join(lines)


_WHO = {"accounts": "whoever has an account", "anybody": "anybody", "tokens": "whoever has a token"}


def write(wishes: Wishes, folder: Path) -> list[Path]:
    """The plan and its files in a folder, which must be new or empty; what holds secrets is its owner's alone.

    The folder comes into its place when all is in it: half a plan would be followed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ParameterError(f"{folder} is there and not empty: a plan overwrites nothing.")
    every = [File("plan.md", text(wishes), True), *files(wishes)]
    around = folder.absolute().parent
    around.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=outputs.PART, dir=around) as scratch:
        made = Path(scratch) / "plan"
        for planned in every:
            path = made / planned.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with outputs.whole(path, text=True, private=planned.secret) as file:
                file.write(planned.text)
        if folder.is_dir():  # perhaps the one that somebody stands in: it stays
            for entry in sorted(made.iterdir(), key=lambda child: child.name == "plan.md"):
                entry.rename(folder / entry.name)
        else:
            made.rename(folder)
    return [folder / planned.path for planned in every]
