"""What browsers themselves say of connections that did not come about: each has words of its own.

Chrome's are in ``net/base/net_error_list.h`` and ``websocket_channel_impl.cc``, Firefox's in its ``xpconnect`` and
``nss`` error lists, Safari's in WebKit's ``WebSocketChannel`` and CFNetwork, Android's in Conscrypt and OkHttp.
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

EXPIRED, UNTRUSTED, NAME = "expired", "untrusted", "name-mismatch"

_CERTIFICATE = (
    (re.compile(r"net::ERR_CERT_DATE_INVALID|SEC_ERROR_(?:EXPIRED_CERTIFICATE|EXPIRED_ISSUER_CERTIFICATE)|"
                r"MOZILLA_PKIX_ERROR_NOT_YET_VALID\w*|CertificateExpiredException|CertificateNotYetValidException|"
                r"NSURLErrorDomain(?:\"?,? |\s)Code=-120[14]\b|timestamp check failed|certificate (?:has|is) expired",
                re.IGNORECASE), EXPIRED),
    (re.compile(r"net::ERR_CERT_COMMON_NAME_INVALID|SSL_ERROR_BAD_CERT_DOMAIN|SSLPeerUnverifiedException|"
                r"Hostname \S{1,255} (?:was )?not verified|"
                r"No subject alternative (?:DNS )?names? ", re.IGNORECASE), NAME),
    (re.compile(r"net::ERR_CERT_(?:AUTHORITY_INVALID|REVOKED|INVALID|WEAK_SIGNATURE_ALGORITHM|WEAK_KEY|"
                r"SYMANTEC_LEGACY|NAME_CONSTRAINT_VIOLATION|CERTIFICATE_TRANSPARENCY_REQUIRED|NO_REVOCATION_MECHANISM)|"
                r"net::ERR_CERTIFICATE_TRANSPARENCY_REQUIRED|"
                r"SEC_ERROR_(?:UNKNOWN_ISSUER|UNTRUSTED_ISSUER|UNTRUSTED_CERT|CA_CERT_INVALID|REVOKED_CERTIFICATE|"
                r"BAD_SIGNATURE|CERT_SIGNATURE_ALGORITHM_DISABLED)|MOZILLA_PKIX_ERROR_\w+|"
                r"Trust anchor for certification path not found|unable to find valid certification path|"
                r"NSURLErrorDomain(?:\"?,? |\s)Code=-120[23]\b|"
                r"The certificate for this server is invalid|self[- ]signed certificate", re.IGNORECASE), UNTRUSTED),
)  # fmt: skip

_URL = re.compile(r"(?:wss?|https?)://[^\s'\"<>\\]+", re.IGNORECASE)
_STATUS = (
    re.compile(r"Unexpected response code: (\d{3})"),  # Chrome, Safari up to 14
    re.compile(r"responded with a status of (\d{3})"),  # Chrome, Safari
    re.compile(r"(?:net::)?ERR_HTTP_RESPONSE_CODE_FAILURE (\d{3})"),
    re.compile(r"\[HTTP/[\d.]+ (\d{3})"),  # Firefox
    re.compile(r"(?:GET|POST)\s?https?://\S{0,2000} (\d{3})(?: \(|\s|$)"),  # Chrome's copied form
    re.compile(r"Expected HTTP 101 response but was '?(\d{3})"),  # OkHttp, in the app of Android
    re.compile(r"[Rr]eceived bad response code from server:? (\d{3})"),  # SocketRocket, in the app of iOS
)  # fmt: skip
_FAILED = re.compile(
    r"WebSocket connection to '[^']{0,2000}' failed|"
    r"\bFirefox [^:]{0,80}\bwss?://|"  # in every language Firefox names itself and then the server
    r"The connection to wss?://\S{0,2000} was interrupted|"
    r"\b(?:GET|POST|OPTIONS)\s?https?://\S{0,2000} net::ERR_|Failed to load resource:|WebSocket network error",
)
#: what a page's end, not the server, does
_HARMLESS = re.compile(
    r"WebSocket is closed before the connection is established|was interrupted while the page was loading|"
    r"Close received after close|net::ERR_(?:ABORTED|BLOCKED_BY_\w+|NETWORK_CHANGED|NETWORK_IO_SUSPENDED|"
    r"FILE_NOT_FOUND|INTERNET_DISCONNECTED)",
)
_REASON = (
    (re.compile(r"ERR_CONNECTION_REFUSED|NS_ERROR_CONNECTION_REFUSED|Could not connect to the server|"
                r"Connection refused"), "refused"),
    (re.compile(r"ERR_(?:CONNECTION_)?TIMED_OUT|NS_ERROR_NET_TIMEOUT|request timed out|"
                r"SocketTimeoutException"), "timeout"),
    (re.compile(r"ERR_NAME_NOT_RESOLVED|NS_ERROR_UNKNOWN_HOST|hostname could not be found|"
                r"UnknownHostException"), "name-not-found"),
    (re.compile(r"ERR_CONNECTION_(?:RESET|CLOSED)|NS_ERROR_NET_RESET|network connection was lost"), "reset"),
)  # fmt: skip


#: one of these is in every line that is of interest; to look for them costs a hundredth of the patterns
_NEEDLES = (
    "ERR_",
    "err_",
    "_ERROR",
    "ertificate",
    "Certificate",
    "failed",
    "Failed",
    "Firefox",
    "HTTP",
    "http",
    "wss:",
    "NSURLError",
    "not verified",
    "SSLPeer",
    "Trust anchor",
    "self",
    "response code",
    "alternative",
    "wasn't",
)


class Refusal(NamedTuple):
    """A connection that did not come about."""

    role: str  # xmpp, channel, focus, page, other; empty where no address is in the line
    path: str  # without query: it holds tokens and passwords
    status: int | None
    certificate: str  # expired, untrusted, name-mismatch, or empty
    reason: str  # refused, timeout, name-not-found, reset, or empty


def role_of(path: str) -> str:
    """What a path of a deployment is for."""
    if "xmpp-websocket" in path or "http-bind" in path:
        return "xmpp"
    if "/colibri-ws/" in path or "/colibri-relay-ws/" in path:
        return "channel"
    if "/conference-request/" in path:
        return "focus"
    page = path.rsplit("/", 1)[-1]
    return (
        "page"
        if page in {"config.js", "interface_config.js", "external_api.js"} or "lib-jitsi-meet" in page
        else "other"
    )


def certificate(text: str) -> str:
    """Why a certificate was refused, in the browser's words; empty where none was."""
    return next((reason for pattern, reason in _CERTIFICATE if pattern.search(text)), "")


