"""`mesh-sync setup`: unit files in their place, enabled and started. Safe to repeat: an upgrade ends with it."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import CommandError, ConfigError, DeviceError
from mesh_sync.node import state as states
from mesh_sync.node.config import DEFAULT_CONFIG, Node
from mesh_sync.system import own_code
from mesh_sync.system.run import is_installed, run
from mesh_sync.system.shell_words import quote
from mesh_sync.units.machine import Place, carry_out, look, sources
from mesh_sync.units.needed import Missing, missing
from mesh_sync.units.plan import DAEMON, PASS, setting_up
from mesh_sync.units.unit_file import hidden, installed

Note = Callable[[str], None]
USUAL_PORT = 51820
MODULE = Path("/sys/module/wireguard")
WITHOUT_SYSTEMD = (
    "without systemd: run `mesh-sync up` at boot, `mesh-sync now` every minute (cron), and `mesh-watchdog run` "
    "under what else keeps services running"
)


@frozen
class SetUp:
    """``failed``: what did not work, in sentences; ``acted``: whether there was anything to do; ``applied``: whether
    the node has a list; ``doubtful``: what may be missing; ``firewall``: what has to let WireGuard's port in.
    """

    failed: tuple[str, ...]
    acted: bool
    applied: bool
    doubtful: tuple[str, ...]
    firewall: str


def set_up(
    node: Node,
    note: Note,
    config: Path = DEFAULT_CONFIG,
    *,
    watchdog: bool = True,
    dry_run: bool = False,
    place: Place | None = None,
) -> SetUp:
    """Install, enable and start the units; with ``dry_run`` only tell which steps that takes.

    Raise ConfigError or DeviceError, nothing changed, where they could not work.
    """
    place = place or Place()
    if not place.has_systemd:
        raise DeviceError("systemd does not run this machine: there are no units to set up", hint=WITHOUT_SYSTEMD)
    lacks = lacking(node)
    if lacks.needed:
        raise DeviceError(f"not installed: {', '.join(lacks.needed)}", hint=f"{lacks.command}; then mesh-sync setup")
    programs = programs_folder()
    config = config.absolute()
    if unseen := hidden(config):
        raise ConfigError(f"the units cannot see {config}", hint=f"move it out of {unseen}")
    texts = {name: installed(name, text, programs, config) for name, text in sources().items()}
    steps = setting_up(look(place, texts, stale=_is_stale(node)), texts, watchdog=watchdog)
    if dry_run:
        for step in steps:
            note(f"+ {step}")
        failed: tuple[str, ...] = ()
    else:
        failed = carry_out(place, steps, note)
    doubtful = (*lacks.doubtful, *([lacks.command] if lacks.doubtful else ()))
    applied = states.load(node.state_file).last_confirmed.desired
    port = applied.listen_port if applied and applied.listen_port else USUAL_PORT
    return SetUp(failed, bool(steps), applied is not None, doubtful, firewall_hint(port))


def raise_if_not_root(command: str) -> None:
    """Raise ConfigError for everybody but root."""
    if os.geteuid() != 0:
        raise ConfigError("only root can do that", hint=f"sudo mesh-sync {command}")


def lacking(node: Node) -> Missing:
    """What this machine lacks of what the node needs."""
    return missing(node, is_installed, kernel=_kernel_has_wireguard())


def _kernel_has_wireguard() -> bool:
    """As far as can be seen without making an interface: a container may have to ask its host."""
    return MODULE.exists() or _works("modprobe", "--dry-run", "--quiet", "wireguard")


def _works(*argv: str) -> bool:
    try:
        run(argv)
    except CommandError:
        return False
    return True


def programs_folder() -> Path:
    """Where mesh-sync and mesh-watchdog are, as the units are to call them. Raise ConfigError where they cannot."""
    called, scripts = Path(sys.argv[0]).absolute(), Path(sysconfig.get_path("scripts"))
    for folder in (*([called.parent] if called.name == "mesh-sync" else []), scripts):
        if all(os.access(folder / program, os.X_OK) for program in ("mesh-sync", "mesh-watchdog")):
            break
    else:
        raise ConfigError(f"mesh-sync and mesh-watchdog are not both in {scripts}", hint="install mesh-sync again")
    for path in (folder, (folder / "mesh-sync").resolve(), Path(sys.prefix), Path(sys.base_prefix), Path(__file__)):
        if unseen := hidden(path):
            raise ConfigError(
                f"mesh-sync is installed in {path}, and its units cannot see what is in {unseen}",
                hint="install it elsewhere: python3 -m venv /opt/mesh-sync && /opt/mesh-sync/bin/pip install WHEEL",
            )
    return folder


def _is_stale(node: Node) -> bool:
    """Whether the daemon that runs says that it is of other code than this, or says nothing."""
    try:
        return node.code_file.read_text(encoding="ascii").strip() != own_code.digest()
    except (OSError, UnicodeDecodeError):
        return True


def firewall_hint(port: int) -> str:
    """What lets WireGuard in, by the firewall that is here, if it is one that is known."""
    command = ""
    if is_installed("ufw"):
        command = f"ufw allow {port}/udp"
    elif is_installed("firewall-cmd"):
        command = f"firewall-cmd --permanent --add-port={port}/udp && firewall-cmd --reload"
    elif _works("nft", "list", "chain", "inet", "filter", "input"):
        command = f"nft insert rule inet filter input udp dport {port} accept"
    here = f", on this machine by: {command}" if command else ""
    return f"peers reach this node at UDP port {port}; a firewall has to let that in{here}"


def advice(failed: tuple[str, ...]) -> str:
    """Where to read why a unit failed."""
    units = [unit for unit in (PASS, DAEMON) if any(unit in text for text in failed)]
    return "journalctl -n 30 " + " ".join(f"-u {quote(unit)}" for unit in units) if units else "systemctl --failed"
