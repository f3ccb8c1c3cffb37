# ruff: noqa: E501  (a pattern is one line)
"""Lines of Prosody, coturn, nginx's error log, the kernel, systemd and docker."""

from jitsilab.inputs.logs.patterns import Pattern

PROSODY = (
    Pattern("prosody", "startup", r"Hello and welcome to Prosody version (?P<value>\S+)", "program-started", "0.8"),
    Pattern("prosody", "modulemanager", r"Unable to load module '(?P<value>[^']+)'", "option-unknown", "0.8"),
    Pattern("prosody", "modulemanager", r"Error initializing module '(?P<value>[^']+)' on ", "option-unknown", "0.8", detail="error while it started"),
    Pattern("prosody", "saslauth", r"No available SASL mechanisms, verify that the configured authentication module '(?P<detail>[^']+)'", "login-refused", "0.11", value="no mechanism"),
    Pattern("prosody", "auth_token|general", r"Error verifying token err:(?P<detail>[\w-]+), reason:(?P<value>.*?)(?: tenant:\S* room:(?P<room>[^\s@]*)\S* user_agent:.*)?$", "token-refused", "2018"),
    Pattern("prosody", "token_verification|general", r"Token .* not allowed to join: (?P<room>[^\s@]+)@?\S*", "token-refused", "2016", value="room not allowed"),
    Pattern("prosody", "c2s", r"Authenticated as (?P<value>\S+@\S+?)(?: \[[^\]]*\])?$", "logged-in", "0.8"),
    Pattern("prosody", "c2s", r"Client disconnected: (?P<value>(?:sslv3 alert |tlsv1 alert )?(?:certificate unknown|unknown ca|bad certificate|certificate expired))", "certificate-refused", "0.8"),
    Pattern("prosody", "component", r"Component not connected, bouncing error for: .*\bto='focus\.", "focus-unavailable", "0.9", value="service-unavailable"),
    Pattern("prosody", "portmanager", r"Failed to open server port (?P<port>\d+) on (?P<address>\S+?), (?P<detail>.*)", "port-taken", "0.9", value="{address}:{port}"),
)  # fmt: skip

COTURN = (
    Pattern("coturn", "", r"(?:\nRFC [^\n]*\n)?Version Coturn-(?P<value>\S+)", "program-started"),
    Pattern("coturn", "", r"(?:session \d+: )?A peer IP (?P<value>\S+) denied in the range[:=] (?P<detail>\S+)", "peer-denied", "3"),
    Pattern("coturn", "", r"(?:session \d+: )?check_stun_auth: (?:Can ?not find credentials of user <|user \S+ credentials are incorrect)", "turn-credentials-refused", "3"),
    Pattern("coturn", "", r"session \d+: (?:origin <[^>]*> )?realm <[^>]*> user <[^>]*>: incoming packet CREATE_PERMISSION processed, error (?P<status>403)", "peer-denied", "3"),
    Pattern("coturn", "", r"session \d+: (?:origin <[^>]*> )?realm <[^>]*> user <[^>]+>: incoming packet (?:ALLOCATE|message) processed, error (?P<status>401): (?P<value>.*)", "turn-credentials-refused", "3"),
    Pattern("coturn", "", r"session \d+: (?:origin <[^>]*> )?realm <[^>]*> user <[^>]*>: incoming packet ALLOCATE processed, error (?P<status>4(?!01|38)\d\d|5\d\d): (?P<value>.*)", "allocation-refused", "3"),
    Pattern("coturn", "", r"IPv[46]\. Local relay addr: (?P<value>\S+)", "allocation-made", "3"),
)  # fmt: skip

_UPSTREAM = r"(?:[^\n]*?upstream: \"(?:\w+://)?(?P<value>[^\"/?]+)[^\"]*\")?"
NGINX = (
    Pattern("nginx", "error", r"connect\(\) (?:to \S+ )?failed \(111: [^)]*\) while connecting to upstream" + _UPSTREAM, "upstream-failed", detail="refused"),
    Pattern("nginx", "error", r"connect\(\) (?:to \S+ )?failed \((?:113|101): [^)]*\) while connecting to upstream" + _UPSTREAM, "upstream-failed", detail="no-route"),
    Pattern("nginx", "error", r"(?:connect\(\) (?:to \S+ )?failed|upstream timed out) \(110: [^)]*\) while (?:connecting to|reading response header from|SSL handshaking to) upstream" + _UPSTREAM, "upstream-failed", detail="timeout"),
    Pattern("nginx", "error", r"(?:upstream prematurely closed connection|recv\(\) failed \(104: [^)]*\)) while (?:reading response header from|connecting to) upstream" + _UPSTREAM, "upstream-failed", detail="reset"),
    Pattern("nginx", "error", r"no live upstreams while connecting to upstream" + _UPSTREAM, "upstream-failed", detail="refused"),
    Pattern("nginx", "error", r"(?P<value>\S+) could not be resolved \(\d+: [^)]*\)", "upstream-failed", detail="name-not-found"),
    Pattern("nginx", "error", r"host not found in upstream \"(?P<value>[^\"/?]+)", "upstream-failed", detail="name-not-found"),
    Pattern("nginx", "error", r"SSL_do_handshake\(\) failed [^\n]*SSL alert number 45", "tls-refused", value="expired", detail="page"),
    Pattern("nginx", "error", r"SSL_do_handshake\(\) failed [^\n]*SSL alert number (?:48|42|43)", "tls-refused", value="untrusted", detail="page"),
    Pattern("nginx", "error", r"SSL_do_handshake\(\) failed [^\n]*SSL alert number 46", "tls-refused", detail="page"),
    Pattern("nginx", "error", r"bind\(\) to (?P<value>\S+) failed \((?:98|48): ", "port-taken"),
)  # fmt: skip

SYSTEM = (
    Pattern("kernel", "", r"(?:\[ *\d+\.\d+\] )?(?:Memory cgroup out|Out) of memory: (?:OOM victim|Kill(?:ed)?) process \d+ \((?P<value>[^)]+)\)", "out-of-memory"),
    Pattern("kernel", "", r"(?:\[ *\d+\.\d+\] )?Killed process \d+ \((?P<value>[^)]+)\)", "out-of-memory"),
    Pattern("kernel", "", r"(?:\[ *\d+\.\d+\] )?oom-kill:.*,task=(?P<value>[^,]+)", "out-of-memory"),
    Pattern("systemd", "", r"(?P<unit>[\w@.-]+)\.service: A process of this unit has been killed by the OOM killer", "out-of-memory", value="{unit}"),
    Pattern("systemd", "", r"(?P<unit>[\w@.-]+)\.service: Main process exited, code=(?P<value>\w+), status=(?P<detail>(?!0\b|143\b|15\b)\S+)", "program-ended"),
    Pattern("docker", "", r"(?P<unit>\S+) exited with code (?P<detail>\d+)", "program-ended", value="exit code {detail}"),
)  # fmt: skip
