"""A mesh whose git hosts, node keys and pushers are hostile: real commits, real signatures, real bare copies.

Two admins and the nodes a to d may sign; a, b and d look at the list, each through hosts of its own, which show what
they like. Everything is made by git itself; the model knows which commits their signers had
the right to make.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from attrs import evolve, frozen

from mesh_sync.node.clock import trusted
from mesh_sync.node.config import Node, Paths, Repository, Trust
from mesh_sync.node.state import State
from mesh_sync.reconcile.heads import verdict_on
from mesh_sync.reconcile.verdict import Verdict
from mesh_sync.repository.remote import asked, remotes
from mesh_sync.trust import signature, sshsig
from mesh_sync.trust.verify_history import verify_clone
from mesh_sync.wireguard import keys
from unit.hostile_git_host import Host

ANNA, OTTO = "anna@example.org", "otto@example.org"
NODES = "abcd"
OBSERVERS = "abd"
"""c is the node whose key the attacker has, and which an admin removes; b's key is the attacker's as well."""
P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Order of the base point of NIST P-256 (FIPS 186-4, D.1.2.3)."""
Files = Mapping[str, str]


def git(*words: str, at: Path, input: str | bytes | None = None) -> str:
    who = {f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    data = input.encode() if isinstance(input, str) else input
    done = subprocess.run(["git", "--git-dir", str(at), *words], input=data, env=env, capture_output=True, timeout=60)
    assert done.returncode == 0, (words, done.stderr)
    return done.stdout.decode(errors="replace").strip()


@cache
def _private(name: str) -> str:
    return keys.generate()


def peer(name: str, **more: object) -> str:
    number = 21 + "abcdefgh".index(name)
    lines = [f'public_key = "{keys.public_key(_private(name))}"', f'addresses = ["10.0.0.{number}"]']
    lines += [f'endpoint = "{name}.example:51820"'] if "endpoint" not in more else []
    lines += [f"{key} = {str(value) if isinstance(value, int) else repr(value)}" for key, value in more.items()]
    return "\n".join(lines) + "\n"


@frozen
class Made:
    """A commit that was made. ``legitimate``: whether each commit of its history may be applied somewhere. ``signed``:
    who has signed what.
    """

    name: str
    parents: tuple[str, ...]
    signed: str
    files: Files
    legitimate: bool


class Observed:
    """A node that looks at the list through two hosts."""

    def __init__(self, name: str, home: Path, first: str, store: Path, own: str) -> None:
        self.name, self.views = name, (home / f"{name}-1.git", home / f"{name}-2.git")
        folder = home / name
        folder.mkdir(mode=0o700)
        (folder / "private.key").touch(mode=0o600)
        (folder / "private.key").write_text(_private(name) + "\n")
        (folder / "allowed_signers").write_text(own)
        (folder / "allowed_signers").chmod(0o644)
        for view in self.views:
            git("init", "-q", "--bare", "-b", "main", str(view), at=view)
            (view / "objects/info/alternates").write_text(f"{store}/objects\n")
        self.node = Node(
            name=name,
            private_key_file=folder / "private.key",
            repository=Repository(urls=tuple(map(str, self.views)), deadline=20),
            trust=Trust(mode="signed", allowed_signers=folder / "allowed_signers", first_commit=first),
            paths=Paths(state=folder / "state", run=folder / "run", wireguard=folder / "wireguard"),
        )
        self.state = State()

    def show(self, host: int, commit: str | None) -> None:
        """Have a host show this head, or an empty repository."""
        file = self.views[host] / "refs/heads/main"
        if commit is None:
            file.unlink(missing_ok=True)
        else:
            file.write_text(f"{commit}\n")

    def ask(self, *urls: str) -> None:
        self.node = evolve(self.node, repository=evolve(self.node.repository, urls=urls or tuple(map(str, self.views))))

    def poll(self) -> Verdict:
        with asked(remotes(self.node)) as request:
            verdict = verdict_on(
                self.node, self.state, request, trusted(time.time()), retry=False, note=lambda text: None
            )
        self.state = verdict.after
        return verdict

    def wait(self) -> None:
        """So much time goes by that all remotes are asked again."""
        self.state = evolve(self.state, remote=evolve(self.state.remote, others_asked=None))

    def lose_copy(self) -> None:
        shutil.rmtree(self.node.bare_repository, ignore_errors=True)


class HostileMesh:
    """All of it: ``head`` is the branch at the host, ``admins_last`` the newest commit of an admin, whom it obeys."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.keys = folder
        self.store = home / "store.git"
        git("init", "-q", "--bare", "-b", "main", str(self.store), at=self.store)
        self.made: dict[str, Made] = {}
        self.blobs: dict[str, str] = {}
        self.removed: set[str] = set()
        self.files: dict[str, str] = {
            "mesh.toml": 'format = 1\nname = "lab"\nnetworks = ["10.0.0.0/24"]\n',
            "allowed_signers": self.allowed(),
            **{f"peers/{name}.toml": peer(name) for name in NODES},
        }
        self.first = self.commit(self.files, (), ANNA)
        self.head: str | None = self.first
        self.admins_last = self.first
        own = self.line(ANNA)
        self.nodes = {name: Observed(name, home, self.first, self.store, own) for name in OBSERVERS}
        for node in self.nodes.values():
            node.show(0, self.first)
            node.show(1, self.first)
            assert node.poll().problem is None
        self.noise = Host([])
        threading.Thread(target=self.noise.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.noise.shutdown()
        self.noise.server_close()

    def line(self, who: str) -> str:
        return f"{who} {' '.join((self.keys / f'{who}.pub').read_text().split()[:2])}\n"

    def allowed(self) -> str:
        nodes = [f"{name}@node.lab" for name in NODES if name not in self.removed]
        return "".join(map(self.line, (ANNA, OTTO, *nodes)))

    # -- commits

    def commit(
        self, files: Files, parents: Iterable[str], signer: str | None, *, legitimate: bool = True, message: str = "x"
    ) -> str:
        """Make a commit; it is legitimate only if its parents are."""
        parents = tuple(parents)
        signing = ["-c", "gpg.format=ssh", "-c", f"user.signingKey={self.keys / signer}"] if signer else []
        tree = self._tree(files)
        above = [word for parent in parents for word in ("-p", parent)]
        words = ("commit-tree", *(["-S"] if signer else []), *above, "-m", f"{message} {len(self.made)}", tree)
        name = git(*signing, *words, at=self.store)
        return self.remember(name, parents, files, legitimate and all(self.made[one].legitimate for one in parents))

    def remember(self, name: str, parents: tuple[str, ...], files: Files, legitimate: bool) -> str:
        raw = subprocess.run(
            ["git", "--git-dir", str(self.store), "cat-file", "commit", name], capture_output=True, check=True
        ).stdout
        found = signature.read(raw)
        self.made[name] = Made(name, parents, f"{found.key} {found.signed}", dict(files), legitimate)
        return name

    def _tree(self, files: Files) -> str:
        for text in set(files.values()) - self.blobs.keys():
            self.blobs[text] = git("hash-object", "-w", "--stdin", at=self.store, input=text)
        rows: dict[str, list[str]] = {"": [], "peers": []}
        for path, text in files.items():
            folder, _, name = path.rpartition("/")
            rows[folder].append(f"100644 blob {self.blobs[text]}\t{name}")
        peers = git("mktree", at=self.store, input="\n".join(rows["peers"]) + "\n")
        return git("mktree", at=self.store, input="\n".join([*rows[""], f"040000 tree {peers}\tpeers"]) + "\n")

    def twin(self, commit: str) -> str | None:
        """Another commit with what is signed in ``commit``, where an ECDSA key has signed it: (r, n-s)."""
        raw = subprocess.run(
            ["git", "--git-dir", str(self.store), "cat-file", "commit", commit], capture_output=True, check=True
        ).stdout
        head, _, message = raw.partition(b"\n\n")
        lines = head.split(b"\n")
        begin = next((number for number, line in enumerate(lines) if line.startswith(b"gpgsig ")), None)
        if begin is None or not signature.read(raw).key.startswith("ecdsa"):
            return None
        armour = b"".join(line.strip() for line in lines[begin + 1 : -1])
        blob = base64.b64decode(armour)
        key, namespace, reserved, kind, proof = sshsig.strings(blob[10:])
        algorithm, numbers = sshsig.strings(proof)
        r, s = sshsig.strings(numbers)
        other = _mpint(P256 - int.from_bytes(s, "big"))
        proof = _string(algorithm) + _string(_string(r) + _string(other))
        blob = blob[:10] + b"".join(map(_string, (key, namespace, reserved, kind, proof)))
        text = base64.b64encode(blob).decode()
        rows = [b" " + text[start : start + 70].encode() for start in range(0, len(text), 70)]
        lines[begin + 1 : -1] = rows
        name = git(
            "hash-object", "-t", "commit", "-w", "--stdin", at=self.store, input=b"\n".join(lines) + b"\n\n" + message
        )
        assert name != commit
        old = self.made[commit]
        return self.remember(name, old.parents, old.files, old.legitimate)

    # -- what the people do

    def history(self, commit: str) -> Iterable[Made]:
        waiting, seen = [commit], set()
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                yield self.made[name]
                waiting += self.made[name].parents

    def knows_admins_last(self, commit: str) -> bool:
        wanted = self.made[self.admins_last].signed
        return any(made.signed == wanted for made in self.history(commit))

    def verifies(self, commit: str) -> bool:
        """Whether an admin who looks at the head may build upon it: all of it verifies, from the very first commit."""
        return self.knows_admins_last(commit) and not verify_clone(self.store, self.first, commit).problems

    def admin_pushes(self, who: str = ANNA) -> str:
        """An admin pushes the list as it is meant, on top of the host's head; forced where that does not verify."""
        on_top = self.head if self.head and self.verifies(self.head) else self.admins_last
        self.files["allowed_signers"] = self.allowed()
        self.admins_last = self.head = self.commit(self.files, [on_top], who)
        return self.head

    def show_everywhere(self, commit: str | None) -> None:
        for node in self.nodes.values():
            node.ask()
            node.show(0, commit)
            node.show(1, commit)

    def check_nothing_foreign_is_applied(self) -> None:
        for node in self.nodes.values():
            applied = node.state.applied
            assert applied.commit
            assert applied.desired
            made = self.made[applied.commit]
            assert made.legitimate, f"{node.name} has applied what no signer had the right to write"
            assert {one.name for one in applied.desired.peers} <= set(NODES) | {"e", "f"}


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _mpint(number: int) -> bytes:
    """As SSH writes it (RFC 4251, section 5)."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def make_keys(folder: Path) -> None:
    """ECDSA keys for an admin and a node, which have twins; Ed25519 for the others."""
    for who in (ANNA, OTTO, *(f"{name}@node.lab" for name in NODES)):
        kind = ["ecdsa", "-b", "256"] if who in (ANNA, "b@node.lab") else ["ed25519"]
        argv = ["ssh-keygen", "-q", "-t", *kind, "-N", "", "-C", "", "-f", str(folder / who)]
        subprocess.run(argv, check=True)
