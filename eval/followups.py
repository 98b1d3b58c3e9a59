"""How much is lost when a question leans on the talk before it, beside the same asked whole.

`python -m eval.followups --split dev`

Asks the follow-ups of a split after their history, and their whole forms (``whole``, written with
the question) without any, over the sample papers. Runs of the test split are logged in
eval/TEST_RUNS.md.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace

from citewise import Assistant
from citewise.evaluation.datasets import Question, load, questions_sha256
from citewise.evaluation.runner import log_test_run, run_questions, sample_library

FIGURES = ("nugget_recall", "cited_recall", "cited_precision", "answered")


def row(assistant: Assistant, name: str, questions: Sequence[Question], split: str) -> str:
    """A line of the table."""
    told = {"what": f"follow-ups {name}", "set_sha256": questions_sha256(split)}
    results = run_questions(assistant, questions, identity=told)
    if split == "test":
        log_test_run(results.summary)
    cells = (
        statistics.fmean(result.scores[figure] or 0.0 for result in results.rows)
        for figure in FIGURES
    )
    return " | ".join([f"| {name}", str(len(questions)), *(f"{cell:.3f}" for cell in cells)]) + " |"


def main() -> None:
    """Ask both forms and print their figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--split", choices=["dev", "test"], default="dev")
    split = parser.parse_args().split
    asked = [question for question in load(split) if question.kind == "followup"]
    whole = [replace(question, question=question.whole, history=()) for question in asked]
    with sample_library() as library:
        assistant = Assistant(library)
        print("| asked | n | " + " | ".join(f.replace("_", " ") for f in FIGURES) + " |")
        print("|---|---|" + "---|" * len(FIGURES))
        print(row(assistant, "after a talk", asked, split), flush=True)
        print(row(assistant, "whole", whole, split))


if __name__ == "__main__":
    main()
