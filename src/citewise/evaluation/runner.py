"""Runs an evaluation through the public API alone, and writes down what it was made with.

A run's folder holds ``run.json`` (everything that shapes the results), ``results.jsonl`` (one line
a question: id, kind, the answer, its scores, the question with its gold), ``summary.json`` and
``report.html``. A run that was cut off goes on where it stopped, as long as nothing that shapes the
results has changed.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import platformdirs
from numpy.typing import NDArray

from citewise import prompts, sources
from citewise.answering.assistant import Assistant
from citewise.errors import (
    BackendUnavailableError,
    CitewiseError,
    EvaluationStoppedError,
    UsageError,
)
from citewise.evaluation import page, report
from citewise.evaluation.datasets import (
    SETS,
    Question,
    eval_folder,
    load,
    questions_sha256,
    renamed,
)
from citewise.evaluation.measures import (
    Figure,
    Judge,
    Row,
    Scores,
    auroc,
    balanced_accuracy,
    bootstrap,
    ranking_scores,
    score_answer,
    summarise,
)
from citewise.grounding import checker
from citewise.grounding.overlap import overlap, read
from citewise.library.library import Library
from citewise.sample import sample_folder
from citewise.types import (
    Answer,
    Json,
    Message,
    Paper,
    SearchResult,
    Support,
    sha256_of,
)

logger = logging.getLogger("citewise")

_SOURCE = Path(__file__).resolve().parents[1]
_GIVE_UP_AFTER = 5
"""Questions in a row that could not be asked, after which a command or a page stops asking."""
_LOOK_S = 0.1
"""Seconds between two looks at whether a run is to stop while an answer is written."""
_VERSIONS = ("citewise", "chromadb", "numpy", "onnxruntime", "openai", "tantivy", "tokenizers")


class Asks(Protocol):
    """What is evaluated: anything that answers questions as an Assistant does."""

    def ask(self, question: str, history: Sequence[Message]) -> Answer:
        """The answer; raises CitewiseError when it cannot be had."""
        ...


class Finds(Protocol):
    """What retrieval is measured on: anything that ranks papers as a Library does."""

    def find(self, query: str, k: int) -> SearchResult:
        """The best ``k`` papers."""
        ...


OnDone = Callable[[int, int], None]
"""Called with how many are done and how many there are."""
Stop = Callable[[], bool]
"""Asked often while work goes on; once it says True, the work ends with EvaluationStoppedError."""
SecondJudge = Callable[[Sequence[Json]], Json]
"""What another judge says of the lines of ``results.jsonl``; see ``judge.judge_rows``."""


@dataclass(frozen=True, slots=True)
class Result:
    """One question with its answer and scores."""

    question: Question
    answer: Json | None
    """None when asking failed."""
    scores: Scores
    error: str | None = None

    @property
    def row(self) -> Row:
        """What a summary needs of it."""
        return Row(self.question.kind, self.question.cluster, self.scores)

    def to_dict(self) -> Json:
        """One line of ``results.jsonl``."""
        return {
            "id": self.question.id,
            "kind": self.question.kind,
            "question_sha256": _question_sha256(self.question),
            "answer": self.answer,
            "scores": {
                name: None if value is None else round(value, 6)
                for name, value in self.scores.items()
            },
            "error": self.error,
            "gold": self.question.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Results:
    """A whole run."""

    rows: tuple[Result, ...]
    """In the order of the questions."""
    summary: Json
    """What was measured under ``figures`` (and by kind under ``kinds``), and with what."""


@dataclass(frozen=True, slots=True)
class EvaluationOutcome:
    """What a command shows of an evaluation."""

    text: str
    summary: Json
    failures: tuple[str, ...] = ()
    """Figures that are worse than eval/expected.toml, in words; empty without a gate."""


def our_judge(claim: str, evidence: Sequence[str], context: str) -> bool:
    """The checker that citewise itself uses."""
    return checker.check(claim, evidence, context=context).supported


# -- questions --------------------------------------------------------------------------------


def run_questions(
    assistant: Asks,
    questions: Sequence[Question],
    out_dir: Path | None = None,
    on_progress: OnDone | None = None,
    *,
    papers: Iterable[Paper] | None = None,
    judge: Judge = our_judge,
    identity: Mapping[str, object] | None = None,
    stop: Stop | None = None,
    fresh: bool = True,
    give_up_after: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Results:
    """Ask every question, score every answer, and sum up.

    ``papers`` are what spans are held against (``assistant.library``'s unless given; without
    either, the papers that the answers carry). ``identity`` says what shapes the results beside
    code, prompts, questions and papers (backend, set). With ``out_dir`` the run is written there
    and goes on where it was cut off; a finished one is made anew unless ``fresh`` is False. A
    question that cannot be asked for a CitewiseError is kept with its error and scores 0; when the
    run goes on, it is asked again. Raises EvaluationStoppedError soon after ``stop`` says so, and
    BackendUnavailableError when ``give_up_after`` questions in a row failed.
    """
    library = getattr(assistant, "library", None)
    if papers is None and library is not None:
        papers = library.papers()
    known = {paper.id: paper.abstract for paper in papers} if papers is not None else None
    made_with = _made_with(questions, known, identity or {})
    folder = _RunFolder(out_dir, made_with, fresh=fresh)
    finished = folder.finished()
    results: list[Result] = []
    failing = 0
    for number, question in enumerate(questions, 1):
        result = _kept(finished.get(question.id), question)
        if result is None:
            result = _ask(assistant, question, known, judge, stop, clock)
            failing = failing + 1 if result.error else 0
            if give_up_after is not None and failing >= give_up_after:
                raise BackendUnavailableError(
                    f"{failing} questions in a row could not be asked, the last for "
                    f"{result.error}. With --out the run goes on where it stopped, once this is "
                    "mended."
                )
            folder.add(result.to_dict())
        results.append(result)
        if on_progress:
            on_progress(number, len(questions))
    summary = _summary(results, made_with)
    folder.write(result.to_dict() for result in results)
    folder.write_file("summary.json", _json(summary))
    return Results(tuple(results), summary)


def _kept(row: Json | None, question: Question) -> Result | None:
    """The result that a line holds; None where it must be asked again."""
    try:
        if (
            row is not None
            and row["question_sha256"] == _question_sha256(question)
            # What failed before may be mended now.
            and row["error"] is None
        ):
            return Result(question, row["answer"], row["scores"])
    except (KeyError, TypeError):
        pass
    return None


def _ask(
    assistant: Asks,
    question: Question,
    known: Mapping[str, str] | None,
    judge: Judge,
    stop: Stop | None,
    clock: Callable[[], float],
) -> Result:
    began = clock()
    try:
        answered = _answer(assistant, question, stop)
    except EvaluationStoppedError:
        raise
    except CitewiseError as error:
        logger.warning("%s could not be asked: %s", question.id, error)
        scores = score_answer(question, None, known or {}, judge)
        return Result(question, None, scores, f"{type(error).__name__}: {error}")
    took = (clock() - began) * 1000
    carried = {c.paper.id: c.paper.abstract for c in answered.citations}
    answer = answered.to_dict()
    scores = score_answer(question, answer, carried if known is None else known, judge)
    scores["latency_ms"] = took
    scores["prompt_tokens"] = float(answered.usage.prompt_tokens)
    scores["completion_tokens"] = float(answered.usage.completion_tokens)
    scores["cost"] = answer["usage"]["cost"]
    return Result(question, answer, scores)


def _answer(assistant: Asks, question: Question, stop: Stop | None) -> Answer:
    if stop is None:
        return assistant.ask(question.question, question.history)
    _go_on(stop)
    if not isinstance(assistant, Assistant):
        return assistant.ask(question.question, question.history)
    return asyncio.run(_awaited(assistant, question, stop))


async def _awaited(assistant: Assistant, question: Question, stop: Stop) -> Answer:
    # A model may write, or be silent, for a minute: whoever stops the run need not wait for it.
    asked = asyncio.ensure_future(assistant.aask(question.question, question.history))
    while not asked.done():
        await asyncio.wait({asked}, timeout=_LOOK_S)
        if not asked.done() and stop():
            asked.cancel()
            _go_on(stop)
    return asked.result()


def _go_on(stop: Stop | None) -> None:
    if stop is not None and stop():
        raise EvaluationStoppedError(
            "The evaluation was stopped; run it again with the same folder and it goes on."
        )


def _summary(results: Sequence[Result], made_with: Json) -> Json:
    rows = [result.row for result in results]
    kinds = dict.fromkeys(row.kind for row in rows)
    usages = [result.answer["usage"] for result in results if result.answer is not None]
    # What a question cost that failed is not known.
    known = [usage["cost"] for usage in usages if usage.get("cost") is not None]
    calls = sum(usage["calls"] for usage in usages)
    # Without a model there are no tokens to speak of.
    left_out = () if calls else _OF_MODELS
    return {
        "what": "questions",
        **made_with,
        "questions": len(results),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": _figures(summarise(rows), left_out),
        "kinds": {
            kind: {
                "n": sum(row.kind == kind for row in rows),
                **_figures(
                    summarise([row for row in rows if row.kind == kind], resamples=200), left_out
                ),
            }
            for kind in kinds
        },
        "usage": {
            "prompt_tokens": sum(usage["prompt_tokens"] for usage in usages),
            "completion_tokens": sum(usage["completion_tokens"] for usage in usages),
            "calls": calls,
            "cost": round(sum(known), 6) if len(known) == len(results) else None,
        },
        "failed": [result.question.id for result in results if result.error],
    }


def _figures(figures: Mapping[str, Figure], left_out: Collection[str] = ()) -> Json:
    return {name: one.to_dict() for name, one in figures.items() if name not in left_out}


_OF_MODELS = frozenset({"prompt_tokens", "completion_tokens", "cost"})


class _RunFolder:
    """The files of a run; a line is written as soon as its question is done."""

    def __init__(self, folder: Path | None, made_with: Json, *, fresh: bool = True) -> None:
        """``folder``: None to keep nothing; ``fresh``: whether a finished run is made anew."""
        self._folder = folder
        self._results = folder / "results.jsonl" if folder else None
        if folder is None:
            return
        identity = {key: value for key, value in made_with.items() if key not in _NOT_SHAPING}
        run = folder / "run.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            same = run.is_file() and run.read_text(encoding="utf-8") == _json(identity)
            # A finished run is made anew: what is asked for is a measurement, not its memory.
            if not same or (fresh and (folder / "summary.json").exists()):
                for name in ("results.jsonl", "summary.json", "run.trec"):
                    (folder / name).unlink(missing_ok=True)
            run.write_text(_json(identity), encoding="utf-8")
        except OSError as error:
            raise _not_writable(folder, error) from error

    def finished(self) -> dict[str, Json]:
        """Lines of the run that was cut off, by id; a torn last line is dropped."""
        kept: dict[str, Json] = {}
        if self._results is None or not self._results.is_file():
            return kept
        for line in self._results.read_text(encoding="utf-8").split("\n"):
            try:
                value = json.loads(line)
                kept[str(value["id"])] = value
            except (ValueError, KeyError, TypeError):
                continue
        self.write(kept.values())
        return kept

    def add(self, row: Json) -> None:
        """Write one more line."""
        if self._results is None:
            return
        try:
            with self._results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        except OSError as error:
            raise _not_writable(self._results.parent, error) from error

    def write(self, rows: Iterable[Json]) -> None:
        """Write all lines, in their order."""
        self.write_file(
            "results.jsonl", "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        )

    def write_file(self, name: str, text: str) -> None:
        """Write a file as a whole; it is there complete or as it was."""
        if self._folder is None:
            return
        fresh = self._folder / f"{name}.tmp"
        try:
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(self._folder / name)
        except OSError as error:
            raise _not_writable(self._folder, error) from error


def _not_writable(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"The results folder {folder} cannot be written to ({error.strerror}). Name another one "
        "with --out."
    )


_NOT_SHAPING = frozenset({"machine"})


def _json(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def _question_sha256(question: Question) -> str:
    return _sha256_of_json(question.to_dict())


def _sha256_of_json(value: object) -> str:
    return sha256_of(json.dumps(value, ensure_ascii=False, sort_keys=True))


def _made_with(
    questions: Sequence[Question], known: Mapping[str, str] | None, identity: Mapping[str, object]
) -> Json:
    return {
        **identity,
        "questions_sha256": sha256_of("".join(_question_sha256(q) for q in questions)),
        "corpus_sha256": corpus_sha256(known) if known is not None else None,
        "papers": len(known) if known is not None else None,
        "prompts": {name: prompts.load(name).sha256 for name in prompts.names()},
        **provenance(),
    }


@cache
def provenance() -> Json:
    """What made a figure beside its data: code, commit, versions, machine."""
    return {
        "code_sha256": code_sha256(),
        "commit": commit(),
        "versions": {name: _version(name) for name in _VERSIONS},
        "machine": {
            "system": platform.system(),
            "architecture": platform.machine(),
            "processors": len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count(),
            "python": platform.python_version(),
        },
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def corpus_sha256(abstracts: Mapping[str, str]) -> str:
    """Hex SHA-256 of a corpus: its paper ids in order, each with its abstract's hash."""
    return sha256_of(
        "\n".join(f"{name} {sha256_of(abstracts[name])}" for name in sorted(abstracts))
    )


