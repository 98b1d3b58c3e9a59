"""The pipeline from a question to a checked, cited answer; read it from top to bottom.

understand -> search -> choose evidence -> decide whether to answer -> write -> cite and check
-> rewrite what failed

With effort deep, searching and choosing is done for each part of the question (``deep.py``).
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from citewise.answering import deep
from citewise.answering.aside import ASKS_NOTHING, aside, without_asides
from citewise.answering.aspects import aspect_asked, speaking_first
from citewise.answering.citations import CitedText
from citewise.answering.evidence import (
    Selection,
    names_first,
    plainest,
    select_evidence,
    sentences_of,
)
from citewise.answering.form import (
    NOTHING_SAID,
    Form,
    Quoting,
    form_of,
    quoted_in,
    records_of,
    without_forms,
)
from citewise.answering.kinds import WIDE
from citewise.answering.question import matter_of, understand
from citewise.answering.record import asked_of_record
from citewise.answering.revising import Draft
from citewise.answering.talk import DECLINED, Talk
from citewise.answering.wishes import asks_what_it_says
from citewise.backends.base import Backend, Length, Reviser, WritingTask
from citewise.backends.conditions import SURVEYS, Condition, condition_of, what_to_read_on
from citewise.backends.definition import thing_defined
from citewise.backends.extractive import ExtractiveBackend, figure_missing
from citewise.backends.limits import Limits
from citewise.backends.registry import backend_from
from citewise.backends.writing import AnswerCutError, may_say_no_answer, says_no_answer
from citewise.errors import BackendError, UsageError
from citewise.grounding.abstention import (
    ANSWERABLE,
    UNSURE,
    Answerability,
    answerability,
    confidence,
)
from citewise.grounding.belonging import SQUARELY, likeliest_first, told_of
from citewise.grounding.reranking import READ, READ_WIDE, in_reading_order
from citewise.library.library import Library
from citewise.library.orders import order_spans, tells_a_model
from citewise.types import (
    Answer,
    Citation,
    Done,
    Effort,
    Event,
    Evidence,
    Filters,
    Hit,
    Message,
    Price,
    Question,
    QuestionKind,
    Retrieved,
    Sentence,
    SentenceReady,
    Usage,
    Verdict,
    Working,
    messages_of,
    sha256_of,
    short_name,
)

if TYPE_CHECKING:
    from citewise.bridges import CitewiseQueryEngine

LONGEST_QUESTION = 10_000
"""Characters of a question; a longer one is refused in words."""

_PAPERS = {Effort.QUICK: 6, Effort.NORMAL: 12, Effort.DEEP: 24}
"""Papers that are looked at."""
_PAPERS_WIDE = {Effort.QUICK: 9, Effort.NORMAL: 18, Effort.DEEP: 24}
"""The same for a list or an overview, which any of them may belong to."""
_MANY_PAPERS = 10_000
"""A library of more has many that come near: the best are read beside the question before one is
taken. Of one of 475 or 5,000 little is won by that, of one of 112,569 much (docs/retrieval.md)."""
_LONGEST_NAME = 3
"""Words of what a method is called; one less without capitals or digits inside of them."""
_PAPERS_FOR_A_DEFINITION = 100
_DEFINING = 4
"""Papers that are looked through for what a thing is, where those that fit best do not say it, and
how many of those that say it are taken."""
_PAPERS_FOR_A_CONDITION = 150
_HOLDING = 20
"""Papers that are looked through for a condition that a question sets on them, for each wording of
it, and how many of those that hold it are judged beside the ones that were found anyway."""
_PLAIN = 0.95
"""How plainly it is said when no other paper need be looked for (``definition.how_plainly``)."""
_EVIDENCE = {Effort.QUICK: 12, Effort.NORMAL: 24, Effort.DEEP: 48}
"""Sentences that are offered to the writer."""
_PER_PAPER = 6
_FOCUS_BONUS = 0.35
"""Added to the fused score (0 to 1) of a paper that the last turns were about."""
_FOCUS_BONUS_WHEN_LOST = 0.9
"""The same when nothing else comes near the question: it then leans on what was said before."""
_UNFOUND = 0.3
"""Least score of a paper that the last turns were about and that the search did not bring up."""
_NEAR_ENOUGH = 0.45
"""Cosine of question and passage from which a paper comes near it by itself."""
NO_OTHERS = "besides the papers shown before, none here is squarely about it"
_FEWER_WORDS = "Without a language model the words stay the papers' own: only fewer are shown."
_LENGTHS = {Form.SHORTER: Length.SHORT, Form.LONGER: Length.LONG}
TOO_FAR = "no paper here comes close enough to the question"
_ATTEMPT_WITH_MODEL = 0.12
"""Below this probability a model is not even asked; it can decline by itself above."""
_NEVER_SAID = 0.02
"""That the papers hold what no abstract ever says."""
_ALWAYS_TOLD = 0.9
"""That a paper says what it is for and what it found. Chosen by hand."""
_REVISE_WITHIN_S = 60.0
"""A model that took longer for its answer is not asked to rewrite any of it."""
_AT_ONCE = 32
"""Questions that ``aask`` answers at the same time in one process; more wait their turn."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is known before an answer is written."""

    question: Question
    hits: tuple[Hit, ...]
    selection: Selection
    notes: tuple[str, ...]
    parts: tuple[deep.Part, ...] = ()
    """What was found for each sub-question, with effort deep."""


