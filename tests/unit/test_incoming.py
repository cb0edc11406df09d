"""What comes from a remote is checked before it is part of the copy, over every transport, and a refused rest goes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from mesh_sync.errors import Refused, Unreachable
from mesh_sync.node.config import Repository
from mesh_sync.repository.remote import Remote
from unit.hostile_git_host import hosting, refusing
from unit.test_bare_copy import commit, git
from unit.web_git_host import Dumb, Smart, serving

LOGIN = "anna:pa5s/w@rd"
Serve = Callable[[Path], AbstractContextManager[str]]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A repository of a few commits, and a bare one of it for the host at `srv/mesh.git`."""
    git(tmp_path, "init", "-q", "-b", "main", "work")
    for number in range(3):
        commit(tmp_path / "work", f"number = {number}")
    git(tmp_path, "clone", "-q", "--bare", "work", "srv/mesh.git")
    return tmp_path / "work"


def publish(work: Path, what: str = "HEAD") -> str:
    git(work, "push", "-q", "--force", "../srv/mesh.git", f"{what}:main")
    git(work.parent / "srv/mesh.git", "update-server-info")
    return git(work, "rev-parse", what)


def smart(root: Path) -> AbstractContextManager[str]:
    return serving(Smart, root)


TRANSPORTS: dict[str, Serve] = {
    "path": lambda root: nullcontext(str(root)),
    "file": lambda root: nullcontext(f"file://{root}"),
    "smart http": smart,
}


def remote(tmp_path: Path, *urls: str, whole: bool = False, max_size: int = 256, deadline: int = 20) -> Remote:
    settings = Repository(urls=urls, max_size=max_size, deadline=deadline)
    return Remote(settings, tmp_path / "repo.git", whole=whole)


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def tree_with(work: Path, entry: bytes, thing: str) -> str:
    """A commit whose tree has an entry that no command of git makes."""
    raw = git(work, "cat-file", "-p", "HEAD^{tree}").split()[2]
    content = b"100644 mesh.toml\0" + bytes.fromhex(raw) + entry + b"\0" + bytes.fromhex(thing)
    words = ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"]
    done = subprocess.run(words, cwd=work, input=content, check=True, capture_output=True)
    return git(work, "commit-tree", "-p", "HEAD", "-m", "crafted", done.stdout.decode().strip())


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("serve", TRANSPORTS.values(), ids=TRANSPORTS)
def test_every_commit_comes_and_later_only_what_is_new(tmp_path: Path, work: Path, serve: Serve, whole: bool) -> None:
    (work / "large").write_bytes(os.urandom(100_000))
    commit(work, "large = true")
    first = publish(work)
    with serve(tmp_path / "srv") as base:
        here = remote(tmp_path, f"{base}/mesh.git", whole=whole)
        assert here.fetch(here.head().url) == first
        before = size(tmp_path / "repo.git")
        commit(work, "large = false")
        second = publish(work)
        here = remote(tmp_path, f"{base}/mesh.git", whole=whole)
        assert here.fetch(here.head().url) == second
    assert here.bare.git("rev-list", "--count", second) == "5"
    here.bare.git("fsck", "--strict")
    assert size(tmp_path / "repo.git") < before + 20_000
    assert not here.bare.shallow.exists()
    assert not here.bare.incoming.exists()


@pytest.mark.parametrize("serve", TRANSPORTS.values(), ids=TRANSPORTS)
def test_a_history_that_is_cut_short_is_taken_only_where_it_is_not_verified(
    tmp_path: Path, work: Path, serve: Serve
) -> None:
    git(tmp_path, "clone", "-q", "--bare", "--depth=1", f"file://{work}", "srv/shallow.git")
    head = git(work, "rev-parse", "HEAD")
    with serve(tmp_path / "srv") as base:
        whole = remote(tmp_path, f"{base}/mesh.git", whole=True)
        assert whole.fetch(f"{base}/mesh.git") == head
        commit(work, "number = 9")
        git(tmp_path / "srv/shallow.git", "fetch", "-q", "--depth=1", f"file://{work}", "+main:main")
        second = git(work, "rev-parse", "HEAD")
        with pytest.raises(Refused, match="has a shallow history, which cannot be verified"):
            remote(tmp_path, f"{base}/shallow.git", whole=True).fetch(f"{base}/shallow.git")
        assert whole.bare.is_whole()
        assert whole.bare.objects.has(head)
        assert not whole.bare.objects.has(second)
        whole.bare.discard()
        for _ in range(2):
            assert remote(tmp_path, f"{base}/shallow.git").fetch(f"{base}/shallow.git") == second
        assert whole.bare.git("rev-list", "--count", second) == "1"


BAD = {
    "slash": (b"100644 peers/b.toml", "full pathnames"),
    "dot git": (b"40000 .GIT", "'.git'"),
    "short name": (b"40000 git~1", "'.git'"),
    "ignored characters": (b"40000 .g\xe2\x80\x8cit", "'.git'"),
    "dot dot": (b"40000 ..", "'..'"),
    "zero-padded": (b"0100644 z", "zero-padded"),
    "twice": (b"100644 mesh.toml", "duplicate"),
    "order": (b"100644 a", "sorted"),
}


