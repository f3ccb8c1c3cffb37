"""jitsilab: how a WebRTC session comes to be, read from a capture of a Jitsi Meet call.

>>> import jitsilab as jl
>>> call = jl.load("project3-2020")
>>> len(call.frames)
3076
"""

__version__ = "0.1.0"
