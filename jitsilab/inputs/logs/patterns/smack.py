# ruff: noqa: E501  (a pattern is one line)
"""Why a login or a connection of Smack (the XMPP library of bridge and focus) failed: the words of its exceptions."""

_UNREACHABLE = (
    (r"UnknownHostException|Could not lookup|Could not resolve|nodename nor servname|NXDOMAIN", "xmpp-unreachable", "name-not-found"),
    (r"(?i)Connection refused|Verbindungsaufbau abgelehnt|Connexion refus", "xmpp-unreachable", "refused"),
    (r"(?i)NoRouteToHost|No route to host|unreachable", "xmpp-unreachable", "no-route"),
    (r"(?i)timed out|SocketTimeout|NoResponseException|No response received within reply timeout", "xmpp-unreachable", "timeout"),
)  # fmt: skip

_CERTIFICATE = (
    (r"PKIX path building failed|unable to find valid certification path", "certificate-refused", "untrusted"),
    (r"CertificateExpiredException|NotAfter|certificate has expired|certificate_expired", "certificate-refused", "expired"),
    (r"No name matching|No subject alternative|does not match the certificate|HostnameVerif|Certificate does not authenticate", "certificate-refused", "name-mismatch"),
    (r"SSLHandshakeException|CertificateException", "certificate-refused", ""),
)  # fmt: skip

_REFUSED = (
    (r"SASLError using \S+: ([\w-]+)", "login-refused", ""),
    (r"host-unknown|does not serve", "host-unknown", ""),
    (r"(?:stream:error|StreamErrorException)[^\n]*?(not-authorized|conflict|host-gone|improper-addressing)", "login-refused", ""),
)  # fmt: skip

LOGGING_IN = (*_REFUSED, *_CERTIFICATE, *_UNREACHABLE)
CONNECTING = (*_REFUSED, *_CERTIFICATE, *_UNREACHABLE)
