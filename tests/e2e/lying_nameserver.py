"""A nameserver that says of itself what another node says. Usage: ADDRESS OTHER-ADDRESS (as it is|renamed|unsigned)."""

from __future__ import annotations

import socket
import sys

import dns.message
import dns.query
import dns.rrset

address, other, how = sys.argv[1:]
asked = dns.message.make_query("_fleet.mesh.internal.", "TXT", use_edns=0, payload=1232)
[record] = dns.query.udp(asked, other, timeout=10).answer[0]
words, _, signature = b"".join(record.strings).partition(b"\n")
if how != "as it is":
    words = words.replace(b'"node":"b"', b'"node":"c"')
sent = words + b"\n" + (b"" if how == "unsigned" else signature)
parts = [sent[at : at + 255].decode() for at in range(0, len(sent), 255)]
text = " ".join('"' + part.replace('"', '\\"').replace("\n", "\\010") + '"' for part in parts)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((address, 53))
    print(text, flush=True)
    while True:
        data, place = server.recvfrom(4096)
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 0, "IN", "TXT", text))
        server.sendto(answer.to_wire(), place)
