"""What is shared tells nobody, decodes as before, and is diagnosed alike."""

import gzip
import ipaddress
import itertools
import json
import random
import re
import stat
import struct
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

import jitsilab as jl
from jitsilab import cli, sharing
from jitsilab.errors import ParseError
from jitsilab.pcap import read
from jitsilab.pcap.containers import Interface
from jitsilab.pcap.writing import Writer
from jitsilab.sharing import leaks, search
from jitsilab.sharing.addresses import Addresses, CryptoPan
from jitsilab.sharing.connections import Connections
from jitsilab.sharing.layout import Block, Layout
from jitsilab.sharing.names import Names
from jitsilab.sharing.seeds import Seeds
from jitsilab.sharing.wording import Wording

# the sample trace of the authors' own implementation, Crypto-PAn 1.0
KEY = bytes([21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
             216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2])  # fmt: skip
TRACE = {"128.11.68.132": "135.242.180.132", "129.118.74.4": "134.136.186.123",
         "130.132.252.244": "133.68.164.234", "141.223.7.43": "141.167.8.160"}  # fmt: skip

Recording = Callable[[str], Path]


@pytest.fixture(scope="module")
def shared(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A recording's capture and what was made of it."""
    where, out = recording("jvb-2"), tmp_path_factory.mktemp("shared") / "case"
    keys = ["--keylog", str(where / "keys.txt")]
    assert cli.main(["share", str(where / "capture-eth0.pcapng"), *keys, "-o", str(out), "--key", "k"]) == 0
    return where, out


def said(path: Path, keys: Path | None = None) -> list[tuple[object, ...]]:
    answer = jl.load(path, keylog=keys).diagnosis.to_json()
    return sorted((p["media_path"], p["stage"], p["turn_stage"], p["cause"] or "") for p in answer["participants"])


def wording(*names: str) -> Wording:
    known = Names(b"k" * 32)
    for name in names:
        known.add(name, "host" if "." in name else "name")
    return Wording(known, Addresses(b"k" * 32))


@pytest.mark.parametrize("name", ["StandUp", "weekly-sync", "room123", "room555", "team2024", "xkcdvbnm42", "321", "q"])
def test_a_name_that_is_easily_guessed_is_so_under_another(name: str) -> None:
    from jitsilab.judge.findings.access import bits

    made = {Names(bytes([number]) * 32).alike(name) for number in range(40)}
    assert len(made) > 3
    for one in made:
        assert bits(one) == pytest.approx(bits(name))
        assert [c.isupper() for c in one] == [c.isupper() for c in name]


@pytest.mark.parametrize("address", TRACE)
def test_addresses_are_mapped_as_the_published_scheme_maps_them(address: str) -> None:
    value = int(ipaddress.ip_address(address))
    assert str(ipaddress.ip_address(value ^ CryptoPan(KEY).pad(value, 32))) == TRACE[address]


@pytest.mark.parametrize(
    "network",
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "198.51.100.0/24",
     "fc00::/7", "fe80::/10", "2001:db8::/32", "::ffff:10.0.0.0/104", "2002::/16"],
)  # fmt: skip
def test_an_address_stays_in_its_class(network: str) -> None:
    addresses, class_ = Addresses(b"x" * 32), ipaddress.ip_network(network)
    for number in (7, 23, 99):
        one = class_[number]
        new = ipaddress.ip_address(addresses.packed(one.packed))
        assert new in class_
        assert new != one


def test_public_addresses_stay_public_and_keep_their_prefixes() -> None:
    addresses = Addresses(b"y" * 32)
    for text in ("8.8.8.8", "93.184.216.34", "193.99.144.80", "2a00:1450::5"):
        assert ipaddress.ip_address(addresses.text(text)).is_global
    one, two = (int(ipaddress.ip_address(addresses.text(t))) for t in ("93.184.216.34", "93.184.216.99"))
    assert one >> 7 == two >> 7
    assert one != two
    for text in ("127.0.0.1", "0.0.0.0", "224.0.0.251", "255.255.255.255", "::1", "ff02::fb", "169.254.169.254"):
        assert addresses.text(text) == text


