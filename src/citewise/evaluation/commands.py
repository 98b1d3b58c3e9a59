"""What ``citewise eval`` does, by its first words; the command itself only parses and prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from citewise import prompts
from citewise.backends.limits import Limits
from citewise.backends.registry import backend_from
from citewise.backends.writing import ModelBackend
from citewise.errors import UsageError
from citewise.evaluation import baselines, drafts, exports, inbox, judge, page, report
from citewise.evaluation import compare as comparing
from citewise.evaluation.datasets import SETS, load, questions_sha256
from citewise.evaluation.runner import (
    EvaluationOutcome,
    OnDone,
    SecondJudge,
    evaluate,
    load_pairs,
    log_test_run,
    sample_library,
)
from citewise.library.library import Library
from citewise.types import Json, Price

_DRAFTS = 40
_MEMORY = "judge.jsonl"
"""Keeps a judge's verdicts until it has given them all."""
_ABSTENTION = ("answered", "over_refusal", "abstained_near_miss", "abstained_off_topic",
               "abstention_precision", "abstention_recall", "calibration_error", "aurc",
               "failed")  # fmt: skip
"""Figures that say whether an assistant knows what it does not know."""


@dataclass(frozen=True, slots=True)
class Options:
    """What can be set beside the words of the command."""

    split: str = "dev"
    backend: str = "extractive"
    prices: Mapping[str, Price] = field(default_factory=dict)
    """What models cost, by backend's name."""
    limits: Limits | None = None
    """How long and how much a model's server may take."""
    out: Path | None = None
    gate: bool = False
    limit: int | None = None
    judge: str | None = None
    """A language model as second judge of support, by its backend's name."""
    library: Path | None = None
    """Folder of the library that is asked; the sample papers when it is None."""
    on_done: OnDone | None = field(default=None, repr=False)
    say: Callable[[str], None] | None = field(default=None, repr=False)
    """Told what takes long before it begins."""


def run(words: Sequence[str], options: Options = Options()) -> EvaluationOutcome:
    """Do what the words say.

    ``first``, ``dev``, ``test``, ``questions [FILE]``, ``retrieval [BEIR-FOLDER]``, ``check
    PAIRS``, ``abstention`` and ``all [PAIRS]`` measure; ``baselines`` runs them beside citewise;
    ``compare A B``, ``export DIR``, ``page DIR`` and ``judge DIR [PAIRS]`` read finished runs;
    ``draft`` and ``adopt ID`` make questions. A folder or file alone is taken as a BEIR folder or a
    file of pairs. Raises UsageError when the words say nothing that can be done.
    """
    what, arguments = (words[0] if words else "first"), list(words[1:])
    if what in _DOERS:
        doer, least, most, usage = _DOERS[what]
        if not least <= len(arguments) <= most:
            raise UsageError(f"It is `citewise eval {what}{usage}`.")
        return doer(arguments, options)
    if arguments:
        raise UsageError(
            f"`citewise eval {what}` takes no further words. There are {', '.join(_DOERS)}, "
            f"{', '.join(SETS)}, a BEIR folder, or a file of labelled pairs."
        )
    return _measured(what, options)


def _measured(
    name: str,
    options: Options,
    *,
    split: str | None = None,
    out: Path | None = None,
    fresh: bool = True,
) -> EvaluationOutcome:
    folder = out or options.out
    if options.judge and folder is not None and (folder / _MEMORY).exists():
        # The questions were answered; the judge was cut off.
        fresh = False
    with _library(options) as library:
        return evaluate(
            name,
            split=split or options.split,
            backend=backend_from(options.backend, prices=options.prices, limits=options.limits),
            out=folder,
            gate=options.gate,
            limit=options.limit,
            second=_second(options, folder),
            library=library,
            on_done=options.on_done,
            fresh=fresh,
            say=options.say,
        )


def _second(options: Options, folder: Path | None) -> SecondJudge | None:
    if not options.judge:
        return None
    memory = folder / _MEMORY if folder is not None else None
    second = judge.judge_from(options.judge, options.prices, memory, options.limits)

    def looks(rows: Sequence[Json]) -> Json:
        found = judge.judge_rows(rows, second, on_progress=options.on_done)
        second.forget()
        return found

    return looks


def _questions(arguments: Sequence[str], options: Options) -> EvaluationOutcome:
    if arguments and arguments[0] not in SETS and not Path(arguments[0]).is_file():
        raise UsageError(f"There is no question file {arguments[0]}.")
    return _measured("questions", options, split=arguments[0] if arguments else None)


