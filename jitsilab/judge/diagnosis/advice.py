"""What to change for each cause: the file, the line, and what the change opens up."""

from typing import NamedTuple


class Advice(NamedTuple):
    """One remedy. ``line`` may hold ``{bridge}`` and ``{public}``, filled with addresses that the capture shows."""

    text: str
    file: str = ""  # where a Debian install of Jitsi Meet keeps the setting
    line: str = ""  # the line to have there
    opens: str = ""  # what that change makes possible, for those who weigh it


ADVICE = {
    "alone-in-room": Advice(
        "Nobody else was in this room. Compare the addresses that the participants opened, to the letter: another "
        "spelling, tenant or host is another room."
    ),
    "xmpp-auth-failed": Advice(
        "The XMPP server did not let this participant in: log in with an account, or let guests join rooms that "
        "somebody with an account has opened.",
        "/etc/prosody/conf.avail/DOMAIN.cfg.lua",
        'VirtualHost "guest.DOMAIN" with authentication = "jitsi-anonymous", and anonymousdomain in DOMAIN-config.js',
        "Guests may then enter any room that an account holder has created.",
    ),
    "no-bridge": Advice(
        "The focus had no video bridge to offer. See whether the bridge runs (systemctl status jitsi-videobridge2) and "
        "whether it logs in to the brewery room that the focus watches.",
        "/etc/jitsi/videobridge/jvb.conf",
        "videobridge.apis.xmpp-client.configs: hostname, password and muc-jids equal to jicofo.bridge.brewery-jid in "
        "/etc/jitsi/jicofo/jicofo.conf",
    ),
    "udp-blocked": Advice(
        "No UDP from this participant reached the bridge, and no relay was offered. Let UDP to the bridge's port in at "
        "the cloud's filter and the server's firewall; for participants behind firewalls that only let TCP 443 out, "
        "offer TURN over TLS.",
        "/etc/prosody/conf.avail/DOMAIN.cfg.lua",
        'external_services = {{ {{ type = "turns", transport = "tcp", port = 5349, secret = true }} }}',
        "The relay can be used by anybody who may join a room, for the life of its credentials.",
    ),
    "nat-mapping-missing": Advice(
        "The bridge advertised only its private address, which nobody outside can reach. Tell it the public one.",
        "/etc/jitsi/videobridge/jvb.conf",
        'ice4j.harvest.mapping.static-mappings = [{{ local-address = "{bridge}", public-address = "{public}" }}]',
    ),
    "turn-unreachable": Advice(
        "TURN was offered, but no TURN server answered there. See whether coturn runs and listens (systemctl status "
        "coturn; ss -lntup), and whether the proxy on 443 passes connections without ALPN on to it.",
        "/etc/turnserver.conf",
        "tls-listening-port, cert and pkey; the address and port that external_services in Prosody offers",
    ),
    "turn-auth-failed": Advice(
        "TURN refused the credentials that the XMPP server had handed out: the two do not share a secret (or their "
        "clocks differ by more than the lifetime).",
        "/etc/turnserver.conf",
        "static-auth-secret equal to external_service_secret in /etc/prosody/conf.avail/DOMAIN.cfg.lua",
    ),
    "turn-permission-refused": Advice(
        "TURN gave an address and then refused to relay to the bridge: a denied-peer-ip range covers it. coturn "
        "maps the server's public address back to the private one before it looks, so behind one-to-one NAT both of "
        "the bridge's addresses are denied.",
        "/etc/turnserver.conf",
        "allowed-peer-ip={bridge}",
        "Whoever holds TURN credentials may then reach every UDP port of that address through the relay: allow the "
        "bridge's address alone, and keep the denied ranges.",
    ),
    "checks-unanswered": Advice(
        "Connectivity checks were sent on every pair and none was answered. See which side's firewall drops them; a "
        "relay that both sides can reach gets around it.",
        "/etc/prosody/conf.avail/DOMAIN.cfg.lua",
        'external_services with type = "turns"',
    ),
    "dtls-failed": Advice(
        "ICE found a path, but the DTLS handshake on it did not finish. Something on the path drops DTLS or packets of "
        "its size (a ClientHello takes two datagrams of up to 1,200 bytes): try another network or a VPN, or a lower "
        "MTU at the participant's router."
    ),
    "fingerprint-mismatch": Advice(
        "The certificate in the DTLS handshake is not the one that the signaling announced, so the other side refused "
        "it. Something between the browser and the XMPP server altered the session description: take it for an attack "
        "until a proxy or an extension that rewrites it is found."
    ),
}


def advise(cause: str | None, bridge: str = "", public: str = "") -> str:
    """The remedy for a cause in one paragraph; empty where there is no cause to remedy.

    ``bridge`` and ``public`` are the server's private and public address, where the capture shows them.
    """
    advice = ADVICE.get(cause or "")
    if advice is None:
        return ""
    parts = [advice.text]
    if advice.line:
        line = advice.line.format(bridge=bridge or "PRIVATE-ADDRESS", public=public or "PUBLIC-ADDRESS")
        parts.append(f"{advice.file}: {line}." if advice.file else f"{line}.")
    return " ".join([*parts, advice.opens]).strip()
