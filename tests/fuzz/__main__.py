"""`python -m fuzz TARGET SECONDS [INPUTS]`: feed one target (or `all`) for so long, with so many inputs at most.

Exit 0 when nothing it did was a defect.

With atheris (libFuzzer) the inputs follow the branches of the code. Where it has no build, the same targets eat
mutations of the same examples, and the first line says so.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

MEMORY = 1024
"""MiB; a target that needs more has a defect."""
LONGEST = 5
"""Seconds that one input may take."""
SIZE = 4096
"""Bytes of an input."""
SPLICES = [
    b"\0",
    b"\xff",
    b"\n",
    b'"',
    b"[",
    b"{",
    b"9" * 30,
    b"\x1b[2J",
    b"null",
    b"-1",
    b"1e999",
    b"::",
    b"%",
    b"=" * 3,
]


def each(name: str, feed: Callable[[str], object]) -> None:
    """Feed one target, or all of them one after the other, in a process of its own. Exit when one ends badly."""
    from fuzz.targets import TARGETS

    for target in TARGETS if name == "all" else [name]:
        print(f"target: {target}", flush=True)
        if (child := os.fork()) == 0:
            feed(target)
            sys.stdout.flush()
            os._exit(0)
        if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            sys.exit(abs(code))


def guided(name: str, seconds: int, inputs: int) -> None:
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["mesh_sync", "mesh_watchdog"]):
        from fuzz.targets import PLACE, TARGETS

    def feed(name: str) -> None:
        target = TARGETS[name]
        corpus = Path(tempfile.mkdtemp(dir=PLACE))
        for number, example in enumerate(target.examples):
            (corpus / str(number)).write_bytes(example)
        bounds = [f"-timeout={LONGEST}", f"-rss_limit_mb={MEMORY}", f"-max_len={SIZE}", f"-max_total_time={seconds}"]
        bounds += [f"-runs={inputs}"] if inputs else []
        options = [*bounds, "-print_final_stats=1", f"-artifact_prefix={PLACE}/", str(corpus)]
        atheris.Setup([sys.argv[0], *options], target.eat)
        atheris.Fuzz()

    each(name, feed)


def mutated(name: str, seconds: int, inputs: int) -> None:
    print("no coverage guides this: atheris has no build for this machine", flush=True)
    each(name, lambda target: mutate(target, seconds, inputs))


def mutate(name: str, seconds: int, inputs: int) -> None:
    from fuzz.targets import TARGETS

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY << 20, MEMORY << 20))
    signal.signal(signal.SIGALRM, too_long)
    target, chance = TARGETS[name], random.Random(name)
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end and (count < inputs or not inputs):
        data = mutation(chance, target.examples)
        signal.alarm(LONGEST)
        try:
            target.eat(data)
        except BaseException:
            print(f"input: {data!r}", file=sys.stderr)
            raise
        count += 1
    signal.alarm(0)
    print(f"stat::number_of_executed_units: {count}")


def mutation(chance: random.Random, examples: tuple[bytes, ...]) -> bytes:
    data = bytearray(chance.choice(examples))
    for _ in range(chance.choice((0, 1, 1, 2, 4, 16))):
        start = chance.randint(0, len(data))
        end = start + chance.choice((0, 0, 1, 2, 8, 64))
        new = (chance.choice(SPLICES), chance.randbytes(chance.randint(0, 8)), bytes(data[start:end]) * 3)
        data[start:end] = chance.choice(new)
    return bytes(data[:SIZE])


def too_long(_: int, __: FrameType | None) -> None:
    raise TimeoutError(f"one input takes more than {LONGEST} s")


if __name__ == "__main__":
    warnings.simplefilter("error")
    guide = guided if find_spec("atheris") and not os.environ.get("FUZZ_UNGUIDED") else mutated
    guide(sys.argv[1], int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0]))
