"""How to have TLS secrets written: each browser on each platform, and each part of a server, as data."""

import sys
from typing import NamedTuple


class How(NamedTuple):
    """How one program is made to write its TLS secrets."""

    program: str
    platform: str  # linux, macos, windows, server
    commands: tuple[str, ...]
    note: str = ""


HOWS = (
    How("Chrome, Chromium", "linux", (
        'SSLKEYLOGFILE="$HOME/keys.txt" chromium --user-data-dir="$(mktemp -d)" https://DOMAIN/ROOM',),
        "a fresh profile, since a Chromium that runs already takes the window over and writes nothing; "
        "snap's and flatpak's may write below their own folders alone"),
    How("Firefox", "linux", ('SSLKEYLOGFILE="$HOME/keys.txt" firefox --no-remote --profile "$(mktemp -d)"',),
        "distributions may build it without this; Mozilla's own has it"),
    How("Chrome", "macos", (
        'SSLKEYLOGFILE="$HOME/keys.txt" "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" '
        '--user-data-dir="$(mktemp -d)"',), "not by `open`, which does not hand the variable on"),
    How("Firefox", "macos", (
        'SSLKEYLOGFILE="$HOME/keys.txt" /Applications/Firefox.app/Contents/MacOS/firefox --no-remote '
        '--profile "$(mktemp -d)"',)),
    How("Chrome", "windows", (
        '$env:SSLKEYLOGFILE = "$env:USERPROFILE\\keys.txt"',
        '& "$env:ProgramFiles\\Google\\Chrome\\Application\\chrome.exe" --user-data-dir="$env:TEMP\\fresh"'),
        "in PowerShell"),
    How("Firefox", "windows", (
        '$env:SSLKEYLOGFILE = "$env:USERPROFILE\\keys.txt"',
        '& "$env:ProgramFiles\\Mozilla Firefox\\firefox.exe" -no-remote -profile "$env:TEMP\\fresh"'), "in PowerShell"),
    How("nginx, coturn, Prosody (OpenSSL before 3.5)", "server", (
        "# none of them reads SSLKEYLOGFILE; record on `any` instead:",
        "sudo jitsilab record -i any --for jitsi -d 60"),
        "nginx to Prosody (5280) and to the bridge (9090) is in clear on the loopback side"),
    How("nginx, coturn, Prosody (OpenSSL 3.5, built with enable-sslkeylog)", "server", (
        "openssl version -a   # says whether",
        "sudo systemctl edit nginx   # [Service] Environment=SSLKEYLOGFILE=/run/keys.txt",
        "sudo systemctl restart nginx"),
        "everybody's secrets: for a test server, and to be undone afterwards"),
    How("Jicofo, Jitsi Videobridge (Java)", "server", (
        "# an agent writes them: jSSLKeyLog, or extract-tls-secrets",
        'JAVA_SYS_PROPS="$JAVA_SYS_PROPS -javaagent:/opt/extract-tls-secrets.jar=/run/k.txt"   # /etc/jitsi/*/config',
        "sudo systemctl restart jicofo jitsi-videobridge2"),
        "opens their connection to Prosody (5222), where COLIBRI is"),
    How("DTLS of browser and bridge", "server", (),
        "neither writes its secrets; media stay sealed, and jitsilab does not open them"),
)  # fmt: skip


def platform() -> str:
    """The platform of this machine as it is called here."""
    return {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")


def text(wanted: str | None = None) -> str:
    """What to type on a platform (this machine's by default), and for each part of a server."""
    lines = []
    for how in HOWS:
        if how.platform in (wanted or platform(), "server"):
            lines.append(f"# {how.program}{': ' + how.note if how.note else ''}")
            lines += [*how.commands, ""]
    lines.append("# then: jitsilab diagnose call.pcapng --keylog keys.txt")
    lines.append("# a key log opens everything that it belongs to: keep it as you keep passwords")
    return "\n".join(lines)
