"""The graded questions of written/graded.jsonl, and libraries of the papers that they grade."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from citewise import Library

GRADED = Path(__file__).parent / "written" / "graded.jsonl"
COLLECTIONS = ("arxiv", "small", "scifact")


def graded_questions() -> list[dict[str, Any]]:
    """The graded questions, each with the collection of its papers."""
    return [json.loads(line) for line in GRADED.read_text("utf-8").splitlines()]


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
    # Under its name only when it is complete.
    with Library.open(folder / f"{name}.part") as library:
        library.ingest(papers)
        assert len(library) == len(wanted), f"{name}: {len(library)} of {len(wanted)} papers"
    (folder / f"{name}.part").rename(place)
    return Library.open(place, create=False)
