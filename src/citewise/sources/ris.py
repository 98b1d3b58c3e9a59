"""RIS exports of Zotero, Mendeley, EndNote and of publishers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from citewise.sources.base import Source, make_paper
from citewise.sources.dates import iso_date
from citewise.sources.identity import arxiv_id_of, doi_of
from citewise.types import Paper, Rejection

NAME = "ris"
_START = re.compile(r"^\ufeff?TY  -", re.MULTILINE)
_AUTHORS = ("authors", "first_authors")
_TITLES = ("title", "primary_title")
_ABSTRACTS = ("abstract", "notes_abstract")
_DATES = ("date", "year", "publication_year")


class RisReader:
    """Reads RIS through rispy, record by record.

    Authors are written ``First Last``. The id is the arXiv id or DOI of the record, else derived.
    """

    name = NAME

    def recognises(self, head: str) -> bool:
        """By the line that starts a record."""
        return bool(_START.search(head))

    def read(self, source: Source) -> Iterator[Paper | Rejection]:
        """Papers and rejections in the order of the file."""
        for start, lines in _records(source):
            if isinstance(lines, str):
                yield source.reject(start, lines)
                continue
            yield _parsed(source, start, lines)


def _records(source: Source) -> Iterator[tuple[int, list[str] | str]]:
    """The lines of each record with the number of the first one, or what is wrong with it."""
    lines: list[str] = []
    first = size = 0
    broken = ""
    for number, raw, problem in source.lines():
        if problem is not None:
            if not first:
                yield number, problem
            broken = broken or problem
            continue
        starts = raw.startswith("TY  -")
        ends = raw.startswith("ER  -")
        if first and (starts or ends):
            # A record that another one follows is whole even without its ER.
            yield first, broken or [*lines, "ER  - "]
            first = 0
        if starts:
            lines, first, size, broken = [], number, 0, ""
        size += len(raw)
        if size > source.limits.max_line_bytes:
            broken = f"the record is longer than {source.limits.max_line_bytes} bytes"
        elif first and raw.strip():
            lines.append(raw)
    if first:
        yield first, broken or "the file ends inside this record; copy it again"


def _parsed(source: Source, line: int, lines: list[str]) -> Paper | Rejection:
    # Only this format should pay for the import.
    import rispy  # type: ignore[import-untyped]  # noqa: PLC0415

    try:
        records = rispy.RisParser().parse_lines(iter(lines))
    except (rispy.parser.ParseError, KeyError, AttributeError, TypeError, ValueError) as error:
        return source.reject(line, f"the record cannot be read: {error!r}; check its tags")
    if not records:
        return source.reject(line, "the record cannot be read; check its tags")
    return _paper(source, line, records[0])


def _first(record: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((record[key] for key in keys if isinstance(record.get(key), str)), None)


def _paper(source: Source, line: int, record: dict[str, Any]) -> Paper | Rejection:
    people = [name for key in _AUTHORS for name in record.get(key) or []]
    authors = [_in_order(name) for name in people if isinstance(name, str) and name.strip()]
    urls = [url for url in record.get("urls") or [] if isinstance(url, str) and url.strip()]
    doi = doi_of(_first(record, ("doi",)))
    arxiv = next((found for url in urls if (found := arxiv_id_of(url))), None) or arxiv_id_of(doi)
    dates = [record[key] for key in _DATES if isinstance(record.get(key), str) and record[key]]
    # Some exporters leave the day out of DA and print all of it in Y1: the fullest one counts.
    found = max((iso_date(date) or "" for date in dates), key=len, default="")
    return make_paper(
        source,
        NAME,
        line,
        title=_first(record, _TITLES),
        abstract=_first(record, _ABSTRACTS),
        paper_id=arxiv or doi,
        authors=authors,
        author_count=len(authors) or None,
        date=found or (dates[0] if dates else None),
        date_text=dates[0] if dates else None,
        url=urls[0] if urls else None,
        arxiv_id=arxiv,
        doi=doi,
    )


def _in_order(name: str) -> str:
    """``Last, First, Jr`` as a person would write it."""
    parts = [part.strip() for part in name.split(",") if part.strip()]
    if len(parts) < 2:
        return name
    return " ".join((parts[1], parts[0], *parts[2:]))
