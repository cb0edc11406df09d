"""`mesh-sync init`: a new mesh repository from the template."""

from __future__ import annotations

import ipaddress
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import tomlkit

from mesh_sync.check.examine import examine
from mesh_sync.errors import ConfigError
from mesh_sync.findings import errors
from mesh_sync.mesh.layout import MESH_FILE, SIGNERS_FILE
from mesh_sync.mesh.tree import Tree
from mesh_sync.trust.signers import added, line, parse
from mesh_sync.trust.ssh_keys import named
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.workspace import commits

BRANCH = "main"
CI_FILES = (".github/workflows/check.yml", ".github/workflows/plan.yml", ".gitlab-ci.yml")
CI_UNSET = 'MESH_SYNC: ""'
CI_PACKAGE = re.compile(r"https://[\w./:@%+=?&~-]+#sha256=[0-9a-f]{64}", re.ASCII)
"""A URL that pip verifies by its hash; nothing in it that YAML or a shell would take for its own."""


def create(
    directory: Path,
    name: str,
    networks: Sequence[str],
    admin: str | None = None,
    key_file: Path | None = None,
    ci_package: str | None = None,
) -> Path:
    """Make ``directory`` a git repository with the template's files in one commit. ConfigError if it is in use.

    git itself commits, with the person's own settings; ``admin`` signs, and is the first of allowed_signers.
    ``ci_package`` is what CI installs, as ``URL#sha256=HASH``.
    """
    parse_networks(networks)
    if ci_package and not CI_PACKAGE.fullmatch(ci_package):
        raise ConfigError(f"--ci-package: {ci_package!r} is not https://…#sha256=HASH", hint="sha256sum FILE shows it")
    signers, settings = _signing(admin, key_file) if admin and key_file else ("", {})
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(f"{directory} is not empty", hint="name a new directory")
    try:
        declared = _declared(name, networks)
        shutil.copytree(template(), directory, dirs_exist_ok=True)
        (directory / MESH_FILE).write_bytes(declared)
        for file in (directory / name for name in CI_FILES if ci_package):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(CI_UNSET, f'MESH_SYNC: "{ci_package}"'), encoding="utf-8")
        if signers:
            (directory / SIGNERS_FILE).write_text(signers, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{directory} cannot be written: {error.strerror}") from None
    commits.begin(directory, BRANCH, f"mesh: {name} begins", settings)
    return directory


def _declared(name: str, networks: Sequence[str]) -> bytes:
    """The template's mesh.toml with this name. Raise ConfigError when no mesh can have it."""
    document = tomlkit.parse((template() / MESH_FILE).read_text(encoding="utf-8"))
    document["name"] = name
    document["networks"] = list(networks)
    text = tomlkit.dumps(document).encode()
    if wrong := errors(examine(Tree({MESH_FILE: text}), datetime.now(UTC))[1]):
        raise ConfigError(f"there can be no such mesh: {wrong[0].key}: {wrong[0].message}")
    return text


def _signing(admin: str, key_file: Path) -> tuple[str, dict[str, str]]:
    """The text of allowed_signers, and the settings with which git signs and `git log --show-signature` verifies."""
    text = added("", line(admin, named(str(key_file))))
    signers, findings = parse(text.encode())
    if wrong := errors(findings):
        raise ConfigError(f"--signer: {wrong[0].message}")
    if not signers.admins:
        hint = "name a person, such as you@example.org"
        raise ConfigError(f"--signer: {admin} is the name of a node key", hint=hint)
    return text, {
        "gpg.format": "ssh",
        "user.signingKey": str(key_file.expanduser().absolute()),
        "commit.gpgSign": "true",
        "gpg.ssh.allowedSignersFile": SIGNERS_FILE,
    }


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """The networks given with --network. Raise ConfigError when one is none."""
    try:
        return tuple(map(ipaddress.ip_network, texts))
    except ValueError as error:
        raise ConfigError(f"--network: {error}") from None


def template() -> Path:
    """The template's files: beside the sources, as in the Debian package, or where pip puts a package's data."""
    installed = Path(sys.prefix) / "share/mesh-sync/mesh-repo-template"
    for place in (Path(__file__).parents[3] / "mesh-repo-template", installed):
        if (place / MESH_FILE).exists():
            return place
    raise ConfigError("the template of a mesh repository is not installed", hint="install mesh-sync again")
