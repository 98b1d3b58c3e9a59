"""Throws millions of broken inputs at a reader, or at the parser of citations.

    python eval/fuzz.py jsonl --minutes 10
    python eval/fuzz.py all --minutes 1 --engine hypothesis
    nice -n 19 python eval/fuzz.py campaign      # ten minutes each; run again, it goes on

With atheris (``pip install atheris``; Linux, CPython 3.11 to 3.13) the inputs follow the branches
that they reach; without it hypothesis varies the samples of the tests. What an input may never do:
raise, give a paper whose words were not cleaned, or take longer than 20 s or more than 1 GiB. The
first one that does is kept in ``--keep`` and makes the exit status 1. ``campaign`` passes by what
was fuzzed for long enough already and writes each target into the table of docs/security.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECURITY = ROOT / "docs" / "security.md"
SAMPLES = ROOT / "tests" / "sources" / "data"
READERS = (
    "arxiv",
    "beir",
    "bibtex",
    "csv",
    "daily-papers",
    "jsonl",
    "openalex",
    "pubmed",
    "ris",
)
TARGETS = (*READERS, "recognise", "citations")
"""``recognise`` is every reader behind the recognition of formats."""
LONGEST_INPUT = 8192
SECONDS_AN_INPUT = 20
MIB = 1024
_ABSTRACT = (
    "Lantern halves the memory of the cache. It is 3.1 times faster than Kestrel on two tasks, "
    "at a loss of 0.4 points. We train no draft model."
)

Target = Callable[[bytes], None]


def reader_target(name: str, scratch: Path) -> Target:
    """Feeds bytes to the reader of that name (``recognise``: to whichever takes them)."""
    from citewise.sources import ReadLimits, read  # noqa: PLC0415 - atheris instruments imports
    from citewise.sources.text import clean  # noqa: PLC0415
    from citewise.types import Paper  # noqa: PLC0415

    limits = ReadLimits(max_file_bytes=2**20, max_line_bytes=4096, max_records=500, max_depth=12)
    path = scratch / "input"
    wanted = None if name == "recognise" else name

    def feed(data: bytes) -> None:
        path.write_bytes(data)
        for item in read(path, format=wanted, limits=limits):
            if not isinstance(item, Paper):
                assert item.reason, "a rejection without a reason"
                continue
            assert item.id, "a paper without an id"
            assert item.abstract, "a paper without an abstract"
            for text in (item.title, item.abstract, *item.authors):
                assert text == clean(text), "words that were not cleaned"
            assert item.places[0].line >= 1, "a place before the first line"
            json.dumps(item.to_dict(abstract=True), ensure_ascii=False).encode()

    return feed


def citations_target() -> Target:
    """Feeds bytes as a model's reply to the parser of citations, in two pieces."""
    from citewise.answering.citations import CitedText  # noqa: PLC0415
    from citewise.types import Evidence, Paper, Span  # noqa: PLC0415

    paper = Paper("p", "Lantern", _ABSTRACT)
    cuts = [0, _ABSTRACT.index("It is"), _ABSTRACT.index("We train"), len(_ABSTRACT)]
    evidence = tuple(
        Evidence(n, paper, Span.of(_ABSTRACT, start, end), score=1.0, ordinal=n, paper_rank=1)
        for n, (start, end) in enumerate(pairwise(cuts), 1)
    )

    def feed(data: bytes) -> None:
        text = data[1:].decode("utf-8", "replace")
        cut = len(text) * (data[0] if data else 0) // 256
        cited = CitedText(evidence)
        for piece in (text[:cut], text[cut:]):
            for _ in cited.feed(piece):
                pass
        for _ in cited.finish():
            pass
        assert [c.n for c in cited.citations] == list(range(1, len(cited.citations) + 1))
        for citation in cited.citations:
            for span in citation.spans:
                assert _ABSTRACT[span.start : span.end] == span.text, "a span that does not stand"
        known = {citation.n for citation in cited.citations}
        for sentence in cited.sentences:
            assert set(sentence.citations) <= known, "a citation of nothing"

    return feed


def target_of(name: str, scratch: Path) -> Target:
    """The target of that name; ``scratch`` is a folder for the file that readers read."""
    return citations_target() if name == "citations" else reader_target(name, scratch)


def seeds(name: str) -> list[bytes]:
    """Inputs to begin with."""
    if name == "citations":
        texts = (
            f"{_ABSTRACT} [1][2] and [1, 3]. - It is [9] faster.\n\n| a [1] | b |\n|---|---|\n",
            "**Lantern** halves the memory [1-3]. ```code [1]``` $x_{1}$ [[2]](http://a.example)",
            "# Found\n1. Lantern [1]\n2. Kestrel【2】 (3) [^1] [1]: http://a.example\n> said [2].",
        )
        return [b"\x80" + text.encode() for text in texts]
    return [path.read_bytes()[:LONGEST_INPUT] for path in sorted(SAMPLES.iterdir())]


