"""Fits the weights of citewise.grounding.abstention on the dev questions and on written ones.

    python training/fit_abstention.py --library DIR --data DATA --other FOLDER
    python training/fit_abstention.py --library DIR --data DATA --other FOLDER --confidence

``DIR`` holds the sample papers (``citewise ingest --sample --library DIR``). ``DATA`` holds
``scifact/``, ``pubmedqa/`` and ``arxiv/``; ``FOLDER`` keeps libraries made from these at first use.
The second fits the confidence of answers, on the dev questions and those of ``fields.jsonl``; the
first the rest. Examples, nothing of the test split among them:

- the dev questions and those of ``written/asked.jsonl``, about papers of the dev split too, as they
  are (answerable, near misses, off-topic ones); the single-paper ones once more with the papers
  that answer them left out, which makes near misses of them;
- questions of ``written/w8`` over 1,140 biomedical abstracts: those of its last 100 papers, which
  the entailment model was not trained on, each counting little;
- questions for figures over arXiv abstracts (``written/numbers.jsonl``);
- questions for several papers (``written/graded.jsonl``): answerable where a paper was graded 2,
  not where all were graded 0;
- questions on everything else under the sun (``written/elsewhere.jsonl``), over three libraries.

Weighted logistic regression with a ridge, by Newton's method. What it prints is what
training/ABSTENTION.md quotes; every probability shown is from a fit that has not seen that
question.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fit_checker import records
from graded import COLLECTIONS, graded_questions, library_of
from logistic import Floats, fit

from citewise import Assistant, Filters, Library
from citewise.answering.recalibration import recalibrate
from citewise.evaluation.datasets import Question, load
from citewise.evaluation.measures import auroc
from citewise.evaluation.runner import run_questions
from citewise.grounding.abstention import WEIGHTS, Features, answerability, signals
from citewise.types import Paper, QuestionKind

WRITTEN = Path(__file__).parent / "written"
ASKED, ELSEWHERE = WRITTEN / "asked.jsonl", WRITTEN / "elsewhere.jsonl"
FIELDS, FIELD_PAPERS = WRITTEN / "fields.jsonl", WRITTEN / "fields-papers.txt"
NAMES = tuple(name for name in WEIGHTS if name != "bias")
CONFIDENCE_RIDGE = 2.0
"""Brier score of unseen answers .167, .169 and .173 with 1, 2 and 4, calibration error .110, .077
and .101; by hand, the tenths drawn by chance."""
LEFT_OUT_KINDS = ("fact", "number", "comparison", "followup")
EXAMPLE_WEIGHTS = {
    "left out": 0.6,
    "near_miss": 3.0,
    "off_topic": 1.5,
    "other field": 0.15,
    "figures": 0.3,
    "graded": 0.25,
    "far": 0.3,
    "beside": 0.3,
    "odd": 0.3,
}
PARTS = 20
"""Parts that are left out in turn."""

OTHER_PAPERS, OTHER_UNSEEN = 700, 120
"""SciFact's papers beside those asked about; the first line of w8 that no training saw."""
THRESHOLDS = (0.08, 0.10, 0.12, 0.15, 0.20)


@dataclass(frozen=True, slots=True)
class Example:
    """One question with what can be seen of it."""

    question: str
    kind: str
    answerable: bool
    features: Features
    library: str = ""
    """Where one question is asked of several."""


def _example(
    assistant: Assistant, question: Question, without: frozenset[str], everything: tuple[str, ...]
) -> Example:
    kept = tuple(paper_id for paper_id in everything if paper_id not in without)
    filters = Filters(papers=kept) if without else None
    # A conversation about a paper that is left out would bring it back.
    history = () if without else question.history
    text = (question.whole or question.question) if without else question.question
    gathered = assistant.gather(text, history, filters=filters)
    kind = "left out" if without else question.kind
    answerable = question.answerable and not without
    return Example(question.id, kind, answerable, gathered.selection.features)


def examples(library: Library) -> list[Example]:
    """All examples of the dev questions."""
    assistant = Assistant(library)
    everything = tuple(paper.id for paper in library.papers())
    questions = {question.id: question for name in ("dev", "first") for question in load(name)}
    for item in map(json.loads, ASKED.read_text("utf-8").splitlines()):
        papers = tuple(item["papers"])
        questions[item["id"]] = Question(
            item["id"], item["kind"], item["question"], required=papers
        )
    found = []
    for question in questions.values():
        found.append(_example(assistant, question, frozenset(), everything))
        if question.answerable and question.kind in LEFT_OUT_KINDS:
            gold = frozenset((*question.required, *question.acceptable))
            found.append(_example(assistant, question, gold, everything))
    return found + elsewhere(library, "sample")


