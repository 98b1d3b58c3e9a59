"""A library to look around in: its papers page by page, its themes.

Everything here reads; nothing needs a question.
"""

from __future__ import annotations

import math
import re
import threading
from array import array
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from citewise.library.papers import Order, PaperStore
from citewise.types import Filters, Paper

_KEPT_VIEWS = 4
"""Orders kept in memory, 8 bytes a paper each."""
MOST_SAMPLED = 6_000
"""Papers that themes are made from; of a larger library a random sample stands for all."""
_MOST_READ = 2_500
"""Papers among those whose words are counted."""
_ROUNDS = 25
_SEED = 20
_LABEL_WORDS = 3
_CHANGED = 0.05
"""Share of the embedded papers that has to be new before themes are made again."""
_WORD = re.compile(r"[^\W\d_][\w'-]*[^\W_]")
_STOP_WORDS = frozenset(
    """
    about above across achieve achieves address adopt after against all allow allows along also
    although among an analysis and any approach approaches are art as at available based be
    because been being benchmark benchmarks best better between both but by can cannot capabilities
    challenge challenges challenging code compared comprehensive consistently could current data
    dataset datasets demonstrate demonstrates despite different do does due during each effective
    effectively effectiveness efficient efficiently enable enables enabling enhance especially
    etc even evaluate evaluation existing experiment experiments explore extensive few first for
    framework from further furthermore general given has have high highly how however if important
    improve improved improvement improvements improves improving in including information input
    into introduce introduces is issue issues it its key large largely latest leading less level
    like limited many may method methods model models more moreover most much multiple need new
    no not novel number of on one only or other our out outperform outperforms over overall paper
    particularly perform performance performs possible potential present previous problem problems
    propose proposed proposes provide provides providing quality real recent recently require
    requires research result results second several show showing shows significant significantly
    simple since single some specific specifically state still strong study such superior system
    systems task tasks technique techniques than that the their them then there these they this
    those three through thus to toward towards two under unlike up us use used useful using various
    via was we well were what when where whether which while who whose wide widely will with within
    without work works would yet you your leverage leveraging allowing additionally address
    addressing aim aims across achieving ability able scale make makes making
    com github href http https org www
    """.split()
)
"""Words that say nothing of a theme: of English, and of how abstracts are written."""

Floats: TypeAlias = NDArray[np.float32]
_View: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the papers in an order."""

    papers: tuple[Paper, ...]
    offset: int
    """Place of the first of them, from 0."""
    total: int
    """All papers that pass the filters."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Papers alike, and the words that set them apart from the others."""

    words: tuple[str, ...]
    papers: int
    """How many of the papers that were looked at."""
    months: tuple[tuple[str, int], ...]
    """Those by month of publication (``2024-10``), in order; only papers that have one."""
    ids: tuple[str, ...]
    """Papers, the most typical first."""


