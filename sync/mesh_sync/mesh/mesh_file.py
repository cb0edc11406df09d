"""The text of mesh.toml with other preshared keys, edited so that a person's comments and layout stay. Pure."""

from __future__ import annotations

import tomlkit

from mesh_sync.mesh.model import Preshared


def with_preshared(text: str, use: Preshared | None) -> str:
    """Given mesh.toml, return it with this `[preshared]`, or with none. The text has to be valid TOML."""
    document = tomlkit.parse(text)
    document["preshared_keys"] = "derived" if use else "none"
    if use is None:
        document.pop("preshared", None)
        return tomlkit.dumps(document)
    values = {"secret": use.secret, "former": use.former, "since": use.since}
    table = document.setdefault("preshared", tomlkit.table())
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
    return tomlkit.dumps(document)
