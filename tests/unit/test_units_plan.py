"""`mesh-sync setup` and `leave`: which files and which steps, on every machine that there can be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from mesh_sync.errors import ConfigError, DeviceError
from mesh_sync.node.config import Gateway, Node, Repository, Trust
from mesh_sync.system import own_code
from mesh_sync.units import leave as way_out
from mesh_sync.units.machine import Place, carry_out, look, sources
from mesh_sync.units.needed import missing
from mesh_sync.units.plan import (
    BOOT,
    DAEMON,
    KEPT,
    NEWS,
    ONCE,
    ORDER,
    PASS,
    TIMER,
    Remove,
    Step,
    Systemctl,
    Units,
    Write,
    leaving,
    setting_up,
)  # fmt: skip
from mesh_sync.units.set_up import programs_folder, set_up
from mesh_sync.units.unit_file import hidden, installed, is_ours

NODE = Node(name="aws", repository=Repository(urls=("ssh://git@git.example.org/mesh.git",)), trust=Trust(mode="none"))
NAMES = tuple(sources())
TEXTS = {name: installed(name, text, Path("/opt/mesh-sync/bin")) for name, text in sources().items()}
some = st.frozensets(st.sampled_from(NAMES))


@st.composite
def machines(draw: st.DrawFn) -> Units:
    """A machine with any mixture of links, files of ours and of others, and states."""
    links = draw(some)
    texts = st.sampled_from(["# mine\n", "# Written by `mesh-sync setup`, long ago\n"])
    files = {name: draw(texts | st.just(TEXTS[name])) for name in draw(some) - links}
    enabled, active, failed = draw(some), draw(some), draw(some)
    return Units(
        files=files, links=links, packaged=draw(some), enabled=enabled, active=active - failed, failed=failed,
        stale=draw(st.booleans()),
    )  # fmt: skip


def after(found: Units, steps: tuple[Step, ...]) -> Units:
    """The machine after these steps."""
    files, links = dict(found.files), set(found.links)
    enabled, active, failed, stale = set(found.enabled), set(found.active), set(found.failed), found.stale
    for step in steps:
        match step:
            case Write(name, text):
                links.discard(name)
                files[name] = text
            case Remove(name):
                links.discard(name)
                files.pop(name, None)
            case Systemctl(("enable" | "reenable", *names)):
                enabled |= set(names)
            case Systemctl(("disable", "--now", *names)):
                enabled -= set(names)
                active -= set(names)
            case Systemctl(("disable", *names)):
                enabled -= set(names)
            case Systemctl(("start" | "restart", *names)):
                active |= set(names) - {PASS}
                stale = stale and not (DAEMON in names and step.words[0] == "restart")
            case Systemctl(("stop", *names)):
                active -= set(names)
            case Systemctl(("reset-failed", *names)):
                failed -= set(names)
    return Units(
        files, frozenset(links), found.packaged, frozenset(enabled), frozenset(active), frozenset(failed), stale
    )


@given(machines(), st.booleans())
def test_a_second_setup_finds_nothing_to_do(found: Units, watchdog: bool) -> None:
    found = after(found, setting_up(found, TEXTS, watchdog=watchdog))
    assert {BOOT, TIMER} <= found.enabled & found.active
    assert (DAEMON in found.active or ONCE in found.active | found.enabled) == watchdog
    assert not {name for name in found.packaged if is_ours(found.files.get(name, ""))}, "hides a package's file"
    assert all(found.files.get(name) == TEXTS[name] for name in set(NAMES) - found.packaged)
    assert setting_up(evolve(found, stale=False), TEXTS, watchdog=watchdog) == ()


@given(machines())
def test_leaving_stops_everything_before_it_removes_it_and_removes_what_is_ours_alone(found: Units) -> None:
    steps = leaving(found, NAMES)
    verbs = [step.words[0] if isinstance(step, Systemctl) else "remove" for step in steps]
    order = ["stop", "disable", "remove", "daemon-reload", "reset-failed"]
    assert verbs == sorted(verbs, key=order.index)
    left = after(found, steps)
    assert not left.active | left.enabled | left.failed | left.links
    assert left.files == {name: text for name, text in found.files.items() if not is_ours(text)}
    assert leaving(left, NAMES) == ()


def test_every_unit_is_stopped_when_the_node_leaves_and_what_takes_the_mesh_down_last() -> None:
    assert set(ORDER) == set(NAMES)
    assert ORDER[-1] == BOOT


def test_an_upgrade_restarts_the_daemon_and_leaves_the_interface_alone() -> None:
    running = after(Units(), setting_up(Units(), TEXTS, watchdog=True))
    assert setting_up(evolve(running, stale=True), TEXTS, watchdog=True) == (
        Systemctl(("restart", DAEMON), fatal=False),
    )
    newer = {name: text + "# newer\n" for name, text in TEXTS.items()}
    words = [step.words for step in setting_up(running, newer, watchdog=True) if isinstance(step, Systemctl)]
    assert words == [("daemon-reload",), ("restart", DAEMON), ("restart", TIMER, NEWS)]


def test_a_linked_unit_becomes_a_file_and_what_starts_it_leads_there() -> None:
    found = Units(links=frozenset(NAMES), enabled=frozenset({BOOT, TIMER, DAEMON}), active=frozenset({BOOT, TIMER}))
    steps = setting_up(found, TEXTS, watchdog=True)
    assert Systemctl(("reenable", BOOT, TIMER, DAEMON)) in steps
    assert not any(step.keep for step in steps if isinstance(step, Write))


def test_a_timer_in_the_daemons_place_stays_until_no_watchdog_is_wanted() -> None:
    found = Units(enabled=frozenset({ONCE}), active=frozenset({ONCE}))
    assert DAEMON not in str([str(step) for step in setting_up(found, {}, watchdog=True)])
    assert Systemctl(("disable", "--now", ONCE)) in setting_up(found, {}, watchdog=False)


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".service")])
def test_a_unit_names_its_program_by_the_whole_path(name: str) -> None:
    started = [line for line in TEXTS[name].splitlines() if line.startswith("Exec") and "kill" not in line]
    assert started
    assert all("=/opt/mesh-sync/bin/mesh-" in line or "=-/opt/mesh-sync/bin/mesh-" in line for line in started)


def test_files_of_others_are_kept_beside_ours_and_links_are_not_followed(tmp_path: Path) -> None:
    package, own = tmp_path / "share/mesh-sync/systemd", tmp_path / "etc"
    for folder in (package, own):
        folder.mkdir(parents=True)
    place = Place(own, (tmp_path / "usr",), tmp_path / "no-systemd")
    (package / BOOT).write_text("# of the package\n")
    (own / BOOT).symlink_to(package / BOOT)
    (own / TIMER).write_text("# mine\n")
    found = look(place, NAMES)
    assert found.links == {BOOT}
    assert found.files == {TIMER: "# mine\n"}
    told = list[str]()
    carry_out(place, [step for step in setting_up(found, TEXTS, watchdog=True) if isinstance(step, Write)], told.append)
    assert {file.name for file in own.iterdir()} == {*NAMES, TIMER + KEPT}
    assert (own / (TIMER + KEPT)).read_text() == "# mine\n"
    assert (package / BOOT).read_text() == "# of the package\n"
    assert not (own / BOOT).is_symlink()
    assert (own / BOOT).stat().st_mode & 0o777 == 0o644
    assert look(place, NAMES).files == TEXTS
    assert len(told) == len(NAMES)


def test_without_systemd_setup_says_how_to_do_without(tmp_path: Path) -> None:
    place = Place(tmp_path, (), tmp_path / "no-systemd")
    with pytest.raises(DeviceError) as raised:
        set_up(NODE, print, place=place)
    assert "mesh-sync now" in raised.value.hint
    assert not list(tmp_path.iterdir())


def test_a_program_in_a_home_is_refused_because_its_units_could_not_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("mesh-sync", "mesh-watchdog"):
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "mesh-sync")])
    assert hidden(tmp_path)
    with pytest.raises(ConfigError, match="cannot see") as raised:
        programs_folder()
    assert "/opt" in raised.value.hint


def test_programs_that_are_not_both_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "mesh-sync")])
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(ConfigError, match="not both"):
        programs_folder()


@pytest.mark.parametrize(
    ("has", "needed", "command"),
    [
        ("wg ip git ssh nft wireguard-go apt-get", (), ""),
        ("apt-get", ("wg", "ip", "git", "ssh"),
         "apt-get install --no-install-recommends wireguard-tools iproute2 git openssh-client wireguard-go nftables"),
        ("wg ip git ssh nft apt-get", (), "apt-get install --no-install-recommends wireguard-go"),
        ("wg git nft wireguard-go dnf", ("ip", "ssh"), "dnf install iproute openssh-clients"),
        ("wg ip git ssh wireguard-go apk", (), "apk add nftables"),
        ("wg ip git ssh wireguard-go", (), "install nftables"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_one_command_that_installs_it(
    has: str, needed: tuple[str, ...], command: str
) -> None:
    found = missing(NODE, has.split().__contains__, kernel=False)
    assert (found.needed, found.command) == (needed, command)
    assert bool(found.doubtful) == (bool(command) and "iproute " not in command)


def test_a_gateway_needs_nft_and_only_a_remote_by_ssh_needs_ssh() -> None:
    gateway = evolve(NODE, gateway=Gateway(masquerade="eth0"), repository=Repository(urls=("https://git.example/m",)))
    assert missing(gateway, lambda _: False, kernel=True).needed == ("wg", "ip", "git", "nft")
    for url, wanted in {"git@git.example:m.git": True, "ssh://git.example/m": True, "/srv/mesh.git": False}.items():
        found = missing(evolve(NODE, repository=Repository(urls=(url,))), lambda _: False, kernel=True)
        assert ("ssh" in found.needed) == wanted, url


def test_purging_removes_all_that_is_this_nodes_own_and_nothing_beside_it(tmp_path: Path) -> None:
    etc, paths = tmp_path / "etc", tmp_path / "var"
    etc.mkdir()
    (paths / "wg0").mkdir(parents=True)
    ours = ["private.key", "private.key.previous", "signing.key", "signing.key.pub", "allowed_signers", "known_hosts"]
    for name in [*ours, "node.toml", "of-another"]:
        (etc / name).write_text("x")
    (paths / "wg0/state.json").write_text("x")
    node = evolve(
        NODE, private_key_file=etc / "private.key", signing_key_file=etc / "signing.key",
        trust=Trust(mode="signed", allowed_signers=etc / "allowed_signers"),
        paths=evolve(NODE.paths, state=paths, run=tmp_path / "run", wireguard=tmp_path / "wireguard"),
    )  # fmt: skip
    for _ in range(2):
        way_out.purge(node, print, etc / "node.toml")
        assert [file.name for file in etc.iterdir()] == ["of-another"]
        assert not paths.exists()


def test_another_version_of_the_code_has_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one_program").mkdir()
    module = tmp_path / "one_program/a.py"
    module.write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(own_code, "PACKAGES", ("one_program",))
    digests = [own_code.digest()]
    module.write_text("x = 2\n")
    digests.append(own_code.digest())
    module.rename(module.with_name("b.py"))
    digests.append(own_code.digest())
    assert len(set(digests)) == 3


def test_units_of_a_node_with_another_node_toml_read_that_one() -> None:
    for name, text in sources().items():
        made = installed(name, text, Path("/usr/bin"), Path("/data/mesh/node.toml"))
        assert "/etc/mesh-sync/node.toml" not in made
        for line in made.splitlines():
            if line.startswith("Exec") and "kill" not in line:
                assert line.endswith(" --config /data/mesh/node.toml"), name
    with pytest.raises(ConfigError, match="characters"):
        installed(BOOT, "", Path("/usr/bin"), Path("/data/%h/node.toml"))


@pytest.mark.parametrize("command", ["setup", "leave"])
def test_only_root_sets_up_and_leaves(command: str, tmp_path: Path) -> None:
    as_a_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    program = [sys.executable, "-c", "import sys; from mesh_sync.__main__ import main; main()", command]
    done = subprocess.run([*as_a_user, *program], capture_output=True, text=True, cwd=tmp_path.anchor, check=False)
    assert done.returncode == 2, done.stderr
    assert f"sudo mesh-sync {command}" in done.stderr
