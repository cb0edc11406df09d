"""A node's nameserver, asked over the tunnel by dig and by wgsd's client, and by those who mean it no good."""

from __future__ import annotations

import base64
import contextlib
import errno
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.running_watchdog import Watchdog, watching
from lab import Lab
from lab.mesh import Mesh, key_of, stranger
from lab.node import Node
from lab.ping import first_answer
from lab.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

AWS, AWS6 = "10.0.0.11", "fd00:7::11"
SERVICE = "_wireguard._udp.mesh.internal."
SOON = 60


class World:
    """aws serves; azure and gcp ask; `never` is listed and was never there."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.mesh = mesh = Mesh(lab, networks=("10.0.0.0/24", "fd00:7::/64"))
        self.aws, self.azure, self.gcp = (mesh.node(name, 11 + n) for n, name in enumerate(("aws", "azure", "gcp")))
        mesh.set("aws", addresses=[AWS, AWS6])
        mesh.set("azure", addresses=["10.0.0.12", "fd00:7::12"], subnets=["192.168.9.0/24"])
        self.never = stranger(mesh, "never", 99)
        mesh.push()
        mesh.now()
        self.outside = lab.node("outside", "203.0.113.66", "2001:db8::66")
        for node in (self.azure, self.gcp):
            first_answer(node, AWS)


@pytest.fixture(scope="module")
def world(lab: Lab) -> World:
    return World(lab)


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[Watchdog]:
    with watching(world.aws) as watchdog:
        until(lambda: watchdog.all_are("up", "azure", "gcp"), SOON, what=watchdog.said)
        yield watchdog


def dig(node: Node, *words: str, server: str = AWS) -> str:
    return node.run(["dig", "+tries=1", "+time=10", f"@{server}", *words]).stdout


def short(node: Node, *words: str, server: str = AWS) -> list[str]:
    """What `dig +short` says, one record each."""
    return sorted(dig(node, "+short", *words, server=server).splitlines())


def by(node: Node, *words: str, server: str = AWS) -> str:
    """What it says now, if anything, without much patience."""
    quick = ["dig", "+short", "+tries=1", "+time=2", *words, f"@{server}", "aws.mesh.internal"]
    return node.run(quick, check=False).stdout


def label(node: Node) -> str:
    return base64.b32encode(base64.b64decode(key_of(node))).decode().lower()


# -- dig is the judge


def test_the_records_are_wgsds(world: World, served: Watchdog) -> None:
    azure, gcp = (f"{label(node)}.{SERVICE}" for node in (world.azure, world.gcp))
    assert short(world.azure, SERVICE, "PTR") == sorted([azure, gcp])
    said = dig(world.gcp, "+noall", "+answer", "+additional", "+ttlid", azure.upper(), "SRV")
    srv, address, text = (line.split() for line in said.splitlines())
    assert srv == [azure.upper(), "0", "IN", "SRV", "0", "0", "51820", azure.upper()]
    assert address == [azure.upper(), "0", "IN", "A", "203.0.113.12"]
    assert text[:7] == [
        azure.upper(), "0", "IN", "TXT", '"txtvers=1"', f'"pub={key_of(world.azure)}"',
        '"allowed=10.0.0.12/32,192.168.9.0/24,fd00:7::12/128"',
    ]  # fmt: skip
    age, observer = text[7:]
    assert 0 <= int(age.strip('"').removeprefix("age=")) < SOON
    assert observer == '"observer=aws"'


def test_a_peer_that_was_never_there_has_no_name(world: World, served: Watchdog) -> None:
    name = base64.b32encode(base64.b64decode(world.never)).decode()
    said = dig(world.gcp, f"{name}.{SERVICE}", "SRV")
    assert "status: NXDOMAIN" in said
    assert "SOA\taws.mesh.internal. hostmaster.mesh.internal." in said


def test_wgsds_client_finds_who_is_there(world: World, served: Watchdog) -> None:
    keys = [key_of(world.azure), key_of(world.gcp), world.never]
    argv: list[str | Path] = [sys.executable, Path(__file__).with_name("wgsd_client.py"), AWS, "mesh.internal", *keys]
    found = world.gcp.run(argv).stdout.splitlines()
    assert found == [f"{keys[0]} 203.0.113.12 51820", f"{keys[1]} 203.0.113.13 51820"]


@pytest.mark.parametrize("server", [AWS, AWS6])
@pytest.mark.parametrize("how", ["+notcp", "+tcp"])
def test_names_have_mesh_addresses(world: World, served: Watchdog, server: str, how: str) -> None:
    ask = world.azure
    assert short(ask, how, "azure.mesh.internal", "A", server=server) == ["10.0.0.12"]
    assert short(ask, how, "aws.mesh.internal", "AAAA", server=server) == [AWS6]
    assert short(ask, how, "-x", "10.0.0.13", server=server) == ["gcp.mesh.internal."]
    assert short(ask, how, "-x", AWS6, server=server) == ["aws.mesh.internal."]
    assert short(ask, how, "mesh.internal", "NS", server=server) == ["aws.mesh.internal."]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("gcp.mesh.internal", "AAAA"), "NOERROR"),
        (("nothing.mesh.internal", "A"), "NXDOMAIN"),
        (("example.org", "A"), "REFUSED"),
        (("+opcode=UPDATE", "mesh.internal", "SOA"), "NOTIMP"),
        (("+edns=1", "+noednsnegotiation", "aws.mesh.internal", "A"), "BADVERS"),
        (("version.bind", "CH", "TXT"), "REFUSED"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_there_is_not(world: World, served: Watchdog, words: tuple[str, ...], status: str) -> None:
    said = dig(world.azure, *words)
    assert f"status: {status}" in said, said
    assert "ANSWER: 0" in said


def test_the_machine_itself_may_ask_too(world: World, served: Watchdog) -> None:
    """As systemd-resolved does, when it is told to: at its own mesh address."""
    assert short(world.aws, "azure.mesh.internal", "A") == ["10.0.0.12"]
    assert short(world.aws, "+tcp", "azure.mesh.internal", "AAAA", server=AWS6) == ["fd00:7::12"]


# -- those who mean it no good


def test_from_outside_the_tunnel_there_is_no_answer(world: World, served: Watchdog) -> None:
    """From a stranger, and from one who takes a peer's address."""
    outside = world.outside
    outside.ip(f"route add {AWS} via 203.0.113.11 dev eth0", "address add 10.0.0.12/32 dev lo")
    quick = ["+tries=1", "+time=2", f"@{AWS}", "aws.mesh.internal"]
    for words in (quick, [*quick, "+tcp"], [*quick, "-b", "10.0.0.12"]):
        done = outside.run(["dig", *words], check=False)
        assert done.returncode == 9, done.stdout
        assert "status:" not in done.stdout
    connect = f"import socket; print(socket.socket().connect_ex(('{AWS}', 53)))"
    assert world.outside.run([sys.executable, "-c", connect]).stdout.strip() == str(errno.ECONNREFUSED)
    assert short(world.azure, "aws.mesh.internal") == [AWS]  # it answers those who may ask


