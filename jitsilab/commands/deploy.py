"""``jitsilab deploy``: plan a server, look at a running one, collect what it knows, capture what a question needs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from jitsilab import terminal
from jitsilab.commands import Command
from jitsilab.errors import ParameterError

if TYPE_CHECKING:
    from jitsilab.deploy.probing import Step


def _arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(required=True, metavar="WHAT", dest="what")
    what.add_parser("facts", help="print a shell script that collects a server's configuration, logs and answers, "
                    "secrets left out")  # fmt: skip
    what.add_parser("capture", help="print the commands that record what an analysis needs")
    _check_arguments(what.add_parser("check", help="look at a running server from outside, step by step, as a "
                                                   "browser does: "
                                     "sends requests to it, and leaves nothing there"))  # fmt: skip
    _plan_arguments(what.add_parser("plan", help="files and commands for a server of one's own"))


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("domain", help="its name, for example meet.example.org")
    parser.add_argument("--email", default="", help="for the certificate authority's account")
    parser.add_argument("--public-address", default="", metavar="IP", help="at which the world reaches it")
    parser.add_argument("--private-address", default="", metavar="IP",
                        help="the machine's own, where a gateway maps the public one to it (a cloud, NAT)")  # fmt: skip
    parser.add_argument("--system", default="debian", help="debian, ubuntu or docker (default: debian)")
    parser.add_argument("--no-turn", action="store_true", help="without a relay")
    parser.add_argument(
        "--rooms", default="accounts", help="who may create rooms: accounts, tokens, anybody (default: accounts)"
    )
    parser.add_argument("--channel", default="websocket", help="to the bridge: websocket or sctp (default: websocket)")
    parser.add_argument("--bridge-port", type=int, default=10000, metavar="PORT", help="UDP (default: 10000)")
    parser.add_argument(
        "--own-certificate", action="store_true", help="of an authority of one's own, not Let's Encrypt"
    )
    parser.add_argument("-o", type=Path, dest="out", metavar="DIR", help="write plan and files there, with new secrets")


def _check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("domain", help="its name, for example meet.example.org")
    parser.add_argument(
        "--connect", type=_endpoint, metavar="HOST:PORT", help="reach its page there, not where DNS says"
    )
    parser.add_argument("--ca", type=Path, metavar="FILE", help="trust the certificates in this file, not the system's")
    parser.add_argument("--limit", type=float, default=10.0, metavar="SECONDS", help="for each step (default: 10)")
    parser.add_argument("--json", action="store_true", help="for programs")


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT")
    return host, int(port)


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab import deploy

    if arguments.what == "plan":
        return _plan(arguments)
    if arguments.what == "check":
        return _check(arguments)
    print(deploy.facts_command() if arguments.what == "facts" else deploy.capture_commands())
    return 0


def _plan(arguments: argparse.Namespace) -> int:
    from jitsilab.deploy import planning

    wishes = planning.Wishes(
        arguments.domain, arguments.email, arguments.public_address, arguments.private_address, arguments.system,
        not arguments.no_turn, arguments.rooms, arguments.channel, arguments.own_certificate, arguments.bridge_port,
        planning.made_secrets() if arguments.out else {},
    )  # fmt: skip
    if arguments.out is None:
        print(terminal.printable(planning.text(wishes)))
        return 0
    for path in planning.write(wishes, arguments.out):
        print(path)
    return 0


def _check(arguments: argparse.Namespace) -> int:
    from jitsilab.deploy import probing

    if not 0.5 <= arguments.limit <= 120:
        raise ParameterError("A step has between 0.5 and 120 seconds.")
    if arguments.ca is not None and not arguments.ca.is_file():
        raise ParameterError(f"There is no file {arguments.ca}.")
    tell = None if arguments.json else _tell
    steps = probing.check(
        arguments.domain, connect=arguments.connect, authorities=str(arguments.ca) if arguments.ca else None,
        limit=arguments.limit, tell=tell,
    )  # fmt: skip
    failed = [step for step in steps if step.verdict.security_word == "FAIL"]
    if arguments.json:
        print(terminal.to_json({"domain": arguments.domain, "steps": [step.to_json() for step in steps]}, indent=1))
    else:
        print(f"\n{len(failed)} of {len(steps)} steps fail" if failed else f"\nnone of {len(steps)} steps fails")
    return int(bool(failed))


def _tell(step: "Step") -> None:
    from jitsilab.deploy import probing

    for line in probing.lines([step]):
        print(terminal.printable(line), flush=True)


COMMAND = Command(
    "deploy", "plan a server, check a running one, collect what it knows, or capture what a question needs",
    _arguments, _run,
    ("jitsilab deploy plan meet.example.org --email me@example.org --public-address 203.0.113.10 -o plan",
     "jitsilab deploy check meet.example.org", "jitsilab deploy facts > collect.sh",
     "jitsilab deploy facts | ssh SERVER 'sudo sh -s meet.example.org 48'"),
)  # fmt: skip
