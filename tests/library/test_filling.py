"""Words at once, vectors as time allows: beside other processes, in the background, resumed."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from tests.support.processes import Python

from citewise.errors import FingerprintError, LibraryError
from citewise.library import lexical, locks, vectors
from citewise.library.embedding import MiniLM, PassageInput, PassageVectors
from citewise.library.library import Library, Progress
from citewise.library.wordings import number_of
from citewise.types import Paper

Open = Callable[..., Library]


def papers(n: int, start: int = 0, animal: str = "quagga") -> list[Paper]:
    return [
        Paper(f"{animal}{at}", f"On {animal} {at}", f"The {animal} number {at} grazes. It sleeps.")
        for at in range(start, start + n)
    ]


def assert_whole(library: Library) -> None:
    assert library.check() == []
    held = library._vectors._collection().get()
    embedded = {metadata["paper_id"] for metadata in held["metadatas"] or []}
    assert embedded == {paper.id for paper in library.papers()}
    # Also what Chroma finds, not just what it lists.
    for paper in list(library.papers())[:: max(1, len(library) // 5)]:
        vector = library.embedder.embed_queries([f"{paper.title}. {paper.abstract}"])[0]
        assert paper.id in {found for _, found, _ in library._vectors.search(vector, 5)}


class Slow(MiniLM):
    """Tells when it works, and takes its time."""

    working: threading.Event

    def embed_passages(self, passages: Iterable[PassageInput]) -> Iterator[PassageVectors]:
        self.working.set()
        time.sleep(1.0)
        yield from super().embed_passages(passages)


@pytest.fixture
def open_library(tmp_path: Path, encoder: MiniLM) -> Iterator[Open]:
    opened: list[Library] = []

    def open_(embedder: MiniLM = encoder) -> Library:
        opened.append(Library.open(tmp_path / "library", embedder=embedder))
        return opened[-1]

    yield open_
    for library in opened:
        library.close()


def test_words_are_found_before_anything_is_embedded(open_library: Open) -> None:
    library = open_library()
    assert library.add(papers(30), embed=False).added == 30
    assert (library.waiting(), library.info().embedded) == (30, 0)
    found = library.find("quagga number 7", 3)
    assert found.hits[0].paper.id == "quagga7"
    assert any("30 papers are not embedded" in note for note in found.notes)
    assert library.check() == []
    # Few as they are, opening leaves them, for that was asked for.
    again = open_library()
    assert again.waiting() == 30
    seen: list[Progress] = []
    assert again.embed(seen.append) == 30
    assert seen[-1] == Progress("embedding", 30, 30)
    assert again.find("quagga number 7", 3).notes == ()
    assert_whole(again)
    # From now on, opening finishes again what a killed process leaves.
    library._store.reset_index("dense")
    assert open_library().waiting() == 0


def test_embedding_lets_another_process_add_in_between(
    open_library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    slow.working = threading.Event()
    library = open_library(slow)
    library.add(papers(64 * 3), embed=False)
    embedding = threading.Thread(target=library.embed)
    embedding.start()
    assert slow.working.wait(30)
    code = """
import sys
from citewise import Library
from citewise.types import Paper
with Library.open(sys.argv[1]) as library:
    library.add([Paper("heron", "Heron", "A heron stands on one leg.")], embed=False)
    library.add([Paper("quagga3", "On quagga 3", "Quite another text of okapis.")], embed=False)
    library.remove(["quagga5"])
    print(library.waiting() > 0, flush=True)
"""
    other = Python(code, library.path)
    out = other.finish()
    assert (other.returncode, out) == (0, "True\n")
    embedding.join(60)
    assert not embedding.is_alive()
    assert len(library) == 64 * 3
    assert library.waiting() == 0
    assert_whole(library)
    assert library.paper("quagga3").abstract == "Quite another text of okapis."
    assert library.search("okapis", 1)[0].paper.id == "quagga3"


def test_two_that_embed_share_the_work(open_library: Open) -> None:
    slow = Slow()
    slow.working = threading.Event()
    library = open_library(slow)
    library.add(papers(64 * 2), embed=False)
    code = "import sys; from citewise import Library; print(Library.open(sys.argv[1]).embed())"
    embedding = threading.Thread(target=library.embed)
    embedding.start()
    assert slow.working.wait(30)
    other = Python(code, library.path)
    out = other.finish()
    embedding.join(60)
    # It waited for the first and came back when all was done.
    assert other.returncode == 0
    assert int(out) <= 64 * 2
    assert library.waiting() == 0
    assert_whole(library)


def test_a_killed_embedding_goes_on_where_it_stopped(open_library: Open) -> None:
    library = open_library()
    library.add(papers(64 * 4), embed=False)
    code = """
