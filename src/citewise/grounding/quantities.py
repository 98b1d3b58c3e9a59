"""The numbers of a sentence, in digits or in words, and which of them stand for one another."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise, permutations
from typing import Literal

from citewise.grounding.overlap import STOP_WORDS, SentenceText, Token, stem

_NUMBER_WORDS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30,
    "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_LARGE_WORDS = {"dozen": 12.0, "hundred": 100.0, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_PARTS = {
    "third": 3, "quarter": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10,
}  # fmt: skip
_FACTOR_WORDS = {
    "twice": 2, "double": 2, "doubles": 2, "doubled": 2, "doubling": 2, "twofold": 2, "thrice": 3,
    "triple": 3, "triples": 3, "tripled": 3, "tripling": 3, "threefold": 3, "fourfold": 4,
    "quadruple": 4, "quadruples": 4, "fivefold": 5, "tenfold": 10,
}  # fmt: skip
_AMBIGUOUS_FACTORS = frozenset({"double", "triple", "quadruple"})
"""Factors as verbs ('to double it') or before what they multiply ('double the speed')."""
_HALF_WORDS = frozenset({"half", "halves", "halved", "halving"})
_OPENING = frozenset({*_NUMBER_WORDS, *_FACTOR_WORDS, *_HALF_WORDS, "a", "an", "dozen", "hundred"})
"""Words that a number may begin with."""
_SCALES = {
    "k": 1e3, "K": 1e3, "thousand": 1e3, "M": 1e6, "million": 1e6, "millions": 1e6, "B": 1e9,
    "b": 1e9, "bn": 1e9, "billion": 1e9, "billions": 1e9, "T": 1e12, "trillion": 1e12,
}  # fmt: skip
UNITS = {
    "x": "x", "times": "x", "fold": "x", "percent": "%", "percentage": "%", "points": "%",
    "point": "%", "pp": "%", "pts": "%", "ms": "ms", "millisecond": "ms", "milliseconds": "ms",
    "s": "s", "sec": "s", "second": "s", "seconds": "s", "min": "min", "minute": "min",
    "minutes": "min", "h": "h", "hour": "h", "hours": "h", "day": "day", "days": "day",
    "week": "week", "weeks": "week", "month": "month", "months": "month", "year": "year",
    "years": "year", "bit": "bit", "bits": "bit", "byte": "byte", "bytes": "byte", "kb": "KB",
    "mb": "MB", "gb": "GB", "tb": "TB", "gib": "GB", "mib": "MB",
}  # fmt: skip
_SECONDS = {
    "ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0, "week": 604800.0,
    "month": 2629800.0, "year": 31557600.0,
}  # fmt: skip
_ABOUT = frozenset(
    "about around roughly approximately approx nearly almost close circa near some ~".split()
)
_MORE = frozenset(
    "over exceeding exceeds exceed exceeded above beyond surpassing surpasses > upwards".split()
)
_LESS = frozenset("under below < beneath".split())
_MOST_COMPUTED = 8
"""Numbers of the cited words of which sums are made, so that a table makes no step slow."""
OPPOSED = {
    "more": frozenset({"less", "atmost"}),
    "atleast": frozenset({"less", "atmost"}),
    "less": frozenset({"more", "atleast"}),
    "atmost": frozenset({"more", "atleast"}),
}
COMPARATOR_TEXT = {"more": "more than", "atleast": "at least", "less": "less than",
                    "atmost": "up to", "about": "about", "": ""}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of a text."""

    value: float
    unit: str
    """``%``, ``x``, a unit of time or memory, or ``""``."""
    comparator: str
    """``about``, ``more``, ``less``, ``atleast``, ``atmost`` or ``""``."""
    text: str
    """As written, with its unit."""
    source: Literal["digits", "word", "name"]
    """``name`` for the number inside ``CIFAR-10``."""
    before: str
    """Stem of the content word before it, or ``""``."""
    after: str
    """Stem of the content word after it and its unit, or ``""``."""
    parts: tuple[Quantity, ...] = ()
    """The counts of a share such as 'four out of five', each by itself."""

    @property
    def worded_share(self) -> bool:
        """Whether it is a share in words, which is round ('half', 'two in five')."""
        return self.unit == "%" and self.source == "word"


