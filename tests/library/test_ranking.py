"""The ranking: words and meaning both count, nothing is lost between them, the order is stable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise import Library
from citewise.library.feedback import Floats, similarities, smooth, standardise
from citewise.library.retrieval import Retriever
from citewise.library.wordings import (
    FEEDBACK_TERMS,
    Numbers,
    Wording,
    number_of,
    shared_words,
    word_scores,
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


@pytest.mark.parametrize("effort", ["normal", "deep"])
@pytest.mark.parametrize("name", ["NOVUM", "FineQuant", "Flash-LLM"])
def test_the_one_paper_of_a_name_comes_first_however_many_are_asked_for(
    name: str, effort: str, sample_library: Library
) -> None:
    for query in (name, f"how much does {name} improve over baselines?"):
        for k in (1, 10, 100):
            best = sample_library.search(query, k, effort=effort)[0]
            assert best.paper.title.startswith(f"{name}:"), (query, k)


def test_a_name_does_not_outweigh_a_query_that_says_much_besides(library: Library) -> None:
    asked = "telescopes resolve distant galaxies, whose redshift tells how fast they move (ZQX17)"
    assert _ids(library, asked)[0] == "stars"


def test_a_filter_holds_for_the_papers_of_a_name(library: Library) -> None:
    found = library.search("ZQX17", 8, papers=["skin", "law"])
    assert {hit.paper.id for hit in found} == {"skin", "law"}


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


def test_the_word_scores_of_chosen_papers_are_those_of_the_search(tmp_path: Path) -> None:
    query = "rare disorder of the skin in newborn children"
    with Library.open(tmp_path / "library") as library:
        library.add([Paper(name, f"Of {name}", text) for name, text in TOPICS.items()])
        retriever, words = library._retriever, library._lexical
        searched = dict(words.search(query, 100))
        numbers = {number_of(term): 1.0 for term in words.terms(query)}
        asked = retriever._scores_of(list(TOPICS), numbers, retriever._remembered())
        unknown = retriever._scores_of(["unknown"], numbers, retriever._remembered())
    found = {paper: score for paper, score in zip(TOPICS, asked.tolist(), strict=True) if score}
    assert found == pytest.approx(searched, rel=1e-5)
    assert unknown.tolist() == [0.0]


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
        real: Callable[..., Floats] = Retriever._scores_of
        asked: list[str] = []

        def only_feedback(
            self: Retriever, papers: list[str], weights: dict[int, float], memory: object
        ) -> Floats:
            if set(weights.values()) == {1.0}:
                asked.extend(papers)
                return np.zeros(len(papers))
            return real(self, papers, weights, memory)

        monkeypatch.setattr(Retriever, "_scores_of", only_feedback)
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


def _wording(text: str, title: int = 0) -> Wording:
    return Wording(np.array([number_of(word) for word in text.split()], np.int64), title)


def test_feedback_takes_words_that_the_best_share_and_others_lack() -> None:
    rarities = {number_of(word): rare for word, rare in (("the", 0.0005), ("quark", 5.2))}

    def rarity(numbers: Numbers) -> Floats:
        return np.array([rarities.get(number, 7.6) for number in numbers.tolist()])

    texts = [_wording(text) for text in ("the quark decay", "the quark spin", "the market", "")]
    found = shared_words(texts, [2.0, 2.0, -2.0, 9.0], rarity)
    assert next(iter(found)) == number_of("quark")
    assert found[number_of("market")] < found[number_of("spin")]
    assert found[number_of("the")] < 0.01
    assert sum(found.values()) == pytest.approx(1.0)
    # A word counts as often as it stands.
    twice = shared_words([_wording("spin spin decay")], [0.0], rarity)
    assert twice[number_of("spin")] == pytest.approx(2 * twice[number_of("decay")])
    many = shared_words([_wording(" ".join(f"w{n}" for n in range(200)))], [0.0], rarity)
    assert list(many) == sorted(number_of(f"w{n}") for n in range(200))[:FEEDBACK_TERMS]
    assert shared_words([], [], rarity) == {}


@given(
    st.lists(st.tuples(st.lists(st.sampled_from("abcdefgh")), st.integers(0, 3)), max_size=6),
    st.dictionaries(st.sampled_from("abcdxyz"), st.tuples(st.floats(0, 9), st.floats(0, 9))),
)
def test_word_scores_are_bm25_of_body_and_title(
    papers: list[tuple[list[str], int]], weights: dict[str, tuple[float, float]]
) -> None:
    wordings = [_wording(" ".join(words), min(title, len(words))) for words, title in papers]
    wanted = np.array([number_of(word) for word in weights], np.int64)
    body, title = (np.array([pair[at] for pair in weights.values()]) for at in (0, 1))
    found = word_scores(wordings, wanted, body, title)
    lengths = [len(words) for words, _ in papers]
    titles = [wording.title for wording in wordings]
    for at, (words, _) in enumerate(papers):
        total = 0.0
        for word, pair in weights.items():
            for field, weight, long in (
                (words, pair[0], lengths),
                (words[: titles[at]], pair[1], titles),
            ):
                count = field.count(word)
                mean = max(sum(long) / len(long), 1.0)
                norm = 1.2 * (1 - 0.75 + 0.75 * len(field) / mean)
                total += weight * count * 2.2 / (count + norm)
        assert found[at] == pytest.approx(total, abs=1e-9)


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
