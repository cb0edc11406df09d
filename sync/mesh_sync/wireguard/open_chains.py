"""Reads the forward chains of other programs, and puts our accepting rules into them (`forward_chains`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from mesh_sync.errors import CommandError, DeviceError, Reason
from mesh_sync.system.at_once import at_once
from mesh_sync.system.files import write_atomically
from mesh_sync.system.run import run
from mesh_sync.typed_toml import fields
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, list_of
from mesh_sync.wireguard import firewall
from mesh_sync.wireguard.forward_chains import Chain, Found, found, parse, rule_text


def read(interface: str, memory: Path) -> Found:
    """What stands in the way of forwarded packets, and what of it is ours; nothing where nft is not there.

    ``memory``: see `change`.
    One program, and one more for each table of others that has a forward chain. Raise DeviceError when nft cannot tell.
    """
    try:
        bases, _ = _ask("chains")
        own = firewall.table(interface)
        tables = {(chain.family, chain.table) for chain in bases if chain.hook == "forward" and chain.table != own}
        tables = {(family, table) for family, table in tables if family in ("ip", "ip6", "inet")}
        if not tables:
            return Found()
        # Each by a program of its own: nft 1.0.6 that is to list two tables denies that the first one exists.
        asked = [partial(_ask, "table", family, table) for family, table in sorted(tables)]
        answers = [answer() for answer in at_once(*asked)]
    except CommandError as error:
        if error.reason in (Reason.NOT_FOUND, Reason.EXIT_STATUS, Reason.SIGNAL):
            return Found()
        raise DeviceError(error.message) from None
    chains = [chain for part, _ in answers for chain in part]
    locked = [one for _, tables in answers for one in tables]
    return found(chains, [*locked, *_refused(memory)], interface)


def change(
    interface: str, present: Found, add: Iterable[str], remove: Iterable[str], memory: Path, note: Callable[[str], None]
) -> None:
    """Add and take away our rules, `PLACE PASSAGE`. A place that takes none is remembered, and not asked again.

    ``memory`` is there while any of our rules may be: it holds the places that took none.
    """
    add, remove = sorted(add), sorted(remove)
    lines = dict[str, list[str]]()
    for key in remove:
        place, _, _ = _split(key)
        lines.setdefault(place, []).extend(f"delete rule {place} handle {one}" for one in present.opened.get(key, ()))
    for key in add:
        place, family, passage = _split(key)
        lines.setdefault(place, []).append(f"insert rule {place} {rule_text(interface, family, passage)}")
    refused = set(_refused(memory))
    if add:
        write_atomically(memory, json.dumps(sorted(refused)), durable=False)
    for place, batch in lines.items():
        try:
            for line in batch:
                note(f"nft {line}")
            run(["nft", "-f", "-"], input="\n".join(batch) + "\n")
        except CommandError as error:
            note(error.message)
            refused.add(place)
    if not add and not set(present.opened) - set(remove):
        memory.unlink(missing_ok=True)
    elif refused:
        write_atomically(memory, json.dumps(sorted(refused)), durable=False)


def _split(key: str) -> tuple[str, str, str]:
    """The place, its family and the passage of one of our rules."""
    family, table, chain, passage = key.split(" ", 3)
    return f"{family} {table} {chain}", family, passage


def _refused(memory: Path) -> tuple[str, ...]:
    try:
        places: tuple[str, ...] = _places_of(read_json(memory.read_bytes()))
        return places
    except (OSError, Wrong):
        return ()


_places_of = list_of(fields.text)


def marker(memory: Path) -> Path:
    """The file that is there while any of our rules may be, beside the one of the sysctls' earlier values."""
    return memory.with_name(memory.name.replace("sysctl", "forward"))


def _ask(*what: str) -> tuple[tuple[Chain, ...], frozenset[str]]:
    text = run(["nft", "-j", "list", *what])
    try:
        return parse(json.loads(text)["nftables"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DeviceError("`nft -j` printed something unexpected about chains") from None
