"""What the cited words must hold: every number, name, negation and direction of a claim.

Word overlap cannot see that 5.54x became 12.5x or that 'not' slipped in; these rules can. They
forgive formatting (``1,000`` = ``1k``; ``5.54x`` = ``5.54 times``), plurals, acronyms whose long
form is there, and rounding that says so ('about').
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Literal

from citewise.grounding.overlap import (
    STOP_WORDS,
    SentenceText,
    Token,
    background,
    read_sentence,
    stem,
)
from citewise.grounding.quantities import (
    COMPARATOR_TEXT,
    OPPOSED,
    UNITS,
    Pool,
    Quantity,
    bare,
    compatible,
    quantities,
)

Kind = Literal["number", "name", "negation", "direction"]


@dataclass(frozen=True, slots=True)
class Broken:
    """Something in a claim that the cited words do not hold."""

    kind: Kind
    reason: str
    """In words a person can read."""
    hard: bool
    """True when it contradicts the cited words or adds a fact; False for a mere doubt."""


# ---------------------------------------------------------------------------------------- numbers


def _asked(quantity: Quantity, pool: Pool, here: Pool) -> tuple[Quantity, ...]:
    """What is to be held of a claim's number: 'four out of five' as a share or as two counts."""
    if not quantity.parts or all(pool.holding(part) for part in quantity.parts):
        return quantity.parts or (quantity,)
    share = pool.holding(quantity) or here.implies(quantity)
    return (quantity,) if share else quantity.parts


def _numbers(
    claim: Sequence[SentenceText],
    evidence: Sequence[SentenceText],
    aligned: Sequence[SentenceText],
    context: Sequence[SentenceText],
) -> list[Broken]:
    mine = [q for s in claim for q in quantities(s) if q.source != "name"]
    if not mine:
        return []
    pool = Pool(q for s in evidence for q in quantities(s))
    given = Pool(q for s in context for q in quantities(s))
    here = Pool(q for s in aligned for q in quantities(s) if q.source != "name")
    near = here.all
    asked = [n for q in mine for n in _asked(q, pool, here)]
    said = {q.value for q in asked}
    broken: list[Broken] = []
    for q in asked:
        held = pool.holding(q)
        rivals = [
            n for n in near
            if n.value not in said and compatible(q, n.unit, n.source)
            # 'Two in five patients' takes the place of no count of patients.
            and not (q.worded_share and n.unit != "%")
        ]  # fmt: skip
        twins = [
            n
            for n in rivals
            if (n.after == q.after if q.after else q.before and n.before == q.before)
        ]
        if held:
            twin = next((n for n in twins if n.before == q.before and n.after == q.after), None)
            if twin is not None and not any(
                (h.after == q.after and h.before == q.before) or h.comparator != q.comparator
                for h in held
            ):
                broken.append(
                    Broken("number", f"{q.text} stands elsewhere; the cited words say {twin.text}"
                           " here", True)
                )  # fmt: skip
                continue
            opposed = OPPOSED.get(q.comparator, frozenset())
            if opposed and all(h.comparator in opposed for h in held):
                broken.append(
                    Broken("number",
                           f"'{COMPARATOR_TEXT[q.comparator]} {q.text}' is not what the cited "
                           f"words say: '{COMPARATOR_TEXT[held[0].comparator]} {held[0].text}'",
                           True)
                )  # fmt: skip
            continue
        if given.holding(q):
            continue
        shown = twins or [n for n in rivals if n.unit == q.unit] or rivals
        they = "they say " + " and ".join(dict.fromkeys(n.text for n in shown[:2]))
        if not shown:
            they = "they give no such number" if near else "they give no number"
        # A small number in words may count what the cited words list without counting.
        hard = q.source == "digits" or bool(twins) or q.value > 4 or bool(q.unit)
        # Whoever writes may have worked a ratio out.
        hard = hard and (bool(twins) or not here.implies(q))
        broken.append(Broken("number", f"{q.text} is not in the cited words; {they}", hard))
    return broken


# ------------------------------------------------------------------------------------------ names