import os, signal, sys
from citewise import Library
def show(progress):
    if progress.done >= 128:
        os.kill(os.getpid(), signal.SIGKILL)
Library.open(sys.argv[1]).embed(show)
"""
    killed = Python(code, library.path)
    killed.finish()
    assert killed.returncode == -signal.SIGKILL
    again = open_library()
    assert again.waiting() == 64 * 4 - 128
    assert again.embed() == 64 * 2
    assert_whole(again)


def test_the_background_embeds_what_comes_and_stops(open_library: Open) -> None:
    library = open_library()
    library.add(papers(40), embed=False)
    with library.embedding_in_background():
        deadline = time.monotonic() + 60
        while library.waiting():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        other = Python(
            "import sys; from citewise import Library; from citewise.types import Paper\n"
            "with Library.open(sys.argv[1]) as library:\n"
            "    library.add([Paper('heron', 'Heron', 'It stands on one leg.')], embed=False)\n",
            library.path,
        )
        assert other.wait(60) == 0
        while library.waiting():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        library.add(papers(100, start=50), embed=False)
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 5
    assert "citewise-embedding" not in {thread.name for thread in threading.enumerate()}
    assert library.search("a bird on one leg", 1)[0].paper.id == "heron"
    library.embed()
    assert_whole(library)


def test_the_background_gives_way_to_questions(open_library: Open) -> None:
    library = open_library()
    library.add(papers(200), embed=False)
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.05):
            library.search("quagga")

    library.search("quagga")
    asking = threading.Thread(target=ask)
    asking.start()
    with library.embedding_in_background():
        time.sleep(1.5)
        assert library.waiting() == 200
        done.set()
        asking.join()
        deadline = time.monotonic() + 60
        while library.waiting() == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_two_processes_that_write_in_turns_lose_nothing(open_library: Open) -> None:
    library = open_library()
    library.add(papers(40))
    library.search("quagga")
    code = """
import sys
from citewise import Library
from citewise.types import Paper
with Library.open(sys.argv[1]) as library:
    for turn, _ in enumerate(sys.stdin):
        library.add([Paper(f"o{turn}", f"Okapi {turn}", f"Okapi {turn} hides. It eats leaves.")])
        print(turn, flush=True)
"""
    other = Python(code, library.path)
    for turn in range(6):
        other.stdin.write("go\n")
        other.stdin.flush()
        assert other.stdout.readline() == f"{turn}\n"
        library.add(papers(5, start=100 + 5 * turn))
    other.finish()
    assert len(library) == 40 + 6 + 30
    assert_whole(library)
    assert_whole(open_library())


@pytest.mark.parametrize("held", [-1, 2_000])
@pytest.mark.parametrize("before", [0, 5])
def test_a_search_while_another_process_writes_vectors(
    open_library: Open, monkeypatch: pytest.MonkeyPatch, before: int, held: int
) -> None:
    monkeypatch.setattr(vectors, "_MOST_HELD", held)
    reader = open_library()
    reader.add(papers(before))
    reader.add([Paper("heron", "Herons", "They stand on one leg.")], embed=False)
    assert reader.search("birds in the water", 1, papers=["heron"]) == ()
    reader.find("quagga")
    code = """
import sys
from citewise import Library
from citewise.library.papers import PaperStore
real = PaperStore.mark_dense
def slowly(*args):
    # The vectors are written, the books do not say so yet.
    print("written", flush=True)
    sys.stdin.readline()
    return real(*args)
PaperStore.mark_dense = slowly
with Library.open(sys.argv[1]) as library:
    library.embed()
