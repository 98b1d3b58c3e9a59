"""The command: parses, calls the public API, prints. It holds no logic of its own."""

from __future__ import annotations

import argparse
import getpass
import json
import logging
import os
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from citewise.config import Config
from citewise.errors import CitewiseError, NotALibraryError, UsageError
from citewise.sample import sample_folder

if TYPE_CHECKING:
    from rich.console import Console

    from citewise.library.library import Library, Progress
    from citewise.types import Answer, Citation, Filters, Hit, Json, Sentence

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130

EXAMPLES = """\
examples:
  citewise ingest papers.jsonl           fill the library
  citewise ask "Which papers ...?"       a cited answer
  citewise chat                          the web page on http://127.0.0.1:7860
"""


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    shared = common.add_argument_group("everywhere")
    shared.add_argument(
        "--library",
        metavar="DIR",
        action="append",
        default=argparse.SUPPRESS,
        help="folder of the library (default: $CITEWISE_LIBRARY, else your data folder); `chat` "
        "takes several",
    )
    shared.add_argument(
        "--embedder",
        metavar="NAME",
        default=argparse.SUPPRESS,
        help="minilm (default), static (much faster, less exact), openai:MODEL, "
        "openai-compatible:MODEL@URL, llama-index:IMPORT.PATH",
    )
    shared.add_argument(
        "--vectors",
        metavar="URL",
        default=argparse.SUPPRESS,
        help="keep the vectors on a Chroma server, http://HOST:8000 (`local`: in the library)",
    )
    shared.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object"
    )
    shared.add_argument(
        "-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="no progress"
    )
    shared.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="say more"
    )
    narrowing = argparse.ArgumentParser(add_help=False)
    filters = narrowing.add_argument_group("filters")
    filters.add_argument("--since", metavar="DATE", help="published on or after: 2024[-10[-12]]")
    filters.add_argument("--until", metavar="DATE", help="published on or before")
    filters.add_argument("--source", metavar="NAME", help="only papers from this source")
    filters.add_argument("--author", metavar="NAME", help="part of an author's name")
    filters.add_argument(
        "--paper", metavar="ID", action="append", default=[], help="only this paper (repeatable)"
    )
    writer = argparse.ArgumentParser(add_help=False)
    writer.add_argument(
        "--backend",
        metavar="NAME",
        help="extractive (default), openai:MODEL, openai-compatible:MODEL@URL, "
        "llama-index:IMPORT.PATH",
    )

    locked = argparse.ArgumentParser(add_help=False)
    locked.add_argument(
        "--auth",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help="users and hashed passwords (default: $CITEWISE_AUTH)",
    )

    parser = argparse.ArgumentParser(
        prog="citewise",
        description="A research assistant that backs every sentence with the exact words of a "
        "paper.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    parser.add_argument("--version", action="store_true", help="print the version and end")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(
        name: str, text: str, run: Callable[[argparse.Namespace], int], *parents: object
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            parents=[common, *parents],  # type: ignore[list-item]  # all are parsers
        )
        added.set_defaults(run=run)
        return added

    ingest = command("ingest", "add or update papers from files, folders or -", _ingest)
    ingest.add_argument("paths", nargs="*", metavar="PATH")
    ingest.add_argument("--format", metavar="NAME", help="recognised from the content by default")
    ingest.add_argument("--year", type=int, help="the year of dates that are printed without one")
    ingest.add_argument("--strict", action="store_true", help="a rejected record makes it fail")
    ingest.add_argument("--sample", action="store_true", help="add the 475 sample papers")
    ingest.add_argument(
        "--no-embed",
        action="store_true",
        help="words only; `citewise embed` or a running page embeds them later",
    )

    fetch = command("fetch", "add papers from a service on the network", _fetch)
    fetch.add_argument("service", choices=("arxiv", "daily-papers", "openalex"))
    fetch.add_argument(
        "query",
        nargs="?",
        default="",
        metavar="QUERY",
        help="arxiv: such as `cat:cs.CL AND abs:quantization`; daily-papers: a day 2024-10-12, a "
        "week 2024-W41 or a month 2024-10 (default: today); openalex: words",
    )
    fetch.add_argument("--max", type=int, default=200, metavar="N", help="papers (default 200)")
    fetch.add_argument("--anew", action="store_true", help="do not go on with an interrupted one")
    fetch.add_argument("--no-embed", action="store_true", help="words only, as for ingest")

    command("embed", "embed the papers that are found by their words alone so far", _embed)

    search = command("search", "rank papers for a query", _search, narrowing)
    search.add_argument("query", nargs="?", metavar="QUERY")
    search.add_argument("-k", type=int, default=10, help="how many papers (default 10)")
    search.add_argument(
        "--effort",
        choices=("normal", "deep"),
        help="deep: read the best papers and rank them anew (default for --batch; else normal)",
    )
    search.add_argument("--like", metavar="PAPER_ID", help="papers like this one, for no query")
    search.add_argument("--batch", metavar="FILE", help='queries as {"_id","text"} lines')
    search.add_argument("--run", dest="run_file", metavar="FILE", help="the TREC run to write")

    ask = command(
        "ask", "answer a question from the papers, with citations", _ask, narrowing, writer
    )
    ask.add_argument("question", nargs="*", metavar="QUESTION")
    ask.add_argument("--effort", choices=("quick", "normal", "deep"), default="normal")
    ask.add_argument("--batch", metavar="FILE", help='questions as {"id","question"} lines')
    ask.add_argument("--out", metavar="FILE", help="the answers to write, one JSON a line")
    ask.add_argument("--bundle", metavar="DIR", help="also write a folder that proves itself")

    check = command("check", "is a claim backed by a text", _check)
    check.add_argument("claim", nargs="?", metavar="CLAIM")
    check.add_argument("evidence", nargs="*", metavar="TEXT")
    check.add_argument("--batch", metavar="FILE", help='{"id","claim","evidence"} lines')
    check.add_argument("--out", metavar="FILE", help="the scores to write, one JSON a line")

    verify = command(
        "verify", "prove saved answers: a file against the library, a bundle by itself", _verify
    )
    verify.add_argument(
        "answers", metavar="ANSWERS", help="a JSON or JSONL file, or a bundle's folder"
    )

    chat = command("chat", "serve the web page", _chat, locked)
    chat.add_argument(
        "--backend",
        metavar="NAME",
        action="append",
        help="as for ask; repeated, the page offers them all",
    )
    chat.add_argument("--host", default="127.0.0.1", help="another than this machine needs --auth")
    chat.add_argument("--port", type=int, default=7860)
    chat.add_argument(
        "--mcp", action="store_true", help="tools for agents at /mcp (extra citewise[mcp])"
    )
    chat.add_argument("--open", action="store_true", help="open the page in a browser")
    chat.add_argument("--sample", action="store_true", help="fill an empty library, unasked")

    people = command("users", "who may log in to the web page", _users, locked)
    actions = people.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, text in (
        ("list", "name the users"),
        ("add", "add a user, asking for a password"),
        ("password", "change a password"),
        ("token", "make a token for programs"),
        ("revoke", "make all tokens of a user worthless"),
        ("remove", "remove a user"),
    ):
        one = actions.add_parser(action, help=text, parents=[common, locked])
        if action != "list":
            one.add_argument("name", metavar="NAME")

    evaluate = command("eval", "measure answers on the evaluation questions", _eval, writer)
    evaluate.add_argument(
        "words",
        nargs="*",
        metavar="WHAT",
        help="first (default), dev, questions [FILE], retrieval [BEIR-FOLDER], check PAIRS, "
        "abstention, all [PAIRS], baselines; of finished runs: compare A B, export DIR, page DIR, "
        "judge DIR [PAIRS]; for new questions: draft, adopt [ID]",
    )
    evaluate.add_argument("--split", choices=("dev", "test"), default="dev")
    evaluate.add_argument("--limit", type=int, metavar="N", help="only the first N questions")
    evaluate.add_argument("--out", metavar="DIR", help="write results and report there")
    evaluate.add_argument("--gate", action="store_true", help="fail where a figure got worse")
    evaluate.add_argument("--judge", metavar="NAME", help="a language model as a second judge")

    papers = command("papers", "list, show, remove or export the papers", _papers, narrowing)
    papers.add_argument("action", choices=("list", "show", "remove", "export"))
    papers.add_argument("ids", nargs="*", metavar="ID")
    papers.add_argument("--format", choices=("jsonl", "bibtex", "ris", "csv"), default="jsonl")
    papers.add_argument("--out", metavar="FILE")

    command("info", "what the library holds", _info)
    doctor = command("doctor", "check installation, library and backend", _doctor, writer)
    doctor.add_argument("--repair", action="store_true", help="make the indexes again")
    return parser