_SHORT_ACRONYMS = {
    "ai": ("artificial", "intelligence"), "ml": ("machine", "learning"),
    "rl": ("reinforcement", "learning"), "dl": ("deep", "learning"), "cv": ("computer", "vision"),
    "qa": ("question", "answering"), "ir": ("information", "retrieval"),
    "kg": ("knowledge", "graph"), "kv": ("key", "value"), "us": ("united", "states"),
    "uk": ("united", "kingdom"),
}  # fmt: skip
_ALIASES: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split("|"))
    for line in (
        "covid 19|covid|sars cov 2|coronavirus|2019 ncov|ncov|novel coronavirus|coronaviruses",
        "us|usa|u s|united states|american|americans|united|america",
        "uk|united kingdom|british|britain|united",
        "eu|european union|europe|european",
        "llm|large language model|large language models|llms|language models|language model",
    )
)
"""Names, as streams, that stand for each other."""
_REPORTING = frozenset(
    """presents proposes introduces shows demonstrates describes reports finds argues investigates
    explores studies examines provides offers develops addresses considers analyzes analyses
    evaluates discusses reveals establishes suggests observes tackles aims trains builds designs
    formulates present propose introduce show demonstrate describe report find argue""".split()
)
_SELF = frozenset("we our paper work study article authors author survey thesis report".split())
_NOT_NAMES = frozenset(
    """i ii iii iv a the monday tuesday wednesday thursday friday saturday sunday figure table
    section appendix""".split()
)


@dataclass(frozen=True, slots=True)
class Name:
    """A name, acronym or numbered model of a claim."""

    text: str
    stream: str
    """Its letters and numbers, lower case, separated by single spaces."""
    strong: bool
    """Marked by its form (CamelCase, capitals, digits), not only by a capital letter."""
    start: int
    """Index of its first token."""
    end: int
    """Index after its last token."""


def _marked(word: str) -> bool:
    """True for CamelCase, acronyms and other words with a capital after the first letter."""
    return len(word) > 1 and not word[1:].islower() and any(c.isupper() for c in word[1:])


def names(sentence: SentenceText) -> list[Name]:
    """The names of a sentence: by their form, or capitalised and known as names or not known."""
    tokens = sentence.tokens
    table = background()
    found: list[Name] = []
    at = 0
    while at < len(tokens):
        end = at + 1
        while end < len(tokens) and tokens[end].joint != " ":
            end += 1
        group = tokens[at:end]
        digits = [i for i, t in enumerate(group) if not t.text[0].isalpha()]
        if digits and digits[-1] > 0 and group[0].text[0].isalpha():
            capitals = [i for i, t in enumerate(group) if t.text[0].isupper()]
            first = min([*capitals, max(0, digits[0] - 1)])
            last = digits[-1]
            if last + 1 < len(group) and group[last + 1].joint == "":
                last += 1
            last = max([last, *capitals])
            part = group[first : last + 1]
            text = part[0].text + "".join((t.joint + t.text) for t in part[1:])
            found.append(
                Name(text, " ".join(bare(t).lower() for t in part), True, at + first,
                     at + last + 1)
            )  # fmt: skip
        else:
            for place, token in enumerate(group, at):
                word = bare(token)
                lower = word.lower()
                if len(word) < 2 or not word[0].isalpha() or lower in _NOT_NAMES:
                    continue
                if place > at and token.joint == "" and tokens[place - 1].text[0].isdigit():
                    continue  # a unit, such as the GB of 5GB
                if place and tokens[place - 1].text[0].isdigit() and lower in UNITS:
                    continue  # the same with a space: 5 GB
                if _marked(word):
                    found.append(Name(word, lower, True, place, place + 1))
                elif word[0].isupper() and lower not in STOP_WORDS:
                    known = lower in table.names
                    unknown = stem(lower) not in table.frequency
                    opening = place == 0 or any(c in tokens[place].gap for c in ":\"'([")
                    alone = "(" in token.gap and token.tail.startswith(")")
                    if known or (unknown and (alone or not opening)):
                        found.append(Name(word, lower, False, place, place + 1))
        at = end
    return found


def _own_names(sentence: SentenceText) -> list[Name]:
    """The names that must be held: not what shouts, nor what the claim itself abbreviates."""
    found = names(sentence)
    tokens = sentence.tokens
    loud = sum(t.text.isupper() for t in tokens if len(t.text) > 1)
    if len(tokens) > 3 and loud > 0.6 * len(tokens):
        found = [n for n in found if any(c.isdigit() for c in n.stream)]
    kept = []
    for name in found:
        token = tokens[name.start]
        own = "(" in token.gap and tokens[name.end - 1].tail.startswith(")") and name.strong
        before = sentence.initials[max(0, name.start - 9) : name.start]
        capitals = [c.lower() for c in name.text if c.isupper()]
        spelt = iter(before)
        if own and len(capitals) > 1 and all(c in spelt for c in capitals):
            continue
        kept.append(name)
    return kept


