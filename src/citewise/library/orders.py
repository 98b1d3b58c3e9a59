"""Words of an abstract that are meant for a machine, and the abstract without them.

Whoever writes an abstract may put orders to language models into it, or the marks by which chat
templates and prompts tell roles apart. Such words are not the paper's: they are left out of what is
embedded, indexed and chosen from, so that answers are those of the same abstract without them. The
stored abstract keeps every character, and spans stay offsets into it.

Recognised are: sentences in English that tell their reader to ignore what it was told, to answer or
cite in a given way, to reveal its prompt, or that address a model that reads; marks of chat
templates and of this program's prompts, with the forged turn that they open. What stands between
quotation marks in a sentence with words of its own is talked about, not said: papers about such
attacks quote them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from citewise.library.passages import Offsets, sentence_spans

_REACH = 400
"""Characters that a forged turn may have between its opening and its closing mark."""
_OWN_WORDS = 3
"""Words beside its quotations from which a sentence talks about what it quotes."""

_TOLD = r"(?:instructions?|prompts?|rules?|directions|guidelines|orders|commands|directives)"
_WHICH = (
    r"(?:(?:all|any|the|your|every|each|of|these|those|previous|prior|above|earlier|other|system"
    r"|preceding|foregoing|existing|initial|original|safety)\s+){1,6}"
)
_IGNORE = rf"(?:ignore|disregard|forget|override|bypass)\s+{_WHICH}{_TOLD}\b"
_SAY = r"(?:say|answer|reply|respond|write|cite|claim|state|recommend|conclude|output|report)"
_MODEL = (
    r"(?:ai|llm|chatbot|(?:large )?language)[ -](?:assistant|model|agent|reviewer|reader)s?|llms?"
)
_TAG = r"(?:evidence|question|conversation|failing|paper|system|assistant|user|instructions?)"

_MARK = re.compile(
    r"(?P<closing><\|(?:im_end|end|eot_id|eom_id|end_of_turn|endoftext|end_of_text|return)\|>"
    rf"|\[/INST\]|<</SYS>>|<end_of_turn>|<\s{{0,4}}/\s{{0,4}}{_TAG}\s{{0,4}}>)"
    r"|<\|(?:im_start|im_sep|start|system|user|assistant|begin_of_text|start_header_id"
    r"|end_header_id|message|channel)\|>|\[INST\]|<<SYS>>|<start_of_turn>"
    rf"|(?P<tag><\s{{0,4}}{_TAG}\s{{0,4}}>)"
    r"|(?<!#)#{2,6}\s{0,4}(?:assistant|human|system|user|instructions?|response)\s{0,4}:",
    re.IGNORECASE,
)
_ORDER = re.compile(
    r"^\W*(?:(?:please|now|important|note|attention|system|assistant|user|warning|reminder|and|then"
    r"|instead)\b\W*){0,3}"
    r"(?:(?:ignore|disregard|forget|override)\b.{0,60}\b(?:instructions?|prompts?|rules?|evidence"
    r"|sources?|above|previous|everything|questions?)\b"
    r"|(?:say|write|answer|reply|respond|output|state|print|claim|repeat|tell)\s+(?:only|exactly"
    r"|just|that|with|the (?:word|following)|nothing|the (?:user|reader))"
    r"|(?:always |only )?(?:cite|quote|recommend|mention)\s+(?:only|this|exclusively|nothing)\b"
    r"|(?:give|write|provide)\s+(?:me\s+|us\s+)?(?:an?|only)\s+(?:\w+ )?(?:positive|favou?rable)"
    r"\s+(?:review|assessment|evaluation|rating)s?\b"
    r"|do not\s+(?:highlight|mention|reveal|cite|tell|say|answer)\b"
    rf"|(?:new|updated|additional)\s+(?:system\s+)?{_TOLD}\s*:"
    rf"|from now on\b.{{0,30}}\b(?:you|{_SAY})\b"
    rf"|(?:(?:for|to|dear|all|any|the|if you are an?)\s+){{0,3}}(?:{_MODEL})\s*[:,]\s*(?:you|please"
    rf"|{_SAY}|ignore|give)\b)"
    rf"|[,;:.!]\s*(?:please )?{_IGNORE}"
    rf"|\byou\s+(?:are\s+now|must\s+now|must\s+(?:always\s+|only\s+)?{_SAY})\b"
    r"|(?:^|[;:.!]|\band)\W{0,4}(?:please )?(?:reveal|print|output|repeat|leak|show)\s+your\s+"
    r"(?:\w+ )?(?:prompts?|instructions|rules|keys?)\b"
    r"|\b(?:ai|language) (?:assistants?|models?) (?:reading|reviewing|summari[sz]ing) (?:this|it)\b"
    r"|\bwhen (?:you are )?(?:asked|summari[sz]ing|answering)\b[^.]{0,60}[,:]\s*"
    rf"(?:please |always )?{_SAY} (?:that|with|only)\b"
    rf"|\bin your (?:answer|response|reply|summary|review)s?\b[^.]{{0,40}}\b{_SAY}\b",
    re.IGNORECASE | re.DOTALL,
)
# What marks and orders have something of. Nearly all abstracts end here, in a fiftieth of the time
# that the patterns above would take.
_MARKED = ("<", "##", "inst]")
_DROPS = ("ignore ", "disregard ", "forget ", "override ", "bypass ")
_SPOKEN_TO = (" you ", "your ")
_STARTS = frozenset(
    "please now important note attention system assistant user warning reminder then instead ignore"
    " disregard forget override say write answer reply respond output state print claim repeat tell"
    " always only cite quote recommend mention give provide do updated additional new from reveal"
    " show leak when llm llms ai chatbot chatbots dear".split()
)
_LEADS = frozenset("for to all any the if".split())
_DROPPED = re.compile(_IGNORE)
_ADDRESSED = re.compile(
    rf"\W*+(?:(?:for|to|dear|all|any|the|if you are an?)\s+){{0,3}}(?:{_MODEL})\s*[:,]",
    re.IGNORECASE,
)
_AROUND = "\"'([{*#-:,.!>“‘"
_BEGINS = re.compile(
    rf"(?<!\s)\s++(?=(?:please )?{_IGNORE}|(?:system|assistant)\s*:\s*you\b"
    rf"|(?:important )?(?:note|message) (?:to|for) (?:the |any |all )?(?:{_MODEL})\b"
    rf"|when (?:you are )?asked\b[^.]{{0,60}}[,:]\s*(?:please |always )?{_SAY} (?:that|with)\b)",
    re.IGNORECASE,
)
_ENDED = re.compile(r"[.!?…。！？][\"'”’)\]}>]{0,3}$")
_QUOTED = re.compile(
    r"\"[^\"]{1,200}\"|“[^”]{1,200}”|``[^`']{1,200}''|‘[^’]{1,200}’|«[^»]{1,200}»"
    r"|(?<!\w)'[^']{1,200}'(?!\w)|(?<!`)`[^`]{1,200}`(?!`)"
)
_WORD = re.compile(r"\w+")


def tells_a_model(text: str) -> bool:
    """Whether a text of a paper holds words that are meant for the machine that reads it.

    They have their own wishes in them word for word ('say that X is best'), so that a model which
    obeys could cite them.
    """
    return bool(order_spans(text))


def order_spans(text: str) -> list[Offsets]:
    """The stretches of a text that are meant for a machine, in order."""
    return _found(text) if _may_hold(text, sentence_spans(text)) else []


def _found(text: str) -> list[Offsets]:
    kept = _Kept(text)
    for start, end in _forged(kept.said):
        kept.leave_out(start, end)
    kept = kept.closed()
    found = [
        (start, end)
        for start, end in _cut(kept.said)
        # A sentence that is blank now is a quotation of another one.
        if _ORDER.search(kept.said[start:end].lstrip())
    ]
    for start, end in found:
        kept.leave_out(start, end)
    return kept.left_out()


def paper_sentences(text: str) -> list[Offsets]:
    """The sentences of a text that are its paper's own, as half-open offsets, in order.

    Those of ``sentence_spans`` unless the text holds words that are meant for a machine. Without
    them the sentences are those that the text would have if they had never been there. A sentence
    that has such words in its midst is left out whole. All sentences when no other is left.
    """
    sentences = sentence_spans(text)
    orders = _found(text) if _may_hold(text, sentences) else []
    if not orders:
        return sentences
    kept = _Kept(text)
    for start, end in orders:
        kept.leave_out(start, end)
    kept = kept.closed()
    spans: list[Offsets] = []
    for start, end in sentence_spans(kept.text):
        pieces = kept.pieces(start, end)
        if all(_ENDED.search(text[first:last]) for first, last in pieces[:-1]):
            spans += pieces
    return spans or sentences


def without_orders(text: str) -> str:
    """A text without the words that are meant for a machine; mostly the same object."""
    return joined(text, paper_sentences(text))[0]


def joined(text: str, sentences: Sequence[Offsets]) -> tuple[str, Sequence[Offsets]]:
    """The text of just these sentences, and their offsets in it.

    The same objects where the sentences are all there is.
    """
    gaps = zip(
        (0, *(end for _, end in sentences)), (*(s for s, _ in sentences), len(text)), strict=True
    )
    if not any(text[end:start].strip() for end, start in gaps):
        return text, sentences
    pieces: list[str] = []
    places: list[Offsets] = []
    length = before = 0
    for start, end in sentences:
        gap = text[before:start]
        if gap.strip():
            # A sentence that was cut where no blank stood is not torn any further.
            gap = " " if gap[0].isspace() or gap[-1].isspace() else ""
        gap = gap if places else ""
        pieces += (gap, text[start:end])
        length += len(gap)
        places.append((length, length + end - start))
        length += end - start
        before = end
    return "".join(pieces), places


class _Kept:
    """A text of which some is left out, with the way back to where its characters stood."""

    def __init__(self, text: str, origin: Sequence[int] | None = None, whole: str = "") -> None:
        self.text = text
        self.said = _without_quotations(text)
        """The text with blanks for what it quotes."""
        self._whole = whole or text
        self._origin = range(len(text)) if origin is None else origin
        self._gone = bytearray(len(text))

    def leave_out(self, start: int, end: int) -> None:
        self._gone[start:end] = b"\1" * (end - start)

    def closed(self) -> _Kept:
        """What is left, with one of the two gaps around what was left out."""
        if not any(self._gone):
            return self
        at = 0
        places: list[int] = []
        while at < len(self.text):
            if not self._gone[at]:
                places.append(at)
                at += 1
                continue
            while at < len(self.text) and self._gone[at]:
                at += 1
            if not places or self.text[places[-1]].isspace():
                while at < len(self.text) and self.text[at].isspace():
                    at += 1
        return _Kept(
            "".join(self.text[at] for at in places),
            [self._origin[at] for at in places],
            self._whole,
        )

    def left_out(self) -> list[Offsets]:
        """What is not there, as offsets into the first text."""
        there = bytearray(len(self._whole))
        for at, place in enumerate(self._origin):
            there[place] = not self._gone[at]
        spans: list[Offsets] = []
        for run in re.finditer(rb"\0+", there):
            stretch = self._whole[run.start() : run.end()]
            start = run.start() + len(stretch) - len(stretch.lstrip())
            end = run.end() - len(stretch) + len(stretch.rstrip())
            if start < end:
                spans.append((start, end))
        return spans

    def pieces(self, start: int, end: int) -> list[Offsets]:
        """Where a stretch of this text stands in the first one: more than one place where some of
        it was left out."""
        places = self._origin[start:end]
        cuts = [n for n in range(1, len(places)) if places[n] != places[n - 1] + 1]
        found = []
        for first, last in zip((0, *cuts), (*cuts, len(places)), strict=True):
            piece = self._whole[places[first] : places[last - 1] + 1]
            begin = places[first] + len(piece) - len(piece.lstrip())
            if piece.strip():
                found.append((begin, begin + len(piece.strip())))
        return found


def _may_hold(text: str, sentences: Sequence[Offsets]) -> bool:
    """False where there can be no order and no mark; quick."""
    lowered = text.lower()
    for hint in _MARKED:
        if hint in lowered and _MARK.search(text):
            return True
    for hint in _DROPS:
        if hint in lowered and _DROPPED.search(lowered):
            return True
    if _SPOKEN_TO[0] in lowered or _SPOKEN_TO[1] in lowered:
        return any(_ORDER.search(text[start:end]) for start, end in sentences)
    for start, end in sentences:
        first = text[start : start + 20].lower().split(None, 1)[0].strip(_AROUND)
        looked_at = first in _STARTS or (first in _LEADS and _ADDRESSED.match(text, start))
        if looked_at and _ORDER.search(text[start:end]):
            return True
    return False


def _forged(said: str) -> list[Offsets]:
    """Marks of roles and delimiters, with the turns that they open.

    A mark within a sentence, without a turn of its own, is talked about ("the [INST] format").
    """
    marks = list(_MARK.finditer(said))
    spans: list[Offsets] = []
    at = 0
    while at < len(marks):
        first = last = at
        end, words = marks[at].end(), 0
        while last + 1 < len(marks):
            between = said[end : marks[last + 1].start()]
            turn = between.strip()
            if turn and (marks[last]["closing"] is not None or len(between) > _REACH):
                break
            words += len(_WORD.findall(turn))
            last += 1
            end = marks[last].end()
        at = last + 1
        begin = marks[first].start()
        before = said[max(0, begin - _REACH) : begin].rstrip()
        alike = _kind(marks[first][0]) == _kind(marks[last][0]) and words >= _OWN_WORDS
        if before and not alike and not _ENDED.search(before[-4:]):
            continue
        ends_nowhere = marks[last]["closing"] is None and not (marks[last]["tag"] and last > first)
        if ends_nowhere:
            # It has the sentence that it opens.
            sentence = next(iter(sentence_spans(said[end : end + 2 * _REACH])), (0, 0))
            end += sentence[1]
        spans.append((begin, end))
    return spans


def _kind(mark: str) -> str:
    return mark[:2] if mark.startswith(("<|", "<<")) else mark[0]


def _cut(said: str) -> list[Offsets]:
    """Sentences, cut as well where an order begins though none ended, or in lower case."""
    begins = [
        match
        for match in _BEGINS.finditer(said)
        if said[match.end()].isupper()
        or _ENDED.search(said[max(0, match.start() - 4) : match.start()])
    ]
    at = 0
    spans: list[Offsets] = []
    for start, end in sentence_spans(said):
        while at < len(begins) and begins[at].end() < end:
            if start < begins[at].start():
                spans.append((start, begins[at].start()))
                start = begins[at].end()
            at += 1
        spans.append((start, end))
    return spans


def _without_quotations(text: str) -> str:
    """The text with blanks for each quotation in a sentence that has words of its own."""
    quoted = [match.span() for match in _QUOTED.finditer(text)]
    if not quoted:
        return text
    sentences = sentence_spans(text)
    bare = _blanked(text, quoted)
    own = [0, *accumulate(len(_WORD.findall(bare, start, end)) for start, end in sentences)]
    first = last = 0
    talked_about = []
    for start, end in quoted:
        while first + 1 < len(sentences) and sentences[first][1] <= start:
            first += 1
        last = max(first, last)
        while last + 1 < len(sentences) and sentences[last][1] < end:
            last += 1
        if own[last + 1] - own[first] >= _OWN_WORDS:
            talked_about.append((start, end))
    return _blanked(text, talked_about)


def _blanked(text: str, spans: Sequence[Offsets]) -> str:
    """The text with blanks in place of what stands in the spans, which are in order."""
    pieces: list[str] = []
    before = 0
    for start, end in spans:
        pieces += (text[before:start], " " * (end - start))
        before = end
    return "".join((*pieces, text[before:]))
