from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.errors import LibraryError
from citewise.library.lexical import LexicalIndex

PAPERS = (
    ("a", "Fast decoding", "A draft model proposes tokens. Naïve sampling is slow."),
    ("b", "Growing tomatoes", "Tomatoes want water, sun and decoding."),
    ("c", "Graphs", "Nodes and edges of a knowledge graph."),
)


@pytest.fixture
def index(tmp_path: Path) -> LexicalIndex:
    index = LexicalIndex(tmp_path / "lexical")
    index.update(PAPERS)
    return index


def found(index: LexicalIndex, query: str, **narrowed: list[str]) -> list[str]:
    return [paper_id for paper_id, _ in index.search(query, 10, **narrowed)]


def test_words_find_their_papers_best_first(index: LexicalIndex) -> None:
    assert found(index, "decoding") == ["a", "b"], "a word of the title weighs more"
    assert found(index, "TOMATO waters") == ["b"], "stemmed, in any case"
    assert found(index, "naive") == ["a"], "accents do not matter"
    assert found(index, "the and of") == [], "stop words are no words"
    assert found(index, "zebra") == []
    assert all(score > 0 for _, score in index.search("decoding graph", 10))


def test_what_people_shorten_is_no_word_of_papers(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path / "shortened")
    letters = ("d", "Don T. and W.", "Don has an s, a t and a w.")
    index.update([*PAPERS, letters])
    assert found(index, "what's not a graph?") == ["c"]
    assert found(index, "I don't want trees w/ nodes") == ["c", "b"]
    assert found(index, "Don W") == ["d"]
    assert found(index, "don't") == ["d"], "nothing else to search for"


def test_in_how_many_papers_a_word_stands(index: LexicalIndex) -> None:
    counts = index.document_frequencies(index.terms("decoding drafts zebra"))
    assert counts == {"decod": 2, "draft": 1, "zebra": 0}


def test_only_the_allowed_papers_are_found_with_the_same_scores(index: LexicalIndex) -> None:
    everywhere = dict(index.search("decoding tomatoes", 10))
    assert dict(index.search("decoding tomatoes", 10, ["b", "zz"])) == {"b": everywhere["b"]}
    assert found(index, "decoding", allowed=[]) == []


def test_a_paper_written_again_stands_once_with_its_new_words(index: LexicalIndex) -> None:
    index.update([("a", "Slow decoding", "Nothing is drafted.")])
    assert found(index, "proposes") == []
    assert found(index, "slow") == ["a"]
    assert index.count() == 3


def test_forgetting_and_writing_in_one_call_keeps_what_is_written(index: LexicalIndex) -> None:
    index.update([("a", "Fresh", "Fresh words.")], forget=["a", "b", "never there"])
    assert index.count() == 2
    assert found(index, "fresh") == ["a"]
    assert found(index, "tomatoes") == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> LexicalIndex:
    index = LexicalIndex(tmp_path_factory.mktemp("words") / "lexical")
    index.update(PAPERS)
    return index


@given(query=st.text(max_size=200))
def test_a_query_is_words_never_syntax(shared: LexicalIndex, query: str) -> None:
    assert set(found(shared, query)) <= {"a", "b", "c"}


@pytest.mark.parametrize(
    "query", ['title:"unclosed', "AND OR NOT", "+a -b", "[a TO z}", "a^99", "\ud800 graph", "*"]
)
def test_syntax_of_search_engines_is_harmless(index: LexicalIndex, query: str) -> None:
    assert set(found(index, query)) <= {"a", "b", "c"}


def test_another_reader_sees_what_was_written(tmp_path: Path, index: LexicalIndex) -> None:
    reader = LexicalIndex(tmp_path / "lexical")
    index.update([("d", "Zebras", "Stripes.")])
    reader.reload()
    assert found(reader, "zebra") == ["d"]


@pytest.mark.parametrize("content", [b"", b"{}", b"not json", b"\x00\x00"])
def test_a_damaged_index_says_how_to_mend_it(tmp_path: Path, content: bytes) -> None:
    LexicalIndex(tmp_path / "lexical").update(PAPERS)
    (tmp_path / "lexical" / "meta.json").write_bytes(content)
    with pytest.raises(LibraryError, match="doctor --repair"):
        LexicalIndex(tmp_path / "lexical").search("decoding", 3)


def test_a_filter_of_most_papers_is_exact(tmp_path: Path) -> None:
    index = LexicalIndex(tmp_path / "words")
    index.update((f"p{n}", f"Quagga {n}", "It grazes. " * (1 + n % 7)) for n in range(12_000))
    allowed = [f"p{n}" for n in range(0, 12_000) if n % 8]
    few = [paper for paper in allowed if int(paper[1:]) < 3_000]
    assert len(allowed) > 10_000 > len(few)
    found = index.search("quagga grazes", 50, allowed)
    whole = [row for row in index.search("quagga grazes", 12_000) if row[0] in set(allowed)]
    assert [score for _, score in found] == [score for _, score in whole[:50]]
    assert {paper for paper, _ in found} <= set(allowed)
    assert len(index.search("quagga", 20_000, allowed)) == len(allowed)
    assert {paper for paper, _ in index.search("quagga", 40, few)} <= set(few)
