"""The operator's page over meshes of 1,000 and 5,000 peers: seconds and bytes until a person has an answer.

Seconds by the clock are those of whoever asks on this machine; CPU seconds are those of the page and the git it starts.
What a browser does with the answer is not measured.
"""

from __future__ import annotations

import gzip
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen
from bench.meshes import repository
from bench.series import duration
from bench.table import Lines
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mesh_sync
from mesh_sync.web import app
from unit.web_page import Answer, Running

SIZES = (1000, 5000)
AS_A_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
"""The page does not run as root; to this one, what root has is its own."""
STATIC = tuple(f"/static/{file.name}" for file in app.STATIC.iterdir() if file.suffix in (".css", ".js", ".svg"))
"""What a browser fetches with the first page."""
QUIET = 1.0
"""Seconds without CPU time after which the page is done with what it does by itself."""
NOTE = (
    "Seconds by the clock, then CPU seconds of the page with the git it starts; medians. KB are what crosses the wire, "
    "which is not compressed. The plan is of a peer that is removed, which every node sees."
)


@frozen
class Taken:
    """What an answer took: seconds by the clock and of CPU, and the bytes of its body."""

    seconds: float
    cpu: float
    size: int = 0

    def __str__(self) -> str:
        told = f"{duration(self.seconds)}, {duration(self.cpu)}"
        return f"{told}, {self.size / 1000:.0f} KB" if self.size else told


Goal = tuple[str, float, float]
"""In words, seconds, bytes."""
ROWS: dict[str, Goal | None] = {
    "start": ("0.5 s", 0.5, 0),
    "first page, asked for at once": None,
    "first page, a while after the start": ("0.3 s, 150 KB", 0.3, 150_000),
    "the table again": None,
    "filter": ("50 ms", 0.05, 0),
    "one peer": None,
    "an edit": None,
    "plan": ("1 s", 1.0, 0),
}


def web(runs: int) -> Iterator[Lines]:
    """The table of seconds, and that of sizes."""
    found = {size: _measured(size, runs) for size in SIZES}
    lines: list[tuple[str, ...]] = [("what", *(f"{size:,} peers" for size in SIZES), "runs", "goal at 1,000", "met")]
    for row, goal in ROWS.items():
        taken = {size: _median(found[size][row]) for size in SIZES}
        met = "" if goal is None else _yes(_keeps(taken[SIZES[0]], goal))
        count = str(len(found[SIZES[0]][row]))
        lines.append((row, *map(str, taken.values()), count, goal[0] if goal else "", met))
    yield lines
    yield _sizes()


def _keeps(taken: Taken, goal: Goal) -> bool:
    return taken.seconds <= goal[1] and (not goal[2] or taken.size <= goal[2])


def _yes(met: bool) -> str:
    return "yes" if met else "NO"


def _median(taken: Sequence[Taken]) -> Taken:
    seconds, cpu = (statistics.median(each) for each in zip(*((one.seconds, one.cpu) for one in taken), strict=True))
    return Taken(seconds, cpu, max(one.size for one in taken))


def _measured(size: int, runs: int) -> dict[str, list[Taken]]:
    found: dict[str, list[Taken]] = {row: [] for row in ROWS}

    def note(row: str, taken: Taken) -> None:
        found[row].append(taken)
        print(f"{row}  {size:,}  {taken}", file=sys.stderr, flush=True)

    with TemporaryDirectory() as name:
        repository(size, Path(name))
        for _ in range(runs):
            for row, wait in (("first page, asked for at once", False), ("first page, a while after the start", True)):
                with _serving(Path(name) / "mesh") as (page, started):
                    note("start", started)
                    if wait:
                        _until_quiet(page)
                    note(row, _asked(page, lambda page: [page.ask("/"), *map(page.ask, STATIC)]))
                    if wait:
                        for row, ask in _requests(size):
                            note(row, _asked(page, ask))
    return found


