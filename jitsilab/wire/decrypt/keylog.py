"""Key logs: the secrets that browsers and servers write down for those who may read their traffic.

The format is NSS's, written to the file that SSLKEYLOGFILE names (RFC 9850): a label, the client random, the secret, in
hexadecimal. A pcapng holds the same text in a decryption secrets block.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jitsilab.errors import CaptureError, Problem

MASTER = "CLIENT_RANDOM"  # the master secret of TLS 1.2 and older
LABELS = frozenset(
    {
        MASTER,
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EARLY_EXPORTER_SECRET",
        "EARLY_EXPORTER_MASTER_SECRET",
        "EXPORTER_SECRET",
        "ECH_SECRET",
        "ECH_CONFIG",
    }
)

_LINE = re.compile(rb"([A-Z0-9_]{3,64})[ \t]+([0-9A-Fa-f]{2,1024})[ \t]+([0-9A-Fa-f]{2,1024})")
_SESSION = re.compile(rb"RSA[ \t]+Session-ID:([0-9A-Fa-f]{2,64})[ \t]+Master-Key:([0-9A-Fa-f]{96})")
_HEXADECIMAL = re.compile(r"\s[0-9A-Fa-f]{32}")  # text rather than a path, which an error would quote
_MAX_FILE = 1 << 28  # bytes: the secrets of a quarter of a million connections
_MAX_PROBLEMS = 100


@dataclass
class KeyLog:
    """Secrets by client random and label; ``str`` and ``repr`` show none of them."""

    secrets: dict[bytes, dict[str, bytes]] = field(default_factory=dict, repr=False)
    sessions: dict[bytes, bytes] = field(default_factory=dict, repr=False)  # session id to master secret
    problems: list[Problem] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the client randoms that it knows a secret of."""
        return len(self.secrets)

    @classmethod
    def load(cls, source: "str | Path | bytes | Iterable[bytes]") -> "KeyLog":
        """Read a key log: a file, a folder of them, the text itself, or the texts of decryption secrets blocks.

        A line that is none is a Problem with its line number as the offset, and never quoted. Raises CaptureError where
        a path cannot be read.
        """
        log = cls()
        for name, text in _texts(source):
            log._add(name, text)
        return log

    def merged(self, other: "KeyLog") -> "KeyLog":
        """Both logs in one; where both know a secret, the other's wins."""
        both = KeyLog(
            {random: dict(known) for random, known in self.secrets.items()},
            {**self.sessions, **other.sessions},
            [*self.problems, *other.problems],
        )
        for random, known in other.secrets.items():
            both.secrets.setdefault(random, {}).update(known)
        return both

    def find(self, random: bytes, label: str) -> bytes | None:
        """The secret of that label for a connection's client random."""
        return self.secrets.get(random, {}).get(label)

    @property
    def resumes(self) -> bool:
        """Whether a session of TLS 1.2 or older may hang on an earlier one."""
        return bool(self.sessions) or any(MASTER in known for known in self.secrets.values())

    def _add(self, name: str, text: bytes) -> None:
        bad, first = 0, 0
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip(b" \t\r\0\xef\xbb\xbf")
            if not line or line.startswith(b"#"):
                continue
            if not self._line(line):
                bad, first = bad + 1, first or number
                if bad <= _MAX_PROBLEMS:
                    self.problems.append(Problem(0, "keylog", number, f"{name}line {number} is no secret"))
        if bad > _MAX_PROBLEMS:
            self.problems.append(
                Problem(0, "keylog", first, f"{name}{bad} lines are no secrets; the first {_MAX_PROBLEMS} are listed")
            )

    def _line(self, line: bytes) -> bool:
        """Take one line in; False where it is none of a key log."""
        if match := _SESSION.fullmatch(line):
            self.sessions[bytes.fromhex(match[1].decode())] = bytes.fromhex(match[2].decode())
            return True
        match = _LINE.fullmatch(line)
        if match is None or len(match[2]) % 2 or len(match[3]) % 2:
            return False
        label, random, secret = match[1].decode(), bytes.fromhex(match[2].decode()), bytes.fromhex(match[3].decode())
        if label == "RSA":  # the premaster secret under its encrypted form: an older way, which needs the key exchange
            return True
        if len(random) != 32 or (label == MASTER and len(secret) != 48):
            return False
        if label not in LABELS and not label.startswith(("CLIENT_TRAFFIC_SECRET_", "SERVER_TRAFFIC_SECRET_")):
            return label.startswith(("QUIC_", "CLIENT_", "SERVER_", "EXPORTER_", "ECH_"))
        self.secrets.setdefault(random, {})[label] = secret
        return True


def is_keylog(head: bytes) -> bool:
    """Whether text begins as a key log does: its first lines are secrets, or comments."""
    lines = [line.strip() for line in head[:8192].splitlines()[:20] if line.strip() and not line.startswith(b"#")]
    return bool(lines) and bool(KeyLog.load(lines[0] + b"\n").secrets or _SESSION.fullmatch(lines[0]))


def shown(path: "str | Path") -> str:
    """The name of a key log for a message; not repeated where it may be a secret given in place of a name."""
    return "of that name" if re.search(r"[0-9A-Fa-f]{32}", str(path)) else repr(str(path)[:200])


def _texts(source: "str | Path | bytes | Iterable[bytes]") -> Iterator[tuple[str, bytes]]:
    """Names, for messages, and texts."""
    if isinstance(source, bytes):
        yield "", source
    elif isinstance(source, str) and ("\n" in source or _HEXADECIMAL.search(source)):
        yield "", source.encode("utf-8", "replace")
    elif isinstance(source, str | Path):
        path = Path(source)
        try:
            files = sorted(file for file in path.iterdir() if file.is_file()) if path.is_dir() else [path]
            for file in files:
                if file.stat().st_size > _MAX_FILE:
                    raise CaptureError(f"{file.name} has more than {_MAX_FILE >> 20} MiB: no key log is that long.")
                yield (f"{file.name}: " if path.is_dir() else ""), file.read_bytes()
        except OSError as error:
            raise CaptureError(
                f"Cannot read the key log {shown(path)}: {error.strerror or type(error).__name__}. "
                "Give a file that SSLKEYLOGFILE named, or a folder of such files."
            ) from None
        except ValueError:  # a zero byte in the name
            raise CaptureError("A key log is a file, a folder or text; this is none of them.") from None
    else:
        for text in source:
            yield "", bytes(text)
