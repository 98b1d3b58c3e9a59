"""Records in JSON: one object a line, a list, or a list inside an object; read piece by piece."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from citewise.sources.base import Source

_BLANKS = re.compile(r"[\s,]*")
_LIST_INSIDE = re.compile(r'"(?:results|papers|works|data)"\s*:\s*\[')
# Possessive, and an open string reaches to the end: each character is looked at once.
_STRINGS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_NO_BRACKETS = re.compile(r"[^\[\]{}]+")


class JsonRecord(NamedTuple):
    """One object of a JSON file, or why it is none."""

    line: int
    value: dict[str, Any] | None
    problem: str | None = None


def _missing(_: str) -> None:
    """NaN and Infinity are no JSON; data frames write them for a missing value."""


_DECODER = json.JSONDecoder(parse_constant=_missing)


def head_records(head: str) -> Iterator[dict[str, Any]]:
    """The first objects that stand complete in ``head``, however the file is laid out."""
    start = head.lstrip()
    if start[:1] not in ("[", "{"):
        return
    if start.startswith("{"):
        for text in start.split("\n")[:50]:
            value = _object(text)
            if value is not None:
                yield value
    if start.startswith("["):
        start = start[1:]
    elif inside := _LIST_INSIDE.search(start):
        start = start[inside.end() :]
    for _ in range(3):
        start = start[_end(_BLANKS, start, 0) :]
        try:
            value, end = _DECODER.raw_decode(start)
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict):
            yield value
        start = start[end:]


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_deeper(text: str, most: int) -> bool:
    # Counting is far cheaper than looking at nesting, and enough for nearly every record.
    if text.count("[") + text.count("{") <= most:
        return False
    brackets = _NO_BRACKETS.sub("", _STRINGS.sub("", text))
    for _ in range(most):
        # The innermost level goes, wherever it is.
        brackets = brackets.replace("[]", "").replace("{}", "")
        if not brackets:
            return False
    depth = 0
    for char in brackets:
        depth += 1 if char in "[{" else -1
        if depth > 0:
            return True
    return False


def _one_a_line(head: str) -> bool:
    start = head.lstrip()
    if not start.startswith("{"):
        return not start.startswith("[")
    first, newline, others = start.partition("\n")
    value = _object(first)
    if value is not None:
        return not any(isinstance(value.get(key), list) for key in ("results", "papers", "works"))
    # Either a broken first line or an object printed over several lines.
    return bool(newline) and (first.rstrip().endswith("}") or others.startswith('{"'))


def json_records(source: Source) -> Iterator[JsonRecord]:
    """Every object of the file with the line it starts at.

    JSON lines: a bad line is one problem, the next one is read. A list, an object that holds
    one under ``results``, ``papers``, ``works`` or ``data``, and objects one after another are
    read without holding the file in memory; there the first broken object is the last one.
    """
    if _one_a_line(source.head_text):
        yield from _by_line(source)
    else:
        yield from _by_piece(source)


def _by_line(source: Source) -> Iterator[JsonRecord]:
    most = source.limits.max_depth
    for number, text, problem in source.lines():
        if problem is not None:
            yield JsonRecord(number, None, problem)
            continue
        if not text.strip():
            continue
        yield _decoded(number, text, most)


def _decoded(number: int, text: str, most: int) -> JsonRecord:
    if _is_deeper(text, most):
        return JsonRecord(number, None, f"nested deeper than {most} levels")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        return JsonRecord(number, None, f"not valid JSON at column {error.colno}: {error.msg}")
    except (ValueError, RecursionError) as error:
        return JsonRecord(number, None, f"not usable JSON: {error}")
    if not isinstance(value, dict):
        return JsonRecord(number, None, "the line is JSON but no object")
    return JsonRecord(number, value)


class _Window:
    """The part of a text that is being decoded, refilled from the source."""

    def __init__(self, source: Source) -> None:
        self._chunks = source.chunks()
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self.text = ""
        self.at = 0
        """Where what is not yet read begins."""
        self.line = 1
        self.ended = False

    def grow(self, size: int) -> None:
        """Hold at least ``size`` more characters, or the rest of the file."""
        parts = [self.text[self.at :]]
        self.at = 0
        while size > 0 and not self.ended:
            data = next(self._chunks, None)
            self.ended = data is None
            part = self._decoder.decode(data or b"", self.ended)
            parts.append(part)
            size -= len(part)
        self.text = "".join(parts)

    def move(self, to: int) -> None:
        """Go on at ``to``, counting the lines before it.

        Nothing is copied: a window may hold a long record and very many short ones.
        """
        self.line += self.text.count("\n", self.at, to)
        self.at = to


def _by_piece(source: Source) -> Iterator[JsonRecord]:
    window = _Window(source)
    window.grow(1)
    window.move(len(window.text) - len(window.text.lstrip()))
    in_list = True
    if window.text.startswith("[", window.at):
        window.move(window.at + 1)
    elif inside := _LIST_INSIDE.search(window.text, window.at):
        window.move(inside.end())
    else:
        in_list = False
    most = source.limits.max_depth
    while True:
        window.move(_end(_BLANKS, window.text, window.at))
        if window.at == len(window.text):
            if window.ended:
                if in_list:
                    yield JsonRecord(window.line, None, "the list is not closed; the file ends")
                return
            window.grow(1)
            continue
        if in_list and window.text.startswith("]", window.at):
            return
        found = _next_object(window, source.limits.max_line_bytes)
        if isinstance(found, str):
            yield JsonRecord(window.line, None, f"{found}; the rest of the file is not read")
            return
        value, end = found
        if _is_deeper(window.text[window.at : end], most):
            yield JsonRecord(window.line, None, f"nested deeper than {most} levels")
        elif isinstance(value, dict):
            yield JsonRecord(window.line, value)
        else:
            yield JsonRecord(window.line, None, "an item of the list is no object")
        window.move(end)


def _next_object(window: _Window, limit: int) -> tuple[Any, int] | str:
    while True:
        try:
            value, end = _DECODER.raw_decode(window.text, window.at)
        except RecursionError:
            return "nested too deeply"
        except ValueError as error:
            held = len(window.text) - window.at
            if window.ended:
                return f"not valid JSON: {getattr(error, 'msg', error)}"
            if held > limit:
                return f"one record is longer than {limit} characters, or not valid JSON"
            window.grow(max(held, 1))
            continue
        # A number at the end of the window may go on behind it.
        if end == len(window.text) and not window.ended:
            window.grow(1)
            continue
        return value, end
