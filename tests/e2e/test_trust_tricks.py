"""Ways around the signatures: another commit under the same name, and files by which git itself could be led."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.signed_mesh import accepts, back, refused, sh
from lab.mesh import WORK, Mesh, now, now_json, status
from lab.snapshot import untouched
from lab.tree import ENVIRONMENT

pytestmark = pytest.mark.e2e

OWNED = "/run/home/owned"
RUN = f"touch {OWNED}"


@pytest.fixture
def mesh(signed: Mesh) -> Iterator[Mesh]:
    """Whatever is tried, nothing of it is run."""
    yield signed
    for host in (signed.nodes["a"], signed.operator):
        assert not host.path(OWNED).exists()


def meanwhile(folder: Path, verb: str, *, before: str = "", after: str = "") -> dict[str, str]:
    """An environment in which git does something else around one of its commands."""
    fake, real = folder / "git", shutil.which("git", path=ENVIRONMENT["PATH"])
    fake.write_text(
        f'#!/bin/sh\ncase " $* " in *" {verb} "*) ;; *) exec {real} "$@" ;; esac\n'
        f'{before}\n{real} "$@"; code=$?\n{after}\nexit $code\n'
    )
    fake.chmod(0o755)
    return {"PATH": f"{folder}:{ENVIRONMENT['PATH']}"}


@pytest.fixture
def local(mesh: Mesh) -> str:
    """A remote on the node's own disk, so that it can change at any moment."""
    a, copy = mesh.nodes["a"], "/run/home/local.git"
    sh(a, f"rm -rf {copy}; git clone -q --bare {mesh.url} {copy}")
    return copy


def test_a_head_that_moves_to_something_bad_before_it_is_fetched(mesh: Mesh, local: str, tmp_path: Path) -> None:
    """What has come is what is verified and refused, and the commit that was asked for is accepted still."""
    a = mesh.nodes["a"]
    mesh.set("a", persistent_keepalive=13)
    good = mesh.push("good")
    mesh.sign_as(None)
    bad = mesh.push("bad")
    sh(a, f"git --git-dir {local} fetch -q {mesh.url} main; git --git-dir {local} update-ref refs/heads/main {good}")
    mesh.configure(a, repository={"urls": [local]})
    before = untouched(a)
    move = f"git --git-dir {local} update-ref refs/heads/main"
    done = now(a, exit_code=4, env=meanwhile(tmp_path, "fetch", before=f"/usr/bin/{move} {bad}"))
    assert done.stderr.startswith(f"mesh-sync: commit {bad[:10]} is not signed\n")
    assert (untouched(a), status(a)["refused_commits"]) == (before, [bad])
    sh(a, f"{move} {good}")
    found = now_json(a)
    assert (found["result"], found["commit"]) == ("applied", good)


def test_a_head_that_moves_to_something_bad_once_it_is_fetched(mesh: Mesh, local: str, tmp_path: Path) -> None:
    """Neither the remote's branch nor the name in the node's own copy is asked a second time."""
    a = mesh.nodes["a"]
    mesh.set("a", persistent_keepalive=14)
    good = mesh.push("good")
    mesh.sign_as(None)
    mesh.set("b", endpoint="203.0.113.66:6")
    bad = mesh.commit("bad")
    sh(a, f"git --git-dir {local} fetch -q {mesh.url} main:main")
    mesh.git("push", "-q", mesh.url, f"{bad}:refs/heads/bad")
    sh(a, f"git --git-dir {local} fetch -q {mesh.url} bad:bad")
    mesh.configure(a, repository={"urls": [local]})
    mine = "/var/lib/mesh-sync/wg0/repo.git"
    moves = f"git --git-dir {local} update-ref refs/heads/main {bad}; "
    moves += f"git --git-dir {mine} fetch -q {local} +bad:refs/mesh/candidate"
    env = meanwhile(tmp_path, "verify-commit", before=moves.replace("git --git", "/usr/bin/git --git"))
    found = now_json(a, env=env)
    assert (found["result"], found["commit"]) == ("applied", good)
    assert "203.0.113.66" not in a.path("/etc/wireguard/wg0.conf").read_text()
    assert refused(mesh, bad).endswith("is not signed")


NAMES = (
    "refs/tags/main", "refs/heads/refs/heads/main", "refs/remotes/origin/main", "refs/mesh/candidate",
    "refs/heads/--upload-pack=touch$IFS/run/home/owned", "refs/heads/main;touch", "refs/heads/$(id)", "refs/tags/HEAD",
)  # fmt: skip


