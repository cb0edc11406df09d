"""What is built of the project: a wheel, an sdist, and the parts of the Debian package."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from mesh_sync import __version__
from mesh_sync.workspace import init

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "packaging/debian"
UNITS = {path.name for path in (ROOT / "systemd").iterdir()}
DATA = {"systemd": "share/mesh-sync/systemd", "mesh-repo-template": "share/mesh-sync/mesh-repo-template"}


def relative_files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def wheel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as pip builds it where there is no wheel: from the unpacked sdist."""
    built = tmp_path_factory.mktemp("built")
    hatchling = [sys.executable, "-m", "hatchling", "build", "--directory", str(built)]
    subprocess.run([*hatchling, "--target", "sdist"], cwd=ROOT, check=True, capture_output=True)
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(built, filter="data")
    tree = built / sdist.name.removesuffix(".tar.gz")
    subprocess.run([*hatchling, "--target", "wheel"], cwd=tree, check=True, capture_output=True)
    [made] = built.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> set[str]:
    """The files in it."""
    with zipfile.ZipFile(wheel_file) as archive:
        return set(archive.namelist())


def data(wheel: set[str], folder: str) -> set[str]:
    head = f"mesh_sync-{__version__}.data/data/{folder}/"
    return {name.removeprefix(head) for name in wheel if name.startswith(head)}


@pytest.mark.parametrize(("folder", "place"), DATA.items())
def test_the_wheel_has_every_unit_and_every_file_of_the_template(wheel: set[str], folder: str, place: str) -> None:
    assert data(wheel, place) == relative_files(ROOT / folder) != set()


def test_the_wheel_has_manual_pages_and_completions_of_both_programs(wheel: set[str]) -> None:
    assert data(wheel, "share/man/man1") == {"mesh-sync.1", "mesh-watchdog.1"}
    assert data(wheel, "share/bash-completion/completions") == {"mesh-sync", "mesh-watchdog"}
    assert data(wheel, "share/zsh/site-functions") == {"_mesh-sync", "_mesh-watchdog"}
    assert data(wheel, "share/fish/vendor_completions.d") == {"mesh-sync.fish", "mesh-watchdog.fish"}


def test_the_wheel_has_every_module(wheel: set[str]) -> None:
    for folder in ("sync", "watchdog"):
        modules = {str(path.relative_to(ROOT / folder)) for path in (ROOT / folder).rglob("*.py")}
        assert modules <= wheel


def test_the_wheel_and_the_package_have_the_scripts_of_the_page_with_their_licenses(
    wheel: set[str], tmp_path: Path
) -> None:
    static = ROOT / "sync/mesh_sync/web/static"
    assert {f"mesh_sync/web/static/{name}" for name in relative_files(static)} <= wheel
    licenses = {name for name in wheel if ".dist-info/licenses/" in name}
    assert {Path(name).name for name in licenses} == {"LICENSE", "d3.LICENSE", "htmx.LICENSE"}
    program = [sys.executable, str(ROOT / "script/package_copyright.py"), str(tmp_path)]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    for file in static.glob("*.min.js"):
        assert f"usr/share/mesh-sync/lib/mesh_sync/web/static/{file.name}" in said
    assert "Copyright: 2010-2026 Mike Bostock\nLicense: ISC\n" in said


def test_the_version_stands_in_one_place() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert "@VERSION@" in (DEBIAN / "control").read_text()
    for program in ("mesh_sync", "mesh_watchdog"):
        said = subprocess.run([sys.executable, "-m", program, "--version"], capture_output=True, text=True, check=True)
        assert said.stdout.split()[-1] == __version__


def test_the_template_beside_the_sources_is_the_one_that_is_used() -> None:
    assert init.template() == ROOT / "mesh-repo-template"


def test_a_removal_stops_every_unit_and_an_upgrade_every_pass() -> None:
    lists = dict(re.findall(r'(?ms)^(units|starters|passes)="(.*?)"', (DEBIAN / "prerm").read_text()))
    assert sorted(lists["units"].split()) == sorted(UNITS)
    assert lists["units"].split()[-1] == "mesh-sync-up.service"
    assert set(lists["starters"].split()) == {unit for unit in UNITS if not unit.endswith(".service")}
    started = {unit for unit in UNITS if "Type=oneshot" in (ROOT / "systemd" / unit).read_text()}
    assert set(lists["passes"].split()) == started - {"mesh-sync-up.service"}, "the tunnels stay up during an upgrade"


def test_the_package_bundles_each_library_that_debian_does_not_give() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {re.split(r"[>=]", text)[0].lower() for text in project["dependencies"]}
    bundled = set(re.findall(r"(?m)^([\w-]+)==", (ROOT / "packaging/bundled.txt").read_text().lower()))
    assert needed - bundled == {"pynacl"}, "compiled, and Debian's own"
    assert "python3-nacl" in (DEBIAN / "control").read_text()


@pytest.mark.parametrize(("words", "found"), [("mesh-sync pe", "peer"), ("mesh-watchdog st", "status")])
def test_bash_completes_commands(words: str, found: str) -> None:
    program = words.split()[0]
    script = ROOT / "packaging/completions/bash" / program
    asked = f"""
        source {script}
        COMP_WORDS=({words}) COMP_CWORD=1
        _{program.replace("-", "_")}_completion {program}
        echo "${{COMPREPLY[@]}}"
    """
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    said = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, env=environment, check=True)
    assert said.stdout.split() == [found]


@pytest.mark.parametrize("program", ["mesh-sync", "mesh-watchdog"])
def test_a_manual_page_is_one_that_man_can_show(program: str) -> None:
    page = (ROOT / f"packaging/man/{program}.1").read_text()
    assert page.startswith(f".TH {program.upper()} 1 ")
    assert f"\n.SH NAME\n{program.replace('-', chr(92) + '-')} \\- " in page
    requests = re.findall(r"(?m)^[.'](\S*)", page)
    assert set(requests) <= {"TH", "SH", "SS", "PP", "TP", "nf", "fi"}, "text that begins with a dot is no request"


@pytest.mark.parametrize("ci", init.CI_FILES)
@pytest.mark.parametrize(
    ("digest", "installed", "said"),
    [("", False, "write the URL of its wheel"), ("right", True, ""), ("0" * 64, False, "DO NOT MATCH")],
)
def test_ci_installs_what_init_was_told_by_its_hash(
    ci: str, digest: str, installed: bool, said: str, wheel_file: Path, tmp_path: Path
) -> None:
    text = (init.template() / ci).read_text()
    assert text.count(init.CI_UNSET) == 1
    [command] = re.findall(r"(?m)^ +(pip install .*)$", text)
    right = hashlib.sha256(wheel_file.read_bytes()).hexdigest()
    url = f"{wheel_file.as_uri()}#sha256={right if digest == 'right' else digest}" if digest else ""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MESH_SYNC": url,
        **{"PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1", "PIP_NO_COMPILE": "1", "PIP_TARGET": str(tmp_path / "installed")},
    }
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)
    assert said in result.stderr
    assert (result.returncode == 0, (tmp_path / "installed/mesh_sync").is_dir()) == (installed, installed), result
