"""Sources as Jitsi writes them in JSON: in Jingle, in presence and on the bridge channel.

Three forms, all with names like ``08b2f29f-v0`` (endpoint, kind, number):

- ``http://jitsi.org/json-encoded-sources``: Jicofo puts the sources of many endpoints in one ``json-message`` of a
  Jingle stanza. ``{"sources": {owner: [video sources, video groups, audio sources, audio groups]}}``, a source being
  ``{"s": ssrc, "n": name, "m": msid, "v": "d" for a desktop}``, a group ``["f" or "s", ssrc, ...]``; lists at the end
  may be left out.
- ``SourceInfo`` in presence: ``{name: {"muted": true, "videoType": "camera"}}``, without SSRCs.
- ``AudioSourcesMap`` and ``VideoSourcesMap`` on the bridge channel, where SSRCs are rewritten for each receiver:
  ``{"mappedSources": [{"source": name, "owner": endpoint, "ssrc": ..., "rtx": ..., "videoType": ...}]}``.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from jitsilab.errors import ParseError
from jitsilab.protocols.description import Parameter, Source, SourceGroup, number

_NAME = re.compile(r"(.+)-([av])\d+")
_MSID = re.compile(r"(.+?)-(?:audio|video|desktop)-\d+\b")
_SEMANTICS = {"f": "FID", "s": "SIM"}


class Sources(NamedTuple):
    """Sources and groups of one kind."""

    kind: str  # audio, video
    sources: tuple[Source, ...]
    groups: tuple[SourceGroup, ...]


class Announced(NamedTuple):
    """A source as presence tells it; muted is None where not said."""

    name: str
    owner: str
    kind: str
    video_type: str
    muted: bool | None


def compact(text: str) -> tuple[Sources, ...]:
    """The sources of a ``json-message``, video first; nothing where it is about something else.

    Raises ParseError for what is not JSON or not in this form.
    """
    message = _load(text)
    if not isinstance(message, dict) or "sources" not in message:
        return ()
    if not isinstance(message["sources"], dict):
        raise ParseError("JSON sources are an object of owners")
    sources: dict[str, list[Source]] = {"video": [], "audio": []}
    groups: dict[str, list[SourceGroup]] = {"video": [], "audio": []}
    for owner, lists in message["sources"].items():
        for index, entries in enumerate(_list(lists)[:4]):
            kind = "video" if index < 2 else "audio"
            for entry in _list(entries):
                if index % 2:
                    groups[kind].append(_group(entry))
                else:
                    sources[kind].append(_source(owner, entry))
    return tuple(Sources(kind, tuple(sources[kind]), tuple(groups[kind])) for kind in ("video", "audio"))


def announced(info: Mapping[str, Any]) -> tuple[Announced, ...]:
    """The sources of a ``SourceInfo`` in presence. Raises ParseError for what is not in this form."""
    sources = []
    for name, about in info.items():
        if not isinstance(about, dict):
            raise ParseError("SourceInfo says an object about each source")
        muted, kind = about.get("muted"), _text(about.get("mediaType")).lower() or kind_of(name)
        video_type = _text(about.get("videoType")).lower()
        sources.append(Announced(name, owner_of(name), kind, video_type, muted if isinstance(muted, bool) else None))
    return tuple(sources)


def mapped(text: str) -> tuple[Sources, ...]:
    """The sources of a bridge's source map, with the SSRCs that this receiver will see; RTX makes a FID group.

    Raises ParseError for what is not JSON or not in this form; any other colibriClass gives nothing.
    """
    message = _load(text)
    if not isinstance(message, dict) or message.get("colibriClass") not in ("AudioSourcesMap", "VideoSourcesMap"):
        return ()
    kind = "audio" if message["colibriClass"] == "AudioSourcesMap" else "video"
    sources: list[Source] = []
    groups: list[SourceGroup] = []
    for entry in _list(message.get("mappedSources", [])):
        if not isinstance(entry, dict):
            raise ParseError("a source map lists objects")
        name, video_type = _text(entry.get("source")), _text(entry.get("videoType")).lower()
        owner = _text(entry.get("owner")) or owner_of(name)
        ssrcs = tuple(ssrc for key in ("ssrc", "rtx") if (ssrc := _ssrc(entry.get(key))) is not None)
        sources.extend(Source(ssrc, name, owner, video_type) for ssrc in ssrcs)
        if len(ssrcs) == 2:
            groups.append(SourceGroup("FID", ssrcs))
    return (Sources(kind, tuple(sources), tuple(groups)),)


def owner_of(name: str, parameters: tuple[Parameter, ...] = ()) -> str:
    """Whose source it is by Jitsi's naming: the endpoint in its name or msid, ``jvb`` for the bridge's mixed ones."""
    named = _NAME.fullmatch(name)
    if named:
        return named[1]
    for parameter in parameters:
        if parameter.value.startswith("mixed"):
            return "jvb"
        msid = _MSID.match(parameter.value) if parameter.name == "msid" else None
        if msid:
            return msid[1]
    return ""


def kind_of(name: str) -> str:
    """``audio`` or ``video`` by Jitsi's naming, or nothing."""
    named = _NAME.fullmatch(name)
    return {"a": "audio", "v": "video"}[named[2]] if named else ""


def _source(owner: str, entry: Any) -> Source:
    if not isinstance(entry, dict):
        raise ParseError("a JSON source is an object")
    msid = _text(entry.get("m"))
    parameters = (Parameter("msid", msid),) if msid else ()
    return Source(_ssrc(entry.get("s")), _text(entry.get("n")), owner, "desktop" if entry.get("v") else "", parameters)


def _group(entry: Any) -> SourceGroup:
    semantics, *ssrcs = _list(entry) or [""]
    known = _SEMANTICS.get(_text(semantics), _text(semantics).upper())
    return SourceGroup(known, tuple(ssrc for value in ssrcs if (ssrc := _ssrc(value)) is not None))


def _ssrc(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= 0xFFFFFFFF else None
    return number(_text(value))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ParseError("a list was expected in JSON sources")
    return value


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ParseError(f"not JSON: {error.msg}", offset=error.pos) from None
    except (RecursionError, ValueError):
        raise ParseError("JSON that nests too deep or holds a number too long") from None
