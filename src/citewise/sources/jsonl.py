"""Own records as JSON: title, abstract and whatever else is known, one a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from citewise.sources.base import Source, make_paper, names_of
from citewise.sources.json_records import head_records, json_records
from citewise.types import Paper, Rejection

NAME = "jsonl"


class JsonlReader:
    """Reads objects with ``title`` and ``abstract`` and any field of the interface's PAPER.

    So what ``citewise papers export`` writes can be read again. ``authors`` is a list of names or
    one text with ``;`` between them.
    """

    name = NAME

    def recognises(self, head: str) -> bool:
        """By ``title`` and ``abstract`` in one object."""
        return any("title" in record and "abstract" in record for record in head_records(head))

    def read(self, source: Source) -> Iterator[Paper | Rejection]:
        """Papers and rejections in the order of the file."""
        for line, value, problem in json_records(source):
            if value is None:
                yield source.reject(line, problem or "no object")
            else:
                yield own_record(source, NAME, line, value)


def own_record(
    source: Source, reader: str, line: int, fields: Mapping[str, Any]
) -> Paper | Rejection:
    """A paper from fields named as in the interface's PAPER; unknown ones are ignored."""
    authors = names_of(fields.get("authors"))
    count = fields.get("author_count")
    if isinstance(count, str) and count.isascii() and count.isdigit():
        count = int(count[:9])
    if "author_count" not in fields:
        count = len(authors) or None
    elif not isinstance(count, int) or isinstance(count, bool) or count < 0:
        count = None
    published, printed, arxiv = (fields.get(key) for key in ("published", "date_text", "arxiv_id"))
    printed = printed if isinstance(printed, str) and printed.strip() else None
    if not isinstance(published, str | int) or published == "":
        published = printed
    return make_paper(
        source,
        reader,
        line,
        title=fields.get("title"),
        abstract=fields.get("abstract"),
        paper_id=fields.get("id"),
        authors=authors,
        author_count=count,
        date=published,
        date_text=printed,
        given_source=fields.get("source"),
        url=fields.get("url"),
        organization=fields.get("organization"),
        arxiv_id=arxiv if isinstance(arxiv, str) else None,
        doi=fields.get("doi"),
    )
