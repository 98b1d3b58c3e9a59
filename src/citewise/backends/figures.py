"""Which figure of a sentence answers a question for a number.

A figure counts when it has the unit asked for, stands before the thing that is counted, or beside
the measure that the question names. A figure of the question itself, one inside a name (``4-bit``,
``CIFAR-10``) and one that only says how sure another is (``95% CI``, ``p < 0.05``) answer nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from citewise.backends.gains import FACTOR, asks_for_gain, gains_among, is_ratio
from citewise.backends.measure import Measure, measure_named, own_clause, said_beside
from citewise.grounding.locks import opposite
from citewise.grounding.overlap import stem

_UNIT = (
    r"(?:\s?\\?%|\s?\$?\\times\$?|\s?×|\s?times\b|[xX]\b|[kKMBT]\b"
    r"|\s?%?pp?\b|\s?-?fold\b"
    r"|[\s-]?(?:percent(?:age points?)?|points?|fps|FPS|frames per second|[GMKT]i?B|[mnuµ]?s\b"
    r"|secs?|seconds?|minutes?|hours?|days?|weeks?|months?|years?|bits?|billion|million|thousand|trillion|[GTP]FLOPs?"
    r"|Petaflops|[mk]?[WJ]|GPU hours|[ckmnµμ]?m|[kmµμ]?g(?:/\w+)?|dB|[kMG]?Hz)\b)?"
)
_MARK = r"(?:[.,·]|\{,\}|\\,)"
"""Within a number, as LaTeX sets it too ('100{,}000')."""
_NUMBER = rf"(?:[$€£]\s?)?(?:\d+(?:{_MARK}\d+)*|\.\d+)"
_SPREAD = r"\s?(?:±|\+/-|\$?\\pm\$?)\s?"
_FIGURE = re.compile(
    # '60/232' and '60 of 232' are one figure, as are a range and a mean with its spread.
    rf"(?<![\w.·@^])(?<!\w-)(?:[-−](?=\d))?(?:\d+(?:/|\sof\s)\d+(?![.\d])|{_NUMBER}{_UNIT}"
    rf"(?:(?:\s?(?:-{{1,3}}|–)\s?|-?\sto\s|{_SPREAD}){_NUMBER}{_UNIT})?)"
)
_MARKER = re.compile(r"(?<!\s)\s*+\[\d+\]")
_DIGITS = re.compile(rf"\d+(?:{_MARK}\d+)*")
_WORD = re.compile(r"[A-Za-z]{3,}")

_TIME = r"(?<![A-Za-z])[mnuµ]?s$|second|minute|hour|day|week|month|year"
_FRAME_RATE = r"\bfps\b|frames? per"
_SPEED = r"speed|fast|slow|accelerat|throughput|latency"
_CUES = (
    (r"percent|share|how much of|fraction|accura|\brate\b|reduc|\bsav|\bcut|shrink|lower|drop",
     r"%|percent|points?$", True, r"accura|reduc|decreas|sav|fewer|less|share|rate"),
    (r"speed-?up|faster|quicker|how many times|what factor|accelerat|slower", FACTOR, False,
     _SPEED),
    (_FRAME_RATE, r"fps|FPS|frames per second", True, _SPEED),
    (r"how fast", rf"fps|FPS|{FACTOR}|{_TIME}", True, _SPEED),
    (r"throughput", rf"{FACTOR}|%|fps|FPS", True, _SPEED),
    (r"memory|vram|footprint|how much (?:storage|space)", rf"[GMKT]i?B$|%|percent|{FACTOR}", False,
     r"memory|vram|footprint|storage|cache"),
    (r"how long|latency|how much time|\btime\b", rf"{_TIME}|%|{FACTOR}", False,
     rf"time|hours|within|{_SPEED}"),
    (r"\bratio|factor|how (?:much )?(?:small|larg|bigg|great)", rf"{FACTOR}|%|percent", True,
     r"ratio|compress|small|larg|bigg|size"),
    (r"how (?:big|large) (?:is|are|was|were)", r"[kMBT]$|illion|[GMKT]i?B$", True,
     r"parameter|size|large|sample"),
    (r"how (?:often|common|frequent)", r"%|percent|times|/|\sof\s", False,
     r"often|frequen|rate|common|occur|prevalen|cases|time"),
    (r"\bcosts?\b|price|expensive", r"^[$€£]", False, r"cost|price|expens"),
    (r"cheap|less expensive", rf"^[$€£]|%|percent|{FACTOR}", False, r"cost|price|expens|cheap"),
    (r"energy|power", rf"[mk]?[WJ]$|%|percent|{FACTOR}", False, r"energy|power|consum|operations"),
)  # fmt: skip
"""Words of a question, the units that may answer them, whether a bare number may as well, and words
around a figure that speak of the same."""

_OF_THINGS = re.compile(r"[\d,]+ (?:[a-z-]+ ){0,2}?[A-Za-z-]{2,}s\b")
"""A number of things, which is no share of anything: '17 readers'."""
_VERSION = re.compile(r"(?<=[a-z,(] )[A-Z][\w-]*[a-z][\w-]* $")
_VERSION_NUMBER = re.compile(r"1?\d(?:\.\d{1,2})?(?: to 1?\d(?:\.\d{1,2})?)?")
"""A name and its number: 'of Lantern 3.1'."""

_COUNTED = re.compile(
    r"\b(?:how many|number of|what number of)\s+((?:[\w-]+\s+){0,2}?[\w-]+)"
    r"(?=\s+(?:does|do|did|is|are|was|were|has|have|had|can|could|will|would|of|in|on|per|for|to"
    r"|from|with|went|takes?|times|come|get)\b|[?,.]|$)",
    re.IGNORECASE,
)
_EMPTY = frozenset(
    "how many much what which does did was were are the and for with from than that this can has"
    " have could into compared".split()
)
_WITH_DIGIT = re.compile(r"(?<![\w-])(?=[\w-]*\d)[A-Za-z][\w-]*")
_WHOM = frozenset(map(stem, "patients participants subjects people persons individuals".split()))
"""Of whom all figures of a sentence are."""
_NAME = re.compile(r"(?<!\w)[A-Za-z][\w.-]*[A-Z\d][\w-]*|(?<=\s)[A-Z][\w-]+")
_NEAR = 60
"""Characters on each side of a figure in which the question's words count."""

