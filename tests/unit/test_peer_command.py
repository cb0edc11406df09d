"""`mesh-sync peer`: files are edited as a careful person would, and only into a list that passes the check."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import click
import pytest

from command import mesh_sync
from mesh_sync.terminal.command_line import print_table
from mesh_sync.wireguard import keys
from unit.list_keeper import Operator, key


def test_a_new_peer_gets_the_lowest_free_address_of_each_network(operator: Operator) -> None:
    assert "10.0.0.2, fd00::2" in operator.add("azure", "--endpoint", "203.0.113.2:51820").fine()
    operator.add("gcp").fine()
    assert 'addresses = ["10.0.0.2", "fd00::2"]\nendpoint = "203.0.113.2:51820"\n' in operator.file("azure")
    assert 'addresses = ["10.0.0.3", "fd00::3"]\n' in operator.file("gcp")


def test_every_key_of_a_peer_has_its_option(operator: Operator) -> None:
    words = (
        "--next-public-key", key(), "--address", "10.0.0.9", "--endpoint", "a.example:1", "--endpoint", "b.example:2",
        "--subnet", "192.168.20.0/24", "--subnet", "192.168.21.0/24", "--nat-subnet", "10.1.20.0/24",
        "--nat-subnet", "10.1.21.0/24", "--via", "aws", "--listen-port", 1, "--mtu", 1300,
        "--keepalive", 0, "--disabled", "--unmanaged", "--tag", "x", "--tag", "y", "--description", 'so "called"',
        "--exit", "none", "--priority", 7, "--owner", "alice", "--expires", "2030-12-31", "--no-relay",
        "--dns", "10.0.0.1", "--dns", "home.example", "--export-route", "10.0.0.0/24",
    )  # fmt: skip
    operator.add("all", *words).fine()
    shown = json.loads(operator.peer("show", "all", "--json").fine())
    assert shown["endpoint"] == ["a.example:1", "b.example:2"]
    assert shown["subnets"] == ["192.168.20.0/24", "192.168.21.0/24"]
    assert shown["nat_subnet"] == ["10.1.20.0/24", "10.1.21.0/24"]
    assert (shown["exit"], shown["priority"]) == ("none", 7)
    assert (shown["dns"], shown["export_routes"]) == (["10.0.0.1", "home.example"], ["10.0.0.0/24"])
    assert shown["relay"] is False
    assert (shown["via"], shown["listen_port"], shown["mtu"], shown["persistent_keepalive"]) == ("aws", 1, 1300, 0)
    assert (shown["enabled"], shown["managed"], shown["tags"]) == (False, False, ["x", "y"])
    assert (shown["description"], shown["owner"], shown["expires"]) == ('so "called"', "alice", "2030-12-31")


def test_a_change_keeps_comments_and_layout(operator: Operator) -> None:
    words = ("--address", "10.0.0.1", "--address", "fd00::7", "--endpoint", "new.example.org:51820", "--mtu", 1400)
    operator.peer("set", "aws", *words).fine()
    expected = operator.aws.replace("fd00::1", "fd00::7").replace("aws.example.org", "new.example.org") + "mtu = 1400\n"
    assert operator.file("aws") == expected


def test_a_key_can_be_taken_out(operator: Operator) -> None:
    operator.peer("set", "aws", "--unset", "endpoint", "--unset", "subnets").fine()
    assert operator.file("aws").startswith("# The cloud side.\n")
    assert "endpoint =" not in operator.file("aws")
    assert "subnets =" not in operator.file("aws")


def test_an_unknown_key_is_not_taken_out(operator: Operator) -> None:
    ended = operator.peer("set", "aws", "--unset", "endpoints")
    assert ended.code == 2
    assert "'endpoints'" in ended.err


@pytest.mark.parametrize(
    ("words", "finding"),
    [
        (("--endpoint", "nowhere"), "peers/bad.toml:endpoint: 'nowhere' has no port"),
        (("--mtu", "3"), "peers/bad.toml:mtu: 3 is not an MTU"),
        (("--via", "nobody"), "peers/bad.toml:via: there is no peer 'nobody'"),
        (("--subnet", "192.168.10.128/25"), "peers/bad.toml:subnets[0]: 192.168.10.128/25 overlaps aws's"),
        (("--address", "10.0.0.1"), "is also an address of"),
    ],
)
def test_nothing_is_written_that_the_check_would_refuse(
    operator: Operator, words: tuple[str, ...], finding: str
) -> None:
    ended = operator.add("bad", *words)
    assert ended.code == 1
    assert "nothing was written" in ended.err
    assert finding in ended.err
    assert not operator.has("bad")


def test_a_relay_with_peers_behind_it_is_not_removed(operator: Operator) -> None:
    operator.add("phone", "--via", "aws").fine()
    ended = operator.peer("remove", "aws")
    assert ended.code == 1
    assert "peers/phone.toml:via: there is no peer 'aws'" in ended.err
    assert operator.has("aws")
    operator.peer("remove", "phone").fine()
    operator.peer("remove", "aws").fine()
    assert not operator.has("aws")


def test_errors_from_before_do_not_keep_a_person_from_mending_them_one_by_one(operator: Operator) -> None:
    operator.put("azure", f'public_key = "{key()}"\naddresses = ["10.0.0.2"]\nmtu = 3\nlisten_port = 0\n')
    ended = operator.peer("set", "azure", "--mtu", "1400", "--commit")
    assert ended.code == 1
    assert "the list as it would be committed has errors:\npeers/azure.toml:listen_port" in ended.err
    assert "mtu = 3" in operator.file("azure")
    ended = operator.peer("set", "azure", "--mtu", "1400")
    assert ended.code == 1
    assert "the list still has 1 error from before" in ended.err
    assert "mtu = 1400" in operator.file("azure")
    operator.peer("set", "azure", "--listen-port", 51820, "--commit").fine()


def test_a_broken_file_is_not_edited_but_can_be_removed(operator: Operator) -> None:
    operator.put("azure", "public_key =")
    assert operator.peer("set", "azure", "--mtu", 1400).code == 1
    assert operator.file("azure") == "public_key ="
    operator.peer("remove", "azure").fine()
    assert not operator.has("azure")


@pytest.mark.parametrize("name", ["../aws", "A", "-x", "a/b", "", "a" * 64])
def test_a_name_never_leaves_the_peers_directory(operator: Operator, name: str) -> None:
    ended = mesh_sync("peer", "add", "-C", operator.place, "--public-key", key(), "--", name)
    assert ended.code == 2
    assert "is not a peer name" in ended.err


def test_what_is_there_is_not_added_and_what_is_not_there_is_not_changed(operator: Operator) -> None:
    assert "exists already" in operator.add("aws").err
    ended = operator.peer("set", "azure", "--mtu", 1400)
    assert ended.code == 2
    assert "the mesh has: aws" in ended.err


def test_commit_takes_that_file_only_and_leaves_the_rest_staged(operator: Operator) -> None:
    operator.put("other", f'public_key = "{key()}"\naddresses = ["10.0.0.77"]\n')
    operator.git.git.add("peers/other.toml")
    assert f"next: git -C {operator.place} push" in operator.add("azure", "--commit").fine()
    head = operator.git.head.commit
    assert head.message == "azure: joins the mesh\n"
    assert list(head.stats.files) == ["peers/azure.toml"]
    assert operator.git.git.diff("--cached", "--name-only") == "peers/other.toml"
    operator.peer("set", "azure", "--mtu", 1400, "--unset", "endpoint", "--unset", "via", "--commit").fine()
    assert operator.git.head.commit.message == "azure: sets mtu, removes endpoint and via\n"
    operator.peer("remove", "azure", "--commit").fine()
    assert operator.git.head.commit.message.startswith("azure: leaves the mesh\n\nMesh-Allow: remove azure\n")
    assert not operator.has("azure")


def test_a_commit_is_made_by_git_with_the_persons_settings(operator: Operator) -> None:
    with operator.git.config_writer() as settings:
        settings.set_value("user", "name", "Alice").set_value("user", "email", "alice@example.org")
        settings.set_value("commit", "gpgSign", "true").set_value("gpg", "program", "/nonexistent/gpg")
    ended = operator.add("azure", "--commit")
    assert ended.code == 1
    assert "git refused the commit" in ended.err
    assert not operator.has("azure")
    assert operator.git.head.commit.message == "begin\n"


def test_where_nothing_can_be_committed_nothing_is_written(operator: Operator, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    (bare / "peers").mkdir(parents=True)
    (bare / "mesh.toml").write_text((operator.place / "mesh.toml").read_text())
    ended = mesh_sync("peer", "add", "x", "--public-key", key(), "--commit", "-C", bare)
    assert ended.code == 2
    assert list((bare / "peers").iterdir()) == []


def test_saying_what_the_file_says_already_writes_nothing(operator: Operator) -> None:
    assert "says so already" in operator.peer("set", "aws", "--subnet", "192.168.10.0/24").fine()
    assert operator.file("aws") == operator.aws


def test_a_new_key_is_made_outside_the_repository_and_kept(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "phone.key"
    operator.peer("add", "phone", "--new-key", file, "--unmanaged", "--via", "aws").fine()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    private = file.read_text().strip()
    assert f'public_key = "{keys.public_key(private)}"' in operator.file("phone")
    ended = operator.peer("add", "other", "--new-key", operator.place / "other.key")
    assert ended.code == 2
    assert not (operator.place / "other.key").exists()


def test_a_key_is_not_made_for_a_peer_that_is_refused(operator: Operator, tmp_path: Path) -> None:
    assert operator.peer("add", "phone", "--new-key", tmp_path / "phone.key", "--via", "nobody").code == 1
    assert not (tmp_path / "phone.key").exists()


def test_either_kind_of_key_must_be_said(operator: Operator) -> None:
    assert operator.peer("add", "phone").code == 2


def test_the_list_is_separated_by_tabs_when_nobody_looks(operator: Operator) -> None:
    operator.add("phone", "--unmanaged", "--via", "aws").fine()
    operator.add("old", "--disabled").fine()
    operator.add("late", "--expires", "2020-01-01").fine()
    lines = [line.split("\t") for line in operator.peer("list").fine().splitlines()]
    assert lines[0] == ["peer", "addresses", "endpoint", "subnets", "via", "state"]
    assert lines[1] == ["aws", "10.0.0.1, fd00::1", "aws.example.org:51820", "192.168.10.0/24", "-", "in the mesh"]
    assert {line[0]: line[-1] for line in lines[2:]} == {"late": "expired", "old": "disabled", "phone": "unmanaged"}


def test_the_list_is_a_table_on_a_terminal(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    print_table([("peer", "endpoint"), ("aws", "[2001:db8::1]:51820"), ("azure", "[red]x")])
    shown = capsys.readouterr().out
    assert "\t" not in shown
    assert "[2001:db8::1]:51820" in shown
    assert "[red]x" in shown


def test_a_narrow_terminal_cuts_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    endpoint = "vpn.a-rather-long-name.example.org:51820"
    print_table([("peer", "endpoint", "state"), ("aws", endpoint, "in the mesh")])
    lines = click.unstyle(capsys.readouterr().out).splitlines()
    assert all(len(line) <= 40 for line in lines)
    column = lines[0].index("endpoint")
    assert "".join(line[column : lines[0].index("state")].strip() for line in lines[1:]) == endpoint


def test_a_terminal_too_narrow_for_a_table_has_a_list_for_each_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    head = ("node", "commit", "last run", "peers", "signature", "version")
    print_table([head, ("a", "4d114d1616", "applied, 23 s ago", "2/0/2", "signed", "0.1.0")])
    assert capsys.readouterr().out.splitlines() == [
        "a",
        "  commit     4d114d1616",
        "  last run   applied, 23 s ago",
        "  peers      2/0/2",
        "  signature  signed",
        "  version    0.1.0",
    ]


def test_the_list_is_one_object_as_json_and_says_when_it_is_not_whole(operator: Operator) -> None:
    operator.put("azure", "mtu = 3")
    ended = operator.peer("list", "--json")
    (peer,) = json.loads(ended.fine())["peers"]
    assert (peer["name"], peer["addresses"], peer["state"]) == ("aws", ["10.0.0.1", "fd00::1"], "in the mesh")
    assert "mesh-sync check" in ended.err


def test_show_fills_the_defaults_in_and_says_who_talks_to_whom(operator: Operator) -> None:
    operator.add("phone", "--unmanaged", "--via", "aws").fine()
    operator.add("azure", "--endpoint", "203.0.113.2:51820", "--owner", "\u200eAl").fine()
    shown = operator.peer("show", "azure").fine()
    assert "persistent keepalive: off (by default)" in shown
    assert "mtu:                  what the way to its peers allows (by default)" in shown
    assert "azure.mesh.internal" in shown
    assert "\u200e" not in shown
    assert "aws at aws.example.org:51820: 10.0.0.1/32, fd00::1/128, 192.168.10.0/24, 10.0.0.2/32, fd00::2/128" in shown
    phone = json.loads(operator.peer("show", "phone", "--json").fine())
    assert [other["name"] for other in phone["talks_to"]] == ["aws"]
    assert phone["effective"]["persistent_keepalive"] == 25


def test_show_of_a_broken_peer_says_what_is_wrong(operator: Operator) -> None:
    operator.put("azure", "mtu = 3")
    assert "peers/azure.toml:mtu: 3 is not an MTU" in operator.peer("show", "azure").err
    assert "there is no peer 'gcp'" in operator.peer("show", "gcp").err


def test_files_can_be_read_by_colleagues(operator: Operator) -> None:
    operator.add("azure").fine()
    assert stat.S_IMODE((operator.place / "peers/azure.toml").stat().st_mode) == 0o644
