from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.grounding.overlap import background, overlap, plain, read, split_sentences, stem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"a $5.54\times$ speedup", "a 5.54x speedup"),
        ("5.54 × faster", "5.54x faster"),
        (r"70\% and 70 percent", "70% and 70%"),
        (r"\textbf{Bold} words", "Bold words"),
        ("as shown [1, 2] before", "as shown before"),
        ("“quoted”—and 4–5", '"quoted" - and 4-5'),
        (r"Fig.~1 and $\sim$5", "Fig. 1 and ~5"),
    ],
)
def test_plain(text: str, expected: str) -> None:
    assert " ".join(plain(text).split()) == expected


def test_abbreviations_do_not_end_sentences() -> None:
    assert split_sentences("We test e.g. Llama and others. It works, cf. Table 2. Done!") == [
        "We test e.g. Llama and others.",
        "It works, cf. Table 2.",
        "Done!",
    ]


@pytest.mark.parametrize(
    "family",
    [
        "optimize optimization optimizing optimized optimised",
        "efficient efficiently efficiency",
        "reduce reduces reducing reduction decrease",
        "improve improvement improving enhances",
        "accurate accuracy",
        "faster speedup accelerate acceleration",
        "study studies",
    ],
)
def test_a_family_of_words_has_one_stem(family: str) -> None:
    assert len({stem(word) for word in family.split()}) == 1


def test_different_words_stay_apart() -> None:
    words = "model mode token task train test layer label sparse dense loss lose".split()
    assert len({stem(word) for word in words}) == len(words)


def test_rare_words_weigh_more() -> None:
    table = background()
    assert table.weight(stem("model")) < table.weight(stem("quantization")) < 1.01
    assert table.weight("zzyzxq") >= table.weight(stem("quantization"))


def test_a_claim_that_joins_two_sentences_needs_both() -> None:
    evidence = read(
        "We prune attention heads. "
        + "Nothing else matters here at all. " * 6
        + "Pruning halves memory on phones."
    )
    held = overlap(read("Pruned attention heads halve memory on phones."), [evidence])
    assert held.pair > held.window
    assert held.pair == pytest.approx(1.0)


def test_missing_words_are_named_heaviest_first() -> None:
    held = overlap(read("The model needs quaternion lattices."), [read("The model needs data.")])
    assert set(held.missing) == {"quaternion", "lattices"}


@given(st.text(max_size=200), st.text(max_size=200))
def test_shares_are_shares(claim: str, evidence: str) -> None:
    held = overlap(read(claim), [read(evidence)])
    for value in (held.sentence, held.window, held.pair, held.whole, held.bigrams, held.plain):
        assert 0.0 <= value <= 1.0 + 1e-9
    assert held.pair >= held.window - 0.03
