"""Words of the papers in tantivy (BM25); tantivy's types stop here."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import tantivy

from citewise.errors import LibraryError

LEXICAL_RULE = "tantivy-en-v1"
"""Part of a library's fingerprint: changes whenever the same text would be indexed differently."""

TITLE_BOOST = 0.5
"""Best of 0.3 to 2.0 on SciFact's train queries; a title's words stand in the body as well."""

_WRITER_HEAP_BYTES = 64_000_000
_MOST_IDS_A_FILTER = 5_000
"""Above this the best papers are filtered here: such a query costs 1 ms a thousand ids."""
_ANALYZER = "citewise_en"
_SURROGATES = re.compile("[\ud800-\udfff]")

_MOST_TERMS = 256
"""Different words of a query that are looked for; tantivy's own limit lies at 1,024 clauses."""

_WHOLE = 8
"""Up to so many times the papers asked for, scoring the whole library is quicker than picking."""

_REMEMBERED = 50_000
"""Ids and rarities that one view keeps: some 10 MB at most."""


@dataclass(slots=True, eq=False)
class _View:
    """The index as it was when last looked at, and what has been asked of it since."""

    searcher: tantivy.Searcher
    papers: int
    ids: dict[tuple[int, int], str] = field(default_factory=dict)
    rarities: dict[str, float] = field(default_factory=dict)

    def id_of(self, address: tantivy.DocAddress) -> str:
        key = (address.segment_ord, address.doc)
        known = self.ids.get(key)
        if known is None:
            if len(self.ids) > _REMEMBERED:
                self.ids.clear()
            known = self.ids[key] = str(self.searcher.doc(address)["paper_id"][0])
        return known


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
        self._analyze = _analyzer().analyze
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

    def terms(self, text: str) -> list[str]:
        """The stemmed words of ``text`` as they stand in the index, without stop words."""
        # A broken character of a terminal's input has no UTF-8 form.
        return list(self._analyze(_SURROGATES.sub(" ", text)))

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
        allowed: Sequence[str] | None = None,
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
            return self._search_within(wanted, limit, set(allowed))
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
        return self._view().papers if self._is_small_beside(papers) else papers

    def _is_small_beside(self, papers: int) -> bool:
        return self._view().papers <= _WHOLE * papers

    def weights(self, query: str) -> dict[str, float]:
        """The different stemmed words of a query, in order, each of weight 1; at most 256."""
        return dict.fromkeys(list(dict.fromkeys(self.terms(query)))[:_MOST_TERMS], 1.0)

    def scores(self, weights: Mapping[str, float], papers: Sequence[str]) -> dict[str, float]:
        """BM25 of just these papers for weighted terms, as ``search`` would score them.

        ``weights`` has stemmed words as ``terms`` gives them; a paper with none of them is left
        out.
        """
        if not weights or not papers:
            return {}
        wanted = self._any_of(weights)
        if self._is_small_beside(len(papers)):
            asked = set(papers)
            everything = self._found(wanted, self._view().papers)
            return {i: score for i, score in everything if i in asked}
        within = tantivy.Query.boolean_query(
            [
                (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "paper_id", paper))
                for paper in papers
            ]
        )
        return dict(self._found(self._both(wanted, within), len(papers)))

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

    def rarity(self, term: str) -> float:
        """BM25's inverse document frequency of a stemmed word, 0 and up; highest where unknown."""
        view = self._view()
        known = view.rarities.get(term)
        if known is None:
            if len(view.rarities) > _REMEMBERED:
                view.rarities.clear()
            # Papers that were replaced count until tantivy merges them away.
            found = min(int(view.searcher.doc_freq("body", term)), view.papers)
            known = math.log(1 + (view.papers - found + 0.5) / (found + 0.5))
            view.rarities[term] = known
        return known

    def document_frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many papers each stemmed word stands."""
        searcher = self._view().searcher
        return {term: int(searcher.doc_freq("body", term)) for term in terms}

    def count(self) -> int:
        """Papers in the index."""
        return int(self._index.searcher().num_docs)
