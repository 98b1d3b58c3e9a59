"""Mathematics as MathML, which every browser draws by itself: no script, no font, no other host.

What is between dollars or LaTeX's own brackets is turned where it is understood wholly; anything
else stays as it is written. The characters around it are never touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from html import escape
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element

from citewise.web.prose import printed

LONGEST = 400
"""Characters of one formula; a longer one stays as it is written."""

TAGS: frozenset[str] = frozenset(
    """math mfrac mi mn mo mover mroot mrow mspace msqrt mstyle msub msubsup msup mtable mtd mtr
    munder munderover""".split()
)
"""Every MathML tag that may reach the page."""

ATTRIBUTES: frozenset[str] = frozenset(
    """accent columnalign display displaystyle fence form linethickness lspace mathvariant maxsize
    minsize rspace scriptlevel separator stretchy width""".split()
)
"""Every attribute of them, none of which names anything or holds a style."""

# A dollar opens before anything but a space, and closes behind anything but a space unless a digit
# follows (pandoc's rule): an abstract may speak of money.
_FORMULA = re.compile(
    rf"\$\$(?=\S)(?P<block>[^$\n]{{1,{LONGEST}}}?)(?<=\S)\$\$"
    rf"|(?<![\\$])\$(?=[^\s$])(?P<inline>[^$\n]{{1,{LONGEST}}}?)(?<=[^\s\\])\$(?![\d$])"
    rf"|\\\((?P<round>[^\n]{{1,{LONGEST}}}?)\\\)|\\\[(?P<square>[^\n]{{1,{LONGEST}}}?)\\\]"
)

_COMMAND = re.compile(r"\\[a-zA-Z]+(?:\{[^{}]*\})?")
_TAG = re.compile(r"<[^>]*>")
_WORDS = re.compile(r"[A-Za-z]{2,}\s+[A-Za-z]")


def formulas(text: str) -> Iterator[tuple[int, int, str]]:
    """Start and end of every formula in ``text``, its marks included, and its MathML."""
    position = 0
    while match := _FORMULA.search(text, position):
        made = mathml(next(filter(None, match.groups()), ""))
        if made is None:
            # Its second dollar may be another's first.
            position = match.start() + 1
            continue
        yield match.start(), match.end(), made
        position = match.end()


def drawn(text: str) -> Iterator[tuple[int, int, str]]:
    """Start and end of all that is shown otherwise than it is written, and its HTML."""
    yield from sorted([*formulas(text), *((a, b, escape(shown)) for a, b, shown in _between(text))])


def _between(text: str) -> Iterator[tuple[int, int, str]]:
    """What stands printed otherwise outside of formulas, drawn or not."""
    kept = [m.span() for m in _FORMULA.finditer(text)] + [(s, e) for s, e, _ in formulas(text)]
    for start, end, shown in printed(text):
        if not any(start < last and first < end for first, last in kept):
            yield start, end, shown


def readable(text: str) -> str:
    """``text`` as it is printed, its formulas and what would begin one as they are written."""
    out = []
    position = 0
    for start, end, shown in _between(text):
        if shown != "$":
            out += [text[position:start], shown]
            position = end
    return "".join([*out, text[position:]])


def with_formulas(text: str) -> str:
    """``text`` as HTML, its formulas as MathML and other LaTeX as it is printed."""
    out = []
    position = 0
    for start, end, made in drawn(text):
        out.append(escape(text[position:start]))
        out.append(made)
        position = end
    out.append(escape(text[position:]))
    return "".join(out)


@lru_cache(maxsize=2048)
def mathml(latex: str) -> str | None:
    """The formula as a ``math`` element; None where it is not understood wholly."""
    # Words stand within \\text; outside of it they are prose between two prices.
    if not latex.strip() or not _balanced(latex) or _WORDS.search(_COMMAND.sub("", latex)):
        return None
    try:
        element = convert_to_element(latex)
    except Exception:  # noqa: BLE001  # a stranger's LaTeX, a library with errors of many kinds
        return None
    written = _written(element)
    if written is None:
        return None
    # What the library does not know it passes on with its backslash, or loses.
    shown = _TAG.sub("", written)
    if "\\" in shown or _digits(latex) != _digits(shown):
        return None
    return written


def _digits(text: str) -> list[str]:
    return sorted(character for character in text if character.isdecimal())


def _balanced(latex: str) -> bool:
    depth = 0
    for character in latex.replace("\\{", "").replace("\\}", ""):
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def _written(element: Element) -> str | None:
    # Words within a formula need no tag of their own, and theirs may hold HTML.
    tag = "mi" if element.tag == "mtext" else element.tag
    if tag not in TAGS:
        return None
    attributes = {k: v for k, v in element.attrib.items() if k in ATTRIBUTES}
    if element.tag == "mtext":
        attributes["mathvariant"] = "normal"
    # The library writes characters as numbered entities.
    text = element.text or ""
    text = re.sub(r"&#x([0-9A-Fa-f]{1,6});", lambda m: _character(m.group(1)), text)
    inside = [escape(text)]
    for child in element:
        written = _written(child)
        if written is None:
            return None
        inside.append(written)
    listed = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{listed}>{''.join(inside)}</{tag}>"


def _character(number: str) -> str:
    code = int(number, 16)
    allowed = 0x20 <= code < 0x110000 and not 0xD800 <= code < 0xE000
    return chr(code) if allowed else "\ufffd"
