from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from citewise.answering.assistant import Assistant
from citewise.backends.base import WritingTask
from citewise.backends.extractive import ExtractiveBackend
from citewise.batch import ask_batch, check_pairs, read_answers, search_batch
from citewise.cli import main
from citewise.errors import AnswerFileError, BackendUnavailableError, UsageError
from citewise.grounding.verify import verify_answer
from citewise.library.library import Library
from citewise.types import Message, Usage

QUESTIONS: tuple[dict[str, Any], ...] = (
    {"id": "one", "question": "Which papers speed up speculative decoding?"},
    {"id": "two", "question": "How long should a sourdough loaf rise?"},
    {
        "id": 3,
        "question": "And how fast is it?",
        "history": [
            {"role": "user", "content": "What does Falcon propose for drafting?"},
            {"role": "assistant", "content": "Falcon is a semi-autoregressive drafter."},
        ],
    },
)


def write(path: Path, *values: object) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")
    return path


def objects(path: Path) -> list[dict[str, Any]]:
    text = path.read_text("utf-8")
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


class Counting(ExtractiveBackend):
    """The extractive writer, keeping count; down for questions that hold a word."""

    def __init__(self, down_for: str = "\0") -> None:
        self.asked: list[str] = []
        self.down_for = down_for

    def write(self, task: WritingTask) -> Generator[str, None, Usage]:
        self.asked.append(task.question.text)
        if self.down_for in task.question.text:
            raise BackendUnavailableError("the model is away; start it")
        return super().write(task)

    def standalone(self, question: str, history: Sequence[Message]) -> tuple[str | None, Usage]:
        return super().standalone(question, history)


@pytest.fixture
def backend() -> Counting:
    return Counting()


@pytest.fixture
def assistant(sample_library: Library, backend: Counting) -> Assistant:
    return Assistant(sample_library, backend)


def test_answers_come_in_order_and_can_be_proved(
    assistant: Assistant, tmp_path: Path, sample_library: Library
) -> None:
    out = tmp_path / "new" / "answers.jsonl"
    report = ask_batch(assistant, write(tmp_path / "q.jsonl", *QUESTIONS), out)
    assert report.to_dict() == {"done": 3, "resumed": 0, "failed": 0}
    answers = objects(out)
    assert [answer["id"] for answer in answers] == ["one", "two", "3"]
    assert [answer["question"] for answer in answers] == [q["question"] for q in QUESTIONS]
    assert [answer["answered"] for answer in answers] == [True, False, True]
    assert "Falcon" in answers[2]["standalone_question"]
    for answer in read_answers(out):
        ids = [citation["paper"]["id"] for citation in answer["citations"]]
        assert verify_answer(answer, sample_library.papers_by_id(ids)) == []


@pytest.mark.parametrize("cut", [0, 1, 40, -1])
def test_a_partly_written_output_is_gone_on_with(
    cut: int, assistant: Assistant, backend: Counting, tmp_path: Path
) -> None:
    questions = write(tmp_path / "q.jsonl", *QUESTIONS)
    whole = tmp_path / "whole.jsonl"
    ask_batch(assistant, questions, whole)
    first, *others = whole.read_bytes().splitlines(keepends=True)
    out = tmp_path / "out.jsonl"
    # A process was killed within the second line.
    out.write_bytes(first + others[0][:cut])
    backend.asked.clear()
    report = ask_batch(assistant, questions, out)
    assert (report.done, report.resumed) == (2, 1)
    assert QUESTIONS[0]["question"] not in backend.asked
    assert [answer["id"] for answer in objects(out)] == ["one", "two", "3"]
    assert [a["answer"] for a in objects(out)] == [a["answer"] for a in objects(whole)]
    assert out.read_bytes().startswith(first), "what was there stays as it was"
    backend.asked.clear()
    again = ask_batch(assistant, questions, out)
    assert (again.done, again.resumed, backend.asked) == (0, 3, [])


