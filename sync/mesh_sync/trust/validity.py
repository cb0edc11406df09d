"""When an SSH key may sign: `valid-after` and `valid-before`, by the clock of this machine. Pure.

git has ssh-keygen apply them to the commit's own date, which the signer writes: an expired key could go on signing
commits of last year. So lines that are not valid now are left out before ssh-keygen sees them.
"""

from __future__ import annotations

import re
from datetime import datetime

from attrs import evolve

from mesh_sync.trust import signers
from mesh_sync.trust.signers import Signer, Signers

_LIMIT = re.compile(r'(valid-after|valid-before)="([^"]*)"')


def valid(present: Signers, moment: datetime) -> Signers:
    """The signers whose key is valid at ``moment``."""
    return evolve(present, entries=tuple(signer for signer in present.entries if not problem_at(signer, moment)))


def problem_at(signer: Signer, moment: datetime) -> str:
    """Why a signer's key is not valid at ``moment`` (an aware time), as the end of a sentence; empty when it is."""
    for option, words in _LIMIT.findall(signer.options):
        limit = signers.moment_of(words)
        if limit is None:
            return f"has no valid date in {option}: {words!r}"
        if option == "valid-after" and moment < limit:
            return f"is not valid before {words}"
        if option == "valid-before" and moment > limit:
            return f"expired at {words}"
    return ""
