"""From a writer's text with evidence numbers to checked sentences with citations.

A writer cites the numbers under which evidence was offered. Here its text is cut into sentences as
it comes, numbers that were never offered are dropped, the rest become citations of papers numbered
from 1 in the order in which they appear, and each sentence is checked against the very words it
cites. A writer's mistakes end here, whoever the writer is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from citewise.grounding.checker import check
from citewise.grounding.remarks import without_remarks
from citewise.library.passages import sentence_spans
from citewise.types import Citation, Evidence, Sentence, SentenceReady, Span, Verdict

MOST_CITATIONS = 3
"""Citations a sentence keeps, the first ones (as in ALCE, Gao et al. 2023, section 4.2)."""

_MARKER = re.compile(
    # "[0, 1]" is an interval: evidence is numbered from 1. From the first blank on and never back,
    # or a long run of blanks takes quadratic time.
    r"(?<![ \t])[ \t]*+[\[【](?:\^|#|citation:?\s*)?(?!0\s*[,;–-])"
    r"(\d{1,4}(?:\s*[,;–-]\s*\^?\d{1,4})*)[\]】]"
)
_RANGE = re.compile(r"(\d+)\s*[–-]\s*(\d+)")
_ITEM = re.compile(r"^(\s*(?:>\s*)*(?:[-*•+]|\d{1,2}[.)])\s+|\s*(?:>\s*)+)")
_HEADING = re.compile(r"^\s*#{1,6}\s+")
_RULE = re.compile(r"^\s*(?:-{3,}|\*{3,}|_{3,})\s*$|^[\s|:]*-[\s|:-]*$")
# A title may hold a star ('A*-decoding').
_BOLD_LEAD = re.compile(r"^\*\*((?:[^*\n]|\*(?!\*)){1,300})\*\*\s*(?:[—–:-]\s*)?")
_EMPHASIS = re.compile(r"\*\*|__|(?<!\w)[*_](?=\w)|(?<=\w)[*_](?!\w)|`")
_LEAD_IN_WORDS = 12


@dataclass(frozen=True, slots=True)
class _Marked:
    """A sentence and the evidence numbers in it."""

    text: str
    """Markdown without the markers."""
    numbers: tuple[int, ...]


def _numbers_in(marker: str) -> list[int]:
    """The numbers that one marker names, ranges written out."""
    numbers: list[int] = []
    for part in re.split(r"[,;]", marker.replace("^", "")):
        match = _RANGE.fullmatch(part.strip())
        if match and 0 <= int(match[2]) - int(match[1]) < 10:
            numbers += range(int(match[1]), int(match[2]) + 1)
        else:
            numbers += [int(number) for number in re.findall(r"\d+", part)]
    return numbers


def plain_text(markdown: str) -> str:
    """A sentence without emphasis marks, on one line."""
    return " ".join(_EMPHASIS.sub("", markdown).split())


class CitedText:
    """Takes a writer's text piece by piece and gives checked pieces of the answer."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        self._offered = {item.n: item for item in evidence}
        self._titles = {
            form.casefold()
            for item in evidence
            for form in (item.paper.heading, item.paper.heading.split(":", 1)[0].strip())
        }
        self._numbers: dict[str, int] = {}
        self._spans: dict[str, list[Span]] = {}
        self._buffer = ""
        self._inside_line = False
        self._inside_table = False
        self._shown: list[str] = []
        self.sentences: list[Sentence] = []
        self.invented: list[int] = []
        """Evidence numbers that were cited but never offered."""

    @property
    def citations(self) -> tuple[Citation, ...]:
        """The citations so far, by number."""
        papers = {item.paper.id: item.paper for item in self._offered.values()}
        return tuple(
            Citation(n, papers[paper_id], tuple(self._spans[paper_id]))
            for paper_id, n in self._numbers.items()
        )

    @property
    def text(self) -> str:
        """The answer so far, as Markdown."""
        return "".join(self._shown).strip()

    def notes(self) -> list[str]:
        """What a person should know about the writing."""
        notes = []
        if self.invented:
            numbers = ", ".join(f"[{n}]" for n in dict.fromkeys(self.invented))
            notes.append(f"{numbers} was cited but never offered as evidence, and was dropped.")
        doubtful = sum(sentence.verdict is not Verdict.SUPPORTED for sentence in self.sentences)
        if doubtful:
            notes.append(
                f"{doubtful} of {len(self.sentences)} sentences are not fully backed by the words "
                "they cite; they are marked."
            )
        return notes

    def feed(self, text: str) -> Iterator[SentenceReady]:
        """Take the next piece of text; yield what is complete."""
        for ready in self._take(text):
            yield from self._show(ready)

    def _take(self, text: str) -> Iterator[SentenceReady]:
        text = self._buffer + text
        # The other half of "\r\n" may still come.
        held = "\r" if text.endswith("\r") else ""
        text = text[: len(text) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
        *lines, last = text.split("\n")
        for line in lines:
            yield from self._line(line + "\n")
        self._buffer = last
        yield from self._complete_sentences()
        self._buffer += held

    def _show(self, ready: SentenceReady) -> Iterator[SentenceReady]:
        """Pass on what a person sees: of several empty lines, one."""
        if ready.sentence is None and not ready.text.strip():
            if not self._shown or "".join(self._shown[-2:]).endswith("\n\n"):
                return
            ready = replace(ready, text="\n" if "\n" in ready.text else ready.text)
        self._shown.append(ready.text)
        yield ready

    def finish(self) -> Iterator[SentenceReady]:
        """Yield what is left: the last sentence, finished or not."""
        rest, self._buffer = self._buffer.removesuffix("\r"), ""
        if rest.strip():
            for ready in self._line(rest):
                yield from self._show(ready)

    def drop_unfinished(self) -> None:
        """Forget a last sentence that was cut off; finished ones in the buffer are kept."""
        bare = _Bare(self._buffer)
        spans = sentence_spans(bare.words)
        if spans and not re.search(r"[.!?…。！？][\"'”’)\]\s]*$", bare.words):
            self._buffer = self._buffer[: bare.place_in_text(spans[-1][0])]

    def _complete_sentences(self) -> Iterator[SentenceReady]:
        """Sentences of an unfinished line that are certainly over, markers behind them included."""
        bare = _Bare(self._buffer)
        if not self._inside_line:
            if _ITEM.match(self._buffer) or self._buffer.lstrip().startswith(("|", "#", "**")):
                return
            # It may still become a lead-in; one word more, for a marker may be half there.
            if len(plain_text(bare.words).split()) <= _LEAD_IN_WORDS + 1:
                return
        spans = sentence_spans(bare.words)
        # What follows the last but one may still be its marker: "It is fast. [1] The next ..."
        if len(spans) < 3:
            return
        cut = bare.place_in_text(spans[-2][0])
        done, self._buffer = self._buffer[:cut], self._buffer[cut:]
        self._inside_line, self._inside_table = True, False
        yield from self._prose(done)

    def _line(self, line: str) -> Iterator[SentenceReady]:
        body = line.strip()
        if self._inside_line:
            self._inside_line = False
            yield from self._prose(line)
            return
        if not body or _RULE.match(line):
            yield self._layout(line)
            return
        if body.startswith("|"):
            yield from self._row(line)
            self._inside_table = True
            return
        self._inside_table = False
        heading = _HEADING.match(line)
        if heading:
            title = line[heading.end() :]
            if not _MARKER.search(title) and len(title.split()) <= _LEAD_IN_WORDS:
                yield self._layout(line)
                return
            # Somebody claims something in large letters.
            yield self._layout(heading.group())
            line = title
        item = _ITEM.match(line)
        if item:
            yield self._layout(item.group())
            line = line[item.end() :]
        lead = _BOLD_LEAD.match(line)
        if lead and lead[1].strip().rstrip(":").casefold() in self._titles:
            yield self._layout(lead.group())
            line = line[lead.end() :]
        if not line.strip() or self._is_lead_in(line):
            yield self._layout(line)
            return
        yield from self._prose(line)

    @staticmethod
    def _is_lead_in(line: str) -> bool:
        """Whether a line only announces what follows ('These papers do so:')."""
        if _MARKER.search(line):
            return False
        text = plain_text(line)
        short = len(text.split()) <= _LEAD_IN_WORDS and not any(c.isdigit() for c in text)
        return short and text.endswith(":")

    @staticmethod
    def _layout(text: str) -> SentenceReady:
        return SentenceReady(_MARKER.sub("", text), None, ())

    def _row(self, line: str) -> Iterator[SentenceReady]:
        """A table's row is one sentence; its markers stay in their cells."""
        numbers = tuple(n for m in _MARKER.finditer(line) for n in _numbers_in(m[1]))
        if not numbers and not self._inside_table:
            yield self._layout(line)
            return
        words = plain_text(_MARKER.sub("", line).replace("|", " "))
        # Each cell may have a citation of its own.
        sentence = self._sentence(_Marked(words, numbers), most=len(numbers))
        self.sentences.append(sentence)
        shown = _MARKER.sub(lambda match: self._rewritten(match), line)
        yield SentenceReady(shown, sentence, self.citations)

    def _rewritten(self, match: re.Match[str]) -> str:
        known = [n for n in _numbers_in(match[1]) if n in self._offered]
        marks = dict.fromkeys(self._numbers[self._offered[n].paper.id] for n in known)
        return "".join(f" [{n}]" for n in marks)

    def _prose(self, text: str) -> Iterator[SentenceReady]:
        for marked, space in _marked_sentences(text):
            if not plain_text(marked.text):
                continue
            sentence = self._sentence(marked)
            self.sentences.append(sentence)
            marks = "".join(f" [{n}]" for n in sentence.citations)
            yield SentenceReady(marked.text.strip() + marks + space, sentence, self.citations)

    def _sentence(self, marked: _Marked, most: int = MOST_CITATIONS) -> Sentence:
        """Number the citations of a sentence and check it against the words they name."""
        text = plain_text(marked.text)
        offered: list[Evidence] = []
        for n in dict.fromkeys(marked.numbers):
            if n in self._offered:
                offered.append(self._offered[n])
            else:
                self.invented.append(n)
        offered = offered[:most]
        if not offered:
            return Sentence(text, (), 0.0, Verdict.UNCITED, ("no paper is cited for this",))
        refs = [self._refer(item) for item in offered]
        support = check(
            without_remarks(text),
            [item.span.text for item in offered],
            context=" ".join(dict.fromkeys(item.paper.title for item in offered)),
        )
        return Sentence(
            text=text,
            citations=tuple(dict.fromkeys(n for n, _ in refs)),
            support=support.support,
            verdict=support.verdict,
            reasons=support.reasons,
            spans=tuple(refs),
        )

    def _refer(self, item: Evidence) -> tuple[int, int]:
        """The citation number of an evidence's paper, and the place of its words in its spans."""
        number = self._numbers.setdefault(item.paper.id, len(self._numbers) + 1)
        spans = self._spans.setdefault(item.paper.id, [])
        if item.span not in spans:
            spans.append(item.span)
        return number, spans.index(item.span)


class _Bare:
    """A text without its markers, and where they stood."""

    def __init__(self, text: str) -> None:
        self.marks: list[tuple[int, list[int], int]] = []
        """Place in ``words``, evidence numbers, length of the marker."""
        pieces: list[str] = []
        length = position = 0
        for match in _MARKER.finditer(text):
            pieces.append(text[position : match.start()])
            length += len(pieces[-1])
            self.marks.append((length, _numbers_in(match[1]), match.end() - match.start()))
            position = match.end()
        self.words = "".join([*pieces, text[position:]])

    def place_in_text(self, place: int) -> int:
        """Where a place in ``words`` is in the text; behind the markers that stand there."""
        return place + sum(length for at, _, length in self.marks if at <= place)


def _marked_sentences(text: str) -> Iterator[tuple[_Marked, str]]:
    """The sentences of a line with their numbers, and the white space behind each.

    A marker behind a full stop belongs to the sentence before it.
    """
    bare = _Bare(text)
    words = bare.words
    spans = sentence_spans(words)
    for at, (start, end) in enumerate(spans):
        following = spans[at + 1][0] if at + 1 < len(spans) else len(words)
        # "fast. [1] The": the marker stands between the two, at the end of the first.
        numbers = [n for place, ns, _ in bare.marks if _owner(spans, place) == at for n in ns]
        yield _Marked(words[start:end], tuple(numbers)), words[end:following] or " "


def _owner(spans: Sequence[tuple[int, int]], place: int) -> int:
    """The sentence that a marker at ``place`` belongs to."""
    owner = 0
    for at, (start, _) in enumerate(spans):
        if start < place:
            owner = at
    return owner
