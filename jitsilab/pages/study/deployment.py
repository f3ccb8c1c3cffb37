"""Section II of the report: how a server was set up, from a file of facts about it."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from jitsilab.errors import CaptureError
from jitsilab.pages import markdown
from jitsilab.pages.markdown import Raw
from jitsilab.pages.narrative import Story, plural
from jitsilab.pages.narrative.blocks import Figure, Table, Transcript

FILE = "deployment.json"  # what a study published of its deployment; a server's own files are read by jitsilab.facts


def load(folder: Path | None) -> dict[str, Any]:
    """The published facts of a deployment; with only the files' names where a folder holds a server's own files.

    Empty without a folder. Raises CaptureError where the folder or the file cannot be read.
    """
    if folder is None:
        return {}
    try:
        files = sorted(path.name for path in folder.iterdir())
        if FILE not in files:
            return {"files": files}
        facts = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CaptureError(f"Cannot read the deployment facts in {folder}: {error}") from error
    if not isinstance(facts, dict):
        raise CaptureError(f"{folder / FILE} holds no JSON object.")
    return facts


def steps(facts: dict[str, Any]) -> list[Story | Transcript]:
    """Each step with its reason and its commands, and below it what the terminal showed."""
    if not facts:
        text = "This capture comes with no facts about its server; `--facts DIR` names a folder of configuration files."
        return [Story().add(text)]
    shown: list[Story | Transcript] = []
    for number, step in enumerate(facts.get("steps", ()), 1):
        commands = "\n".join(step["commands"])
        reason = step["reason"]
        title = f"**{number}. {step['title']}.**"
        shown.append(Story(f"{title} {reason}\n\n```sh\n{commands}\n```"))
        if step.get("figure") in facts.get("transcripts", {}):
            shown.append(transcript(facts, step["figure"]))
    return shown


def transcript(facts: dict[str, Any], name: str) -> Transcript:
    """What the terminal showed, with the command above it."""
    shown = facts["transcripts"][name]
    return Transcript(name, (shown["prompt"] + shown["command"], *shown["lines"]), shown["caption"])


def packages(facts: dict[str, Any]) -> Table | Story:
    """The versions that the deployment names."""
    versions = facts.get("packages", {})
    if not versions:
        return Story()
    rows = pd.DataFrame({"Package": list(versions), "Version": list(versions.values())})
    return Table(
        "packages", rows, "The packages that the terminal transcripts name, with their versions.", code=("Package",)
    )


def summary(facts: dict[str, Any]) -> Story:
    """What the facts say in one paragraph."""
    if "files" in facts:
        return Story().add(
            "With this capture come {count} of its server's configuration and state: {files}.",
            count=plural(len(facts["files"]), "file"), files=Raw(", ".join(markdown.code(f) for f in facts["files"])),
        )  # fmt: skip
    if "service" not in facts:
        return Story()
    service = facts["service"]
    return Story().add(
        "The bridge ({unit}) was started at {since} on {system}, as a Java program with {heap} of memory at most.",
        unit=Raw(markdown.code(service["unit"])), since=service["active_since"].replace("T", " ").replace("Z", " UTC"),
        system=facts["system"], heap=service["java_heap"].replace("m", " MiB"),
    )  # fmt: skip


def conference() -> Figure:
    """A conference on a server as this one, three participants."""
    image = (resources.files("jitsilab.pages") / "assets" / "conference.png").read_bytes()
    caption = "A running conference: three participants on the server that made this project's recordings."
    return Figure("conference", caption, image)
