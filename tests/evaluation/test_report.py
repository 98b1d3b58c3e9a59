"""The gate closes when it should, and the tables say what was measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from citewise.errors import UsageError
from citewise.evaluation.measures import BETTER
from citewise.evaluation.report import (
    expected_figures,
    gate,
    markdown,
    read_summary,
    text_table,
    write,
)
from citewise.types import Json


def summary(**values: float) -> Json:
    return {
        "what": "questions",
        "set": "dev",
        "backend": "extractive",
        "questions": 100,
        "commit": "0123456789abcdef+changes",
        "code_sha256": "f" * 64,
        "figures": {
            name: {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 90}
            for name, value in values.items()
        },
        "kinds": {
            "fact": {"n": 22, "answered": {"value": 0.95, "low": 0.9, "high": 1.0, "n": 22}},
            "near_miss": {
                "n": 10,
                "abstention_recall": {"value": 0.3, "low": 0.1, "high": 0.5, "n": 10},
            },
        },
    }


EXPECTED: dict[str, Any] = {"dev": {"extractive": {"nugget_recall": 0.8, "aurc": 0.3}}}


def test_the_gate_opens_for_what_is_as_good_or_better() -> None:
    assert gate(summary(nugget_recall=0.8, aurc=0.3), EXPECTED) == []
    assert gate(summary(nugget_recall=0.9, aurc=0.1), EXPECTED) == []


def test_the_gate_names_each_figure_that_is_worse() -> None:
    failures = gate(summary(nugget_recall=0.79, aurc=0.31), EXPECTED)
    assert failures == [
        "nugget recall is 0.79; at least 0.8 is expected",
        "AURC is 0.31; at most 0.3 is expected",
    ]


def test_a_gate_that_compares_nothing_is_closed() -> None:
    assert gate(summary(aurc=0.1), EXPECTED) == ["nugget recall was not measured; 0.8 is expected"]
    assert len(gate({**summary(), "set": "test"}, EXPECTED)) == 1
    assert len(gate({**summary(nugget_recall=1, aurc=0), "limit": 5}, EXPECTED)) == 1


def test_the_expected_figures_are_figures_that_are_measured() -> None:
    expected = expected_figures()
    assert expected["dev"]["extractive"]
    for table in expected.values():
        for bounds in table.values():
            assert all(bound >= 0 and (name in BETTER) for name, bound in bounds.items())


def test_a_malformed_file_of_expected_figures_is_said(tmp_path: Path) -> None:
    file = tmp_path / "expected.toml"
    file.write_text("[dev\n", "utf-8")
    with pytest.raises(UsageError, match="malformed"):
        expected_figures(file)


TABLE = """\
questions, dev, extractive: 100 asked
figure         value   95 % interval   n
nugget recall  0.814  0.714 to 0.914  90
words an answer  131.9 131.8 to 132.0 90

kind        n  answered  accuracy  nugget recall  cited recall  citation f1  hit@1  R@5  R@10
fact       22      0.95
near_miss  10      0.70"""


def test_the_table_shows_value_interval_and_n() -> None:
    lines = text_table(summary(nugget_recall=0.814, words=131.9)).splitlines()
    assert [line.split() for line in lines] == [line.split() for line in TABLE.splitlines()]


def test_the_page_shows_the_same_and_where_it_came_from() -> None:
    page = markdown([summary(nugget_recall=0.814)])
    assert "| nugget recall | 0.814 | 0.714 to 0.914 | 90 |" in page
    assert "| near_miss | 10 | 0.70 |" in page
    assert "- commit: `0123456789ab+changes`" in page
    assert "- code: `ffffffffffff`" in page


def test_the_page_is_made_from_the_folders_of_runs(tmp_path: Path) -> None:
    write(summary(nugget_recall=0.814), tmp_path / "a")
    write({**summary(aurc=0.2), "set": "first"}, tmp_path / "b")
    folders = [str(tmp_path / name) for name in "ab"]
    made = subprocess.run(
        [sys.executable, "-m", "citewise.evaluation.report", *folders],
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == markdown([read_summary(tmp_path / name) for name in "ab"])
    assert "## questions, first, extractive" in made.stdout
    with pytest.raises(UsageError, match="holds no finished run"):
        read_summary(tmp_path)
