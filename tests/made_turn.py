"""TURN-inside-TLS connections made up from chosen credentials, servers and round trips, as tables of records."""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pandas as pd

CONTROL = ("allocate", "refresh", "create-permission", "channel-bind")


def padded(size: int) -> int:
    return -(-size // 4) * 4


@dataclass
class Server:
    """What fixes the lengths of a deployment's messages (padded bytes), and how far it is."""

    username: int = 12
    realm: int = 8
    nonce: int = 16
    fixed: int = 24  # SOFTWARE and FINGERPRINT in answers
    fingerprint: int = 0  # in requests
    unauthorized: int = 12
    forbidden: int = 12
    rtt: float = 0.05
    overhead: int = 17
    version: str = "TLS 1.3"
    suite: str = "TLS_AES_256_GCM_SHA384"
    finished: int | None = 52
    tickets: tuple[int, ...] = (233, 233)

    @staticmethod
    def any(random: Random) -> "Server":
        suite, finished = random.choice([("TLS_AES_256_GCM_SHA384", 52), ("TLS_AES_128_GCM_SHA256", 36)])
        ticket = 4 * random.randrange(30, 70) + random.choice([1, 2, 3])
        made = Server(
            username=4 * random.randrange(1, 14), realm=4 * random.randrange(1, 8), nonce=4 * random.randrange(2, 12),
            fixed=random.choice([0, 8, 16, 20, 24, 28, 32, 44]), fingerprint=random.choice([0, 0, 8]),
            forbidden=random.choice([12, 12, 20]), rtt=random.uniform(0.002, 0.3), suite=suite, finished=finished,
            tickets=(ticket,) * random.randrange(3),
        )  # fmt: skip
        if random.random() < 0.2:
            made.version, made.finished, made.tickets = "TLS 1.2", None, ()
            made.suite, made.overhead = random.choice(
                [("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 24), ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 16)]
            )
        return made

    def asked(self, own: int) -> int:
        return 20 + own + 4 + self.username + 4 + self.realm + 4 + self.nonce + 24 + self.fingerprint

    def told(self, own: int) -> int:
        return 20 + own + self.fixed + 24


@dataclass
class Connection:
    """One connection as it is written: call `said` for the truth and `rows` for its records."""

    server: Server
    flow: int = 1
    start: float = 1.0
    frame: int = 10
    rows: list[dict[str, Any]] = field(default_factory=list)
    said: list[tuple[bool, str]] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.now = self.start
        self.record(True, "handshake", 500, "client_hello")
        self.record(False, "handshake", 100, "server_hello")
        if self.server.finished is not None:
            self.record(False, "application_data", 90)
            self.wait(self.server.rtt)
            self.record(True, "application_data", self.server.finished + 17)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def record(self, up: bool, kind: str, length: int, handshake: str | None = None) -> None:
        self.frame += 1
        self.rows.append({
            "frame": self.frame, "seconds": self.now, "flow": self.flow, "up": up, "record_type": kind,
            "length": length, "version": self.server.version, "handshake": handshake, "alpn": None,
            "suite": self.server.suite if handshake == "server_hello" else None,
        })  # fmt: skip

    def say(self, up: bool, message: str, length: int) -> None:
        """One message in a record of its own."""
        self.record(up, "application_data", length + self.server.overhead)
        if message.startswith(CONTROL):
            self.said.append((up, message))

    def open(self, good: bool = True) -> None:
        """Allocate, 401, Allocate, and what comes back."""
        one = self.server
        self.say(True, "allocate", 28 + one.fingerprint)
        for ticket in one.tickets:
            self.record(False, "application_data", ticket + one.overhead)
        self.wait(0.001)
        refused = 20 + 8 + one.unauthorized + 4 + one.realm + 4 + one.nonce + one.fixed
        self.say(False, "allocate-error", refused)
        self.wait(one.rtt)
        self.say(True, "allocate", one.asked(8))
        self.wait(0.002)
        if good:
            self.say(False, "allocate-success", one.told(12 + 12 + 8))
        else:
            self.say(False, "allocate-error", refused)
        self.wait(one.rtt)

    def permit(self, answers: list[bool], checks: int = 0, check: int = 104, together: bool = True) -> None:
        """A CreatePermission for each answer, granted or refused, with checks sent before the answers come."""
        one = self.server
        for number, good in enumerate(answers):
            self.say(True, "create-permission", one.asked(12))
            if not together:
                self.permitted(good)
            elif number == 0:
                for _ in range(checks):
                    self.say(True, "send", 36 + check)
        if together:
            self.wait(0.001)
            for good in answers:
                self.permitted(good)
        self.wait(one.rtt)

    def permitted(self, good: bool) -> None:
        name, own = ("success", 0) if good else ("error", 8 + self.server.forbidden)
        self.say(False, f"create-permission-{name}", self.server.told(own))

    def chat(self, random: Random, times: int) -> None:
        """Checks and answers over Send and Data."""
        for _ in range(times):
            for up, payload in random.sample(
                [(True, 104), (False, 104), (False, 112), (True, 64), (True, 1200), (False, 700)], 3
            ):
                self.say(up, "send" if up else "data", 36 + payload + (0 if up else self.server.fixed))
                self.wait(random.uniform(0.001, 0.05))

    def bind(self) -> None:
        self.say(True, "channel-bind", self.server.asked(20))
        self.wait(0.001)
        self.say(False, "channel-bind-success", self.server.told(0))

    def media(self, random: Random, packets: int) -> None:
        """Channel data of any length, also of those that requests and answers have."""
        for _ in range(packets):
            self.wait(random.uniform(0.0, 0.02))
            self.say(
                random.random() < 0.5,
                "channel-data",
                4 + padded(random.randrange(28, 1200 if random.random() < 0.4 else 140)),
            )

    def leave(self, answered: bool = False) -> None:
        self.say(True, "refresh", self.server.asked(8))
        if answered:
            self.wait(0.0005)
            self.say(False, "refresh-success", self.server.told(8))

    @property
    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        return tables([self])


def tables(connections: list[Connection], fins: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables ``tls`` and ``flows`` of some connections; each is closed by a FIN unless ``fins`` is false."""
    tls = pd.DataFrame([row for one in connections for row in one.rows]).sort_values("seconds", kind="stable")
    tls["up"], tls["length"] = tls["up"].astype("boolean"), tls["length"].astype("Int64")
    tls["flow"] = tls["flow"].astype("Int64")
    flows = pd.DataFrame([
        {"flow": one.flow, "client": "192.0.2.7", "client_port": 50000 + one.flow, "server": "198.51.100.9",
         "server_port": 443, "first_frame": one.rows[0]["frame"], "last_frame": one.frame + 2 * fins,
         "first_seconds": one.start, "last_seconds": one.now + 0.001 * fins, "fins": 2 * fins, "resets": 0}
        for one in connections
    ])  # fmt: skip
    return tls, flows
