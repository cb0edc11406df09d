"""Who is let in to a mesh repository by ssh: the lines of authorized_keys, and what is behind them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from attrs import evolve

from command import mesh_sync
from mesh_sync.errors import ConfigError
from mesh_sync.hosting import ledger, machine, make
from mesh_sync.hosting.authorized_keys import Access, lines, places, replaced
from mesh_sync.hosting.ledger import Invited
from mesh_sync.invitation import token
from mesh_sync.invitation.answer import Request

PLACE = Path("/srv/home.git")
OWNER, NODE, GUEST = (token.public_half(token.new_token()) for _ in range(3))
INVITED = Invited(name="home", token_key=GUEST, until=time.time() + 3600)
ACCESS = Access("/usr/bin/mesh-sync", PLACE, (OWNER,), (OWNER, NODE), (INVITED,))


def test_no_key_leads_to_a_shell_and_each_has_one_line() -> None:
    found = list(lines(ACCESS))
    assert [line.rpartition(" ssh-ed25519 ")[2] for line in found] == [key.split()[1] for key in (OWNER, NODE, GUEST)]
    assert all(line.startswith('restrict,command="/usr/bin/mesh-sync host-session /srv/home.git ') for line in found)
    assert 'invited home",expiry-time="' in found[2]


def test_a_place_that_its_owner_could_not_get_to_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(ConfigError, match="is closed to other users") as refused:
        machine.raise_unless_open(tmp_path / "new/home.git")
    assert "/srv/home.git" in refused.value.hint
    machine.raise_unless_open(Path("/srv/new/home.git"))


@pytest.mark.parametrize("name", ["a b", "-oProxyCommand=x", "aws.com:ssh", "a\nb"])
def test_a_name_that_is_no_host_is_refused(name: str) -> None:
    done = mesh_sync("host", "/srv/home.git", "--name", name, "--key", OWNER, "--user", "root")  # root: never made
    assert (done.code, "is not HOST or HOST:PORT" in done.err) == (2, True), done.err


def test_the_lines_of_others_and_of_another_repository_stay() -> None:
    other = "# mine\nssh-ed25519 AAAA me\n"
    text = replaced(other, PLACE, lines(ACCESS))
    text = replaced(text, Path("/srv/work.git"), ["work"])
    assert text.startswith(other)
    assert places(text) == ("/srv/home.git", "/srv/work.git")
    assert replaced(text, PLACE, lines(ACCESS)).count("host-session") == 3
    assert replaced(replaced(text, PLACE, []), Path("/srv/work.git"), []) == other


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "home.git"


def test_an_invitation_is_kept_until_nothing_can_come_of_it(place: Path) -> None:
    ledger.save(place, INVITED)
    day = 86400
    assert ledger.current(place, INVITED.until + day / 2) == (INVITED,)
    used = evolve(INVITED, request=Request(public_key="a", signing_key="b", signature="c"))
    assert used.kept_until > INVITED.kept_until, "a machine that waits asks on"
    assert ledger.current(place, INVITED.until + 2 * day) == ()
    assert ledger.load(place, "home") is None


def test_there_is_no_end_of_invitations_but_this(place: Path) -> None:
    for number in range(ledger.MOST):
        ledger.save(place, evolve(INVITED, name=f"n{number}"))
    with pytest.raises(ConfigError):
        ledger.save(place, evolve(INVITED, name="one-more"))
    ledger.save(place, evolve(INVITED, name="n1", until=5))


@pytest.mark.parametrize("name", ["../x", "a/b", "", "A"])
def test_a_name_that_is_a_path_is_none(place: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not a peer name"):
        ledger.load(place, name)


@pytest.mark.parametrize("path", ["srv/x", '/srv/"x', "/srv/a b", "/srv/../etc", "/srv/x\n", "/srv/$(id)", "/"])
def test_a_path_that_would_have_to_be_quoted_is_refused(path: str) -> None:
    with pytest.raises(ConfigError):
        make.raise_unless_plain(Path(path))
