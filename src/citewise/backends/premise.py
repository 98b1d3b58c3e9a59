"""Does an abstract contradict what a question takes for granted?

'Why does X slow decoding down?' takes for granted that it does. The opposite is found by rule: a
word that points the other way beside the same thing, what the question asks for denied, or another
figure for the same thing. Only where a sentence holds nearly all of the question's words, together
with its paper's title, and no sentence of that paper agrees with the question. Careful rather than
complete: that a thing is not said is no contradiction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from citewise.grounding.locks import has_cue, opposite, quantities
from citewise.grounding.overlap import SentenceText, read, stem
from citewise.types import Evidence, Paper, QuestionKind, short_name

OPPOSITE = "The abstract says the opposite:"
OTHER_FIGURE = "The abstract gives another figure:"
ONE_SAYS_NO = "A paper here says otherwise:"

_WITH_PREMISE = re.compile(
    r"^(?:why (?:is|are|was|were|does|do|did|can|could|has|have)|is|are|was|were|does|do|did|can"
    r"|could|has|have|will|would|isn't|doesn't)\b",
    re.IGNORECASE,
)
_WHY = re.compile(r"why\b", re.IGNORECASE)
_BEGINNING = re.compile(
    r"^(?:why\s+)?(?:is|are|was|were|does|do|did|can|could|has|have|will|would)\s+", re.IGNORECASE
)
_HARM = frozenset(
    "hurt hurts harm harms degrade degrades lower lowers reduce reduces worsen worsens impair"
    " impairs sacrifice sacrifices compromise compromises lose loses cost costs damage damages"
    " decrease decreases worse inferior".split()
)
"""Verbs of harm: denied by 'without compromising', 'no loss of', 'maintaining'."""
_UNHARMED = re.compile(
    r"\b(?:without|no|not|never|neither|nor)\b(?: \w+){0,2}? (?:compromis|sacrific|los[st]|degrad"
    r"|hurt|harm|reduc|decreas|impair|affect|damag|deteriorat|drop)\w*"
    r"|\b(?:maintain|preserv|retain)\w*|\blossless(?:ly)?\b|\bon par with|\bcomparable\b"
    r"|\bnegl(?:igible|ectable)\b(?= (?:\w+ ){0,3}?(?:loss|drop|degradation|decrease|impact))",
    re.IGNORECASE,
)
_BETTERED = re.compile(r"\b(?:improv|enhanc|boost|increas)\w*", re.IGNORECASE)
"""Denies harm too, where the thing asked about is the paper's own: 'improves accuracy' of one way
to quantise says nothing of whether quantising harms it."""
_NEED = frozenset("need needs require requires demand demands rely relies depend depends".split())
_MARKED = re.compile(r"[A-Za-z][A-Z0-9]")
"""What makes a word a name wherever it stands."""
_MUCH = frozenset("much many more less".split())
_NEEDED = frozenset("needed required necessary essential mandatory indispensable".split())
_DENIED = (
    r"\b(?:without|no|not|never|neither|nor|eliminat\w+|obviat\w+|avoid\w*|circumvent\w*|free of)\b"
    r"(?= )"
)
_UNNEEDED = re.compile(
    r"\b(?:unnecessary|unneeded|dispensable|superfluous|optional"
    r"|(?:not|no longer|never) (?:\w+ )?(?:needed|required|necessary|essential)"
    r"|(?:is|are|was|were) (?:eliminated|omitted|avoided))\b",
    re.IGNORECASE,
)
_IN_ONE_WORD = re.compile(
    r"\b(?:no|non|zero)-([a-z]{4,})|\b([a-z]{4,})-(?:free|less)\b", re.IGNORECASE
)
"""'No-reference', 'training-free'."""
_NONE = frozenset({"none", "neither"})
_NOT = _NONE | frozenset("not never cannot nor hardly barely".split())
_QUALITY = frozenset(stem(word) for word in "accuracy performance quality".split())
"""What abstracts call by each other's name."""
_OWN = re.compile(
    r"^(?:[\w-]+, )?(?:we|our|it|its|this|these|the (?:\w+ ){1,2}?(?:approach|method|model))\b",
    re.IGNORECASE,
)
"""How a sentence begins that speaks of what its paper is about without its name."""
_GOODS = frozenset(stem(word) for word in "accuracy quality throughput speed efficiency".split())
"""Of these alone 'reduces' and 'improves' are opposites: to reduce latency is to improve it."""
_AXES = (
    ("speed", re.compile(r"fast|quick|rapid|accelerat|speed|slow|decelerat")),
    (
        "worth",
        re.compile(
            r"improv|enhanc|boost|bett|best|superior|strengthen|benefi|effective|degrad|wors|inferior"
            r"|hurt|harm|deteriorat|impair|weaken|ineffective|outperform|surpass|exceed|beat"
            r"|underperform|lag|trail"
        ),
    ),
)
"""Of words that ``opposite`` takes for opposites; all others are of amounts."""
_UP = re.compile(r"\bspeed(?:s|ing)?\b(?=(?: \S+)* up\b)", re.IGNORECASE)
_THAN = re.compile(
    r"^(.{2,60}?) (?:\w+ )??(\w+)(?: \w+){0,3}? (?:than|to) (.{2,60}?)$", re.IGNORECASE
)
_WON = frozenset(
    "outperform outperforms surpass surpasses exceed exceeds beat beats superior".split()
)
_OTHERS = re.compile(
    r"\b(?:previous|prior|existing|conventional|traditional|current|earlier|naive)\b", re.IGNORECASE
)
_PREPOSITIONS = frozenset("for on in at with than of to over during when by under without".split())
_PAIRS = (
    ("fixed static predefined", "dynamic dynamically adaptive adaptively flexible flexibly"),
    ("lossy", "lossless losslessly"),
    ("slow slows slowing", "speedup speedups speed-up fast faster accelerates accelerate"),
    ("useless pointless", "effective crucial beneficial improves improve essential"),
    ("unimportant irrelevant", "crucial important essential critical vital"),
    (
        "help helps benefit benefits",
        "degraded degrades degrade worsens worse hurts harms ineffective",
    ),
)
"""Further words that point in opposite directions, each way."""
_EMPTY = frozenset(
    "does did do is are was were why can could has have will would the a an of in on at to for from"
    " by with and or than not it its model models method methods approach approaches paper papers"
    " use uses using make makes get gets become becomes down up when during performance perform"
    " performs much many too so very really lot greatly badly all any run runs"
    " train trains work works need needs require requires more less".split()
)
_WINDOW = 5
"""Words between the opposite and what it is about."""
_EFFECT = frozenset("affect affects change changes alter alters influence influences".split())
_NO_EFFECT = re.compile(
    r"\bno (?:\w+ )?(?:effects?|impact|influence|change) (?:on|in|of)\b"
    r"|\b(?:not|never) (?:\w+ )?(?:affect|chang|alter|influenc)\w*",
    re.IGNORECASE,
)
_HALF = 0.5
_HELD = 0.75
"""Share of the question's words that the sentence and its title hold."""
_LOOKED_AT = 12


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A sentence that says otherwise than the question takes for granted."""

    item: Evidence
    lead: str
    """How it is announced."""


DISAGREE = "The papers disagree on this:"


@dataclass(frozen=True, slots=True)
class _Asked:
    claim: str
    """The question without the verb at its beginning."""
    words: tuple[str, ...]
    """Lower case, in order, without the verb at the beginning."""
    stems: frozenset[str]
    """Of what the question is about."""
    named: frozenset[str]
    """Of names in it."""
    marked: frozenset[str]
    """Names in it that no sentence's beginning makes: capitals or digits within."""


