"""What every reader shares: an opened source, its lines, its limits, and the making of a paper."""

from __future__ import annotations

import codecs
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from citewise.errors import UsageError
from citewise.sources.dates import iso_date
from citewise.sources.identity import arxiv_id_of, derive_id, doi_of
from citewise.sources.text import clean, hides
from citewise.types import Paper, Place, Rejection

HEAD_BYTES = 65536
"""How much of a file is looked at to recognise its format."""
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds that keep a hostile or broken file from taking the machine down; all at least 1."""

    max_file_bytes: int = 32 * 2**30
    """Bytes of one file after decompression; the rest is not read."""
    max_line_bytes: int = 16 * 2**20
    """Bytes of one line, or of one record where records span lines."""
    max_records: int = 20_000_000
    """Papers and rejections of one file."""
    max_depth: int = 64
    """Levels of nesting in JSON and XML."""
    max_text_chars: int = 200_000
    """Characters of a title or an abstract; the longest abstracts of PubMed have some 20,000."""
    max_rejections: int = 10_000
    """Rejections of one file that are listed; further ones are only counted."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise UsageError(
                    f"The limit {name} is {value!r}; it must be a whole number from 1."
                )


class SourceProblem(Exception):  # noqa: N818  # it never leaves this package: it ends one file
    """One file cannot be read further; becomes a rejection, the next file is read."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class Line(NamedTuple):
    """One line of a text file."""

    number: int
    """Counted from 1."""
    text: str
    """Without its end; empty when there is a problem."""
    problem: str | None = None
    """Why it cannot be read."""


class Source:
    """One opened file: decompressed, in UTF-8, read once and in pieces."""

    def __init__(
        self,
        name: str,
        stream: io.BufferedIOBase,
        *,
        limits: ReadLimits,
        year: int | None = None,
        folder: str = "",
    ) -> None:
        self.name = name
        self.folder = folder
        self.limits = limits
        self.year = year
        self.hiding: list[int] = []
        """Lines of the records in which something was hidden, as long as they are few."""
        self.hidden = 0
        """Records in which characters that nobody can see were found and removed."""
        self._stream = stream
        self._taken = 0
        self._pending: list[bytes] = []
        self._damage: SourceProblem | None = None
        self.head = self._take_head()
        if self.head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self._chunks = self._from_utf16()
            first = next(self._chunks, b"")
            self.head = first
            self._chunks = _chain(first, self._chunks)
        else:
            self._chunks = self._raw()
        self.head_text = self.head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")

    def _read(self) -> bytes:
        try:
            # One raw read at a time: what precedes damage in a compressed file is not lost with it.
            data = self._stream.read1(_CHUNK)
        except EOFError:
            raise SourceProblem("the compressed file ends too early; copy it again") from None
        except (OSError, zlib.error) as error:
            raise SourceProblem(f"reading stopped: {error}; check the file") from None
        self._taken += len(data)
        if self._taken > self.limits.max_file_bytes:
            raise SourceProblem(
                f"larger than {self.limits.max_file_bytes} bytes when decompressed; "
                "split it, or raise ReadLimits.max_file_bytes"
            )
        return data

    def _take_head(self) -> bytes:
        size = 0
        while size < HEAD_BYTES:
            try:
                data = self._read()
            except SourceProblem as problem:
                # What came before the damage is still worth reading; the reader meets it later.
                self._damage = problem
                break
            if not data:
                break
            self._pending.append(data)
            size += len(data)
        if self._damage is not None and size == 0:
            raise self._damage
        return b"".join(self._pending)

    def _raw(self) -> Iterator[bytes]:
        yield from self._pending
        self._pending.clear()
        if self._damage is not None:
            raise self._damage
        while data := self._read():
            yield data

    def _from_utf16(self) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder("utf-16")()
        try:
            for data in self._raw():
                yield decoder.decode(data).encode("utf-8", "surrogatepass")
            yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise SourceProblem("broken UTF-16; save the file as UTF-8") from None

    def chunks(self) -> Iterator[bytes]:
        """The bytes, piece by piece, once. Raises SourceProblem where they cannot be read on."""
        return self._chunks

    def lines(self) -> Iterator[Line]:
        """The lines, once, ended by LF or CRLF; too long or badly encoded ones as problems.

        Raises SourceProblem where the file cannot be read on; what came before is complete.
        """
        limit = self.limits.max_line_bytes
        number = 1
        rest = b""
        skipping = False
        for data in self._chunks:
            pieces = (rest + data).split(b"\n")
            rest = pieces.pop()
            for piece in pieces:
                if skipping or len(piece) > limit:
                    yield _too_long(number, limit)
                    skipping = False
                else:
                    yield _line(number, piece)
                number += 1
            if len(rest) > limit:
                rest, skipping = b"", True
        if skipping:
            yield _too_long(number, limit)
        elif rest:
            yield _line(number, rest)

    def note_hidden(self, line: int) -> None:
        """The record that starts at ``line`` held characters whose only use is to be unseen."""
        self.hidden += 1
        if len(self.hiding) < 3:
            self.hiding.append(line)

    def reject(self, line: int, reason: str, title: str | None = None) -> Rejection:
        """A rejection of the record that starts at ``line`` (0 for the whole file)."""
        title = clean(title)[:200] if title else None
        return Rejection(self.name, line, reason, title or None)


def _chain(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


def _too_long(number: int, limit: int) -> Line:
    return Line(number, "", f"the line is longer than {limit} bytes")


def _line(number: int, data: bytes) -> Line:
    if number == 1:
        data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return Line(number, data.removesuffix(b"\r").decode("utf-8"))
    except UnicodeDecodeError:
        return Line(number, "", "the line is not UTF-8; save the file in that encoding")


class Reader(Protocol):
    """Reads one format: recognises it, and yields its records one by one."""

    @property
    def name(self) -> str:
        """As the command's ``--format`` takes it."""
        ...

    def recognises(self, head: str) -> bool:
        """Whether a file that starts with ``head`` (up to 64 KB) is of this format."""
        ...

    def read(self, source: Source) -> Iterator[Paper | Rejection]:
        """Papers and rejections in the order of the file. Raises SourceProblem alone."""
        ...


