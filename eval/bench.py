"""Measures start-up, ingest and answers on this machine, and writes docs/benchmarks.md.

Run with ``make bench``. Whole processes are timed where a person would wait for a whole process.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from eval import stock

from citewise import Assistant, Library
from citewise.evaluation.datasets import load
from citewise.sample import sample_folder
from citewise.sources import read
from citewise.types import Paper

ROOT = Path(__file__).resolve().parents[1]


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


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


def _ingest_rows(folder: Path) -> list[str]:
    """Ours and the stock way, one after the other, on the same papers, in processor time as well.

    Processor time counts on a machine that does other things beside.
    """
    papers = [record for record in read([sample_folder()]) if isinstance(record, Paper)]
    papers = list({paper.id: paper for paper in papers}.values())
    rows = []
    spent: dict[str, tuple[float, float]] = {}
    with Library.open(folder / "ours") as library:
        library.warm()

        def ours() -> object:
            return library.add(papers)

        def theirs() -> object:
            return stock.ingest(papers, folder / "stock")

        # Imports are paid before.
        stock.ingest(papers[:1], folder / "warm")
        for name, work in (("stock", theirs), ("ours", ours)):
            before = time.process_time()
            wall = _timed(work)
            spent[name] = (wall, time.process_time() - before)
    for name, what in (
        ("stock", "the stock way (SentenceSplitter, Chroma's default function, eight-bit model)"),
        ("ours", "citewise, whole abstracts and their sentences"),
    ):
        wall, cpu = spent[name]
        rows.append(
            _row(
                f"{what}: {len(papers)} papers",
                f"{wall:.1f} s ({len(papers) / wall:.0f} papers/s), {cpu:.1f} s of processor",
                "",
            )
        )
    ratio = [spent["stock"][at] / spent["ours"][at] for at in (0, 1)]
    rows.append(
        _row(
            "times the stock way",
            f"{ratio[0]:.2f} by the clock, {ratio[1]:.2f} by processor time",
            ">= 2.5",
        )
    )
    return rows


def _words_row(folder: Path, source: Path, count: int) -> str:
    """Reading, writing and indexing the words of many papers, without their vectors."""
    file = folder / "many.jsonl"
    open_ = gzip.open if source.suffix == ".gz" else open
    with open_(source, "rt", encoding="utf-8") as lines, file.open("w", encoding="utf-8") as out:
        out.writelines(itertools.islice(lines, count))
    with Library.open(folder / "words") as library:
        before = time.process_time()
        wall = _timed(lambda: library.ingest(file, embed=False))
        cpu = time.process_time() - before
        papers = len(library)
    return _row(
        f"reading, writing and indexing the words of {papers} papers",
        f"{wall:.1f} s ({papers / wall:.0f} papers/s), {cpu:.1f} s of processor "
        f"({papers / cpu:.0f} papers/s)",
        ">= 5,000 papers/s",
    )


def _row(what: str, value: str, target: str) -> str:
    return f"| {what} | {value} | {target} |"


def main() -> None:
    """Measure everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="whole processes of each kind")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--papers", type=Path, help="many papers, a file that ingest reads")
    parser.add_argument("--count", type=int, default=20_000, help="how many of them")
    parser.add_argument("--ingest-only", action="store_true", help="print the ingest rows and end")
    args = parser.parse_args()
    rows: list[str] = []
    if args.ingest_only:
        with tempfile.TemporaryDirectory() as folder:
            print("\n".join(_ingest_rows(Path(folder))))
            if args.papers:
                print(_words_row(Path(folder), args.papers, args.count))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "library"
        with Library.open(path) as library:
            spent = _timed(lambda: library.ingest(sample_folder()))
            papers = len(library)
            rows.append(
                _row(f"ingest of {papers} papers, all embedded", f"{spent:.1f} s", "< 15 s")
            )
            again = _timed(lambda: library.ingest(sample_folder()))
            rows.append(_row("the same again, nothing changed", f"{again:.2f} s", ""))
            assistant = Assistant(library)
            questions = load("dev")
            assistant.ask(questions[0].question)
            times = sorted(
                _timed(partial(assistant.ask, question.question, question.history)) * 1000
                for question in questions
            )
            searches = sorted(
                _timed(partial(library.find, question.question, 10)) * 1000
                for question in questions
            )
            rows.append(
                _row(
                    "extractive answer with its checks, in a running process",
                    f"p50 {statistics.median(times):.0f} ms, "
                    f"p95 {times[int(len(times) * 0.95)]:.0f} ms",
                    "p50 < 100 ms",
                )
            )
            rows.append(
                _row(
                    "search",
                    f"p50 {statistics.median(searches):.1f} ms, "
                    f"p95 {searches[int(len(searches) * 0.95)]:.1f} ms",
                    "p50 <= 8 ms",
                )
            )
        rows += _ingest_rows(Path(folder))
        if args.papers:
            rows.append(_words_row(Path(folder), args.papers, args.count))
        first = sorted(_first_words(path) for _ in range(args.runs))
        rows.append(
            _row(
                "`citewise ask` on a filled library, from start to first words",
                f"median {statistics.median(first):.2f} s of {args.runs}",
                "< 3 s",
            )
        )
    lines = [
        "# Benchmarks",
        "",
        "Generated by `make bench`; times depend on the machine and on what else it does.",
        "",
        f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}.",
        "",
        "| what | measured | aim |",
        "|---|---|---|",
        *rows,
    ]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
