"""Words of the papers in tantivy (BM25); tantivy's types stop here."""

from __future__ import annotations

import math
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import tantivy

from citewise.errors import LibraryError
from citewise.library.papers import Ids
from citewise.library.wordings import Wording, number_of
from citewise.variants import other_spellings

LEXICAL_RULE = "tantivy-en-v1"
"""Part of a library's fingerprint: changes whenever the same text would be indexed differently."""

TITLE_BOOST = 0.5
"""Best of 0.3 to 2.0 on SciFact's train queries; a title's words stand in the body as well."""

Field = Literal["title", "body"]
"""The body holds the title's words as well."""
_WRITER_HEAP_BYTES = 64_000_000
_MOST_IDS_A_FILTER = 10_000
"""Above this the best papers are filtered here: such a query costs 1 ms a thousand ids, and of
112,569 papers 1,500 had to be looked through for the best 70 of 8,304, which took 11 ms."""
_ANALYZER = "citewise_en"
_SHORTENED = re.compile(
    r"\b\w+n['’]t\b|(?<=\w)['’](?:s|re|ve|d|ll|m)\b|\bw/o?(?=\s)", re.IGNORECASE
)
"""'Don't', the end of 'what's', 'w/': their pieces ('don', 'w') are other words in papers."""
_WORD = re.compile(r"\w(?:[\w.+-]*[\w+])?")
_MARKED = re.compile(r"[A-Za-z][A-Z0-9]|[0-9][A-Z][A-Za-z]")
"""What makes a word a name wherever it stands: capitals or digits inside."""
_TYPED = re.compile(r"(?:(?<![\w'’])[a-z]|(?:\A|(?<=[.?!:]\s))[A-Z])[a-z]{3,23}(?![\w'’])")
"""A word that opens a sentence or has no capital: others may be of a title or a name."""
_IN_ONE = re.compile(
    r"(?<![\w'’-])(?P<one>cross|few|fine|high|long|low|multi|open|post|pre|real|self|zero)"
    r"(?P<other>[a-z]{4,})(?![\w'’-])"
)
"""Words that papers may write in two: 'finetuning', 'realtime'."""
_IN_TWO = re.compile(r"(?<![\w'’-])(?P<one>[a-z]{3,})(?=[ -](?P<other>[a-z]{3,})(?![\w'’-]))")
"""Words that papers may write in one: 'data set', 'hyper-parameter'."""
_NEVER_JOINED = frozenset(
    "after all and any are been body but can did does each ever every for from had has have her"
    " here his how its long may never not one only our out per some than that the then there these"
    " thing this those time use was were what when where which while who why with you your".split()
)
_JOINED_MORE = 2
"""How many times as many papers must have two words in one: 'over all' is not 'overall'."""
_SURROGATES = re.compile("[\ud800-\udfff]")

_MOST_NAMES = 16
"""Different names of a query that are looked for one by one."""

_MOST_TERMS = 256
"""Different words of a query that are looked for; tantivy's own limit lies at 1,024 clauses."""

_FEW_PAPERS, _FEW_SHARE = 3, 0.02
"""Papers that may hold a name by which one of them is meant, and their share of the library: in a
small one common names stand in few."""

_NAMES_WEIGH = 1 / 3
"""Rarity of a query's names, of that of its other words together, from which it says little else.
Questions of common words have as much or more; claims that have less lose nDCG by it, and those
that have more gain: docs/retrieval.md."""

_WHOLE = 8
"""Up to so many times the papers asked for, scoring the whole library is quicker than picking."""

_REMEMBERED = 50_000
"""Ids that one view keeps, and counts of papers with two words: some 5 MB each at most."""


@dataclass(slots=True, eq=False)
class _View:
    """The index as it was when last looked at, and what has been asked of it since."""

    searcher: tantivy.Searcher
    papers: int
    ids: dict[tuple[int, int], str] = field(default_factory=dict)
    phrases: dict[str, int] = field(default_factory=dict)

    def id_of(self, address: tantivy.DocAddress) -> str:
        key = (address.segment_ord, address.doc)
        known = self.ids.get(key)
        if known is None:
            if len(self.ids) > _REMEMBERED:
                self.ids.clear()
            known = self.ids[key] = str(self.searcher.doc(address)["paper_id"][0])
        return known


@lru_cache(maxsize=1)
def _analyzer() -> tantivy.TextAnalyzer:
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(tantivy.Filter.remove_long(60))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.stopword("english"))
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )


def terms(text: str) -> list[str]:
    """The stemmed words of ``text`` as they stand in the index, without stop words."""
    # A broken character of a terminal's input has no UTF-8 form.
    return list(_analyzer().analyze(_SURROGATES.sub(" ", text)))


def without_shortened(question: str) -> str:
    """A question without words that people shorten as they talk: none says what it is about."""
    return _SHORTENED.sub(" ", question)


def names_in(query: str) -> list[str]:
    """The words of a query that are names by their letters; of a single word, that one."""
    words = list(dict.fromkeys(_WORD.findall(query)))
    return words if len(words) == 1 else [word for word in words if _MARKED.search(word)]


