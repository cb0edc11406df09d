"""Who begins a handshake, read from WireGuard's own first message. The message in `data` is wireguard-go's."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.membership.handshake import Responder
from mesh_sync.wireguard import keys
from mesh_sync.wireguard.protocol import INITIATION_SIZE

CAPTURED = json.loads((Path(__file__).parent / "data/handshake-initiation.json").read_text())
MESSAGE = bytes.fromhex(CAPTURED["message"])
RESPONDER = Responder(CAPTURED["private_key"])
MAC2 = 16
"""Bytes at the end that are zero unless the receiver is under load; they prove nothing."""


def test_a_message_tells_the_key_of_its_sender() -> None:
    assert len(MESSAGE) == INITIATION_SIZE
    assert RESPONDER.initiator(MESSAGE) == CAPTURED["sender"]


def test_a_message_for_another_key_tells_nothing() -> None:
    assert Responder(keys.generate()).initiator(MESSAGE) is None


@given(st.integers(0, INITIATION_SIZE - MAC2 - 1), st.integers(0, 7))
def test_a_message_with_any_other_bit_tells_nothing(place: int, bit: int) -> None:
    changed = bytearray(MESSAGE)
    changed[place] ^= 1 << bit
    assert RESPONDER.initiator(bytes(changed)) is None


def forged(place: int, what: bytes) -> bytes:
    """The message with something else in it, and the first mac over that: who knows the public key can compute it."""
    message = bytearray(MESSAGE)
    message[place : place + len(what)] = what
    public = base64.b64decode(keys.public_key(CAPTURED["private_key"]))
    mac_key = hashlib.blake2s(b"mac1----" + public).digest()
    message[116:132] = hashlib.blake2s(bytes(message[:116]), digest_size=16, key=mac_key).digest()
    return bytes(message)


@pytest.mark.parametrize("place", [8, 40, 88])
def test_a_mac_alone_opens_nothing(place: int) -> None:
    assert RESPONDER.initiator(forged(place, bytes([MESSAGE[place] ^ 1]))) is None


def test_an_ephemeral_key_of_low_order_tells_nothing() -> None:
    assert RESPONDER.initiator(forged(8, bytes(32))) is None


def test_the_mac_that_is_forged_here_is_the_right_one() -> None:
    assert RESPONDER.initiator(forged(8, MESSAGE[8:9])) == CAPTURED["sender"]


@given(st.binary(max_size=300))
def test_anything_else_tells_nothing(message: bytes) -> None:
    assert RESPONDER.initiator(message) is None
