"""The one door to the readers: files, folders and standard input become papers and rejections."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from citewise.errors import UsageError
from citewise.sources.arxiv import ArxivReader
from citewise.sources.base import HEAD_BYTES, Reader, ReadLimits, Source, SourceProblem
from citewise.sources.beir import BeirReader
from citewise.sources.bibtex import BibtexReader
from citewise.sources.csv_table import CsvReader
from citewise.sources.daily_papers import DailyPapersReader
from citewise.sources.jsonl import JsonlReader
from citewise.sources.openalex import OpenAlexReader
from citewise.sources.pubmed import PubmedReader
from citewise.sources.ris import RisReader
from citewise.types import Paper, Rejection, sha256_of

OnNote = Callable[[str], None]

_READERS: tuple[Reader, ...] = (
    PubmedReader(),
    OpenAlexReader(),
    DailyPapersReader(),
    ArxivReader(),
    BeirReader(),
    JsonlReader(),
    RisReader(),
    BibtexReader(),
    CsvReader(),
)
"""In the order in which they are asked: the most particular signs first."""

UNRECOGNISED = "the format is not recognised"
"""How the reason of a file begins that no reader takes for its own."""

FORMATS: Mapping[str, Reader] = MappingProxyType({reader.name: reader for reader in _READERS})
"""Every format that can be read, by the name that ``--format`` takes."""

_LIBRARY_SIGN = "papers.sqlite"
"""A folder with this file is a library of citewise."""
_GZIP = b"\x1f\x8b"
_CONTROL_BYTES = bytes(code for code in range(0x20) if code not in b"\t\n\v\f\r\x1b")
_O_BINARY: int = getattr(os, "O_BINARY", 0)
_O_NONBLOCK: int = getattr(os, "O_NONBLOCK", 0)
_MOST_CONTROLS = 0.05
"""Share of control bytes above which a file is no text; a few stray ones are cleaned away."""
_BINARY = "the file is not text; give titles and abstracts in one of the formats that are read"


def read(
    paths: Sequence[str | Path] | str | Path,
    *,
    format: str | None = None,  # noqa: A002  # the command's option has this name
    year: int | None = None,
    limits: ReadLimits | None = None,
    on_note: OnNote | None = None,
) -> Iterator[Paper | Rejection]:
    """Papers and rejections of every path in turn, as they are read.

    A path is a file, a folder (its files in sorted order, hidden ones skipped, links to folders and
    out of the folder not followed, pipes and devices neither) or ``-`` for standard input; each
    plain or gzip, told by its first bytes. The format is told from the first 64 KB unless
    ``format`` names one of FORMATS. ``year`` (1000 to 2999) is the year of dates that are printed
    without one. Whatever is wrong with a file becomes a Rejection, with line 0 where the whole
    file is meant, and the others are still read. ``on_note`` is given, after each file, what a
    person should know of it. Raises UsageError for an unknown format or year.
    """
    if format is not None and format not in FORMATS:
        raise UsageError(f"unknown format {format!r}; known are {', '.join(sorted(FORMATS))}")
    if year is not None and not 1000 <= year <= 2999:
        raise UsageError(f"year {year} is out of range; give the four digits, such as 2025")
    if isinstance(paths, str | Path):
        paths = [paths]
    return _read_all(list(paths), format, year, limits or ReadLimits(), on_note)


def recognise(head: str) -> str | None:
    """Name of the format of a file that starts with ``head`` (up to 64 KB), or None."""
    for reader in _READERS:
        if reader.recognises(head):
            return reader.name
    return None


def _read_all(
    paths: list[str | Path],
    name: str | None,
    year: int | None,
    limits: ReadLimits,
    on_note: OnNote | None,
) -> Iterator[Paper | Rejection]:
    for given in paths:
        if str(given) == "-":
            yield from _read_stream("-", sys.stdin.buffer, name, year, limits, on_note=on_note)
            continue
        for path in _files(Path(given)):
            if isinstance(path, Rejection):
                yield path
                continue
            try:
                stream = _opened(path)
            except (OSError, ValueError) as error:
                yield Rejection(_shown(path), 0, _why(error))
                continue
            with stream:
                yield from _read_stream(
                    _shown(path), stream, name, year, limits, _folder(path), on_note
                )


def _opened(path: Path) -> BinaryIO:
    """The file to read; raises OSError or ValueError.

    A pipe that nobody writes to is empty, where it would otherwise be waited for without end.
    """
    handle = os.open(path, os.O_RDONLY | _O_BINARY | _O_NONBLOCK)
    try:
        kind = os.fstat(handle).st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            raise ValueError("it is a device")
        if _O_NONBLOCK:
            os.set_blocking(handle, True)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _shown(path: Path) -> str:
    """The file's name in characters that can be stored and shown."""
    return "".join(char if char.isprintable() else "\ufffd" for char in path.name)


