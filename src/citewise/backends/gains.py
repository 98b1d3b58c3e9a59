"""Figures that say how much more or less there is ('by 5%', '3x faster'), not how much there is."""

from __future__ import annotations

import re
from collections.abc import Sequence

FACTOR = r"[xX]$|×|times|fold$"
"""The end of a figure that says how many times as much."""
_ASKED = re.compile(
    r"\bby how much\b|\bhow much (?:more|less|fewer|better|worse|(?!(?:old|long|oft)er)\w+er)\b"
    r"|\bhow much\b.*\b(?:improve|increase|raise|boost|enhance|reduce|decrease|lower|cut|change"
    r"|fall|drop|rise|decline|gain|beat|outperform|exceed|surpass|lose|save)s?\b",
    re.IGNORECASE,
)
_MORE = (
    r"(?:gain|improve?|speed-?up|accelerat|increas|reduc|decreas|drop|boost|sav|advantage|margin"
    r"|higher|lower|better|worse|more|less|fewer|faster|slower|cheaper|smaller|larger|rise|fall"
    r"|declin)\w*"
)
_ABOUT = (
    r"(?: (?:an?|the|as|much|up|to|about|around|over|nearly|almost|roughly|approximately|more|than"
    r"|at|least|most|only|average|mean|maximum|absolute|relative|factor|margin|of|some)\b)*"
)
_BEFORE = re.compile(
    rf"(?:\bby|\+|\b{_MORE}(?: (?!over\b|than\b)[a-z]+){{0,4}}? of"
    rf"|\b(?:sav|add|cut|gain|reduc)\w*){_ABOUT}\s?[~$+]*$",
    re.IGNORECASE,
)
_BEHIND = re.compile(rf"\s?(?:\([^)]*\) )?(?:(?!and\b|with\b)[a-z-]+ )?{_MORE}\b", re.IGNORECASE)
_LISTED = re.compile(
    r"\s?(?:points?\s)?\(?(?:in|for|on|of)\s[^;.]{1,40}?\)?(?:,(?:\sand)?|\sand|\s/)\s(?:up\sto\s)?"
)
"""Between one of them and the next: '6% in accuracy and 5%'."""
_RATIO = re.compile(
    r"\b(?:(?:[Oo]dds|[Hh]azard|[Rr]isk|[Rr]ate) ratios?|[Rr]elative (?:risk|hazard|odds)s?"
    r"|[HOIR]RR?s?)\b[^.;\d]{0,60}$"
)
"""Stands before a figure by which trials tell how much more or less often a thing happens."""
_PAIRED = re.compile(r"\s?(?:,|,?\s?and)\s")
"""Between two of which each is of another thing: '9% and 32% on men and women, respectively'."""
_FROM = re.compile(r"\bfrom [~$]*$")
_RANGE = re.compile(r"\d\D*(?:\sto\s|-+|–)\D*\d")
_AROUND = 60
"""Characters on each side of a figure that are looked at."""


def asks_for_gain(question: str) -> bool:
    """Whether a question wants to know how much more or less there is of something."""
    return _ASKED.search(question) is not None


def is_ratio(before: str) -> bool:
    """Whether a figure is a ratio of risks ('odds ratio'), by what stands before it."""
    return _RATIO.search(before) is not None


def gains_among(text: str, figures: Sequence[re.Match[str]]) -> set[int]:
    """Where those of the figures of ``text`` begin that say how much more or less there is."""
    gains: set[int] = set()
    last: re.Match[str] | None = None
    each = "respectively" in text
    for match in figures:
        figure, before = (
            match.group().rstrip(),
            text[max(0, match.start() - _AROUND) : match.start()],
        )
        if _FROM.search(before):
            gained = _RANGE.search(figure) is not None
        elif last and last.start() in gains and _LISTED.fullmatch(text[last.end() : match.start()]):
            gained = True
        else:
            behind = text[match.end() : match.end() + _AROUND]
            factor = figure[0] in "-−" or re.search(FACTOR, figure)
            told = _BEFORE.search(before) or _BEHIND.match(behind) or is_ratio(before)
            gained = bool(factor or told)
        if gained:
            gains.add(match.start())
        if last and each and _PAIRED.fullmatch(text[last.end() : match.start()]):
            gains -= {last.start(), match.start()}
        last = match
    return gains
