"""What the handshakes and the keep-alives show: who is the client, who knew whom before, who runs on what."""

import pandas as pd

from jitsilab.call import Call
from jitsilab.pages.narrative import Story, listed

RECORD_HEADER = 5  # bytes (RFC 8446 section 5.1)
CERTIFICATE = 500  # bytes; a server flight below this holds none
PAUSE = 1.5  # s; checks that follow each other faster belong to the search for a pair, not to keep-alive


def dtls(call: Call) -> Story:
    """Roles, cookie and moment of the DTLS handshakes."""
    table = call.table("dtls")
    if table is None or table.empty:
        return Story()
    outer = table[table["depth"] == 0]
    hellos = outer[outer["handshake_type"].fillna("") == "client_hello"]
    answers = outer[outer["handshake_type"].fillna("") == "server_hello"]
    if hellos.empty or answers.empty:
        return Story()
    versions = sorted({str(version) for version in answers["version"].dropna()})
    cookies = int((outer["handshake_type"].fillna("") == "hello_verify_request").sum())
    roles = {"the participant" if up else "the server" for up in hellos["up"]}
    story = Story().add(
        "{clients} opens the DTLS handshake in {flows} of {flows} flows ({versions}), {cookies} of them with a cookie "
        "exchange (frames {hellos}). *Measured.*", clients=listed(sorted(roles)).capitalize(),
        flows=int(hellos["flow"].nunique()), versions=listed(versions), cookies=cookies,
        hellos=tuple(hellos.groupby("flow")["frame"].first()),
    )  # fmt: skip
    data = outer[outer["record_type"].fillna("") == "application_data"]
    if len(data):
        story.extend(
            "{records} records of application data follow ({up} up, {down} down): an SCTP association, as a bridge "
            "channel uses it. *Inferred.*", records=len(data), up=int(data["up"].astype(bool).sum()),
            down=int((~data["up"].astype(bool)).sum()),
        )  # fmt: skip
    waited = _waited(call, hellos, answers)
    if waited:
        first, delay, frame = waited
        story.extend(
            "A hello that came before the checks were through waited: sent at {hello:.3f} s, it was answered at "
            "{answer:.3f} s (frame {frame}), {after:.1f} ms after the answer to a check of the server. The bridge "
            "takes DTLS only from an address that the checks have confirmed.",
            hello=first, answer=first + delay[0], frame=frame, after=delay[1] * 1000,
        )  # fmt: skip
    return story


def _waited(call: Call, hellos: pd.DataFrame, answers: pd.DataFrame) -> tuple[float, tuple[float, float], int] | None:
    """The first hello that waited for the checks: when, (until the answer, from the last check to it), frame."""
    stun = call.table("stun")
    if stun is None:
        return None
    for flow, sent in hellos.groupby("flow", sort=True):
        reply = answers[answers["flow"] == flow]
        done = stun[(stun["flow"] == flow) & stun["up"].astype(bool) & (stun["message_class"] == "success")]
        if reply.empty or done.empty:
            continue
        hello, answer = float(sent["seconds"].iloc[0]), float(reply["seconds"].iloc[0])
        confirmed = done.loc[done["seconds"] <= answer, "seconds"]
        if len(confirmed) and hello < confirmed.iloc[0]:
            return (hello, (answer - hello, answer - float(confirmed.iloc[-1])), int(reply["frame"].iloc[0]))
    return None


def resumption(call: Call) -> Story:
    """TLS 1.3 handshakes whose server sent too little for a certificate."""
    tls = call.table("tls")
    if tls is None or tls.empty:
        return Story()
    sizes: dict[int, int] = {}
    for flow, rows in tls.groupby("flow", sort=True):
        rows = rows.sort_values("frame", kind="stable")
        server = rows[~rows["up"].astype(bool)]
        start = server["handshake"].fillna("").str.contains("server_hello")
        if not start.any() or str(server.loc[start, "version"].iloc[0]) != "TLS 1.3":
            continue
        first = int(server.loc[start, "frame"].iloc[0])
        later = rows[rows["up"].astype(bool) & (rows["frame"] > first)]["frame"]
        flight = server[(server["frame"] >= first) & (server["frame"] < (later.min() if len(later) else 2**62))]
        known = flight["length"].fillna(0).sum()
        if "length_sum" in flight:  # several records under one printed length: counted once
            known += flight.groupby("frame")["length_sum"].first().fillna(0).sum()
        sizes[int(flow)] = int(known) + RECORD_HEADER * len(flight)
    short = {flow: size for flow, size in sizes.items() if size < CERTIFICATE}
    if not sizes:
        return Story()
    story = Story().add(
        "{short} of {handshakes} TLS 1.3 handshakes have a server flight too short for a certificate", short=len(short),
        handshakes=len(sizes),
    )  # fmt: skip
    if short:
        low, high = min(short.values()), max(short.values())
        if low == high:
            story.extend("({bytes} bytes each)", bytes=low)
        else:
            story.extend("({low} to {high} bytes)", low=low, high=high)
        story.extend(
            ": they resume an earlier session [[10]](#ref-10), so these clients had been here before the capture "
            "began. *Deduced.*"
        )
    else:
        story.extend(": each is a first visit, or its ticket had run out. *Deduced.*")
    return Story(story.text.replace(" :", ":"), story.values)