def _content_initials(sentence: SentenceText) -> str:
    """First letters of the content words: CDC for 'Center for Disease Control'."""
    return "".join(sentence.tokens[term.position].lower[0] for term in sentence.terms)


class _Held:
    """Where names are looked for."""

    def __init__(self, sentences: Sequence[SentenceText]) -> None:
        self.sentences = sentences
        tokens = [t for s in sentences for t in s.tokens]
        self.words = [bare(t).lower() for t in tokens]
        self.stream = " " + " ".join(self.words) + " "
        self.vocabulary = set(self.words)
        self.acronyms = {
            w.lower()
            for w in ((bare(t)[:-1] if t.text.endswith("s") else bare(t)) for t in tokens)
            if 2 <= len(w) <= 6 and w.isupper() and w.isalpha()
        }
        self.capitals = {
            bare(t).lower() for t in tokens if len(t.text) >= 4 and t.text[0].isupper()
        }
        self._joined: set[str] | None = None
        self._stems: set[str] | None = None

    @property
    def joined(self) -> set[str]:
        if self._joined is None:
            words = self.words[:20_000]
            self._joined = {a + b for a, b in pairwise(words)} | {
                a + b + c for a, b, c in zip(words, words[1:], words[2:], strict=False)
            }
        return self._joined

    @property
    def stems(self) -> set[str]:
        if self._stems is None:
            self._stems = {stem(w) for w in self.vocabulary}
        return self._stems

    def holds(self, name: Name, sentence: SentenceText) -> bool:
        stream = name.stream
        if f" {stream} " in self.stream or f" {stream}s " in self.stream:
            return True
        if stream.endswith("s") and f" {stream[:-1]} " in self.stream:
            return True
        squashed = stream.replace(" ", "")
        if squashed in self.vocabulary or squashed in self.joined or squashed + "s" in self.joined:
            return True
        if any(
            stream in group and any(f" {other} " in self.stream for other in group)
            for group in _ALIASES
        ):
            return True
        letters = squashed.removesuffix("s")
        if letters.isalpha() and name.strong:
            if letters in _SHORT_ACRONYMS:
                return all(stem(w) in self.stems for w in _SHORT_ACRONYMS[letters])
            if 3 <= len(letters) <= 6 and any(
                letters in s.initials or letters in _content_initials(s) for s in self.sentences
            ):
                return True
        if not name.strong:
            if stem(stream) in self.stems:
                return True
            if any(w[:4] == stream[:4] and abs(len(w) - len(stream)) <= 4 for w in self.capitals):
                return True  # Norway, Norwegian
        # The claim spells out what the cited words abbreviate.
        for acronym in self.acronyms:
            if len(acronym) >= 3:
                found = sentence.initials.find(acronym)
                if 0 <= found <= name.start < found + len(acronym):
                    return True
        return False


def _names(
    claim: Sequence[SentenceText],
    evidence: Sequence[SentenceText],
    aligned: Sequence[SentenceText],
    context: Sequence[SentenceText],
) -> list[Broken]:
    asked = [(n, s) for s in claim for n in _own_names(s)]
    if not asked:
        return []
    cited, given = _Held(evidence), _Held(context)
    broken: list[Broken] = []
    for name, sentence in asked:
        if cited.holds(name, sentence) or given.holds(name, sentence):
            continue
        if not context and name.start == 0 and name.end < len(sentence.tokens):
            verb = sentence.tokens[name.end].lower
            if verb in _REPORTING and any(t.lower in _SELF for s in aligned for t in s.tokens):
                # 'X presents ...' for 'This paper presents ...', and nobody said which paper.
                continue
        broken.append(Broken("name", f"{name.text} is not named in the cited words", True))
    return broken


# ------------------------------------------------------------------------------ negation, direction

