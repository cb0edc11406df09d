"""`mesh-sync host`: a bare repository with the hook, to which ssh lets in those whom the list names.

Safe to repeat.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import evolve

from mesh_sync.errors import CommandError, ConfigError, DeviceError
from mesh_sync.hosting import settings
from mesh_sync.hosting.settings import Hosting
from mesh_sync.repository.bare_copy import home
from mesh_sync.system.files import write_atomically
from mesh_sync.system.run import run

Note = Callable[[str], None]
_PLAIN = re.compile(r"(/[\w.+-]+)+", re.ASCII)
"""Paths that sshd, a shell and git read in the same way."""
CONFIG = {
    "receive.maxInputSize": "10m",
    "receive.fsckObjects": "true",
    "gc.auto": "256",
}
_REFRESH = "host-session"
AFTER = f"""\
#!/bin/sh
# Who may come in by ssh follows the list: written by mesh-sync host.
exec mesh-sync {_REFRESH} "$PWD"
"""


def raise_unless_plain(place: Path) -> None:
    """Raise ConfigError for a path that would have to be quoted somewhere."""
    if not _PLAIN.fullmatch(str(place)) or ".." in place.parts:
        raise ConfigError(f"{str(place)!r} is not an absolute path of letters, digits and any of / . _ + -")


def make(place: Path, keys: Iterable[str], hook: str, hosting: Hosting, note: Note) -> Hosting:
    """Make it, as the user that is to own it; return what is in force. ``keys``: more owners' keys, `TYPE BASE64`.

    Raise ConfigError, DeviceError.
    """
    raise_unless_plain(place)
    _repository(place, hosting.branch, note)
    for name, text in (("pre-receive", hook), ("post-receive", AFTER)):
        _hook(place / "hooks" / name, text, note)
    before = settings.load(place).owners if (place / "mesh-sync/host.json").exists() else ()
    hosting = evolve(hosting, owners=tuple(dict.fromkeys((*before, *keys))))
    settings.save(place, hosting)
    settings.refresh(place)
    return hosting


def take_away(place: Path, note: Note) -> Path:
    """Close the repository to ssh, and keep it; return the authorized_keys file."""
    hosting = settings.load(place)
    settings.rewrite(hosting.authorized_keys, place, ())
    note(f"+ no key in {hosting.authorized_keys} leads to {place} any more")
    (place / "mesh-sync/host.json").unlink(missing_ok=True)
    return hosting.authorized_keys


def _repository(place: Path, branch: str, note: Note) -> None:
    git = ["git", "-c", f"safe.directory={place}"]
    try:
        if not place.exists() or not any(place.iterdir()):
            note(f"+ git init --bare {place}")
            run([*git, "init", "--quiet", "--bare", f"--initial-branch={branch}", str(place)], env=home())
        elif run([*git, "-C", str(place), "rev-parse", "--is-bare-repository"], env=home()).strip() != "true":
            raise ConfigError(f"{place} is a working copy, no bare repository", hint="name another PATH")
        for name, value in {**CONFIG, "mesh-sync.branch": branch}.items():
            run([*git, "-C", str(place), "config", name, value], env=home())
        place.chmod(0o700)
    except CommandError as error:
        raise ConfigError(f"{place} cannot be a repository: {error.message}") from None
    except OSError as error:
        raise DeviceError(f"{error.filename} cannot be written: {error.strerror}") from None


def _hook(file: Path, text: str, note: Note) -> None:
    """Put a hook in its place. Raise ConfigError when another's is there."""
    before = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    if before and "mesh-sync" not in before:
        raise ConfigError(
            f"{file} is another hook", hint="call `mesh-sync check --pre-receive` from it, or move it away"
        )
    if before != text or not file.stat().st_mode & stat.S_IXUSR:
        note(f"+ write {file}")
        write_atomically(file, text, 0o755)
