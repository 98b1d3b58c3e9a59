"""Conversations kept with a library: questions, answers, and what a person thought of them.

They lie in ``conversations.sqlite`` in the library's folder, apart from the papers, so that either
can be copied or thrown away without the other. A question is written down before it is worked on,
and its answer when it is whole: a process killed in between leaves the question, and says so.

>>> from citewise import Conversations, Library  # doctest: +SKIP
>>> kept = Conversations.open(Library.open("my-library").path)  # doctest: +SKIP
>>> [talk.title for talk in kept.list()]  # doctest: +SKIP
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from citewise.errors import ConversationNotFoundError, LibraryError
from citewise.types import Answer, Effort, Filters, Json, Message

CONVERSATIONS_FILE = "conversations.sqlite"
LONGEST_TITLE = 120
"""Characters of a title; a longer one is shortened."""

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    made TEXT NOT NULL,
    changed TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS conversations_of ON conversations (owner, changed);
CREATE TABLE IF NOT EXISTS turns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    question TEXT NOT NULL,
    effort TEXT NOT NULL,
    backend TEXT NOT NULL,
    filters TEXT NOT NULL,
    asked TEXT NOT NULL,
    state TEXT NOT NULL,
    replaces INTEGER,
    said TEXT NOT NULL DEFAULT '',
    answer TEXT,
    thumb INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS turns_of ON turns (conversation);
"""


