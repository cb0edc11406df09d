"""The unit files as the package has them, and as they stand on a machine. Pure.

A file on a machine says who wrote it, so that only such files are replaced and removed, and where the program is:
systemd looks for a program by name in folders of its own, where one in /opt is not.
"""

from __future__ import annotations

import re
from pathlib import Path

from mesh_sync.errors import ConfigError
from mesh_sync.node.config import DEFAULT_CONFIG

MARK = "# Written by `mesh-sync setup`, which replaces it; what you change goes into a drop-in: systemctl edit "
PACKAGED = "share/mesh-sync/systemd/"
"""Where a wheel carries the files: earlier versions had people link them from there."""
PROGRAMS = ("mesh-sync", "mesh-watchdog")

_STARTED = re.compile(rf"(?m)^(Exec\w+=[-@:+!]*)({'|'.join(PROGRAMS)})( .+)$")
_PLAIN = re.compile(r"[A-Za-z0-9/._+@-]+")
HIDDEN = tuple(map(Path, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108
"""Folders that the units see empty, or as others."""


def installed(name: str, text: str, programs: Path, config: Path = DEFAULT_CONFIG) -> str:
    """The text of the unit ``name`` on a machine that has mesh-sync and mesh-watchdog in the folder ``programs``.

    Raise ConfigError for paths that systemd would read otherwise.
    """
    for path in (programs, config):
        if not _PLAIN.fullmatch(str(path)):
            raise ConfigError(f"{path} has characters that mean something else in a unit; use another folder")
    option = "" if config == DEFAULT_CONFIG else f" --config {config}"
    called = _STARTED.sub(rf"\1{programs}/\2\3{option}", text)
    return f"{MARK}{name}\n" + called.replace(f"={DEFAULT_CONFIG}\n", f"={config}\n")


def is_ours(text: str) -> bool:
    """Whether `mesh-sync setup` wrote this file."""
    return text.startswith(MARK)


def is_linked(target: str) -> bool:
    """Whether a link leads to a file of the package."""
    return PACKAGED in target


def hidden(path: Path) -> Path | None:
    """The folder that keeps the units from seeing ``path``, None if they see it."""
    return next((folder for folder in HIDDEN if path.is_relative_to(folder)), None)
