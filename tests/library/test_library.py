from __future__ import annotations

import gc
import json
import os
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.processes import Python

from citewise.errors import (
    CitewiseError,
    FingerprintError,
    LibraryError,
    LibraryLockedError,
    NotALibraryError,
    PaperNotFoundError,
    UsageError,
)
from citewise.library import locks
from citewise.library.embedding import MiniLM
from citewise.library.library import Library, Progress
from citewise.types import Filters, IngestReport, Paper, Place

Open = Callable[..., Library]


def paper(name: str, abstract: str, *, file: str = "own.jsonl", line: int = 1) -> Paper:
    return Paper(name, f"On {name}", abstract, places=(Place("jsonl", file, line),))


ANIMALS = (
    paper("zebra", "Zebras have stripes. Nobody else does.", line=1),
    paper("otter", "Otters hold hands while they sleep.", line=2),
    paper("heron", "Herons stand on one leg in the water.", line=3),
    paper("lynx", "A lynx hears a mouse from far away.", line=4),
)
LONG = " ".join(f"Sentence {n} tells of quaggas, and quaggas are extinct." for n in range(60))


@pytest.fixture
def open_library(tmp_path: Path, encoder: MiniLM) -> Iterator[Open]:
    opened: list[Library] = []

    def open_(name: str = "library", **options: object) -> Library:
        options.setdefault("embedder", encoder)
        library = Library.open(tmp_path / name, **options)  # type: ignore[arg-type]
        opened.append(library)
        return library

    yield open_
    for library in opened:
        library.close()


def passages_in_chroma(library: Library) -> list[str]:
    return sorted(library._vectors._collection().get()["ids"])


def state(library: Library) -> tuple[object, ...]:
    """Everything that a library holds, index entries included."""
    papers = [library.paper(held.id) for held in library.papers()]
    return (
        papers,
        passages_in_chroma(library),
        library._lexical.count(),
        list(library._store._connection().iterdump()),
    )


# -- filling ---------------------------------------------------------------------------------


def test_the_five_dumps_are_475_papers(filling: tuple[Library, IngestReport]) -> None:
    library, report = filling
    assert (report.added, report.duplicate) == (475, 70)
    assert (report.updated, report.unchanged, report.rejected) == (0, 0, ())
    assert len(library) == 475
    assert library.check() == []
    info = library.info()
    assert (info.papers, info.embedded, info.undated) == (475, 475, 370)
    assert (info.earliest, info.latest) == ("2017-11-08", "2024-12-27")
    assert info.sources == {"daily-papers": 475}
    assert info.disk_bytes > 1_000_000


def test_each_paper_remembers_every_place(sample_library: Library, corpus: Path) -> None:
    lines = {path.name: path.read_text("utf-8").splitlines() for path in corpus.iterdir()}
    places = Counter[str]()
    for held in sample_library.papers():
        found = sample_library.paper(held.id).places
        places.update(place.file for place in found)
        for place in found:
            assert lines[place.file][place.line - 1].strip() == held.title.strip()
    assert sorted(places.values()) == [74, 82, 84, 138, 167]


def test_ingesting_again_changes_nothing_and_says_so(
    open_library: Open, corpus: Path, tmp_path: Path
) -> None:
    dump = min(corpus.iterdir())
    part = tmp_path / dump.name
    part.write_text("\n".join(dump.read_text("utf-8").splitlines()[:160]), "utf-8")
    library = open_library()
    first = library.ingest(part)
    assert first.added > 10
    before = state(library)
    again = library.ingest([part, part])
    assert (again.added, again.updated) == (0, 0)
    assert again.unchanged == first.added
    assert again.records == 2 * first.records
    assert state(library) == before


