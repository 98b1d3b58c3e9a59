"""How many of a claim's words the cited words hold, rare words counting most.

Text is made plain (LaTeX, dashes, quotes, markers), cut into sentences and tokens, and each content
word is folded to its stem. A claim's weighted words are looked for in windows of one to three
sentences; the best window counts, and the best two together for a claim that joins two sentences.
"""

from __future__ import annotations

import gzip
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

MAX_SENTENCE_TOKENS = 150
"""Longer runs without a full stop are cut, so that no step is quadratic in the text."""
LONGEST_WINDOW = 3
"""Sentences in a window: claims seldom condense more."""

STOP_WORDS = frozenset(
    """a an the this that these those such which who whom whose what when where while and or but if
    then than so as of in on at by for from to into onto with within via per about over under
    between among across through during upon toward towards is are was were be been being am do
    does did doing has have had having can could may might shall should will would must it its
    itself they them their theirs themselves he she his her him we our ours us you your i my me one
    ones also both each either neither other others another any some all there here thus hence
    therefore however moreover furthermore additionally finally overall specifically namely e.g i.e
    etc very much many more most only just even still yet too again further not no nor never without
    cannot can't don't doesn't didn't isn't aren't wasn't weren't won't up out off down s t et al
    because since although though whereas how why whether like unlike using used use uses""".split()
)
"""Words that carry no content of their own (own list)."""

FRAME_WORDS = frozenset(
    """author authors paper papers work article researcher researchers study present presents
    presented propose proposes proposed introduce introduces introduced describe describes described
    report reports reported discuss discusses discussed""".split()
)
"""Words in which an answer wraps what a paper says ('the authors propose'); they weigh nothing."""

_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξπρστφχψωΓΔΘΛΣΦΨΩßµ",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
        "phi chi psi omega gamma delta theta lambda sigma phi psi omega beta mu".split(),
        strict=True,
    )
)
_TRANSLATION = str.maketrans(
    {
        "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": " - ", "―": " - ", "−": "-", "­": None,
        "‘": "'", "’": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "×": " x ", "✕": " x ",
        "⨯": " x ", "≈": " ~", "∼": " ~", "≃": " ~", "≥": " >=", "⩾": " >=", "≤": " <=",
        "⩽": " <=", "\u200b": None, "\u2060": None, "\ufeff": None,
        **_GREEK,
        **{c: f"^{d}" for d, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    }
)  # fmt: skip
_LATEX = {
    "times": " x ", "sim": " ~", "approx": " ~", "geq": " >=", "ge": " >=", "leq": " <=",
    "le": " <=", "gg": " >>", "ll": " <<", "pm": " +- ", "cdot": " ", "rightarrow": " -> ",
    "to": " -> ", "ldots": " ", "dots": " ", "textbf": " ", "textit": " ", "emph": " ",
    "texttt": " ", "text": " ", "textsc": " ", "mathrm": " ", "mathbf": " ", "mathcal": " ",
    "mathbb": " ", "mathit": " ", "operatorname": " ", "left": " ", "right": " ", "bf": " ",
    "it": " ", "em": " ", "quad": " ", "href": " ", "url": " ", "underline": " ", "textsuperscript":
    " ", "frac": " ", "sqrt": " ",
}  # fmt: skip
_ACCENTS = re.compile(r"[\u0300-\u036f]+")
_LATEX_ACCENT = re.compile(r"\\[\"'`^=.]\{?(?=[^\W\d_])")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_ESCAPED = re.compile(r"\\([%$&#_{}~^])")
_LOST_SIM = re.compile(r"(?<![^\W_])sim(?=\d)")
"""What is left of ``\\sim75`` where a page has dropped the backslash."""
_THIN_SPACE = re.compile(r"(?<=\d)(?:\\,|\{,\})(?=\d\d\d)")
_OTHER_ESCAPE = re.compile(r"\\[,;:!\s/\\]?")
_TIE = re.compile(r"(?<=\S)~(?=\S)")
_BRACES = re.compile(r"[{}$]+")
_MARKER = re.compile(r"\[\d{1,3}(?:[,;-] ?\d{1,3}){0,20}\]")
_PERCENT = re.compile(r"(?<=\d) ?(?:%|per ?cent\b)", re.IGNORECASE)
_FACTOR = re.compile(r"(?<=\d) ?x(?![^\W_])", re.IGNORECASE)
_SPACE = re.compile(r"\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]{0,3} (?=[\"'(\[]{0,3}[^\Wa-z_])|(?<=;) ")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|et al|vs|cf|resp|approx|fig|figs|eq|sec|dr|mr|mrs|prof|st|no|[a-z])\.)$",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)*|(?<![\w.])\.\d+|[^\W\d_]+(?:'[^\W\d_]{1,3}(?![^\W_]))?"
)


