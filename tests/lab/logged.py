"""Programs that write down how they were called, and then are the real ones."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from lab.tree import ENVIRONMENT

PROGRAMS = ("wg", "ip", "nft", "wireguard-go", "wg-quick")


class LoggedPrograms:
    """Give `env` to what is run: it finds these programs first on its PATH. `calls` tells what it asked of them."""

    def __init__(self, directory: Path, programs: Iterable[str] = PROGRAMS) -> None:
        self._log = directory / "calls"
        self._log.touch()
        bin_ = directory / "bin"
        bin_.mkdir()
        for name in programs:
            if real := shutil.which(name, path=ENVIRONMENT["PATH"]):
                fake = bin_ / name
                fake.write_text(f"#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >>'{self._log}'\nexec '{real}' \"$@\"\n")
                fake.chmod(0o755)
        self.env: Mapping[str, str] = {"PATH": f"{bin_}:{ENVIRONMENT['PATH']}"}

    def calls(self) -> list[str]:
        """Every call since the last time this was asked, as one line each."""
        made = self._log.read_text().splitlines()
        self._log.write_text("")
        return made

    def writes(self) -> list[str]:
        """Those of `calls` that are more than looking."""
        return [call for call in self.calls() if not is_reading(call)]

    def endpoints_set(self) -> list[str]:
        """Those of `calls` that give a peer an endpoint."""
        return [call for call in self.calls() if sets_endpoint(call)]


class LogsByNode(dict[str, LoggedPrograms]):
    """Programs that log, for each node its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    def __missing__(self, name: str) -> LoggedPrograms:
        place = self._directory / name
        place.mkdir()
        self[name] = LoggedPrograms(place)
        return self[name]


def sets_endpoint(call: str) -> bool:
    """Whether a call gives a peer an endpoint."""
    return call.startswith("wg set") and " endpoint " in call


def is_reading(call: str) -> bool:
    """Whether a call of `wg`, `ip` or `nft` only shows something."""
    program, *words = call.split()
    verbs = [word for word in words if not word.startswith("-")]
    if program == "ip":
        batch = "-json" not in words and any(word.startswith(("-b", "-force")) for word in words)
        return not batch and verbs[1:2] in ([], ["show"], ["list"])
    return program in ("wg", "nft") and verbs[:1] in (["show"], ["showconf"], ["list"])
