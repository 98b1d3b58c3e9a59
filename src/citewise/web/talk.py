"""One conversation as a browser tab sees it: questions put, answers as they come, stopped ones.

Nothing here knows Gradio; HTML is made by :mod:`citewise.web.render`, and what was said is kept by
:mod:`citewise.conversations`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from citewise.conversations import Conversation, Conversations, Pending, Turn, TurnState
from citewise.errors import CitewiseError
from citewise.types import (
    Answer,
    Done,
    Event,
    Filters,
    Message,
    SentenceReady,
    Working,
    short_name,
)
from citewise.web import render
from citewise.web.context import Asks, Shelves

log = logging.getLogger("citewise")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation as a browser tab sees it."""

    conversation: str = ""
    """Id of the conversation; empty before its first question."""
    turn: int = 0
    """Id of the last turn, which is ``current``."""
    past: str = ""
    """HTML of the turns before the last."""
    current: str = ""
    """HTML of the last turn."""
    question: str = ""
    """The last question."""
    within: str = ""
    """The filters it was asked with, in words."""
    pieces: tuple[SentenceReady, ...] = ()
    """What has come of the answer that is being written."""
    history: tuple[Message, ...] = ()
    """The conversation for the next question."""
    working: bool = False


def converse(
    assistant: Asks,
    question: str,
    talk: Talk,
    kept: Conversations,
    *,
    owner: str = "",
    effort: str = "normal",
    filters: Filters | None = None,
    replacing: int | None = None,
) -> Iterator[Talk]:
    """Ask ``question`` and yield the conversation after every step; the last one is not working.

    ``replacing`` is the id of a turn of this conversation whose place the question takes. Never
    raises: an error of ours becomes its own text in the talk, any other a plain sentence there and
    a traceback in the log. Closed before its end, it keeps what had come.
    """
    filters = filters or Filters()
    pending: Pending | None = None
    stream: Iterator[Event] = iter(())
    doing = "reading the question"
    talk = replace(talk, question=question, pieces=(), working=True)

    def shown(body: str, *, busy: bool = True) -> Talk:
        return replace(talk, current=_turn(talk, body, busy=busy), working=busy)

    try:
        pending, talk = _begun(
            assistant, talk, kept, owner=owner, effort=effort, filters=filters, replacing=replacing
        )
        yield shown(render.status_html(doing))
        stream = assistant.stream(question, talk.history, effort=effort, filters=filters)
        for event in stream:
            if isinstance(event, Working):
                doing = event.text
                yield shown(_unfinished(talk) + render.status_html(doing))
            elif isinstance(event, SentenceReady):
                talk = replace(talk, pieces=(*talk.pieces, event))
                yield shown(_unfinished(talk) + render.status_html(doing))
            elif isinstance(event, Done):
                pending.finish(event.answer)
                talk = replace(
                    talk,
                    pieces=(),
                    history=(
                        *talk.history,
                        Message("user", question),
                        Message("assistant", event.answer.text),
                    ),
                )
                body = _finished(assistant.library, event.answer, str(talk.turn))
                yield shown(body, busy=False)
                return
        raise RuntimeError("the answer ended without its last event")
    except CitewiseError as error:
        yield shown(_failed(talk, str(error), pending), busy=False)
    except Exception:
        log.exception("answering %r failed", question)
        text = "Something inside citewise failed; the details are in the log of the server."
        yield shown(_failed(talk, text, pending), busy=False)
    finally:
        if pending is not None:
            # After another ending this does nothing.
            pending.stop(_said(talk))
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def _begun(
    assistant: Asks,
    talk: Talk,
    kept: Conversations,
    *,
    owner: str,
    effort: str,
    filters: Filters,
    replacing: int | None,
) -> tuple[Pending, Talk]:
    """The question written down, and the talk with the turns that stay before it."""
    past, history = talk.past + talk.current, talk.history
    if replacing is not None and talk.conversation:
        stays = [t for t in kept.get(talk.conversation, owner).turns if t.id < replacing]
        past = "".join(turn_html(t, talk.conversation, assistant.library) for t in stays)
        history = Conversation("", "", "", "", "", tuple(stays)).history
    pending = kept.begin(
        talk.question,
        conversation=talk.conversation,
        owner=owner,
        effort=effort,
        backend=assistant.backend.name,
        filters=filters,
        replacing=replacing,
    )
    return pending, replace(
        talk,
        conversation=pending.conversation,
        turn=pending.turn,
        past=past,
        history=history,
        within=_within(filters, assistant.library),
    )


def stopped(talk: Talk, kept: Conversations) -> Talk:
    """The conversation after the person pressed Stop: what had come stays, and says so."""
    if not talk.working:
        return talk
    said = _said(talk)
    if talk.turn:
        Pending(talk.conversation, talk.turn, kept).stop(said)
    body = _unfinished(talk) + _stopped_html(str(talk.turn))
    history = talk.history
    if said:
        history = (*history, Message("user", talk.question), Message("assistant", said))
    return replace(talk, current=_turn(talk, body), pieces=(), history=history, working=False)


