"""Names of STUN methods, attributes and error codes.

The first three dicts hold the entries of IANA's registry "STUN Parameters" (last updated 2024-12-20), reserved ones
by the name they once had. The others hold what real traffic carries without being registered: Microsoft's from the
open specifications MS-TURN, MS-TURNBWM and MS-ICE2, Google's as libwebrtc writes them, WhatsApp's as observed.
"""

METHODS: dict[int, str] = {
    0x000: "Reserved",
    0x001: "Binding",
    0x002: "SharedSecret",  # reserved since RFC 5389
    0x003: "Allocate",
    0x004: "Refresh",
    0x006: "Send",
    0x007: "Data",
    0x008: "CreatePermission",
    0x009: "ChannelBind",
    0x00A: "Connect",
    0x00B: "ConnectionBind",
    0x00C: "ConnectionAttempt",
    0x080: "GOOG-PING",
}

# The message types 0x0800 to 0x0805 put bits where RFC 8489 has the method's; the class bits say "request" in each.
PRIVATE_METHODS: dict[int, str] = {
    0x200: "WhatsApp-CallEnd",
    0x201: "WhatsApp-Ping",
    0x202: "WhatsApp-Pong",
    0x203: "WhatsApp-ProbingAllocate",
    0x204: "WhatsApp-StatefulPing",
    0x205: "WhatsApp-StatefulPong",
}

ATTRIBUTES: dict[int, str] = {
    0x0000: "Reserved",
    0x0001: "MAPPED-ADDRESS",
    0x0002: "RESPONSE-ADDRESS",  # reserved since RFC 5389, as the others of RFC 3489
    0x0003: "CHANGE-REQUEST",
    0x0004: "SOURCE-ADDRESS",
    0x0005: "CHANGED-ADDRESS",
    0x0006: "USERNAME",
    0x0007: "PASSWORD",
    0x0008: "MESSAGE-INTEGRITY",
    0x0009: "ERROR-CODE",
    0x000A: "UNKNOWN-ATTRIBUTES",
    0x000B: "REFLECTED-FROM",
    0x000C: "CHANNEL-NUMBER",
    0x000D: "LIFETIME",
    0x000E: "Reserved",
    0x000F: "MAGIC-COOKIE",  # reserved; MS-TURN and early TURN drafts
    0x0010: "BANDWIDTH",  # reserved since RFC 5766
    0x0011: "DESTINATION-ADDRESS",  # reserved; early TURN drafts
    0x0012: "XOR-PEER-ADDRESS",
    0x0013: "DATA",
    0x0014: "REALM",
    0x0015: "NONCE",
    0x0016: "XOR-RELAYED-ADDRESS",
    0x0017: "REQUESTED-ADDRESS-FAMILY",
    0x0018: "EVEN-PORT",
    0x0019: "REQUESTED-TRANSPORT",
    0x001A: "DONT-FRAGMENT",
    0x001B: "ACCESS-TOKEN",
    0x001C: "MESSAGE-INTEGRITY-SHA256",
    0x001D: "PASSWORD-ALGORITHM",
    0x001E: "USERHASH",
    0x0020: "XOR-MAPPED-ADDRESS",
    0x0021: "TIMER-VAL",  # reserved since RFC 5766
    0x0022: "RESERVATION-TOKEN",
    0x0023: "Reserved",
    0x0024: "PRIORITY",
    0x0025: "USE-CANDIDATE",
    0x0026: "PADDING",
    0x0027: "RESPONSE-PORT",
    0x0028: "Reserved",
    0x0029: "Reserved",
    0x002A: "CONNECTION-ID",
    0x0030: "Reserved",
    0x8000: "ADDITIONAL-ADDRESS-FAMILY",
    0x8001: "ADDRESS-ERROR-CODE",
    0x8002: "PASSWORD-ALGORITHMS",
    0x8003: "ALTERNATE-DOMAIN",
    0x8004: "ICMP",
    0x8022: "SOFTWARE",
    0x8023: "ALTERNATE-SERVER",
    0x8024: "Reserved",
    0x8025: "TRANSACTION_TRANSMIT_COUNTER",
    0x8026: "Reserved",
    0x8027: "CACHE-TIMEOUT",
    0x8028: "FINGERPRINT",
    0x8029: "ICE-CONTROLLED",
    0x802A: "ICE-CONTROLLING",
    0x802B: "RESPONSE-ORIGIN",
    0x802C: "OTHER-ADDRESS",
    0x802D: "ECN-CHECK STUN",
    0x802E: "THIRD-PARTY-AUTHORIZATION",
    0x8030: "MOBILITY-TICKET",
    0xC000: "CISCO-STUN-FLOWDATA",
    0xC001: "ENF-FLOW-DESCRIPTION",
    0xC002: "ENF-NETWORK-STATUS",
    0xC003: "CISCO-WEBEX-FLOW-INFO",
    0xC056: "CITRIX-TRANSACTION-ID",
    0xC057: "GOOG-NETWORK-INFO",
    0xC058: "GOOG-LAST-ICE-CHECK-RECEIVED",
    0xC059: "GOOG-MISC-INFO",
    0xC05A: "GOOG-OBSOLETE-1",
    0xC05B: "GOOG-CONNECTION-ID",
    0xC05C: "GOOG-DELTA",
    0xC05D: "GOOG-DELTA-ACK",
    0xC05E: "GOOG-DELTA-SYNC-REQ",
    0xC060: "GOOG-MESSAGE-INTEGRITY-32",
    0xC070: "META-DTLS-IN-STUN",
    0xC071: "META-DTLS-IN-STUN-ACKNOWLEDGEMENT",
}

