from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewise.errors import UsageError
from citewise.library.embedding import EmbedderError
from citewise.library.library import Library
from citewise.library.retrieval import DEPTH
from citewise.types import Filters, sha256_of


def test_a_title_finds_its_paper_with_words_of_its_abstract(sample_library: Library) -> None:
    papers = list(sample_library.papers())[::12]
    first = 0
    for paper in papers:
        hits = sample_library.search(paper.title, 5)
        assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
        assert [hit.score for hit in hits] == sorted((h.score for h in hits), reverse=True)
        for hit in hits:
            span = hit.passage
            assert hit.paper.abstract[span.start : span.end] == span.text
            assert span.sha256 == sha256_of(span.text)
        # Three papers are called Dolphin.
        first += hits[0].paper.title == paper.title
    assert first >= 0.95 * len(papers)


def test_the_passage_is_the_one_that_the_query_is_about(sample_library: Library) -> None:
    right = tried = 0
    for paper in list(sample_library.papers())[::20]:
        last = sample_library.sentences([paper.id])[paper.id].spans[-1]
        sentence = paper.abstract[slice(*last)]
        if len(sentence) < 60:
            continue
        (hit,) = sample_library.search(sentence, 1)
        tried += 1
        right += hit.paper.id == paper.id and hit.passage.end == last[1]
    assert tried >= 15
    assert right >= 0.8 * tried


def test_the_same_query_gives_the_same_answer(sample_library: Library) -> None:
    one, other = (sample_library.search("large language models", 30) for _ in range(2))
    assert [hit.to_dict() for hit in one] == [hit.to_dict() for hit in other]


def test_more_than_there_is(sample_library: Library) -> None:
    hits = sample_library.search("model", 10_000)
    assert len(hits) == len({hit.paper.id for hit in hits}) > DEPTH


ODD = (
    *(
        "",
        "   ",
        "?!…",
        "🙂",
        "\x00",
        '"',
        "title:(",
        "a AND",
        "[* TO *]",
        "\\",
        "'; DROP TABLE papers",
    ),
    *(
        "机器翻译的大语言模型",
        "مرحبا",
        "\ud800 model",
        "the of",
        "model " * 200_000,
        "x" * 1_000_000,
        " " * 3_000,
        "\u202eledom egaugnal\u202c",
        '"speculative decoding',
        "title:model^9 -body:(draft OR ~2) [a TO z} *",
        "+" * 1_000_000,
    ),
)


@pytest.mark.parametrize("query", ODD, ids=lambda query: ascii(query[:12]))
def test_odd_queries_are_answered(sample_library: Library, query: str) -> None:
    started = time.process_time()
    result = sample_library.find(query, 3)
    # Processor time, for the machine may be busy; a usual query takes a hundredth of it.
    assert time.process_time() - started < 3.0
    assert len(result.hits) in (0, 3)
    if not any(character.isalnum() for character in query):
        assert result.hits == ()
        assert "nothing to search for" in result.notes[0]
    if len(query) > 10_000:
        assert any("characters were searched" in note for note in result.notes)


def test_words_that_stand_everywhere_are_nothing_to_search_for(sample_library: Library) -> None:
    result = sample_library.find("and THE of", 3)
    assert result.hits == ()
    assert "nothing to search for" in result.notes[0]
    assert sample_library.find("and the draft", 3).hits


def test_what_looks_like_syntax_is_words(sample_library: Library) -> None:
    plain = sample_library.find("body draft AND models TO", 10).hits
    for query in (
        "body:draft AND models TO",
        "body draft AND (models TO",
        '+body "draft AND models TO',
    ):
        ranks = [(hit.paper.id, hit.lexical_rank) for hit in sample_library.find(query, 475).hits]
        assert {pair for pair in ranks if pair[1] and pair[1] <= 10} == {
            (hit.paper.id, hit.lexical_rank)
            for hit in sample_library.find("body draft AND models TO", 475).hits
            if hit.lexical_rank and hit.lexical_rank <= 10
        }
    assert {"draft", "models"} >= set(plain[0].matched_words) - {"body"}