_CUES = frozenset(
    """not cannot never no none neither nor without fail fails failed unable lack
    lacks lacked lacking hardly barely nothing non""".split()
)
_HINTS = frozenset(
    """avoid avoids avoiding avoided eliminate eliminates eliminating remove removes removing
    prevent prevents preventing limited limit limits struggle struggles struggling difficult rarely
    seldom little few absent absence rather instead insufficient inability impossible infeasible
    ignore ignores ignoring neglect neglects overlook overlooks missing free less only scarce poor
    poorly challenging hinders hinder suffers suffer degrade degrades worse bypass bypasses
    bypassing
    obviate obviates obviating reject rejects deny denies refuse refuses forgo unlike despite
    deficient deficiency loss knockout depletion depleted null resistant loses lost
    drop drops dropping skip skips skipping independent agnostic zero""".split()
)
_NOT_CUE_NEXT = frozenset("only just merely simply limited necessarily".split())
_BREAKS = re.compile(r"[,;:()\"]")


@dataclass(frozen=True, slots=True)
class _Cue:
    word: str
    scope: tuple[str, ...]
    at: int


def _is_cue(tokens: Sequence[Token], at: int) -> bool:
    lower = tokens[at].lower
    if lower.endswith("n't"):
        return True
    if lower not in _CUES:
        return False
    follower = tokens[at + 1].lower if at + 1 < len(tokens) else ""
    if lower == "not" and follower in _NOT_CUE_NEXT and follower != "necessarily":
        return False
    if lower in ("not", "no") and at and tokens[at - 1].lower in ("or", "whether", "if"):
        return False
    if lower == "non":
        return bool(follower) and tokens[at + 1].joint == "-"
    if lower == "no" and follower and follower[0].isdigit():
        return False  # 'No. 5'
    return not (lower == "no" and follower in ("doubt", "longer") and follower == "doubt")


def _cues(sentence: SentenceText) -> list[_Cue]:
    tokens = sentence.tokens
    found: list[_Cue] = []
    for at, token in enumerate(tokens):
        if token.lower == "free" and token.joint == "-" and at:
            found.append(_Cue(f"{tokens[at - 1].text}-free", (stem(tokens[at - 1].lower),), at))
            continue
        if not _is_cue(tokens, at):
            continue
        reach = 2 if token.lower == "non" else 9
        scope: list[str] = []
        for place in range(at + 1, min(len(tokens), at + reach)):
            word = tokens[place]
            if scope and (_BREAKS.search(word.gap) or word.lower in ("but", "while", "whereas")):
                break
            if word.lower not in STOP_WORDS:
                scope.append(stem(word.lower))
                if len(scope) == 4:
                    break
        found.append(_Cue(token.text, tuple(scope), at))
    return found


def has_cue(text: str) -> bool:
    """Whether a plain text holds a negation."""
    return any(_is_cue(s.tokens, at) for s in read_sentence(text) for at in range(len(s.tokens)))


_PREFIXES = ("un", "non", "in", "im", "ir", "il", "dis")


def _negated_form(word: str, vocabulary: set[str]) -> str | None:
    for prefix in _PREFIXES:
        if prefix + word in vocabulary:
            return prefix + word
    return None


