"""Dates as ISO 8601, never finer than what is printed."""

from __future__ import annotations

import datetime
import re

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            ("jan", "january"),
            ("feb", "february"),
            ("mar", "march"),
            ("apr", "april"),
            ("may",),
            ("jun", "june"),
            ("jul", "july"),
            ("aug", "august"),
            ("sep", "sept", "september"),
            ("oct", "october"),
            ("nov", "november"),
            ("dec", "december"),
        ),
        start=1,
    )
    for name in names
}
_NUMERIC = re.compile(
    r"(\d{4})(?:[-/](\d{1,2})(?:[-/](\d{1,2})(?:[t ].*)?)?)?(?:/[a-z/ ]*|-*)", re.ASCII
)
_MONTH_FIRST = re.compile(r"([a-z]+)\.?(?: (\d{1,2})(?:st|nd|rd|th)?)?,? (\d{4})", re.ASCII)
_DAY_FIRST = re.compile(r"(?:[a-z]{3},? )?(\d{1,2}) ([a-z]+)\.?,? (\d{4})(?: .*)?", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4}) ([a-z]+)\.?(?: (\d{1,2}))?", re.ASCII)
_WITHOUT_YEAR = re.compile(r"([a-z]+)\.? (\d{1,2})", re.ASCII)


def _iso(year: int, month: int | None, day: int | None) -> str | None:
    if not 1000 <= year <= 2999:
        return None
    if not month:
        return f"{year:04d}"
    if not 1 <= month <= 12:
        return None
    if not day:
        return f"{year:04d}-{month:02d}"
    try:
        return datetime.date(year, month, day).isoformat()
    except ValueError:
        return None


def iso_date(text: str | int | None, *, year: int | None = None) -> str | None:
    """``text`` as ``2024-10-12``, ``2024-10`` or ``2024``; None where it is no date.

    Understands ISO dates and times, ``2024/10/12``, ``Oct 12, 2024``, ``12 October 2024``,
    ``2024 Oct 12`` and parts of them from the year on. ``Aug 25``, which names no year, is a date
    only when ``year`` (1000 to 2999) is given. Nothing is filled in: ``2024-10`` stays a month.
    """
    if text is None or isinstance(text, bool):
        return None
    words = " ".join(str(text).split()).lower()
    if len(words) > 60:
        return None
    if match := _NUMERIC.fullmatch(words):
        return _iso(*(int(part) if part else None for part in match.groups()))  # type: ignore[arg-type]  # the first group always matches
    for pattern, order in ((_MONTH_FIRST, "mdy"), (_DAY_FIRST, "dmy"), (_YEAR_FIRST, "ymd")):
        if match := pattern.fullmatch(words):
            parts = dict(zip(order, match.groups(), strict=True))
            month = _MONTHS.get(parts["m"])
            if month is None:
                return None
            return _iso(int(parts["y"]), month, int(parts["d"]) if parts["d"] else None)
    if year is not None and (match := _WITHOUT_YEAR.fullmatch(words)):
        month = _MONTHS.get(match[1])
        return _iso(year, month, int(match[2])) if month else None
    return None


def is_date(text: str) -> bool:
    """Whether ``text`` is a date, with or without a year."""
    # 2024 is a leap year, so that 'Feb 29' counts.
    return iso_date(text, year=2024) is not None
