"""One TLS connection, both directions: which records are encrypted, under which key, and what is in them.

Each direction runs through its own records (RFC 8446 section 5, RFC 5246 section 6) and stops where it needs the
other's hello. Keys follow each other in stages: clear, early data, handshake, application, then one more with each
KeyUpdate; in TLS 1.2 clear, then one more with each ChangeCipherSpec. A record is opened with the sequence number that
it should have. Where bytes are missing, or a record does not authenticate, the numbers that it may have instead are
tried, and the stages that may have come, so that a loss costs no more than the records it hit.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from jitsilab.errors import ParseError
from jitsilab.protocols import hello, tls
from jitsilab.protocols.tls_registry import HANDSHAKE_TYPES, suite_name, version_name
from jitsilab.wire.decrypt.ciphers import Opener, Suite, UnauthenticError, next_secret, opener13, openers12, suite_of
from jitsilab.wire.decrypt.keylog import MASTER, KeyLog

TLS13 = 0x0304
SMALLEST = 22  # bytes of the smallest encrypted record: header, content type or nothing, tag
WINDOW = 1024  # sequence numbers that are tried for one record
BUDGET = 50_000  # attempts beyond the expected number, for one direction
HOPELESS = 8  # records of a direction that fail before any opens: the key is another's
CANDIDATES = 4096  # client randoms that are tried where the ClientHello is missing


@dataclass(slots=True)
class Opened:
    """A record and what it holds."""

    record: tls.Record
    encrypted: bool
    inner_type: int | None = None  # None: encrypted in TLS 1.3, and not opened
    plaintext: bytes | None = None
    messages: tuple[tls.Message, ...] = ()  # handshake messages that end in this record
    alert: str | None = None
    failure: str = ""  # why it was not read, where it should have been


@dataclass(slots=True)
class Stage:
    """The protection of one direction for a while."""

    name: str
    opener: Opener | None = None
    secret: bytes = b""
    suite: int = 0


@dataclass
class Connection:
    """What both directions have to know."""

    keylog: KeyLog
    masters: dict[bytes, bytes] = field(default_factory=dict)  # by session id or ticket, of earlier connections
    client_hellos: list[hello.ClientHello] = field(default_factory=list)
    server_hellos: list[hello.ServerHello] = field(default_factory=list)
    heard: dict[tls.Message, hello.ClientHello | hello.ServerHello] = field(default_factory=dict)  # hellos as decoded
    certificates: dict[bool, tuple[bytes, ...]] = field(default_factory=dict)  # by direction
    version: int | None = None
    suite: int | None = None
    alpn: str | None = None
    early_accepted: bool = False
    retried: bool = False
    full: bool | None = None  # a full handshake, as opposed to a resumption
    random: bytes | None = None  # of the client, where it had to be found in the key log
    keyed: bool = False  # the key log has something for this connection
    stuck: bool = False

    @property
    def client_random(self) -> bytes:
        """Random of the first ClientHello; empty where it is not known."""
        return self.client_hellos[0].random if self.client_hellos else self.random or b""

    @property
    def unsupported(self) -> str:
        """Why no record can be opened whatever the keys; empty where nothing stands against it."""
        if self.version is not None and not 0x0301 <= self.version <= TLS13:
            return f"version not supported: {version_name(self.version)}"
        if self.suite is not None and suite_of(self.suite, tls13=self.version == TLS13) is None:
            return f"cipher not supported: {suite_name(self.suite)}"
        if self.server_hellos and self.server_hellos[0].compression:
            return "compression not supported"
        return ""

    def serve(self, answer: hello.ServerHello) -> None:
        """Take in a ServerHello; the first one decides on the version."""
        if answer.retry:
            self.retried = True
            return
        self.server_hellos.append(answer)
        if len(self.server_hellos) == 1:
            self.version, self.suite = answer.selected_version, answer.suite
            if answer.extensions.alpn:
                self.alpn = answer.extensions.alpn[0]
            if self.version == TLS13:
                self.full = answer.extensions.psk is None

    def stages13(self, up: bool) -> list[Stage]:
        """The stages of a direction in TLS 1.3 as far as the key log has their secrets.

        Without the ServerHello the suite is one of those that the client offered: each has its own stages then.
        """
        suites = [self.suite] if self.suite is not None else []
        if not suites and self.client_hellos and TLS13 in self.client_hellos[0].offered_versions:
            suites = [suite for suite in self.client_hellos[0].suites if suite >> 8 == 0x13]
        side = "CLIENT" if up else "SERVER"
        names = [("handshake", f"{side}_HANDSHAKE_TRAFFIC_SECRET"), ("application", f"{side}_TRAFFIC_SECRET_0")]
        if up and self.client_hellos and self.client_hellos[0].extensions.early_data:
            names.insert(0, ("early", "CLIENT_EARLY_TRAFFIC_SECRET"))
        stages = [Stage("clear")]
        for name, label in names:
            secret = self.keylog.find(self.client_random, label)
            for suite in suites:
                parameters = suite_of(suite, tls13=True)
                if secret is None or parameters is None:
                    stages.append(Stage(name))
                    continue
                self.keyed = True
                stages.append(Stage(name, opener13(parameters, secret), secret, suite))
        return stages

    def stage12(self, up: bool, epoch: int) -> Stage:
        """The stage after a direction's ChangeCipherSpec number ``epoch`` in TLS 1.2 and older."""
        stage = Stage("application")
        if self.version is None or len(self.server_hellos) < epoch:
            return stage
        server = self.server_hellos[epoch - 1]
        client = self.client_hellos[epoch - 1] if len(self.client_hellos) >= epoch else None
        if client is None and epoch > 1:
            return stage
        random = client.random if client else self.client_random
        suite, master = suite_of(server.suite), self._master(random, client, server)
        if master is not None:
            self.keyed = True
            self._remember(master, client, server)
            if suite is not None and not self.unsupported:
                stage.opener = self._opener12(suite, master, random, server, up)
        return stage

    def _opener12(self, suite: Suite, master: bytes, random: bytes, server: hello.ServerHello, up: bool) -> Opener:
        version, etm = self.version or 0, server.extensions.encrypt_then_mac
        return openers12(suite, master, (random, server.random), version, etm=etm)[0 if up else 1]

    def _master(self, random: bytes, client: hello.ClientHello | None, server: hello.ServerHello) -> bytes | None:
        """The master secret: by the client random, else by what a resumed session hangs on."""
        master = self.keylog.find(random, MASTER)
        if master is None and client is not None and not self.full:
            if client.session_id and client.session_id == server.session_id:
                master = self.keylog.sessions.get(client.session_id) or self.masters.get(client.session_id)
            if master is None and client.extensions.ticket:
                master = self.masters.get(client.extensions.ticket)
        return master

    def _remember(self, master: bytes, client: hello.ClientHello | None, server: hello.ServerHello) -> None:
        if server.session_id:
            self.masters.setdefault(server.session_id, master)
        if client is not None and client.extensions.ticket:
            self.masters.setdefault(client.extensions.ticket, master)

    def find_random(self, up: bool, attempt: "Callable[[Opener], bool]") -> None:
        """Look for the client random in the key log where the ClientHello is missing: the one whose key fits."""
        parameters = suite_of(self.suite, tls13=self.version == TLS13) if self.suite is not None else None
        if self.client_hellos or self.random is not None or parameters is None or not self.server_hellos:
            return
        self.random = b""
        label = f"{'CLIENT' if up else 'SERVER'}_HANDSHAKE_TRAFFIC_SECRET" if self.version == TLS13 else MASTER
        for random in list(self.keylog.secrets)[:CANDIDATES]:
            secret = self.keylog.find(random, label)
            if secret is None:
                continue
            if self.version == TLS13:
                opener = opener13(parameters, secret)
            else:
                opener = self._opener12(parameters, secret, random, self.server_hellos[0], up)
            if attempt(opener):
                self.random = random
                return


