"""Make the checker's tables, fit its few parameters and measure it.

    python training/fit_checker.py --data DIR --table     background frequencies (CC0 abstracts)
    python training/fit_checker.py --data DIR --fit       parameters from development data
    python training/fit_checker.py --data DIR --report    figures on development data, as Markdown
    python training/fit_checker.py --data DIR --time      their last line alone
    python training/fit_checker.py --data DIR --test      WiCE test; run seldom, log each run

DIR holds scifact/, grounding/ and arxiv/ as training/CHECKER.md describes them. Seeds are fixed;
two runs print the same.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import hashlib
import json
import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from citewise.evaluation.measures import auroc
from citewise.grounding.checker import (
    PARAMETERS,
    Parameters,
    Reading,
    check,
    check_batch,
    evidence_score,
    read_pairs,
    score,
)
from citewise.grounding.overlap import plain, read_sentence, split_sentences

REPOSITORY = Path(__file__).resolve().parents[1]
TABLE = REPOSITORY / "src/citewise/data/background.tsv.gz"
STEMS, NAMES = 24_000, 14_000
SEED = 20250701

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pair:
    """A labelled claim with its evidence."""

    claim: str
    evidence: tuple[str, ...]
    label: bool
    context: str = ""


# ------------------------------------------------------------------------------------------- data


def records(path: Path) -> list[dict[str, object]]:
    """The objects of a JSONL file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


_CITE = re.compile(r"\(?\[?<\|[a-z_]{1,20}\|>\]?\)?")


def held_out(paper: str) -> bool:
    """Whether a paper's pairs are kept from the entailment model's training: one in twelve.

    ``paper`` is ``scifact:ID``, ``pubmedqa:ID`` or ``arxiv:ID``.
    """
    return hashlib.sha256(paper.encode()).digest()[0] % 12 == 0


def human_sets(data: Path) -> dict[str, list[Pair]]:
    """The development sets that parameters may be fitted on.

    Of SciFact's training claims only those about papers that the entailment model has not seen.
    """
    grounding = data / "grounding"
    return {
        "SciFact held out": [
            Pair(str(r["claim"]), (str(r["abstract"]),), r["label"] == "SUPPORT", str(r["title"]))
            for r in records(data / "scifact/pairs_train.jsonl")
            if held_out(f"scifact:{r['doc_id']}")
        ],
        "WiCE dev": [
            Pair(str(r["claim"]), (str(r["evidence_oracle"]),), r["label"] == "supported")
            for r in records(grounding / "wice-pairs_dev.jsonl")
        ],
        "AttributionBench dev": [
            Pair(
                str(r["claim"]),
                tuple(str(x) for x in r["references"]),  # type: ignore[attr-defined]
                r["attribution_label"] == "attributable",
            )
            for r in records(grounding / "attributionbench-dev.jsonl")
        ],
        "Citation-Integrity dev": [
            Pair(
                _CITE.sub("", str(r["claim"])),
                tuple(str(x) for x in r["evidence"]) or (str(r["text"]),),  # type: ignore[attr-defined]
                r["label"] == "SUPPORT",
            )
            for r in records(grounding / "citint-pairs_dev.jsonl")
        ],
    }


def probe_sets(data: Path) -> dict[str, list[Pair]]:
    """Sets without a say in calibration and thresholds: do these carry over?"""
    grounding = data / "grounding"
    climate = records(grounding / "climate_fever-pairs.jsonl")
    return {
        "HealthVer dev": [
            Pair(str(r["claim"]), (str(r["evidence"]),), r["label"] == "Supports")
            for r in records(grounding / "healthver-dev.jsonl")
        ],
        "Climate-FEVER": [
            Pair(str(r["claim"]), (str(r["evidence"]),), r["label"] == "SUPPORTS", str(r["title"]))
            for r in climate[::3]
        ],
        "CovidFact dev": [
            Pair(str(r["hypothesis"]), (str(r["premise"]),), r["label"] == "entailment")
            for r in records(grounding / "covidfact-RTE-covidfact_dev.jsonl")
        ],
        "RTE dev": [
            Pair(str(r["hypothesis"]), (str(r["premise"]),), r["label"] == "entailment")
            for r in records(grounding / "nli_small-rte_dev.jsonl")
        ],
    }


