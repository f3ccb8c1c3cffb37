"""XML as XMPP sends it: the elements of a stream with their byte offsets, under the restrictions of RFC 6120.

What section 11.1 forbids is refused before a parser could act on it: a document type, and with it every entity but the
five of XML. Size and depth are bounded, so that one hostile stanza costs no more than its own bytes.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.parsers import expat

from jitsilab.protocols.xml import MAX_DEPTH, MAX_SIZE

MAX_RESTARTS = 100  # headers in one stream; a login has three

STREAM = "http://etherx.jabber.org/streams"

_DOCTYPE = re.compile(rb"<!DOCTYPE", re.IGNORECASE)
_FIRST_TAG = re.compile(rb"<[^!?\s]")
_TAG = re.compile(rb"""<[^\s/>]++(?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")  # possessive: no way back on hostile bytes
_NAME = re.compile(rb"<[^\s/>]+")


class Part(NamedTuple):
    """One thing found in a stream of XML.

    ``kind`` is "open" (a stream header), "element" (a child of it, whole), "close" (the end of the stream),
    "note" (odd, but nothing is lost by it), "refused" (an element that is not given) or "broken" (nothing after it can
    be read). ``xml`` is well-formed by itself: namespaces that were declared further out are declared on it. For "open"
    it is the header as an empty element, for the last four it is empty.
    """

    kind: str
    start: int  # offset of the first byte
    end: int  # offset after the last byte
    xml: bytes
    message: str = ""


class _Stopped(Exception):
    """Raised by a handler where reading must not go on; ``index`` is in bytes from the start of what is parsed."""

    def __init__(self, reason: str, index: int) -> None:
        super().__init__(reason)
        self.index = index


def split(data: bytes, context: bytes = b"", default: str | None = None) -> Iterator[Part]:
    """Split a run of stream bytes into stream headers, elements and ends, in order.

    ``context`` is the start tag of the element that encloses ``data`` where ``data`` does not begin with one: the
    stream header of bytes that start later, or ``b"<frame>"`` where each message holds whole elements (RFC 7395). A
    header inside a stream is a restart (RFC 6120 section 4.3.3), also without an XML declaration. ``default`` stands in
    for the header's own default namespace where elements inherit it. Never raises.
    """
    start = 0
    for _ in range(MAX_RESTARTS):
        reader = _Reader(data, start, context, default)
        yield from reader.run()
        if reader.resume is None:
            return
        start, context = reader.resume, b""
    yield Part("broken", start, start, b"", f"more than {MAX_RESTARTS} stream headers")


class _Reader:
    """One document of a stream: from a header to its end, to the next header or to what cannot be read."""

    def __init__(self, data: bytes, start: int, context: bytes, default: str | None) -> None:
        self.data, self.start, self.context, self.default = data, start, context, default
        self.resume: int | None = None
        self.depth = 0
        self.parts: list[Part] = []
        self.scope: dict[str | None, str] = {}  # prefix: namespace, as the header declares
        self.declared: dict[str | None, str] = {}  # of the tag that comes next
        self.own: set[str | None] = set()  # prefixes that the element being read declares itself
        self.begin = self.end_of_tag = 0
        self.empty = False
        parser = expat.ParserCreate("UTF-8", namespace_separator=" ")  # RFC 6120 section 11.6: nothing but UTF-8
        if hasattr(parser, "SetReparseDeferralEnabled"):
            parser.SetReparseDeferralEnabled(False)  # else the last element waits for bytes that never come
        parser.StartElementHandler = self._started
        parser.EndElementHandler = self._ended
        parser.StartNamespaceDeclHandler = self._declares
        parser.StartDoctypeDeclHandler = self._doctype
        parser.CommentHandler = lambda _: self._odd("a comment")
        parser.ProcessingInstructionHandler = lambda *_: self._odd("a processing instruction")
        self.parser: Any = parser

    def run(self) -> Iterator[Part]:
        """Give the parts of this document; afterwards ``resume`` says where the next one begins, if anywhere."""
        body = memoryview(self.data)[self.start :]
        if not self.context:
            first = _FIRST_TAG.search(self.data, self.start)
            doctype = _DOCTYPE.search(self.data, self.start, first.start() if first else len(self.data))
            if doctype:
                where = doctype.start()
                yield Part("broken", where, where, b"", "a document type, which XMPP forbids (RFC 6120 section 11.1)")
                return
        try:
            if self.context:
                self.parser.Parse(self.context, False)
            self.parser.Parse(body, False)
        except _Stopped as stopped:
            where = self._at(stopped.index)
            if stopped.args[0]:
                self.parts.append(Part("broken", where, where, b"", stopped.args[0]))
            else:
                self.resume = where
        except expat.ExpatError as error:
            self._failed(error)
        else:
            if self.depth > 1:
                cut = Part("refused", self.begin, len(self.data), b"", "an element that does not end in the capture")
                self.parts.append(cut)
        finally:
            self.parser = None  # which holds this reader: a circle that only the collector would find
        yield from self.parts

    def _at(self, index: int) -> int:
        """Offset in ``data`` of an index of the parser, which also counts the context."""
        return self.start + max(0, index - len(self.context))

    def _failed(self, error: expat.ExpatError) -> None:
        where = self._at(self.parser.ErrorByteIndex)
        restart = error.code == expat.errors.codes[expat.errors.XML_ERROR_MISPLACED_XML_PI] and self.depth <= 1
        after = error.code == expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]
        if (restart or after) and where > self.start and self.data[where : where + 1] == b"<":
            self.resume = where
            return
        reason = expat.ErrorString(error.code) or "not well-formed"
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_UNDEFINED_ENTITY]:
            reason = "an entity that XML does not predefine, which XMPP forbids (RFC 6120 section 11.1)"
        self.parts.append(Part("broken", where, where, b"", f"not XML from here on: {reason}"))

    def _odd(self, what: str) -> None:
        where = self._at(self.parser.CurrentByteIndex)
        self.parts.append(Part("note", where, where, b"", f"{what}, which XMPP forbids (RFC 6120 section 11.1)"))

    def _doctype(self, *_: object) -> None:
        raise _Stopped("a document type, which XMPP forbids (RFC 6120 section 11.1)", self.parser.CurrentByteIndex)

    def _declares(self, prefix: str | None, uri: str | None) -> None:
        self.declared[prefix] = uri or ""

    def _started(self, name: str, _: dict[str, str]) -> None:
        index = self.parser.CurrentByteIndex
        declared, self.declared = self.declared, {}
        self.depth += 1
        if self.depth > MAX_DEPTH + 1:  # the stream header is not part of an element
            raise _Stopped(f"elements more than {MAX_DEPTH} deep", index)
        if self.depth == 1:
            self.scope = {**declared, None: self.default} if self.default else declared
            if not self.context:
                self._header(self._at(index))
        elif self.depth == 2:
            if name == f"{STREAM} stream":
                raise _Stopped("", index)
            self.begin, self.own = self._at(index), set(declared)
            tag = _TAG.match(self.data, self.begin)
            self.end_of_tag = tag.end() if tag else self.begin
            self.empty = bool(tag) and self.data[self.end_of_tag - 2 : self.end_of_tag] == b"/>"

    def _header(self, begin: int) -> None:
        tag = _TAG.match(self.data, begin)
        end = tag.end() if tag else begin
        text = self.data[begin:end]
        if text.endswith(b"/>"):
            self.parts.append(Part("element", begin, end, text))
        else:
            self.parts.append(Part("open", begin, end, text[:-1] + b"/>"))

    def _ended(self, _: str) -> None:
        self.depth -= 1
        index = self.parser.CurrentByteIndex
        if self.depth == 1:
            end = self.end_of_tag if self.empty else self.data.find(b">", self._at(index)) + 1
            self._element(end)
        elif self.depth == 0 and self.data.startswith(b"</", where := self._at(index)):
            self.parts.append(Part("close", where, self.data.find(b">", where) + 1, b""))

    def _element(self, end: int) -> None:
        if end - self.begin > MAX_SIZE:
            message = f"an element of {end - self.begin} bytes, more than {MAX_SIZE}"
            self.parts.append(Part("refused", self.begin, end, b"", message))
            return
        text = self.data[self.begin : end]
        missing = [
            (prefix, uri)
            for prefix, uri in self.scope.items()
            if prefix not in self.own and uri and (prefix is None or f"{prefix}:".encode() in text)
        ]
        if missing:
            from xml.sax.saxutils import quoteattr  # which loads an HTTP client; few streams need it

            name = _NAME.match(text)
            after = name.end() if name else 0
            names = "".join(f" xmlns{':' + p if p else ''}={quoteattr(u)}" for p, u in missing)
            text = text[:after] + names.encode() + text[after:]
        self.parts.append(Part("element", self.begin, end, text))
