"""The words of papers as numbers: what the best of them share, and who else has these words.

A search looks at all words of its candidates, which the word index would take several times as long
to tell.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from citewise.library.feedback import Floats

Numbers = NDArray[np.int64]

FEEDBACK_TERMS = 40
_SATURATION, _LENGTH = 1.2, 0.75
"""BM25's k1 and b (Robertson and Zaragoza 2009, doi:10.1561/1500000019), as tantivy has them."""
_LOW_BITS = 0xFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Wording:
    """The stemmed words of a paper's title and abstract, in order, each as its number."""

    numbers: Numbers
    title: int
    """How many of them are the title's."""


NO_WORDS = Wording(np.zeros(0, np.int64), 0)


def number_of(stem: str) -> int:
    """The number of a stemmed word, of 32 bits; of 100,000 words one or two pairs share theirs."""
    return zlib.crc32(stem.encode())


def shared_words(
    wordings: Sequence[Wording],
    scores: Sequence[float],
    rarities: Callable[[Numbers], Floats],
    most: int = FEEDBACK_TERMS,
) -> dict[int, float]:
    """The words that the best papers share and others rarely have, with weights that sum to 1.

    ``scores`` say how well each paper fits, ``rarities`` how rare words are. The relevance model of
    Lavrenko and Croft (2001, doi:10.1145/383952.383972), each word weighted by BM25's inverse
    document frequency, for without stop-list and weight the commonest words would be chosen. At
    most ``most`` words, the heaviest first.
    """
    worded = [(w, score) for w, score in zip(wordings, scores, strict=True) if len(w.numbers)]
    if not worded:
        return {}
    best = max(score for _, score in worded)
    fits = np.array([math.exp(score - best) for _, score in worded])
    lengths = [len(wording.numbers) for wording, _ in worded]
    shares = np.repeat(fits / fits.sum() / lengths, lengths)
    words, places = np.unique(np.concatenate([w.numbers for w, _ in worded]), return_inverse=True)
    weights = np.bincount(places, shares) * rarities(words)
    # Words in order of their numbers where weights are equal: the same query, the same words.
    chosen = np.lexsort((words, -weights))[:most]
    chosen = chosen[weights[chosen] > 0]
    total = float(weights[chosen].sum())
    return dict(zip(words[chosen].tolist(), (weights[chosen] / total).tolist(), strict=True))


def word_scores(
    wordings: Sequence[Wording], wanted: Numbers, weights: Floats, in_title: Floats
) -> Floats:
    """BM25 of papers, shape (n,), for words times their ``weights``, which hold their rarity.

    A word of the title stands in the paper's words as well, and counts there again with its weight
    ``in_title``. The mean lengths are those of these papers, not of the library's.
    """
    if not wordings or not len(wanted):
        return np.zeros(len(wordings))
    order = np.argsort(wanted)
    wanted, weights, in_title = wanted[order], weights[order], in_title[order]
    lengths = np.array([len(wording.numbers) for wording in wordings])
    titles = np.array([wording.title for wording in wordings])
    every = np.concatenate([wording.numbers for wording in wordings])
    # A quick look at the low bits leaves few to be looked for.
    maybe = np.zeros(_LOW_BITS + 1, np.bool_)
    maybe[wanted & _LOW_BITS] = True
    found = np.flatnonzero(maybe[every & _LOW_BITS])
    places = np.searchsorted(wanted, every[found]).clip(max=len(wanted) - 1)
    same = wanted[places] == every[found]
    found, places = found[same], places[same]
    ends = np.cumsum(lengths)
    owners = np.searchsorted(ends, found, side="right")
    cells = owners * len(wanted) + places
    early = found - (ends - lengths)[owners] < titles[owners]
    total = np.zeros(len(wordings))
    for held, long, by_word in ((cells, lengths, weights), (cells[early], titles, in_title)):
        counts = np.bincount(held, minlength=len(wordings) * len(wanted))
        counts = counts.reshape(len(wordings), -1)
        norm = 1 - _LENGTH + _LENGTH * long / max(float(long.mean()), 1.0)
        # Never 0 below: a paper without words has the share 1 - b of the saturation.
        saturated = counts / (counts + (_SATURATION * norm)[:, None])
        total += (1 + _SATURATION) * (saturated @ by_word)
    return total
