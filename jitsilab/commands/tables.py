"""``jitsilab tables``: names, columns and meanings."""

import argparse

from jitsilab.commands import Command


def _run(_: argparse.Namespace) -> int:
    from jitsilab.call import schemas

    for name, schema in schemas().items():
        print(name)
        for column, (dtype, meaning) in schema.items():
            print(f"  {column:22} {dtype:20} {meaning}")
    return 0


COMMAND = Command(
    "tables", "list the tables and their columns", lambda _: None, _run, ("jitsilab tables", "jitsilab tables | less")
)
