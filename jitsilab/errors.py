"""What can go wrong, for people: each error says what is wrong, where, and what to do."""

from typing import NamedTuple


class LabError(Exception):
    """Any error that jitsilab raises on purpose; the command line prints it as one sentence."""


class ParseError(LabError):
    """Bytes that do not have the form their protocol asks for.

    ``offset`` is the position, in bytes from the start of what was decoded, at which reading stopped.
    """

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


class CaptureError(LabError):
    """A file that cannot be read as a capture, a key log or a folder of tables."""


class ParameterError(LabError):
    """A name or value of the user's that is not known or has the wrong type."""


class Problem(NamedTuple):
    """Something inside a capture that could not be read: a row of the table ``errors``."""

    frame: int  # frame number from 1; 0 where it belongs to the file as a whole
    protocol: str  # as in the table frames, or pcap, keylog
    offset: int  # bytes from the start of what was being read
    message: str
