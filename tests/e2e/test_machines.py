"""A machine that lacks something: IPv6, a program, a device, the right to set sysctls. What can work works.

Each test has one node of a dual-stack mesh of its own state; the others are as they should be.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from lab import Lab, Node
from lab.mesh import Mesh, now, now_json, status
from lab.ping import first_answer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

PROGRAMS = "/usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin"
READ_ONLY = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Mesh:
    """a, as it should be; off, where IPv6 is switched off from the beginning; gate, a gateway; bare, not yet set up."""
    mesh = Mesh(lab, networks=["10.0.0.0/24", "fd00::/64"])
    for number, name in enumerate(("a", "off", "gate", "bare"), start=21):
        subnets = {"subnets": ["192.168.77.0/24"]} if name == "gate" else {}
        mesh.node(name, number, addresses=[f"10.0.0.{number}", f"fd00::{number}"], **subnets)
    mesh.push("four machines")
    mesh.configure(mesh.nodes["gate"], gateway={"masquerade": "eth0"})
    switch(mesh.nodes["off"], "all", 1)
    mesh.now("a", "off", "gate")
    return mesh


@pytest.fixture
def off(mesh: Mesh) -> Node:
    """A node with IPv6 switched off, in sync."""
    node = mesh.nodes["off"]
    switch(node, "all", 1)
    now(node)
    return node


def switch(node: Node, where: str, value: int) -> None:
    """Switch IPv6 off (1) or on (0)."""
    node.run(["sysctl", "-qw", f"net.ipv6.conf.{where}.disable_ipv6={value}"])


def codes(found: dict[str, list[dict[str, str]]]) -> list[str]:
    """Which troubles there are."""
    return [trouble["code"] for trouble in found["troubles"]]


def addresses(node: Node) -> set[str]:
    """Those of wg0, but for what the kernel gives it itself."""
    shown = json.loads(node.run(["ip", "-json", "address", "show", "dev", "wg0", "scope", "global"]).stdout)
    return {at["local"] for link in shown for at in link.get("addr_info", ()) if "local" in at}


# -- without IPv6


def test_without_ipv6_the_ipv4_tunnel_works_and_one_warning_says_so(off: Node) -> None:
    first_answer(off, "10.0.0.21")
    found = now_json(off)
    assert (found["result"], found["changes"], codes(found)) == ("in-sync", [], ["no-ipv6"])
    assert "fd00::22/128" in found["troubles"][0]["text"]
    shown = status(off)
    assert (shown["drift"], codes(shown)) == ([], ["no-ipv6"])
    assert now_json(off, "--dry-run")["changes"] == []
    assert off.run(["mesh-watchdog", "once"], check=False).returncode == 0
    assert {peer["state"] for peer in shown["peers"] if peer["name"] == "a"} == {"up"}


def test_when_ipv6_is_switched_on_what_was_missing_is_added_and_goes_again(off: Node) -> None:
    switch(off, "all", 0)
    assert {change["kind"] for change in now_json(off)["changes"]} == {"address-added", "route-added"}
    assert addresses(off) == {"10.0.0.22", "fd00::22"}
    first_answer(off, "fd00::21")
    found = now_json(off)
    assert (found["changes"], codes(found)) == ([], [])
    switch(off, "wg0", 1)  # on this interface alone
    found = now_json(off)
    assert (found["changes"], codes(found)) == ([], ["no-ipv6"])
    first_answer(off, "10.0.0.21")


def test_without_ipv6_an_interface_comes_up_anew(off: Node) -> None:
    off.run(["mesh-sync", "down"])
    assert status(off)["drift"]
    off.run(["mesh-sync", "up"])
    assert status(off)["drift"] == []
    assert addresses(off) == {"10.0.0.22"}
    first_answer(off, "10.0.0.21")


def test_what_the_kernel_refuses_loses_nothing_else(mesh: Mesh) -> None:
    """A loopback address is refused on any other device."""
    program = """