def wice_test(data: Path) -> list[Pair]:
    """WiCE test: for the final figure only."""
    return [
        Pair(str(r["claim"]), (str(r["evidence_oracle"]),), r["label"] == "supported")
        for r in records(data / "grounding/wice-pairs_test.jsonl")
    ]


def abstracts(data: Path) -> Iterator[dict[str, str]]:
    """The records of the CC0 arXiv set."""
    with gzip.open(data / "arxiv/papers-112k.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


# -------------------------------------------------------------------------------- seeded edits

_DIGITS = re.compile(r"(?<![\w.,-])\d+(?:\.\d+)?(?![\w-]*[A-Za-z]{2})")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][A-Za-z]*[A-Z][A-Za-z]*(?:-\d+)?\b")
_SWAPS = [
    ("increases", "decreases"), ("increase", "decrease"), ("increasing", "decreasing"),
    ("improves", "degrades"), ("improve", "degrade"), ("improving", "degrading"),
    ("improved", "degraded"), ("improvement", "degradation"), ("improvements", "degradations"),
    ("higher", "lower"), ("better", "worse"), ("faster", "slower"), ("more", "less"),
    ("outperforms", "underperforms"), ("outperform", "underperform"),
    ("outperforming", "underperforming"), ("larger", "smaller"), ("reduces", "increases"),
    ("reduce", "increase"), ("reducing", "increasing"), ("enhances", "weakens"),
    ("enhance", "weaken"), ("superior", "inferior"), ("efficient", "inefficient"),
    ("effective", "ineffective"), ("high", "low"), ("best", "worst"), ("strong", "weak"),
    ("surpasses", "falls behind"), ("accelerates", "slows down"), ("longer", "shorter"),
    ("positive", "negative"), ("significantly", "barely"),
]  # fmt: skip
_SWAP = dict(_SWAPS) | {b: a for a, b in _SWAPS if " " not in b and b != "barely"}
_SWAP_RE = re.compile(r"\b(" + "|".join(sorted(_SWAP, key=len, reverse=True)) + r")\b")
_NEGATE: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"\b(is|are|was|were|can|could|should|will|may|might|does|do|must)\b(?! not)"),
     r"\1 not"),
    (re.compile(r"\b(We|we|They|they) (propose|present|introduce|show|demonstrate|find|develop)\b"),
     r"\1 do not \2"),
    (re.compile(r"\b(achieve|improve|provide|require|allow|enable|reduce|show|suffer|remain)s\b"),
     r"does not \1"),
    (re.compile(r"\bwith\b"), "without"),
]  # fmt: skip
_UNNEGATE = re.compile(r"\b(is|are|was|were|can|could|should|will|may|does|do|did) not\b(?! only)")


def change_number(sentence: str, rng: random.Random) -> str | None:
    """Another value in place of one number."""
    found = list(_DIGITS.finditer(sentence))
    if not found:
        return None
    match = rng.choice(found)
    old = match.group()
    for _ in range(20):
        if "." in old:
            places = len(old.split(".")[1])
            new = f"{float(old) * rng.uniform(0.3, 2.5):.{places}f}"
        else:
            new = str(max(1, round(int(old) * rng.uniform(0.3, 2.5)) + rng.randint(-2, 2)))
        if float(new) != float(old):
            return sentence[: match.start()] + new + sentence[match.end() :]
    return None


def change_name(sentence: str, rng: random.Random, others: Sequence[str]) -> str | None:
    """The name of something else in place of a name."""
    found = list(_NAME.finditer(sentence))
    if not found:
        return None
    match = rng.choice(found)
    new = rng.choice(others)
    if new.lower() == match.group().lower():
        return None
    return sentence[: match.start()] + new + sentence[match.end() :]


def change_direction(sentence: str, rng: random.Random) -> str | None:
    """The opposite in place of one direction word."""
    found = list(_SWAP_RE.finditer(sentence))
    if not found:
        return None
    match = rng.choice(found)
    return sentence[: match.start()] + _SWAP[match.group()] + sentence[match.end() :]


