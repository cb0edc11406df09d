"""A program that goes on answering: one for many questions, another after it failed, none once it is not needed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.waiting import until
from mesh_sync.errors import CommandError, Reason
from mesh_sync.system.conversation import Conversation

ANSWERING = """
while read -r line; do
    case $line in
        pid) echo $$ ;;
        long) head -c 100000 /dev/zero ;;
        never) sleep 60 ;;
        die) echo half; echo too bad >&2; exit 3 ;;
        leave) exit 0 ;;
        *) echo "$line" ;;
    esac
done
"""


class Asked:
    def __init__(self) -> None:
        self.talk = Conversation(["sh", "-c", ANSWERING], {})

    def __call__(self, line: str, most: int = 1000, deadline: float = 60.0) -> str:
        return self.talk.ask(f"{line}\nend\n".encode(), b"end\n", most=most, deadline=deadline).decode().strip()


@pytest.fixture
def ask() -> Asked:
    return Asked()


def test_one_program_answers_all_questions(ask: Asked) -> None:
    assert ask("pid") == ask("pid")
    assert ask("word") == "word"


def test_a_question_larger_than_a_pipe_is_answered(ask: Asked) -> None:
    lines = "\n".join(f"line {number}" for number in range(30_000))
    assert ask(lines, most=len(lines) + 1) == lines


@pytest.mark.parametrize(
    ("question", "limits", "reason"),
    [
        ("long", {}, Reason.TOO_MUCH_OUTPUT),
        ("never", {"deadline": 0.3}, Reason.DEADLINE),
        ("die", {}, Reason.EXIT_STATUS),
        ("leave", {}, Reason.EXIT_STATUS),
    ],
)
def test_after_a_failure_the_next_question_starts_another(
    ask: Asked, question: str, limits: dict[str, float], reason: Reason
) -> None:
    first = ask("pid")
    with pytest.raises(CommandError) as caught:
        ask(question, **limits)  # type: ignore[arg-type]
    assert caught.value.reason is reason
    assert ask("pid") != first
    until(lambda: not Path(f"/proc/{first}").exists(), 30)


def test_a_failure_says_what_the_program_said(ask: Asked) -> None:
    with pytest.raises(CommandError, match="sh failed with status 3: too bad"):
        ask("die")


def test_threads_get_their_own_answers(ask: Asked) -> None:
    with ThreadPoolExecutor(8) as pool:
        words = [f"word-{number}" for number in range(200)]
        assert list(pool.map(ask, words)) == words


def test_the_program_ends_with_the_conversation() -> None:
    ask = Asked()
    pid = int(ask("pid"))
    os.kill(pid, 0)
    del ask
    until(lambda: not Path(f"/proc/{pid}").exists(), 30)
