"""Without git, DNS or a memory, the mesh comes up by what the node knows itself."""

from __future__ import annotations

import pytest

from e2e.failing_git_host import GIT, ask, down, no_git_no_dns, reaches, sentence
from lab import Lab, Node
from lab.mesh import Mesh, dump, now, now_json
from lab.snapshot import conf_of

pytestmark = pytest.mark.e2e


def test_a_node_that_never_had_a_list_says_the_same_and_makes_nothing(lab: Lab, mesh: Mesh) -> None:
    new = lab.node("new", "203.0.113.99")
    mesh.configure(new, name="new", repository={"urls": [GIT], "deadline": 3})
    with down(lab):
        assert sentence(now(new, exit_code=3)) == f"{GIT} refuses the connection"
    assert "wg0" not in new.run(["ip", "-brief", "link"]).stdout
    assert not new.path("/etc/wireguard/wg0.conf").exists()


@pytest.mark.parametrize("command", ["up", "now"])
def test_after_a_reboot_without_git_and_dns_the_mesh_is_up(lab: Lab, mesh: Mesh, a: Node, command: str) -> None:
    ask(mesh, a, GIT)
    written = conf_of(a)
    with no_git_no_dns(lab):
        for node in mesh.nodes.values():
            node.reboot()
            done = node.run(["mesh-sync", command], check=False)
            assert done.returncode == (0 if command == "up" else 3), done.stderr
            assert "gets its last known endpoint, 203.0.113." in done.stdout
        assert reaches(a, "10.0.0.22")
        assert conf_of(a) == written
    found = now_json(a)
    assert (found["result"], found["changes"]) == ("in-sync", [])


def test_a_node_that_lost_its_memory_learns_endpoints_from_the_device(lab: Lab, mesh: Mesh, a: Node) -> None:
    a.run(["rm", "/var/lib/mesh-sync/wg0/state.json"])
    assert now_json(a)["result"] == "in-sync"
    with no_git_no_dns(lab):
        a.reboot()
        assert "gets its last known endpoint, 203.0.113.22:51820" in a.run(["mesh-sync", "up"]).stdout
        assert reaches(a, "10.0.0.22")


def test_an_endpoint_from_memory_gives_way_to_what_dns_says_when_it_is_back(lab: Lab, mesh: Mesh, a: Node) -> None:
    b = next(key for key in dump(a) if key)
    mesh.nodes["b"].port.unplug()
    try:
        with no_git_no_dns(lab):
            a.reboot()
            a.run(["mesh-sync", "up"])
            assert dump(a)[b]["endpoint"] == "203.0.113.22:51820"
            a.reboot()
            a.run(["mesh-sync", "up"])
            assert dump(a)[b]["endpoint"] == "203.0.113.22:51820", "it is remembered for more than one reboot"
        lab.dns.set("b.example", "203.0.113.77")
        now(a)
        assert dump(a)[b]["endpoint"] == "203.0.113.77:51820"
    finally:
        lab.dns.set("b.example", "203.0.113.22")
        mesh.nodes["b"].port.plug()
