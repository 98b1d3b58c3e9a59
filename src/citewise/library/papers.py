"""The papers themselves, in SQLite: the only truth of a library.

Everything else (Chroma, tantivy) is derived from these tables and can be made again. Each paper
says which index holds it; entries that an index must still forget stand in ``forget``, written in
the same transaction as the change that made them stale. All SQL of citewise is in this file and
plain, so that a server database can take its place.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import threading
import time
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from citewise.errors import FingerprintError, LibraryError, NotALibraryError
from citewise.library.orders import joined
from citewise.library.passages import Offsets
from citewise.library.wordings import Wording
from citewise.sources.text import unaccented, without_accents
from citewise.types import Filters, Paper, Place, sha256_of

SCHEMA_VERSION = 3
"""1: one file name stood for every folder. 2: words stood in the word index alone. A library of
these is read as it is; the first process that writes to it brings it up to date, in one
transaction."""
Index = Literal["lexical", "dense"]
Outcome = Literal["added", "updated", "unchanged", "duplicate"]
Order = Literal["newest", "oldest", "title", "added"]
"""How papers are put in order: by date (those without one last), title, or the latest to come."""


def _bearing(name: str) -> str:
    """The condition that a name holds a given one, in any case and with any accents."""
    # SQL's own lower() is quick, and knows the case of ASCII letters only.
    folded = f"CASE WHEN {name} GLOB '*[^ -~]*' THEN unaccented({name}) ELSE lower({name}) END"
    return f"instr({folded}, ?) > 0"


_BY_AUTHOR = f"EXISTS (SELECT 1 FROM json_each(authors) WHERE {_bearing('value')})"
_WORDING_TABLES = """
CREATE TABLE wordings (
  paper_id TEXT PRIMARY KEY REFERENCES papers (id) ON DELETE CASCADE,
  title INTEGER NOT NULL, numbers BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE stems (number INTEGER PRIMARY KEY, stem TEXT NOT NULL);
CREATE TRIGGER wordings_of_another_text AFTER UPDATE OF title, abstract ON papers
  WHEN OLD.title IS NOT NEW.title OR OLD.abstract IS NOT NEW.abstract
  BEGIN DELETE FROM wordings WHERE paper_id = NEW.id; END;
"""
"""The trigger also binds an older citewise that has had the library open since before."""
_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE papers (
  id TEXT PRIMARY KEY, title TEXT NOT NULL, abstract TEXT NOT NULL, authors TEXT NOT NULL,
  author_count INTEGER, published TEXT, first_day INTEGER, last_day INTEGER, date_text TEXT,
  url TEXT, source TEXT, organization TEXT, arxiv_id TEXT, doi TEXT,
  sentences TEXT NOT NULL, sentence_vectors BLOB,
  lexical INTEGER NOT NULL DEFAULT 0, dense INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX papers_lexical ON papers (lexical) WHERE lexical = 0;
CREATE INDEX papers_dense ON papers (dense) WHERE dense = 0;
CREATE INDEX papers_by_last_day ON papers (last_day, first_day, id);
CREATE INDEX papers_by_first_day ON papers (first_day, last_day, id);
CREATE TABLE places (
  paper_id TEXT NOT NULL REFERENCES papers (id) ON DELETE CASCADE,
  source TEXT NOT NULL, file TEXT NOT NULL, line INTEGER NOT NULL,
  text_sha256 TEXT NOT NULL, folder TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (paper_id, source, file, line, folder)
);
CREATE TABLE identities (
  key TEXT PRIMARY KEY, paper_id TEXT NOT NULL REFERENCES papers (id) ON DELETE CASCADE
);
CREATE INDEX identities_paper ON identities (paper_id);
CREATE TABLE passages (
  id TEXT PRIMARY KEY, paper_id TEXT NOT NULL REFERENCES papers (id) ON DELETE CASCADE,
  first INTEGER NOT NULL, last INTEGER NOT NULL
);
CREATE INDEX passages_paper ON passages (paper_id);
CREATE TABLE forget (
  index_name TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (index_name, entry)
);
{_WORDING_TABLES}"""

_UPGRADES = {
    1: """
CREATE TABLE places_2 (
  paper_id TEXT NOT NULL REFERENCES papers (id) ON DELETE CASCADE,
  source TEXT NOT NULL, file TEXT NOT NULL, line INTEGER NOT NULL,
  text_sha256 TEXT NOT NULL, folder TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (paper_id, source, file, line, folder)
);
INSERT INTO places_2 SELECT paper_id, source, file, line, text_sha256, '' FROM places;
DROP TABLE places;
ALTER TABLE places_2 RENAME TO places;
""",
    2: f"{_WORDING_TABLES}INSERT INTO meta VALUES ('wordings', 'missing');",
}
"""What makes a database of one version one of the next."""

_INDEXES = """
CREATE INDEX IF NOT EXISTS papers_by_last_day ON papers (last_day, first_day, id);
CREATE INDEX IF NOT EXISTS papers_by_first_day ON papers (first_day, last_day, id);
DROP INDEX IF EXISTS papers_day;
"""
"""A date filter is answered from these alone: the rows themselves are 300 MB of 100,000 papers."""

_PAGE = 2_000
_KEPT_SELECTIONS = 8
"""Filters whose papers are remembered: a conversation asks with the same one again and again."""

_TURN_SECONDS = 120.0
"""Patience of a thread that writes for another of the same process: many papers are written in one
transaction, which takes long where the machine does other things."""
_JOURNAL_SECONDS = 30.0
_SAME_PAPER_JACCARD = 0.3
"""Share of words from which two abstracts under one id are taken for versions of one paper."""

_COLUMNS = (
    "id, title, abstract, authors, author_count, published, date_text, url, source, organization,"
    " arxiv_id, doi"
)


_ENCODER = json.JSONEncoder(ensure_ascii=False)
_WRITERS_CACHE = "PRAGMA cache_size = -32000"
"""32 MB instead of 2: with less, a batch of papers is written to the disk again and again."""
_ADDED: Outcome = "added"
Ids: TypeAlias = Sequence[str] | frozenset[str]
"""Of papers; ``frozenset`` of one that is a frozenset takes no time."""
_Written: TypeAlias = tuple[Paper, tuple[str, ...], tuple[Offsets, ...]]
"""A paper with its identity keys and its sentences."""

_DATE = re.compile(r"(\d{4})(?:-(0?[1-9]|1[0-2])(?:-(0?[1-9]|[12]\d|3[01]))?)?", re.ASCII)


def day_range(date: str) -> tuple[int, int]:
    """First and last day of an ISO 8601 date of any precision, as YYYYMMDD numbers.

    Raises ValueError when the text is not such a date.
    """
    match = _DATE.fullmatch(date)
    if match is None:
        raise ValueError(f"{date!r} is not a date; write 2024, 2024-10 or 2024-10-12")
    year = int(match[1]) * 10_000
    first = year + int(match[2] or 1) * 100 + int(match[3] or 1)
    return first, year + int(match[2] or 12) * 100 + int(match[3] or 31)


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A passage as offsets into its paper's abstract."""

    id: str
    paper_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SentenceRow:
    """The sentences of a paper, with their vectors when it has been embedded."""

    spans: tuple[Offsets, ...]
    vectors: NDArray[np.float32] | None
    """One row a sentence, unit length to within int8 rounding."""


def _is_better(new: Paper, old: Paper) -> Paper:
    """``old`` with each field that only ``new`` knows; a fuller date or author list wins."""
    return replace(
        old,
        authors=new.authors if len(new.authors) > len(old.authors) else old.authors,
        author_count=old.author_count if old.author_count is not None else new.author_count,
        published=(
            new.published if len(new.published or "") > len(old.published or "") else old.published
        ),
        date_text=old.date_text or new.date_text,
        url=old.url or new.url,
        organization=old.organization or new.organization,
        arxiv_id=old.arxiv_id or new.arxiv_id,
        doi=old.doi or new.doi,
    )


class PaperStore:
    """One SQLite file; every thread gets a connection of its own."""

    def __init__(self, path: Path, *, create: bool) -> None:
        """Open ``path``; with ``create`` its tables are made when absent.

        Raises NotALibraryError when the file is something else, LibraryError when it cannot be
        opened.
        """
        self._path = path
        self.dimensions: int | None = None
        """Of a sentence's vector; None where it is not known."""
        self._local = threading.local()
        self._all: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._all_lock = threading.Lock()
        self._own_changes = 0
        self._upgraded = False
        self._worded = False
        self._selections: dict[Filters, frozenset[str]] = {}
        self._selections_of = -1
        self._selections_lock = threading.Lock()
        if not create and not path.is_file():
            raise NotALibraryError(
                f"{path.parent} is not a citewise library: it has no {path.name}. "
                "Fill one with `citewise ingest PATH --library DIR`."
            )
        try:
            self._prepare(create)
        except sqlite3.DatabaseError as error:
            self.close()
            raise self._explained(error) from error
        except BaseException:
            self.close()
            raise

    def _prepare(self, create: bool) -> None:
        tables = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'papers'"
        if not self._rows(tables):
            if not create:
                raise NotALibraryError(f"{self._path} is a database, but not a citewise library.")
            with self._transaction() as db:
                # Another process may have made them meanwhile.
                if db.execute(tables).fetchone() is None:
                    _run(db, _TABLES)
                    db.execute("INSERT INTO meta VALUES ('schema', ?)", (str(SCHEMA_VERSION),))
        schema = self.meta("schema")
        if schema is None or not schema.isdigit():
            raise NotALibraryError(f"{self._path} is a database, but not a citewise library.")
        if int(schema) > SCHEMA_VERSION:
            raise FingerprintError(
                f"The library {self._path.parent} was made by a later citewise (schema {schema}, "
                f"this one knows {SCHEMA_VERSION}). Update citewise to use it."
            )

    def upgrade(self) -> None:
        """Bring the tables of an older citewise up to date, all or nothing; hold the writer's lock.

        Killed halfway, the old tables stand as they were.
        """
        if self._upgraded:
            return
        with self._transaction() as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
            for version in range(int(row[0]), SCHEMA_VERSION):
                _run(db, _UPGRADES[version])
                db.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(version + 1),))
        self._upgraded = True

    def _explained(self, error: sqlite3.Error) -> LibraryError:
        if "not a database" in str(error) or "malformed" in str(error):
            return NotALibraryError(
                f"{self._path} is not a citewise library ({error}). Choose another --library "
                "folder, or restore this one from a copy."
            )
        if "readonly" in str(error) or "unable to open" in str(error):
            return LibraryError(
                f"{self._path.parent} cannot be written to ({error}). Choose another --library "
                "folder, or mend its permissions."
            )
        if "disk is full" in str(error) or "disk I/O" in str(error):
            return LibraryError(
                f"The disk that holds {self._path.parent} is full ({error}). What was acknowledged "
                "is kept; free some space and run the same command again."
            )
        return LibraryError(f"The library {self._path.parent} cannot be used: {error}.")

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # Closing happens from another thread than the one that uses it.
            connection = sqlite3.connect(
                self._path, timeout=_TURN_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._set_up(connection)
            except BaseException:
                connection.close()
                raise
            self._local.connection = connection
            with self._all_lock:
                for thread, unused in self._all:
                    if not thread.is_alive():
                        unused.close()
                self._all = [pair for pair in self._all if pair[0].is_alive()]
                self._all.append((threading.current_thread(), connection))
        return connection

    @staticmethod
    def _set_up(connection: sqlite3.Connection) -> None:
        connection.create_function("unaccented", 1, unaccented, deterministic=True)
        # What a stranger's file would run by itself (views, triggers) calls nothing of ours.
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # SQLite does not wait by itself when two processes make a database's journal at once.
        deadline = time.monotonic() + _JOURNAL_SECONDS
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            db = self._connection()
            db.execute("BEGIN IMMEDIATE")
            own = self._own_changes
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                self._own_changes = own
                # A full disk has rolled back already.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[Any]:
        try:
            return self._connection().execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def close(self) -> None:
        """Close every thread's connection."""
        with self._all_lock:
            for _, connection in self._all:
                connection.close()
            self._all.clear()
        self._local = threading.local()

    # -- settings of the library ------------------------------------------------------------

    def meta(self, key: str) -> str | None:
        """A setting of the library, or None."""
        rows = self._rows("SELECT value FROM meta WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def set_meta(self, key: str, value: str) -> None:
        """Write a setting of the library."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def unset_meta(self, key: str) -> None:
        """Take back a setting of the library."""
        with self._transaction() as db:
            db.execute("DELETE FROM meta WHERE key = ?", (key,))

    def library_id(self) -> str:
        """A name of this library that no other has; made at the first call."""
        known = self.meta("library_id")
        if known is None:
            with self._transaction() as db:
                db.execute(
                    "INSERT OR IGNORE INTO meta VALUES ('library_id', ?)", (secrets.token_hex(8),)
                )
            known = self.meta("library_id")
        assert known is not None
        return known

    @property
    def version(self) -> int:
        """Grows with every change to the papers or their indexes, by whichever process."""
        version = self.meta("version") or "0"
        if not version.isdecimal():
            raise _damaged(f"{self._path.parent}, which counts {version[:40]!r} changes")
        return int(version)

    def changes_by_others(self) -> int:
        """Like ``version``, but only what was not changed through this object."""
        # In this order a change of our own, under way in another thread, is never taken for theirs.
        version = self.version
        return version - self._own_changes

    def _touch(self, db: sqlite3.Connection) -> None:
        # The database's write lock is held here, so one thread at a time counts.
        self._own_changes += 1
        db.execute(
            "INSERT INTO meta VALUES ('version', '1') ON CONFLICT (key) DO UPDATE"
            " SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"
        )

    # -- writing ----------------------------------------------------------------------------

    def write(self, papers: Sequence[_Written], seen: set[str]) -> list[Outcome]:
        """Add or update papers in one transaction; each comes with its identity keys and sentences.

        ``seen`` holds the ids already met in this ingest and is added to. The outcomes are in the
        order of the papers.
        """
        outcomes: list[Outcome] = []
        met: set[str] = set()
        with self._transaction() as db:
            db.execute(_WRITERS_CACHE)
            before = db.total_changes
            ids, named = self._known(db, papers)
            fresh: list[_Written] = []
            for written in papers:
                paper, keys, sentences = written
                if paper.id not in ids and named.isdisjoint(keys):
                    # Nothing to compare it with: many such are written at once.
                    fresh.append(written)
                    outcome, paper_id = _ADDED, paper.id
                else:
                    self._insert(db, fresh)
                    fresh.clear()
                    outcome, paper_id = self._write_one(db, paper, keys, sentences, (seen, met))
                ids.add(paper_id)
                named.update(keys)
                met.add(paper_id)
                outcomes.append(outcome)
            self._insert(db, fresh)
            if db.total_changes != before:
                self._touch(db)
        seen |= met
        return outcomes

    @staticmethod
    def _known(db: sqlite3.Connection, papers: Sequence[_Written]) -> tuple[set[str], set[str]]:
        """The ids and the identity keys among those of ``papers`` that the library has already."""
        ids = json.dumps([paper.id for paper, _, _ in papers])
        keys = json.dumps([key for _, keys, _ in papers for key in keys])
        held = db.execute(
            "SELECT id FROM papers WHERE id IN (SELECT value FROM json_each(?))", (ids,)
        )
        named = db.execute(
            "SELECT key FROM identities WHERE key IN (SELECT value FROM json_each(?))", (keys,)
        )
        return {row[0] for row in held}, {row[0] for row in named}

    def _write_one(
        self,
        db: sqlite3.Connection,
        paper: Paper,
        keys: tuple[str, ...],
        sentences: tuple[Offsets, ...],
        seen: tuple[Set[str], ...],
    ) -> tuple[Outcome, str]:
        marks = ",".join("?" * len(keys))
        rows = db.execute(
            "SELECT id FROM papers WHERE id IN"
            f" (SELECT paper_id FROM identities WHERE key IN ({marks})) ORDER BY rowid",
            keys,
        ).fetchall()
        row = rows[0] if rows else None
        if row is None:
            paper, row = self._own_id(db, paper)
        if row is None:
            self._insert(db, [(paper, keys, sentences)])
            return "added", paper.id
        held = old = self._papers(db, [row[0]])[row[0]]
        for (other,) in rows[1:]:
            # This record shows that what came as two papers is one.
            old = self._join(db, old, other)
        merged = _is_better(paper, old)
        # The text that a place has shown before is no news, even if another place has since
        # shown a later one: otherwise two sources would overwrite each other at every ingest.
        if self._is_new_text(db, paper, old):
            merged = replace(merged, title=paper.title, abstract=paper.abstract)
        self._add_places(db, [(paper, old.id, keys)])
        if (merged.title, merged.abstract) != (old.title, old.abstract):
            self._forget(db, old.id)
            self._update(db, merged)
            db.execute(
                "UPDATE papers SET sentences = ?, sentence_vectors = NULL, lexical = 0, dense = 0"
                " WHERE id = ?",
                (_stored_offsets(sentences), old.id),
            )
            return "updated", old.id
        if merged != held:
            self._update(db, merged)
        if any(old.id in some for some in seen):
            return "duplicate", old.id
        return ("updated" if merged != held or len(rows) > 1 else "unchanged"), old.id

    def _join(self, db: sqlite3.Connection, paper: Paper, other_id: str) -> Paper:
        """``paper`` with what another paper of the library knows, whose places it takes over."""
        other = self._papers(db, [other_id])[other_id]
        db.execute(
            "INSERT OR IGNORE INTO places (paper_id, source, file, line, text_sha256, folder)"
            " SELECT ?, source, file, line, text_sha256, folder FROM places WHERE paper_id = ?",
            (paper.id, other_id),
        )
        db.execute("UPDATE identities SET paper_id = ? WHERE paper_id = ?", (paper.id, other_id))
        self._forget(db, other_id)
        db.execute("DELETE FROM papers WHERE id = ?", (other_id,))
        return _is_better(other, paper)

    def _own_id(self, db: sqlite3.Connection, paper: Paper) -> tuple[Paper, Any]:
        """The paper and the row of the same id, if that is the same paper.

        Two collections may number their papers alike: a record that shares neither title nor most
        of its words with the paper of its id is another paper, and its id gets a suffix.
        """
        row = db.execute("SELECT id FROM papers WHERE id = ?", (paper.id,)).fetchone()
        if row is None:
            return paper, None
        old = self._papers(db, [row[0]])[row[0]]
        new_words, old_words = set(paper.abstract.split()), set(old.abstract.split())
        alike = len(new_words & old_words) / max(1, len(new_words | old_words))
        if paper.title.casefold() == old.title.casefold() or alike >= _SAME_PAPER_JACCARD:
            return paper, row
        paper = replace(paper, id=f"{paper.id}~{sha256_of(paper.title + paper.abstract)[:6]}")
        return paper, db.execute("SELECT id FROM papers WHERE id = ?", (paper.id,)).fetchone()

    @staticmethod
    def _is_new_text(db: sqlite3.Connection, paper: Paper, old: Paper) -> bool:
        """Whether the text differs from what is held, in more than white space and letter case."""

        def folded(text: Paper) -> str:
            return "".join(f"{text.title}\n{text.abstract}".split()).casefold()

        if folded(paper) == folded(old):
            return False
        sha256 = sha256_of(f"{paper.title}\n{paper.abstract}")
        return not any(
            db.execute(
                "SELECT 1 FROM places WHERE paper_id = ? AND source = ? AND file = ?"
                " AND text_sha256 = ?",
                (old.id, place.source, place.file, sha256),
            ).fetchone()
            for place in paper.places
        )

    @classmethod
    def _insert(cls, db: sqlite3.Connection, papers: Sequence[_Written]) -> None:
        db.executemany(
            f"INSERT INTO papers ({_COLUMNS}, first_day, last_day, sentences)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (*_values(paper), *_days(paper), _stored_offsets(sentences))
                for paper, _, sentences in papers
            ],
        )
        cls._add_places(db, [(paper, paper.id, keys) for paper, keys, _ in papers])

    @staticmethod
    def _update(db: sqlite3.Connection, paper: Paper) -> None:
        db.execute(
            "UPDATE papers SET title = ?, abstract = ?, authors = ?, author_count = ?,"
            " published = ?, date_text = ?, url = ?, source = ?, organization = ?, arxiv_id = ?,"
            " doi = ?, first_day = ?, last_day = ? WHERE id = ?",
            (*_values(paper)[1:], *_days(paper), paper.id),
        )

    @staticmethod
    def _add_places(
        db: sqlite3.Connection, papers: Iterable[tuple[Paper, str, Sequence[str]]]
    ) -> None:
        """Where papers were read, and what names them; each is known by the id beside it."""
        places: list[tuple[object, ...]] = []
        identities: list[tuple[str, str]] = []
        for paper, paper_id, keys in papers:
            sha256 = sha256_of(f"{paper.title}\n{paper.abstract}")
            places.extend(
                (paper_id, p.source, p.file, p.line, sha256, p.folder) for p in paper.places
            )
            identities.extend((key, paper_id) for key in keys)
        db.executemany(
            "INSERT INTO places (paper_id, source, file, line, text_sha256, folder)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (paper_id, source, file, line, folder)"
            " DO UPDATE SET text_sha256 = excluded.text_sha256"
            " WHERE text_sha256 <> excluded.text_sha256",
            places,
        )
        db.executemany("INSERT OR IGNORE INTO identities VALUES (?, ?)", identities)

    @staticmethod
    def _forget(db: sqlite3.Connection, paper_id: str) -> None:
        """Mark a paper's entries in both indexes as stale and drop its passages."""
        db.execute("INSERT OR IGNORE INTO forget VALUES ('lexical', ?)", (paper_id,))
        db.execute(
            "INSERT OR IGNORE INTO forget SELECT 'dense', id FROM passages WHERE paper_id = ?",
            (paper_id,),
        )
        db.execute("DELETE FROM passages WHERE paper_id = ?", (paper_id,))

    def remove(self, ids: Sequence[str]) -> int:
        """Remove papers from the truth and mark their index entries as stale; counts them."""
        removed = 0
        with self._transaction() as db:
            for paper_id in ids:
                self._forget(db, paper_id)
                removed += db.execute("DELETE FROM papers WHERE id = ?", (paper_id,)).rowcount
            if removed:
                self._touch(db)
        return removed

    # -- the indexes' books -----------------------------------------------------------------

    def stale_entries(self, index: Index) -> list[str]:
        """Entries that an index must forget: paper ids for words, passage ids for vectors."""
        return [
            str(row[0])
            for row in self._rows("SELECT entry FROM forget WHERE index_name = ?", (index,))
        ]

    def forgotten(self, index: Index, entries: Sequence[str]) -> None:
        """An index has forgotten these entries."""
        with self._transaction() as db:
            db.executemany(
                "DELETE FROM forget WHERE index_name = ? AND entry = ?",
                [(index, entry) for entry in entries],
            )
            self._touch(db)

    def to_index(self, limit: int) -> list[tuple[str, str, str]]:
        """Up to ``limit`` papers that the lexical index does not hold: id, title and words.

        The words are those of the abstract's sentences.
        """
        rows = self._rows(
            "SELECT id, title, abstract, sentences FROM papers WHERE lexical = 0"
            " ORDER BY rowid LIMIT ?",
            (limit,),
        )
        return _with_words(rows)

    def to_embed(self, limit: int) -> list[tuple[Paper, tuple[Offsets, ...]]]:
        """Up to ``limit`` papers without vectors, each with its sentences."""
        rows = self._rows(
            f"SELECT {_COLUMNS}, sentences FROM papers WHERE dense = 0 ORDER BY rowid LIMIT ?",
            (limit,),
        )
        return [(_paper(row), _offsets(row[-1], row[0])) for row in rows]

    def still_to_embed(self, papers: Sequence[Paper]) -> set[str]:
        """Ids of those papers that are without vectors and whose text is as it was."""
        return self._unchanged(papers, dense=0)

    def _unchanged(self, papers: Sequence[Paper], *, dense: int) -> set[str]:
        now: dict[str, Any] = {}
        for begin in range(0, len(papers), 500):
            batch = [paper.id for paper in papers[begin : begin + 500]]
            marks = ",".join("?" * len(batch))
            for row in self._rows(
                f"SELECT id, title, abstract FROM papers WHERE dense = ? AND id IN ({marks})",
                [dense, *batch],
            ):
                now[row[0]] = (row[1], row[2])
        return {paper.id for paper in papers if now.get(paper.id) == (paper.title, paper.abstract)}

    def count_missing(self, index: Index) -> int:
        """How many papers an index does not hold yet."""
        return int(self._rows(f"SELECT COUNT(*) FROM papers WHERE {index} = 0")[0][0])

    def intend_dense(self, passages: Sequence[str]) -> None:
        """These passages are about to be written: forgotten again unless ``mark_dense`` follows.

        Otherwise a process killed in between would leave entries that no book knows of.
        """
        with self._transaction() as db:
            db.executemany(
                "INSERT OR IGNORE INTO forget VALUES ('dense', ?)", [(id_,) for id_ in passages]
            )

    def mark_lexical(self, ids: Sequence[str]) -> None:
        """The lexical index holds these papers."""
        with self._transaction() as db:
            db.executemany("UPDATE papers SET lexical = 1 WHERE id = ?", [(i,) for i in ids])
            self._touch(db)

    def mark_dense(
        self,
        passages: Mapping[str, Sequence[PassageRow]],
        sentence_vectors: Mapping[str, NDArray[np.float32]],
        wordings: Mapping[str, Wording],
        stems: Mapping[int, str],
    ) -> None:
        """The dense index holds these papers' passages; vectors of sentences and words come along.

        ``stems`` are the words that the numbers of ``wordings`` stand for.
        """
        with self._transaction() as db:
            for paper_id, rows in passages.items():
                vectors = sentence_vectors[paper_id]
                stored = _eight_bits(vectors)
                db.execute("DELETE FROM passages WHERE paper_id = ?", (paper_id,))
                db.executemany(
                    "INSERT INTO passages VALUES (?, ?, ?, ?)",
                    [(row.id, row.paper_id, row.start, row.end) for row in rows],
                )
                db.executemany(
                    "DELETE FROM forget WHERE index_name = 'dense' AND entry = ?",
                    [(row.id,) for row in rows],
                )
                db.execute(
                    "UPDATE papers SET dense = 1, sentence_vectors = ? WHERE id = ?",
                    (stored, paper_id),
                )
            self._add_wordings(db, wordings, stems)
            self._touch(db)

    def lacks_wordings(self) -> bool:
        """Whether there may be embedded papers whose words nobody has counted.

        So it is in a library of an older citewise.
        """
        return self.meta("wordings") == "missing"

    def without_wording(self, after: int, limit: int) -> list[tuple[int, Paper, str]]:
        """Up to ``limit`` embedded papers whose words nobody has counted, in their order.

        Each behind a row number above ``after``, and with the words of its abstract's sentences.
        """
        rows = self._rows(
            f"SELECT {_COLUMNS}, sentences, rowid FROM papers WHERE rowid > ? AND dense = 1"
            " AND NOT EXISTS (SELECT 1 FROM wordings WHERE paper_id = papers.id)"
            " ORDER BY rowid LIMIT ?",
            (after, limit),
        )
        return [
            (int(row[-1]), paper, joined(paper.abstract, _offsets(row[-2], paper.id))[0])
            for row in rows
            for paper in (_paper(row),)
        ]

    def add_wordings(
        self,
        papers: Sequence[Paper],
        wordings: Mapping[str, Wording],
        stems: Mapping[int, str],
        generation: str | None,
    ) -> None:
        """Keep the wordings of papers that are as they were when ``without_wording`` gave them.

        ``generation`` is the setting of that name then: a rebuild may bring other rules.
        """
        with self._transaction() as db:
            if self.meta("generation") != generation:
                return
            same = self._unchanged(papers, dense=1)
            self._add_wordings(db, {paper_id: wordings[paper_id] for paper_id in same}, stems)

    def all_words_counted(self) -> None:
        """Note it where no embedded paper is without its words."""
        with self._transaction() as db:
            db.execute(
                "DELETE FROM meta WHERE key = 'wordings' AND NOT EXISTS (SELECT 1 FROM papers"
                " WHERE dense = 1 AND NOT EXISTS"
                " (SELECT 1 FROM wordings WHERE paper_id = papers.id))"
            )

    def forget_stems(self, numbers: Sequence[int]) -> None:
        """Forget what numbers stand for that no wording has any more."""
        with self._transaction() as db:
            db.executemany("DELETE FROM stems WHERE number = ?", [(n,) for n in numbers])

    @staticmethod
    def _add_wordings(
        db: sqlite3.Connection, wordings: Mapping[str, Wording], stems: Mapping[int, str]
    ) -> None:
        db.executemany(
            "INSERT OR REPLACE INTO wordings VALUES (?, ?, ?)",
            [(paper_id, *_stored_wording(wording)) for paper_id, wording in wordings.items()],
        )
        db.executemany("INSERT OR IGNORE INTO stems VALUES (?, ?)", stems.items())

    def claims(self, index: Index) -> bool:
        """Whether any paper is said to be in an index."""
        return bool(self._rows(f"SELECT EXISTS (SELECT 1 FROM papers WHERE {index} = 1)")[0][0])

    def reset_index(self, index: Index) -> None:
        """Every paper is missing from an index again; what it had to forget is moot."""
        with self._transaction() as db:
            db.execute(f"UPDATE papers SET {index} = 0")
            db.execute("DELETE FROM forget WHERE index_name = ?", (index,))
            if index == "dense":
                db.execute("DELETE FROM passages")
                db.execute("UPDATE papers SET sentence_vectors = NULL")
            self._touch(db)

    # -- rebuilding beside the old indexes -------------------------------------------------------

    def begin_rebuild(self, goal: str) -> tuple[int, bool]:
        """The number of the new indexes, and whether a rebuild to the same goal goes on.

        ``goal`` says what the new indexes are to be; what was begun for another one is dropped.
        """
        with self._transaction() as db:
            found = dict(db.execute("SELECT key, value FROM meta WHERE key LIKE 'rebuild%'"))
            generation = int(found.get("rebuild_generation", self.meta("generation") or 0))
            if found.get("rebuild_goal") == goal:
                return generation, True
            _run(db, "DROP TABLE IF EXISTS rebuilt; DROP TABLE IF EXISTS rebuilt_passages")
            _run(
                db,
                "CREATE TABLE rebuilt (paper_id TEXT PRIMARY KEY, stamp TEXT NOT NULL,"
                " sentences TEXT NOT NULL, sentence_vectors BLOB NOT NULL,"
                " title INTEGER NOT NULL, numbers BLOB NOT NULL);"
                "CREATE TABLE rebuilt_passages (id TEXT PRIMARY KEY, paper_id TEXT NOT NULL,"
                " first INTEGER NOT NULL, last INTEGER NOT NULL);"
                "CREATE INDEX rebuilt_passages_paper ON rebuilt_passages (paper_id)",
            )
            db.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [("rebuild_goal", goal), ("rebuild_generation", str(generation + 1))],
            )
            return generation + 1, False

    def not_rebuilt(self, after: int, limit: int) -> list[tuple[int, Paper]]:
        """Up to ``limit`` papers that the new indexes lack, behind a row number, with theirs."""
        rows = self._rows(
            f"SELECT {_COLUMNS}, rowid FROM papers WHERE rowid > ? AND NOT EXISTS"
            " (SELECT 1 FROM rebuilt WHERE paper_id = papers.id) ORDER BY rowid LIMIT ?",
            (after, limit),
        )
        return [(int(row[-1]), _paper(row)) for row in rows]

    def count_rebuilt(self) -> int:
        """How many papers the new indexes hold."""
        return int(self._rows("SELECT COUNT(*) FROM rebuilt")[0][0])

    def stage(
        self,
        papers: Sequence[tuple[Paper, Sequence[Offsets]]],
        passages: Mapping[str, Sequence[PassageRow]],
        sentence_vectors: Mapping[str, NDArray[np.float32]],
        wordings: Mapping[str, Wording],
        stems: Mapping[int, str],
    ) -> None:
        """The new indexes hold these papers; the rest is as for ``mark_dense``."""
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO stems VALUES (?, ?)", stems.items())
            for paper, sentences in papers:
                db.execute(
                    "INSERT OR REPLACE INTO rebuilt VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        paper.id,
                        _stamp(paper.title, paper.abstract),
                        _stored_offsets(sentences),
                        _eight_bits(sentence_vectors[paper.id]),
                        *_stored_wording(wordings[paper.id]),
                    ),
                )
                db.execute("DELETE FROM rebuilt_passages WHERE paper_id = ?", (paper.id,))
                db.executemany(
                    "INSERT INTO rebuilt_passages VALUES (?, ?, ?, ?)",
                    [(row.id, row.paper_id, row.start, row.end) for row in passages[paper.id]],
                )

    def unstage_changed(self) -> int:
        """Take out of the new indexes' books what has changed or gone since; counts them."""
        stale = [
            (row[0],)
            for row in self._rows(
                "SELECT r.paper_id, r.stamp, p.title, p.abstract FROM rebuilt r"
                " LEFT JOIN papers p ON p.id = r.paper_id"
            )
            if row[2] is None or row[1] != _stamp(row[2], row[3])
        ]
        self.unstage(row[0] for row in stale)
        return len(stale)

    def unstage(self, ids: Iterable[str]) -> None:
        """Take papers out of the new indexes' books."""
        gone = [(paper_id,) for paper_id in ids]
        if gone:
            with self._transaction() as db:
                db.executemany("DELETE FROM rebuilt WHERE paper_id = ?", gone)
                db.executemany("DELETE FROM rebuilt_passages WHERE paper_id = ?", gone)

    def staged_passages(self) -> set[str]:
        """Ids of the passages that the new vectors should hold."""
        return {str(row[0]) for row in self._rows("SELECT id FROM rebuilt_passages")}

    def finish_rebuild(self, settings: Mapping[str, str]) -> None:
        """The new indexes are the library's from now on, all or nothing."""
        with self._transaction() as db:
            db.execute(
                "UPDATE papers SET sentences = r.sentences, sentence_vectors = r.sentence_vectors,"
                " lexical = 1, dense = 1 FROM rebuilt r WHERE r.paper_id = papers.id"
            )
            db.execute("DELETE FROM passages")
            db.execute(
                "INSERT INTO passages (id, paper_id, first, last)"
                " SELECT id, paper_id, first, last FROM rebuilt_passages"
            )
            db.execute("DELETE FROM forget")
            db.execute("DELETE FROM wordings")
            db.execute(
                "INSERT INTO wordings SELECT paper_id, title, numbers FROM rebuilt"
                " WHERE paper_id IN (SELECT id FROM papers)"
            )
            db.execute("DELETE FROM meta WHERE key = 'wordings'")
            (generation,) = db.execute(
                "SELECT value FROM meta WHERE key = 'rebuild_generation'"
            ).fetchone()
            db.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                [*settings.items(), ("generation", generation)],
            )
            db.execute("DELETE FROM meta WHERE key LIKE 'rebuild%'")
            _run(db, "DROP TABLE rebuilt; DROP TABLE rebuilt_passages")
            self._touch(db)

    # -- reading ----------------------------------------------------------------------------

    def _papers(self, db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, Paper]:
        found: dict[str, Paper] = {}
        for begin in range(0, len(ids), 500):
            batch = ids[begin : begin + 500]
            marks = ",".join("?" * len(batch))
            for row in db.execute(f"SELECT {_COLUMNS} FROM papers WHERE id IN ({marks})", batch):
                found[row[0]] = _paper(row)
        return found

    def papers(self, ids: Sequence[str]) -> dict[str, Paper]:
        """Papers by id, without their places; unknown ids are left out."""
        try:
            return self._papers(self._connection(), ids)
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def held_as(self, keys: Sequence[str]) -> str | None:
        """Id of the paper that was added first with one of these identity keys."""
        rows = self._rows(
            "SELECT id FROM papers WHERE id IN (SELECT paper_id FROM identities WHERE key IN"
            " (SELECT value FROM json_each(?))) ORDER BY rowid LIMIT 1",
            (json.dumps(list(keys)),),
        )
        return str(rows[0][0]) if rows else None

    def places(self, paper_id: str) -> tuple[Place, ...]:
        """Where a paper was read, in order of file and line."""
        rows = self._rows(
            "SELECT DISTINCT source, file, line FROM places WHERE paper_id = ? ORDER BY file, line",
            (paper_id,),
        )
        return tuple(Place(*row) for row in rows)

    def select(self, filters: Filters) -> Iterator[Paper]:
        """Papers that pass the filters, in the order in which they came, without their places."""
        where, values = _where(filters)
        after = -1
        rows: list[Any] = [None]
        while rows:
            # In pages: a large library need not fit into memory.
            rows = self._rows(
                f"SELECT {_COLUMNS}, rowid FROM papers{where}"
                f" {'AND' if where else 'WHERE'} rowid > ? ORDER BY rowid LIMIT ?",
                (*values, after, _PAGE),
            )
            for row in rows:
                yield _paper(row)
            after = rows[-1][-1] if rows else after

    def select_ids(self, filters: Filters) -> frozenset[str]:
        """Ids of the papers that pass the filters; kept until the library changes."""
        version = self.version
        with self._selections_lock:
            if version != self._selections_of:
                self._selections.clear()
                self._selections_of = version
            kept = self._selections.get(filters)
        if kept is not None:
            return kept
        where, values = _where(filters)
        rows = self._rows(f"SELECT id FROM papers{where}", values)
        found = frozenset(str(row[0]) for row in rows)
        with self._selections_lock:
            if version == self._selections_of:
                while len(self._selections) >= _KEPT_SELECTIONS:
                    del self._selections[next(iter(self._selections))]
                self._selections[filters] = found
        return found

    def ids_by(self, name: str, *, as_written: bool = False) -> list[str]:
        """Ids of the papers with an author or organisation that bears ``name`` as whole words.

        In any case and with any accents; with ``as_written`` authors in the case of ``name`` alone.
        """
        folded = unaccented(name)
        rows = self._rows(
            f"SELECT id, organization, authors FROM papers"
            f" WHERE {_bearing('organization')} OR {_bearing('authors')} ORDER BY rowid",
            (folded, folded),
        )
        whole = re.compile(rf"(?<!\w){re.escape(folded)}(?!\w)")
        written = re.compile(rf"(?<!\w){re.escape(without_accents(name))}(?!\w)")

        def bears(author: str) -> bool:
            if as_written:
                return written.search(without_accents(author)) is not None
            return whole.search(unaccented(author)) is not None

        return [
            str(identifier)
            for identifier, organization, authors in rows
            if whole.search(unaccented(organization or "")) or any(map(bears, json.loads(authors)))
        ]

    def extent(self) -> tuple[int, int]:
        """Number of papers and highest row: changes when papers come or go."""
        row = self._rows("SELECT COUNT(*), COALESCE(MAX(rowid), 0) FROM papers")[0]
        return int(row[0]), int(row[1])

    def select_rows(self, filters: Filters, order: Order) -> array[int]:
        """Row numbers of the papers that pass the filters, in order, for ``papers_at``."""
        where, values = _where(filters)
        also = f"{where} AND" if where else " WHERE"
        # Each order of dates is read from its index alone: in two parts, for undated come last.
        parts = {
            "newest": [f"{where} ORDER BY first_day DESC, rowid DESC"],
            "oldest": [
                f"{also} first_day IS NOT NULL ORDER BY first_day, rowid",
                f"{also} first_day IS NULL ORDER BY rowid",
            ],
            "title": [f"{where} ORDER BY title COLLATE NOCASE, rowid"],
            "added": [f"{where} ORDER BY rowid DESC"],
        }[order]
        found = array("q")
        for part in parts:
            found.extend(row[0] for row in self._rows(f"SELECT rowid FROM papers{part}", values))
        return found

    def papers_at(self, rows: Sequence[int]) -> tuple[Paper, ...]:
        """The papers of these rows, in their order; rows that are gone are left out."""
        marks = ",".join("?" * len(rows))
        found = {
            row[0]: _paper(row[1:])
            for row in self._rows(
                f"SELECT rowid, {_COLUMNS} FROM papers WHERE rowid IN ({marks})", list(rows)
            )
        }
        return tuple(found[row] for row in rows if row in found)

    def dates(self) -> list[tuple[str | None, int]]:
        """Dates of publication as printed, and how many papers have each."""
        return [
            (row[0], int(row[1]))
            for row in self._rows("SELECT published, COUNT(*) FROM papers GROUP BY published")
        ]

    def sample_embedded(self, most: int, seed: int) -> list[Paper]:
        """Up to ``most`` papers that have vectors: all of them, or drawn at random."""
        papers, highest = self.extent()
        if papers - self.count_missing("dense") <= most:
            rows = self._rows(f"SELECT {_COLUMNS} FROM papers WHERE dense = 1")
            return [_paper(row) for row in rows]
        drawn: dict[str, Paper] = {}
        rng = np.random.default_rng(seed)
        # Rows are looked up one by one: reading past all the others would take seconds.
        for batch in np.array_split(rng.permutation(highest) + 1, max(1, highest // 2_000)):
            for row in self._rows(
                f"SELECT {_COLUMNS} FROM papers WHERE dense = 1"
                " AND rowid IN (SELECT value FROM json_each(?))",
                (json.dumps(batch.tolist()),),
            ):
                drawn[row[0]] = _paper(row)
                if len(drawn) == most:
                    return list(drawn.values())
        return list(drawn.values())

    def count(self, condition: Literal["all", "dated", "passages", "sentences"] = "all") -> int:
        """How many papers, papers with a date, passages, or sentences there are."""
        sql = {
            "all": "SELECT COUNT(*) FROM papers",
            "dated": "SELECT COUNT(*) FROM papers WHERE published IS NOT NULL",
            "passages": "SELECT COUNT(*) FROM passages",
            "sentences": "SELECT COALESCE(SUM(json_array_length(sentences)), 0) FROM papers",
        }[condition]
        return int(self._rows(sql)[0][0])

    def held_dimensions(self) -> int | None:
        """Length of the sentences' vectors, as far as it is known; None without any."""
        if self.dimensions is not None:
            return self.dimensions
        rows = self._rows(
            "SELECT length(sentence_vectors) / json_array_length(sentences) FROM papers"
            " WHERE dense = 1 AND length(sentence_vectors) > 0 LIMIT 1"
        )
        return int(rows[0][0]) if rows else None

    def sources(self) -> dict[str, int]:
        """How many papers each source brought."""
        return dict(
            self._rows("SELECT source, COUNT(DISTINCT paper_id) FROM places GROUP BY source")
        )

    def date_bounds(self) -> tuple[str, str] | None:
        """Earliest and latest date of publication, as printed; None without any date."""
        rows = self._rows(
            "SELECT (SELECT published FROM papers WHERE first_day IS NOT NULL ORDER BY first_day),"
            " (SELECT published FROM papers WHERE last_day IS NOT NULL ORDER BY last_day DESC)"
        )
        return (rows[0][0], rows[0][1]) if rows and rows[0][0] else None

    def passages(self, ids: Sequence[str]) -> dict[str, PassageRow]:
        """Passages by id."""
        found: dict[str, PassageRow] = {}
        for begin in range(0, len(ids), 500):
            batch = ids[begin : begin + 500]
            marks = ",".join("?" * len(batch))
            for row in self._rows(
                f"SELECT id, paper_id, first, last FROM passages WHERE id IN ({marks})", batch
            ):
                found[row[0]] = _passage(row)
        return found

    def passages_of(self, paper_id: str) -> list[PassageRow]:
        """A paper's passages in order."""
        rows = self._rows(
            "SELECT id, paper_id, first, last FROM passages WHERE paper_id = ? ORDER BY first",
            (paper_id,),
        )
        return [_passage(row) for row in rows]

    def sentences(self, ids: Sequence[str]) -> dict[str, SentenceRow]:
        """Sentences of papers by id, with their vectors where they have been embedded."""
        found: dict[str, SentenceRow] = {}
        for begin in range(0, len(ids), 500):
            batch = ids[begin : begin + 500]
            marks = ",".join("?" * len(batch))
            for paper_id, spans_json, stored in self._rows(
                f"SELECT id, sentences, sentence_vectors FROM papers WHERE id IN ({marks})", batch
            ):
                spans = _offsets(spans_json, paper_id)
                vectors = None
                if stored and spans:
                    if not isinstance(stored, bytes) or len(stored) % len(spans):
                        raise _damaged(f"the vectors of {paper_id!r}")
                    matrix = np.frombuffer(stored, dtype=np.int8).reshape(len(spans), -1)
                    if self.dimensions not in (None, matrix.shape[1]):
                        raise _damaged(f"the vectors of {paper_id!r}")
                    vectors = matrix.astype(np.float32) / np.float32(127.0)
                found[paper_id] = SentenceRow(spans, vectors)
        return found

    def spans(self, ids: Sequence[str]) -> dict[str, tuple[Offsets, ...]]:
        """Offsets of papers' sentences by id."""
        return {
            row[0]: _offsets(row[1], row[0])
            for row in self._by_id("SELECT id, sentences FROM papers", ids)
        }

    def sentence_rows(self, ids: Sequence[str], dimensions: int) -> dict[str, NDArray[np.int8]]:
        """Sentence vectors as they are stored, by id, of the papers that are embedded.

        One row of ``dimensions`` signed bytes a sentence, 127 times a unit vector.
        """
        found: dict[str, NDArray[np.int8]] = {}
        for paper_id, stored in self._by_id("SELECT id, sentence_vectors FROM papers", ids):
            if not stored:
                continue
            if not isinstance(stored, bytes) or len(stored) % dimensions:
                raise _damaged(f"the vectors of {paper_id!r}")
            found[paper_id] = np.frombuffer(stored, np.int8).reshape(-1, dimensions)
        return found

    def wordings(self, ids: Sequence[str]) -> dict[str, Wording]:
        """The words of papers as numbers, by id, where they have been counted."""
        found: dict[str, Wording] = {}
        if not self.counts_words():
            return found
        for paper_id, title, stored in self._by_id(
            "SELECT paper_id, title, numbers FROM wordings", ids, "paper_id"
        ):
            sound = isinstance(stored, bytes) and isinstance(title, int) and not len(stored) % 4
            if not sound or not 0 <= title <= len(stored) // 4:
                raise _damaged(f"the words of {paper_id!r}")
            found[paper_id] = Wording(np.frombuffer(stored, np.uint32).astype(np.int64), title)
        return found

    def stems(self, numbers: Sequence[int]) -> dict[int, str]:
        """The stemmed words that numbers of ``wordings`` stand for, as far as they are known."""
        if not self.counts_words():
            return {}
        rows = self._by_id("SELECT number, stem FROM stems", numbers, "number")
        return {number: str(stem) for number, stem in rows}

    def texts(self, ids: Sequence[str]) -> list[tuple[str, str, str]]:
        """Id, title and words of papers; unknown ids are left out."""
        return _with_words(self._by_id("SELECT id, title, abstract, sentences FROM papers", ids))

    def counts_words(self) -> bool:
        """Whether there are tables for words: not in what an older citewise wrote last."""
        if not self._worded:
            name = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'wordings'"
            self._worded = bool(self._rows(name))
        return self._worded

    def _by_id(
        self, select: str, ids: Sequence[str] | Sequence[int], key: str = "id"
    ) -> Iterator[Any]:
        for begin in range(0, len(ids), 500):
            batch = ids[begin : begin + 500]
            marks = ",".join("?" * len(batch))
            yield from self._rows(f"{select} WHERE {key} IN ({marks})", batch)


def _with_words(rows: Iterable[Any]) -> list[tuple[str, str, str]]:
    """Id, title and words of papers, read with their abstract and its sentences."""
    found: list[tuple[str, str, str]] = []
    for row in rows:
        if not all(isinstance(text, str) for text in row):
            raise _damaged(f"the record of {str(row[0])[:80]!r}")
        paper_id, title, abstract, sentences = row
        found.append((paper_id, title, joined(abstract, _offsets(sentences, paper_id))[0]))
    return found


def _stamp(title: str, abstract: str) -> str:
    return sha256_of(f"{title}\n{abstract}")[:32]


def _eight_bits(vectors: NDArray[np.float32]) -> bytes:
    return bytes(np.clip(np.rint(vectors * 127.0), -127, 127).astype(np.int8).tobytes())


def _stored_wording(wording: Wording) -> tuple[int, bytes]:
    return wording.title, wording.numbers.astype(np.uint32).tobytes()


def _run(db: sqlite3.Connection, statements: str) -> None:
    # executescript would end the transaction.
    statement = ""
    for part in statements.strip().split(";"):
        statement += f"{part};"
        # A trigger has semicolons of its own.
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""


def _damaged(what: str) -> LibraryError:
    return LibraryError(
        f"The library is damaged or was changed by another program: {what}. Restore it from a "
        "copy, or ingest its papers again into a new one."
    )


def _stored_offsets(sentences: Sequence[Offsets]) -> str:
    # The same characters as json.dumps gives, in a quarter of the time.
    return str([[start, end] for start, end in sentences])


def _days(paper: Paper) -> tuple[int, int] | tuple[None, None]:
    return day_range(paper.published) if paper.published else (None, None)


def _offsets(stored: object, paper_id: object) -> tuple[Offsets, ...]:
    try:
        spans = json.loads(stored) if isinstance(stored, str) else None
        offsets = tuple((start, end) for start, end in spans or ())
    except (ValueError, TypeError, RecursionError):
        spans = None
    if not isinstance(spans, list) or not all(
        type(start) is int and type(end) is int and 0 <= start <= end for start, end in offsets
    ):
        raise _damaged(f"the sentences of {paper_id!r}")
    return offsets


def _passage(row: Sequence[Any]) -> PassageRow:
    if not (type(row[2]) is int and type(row[3]) is int and 0 <= row[2] <= row[3]):
        raise _damaged(f"the passage {row[0]!r}")
    return PassageRow(*row)


def _values(paper: Paper) -> tuple[object, ...]:
    return (
        paper.id,
        paper.title,
        paper.abstract,
        _ENCODER.encode(paper.authors),
        paper.author_count,
        paper.published,
        paper.date_text,
        paper.url,
        paper.source,
        paper.organization,
        paper.arxiv_id,
        paper.doi,
    )


def _paper(row: Sequence[Any]) -> Paper:
    try:
        authors = json.loads(row[3])
    except (ValueError, TypeError, RecursionError):
        authors = None
    whole = (
        isinstance(authors, list)
        and all(isinstance(text, str) for text in (*row[:3], *authors))
        and all(text is None or isinstance(text, str) for text in row[5:12])
        and (row[4] is None or isinstance(row[4], int))
    )
    if not whole:
        raise _damaged(f"the record of {str(row[0])[:80]!r}")
    return Paper(
        id=row[0],
        title=row[1],
        abstract=row[2],
        authors=tuple(authors),
        author_count=row[4],
        published=row[5],
        date_text=row[6],
        url=row[7],
        source=row[8],
        organization=row[9],
        arxiv_id=row[10],
        doi=row[11],
    )


def _where(filters: Filters) -> tuple[str, list[object]]:
    """The SQL condition of the filters and its values; a paper without a date fails a date filter.

    Raises ValueError for a date that is not one.
    """
    clauses: list[str] = []
    values: list[object] = []
    if filters.since:
        clauses.append("last_day >= ?")
        values.append(day_range(filters.since)[0])
    if filters.until:
        clauses.append("first_day <= ?")
        values.append(day_range(filters.until)[1])
    if filters.source:
        clauses.append("id IN (SELECT paper_id FROM places WHERE source = ?)")
        values.append(filters.source)
    if filters.author:
        clauses.append(_BY_AUTHOR)
        values.append(unaccented(filters.author))
    if filters.papers:
        # One bound value, however many ids.
        clauses.append("id IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(filters.papers))
    return (" WHERE " + " AND ".join(clauses) if clauses else ""), values