def other_examples(folder: Path, data: Path) -> list[Example]:
    """Questions about abstracts of another field, answered there or not."""
    rows = {
        name: [json.loads(line) for line in (WRITTEN / name).read_text("utf-8").splitlines()]
        for name in ("w8.jsonl", "w9.jsonl")
    }
    if not (folder / "library").exists():
        folder.mkdir(parents=True, exist_ok=True)
        asked = {row["id"] for part in rows.values() for row in part}
        corpus = folder / "corpus.jsonl"
        with corpus.open("w", encoding="utf-8") as out:
            for line in _other_papers(data, asked):
                out.write(json.dumps(line) + "\n")
        with Library.open(folder / "library") as library:
            library.ingest(corpus)
    found = []
    with Library.open(folder / "library", create=False) as library:
        recalibrate(library)
        assistant = Assistant(library)
        for row in rows["w8.jsonl"][OTHER_UNSEEN:]:
            for key in ("q", "q2", "u", "u2", "u3"):
                features = _features(assistant, row[key])
                found.append(Example(row["id"], "other field", key.startswith("q"), features))
        return found + elsewhere(library, "other field")


def figure_examples(folder: Path, data: Path) -> list[Example]:
    """Questions for figures, over the abstracts that they were written of and 740 others."""
    rows = [
        row
        for row in map(json.loads, (WRITTEN / "numbers.jsonl").read_text("utf-8").splitlines())
        if row["id"].startswith("arxiv:")
    ]
    if not (folder / "figures").exists():
        asked = {row["id"].removeprefix("arxiv:") for row in rows}
        papers = folder / "figures.jsonl"
        with (
            gzip.open(data / "arxiv" / "papers-112k.jsonl.gz", "rt", encoding="utf-8") as lines,
            papers.open("w", encoding="utf-8") as out,
        ):
            for at, line in enumerate(lines):
                if at % 150 == 7 or json.loads(line)["_id"] in asked:
                    out.write(line)
        with Library.open(folder / "figures") as library:
            library.ingest(papers)
    with Library.open(folder / "figures", create=False) as library:
        recalibrate(library)
        assistant = Assistant(library)
        found = [
            Example(row["id"], "figures", side == "q", _features(assistant, asked))
            for row in rows
            for side in "qu"
            for asked in row[side]
        ]
        return found + elsewhere(library, "figures")


def graded_examples(folder: Path, data: Path) -> list[Example]:
    """Questions for several papers, where it is clear whether any was found."""
    found = []
    for name in COLLECTIONS:
        with library_of(name, folder, data) as library:
            recalibrate(library)
            assistant = Assistant(library)
            for row in graded_questions():
                held = "2" in row["grades"]
                if row["library"] == name and (held or "1" not in row["grades"]):
                    features = _features(assistant, row["question"])
                    found.append(Example(row["id"], "graded", held, features))
    return found


def elsewhere(library: Library, name: str) -> list[Example]:
    """Questions on everything else, beside the papers of a library of this name."""
    assistant = Assistant(library)
    return [
        Example(row["question"], row["sort"], False, _features(assistant, row["question"]), name)
        for row in map(json.loads, ELSEWHERE.read_text("utf-8").splitlines())
    ]


def _features(assistant: Assistant, question: str) -> Features:
    return assistant.gather(question).selection.features


def _other_papers(data: Path, asked: set[str]) -> Iterator[dict[str, str]]:
    """The abstracts asked about and OTHER_PAPERS others, in BEIR's form."""
    papers = list(records(data / "scifact/corpus.jsonl"))
    random.Random(1).shuffle(papers)
    more = OTHER_PAPERS
    for paper in papers:
        name = f"scifact:{paper['_id']}"
        more -= name not in asked
        if name in asked or more >= 0:
            yield {"_id": name, "title": str(paper["title"]), "text": str(paper["text"])}
    for item in records(data / "pubmedqa/pqal.jsonl"):
        if f"pubmedqa:{item['_id']}" in asked:
            text = " ".join(str(part) for part in item["contexts"])  # type: ignore[attr-defined]
            # These have no titles.
            name = f"pubmedqa:{item['_id']}"
            yield {"_id": name, "title": f"PubMed {item['_id']}", "text": text}