class Token(NamedTuple):
    """A run of letters or one number of a plain text."""

    text: str
    lower: str
    joint: str
    """What stands before it: ``""`` for a glued token, ``"-"`` for a hyphen, `` `` otherwise."""
    gap: str
    """All characters between the token before and this one (at most 8)."""
    tail: str
    """The two characters after it."""


class Term(NamedTuple):
    """A content word in its place."""

    stem: str
    position: int
    """Index of its token in the sentence."""


@dataclass(frozen=True, slots=True)
class SentenceText:
    """One sentence, read."""

    text: str
    tokens: tuple[Token, ...]
    terms: tuple[Term, ...]
    initials: str
    """First letters of all tokens, lower case, for finding what an acronym stands for."""


def plain(text: str) -> str:
    """``text`` as one line without LaTeX, citation markers and typographic variants.

    ``5.54\\times``, ``5.54 ×`` and ``5.54 x`` all become ``5.54x``; ``70\\%`` and ``70 percent``
    become ``70%``. Linear in the length of the text.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_TRANSLATION))
        # NFKC brings a few of the characters back that the table has folded; accents are dropped.
        text = unicodedata.normalize("NFKD", text.translate(_TRANSLATION))
        text = _ACCENTS.sub("", text)
    if "\\" in text:
        text = _THIN_SPACE.sub("", text)
        text = _LATEX_ACCENT.sub("", text)
        text = _ESCAPED.sub(r"\1", text)
        text = _COMMAND.sub(lambda m: _LATEX.get(m.group(1), " " + m.group(1)), text)
        text = _OTHER_ESCAPE.sub(" ", text)
    if "$" in text or "{" in text or "}" in text:
        text = _BRACES.sub("", text)
    if "sim" in text:
        text = _LOST_SIM.sub("~", text)
    text = _SPACE.sub(" ", text)
    text = _TIE.sub(" ", text)
    text = _MARKER.sub("", text)
    text = _PERCENT.sub("%", text)
    return _FACTOR.sub("x", text).strip()


def split_sentences(line: str) -> list[str]:
    """The sentences of a plain text; common abbreviations do not end one."""
    pieces: list[str] = []
    start = 0
    for match in _SENTENCE_END.finditer(line):
        if _ABBREVIATION.search(line, max(start, match.start() - 12), match.start()):
            continue
        pieces.append(line[start : match.end()].strip())
        start = match.end()
    pieces.append(line[start:].strip())
    return [piece for piece in pieces if piece]


# Longest first within each step; what is left must keep at least four letters (three after -s, -ed
# and -ing), so that short words stay apart.
_SUFFIXES: tuple[tuple[str, str, int], ...] = (
    ("izations", "iz", 3), ("isations", "iz", 3), ("ization", "iz", 3), ("isation", "iz", 3),
    ("ational", "at", 3), ("fulness", "", 4), ("iveness", "", 4), ("uctions", "uc", 2),
    ("uction", "uc", 2), ("uctive", "uc", 2), ("ically", "", 4), ("ations", "at", 3),
    ("ation", "at", 3), ("ative", "at", 3), ("ators", "at", 3), ("ator", "at", 3),
    ("ities", "", 4), ("ments", "", 4), ("iency", "i", 3), ("ient", "i", 3), ("iently", "i", 3),
    ("ment", "", 4), ("ness", "", 4), ("ance", "", 4), ("ence", "", 4), ("ancy", "", 4),
    ("ency", "", 4), ("ical", "", 4), ("able", "", 4), ("ible", "", 4), ("ably", "", 4),
    ("ings", "", 3), ("ized", "iz", 3), ("izer", "iz", 3), ("izes", "iz", 3), ("izing", "iz", 3),
    ("ised", "iz", 4), ("iser", "iz", 4), ("ising", "iz", 4), ("ise", "iz", 4), ("ize", "iz", 3),
    ("acy", "at", 4), ("ated", "at", 3), ("ates", "at", 3), ("ating", "at", 3), ("ate", "at", 3),
    ("ions", "", 4), ("ants", "", 4), ("ents", "", 4), ("ives", "", 4), ("ity", "", 4),
    ("ion", "", 4), ("ing", "", 3), ("ive", "", 4), ("ant", "", 4), ("ent", "", 4), ("ful", "", 4),
    ("ous", "", 4), ("ers", "", 4), ("ors", "", 4), ("ed", "", 3), ("er", "", 4), ("or", "", 4),
    ("al", "", 4), ("ic", "", 4), ("ly", "", 4),
)  # fmt: skip
_BY_LAST: dict[str, tuple[tuple[str, str, int], ...]] = {
    last: tuple(rule for rule in _SUFFIXES if rule[0][-1] == last)
    for last in {rule[0][-1] for rule in _SUFFIXES}
}


_SYNONYMS = """
show demonstrate reveal indicate exhibit illustrate
achieve reach attain obtain get yield gain
method approach technique
fast faster fastest quick quickly rapid speedup speed accelerate accelerated acceleration
employ utilize leverage exploit
improve enhance boost strengthen
reduce decrease lower diminish lessen cut reduction
increase raise grow rise growth
outperform surpass exceed beat
require need demand
enable allow permit
several multiple various numerous diverse
problem issue challenge difficulty
important crucial critical essential vital
novel new
evaluate assess examine investigate analyze analysis
build construct create develop
big large huge massive
begin start
choose select pick
cost expense expensive
comparable competitive
combine integrate merge unify
mitigate alleviate
aim goal objective
people human humans
help aid assist
result finding outcome
task tasks
cause lead induce
image picture
""".strip().splitlines()
"""Words that abstracts and answers exchange freely (own list); each line counts as one word."""


@lru_cache(maxsize=1)
def _representatives() -> dict[str, str]:
    return {_strip(word): _strip(line.split()[0]) for line in _SYNONYMS for word in line.split()}


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """``word`` (lower case) folded: inflections, derivations and a few synonyms fall together.

    Own rules, after the idea of Porter (1980) but lighter: a false friend costs less here than a
    paraphrase missed.
    """
    folded = _strip(word)
    return _representatives().get(folded, folded)


def _strip(word: str) -> str:
    if len(word) > 40:
        return word
    if "'" in word:
        word = word.split("'", 1)[0]
    if word[:1].isdigit():
        return word.replace(",", "")
    if len(word) <= 3 or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "xes", "ches", "shes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for _ in range(2):
        for suffix, to, least in _BY_LAST.get(word[-1], ()):
            if word.endswith(suffix) and len(word) - len(suffix) >= least:
                word = word[: len(word) - len(suffix)] + to
                break
        else:
            break
    if word.endswith("e") and len(word) > 3:
        word = word[:-1]
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiols":
        word = word[:-1]
    if word.endswith("y") and len(word) > 3:
        word = word[:-1] + "i"
    return word


def read_sentence(text: str) -> list[SentenceText]:
    """A plain sentence as tokens and content words; overlong ones come in several pieces."""
    tokens: list[Token] = []
    end = 0
    for match in _TOKEN.finditer(text):
        gap = text[end : match.start()]
        end = match.end()
        word = match.group()
        joint = "" if not gap else ("-" if gap in ("-", "_", "/") else " ")
        if not tokens:
            joint = " "
        tokens.append(Token(word, word.lower(), joint, gap[-8:], text[end : end + 2]))
    pieces = []
    for at in range(0, len(tokens), MAX_SENTENCE_TOKENS):
        part = tuple(tokens[at : at + MAX_SENTENCE_TOKENS])
        terms = tuple(
            Term(stem(token.lower), place)
            for place, token in enumerate(part)
            if token.lower not in STOP_WORDS and (len(token.lower) > 1 or token.lower.isdigit())
        )
        initials = "".join(token.lower[0] for token in part)
        whole = len(tokens) <= MAX_SENTENCE_TOKENS
        piece = text if whole else " ".join(token.text for token in part)
        pieces.append(SentenceText(piece, part, terms, initials))
    return pieces


def _read(text: str) -> tuple[SentenceText, ...]:
    return tuple(
        sentence for piece in split_sentences(plain(text)) for sentence in read_sentence(piece)
    )


_read_cached = lru_cache(maxsize=512)(_read)


def read(text: str) -> tuple[SentenceText, ...]:
    """The sentences of any text. Short texts are remembered, for evidence is read many times."""
    return _read_cached(text) if len(text) <= 8000 else _read(text)


@dataclass(frozen=True, slots=True)
class Background:
    """How often words occur in research abstracts."""

    documents: int
    frequency: Mapping[str, int]
    """Abstracts that hold a stem; stems in fewer than the table's least are absent."""
    names: frozenset[str]
    """Words, lower case, that are written with a capital in the middle of sentences."""

    def weight(self, stem_: str) -> float:
        """Inverse document frequency, 0 for a word in every abstract, about 1 for a rare one.

        Spärck Jones (1972), divided by its greatest value.
        """
        seen = self.frequency.get(stem_, 3)
        return max(0.0, math.log((self.documents + 1) / (seen + 1))) / math.log(
            (self.documents + 1) / 4
        )


