"""The questions and queries that papers were graded for, and libraries of those papers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from citewise import Library
from citewise.types import Paper

GRADED = Path(__file__).parent / "written" / "graded.jsonl"
QUERIES = GRADED.with_name("queries.jsonl")
COLLECTIONS = ("arxiv", "small", "scifact")


def graded_questions(file: Path = GRADED) -> list[dict[str, Any]]:
    """The graded questions of a file, each with the collection of its papers."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def graded(row: Mapping[str, Any], library: Library) -> list[tuple[Paper, int]]:
    """The papers of a graded question with their grades."""
    papers = library.papers_by_id(row["papers"])
    pairs = zip(row["papers"], row["grades"], strict=True)
    return [(papers[name], int(grade)) for name, grade in pairs if name in papers]


def library_of(name: str, folder: Path, data: Path) -> Library:
    """A library of the papers that were graded out of one collection; made at first use."""
    place = folder / name
    if place.exists():
        return Library.open(place, create=False)
    wanted = {
        paper for row in graded_questions() if row["library"] == name for paper in row["papers"]
    }
    source = data / ("scifact/corpus.jsonl" if name == "scifact" else "arxiv/papers-112k.jsonl.gz")
    opened = gzip.open if source.suffix == ".gz" else open
    folder.mkdir(parents=True, exist_ok=True)
    papers = folder / f"{name}.jsonl"
    with opened(source, "rt", encoding="utf-8") as lines, papers.open("w", encoding="utf-8") as out:
        for line in lines:
            row = json.loads(line)
            if row["_id"] in wanted:
                kept = {"_id": row["_id"], "title": row["title"], "text": row["text"]}
                out.write(json.dumps(kept) + "\n")

    def fill(library: Library) -> None:
        library.ingest(papers)
        assert len(library) == len(wanted), f"{name}: {len(library)} of {len(wanted)} papers"

    return filled(place, fill)


def filled(place: Path, fill: Callable[[Library], object]) -> Library:
    """The library at a place, filled at first use; under its name only when it is complete."""
    if not place.exists():
        part = place.with_name(f"{place.name}.part")
        with Library.open(part) as library:
            fill(library)
        part.rename(place)
    return Library.open(place, create=False)