def contradiction(
    question: str, kind: QuestionKind, evidence: Sequence[Evidence]
) -> Contradiction | None:
    """The best sentence that contradicts the premise of ``question``, or None.

    Looks at yes/no questions and at 'why does ...' alone.
    """
    asked = _asked(question, kind)
    if asked is None:
        return None
    by_paper: dict[str, list[Evidence]] = {}
    for item in evidence:
        by_paper.setdefault(item.paper.id, []).append(item)
    for item in evidence[:_LOOKED_AT]:
        others = by_paper[item.paper.id]
        # Of what has a name, its own paper is asked; of anything else, every paper.
        named = _is_of(asked, item.paper)
        said = others if named else evidence
        if not named and not _WHY.match(question):
            # 'Does quantization hurt?' takes nothing for granted, and one way to do it is not all.
            if _denies(asked, item) and not any(_agrees(asked, other) for other in said):
                return Contradiction(item, ONE_SAYS_NO)
            continue
        opposed = _opposes(asked, item) and not any(_agrees(asked, other) for other in said)
        if opposed or _is_reversed(asked.claim, item):
            return Contradiction(item, OPPOSITE)
        if _other_figure(asked, item, others):
            return Contradiction(item, OTHER_FIGURE)
    return None


def both_sides(
    question: str, kind: QuestionKind, evidence: Sequence[Evidence]
) -> tuple[Evidence, Evidence] | None:
    """Sentences of two papers, one for and one against what a question takes for granted."""
    asked = _asked(question, kind)
    if asked is None:
        return None
    best = evidence[:_LOOKED_AT]
    against = next((item for item in best if _opposes(asked, item)), None)
    if against is None or asked.named & _stems(read(against.paper.title)):
        return None
    wanted = asked.stems
    for item in best:
        held = _stems(read(item.span.text))
        if item.paper.id != against.paper.id and wanted <= held and _agrees(asked, item):
            return (item, against) if item.score >= against.score else (against, item)
    return None


