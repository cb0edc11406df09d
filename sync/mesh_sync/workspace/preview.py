"""`mesh-sync render` and `plan`: the wg0.conf that nodes get from a working copy, and what a change does to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from attrs import frozen

from mesh_sync.check.examine import examine
from mesh_sync.check.signers import changed_admins
from mesh_sync.errors import CommandError, ConfigError, MeshSyncError, Reason
from mesh_sync.findings import Finding, errors
from mesh_sync.mesh.differing import Differing
from mesh_sync.mesh.layout import MESH_FILE, SIGNERS_FILE, is_peer_file
from mesh_sync.mesh.model import NO_SECRET, Mesh, Peer
from mesh_sync.mesh.peer_view import relayed, shared
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.preshared.derive import with_keys
from mesh_sync.preshared.secret_file import load
from mesh_sync.repository.git_objects import GitObjects, git_directory, tree_at
from mesh_sync.terminal.say import count
from mesh_sync.wireguard import conf
from mesh_sync.wireguard.desired import Desired
from mesh_sync.wireguard.keys import public_key, read_private_key
from mesh_sync.wireguard.live import Live, LivePeer
from mesh_sync.wireguard.placement import placed
from mesh_sync.wireguard.plan import Change, Context, plan
from mesh_sync.workspace.output import make_output_folder, write_output
from mesh_sync.workspace.typed import in_copy
from mesh_sync.workspace.working_copy import read_list


def render_one(directory: Path, name: str, private_key_file: Path | None, secret_file: Path | None = None) -> str:
    """The wg0.conf of one node; with placeholders for a private key or mesh secret that is not given.

    Raise MeshSyncError when the list has errors or does not have the node.
    """
    key = read_private_key(private_key_file) if private_key_file else None
    return render_peer(read_list(directory), str(directory), name, key, secret_file, str(private_key_file))


def render_peer(
    tree: Tree,
    what: str,
    name: str,
    private_key: str | None,
    secret_file: Path | None = None,
    key_name: str = "the key",
) -> str:
    """The wg0.conf of one node of a list that is called ``what``, with its private key, which is called ``key_name``.

    Raise MeshSyncError when the list has errors or does not have the node.
    """
    rendered = _renderer(tree, what)
    if name not in rendered.topology.members:
        raise ConfigError(f"{name} is not in the mesh", hint=f"it has: {', '.join(rendered.names[:20])}")
    desired = rendered.desired(name)
    if secret_file:
        try:
            desired = with_keys(desired, rendered.mesh, load(secret_file))
        except KeyError:
            number = rendered.mesh.preshared.secret if rendered.mesh.preshared else NO_SECRET
            raise ConfigError(f"{secret_file} does not have secret {number}, the one in use") from None
    dns = rendered.mesh.peers[name].dns
    if private_key is None:
        return conf.text(desired, dns=dns)
    if public_key(private_key) != desired.public_key:
        raise ConfigError(f"{key_name} does not belong to the public key of {name}")
    return conf.text(desired, private_key, dns)


def raise_if_inside(file: Path, directory: Path) -> None:
    """Raise ConfigError when ``file``, which would hold secrets, is inside the mesh repository."""
    if file.resolve().is_relative_to(directory.resolve()):
        text = f"-o {file} is inside the mesh repository and would hold secrets"
        raise ConfigError(text, hint="write it elsewhere")


def render_all(directory: Path, output: Path) -> int:
    """Write OUT/N.conf for every node of the list; return how many."""
    rendered = _renderer(read_list(directory, "DIR"), str(directory))
    make_output_folder(output)
    for name in rendered.names:
        text = conf.text(rendered.desired(name), dns=rendered.mesh.peers[name].dns)
        write_output(output / f"{name}.conf", text, durable=False)
    return len(rendered.names)


@frozen
class Preview:
    """What a change does to every node, and a warning for each admin that comes or goes with it.

    ``relayed``: which pairs may need a relay, as a sentence, if that changes. ``gateways``: by whom networks with
    several gateways will be reached, a sentence for each of which that changes.
    """

    nodes: Mapping[str, tuple[Change, ...]]
    admins: tuple[Finding, ...]
    relayed: str = ""
    gateways: tuple[str, ...] = ()


def plan_between(directory: Path, revisions: str) -> Preview:
    """What the change BASE..HEAD does to every node that is in either; BASE alone: up to the working copy."""
    base, dots, head = revisions.partition("..")
    if head.startswith("."):
        raise ConfigError(
            f"{revisions!r} has three dots", hint=f"a plan goes from one list to another: {base}..{head[1:]}"
        )
    trees = files_at(directory, base or "HEAD"), files_at(directory, head or "HEAD") if dots else read_list(directory)
    return plan_trees(trees[0], base, trees[1], head or str(directory))


def plan_trees(old: Tree, base: str, new: Tree, head: str) -> Preview:
    """What the change from one tree to another does. Raise MeshSyncError when one of them has errors.

    ``base``, ``head``: what an error calls them.
    """
    before, after = _renderer(old, base), _renderer(new, head)
    lists = Differing(before, after)
    names = sorted({*before.names, *after.names} - lists.renamed.keys())
    nodes = {name: changes for name in names if (changes := changes_of(name, lists))}
    admins = tuple(changed_admins(*(tree.texts.get(SIGNERS_FILE, b"") for tree in (old, new))))
    was, will_be = relayed(before.topology), relayed(after.topology)
    former = shared(before.topology)
    gateways = tuple(text for text in shared(after.topology) if text not in former)
    return Preview(nodes, admins, will_be if will_be != was else "", gateways)


def changes_of(name: str, lists: Differing) -> tuple[Change, ...]:
    """What becomes of one node that is in either of two lists; ``name`` is that in the later one."""
    before, after = lists.before.topology, lists.after.topology
    earlier = lists.former.get(name, name)
    if name not in after.members:
        return (Change("node-removed", "leaves the mesh: it is no longer a peer of any node", name),)
    if earlier not in before.members:
        return (Change("node-added", f"joins the mesh with {count(after.count_neighbours(name), 'peer')}", name),)
    was, desired = lists.desired(earlier)
    machines = before.members[earlier].machine or "", after.members[name].machine or ""
    exit_ = before.exit_of(earlier)
    exits = _exit(lists.renamed.get(exit_ or "", exit_), after.exit_of(name))
    own = (*_machine(*machines), *exits, *changes_between(was, desired))
    client = _client(before.members[earlier], after.members[name], changed=bool(own))
    return (*_name(was, desired, lists.after.mesh), *own, *client)


def changes_between(before: Desired, after: Desired) -> tuple[Change, ...]:
    """What a node that has applied ``before``, and has no session, has to change for ``after``."""
    old = placed(before, None, 0.0, None)
    live = _as_live(old)
    context = Context(
        owned=old.owned,
        given={peer.public_key: ", ".join(peer.endpoint) for peer in old.peers},
        names={peer.public_key: peer.name for peer in old.peers},
    )
    return plan(placed(after, live, 0.0, before), live, context)


def _name(before: Desired, after: Desired, mesh: Mesh) -> Iterator[Change]:
    """A node that is called otherwise; its pairs' preshared keys stay if it says what it was called first."""
    if before.name != after.name:
        text = f"is {before.name} under another name"
        if mesh.preshared and before.pair_name != after.pair_name:
            text += f'; its preshared keys change with it, original_name = "{before.pair_name}" would keep them'
        yield Change("node-renamed", text, before.name)