def make_paper(
    source: Source,
    reader: str,
    line: int,
    *,
    title: object,
    abstract: object,
    paper_id: object = None,
    authors: Iterable[str] = (),
    author_count: int | None = None,
    date: str | int | None = None,
    date_text: str | None = None,
    given_source: object = None,
    url: object = None,
    organization: object = None,
    arxiv_id: str | None = None,
    doi: object = None,
    untitled: bool = False,
) -> Paper | Rejection:
    """A paper from the fields of one record, cleaned; a rejection without title or abstract.

    ``untitled`` accepts a record whose title is empty, as some collections have them.

    ``paper_id`` is kept as it is, else the id is derived from title and abstract. ``date_text`` is
    the date as printed where that differs from ``date``; a date that is no date is kept as text.
    ``given_source`` stands for the reader's name where the record names its source. arXiv ids and
    DOIs are also taken from ``url``.
    """
    title = title if isinstance(title, str) else ""
    abstract = abstract if isinstance(abstract, str) else ""
    most = source.limits.max_text_chars
    if len(title) > most or len(abstract) > most:
        what, long = ("title", title) if len(title) > most else ("abstract", abstract)
        reason = f"the {what} has {len(long)} characters; at most {most} are read"
        return source.reject(line, reason, title[:300])
    if hides(title) or hides(abstract):
        source.note_hidden(line)
    title = clean(title)
    abstract = clean(abstract)
    if not title and not untitled:
        return source.reject(line, "the record has no title", abstract or None)
    if not abstract:
        return source.reject(line, "the record has no abstract", title)
    given = _word(paper_id)
    people = tuple(name for name in map(clean, authors) if name)
    day = clean(str(date)) if date is not None and not isinstance(date, bool) else ""
    address = _word(url)
    doi_text = _word(doi)
    return Paper(
        id=given or derive_id(title, abstract),
        title=title,
        abstract=abstract,
        authors=people,
        author_count=author_count,
        published=iso_date(day, year=source.year) if day else None,
        date_text=clean(date_text or "") or day or None,
        url=address,
        source=_word(given_source) or reader,
        organization=_word(organization),
        arxiv_id=arxiv_id_of(arxiv_id) or arxiv_id_of(address) or arxiv_id_of(doi_text),
        doi=doi_of(doi_text) or doi_of(address),
        places=(Place(reader, source.name, line, source.folder),),
    )


def _word(value: object) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return (clean(value) or None) if isinstance(value, str) else None


def names_of(value: object) -> tuple[str, ...]:
    """Authors from a list of names, a list of ``{"name"}`` objects, or names joined by ``;``."""
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(";") if name.strip())
    if not isinstance(value, Sequence):
        return ()
    names = (item.get("name") if isinstance(item, dict) else item for item in value)
    return tuple(name for name in names if isinstance(name, str) and name.strip())
