"""Files that a person names for what a command makes."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.errors import ConfigError, DeviceError
from mesh_sync.system.files import write_atomically


def write_output(path: Path, content: str | bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Write it whole or not at all. Raise ConfigError: what was typed is not usable, and it is about no interface."""
    try:
        write_atomically(path, content, mode, durable=durable)
    except DeviceError as error:
        raise ConfigError(error.message, hint="name another place") from None
