"""A commit that cuts the node off is rolled back: what was there before is back, and the commit is not tried again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from e2e.mesh_on_trial import DEADLINE, GIT_HOST, SHORT, cover, talking
from lab import Lab
from lab.mesh import Mesh, dump, key_of, now, now_json, status, stranger
from lab.node import Node
from lab.ping import first_answer
from lab.snapshot import conf_of, whole
from mesh_sync.wireguard import keys

pytestmark = pytest.mark.e2e


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    """a and b, up and talking; nobody stands behind c, whom they know."""
    with Lab() as lab:
        yield talking(lab, confirm=SHORT)


def covers_the_git_host(mesh: Mesh) -> None:
    cover(mesh, *GIT_HOST)


def covers_the_resolver(mesh: Mesh) -> None:
    cover(mesh, "203.0.113.53")


def changes_everything(mesh: Mesh) -> None:
    """Port, MTU, own address, a new peer, no c, and what covers the git host."""
    covers_the_git_host(mesh)
    mesh.set("a", addresses=["10.0.0.41"], listen_port=4444, mtu=1300, persistent_keepalive=7)
    mesh.set("b", subnets=["192.168.77.0/24"])
    stranger(mesh, "d", 14)


def loses_the_others(mesh: Mesh) -> None:
    mesh.remove("b")
    covers_the_git_host(mesh)


QUICK = 4
"""Seconds: enough where no tunnel has to be begun again."""
BAD = {covers_the_git_host: QUICK, covers_the_resolver: QUICK, changes_everything: DEADLINE, loses_the_others: DEADLINE}


@pytest.mark.parametrize(("spoil", "deadline"), BAD.items())
def test_what_cuts_the_node_off_is_undone_and_not_tried_again(
    mesh: Mesh, spoil: Callable[[Mesh], None], deadline: int
) -> None:
    a = mesh.nodes["a"]
    good, before = status(a)["commit"], whole(a)
    mesh.configure(a, confirm={"deadline": deadline})
    spoil(mesh)
    bad = mesh.push("bad")
    found = now_json(a, exit_code=5, timeout=90)
    assert (found["result"], found["commit"], found["remote_commit"]) == ("rolled-back", good, bad)
    assert found["message"].startswith(f"rolled back commit {bad[:10]}: no remote (git://")
    assert found["message"].endswith(f") answered within {deadline} s")
    assert whole(a) == before
    told = status(a)
    assert (told["commit"], told["refused_commits"], told["drift"], told["trial"]) == (good, [bad], [], None)
    assert [past["ended"] for past in told["history"]] == ["confirmed", "rolled-back"]
    again = now_json(a, exit_code=5)
    assert (again["result"], again["changes"], again["commit"]) == ("rolled-back", [], good)
    first_answer(a, "10.0.0.12")


def test_an_undone_commit_is_tried_again_when_told_to_and_a_newer_one_always(mesh: Mesh) -> None:
    a = mesh.nodes["a"]
    before = whole(a)
    mesh.configure(a, confirm={"deadline": QUICK})
    covers_the_git_host(mesh)
    bad = mesh.push("bad")
    said = now(a, exit_code=5)
    assert "wg0 is back at commit" in said.stdout
    assert "push a newer commit, or try this one again: mesh-sync now --retry" in said.stderr
    assert f"rolled back commit {bad[:10]}: no remote" in a.run(["mesh-sync", "status"]).stdout

    assert now_json(a, "--retry", exit_code=5)["changes"] != []
    assert whole(a) == before
    a.run(["mesh-sync", "pause"])
    assert now_json(a, "--retry")["changes"] == []
    a.run(["mesh-sync", "resume"])
    assert status(a)["refused_commits"] == [bad]
    assert now_json(a, exit_code=5)["changes"] == []

    cover(mesh)
    mesh.set("c", subnets=["192.168.30.0/24"])
    good = mesh.push("good again")
    assert now_json(a)["result"] == "applied"
    told = status(a)
    assert (told["commit"], told["refused_commits"], told["bad_commit"]) == (good, [], None)


def test_a_commit_that_was_tried_in_vain_passes_with_retry_once_the_reason_is_gone(mesh: Mesh) -> None:
    """The network behind c is one through which git is reached; and then c is there."""
    a = mesh.nodes["a"]
    mesh.configure(a, confirm={"deadline": QUICK})
    covers_the_git_host(mesh)
    commit = mesh.push("not yet")
    now(a, exit_code=5)
    a.ip("route add 203.0.113.10/32 dev eth0 metric 1", "route add 2001:db8::10/128 dev eth0 metric 1")
    assert now_json(a, exit_code=5)["changes"] == []
    assert now_json(a, "--retry")["commit"] == commit
    assert status(a)["refused_commits"] == []


def test_an_exit_through_a_dead_peer_is_undone(mesh: Mesh) -> None:
    """A node at home reaches git by its default route alone."""
    home = mesh.lab.site("home", "192.168.10.0/24", "203.0.113.21").gateway
    mesh.enlist("home", home, address="10.0.0.21", endpoint="203.0.113.21:51820")
    mesh.configure(home, confirm={"deadline": QUICK})
    good = mesh.push("home")
    mesh.now()
    first_answer(home, "10.0.0.11")
    before = whole(home)
    mesh.set("c", subnets=["0.0.0.0/0", "::/0"])
    mesh.set("home", exit="c")
    mesh.push("an exit that is dead")
    assert now_json(home, exit_code=5)["commit"] == good
    assert whole(home) == before


def test_wrong_keys_for_everybody_are_undone(mesh: Mesh) -> None:
    a, b = mesh.nodes["a"], mesh.nodes["b"]
    d = mesh.node("d", 14)
    mesh.push("d")
    mesh.now()
    for node in (b, d):
        first_answer(node, "10.0.0.11")
    before, held = whole(a), set(dump(a))
    for name in ("b", "d"):
        mesh.set(name, public_key=keys.public_key(keys.generate()))
    bad = mesh.push("wrong keys")
    found = now_json(a, exit_code=5)
    assert f"rolled back commit {bad[:10]}: no peer that was alive before answered" in found["message"]
    assert set(dump(a)) == held == {"", key_of(b), key_of(d), *(held - {"", key_of(b), key_of(d)})}
    assert whole(a) == before
    assert status(a)["refused_commits"] == [bad]
    for node in (b, d):
        first_answer(node, "10.0.0.11")


def peers_of(node: Node) -> dict[str, tuple[str, str]]:
    return {key: (peer["endpoint"], peer["allowed_ips"]) for key, peer in dump(node).items() if key}


def test_all_but_a_private_key_that_is_gone_comes_back(mesh: Mesh) -> None:
    """The key file was replaced for the new commit, which makes a mistake as well."""
    a = mesh.nodes["a"]
    good, peers, network = status(a)["commit"], peers_of(a), whole(a)[1]
    mesh.configure(a, confirm={"deadline": QUICK})
    private = keys.generate()
    a.path("/etc/mesh-sync/private.key").write_text(private + "\n")
    mesh.set("a", public_key=keys.public_key(private))
    covers_the_git_host(mesh)
    bad = mesh.push("a new key, and a mistake\n\nMesh-Allow: re-key a")
    assert now_json(a, exit_code=5)["commit"] == good
    assert (peers_of(a), whole(a)[1]) == (peers, network)
    assert f"PrivateKey = {private}\n".encode() in conf_of(a)
    told = status(a)
    assert (told["refused_commits"], told["drift"], told["trial"]) == ([bad], [], None)
    a.reboot()
    a.run(["mesh-sync", "up"])
    cover(mesh)
    commit = mesh.push("mended")
    assert now_json(a)["commit"] == commit
    mesh.now("b")
    first_answer(a, "10.0.0.12")


def test_a_peer_that_roamed_comes_back_at_the_place_it_roamed_to(mesh: Mesh) -> None:
    """The name in the list still stands for where it was, and nobody is asked for it."""
    a, site = mesh.nodes["a"], mesh.lab.site("d", "192.168.20.0/24", "203.0.113.14")
    mesh.lab.dns.set("d.example", "203.0.113.14")
    d = mesh.enlist("d", site.gateway, address="10.0.0.14", endpoint="d.example:51820")
    mesh.push("d")
    mesh.now("a", "d")
    site.router.renumber("203.0.113.99")
    first_answer(d, "10.0.0.11")
    assert dump(a)[key_of(d)]["endpoint"] == "203.0.113.99:51820"
    before = whole(a)
    mesh.configure(a, confirm={"deadline": QUICK})
    mesh.remove("d")
    loses_the_others(mesh)
    mesh.push("bad")
    now(a, exit_code=5)
    assert dump(a)[key_of(d)]["endpoint"] == "203.0.113.99:51820"
    assert whole(a) == before
    first_answer(a, "10.0.0.14")
    assert now_json(a, exit_code=5)["changes"] == []


def test_what_others_had_put_there_and_the_commit_took_over_is_theirs_again(mesh: Mesh) -> None:
    """A peer that it lists, one whose allowed IPs it gives away, an address and a route."""
    a = mesh.nodes["a"]
    mesh.configure(a, confirm={"deadline": QUICK})
    listed, robbed = (keys.public_key(keys.generate()) for _ in range(2))
    hand = ["persistent-keepalive", "9", "endpoint", "203.0.113.77:7777", "allowed-ips"]
    a.run(["wg", "set", "wg0", "peer", listed, *hand, "10.77.0.1/32", "peer", robbed, "allowed-ips", "10.0.0.15/32"])
    a.ip("address add 10.0.0.41/32 dev wg0", "route add 192.168.77.0/24 dev wg0")
    before, foreign = whole(a), [change["text"] for change in now_json(a)["changes"]]
    assert len(foreign) == 2
    mesh.set(
        "d", public_key=listed, addresses=["10.0.0.14"], endpoint="203.0.113.14:51820", subnets=["192.168.77.0/24"]
    )
    stranger(mesh, "e", 15)
    mesh.set("a", addresses=["10.0.0.11", "10.0.0.41"])
    covers_the_git_host(mesh)
    mesh.push("takes over, and cuts off")
    assert now_json(a, exit_code=5)["result"] == "rolled-back"
    assert whole(a) == before
    assert [change["text"] for change in now_json(a, exit_code=5)["changes"]] == foreign


def test_a_first_commit_that_cuts_the_node_off_leaves_nothing_behind() -> None:
    with Lab() as lab:
        mesh = Mesh(lab)
        a = mesh.node("a", 11)
        hooks = {"post_up": ["nft add table inet own"], "pre_down": ["nft delete table inet own", "false"]}
        mesh.configure(a, confirm={"deadline": QUICK}, gateway={"masquerade": "eth0"}, hooks=hooks)
        stranger(mesh, "c", 13)
        covers_the_git_host(mesh)
        a.path("/etc/wireguard/wg0.conf").write_text("# somebody's own\n")
        bad = mesh.push("bad")
        found = now_json(a, exit_code=5)
        assert found["commit"] is None
        assert found["message"].endswith("; wg0 is gone again")
        assert a.run(["nft", "list", "ruleset"]).stdout == ""
        assert "wg0" not in a.run(["ip", "-brief", "link"]).stdout
        assert [file.name for file in a.path("/etc/wireguard").iterdir()] == ["wg0.conf"]
        assert a.path("/etc/wireguard/wg0.conf").read_text() == "# somebody's own\n"
        assert a.run(["sysctl", "-n", "net.ipv4.ip_forward"]).stdout == "0\n"
        assert status(a)["refused_commits"] == [bad]
        assert now_json(a, exit_code=5)["changes"] == []
        cover(mesh)
        mesh.push("good")
        assert now_json(a)["result"] == "applied"


def test_a_tunnel_that_was_there_before_mesh_sync_comes_back(mesh: Mesh) -> None:
    """Its first commit takes over what `wg-quick` made, and cuts the node off."""
    b = mesh.nodes["b"]
    private = keys.generate()
    e = mesh.lab.node("e", "203.0.113.15")
    mesh.enlist("e", e, address="10.0.0.15", endpoint="203.0.113.15:51820")
    mesh.configure(e, confirm={"deadline": QUICK})
    own = e.path("/etc/mesh-sync/private.key").read_text().strip()
    e.path("/etc/wireguard/wg0.conf").write_text(f"""[Interface]
PrivateKey = {own}
ListenPort = 4500
Address = 10.0.0.15/24
[Peer]
PublicKey = {key_of(b)}
AllowedIPs = 10.0.0.12/32
Endpoint = 203.0.113.12:51820
[Peer]
PublicKey = {keys.public_key(private)}
AllowedIPs = 10.0.0.77/32
""")
    mesh.push("e")
    mesh.now("b")
    e.run(["wg-quick", "up", "wg0"])
    first_answer(e, "10.0.0.12")
    before = whole(e)
    covers_the_git_host(mesh)
    mesh.push("bad")
    assert now_json(e, exit_code=5)["message"].endswith("; wg0 is as it was found")
    assert whole(e) == before
    first_answer(e, "10.0.0.12")
    cover(mesh)
    mesh.push("good")
    now(e)
    first_answer(e, "10.0.0.12")
