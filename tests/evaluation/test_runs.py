"""Evaluations beside other work: followed, stopped within a moment, taken up again, compared."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tests.support.openai_server import OpenAIServer, endless, failing

from citewise.errors import UnknownBackendError, UsageError
from citewise.evaluation import runs
from citewise.library.library import Library


def test_a_run_is_followed_listed_loaded_and_compared(
    sample_library: Library, tmp_path: Path
) -> None:
    seen: list[runs.RunProgress] = []
    run = runs.start(
        "first", library=sample_library, limit=3, folder=tmp_path, on_progress=seen.append
    )
    assert run.wait(60) == "done"
    assert [at.done for at in seen] == [1, 2, 3, 3]
    assert {at.total for at in seen} == {3}
    assert [at.state for at in seen] == ["running"] * 3 + ["done"]

    again = runs.start("first", library=sample_library, limit=3, folder=tmp_path, name="again")
    assert again.wait(60) == "done"
    listed = runs.listed(tmp_path)
    assert {info.name for info in listed} == {run.name, "again"}
    assert {(info.set, info.backend, info.limit, info.done) for info in listed} == {
        ("first", "extractive", 3, 3)
    }
    one = runs.load("again", tmp_path)
    assert one.info.figures == one.summary["figures"] == (again.summary or {})["figures"]
    assert len(one.rows) == 3
    assert one.info.report is not None
    assert "<html" in one.info.report.read_text("utf-8")
    assert "nugget recall" in one.text
    assert one.markdown.startswith("# Results")
    found = runs.compare(run.name, "again", tmp_path)
    assert found.questions == 3
    assert not any(difference.real for difference in found.differences)
    assert "no difference shown" in runs.as_text(found)


def test_a_run_is_cancelled_while_a_model_writes_and_goes_on_later(
    sample_library: Library, tmp_path: Path
) -> None:
    with OpenAIServer(["One thing [1].", endless("and so on ", every=0.01)]) as server:
        run = runs.start(
            "first", library=sample_library, backend=server.spec(), limit=4, folder=tmp_path
        )
        with pytest.raises(UsageError, match="going on already"):
            runs.start("first", library=sample_library, folder=tmp_path, name=run.name)
        until = time.monotonic() + 30
        while len(server.requests) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        assert runs.listed(tmp_path)[0].state == "running"
        asked = time.monotonic()
        run.cancel()
        assert run.wait(20) == "cancelled"
        assert time.monotonic() - asked < 5
    (info,) = runs.listed(tmp_path)
    assert (info.state, info.total, info.figures) == ("unfinished", 4, {})
    with pytest.raises(UsageError, match="no finished run"):
        runs.load(run.name, tmp_path)

    # What was answered is not asked again, as long as the backend is the same.
    rest = runs.start("first", library=sample_library, limit=4, folder=tmp_path, name="resumed")
    rest.wait(60)
    rows = [json.loads(line) for line in (rest.folder / "results.jsonl").open(encoding="utf-8")]
    (rest.folder / "summary.json").unlink()
    # The third one failed, and the last was never asked.
    kept = [{**rows[0], "answer": {**rows[0]["answer"], "id": "kept"}}, rows[1], rows[2]]
    kept[2] = {**rows[2], "answer": None, "error": "the server was down"}
    (rest.folder / "results.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in kept), "utf-8"
    )
    assert next(i.done for i in runs.listed(tmp_path) if i.name == "resumed") == 3
    more = runs.start("first", library=sample_library, limit=4, folder=tmp_path, name="resumed")
    assert more.wait(60) == "done"
    again = runs.load("resumed", tmp_path).rows
    assert again[0]["answer"]["id"] == "kept"
    assert [row["error"] for row in again] == [None] * 4


def test_a_server_that_is_down_ends_the_run(sample_library: Library, tmp_path: Path) -> None:
    with OpenAIServer(failing(401)) as server:
        run = runs.start("first", library=sample_library, backend=server.spec(), folder=tmp_path)
        assert run.wait(60) == "failed"
    assert "5 questions in a row" in (run.error or "")
    # Not thirty: those that cannot even be searched for are not asked of the model.
    assert len(server.requests) < 12


def test_what_goes_wrong_is_said(sample_library: Library, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no question set"):
        runs.start("nosuch", library=sample_library, folder=tmp_path)
    with pytest.raises(UnknownBackendError):
        runs.start("first", library=sample_library, backend="nosuch", folder=tmp_path)
    with pytest.raises(UsageError, match="at least 1"):
        runs.start("first", library=sample_library, limit=0, folder=tmp_path)
    for name in ("../away", ".hidden", "a/b", ""):
        with pytest.raises(UsageError):
            runs.load(name, tmp_path)
    (tmp_path / "file").write_text("x", "utf-8")
    with pytest.raises(UsageError, match="cannot be written to"):
        runs.start("first", library=sample_library, folder=tmp_path / "file")
    assert runs.listed(tmp_path) == ()
    assert runs.listed(tmp_path / "nosuch") == ()


def test_a_run_that_fails_says_why(
    sample_library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise UsageError("the disk is full")

    monkeypatch.setattr("citewise.evaluation.runner.evaluate", broken)
    run = runs.start("first", library=sample_library, folder=tmp_path, name="broken")
    assert run.wait(20) == "failed"
    assert run.error == "the disk is full"
    # It may be tried again.
    runs.start("first", library=sample_library, folder=tmp_path, name="broken").wait(20)


def test_who_looks_on_cannot_end_a_run(sample_library: Library, tmp_path: Path) -> None:
    def shows(_: runs.RunProgress) -> None:
        raise RuntimeError("the page is closed")

    run = runs.start("first", library=sample_library, limit=1, folder=tmp_path, on_progress=shows)
    assert run.wait(60) == "done"


def test_the_sets_say_whether_they_fit_a_library(sample_library: Library, tmp_path: Path) -> None:
    whole = {found.name: found for found in runs.sets(sample_library)}
    assert whole["first"].fits
    assert whole["dev"].questions == whole["dev"].fitting >= 100
    assert "test" not in whole
    with Library.open(tmp_path / "empty") as empty:
        none = {found.name: found for found in runs.sets(empty)}
    # Only what cannot be answered can be asked of no papers.
    assert (none["first"].fitting, none["first"].fits) == (10, False)
