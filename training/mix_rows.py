"""Draw the rows that the ninth to the eleventh stage of the entailment model learn from.

    for each NAME of SOURCES: python training/pairs.py --data DIR --only NAME --out ROWS/p.jsonl
    python training/mix_rows.py ROWS --stage 10 --out ROWS/ten.jsonl

New rows are taken whole, of the others as many as a stage says, so that nothing is forgotten. The
papers that measure the model (one in twelve, by `held_out`; those of `kept_of`; the last of `w8`,
which calibrate declining) stay out. ENTAILMENT.md says what came of it.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fit_checker import records

WRITTEN = Path(__file__).parent / "written"
UNSEEN_OF_W8 = 100
"""Papers at the end of w8 that no training sees."""
MEASURING = 400
"""Held-out rows that are measured while training."""
OTHERS = {
    "written": 4500, "backed": 2500, "near": 2200, "evidence": 800, "terse": 900, "scifact": 1200,
    "numbers": 398, "pubmedqa": 500, "arxiv": 1000,
}  # fmt: skip
"""Rows drawn of what earlier stages saw."""
KEPT_ARXIV, KEPT_BIOMEDICAL = slice(120, 150), slice(35, None)
"""Which papers of the worded rows are kept to measure with."""
KEPT = {"leaning": 36, "parts": 15, "close": 20, "moreparts": 10}
"""How many of the others."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage learns from."""

    seed: int
    new: Mapping[str, int]
    """Times that each new row is taken, by source."""


STAGES = {
    9: Stage(9, {"worded": 2}),
    10: Stage(10, {"worded": 1, "leaning": 2, "parts": 2}),
    11: Stage(
        11,
        {
            "worded": 1,
            "leaning": 1,
            "parts": 1,
            "moreleaning": 2,
            "moreparts": 2,
            "close": 2,
        },
    ),
}


def rows_of(folder: Path, source: str) -> list[Row]:
    """The rows of a source, without what teaches the cosine alone."""
    found = records(folder / f"p.{source}.jsonl")
    return [{**row} for row in found if str(row["kind"]).split("-")[0] != "pair"]


def kept_of(new: Mapping[str, Sequence[Row]]) -> set[str]:
    """Ids of the papers whose new rows, by source, are kept to measure with."""
    ids = {name: list(dict.fromkeys(str(row["id"]) for row in rows)) for name, rows in new.items()}
    worded = ids.get("worded", [])
    arxiv = [ident for ident in worded if ident.startswith("arxiv:")]
    biomedical = [ident for ident in worded if not ident.startswith("arxiv:")]
    kept = {*arxiv[KEPT_ARXIV], *biomedical[KEPT_BIOMEDICAL]}
    rng = random.Random(3)
    for source, count in KEPT.items():
        drawn = sorted(ids.get(source, []))
        rng.shuffle(drawn)
        kept |= set(drawn[:count])
    return kept


def mixed(folder: Path, stage: Stage) -> Iterator[Row]:
    """Rows to learn from, then rows held out."""
    rng = random.Random(stage.seed)
    new = {source: rows_of(folder, source) for source in stage.new}
    without = {str(row["id"]) for row in list(records(WRITTEN / "w8.jsonl"))[-UNSEEN_OF_W8:]}
    without |= kept_of(new)
    taken = [row for source, times in stage.new.items() for row in new[source] * times]
    held = []
    for source, count in OTHERS.items():
        rows = rows_of(folder, source)
        held += [row for row in rows if row["held_out"]]
        rows = [row for row in rows if not row["held_out"]]
        rng.shuffle(rows)
        taken += rows[:count]
    rng.shuffle(held)
    for row in taken:
        if row["id"] not in without:
            yield _plain(row) | {"held_out": False}
    yield from map(_plain, held[:MEASURING])


def _plain(row: Row) -> Row:
    """The row without the cosine, which these stages do not learn."""
    return {name: value for name, value in row.items() if name != "alike"}


def main() -> None:
    """Write the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", type=Path, help="folder of the rows that pairs.py wrote")
    parser.add_argument("--stage", type=int, choices=sorted(STAGES), required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    with options.out.open("w", encoding="utf-8") as lines:
        count = 0
        for row in mixed(options.rows, STAGES[options.stage]):
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    print(f"{count:,} rows")


if __name__ == "__main__":
    main()