# -- printing ---------------------------------------------------------------------------------


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")


def _print_utf8(lines: Iterable[str]) -> None:
    """Print for programs: UTF-8, whatever the terminal speaks.

    A lone surrogate becomes an escape, which is the right one in JSON.
    """
    sys.stdout.flush()
    for line in lines:
        sys.stdout.buffer.write(line.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


def _print_json(value: Json) -> None:
    _print_utf8([json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"])


def _showable(text: str, stream: TextIO) -> str:
    """Text without what a terminal cannot show or would obey (a paper's escape codes)."""
    encoding = stream.encoding or "utf-8"
    return _CONTROLS.sub("", text).encode(encoding, "replace").decode(encoding)


def _say(text: str) -> None:
    """Print for people."""
    sys.stdout.write(_showable(text, sys.stdout) + "\n")
    sys.stdout.flush()


def _warn(text: str) -> None:
    sys.stderr.write(_showable(text, sys.stderr).rstrip() + "\n")
    sys.stderr.flush()


def _typed(text: str | None) -> str:
    """What a person typed as text; bytes that are no text become U+FFFD."""
    return _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text or "").strip()


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415 - only progress needs it

    return Console(stderr=True)


@contextmanager
def _progress(args: argparse.Namespace) -> Iterator[Callable[[Progress], None]]:
    """A progress display on standard error; a line now and then where that is no terminal."""
    if args.quiet:
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        yield _ProgressLines()
        return
    from rich.progress import (  # noqa: PLC0415 - only progress needs it
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bar  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:.0f}/s" if speed else "")

    with Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=_console(),
        transient=True,
    ) as bar:
        tasks: dict[str, object] = {}

        def show(progress: Progress) -> None:
            if progress.step not in tasks:
                tasks[progress.step] = bar.add_task(f"{progress.step} papers", total=progress.total)
            bar.update(
                tasks[progress.step],  # type: ignore[arg-type]  # rich's own id
                completed=progress.done,
                total=progress.total,
            )

        yield show


class _ProgressLines:
    """Says in a log how far a long task is: every half minute, and nothing of a short one."""

    _EVERY_SECONDS = 30.0

    def __init__(self) -> None:
        self._step = ""
        self._since = self._said = 0.0
        self._from = 0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.step != self._step:
            self._step, self._from, self._since, self._said = progress.step, progress.done, now, now
        if now - self._said < self._EVERY_SECONDS:
            return
        self._said = now
        rate = (progress.done - self._from) / (now - self._since)
        of = left = ""
        if progress.total is not None:
            of = f" of {progress.total}"
            if rate > 0:
                left = f", {_duration((progress.total - progress.done) / rate)} left"
        _warn(f"{progress.step} papers: {progress.done}{of}, {rate:.1f} a second{left}")


def _counting(args: argparse.Namespace, what: str) -> Callable[[int, int], None]:
    """A line of progress for batches."""

    def show(done: int, total: int) -> None:
        if not args.quiet and sys.stderr.isatty():
            sys.stderr.write(f"\r{done} of {total} {what}")
            sys.stderr.write("\n" if done == total else "")
            sys.stderr.flush()

    return show


# -- opening ----------------------------------------------------------------------------------


def _config(args: argparse.Namespace) -> Config:
    backend = getattr(args, "backend", None)
    return Config.load(
        library=args.library,
        # The page may be given several; the first is asked unless a person chooses.
        backend=backend[0] if isinstance(backend, list) else backend,
        embedder=args.embedder,
        vectors=args.vectors,
        auth=getattr(args, "auth", None),
    )


def _open(args: argparse.Namespace, *, create: bool = False) -> Library:
    from citewise.library.library import Library  # noqa: PLC0415 - help must not wait for it

    config = _config(args)
    with _progress(args) as show:
        try:
            return Library.open(
                config.library,
                embedder=config.embedder,
                vectors=config.vectors,
                create=create,
                on_progress=show,
            )
        except NotALibraryError as error:
            if not create and not _config(args).library.exists():
                raise NotALibraryError(
                    f"There is no library in {_config(args).library} yet. Fill one with "
                    "`citewise ingest PATH`, or with the sample papers: `citewise ingest --sample`."
                ) from error
            raise


def _filters(args: argparse.Namespace) -> Filters:
    from citewise.types import Filters  # noqa: PLC0415 - help must not wait for it

    return Filters(args.since, args.until, args.source, args.author, tuple(args.paper))


# -- the commands -----------------------------------------------------------------------------


def _ingest(args: argparse.Namespace) -> int:
    from citewise.sources.reading import UNRECOGNISED  # noqa: PLC0415 - help must not wait for it

    paths: list[str | Path] = list(args.paths)
    if args.sample:
        paths.append(sample_folder())
    if not paths:
        raise UsageError("Name files or folders to read, `-` for standard input, or --sample.")
    with _open(args, create=True) as library, _progress(args) as show:
        report = library.ingest(
            paths,
            format=args.format,
            year=args.year,
            embed=not args.no_embed,
            limits=_config(args).limits,
            on_progress=show,
        )
        _recalibrate(library, show)
        total = len(library)
        waiting = library.waiting()
    for rejection in report.rejected:
        title = f" ({textwrap.shorten(rejection.title, 60)})" if rejection.title else ""
        why = rejection.reason
        if why.startswith(UNRECOGNISED):
            why += ", or name what it is with --format"
        _warn(f"{rejection.file}:{rejection.line}: rejected: {why}{title}")
    for note in report.notes:
        _warn(note)
    if args.json:
        _print_json({**report.to_dict(), "papers": total, "embedded": total - waiting})
    else:
        _say(
            f"{report.added} added, {report.updated} updated, {report.unchanged} unchanged, "
            f"{report.duplicate} duplicate, {report.rejections} rejected; the library holds "
            f"{total} papers ({report.seconds:.1f} s)."
        )
        if waiting:
            _say(
                f"{waiting} of them are found by their words alone until `citewise embed` or a "
                "running page has embedded them."
            )
    if report.rejected and (args.strict or report.rejections == report.records):
        return EXIT_FAILED
    return EXIT_DONE


def _fetch(args: argparse.Namespace) -> int:
    from citewise.fetch import SERVICES, fetch  # noqa: PLC0415 - help must not wait for it

    service = SERVICES[args.service](args.query)
    with _open(args, create=True) as library, _progress(args) as show:
        report = fetch(
            library,
            service,
            most=args.max,
            anew=args.anew,
            embed=not args.no_embed,
            on_progress=show,
        )
        _recalibrate(library, show)
        total, waiting = len(library), library.waiting()
    for rejection in report.rejected:
        _warn(f"{rejection.file}: rejected: {rejection.reason} ({rejection.title or 'no title'})")
    if args.json:
        _print_json({**report.to_dict(), "papers": total, "embedded": total - waiting})
        return EXIT_DONE
    of = f" of {report.total}" if report.total is not None else ""
    more = "" if report.complete else "; --max N brings more"
    _say(
        f"{report.fetched}{of} papers fetched from {report.service}{more}: {report.added} added, "
        f"{report.updated} updated, {report.unchanged + report.duplicate} there already, "
        f"{len(report.rejected)} rejected; the library holds {total} ({report.seconds:.1f} s)."
    )
    return EXIT_DONE


def _embed(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    with _open(args) as library:
        with _progress(args) as show:
            done = library.embed(show)
            spent = time.perf_counter() - started
            _recalibrate(library, show)
        total, waiting = len(library), library.waiting()
    if args.json:
        _print_json(
            {
                "embedded_now": done,
                "papers": total,
                "embedded": total - waiting,
                "seconds": round(spent, 3),
            }
        )
    elif done:
        _say(
            f"{done} papers embedded in {_duration(spent)} ({done / spent:.1f} a second); "
            f"{total - waiting} of {total} are."
        )
    else:
        _say(f"All {total} papers are embedded already.")
    return EXIT_DONE


def _recalibrate(library: Library, show: Callable[[Progress], None]) -> None:
    """Learn from new papers when to decline."""
    from citewise.answering.recalibration import recalibrate  # noqa: PLC0415 - see _ask

    recalibrate(library, on_progress=show)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {rest} s"
        if minutes
        else (f"{seconds:.1f} s")
    )


def _search(args: argparse.Namespace) -> int:
    query = _typed(args.query)
    if sum(map(bool, (query, args.batch, args.like))) != 1:
        raise UsageError("Name one query, or --like PAPER_ID, or --batch FILE with --run OUT.")
    if args.batch and not args.run_file:
        raise UsageError("--batch also needs --run OUT, the run file to write.")
    with _open(args) as library:
        if args.batch:
            from citewise.batch import search_batch  # noqa: PLC0415 - slow to import

            report = search_batch(
                library,
                Path(args.batch),
                Path(args.run_file),
                k=args.k,
                filters=_filters(args),
                effort=args.effort or "deep",
                on_done=_counting(args, "queries"),
            )
            if args.json:
                _print_json({**report.to_dict(), "run": args.run_file})
            else:
                _say(f"{report.done} queries searched; the run is in {args.run_file}.")
            return EXIT_DONE
        if args.like:
            if args.effort == "deep":
                raise UsageError("--effort deep reads papers beside a query; --like has none.")
            result = library.similar(_typed(args.like), args.k, _filters(args))
        else:
            effort = args.effort or "normal"
            result = library.find(query, args.k, _filters(args), effort=effort)
    for note in result.notes:
        _warn(note)
    if args.json:
        _print_json(result.to_dict())
        return EXIT_DONE
    for hit in result.hits:
        date = hit.paper.published or hit.paper.date_text
        _say(f"{hit.rank:>3}. {hit.paper.heading}" + (f" ({date})" if date else ""))
        _say(textwrap.indent(textwrap.fill(_shorten(hit.passage.text, 300), 92), "     "))
        if args.verbose:
            _say(textwrap.indent(_why(hit), "     "))
    if not result.hits:
        _say("Nothing found.")
    return EXIT_DONE


def _why(hit: Hit) -> str:
    """Why a paper stands where it does, in a few lines."""

    def place(rank: int | None, score: float | None, unit: str) -> str:
        return f"{rank} ({unit} {score:.2f})" if rank and score is not None else "not among them"

    nearest = _shorten(" ".join(hit.sentence.text.split()), 200) if hit.sentence else "-"
    cosine = f" (cosine {hit.sentence_score:.2f})" if hit.sentence_score is not None else ""
    read = [] if hit.relevant is None else [f"read beside the query: log-odds {hit.relevant:.2f}"]
    return "\n".join(
        [
            f"id {hit.paper.id}, score {hit.score:.3f}",
            f"by meaning: {place(hit.dense_rank, hit.dense_score, 'cosine')}; "
            f"by words: {place(hit.lexical_rank, hit.lexical_score, 'BM25')}",
            f"words: {', '.join(hit.matched_words) or 'none'}",
            f"nearest sentence{cosine}: {nearest}",
            *read,
        ]
    )


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[:width].rsplit(" ", 1)[0] + " …"


def _ask(args: argparse.Namespace) -> int:
    question = _typed(" ".join(args.question))
    if bool(question) == bool(args.batch):
        raise UsageError("Ask one question, or --batch FILE with --out FILE.")
    if args.batch and not args.out:
        raise UsageError("--batch also needs --out FILE, the answers to write.")
    if args.batch and args.bundle:
        raise UsageError("--bundle keeps one question; ask it without --batch.")
    from citewise.answering.assistant import Assistant  # noqa: PLC0415 - help must not wait

    with _open(args) as library:
        config = _config(args)
        assistant = Assistant(library, config.backend, prices=config.prices, limits=config.model)
        if args.batch:
            from citewise.batch import ask_batch  # noqa: PLC0415 - slow to import

            report = ask_batch(
                assistant,
                Path(args.batch),
                Path(args.out),
                effort=args.effort,
                filters=_filters(args),
                on_done=_counting(args, "questions"),
            )
            if args.json:
                _print_json({**report.to_dict(), "out": args.out})
            else:
                _say(
                    f"{report.done} answered, {report.resumed} were there already, "
                    f"{report.failed} failed; the answers are in {args.out}."
                )
            return EXIT_FAILED if report.failed else EXIT_DONE
        if args.json:
            answer = assistant.ask(question, effort=args.effort, filters=_filters(args))
            _keep(answer, args)
            _print_json(answer.to_dict())
            return EXIT_DONE
        _keep(_stream(assistant, question, args), args)
    return EXIT_DONE


def _keep(answer: Answer, args: argparse.Namespace) -> None:
    """Write the bundle that was asked for."""
    if not args.bundle:
        return
    from citewise.bundle import write_bundle  # noqa: PLC0415 - see _ask

    papers = {citation.paper.id: citation.paper for citation in answer.citations}
    folder = write_bundle([answer.to_dict()], papers, args.bundle)
    _warn(f"The bundle is in {folder}; prove it with `citewise verify {folder}`.")


def _stream(assistant: object, question: str, args: argparse.Namespace) -> Answer:
    """Print an answer as it comes, then its sources; returns it."""
    from citewise.answering.assistant import Assistant  # noqa: PLC0415 - see _ask
    from citewise.answering.plain import marked  # noqa: PLC0415
    from citewise.types import Done, SentenceReady, Working  # noqa: PLC0415

    assert isinstance(assistant, Assistant)
    shown = ""
    for event in assistant.stream(question, effort=args.effort, filters=_filters(args)):
        if isinstance(event, Working) and args.verbose:
            _warn(f"... {event.text}")
        elif isinstance(event, SentenceReady):
            shown += event.text
            sys.stdout.write(_terminal(event.text, event.sentence))
            sys.stdout.flush()
        elif isinstance(event, Done):
            if shown.strip() and event.answer.text.strip() != shown.strip():
                _say("\n\nThe answer after the check:\n")
                sys.stdout.write(_terminal(marked(event.answer), None))
            _sources(event.answer, args)
            return event.answer
    raise CitewiseError("The answer ended before it was complete.")


def _terminal(text: str, sentence: Sentence | None) -> str:
    """A piece of an answer for a terminal: bold where Markdown says so, doubts marked."""
    from citewise.answering.plain import spoken  # noqa: PLC0415 - see _ask

    bold = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    parts = _showable(spoken(text, sentence), sys.stdout).split("**")
    return "".join(
        part if at % 2 == 0 else f"{bold[0]}{part}{bold[1]}" for at, part in enumerate(parts)
    )


def _sources(answer: Answer, args: argparse.Namespace) -> None:
    _say("")
    if answer.citations:
        _say("\nSources")
    for citation in answer.citations:
        _say(_source(citation, args))
    for note in answer.notes:
        _warn(note)
    if args.verbose:
        spent = ", ".join(f"{step} {ms:.0f} ms" for step, ms in answer.timings_ms.items())
        _warn(f"confidence {answer.confidence:.2f}; {spent}")


def _source(citation: Citation, args: argparse.Namespace) -> str:
    paper = citation.paper
    extra = [part for part in (paper.published or paper.date_text, paper.url) if part]
    line = f"[{citation.n}] {paper.heading}" + (f" ({', '.join(extra)})" if extra else "")
    if args.verbose:
        line += "".join(
            f"\n      {span.start}-{span.end}: “{_shorten(span.text, 160)}”"
            for span in citation.spans
        )
    return line


def _check(args: argparse.Namespace) -> int:
    if args.batch:
        if not args.out:
            raise UsageError("--batch also needs --out FILE, the scores to write.")
        from citewise.batch import check_pairs  # noqa: PLC0415 - slow to import

        report = check_pairs(Path(args.batch), Path(args.out), on_done=_counting(args, "pairs"))
        if args.json:
            _print_json({**report.to_dict(), "out": args.out})
        else:
            _say(f"{report.done + report.resumed} pairs checked; the scores are in {args.out}.")
        return EXIT_DONE
    if not args.claim or not args.evidence:
        raise UsageError("Give a claim and the text that should back it, or --batch FILE.")
    from citewise.grounding.checker import check  # noqa: PLC0415 - slow to import

    support = check(args.claim, args.evidence)
    if args.json:
        _print_json(
            {
                "support": support.support,
                "supported": support.supported,
                "verdict": support.verdict.value,
                "reasons": list(support.reasons),
            }
        )
    else:
        _say(f"{support.verdict.value} ({support.support:.2f})")
        for reason in support.reasons:
            _say(f"- {reason}")
    return EXIT_DONE


def _verify(args: argparse.Namespace) -> int:
    from citewise.batch import read_answers  # noqa: PLC0415 - slow to import
    from citewise.bundle import is_bundle, prove, quoted_ids, verify_bundle  # noqa: PLC0415

    if is_bundle(args.answers):
        proof = verify_bundle(args.answers)
    else:
        answers = list(read_answers(Path(args.answers)))
        with _open(args) as library:
            ids = [ident for answer in answers for ident in quoted_ids(answer)]
            proof = prove(answers, library.papers_by_id(ids))
    if args.json:
        _print_json(proof.to_dict())
    else:
        for failure in proof.failures:
            _say(f"{failure.answer}: {failure.what}")
        state = "all hold" if proof.proved else f"{len(proof.failures)} things do not hold"
        _say(f"{proof.answers} answers with {proof.spans} quoted spans: {state}.")
    return EXIT_DONE if proof.proved else EXIT_FAILED


def _chat(args: argparse.Namespace) -> int:
    step = _steps(args)
    step("opening the library")
    from citewise.web.auth import check_reach  # noqa: PLC0415 - help must not wait for it
    from citewise.web.users import Users  # noqa: PLC0415

    config = _config(args)
    users = Users(config.auth) if config.auth else None
    check_reach(args.host, users)
    with ExitStack() as opened:
        library = opened.enter_context(_open(args, create=True))
        if not len(library):
            _offer_sample(args, library)
        others = [opened.enter_context(other) for other in _open_more(args, library)]
        from citewise.answering.assistant import Assistant  # noqa: PLC0415 - see _ask
        from citewise.answering.recalibration import recalibrate  # noqa: PLC0415
        from citewise.web.server import serve  # noqa: PLC0415 - Gradio takes 5 s to import

        named = dict.fromkeys((config.backend, *(args.backend or config.backends)))
        assistant, *more = (
            Assistant(one, backend, prices=config.prices, limits=config.model)
            for one in (library, *others)
            for backend in named
        )

        def ready(url: str) -> None:
            if args.json:
                _print_json({"url": url, "papers": len(library)})
            else:
                _say(f"citewise is ready: {url} ({len(library)} papers). Ctrl-C ends it.")

        waiting = sum(one.waiting() for one in (library, *others))
        if waiting and not args.quiet:
            _warn(f"{waiting} papers are being embedded meanwhile; they are found by their words.")
        for one in (library, *others):
            opened.enter_context(one.embedding_in_background(partial(recalibrate, one)))
        serve(
            assistant,
            others=more,
            mcp=args.mcp,
            host=args.host,
            port=args.port,
            users=users,
            open_browser=args.open,
            ready=ready,
            on_step=step,
        )
    return EXIT_DONE


def _steps(args: argparse.Namespace) -> Callable[[str], None]:
    """Tells people what a start waits for, with the seconds since it began."""
    began = time.monotonic()

    def step(text: str) -> None:
        if not args.quiet:
            _warn(f"{time.monotonic() - began:4.1f} s  {text} ...")

    return step


def _open_more(args: argparse.Namespace, first: Library) -> Iterator[Library]:
    """The further libraries that were named, each once; a folder that is none is an error."""
    from citewise.library.library import Library  # noqa: PLC0415 - help must not wait for it

    config = _config(args)
    seen = {first.path.resolve()}
    for name in args.more_libraries:
        folder = Path(name).expanduser()
        if folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        with _progress(args) as show:
            # One that was named for all: it may take more memory than a library.
            yield Library.open(
                folder,
                embedder=first.embedder if config.embedder else None,
                vectors=config.vectors,
                create=False,
                on_progress=show,
            )


def _users(args: argparse.Namespace) -> int:
    from citewise.web.users import Users  # noqa: PLC0415 - help must not wait for it

    file = _config(args).auth
    if file is None:
        raise UsageError("Name the file of users with --auth FILE or $CITEWISE_AUTH.")
    users, name = Users(file), str(getattr(args, "name", ""))
    said: Json = {"file": str(file), "user": name}
    if args.action == "list":
        said = {"file": str(file), "users": {n: {"tokens": users.tokens(n)} for n in users.names()}}
        text = "\n".join(f"{n} ({facts['tokens']} tokens)" for n, facts in said["users"].items())
    elif args.action == "add":
        text = f"{users.add(name, _new_password(name))} may log in; {file} holds the users."
    elif args.action == "password":
        users.tokens(name)  # an unknown user is told before the password is asked for
        users.set_password(name, _new_password(name))
        text = f"The password of {name} is changed; earlier logins have ended."
    elif args.action == "token":
        said["token"] = text = users.make_token(name)
        if not args.quiet and not args.json:
            _warn("Shown only now. Programs send it as `Authorization: Bearer TOKEN`.")
    elif args.action == "revoke":
        said["revoked"] = users.revoke(name)
        text = f"{said['revoked']} tokens of {name} are worthless now."
    else:
        users.remove(name)
        text = f"{name} is removed; logins and tokens have ended."
    if args.json:
        _print_json(said)
    else:
        _say(text or "No users.")
    return EXIT_DONE


def _new_password(name: str) -> str:
    """A password typed twice, or the first line of standard input.

    Never an argument: other users of the machine can read those.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline().rstrip("\r\n")
        if not line:
            raise UsageError("Standard input holds no password; pipe one line or use a terminal.")
        return line
    try:
        first = getpass.getpass(f"Password for {name}: ")
        again = getpass.getpass("The same again: ")
    except EOFError as error:
        raise UsageError("No password was typed.") from error
    if first != again:
        raise UsageError("The two passwords differ; nothing was changed.")
    return first


def _offer_sample(args: argparse.Namespace, library: Library) -> None:
    """Fill an empty library with the sample papers if the person wants them."""
    wanted = args.sample
    if not wanted and sys.stdin.isatty():
        try:
            reply = input("The library is empty. Fill it with the 475 sample papers? [Y/n] ")
        except EOFError:
            reply = "n"
        wanted = reply.strip().lower() in ("", "y", "yes")
    if not wanted:
        _warn("The library is empty: `citewise ingest PATH` or `--sample` fills it.")
        return
    if not args.quiet:
        _warn("Filling the library with the sample papers (about 15 s) ...")
    with _progress(args) as show:
        library.ingest(sample_folder(), on_progress=show)


def _eval(args: argparse.Namespace) -> int:
    from citewise.evaluation import commands  # noqa: PLC0415 - slow to import

    config = _config(args)
    try:
        outcome = commands.run(
            args.words,
            commands.Options(
                split=args.split,
                backend=config.backend,
                prices=config.prices,
                limits=config.model,
                out=Path(args.out) if args.out else None,
                gate=args.gate,
                limit=args.limit,
                judge=args.judge,
                # The sample papers, unless another library is named for this very call.
                library=Path(args.library) if args.library else None,
                on_done=_counting(args, "done"),
                say=None if args.quiet else _warn,
            ),
        )
    except KeyboardInterrupt:
        _warn(
            "\nWhat was measured is kept: the same command goes on where it stopped."
            if args.out
            else "\nNothing was kept; with --out DIR a run goes on where it was stopped."
        )
        raise
    if args.json:
        _print_json(outcome.summary)
    else:
        _say(outcome.text)
    for failure in outcome.failures:
        _warn(failure)
    return EXIT_FAILED if outcome.failures else EXIT_DONE


def _papers(args: argparse.Namespace) -> int:
    if args.action in ("show", "remove") and not args.ids:
        raise UsageError(f"`citewise papers {args.action}` needs the ids of papers.")
    with _open(args) as library:
        if args.action == "show":
            papers = [library.paper(paper_id) for paper_id in args.ids]
            if args.json:
                _print_json({"papers": [paper.to_dict(abstract=True) for paper in papers]})
                return EXIT_DONE
            for paper in papers:
                facts = paper.to_dict(abstract=True)
                places = ", ".join(f"{p['file']}:{p['line']}" for p in facts.pop("places"))
                abstract = facts.pop("abstract")
                for name, value in {**facts, "read from": places}.items():
                    if value:
                        text = ", ".join(value) if isinstance(value, list) else value
                        _say(f"{name + ':':<14} {text}")
                _say("\n" + textwrap.fill(abstract, 92) + "\n")
            return EXIT_DONE
        if args.action == "remove":
            for paper_id in args.ids:
                library.paper(paper_id)
            removed = library.remove(args.ids)
            if args.json:
                _print_json({"removed": removed})
            else:
                _say(f"{removed} removed.")
            return EXIT_DONE
        # Also a paper that is named but not there must be said.
        named = tuple(library.paper(paper_id).id for paper_id in args.ids)
        filters = _filters(args)
        chosen = library.papers(replace(filters, papers=(*filters.papers, *named)))
        if args.action == "list":
            if args.json:
                _print_json({"papers": [paper.to_dict() for paper in chosen]})
                return EXIT_DONE
            for paper in chosen:
                date = paper.published or paper.date_text or ""
                _say(f"{paper.id:<16} {date:<13} {_shorten(paper.heading, 90)}")
            return EXIT_DONE
        from citewise.export import EXPORTS  # noqa: PLC0415 - only export needs it

        if args.out:
            papers = list(chosen)
            with Path(args.out).open(
                "w", encoding="utf-8", errors="backslashreplace", newline=""
            ) as file:
                file.writelines(EXPORTS[args.format](papers))
            if args.json:
                _print_json({"exported": len(papers), "out": args.out})
            else:
                _say(f"{len(papers)} papers written to {args.out}.")
        elif args.json:
            _print_json({"papers": [library.paper(p.id).to_dict(abstract=True) for p in chosen]})
        else:
            _print_utf8(EXPORTS[args.format](chosen))
    return EXIT_DONE


def _info(args: argparse.Namespace) -> int:
    with _open(args) as library:
        info = library.info()
    if args.json:
        _print_json(info.to_dict())
        return EXIT_DONE
    dates = f"{info.earliest} to {info.latest}" if info.earliest else "none"
    sources = ", ".join(f"{name} ({count})" for name, count in info.sources.items()) or "none"
    for name, value in (
        ("library", info.path),
        ("papers", f"{info.papers} ({info.embedded} embedded)"),
        ("passages", f"{info.passages} ({info.sentences} sentences)"),
        ("dates", f"{dates} ({info.undated} papers without one)"),
        ("sources", sources),
        ("disk", f"{info.disk_bytes / 1e6:.1f} MB"),
        ("embedder", info.embedder),
        ("vectors", "in its own folder" if info.vectors == "local" else f"on {info.vectors}"),
        ("fingerprint", info.fingerprint),
        ("declining", _declining(info.strictness)),
    ):
        _say(f"{name + ':':<13} {value}")
    return EXIT_DONE


def _declining(strictness: float | None) -> str:
    if strictness is None:
        return "as among the sample papers; nothing was learnt of these yet"
    if not strictness:
        return "as among the sample papers, learnt from these"
    than = "more" if strictness > 0 else "less"
    return f"{than} easily than among the sample papers by {abs(strictness):.1f} in log-odds"


def _doctor(args: argparse.Namespace) -> int:
    from citewise.doctor import examine  # noqa: PLC0415 - imports everything on purpose

    config = _config(args)
    if args.repair:
        from citewise.library.library import Library  # noqa: PLC0415 - see _open

        with _progress(args) as show:
            Library.repair(
                config.library,
                embedder=config.embedder,
                vectors=config.vectors,
                on_progress=show,
            ).close()
    findings = examine(config)
    if args.json:
        _print_json(
            {
                "well": all(finding.well for finding in findings),
                "findings": [finding.to_dict() for finding in findings],
            }
        )
    else:
        for finding in findings:
            _say(f"{'ok  ' if finding.well else 'MEND'} {finding.what}: {finding.detail}")
    return EXIT_DONE if all(finding.well for finding in findings) else EXIT_FAILED


# -- starting ---------------------------------------------------------------------------------


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    args = parser.parse_args(argv)
    for name, value in (
        ("library", None),
        ("embedder", None),
        ("vectors", None),
        ("json", False),
        ("quiet", False),
        ("verbose", False),
    ):
        if not hasattr(args, name):
            setattr(args, name, value)
    first, *args.more_libraries = args.library or [None]
    args.library = first
    logging.basicConfig(
        level=logging.INFO if args.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    if args.version:
        from importlib.metadata import version  # noqa: PLC0415 - only --version needs it

        _say(version("citewise"))
        return EXIT_DONE
    if args.command is None:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        if args.more_libraries and run is not _chat:
            raise UsageError(f"`citewise {args.command}` works on one --library; name one.")
        return run(args)
    except CitewiseError as error:
        if args.json:
            _print_json({"error": str(error)})
        _warn(f"citewise: {error}")
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
    except BrokenPipeError:
        raise
    except OSError as error:
        logging.getLogger("citewise").info("the fault in full", exc_info=error)
        where = f"{error.filename}: " if error.filename else ""
        text = f"{where}{error.strerror or error}; check the path, its permissions and the disk."
        if args.json:
            _print_json({"error": text})
        _warn(f"citewise: {text}")
        return EXIT_FAILED


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command and end the process: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        status = _run(argv)
    except KeyboardInterrupt:
        _warn("Interrupted.")
        status = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader (such as `head`) has seen enough; nothing may be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = EXIT_DONE
    sys.exit(status)


if __name__ == "__main__":
    main()