def _asked(question: str, kind: QuestionKind) -> _Asked | None:
    """The premise of a question, or None where it has none that could be false."""
    if kind not in (QuestionKind.YES_NO, QuestionKind.HOW) or not _WITH_PREMISE.match(question):
        return None
    claim = _UP.sub("accelerate", _BEGINNING.sub("", question).rstrip("?. "))
    if has_cue(claim):
        return None
    tokens = [token for sentence in read(claim) for token in sentence.tokens]
    words = tuple(token.lower for token in tokens)
    return _Asked(
        claim,
        words,
        frozenset(stem(word) for word in words if word not in _EMPTY),
        frozenset(stem(t.lower) for t in tokens if any(c.isupper() for c in t.text)),
        frozenset(w for w in re.findall(r"[\w-]+", claim) if _MARKED.search(w)),
    )


def _is_of(asked: _Asked, paper: Paper) -> bool:
    """Whether a question is about what that paper calls by a name."""
    name = _stems(read(short_name(paper.title))) if ":" in paper.title else frozenset()
    if asked.named & _stems(read(paper.title)) or (len(name) == 1 and name <= asked.stems):
        return True
    return bool(asked.marked) and all(word in paper.abstract for word in asked.marked)


def _opposes(asked: _Asked, item: Evidence) -> bool:
    """Whether a sentence denies what is asked, or has a word that points the other way."""
    if _denies(asked, item):
        return True
    title = _stems(read(item.paper.title))
    named = _is_of(asked, item.paper)
    for at, word in enumerate(asked.words):
        if _share_held(asked, word, item) < (_HELD if named else 1.0):
            continue
        things = _things(asked.words, at)
        for sentence in read(item.span.text):
            for place, token in enumerate(sentence.tokens):
                other = token.lower
                if _are_opposite(word, other, things) and _is_about(sentence, place, things, title):
                    return True
    return False


def _denies(asked: _Asked, item: Evidence) -> bool:
    """Whether a sentence says 'not', 'without' or the like of what is asked."""
    text = item.span.text
    sentences = read(text)
    named = _is_of(asked, item.paper)
    for at, word in enumerate(asked.words):
        things = _things(asked.words, at)
        share = _share_held(asked, word, item)
        # 'Need so much memory' is not denied by needing less.
        denied = (
            word in _NEED
            and not _MUCH & set(asked.words[at + 1 : at + 3])
            and _is_denied(text, things, surely=not named)
        )
        none = any(_is_negated(sentence, word, asked, _NONE) for sentence in sentences)
        if named and share >= _HALF and (denied or none):
            return True
        # What has a name is spoken of by it; anything else may be spoken of by many papers.
        if share < (_HELD if named else 1.0):
            continue
        if (
            denied
            or (word in _HARM and _near_match(_UNHARMED, text, things))
            or (word in _HARM and named and _near_match(_BETTERED, text, things))
            or (word in _EFFECT and _near_match(_NO_EFFECT, text, things))
            or (word in _NEEDED and _is_unneeded(text, asked.words[:at]))
            or any(_is_negated(sentence, word, asked, _NOT) for sentence in sentences)
        ):
            return True
    return False


