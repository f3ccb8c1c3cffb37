"""SARIF 2.1.0 (OASIS): the log has the form that the specification asks for."""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from audit_samples import recorded, recorded_facts, study

from jitsilab import findings, sarif

URI = {"type": "string", "pattern": r"^[\w./%~-]+$"}  # relative, percent-encoded (RFC 3986)
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "minLength": 1}}}
LOCATION = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "physicalLocation": {  # section 3.29
            "type": "object",
            "required": ["artifactLocation"],
            "properties": {
                "artifactLocation": {"type": "object", "required": ["uri"], "properties": {"uri": URI}},
                "region": {"type": "object", "properties": {"startLine": {"type": "integer", "minimum": 1}}},
            },
        },
        "logicalLocations": {  # section 3.33: at least one of index, name and fullyQualifiedName
            "type": "array",
            "uniqueItems": True,
            "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        },
    },
}
RESULT = {  # section 3.27
    "type": "object",
    "required": ["ruleId", "ruleIndex", "kind", "level", "message"],
    "properties": {
        "ruleId": {"type": "string", "pattern": "^SEC-[0-9]{2}$"},
        "ruleIndex": {"type": "integer", "minimum": 0, "maximum": 40},
        "kind": {"enum": ["fail", "pass", "informational", "open", "notApplicable"]},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": TEXT,
        "locations": {"type": "array", "items": LOCATION},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "properties": {"type": "object"},
    },
    "additionalProperties": False,
}
RULE = {  # section 3.49
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"}, "name": {"type": "string"}, "shortDescription": TEXT, "fullDescription": TEXT,
        "help": TEXT, "defaultConfiguration": {"properties": {"level": {"enum": ["note", "warning", "error"]}}},
        "properties": {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}},
    },
    "additionalProperties": False,
}  # fmt: skip
LOG = {  # sections 3.13 and 3.14
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {
                    "tool": {
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "required": ["name"],
                                "properties": {"rules": {"type": "array", "uniqueItems": True, "items": RULE}},
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                    "artifacts": {"type": "array"},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


@pytest.fixture(scope="module", params=["turn-refused", "study", "nothing"])
def log(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "nothing":
        return sarif.to_sarif(findings.audit(None, None))
    call, server = study() if request.param == "study" else (recorded("turn-refused"), recorded_facts("turn-refused"))
    return sarif.to_sarif(findings.audit(call, server), capture="my calls/eth0 (1).pcapng")


def test_the_form_of_the_log(log: dict[str, Any]) -> None:
    jsonschema.validate(json.loads(json.dumps(log)), LOG)


def test_the_whole_schema_where_it_is_at_hand(log: dict[str, Any]) -> None:
    """The file is OASIS's own; SARIF_SCHEMA names a copy of it."""
    path = os.environ.get("SARIF_SCHEMA", "")
    if not path:
        pytest.skip("SARIF_SCHEMA names no copy of sarif-schema-2.1.0.json")
    jsonschema.Draft4Validator(json.loads(Path(path).read_text())).validate(log)


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
