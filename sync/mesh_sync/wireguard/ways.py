"""Which way packets to an address take: asked of the kernel, concluded from nothing that any list says.

Addresses are text here, as `ip` prints them, so that an idle run imports no more for this.
"""

from __future__ import annotations

import fcntl
import json
import re
import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.system.run import run

AT_ONCE = 400
"""Addresses that one `ip` is asked about: its words about those without a route have to fit into what is kept."""
_SIOCGIFMTU = 0x8921
"""linux/sockios.h"""
_IFREQ = struct.Struct("16si20x")
"""struct ifreq (linux/if.h): the name of the device, its MTU."""
_FAILED = re.compile(r"^Command failed .*:(\d+)$", re.MULTILINE)


@frozen
class Way:
    """The way to one address. ``mtu``: of the route if it has one, else of the device, in bytes; 0 if not known.

    ``gateway`` is empty on link. ``prefix``: the length of the route that matched, found in ``table``. ``local``: the
    address is this machine's own.
    """

    device: str
    gateway: str = ""
    source: str = ""
    prefix: int = 0
    table: str = "main"
    mtu: int = 0
    local: bool = False

    @property
    def path(self) -> tuple[str, str, str]:
        """What makes it another way: device, gateway, source."""
        return self.device, self.gateway, self.source


@frozen
class Ways:
    """The ways of packets without a mark, and with the tunnel's own; no entry where there is no route."""

    plain: Mapping[str, Way] = field(factory=dict)
    marked: Mapping[str, Way] = field(factory=dict)


def ask(addresses: Iterable[str], mark: int = 0) -> Ways:
    """The ways to these addresses, by one `ip` for all; with ``mark`` 0 the marked ones are the plain ones.

    An IPv6 address may have a scope (`fe80::1%eth0`). Raise DeviceError when `ip` cannot tell.
    """
    asked = list(dict.fromkeys(addresses))
    found: dict[tuple[str, int], Way] = {}
    for first in range(0, len(asked), AT_ONCE):
        questions = [(one, by) for by in dict.fromkeys((0, mark)) for one in asked[first : first + AT_ONCE]]
        found |= parse(questions, *_ip(list(lines(questions))))
    mtus = {device: _mtu(device) for device in {way.device for way in found.values()}}
    whole = {question: evolve(way, mtu=way.mtu or mtus[way.device]) for question, way in found.items()}
    plain, marked = ({one: whole[one, by] for one in asked if (one, by) in whole} for by in (0, mark))
    return Ways(plain, marked)


def lines(questions: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Two lines for `ip -batch` about each address and mark: the way, and the route that matched."""
    for address, mark in questions:
        bare, _, scope = address.partition("%")
        rest = bare + (f" oif {scope}" if scope else "") + (f" mark {mark}" if mark else "")
        yield f"route get {rest}"
        yield f"route get fibmatch {rest}"


def parse(questions: Sequence[tuple[str, int]], out: str, err: str) -> dict[tuple[str, int], Way]:
    """Given what `ip -json -force -batch -` printed about `lines`, return the ways. DeviceError if it is not that.

    A line without an answer is named on stderr; those that have one are answered in order.
    """
    failed = {int(number) for number in _FAILED.findall(err)}
    try:
        answers = list(_values(out))
        due = [number for number in range(2 * len(questions)) if number + 1 not in failed]
        if len(answers) != len(due):
            raise ValueError(len(answers))
        told = {number: answer[0] for number, answer in zip(due, answers, strict=True)}
        return {
            question: _way(told[2 * number], told[2 * number + 1])
            for number, question in enumerate(questions)
            if 2 * number in told and 2 * number + 1 in told
            if told[2 * number].get("type", "unicast") in ("unicast", "local")
        }
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise DeviceError("`ip -json -batch` printed something unexpected about routes") from None


def _values(text: str) -> Iterator[Any]:
    decoder, text = json.JSONDecoder(), text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        text = text[end:].lstrip()
        yield value


def _way(way: Mapping[str, Any], route: Mapping[str, Any]) -> Way:
    address, matched = str(way["dst"]), str(route["dst"])
    whole = 128 if ":" in address else 32
    return Way(
        device=str(way["dev"]),
        gateway=str(way.get("gateway") or way.get("via", {}).get("host", "")),
        source=str(way.get("prefsrc", "")),
        prefix=0 if matched == "default" else int(matched.partition("/")[2] or whole),
        table=str(way.get("table", "main")),
        mtu=max((int(metric.get("mtu", 0)) for metric in way.get("metrics", ())), default=0),
        local=way.get("type") == "local",
    )


def _ip(batch: Sequence[str]) -> tuple[str, str]:
    """What `ip` printed on stdout and stderr. That there is no route to an address is no failure."""
    argv = ["ip", "-json", "-force", "-batch", "-"]
    try:
        return run(argv, input="\n".join(batch) + "\n", partly=True), ""
    except CommandError as error:
        if error.reason is Reason.EXIT_STATUS and error.status == 1 and _FAILED.search(error.stderr):
            return error.stdout, error.stderr
        raise DeviceError(error.message) from None


def _mtu(device: str) -> int:
    """Bytes; 0 when the device has just gone."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            found = fcntl.ioctl(any_socket, _SIOCGIFMTU, _IFREQ.pack(device.encode()[:15], 0))
        return int(_IFREQ.unpack(found)[1])
    except OSError:
        return 0
