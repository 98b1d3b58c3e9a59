"""Measures the served page: start, first question, many askers at once, memory.

Run with ``make bench-page``. It serves the sample papers as ``citewise chat`` does, in a process
of its own, and asks over ``/v1`` as programs do. Writes docs/benchmarks-page.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from citewise import Library
from citewise.evaluation.datasets import load
from citewise.sample import sample_folder

ROOT = Path(__file__).resolve().parents[1]
READY_S, FIRST_S, P95_S, MEMORY_MIB = 8.0, 1.0, 3.0, 700
"""What is aimed at, on 2 processors that do nothing else."""
_PATIENCE_S = 300.0


@dataclass(frozen=True)
class Reply:
    """One question asked over the network."""

    seconds: float
    outcome: str
    """``answered``, ``busy``, or what went wrong."""


@contextmanager
def served(library: Path) -> Iterator[tuple[str, int, float, float]]:
    """``citewise chat`` on a free port: its address, process id, and from typing to ready the
    seconds on the clock and those of a processor.

    Ready means that the page itself was fetched, not only that the port is open.
    """
    command = [sys.executable, "-m", "citewise", "chat", "--port", "0", "--json", "-q"]
    # As people have it: what was compiled at the first start is not compiled again.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    with subprocess.Popen(
        [*command, "--library", str(library)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the page did not start")
        url = json.loads(line)["url"]
        with urllib.request.urlopen(url, timeout=_PATIENCE_S) as page:
            page.read()
        try:
            yield url, process.pid, time.perf_counter() - started, processor_s(process.pid)
        finally:
            process.terminate()


def ask(url: str, question: str) -> Reply:
    """Ask over ``/v1`` and wait for the whole answer."""
    body = {"model": "citewise", "messages": [{"role": "user", "content": question}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    started = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as reply:
            json.load(reply)
        outcome = "answered"
    except urllib.error.HTTPError as error:
        outcome = "busy" if error.code == 503 else f"status {error.code}"
    except (OSError, ValueError) as error:
        outcome = type(error).__name__
    return Reply(time.perf_counter() - started, outcome)


def all_at_once(url: str, questions: Sequence[str]) -> list[Reply]:
    """Ask every question at the same moment, each from a thread of its own."""
    gate = threading.Barrier(len(questions))

    def one(question: str) -> Reply:
        gate.wait()
        return ask(url, question)

    with ThreadPoolExecutor(len(questions)) as pool:
        return list(pool.map(one, questions))


def memory_mib(pid: int) -> float:
    """Resident memory of a process in MiB (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this system does not tell the memory of a process")


def processor_s(pid: int) -> float:
    """Seconds of a processor that a process has used, in user mode and in the kernel (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def p95(values: Sequence[float]) -> float:
    """The value that 95 % do not exceed (nearest rank)."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def told(replies: Sequence[Reply]) -> str:
    """Outcomes and times of many questions."""
    counts = ", ".join(f"{n} {what}" for what, n in Counter(r.outcome for r in replies).items())
    times = [r.seconds for r in replies if r.outcome == "answered"] or [float("nan")]
    return f"{counts}; p50 {median(times):.2f} s, p95 {p95(times):.2f} s"


def main() -> None:
    """Measure everything and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=20, help="who ask at once")
    parser.add_argument("--rounds", type=int, default=3, help="questions that each of them asks")
    parser.add_argument("--crowd", type=int, default=200, help="askers at once, to be held off")
    parser.add_argument("--library", type=Path, help="a filled library (default: the sample)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks-page.md")
    args = parser.parse_args()
    questions = [question.question for question in load("dev")]
    many = [questions[n % len(questions)] for n in range(args.people * args.rounds)]
    crowd = [questions[n % len(questions)] for n in range(args.crowd)]
    with tempfile.TemporaryDirectory() as folder:
        path = args.library or Path(folder) / "library"
        if args.library is None:
            with Library.open(path) as library:
                library.ingest(sample_folder())
        # The first start of all reads the installation from disk; the second is what people meet.
        with served(path) as (_, _, cold, _):
            pass
        with served(path) as (url, pid, ready, work):
            first = ask(url, questions[0])
            at_rest = memory_mib(pid)
            rounds = [
                reply
                for n in range(args.rounds)
                for reply in all_at_once(url, many[n * args.people : (n + 1) * args.people])
            ]
            with_people = memory_mib(pid)
            held_off = all_at_once(url, crowd)
            after = ask(url, questions[1])
            at_last = memory_mib(pid)
    rows = [
        ("from typing `citewise chat` to the page", f"{ready:.1f} s (first {cold:.1f})", READY_S),
        ("of it, seconds of a processor", f"{work:.1f} s", None),
        ("the first question after that", f"{first.seconds:.2f} s, {first.outcome}", FIRST_S),
        (f"{args.people} people asking at once, {args.rounds} rounds", told(rounds), P95_S),
        (f"{args.crowd} at once", told(held_off), None),
        ("one question after them", f"{after.seconds:.2f} s, {after.outcome}", FIRST_S),
        (
            "memory after the first question, the people, the crowd",
            f"{at_rest:.0f}, {with_people:.0f}, {at_last:.0f} MiB",
            MEMORY_MIB,
        ),
    ]
    unit = {MEMORY_MIB: " MiB", P95_S: " s (p95), no error"}
    lines = [
        "# The page under load",
        "",
        "Generated by `make bench-page`; times depend on the machine and on what else it does.",
        "",
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the end, "
        f"{platform.system()}, Python {platform.python_version()}; extractive.",
        "",
        "| what | measured | aim |",
        "|---|---|---|",
        *(
            f"| {what} | {value} | {f'<= {aim:g}' + unit.get(aim, ' s') if aim else ''} |"
            for what, value, aim in rows
        ),
    ]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