_AXES: tuple[tuple[str, str, str], ...] = (
    ("general",
     "improve improves improved improving improvement improvements enhance enhances enhanced "
     "enhancing enhancement boost boosts boosted boosting better best superior superiority "
     "strengthen strengthens strengthened benefit benefits beneficial effective effectively",
     "degrade degrades degraded degrading degradation degradations worsen worsens worsened worse "
     "worst "
     "inferior "
     "hurt hurts harm harms harmful deteriorate deteriorates deteriorated impair impairs impaired "
     "weaken weakens weakened ineffective ineffectively useless worsening deterioration"),
    ("amount",
     "increase increases increased increasing increasingly raise raises raised rise rises rising "
     "grow grows growing growth higher high highest more larger large largest greater great "
     "greatest bigger most maximum maximize maximizes maximizing amplify amplifies expand expands "
     "upper many elevated highly aggravate aggravates aggravated aggravating exacerbate "
     "exacerbates exacerbated exacerbating intensify intensifies",
     "decrease decreases decreased decreasing reduce reduces reduced reducing reduction reductions "
     "lower lowers lowest low fewer fewest less decline declines declined declining drop drops "
     "dropped fall falls shrink shrinks smaller small smallest cut cuts diminish diminishes "
     "diminished least minimum minimize minimizes minimizing mitigate mitigates mitigated "
     "mitigating alleviate alleviates alleviated alleviating relieve relieves few loss losses "
     "lowered"),
    ("keeping",
     "preserve preserves preserved preserving retain retains retained retaining maintain maintains "
     "maintained maintaining keep keeps kept keeping",
     "lose loses lost losing sacrifice sacrifices sacrificed sacrificing compromise compromises "
     "compromised compromising destroy destroys "
     "destroyed forfeit forfeits discard discards discarded"),
    ("severity", "minimal slight slightly negligible minor marginal marginally modest",
     "severe severely substantial substantially massive considerable considerably dramatic "
     "dramatically drastic drastically major significant significantly"),
    ("bounds", "limited restricted constrained", "unlimited unrestricted unconstrained boundless"),
    ("speed",
     "fast faster fastest quick quicker quickly rapid rapidly accelerate accelerates accelerated "
     "accelerating acceleration speedup speedups",
     "slow slower slowest slowly slows slowdown slowdowns decelerate decelerates deceleration"),
    ("rank",
     "outperform outperforms outperformed outperforming surpass surpasses surpassed surpassing "
     "exceed exceeds exceeded exceeding beat beats",
     "underperform underperforms underperformed underperforming lag lags trail trails falls "
     "behind"),
    ("length", "long longer longest", "short shorter shortest"),
    ("strength", "strong stronger strongest strongly", "weak weaker weakest weakly"),
    ("sign", "positive positively", "negative negatively"),
    ("time", "before earlier early prior", "after later late subsequently"),
    ("success", "succeed succeeds succeeded success successful successfully",
     "fail fails failed failing failure failures unsuccessful unsuccessfully"),
    ("efficiency", "efficient efficiently efficiency cheap cheaper inexpensive economical frugal",
     "inefficient inefficiently inefficiency wasteful wastefully expensive costly costlier"),
    ("ease", "easy easier easiest simple simpler easily simplify simplifies",
     "hard harder hardest difficult complex complicate complicates complicated intricate"),
    ("merit", "advantage advantages advantageous strength strengths",
     "drawback drawbacks disadvantage disadvantages disadvantageous shortcoming shortcomings"),
    ("weight", "crucial essential important vital critical key relevant",
     "irrelevant unimportant insignificant dispensable"),
    ("membership", "include includes including included", "exclude excludes excluding excluded"),
    ("permission", "enable enables enabling enabled allow allows allowing permit permits",
     "prevent prevents preventing prevented hinder hinders hindering block blocks disable "
     "disables"),
    ("frequency", "always often frequently", "never rarely seldom"),
    ("agreement", "agree agrees agreement consistent consistently",
     "disagree disagrees disagreement inconsistent inconsistently"),
    ("supervision", "supervised", "unsupervised"),
    ("stability", "stable stabilize stabilizes stability", "unstable destabilize instability"),
    ("robustness", "robust robustly resilient", "fragile brittle vulnerable"),
    ("acceptance", "accept accepts accepted", "reject rejects rejected"),
    ("depth", "deep deeper", "shallow shallower"),
    ("extent", "wide wider broad broader", "narrow narrower"),
    ("density", "dense", "sparse"),
    ("ability", "sufficient sufficiently able capable", "insufficient "
     "insufficiently unable incapable"),
    ("truth", "true correct correctly accurate accurately", "false incorrect "
     "incorrectly inaccurate inaccurately wrong"),
    ("likelihood", "likely", "unlikely"),
    ("support", "confirm confirms support supports supported", "contradict contradicts refute "
     "refutes refuted oppose opposes"),
    ("presence", "with", "without"),
    ("promotion", "promote promotes promoted activate activates activated activation upregulated",
     "inhibit inhibits inhibited suppress suppresses suppressed inhibition suppression "
     "downregulated"),
)  # fmt: skip
_DIRECTION: dict[str, tuple[str, int]] = {
    word: (axis, sign)
    for axis, up, down in reversed(_AXES)
    for sign, line in ((1, up), (-1, down))
    for word in line.split()
}
_RIVALS: tuple[tuple[frozenset[str], frozenset[str]], ...] = tuple(
    (frozenset(one.split()), frozenset(other.split()))
    for one, other in (
        ("comparable comparably competitive equal equivalent on-par",
         "inferior worse poorer superior better"),
        ("minimal negligible slight slightly minor",
         "large larger high huge heavy greatly much substantial"),
        ("effectively successfully well", "poorly badly ineffectively"),
        ("outperforming surpassing exceeding beating", "trailing lagging underperforming"),
    )
)  # fmt: skip
"""Words that oppose each other beside their axes; for claims that copy a sentence."""
_GENERAL = frozenset({"general", "amount", "speed", "rank"})
_NOT_IN_PROSE = frozenset({"presence", "membership", "frequency"})
"""Axes trusted only where one word replaces another in the same sentence."""
_OF_ONE_THING = frozenset(
    {"time", "density", "depth", "keeping", "severity", "bounds", "merit", "weight"}
)
"""Axes trusted in prose only where both words stand before the same one ('dense predictions')."""


