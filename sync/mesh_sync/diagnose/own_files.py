"""This machine's private key, and the programs that the work is done with."""

from __future__ import annotations

from pathlib import Path

from mesh_sync.diagnose.check import Seen, Subject
from mesh_sync.diagnose.trouble import WARNING, Trouble
from mesh_sync.errors import CommandError, ConfigError
from mesh_sync.system.run import is_installed, run
from mesh_sync.system.shell_words import quote
from mesh_sync.wireguard.keys import public_key, read_private_key

PROGRAMS = {"wg": "--version", "ip": "-V", "git": "--version", "nft": "--version"}
MODULE = Path("/sys/module/wireguard")
SOCKETS = Path("/run/wireguard")


def private_key(subject: Subject) -> Seen:
    """Whether the key is root's alone, and the one that the list names."""
    file, desired, troubles = subject.node.private_key_file, subject.desired, list[Trouble]()
    if subject.state.lost:
        text = f"{subject.node.state_file} cannot be read: what is applied is not known"
        troubles.append(Trouble("state-lost", text, "mesh-sync now"))
    try:
        mode, owner = file.stat().st_mode & 0o777, file.stat().st_uid
    except OSError as error:
        text = f"{file} cannot be read: {error.strerror}"
        return Seen(troubles=(*troubles, Trouble("key-unreadable", text, "mesh-sync join makes the key")))
    if owner:
        troubles.append(
            Trouble("key-owner", f"{file} belongs to user {owner}, not to root", f"chown root: {quote(str(file))}")
        )
    if mode & 0o077:
        text = f"{file} can be read by other users (mode {mode:04o}); anyone who has read it can pass for this node"
        troubles.append(
            Trouble("key-open", text, f"chmod 600 {quote(str(file))}; and for a new key: mesh-sync rotate-key")
        )
        return Seen(troubles=tuple(troubles))
    try:
        held = public_key(read_private_key(file))
    except ConfigError as error:
        return Seen(troubles=(*troubles, Trouble("key-unreadable", error.message, error.hint)))
    if desired and held not in (desired.public_key, desired.other_key):
        text = f"{file} belongs to the public key {held}, and the list names {desired.public_key}"
        fix = "put the right key there, or the right public key into the list; mesh-sync rotate-key changes both"
        troubles.append(Trouble("key-other", text, fix))
    return Seen((f"public key {held}",), tuple(troubles))


def programs(subject: Subject) -> Seen:
    """Which versions are used, and what makes the interface: the kernel or wireguard-go."""
    facts, troubles = list[str](), list[Trouble]()
    for program, option in PROGRAMS.items():
        try:
            lines = run([program, option]).splitlines()
            facts.append(lines[0].strip() if lines else f"{program} does not say which it is")
        except CommandError as error:
            needed = program != "nft" or bool(subject.desired and subject.desired.firewall)
            what = Trouble("program", error.message, f"install {program}")
            troubles += [what] if needed else []
    if (SOCKETS / f"{subject.node.interface}.sock").exists():
        facts.append(f"{subject.node.interface} is made by wireguard-go")
    elif subject.live:
        facts.append(f"{subject.node.interface} is made by the kernel")
    elif not MODULE.exists() and not is_installed("wireguard-go"):
        text = "the kernel has no WireGuard loaded, and wireguard-go is not installed"
        troubles.append(Trouble("no-wireguard", text, "modprobe wireguard, or install wireguard-go", WARNING))
    return Seen(tuple(facts), tuple(troubles))