PRIVATE_ATTRIBUTES: dict[int, str] = {
    0x4000: "WHATSAPP-RELAY-TOKEN",
    0x4002: "WHATSAPP-SERVER-TIMESTAMP",
    0x4003: "WHATSAPP-REFLEXIVE-PAYLOAD",
    0x4004: "WHATSAPP-PADDING",
    0x4005: "WHATSAPP-RTP-PACKET",
    0x4006: "WHATSAPP-TIME-INFO",
    0x4007: "WHATSAPP-RESPONSE-SIZE",
    0x4021: "WHATSAPP-RECEIVER-SUBSCRIPTION",
    0x4023: "WHATSAPP-SENDER-SUBSCRIPTION",
    0x4024: "WHATSAPP-STREAM-DESCRIPTOR",
    0x8008: "MS-VERSION",
    0x8020: "MS-XOR-MAPPED-ADDRESS",  # also the experimental XOR-MAPPED-ADDRESS before RFC 5389
    0x802F: "ORIGIN",  # draft-johnston-tram-stun-origin, sent by older libwebrtc
    0x8037: "MS-UNDOCUMENTED-8037",  # in calls of Teams
    0x8050: "MS-SEQUENCE-NUMBER",
    0x8054: "MS-CANDIDATE-IDENTIFIER",
    0x8055: "MS-SERVICE-QUALITY",
    0x8056: "MS-BANDWIDTH-ADMISSION-CONTROL",
    0x8057: "MS-BANDWIDTH-RESERVATION-IDENTIFIER",
    0x8058: "MS-BANDWIDTH-RESERVATION-AMOUNT",
    0x8059: "MS-REMOTE-SITE-ADDRESS",
    0x805A: "MS-REMOTE-RELAY-SITE-ADDRESS",
    0x805B: "MS-LOCAL-SITE-ADDRESS",
    0x805C: "MS-LOCAL-RELAY-SITE-ADDRESS",
    0x805D: "MS-REMOTE-SITE-ADDRESS-RESPONSE",
    0x805E: "MS-REMOTE-RELAY-SITE-ADDRESS-RESPONSE",
    0x805F: "MS-LOCAL-SITE-ADDRESS-RESPONSE",
    0x8060: "MS-LOCAL-RELAY-SITE-ADDRESS-RESPONSE",
    0x8061: "MS-SIP-DIALOG-IDENTIFIER",
    0x8062: "MS-SIP-CALL-IDENTIFIER",
    0x8068: "MS-LOCATION-PROFILE",
    0x8070: "MS-IMPLEMENTATION-VERSION",
    0x8090: "MS-ALT-MAPPED-ADDRESS",
    0x8095: "MS-MULTIPLEXED-TURN-SESSION-ID",
    0xCAFE: "WHATSAPP-CLIENT-SIGNAL",
    0xFF00: "GOOG-RETRANSMIT-COUNT",
    0xFF04: "GOOG-MULTI-MAPPING",
    0xFF05: "GOOG-LOGGING-ID",
}

ERRORS: dict[int, str] = {
    300: "Try Alternate",
    400: "Bad Request",
    401: "Unauthenticated",
    403: "Forbidden",
    405: "Mobility Forbidden",
    420: "Unknown Attribute",
    437: "Allocation Mismatch",
    438: "Stale Nonce",
    440: "Address Family not Supported",
    441: "Wrong Credentials",
    442: "Unsupported Transport Protocol",
    443: "Peer Address Family Mismatch",
    446: "Connection Already Exists",
    447: "Connection Timeout or Failure",
    486: "Allocation Quota Reached",
    487: "Role Conflict",
    500: "Server Error",
    508: "Insufficient Capacity",
}

PRIVATE_ERRORS: dict[int, str] = {
    274: "Disable Candidate",  # MS-ICE2BWM
    275: "Disable Candidate Pair",
    430: "Stale Credentials",  # RFC 3489, as the rest
    431: "Integrity Check Failure",
    432: "Missing Username",
    433: "Use TLS",
    434: "Missing Realm",
    435: "Missing Nonce",
    436: "Unknown Username",
    600: "Global Failure",
}

_METHOD_NAMES = METHODS | PRIVATE_METHODS
_ATTRIBUTE_NAMES = ATTRIBUTES | PRIVATE_ATTRIBUTES
_ERROR_NAMES = ERRORS | PRIVATE_ERRORS


def method_name(method: int) -> str:
    """The name of a method of 12 bits, or its number as ``0x123``."""
    return _METHOD_NAMES.get(method) or f"0x{method:03x}"


def attribute_name(kind: int) -> str:
    """The name of an attribute type of 16 bits, or its number as ``0x1234``."""
    return _ATTRIBUTE_NAMES.get(kind) or f"0x{kind:04x}"


def error_name(code: int) -> str:
    """The reason a specification gives for an error code, or an empty string."""
    return _ERROR_NAMES.get(code, "")
