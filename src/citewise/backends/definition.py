"""What a question wants to have defined, and whether a sentence says what that is."""

from __future__ import annotations

import re
from functools import lru_cache

NOT_DEFINED = "These abstracts do not say what it is; they say of it:"

_PROPOSED = re.compile(
    r"^what (?:does|do|did) .{1,80} (?:do|propose|introduce|contribute|present|suggest|offer)\b",
    re.IGNORECASE,
)
_DEFINED = re.compile(
    r"^(?:(?:what(?:['’]?s| is| are| was)|what do(?:es)?(?=.{2,60} (?:mean|stand for)\b)|define"
    r"|explain(?: what)?|(?:the )?(?:meaning|definition) of)\s+(?:meant by\s+)?)"
    r"(?:(?:a|an|the)\s+)?"
    r"(?P<thing>.{2,60}?)(?:\s+(?:is|are|means?|stands? for))?[?.!]*$"
    r"|^(?P<before>[^,?]{2,60}?)(?:\s*[-–—:,]\s*what (?:is|are) (?:it|that|they|those)"
    r"|\s+(?:meaning|definition))[?.!]*$",
    re.IGNORECASE,
)
_OF_ANOTHER = re.compile(
    r"^what(?:['’]?s| is| are| was) the (?:[\w-]+ ){1,4}?(?:of|in|for|behind|between|that|which"
    r"|when|used|to|by|with|from|on|at)\b",
    re.IGNORECASE,
)
"""'What is the aim of X?' asks for a fact of X."""
_LONGEST = 12
"""Words of a question for a definition."""
_PROPOSES = re.compile(
    r"\b(?:we|this (?:paper|work|study|article)) (?:\w+ )?(?:propos|present|introduc|develop|design"
    r"|offer|contribut)\w*",
    re.IGNORECASE,
)

_OPENINGS: tuple[tuple[str, float | None], ...] = (
    (r"^(?:(?-i:[A-Z]{5,}):? )?(?:[^,]{1,40}, )?(?:an? |the )?", 1.0),
    (r"^(?:[^,]{1,40}, )?(?:an? |the )?(?:[\w-]{1,40} ){1,2}", 0.6),
    ("", None),
)
"""What may stand before a thing that a sentence is about, and how plain that makes it: nothing,
words that narrow it ('DNN pruning is ...'), or any part of the sentence."""
_STANDS_FOR = re.compile(r"\bstands? for\b", re.IGNORECASE)
_IS = (
    r"(?:(?:is|are|(?:has|have) (?:emerged as|become)) (?:an?|the|one)|refers? to"
    r"|denotes?|means|aims? to|consists? of|comprises?)\b"
)
_ARE_SUCH = (
    r"are(?= (?!\w+(?:ed|ing|ly) |not |also )(?:[\w-]{1,40},? ){1,4}(?:that|which|derived|of)\b)"
)
_NO_QUALITY = (
    r"(?:\d\w*|a|about|across|against|all|also|among|and|any|as|at|available|both|by|either|equally"
    r"|few|for|four|from|how|in|into|its|just|less|like|many|more|most|no|not|now|of|often|on|only"
    r"|our|several|some|still|such|than|that|their|there|these|this|those|three|to|too|two|under"
    r"|used|very|what|when|where|whereas|whether|which|while|with|within)"
)
_ARE_THINGS = (
    rf"are(?= (?!\w+(?:ed|ing|ly) )(?:(?!{_NO_QUALITY}\b)[\w-]{{2,40}}(?: and|,)? ){{0,4}}"
    rf"(?!{_NO_QUALITY}\b)[\w-]{{2,40}}(?<![iou]s)(?<!ss)(?<=s)(?<!ways)(?<!wards)(?!-)\b)"
)
"""'Coronal holes are low-density regions in ...': things, behind what they are like."""
_SAYINGS = ((f",? {_IS}", 1.0), (f" {_ARE_SUCH}", 1.0), (f" {_ARE_THINGS}", 0.8))
"""How a sentence goes on behind its subject, and how plainly it says what that is; what does so
less does so only of the sentence's own subject."""
_INTRODUCED = (
    r"\b(?:(?:introduc|present|propos|describ|releas)\w*|(?:develop|design)(?:s|ed)?) "
    r"(?:(?:an?|the|our) )?(?:(?:new|novel) )?"
    r"|\b(?:termed|called|dubbed|named|namely|designated),? (?:as )?"
)
_PRAISE = re.compile(
    r"(?: of the)?(?: \w+){0,2}? (?:promising|popular|powerful|effective|efficient|crucial|key"
    r"|primary|main|major|central|significant|fundamental|important|common|widely|essential"
    r"|pivotal|unavoidable|inevitable|critical|leading|dominant|prominent|standard|cornerstone"
    r"|serious|foundational|predominant|potent|natural|ubiquitous|well-known|long-?standing"
    r"|challeng\w+|active|remarkable|valuable|vital|core)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\b(?:that|which|where(?:by)?|when|by \w+ing|for \w+ing|to \w+)\b")
