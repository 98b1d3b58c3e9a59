"""How far the wording of a sentence is that of an answer to what is asked.

'How does it work?' is answered by means ('by caching ...'), 'why does it fail?' by a cause, 'is A
better than B?' by a sentence that holds A and B side by side. Each may share fewer words with the
question than a sentence that only reports a win.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from citewise.answering.kinds import WIDE
from citewise.backends.compared import sides_of
from citewise.backends.facets import MENDS
from citewise.grounding.overlap import read, stem
from citewise.types import Question, QuestionKind

Wording = Callable[[str, str], float]
"""What a sentence gains or loses beside its title, from -1 to 1."""

_WHY = re.compile(
    r"\b(?:why|how come|what (?:\w+ )?(?:causes?|caused|makes?|made|explains?|drives?)"
    r"|what(?: is|'s| are) (?:the )?(?:\w+ )?(?:causes?|reasons?))\b",
    re.IGNORECASE,
)
_CAUSE = re.compile(
    r"\b(?:because|due to|owing to|stem(?:s|med|ming)? from|aris(?:es?|ing) from"
    r"|as a (?:result|consequence) of|result(?:s|ed|ing)? (?:from|in)|thanks to"
    r"|(?:is|are|was|were|been|be) caused|caus(?:es|ing)|can cause|driven by|drives?"
    r"|responsible for|attribut(?:ed|able) to"
    r"|lead(?:s|ing)? to|led to|reason (?:is|for)|originates? (?:from|in))\b",
    re.IGNORECASE,
)
_MENDED = re.compile(rf"\b{MENDS}", re.IGNORECASE)
_HOW = re.compile(
    r"^how (?:do|does|did|can|could|is|are|was|were)\b"
    r"(?!.*\b(?:affect|influence|impact|perform|fare|compare|relate|correlate|depend|differ|vary"
    r"|scale|do (?:on|in|with|against))(?:s|d|ed)?\b)",
    re.IGNORECASE,
)
"""Asks for a way, not for what comes of something."""
_MEANS = re.compile(
    r"\bby (?:\w+ly )?\w{2,}ing\b|\bwithout (?!compromis|sacrific|degrad|los|hurt|chang|harm|reduc)"
    r"(?:\w+ly )?\w+ing\b|\bconsist(?:s|ing)? of\b|\bcomposed of\b|\b(?:stages|steps)\b"
    r"|\bfirst\b.{0,200}\bthen\b|\b(?:via|through|using|uses?)\b"
    r"|\b(?:leverag|exploit|employ)(?:e?s|ing)?\b",
    re.IGNORECASE,
)
_WIN = re.compile(
    r"\b(?:outperform|surpass|superior|state-of-the-art|experiment|evaluat|demonstrat|validat"
    r"|extensive|benchmark)\w*|\bresults show\b|\d ?(?:x\b|×|\\?%|times\b)",
    re.IGNORECASE,
)
_COMPARES = re.compile(
    r"\b(?:than|compared|comparison|relative|versus|vs|over|inferior|superior"
    r"|(?:under|out)perform\w*|surpass\w*|exceed\w*|beat\w*|lag\w*|as \w+ as)\b",
    re.IGNORECASE,
)
_MOSTLY = 0.5
"""Share of the words of a thing that stand for it: 'population-based training' of more words."""


def asks_why(question: str) -> bool:
    """Whether a question wants a cause."""
    return _WHY.search(question) is not None


def wording_of(question: Question) -> Wording:
    """What tells for a question how well the wording of a sentence fits it."""
    asked = question.standalone
    if question.kind in WIDE:
        return lambda sentence, title: 0.0
    if sides := sides_of(asked):
        return lambda sentence, title: _compares(sides, sentence, title)
    if asks_why(asked):
        return lambda sentence, title: _explains(sentence)
    if question.kind is QuestionKind.HOW and _HOW.match(asked):
        return lambda sentence, title: _means(sentence)
    return lambda sentence, title: 0.0


def _explains(sentence: str) -> float:
    """1 for a sentence that gives a cause, -1 for one that says what was done about a thing."""
    cause, mended = _CAUSE.search(sentence), _MENDED.search(sentence)
    return float(cause is not None) - float(mended is not None)


def _means(sentence: str) -> float:
    """1 for a sentence that says by what means something is done, -1 for one that only wins."""
    means, wins = _MEANS.search(sentence), _WIN.search(sentence)
    return float(means is not None) - float(wins is not None)


def _compares(sides: tuple[frozenset[str], frozenset[str]], sentence: str, title: str) -> float:
    """1 for a sentence that compares both sides, one of which its title may name."""
    if not _COMPARES.search(sentence):
        return 0.0
    said, titled = _stems(sentence), _stems(title)
    inside = [_held(side, said) for side in sides]
    return float(any(inside) and all(_held(side, said | titled) for side in sides))


def _held(side: frozenset[str], stems: frozenset[str]) -> bool:
    return len(side & stems) >= _MOSTLY * len(side)


def _stems(text: str) -> frozenset[str]:
    return frozenset(stem(token.lower) for one in read(text) for token in one.tokens)