def change_negation(sentence: str, rng: random.Random) -> str | None:
    """A negation put in, or one taken out."""
    taken = _UNNEGATE.search(sentence)
    if taken:
        return sentence[: taken.start()] + taken.group(1) + sentence[taken.end() :]
    options = [(rule, to) for rule, to in _NEGATE if rule.search(sentence)]
    if not options:
        return None
    rule, to = rng.choice(options[:3]) if len(options) > 1 else options[0]
    return rule.sub(to, sentence, count=1)


_REWORDINGS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r"^(?:In this (?:paper|work|study|article), )?[Ww]e (?=[a-z]+\b)"), "The authors "),
    (re.compile(r"^(?:This|The) (?:paper|work|study|article) (?=[a-z]+s\b)"), "{X} "),
    (re.compile(r"^(?:In this (?:paper|work|study|article)|To this end|"
                r"To address this(?: gap| issue)?|"
                r"Specifically|Moreover|Furthermore|However|Additionally|In addition|Finally|"
                r"Notably|Therefore|In particular), (?=\w)"), ""),
    (re.compile(r"\bour (?=[a-z])"), "their "),
    (re.compile(r"\bOur (?=[a-z])"), "The "),
]  # fmt: skip


def reword(sentence: str, title: str, rng: random.Random) -> str | None:
    """A light rewording that keeps the meaning."""
    short = title.split(":")[0] if ":" in title else "This paper"
    options = [(rule, to) for rule, to in _REWORDINGS if rule.search(sentence)]
    if not options:
        return None
    rule, to = rng.choice(options)
    new = rule.sub(lambda m: to.replace("{X}", short), sentence, count=1)
    return new[0].upper() + new[1:]


def seeded(data: Path, per_kind: int, *, offset: int, step: int) -> dict[str, list[Pair]]:
    """Pairs made by rule from real abstracts; the label says whether the claim still holds."""
    rng = random.Random(SEED + offset)
    papers = list(islice(abstracts(data), offset, None, step))
    pool: list[str] = []
    for paper in papers:
        pool += _NAME.findall(paper["text"])
    kinds: dict[str, list[Pair]] = {
        k: [] for k in ("verbatim", "reworded", "number", "name", "direction", "negation", "other")
    }
    for number, paper in enumerate(papers):
        text = paper["text"]
        sentences = [s for s in _plain_sentences(text) if 40 <= len(s) <= 350]
        if len(sentences) < 3:
            continue
        sentence = rng.choice(sentences)
        abstract = (text,)
        absent = [n for n in rng.sample(pool, 8) if n.lower() not in text.lower()] or ["XQuadNet"]
        other = papers[(number + 17) % len(papers)]
        strangers = [s for s in _plain_sentences(other["text"]) if 40 <= len(s) <= 350]
        made = {
            "verbatim": sentence,
            "number": change_number(sentence, rng),
            "name": change_name(sentence, rng, absent),
            "direction": change_direction(sentence, rng),
            "negation": change_negation(sentence, rng),
            "other": rng.choice(strangers) if strangers else None,
        }
        for kind, claim in made.items():
            if claim and len(kinds[kind]) < per_kind:
                kinds[kind].append(Pair(claim, abstract, kind == "verbatim"))
        claim = reword(sentence, paper["title"], rng)
        if claim and len(kinds["reworded"]) < per_kind:
            kinds["reworded"].append(Pair(claim, abstract, True, paper["title"]))
        if all(len(pairs) >= per_kind for pairs in kinds.values()):
            break
    return kinds


_CUT = re.compile(r"(?<=[.!?]) (?=[A-Z])")


def _plain_sentences(text: str) -> list[str]:
    """Sentences by a rule of its own, so that the checker's rule is not tested by itself."""
    return _CUT.split(" ".join(text.split()))


# --------------------------------------------------------------------------------- measurements


def balanced(predicted: NDArray[np.bool_], labels: NDArray[np.bool_]) -> float:
    """Mean of the shares of positives and of negatives that are recognised."""
    return float((predicted[labels].mean() + (~predicted[~labels]).mean()) / 2)


