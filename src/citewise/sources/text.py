"""Making the words of a source fit to be stored and cited.

Everything here happens before any offset exists, so spans computed later are exact.
"""

from __future__ import annotations

import re
import unicodedata

_CONTROLS = {
    code: None
    for code in (*range(0x00, 0x20), *range(0x7F, 0xA0))
    if code not in (0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85)
}
_UNJOINED = str.maketrans("øØłŁđĐıİ", "oOlLdDiI")
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
        (0x200B, 0x200B),
        (0x200E, 0x200F),
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
_JOINERS = re.compile("[\u200c\u200d]+")
# Nothing that typesetting leaves behind (soft hyphens, byte order marks, variation selectors of
# emoji): who writes these hides something, or was sent something hidden.
_HIDING = re.compile(
    "[\u061c\u115f\u1160\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)
_BREAKS = re.compile(
    # From its first blank on and never back, or a long run of blanks takes quadratic time.
    r"(?<! ) *+[\t\n\v\f\r\x85\u2028\u2029][ \t\n\v\f\r\x85\u2028\u2029]*+"
)


def clean(text: str) -> str:
    """``text`` as one visible line, otherwise verbatim.

    Surrounding whitespace goes; a line break or tab inside, with the blanks around it, becomes one
    space, so that a wrapped abstract is one line. Control characters and characters that nobody can
    see (zero-width, bidirectional controls, Unicode tags, variation selectors) are removed, joiners
    only where they spell nothing (RFC 5892, appendices A.1 and A.2): Persian and the scripts of
    India need them, a joined emoji falls into its parts. Lone surrogates, which no file can store,
    become U+FFFD. Mathematics, percent signs, accents and runs of blanks stay as they are.
    ``clean(clean(x)) == clean(x)``.
    """
    if text.isprintable() and text.isascii():
        return text.strip()
    return _JOINERS.sub(_joiner, _BREAKS.sub(" ", text.translate(_TABLE)).strip()).strip()


def without_accents(text: str) -> str:
    """``text`` with 'e' for 'é' and 'o' for 'ø', as people type names."""
    if text.isascii():
        return text
    letters = unicodedata.normalize("NFKD", text.translate(_UNJOINED))
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def unaccented(text: str) -> str:
    """The same in one case, for comparing names."""
    return without_accents(text).casefold()


def hides(text: str) -> bool:
    """Whether ``text`` holds characters whose only use is to be there unseen.

    They are removed by ``clean``; a person should know that they were there.
    """
    return not text.isascii() and _HIDING.search(text) is not None


def _joiner(match: re.Match[str]) -> str:
    text, start, end = match.string, match.start(), match.end()
    before = text[start - 1 : start]
    if not before:
        return ""
    joiner = match[0][0]
    # A virama, as U+094D, has this combining class.
    if unicodedata.combining(before) == 9:
        return joiner
    spells = joiner == "\u200c" and _is_arabic(before) and _is_arabic(text[end : end + 1])
    return joiner if spells else ""


def _is_arabic(char: str) -> bool:
    return "\u0600" <= char <= "\u08ff" and char.isalpha()
