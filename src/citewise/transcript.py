"""A conversation, or one answer of it, to take along: Markdown with BibTeX, JSON, or a bundle."""

from __future__ import annotations

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from citewise.bundle import FILES, MANIFEST, answers_markdown, write_bundle
from citewise.conversations import Turn, TurnState
from citewise.errors import UsageError
from citewise.export import to_bibtex
from citewise.types import Paper

_NO_ANSWER = {
    TurnState.ASKED: "(not answered)",
    TurnState.STOPPED: "(stopped before the answer was complete)",
    TurnState.FAILED: "(failed)",
}


def to_markdown(turns: Sequence[Turn], papers: Mapping[str, Paper]) -> str:
    """Questions, answers with their ``[1]`` markers, and under each the papers and exact words.

    At the end stands a BibTeX entry for every cited paper; ``papers`` (by id) are the library's,
    with their abstracts, where they are still there.
    """
    cited: dict[str, Paper] = {}
    parts = []
    for turn in turns:
        if turn.answer is None:
            why = _NO_ANSWER.get(turn.state, "")
            said = "\n\n".join(part for part in (turn.said.strip(), why) if part)
            parts.append(f"# {' '.join(turn.question.split())}\n\n{said}\n")
            continue
        for citation in turn.answer.citations:
            cited.setdefault(citation.paper.id, papers.get(citation.paper.id, citation.paper))
        parts.append(answers_markdown([turn.answer.to_dict()]))
    if cited:
        parts.append(f"# BibTeX\n\n```bibtex\n{''.join(to_bibtex(cited.values())).strip()}\n```\n")
    return "\n---\n\n".join(parts)


def to_json(title: str, turns: Sequence[Turn]) -> str:
    """Everything that is known of each turn, its answer as the interface's answer object."""
    value = {"title": title, "turns": [turn.to_dict() for turn in turns]}
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def to_bundle(turns: Sequence[Turn], papers: Mapping[str, Paper]) -> bytes:
    """The answers as a zip file of a bundle that ``citewise verify`` proves once unpacked.

    Raises UsageError where nothing was answered, or a cited paper is not among ``papers``.
    """
    answers = [turn.answer.to_dict() for turn in turns if turn.answer is not None]
    if not answers:
        raise UsageError("There is no answer to put into a bundle yet.")
    made = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="citewise-") as folder:
        write_bundle(answers, papers, folder)
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in (MANIFEST, *FILES):
                archive.write(Path(folder) / name, name)
    return made.getvalue()


def file_name(title: str, ending: str) -> str:
    """A name for the file of a conversation of that title, safe on every system."""
    words = re.sub(r"[^\w-]+", "-", title.casefold()).strip("-_")[:60].rstrip("-_")
    return f"{words or 'citewise'}.{ending}"