def test_every_socket_takes_only_what_comes_by_the_interface(world: World, served: Watchdog) -> None:
    sockets = world.aws.run(["ss", "-Hlntu", "sport", "=", ":53"]).stdout.split()
    places = {word for word in sockets if word.endswith(":53")}
    assert places == {f"{AWS}%wg0:53", f"[{AWS6}]%wg0:53"}


def test_of_what_comes_out_of_the_tunnel_only_peers_own_addresses_are_answered(world: World, served: Watchdog) -> None:
    """Not a host behind a gateway, whose packets come the same way."""
    world.azure.ip("address add 192.168.9.5/32 dev lo")
    words = ["dig", "+tries=1", "+time=2", "-b", "192.168.9.5", f"@{AWS}", "aws.mesh.internal"]
    done = world.azure.run(words, check=False)
    assert (done.returncode, "status:" in done.stdout) == (9, False), done.stdout


HOSTILE = """
import contextlib, random, socket, sys
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.connect((sys.argv[1], 53))
rng = random.Random(7)
query = bytes.fromhex("abcd01000001000000000000") + b"\\3aws\\4mesh\\10internal\\0\\0\\1\\0\\1"
notify = bytes.fromhex("abcd24000001000100000000") + query[12:]
for number in range(60):
    whole = bytearray(rng.choice((query, notify)))
    whole[rng.randrange(12, len(whole))] = rng.randrange(256)
    udp.send(bytes(whole[:rng.randrange(len(whole) + 1)]))
    udp.send(rng.randbytes(rng.randrange(1200)))
for some in (b"", b"\\0", b"\\xff\\xff" + b"x" * 5000, b"\\0\\0", b"\\0\\4abcd"):
    with contextlib.suppress(OSError), socket.create_connection((sys.argv[1], 53), 10) as tcp:
        tcp.sendall(some)
held = [socket.create_connection((sys.argv[1], 53), 10) for _ in range(50)]
print("done", flush=True)
sys.stdin.read()
"""


def test_noise_and_clients_that_hold_on_change_nothing(world: World, served: Watchdog) -> None:
    program = world.azure.popen([sys.executable, "-c", HOSTILE, AWS])
    said, _ = program.communicate(timeout=60)
    assert said.strip() == "done", said
    until(lambda: by(world.azure, "+tcp") == f"{AWS}\n", SOON, what=served.said)
    assert by(world.gcp, "+tcp") == f"{AWS}\n"
    assert "Traceback" not in served.said()
    assert "failed" not in served.said()


