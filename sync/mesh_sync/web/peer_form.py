"""The form of a peer's file: which field is which key, and what a form that was sent says. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from attrs import frozen

from mesh_sync.errors import ConfigError
from mesh_sync.mesh.edit_toml import Value
from mesh_sync.mesh.model import Peer
from mesh_sync.web.forms import Form

TEXTS = ("public_key", "next_public_key", "via", "exit", "machine", "owner", "description")
LISTS = ("addresses", "endpoint", "subnets", "nat_subnet", "tags", "dns", "export_routes")
NUMBERS = ("listen_port", "mtu", "persistent_keepalive", "priority")
SWITCHES = {"enabled": True, "managed": True, "relay": False}
"""With what holds where the file does not say."""
GROUPS = {
    "where": ("addresses", "endpoint", "subnets", "nat_subnet", "listen_port", "via"),
    "key": ("public_key", "next_public_key"),
    "who": ("description", "owner", "tags", "expires"),
    "more": ("exit", "machine", "priority", "mtu", "persistent_keepalive", "dns", "export_routes"),
}
"""The fields as they stand together; what there is last is folded away."""


@frozen
class Field:
    """One field: the key of the file, how it is asked for, and what it says now."""

    key: str
    kind: str
    value: str


def fields(peer: Peer | None, keys: tuple[str, ...]) -> Iterator[Field]:
    """The fields of a peer's form for some keys; those of a new peer say nothing."""
    for key in keys:
        value: Any = getattr(peer, key) if peer else None
        if key in LISTS:
            yield Field(key, "list", "\n".join(map(str, value or ())))
        else:
            kind = "number" if key in NUMBERS else "text"
            yield Field(key, kind, "" if value is None else str(value))


def switches(peer: Peer | None) -> dict[str, bool]:
    return {key: getattr(peer, key) if peer else default for key, default in SWITCHES.items()}


def said(form: Form, peer: Peer | None) -> tuple[dict[str, Value], tuple[str, ...]]:
    """Given a form that was sent, return the keys to set, and those to take out of the file of ``peer``."""
    values: dict[str, Value] = {}
    for key in TEXTS:
        values[key] = form.text(key)
    for key in LISTS:
        values[key] = form.lines(key)
    for key in NUMBERS:
        values[key] = _number(key, form.text(key)) if form.text(key) else ""
    values["expires"] = _date(form.text("expires")) if form.text("expires") else ""
    for key, default in SWITCHES.items():
        values[key] = (key in form.fields) if (key in form.fields) != default else ""
    now = {key: _plain(getattr(peer, key)) if peer else "" for key in values}
    standard = {key: "" if now[key] == default else now[key] for key, default in SWITCHES.items()}
    now |= standard
    changed = {key: value for key, value in values.items() if _differs(value, now[key])}
    unset = tuple(key for key, value in changed.items() if value in ("", []))
    return {key: value for key, value in changed.items() if key not in unset}, unset


def _differs(value: Value, now: Any) -> bool:
    return value != now if value or now else value not in ("", []) and now in ("", None, [])


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(map(str, value))
    return "" if value is None else value


def _number(key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"{key}: {text!r} is not a number") from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"expires: {text!r} is not a date such as 2030-12-31 or 2030-12-31T18:00:00Z") from None
