"""The Library room: what the library holds."""

from __future__ import annotations

import gradio as gr

from citewise.web import render
from citewise.web.context import PageContext


def build_library_tab(context: PageContext) -> None:
    """Put the room's components into the open Gradio container."""
    about = gr.HTML(
        elem_id="cw-library-about", apply_default_css=False, js_on_load=None, padding=False
    )

    def refresh() -> str:
        return render.shelves_html(context.library.info(), context.library.path.name)

    context.opened["library"].click(
        refresh, outputs=about, show_progress="hidden", api_visibility="private"
    )