def opened(conversation: Conversation, library: Shelves) -> Talk:
    """The talk of a conversation that was kept."""
    if not conversation.turns:
        return Talk(conversation=conversation.id)
    *before, last = conversation.turns
    return Talk(
        conversation=conversation.id,
        turn=last.id,
        past="".join(turn_html(turn, conversation.id, library) for turn in before),
        current=turn_html(last, conversation.id, library),
        question=last.question,
        within=_within(last.filters, library),
        history=conversation.history,
    )


def turn_html(turn: Turn, conversation: str, library: Shelves) -> str:
    """A turn that was kept, as it looked when it was answered."""
    name = str(turn.id)
    if turn.state is TurnState.ANSWERED and turn.answer is not None:
        body = _finished(
            library, turn.answer, name, kept=True, thumb=turn.thumb, reason=turn.reason
        )
    elif turn.state is TurnState.FAILED:
        body = render.message_html(turn.said) + render.again_html(name)
    else:
        body = render.prose_html(turn.said, (), (), turn=name) if turn.said else ""
        if turn.state is TurnState.STOPPED:
            body += _stopped_html(name)
        elif turn.state is TurnState.ASKED:
            text = "The server ended, or the page was left, before this was answered."
            body += render.message_html(text, title="Not answered", kind="note")
            body += render.again_html(name)
    return render.turn_html(
        turn.question,
        body,
        turn=name,
        conversation=conversation,
        within=_within(turn.filters, library),
    )


def titles_of(papers: Sequence[str], library: Shelves) -> dict[str, str]:
    """What papers are called in a filter."""
    found = library.papers_by_id(list(papers)) if papers else {}
    return {name: short_name(paper.title) for name, paper in found.items()}


def _within(filters: Filters, library: Shelves) -> str:
    return render.within_text(filters, titles_of(filters.papers, library))


def _turn(talk: Talk, body: str, *, busy: bool = False) -> str:
    return render.turn_html(
        talk.question,
        body,
        turn=str(talk.turn),
        conversation=talk.conversation,
        within=talk.within,
        busy=busy,
    )


def _said(talk: Talk) -> str:
    return "".join(piece.text for piece in talk.pieces)


def _stopped_html(turn: str) -> str:
    return render.message_html(
        "Stopped before the answer was complete.", title="Stopped", kind="note"
    ) + render.again_html(turn)


def _failed(talk: Talk, why: str, pending: Pending | None) -> str:
    again = ""
    if pending is not None:
        pending.fail(why)
        again = render.again_html(str(pending.turn))
    return _unfinished(talk) + render.message_html(why) + again


def _unfinished(talk: Talk) -> str:
    """HTML of an answer that is still coming."""
    if not talk.pieces:
        return ""
    turn = str(talk.turn)
    sentences = [piece.sentence for piece in talk.pieces if piece.sentence is not None]
    citations = talk.pieces[-1].citations
    return render.prose_html(_said(talk), sentences, citations, turn=turn) + render.store_html(
        citations, {}, turn=turn, sentences=sentences
    )


def _finished(
    library: Shelves,
    answer: Answer,
    turn: str,
    *,
    kept: bool = False,
    thumb: int = 0,
    reason: str = "",
) -> str:
    """HTML of a whole answer with its evidence."""
    looked_at = answer.retrieved if answer.answered else answer.retrieved[: render.NEAREST]
    cited = [citation.paper.id for citation in answer.citations]
    papers = library.papers_by_id([*dict.fromkeys([*cited, *(r.paper_id for r in looked_at)])])
    body = render.answer_html(answer, turn=turn, openable=papers, thumb=thumb, reason=reason)
    return body + render.store_html(
        answer.citations,
        papers,
        turn=turn,
        sentences=answer.sentences,
        retrieved=looked_at,
        kept=kept,
    )


async def in_thread(steps: Iterator[T]) -> AsyncIterator[T]:
    """Run ``steps`` in a thread of its own.

    Giving up here returns at once, even while a language model keeps the thread waiting; the
    thread then ends, and closes its stream, at its next step.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[T | BaseException | None] = asyncio.Queue()
    given_up = threading.Event()

    def put(item: T | BaseException | None) -> None:
        if not given_up.is_set():
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def work() -> None:
        try:
            for step in steps:
                if given_up.is_set():
                    break
                put(step)
        except BaseException as error:  # noqa: BLE001  # raised again in the waiting coroutine
            put(error)
        finally:
            close = getattr(steps, "close", None)
            if close is not None:
                close()
            put(None)

    threading.Thread(target=work, name="citewise-ask", daemon=True).start()
    try:
        while (item := await queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        given_up.set()
