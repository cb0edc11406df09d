"""`mesh-sync doctor`: nothing is wrong with a healthy node; each fault is found, and the advised command mends it."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from lab import Lab, Node
from lab.mesh import Mesh, now
from lab.ping import first_answer
from lab.waiting import LONG

pytestmark = pytest.mark.e2e


@pytest.fixture
def a(mesh: Mesh) -> Iterator[Node]:
    """Node a, well; and so it is left."""
    node = mesh.nodes["a"]
    yield node
    assert examined(node, exit_code=0)["result"] == "ok"


def examined(node: Node, *, exit_code: int) -> dict[str, Any]:
    done = node.run(["mesh-sync", "doctor", "--json"], check=False, timeout=90)
    assert done.returncode == exit_code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def troubles(node: Node, *, exit_code: int) -> dict[str, dict[str, Any]]:
    """What is wrong, by code."""
    found = examined(node, exit_code=exit_code)
    return {trouble["code"]: trouble for check in found["checks"] for trouble in check["troubles"]}


def facts(node: Node, check: str) -> str:
    [found] = (one for one in examined(node, exit_code=0)["checks"] if one["name"] == check)
    return "; ".join(found["facts"]) or str(found["skipped"])


def test_a_healthy_node_has_nothing_wrong_and_says_what_was_looked_at(a: Node) -> None:
    done = a.run(["mesh-sync", "doctor"])
    lines = done.stdout.splitlines()
    assert lines[-1] == "nothing wrong was found"
    assert "\x1b" not in done.stdout
    names = {line[8:].partition(":")[0] for line in lines[:-1]}
    assert names == {check["name"] for check in examined(a, exit_code=0)["checks"]}
    assert "203.0.113.53 by eth0 answers in" in done.stdout
    assert "packets of 1,420 bytes reach 1 of 1 peers" in done.stdout
    assert "git://" in done.stdout
    assert "1 of 1 peers have a session" in done.stdout
    for program in ("wireguard-tools", "iproute2", "git version", "nftables"):
        assert program in facts(a, "programs")


def test_a_key_file_that_others_can_read(a: Node) -> None:
    a.run(["chmod", "644", "/etc/mesh-sync/private.key"])
    found = troubles(a, exit_code=1)
    assert list(found) == ["key-open"]
    a.run(["sh", "-ec", found["key-open"]["fix"].partition(";")[0]])


def test_a_nameserver_that_is_silent_and_all_that_are(a: Node, lab: Lab) -> None:
    a.set_resolvers("203.0.113.66", lab.dns.address)
    found = troubles(a, exit_code=0)
    assert list(found) == ["resolver"]
    assert "203.0.113.66" in found["resolver"]["text"]
    a.set_resolvers("203.0.113.66")
    found = troubles(a, exit_code=1)
    assert found["resolver"]["severity"] == "error"
    a.set_resolvers(lab.dns.address)


def test_a_git_host_that_is_gone_and_all_that_are(mesh: Mesh, a: Node) -> None:
    gone = "git://203.0.113.99:9/mesh"
    mesh.configure(a, repository={"urls": [gone, mesh.url], "deadline": 4})
    found = troubles(a, exit_code=0)
    assert list(found) == ["git-host"]
    assert found["git-host"]["fix"] == f"GIT_TERMINAL_PROMPT=0 git ls-remote {gone} main"
    mesh.configure(a, repository={"urls": [gone], "deadline": 4})
    assert troubles(a, exit_code=1)["git-host"]["severity"] == "error"
    mesh.configure(a, repository={"urls": [mesh.url]})


def test_an_interface_that_is_gone_and_one_that_has_drifted(a: Node) -> None:
    a.run(["mesh-sync", "down"])
    found = troubles(a, exit_code=1)
    assert found["interface"]["fix"] == "mesh-sync up"
    a.run(["sh", "-ec", found["interface"]["fix"]])
    first_answer(a, "10.0.0.22")
    a.ip("route delete 10.0.0.0/24 dev wg0")
    found = troubles(a, exit_code=0)
    assert list(found) == ["drift"]
    a.run(["sh", "-ec", found["drift"]["fix"]])


def test_a_lan_with_the_addresses_of_the_mesh(a: Node) -> None:
    a.ip("link add lan0 type bridge", "link set lan0 up", "address add 10.0.0.99/24 dev lan0")
    found = troubles(a, exit_code=1)
    assert list(found) == ["shadowed"]
    a.run(["sh", "-ec", found["shadowed"]["fix"].rpartition(": ")[2]])
    assert "shadowed" not in troubles(a, exit_code=0)
    a.ip("route delete 10.0.0.22/32 dev wg0 metric 0", "link delete lan0")


def test_a_firewall_that_drops_what_a_gateway_forwards(mesh: Mesh, a: Node) -> None:
    mesh.configure(a, gateway={}, confirm={"deadline": 0})
    mesh.set("a", subnets=["192.168.77.0/24"])
    mesh.push("a routes for a LAN")
    mesh.now()
    a.run(["iptables-nft", "-P", "FORWARD", "DROP"])
    found = troubles(a, exit_code=1)
    assert {"forward-dropped"} <= set(found) <= {"forward-dropped", "drift"}
    a.run(["sh", "-ec", found["forward-dropped"]["fix"].partition(";")[0]])
    assert "nothing drops what is forwarded" in facts(a, "forwarding")
    a.run(["iptables-nft", "-P", "FORWARD", "ACCEPT"])
    mesh.configure(a, gateway=None)
    mesh.set("a", subnets=None)
    mesh.push("a routes for no LAN")
    mesh.now()


def test_a_path_that_loses_large_packets(a: Node) -> None:
    a.nft("""table ip small {
        chain out { type filter hook output priority 0
            udp dport 51820 meta length > 1400 drop
        }
    }""")
    found = troubles(a, exit_code=1)
    assert list(found) == ["mtu"]
    a.run(["sh", "-ec", found["mtu"]["fix"].partition(";")[0]])
    assert "mtu" not in troubles(a, exit_code=0)
    a.nft("delete table ip small")
    now(a)


def test_other_programs_that_claim_the_interface(a: Node) -> None:
    network, unit = (
        "/etc/systemd/network/99-wg.network",
        "/etc/systemd/system/multi-user.target.wants/wg-quick@wg0.service",
    )
    a.run(["mkdir", "-p", "/etc/systemd/network", "/etc/systemd/system/multi-user.target.wants"])
    a.run(["sh", "-ec", f"printf '[Match]\\nName=wg*\\n' >{network}; ln -s /dev/null {unit}"])
    found = troubles(a, exit_code=0)
    assert set(found) == {"networkd", "wg-quick"}
    for code in ("networkd", "wg-quick"):
        a.run(["sh", "-ec", found[code]["fix"]])
    a.run(["rm", network + ".off"])


def test_a_network_manager_that_manages_the_interface(a: Node) -> None:
    program = a.path("/run/programs/nmcli")
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nprintf 'eth0:connected\\nwg0:connected\\n'\n")
    program.chmod(0o755)
    path = a.run(["sh", "-c", "echo $PATH"]).stdout.strip()
    done = a.run(["mesh-sync", "doctor"], env={"PATH": f"/run/programs:{path}"}, check=False)
    assert done.returncode == 1
    assert "nmcli device set wg0 managed no" in done.stdout


def test_no_way_out(a: Node) -> None:
    """2001:db8::/64 is on link here, and what stands for the whole IPv6 internet."""
    routes = ["default via 203.0.113.1 dev eth0", "default via 2001:db8::1 dev eth0", "2001:db8::/64 dev eth0"]
    a.ip(*(f"route delete {route}" for route in routes))
    assert "no-uplink" in troubles(a, exit_code=1)
    a.ip(*(f"route add {route}" for route in reversed(routes)))


def test_a_clock_that_nothing_keeps_right_where_peers_expire(mesh: Mesh, a: Node) -> None:
    done = a.run(["faketime", "2020-01-01 00:00:00", "mesh-sync", "doctor", "--json"], check=False)
    assert done.returncode == 1
    [found] = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "clock")
    assert [trouble["code"] for trouble in found["troubles"]] == ["clock-behind"]


def test_before_anything_is_applied_and_without_root_it_says_what_it_did_not_look_at(mesh: Mesh, lab: Lab) -> None:
    fresh = mesh.node("c", 23)
    found = {check["name"]: check for check in examined(fresh, exit_code=0)["checks"]}
    assert found["routes"]["skipped"] == "nothing is applied yet: mesh-sync now"
    assert found["git hosts"]["result"] == "ok"
    mesh.remove("c")
    mesh.nodes.pop("c")


def test_without_root_it_says_what_it_did_not_look_at(a: Node) -> None:
    a.run(["sh", "-ec", "cp /etc/mesh-sync/node.toml /run/node.toml; chmod 644 /run/node.toml"])
    argv = ["setpriv", "--reuid=65534", "--clear-groups", "mesh-sync", "doctor", "--json", "--config", "/run/node.toml"]
    done = a.run(argv, check=False)
    found = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert found["interface"]["skipped"] == found["private key"]["skipped"] == "only root can check this"
    assert found["resolvers"]["result"] == "ok"


def test_ctrl_c_ends_it_at_once(a: Node, lab: Lab) -> None:
    a.set_resolvers("203.0.113.66")
    running = a.popen(["mesh-sync", "doctor"], stderr=subprocess.PIPE)
    assert running.stdout
    running.stdout.readline()
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=LONG) == 130
    a.set_resolvers(lab.dns.address)
