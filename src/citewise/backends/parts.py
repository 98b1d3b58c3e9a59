"""The parts of a structured abstract, by the labels that stand before their sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum


class Part(Enum):
    """What a part of an abstract tells."""

    SETTING_OUT = "setting out"
    """What was known, what was to be found out, on whom and with what."""
    METHODS = "methods"
    RESULTS = "results"
    CONCLUSION = "conclusion"


_NAMES = {
    Part.CONCLUSION: "conclusions?|interpretation|implications?|relevance|significance",
    Part.RESULTS: "results?|findings?",
    Part.METHODS: "methods?|methodology|approach",
    Part.SETTING_OUT: "objectives?|object|aims?|goals?|background|context|introduction|purpose"
    "|hypothes[ei]s|rationale|importance|motivation|materials?|patients?|subjects?|participants?"
    "|animals?|samples?|design|settings?|interventions?|exposures?|outcomes?|measures?|measurements?"
    "|procedures?|statistics|sources?|selection|extraction|collection|acquisition|synthesis|criteria"
    "|strategy|limitations?|registration|registry|funding|sponsorship|availability|question",
    None: "abstract|unlabelled|summary|discussion",
}
"""Words that name a part; None for parts that may tell anything."""
_BESIDE = (
    "main|primary|principal|key|recent|general|study|research|experimental|clinical|statistical"
    "|trial|data|analys[ei]s|search|inclusion|review|evidence|measured|population|authors?"
    "|reviewers?|statement|answer|implementation|number"
)
"""Words that stand beside them."""


def _run_of(words: str, joined: str) -> str:
    """A pattern for words that stand side by side or joined."""
    word = rf"(?:{words})(?:\([sS]\)|['’][sS]?)?"
    return rf"{word}(?:[\s,/&]+(?:(?:{joined})\s+){{0,2}}{word})*"


_WORDS = "|".join([*_NAMES.values(), _BESIDE])
_CAPITALS = _run_of(_WORDS.upper(), "AND|OF|FROM|THE")
_TITLED = _run_of("|".join(word.capitalize() for word in _WORDS.split("|")), "and|of|from|the")
_LABEL = re.compile(
    rf"(?P<label>(?P<capitals>{_CAPITALS})|{_TITLED})(?P<mark>[:.]|\s*[-–—]+(?=\s))?\s*(?<!\w)"
    # A name in small letters may open a sentence: 'p53', 'mRNA', 'umin.ac.jp'.
    r"(?=[\[(\"“'‘<>≥≤]?(?:[A-Z\d]|[a-z]{1,3}[A-Z\d]|[a-z]+\.[a-z])|$)"
)
_NAMED = {part: re.compile(rf"\b(?:{names})\b", re.IGNORECASE) for part, names in _NAMES.items()}
_BARE = re.compile(
    r"(?:Objectives?|Aims?|Background|Purpose|Importance|Methods|Results|Findings|Conclusions?"
    r"|Interpretation)\b"
)
"""What a label in small letters begins with where no mark ends it: no 'Design Automation'."""


def _label(sentence: str) -> re.Match[str] | None:
    """The label before a sentence."""
    match = _LABEL.match(sentence)
    if match is None or not any(named.search(match["label"]) for named in _NAMED.values()):
        return None
    plain = match["capitals"] or match["mark"] or _BARE.match(sentence)
    return match if plain else None


def unlabelled(sentence: str) -> str:
    """A sentence without the labels before it, unless it is nothing else."""
    while (match := _label(sentence)) and match.end() < len(sentence):
        sentence = sentence[match.end() :]
    return sentence


def _part(label: str) -> Part | None:
    """The part that a label names; None for one that may tell anything."""
    named = [part for part, pattern in _NAMED.items() if pattern.search(label)]
    return None if Part.METHODS in named and Part.RESULTS in named else named[0]


def parts_of(sentences: Sequence[str]) -> list[Part | None]:
    """The part that each sentence of an abstract stands in; None where no label says so."""
    parts: list[Part | None] = []
    part = None
    for sentence in sentences:
        while match := _label(sentence):
            part = _part(match["label"])
            sentence = sentence[match.end() :]
        parts.append(part)
    return parts
