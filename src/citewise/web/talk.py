"""One conversation as a browser tab sees it: questions put, answers as they come, stopped ones.

Nothing here knows Gradio; HTML is made by :mod:`citewise.web.render`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from citewise.errors import CitewiseError
from citewise.types import Answer, Done, Event, Message, SentenceReady, Working
from citewise.web import render
from citewise.web.context import Asks

log = logging.getLogger("citewise")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Talk:
    """One conversation as a browser tab sees it."""

    number: int = 0
    """Turns so far; the last one is ``current``."""
    past: str = ""
    """HTML of the turns before the last."""
    current: str = ""
    """HTML of the last turn."""
    question: str = ""
    """The last question."""
    pieces: tuple[SentenceReady, ...] = ()
    """What has come of the answer that is being written."""
    history: tuple[Message, ...] = ()
    """The conversation for the next question."""
    working: bool = False


def converse(
    assistant: Asks, question: str, talk: Talk, *, effort: str = "normal"
) -> Iterator[Talk]:
    """Ask ``question`` and yield the conversation after every step; the last one is not working.

    Never raises: an error of ours becomes its own text in the talk, any other a plain sentence
    there and a traceback in the log.
    """
    talk = Talk(
        number=talk.number + 1,
        past=talk.past + talk.current,
        question=question,
        history=talk.history,
        working=True,
    )
    turn = str(talk.number)
    doing = "reading the question"

    def shown(body: str, *, busy: bool = True) -> Talk:
        return replace(
            talk, current=render.turn_html(question, body, turn=turn, busy=busy), working=busy
        )

    yield shown(render.status_html(doing))
    stream: Iterator[Event] = iter(())
    try:
        stream = assistant.stream(question, talk.history, effort=effort)
        for event in stream:
            if isinstance(event, Working):
                doing = event.text
                yield shown(_unfinished(talk) + render.status_html(doing))
            elif isinstance(event, SentenceReady):
                talk = replace(talk, pieces=(*talk.pieces, event))
                yield shown(_unfinished(talk) + render.status_html(doing))
            elif isinstance(event, Done):
                talk = replace(
                    talk,
                    pieces=(),
                    history=(
                        *talk.history,
                        Message("user", question),
                        Message("assistant", event.answer.text),
                    ),
                )
                yield shown(_finished(assistant, event.answer, turn), busy=False)
                return
        raise RuntimeError("the answer ended without its last event")
    except CitewiseError as error:
        yield shown(_unfinished(talk) + render.message_html(str(error)), busy=False)
    except Exception:
        log.exception("answering %r failed", question)
        text = "Something inside citewise failed; the details are in the log of the server."
        yield shown(_unfinished(talk) + render.message_html(text), busy=False)
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def stopped(talk: Talk) -> Talk:
    """The conversation after the person pressed Stop: what had come stays, and says so."""
    if not talk.working:
        return talk
    body = _unfinished(talk) + render.message_html(
        "Stopped before the answer was complete.", title="Stopped", kind="note"
    )
    said = "".join(piece.text for piece in talk.pieces)
    history = talk.history
    if said:
        history = (*history, Message("user", talk.question), Message("assistant", said))
    return replace(
        talk,
        current=render.turn_html(talk.question, body, turn=str(talk.number)),
        pieces=(),
        history=history,
        working=False,
    )


def _unfinished(talk: Talk) -> str:
    """HTML of an answer that is still coming."""
    if not talk.pieces:
        return ""
    turn = str(talk.number)
    text = "".join(piece.text for piece in talk.pieces)
    sentences = [piece.sentence for piece in talk.pieces if piece.sentence is not None]
    citations = talk.pieces[-1].citations
    return render.prose_html(text, sentences, citations, turn=turn) + render.store_html(
        citations, {}, turn=turn, sentences=sentences
    )


def _finished(assistant: Asks, answer: Answer, turn: str) -> str:
    """HTML of a whole answer with its evidence."""
    looked_at = answer.retrieved if answer.answered else answer.retrieved[: render.NEAREST]
    papers = assistant.library.papers_by_id([item.paper_id for item in looked_at])
    body = render.answer_html(answer, turn=turn, openable=papers)
    return body + render.store_html(
        answer.citations, papers, turn=turn, sentences=answer.sentences, retrieved=looked_at
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
