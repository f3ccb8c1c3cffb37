"""What a participant sends: nothing at all, or with losses on the way."""

from jitsilab.analysis.limits import LOSSY, SILENT_BRIDGE
from jitsilab.case.cast import Cast, Person
from jitsilab.case.signs.sign import INFERRED, MEASURED, Sign, frames_of
from jitsilab.tables import Tables, frame


def sends_nothing(person: Person, call: Cast, tables: Tables) -> Sign | None:
    """The participant announces neither audio nor video and sends none: no device, or no permission.

    Whoever is muted has announced its sources, so this is not that.
    """
    sessions = [session for session in person.sessions if session.accepted]
    if sessions:
        sources, ends = tables.get("sources"), {stream.endpoint for stream in person.xmpp_streams if stream.endpoint}
        if not ends or not all(stream.whole for stream in person.xmpp_streams) or sources is None:
            return None
        own = sources["owner"].isin(list(ends)) & sources["origin"].eq("jingle") & sources["ssrc"].notna()
        if own.any() or any(leg.rtp_out.lasting for leg in person.legs):
            return None
        waited = (
            call.end - min(session.offered_at for session in sessions if session.offered_at == session.offered_at)
            if any(session.offered for session in sessions)
            else 0.0
        )
        if waited < SILENT_BRIDGE.value:
            return None
        return Sign("sends-nothing", frames_of([session.accepted for session in sessions]), MEASURED,
                    sessions[0].offered_at, note="its answer announces no source, and it sends none")  # fmt: skip
    heard = [leg for leg in person.legs if leg.kind == "jvb" and leg.secured and leg.rtp_in.lasting]
    sent = any(leg.rtp_out.packets for leg in person.legs) or any(turn.sent > 1 for turn in person.turn)
    if not heard or sent or call.lossy:
        return None
    note = "it receives media over the bridge and sends none, muted or without a device"
    return Sign("sends-nothing", frames_of([leg.secured for leg in heard]), INFERRED, note=note)


def lossy(person: Person, tables: Tables) -> Sign | None:
    """A share of the participant's packets that is lost between it and where this was captured."""
    media = frame(tables, "media")
    if not len(media) or "lost" not in media:
        return None
    worst: tuple[float, int, int] = (0.0, 0, 0)
    own = media["flow"].isin([leg.flow for leg in person.legs])
    wanted = ["flow", "depth", "src", "up", "packets", "lost", "first_frame"]
    flows = dict(list(media.loc[own, wanted].groupby("flow")))
    for leg in person.legs:
        if leg.flow not in flows:
            continue
        inside, rows = leg.via.startswith("turn"), flows[leg.flow]
        rows = rows[rows["depth"].gt(0).eq(inside)]
        rows = rows[rows["src"].eq(leg.address) | rows["up"].fillna(False).astype(bool) & inside]
        packets, lost = int(rows["packets"].sum()), int(rows["lost"].fillna(0).clip(lower=0).sum())
        if packets + lost and lost / (packets + lost) > worst[0] and lost > 1:
            worst = (lost / (packets + lost), lost, int(rows["first_frame"].iloc[0]))
    share, lost, shown = worst
    if share < LOSSY.value:
        return None
    return Sign("lossy", frames_of(shown), MEASURED, note=f"{share:.1%} of its packets are lost before they come here",
                value=f"{share:.3f}")  # fmt: skip
