"""What one capture, or one print of packets, shows of each participant: path, stage, cause."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from jitsilab.analysis.limits import ANSWERED_OFFER, BURST
from jitsilab.case import cast as people
from jitsilab.case import signs as signs_of
from jitsilab.case.cast import Cast, Person
from jitsilab.case.signs import PersonSigns, Sign, Signs, reach
from jitsilab.inputs.packets import PacketTables
from jitsilab.ip import is_private
from jitsilab.judge.causes.packets import Answer, cause
from jitsilab.judge.causes.paths import Path, paths, stage, turn_stage
from jitsilab.judge.causes.statement import Statement
from jitsilab.judge.checks import GUARD
from jitsilab.judge.diagnosis.answer import Diagnosed
from jitsilab.place import Place

#: signs that are a cause, in the order of the causes: the first that is seen is the answer
_BEFORE_MEDIA = (
    ("tls_refused", "tls-refused"), ("signaling_refused", "signaling-refused"), ("login_refused", "xmpp-auth-failed"),
    ("focus_missing", "no-focus"), ("bridge_missing", "no-bridge"), ("mapping_missing", "nat-mapping-missing"),
    ("mapping_wrong", "nat-mapping-wrong"), ("hairpin", "hairpin-nat"),
)  # fmt: skip
_CONDITIONS = (
    ("channel_refused", "bridge-channel-refused"), ("source_rewritten", "source-rewritten"),
    ("sends_nothing", "sends-nothing"), ("lossy", "lossy"),
)  # fmt: skip


class Seen:
    """One capture's participants with their answers, and what holds of its server."""

    def __init__(self, source: PacketTables, cast: Cast | None = None) -> None:
        self.input = source.input
        self.source = source
        self.cast: Cast = cast if cast is not None else people.build(source)
        self.people: list[Diagnosed] = []
        self.conditions: list[Statement] = []
        self.signs: Signs | None = None
        self.stated: list[Statement] = []
        self.refused: list[Diagnosed] = []  # participants, if other evidence shows that this is a Jitsi server
        if not self.cast.jitsi:
            self._refused()
            return
        routes = {id(person): self._timely(paths(person, self.cast)) for person in self.cast.people}
        relayed = [
            number for number, person in enumerate(self.cast.people)
            if routes[id(person)] and routes[id(person)][-1].name.startswith("turn")
        ]  # fmt: skip
        self.signs = signs_of.gather(self.cast, source, relayed=relayed)
        for person in self.cast.people:
            self.people.append(self._row(person, routes[id(person)], self.signs.of_person(person)))
        self._server(self.signs)

    def _timely(self, route: list[Path]) -> list[Path]:
        """The ways that had not ended before the part of the capture that is asked for; all where all had."""
        since = getattr(self.source, "since", float("-inf"))
        return [path for path in route if path.end >= since] or route

    def _refused(self) -> None:
        """Nothing shows a Jitsi call, since the page never came: the server's certificate was refused."""
        if not self.cast.people:
            return
        signs = signs_of.gather(self.cast, self.source)
        for person, shown in zip(self.cast.people, signs.people, strict=True):
            sign = shown.tls_refused
            if sign is not None:
                where = self._places(sign.frames)
                statement = Statement(
                    "tls-refused", sign.reason or None, (person.id,), sign.certainty, where, sign.note
                )
                self.stated.append(statement)
                row = Diagnosed(
                    person.id, person.nick, person.addresses, media_path="none", cause="tls-refused",
                    reason=sign.reason or None, certainty=sign.certainty, frames=list(sign.frames),
                    evidence=list(where), note=sign.note, input=self.input,
                )  # fmt: skip
                self.refused.append(row)

    def _server(self, signs: Signs) -> None:
        """What holds of the server, for nobody in particular."""
        for name, sign in (
            ("bridge-udp-unreachable", signs.server.bridge_udp_unreachable),
            ("source-rewritten", signs.server.source_rewritten),
            ("bridges-relay-broken", signs.server.bridges_relay_broken),
        ):
            if sign is not None:
                self.conditions.append(self._condition(name, sign, None))

    def _condition(self, name: str, sign: Sign, who: str | None) -> Statement:
        return Statement(
            name, None, (who,) if who is not None else None, sign.certainty, self._places(sign.frames), sign.note,
            sign.status,
        )  # fmt: skip

    def _places(self, frames: Any) -> tuple[Place, ...]:
        return tuple(Place(self.input, int(frame)) for frame in list(frames)[:12])

    def _row(self, person: Person, route: list[Path], signs: PersonSigns) -> Diagnosed:
        tables = self.source
        endpoints = list(dict.fromkeys(stream.endpoint for stream in person.xmpp_streams if stream.endpoint))
        reached, frames = stage(person, route)
        held = [
            self._condition(name, sign, person.id) for field, name in _CONDITIONS if (sign := getattr(signs, field))
        ]
        common = Diagnosed(
            person.id, person.nick, person.addresses, [stream.jid for stream in person.xmpp_streams if stream.jid],
            endpoints,
            _ssrcs(endpoints, tables.get("sources")), media_paths=route, stage=reached, turn_stage=turn_stage(person),
            conditions=held, input=self.input,
        )  # fmt: skip
        if route and signs.bridge_lost is None:
            return self._with_media(common, route)
        answer, reason = self._cause(person, signs, bool(route))
        shown = sorted(set(answer.frames or frames))
        unseen = answer.name == "not-observable" or "not-observable" in answer.open
        return replace(
            common, media_path="not-observable" if unseen else "none", cause=answer.name, reason=reason or None,
            open_causes=list(answer.open), certainty=answer.certainty, frames=shown,
            evidence=list(self._places(shown)), note=answer.note,
        )  # fmt: skip

    def _with_media(self, common: Diagnosed, route: list[Path]) -> Diagnosed:
        last = route[-1]
        shown = sorted(last.frames)
        note = next(
            (condition.detail for condition in common.conditions if condition.name == "bridge-channel-refused"), ""
        )
        if note:
            shown = sorted(
                {*shown, *(p.frame for condition in common.conditions for p in condition.evidence if p.frame)}
            )
        return replace(
            common, media_path=last.name, certainty=last.certainty, frames=shown, evidence=list(self._places(shown)),
            note=note,
        )  # fmt: skip

    def _cause(self, person: Person, signs: PersonSigns, had_media: bool) -> tuple[Answer, str]:
        """The first sign in the order of the causes, else what the checks and handshakes leave."""
        if signs.bridge_lost is not None:
            return _answer("bridge-lost", signs.bridge_lost), ""
        for field, name in _BEFORE_MEDIA:
            sign: Sign | None = getattr(signs, field)
            if sign is not None:
                return _answer(name, sign), sign.reason
        others = any(
            leg.direct and leg.kind == "jvb" and leg.sent
            for other in self.cast.people if other is not person for leg in other.legs
        )  # fmt: skip
        answer = cause(person, self.cast, others, _burst(person, self.source, self.cast.end - GUARD))
        opened = {answer.name, *answer.open}
        if signs.turn_tls_refused is not None and opened & {"turn-unreachable", "udp-blocked"}:
            return _answer("turn-unreachable", signs.turn_tls_refused), "tls-certificate"
        if signs.outbound_blocked is not None and opened & {"udp-blocked", "checks-unanswered"}:
            return _answer("udp-blocked", signs.outbound_blocked), "outbound"
        behind = bool(self.cast.gateways) and not person.udp and answer.name == "undetermined"
        if behind or (answer.name == "udp-blocked" and self._nameless_udp(person)):
            note = "UDP of an inner address that opened no page reaches the bridge: a gateway may put it in for others"
            return Answer("undetermined", "inferred", answer.frames, ("udp-blocked", "not-observable"), note), ""
        if answer.name == "udp-blocked" and not others and not self._true_address(person):
            note = f"{answer.note}; whether the address that the bridge offers is its own is not to be seen here"
            both = ("udp-blocked", "nat-mapping-wrong")
            return Answer("undetermined", "inferred", answer.frames, both, note), ""
        return answer, ""

    def _nameless_udp(self, person: Person) -> bool:
        """Whether somebody who never fetched a page, from a private address, sends checks to the bridge."""
        others = [
            other for other in self.cast.people if other is not person and not other.flows and not other.xmpp_streams
        ]
        others += self.cast.gateways
        return any(leg.direct and leg.sent and is_private(leg.address) for other in others for leg in other.legs)

    def _true_address(self, person: Person) -> bool:
        """Whether the bridge offered a public address that something else shows to be the server's."""
        offered = reach.offered(person)
        known = {public.address for public in self.signs.server.public} if self.signs is not None else set()
        return offered is not None and any(address in known for address in offered[1])


