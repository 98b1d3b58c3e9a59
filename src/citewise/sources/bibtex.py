"""BibTeX and BibLaTeX exports of Zotero, Mendeley, EndNote and others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from citewise.sources.base import Source, make_paper
from citewise.sources.dates import iso_date
from citewise.sources.identity import arxiv_id_of, doi_of
from citewise.types import Paper, Rejection

if TYPE_CHECKING:
    from bibtexparser.model import Entry

NAME = "bibtex"
_BLOCK = re.compile(r"^[ \t]*@[ \t]*([A-Za-z]+)[ \t]*[{(]", re.MULTILINE)
_ENTRY_SIGN = re.compile(r"^[ \t]*@[ \t]*[A-Za-z]+[ \t]*[{(][^\n{}=]*,?[ \t]*$", re.MULTILINE)
_NOT_PAPERS = frozenset({"comment", "preamble", "string"})
_AT_ONCE = 100
"""Entries handed to the parser together; it is not a streaming one."""
_MOST_STRINGS = 10_000
_YEAR = re.compile(r"\d{4}", re.ASCII)


class _Batch(NamedTuple):
    first: int
    """Line of the file at which the text starts."""
    text: str


class BibtexReader:
    """Reads BibTeX through bibtexparser, with LaTeX accents and braces resolved by pylatexenc.

    The id is the arXiv id or DOI of the entry, else derived; the citation key is not kept, for it
    differs between libraries. ``and others`` leaves the author count open.
    """

    name = NAME

    def recognises(self, head: str) -> bool:
        """By the first line of an entry."""
        if head.lstrip("\ufeff \t\r\n")[:1] in ("{", "[", "<"):
            return False
        return bool(_ENTRY_SIGN.search(head.replace("\r", "")) or _BLOCK.match(head.lstrip()))

    def read(self, source: Source) -> Iterator[Paper | Rejection]:
        """Papers and rejections in the order of the file, those of one batch sorted by line."""
        # The parser takes 90 ms to import, which only this format should pay.
        from bibtexparser.entrypoint import parse_string  # noqa: PLC0415
        from bibtexparser.model import DuplicateBlockKeyBlock, Entry  # noqa: PLC0415

        strings: dict[str, str] = {}
        for batch in _batches(source):
            if isinstance(batch, Rejection):
                yield batch
                continue
            # Kept on one line, so that the parser's line numbers stay those of the batch.
            before = "".join(f"\n@string{{{key} = {{{text}}}}}" for key, text in strings.items())
            library = parse_string(before + "\n" + batch.text)
            offset = batch.first - 1 - before.count("\n")
            items: list[tuple[int, Paper | Rejection]] = []
            for block in library.blocks:
                line = offset + (block.start_line or 0)
                entry = block
                if isinstance(block, DuplicateBlockKeyBlock) and isinstance(
                    block.ignore_error_block, Entry
                ):
                    # Two entries with one key are two papers.
                    entry = block.ignore_error_block
                if isinstance(entry, Entry):
                    items.append((line, _paper(source, line, entry)))
            for block in library.failed_blocks:
                if not isinstance(block, DuplicateBlockKeyBlock):
                    line = offset + (block.start_line or 0)
                    items.append((line, _failed(source, line, str(block.error))))
            for text in library.strings:
                if len(strings) < _MOST_STRINGS and isinstance(text.value, str):
                    strings[text.key] = " ".join(text.value.split())
            yield from (item for _, item in sorted(items, key=lambda pair: pair[0]))


def _failed(source: Source, line: int, error: str) -> Rejection:
    reason = " ".join(error.split())[:200]
    why = f": {reason}" if reason else ""
    return source.reject(line, f"the entry cannot be read{why}; check its braces and commas")


def _batches(source: Source) -> Iterator[_Batch | Rejection]:
    lines: list[str] = []
    first = 1
    entries = size = 0
    for number, raw, problem in source.lines():
        text = raw
        if problem is not None:
            yield source.reject(number, problem)
            text = ""
        starts = bool(_BLOCK.match(text))
        if starts and (entries >= _AT_ONCE or size > source.limits.max_line_bytes):
            yield _Batch(first, "\n".join(lines))
            lines, first, entries, size = [], number, 0, 0
        if size > 4 * source.limits.max_line_bytes:
            # Nothing that long is an entry; its end is found again at the next one.
            yield source.reject(first, "the entry does not end; check its braces")
            lines, first, size = [], number, 0
        entries += starts
        size += len(text) + 1
        lines.append(text)
    if lines:
        yield _Batch(first, "\n".join(lines))


def _paper(source: Source, line: int, entry: Entry) -> Paper | Rejection:
    # Decoding is slow to import and only wanted here.
    from citewise.sources.latex import latex_to_text  # noqa: PLC0415

    fields = {
        field.key.lower(): field.value for field in entry.fields if isinstance(field.value, str)
    }
    people, complete = _people(fields.get("author", ""))
    address = _bare(fields.get("url", ""))
    eprint = fields.get("eprint", "").strip()
    archive = (fields.get("archiveprefix") or fields.get("eprinttype") or "arxiv").strip("{} ")
    arxiv = arxiv_id_of(eprint.strip("{} ")) if archive.lower() == "arxiv" else None
    arxiv = arxiv or arxiv_id_of(address)
    doi = doi_of(_bare(fields.get("doi", "")))
    authors = [latex_to_text(name) for name in people]
    date, printed = _date(fields)
    organization = fields.get("institution") or fields.get("organization")
    return make_paper(
        source,
        NAME,
        line,
        title=latex_to_text(fields.get("title", "")),
        abstract=latex_to_text(fields.get("abstract", "")),
        paper_id=arxiv or doi,
        authors=authors,
        author_count=len(authors) if authors and complete else None,
        date=date,
        date_text=printed,
        url=address or None,
        organization=latex_to_text(organization) if organization else None,
        arxiv_id=arxiv,
        doi=doi,
    )


def _bare(text: str) -> str:
    r"""An address or DOI without the braces, ``\url`` and escapes around it."""
    text = text.strip().removeprefix("\\url").strip("{} ")
    return re.sub(r"\\([_%&#~])", r"\1", text).replace("{\\_}", "_")


def _people(names: str) -> tuple[list[str], bool]:
    """Names as ``First von Last``, and whether they are all of them."""
    from bibtexparser.middlewares.names import split_multiple_persons_names  # noqa: PLC0415

    people = [name for name in split_multiple_persons_names(names) if name.strip()]
    complete = not people or people[-1].strip().lower() != "others"
    return [_in_order(name) for name in (people if complete else people[:-1])], complete


def _in_order(name: str) -> str:
    """``Last, First`` and ``Last, Jr, First`` as a person would write them."""
    if name.strip().startswith("{") or "," not in name:
        return name
    parts = [part.strip() for part in name.split(",")]
    if len(parts) == 2:
        return f"{parts[1]} {parts[0]}"
    return f"{parts[2]} {parts[0]} {parts[1]}"


def _date(fields: dict[str, str]) -> tuple[str | None, str | None]:
    """The day, month or year of the entry, and the words where they say more than that."""
    whole = fields.get("date", "").strip("{} ")
    if whole:
        # BibLaTeX writes a span of time as 2024-10/2024-11; its start counts.
        return iso_date(whole) or iso_date(whole.partition("/")[0]), whole
    year = fields.get("year", "").strip("{} ")
    if not _YEAR.fullmatch(year):
        return None, year or None
    month = re.sub(r'[{}".]', "", fields.get("month", "")).strip()
    day = fields.get("day", "").strip("{} ")
    for text in (
        f"{year}-{month}-{day}",
        f"{year} {month} {day}",
        f"{year}-{month}",
        f"{year} {month}",
    ):
        found = iso_date(text)
        if found and month:
            return found, " ".join(part for part in (year, month, day) if part)
    return year, " ".join(part for part in (year, month) if part)
