"""Every way in which a list can be wrong has its line, `file:key: message`, and all lines come at once."""

# ruff: noqa: E501 -- in the tables a case is a line, as long as what it expects

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from mesh_sync.cli.main import cli
from unit.bad_list import GOOD, LABEL, LEAKED, MESH, PRIVATE, Files, check, findings, key, peer


def test_a_good_list_has_no_findings() -> None:
    assert findings(GOOD) == []


PEER: dict[str, tuple[str, list[str]]] = {
    # what a file is written like
    "TOML syntax": ("= 1", [":: is not valid TOML: Invalid statement (at line 1, column 1)"]),
    "a string without end": ('public_key = "x\n', [":: is not valid TOML: Illegal character '\\n' (at line 1, column 16)"]),
    "a key twice": (peer(1, "mtu = 1400", "mtu = 1400"), [":: is not valid TOML: Cannot overwrite a value (at end of document)"]),
    "nested without end": ("mtu = " + "[" * 5000, [":: is not valid TOML: nested too deep"]),
    "a number without end": ("mtu = " + "9" * 5000, [":: holds a number of too many digits"]),
    "a long number in another base": (peer(1, mtu="0x" + "f" * 5000), [":mtu: a value too long to show is not an MTU (576 to 65535)"]),
    "dotted without end": (peer(1, "mtu" + ".a" * 5000 + " = 1"), [":: is not valid TOML: a line has more than 32 dots outside quotes"]),
    # keys
    "an unknown key": (peer(1, "colour = 1"), [":colour: unknown key"]),
    "two unknown keys": (peer(1, "size = 1", "colour = 1"), [":colour: unknown key", ":size: unknown key"]),
    "a key that would clear the screen": (peer(1, '"\\u001b[2J\\n" = 1'), [":\\x1b[2J\\n: unknown key"]),
    "a hook": (peer(1, 'post_up = "reboot"'), [":post_up: unknown key"]),
    "missing keys": ("", [":addresses: is missing", ":public_key: is missing"]),
    "text for a number": (peer(1, mtu='"1400"'), [":mtu: must be a number, not '1400'"]),
    "a fraction for a number": (peer(1, mtu="1400.0"), [":mtu: must be a number, not 1400.0"]),
    "true for a number": (peer(1, listen_port="true"), [":listen_port: must be a number, not True"]),
    "a number for true": (peer(1, enabled="1"), [":enabled: must be true or false, not 1"]),
    "a number for text": (peer(1, description="1"), [":description: must be text in quotes, not 1"]),
    "text for a list": (peer(1, addresses='"10.0.0.1"'), [":addresses: must be a list, not '10.0.0.1'"]),
    "text for a date": (peer(1, expires='"2027-01-31"'), [":expires: must be a date, such as 2027-01-31 without quotes, not '2027-01-31'"]),
    "several at once": (peer(1, mtu="0", subnets='["x", "10.1.0.0/16", 5]'), [
        ":mtu: 0 is not an MTU (576 to 65535)",
        ":subnets[0]: 'x' is not a network in CIDR notation",
        ":subnets[2]: must be text in quotes, not 5",
    ]),
    # keys of WireGuard
    "a public key that is too short": (peer(1, public_key='"AAAA"'), [":public_key: 'AAAA' is not a WireGuard key (44 characters of base64)"]),
    "a public key that is no base64": (peer(1, public_key=f'"{"!" * 44}"'), [f":public_key: '{'!' * 44}' is not a WireGuard key (44 characters of base64)"]),
    "a public key with spare bits": (peer(1, public_key=f'"{key(1)[:-2]}F="'), [f":public_key: '{key(1)[:-2]}F=' is not a WireGuard key (44 characters of base64)"]),
    "a public key in Cyrillic": (peer(1, public_key='"ключ"'), [":public_key: 'ключ' is not a WireGuard key (44 characters of base64)"]),
    "the all-zero key": (peer(1, public_key=f'"{key(0)}"'), [":public_key: is the all-zero key, which no peer can have"]),
    "a key twice in one file": (peer(1, next_public_key=f'"{key(1)}"'), [":next_public_key: is also the public_key of a"]),
    # addresses
    "an address outside": (peer(1, addresses='["10.9.0.1"]'), [":addresses[0]: 10.9.0.1 lies in none of the mesh's networks (10.0.0.0/24)"]),
    "a network for an address": (peer(1, addresses='["10.0.0.0/24"]'), [":addresses[0]: '10.0.0.0/24' is a network; write the peer's own address, such as 10.0.0.1"]),
    "an address with the network's length": (peer(1, addresses='["10.0.0.1/24"]'), [":addresses[0]: '10.0.0.1/24' is a network; write the peer's own address, such as 10.0.0.1"]),
    "the network's own address": (peer(1, addresses='["10.0.0.0"]'), [":addresses[0]: 10.0.0.0 is the network or broadcast address of 10.0.0.0/24"]),
    "the address of all": (peer(1, addresses='["10.0.0.255"]'), [":addresses[0]: 10.0.0.255 is the network or broadcast address of 10.0.0.0/24"]),
    "a name for an address": (peer(1, addresses='["a.example"]'), [":addresses[0]: 'a.example' is not an IP address"]),
    "no address": (peer(1, addresses="[]"), [":addresses: is empty; a peer needs at least one"]),
    "an address twice": (peer(1, addresses='["10.0.0.1", "10.0.0.1/32"]'), [":addresses[1]: 10.0.0.1 is listed twice"]),
    # subnets
    "a subnet with host bits": (peer(1, subnets='["192.168.1.1/24"]'), [":subnets[0]: '192.168.1.1/24' has host bits set; the network is 192.168.1.0/24"]),
    "a subnet that covers the mesh": (peer(1, subnets='["10.0.0.0/8"]'), [":subnets[0]: 10.0.0.0/8 overlaps the mesh's own network 10.0.0.0/24"]),
    "a subnet inside the mesh": (peer(1, subnets='["10.0.0.128/25"]'), [":subnets[0]: 10.0.0.128/25 overlaps the mesh's own network 10.0.0.0/24"]),
    "a subnet twice": (peer(1, subnets='["192.168.1.0/24", "192.168.1.0/24"]'), [":subnets[1]: 192.168.1.0/24 overlaps the same peer's 192.168.1.0/24"]),
    "loopback": (peer(1, subnets='["127.0.0.0/8"]'), [":subnets[0]: '127.0.0.0/8' cannot be reached through a tunnel"]),
    "a cloud's metadata": (
        peer(1, subnets='["169.254.169.254/32", "fe80::/64"]'),
        [
            ":subnets[0]: '169.254.169.254/32' cannot be reached through a tunnel",
            ":subnets[1]: 'fe80::/64' cannot be reached through a tunnel",
        ],
    ),
    # numbers
    "port 0": (peer(1, listen_port="0"), [":listen_port: 0 is not a port (1 to 65535)"]),
    "port 65536": (peer(1, listen_port="65536"), [":listen_port: 65536 is not a port (1 to 65535)"]),
    "MTU 0": (peer(1, mtu="0"), [":mtu: 0 is not an MTU (576 to 65535)"]),
    "a keepalive below zero": (peer(1, persistent_keepalive="-1"), [":persistent_keepalive: -1 is not a number of seconds (0 to 65535)"]),
    # relays
    "via nobody": (peer(1, via='"zed"'), [":via: there is no peer 'zed'"]),
    "via itself": (peer(1, via='"a"'), [":via: is the peer itself"]),
    "via what is no name": (peer(1, via='"../b"'), [":via: '../b' is not a peer name (a lower-case DNS label)"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "lines"), PEER.values(), ids=PEER)
def test_a_peer_that_is_wrong(tmp_path: Path, text: str, lines: list[str]) -> None:
    assert check(tmp_path, {**GOOD, "peers/a.toml": text}) == [f"peers/a.toml{line}" for line in lines]


ENDPOINT = {
    "203.0.113.1": "'203.0.113.1' has no port; write host:port",
    "a.example": "'a.example' has no port; write host:port",
    "[2001:db8::1]": "'[2001:db8::1]' has no port; write host:port",
    "a.example:": "'a.example:': '' is not a port number",
    "a.example:0": "'a.example:0': the port must be 1 to 65535",
    "a.example:65536": "'a.example:65536': the port must be 1 to 65535",
    "a.example:http": "'a.example:http': 'http' is not a port number",
    "a.example:5182٠": "'a.example:5182٠': '5182٠' is not a port number",
    "2001:db8::1:51820": "'2001:db8::1:51820': write an IPv6 address in brackets, [address]:port",
    "[2001:db8::x]:51820": "'[2001:db8::x]:51820': '2001:db8::x' is not an IP address",
    "203.0.113.256:51820": "'203.0.113.256:51820': '203.0.113.256' is not an IP address",
    "127.0.0.1:51820": "'127.0.0.1:51820': no other machine can be at 127.0.0.1: it is this machine itself",
    "0.0.0.0:51820": "'0.0.0.0:51820': no other machine can be at 0.0.0.0: it is no address",
    "a b.example:51820": "'a b.example:51820': 'a b.example' is not a host name",
    " a.example:51820": "' a.example:51820': ' a.example' is not a host name",
    "a.example:51820 ": "'a.example:51820 ': '51820 ' is not a port number",
    "a.example:51820\\n": "'a.example:51820\\n': '51820\\n' is not a port number",
    "a.example\\nPostUp = x:1": "'a.example\\nPostUp = x:1': 'a.example\\nPostUp = x' is not a host name",
    "-a.example:51820": "'-a.example:51820': '-a.example' is not a host name",
    ":51820": "':51820': '' is not a host name",
    "": "'' has no port; write host:port",
}  # fmt: skip


@pytest.mark.parametrize(("endpoint", "message"), ENDPOINT.items(), ids=map(repr, ENDPOINT))
def test_an_endpoint_that_is_wrong(tmp_path: Path, endpoint: str, message: str) -> None:
    files = {**GOOD, "peers/a.toml": peer(1, endpoint=f'"{endpoint}"')}
    assert check(tmp_path, files) == [f"peers/a.toml:endpoint: {message}"]


BETWEEN: dict[str, tuple[Files, list[str]]] = {
    "two peers with one key": ({"peers/b.toml": peer(2, public_key=f'"{key(1)}"')}, [
        "peers/b.toml:public_key: is also the public_key of a"]),
    "a key that another is moving to": ({"peers/b.toml": peer(2, next_public_key=f'"{key(1)}"')}, [
        "peers/b.toml:next_public_key: is also the public_key of a"]),
    "two peers with one address": ({"peers/b.toml": peer(2, addresses='["10.0.0.1"]')}, [
        "peers/b.toml:addresses[0]: 10.0.0.1 is also an address of a"]),
    "subnets that overlap": ({"peers/a.toml": peer(1, subnets='["192.168.0.0/16"]'),
                              "peers/b.toml": peer(2, subnets='["172.16.0.0/24", "192.168.2.0/24"]')}, [
        "peers/b.toml:subnets[1]: 192.168.2.0/24 overlaps a's 192.168.0.0/16"]),
    "exits that do not exist, offer none, or are the peer itself": ({
        "mesh.toml": MESH + 'exit = "zed"\n', "peers/a.toml": peer(1, exit='"a"'), "peers/b.toml": peer(2, exit='"a"')}, [
        "mesh.toml:exit: there is no peer 'zed'",
        'peers/a.toml:exit: is the peer itself; "none" is for one that uses no exit',
        'peers/b.toml:exit: a offers no exit: its subnets hold no default route, such as "0.0.0.0/0" and "::/0"']),
    "a part of an exit that is behind another": ({
        "peers/a.toml": peer(1, subnets='["0.0.0.0/1", "128.0.0.0/1", "::/0"]'), "peers/c.toml": peer(3, subnets='["::/1"]'),
        "peers/b.toml": peer(2, subnets='["198.51.100.0/24"]', exit='"a"'),
        "peers/d.toml": peer(4, subnets='["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/1", "198.51.100.0/24"]')}, [
        "peers/c.toml:subnets: warning: is offered as an exit (::/1) that no peer uses: exit = \"c\" in a peer's file, or in mesh.toml for all",
        "peers/d.toml:subnets: warning: is offered as an exit (0.0.0.0/2, 64.0.0.0/2, 128.0.0.0/1) that no peer uses: exit = \"d\" in a peer's file, or in mesh.toml for all",
        "peers/d.toml:subnets[3]: 198.51.100.0/24 overlaps b's 198.51.100.0/24; give two sites with the same network a `nat_subnet` each, two gateways of one network a `priority` each"]),
    "networks that are translated wrong": ({
        "mesh.toml": MESH, "peers/a.toml": peer(1, subnets='["192.168.1.0/24", "192.168.2.0/24"]', nat_subnet='"10.1.1.0/24"'),
        "peers/b.toml": peer(2, subnets='["192.168.1.0/24"]', nat_subnet='"10.1.2.0/25"'),
        "peers/c.toml": peer(3, subnets='["192.168.3.0/24", "10.0.0.0/24"]', nat_subnet='["fd00:1::/64", "10.1.3.0/24"]'),
        "peers/d.toml": peer(4, subnets='["0.0.0.0/0", "::/0"]', nat_subnet='["0.0.0.0/0", "fd00::/0"]')}, [
        "peers/a.toml:nat_subnet: subnets has 2, this 1: one is needed for each, in their order",
        "peers/b.toml:nat_subnet: 10.1.2.0/25 stands for 192.168.1.0/24, so it has to be a /24, too",
        "peers/c.toml:nat_subnet[0]: fd00:1::/64 stands for 192.168.3.0/24: IPv4 is not translated to IPv6, nor the other way round",
        "peers/c.toml:subnets[1]: 10.0.0.0/24 overlaps the mesh's own network 10.0.0.0/24: c would not know which is meant",
        "peers/d.toml:nat_subnet[1]: 'fd00::/0' has host bits set; the network is ::/0"]),
    "networks that are translated to what others have": ({
        "peers/a.toml": peer(1, subnets='["192.168.1.0/24"]', nat_subnet='"10.0.0.0/24"'),
        "peers/b.toml": peer(2, subnets='["192.168.1.0/24"]', nat_subnet='"10.1.2.0/24"'),
        "peers/c.toml": peer(3, subnets='["192.168.1.0/24"]', nat_subnet='"10.1.2.0/24"')}, [
        "peers/a.toml:nat_subnet: 10.0.0.0/24 overlaps the mesh's own network 10.0.0.0/24",
        "peers/c.toml:nat_subnet: 10.1.2.0/24 overlaps b's 10.1.2.0/24"]),
    "endpoints in the mesh's own network, and behind a peer": ({
        "peers/a.toml": peer(1, subnets='["203.0.113.0/29"]'), "peers/b.toml": peer(2, endpoint='["b.example:1", "203.0.113.2:1", "203.0.113.9:1", "10.0.0.9:1"]'),
        "peers/c.toml": peer(3, subnets='["203.0.113.8/29"]', endpoint='"c.example:1"', expires="2020-01-01")}, [
        "peers/a.toml:endpoint: warning: 203.0.113.1:51820 lies in its own subnet 203.0.113.0/29: of use only to nodes that are in that network",
        "peers/b.toml:endpoint[1]: warning: 203.0.113.2:1 lies in a's subnet 203.0.113.0/29: of use only to nodes that are in that network",
        "peers/b.toml:endpoint[3]: 10.0.0.9:1 lies in the mesh's own network 10.0.0.0/24: packets to it would enter the tunnel"]),
    "relays in a circle": ({"peers/a.toml": peer(1, via='"b"'), "peers/b.toml": peer(2, via='"a"')}, [
        "peers/a.toml:via: forms a loop: a -> b -> a",
        "peers/b.toml:via: forms a loop: b -> a -> b"]),
    "a circle further up": ({"peers/b.toml": peer(2, via='"c"'), "peers/c.toml": peer(3, via='"b"'), "peers/a.toml": peer(1, via='"b"')}, [
        "peers/b.toml:via: forms a loop: b -> c -> b",
        "peers/c.toml:via: forms a loop: c -> b -> c"]),
    "names that differ in case": ({"peers/A.toml": peer(3)}, [
        "peers/A.toml:: the peer name 'A' is not a lower-case DNS label (a-z, 0-9, -, at most 63)",
        "peers/a.toml:: differs from peers/A.toml only in case"]),
    "a name with a dot": ({"peers/a.b.toml": peer(3)}, [
        "peers/a.b.toml:: the peer name 'a.b' is not a lower-case DNS label (a-z, 0-9, -, at most 63)"]),
    "a name that is an option": ({"peers/-rf.toml": peer(3)}, [
        "peers/-rf.toml:: the peer name '-rf' is not a lower-case DNS label (a-z, 0-9, -, at most 63)"]),
    "no name": ({"peers/.toml": peer(3)}, [
        "peers/.toml:: the peer name '' is not a lower-case DNS label (a-z, 0-9, -, at most 63)"]),
    "a name with an escape": ({"peers/\x1b[31mred\n.toml": peer(3)}, [
        "peers/\\x1b[31mred\\n.toml:: the peer name '\\x1b[31mred\\n' is not a lower-case DNS label (a-z, 0-9, -, at most 63)"]),
    "a name of 64 characters": ({f"peers/{'n' * 64}.toml": peer(3)}, [
        f"peers/{'n' * 64}.toml:: the peer name '{'n' * 64}' is not a lower-case DNS label (a-z, 0-9, -, at most 63)"]),
    "a file of 10 MB": ({"peers/a.toml": b"#" * 10 * 1024 * 1024}, [
        "peers/a.toml:: is 10,485,760 bytes long; the limit is 65,536"]),
    "Latin-1": ({"peers/a.toml": 'owner = "Jürgen"'.encode("latin-1")}, ["peers/a.toml:: is not UTF-8 text (byte 10)"]),
    "UTF-16": ({"mesh.toml": MESH.encode("utf-16")}, ["mesh.toml:: is not UTF-8 text (byte 0)"]),
    "a mesh with an unknown key": ({"mesh.toml": MESH + "hub = 1\n"}, ["mesh.toml:hub: unknown key"]),
    "a guard with an unknown key": ({"mesh.toml": MESH + "[guard]\nx = 1\n"}, ["mesh.toml:guard.x: unknown key"]),
    "a mesh of another format": ({"mesh.toml": MESH.replace("1", "2", 1)}, [
        "mesh.toml:format: 2 is not a format this version reads (only 1)"]),
    "a mesh without networks": ({"mesh.toml": MESH.replace('"10.0.0.0/24"', "")}, [
        "mesh.toml:networks: is empty; every peer address lies in one of these"]),
    "a mesh over everything": ({"mesh.toml": MESH.replace("10.0.0.0/24", "0.0.0.0/0")}, [
        "mesh.toml:networks[0]: 0.0.0.0/0 covers every address; name the mesh's own range",
        "peers/a.toml:endpoint: 203.0.113.1:51820 lies in the mesh's own network 0.0.0.0/0: packets to it would enter the tunnel",
        "peers/b.toml:endpoint: 203.0.113.2:51820 lies in the mesh's own network 0.0.0.0/0: packets to it would enter the tunnel"]),
    "an expectation of nobody": ({"mesh.toml": MESH + '[[expect]]\nfrom = "zed"\nto = "no one"\n'}, [
        "mesh.toml:expect[0].from: there is no peer 'zed'",
        "mesh.toml:expect[0].to: 'no one' is not a peer, address or network"]),
    "an expectation that is not met": ({"mesh.toml": MESH + '[[expect]]\nfrom = "a"\nto = "192.168.1.1"\n'}, [
        "mesh.toml:expect[0]: a does not reach 192.168.1.1: no peer has 192.168.1.1"]),
}  # fmt: skip


@pytest.mark.parametrize(("files", "lines"), BETWEEN.values(), ids=BETWEEN)
def test_files_that_do_not_go_together(tmp_path: Path, files: Files, lines: list[str]) -> None:
    assert check(tmp_path, {**GOOD, **files}) == lines


def test_a_repository_without_a_mesh(tmp_path: Path) -> None:
    assert check(tmp_path, {"peers/README.md": "soon"}) == ["mesh.toml:: is missing; `mesh-sync init` creates one"]


@pytest.mark.parametrize("name", ["../x", "../../etc/x", "x/y", "x\0y", "ä", "a_b", "a-", "a b"])
def test_a_name_that_no_file_should_have(name: str) -> None:
    assert findings({**GOOD, f"peers/{name}.toml": peer(3)}) == [
        f"peers/{name}.toml:: the peer name {name!r} {LABEL}".replace("\0", "\\x00")
    ]


def test_a_name_of_300_characters() -> None:
    [line] = findings({**GOOD, f"peers/{'n' * 300}.toml": peer(3)})
    assert line == f"peers/{'n' * 191}...:: the peer name '{'n' * 77}...' {LABEL}"


def test_a_line_of_relays_that_is_too_long() -> None:
    chain = {f"peers/p{n}.toml": peer(100 + n, via=f'"p{n - 1}"' if n else None) for n in range(40)}
    lines = findings({"mesh.toml": MESH, **chain})
    assert lines
    assert {line.partition(": ")[2] for line in lines} == {"more than 8 relays in a row"}
    assert "peers/p8.toml:via: more than 8 relays in a row" not in lines
    assert "peers/p9.toml:via: more than 8 relays in a row" in lines


# -- all at once


def test_all_findings_come_at_once_in_order_of_file_and_key(tmp_path: Path) -> None:
    files: Files = {
        "mesh.toml": "format = 1\nhub = true\n",
        "README.md": f"PrivateKey = {PRIVATE}",
        "peers/a.toml": peer(1, mtu="0", endpoint='"a.example"'),
        "peers/b.toml": peer(2, via='"a"'),
        "peers/c.toml": peer(3, public_key=f'"{key(2)}"', addresses='["10.0.0.2"]', via='"zed"'),
        "peers/d.toml": "= 1",
        "peers/E.toml": b"\xff",
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run(
        [Path(sys.executable).with_name("mesh-sync"), "check", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"README.md:: {LEAKED}",
        "mesh.toml:hub: unknown key",
        "mesh.toml:name: is missing",
        "mesh.toml:networks: is missing",
        "peers/E.toml:: is not UTF-8 text (byte 0)",
        f"peers/E.toml:: the peer name 'E' {LABEL}",
        "peers/a.toml:endpoint: 'a.example' has no port; write host:port",
        "peers/a.toml:mtu: 0 is not an MTU (576 to 65535)",
        "peers/c.toml:addresses[0]: 10.0.0.2 is also an address of b",
        "peers/c.toml:public_key: is also the public_key of b",
        "peers/c.toml:via: there is no peer 'zed'",
        "peers/d.toml:: is not valid TOML: Invalid statement (at line 1, column 1)",
    ]
    assert done.stderr == "12 errors, 0 warnings\n"


def test_what_leaves_doubts_is_a_warning_and_no_error(tmp_path: Path) -> None:
    for path, text in {**GOOD, "peers/a.toml": peer(1, endpoint=None), "peers/b.toml": peer(2, endpoint=None)}.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(str(text))
    done = CliRunner().invoke(cli, ["check", str(tmp_path)], standalone_mode=False)
    assert done.return_value == 0
    assert done.stdout.startswith("peers/a.toml:endpoint: warning: neither a nor b has an endpoint")


def test_json_says_the_same(tmp_path: Path) -> None:
    check(tmp_path, {**GOOD, "peers/a.toml": peer(1, mtu="0")})
    done = CliRunner().invoke(cli, ["check", "--json", str(tmp_path)], standalone_mode=False)
    assert done.return_value == 1
    assert '"file": "peers/a.toml",\n      "key": "mtu",\n      "severity": "error",' in done.stdout
