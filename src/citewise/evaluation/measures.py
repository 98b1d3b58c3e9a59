"""What is measured of an answer, a ranking and a checker, and how sure it is.

An answer is scored in its JSON form (``Answer.to_dict()``), so that saved answers of any origin
can be. A score is a number, or None where the measure does not apply to the question; an answer
that should be there and isn't scores 0. ``summarise`` turns the scores of many questions into
figures with bootstrap intervals. All figures are shares from 0 to 1 unless said otherwise.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from citewise.evaluation.datasets import Nugget, Question, Value
from citewise.types import Json, sha256_of

Scores: TypeAlias = dict[str, float | None]
Judge: TypeAlias = Callable[[str, Sequence[str], str], bool]
"""Whether a claim is backed by texts, given a context (the titles of the cited papers)."""
Floats: TypeAlias = NDArray[np.float64]

RESAMPLES = 1_000
SEED = 20_251
MOST_CITATIONS = 3
"""Citations of a sentence that are judged; ALCE (arXiv:2305.14627, section 4) allows three."""
BINS = 10

# -- matching words ---------------------------------------------------------------------------

_MARKER = re.compile(r"\[\^?\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\]")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*\)")
_TIMES = re.compile(r"\\times\b|\\cdot\b|[✕⨯]")
_ESCAPED = re.compile(r"\\([%$&#_{}])")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_NOISE = re.compile(r"[*_`^${}\\]|~~")
_HEADING = re.compile(r"(?m)^\s*#+\s*")
_DASH = re.compile(r"[\u00ad\u2010-\u2015\u2212]")
_QUOTE = re.compile(r"[\u2018\u2019\u201b]")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_FACTOR = re.compile(r"(?<=\d) ?(?:×|x|times|-?fold)(?![a-z])")
_PERCENT = re.compile(r"(?<=\d) ?(?:%|per ?cent\b)")
_SPACE = re.compile(r"\s+")


def plain(text: str) -> str:
    """``text`` in lower case on one line, without markdown, citation markers and LaTeX.

    After a number ``×``, ``x``, ``times``, ``\\times`` and ``-fold`` are all ``x``, ``percent`` is
    ``%``, and thousands are not grouped. Own rules rather than the checker's, so that the checker
    cannot hide a fault from the measure.
    """
    text = _LINK.sub(r"\1", _MARKER.sub(" ", text))
    text = _COMMAND.sub(" ", _ESCAPED.sub(r"\1", _TIMES.sub("×", _HEADING.sub("", text))))
    text = unicodedata.normalize("NFKC", _NOISE.sub("", text)).lower()
    text = _SPACE.sub(" ", _QUOTE.sub("'", _DASH.sub("-", text))).strip()
    return _PERCENT.sub("%", _FACTOR.sub("x", _GROUPED.sub("", text)))


def holds(text: str, form: str) -> bool:
    """Whether a form stands in a ``plain`` text, at the start of a word.

    It may end inside a word, but where it begins or ends with a digit no further digit or decimal
    point touches it (eval/GUIDELINE.md, 'Matching a form').
    """
    wanted = plain(form)
    if not wanted:
        return False
    before = r"(?<![\d.,])(?<!\w)" if wanted[0].isdigit() else r"(?<!\w)"
    if not wanted[0].isalnum():
        before = ""
    after = r"(?!\d|[.,]\d)" if wanted[-1].isdigit() else ""
    return re.search(before + re.escape(wanted) + after, text) is not None


def has_nugget(text: str, nugget: Nugget) -> bool:
    """Whether one form of the nugget stands in a ``plain`` text."""
    return any(holds(text, form) for form in nugget.forms)


_WORD_NUMBERS = {
    word: float(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
}
_SCALES = {"k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "b": 1e9, "billion": 1e9}
_NUMBER = re.compile(
    r"(?<![\w.])(?:(\d+(?:\.\d+)?|\.\d+)(?: ?(k|m|b|thousand|million|billion)(?![a-z]))?"
    rf"|({'|'.join(_WORD_NUMBERS)})\b)"
)
_BILLION_TOKENS = r" ?(?:b|billion)\b[ -]?(?:\w+[ -]){0,2}token"
_UNITS = {
    "%": r" ?%",
    "x": r"x| times\b|[- ]fold\b",
    "fps": r" ?(?:fps\b|frames)",
    "ms": r" ?(?:ms\b|milliseconds?)",
    "gb": r" ?g(?:b|ib|igabytes?)?\b",
    "mb": r" ?m(?:b|ib|egabytes?)\b",
    "hours": r"[ -]?(?:gpu[ -])?(?:hours?|h)\b",
    "gpu hours": r"[ -]?(?:gpu[ -])?(?:hours?|h)\b",
    "minutes": r"[ -]?min(?:utes?|s)?\b",
    "tokens/s": r" ?(?:tokens?|tok)(?: ?/ ?s| per sec|s per sec)",
    "token/s": r" ?(?:tokens?|tok)(?: ?/ ?s| per sec|s per sec)",
    "billion tokens": _BILLION_TOKENS,
}
"""What may follow a number for it to bear the unit, in ``plain`` text."""
_NEAR = 80
"""Characters around a count within which its noun must stand."""


def has_value(text: str, value: Value) -> bool:
    """Whether a ``plain`` text states the value within its tolerance and with its unit.

    A unit of measure must follow the number. The noun of a whole number (``3 papers``) must stand
    nearby; the name of a score (``2.89 FID``) need not, for questions ask for it by name.
    """
    unit = value.unit.lower().strip()
    follows = _UNITS.get(unit)
    for match in _NUMBER.finditer(text):
        if match[3]:
            numbers = {_WORD_NUMBERS[match[3]]: match.end()}
        else:
            numbers = {float(match[1]): match.end(1)}
            if match[2]:
                numbers[float(match[1]) * _SCALES[match[2]]] = match.end()
        for number, end in numbers.items():
            if abs(number - value.value) > value.tolerance + 1e-9:
                continue
            if follows is not None:
                if re.match(follows, text[end:]):
                    return True
            elif _noun_near(text, unit, match.start(), end):
                return True
    return False


def _noun_near(text: str, unit: str, start: int, end: int) -> bool:
    words = re.findall(r"[a-z]{3,}", unit)
    if not words:
        return True
    if "." in text[start:end]:
        return True
    around = text[max(0, start - _NEAR) : end + _NEAR]
    return any(word.removesuffix("s") in around for word in words)


# -- one answer -------------------------------------------------------------------------------


def cited_papers(answer: Json) -> tuple[str, ...]:
    """Ids of the papers that an answer cites, in its order; none when it does not answer."""
    if not answer["answered"]:
        return ()
    return tuple(dict.fromkeys(c["paper"]["id"] for c in answer["citations"]))


def spans_exact(answer: Json, abstracts: Mapping[str, str]) -> list[bool]:
    """For each span of an answer, whether it is its abstract's words at its offsets, hash too."""
    exact = []
    for citation in answer["citations"]:
        abstract = abstracts.get(citation["paper"]["id"])
        for span in citation["spans"]:
            exact.append(
                abstract is not None
                and 0 <= span["start"] < span["end"] <= len(abstract)
                and abstract[span["start"] : span["end"]] == span["text"]
                and sha256_of(span["text"]) == span["sha256"]
            )
    return exact