@lru_cache(maxsize=1)
def background() -> Background:
    """The table made by ``training/fit_checker.py --table`` from CC0 arXiv abstracts."""
    path = resources.files("citewise").joinpath("data/background.tsv.gz")
    lines = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
    documents = int(lines[0].split("\t")[1])
    frequency: dict[str, int] = {}
    names: set[str] = set()
    for line in lines[1:]:
        word, count = line.split("\t")
        if count == "N":
            names.add(word)
        else:
            frequency[word] = int(count)
    return Background(documents, frequency, frozenset(names))


@dataclass(frozen=True, slots=True)
class Overlap:
    """What share of a claim's weighted words the evidence holds, each 0 to 1."""

    window: float
    """Words in the best window of one to three sentences."""
    sentence: float
    """Words in the best single sentence."""
    pair: float
    """Words in the best two windows together."""
    whole: float
    """Words anywhere in the evidence."""
    bigrams: float
    """Neighbouring words (function words aside) in the best two windows."""
    plain: float
    """Unweighted words anywhere in the evidence: the baseline that must be beaten."""
    aligned: tuple[SentenceText, ...]
    """The sentences of the best two windows."""
    best: SentenceText | None
    """The best single sentence."""
    missing: tuple[str, ...]
    """Words of the claim that no cited sentence holds, heaviest first."""


