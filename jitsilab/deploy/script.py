"""The script that collects a server's configuration, logs, answers and sockets, with every secret left out."""

from importlib import resources


def facts_command() -> str:
    """A script in plain POSIX shell that leaves ``facts.tar.gz`` in the current folder.

    Its folders are ``facts/``, ``logs/`` and ``rest/``; ``index.txt`` says what was taken, and what not and why. What
    was secret reads `jitsilab.facts.model.LEFT_OUT`. ``ROOT`` in its environment names another root folder for files (a
    chroot); programs are asked on the machine where it runs.
    """
    return resources.files(__package__).joinpath("collect.sh").read_text(encoding="utf-8").rstrip("\n")
