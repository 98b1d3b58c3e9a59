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

from citewise.backends.compared import Comparison, compared, is_of_winning, stance
from citewise.grounding.locks import has_cue, opposite
from citewise.grounding.overlap import SentenceText, background, read, stem
from citewise.grounding.quantities import quantities
from citewise.types import Evidence, QuestionKind, short_name

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
    r"\b(?:without|no|not(?! only)|never|neither|nor)\b(?: \w+){0,2}?"
    r" (?:compromis|sacrific|los[st]|degrad|hurt|harm|reduc|decreas|impair|affect|damag|deteriorat"
    r"|drop)\w*"
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
_NOT = frozenset("no not never cannot nor hardly barely".split())
_BETWEEN = frozenset(
    "a an the any be been to appear seem found shown always readily further clear significant"
    " statistically".split()
)
"""Beside adverbs, what may stand between 'not' and the word that it denies."""
_QUALITY = frozenset(stem(word) for word in "accuracy performance quality".split())
_RISK = frozenset(stem(word) for word in "risk incidence rate likelihood odds".split())
_SAME = (_QUALITY, _RISK)
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
_THAN = re.compile(r"^.{2,60}? (?:\w+ )??\w+(?: \w+){0,3}? (?:than|to) .{2,60}?$", re.IGNORECASE)
_OWN_WAY = re.compile(
    r"\bour (?:\w+ )?(?:method|approach|framework|system|model|algorithm|technique|design)s?\b"
    r"|\bwe (?:propose|introduce|present|develop)\b",
    re.IGNORECASE,
)
_OF_A_FIELD = 0.01
"""Share of all abstracts from which a word is the name of a field."""
_SEEN_TO = frozenset(
    "found shown seen known reported observed proven demonstrated likely tend tends tended appears"
    " appeared seems seemed continues continued".split()
)
"""Before 'to' where what follows is so, and not only meant."""
_BESIDE = frozenset("than over to with versus vs against beyond like from".split())
"""What stands before the one that another is compared to."""
_OTHERS = re.compile(
    r"\b(?:previous|prior|existing|conventional|traditional|current|earlier|naive|may|might|could"
    r"|whether|hypothesi\w+|hop(?:e|es|ing))\b",
    re.IGNORECASE,
)
"""What a paper says of others' work, or does not say for certain."""
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
    " train trains adding combining work works need needs require requires more less".split()
)
_ENDS_CLAUSE = re.compile(r"[,;:()]")
_WINDOW = 5
"""Words between the opposite and what it is about."""
# Of ties and differences 'no effect' is said as well.
_EFFECT = frozenset(
    "affect affects change changes alter alters influence influences differ associated linked"
    " related correlated".split()
)
_NO_EFFECT = re.compile(
    r"\b(?:no|neither (?:[\w-]+ ){1,4}nor (?:[\w-]+ ){1,4}had)"
    r" (?:(?!of|in|on|for|with)\w+ ){0,3}?(?:effects?|impact|influence|changes?|benefits?"
    r"|differences?|associations?|relationships?|correlations?)(?: \w+){0,3}?"
    r" (?:on|in|of|for|between|with)\b"
    r"|\b(?:not|never) (?:\w+ )?(?:affect|chang|alter|influenc)\w*",
    re.IGNORECASE,
)
_UNPROVED = re.compile(
    r"\bno (?:\w+ ){0,2}evidence (?:that|of|for|to)\b|\bfail(?:s|ed)? to\b"
    r"|\bnot support (?:the|a) \w+ (?:that|of)\b",
    re.IGNORECASE,
)
_VERBS = (
    (_HARM - {"cost", "costs"})
    | _NEED
    | _EFFECT
    | frozenset(
        "improve enhance boost strengthen benefit help degrade worsen deteriorate weaken increase"
        " raise amplify expand aggravate exacerbate intensify decline shrink cut diminish minimize"
        " maximize mitigate alleviate relieve preserve retain maintain keep accelerate slow"
        " outperform surpass exceed beat simplify complicate enable allow prevent hinder block"
        " stabilize destabilize promote activate inhibit suppress protect predict induce"
        " cause".split()
    )
)
"""What a question may turn on: no other word of it is opposed where it has one of these."""
_NO_POINTS = frozenset("with without before after".split())
"""What no question turns on, though each has an opposite."""
_NO_VERB_AFTER = frozenset(
    "a an the of in on at to for from by with and or than no this that their its".split()
)
"""Behind what the same words are nouns or adjectives: 'the increase of', 'with lower'."""
_DEGREES = frozenset(
    "high highest highly more most many much large largest great greatest big maximum upper low"
    " lowest less least fewest few small smallest minimum".split()
)
"""How much there is of something, which no verb of change is denied by."""
_TURNED = re.compile(
    r"\b(?:low|lower|lowered|less|poor|inadequate|insufficient|reduced|decreased|without|stopping"
    r"|(?P<thing>absence|lack|loss|withdrawal|discontinuation|inhibit(?:ion|ors?|ing)"
    r"|block(?:ade|ers?|ing)|deplet(?:ion|ed|ing)|deficien\w+|knock\w+|silencing))\b",
    re.IGNORECASE,
)
"""What makes 'increases' of a thing say that the thing itself reduces."""
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
    own: frozenset[str]
    """Of names that one title alone has: what many have is the name of a field."""
    marked: frozenset[str]
    """Names in it that no sentence's beginning makes: capitals or digits within."""
    points: tuple[int, ...]
    """Places of the words that it turns on: its verb of change, or all if it has none."""
    compared: Comparison | None
    """What it puts above another thing; only a text that compares them tells whether that holds."""


