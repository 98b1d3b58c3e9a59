"""Measures rankings side by side on public collections: words, vectors, their fusion, and ours.

Run with ``python eval/bench_retrieval.py --data DIR``; DIR holds ``scifact``, ``pubmedqa`` and
``grounding`` (docs/retrieval.md says what each is). Collections that are absent are left out.
Libraries are filled once and kept in ``--libraries``. SciFact's test queries are only run with
``--test``, and alone: write each such run into docs/retrieval.md. ``--sought LIBRARY`` runs alone
what papers of SciFact and of the large LIBRARY (docs/benchmarks.md) should be found by.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from citewise import Library
from citewise.evaluation.datasets import load
from citewise.library.embedding import quickest
from citewise.sample import sample_folder
from citewise.types import Effort, Filters, Paper

SOUGHT = Path(__file__).parents[1] / "training" / "written" / "sought.jsonl"
FORMS = ("claim", "plain", "ask", "topic")
Ranking = Callable[[str], Sequence[str]]
DEPTH = 100
_NO_FILTERS = Filters()


@dataclass(frozen=True, slots=True)
class Collection:
    """Papers, queries, and how well each paper fits a query (gain above 0; the rest is 0)."""

    name: str
    library: str
    """Name of the library's folder; two collections may share one."""
    papers: Callable[[], Sequence[Paper]] | None
    """None for the sample papers."""
    queries: Mapping[str, str]
    gains: Mapping[str, Mapping[str, float]]


def _lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def scifact(folder: Path, split: str) -> Collection:
    """SciFact's claims against its abstracts; ``split`` is train or test."""
    gains: dict[str, dict[str, float]] = {}
    file = folder / ("qrels.tsv" if split == "test" else "qrels_train.tsv")
    for line in file.read_text("utf-8").splitlines()[1:]:
        query, paper, gain = line.split("\t")
        gains.setdefault(query, {})[paper] = float(gain)
    texts = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}

    def papers() -> list[Paper]:
        return [
            Paper(row["_id"], row["title"], row["text"]) for row in _lines(folder / "corpus.jsonl")
        ]

    return Collection(
        f"SciFact {split}", "scifact", papers, {query: texts[query] for query in gains}, gains
    )


def pubmedqa(file: Path) -> Collection:
    """Real questions, each against the one untitled abstract that answers it."""
    rows = list(_lines(file))
    return Collection(
        "PubMedQA",
        "pubmed",
        lambda: [Paper(row["_id"], "", " ".join(row["contexts"])) for row in rows],
        {row["_id"]: row["question"] for row in rows},
        {row["_id"]: {row["_id"]: 1.0} for row in rows},
    )


def evidence(name: str, library: str, prefix: str, file: Path) -> Collection:
    """Claims against all evidence texts: 2 for what decides the claim, 1 for what is only near."""
    ids: dict[str, str] = {}
    claims: dict[str, str] = {}
    gains: dict[str, dict[str, float]] = {}
    for row in _lines(file):
        text = row["evidence"].strip()
        if not text:
            continue
        paper = ids.setdefault(text, f"{prefix}{len(ids)}")
        claim = claims.setdefault(row["claim"].strip(), f"q{len(claims)}")
        gain = 2.0 if row["label"].casefold() in ("supports", "refutes") else 1.0
        judged = gains.setdefault(claim, {})
        judged[paper] = max(gain, judged.get(paper, 0.0))
    gains = {claim: judged for claim, judged in gains.items() if max(judged.values()) > 1}
    return Collection(
        name,
        library,
        lambda: [Paper(paper, "", text) for text, paper in ids.items()],
        {query: claim for claim, query in claims.items() if query in gains},
        gains,
    )


def sought(name: str, like: Collection) -> Collection:
    """A query each for papers that were chosen at random, in the four forms by turns."""
    queries: dict[str, str] = {}
    rows = [row for row in _lines(SOUGHT) if row["id"].startswith(f"{name}:")]
    for at, row in enumerate(rows):
        queries[row["id"].split(":", 1)[1]] = row[FORMS[at % len(FORMS)]]
    gains = {paper: {paper: 1.0} for paper in queries}
    return replace(like, name=f"sought, {like.name}", queries=queries, gains=gains)


def own_questions() -> Collection:
    """The dev questions that the sample papers answer: 2 for required papers, 1 for acceptable."""
    rows = [question for question in load("dev") if question.answerable and question.required]
    return Collection(
        "own dev",
        "sample",
        None,
        {row.id: row.standalone for row in rows},
        {
            row.id: dict.fromkeys(row.acceptable, 1.0) | dict.fromkeys(row.required, 2.0)
            for row in rows
        },
    )


