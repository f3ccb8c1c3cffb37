"""``jitsilab deploy``: what collects all that a server knows, and how to capture what a question needs."""

import argparse

from jitsilab.commands import Command


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("facts", "capture"),
                        help="facts: a shell script that collects a server's configuration, logs and answers, secrets "
                        "left out; capture: the commands that record what an analysis needs")  # fmt: skip


def _run(arguments: argparse.Namespace) -> int:
    from jitsilab import deploy

    print(deploy.facts_command() if arguments.what == "facts" else deploy.capture_commands())
    return 0


COMMAND = Command(
    "deploy", "print what collects all that a server knows, or how to capture what a question needs", _arguments, _run,
    ("jitsilab deploy facts > collect.sh", "jitsilab deploy facts | ssh SERVER 'sudo sh -s meet.example.org 48'"),
)  # fmt: skip
