"""What `mesh-sync join` is asked for, and the two files it makes from that: the peer's in the list, and node.toml."""

from __future__ import annotations

import shlex
from pathlib import Path

import tomlkit
from attrs import frozen

from mesh_sync.mesh.peer_file import made
from mesh_sync.node.config import DEFAULT_SIGNING_KEY, Repository


@frozen(kw_only=True)
class JoinRequest:
    """The command line's options, under their own names."""

    config: Path
    url: str
    name: str
    endpoints: tuple[str, ...] = ()
    subnets: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    interface: str = "wg0"
    masquerade: str = ""
    branch: str = "main"
    review: bool = False
    trust: str
    fingerprint: str | None = None
    signers: Path | None = None
    identity_file: Path | None = None
    known_hosts_file: Path | None = None

    @property
    def is_signed(self) -> bool:
        return self.trust == "signed"

    @property
    def private_key_file(self) -> Path:
        return self.config.parent / "private.key"

    @property
    def signing_key_file(self) -> Path:
        return self.config.absolute().parent / "signing.key"

    @property
    def signers_file(self) -> Path:
        return self.config.absolute().parent / "allowed_signers"

    @property
    def pinned_hosts_file(self) -> Path:
        """Where a host key is kept that ssh did not know."""
        return self.config.absolute().parent / "known_hosts"

    @property
    def target(self) -> str:
        """The branch that is pushed to."""
        return f"join/{self.name}" if self.review else self.branch

    @property
    def repository(self) -> Repository:
        return Repository(
            urls=(self.url,),
            branch=self.branch,
            identity_file=self.identity_file and self.identity_file.resolve(),
            known_hosts_file=self.known_hosts_file and self.known_hosts_file.resolve(),
        )

    def by_an_admin(self, key: str, signing_key: str = "") -> str:
        """The command with which an admin does what this machine may not do itself."""
        words = ["mesh-sync", "peer", "add", self.name, "--public-key", key]
        words += ["--signing-key", signing_key] if signing_key else []
        lists = (("--address", self.addresses), ("--endpoint", self.endpoints), ("--subnet", self.subnets))
        words += [word for option, items in lists for item in items for word in (option, item)]
        return shlex.join([*words, "--commit"])


def peer_toml(request: JoinRequest, key: str) -> str:
    """The peer's file in the list."""
    lists = {"addresses": request.addresses, "endpoint": request.endpoints, "subnets": request.subnets}
    return made({"public_key": key, **{name: items for name, items in lists.items() if items}})


def node_toml(request: JoinRequest, first_commit: str = "") -> str:
    """This machine's node.toml: what was asked for; everything else has its default."""
    document = tomlkit.document()
    document.add(tomlkit.comment("This machine's place in the mesh. It belongs to root and never goes into git."))
    document["name"] = request.name
    document["interface"] = request.interface
    document["private_key_file"] = str(request.private_key_file.absolute())
    if request.is_signed and request.signing_key_file != DEFAULT_SIGNING_KEY:
        document["signing_key_file"] = str(request.signing_key_file)
    repository = tomlkit.table()
    repository["urls"] = [request.url]
    repository["branch"] = request.branch
    for name in ("identity_file", "known_hosts_file"):
        if file := getattr(request.repository, name):
            repository[name] = str(file)
    document["repository"] = repository
    trust = {"mode": request.trust}
    if request.is_signed:
        trust["allowed_signers"] = str(request.signers_file)
    if first_commit:
        trust["first_commit"] = first_commit
    document["trust"] = trust
    if request.masquerade:
        document["gateway"] = {"masquerade": request.masquerade}
    return tomlkit.dumps(document)
