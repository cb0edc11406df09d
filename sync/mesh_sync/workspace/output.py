"""Files that a person's commands write: those that they name, and those of the working copy.

What cannot be written is a ConfigError: what was typed is not usable, and it is about no interface.
"""

from __future__ import annotations

from pathlib import Path

from mesh_sync.errors import ConfigError, DeviceError
from mesh_sync.system.files import make_folder, write_atomically
from mesh_sync.system.shell_words import quote


def write_output(path: Path, content: str | bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Write it whole or not at all. Raise ConfigError, also where its directory is missing."""
    if not path.parent.exists():
        hint = f"mkdir -p {quote(str(path.parent))}"
        raise ConfigError(f"{path} cannot be written: there is no directory {path.parent}", hint=hint)
    try:
        write_atomically(path, content, mode, durable=durable)
    except DeviceError as error:
        raise ConfigError(error.message) from None


def make_output_folder(path: Path) -> None:
    """Make a directory that will hold several files, with those above it. Raise ConfigError."""
    try:
        make_folder(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error.strerror}") from None
