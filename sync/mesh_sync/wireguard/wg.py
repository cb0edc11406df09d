"""The `wg` program. Secrets go in through memory files, never through argv, and what it dumps is never logged."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from mesh_sync.errors import CommandError, DeviceError
from mesh_sync.system.run import run
from mesh_sync.wireguard.live import LivePeer, parse_dump

SYNC_DEADLINE = 30.0
"""Seconds; thousands of peers on a small machine."""
PSK_BATCH = 200
"""Peers of one `wg set`: each has a file of its own, and a process may have 1,024 open."""

T = TypeVar("T")

NOT_PERMITTED, NOT_SUPPORTED = "Operation not permitted", "not supported"
"""What wg(8) prints on stderr in the C locale; its exit status is 1 for everything."""


def dump(interface: str) -> dict[str, Any]:
    """What `wg show` knows of an interface that exists, as fields of `Live`."""
    try:
        return parse_dump(run(["wg", "show", interface, "dump"]))
    except CommandError as error:
        if error.says(NOT_PERMITTED):
            raise DeviceError(f"{interface} can only be read by root", hint="run it with sudo") from None
        if error.says(NOT_SUPPORTED):
            raise DeviceError(
                f"{interface} exists and is not a WireGuard interface",
                hint=f"remove it (ip link delete {interface}) or name another one in node.toml",
            ) from None
        raise DeviceError(error.message, hint=error.hint) from None
    except ValueError as error:
        raise DeviceError(str(error)) from None


def syncconf(interface: str, text: str) -> None:
    """Make keys, port, mark and peers match ``text``."""
    _feed("syncconf", interface, text)


def addconf(interface: str, text: str) -> None:
    """Add the peers of ``text``, or make those that are there match it; nothing else is touched."""
    _feed("addconf", interface, text)


def remove_peers(interface: str, public_keys: Iterable[str]) -> None:
    """Remove peers, in one call."""
    run(["wg", "set", interface, *(word for key in public_keys for word in ("peer", key, "remove"))])


def set_private_key(interface: str, key: str) -> None:
    """Run another private key from now on: sessions end, peers and their endpoints stay."""
    with _memory_file(key + "\n") as descriptor:
        run(["wg", "set", interface, "private-key", f"/dev/fd/{descriptor}"], pass_fds=[descriptor])


def set_preshared_keys(interface: str, keys: Mapping[str, str]) -> None:
    """Give peers that the interface has another preshared key, or none (""), by public key; nothing else is touched.

    `wg addconf` would replace their allowed IPs too, and lose packets on the way.
    """
    for some in _batched(sorted(keys.items()), PSK_BATCH):
        with ExitStack() as files:
            words = [word for key, psk in some for word in ("peer", key, "preshared-key", _psk_file(psk, files))]
            descriptors = [int(word.rpartition("/")[2]) for word in words if word.startswith("/dev/fd/")]
            run(["wg", "set", interface, *words], pass_fds=descriptors, deadline=SYNC_DEADLINE)


def _psk_file(psk: str, files: ExitStack) -> str:
    """Reading nothing clears the key (fact 5)."""
    return f"/dev/fd/{files.enter_context(_memory_file(psk))}" if psk else "/dev/null"


def _batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[begin : begin + size] for begin in range(0, len(items), size))


def _feed(verb: str, interface: str, text: str) -> None:
    with _memory_file(text) as descriptor:
        run(["wg", verb, interface, f"/dev/fd/{descriptor}"], pass_fds=[descriptor], deadline=SYNC_DEADLINE)


@contextmanager
def _memory_file(text: str) -> Iterator[int]:
    """The text is whole before `wg` starts, even if we are killed."""
    descriptor = os.memfd_create("wg")
    try:
        with os.fdopen(os.dup(descriptor), "w") as file:
            file.write(text)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def set_keepalives(interface: str, seconds: Iterable[tuple[str, int]]) -> None:
    """Set the keepalive of peers that the interface has, in one call."""
    words = [word for key, each in seconds for word in ("peer", key, "persistent-keepalive", str(each))]
    if words:
        run(["wg", "set", interface, *words], deadline=SYNC_DEADLINE)


def renew_peer(interface: str, peer: LivePeer, endpoint: str) -> None:
    """Remove a peer and add it again at ``endpoint``, by one command, so that WireGuard forgets what it knew of it.

    Above all it forgets when it last began a handshake, which it does not do twice within 5 s.
    """
    words = ["peer", peer.public_key, "remove", "peer", peer.public_key, "endpoint", endpoint]
    words += ["persistent-keepalive", str(peer.keepalive), "allowed-ips", ",".join(sorted(peer.allowed_ips))]
    with ExitStack() as files:
        psk = _psk_file(peer.preshared_key, files)
        descriptors = [int(psk.rpartition("/")[2])] if peer.preshared_key else []
        run(["wg", "set", interface, *words, "preshared-key", psk], pass_fds=descriptors)


def set_peer(interface: str, public_key: str, *words: str) -> None:
    """`wg set IF peer KEY …`; only for a peer the interface has: for any other key it would create one (fact 7)."""
    run(["wg", "set", interface, "peer", public_key, *words])
