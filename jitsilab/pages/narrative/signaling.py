"""The exchange in clear: what was said in order, the offer as Jingle beside its SDP, what the answer changed.

Passwords are shown nowhere, whatever the table holds.
"""

import re
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd

from jitsilab.call import Call
from jitsilab.errors import ParseError
from jitsilab.pages.narrative import Story, listed
from jitsilab.pages.narrative.blocks import Table
from jitsilab.protocols import jingle as jingles
from jitsilab.protocols import xml, xmpp
from jitsilab.tables.parsed import stanzas_of

MOST_STANZAS, MOST_LINES = 60, 60
HIDDEN = "(not shown)"

_SECRETS = re.compile(r"(?i)((?:pwd|password|token|jwt|secret)[=:]\s*)[^\s&'\"]+")


def stanzas(call: Call) -> Table | Story:
    """What one participant and the server said to each other, from the first stanza to the answer and its end."""
    every = call.table("xmpp")
    if not call.has("flows"):
        return Story().add("There is no capture among the evidence: what was said on the wire is not here.", stanzas=0)
    if every is None:
        return Story().add(
            "The signaling itself is not observable here: it runs inside TLS, and there is neither a key log nor a "
            "capture of the server's loopback. What follows is read from what is left.", stanzas=0,
        )  # fmt: skip
    if every.empty:
        return Story().add("There is no XMPP in this capture.", stanzas=0)
    own = every[every["connection"] == _connection(call, every)]
    shown, read = own.head(MOST_STANZAS), stanzas_of(every)
    rows = pd.DataFrame(
        {
            "Frame": shown["frame"],
            "Time (s)": [f"{s:.3f}" for s in shown["seconds"]],
            "From": ["client" if way == "c2s" else "server" for way in shown["direction"]],
            "Stanza": [" ".join(str(v) for v in (n, t) if pd.notna(v))
                       for n, t in zip(shown["name"], shown["type"], strict=True)],
            "What it is for": [
                xmpp.purpose(stanza) if stanza is not None else "could not be read"
                for stanza in (read[place] for place in np.flatnonzero(every.index.isin(shown.index)))
            ],
        }
    )  # fmt: skip
    caption = f"One participant's signaling in order ({len(own):,} of the capture's {len(every):,} stanzas)."
    if len(shown) < len(own):
        caption += f" The first {len(shown)}; `jitsilab table xmpp` has all."
    return Table("stanzas", rows, caption, align="rrlll")


def _connection(call: Call, every: pd.DataFrame) -> object:
    """The connection of the first answered offer, else the first one."""
    jingle = call.table("jingle")
    if jingle is not None and len(jingle):
        accepted = jingle[(jingle["action"] == "session-accept") & (jingle["session"] == "jvb")]
        for stanza in accepted["stanza"] if len(accepted) else jingle["stanza"]:
            if stanza in every.index:
                return every.loc[stanza, "connection"]
    return every["connection"].iloc[0]


def _exchange(call: Call) -> tuple[int, int] | None:
    """The rows in xmpp of the first offer that was answered, and of its answer."""
    jingle, every = call.table("jingle"), call.table("xmpp")
    if jingle is None or every is None or jingle.empty:
        return None
    for row in jingle[jingle["action"] == "session-accept"].drop_duplicates("stanza").itertuples():
        offers = jingle[(jingle["action"] == "session-initiate") & (jingle["sid"] == row.sid)]
        if len(offers) and {int(offers["stanza"].iloc[0]), int(row.stanza)} <= set(every.index):
            return int(offers["stanza"].iloc[0]), int(row.stanza)
    return None


def offer(call: Call) -> Table | Story:
    """The first section of an offer, element by element, beside the lines of SDP that a browser is handed."""
    exchange = _exchange(call)
    if exchange is None:
        return Story()
    text = str(call.xmpp.loc[exchange[0], "xml"])
    try:
        tree, description = xml.parse(text), jingles.to_sdp(text)
    except ParseError:
        return Story()
    sections = re.split(r"(?m)^(?=m=)", description.replace("\r\n", "\n"))
    content = next((e for e in tree.iter() if xml.local(e) == "content"), None)
    if content is None or len(sections) < 2:
        return Story()
    left = sections[1].splitlines()
    rows = []
    for element in content.iter():
        lines = [line for line in left if _belongs(element, line)]
        left = [line for line in left if line not in lines]
        if lines or xml.local(element) in ("web-socket", "sctpmap"):
            rows.append((_tag(element), " · ".join(_hidden(line) for line in lines)))
    rows += [("", _hidden(line)) for line in left if not line.startswith(("c=", "a=rtcp:", "a=x-jingle"))]
    frame = int(call.xmpp.loc[exchange[0], "frame"])
    caption = f"The first section of the offer in frame {frame}: Jingle, and the SDP that says the same."
    table = pd.DataFrame(rows[:MOST_LINES], columns=["Jingle element", "Lines of SDP"])
    return Table("offer", table, caption, code=("Jingle element", "Lines of SDP"))


