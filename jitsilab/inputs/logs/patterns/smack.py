# ruff: noqa: E501  (a pattern is one line)
"""Why a login or a connection of Smack (the XMPP library of bridge and focus) failed: the words of its exceptions."""

from jitsilab.inputs.logs.patterns import Pattern

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
    (r"(?:stream:error|StreamErrorException)[^\n]{0,200}?(not-authorized|conflict|host-gone|improper-addressing)", "login-refused", ""),
)  # fmt: skip


def component(program: str) -> tuple[Pattern, ...]:
    """Bridge and focus as components of the XMPP server (XEP-0114), until 2020 and 2021: org.jitsi.meet.ComponentMain."""
    tail = r", host:(?P<value>[^\s,]+), port:(?P<port>\d+)"
    return (
        Pattern(program, "ComponentMain", "host-unknown" + tail, "host-unknown", "2015", "2021"),
        Pattern(
            program, "ComponentMain", "not-authorized" + tail, "login-refused", "2015", "2021", value="not-authorized"
        ),
        Pattern(
            program,
            "ComponentMain",
            r"(?:\S+Exception: )?Connection refused[^\n]*?" + tail,
            "xmpp-unreachable",
            "2015",
            "2021",
            value="{value}:{port}",
            detail="refused",
        ),
    )


def virtual_machine(program: str) -> tuple[Pattern, ...]:
    """What Java itself writes when it does not start or has no memory left."""
    return (
        Pattern(program, "Exception", r"OutOfMemoryError(?:: (?P<detail>.*))?", "out-of-memory", value=program),
        Pattern(program, "", r"Error: (?P<value>Could not create the Java Virtual Machine)", "program-ended"),
        Pattern(
            program,
            "",
            r"(?:# *)?There is insufficient memory for the Java Runtime Environment",
            "out-of-memory",
            value=program,
        ),
    )


LOGGING_IN = (*_REFUSED, *_CERTIFICATE, *_UNREACHABLE)
CONNECTING = (*_REFUSED, *_CERTIFICATE, *_UNREACHABLE)
