"""Sends questions without end. Usage: flood.py SERVER RATE SECONDS    Prints how many a second it came to."""

from __future__ import annotations

import contextlib
import socket
import sys
import time

import dns.message


def main() -> None:
    server, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    wire = dns.message.make_query("aws.mesh.internal", "A").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((server, 53))
        sock.setblocking(False)
        begin, sent = time.monotonic(), 0
        while (past := time.monotonic() - begin) < seconds:
            while sent < past * rate:
                with contextlib.suppress(OSError):  # the queue is full
                    sock.send((sent % 65536).to_bytes(2) + wire[2:])
                sent += 1
            time.sleep(0.001)
    print(round(sent / seconds))


if __name__ == "__main__":
    main()
