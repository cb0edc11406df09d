"""The one way to start another program: an argv list, a deadline, no inherited environment, no standard input."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import cast

from mesh_sync.errors import CommandError, Reason
from mesh_sync.findings import printable
from mesh_sync.system import pipes

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEADLINE = 10.0
"""Seconds; for programs that only talk to the kernel."""

MOST_PRINTED = 16 * 1024 * 1024
"""Bytes; `wg show dump` of 3,000 peers prints 600,000."""
MOST_SAID = 2000
"""Characters of what a program said on stderr that its failure quotes."""

PACKAGES = {
    program: f"install {package}: `apt install --no-install-recommends {package}`, `dnf install {package}`, "
    f"`apk add {package}`"
    for program, package in {
        "ip": "iproute2", "wg": "wireguard-tools", "nft": "nftables",
    }.items()
}  # fmt: skip
"""What to do about a program that is not there."""

_NOT_EXECUTED = (126, 127)
"""How prlimit ends when it cannot start what it is to limit; a shell does the same."""

_running: set[subprocess.Popen[bytes]] = set()


def run(
    argv: Sequence[str],
    *,
    input: str | None = None,
    deadline: float = DEADLINE,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    most: int = MOST_PRINTED,
    partly: bool = False,
) -> str:
    """Run a program and return what it printed.

    Raise CommandError when it cannot be started, fails, is not done after ``deadline`` seconds, or prints more than
    ``most`` bytes; it and whatever it started are ended then. ``input`` is never part of an error,
    nor is what it printed on stdout, unless ``partly``: what failed is a part of the work, and the error's ``stdout``
    has the rest. What it said on stderr is (`said`).
    """
    out = run_bytes(argv, input=input, deadline=deadline, env=env, pass_fds=pass_fds, most=most, partly=partly)
    return out.decode(errors="replace")


def run_bytes(
    argv: Sequence[str],
    *,
    input: str | None = None,
    deadline: float = DEADLINE,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    most: int = MOST_PRINTED,
    partly: bool = False,
) -> bytes:
    """Like `run`, for output that is not text."""
    given = None if input is None else input.encode()
    process = start(argv, env=env, pass_fds=pass_fds, asks=input is not None)
    return answer(process, given, deadline=deadline, most=most, partly=partly)


def start(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, pass_fds: Sequence[int] = (), asks: bool
) -> subprocess.Popen[bytes]:
    """Start a program, with standard input if it ``asks`` for any. Raise CommandError."""
    program = _name(argv)
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if asks else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            pass_fds=pass_fds,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        text, hint = f"{error.filename} is not installed", PACKAGES.get(program, "")
        raise CommandError(text, program=program, reason=Reason.NOT_FOUND, hint=hint) from None
    except OSError as error:
        text = f"{program} cannot be started: {error.strerror}"
        raise CommandError(text, program=program, reason=Reason.NOT_STARTED) from None
    _running.add(process)
    return process


def answer(
    process: subprocess.Popen[bytes],
    question: bytes | None,
    *,
    deadline: float,
    most: int,
    last: bytes = b"",
    partly: bool = False,
) -> bytes:
    """What a started program prints until its end, or before ``last``. Raise CommandError as `run` does."""
    program = _name(cast("Sequence[str]", process.args))
    try:
        out, err = pipes.exchange(process, question, deadline=deadline, most=most + len(last), last=last or None)
    except subprocess.TimeoutExpired:
        end(process)
        text = f"{program} gave no answer within {deadline:g} s"
        raise CommandError(text, program=program, reason=Reason.DEADLINE) from None
    except pipes.TooMuch:
        end(process)
        text = f"{program} printed more than {most:,} bytes"
        raise CommandError(text, program=program, reason=Reason.TOO_MUCH_OUTPUT) from None
    except BaseException:
        end(process)
        raise
    if process.returncode is None:
        return bytes(out.removesuffix(last))
    _running.discard(process)
    if process.returncode or last:
        problem = failure(program, process.returncode, bytes(err))
        problem.stdout = out.decode(errors="replace") if partly else ""
        raise problem
    return bytes(out)


def end_all() -> None:
    """End every program that still runs in another thread: this process wants to stop."""
    for process in list(_running):
        _kill(process)


def limited(argv: Sequence[str], *, memory: int, file: int) -> list[str]:
    """The same program, bounded together with each one that it starts: MiB of its own memory, MiB of a file it writes.

    The limits hold from its first instruction. It leaves no core file.
    """
    return ["prlimit", f"--data={memory << 20}", f"--fsize={file << 20}", "--core=0", "--", *argv]


def _name(argv: Sequence[str]) -> str:
    """What the program is called in messages: the one that is limited, not the one that limits it."""
    return argv[argv.index("--") + 1] if argv[0] == "prlimit" else argv[0]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A child's environment, built from nothing: a search path, the C locale, and what is asked for."""
    return {"PATH": os.environ.get("PATH", PATH), "LC_ALL": "C.UTF-8", **(extra or {})}


def is_installed(program: str) -> bool:
    """Whether a child would find this program. Without `shutil`, which brings every compressor along."""
    return any(os.access(f"{folder}/{program}", os.X_OK) for folder in environment()["PATH"].split(os.pathsep))


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program, if it still runs, and all that it has started."""
    _running.discard(process)
    if process.returncode is None:
        _kill(process)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


def said(stderr: bytes) -> str:
    """What a program said, fit for a terminal and for a line of a log, whoever made it say so.

    git and ssh pass on what a host sends. Only a line feed ends a line here: to `str.splitlines` and to some terminals
    a form feed or U+2028 does too, and what follows would pass for words of git's own.
    """
    return "\n".join(printable(line) for line in stderr.decode(errors="replace").split("\n"))


def failure(program: str, status: int, err: bytes) -> CommandError:
    """The error for a program that ended with this status, or by a signal, having said ``err`` on stderr."""
    stderr = said(err)
    if status in _NOT_EXECUTED and not is_installed(program):
        return CommandError(f"{program} is not installed", program=program, reason=Reason.NOT_FOUND)
    words = " ".join(line.strip() for line in stderr.split("\n") if line.strip())[:MOST_SAID]
    reason = Reason.SIGNAL if status < 0 else Reason.EXIT_STATUS
    what = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"failed with status {status}"
    message = f"{program} {what}: {words}" if words else f"{program} {what}"
    return CommandError(message, program=program, reason=reason, status=abs(status), stderr=stderr)