def bare(token: Token) -> str:
    """A token without what follows its apostrophe: ``model`` for ``model's``."""
    return token.text.split("'", 1)[0]


def _comparator(tokens: Sequence[Token], at: int) -> str:
    gap = tokens[at].gap
    if "~" in gap:
        return "about"
    if ">=" in gap:
        return "atleast"
    if "<=" in gap:
        return "atmost"
    if ">" in gap:
        return "more"
    if "<" in gap:
        return "less"
    one = tokens[at - 1].lower if at >= 1 else ""
    two = tokens[at - 2].lower if at >= 2 else ""
    three = tokens[at - 3].lower if at >= 3 else ""
    if one in ("a", "an", "the", "by", "of", "as") and two:
        # 'over a 5x speedup', 'as much as 5x'
        if one == "as" and two in ("much", "many", "high", "low", "few"):
            return "atmost" if two in ("much", "many", "high") else "atleast"
        one, two, three = two, three, ""
    if one == "than":
        negated = three in ("no", "not")
        if two in ("more", "greater", "higher", "larger", "better"):
            return "atmost" if negated else "more"
        if two in ("less", "fewer", "lower", "smaller"):
            return "atleast" if negated else "less"
    if one == "least" and two == "at":
        return "atleast"
    if (one == "most" and two == "at") or (one == "to" and two == "up"):
        return "atmost"
    if one in _ABOUT or (one == "to" and two == "close"):
        return "about"
    if one in _MORE:
        return "more"
    if one in _LESS:
        return "less"
    return "more" if tokens[at].tail.startswith("+") else ""


def _neighbour(tokens: Sequence[Token], at: int, step: int) -> str:
    for _ in range(4):
        if not 0 <= at < len(tokens):
            return ""
        token = tokens[at]
        if token.lower[0].isdigit():
            return ""
        if token.lower not in STOP_WORDS and token.lower not in UNITS and token.text not in _SCALES:
            return stem(token.lower)
        at += step
    return ""


@lru_cache(maxsize=4096)
def _value(text: str) -> float:
    text = text.replace(",", "")
    if text.count(".") > 1:
        # A version such as 1.2.3: any two that differ must give different values.
        head, _, rest = text.partition(".")
        return float(head[:15] or "0") + hash_of(rest)
    try:
        return float(text)
    except ValueError:
        # isdigit() holds for characters that float() refuses.
        return hash_of(text)


def hash_of(text: str) -> float:
    """A number in 0..1 that stands for ``text``, the same in every process."""
    value = 0
    for character in text[:64]:
        value = (value * 131 + ord(character)) % 1_000_003
    return value / 1_000_003


def quantities(sentence: SentenceText) -> list[Quantity]:
    """All numbers of a sentence, in digits or in words, with unit and comparator."""
    found: list[Quantity] = []
    end = 0
    for at, token in enumerate(sentence.tokens):
        first = token.text[0]
        if at < end or not (first.isdigit() or first == "." or token.lower in _OPENING):
            continue
        read = (
            _fraction(sentence.tokens, at)
            or _share(sentence.tokens, at)
            or _factor(sentence.tokens, at)
            or _number(sentence.tokens, at)
        )
        if read is not None:
            quantity, end = read
            found.append(quantity)
    # In a range (4-5x, 4 to 5 times) the first number has the unit of the second.
    for at, (one, other) in enumerate(pairwise(found)):
        if not one.unit and other.unit and one.source == "digits":
            span = f"{one.text}-{other.text}"
            if span.replace(" ", "") in sentence.text.replace(" ", ""):
                found[at] = replace(one, unit=other.unit, after=other.after)
    return found


def _lower(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].lower if 0 <= at < len(tokens) else ""


def _joined(tokens: Sequence[Token], at: int) -> str:
    """The word at a place when no mark parts it from the word before: ``""`` in 'twenty, five'."""
    return _lower(tokens, at) if at < len(tokens) and not tokens[at].gap.strip(" -") else ""