def alce(answer: Json, judge: Judge) -> tuple[float, float, float]:
    """Citation recall, precision and F1 of one answer, after ALCE.

    Gao et al., Enabling Large Language Models to Generate Text with Citations, 2023,
    arXiv:2305.14627, section 4. Recall: share of sentences whose cited words together back them; a
    sentence without citation counts as not backed. Precision: share of citations in backed
    sentences that back the sentence alone, or without which the rest no longer does. No more than
    three citations of a sentence are looked at. ALCE's judge is an NLI model; ours is given. An
    answer that does not answer scores 0.
    """
    if not answer["answered"] or not answer["sentences"]:
        return 0.0, 0.0, 0.0
    by_number = {citation["n"]: citation for citation in answer["citations"]}
    backed = useful = cited = 0
    for sentence in answer["sentences"]:
        numbers = [n for n in dict.fromkeys(sentence["citations"]) if n in by_number]
        numbers = numbers[:MOST_CITATIONS]
        cited += len(numbers)
        texts = {n: _cited_words(sentence, by_number[n]) for n in numbers}
        titles = {n: str(by_number[n]["paper"]["title"]) for n in numbers}

        def backs(
            some: Sequence[int],
            claim: str = sentence["text"],
            texts: Mapping[int, list[str]] = texts,
            titles: Mapping[int, str] = titles,
        ) -> bool:
            evidence = [text for n in some for text in texts[n]]
            return bool(evidence) and judge(claim, evidence, " ".join(titles[n] for n in some))

        if not backs(numbers):
            continue
        backed += 1
        for n in numbers:
            rest = [other for other in numbers if other != n]
            useful += not rest or backs([n]) or not backs(rest)
    recall = backed / len(answer["sentences"])
    precision = useful / cited if cited else 0.0
    return recall, precision, _f1(precision, recall)


