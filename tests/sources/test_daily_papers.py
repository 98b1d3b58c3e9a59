from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.sources import identity_keys, read
from citewise.types import Paper, Rejection

CORPUS = Path(__file__).parents[2] / "eval" / "corpus"

HEADER = (
    "new\n\nGet trending papers in your email inbox!\n\nSubscribe\n\n"
    "byAK and the research community\n\nMar 12\n\n"
)
ABSTRACT = "We measure it twice. The second time it is faster by 12%."


@pytest.fixture(scope="module")
def sample() -> list[Paper]:
    items = list(read(CORPUS))
    papers = [item for item in items if isinstance(item, Paper)]
    assert len(papers) == len(items)
    return papers


def page(tmp_path: Path, body: str, *, name: str = "page.txt") -> list[Paper | Rejection]:
    path = tmp_path / name
    path.write_text(HEADER + body, encoding="utf-8")
    return list(read(path))


def test_the_five_pages_hold_545_records_of_475_papers(sample: list[Paper]) -> None:
    counts = Counter(paper.places[0].file for paper in sample)
    assert [counts[name] for name in sorted(counts)] == [74, 167, 84, 82, 138]
    assert len({identity_keys(paper)[-1] for paper in sample}) == 475
    assert len({paper.id for paper in sample}) == 475


def test_metadata_of_the_five_pages(sample: list[Paper]) -> None:
    assert sum(paper.author_count is not None for paper in sample) == 159
    assert {p.organization for p in sample} == {None, "apple Apple", "Fortytwo-Network Fortytwo"}
    assert sum(paper.date_text is not None for paper in sample) == 161
    assert not any(paper.authors or paper.url or paper.doi for paper in sample)


def test_a_date_has_a_year_only_when_one_is_printed_or_given(sample: list[Paper]) -> None:
    by_title = {paper.title: paper for paper in sample if paper.date_text}
    printed = next(p for t, p in by_title.items() if t.startswith("Power-Softmax"))
    assert (printed.date_text, printed.published) == ("Oct 12, 2024", "2024-10-12")
    mirage = next(p for t, p in by_title.items() if t.startswith("MIRAGE"))
    assert (mirage.date_text, mirage.published) == ("Aug 25", None)
    comments = next(p for t, p in by_title.items() if t.startswith("Fortytwo"))
    assert comments.date_text == "Oct 27"

    dated = [p for p in read(CORPUS, year=2025) if isinstance(p, Paper) and p.date_text]
    assert all(paper.published for paper in dated)
    assert {p.published for p in dated if p.title == mirage.title} == {"2025-08-25"}
    assert {p.published for p in dated if p.title == printed.title} == {"2024-10-12"}


@pytest.mark.parametrize(
    "words", [r"$100\times$", "H$_2$O", "70% Size, 100% Accuracy", "Scaling MLPs: A Tale"]
)
def test_titles_survive_unchanged(sample: list[Paper], words: str) -> None:
    lines = {line for path in CORPUS.glob("*.txt") for line in path.read_text("utf-8").split("\n")}
    titles = [paper.title for paper in sample if words in paper.title]
    assert titles
    assert set(titles) <= lines


def test_abstracts_and_lines_are_those_of_the_file(sample: list[Paper]) -> None:
    for path in CORPUS.glob("*.txt"):
        lines = path.read_text("utf-8").split("\n")
        for paper in (p for p in sample if p.places[0].file == path.name):
            at = paper.places[0].line - 1
            assert lines[at] == paper.title
            assert lines[at + 2].strip() == paper.abstract


def test_three_different_dolphins_stay_three(sample: list[Paper]) -> None:
    assert len({paper.id for paper in sample if paper.title.startswith("Dolphin")}) == 3


def test_the_page_without_blank_lines_reads_the_same(tmp_path: Path) -> None:
    for source in sorted(CORPUS.glob("*.txt")):
        tight = tmp_path / source.name
        text = source.read_text("utf-8")
        tight.write_text("\n".join(line for line in text.split("\n") if line.strip()), "utf-8")
        loose = [(p.id, p.published, p.author_count) for p in read(source) if isinstance(p, Paper)]
        assert loose == [
            (p.id, p.published, p.author_count) for p in read(tight) if isinstance(p, Paper)
        ]


def test_a_record_without_abstract_is_rejected_and_its_neighbours_kept(tmp_path: Path) -> None:
    first, lost, last = page(
        tmp_path, f"First\n\n{ABSTRACT}\n\nLost: A Title Alone\n\nLast\n\n{ABSTRACT} Indeed.\n"
    )
    assert isinstance(first, Paper)
    assert (first.title, first.abstract) == ("First", ABSTRACT)
    assert lost == Rejection("page.txt", 15, "the record has no abstract", "Lost: A Title Alone")
    assert isinstance(last, Paper)
    assert (last.title, last.places[0].line) == ("Last", 17)


