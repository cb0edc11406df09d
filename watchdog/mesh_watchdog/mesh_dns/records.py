"""The records of the mesh's zone, as wgsd serves them (github.com/jwhited/wgsd), and those of names. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

import dns.exception
import dns.name
import dns.reversename
import dns.rrset
from attrs import frozen

from mesh_watchdog.mesh_dns import names
from mesh_watchdog.mesh_dns.directory import Directory, View

AT_ONCE = 0
"""TTL of what moves: wgsd's."""
LISTED = 30
"""TTL of what the list says, in seconds: a commit is everywhere within a minute."""
MOST_LISTED = 800
"""Peers in the list of all: what a message by TCP can hold (65,535 bytes)."""
_TXT_MOST = 255
"""Bytes of one string of a TXT record."""


@frozen
class Found:
    """What there is at a name, of all types, and what a client will want to know next (``more``), in this order."""

    records: tuple[dns.rrset.RRset, ...] = ()
    more: tuple[dns.rrset.RRset, ...] = ()


def at(name: dns.name.Name, view: View) -> Found | None:
    """What there is at ``name``, which lies in the zone or stands for an address; None where there is no such name."""
    directory = view.directory
    zone = directory.zone
    if name == zone:
        return Found((soa(directory), _ns(directory)), tuple(_addresses(_own(directory), directory.here.addresses)))
    if name == names.services(zone):
        return Found(tuple(_list(view)))
    if name == names.services(zone).parent():
        return Found()  # nothing there, but below it
    if key := names.key_of(name, zone):
        return _peer(name, key, view)
    if name.parent() != zone:
        return None
    if name == _own(directory):
        return Found(tuple(_addresses(name, directory.here.addresses)))
    key = directory.by_name.get(name.labels[0].decode("ascii", "replace").lower())
    return Found(tuple(_addresses(name, directory.peers[key].addresses))) if key else None


def reverse(name: dns.name.Name, directory: Directory) -> Found | None:
    """The peer at a mesh address, by the address's name in in-addr.arpa or ip6.arpa; None where it is no peer's."""
    try:
        address = dns.reversename.to_address(name)
    except (dns.exception.DNSException, ValueError):
        return None
    if address in directory.here.addresses:
        return Found((_record(name, LISTED, "PTR", _own(directory)),))
    key = directory.by_address.get(address)
    if key is None:
        return None
    return Found((_record(name, LISTED, "PTR", names.host(directory.peers[key].name, directory.zone)),))


def soa(directory: Directory) -> dns.rrset.RRset:
    """Who answers for the zone. The serial says nothing: nobody copies it."""
    words = f"{_own(directory)} hostmaster.{directory.zone} 1 3600 600 86400 {AT_ONCE}"
    return _record(directory.zone, LISTED, "SOA", words)


def _ns(directory: Directory) -> dns.rrset.RRset:
    return _record(directory.zone, LISTED, "NS", _own(directory))


def _own(directory: Directory) -> dns.name.Name:
    return names.host(directory.here.name or "localhost", directory.zone)


def _list(view: View) -> Iterator[dns.rrset.RRset]:
    """One PTR for each peer of which this node knows where it is, those that were heard last first."""
    directory = view.directory
    latest = sorted(view.seen, key=lambda key: view.seen[key].age)[:MOST_LISTED]
    targets = [names.service(key, directory.zone).to_text() for key in latest]
    if targets:
        yield dns.rrset.from_text_list(names.services(directory.zone), AT_ONCE, "IN", "PTR", targets)


def _peer(name: dns.name.Name, key: str, view: View) -> Found | None:
    """SRV, address and TXT of a peer; the address comes first of what is additional, and then the TXT."""
    directory = view.directory
    listed = directory.listed.get(key, "")
    sighting = view.seen.get(listed)
    if sighting is None:
        return None
    host, _, port = sighting.endpoint.rpartition(":")
    address = _record(name, AT_ONCE, "AAAA" if ":" in host else "A", host.strip("[]"))
    allowed = _cut("allowed=" + ",".join(directory.peers[listed].allowed))
    words = ["txtvers=1", f"pub={key}", allowed, f"age={sighting.age:.0f}", f"observer={directory.here.name}"]
    text = _record(name, AT_ONCE, "TXT", " ".join(f'"{word}"' for word in words))
    return Found((_record(name, AT_ONCE, "SRV", f"0 0 {port} {name}"), address, text), (address, text))


def _cut(text: str) -> str:
    """The networks that fit into one string of a TXT record; wgsd's client takes them whole or not at all."""
    return text if len(text) <= _TXT_MOST else text[: text.rindex(",", 0, _TXT_MOST + 1)]


def _addresses(name: dns.name.Name, addresses: Iterable[str]) -> Iterator[dns.rrset.RRset]:
    for kind, version in (("A", 4), ("AAAA", 6)):
        found = [one for one in addresses if ipaddress.ip_address(one).version == version]
        if found:
            yield dns.rrset.from_text_list(name, LISTED, "IN", kind, found)


def _record(name: dns.name.Name, ttl: int, kind: str, words: object) -> dns.rrset.RRset:
    return dns.rrset.from_text(name, ttl, "IN", kind, str(words))
