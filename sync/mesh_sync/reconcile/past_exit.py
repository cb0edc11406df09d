"""Asking the remotes past an exit that is dead: git and the names that it needs go by the underlay for that long.

No mark can be set on what git, ssh and a local stub send. So the main table is looked up first for these few addresses,
by rules of a priority of their own, which are on record before they are there and gone when the remotes were asked.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from mesh_sync.names import resolve
from mesh_sync.names.upstreams import upstreams
from mesh_sync.node.config import Node
from mesh_sync.reconcile.health import heard_of
from mesh_sync.repository.hosts import hosts
from mesh_sync.repository.remote import HeadRequest, asked, remotes
from mesh_sync.system.files import write_atomically
from mesh_sync.wireguard import ip, ways
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.live import Live
from mesh_sync.wireguard.longest_prefix import LongestPrefix
from mesh_sync.wireguard.protocol import ANSWER_OWED

AGAIN = 1.0
"""Seconds between two questions: a stub goes on with a look-up that began before the way was open, at its own pace."""
SHORTEST = 3.0
"""Seconds that the exit has at least for an answer."""
Note = Callable[[str], None]


@contextmanager
def past_dead_exit(
    node: Node, desired: Desired, live: Live, request: HeadRequest, note: Note
) -> Iterator[tuple[HeadRequest, str]]:
    """The remotes asked once more, past the exit that ``desired`` has, if that is dead; and a sentence that says so.

    The same ``request``, and no sentence, where that would not help. The way past the exit is there while the body
    runs. Raise DeviceError.
    """
    dead = _dead(node, desired, live, request.took)
    told: list[str] = []
    try:
        for find in (_resolvers, lambda: _git_hosts(node)) if dead else ():
            told += _open(node, desired, dead, told, find())
        if not told:
            yield request, ""
            return
        names = ", ".join(sorted({peer.name for peer in dead.values()}))
        why = f"the exit {names} does not answer"
        if node.git_past_exit == "unreachable":
            why = f"no remote answers through the exit {names}"
        note(f"{why}: asking the remotes past it")
        with asked(remotes(node, 2.0 * node.repository.deadline), AGAIN) as again:
            again.join()
            yield again, f"{why}: git went past it by this machine's own network"
    finally:
        close(node)


def close(node: Node) -> None:
    """Take away the ways past the exit that are on record: of this run, or of one that was killed."""
    file = node.past_exit_file
    try:
        addresses = [str(ipaddress.ip_address(text)) for text in json.loads(file.read_text())]
    except FileNotFoundError:
        return
    except (OSError, ValueError, TypeError):  # half a file of a crashed machine: its rules are gone with it
        addresses = []
    ip.set_ways_past_exit(addresses, add=False)
    file.unlink(missing_ok=True)


def _dead(node: Node, desired: Desired, live: Live, asked_for: float) -> Mapping[str, DesiredPeer]:
    """The peers that carry what leaves by an exit and do not answer, by the key that the list has; ``asked_for``: for
    so many seconds the remotes were asked through them."""
    carrying = {
        peer.public_key: peer
        for peer in desired.peers
        if peer.allowed_ips & desired.exit_routes and live.peers.keys() & {*peer.keys}
    }
    if node.git_past_exit == "unreachable":
        return carrying
    if not carrying or node.git_past_exit == "never":
        return {}
    # What was asked so far went through them, so they have owed an answer since ``live`` was read.
    rest = max(SHORTEST, ANSWER_OWED - asked_for)
    alive = heard_of(node.interface, list(carrying.values()), live.peers, rest)
    return {key: peer for key, peer in carrying.items() if peer.name not in alive}


def _resolvers() -> list[str]:
    """The nameservers of this machine, and those behind a local one."""
    servers = resolve.nameservers()
    return [server.address for server in (*servers, *upstreams(servers)) if not server.is_local]


def _git_hosts(node: Node) -> list[str]:
    """The addresses of the remotes' hosts, as the system looks them up, but for a local nameserver in between."""
    found, names = list[str](), list[str]()
    for host in hosts(node.repository.urls):
        try:
            found.append(str(ipaddress.ip_address(host)))
        except ValueError:
            names.append(host)
    answers = resolve.resolve(names, servers=upstreams(resolve.nameservers()) or None)
    return found + [str(address) for answer in answers.values() for address in answer.addresses]


def _open(
    node: Node, desired: Desired, dead: Mapping[str, DesiredPeer], before: list[str], addresses: Iterable[str]
) -> list[str]:
    """Open the way to those of ``addresses`` to which packets go through a dead peer, and would get past it."""
    asked = [address for address in dict.fromkeys(addresses) if "%" not in address and address not in before]
    if not asked:
        return []
    found = ways.ask(asked, desired.fwmark)
    carriers = LongestPrefix(
        (ipaddress.ip_network(network), peer.public_key) for peer in desired.peers for network in peer.allowed_ips
    )
    opened = []
    for address in asked:
        inside, past = found.plain.get(address), found.marked.get(address)
        hit = carriers.find(ipaddress.ip_address(address))
        through = inside is not None and inside.device == node.interface
        if through and past and past.device != node.interface and hit and hit[1] in dead:
            opened.append(address)
    if opened:
        write_atomically(node.past_exit_file, json.dumps(before + opened))
        ip.set_ways_past_exit(opened, add=True)
    return opened
