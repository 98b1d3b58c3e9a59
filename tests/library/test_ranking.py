"""The ranking: words and meaning both count, nothing is lost between them, the order is stable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise import Library
from citewise.library.feedback import (
    FEEDBACK_TERMS,
    relevance_terms,
    similarities,
    smooth,
    standardise,
    word_shares,
)
from citewise.types import Paper

TOPICS = {
    "cats": "The feline slept on the warm windowsill. It purred whenever its owner came near.",
    "cars": "Electric vehicles need charging stations along motorways. Batteries limit range.",
    "bread": "Sourdough rises slowly, for wild yeast ferments the flour. A hot oven sets a crust.",
    "stars": "Telescopes resolve distant galaxies. Redshift tells how fast they move away from us.",
    "law": "Courts interpret contracts by the intention of both parties. Appeals are costly.",
    "rivers": "Floods deposit silt on the plain. Dams hold back sediment that deltas would need.",
    "rare": "Mutations of the gene ZQX17 cause a rare disorder of the skin in newborn children.",
    "skin": "Disorders of the skin in newborn children often have a genetic cause that is unknown.",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    opened = Library.open(tmp_path_factory.mktemp("ranking") / "library")
    opened.add([Paper(name, "", text) for name, text in TOPICS.items()])
    return opened


def _ids(library: Library, query: str, k: int = 8) -> list[str]:
    return [hit.paper.id for hit in library.search(query, k)]


def test_a_paraphrase_without_a_shared_word_is_found(library: Library) -> None:
    query = "cosmology observations"
    known = set(library.terms(query))
    assert not known & set(library.terms(TOPICS["stars"]))
    assert _ids(library, query)[0] == "stars"


def test_a_rare_name_wins_over_a_paper_that_is_nearer_in_meaning(library: Library) -> None:
    assert _ids(library, "genetic disorder of newborn children's skin ZQX17")[0] == "rare"
    assert _ids(library, "ZQX17")[0] == "rare"


def test_one_sentence_of_a_long_abstract_is_enough(tmp_path: Path) -> None:
    fillers = [text for name, text in TOPICS.items() if name != "stars"]
    padding = " ".join(fillers)
    with Library.open(tmp_path / "library") as library:
        library.add(
            [
                Paper("a-without", "", f"{padding} Courts are slow. {padding}"),
                Paper("b-with", "", f"{padding} {TOPICS['stars']} {padding}"),
            ]
        )
        query = "cosmology observations"
        assert not set(library.terms(query)) & set(library.terms(padding + TOPICS["stars"]))
        assert _ids(library, query) == ["b-with", "a-without"]


def test_the_same_query_gives_the_same_order_and_fewer_papers_its_beginning(
    library: Library,
) -> None:
    query = "why do they move slowly"
    whole = _ids(library, query)
    assert len(whole) == len(set(whole)) == len(TOPICS)
    assert [_ids(library, query) for _ in range(3)] == [whole] * 3
    assert _ids(library, query, 3) == whole[:3]
    scores = [hit.score for hit in library.search(query, 8)]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_equal_papers_stand_in_the_order_of_their_ids(tmp_path: Path) -> None:
    text = "Glaciers carve valleys."
    with Library.open(tmp_path / "library") as library:
        # The same words under another title are another paper.
        library.add([Paper(name, "", f"{text} {'x' * n}") for n, name in enumerate("cab", 61)])
        assert sorted(_ids(library, "mountain ice")) == ["a", "b", "c"]
        assert _ids(library, "mountain ice") == _ids(library, "mountain ice")


def test_papers_that_changed_are_judged_by_their_new_sentences(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library:
        library.add([Paper(name, "A note", text) for name, text in TOPICS.items()])
        assert _ids(library, "pet animal at home")[0] == "cats"
        library.add(
            [
                Paper("cats", "A note", TOPICS["law"] + " Now of judges."),
                Paper("law", "A note", TOPICS["cats"] + " Now of a pet."),
            ]
        )
        assert _ids(library, "pet animal at home")[0] == "law"


def test_papers_without_vectors_are_found_and_do_not_sink(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library:
        library.add([Paper(name, "", text) for name, text in TOPICS.items() if name != "rare"])
        library.add([Paper("rare", "", TOPICS["rare"])], embed=False)
        assert _ids(library, "gene ZQX17 mutations")[0] == "rare"
        result = library.find("gene ZQX17 mutations", 3)
        assert any("not embedded" in note for note in result.notes)


def test_the_word_scores_of_chosen_papers_are_those_of_the_search(library: Library) -> None:
    words = library._lexical
    query = "rare disorder of the skin in newborn children"
    searched = dict(words.search(query, 100))
    asked = words.scores(dict.fromkeys(words.terms(query), 1.0), [*searched, "cats", "unknown"])
    assert asked.keys() == searched.keys()
    assert asked == pytest.approx(searched, rel=1e-5)
    assert words.scores({}, ["cats"]) == {} == words.scores({"felin": 1.0}, [])


def test_a_score_that_the_word_index_cut_off_is_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A paper beyond the end of the list of words still has the words that it has."""
    query = "pets like kittens: newborn children of their owner, genetic"
    with Library.open(tmp_path / "library") as library:
        library.add([Paper(name, "", text) for name, text in TOPICS.items()])
        monkeypatch.setattr("citewise.library.retrieval.DEPTH", 2)
        # As in a library too large to score whole.
        monkeypatch.setattr("citewise.library.lexical._WHOLE", 0)
        filled = {hit.paper.id: hit for hit in library.search(query, 2)}
        real: Callable[..., dict[str, float]] = library._lexical.scores
        asked: list[str] = []

        def only_feedback(weights: dict[str, float], papers: list[str]) -> dict[str, float]:
            if set(weights.values()) == {1.0}:
                asked.extend(papers)
                return {}
            return real(weights, papers)

        monkeypatch.setattr(library._lexical, "scores", only_feedback)
        bare = {hit.paper.id: hit for hit in library.search(query, 2)}
        assert asked == ["cats"]
        assert filled.keys() >= {"skin"}
        assert "cats" not in bare or bare["cats"].score < filled["cats"].score