def _retrieval(arguments: Sequence[str], options: Options) -> EvaluationOutcome:
    if arguments and not Path(arguments[0]).is_dir():
        raise UsageError(f"There is no BEIR folder {arguments[0]}.")
    return _measured(arguments[0] if arguments else "retrieval", options)


def _check(arguments: Sequence[str], options: Options) -> EvaluationOutcome:
    if not Path(arguments[0]).is_file():
        raise UsageError(f"There is no file of labelled pairs {arguments[0]}.")
    return _measured(arguments[0], options)


def _abstention(_: Sequence[str], options: Options) -> EvaluationOutcome:
    outcome = _measured("questions", options)
    figures = outcome.summary["figures"]
    shown = {name: figures[name] for name in _ABSTENTION if name in figures}
    summary = {**outcome.summary, "figures": shown, "kinds": {}}
    return EvaluationOutcome(report.text_table(summary), summary, outcome.failures)


def _all(arguments: Sequence[str], options: Options) -> EvaluationOutcome:
    parts = ["questions", "retrieval", *arguments]
    names = ["questions", "retrieval", "check"]
    whole = options.out / "summary.json" if options.out else None
    # Cut off, it goes on with the part that is missing; finished, it is made anew.
    fresh = whole is None or whole.exists()
    if whole is not None:
        whole.unlink(missing_ok=True)
    done = [
        _measured(part, options, out=options.out / name if options.out else None, fresh=fresh)
        for part, name in zip(parts, names, strict=False)
    ]
    outcome = EvaluationOutcome(
        "\n\n".join(outcome.text for outcome in done),
        {"what": "all", **{n: o.summary for n, o in zip(names, done, strict=False)}},
        tuple(failure for outcome in done for failure in outcome.failures),
    )
    if options.out is not None:
        report.write_all([o.summary for o in done], outcome.summary, options.out)
    return outcome


def _baselines(_: Sequence[str], options: Options) -> EvaluationOutcome:
    # As in _all.
    whole = options.out / "summary.json" if options.out else None
    fresh = whole is None or whole.exists()
    if whole is not None:
        whole.unlink(missing_ok=True)
    with _library_or_sample(options) as library:
        library.warm()
        summary = baselines.run_baselines(
            library,
            load(options.split)[: options.limit],
            options.out,
            backend=options.backend,
            on_progress=options.on_done,
            identity={
                "set": options.split,
                "set_sha256": questions_sha256(options.split),
                "limit": options.limit,
                "library": library.fingerprint,
                "encoder": library.embedder.fingerprint,
            },
            fresh=fresh,
        )
    if options.split == "test":
        for run in (*summary["retrieval"].values(), *summary["answers"].values()):
            log_test_run(run)
    if options.out is not None:
        report.write(summary, options.out)
    return EvaluationOutcome(report.side_by_side(summary), summary)


def _compare(arguments: Sequence[str], _: Options) -> EvaluationOutcome:
    found = comparing.compare(Path(arguments[0]), Path(arguments[1]))
    return EvaluationOutcome(comparing.text(found), found.to_dict())


def _export(arguments: Sequence[str], options: Options) -> EvaluationOutcome:
    folder = Path(arguments[0])
    with _library(options) as library:
        abstracts = {p.id: p.abstract for p in library.papers()} if library is not None else None
    files = exports.export(folder, options.out or folder, abstracts)
    return EvaluationOutcome(
        "\n".join(map(str, files)), {"what": "export", "files": [str(file) for file in files]}
    )


def _page(arguments: Sequence[str], options: Options) -> EvaluationOutcome:
    with _library(options) as library:
        titles = page.sample_titles() if library is None else _titles(library)
    file = page.write(Path(arguments[0]), titles)
    return EvaluationOutcome(str(file), {"what": "page", "file": str(file)})


def _judge(arguments: Sequence[str], options: Options) -> EvaluationOutcome:
    if not options.judge:
        raise UsageError("Name the judge: --judge openai-compatible:MODEL@URL.")
    folder = Path(arguments[0])
    rows = report.read_results(folder)
    model = judge.judge_from(options.judge, options.prices, folder / _MEMORY, options.limits)
    quality = None
    if len(arguments) > 1:
        quality = judge.measure(
            model, load_pairs(Path(arguments[1]))[: options.limit], options.on_done
        )
    summary: Json = {
        **report.read_summary(folder),
        "judge": judge.judge_rows(rows, model, quality, options.on_done),
    }
    report.write(summary, folder)
    model.forget()
    with _library(options) as library:
        page.write(folder, page.sample_titles() if library is None else _titles(library))
    return EvaluationOutcome(report.judge_text(summary["judge"]), summary["judge"])


