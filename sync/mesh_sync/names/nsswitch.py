"""nsswitch.conf(5): who is asked for a host name, in which order, and when no one else is. Pure."""

from __future__ import annotations

import re
from enum import Enum

from attrs import frozen


class Status(Enum):
    """What a service says of a name; the words of the file."""

    SUCCESS = "success"
    NOTFOUND = "notfound"
    UNAVAIL = "unavail"
    TRYAGAIN = "tryagain"


KNOWN = frozenset(status.value for status in Status)


class Means(Enum):
    """How a service is asked for one name."""

    FILE = "/etc/hosts"
    DNS = "the nameservers"
    MODULE = "its module, by getent(1)"
    NONE = "not at all: it does not know such names"


@frozen
class Service:
    """One word of the `hosts:` line; ``final``: after which statuses the next one is not asked."""

    name: str
    final: frozenset[Status] = frozenset({Status.SUCCESS})

    def means(self, host: str, hostname: str = "") -> Means:
        """How to ask it for ``host`` on the machine ``hostname``.

        `resolve` (systemd-resolved) gives by DNS what it gives by its module, on its stub at 127.0.0.53; except for
        names of one label and `.local`. The modules that are known not to know a name need no process.
        """
        name = host.lower().rstrip(".")
        local = name.endswith(".local")
        match re.sub(r"^mdns.*", "mdns", self.name):
            case "files":
                return Means.FILE
            case "dns":
                return Means.DNS
            case "resolve":
                return Means.MODULE if local or "." not in name else Means.DNS
            case "mdns":
                return Means.MODULE if local else Means.NONE
            case "mymachines":
                return Means.NONE if "." in name else Means.MODULE
            case "myhostname":
                own = {hostname.lower(), "localhost", "localhost.localdomain", "_gateway", "_outbound"}
                return Means.MODULE if name in own or name.endswith(".localhost") else Means.NONE
        return Means.MODULE


DEFAULT = (Service("files"), Service("dns"))
"""glibc's, for a file that is not there or does not say; and what musl does."""


def parse_nsswitch(text: str) -> tuple[Service, ...]:
    """The services of the `hosts:` line; of several the last one counts.

    A line that cannot be read counts as none: glibc answers nothing then.
    """
    services: tuple[Service, ...] = DEFAULT
    for line in text.split("\n"):
        if found := re.match(r"\s*hosts[\s:]+(.*)", line.partition("#")[0]):
            services = _services(found[1]) or services
    return services


def _services(text: str) -> tuple[Service, ...]:
    words = re.findall(r"[^\s\[]+(?:\s*\[[^\]]*\])?", text)
    if "".join("".join(words).split()) != "".join(text.split()):
        return ()
    services = []
    for word in words:
        name, _, actions = word.partition("[")
        final = {Status.SUCCESS}
        for negated, status, action in re.findall(r"(!?)([^\s=!]+)\s*=\s*([^\s=]+)", actions.rstrip("] \t")):
            if status.lower() not in KNOWN or action.lower() not in ("return", "continue", "merge"):
                return ()
            named = {Status(status.lower())}
            statuses = set(Status) - named if negated else named
            final = final | statuses if action.lower() == "return" else final - statuses
        services.append(Service(name.strip(), frozenset(final)))
    return tuple(services)
