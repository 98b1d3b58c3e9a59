"""What train_relevance.py reads: queries beside papers, each with a grade, 0 to 2.

    python training/relevance_rows.py --data DATA --libraries FOLDER --large LIBRARY --out OUT

``DATA`` holds ``scifact/`` and ``arxiv/``; ``FOLDER`` keeps libraries of their
papers, made at first use; ``LIBRARY`` holds all of ``arxiv/`` (docs/benchmarks.md). Into ``OUT``:

- ``graded.jsonl``, ``queries.jsonl``: the questions and queries of the files of that name in
  written/, beside the papers that were graded for them;
- ``scifact.jsonl``: SciFact's training claims beside the papers that they are judged on (grade 2)
  and beside others that a search finds near (0, though nobody judged them);
- ``written.jsonl``: claims and questions of written/w*, t1, h1 and backed-health beside the paper
  that they were written over (2) and beside others (0).

Left out are the sample papers, those that SciFact's test claims are judged on, PubMedQA's (they
have no titles) and what other models are measured with (KEPT_BACK).
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fit_checker import held_out, records
from graded import COLLECTIONS, QUERIES, filled, graded, graded_questions, library_of
from names import KEPT, KEPT_BACK
from pairs import BACKED, CLAIMS, NOT_STATED, QUESTIONS, SHORT, TERSE, WRITTEN, abstracts_of

from citewise import Library
from citewise.grounding.belonging import pairs_for
from citewise.sample import sample_folder
from citewise.types import Paper

SEED = 57
FOUND, FIRST = 40, 10
"""Papers that a search brings up for papers nobody judged, and those of them that are near."""
WRITTEN_FILES = ("w*.jsonl", "t*.jsonl", "h*.jsonl", "backed-health.jsonl")
CLAIM_BESIDE, WRITTEN_BESIDE = (5, 2), (2, 1)
"""How many of the near and of the further ones go beside a claim of SciFact, and beside what was
written."""
Row = dict[str, Any]


def left_out(data: Path) -> Callable[[str, Paper], bool]:
    """Whether a paper must not be trained on: a sample paper, or one of SciFact's test claims."""
    lines = (data / "scifact" / "qrels.tsv").read_text("utf-8").splitlines()[1:]
    judged = {line.split("\t")[1] for line in lines}
    samples = _letters(" ".join(p.read_text("utf-8") for p in sample_folder().glob("*")))
    return lambda name, paper: (
        (name == "scifact" and paper.id.rsplit(":", 1)[-1] in judged)
        or _letters(paper.title) in samples
    )


def _letters(text: str) -> str:
    return re.sub(r"\W+", "", text).lower()


def rows_of(ident: str, query: str, papers: Sequence[tuple[Paper, int]]) -> Iterator[Row]:
    """A query beside graded papers."""
    pairs = pairs_for(query, [(paper.title, paper.abstract) for paper, _ in papers])
    for (asked, about), (_, grade) in zip(pairs, papers, strict=True):
        yield {"id": ident, "text": asked, "evidence": about, "grade": grade}


def graded_rows(folder: Path, data: Path) -> Iterator[Row]:
    """The graded queries."""
    unwanted = left_out(data)
    for name in COLLECTIONS:
        with library_of(name, folder, data) as library:
            for row in graded_questions():
                if row["library"] == name:
                    kept = [one for one in graded(row, library) if not unwanted(name, one[0])]
                    yield from rows_of(row["id"], row["question"], kept)


def query_rows(data: Path, libraries: Mapping[str, Library]) -> Iterator[Row]:
    """The graded claims, topics, kinds and questions."""
    unwanted = left_out(data)
    for row in graded_questions(QUERIES):
        papers = graded(row, libraries[row["library"]])
        kept = [one for one in papers if not unwanted(row["library"], one[0])]
        yield from rows_of(row["id"], row["question"], kept)


def scifact_library(folder: Path, data: Path) -> Library:
    """All of ``scifact/``, under the ids that papers have there."""
    papers = [
        Paper(id=str(row["_id"]), title=str(row["title"]), abstract=str(row["text"]))
        for row in records(data / "scifact/corpus.jsonl")
    ]

    def fill(library: Library) -> None:
        library.add(papers)
        assert len(library) == len(papers), f"{len(library)} of {len(papers)} papers"

    return filled(folder / "scifact-whole", fill)


