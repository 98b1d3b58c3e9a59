"""Whether a claim is backed by the words it cites: overlap, locks and two models, fused.

What is measured is how many of the claim's words the cited words hold, rare ones counting most;
whether each number, name, negation and direction is held (``citewise.grounding.locks``); what a
small cross-encoder makes of the two texts (``citewise.grounding.entailment``); and how alike they
are to the sentence encoder (``citewise.grounding.likeness``). A claim that stands word for word in
the cited words needs no model. The fusion has round weights chosen by hand; only its calibration
and thresholds are fitted (``training/fit_checker.py``, ``training/CHECKER.md``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from citewise.grounding.entailment import Entailment, entailment_model, nearest_sentences
from citewise.grounding.likeness import likeness
from citewise.grounding.locks import Broken, check_locks, has_cue
from citewise.grounding.overlap import Overlap, SentenceText, overlap, plain, read
from citewise.models.loading import side_by_side
from citewise.types import Support, Verdict
from citewise.variants import american

LONGEST_CLAIM = 20_000
"""Characters; what is longer is no single claim, and is supported only where it is copied."""
EVIDENCE_CHARACTERS = 500
"""What the models read of longer evidence beside a claim: AUROC on the development sets is .004
lower on average than with the 800 of the cross-encoder's training, in two thirds of the time."""
MOST_SENTENCES = 6
"""A claim of more sentences is shown to the model as one text."""
PLAIN_CLAIM = 15
"""Words up to which a sentence of one clause says one thing."""
CONTRADICTED = 0.55
"""Probability of a contradiction from which people are told of it, of a claim of one thing."""
CONTRADICTED_JOINED = 0.9
"""The same of other claims: where several facts are joined the model sees one too soon."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What was fitted or chosen on development data; see training/CHECKER.md."""

    slope: float = 6.46
    intercept: float = -3.58
    """The logistic that turns the score into a probability (Platt 1999)."""
    bigrams: float = 0.5
    """Weight of neighbouring words beside the single ones; chosen, not fitted."""
    learned: float = 0.3
    """Weight of the learned score beside the overlap; chosen, not fitted."""
    learned_plain: float = 0.8
    """The same for a claim that says one thing: near copies with one word too many fool overlap,
    and the model, which seldom finds several facts together, judges those best."""
    alike: float = 0.4
    """Weight of the encoder's cosine beside the overlap; chosen, not fitted."""
    apart: float = 0.3
    near: float = 0.6
    """Cosines that count as 0 and as 1, those between in proportion: of words on the very matter a
    higher cosine says no more, and a claim that joins several facts has a lower one."""
    hard: float = 0.5
    """Factor for a broken hard lock; chosen, not fitted."""
    more: float = 0.9
    """Factor for each further hard lock, up to three."""
    soft: float = 0.8
    """Factor for each doubt, up to two."""
    denied: float = 0.93
    opposite: float = 0.5
    """Factor on the score where the model gives this or more to the words saying the opposite:
    sides that were swapped, a 'none' in the place of 'all'."""
    copied: float = 0.3
    """Factor on the probability when a near copy of the cited words breaks a hard lock: such a
    claim was changed, not reworded."""
    supported: float = 0.51
    """Least probability of the verdict ``supported``."""
    partly: float = 0.31
    """Least probability of the verdict ``partly``."""
    verbatim: float = 0.99
    """Probability of a claim that stands word for word in the cited words."""


PARAMETERS = Parameters()


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that was measured of one claim and its evidence."""

    overlap: Overlap
    broken: tuple[Broken, ...]
    verbatim: bool
    claim: tuple[str, ...] = ()
    """Its sentences, as plain text."""
    learned: Entailment | None = None
    """What the cross-encoder makes of its weakest sentence; None where it was not asked."""
    alike: float | None = None
    """The claim's cosine with the nearest cited sentence, 0 to 1; None where it was not asked."""


_CLAUSE = re.compile(r"[,;:]\s|\b(?:and|but|while|whereas|which|who)\b", re.IGNORECASE)
_EDGES = " .!?;:,\"'()[]"
_LIST_MARK = re.compile(r"\s*(?:[-*•]|\(?\d{1,2}[.)])\s+(?=\S)")
_DENIAL = re.compile(r"\b(?:not|never|no|hardly|n't)\b[^,;:.]{0,40} that $")
_WORD = re.compile(r"\w")


def _verbatim(claim: Sequence[SentenceText], evidence: Sequence[str]) -> bool:
    """Whether each sentence of the claim stands word for word in the evidence.

    A part of a sentence does not count where a negation stands before it ('it is not true that').
    """
    lines = [f" {plain(text).lower()} " for text in evidence]
    whole = " ".join(sentence.text for sentence in claim).lower().strip(_EDGES)
    if whole and any(_stands(whole, line) for line in lines):
        return True
    for sentence in claim:
        words = sentence.text.lower().strip(_EDGES)
        if not words or not any(_stands(words, line) for line in lines):
            return False
    return bool(claim)


