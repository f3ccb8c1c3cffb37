"""The floors of a capture as sharing needs them: what keys opened is kept, what stays sealed is read again later.

A long capture is mostly sealed records. `jitsilab.wire.Wire` keeps them all, since tables show them; here only what
describes a sealed session is kept, and its records are read once more when it is rewritten.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from jitsilab.inputs.packets import PacketTables
from jitsilab.wire import Wire, decrypt
from jitsilab.wire.decrypt.records import Records

if TYPE_CHECKING:
    from jitsilab.wire.decrypt import Session


class Floors(Wire):
    """A capture of which little is kept in memory."""

    @cached_property
    def sessions(self) -> "dict[int, Session]":
        """The TLS session of each flow that carries one; without records where none was opened."""
        by_flow: dict[int, Session] = {}
        known: dict[bytes, bytes] = {}  # a server shows the same certificate again and again
        for session in self.each_session():
            if not session.decrypted:
                theirs, ours = (tuple(known.setdefault(der, der) for der in chain)
                                for chain in (session.certificates, session.client_certificates))  # fmt: skip
                session = replace(
                    session,
                    records=Records(session.flow),
                    problems=[],
                    heard={},
                    certificates=theirs,
                    client_certificates=ours,
                )
            by_flow[session.flow] = session
        return by_flow

    def each_session(self) -> "Iterator[Session]":
        """The sessions one after the other, whole."""
        for session in decrypt.each(self.flows, self.keylog):
            yield session
            self.release(session.flow)

    def whole(self, session: "Session") -> "Session":
        """A session with its records."""
        if session.decrypted:
            return session
        up, down = (self.flows.stream(session.flow, side) for side in (True, False))
        return decrypt.session(up, down, None, flow=session.flow, start=session.start)

    def forget(self) -> None:
        """Let go of the messages of STUN and DTLS: names are learned from them, and frames are rewritten without."""
        self.__dict__.pop("units", None)

    def release(self, flow: int | None = None) -> None:
        """Let go of the bytes of a flow's streams, or of all."""
        for number in range(len(self.flows)) if flow is None else (flow,):
            for up in (True, False):
                self.flows.stream(number, up).release()


def rebuilt(sources: "list[PacketTables]") -> dict[int, PacketTables]:
    """The same captures on floors of their own, by the identity of each source."""
    return {
        id(source): PacketTables(source.input, Floors(source.wire.packets, source.wire.keylog), kind=source.kind)
        for source in sources
        if source.wire is not None
    }
