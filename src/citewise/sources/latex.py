"""LaTeX as reference managers write it, made readable; mathematics stays as it is."""

from __future__ import annotations

import functools
import re
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

    Mathematics between ``$``, bare ``%`` and ``&`` and unknown macros stay as they are; text
    without a backslash or brace is returned unchanged, and so is what cannot be decoded.
    """
    if "\\" not in text and "{" not in text:
        return text
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
