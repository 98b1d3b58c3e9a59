"""arXiv: the metadata snapshot, one JSON object a line, and the Atom answer of its API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from citewise.sources.base import Source, make_paper
from citewise.sources.identity import arxiv_id_of
from citewise.sources.json_records import head_records, json_records
from citewise.types import Paper, Rejection

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAME = "arxiv"
_OWN_FIELDS = frozenset({"authors_parsed", "update_date", "versions", "categories"})
_FEED = re.compile(r"<(?:\w+:)?feed[\s>]")
_ENTRY = frozenset({"entry"})
_PARENTHESES = re.compile(r"\([^()]*\)")
_BETWEEN_NAMES = re.compile(r"\s*(?:,\s*and\s+|,|;|\s+and\s+)\s*")


class ArxivReader:
    """Reads both forms in which arXiv gives its metadata.

    Snapshot: https://www.kaggle.com/datasets/Cornell-University/arxiv. Atom:
    https://info.arxiv.org/help/api/user-manual.html. ``published`` is the day of the first version;
    a record that only says when it was updated keeps that day as ``date_text``. The id has no
    version.
    """

    name = NAME

    def recognises(self, head: str) -> bool:
        """By a feed that names arxiv.org, or an arXiv id with one of the snapshot's own fields."""
        if head.lstrip("\ufeff \t\r\n").startswith("<"):
            return bool(_FEED.search(head)) and "arxiv.org" in head
        return any(
            isinstance(record.get("id"), str)
            and arxiv_id_of(record["id"]) is not None
            and "title" in record
            and not _OWN_FIELDS.isdisjoint(record)
            for record in head_records(head)
        )

    def read(self, source: Source) -> Iterator[Paper | Rejection]:
        """Papers and rejections in the order of the file."""
        if source.head_text.lstrip("\ufeff \t\r\n").startswith("<"):
            yield from _read_atom(source)
            return
        for line, value, problem in json_records(source):
            if value is None:
                yield source.reject(line, problem or "no object")
            else:
                yield _of_snapshot(source, line, value)


def _of_snapshot(source: Source, line: int, record: dict[str, Any]) -> Paper | Rejection:
    given = record.get("id")
    arxiv = arxiv_id_of(given) if isinstance(given, str) else None
    authors = _parsed(record.get("authors_parsed")) or _split(record.get("authors"))
    first = record.get("versions")
    version = first[0] if isinstance(first, list) and first else None
    created = version.get("created") if isinstance(version, dict) else record.get("published")
    updated = record.get("update_date")
    return make_paper(
        source,
        NAME,
        line,
        title=record.get("title"),
        abstract=record.get("abstract"),
        paper_id=arxiv or given,
        authors=authors,
        author_count=len(authors) or None,
        date=created if isinstance(created, str) else None,
        date_text=updated if isinstance(updated, str) and not isinstance(created, str) else None,
        url=f"https://arxiv.org/abs/{arxiv}" if arxiv else None,
        arxiv_id=arxiv,
        doi=record.get("doi"),
    )


def _parsed(value: object) -> list[str]:
    names = []
    for parts in value if isinstance(value, list) else []:
        if isinstance(parts, list):
            last, first, suffix = ([*map(_text, parts[:3]), "", "", ""])[:3]
            name = " ".join(part for part in (first, last, suffix) if part)
            if name:
                names.append(name)
    return names


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _split(value: object) -> list[str]:
    if isinstance(value, list):
        return [name for name in value if isinstance(name, str)]
    if not isinstance(value, str):
        return []
    # Parentheses hold affiliations, sometimes one inside another.
    text, before = value, ""
    while text != before:
        before, text = text, _PARENTHESES.sub(" ", text)
    if "\\" in text or "{" in text:
        # The decoder is only loaded for the few names that need it.
        from citewise.sources.latex import latex_to_text  # noqa: PLC0415

        text = latex_to_text(text)
    return [name for name in _BETWEEN_NAMES.split(" ".join(text.split())) if name]


def _read_atom(source: Source) -> Iterator[Paper | Rejection]:
    # The parser takes 20 ms to import, which only XML should pay.
    from citewise.sources.xml_records import xml_records  # noqa: PLC0415

    for line, entry, problem in xml_records(source, _ENTRY):
        if entry is None:
            yield source.reject(line, problem or "no element")
        else:
            yield _of_entry(source, line, entry)


def _of_entry(source: Source, line: int, entry: Element) -> Paper | Rejection:
    address = (entry.findtext("id") or "").strip()
    summary = entry.findtext("summary")
    if "/api/errors" in address:
        return source.reject(
            line, f"arXiv answered with an error: {' '.join((summary or '').split())}"
        )
    arxiv = arxiv_id_of(address)
    authors = [name.text for name in entry.findall("author/name") if name.text]
    return make_paper(
        source,
        NAME,
        line,
        title=entry.findtext("title"),
        abstract=summary,
        paper_id=arxiv,
        authors=authors,
        author_count=len(authors) or None,
        date=entry.findtext("published"),
        url=f"https://arxiv.org/abs/{arxiv}" if arxiv else address,
        arxiv_id=arxiv,
        doi=entry.findtext("doi"),
    )