def _answer(name: str, sign: Sign) -> Answer:
    return Answer(name, sign.certainty, sign.frames, note=sign.note)


def bridge_address(cast: Cast) -> str:
    """The server's private address, for the line to write."""
    return next((address for address in cast.servers if is_private(address)), "")


def _ssrcs(endpoints: list[str], sources: pd.DataFrame | None) -> list[int]:
    """What the participant announced itself; the bridge's numbers for the same streams are other ones."""
    if sources is None or not endpoints:
        return []
    own = sources["owner"].isin(endpoints) & sources["origin"].eq("jingle") & sources["ssrc"].notna()
    return [int(ssrc) for ssrc in dict.fromkeys(sources.loc[own, "ssrc"])]


def _burst(person: Person, tables: Mapping[str, Any], until: float) -> int | None:
    """Frame of a burst upstream of the size that only an answered offer has, 0 for none, None if not to be seen.

    What goes up before the server's first word is a request of HTTP, as long as its token. A burst that came after
    ``until`` is too late for anything to have followed it.
    """
    flows = [flow for flow, role in person.flows.items() if role in ("websocket", "signaling", "web")]
    tls = tables.get("tls")
    if not flows or tls is None or tls.empty:
        return None
    rows = np.flatnonzero(tls["flow"].isin(flows) & tls["record_type"].eq("application_data"))
    flow, up = tls["flow"].iloc[rows].to_numpy(np.int64), tls["up"].iloc[rows].fillna(False).to_numpy(bool)
    for number in np.unique(flow).tolist():
        records = np.flatnonzero(flow == number)
        from_client = up[records]
        sent = rows[records[from_client & np.logical_or.accumulate(~from_client)]]
        times = tls["seconds"].iloc[sent].to_numpy(float)
        sizes, ordered = (
            tls["length"].iloc[sent].to_numpy(float, na_value=0),
            np.maximum.accumulate(np.nan_to_num(times)),
        )
        total = np.cumsum(sizes)
        begin = np.searchsorted(ordered, ordered - BURST.value)  # the first that lies no further back than a burst
        enough = np.flatnonzero(total - total[begin] + sizes[begin] >= ANSWERED_OFFER.value)
        if len(enough):
            return int(tls["frame"].iloc[sent[enough[0]]]) if times[enough[0]] <= until else None
    return 0
