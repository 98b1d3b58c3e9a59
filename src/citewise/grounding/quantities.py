"""The numbers of a sentence, in digits or in words, and which of them stand for one another."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from citewise.grounding.overlap import STOP_WORDS, SentenceText, Token, stem

_NUMBER_WORDS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "dozen": 12, "fifteen": 15, "twenty": 20, "thirty": 30,
    "forty": 40, "fifty": 50, "hundred": 100,
}  # fmt: skip
_FACTOR_WORDS = {
    "twice": 2, "double": 2, "doubles": 2, "doubled": 2, "doubling": 2, "twofold": 2, "thrice": 3,
    "triple": 3, "triples": 3, "tripled": 3, "tripling": 3, "threefold": 3, "fourfold": 4,
    "quadruple": 4, "quadruples": 4, "fivefold": 5, "tenfold": 10,
}  # fmt: skip
_HALF_WORDS = frozenset({"half", "halves", "halved", "halving"})
_SCALES = {
    "k": 1e3, "K": 1e3, "thousand": 1e3, "M": 1e6, "million": 1e6, "millions": 1e6, "B": 1e9,
    "b": 1e9, "bn": 1e9, "billion": 1e9, "billions": 1e9, "T": 1e12, "trillion": 1e12,
}  # fmt: skip
_UNITS = {
    "x": "x", "times": "x", "fold": "x", "percent": "%", "percentage": "%", "points": "%",
    "point": "%", "pp": "%", "pts": "%", "ms": "ms", "millisecond": "ms", "milliseconds": "ms",
    "s": "s", "sec": "s", "second": "s", "seconds": "s", "min": "min", "minute": "min",
    "minutes": "min", "h": "h", "hour": "h", "hours": "h", "day": "day", "days": "day",
    "week": "week", "weeks": "week", "month": "month", "months": "month", "year": "year",
    "years": "year", "bit": "bit", "bits": "bit", "byte": "byte", "bytes": "byte", "kb": "KB",
    "mb": "MB", "gb": "GB", "tb": "TB", "gib": "GB", "mib": "MB",
}  # fmt: skip
_ABOUT = frozenset(
    "about around roughly approximately approx nearly almost close circa near some ~".split()
)
_MORE = frozenset(
    "over exceeding exceeds exceed exceeded above beyond surpassing surpasses > upwards".split()
)
_LESS = frozenset("under below < beneath".split())
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
        if (
            token.lower not in STOP_WORDS
            and token.lower not in _UNITS
            and token.text not in _SCALES
        ):
            return stem(token.lower)
        at += step
    return ""


@lru_cache(maxsize=4096)
def _number(text: str) -> float:
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
    tokens = sentence.tokens
    found: list[Quantity] = []
    for at, token in enumerate(tokens):
        first = token.text[0]
        if first.isdigit() or first == ".":
            source: Literal["digits", "word", "name"] = "digits"
            if token.joint != " " and tokens[at - 1].text[0].isalpha():
                # Glued or hyphened to letters: part of a name, unless these are a factor (224x224).
                x = tokens[at - 1].lower == "x" and tokens[at - 1].joint == "" and at >= 2
                source = "digits" if x else "name"
            value = _number(token.text)
        elif token.lower in _NUMBER_WORDS:
            source, value = "word", float(_NUMBER_WORDS[token.lower])
        elif token.lower in _FACTOR_WORDS:
            found.append(
                Quantity(float(_FACTOR_WORDS[token.lower]), "x", _comparator(tokens, at),
                         token.text, "word", "", "")
            )  # fmt: skip
            continue
        elif token.lower in _HALF_WORDS:
            found.append(Quantity(50.0, "%", _comparator(tokens, at), token.text, "word", "", ""))
            continue
        else:
            continue
        unit, written, after = "", token.text, at + 1
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
                unit = _UNITS.get(follower.lower, "")
                if unit in ("s", "h", "min") and len(follower.text) == 1 and follower.joint != "":
                    unit = ""
                if unit:
                    written += ("" if follower.joint == "" else " ") + follower.text
                elif follower.joint == "" and after == at + 1:
                    written += follower.text
        found.append(
            Quantity(value, unit, _comparator(tokens, at), written, source,
                     _neighbour(tokens, at - 1, -1), _neighbour(tokens, after, 1))
        )  # fmt: skip
    # In a range (4-5x, 4 to 5 times) the first number has the unit of the second.
    for at in range(len(found) - 1):
        if not found[at].unit and found[at + 1].unit and found[at].source == "digits":
            span = f"{found[at].text}-{found[at + 1].text}"
            if span.replace(" ", "") in sentence.text.replace(" ", ""):
                q = found[at]
                found[at] = Quantity(q.value, found[at + 1].unit, q.comparator, q.text, q.source,
                                     q.before, found[at + 1].after)  # fmt: skip
    return found


def _coarseness(value: float) -> float:
    """The place of the last digit that is not 0: 0.1 for 5.5, 10 for 80."""
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


class Pool:
    """The numbers of the cited words, found by value."""

    def __init__(self, found: Iterable[Quantity]) -> None:
        self.all = list(found)
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
        """The numbers that say what the claim's number says."""
        value = claim.value
        slack = abs(value) * 1e-9
        held = self.near(value - slack, value + slack)
        rounded: list[Quantity] = []
        if claim.comparator == "about":
            # A twelfth at most ('nearly 6x' for 5.54x).
            rounded = self.near(value * 0.92 - slack, value * 1.08 + slack)
        elif claim.comparator in ("more", "atleast"):
            # 'over 80%' for 83.8%: true, and close enough to be meant.
            rounded = self.near(value, value * 1.15 + slack)
        elif claim.comparator in ("less", "atmost"):
            rounded = self.near(value * 0.85 - slack, value)
        # What the cited words round themselves is not rounded again.
        held += [
            q for q in rounded
            if not q.comparator and _coarseness(claim.value) > _coarseness(q.value)
        ]  # fmt: skip
        return [q for q in held if compatible(claim, q.unit, q.source)]
