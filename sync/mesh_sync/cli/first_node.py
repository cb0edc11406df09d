"""`mesh-sync init --node`: the machine on which a mesh begins is its first node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from attrs import frozen

from mesh_sync.cli import present_plan
from mesh_sync.cli.membership import begin
from mesh_sync.cli.present_edit import present_edit
from mesh_sync.errors import ConfigError
from mesh_sync.invitation.line import Invitation
from mesh_sync.invitation.ssh_host_key import known_keys
from mesh_sync.membership import invited
from mesh_sync.node import config as nodes
from mesh_sync.node.config import DEFAULT_CONFIG
from mesh_sync.units.set_up import raise_if_not_root
from mesh_sync.workspace import commits, edit_peer
from mesh_sync.workspace.edit import Edit
from mesh_sync.workspace.push import Upstream


@frozen
class FirstNode:
    """What was asked for; ``values``: keys of its file."""

    name: str
    url: str
    values: Mapping[str, Any]
    masquerade: str

    def raise_if_it_cannot_be(self, *, begun: bool) -> None:
        """Raise ConfigError where this machine is another node already, or cannot be one: before anything is made.

        If the list is ``begun``, it may be this node already: then there is what is left to do.
        """
        raise_if_not_root("init --node")
        edit_peer.file_of(self.name)
        if DEFAULT_CONFIG.exists() and not (begun and self._is_here()):
            text = f"this machine is a node already: there is {DEFAULT_CONFIG}"
            raise ConfigError(text, hint="mesh-sync leave --purge ends that; or leave out --node")
        known_keys(self.url)

    def _is_here(self) -> bool:
        node = nodes.load(DEFAULT_CONFIG)
        return node.name == self.name and self.url in node.repository.urls

    def begin(self, directory: Path) -> int:
        """Join the mesh in this working copy, which was pushed; apply it, set up the units; return the exit code.

        The commit that lets the node in is the admin's own. What is done already is not done again.
        """
        invitation = Invitation(
            mesh="",
            name=self.name,
            url=self.url,
            branch="main",
            host_keys=known_keys(self.url),
            fingerprint=commits.fingerprint(directory) or "",
            masquerade=self.masquerade,
        )
        request = invited.request_of(invitation, DEFAULT_CONFIG, "wg0")
        keys = invited.prepare(invitation, request, click.echo)
        values = {**self.values, "public_key": keys.public_key}
        upstream = Upstream.of(directory)
        edit = Edit(directory, commit=True, push=True)
        signing_key = f"{keys.signing_key} {self.name}"
        if not edit_peer.is_committed(edit, self.name, keys.public_key):
            edited = edit_peer.add(edit, self.name, values, signing_key=signing_key)
            if code := present_edit(edit, edited):
                return code
        present_plan.push(upstream, ask=False)
        addresses = invited.let_in(request, click.echo)
        click.echo(f"this machine is {self.name}, {', '.join(addresses)}")
        return begin(nodes.load(DEFAULT_CONFIG), DEFAULT_CONFIG)