def run_hypothesis(
    name: str, seconds: float, scratch: Path, keep: Path, examples: int = 500
) -> int:
    """Vary the seeds until the time is up; the number of inputs. Raises what an input raises."""
    from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415
    from hypothesis import strategies as st  # noqa: PLC0415

    feed = target_of(name, scratch)
    begun = time.monotonic()
    count = 0
    patches = st.lists(
        st.tuples(st.integers(0, LONGEST_INPUT), st.integers(0, 40), st.binary(max_size=24)),
        max_size=6,
    )

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(seeds(name)), patches, st.binary(max_size=200), st.booleans())
    def once(seed: bytes, changes: list[tuple[int, int, bytes]], free: bytes, sample: bool) -> None:
        nonlocal count
        data = seed if sample else free
        for at, gone, new in changes:
            place = at % (len(data) + 1)
            data = data[:place] + new + data[place + gone :]
        count += 1
        started = time.monotonic()
        try:
            feed(data)
            assert time.monotonic() - started < SECONDS_AN_INPUT, "an input that took too long"
        except BaseException:
            (keep / f"crash-{name}").write_bytes(data)
            raise

    once()
    while time.monotonic() - begun < seconds:
        once()
    return count


def run_atheris(name: str, seconds: float, scratch: Path, keep: Path) -> None:
    """Let atheris look for inputs until the time is up; ends the process."""
    import atheris  # noqa: PLC0415 - optional

    with atheris.instrument_imports(include=["citewise", "bibtexparser", "rispy"]):
        feed = target_of(name, scratch)
    corpus = scratch / "corpus"
    corpus.mkdir()
    for number, data in enumerate(seeds(name)):
        (corpus / str(number)).write_bytes(data)
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={int(seconds)}",
            f"-max_len={LONGEST_INPUT}",
            f"-timeout={SECONDS_AN_INPUT}",
            f"-rss_limit_mb={MIB}",
            f"-artifact_prefix={keep}/{name}-",
            "-print_final_stats=1",
            "-verbosity=1",
            str(corpus),
        ],
        feed,
    )
    atheris.Fuzz()


def campaign(minutes: float, engine: str, keep: Path, page: Path = SECURITY) -> int:
    """Fuzz each target that the page does not say was fuzzed for so long; 1 when one failed."""
    failed = False
    for name in TARGETS:
        row = re.search(rf"^\| {name} \| ([\d.]+) \|", page.read_text("utf-8"), re.MULTILINE)
        if row and float(row[1]) >= minutes:
            print(f"{name}: {row[1]} minutes already", flush=True)
            continue
        command = [sys.executable, __file__, name, "--minutes", str(minutes)]
        options = ["--engine", engine, "--keep", str(keep)]
        with (keep / f"{name}.log").open("w+", encoding="utf-8", errors="replace") as log:
            done = subprocess.run([*command, *options], stdout=log, stderr=log, check=False)
            log.seek(0)
            told = log.read()
        count = re.findall(r"(?<=number_of_executed_units: )\d+|\d+(?= inputs in)", told)
        # Killed by a signal or by who ran it, it has found nothing and is to be run again.
        if done.returncode < 0 or (not done.returncode and not count):
            raise SystemExit(f"{name} was interrupted; run the same command again")
        failed = failed or done.returncode != 0
        found = f"see {keep / name}" if done.returncode else "none"
        write_row(f"| {name} | {minutes:g} | {int((count or [0])[-1]):,} | {found} |", page)
    return int(failed)


def write_row(row: str, page: Path) -> None:
    """Put the row of a target into the page's table, in place of its older one."""
    name = row.split("|")[1].strip()
    text, changed = re.subn(
        rf"^\| {name} \| .*$", lambda _: row, page.read_text("utf-8"), flags=re.MULTILINE
    )
    if changed != 1:
        raise SystemExit(f"{page} has no row of {name}")
    page.write_text(text, "utf-8")
    print(row, flush=True)


def main() -> int:
    """Fuzz one target, or all in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", choices=[*TARGETS, "all", "campaign"])
    parser.add_argument("--minutes", type=float, default=10.0, help="for each target")
    parser.add_argument("--engine", choices=["atheris", "hypothesis"], help="found out if absent")
    parser.add_argument("--keep", type=Path, default=Path("fuzz"), help="folder of what failed")
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    engine = args.engine or ("atheris" if importlib.util.find_spec("atheris") else "hypothesis")
    if args.target == "all":
        command = [sys.executable, __file__]
        options = ["--minutes", str(args.minutes), "--engine", engine, "--keep", str(args.keep)]
        # A process each: atheris ends the one it runs in.
        ended = [subprocess.run([*command, name, *options], check=False) for name in TARGETS]
        return int(any(process.returncode for process in ended))
    if args.target == "campaign":
        return campaign(args.minutes, engine, args.keep)
    with tempfile.TemporaryDirectory() as folder:
        if engine == "atheris":
            run_atheris(args.target, args.minutes * 60, Path(folder), args.keep)
            return 0
        begun = time.monotonic()
        count = run_hypothesis(args.target, args.minutes * 60, Path(folder), args.keep)
        print(f"{args.target}: {count} inputs in {time.monotonic() - begun:.0f} s, none failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
