"""The Evaluate room: how answers are measured."""

from __future__ import annotations

import gradio as gr

from citewise.web import render
from citewise.web.context import PageContext


def build_evaluate_tab(context: PageContext) -> None:
    """Put the room's components into the open Gradio container."""
    del context
    gr.HTML(
        render.evaluate_html(),
        elem_id="cw-evaluate-about",
        apply_default_css=False,
        js_on_load=None,
        padding=False,
    )
