from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.processes import Python

from citewise.errors import CitewiseError, FingerprintError, NotALibraryError
from citewise.library.papers import Outcome, PaperStore, day_range
from citewise.library.passages import sentence_spans
from citewise.sources.identity import derive_id, identity_keys
from citewise.types import Filters, Paper, Place


def paper(
    title: str = "A title",
    abstract: str = "We show one thing. It holds.",
    *,
    file: str = "one.jsonl",
    line: int = 1,
    **fields: Any,
) -> Paper:
    fields.setdefault("id", fields.get("arxiv_id") or derive_id(title, abstract))
    place = Place("jsonl", file, line)
    return Paper(title=title, abstract=abstract, places=(place,), **fields)


def write(store: PaperStore, *papers: Paper) -> list[Outcome]:
    rows = [(p, identity_keys(p), tuple(sentence_spans(p.abstract))) for p in papers]
    return store.write(rows, set())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PaperStore]:
    store = PaperStore(tmp_path / "papers.sqlite", create=True)
    yield store
    store.close()


@pytest.mark.parametrize(
    ("date", "first", "last"),
    [
        ("2024", 20240101, 20241231),
        ("2024-10", 20241001, 20241031),
        ("2024-10-12", 20241012, 20241012),
    ],
)
def test_a_date_is_a_range_of_days(date: str, first: int, last: int) -> None:
    assert day_range(date) == (first, last)


@pytest.mark.parametrize(
    "date",
    "/24/2024-/2024-13/2024-00/2024-10-00/2024-10-32/Oct 2024/²024/2024-10-12-01/ 2024/2024\n"
    "/٢٠٢٤/-2024/20241".split("/"),
)
def test_what_is_no_date_is_refused_with_the_right_forms(date: str) -> None:
    with pytest.raises(ValueError, match="write 2024, 2024-10 or 2024-10-12"):
        day_range(date)


def test_two_papers_with_one_title_stay_two(store: PaperStore) -> None:
    dolphins = [
        paper("Dolphin", "A document parser with anchors.", arxiv_id="2505.14059"),
        paper("Dolphin", "Thinking in closed loops about research.", arxiv_id="2501.03916"),
        paper("Dolphin", "Long context as another modality."),
    ]
    assert write(store, *dolphins) == ["added"] * 3
    assert store.count() == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"arxiv_id": "2410.10814"}, {"url": "https://arxiv.org/abs/2410.10814v3", "id": "x"}),
        ({"doi": "10.1145/ABC.1"}, {"url": "https://doi.org/10.1145/abc.1", "id": "x"}),
    ],
)
def test_one_paper_from_two_sources_is_one_with_two_places(
    store: PaperStore, one: dict[str, Any], other: dict[str, Any]
) -> None:
    first = paper("T", "Same words. ", **one)
    second = paper("t", "Same  WORDS.", file="two.csv", line=7, published="2024-10", **other)
    write(store, first)
    assert write(store, second) == ["updated"]
    (held,) = store.select(Filters())
    assert (held.abstract, held.published) == ("Same words. ", "2024-10")
    assert store.places(held.id) == (Place("jsonl", "one.jsonl", 1), Place("jsonl", "two.csv", 7))


def test_the_best_of_each_field_is_kept_and_nothing_is_taken_away(store: PaperStore) -> None:
    write(store, paper(arxiv_id="2410.10814", published="2024", authors=("Ann", "Bob")))
    write(store, paper(arxiv_id="2410.10814", published="2024-10-12", url="https://e.org"))
    write(store, paper(arxiv_id="2410.10814", published="2023", authors=("Ann",), doi="10.1234/x"))
    (held,) = store.select(Filters())
    assert held.published == "2024-10-12"
    assert held.authors == ("Ann", "Bob")
    assert (held.url, held.doi) == ("https://e.org", "10.1234/x")


def test_a_changed_abstract_updates_and_a_second_print_of_it_does_not_flip_back(
    store: PaperStore,
) -> None:
    early = paper(abstract="An early text.", arxiv_id="2410.10814", file="a.txt")
    late = paper(abstract="A later text, corrected.", arxiv_id="2410.10814", file="b.txt")
    assert write(store, early) == ["added"]
    assert write(store, late) == ["updated"]
    for _ in range(2):
        assert write(store, early) == ["unchanged"]
        assert write(store, late) == ["unchanged"]
        assert next(store.select(Filters())).abstract == "A later text, corrected."
    edited = paper(abstract="An early text, edited.", arxiv_id="2410.10814", file="a.txt")
    assert write(store, edited) == ["updated"]
    assert next(store.select(Filters())).abstract == "An early text, edited."


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0)])
def test_a_record_that_joins_two_papers_makes_them_one(
    store: PaperStore, order: tuple[int, ...]
) -> None:
    records = (
        paper("Preprint", "Words of the preprint.", arxiv_id="2410.10814", file="a"),
        paper("Article", "Words of the article.", doi="10.1234/x", file="b"),
        paper("Both", "Words.", arxiv_id="2410.10814", doi="10.1234/x", file="c"),
    )
    for at in order:
        write(store, records[at])
    (held,) = store.select(Filters())
    assert (held.arxiv_id, held.doi) == ("2410.10814", "10.1234/x")
    assert [place.file for place in store.places(held.id)] == ["a", "b", "c"]
    for record in records:
        assert write(store, record) == ["unchanged"]


def test_two_collections_that_number_alike_do_not_overwrite_each_other(store: PaperStore) -> None:
    one = paper("Cells", "Proteins fold in the cell.", id="1")
    other = paper("Stars", "Galaxies turn slowly.", id="1", file="other.jsonl")
    assert write(store, one, other) == ["added", "added"]
    assert write(store, other, one) == ["unchanged", "unchanged"]
    assert {held.title for held in store.select(Filters())} == {"Cells", "Stars"}


