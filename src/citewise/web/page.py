"""The web page: talk on the left, evidence on the right, served by Gradio on one port.

Gradio carries text in and HTML out; the HTML is made in :mod:`citewise.web.render`. Opening a
paper, marking and moving about happen in the browser (``assets/page.js``), without the server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from citewise.errors import CitewiseError
from citewise.types import (
    Answer,
    Done,
    Effort,
    Event,
    Json,
    Message,
    Paper,
    SearchResult,
    SentenceReady,
    Working,
    short_name,
)
from citewise.web import render

if TYPE_CHECKING:
    import gradio as gr

log = logging.getLogger("citewise")

EXAMPLES: tuple[str, ...] = (
    "What is speculative decoding?",
    "Compare Falcon and Kangaroo",
    "What are the main ways to shrink the KV cache?",
    "Which papers run large models on phones?",
    "Which quantization methods go below 4 bits?",
    "How do I bake sourdough bread?",
)
"""Questions to start from when the library holds the sample papers."""

_SAMPLE_SIGN = "Falcon: Faster and Parallel Inference of Large Language Models"
"""Start of a title among the sample papers."""

ASKING_AT_ONCE = 20
"""Questions worked on at the same time; further ones wait in line."""


class Counted(Protocol):
    """What the page needs of a library's description."""

    @property
    def papers(self) -> int:
        """Their number."""
        ...


class Named(Protocol):
    """What the page needs of a backend."""

    @property
    def name(self) -> str:
        """As given on the command line, without any secret."""
        ...


class Shelves(Protocol):
    """What the page needs of a library."""

    @property
    def path(self) -> Path:
        """Its folder."""
        ...

    def papers_by_id(self, ids: Sequence[str], /) -> Mapping[str, Paper]:
        """Papers with their abstracts; unknown ids are left out."""
        ...

    def info(self) -> Counted:
        """How many papers there are."""
        ...

    def find(self, query: str, k: int = 10, /) -> SearchResult:
        """The best ``k`` papers."""
        ...

    def warm(self) -> None:
        """Load what the first question needs."""
        ...


class Asks(Protocol):
    """What the page needs of an assistant; :class:`citewise.Assistant` has it."""

    @property
    def library(self) -> Shelves:
        """The library it answers from."""
        ...

    @property
    def backend(self) -> Named:
        """What writes the answers."""
        ...

    def stream(
        self, question: str, history: Sequence[Message] = (), /, *, effort: str = "normal"
    ) -> Iterator[Event]:
        """The answer as it comes; closing the iterator stops the work."""
        ...

    def ask(
        self, question: str, history: Sequence[Message] = (), /, *, effort: str = "normal"
    ) -> Answer:
        """The whole answer."""
        ...


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


