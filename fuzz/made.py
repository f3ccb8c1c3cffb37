# ruff: noqa: E501 - lines of programs stay whole
"""Seeds of what no recording in data/ holds, written by hand in the forms that programs write."""

import datetime
import ipaddress
import json
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from jitsilab.pcap import read

_CANDIDATE = "candidate:1 1 udp 2130706431 192.0.2.9 10000 typ host generation 0"
_TRACE = [
    ["create", None, {"iceServers": []}, 1600000000000], ["createOffer", "PC_0", None, 5],
    ["setRemoteDescription", "PC_0", {"type": "offer", "sdp": "v=0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n"}, 10],
    ["onicecandidate", "PC_0", {"candidate": _CANDIDATE, "sdpMid": "0"}, 12],
    ["oniceconnectionstatechange", "PC_0", "connected", 20],
    ["getStats", "PC_0", {"x": {"type": "inbound-rtp", "ssrc": 5, "packetsReceived": 7}}, 25],
]  # fmt: skip
_PAGE = {
    "log": {"version": "1.2", "pages": [], "entries": [{
        "startedDateTime": "2026-01-05T10:00:00.000Z", "time": 12.5, "serverIPAddress": "192.0.2.9",
        "request": {"method": "GET", "url": "wss://meet.example/xmpp-websocket?room=x", "headers": [
            {"name": "Upgrade", "value": "websocket"}]},
        "response": {"status": 101, "statusText": "Switching Protocols", "headers": [], "content": {"size": 0}},
        "_webSocketMessages": [
            {"type": "send", "time": 1767607200.1, "opcode": 1,
             "data": "<presence xmlns='jabber:client' to='x@conference.meet.example/ann'/>"},
            {"type": "receive", "time": 1767607200.2, "opcode": 1, "data": "<message xmlns='jabber:client'/>"}],
    }]}
}  # fmt: skip

SEEDS: dict[str, list[bytes]] = {
    "har": [json.dumps(_PAGE).encode()],
    "rtcstats": [
        "\n".join(["RTCStatsDump", '{"url":"https://meet.example/x","fileFormat":3}', *map(json.dumps, _TRACE)]).encode(),
        "\n".join(map(json.dumps, _TRACE)).encode(),
    ],
    "facts-env": [
        b"PUBLIC_URL=https://meet.example\nHTTPS_PORT=8443\nJVB_PORT=10000\nJVB_ADVERTISE_IPS=192.0.2.9\nENABLE_AUTH=1\n"
        b"JICOFO_AUTH_PASSWORD=0123456789abcdef\nTZ='UTC'\nX=${PUBLIC_URL:-x}\n"
    ],
    "facts-properties": [
        b"org.jitsi.videobridge.AUTHORIZED_SOURCE_REGEXP=focus@auth.meet.example/.*\n"
        b"org.ice4j.ice.harvest.NAT_HARVESTER_LOCAL_ADDRESS=10.0.0.2\n"
    ],
    "facts-compose": [
        b"services:\n  web:\n    image: jitsi/web:stable\n    ports:\n      - '${HTTPS_PORT}:443'\n      - 127.0.0.1:80:80\n"
        b"  jvb:\n    image: jitsi/jvb:stable\n    network_mode: host\n    ports: ['10000:10000/udp']\n"
        b"    environment:\n      - JVB_PORT\n      - A=b\nnetworks:\n  meet.jitsi: {}\n"
    ],
    "facts-web": [
        b"var config = {\n  hosts: { domain: 'meet.example', muc: 'conference.' + subdomain + 'meet.example' },\n"
        b"  websocket: 'wss://meet.example/xmpp-websocket', // note\n  p2p: { enabled: true, stunServers: [] },\n};\n"
        b"config.x = 5;\n"
    ],
    "facts-containers": [
        b"CONTAINER ID   IMAGE   COMMAND  CREATED  STATUS  PORTS  NAMES\n"
        b"0123456789ab   jitsi/jvb   \"/init\"   2 days ago   Up 2 days   0.0.0.0:10000->10000/udp, :::10000->10000/udp   jvb\n"
    ],
    "facts-firewall": [
        b"*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p udp -m udp --dport 10000 -j ACCEPT\nCOMMIT\n",
        b"Status: active\n\nTo                         Action      From\n--                         ------      ----\n"
        b"10000/udp                  ALLOW IN    Anywhere\n",
        b'{"SecurityGroups":[{"IpPermissions":[{"IpProtocol":"udp","FromPort":10000,"ToPort":10000,'
        b'"IpRanges":[{"CidrIp":"0.0.0.0/0"}]}]}]}',
        b'{"nftables":[{"table":{"family":"inet","name":"filter"}},{"chain":{"family":"inet","table":"filter","name":"input",'
        b'"type":"filter","hook":"input","prio":0,"policy":"drop"}},{"rule":{"family":"inet","table":"filter","chain":"input",'
        b'"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":10000}},{"accept":null}]}}]}',
        b"public (active)\n  target: default\n  icmp-block-inversion: no\n  services: ssh\n  ports: 10000/udp\n",
        b"<?xml version='1.0'?>\n<zone><port port='10000' protocol='udp'/></zone>\n",
    ],
}  # fmt: skip


def names(folder: Path) -> list[bytes]:
    """Answers and questions of DNS, out of captures of a resolver."""
    found = []
    for path in sorted(folder.glob("*.pcap")):
        packets = read(path)
        rows = ((packets.src_port == 53) | (packets.dst_port == 53)).nonzero()[0]
        found += [data for data in packets.payloads(rows) if len(data) > 11]
    return found


def certificates() -> list[bytes]:
    """Of every kind of key that is read, with the names a server's has, in both forms."""
    begin = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    keys = (
        rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1()), dsa.generate_private_key(2048),
        ec.generate_private_key(ec.SECP521R1()), ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate(),
    )  # fmt: skip
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "meet.example.org")])
    names: list[x509.GeneralName] = [
        x509.DNSName("meet.example.org"), x509.DNSName("*.example.org"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.9")), x509.RFC822Name("ann@example.org"),
    ]  # fmt: skip
    found = []
    for serial, key in enumerate(keys, 1):
        hash_or_none = None if isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
        builder = (
            x509.CertificateBuilder(
                name, name, key.public_key(), serial, begin, begin + datetime.timedelta(90 * serial)
            )
            .add_extension(x509.SubjectAlternativeName(names[:serial]), critical=False)
            .add_extension(x509.BasicConstraints(serial > 3, None), critical=serial > 3)
        )
        certificate = builder.sign(key, hash_or_none)
        found += [certificate.public_bytes(Encoding.DER), certificate.public_bytes(Encoding.PEM)]
    return found
