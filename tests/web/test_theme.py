from __future__ import annotations

import re
from importlib.resources import files

import pytest

from citewise.web import theme

CSS = (files("citewise.web") / "assets" / "page.css").read_text("utf-8")


def colours(block: str) -> dict[str, str]:
    body = CSS[CSS.index(block) :]
    return dict(re.findall(r"--cw-([\w-]+): (#[0-9a-f]{6});", body[: body.index("}")]))


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


PAIRS = [
    *[(text, ground) for text in ("ink", "ink-2", "lamp") for ground in ("room", "desk", "raised")],
    ("ink", "mark"),
    ("ink", "lamp-tint"),
    ("lamp", "lamp-tint"),
    ("on-lamp", "lamp"),
    ("amber", "amber-tint"),
    ("red", "raised"),
]


@pytest.mark.parametrize("block", [":root {", ".dark {"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read(block: str, text: str, ground: str) -> None:
    # AA for text of normal size
    palette = colours(block)
    assert contrast(palette[text], palette[ground]) >= 4.5


def test_contrast_is_measured_as_wcag_does() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_looks_name_no_other_host() -> None:
    assert not re.search(r"https?:|//[a-z]|url\(|@import", theme.head().replace("// ", ""))
    # Gradio's own way to fetch a font; empty for fonts of the machine
    assert theme.theme()._stylesheets == []
