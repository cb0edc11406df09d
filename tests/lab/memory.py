"""How much memory the programs on a host take at most, seen from outside while they run."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from types import TracebackType

from lab.host import Host

PEAK = re.compile(r"VmHWM:\s*(\d+) kB")


class PeakMemory:
    """`with PeakMemory(host) as peak: …`, then `peak.of("git")`: MiB of the largest process of that program."""

    def __init__(self, host: Host) -> None:
        self._place = Path(f"/proc/{host.tree.pid}/ns/pid").readlink()
        self._over = threading.Event()
        self._seen: dict[str, int] = {}
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def of(self, program: str) -> int:
        """MiB; 0 when no such program was seen."""
        return max((size for name, size in self._seen.items() if name.startswith(program)), default=0) // 1024

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if (process / "ns/pid").readlink() == self._place:
                        self._look(process)
                except OSError:  # it is gone
                    continue

    def _look(self, process: Path) -> None:
        status = (process / "status").read_text()
        if found := PEAK.search(status):
            name = status.split(maxsplit=2)[1]
            self._seen[name] = max(self._seen.get(name, 0), int(found[1]))
