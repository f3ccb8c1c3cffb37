"""jitsilab: how a WebRTC session comes to be, read from a capture of a Jitsi Meet call.

>>> import jitsilab as jl
>>> call = jl.load("project3-2020")
>>> len(call.frames)
3076
"""

import importlib
from typing import Any

from jitsilab.call import Call, load, scan
from jitsilab.errors import CaptureError, LabError, ParameterError, ParseError

__version__ = "0.2.0"
__all__ = ["Call", "CaptureError", "LabError", "ParameterError", "ParseError", "load", "scan", "survey"]

_DECODERS = ("stun", "dtls", "tls", "rtp", "rtcp", "xmpp", "jingle", "sdp")


def __getattr__(name: str) -> Any:
    """The decoders as ``jl.stun``, ``jl.jingle``, ..., and ``jl.survey``: imported when first used."""
    if name == "survey":
        return importlib.import_module("jitsilab.fleet").survey
    if name in _DECODERS:
        return importlib.import_module(f"jitsilab.protocols.{name}")
    raise AttributeError(f"module 'jitsilab' has no attribute {name!r}")
