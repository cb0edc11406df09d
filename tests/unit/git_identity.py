"""git as Alice runs it, without the settings of whoever runs the tests."""

from __future__ import annotations

import os

import pytest

VARIABLES = {
    f"GIT_{who}_{what}": text
    for who in ("AUTHOR", "COMMITTER")
    for what, text in (("NAME", "Alice"), ("EMAIL", "alice@example.org"))
}


def as_alice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name, text in VARIABLES.items():
        monkeypatch.setenv(name, text)