def _share_held(asked: _Asked, word: str, item: Evidence) -> float:
    """Share of the question's other words that a sentence and its title hold; 0 if it has none."""
    about = asked.stems - {stem(word)}
    held = _stems(read(item.span.text))
    if _OWN.match(item.span.text) and not _THAN.match(asked.claim) and _is_of(asked, item.paper):
        held |= asked.named
    if held & _QUALITY:
        held |= _QUALITY
    held |= {f"re{one}" for one in held}
    if not about & held:
        return 0.0
    return len(about & (held | _stems(read(item.paper.title)))) / len(about)


def _is_negated(
    sentence: SentenceText, word: str, asked: _Asked, negations: frozenset[str]
) -> bool:
    """Whether a sentence has a word of the question behind one of ``negations`` alone."""
    wanted = stem(word)
    if word in _EMPTY or wanted in asked.named:
        return False
    places = [
        at for at, token in enumerate(sentence.tokens)
        # Not by another word for it: 'none reached' stays so beside 'two achieved'.
        if stem(token.lower) == wanted and token.lower[:3] == word[:3]
    ]  # fmt: skip
    before = [
        [token.lower for token in sentence.tokens[max(0, at - _WINDOW) : at]] for at in places
    ]
    return bool(before) and all(negations & set(words) and "only" not in words for words in before)


def _is_unneeded(text: str, subject: Sequence[str]) -> bool:
    """Whether a text says that what stands before 'needed' in a question is not."""
    wanted = {stem(word) for word in subject if word not in _EMPTY}
    for match in _UNNEEDED.finditer(text):
        clause = re.split(r"[;:]\s|\bbut\b", text[: match.start()])[-1]
        if wanted and wanted <= _stems(read(clause)):
            return True
    return bool(wanted) and _is_denied(text, frozenset(wanted), surely=True)


def _is_reversed(claim: str, item: Evidence) -> bool:
    """Whether 'A is better than B' is asked where a sentence says that B is better than A."""
    match = _THAN.match(claim)
    if match is None:
        return False
    one, better, other = match[1], match[2].lower(), match[3]
    if not (opposite(better, "worse") or opposite(better, "slower") or opposite(better, "less")):
        return False
    for sentence in read(item.span.text):
        words = [token.lower for token in sentence.tokens]
        places = [at for at, word in enumerate(words) if word == better or word in _WON]
        for at in places:
            before, after = words[max(0, at - 40) : at], words[at + 1 : at + 12]
            forwards = _holds(before, one) and _holds(after, other)
            # The first one named is who does better.
            if _holds(before, other) and _holds(after, one) and not forwards:
                return not has_cue(" ".join(words[max(0, at - 4) : at]))
    return False


def _holds(words: Sequence[str], name: str) -> bool:
    wanted = [token.lower for sentence in read(name) for token in sentence.tokens]
    wanted = [word for word in wanted if word not in _EMPTY]
    return bool(wanted) and set(wanted) <= set(words)


def _agrees(asked: _Asked, item: Evidence) -> bool:
    """Whether a sentence says of the same thing what the question takes for granted."""
    for at, word in enumerate(asked.words):
        if not _points(word):
            continue
        things = _things(asked.words, at)
        if _OTHERS.search(item.span.text) or _is_of_another(asked, item):
            continue
        if word in _NEED and _is_denied(item.span.text, things):
            continue
        for sentence in read(item.span.text):
            for place, token in enumerate(sentence.tokens):
                same = stem(token.lower) == stem(word)
                before = " ".join(t.lower for t in sentence.tokens[max(0, place - 4) : place])
                if same and not has_cue(before) and "without" not in before:
                    near = {
                        stem(t.lower)
                        for t in sentence.tokens[max(0, place - _WINDOW) : place + _WINDOW + 1]
                    }
                    if not things or things & near:
                        return True
    return False


