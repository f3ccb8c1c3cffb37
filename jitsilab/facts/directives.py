"""A web server's directives as a tree: nginx's blocks and Apache's sections have one form here."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Directive:
    """One directive: its name, arguments, place, the block it opens and the one it stands in."""

    name: str
    args: tuple[Any, ...]
    place: str
    block: "list[Directive]" = field(default_factory=list)
    parent: "Directive | None" = field(default=None, repr=False)

    def child(self, name: str) -> "Directive | None":
        """The first directive of a name in this block."""
        return next((directive for directive in self.block if directive.name == name), None)

    def children(self, name: str) -> "list[Directive]":
        """All directives of a name in this block."""
        return [directive for directive in self.block if directive.name == name]

    def inherited(self, name: str) -> "Directive | None":
        """A directive as this block sees it: its own, else that of the block around it."""
        directives = self.inherited_all(name)
        return directives[0] if directives else None

    def inherited_all(self, name: str) -> "list[Directive]":
        """Directives of a name as this block sees them: its own, else all of the nearest block around that has one."""
        here: Directive | None = self
        while here is not None:
            directives = here.children(name)
            if directives:
                return directives
            here = here.parent
        return []

    def within(self, name: str) -> "Directive | None":
        """The nearest block of a name around this directive."""
        here = self.parent
        while here is not None and here.name != name:
            here = here.parent
        return here

    def walk(self) -> "Iterator[Directive]":
        """The directive itself and all inside of it, in order."""
        stack = [self]
        while stack:
            directive = stack.pop()
            yield directive
            stack.extend(reversed(directive.block))

    def text(self) -> str:
        """Its arguments as one text."""
        return " ".join(map(str, self.args))
