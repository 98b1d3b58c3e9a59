"""Everything that `citewise eval` does, by its words, on small things made here."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from tests.support.openai_server import OpenAIServer, failing, then_silence

from citewise.errors import BackendError, UsageError
from citewise.evaluation.commands import Options, run
from citewise.evaluation.datasets import load
from citewise.library.embedding import MiniLM
from citewise.library.library import Library
from citewise.types import Price


@pytest.fixture(scope="module")
def folder(
    sample_library: Library, encoder: MiniLM, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A small library on disk, opened by the commands themselves."""
    path = tmp_path_factory.mktemp("commands") / "library"
    with Library.open(path, embedder=encoder) as library:
        library.add(list(sample_library.papers())[:30])
    return path


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two runs over drafted and accepted questions of the small library."""
    out = tmp_path_factory.mktemp("runs")
    run(["draft"], Options(library=folder, out=out, limit=6))
    file = out / "questions.jsonl"
    rows = [{**json.loads(line), "accepted": True} for line in file.read_text("utf-8").splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for name in ("a", "b"):
        run(["questions", str(file)], Options(library=folder, out=out / name))
    return out


def test_own_questions_are_drafted_accepted_and_measured(finished: Path) -> None:
    summary = json.loads((finished / "a" / "summary.json").read_text("utf-8"))
    assert summary["questions"] == 6
    assert summary["set"] == "questions.jsonl"
    assert summary["papers"] == 30
    assert summary["figures"]["recall_at_5"]["value"] > 0.8
    assert (finished / "a" / "report.html").stat().st_size > 10_000


def test_drafts_that_nobody_accepted_are_not_measured(folder: Path, tmp_path: Path) -> None:
    run(["draft"], Options(library=folder, out=tmp_path, limit=3))
    with pytest.raises(UsageError, match="no accepted question"):
        run(["questions", str(tmp_path / "questions.jsonl")], Options(library=folder))


def test_a_run_is_like_itself(finished: Path) -> None:
    outcome = run(["compare", str(finished / "a"), str(finished / "b")])
    verdicts = {figure["verdict"] for figure in outcome.summary["figures"].values()}
    assert verdicts == {"no difference shown"}
    assert outcome.summary["mcnemar"]["p"] == 1.0
    assert "no difference shown at 95 %" in outcome.text


def test_a_run_is_exported_with_its_contexts(finished: Path, folder: Path, tmp_path: Path) -> None:
    run(["export", str(finished / "a")], Options(out=tmp_path / "cited"))
    run(["export", str(finished / "a")], Options(out=tmp_path / "whole", library=folder))
    cited, whole = (
        json.loads((tmp_path / name / "rows.json").read_text("utf-8"))
        for name in ("cited", "whole")
    )
    assert len(cited) == len(whole) == 6
    answers = [
        json.loads(line)["answer"]
        for line in (finished / "a" / "results.jsonl").read_text("utf-8").splitlines()
    ]
    assert [len(row["contexts"]) for row in whole] == [len(a["retrieved"]) for a in answers]
    assert all(row["contexts"] for row in cited)
    lines = (tmp_path / "whole" / "run.trec").read_text("utf-8").splitlines()
    assert len(lines) == sum(len(answer["retrieved"]) for answer in answers)


def test_a_page_is_made_again(finished: Path, folder: Path) -> None:
    page = finished / "a" / "report.html"
    page.unlink()
    assert run(["page", str(finished / "a")], Options(library=folder)).text == str(page)
    assert page.is_file()


def test_a_beir_folder_and_a_file_of_pairs(
    sample_library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    beir = tmp_path / "tiny"
    (beir / "qrels").mkdir(parents=True)
    some = list(sample_library.papers())[:6]
    texts = {
        "corpus.jsonl": [{"_id": f"d{n}", "title": p.title, "text": p.abstract}
                         for n, p in enumerate(some)],
        "queries.jsonl": [{"_id": f"q{n}", "text": p.title} for n, p in enumerate(some)],
    }  # fmt: skip
    for name, rows in texts.items():
        (beir / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(6))
    (beir / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", "utf-8")
    outcome = run(["retrieval", str(beir)], Options(split="test", out=tmp_path / "out"))
    assert outcome.summary["figures"]["ndcg_at_10"]["value"] == 1.0
    assert (tmp_path / "out" / "qrels.txt").read_text("utf-8").startswith("q0 0 d0 1\n")
    same = run(["compare", str(tmp_path / "out"), str(tmp_path / "out")])
    assert same.summary["mcnemar"] is None
    assert same.summary["questions"] == 6

    pairs = tmp_path / "pairs.jsonl"
    claims: list[dict[str, object]] = [
        {"claim": "Pruning halves memory.", "evidence": "Pruning halves memory.", "label": True},
        {"claim": "Pruning halves memory.", "evidence": "Zebras sleep at noon.", "label": False},
    ]
    pairs.write_text("".join(json.dumps(row) + "\n" for row in claims), "utf-8")
    assert run(["check", str(pairs)]).summary["figures"]["check_auroc"]["value"] == 1.0


def test_a_run_is_judged_by_a_model(finished: Path, tmp_path: Path) -> None:
    with OpenAIServer("SUPPORTED") as server:
        outcome = run(["judge", str(finished / "b")], Options(judge=server.spec()))
    assert outcome.summary["label"] == "plumbing"
    assert outcome.summary["figures"]["support"]["value"] == 1.0
    assert "plumbing" in (finished / "b" / "RESULTS.md").read_text("utf-8")
    with pytest.raises(UsageError, match="Name the judge"):
        run(["judge", str(finished / "b")])


def test_a_judge_looks_on_while_questions_are_asked(finished: Path, folder: Path) -> None:
    with OpenAIServer("NOT SUPPORTED") as server:
        outcome = run(
            ["questions", str(finished / "questions.jsonl")],
            Options(library=folder, judge=server.spec(), limit=2),
        )
    assert outcome.summary["judge"]["figures"]["support"]["value"] == 0.0
    assert "Judge: openai-compatible:small" in outcome.text


def test_a_run_says_what_it_cost(finished: Path, folder: Path, tmp_path: Path) -> None:
    file = str(finished / "questions.jsonl")
    with OpenAIServer("Nothing of note [1].") as server:
        spec = server.spec()
        free = run(["questions", file], Options(library=folder, backend=spec, limit=2))
        prices = {spec: Price(1.0, 10.0, "EUR")}
        paid = run(
            ["questions", file],
            Options(library=folder, backend=spec, limit=2, prices=prices, out=tmp_path),
        )
    usage = paid.summary["usage"]
    assert usage["calls"] >= 2
    assert usage["cost"] == pytest.approx(usage["calls"] * (120 + 340) / 1e6)
    assert paid.summary["figures"]["cost"]["value"] == pytest.approx(usage["cost"] / 2, rel=1e-3)
    assert paid.summary["figures"]["prompt_tokens"]["n"] == 2
    assert f"{usage['cost']:.4g} EUR" in paid.text
    assert f"{usage['cost']:.4g} EUR" in (tmp_path / "report.html").read_text("utf-8")
    # No price is built in.
    assert free.summary["usage"]["cost"] is None
    assert "cost" not in free.summary["figures"]
    assert "config.toml names no price" in free.text


def test_without_a_model_there_is_nothing_to_pay(finished: Path) -> None:
    summary = json.loads((finished / "a" / "summary.json").read_text("utf-8"))
    assert summary["usage"] == {
        "prompt_tokens": 0, "completion_tokens": 0, "calls": 0, "cost": 0.0,
    }  # fmt: skip
    assert not {"cost", "prompt_tokens"} & summary["figures"].keys()


def test_abstention_shows_its_figures_alone(finished: Path, folder: Path) -> None:
    file = finished / "mixed.jsonl"
    lines = (finished / "questions.jsonl").read_text("utf-8").splitlines()
    off = [q.to_dict() for q in load("first") if q.kind == "off_topic"]
    file.write_text("\n".join([*lines, *map(json.dumps, off)]) + "\n", "utf-8")
    outcome = run(["abstention"], Options(split=str(file), library=folder))
    assert outcome.summary["figures"]["abstained_off_topic"]["n"] == 5
    assert "nugget_recall" not in outcome.summary["figures"]


WRONG = [
    (["nosuch"], "nothing to evaluate"),
    (["compare", "one"], r"compare FOLDER FOLDER"),
    (["check"], "check PAIRS"),
    (["check", "nosuch"], "no file of labelled pairs"),
    (["retrieval", "nosuch"], "no BEIR folder"),
    (["questions", "nosuch"], "no question file"),
    (["draft"], "--library DIR"),
    (["dev", "more"], "takes no further words"),
    (["export", "nosuch"], "holds no results"),
]


@pytest.mark.parametrize(("words", "message"), WRONG)
def test_what_cannot_be_done_is_said(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(words)


def test_the_command_does_all_this(finished: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "citewise", "eval", "compare", "a", "b", "--json"],
        capture_output=True,
        text=True,
        cwd=finished,
        check=True,
    )
    assert json.loads(done.stdout)["questions"] == 6


def test_an_interrupted_command_goes_on_where_it_stopped(
    finished: Path, folder: Path, tmp_path: Path
) -> None:
    """Ctrl-C in the middle of the third answer; then the same command again."""
    file, out = finished / "questions.jsonl", tmp_path / "out"
    with OpenAIServer([*["All is well [1]."] * 5, then_silence("And so", 30)]) as server:
        words = ["eval", "questions", str(file), "--library", str(folder), "--out", str(out)]
        words += ["--backend", server.spec()]
        command = [sys.executable, "-m", "citewise", *words]
        running = subprocess.Popen(
            command,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background job ignores Ctrl-C, and so would its children.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        until = time.monotonic() + 80
        while len(server.requests) < 6 and time.monotonic() < until:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=30)[1]
        assert running.returncode == 130, said
        assert "goes on where it stopped" in said
        assert "Traceback" not in said
        before = _lines(out / "results.jsonl")
        assert len(before) >= 2
        server.script = "All is well [1]."
        run(
            ["questions", str(file)],
            Options(library=folder, out=out, backend=server.spec()),
        )
    after = _lines(out / "results.jsonl")
    assert len(after) == 6
    # What was answered before is kept as it was, with its latency.
    assert after[: len(before)] == before


def test_all_goes_on_with_the_part_that_is_missing(
    finished: Path, folder: Path, tmp_path: Path
) -> None:
    options = Options(
        split=str(finished / "questions.jsonl"), library=folder, out=tmp_path, limit=3
    )
    run(["all"], options)
    first = (tmp_path / "questions" / "results.jsonl").read_text("utf-8")
    assert "retrieval" in (tmp_path / "RESULTS.md").read_text("utf-8")
    # Cut off in its second part: the answers are kept as they are, with their latencies.
    (tmp_path / "summary.json").unlink()
    (tmp_path / "retrieval" / "summary.json").unlink()
    summary = run(["all"], options).summary
    assert (tmp_path / "questions" / "results.jsonl").read_text("utf-8") == first
    assert summary["retrieval"]["questions"] == 3
    run(["all"], options)
    assert (tmp_path / "questions" / "results.jsonl").read_text("utf-8") != first


def test_a_judge_that_fails_costs_no_answer(finished: Path, folder: Path, tmp_path: Path) -> None:
    file = str(finished / "questions.jsonl")
    with OpenAIServer(["SUPPORTED", failing(401)]) as server:
        options = Options(library=folder, out=tmp_path, judge=server.spec(), limit=3)
        with pytest.raises(BackendError):
            run(["questions", file], options)
        answers = (tmp_path / "results.jsonl").read_text("utf-8")
        asked = len(server.requests)
        server.script = "SUPPORTED"
        summary = run(["questions", file], options).summary
    assert (tmp_path / "results.jsonl").read_text("utf-8") == answers
    assert summary["judge"]["figures"]["support"]["value"] == 1.0
    assert len(server.requests) - asked == summary["judge"]["usage"]["calls"] - 1
    assert not (tmp_path / "judge.jsonl").exists()


def _lines(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines() if file.exists() else []
