"""A library, model or bundle from somebody else: nothing in it is run, damage is said in words."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from citewise.answering.assistant import Assistant
from citewise.bundle import verify_bundle
from citewise.errors import CitewiseError, LibraryError
from citewise.export import EXPORTS
from citewise.library.embedding import MiniLM
from citewise.library.library import Library

PAPERS = [
    {
        "id": f"p{n}",
        "title": f"{name}: Faster Caches",
        "abstract": f"{name} halves the memory of the cache. It is {n + 2} times faster.",
        "authors": ["Ada Brandt"],
        "published": "2024-10-12",
    }
    for n, name in enumerate(("Lantern", "Kestrel", "Quince", "Meridian"))
]
QUESTION = "How much memory does Lantern save?"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "papers.jsonl").write_text("\n".join(map(json.dumps, PAPERS)))
    with Library.open(folder / "library", embedder=encoder) as library:
        library.ingest(folder / "papers.jsonl")
    return folder / "library"


@pytest.fixture
def theirs(made: Path, tmp_path: Path) -> Path:
    """A copy to be doctored."""
    return Path(shutil.copytree(made, tmp_path / "theirs"))


def use(folder: Path, encoder: MiniLM) -> list[str]:
    """Do everything with a library; the messages of what failed, each in our words."""
    said: list[str] = []

    def attempt(work: Callable[[], object]) -> None:
        try:
            work()
        except CitewiseError as error:
            said.append(str(error))

    def opened() -> None:
        with Library.open(folder, embedder=encoder, create=False) as library:
            attempt(lambda: library.search("cache memory"))
            attempt(lambda: Assistant(library).ask(QUESTION))
            attempt(lambda: list(library.papers()))
            attempt(lambda: library.paper("p1"))
            attempt(library.info)
            attempt(library.check)
            for export in EXPORTS.values():
                attempt(lambda export=export: list(export(library.papers())))  # type: ignore[misc]

    attempt(opened)
    for message in said:
        assert len(message) < 1000
        assert "Traceback" not in message
    return said


def change(folder: Path, sql: str, *values: object) -> None:
    db = sqlite3.connect(folder / "papers.sqlite")
    with db:
        db.execute(sql, values)
    db.close()


def test_an_untouched_copy_works(theirs: Path, encoder: MiniLM) -> None:
    assert use(theirs, encoder) == []


@pytest.mark.parametrize(
    "value",
    [
        *(None, b"\xff\x00bytes", -1, 2**62, 1e308, "", "[", "[[0, 1e999]]", "{}", "null"),
        *("[[5, 2], [-9, 99999]]", '[{"a": 1}]', "\x1b[31m", "x" * 100_000),
    ],
)
@pytest.mark.parametrize(
    "column", ["abstract", "authors", "published", "sentences", "sentence_vectors", "title"]
)
def test_any_value_in_the_papers_is_used_or_refused_in_words(
    column: str, value: object, theirs: Path, encoder: MiniLM
) -> None:
    try:
        change(theirs, f"UPDATE papers SET {column} = ? WHERE id = 'p0'", value)
    except sqlite3.IntegrityError:
        return
    use(theirs, encoder)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE passages SET first = -5, last = 10000",
        "UPDATE passages SET first = 'x'",
        "UPDATE passages SET paper_id = 'nobody'",
        "DELETE FROM passages",
        "UPDATE meta SET value = 'x' WHERE key = 'version'",
        "UPDATE wordings SET numbers = 'x'",
        "UPDATE wordings SET numbers = x'0102'",
        "UPDATE wordings SET numbers = x''",
        "UPDATE wordings SET title = 'x'",
        "UPDATE wordings SET title = -1",
        "UPDATE wordings SET title = 99999",
        "UPDATE stems SET stem = x'ff00'",
        "UPDATE stems SET stem = 7",
        "DELETE FROM stems",
        "DROP TABLE stems",
        "DROP TABLE wordings",
        "DROP TABLE places",
        "DROP TABLE passages",
        "UPDATE papers SET lexical = 0, dense = 0",
        "INSERT INTO forget VALUES ('dense', 'p0#0')",
    ],
)
def test_doctored_books_are_used_or_refused_in_words(
    sql: str, theirs: Path, encoder: MiniLM
) -> None:
    db = sqlite3.connect(theirs / "papers.sqlite")
    db.execute("PRAGMA foreign_keys = OFF")
    try:
        with db:
            db.execute(sql)
    except sqlite3.IntegrityError:
        return
    finally:
        db.close()
    use(theirs, encoder)


@pytest.mark.parametrize("function", ["load_extension", "casefold"])
def test_what_sqlite_would_run_by_itself_gets_no_functions(
    function: str, theirs: Path, encoder: MiniLM, tmp_path: Path
) -> None:
    """Views and triggers are a stranger's code; SQLite's harmless functions are all they get."""
    change(
        theirs,
        f"CREATE TRIGGER evil AFTER UPDATE ON papers BEGIN SELECT {function}("
        + ("'x'" if function == "casefold" else f"'{tmp_path}/evil.so'")
        + "); END",
    )
    with Library.open(theirs, embedder=encoder) as library:
        paper = library.paper("p1")
        newer = replace(paper, abstract=paper.abstract + " It is new.")
        with pytest.raises(LibraryError, match=function):
            library.add([newer])
        assert library.search("cache memory")


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


def test_nothing_is_unpickled(theirs: Path, encoder: MiniLM, tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    data = pickle.dumps(Bomb(mark))
    change(theirs, "UPDATE papers SET sentence_vectors = ?", data)
    # Before the files come: with them the vector index is refused, and no more is read behind it.
    use(theirs, encoder)
    for file in [path for path in theirs.rglob("*") if path.is_file()]:
        if file.name not in ("papers.sqlite",):
            (file.parent / "index_metadata.pickle").write_bytes(data)
            (file.parent / "meta.pickle").write_bytes(data)
    for folder in [path for path in theirs.rglob("*") if path.is_dir()]:
        (folder / "index_metadata.pickle").write_bytes(data)
        (folder / "__init__.py").write_text(f"import os; os.mkdir({str(mark)!r})")
    use(theirs, encoder)
    assert not mark.exists()
    pickle.loads(data)  # noqa: S301 - our own: proves that the test would have seen it
    assert mark.exists()


@pytest.mark.parametrize("name", ["default", "openai", "sentence_transformer", "huggingface"])
def test_an_embedding_function_named_in_chroma_is_never_made(
    name: str, theirs: Path, encoder: MiniLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    import chromadb.utils.embedding_functions as functions  # noqa: PLC0415 - slow

    made: list[str] = []
    for known, kind in functions.known_embedding_functions.items():

        def build(config: object, known: str = known) -> Any:
            made.append(known)
            raise RuntimeError(f"{known} was made from {config}")

        monkeypatch.setattr(kind, "build_from_config", staticmethod(build))
    db = sqlite3.connect(theirs / "vectors" / "chroma.sqlite3")
    evil = {"type": "known", "name": name, "config": {"api_base": "http://127.0.0.1:9"}}
    with db:
        for row, text in db.execute("SELECT id, config_json_str FROM collections").fetchall():
            config = {**json.loads(text or "{}"), "embedding_function": evil}
            db.execute(
                "UPDATE collections SET config_json_str = ?, schema_str = NULL WHERE id = ?",
                (json.dumps(config), row),
            )
    db.close()
    said = use(theirs, encoder)
    assert made == []
    assert all("vector index" in message for message in said)


def index_files(folder: Path) -> Iterator[Path]:
    for name in ("lexical", "vectors"):
        yield from sorted(path for path in (folder / name).rglob("*") if path.is_file())


@pytest.mark.parametrize("damage", ["cut", "zeros", "noise"])
def test_doctored_indexes_are_used_or_refused_in_words(
    damage: str, made: Path, encoder: MiniLM, tmp_path: Path
) -> None:
    count = len(list(index_files(made)))
    assert count > 4
    for at in range(count):
        folder = Path(shutil.copytree(made, tmp_path / f"{damage}{at}"))
        file = list(index_files(folder))[at]
        data = file.read_bytes()
        if damage == "cut":
            file.write_bytes(data[: len(data) // 2])
        elif damage == "zeros":
            file.write_bytes(bytes(len(data)))
        else:
            file.write_bytes(bytes((byte * 7 + n) % 256 for n, byte in enumerate(data)))
        for message in use(folder, encoder):
            assert "doctor --repair" in message or "library" in message, (file, message)


def test_a_bundle_of_somebody_else_is_only_read(tmp_path: Path) -> None:
    """What is changed, cut or linked in it: tests/test_bundle.py."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    mark = tmp_path / "it-ran"
    (folder / "__init__.py").write_text(f"import os; os.mkdir({str(mark)!r})")
    (folder / "answers.jsonl").write_bytes(pickle.dumps(Bomb(mark)))
    (folder / "papers.jsonl").write_text('{"id": ' + "[" * 50_000)
    names = {"../../etc/passwd": "0", "/etc/passwd": "0", "answers.jsonl": "0"}
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "files": names}))
    proof = verify_bundle(folder)
    assert not proof.proved
    assert not any("passwd" in failure.what for failure in proof.failures)
    assert not mark.exists()