def _below_hundred(tokens: Sequence[Token], at: int) -> tuple[float, int]:
    """A number below a hundred in words and the place after it; 0 where none stands."""
    value = _NUMBER_WORDS.get(_lower(tokens, at), 0)
    ones = _NUMBER_WORDS.get(_joined(tokens, at + 1), 0)
    if value >= 20 and 0 < ones < 10:
        return float(value + ones), at + 2
    return float(value), at + (value > 0)


def _in_words(tokens: Sequence[Token], at: int) -> tuple[float, int] | None:
    """A number in words and the place after it: 'thirty-five', 'two hundred and ten'."""
    word = _lower(tokens, at)
    if word in ("dozen", "hundred"):
        return _LARGE_WORDS[word], at + 1
    value, end = _below_hundred(tokens, at)
    if word == "a":
        value, end = 1.0, at + 1
    elif word == "half" and _joined(tokens, at + 1) == "a":
        value, end = 0.5, at + 2
    # 'One' and 'a' are mostly no numbers by themselves.
    if not value or (value <= 1 and _joined(tokens, end) not in _LARGE_WORDS):
        return None
    for word, scale in _LARGE_WORDS.items():
        if _joined(tokens, end) != word:
            continue
        value, end = value * scale, end + 1
        further = end + (_joined(tokens, end) == "and")
        rest, after = _below_hundred(tokens, further)
        tens = rest and _joined(tokens, further) and _joined(tokens, after) not in _LARGE_WORDS
        if word == "hundred" and tens:
            value, end = value + rest, after
    if [_joined(tokens, place) for place in range(end, end + 3)] == ["and", "a", "half"]:
        value, end = value + 0.5, end + 3
    return value, end


def _written(tokens: Sequence[Token], at: int, end: int) -> str:
    return tokens[at].text + "".join(token.joint + token.text for token in tokens[at + 1 : end])


def _worded_share(tokens: Sequence[Token], at: int, end: int, value: float) -> Quantity:
    return Quantity(
        value, "%", _comparator(tokens, at), _written(tokens, at, end), "word",
        _neighbour(tokens, at - 1, -1), _neighbour(tokens, end, 1),
    )  # fmt: skip


def _fraction(tokens: Sequence[Token], at: int) -> tuple[Quantity, int] | None:
    """'Two thirds', 'one quarter', 'a third of'; not 'a third method'."""
    name = _joined(tokens, at + 1)
    part = _PARTS.get(name.removesuffix("s"))
    if part is None:
        return None
    first = _lower(tokens, at)
    article = first in ("a", "an")
    count = _NUMBER_WORDS.get(first, int(article))
    if not 0 < count < part or (count > 1) != name.endswith("s"):
        return None
    bounded = _comparator(tokens, at) or _lower(tokens, at - 1) == "by"
    if article and not bounded and _lower(tokens, at + 2) != "of":
        return None
    if at + 2 < len(tokens) and tokens[at + 2].joint == "-":
        return None  # 'one third-party tool'
    return _worded_share(tokens, at, at + 2, 100.0 * count / part), at + 2


def _share(tokens: Sequence[Token], at: int) -> tuple[Quantity, int] | None:
    """'Four out of five', 'one in ten', '27 of the 45': a share, with its counts."""
    first = _number(tokens, at)
    if first is None and _lower(tokens, at) != "one":
        return None
    count, end = (first[0].value, first[1]) if first else (1.0, at + 1)
    link, place = _joined(tokens, end), end + 1
    if link == "out" and _joined(tokens, place) == "of":
        link, place = "of", place + 1
    if _lower(tokens, place) in ("the", "every"):
        place += 1
    second = _number(tokens, place) if link in ("of", "in") and place < len(tokens) else None
    if second is None:
        return None
    whole, end = second
    parts = (*([first[0]] if first else []), whole)
    if not 0 < count < whole.value or any(q.unit or q.source == "name" for q in parts):
        return None
    if "@" in tokens[at].gap or any(q.value % 1 for q in parts):
        return None  # 'nDCG@10 of 40.2'
    if link == "in" and whole.source == "digits" and whole.value not in (10, 100, 1000):
        return None  # '3 in 2020'
    share = _worded_share(tokens, at, end, 100.0 * count / whole.value)
    return replace(share, parts=parts), end


