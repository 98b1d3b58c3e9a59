"""What the HTML of the Library and Evaluate rooms is made with: escaped text, one sanitiser.

Beside what :mod:`citewise.web.render` lets through, these rooms have form fields and drawings of
our own (inline SVG). Nothing of them comes from a paper but text, which is escaped where it is put
in; the finished HTML passes the allow-list here once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from citewise.web import mathematics, render

_TAGS = render.ALLOWED_TAGS | frozenset(
    """circle fieldset form g input label legend line nav option output path polyline progress rect
    select svg text title""".split()
)
_ATTRIBUTES = render.ALLOWED_ATTRIBUTES | frozenset(
    """aria-busy aria-checked aria-controls aria-current aria-haspopup aria-pressed autocomplete
    checked colspan cx cy d data-cw-do data-cw-file data-cw-limit data-cw-more data-cw-number
    disabled for height id inputmode max maxlength min multiple name open placeholder points
    preserveAspectRatio r rx scope selected tabindex text-anchor transform type value viewBox width
    x x1 x2 y y1 y2""".split()
)
_INPUTS = frozenset({"checkbox", "file", "number", "search", "text"})


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "id":
        return value if value.startswith("cw-") else None
    if name == "type":
        allowed = {"button": {"button", "submit"}, "input": _INPUTS}.get(tag, frozenset[str]())
        return value if value in allowed else None
    formula = tag in mathematics.TAGS
    if name in ("class", "href") or (formula and name in mathematics.ATTRIBUTES):
        return render.attribute(tag, name, value)
    return None if formula else value


_CLEAN = render.cleaner(_TAGS, _ATTRIBUTES, _attribute, gone="foreignObject")


def clean(html: str) -> str:
    """``html`` with nothing left that the allow-list does not name."""
    return _CLEAN(html)


def text(value: object) -> str:
    """A value as HTML text, safe in an attribute too."""
    return escape(render.unicode(str(value)), quote=True)


def rich(value: str) -> str:
    """Text of a paper as HTML, its formulas drawn."""
    return mathematics.with_formulas(render.unicode(value))


def attributes(values: Mapping[str, object]) -> str:
    """Attributes of a tag, ``data_cw_do`` for ``data-cw-do``; None is left out, True is bare."""
    out = []
    for name, value in values.items():
        name = name.rstrip("_").replace("_", "-")
        if value is True:
            out.append(f" {name}")
        elif value is not None and value is not False:
            out.append(f' {name}="{text(value)}"')
    return "".join(out)


def button(label: str, css: str, **values: object) -> str:
    """A button; ``label`` is HTML, everything else text."""
    return f'<button type="button" class="{css}"{attributes(values)}>{label}</button>'


def plural(count: int, noun: str, many: str | None = None) -> str:
    """``3 papers``, ``1 paper``."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


def message(said: str, *, title: str = "That did not work", kind: str = "error") -> str:
    """A plain message; ``kind`` is ``error`` or ``note``."""
    return render.message_html(said, title=title, kind=kind)
