"""The commands of node.toml's `[hooks]`: root's own, never the repository's."""

from __future__ import annotations

from collections.abc import Sequence

from mesh_sync.errors import CommandError, DeviceError
from mesh_sync.system.run import run
from mesh_sync.wireguard.device import Device

DEADLINE = 60.0
"""Seconds for each command."""


class HookFailed(DeviceError):
    """A command of root's own failed; the interface is as it should be."""


def run_hooks(commands: Sequence[str], device: Device) -> None:
    """Run root's own commands, in order. Raise HookFailed at the first that fails."""
    for command in commands:
        device.note(f"hook: {command}")
        try:
            run(["sh", "-c", command], deadline=DEADLINE, env={"INTERFACE": device.name, "HOME": "/root"})
        except CommandError as error:
            raise HookFailed(f"the hook {command!r} of node.toml: {error.message}") from None
