"""A client of XMPP over WebSocket whose connection breaks: Prosody with mod_smacks, and a few stanzas by hand.

`python tests/made_resume.py` writes the captures in tests/vectors/resume anew; it needs root, dumpcap and prosody.
"""

import base64
import hashlib
import hmac
import os
import re
import socket
import struct
import sys
import tempfile
import time
from pathlib import Path

import two_hosts

TOOLS = (*two_hosts.TOOLS, "prosody", "prosodyctl")
FOLDER = Path(__file__).resolve().parent / "vectors" / "resume"
SERVER, DOMAIN, USER, PASSWORD = "203.0.113.10", "meet.example.org", "ann", "of-this-test"
SM = "urn:xmpp:sm:3"
ROOM = f"lab@conference.{DOMAIN}"

CONFIGURATION = f"""
run_as_root = true
data_path = "FOLDER/data"
pidfile = "FOLDER/pid"
log = {{ debug = "FOLDER/prosody.log" }}
modules_enabled = {{ "saslauth", "websocket", "smacks", "roster" }}
modules_disabled = {{ "s2s", "tls" }}
c2s_ports = {{}}
http_ports = {{ 5280 }}
http_interfaces = {{ "{SERVER}" }}
https_ports = {{}}
http_default_host = "{DOMAIN}"
consider_websocket_secure = true
smacks_hibernation_time = KEPT
VirtualHost "{DOMAIN}"
  authentication = "internal_plain"
Component "conference.{DOMAIN}" "muc"
"""
SCENARIOS = {"resumed": 30, "forgotten": 1}  # s for which the server keeps a stream whose connection broke


class Connection:
    """A WebSocket to Prosody, as lib-jitsi-meet opens one (RFC 7395)."""

    def __init__(self) -> None:
        self.socket = socket.create_connection((SERVER, 5280), 5)
        key = base64.b64encode(os.urandom(16)).decode()
        fields = f"Host: {DOMAIN}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
        request = f"GET /xmpp-websocket?room=lab HTTP/1.1\r\n{fields}Sec-WebSocket-Version: 13\r\n"
        self.socket.sendall(f"{request}Sec-WebSocket-Protocol: xmpp\r\n\r\n".encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data and (more := self.socket.recv(4096)):
            self.data += more
        self.data = self.data.partition(b"\r\n\r\n")[2]

    def say(self, text: str) -> None:
        payload, mask = text.encode(), os.urandom(4)
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
        self.socket.sendall(b"\x81" + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload)))

    def hear(self, pattern: str) -> str:
        """The next message that fits; others before it are passed over."""
        while True:
            while len(self.data) < 2 or len(self.data) < self._ends()[1]:
                more = self.socket.recv(4096)
                if not more:
                    raise ConnectionError(pattern)
                self.data += more
            begin, end = self._ends()
            text, self.data = self.data[begin:end].decode(), self.data[end:]
            if re.search(pattern, text):
                return text

    def _ends(self) -> tuple[int, int]:
        size = self.data[1] & 127
        begin = 4 if size == 126 else 2
        return begin, begin + (int.from_bytes(self.data[2:4]) if size == 126 else size)

    def log_in(self) -> None:
        """SCRAM-SHA-1 (RFC 5802), and the stream begun anew."""
        framing = "urn:ietf:params:xml:ns:xmpp-framing"
        self.say(f'<open xmlns="{framing}" to="{DOMAIN}" version="1.0"/>')
        self.hear("<mechanism")
        first, sasl = f"n={USER},r=0123456789abcdef", 'xmlns="urn:ietf:params:xml:ns:xmpp-sasl"'
        told = base64.b64encode(b"n,," + first.encode()).decode()
        self.say(f'<auth {sasl} mechanism="SCRAM-SHA-1">{told}</auth>')
        challenge = base64.b64decode(re.sub("<[^>]*>", "", self.hear("<challenge"))).decode()
        fields = dict(part.split("=", 1) for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client = hmac.digest(salted, b"Client Key", "sha1")
        bare = f"c=biws,r={fields['r']}"
        signed = hmac.digest(hashlib.sha1(client).digest(), f"{first},{challenge},{bare}".encode(), "sha1")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client, signed, strict=True))).decode()
        self.say(f"<response {sasl}>{base64.b64encode(f'{bare},p={proof}'.encode()).decode()}</response>")
        self.hear("<success")
        self.say(f'<open xmlns="{framing}" to="{DOMAIN}" version="1.0"/>')
        self.hear("<sm |urn:xmpp:sm")

    def enter(self) -> str:
        """Bind, turn stream management on, and enter the room; the id under which the stream can be resumed."""
        bind = '<bind xmlns="urn:ietf:params:xml:ns:xmpp-bind"/>'
        self.say(f'<iq xmlns="jabber:client" type="set" id="bind">{bind}</iq>')
        self.hear("<jid>")
        self.say(f'<enable xmlns="{SM}" resume="true"/>')
        enabled = self.hear("<enabled")
        nick = '<nick xmlns="http://jabber.org/protocol/nick">ann</nick>'
        muc = '<x xmlns="http://jabber.org/protocol/muc"/>'
        self.say(f'<presence xmlns="jabber:client" to="{ROOM}/0a1b2c3d">{muc}{nick}</presence>')
        self.hear("code=['\"]110")
        found = re.search(r"\bid=['\"]([^'\"]+)", enabled)
        return found[1] if found else ""

    def breaks(self) -> None:
        """The end without a word: a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def client(pause: float) -> None:
    """Enter, lose the connection, ask for the stream again, and where it is gone enter anew."""
    one = Connection()
    one.log_in()
    previous = one.enter()
    time.sleep(0.3)
    one.breaks()
    time.sleep(pause)
    two = Connection()
    two.log_in()
    two.say(f'<resume xmlns="{SM}" previd="{previous}" h="2"/>')
    if "<failed" in two.hear("<resumed|<failed"):
        two.enter()
    two.say(f'<message xmlns="jabber:client" type="groupchat" to="{ROOM}"><body>back</body></message>')
    two.hear("<body>back")
    two.say('<close xmlns="urn:ietf:params:xml:ns:xmpp-framing"/>')
    time.sleep(0.2)


def record(folder: Path, scenario: str) -> Path:
    """The capture; CalledProcessError where this user may not make namespaces, or Prosody does not start."""
    kept = SCENARIOS[scenario]
    text = CONFIGURATION.replace("FOLDER", str(folder)).replace("KEPT", str(kept))
    (folder / "prosody.cfg.lua").write_text(text)
    script = f"""
prosodyctl --config "$PWD/prosody.cfg.lua" register {USER} {DOMAIN} {PASSWORD} > register.log 2>&1
prosody --config "$PWD/prosody.cfg.lua" -F > run.log 2>&1 &
for i in $(seq 100); do (exec 3<>/dev/tcp/{SERVER}/5280) 2> /dev/null && break; sleep 0.1; done
record
in_client --wd="$PWD" {sys.executable} {Path(__file__).resolve()} client {3.0 if kept < 3 else 0.3} > client.log 2>&1
"""
    return two_hosts.run(folder, script)


if __name__ == "__main__":
    if sys.argv[1:2] == ["client"]:
        client(float(sys.argv[2]))
    else:
        FOLDER.mkdir(exist_ok=True)
        for name in sys.argv[1:] or SCENARIOS:
            with tempfile.TemporaryDirectory() as made:
                (FOLDER / f"{name}.pcap").write_bytes(record(Path(made), name).read_bytes())
                for log in ("register.log", "run.log", "client.log"):
                    sys.stderr.write((Path(made) / log).read_text())
