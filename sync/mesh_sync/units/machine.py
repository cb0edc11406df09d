"""The units of this machine: read as `Units`, and steps carried out."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import CommandError, DeviceError
from mesh_sync.system.files import write_atomically
from mesh_sync.system.run import run
from mesh_sync.units.plan import KEPT, Remove, Step, Systemctl, Units, Write
from mesh_sync.units.unit_file import is_linked

DEADLINE = 600.0
"""Seconds for one systemctl: a pass, and the stop of one in the middle of a trial, have minutes."""
_ENABLED = frozenset({"enabled", "enabled-runtime"})
_RESTING = frozenset({"", "inactive", "failed"})


@frozen
class Place:
    """Where unit files are: the administrator's, and those of the system's packages."""

    own: Path = Path("/etc/systemd/system")
    packaged: tuple[Path, ...] = (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
    running: Path = Path("/run/systemd/system")
    """There where systemd is the first process (sd_booted(3))."""

    @property
    def has_systemd(self) -> bool:
        return self.running.is_dir()


def sources() -> dict[str, str]:
    """The unit files of the package, by name. Raise DeviceError when they are not there."""
    for folder in (Path(__file__).parents[3] / "systemd", Path(sysconfig.get_path("data")) / "share/mesh-sync/systemd"):
        if found := sorted(folder.glob("mesh-*.*")):
            return {file.name: file.read_text(encoding="utf-8") for file in found}
    raise DeviceError("the unit files are not installed", hint="install mesh-sync again")


def look(place: Place, names: Iterable[str], *, stale: bool = False) -> Units:
    """The units ``names`` as they are here. Where systemd does not run, none is enabled or active."""
    names = tuple(names)
    files, links = dict[str, str](), set[str]()
    for name in names:
        file = place.own / name
        if file.is_symlink() and is_linked(str(file.readlink())):
            links.add(name)
        elif file.is_file():
            files[name] = file.read_text(encoding="utf-8", errors="replace")
    packaged = {name for name in names if any((folder / name).exists() for folder in place.packaged)}
    known = _known(names) if place.has_systemd else {}
    return Units(
        files=files,
        links=frozenset(links),
        packaged=frozenset(packaged),
        enabled=frozenset(name for name, about in known.items() if about.get("UnitFileState") in _ENABLED),
        active=frozenset(name for name, about in known.items() if about.get("ActiveState", "") not in _RESTING),
        failed=frozenset(name for name, about in known.items() if about.get("ActiveState") == "failed"),
        stale=stale,
    )


def _known(names: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """What systemd says of units: a paragraph of KEY=VALUE for each."""
    text = run(["systemctl", "show", "--property=Id,ActiveState,UnitFileState", *names])
    found = (dict(line.split("=", 1) for line in part.splitlines() if "=" in line) for part in text.split("\n\n"))
    return {about["Id"]: about for about in found if "Id" in about}


def carry_out(place: Place, steps: Iterable[Step], note: Callable[[str], None]) -> tuple[str, ...]:
    """Do the steps in order, telling each before it is done. Return what failed and is not fatal, in sentences."""
    failed = []
    for step in steps:
        note(f"+ {step}")
        match step:
            case Write():
                _write(place, step)
            case Remove():
                (place.own / step.name).unlink(missing_ok=True)
            case Systemctl():
                if problem := _systemctl(step):
                    failed.append(problem)
    return tuple(failed)


def _write(place: Place, step: Write) -> None:
    file = place.own / step.name
    try:
        if step.keep:
            file.replace(file.with_name(step.name + KEPT))
        write_atomically(file, step.text, 0o644)
    except OSError as error:
        raise DeviceError(f"{file} cannot be written: {error.strerror}") from None


def _systemctl(step: Systemctl) -> str:
    try:
        run(["systemctl", *step.words], deadline=DEADLINE)
    except CommandError as error:
        if step.fatal:
            raise DeviceError(f"{step}: {error.message}", hint=error.hint) from None
        return f"{step}: {error.message}"
    return ""
