"""What to change: the file, the line, and what the change opens up."""

from typing import NamedTuple


class Remedy(NamedTuple):
    """One remedy. ``line`` may hold ``{bridge}`` and ``{public}``, filled with addresses that the evidence shows."""

    text: str
    file: str = ""  # where a Debian install of Jitsi Meet keeps the setting
    line: str = ""  # the line to have there
    opens: str = ""  # what that change makes possible, for those who weigh it

    def filled(self, bridge: str = "", public: str = "", file: str = "") -> str:
        """The remedy in one paragraph; ``file`` is where the setting was found, if the configuration was given."""
        parts = [self.text]
        if self.line:
            line = self.line.replace("{bridge}", bridge or "PRIVATE-ADDRESS")
            line = line.replace("{public}", public or "PUBLIC-ADDRESS")
            where = file or self.file
            parts.append(f"{where}: {line}." if where else f"{line}.")
        return " ".join([*parts, self.opens]).strip()
