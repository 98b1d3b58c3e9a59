"""The Daily Papers page: its saved text, and the JSON of its public API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from citewise.sources.base import Source, SourceProblem, make_paper, names_of
from citewise.sources.dates import is_date
from citewise.sources.json_records import head_records, json_records
from citewise.types import Paper, Rejection

NAME = "daily-papers"

_PAGE_LINES = frozenset(
    {
        "new",
        "Get trending papers in your email inbox!",
        "Subscribe",
        "Daily Papers",
        "byAK and the research community",
        "by AK and the research community",
    }
)
_SURE_PAGE_LINES = _PAGE_LINES - {"new", "Subscribe", "Daily Papers"}
_DOT = "·"
_AUTHORS = re.compile(r"[•*-]?\s*(\d[\d,]{0,6}) authors?", re.ASCII)
_DATE_AND_COMMENTS = re.compile(r"(.*\S?)\s+(\d{1,5})", re.ASCII)
_COMMENTS = re.compile(r"\d{1,5}", re.ASCII)
_SENTENCE_END = re.compile(r"[.!?][)\]\"'”’]*\s+\S")
_LONGEST_TITLE = 300
"""Characters; the longest of the five sample pages has 176, arXiv's own form allows about 250."""


@dataclass(slots=True)
class _Record:
    """One record while its lines come in."""

    line: int
    title: str
    abstract: str = ""
    author_count: int | None = None
    organization: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class _Metadata:
    line: int
    author_count: int | None
    organization: str | None
    date: str | None


@dataclass(frozen=True, slots=True)
class _Text:
    line: int
    text: str


class DailyPapersReader:
    """Reads the saved text of the page in both its layouts, and the API's JSON.

    A record of the text is a title line, an abstract, and in one layout a block of author count or
    organisation, ``·``, date and perhaps a number of comments. Header lines and the page's own date
    belong to no paper. A date without year stays ``date_text`` unless the source names the year.
    The organisation is kept as printed.
    """

    name = NAME

    def recognises(self, head: str) -> bool:
        """By two of the page's own lines, a metadata block, or an object with a ``paper``."""
        for record in head_records(head):
            paper = record.get("paper")
            if isinstance(paper, dict) and ("title" in paper or "summary" in paper):
                return True
        if head.lstrip()[:1] in ("{", "["):
            return False
        lines = [line.strip() for line in head.split("\n")]
        if any(line in _SURE_PAGE_LINES for line in lines):
            return True
        return any(
            line == _DOT and _AUTHORS.fullmatch(lines[at - 1])
            for at, line in enumerate(lines)
            if at
        )

    def read(self, source: Source) -> Iterator[Paper | Rejection]:
        """Papers and rejections in the order of the page."""
        if source.head_text.lstrip()[:1] in ("{", "["):
            yield from _read_json(source)
            return
        found = False
        for item in _read_text(source):
            found = True
            yield item
        if not found:
            raise SourceProblem("the page holds no paper; save it again with the list visible")