def others(
    query: str, library: Library, known: set[str], counts: tuple[int, int], rng: random.Random
) -> list[Paper]:
    """Papers that a search finds, near ones and further ones, without those known to be right."""
    found = [hit.paper for hit in library.search(query, k=FOUND) if hit.paper.id not in known]
    groups = zip((found[:FIRST], found[FIRST:]), counts, strict=True)
    return [paper for some, count in groups for paper in rng.sample(some, min(count, len(some)))]


def scifact_rows(data: Path, library: Library, rng: random.Random) -> Iterator[Row]:
    """SciFact's training claims; one in five is kept for measuring."""
    unwanted = left_out(data)
    judged: dict[str, set[str]] = {}
    for line in (data / "scifact/qrels_train.tsv").read_text("utf-8").splitlines()[1:]:
        query, paper, _ = line.split("\t")
        judged.setdefault(query, set()).add(paper)
    for claim in records(data / "scifact/queries.jsonl"):
        name, text = str(claim["_id"]), str(claim["text"])
        if name in judged:
            right = library.papers_by_id(sorted(judged[name]))
            beside = others(text, library, set(right), CLAIM_BESIDE, rng)
            papers = [*((paper, 2) for paper in right.values()), *((paper, 0) for paper in beside)]
            prefix = KEPT if int(name) % 5 == 0 else "claim-"
            kept = [one for one in papers if not unwanted("scifact", one[0])]
            yield from rows_of(prefix + name, text, kept)


def texts_of(item: Mapping[str, Any], rng: random.Random) -> list[str]:
    """Keys of a claim and a question that the paper decides; of short ones a single claim."""
    if "k1" in item:
        return [rng.choice([key for key in TERSE if key in item and TERSE[key]])]
    if "e" in item:
        known = BACKED if "t3" in item else SHORT
        return rng.sample([k for k, label in known.items() if k in item and label != NOT_STATED], 1)
    claims = [key for key, label in CLAIMS.items() if key in item and label != NOT_STATED]
    questions = [key for key, label in QUESTIONS.items() if key in item and label]
    return [rng.choice(claims), rng.choice(questions)]


def written_rows(data: Path, libraries: Mapping[str, Library], rng: random.Random) -> Iterator[Row]:
    """Claims and questions written over papers; one paper in twelve is kept for measuring."""
    unwanted = left_out(data)
    files = sorted(path for some in WRITTEN_FILES for path in WRITTEN.glob(some))
    items = [item for path in files for item in records(path)[: KEPT_BACK.get(path.stem)]]
    found = abstracts_of(data, items)
    rng.shuffle(items)
    for item in items:
        collection, name = str(item["id"]).split(":")
        if item["id"] not in found or collection not in libraries:
            continue
        own = Paper(id=name, title=found[item["id"]][0], abstract=found[item["id"]][1])
        if unwanted(collection, own):
            continue
        for key in texts_of(item, rng):
            beside = others(str(item[key]), libraries[collection], {name}, WRITTEN_BESIDE, rng)
            strangers = [
                (paper, 0)
                for paper in beside
                if not unwanted(collection, paper)
                and paper.title.casefold() != own.title.casefold()
            ]
            prefix = KEPT if held_out(item["id"]) else "own-"
            yield from rows_of(
                f"{prefix}{item['id']}-{key}", str(item[key]), [(own, 2), *strangers]
            )


def write(rows: Iterable[Row], out: Path) -> None:
    """Write rows, and say how many."""
    with out.open("w", encoding="utf-8") as lines:
        count = sum(bool(lines.write(json.dumps(row) + "\n")) for row in rows)
    print(f"{out}: {count} rows")


def main() -> None:
    """Write the four files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--libraries", type=Path, required=True)
    parser.add_argument("--large", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    write(graded_rows(args.libraries, args.data), args.out / "graded.jsonl")
    rng = random.Random(SEED)
    with (
        scifact_library(args.libraries, args.data) as scifact,
        Library.open(args.large, create=False) as arxiv,
    ):
        found = {"scifact": scifact, "arxiv": arxiv}
        write(query_rows(args.data, found), args.out / "queries.jsonl")
        write(scifact_rows(args.data, scifact, rng), args.out / "scifact.jsonl")
        write(written_rows(args.data, found, rng), args.out / "written.jsonl")


if __name__ == "__main__":
    main()