def back_ends(call: Call) -> Story:
    """TLS versions on one port of the server, where they tell two programs apart."""
    from jitsilab.case import timeline as events

    tls = call.table("tls")
    if tls is None or tls.empty:
        return Story()
    turn = events.turn_flows({name: call.table(name) for name in ("stun", "turn_in_tls")})
    negotiated = tls[~tls["up"].astype(bool)].dropna(subset=["version"]).groupby("flow")["version"].max()
    hidden = {str(version) for flow, version in negotiated.items() if int(flow) in turn}
    plain = {str(version) for flow, version in negotiated.items() if int(flow) not in turn}
    if not hidden or not plain or hidden & plain:
        return Story()
    return Story().add(
        "Two programs answer on the same port: the flows with TURN inside speak {hidden}, the others {plain}. "
        "*Measured*; that the first is coturn and the second nginx is *inferred* from what they carry.",
        hidden=listed(sorted(hidden)), plain=listed(sorted(plain)),
    )  # fmt: skip


def stacks(call: Call) -> Story:
    """TCP stacks against TLS clients: one browser behind another machine's TCP means a proxy between."""
    tcp, tls = call.table("tcp"), call.table("tls")
    if tcp is None or tls is None:
        return Story()
    opening = tcp[tcp["flags"].fillna("") == "SYN"]
    hello = tls[tls["handshake"].fillna("").str.contains("client_hello")].drop_duplicates("flow")
    hello = hello.set_index("flow")["length"]
    people: dict[str, tuple[set[str], set[int]]] = {}
    for row in opening.itertuples():
        if row.flow in hello.index and pd.notna(hello[row.flow]):
            stack, sizes = people.setdefault(str(row.src), (set(), set()))
            stack.add(f"window {row.window}, scale {row.scale}, MSS {row.mss}")
            sizes.add(int(hello[row.flow]) + RECORD_HEADER)
    if len(people) < 2 or len({frozenset(stack) for stack, _ in people.values()}) < 2:
        return Story()
    first, *others = people.items()
    alike = [(name, marks) for name, marks in others if marks[1] == first[1][1] and marks[0] != first[1][0]]
    if not alike or len(first[1][1]) != 1:
        return Story()
    name, (stack, sizes) = alike[0]
    return Story().add(
        "{first} and {second} send TLS client hellos of the same {size} bytes, as one browser version does, from TCP "
        "stacks that are not the same ({first}: {stack_a}; {second}: {stack_b}). One of the two connections is carried "
        "by another machine, as a proxy does. *Inferred*: two systems with one browser would look the same.",
        first=first[0], second=name, size=sizes.pop(), stack_a=listed(sorted(first[1][0])),
        stack_b=listed(sorted(stack)),
    )  # fmt: skip


def keep_alive(call: Call) -> Story:
    """The rhythm of the checks after a pair was found, against RFC 7675."""
    stun = call.table("stun")
    if stun is None or stun.empty:
        return Story()
    asked = stun[(stun["method"] == "Binding") & (stun["message_class"] == "request") & (stun["depth"] == 0)]
    gaps = []
    for (_, up), requests in asked.groupby(["flow", "up"], sort=True):
        pauses = requests["seconds"].diff().dropna()
        gaps += [(bool(up), float(pause)) for pause in pauses[pauses >= PAUSE]]
    story = Story()
    for up, who, name in ((False, "the server", "server"), (True, "the participants", "client")):
        of_side = pd.Series([pause for side, pause in gaps if side == up], dtype="float64")
        if len(of_side) < 3:
            continue
        spread = float(of_side.quantile(0.9) - of_side.quantile(0.1)) / float(of_side.median())
        verb = "checks" if not up else "check"
        story.extend(
            f"{who.capitalize()} {verb} a found pair every {{{name}_period:.3f}} s at the median "
            f"({{{name}_count}} pauses, the middle eight tenths within {{{name}_spread:.1f}} % of it).",
            **{
                f"{name}_period": float(of_side.median()),
                f"{name}_count": len(of_side),
                f"{name}_spread": 100 * spread,
            },
        )
    if story:
        story.extend(
            "RFC 7675 asks for about 5 s, drawn anew each time between 0.8 and 1.2 of it [[12]](#ref-12). *Measured.*"
        )
    return story
