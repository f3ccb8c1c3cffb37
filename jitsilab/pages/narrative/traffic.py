"""What a capture holds before anything is explained: frames, flows, who sent how much when."""

import pandas as pd

from jitsilab import call as calls
from jitsilab.analysis import traffic
from jitsilab.call import Call
from jitsilab.case import cast
from jitsilab.case import timeline as events
from jitsilab.ip import endpoint
from jitsilab.pages.narrative import Story, listed
from jitsilab.pages.narrative.blocks import Table
from jitsilab.pages.narrative.people import names

MOST_FLOWS, MOST_ADDRESSES = 40, 4


def overview(call: Call) -> Story:
    """Size, span and parties of the capture."""
    frames = call.table("frames")
    if frames is None or frames.empty:
        return Story().add("There is no capture here, or it holds no frames.", frames=0)
    flows = call.flows
    who = cast.build(call.tables())
    people, servers = list(dict.fromkeys(cast.addresses(who, flows).values())), who.servers
    story = Story().add(
        "The capture has {frames:,} frames in {span:.1f} s, {bytes:,} bytes on the wire, in {flows} five-tuples.",
        frames=len(frames), span=float(frames["seconds"].iloc[-1] - frames["seconds"].iloc[0]),
        bytes=int(frames["length"].sum()), flows=len(flows),
    )  # fmt: skip
    if frames["time"].notna().any():
        first = frames["time"].dropna().iloc[0]
        story.extend("It starts at {start} UTC.", start=first.strftime("%Y-%m-%d %H:%M:%S"))
    else:
        story.extend("Its times are relative to the first frame.")
    if servers:
        story.extend(
            "The server is {server}; {people} at the other ends.", server=listed(servers[:MOST_ADDRESSES]),
            people=f"{listed(people)} {'is' if len(people) == 1 else 'are'}" if people else "nobody is",
        )  # fmt: skip
    bad = call.table("errors")
    if bad is not None and len(bad):
        story.extend("{problems:,} places in it could not be read (table `errors`).", problems=len(bad))
    return story


def _rows(call: Call, name: str) -> pd.DataFrame:
    """A table of packets, without rows where the evidence holds none."""
    rows = call.table(name)
    return calls.empty(name) if rows is None else rows


def protocols(call: Call) -> Table:
    """Frames and bytes by protocol."""
    frames = _rows(call, "frames")
    rows = frames.groupby("protocol", dropna=False)["length"].agg(Frames="size", Bytes="sum").reset_index()
    rows = rows.sort_values(["Frames", "protocol"], ascending=[False, True]).rename(columns={"protocol": "Protocol"})
    caption = "Frames and bytes by protocol, each frame counted once, by the innermost protocol that it shows."
    return Table("protocols", rows, caption)


def flows(call: Call) -> Table:
    """Every five-tuple and what it is."""
    every = _rows(call, "flows")
    shown = every.assign(bytes=every["bytes_up"] + every["bytes_down"]).nlargest(MOST_FLOWS, "bytes")
    shown = shown.sort_values("first_frame", kind="stable")
    reading = roles(call)
    rows = pd.DataFrame(
        {
            "Flow": shown["flow"],
            "Client": [endpoint(str(a), p) for a, p in zip(shown["client"], shown["client_port"], strict=True)],
            "Server": [
                f"{t.upper()} {endpoint(str(a), p)}"
                for t, a, p in zip(shown["transport"], shown["server"], shown["server_port"], strict=True)
            ],
            "From (s)": [f"{s:.2f}" for s in shown["first_seconds"]],
            "To (s)": [f"{s:.2f}" for s in shown["last_seconds"]],
            "Bytes sent": shown["bytes_up"],
            "Bytes received": shown["bytes_down"],
            "What it is": [reading.get(int(flow), "") for flow in shown["flow"]],
        }
    )
    left = len(every) - len(shown)
    caption = "The five-tuples of the capture; sent and received are from the client's side, whole frames."
    if left:
        caption += f" The {left:,} smallest are left out."
    return Table("five-tuples", rows, caption, align="rllrrrrl")


def roles(call: Call) -> dict[int, str]:
    """What each flow is, in words, from what it shows."""
    turn = events.turn_flows({name: call.table(name) for name in ("stun", "turn_in_tls")})
    lengths, stun, tls = call.table("turn_in_tls"), call.table("stun"), call.table("tls")
    hidden = set() if lengths is None else set(lengths["flow"].dropna().astype(int))
    ice = set() if stun is None else set(stun.loc[stun["method"] == "Binding", "flow"].dropna().astype(int))
    web = set() if tls is None else set(tls["flow"].dropna().astype(int))
    versions = {} if tls is None else tls.dropna(subset=["version"]).groupby("flow")["version"].max().to_dict()
    by_flow = {}
    for row in _rows(call, "flows").itertuples():
        flow, kind = int(row.flow), str(row.kind)
        if flow in turn:
            by_flow[flow] = "TURN inside TLS" if flow in hidden or row.transport == "tcp" else "TURN"
        elif "SSH" in kind.split():
            by_flow[flow] = "the administrator's shell"
        elif row.transport == "udp" and flow in ice:
            by_flow[flow] = "connectivity checks and media" if "DTLS" in kind.split() else "connectivity checks"
        elif flow in web:
            by_flow[flow] = "pages and signaling"
        else:
            by_flow[flow] = kind
        if flow in versions:
            by_flow[flow] += f" ({versions[flow]})"
    return by_flow


def by_participant(call: Call, interval: float = 1.0) -> pd.DataFrame:
    """What `jitsilab.pages.figures.plot_traffic` draws, with TURN told apart from signaling."""
    flows = _rows(call, "flows")
    paths = {flow: "TURN in TLS" for flow, role in roles(call).items() if role.startswith("TURN inside")}
    who = cast.build(call.tables())
    people = cast.addresses(who, flows)
    amounts = traffic.by_participant(_rows(call, "frames"), flows, people, who.servers, interval, paths)
    return amounts.assign(participant=amounts["participant"].replace(names(call)))


def caption(amounts: pd.DataFrame, interval: float) -> str:
    """What the figure of the traffic shows."""
    return (
        f"Traffic by participant, path and direction, in steps of {interval:g} s: above each line what the participant "
        "sent, below it what came. The height grows with the square root of the rate."
    )
