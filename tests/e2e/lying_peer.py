"""A peer that tells others of commits, true or not, and serves what it likes where they then fetch.

Usage: lying_peer.py tell ZONE ADDRESS COMMIT [NUMBER]    NUMBER: of as many more commits that there are not
       lying_peer.py serve ADDRESS hang|junk|end          one of these, to whoever connects
"""

from __future__ import annotations

import os
import socket
import sys
import threading

from mesh_sync.node.news import PORT
from mesh_watchdog.mesh_dns import commits
from mesh_watchdog.mesh_dns.names import zone_name


def tell(zone: str, address: str, commit: str, number: str = "0") -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        for each in (commit, *(f"{one:040x}" for one in range(1, int(number) + 1))):
            sock.sendto(commits.notice(zone_name(zone), each), (address, 53))


def serve(address: str, how: str) -> None:
    listener = socket.create_server((address, PORT))
    print("serving", flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=answer, args=(client, how), daemon=True).start()


def answer(client: socket.socket, how: str) -> None:
    with client:
        try:
            client.recv(1000)
            while how == "hang":
                client.recv(1000)
            while how == "junk":
                client.sendall(os.urandom(4096))
        except OSError:
            return


if __name__ == "__main__":
    _, does, *words = sys.argv
    tell(*words) if does == "tell" else serve(*words)
