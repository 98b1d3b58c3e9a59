"""What each service is asked, in its own documented terms, and where its next page is.

arXiv: https://info.arxiv.org/help/api/user-manual.html and .../tou.html (one request every three
seconds). Daily Papers: https://huggingface.co/docs/hub/api (``/api/daily_papers``). OpenAlex:
https://developers.openalex.org/guides/page-through-results.
"""

from __future__ import annotations

import datetime
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException  # type: ignore[import-untyped]  # it has no stubs
from defusedxml import ElementTree as SafeTree

from citewise.errors import FetchError, UsageError

_ATOM = "{http://www.w3.org/2005/Atom}"
_OPENSEARCH = "{http://a9.com/-/spec/opensearch/1.1/}"


@dataclass(frozen=True, slots=True)
class Page:
    """What an answer says about the list it is a part of."""

    records: int
    """In this answer."""
    total: int | None
    """In the whole list, where the service says so."""
    next: str | None
    """Where to go on; None at the end."""


@dataclass(frozen=True, slots=True)
class Service(ABC):
    """A list of papers at a service, read page by page."""

    query: str = ""
    """What was asked, as a person wrote it."""
    base: str = ""
    """Address that is asked; the service's own unless given."""
    name: str = ""
    """Of the service, as the command takes it."""
    reader: str = ""
    """Name of the format of the answers."""
    interval: float = 1.0
    """Seconds between two requests, at least."""
    first: str = "0"
    """Where the list begins."""

    @abstractmethod
    def params(self, cursor: str, most: int) -> Mapping[str, str]:
        """The query for the page at ``cursor``, of up to ``most`` papers if that can be chosen."""

    @abstractmethod
    def page(self, cursor: str, body: bytes) -> Page:
        """What the answer says. Raises FetchError when it is not what the service documents."""

    def _ask_at(self, variable: str, address: str) -> None:
        """Where no address was given: that of the environment, else the service's own."""
        if not self.base:
            object.__setattr__(self, "base", os.environ.get(variable) or address)


@dataclass(frozen=True, slots=True)
class ArxivQuery(Service):
    """Papers for an arXiv query such as ``cat:cs.CL AND abs:quantization``, newest first."""

    name: str = "arxiv"
    reader: str = "arxiv"
    interval: float = 3.0

    _PAGE = 200

    def __post_init__(self) -> None:
        """Raises UsageError for an empty query."""
        _wanted(self.query)
        self._ask_at("CITEWISE_ARXIV_URL", "https://export.arxiv.org/api/query")

    def params(self, cursor: str, most: int) -> Mapping[str, str]:
        """``start`` and ``max_results``, by day of submission."""
        return {
            "search_query": self.query,
            "start": cursor,
            "max_results": str(min(most, self._PAGE)),
            "sortBy": "submittedDate",
            "sortOrder": "descending",
        }

    def page(self, cursor: str, body: bytes) -> Page:
        """Counts the entries; an error comes as an entry of its own."""
        try:
            feed = SafeTree.fromstring(body)
        except (ParseError, DefusedXmlException, ValueError) as error:
            raise FetchError(f"arXiv's answer is no Atom feed ({error}). Try later.") from error
        entries = feed.findall(f"{_ATOM}entry")
        for entry in entries:
            if "/api/errors" in (entry.findtext(f"{_ATOM}id") or ""):
                said = " ".join((entry.findtext(f"{_ATOM}summary") or "").split())
                raise FetchError(f"arXiv refuses the query: {said[:300]}. Correct the query.")
        stated = (feed.findtext(f"{_OPENSEARCH}totalResults") or "").strip()
        total = int(stated) if stated.isdigit() else None
        reached = int(cursor) + len(entries)
        over = not entries if total is None else reached >= total
        return Page(len(entries), total, None if over else str(reached))


_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_WEEK = re.compile(r"\d{4}-W\d\d")
_MONTH = re.compile(r"\d{4}-\d\d")


