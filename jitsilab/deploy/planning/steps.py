"""The steps to a server in their order, for Debian's packages and for docker: commands, reason, reference."""

import shlex
from typing import NamedTuple

from jitsilab.deploy.planning import media_files, signaling_files
from jitsilab.deploy.planning.wishes import Wishes

_GUIDE = "jitsi/handbook docs/devops-guide/"


class Step(NamedTuple):
    """One step: what is done, by which commands, why, and where that is written."""

    title: str
    reason: str
    commands: tuple[str, ...]
    reference: str


class File(NamedTuple):
    """A file of the plan: where it goes, what it holds, and who may read it."""

    path: str  # without the leading slash
    text: str
    secret: bool = False


def files(wishes: Wishes) -> list[File]:
    """What a folder of the plan holds besides the plan itself."""
    relay = [File("etc/turnserver.conf", media_files.turnserver(wishes), True)] if wishes.turn else []
    outside = [File("etc/nftables.conf", media_files.packet_filter(wishes))]
    if wishes.system == "docker":
        return [File("docker-jitsi-meet/.env", media_files.environment(wishes), True), *relay, *outside]
    domain = wishes.domain
    hook = "etc/letsencrypt/renewal-hooks/deploy/jitsi.sh"
    return [
        File("etc/prosody/prosody.cfg.lua", signaling_files.prosody(wishes)),
        File(f"etc/prosody/conf.d/{domain}.cfg.lua", signaling_files.prosody_host(wishes), True),
        File(f"etc/nginx/sites-available/{domain}.conf", signaling_files.nginx(wishes)),
        File(f"etc/jitsi/meet/{domain}-config.js", signaling_files.config_js(wishes)),
        File("etc/jitsi/jicofo/jicofo.conf", signaling_files.jicofo(wishes), True),
        File("etc/jitsi/videobridge/jvb.conf", media_files.jvb(wishes), True),
        *relay, *outside,
        *([] if wishes.own_certificate else [File(hook, media_files.renewal(wishes))]),
    ]  # fmt: skip


def steps(wishes: Wishes) -> list[Step]:
    """What to do, in order."""
    begin = [_name(wishes), _filter(wishes)]
    middle = _docker(wishes) if wishes.system == "docker" else _debian(wishes)
    return [*begin, *middle, _check(wishes)]


def _name(wishes: Wishes) -> Step:
    kind = "AAAA" if ":" in wishes.public_address else "A"
    return Step(
        "Point the name at the server",
        "Browsers, the certificate authority and the relay's clients all begin with the name; an old record "
        "sends them to "
        "another machine.",
        (f"# at your registrar: {wishes.domain}. 300 IN {kind} {wishes.public_address}",
         f"getent ahosts {wishes.domain}   # until it prints {wishes.public_address}",
         f"sudo hostnamectl set-hostname {wishes.domain}"),
        "Jitsi handbook, Self-Hosting Guide - Debian/Ubuntu server, " + _GUIDE + "devops-guide-quickstart.md",
    )  # fmt: skip


def _filter(wishes: Wishes) -> Step:
    relay = " 3478/udp and 5349/tcp for the relay, 49152-65535/udp for what it relays;" if wishes.turn else ""
    cloud = (
        " A provider's own filter (security group) stands before this one and needs the same ports."
        if wishes.translated else ""
    )  # fmt: skip
    return Step(
        "Open what is needed and nothing else",
        f"80/tcp for the certificate, 443/tcp for the page, {wishes.bridge_port}/udp for media;{relay} the "
        f"ports of Prosody "
        f"(5222, 5269, 5280, 5347), bridge and focus (8080, 8888, 9090) stay shut: each is a way around nginx.{cloud}",
        ("sudo apt install nftables", "sudo install -m 0644 etc/nftables.conf /etc/nftables.conf",
         "sudo nft -c -f /etc/nftables.conf && sudo systemctl enable --now nftables"),
        _GUIDE + "devops-guide-quickstart.md (firewall); nft(8)",
    )  # fmt: skip


