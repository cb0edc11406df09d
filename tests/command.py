"""Runs a command of mesh-sync within the test, the way that the installed program does."""

from __future__ import annotations

import io
import signal
from contextlib import redirect_stderr, redirect_stdout

import pytest
from attrs import frozen

from mesh_sync.cli.main import main


@frozen
class Ended:
    """How a command ended: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    def fine(self) -> str:
        """Its stdout, when the exit code is 0."""
        assert self.code == 0, self.err
        return self.out


def mesh_sync(*words: object) -> Ended:
    """Run ``mesh-sync WORDS``. What the command does not turn into a sentence itself is raised here."""
    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
    finally:
        signal.signal(signal.SIGTERM, before)
    return Ended(ended.value.code if isinstance(ended.value.code, int) else 1, out.getvalue(), err.getvalue())
