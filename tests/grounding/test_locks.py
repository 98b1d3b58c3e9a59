from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.grounding.locks import check_locks, names, opposite
from citewise.grounding.overlap import overlap, read
from citewise.grounding.quantities import quantities


def broken(claim: str, evidence: str, context: str = "") -> set[str]:
    ours, theirs = read(claim), read(evidence)
    held = overlap(ours, [theirs])
    locks = check_locks(ours, theirs, aligned=held.aligned, best=held.best, context=read(context))
    return {lock.kind for lock in locks if lock.hard}


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("It has 1,000 tasks.", "It has 1000 tasks."),
        ("It has 1k tasks.", "It has 1,000 tasks."),
        ("It is 5.54x faster.", "It is 5.54 times faster."),
        ("It is 5.54 times faster.", r"It is $5.54\times$ faster."),
        ("It is 5.54x faster.", "It is 5.54times faster."),
        ("It is 5.54 × faster.", "It is 5.54x faster."),
        ("It needs 70% of it.", "It needs 70 percent of it."),
        ("It needs 70 % of it.", r"It needs 70\% of it."),
        ("It has 7B parameters.", "It has 7 billion parameters."),
        ("It has 1.5 million rows.", "It has 1.5M rows."),
        ("It has three stages.", "It has 3 stages."),
        ("It is twice as fast.", "It is 2x as fast."),
        ("It needs half of it.", "It needs 50% of it."),
        ("It is 4-5x faster.", "It is 4 to 5 times faster."),
        ("It saves about 70% of it.", "It saves 69.6% of it."),
        ("It saves nearly 70% of it.", "It saves 68.7% of it."),
        ("It saves over 80% of it.", "It saves 83.8% of it."),
        ("It reaches roughly 75% of it.", "It reaches sim75\\% of it."),
        ("It is tenfold cheaper.", "It is 10x cheaper."),
    ],
)  # fmt: skip
def test_numbers_written_otherwise_are_held(claim: str, evidence: str) -> None:
    assert "number" not in broken(claim, evidence)


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("It is 12.5x faster.", "It is 5.54x faster."),
        ("It saves 70% of it.", "It saves 69.6% of it."),
        ("It saves over 90% of it.", "It saves 83.8% of it."),
        ("It saves about 80% of it.", "It saves about 70% of it."),
        ("It is 70x faster.", "It is 70% faster."),
        ("It has 7B parameters.", "It has 7 million parameters."),
        ("It has five stages.", "It has three stages."),
        ("It is at least 5x faster.", "It is up to 5x faster."),
        ("It takes less than 10 ms.", "It takes more than 10 ms."),
        ("It scores 21% on A tasks and 34% on B tasks.",
         "It scores 34% on A tasks and 21% on B tasks."),
    ],
)  # fmt: skip
def test_other_numbers_break(claim: str, evidence: str) -> None:
    assert "number" in broken(claim, evidence)


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("It beats GPT-4 there.", "There it beats GPT4."),
        ("It uses LLMs here.", "Here it uses large language models."),
        ("It helps ResNets learn.", "It helps a ResNet learn."),
        ("This is ImageNet's split.", "This is the split of ImageNet."),
        ("It uses Mix-Shift layers.", "It uses MixShift layers."),
        ("We study Llama 3.1 8B here.", "Here we study Llama-3.1-8B."),
        ("It binds Interferon-γ there.", "It binds interferon-gamma there."),
    ],
)
def test_names_written_otherwise_are_held(claim: str, evidence: str) -> None:
    assert "name" not in broken(claim, evidence)


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("It beats GPT-4 there.", "It beats GPT-3 there."),
        ("It works on CIFAR-10 too.", "It works on CIFAR-100 too."),
        ("It works on ImageNet too.", "It works on COCO too."),
        ("BERT learns it.", "RoBERTa learns it."),
        ("The mixture of experts (Tutel) scales.", "The mixture of experts (MoFME) scales."),
    ],
)
def test_other_names_break(claim: str, evidence: str) -> None:
    assert "name" in broken(claim, evidence)


@pytest.mark.parametrize(
    ("claim", "evidence", "kind"),
    [
        ("The method does not improve accuracy.", "The method improves accuracy.", "negation"),
        ("The method improves accuracy.", "The method does not improve accuracy.", "negation"),
        ("It cannot learn long context.", "It can learn long context.", "negation"),
        ("It works without labelled data.", "It works with labelled data.", "negation"),
        ("It increases latency on phones.", "It reduces latency on phones.", "direction"),
        ("The model outperforms all baselines.", "The model underperforms all baselines.",
         "direction"),
        ("It has higher accuracy on maps.", "It has lower accuracy on maps.", "direction"),
        ("It is an effective method for maps.", "It is an ineffective method for maps.",
         "direction"),
        ("Pruning causes severe loss.", "Pruning causes minimal loss.", "direction"),
        ("It makes sparse predictions.", "We study dense predictions.", "direction"),
        ("The erased drawback of MLA hurts.", "The erased advantage of MLA hurts.", "direction"),
        ("It is far inferior in accuracy.", "It is comparable in accuracy.", "direction"),
        (
            "It is not proved to be superior to verifier-free ways.",
            "We prove that it is far superior to verifier-free ways.",
            "negation",
        ),
    ],
)  # fmt: skip
def test_turned_meanings_break(claim: str, evidence: str, kind: str) -> None:
    assert kind in broken(claim, evidence)


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("It needs no training.", "It is training-free."),
        ("It works without labels.", "It does not require labels."),
        ("It is not only fast but also accurate.", "It is fast and accurate."),
        ("It lowers latency and raises accuracy.", "It reduces latency while improving accuracy."),
        ("It reduces cost.", "It improves accuracy and reduces cost."),
        (
            "It improves accuracy and speed and needs neither extra data nor parameters.",
            "It improves accuracy and speed, without the need of extra data or parameters.",
        ),
        ("After training it is fast.", "Before training it is slow; after training it is fast."),
    ],
)
def test_the_same_meaning_in_other_words_holds(claim: str, evidence: str) -> None:
    assert not broken(claim, evidence) & {"negation", "direction"}


def test_numbers_and_names_of_the_title_count_as_held() -> None:
    claim = "RetroFit-3 halves memory on 12 devices."
    assert broken(claim, "Our system halves memory.") == {"number", "name"}
    assert not broken(claim, "Our system halves memory.", "RetroFit-3 on 12 devices")


def test_numbers_inside_names_are_no_quantities() -> None:
    (sentence,) = read("We test GPT-4 on CIFAR-10 with 3 seeds.")
    assert [q.value for q in quantities(sentence) if q.source == "digits"] == [3.0]
    assert [n.text for n in names(sentence)] == ["GPT-4", "CIFAR-10"]


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_two_different_numbers_never_hold_each_other(one: int, other: int) -> None:
    same = "number" not in broken(f"It has {one} rows.", f"It has {other:,} rows.")
    assert same == (one == other)


@given(st.text(max_size=20), st.text(max_size=20))
def test_opposites_are_mutual(one: str, other: str) -> None:
    assert opposite(one, other) == opposite(other, one)


def test_a_byte_is_no_bit() -> None:
    words = "QLoRA finetunes a model with 4-bit weights."
    assert "number" in broken("QLoRA finetunes a model with 4-byte weights.", words)
    assert not broken("QLoRA finetunes a model with weights of four bits.", words)
