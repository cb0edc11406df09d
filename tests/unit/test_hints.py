"""What a message tells a person to type can be pasted where the person is; and no option is passed over in silence."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from command import mesh_sync
from mesh_sync.system.shell_words import quote
from mesh_sync.wireguard import keys
from mesh_sync.workspace.typed import in_copy


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A mesh with one peer, in a directory whose name a shell would split."""
    made = tmp_path / "my mesh"
    mesh_sync("init", made, "--name", "lab").fine()
    key = keys.public_key(keys.generate())
    mesh_sync("peer", "add", "aws", "--public-key", key, "--endpoint", "a:1", "-C", made, "--commit").fine()
    return made


def pasted(said: str) -> int:
    """The exit code of the command that a line of it ends with."""
    [command] = [
        line[start:].split("`")[0]
        for line in said.splitlines()
        if (start := max(line.find("mesh-sync "), line.find("git -C"))) >= 0 and not line.startswith("mesh-sync: ")
    ]
    program, *words = shlex.split(command.partition(" says ")[0])
    return mesh_sync(*words).code if program == "mesh-sync" else subprocess.run([program, *words]).returncode


def test_a_command_is_for_the_working_copy_that_it_is_about() -> None:
    assert in_copy(Path(), "git push") == "git push"
    assert in_copy(Path("a b"), "git push origin main") == "git -C 'a b' push origin main"
    assert in_copy(Path("a b"), "mesh-sync peer list") == "mesh-sync peer list -C 'a b'"
    assert in_copy(Path("a b"), "mesh-sync check", "") == "mesh-sync check 'a b'"


def test_a_plan_of_the_first_commit_says_what_can_be_planned(place: Path) -> None:
    first = subprocess.run(
        ["git", "-C", place, "rev-list", "--max-parents=0", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    subprocess.run(["git", "-C", place, "checkout", "-q", first], check=True)
    ended = mesh_sync("plan", "-C", place)
    assert ended.code == 2
    assert pasted(ended.err) == 0
    assert pasted(mesh_sync("plan", "HEAD~99", "-C", place).err) == 0


def test_commands_of_hints_work_where_the_person_is(place: Path, tmp_path: Path) -> None:
    assert pasted(mesh_sync("log", "azure", "-C", place).err) == 0
    assert pasted(mesh_sync("peer", "set", "aws", "--mtu", 1400, "-C", place).fine()) == 0
    subprocess.run(["git", "-C", place, "commit", "-qam", "x"], check=True)
    bare = tmp_path / "host.git"
    subprocess.run(["git", "init", "-q", "--bare", bare], check=True)
    assert (
        f"git -C '{place}' push --set-upstream"
        in mesh_sync("peer", "set", "aws", "--mtu", 1300, "-C", place, "--push", "--yes").err
    )
    subprocess.run(["git", "-C", place, "remote", "add", "origin", bare], check=True)
    assert pasted(mesh_sync("peer", "set", "aws", "--mtu", 1300, "-C", place, "--push", "--yes").err) == 0
    assert pasted(mesh_sync("peer", "set", "aws", "--mtu", 1300, "-C", place, "--commit").fine()) == 0


def test_a_name_that_is_no_text_can_be_worked_in_and_pasted(tmp_path: Path) -> None:
    made = tmp_path / os.fsdecode(b"caf\xe9 'x'")
    mesh_sync("init", made, "--name", "lab").fine()
    key = keys.public_key(keys.generate())
    said = mesh_sync("peer", "add", "aws", "--public-key", key, "--endpoint", "a:1", "-C", made, "--commit").fine()
    told = said.partition("next: ")[2].strip()
    assert told == f"git -C $'{tmp_path}/caf\\xe9 \\x27x\\x27' push"
    bash = ["bash", "-c", told.replace(" push", " log -1 --format=%s")]
    assert subprocess.run(bash, check=True, capture_output=True, text=True).stdout == "aws: joins the mesh\n"
    assert quote("a\nb") == "$'a\\x0ab'"
    assert quote("café x") == "'café x'"


def test_a_removal_that_a_person_commits_is_told_with_the_trailer_that_it_needs(place: Path) -> None:
    said = mesh_sync("peer", "remove", "aws", "-C", place).fine()
    assert "\n  Mesh-Allow: remove aws\n  Mesh-Allow: empty-list\n" in said
    subprocess.run(["git", "-C", place, "checkout", "-q", "peers"], check=True)
    assert "Mesh-Allow" not in mesh_sync("peer", "remove", "aws", "-C", place, "--commit").fine()


def test_where_a_private_key_was_put_is_said(place: Path, tmp_path: Path) -> None:
    file = tmp_path / "phone.key"
    said = mesh_sync("peer", "add", "phone", "--new-key", file, "--unmanaged", "--via", "aws", "-C", place).fine()
    assert f"its private key is in {file}" in said
    missing = mesh_sync("export", "phone", "-C", place, "--private-key-file", tmp_path / "none")
    assert "peer add N --new-key FILE" in missing.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("init", "new", "--name", ""), "there can be no such mesh: name"),
        (("init", "new", "--network", "10.0.0.1/24"), "10.0.0.1/24 has host bits set; the network is 10.0.0.0/24"),
        (("import", "wg-quick", "a.conf", "new", "--push", "--yes"), "without --push; then: git -C new push URL main"),
    ],
)
def test_what_would_be_passed_over_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.conf").write_text(f"[Interface]\nPrivateKey = {keys.generate()}\nAddress = 10.0.0.1/24\n")
    done = mesh_sync(*words)
    assert (done.code, said in done.err) == (2, True), done.err
    assert not Path("new").exists()