def contradiction(
    question: str, kind: QuestionKind, evidence: Sequence[Evidence]
) -> Contradiction | None:
    """The best sentence that contradicts the premise of ``question``, or None.

    Looks at yes/no questions and at 'why does ...' alone.
    """
    asked = _asked(question, kind, evidence)
    if asked is None:
        return None
    by_paper: dict[str, list[Evidence]] = {}
    for item in evidence:
        by_paper.setdefault(item.paper.id, []).append(item)
    found: list[Contradiction] = []
    for item in evidence[:_LOOKED_AT]:
        others = by_paper[item.paper.id]
        # Of what has a name, its own paper is asked; of anything else, every paper.
        named = _is_of(asked, item)
        said = [one for one in others if _says_so(asked, one, _HELD)]
        if not named:
            least = 1.0 if _denies(asked, item, outright=True) else 0.0
            said += [one for one in evidence if _says_so(asked, one, least)]
        if not named and not _WHY.match(question):
            # 'Does quantization hurt?' takes nothing for granted, and one way to do it is not all.
            if (_opposes if asked.compared else _denies)(asked, item) and not said:
                found.append(Contradiction(item, ONE_SAYS_NO))
            continue
        if not named and _OWN_WAY.search(item.span.text):
            # What a new way does with a matter is not what the matter does.
            continue
        if _opposes(asked, item) and not said:
            found.append(Contradiction(item, OPPOSITE))
        elif _other_figure(asked, item, others):
            found.append(Contradiction(item, OTHER_FIGURE))
    # Of several, the fullest: titles lend their words to any sentence.
    return max(found, key=lambda one: len(asked.stems & _held(one.item)), default=None)


def both_sides(
    question: str, kind: QuestionKind, evidence: Sequence[Evidence]
) -> tuple[Evidence, Evidence] | None:
    """Sentences of two papers, one for and one against what a question takes for granted.

    Each must hold all that the question is about, and its paper must not say the other as well.
    """
    asked = _asked(question, kind, evidence)
    if asked is None:
        return None
    full = [item for item in evidence[:_LOOKED_AT] if _holds_all(asked, item)]
    yes = {item.paper.id for item in evidence if _says_so(asked, item, _HELD)}
    no = {item.paper.id for item in evidence if _opposes(asked, item)}
    against = next((i for i in full if i.paper.id not in yes and _opposes(asked, i)), None)
    if against is None or asked.named & _stems(read(against.paper.title)):
        return None
    for item in full:
        if item.paper.id not in no and _agrees(asked, item):
            return (item, against) if item.score >= against.score else (against, item)
    return None


