"""What becomes of a model's sentences that their citations do not back.

They are sent back once, all together, with what the checker found. A new sentence takes the old
one's place only if the checker thinks better of it. What still nothing backs is dropped, and the
notes say how many and why; what is backed in part, or cites nothing, stays and stays marked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from citewise.answering.citations import CitedText
from citewise.backends.base import Failing
from citewise.backends.extractive import standing_alone
from citewise.types import Evidence, Sentence, SentenceReady, Verdict, short_name

_RANK = {Verdict.SUPPORTED: 3, Verdict.PARTLY: 2, Verdict.UNCITED: 1, Verdict.UNSUPPORTED: 0}
_LABEL = re.compile(r"^\W*S\s?(\d{1,3})\W*?[:.)–-]+[\s*_]*(.*)$", re.IGNORECASE)
_DROP = re.compile(r"^\W*drop\b\W*$", re.IGNORECASE)
_LEAD = re.compile(r"^\s*(?:[-*•]\s+|#{1,6}\s+|>\s*)+")
_SHOWN_MARK = re.compile(r" ?\[(\d+)\]")
_REASONS = 3
_REASON_CHARS = 160


@dataclass(frozen=True, slots=True)
class Revised:
    """An answer after its failing sentences were mended or dropped."""

    cited: CitedText
    notes: tuple[str, ...]
    """What was done, for people."""


@dataclass(slots=True)
class _Piece:
    """A piece of the draft with the evidence numbers that its writer used."""

    text: str
    sentence: Sentence | None
    gone: bool = False

    @property
    def ends_line(self) -> bool:
        return self.text.endswith("\n")

    @property
    def is_row(self) -> bool:
        return self.sentence is not None and self.text.lstrip().startswith("|")


class Draft:
    """A model's answer as it was shown, in pieces, so that single sentences can be changed."""

    def __init__(
        self, evidence: Sequence[Evidence], shown: Sequence[SentenceReady], cited: CitedText
    ) -> None:
        """``shown``: all that ``cited`` gave for this answer."""
        self._evidence = tuple(evidence)
        self._cited = cited
        numbers = {(item.paper.id, item.span): item.n for item in evidence}
        self._offered = {
            (citation.n, place): numbers[citation.paper.id, span]
            for citation in cited.citations
            for place, span in enumerate(citation.spans)
        }
        self._pieces = [self._as_written(ready) for ready in shown]
        self._failing = [
            piece
            for piece in self._pieces
            if piece.sentence is not None and piece.sentence.verdict is not Verdict.SUPPORTED
        ]

    @property
    def failing(self) -> tuple[Failing, ...]:
        """The sentences to be rewritten, in order."""
        return tuple(
            Failing(piece.text.strip(), piece.sentence.verdict, piece.sentence.reasons)
            for piece in self._failing
            if piece.sentence is not None
        )

    def revised(self, reply: str = "") -> Revised:
        """The answer with the sentences of ``reply`` (see ``Reviser``), checked again."""
        if not self._failing:
            return Revised(self._cited, ())
        replies = replies_by_place(reply, len(self._failing))
        mended = withdrawn = 0
        reasons: list[str] = []
        for place, piece in enumerate(self._failing, 1):
            assert piece.sentence is not None
            new = replies.get(place)
            if new is None and place in replies:
                withdrawn += 1
                piece.gone = True
            elif new is not None and self._is_better(new, piece):
                mended += 1
                piece.text = new + piece.text[len(piece.text.rstrip()) :]
            elif piece.sentence.verdict is Verdict.UNSUPPORTED:
                reasons += piece.sentence.reasons[:1] or ("nothing it cites says it",)
                piece.gone = True
        cited = CitedText(self._evidence)
        for _ in cited.feed("".join(self._remaining())):
            pass
        for _ in cited.finish():
            pass
        # What the draft cited out of the air is gone from the new text, but was written.
        cited.invented = [*self._cited.invented, *cited.invented]
        return Revised(cited, tuple(_notes(mended, withdrawn, reasons)))

    def _as_written(self, ready: SentenceReady) -> _Piece:
        """The piece with evidence numbers in place of citation numbers."""
        sentence = ready.sentence
        if sentence is None:
            return _Piece(ready.text, None)
        found: dict[int, list[int]] = {}
        for number, place in sentence.spans:
            found.setdefault(number, []).append(self._offered[number, place])
        if ready.text.lstrip().startswith("|"):
            return _Piece(
                _SHOWN_MARK.sub(lambda match: _marks(found.get(int(match[1]), ())), ready.text),
                sentence,
            )
        body = ready.text.rstrip()
        gap = ready.text[len(body) :]
        body = body.removesuffix("".join(f" [{n}]" for n in sentence.citations))
        return _Piece(body + _marks([n for ns in found.values() for n in ns]) + gap, sentence)

    def _is_better(self, new: str, piece: _Piece) -> bool:
        """Whether the checker thinks better of a new text than of the old sentence."""
        assert piece.sentence is not None
        if new.startswith("|") is not piece.is_row:
            return False
        old = (_RANK[piece.sentence.verdict], piece.sentence.support)
        judged = self._judged(new, row=piece.is_row)
        # To leave out the citation is no improvement.
        return judged > old and judged[0] >= _RANK[Verdict.PARTLY]

    def _judged(self, text: str, *, row: bool = False) -> tuple[int, float]:
        """Rank and support of the worst sentence of a text."""
        cited = CitedText(self._evidence)
        # A row without a citation is only a row below the head of a table.
        head = "| |\n|---|\n| x [1] |\n" if row else ""
        for _ in cited.feed(head + text + "\n"):
            pass
        judged = [(_RANK[s.verdict], s.support) for s in cited.sentences[1 if row else 0 :]]
        return min(judged, default=(0, 0.0))

    def _remaining(self) -> Iterator[str]:
        """The text that stays: no list mark, title or table's head is left with nothing below."""
        lines = list(_lines(self._pieces))
        texts: list[str | None] = []
        for line in lines:
            said = [piece for piece in line if piece.sentence is not None]
            left = [piece for piece in said if not piece.gone]
            if said and not left:
                texts.append(None)
                continue
            text = "".join(
                self._led(piece, line[at - 1] if at else None)
                for at, piece in enumerate(line)
                if not piece.gone
            )
            texts.append(text.rstrip() + "\n" if line[-1].ends_line else text)
        heads = [not any(piece.sentence for piece in line) for line in lines]
        # From below: whether nothing but the next head or the end follows, and something was there.
        bare, lost = True, False
        for at in reversed(range(len(lines))):
            start = "".join(piece.text for piece in lines[at]).strip()
            below = (texts[at + 1] if at + 1 < len(texts) else None) or ""
            if texts[at] is None:
                lost = True
            elif start:
                ends = bare or (start.startswith("|") and not below.lstrip().startswith("|"))
                if heads[at] and ends and lost:
                    texts[at] = None
                else:
                    bare, lost = heads[at], False
        yield from (text for text in texts if text is not None)

    def _led(self, piece: _Piece, before: _Piece | None) -> str:
        """A sentence that leans on a dropped one ('It ...') is led by its paper's name."""
        sentence = piece.sentence
        if sentence is None or before is None or not before.gone or piece.is_row:
            return piece.text
        cited = {n: paper for n, paper in self._papers() if n in sentence.citations}
        if len(cited) != 1 or not standing_alone(piece.text)[1]:
            return piece.text
        [title] = cited.values()
        led = f"{short_name(title)}: {piece.text[:1].lower()}{piece.text[1:]}"
        return led if self._judged(led)[0] >= self._judged(piece.text)[0] else piece.text

    def _papers(self) -> list[tuple[int, str]]:
        return [(citation.n, citation.paper.title) for citation in self._cited.citations]


