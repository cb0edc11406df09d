"""The names that a person wants for the machines of a source: a file of TOML, old = "new"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from mesh_sync.errors import ConfigError
from mesh_sync.typed_toml.fields import peer_name
from mesh_sync.typed_toml.reader import read_toml
from mesh_sync.typed_toml.table import Wrong, mapping_of
from mesh_sync.workspace.import_.machine import Machine


def read(file: Path) -> Mapping[str, str]:
    """New names by the old ones, or by public keys. Raise ConfigError when the file is none of this kind."""
    try:
        renames: dict[str, str] = mapping_of(peer_name)(read_toml(file.read_bytes()))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except Wrong as wrong:
        raise ConfigError(f"{file}: {wrong}", hint='each line is "Old Name" = "new-name"') from None
    return renames


def verify(renames: Mapping[str, str], machines: Sequence[Machine]) -> None:
    """Raise ConfigError when the names do not fit these machines one by one."""
    known = {text for machine in machines for text in (machine.called, machine.public_key)}
    if unknown := [old for old in renames if old not in known]:
        hint = f"the source has: {', '.join(sorted(machine.called for machine in machines)[:20])}"
        raise ConfigError(f"--name-map: nothing that is imported is called {unknown[0]!r}", hint=hint)
    for name, times in Counter(machine.name for machine in machines).items():
        if times > 1:
            called = [f"{machine.called!r} ({machine.public_key})" for machine in machines if machine.name == name]
            hint = "a public key in place of the old name says which one is meant"
            raise ConfigError(f"--name-map: {' and '.join(called)} would all be named {name}", hint=hint)
