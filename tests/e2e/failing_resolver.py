"""A resolver with moods: `python failing_resolver.py ADDRESS UPSTREAM LOG [NAME=IPV4 …]`.

Names that begin with `servfail` are answered so, those that begin with `silence` are not answered at all; a NAME
of its own network has this address and no other; every other question is BIND's to answer. Each question is a line in
the log.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset

address, upstream, log, *own = sys.argv[1:]
here = dict(line.split("=") for line in own)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, Path(log).open("a", buffering=1) as asked:
    server.bind((address, 53))
    while True:
        wire, client = server.recvfrom(4096)
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text()
        asked.write(f"{name}\n")
        if name.startswith("silence"):
            continue
        if name.startswith("servfail"):
            answer = dns.message.make_response(query)
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name.rstrip(".") in here:
            answer = dns.message.make_response(query)
            if query.question[0].rdtype == dns.rdatatype.A:
                answer.answer.append(dns.rrset.from_text(name, 5, "IN", "A", here[name.rstrip(".")]))
        else:
            try:
                answer = dns.query.udp(query, upstream, timeout=1)
            except (dns.exception.Timeout, OSError):
                continue
            answer.flags |= dns.flags.RA
        server.sendto(answer.to_wire(), client)
