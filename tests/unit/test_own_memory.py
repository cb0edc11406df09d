"""No core file and no other process gets the memory of either program, in which private keys are."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.waiting import eventually
from mesh_sync.node.config import load
from mesh_sync.system.lock import locked

SLEEPING = (sys.executable, "-c", "import time; time.sleep(60)")
BIN = Path(sys.executable).parent
PROGRAMS = {
    "mesh-sync": (str(BIN / "mesh-sync"), "now", "--wait", "60"),
    "mesh-sync by the timer": (str(BIN / "mesh-sync"), "now"),
    "mesh-watchdog": (str(BIN / "mesh-watchdog"), "run"),
}
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"] if os.getuid() == 0 else []
"""As the user that runs the tests, and without the capability to look into every process."""
LOOK = """
import sys
seen = []
for name in ("environ", "maps", "mem", "fd/0"):
    try:
        open(f"{sys.argv[1]}/{name}", "rb").close()
        seen.append(name)
    except PermissionError:
        pass
print(*seen)
"""


@contextmanager
def running(argv: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program whose core files, if it leaves any, are kept, and lie in ``folder``."""
    script = 'ulimit -c unlimited 2>/dev/null; cd "$1" && shift && exec "$@"'
    process = subprocess.Popen(
        [*POWERLESS, "sh", "-c", script, "sh", folder, *argv], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def shown(process: subprocess.Popen[bytes]) -> list[str]:
    """What of it another process of the same user can read in /proc."""
    argv = [*POWERLESS, sys.executable, "-c", LOOK, f"/proc/{process.pid}"]
    return subprocess.run(argv, capture_output=True, check=True, timeout=20, text=True).stdout.split()


def has_dumped(process: subprocess.Popen[bytes]) -> bool:
    """Let it crash; return whether the kernel has written its memory somewhere."""
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT
    return os.WCOREDUMP(status)


@pytest.mark.parametrize("argv", PROGRAMS.values(), ids=PROGRAMS)
def test_neither_program_shows_its_memory(argv: tuple[str, ...], tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text(
        'name = "a"\ninterface = "wgnone"\n[repository]\nurls = ["x"]\n[trust]\nmode = "none"\n[paths]\n'
        + "".join(f'{name} = "{tmp_path / name}"\n' for name in ("state", "run", "wireguard"))
    )
    with locked(load(config).run_lock_file), running([*argv, "--config", str(config)], tmp_path) as process:
        assert eventually(lambda: not shown(process))
        assert process.poll() is None
        assert not has_dumped(process)
    assert not list(tmp_path.glob("core*"))


def test_the_tests_would_see_it(tmp_path: Path) -> None:
    with running(SLEEPING, tmp_path) as process:
        assert eventually(lambda: b"python" in Path(f"/proc/{process.pid}/cmdline").read_bytes())
        assert shown(process) == ["environ", "maps", "mem", "fd/0"]
        if resource.getrlimit(resource.RLIMIT_CORE)[1] == resource.RLIM_INFINITY:
            assert has_dumped(process)
