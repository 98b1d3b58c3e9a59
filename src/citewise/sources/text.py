"""Making the words of a source fit to be stored and cited.

Everything here happens before any offset exists, so spans computed later are exact.
"""

from __future__ import annotations

import re

_CONTROLS = {
    code: None
    for code in (*range(0x00, 0x20), *range(0x7F, 0xA0))
    if code not in (0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85)
}
# Characters that a reader cannot see but a model or a search index does: soft hyphen, joiners,
# bidirectional controls (UAX #9), invisible operators, fillers, variation selectors, Unicode tags.
_HIDDEN = {
    code: None
    for first, last in (
        (0x00AD, 0x00AD),
        (0x034F, 0x034F),
        (0x061C, 0x061C),
        (0x115F, 0x1160),
        (0x17B4, 0x17B5),
        (0x180B, 0x180F),
        (0x200B, 0x200F),
        (0x202A, 0x202E),
        (0x2060, 0x206F),
        (0x3164, 0x3164),
        (0xFE00, 0xFE0F),
        (0xFEFF, 0xFEFF),
        (0xFFA0, 0xFFA0),
        (0xFFF9, 0xFFFB),
        (0x1BCA0, 0x1BCA3),
        (0x1D173, 0x1D17A),
        (0xE0000, 0xE0FFF),
    )
    for code in range(first, last + 1)
}
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_TABLE: dict[int, str | None] = {**_CONTROLS, **_HIDDEN, **_SURROGATES}
_BREAKS = re.compile(r"[ \t]*[\t\n\v\f\r\x85\u2028\u2029]+[ \t\n\v\f\r\x85\u2028\u2029]*")


def clean(text: str) -> str:
    """``text`` as one visible line, otherwise verbatim.

    Surrounding whitespace goes; a line break or tab inside, with the blanks around it, becomes one
    space, so that a wrapped abstract is one line. Control characters and characters that nobody can
    see (zero-width, bidirectional controls, Unicode tags, variation selectors) are removed; lone
    surrogates, which no file can store, become U+FFFD. Mathematics, percent signs, accents and
    runs of blanks stay as they are. ``clean(clean(x)) == clean(x)``.
    """
    if text.isprintable() and text.isascii():
        return text.strip()
    return _BREAKS.sub(" ", text.translate(_TABLE)).strip()
