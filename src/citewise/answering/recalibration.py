"""How sure an answer must be in this library, learnt from its own papers without labels.

In a library of one narrow field, or of very many papers, everything comes near a question: what
misses the point there looks like what answers it among the sample papers. So questions are made of
sentences of the library's own papers, and each is looked at twice: with its paper, and as if that
were not there. The sample papers have the log-odds halfway between the two at OF_THE_SAMPLE; by as
much as they lie elsewhere, a library asks for more or less. training/ABSTENTION.md has the figures.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from citewise.answering.assistant import Assistant
from citewise.answering.evidence import select_evidence
from citewise.grounding.abstention import RULE, log_odds
from citewise.library.filling import OnProgress, Progress
from citewise.library.library import Calibration, Library
from citewise.types import Paper

OF_THE_SAMPLE = -1.49
"""Log-odds halfway between the sample papers' own questions with and without their papers: what
``halfway`` gives for them."""
FEWEST_PAPERS = 50
"""Of fewer there are too few questions to learn from."""
_QUESTIONS = 40
_SEED = 1
_GROWN = 1.25
"""Times the papers that it was learnt from, more or fewer, after which it is learnt anew."""
_LEAST, _MOST = -1.0, 2.0
"""Bounds of what is learnt, in log-odds: ten libraries came to between 0 and 1.9."""
_WORDS = 5
"""Of a sentence, its rarest, of which a question is made."""
_FEWEST_WORDS, _MOST_WORDS = 8, 60
"""Of a sentence that a question is made of."""
_EVIDENCE, _PER_PAPER = 24, 6


def recalibrate(
    library: Library,
    stopped: Callable[[], bool] = lambda: False,
    *,
    on_progress: OnProgress | None = None,
) -> None:
    """Learn how much surer than among the sample papers an answer must be here, and keep it.

    Some five seconds; none where the library has fewer than FEWEST_PAPERS papers, waits to be
    embedded, or is still much as it was the last time. Nothing is kept once ``stopped``.
    """
    papers, known = len(library), library.calibration
    still_good = (
        known is not None
        and known.rule == RULE
        and papers / _GROWN <= known.papers <= papers * _GROWN
    )
    if still_good or papers < FEWEST_PAPERS or library.waiting():
        return
    middle = halfway(library, stopped, on_progress=on_progress)
    if stopped():
        return
    more = 0.0 if middle is None else min(_MOST, max(_LEAST, middle - OF_THE_SAMPLE))
    # No -0.0, which would look odd where it is kept.
    library.calibrate(Calibration(round(more, 1) + 0.0, papers, RULE))


def halfway(
    library: Library,
    stopped: Callable[[], bool] = lambda: False,
    *,
    on_progress: OnProgress | None = None,
) -> float | None:
    """Log-odds halfway between a library's own questions with and without their papers.

    None where no question can be made, or once ``stopped``.
    """
    questions = own_questions(library)
    assistant = Assistant(library)
    found: list[float] = []
    for done, (paper, question) in enumerate(questions):
        if stopped():
            return None
        if on_progress is not None:
            on_progress(Progress("calibrating on", done, len(questions)))
        gathered = assistant.gather(question)
        others = [hit for hit in gathered.hits if hit.paper.id != paper.id]
        without = select_evidence(
            gathered.question,
            [replace(hit, rank=rank) for rank, hit in enumerate(others, 1)],
            library,
            most=_EVIDENCE,
            most_per_paper=_PER_PAPER,
        )
        found += [log_odds(gathered.selection.features), log_odds(without.features)]
    return float(np.mean(found)) if found else None


def own_questions(library: Library) -> list[tuple[Paper, str]]:
    """Papers drawn at random, each with a question of the rarest words of one of its sentences."""
    rng = random.Random(_SEED)
    papers = sorted(library.sample(_QUESTIONS, _SEED), key=lambda paper: paper.id)
    rows = library.sentences([paper.id for paper in papers])
    made = []
    for paper in papers:
        sentences = [paper.abstract[start:end] for start, end in rows[paper.id].spans]
        fit = [text for text in sentences if _FEWEST_WORDS <= len(text.split()) <= _MOST_WORDS]
        if fit and (question := _question_of(rng.choice(fit), library)):
            made.append((paper, question))
    return made


def _question_of(sentence: str, library: Library) -> str | None:
    """A question of a sentence's rarest words, in their order; None where it has too few."""
    terms = {
        word: library.terms(word)[:1] for word in re.findall(r"[\w-]+", sentence) if len(word) > 2
    }
    count = library.document_frequencies([term for found in terms.values() for term in found])
    rarity = {
        word: math.log(len(library) / (1 + count[found[0]]))
        for word, found in terms.items()
        if found
    }
    rarest = sorted(rarity, key=lambda word: -rarity[word])[:_WORDS]
    if len(rarest) < _WORDS:
        return None
    one, other, *more = (word for word in rarity if word in rarest)
    return f"How does {one} {other} affect {' '.join(more)}?"
