"""The bridge's and the focus's settings as these programs look them up: old properties, then HOCON, then defaults.

Jitsi's metaconfig asks sip-communicator.properties and Java's system properties before jvb.conf or jicofo.conf. A
default is used only where the files that could change it were read, and for the versions that have it.
"""

import re
from dataclasses import dataclass
from typing import Any

from jitsilab.facts.facts import Facts
from jitsilab.facts.hocon import Hocon
from jitsilab.facts.model import UNKNOWN, Fact
from jitsilab.facts.versions import order

LOOPBACK_BRIDGE = "2.1-294"  # jitsi-videobridge 01bde0705, August 2020: http-servers, private on 127.0.0.1
LOOPBACK_FOCUS = "1.0-1138"  # jicofo 486d8387a, June 2025: rest on 127.0.0.1; before, every address
NO_ICE_TCP = "2.3-158"  # jitsi-videobridge 89dde6ea7, July 2024: ICE over TCP is gone
PACKAGES = {"bridge": ("jitsi-videobridge2", "bridge", "jitsi-videobridge"), "focus": ("jicofo", "focus")}


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a program: what it is worth, where that is said, or why it is not known."""

    value: Any  # UNKNOWN where it is not known
    place: str = ""  # empty where it is a default, or not known
    default: bool = False
    why: str = ""  # why it is not known

    @property
    def known(self) -> bool:
        """Whether the value is known."""
        return self.value is not UNKNOWN


def at_least(facts: Facts, program: str, version: str) -> bool | None:
    """Whether a program's version is this one or later; None where it is not known."""
    for package in PACKAGES[program]:
        fact = facts.versions.get(package)
        text = str(fact.value) if fact is not None else ""
        if re.match(r"\d+[.\d]*[.-]\d+", text) and "SNAPSHOT" not in text:
            return order(text) >= order(version)
    return None


def conf(facts: Facts, program: str, bridge: Hocon | None = None) -> Hocon | None:
    """The HOCON of a program: of one bridge among several, where it is named."""
    return (bridge or facts.bridge) if program == "bridge" else facts.focus


def whole(facts: Facts, program: str, bridge: Hocon | None = None) -> str:
    """Why a program's settings are not all known; empty where they are.

    With jvb.conf or jicofo.conf at hand, sip-communicator.properties of old is taken for absent where it is not
    given: today's packages do not make one.
    """
    name = {"bridge": "jvb.conf", "focus": "jicofo.conf"}[program]
    hocon = conf(facts, program, bridge)
    if hocon is None or not hocon.name:
        return f"{name} was not given"
    if hocon.broken:
        return f"{hocon.broken[0]} cannot be read"
    if hocon.missing:
        return f"{hocon.missing[0]} includes a file that is not here"
    options = facts.shell.get(program)
    return "" if options is None or UNKNOWN not in [f.value for f in options.values.values()] else options.files[0]


def setting(
    facts: Facts, program: str, new: str, old: str = "", default: Any = UNKNOWN, why: str = "",
    bridge: Hocon | None = None,
) -> Setting:  # fmt: skip
    """One setting: ``old`` is its name in the properties, ``new`` its path in HOCON."""
    places = []
    if old:
        for store in (facts.system.get(program), facts.properties.get(program)):
            places.append(store.get(old) if store is not None else None)
    system = facts.system.get(program)
    places.append(system.get(new) if system is not None else None)  # Typesafe config asks system properties first
    hocon = conf(facts, program, bridge)
    places.append(hocon.get(new) if hocon is not None else None)
    fact: Fact | None = next((candidate for candidate in places if candidate is not None), None)
    if fact is not None:
        if fact.value is UNKNOWN:
            return Setting(UNKNOWN, fact.place, why=f"{fact.place}: a value that is not known")
        return Setting(fact.value, fact.place)
    missing = whole(facts, program, bridge)
    if missing:
        return Setting(UNKNOWN, why=missing)
    if default is UNKNOWN:
        return Setting(UNKNOWN, why=why or f"{new} is not set, and its default differs between versions")
    return Setting(default, hocon.name if hocon is not None else "", default=True)


def number(given: Setting) -> int | None:
    """A setting as a number; None where it is none, or not known."""
    text = str(given.value)
    return int(text) if given.known and re.fullmatch(r"-?\d{1,6}", text) else None


def private_host_default(facts: Facts, bridge: Hocon | None = None) -> Any:
    """Where the bridge's private interface listens if nothing says so."""
    newer = at_least(facts, "bridge", LOOPBACK_BRIDGE)
    if newer is None:
        hocon = conf(facts, "bridge", bridge)
        marks = ("videobridge.http-servers.", "ice4j.", "videobridge.websockets.", "videobridge.relay.")
        newer = True if hocon is not None and any(hocon.under(mark) for mark in marks) else None
    return UNKNOWN if newer is None else "127.0.0.1" if newer else "*"


def rest_host_default(facts: Facts) -> Any:
    """Where the focus's HTTP interface listens if nothing says so."""
    newer = at_least(facts, "focus", LOOPBACK_FOCUS)
    return UNKNOWN if newer is None else "127.0.0.1" if newer else "*"


def ice_tcp(facts: Facts, bridge: Hocon | None = None) -> Setting:
    """Whether the bridge offers media over TCP."""
    if at_least(facts, "bridge", NO_ICE_TCP):
        version = next(facts.versions[name] for name in PACKAGES["bridge"] if name in facts.versions)
        return Setting(False, version.place)
    off = facts.properties.get("bridge")
    fact = off.get("org.jitsi.videobridge.DISABLE_TCP_HARVESTER") if off is not None else None
    if fact is not None and str(fact.value).lower() in ("true", "false"):
        return Setting(str(fact.value).lower() == "false", fact.place)
    # reference.conf: enabled = false since there is a jvb.conf
    enabled = setting(facts, "bridge", "videobridge.ice.tcp.enabled", default=False, bridge=bridge)
    if enabled.known and not isinstance(enabled.value, bool):
        return Setting(str(enabled.value).lower() == "true", enabled.place, enabled.default)
    return enabled