def test_writing_the_same_again_changes_no_row(store: PaperStore, tmp_path: Path) -> None:
    papers = [paper(f"Title {i}", f"Words {i}.", line=i) for i in range(20)]
    write(store, *papers)
    before = dump(tmp_path / "papers.sqlite")
    assert write(store, *papers, papers[3]) == ["unchanged"] * 20 + ["duplicate"]
    assert dump(tmp_path / "papers.sqlite") == before


def dump(path: Path) -> list[str]:
    db = sqlite3.connect(path)
    lines = list(db.iterdump())
    db.close()
    return lines


def test_removing_a_paper_leaves_no_row_of_it(store: PaperStore, tmp_path: Path) -> None:
    one, other = paper("One", "Words of one."), paper("Other", "Words of another.")
    write(store, one, other)
    assert store.remove([one.id, "never there", one.id]) == 1
    db = sqlite3.connect(tmp_path / "papers.sqlite")
    for table, column in (("papers", "id"), ("places", "paper_id"), ("identities", "paper_id")):
        assert db.execute(f"SELECT DISTINCT {column} FROM {table}").fetchall() == [(other.id,)]
    db.close()
    assert write(store, one) == ["added"]


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        (Filters(), "day month year none"),
        (Filters(since="2024-10-12"), "day month year"),
        (Filters(since="2024-10-13"), "month year"),
        (Filters(since="2024-11"), "year"),
        (Filters(until="2024-09"), "year"),
        (Filters(until="2024-10-01"), "month year"),
        (Filters(since="2025"), ""),
        (Filters(since="2024-10", until="2024-10"), "day month year"),
        (Filters(author="ØSTERGAARD"), "day"),
        (Filters(author="ann"), "day month"),
        (Filters(author='", "'), ""),
        (Filters(author="%"), ""),
        (Filters(author="_"), ""),
        (Filters(author='O\'Neil "Jo"'), "year"),
        (Filters(source="jsonl"), "day month year none"),
        (Filters(source="csv"), ""),
        (Filters(papers=("1", "4", "9")), "day none"),
        (Filters(papers=("1", "2"), since="2024-10-20"), "month"),
    ],
)
def test_filters(store: PaperStore, filters: Filters, titles: str) -> None:
    write(
        store,
        paper("day", "a", id="1", published="2024-10-12", authors=("Ann Lee", "Bo Østergaard")),
        paper("month", "b", id="2", published="2024-10", authors=("JoANNa",)),
        paper("year", "c", id="3", published="2024", authors=('O\'Neil "Jo"',)),
        paper("none", "d", id="4"),
    )
    assert [held.title for held in store.select(filters)] == titles.split()
    assert sorted(store.select_ids(filters)) == [held.id for held in store.select(filters)]


def test_a_change_of_ones_own_is_told_from_another_processes(
    store: PaperStore, tmp_path: Path
) -> None:
    before = store.changes_by_others()
    write(store, paper())
    assert store.changes_by_others() == before
    with pytest.raises(AttributeError):
        store.write([(paper("Undone", "w"), ("text:w",), ()), (None, (), ())], set())  # type: ignore[list-item]  # fails halfway
    assert store.count() == 1
    assert store.changes_by_others() == before
    other = PaperStore(tmp_path / "papers.sqlite", create=False)
    write(other, paper("Another", "Words."))
    other.close()
    assert store.changes_by_others() > before


def test_threads_that_ended_leave_no_file_open(store: PaperStore) -> None:
    for _ in range(50):
        thread = threading.Thread(target=store.count)
        thread.start()
        thread.join()
    assert len(store._all) <= 3


def test_many_processes_may_make_one_library_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from citewise.library.papers import PaperStore;"
        "sys.stdin.read(1);"
        "s = PaperStore(Path(sys.argv[1]), create=True); s.set_meta(sys.argv[2], 'x'); s.close()"
    )
    running = [Python(script, tmp_path / "papers.sqlite", f"key{n}") for n in range(5)]
    # All are let go before any is waited for.
    for process in running:
        process.stdin.write("x")
        process.stdin.flush()
    assert [process.wait() for process in running] == [0] * 5
    store = PaperStore(tmp_path / "papers.sqlite", create=False)
    assert [store.meta(f"key{n}") for n in range(5)] == ["x"] * 5
    store.close()


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("content", [b"hello, this is no database at all" * 50, b"SQLite format 3"])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes, create: bool) -> None:
    (tmp_path / "papers.sqlite").write_bytes(content)
    with pytest.raises(NotALibraryError, match="not a citewise library"):
        PaperStore(tmp_path / "papers.sqlite", create=create)
    assert (tmp_path / "papers.sqlite").read_bytes() == content


def test_a_database_of_something_else(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "papers.sqlite")
    db.execute("CREATE TABLE papers (x)")
    db.commit()
    db.close()
    with pytest.raises(CitewiseError):
        PaperStore(tmp_path / "papers.sqlite", create=True)
    assert "CREATE TABLE meta" not in "".join(dump(tmp_path / "papers.sqlite"))


def test_a_library_of_a_later_citewise_is_left_alone(tmp_path: Path) -> None:
    store = PaperStore(tmp_path / "papers.sqlite", create=True)
    store.set_meta("schema", "999")
    store.close()
    with pytest.raises(FingerprintError, match="Update citewise"):
        PaperStore(tmp_path / "papers.sqlite", create=True)