def test_a_mesh_without_signers_says_how_nodes_join_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "host.git"], check=True)
    said = mesh_sync("init", tmp_path / "m", "--remote", tmp_path / "host.git", "--push").fine()
    assert f"mesh-sync join {tmp_path}/host.git --name NODE --trust none" in said


def test_what_cannot_be_written_or_read_is_what_was_typed_and_no_interface(place: Path, tmp_path: Path) -> None:
    for words in (
        ("render", place, "--node", "aws"), ("graph", place), ("export", "aws", "-C", place),
    ):  # fmt: skip
        suffix = "svg" if words[0] == "graph" else "conf"
        done = mesh_sync(*words, "-o", f"/proc/none/x.{suffix}")
        assert (done.code, "cannot be written: there is no directory /proc/none\n" in done.err) == (2, True), done.err
    done = mesh_sync("status", "--config", tmp_path)
    assert (done.code, "Is a directory" in done.err, "run it as root" in done.err) == (2, True, False), done.err


def test_a_file_of_a_command_goes_into_a_directory_that_is_there(place: Path, tmp_path: Path) -> None:
    missing = tmp_path / "a slip"
    for words in (
        ("peer", "add", "phone", "--unmanaged", "--via", "aws", "--new-key", missing / "phone.key", "-C", place),
        ("secret", "new", "--secret-file", missing / "secret", "-C", place),
        ("render", place, "--node", "aws", "-o", missing / "aws.conf"),
    ):
        done = mesh_sync(*words)
        assert (done.code, f"mkdir -p '{missing}'" in done.err) == (2, True), done.err
    assert not missing.exists()
    mesh_sync("render", place, "--all", "-o", missing / "all").fine()
    assert (missing / "all/aws.conf").is_file(), "-o OUT of --all names the directory"


def test_a_working_copy_that_cannot_be_written_is_about_no_interface(place: Path) -> None:
    (place / "peers/.aws.toml.new/x").mkdir(parents=True)  # in the way also of root
    for flag in ((), ("--commit",)):
        done = mesh_sync("peer", "set", "aws", "--mtu", 1400, "-C", place, *flag)
        assert (done.code, "aws.toml cannot be written: Is a directory" in done.err) == (2, True), done.err

    done = mesh_sync("render", place, "--node", "aws", "-o", f"/{'x' * 300}/aws.conf")
    assert (done.code, "aws.conf: File name too long" in done.err) == (2, True), done.err


def test_a_removal_that_was_not_committed_is_committed_by_the_same_command(place: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "ssh"], check=True)
    mesh_sync("signer", "add", "you@example.org", tmp_path / "ssh.pub", "-C", place).fine()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "node"], check=True)
    mesh_sync("signer", "add", "aws@node.lab", tmp_path / "node.pub", "-C", place).fine()
    for words in (["add", "allowed_signers"], ["commit", "-qm", "signers"]):
        subprocess.run(["git", "-C", place, *words], check=True)
    mesh_sync("peer", "remove", "aws", "-C", place).fine()
    assert "committed" in mesh_sync("peer", "remove", "aws", "-C", place, "--commit").fine()
    said = subprocess.run(["git", "-C", place, "status", "--porcelain"], check=True, capture_output=True, text=True)
    assert not said.stdout
    assert "aws@node.lab" not in (place / "allowed_signers").read_text()
    again = mesh_sync("peer", "remove", "aws", "-C", place, "--commit")
    assert (again.code, "there is no peers/aws.toml" in again.err) == (2, True)
