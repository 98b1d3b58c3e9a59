"""docs/benchmarks.md: one document, of which each command of this folder writes a section."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
_HEAD = """# Benchmarks

Each section is written by the command that it names; times depend on the machine and on what else
it does. Processor time is that of all threads together.
"""


def machine(note: str = "") -> str:
    """What the figures were taken on, and what a person says of it."""
    return (
        f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}. {note}"
    ).strip()


def row(what: str, value: str, aim: str = "") -> str:
    """A line of a table."""
    return f"| {what} | {value} | {aim} |"


def table(rows: Sequence[str]) -> list[str]:
    """Rows under the heads of their columns."""
    return ["| what | measured | aim |", "|---|---|---|", *rows]


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of the values, 0 to 1, do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def write_section(title: str, lines: Sequence[str], path: Path = DOCUMENT) -> None:
    """Put the section of this title in the document, in place of the one that it had."""
    text = path.read_text("utf-8") if path.exists() else ""
    # What stood there before the first section is of an older kind.
    sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    new = f"## {title}\n\n" + "\n".join(lines).strip() + "\n"
    kept = [section.strip() + "\n" for section in sections]
    at = next((n for n, s in enumerate(kept) if s.splitlines()[0] == f"## {title}"), None)
    if at is None:
        kept.append(new)
    else:
        kept[at] = new
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([_HEAD, *kept]), "utf-8")
    print(new)
