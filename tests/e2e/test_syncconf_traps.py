"""What `wg syncconf` would do to a mesh if it were used as it comes: facts 1 to 7, each shown not to happen."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Lab, steady_ping
from lab.githost import NAME as GIT_NAME
from lab.logged import LoggedPrograms
from lab.mesh import WORK, Mesh, dump, key_of, now, now_json, status, stranger
from lab.network import DEAD_RESOLVER
from lab.node import Node
from lab.ping import first_answer

pytestmark = pytest.mark.e2e

SOON = 30
"""Seconds, on a busy machine; `wg syncconf` would take 72 for each name that nobody answers for (fact 2)."""

STATE = "/var/lib/mesh-sync/wg0/state.json"


@pytest.fixture
def mesh() -> Iterator[Mesh]:
    with Lab() as lab:
        yield Mesh(lab)


def pair(mesh: Mesh, exit_: str | None = None, **of_b: Any) -> tuple[Node, Node]:
    """Two nodes whose tunnel is up, the first of which may have an exit."""
    a, b = mesh.node("a", 11, exit=exit_), mesh.node("b", 12, **of_b)
    mesh.push()
    mesh.now()
    first_answer(b, "10.0.0.11")
    return a, b


def roamed_pair(mesh: Mesh) -> tuple[Node, Node]:
    """The same, b behind a router that then got another address, of which DNS knows nothing."""
    site = mesh.lab.site("b", "192.168.20.0/24", "203.0.113.12")
    mesh.lab.dns.set("b.example", "203.0.113.12")
    a = mesh.node("a", 11)
    b = mesh.enlist("b", site.gateway, address="10.0.0.12", endpoint="b.example:51820")
    mesh.push()
    mesh.now()
    assert dump(a)[key_of(b)]["endpoint"] == "203.0.113.12:51820"
    site.router.renumber("203.0.113.77")
    first_answer(b, "10.0.0.11")
    assert dump(a)[key_of(b)]["endpoint"] == "203.0.113.77:51820"
    return a, b


def seconds_of_now(node: Node) -> tuple[float, dict[str, Any]]:
    begin = time.monotonic()
    found = now_json(node)
    return time.monotonic() - begin, found


# -- 1: syncconf sets every endpoint that its file names


def test_a_roamed_endpoint_survives_an_unrelated_commit(mesh: Mesh) -> None:
    a, b = roamed_pair(mesh)
    added = stranger(mesh, "c", 13, endpoint="203.0.113.13:51820")
    mesh.push()
    with steady_ping(a, "10.0.0.12") as loss:
        found = now_json(a)
    assert [change["kind"] for change in found["changes"]] == ["peer-added"]
    assert dump(a)[added]["endpoint"] == "203.0.113.13:51820"
    assert dump(a)[key_of(b)]["endpoint"] == "203.0.113.77:51820"
    assert loss.lost == 0
    [seen] = [peer for peer in status(a)["peers"] if peer["name"] == "b"]
    assert seen["endpoint_source"] == "roamed"


def test_a_roamed_endpoint_survives_a_change_of_that_very_peer(mesh: Mesh) -> None:
    a, b = roamed_pair(mesh)
    mesh.set("b", subnets=["192.168.20.0/24"], endpoint="203.0.113.12:51820")
    mesh.push()
    now(a)
    assert dump(a)[key_of(b)]["allowed_ips"] == "10.0.0.12/32,192.168.20.0/24"
    assert dump(a)[key_of(b)]["endpoint"] == "203.0.113.77:51820"


# -- 2: syncconf resolves one name after the other, and gives up whole


def test_a_name_that_does_not_exist_delays_only_its_own_peer(mesh: Mesh) -> None:
    a, b = pair(mesh)
    bad = stranger(mesh, "bad", 13, endpoint="nowhere.example:51820")
    good = stranger(mesh, "good", 14, endpoint="good.example:51820")
    mesh.lab.dns.set("good.example", "203.0.113.14")
    a.set_resolvers(DEAD_RESOLVER, mesh.lab.dns.address)
    mesh.push()
    with steady_ping(a, "10.0.0.12") as loss:
        took, found = seconds_of_now(a)
    assert took < SOON
    assert loss.lost == 0
    live = dump(a)
    assert live[good]["endpoint"] == "203.0.113.14:51820"
    assert live[bad]["endpoint"] == "(none)"
    assert live[bad]["allowed_ips"] == "10.0.0.13/32"
    assert live[key_of(b)]["endpoint"] == "203.0.113.12:51820"
    assert "peer bad has no endpoint yet: nowhere.example: the name does not exist" in found["message"]

    mesh.lab.dns.set("nowhere.example", "203.0.113.13")
    found = now_json(a)
    assert [(change["kind"], change["peer"]) for change in found["changes"]] == [("endpoint", "bad")]
    assert dump(a)[bad]["endpoint"] == "203.0.113.13:51820"


def test_peers_with_literal_endpoints_come_up_while_no_resolver_answers() -> None:
    with Lab() as lab:
        mesh = Mesh(lab, url=lab.git.daemon_url.replace(GIT_NAME, "203.0.113.10"))
        a, b = mesh.node("a", 11), mesh.node("b", 12, endpoint="203.0.113.12:51820")
        mesh.push()
        mesh.now()
        first_answer(b, "10.0.0.11")
        named = [stranger(mesh, f"named{number}", number, endpoint=f"n{number}.example:51820") for number in (21, 22)]
        literal = stranger(mesh, "literal", 23, endpoint="203.0.113.23:51820")
        a.set_resolvers(DEAD_RESOLVER)
        mesh.push()
        with steady_ping(a, "10.0.0.12") as loss:
            took, found = seconds_of_now(a)
        assert took < SOON
        assert loss.lost == 0
        assert found["result"] == "applied"
        assert "peer named21 has no endpoint yet: n21.example: " in found["message"]
        live = dump(a)
        assert live[literal]["endpoint"] == "203.0.113.23:51820"
        assert live[key_of(b)]["endpoint"] == "203.0.113.12:51820"
        assert [live[key]["endpoint"] for key in named] == ["(none)", "(none)"]
        took, _ = seconds_of_now(a)
        assert took < SOON


# -- 3: without its line, the port is another one on every run, and the mark is gone

APPLY_100_TIMES = """
import subprocess, sys
from pathlib import Path
from mesh_sync.node.config import load
from mesh_sync.reconcile.up_down import bring_up

