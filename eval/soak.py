"""Asks an assistant for half an hour and looks whether its memory grows.

    python -m eval.soak                            # 30 minutes at 5 asks a second
    python -m eval.soak --minutes 2 --rate 2 --json soak.json
    python -m eval.soak --publish --note "The machine was shared with other work."

The sample papers are put into a library of their own, unless ``--library`` names one. All workers
ask once before the clock starts: a thread holds connections and buffers of its own, and one that is
first needed late would look like growth. Every minute a line is printed: asks so far, the slowest
of the last minute, memory, threads and open files. The first quarter is for warming up (models,
indexes); growth is what the median of the last quarter has above that of the second. Exit status 1
when it is more than ``--most`` MiB, or when an ask failed. ``--publish`` writes the figures into
docs/benchmarks.md, which ``make bench`` keeps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from eval.document import machine, write_section

from citewise import Assistant, Library
from citewise.sample import sample_folder
from citewise.types import Message

TITLE = "Half an hour of questions"
SHOWN_MINUTES = (0, 5, 15, 30)
"""Moments of which the published table tells."""

QUESTIONS = (
    "What is speculative decoding?",
    "Which papers quantise the KV cache, and to how many bits?",
    "Compare Falcon and Kangaroo",
    "Which papers run large models on phones?",
    "How do I bake sourdough bread?",
    "What do they report about pruning attention heads?",
    "\u202ewhy " * 200,
)


@dataclass(frozen=True, slots=True)
class Sample:
    """The process at one moment."""

    seconds: float
    asks: int
    failed: int
    slowest_ms: float
    """Of the asks since the last sample."""
    mib: float
    """Resident memory."""
    threads: int
    files: int


def memory_mib() -> float:
    """Resident memory of this process; Linux only."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


class Soak:
    """Asks at a fixed rate, however long an answer takes."""

    def __init__(self, assistant: Assistant) -> None:
        self.assistant = assistant
        self.asks = self.failed = 0
        self.slowest_ms = 0.0
        self.samples: list[Sample] = []
        self.times_ms: list[float] = []
        """Of every answer that was not refused, without the one that made its history."""
        self._lock = threading.Lock()

    def ask(self, number: int) -> None:
        """One question; every other one follows a conversation."""
        begun = time.perf_counter()
        history: Sequence[Message] = ()
        good = True
        spent = 0.0
        try:
            if number % 2:
                history = self.assistant.ask(QUESTIONS[0], effort="quick").history
            asked = time.perf_counter()
            self.assistant.ask(QUESTIONS[number % len(QUESTIONS)], history)
            spent = (time.perf_counter() - asked) * 1000
        except Exception as error:  # noqa: BLE001 - counted and told
            good = False
            print(f"ask {number}: {type(error).__name__}: {error}", file=sys.stderr)
        with self._lock:
            self.asks += 1
            self.failed += not good
            if good:
                self.times_ms.append(spent)
            self.slowest_ms = max(self.slowest_ms, (time.perf_counter() - begun) * 1000)

    def first(self, number: int, together: threading.Barrier) -> None:
        """An ask in each of the threads, which are not counted."""
        together.wait()
        self.assistant.ask(QUESTIONS[number % len(QUESTIONS)])

    def look(self, seconds: float) -> Sample:
        """Note how the process is."""
        with self._lock:
            slowest, self.slowest_ms = self.slowest_ms, 0.0
        sample = Sample(
            round(seconds, 1),
            self.asks,
            self.failed,
            round(slowest, 1),
            round(memory_mib(), 1),
            threading.active_count(),
            len(list(Path("/proc/self/fd").iterdir())),
        )
        self.samples.append(sample)
        print(
            f"{sample.seconds:7.0f} s  {sample.asks:6} asks  {sample.failed} failed  slowest "
            f"{sample.slowest_ms:7.0f} ms  {sample.mib:7.1f} MiB  {sample.threads} threads  "
            f"{sample.files} files",
            flush=True,
        )
        return sample

    def run(self, minutes: float, rate: float, workers: int) -> None:
        """Ask ``rate`` times a second; an ask that finds no free worker waits in a short line."""
        every = min(60.0, minutes * 60 / 12)
        room = threading.Semaphore(workers * 4)
        with ThreadPoolExecutor(workers) as pool:
            together = threading.Barrier(workers)
            list(pool.map(lambda number: self.first(number, together), range(workers)))
            begun = looked = time.monotonic()
            self.look(0.0)
            number = 0
            while time.monotonic() - begun < minutes * 60:
                room.acquire()
                pool.submit(self.ask, number).add_done_callback(lambda _: room.release())
                number += 1
                wait = begun + number / rate - time.monotonic()
                if wait > 0:
                    time.sleep(wait)
                if time.monotonic() - looked >= every:
                    looked = time.monotonic()
                    self.look(looked - begun)
        self.look(time.monotonic() - begun)


