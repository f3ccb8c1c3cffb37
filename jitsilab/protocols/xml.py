"""XML that came from a wire, read without document types, or more size and depth than a stanza has.

XMPP forbids document types and entity declarations (RFC 6120 section 11.1); the guard stands before the tree, so that
a bomb costs nothing. Beside it the few words for walking a tree and for writing elements.
"""

import re
from collections.abc import Iterator, Mapping
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from jitsilab.errors import ParseError

MAX_SIZE = 1 << 20  # bytes of one element; Prosody's own limits are a quarter of it (clients) and a half (servers)
MAX_DEPTH = 100  # elements inside each other; a session-initiate has nine

_INVALID = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 section 2.2


def parse(text: str | bytes) -> Element:
    """The root of one XML document; tags and attributes are ``{namespace}name`` where they have a namespace.

    Raises ParseError for a document type, for more than MAX_SIZE bytes, for more than MAX_DEPTH elements inside each
    other, and for what is not well-formed UTF-8 XML; its offset is in bytes.
    """
    try:
        data = text.encode() if isinstance(text, str) else bytes(text)
    except UnicodeEncodeError as error:
        raise ParseError("text that UTF-8 cannot hold", offset=error.start) from None
    if len(data) > MAX_SIZE:
        raise ParseError(f"{len(data)} bytes of XML; a stanza has at most {MAX_SIZE}", offset=MAX_SIZE)
    tree, depth = TreeBuilder(), 0
    parser = expat.ParserCreate("UTF-8", "}")  # RFC 6120 section 11.6: nothing but UTF-8
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise ParseError(f"elements more than {MAX_DEPTH} deep", offset=parser.CurrentByteIndex)
        tree.start(_name(tag), {_name(key): value for key, value in attributes.items()})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        tree.end(_name(tag))

    def doctype(*_: object) -> None:
        message = "a document type, which XMPP forbids (RFC 6120 section 11.1)"
        raise ParseError(message, offset=parser.CurrentByteIndex)

    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = tree.data
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ParseError(f"not XML: {expat.ErrorString(error.code)}", offset=max(parser.ErrorByteIndex, 0)) from None
    finally:  # its handlers hold the parser: a circle that only the collector would find
        parser.StartDoctypeDeclHandler = parser.StartElementHandler = None
    return tree.close()


def _name(raw: str) -> str:
    return "{" + raw if "}" in raw else raw


def split(tag: str) -> tuple[str, str]:
    """Namespace and local name of a tag: ``{urn:x}name`` gives ``("urn:x", "name")``."""
    namespace, brace, own = tag.rpartition("}")
    return (namespace[1:], own) if brace else ("", tag)


def local(element: Element) -> str:
    """The name of an element without its namespace."""
    return split(element.tag)[1]


def children(element: Element, name: str, namespace: str | None = None) -> Iterator[Element]:
    """Children of that name, of one namespace only where it is given."""
    for inner in element:
        space, own = split(inner.tag)
        if own == name and namespace in (None, space):
            yield inner


def child(element: Element, name: str, namespace: str | None = None) -> Element | None:
    """The first child of that name, or None."""
    return next(children(element, name, namespace), None)


def write(name: str, attributes: Mapping[str, object], *inner: str, text: str = "") -> str:
    """One element as text: attributes that are None or empty are left out, ``inner`` is markup, ``text`` is not.

    Characters that XML 1.0 has no way to write are left out.
    """
    from xml.sax.saxutils import escape, quoteattr  # which loads an HTTP client; who reads needs none

    pairs = [f" {key}={quoteattr(clean(str(value)))}" for key, value in attributes.items() if value not in (None, "")]
    content = escape(clean(text)) + "".join(inner)
    return f"<{name}{''.join(pairs)}>{content}</{name}>" if content else f"<{name}{''.join(pairs)}/>"


def clean(text: str) -> str:
    """``text`` without what XML 1.0 cannot hold."""
    return _INVALID.sub("", text)
