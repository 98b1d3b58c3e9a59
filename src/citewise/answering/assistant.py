"""The pipeline from a question to a checked, cited answer; read it from top to bottom.

understand -> search -> choose evidence -> decide whether to answer -> write -> cite and check
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from citewise.answering.citations import CitedText
from citewise.answering.evidence import Selection, select_evidence
from citewise.answering.question import short_name, understand
from citewise.backends.base import Backend, WritingTask
from citewise.backends.extractive import ExtractiveBackend
from citewise.backends.registry import backend_from
from citewise.backends.writing import NO_ANSWER, AnswerCutError
from citewise.errors import UsageError
from citewise.grounding.abstention import ANSWERABLE, Answerability, answerability
from citewise.library.library import Library
from citewise.types import (
    Answer,
    Citation,
    Done,
    Effort,
    Event,
    Filters,
    Hit,
    Message,
    Question,
    Retrieved,
    Sentence,
    SentenceReady,
    Usage,
    Verdict,
    Working,
    messages_of,
    sha256_of,
)

if TYPE_CHECKING:
    from citewise.bridges import CitewiseQueryEngine

LONGEST_QUESTION = 10_000
"""Characters of a question; a longer one is refused in words."""

_PAPERS = {Effort.QUICK: 6, Effort.NORMAL: 12, Effort.DEEP: 24}
"""Papers that are looked at."""
_EVIDENCE = {Effort.QUICK: 12, Effort.NORMAL: 24, Effort.DEEP: 48}
"""Sentences that are offered to the writer."""
_PER_PAPER = 6
_FOCUS_BONUS = 0.35
"""Added to the fused score (0 to 1) of a paper that the last turns were about."""
_FOCUS_BONUS_WHEN_LOST = 0.9
"""The same when nothing else comes near the question: it then leans on what was said before."""
_NEAR_ENOUGH = 0.45
"""Cosine of question and passage from which a paper comes near it by itself."""
TOO_FAR = "no paper here comes close enough to the question"
_ATTEMPT_WITH_MODEL = 0.2
"""Below this probability a model is not even asked; it can decline by itself above."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is known before an answer is written."""

    question: Question
    hits: tuple[Hit, ...]
    selection: Selection
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Clock:
    """Milliseconds of each step."""

    started: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)

    def took(self, step: str, since: float) -> None:
        spent = (time.perf_counter() - since) * 1000
        self.timings[step] = self.timings.get(step, 0.0) + spent

    def all(self) -> dict[str, float]:
        return {
            **{step: self.timings.get(step, 0.0) for step in ("retrieve", "write", "check")},
            "total": (time.perf_counter() - self.started) * 1000,
        }


