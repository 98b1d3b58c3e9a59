"""What every abstract tells: its problem, its idea, its results, and all of that in short.

'What problem does X solve?' shares no word with the sentence that says it, which does not name X
either. Where such a sentence stands in an abstract, and how it begins, says more than its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum

from citewise.answering.evidence import own_work_starts
from citewise.answering.talk import content_words
from citewise.backends.extractive import is_hollow, says_where
from citewise.backends.facets import says_trouble
from citewise.backends.parts import Part, parts_of


class Gist(Enum):
    """What is asked of a paper."""

    PROBLEM = "problem"
    """What it is for: the trouble that it sets out from, and what it sets against it."""
    IDEA = "idea"
    RESULTS = "results"
    SUMMARY = "summary"


_WORK = (
    r"address|tackl|solv|fill|target|fix|overcom|attack|resolv|clos|remed|investigat|stud(?:y|ies|ied)"
    r"|deal\w* with|respond|tr(?:y|ies|ied|ying) to|set(?:s|ting)? out to|ask|answer|pose|look"
    r"|focus|work\w* on"
)
_PROPOSE = (
    r"propos(?:e[sd]?|ing)|introduc(?:e[sd]?|ing)|present(?:s|ed|ing)?|contribut(?:e[sd]?|ing)"
    r"|suggest(?:s|ed|ing)?|offer(?:s|ed)?|bring(?:s)? (?:new )?to the table"
)
_ASKED: tuple[tuple[Gist, re.Pattern[str]], ...] = tuple(
    (gist, re.compile(rf"\b(?:{asked})", re.IGNORECASE))
    for gist, asked in (
        (
            Gist.PROBLEM,
            rf"(?:problem|challenge|issue|gap|question|need|difficult|bottleneck|pain point)\w*"
            rf"\b.*\b(?:{_WORK})\w*(?: (?:solve|address|fix|tackle|answer|fill|overcome))?"
            r"|motivat\w+(?: (?:behind|for))?"
            r"|why (?:was|is|were|are|did|do|does)\b.*\b(?:made|built|created|invented|proposed?"
            r"|introduced?|developed?|needed|designed|written|wr[io]te|done|build|create|make|necessary)\b"
            r"|(?:the|its|their|main|research|key) (?:goals?|aims?|purpose|objectives?|problem"
            r"|challenge|gap|question)\b(?! (?:with|for|when|if|about)\b)"
            r"|wrong with (?:the )?(?:existing|earlier|previous|prior|current|other|older)\b.*",
        ),
        (
            Gist.IDEA,
            rf"(?:ideas?|insights?|intuitions?|novelt\w+|innovations?|contributions?|approach"
            rf"|proposals?|method|methodology|trick)\b|(?:{_PROPOSE})\b"
            r"|(?:new|novel|different|special|innovative|original) (?:in|about|with|here)\b"
            r"|how (?:does|do|did)\b.*\b(?:works?|function)\b|how it works\b",
        ),
        (
            Gist.RESULTS,
            r"results?\b|findings?\b|take-?aways?\b|take-?home message|conclusions?\b|upshot\b"
            r"|bottom line\b|lessons?\b"
            r"|(?:find|finds|found|shows?|showed|shown|discover(?:s|ed)?|concludes?d?"
            r"|achieve[sd]?|demonstrate[sd]?|reveal(?:s|ed)?|learn(?:ed|t))\b",
        ),
        (
            Gist.SUMMARY,
            r"summar\w+|tl;?dr\b|overview\b|gist\b|sum (?:it |this )?up|walk me through|in short\b"
            r"|in a nutshell\b|in (?:a|one|two|three|few|simple|plain) (?:words?|sentences?|terms?)"
            r"|about\b|explain\b|describe\b|eli5\b",
        ),
    )
)
_FRAME = frozenset(
    """about according actual actually author authors basic behind brief briefly central core do
    does done exact exactly explain give here idea key kind main major me mean most of old one
    overall paper papers please really research say says sentence sentences short simple simply
    study sum tell their they this terms trying try tries use used words work works""".split()
)
"""Words that may stand beside what is asked: they ask for no more. Own list."""
_OWN = re.compile(
    r"\b(?:we|this (?:paper|work|study|article|survey|review|report|thesis))(?:,? [\w-]+,?){0,3} "
    r"(?:present|propos|introduc|develop|show|stud|investigat|explor|describ|analy[sz]|examin"
    r"|design|buil[dt]|conduct|evaluat|demonstrat|address|tackl|aim|revisit|rethink|consider|offer"
    r"|provid|report|releas|formali[sz]|creat|devis|argu|ask|seek|sought|unveil|identif|leverag"
    r"|combin|extend|test|compar|assess|determin|measur|establish|implement|construct|train|review)",
    re.IGNORECASE,
)
"""A paper that comes to its own work: not 'we often see that'."""
_PROPOSES = re.compile(
    rf"\b(?:we|this (?:paper|work|study|article))(?:,? [\w-]+,?){{0,7}} (?:{_PROPOSE})\b",
    re.IGNORECASE,
)
_FOUND = re.compile(
    r"\b(?:results?|experiment\w*|evaluation\w*|find|finds|found|finding\w*|show|shows|showed|shown"
    r"|achiev\w+|outperform\w*|surpass\w*|improv(?:e[sd]?|ing|ements?)|reduc(?:e[sd]?|ing|tions?)"
    r"|demonstrat\w+|reveal\w*|observ(?:e[sd]?|ing)|exceed\w*|attain\w*|yield\w*|gains?|speed-?ups?"
    r"|increas\w+|conclud\w*|associated|significan\w+|state-of-the-art)\b|\d(?:\\?%|x\b|times)",
    re.IGNORECASE,
)
_MEASURED = re.compile(r"\d")
_EVALUATED = re.compile(
    r"\b(?:experiments?|evaluations|results?|outperform\w*|surpass\w*|state-of-the-art|demonstrat\w+"
    r"|empirical\w*|benchmarks?|speed-?ups?)\b|\d(?:\\?%|\.?\d*x\b| ?times)",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"(?:further|furthermore|moreover|also|in addition|additionally)\b", re.I)
_MOST_TROUBLES, _MOST_STEPS, _MOST_RESULTS = 3, 3, 4
_FEWEST_RESULTS = 2


def gist_asked(asked: str) -> Gist | None:
    """What of a paper a question asks for; None if it asks for anything more.

    ``asked``: the question without the paper's name.
    """
    for gist, pattern in _ASKED:
        match = pattern.search(asked)
        if match is None:
            continue
        left = content_words(f"{asked[: match.start()]} {asked[match.end() :]}")
        if all(word.lower() in _FRAME for word in left):
            return gist
    return None


def telling(gist: Gist, sentences: Sequence[str]) -> tuple[int, ...]:
    """Places of the sentences of an abstract that tell it, in the order of the abstract.

    Up to four, none only where there is no sentence.
    """
    return tuple(sorted(set(_TOLD[gist](sentences)))) if sentences else ()


def _starts(sentences: Sequence[str]) -> int:
    """Place of the sentence in which the paper comes to its own work."""
    for own in (_PROPOSES, _OWN):
        for at, text in enumerate(sentences):
            if own.search(text):
                return at
    parts = enumerate(parts_of(sentences))
    labelled = (at for at, part in parts if part not in (Part.SETTING_OUT, None))
    return next(labelled, own_work_starts(sentences))


def _problem(sentences: Sequence[str]) -> list[int]:
    start = _starts(sentences)
    troubles = [at for at, text in enumerate(sentences) if says_trouble(text)]
    before = [at for at in troubles if at < start] or list(range(start))
    behind = [at for at in troubles if at > start]
    return [*before[-_MOST_TROUBLES:], start, *([] if before else behind[: _MOST_TROUBLES - 1])]


def _idea(sentences: Sequence[str]) -> list[int]:
    start = _starts(sentences)
    further = [
        at
        for at in range(start + 1, len(sentences))
        if _says(sentences[at]) and not _EVALUATED.search(sentences[at])
    ]
    return [start, *further[: _MOST_STEPS - 1]]


def _results(sentences: Sequence[str]) -> list[int]:
    start, parts = _starts(sentences), parts_of(sentences)
    told = [at for at, part in enumerate(parts) if part in (Part.RESULTS, Part.CONCLUSION)]
    own = range(start, len(sentences))
    told = told or [at for at in own if _EVALUATED.search(sentences[at]) and _says(sentences[at])]
    if len(told) < _FEWEST_RESULTS:
        found = [at for at in own if _FOUND.search(sentences[at]) and _says(sentences[at])]
        told += [at for at in found if at not in told][: _FEWEST_RESULTS - len(told)]
    telling_most = sorted(told, key=lambda at: (not _MEASURED.search(sentences[at]), at))
    return telling_most[:_MOST_RESULTS] or [len(sentences) - 1]


def _summary(sentences: Sequence[str]) -> list[int]:
    start = _starts(sentences)
    troubles = [at for at in range(start) if says_trouble(sentences[at])]
    trouble = [at for at in troubles if not _GOES_ON.match(sentences[at])][-1:]
    steps, results = _idea(sentences)[: 3 - len(trouble)], _results(sentences)
    return [*trouble, *steps, *[at for at in results if at not in steps][:1]]


def _says(sentence: str) -> bool:
    return not (is_hollow(sentence) or says_where(sentence))


_TOLD: dict[Gist, Callable[[Sequence[str]], list[int]]] = {
    Gist.PROBLEM: _problem,
    Gist.IDEA: _idea,
    Gist.RESULTS: _results,
    Gist.SUMMARY: _summary,
}