_WORSE = frozenset(
    stem(word)
    for word, (axis, sign) in _DIRECTION.items()
    if sign < 0 and axis in ("general", "amount", "keeping")
)


def _spares(cue: _Cue, cited: Iterable[str]) -> bool:
    """Whether 'without hurting it' stands for the 'while maintaining it' of the cited words."""
    return (
        cue.word.lower() == "without"
        and any(head in _WORSE for head in cue.scope[:1])
        and any(_DIRECTION.get(word) == ("keeping", 1) for word in cited)
    )


def _direction(tokens: Sequence[Token], at: int) -> tuple[str, int] | None:
    """Axis and sign of a token; none inside a name (``RoBERTa_Large``)."""
    token = tokens[at]
    if at and token.text[0].isupper():
        return None
    return _DIRECTION.get(token.lower)


def opposite(one: str, other: str) -> bool:
    """True for two words (lower case) that point in opposite directions."""
    a, b = _DIRECTION.get(one), _DIRECTION.get(other)
    if a is not None and b is not None and a[1] != b[1]:
        return a[0] == b[0] or (a[0] in _GENERAL and b[0] in _GENERAL)
    if any((one in x and other in y) or (one in y and other in x) for x, y in _RIVALS):
        return True
    if len(one) > len(other):
        one, other = other, one
    return len(one) >= 4 and any(other == prefix + one for prefix in _PREFIXES)


def _around(tokens: Sequence[Token], at: int) -> tuple[str, frozenset[str]]:
    """What a direction word is about: the next content stem, and all near (2 before, 3 after)."""

    def walk(places: range, most: int) -> list[str]:
        found: list[str] = []
        for place in places:
            word = tokens[place].lower
            entry = _DIRECTION.get(word)
            if word in STOP_WORDS or (entry is not None and entry[0] in _GENERAL):
                continue
            found.append(stem(word))
            if len(found) == most:
                break
        return found

    after = walk(range(at + 1, min(len(tokens), at + 7)), 3)
    before = walk(range(at - 1, max(-1, at - 6), -1), 2)
    return (after[0] if after else ""), frozenset(after + before)


def _swapped(claim: SentenceText, one: int, cited: SentenceText, other: int) -> list[Broken]:
    """A number or name of a copied sentence that stands where it has another one."""
    ours, theirs = claim.tokens[one], cited.tokens[other]
    digits = ours.text[0].isdigit(), theirs.text[0].isdigit()
    if all(digits) and ours.text != theirs.text:
        mine = [q for q in quantities(claim) if q.text.startswith(ours.text)]
        held = Pool(q for q in quantities(cited) if q.text.startswith(theirs.text))
        if not mine or not any(held.holding(q) for q in mine):
            return [Broken("number", f"{ours.text} stands where the cited words say {theirs.text}",
                           True)]  # fmt: skip
    here, there = bare(ours), bare(theirs)
    alike = here.lower().rstrip("s") == there.lower().rstrip("s")
    if not any(digits) and _marked(here) and _marked(there) and not alike:
        if here.lower() in (t.lower for t in cited.tokens):
            return []  # moved, not replaced
        return [Broken("name", f"{here} stands where the cited words say {there}", True)]
    return []


