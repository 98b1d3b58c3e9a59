"""Words of a question that its writer mistyped: no paper has them, but one a letter away."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from string import ascii_lowercase

from citewise.library.embedding import packaged_encoder
from citewise.library.library import Library

_WORD = re.compile(r"(?<![\w'’.-])[a-z]{4,24}(?![\w'’-]|\.\w)")
"""In lower case alone: what has capitals or digits may be a name."""
_SHORTEST = 5
"""Letters of a word that may be taken for another of the papers."""
_ASKING = frozenset(
    "which where while about between their there these those papers paper studies study without"
    " compare describe explain overview method methods approach approaches".split()
)
"""Words of questions, which may be meant by shorter ones."""
_FORMS = frozenset("what when does have with that this than from into more most less list".split())
"""Shorter ones, of which nothing is said either."""
_STRAY = 5_000
"""Papers of a library to each that may have a mistyped word themselves."""
_LEAST = 3
"""Papers that must have the word that is meant,"""
_TIMES = 100
"""and so many times as many as have what was typed."""
_READ = 10
"""Papers in which the word that is meant is looked for."""
_BESIDE = 0.5
"""Share of the question's other words that one of these must have beside it."""


def respelled(question: str, library: Library) -> tuple[str, tuple[str, ...]]:
    """The question with mistyped words replaced, and a note on each.

    A word is mistyped that next to no paper has and that is no word of the encoder's vocabulary,
    where one that differs by a letter (missing, added, another, or two that changed places; never
    the first) stands in papers that hold the rest of the question.
    """
    notes = []
    for word in dict.fromkeys(_WORD.findall(question)):
        meant = None if word in _ASKING | _FORMS else _meant(word, question, library)
        if meant is not None:
            question = _with(question, word, meant)
            notes.append(f"Searched for '{meant}': '{word}' looks mistyped.")
    return question, tuple(notes)


def _with(question: str, word: str, other: str) -> str:
    return _WORD.sub(lambda match: other if match[0] == word else match[0], question)


def _meant(word: str, question: str, library: Library) -> str | None:
    held = _papers_with({word}, library).get(word)
    if held is None or held > len(library) // _STRAY:
        return None
    if in_vocabulary(word):
        return None
    near = set(_one_letter_away(word))
    if asking := near & _ASKING:
        return min(asking)
    if len(word) < _SHORTEST:
        return None
    papers = _papers_with(near, library)
    most = max(papers.values(), default=0)
    if most < max(_LEAST, _TIMES * held):
        return None
    forms = sorted(other for other, count in papers.items() if count == most)
    return _as_written(forms, _with(question, word, forms[0]), library)


def _as_written(forms: list[str], question: str, library: Library) -> str | None:
    """The form of a word that papers write which hold the rest of the question too, if any do."""
    (meant,) = library.terms(forms[0])
    words = [word for word in re.findall(r"\w+", question.lower()) if word not in _ASKING | _FORMS]
    papers = _papers_with(set(words), library)
    # Another mistyped word is no reason against this one.
    known = [word for word in papers if papers[word] or in_vocabulary(word)]
    others = {library.terms(word)[0] for word in known} - {meant}
    written: Counter[str] = Counter()
    for hit in library.find(question, _READ).hits:
        text = f"{hit.paper.title} {hit.paper.abstract}"
        held = set(library.terms(text))
        if meant in held and len(others & held) >= _BESIDE * len(others):
            written.update(re.findall(r"[a-z]+", text.lower()))
    best = max(forms, key=lambda form: written[form])
    return best if written[best] else None


def in_vocabulary(word: str) -> bool:
    """Whether the encoder knows a word as a whole, as it does most everyday words."""
    return packaged_encoder().count_tokens([word]) == [1]


def _papers_with(words: set[str], library: Library) -> dict[str, int]:
    """How many papers have each word in some form; stop words are left out."""
    stems = {word: terms[0] for word in words if (terms := library.terms(word))}
    counts = library.document_frequencies(list(dict.fromkeys(stems.values())))
    return {word: counts[stem] for word, stem in stems.items()}


def _one_letter_away(word: str) -> Iterator[str]:
    for at in range(1, len(word) + 1):
        begin, end = word[:at], word[at:]
        yield from (f"{begin}{letter}{end}" for letter in ascii_lowercase)
        if end:
            yield begin + end[1:]
            yield from (f"{begin}{letter}{end[1:]}" for letter in ascii_lowercase)
        if len(end) > 1:
            yield f"{begin}{end[1]}{end[0]}{end[2:]}"
