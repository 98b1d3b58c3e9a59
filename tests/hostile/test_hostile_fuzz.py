"""A short run of eval/fuzz.py, which looks longer and with atheris where that is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from citewise.sources import FORMATS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from eval import fuzz  # noqa: E402  # from the checkout


def test_every_reader_is_a_target() -> None:
    assert set(fuzz.READERS) == set(FORMATS)


# What 60 inputs by chance may well not hold: every target gets these and its seeds as they are.
ODD = (
    b'{"title": "Zero\\u200b width", "abstract": "We\\nshow \\u0007 it.", "authors": ["A\\tB"]}\n',
    b"title,abstract\nA,b\rc\nD,We show it.\n",
    b"@article{a, title={Bell \x07 and\ttab}, abstract={We\n\xe2\x80\x8bshow it.}}\n",
    b"\x80It is [9] faster [2, 7]. [0][1-99]\n| a [4] |\n|---|\n",
)


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_no_input_breaks_it(name: str, tmp_path: Path) -> None:
    feed = fuzz.target_of(name, tmp_path)
    for data in (*fuzz.seeds(name), *ODD):
        feed(data)
    assert fuzz.run_hypothesis(name, 0.0, tmp_path, tmp_path, examples=60) >= 30
    assert not list(tmp_path.glob("crash-*"))


def test_what_breaks_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> None:
        assert b"\x00" not in data

    monkeypatch.setattr(fuzz, "target_of", lambda *_: broken)
    with pytest.raises(AssertionError):
        fuzz.run_hypothesis("ris", 5.0, tmp_path, tmp_path)
    assert b"\x00" in (tmp_path / "crash-ris").read_bytes()


def test_anyone_can_run_it(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "eval" / "fuzz.py"), "ris", "--minutes", "0.01"]
    done = subprocess.run(
        [*command, "--engine", "hypothesis", "--keep", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "none failed" in done.stdout
