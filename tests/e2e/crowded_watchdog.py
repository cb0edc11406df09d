"""mesh-watchdog that believes it has heard 500 more peers than there are."""

from __future__ import annotations

import base64
from typing import Any

from attrs import evolve

from mesh_watchdog import cli
from mesh_watchdog.mesh_dns import views
from mesh_watchdog.mesh_dns.directory import View, view_of
from mesh_watchdog.policy.observations import Sighting

CROWD = {base64.b64encode(number.to_bytes(32)).decode(): Sighting("192.0.2.1:51820") for number in range(1, 501)}


def crowded(*of: Any) -> View:
    view = view_of(*of)
    return evolve(view, seen={**view.seen, **CROWD})


if __name__ == "__main__":
    views.view_of = crowded  # type: ignore[assignment, attr-defined]
    cli.main(["run"])
