"""Ask the questions of a file and print question and answer as Markdown, to be read by eye.

`python eval/read_answers.py eval/asked/facts.jsonl > answers.md`

A line of the file is ``{"question"}`` with, if wanted, ``history`` (what was asked before, as
questions), ``kind`` (a heading) and ``expected`` (what whoever wrote it holds to be right).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from citewise import Assistant, Library
from citewise.evaluation.runner import sample_library
from citewise.types import Json, Message


def read_out(assistant: Assistant, row: Json) -> Iterator[str]:
    """Lines of Markdown on one question, asked after those of its history."""
    history: tuple[Message, ...] = ()
    for asked in row.get("history", ()):
        history = tuple(assistant.ask(asked, history).history)
    answer = assistant.ask(row["question"], history)
    yield f"### {row['question']}\n"
    if row.get("expected"):
        yield f"Expected: {row['expected']}\n"
    said = "answered" if answer.answered else "declined"
    yield f"{said}, as {answer.kind.value}, confidence {answer.confidence:.2f}\n"
    yield answer.text.strip() + "\n"
    yield from (f"Note: {note}\n" for note in answer.notes)


def read_all(library: Library, rows: list[Json]) -> None:
    """Print all answers, under a heading where the kind changes."""
    assistant = Assistant(library)
    heading = None
    for at, row in enumerate(rows, 1):
        if row.get("kind") != heading:
            heading = row.get("kind")
            print(f"## {heading}\n")
        print("\n".join(read_out(assistant, row)), flush=True)
        print(f"\r{at} of {len(rows)}", end="", file=sys.stderr)
    print(file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--library", type=Path, help="without it, the sample papers are asked")
    args = parser.parse_args()
    lines = [json.loads(line) for line in args.file.read_text("utf-8").splitlines() if line]
    with Library.open(args.library, create=False) if args.library else sample_library() as opened:
        read_all(opened, lines)