def code_sha256(*rooms: str) -> str:
    """Hex SHA-256 of citewise's own source (of some of its packages when named)."""
    digest = hashlib.sha256()
    for room in rooms or (".",):
        for file in sorted((_SOURCE / room).rglob("*.py")):
            digest.update(file.relative_to(_SOURCE).as_posix().encode())
            digest.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def commit() -> str | None:
    """The checkout's commit, with ``+changes`` where it has any; None outside of a checkout."""
    folder = eval_folder()
    if folder is None:
        return None

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder.parent), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "prompts")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


# -- retrieval --------------------------------------------------------------------------------

_RETRIEVAL = ("ndcg_at_10", "hit_at_1", "recall_at_5", "recall_at_10", "recall_at_100", "rr")


def run_retrieval(
    finds: Finds,
    queries: Mapping[str, str],
    wanted: Mapping[str, Sequence[str]],
    *,
    acceptable: Mapping[str, Sequence[str]] | None = None,
    out: Path | None = None,
    on_progress: OnDone | None = None,
    identity: Mapping[str, object] | None = None,
    stop: Stop | None = None,
    fresh: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> Json:
    """Rank 100 papers for each query that has a wanted paper, and sum up.

    ``queries`` by id, ``wanted`` and ``acceptable`` paper ids by query id. The folder ``out`` takes
    the rankings as a TREC run (``run.trec``), the judgements (``qrels.txt``) and each query's
    scores (``results.jsonl``), and goes on where it was cut off. Queries without wanted papers are
    left out, as trec_eval does; a query for which nothing is found scores 0.
    """
    asked = [name for name in queries if wanted.get(name)]
    tag = str((identity or {}).get("system") or "citewise")
    made_with: Json = {**(identity or {}), **provenance()}
    asked_of = {name: [queries[name], wanted[name], (acceptable or {}).get(name)] for name in asked}
    folder = _RunFolder(
        out, {**made_with, "queries_sha256": _sha256_of_json(asked_of)}, fresh=fresh
    )
    finished = folder.finished()
    clusters = [wanted[name][0] for name in asked]
    lines: list[Json] = []
    for number, (name, cluster) in enumerate(zip(asked, clusters, strict=True), 1):
        _go_on(stop)
        line = finished.get(name)
        if line is None:
            began = clock()
            hits = finds.find(queries[name], 100).hits
            took = (clock() - began) * 1000
            scores = ranking_scores(
                [hit.paper.id for hit in hits], wanted[name], (acceptable or {}).get(name, ())
            )
            scores["latency_ms"] = took
            ranking = [[hit.paper.id, round(hit.score, 6)] for hit in hits]
            line = {"id": name, "cluster": cluster, "scores": scores, "ranking": ranking}
            folder.add(line)
        lines.append(line)
        if on_progress:
            on_progress(number, len(asked))
    rows = [line["scores"] for line in lines]
    folder.write(lines)
    judged = [f"{name} 0 {paper} 1\n" for name in asked for paper in dict.fromkeys(wanted[name])]
    folder.write_file("qrels.txt", "".join(judged))
    run = [
        f"{line['id']} Q0 {paper} {rank} {score:.6f} {tag}\n"
        for line in lines
        for rank, (paper, score) in enumerate(line["ranking"], 1)
    ]
    folder.write_file("run.trec", "".join(run))
    figures = {}
    for score in _RETRIEVAL if rows else ():
        values = np.asarray([row[score] for row in rows])
        low, high = bootstrap(lambda at, values=values: float(values[at].mean()), clusters)  # type: ignore[misc]  # the default binds the loop's array
        figures[score] = Figure(float(values.mean()), low, high, len(rows))
    times = [row["latency_ms"] for row in rows]
    for share in (50, 95) if times else ():
        value = float(np.percentile(times, share))
        figures[f"latency_p{share}_ms"] = Figure(value, math.nan, math.nan, len(times))
    summary = {
        "what": "retrieval",
        **made_with,
        "questions": len(asked),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": _figures(figures),
    }
    folder.write_file("summary.json", _json(summary))
    return summary


def load_beir(folder: Path, split: str = "test") -> tuple[dict[str, str], dict[str, list[str]]]:
    """Queries by id, and the ids of their relevant papers, of a BEIR folder.

    Judgements are ``qrels/SPLIT.tsv``, ``qrels_SPLIT.tsv`` or, for test, ``qrels.tsv``. Raises
    UsageError when a file is missing or malformed.
    """
    places = [folder / "qrels" / f"{split}.tsv", folder / f"qrels_{split}.tsv"]
    places += [folder / "qrels.tsv"] if split == "test" else []
    judged = next((file for file in places if file.is_file()), None)
    if judged is None or not (folder / "queries.jsonl").is_file():
        raise UsageError(
            f"{folder} is no BEIR folder: it needs corpus.jsonl, queries.jsonl and "
            f"qrels/{split}.tsv"
        )
    queries = {
        str(row["_id"]): str(row["text"]) for _, row in _json_lines(folder / "queries.jsonl")
    }
    wanted: dict[str, list[str]] = {}
    for number, line in enumerate(judged.read_text(encoding="utf-8").splitlines(), 1):
        cells = line.split("\t")
        if not line.strip() or (number == 1 and not cells[-1].strip().lstrip("-").isdigit()):
            continue
        try:
            query, paper, grade = cells
            if int(grade) > 0:
                wanted.setdefault(query, []).append(paper)
        except ValueError as error:
            raise UsageError(
                f"{judged.name}, line {number}: needs query-id, corpus-id and score with tabs "
                f"between ({error})"
            ) from error
    return queries, wanted


def _json_lines(path: Path) -> Iterator[tuple[int, Json]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}); give a JSONL file") from error
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path.name}, line {number}: no JSON ({error})") from error
        if not isinstance(value, dict):
            raise UsageError(f"{path.name}, line {number}: no JSON object")
        yield number, value


