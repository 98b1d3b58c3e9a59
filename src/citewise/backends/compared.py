"""Which of two things does better, faster or more of something, as a text says it.

'A outperforms B', 'B lags behind A', 'pain was lower with A than with B' and 'B did not reduce pain
more than A' each put two things in an order. A question that puts them the other way round than an
abstract takes something false for granted; one that only names the loser first does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from citewise.grounding.locks import has_cue
from citewise.grounding.overlap import STOP_WORDS, SentenceText, Token, read, stem

_WORTH, _AMOUNT = "worth", "amount"
_SCALES = (
    (_WORTH, "better superior", "worse inferior"),
    ("speed", "faster quicker", "slower"),
    ("strength", "stronger", "weaker"),
    ("size", "larger bigger", "smaller"),
    ("price", "costlier dearer", "cheaper"),
    ("length", "longer", "shorter"),
    (_AMOUNT, "more higher greater", "less lower fewer"),
)
_RANKS = {
    word: (scale, sign)
    for scale, up, down in _SCALES
    for sign, words in ((1, up), (-1, down))
    for word in words.split()
}
_WINS = re.compile(r"(?:outperform|surpass|exceed|beat)(?:s|es|ed|en|ing)?")
_LOSES = re.compile(r"(?:underperform|lag|trail)(?:s|ged|ed|ging|ing)?")
_WORTHY = frozenset(stem(word) for word in "effective efficacious accurate successful".split())
"""More of these is 'better'."""
_SIDES = frozenset("in with for among after by on under at using".split())
"""What begins a side in 'lower with A than with B'."""
_ACTS = frozenset(
    stem(word)
    for word in "reduce lower decrease increase raise improve suppress inhibit prevent protect"
    " induce lengthen shorten extend relieve alleviate benefit help cost weigh use need require"
    " consume affect activate promote enhance".split()
)
"""Verbs of which something is done 'more than': what stands before them does it."""
_TOLD = frozenset(
    "achieve attain get reach have has give yield obtain offer provide produce show shows"
    " lead leads result results perform performs run runs work works do does be is are was"
    " were group groups patients treatment therapy method methods model models approach score"
    " scores far still often generally usually always actually really so much even behind".split()
)
"""Words of a question's side that do not say what it is."""
_UNSURE = re.compile(
    r"\b(?:whether|if|may|might|could|would|should|hypothesi\w+|expect\w*|hop(?:e|es|ed|ing)|aim\w*"
    r"|assum\w+|believ\w+|question)\b",
    re.IGNORECASE,
)
_TURNS = frozenset("while whereas but although though yet however".split())
_LIMITS = frozenset("when unless until".split())
"""'A lags behind B when ...' says nothing of A and B otherwise."""
_PLACES = frozenset("on across at by".split())
"""What tells where, or by how much: no side stands behind it."""
_ENDS_CLAUSE = re.compile(r"[,;:]")
_DOING = re.compile(r"(?!including)[a-z]{3,}ing")
_BREAKS = re.compile(r"[;:]")
_CHOICE = re.compile(
    r"(?:^|.*[,:]\s)(?P<one>[^,:?]+?)\s(?:or|versus|vs\.?)\s(?P<other>[^,:?]+)", re.IGNORECASE
)
"""'Which is faster, A or B?'"""
_TO_THAN = 8
_AFTER = 12
"""Words behind 'than' among which a side is looked for."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing put above another."""

    scale: str
    more: frozenset[str]
    """Words, in lower case, among which the one that has more stands."""
    less: frozenset[str]
    things: frozenset[str]
    """Stems of what it has more of, where that is said."""
    rest: frozenset[str] = frozenset()
    """Stems of what else a question says: where, or of what."""
    denied: bool = False


def compared(claim: str) -> Comparison | None:
    """What a question's claim puts above another thing, if it does that once and plainly."""
    found = [one for sentence in read(claim) for one in _comparisons(sentence, asked=True)]
    if len(found) != 1 or not (found[0].more and found[0].less) or found[0].more == found[0].less:
        return None
    return found[0]


def stance(asked: Comparison, text: str) -> bool | None:
    """Whether a text says what is asked (True), the opposite (False), or neither (None)."""
    for sentence in read(text):
        held = frozenset(stem(token.lower) for token in sentence.tokens)
        for said in _comparisons(sentence, asked=False):
            if said.scale != asked.scale or not asked.rest <= held:
                continue
            if not asked.things <= (held if said.scale == _WORTH else said.things):
                continue
            same = asked.more <= said.more and asked.less <= said.less
            turned = asked.less <= said.more and asked.more <= said.less
            if same != turned and (same or not said.denied):
                return same and not said.denied
    return None


def sides_of(question: str) -> tuple[frozenset[str], frozenset[str]] | None:
    """The stems of the two things that a question compares, if it names two."""
    if one := compared(question):
        sides = one.more, one.less
    elif (choice := _CHOICE.match(question)) and any(word in _RANKS for word in _words(question)):
        sides = frozenset(_words(choice["one"])), frozenset(_words(choice["other"]))
    else:
        return None
    first, second = (
        frozenset(stem(word) for word in _bare([word for word in side if word not in _RANKS]))
        for side in sides
    )
    return (first, second) if first - second and second - first else None


def is_of_winning(word: str) -> bool:
    """Whether a word says that one thing does better or worse than another."""
    return bool(_WINS.fullmatch(word) or _LOSES.fullmatch(word))


