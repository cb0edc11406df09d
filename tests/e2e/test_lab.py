"""The lab keeps what its README promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab, Node, reachability, reference_mesh, steady_ping, tarpit
from lab.nat import HARD
from lab.traced import Traced
from lab.tree import LabError
from lab.waiting import eventually

pytestmark = pytest.mark.e2e


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


def reaches(host: Node, address: str) -> bool:
    return reachability([(host, address)], deadline=1)[host.name, address]


def tunnel(node: Node, address: str) -> str:
    """Make wg0 with a fresh key; return the public one."""
    node.add_wireguard("wg0")
    node.run(["sh", "-c", "umask 077; wg genkey >/run/key; wg set wg0 private-key /run/key listen-port 51820"])
    node.ip(f"address add {address}/24 dev wg0", "link set wg0 up")
    return node.run(["wg", "show", "wg0", "public-key"]).stdout.strip()


def introduce(node: Node, key: str, address: str, endpoint: str | None) -> None:
    where = ["endpoint", endpoint] if endpoint else []
    node.run(["wg", "set", "wg0", "peer", key, "allowed-ips", f"{address}/32", *where])


# -- hosts


def test_hosts_on_the_internet_reach_each_other_in_both_families(lab: Lab) -> None:
    a = lab.node("a", "203.0.113.5", "2001:db8::5")
    b = lab.node("b", "203.0.113.6", "2001:db8::6")
    assert reaches(a, "203.0.113.6")
    assert reaches(b, "2001:db8::5")


def test_a_renumbered_host_is_found_at_its_new_address_only(lab: Lab) -> None:
    a, b = lab.node("a", "203.0.113.5"), lab.node("b", "203.0.113.6", "2001:db8::6")
    b.renumber("203.0.113.77")
    assert reaches(a, "203.0.113.77")
    assert not reaches(a, "203.0.113.6")
    assert "2001:db8::6" in b.run(["ip", "address"]).stdout


def test_a_cable_can_be_pulled_and_a_family_be_swallowed(lab: Lab) -> None:
    a, b = lab.node("a", "203.0.113.5", "2001:db8::5"), lab.node("b", "203.0.113.6", "2001:db8::6")
    b.port.block("ipv4")
    assert not reaches(a, "203.0.113.6")
    assert reaches(a, "2001:db8::6")
    b.port.unblock("ipv4")
    assert reaches(a, "203.0.113.6")
    b.port.unplug()
    assert "NO-CARRIER" in b.run(["ip", "link", "show", "eth0"]).stdout
    assert not reaches(a, "203.0.113.6")
    b.port.plug()
    assert eventually(lambda: reaches(a, "203.0.113.6"))


def test_a_reboot_keeps_the_disk_and_nothing_else(lab: Lab) -> None:
    a, b = lab.node("a", "203.0.113.5"), lab.node("b", "203.0.113.6")
    b.path("/etc/mesh-sync/node.toml").write_text("kept")
    b.path("/run/forgotten").write_text("")
    b.add_wireguard("wg0")
    sleep = b.popen(["sleep", "1000"])
    b.reboot()
    assert sleep.poll() is not None
    assert b.run(["cat", "/etc/mesh-sync/node.toml"]).stdout == "kept"
    assert not b.path("/run/forgotten").exists()
    assert "wg0" not in b.run(["ip", "link"]).stdout
    assert reaches(a, "203.0.113.6")


def test_a_program_that_takes_too_long_is_ended(lab: Lab) -> None:
    a = lab.node("a", "203.0.113.5")
    with pytest.raises(subprocess.TimeoutExpired):
        a.run(["sleep", "1000"], timeout=0.3)
    assert eventually(lambda: "sleep" not in a.run(["ps", "ax"]).stdout)


def test_a_signal_reaches_the_program_and_all_it_started(lab: Lab) -> None:
    a = lab.node("a", "203.0.113.5")
    program = a.popen(["sh", "-c", "sleep 1000; true"])
    program.send_signal(signal.SIGSTOP)
    outside = Path(f"/proc/{program.pid}/stat")
    eventually(lambda: ") T " in outside.read_text(), 3)  # nsenter stops too, mostly, a moment after its child
    program.send_signal(signal.SIGCONT)
    program.terminate()
    assert program.wait(timeout=5) == -signal.SIGTERM
    assert eventually(lambda: "sleep" not in a.run(["ps", "ax"]).stdout)


def test_a_steady_ping_counts_what_a_disturbance_costs(lab: Lab) -> None:
    a, b = lab.node("a", "203.0.113.5"), lab.node("b", "203.0.113.6")
    with steady_ping(a, "203.0.113.6") as calm:
        time.sleep(0.5)
    assert calm.lost == 0
    assert calm.sent > 20
    with steady_ping(a, "203.0.113.6") as disturbed:
        time.sleep(0.2)
        b.port.block("ipv4")
        time.sleep(0.2)
        b.port.unblock("ipv4")
        time.sleep(0.2)
    assert disturbed.longest_gap == disturbed.lost > 5
    assert 0.2 < disturbed.longest_silence < 0.6


def test_a_tarpit_accepts_and_says_nothing(lab: Lab) -> None:
    a, b = lab.node("a", "203.0.113.5"), lab.node("b", "203.0.113.6")
    tarpit(b, 443)
    a.run(["bash", "-c", "exec 3<>/dev/tcp/203.0.113.6/443; ! read -t 0.5 -u 3"])


def test_a_program_is_seen_by_whatever_path_it_is_called_and_with_its_environment(lab: Lab, tmp_path: Path) -> None:
    a, traced = lab.node("a", "203.0.113.5"), Traced(tmp_path)
    script = "sh -c '/usr/bin/env true secret' & wait; cd /usr/bin; PASSED=on ./true; sleep 1000 >/dev/null 2>&1 &"
    assert traced.run(a, ["sh", "-c", f"{script} echo done"]) == "done\n"
    calls = list(traced.calls())
    assert {call[0] for call in calls if b"secret" in call} >= {b"/usr/bin/env", b"/usr/bin/true"}
    [call] = [call for call in calls if call[0] == b"./true"]
    assert call[1] == b"./true"
    assert b"PASSED=on" in call


# -- sites


def test_gateways_talk_through_nat_and_forwarded_ports(lab: Lab) -> None:
    aws = lab.site("aws", "192.168.10.0/24", "203.0.113.11", "2001:db8::11")
    azure = lab.site("azure", "192.168.20.0/24", "203.0.113.12", "2001:db8::12", port=None)
    key, other = tunnel(aws.gateway, "10.0.0.1"), tunnel(azure.gateway, "10.0.0.2")
    introduce(aws.gateway, other, "10.0.0.2", None)
    introduce(azure.gateway, key, "10.0.0.1", "203.0.113.11:51820")
    assert reaches(azure.gateway, "10.0.0.1")
    assert "203.0.113.12:51820" in aws.gateway.run(["wg", "show", "wg0", "endpoints"]).stdout
    introduce(azure.gateway, key, "10.0.0.1", "[2001:db8::11]:51820")
    assert reaches(azure.gateway, "10.0.0.1")
    assert "[2001:db8::12]:51820" in aws.gateway.run(["wg", "show", "wg0", "endpoints"]).stdout

    azure.router.renumber("203.0.113.22", "2001:db8::22")
    assert reaches(azure.gateway, "10.0.0.1")
    assert "[2001:db8::22]:51820" in aws.gateway.run(["wg", "show", "wg0", "endpoints"]).stdout


def test_a_symmetric_nat_changes_the_port(lab: Lab) -> None:
    a = lab.node("a", "203.0.113.5")
    home = lab.site("home", "192.168.10.0/24", "203.0.113.11", nat=HARD)
    key, other = tunnel(a, "10.0.0.1"), tunnel(home.gateway, "10.0.0.2")
    introduce(a, other, "10.0.0.2", None)
    introduce(home.gateway, key, "10.0.0.1", "203.0.113.5:51820")
    assert reaches(home.gateway, "10.0.0.1")
    endpoint = a.run(["wg", "show", "wg0", "endpoints"]).stdout.split()[1]
    assert endpoint.startswith("203.0.113.11:")
    assert endpoint != "203.0.113.11:51820"


def test_a_lan_host_leaves_only_through_its_gateway(lab: Lab) -> None:
    home = lab.site("home", "192.168.10.0/24", "203.0.113.11")
    lab.node("a", "203.0.113.5")
    assert not reaches(home.host, "203.0.113.5")
    home.gateway.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    assert reaches(home.host, "203.0.113.5")


def test_the_reference_mesh_resolves_and_its_routers_meet(lab: Lab) -> None:
    sites = reference_mesh(lab)
    assert list(sites) == ["aws", "azure", "gcp", "aliyun"]
    pairs = [(site.gateway, f"{other}.com") for site in sites.values() for other in sites]
    assert all(reachability(pairs).values())


# -- the lab itself


def test_nothing_is_left_of_a_lab_whose_owner_is_killed() -> None:
    program = """
import lab, signal
l = lab.Lab()
n = l.node("a", "203.0.113.5")
n.add_wireguard()
n.popen(["sleep", "1000"])
l.git
l.dns.freeze()
print(l.capsule.pid, n.tree.pid, l.directory, flush=True)
signal.pause()
"""
    tests = Path(__file__).parents[1]
    owner = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(tests)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    capsule, node, directory = owner.stdout.readline().split()
    assert Path(f"/proc/{node}").exists()
    owner.send_signal(signal.SIGKILL)
    owner.communicate(timeout=10)
    assert eventually(lambda: not Path(f"/proc/{capsule}").exists())
    assert eventually(lambda: directory not in all_command_lines())
    assert not Path(f"/proc/{node}").exists()
    assert not Path(directory).exists()


def all_command_lines() -> str:
    return subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout


def test_a_failure_says_what_the_program_said(lab: Lab) -> None:
    a = lab.node("a", "203.0.113.5")
    with pytest.raises(subprocess.CalledProcessError) as failure:
        a.run(["ls", "/nowhere"])
    assert "on a: ls: cannot access '/nowhere'" in failure.value.__notes__[0]
    with pytest.raises(LabError, match="File exists"):
        a.port.segment.plug("a", a.tree)
