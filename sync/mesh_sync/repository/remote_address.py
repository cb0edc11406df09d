"""The address of a remote, as git may have it on its command line: every user of the machine can read that.

A user name and a password go to git through its environment, which only root can read. They are for the host of the
address alone, not for one that it redirects git to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import field, frozen

_WEB = re.compile(r"(https?://)(?:([^/?#]*)@)?([^/?#@]*)(.*)", re.DOTALL)
_HELPER = (
    '!f() { test "$1" = get || exit 0; '
    'printf "username=%s\\npassword=%s\\n" "$MESH_SYNC_USER" "$MESH_SYNC_PASSWORD"; }; f'
)
"""A credential helper (gitcredentials(7)); printf is the shell's own, not a program with arguments."""


@frozen
class RemoteAddress:
    """``bare``: the address without user and password; ``options`` and ``environment``: how git gets them."""

    url: str
    bare: str
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(factory=dict)

    @classmethod
    def of(cls, url: str) -> RemoteAddress:
        """Given a remote of node.toml, return how git is told."""
        web = _WEB.fullmatch(url)
        if not web or web[2] is None:
            return cls(url, url)
        scheme, login, host, rest = web.groups()
        user, colon, password = login.partition(":")
        bare, place = f"{scheme}{host}{rest}", f"credential.{scheme}{host}"
        if not colon:  # root's own helpers have the password
            setting = {"COUNT": "1", "KEY_0": f"{place}.username", "VALUE_0": _decoded(user)}
            return cls(url, bare, (), {f"GIT_CONFIG_{name}": text for name, text in setting.items()})
        options = ("-c", f"{place}.helper=", "-c", f"{place}.helper={_HELPER}")
        return cls(url, bare, options, {"MESH_SYNC_USER": _decoded(user), "MESH_SYNC_PASSWORD": _decoded(password)})


def _decoded(text: str) -> str:
    """A part of an address with its percent signs resolved (RFC 3986, section 2.1)."""
    plain = re.sub(rb"%([0-9a-fA-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())
    return plain.translate(None, b"\0\n").decode(errors="surrogateescape")
