"""The Chat room: conversations on the left, the talk in the middle, the evidence on the right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from citewise.types import Effort, short_name
from citewise.web import render
from citewise.web.context import PageContext, Shelves
from citewise.web.talk import Talk, converse, in_thread, stopped

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


def _examples(library: Shelves) -> tuple[str, ...]:
    """Questions to start from that this library can answer."""
    hits = library.find(_SAMPLE_SIGN, 1).hits
    if hits and hits[0].paper.title.startswith(_SAMPLE_SIGN):
        return EXAMPLES
    others = library.find("we propose a new method and show results", 5).hits
    return tuple(f"What does {short_name(hit.paper.title)} propose?" for hit in others)


def build_chat_tab(context: PageContext) -> None:
    """Put the room's components into the open Gradio container."""
    assistant = context.assistants[0]
    library = context.library
    welcome = render.welcome_html(library.info().papers, _examples(library))

    def area(value: str, elem_id: str) -> gr.HTML:
        return gr.HTML(
            value, elem_id=elem_id, apply_default_css=False, js_on_load=None, padding=False
        )

    talk_state = gr.State(Talk())
    with gr.Row(elem_id="cw-body"):
        with gr.Column(elem_id="cw-side"):
            fresh = gr.Button("New conversation", elem_id="cw-new", size="sm")
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
        async for step in in_thread(converse(assistant, question, talk, effort=how)):
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
