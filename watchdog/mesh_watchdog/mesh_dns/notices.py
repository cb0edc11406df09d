"""What nodes tell each other about where peers are: DNS NOTIFY with hints in the answer section (RFC 1996). Pure.

A question `<b32>…` SRV asks where that peer is, and is passed on to it; the type TXT says that the asker's packets come
through the node that is asked, the type PTR that they no longer do. Places are in the answer section, each an SRV with
an address of its own: the asker's under its own name; in an answer, or in a question that is passed on, under the name
in the question.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Sequence

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rrset
from attrs import frozen
from dns.rdataclass import IN
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.SRV import SRV

from mesh_sync.wireguard.elsewhere import nowhere
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_watchdog.mesh_dns import names
from mesh_watchdog.mesh_dns.directory import OLDEST
from mesh_watchdog.mesh_dns.records import AT_ONCE, host_record, record, rrset
from mesh_watchdog.policy.nat_class import EASY, HARD, PUBLIC
from mesh_watchdog.policy.observations import ABLE, NOW, Sighting, Standing

MOST_PLACES = 9
"""Places in one message: where a peer was seen, and the 8 that it may name itself."""
SILENT = Standing()
MAX_SIZE = 1232
"""Bytes of a message that fits one packet wherever IPv6 does (DNS flag day 2020)."""


@frozen
class Notice:
    """A question that came by NOTIFY.

    ``about``: a public key. ``told``: where that peer is; if empty, the sender asks, and ``own`` is where the sender
    can be reached. ``relayed``, ``direct``: see above. ``standing``: what the peer says of itself whose places these
    are.
    """

    about: str
    told: tuple[Sighting, ...] = ()
    own: tuple[Sighting, ...] = ()
    relayed: bool = False
    direct: bool = False
    standing: Standing = Standing()


def notice(
    about: str,
    of: str,
    sightings: Sequence[Sighting],
    services: dns.name.Name,
    *,
    relayed: bool = False,
    direct: bool = False,
    standing: Standing = SILENT,
) -> bytes:
    """A question about the peer ``about``, with the places of the peer ``of`` (keys), and what that says of itself."""
    message = dns.message.Message()
    message.set_opcode(dns.opcode.NOTIFY)
    message.flags |= dns.flags.AA
    message.use_edns(0, payload=MAX_SIZE)
    kind = RdataType.TXT if relayed else RdataType.PTR if direct else RdataType.SRV
    message.question.append(dns.rrset.RRset(names.service(about, services), IN, kind))
    return with_places(message, names.service(of, services), sightings, standing)


def with_places(
    message: dns.message.Message,
    name: dns.name.Name,
    sightings: Iterable[Sighting],
    standing: Standing = SILENT,
) -> bytes:
    """The message with these places of the peer called ``name``: as many as fit, the first ones first.

    What the peer says of itself is a TXT record of its name, and what is said of a place one of the place's name.
    """
    words = {"nat": standing.nat, "birthday": standing.birthday}
    if said := [f"{word}={value}" for word, value in words.items() if value]:
        message.additional.append(rrset(name, AT_ONCE, record(TXT, said)))
    fitting = message.to_wire()
    for number, sighting in enumerate(sightings):
        if number == MOST_PLACES:
            break
        _add(message, name, number, sighting)
        try:
            fitting = message.to_wire(max_size=MAX_SIZE)
        except dns.exception.TooBig:
            break
    return fitting


def _add(message: dns.message.Message, name: dns.name.Name, number: int, sighting: Sighting) -> None:
    host, _, port = sighting.endpoint.rpartition(":")
    address, target = host.strip("[]"), names.place(number, name)
    said = "own=1" if sighting.own else f"age={sighting.age:.0f}"
    message.answer.append(rrset(name, AT_ONCE, record(SRV, 0, 0, int(port), target)))
    message.additional.append(rrset(target, AT_ONCE, host_record(address)))
    message.additional.append(rrset(target, AT_ONCE, record(TXT, [said])))


def read(message: dns.message.Message, asker: Collection[str], services: dns.name.Name) -> Notice | None:
    """The notice in a NOTIFY from the peer whose keys are ``asker``; None if it asks what nodes do not tell."""
    question = message.question[0]
    about = names.key_of(question.name, services)
    kind = question.rdtype
    if about is None or question.rdclass != IN or kind not in (RdataType.SRV, RdataType.TXT, RdataType.PTR):
        return None
    told = places(message, question.name) if about not in asker else ()
    asking = [names.service(key, services) for key in asker]
    own = () if told else tuple(found for name in asking for found in places(message, name))
    said = [standing(message, name) for name in ([question.name] if told else asking)]
    ours = next((each for each in said if each != Standing()), Standing())
    return Notice(about, told, own, relayed=kind == RdataType.TXT, direct=kind == RdataType.PTR, standing=ours)


def standing(message: dns.message.Message, name: dns.name.Name) -> Standing:
    """What the peer called ``name`` says of itself in a message; unknown words are left out."""
    records = (each[0] for each in message.additional if each.rdtype == RdataType.TXT and each.name == name)
    words = frozenset(word for each in records for word in each.strings)
    return Standing(
        next((each for each in (PUBLIC, EASY, HARD) if f"nat={each}".encode() in words), ""),
        next((each for each in (NOW, ABLE) if f"birthday={each}".encode() in words), ""),
    )


def places(message: dns.message.Message, name: dns.name.Name) -> tuple[Sighting, ...]:
    """The places of the peer called ``name`` in a message, in their order, without those where no peer can be."""
    return tuple(_places(message, name))[:MOST_PLACES]


def _places(message: dns.message.Message, name: dns.name.Name) -> Iterator[Sighting]:
    addresses, words = dict[dns.name.Name, str](), dict[dns.name.Name, frozenset[bytes]]()
    for each in (one for one in message.additional if one.rdclass == IN):  # of another class, they have no such parts
        if each.rdtype in (RdataType.A, RdataType.AAAA):
            addresses[each.name] = each[0].address
        elif each.rdtype == RdataType.TXT:
            words[each.name] = frozenset(each[0].strings)
    for each in message.answer:
        if each.rdtype != RdataType.SRV or each.rdclass != IN or each.name != name:
            continue
        for srv in each:
            address, age = addresses.get(srv.target), _age(words.get(srv.target, frozenset()))
            if address is None or not srv.port or (age is not None and age > OLDEST):
                continue
            if not nowhere(ipaddress.ip_address(address)):
                yield Sighting(str(Endpoint(address, srv.port)), age or 0.0, own=age is None)


def _age(words: frozenset[bytes]) -> float | None:
    """How many seconds ago a peer was seen at a place; None if the peer itself names the place."""
    found = (word.removeprefix(b"age=") for word in words if word.startswith(b"age="))
    return next((float(text) for text in found if text.isdigit() and len(text) < 9), None)
