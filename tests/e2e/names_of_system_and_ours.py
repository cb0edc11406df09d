"""In a node: what `getent ahosts` and mesh-sync say of a name, with the files of each case in place of /etc's.

Reads cases as JSON from the standard input, [hosts, nsswitch.conf, resolv.conf, name] each; prints a pair of sorted
lists of addresses for each. It bind-mounts, so it wants a mount namespace of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mesh_sync.names.resolve import resolve

FILES = ("hosts", "nsswitch.conf", "resolv.conf")


def by_the_system(name: str) -> list[str]:
    """What the C library says."""
    shown = subprocess.run(["getent", "ahosts", name], capture_output=True, text=True, timeout=60).stdout
    return sorted({line.split()[0] for line in shown.splitlines()})


def by_ours(name: str) -> list[str]:
    """What mesh-sync says."""
    return sorted(set(map(str, resolve([name], 5)[name].addresses)))


def main() -> None:
    """One case after the other; both sides of one at once."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as both:
        host_conf = Path(folder) / "host.conf"
        host_conf.write_text("multi on\n")
        mounts = {host_conf: Path("/etc/host.conf")} | {Path(folder) / file: Path("/etc") / file for file in FILES}
        for ours, theirs in mounts.items():
            ours.touch()
            theirs.touch()
            subprocess.run(["mount", "--bind", ours, theirs], check=True, timeout=10)
        said = []
        for *texts, name in json.load(sys.stdin):
            for file, text in zip(FILES, texts, strict=True):
                (Path(folder) / file).write_text(text)
            said.append([side.result() for side in (both.submit(by_the_system, name), both.submit(by_ours, name))])
        print(json.dumps(said))


if __name__ == "__main__":
    main()
