"""What to change: the file, the line, and what the change opens up."""

from typing import NamedTuple

#: what makes a program take up its changed configuration, on a Debian install of Jitsi Meet, by the file's beginning
TAKES_UP = {
    "/etc/jitsi/videobridge/": "systemctl restart jitsi-videobridge2",
    "/etc/jitsi/jicofo/": "systemctl restart jicofo",
    "/etc/prosody/": "prosodyctl check config && systemctl restart prosody",
    "/etc/turnserver.conf": "systemctl restart coturn",
    "/etc/nginx/": "nginx -t && systemctl reload nginx",
}
COMPOSE = "docker compose up -d"


class Advice(NamedTuple):
    """A remedy for one case, with the addresses that its evidence shows."""

    text: str
    file: str = ""
    line: str = ""  # lines to have there; without a file a command to run
    opens: str = ""
    docker: str = ""  # the same as a line of docker-jitsi-meet's .env
    then: str = ""  # the command that makes the change take effect

    def __str__(self) -> str:
        parts = [self.text]
        if self.line:
            line = " ".join(self.line.split())
            line += f" (docker: {self.docker})" if self.docker else ""
            parts.append(f"{self.file}: {line}." if self.file else f"{line}.")
        return " ".join([*parts, self.opens]).strip()


class Remedy(NamedTuple):
    """One remedy. ``line`` and ``docker`` may hold ``{bridge}`` and ``{public}``: addresses that the evidence shows."""

    text: str
    file: str = ""  # where a Debian install of Jitsi Meet keeps the setting
    line: str = ""  # the line to have there
    opens: str = ""  # what that change makes possible, for those who weigh it
    docker: str = ""  # the setting of docker-jitsi-meet's .env that does the same

    def filled(self, bridge: str = "", public: str = "", file: str = "") -> Advice:
        """The remedy for a case; ``file`` is where the setting was found, if the configuration was given."""
        line, docker = (
            text.replace("{bridge}", bridge or "PRIVATE-ADDRESS").replace("{public}", public or "PUBLIC-ADDRESS")
            for text in (self.line, self.docker)
        )
        then = next((command for start, command in TAKES_UP.items() if self.file.startswith(start)), "")
        if file.endswith((".env", ".yml", ".yaml")):
            return Advice(self.text, file, docker or line, self.opens, "", COMPOSE)
        then = f"{then} (docker: {COMPOSE})" if then and docker else then
        return Advice(self.text, file or self.file, line, self.opens, docker, then if line else "")
