"""SEC-14: which web pages may speak with the signaling.

Prosody before 0.12 lets in what ``cross_domain_bosh`` and ``cross_domain_websocket`` name, by default its own pages.
From 0.12 on both are without effect: mod_http answers BOSH with Access-Control-Allow-Origin for any page, unless
``http_cors_override`` (0.12.1) or ``access_control_allow_origins`` (0.12.4) says less, and mod_websocket looks at no
Origin, which no browser does for it.
"""

import re
from typing import Any

from jitsilab.facts import Facts
from jitsilab.facts.directives import Directive
from jitsilab.facts.model import UNKNOWN, Fact
from jitsilab.facts.versions import order
from jitsilab.judge.checks import Certainty, Outcome
from jitsilab.judge.findings.rule import View, failed, joined, passed, unseen

SIGNALING = r"http-bind|xmpp-websocket"
PATHS = {"bosh": "http-bind", "websocket": "xmpp-websocket"}
OPTIONS = {"bosh": "cross_domain_bosh", "websocket": "cross_domain_websocket"}
OPEN_BY_DEFAULT, OVERRIDES, ORIGINS = "0.12", "0.12.1", "0.12.4"  # versions of Prosody


def origins(view: View) -> Outcome:
    """Any web page may speak with the signaling in its visitor's name."""
    return joined(_on_the_wire(view), _in_files(view), unseen("no answer of the signaling shows its origins"))


def _on_the_wire(view: View) -> Outcome | None:
    rows = view.rows("http")
    if rows is None:
        return None
    signaling = rows["target"].fillna("").str.contains(SIGNALING, regex=True)
    frames = list(rows[signaling & rows["allow_origin"].eq("*").fillna(False)]["frame"])
    return failed("signaling answers with Access-Control-Allow-Origin: *", frames) if frames else None


def _in_files(view: View) -> Outcome | None:
    facts = view.facts
    if facts is None:
        return None
    bad = [
        directive.place for directive in (facts.nginx.all("add_header") if facts.nginx else ())
        if [str(arg).lower() for arg in directive.args[:2]] == ["access-control-allow-origin", "*"]
        and _for_signaling(directive)
    ]  # fmt: skip
    if bad:
        return failed("nginx adds Access-Control-Allow-Origin: *", places=bad)
    if facts.prosody is None:
        return None
    prosody = facts.prosody
    running = [module for module in PATHS if prosody.runs(module)]
    if not running and not prosody.whole:
        carriers = [_carrier(facts, module) for module in PATHS if OPTIONS[module] in prosody.hosts[0].options]
        broken = [outcome for outcome in carriers if outcome.verdict.security_word == "FAIL"]
        return joined(*broken) if broken else unseen("not all of Prosody's configuration is here")
    if not running:
        return passed("neither mod_bosh nor mod_websocket is enabled", places=[prosody.main])
    looks = [_refused(facts, module) or _carrier(facts, module) for module in running]
    open_ = [look for look in looks if look.verdict.security_word != "PASS"]
    if not open_ and not prosody.whole:
        return unseen("not all of Prosody's configuration is here", places=[p for look in looks for p in look.places])
    return joined(*(open_ or looks))  # closed is what is closed on both ways in


def _carrier(facts: Facts, name: str) -> Outcome:
    """Whom Prosody lets in by one of its modules."""
    version = _version(facts)
    if version is None:
        allowed, override = _said(facts, OPTIONS[name]), _override(facts, name)
        if override is None and allowed is not None and _any(allowed.value):  # 0.12 makes nothing of it and is open
            return failed(f"{OPTIONS[name]} = {_shown(allowed.value)}", places=[allowed.place])
        return unseen("Prosody's version is not known: from 0.12 on other pages are let in where nothing forbids it",
                      places=[fact.place for fact in (allowed, override) if fact is not None])  # fmt: skip
    if order(version.value) < order(OPEN_BY_DEFAULT):
        return _old(facts, name)
    return _new(facts, name, version)


def _old(facts: Facts, name: str) -> Outcome:
    allowed = _said(facts, OPTIONS[name])
    if allowed is None:
        main = facts.prosody.main if facts.prosody else ""
        return passed(f"{OPTIONS[name]} is not set, and Prosody's own default is its own pages", places=[main])
    if allowed.value is UNKNOWN or (isinstance(allowed.value, list) and UNKNOWN in allowed.value):
        return unseen("the Prosody configuration computes which origins are allowed", places=[allowed.place])
    if _any(allowed.value):
        return failed(f"{OPTIONS[name]} = {_shown(allowed.value)}", places=[allowed.place])
    return passed(f"{OPTIONS[name]} lets in no page but those that it names", places=[allowed.place])