def _folder(path: Path) -> str:
    return sha256_of(str(path.resolve().parent))[:12]


def _why(error: OSError | ValueError) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be opened ({reason.lower()}); check the path and its permissions"


def _files(path: Path) -> Iterator[Path | Rejection]:
    try:
        is_folder = path.is_dir()
        exists = is_folder or path.exists()
    except (OSError, ValueError) as error:
        yield Rejection(_shown(path) or str(path), 0, _why(error))
        return
    if not exists:
        yield Rejection(_shown(path) or str(path), 0, "there is no such file; check the path")
        return
    if not is_folder:
        yield path
        return
    empty = True
    problems: list[OSError] = []
    for folder, folders, files in os.walk(path, onerror=problems.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if _LIBRARY_SIGN in files:
            # A library among the papers is filled from them, not read for them.
            folders.clear()
            continue
        for name in sorted(files):
            file = Path(folder, name)
            if not name.startswith(".") and file.is_file():
                empty = False
                if file.is_symlink() and not file.resolve().is_relative_to(path.resolve()):
                    reason = "a link out of the folder is not followed; name the file itself"
                    yield Rejection(_shown(file), 0, reason)
                    continue
                yield file
    for problem in problems:
        yield Rejection(_shown(Path(str(problem.filename))), 0, _why(problem))
    if empty and not problems:
        yield Rejection(_shown(path) or str(path), 0, "the folder holds no file; check the path")


def _read_stream(
    name: str,
    stream: BinaryIO,
    format_name: str | None,
    year: int | None,
    limits: ReadLimits,
    folder: str = "",
    on_note: OnNote | None = None,
) -> Iterator[Paper | Rejection]:
    count = rejected = 0
    line = unlisted = 0
    source: Source | None = None
    try:
        source = Source(name, _plain(stream), limits=limits, year=year, folder=folder)
        for item in _reader(source, format_name).read(source):
            count += 1
            line = item.line if isinstance(item, Rejection) else item.places[0].line
            rejected += isinstance(item, Rejection)
            if rejected <= limits.max_rejections or isinstance(item, Paper):
                yield item
            else:
                unlisted = unlisted or line
            if count >= limits.max_records:
                raise SourceProblem(
                    f"{limits.max_records} records were read, the rest was not; split the file, "
                    "or raise ReadLimits.max_records"
                )
    except SourceProblem as problem:
        where = f" (after line {line})" if line and not problem.line else ""
        yield Rejection(name, problem.line, problem.reason + where)
    if unlisted:
        more = rejected - limits.max_rejections
        reason = f"this and all further bad records of the file, {more} in all, are not listed"
        yield Rejection(name, unlisted, reason, count=more)
    if source is not None and source.hidden and on_note is not None:
        lines = ", ".join(map(str, source.hiding)) + (" ..." if source.hidden > 3 else "")
        on_note(
            f"{name}: characters that nobody can see were removed from {source.hidden} "
            f"record{'' if source.hidden == 1 else 's'} (line {lines})"
        )


def _plain(stream: BinaryIO) -> io.BufferedIOBase:
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]  # any binary stream can be buffered
    try:
        start = buffered.peek(2)[:2]
    except OSError as error:
        raise SourceProblem(_why(error)) from None
    return gzip.GzipFile(fileobj=buffered) if start == _GZIP else buffered


def _reader(source: Source, name: str | None) -> Reader:
    if not source.head.strip():
        raise SourceProblem("the file is empty; give one with papers in it")
    if _controls(source.head) > len(source.head) * _MOST_CONTROLS:
        raise SourceProblem(_BINARY)
    if name is not None:
        return FORMATS[name]
    for reader in _READERS:
        if reader.recognises(source.head_text):
            return reader
    if _controls(source.head) or source.head.startswith(b"%PDF-"):
        raise SourceProblem(_BINARY)
    if "\ufffd" in source.head_text and not _is_utf8(source.head):
        raise SourceProblem("the file is not UTF-8 text; save it in that encoding and try again")
    raise SourceProblem(
        f"{UNRECOGNISED}, no paper was found in it; export it anew as one of these: "
        f"{', '.join(sorted(FORMATS))}"
    )


def _controls(head: bytes) -> int:
    return len(head) - len(head.translate(None, _CONTROL_BYTES))


def _is_utf8(head: bytes) -> bool:
    try:
        # The last character of a full head may be cut.
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD_BYTES)
    except UnicodeDecodeError:
        return False
    return True