def _denied(claim: Sequence[SentenceText], evidence: Sequence[str]) -> list[Broken]:
    """A claim that stands in the evidence only after 'it is not true that'."""
    lines = [f" {plain(text).lower()} " for text in evidence]
    for sentence in claim:
        words = sentence.text.lower().strip(_EDGES)
        for line in lines:
            at = line.find(words) if words else -1
            if at > 0 and _DENIAL.search(line, max(0, at - 60), at):
                return [Broken("negation", "the cited words deny what the claim says", True)]
    return []


def _stands(words: str, line: str) -> bool:
    at = line.find(words)
    tries = 0
    while at >= 0 and tries < 50:
        before, after = line[at - 1], line[at + len(words)]
        follower = line[at + len(words) + 1 : at + len(words) + 2]
        # '5' does not stand in '5.4' or '5%', nor 'GPT' in 'GPT-4'.
        glued = _WORD.match(after) or after == "%" or (after in ".,-/" and _WORD.match(follower))
        earlier = line[max(0, at - 2) : at - 1]
        glued = glued or _WORD.match(before) or (before in ".,-/" and _WORD.match(earlier))
        if not glued:
            first = max(0, at - 90)
            start = max(line.rfind(". ", first, at), line.rfind("; ", first, at), first)
            if not has_cue(line[start:at]):
                return True
        at = line.find(words, at + 1)
        tries += 1
    return False


def read_pair(claim: str, evidence: Sequence[str], context: str = "") -> Reading | None:
    """Measure a claim against evidence, without the model; ``None`` when one has no words."""
    claim = _LIST_MARK.sub("", claim, count=1) if _LIST_MARK.match(claim) else claim
    texts = sorted({text for text in evidence if text.strip()})
    ours = [s for s in read(claim) if s.tokens] if len(claim) <= LONGEST_CLAIM else []
    theirs = [[s for s in read(text) if s.tokens] for text in texts]
    if not ours or not any(theirs):
        return None
    given = read(context) if context else ()
    held = overlap(ours, theirs, given)
    said = tuple(sentence.text for sentence in ours)
    if _verbatim(ours, texts):
        return Reading(held, (), True, said)
    everything = [s for element in theirs for s in element]
    broken = check_locks(ours, everything, aligned=held.aligned, best=held.best, context=given)
    broken += _denied(ours, texts)
    return Reading(held, tuple(broken), False, said)


def read_pairs(pairs: Sequence[tuple[str, Sequence[str], str]]) -> list[Reading | None]:
    """``read_pair`` for many ``(claim, evidence, context)``, and the models' views, in one go.

    A claim of several sentences is as good as its weakest one. British and American spellings are
    the same.
    """
    pairs = [
        (american(claim), [american(text) for text in evidence], american(context))
        for claim, evidence, context in pairs
    ]
    readings = [read_pair(*pair) for pair in pairs]
    asked: list[tuple[str, str]] = []
    places: list[int] = []
    whole: dict[int, tuple[str, str]] = {}
    for at, (reading, (_, evidence, _)) in enumerate(zip(readings, pairs, strict=True)):
        if reading is None or reading.verbatim:
            continue
        # Sorted, so that the order in which texts are cited does not matter.
        cited = sorted(set(evidence))
        claim = " ".join(reading.claim)
        parts = reading.claim if len(reading.claim) <= MOST_SENTENCES else (claim,)
        # Most claims are one sentence, and that is looked for once.
        nearest = {
            text: nearest_sentences(text, cited, EVIDENCE_CHARACTERS) for text in {claim, *parts}
        }
        whole[at] = (claim, nearest[claim])
        asked += [(part, nearest[part]) for part in parts]
        places += [at] * len(parts)
    if not asked:
        return readings

    def ask(judge: bool) -> tuple[list[Entailment], list[float]]:
        if judge:
            return entailment_model().read(asked), []
        return [], likeness(list(whole.values()))

    # Both models at once: of a single claim each makes but one or two passes. This thread judges,
    # and another that is done with the likeness helps it.
    (_, likenesses), (found, _) = side_by_side(ask, (False, True))
    for at, one in zip(places, found, strict=True):
        reading = readings[at]
        assert reading is not None
        other = reading.learned
        if other is None or one.supported < other.supported:
            readings[at] = replace(reading, learned=one)
    for at, alike in zip(whole, likenesses, strict=True):
        reading = readings[at]
        assert reading is not None
        readings[at] = replace(reading, alike=alike)
    return readings


def score(reading: Reading, parameters: Parameters = PARAMETERS) -> float:
    """The calibrated probability that the claim is backed, 0 to 1."""
    if reading.verbatim:
        return parameters.verbatim
    z = parameters.slope * evidence_score(reading, parameters) + parameters.intercept
    probability = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, z))))
    near_copy = reading.overlap.pair >= 0.8 and reading.overlap.bigrams >= 0.5
    if near_copy and any(lock.hard for lock in reading.broken):
        probability *= parameters.copied
    return probability