def growth(samples: list[Sample]) -> float:
    """MiB by which the last quarter lies above the second one."""
    quarter = max(1, len(samples) // 4)
    before = [sample.mib for sample in samples[quarter : 2 * quarter]] or [samples[0].mib]
    after = [sample.mib for sample in samples[-quarter:]]
    return statistics.median(after) - statistics.median(before)


def section(soak: Soak, rate: float, grown: float, note: str) -> list[str]:
    """What docs/benchmarks.md says of it."""
    samples = soak.samples
    last = samples[-1]
    times = sorted(soak.times_ms)
    p50, p95 = (times[int(len(times) * share)] for share in (0.5, 0.95))
    rows = []
    for minute in SHOWN_MINUTES:
        near = min(samples, key=lambda sample: abs(sample.seconds - minute * 60))
        if abs(near.seconds - minute * 60) <= 60:
            rows.append(
                f"| {minute} | {near.asks} | {near.mib:.0f} MiB | {near.threads} | {near.files} |"
            )
    return [
        f"Written by `python -m eval.soak --publish`. {machine()}{' ' * bool(note)}{note}",
        "",
        f"{rate:g} asks a second were meant, every other one after a turn of conversation, for "
        f"{last.seconds / 60:.0f} minutes, without a language model.",
        "",
        "| minute | asks | memory | threads | open files |",
        "|---|---|---|---|---|",
        *rows,
        "",
        f"{soak.asks} asks, {soak.asks / last.seconds:.2f} a second, {soak.failed} failed; an "
        f"answer took p50 {p50:.0f} ms, p95 {p95:.0f} ms. Memory grew by {grown:+.1f} MiB from "
        "the second quarter to the last, by their medians.",
    ]


def main() -> int:
    """Soak and judge."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--library", type=Path)
    parser.add_argument("--backend", default="extractive")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=5.0, help="asks a second")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--most", type=float, default=20.0, help="MiB of growth allowed")
    parser.add_argument("--json", type=Path, help="also write all samples here")
    parser.add_argument("--publish", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--note", default="", help="what to say of the machine there")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        Library.open(args.library or Path(folder) / "library") as library,
    ):
        if args.library is None:
            print("filling a library with the sample papers", flush=True)
            library.ingest(sample_folder())
        soak = Soak(Assistant(library, args.backend))
        soak.run(args.minutes, args.rate, args.workers)
    grown = growth(soak.samples)
    done = soak.asks / soak.samples[-1].seconds
    print(
        f"{soak.asks} asks, {done:.2f} a second, {soak.failed} failed, memory grew {grown:+.1f} MiB"
    )
    if args.json:
        rows = [asdict(sample) for sample in soak.samples]
        args.json.write_text(json.dumps({"growth_mib": round(grown, 1), "samples": rows}, indent=1))
    if args.publish:
        write_section(TITLE, section(soak, args.rate, grown, args.note))
    return int(soak.failed > 0 or grown > args.most)


if __name__ == "__main__":
    sys.exit(main())
