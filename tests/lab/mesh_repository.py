"""The list of a mesh in a working copy: edited, committed, signed and pushed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import tomlkit


class Machine(Protocol):
    """Where the working copy is; `path` says where a file of the machine is on the outside."""

    def run(self, argv: Sequence[str | Path], *, input: str | None = None) -> subprocess.CompletedProcess[str]: ...

    def path(self, path: str) -> Path: ...


class MeshRepository:
    """Files are edited with `edit`, `set` and `remove`; `push` commits all of it and takes it to `url`."""

    def __init__(self, operator: Machine, home: str, url: str, networks: Iterable[str] = ("10.0.0.0/24",)) -> None:
        self.operator = operator
        self.home, self.work = home, f"{home}/mesh"
        self.url = url
        self.signer: str | None = None
        self.operator.run(["git", "init", "-q", "-b", "main", self.work])
        self.folder = operator.path(self.work)
        (self.folder / "peers").mkdir()
        self.set_mesh(format=1, name="lab", networks=list(networks))

    def edit(self, path: str, text: str | bytes) -> None:
        """Write any file of the repository."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())

    def set(self, peer: str, **changes: Any) -> None:
        """Change keys of a peer's file, or make it; None takes a key away."""
        self._change(f"peers/{peer}.toml", changes)

    def set_mesh(self, **changes: Any) -> None:
        """Change keys of mesh.toml; None takes a key away."""
        self._change("mesh.toml", changes)

    def remove(self, peer: str) -> None:
        """Take a peer's file away."""
        (self.folder / f"peers/{peer}.toml").unlink()

    def _change(self, path: str, changes: dict[str, Any]) -> None:
        file = self.folder / path
        table = tomlkit.parse(file.read_text()).unwrap() if file.exists() else {}
        plain = {key: value for key, value in {**table, **changes}.items() if value is not None}
        file.write_text(tomlkit.dumps(plain))

    def commit(self, message: str = "change") -> str:
        """Commit everything as it is now, signed if there is a signer; return the commit."""
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, message: str = "change", *, force: bool = False) -> str:
        """Commit everything as it is now and push it; return the commit."""
        commit = self.commit(message)
        self.publish(force=force)
        return commit

    def publish(self, commit: str = "HEAD", *, force: bool = False) -> None:
        """Push what is committed."""
        self.git("push", "-q", *(["--force"] if force else []), self.url, f"{commit}:refs/heads/main")

    def git(self, *words: str) -> str:
        """Run git in the operator's working copy, which signs what it commits if there is a signer."""
        signing = ["commit.gpgSign=false"]
        if self.signer:
            signing = ["commit.gpgSign=true", "gpg.format=ssh", f"user.signingKey={self._key_file(self.signer)}"]
        settings = [word for setting in signing for word in ("-c", setting)]
        return self.operator.run(["git", "-C", self.work, *settings, *words]).stdout.strip()

    # -- who signs

    def line(self, principal: str, options: str = "") -> str:
        """The line of `allowed_signers` for a principal, whose key is made if it has none yet."""
        file = self.operator.path(self._key_file(principal))
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            words = ["-q", "-t", "ed25519", "-N", "", "-C", principal]
            self.operator.run(["ssh-keygen", *words, "-f", self._key_file(principal)])
        public = " ".join(file.with_name(f"{principal}.pub").read_text().split()[:2])
        return " ".join(filter(None, (principal, options, public))) + "\n"

    def sign_as(self, principal: str | None) -> None:
        """From now on this one's key signs the operator's commits; None: they are not signed."""
        if principal:
            self.line(principal)
        self.signer = principal

    def allow(self, *principals: str) -> None:
        """Let the repository's list allow just these."""
        self.edit("allowed_signers", "".join(map(self.line, principals)))

    def _key_file(self, principal: str) -> str:
        return f"{self.home}/signers/{principal}"
