"""A history of many signed commits, by real git and ssh-keygen: every second one is a node's, of its own file."""

from __future__ import annotations

import subprocess
from pathlib import Path

NODES = 10
WHO = ("-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "gpg.format=ssh")


def history(count: int, place: Path) -> tuple[str, str]:
    """Make ``count`` commits after a first one in the new repository ``place``; return the first and the last."""
    place.mkdir()
    git(place, "init", "-q", "--bare")
    names = ["anna@example.org", *(f"n{number}@node.bench" for number in range(NODES))]
    keys = {name: place / name for name in names}
    for key in keys.values():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    allowed = "".join(f"{name} {key.with_name(f'{name}.pub').read_text()}" for name, key in keys.items())
    files = {
        "allowed_signers": allowed,
        "mesh.toml": 'format = 1\nname = "bench"\nnetworks = ["10.0.0.0/24"]\n',
        **{f"peers/n{number}.toml": peer(number, 0) for number in range(NODES)},
    }
    owners = [number // 2 % NODES for number in range(count + 1)]
    changes = [{f"peers/n{owner}.toml": peer(owner, number)} for number, owner in enumerate(owners)]
    made: list[str] = []
    for number, tree in enumerate(trees(place, [{**files, **changes[0]}, *changes[1:]])):
        key = keys[names[0] if number % 2 == 0 else f"n{owners[number]}@node.bench"]
        parent = ["-p", made[-1]] if made else []
        made.append(git(place, "-c", f"user.signingKey={key}", "commit-tree", "-S", "-m", "change", *parent, tree))
    git(place, "update-ref", "HEAD", made[-1])
    git(place, "repack", "-adq")
    return made[0], made[-1]


def peer(number: int, step: int) -> str:
    """The file of a node, with something that its own key may change."""
    return f'public_key = "K{number}"\naddresses = ["10.0.0.{number + 1}"]\nlisten_port = {1024 + step}\n'


def trees(place: Path, changes: list[dict[str, str]]) -> list[str]:
    """The tree after each of the changes, which are files and what is in them."""
    stream = []
    for number, change in enumerate(changes):
        stream.append(f"commit refs/heads/t{number}\ncommitter b <b@x> 1 +0000\ndata 0\n")
        stream.append(f"from refs/heads/t{number - 1}\n" if number else "")
        stream += [f"M 644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in change.items()]
    git(place, "fast-import", "--quiet", text="".join(stream))
    refs = "".join(f"refs/heads/t{number}^{{tree}}\n" for number in range(len(changes)))
    found = git(place, "cat-file", "--batch-check=%(objectname)", text=refs).split()
    git(place, "update-ref", "--stdin", text="".join(f"delete refs/heads/t{n}\n" for n in range(len(changes))))
    return found


def git(place: Path, *words: str, text: str = "") -> str:
    """What git prints in this repository."""
    argv = ["git", "-C", str(place), *WHO, *words]
    return subprocess.run(argv, input=text, text=True, check=True, capture_output=True).stdout.strip()
