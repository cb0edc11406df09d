"""Histories of a real repository with real signatures."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mesh_sync.trust.verify_history import verify_clone

ANNA, OTTO, EVE, A, B = "anna@x.org", "otto@x.org", "eve@x.org", "a@node.lab", "b@node.lab"
KEYS: dict[str, Path] = {}


def make_keys(folder: Path) -> None:
    """An SSH key for each principal."""
    for who in (ANNA, OTTO, EVE, A, B):
        KEYS[who] = folder / who
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(KEYS[who])], check=True)


def line(who: str, options: str = "") -> str:
    public = " ".join(KEYS[who].with_name(f"{who}.pub").read_text().split()[:2])
    return f"{who} {options} {public}\n" if options else f"{who} {public}\n"


class History:
    """A clone. Its first commit, tagged `base`, allows two admins and the nodes a and b."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.git("init", "-q", "-b", "main")
        self.write("mesh.toml", 'format = 1\nname = "lab"\nnetworks = ["10.0.0.0/24"]\n')
        for name in "ab":
            self.write(f"peers/{name}.toml", f'public_key = "K{name}"\n')
        self.commit(ANNA, ANNA, OTTO, A, B)
        self.git("tag", "base")

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=n", "-c", "user.email=n@x.org", "-c", "commit.gpgSign=false"]
        done = subprocess.run(["git", "-C", str(self.place), *who, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        file = self.place / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    def commit(self, signer: str | None, *allowed: str, message: str = "change", **files: str) -> str:
        """Commit, signed; with another list if anybody is named, and other peer files."""
        if allowed:
            self.write("allowed_signers", "".join(who if "\n" in who else line(who) for who in allowed))
        for name, text in files.items():
            self.write(f"peers/{name}.toml", text)
        self.git("add", "--all")
        self.git(*self.signing(signer), "commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def merge(self, signer: str | None, *branches: str) -> str:
        self.git(*self.signing(signer), "merge", "-q", "--no-ff", "-m", "merge", *branches)
        return self.git("rev-parse", "HEAD")

    def signing(self, signer: str | None) -> list[str]:
        if signer is None:
            return []
        return [
            "-c",
            "commit.gpgSign=true",
            "-c",
            "gpg.format=ssh",
            "-c",
            "gpg.ssh.program=ssh-keygen",
            "-c",
            f"user.signingKey={KEYS[signer]}",
        ]

    def on(self, branch: str, start: str = "base") -> None:
        self.git("checkout", "-q", "-B", branch, start)

    def problems(self, base: str = "base") -> list[str]:
        return list(verify_clone(self.place, base).problems)

    def trusted(self) -> str | None:
        return verify_clone(self.place, "base").trusted

    def forge(self, signed: str, *parents: str, message: str = "forged") -> str:
        """An object with the tree of HEAD and the signature of another commit, which does not fit it."""
        head = self.git("cat-file", "commit", signed).partition("\n\n")[0].split("\n")
        rest = [line for line in head if not line.startswith(("tree ", "parent "))]
        lines = [
            f"tree {self.git('rev-parse', 'HEAD^{tree}')}",
            *(f"parent {self.git('rev-parse', name)}" for name in parents),
            *rest,
        ]
        file = self.place / ".git/forged"
        file.write_text("\n".join([*lines, "", message, ""]))
        return self.git("hash-object", "-t", "commit", "-w", str(file))
