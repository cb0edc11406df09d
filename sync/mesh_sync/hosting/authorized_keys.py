"""The part of an authorized_keys file that lets a mesh repository's people and nodes in. Pure.

No line gives a shell, a tunnel or a terminal: `restrict` (sshd(8)), and a command (`session`) that is told by the line
who is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from shlex import join

from attrs import frozen

from mesh_sync.hosting.ledger import Invited
from mesh_sync.trust.signers import key_fingerprint

SESSION = "host-session"
"""The command of mesh-sync that sshd starts."""


@frozen
class Access:
    """``program``: the path of mesh-sync; ``owners``: keys that `host` was given; ``signers``: those of the list;
    ``invited``: by whom keys can be handed over. All keys are `TYPE BASE64`.
    """

    program: str
    place: Path
    owners: tuple[str, ...] = ()
    signers: tuple[str, ...] = ()
    invited: tuple[Invited, ...] = ()


def lines(access: Access) -> Iterator[str]:
    """A line for each key, the most powerful first: sshd takes the first that fits."""
    seen = set[str]()
    for role, keys in (("owner", access.owners), ("signer", access.signers)):
        for key in keys:
            if key not in seen:
                seen.add(key)
                yield f"{_options(access, role, key_fingerprint(key))} {key}"
    for one in access.invited:
        end = datetime.fromtimestamp(one.kept_until).strftime("%Y%m%d%H%M")  # sshd reads it in the local time zone
        for key in (one.token_key, *one.replaced):
            if key not in seen:
                seen.add(key)
                yield f'{_options(access, "invited", one.name)},expiry-time="{end}" {key}'


def _options(access: Access, *words: str) -> str:
    return f'restrict,command="{join([access.program, SESSION, str(access.place), *words])}"'


def places(text: str) -> tuple[str, ...]:
    """The repositories that an authorized_keys file has lines for."""
    return tuple(re.findall(r"^# mesh-sync host ([\w./+-]+): written by mesh-sync$", text, re.MULTILINE))


def replaced(text: str, place: Path, new: Iterable[str]) -> str:
    """The file with these lines for the repository ``place`` instead of those that it had; the others stay."""
    begin, end = f"# mesh-sync host {place}: written by mesh-sync", f"# mesh-sync host {place}: end"
    kept, ours = list[str](), False
    for line in text.split("\n"):
        if line == begin:
            ours = True
        elif line == end and ours:
            ours = False
        elif not ours:
            kept.append(line)
    before = "\n".join(kept).rstrip("\n")
    block = "\n".join([begin, *new, end]) if (new := tuple(new)) else ""
    return "".join(f"{part}\n" for part in (before, block) if part)
