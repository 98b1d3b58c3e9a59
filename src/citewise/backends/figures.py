"""Which figure of a sentence answers a question for a number.

A figure counts when it has the unit asked for, or stands before the thing that is counted. A figure
of the question itself, or one inside a name (``4-bit``, ``CIFAR-10``), answers nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from citewise.grounding.locks import opposite

_UNIT = (
    r"(?:\s?\\?%|\s?\$?\\times\$?|\s?×|\s?times\b|[xX]\b|[kKMBT]\b"
    r"|[\s-]?(?:percent(?:age points?)?|points?|fps|FPS|[GMKT]i?B|[mnuµ]?s\b|secs?|seconds?"
    r"|minutes?|hours?|days?|weeks?|months?|years?|bits?|billion|million|thousand|trillion|[GTP]FLOPs?"
    r"|Petaflops|[mk]?[WJ]|GPU hours)\b)?"
)
_NUMBER = r"(?:[$€£]\s?)?\d+(?:[.,]\d+)*"
_FIGURE = re.compile(
    rf"(?<![\w.])(?<!\w-){_NUMBER}{_UNIT}(?:(?:\s?[-–]\s?|\sto\s){_NUMBER}{_UNIT})?"
)
_MARKER = re.compile(r"(?<!\s)\s*+\[\d+\]")
_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[A-Za-z]{3,}")

_TIMES = r"[xX]$|×|times"
_TIME = r"(?<![A-Za-z])[mnuµ]?s$|second|minute|hour|day|week|month|year"
_SPEED = r"speed|fast|slow|accelerat|throughput|latency"
_CUES = (
    (r"percent|share|fraction|accura|\brate\b|reduc|\bsav|\bcut|shrink|lower|drop",
     r"%|percent|points?$", True, r"accura|reduc|decreas|sav|fewer|less|share|rate"),
    (r"speed-?up|faster|quicker|how many times|what factor|accelerat|slower", _TIMES, False,
     _SPEED),
    (r"\bfps\b|frames? per|how fast", rf"fps|FPS|{_TIMES}|{_TIME}", True, _SPEED),
    (r"throughput", rf"{_TIMES}|%|fps|FPS", True, _SPEED),
    (r"memory|vram|footprint|how much (?:storage|space)", rf"[GMKT]i?B$|%|percent|{_TIMES}", False,
     r"memory|vram|footprint|storage|cache"),
    (r"how long|latency|how much time|\btime\b", rf"{_TIME}|%|{_TIMES}", False,
     rf"time|hours|within|{_SPEED}"),
    (r"ratio|factor|how (?:much )?(?:small|larg|bigg|great)", rf"{_TIMES}|%|percent", True,
     r"ratio|compress|small|larg|bigg|size"),
    (r"\bcosts?\b|price|expensive", r"^[$€£]", False, r"cost|price|expens"),
    (r"energy|power", rf"[mk]?[WJ]$|%|percent|{_TIMES}", False, r"energy|power|consum|operations"),
)  # fmt: skip
"""Words of a question, the units that may answer them, whether a bare number may as well, and words
around a figure that speak of the same."""

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
_NEAR = 60
"""Characters on each side of a figure in which the question's words count."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure that may answer a question, and its place in the text."""

    start: int
    end: int
    fits: bool
    """Whether it has the unit asked for or counts the thing asked for."""
    near: int
    """Words of the question around it."""


def figure_for(text: str, question: str) -> Figure | None:
    """The figure of ``text`` that answers ``question`` best, or None where none can.

    Markers such as ``[1]`` hold no figures.
    """
    asked = {word.lower() for word in _WORD.findall(question)} - _EMPTY
    given = set(_DIGITS.findall(question))
    cues = [cue for cue in _CUES if re.search(cue[0], question, re.IGNORECASE)]
    thing = _stem(counted(question))
    bare_text = _MARKER.sub(lambda match: " " * len(match.group()), text)
    best: Figure | None = None
    found_figures = list(_FIGURE.finditer(bare_text))
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
        if thing:
            # Up to the next figure: '100B parameters on 400 GPUs'.
            unit = re.split(r"\d", figure)[-1]
            upto = re.split(r"\d|[.;,]\s", unit + after)[0]
            words = re.findall(r"[A-Za-z]+", upto)
            fits = thing in [_stem(word) for word in words[:4]]
            if not fits and not _follows(thing, before):
                continue
        elif cues:
            fits = any(re.search(unit, figure) for _, unit, _, _ in cues)
            has_unit = bool(re.search(r"[^\d.,\s$€£–-]", figure.replace("to", "")))
            if not fits and (has_unit or not any(bare for _, _, bare, _ in cues)):
                continue
        else:
            fits = False
        around = f"{before} {after}"
        wide = bare_text[max(0, match.start() - _NEAR) : match.end() + _NEAR]
        near = sum(
            len(asked & {word.lower() for word in _WORD.findall(part)}) for part in (around, wide)
        )
        # Not in a name: 'FastLantern runs at 8 fps' does not speak of speed.
        near += any(re.search(same, around) for _, _, _, same in cues)
        # 'With 8 GPUs': the figure beside that of the question.
        beside = _DIGITS.findall(bare_text[match.end() : until + _NEAR])[:1]
        near += 3 * bool(given & set(beside))
        # A percentage or a factor may be of anything.
        fits = fits and (near > 0 or bool(thing))
        found = Figure(match.start(), match.start() + len(figure), fits, near)
        if (fits or near) and (best is None or (fits, near) > (best.fits, best.near)):
            best = found
    return best


def counted(question: str) -> str:
    """What a question wants to have counted ('GPUs' in 'How many GPUs ...?'), or nothing."""
    match = _COUNTED.search(question)
    words = match[1].split() if match else [""]
    # "How many times smaller" counts nothing.
    if _stem(words[-1]) in ("time", "percent", "percentage"):
        return ""
    # 'How many test cases come with it?'
    return next((word for word in reversed(words) if word.endswith("s")), words[-1])


def in_bold(text: str, figure: Figure) -> str:
    """``text`` with that figure in bold."""
    return f"{text[: figure.start]}**{text[figure.start : figure.end]}**{text[figure.end :]}"


def _follows(thing: str, before: str) -> bool:
    """Whether what is counted is named just before ('parameters: 7B')."""
    return thing in [_stem(word) for word in re.findall(r"[A-Za-z-]+", before)[-3:]]


def _stem(word: str) -> str:
    word = word.lower()
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