@dataclass(frozen=True, slots=True)
class DailyPapers(Service):
    """The Daily Papers of a day ``2024-10-12``, a week ``2024-W41`` or a month ``2024-10``."""

    query: str = ""
    """Today when empty."""
    name: str = "daily-papers"
    reader: str = "daily-papers"

    _PAGE = 100

    def __post_init__(self) -> None:
        """Raises UsageError for what is no day, week or month."""
        if not self.query:
            today = datetime.datetime.now(datetime.UTC).date()
            object.__setattr__(self, "query", today.isoformat())
        self._period()
        self._ask_at("CITEWISE_DAILY_PAPERS_URL", "https://huggingface.co/api/daily_papers")

    def _period(self) -> str:
        try:
            if _DAY.fullmatch(self.query):
                datetime.date.fromisoformat(self.query)
                return "date"
            if _WEEK.fullmatch(self.query):
                datetime.date.fromisoformat(f"{self.query}-1")
                return "week"
            if _MONTH.fullmatch(self.query):
                datetime.date.fromisoformat(f"{self.query}-01")
                return "month"
        except ValueError:
            pass
        raise UsageError(
            f"{self.query!r} is no period of Daily Papers. Write a day (2024-10-12), a week "
            "(2024-W41) or a month (2024-10)."
        )

    def params(self, cursor: str, most: int) -> Mapping[str, str]:
        """The period, and which page of it, counted from 0."""
        return {self._period(): self.query, "p": cursor, "limit": str(self._PAGE)}

    def page(self, cursor: str, body: bytes) -> Page:
        """A list of objects; the end is a page without any, for others may be short as well."""
        found = _json(body, "Daily Papers")
        if not isinstance(found, list):
            raise FetchError("Daily Papers answered with no list of papers. Try later.")
        return Page(len(found), None, str(int(cursor) + 1) if found else None)


@dataclass(frozen=True, slots=True)
class OpenAlexSearch(Service):
    """Works that OpenAlex finds for some words, best first; only such that have an abstract.

    With a key (``$OPENALEX_API_KEY``) any number; without one at most 10,000 and few a day.
    """

    name: str = "openalex"
    reader: str = "openalex"
    first: str = ""
    """Cursors need a key; the pages that all may read are numbered."""
    key: str | None = None

    _PAGE = 100

    def __post_init__(self) -> None:
        """Raises UsageError for an empty query."""
        _wanted(self.query)
        self._ask_at("CITEWISE_OPENALEX_URL", "https://api.openalex.org/works")
        if self.key is None:
            object.__setattr__(self, "key", os.environ.get("OPENALEX_API_KEY") or None)
        if not self.first:
            object.__setattr__(self, "first", "*" if self.key else "page:1")

    def __repr__(self) -> str:
        return f"OpenAlexSearch({self.query!r})"

    def params(self, cursor: str, most: int) -> Mapping[str, str]:
        """``search`` with a cursor or a page number."""
        asked = {
            "search": self.query,
            "filter": "has_abstract:true",
            "per_page": str(self._PAGE),
        }
        if self.key:
            asked["api_key"] = self.key
        if cursor.startswith("page:"):
            return {**asked, "page": cursor.removeprefix("page:")}
        return {**asked, "cursor": cursor}

    def page(self, cursor: str, body: bytes) -> Page:
        """``meta`` says how many there are and, to those with a key, where it goes on."""
        found = _json(body, "OpenAlex")
        results = found.get("results") if isinstance(found, dict) else None
        meta = found.get("meta") if isinstance(found, dict) else None
        if not isinstance(results, list) or not isinstance(meta, dict):
            raise FetchError("OpenAlex answered without results. Try later.")
        count = meta.get("count")
        total = count if isinstance(count, int) else None
        if not results:
            return Page(0, total, None)
        if not cursor.startswith("page:"):
            following = meta.get("next_cursor")
            return Page(len(results), total, following if isinstance(following, str) else None)
        number = int(cursor.removeprefix("page:"))
        reached = number * self._PAGE
        over = reached >= 10_000 or (total is not None and reached >= total)
        return Page(len(results), total, None if over else f"page:{number + 1}")


def _json(body: bytes, who: str) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FetchError(f"{who} answered with no JSON ({error}). Try later.") from error


def _wanted(query: str) -> None:
    if not query.strip():
        raise UsageError("Say what to fetch: the query is empty.")


SERVICES: Mapping[str, Callable[[str], Service]] = MappingProxyType(
    {"arxiv": ArxivQuery, "daily-papers": DailyPapers, "openalex": OpenAlexSearch}
)
"""Every service by the name that the command takes."""