POOL = (
    *ANIMALS,
    paper("zebra", "Zebras have stripes. Nobody else does.", file="second.csv", line=9),
    Paper(
        "x", "On zebra", "Zebras have  stripes. NOBODY else does.", places=(Place("ris", "c", 1),)
    ),
    Paper("dolphin", "Dolphin", "It parses documents.", arxiv_id="2505.14059"),
    Paper(
        "2505.14059", "Dolphin", "It parses documents.", url="https://arxiv.org/abs/2505.14059v2"
    ),
    Paper("other", "Dolphin", "It thinks in closed loops.", arxiv_id="2501.03916"),
)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=st.lists(st.sampled_from(POOL), min_size=1, max_size=14), cut=st.integers(0, 14))
def test_order_and_repetition_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM, records: list[Paper], cut: int
) -> None:
    def known(library: Library) -> set[tuple[object, ...]]:
        full = (library.paper(held.id) for held in library.papers())
        return {
            (
                p.title,
                "".join(p.abstract.casefold().split()),
                p.arxiv_id is None,
                frozenset(p.places),
            )
            for p in full
        }

    folder = tmp_path_factory.mktemp("order")
    with Library.open(folder / "once", embedder=encoder) as library:
        library.add(sorted(set(records), key=POOL.index))
        expected = known(library)
    with Library.open(folder / "mixed", embedder=encoder) as library:
        reports = [library.add(records[:cut]), library.add(records[cut:])]
        assert sum(report.added for report in reports) == len(library) == len(expected)
        assert sum(report.records for report in reports) == len(records)
        assert known(library) == expected
        assert library.check() == []
        before = state(library)
        again = library.add(records)
        assert (again.added, again.updated) == (0, 0)
        assert state(library) == before


def test_bad_records_are_named_and_do_not_stop_the_good_ones(open_library: Open) -> None:
    library = open_library()
    bad = [
        Paper("", "No id", "Words.", places=(Place("jsonl", "f", 3),)),
        Paper("b", "No abstract", " \n"),
        Paper("c", "No date", "Words.", published="last spring"),
        Paper("d", "Broken", "Half a \ud800 character."),
    ]
    report = library.add([*bad[:2], *ANIMALS, *bad[2:]])
    assert report.added == 4
    assert [rejection.title for rejection in report.rejected] == [p.title for p in bad]
    assert (report.rejected[0].file, report.rejected[0].line) == ("f", 3)
    assert "2024-10-12" in report.rejected[2].reason
    assert library.check() == []


def test_text_without_a_word_is_kept_and_found_by_its_title(open_library: Open) -> None:
    library = open_library()
    library.add([Paper("odd", "Quagga", "\u0301\x00 \ufeff."), *ANIMALS])
    assert library.check() == []
    assert library.search("quagga", 1)[0].paper.id == "odd"


def test_a_file_that_brings_nothing_leaves_a_whole_library(
    open_library: Open, tmp_path: Path
) -> None:
    empty, binary = tmp_path / "empty.txt", tmp_path / "noise.bin"
    empty.write_bytes(b"")
    binary.write_bytes(bytes(range(256)) * 20)
    good = tmp_path / "good.jsonl"
    good.write_text(json.dumps({"title": "Zebras", "abstract": "They have stripes."}))
    library = open_library()
    report = library.ingest([empty, binary, good])
    assert report.added == 1
    assert {rejection.file for rejection in report.rejected} == {"empty.txt", "noise.bin"}
    with suppress(CitewiseError):
        library.ingest(tmp_path / "nowhere.txt")
    assert library.check() == []


def test_progress_reaches_the_end(open_library: Open) -> None:
    seen: list[Progress] = []
    open_library().add(ANIMALS, on_progress=seen.append)
    assert {progress.step for progress in seen} >= {"reading", "embedding"}
    assert (seen[-1].done, seen[-1].total) == (4, 4)


# -- changing and removing --------------------------------------------------------------------