def test_a_question_that_fails_leaves_the_others_and_is_asked_again(
    sample_library: Library, tmp_path: Path
) -> None:
    backend = Counting(down_for="Falcon")
    assistant = Assistant(sample_library, backend)
    questions = write(
        tmp_path / "q.jsonl",
        {"id": 1, "question": "What does Falcon propose for drafting?"},
        {"id": 2, "question": ""},
        {"id": 3, "question": "Which papers speed up speculative decoding?"},
        {"id": 4, "question": "What is \ud800 speculative decoding?"},
        {"id": 5, "question": "Why?", "history": [{"role": "judge", "content": "x"}]},
    )
    out = tmp_path / "out.jsonl"
    assert ask_batch(assistant, questions, out).failed >= 3
    first = objects(out)
    assert [item["id"] for item in first] == ["1", "2", "3", "4", "5"]
    assert first[0]["error"] == "the model is away; start it"
    assert first[0].keys() == {"id", "question", "error"}
    assert "empty" in first[1]["error"]
    assert first[2]["answered"] is True
    assert "judge" in first[4]["error"]
    backend.down_for = "\0"
    backend.asked.clear()
    report = ask_batch(assistant, questions, out)
    assert report.failed >= 2
    second = objects(out)
    assert second[0]["answered"] is True
    assert second[2] == first[2]
    assert [item["id"] for item in second] == ["1", "2", "3", "4", "5"]
    assert first[2]["question"] not in backend.asked
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "q.jsonl"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"id": 1}\n', "q.jsonl:1: lacks question"),
        ('{"id": 1, "question": "x"}\n{"id": 2\n', "q.jsonl:2: not valid JSON"),
        ("[1]\n", "q.jsonl:1: lacks id, question"),
        ('{"id": 1, "question": "x"}\n{"id": "1", "question": "y"}\n', "'1' stands twice"),
        ('{"id": 1, "question": null}\n', "must be a text"),
    ],
)
def test_a_faulty_input_is_refused_before_any_work(
    content: str, said: str, assistant: Assistant, tmp_path: Path
) -> None:
    (tmp_path / "q.jsonl").write_text(content)
    with pytest.raises(UsageError) as refusal:
        ask_batch(assistant, tmp_path / "q.jsonl", tmp_path / "out.jsonl")
    assert said in str(refusal.value)
    assert not (tmp_path / "out.jsonl").exists()


def test_input_from_windows_is_read(assistant: Assistant, tmp_path: Path) -> None:
    text = "\ufeff" + json.dumps(QUESTIONS[1]) + "\r\n\r\n"
    (tmp_path / "q.jsonl").write_bytes(text.encode())
    assert ask_batch(assistant, tmp_path / "q.jsonl", tmp_path / "out.jsonl").done == 1