@given(st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_standardised_values_keep_their_order(values: list[float]) -> None:
    array = np.array(values, np.float64)
    out = standardise(array)
    assert np.all(np.isfinite(out))
    order = np.argsort(array, kind="stable")
    assert np.all(np.diff(out[order]) >= -1e-9)
    if len(values) and np.ptp(array) > 1e-3:
        assert out.mean() == pytest.approx(0, abs=1e-6)
        assert out.std() == pytest.approx(1)


def test_what_is_not_known_is_neither_for_nor_against() -> None:
    out = standardise(np.array([9.0, 1.0, 3.0]), np.array([False, True, True]))
    assert out.tolist() == [0.0, -1.0, 1.0]


def test_smoothing_lifts_the_neighbour_of_a_good_paper_and_leaves_the_vectorless_alone() -> None:
    vectors = np.eye(8, dtype=np.float32)
    vectors[1] = vectors[0]
    vectors[7] = 0
    scores = np.array([4.0, 0, 0, 0, 0, 0, 0, 2.0])
    out = smooth(scores, vectors, 0.25)
    assert out[1] == pytest.approx(1.0)
    assert out[7] == 2.0
    assert out[2:7].tolist() == [0.0] * 5
    assert scores[1] == 0.0


def test_feedback_takes_words_that_the_best_share_and_others_lack() -> None:
    rarities = {"the": 0.0005, "quark": 5.2, "decay": 5.2}
    texts = [
        word_shares(text, lambda word: rarities.get(word, 7.6))
        for text in (["the", "quark", "decay"], ["the", "quark", "spin"], ["the", "market"])
    ]
    found = relevance_terms(texts, [2.0, 2.0, -2.0])
    assert max(found, key=lambda word: found[word]) == "quark"
    assert found["market"] < found["spin"]
    assert found["the"] < 0.01
    assert sum(found.values()) == pytest.approx(1.0)
    many = relevance_terms([{f"w{n}": 0.005 for n in range(200)}], [0.0])
    assert list(many) == sorted(f"w{n}" for n in range(200))[:FEEDBACK_TERMS]
    assert relevance_terms([], []) == {}


def test_a_words_share_counts_how_often_it_stands_and_how_rare_it_is() -> None:
    found = word_shares(["a", "b", "a", "c"], {"a": 1.0, "b": 2.0, "c": 0.0}.__getitem__)
    assert found == {"a": 0.5, "b": 0.5, "c": 0.0}


@pytest.mark.parametrize("n", [1, 2, 25, 26, 27, 90])
def test_similarities_in_blocks_are_those_of_the_whole(n: int) -> None:
    rows = np.random.default_rng(n).normal(size=(n, 384)).astype(np.float32)
    np.testing.assert_allclose(similarities(rows), rows @ rows.T, rtol=1e-4, atol=1e-3)


def test_the_rarity_of_a_word_follows_what_is_added(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library:
        library.add([Paper(name, "", text) for name, text in TOPICS.items()], embed=False)
        (skin,), (dam,) = library.terms("skin"), library.terms("dams")
        assert library._lexical.rarity(dam) > library._lexical.rarity(skin)
        more = [Paper(f"more{n}", "", f"Dams of kind {n} leak.") for n in range(4)]
        library.add(more, embed=False)
        assert library._lexical.rarity(dam) < library._lexical.rarity(skin)
