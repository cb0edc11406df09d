"""Names are looked up in turn, so that no peer takes the time of the others."""

from __future__ import annotations

import asyncio

import pytest

from mesh_sync.names import resolve
from mesh_sync.names.nameservers import Answer, Unresolved
from mesh_sync.names.resolve import AT_ONCE
from mesh_sync.reconcile.locate import names
from mesh_sync.wireguard.endpoint import Endpoint


def test_every_peers_first_name_comes_before_any_second() -> None:
    slow = [Endpoint(f"{number}.evil.example", 1) for number in range(3)]
    literal = [Endpoint("203.0.113.1", 1), Endpoint("z.example", 1)]
    assert names([slow, [Endpoint("b.example", 1)], literal, []]) == [
        "0.evil.example", "b.example", "z.example", "1.evil.example", "2.evil.example",
    ]  # fmt: skip


def test_what_comes_first_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred names that nobody answers for, after one that is answered at once."""

    async def answer(host: str, *_: object, **__: object) -> Answer:
        await asyncio.sleep(0 if host == "z.example" else 60)
        return Answer(host)

    monkeypatch.setattr(resolve, "look_up", answer)
    found = resolve.resolve(["z.example", *(f"{number:03}.evil.example" for number in range(AT_ONCE + 36))], 0.5)
    assert found["z.example"] == Answer("z.example")
    assert found["000.evil.example"].reason is Unresolved.SILENCE
