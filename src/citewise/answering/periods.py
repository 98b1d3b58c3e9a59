"""Wishes inside a question about when papers were published: 'since June 2026', '2025 surveys'.

They become filters and leave the words that are searched for: 'in 2026' would find 'ICRA 2026'. A
year that papers may speak of ('deaths in 2015') stays, and so does one in which no paper appeared.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from citewise.answering.wishes import Wished
from citewise.library.library import Library
from citewise.sources.dates import iso_date
from citewise.types import Filters

_Dates: TypeAlias = tuple[str | None, str | None]
"""Earliest and latest, ISO 8601 of any precision."""
_Reading: TypeAlias = Callable[[str, str], _Dates]

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_YEAR = r"(?:19|20)\d\d"
_WHEN = (
    rf"(?:{_YEAR}-\d\d(?:-\d\d)?|(?:\d{{1,2}} )?{_MONTH}\.?,? {_YEAR}"
    rf"|{_MONTH}\.? \d{{1,2}},? {_YEAR}|{_YEAR})(?![\w%]|[.,]\d|-\w)"
)
_FIRST, _LAST = rf"\b(?P<first>{_WHEN})", rf"(?P<last>{_WHEN})"
_YEARS = rf"(?P<first>{_YEAR})\s?[-–]\s?(?P<last>{_YEAR})(?![\w%]|[.,]\d|-\w)"
_READ = r"(?:papers?|works?|articles?|publications?|preprints?|surveys?|reviews?|literature)"
"""What is read and nothing else: 'studies of deaths in 2015' are perhaps of these deaths."""
_PAPERS = (
    rf"(?:{_READ}|stud(?:y|ies)|research|reports?|benchmarks?|datasets?|methods|approaches|trials"
    r"|meta-analys[ie]s)"
)
_OUT = (
    r"(?:(?:that|which) )?(?:(?:was|were|are|is|has been|have been) )?(?:published|released|written"
    r"|dated|appear(?:ed|ing)|submitted|posted|uploaded|came out)"
)
_MADE = r"(?:proposed|introduced|presented|developed)"
_IN = r"(?:in|from|of|during)"
_END = r"(?=\s*(?:[?.!,;]|$))"
_PREPOSITION = r"(?:on|about|for|of|using|with|to|by|without)"
_ASKED = (
    rf"^(?:[\w'’-]+[,:]? ){{0,7}}?{_READ} (?:{_PREPOSITION}|\w+ing)\b"
    r"(?:(?!\b(?:that|which|who|where|data)\b).)*"
)
"""What a bare 'in 2026' at the end must stand behind: 'work on unlearning in 2026'."""


def _in_between(first: str, last: str) -> _Dates:
    return first, last


def _beginning(first: str, _: str) -> _Dates:
    return first, None


def _ending(first: str, _: str) -> _Dates:
    return None, first


def _later(first: str, _: str) -> _Dates:
    return _beside(first, 1), None


def _earlier(first: str, _: str) -> _Dates:
    return None, _beside(first, -1)


_SOON = rf",?\s*(?:{_OUT} )?\b"
_WISHES: tuple[tuple[re.Pattern[str], _Reading], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), reading)
    for pattern, reading in (
        (rf"{_SOON}between {_FIRST} and {_LAST}", _in_between),
        (rf"{_SOON}from {_FIRST} (?:to|until|till|through) {_LAST}", _in_between),
        (rf"{_SOON}(?:{_IN} )?{_YEARS}(?=\s+{_PREPOSITION}\b|{_END})", _in_between),
        (rf"(?<!(?-i:[A-Z]{{2}}) )\b{_YEARS} (?={_PAPERS}\b)", _in_between),
        (rf"{_SOON}since {_FIRST}", _beginning),
        (rf"{_SOON}(?:from|starting|starting in) {_FIRST} on(?:wards?\b|{_END})", _beginning),
        (rf"{_SOON}(?:{_IN} )?{_FIRST} (?:or|and) (?:later|newer)\b", _beginning),
        (rf"{_SOON}(?:after|later than|newer than) {_FIRST}", _later),
        (rf"{_SOON}(?:before|earlier than|older than|prior to) {_FIRST}", _earlier),
        (rf"{_SOON}(?:until|till|up to) {_FIRST}", _ending),
        (rf",?\s*\b{_OUT} (?:{_IN} )?{_FIRST}", _in_between),
        (rf"(?P<kept>\b{_MADE}) {_IN} {_FIRST}", _in_between),
        (rf",?\s*\bonly (?:{_IN} )?{_FIRST}", _in_between),
        (rf",?\s*(?:\b{_IN} )?{_FIRST} only\b", _in_between),
        (rf"(?P<kept>\b{_PAPERS}),? {_IN} {_FIRST}", _in_between),
        (rf"(?P<kept>\b{_PAPERS}),? {_FIRST}{_END}", _in_between),
        (rf"^{_IN} {_FIRST},? (?=wh|are\b|is\b|how\b|have\b)", _in_between),
        # Not 'SIGIR 2025 papers'.
        (rf"(?<!(?-i:[A-Z]{{2}}) ){_FIRST} (?={_PAPERS}\b)", _in_between),
        (rf"(?P<kept>{_ASKED}),? {_IN} {_FIRST}{_END}", _in_between),
    )
)
_RELATIVE = re.compile(
    r"\b(?P<led>(?:in|from|of|during|since|before|after|until) )?(?P<which>this|last)"
    r" (?P<unit>year|month)(?P<own>['’]s)?",
    re.IGNORECASE,
)
_NO_MATTER = re.compile(rf"(?:\W|\b(?:{_PAPERS}|\w{{1,4}}|there|{_OUT}|list|show|find|about)\b)*")
"""What may be left of a question that asks for nothing but a time."""


def wished_period(question: str, given: Filters, library: Library, *, today: str = "") -> Wished:
    """The question without its wish for a time of publication, which becomes a filter.

    A filter that was given stands above a wish. ``today``: ISO 8601, for 'this year'; the clock's
    unless given.
    """
    today = today or datetime.date.today().isoformat()
    text = _RELATIVE.sub(lambda match: _dated(match, today), question)
    for pattern, reading in _WISHES:
        match = pattern.search(text)
        if match is None:
            continue
        found = match.groupdict()
        first = iso_date(found["first"])
        last = iso_date(found["last"]) if found.get("last") else first
        if first is None or last is None or last < first[: len(last)]:
            continue
        left = f"{text[: match.start()]}{found.get('kept') or ''} {text[match.end() :]}"
        left = re.sub(r"\s+(?=[?.,!;])", "", " ".join(left.split())).lstrip(",:; ")
        left = question if _NO_MATTER.fullmatch(left) else left[:1].upper() + left[1:]
        return _filtered(left, reading(first, last), given, library)
    return Wished(question, given)


def _filtered(text: str, dates: _Dates, given: Filters, library: Library) -> Wished:
    since, until = given.since or dates[0], given.until or dates[1]
    when = _told(since, until)
    if (since, until) == (given.since, given.until):
        return Wished(text, given)
    if not library.page(Filters(since=since, until=until), limit=1).total:
        held = library.dates()
        known = f" (those that are dated are {_told(*held)})" if held else ""
        said = f"No paper here was published {when}{known}: the wish was left out."
        return Wished(text, given, (said,))
    note = f"Only papers published {when} were searched."
    return Wished(text, replace(given, since=since, until=until), (note,))


def _told(since: str | None, until: str | None) -> str:
    if since == until:
        return f"in {since}"
    if since and until:
        return f"from {since} to {until}"
    return f"from {since} on" if since else f"until the end of {until}"


def _dated(match: re.Match[str], today: str) -> str:
    """'This year' as a date, led by what leads it."""
    size = len("2026") if match["unit"].lower() == "year" else len("2026-06")
    date = today[:size] if match["which"].lower() == "this" else _beside(today[:size], -1)
    return date if match["own"] else f"{match['led'] or 'in '}{date}"


def _beside(date: str, step: int) -> str:
    """The year, month or day after (``step`` 1) or before (-1) an ISO date, as exact as that."""
    if len(date) == len("2026"):
        return str(int(date) + step)
    if len(date) == len("2026-06"):
        year, month = divmod(int(date[:4]) * 12 + int(date[5:]) - 1 + step, 12)
        return f"{year:04d}-{month + 1:02d}"
    return (datetime.date.fromisoformat(date) + datetime.timedelta(days=step)).isoformat()