def test_nobody_gets_an_address_that_another_had() -> None:
    addresses = Addresses(b"z" * 32)
    known = [ipaddress.ip_address(f"192.0.2.{n}").packed for n in (1, 2, 3, 30, 44, 90, 200, 254)]
    addresses.settle(known)
    assert not {addresses.packed(one) for one in known} & set(known)


@pytest.mark.parametrize("quote", ["&apos;", "&#39;", "&#x27;", "'"])
@pytest.mark.parametrize("name", ["Sean O'Reilly-Noone", 'the "boss"\'s <b> room'])
def test_a_name_with_quotes_goes_however_markup_writes_it(name: str, quote: str) -> None:
    """Strophe and Prosody write an apostrophe as ``&apos;``, Python and pages as other things."""
    written = name if "&" not in quote else name.replace("<", "&lt;").replace(">", "&gt;").replace("'", quote)
    for one in (written, written.replace('"', "&quot;") if "&" in quote else written):
        shared = wording(name).text(f"<nick>{one}</nick>".encode())
        assert one.encode() not in shared
        if "'" not in one:
            found = search.Originals([(name, "name")]).find(f"<nick>{one}</nick>".encode())
            assert list(found), "the last step would not find it"
        assert not list(search.Originals([(name, "name")]).find(shared))


@pytest.mark.parametrize(
    ("text", "gone", "kept"),
    [
        ("ben benchmarked it, said ben.", r"\bben\b", "benchmarked it, said"),
        ("Mozilla/5.0 Chrome/156.0.0.0 to meet.acme.org:443", "acme", "Mozilla/5.0 Chrome/156.0.0.0 to meet."),
        ("denied-peer-ip=10.0.0.0-10.255.255.255", "nothing", "denied-peer-ip=10.0.0.0-10.255.255.255"),
        ("PTR 20.100.51.198.in-addr.arpa", "20.100.51.198", "51.198.in-addr.arpa"),
        ("node=ip-172-31-37-118", "172-31-37-118", "node=ip-172-"),
        ("room%3Dstand%20up%26x", "stand%20up", "room%3D"),
        ("2001:db8:1a::23:60294 -> 127.0.0.1:4444", "1a::23", ":60294 -> 127.0.0.1:4444"),
        ("from 2001:DB8::23: refused", "DB8::23", "from 2001:DB8:"),
        ("mac='7E:27:4A:E0:4D:AC'", "(?i)7e:27", "mac='02:"),
        ("c3RhbmQgdXAgYmVu is base64", "c3RhbmQ", " is base64"),
        ("<http://jitsi.org/protocol/focus>", "nothing", "<http://jitsi.org/protocol/focus>"),
    ],
)
def test_text_loses_names_where_they_are_words(text: str, gone: str, kept: str) -> None:
    new = wording("ben", "meet.acme.org", "stand up").text(text.encode()).decode()
    assert not re.search(gone, new), new
    assert kept in new


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<service type='turn' password='/eKtlaAehtXPPVR0L2Pnk='/>", "/eKtlaAehtXPPVR0L2Pnk="),
        ("a=ice-pwd:/DxVjoryMltlL0zUI0Izn4Vk", "/DxVjoryMltlL0zUI0Izn4Vk"),
        ("<transport ufrag='/1a2' pwd='/DxVjoryMltlL0zUI0Izn4Vk'/>", "/1a2"),
        ('{"usernameFragment":"/aB+"}', "/aB+"),
        ("JVB_AUTH_PASSWORD=$ecret!7", "$ecret!7"),
        ("JVB_AUTH_PASSWORD=$JVB_AUTH_PASSWORD", None),
        ("proxy_pass http://x/?token=$arg_token", None),
        ("<field var='muc#roomconfig_roomsecret'><value>hunter two</value></field>", "hunter two"),
        ("<x xmlns='http://jabber.org/protocol/muc'><password>hunter2</password></x>", "hunter2"),
        ("room=/srv/recordings", None),
    ],
)
def test_secrets_are_found_whatever_they_begin_with(text: str, found: str | None) -> None:
    seeds = Seeds(Names(b"k" * 32))
    seeds.text(text.encode())
    assert (found in seeds.found) if found else not seeds.found


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<password>1234</password> to port 1234", "to port 1234"),
        ("<field var='muc#roomconfig_roomsecret'><value>1234</value></field>", "roomsecret'><value>"),
        (r"{\"password\":\"1234\",\"port\":1234}", r"\"port\":1234}"),
    ],
)
def test_a_password_of_digits_goes_and_its_digits_elsewhere_stay(text: str, kept: str) -> None:
    new = wording().text(text.encode()).decode()
    assert new.count("1234") == text.count("1234") - 1
    assert len(new) == len(text)
    assert kept in new


