"""What a person looks at in the Library room: which papers, in which order, which page of them.

The values come from a browser and are checked here; the papers come from the library's public API.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast, get_args

from citewise.errors import UsageError
from citewise.library.browsing import Page
from citewise.library.library import Library
from citewise.library.papers import Order
from citewise.types import Filters, Paper

PAGE_PAPERS = 20
"""Papers of a page."""
MOST_FOUND = 200
"""Papers shown for a search: the best ones."""
NEAR = 0.35
"""Cosine from which a paper without any word of a search is shown: what means nothing stays below
it (0.33 at most among 475 papers), what is mistyped or said otherwise comes above."""
MOST_CHOSEN = 10_000
"""Papers that can be chosen one by one for an export."""
_LONGEST = 2_000
_BATCH = 500


@dataclass(frozen=True, slots=True)
class View:
    """Which papers, in which order, from where on."""

    query: str = ""
    filters: Filters = field(default_factory=Filters)
    order: Order | None = None
    """None for the best match first, where something is searched for, else the newest."""
    theme: int | None = None
    """Place of a theme among the library's themes, instead of a search."""
    page: int = 0

    @classmethod
    def of(cls, values: Mapping[str, object]) -> View:
        """The view that a browser names; raises UsageError for what cannot be one."""

        def word(name: str) -> str:
            value = values.get(name) or ""
            if not isinstance(value, str) or len(value) > _LONGEST:
                raise UsageError(f"{name} is too long; {_LONGEST} characters are searched.")
            return value.encode("utf-8", "replace").decode("utf-8").strip()

        def number(name: str) -> int | None:
            value = values.get(name)
            if value is None or value == "":
                return None
            try:
                return max(0, min(int(cast("str", value)), 10**9))
            except (TypeError, ValueError, OverflowError) as error:
                raise UsageError(f"{name} is not a number.") from error

        order = word("order")
        return cls(
            word("q"),
            Filters(
                word("since") or None,
                word("until") or None,
                word("source") or None,
                word("author") or None,
            ),
            cast("Order", order) if order in get_args(Order) else None,
            number("theme"),
            number("page") or 0,
        )


def look(library: Library, view: View) -> tuple[Page, str]:
    """A page of the papers that a view names, and what a person should know about it.

    Raises UsageError for a date that is not one.
    """
    if not view.query and view.theme is None:
        page = library.page(
            view.filters,
            order=view.order or "newest",
            offset=view.page * PAGE_PAPERS,
            limit=PAGE_PAPERS,
        )
        return page, ""
    ids, note = _chosen(library, view)
    begin = view.page * PAGE_PAPERS
    found = library.papers_by_id(ids[begin : begin + PAGE_PAPERS])
    shown = tuple(found[i] for i in ids[begin : begin + PAGE_PAPERS] if i in found)
    return Page(shown, begin, len(ids)), note


def every(library: Library, view: View) -> Iterator[Paper]:
    """All papers that a view names, in its order, read as they are asked for.

    Raises UsageError as ``look`` does.
    """
    if view.query or view.theme is not None:
        yield from named(library, _chosen(library, view)[0])
        return
    offset = 0
    while True:
        page = library.page(view.filters, order=view.order or "newest", offset=offset, limit=_BATCH)
        yield from page.papers
        offset += _BATCH
        if offset >= page.total:
            return


def named(library: Library, ids: Sequence[str]) -> Iterator[Paper]:
    """Papers by id, in order; ids that are not there are left out."""
    for begin in range(0, len(ids), _BATCH):
        found = library.papers_by_id(ids[begin : begin + _BATCH])
        yield from (found[i] for i in ids[begin : begin + _BATCH] if i in found)


def _searched(library: Library, view: View) -> tuple[list[str], list[str]]:
    """Papers by who is named, then those that have the words or come near them in meaning."""
    result = library.find(view.query, MOST_FOUND, view.filters)
    hits = [h for h in result.hits if h.matched_words or (h.dense_score or 0.0) >= NEAR]
    ids = [hit.paper.id for hit in hits]
    notes = list(result.notes) if hits or not result.hits else []
    # One letter is a part of many names.
    if len(view.query) > 1 and (named := library.ids_by(view.query)):
        theirs = replace(view.filters, papers=named)
        page = library.page(theirs, limit=MOST_FOUND)
        first = [paper.id for paper in page.papers]
        ids = list(dict.fromkeys([*first, *ids]))[:MOST_FOUND]
        notes = [f"Author or organisation “{view.query}”: {page.total:,}."] if first else notes
    if not ids and result.hits:
        notes.append(f"Nothing matches “{view.query}”, neither in its words nor in its meaning.")
    return ids, notes


def _chosen(library: Library, view: View) -> tuple[list[str], str]:
    """Ids that a search or a theme gives, in the view's order, and a note."""
    if view.theme is not None:
        themes = library.themes().themes
        if view.theme >= len(themes):
            raise UsageError("The themes have changed meanwhile; choose one again.")
        ids, notes = list(themes[view.theme].ids), [""]
    else:
        ids, notes = _searched(library, view)
        exact = library.papers_by_id([view.query])
        if view.query in exact and view.query not in ids and not view.filters:
            ids.insert(0, view.query)
    if view.order is not None and ids:
        # The library's own order, of these papers alone.
        page = library.page(Filters(papers=tuple(ids)), order=view.order, limit=len(ids))
        ids = [paper.id for paper in page.papers]
    if view.theme is None and len(ids) >= MOST_FOUND:
        notes.append(f"The best {MOST_FOUND} are shown.")
    return ids, " ".join(note for note in notes if note)