def interval(
    measure: Callable[[NDArray[np.int64]], float], n: int, rounds: int = 400
) -> tuple[float, float]:
    """95 % bootstrap interval of a measure of sampled row numbers."""
    rng = np.random.default_rng(SEED)
    values = []
    for _ in range(rounds):
        value = measure(rng.integers(0, n, n))
        if np.isfinite(value):
            values.append(value)
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


# ------------------------------------------------------------------------------------- fusion


@dataclass(frozen=True, slots=True)
class Measured:
    """A set of pairs, read once."""

    readings: tuple[Reading | None, ...]
    labels: NDArray[np.bool_]

    def scores(self, rule: Callable[[Reading], float]) -> Array:
        """A score a pair; 0 where the claim or the evidence has no words."""
        return np.array([0.0 if r is None else rule(r) for r in self.readings])

    def features(self) -> Array:
        """What a fitted fusion may use, each growing with support."""
        rows = []
        for r in self.readings:
            if r is None:
                rows.append([0.0] * 7)
                continue
            hard = {lock.kind for lock in r.broken if lock.hard}
            rows.append([
                r.overlap.pair, r.overlap.window, r.overlap.bigrams, -float("number" in hard),
                -float("name" in hard), -float(bool(hard & {"negation", "direction"})),
                -float(any(not lock.hard for lock in r.broken)),
            ])  # fmt: skip
        return np.array(rows, dtype=np.float64)


def measure(pairs: Sequence[Pair]) -> Measured:
    """Read every pair with the checker's own eyes."""
    return Measured(
        tuple(read_pairs([(p.claim, p.evidence, p.context) for p in pairs])),
        np.array([p.label for p in pairs]),
    )


def logistic(x: Array, y: NDArray[np.bool_], weights: Array, ridge: float = 1e-3) -> Array:
    """Weights (bias last) of a logistic regression whose slopes stay at 0 or above.

    Projected gradient steps; monotone by construction.
    """
    x1 = np.column_stack([x, np.ones(len(x))])
    w = np.zeros(x1.shape[1])
    share = weights / weights.sum()
    for _ in range(6000):
        p = 1 / (1 + np.exp(-np.clip(x1 @ w, -30, 30)))
        gradient = x1.T @ (share * (p - y)) + ridge * np.append(w[:-1], 0.0)
        w -= 1.5 * gradient
        w[:-1] = np.maximum(w[:-1], 0.0)
    return w


def _pooled(sets: dict[str, Measured]) -> tuple[NDArray[np.bool_], Array]:
    labels = np.concatenate([m.labels for m in sets.values()])
    weights = np.concatenate([np.full(len(m.labels), 1 / len(m.labels)) for m in sets.values()])
    return labels, weights


def platt(scores: Array, labels: NDArray[np.bool_], weights: Array) -> tuple[float, float]:
    """Slope and intercept of a logistic on one score (Platt 1999)."""
    slope, intercept = logistic(scores[:, None], labels, weights, ridge=0.0)
    return float(slope), float(intercept)


def learned_out_of_set(sets: dict[str, Measured], name: str) -> Array:
    """Scores of a fitted fusion on a set it has not seen (fitted on the other ones)."""
    others = {n: m for n, m in sets.items() if n != name}
    labels, weights = _pooled(others)
    w = logistic(np.concatenate([m.features() for m in others.values()]), labels, weights)
    scores: Array = sets[name].features() @ w[:-1] + w[-1]
    return scores


def fit(data: Path) -> Parameters:
    """Calibration and thresholds from the human development sets, each counting the same.

    Citation-Integrity is left out: its labels reward what is absent from the evidence given.
    """
    sets = {n: measure(p) for n, p in human_sets(data).items() if "Integrity" not in n}
    labels, weights = _pooled(sets)
    scores = np.concatenate([m.scores(evidence_score) for m in sets.values()])
    slope, intercept = platt(scores, labels, weights)
    fitted = replace(PARAMETERS, slope=round(slope, 2), intercept=round(intercept, 2))
    cuts = np.linspace(0.2, 0.8, 61)
    quality = [
        np.mean([
            balanced(verdicts(m, replace(fitted, supported=float(cut))), m.labels)
            for m in sets.values()
        ])
        for cut in cuts
    ]  # fmt: skip
    best = float(cuts[int(np.argmax(quality))])
    return replace(fitted, supported=round(best, 2), partly=round(best * 0.55, 2))