def _asked(question: str, kind: QuestionKind, evidence: Sequence[Evidence]) -> _Asked | None:
    """The premise of a question, or None where it has none that could be false."""
    if kind not in (QuestionKind.YES_NO, QuestionKind.HOW) or not _WITH_PREMISE.match(question):
        return None
    claim = _UP.sub("accelerate", _BEGINNING.sub("", question).rstrip("?. "))
    if has_cue(claim):
        return None
    tokens = [token for sentence in read(claim) for token in sentence.tokens]
    words = tuple(token.lower for token in tokens)
    named = frozenset(
        stem(t.lower) for t in tokens if any(c.isupper() for c in t.text) and not _is_field(t.text)
    )
    titles = [_stems(read(title)) for title in {item.paper.title for item in evidence}]
    return _Asked(
        claim,
        words,
        frozenset(stem(word) for word in words if word not in _EMPTY),
        named,
        frozenset(name for name in named if sum(name in title for title in titles) == 1),
        frozenset(
            w for w in re.findall(r"[\w-]+", claim) if _MARKED.search(w) and not _is_field(w)
        ),
        _points_of(words),
        compared(claim),
    )


def _is_field(name: str) -> bool:
    """Whether a name is that of a field ('LLMs'), which no paper has for its own."""
    known = background()
    return known.frequency.get(stem(name.lower()), 0) >= _OF_A_FIELD * known.documents


def _points_of(words: Sequence[str]) -> tuple[int, ...]:
    places = range(1, len(words))
    verbs = (at for at in places if words[at] in _VERBS and words[at - 1] not in _NO_VERB_AFTER)
    first = next(verbs, None)
    if first is None:
        return tuple(at for at, word in enumerate(words) if word not in _NO_POINTS)
    # 'Need less memory' turns on more than its verb.
    return tuple(range(first, len(words))) if words[first] in _NEED else (first,)


def _is_of(asked: _Asked, item: Evidence) -> bool:
    """Whether a question is about what the paper of a sentence calls by a name."""
    paper = item.paper
    name = _stems(read(short_name(paper.title))) if ":" in paper.title else frozenset()
    if asked.own & _stems(read(paper.title)) or (len(name) == 1 and name <= asked.stems):
        return True
    return bool(asked.marked) and all(word in item.span.text for word in asked.marked)


def _opposes(asked: _Asked, item: Evidence) -> bool:
    """Whether a sentence denies what is asked, or has a word that points the other way."""
    if asked.compared is not None:
        return stance(asked.compared, item.span.text) is False or _is_no_different(asked, item)
    if _denies(asked, item):
        return True
    if _is_turned(asked, item.span.text) or _is_only_beside(asked, item):
        return False
    least = _HELD if _is_of(asked, item) else 1.0
    for at in asked.points:
        word = asked.words[at]
        if _share_held(asked, word, item) < least:
            continue
        things = _things(asked.words, at)
        for sentence in read(item.span.text):
            for place, token in enumerate(sentence.tokens):
                if (
                    _are_opposite(word, token.lower, things)
                    and not _is_meant(sentence, place)
                    and _is_about(sentence, place, things)
                    and not (is_of_winning(token.lower) and _wins_another(asked, sentence, place))
                ):
                    return True
    return False


def _is_meant(sentence: SentenceText, place: int) -> bool:
    """Whether the word at ``place`` says what something is for: 'an approach to accelerate it'."""
    before = [token.lower for token in sentence.tokens[max(0, place - 2) : place]]
    return before[-1:] == ["to"] and before[0] not in _SEEN_TO


def _wins_another(asked: _Asked, sentence: SentenceText, place: int) -> bool:
    """Whether the word at ``place`` is said of other names than those of the question."""
    names = {t.text for t in sentence.tokens[:place] if _MARKED.search(t.text)}
    return bool(asked.marked and names) and not names & asked.marked


def _is_only_beside(asked: _Asked, item: Evidence) -> bool:
    """Whether a sentence is of another name, and only compares that to those of the question.

    'A does better than B while improving C' says nothing of B and C.
    """
    for sentence in read(item.span.text):
        tokens = sentence.tokens
        names = [at for at, token in enumerate(tokens) if _MARKED.search(token.text)]
        own = [at for at in names if tokens[at].text in asked.marked]
        if own and names[0] not in own:
            return all(
                any(token.lower in _BESIDE for token in tokens[max(0, at - 2) : at]) for at in own
            )
    return False