def test_a_changed_abstract_leaves_no_trace_of_the_old_one(open_library: Open) -> None:
    library = open_library()
    library.add([*ANIMALS, paper("changed", LONG, line=5)])
    assert len([p for p in passages_in_chroma(library) if p.startswith("changed#")]) > 1
    report = library.add([paper("changed", "Now it tells of okapis alone.", line=5)])
    assert (report.updated, report.added) == (1, 0)
    assert passages_in_chroma(library) == [
        *("changed#0", "heron#0", "lynx#0", "otter#0", "zebra#0")
    ]
    assert library._lexical.search("quaggas", 5) == []
    (hit,) = library.search("okapis", 1)
    assert hit.passage.text == "Now it tells of okapis alone."
    assert len(library.sentences(["changed"])["changed"].spans) == 1
    assert library.check() == []


def test_two_prints_of_one_arxiv_paper_settle(open_library: Open) -> None:
    library = open_library()
    prints = [
        Paper("2410.10814", "T", text, arxiv_id="2410.10814", places=(Place("jsonl", file, 1),))
        for file, text in (("a", "We reach 81.5 points."), ("b", "We reach 81.5 points, at last."))
    ]
    library.add(prints)
    before = state(library)
    for _ in range(2):
        for record in prints:
            report = library.add([record])
            assert (report.unchanged, report.updated) == (1, 0)
    assert state(library) == before


def test_two_papers_that_prove_to_be_one_are_one_everywhere(open_library: Open) -> None:
    library = open_library()
    preprint = Paper("a", "Preprint", "Quaggas graze.", arxiv_id="2410.10814")
    article = Paper("b", "Article", "Okapis hide.", doi="10.1234/x")
    library.add([*ANIMALS, preprint, article])
    assert len(library) == 6
    both = Paper("c", "Preprint", "Quaggas graze.", arxiv_id="2410.10814", doi="10.1234/x")
    assert library.add([both]).updated == 1
    assert len(library) == 5
    assert library.check() == []
    assert library._lexical.search("okapis", 3) == []


def test_removing_takes_a_paper_out_of_everything(open_library: Open) -> None:
    library = open_library()
    library.add(ANIMALS)
    assert library.remove(["zebra", "never there"]) == 1
    assert library.check() == []
    assert "zebra#0" not in passages_in_chroma(library)
    assert "zebra" not in {hit.paper.id for hit in library.search("zebras with stripes")}
    with pytest.raises(PaperNotFoundError, match="papers list"):
        library.paper("zebra")
    assert library.add(ANIMALS).added == 1
    assert library.search("zebras with stripes")[0].paper.id == "zebra"
    assert library.remove([held.id for held in library.papers()]) == 4
    assert (len(library), library.check(), library.search("zebra")) == (0, [], ())


def test_an_empty_library_answers(open_library: Open) -> None:
    library = open_library()
    assert library.search("anything") == ()
    assert (len(library), library.check(), list(library.papers())) == (0, [], [])
    assert library.info().earliest is None
    with pytest.raises(UsageError):
        list(library.papers(Filters(since="soon")))


# -- several at once --------------------------------------------------------------------------


def test_another_process_sees_additions_within_a_second(open_library: Open) -> None:
    reader = open_library()
    reader.add(ANIMALS)
    assert len(reader.search("giraffes, a lynx and otters with long necks", 5)) == len(ANIMALS)
    code = """
import sys
from citewise import Library
from citewise.types import Paper
with Library.open(sys.argv[1]) as library:
    library.add([Paper("giraffe", "On necks", "A long-necked animal eats leaves of high trees.")])
    library.remove(["lynx"])
    library.add([Paper("otter", "On otter", "Otters hold hands while asleep, to stay together.")])
    print("added", flush=True)
    sys.stdin.readline()
"""
    writer = Python(code, reader.path)
    try:
        assert writer.stdout.readline() == "added\n"
        added = time.monotonic()
        hits = reader.search("animal with a long neck", 5)
        assert time.monotonic() - added < 1
        assert (hits[0].paper.id, hits[0].dense_rank, hits[0].lexical_rank) == ("giraffe", 1, 1)
        found = {hit.paper.id: hit.paper for hit in reader.search("lynx and otters", 5)}
        assert "lynx" not in found
        assert found["otter"].abstract.endswith("to stay together.")
        assert reader.check() == []
    finally:
        writer.finish("\n")
    assert writer.returncode == 0


