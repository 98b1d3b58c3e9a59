"""Measures start-up, ingest and answers on this machine; writes a section of docs/benchmarks.md.

Run with ``make bench``. Whole processes are timed where a person would wait for a whole process.
``--stock-model`` names a folder made by ``training/build_encoder.py WHEEL --stock DIR``: the stock
way with a model in 32 bits, as it comes; without it the stock way has our eight-bit one alone.
``--papers`` names a file with many papers, for what needs many.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from eval import stock
from eval.document import DOCUMENT, ROOT, machine, percentile, row, table, write_section

from citewise import Assistant, Library
from citewise.evaluation.datasets import load
from citewise.evaluation.measures import ranking_scores
from citewise.library.lexical import LexicalIndex
from citewise.sample import sample_folder
from citewise.sources import read
from citewise.types import Effort, Paper

TITLE = "The sample papers, and many at once"
_WORD_BATCH = 4_000


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _both_times(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processor."""
    before = time.process_time()
    return _timed(work), time.process_time() - before


def _rate(papers: int, times: tuple[float, float]) -> str:
    wall, cpu = times
    return (
        f"{wall:.1f} s ({papers / wall:,.0f} papers/s), {cpu:.1f} s of processor "
        f"({papers / cpu:,.0f} papers/s)"
    )


def _first_words(library: Path) -> float:
    """Seconds from starting the process to the first words of an answer on its output."""
    command = [sys.executable, "-m", "citewise", "ask", "How does speculative decoding work?"]
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, "--library", str(library)], stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        while not process.stdout.read(1).strip():
            if process.poll() is not None:
                raise SystemExit("the command ended without an answer")
        spent = time.perf_counter() - started
        process.stdout.read()
    return spent


def _sample_papers() -> list[Paper]:
    papers = [record for record in read([sample_folder()]) if isinstance(record, Paper)]
    return list({paper.id: paper for paper in papers}.values())


def _stock_rows(folder: Path, model: Path | None) -> list[str]:
    """Ours and the stock way, one after the other, on the same papers, and then asked in turn.

    Processor time counts on a machine that does other things beside.
    """
    papers = _sample_papers()
    shipped = stock.shipped_model(folder / "shipped")
    ways = {"in eight bits, our file": (shipped, False)}
    if model is not None:
        ways = {
            "in 32 bits, as it comes": (model, False),
            "in 32 bits, abstracts cut so that it reads them whole": (model, True),
            **ways,
        }
    spent: dict[str, tuple[float, float]] = {}
    indexes: dict[str, stock.StockIndex] = {}

    def fill(name: str, files: Path, whole: bool) -> None:
        at = folder / f"stock-{len(indexes)}"
        indexes[name] = stock.ingest(papers, at, files, whole=whole)

    for name, (files, whole) in ways.items():
        # Imports are paid before.
        stock.ingest(papers[:1], folder / f"warm-{len(indexes)}", files)
        spent[name] = _both_times(partial(fill, name, files, whole))
    with Library.open(folder / "ours") as library:
        library.warm()
        ours = _both_times(lambda: library.add(papers))
        searched = _search_rows(library, indexes)
    with Library.open(folder / "static", embedder="static") as library:
        library.warm()
        static = _both_times(lambda: library.add(papers))
    rows = [
        row(
            f"the stock way, its model {name}: {len(papers)} papers",
            f"{_rate(len(papers), times)}; {indexes[name].chunks} chunks, of whose tokens it reads"
            f" {indexes[name].read(shipped):.0%}",
        )
        for name, times in spent.items()
    ]
    rows.append(
        row(
            f"citewise, whole abstracts and their sentences: {len(papers)} papers",
            _rate(len(papers), ours),
        )
    )
    rows.append(
        row(f"citewise with `--embedder static`: {len(papers)} papers", _rate(len(papers), static))
    )
    for way, times in (("", ours), (", with `--embedder static`", static)):
        for name, (wall, cpu) in spent.items():
            rows.append(
                row(
                    f"times as fast as the stock way, its model {name}{way}",
                    f"{wall / times[0]:.2f} by the clock, {cpu / times[1]:.2f} by processor time",
                    ">= 2.5" if "32" in name and not way else "",
                )
            )
    return rows + searched


