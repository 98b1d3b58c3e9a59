"""LaTeX between the formulas of a text, as its readers would see it printed: for showing alone.

What is quoted, hashed or counted in characters stays the source's; here stands only which pieces
of it are shown as what. A command that is not known stays as it is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_LONGEST = 1_000
"""Characters in the braces of one command; what holds more stays as it is written."""

_GROUP = re.compile(
    r"\\(?P<name>emph|underline|url|mbox|text(?:bf|it|sl|sc|tt|sf|rm|md|up|normal)?|footnote"
    r"|href\s*\{[^{}\n]*\}|textcolor\s*\{[^{}\n]*\})\s*\{"
    r"|\{\\(?:em|it|bf|tt|sc|sf|rm|sl)\b\s*"
)
_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304",
    ".": "\u0307", "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b",
}  # fmt: skip
_SIGNS = re.compile(
    r"(?P<cited>(?:\s|~)*\\(?:[cC]ite[a-z]*|ref|eqref|label)\*?(?:\[[^\]\n]*\]){0,2}\{[^{}\n]*\})"
    r"|(?<!\\)\\(?P<plain>[%&#_$])"
    r"|(?<=\d)\{(?P<comma>,)\}(?=\d)"
    r"|(?<=[A-Za-z.)])(?P<tie>~)(?=[\w($\\])|(?<=\d)(?P<unit>~)(?=[A-Za-z\\])"
    r"|(?P<dash>(?<=\w)---?(?=\w))"
    r"|(?P<thin>\\,)|(?P<soft>\\[-/])"
    r"|``(?P<double>[^`\n]{1,200}?)''"
    r"|(?<![\w`])`(?=\w)(?P<single>[^`'\n]{1,80})'(?![\w`'])"
    # Without braces only within a word and over a vowel: a quote may have its backslash too.
    r"|\\(?P<mark>['`^\"~=.cvuH])\{\\?(?P<under>[A-Za-z])\}"
    r"|(?<=[A-Za-z])\\(?P<bare>['`^\"])(?P<vowel>[aeiouyAEIOU])"
)


def printed(text: str) -> Iterator[tuple[int, int, str]]:
    """Start and end of each piece of ``text`` that is printed as something else, and as what."""
    if not any(sign in text for sign in ("\\", "``", "~", "{", "`", "--")):
        return
    found = [*_groups(text), *(piece for m in _SIGNS.finditer(text) for piece in _sign(m))]
    position = 0
    for start, end, shown in sorted(found):
        if start >= position:
            yield start, end, shown
            position = end


def _groups(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _GROUP.finditer(text):
        close = _closing(text, match.end())
        if close is not None:
            note = match["name"] == "footnote"
            yield match.start(), match.end(), " (" if note else ""
            yield close, close + 1, ")" if note else ""


def _closing(text: str, begin: int) -> int | None:
    depth = 1
    for at in range(begin, min(begin + _LONGEST, len(text))):
        if text[at] in "{}" and text[at - 1] != "\\":
            depth += 1 if text[at] == "{" else -1
            if not depth:
                return at
    return None


def _sign(match: re.Match[str]) -> Iterator[tuple[int, int, str]]:
    start, end, kind = match.start(), match.end(), match.lastgroup
    if kind == "double":
        yield start, start + 2, "“"
        yield end - 2, end, "”"
    elif kind == "single":
        yield start, start + 1, "‘"
        yield end - 1, end, "’"
    elif kind in ("under", "vowel"):
        mark, letter = match["mark"] or match["bare"], match[kind]
        composed = unicodedata.normalize("NFC", letter + _ACCENTS[mark])
        if len(composed) == 1:
            yield start, end, composed
    elif kind in ("plain", "comma"):
        yield start, end, match[kind]
    elif kind == "dash":
        yield start, end, "–" if end - start == 2 else "—"
    else:
        yield start, end, {"tie": "\xa0", "unit": "\xa0", "thin": "\u2009"}.get(kind or "", "")
