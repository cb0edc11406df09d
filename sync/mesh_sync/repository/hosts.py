"""The hosts that remotes are at, as git and ssh find them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mesh_sync.errors import CommandError
from mesh_sync.system.run import run

_URL = re.compile(r"([a-z+]+)://(?:[^/?#]*@)?(\[[^\]]+\]|[^/:?#]+)")
_SCP = re.compile(r"(?:[^/:@]+@)?(\[[^\]]+\]|[^/:]+):(?!//)")
"""git's short form for ssh (git-fetch(1), "Git URLs")."""


def hosts(urls: Iterable[str]) -> list[str]:
    """The names or addresses of these remotes' hosts; none of one that is a path. ssh may know one by another name."""
    return list(dict.fromkeys(host for url in urls for host in _of(url)))


def _of(url: str) -> Iterator[str]:
    if match := _URL.match(url):
        host = match[2].strip("[]")
        if match[1] != "file":
            yield _for_ssh(host) if "ssh" in match[1] else host
    elif match := _SCP.match(url):
        yield _for_ssh(match[1].strip("[]"))


def _for_ssh(host: str) -> str:
    """The name that ssh_config(5) has for a host, without asking any network."""
    try:
        told = run(["ssh", "-G", "--", host], deadline=2.0)
    except CommandError:
        return host
    return next((line.split(" ", 1)[1] for line in told.split("\n") if line.startswith("hostname ")), host)
