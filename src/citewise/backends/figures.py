"""Which figure of a sentence answers a question for a number.

A figure counts when it has the unit asked for, stands before the thing that is counted, or beside
the measure that the question names. A figure of the question itself, one inside a name (``4-bit``,
``CIFAR-10``) and one that only says how sure another is (``95% CI``, ``p < 0.05``) answer nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from citewise.backends.gains import FACTOR, asks_for_gain, gains_among, is_ratio
from citewise.backends.measure import Measure, measure_named, own_clause, said_beside
from citewise.grounding.locks import opposite

_UNIT = (
    r"(?:\s?\\?%|\s?\$?\\times\$?|\s?×|\s?times\b|[xX]\b|[kKMBT]\b"
    r"|\s?%?pp?\b|\s?-?fold\b"
    r"|[\s-]?(?:percent(?:age points?)?|points?|fps|FPS|[GMKT]i?B|[mnuµ]?s\b|secs?|seconds?"
    r"|minutes?|hours?|days?|weeks?|months?|years?|bits?|billion|million|thousand|trillion|[GTP]FLOPs?"
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
_SPEED = r"speed|fast|slow|accelerat|throughput|latency"
_CUES = (
    (r"percent|share|fraction|accura|\brate\b|reduc|\bsav|\bcut|shrink|lower|drop",
     r"%|percent|points?$", True, r"accura|reduc|decreas|sav|fewer|less|share|rate"),
    (r"speed-?up|faster|quicker|how many times|what factor|accelerat|slower", FACTOR, False,
     _SPEED),
    (r"\bfps\b|frames? per|how fast", rf"fps|FPS|{FACTOR}|{_TIME}", True, _SPEED),
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
        (r"(?!)", r"(?<!\S)\(\d{1,2}\)(?=\s)|(?:^|(?<=[,;:]\s)|(?<=\band\s))\d{1,2}\)(?=\s)"),
    )
)
"""Words of a question, and figures that answer no other: limits, p values, gains in brackets, sizes
of samples, and, for no question at all, the marks of a list."""
_IN_NAME = re.compile(r"-(?!fold)[A-Za-z]|\([A-Z]")
"""After what is no figure: '4-OH', '25(OH)D'."""
_JOINED = re.compile(r"[^;.]*(?:,|\b(?:and|or|vs\.?|versus|to|with))\s(?:from\s)?\+?")
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
    asked = {word.lower() for word in _WORD.findall(question)} - _EMPTY
    given = set(_DIGITS.findall(question))
    thing = _stem(counted(question))
    sort = _sort_counted(question)
    measure = None if thing else measure_named(question)
    difference = not thing and asks_for_gain(question)
    # 'At what sparsity is the speedup ...?' does not ask for the speedup.
    asks = measure.name if measure and not difference else question
    specific = asked - set(measure.core if measure else ())
    cues = [cue for cue in _CUES if re.search(cue[0], asks, re.IGNORECASE)]
    bare_text = _without_asides(text, question)
    names = "|".join(map(re.escape, _NAME.findall(question)))
    at_name = re.compile(rf"(?<![\w-])(?:{names})\s?[(:,]?\s?$" if names else r"(?!)")
    best: Figure | None = None
    best_rank = (False, False, False, 0, 0, 0)
    last_said: str | None = None
    last_unit = ""
    last_gained = valued = False
    found_figures = [
        match
        for match in _FIGURE.finditer(bare_text)
        if not _is_version(_just_before(bare_text, match), match.group(), measure)
    ]
    others = sum(not set(_DIGITS.findall(m.group())) <= given for m in found_figures)
    gains = gains_among(bare_text, found_figures) if difference else set()
    for at, match in enumerate(found_figures):
        figure = match.group().rstrip()
        if set(_DIGITS.findall(figure)) <= given:
            continue
        # What stands beyond another figure belongs rather to that one.
        since = found_figures[at - 1].end() if at else 0
        until = found_figures[at + 1].start() if at + 1 < len(found_figures) else len(bare_text)
        before = bare_text[max(since, match.start() - _NEAR) : match.start()]
        after = bare_text[match.end() : min(until, match.end() + _NEAR)]
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
        if (
            said is None
            and unit == last_unit
            and _JOINED.fullmatch(before)
            and gained == last_gained
        ):
            said = last_said
        # 'The 6-month prevalence' is not of six months.
        beside = said is not None and (not unit.startswith("-") or unit.endswith("fold"))
        last_said, last_unit, last_gained = said, unit, gained
        valued |= beside
        fits = any(re.search(fitting, figure) for _, fitting, _, _ in cues)
        of_sort = False
        if thing:
            # Up to the next figure: '100B parameters on 400 GPUs'.
            upto = re.split(r"\d|[.;,]\s", unit + after)[0]
            words = re.findall(r"[A-Za-z]+(?:-[A-Za-z]+)*", upto)
            fits = thing in [_stem(word) for word in words[:4]]
            of_sort = sort is not None and sort.match(unit + after) is not None
            if not fits and not of_sort and not _follows(thing, before):
                continue
            fits |= of_sort
        elif not fits and (measure or cues) and not gained:
            bare = beside or (not measure and any(bare for _, _, bare, _ in cues))
            if not bare or (cues and unit.strip()):
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
            beside or bool(at_name.search(before))
        )
        # A percentage or a factor may be of anything.
        fits = beside or (fits and (near > 0 or bool(thing)))
        if difference:
            of_cues = fits or not cues or is_ratio(before)
            fits = gained and (beside or (measure is None and of_cues))
        found = Figure(match.start(), match.start() + len(figure), fits, near, others == 1)
        clause = own_clause(before if said is None else said, after)
        own = len(specific & {word.lower() for word in _WORD.findall(clause)})
        rank = (fits, of_sort, beside, own * beside, near, own)
        if (fits or near or gained) and (best is None or rank > best_rank):
            best, best_rank = found, rank
    if best and measure and not valued and gains == {best.start}:
        # 'A 49% decrease in the cases': the only change told is that of the measure.
        known = measure.called.search(text) or is_ratio(bare_text[: best.start])
        return replace(best, fits=bool(known))
    return best


def _just_before(text: str, match: re.Match[str]) -> str:
    return text[max(0, match.start() - _NEAR) : match.start()]


def measure_missing(question: str, texts: Iterable[str]) -> str | None:
    """The measure that a question names if none of the texts gives a figure for it, else None."""
    measure = measure_named(question)
    # 'What data is used, and how large is it?' wants another figure.
    if measure is None or _SAID_BY_ITS_UNIT.search(measure.name) or _HOW.search(question):
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