def test_a_record_with_metadata_but_without_abstract_is_rejected(tmp_path: Path) -> None:
    lost, kept = page(
        tmp_path,
        "Lost\n\n  • 3 authors\n·\nMay 2, 2023\n\n"
        f"Kept\n\n{ABSTRACT}\n\n  • 1 author\n·\nMay 3, 2023\n7\n",
    )
    assert isinstance(lost, Rejection)
    assert (lost.line, lost.title) == (11, "Lost")
    assert isinstance(kept, Paper)
    assert (kept.author_count, kept.published, kept.abstract) == (1, "2023-05-03", ABSTRACT)


def test_a_short_abstract_before_its_metadata_is_an_abstract(tmp_path: Path) -> None:
    (paper,) = page(tmp_path, "Title\n\nNo full stop here\n\n  • 3 authors\n·\nMay 2, 2023\n")
    assert isinstance(paper, Paper)
    assert (paper.abstract, paper.author_count) == ("No full stop here", 3)


def test_a_wrapped_abstract_becomes_one_line(tmp_path: Path) -> None:
    (paper,) = page(tmp_path, "Title\n\nWe measure it\n  twice. And again\nuntil it holds.\n")
    assert isinstance(paper, Paper)
    assert paper.abstract == "We measure it twice. And again until it holds."


def test_an_abstract_without_title_is_said_with_its_line(tmp_path: Path) -> None:
    long = ABSTRACT * 8
    rejected, kept = page(tmp_path, f"{long}\n\nTitle\n\n{ABSTRACT}\n")
    assert isinstance(rejected, Rejection)
    assert rejected.line == 11
    assert isinstance(kept, Paper)


def test_a_page_without_papers_says_so(tmp_path: Path) -> None:
    (rejection,) = page(tmp_path, "")
    assert isinstance(rejection, Rejection)
    assert rejection.line == 0
    assert "no paper" in rejection.reason


def test_a_badly_encoded_line_costs_one_record(tmp_path: Path) -> None:
    path = tmp_path / "page.txt"
    body = (
        f"Good\n\n{ABSTRACT}\n\n".encode() + b"Bad\n\nna\xefve\n\n" + f"Also\n\n{ABSTRACT}".encode()
    )
    path.write_bytes(HEADER.encode() + body)
    items = list(read(path))
    assert [item.title for item in items if isinstance(item, Paper)] == ["Good", "Also"]
    lines = [item.line for item in items if isinstance(item, Rejection)]
    assert sorted(lines) == [15, 17]


def test_the_answer_of_the_api(tmp_path: Path) -> None:
    entry = {
        "paper": {
            "id": "2503.15337",
            "title": "Recover\n  and Match",
            "summary": "We match.\nThen we recover.",
            "authors": [{"name": "Hao Tan", "hidden": False}, {"name": "Zichang Tan"}],
            "publishedAt": "2025-03-19T12:00:00.000Z",
            "upvotes": 3,
        },
        "organization": {"name": "apple", "fullname": "Apple"},
        "numComments": 2,
    }
    bare = {"paper": {"id": "2503.15338", "title": "Only a title"}}
    path = tmp_path / "answer"
    path.write_bytes(gzip.compress(json.dumps([entry, bare], indent=1).encode()))
    paper, rejection = read(path)
    assert isinstance(paper, Paper)
    assert paper.id == paper.arxiv_id == "2503.15337"
    assert (paper.title, paper.abstract) == ("Recover and Match", "We match. Then we recover.")
    assert paper.authors == ("Hao Tan", "Zichang Tan")
    assert (paper.author_count, paper.published) == (2, "2025-03-19")
    assert (paper.organization, paper.source) == ("Apple", "daily-papers")
    assert identity_keys(paper)[0] == "arxiv:2503.15337"
    assert isinstance(rejection, Rejection)
    assert (rejection.title, rejection.line) == ("Only a title", 25)


@given(body=st.text(max_size=400))
def test_any_text_between_two_records_leaves_the_first_one_whole(
    body: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    with path.open("w", encoding="utf-8", errors="replace", newline="") as file:
        file.write(f"{HEADER}First\n\n{ABSTRACT}\n\n  • 3 authors\n·\nMay 2, 2023\n\n{body}")
    first = next(iter(read(path)))
    assert isinstance(first, Paper)
    assert (first.title, first.abstract, first.author_count) == ("First", ABSTRACT, 3)
