"""What a participant has: the console, the dump of the browser's connections, the archive of its requests."""

from jitsilab.inputs.browser import console, har, rtcstats, webrtc_internals
from jitsilab.inputs.source import Kind

KINDS: tuple[Kind, ...] = (webrtc_internals.KIND, rtcstats.KIND, har.KIND, console.KIND)