@dataclass(slots=True)
class _Course:
    """How an answer is going: what it took so far, and whether anybody still waits for it."""

    given_up: threading.Event
    """Set when nobody waits any more."""
    notes: list[str] = field(default_factory=list)
    cost: Usage = field(default_factory=Usage)
    cut: bool = False
    """Whether a model's answer ended early."""
    started: float = field(default_factory=time.perf_counter)
    timings: dict[str, float] = field(default_factory=dict)

    def took(self, step: str, since: float) -> None:
        spent = (time.perf_counter() - since) * 1000
        self.timings[step] = self.timings.get(step, 0.0) + spent

    def timings_ms(self) -> dict[str, float]:
        return {
            **{step: self.timings.get(step, 0.0) for step in ("retrieve", "write", "check")},
            "total": (time.perf_counter() - self.started) * 1000,
        }

    def seconds(self) -> float:
        return time.perf_counter() - self.started

    def go_on(self) -> None:
        """Raises _GivenUpError when nobody waits any more."""
        if self.given_up.is_set():
            raise _GivenUpError


class _GivenUpError(Exception):
    """Ends the work on an answer that nobody waits for."""


class Assistant:
    """Answers questions over a library. Safe to use from several threads."""

    def __init__(
        self,
        library: Library,
        backend: str | object = "extractive",
        *,
        prices: Mapping[str, Price] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """``backend``: a name such as ``openai:MODEL``, a Backend, or a llama-index LLM object.

        ``prices``: what models cost, by backend's name, so that answers say what they cost.
        ``limits``: how long and how much a model's server may take. Raises UnknownBackendError or
        BackendAuthError.
        """
        self.library = library
        self.backend: Backend = backend_from(backend, prices=prices, limits=limits)

    def ask(
        self,
        question: str,
        history: Sequence[Message | Mapping[str, str]] = (),
        *,
        effort: Effort | str = Effort.NORMAL,
        filters: Filters | None = None,
    ) -> Answer:
        """The whole answer at once; see ``stream``."""
        return _last(self.stream(question, history, effort=effort, filters=filters))

    async def aask(
        self,
        question: str,
        history: Sequence[Message | Mapping[str, str]] = (),
        *,
        effort: Effort | str = Effort.NORMAL,
        filters: Filters | None = None,
    ) -> Answer:
        """As ``ask``, in a thread of its own; cancelling it stops the work and hangs up.

        A model's server is left at its next piece, or when it has been silent for too long.
        """
        given_up = threading.Event()
        context = contextvars.copy_context()

        def work() -> Answer:
            events = self._checked(question, history, effort, filters, given_up)
            return _last(events)

        loop = asyncio.get_running_loop()
        try:
            # The loop's own threads are four more than the processors: too few for many that wait.
            return await loop.run_in_executor(_threads(), lambda: context.run(work))
        except asyncio.CancelledError:
            given_up.set()
            raise

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
        return self._checked(question, history, effort, filters, threading.Event())

    def _checked(
        self,
        question: str,
        history: Sequence[Message | Mapping[str, str]],
        effort: Effort | str,
        filters: Filters | None,
        given_up: threading.Event,
    ) -> Iterator[Event]:
        """Refuse what cannot be asked, then stream."""
        if not question.strip():
            raise UsageError("The question is empty.")
        if len(question) > LONGEST_QUESTION:
            raise UsageError(
                f"The question has {len(question)} characters; ask in at most {LONGEST_QUESTION}."
            )
        try:
            chosen = Effort(effort)
            turns = messages_of(history)
        except ValueError as error:
            raise UsageError(f"{error}.") from error
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"The history has a turn without role and content ({error})."
            ) from error
        return self._stream(question, turns, chosen, filters or Filters(), _Course(given_up))

    def _stream(
        self,
        text: str,
        history: tuple[Message, ...],
        effort: Effort,
        filters: Filters,
        course: _Course,
    ) -> Generator[Event, None, None]:
        if said := aside(text, self.library):
            yield from self._reply(said, _Draft.of_nothing(text, history, effort), course)
            return
        talk = without_forms(without_asides(history, self.library))
        asked, last = text, talk
        form = form_of(text) if talk else None
        if form is not None:
            if said := self._said_of_last(form, talk):
                yield from self._reply(said, _Draft.of_nothing(text, history, effort), course)
                return
            asked, talk = _last_asked(talk)
        question = yield from self._understand(asked, talk, filters, course)
        question = replace(question, text=text)
        parts = yield from self._parts(question, effort, course)
        gathered = yield from self._gather(question, parts, effort, course)
        selection = gathered.selection
        odds = answerability(selection.features, selection.unknown_words)
        unsaid = asked_of_record(question, gathered.hits)
        aspect = aspect_asked(replace(question, text=asked), gathered.hits)
        if aspect is not None and not (aspect.gist or self._from_papers_alone()):
            aspect = None  # A model reads for itself.
        if unsaid is None and aspect is not None:
            unsaid = aspect.unsaid
        if unsaid is not None:
            odds = Answerability(_NEVER_SAID, unsaid)
        elif aspect is not None and aspect.gist:
            question = replace(question, kind=QuestionKind.FACT)
            odds = Answerability(max(odds.probability, _ALWAYS_TOLD), odds.reason)

        hits = gathered.hits
        if question.kind in WIDE and selection.belongs:
            hits = likeliest_first(hits, selection.belongs, question.kind)
        draft = _Draft(question, history, effort, hits, odds, course.notes)
        quoted = self._quoted(form, last)
        chosen = quoted or selection.evidence
        if aspect is not None and aspect.spoken and not quoted:
            chosen = speaking_first(aspect, chosen)
        evidence = self._offered(chosen, course)
        # Of papers that were asked for by name, anything may be told.
        wanted = unsaid is None and (
            aspect is not None
            or asks_what_it_says(question, gathered.hits)
            or (bool(question.filters.papers) and selection.asks_nothing)
        )
        none_other = bool(question.shown) and all(item.belongs < SQUARELY for item in evidence)
        unlikely = odds.probability < self._threshold() and not (wanted or quoted)
        if not evidence or none_other or unlikely:
            reason = NO_OTHERS if none_other else odds.reason or TOO_FAR
            yield from self._decline(draft, reason, course)
            return

        papers = len({item.paper.id for item in evidence})
        yield Working("write", f"reading {papers} papers")
        rivals = deep.rivals(question, evidence)
        task = WritingTask(
            question,
            evidence,
            talk,
            effort,
            parts,
            rivals,
            () if aspect is not None and aspect.gist else selection.unheard,
            _length(form),
            # In a talk the papers before may say what the question leaves out.
            unsure=not (question.focus or wanted) and odds.probability < UNSURE,
        )
        from_papers = Quoting() if quoted else self._from_papers(question, gathered)
        if self._from_papers_alone():
            cited = yield from self._write(from_papers, task, course)
        else:
            cited = yield from self._write(self.backend, _as_wished(task, form), course)
        if cited is None:
            yield from self._decline(draft, "the papers found do not say it", course)
            return
        backed = any(sentence.verdict is Verdict.SUPPORTED for sentence in cited.sentences)
        if not backed and not self._from_papers_alone():
            course.notes.append(
                f"What {self.backend.name} wrote could not be backed by the papers: these are "
                "their own sentences instead."
            )
            yield Working("write", "turning to the papers' own sentences")
            cited = (yield from self._write(from_papers, task, course)) or cited
        course.notes.extend(cited.notes())
        course.notes.extend(self._notes_on_form(form, cited))
        told_of = [citation.paper for citation in cited.citations]
        if self._from_papers_alone() and figure_missing(question, told_of):
            draft = replace(draft, odds=Answerability(_NEVER_SAID, None))
        if question.kind is QuestionKind.LIST:
            told = len(cited.citations)
            searched = self.library.page(question.filters, limit=1).total
            course.notes.append(
                f"{told} of the {len(gathered.hits)} papers that were judged are listed; "
                f"{searched} were searched."
            )
        yield Done(self._answered(draft, cited, course))

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

        ``rewritten`` is a standalone form that a model made; without it the rules make one. With
        effort deep the question is split by rule.
        """
        understood = understand(
            question, history, self.library, filters=filters, rewritten=rewritten
        )
        parts = deep.split(understood) if effort is Effort.DEEP else ()
        return self._found(understood, parts, effort)

    def _said_of_last(self, form: Form, talk: Sequence[Message]) -> str:
        """What to say to a turn on the last answer that is no answer itself, or ''."""
        if form in (Form.LINKS, Form.BIBTEX):
            told = Talk(talk, self.library)
            papers = told.last or told.papers
            return records_of(papers, form) if papers else NOTHING_SAID
        said = talk[-1]
        declined = said.role == "user" or said.content.startswith(DECLINED)
        unasked = all(turn.role != "user" for turn in talk)
        return NOTHING_SAID if unasked or (form is Form.WORDS and declined) else ""

    def _quoted(self, form: Form | None, talk: Sequence[Message]) -> tuple[Evidence, ...]:
        """The sentences of papers in the last answer, where they are asked for."""
        if form is not Form.WORDS or not self._from_papers_alone():
            return ()
        return quoted_in(talk[-1].content, Talk(talk, self.library).last, self.library)

    def _notes_on_form(self, form: Form | None, cited: CitedText) -> list[str]:
        """What a person should know of an answer that was wished shorter, or doubted."""
        if form is Form.SHORTER and self._from_papers_alone():
            return [_FEWER_WORDS]
        if form is Form.WORDS and cited.sentences:
            least = min(sentence.support for sentence in cited.sentences)
            return [f"Checked again: each sentence has a support of {least:.2f} or more."]
        return []

    def _understand(
        self, text: str, history: tuple[Message, ...], filters: Filters, course: _Course
    ) -> Generator[Event, None, Question]:
        rewritten = None
        if history:
            yield Working("understand", "reading the conversation")
            rewritten, usage = self.backend.standalone(text, history)
            course.cost += usage
            course.go_on()
        mark = time.perf_counter()
        question = understand(text, history, self.library, filters=filters, rewritten=rewritten)
        course.took("retrieve", mark)
        course.notes.extend(question.notes)
        return question

    def _parts(
        self, question: Question, effort: Effort, course: _Course
    ) -> Generator[Event, None, tuple[str, ...]]:
        """The sub-questions of a question that deserves the long way."""
        if effort is not Effort.DEEP:
            return ()
        yield Working("understand", "looking for the parts of the question")
        plan = deep.plan(question, self.backend)
        course.cost += plan.usage
        course.go_on()
        if not plan.parts and deep.is_simple(question):
            course.notes.append("The question asks for one thing: the short way was taken.")
        elif not plan.parts:
            course.notes.append("The question has no parts: more papers were read for it at once.")
        return plan.parts

    def _gather(
        self, question: Question, parts: tuple[str, ...], effort: Effort, course: _Course
    ) -> Generator[Event, None, Gathered]:
        what = f" for {len(parts)} sub-questions" if parts else ""
        yield Working("search", f"searching {len(self.library)} papers{what}")
        mark = time.perf_counter()
        gathered = self._found(question, parts, effort)
        course.took("retrieve", mark)
        course.notes.extend(gathered.notes)
        course.go_on()
        return gathered

    def _found(self, question: Question, parts: tuple[str, ...], effort: Effort) -> Gathered:
        notes: list[str] = []

        def search(asked: Question, papers: int) -> tuple[Hit, ...]:
            many = papers + len(question.shown)
            hits, said = self._search(asked, many, read=effort is not Effort.QUICK)
            notes.extend(note for note in said if note not in notes)
            return hits

        if effort is Effort.DEEP and deep.is_simple(question):
            effort = Effort.NORMAL
        # What was shown before is judged beside the others: being near is relative.
        most = _EVIDENCE[effort] + _PER_PAPER * len(question.shown)
        if parts:
            found = deep.gather(
                question,
                parts,
                search,
                self.library,
                papers=_PAPERS[effort],
                most=most,
                most_per_paper=_PER_PAPER,
            )
            return _of_others(
                Gathered(question, found.hits, found.selection, (*notes, *found.notes), found.parts)
            )
        papers = _PAPERS_WIDE if question.kind in WIDE else _PAPERS
        hits = search(question, papers[effort])
        if question.kind is QuestionKind.DEFINITION and thing_defined(question.standalone):
            hits += self._defining(question, hits, search)
        condition = condition_of(question.standalone) if question.kind in WIDE else None
        if condition is None and what_to_read_on(question.standalone):
            condition = SURVEYS
        if condition is not None:
            hits += self._holding(question, condition, hits)
        selection = select_evidence(
            question, hits, self.library, most=most, most_per_paper=_PER_PAPER, condition=condition
        )
        return _of_others(Gathered(question, hits, selection, tuple(notes)))

    def _defining(
        self,
        question: Question,
        hits: Sequence[Hit],
        search: Callable[[Question, int], tuple[Hit, ...]],
    ) -> tuple[Hit, ...]:
        """Papers further down that say more plainly what a thing is than those that fit best.

        Papers that are about a thing take it for known; others tell their readers.
        """
        best = max(plainest(question, hits, self.library), default=0.0)
        if not hits or best >= _PLAIN:
            return ()
        known = {hit.paper.id for hit in hits}
        found = search(question, _PAPERS_FOR_A_DEFINITION)
        further = [hit for hit in found if hit.paper.id not in known]
        plain = plainest(question, further, self.library)
        plainer = [at for at in range(len(further)) if plain[at] > best]
        plainer.sort(key=lambda at: (-plain[at], at))
        return tuple(further[at] for at in plainer[:_DEFINING])

    def _holding(
        self, question: Question, condition: Condition, hits: Sequence[Hit]
    ) -> tuple[Hit, ...]:
        """Papers further down that hold a condition of the question, those found best first."""
        known = {hit.paper.id for hit in hits}
        further: dict[str, Hit] = {}
        for wording in condition.wordings(matter_of(question)):
            for hit in self.library.find(wording, _PAPERS_FOR_A_CONDITION, question.filters).hits:
                before = further.get(hit.paper.id, hit)
                if hit.paper.id not in known:
                    further[hit.paper.id] = min(hit, before, key=_rank)
        rows = self.library.sentences(list(further))
        holding = [
            hit
            for hit in further.values()
            if (row := rows.get(hit.paper.id)) is not None
            and condition.held_by(hit.paper.title, sentences_of(hit.paper, row))
        ]
        holding.sort(key=_rank)
        return tuple(
            replace(hit, rank=n) for n, hit in enumerate(holding[:_HOLDING], len(hits) + 1)
        )

    def _search(
        self, question: Question, papers: int, *, read: bool
    ) -> tuple[tuple[Hit, ...], list[str]]:
        """Papers for the question; those in focus are among them and stand higher.

        With ``read`` the best of a large library are read beside it.
        """
        matter = matter_of(question)
        many = READ_WIDE if question.kind in WIDE else READ
        read = read and len(self.library) > _MANY_PAPERS
        result = self.library.find(matter, max(papers, many) if read else papers, question.filters)
        found = in_reading_order(matter, result.hits, many)[:papers] if read else result.hits
        notes = list(result.notes)
        if not question.focus:
            return names_first(question, found, self.library), notes
        within = replace(question.filters, papers=question.focus)
        if question.filters.papers:
            kept = tuple(i for i in question.focus if i in question.filters.papers)
            within = replace(question.filters, papers=kept or question.filters.papers)
        nearest = max((hit.dense_score or 0.0 for hit in found), default=0.0)
        # After a list a question with words of its own is a new one; of one paper more is asked.
        of_those = question.leans or len(question.focus) == 1
        lost = of_those and nearest < _NEAR_ENOUGH
        bonus = _FOCUS_BONUS_WHEN_LOST if lost else _FOCUS_BONUS
        focused = self.library.find(matter, len(question.focus), within)
        merged = {hit.paper.id: hit for hit in focused.hits}
        # Scores are relative to one search: the wide search's are the ones that compare.
        scores = {hit.paper.id: hit.score for hit in found}
        least = _UNFOUND
        if question.leans and len(question.focus) == 1:
            # Among many papers even the last of those found come near its words.
            least = max(least, min(scores.values(), default=0.0))
        merged.update({hit.paper.id: hit for hit in found})
        rescored = [
            replace(
                hit,
                score=scores.get(paper_id, least) + (bonus if paper_id in question.focus else 0.0),
            )
            for paper_id, hit in merged.items()
        ]
        rescored.sort(key=lambda hit: (-hit.score, hit.paper.id))
        return tuple(replace(hit, rank=n) for n, hit in enumerate(rescored[:papers], 1)), notes

    def _threshold(self) -> float:
        return ANSWERABLE if self._from_papers_alone() else _ATTEMPT_WITH_MODEL

    def _from_papers_alone(self) -> bool:
        return isinstance(self.backend, ExtractiveBackend)

    def _from_papers(self, question: Question, gathered: Gathered) -> Backend:
        """Who writes with the papers' own sentences: joined questions get an answer each."""
        if deep.are_joined(question) and any(part.evidence for part in gathered.parts):
            return deep.PartByPart(gathered.parts)
        return self.backend if isinstance(self.backend, ExtractiveBackend) else ExtractiveBackend()

    def _offered(self, evidence: tuple[Evidence, ...], course: _Course) -> tuple[Evidence, ...]:
        """What a writer may cite: no sentence that gives orders to a model.

        A library leaves such words out itself; one that an older citewise filled has them still.
        """
        papers = {item.paper.id: item.paper for item in evidence}
        orders = {one.title: n for one in papers.values() if (n := len(order_spans(one.abstract)))}
        if orders:
            course.notes.append(
                "Left out, because it reads like an order to a language model: words in "
                f"{sum(orders.values())} places of the abstract of {'; '.join(orders)}."
            )
        kept = [item for item in evidence if not tells_a_model(item.span.text)]
        return tuple(replace(item, n=n) for n, item in enumerate(kept, 1))

    def _write(
        self, backend: Backend, task: WritingTask, course: _Course
    ) -> Generator[Event, None, CitedText | None]:
        """Let the backend write; yield its sentences as they are checked, then mend what failed.

        Returns the cited text, or None when the backend declined.
        """
        cited = CitedText(task.evidence)
        shown: list[SentenceReady] = []
        raw = held = ""
        with closing(backend.write(task)) as pieces:
            while True:
                mark = time.perf_counter()
                try:
                    piece = next(pieces)
                except StopIteration as end:
                    course.cost += end.value or Usage()
                    break
                except AnswerCutError as error:
                    course.cost += error.usage
                    course.notes.append(f"The answer ends early: {error}")
                    course.cut = True
                    cited.drop_unfinished()
                    break
                finally:
                    course.took("write", mark)
                course.go_on()
                raw += piece
                held += piece
                if may_say_no_answer(raw):
                    continue
                mark = time.perf_counter()
                ready = list(cited.feed(held))
                held = ""
                course.took("check", mark)
                shown += ready
                yield from ready
        if says_no_answer(raw):
            return None
        mark = time.perf_counter()
        ready = [*cited.feed(held), *cited.finish()]
        course.took("check", mark)
        shown += ready
        yield from ready
        if isinstance(backend, ExtractiveBackend):
            return cited
        return (yield from self._mend(backend, task, Draft(task.evidence, shown, cited), course))

    def _mend(
        self, backend: Backend, task: WritingTask, draft: Draft, course: _Course
    ) -> Generator[Event, None, CitedText]:
        """The draft with its failing sentences rewritten once, or else dropped or flagged."""
        failing = draft.failing
        reply = ""
        in_time = not course.cut and course.seconds() < _REVISE_WITHIN_S
        if failing and task.effort is not Effort.QUICK and in_time and isinstance(backend, Reviser):
            mark = time.perf_counter()
            doubtful = "a sentence" if len(failing) == 1 else f"{len(failing)} sentences"
            yield Working("check", f"having {doubtful} rewritten that the papers do not back")
            with closing(backend.revise(task, failing)) as pieces:
                while True:
                    try:
                        reply += next(pieces)
                    except StopIteration as end:
                        course.cost += end.value or Usage()
                        break
                    except BackendError as error:
                        cost = error.usage if isinstance(error, AnswerCutError) else Usage(calls=1)
                        course.cost += cost
                        course.notes.append(f"Rewriting what failed the check failed: {error}")
                        # The last line may be a half.
                        reply = reply.rpartition("\n")[0]
                        break
                    course.go_on()
                    if reply.endswith("\n"):
                        # A reader who stops is heard here.
                        yield Working("check", "checking what was rewritten")
            course.took("write", mark)
        mark = time.perf_counter()
        revised = draft.revised(reply)
        course.took("check", mark)
        course.notes.extend(revised.notes)
        return revised.cited

    def _answered(self, draft: _Draft, cited: CitedText, course: _Course) -> Answer:
        supports = [sentence.support for sentence in cited.sentences]
        backed = sum(supports) / len(supports) if supports else 0.0
        titles = [citation.paper.title for citation in cited.citations if citation.paper.title]
        return draft.answer(
            text=cited.text,
            sentences=tuple(cited.sentences),
            citations=cited.citations,
            confidence=confidence(draft.odds.probability, draft.question.kind, backed),
            backend=self.backend.name,
            usage=course.cost,
            timings_ms=course.timings_ms(),
            library=self.library.fingerprint,
            suggestions=tuple(_follow_ups(titles)),
        )

    def _reply(self, said: str, draft: _Draft, course: _Course) -> Generator[Event, None, None]:
        """Say something that is no answer."""
        answer = draft.answer(
            text=said,
            sentences=(),
            citations=(),
            confidence=1.0,
            backend=self.backend.name,
            usage=course.cost,
            timings_ms=course.timings_ms(),
            library=self.library.fingerprint,
            reason=ASKS_NOTHING,
        )
        yield SentenceReady(said, None, ())
        yield Done(answer)

    def _decline(self, draft: _Draft, reason: str, course: _Course) -> Generator[Event, None, None]:
        """Say that the papers don't hold the answer, and what is nearest."""
        lines = [f"{DECLINED}: {reason}."]
        # What a record tells is told of the papers that were talked of.
        draft = draft if draft.odds.probability == _NEVER_SAID else draft.without_focus()
        nearest = draft.hits[:3]
        if nearest:
            lines.append("\nThe nearest papers are:\n")
            lines += [f"- {hit.paper.heading}" for hit in nearest]
        text = "\n".join(lines)
        answer = draft.answer(
            text=text,
            sentences=(),
            citations=(),
            confidence=1.0 - draft.odds.probability,
            backend=self.backend.name,
            usage=course.cost,
            timings_ms=course.timings_ms(),
            library=self.library.fingerprint,
            reason=reason,
            suggestions=tuple(
                f"What does {short_name(title)} propose?" if _is_name(title) else _about(title)
                for hit in nearest
                if (title := hit.paper.title)
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

    @classmethod
    def of_nothing(cls, text: str, history: tuple[Message, ...], effort: Effort) -> _Draft:
        """Of a turn that asks nothing of the papers."""
        return cls(Question(text, text), history, effort, (), Answerability(0.0, ASKS_NOTHING), [])

    def without_focus(self) -> _Draft:
        """The same with the nearest papers first: those that were talked of lose their bonus."""
        if not self.question.focus:
            return self
        nearest = sorted(self.hits, key=lambda hit: -(hit.dense_score or 0.0))
        return replace(self, hits=tuple(replace(hit, rank=n) for n, hit in enumerate(nearest, 1)))

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
                Retrieved(hit.rank, hit.paper.id, hit.paper.heading, hit.score) for hit in self.hits
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


def _of_others(gathered: Gathered) -> Gathered:
    """The same without papers that were shown before, where others are wanted.

    And without those that would not have been told of beside them.
    """
    question, shown = gathered.question, gathered.question.shown
    if not shown:
        return gathered
    belongs: dict[str, float] = {}
    for item in gathered.selection.evidence:
        belongs[item.paper.id] = max(item.belongs, belongs.get(item.paper.id, 0.0))
    told = told_of(list(belongs.values()), question.kind)
    left_out = {*shown, *(one for one, kept in zip(belongs, told, strict=True) if not kept)}
    hits = [hit for hit in gathered.hits if hit.paper.id not in shown]
    evidence = [item for item in gathered.selection.evidence if item.paper.id not in left_out]
    return replace(
        gathered,
        hits=tuple(replace(hit, rank=n) for n, hit in enumerate(hits, 1)),
        selection=replace(gathered.selection, evidence=tuple(evidence)),
    )


def _last_asked(talk: tuple[Message, ...]) -> tuple[str, tuple[Message, ...]]:
    """The last question of a talk and what came before it."""
    at = max(at for at, turn in enumerate(talk) if turn.role == "user")
    return talk[at].content, talk[:at]


def _length(form: Form | None) -> Length:
    return _LENGTHS.get(form, Length.USUAL) if form else Length.USUAL


def _as_wished(task: WritingTask, form: Form | None) -> WritingTask:
    """The task with the wish about its form for a model to read ('in one sentence')."""
    if form is None:
        return task
    asked = task.question
    wished = replace(asked, standalone=f"{asked.standalone} ({asked.text.strip()})")
    return replace(task, question=wished)


def _rank(hit: Hit) -> int:
    return hit.rank


def _last(events: Iterator[Event]) -> Answer:
    """The answer with which a stream ends."""
    for event in events:
        if isinstance(event, Done):
            return event.answer
    raise AssertionError("a stream ends with Done")


@cache
def _threads() -> ThreadPoolExecutor:
    """The threads in which ``aask`` works; made when first needed."""
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="citewise-ask")


def _about(title: str) -> str:
    return f"What is {short_name(title)} about?"


def _is_name(title: str) -> bool:
    """Whether a paper's short name is one: nobody asks how 'What We Saw' works."""
    name = short_name(title)
    marked = any(c.isupper() or c.isdigit() for word in name.split() for c in word[1:])
    return name != title and len(name.split()) <= (_LONGEST_NAME if marked else _LONGEST_NAME - 1)


def _follow_ups(titles: Sequence[str]) -> list[str]:
    """Questions that lead on from the papers of an answer."""
    if not titles:
        return []
    names = [short_name(title) for title in titles]
    first = f"How does {names[0]} work?" if _is_name(titles[0]) else _about(titles[0])
    questions = [first, f"What results does {names[0]} report?"]
    if len(names) > 1:
        questions.append(f"How do {names[0]} and {names[1]} differ?")
    return questions
