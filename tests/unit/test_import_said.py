"""`mesh-sync import`: what is not taken over is said, and nothing is guessed silently."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from command import Ended, mesh_sync
from mesh_sync.wireguard import keys
from unit.imported import DATA, notes, peers

ME, HUB, OTHER = (keys.generate() for _ in range(3))
INTERFACE = f"[Interface]\nPrivateKey = {ME}\nAddress = 10.1.0.1/24\n"
HUB_PEER = f"[Peer]\n# hub\nPublicKey = {keys.public_key(HUB)}\nAllowedIPs = 10.1.0.2/32\n"
OTHER_PEER = f"[Peer]\n# other\nPublicKey = {keys.public_key(OTHER)}\nAllowedIPs = 10.1.0.3/32\n"


@pytest.fixture
def mesh(tmp_path: Path) -> Path:
    return tmp_path / "mesh"


def imported(mesh: Path, text: str | bytes, *options: str) -> Ended:
    file = mesh.parent / "me.conf"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return mesh_sync("import", "wg-quick", file, mesh, *options)


def test_settings_of_amneziawg_are_named(mesh: Path) -> None:
    awg = "Jc = 4\nJmin = 40\nJmax = 70\nS1 = 0\nS2 = 0\nH1 = 1-5\nI1 = <b 0xf6>\nDomain = x\n"
    said = notes(imported(mesh, INTERFACE + awg + HUB_PEER + "Address = 10.1.0.9/32\n"))
    why = "settings of AmneziaWG, and plain WireGuard does not reach a peer that needs them"
    assert f"me.conf: Jc, Jmin, Jmax, S1, S2, H1, I1: left out, {why}" in said
    assert "me.conf: Domain, Address: left out, not among the settings of wg-quick in that section" in said


def test_an_unknown_section_does_not_pour_into_the_peer_before(mesh: Path) -> None:
    second = OTHER_PEER.replace("[Peer]", "[Peer 2]").replace("10.1.0.3/32", "10.1.0.3/32, 192.168.5.0/24")
    said = notes(imported(mesh, INTERFACE + HUB_PEER + second))
    assert set(peers(mesh)) == {"me", "hub"}
    assert peers(mesh)["hub"] == {"public_key": keys.public_key(HUB), "addresses": ["10.1.0.2"]}
    assert "me.conf: line 8: [Peer 2] is no section of wg-quick: left out, with all that it holds" in said


def test_spaces_in_a_header_mean_nothing_as_for_wg(mesh: Path) -> None:
    imported(mesh, INTERFACE + HUB_PEER + OTHER_PEER.replace("[Peer]", "[ Peer ]")).fine()
    assert set(peers(mesh)) == {"me", "hub", "other"}


@pytest.mark.parametrize(
    ("source", "path"),
    [("wg-quick", DATA / "hub"), ("wg-quick", DATA / "full-mesh"), ("wg-gen-web", DATA / "web")],
    ids=lambda value: getattr(value, "name", value),
)
def test_what_preshared_keys_mean_for_clients_is_said_once(source: str, path: Path, mesh: Path) -> None:
    said = [note for note in notes(mesh_sync("import", source, path, mesh)) if "secret new" in note]
    assert len(said) == 1
    assert "must be exported again" in said[0]


def test_clients_that_a_preshared_key_cuts_off_are_named_with_the_command_for_each(mesh: Path, tmp_path: Path) -> None:
    keys_dir = tmp_path / "a b"
    ended = mesh_sync("import", "wg-gen-web", DATA / "web", mesh, "--keys", keys_dir)
    assert "no tunnel from when their hub runs mesh-sync" in ended.fine()
    commands = [shlex.split(line) for line in ended.out.splitlines() if line.startswith("  mesh-sync export ")]
    assert [words[2] for words in commands] == ["alice-s-phone", "bob"], "the tablet is disabled"
    assert "Endpoint = vpn.example.com" in mesh_sync(*commands[0][1:]).fine()
    assert "mesh-sync export alice-phone" in mesh_sync(
        "import", "wg-quick", DATA / "hub", tmp_path / "other", "--dry-run"
    ).fine()  # fmt: skip


@pytest.mark.parametrize(
    ("command", "interface"),
    [
        ("iptables -I FORWARD -o wg0 -j ACCEPT; iptables -t nat -A POSTROUTING -s 10.1.0.0/24 -o ens3 -j MASQUERADE",
         "ens3"),
        ("nft add rule ip nat post oifname \"enp1s0.4\" masquerade", "enp1s0.4"),
        ("true\nPostUp = iptables -t nat -A POSTROUTING -o eth1 -j MASQUERADE\nPostUp = true", "eth1"),
        ("iptables -t nat -A POSTROUTING ! -o wg0 -j MASQUERADE", "IF"),
    ],
)  # fmt: skip
def test_masquerading_that_has_to_be_said_on_the_machine_is_named(mesh: Path, command: str, interface: str) -> None:
    said = notes(imported(mesh, f"{INTERFACE}PostUp = {command}\n{HUB_PEER}"))
    [one] = [note for note in said if "masquerades on" in note]
    assert one.startswith(f"me: its PostUp masquerades on {interface}: `mesh-sync join … --masquerade {interface}` on")


def test_a_command_that_only_forwards_needs_nothing(mesh: Path) -> None:
    said = notes(imported(mesh, f"{INTERFACE}PostUp = iptables -A FORWARD -o eth0 -j ACCEPT\n{HUB_PEER}"))
    assert not [note for note in said if "masquerades" in note]


def test_so_it_is_of_a_column_of_preshared_keys(mesh: Path) -> None:
    """Later versions of wg-meshconf have one more column."""
    file = mesh.parent / "database.csv"
    row = f'"a","10.1.0.1/24","{ME}","a:b:{HUB}","x"\n'
    file.write_text(f'"Name","Address","PrivateKey","PresharedKeys","Color"\n{row}')
    said = "\n".join(notes(mesh_sync("import", "wg-meshconf", file, mesh)))
    assert "the column Color is not imported" in said
    assert "the column PresharedKeys is not imported" in said
    assert "secret new" in said
    assert HUB not in said


@pytest.mark.parametrize("where", ["bücher.example:51820", "hub.example:51820-51830", "hub.example"])
def test_an_endpoint_to_mend_is_kept_as_a_comment_and_changes_no_topology(where: str, mesh: Path) -> None:
    """Without an endpoint, `other` would have become a spoke of the hub."""
    for name, key, far, at in (("hub", HUB, "10.1.0.1", ""), ("me", ME, "10.1.0.2", "192.0.2.1:51820")):
        other = OTHER_PEER + (f"Endpoint = {where}\n" if name == "hub" else "")
        public = keys.public_key(ME if name == "hub" else HUB)
        peer = f"[Peer]\nPublicKey = {public}\nAllowedIPs = {far}/32\n" + (f"Endpoint = {at}\n" if at else "")
        text = f"[Interface]\nPrivateKey = {key}\nAddress = {'10.1.0.2' if name == 'hub' else '10.1.0.1'}/24\n{peer}"
        (mesh.parent / f"{name}.conf").write_text(text + (other if name == "hub" else ""))
    subprocess.run(["git", "init", "-q", mesh.parent], check=True)
    ended = mesh_sync("import", "wg-quick", mesh.parent, mesh, "--commit")
    assert ended.code == 1
    assert "error: peers/other.toml: endpoint '" in ended.err
    assert "next: mend" in ended.out
    assert "committed" not in ended.out
    assert f"# endpoint = '{where}'  # to mend: " in (mesh / "peers/other.toml").read_text()
    assert set(peers(mesh)["other"]) == {"public_key", "addresses"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1", "latin-1 after a mark of UTF-8"])
def test_a_file_in_another_encoding_is_read(encoding: str, mesh: Path) -> None:
    text = INTERFACE + HUB_PEER + OTHER_PEER.replace("# other", "# Büro")
    mark = b"\xef\xbb\xbf" if "mark" in encoding else b""
    ended = imported(mesh, mark + text.encode(encoding.partition(" ")[0]))
    assert not any("is not a setting" in note for note in notes(ended))
    assert {peer["public_key"] for peer in peers(mesh).values()} == {keys.public_key(one) for one in (ME, HUB, OTHER)}
    assert any("was called 'Büro'" in note for note in notes(ended))
    assert ("me.conf: is not UTF-8, and is read as Latin-1" in notes(ended)) == encoding.startswith("latin-1")


def test_so_is_json_and_csv(mesh: Path, tmp_path: Path) -> None:
    web = tmp_path / "web"
    shutil.copytree(DATA / "web", web)
    server = web / "server.json"
    server.write_bytes(json.dumps(json.loads(server.read_text())).encode("utf-8-sig"))
    mesh_sync("import", "wg-gen-web", web, mesh).fine()
    (tmp_path / "database.csv").write_bytes((DATA / "wg-meshconf.csv").read_text().encode("utf-8-sig"))
    mesh_sync("import", "wg-meshconf", tmp_path / "database.csv", tmp_path / "other").fine()
    assert set(peers(tmp_path / "other")) == {"aws", "home-nas", "laptop", "tokyo"}


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\0\0\xff", b"\xff\xfe\0"])
def test_what_is_no_text_is_a_sentence(data: bytes, mesh: Path) -> None:
    ended = imported(mesh, data)
    assert ended.code == 2
    assert "me.conf is not a text file" in ended.err
