"""The file that holds mesh secrets in the clear, 0600: a node's out of band, or the operator's own copy.

And where a node finds the secrets: in that file, else sealed to it in the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import Cause, ConfigError, Refused
from mesh_sync.mesh.layout import sealed_path
from mesh_sync.mesh.model import Mesh, Preshared
from mesh_sync.node.config import Node
from mesh_sync.preshared import derive, sealed
from mesh_sync.preshared.derive import Secrets
from mesh_sync.preshared.sealed_box import opened
from mesh_sync.system.files import write_atomically
from mesh_sync.system.shell_words import quote
from mesh_sync.wireguard.desired import Desired

KEPT = 4
"""How many secrets a node remembers: those in use, and the newest of the others."""


def load(path: Path) -> Secrets:
    """Read a secret file. Raise ConfigError, which never shows a secret."""
    try:
        found = derive.parse(path.read_text())
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", hint="`mesh-sync secret show -o FILE` writes one") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="run it as root") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not text") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None
    if mode & 0o077:
        raise ConfigError(
            f"{path} is readable by other users", hint=f"chmod 600 {quote(str(path))}, and rotate the secret"
        )
    return found


def save(path: Path, secrets: Secrets) -> None:
    """Write a secret file, 0600 from the first byte."""
    write_atomically(path, derive.text(secrets))


def remembered(kept: Secrets, in_use: Mapping[int, bytes]) -> Secrets:
    """What a node keeps: secrets stay while a commit can still be refused or rolled back."""
    others = sorted(kept.by_id.keys() - in_use.keys(), reverse=True)[: max(0, KEPT - len(in_use))]
    return Secrets({**{number: kept.by_id[number] for number in others}, **in_use})


@frozen
class Source:
    """Where this node's secrets come from.

    ``private_keys``: all that the list may mean: while this node changes its key, they are sealed to the one before.
    """

    node: Node
    texts: Mapping[str, bytes]
    private_keys: Sequence[str]

    def keyed(self, desired: Desired, mesh: Mesh) -> Desired:
        """The interface with its preshared keys. Raise Refused when the secret in use is not there."""
        if mesh.preshared is None:
            return desired
        number = mesh.preshared.secret
        secrets = self._secrets(mesh.preshared)
        if number not in secrets:
            text = f"the mesh secret {number} is {self._why_not(number)}"
            hint = f"`mesh-sync secret seal` seals it to {self.node.name}; or put it in a mesh_secret_file"
            raise Refused(text, hint=hint, cause=Cause.SECRET)
        return derive.with_keys(desired, mesh, secrets)

    def _secrets(self, use: Preshared) -> Secrets:
        """Those in the file of this machine, if it has one; else what is sealed to it, and what it opened before."""
        if self.node.mesh_secret_file:
            try:
                return load(self.node.mesh_secret_file)
            except ConfigError as error:
                raise Refused(error.message, hint=error.hint, cause=Cause.SECRET) from None
        kept = self._kept()
        boxes = self._sealed
        found = dict(kept.by_id)
        for key in self.private_keys:
            found |= opened(boxes, key).by_id if boxes else {}
        in_use = {number: found[number] for number in (use.secret, use.former) if number in found}
        if (known := remembered(kept, in_use)) != kept:
            save(self.node.kept_secret_file, known)
        return Secrets(in_use)

    def _kept(self) -> Secrets:
        """What was opened before: a box that is sealed to an earlier key of this node no longer opens."""
        try:
            return load(self.node.kept_secret_file)
        except ConfigError:
            return Secrets()

    def _why_not(self, number: int) -> str:
        if self.node.mesh_secret_file:
            return f"not in {self.node.mesh_secret_file}"
        path = sealed_path(self.node.name)
        if self._sealed is None:
            return f"not sealed to this node: there is no {path}"
        if number in self._sealed.boxes:
            return f"in {path}, but this node's private key does not open it"
        return f"not sealed to this node: {path} does not have it"

    @property
    def _sealed(self) -> sealed.Sealed | None:
        text = self.texts.get(sealed_path(self.node.name))
        return sealed.read(text) if text is not None else None