def _factor(tokens: Sequence[Token], at: int) -> tuple[Quantity, int] | None:
    """'Twice', 'doubles', 'half'; not the 'double' of 'double bond' nor 'an hour and a half'."""
    word = tokens[at].lower
    follower = tokens[at + 1] if at + 1 < len(tokens) else None
    if word in _FACTOR_WORDS:
        if word in _AMBIGUOUS_FACTORS and follower is not None:
            apart = follower.gap.strip(" -") or follower.lower in STOP_WORDS
            verb = _lower(tokens, at - 1) in ("to", "can", "could", "may", "will")
            if follower.joint == "-" or not (apart or verb):
                return None
        value, unit = float(_FACTOR_WORDS[word]), "x"
    elif word in _HALF_WORDS:
        if _lower(tokens, at - 2) == "and" and _lower(tokens, at - 1) == "a":
            return None
        if follower is not None and follower.lower in ("a", "an"):
            return None  # 'half an hour'
        value, unit = 50.0, "%"
    else:
        return None
    text = tokens[at].text
    return Quantity(value, unit, _comparator(tokens, at), text, "word", "", ""), at + 1


def _number(tokens: Sequence[Token], at: int) -> tuple[Quantity, int] | None:
    """A number in digits or words with its unit: '5.54x', '7 billion', 'two hundred hours'."""
    token = tokens[at]
    source: Literal["digits", "word", "name"] = "digits"
    if token.text[0].isdigit() or token.text[0] == ".":
        if token.joint != " " and tokens[at - 1].text[0].isalpha():
            # Glued or hyphened to letters: part of a name, unless these are a factor (224x224).
            x = tokens[at - 1].lower == "x" and tokens[at - 1].joint == "" and at >= 2
            source = "digits" if x else "name"
        value, after = _value(token.text), at + 1
    else:
        spelt = _in_words(tokens, at)
        if spelt is None:
            return None
        source, (value, after) = "word", spelt
    unit, written = "", _written(tokens, at, after)
    end = after
    if token.tail.startswith("%"):
        unit, written = "%", token.text + "%"
    elif after < len(tokens):
        follower = tokens[after]
        tight = follower.joint == ""
        scale = _SCALES.get(bare(follower) if tight else follower.lower)
        if scale is not None and (tight or len(follower.text) > 2):
            value *= scale
            written += ("" if tight else " ") + bare(follower)
            after += 1
            follower = tokens[after] if after < len(tokens) else follower
        if (
            after < len(tokens)
            and follower.joint in ("", "-", " ")
            and not follower.gap.strip(" -")
        ):
            unit = UNITS.get(follower.lower, "")
            if unit in ("s", "h", "min") and len(follower.text) == 1 and follower.joint != "":
                unit = ""
            if unit:
                written += ("" if follower.joint == "" else " ") + follower.text
            elif follower.joint == "" and after == end:
                written += follower.text
    quantity = Quantity(
        value, unit, _comparator(tokens, at), written, source,
        _neighbour(tokens, at - 1, -1), _neighbour(tokens, after, 1),
    )  # fmt: skip
    return quantity, end


def _coarseness(value: float) -> float:
    """The place of the last digit that is not 0: 0.1 for 5.5, 10 for 80; 1 for what has no end."""
    if math.isinf(value):
        return 1.0
    text = f"{value:.6f}".rstrip("0")
    if not text.endswith("."):
        return 10.0 ** -(len(text) - text.index(".") - 1)
    whole = text[:-1]
    return 10.0 ** (len(whole) - len(whole.rstrip("0")))


def compatible(claim: Quantity, unit: str, source: str) -> bool:
    """Whether a cited number of this unit may be the one that the claim means."""
    if source == "name":
        return claim.unit == ""
    return claim.unit == "" or unit == "" or claim.unit == unit


