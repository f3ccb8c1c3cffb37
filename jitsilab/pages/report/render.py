"""A document as Markdown for GitHub, as one HTML file, and as PDF by pandoc and typst; nothing asks a network."""

import base64
import functools
import re
from importlib import resources
from pathlib import Path
from typing import Any

from jitsilab.errors import LabError
from jitsilab.pages.report.document import Block, Document

# Pandoc reads what GitHub reads; raw HTML is not passed on, since all text that shows may come from a capture.
PANDOC = (
    "markdown_strict-raw_html+pipe_tables+table_captions+table_attributes+implicit_figures+link_attributes"
    "+fenced_divs+fenced_code_blocks+fenced_code_attributes+backtick_code_blocks+bracketed_spans+raw_attribute"
    "+all_symbols_escapable+auto_identifiers+gfm_auto_identifiers+intraword_underscores+space_in_atx_header"
    "+blank_before_blockquote+lists_without_preceding_blankline+startnum+strikeout"
)
ASSETS = resources.files("jitsilab.pages") / "assets"


def github(document: Document, references: list[dict[str, Any]]) -> str:
    """The Markdown that GitHub renders as it stands."""
    parts = [f"# {document.title}", document.subtitle, *_abstract(document)]
    for block in document.blocks:
        mark = f'<a id="{block.anchor}"></a>\n\n' if block.anchor else ""
        if block.kind == "text":
            parts.append(block.text)
        elif block.kind == "figure":
            file = next(iter(block.files))
            parts.append(f"{mark}![{block.label}](figures/{file})\n\n**{block.label}.** {block.caption}")
        elif block.kind == "table":
            parts.append(f"{mark}**{block.label}.** {block.caption}\n\n{block.text}")
        else:
            parts.append(f"{mark}{block.text}\n\n**{block.label}.** {block.caption}")
    if references:
        parts.append("## References")
        parts += [f'<a id="ref-{entry["number"]}"></a>[{entry["number"]}] {_reference(entry)}' for entry in references]
    return "\n\n".join(parts) + "\n"


def _abstract(document: Document) -> list[str]:
    text = document.abstract.strip()
    return ["> **In short.** " + text.replace("\n", "\n> ")] if text else []


def _reference(entry: dict[str, Any]) -> str:
    return f"{entry['text']}, <{entry['url']}>" if entry["url"] else entry["text"]


def source(document: Document, references: list[dict[str, Any]]) -> str:
    """The same document as pandoc's Markdown, with what HTML and typst need to know."""
    parts = [f"::::: {{.abstract}}\n{text}\n:::::" for text in _abstract(document)]
    for block in document.blocks:
        if block.kind == "text":
            parts.append(block.text)
        elif block.kind == "figure":
            file = next(iter(block.files))
            parts.append(f"![**{block.label}.** {block.caption}](figures/{file}){{#{block.anchor}}}")
        elif block.kind == "table":
            parts.append(f"{block.text}\n\n: **{block.label}.** {block.caption} {{#{block.anchor}}}")
        else:
            parts.append(_transcript(block))
    if references:
        parts.append("## References")
        parts += [
            f":::: {{.reference}}\n[\\[{entry['number']}\\]]{{#ref-{entry['number']}}} {_reference(entry)}\n::::"
            for entry in references
        ]
    return "\n\n".join(parts) + "\n"


def _transcript(block: Block) -> str:
    start, end = "`#transcript-caption[`{=typst}", "`]`{=typst}"
    caption = f":::: {{.caption}}\n{start}**{block.label}.** {block.caption}{end}\n::::"
    return f"::::: {{#{block.anchor} .transcript}}\n{block.text}\n\n{caption}\n:::::"


def html(document: Document, references: list[dict[str, Any]]) -> str:
    """One HTML file that holds its style, its fonts and its figures."""
    page = _pandoc(
        source(document, references), "html5", "report.html", document,
        ["--toc", "--toc-depth=3", "--section-divs", "--syntax-highlighting=none", "--wrap=none",
         f"--variable=css:{_css()}"],
    )  # fmt: skip
    for block in document.blocks:
        for name, content in block.files.items():
            kind = "svg+xml" if name.endswith(".svg") else "png"
            address = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
            page = page.replace(f'src="figures/{name}"', f'src="{address}"')
    return page


@functools.cache
def _css() -> str:
    font = base64.b64encode((ASSETS / "fonts" / "NotoSerifCJKsc-subset.otf").read_bytes()).decode()
    face = (
        "@font-face{font-family:'Report CJK';unicode-range:U+3000-9FFF,U+FF00-FFEF;"
        f"src:url(data:font/otf;base64,{font}) format('opentype')}}\n"
    )
    return face + (ASSETS / "report.css").read_text(encoding="utf-8")


def pdf(document: Document, references: list[dict[str, Any]], folder: Path) -> bytes:
    """The PDF, by typst; ``folder`` holds figures/ and takes the typst source meanwhile."""
    import typst

    text = _pandoc(source(document, references), "typst", "report.typ", document, ["--wrap=none"])
    main = folder / "report.typ"
    main.write_text(text, encoding="utf-8")
    with resources.as_file(ASSETS / "fonts") as fonts:
        try:
            made = typst.compile(
                str(main),
                root=str(folder),
                font_paths=[str(fonts)],
                ignore_system_fonts=True,
                format="pdf",
                timestamp=0,
            )
        except typst.TypstError as error:
            raise LabError(f"typst cannot set the report: {error.message}") from error
        finally:
            main.unlink()
    return bytes(made)


def _pandoc(text: str, to: str, template: str, document: Document, options: list[str]) -> str:
    import pypandoc

    with resources.as_file(ASSETS / template) as path:
        try:
            made: str = pypandoc.convert_text(
                text, to, format=PANDOC, sandbox=False,
                extra_args=[f"--template={path}", f"--metadata=title:{document.title}",
                            f"--metadata=subtitle:{document.subtitle}", *options],
            )  # fmt: skip
        except RuntimeError as error:
            raise LabError(f"pandoc cannot convert the report: {str(error).strip()}") from error
    return re.sub(r"[ \t]+\n", "\n", made)
