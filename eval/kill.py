"""Kills an ingest again and again at random moments, and looks each time whether anything is lost.

    python eval/kill.py PAPERS.jsonl[.gz] --papers 5000 --kills 50

A process ingests the first papers of the file, tells which it has acknowledged, and is killed with
SIGKILL after a random time; then the library is opened and examined, and the next process goes on
over the same file. At the end one may finish, and everything is examined once more. Writes a line a
kill to ``--log`` and exits 1 at the first fault.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from citewise.library.library import Library

INGEST = """
import sys
from citewise import Library
with Library.open(sys.argv[1]) as library:
    print("open", 0, flush=True)
    library.ingest(sys.argv[2], on_progress=lambda p: print(p.step, p.done, flush=True))
    print("end", 0, flush=True)
"""


def take(source: Path, count: int, target: Path) -> list[str]:
    """Writes the first ``count`` records to ``target``; their ids."""
    open_ = gzip.open if source.suffix == ".gz" else open
    with open_(source, "rt", encoding="utf-8") as lines:
        records = list(itertools.islice(lines, count))
    target.write_text("".join(records), "utf-8")
    return [str(json.loads(record)["_id"]) for record in records]


def faults(folder: Path, acknowledged: list[str], chance: random.Random) -> tuple[list[str], str]:
    """What is wrong with the library in words, and how full it is."""
    found: list[str] = []
    if not (folder / "papers.sqlite").exists():
        return ([f"{len(acknowledged)} acknowledged papers are gone"] if acknowledged else []), "-"
    with Library.open(folder) as library:
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
            hits = library.search(papers[paper_id].title, 5)
            if paper_id not in {hit.paper.id for hit in hits}:
                found.append(f"a search for its title does not find {paper_id}")
        return found, f"{len(papers)} papers, {len(papers) - library.waiting()} embedded"


def until(lines: IO[str], batches: int) -> Iterator[list[str]]:
    """What a process tells until it is open and, further, has embedded some batches."""
    for line in lines:
        words = line.split()
        yield words
        batches -= words[0] == "embedding"
        if batches <= 0 or words[0] == "end":
            return


def main() -> None:
    """Kill, look, go on."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--papers", type=int, default=5_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--longest", type=float, default=20.0, help="seconds to the latest kill")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, required=True)
    args = parser.parse_args()
    chance = random.Random(args.seed)
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
            process = subprocess.Popen(
                [sys.executable, "-c", INGEST, str(folder), str(file)],
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            # Half the kills fall anywhere; the others are to fall among the vectors, which come
            # last, and wait for some batches of them first.
            batches = 0 if chance.random() < 0.5 else chance.randint(1, 4)
            wait = chance.uniform(0, 3.0 if batches else args.longest)
            told = list(until(process.stdout, batches))
            time.sleep(wait)
            os.kill(process.pid, signal.SIGKILL)
            told += [line.split() for line in process.communicate()[0].splitlines()]
            known = max([known, *(int(done) for step, done in told if step == "reading")])
            step = told[-1][0] if told else "open"
            steps[step] += 1
            if step == "end":
                # It was done: some are taken out, so that there is something to kill again.
                with Library.open(folder) as library:
                    library.remove(ids[len(ids) // 2 :])
                known = len(ids) // 2
                continue
            kills += 1
            moment = f"batch {batches} of vectors" if batches else "it opened"
            wrong, state = faults(folder, ids[:known], chance)
            say(
                f"{kills:>3}. killed {wait:5.2f} s after {moment}, last heard of: {step:<9}"
                f" acknowledged {known}; {state}; {'; '.join(wrong) or 'whole'}"
            )
            if wrong:
                raise SystemExit(1)
        started = time.perf_counter()
        with Library.open(folder) as library:
            report = library.ingest(file)
            again = library.ingest(file)
        wrong, state = faults(folder, ids, chance)
        say(f"finished in {time.perf_counter() - started:.0f} s: {state}")
        say(f"last ingest: {report.added} added, {report.unchanged} unchanged")
        say(f"once more: {again.added} added, {again.updated} updated, {again.unchanged} unchanged")
        say(f"kills by what was last heard of: {dict(steps)}; {'; '.join(wrong) or 'whole'}")
        if wrong or again.added or again.updated:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
