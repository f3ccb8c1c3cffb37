"""What a capture, or a table made of one, still gives away about its people and its place."""

import pandas as pd

from jitsilab.call import Call
from jitsilab.ip import is_private
from jitsilab.pages.narrative import Story, listed
from jitsilab.pages.narrative.blocks import Table


def leaks(call: Call) -> Table | Story:
    """Values of each kind that a reader can still take from the tables, with a frame to look at."""
    rows: list[tuple[str, int, str, int | None, str]] = []
    arp, tcp, stun, tls = (call.table(name) for name in ("arp", "tcp", "stun", "tls"))
    if arp is not None and len(arp):
        private = arp[arp["sender_ip"].map(is_private)]
        for address, group in private.groupby("sender_ip", sort=True):
            rows.append(("address inside the server's network", len(group), str(address), int(group["frame"].iloc[0]),
                         "which cloud and subnet"))  # fmt: skip
        macs = arp[["sender_mac", "frame"]].dropna().drop_duplicates("sender_mac")
        rows.append(("hardware address", len(macs), listed(sorted(macs["sender_mac"])), int(macs["frame"].iloc[0]),
                     "the network card"))  # fmt: skip
    if tcp is not None and tcp["tsval"].notna().any():
        stamped = tcp.dropna(subset=["tsval"])
        rows.append(("TCP timestamp", len(stamped), f"from {stamped['tsval'].iloc[0]}", int(stamped["frame"].iloc[0]),
                     "time since a host or connection started; tells hosts apart"))  # fmt: skip
    if stun is not None and len(stun):
        named = stun.dropna(subset=["username"])
        fragments = sorted({part for name in named["username"] for part in str(name).split(":")})
        if fragments:
            rows.append(("ICE user fragment", len(fragments), f"{len(named)} messages", int(named["frame"].iloc[0]),
                         "which sessions belong together; the bridge's hold the time"))  # fmt: skip
    if tls is not None and tls["sni"].notna().any():
        names = sorted(set(tls["sni"].dropna()))
        rows.append(("server name in a TLS hello", len(names), listed(names[:4]),
                     int(tls.dropna(subset=["sni"])["frame"].iloc[0]), "the domain"))  # fmt: skip
    if not rows:
        return Story().add("None of the tables gives anything of the kind away.")
    table = pd.DataFrame(rows, columns=["What", "How many", "For example", "Frame", "What it tells"])
    return Table("redaction-leaks", table, "What the tables still give away. *Measured.*", align="lrlrl")
