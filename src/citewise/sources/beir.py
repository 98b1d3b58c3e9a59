"""BEIR corpora: ``{"_id", "title", "text"[, "metadata"]}``, one a line."""

from __future__ import annotations

from collections.abc import Iterator

from citewise.sources.base import Source, make_paper, names_of
from citewise.sources.json_records import head_records, json_records
from citewise.types import Paper, Rejection

NAME = "beir"
_DATES = ("published", "publication_date", "date", "listed", "year")


class BeirReader:
    """Reads a ``corpus.jsonl`` of the BEIR layout (https://github.com/beir-cellar/beir).

    ``_id`` is kept as it is, for runs and judgements name it. Of the metadata, authors, url, doi,
    arxiv_id and the first of published, publication_date, date, listed and year are taken.
    """

    name = NAME

    def recognises(self, head: str) -> bool:
        """By ``_id``, ``title`` and ``text`` in one object; queries have no title."""
        return any({"_id", "title", "text"} <= record.keys() for record in head_records(head))

    def read(self, source: Source) -> Iterator[Paper | Rejection]:
        """Papers and rejections in the order of the file."""
        for line, value, problem in json_records(source):
            if value is None:
                yield source.reject(line, problem or "no object")
                continue
            given = value.get("metadata")
            more = given if isinstance(given, dict) else {}
            authors = names_of(more.get("authors"))
            date = next((more[key] for key in _DATES if isinstance(more.get(key), str | int)), None)
            arxiv = more.get("arxiv_id")
            yield make_paper(
                source,
                NAME,
                line,
                title=value.get("title"),
                abstract=value.get("text"),
                paper_id=value.get("_id"),
                authors=authors,
                author_count=len(authors) or None,
                date=date,
                url=more.get("url"),
                doi=more.get("doi"),
                arxiv_id=arxiv if isinstance(arxiv, str) else None,
                untitled=isinstance(value.get("title"), str),
            )