class Side:
    """One direction of a connection; ``run`` gives each record, as it was opened, to ``take``."""

    def __init__(
        self, connection: Connection, up: bool, records: Iterable[tls.Record], take: Callable[[Opened], None]
    ) -> None:
        self.connection, self.up, self.records, self.take = connection, up, records, take
        self.count = 0  # records so far
        self.sealed = False  # one of them is encrypted
        self.done = False
        self.succeeded = False  # an encrypted record was opened
        self.failed = 0  # encrypted records that were not, since the last one that was
        self.lossy = False
        self.odd: list[tuple[int, str]] = []  # offset and sentence, about messages that do not have their form
        self._handshake = tls.Handshake()
        self._stages = [Stage("clear")]
        self._random = b""  # that the stages were made for
        self._stage, self._sequence = 0, 0
        self._unsure = 0  # how many more numbers than _sequence the next record may have
        self._budget = BUDGET
        self._before: bytes | None = b""  # fragment of the record before, which TLS 1.0 chains to; None: not known
        self._speaks = False  # a hello of this side was seen
        self._changed = False  # ChangeCipherSpec was seen
        keylog = connection.keylog
        self._blind = not (keylog.secrets or keylog.sessions or connection.masters)  # no key can ever be found

    def run(self) -> Iterator[None]:
        """Read the records; yields where the other direction has to go on first."""
        for record in self.records:
            while not self._ready(record.content_type):
                yield
            self._take(record)
        self.done = True

    def _ready(self, kind: int) -> bool:
        """Whether what the keys of a record depend on is known, or never will be."""
        connection = self.connection
        if connection.stuck or (connection.version == TLS13 and connection.client_hellos):
            return True
        pairs = self._stage + 1 if kind == tls.CHANGE_CIPHER_SPEC else 1 if kind == tls.APPLICATION_DATA else 0
        return min(len(connection.client_hellos), len(connection.server_hellos)) >= pairs

    def _take(self, record: tls.Record) -> None:
        if record.skipped:
            self._lose(1 + record.skipped // SMALLEST)
            self.lossy = True
        encrypted = self._encrypted(record)
        if not record.complete:
            opened = Opened(record, encrypted, failure="bytes of this record are missing in the capture")
            self._lose(int(encrypted))
            self.lossy = True
        elif encrypted:
            opened = self._open(record)
        elif self._unsure and not self._stage and record.content_type in (tls.ALERT, tls.HANDSHAKE):
            opened = self._open(record)  # a ChangeCipherSpec may have been lost
            if opened.plaintext is None:
                opened = self._read(Opened(record, False, record.content_type, record.fragment))
        else:
            opened = self._read(Opened(record, False, record.content_type, record.fragment))
        self.count += 1
        self.sealed = self.sealed or opened.encrypted
        self.take(opened)

    def _lose(self, records: int) -> None:
        """Reckon with as many records that were counted by the sender and not seen, or not opened, here."""
        self._unsure += records
        self._before = None
        self._handshake.drop()

    def _encrypted(self, record: tls.Record) -> bool:
        """Whether a record is under a key: by its type in TLS 1.3, by what went before it in TLS 1.2."""
        kind = record.content_type
        if kind == tls.APPLICATION_DATA:
            return True
        if self.connection.version is not None:
            return self.connection.version != TLS13 and self._stage > 0
        if not self._changed and self._speaks:
            return False
        # nothing is known of the version: what has the form of a clear record is one
        if kind == tls.CHANGE_CIPHER_SPEC:
            return record.fragment != b"\1"
        if kind == tls.ALERT:
            return record.complete and hello.describe_alert(record.fragment) is None
        body = record.fragment
        return len(body) < 4 or body[0] not in HANDSHAKE_TYPES or int.from_bytes(body[1:4], "big") > 1 << 17

    # --- opening

    def _prepare(self) -> None:
        """Make the stages that can be made by now, up to one beyond the current."""
        connection = self.connection
        if self._random != connection.client_random:
            self._random, self._stages = connection.client_random, [Stage("clear")]
        if connection.unsupported:
            return
        if connection.version is not None and connection.version != TLS13:
            if not self._stages[-1].opener:
                del self._stages[self._stage + 1 :]  # made before the hellos of a renegotiation were seen
            while len(self._stages) < self._stage + 2:
                self._stages.append(connection.stage12(self.up, len(self._stages)))
        elif len(self._stages) == 1:
            self._stages = connection.stages13(self.up)

    def _open(self, record: tls.Record) -> Opened:
        outer = record.content_type if self.connection.version not in (TLS13, None) else None
        opened = Opened(record, True, outer)
        if self._blind:
            self._unsure = min(self._unsure + 1, WINDOW)
            return opened
        self._prepare()
        if not self.connection.client_random:
            self._search(record)
        if not any([stage.opener for stage in self._stages[self._stage :]]):
            self._unsure = min(self._unsure + 1, WINDOW)
            return opened
        header = _header(record)
        for stage, sequence in self._attempts():
            opener = self._stages[stage].opener
            if opener is None:
                continue
            try:
                opened.inner_type, opened.plaintext = opener.open(sequence, header, record.fragment, self._before)
            except UnauthenticError:
                continue
            self._enter(stage, sequence + 1)
            self._before = record.fragment
            return self._read(opened)
        if self.up and any(stage.name == "early" and not stage.opener for stage in self._stages[self._stage :]):
            opened.failure = "early data, for which the key log has no secret"
        else:
            opened.failure = "this record does not authenticate"
            self.failed += 1
        self._lose(1)
        self._before = record.fragment
        return opened

    def _search(self, record: tls.Record) -> None:
        header = _header(record)

        def fits(opener: Opener) -> bool:
            try:
                opener.open(0, header, record.fragment, b"")
            except UnauthenticError:
                return False
            return True

        self.connection.find_random(self.up, fits)
        self._prepare()

    def _attempts(self) -> Iterator[tuple[int, int]]:
        """Stages and sequence numbers that the next record may have, the likeliest first."""
        if not self.succeeded and self.failed >= HOPELESS:
            return
        window = min(self._unsure, WINDOW)
        yield self._stage, self._sequence
        for stage in range(self._stage, len(self._stages) + (2 if window else 0)):
            if stage >= len(self._stages) and not self._update():
                return
            first = self._sequence + 1 if stage == self._stage else 0
            for sequence in range(first, first + window + (stage != self._stage)):
                if self._budget <= 0:
                    return
                self._budget -= 1
                yield stage, sequence

    def _enter(self, stage: int, sequence: int) -> None:
        """Go on from a record that was opened in this stage with the number before ``sequence``."""
        new = stage != self._stage
        self._stage, self._sequence = stage, sequence
        self._unsure = self.failed = 0
        self.succeeded = True
        if not new:
            return
        connection = self.connection
        current = self._stages[stage]
        if connection.suite is None and current.suite:
            connection.version, connection.suite = TLS13, current.suite
        if len({known.suite for known in self._stages if known.suite}) > 1:  # they were guessed; now one is known
            self._stages = [known for known in self._stages if known.suite in (0, current.suite)]
            self._stage = next(i for i, known in enumerate(self._stages) if known is current)

    def _advance(self) -> None:
        """Change to the next stage, as a message or ChangeCipherSpec says."""
        self._stage, self._sequence, self._unsure, self._before = self._stage + 1, 0, 0, b""
        self._handshake.drop()

    def _update(self) -> bool:
        """Make the stage that follows a KeyUpdate."""
        last = self._stages[-1]
        parameters = suite_of(last.suite) if last.secret else None
        if last.name != "application" or parameters is None or self.connection.version != TLS13:
            return False
        secret = next_secret(last.secret, parameters.prf)
        self._stages.append(Stage(last.name, opener13(parameters, secret), secret, last.suite))
        return True

    # --- reading

    def _read(self, opened: Opened) -> Opened:
        """What a record in clear, or opened, says; changes the state with it."""
        kind, content = opened.inner_type, opened.plaintext or b""
        if kind == tls.HANDSHAKE:
            opened.messages = tuple(self._handshake.feed(content))
            for size in self._handshake.too_long:
                text = f"a handshake message of {size} bytes is longer than {tls.MAX_MESSAGE}, and passed over"
                self.odd.append((opened.record.offset, text))
            self._handshake.too_long.clear()
            for message in opened.messages:
                try:
                    self._hear(message)
                except ParseError as error:
                    self.odd.append((opened.record.offset, f"handshake message {message.type}: {error}"))
        elif kind == tls.ALERT:
            opened.alert = hello.describe_alert(content)
        elif kind == tls.CHANGE_CIPHER_SPEC:
            self._changed = True
            if self.connection.version not in (TLS13, None):
                if not self.up and self.connection.full is None and self._speaks:
                    self.connection.full = False  # no Certificate, no ServerHelloDone: RFC 5246 section 7.3
                self._prepare()
                self._advance()
        return opened

    def _hear(self, message: tls.Message) -> None:
        connection, body = self.connection, message.body
        tls13 = connection.version == TLS13
        match message.type:
            case tls.CLIENT_HELLO if self.up:
                self._speaks = True
                client = connection.heard[message] = hello.decode_client_hello(body)
                connection.client_hellos.append(client)
            case tls.SERVER_HELLO if not self.up:
                self._speaks = True
                server = connection.heard[message] = hello.decode_server_hello(body)
                connection.serve(server)
            case tls.CERTIFICATE:
                if not self.up:
                    connection.full = True
                connection.certificates[self.up] = hello.decode_certificates(body, tls13=tls13)
            case tls.COMPRESSED_CERTIFICATE if tls13:
                connection.certificates[self.up] = hello.decode_compressed_certificates(body)
            case tls.SERVER_HELLO_DONE if not self.up:
                connection.full = True
            case tls.ENCRYPTED_EXTENSIONS if not self.up:
                extensions = hello.decode_encrypted_extensions(body)
                connection.alpn = extensions.alpn[0] if extensions.alpn else None
                connection.early_accepted = extensions.early_data
            case tls.NEW_SESSION_TICKET if not self.up and not tls13 and connection.client_random:
                master = connection.keylog.find(connection.client_random, MASTER)
                if master is not None:
                    connection.masters.setdefault(hello.decode_ticket(body), master)
            case tls.FINISHED if tls13 and self._stages[self._stage].name == "handshake":
                self._advance()
            case tls.END_OF_EARLY_DATA if tls13 and self._stages[self._stage].name == "early":
                self._advance()
            case tls.KEY_UPDATE if tls13 and self._stages[self._stage].name == "application":
                if self._stage + 1 < len(self._stages) or self._update():
                    self._advance()


def _header(record: tls.Record) -> bytes:
    """The header that a record's authentication covers."""
    return bytes([record.content_type]) + record.version.to_bytes(2, "big") + record.length.to_bytes(2, "big")


def run(up: Side, down: Side) -> None:
    """Run both directions of a connection to their ends, each as far as it can without the other."""
    connection = up.connection
    waiting = [(side, side.run()) for side in (up, down)]
    while waiting:
        before = up.count + down.count
        waiting = [(side, reader) for side, reader in waiting if next(reader, side) is None]
        connection.stuck = bool(waiting) and up.count + down.count == before
