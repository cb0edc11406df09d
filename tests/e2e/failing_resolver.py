"""A resolver with moods: `python failing_resolver.py ADDRESS UPSTREAM LOG`.

Names that begin with `servfail` are answered so, those that begin with `silence` are not answered at all; every
other question is BIND's to answer. Each question is a line in the log.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode

address, upstream, log = sys.argv[1:]
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
        else:
            answer = dns.query.udp(query, upstream, timeout=5)
            answer.flags |= dns.flags.RA
        server.sendto(answer.to_wire(), client)
