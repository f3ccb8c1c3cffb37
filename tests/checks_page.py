"""Writes docs/checks.md from the rules and their samples: `python tests/checks_page.py`."""

from pathlib import Path

from audit_table import SAMPLES

from jitsilab.judge.findings import AREAS, RULES

HEAD = """# The security checks

Every check comes once in each audit: FAIL, PASS, INFO, NOT_OBSERVABLE or NOT_APPLICABLE. The title names the hazard, so
PASS says that it is absent. A check never passes because nothing was seen: something has to be there that would have
shown the hazard. Severity is of a failure; where a look finds a lesser form, the finding says so.

*Samples* are what the tests hold the check against: `real` a recording of this project, `run` a server that the tests
start, `made` one of these with one thing changed. A check without a failing, a passing and an unobservable sample is
not proven and says so in the last section. This page is written by `tests/checks_page.py`; a test keeps it so.

## What a server's files are taken for

`--facts` takes folders or files, each known by its name and content: Prosody, jvb.conf, jicofo.conf,
sip-communicator.properties, /etc/jitsi/NAME/config, nginx (also `nginx -T`), Apache, turnserver.conf, config.js, `.env`
and compose files, `docker ps`, `ss`, `netstat`, `lsof`, `ip addr`, `ip route`, hosts, certificates, versions; filters
as `nft list ruleset` (text, JSON), `iptables-save`, `iptables -L -n -v`, `ufw status verbose`,
`firewall-cmd --list-all`, `aws ec2 describe-security-groups`. A filter in a file called security-group, cloud or
gateway stands in front of the host; all others are the host's own.

- Ports are those of the files and of what listens. A default is used only for a version that has it, and only where the
  file that could change it was read.
- A filter is walked as the kernel walks it, with the first packet of a stranger whose address no rule names. A rule
  that is not understood makes the answer unknown where it could matter, and is named.
- What is not in force is not judged: conf.avail and sites-available beside what is enabled, `enabled = false`,
  backups, examples, templates, compose files that compose would not read by itself.
- Inside a container 0.0.0.0 is not the host: what compose publishes counts. Without the `.env` a variable is not known.
- What could not be read, or only in part, is listed (`inputs` in JSON, notifications in SARIF), each file with its
  sha256.

`--accept FILE` keeps risks that somebody has taken: lines of `SEC-09 2026-11-29 [until 2027-06-30] why`, or JSON. They
are shown as such and do not fail. `--against OLD` says what changed, OLD being an earlier `--json` or its evidence.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for area, name in AREAS.items():
        parts.append(f"\n## {area}. {name}\n")
        for rule in (one for one in RULES if one.area == area):
            samples = "; ".join(f"{s.result}: {s.what} ({s.origin})" for s in SAMPLES[rule.id])
            parts.append(
                f"\n### {rule.id} {rule.title}\n\n"
                f"- severity: {rule.severity}; {rule.reason}\n- seen in: {rule.visible}\n"
                f"- no failure: {rule.guard}\n- advice: {rule.advice}\n"
                f"- reference: {rule.source}\n- samples: {samples}\n"
            )
    missing = [rule for rule in RULES if not rule.proven]
    parts.append("\n## Not proven\n\n")
    for rule in missing:
        there = ", ".join(dict.fromkeys(sample.result for sample in SAMPLES[rule.id]))
        parts.append(f"- {rule.id} {rule.title}: there are samples for {there} only; {rule.unproven}\n")
    return "".join(parts)


if __name__ == "__main__":
    Path(__file__).resolve().parent.parent.joinpath("docs", "checks.md").write_text(page())
