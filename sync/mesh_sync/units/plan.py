"""Which steps lead from the units that a machine has to those that it should have, or to none. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from mesh_sync.system.shell_words import join
from mesh_sync.units.unit_file import is_ours

BOOT, TIMER, PASS = "mesh-sync-up.service", "mesh-sync.timer", "mesh-sync.service"
DAEMON, NEWS = "mesh-watchdog.service", "mesh-sync-news.path"
ONCE = "mesh-watchdog-once.timer"
"""Who prefers it to the daemon enables it by hand, and keeps it."""
ORDER = (NEWS, ONCE, "mesh-watchdog-once.service", DAEMON, TIMER, PASS, BOOT)
"""In which units are stopped: what starts others first, and last what takes the mesh down."""
KEPT = ".before-setup"
"""What the name of a file ends in that was in a unit's place; systemd reads no such file."""


@frozen
class Units:
    """What a machine has, by unit name.

    ``files``: texts in /etc/systemd/system; ``links``: those there that lead to a file of the package; ``packaged``:
    those that the system's own packages bring; ``stale``: the daemon runs other code than is installed.
    """

    files: Mapping[str, str] = {}
    links: frozenset[str] = frozenset()
    packaged: frozenset[str] = frozenset()
    enabled: frozenset[str] = frozenset()
    active: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    stale: bool = False


@frozen
class Write:
    """Put a unit file in its place. ``keep``: what is there was written by another, and is kept beside it."""

    name: str
    text: str
    keep: bool = False

    def __str__(self) -> str:
        kept = f" (what was there is kept as {self.name}{KEPT})" if self.keep else ""
        return f"write {self.name}{kept}"


@frozen
class Remove:
    """Remove a unit file, or the link in its place."""

    name: str

    def __str__(self) -> str:
        return f"remove {self.name}"


@frozen
class Systemctl:
    """Run systemctl. ``fatal``: without it the rest makes no sense."""

    words: tuple[str, ...]
    fatal: bool = True

    def __str__(self) -> str:
        return join(["systemctl", *self.words])


Step = Write | Remove | Systemctl


def setting_up(found: Units, texts: Mapping[str, str], *, watchdog: bool) -> tuple[Step, ...]:
    """Given what a machine has and the texts that the unit files should have, return what is to be done; nothing where
    all is as it should be.

    ``watchdog``: whether it watches. A timer that does so in its place stays.
    """
    files = tuple(_files(found, texts))
    changed = {step.name for step in files}
    by_timer = ONCE in found.enabled | found.active
    watching = ((NEWS,) if by_timer else (DAEMON, NEWS)) if watchdog else ()
    wanted = (BOOT, TIMER, *watching)
    unwanted = () if watchdog else tuple(sorted({DAEMON, NEWS, ONCE} & (found.enabled | found.active)))
    return (*files, *_states(found, changed, wanted, unwanted))


def _files(found: Units, texts: Mapping[str, str]) -> Iterator[Write | Remove]:
    for name, text in texts.items():
        present = found.files.get(name)
        if name in found.packaged:
            if name in found.links or (present is not None and is_ours(present)):
                yield Remove(name)
        elif present != text or name in found.links:
            yield Write(name, text, keep=present is not None and name not in found.links and not is_ours(present))


def _states(found: Units, changed: set[str], wanted: Sequence[str], unwanted: Sequence[str]) -> Iterator[Systemctl]:
    if changed:
        yield Systemctl(("daemon-reload",))
    if again := [name for name in wanted if name in found.links and name in found.enabled]:
        yield Systemctl(("reenable", *again))  # what starts them leads to the linked file
    if new := [name for name in wanted if name not in found.enabled and name not in again]:
        yield Systemctl(("enable", *new))
    if unwanted:
        yield Systemctl(("disable", "--now", *unwanted))
    if DAEMON in wanted and DAEMON in found.active and (DAEMON in changed or found.stale):
        yield Systemctl(("restart", DAEMON), fatal=False)
    if old := [
        name for name in (TIMER, NEWS, ONCE) if name in changed and name in found.active and name not in unwanted
    ]:
        yield Systemctl(("restart", *old), fatal=False)
    starts = [name for name in wanted if name not in found.active]
    if BOOT in starts:
        yield Systemctl(("start", BOOT), fatal=False)
    if TIMER in starts:  # the first pass is waited for, and shows whether it works
        yield Systemctl(("start", PASS), fatal=False)
    if rest := [name for name in starts if name != BOOT]:
        yield Systemctl(("start", *rest), fatal=False)


def leaving(found: Units, names: Sequence[str]) -> tuple[Step, ...]:
    """The steps that stop and remove all units: first they are stopped, as long as systemd knows how."""
    return (*_stopping(found), *_removing(found, names))


def _stopping(found: Units) -> Iterator[Systemctl]:
    if running := [name for name in ORDER if name in found.active | found.failed]:
        yield Systemctl(("stop", *running), fatal=False)
    if enabled := [name for name in ORDER if name in found.enabled]:
        yield Systemctl(("disable", *enabled), fatal=False)


def _removing(found: Units, names: Sequence[str]) -> Iterator[Step]:
    ours = [name for name in names if name in found.links or is_ours(found.files.get(name, ""))]
    yield from map(Remove, ours)
    if ours:
        yield Systemctl(("daemon-reload",))
    if failed := [name for name in ORDER if name in found.failed]:
        yield Systemctl(("reset-failed", *failed), fatal=False)
