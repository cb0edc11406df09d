"""From a question to its answer, as the authoritative nameserver of the mesh's zone gives it. Pure."""

from __future__ import annotations

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
from dns.rdatatype import RdataType

from mesh_watchdog.mesh_dns.directory import View
from mesh_watchdog.mesh_dns.records import at, reverse, soa

HEADER = 12
"""Bytes (RFC 1035, section 4.1.1)."""
PLAIN_SIZE = 512
"""Bytes of a UDP message without EDNS."""
EDNS_SIZE = 1232
"""Bytes of one with it, at the most: what fits into one packet of any tunnel."""
TCP_SIZE = 65535
LARGEST, MOST_RECORDS = EDNS_SIZE, 32
"""Bytes and records of a question that is read: a call has at most 29. Whoever asks more makes work."""
LISTED_SIZE = 71
"""Bytes of a peer in the list of all."""
_QR, _OPCODE, _RD = 0x80, 0x78, 0x01
_NO_DATA = (RdataType.AXFR, RdataType.IXFR)
_REVERSE = tuple(map(dns.name.from_text, ("in-addr.arpa", "ip6.arpa")))


def read(data: bytes) -> dns.message.Message | bytes | None:
    """Given a datagram, return the question in it; or the answer at once if it is faulty; or None if none is owed.

    An answer is never answered.
    """
    if len(data) < HEADER or data[2] & _QR:
        return None
    if (data[2] & _OPCODE) >> 3 not in (dns.opcode.QUERY, dns.opcode.NOTIFY):
        return _bare(data, dns.rcode.NOTIMP)
    questions, *records = (int.from_bytes(data[at : at + 2]) for at in (4, 6, 8, 10))
    if questions != 1 or sum(records) > MOST_RECORDS or len(data) > LARGEST:
        return _bare(data, dns.rcode.FORMERR)
    try:
        query = dns.message.from_wire(data)
    except (dns.exception.DNSException, ValueError):  # ValueError: what no type of record can hold
        return _bare(data, dns.rcode.FORMERR)
    return query


def _bare(data: bytes, code: dns.rcode.Rcode) -> bytes:
    """The header of an answer with this code."""
    flags = bytes([_QR | data[2] & (_OPCODE | _RD), int(code)])
    return data[:2] + flags + bytes(8)


def answer(query: dns.message.Message, view: View) -> dns.message.Message:
    """The answer to a question, as far as this node knows."""
    response = dns.message.make_response(query, our_payload=EDNS_SIZE)
    if query.edns > 0:
        response.set_rcode(dns.rcode.BADVERS)
        return response
    question = query.question[0]
    directory = view.directory
    in_zone = question.name.is_subdomain(directory.zone)
    in_reverse = any(question.name.is_subdomain(zone) for zone in _REVERSE)
    wrong = question.rdclass != dns.rdataclass.IN or question.rdtype in _NO_DATA or not (in_zone or in_reverse)
    if wrong:
        response.set_rcode(dns.rcode.REFUSED)
        return response
    found = at(question.name, view) if in_zone else reverse(question.name, directory)
    if found is None and not in_zone:  # no address of the mesh, as far as this node knows
        response.set_rcode(dns.rcode.REFUSED)
        return response
    response.flags |= dns.flags.AA
    anything = question.rdtype == RdataType.ANY
    records = [one for one in found.records if anything or one.rdtype == question.rdtype] if found else []
    response.answer += records
    if not records:
        response.authority.append(soa(directory))
        if found is None:
            response.set_rcode(dns.rcode.NXDOMAIN)
    elif found and question.rdtype in (RdataType.SRV, RdataType.NS):
        response.additional += list(found.more)
    return response


def is_long(query: dns.message.Message, view: View) -> bool:
    """Whether the answer lists more peers than a UDP message can hold."""
    question = query.question[0]
    asks = question.rdtype in (RdataType.PTR, RdataType.ANY) and question.name == view.directory.services
    return asks and len(view.seen) * LISTED_SIZE > EDNS_SIZE


def cut(query: dns.message.Message) -> bytes:
    """The answer that says that the real one is too large for UDP."""
    return packed(dns.message.make_response(query, our_payload=EDNS_SIZE), PLAIN_SIZE, cut=True)


def largest(query: dns.message.Message) -> int:
    """Bytes of a UDP message that the client accepts."""
    return min(max(query.payload, PLAIN_SIZE), EDNS_SIZE) if query.edns >= 0 else PLAIN_SIZE


def packed(response: dns.message.Message, size: int, *, cut: bool = False) -> bytes:
    """The response in at most ``size`` bytes; if it is larger or ``cut``, without records and marked as truncated."""
    try:
        if not cut:
            return response.to_wire(max_size=size)
    except dns.exception.TooBig:
        pass
    response.answer, response.authority, response.additional = [], [], []
    response.flags |= dns.flags.TC
    return response.to_wire(max_size=size)