_STANDS_ALONE = re.compile(
    r"(?:^|[,;:(] |\b(?:an?|the|of|to|in|for|on|by|with|via|through|and|as|that|propose|proposes"
    r"|introduce|introduces|present|presents|develop|develops|called|named|dubbed|termed) )$",
    re.IGNORECASE,
)
"""What may stand before a thing that is itself meant, not a special kind of it ('Deep X')."""
_AMIDST, _PRAISED_AND_EXPLAINED, _PRAISED = 0.7, 0.7, 0.4
_BESIDE, _SPELLED, _OF_A_SPECIAL_KIND, _OF_ITS_LETTERS = 0.6, 0.5, 0.2, 0.5
"""How plain a definition is within a sentence, of something praised with and without saying how it
works; as an apposition; with what it is short for; and of something that only bears the name."""


def asks_what_is_proposed(question: str) -> bool:
    """Whether a question asks what somebody proposes or what something does."""
    return _PROPOSED.search(question) is not None and len(question.split()) <= _LONGEST


# Every sentence of the papers that are looked through is held against the same question.
@lru_cache(maxsize=32)
def thing_defined(question: str) -> str | None:
    """What a question wants to be told the meaning of ('What is X?'), or None."""
    text = " ".join(question.split())
    if _OF_ANOTHER.search(text) or len(text.split()) > _LONGEST:
        return None
    match = _DEFINED.match(text)
    return (match["thing"] or match["before"]).strip() if match else None


def defines(sentence: str, question: str) -> bool:
    """Whether a sentence says what the thing asked for is ('Speculative decoding is a ...')."""
    return how_plainly(sentence, question) > 0.0


def how_plainly(sentence: str, question: str) -> float:
    """How plainly a sentence says what the thing asked for is: 0, not at all, to 1.

    'X is a method that ...' says it, 'X has become an important challenge' hardly does, and 'Deep
    X, a method ...' speaks of something else. The values are chosen, not fitted.
    """
    if _PROPOSED.search(question):
        return float(_PROPOSES.search(sentence) is not None)
    thing = thing_defined(question)
    if thing is None:
        return 0.0
    # 'coverage in repeated sampling': the sampling may be known.
    head = re.split(r"\s(?:in|for|within)\s", thing)[0]
    plain = max(_plainness(sentence, name) for name in {thing, head})
    if not _STANDS_FOR.search(question):
        return plain
    return 1.0 if _spells_out(sentence, thing) else _OF_ITS_LETTERS * plain


def tells_of(sentence: str, question: str) -> bool:
    """Whether a sentence begins with the thing asked for, or gives it a short form: less than that
    it says what the thing is, more than that it uses the word."""
    thing = thing_defined(question) or ""
    form = _form(re.split(r"\s(?:in|for|within)\s", thing)[0])
    return bool(
        re.search(rf"^(?:[\w ]+, )?{form}|{form} \(|, {form}[.,;]", sentence, re.IGNORECASE)
    )


def _form(thing: str) -> str:
    """A pattern of a thing in singular or plural."""
    words = [re.escape(word) for word in re.split(r"[\s-]+", thing)]
    words[-1] = words[-1].removesuffix("s")
    return r"(?<!\w)" + r"[\s-]".join(words) + r"(?:s|es)?(?![\w-])"


def _plainness(sentence: str, thing: str) -> float:
    if not re.search(_form(thing), sentence, re.IGNORECASE):
        return 0.0
    # Only what has a name of its own is introduced by it, or stands for something longer.
    named = any(letter.isupper() or letter.isdigit() for letter in thing)
    form = rf"{_form(thing)}(?: \([^)]*\))?(?:, [^,]{{3,40}},)?"
    if named and _spells_out(sentence, thing):
        form = rf"(?:{form}|\b\w[\w-]{{0,40}}(?: [\w-]{{1,40}}){{0,6}} \({_form(thing)}\))"
    for opening, share in _OPENINGS:
        for saying, worth in _SAYINGS:
            said = re.search(rf"{opening}(?P<form>{form}){saying}", sentence, re.IGNORECASE)
            if said is None or (share != 1.0 and worth < 1.0):
                continue
            plain = worth * (share or _amidst(sentence[: said.start("form")]))
            praise = _PRAISE.match(sentence, said.end())
            if praise is None:
                return plain
            explained = _GOES_ON.search(sentence, praise.end())
            return plain * (_PRAISED_AND_EXPLAINED if explained else _PRAISED)
    name = re.escape(thing)
    if named and re.search(rf"(?:{_INTRODUCED}){name}(?![\w+-])", sentence, re.IGNORECASE):
        return 1.0
    beside = rf"{form}(?:, (?:an?|whereby)| [-–—] (?:an?|the)) |: {form}"
    if said := re.search(beside, sentence, re.IGNORECASE):
        if said.group().startswith(":") or _STANDS_ALONE.search(sentence[: said.start()]):
            return _BESIDE
        return _OF_A_SPECIAL_KIND
    return _SPELLED if named and _spells_out(sentence, thing) else 0.0


def _spells_out(sentence: str, thing: str) -> bool:
    """Whether a sentence has the thing in brackets, behind what it is short for."""
    return re.search(rf"\w \({re.escape(thing)}s?\)", sentence, re.IGNORECASE) is not None


def _amidst(before: str) -> float:
    """How plain a statement within a sentence is by what stands before its subject."""
    return _AMIDST if _STANDS_ALONE.search(before) else _OF_A_SPECIAL_KIND
