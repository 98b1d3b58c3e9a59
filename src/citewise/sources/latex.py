"""LaTeX as reference managers write it, made readable; mathematics stays as it is."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from pylatexenc.latex2text import (  # type: ignore[import-untyped]  # it has no stubs
    EnvironmentTextSpec,
    LatexNodes2Text,
    MacroTextSpec,
    get_default_latex_context_db,
)
from pylatexenc.latexwalker import LatexWalkerError  # type: ignore[import-untyped]

# Exports leave these as they are in prose, where LaTeX would read a comment, a column, a space.
# Private-use characters carry them past the decoder.
_PLAIN = ((re.compile(r"(?<!\\)%"), "\ue001", "%"), (re.compile(r"(?<!\\)&"), "\ue002", "&"))
_TILDE = re.compile(r"(?<=[/\w])~(?=\w+/|\w+$)|(?<=/)~")
_SPECIAL = re.compile(r"[\\{}]")
_MARKS = re.compile(r"\\[^A-Za-z\s]|[{}$]|\s+")
_OPEN_MACRO = re.compile(r"\\(?:[A-Za-z]+|[^A-Za-z\s%&$#_{}\\])\Z")
_MACROS = {
    "textgreater": ">",
    "textless": "<",
    "textbar": "|",
    "textbackslash": "\\",
    "textasciicircum": "^",
    "textasciigrave": "`",
    "textemdash": "—",
    "textendash": "–",
    "slash": "/",
    # What they point at stands in the paper, not in its abstract.
    **dict.fromkeys(("cite", "citet", "citep", "ref", "footnotemark"), ""),
    # Switches of the font, which plain text does not have.
    **dict.fromkeys(("it", "bf", "em", "tt", "sc", "sf", "rm", "sl"), ""),
}


def _verbatim(node: Any, **_: object) -> str:
    return str(node.latex_verbatim())


@functools.cache
def _decoder() -> LatexNodes2Text:
    context = get_default_latex_context_db()
    context.add_context_category(
        "citewise",
        prepend=True,
        macros=[
            *(MacroTextSpec(name, simplify_repl=text) for name, text in _MACROS.items()),
            MacroTextSpec("url", simplify_repl="%s"),
        ],
    )
    # A paper's own macro, such as \method, is a word of its sentence: better odd than gone.
    context.set_unknown_macro_spec(MacroTextSpec("", simplify_repl=_verbatim))
    context.set_unknown_environment_spec(EnvironmentTextSpec("", simplify_repl=_verbatim))
    return LatexNodes2Text(latex_context=context, math_mode="verbatim", keep_comments=True)


def latex_to_text(text: str) -> str:
    """``text`` with accents, symbols and braces of LaTeX resolved.

    Mathematics between ``$``, bare ``%`` and ``&`` and unknown macros stay as they are; words
    without a backslash or brace are returned unchanged, and so is what cannot be decoded.
    """
    if "\\" not in text and "{" not in text:
        return text
    if "\\begin" in text:
        return _decoded(text)
    return "".join(_decoded(piece) if _SPECIAL.search(piece) else piece for piece in _pieces(text))


def _pieces(text: str) -> Iterator[str]:
    """``text`` cut at blanks outside of braces and mathematics; joined they are ``text`` again.

    The decoder takes milliseconds for each line, and nearly all words don't need it.
    """
    start = depth = 0
    math = False
    for match in _MARKS.finditer(text):
        mark = match[0]
        if mark == "{":
            depth += 1
        elif mark == "}":
            depth = max(depth - 1, 0)
        elif mark == "$":
            math = not math
        elif mark.isspace() and not depth and not math:
            # A macro takes its argument from behind the blank.
            if _OPEN_MACRO.search(text, start, match.start()):
                continue
            yield text[start : match.start()]
            yield mark
            start = match.end()
    yield text[start:]


@functools.lru_cache(maxsize=4096)
def _decoded(text: str) -> str:
    guarded = text
    for pattern, guard, _ in _PLAIN:
        guarded = pattern.sub(guard, guarded)
    guarded = _TILDE.sub("\ue003", guarded)
    try:
        decoded = str(_decoder().latex_to_text(guarded))
    except (LatexWalkerError, IndexError, ValueError, TypeError, AttributeError, RecursionError):
        # Arguments that are missing surface as any of these.
        return text
    for _, guard, plain in _PLAIN:
        decoded = decoded.replace(guard, plain)
    return decoded.replace("\ue003", "~").replace("\xa0", " ")
