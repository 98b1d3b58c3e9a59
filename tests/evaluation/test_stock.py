"""The stock way, as the benchmark runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from eval import stock

from citewise.types import Paper

LONG = Paper("long", "Otters", "Otters swim in cold rivers and eat slow fish. " * 40)


def test_it_leaves_the_end_unread_unless_abstracts_are_cut_for_it(tmp_path: Path) -> None:
    pytest.importorskip("llama_index.core.node_parser")
    model = stock.shipped_model(tmp_path / "model")
    as_it_comes = stock.ingest([LONG], tmp_path / "first", model)
    assert as_it_comes.chunks == 1
    assert as_it_comes.read(model) < 0.65
    whole = stock.ingest([LONG], tmp_path / "second", model, whole=True)
    assert whole.read(model) == 1
    assert whole.search("What do otters eat?", 5) == as_it_comes.search("otters", 5) == ["long"]
