"""Own records as a table, and the tables that Zotero and Scopus export."""

from __future__ import annotations

import csv
from collections.abc import Iterator

from citewise.sources.base import Source, SourceProblem
from citewise.sources.jsonl import own_record
from citewise.types import Paper, Rejection

NAME = "csv"

_COLUMNS = {
    "title": ("title",),
    "abstract": ("abstract", "abstract note"),
    "id": ("id", "_id"),
    "authors": ("authors", "author"),
    "author_count": ("author_count",),
    "published": ("published", "date", "publication date", "year", "publication year"),
    "date_text": ("date_text",),
    "url": ("url", "link"),
    "doi": ("doi",),
    "arxiv_id": ("arxiv_id", "arxiv"),
    "organization": ("organization",),
    "source": ("source",),
}
"""Field and the column titles that stand for it, in lower case; the first that is filled counts."""
_DELIMITERS = ",;\t|"


class CsvReader:
    """Reads a table whose first row names the columns; ``,``, ``;``, tab or ``|`` between them.

    Columns title and abstract are needed; id, authors (``;`` between names), published, url, source
    and others are taken where they are. A field holds at most 131,072 characters.
    """

    name = NAME

    def recognises(self, head: str) -> bool:
        """By a first row with the columns title and abstract."""
        return _delimiter(head.lstrip("\ufeff").partition("\n")[0]) is not None

    def read(self, source: Source) -> Iterator[Paper | Rejection]:
        """Papers and rejections in the order of the file."""
        first = source.head_text.partition("\n")[0]
        delimiter = _delimiter(first)
        if delimiter is None:
            raise SourceProblem(
                "the first row must name the columns title and abstract; add such a row", 1
            )
        lines = _Lines(source)
        rows = csv.reader(lines, delimiter=delimiter)
        try:
            columns = [name.strip().lower() for name in next(rows, [])]
        except csv.Error:
            columns = []
        if not columns:
            raise SourceProblem("the first row, which names the columns, cannot be read", 1)
        while True:
            before = rows.line_num
            row: list[str] | None = None
            problem = None
            try:
                row = next(rows, None)
            except csv.Error as error:
                problem = f"the row cannot be read: {error}; check its quotes"
            yield from lines.take_unreadable()
            # Counted from its end, for unreadable lines before it are not in the parser's count.
            line = lines.number - (rows.line_num - before) + 1
            if problem is not None:
                yield source.reject(line, problem)
            elif row is None:
                return
            elif any(cell.strip() for cell in row):
                yield own_record(source, NAME, line, _fields(columns, row))


class _Lines:
    """The readable lines for the parser, and the others beside them."""

    def __init__(self, source: Source) -> None:
        self.number = 0
        """Of the line that was handed over last."""
        self._source = source
        self._unreadable: list[Rejection] = []

    def __iter__(self) -> Iterator[str]:
        for number, text, problem in self._source.lines():
            if problem is None:
                self.number = number
                yield text + "\n"
            else:
                self._unreadable.append(self._source.reject(number, problem))

    def take_unreadable(self) -> list[Rejection]:
        """Rejections since the last call."""
        taken, self._unreadable = self._unreadable, []
        return taken


def _delimiter(header: str) -> str | None:
    for delimiter in _DELIMITERS:
        try:
            cells = next(csv.reader([header.strip("\r")], delimiter=delimiter), [])
        except csv.Error:
            return None
        names = {cell.strip().lower() for cell in cells}
        if all(names.intersection(_COLUMNS[field]) for field in ("title", "abstract")):
            return delimiter
    return None


def _fields(columns: list[str], row: list[str]) -> dict[str, str]:
    cells = dict(zip(columns, row, strict=False))
    fields = {}
    for field, names in _COLUMNS.items():
        value = next((cells[name] for name in names if cells.get(name, "").strip()), None)
        if value is not None:
            fields[field] = value
    return fields