@pytest.mark.parametrize("serve", TRANSPORTS.values(), ids=TRANSPORTS)
@pytest.mark.parametrize(("entry", "what"), BAD.values(), ids=BAD)
def test_a_tree_that_git_does_not_write_is_refused_and_gone(
    tmp_path: Path, work: Path, serve: Serve, entry: bytes, what: str
) -> None:
    blob = git(work, "rev-parse", "HEAD:mesh.toml")
    thing = blob if entry[:1] != b"4" else git(work, "rev-parse", "HEAD^{tree}")
    bad = tree_with(work, entry, thing)
    with serve(tmp_path / "srv") as base:
        publish(work)
        remote(tmp_path, f"{base}/mesh.git").fetch(f"{base}/mesh.git")
        publish(work, bad)
        with pytest.raises(Refused, match="no sound git history") as caught:
            remote(tmp_path, f"{base}/mesh.git").fetch(f"{base}/mesh.git")
        assert any(what in finding.message for finding in caught.value.findings)
        assert not caught.value.lasting
        assert not remote(tmp_path, base).bare.objects.has(bad)
        good = publish(work)
        assert remote(tmp_path, f"{base}/mesh.git").fetch(f"{base}/mesh.git") == good


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_mere_files_on_a_web_server_are_not_taken(tmp_path: Path, work: Path, packed: bool, whole: bool) -> None:
    """No object is asked for; another remote is."""
    head = publish(work)
    if packed:
        git(tmp_path / "srv/mesh.git", "repack", "-q", "-a", "-d")
    git(tmp_path / "srv/mesh.git", "update-server-info")
    asked: list[str] = []

    class Counting(Dumb):
        def do_GET(self) -> None:  # noqa: N802
            asked.append(self.path)
            super().do_GET()

    with serving(Counting, tmp_path / "srv") as base:
        url = f"{base}/mesh.git"
        here = remote(tmp_path, url, whole=whole)
        assert here.head().commit == head
        with pytest.raises(Unreachable, match=r"is served without git's own protocol \(dumb HTTP\)"):
            here.fetch(url)
        good = f"file://{tmp_path}/srv/mesh.git"
        assert remote(tmp_path, url, good, whole=whole).fetch(url) == head
    assert {path.partition("?")[0] for path in asked} == {"/mesh.git/info/refs", "/mesh.git/HEAD"}


@pytest.mark.parametrize("scheme", ["ftp", "ftps", "gopher", "ext", "foo"])
def test_only_gits_own_transports_are_used(tmp_path: Path, work: Path, scheme: str) -> None:
    with pytest.raises(Unreachable, match="has an address of another kind"):
        remote(tmp_path, f"{scheme}://127.0.0.1/mesh.git").head()


def test_refused_heads_do_not_pile_up(tmp_path: Path, work: Path) -> None:
    """Neither those that are unsound nor those that are larger than the node takes."""
    url, most = f"file://{tmp_path}/srv/mesh.git", 2
    remote(tmp_path, url, max_size=most).fetch(url)
    good = publish(work)
    for number in range(4):
        noise = work / "noise"
        noise.write_bytes(b"".join(bytes([number]) + os.urandom(1 << 20) for _ in range(1 + number % 3)))
        git(work, "add", "-A")
        git(work, "commit", "-q", "-m", "noise")
        bad = tree_with(work, b"100644 peers/b.toml", git(work, "rev-parse", "HEAD:noise"))
        publish(work, bad)
        with pytest.raises((Refused, Unreachable)):
            remote(tmp_path, url, max_size=most).fetch(url)
        git(work, "reset", "-q", "--hard", good)
        assert size(tmp_path / "repo.git") < 100_000
    publish(work)
    assert remote(tmp_path, url, max_size=most).fetch(url) == good


def test_loose_objects_count(tmp_path: Path, work: Path) -> None:
    """Those of an older version's copy; what the branch does not need goes, and the rest stays."""
    url = f"file://{tmp_path}/srv/mesh.git"
    here = remote(tmp_path, url, max_size=2)
    head = here.fetch(url)
    for _ in range(4):
        noise = tmp_path / "noise"
        noise.write_bytes(os.urandom(1 << 20))
        git(here.bare.place, "hash-object", "-w", str(noise))
    assert size(here.bare.place) > 4 << 20
    assert here.bare.tidy(20)
    assert size(here.bare.place) < 100_000
    assert here.bare.objects.has(head)


def test_a_killed_fetch_leaves_nothing_that_counts(tmp_path: Path, work: Path) -> None:
    url = f"file://{tmp_path}/srv/mesh.git"
    here = remote(tmp_path, url)
    here.fetch(url)
    here.bare.incoming.mkdir()
    git(tmp_path, "clone", "-q", "--bare", str(work), str(here.bare.incoming))
    commit(work, "number = 9")
    head = publish(work)
    git(here.bare.incoming, "fetch", "-q", str(work), "main")
    assert not here.bare.objects.has(head)
    assert here.fetch(url) == head


