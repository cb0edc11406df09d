"""The one way to start programs, and the one way to write files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mesh_sync.errors import CommandError, DeviceError, Locked, Reason
from mesh_sync.system.files import write_atomically
from mesh_sync.system.lock import locked
from mesh_sync.system.run import limited, run


def test_what_a_program_prints_is_returned() -> None:
    assert run(["cat"], input="hello") == "hello"


def test_a_program_sees_no_environment_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    assert set(run(["env"]).split()) == {f"PATH={os.environ['PATH']}", "LC_ALL=C.UTF-8"}


def test_a_program_gets_no_open_file_of_ours(tmp_path: Path) -> None:
    """One that holds a key, say, and that is marked as one to pass on."""
    with (tmp_path / "key").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        assert "/key" not in run(["ls", "-l", "/proc/self/fd"])
        assert "/key" in run(["ls", "-l", "/proc/self/fd"], pass_fds=[file.fileno()])


def test_a_failure_says_the_program_its_status_and_its_words() -> None:
    with pytest.raises(CommandError, match="sh failed with status 3: too bad") as caught:
        run(["sh", "-c", "echo secret; echo too bad >&2; exit 3"])
    assert (caught.value.reason, caught.value.status) == (Reason.EXIT_STATUS, 3)
    assert caught.value.says("no", "too bad")
    assert "secret" not in str(caught.value)


def test_a_signal_is_named() -> None:
    with pytest.raises(CommandError, match="sh was ended by SIGTERM") as caught:
        run(["sh", "-c", "kill $$"])
    assert (caught.value.reason, caught.value.status) == (Reason.SIGNAL, 15)


def test_a_program_that_is_missing_is_said_to_be() -> None:
    with pytest.raises(CommandError, match="no-such-program is not installed") as caught:
        run(["no-such-program"])
    assert caught.value.reason is Reason.NOT_FOUND
    with pytest.raises(CommandError, match="no-such-program is not installed") as caught:
        run(limited(["no-such-program"], memory=64, file=1))
    assert caught.value.reason is Reason.NOT_FOUND


def test_a_late_program_is_ended_with_everything_it_started(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(CommandError, match=r"gave no answer within 0\.3 s") as caught:
        run(["sh", "-c", f"sleep 60 & echo $! >{tmp_path}/child; wait"], deadline=0.3)
    assert time.monotonic() - began < 5
    assert caught.value.reason is Reason.DEADLINE
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text():
            break
        time.sleep(0.02)
    else:
        pytest.fail("the grandchild is still running")


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "wg0.conf"
    write_atomically(file, "one")
    write_atomically(file, "two")
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["wg0.conf"]


def test_a_leftover_of_a_crash_does_not_disturb(tmp_path: Path) -> None:
    (tmp_path / ".wg0.conf.new").write_text("half")
    (tmp_path / ".wg0.conf.new").chmod(0o644)
    write_atomically(tmp_path / "wg0.conf", "whole")
    assert (tmp_path / "wg0.conf").read_text() == "whole"
    assert (tmp_path / "wg0.conf").stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_keeps_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(DeviceError, match="cannot be written"):
        write_atomically(tmp_path / "file", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_second_holder_of_a_lock_leaves_at_its_deadline(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"), pytest.raises(Locked, match=r"0\.1 s"), locked(tmp_path / "lock", wait=0.1):
        pytest.fail("two holders")
    with locked(tmp_path / "lock", wait=0):
        pass
