"""The floors of a capture as sharing needs them: gone through once or twice, and let go behind that."""

from jitsilab.inputs.packets import PacketTables
from jitsilab.pcap.cores import processes
from jitsilab.wire import Wire
from jitsilab.wire.decrypt import shares


class Floors(Wire):
    """A capture of which little is kept in memory."""

    def forget(self, *names: str) -> None:
        """Let go of some floors, or of all; they are built anew where they are asked for."""
        for name in names or ("flows", "labels", "sessions", "units", "carried"):
            self.__dict__.pop(name, None)

    def shares(self) -> list[list[int]]:
        """Flows for each process that may work on them, neighbours together."""
        self.sessions  # noqa: B018 (opened here, once, not by each process)
        return shares(self.packets, self.flows, processes())

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