def _search_rows(library: Library, indexes: Mapping[str, stock.StockIndex]) -> list[str]:
    """Time and quality over the answerable dev questions, each asked everywhere in turn."""

    def ours(query: str) -> list[str]:
        return [hit.paper.id for hit in library.find(query, 10).hits]

    ways: dict[str, Callable[[str], list[str]]] = {
        f"the stock way, its model {name}": partial(index.search, k=10)
        for name, index in indexes.items()
    }
    ways = {"citewise": ours, **ways}
    questions = [question for question in load("dev") if question.answerable]
    for search in ways.values():
        search(questions[0].standalone)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    gained: dict[str, list[float]] = {name: [] for name in ways}
    for question in questions:
        for name, search in ways.items():
            started = time.perf_counter()
            ranked = search(question.standalone)
            spent[name].append(1000 * (time.perf_counter() - started))
            scores = ranking_scores(ranked, question.required, question.acceptable)
            gained[name].append(scores["ndcg_at_10"] or 0.0)
    best = statistics.median(spent["citewise"])
    return [
        row(
            f"search, {name}: {len(questions)} dev questions asked in turn",
            f"{_ms(times)}; nDCG@10 {statistics.mean(gained[name]):.3f}"
            + (f"; citewise is {statistics.median(times) / best:.1f} times as fast" * (at > 0)),
            ">= 6 times" if at else "",
        )
        for at, (name, times) in enumerate(spent.items())
    ]


def _take(source: Path, count: int, target: Path) -> Path:
    open_ = gzip.open if source.suffix == ".gz" else open
    with open_(source, "rt", encoding="utf-8") as lines, target.open("w", encoding="utf-8") as out:
        out.writelines(itertools.islice(lines, count))
    return target


def _words_rows(folder: Path, source: Path, count: int) -> list[str]:
    """Everything that is done with many papers before they are embedded."""
    file = _take(source, count, folder / "many.jsonl")
    read_in = _both_times(lambda: list(read([file])))
    papers = [record for record in read([file]) if isinstance(record, Paper)]
    words = LexicalIndex(folder / "tantivy")

    def index() -> None:
        for begin in range(0, len(papers), _WORD_BATCH):
            batch = papers[begin : begin + _WORD_BATCH]
            words.update((paper.id, paper.title, paper.abstract) for paper in batch)

    indexed = _both_times(index)
    with Library.open(folder / "words") as library:
        whole = _both_times(lambda: library.ingest(file, embed=False))
        total = len(library)
    return [
        row(f"words of {len(papers):,} papers into tantivy", _rate(len(papers), indexed)),
        row(f"reading the file of {len(papers):,} papers", _rate(len(papers), read_in)),
        row(
            f"ingest of {total:,} papers until all are found by their words: reading, papers into "
            "SQLite, words into tantivy",
            _rate(total, whole),
            ">= 5,000 papers/s",
        ),
    ]