def split(address: str) -> tuple[str, str, str]:
    """Host, path and query of an address; empty ones for what is no address."""
    try:
        parts = urlsplit(address)
        return parts.hostname or "", parts.path, parts.query
    except ValueError:
        return "", "", ""


def refusal(text: str) -> Refusal | None:
    """What a browser's own line says of a connection that it did not get, or None."""
    if not any(each in text for each in _NEEDLES):
        return None
    refused = certificate(text)
    status = next((int(match[1]) for pattern in _STATUS if (match := pattern.search(text))), None)
    if not refused and status is None and not _FAILED.search(text):
        return None
    if _HARMLESS.search(text) and not refused:
        return None
    if status is not None and status < 400:
        return None
    addresses = _URL.findall(text)
    role, path = "", ""
    for address in addresses:  # the page's address may stand in front of that which was asked for
        _, its, _ = split(address.rstrip(".,)"))
        kind = role_of(its)
        if not role or kind != "other":
            role, path = kind, its
    if not addresses and (match := re.search(r"\((http-bind|xmpp-websocket)\b", text)) is not None:  # Safari's place
        role, path = "xmpp", f"/{match[1]}"
    reason = next((word for pattern, word in _REASON if pattern.search(text)), "")
    return Refusal(role, path, status, refused, reason)