def test_one_writer_at_a_time_and_a_dead_one_holds_nothing(
    open_library: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.1)
    library = open_library()
    library.add(ANIMALS)
    code = """
import sys, time
from citewise import Library
def never_ending():
    print("writing", flush=True)
    time.sleep(600)
    yield
Library.open(sys.argv[1]).add(never_ending())
"""
    writer = Python(code, library.path)
    try:
        assert writer.stdout.readline() == "writing\n"
        with pytest.raises(LibraryLockedError, match="Another process is writing"):
            library.add([paper("late", "Late words.")])
        with pytest.raises(LibraryLockedError):
            library.remove(["zebra"])
        with pytest.raises(LibraryLockedError):
            Library.repair(library.path, embedder=library.embedder)
        assert library.search("zebra", 1)[0].paper.id == "zebra"
        with Library.open(library.path, embedder=library.embedder) as second:
            assert second.search("otters", 1)[0].paper.id == "otter"
    finally:
        writer.kill()
        writer.finish()
    assert library.add([paper("late", "Late words.")]).added == 1
    assert library.check() == []


def test_twenty_threads_search_while_one_fills(open_library: Open) -> None:
    library = open_library()
    library.add(ANIMALS)
    library.search("zebra")
    engine = library._vectors._engine
    done = threading.Event()
    failures: list[BaseException] = []
    searches = Counter[str]()

    def search(name: str) -> None:
        try:
            while not done.is_set():
                for hit in library.search(random.choice(["zebras", "one leg", "stripes"]), 4):
                    span = hit.passage
                    assert hit.paper.abstract[span.start : span.end] == span.text
                searches[name] += 1
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            failures.append(error)

    threads = [threading.Thread(target=search, args=(str(n),)) for n in range(20)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(6):
            texts = ("Zebras and herons. " * (1 + 40 * ((turn + n) % 2)) for n in range(12))
            library.add([paper(f"p{n}", text.strip()) for n, text in enumerate(texts)])
            library.remove([f"p{turn}"])
    finally:
        done.set()
        for thread in threads:
            thread.join(30)
    assert not failures, failures[0]
    assert len(searches) == 20
    assert library.check() == []
    assert library._vectors._engine is engine, "one's own writing needs no new engine"


def test_a_closed_library_holds_no_file(tmp_path: Path, encoder: MiniLM) -> None:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not list a process's open files")

    def held() -> list[str]:
        names = []
        for fd in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):
                names.append(os.readlink(f"/proc/self/fd/{fd}"))
        return [name for name in names if str(tmp_path) in name]

    for _ in range(3):
        with Library.open(tmp_path / "library", embedder=encoder) as library:
            library.add(ANIMALS)
            library.search("zebra")
            thread = threading.Thread(target=library.search, args=("otter",))
            thread.start()
            thread.join()
    del library
    gc.collect()
    deadline = time.monotonic() + 60
    while held():
        assert time.monotonic() < deadline, held()
        time.sleep(0.05)


# -- folders that are not what they should be -------------------------------------------------