async def _in_thread(steps: Iterator[Talk]) -> AsyncIterator[Talk]:
    """Run ``steps`` in a thread of its own.

    Giving up here returns at once, even while a language model keeps the thread waiting; the
    thread then ends, and closes its stream, at its next step.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Talk | BaseException | None] = asyncio.Queue()
    given_up = threading.Event()

    def put(item: Talk | BaseException | None) -> None:
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


def _examples(library: Shelves) -> tuple[str, ...]:
    """Questions to start from that this library can answer."""
    hits = library.find(_SAMPLE_SIGN, 1).hits
    if hits and hits[0].paper.title.startswith(_SAMPLE_SIGN):
        return EXAMPLES
    others = library.find("we propose a new method and show results", 5).hits
    return tuple(f"What does {short_name(hit.paper.title)} propose?" for hit in others)


def build_page(assistant: Asks) -> gr.Blocks:
    """The page as Gradio blocks; :func:`citewise.web.server.build_app` adds looks and serves it."""
    # Gradio reports its use to its makers unless told otherwise before it is imported.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr  # noqa: PLC0415  # takes seconds to import
    from gradio.events import api  # noqa: PLC0415

    library = assistant.library
    papers = library.info().papers
    backend = assistant.backend.name
    welcome = render.welcome_html(papers, _examples(library))

    def area(value: str, elem_id: str) -> gr.HTML:
        return gr.HTML(
            value, elem_id=elem_id, apply_default_css=False, js_on_load=None, padding=False
        )

    page: gr.Blocks = gr.Blocks(title="citewise", fill_width=True, fill_height=True)
    with page:
        talk_state = gr.State(Talk())
        with gr.Row(elem_id="cw-top"):
            area(render.header_html(papers, library.path.name, backend), "cw-header")
            fresh = gr.Button("New conversation", elem_id="cw-new", size="sm")
            area(render.tools_html(), "cw-tools")
        with gr.Row(elem_id="cw-body"):
            with gr.Column(elem_id="cw-left"):
                with gr.Column(elem_id="cw-talk"):
                    past = area("", "cw-past")
                    current = area(welcome, "cw-current")
                with gr.Column(elem_id="cw-composer"):
                    box = gr.Textbox(
                        label="Your question",
                        show_label=False,
                        placeholder="Ask the papers …",
                        lines=1,
                        max_lines=6,
                        elem_id="cw-box",
                        container=False,
                    )
                    with gr.Row(elem_id="cw-controls"):
                        effort = gr.Radio(
                            [e.value for e in Effort],
                            value=Effort.NORMAL.value,
                            label="Effort",
                            show_label=False,
                            container=False,
                            elem_id="cw-effort",
                        )
                        ask = gr.Button("Ask", variant="primary", elem_id="cw-ask", size="sm")
                        stop = gr.Button("Stop", elem_id="cw-stop", size="sm", visible=False)
            with gr.Column(elem_id="cw-right"):
                area(render.panel_html(), "cw-panel")

        shown = [past, current, talk_state, box, ask, stop]

        def update(talk: Talk, *, first: bool = False) -> list[Any]:
            return [
                talk.past if first else gr.skip(),
                talk.current,
                talk,
                "" if first else gr.skip(),
                gr.update(visible=False) if first else gr.skip(),
                gr.update(visible=True) if first else gr.skip(),
            ]

        def idle(talk: Talk) -> list[Any]:
            return [
                gr.skip(),
                talk.current,
                talk,
                gr.skip(),
                gr.update(visible=True),
                gr.update(visible=False),
            ]

        async def on_ask(question: str, how: str, talk: Talk) -> AsyncIterator[list[Any]]:
            question = (question or "").strip()
            if not question:
                yield [gr.skip()] * len(shown)
                return
            first = True
            async for step in _in_thread(converse(assistant, question, talk, effort=how)):
                yield update(step, first=first) if step.working else idle(step)
                first = False

        def on_stop(talk: Talk) -> list[Any]:
            return idle(stopped(talk))

        def on_fresh() -> list[Any]:
            return ["", welcome, Talk(), "", gr.update(visible=True), gr.update(visible=False)]

        asking = gr.on(
            [box.submit, ask.click],
            on_ask,
            inputs=[box, effort, talk_state],
            outputs=shown,
            show_progress="hidden",
            api_visibility="private",
            concurrency_limit=ASKING_AT_ONCE,
            trigger_mode="once",
        )
        for button, handler, inputs in ((stop, on_stop, [talk_state]), (fresh, on_fresh, [])):
            button.click(
                handler,
                inputs=inputs,
                outputs=shown,
                cancels=[asking],
                show_progress="hidden",
                api_visibility="private",
                queue=False,
            )

        def api_ask(question: str, effort: str = "normal") -> dict[str, Any]:
            return _plainly(lambda: assistant.ask(question, effort=effort).to_dict())

        def api_search(query: str, k: int = 10) -> dict[str, Any]:
            return _plainly(lambda: library.find(query, int(k)).to_dict())

        api(api_ask, api_name="ask", concurrency_limit=ASKING_AT_ONCE)
        api(api_search, api_name="search", concurrency_limit=ASKING_AT_ONCE)
    page.queue(default_concurrency_limit=ASKING_AT_ONCE)
    return page


def _plainly(work: Callable[[], Json]) -> Json:
    """``work()``, with errors of ours as an object, for Gradio hides what it was not told."""
    try:
        return work()
    except CitewiseError as error:
        return {"error": {"type": type(error).__name__, "message": str(error)}}