def _cited_words(sentence: Json, citation: Json) -> list[str]:
    spans = citation["spans"]
    own = [at for n, at in sentence.get("spans", ()) if n == citation["n"] and at < len(spans)]
    return [spans[at]["text"] for at in own] or [span["text"] for span in spans]


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def score_answer(
    question: Question, answer: Json | None, abstracts: Mapping[str, str], judge: Judge
) -> Scores:
    """Every score of one answer; ``answer`` is None when asking failed.

    ``answered``: 1 or 0. ``nugget_recall``: share of nuggets with a form in the answer.
    ``number``: the value with its unit. ``list_precision``, ``list_recall``, ``list_f1``: cited
    against required papers, acceptable ones neither for nor against. ``cited_precision``: share of
    cited papers that are required or acceptable; ``cited_recall``: share of required papers that
    are cited. ``citation_recall``, ``citation_precision``, ``citation_f1``: see ``alce``.
    ``correct``: answered, every nugget and the value there, every paper of a list cited, and
    nothing of ``must_not`` said. ``partly``: not correct, but some nugget there and nothing of
    ``must_not`` said. ``crag``: see ``CRAG``. ``spans``, ``spans_right``: how many spans are cited,
    and how many are exact. ``hit_at_1`` to ``ndcg_at_10``: see ``ranking_scores``, over the
    retrieved papers. ``words``: of the answer. ``confidence``: as the answer says.
    """
    answered = answer is not None and bool(answer["answered"])
    scores: Scores = {
        "answered": float(answered),
        "failed": float(answer is None),
        "abstained": float(answer is not None and not answered),
        "confidence": None if answer is None else float(answer["confidence"]),
        "words": float(len(answer["answer"].split())) if answer is not None and answered else None,
    }
    exact = spans_exact(answer, abstracts) if answer is not None else []
    scores["spans"], scores["spans_right"] = float(len(exact)), float(sum(exact))
    if not question.answerable:
        scores["correct"], scores["partly"] = scores["abstained"], 0.0
        scores["crag"] = 1.0 if scores["abstained"] else -1.0 if answered else 0.0
        return scores
    found = [str(paper["paper_id"]) for paper in answer["retrieved"]] if answer else []
    scores |= ranking_scores(found, question.required, question.acceptable)
    scores |= _content_scores(question, answer if answered else None)
    recall, precision, f1 = alce(answer, judge) if answer is not None else (0.0, 0.0, 0.0)
    scores |= {"citation_recall": recall, "citation_precision": precision, "citation_f1": f1}
    return scores