def _soon_found(folder: Path, source: Path) -> str:
    """How soon a search finds something after the ingest of a large file has begun."""
    open_ = gzip.open if source.suffix == ".gz" else open
    with open_(source, "rt", encoding="utf-8") as lines:
        title = str(json.loads(next(iter(lines)))["title"])
    library = str(folder / "soon")
    citewise = [sys.executable, "-m", "citewise"]
    started = time.perf_counter()
    with subprocess.Popen(
        [*citewise, "ingest", "-q", "--library", library, str(source)],
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
    ) as process:
        try:
            while process.poll() is None:
                found = subprocess.run(
                    [*citewise, "search", "--json", "-k", "1", "--library", library, title],
                    capture_output=True,
                    text=True,
                    cwd=ROOT,
                    check=False,
                )
                spent = time.perf_counter() - started
                if found.returncode == 0 and json.loads(found.stdout)["hits"]:
                    break
            else:
                raise SystemExit("the ingest ended before anything was found")
        finally:
            process.terminate()
            process.wait()
    said = next((n for n in json.loads(found.stdout).get("notes", ()) if "embedded" in n), "")
    return row(
        f"`citewise search` has an answer after `citewise ingest` of `{source.name}` was started",
        f"{spent:.1f} s" + (f" (it says: {said})" if said else ""),
        "<= 20 s",
    )


def _answer_rows(library: Library) -> list[str]:
    assistant = Assistant(library)
    questions = load("dev")
    assistant.ask(questions[0].question)
    answers = [
        _timed(partial(assistant.ask, question.question, question.history)) * 1000
        for question in questions
    ]
    searches, deep = (
        [_timed(partial(library.find, one.question, 10, effort=effort)) * 1000 for one in questions]
        for effort in (Effort.NORMAL, Effort.DEEP)
    )
    return [
        row("extractive answer with its checks, in a running process", _ms(answers), "p50 < 100"),
        row("search", _ms(searches), "p50 <= 8"),
        row("search with effort deep", _ms(deep), "<= 150"),
    ]


def _ms(times: Sequence[float]) -> str:
    return f"p50 {statistics.median(times):.1f} ms, p95 {percentile(times, 0.95):.1f} ms"


def main() -> None:
    """Measure everything and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="whole processes of each kind")
    parser.add_argument("--out", type=Path, default=DOCUMENT)
    parser.add_argument("--stock-model", type=Path, help="made by build_encoder.py --stock")
    parser.add_argument("--papers", type=Path, help="many papers, a file that ingest reads")
    parser.add_argument("--count", type=int, default=20_000, help="how many of them")
    parser.add_argument(
        "--stock-only", action="store_true", help="print the rows beside the stock way and end"
    )
    parser.add_argument(
        "--answers-only", action="store_true", help="print the answers' rows and end"
    )
    parser.add_argument("--note", default="", help="a sentence on the machine")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if args.stock_only:
            print("\n".join(_stock_rows(folder, args.stock_model)))
            if args.papers:
                print("\n".join(_words_rows(folder, args.papers, args.count)))
            return
        path = folder / "library"
        with Library.open(path) as library:
            spent = _timed(lambda: library.ingest(sample_folder()))
            if args.answers_only:
                print("\n".join(table(_answer_rows(library))))
                return
            papers = len(library)
            again = _timed(lambda: library.ingest(sample_folder()))
            rows = [
                row(f"ingest of {papers} papers, all embedded", f"{spent:.1f} s", "< 15 s"),
                row("the same again, nothing changed", f"{again:.2f} s"),
                *_answer_rows(library),
            ]
        first = [_first_words(path) for _ in range(args.runs)]
        rows.append(
            row(
                "`citewise ask` on a filled library, from start to first words",
                f"median {statistics.median(first):.2f} s of {args.runs}",
                "< 3 s",
            )
        )
        rows += _stock_rows(folder, args.stock_model)
        if args.papers:
            rows += _words_rows(folder, args.papers, args.count)
            rows.append(_soon_found(folder, args.papers))
    write_section(
        TITLE,
        [
            "Written by `make bench`. " + machine(args.note),
            "",
            "The stock way is llama-index's SentenceSplitter and Chroma with its default embedding"
            " function, in the same run on the same papers. As it comes it makes one chunk of an"
            " abstract, and its model leaves the end of most unread; cut where the model stops"
            " reading, they are embedded whole, as ours are: the aim of 2.5 asks for whole"
            " abstracts.",
            "",
            *table(rows),
        ],
        args.out,
    )


if __name__ == "__main__":
    main()
