from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from citewise.export import EXPORTS
from citewise.library.library import Library
from citewise.sources import read
from citewise.types import Paper

Again = Callable[[list[Paper], str], list[Paper]]

FULL = Paper(
    id="10.5555/lantern_1",
    title="Lantern: 100% Recall & $100\\times$ Less Memory for H$_2$O #1",
    abstract="It costs $5 and 33% less. We write C# & R_code {here}.\n\nIt is ~3x faster.",
    authors=("Ada Brandt", "Mori, Keiko", "Jürgen Groß"),
    author_count=3,
    published="2024-10-12",
    url="https://example.org/a_b?c=1&d=2%20x#e",
    source="mine",
    arxiv_id="2410.01234",
    doi="10.5555/lantern_1",
)


@pytest.fixture
def again(tmp_path: Path) -> Again:
    """Papers as they come back from an export."""

    def export_and_read(papers: list[Paper], name: str) -> list[Paper]:
        ending = {"bibtex": "bib"}.get(name, name)
        path = tmp_path / f"papers.{ending}"
        path.write_text("".join(EXPORTS[name](papers)), "utf-8", newline="")
        found = list(read([path]))
        assert all(isinstance(record, Paper) for record in found), found
        return [record for record in found if isinstance(record, Paper)]

    return export_and_read


def plain(text: str, name: str) -> str:
    """A title as it comes back; in BibTeX "\\&" and "&" are the same, and "--" is a dash."""
    if name == "bibtex":
        text = re.sub(r"\\([&%#_$])", r"\1", text).replace("--", "–")
    return squeezed(text)


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_jsonl_gives_the_same_papers(sample_library: Library, again: Again) -> None:
    papers = list(sample_library.papers())
    back = again(papers, "jsonl")
    assert [replace(p, places=()) for p in back] == [replace(p, places=()) for p in papers]


def test_an_exported_library_can_be_ingested_as_it_was(
    sample_library: Library, tmp_path: Path
) -> None:
    some = list(sample_library.papers())[::40]
    (tmp_path / "some.jsonl").write_text("".join(EXPORTS["jsonl"](some)), "utf-8")
    with Library.open(tmp_path / "copy") as copy:
        assert copy.ingest(tmp_path / "some.jsonl").added == len(some)
        exported = "".join(EXPORTS["jsonl"](copy.papers()))
        assert exported == "".join(EXPORTS["jsonl"](some))
        assert copy.ingest(tmp_path / "some.jsonl").unchanged == len(some)


@pytest.mark.parametrize("name", ["bibtex", "ris", "csv"])
def test_other_programs_formats_keep_every_paper(
    name: str, sample_library: Library, again: Again
) -> None:
    papers = list(sample_library.papers())
    back = again(papers, name)
    assert [p.title for p in back] == [plain(p.title, name) for p in papers]
    assert [p.authors for p in back] == [p.authors for p in papers]
    assert [p.published for p in back] == [p.published for p in papers]
    assert [p.url for p in back] == [p.url for p in papers]
    if name != "bibtex":
        # In BibTeX "33\\%" and "33%" are the same.
        assert [p.abstract for p in back] == [squeezed(p.abstract) for p in papers]


@pytest.mark.parametrize("name", ["bibtex", "ris", "csv", "jsonl"])
def test_a_paper_with_everything_comes_back(name: str, again: Again) -> None:
    [back] = again([FULL], name)
    assert back.title == FULL.title
    assert back.url == FULL.url
    assert back.published == FULL.published
    if name != "csv":
        assert back.doi == FULL.doi
    if name in ("bibtex", "jsonl"):
        assert back.arxiv_id == FULL.arxiv_id
    assert len(back.authors) == 3
    assert squeezed(back.abstract).replace("{", "").replace("}", "") == squeezed(
        FULL.abstract
    ).replace("{", "").replace("}", "")


PAPERS = st.lists(
    st.builds(
        Paper,
        id=st.text(min_size=1, max_size=12),
        title=st.text(min_size=1, max_size=40),
        abstract=st.text(min_size=1, max_size=80),
        authors=st.lists(st.text(min_size=1, max_size=10), max_size=3).map(tuple),
        published=st.sampled_from([None, "2024", "2024-10", "2024-10-12"]),
        url=st.none() | st.just("https://example.org/a_b?c=%20"),
    ),
    max_size=4,
)


@given(PAPERS)
def test_jsonl_and_csv_hold_any_text(papers: list[Paper]) -> None:
    lines = "".join(EXPORTS["jsonl"](papers)).split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == [p.to_dict(abstract=True) for p in papers]
    rows = list(csv.DictReader(io.StringIO("".join(EXPORTS["csv"](papers)), newline="")))
    assert [(row["title"], row["abstract"]) for row in rows] == [
        (p.title, p.abstract) for p in papers
    ]


@given(PAPERS)
@example([replace(FULL, title="C:\\", abstract="a } b { c \\{ $5 \\$6\r\nER  - ")])
def test_no_text_breaks_out_of_its_field(papers: list[Paper]) -> None:
    ris = "".join(EXPORTS["ris"](papers)).splitlines()
    assert sum(line.startswith("TY  - ") for line in ris) == len(papers)
    assert sum(line.startswith("ER  - ") for line in ris) == len(papers)
    bibtex = "".join(EXPORTS["bibtex"](papers))
    depth = 0
    escaped = False
    for character in bibtex:
        if character in "{}" and not escaped:
            depth += 1 if character == "{" else -1
        escaped = character == "\\" and not escaped
        assert depth >= 0
    assert depth == 0


def test_bibtex_keys_are_ones_that_a_person_would_choose() -> None:
    papers = [
        Paper(
            "2501.1", "The 3 Ways of Drafting", "x", ("Änne von Brandt-Süß",), published="2025-04"
        ),
        Paper("2", "Of Drafting, Once More", "x", ("Brandt-Süß, Änne",), published="2025"),
        Paper("3", "Pruning Heads", "x", ("Tom O’Neil Jr.",)),
        Paper("4", "Caches for the Many", "x", published="2024"),
        Paper("10.1/x y", "注意力", "x", ("张伟",)),
        Paper("6", "Pruning Heads", "y", ("Sue O'Neil",)),
    ]
    told = "".join(EXPORTS["bibtex"](papers))
    assert re.findall(r"@misc\{(.*),", told) == [
        "brandtsuss2025ways",
        "brandtsuss2025drafting",
        "oneilpruning",
        "caches2024many",
        "10.1_x_y",
        "oneilpruningb",
    ]
