"""No private key, preshared key or mesh secret is ever where it does not belong, in any shape it can take."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.preshared_mesh import SECRET
from lab import Lab, Node
from lab.mesh import WORK, Mesh, dump
from lab.traced import Traced
from lab.tree import HOME

pytestmark = pytest.mark.e2e

ALLOWED = re.compile(
    r"/etc/mesh-sync/(private\.key|mesh\.secret)|/etc/wireguard/wg0\.conf|/var/lib/mesh-sync/wg0/(state\.json|mesh\.secret)|"
    + re.escape(SECRET)
)
"""The files that may hold one; each is closed to others."""
OPENED = Path(__file__).with_name("log_opened_files.py")
RUNS = (
    "now --verbose", "status", "status --json", "now --json", "now --dry-run --json", "down", "up", "check nowhere",
    "now --no-such-option", "-h",
)  # fmt: skip


class Life:
    """A mesh whose nodes have been through everything, and all that could be seen of it."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.lab = lab
        self.said: list[str] = []
        self.traced = Traced(directory)
        self.mesh = mesh = Mesh(lab)
        for number, name in enumerate("ab", start=21):
            mesh.node(name, number)
        self._secret("new", "--secret-file", SECRET)
        self._secret("retire", "--force")
        mesh.push("with preshared keys")
        for name in "ab":
            self._run(mesh.nodes[name], "now")
        self._join()
        for words in RUNS:
            self._run(mesh.nodes["a"], words)
        mesh.set("a", persistent_keepalive=7)
        mesh.push("changed")
        a = mesh.nodes["a"]
        self.said.append(self.traced.run(a, [sys.executable, str(OPENED), f"{HOME}/opened", "now"]))
        for words in ("once", "status", "status --json"):
            self._run(a, words, program="mesh-watchdog")
        a.path("/etc/mesh-sync/private.key").write_text(self.key("a")[:-3] + "!!=\n")
        self._run(a, "now")
        self._run(a, "up")
        a.path("/etc/mesh-sync/private.key").write_text(self.key("a") + "\n")
        self.calls = list(self.traced.calls())

    def key(self, name: str) -> str:
        node = self.mesh.nodes[name]
        return dump(node)[""]["private_key"]

    def _join(self) -> None:
        node = self.lab.node("c", "203.0.113.23")
        self.mesh.nodes["c"] = node
        words = f"join {self.mesh.url} --name c --endpoint 203.0.113.23:51820"
        for more in ("", " --trust none", " --yes"):
            self._run(node, words + more)
        self.mesh.operator.run(["git", "-C", WORK, "pull", "-q", self.mesh.url, "main"])
        self._secret("seal", "--secret-file", SECRET)
        self.mesh.push("c has the secret")
        self._run(node, "now")

    def _secret(self, *words: str) -> None:
        self._run(self.mesh.operator, f"secret {' '.join(words)} -C {WORK}")

    def _run(self, node: Node, words: str, program: str = "mesh-sync") -> None:
        self.said.append(self.traced.run(node, [program, *words.split()]))

    def secrets(self) -> Iterator[bytes]:
        """All of them, as 32 bytes."""
        for node in self.mesh.nodes.values():
            for key, shown in dump(node).items():
                yield base64.b64decode(shown["psk"] if key else shown["private_key"])
        for line in self.mesh.operator.path(SECRET).read_text().split():
            if len(raw := _decoded(line)) == 32:
                yield raw


def _decoded(word: str) -> bytes:
    try:
        return base64.b64decode(word.strip('"'), validate=True)
    except ValueError:
        return b""


def shapes(raw: bytes) -> set[bytes]:
    """The ways in which 32 bytes are written down; of base64 less the end, which a quotation may have cut."""
    return {raw, raw.hex().encode(), raw.hex().upper().encode(), *(
        encode(raw)[:40] for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.b32encode)
    ), repr(raw)[2:-1].encode()}  # fmt: skip


@pytest.fixture(scope="module")
def life(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Life:
    return Life(lab, tmp_path_factory.mktemp("life"))


@pytest.fixture(scope="module")
def known(life: Life) -> set[bytes]:
    found = {shape for raw in life.secrets() for shape in shapes(raw)}
    assert len(found) > 15, "two private keys, a preshared key and a mesh secret"
    return found


def test_no_program_is_told_one_in_its_arguments_or_environment(life: Life, known: set[bytes]) -> None:
    """Neither mesh-sync itself, nor any that it starts, nor those that these start."""
    started = {call[0].rpartition(b"/")[2] for call in life.calls}
    assert started >= {b"mesh-sync", b"mesh-watchdog", b"wg", b"ip", b"git"}, started
    assert any(word in call for call in life.calls for word in (b"syncconf", b"addconf"))
    assert [(call, word) for call in life.calls for word in call for one in known if one in word] == []


def test_none_is_ever_said(life: Life, known: set[bytes]) -> None:
    said = "\n".join(life.said).encode()
    assert b"wg0 is up" in said
    assert b'"peers"' in said
    assert [one for one in known if one in said] == []
    assert b"Traceback" not in said


def holding(place: Path, known: set[bytes]) -> Iterator[str]:
    """The files below with any of these, which have to be closed to others."""
    for file in place.rglob("*"):
        if file.is_file() and not file.is_symlink() and any(one in file.read_bytes() for one in known):
            assert file.stat().st_mode & 0o077 == 0, file
            yield f"/{file.relative_to(place)}"


def test_only_the_files_that_are_for_them_hold_any(life: Life, known: set[bytes]) -> None:
    nodes = list(life.mesh.nodes.values())
    disks = [host.directory for host in (*nodes, life.mesh.operator, life.lab.git.host)]
    holders = {path for place in disks for path in holding(place, known)}
    holders |= {f"/run{path}" for node in nodes for path in holding(node.path("/run"), known) if "/home/" not in path}
    assert {path for path in holders if not ALLOWED.fullmatch(path)} == set()
    assert "/etc/wireguard/wg0.conf" in holders


def test_files_are_closed_to_others_from_the_first_byte_whatever_the_umask(life: Life) -> None:
    lines = life.mesh.nodes["a"].path(f"{HOME}/opened").read_text().splitlines()
    made = [line for line in lines if "/dev/" not in line and "/proc/" not in line]
    assert any("wg0.conf" in line for line in made)
    assert any("state.json" in line for line in made)
    assert [line for line in made if not re.match("[0-7]00 ", line)] == []


def test_the_daemon_that_holds_the_keys_leaves_no_core_file(life: Life) -> None:
    a = life.mesh.nodes["a"]
    if a.kernel_wireguard:
        return
    limits = a.run(["sh", "-c", "cat /proc/$(pidof wireguard-go)/limits"]).stdout
    assert re.search(r"Max core file size +[01] +[01] ", limits), limits
