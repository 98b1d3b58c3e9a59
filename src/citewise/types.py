"""The values that travel between the rooms of citewise: frozen, typed, without behaviour of weight.

Offsets are Unicode code points, scores are floats, times are milliseconds, dates are ISO 8601 and
never finer than what the source says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from textwrap import shorten
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

Json: TypeAlias = dict[str, Any]

_BEGINNING = 80
"""Characters of an abstract that stand for a paper without a title."""
_TEX = re.compile(r"[$_{}\\]")


def sha256_of(text: str) -> str:
    """Hex SHA-256 of the UTF-8 bytes of ``text``; lone surrogates are kept as they are."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a paper was read."""

    source: str
    """Name of the reader, such as ``daily-papers``."""
    file: str
    """File name as given, without its folder; ``-`` for standard input; service and query of what
    was fetched."""
    line: int
    """First line of the record, counted from 1; 0 for one that was fetched."""
    folder: str = ""
    """Tells files of one name in several folders apart: a hash, so that it gives no path away.
    Empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Paper:
    """One paper as its sources describe it; ``None`` where they don't say."""

    id: str
    """Given by the source, or derived from title and abstract."""
    title: str
    abstract: str
    authors: tuple[str, ...] = ()
    author_count: int | None = None
    published: str | None = None
    """ISO 8601: ``2024-10-12``, ``2024-10`` or ``2024``."""
    date_text: str | None = None
    """The date as the source prints it, kept even where it has no year (``Aug 25``)."""
    url: str | None = None
    source: str | None = None
    """Name of the reader that first brought the paper."""
    organization: str | None = None
    arxiv_id: str | None = None
    doi: str | None = None
    places: tuple[Place, ...] = ()

    @property
    def heading(self) -> str:
        """What stands over the paper where people read: its title, or else how it begins."""
        return self.title or f"“{shorten(self.abstract, _BEGINNING, placeholder=' …')}”"

    @property
    def link(self) -> str | None:
        """Where the paper can be read: the address that its source gives, or that of its DOI."""
        return self.url or (f"https://doi.org/{quote(self.doi)}" if self.doi else None)

    def to_dict(self, *, abstract: bool = False) -> Json:
        """The interface's PAPER object; with the abstract only when asked for."""
        value: Json = {
            "id": self.id,
            "title": self.title,
            "authors": list(self.authors),
            "author_count": self.author_count,
            "published": self.published,
            "url": self.url,
            "source": self.source,
            "organization": self.organization,
            "date_text": self.date_text,
            "arxiv_id": self.arxiv_id,
            "doi": self.doi,
        }
        if abstract:
            value["abstract"] = self.abstract
            value["places"] = [
                {"source": p.source, "file": p.file, "line": p.line} for p in self.places
            ]
        return value

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Paper:
        """The paper of a PAPER object; without its abstract where the object has none.

        Raises KeyError, TypeError or ValueError for what is not one.
        """

        def text(name: str) -> str | None:
            found = value.get(name)
            return None if found is None else str(found)

        count = value.get("author_count")
        return cls(
            id=str(value["id"]),
            title=str(value["title"]),
            abstract=str(value.get("abstract") or ""),
            authors=tuple(str(author) for author in value.get("authors") or ()),
            author_count=None if count is None else int(count),
            published=text("published"),
            date_text=text("date_text"),
            url=text("url"),
            source=text("source"),
            organization=text("organization"),
            arxiv_id=text("arxiv_id"),
            doi=text("doi"),
            places=tuple(
                Place(str(p["source"]), str(p["file"]), int(p["line"]))
                for p in value.get("places") or ()
            ),
        )


def without_tex(text: str) -> str:
    """A title or a question as people type it: 'H2O' for 'H$_2$O'."""
    return _TEX.sub("", text)


