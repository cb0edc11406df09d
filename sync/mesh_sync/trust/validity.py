"""Until when an SSH key may sign: `valid-after` and `valid-before`, judged by the clock of this machine. Pure.

git hands ssh-keygen the commit's own date to judge them by, and whoever signs writes that date: an expired key could
go on signing commits of last year. So the lines that are not good now are left out before ssh-keygen sees them.
"""

from __future__ import annotations

import re
from datetime import datetime

from attrs import evolve

from mesh_sync.trust import signers
from mesh_sync.trust.signers import Signer, Signers

_LIMIT = re.compile(r'(valid-after|valid-before)="([^"]*)"')


def valid(present: Signers, moment: datetime) -> Signers:
    """Only those whose key is good at ``moment``."""
    return evolve(present, entries=tuple(signer for signer in present.entries if not why_not(signer, moment)))


def why_not(signer: Signer, moment: datetime) -> str:
    """Why a signer's key is not good at ``moment`` (an aware time), as the end of a sentence; empty when it is."""
    for option, words in _LIMIT.findall(signer.options):
        limit = signers.moment(words)
        if limit is None:
            return f"is good for no time ({option} {words!r} is no date)"
        if option == "valid-after" and moment < limit:
            return f"is not good before {words}"
        if option == "valid-before" and moment > limit:
            return f"was good until {words} only"
    return ""
