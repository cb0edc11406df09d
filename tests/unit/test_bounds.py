"""What a stranger's list may cost: errors are counted, processor time is metered, output is cut."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime

import pytest

from mesh_sync.check.examine import examine
from mesh_sync.errors import CommandError, Reason, Refused
from mesh_sync.findings import MAX_ERRORS
from mesh_sync.mesh.tree import MAX_MANIFESTS, Entry, Tree, choose
from mesh_sync.system.cpu_limit import spending
from mesh_sync.system.run import limited, run

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_program_that_prints_too_much_is_ended() -> None:
    with pytest.raises(CommandError, match="yes printed more than 100,000 bytes") as caught:
        run(["yes"], most=100_000)
    assert caught.value.reason is Reason.TOO_MUCH_OUTPUT


def test_a_program_that_complains_without_end_is_not_remembered_whole() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "head -c 10000000 /dev/zero | tr '\\0' x >&2; exit 1"])
    assert len(caught.value.stderr) == 64 * 1024
    assert len(caught.value.message) < 2100


def test_a_program_reads_as_much_as_it_likes_and_answers_meanwhile() -> None:
    text = "x" * 3_000_000
    assert run(["cat"], input=text) == text
    assert run(["true"], input=text) == ""


def test_a_limited_program_is_called_by_its_own_name() -> None:
    with pytest.raises(CommandError, match="no-such-program is not installed"):
        run(limited(["no-such-program"], memory=100, file=1))
    with pytest.raises(CommandError, match=r"^sh failed with status 3"):
        run(limited(["sh", "-c", "exit 3"], memory=100, file=1))


def test_a_program_gets_no_more_memory_than_it_may_have() -> None:
    with pytest.raises(CommandError, match=r"out of memory|exhausted"):
        run(limited(["sort", "-S", "900M", "/dev/zero"], memory=50, file=1))


def test_after_a_thousand_errors_nothing_more_is_looked_for() -> None:
    broken = "".join(f"key{number} = 1\n" for number in range(1400)).encode()
    _, findings = examine(Tree({f"peers/p{number}.toml": broken for number in range(300)}), MOMENT)
    assert len(findings) == MAX_ERRORS + 1
    assert ".:: has more errors than the 1,000 that are listed" in map(str, findings)


def test_more_manifests_than_any_mesh_has_are_not_read() -> None:
    entries = [Entry(f"peers/p{number}.toml", 0o100644, 60_000) for number in range(MAX_MANIFESTS // 60_000 + 2)]
    wanted, findings = choose(entries)
    assert (wanted, str(findings[-1])) == ([], "peers/:: more than 4,194,304 bytes of peer files are not read")


def endless() -> None:
    while True:
        with contextlib.suppress(Exception):  # as a parser might do
            sum(range(1000))


def test_work_that_takes_too_long_is_a_refusal() -> None:
    said = r"the commit takes more than 0\.1 s of processor time to check"
    with pytest.raises(Refused, match=said), spending(0.1, "the commit"):
        endless()


def test_time_that_others_take_does_not_count() -> None:
    with spending(0.1, "the commit"):
        time.sleep(0.3)