def replies_by_place(reply: str, failing: int) -> Mapping[int, str | None]:
    """The new sentences of a reply by the place of the old ones, from 1; None for a dropped one.

    One line each, ``S1: text``; without a label only where one sentence alone was sent. Lines that
    fit nothing are left out.
    """
    found: dict[int, str | None] = {}
    for line in reply.splitlines():
        match = _LABEL.match(line)
        if match is None:
            if failing == 1 and line.strip():
                found.setdefault(1, _sentence_in(line))
            continue
        place = int(match[1])
        if 1 <= place <= failing and match[2].strip():
            found.setdefault(place, _sentence_in(match[2]))
    return found


def _sentence_in(line: str) -> str | None:
    return None if _DROP.match(line) else _LEAD.sub("", line).strip() or None


def _marks(numbers: Sequence[int]) -> str:
    return "".join(f" [{n}]" for n in dict.fromkeys(numbers))


def _lines(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    line: list[_Piece] = []
    for piece in pieces:
        line.append(piece)
        if piece.ends_line:
            yield line
            line = []
    if line:
        yield line


def _notes(mended: int, withdrawn: int, reasons: Sequence[str]) -> Iterator[str]:
    if mended:
        yield (
            f"{_sentences(mended)} rewritten once: what was written first was not what the cited "
            "words say."
        )
    if withdrawn:
        yield f"{_sentences(withdrawn)} taken back by the model, for no paper found says it."
    if reasons:
        told = [
            reason if len(reason) <= _REASON_CHARS else reason[: _REASON_CHARS - 1] + "…"
            for reason, _ in Counter(reasons).most_common(_REASONS)
        ]
        yield f"{_sentences(len(reasons))} dropped: not backed by the papers ({'; '.join(told)})."


def _sentences(count: int) -> str:
    return "1 sentence was" if count == 1 else f"{count} sentences were"
