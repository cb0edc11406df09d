"""What wgsd's own client asks (github.com/jwhited/wgsd, cmd/wgsd-client), and how it reads the answers.

Usage: wgsd_client.py SERVER ZONE KEY…    Prints the endpoint of each key that is there, one per line.
"""

from __future__ import annotations

import base64
import sys

import dns.message
import dns.query
import dns.rdatatype


def main() -> None:
    server, zone, *keys = sys.argv[1:]
    listed = ask(server, f"_wireguard._udp.{zone}.", "PTR").answer
    assert {rrset.rdtype for rrset in listed} <= {dns.rdatatype.PTR}
    for key in keys:
        label = base64.b32encode(base64.b64decode(key)).decode()
        answer = ask(server, f"{label}._wireguard._udp.{zone}.", "SRV")
        if not answer.answer:
            continue
        srv, first = answer.answer[0][0], answer.additional[0]
        assert first.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA), "the address has to come first"
        print(key, first[0].address, srv.port)


def ask(server: str, name: str, kind: str) -> dns.message.Message:
    """As Go's client does without EDNS: UDP, and TCP where the answer was cut."""
    answer, _ = dns.query.udp_with_fallback(dns.message.make_query(name, kind), server, timeout=10)
    return answer


if __name__ == "__main__":
    main()