# -- a checker --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pair:
    """A claim, the text that should back it, and whether people say that it does."""

    claim: str
    evidence: tuple[str, ...]
    label: bool


_CLAIM = ("claim", "hypothesis")
_EVIDENCE = ("evidence", "evidence_oracle", "references", "premise", "text", "abstract", "doc")
_LABEL = ("label", "supported", "attribution_label")
_BACKED = frozenset({"support", "supports", "supported", "attributable", "entailment", "true", "1"})
_NOT_BACKED = frozenset(
    """refute refutes refuted contradict contradicts contradiction nei noinfo neutral
    not_enough_info not_supported partially_supported not_entailment not_attributable unsupported
    false 0""".split()
)


def load_pairs(path: Path) -> tuple[Pair, ...]:
    """Labelled pairs of a JSONL file, in our own fields or in those of the usual corpora.

    Only full support is support: partial support, contradiction and no information are not. Raises
    UsageError for a line without claim, evidence or a label that is known.
    """
    pairs = []
    for number, row in _json_lines(path):
        claim, evidence, label = (_first(row, names) for names in (_CLAIM, _EVIDENCE, _LABEL))
        word = str(label).strip().lower().replace(" ", "_")
        if not isinstance(claim, str) or not isinstance(evidence, str | list):
            raise UsageError(f"{path.name}, line {number}: needs claim and evidence")
        if word not in _BACKED | _NOT_BACKED:
            raise UsageError(
                f"{path.name}, line {number}: the label is {label!r}; give true or false, or one "
                f"of {', '.join(sorted(_BACKED | _NOT_BACKED))}"
            )
        texts = (evidence,) if isinstance(evidence, str) else tuple(map(str, evidence))
        pairs.append(Pair(claim, texts, word in _BACKED))
    return tuple(pairs)


