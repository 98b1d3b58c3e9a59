from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.processes import Python

from citewise import Answer, Assistant, Conversations, Filters, Library, Message, Paper
from citewise.conversations import CONVERSATIONS_FILE, LONGEST_TITLE, TurnState
from citewise.errors import ConversationNotFoundError, LibraryError
from citewise.library.embedding import MiniLM


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM) -> Iterator[Answer]:
    paper = Paper(
        "p1",
        "Drafting Ahead",
        "Speculative decoding lets a small model propose tokens that a large model checks. It "
        "makes decoding 2.5 times faster without changing what is written.",
        authors=("Ada Brandt",),
        published="2024-10",
    )
    with Library.open(tmp_path_factory.mktemp("one") / "library", embedder=encoder) as library:
        library.add([paper])
        made = Assistant(library).ask("What is speculative decoding?")
        assert made.citations
        yield made


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Conversations]:
    made = Conversations.open(tmp_path)
    yield made
    made.close()


def test_an_answer_is_read_back_as_it_was(answer: Answer) -> None:
    again = Answer.from_dict(json.loads(json.dumps(answer.to_dict())))
    assert again.to_dict() == answer.to_dict()
    assert [c.spans for c in again.citations] == [c.spans for c in answer.citations]
    with pytest.raises(KeyError):
        Answer.from_dict({"id": "x"})


def test_a_conversation_survives_closing(tmp_path: Path, answer: Answer) -> None:
    first = Conversations.open(tmp_path)
    wanted = Filters(since="2024", author="Li", papers=("a", "b"))
    name = first.append(answer, filters=wanted).conversation
    first.append(replace(answer, question="And then?"), conversation=name)
    first.close()
    talk = Conversations.open(tmp_path).get(name)
    assert talk.title == answer.question
    assert [turn.question for turn in talk.turns] == [answer.question, "And then?"]
    assert talk.turns[0].filters == wanted
    assert talk.turns[1].filters == Filters()
    found = talk.turns[1].answer
    assert found is not None
    assert found.to_dict() == replace(answer, question="And then?").to_dict()
    assert found.prior_history == (
        Message("user", answer.question),
        Message("assistant", answer.text),
    )
    assert len(talk.history) == 4


def test_the_latest_comes_first_and_all_words_are_looked_for(
    tmp_path: Path, answer: Answer
) -> None:
    times = (datetime(2025, 1, 31, tzinfo=UTC) + timedelta(seconds=n) for n in range(99))
    kept = Conversations.open(tmp_path, now=lambda: next(times))
    old = kept.append(replace(answer, question="Über KV-Caches?")).conversation
    new = kept.append(replace(answer, question="Another", text="It says ÜBERMUT.")).conversation
    assert [c.id for c in kept.list()] == [new, old]
    assert [c.id for c in kept.search("über")] == [new, old]
    assert [c.id for c in kept.search("ÜBER caches")] == [old]
    assert [c.id for c in kept.search("another übermut")] == [new]
    assert kept.search("%") == ()
    kept.append(answer, conversation=old)
    assert [(c.id, c.turns) for c in kept.list()] == [(old, 2), (new, 1)]


def test_rename_and_delete(kept: Conversations, answer: Answer) -> None:
    name = kept.append(answer).conversation
    kept.rename(name, "  Drafting \n models ")
    kept.rename(name, "   ")
    assert kept.list()[0].title == "Drafting models"
    kept.rename(name, "long " * 100)
    assert len(kept.list()[0].title) <= LONGEST_TITLE + 2
    kept.delete(name)
    assert kept.list() == ()
    with pytest.raises(ConversationNotFoundError):
        kept.get(name)


def test_what_belongs_to_another_is_not_there(kept: Conversations, answer: Answer) -> None:
    hers = kept.append(answer, owner="ada")
    name = hers.conversation
    assert kept.list("bo") == ()
    assert kept.list("") == ()
    for touch in (
        lambda: kept.get(name, "bo"),
        lambda: kept.rename(name, "mine", "bo"),
        lambda: kept.delete(name, "bo"),
        lambda: kept.judge(name, hers.turn, 1, owner="bo"),
        lambda: kept.begin("Mine?", conversation=name, owner="bo"),
    ):
        with pytest.raises(ConversationNotFoundError):
            touch()
    assert len(kept.get(name, "ada").turns) == 1


def test_the_first_ending_counts(kept: Conversations, answer: Answer) -> None:
    pending = kept.begin("Why?")
    assert kept.get(pending.conversation).turns[0].state is TurnState.ASKED
    pending.stop("It had said this")
    pending.finish(answer)
    pending.fail("too late")
    (turn,) = kept.get(pending.conversation).turns
    assert (turn.state, turn.said, turn.answer) == (TurnState.STOPPED, "It had said this", None)
    kept.delete(pending.conversation)
    pending.finish(answer)