def _meant(claim: Quantity, *, computed: bool = False) -> tuple[float, float]:
    """The least and greatest value that a claim's number, bounded or rounded, may stand for."""
    value = claim.value
    if claim.comparator == "about":
        # A twelfth at most ('nearly 6x' for 5.54x).
        return value * 0.92, value * 1.08
    # 'Over 80%' for 83.8%: true, and close enough to be meant.
    reach = 0.2 if claim.worded_share else 0.15
    if claim.comparator in ("more", "atleast"):
        return value, value * (1 + reach)
    if claim.comparator in ("less", "atmost"):
        return value * (1 - reach), value
    slack = 0.04 * value if claim.worded_share or computed else 0.0
    if claim.source == "digits":
        slack = min(slack, _coarseness(value) / 2)
    return value - slack, value + slack


class Pool:
    """The numbers of the cited words, found by value."""

    def __init__(self, found: Iterable[Quantity]) -> None:
        self.all = [n for q in found for n in (q, *q.parts)]
        self.values = sorted({q.value for q in self.all})
        self.by_value: dict[float, list[Quantity]] = {}
        for q in self.all:
            kept = self.by_value.setdefault(q.value, [])
            if len(kept) < 32:
                kept.append(q)

    def near(self, low: float, high: float) -> list[Quantity]:
        """The numbers from ``low`` to ``high``."""
        at, end = bisect_left(self.values, low), bisect_right(self.values, high)
        return [q for value in self.values[at : min(end, at + 64)] for q in self.by_value[value]]

    def holding(self, claim: Quantity) -> list[Quantity]:
        """The numbers that say what the claim's number says, in its unit or another of time."""
        held = [q for q in self._saying(claim) if compatible(claim, q.unit, q.source)]
        if claim.unit in _SECONDS:
            for unit, seconds in _SECONDS.items():
                value = claim.value * _SECONDS[claim.unit] / seconds
                if unit != claim.unit:
                    same = self._saying(replace(claim, value=value, unit=unit))
                    held += [q for q in same if q.unit == unit]
        if claim.worded_share:
            # A relative risk of 0.54 is 'about half'.
            same = self._saying(replace(claim, value=claim.value / 100, unit=""))
            held += [q for q in same if not q.unit and q.source == "digits"]
        return held

    def _saying(self, claim: Quantity) -> list[Quantity]:
        slack = abs(claim.value) * 1e-9
        held = self.near(claim.value - slack, claim.value + slack)
        low, high = _meant(claim)
        # What the cited words round themselves is not rounded again.
        refused = OPPOSED.get(claim.comparator, frozenset()) | {"about"}
        return held + [
            q for q in self.near(low - slack, high + slack)
            if q.comparator not in refused
            and (claim.worded_share or _coarseness(claim.value) > _coarseness(q.value))
        ]  # fmt: skip

    def implies(self, claim: Quantity) -> bool:
        """Whether a claim's share or factor follows from these numbers by one step of sums."""
        own = [q for q in self.all if q.source != "name" and q.value > 0][:_MOST_COMPUTED]
        # A decimal such as 1.57 may be a ratio itself.
        ratios = [q.value for q in own if not q.unit and q.value < 10 and q.value % 1]
        # No share in digits comes of two others: among several some two would always fit.
        no_base = ("x", claim.unit if claim.source == "digits" else "x")
        ratios += [
            one.value / other.value
            for one, other in permutations(own, 2)
            if one.unit == other.unit and one.unit not in no_base
        ]
        low, high = _meant(claim, computed=True)
        if claim.unit == "x":
            return any(ratio > 1 and low <= ratio <= high for ratio in ratios)
        if claim.unit != "%":
            return False
        shares = [100 * ratio for ratio in ratios if claim.worded_share]
        if not claim.parts:
            shares += [100 - q.value for q in own if q.unit == "%"]
            shares += [100 * abs(ratio - 1) for ratio in ratios]
        return any(low <= share <= high for share in shares)
