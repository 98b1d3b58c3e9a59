"""Records in XML, one element at a time, without entities and without holding the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException  # type: ignore[import-untyped]  # it has no stubs
from defusedxml.ElementTree import DefusedXMLParser  # type: ignore[import-untyped]

from citewise.sources.base import Source, SourceProblem

_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*?encoding=["']([A-Za-z0-9._-]+)["']""")
# Stands in for the root when reading goes on behind damage; declares the prefixes of the feeds.
_ROOT = (
    b'<again xmlns:arxiv="http://arxiv.org/schemas/atom" '
    b'xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">'
)


class XmlRecord(NamedTuple):
    """One element, its tags without namespaces, or why there is none."""

    line: int
    element: Element | None
    problem: str | None = None


class _Target:
    """Receives the parser's events and builds only the elements asked for."""

    def __init__(self, names: frozenset[str], source: Source) -> None:
        self.done: list[tuple[int, Element]] = []
        self.line = 0
        self.position: Callable[[], int] = int
        self.building: TreeBuilder | None = None
        self.events = 0
        """Tags and texts so far."""
        self._names = names
        self._depth = 0
        self._inside = 0
        self._most = source.limits.max_depth

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.events += 1
        self._depth += 1
        if self._depth > self._most:
            raise SourceProblem(f"nested deeper than {self._most} levels", self.position())
        name = _local(tag)
        if self.building is None:
            if name not in self._names:
                return
            self.building = TreeBuilder()
            self.line = self.position()
            self._inside = 0
        self._inside += 1
        self.building.start(name, attributes)

    def end(self, tag: str) -> None:
        self.events += 1
        self._depth -= 1
        if self.building is None:
            return
        self.building.end(_local(tag))
        self._inside -= 1
        if self._inside == 0:
            self.done.append((self.line, self.building.close()))
            self.building = None

    def data(self, text: str) -> None:
        self.events += 1
        if self.building is not None:
            self.building.data(text)

    def close(self) -> None:
        """Nothing is left to hand over."""


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


class _Parser:
    """One run of the parser, from the start of the file or from behind damage."""

    def __init__(
        self, names: frozenset[str], source: Source, encoding: str | None, line: int
    ) -> None:
        self.target = _Target(names, source)
        self._parser = DefusedXMLParser(target=self.target, encoding=encoding)
        self._first = line - 1
        self.target.position = self.line

    def line(self) -> int:
        """Line of the file that is being parsed."""
        return self._first + int(self._parser.parser.CurrentLineNumber)

    def at(self) -> int:
        """Byte of this run at which parsing stopped."""
        return int(self._parser.parser.ErrorByteIndex)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
        except DefusedXmlException:
            raise
        except (LookupError, ValueError) as error:
            # An encoding that nobody knows, or one that the parser can't read.
            what = f"unusable XML: {error}; save the file as UTF-8"
            raise SourceProblem(what, self.line()) from None

    def close(self) -> None:
        self._parser.close()


def xml_records(source: Source, names: frozenset[str]) -> Iterator[XmlRecord]:
    """Every element named in ``names`` (without namespace) with the line it starts at.

    Entities and external references are refused. Behind malformed XML reading goes on with the
    next such element; the damaged one is a problem. Raises SourceProblem.
    """
    start = re.compile(rb"<(?:[\w.-]+:)?(?:%s)[\s>]" % b"|".join(n.encode() for n in sorted(names)))
    found = _ENCODING.match(source.head.removeprefix(b"\xef\xbb\xbf"))
    encoding = found[1].decode("ascii") if found else None
    parser = _Parser(names, source, None, 1)
    fed = 0
    since = unended = events = 0
    lost = b""
    searching = recovered = False
    line = 1
    for chunk in source.chunks():
        data = chunk
        while data:
            if searching:
                # The sign of the next record may lie across two pieces.
                data, lost = lost + data, b""
                sign = start.search(data)
                if sign is None:
                    lost = data[-200:]
                    line += data.count(b"\n", 0, len(data) - len(lost))
                    break
                line += data.count(b"\n", 0, sign.start())
                data = data[sign.start() :]
                parser = _Parser(names, source, encoding, line)
                parser.feed(_ROOT)
                fed, since, searching, recovered = len(_ROOT), 0, False, True
                unended = events = 0
            try:
                parser.feed(data)
            except DefusedXmlException as error:
                yield from _done(parser)
                raise SourceProblem(
                    f"the XML declares entities or refers to other files "
                    f"({type(error).__name__}), which is refused; export it without",
                    parser.line(),
                ) from None
            except ParseError as error:
                yield from _done(parser)
                line = parser.line()
                broken = parser.target.building is not None
                # Behind damage the root that closes is not the one that was opened.
                if broken or not recovered:
                    yield XmlRecord(
                        parser.target.line if broken else line,
                        None,
                        f"malformed XML in line {line}: {_reason(error)}",
                    )
                behind = max(parser.at() - fed, 0)
                searching, lost = True, b""
                line += data.count(b"\n", behind, behind + 1)
                data = data[behind + 1 :]
                continue
            except SourceProblem:
                yield from _done(parser)
                raise
            fed += len(data)
            finished = bool(parser.target.done)
            since = 0 if finished or parser.target.building is None else since + len(data)
            yield from _done(parser)
            # A tag or comment that does not end is held by the parser and read again each time.
            unended = unended + len(data) if parser.target.events == events else 0
            events = parser.target.events
            if unended > source.limits.max_line_bytes:
                raise SourceProblem(
                    f"one tag or comment is longer than {source.limits.max_line_bytes} bytes",
                    parser.line(),
                )
            if since > source.limits.max_line_bytes:
                raise SourceProblem(
                    f"one record is longer than {source.limits.max_line_bytes} bytes",
                    parser.target.line,
                )
            data = b""
    if searching:
        return
    try:
        parser.close()
    except ParseError as error:
        yield from _done(parser)
        if parser.target.building is not None or not recovered:
            yield XmlRecord(
                parser.target.line, None, f"the XML ends too early: {_reason(error)}; copy it again"
            )


def _reason(error: ParseError) -> str:
    return str(error).partition(":")[0]


def _done(parser: _Parser) -> Iterator[XmlRecord]:
    for line, element in parser.target.done:
        yield XmlRecord(line, element)
    parser.target.done.clear()
