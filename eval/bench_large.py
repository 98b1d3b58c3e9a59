"""Measures a large library that is filled already; writes a section of docs/benchmarks.md.

    make bench-large LIBRARY=DIR [LOG=FILE]

Filling one takes an hour or more, so that is done before (``citewise ingest``, ``citewise embed``),
its standard error kept in ``LOG``. Nothing is written to the library.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from eval.document import DOCUMENT, ROOT, machine, percentile, row, table, write_section

from citewise import Library
from citewise.evaluation.datasets import load
from citewise.library.embedding import quickest
from citewise.types import Filters

TITLE = "A large library"
_MIB = 1024
_RATE = re.compile(r"embedding papers: (\d+) of (\d+), ([\d.]+) a second")


def _queries(library: Library, seed: int) -> list[str]:
    """The 100 dev questions, and as many titles drawn at random."""
    questions = [question.standalone for question in load("dev")]
    total = len(library)
    chance = random.Random(seed)
    offsets = sorted(chance.sample(range(total), min(len(questions), total)))
    titles = [library.page(order="added", offset=at, limit=1).papers[0].title for at in offsets]
    return questions + titles


def _searched(library: Library, queries: Sequence[str], filters: Filters) -> str:
    """How long the queries take by the clock and, which is less on a busy machine, of processor."""
    library.find(queries[0], 10, filters)
    spent: list[tuple[float, float]] = []
    for query in queries:
        wall, cpu = time.perf_counter(), time.process_time()
        library.find(query, 10, filters)
        spent.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall_ms, cpu_ms = ([1000 * times[at] for times in spent] for at in (0, 1))
    return f"{_ms(wall_ms)} (of processor: {_ms(cpu_ms)})"


def _ms(times: Sequence[float]) -> str:
    return f"p50 {statistics.median(times):.1f} ms, p95 {percentile(times, 0.95):.1f} ms"


def _day_after(library: Library, share: float) -> str:
    """A month from which on about this share of the dated papers was published."""
    months = library.timeline().months
    wanted = share * sum(count for _, count in months)
    for month, count in reversed(months):
        wanted -= count
        if wanted <= 0:
            return month
    return months[0][0]


def measure(path: Path, seed: int) -> dict[str, object]:
    """All figures of one process: opening, searching, memory."""
    # What a process pays once and for any library is not what is measured.
    import chromadb  # noqa: F401, PLC0415

    started = time.perf_counter()
    with Library.open(path, create=False) as library:
        opened = time.perf_counter() - started
        query = load("dev")[0].standalone
        quickest(library.embedder)(["to load the encoder"])
        mark = time.perf_counter()
        library.search(query)
        first = time.perf_counter() - mark
        queries = _queries(library, seed)
        plain = _searched(library, queries, Filters())
        filtered = {}
        for share in (0.5, 0.05):
            since = _day_after(library, share)
            filters = Filters(since=since)
            found = sum(count for month, count in library.timeline().months if month >= since)
            filtered[f"{since} ({found:,} papers)"] = _searched(library, queries, filters)
        info = library.info()
        return {
            "opened": opened,
            "first": first,
            "plain": plain,
            "filtered": filtered,
            "queries": len(queries),
            "papers": info.papers,
            "embedded": info.embedded,
            "passages": info.passages,
            "disk": info.disk_bytes,
            "wrong": library.check(),
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB,
        }


def _filling(log: Path) -> str | None:
    """What the last line of a log of filling says."""
    told = _RATE.findall(log.read_text("utf-8", "replace"))
    if not told:
        return None
    done, total, rate = told[-1]
    return f"{rate} papers/s over {int(done):,} of {int(total):,}"


def main() -> None:
    """Measure in a process of its own and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("library", type=Path)
    parser.add_argument("--log", type=Path, help="what ingest or embed said while filling it")
    parser.add_argument("--out", type=Path, default=DOCUMENT)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--note", default="", help="a sentence on the machine")
    args = parser.parse_args()
    if args.child:
        print(json.dumps(measure(args.library, args.seed)))
        return
    command = [sys.executable, "-m", "eval.bench_large"]
    told = subprocess.run(
        [*command, str(args.library), "--child", "--seed", str(args.seed)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(told.stdout)
    rows = [
        row("search, k = 10", found["plain"], "p50 <= 15, p95 <= 40"),
        *(
            row(f"search since {since}", times, "p95 <= 60")
            for since, times in found["filtered"].items()
        ),
        row("opening it again", f"{found['opened']:.2f} s", "<= 1 s"),
        row("the first search after that, which reads the index", f"{found['first']:.2f} s"),
        row("memory, at most", f"{found['memory']:,.0f} MiB", "<= 1,536 MiB"),
        row("disk", f"{found['disk'] / found['papers'] / 1000:.1f} kB a paper", "<= 25 kB"),
        row("papers and indexes agree", "; ".join(found["wrong"]) or "yes", "yes"),
    ]
    if args.log and (filling := _filling(args.log)):
        rows.append(row("embedding, while the machine did other things as well", filling))
    write_section(
        TITLE,
        [
            "Written by `make bench-large LIBRARY=DIR LOG=FILE`. " + machine(args.note),
            "",
            f"{found['papers']:,} papers, {found['embedded']:,} of them embedded in "
            f"{found['passages']:,} passages. {found['queries']} queries: the dev questions and as "
            "many titles drawn at random.",
            "",
            *table(rows),
        ],
        args.out,
    )


if __name__ == "__main__":
    main()