class Assistant:
    """Answers questions over a library. Safe to use from several threads."""

    def __init__(self, library: Library, backend: str | object = "extractive") -> None:
        """``backend``: a name such as ``openai:MODEL``, a Backend, or a llama-index LLM object.

        Raises UnknownBackendError or BackendAuthError.
        """
        self.library = library
        self.backend: Backend = backend_from(backend)

    def ask(
        self,
        question: str,
        history: Sequence[Message | Mapping[str, str]] = (),
        *,
        effort: Effort | str = Effort.NORMAL,
        filters: Filters | None = None,
    ) -> Answer:
        """The whole answer at once; see ``stream``."""
        for event in self.stream(question, history, effort=effort, filters=filters):
            if isinstance(event, Done):
                return event.answer
        raise AssertionError("a stream ends with Done")

    async def aask(
        self,
        question: str,
        history: Sequence[Message | Mapping[str, str]] = (),
        *,
        effort: Effort | str = Effort.NORMAL,
        filters: Filters | None = None,
    ) -> Answer:
        """As ``ask``, in a thread of its own."""
        return await asyncio.to_thread(self.ask, question, history, effort=effort, filters=filters)

    def stream(
        self,
        question: str,
        history: Sequence[Message | Mapping[str, str]] = (),
        *,
        effort: Effort | str = Effort.NORMAL,
        filters: Filters | None = None,
    ) -> Iterator[Event]:
        """The answer as it comes: what is being done, checked sentences, and last the whole.

        Closing the iterator stops the work. Raises UsageError for an empty or overlong question or
        an unknown effort, BackendError when the model gives nothing, LibraryError when the library
        cannot be used.
        """
        if not question.strip():
            raise UsageError("The question is empty.")
        if len(question) > LONGEST_QUESTION:
            raise UsageError(
                f"The question has {len(question)} characters; ask in at most {LONGEST_QUESTION}."
            )
        try:
            chosen = Effort(effort)
            turns = messages_of(history)
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{error}. Effort is quick, normal or deep.") from error
        return self._stream(question, turns, chosen, filters or Filters())

    def _stream(
        self, text: str, history: tuple[Message, ...], effort: Effort, filters: Filters
    ) -> Generator[Event, None, None]:
        clock = _Clock()
        cost = Usage()
        if history:
            yield Working("understand", "reading the conversation")
        rewritten, usage = self.backend.standalone(text, history) if history else (None, Usage())
        cost += usage
        yield Working("search", f"searching {len(self.library)} papers")
        mark = time.perf_counter()
        gathered = self.gather(text, history, effort=effort, filters=filters, rewritten=rewritten)
        question, selection = gathered.question, gathered.selection
        odds = answerability(selection.features, selection.unknown_words)
        notes = list(gathered.notes)
        clock.took("retrieve", mark)

        draft = _Draft(question, history, effort, gathered.hits, odds, notes)
        if not selection.evidence or odds.probability < self._threshold():
            yield from self._decline(draft, odds.reason or TOO_FAR, cost, clock)
            return

        papers = len({item.paper.id for item in selection.evidence})
        yield Working("write", f"reading {papers} papers")
        task = WritingTask(question, selection.evidence, history, effort)
        cited, usage, declined = yield from self._write(self.backend, task, clock, notes)
        cost += usage
        if declined:
            yield from self._decline(draft, "the papers found do not say it", cost, clock)
            return
        if not any(s.verdict in (Verdict.SUPPORTED, Verdict.PARTLY) for s in cited.sentences):
            notes.append(
                f"What {self.backend.name} wrote could not be backed by the papers: these are "
                "their own sentences instead."
            )
            yield Working("write", "turning to the papers' own sentences")
            cited, _, _ = yield from self._write(ExtractiveBackend(), task, clock, notes)
        yield Done(self._answered(draft, cited, cost, clock))

    def as_query_engine(self) -> CitewiseQueryEngine:
        """A llama-index query engine whose responses are checked, cited answers."""
        # llama-index takes 3 s to import, and the bridge imports this module.
        from citewise.bridges import CitewiseQueryEngine  # noqa: PLC0415

        return CitewiseQueryEngine(self)

    # -- the steps ---------------------------------------------------------------------------

    def gather(
        self,
        question: str,
        history: Sequence[Message] = (),
        *,
        effort: Effort = Effort.NORMAL,
        filters: Filters | None = None,
        rewritten: str | None = None,
    ) -> Gathered:
        """Everything before writing: the question understood, papers found, evidence chosen.

        ``rewritten`` is a standalone form that a model made; without it the rules make one.
        """
        understood = understand(
            question, history, self.library, filters=filters, rewritten=rewritten
        )
        hits, notes = self._search(understood, _PAPERS[effort])
        selection = select_evidence(
            understood, hits, self.library, most=_EVIDENCE[effort], most_per_paper=_PER_PAPER
        )
        return Gathered(understood, hits, selection, tuple(notes))

    def _search(self, question: Question, papers: int) -> tuple[tuple[Hit, ...], list[str]]:
        """Papers for the question; those in focus are among them and stand higher."""
        result = self.library.find(question.standalone, papers, question.filters)
        notes = list(result.notes)
        if not question.focus:
            return result.hits, notes
        within = replace(question.filters, papers=question.focus)
        if question.filters.papers:
            kept = tuple(i for i in question.focus if i in question.filters.papers)
            within = replace(question.filters, papers=kept or question.filters.papers)
        nearest = max((hit.dense_score or 0.0 for hit in result.hits), default=0.0)
        bonus = _FOCUS_BONUS if nearest >= _NEAR_ENOUGH else _FOCUS_BONUS_WHEN_LOST
        focused = self.library.find(question.standalone, len(question.focus), within)
        merged = {hit.paper.id: hit for hit in focused.hits}
        # Scores are relative to one search: the wide search's are the ones that compare.
        scores = {hit.paper.id: hit.score for hit in result.hits}
        merged.update({hit.paper.id: hit for hit in result.hits})
        rescored = [
            replace(
                hit,
                score=scores.get(paper_id, 0.3) + (bonus if paper_id in question.focus else 0.0),
            )
            for paper_id, hit in merged.items()
        ]
        rescored.sort(key=lambda hit: (-hit.score, hit.paper.id))
        return tuple(replace(hit, rank=n) for n, hit in enumerate(rescored[:papers], 1)), notes

    def _threshold(self) -> float:
        from_papers_alone = isinstance(self.backend, ExtractiveBackend)
        return ANSWERABLE if from_papers_alone else _ATTEMPT_WITH_MODEL

    def _write(
        self, backend: Backend, task: WritingTask, clock: _Clock, notes: list[str]
    ) -> Generator[Event, None, tuple[CitedText, Usage, bool]]:
        """Let the backend write; yield its sentences as they are checked.

        Returns the cited text, its cost, and whether the backend declined.
        """
        cited = CitedText(task.evidence)
        usage = Usage()
        raw = ""
        held = ""
        with closing(backend.write(task)) as pieces:
            while True:
                mark = time.perf_counter()
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    usage = end.value or usage
                    break
                except AnswerCutError as error:
                    usage = error.usage
                    notes.append(f"The answer ends early: {error}")
                    cited.drop_unfinished()
                    break
                finally:
                    clock.took("write", mark)
                raw += piece
                held += piece
                if _may_decline(raw):
                    continue
                mark = time.perf_counter()
                ready = list(cited.feed(held))
                held = ""
                clock.took("check", mark)
                yield from ready
        if _declines(raw):
            return cited, usage, True
        mark = time.perf_counter()
        ready = [*cited.feed(held), *cited.finish()]
        clock.took("check", mark)
        yield from ready
        notes.extend(cited.notes())
        return cited, usage, False

    def _answered(self, draft: _Draft, cited: CitedText, cost: Usage, clock: _Clock) -> Answer:
        supports = [sentence.support for sentence in cited.sentences]
        backed = sum(supports) / len(supports) if supports else 0.0
        names = [short_name(citation.paper.title) for citation in cited.citations]
        return draft.answer(
            text=cited.text,
            sentences=tuple(cited.sentences),
            citations=cited.citations,
            confidence=draft.odds.probability * backed,
            backend=self.backend.name,
            usage=cost,
            timings_ms=clock.all(),
            library=self.library.fingerprint,
            suggestions=tuple(_follow_ups(names)),
        )

    def _decline(
        self, draft: _Draft, reason: str, cost: Usage, clock: _Clock
    ) -> Generator[Event, None, None]:
        """Say that the papers don't hold the answer, and what is nearest."""
        lines = [f"The papers in this library don't answer that: {reason}."]
        nearest = draft.hits[:3]
        if nearest:
            lines.append("\nThe nearest papers are:\n")
            lines += [f"- {hit.paper.title}" for hit in nearest]
        text = "\n".join(lines)
        answer = draft.answer(
            text=text,
            sentences=(),
            citations=(),
            confidence=1.0 - draft.odds.probability,
            backend=self.backend.name,
            usage=cost,
            timings_ms=clock.all(),
            library=self.library.fingerprint,
            reason=reason,
            suggestions=tuple(
                f"What does {short_name(hit.paper.title)} propose?" for hit in nearest
            ),
        )
        yield SentenceReady(text, None, ())
        yield Done(answer)


