"""A run's results in the formats that other tools read.

TREC runs and judgements for trec_eval and ir-measures; rows of question, contexts, answer and
ground truth for RAGAS and DeepEval.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from citewise.errors import UsageError
from citewise.evaluation.datasets import Question, question_of
from citewise.evaluation.report import read_results
from citewise.types import Json

RUN_FILE, QRELS_FILE, ROWS_FILE = "run.trec", "qrels.txt", "rows.json"


def trec_run(rows: Sequence[Json], tag: str = "citewise") -> str:
    """The retrieved papers as a TREC run: ``query-id Q0 paper-id rank score tag``.

    Acceptable papers stay in; ``ranking_scores`` takes them out, so its figures may differ a little
    from trec_eval's where a question has any. A question that could not be asked has no line.
    """
    return "".join(
        f"{row['id']} Q0 {paper['paper_id']} {paper['rank']} {paper['score']:.6f} {tag}\n"
        for row in rows
        for paper in (row.get("answer") or {}).get("retrieved", ())
    )


def qrels(rows: Sequence[Json]) -> str:
    """The required papers as TREC judgements: ``query-id 0 paper-id 1``.

    Unanswerable questions have none, and so take no part in trec_eval.
    """
    return "".join(f"{row['id']} 0 {paper} 1\n" for row in rows for paper in _gold(row).required)


def rag_rows(rows: Sequence[Json], abstracts: Mapping[str, str] | None = None) -> list[Json]:
    """Objects with question, contexts, answer and ground_truth, and the question's id.

    These are RAGAS's columns. ``contexts`` are the abstracts of the retrieved papers where
    ``abstracts`` (by paper id) are given, else the words that the answer cites. ``ground_truth`` is
    the evidence of the gold facts, with the value that is asked for. Questions that could not be
    asked have an empty answer.
    """
    made = []
    for row in rows:
        answer: Json = row.get("answer") or {}
        question = _gold(row)
        if abstracts is None:
            contexts = [
                str(span["text"])
                for citation in answer.get("citations", ())
                for span in citation["spans"]
            ]
        else:
            found = (str(paper["paper_id"]) for paper in answer.get("retrieved", ()))
            contexts = [abstracts[paper] for paper in found if paper in abstracts]
        made.append(
            {
                "id": question.id,
                "question": question.standalone,
                "contexts": contexts,
                "answer": str(answer.get("answer", "")),
                "ground_truth": _ground_truth(question),
            }
        )
    return made


def export(folder: Path, out: Path, abstracts: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """Write ``run.trec``, ``qrels.txt`` and ``rows.json`` of a run into ``out``; their paths.

    RAGAS reads the rows with ``datasets.load_dataset("json", ...)``, DeepEval with
    ``EvaluationDataset.add_test_cases_from_json_file`` and the names of the fields. Raises
    UsageError when the folder holds no run of questions.
    """
    rows = read_results(folder)
    texts = {
        RUN_FILE: trec_run(rows),
        QRELS_FILE: qrels(rows),
        ROWS_FILE: json.dumps(rag_rows(rows, abstracts), ensure_ascii=False, indent=1) + "\n",
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written to ({error.strerror}).") from error
    return tuple(out / name for name in texts)


def _gold(row: Json) -> Question:
    if "gold" not in row:
        raise UsageError(
            "the results lack the gold of their questions: a run of questions is exported, made "
            "with `citewise eval questions --out DIR`"
        )
    return question_of(row["gold"])


def _ground_truth(question: Question) -> str:
    if not question.answerable:
        return "The papers do not answer this."
    facts = list(dict.fromkeys(nugget.span for nugget in question.nuggets))
    if question.value is not None:
        facts.append(f"{question.value.value:g} {question.value.unit}".strip())
    return " ".join(facts)
