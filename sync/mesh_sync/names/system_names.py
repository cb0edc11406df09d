"""How this machine looks up names: its files, read each time, and the modules of its C library in a process."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from mesh_sync.errors import CommandError, Reason
from mesh_sync.names.hosts_file import parse_hosts
from mesh_sync.names.nameservers import Answer, Nameserver, Unresolved
from mesh_sync.names.nsswitch import DEFAULT, Service, Status, parse_nsswitch
from mesh_sync.names.resolv_conf import LOCAL, MAX_NAMESERVERS, ResolvConf, parse_resolv_conf
from mesh_sync.system.run import run
from mesh_sync.wireguard.endpoint import Address

ETC = Path("/etc")
LIBRARIES = ("lib", "lib/*-linux-*", "lib64", "usr/lib", "usr/lib/*-linux-*", "usr/lib64")


@frozen
class SystemNames:
    """What the files say: who is asked, the names of /etc/hosts, how nameservers are asked."""

    services: tuple[Service, ...] = DEFAULT
    hosts: Mapping[str, tuple[Address, ...]] = {}
    conf: ResolvConf = ResolvConf()
    hostname: str = ""

    @property
    def nameservers(self) -> tuple[Nameserver, ...]:
        """Those that are asked, in order; with `options rotate` each look-up begins with another one."""
        servers = self.conf.nameservers[:MAX_NAMESERVERS] or (LOCAL,)
        first = random.randrange(len(servers)) if self.conf.rotate else 0  # noqa: S311
        return servers[first:] + servers[:first]


def read_system_names() -> SystemNames:
    """What the files below `ETC` say now. One that cannot be read says nothing."""
    hostname = socket.gethostname()
    return SystemNames(
        parse_nsswitch(_text(ETC / "nsswitch.conf")),
        parse_hosts(_text(ETC / "hosts")),
        parse_resolv_conf(_text(ETC / "resolv.conf"), hostname),
        hostname,
    )


async def ask_module(service: str, host: str, deadline: float) -> tuple[Status, Answer]:
    """Ask a module of the system's resolver (nss(5)), in a process that is ended after ``deadline`` seconds."""
    end = time.monotonic() + deadline * 0.9

    def getent() -> str:  # perhaps after waiting for a thread
        argv = ["getent", "-s", f"hosts:{service}", "ahosts", host]
        return run(argv, deadline=max(0.0, end - time.monotonic()))

    try:
        text = await asyncio.to_thread(getent)
    except CommandError as error:
        if error.reason is Reason.EXIT_STATUS and error.status == 2:
            return Status.NOTFOUND if _is_there(service) else Status.UNAVAIL, Answer(host, reason=Unresolved.NO_NAME)
        status = Status.TRYAGAIN if error.reason is Reason.DEADLINE else Status.UNAVAIL
        return status, Answer(host, reason=Unresolved.FAILURE, detail=error.message)
    found = {ipaddress.ip_address(line.split()[0]) for line in text.splitlines() if line and "%" not in line}
    if not found:
        return Status.NOTFOUND, Answer(host, reason=Unresolved.NO_ADDRESS)
    return Status.SUCCESS, Answer(host, tuple(sorted(found, key=lambda address: (address.version, int(address)))))


def _is_there(service: str) -> bool:
    """Whether this machine has the module; getent(1) says of none and of one that does not know a name the same."""
    return any(True for folder in LIBRARIES for _ in Path("/").glob(f"{folder}/libnss_{service}.so.2"))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
