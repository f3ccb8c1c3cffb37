"""A server of real Prosody, nginx and coturn in a network of its own, with stand-ins for what no registry has.

Stand-ins, named as what they are: the focus is an XMPP component that answers a conference request and offers a
session; the bridge is an XMPP component in the brewery's room that answers STUN on UDP and WebSocket upgrades. Neither
is Jitsi's. Prosody's own anonymous login, rooms and service list stand for Jitsi's modules.
`python meet_world.py FOLDER FAULT` runs it in the namespace that it is started in, 192.0.2.1 being the address outside.
"""

import base64
import contextlib
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from xml.etree.ElementTree import XMLPullParser

from jitsilab.deploy import planning
from jitsilab.protocols import stun

DOMAIN, ADDRESS, SECRET = "meet.example.org", "192.0.2.1", "component-secret"
UFRAG, PASSWORD = "stndin1", "stand-in-bridge-password"
FOCUS = "http://jitsi.org/protocol/focus"

#: a fault by name, with what a check has to say of it: step, cause, reason
FAULTS = {
    "whole": (),
    "expired": ("certificate", "tls-refused", "expired"),
    "other-name": ("certificate", "tls-refused", "name-mismatch"),
    "untrusted": ("certificate", "tls-refused", "untrusted"),
    "websocket-403": ("websocket", "signaling-refused", "http-403"),
    "websocket-404": ("websocket", "signaling-refused", "http-404"),
    "no-upgrade": ("websocket", "signaling-refused", None),
    "prosody-down": ("bosh", "signaling-refused", "http-502"),
    "no-config": ("config", None, None),
    "no-focus": ("focus", "no-focus", "not-running"),
    "no-bridge": ("bridge", "no-bridge", None),
    "private-only": ("bridge", "nat-mapping-missing", None),
    "udp-blocked": ("udp", "udp-blocked", None),
    "channel-403": ("channel", "bridge-channel-refused", None),
    "turn-denies": ("turn-udp", "turn-permission-refused", None),
    "turn-secret": ("turn-udp", "turn-auth-failed", None),
    "turn-down": ("turn-tls", "turn-unreachable", "not-running"),
    "turn-certificate": ("turn-tls", "turn-unreachable", "tls-certificate"),
    "wide-open": ("shut", None, None),
}


def make_certificates(folder: Path) -> None:
    """An authority, and certificates of it: good, expired, of another name; and one that signed itself."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *curve, "-days", "30", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.crt")
    for name, subject, days in (("good", DOMAIN, "30"), ("other", "other.example.org", "30"), ("expired", DOMAIN, "0")):
        openssl("req", *curve, "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (folder / "names").write_text(f"subjectAltName=DNS:{subject}\n")
        sign = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", days, "-extfile", "names")
        openssl("x509", "-req", "-in", f"{name}.csr", *sign, "-out", f"{name}.crt")
    openssl("req", "-x509", *curve, "-days", "30", "-subj", f"/CN={DOMAIN}", "-addext", f"subjectAltName=DNS:{DOMAIN}",
            "-keyout", "self.key", "-out", "self.crt")  # fmt: skip


def prosody(folder: Path, fault: str) -> str:
    secret = "another" if fault == "turn-secret" else "turn-secret"
    wide = '"0.0.0.0"' if fault == "wide-open" else '"127.0.0.1"'
    return f"""
run_as_root = true
data_path = "{folder}/data"
pidfile = "{folder}/prosody.pid"
log = {{ info = "{folder}/prosody.log" }}
interfaces = {{ {wide} }}
http_interfaces = {{ "127.0.0.1" }}
component_interfaces = {{ "127.0.0.1" }}
http_ports = {{ 5280 }}
https_ports = {{ }}
trusted_proxies = {{ "127.0.0.1" }}
modules_enabled = {{ "saslauth", "disco", "bosh", "websocket", "smacks", "external_services" }}
modules_disabled = {{ "s2s" }}
c2s_require_encryption = false
consider_bosh_secure = true
consider_websocket_secure = true
storage = "memory"
external_service_secret = "{secret}"
external_services = {{
  {{ type = "stun", host = "{DOMAIN}", port = 3478 }},
  {{ type = "turn", host = "{DOMAIN}", port = 3478, transport = "udp", secret = true, algorithm = "turn" }},
  {{ type = "turn", host = "{DOMAIN}", port = 3478, transport = "tcp", secret = true, algorithm = "turn" }},
  {{ type = "turns", host = "{DOMAIN}", port = 5349, transport = "tcp", secret = true, algorithm = "turn" }},
}}
VirtualHost "{DOMAIN}"
  authentication = "anonymous"
Component "conference.{DOMAIN}" "muc"
  muc_room_locking = false
Component "internal.auth.{DOMAIN}" "muc"
  muc_room_locking = false