def test_an_address_written_as_one_number_goes() -> None:
    words = wording()
    words.addresses.settle([ipaddress.ip_address("93.184.216.34").packed])
    text = "peer 1572395042, in /proc/net/tcp 22D8B85D:1F90 and 0x5db8d822; 157239504 2015-05-12"
    new = words.text(text.encode()).decode()
    made = ipaddress.ip_address(words.addresses.text("93.184.216.34")).packed
    assert new == (f"peer {int.from_bytes(made)}, in /proc/net/tcp {made[::-1].hex().upper()}:1F90 and 0x{made.hex()}; "
                   "157239504 2015-05-12")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('"GET /WeeklySync HTTP/2.0" 200', {"WeeklySync"}),
        ('"https://meet.acme.org/sales/Ann%27s%20Room?jwt=x"', {"sales", "Ann's Room"}),
        (r'{"url":"https:\/\/meet.acme.org\/StandUp"}', {"StandUp"}),
        ("GET /x.html?name=ann&dur=16&userInfo.displayName=%22Ben%22 HTTP", {"ann", "Ben"}),
        ("https://meet.acme.org/Daily#userInfo.email=ann@acme.org", {"Daily"}),
        ("GET /http-bind HTTP/1.1", set()),
        ("POST /colibri-ws/default-id/x", set()),
        ("https://jitsi.org/News", set()),
    ],
)
def test_rooms_and_people_are_found_in_addresses_of_pages(text: str, found: set[str]) -> None:
    seeds = Seeds(Names(b"k" * 32))
    seeds.text(text.encode())
    assert {one for one, kind in seeds.found.items() if kind != "host"} >= found
    assert found or not [one for one, kind in seeds.found.items() if kind != "host"]


def test_no_pseudonym_begins_with_an_original() -> None:
    known = [ipaddress.ip_address(f"192.0.2.{n}").packed for n in (1, 2, 10, 25)]
    for number in range(40):
        addresses = Addresses(bytes([number]) * 32)
        addresses.settle(known)
        made = [str(ipaddress.ip_address(addresses.packed(one))) for one in known]
        assert not [one for one in made if one.startswith(("192.0.2.1", "192.0.2.2"))]


def test_addresses_of_a_full_network_change_places_with_free_ones() -> None:
    known = [ipaddress.ip_address(f"198.51.100.{n}").packed for n in range(100, 200)]
    addresses = Addresses(b"w" * 32)
    addresses.settle(known)
    made = {addresses.packed(one) for one in known}
    assert not made & set(known)
    assert len({addresses.packed(bytes([198, 51, 100, n])) for n in range(256)}) == 256


def test_the_map_is_never_written_into_what_is_shared(tmp_path: Path) -> None:
    (tmp_path / "jvb.log").write_text("JVB 2026-11-29 15:21:44.772 INFO: [16] x: y")
    argv = ["share", str(tmp_path / "jvb.log"), "-o", str(tmp_path / "out"), "--map", str(tmp_path / "out" / "map")]
    assert cli.main(argv) == 2
    assert not (tmp_path / "out").exists()