_INTERVAL = rf"{_NUMBER}\s?%?(?:\s?[-–—,;]\s?|\s(?:to|and)\s){_NUMBER}\s?%?"
_ASIDES = tuple(
    (re.compile(asks, re.IGNORECASE), re.compile(aside))
    for asks, aside in (
        (
            r"confiden|interval|range",
            r"\b\d\d(?:\.\d)?\s?\\?%\s?(?:CI|CrI|CredI|confidence|credible)\b"
            rf"(?:(?: intervals?)?[\s:,=(\[]*{_INTERVAL})?"
            rf"|(?:\bCI\b|(?:confidence|credible) \w+)[\s:,=(\[]*{_INTERVAL}"
            rf"|(?<=[\d%])\s?[(\[]{_INTERVAL}[)\]]",
        ),
        (
            r"\bp\b|significan",
            rf"\b[pP](?:[-\s]?values?)?[\s:]*(?:[=<>≤≥]|&[lg]t;|less than)[\s=]*{_NUMBER}",
        ),
        (
            r"gain|improv|increas|chang|better|more|beat|outperform|exceed|surpass",
            rf"\(\+{_NUMBER}\s?(?:\\?%|percent|points)?\)",
        ),
        (r"how many|number|sample", rf"\b[nN]\s?=\s?{_NUMBER}|\bthe\s\d+(?=\s[a-z])"),
        (
            r"(?!)",
            r"(?<!\S)\(\d{1,2}\)(?=\s)|(?:^|(?<=[,;:]\s)|(?<=\band\s))\d{1,2}\)(?=\s)"
            r"|(?<=\w\s)\d\)(?=\s(?:an?|the|we)\s)",
        ),
    )
)
"""Words of a question, and figures that answer no other: limits, p values, gains in brackets, sizes
of samples, and, for no question at all, the marks of a list."""
_THRESHOLD = re.compile(r"(?:[<>≤≥]|&[lg]t;|\\[gl]eq?)[\s$=]*$")
"""Before a figure that only says of which cases others are told ('stenosis > 50%')."""
_WITHOUT = re.compile(r"(?<!ing )\bwithout\b", re.IGNORECASE)
"""'Drafting without a model' is what a thing is, 'how good is it without a model' a condition."""
_WITHOUT_IT = re.compile(
    r"\b(?:without|no|not|non|nor|never|un(?!der|i)\w{4,}|(?:lack|absen|remov|ablat|drop|omit|exclud)\w*"
    r"|only|alone|original|baselines?|vanilla|plain|controls?|placebo|negative|naive)\b|free\b",
    re.IGNORECASE,
)
"""Says that a thing is not there: a figure beside none of these is of what has it."""
_IN_NAME = re.compile(r"-(?!fold)[A-Za-z]|\([A-Z]")
"""After what is no figure: '4-OH', '25(OH)D'."""
_JOINED = re.compile(
    r"[^;.]*(?:,|\b(?:and|or|vs\.?|versus|to|with|but(?:\sonly)?))\s(?:from\s)?\+?|[^;.,]*;\s"
)
"""What stands between two figures of one measure: '14% in women and 19% in men'."""
_SAID_BY_ITS_UNIT = re.compile(
    r"\b(?:doses?|dosages?|costs?|prices?|weights?|heights?|sizes?|lengths?|durations?|times?|speed"
    r"|throughput|memory|temperature|distance|volume|power|energy)$",
    re.IGNORECASE,
)
"""A measure whose figures stand there without its name ('25 mg weekly')."""
_HOW = re.compile(r"\bhow\b(?! old\b)", re.IGNORECASE)
_BESIDE_COUNTS = 4
"""Words around it that a figure's place beside the measure is worth."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that may answer a question, and its place in the text."""

    start: int
    end: int
    fits: bool
    """Whether it has the unit asked for, counts the thing or stands beside the measure."""
    near: int
    """Words of the question around it."""
    alone: bool
    """Whether the text has no other figure."""


