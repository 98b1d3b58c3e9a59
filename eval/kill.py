"""Kills an ingest again and again at random moments, and looks each time whether anything is lost.

    python -m eval.kill PAPERS.jsonl[.gz] --papers 5000 --kills 50 --publish

A process ingests the first papers of the file, tells which it has acknowledged, and is killed with
SIGKILL after a random time; then the library is opened and examined, and the next process goes on
over the same file. At the end one may finish (``--whole``: with the vectors of all papers, which
takes minutes), and everything is examined once more. Writes a line a kill to ``--log`` and exits 1
at the first fault; ``--publish`` puts what was found into docs/benchmarks.md. Each process is
forked from one that has imported everything and opened nothing, so that no time goes into imports.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import multiprocessing
import random
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from eval.document import machine, row, table, write_section

from citewise.library.embedding import MiniLM
from citewise.library.library import Library

TITLE = "Killed at random moments"
_IMPORTED = ["citewise.library.library", "chromadb", "onnxruntime", "tokenizers"]
Told = tuple[str, int]
"""The step that a process is at, and how many papers it has done."""


def ingest(folder: Path, file: Path, said: Connection) -> None:
    """What is killed: fills the library and tells how far it is."""
    with Library.open(folder) as library:
        said.send(("open", 0))
        library.ingest(file, on_progress=lambda p: said.send((p.step, p.done)))
        said.send(("end", 0))


def take(source: Path, count: int, target: Path) -> list[str]:
    """Writes the first ``count`` records to ``target``; their ids."""
    open_ = gzip.open if source.suffix == ".gz" else open
    with open_(source, "rt", encoding="utf-8") as lines:
        records = list(itertools.islice(lines, count))
    target.write_text("".join(records), "utf-8")
    return [str(json.loads(record)["_id"]) for record in records]


def faults(
    folder: Path, encoder: MiniLM, acknowledged: list[str], chance: random.Random
) -> tuple[list[str], str]:
    """What is wrong with the library in words, and how full it is."""
    found: list[str] = []
    if not (folder / "papers.sqlite").exists():
        return ([f"{len(acknowledged)} acknowledged papers are gone"] if acknowledged else []), "-"
    with Library.open(folder, embedder=encoder) as library:
        papers = {paper.id: paper for paper in library.papers()}
        texts = Counter((paper.title, paper.abstract) for paper in papers.values())
        lost = [paper_id for paper_id in acknowledged if paper_id not in papers]
        if lost:
            found.append(f"{len(lost)} acknowledged papers are lost, such as {lost[0]}")
        if twice := [title for (title, _), count in texts.items() if count > 1]:
            found.append(f"{len(twice)} papers are there twice, such as {twice[0]!r}")
        found += library.check()
        books = sqlite3.connect(folder / "papers.sqlite")
        (sound,) = books.execute("PRAGMA integrity_check").fetchone()
        told = {str(row[0]) for row in books.execute("SELECT id FROM passages")}
        books.close()
        if sound != "ok":
            found.append(f"SQLite says {sound}")
        held = set(library._vectors._collection().get(include=[])["ids"])
        if held != told:
            found.append(f"{len(held ^ told)} passages differ between Chroma and the books")
        for paper_id in chance.sample(sorted(papers), min(5, len(papers))):
            # Not only the first few: while most papers have no vectors, those that have some may
            # rank before one that has all the words.
            hits = library.search(papers[paper_id].title, 20)
            if paper_id not in {hit.paper.id for hit in hits}:
                found.append(f"a search for its title does not find {paper_id}")
        return found, f"{len(papers)} papers, {len(papers) - library.waiting()} embedded"


def until(said: Connection, batches: int) -> Iterator[Told]:
    """What a process tells until it is open and, further, has embedded some batches."""
    for told in rest(said):
        yield told
        batches -= told[0] == "embedding"
        if batches <= 0 or told[0] == "end":
            return


def rest(said: Connection) -> Iterator[Told]:
    """What a process tells until it ends."""
    while True:
        try:
            yield said.recv()
        except (EOFError, OSError):
            return


def _published(args: argparse.Namespace, steps: Counter[str], state: str) -> list[str]:
    killed = ", ".join(f"{count} while {step}" for step, count in steps.items() if step != "end")
    return [
        "Written by `python -m eval.kill PAPERS.jsonl --publish`"
        f" (`--papers {args.papers} --kills {args.kills} --vectors {args.vectors}"
        f" --longest {args.longest:g} --seed {args.seed}`). {machine(args.note)}",
        "",
        f"{args.kills} times SIGKILL during an ingest of {args.papers:,} papers ({killed}), each"
        " time looked at by another process, then ingested to the end:",
        "",
        *table(
            [
                row("acknowledged papers that were lost", "0", "0"),
                row("papers that were there twice", "0", "0"),
                row("times SQLite, tantivy and Chroma did not agree", "0", "0"),
                row("times a search for a paper's title did not find it (5 papers a kill)", "0"),
                row("at the end", state),
            ]
        ),
        "",
        "The command ends at the first fault and writes nothing here then.",
    ]


def main() -> None:
    """Kill, look, go on."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--papers", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--longest", type=float, default=20.0, help="seconds to the latest kill")
    parser.add_argument(
        "--vectors", type=float, default=0.2, help="share of the kills that wait for vectors"
    )
    parser.add_argument("--whole", action="store_true", help="embed all of them at the end")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--publish", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--note", default="", help="a sentence on the machine")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["citewise.library.library", "chromadb", "onnxruntime", "tokenizers"]
    )
    encoder = MiniLM()
    with tempfile.TemporaryDirectory() as room, args.log.open("w", encoding="utf-8") as log:

        def say(line: str) -> None:
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()

        file, folder = Path(room) / "papers.jsonl", Path(room) / "library"
        ids = take(args.source, args.papers, file)
        say(f"{len(ids)} papers, {args.kills} kills, seed {args.seed}")
        known = kills = 0
        steps: Counter[str] = Counter()
        while kills < args.kills:
            said, tell = context.Pipe(duplex=False)
            process = context.Process(target=ingest, args=(folder, file, tell))
            process.start()
            tell.close()
            # Most kills fall anywhere; the others are to fall among the vectors, which come last
            # and take the longest, and wait for some batches of them first.
            batches = chance.randint(1, 4) if chance.random() < args.vectors else 0
            wait = chance.uniform(0, 3.0 if batches else args.longest)
            told = list(until(said, batches))
            time.sleep(wait)
            process.kill()
            told += rest(said)
            process.join()
            known = max([known, *(done for step, done in told if step == "reading")])
            step = told[-1][0] if told else "open"
            steps[step] += 1
            kills += step != "end"
            moment = f"batch {batches} of vectors" if batches else "it opened"
            wrong, state = faults(folder, encoder, ids[:known], chance)
            say(
                f"{kills:>3}. killed {wait:5.2f} s after {moment}, last heard of: {step:<9}"
                f" acknowledged {known}; {state}; {'; '.join(wrong) or 'whole'}"
            )
            if wrong:
                raise SystemExit(1)
            if known == len(ids):
                # Some are taken out, so that there is something to read when the next is killed.
                known = len(ids) // 2
                with Library.open(folder, embedder=encoder) as library:
                    library.remove(ids[known:])
        started = time.perf_counter()
        with Library.open(folder, embedder=encoder) as library:
            report = library.ingest(file, embed=args.whole)
            again = library.ingest(file, embed=args.whole)
        wrong, state = faults(folder, encoder, ids, chance)
        say(f"finished in {time.perf_counter() - started:.0f} s: {state}")
        say(f"last ingest: {report.added} added, {report.unchanged} unchanged")
        say(f"once more: {again.added} added, {again.updated} updated, {again.unchanged} unchanged")
        say(f"kills by what was last heard of: {dict(steps)}; {'; '.join(wrong) or 'whole'}")
        if wrong or again.added or again.updated:
            raise SystemExit(1)
    if args.publish:
        write_section(TITLE, _published(args, steps, state))


if __name__ == "__main__":
    main()
