"""The watchdog's numbers, in seconds unless said otherwise; WireGuard's own are in `mesh_sync.wireguard.protocol`."""

from __future__ import annotations

from mesh_sync.wireguard.protocol import (
    ANSWER_OWED,
    KEEPALIVE_TIMEOUT,
    NEW_HANDSHAKE_TIME,
    REJECT_AFTER_TIME,
    REKEY_TIMEOUT,
)

PROBE_WANTED = 10.0
"""Silence after which a peer is probed while traffic is wanted (rule R2)."""
PROBE_IDLE = 25.0
"""The same while no traffic is wanted (R2)."""
PROBE_PROMPT = 2.0
"""The same for a peer that answers at once, or may do so for all we know, while traffic is wanted (R3)."""
PROMPT = KEEPALIVE_TIMEOUT - 2.0
"""Data within this time after a question is the other machine's answer, and not WireGuard's passive keepalive."""
MISS = 0.95
"""A probe without an answer for so long is a miss, for a peer that answers at once; such a one is then asked again."""
MISSES = 3
"""Misses after which such a peer is suspect (R3)."""
TALK = 3
"""Readings in a row with data from a peer that make it one in conversation …"""
TALK_PAUSE = 5.0
"""… with at most this between two of them."""

SUSPECT_AFTER = ANSWER_OWED
"""An answer was owed this long ago (R3)."""
SEARCH_AFTER = NEW_HANDSHAKE_TIME
"""WireGuard itself gives up on a path after this: from here on endpoints are tried (R3)."""
HANDSHAKE_OWED = REKEY_TIMEOUT + 0.5
"""A peer we never had a session with answers a handshake at once: it needs no more patience than a second try."""
SILENT_PROBE = REKEY_TIMEOUT
"""A silent peer is sent a packet this often …"""
SILENT_LONG = 60.0
"""… for this long …"""
LONG_PROBE = 25.0
"""… and then this often: WireGuard's own handshakes go on for 90 s after each."""

SEARCH_ROUNDS = (15.0, 30.0, 60.0, 120.0, 240.0, 300.0)
"""Pauses between two rounds of tries; the last one repeats (R11)."""
TRY_YOUNG = 0.1
"""Between two endpoints tried while the session is alive: one packet is enough (R8)."""
TRY_OLD = REKEY_TIMEOUT + 0.5
"""The same without a session: each needs a handshake, which WireGuard begins every 5 to 5.33 s (R8)."""
YOUNG = REJECT_AFTER_TIME - 10.0
"""A session is counted on up to this age: readings are late, and the tries take time."""
NEWS_LISTEN = 1.0
"""A peer that is merely suspect is given its new DNS address for so long, and then its old one again."""
RX_HOLDS = 2.0
"""No write for so long after anything was received from a peer: a handshake may be under way."""
MAX_CANDIDATES = 6
"""Endpoints tried in one round."""
WRITES_AT_ONCE = 30
"""An endpoint may be written so often in a row …"""
WRITE_EVERY = 15.0
"""… and on the average once in this time: 270 in the worst hour."""

DNS_FLOOR = 5.0
"""No name is asked more often (R10): 720 questions in the worst hour."""
DNS_TTL_CAP = 60.0
"""A longer TTL is not waited for (R10)."""
DNS_EAGER = 60.0
"""For so long after a peer fell silent its names are asked as often as their TTL allows; then ever less (R10)."""
DNS_CEILING = 300.0
"""The longest wait between two questions (R10)."""
DNS_LOST = 15.0
"""A question without an answer or a failure after this time is forgotten."""
DNS_AT_ONCE = 8
"""Questions under way at the same time, over all names."""

PROBE_ALL = (0.0, 1.0, 3.0, 10.0)
"""When every peer is sent a packet after our own network changed (R5)."""
PROBE_ALL_PAUSE = 1.0
"""However often it changes, the first of them comes at most this often."""
OUTAGE_SHARE = 0.75
"""If this share of the sites we hear from falls silent together, it is us (R4) …"""
OUTAGE_LEAST = 3
"""… and there are at least so many of them. A site is an address: peers behind one NAT are one."""
OUTAGE_PATIENCE = 60.0
"""For so long it is believed to be us."""
WITNESSES = 8
"""So many idle peers are asked when one misses an answer: is it them or us?"""
WITNESS_PAUSE = 3.0
"""Not more often than this."""
HEARD_LATELY = 5.0
"""A peer that was heard within this time shows that it is not us."""
CALM = SUSPECT_AFTER
"""After this machine was cut off, every peer has this long to answer."""
BLIND = 15.0
"""Not having looked for so long (the machine slept) says nothing about the peers."""
