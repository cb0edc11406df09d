"""Other programs that think the interface is theirs, and the timers and services that keep it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from mesh_sync.diagnose.check import Seen, Subject
from mesh_sync.diagnose.trouble import WARNING, Trouble
from mesh_sync.errors import CommandError
from mesh_sync.system.run import is_installed, run

NETWORKD = tuple(map(Path, ("/etc/systemd/network", "/run/systemd/network", "/usr/lib/systemd/network")))
UNITS = Path("/etc/systemd/system")
SYSTEMD = Path("/run/systemd/system")
UNITS_OF_OURS = ("mesh-sync.timer", "mesh-watchdog.service")
INSTEAD = {"mesh-watchdog.service": "mesh-watchdog-once.timer"}
_NAMES = re.compile(r"(?m)^\s*Name\s*=\s*(.+?)\s*$")


def other_tools(subject: Subject) -> Seen:
    """Whether NetworkManager, systemd-networkd or wg-quick has something to do with the interface."""
    interface = subject.node.interface
    troubles = (*_network_manager(interface), *_networkd(interface), *_wg_quick(interface))
    return Seen(() if troubles else (f"no other program claims {interface}",), troubles)


def _network_manager(interface: str) -> Iterator[Trouble]:
    """One that is only watched is `connected (externally)`; one that is left alone, `unmanaged`."""
    if not is_installed("nmcli"):
        return
    try:
        lines = run(["nmcli", "-t", "-f", "DEVICE,STATE", "device"]).splitlines()
    except CommandError:  # it does not run
        return
    states = {device: state for device, _, state in (line.partition(":") for line in lines)}
    state = states.get(interface, "unmanaged")
    if state != "unmanaged" and "external" not in state:
        text = f"NetworkManager manages {interface} ({state}): it may take its addresses and routes away"
        yield Trouble("network-manager", text, f"nmcli device set {interface} managed no")


def _networkd(interface: str) -> Iterator[Trouble]:
    for file in (file for folder in NETWORKD for kind in ("network", "netdev") for file in folder.glob(f"*.{kind}")):
        try:
            names = " ".join(_NAMES.findall(file.read_text(errors="replace"))).split()
        except OSError:
            continue
        if any(fnmatchcase(interface, name) and name != "*" for name in names):
            text = f"{file} is about {interface}: systemd-networkd would configure it too"
            reload = " && networkctl reload" if SYSTEMD.exists() else ""
            yield Trouble("networkd", text, f"mv {file} {file}.off{reload}", WARNING)


def _wg_quick(interface: str) -> Iterator[Trouble]:
    unit = f"wg-quick@{interface}.service"
    for link in UNITS.glob(f"*.wants/{unit}"):
        text = f"{unit} is enabled ({link.parent.name}): at boot it makes the interface from wg0.conf first"
        fix = f"systemctl disable {unit}" if SYSTEMD.exists() else f"rm {link}"
        yield Trouble("wg-quick", text.replace("wg0.conf", f"{interface}.conf"), fix, WARNING)


def services(_: Subject) -> Seen:
    """Whether the timer of `mesh-sync now` and the watchdog run."""
    if not SYSTEMD.exists() or not is_installed("systemctl"):
        return Seen(skipped="systemd does not run here")
    facts, troubles = list[str](), list[Trouble]()
    for unit in UNITS_OF_OURS:
        kept = next((one for one in (unit, INSTEAD.get(unit, unit)) if _says("is-active", one) == "active"), None)
        if kept is None:
            fix = "mesh-sync setup"
            troubles.append(Trouble("service", f"{unit} is not active", fix, WARNING))
        elif _says("is-enabled", kept) not in ("enabled", "enabled-runtime", "linked", "static", "generated"):
            text = f"{kept} is active, and not enabled: it ends with this boot"
            troubles.append(Trouble("service", text, f"systemctl enable {kept}", WARNING))
        else:
            facts.append(f"{kept} is active")
    return Seen(tuple(facts), tuple(troubles))


def _says(*words: str) -> str:
    """The one word that systemctl answers with; its exit status says no more."""
    try:
        return run(["systemctl", *words], partly=True).strip()
    except CommandError as error:
        return error.stdout.strip()