def test_another_answer_takes_the_place_of_the_old_once_it_is_there(
    kept: Conversations, answer: Answer
) -> None:
    first = kept.append(answer)
    talk = first.conversation
    second = kept.append(replace(answer, question="Second?"), conversation=talk)
    kept.append(replace(answer, question="Third?"), conversation=talk)

    def questions() -> list[str]:
        return [turn.question for turn in kept.get(talk).turns]

    failing = kept.begin("Second, better?", conversation=talk, replacing=second.turn)
    failing.fail("the server is down")
    assert questions() == [answer.question, "Second?", "Third?", "Second, better?"]
    again = kept.begin("Second, better?", conversation=talk, replacing=second.turn)
    again.finish(answer)
    assert questions() == [answer.question, "Second, better?"]


def test_errors_are_no_part_of_what_was_said(kept: Conversations, answer: Answer) -> None:
    talk = kept.append(answer).conversation
    kept.begin("Fails?", conversation=talk).fail("no server")
    kept.begin("Stops?", conversation=talk).stop("Half of")
    said = [message.content for message in kept.get(talk).history]
    assert said == [answer.question, answer.text, "Stops?", "Half of"]


def test_thumbs_and_reasons(kept: Conversations, answer: Answer) -> None:
    pending = kept.append(answer)
    turn = kept.judge(pending.conversation, pending.turn, -1, " It missed Medusa. ")
    assert (turn.thumb, turn.reason) == (-1, "It missed Medusa.")
    # The thumb alone, come too late: the reason stays. Another thumb has none.
    turn = kept.judge(pending.conversation, pending.turn, -1, None)
    assert (turn.thumb, turn.reason) == (-1, "It missed Medusa.")
    turn = kept.judge(pending.conversation, pending.turn, 1, None)
    assert (turn.thumb, turn.reason) == (1, "")
    turn = kept.judge(pending.conversation, pending.turn, 0, "no more")
    assert (turn.thumb, turn.reason) == (0, "")
    with pytest.raises(ConversationNotFoundError):
        kept.judge(pending.conversation, 999, 1)


def test_text_that_is_no_text_is_kept_all_the_same(kept: Conversations) -> None:
    pending = kept.begin("half \ud800 a character \0 and a zero")
    pending.stop("\udfff")
    (turn,) = kept.get(pending.conversation).turns
    assert "half ? a character" in turn.question


def test_a_killed_process_leaves_what_it_had_written(tmp_path: Path) -> None:
    script = (
        "import sys; from citewise.conversations import Conversations\n"
        "kept = Conversations.open(sys.argv[1])\n"
        "kept.begin('Done?').stop('Yes.'); kept.begin('Never answered?')\n"
        "print('written', flush=True); sys.stdin.read()"
    )
    child = Python(script, tmp_path)
    assert child.stdout.readline() == "written\n"
    child.kill()
    child.finish()
    assert child.returncode == -signal.SIGKILL
    kept = Conversations.open(tmp_path)
    turns = {c.title: kept.get(c.id).turns[0] for c in kept.list()}
    assert turns["Done?"].said == "Yes."
    assert turns["Never answered?"].state is TurnState.ASKED


def test_many_write_at_once(tmp_path: Path, answer: Answer) -> None:
    rooms = [Conversations.open(tmp_path) for _ in range(2)]

    def work(n: int) -> None:
        rooms[n % 2].append(replace(answer, question=f"Question {n}?"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert len(rooms[0].list()) == len(rooms[1].list()) == 40


def test_a_file_that_is_something_else_is_named(tmp_path: Path) -> None:
    file = tmp_path / CONVERSATIONS_FILE
    file.write_bytes(b"no database at all, but long enough to be looked at" * 30)
    with pytest.raises(LibraryError, match=CONVERSATIONS_FILE):
        Conversations.open(tmp_path)
    file.unlink()
    newer = sqlite3.connect(file)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(LibraryError, match="newer"):
        Conversations.open(tmp_path)


def test_an_answer_of_another_version_can_still_be_read(
    tmp_path: Path, kept: Conversations, answer: Answer
) -> None:
    pending = kept.append(answer)
    direct = sqlite3.connect(tmp_path / CONVERSATIONS_FILE)
    direct.execute("UPDATE turns SET answer = '{}'")
    direct.commit()
    direct.close()
    (turn,) = kept.get(pending.conversation).turns
    assert turn.answer is None
    assert turn.said == answer.text
