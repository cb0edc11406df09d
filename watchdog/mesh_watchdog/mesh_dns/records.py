"""The records of the mesh's zone, as wgsd serves them (github.com/jwhited/wgsd), and those of names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import dns.exception
import dns.name
import dns.rdata
import dns.reversename
import dns.rrset
from attrs import frozen
from dns.rdataclass import IN
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.SOA import SOA
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.SRV import SRV

from mesh_watchdog.mesh_dns import names
from mesh_watchdog.mesh_dns.directory import Directory, View

AT_ONCE = 0
"""TTL of what moves, as in wgsd."""
LISTED = 30
"""TTL in seconds of what the list says: a commit is everywhere within a minute."""
MOST_LISTED = 800
"""Peers in the list of all: as many as a TCP message can hold (65,535 bytes)."""
_TXT_MOST = 255
"""Bytes of one string of a TXT record."""


@frozen
class Found:
    """The records of all types at a name, and those that a client will ask for next (``more``), in this order."""

    records: tuple[dns.rrset.RRset, ...] = ()
    more: tuple[dns.rrset.RRset, ...] = ()


def at(name: dns.name.Name, view: View) -> Found | None:
    """What there is at ``name``, which lies in the zone or stands for an address; None where there is no such name."""
    directory = view.directory
    zone = directory.zone
    if name == zone:
        return Found((soa(directory), _ns(directory)), tuple(_addresses(directory.own, directory.here.addresses)))
    if name == directory.services:
        return Found(tuple(_list(view)))
    if name == names.fleet(zone):
        return Found(tuple(_statement(name, view.says)))
    if name == directory.services.parent():
        return Found()  # it has no records, but names below it do
    if key := names.key_of(name, directory.services):
        return _peer(name, key, view)
    if len(name.labels) != len(zone.labels) + 1:
        return None
    if name == directory.own:
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
        return Found((rrset(name, LISTED, record(PTR, directory.own)),))
    key = directory.by_address.get(address)
    if key is None:
        return None
    host = names.host(directory.peers[key].name, directory.zone)
    return Found((rrset(name, LISTED, record(PTR, host)),))


def soa(directory: Directory) -> dns.rrset.RRset:
    """The SOA record of the zone. The serial has no meaning, as there are no secondaries."""
    hostmaster = names.host("hostmaster", directory.zone)
    return rrset(directory.zone, LISTED, record(SOA, directory.own, hostmaster, 1, 3600, 600, 86400, AT_ONCE))


def _ns(directory: Directory) -> dns.rrset.RRset:
    return rrset(directory.zone, LISTED, record(NS, directory.own))


def _list(view: View) -> Iterator[dns.rrset.RRset]:
    """One PTR for each peer whose place this node knows, the last heard first."""
    services = view.directory.services
    latest = sorted(view.seen, key=lambda key: view.seen[key].age)[:MOST_LISTED]
    if latest:
        found = (record(PTR, names.service(key, services)) for key in latest)
        yield rrset(services, AT_ONCE, *found)


def _peer(name: dns.name.Name, key: str, view: View) -> Found | None:
    """SRV, address and TXT of a peer; in the additional section the address comes first, then the TXT."""
    directory = view.directory
    listed = directory.listed.get(key, "")
    sighting = view.seen.get(listed)
    if sighting is None:
        return None
    host, _, port = sighting.endpoint.rpartition(":")
    address = rrset(name, AT_ONCE, host_record(host.strip("[]")))
    allowed = _cut("allowed=" + ",".join(directory.peers[listed].allowed))
    words = ["txtvers=1", f"pub={key}", allowed, f"age={sighting.age:.0f}", f"observer={directory.here.name}"]
    text = rrset(name, AT_ONCE, record(TXT, words))
    return Found((rrset(name, AT_ONCE, record(SRV, 0, 0, int(port), name)), address, text), (address, text))


def _statement(name: dns.name.Name, said: bytes) -> Iterator[dns.rrset.RRset]:
    """What this node says of itself, in as many strings as it takes."""
    if said:
        yield rrset(name, AT_ONCE, record(TXT, [said[at : at + _TXT_MOST] for at in range(0, len(said), _TXT_MOST)]))


def _cut(text: str) -> str:
    """As many networks as fit into one string of a TXT record; wgsd's client takes each whole or not at all."""
    return text if len(text) <= _TXT_MOST else text[: text.rindex(",", 0, _TXT_MOST + 1)]


def _addresses(name: dns.name.Name, addresses: Iterable[str]) -> Iterator[dns.rrset.RRset]:
    for kind in (RdataType.A, RdataType.AAAA):
        if found := [one for one in map(host_record, addresses) if one.rdtype == kind]:
            yield rrset(name, LISTED, *found)


def record(kind: type[dns.rdata.Rdata], *words: object) -> dns.rdata.Rdata:
    """A record of this type."""
    make: Any = kind  # dnspython does not type these
    made: dns.rdata.Rdata = make(IN, RdataType[kind.__name__], *words)
    return made


def host_record(address: str) -> dns.rdata.Rdata:
    """The record of an address."""
    return record(AAAA, address) if ":" in address else record(A, address)


def rrset(name: dns.name.Name, ttl: int, *records: dns.rdata.Rdata) -> dns.rrset.RRset:
    """The records of one type at a name."""
    return dns.rrset.from_rdata(name, ttl, *records)