def _is_of_another(asked: _Asked, item: Evidence) -> bool:
    """Whether a sentence begins with another name than those of the question."""
    first = item.span.text.split(maxsplit=1)[0]
    return bool(asked.marked) and bool(_MARKED.search(first)) and first not in asked.marked


def _points(word: str) -> bool:
    return (
        word in _HARM
        or word in _NEED
        or any(word in side.split() for pair in _PAIRS for side in pair)
        or any(opposite(word, other) for other in ("increase", "decrease", "better", "worse"))
    )


def _things(words: Sequence[str], at: int) -> frozenset[str]:
    """Stems of what follows a word of the question: what it is about."""
    found: list[str] = []
    for word in words[at + 1 :]:
        if word in _PREPOSITIONS and found:
            break
        if word not in _EMPTY and word not in _PREPOSITIONS:
            found.append(stem(word))
    return frozenset(found[:3])


def _is_about(
    sentence: SentenceText, place: int, things: frozenset[str], title: frozenset[str]
) -> bool:
    """Whether the word at ``place`` is said, undenied, of those things."""
    tokens = sentence.tokens
    before = " ".join(token.lower for token in tokens[max(0, place - 3) : place])
    if has_cue(before) or "without" in before:
        return False
    near = {stem(t.lower) for t in tokens[max(0, place - _WINDOW) : place + _WINDOW + 1]}
    if things & near:
        return True
    # What the whole paper is about need not be repeated.
    return bool(things) and things <= title


def _near_match(pattern: re.Pattern[str], text: str, things: frozenset[str]) -> bool:
    if things & _QUALITY:
        things |= _QUALITY
    for match in pattern.finditer(text):
        after = re.split(r"[,;.]\s", text[match.end() : match.end() + 80])[0]
        following = [stem(word.lower()) for word in re.findall(r"[\w-]+", after)]
        if things & set(following[:_WINDOW]):
            return True
    return False


def _is_denied(text: str, things: frozenset[str], *, surely: bool = False) -> bool:
    """Whether a text does without those things; ``surely``: 'eliminates' is not enough."""
    for match in re.finditer(_DENIED, text, re.IGNORECASE):
        if surely and match.group().lower().startswith(("elimin", "avoid", "circum")):
            continue
        if re.search(r"\balso\b", text[: match.start()]):
            continue
        after = re.split(r"[,;.]\s", text[match.end() : match.end() + 60])[0]
        following = {stem(word.lower()) for word in re.findall(r"\w+", after)[:9]}
        if things and things <= following:
            return True
    words = {stem((m[1] or m[2]).lower()) for m in _IN_ONE_WORD.finditer(text)}
    # 'retraining' is denied by 'training-free'.
    return bool(words & (things | {thing.removeprefix("re") for thing in things}))


def _other_figure(asked: _Asked, item: Evidence, others: Iterable[Evidence]) -> bool:
    mine = [q for s in read(asked.claim) for q in quantities(s) if q.source != "name"]
    if len(mine) != 1 or not (mine[0].unit or mine[0].after):
        return False
    held = _stems(read(item.span.text)) | _stems(read(item.paper.title))
    about = asked.stems - {stem(mine[0].text.lower())}
    if len(about & held) < _HELD * len(about):
        return False
    if any(q.value == mine[0].value for o in others for s in read(o.span.text)
           for q in quantities(s)):  # fmt: skip
        return False
    theirs = [
        q for s in read(item.span.text) for q in quantities(s)
        if q.source != "name" and q.unit == mine[0].unit and q.after == mine[0].after and q.after
    ]  # fmt: skip
    return len(theirs) == 1


def _are_opposite(one: str, other: str, things: frozenset[str]) -> bool:
    for left, right in _PAIRS:
        sides = left.split(), right.split()
        if (one in sides[0] and other in sides[1]) or (one in sides[1] and other in sides[0]):
            return True
    if not opposite(one, other):
        return False
    # 'reduces' and 'improves' point in opposite directions in words alone.
    return _axis(one) == _axis(other) or bool(things & _GOODS)


def _axis(word: str) -> str:
    return next((name for name, words in _AXES if words.match(word)), "amount")


def _stems(sentences: Iterable[SentenceText]) -> frozenset[str]:
    return frozenset(stem(t.lower) for s in sentences for t in s.tokens)