Component "focus.{DOMAIN}"
  component_secret = "{SECRET}"
Component "bridge.{DOMAIN}"
  component_secret = "{SECRET}"
"""


def nginx(folder: Path, fault: str) -> str:
    name = {"expired": "expired", "other-name": "other", "untrusted": "self"}.get(fault, "good")
    upgrade = "" if fault == "no-upgrade" else (
        "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"
    )  # fmt: skip
    refused = f"return {fault[-3:]};" if fault.startswith("websocket-") else ""
    channel = "return 403;" if fault == "channel-403" else ""
    config = "return 404;" if fault == "no-config" else "default_type application/javascript;"
    return f"""
user root; worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;
events {{ worker_connections 256; }}
http {{
  access_log {folder}/access.log; root {folder}/page; default_type text/html;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen {ADDRESS}:443 ssl; server_name {DOMAIN};
    ssl_certificate {folder}/{name}.crt; ssl_certificate_key {folder}/{name}.key;
    location = /config.js {{ {config} }}
    location = /xmpp-websocket {{
      {refused} proxy_pass http://127.0.0.1:5280; proxy_http_version 1.1; {upgrade} proxy_set_header Host {DOMAIN};
    }}
    location = /http-bind {{ proxy_pass http://127.0.0.1:5280; proxy_set_header Host {DOMAIN}; }}
    location /colibri-ws/ {{
      {channel} proxy_pass http://127.0.0.1:9090; proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
    }}
  }}
}}
"""


def coturn(folder: Path, fault: str) -> str:
    name = "self" if fault == "turn-certificate" else "good"
    denied = f"denied-peer-ip={ADDRESS}" if fault == "turn-denies" else f"allowed-peer-ip={ADDRESS}"
    return f"""
use-auth-secret
static-auth-secret=turn-secret
realm={DOMAIN}
listening-ip={ADDRESS}
relay-ip={ADDRESS}
listening-port=3478
tls-listening-port=5349
cert={folder}/{name}.crt
pkey={folder}/{name}.key
no-cli
{denied}
pidfile={folder}/turn.pid
userdb={folder}/turn.db
log-file={folder}/turn.log
simple-log
"""


CONFIG = f"""var config = {{ hosts: {{ domain: '{DOMAIN}', muc: 'conference.{DOMAIN}', focus: 'focus.{DOMAIN}' }},
  bosh: '//{DOMAIN}/http-bind', websocket: 'wss://{DOMAIN}/xmpp-websocket' }};
