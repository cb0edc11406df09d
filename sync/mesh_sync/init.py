"""`mesh-sync init`: a new mesh repository from the template."""

from __future__ import annotations

import ipaddress
import shutil
import sys
from pathlib import Path

import git
import tomlkit

from mesh_sync.errors import ConfigError

BRANCH = "main"


def lay_down(directory: Path, name: str, networks: tuple[str, ...]) -> Path:
    """Make ``directory`` a git repository with the template's files in one commit. ConfigError if it is in use."""
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigError(f"--network: {error}") from None
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(f"{directory} is not empty", hint="name a new directory")
    try:
        shutil.copytree(template(), directory, dirs_exist_ok=True)
        file = directory / "mesh.toml"
        document = tomlkit.parse(file.read_text())
        document["name"] = name
        document["networks"] = list(networks)
        file.write_text(tomlkit.dumps(document))
    except OSError as error:
        raise ConfigError(f"{directory} cannot be written: {error.strerror}") from None
    with git.Repo.init(directory, initial_branch=BRANCH) as repository:
        repository.git.add("--all")
        commit(repository, f"mesh: {name} begins")
    return directory


def commit(repository: git.Repo, message: str) -> None:
    """Commit what is staged, as the person whom git knows, else as mesh-sync."""
    reader = repository.config_reader()
    who = git.Actor("mesh-sync", "mesh-sync@localhost") if not reader.has_option("user", "email") else None
    repository.index.commit(message, author=who, committer=who)


def template() -> Path:
    """The template's files: beside the sources, or where the package was installed."""
    for place in (
        Path(__file__).parents[2] / "mesh-repo-template",
        Path(sys.prefix) / "share/mesh-sync/mesh-repo-template",
    ):
        if (place / "mesh.toml").exists():
            return place
    raise ConfigError("the template of a mesh repository is not installed", hint="install mesh-sync again")
