"""resolv.conf(5): which nameservers are asked, and what for. Pure.

As glibc reads it (resolv/res_init.c): a line counts whole or is skipped, alone. More generous in one thing, as musl is:
a carriage return at the end of a line is no part of it.
"""

from __future__ import annotations

import ipaddress
import re
from contextlib import suppress

from attrs import frozen

from mesh_sync.names.nameservers import Nameserver
from mesh_sync.wireguard.endpoint import Address

MAX_NAMESERVERS = 3
"""MAXNS of resolv.h: the system asks no more."""
MAX_NDOTS = 15
LOCAL = Nameserver("127.0.0.1")
"""Who is asked where the file names no nameserver, or is not there."""


@frozen
class ResolvConf:
    """What the file says. Options without a field change nothing here: our deadlines replace `timeout` and `attempts`.

    ``search``: the domains that complete a name; ``ndots``: from so many dots on a name is first asked for as it is.
    """

    nameservers: tuple[Nameserver, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1
    rotate: bool = False
    use_tcp: bool = False
    edns: bool = False
    one_at_a_time: bool = False
    no_ipv6: bool = False
    no_single_label: bool = False

    def candidates(self, name: str) -> tuple[str, ...]:
        """The full names that ``name`` may stand for, in the order they are asked for (glibc: res_query.c)."""
        dots = name.count(".")
        if name.endswith("."):
            return (name,)
        searched = tuple(f"{name}.{domain.strip('.')}".strip(".") for domain in self.search)
        if dots >= self.ndots:
            return tuple(dict.fromkeys((name, *searched)))
        alone = () if self.no_single_label and searched and not dots else (name,)
        return tuple(dict.fromkeys((*searched, *alone)))


def parse_resolv_conf(text: str, hostname: str = "") -> ResolvConf:
    """What a resolv.conf says, with all its nameservers; the domain of ``hostname`` is searched if it names none.

    Keywords stand at the beginning of a line; of several `search` and `domain` lines the last one counts.
    """
    nameservers: list[Nameserver] = []
    search = tuple(hostname.partition(".")[2:]) if "." in hostname else ()
    options: list[str] = []
    for line in text.split("\n"):
        keyword, *words = re.split(r"[ \t]+", line.rstrip("\r \t"))
        if not words:
            continue
        match keyword:
            case "nameserver":
                nameservers += filter(None, [_nameserver(words[0])])
            case "domain":
                search = (words[0],)
            case "search":
                search = tuple(words)
            case "options":
                options += words
    return ResolvConf(
        tuple(nameservers),
        search,
        ndots=_ndots(options),
        rotate=_is_set("rotate", options),
        use_tcp=_is_set("use-vc", options),
        edns=_is_set("edns0", options),
        one_at_a_time=_is_set("single-request", options),
        no_ipv6=_is_set("no-aaaa", options),
        no_single_label=_is_set("no-tld-query", options) or _is_set("no_tld_query", options),
    )


def ipv4(text: str) -> ipaddress.IPv4Address | None:
    """An IPv4 address in any form of inet_aton(3), `127.1` or `192.168.001.001` among them; None if it is none."""
    *first, last = text.split(".")
    try:
        numbers = [_number(part) for part in first]
        rest = _number(last)
    except ValueError:
        return None
    if len(numbers) > 3 or any(number > 0xFF for number in numbers) or rest >= 1 << 8 * (4 - len(numbers)):
        return None
    return ipaddress.IPv4Address(sum(number << 24 - 8 * place for place, number in enumerate(numbers)) + rest)


def _number(text: str) -> int:
    """Decimal, octal (`010`) or hexadecimal (`0x10`), as in C."""
    if not re.fullmatch(r"0[xX][0-9a-fA-F]+|[0-9]+", text):
        raise ValueError(text)
    return int(text, 16 if text[:2].lower() == "0x" else 8 if text[0] == "0" else 10)


def _nameserver(word: str) -> Nameserver | None:
    address: Address | None = ipv4(word)
    if address:
        return Nameserver(str(address))
    with suppress(ValueError):
        if ipaddress.IPv6Address(word.partition("%")[0]):
            return Nameserver(word)
    return None


def _ndots(options: list[str]) -> int:
    found = [re.match(r"\d*", option.removeprefix("ndots:")) for option in options if option.startswith("ndots:")]
    return min(MAX_NDOTS, int((found[-1] and found[-1][0]) or 0)) if found else 1


def _is_set(name: str, options: list[str]) -> bool:
    """glibc compares so many characters, and no more."""
    return any(option.startswith(name) for option in options)