"""


#: Jitsi's Prosody modules that a plan loads, in no package here: empty ones of their names stand in
MODULES = (
    "muc_hide_all", "muc_meeting_id", "muc_domain_mapper", "muc_rate_limit", "muc_password_whitelist",
    "features_identity", "jitsi_session", "conference_duration", "muc_lobby_rooms", "limits_exception",
    "speakerstats_component", "end_conference", "av_moderation_component", "room_metadata_component",
)  # fmt: skip


def planned(folder: Path) -> dict[str, str]:
    """What `jitsilab deploy plan` writes for this server, moved below a folder; the stand-ins are let in."""
    wishes = planning.Wishes(DOMAIN, "me@example.org", ADDRESS, secrets=planning.made_secrets())
    files = {one.path: one.text for one in planning.files(wishes)}
    modules = folder / "modules"
    modules.mkdir(exist_ok=True)
    for name in MODULES:
        (modules / f"mod_{name}.lua").write_text("-- stands in\n")
    (modules / "mod_auth_jitsi-anonymous.lua").write_text('module:require("auth_anonymous");\n')
    library = next(Path(one) for one in ("/usr/lib/prosody/modules",) if Path(one).is_dir())
    (modules / "auth_anonymous.lib.lua").write_text((library / "mod_auth_anonymous.lua").read_text())
    hosts = files[f"etc/prosody/conf.d/{DOMAIN}.cfg.lua"]
    hosts = hosts.replace(
        '"client_proxy"\n\ttarget_address = "focus@auth.' + DOMAIN + '"', f'\n\tcomponent_secret = "{SECRET}"'
    )
    hosts += f'Component "bridge.{DOMAIN}"\n\tcomponent_secret = "{SECRET}"\n'
    inside = f'"focus@auth.{DOMAIN}", "focus@focus.{DOMAIN}", "jvb@bridge.{DOMAIN}"'
    hosts = hosts.replace(f'"focus@auth.{DOMAIN}", "jvb@auth.{DOMAIN}"', inside)
    main = files["etc/prosody/prosody.cfg.lua"].replace(
        f'admins = {{ "focus@auth.{DOMAIN}" }}', f"admins = {{ {inside} }}"
    )
    main = main.replace("/usr/share/jitsi-meet/prosody-plugins", str(modules)).replace("/run/prosody/", f"{folder}/")
    main = main.replace("/var/log/prosody/", f"{folder}/").replace('Include "conf.d/*.cfg.lua"', hosts)
    site = files[f"etc/nginx/sites-available/{DOMAIN}.conf"].replace(
        "listen [::]", f"listen {ADDRESS}:1; # listen [::]"
    )
    site = site.replace("listen 443", f"listen {ADDRESS}:443").replace("listen 80", f"listen {ADDRESS}:80")
    site = site.replace("/var/log/nginx", str(folder)).replace("/usr/share/jitsi-meet", f"{folder}/page")
    for ending in ("crt", "key"):
        site = site.replace(f"/etc/jitsi/meet/{DOMAIN}.{ending}", f"{folder}/good.{ending}")
        for name in (DOMAIN, f"auth.{DOMAIN}"):
            main = main.replace(f"/etc/prosody/certs/{name}.{ending}", f"{folder}/good.{ending}")
    (folder / "settings.js").write_text(files[f"etc/jitsi/meet/{DOMAIN}-config.js"])
    site = site.replace(f"/etc/jitsi/meet/{DOMAIN}-config.js", f"{folder}/settings.js")
    temporary = "".join(f"{name}_temp_path {folder};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    relay = files["etc/turnserver.conf"].replace("/etc/coturn/certs/" + DOMAIN, f"{folder}/good")
    relay = relay.replace("syslog", f"pidfile={folder}/turn.pid\nuserdb={folder}/turn.db\nlog-file={folder}/turn.log")
    return {
        "prosody.cfg.lua": f'run_as_root = true\ndata_path = "{folder}/data"\n{main}',
        "nginx.conf": f"user root; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log;\n"
        f"events {{ }}\nhttp {{ include /etc/nginx/mime.types; {temporary}\n{site} }}\n",
        "turn.conf": relay,
    }


class Component:
    """An XMPP component (XEP-0114)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.create_connection(("127.0.0.1", 5347), 10)
        self.socket.settimeout(None)
        self.parser = XMLPullParser(["start", "end"])
        self.depth = 0
        self.lock = threading.Lock()
        self.send(
            f"<stream:stream xmlns='jabber:component:accept' "
            f"xmlns:stream='http://etherx.jabber.org/streams' to='{name}'>"
        )
        identity = ""
        while not identity:
            for kind, element in self._events():
                if kind == "start":
                    identity = identity or element.get("id") or ""
        digest = hashlib.sha1((identity + SECRET).encode(), usedforsecurity=False).hexdigest()
        self.send(f"<handshake>{digest}</handshake>")

    def send(self, text: str) -> None:
        with self.lock:
            self.socket.sendall(text.encode())

    def _events(self):
        if not (data := self.socket.recv(65536)):
            raise SystemExit("the server has ended the stream")
        self.parser.feed(data)
        for kind, element in self.parser.read_events():
            self.depth += 1 if kind == "start" else -1
            yield kind, element

    def stanzas(self):
        while True:
            for kind, element in self._events():
                if kind == "end" and self.depth == 1:
                    yield element


def focus(fault: str) -> None:
    """Stand-in for Jicofo: answers for a room, enters it, and offers a session to the second who comes."""
    one = Component(f"focus.{DOMAIN}")
    brewery = f"jvbbrewery@internal.auth.{DOMAIN}/focus"
    muc = "<x xmlns='http://jabber.org/protocol/muc'/>"
    one.send(f"<presence from='focus@focus.{DOMAIN}/1' to='{brewery}'>{muc}</presence>")
    bridges: set[str] = set()
    people: dict[str, set[str]] = {}
    for stanza in one.stanzas():
        sender, name = stanza.get("from") or "", stanza.tag.rpartition("}")[2]
        asked = stanza.find(f"{{{FOCUS}}}conference")
        if name == "iq" and asked is not None:
            room = asked.get("room") or ""
            people.setdefault(room, set())
            one.send(f"<presence from='focus@focus.{DOMAIN}/1' to='{room}/focus'>{muc}</presence>")
            one.send(
                f"<iq type='result' id='{stanza.get('id')}' from='focus.{DOMAIN}' to='{sender}'>"
                f"<conference xmlns='{FOCUS}' room='{room}' ready='true'/></iq>"
            )
        elif name == "presence" and sender.startswith("jvbbrewery@"):
            if not sender.endswith("/focus"):
                (bridges.discard if stanza.get("type") == "unavailable" else bridges.add)(sender)
        elif name == "presence" and not sender.endswith("/focus"):
            room = sender.partition("/")[0]
            here = people.setdefault(room, set())
            if stanza.get("type") == "unavailable":
                here.discard(sender)
                Path("left").write_text(f"{len(here)} of {room}\n")
                continue
            here.add(sender)
            if len(here) < 2:
                continue
            if not bridges:
                inner = f"<bridgeNotAvailable xmlns='{FOCUS}'/>"
                one.send(f"<presence from='focus@focus.{DOMAIN}/1' to='{room}/focus'>{inner}</presence>")
                continue
            address = "10.1.2.3" if fault == "private-only" else ADDRESS
            for occupant in here:
                one.send(
                    f"<iq type='set' id='j1' from='focus@focus.{DOMAIN}/1' to='{occupant}'>"
                    "<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s1'><content name='audio'>"
                    f"<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='{UFRAG}' pwd='{PASSWORD}'>"
                    f"<web-socket xmlns='http://jitsi.org/protocol/colibri' "
                    f"url='wss://{DOMAIN}/colibri-ws/default-id/y/z?pwd=p'/>"
                    f"<candidate ip='{address}' port='10000' protocol='udp' component='1' type='host' foundation='1' "
                    "generation='0' id='1' priority='1' network='0'/></transport></content></jingle></iq>"
                )


