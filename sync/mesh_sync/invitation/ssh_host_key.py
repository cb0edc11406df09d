"""The SSH host keys of a git host that ssh does not know yet, for a person to compare and for join to keep."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from attrs import frozen

from mesh_sync.errors import CommandError, ConfigError, Unreachable
from mesh_sync.findings import printable
from mesh_sync.repository.git_command import public
from mesh_sync.system.run import run
from mesh_sync.trust.signers import is_public_key, key_fingerprint

DEADLINE = 10
"""Seconds for a host to show its keys."""
MAX_KEYS = 16
_SSH = ("ssh", "git+ssh", "ssh+git")
_SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^\]]+\]|[^/:@]+):(?!//)")
"""`user@host:path`, as git takes it (git-fetch(1), GIT URLS)."""


@frozen
class SshTarget:
    """What ssh connects to for a remote; ``port`` 0 means what ssh's settings say."""

    host: str
    user: str = ""
    port: int = 0


@frozen
class HostKeys:
    """The keys that a host shows, as lines for a known_hosts file."""

    host: str
    lines: tuple[str, ...]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """As ssh shows them when it asks: `ssh-ed25519 SHA256:…`."""
        return tuple(f"{kind} {key_fingerprint(f'{kind} {key}')}" for _, kind, key in map(str.split, self.lines))

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def ssh_target(url: str) -> SshTarget | None:
    """What ssh connects to for this remote, None when it is not reached by ssh."""
    scheme, separator, _ = url.partition("://")
    if separator:
        try:
            parts = urlsplit(url)
            known = scheme in _SSH and parts.hostname
            return SshTarget(parts.hostname or "", parts.username or "", parts.port or 0) if known else None
        except ValueError:
            return None
    found = _SCP.match(url)
    return SshTarget(found["host"].strip("[]"), found["user"] or "") if found else None


def unknown_keys(url: str) -> HostKeys | None:
    """The keys that a remote's host shows; None where ssh knows the host, needs no key of it, or accepts any key.

    Raise Unreachable when it shows none, ConfigError when only ssh itself gets there.
    """
    target = ssh_target(url)
    if target is None:
        return None
    settings = _settings(target)
    host, port = settings.get("hostname", target.host), settings.get("port", "22")
    name = settings.get("hostkeyalias") or known_name(host, port)
    if settings.get("stricthostkeychecking") in ("no", "off", "false", "accept-new") or _is_known(name, settings):
        return None
    if any(settings.get(word, "none") != "none" for word in ("proxyjump", "proxycommand")):
        hint = f"connect once by hand (ssh {target.host}), or give --known-hosts-file"
        raise ConfigError(f"ssh does not know {target.host}, which it reaches by a proxy", hint=hint)
    try:
        shown = run(["ssh-keyscan", "-T", str(DEADLINE // 2), "-p", port, "--", host], deadline=DEADLINE)
    except CommandError as error:
        raise Unreachable(f"{host} shows no SSH host key: {printable(error.message)}") from None
    lines = sorted({f"{name} {line[1]} {line[2]}" for line in map(str.split, shown.split("\n")) if _is_key(line)})
    if not lines:
        raise Unreachable(f"{host} (port {port}) shows no SSH host key")
    return HostKeys(target.host, tuple(lines[:MAX_KEYS]))


def known_keys(url: str) -> tuple[str, ...]:
    """The keys, `TYPE BASE64`, by which ssh knows a remote's host: the Ed25519 ones, if there are any.

    Raise ConfigError where ssh does not lead there, or knows none.
    """
    target = ssh_target(url)
    if target is None:
        raise ConfigError(f"{public(url)} is not reached by ssh", hint="an invitation leads to a git host by ssh")
    settings = _settings(target)
    host, port = settings.get("hostname", target.host), settings.get("port", "22")
    name = settings.get("hostkeyalias") or known_name(host, port)
    found = []
    for file in _known_files(settings):
        try:
            lines = run(["ssh-keygen", "-F", name, "-f", file]).split("\n")
        except CommandError:
            continue
        words = (line.split()[:3] for line in lines)
        found += [" ".join(line[1:]) for line in words if _is_key(line) and is_public_key(" ".join(line[1:]))]
    best = [key for key in found if key.startswith("ssh-ed25519 ")] or found
    if not best:
        raise ConfigError(f"ssh does not know the host key of {target.host}", hint="connect once by hand: git fetch")
    return tuple(dict.fromkeys(best))[:MAX_KEYS]


def known_name(host: str, port: str | int) -> str:
    """What a known_hosts file calls a host."""
    return host if str(port) in ("22", "0") else f"[{host}]:{port}"


def _settings(target: SshTarget) -> Mapping[str, str]:
    """The settings that ssh itself says it would use for this host."""
    port = ["-p", str(target.port)] if target.port else []
    user = ["-l", target.user] if target.user else []
    try:
        said = run(["ssh", "-T", "-G", *port, *user, "--", target.host])
    except CommandError as error:
        raise ConfigError(f"ssh cannot say how it reaches {target.host}: {printable(error.message)}") from None
    return dict(line.partition(" ")[::2] for line in said.split("\n"))


def _is_known(name: str, settings: Mapping[str, str]) -> bool:
    for file in _known_files(settings):
        try:
            run(["ssh-keygen", "-F", name, "-f", file])
        except CommandError:
            continue
        return True
    return False


def _known_files(settings: Mapping[str, str]) -> list[str]:
    return [file for key in ("userknownhostsfile", "globalknownhostsfile") for file in settings.get(key, "").split()]


def _is_key(words: list[str]) -> bool:
    if len(words) != 3 or words[0].startswith(("#", "@")):
        return False
    try:
        return bool(base64.b64decode(words[2], validate=True))
    except ValueError:
        return False
