"""Whether a name in `allowed_signers` is an admin's or a node's. What could be taken for the other is neither. Pure.

`NAME@node.MESH` is the node NAME; every other name is an admin's. A person who reviews a change has to see which of
the two it is, so an admin's name is ASCII and keeps away from the domain of the nodes.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from mesh_sync.findings import shown
from mesh_sync.typed_toml.fields import LABEL

NODE = "node."
"""How the domain of a node's key begins; the name of the mesh follows, as mesh.toml has it."""
LONGEST = 254
"""Characters of a name, as of a mail address (RFC 5321, section 4.5.3.1.3)."""
_RESERVED = frozenset({"node", "nodes"})
_PATTERN = re.compile(r'[*?!,"\\]')
_ALIKE = (("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"), ("rn", "m"), ("vv", "w"))
"""What looks like something else in many a typeface."""


def parts(principal: str) -> tuple[str, str]:
    """The name and the domain. ValueError says why it is no principal, or one whose rights could be mistaken."""
    name, _, domain = principal.partition("@")
    if _PATTERN.search(principal) or not name or not domain or "@" in domain:
        raise ValueError(f"{shown(principal)} is not one principal; write name@domain, without patterns")
    if len(principal) > LONGEST:
        raise ValueError(f"{shown(principal)} is longer than {LONGEST} characters")
    if domain.startswith(NODE):
        if not LABEL.fullmatch(name):
            raise ValueError(f"{shown(principal)}: {shown(name)} is not the name of a node")
        return name, domain
    if not principal.isascii():
        raise ValueError(f"{principal!a} has letters that can look like others; write an admin's name in ASCII")
    labels = domain.lower().split(".")
    if not all(labels):
        raise ValueError(f"{shown(principal)} is not name@domain: the domain has an empty part")
    if labels[0] in _RESERVED:
        raise ValueError(f"{shown(principal)} {_MISTAKEN}")
    return name, domain


_MISTAKEN = "could be taken for a node's key, which would be NAME@node.MESH; name an admin otherwise"


def mistaken(principal: str, mesh: str, peers: Collection[str] = ()) -> str:
    """Why the name of an admin could be taken for that of a node of the mesh, as the end of a sentence; or nothing.

    ``peers``: their names. A mesh without a name has no nodes.
    """
    name, _, domain = principal.lower().partition("@")
    nodes = f"{NODE}{mesh}".lower()
    if not mesh or domain.startswith(NODE):
        return ""
    if domain.endswith(f".{nodes}") or _one_apart(_letters(domain), _letters(nodes)):
        return _MISTAKEN
    if _seen(name) in map(_seen, peers) and any(_one_apart(_seen(label), "node") for label in domain.split(".")):
        return f"could be taken for the key of the peer {name}, which would be {name}@{NODE}{mesh}"
    return ""


def _seen(text: str) -> str:
    """A text as a hasty reader sees it."""
    for written, seen in _ALIKE:
        text = text.replace(written, seen)
    return text


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", _seen(text))


def _one_apart(one: str, other: str) -> bool:
    """Whether the texts are equal but for one letter that is added, missing or another, or for two that swapped."""
    pairs = enumerate(zip(one, other, strict=False))
    start = next((place for place, (here, there) in pairs if here != there), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    swapped = one[:2] == other[:2][::-1] and one[2:] == other[2:]
    return one[1:] == other[1:] or one[1:] == other or one == other[1:] or swapped
