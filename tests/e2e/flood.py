"""Sends questions, RATE a second, until it is sent SIGTERM. Usage: flood.py SERVER RATE    Prints how many a second it
came to.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import time

import dns.message

LONGEST = 120.0


def main() -> None:
    server, rate = sys.argv[1], float(sys.argv[2])
    wire = dns.message.make_query("aws.mesh.internal", "A").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((server, 53))
        sock.setblocking(False)
        begin, sent, ends = time.monotonic(), 0, []
        signal.signal(signal.SIGTERM, lambda *_: ends.append(True))
        while (past := time.monotonic() - begin) < LONGEST and not ends:
            while sent < past * rate:
                with contextlib.suppress(OSError):  # the queue is full
                    sock.send((sent % 65536).to_bytes(2) + wire[2:])
                sent += 1
            time.sleep(0.001)
    print(round(sent / past))


if __name__ == "__main__":
    main()