def _new(facts: Facts, name: str, version: Fact) -> Outcome:
    shown = f"Prosody {version.value}"
    if _proxied_away(facts, name):
        return unseen("the proxy decides by the request's origin", places=[version.place])
    if name == "websocket":
        note = f"{shown}: mod_websocket of 0.12 and newer asks for no Origin, and nothing before it does"
        return failed(note, places=[version.place], certainty=Certainty.DEDUCED)
    override, listed_origins = _override(facts, name), _said(facts, "access_control_allow_origins")
    by_default = f"{shown}: mod_http of 0.12 and newer lets any page use BOSH where nothing says less"
    default: Outcome = failed(by_default, places=[version.place], certainty=Certainty.DEDUCED)
    if listed_origins is not None and order(version.value) >= order(ORIGINS):
        default = _by_list(listed_origins.value, "access_control_allow_origins", listed_origins.place) or default
    if override is None or order(version.value) < order(OVERRIDES):
        return default
    whole = override.value
    if whole is UNKNOWN or not isinstance(whole, dict):
        return unseen("the Prosody configuration computes which origins are allowed", places=[override.place])
    own = whole.get(name)
    if own is None or own is False:
        return default
    if own is UNKNOWN or not isinstance(own, dict) or own.get("enabled") is UNKNOWN:
        return unseen("the Prosody configuration computes which origins are allowed", places=[override.place])
    if own.get("enabled") is False:
        return passed("http_cors_override turns it off for BOSH", places=[override.place])
    if own.get("enabled") is True and own.get("origins") is not None:
        wide = failed("http_cors_override lets any page use BOSH", places=[override.place])
        return _by_list(own["origins"], "http_cors_override", override.place) or wide
    return default  # what has no `enabled = true` is not read further


def _by_list(value: Any, option: str, place: str) -> Outcome | None:
    """What a list of origins says; None where it lets in any page."""
    values = value if isinstance(value, list) else [value]
    if any(origin is UNKNOWN for origin in values):
        return unseen("the Prosody configuration computes which origins are allowed", places=[place])
    if not values or _any(value):
        return None
    return passed(f"{option} names the pages that may use BOSH", places=[place])


def _version(facts: Facts) -> Fact | None:
    """Prosody's version, where a package list has one that can be compared (its nightly builds have none)."""
    for package, fact in facts.versions.items():
        if re.fullmatch(r"prosody(-\d[\d.]*)?", package) and re.match(r"(\d+:)?\d+\.\d+", str(fact.value)):
            return Fact(str(fact.value), fact.place)
    return None


def _said(facts: Facts, option: str) -> Fact | None:
    """An option of the global section: Prosody's HTTP modules are loaded once, and ask there."""
    return facts.prosody.hosts[0].options.get(option) if facts.prosody else None


def _override(facts: Facts, name: str) -> Fact | None:
    fact = _said(facts, "http_cors_override")
    return fact if fact is None or not isinstance(fact.value, dict) or name in fact.value else None


def _any(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(origin is True or origin == "*" for origin in values)


def _shown(value: Any) -> str:
    return "true" if value is True or value == [True] else '"*"'


def _for_signaling(directive: Directive) -> bool:
    parent = directive.parent
    return parent is not None and (parent.name != "location" or bool(re.search(SIGNALING, parent.text())))


# what stands before Prosody


def _locations(facts: Facts, name: str) -> list[Directive]:
    locations = facts.nginx.all("location") if facts.nginx else ()
    return [
        location
        for location in locations
        if PATHS[name] in location.text() and location.child("proxy_pass") is not None
    ]


def _refused(facts: Facts, name: str) -> Outcome | None:
    """Whether nginx turns away others' pages: each of its paths to a module compares Origin with what it allows."""
    paths = _locations(facts, name)
    tests = [next((test for test in path.children("if") if _turns_away(test)), None) for path in paths]
    if not tests or None in tests:
        return None
    return passed(
        f"nginx refuses other origins at {PATHS[name]}", places=[test.place for test in tests if test is not None]
    )


def _turns_away(test: Directive) -> bool:
    """``if ($http_origin != "https://one") { return 403; }``, or ``!~`` with a pattern that has both ends."""
    words = test.text().strip("() ").split(None, 2)
    if len(words) != 3 or words[0] != "$http_origin":
        return False
    pattern = words[2].strip("\"'")
    whole = pattern.startswith("^") and pattern.endswith("$") and not re.search(r"(?<!\\)\.[*+]", pattern)
    answers = [str(returned.args[0]) for returned in test.children("return") if returned.args]
    return any(re.fullmatch(r"4\d\d", answer) for answer in answers) and (
        words[1] == "!=" or (words[1] in ("!~", "!~*") and whole)
    )


def _proxied_away(facts: Facts, name: str) -> bool:
    """Whether something before Prosody decides by Origin, or takes Prosody's word out of its answers."""
    if facts.nginx is not None:
        for directive in facts.nginx.all("if", "map", "proxy_set_header", "proxy_hide_header"):
            text = directive.text().lower()
            if "$http_origin" in text or "access-control-allow-origin" in text or text.startswith("origin "):
                return True
    root = facts.apache
    for directive in root.walk() if root is not None else ():
        text = directive.text().lower()
        if "{http:origin}" in text or (directive.name == "header" and "access-control-allow-origin" in text):
            return True
        if directive.name in ("setenvif", "setenvifnocase") and text.startswith("origin "):
            return True
    return False