def _first(row: Json, names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def run_check(
    pairs: Sequence[Pair],
    *,
    check: Callable[[str, Sequence[str]], Support] | None = None,
    out: Path | None = None,
    on_progress: OnDone | None = None,
    identity: Mapping[str, object] | None = None,
    stop: Stop | None = None,
    fresh: bool = True,
) -> Json:
    """How well the checker tells backed claims from others, beside plain word overlap.

    The overlap is the share of the claim's content words that the evidence holds. Its balanced
    accuracy is at the best threshold for these very pairs, which favours it; the checker's is at
    its own verdict. Intervals: pairs with the same evidence are drawn together. The folder ``out``
    takes a line a pair (``results.jsonl``: support, verdict, overlap, label), and the run goes on
    where it was cut off.
    """
    made_with: Json = {**(identity or {}), **provenance()}
    asked_of = [[pair.claim, pair.evidence, pair.label] for pair in pairs]
    folder = _RunFolder(out, {**made_with, "pairs_sha256": _sha256_of_json(asked_of)}, fresh=fresh)
    finished = folder.finished()
    lines: list[Json] = []
    judge = check or (lambda claim, evidence: checker.check(claim, evidence))
    for number, pair in enumerate(pairs, 1):
        _go_on(stop)
        line = finished.get(str(number))
        if line is None:
            support = judge(pair.claim, pair.evidence)
            line = {
                "id": str(number),
                "cluster": sha256_of("\n".join(pair.evidence)),
                "scores": {
                    "support": support.support,
                    "supported": float(support.supported),
                    "overlap": word_overlap(pair.claim, pair.evidence),
                    "label": float(pair.label),
                },
            }
            folder.add(line)
        lines.append(line)
        if on_progress:
            on_progress(number, len(pairs))
    folder.write(lines)
    ours, said, words = (
        [line["scores"][name] for line in lines] for name in ("support", "supported", "overlap")
    )
    truth = np.asarray([pair.label for pair in pairs], bool)
    scores, verdicts, shares = np.asarray(ours), np.asarray(said, bool), np.asarray(words)
    threshold = _best_threshold(shares, truth)
    clusters = [line["cluster"] for line in lines]
    statistics: dict[str, Callable[[NDArray[np.intp]], float]] = {
        "check_auroc": lambda at: auroc(scores[at], truth[at]),
        "check_balanced_accuracy": lambda at: balanced_accuracy(verdicts[at], truth[at]),
        "overlap_auroc": lambda at: auroc(shares[at], truth[at]),
        "overlap_balanced_accuracy": lambda at: balanced_accuracy(
            shares[at] >= threshold, truth[at]
        ),
    }
    figures = {}
    everything = np.arange(len(pairs))
    for name, statistic in statistics.items():
        if len(pairs) and not math.isnan(value := statistic(everything)):
            low, high = bootstrap(statistic, clusters)
            figures[name] = Figure(value, low, high, len(pairs))
    summary = {
        "what": "check",
        **made_with,
        "questions": len(pairs),
        "backed": int(truth.sum()),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": _figures(figures),
    }
    folder.write_file("summary.json", _json(summary))
    return summary


def word_overlap(claim: str, evidence: Sequence[str]) -> float:
    """Share of a claim's content words that the evidence holds, by their stems."""
    ours = [sentence for sentence in read(claim) if sentence.tokens]
    theirs = [[s for s in read(text) if s.tokens] for text in evidence]
    return overlap(ours, theirs).plain if ours and any(theirs) else 0.0


def _best_threshold(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    candidates = np.unique(scores)
    values = [balanced_accuracy(scores >= least, truth) for least in candidates]
    return (
        float(candidates[int(np.nanargmax(values))]) if values and values[0] == values[0] else 0.5
    )


# -- the command's door -----------------------------------------------------------------------


def evaluate(
    set_name: str = "first",
    *,
    split: str = "dev",
    backend: str | object = "extractive",
    out: Path | None = None,
    gate: bool = False,
    limit: int | None = None,
    library: Library | None = None,
    on_done: OnDone | None = None,
    second: SecondJudge | None = None,
    stop: Stop | None = None,
    fresh: bool = True,
    say: Callable[[str], None] | None = None,
) -> EvaluationOutcome:
    """Run one evaluation and say it in a table.

    ``set_name``: ``first``, ``dev`` or ``test``; ``questions`` (the set that ``split`` names, which
    may be a question file); ``retrieval`` (the same questions, ranking alone); a BEIR folder; or a
    file of labelled pairs for the checker. Without a ``library`` the sample papers are asked (built
    once, kept in the cache). ``limit`` takes the first questions only. With ``gate`` the failures
    name every figure that is worse than eval/expected.toml. ``second`` judges the answers too; what
    it says goes into the summary. With ``out`` a run that was cut off goes on, and a finished one
    is made anew unless ``fresh`` is False. ``say`` is told what takes long before it begins. Raises
    UsageError for a set that is not known, EvaluationStoppedError soon after ``stop`` says so, and
    BackendUnavailableError when several questions in a row cannot be asked.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"--limit is {limit}; give at least 1.")
    path = Path(set_name)
    how = _How(out, on_done, stop, fresh)
    if set_name in (*SETS, "questions", "retrieval"):
        name = split if set_name in ("questions", "retrieval") else set_name
        summary = _on_questions(
            name, set_name == "retrieval", backend, limit, library, second, say, how
        )
    elif path.is_dir():
        summary = _on_beir(path, split, limit, library, say, how)
    elif path.is_file():
        pairs = load_pairs(path)[:limit]
        summary = run_check(
            pairs, out=out, on_progress=on_done, identity={"set": path.name}, stop=stop, fresh=fresh
        )
    else:
        raise UsageError(
            f"There is nothing to evaluate called {set_name!r}: give {', '.join(SETS)}, questions, "
            "retrieval, a BEIR folder, or a file of labelled pairs."
        )
    failures: tuple[str, ...] = ()
    if gate:
        failures = tuple(report.gate(summary, report.expected_figures()))
    if out is not None:
        report.write(summary, out)
        if summary["what"] == "questions":
            page.write(out, page.sample_titles() if library is None else _titles(library))
    return EvaluationOutcome(report.text_table(summary), summary, failures)


@dataclass(frozen=True, slots=True)
class _How:
    """How an evaluation goes on its way, whatever it measures."""

    out: Path | None
    on_done: OnDone | None
    stop: Stop | None
    fresh: bool


def _titles(library: Library) -> dict[str, str]:
    return {paper.id: paper.title for paper in library.papers()}


def _on_questions(
    name: str,
    ranking_only: bool,
    backend: str | object,
    limit: int | None,
    library: Library | None,
    second: SecondJudge | None,
    say: Callable[[str], None] | None,
    how: _How,
) -> Json:
    questions = load(name)[:limit]
    if not questions:
        raise UsageError(f"{name} holds no accepted question.")
    with _library_or_sample(library, say) as opened:
        opened.warm()
        questions = _as_held(questions, opened)
        identity = {
            "set": name if name in SETS else Path(name).name,
            "set_sha256": questions_sha256(name),
            "limit": limit,
            "library": opened.fingerprint,
            "encoder": opened.embedder.fingerprint,
        }
        if ranking_only:
            answerable = [question for question in questions if question.answerable]
            summary = run_retrieval(
                opened,
                {q.id: q.standalone for q in answerable},
                {q.id: q.required for q in answerable},
                acceptable={q.id: q.acceptable for q in answerable},
                out=how.out,
                on_progress=how.on_done,
                identity=identity,
                stop=how.stop,
                fresh=how.fresh,
            )
            if name == "test":
                log_test_run(summary)
            return summary
        assistant = Assistant(opened, backend=backend)
        price = getattr(assistant.backend, "price", None)
        identity |= {
            "backend": assistant.backend.name,
            "effort": "normal",
            "currency": price.currency if price is not None else None,
        }
        results = run_questions(
            assistant,
            questions,
            how.out,
            how.on_done,
            identity=identity,
            stop=how.stop,
            fresh=how.fresh,
            give_up_after=_GIVE_UP_AFTER,
        )
    summary = results.summary
    if second is not None:
        summary = {**summary, "judge": second([result.to_dict() for result in results.rows])}
    if name == "test":
        log_test_run(summary)
    return summary


def _as_held(questions: tuple[Question, ...], library: Library) -> tuple[Question, ...]:
    """The questions with the ids that the library has for their papers.

    A sample paper that came there from elsewhere first has the id that it had then.
    """
    named = {paper for one in questions for paper in (*one.required, *one.acceptable)}
    missing = named - library.papers_by_id([*named]).keys()
    if not missing:
        return questions
    sample = (paper for paper in sources.read(sample_folder()) if isinstance(paper, Paper))
    held = {paper.id: library.held_as(paper) for paper in sample if paper.id in missing}
    ids = {paper: here for paper, here in held.items() if here is not None}
    return tuple(renamed(question, ids) for question in questions)


def _on_beir(
    folder: Path,
    split: str,
    limit: int | None,
    library: Library | None,
    say: Callable[[str], None] | None,
    how: _How,
) -> Json:
    queries, wanted = load_beir(folder, split)
    asked = {name: text for name, text in queries.items() if name in wanted}
    asked = dict(list(asked.items())[:limit])
    with _library_or_sample(library, say, folder / "corpus.jsonl") as opened:
        opened.warm()
        return run_retrieval(
            opened,
            asked,
            wanted,
            out=how.out,
            on_progress=how.on_done,
            stop=how.stop,
            fresh=how.fresh,
            identity={
                "set": folder.name,
                "split": split,
                "limit": limit,
                "library": opened.fingerprint,
                "encoder": opened.embedder.fingerprint,
            },
        )


@contextmanager
def _library_or_sample(
    library: Library | None, say: Callable[[str], None] | None = None, papers: Path | None = None
) -> Iterator[Library]:
    if library is not None:
        yield library
        return
    folder = cached_library(papers or sample_folder(), say=say)
    with Library.open(folder, create=False) as opened:
        yield opened


@contextmanager
def sample_library(say: Callable[[str], None] | None = None) -> Iterator[Library]:
    """The sample papers as an open library; built once and kept in the user's cache folder."""
    with _library_or_sample(None, say) as opened:
        yield opened


def cached_library(
    papers: Path, cache_folder: Path | None = None, say: Callable[[str], None] | None = None
) -> Path:
    """Folder of a library over a file or folder of papers, built unless it is there already.

    ``say`` is told before it is built, which takes long. It is built aside and moved into place
    when complete. Its name tells papers, readers and library rules, so that a change of any of them
    builds another one.
    """
    digest = hashlib.sha256(code_sha256("sources", "library").encode())
    checksums = _SOURCE / "models" / "minilm" / "checksums.json"
    files = sorted(papers.iterdir()) if papers.is_dir() else [papers]
    for file in [*files, checksums]:
        if file.is_file():
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    parent = cache_folder or Path(platformdirs.user_cache_dir("citewise", False)) / "evaluation"
    folder = parent / f"library-{digest.hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    parent.mkdir(parents=True, exist_ok=True)
    if say is not None:
        say(f"Building the library of {papers.name}, once; it is kept in {parent} ...")
    building = Path(tempfile.mkdtemp(prefix="building-", dir=parent))
    try:
        with Library.open(building / "library") as library:
            report_ = library.ingest(papers)
        if not report_.added:
            raise UsageError(f"No paper was found in {papers}.")
        try:
            (building / "library").rename(folder)
        except OSError:
            # Another evaluation was faster.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder


def log_test_run(summary: Json) -> None:
    """Add a line to eval/TEST_RUNS.md: the test questions are to be run seldom, and in the open."""
    folder = eval_folder()
    log = folder / "TEST_RUNS.md" if folder else None
    if log is None or not log.is_file():
        return
    figures = summary["figures"]
    shown = ("nugget_recall", "citation_f1", "answered", "abstained_near_miss")
    cells = [
        summary["made"],
        str(summary["commit"] or "")[:12] + ("+changes" if "+" in str(summary["commit"]) else ""),
        str(summary.get("backend") or summary.get("system") or summary["what"]),
        str(summary["questions"]),
        summary["set_sha256"][:12],
        summary["code_sha256"][:12],
        *(f"{figures[name]['value']:.3f}" if name in figures else "" for name in shown),
    ]
    with log.open("a", encoding="utf-8") as file:
        file.write("| " + " | ".join(cells) + " |\n")


def rescore(results: Results, judge: Judge, abstracts: Mapping[str, str]) -> Results:
    """The same answers with another judge, without asking again."""
    rows = []
    for result in results.rows:
        kept = {name: result.scores.get(name) for name in ("latency_ms", *_OF_MODELS)}
        scores = score_answer(result.question, result.answer, abstracts, judge) | kept
        rows.append(replace(result, scores=scores))
    fresh = _summary(rows, {})
    return Results(tuple(rows), {**results.summary, **fresh})