NAME_SHARE = 0.4
"""What a name counts of its rarity in the overlap."""


def _is_name(word: str) -> bool:
    return any(c.isupper() for c in word)


_NOTHING = Overlap(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (), None, ())


def overlap(
    claim: Sequence[SentenceText],
    evidence: Sequence[Sequence[SentenceText]],
    context: Iterable[SentenceText] = (),
) -> Overlap:
    """Measure ``claim`` against ``evidence``, one sequence of sentences an element.

    Words of ``context`` count as held everywhere. A claim without content words scores 0.
    """
    table = background()
    weights: list[float] = []
    surface: list[str] = []
    index: dict[str, int] = {}
    pair_index: dict[tuple[str, str], int] = {}
    pair_weights: list[float] = []
    acronyms: dict[str, int] = {}
    for sentence in claim:
        previous: str | None = None
        for term in sentence.terms:
            token = sentence.tokens[term.position]
            if term.stem not in index:
                index[term.stem] = len(weights)
                surface.append(token.text)
                weight = 0.0 if token.lower in FRAME_WORDS else 0.08 + table.weight(term.stem)
                # Names are rare, and whether they are held is for the locks to say: left at their
                # full weight, a name alone would back whatever is said of it.
                weights.append(NAME_SHARE * weight if _is_name(token.text) else weight)
            word = token.text.rstrip("s")
            if 3 <= len(word) <= 6 and word.isupper() and word.isalpha():
                acronyms[word.lower()] = index[term.stem]
            if previous is not None and (previous, term.stem) not in pair_index:
                pair_index[previous, term.stem] = len(pair_weights)
                pair_weights.append(weights[index[previous]] + weights[index[term.stem]])
            previous = term.stem
    total = sum(weights)
    if total <= 0.0:
        return _NOTHING
    given = 0
    for sentence in context:
        for term in sentence.terms:
            at = index.get(term.stem)
            if at is not None:
                given |= 1 << at

    def mass(mask: int) -> float:
        value = 0.0
        while mask:
            low = mask & -mask
            value += weights[low.bit_length() - 1]
            mask ^= low
        return value / total

    long_forms = {s.initials: s for s in claim}
    masks: list[list[int]] = []
    pair_masks: list[list[int]] = []
    everything = given
    for element in evidence:
        row: list[int] = []
        pair_row: list[int] = []
        for sentence in element:
            mask = given
            pairs = 0
            previous = None
            for term in sentence.terms:
                at = index.get(term.stem)
                if at is not None:
                    mask |= 1 << at
                    if previous is not None:
                        place = pair_index.get((previous, term.stem))
                        if place is not None:
                            pairs |= 1 << place
                previous = term.stem
            for letters, at in acronyms.items():
                if letters in sentence.initials:
                    mask |= 1 << at
            for token in sentence.tokens:
                word = token.text[:-1] if token.text.endswith("s") else token.text
                if 3 <= len(word) <= 6 and word.isupper() and word.isalpha():
                    for initials, source in long_forms.items():
                        found = initials.find(word.lower())
                        if found >= 0:
                            for part in source.terms:
                                if found <= part.position < found + len(word):
                                    mask |= 1 << index[part.stem]
            everything |= mask
            row.append(mask)
            pair_row.append(pairs)
        masks.append(row)
        pair_masks.append(pair_row)

    cache: dict[int, float] = {}

    def score(mask: int) -> float:
        value = cache.get(mask)
        if value is None:
            value = cache[mask] = mass(mask)
        return value

    windows: list[tuple[float, int, int, int, int, int]] = []
    best_sentence = (-1.0, 0, 0)
    for e, row in enumerate(masks):
        for start in range(len(row)):
            mask = 0
            pairs = 0
            for size in range(1, LONGEST_WINDOW + 1):
                if start + size > len(row):
                    break
                mask |= row[start + size - 1]
                pairs |= pair_masks[e][start + size - 1]
                value = score(mask)
                # A longer window must earn its length; ties go to the shorter and earlier one.
                windows.append((value - 0.01 * (size - 1), -size, mask, pairs, e, start))
                if size == 1 and value > best_sentence[0]:
                    best_sentence = (value, e, start)
    if not windows:
        return _NOTHING
    first = max(windows, key=lambda w: (w[0], w[1], -w[4], -w[5]))
    second = max(windows, key=lambda w: (score(w[2] | first[2]), w[1], w[0], -w[4], -w[5]))
    places: dict[tuple[int, int], None] = {}
    for window in (first, second):
        for at in range(window[5], window[5] - window[1]):
            places[window[4], at] = None
    joined = first[2] | second[2]
    joined_pairs = first[3] | second[3]
    pair_total = sum(pair_weights)
    held = sum(w for at, w in enumerate(pair_weights) if joined_pairs >> at & 1)
    counted = [at for at, w in enumerate(weights) if w > 0]
    absent = sorted(
        (at for at in counted if not everything >> at & 1), key=lambda at: (-weights[at], at)
    )
    return Overlap(
        window=score(first[2]),
        sentence=max(0.0, best_sentence[0]),
        pair=score(joined),
        whole=score(everything),
        bigrams=held / pair_total if pair_total > 0 else score(joined),
        plain=sum(1 for at in counted if everything >> at & 1) / len(counted),
        aligned=tuple(evidence[e][at] for e, at in places),
        best=evidence[best_sentence[1]][best_sentence[2]],
        missing=tuple(surface[at] for at in absent),
    )