def _edits(claim: SentenceText, cited: SentenceText) -> list[Broken]:
    """What a claim that copies a sentence has changed in it."""
    ours = [t.lower for t in claim.tokens]
    theirs = [t.lower for t in cited.tokens]
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    blocks = matcher.get_matching_blocks()
    same = sum(block.size for block in blocks)
    if same < 0.6 * len(ours) or same < 3:
        return []
    broken: list[Broken] = []
    copied = {place for block in blocks for place in range(block.b, block.b + block.size)}
    spared = {cue.at for cue in _cues(claim) if _spares(cue, theirs)}
    moved = any(_is_cue(cited.tokens, t) for t in range(len(theirs)) if t not in copied)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal" or b - a > 6:
            continue
        added = [t for t in range(a, b) if _is_cue(claim.tokens, t)]
        gone = [t for t in range(c, d) if _is_cue(cited.tokens, t)]
        if added and not gone and not any(w in _HINTS for w in theirs[c:d]):
            # 'neither ... nor' for a 'without' that stands elsewhere in the sentence.
            elsewhere = moved and ours[added[0]] in ("neither", "nor")
            if d - c <= 6 and not elsewhere and added[0] not in spared:
                word = claim.tokens[added[0]].text
                broken.append(
                    Broken("negation", f"the claim adds '{word}' to what the cited words say", True)
                )
            continue
        if gone and not added and d - c <= 4 and not any(w in _HINTS for w in ours[a:b]):
            if a > 0 and b < len(ours):
                word = cited.tokens[gone[0]].text
                broken.append(
                    Broken(
                        "negation", f"the claim leaves out the '{word}' of the cited words", True
                    )
                )
            continue
        if tag != "replace" or b - a > 3 or d - c > 3:
            continue
        if b - a == d - c:
            for one, other in zip(range(a, b), range(c, d), strict=True):
                broken += _swapped(claim, one, cited, other)
        for one in range(a, b):
            for other in range(c, d):
                if not opposite(ours[one], theirs[other]):
                    continue
                pair = _DIRECTION.get(ours[one]), _DIRECTION.get(theirs[other])
                across = pair[0] and pair[1] and pair[0][0] != pair[1][0]
                if ours[one : one + 2] in (theirs[n : n + 2] for n in range(len(theirs))):
                    continue  # it stands elsewhere in the same sentence
                if across and ours[one + 1 : one + 2] != theirs[other + 1 : other + 2]:
                    continue
                broken.append(
                    Broken("direction", f"the claim says '{ours[one]}', the cited words say "
                           f"'{theirs[other]}'", True)
                )  # fmt: skip
    return broken


def _polarity(
    claim: Sequence[SentenceText],
    aligned: Sequence[SentenceText],
    best: SentenceText,
) -> list[Broken]:
    broken: list[Broken] = []
    cited_cues = [(cue, s) for s in aligned for cue in _cues(s)]
    cited_stems = {t.stem for s in aligned for t in s.terms}
    cited_words = {t.lower for s in aligned for t in s.tokens}
    hints = {
        term.stem
        for s in aligned
        for at, token in enumerate(s.tokens)
        if (token.lower in _HINTS and not (token.lower == "free" and token.joint == "-"))
        or token.lower.startswith(("un", "non"))
        for term in s.terms
        if abs(term.position - at) <= 5
    }
    for sentence in claim:
        cues = _cues(sentence)
        pair = any(cue.word.lower() == "neither" for cue in cues)
        for cue in cues:
            heads = cue.scope[:2]
            # 'nor' denies what 'neither' does, which is looked at itself.
            if not heads or (pair and cue.word.lower() == "nor"):
                continue
            if any(
                not c.scope
                or set(heads) & set(c.scope[:3])
                or set(c.scope[:2]) & set(cue.scope[:3])
                for c, _ in cited_cues
            ):
                continue
            if _spares(cue, cited_words):
                continue
            if any(h in hints for h in heads) or any(
                stem(p + h) in cited_stems for h in heads for p in _PREFIXES
            ):
                continue
            present = [h for h in cue.scope if h in cited_stems]
            if len(present) >= 2 or (present and len(cue.scope) == 1):
                broken.append(
                    Broken("negation", f"the claim says '{cue.word}' where the cited words do not",
                           not cited_cues or heads[0] in cited_stems)
                )  # fmt: skip
            elif not cited_cues:
                broken.append(
                    Broken("negation", f"nothing in the cited words matches the claim's "
                           f"'{cue.word}'", False)
                )  # fmt: skip
    own_cues = [cue for s in claim for cue in _cues(s)]
    own_stems = [t.stem for s in claim for t in s.terms]
    own_set = set(own_stems)
    own_words = {t.lower for s in claim for t in s.tokens}
    negative = own_words & _HINTS or any(w.startswith(("un", "non")) for w in own_words)
    for cue in _cues(best):
        if len(cue.scope) < 2 or not own_set.issuperset(cue.scope[:2]):
            continue
        if any(set(cue.scope[:3]) & set(c.scope[:3]) for c in own_cues) or negative:
            continue
        others = [t.stem for s in aligned if s is not best for t in s.terms]
        if own_set.intersection(cue.scope[:2]) <= set(others):
            continue
        broken.append(
            Broken("negation", f"the cited words say '{cue.word}' where the claim does not", True)
        )
    for word in sorted(own_words):
        if own_words & {"non", "un"}:
            break  # the prefix stands apart, as in 'non-toxic'
        if len(word) >= 5 and word not in cited_words and word not in STOP_WORDS:
            form = _negated_form(word, cited_words)
            # 'Accessible' is backed by 'accessibility' where 'inaccessible' stands beside it.
            beside = len(word) > 7 and any(w.startswith(word[:-2]) for w in cited_words)
            if form is not None and not beside:
                broken.append(
                    Broken("direction", f"the claim says '{word}', the cited words say '{form}'",
                           True)
                )  # fmt: skip
        for prefix in ("un", "non", "in", "im"):
            rest = word.removeprefix(prefix)
            if (
                rest != word and len(rest) >= 5 and rest in cited_words
                and word not in cited_words and not cited_cues and not hints
            ):  # fmt: skip
                broken.append(
                    Broken("direction", f"the claim says '{word}', the cited words say '{rest}'",
                           True)
                )  # fmt: skip
    return broken