def _debian(wishes: Wishes) -> list[Step]:
    domain = wishes.domain
    answers = "\n".join(
        (f"jitsi-videobridge jitsi-videobridge/jvb-hostname string {domain}",
         "jitsi-meet-web-config jitsi-meet/cert-choice select Generate a new self-signed certificate "
         "(You will later get a chance to obtain a Let's encrypt certificate)")
    )  # fmt: skip
    universe = ("sudo apt-add-repository -y universe",) if wishes.system == "ubuntu" else ()
    planned = [
        Step(
            "Add the package sources",
            "The packages come from Jitsi's own repository, signed by its key; `signed-by` lets that key vouch "
            "for it alone.",
            (*universe, "sudo apt update && sudo apt install -y curl gnupg apt-transport-https",
             "curl -fsSL https://download.jitsi.org/jitsi-key.gpg.key | sudo gpg --dearmor -o "
             "/usr/share/keyrings/jitsi-keyring.gpg",
             "echo 'deb [signed-by=/usr/share/keyrings/jitsi-keyring.gpg] https://download.jitsi.org stable/' | "
             "sudo tee /etc/apt/sources.list.d/jitsi-stable.list", "sudo apt update"),
            _GUIDE + "devops-guide-quickstart.md",
        ),
        Step(
            "Install",
            "The package asks for the name and the kind of certificate; answers given before let it run by itself. "
            "nginx comes first: the package configures the web server that it finds.",
            (f"sudo debconf-set-selections <<'END'\n{answers}\nEND", "sudo apt install -y nginx prosody lua-sec",
             "sudo apt install -y --no-install-recommends jitsi-meet" + (" coturn" if wishes.turn else "")),
            _GUIDE + "devops-guide-quickstart.md; jitsi/jitsi-meet doc/debian/",
        ),
        _certificate(wishes),
        Step(
            "Put the configuration in place",
            "Each file replaces what the packages wrote: services on the loopback side alone, no federation, "
            "rooms that only "
            "the focus creates, a log without room names and tokens, a relay with quotas that reaches the bridge and "
            "nothing else inside. The bridge's "
            + (f"mapping says that {wishes.private_address} is {wishes.public_address} outside; without it "
               f"participants are "
               "offered an address that they cannot reach." if wishes.translated else "own address is the public one."),
            ("sudo install -m 0644 etc/prosody/prosody.cfg.lua /etc/prosody/prosody.cfg.lua",
             f"sudo rm -f /etc/prosody/conf.d/* && sudo install -g prosody -m 0640 "
             f"etc/prosody/conf.d/{domain}.cfg.lua "
             f"/etc/prosody/conf.d/{domain}.cfg.lua",
             f"sudo install -m 0644 etc/nginx/sites-available/{domain}.conf /etc/nginx/sites-available/{domain}.conf",
             f"sudo ln -sf ../sites-available/{domain}.conf /etc/nginx/sites-enabled/{domain}.conf",
             f"sudo install -m 0644 etc/jitsi/meet/{domain}-config.js /etc/jitsi/meet/{domain}-config.js",
             "sudo install -g jitsi -m 0640 etc/jitsi/jicofo/jicofo.conf /etc/jitsi/jicofo/jicofo.conf",
             "sudo install -g jitsi -m 0640 etc/jitsi/videobridge/jvb.conf /etc/jitsi/videobridge/jvb.conf",
             *(("sudo install -g turnserver -m 0640 etc/turnserver.conf /etc/turnserver.conf",)
               if wishes.turn else ())),
            "docs/checks.md, the checks that these files pass; jitsi-videobridge reference.conf; turnserver(1)",
        ),
        Step(
            "Give focus and bridge their logins",
            "They log in at Prosody as users; the passwords are those of the files above, which nobody chose.",
            ("sudo prosodyctl check config && sudo systemctl restart prosody",
             f"sudo prosodyctl register focus auth.{domain} {shlex.quote(wishes.secret('focus'))}",
             f"sudo prosodyctl register jvb auth.{domain} {shlex.quote(wishes.secret('jvb'))}",
             f"sudo prosodyctl mod_roster_command subscribe focus.{domain} focus@auth.{domain}"),
            _GUIDE + "devops-guide-manual.md",
        ),
    ]  # fmt: skip
    if wishes.rooms == "accounts":
        planned.append(Step(
            "Make an account for whoever opens rooms",
            "Guests wait until an account holder opens the room: without accounts everybody's strangers use "
            "bridge and relay.",
            (f"sudo prosodyctl adduser somebody@{domain}",), _GUIDE + "secure-domain.md",
        ))  # fmt: skip
    planned.append(Step(
        "Start",
        "After `nginx -t`, so that a slip does not take the page away.",
        ("sudo nginx -t && sudo systemctl restart nginx prosody jicofo jitsi-videobridge2"
         + (" coturn" if wishes.turn else ""),), "systemctl(1)",
    ))  # fmt: skip
    return planned


