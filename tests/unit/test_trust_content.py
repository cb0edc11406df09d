"""What a commit may hold: plain files with plain names. What only git can hold beside them is refused."""

from __future__ import annotations

import base64
import shlex

import pytest

from unit.judging_node import SignedMesh, accepts, back, findings, refused

NAME = "has a name that no file of a mesh repository can have"
LABEL = "is not a lower-case DNS label (a-z, 0-9, -, at most 63)"


@pytest.fixture
def mesh(signed: SignedMesh) -> SignedMesh:
    return signed


def sh(mesh: SignedMesh, script: str, input: str | None = None) -> str:
    """What a shell script prints in the working copy."""
    return mesh.operator.run(["sh", "-ec", f"cd {mesh.work}\n{script}"], input=input).stdout.strip()


def errors(count: int) -> str:
    return f"has {count} error{'s' * (count > 1)}"


def pushed(mesh: SignedMesh, top: str) -> str:
    """Push a commit of the tree that a script prints, signed by the admin; return it."""
    script = f"top=$({top})\ngit -c gpg.format=ssh -c user.signingKey={mesh.home}/signers/{mesh.signer} "
    commit = sh(mesh, script + 'commit-tree -S -p HEAD -m crafted "$top"')
    mesh.publish(commit, force=True)
    return commit


def crafted(mesh: SignedMesh, mode: str, kind: str, thing: str, name: str) -> str:
    """Push a commit whose `peers` has one entry more, of any mode and under any name; return it."""
    entry = shlex.quote(f"{mode} {kind} {thing}\t{name}")
    return pushed(
        mesh,
        f"""git ls-tree HEAD:peers >.git/entries; printf '%s\\n' {entry} >>.git/entries
        peers=$(git mktree --missing <.git/entries)
        git ls-tree HEAD | sed "s/ tree [0-9a-f]*\\tpeers/ tree $peers\\tpeers/" | git mktree""",
    )


def blob(mesh: SignedMesh, text: str) -> str:
    return sh(mesh, "git hash-object -w --stdin", input=text)


def peer_c() -> str:
    public = base64.b64encode(b"c" * 32).decode()
    return f'public_key = "{public}"\naddresses = ["10.0.0.99"]\n'


@pytest.mark.parametrize(
    ("mode", "kind", "name", "line"),
    [
        ("120000", "blob", "c.toml", "peers/c.toml:: is a symbolic link; replace it with a plain file"),
        ("160000", "commit", "c.toml", "peers/c.toml:: is a submodule; a mesh repository holds plain files"),
        ("160000", "commit", "lib", "peers/lib:: is a submodule; a mesh repository holds plain files"),
        (
            "100644",
            "blob",
            "\x1b[2J.toml",
            f"peers/\\x1b[2J.toml:: {NAME}",
        ),
        ("100644", "blob", "A.toml", f"peers/A.toml:: the peer name 'A' {LABEL}"),
        ("100644", "blob", "x" * 300 + ".toml", f"peers/{'x' * 191}...:: the peer name '{'x' * 77}...' {LABEL}"),
    ],
    ids=["symlink", "submodule", "submodule beside", "escape", "case", "300 characters"],
)
def test_what_is_no_plain_file_with_a_plain_name(mesh: SignedMesh, mode: str, kind: str, name: str, line: str) -> None:
    thing = mesh.git("rev-parse", "HEAD") if kind == "commit" else blob(mesh, peer_c())
    lines = [line] + (["peers/a.toml:: differs from peers/A.toml only in case"] if name == "A.toml" else [])
    commit = crafted(mesh, mode, kind, thing, name)
    assert findings(mesh, commit) == lines
    assert refused(mesh, commit) == f"commit {commit[:10]} {errors(len(lines))}"
    accepts(back(mesh))


OUTSIDE = {"..": "contains '..'", ".git": "contains '.git'", ".": "contains '.'"}


@pytest.mark.parametrize(("name", "what"), OUTSIDE.items())
def test_names_that_would_leave_the_repository(mesh: SignedMesh, name: str, what: str) -> None:
    commit = crafted(mesh, "100644", "blob", blob(mesh, peer_c()), name)
    tree = mesh.git("rev-parse", f"{commit}:peers")
    assert findings(mesh, commit) == [f".:: {what} (git object {tree[:10]})"]
    assert refused(mesh, commit) == f"{mesh.url} sends objects that are no sound git history"


def test_a_path_as_a_name(mesh: SignedMesh) -> None:
    """`git mktree` does not make it; the bytes of a tree can hold it all the same."""
    commit = pushed(
        mesh,
        f"""blob={blob(mesh, peer_c())}
        bytes=$(printf %s "$blob" | sed 's/../\\\\x&/g')
        bash -c "printf '100644 ../x.toml\\0$bytes'" >.git/raw
        peers=$(git hash-object -t tree -w --literally .git/raw)
        git ls-tree HEAD | sed "s/ tree [0-9a-f]*\\tpeers/ tree $peers\\tpeers/" | git mktree""",
    )
    tree = mesh.git("rev-parse", f"{commit}:peers")
    assert findings(mesh, commit) == [f".:: contains full pathnames (git object {tree[:10]})"]


@pytest.mark.parametrize("name", [".GIT", "git~1", ".g\u200cit"])
def test_other_spellings_of_git(mesh: SignedMesh, name: str) -> None:
    """git's own check of what it is sent refuses them; a directory of that name could carry hooks and settings."""
    bad = pushed(
        mesh,
        f"""blob=$(printf '[core]\\n\\tfsmonitor = x\\n' | git hash-object -w --stdin)
        inner=$(printf '100644 blob %s\\tconfig\\n' $blob | git mktree)
        {{ git ls-tree HEAD; printf '040000 tree %s\\t%s\\n' $inner {shlex.quote(name)}; }} | git mktree""",
    )
    assert "no sound git history" in refused(mesh, bad)
    accepts(back(mesh))


DRIVER = "makes git run a program; remove it"
MODULE = '[submodule "x"]\n\tpath = x\n\turl = https://git.example.org/x.git\n'
SETTINGS = "configures git; a mesh repository must not contain it"
REFUSED = {
    "submodules": (".gitmodules", MODULE, SETTINGS),
    "submodules below": ("docs/.GitModules", "[submodule]\n\tupdate = !touch owned\n", SETTINGS),
    "LFS settings": (".lfsconfig", '[lfs]\n\turl = "ext::touch owned"\n', SETTINGS),
    "an include": (".gitconfig", "[include]\n\tpath = /etc/mesh-sync/private.key\n", SETTINGS),
    "a filter": (".gitattributes", "# x\n*.toml filter=evil\n", f"'filter=evil' {DRIVER}"),
    "a diff driver": ("peers/.gitattributes", "* diff=evil\n", f"'diff=evil' {DRIVER}"),
    "a merge driver": (".gitattributes", "* -text merge=evil", f"'merge=evil' {DRIVER}"),
    "an LFS pointer": (
        "peers/c.toml",
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 100\n",
        "is not valid TOML: Expected '=' after a key in a key/value pair (at line 1, column 9)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("path", "text", "message"), REFUSED.values(), ids=REFUSED)
def test_files_that_git_would_take_for_settings(mesh: SignedMesh, path: str, text: str, message: str) -> None:
    """An admin has signed them, and they are refused all the same."""
    mesh.edit(path, text)
    bad = mesh.push()
    [found] = findings(mesh, bad)
    assert found.startswith(f"{path}:")
    assert found.endswith(f": {message}")
    assert refused(mesh, bad) == f"commit {bad[:10]} has 1 error"
    accepts(back(mesh))