def _belongs(element: Element, line: str) -> bool:
    """Whether a line of SDP says what this element says."""
    get = element.get
    starts = {
        "content": (f"a={_direction(get('senders'))}", "a=mid:"),
        "description": ("m=",),
        "payload-type": (f"a=rtpmap:{get('id')} ", f"a=fmtp:{get('id')} ", f"a=rtcp-fb:{get('id')} "),
        "rtp-hdrext": (f"a=extmap:{get('id')} ",),
        "extmap-allow-mixed": ("a=extmap-allow-mixed",),
        "rtcp-mux": ("a=rtcp-mux",),
        "transport": ("a=ice-ufrag:", "a=ice-pwd:"),
        "fingerprint": ("a=fingerprint:", "a=setup:"),
        "candidate": (f"a=candidate:{get('foundation')} ",),
        "source": (f"a=ssrc:{get('ssrc')} ",),
    }.get(xml.local(element), ())
    return line.startswith(tuple(starts)) if starts else False


def _direction(senders: str | None) -> str:
    return {"both": "sendrecv", "initiator": "sendonly", "responder": "recvonly", "none": "inactive"}.get(
        senders or "both", "sendrecv"
    )


def _tag(element: Element) -> str:
    shown = {name: value for name, value in element.attrib.items() if name != "pwd" and not name.startswith("{")}
    words = [xml.local(element), *(f"{name}={_hidden(str(value))}" for name, value in shown.items())]
    if "pwd" in element.attrib:
        words.append(f"pwd={HIDDEN}")
    return " ".join(words)


def _hidden(line: str) -> str:
    return _SECRETS.sub(rf"\g<1>{HIDDEN}", line)


def answer(call: Call) -> Table | Story:
    """What the answer says otherwise than the offer, section by section."""
    exchange = _exchange(call)
    if exchange is None:
        return Story()
    sides = []
    for stanza in exchange:
        sections = call.jingle[call.jingle["stanza"] == stanza].set_index("content")
        counts = {name: _counts(call, name, stanza) for name in ("payload_types", "candidates", "sources")}
        sides.append((sections, counts))
    (offered, has), (answered, takes) = sides
    rows = []
    for content in offered.index.intersection(answered.index):
        offer, answer = offered.loc[content], answered.loc[content]
        for name, words in (("setup", "DTLS role"), ("senders", "who sends"), ("ufrag", "user fragment"),
                            ("fingerprint", "fingerprint")):  # fmt: skip
            rows.append((content, words, _short(offer[name]), _short(answer[name])))
        for name, words in (("payload_types", "payload types"), ("candidates", "candidates"), ("sources", "sources")):
            rows.append((content, words, has[name].get(content, ""), takes[name].get(content, "")))
    rows = [row for row in rows if row[2] != row[3] and (row[3] or row[1] == "candidates")]
    if not rows:
        return Story()
    frames = [int(call.xmpp.loc[stanza, "frame"]) for stanza in exchange]
    caption = f"What the answer (frame {frames[1]}) says otherwise than the offer (frame {frames[0]})."
    table = pd.DataFrame(rows[:MOST_LINES], columns=["Section", "What", "Offer", "Answer"])
    return Table("answer", table, caption)


def _counts(call: Call, name: str, stanza: int) -> dict[str, str]:
    table = call.table(name)
    if table is None or table.empty:
        return {}
    rows = table[table["stanza"] == stanza]
    key = "content" if "content" in rows else "kind"
    label = {"payload_types": "id", "candidates": "type", "sources": "name"}[name]
    return {
        str(content): listed(str(v) for v in dict.fromkeys(group[label].dropna()))
        for content, group in rows.groupby(key, sort=False)
    }


def _short(value: object) -> str:
    text = "" if pd.isna(value) else str(value)
    return text if len(text) <= 26 else f"{text[:20]}…"