@dataclass(frozen=True, slots=True)
class _Draft:
    """What is known of an answer before it is written."""

    question: Question
    history: tuple[Message, ...]
    effort: Effort
    hits: tuple[Hit, ...]
    odds: Answerability
    notes: list[str]

    def answer(
        self,
        *,
        text: str,
        sentences: tuple[Sentence, ...],
        citations: tuple[Citation, ...],
        confidence: float,
        backend: str,
        usage: Usage,
        timings_ms: Mapping[str, float],
        library: str,
        reason: str | None = None,
        suggestions: tuple[str, ...] = (),
    ) -> Answer:
        """The answer with all that the draft knows filled in."""
        return Answer(
            id=sha256_of("\n".join((self.question.standalone, backend, library, text)))[:16],
            question=self.question.text,
            standalone_question=self.question.standalone,
            text=text,
            answered=reason is None,
            sentences=sentences,
            citations=citations,
            retrieved=tuple(
                Retrieved(hit.rank, hit.paper.id, hit.paper.title, hit.score) for hit in self.hits
            ),
            confidence=confidence,
            backend=backend,
            effort=self.effort,
            usage=usage,
            timings_ms=timings_ms,
            library=library,
            kind=self.question.kind,
            reason=reason,
            notes=tuple(self.notes),
            suggestions=suggestions,
            prior_history=self.history,
        )


def _may_decline(raw: str) -> bool:
    """Whether what has come so far could still turn out to be the sign that nothing is found."""
    start = raw.lstrip(" \n\t*\"'`").upper()
    return NO_ANSWER.startswith(start) or start.startswith(NO_ANSWER)


def _declines(raw: str) -> bool:
    """Whether a writer said that the evidence does not hold the answer."""
    return raw.lstrip(" \n\t*\"'`").upper().startswith(NO_ANSWER)


def _follow_ups(names: Sequence[str]) -> list[str]:
    """Questions that lead on from the papers of an answer."""
    if not names:
        return []
    questions = [f"How does {names[0]} work?", f"What results does {names[0]} report?"]
    if len(names) > 1:
        questions.append(f"How do {names[0]} and {names[1]} differ?")
    return questions
