"""Who may do what on a node: root with the one capability of the units; operators' commands need none at all."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from lab import Host, Lab, reachability
from lab.mesh import WORK, Mesh
from mesh_sync.errors import ConfigError, DeviceError

UNIT = Path(__file__).parents[2] / "systemd/mesh-sync.service"
OTHERS = 0o077


def bounded(*capabilities: str) -> list[str]:
    """Run what follows as root with these capabilities and no way to get more."""
    given = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    return ["setpriv", f"--bounding-set={given}", "--inh-caps=-all", "--no-new-privs", "--"]


def of_the_unit() -> list[str]:
    [line] = re.findall(r"(?m)^CapabilityBoundingSet=(.*)$", UNIT.read_text())
    return [name.removeprefix("CAP_").lower() for name in line.split()]


@pytest.fixture(scope="module")
def mesh(lab: Lab) -> Mesh:
    mesh = Mesh(lab)
    for number, name in ((11, "aws"), (12, "gcp")):
        mesh.node(name, number)
    mesh.push()
    return mesh


def said(host: Host, *argv: str) -> subprocess.CompletedProcess[str]:
    done = host.run(argv, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def test_a_node_needs_only_what_its_unit_gives_it(mesh: Mesh) -> None:
    """The whole life of a node, and a gateway's forwarding, with the unit's capabilities."""
    assert of_the_unit() == ["net_admin"]
    mesh.set("aws", subnets=["192.168.10.0/24"])
    mesh.configure(mesh.nodes["aws"], gateway={"masquerade": "eth0"})
    mesh.push()
    for node in mesh.nodes.values():
        for words in (["now"], ["status"], ["down"], ["up"], ["now"]):
            done = said(node, *bounded(*of_the_unit()), "mesh-sync", *words)
            assert done.returncode == 0, done.stderr
        assert said(node, *bounded(*of_the_unit()), "mesh-watchdog", "once").returncode == 0
    assert all(reachability([(mesh.nodes["aws"], "10.0.0.12"), (mesh.nodes["gcp"], "10.0.0.11")]).values())


@pytest.mark.parametrize("words", [["now"], ["up"], ["down"]], ids=" ".join)
def test_without_it_the_interface_cannot_be_changed(mesh: Mesh, words: list[str]) -> None:
    node = mesh.nodes["gcp"]
    node.run(["mesh-sync", "now"])
    if words != ["down"]:
        node.run(["mesh-sync", "down"])
    done = said(node, *bounded(), "mesh-sync", *words)
    assert done.returncode == DeviceError.exit_code
    assert "CAP_NET_ADMIN" in done.stderr or "Operation not permitted" in done.stderr


def test_operators_commands_need_no_rights(mesh: Mesh) -> None:
    """They read and write files of the working copy, whoever owns it."""
    operator, work = mesh.operator, "/run/home/unprivileged"
    for words in (
        ["init", work, "--network", "10.0.0.0/24"],
        ["peer", "add", "aws", "-C", work, "--endpoint", "192.0.2.1:51820", "--new-key", f"{work}.key", "--commit"],
        ["check", work],
        ["peer", "list", "-C", work],
        ["render", work, "--node", "aws"],
        ["plan", "-C", work, "HEAD"],
        ["graph", work],
        ["export", "aws", "-C", work],
    ):  # fmt: skip
        done = said(operator, *bounded(), "mesh-sync", *words)
        assert done.returncode == 0, f"{words}: {done.stderr}"


@pytest.mark.parametrize("words", [["now"], ["status"], ["up"], ["down"]], ids=" ".join)
def test_who_may_not_read_the_nodes_settings_is_told_what_is_needed(mesh: Mesh, words: list[str]) -> None:
    node = mesh.nodes["aws"]
    settings = node.path("/etc/mesh-sync/node.toml")
    settings.chmod(0)
    try:
        done = said(node, *bounded(), "mesh-sync", *words)
    finally:
        settings.chmod(0o600)
    assert done.returncode == ConfigError.exit_code
    assert "run it as root" in done.stderr


def test_what_a_node_keeps_is_closed_to_everybody_else_whatever_the_umask(mesh: Mesh) -> None:
    node = mesh.nodes["aws"]
    mesh.configure(node, paths={"state": "/var/lib/mesh-sync/new/state", "run": "/run/new/run"})
    node.run(["sh", "-c", "umask 000; mesh-sync now; mesh-watchdog once"])
    mesh.configure(node, paths=None)
    roots = [node.path(place) for place in ("/var/lib/mesh-sync/new", "/run/new", "/etc/wireguard")]
    below = [path for root in roots for path in root.rglob("*") if "repo.git" not in path.parts]
    assert len(below) > len(roots)
    assert [path for path in (*roots, *below) if path.lstat().st_mode & OTHERS] == []
    assert {path.stat().st_uid for path in below} == {node.path("/run").stat().st_uid}


def test_the_work_of_an_operator_is_not_on_a_node(mesh: Mesh) -> None:
    """A node never has a working copy: nothing that a repository brings lies there as a file."""
    assert list(mesh.nodes["aws"].path("/var/lib/mesh-sync").rglob("*.toml")) == []
    assert mesh.operator.path(f"{WORK}/mesh.toml").exists()
