"""What a question wants to have defined, and whether a sentence says what that is."""

from __future__ import annotations

import re

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


def asks_what_is_proposed(question: str) -> bool:
    """Whether a question asks what somebody proposes or what something does."""
    return _PROPOSED.search(question) is not None and len(question.split()) <= _LONGEST


def thing_defined(question: str) -> str | None:
    """What a question wants to be told the meaning of ('What is X?'), or None."""
    text = " ".join(question.split())
    if _OF_ANOTHER.search(text) or len(text.split()) > _LONGEST:
        return None
    match = _DEFINED.match(text)
    return (match["thing"] or match["before"]).strip() if match else None


def defines(sentence: str, question: str) -> bool:
    """Whether a sentence says what the thing asked for is ('Speculative decoding is a ...')."""
    if _PROPOSED.search(question):
        return _PROPOSES.search(sentence) is not None
    thing = thing_defined(question)
    if thing is None:
        return False
    # 'coverage in repeated sampling': the sampling may be known.
    head = re.split(r"\s(?:in|for|within)\s", thing)[0]
    return any(_says_what_it_is(sentence, name) for name in dict.fromkeys((thing, head)))


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


def _says_what_it_is(sentence: str, thing: str) -> bool:
    form = rf"{_form(thing)}(?: \([^)]*\))?(?:, [^,]{{3,40}},)?"
    said = (
        rf"{form},? (?:(?:is|are|(?:has|have) (?:emerged as|become)) (?:a|an|the|one)|refers? to"
        r"|denotes?|means|aims? to|consists? of|comprises?)\b"
        rf"|{form} are (?!\w+(?:ed|ing|ly) |not |also )(?:[\w-]+ ){{1,4}}"
        r"(?:that|which|derived|of)\b"
        rf"|{form}(?:, (?:an?|whereby)| [-–—] (?:an?|the)) |: {form}"
    )
    # Only what has a name of its own is introduced by it, or stands for something longer.
    name = re.escape(thing)
    introduced = (
        r"\b(?:introduc|present|propos|develop|describ|releas|design)\w* "
        r"(?!(?:using|with|by|for|to|in|on|through) )(?:[\w-]+,? ){0,2}?"
        rf"{name}(?![\w-])|\b(?:termed|called|dubbed|named|namely|designated),? (?:as )?{name}"
        r"(?![\w-])"
        rf"|\w \({name}s?\)"
    )
    named = any(letter.isupper() or letter.isdigit() for letter in thing)
    found = re.search(said, sentence, re.IGNORECASE)
    return bool(found or (named and re.search(introduced, sentence, re.IGNORECASE)))
