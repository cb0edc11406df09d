"""What an unmanaged peer's file says of its exported config: `dns` and `export_routes`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.check.examine import examine
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from unit.bad_list import MESH, MOMENT, Files, findings, peer
from unit.list_keeper import Operator

BOTH = '["0.0.0.0/0", "::/0"]'
LISTED: Files = {
    "mesh.toml": MESH,
    "peers/hub.toml": peer(1),
    "peers/home.toml": peer(2, subnets='["192.168.7.0/24", "192.168.8.0/24"]'),
}


def phone(via: str | None = '"hub"', **lines: str) -> str:
    return peer(9, managed="false", via=via, endpoint=None, **lines)


def allowed(files: Files, name: str = "phone") -> dict[str, set[str]]:
    """The allowed IPs of each tunnel of a peer."""
    mesh, found = examine(Tree({path: str(text).encode() for path, text in files.items()}), MOMENT)
    assert mesh, found
    return {one.name: set(one.allowed_ips) for one in Renderer(mesh, MOMENT).desired(name).peers}


# -- what is exported


def test_a_client_has_its_own_routes_instead_of_all_that_the_mesh_reaches() -> None:
    assert allowed({**LISTED, "peers/phone.toml": phone()}) == {
        "hub": {"10.0.0.0/24", "192.168.7.0/24", "192.168.8.0/24"}
    }
    narrow = phone(export_routes='["192.168.7.0/24", "10.0.0.2/32"]')
    assert allowed({**LISTED, "peers/phone.toml": narrow}) == {"hub": {"192.168.7.0/24", "10.0.0.2/32"}}
    wide = phone(export_routes='["192.168.0.0/16"]')
    assert allowed({**LISTED, "peers/phone.toml": wide}) == {"hub": {"192.168.0.0/16"}}, "holds for subnets to come"


def test_no_node_sees_it() -> None:
    files = {**LISTED, "peers/phone.toml": phone()}
    cut = {**LISTED, "peers/phone.toml": phone(export_routes='["192.168.7.0/24"]', dns='["10.0.0.1"]')}
    assert [allowed(files, name) for name in ("hub", "home")] == [allowed(cut, name) for name in ("hub", "home")]


def test_with_a_tunnel_to_each_peer_a_route_is_where_it_lies() -> None:
    routes = '["10.0.0.0/25", "192.168.7.128/25", "192.168.8.0/24"]'
    files = {**LISTED, "peers/phone.toml": phone(None, export_routes=routes)}
    assert allowed(files) == {"hub": {"10.0.0.1/32"}, "home": {"10.0.0.2/32", "192.168.7.128/25", "192.168.8.0/24"}}
    exit_ = {"peers/exit.toml": peer(3, subnets=BOTH)}
    routes = '["10.0.0.0/24", "192.168.7.128/25", "203.0.113.0/24"]'
    mine = {"peers/phone.toml": phone(None, export_routes=routes, exit='"exit"')}
    assert allowed({**LISTED, **exit_, **mine}) == {
        "hub": {"10.0.0.1/32"}, "home": {"10.0.0.2/32", "192.168.7.128/25"}, "exit": {"10.0.0.3/32", "203.0.113.0/24"},
    }  # fmt: skip


def test_with_an_exit_the_routes_say_what_leaves_by_it() -> None:
    hub = {"peers/hub.toml": peer(1, subnets=BOTH)}
    mine = phone(export_routes='["10.0.0.0/24", "0.0.0.0/1", "128.0.0.0/1"]', exit='"hub"', dns='["192.0.2.53"]')
    files = {**LISTED, **hub, "peers/phone.toml": mine}
    assert allowed(files) == {"hub": {"10.0.0.0/24", "0.0.0.0/1", "128.0.0.0/1"}}
    assert [line for line in findings(files) if "phone" in line] == []


# -- what `check` says

FINE = {
    "both keys": phone(dns='["10.0.0.2", "home.example"]', export_routes='["10.0.0.0/24", "192.168.7.0/25"]'),
    "a network around those of the mesh": phone(export_routes='["192.168.0.0/16"]', dns='["192.168.7.1"]'),
    "as much as a phone needs": phone(dns='["10.0.0.1"]', export_routes='["10.0.0.0/24"]'),
    "a nameserver behind the mesh": phone(dns='["192.168.8.53"]'),
}


@pytest.mark.parametrize("text", FINE.values(), ids=FINE)
def test_what_is_in_order(text: str) -> None:
    assert findings({**LISTED, "peers/phone.toml": text}) == []


PHONE = "peers/phone.toml"
SAID = {
    "no default route without an exit": (
        phone(export_routes='["0.0.0.0/0"]'),
        f'{PHONE}:export_routes[0]: 0.0.0.0/0 is a default route, and phone uses no exit: name one, exit = "PEER"',
    ),
    "nor in pieces": (
        phone(export_routes='["128.0.0.0/1"]'),
        f'{PHONE}:export_routes[0]: 128.0.0.0/1 is a default route, and phone uses no exit: name one, exit = "PEER"',
    ),
    "a network that is nowhere": (
        phone(export_routes='["10.0.0.0/24", "192.168.9.0/24"]'),
        f"{PHONE}:export_routes[1]: 192.168.9.0/24 is neither the mesh's own nor behind a peer",
    ),
    "its own network": (
        phone(subnets='["192.168.40.0/24"]', export_routes='["10.0.0.0/24", "192.168.40.0/24"]'),
        f"{PHONE}:export_routes[1]: 192.168.40.0/24 is neither the mesh's own nor behind a peer",
    ),
    "a route for a version that the mesh has not": (
        phone(export_routes='["10.0.0.0/24", "fd00::/64"]'),
        f"{PHONE}:export_routes[1]: fd00::/64 is neither the mesh's own nor behind a peer",
    ),
    "domains only": (
        phone(dns='["home.example"]'),
        f"{PHONE}:dns: has no address of a nameserver: WireGuard's apps and wg-quick take search domains only beside "
        "one",
    ),
    "a nameserver past the routes": (
        phone(dns='["192.168.7.1"]', export_routes='["10.0.0.0/24"]'),
        f"{PHONE}:dns[0]: warning: 192.168.7.1 is not among the routes of phone, which asks it past the tunnel, or not "
        "at all",
    ),
    "a nameserver that is no peer": (
        phone(dns='["10.0.0.53"]'),
        f"{PHONE}:dns[0]: warning: no peer has the address 10.0.0.53",
    ),
}


@pytest.mark.parametrize(("text", "line"), SAID.values(), ids=SAID)
def test_check_says(text: str, line: str) -> None:
    assert findings({**LISTED, PHONE: text}) == [line]


def test_a_node_has_no_exported_config() -> None:
    found = findings({**LISTED, "peers/node.toml": peer(5, dns='["10.0.0.1"]', export_routes='["10.0.0.0/24"]')})
    assert found == [
        "peers/node.toml:dns: is for exported configs (managed = false); "
        "a node learns peers' names by [dns] in its node.toml",
        "peers/node.toml:export_routes: is for exported configs (managed = false); "
        "a node reaches all that the list says",
    ]


@pytest.mark.parametrize("text", ["1.1.1", "1.1.1.1/32", "Home.example", "a..b", "", "::ffff:1.1.1.1", "x" * 64])
def test_what_is_no_nameserver(text: str) -> None:
    [said] = findings({**LISTED, PHONE: phone(dns=f'["10.0.0.1", "{text}"]')})
    assert said.startswith(f"{PHONE}:dns[1]: ")


def test_a_peer_that_is_off_at_the_moment_makes_no_route_wrong() -> None:
    """Or a list that was right would be refused from the day on which a peer expires."""
    off = peer(2, subnets='["192.168.7.0/24"]', expires="2025-01-01")
    files = {**LISTED, "peers/home.toml": off, PHONE: phone(export_routes='["192.168.7.0/24"]', dns='["10.0.0.2"]')}
    [said] = findings(files)
    assert "dns[0]: warning: 10.0.0.2 is not among the routes" in said


def test_routes_that_never_leave_by_the_exit_are_a_warning() -> None:
    hub = {"peers/hub.toml": peer(1, subnets=BOTH)}
    [said] = findings({**LISTED, **hub, PHONE: phone(exit='"hub"', export_routes='["10.0.0.0/24"]')})
    assert said.startswith(f"{PHONE}:export_routes: warning: hold nothing that leaves by the exit hub")
    by_all = {"mesh.toml": 'exit = "hub"\n' + MESH, PHONE: phone(export_routes='["10.0.0.0/24"]')}
    assert findings({**LISTED, **hub, **by_all}) == [], "the mesh's exit, which it is spared"


def test_a_client_that_leaves_by_an_exit_needs_a_nameserver_that_answers_there() -> None:
    hub = {"peers/hub.toml": peer(1, subnets=BOTH)}
    said = [
        f"{PHONE}:dns: warning: what phone asks the nameserver of its own network goes to hub, where it may get no "
        'answer: name one that answers, dns = ["IP"]'
    ]
    assert findings({**LISTED, **hub, PHONE: phone(exit='"hub"')}) == said
    assert findings({**LISTED, **hub, PHONE: phone(), "mesh.toml": 'exit = "hub"\n' + MESH}) == said
    for spared in ('exit = "hub"\ndns = ["192.0.2.53"]', 'exit = "hub"\nexport_routes = ["203.0.113.0/24"]'):
        assert findings({**LISTED, **hub, PHONE: phone() + spared}) == []


def test_an_expectation_knows_what_the_routes_leave_out() -> None:
    expect = '[[expect]]\nfrom = "{}"\nto = "{}"\nreachable = {}\n'
    mine = {PHONE: phone(export_routes='["192.168.7.0/24", "10.0.0.1/32"]')}
    for source, to, reachable in (
        ("phone", "hub", True), ("phone", "192.168.7.5", True), ("phone", "192.168.8.5", False),
        ("phone", "home", False), ("home", "phone", False), ("hub", "phone", True),
    ):  # fmt: skip
        right, wrong = (
            findings({**LISTED, **mine, "mesh.toml": MESH + expect.format(source, to, str(word).lower())})
            for word in (reachable, not reachable)
        )
        assert (right, len(wrong)) == ([], 1), (source, to)


# -- the commands


@pytest.fixture
def listed(operator: Operator) -> Operator:
    operator.add("phone", "--unmanaged", "--via", "aws", "--address", "10.0.0.9").fine()
    return operator


def test_peer_set_writes_them_and_export_has_them_in_every_form(listed: Operator, tmp_path: Path) -> None:
    routes = ("--export-route", "10.0.0.0/24", "--export-route", "192.168.10.0/25")
    listed.peer("set", "phone", "--dns", "10.0.0.1", "--dns", "home.example", *routes).fine()
    text = listed.file("phone")
    assert 'dns = ["10.0.0.1", "home.example"]\nexport_routes = ["10.0.0.0/24", "192.168.10.0/25"]\n' in text
    config = mesh_sync("export", "phone", "-C", listed.place).fine()
    assert "DNS = 10.0.0.1, home.example\n" in config
    assert "AllowedIPs = 10.0.0.0/24, 192.168.10.0/25\n" in config
    assert mesh_sync("render", listed.place, "--node", "phone").fine() == config
    mesh_sync("render", listed.place, "--all", "-o", tmp_path / "all").fine()
    assert (tmp_path / "all/phone.conf").read_text() == config
    before = mesh_sync("export", "phone", "-C", listed.place, "--qr").fine()
    shown = json.loads(listed.peer("show", "phone", "--json").fine())
    assert shown["dns"] == ["10.0.0.1", "home.example"]
    assert shown["talks_to"][0]["allowed_ips"] == ["10.0.0.0/24", "192.168.10.0/25"]
    assert "exported dns:         10.0.0.1, home.example\n" in listed.peer("show", "phone").fine()
    listed.peer("set", "phone", "--unset", "dns", "--unset", "export-routes").fine()
    assert mesh_sync("export", "phone", "-C", listed.place, "--qr").fine() != before
    assert "DNS" not in mesh_sync("export", "phone", "-C", listed.place).fine()


def test_nothing_that_leads_nowhere_is_written(listed: Operator) -> None:
    ended = listed.peer("set", "phone", "--export-route", "172.16.0.0/12")
    assert ended.code == 1
    assert "172.16.0.0/12 is neither the mesh's own nor behind a peer" in ended.err
    assert "export_routes" not in listed.file("phone")


def test_plan_says_whose_config_has_to_be_exported_again(listed: Operator) -> None:
    listed.git.git.add("--all")
    listed.peer("set", "phone", "--dns", "10.0.0.1", "--commit").fine()
    listed.peer("set", "phone", "--description", "x", "--commit").fine()
    planned = json.loads(mesh_sync("plan", "HEAD~1..HEAD", "-C", listed.place, "--json").fine())
    assert planned["nodes"] == {}, "a description is in no config"
    listed.peer("set", "phone", "--dns", "192.168.10.1", "--export-route", "192.168.10.0/24").fine()
    planned = json.loads(mesh_sync("plan", "HEAD", "-C", listed.place, "--json").fine())["nodes"]
    assert set(planned) == {"phone"}, "no node changes"
    assert [change["text"] for change in planned["phone"]][-2:] == [
        "asks 192.168.10.1 for names (before: 10.0.0.1)",
        "does not follow the list: `mesh-sync export phone` makes its new config",
    ]