def test_files_are_named_for_nobody_and_links_and_archives_give_their_content(tmp_path: Path) -> None:
    case = tmp_path / "case"
    case.mkdir()
    line = "JVB 2026-11-29 15:21:44.772 INFO: [16] x: https://meet.acme.org/StandUp of anna.smith@acme.org\n"
    (tmp_path / "outside.log").write_text(line)
    (case / "anna.smith.log").symlink_to(tmp_path / "outside.log")
    (case / "gone.log").symlink_to(tmp_path / "nowhere.log")
    with gzip.open(case / "meet.acme.org.log.gz", "wt") as file:
        file.write(line)
    with tarfile.open(case / "logs.tgz", "w:gz") as archive:
        archive.add(tmp_path / "outside.log", "var/log/anna.smith/jvb.log")
    (case / "turnserver.conf").write_text(
        "realm=meet.acme.org\nexternal-ip=93.184.216.34\ndenied-peer-ip=100.64.0.0-100.127.255.255\n"
    )
    assert cli.main(["share", str(case), "-o", str(tmp_path / "out")]) == 0
    assert "denied-peer-ip=100.64.0.0-100.127.255.255" in (tmp_path / "out" / "turnserver.conf").read_text()
    files = [one for one in (tmp_path / "out").rglob("*") if one.is_file()]
    assert not [one for one in files if one.is_symlink()]
    texts = [gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data for data in (one.read_bytes() for one in files)]
    assert sum(b"JVB 2026" in one for one in texts) == 3
    names = [str(one.relative_to(tmp_path / "out")).encode() for one in files]
    assert not [one for one in (*texts, *names) if re.search(rb"(?i)anna|acme|StandUp", one)]


def test_a_layout_keeps_order_and_borders() -> None:
    layout = Layout()
    layout.add(Block(4, b"abcdefgh"))
    layout.add(Block(6, b"x"))
    layout.place(20)
    layout.add(Block(2, b"yz"))
    assert [layout.at(n) for n in (0, 2, 4, 9, 10, 20, 22, 25)] == [0, 2, 8, 8, 9, 19, 21, 24]
    assert layout.between(0, 10) == b"abcdefghx"
    assert layout.between(20, 22) == b"yz"


def test_a_shared_capture_is_diagnosed_as_the_original(shared: tuple[Path, Path]) -> None:
    where, out = shared
    assert said(out / "capture-eth0.pcapng") == said(where / "capture-eth0.pcapng", where / "keys.txt")


def test_what_is_found_is_found_in_what_is_shared(shared: tuple[Path, Path]) -> None:
    where, out = shared
    before, after = jl.load(where / "capture-eth0.pcapng", keylog=where / "keys.txt"), jl.load(out)
    told = [dict(zip(call.findings["id"], call.findings["result"], strict=True)) for call in (before, after)]
    assert told[0] == told[1]
    assert len(set(told[0].values())) > 3
    steps = [call.steps[["step", "verdict"]].value_counts().to_dict() for call in (before, after)]
    assert steps[0] == steps[1]


def test_a_pack_has_what_proves_its_diagnosis_beside_the_case(recording: Recording, tmp_path: Path) -> None:
    where, pack = recording("turn-refused"), tmp_path / "pack"
    given = [str(where / "capture-any.pcapng"), str(where / "logs")]
    assert cli.main(["share", *given, "--pack", "-o", str(pack)]) == 0
    answer = json.loads((pack / "diagnosis.json").read_text())
    assert (
        said(pack / "case")
        == said(where / "capture-any.pcapng")
        == sorted((p["media_path"], p["stage"], p["turn_stage"], p["cause"] or "") for p in answer["participants"])
    )
    frames = {
        int(one.text.split()[1].rstrip(":")) for one in read(pack / "proof-capture-any.pcapng").comments if one.frame
    }
    places = [place for one in answer["causes"] for place in one["evidence"]]
    assert frames >= {place["frame"] for place in places if place["input"] == "capture-any.pcapng"}
    assert "turn-permission-refused" in (pack / "ISSUE.md").read_text().splitlines()[0]
    text = "".join(one.read_text() for one in pack.iterdir() if one.suffix in (".md", ".txt", ".json"))
    assert str(tmp_path) not in text
    assert leaks.scan([pack]) == []