def test_a_folder_of_other_things_is_left_alone(open_library: Open, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(NotALibraryError, match="--library"):
        open_library("photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_a_file_and_a_path_below_a_file(open_library: Open, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("words")
    with pytest.raises(NotALibraryError, match="--library"):
        open_library("file")
    with pytest.raises(LibraryError, match="--library"):
        open_library("file/library")


@pytest.mark.parametrize("made", [True, False])
def test_nothing_is_made_unless_asked_for(open_library: Open, tmp_path: Path, made: bool) -> None:
    if made:
        (tmp_path / "library").mkdir()
    with pytest.raises(NotALibraryError, match="citewise ingest"):
        open_library(create=False)
    assert (tmp_path / "library").exists() == made
    with pytest.raises(NotALibraryError):
        Library.repair(tmp_path / "library")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM) -> Path:
    """The folder of a closed library: to be copied, and the copy to be damaged."""
    with Library.open(tmp_path_factory.mktemp("sound") / "library", embedder=encoder) as library:
        library.add([*ANIMALS, *(paper(f"p{n}", f"{LONG} {n}") for n in range(12))])
    return library.path


@pytest.mark.parametrize("at", [0, 4096, 3 * 4096, -4096])
def test_a_damaged_database_is_explained(
    open_library: Open, sound: Path, tmp_path: Path, at: int
) -> None:
    file = Path(shutil.copytree(sound, tmp_path / "library")) / "papers.sqlite"
    content = bytearray(file.read_bytes())
    at %= len(content)
    content[at : at + 4096] = b"\xa5" * 4096
    file.write_bytes(content)
    # Whether the damage shows, and where, depends on the page; it never shows as a traceback.
    with suppress(CitewiseError):
        damaged = open_library()
        damaged.search("zebra")
        list(damaged.papers())
        damaged.add(ANIMALS)
        damaged.info()
    if at == 0:
        with pytest.raises(NotALibraryError, match="restore this one from a copy"):
            open_library()


@pytest.mark.parametrize("content", [b"", b"\x00garbage" * 30])
@pytest.mark.parametrize("index", ["lexical", "vectors"])
def test_a_damaged_index_is_explained_and_mended(
    open_library: Open, encoder: MiniLM, index: str, content: bytes
) -> None:
    library = open_library()
    library.add(ANIMALS)
    library.close()
    for file in (library.path / index).rglob("*"):
        if file.is_file() and not file.name.startswith("."):
            # A new file: cutting one short that this process may still have mapped would end it.
            file.unlink()
            file.write_bytes(content)
    try:
        damaged = open_library()
        damaged.search("zebra")
        # An emptied file shows at opening, and what was in it is made again.
        assert content == b""
        assert damaged.check() == []
        assert damaged.search("zebra", 1)[0].dense_rank == 1
        damaged.close()
    except LibraryError as error:
        assert "doctor --repair" in str(error)  # noqa: PT017 - one of two good endings
    with Library.repair(library.path, embedder=encoder) as mended:
        assert mended.check() == []
        assert mended.search("zebra", 1)[0].paper.id == "zebra"


@pytest.mark.parametrize("index", ["lexical", "vectors"])
def test_a_lost_index_is_made_again_at_opening(open_library: Open, index: str) -> None:
    library = open_library()
    library.add(ANIMALS)
    library.close()
    for path in sorted((library.path / index).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (library.path / index).rmdir()
    healed = open_library()
    assert healed.check() == []
    hit = healed.search("zebras with stripes", 1)[0]
    assert (hit.paper.id, hit.dense_rank, hit.lexical_rank) == ("zebra", 1, 1)


def test_another_embedder_is_explained_and_repair_makes_the_indexes_again(
    open_library: Open,
) -> None:
    library = open_library()
    library.add([*ANIMALS, paper("long", LONG)])
    passages = len(passages_in_chroma(library))
    library.close()
    narrow = MiniLM(window=64)
    with pytest.raises(FingerprintError, match="doctor --repair") as caught:
        open_library(embedder=narrow)
    assert library.embedder.fingerprint in str(caught.value)
    assert narrow.fingerprint in str(caught.value)
    seen: list[Progress] = []
    with Library.repair(library.path, embedder=narrow, on_progress=seen.append) as mended:
        assert mended.check() == []
        assert len(passages_in_chroma(mended)) > passages
        assert mended.search("zebra", 1)[0].paper.id == "zebra"
        assert mended.fingerprint != library.fingerprint
    assert seen[-1].done == 5
    with pytest.raises(FingerprintError):
        open_library()
    open_library(embedder=narrow).close()
    # Back again, to fewer passages: none of the narrow ones may stay.
    with Library.repair(library.path, embedder=library.embedder) as mended:
        assert mended.check() == []
        assert len(passages_in_chroma(mended)) == passages