def _draft(_: Sequence[str], options: Options) -> EvaluationOutcome:
    if options.library is None:
        raise UsageError("Name the library to draft questions from: --library DIR.")
    file = (options.out or Path("eval-drafts")) / "questions.jsonl"
    drafts.refuse_to_replace(file)
    backend = backend_from(options.backend, prices=options.prices, limits=options.limits)
    summary: Json = {"what": "draft", "file": str(file), "backend": backend.name}
    with Library.open(options.library, create=False) as library:
        if isinstance(backend, ModelBackend):
            rows = _draft_by_prompt(drafts.ModelDrafter(backend), library, file, options, summary)
        else:
            rows = drafts.draft_all(library.papers(), limit=options.limit or _DRAFTS)
            drafts.write_drafts(rows, file)
    summary["drafts"] = len(rows)
    text = (
        f'{len(rows)} drafts are in {file}. Read each, mend it, set "accepted" to true, then: '
        f"citewise eval questions {file} --library {options.library}"
    )
    if used := report.usage_text(summary.get("usage") or {}):
        currency = (
            backend.price.currency if isinstance(backend, ModelBackend) and backend.price else None
        )
        text += (
            f"\n{summary['dropped']} drafts were dropped, for their answer does not stand in the "
            f"sentence they name. {used}; cost: {report.cost_text(summary['usage'], currency)}"
        )
    return EvaluationOutcome(text, summary)


def _draft_by_prompt(
    drafter: drafts.ModelDrafter, library: Library, file: Path, options: Options, summary: Json
) -> list[Json]:
    rows: list[Json] = []
    try:
        for row in drafter.drafts(
            library.papers(), limit=options.limit or _DRAFTS, on_progress=options.on_done
        ):
            rows.append(row)
    finally:
        # Whoever interrupts it, or whose server fails, keeps what was paid for.
        if rows:
            drafts.write_drafts(rows, file)
    if not rows:
        raise UsageError(
            f"{summary['backend']} drafted no usable question; leave out --backend to draft by rule"
        )
    summary |= {"usage": drafter.usage.to_dict(), "dropped": drafter.dropped}
    summary["prompts"] = {name: prompts.load(name).sha256 for name in drafts.PROMPTS}
    return rows


def _adopt(arguments: Sequence[str], _: Options) -> EvaluationOutcome:
    if not arguments:
        rows = inbox.waiting()
        lines = [f"{row.get('id')}  {row.get('question')}" for row in rows]
        return EvaluationOutcome(
            "\n".join(lines) or "The inbox is empty.",
            {"what": "inbox", "drafts": [str(row.get("id")) for row in rows]},
        )
    fresh = inbox.adopt(arguments[0])
    return EvaluationOutcome(
        f"Adopted as {fresh}. The dev questions have changed: measure again, and see whether "
        "eval/expected.toml still holds.",
        {"what": "adopt", "id": fresh},
    )


def _titles(library: Library) -> dict[str, str]:
    return {paper.id: paper.title for paper in library.papers()}


@contextmanager
def _library(options: Options) -> Iterator[Library | None]:
    if options.library is None:
        yield None
        return
    with Library.open(options.library, create=False) as opened:
        yield opened


@contextmanager
def _library_or_sample(options: Options) -> Iterator[Library]:
    with _library(options) as opened:
        if opened is not None:
            yield opened
            return
    with sample_library(options.say) as opened:
        yield opened


_Doer = Callable[[Sequence[str], Options], EvaluationOutcome]
_DOERS: Mapping[str, tuple[_Doer, int, int, str]] = {
    "questions": (_questions, 0, 1, " [FILE]"),
    "retrieval": (_retrieval, 0, 1, " [FOLDER]"),
    "check": (_check, 1, 1, " PAIRS"),
    "abstention": (_abstention, 0, 0, ""),
    "all": (_all, 0, 1, " [PAIRS]"),
    "baselines": (_baselines, 0, 0, ""),
    "compare": (_compare, 2, 2, " FOLDER FOLDER"),
    "export": (_export, 1, 1, " FOLDER"),
    "page": (_page, 1, 1, " FOLDER"),
    "judge": (_judge, 1, 2, " FOLDER [PAIRS] --judge NAME"),
    "draft": (_draft, 0, 0, " --library DIR"),
    "adopt": (_adopt, 0, 1, " [ID]"),
}
"""By first word: what does it, how many further words it takes at least and at most, and which."""