def test_flows_are_let_go_behind_their_last_frame(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    passed = Connections.passed

    def count(self: Connections, row: int) -> None:
        passed(self, row)
        kept.append(len(self._made))

    monkeypatch.setattr(Connections, "passed", count)
    monkeypatch.setattr("jitsilab.pcap.containers.BUFFER", 1 << 16)
    where = recording("jvb-3")
    evidence = jl.load(where / "capture-eth0.pcapng", keylog=where / "keys.txt").evidence
    sharing.share(evidence, [], tmp_path / "out", sharing.Options())
    assert len(kept) > 3
    assert max(kept) > 0
    assert kept[-1] == 0


def test_noise_that_looks_like_an_address_is_made_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All noise is an address at first: the frames are made again, and the last search finds nothing."""
    noise = Names.noise

    def unlucky(self: Names, label: bytes, size: int) -> bytes:
        return noise(self, label, size) if self.turn else (bytes([93, 184, 216, 34]) * size)[:size]

    monkeypatch.setattr(Names, "noise", unlucky)
    inside = bytes.fromhex("16feff0000000000000001") + (40).to_bytes(2) + b"x" * 40  # DTLS, epoch 0
    ends = bytes([10, 0, 0, 1, 93, 184, 216, 34])
    head = bytes.fromhex("4500") + (28 + len(inside)).to_bytes(2) + bytes.fromhex("000000004011") + b"\0\0" + ends
    with Writer(tmp_path / "call.pcapng") as out:
        out.interface(Interface(101))
        data = head + bytes.fromhex("13882710") + (8 + len(inside)).to_bytes(2) + b"\0\0" + inside
        out.frame(0, 1, data, len(data))
    assert cli.main(["share", str(tmp_path / "call.pcapng"), "-o", str(tmp_path / "out")]) == 0
    made = read(tmp_path / "out" / "call.pcapng").frame(1)
    assert bytes([93, 184, 216, 34]) not in made
    assert made[28:41] == inside[:13]


def test_checks_are_signed_anew_and_fit(shared: tuple[Path, Path]) -> None:
    where, out = shared
    before, after = jl.load(where / "capture-eth0.pcapng", keylog=where / "keys.txt"), jl.load(out)
    for column in ("integrity_ok", "fingerprint_ok", "method", "attributes", "depth"):
        assert before.stun[column].astype("object").equals(after.stun[column].astype("object")), column
    assert before.xmpp["name"].tolist() == after.xmpp["name"].tolist()
    assert not set(before.stun["username"].dropna()) & set(after.stun["username"].dropna())


def test_nothing_of_the_original_is_left(shared: tuple[Path, Path]) -> None:
    where, out = shared
    truth = json.loads((where / "truth.json").read_text())
    known = {truth["server"]["domain"]: "name", truth["server"]["public"]: "address"}
    known |= {one["public"]: "address" for one in truth["participants"]}
    known |= {line.split()[2]: "name" for line in (where / "keys.txt").read_text().splitlines() if line[:1] != "#"}
    assert search.originals(out, known.items()) == []
    assert search.originals(where, [(truth["server"]["domain"], "name")])  # which the search would have found


def test_the_map_stays_with_its_owner(shared: tuple[Path, Path]) -> None:
    _, out = shared
    place = out.with_name("case.map.json")
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert "ann" in json.loads(place.read_text())["names"]
    assert not list(out.rglob("*map*"))


@pytest.mark.tool("tshark")
def test_checksums_are_right_and_keys_of_the_original_open_nothing(shared: tuple[Path, Path]) -> None:
    where, out = shared
    capture = str(out / "capture-eth0.pcapng")
    checks = [x for layer in ("ip", "udp", "tcp") for x in ("-o", f"{layer}.check_checksum:TRUE")]
    bad = "ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0"
    done = subprocess.run(
        ["tshark", "-n", "-r", capture, *checks, "-Y", bad], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    secrets = b"".join(read(capture).secrets)
    assert secrets
    assert not set(secrets.split()) & set((where / "keys.txt").read_bytes().split()[1::3])
    done = subprocess.run(
        ["tshark", "-n", "-r", capture, "-Y", "xmpp || websocket"], capture_output=True, text=True, check=True
    )
    assert done.stdout


def test_a_leak_is_refused(recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Wording, "text", lambda self, data: data)
    capture = recording("alone") / "capture-eth0.pcapng"
    assert cli.main(["share", str(capture), str(recording("alone") / "keys.txt"), "-o", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_noise_on_the_port_of_xmpp_is_no_xml_to_wireshark() -> None:
    """Of a connection whose beginning is not there tshark takes a segment that ends in > for the end of an element."""
    names = Names(b"k" * 32)
    noise = b"".join(names.noise(b"%d" % number, 60) for number in range(400))
    assert b">" not in noise
    assert len(set(noise)) == 255
    assert names.stream(b"0", 60).count(b">") + names.stream(b"1", 6000).count(b">") > 0


def test_damaged_messages_become_noise() -> None:
    from jitsilab.sharing.certificates import Certificates
    from jitsilab.sharing.messages import Messages

    words = wording("ben")
    messages = Messages(words, Certificates(words))
    stun = bytes.fromhex("000100102112a442" + "00" * 12 + "0006000962656e3a62656e3a")
    for size in range(len(stun)):
        try:
            new = messages.datagram(stun[:size], (1, 2), size)
        except ParseError:
            pytest.fail("a decoder's error came out")
        assert b"ben" not in new
        assert len(new) <= size


def test_what_stands_for_one_name_is_no_part_of_another() -> None:
    later = {f"{front}{vowel}n" for front in "bcdfghklmnprst" for vowel in "aeiou"}  # ben, dan, jon, ...
    names = Names(b"k" * 32)
    names.avoid(f"{name}-lee@meet.lab" for name in later)
    for front, vowel, end in itertools.product("bcdfghklmnprst", "aeiou", "bcdfghklmprst"):
        names.add(f"{front}{vowel}{end}-1")
    words = {word for made in names.given.values() for word in re.findall("[a-z]+", made)}
    assert len(words) > 800
    assert words.isdisjoint(later | {"lee", "lab"})


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_capture_is_shared_too(seed: int, recording: Recording, tmp_path: Path) -> None:
    where, choice = recording("turn-refused"), random.Random(seed)
    data = bytearray((where / "capture-eth0.pcapng").read_bytes())
    for _ in range((30, 300, 3000)[seed % 3]):
        at = choice.randrange(400, len(data) - 2)
        data[at : at + 2] = choice.choice(
            [b"\xff\xff", bytes([choice.randrange(256), data[at + 1]]), data[at : at + 2]]
        )
    damaged, out = tmp_path / "damaged.pcapng", tmp_path / "out.pcapng"
    damaged.write_bytes(data)
    keys = ["--keylog", str(where / "keys.txt")] * (seed % 2)
    assert cli.main(["share", str(damaged), *keys, "-o", str(out), "--key", str(seed)]) == 0
    assert json.loads((where / "truth.json").read_text())["server"]["domain"].encode() not in out.read_bytes()


def test_a_host_that_only_a_damaged_hello_names(recording: Recording, tmp_path: Path) -> None:
    """It is met while the capture is rewritten, behind another hello that names it where nobody looks for it."""
    where = recording("no-bridge")
    data = bytearray((where / "capture-eth0.pcapng").read_bytes())
    domain = json.loads((where / "truth.json").read_text())["server"]["domain"].encode()
    named = b"\0\0" + (len(domain) + 5).to_bytes(2) + (len(domain) + 3).to_bytes(2) + b"\0" + len(domain).to_bytes(2)
    places = [match.start() for match in re.finditer(re.escape(named + domain), data)]
    assert len(places) > 2
    for number, at in enumerate(places):
        data[at + 3] = 0xFF if number % 2 else data[at + 3]  # the extension goes on behind the message
        data[at + 6] = 0x5E  # a kind of name that is none
    (tmp_path / "damaged.pcapng").write_bytes(data)
    assert cli.main(["share", str(tmp_path / "damaged.pcapng"), "-o", str(tmp_path / "out.pcapng")]) == 0
    assert domain not in (tmp_path / "out.pcapng").read_bytes()


def test_a_capture_without_a_flow(tmp_path: Path) -> None:
    ip = bytes.fromhex("4500002800004000400600000a000001cb007107")
    frame = bytes.fromhex("0200000000010200000000020800") + ip + b"\x9c\x40"  # cut within TCP's ports
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    record = struct.pack("<IIII", 1_764_000_000, 0, len(frame), 54)
    (tmp_path / "cut.pcap").write_bytes(header + record + frame)
    assert len(jl.load(tmp_path / "cut.pcap").flows) == 0
    assert cli.main(["share", str(tmp_path / "cut.pcap"), "-o", str(tmp_path / "out.pcap")]) == 0
