"""A node, `aws`, with three peers, as its nameserver sees them; and questions to it."""

from __future__ import annotations

import base64

import dns.message
import dns.name

from mesh_watchdog.mesh_dns import answers
from mesh_watchdog.mesh_dns.directory import View, directory_of
from mesh_watchdog.mesh_dns.names import services, zone_name
from mesh_watchdog.policy.observations import Declared, Here, Sighting
from mesh_watchdog.policy.peer import PeerState
from mesh_watchdog.policy.state import State


def key(number: int) -> str:
    """A public key; that of 0 is aws's own."""
    return base64.b64encode(number.to_bytes(32)).decode()


def label(number: int) -> str:
    """The same in a name, by another way than the code goes."""
    return base64.b32encode(number.to_bytes(32)).decode().lower()


ZONE = zone_name("mesh.internal")
SERVICES = services(ZONE)
SERVICE = "_wireguard._udp.mesh.internal."
HERE = Here("aws", key(100), "", ("10.0.0.1", "fd00::1"), 51820)
AZURE, GCP, PHONE = key(1), key(2), key(3)
DECLARED = {
    AZURE: Declared("azure", (), "10.0.0.2", "", ("10.0.0.2", "fd00::2"), ("10.0.0.2/32", "fd00::2/128")),
    GCP: Declared("gcp", (), "10.0.0.3", "", ("10.0.0.3",), ("10.0.0.3/32",)),
    PHONE: Declared("phone", (), "10.0.0.4", "", ("10.0.0.4",), ("10.0.0.4/32",), managed=False),
}
SEEN = {AZURE: Sighting("203.0.113.2:51820", 7.4), GCP: Sighting("[2001:db8::3]:40000")}


def state(declared: dict[str, Declared] = DECLARED, **more: object) -> State:
    peers = {key: PeerState(declared=peer, since=0.0, heard=0.0) for key, peer in declared.items()}
    return State(peers=peers, here=HERE, **more)  # type: ignore[arg-type]


VIEW = View(directory_of(state()), SEEN)


def ask(name: str, kind: str, view: View = VIEW, **how: int) -> dns.message.Message:
    """Ask, and return the answer as it arrives; the question, too, goes over the wire."""
    query = answers.read(dns.message.make_query(dns.name.from_text(name), kind, **how).to_wire())  # type: ignore[arg-type]
    assert isinstance(query, dns.message.Message)
    return dns.message.from_wire(answers.packed(answers.answer(query, view), answers.largest(query)))