"""
    other = Python(code, reader.path)
    assert other.stdout.readline() == "written\n"
    for _ in range(2):
        # What is held in memory is as old as the books.
        assert len(reader.search("birds in the water", 1, papers=["heron"])) == (held < 0)
        assert len(reader.search("birds in the water", 9)) == before + (held < 0)
    other.finish("go on\n")
    assert other.returncode == 0
    assert reader.search("birds in the water", 1, papers=["heron"])[0].dense_rank == 1
    assert len(reader.search("birds in the water", 9)) == before + 1
    assert_whole(reader)


def test_who_writes_for_long_is_named(open_library: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.1)
    library = open_library()
    library.add(papers(3), embed=False)
    with (
        open_library()._filler.writing(),
        pytest.raises(LibraryError, match="Another process is writing"),
    ):
        library.embed()


# -- libraries of an older citewise ------------------------------------------------------------


def make_old(path: Path) -> None:
    """As the first version wrote it: one file name stood for every folder."""
    with sqlite3.connect(path / "papers.sqlite") as db:
        db.executescript(
            "CREATE TABLE old (paper_id TEXT NOT NULL, source TEXT NOT NULL, file TEXT NOT NULL,"
            " line INTEGER NOT NULL, text_sha256 TEXT NOT NULL,"
            " PRIMARY KEY (paper_id, source, file, line));"
            "INSERT INTO old SELECT paper_id, source, file, line, text_sha256 FROM places;"
            "DROP TABLE places; ALTER TABLE old RENAME TO places;"
            "UPDATE meta SET value = '1' WHERE key = 'schema';"
            "DROP TRIGGER wordings_of_another_text; DROP TABLE wordings; DROP TABLE stems;"
        )
    db.close()


def counted(path: Path) -> set[str]:
    """Papers whose words have been counted."""
    db = sqlite3.connect(path / "papers.sqlite")
    found = {row[0] for row in db.execute("SELECT paper_id FROM wordings")}
    db.close()
    return found


def schema(path: Path) -> str:
    db = sqlite3.connect(path / "papers.sqlite")
    (found,) = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
    db.close()
    return str(found)


def test_an_older_library_is_read_as_it_is_and_upgraded_when_written_to(
    open_library: Open, tmp_path: Path
) -> None:
    file = tmp_path / "own.csv"
    file.write_text("title,abstract\nQuagga,It grazes.\n")
    library = open_library()
    library.ingest(file)
    library.close()
    make_old(library.path)
    old = open_library()
    (held,) = old.papers()
    assert [place.file for place in old.paper(held.id).places] == ["own.csv"]
    assert old.search("quagga")[0].paper.id == held.id
    assert schema(library.path) == "1"
    report = old.ingest([file])
    assert (report.unchanged, report.added, report.updated) == (1, 0, 0)
    assert schema(library.path) == "3"
    assert [place.file for place in old.paper(held.id).places] == ["own.csv"]
    assert_whole(old)


def test_an_upgrade_killed_halfway_leaves_the_old_library(open_library: Open) -> None:
    library = open_library()
    library.add(papers(3))
    library.close()
    make_old(library.path)
    code = """
import os, signal, sys
from citewise.library import papers
from citewise.library.library import Library
papers._UPGRADES[1] = papers._UPGRADES[1].rstrip() + "SELECT die();"
real = papers.PaperStore._set_up
def set_up(connection):
    real(connection)
    connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
