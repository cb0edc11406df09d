"""What survives a restart: where peers were last reached, and what their names last stood for (rule R16).

For `once` also everything that is believed of peers and names, until the machine is booted again: its passes are
slices of one run, and the monotonic clock goes on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from mesh_sync.typed_toml.fields import text
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, table
from mesh_sync.wireguard.endpoint import Address
from mesh_watchdog.policy.dns_names import NameState
from mesh_watchdog.policy.observations import Declared
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.state import State
from mesh_watchdog.report.status_file import write

VERSION = 1
_NOBODY = Declared("", (), "")
"""Whom the applied state then gives a name."""


@frozen
class _Memory:
    """The file. ``good``: endpoints by public key; ``believed``: a `_Belief` of the pass that ended in ``boot``."""

    version: int
    good: Mapping[str, str]
    names: Mapping[str, frozenset[Address]]
    boot: str = ""
    believed: Any = None


@frozen
class _Belief:
    peers: Mapping[str, PeerState]
    names: Mapping[str, NameState]


def save(path: Path, state: State, boot: str = "") -> str:
    """Write the memory, 0600; with ``boot`` for the next pass of `once` too. Return what went wrong, if anything."""
    data: dict[str, Any] = {
        "version": VERSION,
        "good": {key: peer.good for key, peer in state.peers.items() if peer.good},
        "names": {host: name.addresses for host, name in state.names.items() if name.addresses},
    }
    if boot:
        data |= {"boot": boot, "believed": _Belief(state.peers, state.names)}
    return write(path, as_json(data))


def load(path: Path, moment: float, boot: str = "") -> State:
    """What is left of an earlier run: peers that were not heard yet, where they last were. A broken memory is empty.

    With ``boot`` it is what the last pass believed, if that ended in this boot.
    """
    try:
        memory = _memory_of(read_json(path.read_bytes()))
    except (OSError, Wrong):
        return State()
    if memory.version != VERSION:
        return State()
    if boot and memory.boot == boot:
        with suppress(Wrong):
            belief = _belief_of(memory.believed)
            names = {host: evolve(name, pending=False) for host, name in belief.names.items()}
            return State(peers=belief.peers, names=names)
    new = PeerState(declared=_NOBODY, since=moment, heard=moment)
    return State(
        peers={key: evolve(new, good=endpoint) for key, endpoint in memory.good.items()},
        names={host: NameState(addresses=addresses) for host, addresses in memory.names.items()},
    )


def _address(value: object) -> Address:
    return ipaddress.ip_address(text(value))


_memory_of = table(_Memory, {Address: _address})
_belief_of = table(_Belief, {Address: _address})
