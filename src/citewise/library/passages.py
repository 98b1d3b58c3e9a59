"""Sentences and passages of an abstract, as exact offsets into it.

Sentence boundaries are found by rule, not by a library: on the sample papers pysbd breaks
enumerations ("namely: 1) ...") into fragments and takes 8 ms an abstract, syntok misses a boundary
after a number ("to 2.58x. Our results"), and llama-index's SentenceSplitter needs nltk, which
refuses hard-linked files, and finds offsets by looking for a chunk's text afterwards, which is not
unique. A quotation must start and end where its sentence does, so this is ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

PASSAGE_RULE = "sentences-256-v2"
"""Part of a library's fingerprint: changes whenever the same abstract would be cut differently."""

Offsets = tuple[int, int]

# The look behind each run of marks keeps a text of nothing but dots from taking quadratic time.
_BOUNDARY = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’)\]}]{0,3}(\s++)(?=\S)"
    r"|(?<![。！？])[。！？]++[」』”’）]{0,3}(\s*+)(?=\S)"
    # A lost space ("... framework.To tackle this"), told from names such as "Open.Intel".
    r"|(?<=[a-z]{3})\.()(?=[A-Z][A-Za-z]* [a-z])"
)
_MARK = re.compile(r"[.!?…。！？]")
"""What every boundary begins with: looking for it alone is several times as fast."""
_STARTERS = frozenset(
    "The We This These Our In It Its However To For By Moreover Furthermore Finally Then Thus"
    " Experiments Extensive As On With While When A An".split()
)
_NO_END = frozenset(
    "e.g i.e cf vs fig figs eq eqs eqn sec secs ref refs tab approx resp al v.s dr mr mrs ms"
    " prof st no nos vol ca viz incl w.r.t a.k.a u.s u.k et inc ltd dept univ".split()
)
_LIST_MARK = re.compile(r"\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})\)?\.")
_LONGEST_LIST_MARK = 7
_OPENERS = "\"'“‘([{$\\<`"


def _ends_sentence(text: str, mark: int, following: int) -> bool:
    """Whether the punctuation at ``mark`` ends a sentence that goes on at ``following``."""
    if text[mark] in "!?…。！？":
        return text[following] not in ",;:" and not text[following].islower()
    word_start = text.rfind(" ", 0, mark) + 1
    if text[word_start:mark].split() != [text[word_start:mark]]:
        # Other white space than a blank.
        word_start = mark
        while word_start > 0 and not text[word_start - 1].isspace():
            word_start -= 1
    word = text[word_start:mark].lstrip(_OPENERS)
    next_char = text[following]
    if next_char in ",;:)]}":
        return False
    lowered = word.lower()
    if lowered in _NO_END:
        return False
    if lowered == "etc":
        return next_char.isupper()
    if len(word) == 1 and word.isalpha() and word.isupper():
        if re.search(r"\d\s?$", text[:word_start][-8:]):
            # A unit: "under 10 W. FastDepth achieves".
            return True
        # An initial ("J. Smith"), unless a sentence plainly starts ("of length L. The ...").
        return text[following : following + 20].split(maxsplit=1)[0] in _STARTERS
    if next_char in "-–•" and text[following + 1 : following + 2].isspace():
        return True
    if next_char.isupper() or next_char.isdigit() or next_char in _OPENERS:
        return True
    # A name written in lower case may open a sentence: "... dozens. nn-JIT.web is evaluated".
    rest = text[following : following + 40].split(maxsplit=1)[0]
    return any(c.isupper() for c in rest) or ord(next_char) > 127


def sentence_spans(text: str) -> list[Offsets]:
    """Sentences of ``text`` as half-open offsets, in order, without surrounding white space.

    Every character that is not white space belongs to exactly one sentence.
    """
    spans: list[Offsets] = []
    start = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    behind = 0
    for mark in _MARK.finditer(text):
        if mark.start() < behind:
            continue
        match = _BOUNDARY.match(text, mark.start())
        if match is None:
            continue
        following = behind = match.end()
        if following >= end:
            break
        gap = match.start(match.lastindex or 1)
        if gap - start <= _LONGEST_LIST_MARK and _LIST_MARK.fullmatch(text, start, gap):
            continue
        if _ends_sentence(text, match.start(), following):
            spans.append((start, gap))
            start = following
    if start < end:
        spans.append((start, end))
    return spans


def _pieces(
    text: str, span: Offsets, limit: int, count: Callable[[Sequence[str]], list[int]]
) -> list[Offsets]:
    """Cut one overlong sentence at white space into pieces of at most ``limit`` tokens."""
    start, end = span
    if count([text[start:end]])[0] <= limit:
        return [span]
    middle = (start + end) // 2
    cut = text.rfind(" ", start + 1, middle)
    if cut <= start:
        cut = text.find(" ", middle, end)
    if cut <= start:
        cut = middle
    left_end = cut
    right_start = cut + 1 if text[cut] == " " else cut
    if left_end - start < 1 or end - right_start < 1:
        return [span]
    return [
        *_pieces(text, (start, left_end), limit, count),
        *_pieces(text, (right_start, end), limit, count),
    ]


def passage_spans(
    text: str,
    sentences: Sequence[Offsets],
    limit: int,
    count: Callable[[Sequence[str]], list[int]],
) -> list[Offsets]:
    """Passages of whole sentences, each of at most ``limit`` tokens, as even as they come.

    ``count`` gives the tokens of each text. An abstract that fits is one passage. Nothing of the
    text is left out; a sentence longer than the limit is cut at white space.
    """
    units: list[Offsets] = []
    for span in sentences:
        # A character is rarely more than a token, so short sentences need no count of their own.
        units.extend([span] if span[1] - span[0] <= limit else _pieces(text, span, limit, count))
    if not units:
        return []
    sizes = count([text[start:end] for start, end in units])
    total = sum(sizes)
    # Marks that the model ignores have no tokens.
    wanted = max(1, -(-total // limit))
    target = total / wanted
    spans: list[Offsets] = []
    longest: list[int] = []
    first, filled = 0, 0
    for position, size in enumerate(sizes):
        over = filled + size > limit
        even = filled > 0 and filled + size / 2 > target and len(spans) < wanted - 1
        if filled and (over or even):
            spans.append((units[first][0], units[position - 1][1]))
            longest.append(filled)
            first, filled = position, 0
        filled += size
    spans.append((units[first][0], units[-1][1]))
    longest.append(filled)
    if any(not text[end:start].isspace() for (_, end), (start, _) in pairwise(units)):
        # Texts joined without a blank may have more than the sum of theirs.
        longest = count([text[start:end] for start, end in spans])
    return [
        piece
        for span, size in zip(spans, longest, strict=True)
        for piece in ([span] if size <= limit else _pieces(text, span, limit, count))
    ]