def _is_no_different(asked: _Asked, item: Evidence) -> bool:
    """Whether a sentence finds no difference between what is compared."""
    verbs = (at for at in asked.points if asked.words[at] in _VERBS)
    return any(_has_no_effect(asked, at, item.span.text) for at in verbs)


def _denies(asked: _Asked, item: Evidence, *, outright: bool = False) -> bool:
    """Whether a sentence says 'not', 'without' or the like of what is asked.

    ``outright``: of its very words, not by 'maintains' or 'comparable'.
    """
    if _is_only_beside(asked, item):
        return False
    text = item.span.text
    sentences = read(text)
    named = _is_of(asked, item)
    for at in asked.points:
        word = asked.words[at]
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
            or (not outright and _is_unharmed(word, things, item, named=named))
            or (word in _VERBS - _NEED and _has_no_effect(asked, at, text))
            or (word in _NEEDED and _is_unneeded(text, asked.words[:at]))
            or any(_is_negated(sentence, word, asked, _NONE | _NOT) for sentence in sentences)
        ):
            return True
    return False


def _is_unharmed(word: str, things: frozenset[str], item: Evidence, *, named: bool) -> bool:
    """Whether a sentence keeps, or of what has a name betters, what a verb of harm is about."""
    if word not in _HARM:
        return False
    patterns = (_UNHARMED, _BETTERED) if named else (_UNHARMED,)
    return any(_near_match(pattern, item.span.text, things) for pattern in patterns)


def _has_no_effect(asked: _Asked, at: int, text: str) -> bool:
    """Whether a text says that what stands before the verb at ``at`` does nothing to its object."""
    subject = _content(asked.words[:at])
    rest = asked.words[at + 1 :]
    end = next((i for i, w in enumerate(rest) if w in _PREPOSITIONS - {"of", "for"} and i), None)
    thing = _content(rest[:end]) or subject
    if not thing or not subject <= _widened(_stems(read(text))):
        return False
    for pattern, holding in ((_NO_EFFECT, thing), (_UNPROVED, thing | {stem(asked.words[at])})):
        for match in pattern.finditer(text):
            clause = re.split(r"[;.]\s|, (?:but|and|while|whereas)\b|\bbut\b", text[match.end() :])
            if holding <= _widened(_stems(read(clause[0]))):
                return True
    return False


def _content(words: Sequence[str]) -> frozenset[str]:
    return frozenset(stem(w) for w in words if w not in _EMPTY and w not in _PREPOSITIONS)


def _widened(stems: frozenset[str]) -> frozenset[str]:
    """Stems, with all that means the same as one of them."""
    return stems.union(*(same for same in _SAME if same & stems))


def _held(item: Evidence) -> frozenset[str]:
    return _widened(_stems(read(item.span.text)))


def _holds_all(asked: _Asked, item: Evidence) -> bool:
    """Whether a sentence itself holds all that a question is about."""
    held = _held(item)
    return any(asked.stems - {stem(asked.words[at])} <= held for at in asked.points)


def _is_turned(asked: _Asked, text: str) -> bool:
    """Whether a text speaks of the lack of what a question is about: 'low X increases Y'."""
    subject = _content(asked.words[: asked.points[0]]) if asked.points else frozenset()
    for match in _TURNED.finditer(text):
        if match.group().lower() in asked.words:
            continue
        near = re.findall(r"\w+", text[match.end() :])[:3]
        # 'X deficiency', but not 'X decreased'.
        near += re.findall(r"\w+", text[: match.start()])[-1:] if match["thing"] else []
        if subject & {stem(word.lower()) for word in near}:
            return True
    return False


def _share_held(asked: _Asked, word: str, item: Evidence) -> float:
    """Share of the question's other words that a sentence and its title hold; 0 if it has none."""
    about = asked.stems - {stem(word)}
    held = _stems(read(item.span.text))
    if _OWN.match(item.span.text) and not _THAN.match(asked.claim) and _is_of(asked, item):
        held |= asked.named
    held = _widened(held)
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
    things = _things(asked.words, asked.words.index(word))
    places = [at for at in places if things & _near(sentence, at)] or places
    before = [
        [token.lower for token in sentence.tokens[max(0, at - _WINDOW) : at]] for at in places
    ]
    return bool(before) and all(_ends_denied(words, negations) for words in before)