@dataclass(frozen=True, slots=True)
class Themes:
    """What a library is about, largest theme first."""

    themes: tuple[Theme, ...]
    looked_at: int
    """Papers that the themes were made from."""
    embedded: int
    """Papers that could have been looked at."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """How many papers were published when; a date that names no month counts for its year alone."""

    months: tuple[tuple[str, int], ...]
    """Papers by month, ``2024-10``, in order; months without a paper are left out."""
    years: tuple[tuple[str, int], ...]
    """Papers by year, those whose month is not known among them."""
    undated: int


class Browser:
    """Looks around in one library. Safe to use from several threads."""

    def __init__(self, store: PaperStore) -> None:
        """``vectors`` gives the index that the library now uses."""
        self._store = store
        self._views: OrderedDict[_View, array[int]] = OrderedDict()
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._themes: tuple[int, Themes] | None = None
        self._timeline: tuple[_View, Timeline] | None = None

    def page(self, filters: Filters, order: Order, offset: int, limit: int) -> Page:
        """Up to ``limit`` papers from place ``offset`` on; raises ValueError for a date not one.

        The order is worked out once and kept, so that turning pages costs nothing.
        """
        key = (*self._store.extent(), filters, order)
        with self._lock:
            rows = self._views.get(key)
        if rows is None:
            rows = self._store.select_rows(filters, order)
        with self._lock:
            self._views[key] = rows
            self._views.move_to_end(key)
            while len(self._views) > _KEPT_VIEWS:
                self._views.popitem(last=False)
        offset = max(0, offset)
        return Page(self._store.papers_at(rows[offset : offset + limit]), offset, len(rows))

    def timeline(self) -> Timeline:
        """Papers by month and year."""
        key = self._store.extent()
        kept = self._timeline
        if kept is not None and kept[0] == key:
            return kept[1]
        months: Counter[str] = Counter()
        years: Counter[str] = Counter()
        undated = 0
        for published, count in self._store.dates():
            if published is None:
                undated += count
                continue
            years[published[:4]] += count
            if len(published) >= 7:
                months[published[:7]] += count
        made = Timeline(tuple(sorted(months.items())), tuple(sorted(years.items())), undated)
        self._timeline = (key, made)
        return made

    def themes(self) -> Themes:
        """What the papers are about: clusters of their vectors, named by their distinctive words.

        Takes seconds for a large library; kept until a twentieth of the papers has changed.
        """
        embedded = self._store.extent()[0] - self._store.count_missing("dense")
        with self._making:
            kept = self._themes
            if kept is not None and abs(embedded - kept[0]) <= _CHANGED * max(kept[0], 1):
                return kept[1]
            made = _themes(self._store, embedded)
            self._themes = (embedded, made)
            return made

    def themes_so_far(self) -> Themes | None:
        """The themes as last made, perhaps of an earlier state; None before the first time."""
        return self._themes[1] if self._themes else None


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-9), np.float32)


def _themes(store: PaperStore, embedded: int) -> Themes:
    sample = store.sample_embedded(MOST_SAMPLED, _SEED)
    if len(sample) < 2:
        return Themes((), len(sample), embedded)
    sample = sorted(sample, key=lambda paper: paper.id)
    rows: list[Floats | None] = []
    for begin in range(0, len(sample), 500):
        ids = [paper.id for paper in sample[begin : begin + 500]]
        found = store.sentences(ids)
        for paper_id in ids:
            matrix = found[paper_id].vectors if paper_id in found else None
            rows.append(None if matrix is None or not len(matrix) else matrix.mean(axis=0))
    kept = [(paper, row) for paper, row in zip(sample, rows, strict=True) if row is not None]
    if len(kept) < 2:
        return Themes((), len(kept), embedded)
    papers = [paper for paper, _ in kept]
    vectors = _unit(np.stack([row for _, row in kept]).astype(np.float32))
    # What all papers of a library share says nothing of its themes.
    centred = _unit(vectors - vectors.mean(axis=0, keepdims=True))
    count = min(12, max(2, round(math.sqrt(len(papers) / 8))))
    member, nearness = cluster(centred, count)
    labels = distinctive_words(
        [f"{paper.title}. {paper.abstract}" for paper in papers[:: _step(len(papers))]],
        [int(m) for m in member[:: _step(len(papers))]],
        count,
    )
    themes = []
    for at in range(count):
        inside = np.flatnonzero(member == at)
        if not len(inside) or not labels[at]:
            continue
        typical = inside[np.argsort(-nearness[inside], kind="stable")]
        months = Counter(
            published[:7]
            for place in inside
            if (published := papers[int(place)].published) and len(published) >= 7
        )
        themes.append(
            Theme(
                labels[at],
                len(inside),
                tuple(sorted(months.items())),
                tuple(papers[int(place)].id for place in typical),
            )
        )
    themes.sort(key=lambda theme: (-theme.papers, theme.words))
    return Themes(tuple(themes), len(papers), embedded)


def _step(count: int) -> int:
    return max(1, math.ceil(count / _MOST_READ))


def cluster(vectors: Floats, count: int) -> tuple[NDArray[np.intp], Floats]:
    """Cluster unit vectors (n, d): the cluster of each, and its cosine with the cluster's centre.

    Spherical k-means (Dhillon and Modha 2001, doi:10.1023/A:1007612920971) from centres chosen as
    by k-means++ (Arthur and Vassilvitskii 2007). The same vectors give the same clusters.
    """
    rng = np.random.default_rng(_SEED)
    chosen = [int(rng.integers(len(vectors)))]
    far = np.ones(len(vectors), np.float64)
    while len(chosen) < count:
        far = np.minimum(far, np.maximum(0.0, 1.0 - vectors @ vectors[chosen[-1]]))
        total = far.sum()
        if total <= 1e-9:
            break
        chosen.append(int(rng.choice(len(vectors), p=far / total)))
    centres = vectors[chosen]
    member = np.zeros(len(vectors), np.intp)
    for turn in range(_ROUNDS):
        nearness = vectors @ centres.T
        now = nearness.argmax(axis=1)
        if turn and (now == member).all():
            break
        member = now
        for at in range(len(centres)):
            inside = vectors[member == at]
            if len(inside):
                centres[at] = inside.sum(axis=0)
        centres = _unit(centres)
    nearness = vectors @ centres.T
    member = nearness.argmax(axis=1)
    return member, np.asarray(nearness[np.arange(len(vectors)), member], np.float32)


def distinctive_words(
    texts: Sequence[str], member: Sequence[int], count: int
) -> list[tuple[str, ...]]:
    """For each of ``count`` clusters the words and pairs of words that tell it from the others.

    ``member`` is the cluster of each text. A word counts once a text; it is weighed by what it adds
    to the Kullback-Leibler divergence between the cluster and all texts, p log(p / q) (Tomokiyo and
    Hurst 2003, doi:10.3115/1119282.1119287).
    """
    sizes = Counter(member)
    overall: Counter[str] = Counter()
    inside: list[Counter[str]] = [Counter() for _ in range(count)]
    shown: dict[str, Counter[str]] = {}
    for text, at in zip(texts, member, strict=True):
        terms = _terms(text, shown)
        overall.update(terms)
        inside[at].update(terms)
    labels: list[tuple[str, ...]] = []
    for at in range(count):
        weights = {}
        for term, found in inside[at].items():
            if found < max(2, 0.04 * sizes[at]):
                continue
            p, q = found / sizes[at], overall[term] / len(texts)
            # A pair says more than its words, and is rarer.
            weights[term] = p * math.log(p / q) * (1.5 if " " in term else 1.0)
        best: list[str] = []
        for term in sorted(weights, key=lambda term: (-weights[term], term)):
            words = set(term.split())
            if weights[term] <= 0 or len(best) == _LABEL_WORDS:
                break
            if not any(_alike(words, set(other.split())) for other in best):
                best.append(term)
        labels.append(tuple(shown[term].most_common(1)[0][0] for term in best))
    return labels


def _alike(words: set[str], others: set[str]) -> bool:
    return any(
        word == other or word.rstrip("s") == other.rstrip("s") for word in words for other in others
    )


def _terms(text: str, shown: dict[str, Counter[str]]) -> set[str]:
    """Words and pairs of words of a text, folded; ``shown`` learns how they are written."""
    found = set()
    last: tuple[str, str, int] | None = None
    for match in _WORD.finditer(text):
        word = match.group()
        folded = word.casefold()
        short = len(word) < 3 and not (len(word) == 2 and word.isupper())
        if short or folded in _STOP_WORDS:
            last = None
            continue
        terms = [(folded, word)]
        if last is not None and match.start() - last[2] == 1:
            terms.append((f"{last[0]} {folded}", f"{last[1]} {word}"))
        for term, written in terms:
            found.add(term)
            # Small letters unless it is mostly written otherwise (LLM, KV cache).
            shown.setdefault(term, Counter())[
                written if any(part[1:] != part[1:].lower() for part in written.split()) else term
            ] += 1
        last = (folded, word, match.end())
    return found