def calibration_error(probabilities: Floats, right: Floats, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins."""
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    return float(
        sum(abs((probabilities[place == b] - right[place == b]).sum()) for b in range(bins))
        / len(right)
    )


def _library_of_fields(data: Path, folder: Path) -> Path:
    """A library of the papers that ``written/fields.jsonl`` asks about, made at first use."""
    path = folder / "fields"
    if not path.is_dir():
        wanted = set(FIELD_PAPERS.read_text("utf-8").split())
        with gzip.open(data / "arxiv" / "papers-112k.jsonl.gz", "rt", encoding="utf-8") as lines:
            found = [row for row in map(json.loads, lines) if row["_id"] in wanted]
        with Library.open(path) as library:
            library.add(Paper(row["_id"], row["title"], row["text"]) for row in found)
    return path


def _answers(
    library: Library, questions: Sequence[Question]
) -> Iterator[tuple[list[float], float]]:
    """Of each question that is answered: log-odds, kind (one column each), and how right it is."""
    assistant = Assistant(library)
    for result in run_questions(assistant, list(questions)).rows:
        if result.answer is None or not result.answer["answered"]:
            continue
        question = result.question
        selection = assistant.gather(question.question, question.history).selection
        odds = answerability(selection.features, selection.unknown_words).probability
        p = min(0.999, max(0.001, odds))
        kind = QuestionKind(result.answer["kind"])
        columns = [math.log(p / (1 - p)), *(float(kind is one) for one in QuestionKind)]
        yield columns, result.scores.get("correct") or 0.0


def fit_confidence(library: Library, fields: Path) -> None:
    """Fit what an answer's confidence makes of its odds and its kind; print it."""
    found = list(_answers(library, load("dev")))
    with Library.open(fields, create=False) as opened:
        found += _answers(opened, load(str(FIELDS)))
    x, y = np.array([columns for columns, _ in found]), np.array([right for _, right in found])
    ones = np.ones(len(y))
    unseen = np.zeros(len(y))
    for start in range(10):
        out = np.arange(len(y)) % 10 == start
        b = fit(x[~out], y[~out], ones[~out], CONFIDENCE_RIDGE)
        unseen[out] = 1 / (1 + np.exp(-(b[0] + x[out] @ b[1:])))
    raw = 1 / (1 + np.exp(-x[:, 0]))
    print(
        f"{len(y)} answers, {y.mean():.2f} right; calibration error of the odds alone "
        f"{calibration_error(raw, y):.3f}, fitted, on unseen tenths "
        f"{calibration_error(unseen, y):.3f} (Brier score {np.mean((unseen - y) ** 2):.3f})"
    )
    b = fit(x, y, ones, CONFIDENCE_RIDGE)
    offsets = {kind.name: round(float(v), 2) for kind, v in zip(QuestionKind, b[2:], strict=True)}
    print(f"CONFIDENCE_BIAS = {b[0]:.2f}; CONFIDENCE_SLOPE = {b[1]:.2f}; {offsets}")


def print_shares(found: Sequence[Example], odds: Floats, how: str) -> None:
    """Which share of each kind of question is answered at which threshold of ``odds``."""
    probabilities = 1 / (1 + np.exp(-odds))
    held = np.array([example.answerable for example in found])
    print(f"{how}: AUROC on unseen questions {auroc(probabilities, held):.3f}")
    kinds: dict[str, list[float]] = defaultdict(list)
    for example, probability in zip(found, probabilities, strict=True):
        kind = example.kind
        if kind in ("other field", "figures", "graded"):
            kind += ", held" if example.answerable else ", not held"
        if example.library:
            kind += f", {example.library}"
        kinds[kind].append(float(probability))
    print("share answered at a threshold of")
    print(f"{'':>24} {'n':>4} " + " ".join(f"{t:6.2f}" for t in THRESHOLDS))
    for kind, values in kinds.items():
        shares = [np.mean(np.array(values) >= t) for t in THRESHOLDS]
        print(f"{kind:>24} {len(values):>4} " + " ".join(f"{share:6.2f}" for share in shares))


def main() -> None:
    """Fit, and print what the fit is worth on questions it has not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True)
    parser.add_argument("--confidence", action="store_true")
    parser.add_argument("--data", type=Path, help="folder with scifact/, pubmedqa/, arxiv/")
    parser.add_argument("--other", type=Path, help="folder of the other libraries")
    args = parser.parse_args()
    with Library.open(args.library, create=False) as library:
        if args.confidence:
            fit_confidence(library, _library_of_fields(args.data, args.other))
            return
        recalibrate(library)
        found = examples(library)
    if args.other:
        found += other_examples(args.other, args.data)
        found += figure_examples(args.other, args.data)
        found += graded_examples(args.other, args.data)
    x = np.array([[signals(example.features)[name] for name in NAMES] for example in found])
    y = np.array([float(example.answerable) for example in found])
    w = np.array([EXAMPLE_WEIGHTS.get(example.kind, 1.0) for example in found])
    less = np.array([example.features.strictness for example in found])
    ids = list(dict.fromkeys(example.question for example in found))
    parts = np.array([ids.index(example.question) % PARTS for example in found])
    unseen = np.zeros(len(found))
    for part in range(PARTS):
        others = parts != part
        b = fit(x[others], y[others], w[others])
        unseen[~others] = b[0] + x[~others] @ b[1:]
    print(f"{len(found)} examples")
    print_shares(found, unseen, "weights alone")
    print_shares(found, unseen - less, "and what each library has learnt of its own papers")
    b = fit(x, y, w)
    print(
        "WEIGHTS =", {name: round(float(v), 2) for name, v in zip(("bias", *NAMES), b, strict=True)}
    )


if __name__ == "__main__":
    main()