def _ends_denied(words: Sequence[str], negations: frozenset[str]) -> bool:
    """Whether words before another deny it: 'did not clearly', 'none of the models'."""
    if "only" in words:
        return False
    for word in reversed(words):
        if word in negations:
            return True
        if not (negations <= _NONE or word in _BETWEEN or word.endswith("ly")):
            break
    return bool(_NONE & set(words))


def _is_unneeded(text: str, subject: Sequence[str]) -> bool:
    """Whether a text says that what stands before 'needed' in a question is not."""
    wanted = {stem(word) for word in subject if word not in _EMPTY}
    for match in _UNNEEDED.finditer(text):
        clause = re.split(r"[;:]\s|\bbut\b", text[: match.start()])[-1]
        if wanted and wanted <= _stems(read(clause)):
            return True
    return bool(wanted) and _is_denied(text, frozenset(wanted), surely=True)


def _says_so(asked: _Asked, item: Evidence, least: float) -> bool:
    """Whether a sentence or its paper's title agrees; ``least``: share of the words they hold."""
    if asked.compared is not None:
        return any(stance(asked.compared, one) for one in (item.span.text, item.paper.title))
    if not (_agrees(asked, item) or _agrees_in(asked, item.paper.title, titled=True)):
        return False
    return any(_share_held(asked, asked.words[at], item) >= least for at in asked.points)


def _agrees(asked: _Asked, item: Evidence) -> bool:
    """Whether a sentence says of the same thing what the question takes for granted."""
    text = item.span.text
    if asked.compared is not None:
        return stance(asked.compared, text) is True
    if _OTHERS.search(text) or _UNPROVED.search(text) or _is_of_another(asked, item):
        return False
    return _agrees_in(asked, text)


def _agrees_in(asked: _Asked, text: str, *, titled: bool = False) -> bool:
    """Whether a text says so; ``titled``: it is a title, of which only a verb says anything."""
    for at in asked.points:
        word = asked.words[at]
        if not _points(word):
            continue
        things = _things(asked.words, at)
        if word in _NEED and _is_denied(text, things):
            continue
        for sentence in read(text):
            for place, token in enumerate(sentence.tokens):
                if stem(token.lower) != stem(word):
                    continue
                if titled and token.lower.removesuffix("s") not in _VERBS:
                    continue
                before = [t.lower for t in sentence.tokens[max(0, place - 4) : place]]
                # 'For the prevention of' tells what something is meant for.
                if has_cue(" ".join(before)) or "without" in before or "for" in before[-2:]:
                    continue
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
        word in _VERBS
        or word in _HARM
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


def _is_about(sentence: SentenceText, place: int, things: frozenset[str]) -> bool:
    """Whether the word at ``place`` is said, undenied, of those things."""
    tokens = sentence.tokens
    before = " ".join(token.lower for token in tokens[max(0, place - 3) : place])
    if has_cue(before) or "without" in before:
        return False
    return bool(_widened(things) & _near(sentence, place))


def _near(sentence: SentenceText, place: int) -> frozenset[str]:
    """Stems within a few words of one, in its clause."""
    tokens = sentence.tokens
    first, last = place, place
    while first > max(0, place - _WINDOW) and not _ENDS_CLAUSE.search(tokens[first].gap):
        first -= 1
    while last + 1 < min(len(tokens), place + _WINDOW + 1):
        if _ENDS_CLAUSE.search(tokens[last + 1].gap):
            break
        last += 1
    return frozenset(stem(t.lower) for t in tokens[first : last + 1])


def _near_match(pattern: re.Pattern[str], text: str, things: frozenset[str]) -> bool:
    things = _widened(things)
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
        if things and things <= _stems(read(after)):
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
    if other in _DEGREES or not opposite(one, other):
        return False
    # 'reduces' and 'improves' point in opposite directions in words alone.
    return _axis(one) == _axis(other) or bool(things & _GOODS)


def _axis(word: str) -> str:
    return next((name for name, words in _AXES if words.match(word)), "amount")


def _stems(sentences: Iterable[SentenceText]) -> frozenset[str]:
    return frozenset(stem(t.lower) for s in sentences for t in s.tokens)
