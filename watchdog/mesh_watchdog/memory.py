"""What survives a restart: where peers were last reached, and what their names last stood for (rule R16).

For `once` also everything that is believed of peers and names, until the machine is booted again: its passes are
slices of one run, and the monotonic clock goes on.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from mesh_sync.errors import MeshSyncError
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard.endpoint import Address
from mesh_watchdog.policy.dns_names import NameState
from mesh_watchdog.policy.events import Declared
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.state import State

if TYPE_CHECKING:
    from cattrs import Converter

VERSION = 1
_NOBODY = Declared("", (), "")
"""Whom the applied state then gives a name."""
_BROKEN = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError)


def save(path: Path, state: State, boot: str = "") -> str:
    """Write the memory, 0600; with ``boot`` for the next pass of `once` too. Return what went wrong, if anything."""
    data = {
        "version": VERSION,
        "good": {key: peer.good for key, peer in state.peers.items() if peer.good},
        "names": {host: sorted(map(str, name.addresses)) for host, name in state.names.items() if name.addresses},
    }
    if boot:
        data |= {"boot": boot, "believed": _converter().unstructure({"peers": state.peers, "names": state.names})}
    try:
        write_atomically(path, json.dumps(data, separators=(",", ":")), durable=False)
    except MeshSyncError as error:
        return error.message
    return ""


def load(path: Path, moment: float) -> State:
    """What is left of an earlier run: peers that were not heard yet, where they last were. A broken memory is empty."""
    try:
        data = json.loads(path.read_bytes())
        if data["version"] != VERSION:
            return State()
        good = {str(key): str(endpoint) for key, endpoint in data["good"].items()}
        names = {str(host): frozenset(map(ipaddress.ip_address, found)) for host, found in data["names"].items()}
    except _BROKEN:
        return State()
    return State(
        peers={key: PeerState(declared=_NOBODY, since=moment, heard=moment, good=where) for key, where in good.items()},
        names={host: NameState(addresses=addresses) for host, addresses in names.items()},
    )


def load_pass(path: Path, moment: float, boot: str) -> State:
    """What the last pass believed; as `load` if it ended in another boot, or under another version."""
    from cattrs.errors import BaseValidationError

    try:
        data = json.loads(path.read_bytes())
        if data["version"] != VERSION or data["boot"] != boot:
            return load(path, moment)
        believed = data["believed"]
        peers = _converter().structure(believed["peers"], dict[str, PeerState])
        names = _converter().structure(believed["names"], dict[str, NameState])
    except (*_BROKEN, BaseValidationError):
        return load(path, moment)
    return State(peers=peers, names={host: evolve(name, pending=False) for host, name in names.items()})


def _converter() -> Converter:
    import cattrs

    made = cattrs.Converter(forbid_extra_keys=True)
    made.register_unstructure_hook(ipaddress.IPv4Address, str)
    made.register_unstructure_hook(ipaddress.IPv6Address, str)
    made.register_structure_hook(Address, _address)
    made.register_unstructure_hook_factory(lambda kind: getattr(kind, "__origin__", None) is frozenset, _as_list)
    return made


def _address(value: Any, _: object) -> Address:
    return ipaddress.ip_address(value)


def _as_list(_: object) -> Any:
    return lambda values: sorted(map(str, values))