class TurnState(StrEnum):
    """How far the answer to a question has come."""

    ASKED = "asked"
    """Not answered yet; in a conversation opened later, the process ended before it was."""
    ANSWERED = "answered"
    STOPPED = "stopped"
    """A person stopped it; ``said`` is what had come."""
    FAILED = "failed"
    """``said`` says why."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question and what came of it."""

    id: int
    """Unique in its file."""
    question: str
    """As the person typed it."""
    asked: str
    """When, ISO 8601 with offset."""
    effort: Effort
    backend: str
    """Name of what was to write the answer."""
    filters: Filters
    """What was searched."""
    state: TurnState
    said: str = ""
    """The answer's text; what had come of it; or the error."""
    answer: Answer | None = None
    """With the state ``answered``; its cited papers come without their abstracts."""
    thumb: int = 0
    """1 for thumbs up, -1 for thumbs down, 0 for neither."""
    reason: str = ""
    """What the person says of the answer."""

    def to_dict(self) -> Json:
        """The fields by name, the answer as the interface's answer object."""
        return {
            "id": self.id,
            "question": self.question,
            "asked": self.asked,
            "effort": self.effort.value,
            "backend": self.backend,
            "filters": self.filters.to_dict(),
            "state": self.state.value,
            "said": self.said,
            "answer": self.answer.to_dict() if self.answer else None,
            "thumb": self.thumb,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class ConversationInfo:
    """A conversation in a list."""

    id: str
    title: str
    made: str
    """ISO 8601 with offset."""
    changed: str
    """When the last question was asked, or the title changed."""
    turns: int


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with all its turns, oldest first."""

    id: str
    owner: str
    """The user whose it is; empty where nobody has to log in."""
    title: str
    made: str
    changed: str
    turns: tuple[Turn, ...] = ()

    @property
    def history(self) -> tuple[Message, ...]:
        """What was said, to hand to the next question; errors are left out."""
        return _history(self.turns)

    def to_dict(self) -> Json:
        """The fields by name."""
        return {
            "id": self.id,
            "title": self.title,
            "made": self.made,
            "changed": self.changed,
            "turns": [turn.to_dict() for turn in self.turns],
        }


@dataclass(frozen=True, slots=True)
class Pending:
    """A question that is being worked on; whichever of its endings comes first counts."""

    conversation: str
    turn: int
    _kept: Conversations

    def finish(self, answer: Answer) -> None:
        """The answer is whole."""
        self._kept._end(self.turn, TurnState.ANSWERED, answer.text, answer)

    def stop(self, said: str = "") -> None:
        """A person stopped it; ``said`` is the Markdown that had come."""
        self._kept._end(self.turn, TurnState.STOPPED, said)

    def fail(self, why: str) -> None:
        """It failed; ``why`` is for people."""
        self._kept._end(self.turn, TurnState.FAILED, why)


class Conversations:
    """The conversations of one library. Safe to use from several threads and processes.

    Every method takes the ``owner`` whose conversations it is about; those of others are not there
    for it. Raises LibraryError when the file cannot be used.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        place: str,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Use ``Conversations.open`` or ``Conversations.in_memory``."""
        self.place = place
        self._database = database
        self._lock = threading.RLock()
        self._now = now
        database.row_factory = sqlite3.Row
        # SQLite folds the case of ASCII only.
        database.create_function("folded", 1, _folded, deterministic=True)
        with self._at_work():
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise LibraryError(
                    f"The conversations in {place} were written by a newer citewise. Use that one."
                )
            database.execute("PRAGMA foreign_keys = ON")
            database.executescript(_SCHEMA)
            database.execute(f"PRAGMA user_version = {_VERSION}")

    @classmethod
    def open(
        cls, folder: str | Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> Conversations:
        """The conversations kept in a library's folder; the file is made when absent.

        Raises LibraryError when it cannot be read or written.
        """
        place = Path(folder) / CONVERSATIONS_FILE
        try:
            database = sqlite3.connect(
                place, timeout=10, isolation_level=None, check_same_thread=False
            )
            try:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = NORMAL")
            except BaseException:
                database.close()
                raise
        except sqlite3.Error as error:
            raise _unusable(str(place), error) from error
        try:
            return cls(database, str(place), now=now)
        except BaseException:
            database.close()
            raise

    @classmethod
    def in_memory(cls) -> Conversations:
        """Conversations that end with the process."""
        database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        return cls(database, "memory")

    # -- reading -----------------------------------------------------------------------------

    def list(self, owner: str = "") -> tuple[ConversationInfo, ...]:
        """All conversations of ``owner``, the latest first."""
        return self.search("", owner)

    def search(self, words: str, owner: str = "") -> tuple[ConversationInfo, ...]:
        """Those whose title, questions or answers hold every one of ``words``, in any case."""
        wanted = _folded(words).split()
        holds = " AND ".join(
            "(instr(folded(c.title), ?) OR EXISTS (SELECT 1 FROM turns t WHERE"
            " t.conversation = c.id AND instr(folded(t.question || ' ' || t.said), ?)))"
            for _ in wanted
        )
        query = (
            "SELECT c.id, c.title, c.made, c.changed, (SELECT count(*) FROM turns t"
            " WHERE t.conversation = c.id) AS turns FROM conversations c WHERE c.owner = ?"
            f"{' AND ' + holds if holds else ''} ORDER BY c.changed DESC, c.rowid DESC"
        )
        values = [owner, *(word for word in wanted for _ in range(2))]
        with self._at_work():
            rows = self._database.execute(query, values).fetchall()
        return tuple(ConversationInfo(**dict(row)) for row in rows)

    def get(self, conversation: str, owner: str = "") -> Conversation:
        """One conversation; raises ConversationNotFoundError where ``owner`` has none such."""
        with self._at_work():
            head = self._head(conversation, owner)
            rows = self._database.execute(
                "SELECT * FROM turns WHERE conversation = ? ORDER BY id", (conversation,)
            ).fetchall()
        turns: list[Turn] = []
        for row in rows:
            turns.append(_turn(row, _history(turns)))
        return Conversation(
            head["id"], head["owner"], head["title"], head["made"], head["changed"], tuple(turns)
        )

    # -- writing -----------------------------------------------------------------------------

    def begin(
        self,
        question: str,
        *,
        conversation: str = "",
        owner: str = "",
        effort: Effort | str = Effort.NORMAL,
        backend: str = "",
        filters: Filters | None = None,
        replacing: int | None = None,
    ) -> Pending:
        """Write down a question before it is worked on.

        Without ``conversation`` a new one is made, named after the question. ``replacing`` is the
        id of a turn that this one takes the place of: it and all after it are dropped once this
        one has an answer. Raises ConversationNotFoundError.
        """
        now = self._time()
        with self._at_work(writing=True):
            if conversation:
                self._head(conversation, owner)
            else:
                conversation = uuid4().hex[:16]
                self._database.execute(
                    "INSERT INTO conversations VALUES (?, ?, ?, ?, ?)",
                    (conversation, owner, _title(question), now, now),
                )
            turn = self._database.execute(
                "INSERT INTO turns (conversation, question, effort, backend, filters, asked, state,"
                " replaces) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    conversation,
                    _text(question),
                    Effort(effort).value,
                    backend,
                    json.dumps((filters or Filters()).to_dict()),
                    now,
                    TurnState.ASKED.value,
                    replacing,
                ),
            ).lastrowid
            self._touch(conversation, now)
        if turn is None:
            raise AssertionError("an insert gives an id")
        return Pending(conversation, turn, self)

    def append(
        self,
        answer: Answer,
        *,
        conversation: str = "",
        owner: str = "",
        filters: Filters | None = None,
    ) -> Pending:
        """Keep an answer with its question; what ``begin`` and ``finish`` do, at once."""
        pending = self.begin(
            answer.question,
            conversation=conversation,
            owner=owner,
            effort=answer.effort,
            backend=answer.backend,
            filters=filters,
        )
        pending.finish(answer)
        return pending

    def rename(self, conversation: str, title: str, owner: str = "") -> None:
        """Give it another title; an empty one changes nothing. Raises ConversationNotFoundError."""
        with self._at_work(writing=True):
            self._head(conversation, owner)
            if title.strip():
                self._database.execute(
                    "UPDATE conversations SET title = ? WHERE id = ?",
                    (_title(title), conversation),
                )

    def delete(self, conversation: str, owner: str = "") -> None:
        """Forget it for good; raises ConversationNotFoundError."""
        with self._at_work(writing=True):
            self._head(conversation, owner)
            self._database.execute("DELETE FROM conversations WHERE id = ?", (conversation,))

    def judge(
        self, conversation: str, turn: int, thumb: int, reason: str | None = "", owner: str = ""
    ) -> Turn:
        """Keep what a person thinks of an answer: ``thumb`` is 1, -1, or 0 to take it back.

        Without a ``reason`` (None) the one that was given for the same thumb stays. Returns the
        turn. Raises ConversationNotFoundError where there is no such turn.
        """
        verdict = (thumb > 0) - (thumb < 0)
        with self._at_work(writing=True):
            self._head(conversation, owner)
            self._database.execute(
                "UPDATE turns SET thumb = :thumb, reason = CASE WHEN :thumb = 0 THEN ''"
                " ELSE coalesce(:reason, CASE WHEN thumb = :thumb THEN reason ELSE '' END) END"
                " WHERE id = :turn AND conversation = :conversation",
                {
                    "thumb": verdict,
                    "reason": None if reason is None else _text(reason.strip()),
                    "turn": turn,
                    "conversation": conversation,
                },
            )
        for found in self.get(conversation, owner).turns:
            if found.id == turn:
                return found
        raise ConversationNotFoundError(f"The conversation {conversation!r} has no turn {turn}.")

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()

    # -- inside ------------------------------------------------------------------------------

    def _end(self, turn: int, state: TurnState, said: str, answer: Answer | None = None) -> None:
        # An answer outlives the conversation that was deleted while it was written: nothing to do.
        with self._at_work(writing=True):
            ended = self._database.execute(
                "UPDATE turns SET state = ?, said = ?, answer = ? WHERE id = ? AND state = ?"
                " RETURNING conversation, replaces",
                (
                    state.value,
                    _text(said),
                    json.dumps(answer.to_dict()) if answer else None,
                    turn,
                    TurnState.ASKED.value,
                ),
            ).fetchone()
            if ended and ended["replaces"] is not None and said and state is not TurnState.FAILED:
                self._database.execute(
                    "DELETE FROM turns WHERE conversation = ? AND id >= ? AND id < ?",
                    (ended["conversation"], ended["replaces"], turn),
                )

    def _head(self, conversation: str, owner: str) -> sqlite3.Row:
        row: sqlite3.Row | None = self._database.execute(
            "SELECT * FROM conversations WHERE id = ? AND owner = ?", (conversation, owner)
        ).fetchone()
        if row is None:
            # The same for one that is another's: who may not read it learns nothing of it.
            raise ConversationNotFoundError("There is no such conversation in this library.")
        return row

    def _touch(self, conversation: str, now: str) -> None:
        self._database.execute(
            "UPDATE conversations SET changed = ? WHERE id = ?", (now, conversation)
        )

    def _time(self) -> str:
        return self._now().isoformat(timespec="milliseconds")

    @contextmanager
    def _at_work(self, *, writing: bool = False) -> Iterator[None]:
        with self._lock:
            try:
                if not writing:
                    yield
                    return
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._database.execute("ROLLBACK")
                    raise
                self._database.execute("COMMIT")
            except sqlite3.Error as error:
                raise _unusable(self.place, error) from error


def _unusable(place: str, error: sqlite3.Error) -> LibraryError:
    return LibraryError(
        f"The conversations in {place} cannot be used ({error}). Mend the file's permissions, free "
        "some space, or move the file away; the papers are not touched by it."
    )


def _turn(row: sqlite3.Row, history: tuple[Message, ...]) -> Turn:
    turn = Turn(
        id=row["id"],
        question=row["question"],
        asked=row["asked"],
        effort=Effort(row["effort"]),
        backend=row["backend"],
        filters=Filters.from_dict(json.loads(row["filters"])),
        state=TurnState(row["state"]),
        said=row["said"],
        thumb=row["thumb"],
        reason=row["reason"],
    )
    if row["answer"] is None:
        return turn
    try:
        return replace(turn, answer=Answer.from_dict(json.loads(row["answer"]), history))
    except (ValueError, KeyError, TypeError):
        # Kept by another citewise: its text can still be read.
        return turn


def _history(turns: Sequence[Turn]) -> tuple[Message, ...]:
    said = []
    for turn in turns:
        if turn.said and turn.state in (TurnState.ANSWERED, TurnState.STOPPED):
            said += [Message("user", turn.question), Message("assistant", turn.said)]
    return tuple(said)


def _folded(text: str) -> str:
    return text.casefold()


def _text(text: str) -> str:
    """``text`` as SQLite can keep it: without lone surrogates."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _title(text: str) -> str:
    line = " ".join(_text(text).split())
    if len(line) <= LONGEST_TITLE:
        return line
    return line[:LONGEST_TITLE].rsplit(" ", 1)[0] + " …"
