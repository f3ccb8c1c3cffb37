"""What a participant has: the console, the dump of the browser's connections, the archive of its requests."""

from jitsilab.inputs.browser import console, webrtc_internals
from jitsilab.inputs.source import Kind

KINDS: tuple[Kind, ...] = (console.KIND, webrtc_internals.KIND)
