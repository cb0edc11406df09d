"""A program that goes on answering, so that it is started once: `git cat-file --batch` is one."""

from __future__ import annotations

import subprocess
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence

from mesh_sync.system.run import answer, end, start


class Conversation:
    """One running program: started by the first question, and by the next one after it failed.

    Threads may share it. The program ends with this object.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._argv, self._env = argv, env
        self._one_by_one = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._end: Callable[[], object] = lambda: None

    def ask(self, question: bytes, last: bytes, *, most: int, deadline: float) -> bytes:
        """What the program prints before ``last``, which the question makes it print at the end, and nothing else can.

        Raise CommandError as `run` does, also when it ends before.
        """
        with self._one_by_one:
            if self._process is None:
                self._process = start(self._argv, env=self._env, asks=True)
                self._end = weakref.finalize(self, end, self._process)
            try:
                return answer(self._process, question, deadline=deadline, most=most, last=last)
            except BaseException:
                self._process = None
                self._end()
                raise
