"""What a node does with the commits that it missed: verify them all. With `git`, each signature by `git verify-commit`.

Usage: python catch_up.py REPOSITORY FIRST LAST [git]
"""

from __future__ import annotations

import sys
from pathlib import Path

from mesh_sync.trust import commit_signature
from mesh_sync.trust.verify_history import verify_clone


def main() -> None:
    """Verify FIRST..LAST, or exit with what is wrong."""
    place, first, last, *by_git = sys.argv[1:]
    if by_git:
        commit_signature._is_signed_here = lambda *_: None  # nothing can be decided in the process
    found = verify_clone(Path(place), first, last)
    if found.problems or not found.verified:
        sys.exit(f"{found.verified} commits are verified: {found.problems[:1]}")


if __name__ == "__main__":
    main()