def evidence_score(reading: Reading, parameters: Parameters = PARAMETERS) -> float:
    """Overlap and the models' scores, 0 to 1, cut down for what is not held; not calibrated."""
    o = reading.overlap
    held = o.pair + o.window + o.sentence + parameters.bigrams * o.bigrams
    value = held / (3.0 + parameters.bigrams)
    hard = sum(1 for lock in reading.broken if lock.hard)
    soft = len(reading.broken) - hard
    if hard:
        value *= parameters.hard * parameters.more ** min(hard - 1, 3)
    value *= parameters.soft ** min(soft, 2)
    # The locks cut the overlap alone: on claims in other words they are often broken in vain, and
    # a broken hard lock never lets a claim be called supported anyway.
    weight = 1.0
    if reading.learned is not None:
        plain_claim = _says_one_thing(reading.claim)
        learned = parameters.learned_plain if plain_claim else parameters.learned
        value += learned * reading.learned.supported
        weight += learned
    if reading.alike is not None:
        nearness = (reading.alike - parameters.apart) / (parameters.near - parameters.apart)
        value += parameters.alike * min(1.0, max(0.0, nearness))
        weight += parameters.alike
    value /= weight
    if reading.learned is not None and reading.learned.contradicted >= parameters.denied:
        value *= parameters.opposite
    return value


def _says_one_thing(sentences: Sequence[str]) -> bool:
    text = " ".join(sentences)
    short = len(sentences) == 1 and len(text.split()) <= PLAIN_CLAIM
    return short and not _CLAUSE.search(text)


def _reasons(reading: Reading, verdict: Verdict) -> tuple[str, ...]:
    if verdict is Verdict.SUPPORTED:
        return ()
    reasons = [lock.reason for lock in reading.broken][:6]
    missing = reading.overlap.missing[:4]
    if missing and (not reasons or reading.overlap.whole < 0.6):
        reasons.append("the cited words do not mention " + ", ".join(missing))
    told = CONTRADICTED if _says_one_thing(reading.claim) else CONTRADICTED_JOINED
    if reading.learned is not None and reading.learned.contradicted >= told:
        reasons.append("the cited words seem to say the opposite")
    if not reasons:
        reasons.append("the cited words hold the claim's words, but nowhere together")
    return tuple(reasons)


def _judge(reading: Reading, parameters: Parameters = PARAMETERS) -> Support:
    probability = score(reading, parameters)
    hard = any(lock.hard for lock in reading.broken)
    if probability >= parameters.supported and not hard:
        verdict = Verdict.SUPPORTED
    elif probability >= parameters.partly:
        verdict = Verdict.PARTLY
    else:
        verdict = Verdict.UNSUPPORTED
    return Support(probability, verdict, _reasons(reading, verdict))


def check(claim: str, evidence: str | Sequence[str], *, context: str = "") -> Support:
    """Whether ``evidence`` backs ``claim``, with the reasons against it.

    ``evidence`` is the cited text or several of them, in any order. ``context`` may hold more names
    and numbers, such as the title of the cited paper. Never raises on any text; ModelFileError when
    the installed model is damaged.
    """
    return check_batch([(claim, evidence, context)])[0]


def check_batch(
    pairs: Iterable[tuple[str, str | Sequence[str]] | tuple[str, str | Sequence[str], str]],
) -> list[Support]:
    """``check`` for many ``(claim, evidence)`` or ``(claim, evidence, context)``, in order.

    Quicker than one by one, for the model reads them together.
    """
    given = [
        (
            pair[0],
            [pair[1]] if isinstance(pair[1], str) else list(pair[1]),
            pair[2] if len(pair) > 2 else "",
        )
        for pair in pairs
    ]
    results = [_without_reading(claim, texts) for claim, texts, _ in given]
    open_ = [at for at, result in enumerate(results) if result is None]
    for at, reading in zip(open_, read_pairs([given[at] for at in open_]), strict=True):
        claim, texts, _ = given[at]
        results[at] = _judge(reading) if reading else _wordless(claim, texts)
    return [result for result in results if result is not None]


def _without_reading(claim: str, texts: Sequence[str]) -> Support | None:
    """The verdict on what is not worth reading; None for everything else."""
    if not any(text.strip() for text in texts):
        return Support(0.0, Verdict.UNSUPPORTED, ("no words are cited",))
    if len(claim) <= LONGEST_CLAIM:
        return None
    if any(" ".join(claim.split()) in " ".join(text.split()) for text in texts):
        return Support(PARAMETERS.verbatim, Verdict.SUPPORTED)
    reason = f"the claim has {len(claim)} characters; check its sentences one by one"
    return Support(0.0, Verdict.UNSUPPORTED, (reason,))


def _wordless(claim: str, texts: Sequence[str]) -> Support:
    """The verdict where claim or evidence has no words ('42%' has one, '?!' has none)."""
    if claim.strip() and any(claim.strip() in text for text in texts):
        return Support(PARAMETERS.verbatim, Verdict.SUPPORTED)
    which = "claim" if not any(s.tokens for s in read(claim)) else "cited text"
    return Support(0.0, Verdict.UNSUPPORTED, (f"the {which} has no words",))
