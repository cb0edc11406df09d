"""What a person or an attacker pushes: each function leaves a head in the operator's working copy."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from mesh_sync.trust.quota import MOST_COMMITS
from mesh_sync.wireguard import keys
from unit.git_host_and_node import MAIN, Both
from unit.judging_node import ADMIN, NODE_B, OTHER

STRANGER = "mallory@example.org"
Push = Callable[[Both], None]


def signed_by(who: str | None, path: str = "README.md", text: str = "changed\n") -> Push:
    def push(both: Both) -> None:
        both.mesh.sign_as(who)
        both.mesh.edit(path, text)
        both.mesh.commit()

    return push


def a_peer_more(both: Both) -> None:
    public = keys.public_key(keys.generate())
    both.mesh.set("c", public_key=public, addresses=["10.0.0.77"], endpoint="c.example:51820")
    both.mesh.commit()


def node_moves(both: Both) -> None:
    both.mesh.sign_as(NODE_B)
    both.mesh.set("b", endpoint="198.51.100.7:51820")
    both.mesh.commit()


def node_wants_more(both: Both) -> None:
    both.mesh.sign_as(NODE_B)
    both.mesh.set("b", subnets=["192.168.0.0/24"])
    both.mesh.commit()


def node_merges(both: Both) -> None:
    admin_merges(both, NODE_B)


def admin_merges(both: Both, signer: str = ADMIN) -> None:
    node_moves(both)
    both.git("branch", "side")
    both.git("reset", "-q", "--hard", "HEAD~1")
    both.mesh.sign_as(ADMIN)
    both.mesh.edit("README.md", "x\n")
    both.mesh.commit()
    both.mesh.sign_as(signer)
    both.mesh.git("merge", "-q", "--no-ff", "-m", "merge", "side")


def unsigned_below(both: Both) -> None:
    signed_by(None)(both)
    signed_by(ADMIN, text="more\n")(both)


def key_added_and_used(both: Both) -> None:
    both.mesh.edit("allowed_signers", "".join(map(both.mesh.line, (ADMIN, OTHER, NODE_B, STRANGER))))
    both.mesh.commit()
    signed_by(STRANGER)(both)


def like_a_node(both: Both) -> None:
    text = "".join(map(both.mesh.line, (ADMIN, OTHER, NODE_B))) + both.mesh.line(STRANGER).replace(
        STRANGER, "c@Node.lab"
    )
    both.mesh.edit("allowed_signers", text)
    both.mesh.commit()


def this_node_leaves(both: Both) -> None:
    both.mesh.remove("a")
    both.mesh.commit()


def this_node_leaves_as_meant(both: Both) -> None:
    both.mesh.remove("b")
    both.mesh.commit("as meant\n\nMesh-Allow: remove b\nMesh-Allow: empty-list")


def entry(mode: str, kind: str, name: str, folder: str = "") -> Push:
    """A commit with one more entry in the root or a directory, put there as bytes: git itself would not."""

    def push(both: Both) -> None:
        thing = both.git("rev-parse", "HEAD") if kind == "commit" else blob(both)
        at = f"HEAD:{folder}" if folder else "HEAD^{tree}"
        tree = both.git("rev-parse", at)
        raw = subprocess.run(
            ["git", "-C", both.mesh.work, "cat-file", "tree", tree], capture_output=True, check=True
        ).stdout
        added = f"{mode} {name}".encode() + b"\0" + bytes.fromhex(thing)
        made = written(both, "tree", raw + added if folder or name > "peers" else added + raw)
        if folder:
            listed = both.git("ls-tree", "HEAD").replace(f"tree {tree}", f"tree {made}")
            made = both.git("mktree", input=listed + "\n")
        signed_commit(both, made)

    return push


def blob(both: Both) -> str:
    return both.git("hash-object", "-w", "--stdin", input="text\n")


def written(both: Both, kind: str, content: bytes) -> str:
    words = ["git", "-C", both.mesh.work, "hash-object", "-t", kind, "-w", "--literally", "--stdin"]
    return subprocess.run(words, input=content, capture_output=True, check=True).stdout.decode().strip()


def signed_commit(both: Both, tree: str) -> None:
    commit = both.mesh.git("commit-tree", "-S", "-p", "HEAD", "-m", "crafted", tree)
    both.git("update-ref", "HEAD", commit)


def a_directory_called(name: str) -> Push:
    def push(both: Both) -> None:
        inner = both.git("mktree", input=f"100644 blob {blob(both)}\tconfig\n")
        listed = both.git("ls-tree", "HEAD") + f"\n040000 tree {inner}\t{name}\n"
        signed_commit(both, both.git("mktree", input=listed))

    return push


def entry_twice(both: Both) -> None:
    tree = both.git("rev-parse", "HEAD^{tree}")
    raw = subprocess.run(
        ["git", "-C", both.mesh.work, "cat-file", "tree", tree], capture_output=True, check=True
    ).stdout
    signed_commit(both, written(both, "tree", raw + raw))


def two_authors(both: Both) -> None:
    """A commit that git would not write, signed all the same: the check of what comes in finds it."""
    signed_by(ADMIN)(both)
    text = both.git("cat-file", "commit", "HEAD")
    head, _, rest = text.partition("\nauthor ")
    both.git("update-ref", "HEAD", written(both, "commit", f"{head}\nauthor x <x@y> 1 +0000\nauthor {rest}\n".encode()))


def attributes_that_hide(both: Both) -> None:
    """From `git archive` and from whoever checks it out, but not from a node."""
    both.mesh.edit(".gitattributes", "mesh.toml export-ignore\n*.toml working-tree-encoding=UTF-16 ident\n")
    both.mesh.edit("mesh.toml", "= 1 # $Id$\n")
    tree = both.git("rev-parse", "HEAD^{tree}")
    broken = both.git("hash-object", "-w", "--stdin", "--no-filters", input="= 1 # $Id$\n")
    attributes = both.git("hash-object", "-w", ".gitattributes", "--no-filters")
    kept = [line for line in both.git("ls-tree", tree).splitlines() if not line.endswith("mesh.toml")]
    made = [*kept, f"100644 blob {broken}\tmesh.toml", f"100644 blob {attributes}\t.gitattributes"]
    signed_commit(both, both.git("mktree", input="\n".join(made) + "\n"))


def older(both: Both) -> None:
    """The head goes back: seen by both before."""
    good(both)
    assert both.push(f"HEAD:{MAIN}") == (True, True)
    both.git("reset", "-q", "--hard", "HEAD~1")


def beside_a_node(who: str) -> Push:
    """A node's commit is there; then one that begins where that began, and takes it back."""

    def push(both: Both) -> None:
        node_moves(both)
        assert both.push(f"HEAD:{MAIN}") == (True, True)
        both.git("reset", "-q", "--hard", "HEAD~1")
        both.mesh.sign_as(who)
        both.mesh.set("b", endpoint="198.51.100.99:51820")
        both.mesh.commit()

    return push


def node_taken_back(both: Both) -> None:
    beside_a_node(NODE_B)(both)
    both.git("reset", "-q", "--hard", "HEAD~1")


def pile_of_a_node(both: Both) -> None:
    """More than a node's key may add without an admin."""
    both.mesh.sign_as(NODE_B)
    for number in range(MOST_COMMITS + 1):
        both.mesh.set("b", persistent_keepalive=number + 1)
        both.mesh.commit()


def rewritten(both: Both) -> None:
    older(both)
    both.mesh.edit("README.md", "another way\n")
    both.mesh.commit()


def another_root(both: Both) -> None:
    both.mesh.git("checkout", "-q", "--orphan", "new")
    both.mesh.commit("begun again")


def pile(both: Both) -> None:
    """A hundred good commits of an admin at once."""
    for number in range(100):
        both.mesh.git("commit", "-q", "--allow-empty", "-m", f"{number}")


good = signed_by(ADMIN)