def _comparisons(sentence: SentenceText, *, asked: bool) -> Iterator[Comparison]:
    """All comparisons of a sentence; ``asked``: it is a claim, whose sides are bare names."""
    tokens = _with_whole_names(sentence.tokens)
    for at in range(len(tokens)):
        ranked = _rank(tokens, at)
        if ranked is None or (not asked and _is_unsure(tokens, at)):
            continue
        (scale, sign), link = ranked
        near = [token.lower for token in tokens[max(0, at - 4) : at]]
        denied = (has_cue(" ".join(near)) or near[-1:] == ["non"]) and "only" not in near
        between = [token.lower for token in tokens[at + 1 : link]]
        parted = _parted(scale, _clause_before(tokens, at), between)
        if parted is None:
            continue
        one, about = parted
        things = frozenset(stem(word) for word in about if _is_content(word))
        if scale == _AMOUNT and things and things <= _WORTHY:
            scale, things = _WORTH, frozenset()
        other = _behind(tokens, link + 1)
        rest: frozenset[str] = frozenset()
        if asked:
            other = [token.lower for token in tokens[link + 1 :]]
            cut = next((i for i, word in enumerate(other) if word in _SIDES and i), len(other))
            rest = frozenset(stem(word) for word in other[cut:] if _is_content(word))
            one, other = _bare(one), _bare(other[:cut])
        sides = frozenset(one), frozenset(other)
        more, less = sides if sign > 0 else (sides[1], sides[0])
        yield Comparison(scale, more, less, things, rest, denied)


def _with_whole_names(tokens: Sequence[Token]) -> list[Token]:
    """The tokens, a name of several parts ('QR-LoRA') as one: it is not what a part of it is."""
    whole: list[Token] = []
    for token in tokens:
        before = whole[-1] if whole else None
        name = before and token.gap == "-" and _is_name(before.text) and _is_name(token.text)
        if before is not None and name:
            text = f"{before.text}-{token.text}"
            whole[-1] = before._replace(text=text, lower=text.lower(), tail=token.tail)
        else:
            whole.append(token)
    return whole


def _is_name(word: str) -> bool:
    return not word.islower()


def _is_unsure(tokens: Sequence[Token], at: int) -> bool:
    """Whether what the word at ``at`` says is only asked, hoped or true at times."""
    before = " ".join(token.lower for token in tokens[:at])
    return bool(_UNSURE.search(before)) or any(one.lower in _LIMITS for one in tokens[at:])


def _parted(
    scale: str, before: list[str], between: list[str]
) -> tuple[list[str], list[str]] | None:
    """Words that hold the first side, and those that say what is compared; None if unclear."""
    if between and between[0] in _SIDES:
        return between, before
    if scale != _AMOUNT or any(_is_content(word) for word in between):
        return before, between
    act = next((i for i, word in enumerate(before) if stem(word) in _ACTS), None)
    return None if act is None else (before[:act], before[act:])


def _rank(tokens: Sequence[Token], at: int) -> tuple[tuple[str, int], int] | None:
    """The scale and the direction of the word at ``at``, and where its 'than' stands."""
    word = tokens[at].lower
    behind = [token.lower for token in tokens[at + 1 : at + 2]]
    for pattern, sign in ((_WINS, 1), (_LOSES, -1)):
        if pattern.fullmatch(word):
            if behind == ["by"]:
                return (_WORTH, -sign), at + 1
            # 'Underperforms on images' is of no two things.
            return ((_WORTH, sign), at) if behind and behind[0] not in _SIDES else None
    own = (word, 1) if word.endswith("er") and behind == ["than"] else None
    rank = _RANKS.get(word, own)
    if rank is None:
        return None
    for link in range(at + 1, min(len(tokens), at + _TO_THAN + 1)):
        near = tokens[link].lower
        if near == "than" or (near == "to" and word in ("superior", "inferior")):
            return rank, link
        # What comes first has the 'than'.
        if _BREAKS.search(tokens[link].gap) or near in _TURNS or near in _RANKS:
            return None
    return None


def _clause_before(tokens: Sequence[Token], at: int) -> list[str]:
    first = at
    while first and not _ENDS_CLAUSE.search(tokens[first].gap):
        if tokens[first - 1].lower in _TURNS:
            break
        first -= 1
    return [token.lower for token in tokens[first:at]]


def _behind(tokens: Sequence[Token], first: int) -> list[str]:
    found: list[str] = []
    ends = 0
    for at in range(first, min(len(tokens), first + _AFTER)):
        token = tokens[at]
        new = bool(found) and bool(_ENDS_CLAUSE.search(token.gap))
        if (
            token.lower in _TURNS
            or (found and (token.lower in _PLACES or _BREAKS.search(token.gap)))
            or (new and (token.lower in _SIDES or _DOING.fullmatch(token.lower)))
        ):
            break
        if _rank(tokens, at):
            # What stands before the next comparison is one of its own sides.
            return found[:ends] if ends else found
        if new:
            ends = len(found)
        found.append(token.lower)
    return found


def _words(text: str) -> list[str]:
    return [token.lower for sentence in read(text) for token in sentence.tokens]


def _is_content(word: str) -> bool:
    return word not in STOP_WORDS and word not in _SIDES and not word.endswith("ly")


def _bare(words: Sequence[str]) -> list[str]:
    named = [word for word in words if word not in _TOLD]
    # A name may be spelt like a common word.
    return [word for word in named if _is_content(word)] or named
