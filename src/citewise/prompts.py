"""Prompts are files: one loader finds, reads and strictly fills them in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from citewise.errors import PromptError
from citewise.types import sha256_of

_HEADER = re.compile(
    r"\A<!--\s*\npurpose:[ \t]*(?P<purpose>\S.*)\nvariables:[ \t]*(?P<variables>.*)\n-->\n+"
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt file."""

    name: str
    """File name without ``.md``."""
    purpose: str
    """What it is for, one line, from its header."""
    variables: frozenset[str]
    """Names that must be given to ``render``, no more and no fewer."""
    template: str
    """What follows the header, with ``${name}`` where a variable goes."""
    sha256: str
    """Of the whole file, header included; goes into results made with it."""

    def render(self, **values: str) -> str:
        """The prompt with its variables filled in; a value is never read as a template itself.

        Raises PromptError when a variable is missing, or a value has no place in the prompt.
        """
        missing = sorted(self.variables - values.keys())
        unused = sorted(values.keys() - self.variables)
        if missing or unused:
            faults = [f"needs {', '.join(missing)}"] if missing else []
            faults += [f"has no place for {', '.join(unused)}"] if unused else []
            raise PromptError(f"prompt {self.name!r} {' and '.join(faults)}")
        return Template(self.template).substitute(values)


def parse(name: str, text: str) -> Prompt:
    """The prompt that a file's text describes.

    Raises PromptError when the header is missing, or its variables are not those of the text.
    """
    # The hash is the same whether git checked the file out with LF or CRLF.
    text = text.replace("\r\n", "\n")
    header = _HEADER.match(text)
    if header is None:
        raise PromptError(
            f"prompt {name!r} must begin with a comment that holds a line 'purpose: ...' and a "
            "line 'variables: a, b' (or 'variables: none'); prompts/README.md shows one"
        )
    declared = {word.strip() for word in header["variables"].split(",")} - {"", "none"}
    body = text[header.end() :].strip()
    template = Template(body)
    if not template.is_valid():
        raise PromptError(f"prompt {name!r} holds a '$' that starts no variable; write it as '$$'")
    used = set(template.get_identifiers())
    if used != declared:
        raise PromptError(
            f"prompt {name!r} declares the variables {sorted(declared)} and uses {sorted(used)}"
        )
    return Prompt(name, header["purpose"].strip(), frozenset(declared), body, sha256_of(text))


@cache
def load(name: str) -> Prompt:
    """The prompt of that name, from the installed package or else from the checkout.

    Raises PromptError when there is no such file, or it is malformed.
    """
    tried = []
    for folder in _folders():
        file = folder / f"{name}.md"
        tried.append(str(file))
        if file.is_file():
            try:
                return parse(name, file.read_text(encoding="utf-8"))
            except UnicodeDecodeError as error:
                raise PromptError(f"prompt file {file} is not UTF-8: {error}") from error
    raise PromptError(f"no prompt {name!r}; looked for {' and '.join(tried)}")


def names() -> tuple[str, ...]:
    """All prompts there are, sorted."""
    for folder in _folders():
        if folder.is_dir():
            found = (file.name for file in folder.iterdir() if file.name.endswith(".md"))
            return tuple(sorted(name[:-3] for name in found if name != "README.md"))
    return ()


def _folders() -> Iterator[Traversable]:
    # A wheel carries the prompts inside the package; an editable install leaves them where
    # they are written, beside src/.
    yield resources.files("citewise") / "prompts"
    yield Path(__file__).resolve().parents[2] / "prompts"
