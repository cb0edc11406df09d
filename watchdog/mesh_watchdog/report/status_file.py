"""What `status` and the metrics show, from what is believed; and its file, which the watchdog alone writes.

No key is in it. Moments are on the monotonic clock until they are shown, so that a step of the wall clock falsifies
none.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mesh_sync.errors import ConfigError, DeviceError, Locked, MeshSyncError
from mesh_sync.node.config import Node
from mesh_sync.system.files import write_atomically
from mesh_sync.system.lock import locked
from mesh_sync.typed_toml.reader import read_json
from mesh_watchdog.journal import Tally
from mesh_watchdog.policy.candidates import from_dns
from mesh_watchdog.policy.dns_names import NameState
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.relayed import RELAYED
from mesh_watchdog.policy.relaying import why
from mesh_watchdog.policy.reports import SEEN, TOLD
from mesh_watchdog.policy.rounds import SOURCE
from mesh_watchdog.policy.state import State

_MOMENTS = ("since", "heard", "probed")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STALE = 60.0
"""Seconds after which what is written there is not how things are."""


def boot_id() -> str:
    """What tells this boot from every other; monotonic times of one boot mean nothing in the next."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def status_file(node: Node) -> Path:
    return node.paths.run / f"{node.interface}.watchdog.json"


def alone_file(node: Node) -> Path:
    """The lock that a running watchdog holds."""
    return node.paths.run / f"{node.interface}.watchdog.lock"


def memory_file(node: Node) -> Path:
    return node.paths.state / node.interface / "watchdog.json"


def write(path: Path, text: str, mode: int = 0o600) -> str:
    """Write a file whole or not at all. Return what went wrong, if anything did."""
    try:
        write_atomically(path, text, mode=mode, durable=False)
    except MeshSyncError as error:
        return error.message
    return ""


def read(node: Node) -> dict[str, Any]:
    """What the last watchdog wrote, with moments as Unix time, and whether it is `running` and up to date.

    Raise DeviceError when none ever ran since the boot.
    """
    path = status_file(node)
    try:
        view: dict[str, Any] = read_json(path.read_bytes())
        moment, view["running"] = time.monotonic(), is_running(node)
        # What a running watchdog wrote is of this boot. Its id does not tell: a unit's own /proc has that of the
        # machine, also in a container that shows another one outside of the unit.
        same_boot = view["running"] or view["boot"] == boot_id()
        view["age"] = moment - view["written"] if same_boot else None
        offset = time.time() - moment if same_boot else 0.0
        for table, keys in [(view, ("started", "written")), *((peer, _MOMENTS) for peer in view["peers"])]:
            for key in keys:
                table[key] = table[key] + offset if same_boot and table[key] is not None else None
    except FileNotFoundError:
        text = f"no watchdog has run for {node.interface} since this machine was booted"
        raise DeviceError(text, hint="mesh-sync setup") from None
    except OSError as error:
        raise DeviceError(f"{path} cannot be read: {error.strerror}", hint="run it as root") from None
    except (ValueError, TypeError, KeyError) as error:
        raise DeviceError(f"{path} is broken: {error}", hint="systemctl restart mesh-watchdog") from None
    view["stale"] = view["age"] is None or view["age"] > STALE
    return view


@contextmanager
def alone(node: Node) -> Iterator[None]:
    """Be the only watchdog of the interface. Raise Locked when there is one."""
    try:
        with locked(alone_file(node), 0):
            yield
    except Locked:
        hint = "`mesh-watchdog status` shows what it does"
        raise Locked(f"another mesh-watchdog watches {node.interface}", hint=hint) from None


def is_running(node: Node) -> bool:
    """Whether a watchdog holds its lock."""
    if not alone_file(node).exists():
        return False
    try:
        with locked(alone_file(node), 0):
            return False
    except Locked:
        return True
    except (ConfigError, DeviceError):  # not ours to open: believe the file's age
        return True


def view(
    state: State, tally: Tally, about: Mapping[str, Any], problems: Iterable[str], moment: float
) -> dict[str, Any]:
    """Everything worth showing, as one JSON object; ``about`` says who reports."""
    peers = sorted(state.peers.items(), key=lambda item: item[1].declared.name)
    return {
        **about,
        "written": moment,
        "interface_up": state.interface,
        "ours": state.cut_off,
        "nat": state.rendezvous.nat,
        "own_addresses": sorted(map(str, state.surroundings.own)),
        "ip_versions": sorted(state.surroundings.versions),
        "port_mapping": {"endpoint": state.mapped or None, "how": state.mapped_how or None},
        "problems": list(problems),
        "peers": [_peer(key, peer, state, tally, moment) for key, peer in peers],
        "gateways": [_gateway(network, keys, state) for network, keys in sorted(state.leading.order.items())],
        "dns_queries": tally.dns_queries,
        "dns_failures": tally.dns_failures,
        "writes": tally.writes.total(),
        "writes_avoided": tally.avoided.total(),
        "probes": tally.probes,
        "openers": tally.openers,
        "readings": tally.readings,
    }


def _gateway(network: str, keys: Iterable[str], state: State) -> dict[str, Any]:
    names = {key: state.peers[key].declared.name for key in keys if key in state.peers}
    led = state.leading.now.get(network)
    return {"network": network, "peers": list(names.values()), "carried_by": names.get(led.by) if led else None}


def _peer(key: str, peer: PeerState, state: State, tally: Tally, moment: float) -> dict[str, Any]:
    names = {host: state.names[host] for host in peer.declared.hosts if host in state.names}
    relay = state.relaying.relay_of(key)
    return {
        "name": peer.declared.name,
        "state": RELAYED if relay else peer.phase,
        "since": state.relaying.peers[key].since if relay else peer.since,
        "relay": state.peers[relay].declared.name if relay in state.peers else None,
        "why": why(state, key, moment) or None,
        "heard": peer.heard,
        "endpoint": peer.endpoint or None,
        "source": source(peer, names),
        "dns": [_name(host, name, moment) for host, name in names.items()],
        "probed": peer.probed,
        "misses": peer.misses,
        "switches": peer.switches,
        "writes": tally.writes[key],
        "writes_avoided": tally.avoided[key],
        "hunts": tally.searches[key],
        "last_recovery": peer.recovery,
        "last_good": peer.good or None,
        "rx_bytes": peer.seen.rx if peer.seen else 0,
        "tx_bytes": peer.seen.tx if peer.seen else 0,
    }


def source(peer: PeerState, names: Mapping[str, NameState]) -> str:
    """Where the endpoint comes from: `list` (a literal), `dns`, `last good`, `seen` (there, by other peers), `told` (by
    the peer itself, through others), `birthday` (met by packets to many ports), `roamed` (the peer came), or
    `none`.
    """
    endpoint = peer.endpoint
    if not endpoint:
        return "none"
    if endpoint == peer.last_set and peer.source in ("last good", SEEN, TOLD, SOURCE):
        return peer.source
    if endpoint in map(str, peer.declared.endpoint):
        return "list"
    told = (found for found, _ in from_dns(peer, names))
    return "dns" if endpoint == peer.declared.resolved or endpoint in told else "roamed"


def _name(host: str, name: NameState, moment: float) -> dict[str, Any]:
    age = None if name.answered is None else moment - name.answered
    return {
        "host": host,
        "addresses": sorted(map(str, name.addresses)),
        "age": age,
        "ttl_left": None if age is None else max(0.0, name.ttl - age),
        "queries": name.queries,
        "problem": name.problem or None,
    }
