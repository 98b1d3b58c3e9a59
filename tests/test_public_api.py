from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

import citewise
from citewise import (
    Answer,
    Assistant,
    Citation,
    CitewiseError,
    Done,
    Filters,
    Hit,
    IngestReport,
    Library,
    Message,
    Paper,
    Sentence,
    SentenceReady,
    Span,
    Working,
    check,
    check_batch,
)

ROOT = Path(__file__).resolve().parents[1]


def test_what_is_offered_is_there_and_in_order() -> None:
    assert citewise.__all__ == sorted(citewise.__all__)
    for name in citewise.__all__:
        assert hasattr(citewise, name)
    mine = {
        name
        for name, value in vars(citewise).items()
        if isinstance(value, type) and not name.startswith("_")
    }
    assert mine <= set(citewise.__all__)


def test_everything_offered_says_what_it_is() -> None:
    for name in citewise.__all__:
        value = getattr(citewise, name)
        if callable(value) and name != "Event":
            assert (value.__doc__ or "").strip(), name


@pytest.mark.parametrize("kind", [Paper, Span, Hit, Message, Sentence, Citation, Answer, Filters])
def test_values_cannot_be_changed(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    value = object.__new__(kind)
    field = dataclasses.fields(kind)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, "x")


def test_the_interface_s_example_runs(tmp_path: Path) -> None:
    (tmp_path / "papers.jsonl").write_text(
        '{"title": "Lantern: a cache", "abstract": "Lantern halves the memory of the cache. '
        'It speeds up decoding without a draft model.", "published": "2024-10-12"}\n'
        '{"title": "Harbor", "abstract": "Harbor needs no training at all."}\n'
    )
    with Library.open(tmp_path / "my-library") as library:
        report = library.ingest(tmp_path / "papers.jsonl")
        assert isinstance(report, IngestReport)
        assert (report.added, report.records) == (2, 2)
        hits = library.search("decoding", k=5, since="2024")
        assert [hit.paper.title for hit in hits] == ["Lantern: a cache"]
        assert hits[0].paper.published == "2024-10-12"
        assistant = Assistant(library, backend="extractive")
        answer = assistant.ask("Which papers speed up decoding without a draft model?")
        assert answer.answered
        assert [c.paper.title for c in answer.citations] == ["Lantern: a cache"]
        assert [turn.role for turn in answer.history] == ["user", "assistant"]
        events = list(assistant.stream("And what does it halve?", history=answer.history))
        assert all(isinstance(event, Working | SentenceReady | Done) for event in events)
        assert isinstance(events[-1], Done)
        assert "memory" in events[-1].answer.text
        assert len(events[-1].answer.history) == 4


def test_claims_can_be_checked_without_a_library() -> None:
    text = "Lantern halves the memory of the cache."
    assert check("Lantern halves the memory.", text).supported
    first, second = check_batch(
        [("Lantern halves the memory.", text), ("It takes 9 days.", [text])]
    )
    assert first.supported
    assert not second.supported


def test_every_error_is_a_citewise_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CitewiseError):
        Library.open(tmp_path)
    with Library.open(tmp_path / "new") as library:
        for wrong in ("nobody", "openai:", "openai-compatible:x", 7):
            with pytest.raises(CitewiseError):
                Assistant(library, wrong)
        for call in (
            lambda: library.search("x", k=0),
            lambda: library.search("x", since="soon"),
            lambda: library.paper("nosuch"),
            lambda: Assistant(library).ask("x", effort="enormous"),
            lambda: Assistant(library).ask("x", history=[{"role": "judge", "content": "x"}]),
            lambda: Assistant(library).ask("x", history=[{"content": "x"}]),
        ):
            with pytest.raises(CitewiseError):
                call()
        nothing = Assistant(library).ask("What does Lantern halve?")
        assert not nothing.answered, "an empty library answers nothing"
        assert nothing.retrieved == ()


def test_importing_it_writes_nothing_and_loads_no_heavy_library(tmp_path: Path) -> None:
    program = (
        "import sys, citewise\n"
        "heavy = {'chromadb', 'gradio', 'llama_index', 'openai', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "src"), "HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
    assert list(tmp_path.iterdir()) == []
