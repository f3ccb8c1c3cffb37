"""docs/causes.md, made of the catalogue of causes and conditions: ``python tests/causes_page.py`` writes it."""

from pathlib import Path

from jitsilab.judge.causes import CAUSES, CONDITIONS

HEAD = """# Causes, reasons, conditions

Made of `jitsilab/judge/causes/catalogue.py`; `python tests/causes_page.py` writes it. Where several causes hold for a
participant, the first of this order is the answer, down to `hairpin-nat`; then, where no UDP of the participant reaches
the bridge, the TURN failure if TURN was offered, else `udp-blocked`; then the rest. A cause that the evidence does not
single out is `undetermined`, with the open ones beside it; whether media flowed may be `not-observable`.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, cause in CAUSES.items():
        parts.append(f"\n## {name}\n\n{_sentence(cause.words)}\n\n{cause.remedy.text}\n")
        if cause.reasons or cause.open_reasons:
            parts.append("\n| reason | means |\n|---|---|\n")
            parts += [f"| `{reason}` | {one.words} |\n" for reason, one in cause.reasons.items()]
            if cause.open_reasons:
                parts.append(f"| `{cause.open_reasons}STATUS` | any other answer |\n")
        if cause.decided_by:
            parts.append(f"\nThe reason stands in {cause.decided_by}.\n")
    parts.append("\n## Conditions\n\nTrue beside media, or beside their absence.\n\n| condition | means |\n|---|---|\n")
    parts += [f"| `{name}` | {one.words} |\n" for name, one in CONDITIONS.items()]
    return "".join(parts)


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


if __name__ == "__main__":
    Path(__file__).resolve().parent.parent.joinpath("docs", "causes.md").write_text(page(), encoding="utf-8")