@pytest.mark.parametrize("content", ["my shopping list\n", '{"id": "other"}\n', "[]\n", "{}\n"])
def test_an_output_of_something_else_is_left_alone(
    content: str, assistant: Assistant, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text(content)
    with pytest.raises(UsageError, match="out"):
        ask_batch(assistant, write(tmp_path / "q.jsonl", *QUESTIONS), out)
    assert out.read_text() == content


def test_a_file_of_another_kind_keeps_its_last_line(assistant: Assistant, tmp_path: Path) -> None:
    out = tmp_path / "notes.txt"
    out.write_text("first\nsecond, without an end")
    with pytest.raises(UsageError):
        ask_batch(assistant, write(tmp_path / "q.jsonl", *QUESTIONS), out)
    assert out.read_text() == "first\nsecond, without an end"
    one_line = tmp_path / "one.txt"
    one_line.write_text("a single line, without an end")
    with pytest.raises(UsageError):
        ask_batch(assistant, write(tmp_path / "q.jsonl", *QUESTIONS), one_line)
    assert one_line.read_text() == "a single line, without an end"


def test_pairs_are_checked_in_order(tmp_path: Path) -> None:
    pairs = write(
        tmp_path / "pairs.jsonl",
        {
            "id": "a",
            "claim": "Lantern halves the memory.",
            "evidence": "Lantern halves the memory.",
        },
        {"id": "b", "claim": "Lantern needs 90 days.", "evidence": ["Lantern halves the memory."]},
        {"id": "c", "claim": "", "evidence": []},
    )
    out = tmp_path / "scores.jsonl"
    assert check_pairs(pairs, out).to_dict() == {"done": 3, "resumed": 0, "failed": 0}
    scores = objects(out)
    assert [score["id"] for score in scores] == ["a", "b", "c"]
    assert [score["supported"] for score in scores] == [True, False, False]
    assert all({"id", "support", "supported", "reasons"} <= score.keys() for score in scores)
    assert all(0 <= score["support"] <= 1 for score in scores)
    assert any("90" in reason for reason in scores[1]["reasons"])
    assert check_pairs(pairs, out).resumed == 3


@pytest.mark.parametrize("evidence", [None, 3, [1], {"text": "x"}])
def test_evidence_of_another_kind_is_refused(evidence: object, tmp_path: Path) -> None:
    pairs = write(tmp_path / "pairs.jsonl", {"id": "a", "claim": "x", "evidence": evidence})
    with pytest.raises(UsageError, match="'a'"):
        check_pairs(pairs, tmp_path / "out.jsonl")


def test_a_run_is_in_the_format_of_trec(sample_library: Library, tmp_path: Path) -> None:
    queries = write(
        tmp_path / "queries.jsonl",
        {"_id": "q 1", "text": "speculative decoding"},
        {"_id": "q2", "text": "quantum computing"},
    )
    run = tmp_path / "new" / "run.trec"
    assert search_batch(sample_library, queries, run, k=7).done == 2
    rows = [line.split(" ") for line in run.read_text("utf-8").splitlines()]
    assert {len(row) for row in rows} == {6}
    assert {(row[1], row[5]) for row in rows} == {("Q0", "citewise")}
    for name, query in (("q_1", "speculative decoding"), ("q2", "quantum computing")):
        mine = [row for row in rows if row[0] == name]
        assert [row[3] for row in mine] == [str(rank) for rank in range(1, 8)]
        scores = [float(row[4]) for row in mine]
        assert scores == sorted(scores, reverse=True)
        deep = sample_library.search(query, k=7, effort="deep")
        assert [row[2] for row in mine] == [hit.paper.id for hit in deep]


def test_a_run_can_be_of_searches_as_they_are(sample_library: Library, tmp_path: Path) -> None:
    text = "which models plan ahead in games"
    queries = write(tmp_path / "queries.jsonl", {"_id": "1", "text": text})
    found = {}
    for effort in ("normal", "deep"):
        run = tmp_path / effort
        search_batch(sample_library, queries, run, k=20, effort=effort)
        found[effort] = [row.split(" ")[2] for row in run.read_text("utf-8").splitlines()]
    assert found["normal"] == [hit.paper.id for hit in sample_library.search(text, k=20)]
    assert found["normal"] != found["deep"]


def test_a_run_of_no_papers_is_refused_before_the_old_one_is_lost(
    sample_library: Library, tmp_path: Path
) -> None:
    queries = write(tmp_path / "queries.jsonl", {"_id": "1", "text": "x"})
    run = tmp_path / "run.trec"
    run.write_text("precious")
    with pytest.raises(UsageError):
        search_batch(sample_library, queries, run, k=0)
    assert run.read_text() == "precious"


@pytest.mark.parametrize("content", ["", "[]", "3", "x", '{"id": 1}', '{"sentences": []}\n{"i'])
def test_what_holds_no_answers_is_said(content: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(content)
    with pytest.raises(AnswerFileError, match=r"x\.jsonl"):
        list(read_answers(tmp_path / "x.jsonl"))


def test_the_command_does_batches(
    sample_library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: object) -> tuple[int | str | None, dict[str, Any]]:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, words), "--json"])
        captured = capsys.readouterr()
        assert captured.out.count("\n") == 1
        return ended.value.code, json.loads(captured.out)

    library = ("--library", tmp_path / "library")
    records = write(
        tmp_path / "mine.jsonl",
        {"title": "Lantern", "abstract": "Lantern halves the memory of the cache."},
    )
    assert run("ingest", records, *library)[0] == 0
    questions = write(
        tmp_path / "q.jsonl",
        {"id": 1, "question": "What does Lantern halve?"},
        {"id": 2, "question": " "},
    )
    answers = tmp_path / "answers.jsonl"
    status, told = run("ask", "--batch", questions, "--out", answers, *library)
    assert (status, told) == (1, {"done": 2, "resumed": 0, "failed": 1, "out": str(answers)})
    status, told = run("verify", answers, *library)
    assert (status, told["answers"], len(told["failures"])) == (1, 2, 1)
    assert "was not answered" in told["failures"][0]["what"]
    pairs = write(tmp_path / "p.jsonl", {"id": 1, "claim": "x", "evidence": "y"})
    assert run("check", "--batch", pairs, "--out", tmp_path / "s.jsonl")[1]["done"] == 1
    queries = write(tmp_path / "queries.jsonl", {"_id": "1", "text": "cache"})
    status, told = run("search", "--batch", queries, "--run", tmp_path / "run", "-k", 3, *library)
    assert (status, told["done"]) == (0, 1)
    assert (tmp_path / "run").read_text().startswith("1 Q0 ")
