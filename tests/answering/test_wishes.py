"""Wishes in a question about which papers to look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from citewise.answering.assistant import Assistant
from citewise.answering.question import understand
from citewise.answering.wishes import pointed_at, wished_papers
from citewise.library.library import Library
from citewise.types import Filters, Message, Paper, QuestionKind

LANTERN = Paper(
    id="lantern",
    title="Lantern: a cache for long texts",
    abstract="We present Lantern, a cache that forgets what nobody reads. It halves the memory of "
    "caches for long texts.",
    authors=("Ada Bo", "Zoë Chandrasekaran", "Kyrre Eeg"),
    published="2024-05-02",
    organization="acme-labs Acme Labs",
)
HARBOR = Paper(
    id="harbor",
    title="Harbor: texts on a disk",
    abstract="We present Harbor, a store that keeps caches for long texts on a disk. It needs no "
    "training.",
    authors=("Cy Bohr", "Ann Texts"),
)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder: Path = tmp_path_factory.mktemp("wishes")
    with Library.open(folder / "library") as opened:
        opened.add([LANTERN, HARBOR])
        yield opened


@pytest.mark.parametrize(
    ("question", "left", "ids"),
    [
        ("Which papers by Acme Labs shrink caches?", "Which papers shrink caches?", ["lantern"]),
        ("Which papers from Acme shrink caches?", "Which papers shrink caches?", ["lantern"]),
        ("What did Ada Bo publish on caches?", "Which papers are there on caches?", ["lantern"]),
        ("Which caches are written by Cy Bohr?", "Which caches are?", ["harbor"]),
        ("What do Zoë Chandrasekaran's papers say?", "What do papers say?", ["lantern"]),
        ("How large is the cache by Bohr?", "How large is the cache?", ["harbor"]),
        ("Which caches are by Zoe Chandrasekaran?", "Which caches are?", ["lantern"]),
        ("what has Cy Bohr done?", "Which papers are there?", ["harbor"]),
        ("What has Bohr worked on?", "Which papers are there?", ["harbor"]),
        ("What has Bohr done on caches?", "Which papers are there on caches?", ["harbor"]),
        ("Do you have anything by Bohr?", "Which papers are there?", ["harbor"]),
        ("anything by zoe chandrasekaran", "Which papers are there", ["lantern"]),
        ("papers by cy bohr on disks", "Which papers are there on disks", ["harbor"]),
        ("Show me Texts' papers", "Show me papers", ["harbor"]),
        ("What does the Harbor paper say of disks?", None, ["harbor"]),
        ("Which caches are sold by ACME?", "Which caches are sold?", ["lantern"]),
        # Not a wish: nobody here is called so.
        ("Which texts are read from EEG?", None, []),
        ("What is learned from Texts?", None, []),
        ("What is gained by Medusa?", None, []),
        ("What has Medusa done?", None, []),
        ("What has Texts done for caches?", None, []),
        ("What has Harbor done?", None, []),
        ("what has long text done for caches?", None, []),
        ("anything from long texts?", None, []),
        ("Which caches are built by hand?", None, []),
        ("What does the Quill paper say?", None, []),
    ],
)
def test_a_wish_becomes_a_filter(
    question: str, left: str | None, ids: list[str], library: Library
) -> None:
    wished = wished_papers(question, Filters(), library)
    assert wished.text == (left or question)
    assert list(wished.filters.papers) == ids
    assert bool(wished.notes) is bool(ids)


def test_names_are_whole_words(library: Library) -> None:
    assert library.ids_by("Bo") == ("lantern",)
    assert library.ids_by("zoë chandrasekaran") == ("lantern",)
    assert library.ids_by("zoë", as_written=True) == ()
    assert library.ids_by("Zoe", as_written=True) == library.ids_by("zoé") == ("lantern",)
    assert library.page(Filters(author="ZOE CH")).papers[0].id == "lantern"
    assert library.ids_by("Aḑa Bø") == ("lantern",)
    assert library.ids_by("Boh") == ()


def test_a_wish_that_no_paper_fits_is_told_and_left_out(library: Library) -> None:
    answer = Assistant(library).ask("Which papers by Apple shrink the memory of caches?")
    assert answer.answered
    assert answer.citations
    assert any("names Apple" in note for note in answer.notes)


def test_only_the_papers_wished_for_are_cited(library: Library) -> None:
    answer = Assistant(library).ask("What do papers by Acme Labs say?")
    assert {citation.paper.id for citation in answer.citations} == {"lantern"}
    assert any("Only what is by Acme Labs" in note for note in answer.notes)


def test_given_filters_are_narrowed_never_widened(library: Library) -> None:
    given = Filters(papers=("harbor",))
    assert wished_papers("Which papers by Acme do it?", given, library).filters.papers == (
        "harbor",
    )


def test_a_date_that_was_wished_for_is_told(library: Library) -> None:
    asked = understand("Which papers shrink caches since 2024?", (), library)
    assert asked.filters.since == "2024"
    assert any("from 2024 on" in note for note in asked.notes)
    given = understand("Which papers shrink caches?", (), library, filters=Filters(since="2024"))
    assert given.notes == ()


@pytest.mark.parametrize(
    ("question", "ids"),
    [
        ("How fast is it in that paper?", ("lantern",)),
        ("Which of them need no training?", ("lantern", "harbor")),
        ("Is there another one?", ()),
        ("Which papers need no training?", ()),
    ],
)
def test_a_follow_up_points_at_papers(question: str, ids: tuple[str, ...]) -> None:
    assert pointed_at(question, [LANTERN, HARBOR], Filters()).filters.papers == ids
    assert pointed_at(question, [], Filters()).filters == Filters()


def test_which_of_them_is_asked_of_them_alone(library: Library) -> None:
    talk = (
        Message("user", "Which papers are there on caches?"),
        Message("assistant", f"- **{LANTERN.title}** — x [1]\n- **{HARBOR.title}** — y [2]"),
    )
    asked = understand("And which of them need no training?", talk, library)
    assert set(asked.filters.papers) == {"lantern", "harbor"}
    assert asked.kind in (QuestionKind.LIST, QuestionKind.COMPARISON)


def test_who_wrote_a_paper_is_told_from_its_record_and_not_as_an_answer(tmp_path: Path) -> None:
    paper = Paper(
        "p1",
        "Lantern: a cache for long texts",
        "We present Lantern, a cache which forgets what nobody reads. It halves the memory.",
        authors=("Ada Example", "Bo Example"),
    )
    with Library.open(tmp_path / "library") as library:
        library.add([paper])
        assistant = Assistant(library)
        for asked in ("Who invented Lantern?", "who are the authors of Lantern"):
            answer = assistant.ask(asked)
            assert not answer.answered
            assert answer.reason is not None
            assert "Ada Example, Bo Example" in answer.reason
        assert assistant.ask("Who forgets what nobody reads, says Lantern?").reason is None


def test_a_question_that_names_another_paper_leaves_the_talk_behind(
    sample_library: Library,
) -> None:
    assistant = Assistant(sample_library)
    asked = "Give an overview of work on energy use of language model inference."
    talk = [Message("user", asked), Message("assistant", assistant.ask(asked).text)]
    for question in (
        "How fast is FastDepth on a Jetson TX2?",
        "What is FastDepth?",
        "FastDepth, how fast is it on a Jetson TX2?",
    ):
        answer = assistant.ask(question, talk)
        assert answer.answered
        assert answer.citations[0].paper.title.startswith("FastDepth")
    for question in ("And how fast is it on a Jetson TX2?", "Is FastDepth faster than it?"):
        assert understand(question, talk, sample_library).focus