def _content_scores(question: Question, answer: Json | None) -> Scores:
    text = plain(answer["answer"]) if answer is not None else ""
    cited = set(cited_papers(answer)) if answer is not None else set()
    required, acceptable = set(question.required), set(question.acceptable)
    nuggets = [has_nugget(text, nugget) for nugget in question.nuggets]
    recall = sum(nuggets) / len(nuggets) if nuggets else None
    scores: Scores = {"nugget_recall": recall}
    right = answer is not None and recall in (None, 1.0)
    if question.value is not None:
        scores["number"] = float(has_value(text, question.value))
        right = right and bool(scores["number"])
    hit = len(cited & required)
    scores["cited_precision"] = len(cited & (required | acceptable)) / len(cited) if cited else 0.0
    scores["cited_recall"] = hit / len(required)
    if question.kind == "list":
        counted = cited - acceptable
        scores["list_precision"] = precision = hit / len(counted) if counted else 0.0
        scores["list_recall"] = hit / len(required)
        scores["list_f1"] = _f1(precision, hit / len(required))
        right = right and hit == len(required)
    said = any(holds(text, wrong) for wrong in question.must_not)
    scores["false_said"] = float(said) if question.must_not else None
    correct = right and not said
    partly = answer is not None and not correct and not said and any(nuggets)
    scores["correct"], scores["partly"] = float(correct), float(partly)
    scores["crag"] = CRAG(correct=correct, partly=partly, answered=answer is not None)
    return scores


def CRAG(*, correct: bool, partly: bool, answered: bool) -> float:  # noqa: N802 - a proper name
    """The score of one answer after CRAG: 1 perfect, 0.5 acceptable, 0 missing, -1 incorrect.

    Yang et al., CRAG: Comprehensive RAG Benchmark, 2024, arXiv:2406.04744, section 3. Here perfect
    is ``correct`` and acceptable is ``partly``; for an unanswerable question abstaining is perfect
    and answering is incorrect.
    """
    if correct:
        return 1.0
    if partly:
        return 0.5
    return -1.0 if answered else 0.0


# -- one ranking ------------------------------------------------------------------------------


def ranking_scores(
    ranked: Sequence[str], required: Sequence[str], acceptable: Sequence[str] = ()
) -> Scores:
    """Hit@1, R@5, R@10, R@100, RR and nDCG@10 of one ranking against the required papers.

    As trec_eval and ir-measures define them, with binary gain (Järvelin & Kekäläinen 2002 with the
    discount 1/log2(rank + 1)); a test holds them against ir-measures, which is no dependency since
    it brings scipy. Acceptable papers are taken out of the ranking first: they count neither for
    nor against.
    """
    wanted, neutral = set(required), set(acceptable)
    order = [paper for paper in dict.fromkeys(ranked) if paper not in neutral]
    gains = [paper in wanted for paper in order]
    if not wanted:
        return {}
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(len(wanted), 10) + 1))
    gained = sum(1 / math.log2(rank + 1) for rank, hit in enumerate(gains[:10], 1) if hit)
    return {
        "hit_at_1": float(any(gains[:1])),
        "recall_at_5": sum(gains[:5]) / len(wanted),
        "recall_at_10": sum(gains[:10]) / len(wanted),
        "recall_at_100": sum(gains[:100]) / len(wanted),
        "rr": next((1 / rank for rank, hit in enumerate(gains, 1) if hit), 0.0),
        "ndcg_at_10": gained / ideal,
    }


# -- a checker --------------------------------------------------------------------------------


def auroc(scores: Sequence[float] | Floats, labels: Sequence[bool] | NDArray[np.bool_]) -> float:
    """Probability that a backed claim scores higher than one that isn't; ties count half.

    The Mann-Whitney statistic. NaN when only one label is there.
    """
    values, truth = np.asarray(scores, float), np.asarray(labels, bool)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return math.nan
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def balanced_accuracy(
    said: Sequence[bool] | NDArray[np.bool_], labels: Sequence[bool] | NDArray[np.bool_]
) -> float:
    """Mean of the shares of right verdicts among backed claims and among the others."""
    verdicts, truth = np.asarray(said, bool), np.asarray(labels, bool)
    if truth.all() or not truth.any():
        return math.nan
    return float((verdicts[truth].mean() + (~verdicts[~truth]).mean()) / 2)