def collections(data: Path, test: bool, large: Path | None = None) -> Iterator[Collection]:
    """Those whose files are there; with ``test`` SciFact's test queries alone.

    With ``large`` alone what papers of SciFact and of that library should be found by.
    """
    if test:
        yield scifact(data / "scifact", "test")
        return
    if large:
        yield sought("scifact", replace(scifact(data / "scifact", "train"), name="SciFact"))
        yield sought("arxiv", Collection("arXiv", str(large.resolve()), None, {}, {}))
        return
    yield own_questions()
    if (data / "scifact").is_dir():
        yield scifact(data / "scifact", "train")
    if (data / "pubmedqa" / "pqal.jsonl").is_file():
        yield pubmedqa(data / "pubmedqa" / "pqal.jsonl")
    for name, library, prefix, file in (
        ("HealthVer", "health", "hv", "healthver-dev.jsonl"),
        ("ClimateFEVER", "climate", "cf", "climate_fever-pairs.jsonl"),
    ):
        if (data / "grounding" / file).is_file():
            yield evidence(name, library, prefix, data / "grounding" / file)


def figures(ranked: Sequence[str], gains: Mapping[str, float]) -> tuple[float, ...]:
    """nDCG@10, and recall at 5, 10 and 100 of the papers of the highest gain."""
    best = sorted(gains.values(), reverse=True)[:10]
    ideal = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(best, 1))
    gained = sum(
        gains.get(paper, 0.0) / math.log2(rank + 1) for rank, paper in enumerate(ranked[:10], 1)
    )
    wanted = {paper for paper, gain in gains.items() if gain == best[0]}
    return (gained / ideal, *(len(wanted & set(ranked[:k])) / len(wanted) for k in (5, 10, 100)))


def rankings(library: Library) -> dict[str, Ranking]:
    """Ways to rank the papers of a library, by name."""
    # The parts of a library have no public names, for only comparisons need them.
    words, vectors = library._lexical, library._vectors

    def lexical(query: str) -> dict[str, float]:
        return dict(words.search(query, DEPTH))

    def dense(query: str) -> dict[str, float]:
        found: dict[str, float] = {}
        vector = quickest(library.embedder)([query])[0]
        for _, paper, cosine in vectors.search(vector, 2 * DEPTH):
            if len(found) < DEPTH:
                found.setdefault(paper, cosine)
        return found

    def scaled(scores: dict[str, float]) -> dict[str, float]:
        low, high = min(scores.values(), default=0.0), max(scores.values(), default=0.0)
        return {p: (s - low) / (high - low) if high > low else 1.0 for p, s in scores.items()}

    def plain(query: str) -> list[str]:
        first, second = scaled(lexical(query)), scaled(dense(query))
        both = {p: first.get(p, 0.0) + second.get(p, 0.0) for p in {*first, *second}}
        return sorted(both, key=lambda paper: (-both[paper], paper))

    def ours(query: str, effort: Effort) -> list[str]:
        return [hit.paper.id for hit in library.find(query, DEPTH, _NO_FILTERS, effort=effort).hits]

    return {
        "BM25": lambda query: list(lexical(query)),
        "dense": lambda query: list(dense(query)),
        "plain fusion": plain,
        "citewise": lambda query: ours(query, Effort.NORMAL),
        "citewise, deep": lambda query: ours(query, Effort.DEEP),
    }


def measure(collection: Collection, folder: Path, embedder: str | None = None) -> list[str]:
    """The rows of one collection's table."""
    with Library.open(folder / collection.library, embedder=embedder) as library:
        if not len(library):
            if collection.papers:
                library.add(collection.papers())
            else:
                library.ingest(sample_folder())
        library.warm()
        queries = list(collection.queries.items())
        took = {
            "citewise": times([text for _, text in queries[:200]], library, Effort.NORMAL),
            "citewise, deep": times([text for _, text in queries[:50]], library, Effort.DEEP),
        }
        rows = []
        for name, rank in rankings(library).items():
            scores = [figures(list(rank(text)), collection.gains[query]) for query, text in queries]
            means = " | ".join(
                f"{statistics.fmean(column):.3f}" for column in zip(*scores, strict=True)
            )
            rows.append(f"| {collection.name} | {name} | {means} | {took.get(name, '')} |")
        return rows


def times(queries: Sequence[str], library: Library, effort: Effort) -> str:
    """p50 and p95 of a search for ten papers, in milliseconds."""
    spent: list[float] = []
    for text in queries:
        started = time.perf_counter()
        library.find(text, 10, effort=effort)
        spent.append((time.perf_counter() - started) * 1000)
    spent.sort()
    return f"{statistics.median(spent):.1f} / {spent[int(len(spent) * 0.95)]:.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the collections")
    parser.add_argument("--libraries", type=Path, default=Path(".bench"), help="kept libraries")
    parser.add_argument("--embedder", help="of libraries that are not filled yet: static, ...")
    parser.add_argument("--test", action="store_true", help="SciFact's test queries, alone")
    parser.add_argument("--sought", type=Path, metavar="LIBRARY", help="of all papers of arxiv/")
    args = parser.parse_args()
    args.libraries.mkdir(parents=True, exist_ok=True)
    print("| collection | ranking | nDCG@10 | R@5 | R@10 | R@100 | p50 / p95 ms |")
    print("|---|---|---|---|---|---|---|")
    for collection in collections(args.data, args.test, args.sought):
        for row in measure(collection, args.libraries, args.embedder):
            print(row, flush=True)


if __name__ == "__main__":
    main()
