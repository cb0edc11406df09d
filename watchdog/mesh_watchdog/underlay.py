"""dnspython's sockets, marked like the tunnel's own packets, so that an exit through the mesh does not swallow them."""

from __future__ import annotations

import socket
from typing import Any

import dns.asyncbackend


def underlay(mark: int) -> Any:
    """dnspython's asyncio backend, with a firewall mark on what it sends; 0 is none.

    Only a node whose default route leads into the mesh has one. Setting it takes CAP_NET_ADMIN.
    """
    backend: Any = dns.asyncbackend.get_backend("asyncio")
    return _Marked(backend, mark) if mark else backend


class _Marked:
    def __init__(self, backend: Any, mark: int) -> None:
        self._backend = backend
        self._mark = mark

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def make_socket(self, *args: Any, **kwargs: Any) -> Any:
        made: Any = await self._backend.make_socket(*args, **kwargs)
        if made.type == socket.SOCK_DGRAM:
            made.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self._mark)
        return made
