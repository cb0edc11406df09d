"""Until when an SSH key may sign: `valid-after` and `valid-before`, judged by the clock of this machine. Pure.

git hands ssh-keygen the commit's own date to judge them by, and whoever signs writes that date: an expired key could
go on signing commits of last year. So the lines that are not good now are left out before ssh-keygen sees them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from attrs import evolve

from mesh_sync.signers import Signer, Signers

_LIMIT = re.compile(r'(valid-after|valid-before)="([^"]*)"')
_FORMATS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


def valid(signers: Signers, moment: datetime) -> Signers:
    """Only those whose key is good at ``moment``."""
    return evolve(signers, entries=tuple(signer for signer in signers.entries if not why_not(signer, moment)))


def why_not(signer: Signer, moment: datetime) -> str:
    """Why a signer's key is not good at ``moment`` (an aware time), as the end of a sentence; empty when it is."""
    for option, words in limits(signer):
        limit = timestamp(words)
        if limit is None:
            return f"is good for no time ({option} {words!r} is no date)"
        if option == "valid-after" and moment.timestamp() < limit:
            return f"is not good before {words}"
        if option == "valid-before" and moment.timestamp() > limit:
            return f"was good until {words} only"
    return ""


def limits(signer: Signer) -> Iterator[tuple[str, str]]:
    """The limits in time that a line sets, as it writes them."""
    yield from _LIMIT.findall(signer.options)


def timestamp(words: str) -> float | None:
    """What ssh-keygen takes `YYYYMMDD[HHMM[SS]][Z]` for (parse_absolute_time of OpenSSH), in Unix seconds.

    UTC with `Z` or `UTC` at the end, else this machine's time zone. None for what is no such time.
    """
    digits = re.sub(r"(?i)(z|utc)$", "", words)
    if not (digits.isascii() and digits.isdigit()) or len(digits) not in _FORMATS:
        return None
    try:
        moment = datetime.strptime(digits, _FORMATS[len(digits)])
        return (moment.replace(tzinfo=UTC) if digits != words else moment).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
