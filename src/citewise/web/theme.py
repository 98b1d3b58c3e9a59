"""Looks of the page: a Gradio theme on local fonts, and our style sheet and script for its head.

Nothing here names another host; the style sheet and the script lie beside this file.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradio.themes import Base

SANS = ("-apple-system", "Segoe UI", "Cantarell", "Noto Sans", "Helvetica Neue", "Liberation Sans")
PARTS = ("page", "rooms")
"""Style sheets and scripts of the page, in their order."""
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace")


def theme() -> Base:
    """Gradio's plainest theme with fonts of the machine only; colours come from our style sheet."""
    from gradio.themes import Base  # noqa: PLC0415  # gradio takes seconds to import

    made = Base(
        font=(*SANS, "sans-serif"),
        font_mono=MONO,
        radius_size="sm",
        text_size="md",
    )
    made.set(
        body_background_fill="var(--cw-room)",
        body_background_fill_dark="var(--cw-room)",
        body_text_color="var(--cw-ink)",
        body_text_color_dark="var(--cw-ink)",
        background_fill_primary="var(--cw-room)",
        background_fill_primary_dark="var(--cw-room)",
    )
    return made


def head() -> str:
    """What goes into the page's head: our style sheet and script, inline.

    Inline, so that the first paint already has the right colours. The browser is told not to look
    up the hosts of links before they are pressed.
    """
    assets = files("citewise.web") / "assets"

    def joined(end: str) -> str:
        return "\n".join((assets / f"{part}.{end}").read_text("utf-8") for part in PARTS)

    return (
        '<meta http-equiv="x-dns-prefetch-control" content="off">'
        '<meta name="color-scheme" content="light dark">'
        f"<style>{joined('css')}</style><script>{joined('js')}</script>"
    )
