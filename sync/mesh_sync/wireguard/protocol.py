"""The numbers of the WireGuard protocol under the names of its paper (sections 5.4, 6.1 to 6.5), in seconds and bytes.

Pure. How long mesh-sync waits and when it doubts, on top of these, stands where it is used.
"""

from __future__ import annotations

REKEY_AFTER_TIME = 120
"""The initiator of a session of this age begins another one."""
REJECT_AFTER_TIME = 180
"""A session of this age carries nothing any more."""
REKEY_ATTEMPT_TIME = 90
"""For so long a handshake is tried again before WireGuard gives up."""
REKEY_TIMEOUT = 5
"""A handshake is begun at most this often."""
KEEPALIVE_TIMEOUT = 10
"""A peer that got data and has nothing to say answers within this time, by an empty packet."""
NEW_HANDSHAKE_TIME = KEEPALIVE_TIMEOUT + REKEY_TIMEOUT
"""A peer that sent data and heard nothing for so long begins a new handshake."""
ANSWER_OWED = KEEPALIVE_TIMEOUT + 1
"""A peer that was sent data and is there has answered by then; the second is for the way."""

INITIATION_SIZE = 148
RESPONSE_SIZE = 92
KEEPALIVE_SIZE = 32
"""Bytes of the messages that carry no data of a user."""


def data_size(packet: int) -> int:
    """Bytes of the message that carries an IP packet of so many: that is padded, between a header and a tag."""
    return 32 + -(-packet // 16) * 16


def is_alive(handshake: int, moment: float) -> bool:
    """Whether a session can still carry traffic, given the Unix time of its handshake (0: never) and of now.

    A handshake in the future counts: the clock was set back.
    """
    return handshake > 0 and moment - handshake < REJECT_AFTER_TIME