def _machine(before: str, after: str) -> Iterator[Change]:
    """Where a node will be that may be on several machines."""
    if before != after:
        text = f"is up on the machine {after} only" if after else "is up on every machine that has its key"
        yield Change("machine", f"{text} (before: {before})" if before else text)


def _exit(before: str | None, after: str | None) -> Iterator[Change]:
    """What becomes of a node's way to the internet."""
    if before != after:
        text = f"all that has no other route leaves by the exit {after}" if after else "no longer leaves by an exit"
        yield Change("exit", f"{text} (before: {before})" if before else text, after or before)


def _client(before: Peer, after: Peer, *, changed: bool) -> Iterator[Change]:
    """What becomes of a config that was exported: a peer that does not run mesh-sync takes nothing up by itself."""
    if before.dns != after.dns:
        text = f"asks {', '.join(after.dns)} for names" if after.dns else "keeps its own nameservers"
        yield Change("dns", f"{text} (before: {', '.join(before.dns)})" if before.dns else text)
    if not after.managed and (changed or before.dns != after.dns):
        yield Change("export", f"does not follow the list: `mesh-sync export {after.name}` makes its new config")


def _as_live(desired: Desired) -> Live:
    """The interface of a node that has applied ``desired``."""
    peers = {
        peer.public_key: LivePeer(
            public_key=peer.public_key, allowed_ips=peer.allowed_ips, keepalive=peer.keepalive,
            endpoint=peer.endpoint[0] if peer.endpoint else "", preshared_key=peer.preshared_key,
        )
        for peer in desired.peers
    }  # fmt: skip
    return Live(
        public_key=desired.public_key, listen_port=desired.listen_port, fwmark=desired.fwmark, mtu=desired.mtu, up=True,
        addresses=desired.addresses, routes=desired.routes, exit_routes=desired.exit_routes, peers=peers,
        exit_rules=desired.exit_versions,
    )  # fmt: skip


def files_at(directory: Path, revision: str) -> Tree:
    """The files of one commit. Raise ConfigError when there is no such repository or commit."""
    objects, commit = commit_in(directory, revision)
    try:
        return tree_at(objects, commit)
    except CommandError as error:
        raise ConfigError(f"commit {commit[:10]} of {directory} cannot be read: {error.message}") from None


def commit_in(directory: Path, revision: str) -> tuple[GitObjects, str]:
    """The objects of the clone that ``directory`` is in, and a commit's full name. ConfigError when there is none."""
    try:
        objects = GitObjects(git_directory(directory))
    except CommandError as error:
        known = error.reason is Reason.EXIT_STATUS
        text = f"{directory.absolute()} is not a git repository" if known else error.message
        raise ConfigError(text, hint="-C DIR names another directory" if known else "") from None
    try:
        return objects, objects.resolve(revision)
    except CommandError:
        plan, log = (in_copy(directory, f"mesh-sync {words}") for words in ("plan HEAD", "log"))
        first = f"where HEAD is the first commit, nothing is before it; what is not committed yet: {plan}"
        hint = first if revision == "HEAD~1" else f"to list the commits: {log}"
        raise ConfigError(f"{revision!r} is not a commit of {directory.absolute()}", hint=hint) from None


def _renderer(tree: Tree, what: str) -> Renderer:
    """What renders a tree for its nodes. Raise MeshSyncError, which names it ``what``, when it has errors."""
    if not any(path == MESH_FILE or is_peer_file(path) for path in tree.texts):
        raise ConfigError(f"{what} is not a list of a mesh: it has no {MESH_FILE}")
    moment = datetime.now(UTC)
    mesh, findings = examine(tree, moment)
    wrong = errors(findings)
    if mesh is None or wrong:
        lines = "\n".join(map(str, wrong)) or f"{MESH_FILE} is missing"
        raise MeshSyncError(f"the list in {what} has errors:\n{lines}")
    return Renderer(mesh, moment)