def short_name(title: str) -> str:
    """What a paper is called in talk: the part of its title before a colon, if that is short."""
    if title.startswith("“"):  # the beginning of an abstract names nothing
        return title
    head = title.split(":", 1)[0].strip()
    return head if head != title and len(head) <= 40 else title


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that could not become a paper, and why."""

    file: str
    line: int
    """First line of the record, counted from 1; 0 when the whole file is meant."""
    reason: str
    title: str | None = None
    count: int = 1
    """Records it stands for: more than 1 where a file has too many to list them all."""


@dataclass(frozen=True, slots=True)
class Span:
    """Words of an abstract: ``abstract[start:end] == text``, always."""

    start: int
    end: int
    text: str
    sha256: str

    @classmethod
    def of(cls, abstract: str, start: int, end: int) -> Span:
        """The span of ``abstract`` from ``start`` to ``end``; raises ValueError outside of it."""
        if not 0 <= start < end <= len(abstract):
            raise ValueError(
                f"span {start}:{end} lies outside a text of {len(abstract)} characters"
            )
        text = abstract[start:end]
        return cls(start, end, text, sha256_of(text))

    def to_dict(self) -> Json:
        """The interface's SPAN object."""
        return {"start": self.start, "end": self.end, "text": self.text, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Filters:
    """What to search in; empty fields do not restrict."""

    since: str | None = None
    """Earliest date, ISO 8601 of any precision, inclusive."""
    until: str | None = None
    """Latest date, ISO 8601 of any precision, inclusive."""
    source: str | None = None
    author: str | None = None
    """Part of an author's name, in any case."""
    papers: tuple[str, ...] = ()
    """Ids; empty for all."""

    def to_dict(self) -> Json:
        """The fields that restrict, by name."""
        fields = {name: getattr(self, name) for name in ("since", "until", "source", "author")}
        if self.papers:
            fields["papers"] = list(self.papers)
        return {name: value for name, value in fields.items() if value}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Filters:
        """What ``to_dict`` made; unknown names are left out."""

        def text(name: str) -> str | None:
            found = value.get(name)
            return str(found) if found else None

        return cls(
            text("since"),
            text("until"),
            text("source"),
            text("author"),
            tuple(str(paper) for paper in value.get("papers") or ()),
        )

    def __bool__(self) -> bool:
        return self != Filters()


@dataclass(frozen=True, slots=True)
class Hit:
    """A paper found for a query, with its best passage."""

    rank: int
    paper: Paper
    score: float
    """0 to 1, comparable within one search only: of words and meaning, and of reading, if it was
    read."""
    passage: Span
    dense_rank: int | None = None
    lexical_rank: int | None = None
    dense_score: float | None = None
    """Cosine of the query and the paper's best passage, -1 to 1."""
    lexical_score: float | None = None
    """BM25 of the paper, 0 and up."""
    matched_words: tuple[str, ...] = ()
    """Words of the query, as typed, that the paper has in some form, in the order of the query."""
    sentence: Span | None = None
    """The sentence nearest to the query; None where the search was not to explain itself."""
    sentence_score: float | None = None
    """Cosine of the query and that sentence, -1 to 1; None for a paper that is not embedded."""
    relevant: float | None = None
    """Log-odds, by reading it beside the query, that the query asks for the paper; None where it
    was not read: effort deep reads the best."""

    def to_dict(self) -> Json:
        """The interface's hit object."""
        return {
            "rank": self.rank,
            "paper": self.paper.to_dict(),
            "score": self.score,
            "passage": self.passage.to_dict(),
            "dense_rank": self.dense_rank,
            "lexical_rank": self.lexical_rank,
            "dense_score": self.dense_score,
            "lexical_score": self.lexical_score,
            "matched_words": list(self.matched_words),
            "sentence": self.sentence.to_dict() if self.sentence else None,
            "sentence_score": self.sentence_score,
            "relevant": self.relevant,
        }


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Ranked papers and how long it took to find them."""

    query: str
    hits: tuple[Hit, ...]
    timings_ms: Mapping[str, float]
    notes: tuple[str, ...] = ()
    """What a person should know about this search ('12 papers are not embedded yet')."""

    def to_dict(self) -> Json:
        """The interface's search object."""
        return {
            "query": self.query,
            "hits": [hit.to_dict() for hit in self.hits],
            "timings_ms": dict(self.timings_ms),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence of a paper that an answer may cite, under a number."""

    n: int
    """Number under which it is offered to the writer, from 1."""
    paper: Paper
    span: Span
    score: float
    """How well it answers the question; 0 to 1 within one question."""
    ordinal: int
    """Position among the abstract's sentences, from 0."""
    paper_rank: int
    """Rank of its paper in the search, from 1."""
    covered: float = 1.0
    """Rarity-weighted share of the question's words that its paper holds, 0 to 1."""
    belongs: float = 1.0
    """Probability that a question for any number of papers asks for this one; 1 for others."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str


class QuestionKind(StrEnum):
    """What sort of answer a question wants."""

    FACT = "fact"
    NUMBER = "number"
    DEFINITION = "definition"
    COMPARISON = "comparison"
    LIST = "list"
    OVERVIEW = "overview"
    HOW = "how"
    YES_NO = "yes_no"


@dataclass(frozen=True, slots=True)
class Question:
    """A question made ready for searching."""

    text: str
    """As the person typed it."""
    standalone: str
    """With the history folded in."""
    kind: QuestionKind = QuestionKind.FACT
    filters: Filters = field(default_factory=Filters)
    focus: tuple[str, ...] = ()
    """Ids of the papers that earlier turns were about, most recent first."""
    notes: tuple[str, ...] = ()
    """What a person should know about how it was read ('only what is by Ada Bo was searched')."""
    shown: tuple[str, ...] = ()
    """Ids of papers that were told of before, where others are wanted."""
    leans: bool = False
    """Whether it says by a pronoun, or not at all, what it is about: the papers in focus."""


class Verdict(StrEnum):
    """What the checker says of a sentence."""

    SUPPORTED = "supported"
    PARTLY = "partly"
    UNSUPPORTED = "unsupported"
    UNCITED = "uncited"


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a claim is backed by the words it cites."""

    support: float
    """Probability that it is, 0 to 1."""
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    """What speaks against it, in words a person can read; empty when nothing does."""

    @property
    def supported(self) -> bool:
        """True for the verdict ``supported`` alone."""
        return self.verdict is Verdict.SUPPORTED


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of an answer."""

    text: str
    """Without citation markers and list marks."""
    citations: tuple[int, ...]
    support: float
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()
    """The very words it cites: citation number, and position in that citation's spans from 0."""

    def to_dict(self) -> Json:
        """The interface's sentence object."""
        return {
            "text": self.text,
            "citations": list(self.citations),
            "support": round(self.support, 4),
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "spans": [list(pair) for pair in self.spans],
        }


@dataclass(frozen=True, slots=True)
class Citation:
    """A paper that an answer cites, and the words of it."""

    n: int
    paper: Paper
    spans: tuple[Span, ...]

    def to_dict(self) -> Json:
        """The interface's citation object."""
        return {
            "n": self.n,
            "paper": self.paper.to_dict(),
            "spans": [span.to_dict() for span in self.spans],
        }


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A paper that was looked at for an answer."""

    rank: int
    paper_id: str
    title: str
    score: float

    def to_dict(self) -> Json:
        """The interface's retrieved object."""
        return {
            "rank": self.rank,
            "paper_id": self.paper_id,
            "title": self.title,
            "score": round(self.score, 6),
        }


@dataclass(frozen=True, slots=True)
class Usage:
    """What a language model was asked to do; zeros without one."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0
    cost: float | None = None
    """Of the calls, in the currency of the price; None where it is not known."""

    def __add__(self, other: Usage) -> Usage:
        costs = [part.cost for part in (self, other) if part.calls]
        known = [cost for cost in costs if cost is not None]
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.calls + other.calls,
            sum(known) if costs and len(known) == len(costs) else None,
        )

    def to_dict(self) -> Json:
        """The interface's usage object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "calls": self.calls,
            # Where no model was asked there is nothing to pay.
            "cost": self.cost if self.calls else 0.0,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Usage:
        """The usage that ``to_dict`` wrote; what an older one did not say is not known."""
        calls, cost = int(value["calls"]), value.get("cost")
        return cls(
            int(value["prompt_tokens"]),
            int(value["completion_tokens"]),
            calls,
            float(cost) if calls and cost is not None else None,
        )


@dataclass(frozen=True, slots=True)
class Price:
    """What a model's tokens cost; given by its user, never built in."""

    prompt: float
    """For a million tokens of prompt."""
    completion: float
    """For a million tokens of completion."""
    currency: str = ""
    """Such as ``USD``; only shown."""

    def paid(self, usage: Usage) -> Usage:
        """The usage with its cost, which stays unknown where the server did not count tokens."""
        if not usage.prompt_tokens and not usage.completion_tokens:
            return usage
        cost = usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion
        return replace(usage, cost=cost / 1e6)


class Effort(StrEnum):
    """How much time a question may take."""

    QUICK = "quick"
    NORMAL = "normal"
    DEEP = "deep"

    @classmethod
    def _missing_(cls, value: object) -> Effort:
        raise ValueError(f"effort is {value!r}; choose {', '.join(cls)}")


@dataclass(frozen=True, slots=True)
class Answer:
    """A checked answer with everything needed to prove it again."""

    id: str
    question: str
    standalone_question: str
    text: str
    """Markdown with ``[1]`` markers."""
    answered: bool
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    retrieved: tuple[Retrieved, ...]
    confidence: float
    backend: str
    effort: Effort
    usage: Usage
    timings_ms: Mapping[str, float]
    library: str
    """Fingerprint of the library that was asked."""
    kind: QuestionKind = QuestionKind.FACT
    reason: str | None = None
    """Why the question was not answered."""
    notes: tuple[str, ...] = ()
    """What a person should know ('one sentence was dropped: ...')."""
    suggestions: tuple[str, ...] = ()
    """Questions that can be asked next."""
    prior_history: tuple[Message, ...] = ()

    @property
    def history(self) -> tuple[Message, ...]:
        """The conversation up to and including this answer, to hand to the next question."""
        return (
            *self.prior_history,
            Message("user", self.question),
            Message("assistant", self.text),
        )

    def to_dict(self) -> Json:
        """The interface's answer object."""
        return {
            "id": self.id,
            "question": self.question,
            "standalone_question": self.standalone_question,
            "answer": self.text,
            "answered": self.answered,
            "sentences": [sentence.to_dict() for sentence in self.sentences],
            "citations": [citation.to_dict() for citation in self.citations],
            "retrieved": [paper.to_dict() for paper in self.retrieved],
            "confidence": round(self.confidence, 4),
            "backend": self.backend,
            "effort": self.effort.value,
            "usage": self.usage.to_dict(),
            "timings_ms": {name: round(ms, 2) for name, ms in self.timings_ms.items()},
            "library": self.library,
            "kind": self.kind.value,
            "reason": self.reason,
            "notes": list(self.notes),
            "suggestions": list(self.suggestions),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], history: Sequence[Message] = ()) -> Answer:
        """The answer of an answer object, its cited papers without their abstracts.

        ``history`` is what was said before it, which the object does not hold. Raises KeyError,
        TypeError or ValueError for what is not an answer.
        """
        sentences = tuple(
            Sentence(
                str(s["text"]),
                tuple(int(n) for n in s["citations"]),
                float(s["support"]),
                Verdict(s["verdict"]),
                tuple(str(reason) for reason in s.get("reasons") or ()),
                tuple((int(n), int(at)) for n, at in s.get("spans") or ()),
            )
            for s in value["sentences"]
        )
        citations = tuple(
            Citation(
                int(c["n"]),
                Paper.from_dict(c["paper"]),
                tuple(
                    Span(int(s["start"]), int(s["end"]), str(s["text"]), str(s["sha256"]))
                    for s in c["spans"]
                ),
            )
            for c in value["citations"]
        )
        reason = value.get("reason")
        return cls(
            id=str(value["id"]),
            question=str(value["question"]),
            standalone_question=str(value["standalone_question"]),
            text=str(value["answer"]),
            answered=bool(value["answered"]),
            sentences=sentences,
            citations=citations,
            retrieved=tuple(
                Retrieved(int(r["rank"]), str(r["paper_id"]), str(r["title"]), float(r["score"]))
                for r in value["retrieved"]
            ),
            confidence=float(value["confidence"]),
            backend=str(value["backend"]),
            effort=Effort(value["effort"]),
            usage=Usage.from_dict(value["usage"]),
            timings_ms={str(name): float(ms) for name, ms in value["timings_ms"].items()},
            library=str(value["library"]),
            kind=QuestionKind(value.get("kind") or QuestionKind.FACT),
            reason=None if reason is None else str(reason),
            notes=tuple(str(note) for note in value.get("notes") or ()),
            suggestions=tuple(str(question) for question in value.get("suggestions") or ()),
            prior_history=tuple(history),
        )


@dataclass(frozen=True, slots=True)
class Working:
    """Event: what the assistant is doing now."""

    step: Literal["understand", "search", "write", "check"]
    text: str
    """For people: 'searching 475 papers'."""


@dataclass(frozen=True, slots=True)
class SentenceReady:
    """Event: the next piece of the answer, already checked."""

    text: str
    """Markdown to append, white space and citation markers included."""
    sentence: Sentence | None
    """None for layout such as a heading or a table's head."""
    citations: tuple[Citation, ...]
    """All citations so far, by number."""


@dataclass(frozen=True, slots=True)
class Done:
    """Event: the whole answer; always the last."""

    answer: Answer


Event: TypeAlias = Working | SentenceReady | Done


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did; every record is counted once."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    """Records that describe a paper already seen in the same ingest."""
    rejected: tuple[Rejection, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        """All records that were read."""
        return self.added + self.updated + self.unchanged + self.duplicate + self.rejections

    @property
    def rejections(self) -> int:
        """How many records were rejected, listed or not."""
        return sum(rejection.count for rejection in self.rejected)

    def to_dict(self) -> Json:
        """The counts and every rejection."""
        return {
            "added": self.added,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "duplicate": self.duplicate,
            "rejected": [
                {
                    "file": r.file,
                    "line": r.line,
                    "reason": r.reason,
                    "title": r.title,
                    "count": r.count,
                }
                for r in self.rejected
            ],
            "records": self.records,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }


def messages_of(history: Sequence[Message | Mapping[str, str]]) -> tuple[Message, ...]:
    """History as messages, whether it came as messages or as role/content objects.

    Raises ValueError for a role other than user or assistant.
    """
    messages = []
    for turn in history:
        message = turn if isinstance(turn, Message) else Message(turn["role"], turn["content"])  # type: ignore[arg-type]  # the role is checked on the next line
        if message.role not in ("user", "assistant"):
            raise ValueError(f"a turn's role is {message.role!r}; it must be user or assistant")
        messages.append(message)
    return tuple(messages)


def filters_of(given: object) -> Filters:
    """Filters that came as an object, by their names; empty values do not restrict.

    Raises ValueError where a name is unknown, a value is no text, or ``papers`` is no list of ids.
    """
    known = tuple(Filters.__dataclass_fields__)
    if not isinstance(given, Mapping) or not set(given) <= set(known):
        raise ValueError(f"filters must be an object of {', '.join(known)}")
    values = {name: value for name, value in given.items() if value not in (None, "", [])}
    papers = values.pop("papers", [])
    if not all(isinstance(value, str) for value in values.values()):
        raise ValueError(f"each of the filters {', '.join(sorted(values))} must be a text")
    if not isinstance(papers, list) or not all(isinstance(paper, str) for paper in papers):
        raise ValueError("the filter papers must be a list of ids")
    return Filters(**values, papers=tuple(papers))
