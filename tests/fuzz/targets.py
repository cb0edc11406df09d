"""What is fuzzed: each target reads any bytes, and raises only what its docstring says; and real examples for each."""

from __future__ import annotations

import base64
import contextlib
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import dns.message
import dns.opcode
from attrs import frozen

from mesh_sync.check.examine import examine
from mesh_sync.errors import CommandError, ConfigError, DeviceError
from mesh_sync.findings import Finding
from mesh_sync.fleet import verify
from mesh_sync.mesh.render import Renderer
from mesh_sync.mesh.tree import Tree
from mesh_sync.node import config, state, statement
from mesh_sync.preshared import sealed, sealed_box
from mesh_sync.repository import git_tree
from mesh_sync.repository.git_objects import unpacked
from mesh_sync.trust import node_rights, signature, signers
from mesh_sync.typed_toml.plain_types import as_json
from mesh_sync.typed_toml.reader import read_json
from mesh_sync.typed_toml.table import Wrong, table
from mesh_sync.wireguard import keys, live
from mesh_sync.wireguard.desired import Desired, DesiredPeer
from mesh_sync.wireguard.endpoint import Endpoint
from mesh_sync.wireguard.ip import understood
from mesh_sync.workspace.import_ import wg_gen_web, wg_meshconf, wg_quick
from mesh_watchdog import memory, settings
from mesh_watchdog.mesh_dns import answers as mesh_answers
from mesh_watchdog.mesh_dns import commits, notices
from mesh_watchdog.news import request
from mesh_watchdog.policy.observations import Sighting
from mesh_watchdog.report import status_file
from mesh_watchdog.sense import wg_counters
from unit import mesh_in_dns, software_keys
from unit.signed_commit import Signed

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/unit/data"
PLACE = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = [keys.public_key(keys.generate()) for _ in range(2)]
MESH = b'format = 1\nname = "lab"\nnetworks = ["10.0.0.0/24"]\n'
NODE_TOML = f'''name = "a"
[repository]
urls = ["git://h/m"]
[trust]
mode = "none"
[paths]
run = "{PLACE / "run"}"
[watchdog]
metrics_listen = "127.0.0.1:9586"
'''
INTERFACE = Desired(
    mesh="lab", name="a", public_key=KEYS[0], listen_port=51820, mtu=1420, addresses=frozenset({"10.0.0.1/32"}),
    routes=frozenset({"10.0.0.0/24"}), peers=(DesiredPeer("b", KEYS[1], ("10.0.0.2",), frozenset({"10.0.0.2/32"})),),
)  # fmt: skip
DESIRED = table(Desired)
NODE = config.parse(NODE_TOML.encode(), Path("node.toml"))


@frozen
class Target:
    """``eat`` raises only for a defect."""

    eat: Callable[[bytes], object]
    examples: tuple[bytes, ...]


def text(data: bytes) -> str:
    return data.decode(errors="replace")


def written(name: str, data: bytes) -> Path:
    """A file with these bytes."""
    file = PLACE / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    return file


def mesh(data: bytes) -> None:
    """The mesh's file, a peer's, a policy, signers: parted by null bytes."""
    names = ("peers/a.toml", "peers/b.toml", "mesh.toml", "policy.toml", "allowed_signers", "secrets/a.toml")
    parts = dict(zip(names, data.split(b"\0"), strict=False))
    found, findings = examine(Tree({"mesh.toml": MESH, **parts}), MOMENT)
    assert all(str(finding).isprintable() for finding in findings)
    if found and not any(finding.severity == "error" for finding in findings):
        renderer = Renderer(found, MOMENT)
        for name in renderer.topology.members:
            renderer.desired(name)


