"""The baselines are what they say, and are measured as citewise is."""

from __future__ import annotations

from pathlib import Path

import pytest

from citewise.errors import UsageError
from citewise.evaluation import report
from citewise.evaluation.baselines import (
    Bm25,
    Dense,
    Fusion,
    StockLlamaIndex,
    ThreeSentences,
    run_baselines,
)
from citewise.evaluation.datasets import load
from citewise.library.embedding import MiniLM
from citewise.library.library import Library

QUESTIONS = [*load("dev")[:6], *[q for q in load("dev") if q.kind == "near_miss"][:2]]


def test_bm25_and_dense_are_the_two_halves_of_a_search(sample_library: Library) -> None:
    query = QUESTIONS[0].question
    hits = sample_library.find(query, 20).hits
    words = [paper for paper, _ in Bm25(sample_library).rank(query, 100)]
    near = [paper for paper, _ in Dense(sample_library).rank(query, 100)]
    for hit in hits:
        if hit.lexical_rank is not None:
            assert words[hit.lexical_rank - 1] == hit.paper.id
        # The neighbours are approximate: one may be missed when another number is asked for.
        if hit.dense_rank is not None and hit.dense_rank <= 20:
            assert abs(near.index(hit.paper.id) - (hit.dense_rank - 1)) <= 2
    assert len(set(near)) == len(near) == 100


def test_fusion_puts_first_what_both_put_first(sample_library: Library) -> None:
    query = next(sample_library.papers()).title
    found = Fusion(sample_library).find(query, 10).hits
    assert found[0].paper.title == query
    assert found[0].score == pytest.approx(2 / 61)
    assert [hit.score for hit in found] == sorted((h.score for h in found), reverse=True)


def test_three_sentences_quote_and_never_abstain(sample_library: Library) -> None:
    for asked in (QUESTIONS[0], QUESTIONS[-1]):
        answer = ThreeSentences(sample_library).ask(asked.question)
        assert answer.answered
        assert len(answer.sentences) == 3
        for citation in answer.citations:
            for span in citation.spans:
                assert citation.paper.abstract[span.start : span.end] == span.text
        said = {sentence.text for sentence in answer.sentences}
        assert said == {span.text for c in answer.citations for span in c.spans}


def test_three_sentences_of_an_empty_library_are_none(tmp_path: Path, encoder: MiniLM) -> None:
    with Library.open(tmp_path / "empty", embedder=encoder) as empty:
        assert not ThreeSentences(empty).ask("anything").answered


def test_all_are_run_side_by_side(sample_library: Library, tmp_path: Path) -> None:
    made = run_baselines(
        sample_library,
        QUESTIONS,
        tmp_path,
        systems=("citewise", "bm25", "dense", "three-sentences"),
        identity={"set": "dev"},
    )
    assert list(made["retrieval"]) == ["citewise", "bm25", "dense"]
    assert list(made["answers"]) == ["citewise", "three-sentences"]
    assert made["answers"]["three-sentences"]["figures"]["abstained_near_miss"]["value"] == 0.0
    assert made["differs"]["answers"].keys() == {"three-sentences"}
    tags = {line.split()[-1] for line in (tmp_path / "retrieval-bm25" / "run.trec").open()}
    assert tags == {"bm25"}
    report.write(made, tmp_path)
    page = report.markdown([report.read_summary(tmp_path)])
    assert "| BM25 alone | " in page
    assert "| three most similar sentences | " in page
    with pytest.raises(UsageError, match="no baseline nosuch"):
        run_baselines(sample_library, QUESTIONS, systems=("nosuch",))


def test_the_stock_pipeline_finds_a_paper_by_its_title(
    sample_library: Library, tmp_path: Path, encoder: MiniLM
) -> None:
    pytest.importorskip("llama_index.vector_stores.chroma")
    some = list(sample_library.papers())[:8]
    with Library.open(tmp_path / "small", embedder=encoder) as small:
        small.add(some)
        stock = StockLlamaIndex(small)
        assert stock.find(some[3].title, 3).hits[0].paper.id == some[3].id
        assert len(stock.find(some[3].title, 100).hits) == 8
        # A second one beside it does not see the first one's papers.
        assert len(StockLlamaIndex(small).find("anything", 100).hits) == 8
