"""The word that a node has a new commit: DNS NOTIFY for the mesh's zone, as a primary tells its secondaries. Pure.

The question is the zone's SOA (RFC 1996, section 3.7); the commit stands in the answer section, an unsecured hint. In
the answer to it stands what the peer has itself.
"""

from __future__ import annotations

import re

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rrset
from dns.rdataclass import IN
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.TXT import TXT

from mesh_watchdog.mesh_dns.records import AT_ONCE, record, rrset

_COMMIT = re.compile(rb"commit=([0-9a-f]{40})")


def notice(zone: dns.name.Name, commit: str | None) -> bytes:
    """What tells of a commit; None: what only asks which one the peer has."""
    message = dns.message.Message()
    message.set_opcode(dns.opcode.NOTIFY)
    message.flags |= dns.flags.AA
    message.question.append(dns.rrset.RRset(zone, IN, RdataType.SOA))
    add(message, zone, commit)
    return message.to_wire()


def add(message: dns.message.Message, zone: dns.name.Name, commit: str | None) -> None:
    """Say in this message which commit there is, if there is one."""
    if commit is not None:
        message.answer.append(rrset(zone, AT_ONCE, record(TXT, [f"commit={commit}"])))


def is_about(message: dns.message.Message, zone: dns.name.Name) -> bool:
    """Whether a NOTIFY is about the zone, and not about a peer."""
    question = message.question[0]
    return question.rdtype == RdataType.SOA and question.rdclass == IN and question.name == zone


def read(message: dns.message.Message, zone: dns.name.Name) -> str | None:
    """The commit of which such a NOTIFY, or the answer to one, tells; None where it names none."""
    texts = (each[0] for each in message.answer if each.rdtype == RdataType.TXT and each.name == zone)
    words = (_COMMIT.fullmatch(each.strings[0]) for each in texts if each.strings)
    return next((found[1].decode() for found in words if found), None)
