"""A change by the page: edits are collected, the plan says what they do, the operator's own git signs and pushes."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pytest
from attrs import define

from lab.waiting import until
from mesh_sync.wireguard import keys
from unit.list_keeper import Operator, key
from unit.web_page import AS_A_USER, Answer, Running, given_away, place, read, serving

FREE = count(20)
PRIVATE = re.compile(r"PrivateKey = (\S{44})")


@define
class Desk:
    """An operator with a signed mesh, a git host, and the page."""

    folder: Path
    page: Running
    who: Sequence[str] = AS_A_USER

    @property
    def mesh(self) -> Path:
        return self.folder / "mesh"

    def git(self, *words: str, at: str = "mesh") -> str:
        env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(self.folder)}
        program = [*self.who, "git", "-C", str(self.folder / at), *words]
        return subprocess.run(program, env=env, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    def form(self, path: str, number: int = 0) -> dict[str, str]:
        """The hidden fields of a form of a page."""
        text = self.page.ask(path).text
        part = re.findall(r"<form method=\"post\".*?</form>", text, re.DOTALL)[number]
        inputs = [each for tag, each in read(part).elements if tag == "input" and each.get("type") == "hidden"]
        return {str(each["name"]): str(each["value"]) for each in inputs}

    def toml(self, name: str, text: str) -> Answer:
        return self.page.ask(f"/peer/{name}/edit?toml", self.form(f"/peer/{name}/edit?toml") | {"text": text})

    def add(self, name: str, **more: str) -> Answer:
        said = {
            "name": name,
            "public_key": key(),
            "enabled": "1",
            "managed": "1",
            "addresses": f"10.0.0.{next(FREE)}",
        }
        return self.page.ask("/new", said | {"via": "aws"} | more)

    def push(self, **more: object) -> str:
        """Sign and push the plan as it is; what the page shows in the end."""
        mark = self.page.ask("/plan").text.partition('name="mark" value="')[2][:64]
        self.page.follow(self.page.ask("/push", {"mark": mark} | more))
        shown = ""

        def is_over() -> bool:
            nonlocal shown
            answer = self.page.ask("/quiet/pushing")
            shown = answer.shown
            return "hx-get" not in answer.text

        until(is_over, 120)
        return shown

    def drop(self) -> None:
        self.page.ask("/plan/drop", {"path": ""})

    @property
    def published(self) -> str:
        return self.git("log", "-1", "--format=%s", "main", at="host.git")


@pytest.fixture(scope="module")
def served() -> Iterator[Desk]:
    with place() as folder:
        operator = Operator(folder / "mesh")
        operator.add("azure", "--endpoint", "203.0.113.2:51820", "--commit").fine()
        signing = folder / "signing"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(signing)], check=True)
        words = signing.with_suffix(".pub").read_text().split()
        (operator.place / "allowed_signers").write_text(f"alice@example.org {words[0]} {words[1]}\n")
        settings = {"gpg.format": "ssh", "user.signingKey": str(signing), "commit.gpgSign": "true"}
        for name, value in {**settings, "user.name": "Alice", "user.email": "alice@example.org"}.items():
            operator.git.git.config(name, value)
        operator.git.git.add("--all")
        operator.git.git.commit("--quiet", "-m", "signers")
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder / "host.git")], check=True)
        operator.git.git.remote("add", "origin", str(folder / "host.git"))
        operator.git.git.push("--quiet", "--set-upstream", "origin", "main")
        given_away(folder)
        with serving(folder / "mesh") as running:
            yield Desk(folder, running.enter())


@pytest.fixture
def desk(served: Desk) -> Desk:
    served.drop()
    return served


def test_edits_are_collected_planned_signed_and_pushed(desk: Desk) -> None:
    before = desk.git("rev-parse", "HEAD")
    plan = desk.page.follow(desk.add("camera", description="the <b>door</b>"))
    assert "Peers that join the mesh" in plan.shown
    assert "camera joins the mesh" in plan.shown
    desk.page.follow(desk.toml("azure", (desk.mesh / "peers/azure.toml").read_text() + "mtu = 1400\n"))
    plan = desk.page.ask("/plan")
    assert "2 files" in plan.shown
    assert "+mtu = 1400" in plan.shown
    assert "What was not looked at" in plan.shown
    assert desk.git("rev-parse", "HEAD") == before, "nothing is written before"
    assert not (desk.mesh / "peers/camera.toml").exists()
    assert "Pushed commit" in desk.push(subject="a camera,\r\n and azure")
    assert desk.published == "a camera, and azure"
    assert desk.git("rev-parse", "HEAD~1") == before
    assert "gpgsig" in desk.git("cat-file", "commit", "HEAD")
    assert 'description = "the <b>door</b>"' in (desk.mesh / "peers/camera.toml").read_text()
    assert not desk.git("status", "--porcelain")
    assert "There are no edits" in desk.page.ask("/plan").shown


def test_what_check_would_refuse_is_said_in_the_form_and_changes_nothing(desk: Desk) -> None:
    answer = desk.toml("azure", "public_key = 3\n")
    assert answer.status == 400
    assert "peers/azure.toml:public_key" in answer.shown
    assert "public_key = 3" in answer.text, "what was typed is still there"
    assert "There are no edits" in desk.page.ask("/plan").shown
    wrong = desk.add("twin", addresses="10.0.0.300")
    assert (wrong.status, "is not an IP address" in wrong.shown) == (400, True)
    assert desk.page.ask("/peer/../edit?toml", {"was": "", "text": ""}).status == 404
    assert desk.page.ask("/peer/%2e%2e%2fmesh/edit?toml", {"was": "", "text": ""}).status == 404


def test_a_form_sets_what_was_changed_and_keeps_the_rest(desk: Desk) -> None:
    text = (desk.mesh / "peers/aws.toml").read_text()
    page = read(desk.page.ask("/peer/aws/edit").text)
    said = {
        str(each["name"]): each.get("value") or "" for tag, each in page.elements if tag == "input" and "name" in each
    }
    said = {name: value for name, value in said.items() if name != "relay"}
    said |= {"addresses": "10.0.0.1\nfd00::1", "endpoint": "aws.example.org:51820", "subnets": "", "tags": "a, b"}
    desk.page.follow(desk.page.ask("/peer/aws/edit", said))
    shown = desk.page.ask("/plan").text
    assert "-subnets = [" in read(shown).texts.__str__()
    assert "+tags = [" in read(shown).texts.__str__()
    assert "public_key" not in "".join(line for line in read(shown).texts if line[:1] in "+-")
    assert "# An office of twelve." in desk.page.ask("/peer/aws").text, "comments stay"
    assert (desk.mesh / "peers/aws.toml").read_text() == text


def test_a_form_that_was_made_from_another_text_is_shown_again(desk: Desk) -> None:
    form = desk.form("/peer/azure/edit?toml")
    text = (desk.mesh / "peers/azure.toml").read_text()
    desk.page.follow(desk.page.ask("/peer/azure/edit?toml", form | {"text": text + 'owner = "anna"\n'}))
    late = desk.page.ask("/peer/azure/edit?toml", form | {"text": text + 'owner = "otto"\n'})
    assert late.status == 400
    assert "changed since this form was made" in late.shown


def test_a_plan_that_the_person_has_not_seen_is_not_pushed(desk: Desk) -> None:
    desk.add("unseen")
    form = desk.form("/plan", 1)
    desk.add("another")
    before = desk.published
    answer = desk.page.ask("/push", {"mark": form.get("mark", "")})
    assert answer.status == 409
    assert "another one than you saw" in answer.shown
    assert desk.published == before


def test_a_branch_that_moved_is_planned_again_and_says_what_changed(desk: Desk) -> None:
    other = desk.folder / "other"
    desk.git("clone", "--quiet", str(desk.folder / "host.git"), str(other), at="mesh")
    for name, value in (("user.name", "Otto"), ("user.email", "otto@example.org"), ("commit.gpgSign", "false")):
        desk.git("config", name, value, at="other")
    desk.add("printer")
    azure = desk.mesh / "peers/azure.toml"
    desk.toml("azure", azure.read_text() + 'owner = "anna"\n')
    file = other / "peers/azure.toml"
    file.write_text(file.read_text() + 'owner = "otto"\n')
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", str(desk.folder / "signing"))):
        desk.git("config", name, value, at="other")
    desk.git("commit", "--quiet", "--all", "-S", "-m", "azure: is otto's", at="other")
    desk.git("push", "--quiet", at="other")
    assert "The git host has newer commits" in desk.push()
    plan = desk.page.ask("/plan").shown
    assert "peers/azure.toml your edit of it is gone" in plan
    assert "printer joins the mesh" in plan
    assert desk.published == "azure: is otto's"
    assert 'owner = "otto"' in azure.read_text(), "the branch was brought forward"
    assert "Pushed commit" in desk.push()
    assert desk.published == "printer: joins the mesh"


def test_what_nodes_would_refuse_needs_the_persons_word(desk: Desk) -> None:
    desk.page.follow(desk.page.ask("/peer/azure/remove", {}))
    shown = desk.page.ask("/plan")
    assert "Mesh-Allow: remove azure" in shown.shown
    assert "tunnels end" in shown.shown or "one tunnel ends" in shown.shown
    said = desk.push(allow="remove azure")
    assert "Pushed commit" in said
    assert "Mesh-Allow: remove azure" in desk.git("log", "-1", "--format=%B")


def test_uncommitted_work_in_the_same_file_is_kept(desk: Desk) -> None:
    file = desk.mesh / "peers/aws.toml"
    before = file.read_text()
    desk.toml("aws", before + "mtu = 1400\n")
    file.write_text(before + 'owner = "half a thought"\n')
    try:
        assert "has changes in" in desk.push()
        assert "half a thought" in file.read_text()
    finally:
        file.write_text(before)


def test_a_host_that_is_gone_is_said_before_anything_is_committed(desk: Desk) -> None:
    before = desk.git("rev-parse", "HEAD")
    desk.add("late")
    (desk.folder / "host.git").rename(desk.folder / "gone.git")
    try:
        assert "origin could not be asked, nothing was committed" in desk.push()
    finally:
        (desk.folder / "gone.git").rename(desk.folder / "host.git")
    assert desk.git("rev-parse", "HEAD") == before


def test_the_key_of_a_phone_is_shown_once_and_is_in_no_file(desk: Desk) -> None:
    page = desk.page
    said = {"name": "phone", "enabled": "1", "make_key": "1", "via": "aws", "addresses": "10.0.0.66"}
    answer = page.follow(page.ask("/new", said))
    assert "shown once" in answer.shown
    assert not PRIVATE.search(answer.text)
    shown = page.ask("/peer/phone/export", {})
    private = PRIVATE.findall(shown.text)[0]
    assert "<svg" in shown.text
    assert keys.public_key(private) in page.ask("/peer/phone").text
    again = page.ask("/peer/phone/export", {})
    assert private not in again.text
    assert "PRIVATE_KEY_OF_THIS_NODE" in again.text
    assert "Pushed commit" in desk.push()
    content = b"".join(path.read_bytes() for path in desk.folder.rglob("*") if path.is_file())
    assert private.encode() not in content
    assert private not in desk.git("log", "-p", "--all")


def test_a_node_has_no_config_to_export(desk: Desk) -> None:
    assert desk.page.ask("/peer/aws/export").status == 404
    assert desk.page.ask("/peer/aws/key", {}).status == 404


def test_a_commit_is_taken_back_by_a_new_one(desk: Desk) -> None:
    text = (desk.mesh / "peers/aws.toml").read_text()
    desk.toml("aws", text + 'owner = "mistake"\n')
    desk.push()
    wrong = desk.git("rev-parse", "HEAD")
    shown = desk.page.ask("/history")
    assert "signed by alice@example.org" in shown.shown
    assert "mistake" in shown.shown
    plan = desk.page.follow(desk.page.ask("/history/take-back", {"commit": wrong}))
    assert '-owner = "mistake"' in plan.shown
    assert "Pushed commit" in desk.push()
    assert (desk.mesh / "peers/aws.toml").read_text() == text
    assert desk.git("rev-parse", "HEAD~1") == wrong
    late = desk.page.ask("/history/take-back", {"commit": wrong})
    assert (late.status, "has been changed since" in late.shown) == (409, True)
    for commit in ("HEAD", "--all", "0" * 40, desk.git("rev-list", "--max-parents=0", "HEAD")):
        assert desk.page.ask("/history/take-back", {"commit": commit}).status == 404


def test_signers_come_and_go_and_the_plan_warns(desk: Desk) -> None:
    kind, added = desk.folder.joinpath("signing.pub").read_text().split()[:2]
    other = desk.folder / "other-key"
    if not other.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    public = other.with_suffix(".pub").read_text()
    assert desk.page.ask("/signers", {"principal": "otto@example.org", "key": "/etc/passwd"}).status == 400
    assert desk.page.ask("/signers", {"principal": "otto@example.org", "key": f"{kind} x{added}"}).status == 400
    plan = desk.page.follow(desk.page.ask("/signers", {"principal": "otto@example.org", "key": public}))
    assert "Admins change" in plan.shown
    assert "otto@example.org" in desk.page.ask("/signers").shown
    assert "Pushed commit" in desk.push()
    fingerprint = subprocess.run(["ssh-keygen", "-lf", str(other)], capture_output=True, text=True, check=True).stdout
    desk.page.follow(desk.page.ask("/signers/remove", {"fingerprint": fingerprint.split()[1]}))
    assert "Pushed commit" in desk.push()
    assert "otto" not in (desk.mesh / "allowed_signers").read_text()
