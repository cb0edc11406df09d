"""`mesh-sync init`: a new mesh repository from the template, whole or not at all."""

from __future__ import annotations

import ipaddress
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import tomlkit

from mesh_sync.check.examine import examine
from mesh_sync.errors import CommandError, ConfigError, MeshSyncError
from mesh_sync.findings import errors
from mesh_sync.mesh import manifest
from mesh_sync.mesh.layout import MESH_FILE, SIGNERS_FILE
from mesh_sync.mesh.tree import Tree, from_directory
from mesh_sync.repository.git_command import public
from mesh_sync.system.shell_words import quote
from mesh_sync.trust.signers import added, line, parse
from mesh_sync.trust.ssh_keys import named
from mesh_sync.wireguard.endpoint import Network
from mesh_sync.workspace import commits
from mesh_sync.workspace.own_git import OwnGit
from mesh_sync.workspace.typed import in_copy

BRANCH = "main"
_ODD = re.compile(r"[^\w.+-]+")
"""What would end, or be taken for a pattern in, NAME@node.MESH of allowed_signers."""
STAGED = ".mesh-sync-init"
"""Where a repository is made, inside its directory: what is there without it is whole."""
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

    What an interrupted one has left there is no use, and goes; one that fails leaves nothing.
    git itself commits, with the person's own settings; ``admin`` signs, and is the first of allowed_signers.
    ``ci_package`` is what CI installs, as ``URL#sha256=HASH``.
    """
    parse_networks(networks)
    if ci_package and not CI_PACKAGE.fullmatch(ci_package):
        raise ConfigError(f"--ci-package: {ci_package!r} is not https://…#sha256=HASH", hint="sha256sum FILE shows it")
    signers, settings = _signing(admin, key_file) if admin and key_file else ("", {})
    declared = _declared(name, networks)
    try:
        with _staged(directory) as place:
            shutil.copytree(template(), place, dirs_exist_ok=True)
            (place / MESH_FILE).write_bytes(declared)
            for file in (place / name for name in CI_FILES if ci_package):
                text = file.read_text(encoding="utf-8")
                file.write_text(text.replace(CI_UNSET, f'MESH_SYNC: "{ci_package}"'), encoding="utf-8")
            if signers:
                (place / SIGNERS_FILE).write_text(signers, encoding="utf-8")
            commits.begin(place, BRANCH, f"mesh: {name} begins", settings, admin)
    except shutil.Error as error:
        raise ConfigError(f"{directory} cannot be written: {error.args[0][0][2]}") from None
    except OSError as error:
        raise ConfigError(f"{directory} cannot be written: {error.strerror}") from None
    return directory


@contextmanager
def _staged(directory: Path) -> Iterator[Path]:
    """Where to make what ``directory`` will have; it is there at the end, or, if what is done raises, as it was."""
    new, staged = not directory.exists(), directory / STAGED
    if staged.exists():
        _take_away(directory)
    if not new and any(directory.iterdir()):
        raise ConfigError(f"{directory} is not empty", hint="name a new directory")
    try:
        staged.mkdir(parents=True)
        yield staged
        for child in sorted(staged.iterdir(), key=lambda child: child.name == ".git"):  # last: then it is a repository
            child.rename(directory / child.name)
        staged.rmdir()
    except BaseException:
        _take_away(directory)
        if new:
            with suppress(OSError):
                directory.rmdir()
        raise


def _take_away(directory: Path) -> None:
    """Remove what an interrupted `_staged` has left in a directory: what it made and had moved, and nothing else."""
    staged = directory / STAGED
    if (staged / ".git").exists():
        for child in {one.name for one in template().iterdir()} | {SIGNERS_FILE}:
            place = directory / child
            if not (staged / child).exists():
                shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    shutil.rmtree(staged, ignore_errors=True)


def is_made(directory: Path, name: str, networks: Sequence[str], admin: str | None, url: str) -> bool:
    """Whether `create` has made just this here, so that what comes after it can go on: its list, to be pushed to
    ``url``. Raise ConfigError where only that is another one: it may have been a slip.
    """
    try:
        git = OwnGit.of(directory)
        mesh = manifest.read(from_directory(directory).manifests)[0]
        text = git.answers("show", f"HEAD:{SIGNERS_FILE}") if admin else None
    except (OSError, MeshSyncError, CommandError):
        return False
    same = mesh is not None and mesh.name == name and set(mesh.networks) == set(parse_networks(networks))
    listed = admin is None or admin in {one.principal for one in parse((text or "").encode())[0].admins}
    origin = git.answers("remote", "get-url", "origin")
    if same and listed and origin not in (None, url):
        change = in_copy(directory, f"git remote set-url origin {quote(url)}")
        text = f"{directory} is that mesh already, and its origin is {public(origin or '')}"
        raise ConfigError(text, hint=f"to push it elsewhere: {change}; then the same command again")
    return same and listed


def name_of(directory: Path) -> str:
    """What a new mesh in ``directory`` is called, unless a person gives it a name: like the directory."""
    return _ODD.sub("-", directory.resolve().name).strip("-") or "mesh"


def _declared(name: str, networks: Sequence[str]) -> bytes:
    """The template's mesh.toml with this name. Raise ConfigError when no mesh can have it."""
    document = tomlkit.parse((template() / MESH_FILE).read_text(encoding="utf-8"))
    document["name"] = name
    document["networks"] = list(networks)
    text = tomlkit.dumps(document).encode()
    if odd := _ODD.search(name):
        why = f"there can be no such mesh: name: {name!r} has {odd[0]!r}"
        raise ConfigError(why, hint="letters, digits and any of _ . + - can be in a node's line of allowed_signers")
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
        found = [ipaddress.ip_network(text, strict=False) for text in texts]
    except ValueError as error:
        raise ConfigError(f"--network: {error}") from None
    for text, network in zip(texts, found, strict=True):
        if ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
            raise ConfigError(f"--network: {text} has host bits set; the network is {network}")
    return tuple(found)


def template() -> Path:
    """The template's files: beside the sources, as in the Debian package, or where pip puts a package's data."""
    installed = Path(sys.prefix) / "share/mesh-sync/mesh-repo-template"
    for place in (Path(__file__).parents[3] / "mesh-repo-template", installed):
        if (place / MESH_FILE).exists():
            return place
    raise ConfigError("the template of a mesh repository is not installed", hint="install mesh-sync again")
