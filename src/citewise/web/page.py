"""The web page: a head with three rooms under it, served by Gradio on one port.

Gradio carries text in and HTML out; the HTML is made in :mod:`citewise.web.render`. Walking between
rooms, opening a paper, marking and moving about happen in the browser (``assets/page.js``),
without the server. Importing this module imports Gradio, which takes seconds.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import gradio as gr

from citewise.web import render
from citewise.web.chat_tab import ASKING_AT_ONCE, build_chat_tab
from citewise.web.context import ROOMS, PageContext
from citewise.web.evaluate_tab import build_evaluate_tab
from citewise.web.gradio_api import add_endpoints
from citewise.web.guard import WAITING
from citewise.web.library_tab import build_library_tab


def build_page(context: PageContext) -> gr.Blocks:
    """The page as Gradio blocks; :func:`citewise.web.server.build_app` adds looks and serves it."""
    # Gradio reports its use to its makers unless told otherwise before it makes a page.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    page: gr.Blocks = gr.Blocks(title="citewise", fill_width=True, fill_height=True)
    with page:
        with gr.Row(elem_id="cw-top"):
            head = gr.HTML(
                _head(context),
                elem_id="cw-header",
                apply_default_css=False,
                js_on_load=None,
                padding=False,
            )
        opened = {
            room: gr.Button(room, elem_id=f"cw-visit-{room}", visible="hidden") for room in ROOMS
        }
        context = replace(context, opened=opened)
        with gr.Column(elem_id="cw-room-chat", elem_classes="cw-room"):
            build_chat_tab(context)
        # Rooms that nobody has entered cost the browser nothing.
        for room, build in (("library", build_library_tab), ("evaluate", build_evaluate_tab)):
            with (
                gr.Column(
                    elem_id=f"cw-room-{room}", elem_classes="cw-room", visible=False
                ) as place,
                gr.Column(elem_classes="cw-room-inside"),
            ):
                build(context)
            opened[room].click(
                lambda: gr.update(visible=True),
                outputs=place,
                show_progress="hidden",
                api_visibility="private",
                queue=False,
            )

        def seen_by(request: gr.Request) -> str:
            return _head(context, context.user_of(request))

        quietly: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        opened["chat"].click(seen_by, outputs=head, **quietly)
        # Pressed where the Library room shows another count of papers than before.
        counted = gr.Button("head", elem_id="cw-visit-head", visible="hidden")
        counted.click(seen_by, outputs=head, **quietly)
        # The page is drawn once for all; its head names the person who looks and counts the papers.
        page.load(seen_by, outputs=head, queue=False, **quietly)
        page.load(None, js="() => window.citewiseReady()", api_visibility="private")

        add_endpoints(context)
    page.queue(default_concurrency_limit=ASKING_AT_ONCE, max_size=WAITING)
    return page


def _head(context: PageContext, user: str = "") -> str:
    # Of several the person chooses one beside the question.
    backends = [assistant.backend.name for assistant in context.assistants]
    backend = backends[0] if len(backends) == 1 else ""
    papers = context.library.info().papers
    return render.header_html(
        papers,
        next(iter(context.libraries), context.library.path.name),
        backend,
        ROOMS,
        libraries=context.libraries,
        user=user,
    )
