"""Every program that a command starts, with its whole argv and environment, as the kernel is asked for it.

`strace` stops each execve(2) of the command and of all it starts: none is too short-lived to be seen, and it does not
matter by which path a program is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.host import Host

STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
MOST = 1 << 20
"""Bytes of a string that are written down."""


class Traced:
    """`traced.run(node, ["mesh-sync", "now"])`, then `traced.calls()`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def run(self, host: Host, argv: Sequence[str], *, timeout: float = 60) -> str:
        """Run a command to its end, and return all that it said. What it leaves behind is traced until that ends, too.

        The tracer keeps the command's output open for as long: it goes to a file.
        """
        what = ("--follow-forks", "--output-separately", "--output-append-mode", "--trace=execve,execveat")
        how = ("--no-abbrev", "--strings-in-hex=all", f"--string-limit={MOST}", "--signal=none", "--quiet=all")
        log = f"--output={self._directory}/execve.{host.name}"  # and a pid: each process has its own
        said = self._directory / "said"
        with said.open("wb") as out:
            program = host.popen(
                ["strace", *what, *how, "--daemonize", "--seccomp-bpf", log, *argv], stdout=out.fileno()
            )
        program.wait(timeout)
        return said.read_text()

    def calls(self) -> Iterator[list[bytes]]:
        """Each call as the words it was made of: path, argv and environment. Of a process that is killed while it
        calls, strace can read no more than addresses.
        """
        for file in self._directory.glob("execve.*"):
            for line in file.read_text().splitlines():
                if words := [bytes.fromhex(word.replace("\\x", "")) for word in STRING.findall(line)]:
                    yield words