import sys
from pathlib import Path
from mesh_sync.wireguard import ip
lines = ["address replace ::1/128 dev wg0", "address replace 10.9.9.9/32 dev wg0", "route replace 10.9.9.0/24 dev wg0"]
print(*ip.each(lines), sep="\\n")
"""
    a = mesh.nodes["a"]
    refused = a.run([sys.executable, "-c", program]).stdout.splitlines()
    assert len(refused) == 1
    assert "address replace ::1/128 dev wg0" in refused[0]
    assert "10.9.9.9" in addresses(a)
    assert "10.9.9.0/24" in a.run(["ip", "route", "show", "dev", "wg0"]).stdout
    a.ip("address delete 10.9.9.9/32 dev wg0", "route delete 10.9.9.0/24 dev wg0")


# -- sysctls


def with_read_only_sysctls(node: Node, *argv: str) -> tuple[int, str]:
    """Run a command where /proc/sys is read-only, as in a container; return its exit status and what it said."""
    done = node.run(["unshare", "--mount", "sh", "-c", READ_ONLY + '"$@"', "sh", *argv], check=False)
    return done.returncode, done.stdout + done.stderr


def test_sysctls_that_are_right_need_not_be_set(mesh: Mesh) -> None:
    gate = mesh.nodes["gate"]
    gate.run(["mesh-sync", "down"])
    for path in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        gate.run(["sysctl", "-qw", f"{path}=1"])
    status_, said = with_read_only_sysctls(gate, "mesh-sync", "now")
    assert status_ == 0, said
    assert "forward" not in said
    first_answer(gate, "10.0.0.21")
    assert status(gate)["drift"] == []
    assert with_read_only_sysctls(gate, "mesh-sync", "down")[0] == 0


def test_a_sysctl_that_cannot_be_set_is_named_and_the_tunnel_works(mesh: Mesh) -> None:
    gate = mesh.nodes["gate"]
    gate.run(["mesh-sync", "down"])
    for path in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        gate.run(["sysctl", "-qw", f"{path}=0"])
    status_, said = with_read_only_sysctls(gate, "mesh-sync", "now")
    assert status_ == 0, said
    for path in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        assert f"sysctl -w {path}=1" in said
        assert f"--sysctl {path}=1" in said
    first_answer(gate, "10.0.0.21")
    drift = [change["kind"] for change in status(gate)["drift"]]
    assert drift == ["sysctl", "sysctl"]
    now(gate)
    assert status(gate)["drift"] == []
    gate.run(["mesh-sync", "down"])
    assert gate.run(["sysctl", "-n", "net.ipv4.ip_forward"]).stdout.strip() == "0"


# -- programs and devices


def without(node: Node, *programs: str) -> str:
    """A search path on which these programs are not."""
    place = node.path("/run/home") / "-".join(("without", *programs))
    place.mkdir(exist_ok=True)
    for folder in map(Path, [*PROGRAMS.split(), str(Path(sys.executable).parent)]):
        for program in folder.iterdir() if folder.is_dir() else ():
            if program.name not in programs and not (place / program.name).is_symlink():
                (place / program.name).symlink_to(program)
    return f"/run/home/{place.name}"


def now_on(path: str, node: Node) -> tuple[int, str]:
    """Run `mesh-sync now` with a search path; return its exit status and what it said."""
    done = node.run(["env", f"PATH={path}", "mesh-sync", "now"], check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("program", "package"), [("ip", "iproute2"), ("wg", "wireguard-tools"), ("nft", "nftables")])
def test_a_program_that_is_missing_is_named_with_its_package(mesh: Mesh, program: str, package: str) -> None:
    gate = mesh.nodes["gate"]
    gate.run(["mesh-sync", "down"])
    code, said = now_on(without(gate, program), gate)
    assert code == 6, said
    assert f"{program} is not installed" in said
    assert f"apk add {package}" in said
    now(gate)
    gate.run(["mesh-sync", "down"])


def test_without_the_rules_that_limit_it_nothing_is_forwarded(mesh: Mesh) -> None:
    gate = mesh.nodes["gate"]
    gate.run(["mesh-sync", "down"])
    gate.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"])
    now_on(without(gate, "nft"), gate)
    first_answer(gate, "10.0.0.21")
    assert gate.run(["sysctl", "-n", "net.ipv4.ip_forward"]).stdout.strip() == "0"
    now(gate)
    gate.run(["mesh-sync", "down"])


def test_the_ip_of_busybox_is_not_enough(mesh: Mesh) -> None:
    bare = mesh.nodes["bare"]
    path = without(bare, "ip")
    place = bare.path(path)
    (place / "ip").symlink_to("busybox")
    code, said = now_on(path, bare)
    assert code == 6, said
    assert "is not that of iproute2" in said
    assert "apk add iproute2" in said


def test_without_the_right_to_change_the_network_that_is_said(mesh: Mesh) -> None:
    bare = mesh.nodes["bare"]
    done = bare.run(["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-all", "mesh-sync", "now"], check=False)
    assert done.returncode == 6, done.stderr
    assert "--cap-add NET_ADMIN" in done.stderr


def test_what_makes_a_wireguard_interface_is_the_kernel_or_wireguard_go(mesh: Mesh) -> None:
    """Without wireguard-go the kernel's; without the kernel's, wireguard-go; without either both ways are named."""
    bare = mesh.nodes["bare"]
    code, said = now_on(without(bare, "wireguard-go"), bare)
    if bare.kernel_wireguard:
        assert code == 0, said
        kind = json.loads(bare.run(["ip", "-json", "-details", "link", "show", "wg0"]).stdout)[0]["linkinfo"]
        assert kind["info_kind"] == "wireguard"
    else:
        assert code == 6, said
        assert "this kernel has no WireGuard, and wireguard-go is not installed" in said
        assert "modprobe wireguard" in said
        assert "wg0" not in bare.run(["ip", "link"]).stdout
        now(bare)
    first_answer(bare, "10.0.0.21")
    bare.run(["mesh-sync", "down"])


def test_wireguard_go_without_its_device_is_told_so(mesh: Mesh) -> None:
    """The kernel's WireGuard needs none."""
    bare = mesh.nodes["bare"]
    hidden = 'mount -t tmpfs none /dev/net && exec "$@"'
    done = bare.run(["unshare", "--mount", "sh", "-c", hidden, "sh", "mesh-sync", "now"], check=False)
    if bare.kernel_wireguard:
        assert done.returncode == 0, done.stderr
        bare.run(["mesh-sync", "down"])
        return
    assert done.returncode == 6
    assert "modprobe tun" in done.stderr
    assert "--device /dev/net/tun" in done.stderr


def test_an_interface_that_goes_without_a_word_is_made_again(mesh: Mesh) -> None:
    """With wireguard-go it is the daemon that dies, and its socket stays behind."""
    bare = mesh.nodes["bare"]
    now(bare)
    if bare.kernel_wireguard:
        bare.ip("link delete wg0")
    else:
        bare.run(["sh", "-c", "kill -KILL $(pidof wireguard-go)"])
        assert bare.run(["test", "-S", "/run/wireguard/wg0.sock"]).returncode == 0
    now(bare)
    first_answer(bare, "10.0.0.21")
    bare.run(["mesh-sync", "down"])