# -- many questions ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """The scores of one question, as far as a summary needs them."""

    kind: str
    cluster: str
    scores: Mapping[str, float | None]

    @property
    def answerable(self) -> bool:
        """Whether the papers hold the answer."""
        return self.kind not in ("near_miss", "off_topic")


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    n: int
    """Questions (for shares of citations, spans or answers: of those) that it was measured on."""

    def to_dict(self) -> Json:
        """The fields by name, to 4 decimals or digits; an interval that cannot be had is null."""
        return {
            "value": _rounded(self.value),
            "low": _rounded(self.low),
            "high": _rounded(self.high),
            "n": self.n,
        }


def _rounded(value: float) -> float | None:
    if math.isnan(value):
        return None
    # What an answer costs is often less than a thousandth.
    return round(value, 4) if abs(value) >= 0.1 else float(f"{value:.4g}")


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure over many questions: the sum of one number over the sum of another."""

    name: str
    title: str
    """For people."""
    parts: Callable[[Row], tuple[float, float] | None]
    """Numerator and denominator of one question; None where it does not apply."""
    better: str = "higher"
    """``higher`` or ``lower``, for the gate."""


def _mean(name: str, title: str, better: str = "higher") -> Measure:
    def parts(row: Row) -> tuple[float, float] | None:
        value = row.scores.get(name)
        return None if value is None else (value, 1.0)

    return Measure(name, title, parts, better)


def _share(
    name: str,
    title: str,
    score: str,
    of: Callable[[Row], bool],
    better: str = "higher",
) -> Measure:
    def parts(row: Row) -> tuple[float, float] | None:
        return (row.scores.get(score) or 0.0, 1.0) if of(row) else None

    return Measure(name, title, parts, better)


def _spans(row: Row) -> tuple[float, float] | None:
    count = row.scores.get("spans") or 0.0
    return (row.scores.get("spans_right") or 0.0, count) if count else None


def _is(row: Row, score: str) -> bool:
    return bool(row.scores.get(score))


def _right_abstention(row: Row) -> tuple[float, float] | None:
    return (float(not row.answerable), 1.0) if _is(row, "abstained") else None


MEASURES: tuple[Measure, ...] = (
    _mean("hit_at_1", "hit@1"),
    _mean("recall_at_5", "Recall@5"),
    _mean("recall_at_10", "Recall@10"),
    _mean("rr", "reciprocal rank"),
    _mean("ndcg_at_10", "nDCG@10"),
    _mean("nugget_recall", "nugget recall"),
    _mean("number", "number exact, with unit"),
    _mean("list_precision", "list precision"),
    _mean("list_recall", "list recall"),
    _mean("list_f1", "list F1"),
    _mean("cited_precision", "cited papers: precision"),
    _mean("cited_recall", "cited papers: recall"),
    _mean("citation_recall", "citation recall (ALCE)"),
    _mean("citation_precision", "citation precision (ALCE)"),
    _mean("citation_f1", "citation F1 (ALCE)"),
    Measure("span_exactness", "spans exact", _spans),
    # LitQA2 (Skarlinski et al. 2024, arXiv:2409.13740): accuracy is correct of all questions,
    # precision correct of those answered. Its questions all have an answer; here an unanswerable
    # one that is answered counts against precision.
    _share("accuracy", "accuracy (LitQA2)", "correct", lambda row: row.answerable),
    _share("precision", "precision (LitQA2)", "correct_answer", lambda row: _is(row, "answered")),
    _mean("crag", "CRAG score (-1 to 1)"),
    _mean("false_said", "must-not said", "lower"),
    _share("answered", "answerable answered", "answered", lambda row: row.answerable),
    _share("over_refusal", "answerable refused", "abstained", lambda row: row.answerable, "lower"),
    _share("abstained_near_miss", "near misses abstained", "abstained",
           lambda row: row.kind == "near_miss"),
    _share("abstained_off_topic", "off topic abstained", "abstained",
           lambda row: row.kind == "off_topic"),
    Measure("abstention_precision", "abstention precision", _right_abstention),
    _share("abstention_recall", "abstention recall", "abstained", lambda row: not row.answerable),
    _share("failed", "asking failed", "failed", lambda row: True, "lower"),
    _mean("words", "words an answer", "lower"),
    _mean("prompt_tokens", "prompt tokens a question", "lower"),
    _mean("completion_tokens", "completion tokens a question", "lower"),
    _mean("cost", "cost a question", "lower"),
)  # fmt: skip
"""Figures that are means or ratios of sums."""


def _was_answered(row: Row) -> bool:
    return _is(row, "answered")


def _was_timed(row: Row) -> bool:
    return row.scores.get("latency_ms") is not None


def _takes_risk(row: Row) -> bool:
    return row.answerable or _is(row, "answered")


def calibration_error(rows: Sequence[Row]) -> float:
    """Expected calibration error of the confidences of the answers given, 10 equal bins.

    Naeini et al. 2015 (AAAI), as used by Guo et al. 2017, arXiv:1706.04599: mean distance of
    confidence and share correct, bins weighted by their answers. NaN when nothing was answered.
    """
    pairs = [
        (row.scores["confidence"] or 0.0, row.scores.get("correct_answer") or 0.0)
        for row in rows
        if _is(row, "answered")
    ]
    if not pairs:
        return math.nan
    confidences, right = np.asarray(pairs, float).T
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    gaps = np.zeros(BINS)
    # Weighted by its answers, a bin's gap of means is the gap of sums.
    np.add.at(gaps, bins, confidences - right)
    return float(np.abs(gaps).sum() / len(pairs))


def aurc(rows: Sequence[Row]) -> float:
    """Area under the risk-coverage curve, 0 the best and 1 the worst.

    Geifman & El-Yaniv 2017, arXiv:1705.08500; as the mean risk over all coverages of
    ``risk_curve``. NaN when no question takes part.
    """
    risk = risk_curve(rows)
    return float(risk.mean()) if len(risk) else math.nan


def risk_curve(rows: Sequence[Row]) -> Floats:
    """The risk at each coverage, from the surest question alone to all of them; shape (n,).

    Questions are taken by falling confidence, the risk is the share not correct so far (ties in
    their expected order). Answerable questions without an answer come last and are not correct;
    unanswerable ones that were rightly not answered take no part. ``rows`` are ``completed``.
    """
    points = []
    for row in rows:
        if _is(row, "answered"):
            points.append((row.scores["confidence"] or 0.0, row.scores.get("correct_answer") or 0))
        elif _takes_risk(row):
            points.append((-1.0, 0.0))
    if not points:
        return np.zeros(0)
    confidences, right = np.asarray(points, float).T
    _, group = np.unique(-confidences, return_inverse=True)
    order = np.argsort(group, kind="stable")
    group, right = group[order], right[order]
    sizes = np.bincount(group)
    # Within a tie every order is as likely: each takes the mean of its group.
    even = (np.bincount(group, right) / sizes)[group]
    risk: Floats = 1 - np.cumsum(even) / np.arange(1, len(even) + 1)
    return risk


def _percentile(name: str, share: float) -> Callable[[Sequence[Row]], float]:
    def value(rows: Sequence[Row]) -> float:
        found = [one for row in rows if (one := row.scores.get(name)) is not None]
        return float(np.percentile(found, share)) if found else math.nan

    return value


@dataclass(frozen=True, slots=True)
class Whole:
    """A figure that is no mean: it needs all questions at once."""

    name: str
    title: str
    of: Callable[[Sequence[Row]], float]
    counts: Callable[[Row], bool]
    """Whether a question takes part."""
    better: str = "lower"


WHOLES: tuple[Whole, ...] = (
    Whole("calibration_error", "calibration error", calibration_error, _was_answered),
    Whole("aurc", "AURC", aurc, _takes_risk),
    Whole("median_words", "words an answer, median", _percentile("words", 50), _was_answered),
    Whole("latency_p50_ms", "latency p50, ms", _percentile("latency_ms", 50), _was_timed),
    Whole("latency_p95_ms", "latency p95, ms", _percentile("latency_ms", 95), _was_timed),
)

TITLES: Mapping[str, str] = {m.name: m.title for m in MEASURES} | {w.name: w.title for w in WHOLES}
BETTER: Mapping[str, str] = {m.name: m.better for m in MEASURES} | {
    w.name: w.better for w in WHOLES
}


def summarise(rows: Sequence[Row], *, resamples: int = RESAMPLES) -> dict[str, Figure]:
    """Every figure that applies, with a 95 % percentile bootstrap interval.

    Whole clusters (questions about the same paper) are drawn with replacement, ``resamples``
    times with a fixed seed, for questions on one paper succeed and fail together.
    """
    rows = completed(rows)
    names = list(dict.fromkeys(row.cluster for row in rows))
    if not names:
        return {}
    index = {name: at for at, name in enumerate(names)}
    cluster = np.asarray([index[row.cluster] for row in rows])
    draws = np.random.default_rng(SEED).integers(len(names), size=(resamples, len(names)))
    weights = np.stack([np.bincount(draw, minlength=len(names)) for draw in draws]).astype(float)
    figures: dict[str, Figure] = {}
    for measure in MEASURES:
        parts = [measure.parts(row) for row in rows]
        count = sum(part is not None for part in parts)
        if not count:
            continue
        table = np.asarray([part or (0.0, 0.0) for part in parts])
        top = np.bincount(cluster, table[:, 0], len(names))
        bottom = np.bincount(cluster, table[:, 1], len(names))
        with np.errstate(invalid="ignore"):
            samples = (weights @ top) / (weights @ bottom)
        n = int(bottom.sum()) if measure.name == "span_exactness" else count
        figures[measure.name] = _figure(float(top.sum() / bottom.sum()), samples, n)
    members = [np.flatnonzero(cluster == at) for at in range(len(names))]
    for whole in WHOLES:
        value = whole.of(rows)
        if math.isnan(value):
            continue
        samples = np.asarray(
            [whole.of([rows[at] for name in draw for at in members[name]]) for draw in draws[:200]]
        )
        figures[whole.name] = _figure(value, samples, sum(map(whole.counts, rows)))
    return figures


def completed(rows: Sequence[Row]) -> list[Row]:
    """The rows with the score ``correct_answer``, which precision and the curves are made of.

    Declining what cannot be answered is correct, and yet no correct answer.
    """
    return [
        Row(row.kind, row.cluster, {**row.scores, "correct_answer": _correct_answer(row)})
        for row in rows
    ]


def _correct_answer(row: Row) -> float:
    return (row.scores.get("correct") or 0.0) if _is(row, "answered") else 0.0


def _figure(value: float, samples: Floats, n: int) -> Figure:
    usable = samples[~np.isnan(samples)]
    low, high = np.percentile(usable, [2.5, 97.5]) if len(usable) else (math.nan, math.nan)
    return Figure(value, float(low), float(high), n)


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    clusters: Sequence[str],
    *,
    resamples: int = RESAMPLES,
) -> tuple[float, float]:
    """The 95 % interval of a statistic of row numbers, whole clusters drawn with replacement."""
    members: dict[str, list[int]] = {}
    for at, name in enumerate(clusters):
        members.setdefault(name, []).append(at)
    groups: list[Any] = [np.asarray(rows) for rows in members.values()]
    random = np.random.default_rng(SEED)
    samples = np.asarray(
        [
            statistic(np.concatenate([groups[at] for at in draw]))
            for draw in random.integers(len(groups), size=(resamples, len(groups)))
        ]
    )
    usable = samples[~np.isnan(samples)]
    if not len(usable):
        return math.nan, math.nan
    low, high = np.percentile(usable, [2.5, 97.5])
    return float(low), float(high)