papers.PaperStore._set_up = staticmethod(set_up)
Library.open(sys.argv[1]).add([])
"""
    killed = Python(code, library.path)
    killed.finish()
    assert killed.returncode == -signal.SIGKILL
    assert schema(library.path) == "1"
    again = open_library()
    assert again.add(papers(3)).unchanged == 3
    assert schema(library.path) == "3"
    assert_whole(again)


def make_uncounted(path: Path) -> None:
    """As the second version wrote it: words stood in the word index alone."""
    with sqlite3.connect(path / "papers.sqlite") as db:
        db.executescript(
            "DROP TRIGGER wordings_of_another_text; DROP TABLE wordings; DROP TABLE stems;"
            "UPDATE meta SET value = '2' WHERE key = 'schema';"
        )
    db.close()


def test_words_that_an_older_citewise_did_not_count_are_counted_when_embedding(
    open_library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("citewise.library.filling._COUNT_BATCH", 2)
    library = open_library()
    library.add(papers(9))
    wanted = [hit.to_dict() for hit in library.search("birds in the water", 9)]
    library.close()
    make_uncounted(library.path)
    old = open_library()
    # As it is, the words are read from the papers.
    assert [hit.to_dict() for hit in old.search("birds in the water", 9)] == wanted
    assert schema(library.path) == "2"
    old.embed()
    assert counted(library.path) == {paper.id for paper in old.papers()}
    assert not old._store.lacks_wordings()
    assert [hit.to_dict() for hit in old.search("birds in the water", 9)] == wanted


def test_the_background_counts_the_words_of_an_older_library(open_library: Open) -> None:
    library = open_library()
    library.add(papers(9))
    library.close()
    make_uncounted(library.path)
    old = open_library()
    with old.embedding_in_background():
        deadline = time.monotonic() + 30
        while old._store.lacks_wordings() or not old._store.counts_words():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert counted(library.path) == {paper.id for paper in old.papers()}


@pytest.mark.parametrize("change", ["text", "rebuild"])
def test_words_counted_of_what_has_changed_meanwhile_are_not_kept(
    change: str, open_library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = open_library()
    library.add([*papers(3), Paper("heron", "Herons", "They stand on one leg.")])
    library.close()
    make_uncounted(library.path)
    old = open_library()
    with old._filler.writing():
        pass  # brings the tables up to date
    real = lexical.terms
    begun: list[str] = []

    def meanwhile(text: str) -> list[str]:
        found = real(text)
        if not begun:
            begun.append(change)
            if change == "rebuild":
                Library.repair(library.path).close()
            else:
                open_library().add([Paper("heron", "Herons", "They stand on two legs and wade.")])
        return found

    monkeypatch.setattr(lexical, "terms", meanwhile)
    old.embed()
    assert begun
    assert counted(library.path) == {paper.id for paper in old.papers()}
    (heron,) = old._store.wordings(["heron"]).values()
    assert len(heron.numbers) == len(old.terms(f"Herons {old.paper('heron').abstract}"))


def test_words_that_cannot_be_kept_are_not_counted_for_ever(open_library: Open) -> None:
    library = open_library()
    library.add(papers(5))
    library.close()
    with sqlite3.connect(library.path / "papers.sqlite") as db:
        db.executescript(
            "DELETE FROM wordings; INSERT INTO meta VALUES ('wordings', 'missing');"
            "CREATE TRIGGER never BEFORE INSERT ON wordings BEGIN SELECT RAISE(IGNORE); END;"
        )
    db.close()
    library = open_library()
    library.embed()
    assert counted(library.path) == set()
    assert len(library.search("birds in the water", 5)) == 5


def test_counted_words_are_those_of_the_paper_as_it_is(open_library: Open) -> None:
    library = open_library()
    library.add([Paper("heron", "Herons", "They stand on one leg."), *papers(3)])
    (before,) = library._store.wordings(["heron"]).values()
    assert before.title == 1
    stems = library._store.stems(before.numbers.tolist())
    assert [stems[n] for n in before.numbers.tolist()] == library.terms(
        "Herons They stand on one leg."
    )
    library.add([Paper("heron", "Herons", "They stand on two legs and wade.")], embed=False)
    assert "heron" not in counted(library.path)
    assert library.search("herons that wade", 1)[0].matched_words == ("herons", "wade")
    library.embed()
    (after,) = library._store.wordings(["heron"]).values()
    assert len(after.numbers) > len(before.numbers)
    library.add([Paper("stork", "Storks", "They wade on long legs.")])
    library.remove(["heron"])
    assert counted(library.path) == {paper.id for paper in library.papers()}
    # Words that no other paper has are gone as well.
    words = {number_of(stem): stem for stem in library.terms("herons wade two legs")}
    assert set(library._store.stems(list(words)).values()) == {"wade", "leg"}
    # What is made again is counted again.
    library.close()
    library = Library.repair(library.path)
    assert counted(library.path) == {paper.id for paper in library.papers()}


def test_a_library_of_a_later_citewise_is_left_alone(open_library: Open) -> None:
    library = open_library()
    library._store.set_meta("schema", "99")
    library.close()
    with pytest.raises(FingerprintError, match="Update citewise"):
        open_library()


# -- one file name, several folders ------------------------------------------------------------


def test_files_of_one_name_in_two_folders_settle(open_library: Open, tmp_path: Path) -> None:
    texts = {"one": "It reaches 81.5 points.", "two": "It reaches 81.5 points, at last."}
    for folder, text in texts.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "own.csv").write_text(
            f"id,title,abstract,url\nx,Dolphin,{text!r},https://arxiv.org/abs/2505.14059\n".replace(
                "'", '"'
            )
        )
    library = open_library()
    for folder in texts:
        library.ingest(tmp_path / folder)
    (held,) = library.papers()
    for _ in range(2):
        for folder in texts:
            report = library.ingest(tmp_path / folder)
            assert (report.unchanged, report.updated) == (1, 0), folder
    assert next(library.papers()) == held
    assert [place.line for place in library.paper(held.id).places] == [2]
    # A correction in either folder is news.
    (tmp_path / "one" / "own.csv").write_text(
        "id,title,abstract,url\nx,Dolphin,It reaches 80 points.,https://arxiv.org/abs/2505.14059\n"
    )
    assert library.ingest(tmp_path / "one").updated == 1
    assert next(library.papers()).abstract == "It reaches 80 points."


def test_a_title_is_found_first_before_its_paper_is_embedded(
    open_library: Open, sample_library: Library
) -> None:
    sample = sorted(sample_library.papers(), key=lambda paper: paper.id)
    with open_library() as library:
        library.add(sample[:60])
        library.add(sample[60:], embed=False)
        asked = sample[60::3]
        assert [library.search(paper.title, 1)[0].paper.id for paper in asked] == [
            paper.id for paper in asked
        ]