def figure_for(text: str, question: str) -> Figure | None:
    """The figure of ``text`` that answers ``question`` best, or None where none can.

    Markers such as ``[1]`` hold no figures.
    """
    asks = _read(question)
    asked, given, thing, measure = asks.words, asks.given, asks.thing, asks.measure
    cues, difference = asks.cues, asks.difference
    bare_text = _without_asides(text, question)
    held = set(_DIGITS.findall(bare_text))
    best: Figure | None = None
    best_rank = (False, False, False, 0, 0, 0)
    last_said: str | None = None
    last_unit = last_lead = ""
    last_gained = valued = False
    found_figures = [
        match
        for match in _FIGURE.finditer(bare_text)
        if not _is_version(_just_before(bare_text, match), match.group(), measure)
    ]
    found_figures = [m for m in found_figures if not _is_threshold(bare_text, m)] or found_figures
    others = sum(not set(_DIGITS.findall(m.group())) <= given for m in found_figures)
    changes = gains_among(bare_text, found_figures) if difference or measure else set()
    gains = changes if difference else set()
    for at, match in enumerate(found_figures):
        figure = match.group().rstrip()
        if set(_DIGITS.findall(figure)) <= given:
            continue
        # What stands beyond another figure belongs rather to that one.
        since = found_figures[at - 1].end() if at else 0
        until = found_figures[at + 1].start() if at + 1 < len(found_figures) else len(bare_text)
        before = bare_text[max(since, match.start() - _NEAR) : match.start()]
        after = bare_text[match.end() : min(until, match.end() + _NEAR)]
        if asks.without and not _WITHOUT_IT.search(
            f"{bare_text[since : match.start()]} {own_clause('', after)}"
        ):
            continue
        follower = re.match(r"\s?([A-Za-z]{3,})", after)
        if follower and any(opposite(follower[1].lower(), word) for word in asked):
            # 'How much faster?' is not answered by '10x slower'.
            continue
        if not thing and _IN_NAME.match(after):
            continue
        if "/" in (before, after):
            # '66%/92%': which of the two is it?
            continue
        unit = re.split(r"\d", figure)[-1]
        gained = match.start() in gains
        follows = at > 0 and since >= match.start() - _NEAR
        said = (
            said_beside(measure, before, after, gained=gained, follows=follows) if measure else None
        )
        same_sort = said is None and unit == last_unit and gained == last_gained
        joined = same_sort and _JOINED.fullmatch(before) is not None
        if joined:
            said = last_said
        own_lead = last_lead if joined else before if said is None else said
        # 'The 6-month prevalence' is not of six months.
        beside = said is not None and (not unit.startswith("-") or unit.endswith("fold"))
        last_said, last_unit, last_gained, last_lead = said, unit, gained, own_lead
        valued |= beside
        fits = any(re.search(fitting, figure) for _, fitting, _, _ in cues)
        of_sort = False
        if thing:
            # Up to the next figure: '100B parameters on 400 GPUs'.
            upto = re.split(r"\d|[.;,]\s", unit + after)[0]
            words = re.findall(r"[A-Za-z]+(?:-[A-Za-z]+)*", upto)
            fits = thing in [_stem(word) for word in words[:4]]
            of_sort = asks.sort is not None and asks.sort.match(unit + after) is not None
            if not fits and not of_sort and not _follows(thing, before):
                continue
            fits |= of_sort
        elif not fits and (measure or cues) and not gained:
            bare = beside or (not measure and any(bare for _, _, bare, _ in cues))
            if not bare or (cues and unit.strip()):
                continue
            if cues == _CUES[:1] and not beside and _OF_THINGS.match(figure + after):
                continue
        around = f"{before} {after}"
        wide = bare_text[max(0, match.start() - _NEAR) : match.end() + _NEAR]
        near = sum(
            len(asked & {word.lower() for word in _WORD.findall(part)}) for part in (around, wide)
        )
        # Not in a name: 'FastLantern runs at 8 fps' does not speak of speed.
        near += any(re.search(same, around) for _, _, _, same in cues)
        # 'With 8 GPUs': the figure beside that of the question.
        next_to = _DIGITS.findall(bare_text[match.end() : until + _NEAR])[:1]
        near += 3 * bool(given & set(next_to)) + _BESIDE_COUNTS * (
            beside or asks.at.search(before) is not None
        )
        # A percentage or a factor may be of anything.
        fits = beside or (fits and (near > 0 or bool(thing) or asks.rate))
        if difference:
            of_cues = fits or not cues or is_ratio(before)
            fits = gained and (beside or (measure is None and of_cues))
        # 'At 14 mg/L' stands in the sentence that is asked for.
        near += 2 * bool(given & held)
        # A change of the measure is not what it is.
        if match.start() in changes and not difference:
            near -= _BESIDE_COUNTS
        found = Figure(match.start(), match.start() + len(figure), fits, near, others == 1)
        clause = f"{own_clause(own_lead, after)} {own_clause(before, '') if joined else ''}"
        about = asks.specific if beside else asks.specific | asks.core
        own = len(about & _words(clause)) + any(
            re.search(same, clause) for _, _, _, same in cues if not beside
        )
        rank = (fits, of_sort, beside, own * (fits or beside), near, own)
        if (fits or near > 0 or gained) and (best is None or rank > best_rank):
            best, best_rank = found, rank
    if best and measure and not valued and gains == {best.start}:
        # 'A 49% decrease in the cases': the only change told is that of the measure.
        known = measure.called.search(text) or is_ratio(bare_text[: best.start])
        return replace(best, fits=bool(known))
    return best


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a question for a number says of the figure that answers it."""

    words: frozenset[str]
    given: frozenset[str]
    """Its own figures."""
    thing: str
    """What is counted, or nothing."""
    rate: bool
    """Whether it is for frames per second: then the unit alone says so."""
    sort: re.Pattern[str] | None
    measure: Measure | None
    difference: bool
    core: frozenset[str]
    """The words of the thing or the measure, stemmed."""
    specific: frozenset[str]
    """Those that say of what it is, stemmed."""
    cues: tuple[tuple[str, str, bool, str], ...]
    at: re.Pattern[str]
    """A name right before a figure, or a word before one in brackets."""
    without: bool


@lru_cache(maxsize=32)
def _read(question: str) -> _Asked:
    words = frozenset(word.lower() for word in _WORD.findall(question)) - _EMPTY
    rate = re.search(_FRAME_RATE, question, re.IGNORECASE) is not None
    thing = "" if rate else _stem(counted(question))
    measure = None if thing else measure_named(question)
    difference = not thing and asks_for_gain(question)
    # 'At what sparsity is the speedup ...?' does not ask for the speedup.
    asks = measure.name if measure and not difference else question
    core = frozenset(map(stem, measure.core if measure else (thing,)))
    names = "|".join(map(re.escape, _NAME.findall(question))) or "(?!)"
    return _Asked(
        words=words,
        given=frozenset(_DIGITS.findall(question)),
        thing=thing,
        rate=rate,
        sort=_sort_counted(question),
        measure=measure,
        difference=difference,
        core=core,
        specific=_words(question) - core - _WHOM,
        cues=tuple(cue for cue in _CUES if re.search(cue[0], asks, re.IGNORECASE)),
        at=re.compile(
            rf"(?<![\w-])(?:(?:{names})\s?[(:,]?\s?|(?i:{'|'.join(words) or '(?!)'})\s\()$"
        ),
        without=_WITHOUT.search(question) is not None,
    )


def _words(text: str) -> frozenset[str]:
    """The words of a text that say what it is about, stemmed, and its names with digits."""
    words = frozenset(word.lower() for word in _WORD.findall(text)) - _EMPTY
    names = {name.lower() for name in _WITH_DIGIT.findall(text)}
    return frozenset(map(stem, words)) | names


def _just_before(text: str, match: re.Match[str]) -> str:
    return text[max(0, match.start() - _NEAR) : match.start()]


def _is_threshold(text: str, match: re.Match[str]) -> bool:
    return _THRESHOLD.search(_just_before(text, match)) is not None


def measure_missing(question: str, texts: Iterable[str]) -> str | None:
    """The measure that a question names if none of the texts gives a figure for it, else None."""
    measure = measure_named(question)
    # 'What data is used, and how large is it?' wants another figure; that a thing is not there,
    # papers say in many ways.
    if (
        measure is None
        or _WITHOUT.search(question)
        or _SAID_BY_ITS_UNIT.search(measure.name)
        or _HOW.search(question)
    ):
        return None
    # Any share has the unit of a 'success rate'.
    first = _stem(measure.core[0]) if len(measure.core) > 1 else ""
    given = any(
        (first in text.lower() or measure.called.search(text))
        and (figure := figure_for(text, question))
        and figure.fits
        for text in texts
    )
    return None if given else measure.name


def counted(question: str) -> str:
    """What a question wants to have counted ('GPUs' in 'How many GPUs ...?'), or nothing."""
    match = _COUNTED.search(question)
    words = match[1].split() if match else [""]
    # "How many times smaller" counts nothing.
    if _stem(words[-1]) in ("time", "percent", "percentage"):
        return ""
    # 'How many test cases come with it?'
    return next((word for word in reversed(words) if word.endswith("s")), words[-1])


def things_named(question: str) -> tuple[str, ...]:
    """The names of a question by their capitals or digits, but for that of a measure or unit."""
    measure = measure_named(question)
    own = {counted(question).lower(), *(measure.name.lower().split() if measure else ())}
    return tuple(
        name
        for name in _NAME.findall(question)
        if re.search(r"\w[A-Z]|\d", name)
        and name.lower() not in own
        and not any(re.search(cue[0], name, re.IGNORECASE) for cue in _CUES)
    )


def _sort_counted(question: str) -> re.Pattern[str] | None:
    """What stands behind a figure of the sort counted: 'active)' for 'How many active ...?'."""
    match = _COUNTED.search(question)
    words = match[1].split()[:-1] if match else []
    # '90 billion parameters (12 billion active)'.
    return re.compile(rf"\D{{0,12}}\b{re.escape(words[-1])}\)", re.IGNORECASE) if words else None


def _is_version(before: str, figure: str, measure: Measure | None) -> bool:
    """Whether a figure only tells which thing of a name is meant ('Lantern 3.1', 'Group 2')."""
    name = _VERSION.search(before)
    if name is None or not _VERSION_NUMBER.fullmatch(figure):
        return False
    return measure is None or measure.called.search(name.group()) is None


def in_bold(text: str, figure: Figure) -> str:
    """``text`` with that figure in bold."""
    return f"{text[: figure.start]}**{text[figure.start : figure.end]}**{text[figure.end :]}"


def _without_asides(text: str, question: str) -> str:
    """``text`` with blanks in the place of figures that only come along with others."""
    unasked = [aside for asks, aside in _ASIDES if not asks.search(question)]
    for pattern in (_MARKER, *unasked):
        text = pattern.sub(lambda match: " " * len(match.group()), text)
    return text


def _follows(thing: str, before: str) -> bool:
    """Whether what is counted is named just before ('parameters: 7B')."""
    return thing in [_stem(word) for word in re.findall(r"[A-Za-z-]+", before)[-3:]]


def _stem(word: str) -> str:
    word = word.lower()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
