"""Who had media, in which direction, and who had none."""

import pandas as pd

from jitsilab.call import Call
from jitsilab.case import cast
from jitsilab.pages.narrative import Story, listed
from jitsilab.pages.narrative import traffic as told
from jitsilab.pages.narrative.blocks import Table
from jitsilab.pages.narrative.tunnel import stages

RECEIPTS = 0.25  # of what goes up; checks, handshake and receipts stay below it
CARRIED = 1000  # bytes a second; below, a flow carries checks and keep-alives, no media


def by_flow(call: Call) -> Table | Story:
    """UDP flows between participants and the server, both directions."""
    if not call.has("flows"):
        return Story().add("There is no capture among the evidence, so nothing is known of flows and their media.")
    flows = call.flows
    media = flows[(flows["transport"] == "udp") & flows["flow"].isin(_media_flows(call))]
    if media.empty:
        return Story().add("No UDP flow between a participant and the server carries media.", media_flows=0)
    people = set(cast.addresses(cast.build(call.tables()), flows))
    up = media["client"].isin(people).to_numpy()
    rows = pd.DataFrame(
        {
            "Flow": media["flow"],
            "Participant": media["client"].where(up, media["server"]),
            "From (s)": [f"{s:.2f}" for s in media["first_seconds"]],
            "To (s)": [f"{s:.2f}" for s in media["last_seconds"]],
            "Packets sent": media["packets_up"].where(up, media["packets_down"]),
            "Bytes sent": media["bytes_up"].where(up, media["bytes_down"]),
            "Packets received": media["packets_down"].where(up, media["packets_up"]),
            "Bytes received": media["bytes_down"].where(up, media["bytes_up"]),
        }
    )
    return Table("media-flows", rows, "Media over UDP, from the participant's side, whole frames.", align="rlrrrrrr")


def _media_flows(call: Call) -> list[int]:
    return [flow for flow, role in told.roles(call).items() if role.startswith("connectivity checks and media")]


def silence(call: Call) -> Story:
    """Participants without any media, with the control that says so; nothing without a capture."""
    if not call.has("flows"):
        return Story()
    flows, roles = call.flows, told.roles(call)
    media = flows[flows["flow"].isin(_media_flows(call))]
    with_media = set(media["client"]) | set(media["server"])
    relayed = _relayed(call)
    owners = cast.addresses(cast.build(call.tables()), flows)
    heard = {owners.get(name, name) for name in (*with_media, *relayed)}
    silent = [name for name in dict.fromkeys(owners.values()) if name not in heard]
    web = flows[[roles.get(int(f), "").startswith("pages and signaling") for f in flows["flow"]]]
    story = Story()
    for name in silent:
        own = web[web["client"] == name]
        if own.empty:
            continue
        story.add(
            "**{silent} had no media**: no UDP at all, and nothing in its flows of TURN that comes near a stream "
            "({limit} kB/s).", key=name, silent=name, limit=CARRIED // 1000,
        )  # fmt: skip
        others = web[web["client"].isin(with_media)]
        if len(others):
            longest, control = own.nlargest(1, "bytes_down").iloc[0], others.nlargest(1, "bytes_down").iloc[0]
            story.extend(
                "Could its media be in the long TLS flow? The control says no: that flow has {up:,} bytes up and "
                "{down:,} down, and the one of {control}, whose media go over UDP, {control_up:,} and "
                "{control_down:,}.",
                key=name, up=int(longest["bytes_up"]), down=int(longest["bytes_down"]), control=str(control["client"]),
                control_up=int(control["bytes_up"]), control_down=int(control["bytes_down"]),
            )  # fmt: skip
        story.extend("*Inferred*, strongly.")
    return story


def relayed(call: Call) -> Story:
    """Participants whose media go through a relay inside TLS."""
    tunnels, story = stages(call), Story()
    for row in tunnels[tunnels["stage"] == "relaying"].itertuples() if len(tunnels) else ():
        story.extend(
            "{who} has its media through TURN inside TLS (flow {flow}): {up:,} bytes up and {down:,} down in "
            "{span:.1f} s.", key=f"relay_{row.flow}", who=row.address, flow=int(row.flow), up=int(row.bytes_up),
            down=int(row.bytes_down), span=float(row.relayed_seconds),
        )  # fmt: skip
    return story.extend("*Deduced* from the lengths of the records.") if story else story


def _relayed(call: Call) -> set[str]:
    tunnels = stages(call)
    return set(tunnels.loc[tunnels["stage"] == "relaying", "address"]) if len(tunnels) else set()


def asymmetry(call: Call) -> Story:
    """What the bridge sent back to those who sent it media: media, or receipts alone; nothing without a capture."""
    if not call.has("flows"):
        return Story()
    flows = call.flows
    media = flows[flows["flow"].isin(_media_flows(call))]
    if media.empty:
        return Story()
    people = set(cast.addresses(cast.build(call.tables()), flows))
    story, one_way = Story(), []
    for row in media.itertuples():
        up, down = (row.bytes_up, row.bytes_down) if row.client in people else (row.bytes_down, row.bytes_up)
        span = max(row.last_seconds - row.first_seconds, 0.001)
        if up / span >= CARRIED and down < up * RECEIPTS:
            one_way.append((row.client if row.client in people else row.server, int(row.flow), int(up), int(down)))
    if not one_way:
        return story
    names = sorted({name for name, *_ in one_way})
    return story.add(
        "The bridge had nothing to forward to {receivers}: in {flows} {noun} {sent:,} bytes went up and {back:,} came "
        "down, which is checks, handshake and receipts. *Inferred*: a partner that is muted would look the same.",
        receivers=listed(names), flows=len(one_way),
        noun="flow" if len(one_way) == 1 else "flows", sent=sum(up for _, _, up, _ in one_way),
        back=sum(down for *_, down in one_way),
    )  # fmt: skip


def caption(streams: pd.DataFrame) -> str:
    """What the figure of the streams shows."""
    return (
        f"The {len(streams):,} media streams of the capture: a bar is thicker where the stream carried more, dark "
        "from a participant, hatched to one."
    )