class _Assembly:
    """Puts lines together to records, one open record at a time."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._record: _Record | None = None
        self._doubtful: _Text | None = None
        """Where an abstract was due, but it looks like the next title: the next item decides."""

    def metadata(self, item: _Metadata) -> Iterator[Paper | Rejection]:
        """A metadata block ends the record before it."""
        if self._record is None:
            yield self._source.reject(item.line, "author count and date without a paper before")
            return
        if self._doubtful is not None:
            self._record.abstract = self._doubtful.text
        self._record.author_count = item.author_count
        self._record.organization = item.organization
        self._record.date = item.date
        self._doubtful = None
        yield from self.close()

    def text(self, item: _Text) -> Iterator[Paper | Rejection]:
        """A title or an abstract, whichever is due and it looks like."""
        if self._doubtful is not None:
            title, self._doubtful = self._doubtful, None
            yield from self.close()
            self._record = _Record(title.line, title.text)
        record = self._record
        if record is not None and not record.abstract:
            if _is_title(item.text):
                self._doubtful = item
            else:
                record.abstract = item.text
            return
        yield from self.close()
        if len(item.text) <= _LONGEST_TITLE:
            self._record = _Record(item.line, item.text)
        else:
            yield self._source.reject(item.line, "an abstract without a title before it", item.text)

    def close(self) -> Iterator[Paper | Rejection]:
        """The open records as they are."""
        if self._record is not None:
            yield _close(self._source, self._record)
        if self._doubtful is not None:
            yield _close(self._source, _Record(self._doubtful.line, self._doubtful.text))
        self._record = self._doubtful = None


def _read_text(source: Source) -> Iterator[Paper | Rejection]:
    assembly = _Assembly(source)
    for item in _items(source):
        if isinstance(item, Rejection):
            yield item
        elif isinstance(item, _Metadata):
            yield from assembly.metadata(item)
        else:
            yield from assembly.text(item)
    yield from assembly.close()


def _is_title(text: str) -> bool:
    """Whether a line where an abstract is due is rather the next title."""
    return (
        len(text) <= _LONGEST_TITLE
        and text[-1:] not in {".", "!"}
        and not _SENTENCE_END.search(text)
    )


def _close(source: Source, record: _Record) -> Paper | Rejection:
    return make_paper(
        source,
        NAME,
        record.line,
        title=record.title,
        abstract=record.abstract,
        author_count=record.author_count,
        organization=record.organization,
        date=record.date,
    )


def _items(source: Source) -> Iterator[_Text | _Metadata | Rejection]:
    """Titles and abstracts, metadata blocks, and lines that cannot be read."""
    for paragraph in _paragraphs(source):
        if isinstance(paragraph, Rejection):
            yield paragraph
            continue
        yield from _split(paragraph)


def _paragraphs(source: Source) -> Iterator[list[tuple[int, str]] | Rejection]:
    paragraph: list[tuple[int, str]] = []
    size = 0
    for number, raw, problem in source.lines():
        if problem is not None:
            yield source.reject(number, problem)
            continue
        text = raw.strip()
        # A whole file without an empty line is cut into pieces that fit the memory.
        if paragraph and (not text or size > source.limits.max_line_bytes):
            yield paragraph
            paragraph, size = [], 0
        if text and text not in _PAGE_LINES:
            paragraph.append((number, text))
            size += len(text)
    if paragraph:
        yield paragraph


def _split(paragraph: list[tuple[int, str]]) -> Iterator[_Text | _Metadata]:
    texts: list[tuple[int, str]] = []
    at = 0
    while at < len(paragraph):
        block = _metadata_at(paragraph, at)
        if block is None:
            texts.append(paragraph[at])
            at += 1
            continue
        yield from _joined(texts)
        texts = []
        metadata, at = block
        yield metadata
    yield from _joined(texts)


def _metadata_at(paragraph: list[tuple[int, str]], at: int) -> tuple[_Metadata, int] | None:
    """The metadata block that starts at line ``at`` and the line behind it."""
    line, text = paragraph[at]
    authors = _AUTHORS.fullmatch(text)
    organization = None
    after = at
    if authors:
        after += 1
    elif text != _DOT:
        # An organisation is only known by the dot below it.
        if at + 1 >= len(paragraph) or paragraph[at + 1][1] != _DOT:
            return None
        organization = text
        after += 1
    if after < len(paragraph) and paragraph[after][1] == _DOT:
        after += 1
    date = None
    if after < len(paragraph):
        date = _date(paragraph[after][1])
        if date is not None:
            after += 1
            if after < len(paragraph) and _COMMENTS.fullmatch(paragraph[after][1]):
                after += 1
    count = int(authors[1].replace(",", "")) if authors else None
    return _Metadata(line, count, organization, date), after


def _date(text: str) -> str | None:
    """The date of ``Oct 12, 2024`` or ``Oct 27 1``, whose last number counts comments."""
    if is_date(text):
        return text
    match = _DATE_AND_COMMENTS.fullmatch(text)
    return match[1] if match and is_date(match[1]) else None


def _joined(texts: list[tuple[int, str]]) -> Iterator[_Text]:
    # The page's own date, or a date left over: no paper has a date for its title.
    texts = [(line, text) for line, text in texts if not is_date(text)]
    if not texts:
        return
    if any(len(text) > _LONGEST_TITLE for _, text in texts):
        # Lines that long were not wrapped, so each is a title or an abstract of its own.
        for line, text in texts:
            yield _Text(line, text)
    else:
        yield _Text(texts[0][0], " ".join(text for _, text in texts))


def _read_json(source: Source) -> Iterator[Paper | Rejection]:
    for line, value, problem in json_records(source):
        if value is None:
            yield source.reject(line, problem or "no object")
            continue
        paper = value.get("paper")
        # One paper asked for by its id comes without the wrapping object.
        fields = paper if isinstance(paper, dict) else value
        arxiv = fields.get("id")
        organization = fields.get("organization") or value.get("organization")
        if isinstance(organization, dict):
            organization = organization.get("fullname") or organization.get("name")
        authors = names_of(fields.get("authors"))
        yield make_paper(
            source,
            NAME,
            line,
            title=fields.get("title") or value.get("title"),
            abstract=fields.get("summary") or value.get("summary"),
            paper_id=arxiv,
            authors=authors,
            author_count=len(authors) or None,
            date=_text(fields.get("publishedAt")),
            url=f"https://huggingface.co/papers/{arxiv}" if isinstance(arxiv, str) else None,
            organization=organization,
            arxiv_id=arxiv if isinstance(arxiv, str) else None,
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
