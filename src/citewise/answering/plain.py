"""An answer where no page shows its marks: doubtful sentences say so in their own words."""

from __future__ import annotations

import re

from citewise.types import Answer, Sentence, Verdict


def doubt(sentence: Sentence) -> str:
    """What to say behind a sentence that is not fully backed; '' for one that is."""
    if sentence.verdict is Verdict.SUPPORTED:
        return ""
    reasons = f": {'; '.join(sentence.reasons)}" if sentence.reasons else ""
    return f" (?{sentence.verdict.value}{reasons})"


def spoken(text: str, sentence: Sentence | None) -> str:
    """A piece of an answer as it streams, its doubt before the white space that ends it."""
    said = doubt(sentence) if sentence is not None else ""
    body = text.rstrip()
    return f"{body}{said}{text[len(body) :]}" if said else text


def marked(answer: Answer) -> str:
    """The whole text of an answer with its doubts, as they stand while it streams."""
    text = answer.text
    for sentence in answer.sentences:
        if said := doubt(sentence):
            place = re.search(re.escape(sentence.text) + r"(?: \[\d+\])*", text)
            end = place.end() if place else len(text)
            text = text[:end] + said + text[end:]
    return text