def test_a_disk_that_is_full_is_seen_on_the_disk(tmp_path: Path, work: Path) -> None:
    """In a mount namespace of its own the copy lies on a disk of 256 KiB."""
    (work / "noise").write_bytes(os.urandom(1 << 20))
    commit(work, "format = 1")
    publish(work)
    (tmp_path / "small").mkdir()
    code = (
        "import sys; from pathlib import Path; from mesh_sync.errors import DeviceError\n"
        "from mesh_sync.node.config import Repository; from mesh_sync.repository.remote import Remote\n"
        "url = sys.argv[1]; remote = Remote(Repository(urls=(url,)), Path(sys.argv[2]))\n"
        "try:\n    remote.fetch(url)\nexcept DeviceError as error:\n    print(error.message)\n"
    )
    small = tmp_path / "small"
    script = f'mount -t tmpfs -o size=256k tmpfs {small} && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-c", code]
    url = f"file://{tmp_path}/srv/mesh.git"
    done = subprocess.run([*words, url, f"{small}/repo.git"], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{small}/repo.git cannot be written: No space left on device\n", done.stderr


def command_lines(stop: threading.Event, seen: set[str]) -> None:
    while not stop.is_set():
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue


@pytest.mark.parametrize("login", [LOGIN, "t0ken:"])
def test_a_password_in_the_address_is_in_no_command_line(tmp_path: Path, work: Path, login: str) -> None:
    head = publish(work)
    encoded = login.replace("/", "%2F").replace("@", "%40")
    seen: set[str] = set()
    stop = threading.Event()
    watching = threading.Thread(target=command_lines, args=(stop, seen))
    with serving(Smart, tmp_path / "srv", login) as base:
        watching.start()
        try:
            url = f"{base.replace('//', f'//{encoded}@')}/mesh.git"
            here = remote(tmp_path, url)
            assert here.fetch(here.head().url) == head
            with pytest.raises(Unreachable, match="refuses this node's credentials") as caught:
                remote(tmp_path, url.replace(encoded, f"{encoded}x")).head()
        finally:
            stop.set()
            watching.join()
    secrets = [word for word in (*login.split(":"), encoded) if len(word) > 4]
    assert any("remote-http" in line and base in line for line in seen)
    assert not [line for line in seen for secret in secrets if secret in line and "pytest" not in line]
    assert not [secret for secret in secrets if secret in caught.value.message]


def test_a_password_is_not_given_to_another_host(tmp_path: Path, work: Path) -> None:
    """One that the host of the address sends git to."""
    asked: list[str] = []

    class Elsewhere(Smart):
        def do_GET(self) -> None:  # noqa: N802
            asked.append(self.headers.get("Authorization", ""))
            super().do_GET()

    class Redirecting(Smart):
        def do_GET(self) -> None:  # noqa: N802
            self.send_response(302)
            self.send_header("Location", f"{elsewhere}{self.path}")
            self.end_headers()

    srv = tmp_path / "srv"
    with serving(Elsewhere, srv, LOGIN) as elsewhere, serving(Redirecting, srv) as base, pytest.raises(Unreachable):
        remote(tmp_path, f"{base.replace('//', '//anna:pa5s%2Fw%40rd@')}/mesh.git").head()
    assert asked
    assert set(asked) == {""}


def test_a_user_name_alone_goes_with_a_password_of_roots_own(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mesh_sync.repository import bare_copy
    from mesh_sync.repository import remote as module

    monkeypatch.setattr(bare_copy, "home", lambda: {"HOME": str(tmp_path)})
    monkeypatch.setattr(module, "home", lambda: {"HOME": str(tmp_path)})
    with serving(Smart, tmp_path / "srv", "anna:secret") as base:
        (tmp_path / ".gitconfig").write_text("[credential]\n\thelper = store\n")
        (tmp_path / ".git-credentials").write_text(
            "".join(f"{base.replace('//', f'//{login}@')}\n" for login in ("otto:other", "anna:secret"))
        )
        assert remote(tmp_path, f"{base.replace('//', '//anna@')}/mesh.git").head().commit == git(
            work, "rev-parse", "HEAD"
        )


def test_a_host_that_answers_a_byte_at_a_time_leaves_time_for_the_next(tmp_path: Path, work: Path) -> None:
    good = f"file://{tmp_path}/srv/mesh.git"
    with hosting(refusing("x" * 1000), pause=0.5) as slow, hosting([]) as silent:
        begun = time.monotonic()
        here = remote(tmp_path, slow.url, silent.url, good, deadline=6)
        assert here.head().url == good
        assert time.monotonic() - begun < 60
        assert (slow.asked, silent.asked) == (1, 1)


def test_a_repository_of_sha256_is_named(tmp_path: Path, work: Path) -> None:
    """And the next remote is asked."""
    git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256", "other")
    commit(tmp_path / "other", "format = 1")
    url = f"file://{tmp_path}/other"
    with pytest.raises(Unreachable, match="is a SHA-256 repository, which mesh-sync does not read"):
        remote(tmp_path, url).head()
    assert remote(tmp_path, url, f"file://{work}").head().url == f"file://{work}"