def words_of(
    papers: Iterable[tuple[str, str, str]],
) -> tuple[dict[str, Wording], dict[int, str]]:
    """The words of papers (id, title, abstract) by id, as numbers, and what these stand for."""
    found: dict[str, Wording] = {}
    stems: dict[int, str] = {}
    for paper_id, title, abstract in papers:
        first = terms(title)
        words = [*first, *terms(abstract)]
        numbers = [number_of(stem) for stem in words]
        found[paper_id] = Wording(np.array(numbers, np.int64), len(first))
        stems |= zip(numbers, words, strict=True)
    return found, stems


def _rarity(found: int, papers: int) -> float:
    return math.log(1 + (papers - found + 0.5) / (found + 0.5))


class LexicalIndex:
    """BM25 over titles and abstracts, one document a paper."""

    def __init__(self, folder: Path) -> None:
        """Open or create the index in ``folder``; raises LibraryError when it is unusable."""
        builder = tantivy.SchemaBuilder()
        builder.add_text_field("paper_id", stored=True, fast=True, tokenizer_name="raw")
        builder.add_text_field("title", tokenizer_name=_ANALYZER)
        builder.add_text_field("body", tokenizer_name=_ANALYZER)
        self._folder = folder
        self._schema = builder.build()
        self._write_lock = threading.Lock()
        self._view_lock = threading.Lock()
        self._seen: _View | None = None
        with self._explained("read"):
            folder.mkdir(parents=True, exist_ok=True)
            self._index = tantivy.Index(self._schema, path=str(folder))
        self._index.register_tokenizer(_ANALYZER, _analyzer())

    @contextmanager
    def _explained(self, deed: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, OSError) as error:
            if "No space left" in str(error):
                raise LibraryError(
                    f"The disk that holds {self._folder} is full ({error}). What was acknowledged "
                    "is kept; free some space and run the same command again."
                ) from error
            raise LibraryError(
                f"The word index in {self._folder} cannot be {deed} ({str(error)[:300]}). "
                "`citewise doctor --repair` makes it again from the papers."
            ) from error

    terms = staticmethod(terms)

    def update(self, papers: Iterable[tuple[str, str, str]], forget: Sequence[str] = ()) -> None:
        """Index (id, title, abstract) and forget other ids, in one commit."""
        with self._write_lock, self._explained("written to"):
            writer = self._index.writer(_WRITER_HEAP_BYTES, 1)
            for paper_id in forget:
                writer.delete_documents_by_term("paper_id", paper_id)
            for paper_id, title, abstract in papers:
                writer.delete_documents_by_term("paper_id", paper_id)
                document = tantivy.Document()
                document.add_text("paper_id", paper_id)
                document.add_text("title", title)
                document.add_text("body", f"{title} {abstract}")
                writer.add_document(document)
            writer.commit()
            writer.wait_merging_threads()
        self.reload()

    def reload(self) -> None:
        """See what another process has written."""
        with self._explained("read"):
            self._index.reload()
        with self._view_lock:
            self._seen = None

    def search(
        self,
        query: str | Mapping[str, float],
        limit: int,
        allowed: Ids | None = None,
    ) -> list[tuple[str, float]]:
        """Papers by BM25, best first, as (id, score); empty when the query has no known word.

        The query is words, never syntax; or stemmed words as ``terms`` gives them, with weights.
        ``allowed`` restricts to those ids.
        """
        weights = self.weights(query) if isinstance(query, str) else query
        if not weights or limit < 1:
            return []
        wanted = self._any_of(weights)
        if allowed is not None and len(allowed) > _MOST_IDS_A_FILTER:
            return self._search_within(wanted, limit, frozenset(allowed))
        if allowed is not None:
            within = tantivy.Query.term_set_query(self._schema, "paper_id", list(allowed))
            wanted = self._both(wanted, within)
        return self._found(wanted, limit)

    def _search_within(
        self, query: tantivy.Query, limit: int, within: Set[str]
    ) -> list[tuple[str, float]]:
        """The best among many allowed papers: as many are taken as should hold enough of them."""
        total = self._view().papers
        asked = min(int(1.5 * limit * total / len(within)) + limit, total)
        while True:
            best = self._found(query, asked)
            found = [row for row in best if row[0] in within]
            if len(found) >= limit or len(best) < asked or asked >= total:
                return found[:limit]
            asked = min(4 * asked, total)

    def quickly(self, papers: int) -> int:
        """How many papers are scored as quickly as that many: all of a small library."""
        every = self._view().papers
        return every if every <= _WHOLE * papers else papers

    def named(self, query: str, *, mainly: bool = False) -> dict[str, int]:
        """Papers that hold names of the query which few papers hold, by how many such names.

        With ``mainly`` only where the query says little besides: of one that says much the best
        paper may do without a name.
        """
        papers = self._view().papers
        few = min(_FEW_PAPERS, max(1, int(_FEW_SHARE * papers)))
        held: Counter[str] = Counter()
        others = set(self.weights(query))
        rare = 0.0
        for name in names_in(query)[:_MOST_NAMES]:
            stems = self.terms(name)
            holders = self._found(self._together(stems), few + 1) if stems else []
            if 0 < len(holders) <= few:
                held.update(paper_id for paper_id, _ in holders)
                others.difference_update(stems)
                rare += _rarity(len(holders), papers)
        if mainly and held and rare < _NAMES_WEIGH * sum(map(self.rarity, others)):
            return {}
        return held

    def _together(self, stems: Sequence[str]) -> tantivy.Query:
        """A query for papers that hold the stemmed words one behind the other."""
        if len(stems) == 1:
            return tantivy.Query.term_query(self._schema, "body", stems[0])
        return tantivy.Query.phrase_query(self._schema, "body", list(stems))

    def weights(self, query: str) -> dict[str, float]:
        """The different stemmed words of a query, in order, each of weight 1; at most 256."""
        words = self.terms(without_shortened(query)) or self.terms(query)
        return dict.fromkeys(list(dict.fromkeys(words))[:_MOST_TERMS], 1.0)

    def _any_of(self, weights: Mapping[str, float]) -> tantivy.Query:
        should = []
        for term, weight in weights.items():
            for name, share in (("body", weight), ("title", weight * TITLE_BOOST)):
                one = tantivy.Query.term_query(self._schema, name, term)
                boosted = one if share == 1.0 else tantivy.Query.boost_query(one, share)
                should.append((tantivy.Occur.Should, boosted))
        return tantivy.Query.boolean_query(should)

    @staticmethod
    def _both(wanted: tantivy.Query, within: tantivy.Query) -> tantivy.Query:
        unweighted = tantivy.Query.boost_query(within, 0.0)
        return tantivy.Query.boolean_query(
            [(tantivy.Occur.Must, wanted), (tantivy.Occur.Must, unweighted)]
        )

    def _found(self, wanted: tantivy.Query, limit: int) -> list[tuple[str, float]]:
        with self._explained("read"):
            view = self._view()
            if not view.papers:
                return []
            hits = view.searcher.search(wanted, min(limit, view.papers), count=False).hits
            return [(view.id_of(address), float(score)) for score, address in hits]

    def _view(self) -> _View:
        if (view := self._seen) is not None:
            return view
        # Under the lock, so that no thread keeps a view that ``reload`` has just made old.
        with self._view_lock:
            searcher = self._index.searcher()
            self._seen = _View(searcher, int(searcher.num_docs))
            return self._seen

    def rarity(self, term: str, field: Field = "body") -> float:
        """BM25's inverse document frequency of a stemmed word, 0 and up; highest where unknown."""
        view = self._view()
        # Papers that were replaced count until tantivy merges them away.
        found = min(int(view.searcher.doc_freq(field, term)), view.papers)
        return _rarity(found, view.papers)

    def holds(self, term: str) -> bool:
        """Whether any paper has a stemmed word."""
        return bool(self._found(tantivy.Query.term_query(self._schema, "body", term), 1))

    def document_frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many papers each stemmed word stands."""
        searcher = self._view().searcher
        return {term: int(searcher.doc_freq("body", term)) for term in terms}

    def as_spelled(self, text: str) -> str:
        """The text as more papers spell it: British or American, in one word or in two."""
        spelled = _TYPED.sub(lambda match: self._as_most_spell(match[0]), text)
        apart = _IN_ONE.sub(lambda match: self._in_two(match["one"], match["other"]), spelled)
        pieces, end = [], 0
        for match in _IN_TWO.finditer(apart):
            if match.start() >= end and self._in_one(match["one"], match["other"]):
                pieces.append(apart[end : match.end()])
                end = match.end() + 1
        return "".join((*pieces, apart[end:]))

    def _in_two(self, one: str, other: str) -> str:
        written = one + other
        return f"{one} {other}" if self._held(f"{one} {other}") > self._held(written) else written

    def _in_one(self, one: str, other: str) -> bool:
        if one in _NEVER_JOINED or other in _NEVER_JOINED:
            return False
        joined = self._held(one + other)
        return joined > 0 and joined > _JOINED_MORE * self._held(f"{one} {other}")

    def _held(self, words: str) -> int:
        """How many papers hold the words, one behind the other."""
        stems = self.terms(words)
        if len(stems) == 1:
            return self.document_frequencies(stems)[stems[0]]
        if not stems:
            return 0
        view = self._view()
        if words not in view.phrases:
            if len(view.phrases) > _REMEMBERED:
                view.phrases.clear()
            found = view.searcher.search(self._together(stems), 1, count=True)
            view.phrases[words] = int(found.count)  # type: ignore[attr-defined]
        return view.phrases[words]

    def _as_most_spell(self, word: str) -> str:
        others = tuple(other_spellings(word))
        best, most = word, -1
        for form in (word, *others) if others else ():
            papers = self._held(form)
            if papers > most:
                best, most = form, papers
        return best

    def count(self) -> int:
        """Papers in the index."""
        return int(self._index.searcher().num_docs)
