"""What is imported where: the core stays pure, an idle run stays cheap, and no folder takes a library's name."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh_sync.node.fingerprint import fingerprint
from mesh_sync.wireguard import keys

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "sync/mesh_sync"
PURE = (
    "check/*", "findings", "fleet/compare", "fleet/verify", "membership/handshake", "mesh/[!t]*", "mesh/topology",
    "names/nameservers", "names/hosts_block", "names/hosts_file", "names/nsswitch", "names/resolv_conf", "names/usable",
    "node/statement", "preshared/derive",
    "preshared/sealed*", "reconcile/health_goal", "reconcile/reachable", "trust/authorization", "trust/guard",
    "trust/node_rights", "trust/sign*", "typed_toml/*", "wireguard/conf", "wireguard/desired", "wireguard/endpoint",
    "wireguard/key_rollover", "wireguard/live", "wireguard/longest_prefix", "wireguard/placement", "wireguard/plan",
    "wireguard/protocol", "wireguard/psk_rollover", "wireguard/relays", "wireguard/syncconf", "wireguard/underlay",
    "workspace/sealed_files",
)  # fmt: skip
WATCHDOG = ROOT / "watchdog/mesh_watchdog"
IMPURE = frozenset({"asyncio", "dns", "git", "requests", "select", "selectors", "socket", "subprocess", "time"})
EDGES = frozenset(
    {"mesh_sync.system.run", "mesh_sync.system.run.run"}
    | {
        f"mesh_sync.wireguard.{name}"
        for name in ("ip", "wg", "device", "ways.ask", "port_rewriting.read", "port_rewriting.replace")
    }
)
MAX_FUNCTION_IMPORTS = 29
"""Each is there for start-up time, and has its reason beside it."""
CLOCKS = frozenset({"now", "today", "utcnow", "time_ns", "monotonic", "perf_counter"})
MODULES = [path for name in PURE for path in sorted(PACKAGE.glob(f"{name}.py"))] + sorted(
    [
        *(WATCHDOG / "policy").glob("*.py"),
        *(WATCHDOG / f"port_mapping/{name}.py" for name in ("answers", "nat_pmp", "pcp", "renewal", "upnpc")),
    ]
)
HEAVY = ("click", "dns", "git", "jinja2", "nacl", "rich", "segno", "starlette", "tomlkit", "uvicorn", "watchdog")


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_the_core_touches_nothing_but_values(path: Path) -> None:
    tree = ast.parse(path.read_text())
    names = set(imported(tree))
    assert not {name for name in names if name.partition(".")[0] in IMPURE}
    assert not names & EDGES
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    assert not {call.attr for call in calls if isinstance(call, ast.Attribute)} & CLOCKS, "reads a clock"


def function_imports(path: Path) -> Iterator[tuple[int, str]]:
    """The line of every import inside a function, and its text with that of the line above."""
    text = path.read_text()
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    found = {
        node.lineno for each in functions for node in ast.walk(each) if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return ((number, "\n".join(text.splitlines()[number - 2 : number])) for number in sorted(found))


def test_imports_inside_functions_are_few_and_say_why() -> None:
    paths = [*PACKAGE.rglob("*.py"), *WATCHDOG.rglob("*.py")]
    found = [(path.relative_to(ROOT), *each) for path in paths for each in function_imports(path)]
    assert len(found) <= MAX_FUNCTION_IMPORTS, found
    assert not [(path, number) for path, number, lines in found if " # " not in lines], "without a reason"


def test_watchdog_is_the_library() -> None:
    for folder in ("sync", "watchdog"):
        assert not (ROOT / folder / "__init__.py").exists()
    code = "import importlib.util; spec = importlib.util.find_spec('watchdog'); print(spec and spec.origin)"
    found = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=True)
    origin = found.stdout.strip()
    assert origin == "None" or "site-packages" in origin


def program(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


@pytest.fixture
def node(tmp_path: Path) -> dict[str, str]:
    """The environment of a node that has nothing to do, as far as `git`, `ip` and `wg` tell."""
    commit, private = "1" * 40, keys.generate()
    own, other = keys.public_key(private), keys.public_key(keys.generate())
    key_file = tmp_path / "private.key"
    key_file.touch(mode=0o600)
    key_file.write_text(private)
    (tmp_path / "node.toml").write_text(
        f'name = "anna"\nprivate_key_file = "{key_file}"\n[repository]\nurls = ["git://git.example.org/mesh"]\n'
        '[trust]\nmode = "none"\n[paths]\n'
        + "".join(f'{name} = "{tmp_path / name}"\n' for name in ("state", "run", "wireguard"))
    )
    programs = tmp_path / "programs"
    programs.mkdir()
    program(programs, "git", f"printf '{commit}\\trefs/heads/main\\n'")
    dump = f"{private}\t{own}\t51820\toff\n{other}\t(none)\t(none)\t10.0.0.2/32\t0\t0\t0\toff\n"
    program(programs, "wg", f"printf '{dump}'")
    link = {"mtu": 1420, "flags": ["UP"], "addr_info": [{"local": "10.0.0.1", "prefixlen": 32, "scope": "global"}]}
    routes = [{"dst": "10.0.0.0/24"}]
    program(
        programs,
        "ip",
        f"case \"$*\" in *-batch*) echo '{json.dumps([link])}'; echo '{json.dumps(routes)}' ;; *) echo '[]' ;; esac",
    )
    remember(tmp_path, commit, own, other)
    return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}


def remember(place: Path, commit: str, own: str, other: str) -> None:
    """Write the state and the wg0.conf of a run that has applied `commit`."""
    from mesh_sync.node import config as nodes
    from mesh_sync.node import last_run, state
    from mesh_sync.wireguard.desired import Desired, DesiredPeer

    node = nodes.load(place / "node.toml")
    peer = DesiredPeer("berta", other, ("10.0.0.2",), frozenset({"10.0.0.2/32"}))
    desired = Desired(
        mesh="test", name="anna", public_key=own, listen_port=51820, mtu=1420, addresses=frozenset({"10.0.0.1/32"}),
        routes=frozenset({"10.0.0.0/24"}), peers=(peer,),
    )  # fmt: skip
    text = "# wg0.conf\n"
    node.conf_file.parent.mkdir()
    node.conf_file.touch(mode=0o600)
    node.conf_file.write_text(text)
    last_run.record(node, "in-sync")
    applied = state.Applied(commit, fingerprint(node), desired, desired.owned, conf=state.digest(text), at=1.0)
    state.save(node.state_file, state.State(applied, state.Remote(commit)))


def test_an_idle_run_marks_its_line_as_one_that_the_journal_can_do_without(
    tmp_path: Path, node: dict[str, str]
) -> None:
    command = [sys.executable, "-m", "mesh_sync", "now", "--config", str(tmp_path / "node.toml")]
    with (tmp_path / "journal").open("w+") as journal:
        place = os.fstat(journal.fileno())
        env = {**node, "JOURNAL_STREAM": f"{place.st_dev}:{place.st_ino}"}
        subprocess.run(command, env=env, stdout=journal, check=True, timeout=30)
        elsewhere = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=30)
    line = "wg0 is in sync with commit 1111111111 (1 peer)\n"
    assert ((tmp_path / "journal").read_text(), elsewhere.stdout) == (f"<6>{line}", line)


def test_an_idle_run_imports_no_library_that_it_does_not_need(tmp_path: Path, node: dict[str, str]) -> None:
    code = (
        "import sys, mesh_sync.__main__ as entry\n"
        f"sys.argv = ['mesh-sync', 'now', '--config', {str(tmp_path / 'node.toml')!r}]\n"
        "try:\n    entry.main()\nfinally:\n    print(*sorted(sys.modules), sep='\\n', file=sys.stderr)\n"
    )
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    done = subprocess.run([sys.executable, "-c", code], env=node, capture_output=True, text=True, timeout=30)
    assert done.stdout == "wg0 is in sync with commit 1111111111 (1 peer)\n", done.stderr
    modules = set(done.stderr.split())
    assert "attrs" in modules
    assert not modules & set(HEAVY)
    assert not modules & {"mesh_sync.mesh.model", "mesh_sync.cli.main", "mesh_sync.names.resolve"}
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file() and file.suffix != ".lock"}
    assert after == {file: text for file, text in before.items() if file.suffix != ".lock"}, "it wrote something"


def test_a_run_with_news_says_what_it_did_without_what_it_does_not_need() -> None:
    code = (
        "import sys, mesh_sync.cli.timer, mesh_sync.cli.present_outcome, mesh_sync.reconcile.now\n"
        "import mesh_sync.reconcile.mirrored, mesh_sync.reconcile.auto_rollback; print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    assert "mesh_sync.trust.verify_commits" in modules
    assert not modules & ({*HEAVY, "concurrent.futures", "logging", "mesh_sync.cli.main"} - {"nacl"})


def test_the_page_starts_without_what_only_some_uses_need() -> None:
    code = "import sys, mesh_sync.web.app, mesh_sync.web.server; print(*sys.modules)"
    modules = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "starlette" in modules
    assert not modules & {"dns", "git", "rich", "segno", "mesh_sync.cli"}