def test_a_tag_or_branch_with_a_crafted_name(mesh: Mesh) -> None:
    """The node asks for `refs/heads/main` in full, and for nothing else; no other name ever reaches its disk."""
    a = mesh.nodes["a"]
    mesh.set("a", persistent_keepalive=15)
    good = mesh.push("good")
    mesh.sign_as(None)
    mesh.set("b", endpoint="203.0.113.66:6")
    bad = mesh.commit("bad")
    refs = " ".join(shlex.quote(f"{bad}:{name}") for name in NAMES)
    sh(mesh.operator, f"cd {WORK}; git push -q --force {mesh.url} {refs}")
    try:
        assert now_json(a)["commit"] == good
        found = sh(a, "git --git-dir /var/lib/mesh-sync/wg0/repo.git for-each-ref --format='%(refname)'")
        assert set(found.split()) <= {
            f"refs/mesh/{name}" for name in ("candidate", "applied", "trusted", "anchor", "verified")
        }
        assert sh(a, f"git --git-dir /var/lib/mesh-sync/wg0/repo.git cat-file -e {bad} && echo there || true") == ""
    finally:
        names = " ".join(shlex.quote(f":{name}") for name in NAMES)
        sh(mesh.operator, f"cd {WORK}; git push -q {mesh.url} {names}")


def test_replacements_on_the_remote(mesh: Mesh) -> None:
    """Replace refs would show a good commit in place of a bad one; they are neither fetched nor looked at."""
    a = mesh.nodes["a"]
    good = mesh.git("rev-parse", "HEAD")
    mesh.sign_as(None)
    bad = mesh.push("bad")
    name = f"refs/replace/{bad}"
    sh(mesh.operator, f"cd {WORK}; git push -q {mesh.url} {good}:{name}")
    assert refused(mesh, bad) == f"commit {bad[:10]} is not signed"
    mine = "git --git-dir /var/lib/mesh-sync/wg0/repo.git"
    sh(a, f"{mine} update-ref {name} {good}; mkdir -p /var/lib/mesh-sync/wg0/repo.git/info")
    a.path("/var/lib/mesh-sync/wg0/repo.git/info/grafts").write_text(f"{bad}\n")
    mesh.trust(a, "anna@example.org", first_commit=good)
    assert refused(mesh, bad) == f"commit {bad[:10]} is not signed"
    sh(mesh.operator, f"cd {WORK}; git push -q {mesh.url} :{name}")
    sh(a, f"{mine} update-ref -d {name}; rm /var/lib/mesh-sync/wg0/repo.git/info/grafts")
    accepts(back(mesh))


def test_files_that_git_would_take_for_settings(mesh: Mesh) -> None:
    """An admin has signed them, and they are refused all the same; root's settings name what they ask for."""
    a = mesh.nodes["a"]
    drivers = "filter.evil.smudge filter.evil.clean diff.evil.textconv diff.evil.command merge.evil.driver"
    sh(a, f"export HOME=/run/home; for name in {drivers}; do git config --global $name '{RUN}'; done")
    try:
        mesh.edit(".gitattributes", "*.toml filter=evil\n* diff=evil\n* -text merge=evil\n")
        mesh.edit(".gitmodules", f"[submodule]\n\tupdate = !{RUN}\n")
        bad = mesh.push()
        found = now_json(a, exit_code=4)
        assert (found["message"], status(a)["refused_commits"]) == (f"commit {bad[:10]} has 4 errors", [bad])
        accepts(back(mesh))
    finally:
        a.path("/run/home/.gitconfig").unlink()


def test_what_git_never_looks_at(mesh: Mesh) -> None:
    """There is no work tree on a node: hooks, alternates and settings inside the tree are bytes like any other."""
    a = mesh.nodes["a"]
    for path in ("hooks/post-checkout", "hooks/pre-receive", "objects/info/alternates", "config", "info/attributes"):
        mesh.edit(path, f"#!/bin/sh\n{RUN}\n")
    sh(mesh.operator, f"chmod +x {WORK}/hooks/*")
    mesh.edit("info/grafts", "x\n")
    mesh.edit("refs/replace/x", "x\n")
    accepts(mesh)
    found = sh(a, "cd /var/lib/mesh-sync/wg0/repo.git; ls -A; cat config; ls hooks 2>/dev/null || true")
    assert "fsmonitor" not in found
    assert not a.path("/var/lib/mesh-sync/wg0/repo.git/objects/info/alternates").exists()


def test_an_address_that_is_an_option(mesh: Mesh) -> None:
    """Only root writes them; a slip is caught before git, or by git itself."""
    a = mesh.nodes["a"]
    for url in (f"--upload-pack={RUN}", f"ext::sh -c '{RUN}'", f"-u{RUN}", "ssh://-oProxyCommand=x/y"):
        mesh.configure(a, repository={"urls": [url], "deadline": 5})
        done = now(a, exit_code=3 if url.startswith("ssh:") else 2)
        assert "is not the address of a git repository" in done.stderr or "strange hostname" in done.stderr
    mesh.configure(a, repository={"urls": [mesh.url]})
    accepts(mesh)
