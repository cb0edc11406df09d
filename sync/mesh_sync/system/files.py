"""Writing files so that a reader, a crash or a full disk never meets half of one."""

from __future__ import annotations

import os
from pathlib import Path

from mesh_sync.errors import DeviceError

_PROBE = b"\0" * 64 * 1024


def write_atomically(
    path: Path,
    content: str | bytes,
    mode: int = 0o600,
    *,
    durable: bool = True,
    owner: tuple[int, int] | None = None,
) -> None:
    """Replace ``path`` by ``content`` in one step: a temporary file beside it, fsync, rename, fsync of the folder.

    The file has ``mode`` from its first byte. Without ``durable`` nothing waits for the disk: for what can be made
    again, and many times quicker for many files. ``owner``: user and group, unless they are our own. Raise DeviceError
    when it cannot be written; the old one stays.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        make_folder(path.parent)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            if owner not in (None, (os.geteuid(), os.getegid())):
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        _drop(temporary)
        raise DeviceError(f"{path} cannot be written: {error.strerror}") from None


def make_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, each closed to everybody else from its first moment.

    Not `Path.mkdir(parents=True)`, which leaves those above to the umask. OSError if it cannot be made.
    """
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)


def raise_if_unwritable(folder: Path) -> None:
    """Raise DeviceError when no file can be written in a folder: the disk is full, say, or read-only.

    Programs that write there say so in words, which a stranger may have put into their mouths.
    """
    probe = folder / f".probe-{os.urandom(8).hex()}"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise DeviceError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        _drop(probe)


def _drop(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


Stamp = tuple[int, int, int] | None


def stamp(path: Path) -> Stamp:
    """What changes whenever the file is replaced; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