def bridge(fault: str) -> None:
    """Stand-in for the Videobridge: in the brewery, answering checks on UDP and upgrades on 9090."""
    if fault != "no-bridge":
        one = Component(f"bridge.{DOMAIN}")
        one.send(
            f"<presence from='jvb@bridge.{DOMAIN}/1' to='jvbbrewery@internal.auth.{DOMAIN}/jvb-1'>"
            "<x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
        threading.Thread(target=lambda: list(one.stanzas()), daemon=True).start()
    threading.Thread(target=_channel, daemon=True).start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((ADDRESS, 10000))
        while True:
            data, sender = udp.recvfrom(2048)
            request = stun.decode(data)
            key = stun.short_term_key(PASSWORD)
            good = (request.text(stun.USERNAME) or "").startswith(UFRAG + ":") and stun.integrity_ok(request, key)
            if fault == "udp-blocked" or not good or not stun.fingerprint_ok(request):
                continue
            packed = bytes(a ^ b for a, b in zip(socket.inet_aton(sender[0]), stun.COOKIE, strict=True))
            value = struct.pack("!BBH", 0, 1, sender[1] ^ 0x2112) + packed
            udp.sendto(struct.pack("!HH", 0x0101, 12) + data[4:20] + struct.pack("!HH", 0x0020, 8) + value, sender)


def _channel() -> None:
    server = socket.create_server(("127.0.0.1", 9090))
    while True:
        one, _ = server.accept()
        with one, contextlib.suppress(OSError, ValueError):
            head = one.recv(4096).decode()
            key = next(
                line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key")
            )
            guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1((key + guid).encode(), usedforsecurity=False).digest()).decode()
            one.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            )
            one.settimeout(5)
            one.recv(4096)


def _wait(address: str, port: int, process: "subprocess.Popen[bytes] | None" = None) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            return
        if process is not None and process.poll() is not None:
            raise SystemExit(f"{process.args} ended: {process.returncode}")
        time.sleep(0.05)
    raise SystemExit(f"nobody listens at {address}:{port}")


def main(folder: Path, fault: str) -> None:
    """Start everything, say so, and end with standard input."""
    os.chdir(folder)
    (folder / "page").mkdir(exist_ok=True)
    (folder / "page/index.html").write_text("<!DOCTYPE html><title>Jitsi Meet</title>")
    (folder / "page/config.js").write_text(CONFIG)
    texts = {
        "prosody.cfg.lua": prosody(folder, fault),
        "nginx.conf": nginx(folder, fault),
        "turn.conf": coturn(folder, fault),
    }
    for name, text in (planned(folder) if fault == "planned" else texts).items():
        (folder / name).write_text(text)
    running = []

    def start(*command: str) -> "subprocess.Popen[bytes]":
        running.append(
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        return running[-1]

    try:
        server = start("nginx", "-c", str(folder / "nginx.conf"))
        xmpp = None if fault == "prosody-down" else start("prosody", "--config", str(folder / "prosody.cfg.lua"), "-F")
        relay = None if fault == "turn-down" else start("turnserver", "-c", str(folder / "turn.conf"))
        _wait(ADDRESS, 443, server)
        if xmpp is not None:
            _wait("127.0.0.1", 5347, xmpp)
            _wait("127.0.0.1", 5280, xmpp)
            threading.Thread(target=bridge, args=(fault,), daemon=True).start()
            if fault != "no-focus":
                time.sleep(0.3)
                threading.Thread(target=focus, args=(fault,), daemon=True).start()
        if relay is not None:
            _wait(ADDRESS, 5349, relay)
        time.sleep(0.5)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
    finally:
        for one in running:
            one.terminate()
        for one in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(5)
            one.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
