"""Which file of a mesh repository says what: names and places, no contents. Pure."""

from __future__ import annotations

MESH_FILE = "mesh.toml"
PEERS = "peers/"
SECRETS = "secrets/"
SIGNERS_FILE = "allowed_signers"
POLICY_FILE = "policy.toml"


def is_peer_file(path: str) -> bool:
    """Whether a path of the repository describes a peer."""
    return path.startswith(PEERS) and path.endswith(".toml")


def is_secret_file(path: str) -> bool:
    """Whether a path of the repository holds the mesh secrets, sealed to one node (`preshared.sealed`)."""
    return path.startswith(SECRETS) and path.endswith(".toml")


def peer_name(path: str) -> str:
    """The name of the peer that one of these files is about."""
    return path.partition("/")[2].removesuffix(".toml")


def peer_path(name: str) -> str:
    """The file that describes a peer."""
    return f"{PEERS}{name}.toml"


def sealed_path(name: str) -> str:
    """The file with the mesh secrets that are sealed to a peer."""
    return f"{SECRETS}{name}.toml"