def test_words_behind_much_white_space_are_searched(sample_library: Library) -> None:
    padded = sample_library.find("\n" * 5_000 + "speculative decoding", 3)
    plain = sample_library.find("speculative decoding", 3)
    assert [hit.paper.id for hit in padded.hits] == [hit.paper.id for hit in plain.hits]
    assert padded.notes == ()


def test_foreign_words_are_said_to_be_found_by_meaning_alone(sample_library: Library) -> None:
    result = sample_library.find("机器翻译的大语言模型", 3)
    assert "by meaning alone" in result.notes[0]
    assert all(hit.lexical_rank is None and not hit.matched_words for hit in result.hits)


@settings(max_examples=40)
@given(query=st.text(max_size=80), k=st.integers(1, 8))
def test_any_query_gives_spans_that_stand(sample_library: Library, query: str, k: int) -> None:
    for hit in sample_library.search(query, k):
        span = hit.passage
        assert hit.paper.abstract[span.start : span.end] == span.text


@pytest.mark.parametrize(
    ("since", "until"),
    [("2024", None), (None, "2023"), ("2024-06", "2024-11"), ("2024-10-12", "2024-10-12")],
)
def test_dates_narrow_and_the_undated_are_mentioned(
    sample_library: Library, since: str | None, until: str | None
) -> None:
    narrowed = Filters(since=since, until=until)
    result = sample_library.find("language models", 50, narrowed)
    allowed = [paper for paper in sample_library.papers() if paper.published]
    for hit in result.hits:
        assert hit.paper.published is not None
        assert since is None or hit.paper.published >= since[: len(hit.paper.published)]
        assert until is None or hit.paper.published[: len(until)] <= until
    expected = [
        p
        for p in allowed
        if (since is None or (p.published or "")[: len(since)] >= since)
        and (until is None or (p.published or "")[: len(until)] <= until)
    ]
    assert len(result.hits) == min(50, len(expected)) > 0
    assert any("without a date" in note and "370" in note for note in result.notes)


def test_other_filters(sample_library: Library) -> None:
    ids = [paper.id for paper in sample_library.papers()][:3]
    found = sample_library.search("model", 10, papers=[*ids, "never there"])
    assert {hit.paper.id for hit in found} == set(ids)
    assert len(sample_library.search("model", 10, source="daily-papers")) == 10
    assert sample_library.search("model", 10, source="bibtex") == ()
    assert sample_library.search("model", 10, author="nobody at all") == ()


@pytest.mark.parametrize("narrowed", [{"since": "last year"}, {"until": "2024-13"}, {"k": 0}])
def test_a_wrong_call_says_what_is_wrong(
    sample_library: Library, narrowed: dict[str, str | int]
) -> None:
    with pytest.raises(UsageError, match=r"2024-10-12|at least 1"):
        sample_library.search("model", **narrowed)  # type: ignore[arg-type]


def test_words_are_looked_for_here_where_no_thread_begins_or_none_is_free(
    sample_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [hit.to_dict() for hit in sample_library.search("sparse attention", 10)]
    over = ThreadPoolExecutor(1)
    over.shutdown()
    monkeypatch.setattr("citewise.library.retrieval._BESIDE", over)
    assert [hit.to_dict() for hit in sample_library.search("sparse attention", 10)] == wanted
    free = threading.Event()
    with ThreadPoolExecutor(1) as busy:
        busy.submit(free.wait)
        monkeypatch.setattr("citewise.library.retrieval._BESIDE", busy)
        try:
            assert [h.to_dict() for h in sample_library.search("sparse attention", 10)] == wanted
        finally:
            free.set()


def test_a_search_that_fails_leaves_nothing_running(
    sample_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    retriever = sample_library._retriever
    real = retriever._by_words

    def slowly(*given: Any) -> object:
        time.sleep(0.3)
        found = real(*given)
        ended.set()
        return found

    def fails(texts: object) -> object:
        # Late enough for the other thread to have begun.
        time.sleep(0.1)
        raise EmbedderError("no vectors today")

    monkeypatch.setattr(retriever, "_by_words", slowly)
    monkeypatch.setattr(retriever._embedder, "embed_queries", fails)
    with pytest.raises(EmbedderError, match="no vectors today"):
        sample_library.search("sparse attention", 10)
    assert ended.is_set()