node = load(Path("/etc/mesh-sync/node.toml"))
for number in range(100):
    subprocess.run(["wg", "set", "wg0", "peer", sys.argv[1], "persistent-keepalive", str(100 + number)], check=True)
    assert [change.kind for change in bring_up(node, lambda text: None).changes] == ["keepalive"]
"""


def test_port_and_mark_are_the_same_after_100_applies(mesh: Mesh) -> None:
    a, b = pair(mesh, "b", subnets=["0.0.0.0/0"])
    before = dump(a)
    assert (before[""]["port"], before[""]["fwmark"]) == ("51820", "0xca6c")
    a.run([sys.executable, "-c", APPLY_100_TIMES, key_of(b)], timeout=240)
    assert dump(a)[""] == before[""]
    assert dump(a)[key_of(b)]["keepalive"] == before[key_of(b)]["keepalive"]
    first_answer(a, "10.0.0.12")


# -- 4: a file without a peer removes all of them


def nothing_at_all(mesh: Mesh) -> None:
    mesh.operator.run(["git", "-C", WORK, "rm", "-rqf", "."])


def no_peers_folder(mesh: Mesh) -> None:
    mesh.operator.run(["git", "-C", WORK, "rm", "-rqf", "peers"])


def no_mesh_toml(mesh: Mesh) -> None:
    mesh.operator.run(["git", "-C", WORK, "rm", "-qf", "mesh.toml"])


def half_a_mesh_toml(mesh: Mesh) -> None:
    mesh.edit("mesh.toml", 'format = 1\nname = "lab"\nnetworks = ["10.0')


def empty_files(mesh: Mesh) -> None:
    for path in ("mesh.toml", "peers/a.toml", "peers/b.toml"):
        mesh.edit(path, "")


def everybody_disabled(mesh: Mesh) -> None:
    for name in ("a", "b"):
        mesh.set(name, enabled=False)


def test_no_broken_list_removes_the_peers(mesh: Mesh) -> None:
    a, b = pair(mesh)
    mesh.operator.run(["git", "-C", WORK, "tag", "good"])
    before = dump(a)[key_of(b)]["allowed_ips"]
    conf = a.path("/etc/wireguard/wg0.conf").read_bytes()
    for break_it in (
        nothing_at_all,
        no_peers_folder,
        no_mesh_toml,
        half_a_mesh_toml,
        empty_files,
        everybody_disabled,
    ):
        break_it(mesh)
        mesh.push()
        now(a, exit_code=4)
        assert dump(a)[key_of(b)]["allowed_ips"] == before, break_it.__name__
        assert a.path("/etc/wireguard/wg0.conf").read_bytes() == conf, break_it.__name__
        mesh.operator.run(["git", "-C", WORK, "checkout", "-qf", "good", "--", "."])
    mesh.push()
    now(a)
    first_answer(a, "10.0.0.12")


@pytest.mark.parametrize("content", ["", '{"version": 1, "wanted": {"pe', None], ids=["empty", "half", "gone"])
def test_no_broken_state_removes_the_peers(mesh: Mesh, content: str | None) -> None:
    a, b = pair(mesh)
    state = a.path(STATE)
    state.unlink()
    if content is not None:
        state.write_text(content)
    mesh.lab.git.kill()
    with steady_ping(a, "10.0.0.12") as loss:
        now(a, exit_code=3)
        mesh.lab.git.start()
        now(a)
    assert loss.lost == 0
    assert dump(a)[key_of(b)]["allowed_ips"] == "10.0.0.12/32"


def test_a_mesh_of_one_has_no_peers(mesh: Mesh) -> None:
    a, _ = pair(mesh)
    mesh.remove("b")
    mesh.push("b leaves\n\nMesh-Allow: empty-list")
    now(a)
    assert set(dump(a)) == {""}
    assert "in sync" in now(a).stdout


# -- 5: the old wg neither clears a preshared key or a keepalive, nor ever unsets an endpoint


def test_a_preshared_key_that_somebody_set_is_really_gone(mesh: Mesh) -> None:
    a, b = pair(mesh)
    a.run(["sh", "-c", f"wg genpsk >/run/psk; wg set wg0 peer {key_of(b)} preshared-key /run/psk"])
    assert dump(a)[key_of(b)]["psk"] != "(none)"
    found = now_json(a)
    assert [change["kind"] for change in found["changes"]] == ["preshared-key"]
    assert dump(a)[key_of(b)]["psk"] == "(none)"
    psk = a.path("/run/psk").read_text().strip()
    assert psk not in str(found)


def test_a_keepalive_that_the_list_no_longer_has_is_really_gone(mesh: Mesh) -> None:
    a, b = mesh.node("a", 11, endpoint="203.0.113.11:51820", persistent_keepalive=15), mesh.node("b", 12)
    mesh.push()
    mesh.now()
    assert dump(a)[key_of(b)]["keepalive"] == "15"
    mesh.set("a", persistent_keepalive=None)
    mesh.push()
    now(a)
    assert dump(a)[key_of(b)]["keepalive"] == "off"
    assert now_json(a)["changes"] == []


def test_a_removed_endpoint_stays_with_a_live_peer_and_leaves_a_stale_one(mesh: Mesh) -> None:
    a, b = pair(mesh)
    stale = stranger(mesh, "stale", 13, endpoint="203.0.113.13:51820")
    mesh.push()
    now(a)
    for name in ("b", "stale"):
        mesh.set(name, endpoint=None)
    mesh.push("nobody has an endpoint\n\nMesh-Allow: all-endpoints")
    with steady_ping(a, "10.0.0.12") as loss:
        found = now_json(a)
    assert loss.lost == 0
    assert [(change["kind"], change["peer"]) for change in found["changes"]] == [("endpoint-removed", "stale")]
    live = dump(a)
    assert live[stale]["endpoint"] == "(none)"
    assert live[stale]["allowed_ips"] == "10.0.0.13/32"
    assert live[key_of(b)]["endpoint"] == "203.0.113.12:51820"
    assert now_json(a)["changes"] == []

    b.port.unplug()
    forget_session(a, key_of(b))
    assert [change["kind"] for change in now_json(a)["changes"]] == ["endpoint-removed"]
    assert dump(a)[key_of(b)]["endpoint"] == "(none)"


def forget_session(node: Node, key: str) -> None:
    """What three silent minutes do: the peer as it was, without a session that could carry anything."""
    peer = dump(node)[key]
    node.run(["wg", "set", "wg0", "peer", key, "remove"])
    keepalive = ["persistent-keepalive", peer["keepalive"]]
    node.run(
        ["wg", "set", "wg0", "peer", key, "endpoint", peer["endpoint"], "allowed-ips", peer["allowed_ips"], *keepalive]
    )


# -- 6: syncconf never touches addresses, MTU and routes


def test_addresses_mtu_and_routes_follow_a_commit(mesh: Mesh) -> None:
    a, b = pair(mesh)
    mesh.set("a", addresses=["10.0.0.41"], mtu=1380)
    mesh.set("b", subnets=["192.168.20.0/24"])
    mesh.push()
    mesh.now("b", "a")
    link = a.run(["ip", "address", "show", "dev", "wg0"]).stdout
    assert "mtu 1380" in link
    assert "10.0.0.41/32" in link
    assert "10.0.0.11/32" not in link
    assert "192.168.20.0/24" in a.run(["ip", "route", "show", "dev", "wg0"]).stdout
    first_answer(b, "10.0.0.41")


# -- 7: `wg set` creates the peer it does not find


def test_wg_set_never_brings_a_removed_peer_back(mesh: Mesh, logged: LoggedPrograms) -> None:
    """Each change that needs `wg set` (port, preshared key, endpoint gone), in the commit that removes a peer."""
    a, b = pair(mesh)
    revoked = stranger(mesh, "revoked", 13, endpoint="203.0.113.13:51820")
    stale = stranger(mesh, "stale", 14, endpoint="203.0.113.14:51820")
    mesh.push()
    now(a)
    a.run(["sh", "-c", f"wg genpsk >/run/psk; wg set wg0 peer {key_of(b)} preshared-key /run/psk"])
    a.run(["wg", "set", "wg0", "peer", revoked, "preshared-key", "/run/psk"])
    mesh.remove("revoked")
    mesh.set("stale", endpoint=None)
    mesh.set("a", listen_port=51999)
    mesh.push()
    now(a, env=logged.env)
    calls = logged.calls()
    assert [call for call in calls if call.startswith("wg set") and stale in call]
    assert not [call for call in calls if revoked in call]
    assert set(dump(a)) == {"", key_of(b), stale}
    assert now_json(a)["changes"] == []