def _requests(size: int) -> Iterator[tuple[str, Callable[[Running], list[Answer]]]]:
    """What a person does next."""
    for number in range(5):
        yield "the table again", lambda page: [page.ask("/")]
        path = f"/?q=node{size // 2 + number}"
        yield "filter", lambda page, path=path: [page.ask(path, headers={"HX-Request": "true"})]  # type: ignore[misc]
    yield "one peer", lambda page: [page.ask("/peer/node7")]
    yield "an edit", lambda page: [page.ask("/peer/node7/remove", {})]
    yield "plan", lambda page: [page.ask("/plan")]


def _asked(page: Running, ask: Callable[[Running], list[Answer]]) -> Taken:
    before, begin = _cpu(page), time.perf_counter()
    answers = ask(page)
    seconds = time.perf_counter() - begin
    if wrong := [answer.status for answer in answers if answer.status not in (200, 303)]:
        sys.exit(f"bench: the page answered {wrong[0]}")
    return Taken(seconds, _cpu(page) - before, sum(len(answer.body) for answer in answers))


def _cpu(page: Running) -> float:
    """CPU seconds of the page so far, and of the children that it has waited for."""
    fields = Path(f"/proc/{page.process.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _until_quiet(page: Running) -> None:
    """Wait until the page has done what it does by itself after its start: until it uses no CPU for ``QUIET``."""
    before = -1.0
    while (now := _cpu(page)) > before:
        before = now
        time.sleep(QUIET)


@contextmanager
def _serving(directory: Path) -> Iterator[tuple[Running, Taken]]:
    """The page of a working copy, entered, and what its start took: until it says its address."""
    program = [sys.executable, "-c", "from mesh_sync.__main__ import main; main()", "web", "-C", str(directory)]
    begin = time.perf_counter()
    with subprocess.Popen([*AS_A_USER, *program, "--no-browser"], text=True, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            first, second = process.stdout.readline(), process.stdout.readline()
            seconds = time.perf_counter() - begin
            if not second:
                sys.exit("bench: the page did not start; see above")
            page = Running(process, "".join(re.findall(r"http://\S+/", first)), second.split()[-1])
            started = Taken(seconds, _cpu(page))
            while not _listens(page):
                time.sleep(0.01)
            yield page.enter(), started
        finally:
            process.kill()


def _listens(page: Running) -> bool:
    try:
        return page.ask("/static/icon.svg").status == 200
    except ConnectionError:
        return False


def _sizes() -> Lines:
    """What there is of script, compressed as the goal counts it, and what an installation takes."""
    package = Path(mesh_sync.__file__).parent
    page = package / "web"
    script = sum(len(gzip.compress(file.read_bytes())) for file in page.glob("static/*.js"))
    without, needed = _needed("mesh-sync", set()), _needed("mesh-sync", {"web"})
    own = sum(file.stat().st_size for file in page.rglob("*") if file.is_file() and file.suffix != ".pyc")
    added = own + sum(map(_installed, needed - without))
    others = sum(map(_installed, without - {"mesh-sync"}))
    names = ", ".join(sorted(needed - without))
    return [
        ("what", "size", "goal", "met"),
        ("script, gzipped", f"{script / 1000:.1f} KB", "60 KB", _yes(script <= 60_000)),
        (f"the page, and what only it needs: {names}", f"{added / 2**20:.1f} MiB", "10 MiB", _yes(added <= 10 * 2**20)),
        ("what mesh-sync needs without it", f"{others / 2**20:.1f} MiB", "", ""),
    ]


def _needed(name: str, extras: set[str]) -> set[str]:
    """A distribution and all that it needs here; what is not installed is left out."""
    try:
        required = distribution(name).requires or []
    except PackageNotFoundError:
        return set()
    found = {name}
    for text in required:
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
            name = canonicalize_name(one.name)
            found |= _needed(name, one.extras) if name not in found else set()
    return found


def _installed(name: str) -> int:
    """Bytes of its files, without what Python compiles of them."""
    files = [Path(str(file.locate())) for file in distribution(name).files or []]
    return sum(file.stat().st_size for file in files if file.suffix != ".pyc" and file.is_file())