def endpoint(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        parsed = Endpoint.parse(text(data))
        assert Endpoint.parse(str(parsed)) == parsed


def dump(data: bytes) -> None:
    for parse in (live.parse_dump, wg_counters.seen):
        with contextlib.suppress(ValueError):
            parse(text(data))


def ip_json(data: bytes) -> None:
    for parse in (live.parse_link, live.parse_routes, live.has_exit_rules):
        with contextlib.suppress(DeviceError):
            understood(["ip"], text(data), parse)


def repository_files(data: bytes) -> None:
    """A tree object, and what `git cat-file` answers."""
    tree, _, packed = data.partition(b"\n\n")
    with contextlib.suppress(git_tree.BadTree):
        for name, (_, thing) in git_tree.parse(tree).items():
            assert name not in (b"", b".", b"..")
            assert not set(name) & {0, 10, 27, 47}
            with contextlib.suppress(CommandError):
                list(unpacked([thing.hex()], packed))


def state_file(data: bytes) -> None:
    found = state.load(written("state.json", data))
    if not found.lost:
        state.save(PLACE / "again.json", found)


def typed_json(data: bytes) -> None:
    """Any JSON is an interface or `Wrong`; what is one is written and read back the same."""
    with contextlib.suppress(Wrong):
        desired = DESIRED(read_json(data))
        assert DESIRED(read_json(as_json(desired).encode())) == desired


def memory_file(data: bytes) -> None:
    file = written("watchdog.json", data)
    memory.load(file, 1.0)
    memory.save(file, memory.load(file, 1.0, "boot"), "boot")


def status_of_watchdog(data: bytes) -> None:
    written("run/wg0.watchdog.json", data)
    with contextlib.suppress(DeviceError):
        status_file.read(NODE)


def node_toml(data: bytes) -> None:
    with contextlib.suppress(ConfigError):
        settings.settings_of(config.parse(data, Path("node.toml")), Path("node.toml"))


def importer(read: Callable[[Path, tuple[()]], object], name: str) -> Callable[[bytes], None]:
    def eat(data: bytes) -> None:
        file = written(name, data)
        with contextlib.suppress(ConfigError):
            read(file.parent if "/" in name else file, ())

    return eat


def sealed_file(data: bytes) -> None:
    with contextlib.suppress(Wrong):
        sealed.read(data)


@cache
def signed_repository() -> Signed:
    """Where one key may sign."""
    repository = Signed(Path(tempfile.mkdtemp(dir=PLACE)), "")
    repository.allow(software_keys.line(SIGNING_KEY.public))
    return repository


def signed_commit(data: bytes) -> None:
    """A commit, or what is signed then: no signature counts that git does not take, and only one form of it."""
    payload = data.removeprefix(TO_SIGN)
    commit = data if payload == data else signed(payload)
    repository = signed_repository()
    to_git = repository.verifies(commit)
    assert repository.counts_here(commit) <= to_git
    assert repository.counts(commit) <= to_git
    read = signature.read(commit)
    assert repository.counts(commit) or not to_git or read.kind != signature.SSH or not read.key


def signed(payload: bytes) -> bytes:
    proof = SIGNING_KEY.proof(software_keys.to_sign(payload))
    return software_keys.signed(payload, software_keys.blob(SIGNING_KEY.public, proof))


def files(*places: str) -> tuple[bytes, ...]:
    return tuple((DATA / place).read_bytes() for place in places)


def peer(number: int, more: str = "") -> bytes:
    return f'public_key = "{KEYS[number]}"\naddresses = ["10.0.0.{number + 1}"]\n{more}'.encode()


def remembered() -> bytes:
    """A real state.json."""
    refusal = state.Refusal("1" * 40, "no", (Finding("peers/b.toml", "mtu", "is wrong"),))
    applied = state.Applied("1" * 40, desired=INTERFACE, owned=INTERFACE.owned)
    state.save(PLACE / "real.json", state.State(applied, state.Remote(refusals=(refusal,))))
    return (PLACE / "real.json").read_bytes()


def nodes_words(data: bytes) -> object:
    """What a node says of itself: it is verified, or doubted, and what is shown of it is printable."""
    found = verify.heard("a", data, "lab", SAYS, 1.0)
    if not found.doubt:
        assert found.signature is verify.Signature.SIGNED
        assert statement.parted(data)[0] == WORDS
    return found


def mesh_question(data: bytes) -> object:
    """A packet to the nameserver: it is answered, or not; and so is one that is damaged behind the header."""
    found = mesh_answers.read(data)
    if not isinstance(found, dns.message.Message):
        return found
    if found.opcode() == dns.opcode.NOTIFY:
        if commits.is_about(found, mesh_in_dns.ZONE) and (commit := commits.read(found, mesh_in_dns.ZONE)):
            assert len(bytes.fromhex(commit)) == 20
        return notices.read(found, [mesh_in_dns.AZURE], mesh_in_dns.SERVICES)
    return mesh_answers.packed(mesh_answers.answer(found, mesh_in_dns.VIEW), mesh_answers.largest(found))


def git_request(data: bytes) -> None:
    """What a client of the port for git says first."""
    with contextlib.suppress(ValueError):
        if request.length(data[: request.HEADER]) <= request.LARGEST and request.asks_for_mesh(data[request.HEADER :]):
            assert data[request.HEADER :].startswith(b"git-upload-pack /mesh")


PLACES = [Sighting("192.0.2.1:51820", 3.0), Sighting("[2001:db8::1]:1", own=True)]
LISTING = b"100644 mesh.toml\0" + b"\x11" * 20 + b"\n\n" + b"1" * 40 + b" blob 4\nabcd\n"
MEMORY = {
    "version": 1, "good": {KEYS[1]: "192.0.2.1:51820"}, "names": {"b.example": ["192.0.2.1"]}, "boot": "boot",
    "believed": {"peers": {}, "names": {"b.example": {"addresses": ["192.0.2.1"]}}},
}  # fmt: skip
SEEN = {"since": 1.0, "heard": 1.0, "probed": 1.0}
STATUS = {"boot": status_file.boot_id(), "written": 1.0, "started": 1.0, "peers": [SEEN]}
SIGNER = b'anna@example.org namespaces="git" ssh-ed25519 ' + base64.b64encode(b"\0\0\0\x0bssh-ed25519" + b"k" * 36)
COMMIT = b"tree 1\ngpgsig -----BEGIN SSH SIGNATURE-----\n " + base64.b64encode(
    b"SSHSIG\0\0\0\x01" + b"\0\0\0\x08abcdabcd"
)
SIGNING_KEY, TO_SIGN = software_keys.Ed25519(bytes(32)), b"to sign: "
PAYLOAD = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor a <a@x> 1 +0000\ncommitter c <c@x> 2 +0000\n\none\n"
SEALED = sealed.written("a", sealed.Sealed(KEYS[0], {1: sealed_box.seal(bytes(32), KEYS[0])})).encode()
SAYS = signers.parse(f"a@node.lab {software_keys.line(SIGNING_KEY.public)}".encode())[0].entries
SAID = statement.Statement(mesh="lab", node="a", commit="1" * 40, version="0.1.0", moment=1.0)
WORDS, NAMESPACE = statement.written(SAID).encode(), statement.NAMESPACE.encode()
VOUCHED = software_keys.blob(
    SIGNING_KEY.public, SIGNING_KEY.proof(software_keys.to_sign(WORDS, NAMESPACE)), namespace=NAMESPACE
)
TARGETS = {
    "mesh": Target(mesh, (
        peer(0, 'endpoint = "a.example:51820"') + b"\0" + peer(1, 'via = "a"\nsubnets = ["192.168.1.0/24"]'),
        peer(0, "expires = 2027-01-01") + b"\0" + peer(1) + b"\0" + MESH + b'\0[nodes]\na = ["tags"]\0' + SIGNER,
    )),
    "endpoint": Target(endpoint, (b"a.example:51820", b"[2001:db8::1]:51820", b"192.0.2.1:1", b"[fe80::1%eth0]:1")),
    "dump": Target(dump, files("wg-show-dump.txt")),
    "ip": Target(ip_json, files("ip-address.json", "ip-route-4.json", "ip-route-6.json", "ip-rule-4.json")),
    "signers": Target(signers.parse, (SIGNER,)),
    "policy": Target(node_rights.parse, (b'[nodes]\n"*" = ["tags"]\nanna = ["subnets"]\n',)),
    "signature": Target(signature.read, (COMMIT,)),
    "signed": Target(signed_commit, (signed(PAYLOAD), TO_SIGN + PAYLOAD)),
    "sealed": Target(sealed_file, (SEALED,)),
    "json": Target(typed_json, (as_json(INTERFACE).encode(),)),
    "state": Target(state_file, (remembered(),)),
    "memory": Target(memory_file, (json.dumps(MEMORY).encode(),)),
    "status": Target(status_of_watchdog, (json.dumps(STATUS).encode(),)),
    "node": Target(node_toml, (NODE_TOML.encode(),)),
    "dns": Target(mesh_question, (
        dns.message.make_query(mesh_in_dns.SERVICE, "PTR").to_wire(),
        dns.message.make_query("azure.mesh.internal.", "A", use_edns=0).to_wire(),
        notices.notice(mesh_in_dns.GCP, mesh_in_dns.AZURE, PLACES, mesh_in_dns.SERVICES, relayed=True),
        commits.notice(mesh_in_dns.ZONE, "1" * 40),
    )),
    "words": Target(nodes_words, (WORDS, WORDS + b"\n" + base64.b64encode(VOUCHED))),
    "git": Target(git_request, (b"0024git-upload-pack /mesh\0host=a\0\0", b"0019git-upload-pack /mesh")),
    "objects": Target(repository_files, (LISTING,)),
    "wg-quick": Target(importer(wg_quick.read, "wg0.conf"), files("import/hub/wg0.conf", "import/hub/laptop.conf")),
    "wg-meshconf": Target(importer(wg_meshconf.read, "database.csv"), files("import/wg-meshconf.csv")),
    "wg-gen-web": Target(importer(wg_gen_web.read, "web/server.json"), files("import/web/server.json")),
}  # fmt: skip