def test_a_flood_does_not_keep_the_watchdog_from_its_work(world: World, served: Watchdog) -> None:
    """The interface goes on being read, and peers stay up; afterwards others are answered as before.

    Meanwhile the kernel drops what the socket cannot hold, also of others.
    """
    argv: list[str | Path] = [sys.executable, Path(__file__).with_name("flood.py"), AWS, "10000"]
    before = served.shown()
    flood, cpu, begin = world.azure.popen(argv), spent(served), time.monotonic()
    answered, shown = 0, before

    def works() -> bool:
        nonlocal answered, shown
        assert flood.poll() is None
        answered += by(world.gcp) == f"{AWS}\n"
        shown = served.shown()
        return bool(shown["readings"] - before["readings"] >= 4 and shown["written"] > before["written"])

    until(works, SOON, every=0.3, what=served.said)
    took = time.monotonic() - begin
    flood.terminate()
    said = flood.communicate(timeout=SOON)[0]
    print(f"{said.strip()} questions a second; {spent(served) - cpu:.1f} s of CPU in {took:.1f} s; {answered} answered")
    assert int(said) > 5000, "that was no flood"
    assert {peer["name"]: peer["state"] for peer in shown["peers"]}["azure"] == "up"
    until(lambda: by(world.gcp) == f"{AWS}\n", SOON, what=served.said)


def spent(watchdog: Watchdog) -> float:
    """Seconds of CPU so far."""
    fields = Path(f"/proc/{watchdog.program._leader()}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


# -- the interface and the port come and go


def test_an_interface_that_is_made_again_is_served_again(world: World, served: Watchdog) -> None:
    world.aws.run(["mesh-sync", "down"])
    world.aws.run(["mesh-sync", "up"])
    first_answer(world.azure, AWS)
    until(lambda: by(world.azure) == f"{AWS}\n", SOON, what=served.said)


def test_another_address_is_served_too(world: World, served: Watchdog) -> None:
    world.mesh.set("aws", addresses=[AWS, "10.0.0.111", AWS6])
    world.mesh.push()
    world.mesh.now()
    want = [AWS, "10.0.0.111"]
    until(lambda: sorted(by(world.azure, server="10.0.0.111").splitlines()) == want, SOON, what=served.said)


def test_500_peers_come_by_tcp(world: World) -> None:
    """A list that no UDP message can hold is cut, and who asks again by TCP gets all of it; so wgsd's client."""
    crowded = Watchdog(world.gcp, argv=[sys.executable, Path(__file__).with_name("crowded_watchdog.py")])
    server = "10.0.0.13"
    try:
        crowded.ready()
        until(lambda: crowded.all_are("up", "aws", "azure"), SOON, what=crowded.said)
        cut = dig(world.azure, "+ignore", SERVICE, "PTR", server=server)
        assert "ANSWER: 0" in cut
        assert re.search(r"flags:.* tc\b", cut), cut
        until(lambda: len(short(world.azure, SERVICE, "PTR", server=server)) == 502, SOON, what=crowded.said)
        client: list[str | Path] = [sys.executable, Path(__file__).with_name("wgsd_client.py"), server, "mesh.internal"]
        found = world.azure.run([*client, key_of(world.azure)]).stdout
        assert found == f"{key_of(world.azure)} 203.0.113.12 51820\n"
    finally:
        crowded.end()


OTHER_SERVER = """
import socket, sys
taken = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
taken.bind(("0.0.0.0", 53))
print("taken", flush=True)
sys.stdin.read()
"""


def test_a_port_that_is_taken_is_said_and_waited_for(world: World) -> None:
    node = world.gcp
    with contextlib.ExitStack() as stack:
        other = node.popen([sys.executable, "-c", OTHER_SERVER], stdin=-1)
        stack.callback(other.kill)
        assert other.stdout is not None
        assert other.stdout.readline().strip() in ("taken", b"taken")
        watchdog = stack.enter_context(watching(node))
        until(lambda: any("port 53 of 10.0.0.13" in problem for problem in watchdog.written()["problems"]), SOON)
        until(lambda: watchdog.all_are("up", "azure"), SOON)
        other.kill()
        until(lambda: not watchdog.written()["problems"], SOON, what=watchdog.said)
        assert short(world.azure, "aws.mesh.internal", server="10.0.0.13") == sorted([AWS, "10.0.0.111"])


def test_where_it_is_turned_off_nothing_listens(world: World) -> None:
    world.mesh.configure(world.gcp, dns={"serve": False})
    with watching(world.gcp) as watchdog:
        until(lambda: watchdog.all_are("up", "azure"), SOON)
        listening = world.gcp.run(["ss", "-Hlnut", "sport", "=", ":53"]).stdout
    world.mesh.configure(world.gcp, dns=None)
    assert listening == ""