def _directions(claim: Sequence[SentenceText], aligned: Sequence[SentenceText]) -> list[Broken]:
    there: list[tuple[str, str, int, str, frozenset[str], bool]] = []
    for s in aligned:
        denials = {word for cue in _cues(s) for word in cue.scope}
        for at, token in enumerate(s.tokens):
            entry = _direction(s.tokens, at)
            if entry is not None:
                head, around = _around(s.tokens, at)
                denied = bool(denials & around) or stem(token.lower) in denials
                there.append((token.lower, *entry, head, around, denied))
    if not there:
        return []
    said = {word for word, *_ in there}
    broken: list[Broken] = []
    for sentence in claim:
        own = bool(_cues(sentence))
        for at, token in enumerate(sentence.tokens):
            entry = _direction(sentence.tokens, at)
            if entry is None or entry[0] in _NOT_IN_PROSE:
                continue
            ours, near = _around(sentence.tokens, at)
            if entry[0] in _OF_ONE_THING:
                rivals = [
                    word for word, axis, sign, head, _, denied in there
                    if axis == entry[0] and sign != entry[1] and ours and head == ours
                    and not denied
                ]  # fmt: skip
                if rivals and not own and token.lower not in said:
                    broken.append(
                        Broken("direction", f"the claim says '{token.lower}', the cited words say "
                               f"'{rivals[0]}'", True)
                    )  # fmt: skip
                continue
            same = opposed = 0
            rival, negated = "", own
            for word, axis, sign, head, around, denied in there:
                shared = len(near & around) + (ours != "" and ours == head)
                if axis == entry[0] and sign != entry[1]:
                    if shared > opposed:
                        opposed, rival, negated = shared, word, own or denied
                elif sign == entry[1] and (axis == entry[0] or {axis, entry[0]} <= _GENERAL):
                    same = max(same, shared + 1 if shared else 0)
            if opposed >= 2 and opposed >= same and not negated:
                broken.append(
                    Broken("direction", f"the claim says '{token.lower}', the cited words say "
                           f"'{rival}'", True)
                )  # fmt: skip
            elif opposed and not same:
                broken.append(
                    Broken("direction", f"the claim says '{token.lower}', the cited words say "
                           f"'{rival}'", False)
                )  # fmt: skip
    return broken


def check_locks(
    claim: Sequence[SentenceText],
    evidence: Sequence[SentenceText],
    *,
    aligned: Sequence[SentenceText],
    best: SentenceText | None,
    context: Sequence[SentenceText] = (),
) -> list[Broken]:
    """Everything in ``claim`` that the cited words do not hold, hard ones first.

    ``aligned`` are the sentences that the claim rests on and ``best`` the closest one; names and
    numbers of ``context`` count as held.
    """
    found = _numbers(claim, evidence, aligned, context)
    found += _names(claim, evidence, aligned, context)
    if best is not None:
        for sentence in claim:
            copied = max(
                aligned,
                key=lambda s: len({t.stem for t in s.terms} & {t.stem for t in sentence.terms}),
                default=best,
            )
            found += _edits(sentence, copied)
        found += _polarity(claim, aligned, best)
        found += _directions(claim, aligned)
    seen: dict[tuple[str, str], Broken] = {}
    for lock in sorted(found, key=lambda lock: not lock.hard):
        seen.setdefault((lock.kind, lock.reason), lock)
    return list(seen.values())