def verdicts(measured: Measured, parameters: Parameters = PARAMETERS) -> NDArray[np.bool_]:
    """Which pairs the checker calls supported."""
    return np.array([
        r is not None and score(r, parameters) >= parameters.supported
        and not any(lock.hard for lock in r.broken)
        for r in measured.readings
    ])  # fmt: skip


# -------------------------------------------------------------------------------------- report


def _with_interval(
    scores: Array, labels: NDArray[np.bool_], predicted: NDArray[np.bool_]
) -> tuple[str, str]:
    n = len(labels)
    low, high = interval(lambda rows: auroc(scores[rows], labels[rows]), n)
    area = f"{auroc(scores, labels):.3f} [{low:.3f}, {high:.3f}]"
    low, high = interval(lambda rows: balanced(predicted[rows], labels[rows]), n)
    return area, f"{balanced(predicted, labels):.3f} [{low:.3f}, {high:.3f}]"


def calibration_error(probabilities: Array, labels: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error over equal-width bins."""
    which = np.minimum((probabilities * bins).astype(int), bins - 1)
    error = 0.0
    for b in range(bins):
        inside = which == b
        if inside.any():
            error += inside.mean() * abs(probabilities[inside].mean() - labels[inside].mean())
    return float(error)


def baseline(reading: Reading) -> float:
    """Plain word overlap: the share of the claim's content words anywhere in the evidence."""
    return reading.overlap.plain


def table_of(sets: dict[str, Measured], cut: float) -> list[str]:
    """One row a set: word overlap beside the checker."""
    lines = [
        "| set | n | supported | overlap AUROC | checker AUROC | overlap bal. acc. | "
        "checker bal. acc. | ECE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, m in sets.items():
        plain_scores = m.scores(baseline)
        a0, b0 = _with_interval(plain_scores, m.labels, plain_scores >= cut)
        probabilities = m.scores(score)
        a1, b1 = _with_interval(probabilities, m.labels, verdicts(m))
        error = calibration_error(probabilities, m.labels)
        lines.append(
            f"| {name} | {len(m.labels)} | {m.labels.mean():.2f} | {a0} | {a1} | {b0} | {b1} | "
            f"{error:.2f} |"
        )
    return lines


def overlap_cut(sets: dict[str, Measured]) -> float:
    """The threshold of plain overlap, chosen on the same development sets as the checker's."""
    sets = {n: m for n, m in sets.items() if "Integrity" not in n}
    cuts = np.linspace(0.2, 1.0, 81)
    return float(
        max(
            cuts,
            key=lambda c: float(
                np.mean([balanced(m.scores(baseline) >= c, m.labels) for m in sets.values()])
            ),
        )
    )


def report(data: Path, per_kind: int = 600) -> str:
    """All development figures, as Markdown."""
    human = {n: measure(p) for n, p in human_sets(data).items()}
    probes = {n: measure(p) for n, p in probe_sets(data).items()}
    cut = overlap_cut(human)
    lines = ["Development sets (calibration and thresholds come from the first three):", ""]
    lines += table_of(human, cut)
    lines += [
        "",
        "Probes (neither calibration nor thresholds come from these):",
        "",
        *table_of(probes, cut),
        "",
    ]
    lines += ["Fusion, AUROC on a set that the fitted weights have not seen:", "",
              "| set | product, nothing fitted (used) | fitted on the other sets |",
              "|---|---|---|"]  # fmt: skip
    for name, m in human.items():
        learned = auroc(learned_out_of_set(human, name), m.labels)
        lines.append(
            f"| {name} | {auroc(m.scores(evidence_score), m.labels):.3f} | {learned:.3f} |"
        )
    for name, m in probes.items():
        learned = auroc(learned_out_of_set({**human, name: m}, name), m.labels)
        lines.append(
            f"| {name} | {auroc(m.scores(evidence_score), m.labels):.3f} | {learned:.3f} |"
        )
    lines += ["", "Sentences of arXiv abstracts against their abstract:", "",
              "| made by rule | n | called supported | wanted | plain overlap |",
              "|---|---|---|---|---|"]  # fmt: skip
    for kind, pairs in seeded(data, per_kind, offset=3, step=23).items():
        results = [check(p.claim, p.evidence, context=p.context) for p in pairs]
        share = np.mean([r.supported for r in results])
        easy = np.mean(measure(pairs).scores(baseline) >= cut)
        wanted = {"verbatim": "100 %", "reworded": ">= 97 %", "direction": "<= 10 %",
                  "negation": "<= 10 %"}.get(kind, "<= 5 %")  # fmt: skip
        lines.append(f"| {kind} | {len(pairs)} | {share:.1%} | {wanted} | {easy:.1%} |")
    return "\n".join([*lines, "", times(data)])


def times(data: Path, count: int = 240, together: int = 8) -> str:
    """What checks take: claims of SciFact against abstracts that are read for the first time."""
    rows = records(data / "scifact/pairs_train.jsonl")
    pairs = [(str(row["claim"]), [str(row["abstract"])], str(row["title"])) for row in rows]
    each_its_own, alone, of_one = (pairs[at * count : (at + 1) * count] for at in range(3))
    of_one = [(claim, *of_one[at - at % together][1:]) for at, (claim, *_) in enumerate(of_one)]
    check_batch(pairs[-1:])

    def p50(some: Sequence[tuple[str, list[str], str]], size: int) -> float:
        taken: list[float] = []
        for at in range(0, len(some), size):
            begun = time.perf_counter()
            check_batch(some[at : at + size])
            taken.append((time.perf_counter() - begun) / size * 1000)
        return statistics.median(taken)

    return (
        f"Time: p50 {p50(of_one, together):.1f} ms a claim of {together} that are checked against "
        f"one abstract, {p50(each_its_own, together):.1f} ms of {together} against one each, "
        f"{p50(alone, 1):.1f} ms a single one ({count} claims of SciFact each)."
    )


# --------------------------------------------------------------------------------------- tables


def make_table(data: Path, every: int = 2) -> None:
    """Count in how many abstracts each stem occurs and which words are written with a capital."""
    frequency: collections.Counter[str] = collections.Counter()
    capital: collections.Counter[str] = collections.Counter()
    middle: collections.Counter[str] = collections.Counter()
    documents = 0
    for number, record in enumerate(abstracts(data)):
        if number % every:
            continue
        documents += 1
        seen: set[str] = set()
        for piece in split_sentences(plain(record["text"])):
            for sentence in read_sentence(piece):
                for place, token in enumerate(sentence.tokens):
                    if place and token.text.isalpha() and len(token.text) > 2:
                        middle[token.lower] += 1
                        capital[token.lower] += token.text[0].isupper()
                seen.update(term.stem for term in sentence.terms)
        frequency.update(seen)
    lines = [f"documents\t{documents}"]
    stems = [s for s, n in frequency.most_common(STEMS) if n >= 4]
    lines += [f"{s}\t{frequency[s]}" for s in sorted(stems)]
    names = [w for w, n in middle.most_common() if n >= 5 and capital[w] >= 0.8 * n][:NAMES]
    lines += [f"{w}\tN" for w in sorted(names)]
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    print(f"{documents} abstracts, {len(stems)} stems, {len(names)} names", file=sys.stderr)


def main() -> None:
    """Parse the arguments and do what they ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    for option in ("--table", "--fit", "--report", "--time", "--test"):
        what.add_argument(option, action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        make_table(arguments.data)
    elif arguments.fit:
        print(json.dumps(asdict(fit(arguments.data)), indent=1))
    elif arguments.report:
        print(report(arguments.data))
    elif arguments.time:
        print(times(arguments.data))
    else:
        cut = overlap_cut({n: measure(p) for n, p in human_sets(arguments.data).items()})
        print("\n".join(table_of({"WiCE test": measure(wice_test(arguments.data))}, cut)))


if __name__ == "__main__":
    main()