def _certificate(wishes: Wishes) -> Step:
    domain = wishes.domain
    if wishes.own_certificate:
        return Step(
            "Install your own authority's certificate",
            "The whole chain: a phone does not fetch a missing intermediate.",
            (f"sudo install -m 0644 fullchain.pem /etc/jitsi/meet/{domain}.crt",
             f"sudo install -m 0600 privkey.pem /etc/jitsi/meet/{domain}.key",
             *((f"sudo install -D -o turnserver -m 0644 fullchain.pem /etc/coturn/certs/{domain}.crt",
                f"sudo install -o turnserver -m 0600 privkey.pem /etc/coturn/certs/{domain}.key")
               if wishes.turn else ())),
            _GUIDE + "devops-guide-quickstart.md",
        )  # fmt: skip
    hook = "/etc/letsencrypt/renewal-hooks/deploy/jitsi.sh"
    return Step(
        "Get a certificate",
        "Camera and microphone open in a secure context alone, and TURN over TLS is refused where the browser "
        "does not trust "
        "its certificate. The hook brings each renewed one to nginx and to the relay.",
        ("sudo apt install -y certbot", f"sudo install -D -m 0755 etc/letsencrypt/renewal-hooks/deploy/jitsi.sh {hook}",
         f"sudo certbot certonly --webroot -w /usr/share/jitsi-meet -d {domain} -m {shlex.quote(wishes.email)} "
         "--agree-tos --non-interactive", f"sudo RENEWED_LINEAGE=/etc/letsencrypt/live/{domain} {hook}"),
        "RFC 8555; certbot(1), --deploy-hook; JavaScript: W3C Secure Contexts",
    )  # fmt: skip


def _docker(wishes: Wishes) -> list[Step]:
    planned = [
        Step(
            "Get docker-jitsi-meet",
            "A release and not the main branch: images and compose files of one release belong together.",
            ("git clone --depth 1 --branch \"$(curl -fsSL "
             "https://api.github.com/repos/jitsi/docker-jitsi-meet/releases/latest "
             "| sed -n 's/.*\"tag_name\": \"\\(.*\\)\".*/\\1/p')\" https://github.com/jitsi/docker-jitsi-meet",
             "install -m 0600 PLAN/docker-jitsi-meet/.env docker-jitsi-meet/.env   # PLAN: where this plan lies",
             "sudo mkdir -p "
             "/opt/jitsi-config/{web,transcripts,prosody/config,prosody/prosody-plugins-custom,jicofo,jvb}"),
            _GUIDE + "devops-guide-docker.md",
        ),
        Step(
            "Start",
            f"JVB_ADVERTISE_IPS says what participants are offered: {wishes.public_address}, never docker's own "
            f"address. "
            "The page, the certificate and every login come from .env.",
            ("cd docker-jitsi-meet && docker compose up -d", "docker compose ps"),
            _GUIDE + "devops-guide-docker.md (JVB_ADVERTISE_IPS, ENABLE_LETSENCRYPT)",
        ),
    ]  # fmt: skip
    if wishes.rooms == "accounts":
        planned.append(Step(
            "Make an account for whoever opens rooms", "Guests wait until an account holder opens the room.",
            ("docker compose exec prosody prosodyctl --config /config/prosody.cfg.lua register somebody "
             "meet.jitsi PASSWORD",),
            _GUIDE + "devops-guide-docker.md (ENABLE_AUTH)",
        ))  # fmt: skip
    if wishes.turn:
        planned.append(Step(
            "Run the relay on the host",
            "docker-jitsi-meet holds no relay; this one has the secret of .env and lets the bridge through by "
            "its own address.",
            ("sudo apt install -y coturn", "sudo install -g turnserver -m 0640 etc/turnserver.conf "
                                           "/etc/turnserver.conf",
             "sudo systemctl restart coturn"), _GUIDE + "turn.md; turnserver(1)",
        ))  # fmt: skip
    return planned


def _check(wishes: Wishes) -> Step:
    facts = "docker-jitsi-meet" if wishes.system == "docker" else "etc"
    return Step(
        "Look at it from outside",
        "Each step of a call is tried as a browser would take it, and the configuration is held against the "
        "security checks.",
        (f"jitsilab deploy check {wishes.domain}", f"jitsilab audit --facts {facts}"),
        "docs/deploy.md, docs/checks.md",
    )
