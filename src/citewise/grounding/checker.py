"""Whether a claim is backed by the words it cites: overlap and locks fused to one probability.

No model is needed: what is measured is how many of the claim's words the cited words hold, rare
ones counting most, and whether each number, name, negation and direction is held
(``citewise.grounding.locks``). The fusion is a product without fitted weights; only its calibration
and thresholds come from data (``training/fit_checker.py``, ``training/CHECKER.md``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from citewise.grounding.locks import Broken, check_locks, has_cue
from citewise.grounding.overlap import Overlap, SentenceText, overlap, plain, read
from citewise.types import Support, Verdict

LONGEST_CLAIM = 20_000
"""Characters; what is longer is no single claim, and is supported only where it is copied."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What was fitted or chosen on development data; see training/CHECKER.md."""

    slope: float = 4.82
    intercept: float = -2.61
    """The logistic that turns the score into a probability (Platt 1999)."""
    bigrams: float = 0.5
    """Weight of neighbouring words beside the single ones; chosen, not fitted."""
    hard: float = 0.5
    """Factor for a broken hard lock; chosen, not fitted."""
    more: float = 0.9
    """Factor for each further hard lock, up to three."""
    soft: float = 0.8
    """Factor for each doubt, up to two."""
    copied: float = 0.3
    """Factor on the probability when a near copy of the cited words breaks a hard lock: such a
    claim was changed, not reworded."""
    supported: float = 0.38
    """Least probability of the verdict ``supported``."""
    partly: float = 0.21
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
    """Measure a claim against evidence; ``None`` when one of them has no words."""
    claim = _LIST_MARK.sub("", claim, count=1) if _LIST_MARK.match(claim) else claim
    texts = sorted({text for text in evidence if text.strip()})
    ours = [s for s in read(claim) if s.tokens] if len(claim) <= LONGEST_CLAIM else []
    theirs = [[s for s in read(text) if s.tokens] for text in texts]
    if not ours or not any(theirs):
        return None
    given = read(context) if context else ()
    held = overlap(ours, theirs, given)
    if _verbatim(ours, texts):
        return Reading(held, (), True)
    everything = [s for element in theirs for s in element]
    broken = check_locks(ours, everything, aligned=held.aligned, best=held.best, context=given)
    broken += _denied(ours, texts)
    return Reading(held, tuple(broken), False)


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
    """Overlap, 0 to 1, cut down by a factor for what is not held; before calibration."""
    o = reading.overlap
    held = o.pair + o.window + o.sentence + parameters.bigrams * o.bigrams
    value = held / (3.0 + parameters.bigrams)
    hard = sum(1 for lock in reading.broken if lock.hard)
    soft = len(reading.broken) - hard
    if hard:
        value *= parameters.hard * parameters.more ** min(hard - 1, 3)
    return value * parameters.soft ** min(soft, 2)


def _reasons(reading: Reading, verdict: Verdict) -> tuple[str, ...]:
    if verdict is Verdict.SUPPORTED:
        return ()
    reasons = [lock.reason for lock in reading.broken][:6]
    missing = reading.overlap.missing[:4]
    if missing and (not reasons or reading.overlap.whole < 0.6):
        reasons.append("the cited words do not mention " + ", ".join(missing))
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
    and numbers, such as the title of the cited paper. Never raises on any text.
    """
    texts = [evidence] if isinstance(evidence, str) else list(evidence)
    if not any(text.strip() for text in texts):
        return Support(0.0, Verdict.UNSUPPORTED, ("no words are cited",))
    if len(claim) > LONGEST_CLAIM:
        if any(" ".join(claim.split()) in " ".join(text.split()) for text in texts):
            return Support(PARAMETERS.verbatim, Verdict.SUPPORTED)
        reason = f"the claim has {len(claim)} characters; check its sentences one by one"
        return Support(0.0, Verdict.UNSUPPORTED, (reason,))
    reading = read_pair(claim, texts, context)
    if reading is None:
        if claim.strip() and any(claim.strip() in text for text in texts):
            return Support(PARAMETERS.verbatim, Verdict.SUPPORTED)
        which = "claim" if not any(s.tokens for s in read(claim)) else "cited text"
        return Support(0.0, Verdict.UNSUPPORTED, (f"the {which} has no words",))
    return _judge(reading)


def check_batch(
    pairs: Iterable[tuple[str, str | Sequence[str]] | tuple[str, str | Sequence[str], str]],
) -> list[Support]:
    """``check`` for many ``(claim, evidence)`` or ``(claim, evidence, context)``, in order."""
    return [check(pair[0], pair[1], context=pair[2] if len(pair) > 2 else "") for pair in pairs]
