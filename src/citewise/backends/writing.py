"""What every language model has in common as a backend: prompts in, checked text out.

The format is plain text with ``[n]`` after each sentence, for every server alike. Structured output
(``response_format`` with a JSON schema) is not asked for, because

- sentences are shown as they land, and half a JSON document shows nothing;
- servers differ: some refuse the parameter, some ignore it in silence, some hold to it. Whoever
  ignores it must be read as plain text all the same, so there would be two ways, each half tested;
- what a schema would promise, numbers that were offered, is seen to anyway: whatever else a model
  cites is dropped (``citewise.answering.citations``);
- models write worse under a forced format (Tam et al. 2024, "Let Me Speak Freely?", on reasoning).

A model that answers in JSON unasked is read too: see ``from_json``.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from citewise import prompts
from citewise.backends.base import Failing, WritingTask
from citewise.errors import BackendError, BackendUnavailableError
from citewise.types import Effort, Evidence, Message, Price, Question, QuestionKind, Usage

_log = logging.getLogger("citewise")

NO_ANSWER = "NOT IN THE PAPERS"
"""What a model is told to reply when the evidence does not hold the answer."""

SINGLE = "SINGLE"
"""What a model is told to reply when a question cannot be split."""

FEWEST_PARTS, MOST_PARTS = 2, 4
"""Sub-questions of a question that is split."""

MAX_TOKENS: Mapping[Effort, int] = {Effort.QUICK: 768, Effort.NORMAL: 1536, Effort.DEEP: 3072}
"""Ceiling of an answer. The prompt asks for 120 words; the rest is room for models that think."""

MAX_CHARS = 20_000
"""Characters of an answer after which a model is stopped: it is no longer answering."""

_REWRITE_TOKENS = 512
_SPLIT_TOKENS = 768
_REVISE_TOKENS = 1536
_FAILING_CHARS = 600
_REASONS = 4
_REWRITE_CHARS = 600
_HISTORY_TURNS = 6
_HISTORY_CHARS = 1_000
_QUESTION_CHARS = 4_000

_KINDS: Mapping[QuestionKind, str] = {
    QuestionKind.FACT: "a fact",
    QuestionKind.NUMBER: "a number",
    QuestionKind.DEFINITION: "a definition",
    QuestionKind.COMPARISON: "a comparison",
    QuestionKind.LIST: "a list",
    QuestionKind.OVERVIEW: "an overview, grouped by what the papers say",
    QuestionKind.HOW: "how something is done",
    QuestionKind.YES_NO: "yes or no",
}

_TAG = re.compile(r"<(?=\s*/?\s*(?:evidence|question|conversation|failing|paper)\b)", re.IGNORECASE)
_ROLE_TOKEN = re.compile(r"<(?=\|)|<(?=<\s{0,4}/?SYS>)|<(?=(?:start|end)_of_turn>)", re.IGNORECASE)
_ROLE_BRACKETS = re.compile(r"\[(/?INST)\]", re.IGNORECASE)
_NUMBER = re.compile(r"\[(\s*\d[\d\s,;–-]*)\]")
_UNSHOWABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\U000e0000-\U000e0fff]"
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LABEL = re.compile(r"^\W*(?:(?:standalone|rewritten)\s+)?question\W*:\s*", re.IGNORECASE)
_LIST_MARK = re.compile(r"^\s*(?:[-*•]|\(?(?:Q|q)?\d{1,2}[.):])\s*")
_JSON_START = re.compile(r"\s*(?:```(?:json)?\s*)?(?:\{|\[\s*[{\"])", re.IGNORECASE)
_JSON_MAYBE = re.compile(r"\s*(?:`{1,3}(?:j(?:s(?:on?)?)?)?\s*)?(?:\[\s*)?", re.IGNORECASE)
_THOUGHT_TAGS = ("<think>", "<thinking>", "<thought>")


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One turn of what is sent to a model."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatModel(Protocol):
    """A language model behind any door: turns in, text out piece by piece."""

    @property
    def name(self) -> str:
        """As given on the command line, without any secret."""
        ...

    def stream(
        self, messages: Sequence[ChatTurn], *, max_tokens: int
    ) -> Generator[str, None, Usage]:
        """Yield the reply piece by piece; return what it cost. Closing it stops the request.

        Raises AnswerCutError when the reply ends early, any other BackendError when there is none.
        """
        ...


class AnswerCutError(BackendUnavailableError):
    """A reply that ended early: what was yielded stands, but its last sentence may be a half."""

    def __init__(self, message: str, usage: Usage) -> None:
        super().__init__(message)
        self.usage = usage
        """What the reply cost, as far as the server said."""


class ModelBackend:
    """Writes answers with a language model; see ``citewise.backends.base.Backend``."""

    def __init__(
        self, model: ChatModel, *, price: Price | None = None, max_chars: int = MAX_CHARS
    ) -> None:
        """``max_chars``: length in characters at which a reply is stopped."""
        self.model = model
        self.price = price
        """What its tokens cost; None where nobody said."""
        self._max_chars = max_chars

    @property
    def name(self) -> str:
        """As given on the command line, without any secret."""
        return self.model.name

    @property
    def prompt_hashes(self) -> dict[str, str]:
        """SHA-256 by name of the prompts that go into an answer, to be kept with results."""
        used = (
            "answer_system",
            "answer_user",
            "answer_revise",
            "rewrite_question_system",
            "rewrite_question_user",
            "split_question_system",
            "split_question_user",
        )
        return {name: prompts.load(name).sha256 for name in used}

    def write(self, task: WritingTask) -> Generator[str, None, Usage]:
        """Yield the answer piece by piece; return what it cost.

        Yields ``NO_ANSWER`` alone, without asking the model, when there is no evidence. Raises
        AnswerCutError when the answer ends early, any other BackendError when there is none.
        """
        if not task.evidence:
            yield NO_ANSWER
            return Usage()
        reply = self._reply(answer_turns(task), MAX_TOKENS[task.effort])
        return (yield from from_json(reply))

    def revise(self, task: WritingTask, failing: Sequence[Failing]) -> Generator[str, None, Usage]:
        """Yield new sentences for those that fail, one a line; see ``backends.base.Reviser``.

        Raises BackendError when there is no reply.
        """
        return (yield from self._reply(revise_turns(task, failing), _REVISE_TOKENS))

    def split(self, question: Question) -> tuple[tuple[str, ...] | None, Usage]:
        """Sub-questions, none when the question is one, or None to leave that to the rules.

        A model that fails here is not an error: the rules can do it, worse. It is logged.
        """
        try:
            reply, usage = collect(self._reply(split_turns(question), _SPLIT_TOKENS))
        except BackendError as error:
            _log.warning("the question is split by rules: %s", error)
            return None, Usage(calls=1)
        return _sub_questions(reply), usage

    def standalone(self, question: str, history: Sequence[Message]) -> tuple[str | None, Usage]:
        """The question with its history folded in, or None to leave that to the rules.

        A model that fails here is not an error: the rules can do it, worse. It is logged.
        """
        if not history:
            return None, Usage()
        try:
            reply, usage = collect(self._reply(rewrite_turns(question, history), _REWRITE_TOKENS))
        except BackendError as error:
            _log.warning("the question is folded into its history by rules: %s", error)
            return None, Usage(calls=1)
        return _one_question(reply), usage

    def probe(self) -> tuple[str, Usage]:
        """Ask one short question: what the model replied, and what it cost.

        Raises BackendError when it does not reply.
        """
        turn = ChatTurn("user", prompts.load("probe").render())
        return self.reply((turn,), MAX_TOKENS[Effort.QUICK])

    def reply(self, turns: Sequence[ChatTurn], max_tokens: int) -> tuple[str, Usage]:
        """What the model replies to any turns, without its thoughts, and what it cost.

        Raises BackendError when it does not reply.
        """
        return collect(self._reply(turns, max_tokens))

    def _reply(self, turns: Sequence[ChatTurn], max_tokens: int) -> Generator[str, None, Usage]:
        pieces = drop_thoughts(self.model.stream(turns, max_tokens=max_tokens))
        length = 0
        empty = True
        try:
            while True:
                try:
                    piece = clean(next(pieces))
                except StopIteration as end:
                    usage = self._paid(end.value)
                    break
                except AnswerCutError as error:
                    error.usage = self._paid(error.usage)
                    raise
                room = self._max_chars - length
                length += len(piece)
                empty = empty and not piece.strip()
                if piece:
                    yield piece[:room]
                if length > self._max_chars:
                    raise AnswerCutError(
                        f"{self.name} was stopped after {self._max_chars} characters: "
                        "it did not come to an end",
                        Usage(calls=1),
                    )
        finally:
            pieces.close()
        if empty:
            raise BackendUnavailableError(
                f"{self.name} gave an empty answer; ask again, or use the backend extractive, "
                "which needs no model"
            )
        return usage

    def _paid(self, usage: Usage) -> Usage:
        return usage if self.price is None else self.price.paid(usage)


def answer_turns(task: WritingTask) -> tuple[ChatTurn, ChatTurn]:
    """What is sent for an answer: a constant system turn, then evidence and question."""
    system = prompts.load("answer_system").render(no_answer=NO_ANSWER)
    user = prompts.load("answer_user").render(
        evidence=evidence_lines(task.evidence),
        question=defused(task.question.standalone or task.question.text, _QUESTION_CHARS),
        kind=_KINDS[task.question.kind],
        parts=_parts(task.parts),
        no_answer=NO_ANSWER,
    )
    return ChatTurn("system", system), ChatTurn("user", user)


def revise_turns(task: WritingTask, failing: Sequence[Failing]) -> tuple[ChatTurn, ChatTurn]:
    """What is sent to rewrite sentences: it begins like the answer's own turns, evidence and all.

    A server that keeps its cache has read that part already.
    """
    lines = []
    for n, item in enumerate(failing, 1):
        # Not defused: the numbers it cites are those of the evidence.
        text = _TAG.sub("‹", " ".join(clean(item.text).split()))[:_FAILING_CHARS]
        why = "; ".join(defused(reason, 200) for reason in item.reasons[:_REASONS])
        lines.append(f"S{n}: {text}\n   Checker: {why or item.verdict.value}")
    user = prompts.load("answer_revise").render(
        evidence=evidence_lines(task.evidence),
        question=defused(task.question.standalone or task.question.text, _QUESTION_CHARS),
        failing="\n".join(lines),
    )
    system = prompts.load("answer_system").render(no_answer=NO_ANSWER)
    return ChatTurn("system", system), ChatTurn("user", user)


def split_turns(question: Question) -> tuple[ChatTurn, ChatTurn]:
    """What is sent to split a question: rules, then the question."""
    user = prompts.load("split_question_user").render(
        question=defused(question.standalone or question.text, _QUESTION_CHARS),
        kind=_KINDS[question.kind],
    )
    system = prompts.load("split_question_system").render(single=SINGLE)
    return ChatTurn("system", system), ChatTurn("user", user)


def _parts(parts: Sequence[str]) -> str:
    if not parts:
        return ""
    lines = "".join(f"\n- {defused(part, _REWRITE_CHARS)}" for part in parts)
    return f"\nIts parts, each to be answered if the evidence holds it:{lines}"


def rewrite_turns(question: str, history: Sequence[Message]) -> tuple[ChatTurn, ChatTurn]:
    """What is sent to make a question stand alone: rules, then the last turns and the question."""
    conversation = "\n".join(
        f"{message.role}: {defused(message.content, _HISTORY_CHARS)}"
        for message in history[-_HISTORY_TURNS:]
    )
    user = prompts.load("rewrite_question_user").render(
        conversation=conversation, question=defused(question, _QUESTION_CHARS)
    )
    system = prompts.load("rewrite_question_system").render()
    return ChatTurn("system", system), ChatTurn("user", user)


def evidence_lines(evidence: Sequence[Evidence]) -> str:
    """One line for each sentence: ``[n] (title, date) sentence``."""
    lines = []
    for item in evidence:
        date = f", {item.paper.published}" if item.paper.published else ""
        title = defused(item.paper.title, 300)
        lines.append(f"[{item.n}] ({title}{date}) {defused(item.span.text)}")
    return "\n".join(lines)


def defused(text: str, limit: int | None = None) -> str:
    """Foreign text on one line that can neither close its tags nor pose as numbered evidence.

    Nor can it open a turn: servers read the marks of their chat template also where they are text.
    Cut after ``limit`` characters, when given.
    """
    line = " ".join(clean(text).split())
    line = _ROLE_BRACKETS.sub(r"(\1)", _ROLE_TOKEN.sub("‹", line))
    line = _NUMBER.sub(r"(\1)", _TAG.sub("‹", line))
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def clean(text: str) -> str:
    """``text`` without what no reply needs: control and direction characters, lone surrogates."""
    return _SURROGATE.sub("\ufffd", _UNSHOWABLE.sub("", text))


def says_no_answer(text: str) -> bool:
    """Whether a reply begins with ``NO_ANSWER``, in any case and with any marks around it.

    Models like to add a reason after it: that still is no answer.
    """
    return _letters(text).startswith(NO_ANSWER.casefold())


def may_say_no_answer(start: str) -> bool:
    """Whether a reply that begins like that says ``NO_ANSWER``, or still may."""
    return says_no_answer(start) or NO_ANSWER.casefold().startswith(_letters(start))


def _letters(text: str) -> str:
    return re.sub(r"[\W\d_]+", " ", text.casefold()).lstrip()


def from_json(pieces: Generator[str, None, Usage]) -> Generator[str, None, Usage]:
    """A reply as plain text with ``[n]`` markers, though the model wrote JSON.

    Read are objects with a text (``sentence``, ``text``, ``claim``, ``answer``) and its numbers
    (``evidence``, ``citations``, ``sources``, ``ids``), alone, listed, or listed in an object.
    Anything else is passed on as it came.
    """
    held = ""
    json_like: bool | None = None
    try:
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                usage: Usage = end.value
                break
            except AnswerCutError:
                if held and not json_like:
                    yield held
                raise
            if json_like is False:
                yield piece
                continue
            held += piece
            if json_like is None and _JSON_START.match(held):
                json_like = True
            elif json_like is None and not _JSON_MAYBE.fullmatch(held):
                json_like = False
                yield held
                held = ""
    finally:
        pieces.close()
    if held:
        yield (_text_in_json(held) if json_like else None) or held
    return usage


def _text_in_json(reply: str) -> str | None:
    text = re.sub(r"^\s*```(?:json)?|```\s*$", "", reply.strip(), flags=re.IGNORECASE)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    lines = [line for line in _json_sentences(value, 0) if line]
    return "\n".join(lines) or None


def _json_sentences(value: object, depth: int) -> Iterator[str]:
    if depth > 3:
        return
    if isinstance(value, list):
        for item in value:
            yield from _json_sentences(item, depth + 1)
    elif isinstance(value, str) and depth:
        yield " ".join(value.split())
    elif isinstance(value, dict):
        text = _first(value, ("sentence", "text", "claim", "answer"))
        if isinstance(text, str):
            cited = _first(value, ("evidence", "citations", "sources", "ids"))
            given = cited if isinstance(cited, list) else [cited]
            found = [n for n in given if re.fullmatch(r"\[?\d{1,4}\]?", str(n))]
            numbers = [str(n).strip("[]") for n in found]
            yield " ".join(text.split()) + "".join(f" [{n}]" for n in numbers)
            return
        for item in value.values():
            if isinstance(item, list | dict):
                yield from _json_sentences(item, depth + 1)


def _first(value: Mapping[str, object], names: Sequence[str]) -> object:
    return next((value[name] for name in names if name in value), None)


def drop_thoughts(pieces: Generator[str, None, Usage]) -> Generator[str, None, Usage]:
    """A reply without the ``<think>...</think>`` blocks that it begins with.

    Only at the beginning: further on, the words may be quoted from a paper about such models.
    """
    held = ""
    closing: str | None = None
    begun = False
    try:
        while True:
            try:
                piece = next(pieces)
            except StopIteration as end:
                if held and closing is None:
                    yield held
                usage: Usage = end.value
                return usage
            if begun:
                yield piece
                continue
            held += piece
            while True:
                if closing is not None:
                    # Not by folding the case first: that can change where things stand.
                    end_tag = re.search(closing, held, re.IGNORECASE)
                    if end_tag is None:
                        # The end may hold the first half of the closing tag.
                        held = held[-len(closing) :]
                        break
                    held, closing = held[end_tag.end() :], None
                head = held.lstrip()
                start = head.casefold()
                tag = next((tag for tag in _THOUGHT_TAGS if start.startswith(tag)), None)
                if tag is not None:
                    held, closing = head[len(tag) :], "</" + tag[1:]
                    continue
                begun = not any(tag.startswith(start) for tag in _THOUGHT_TAGS)
                break
            if begun:
                yield head
                held = ""
    finally:
        pieces.close()


def collect(pieces: Generator[str, None, Usage]) -> tuple[str, Usage]:
    """A whole reply and what it cost."""
    text = []
    while True:
        try:
            text.append(next(pieces))
        except StopIteration as end:
            return "".join(text), end.value


def _one_question(reply: str) -> str | None:
    lines = [line.strip() for line in reply.splitlines() if line.strip()]
    if not lines:
        return None
    line = _LABEL.sub("", lines[0]).strip().strip("\"'`*“”").strip()
    return line if 0 < len(line) <= _REWRITE_CHARS else None


def _sub_questions(reply: str) -> tuple[str, ...] | None:
    """The sub-questions of a reply, none for ``SINGLE``, None when it holds nothing of use."""
    if reply.strip(" \n\t*\"'`.").casefold() == SINGLE.casefold():
        return ()
    found: dict[str, str] = {}
    for raw in reply.splitlines():
        line = _LIST_MARK.sub("", raw).strip().strip("\"'`*“”").strip()
        # Remarks ('Here are the sub-questions:') are no questions.
        if line.endswith(":") or not 2 <= len(line.split()) <= 60 or len(line) > _REWRITE_CHARS:
            continue
        found.setdefault(line.casefold(), line)
    parts = tuple(found.values())[:MOST_PARTS]
    return parts if len(parts) >= FEWEST_PARTS else None
