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
        ("It has two hundred sites.", "It has 200 sites."),
        ("It has one hundred and twenty sites.", "It has 120 sites."),
        ("It has thirty-five sites.", "It has 35 sites."),
        ("It has ninety sites.", "It has 90 sites."),
        ("It has one billion weights.", "It has a billion weights."),
        ("It has half a million rows.", "It has 500,000 rows."),
        ("It is two and a half times faster.", "It is 2.5x faster."),
        ("It helps more than four out of five people.", "It helps 82% of people."),
        ("It helps one in five people.", "It helps 20% of people."),
        ("It helps 60% of people.", "It helps 27 of the 45 people."),
        ("It wins on five of the six sets.", "It wins on 5 sets of all 6."),
        ("It saves nearly nine tenths of it.", "It saves 88% of it."),
        ("It saves two thirds of it.", "It saves 66.7% of it."),
        ("It costs less than a third of it.", "It costs 28% of it."),
        ("It has about half the risk.", "It has a relative risk of 0.54."),
        ("It runs for an hour and a half.", "It runs for 90 minutes."),
        ("It runs for more than twenty hours.", "It runs for 1,250 min."),
        ("It runs for two years.", "It runs for 24 months."),
        ("It finds about 95% of them.", "It finds up to 94.7% of them."),
        ("Its double bond breaks in double-negative cells.", "Its bond breaks in such cells."),
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
        ("It has two hundred sites.", "It has 100 sites."),
        ("It has thirty-five sites.", "It has 30 sites and 5 halls."),
        ("It helps four out of five people.", "It helps 60% of people."),
        ("It helps half of all people.", "It helps 25% of people."),
        ("It saves two thirds of it.", "It saves 60% of it."),
        ("It runs for twenty hours.", "It runs for 1,250 min."),
        ("It runs for two days.", "It runs for 24 hours."),
        ("It can double the speed.", "It can triple the speed."),
        ("It is over 80% right.", "It is up to 83.8% right."),
        ("It is 5x faster, at 10 ms.", "It is 4x faster, at 10 ms instead of 50 ms."),
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
        ("It fits in 24 GB there.", "It fits in 24G there."),
        ("The CDC says so.", "The Centers for Disease Control say so."),
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
        ("It is quicker without hurting accuracy.", "It is quicker while maintaining accuracy."),
        ("A third is fully accessible.", "A third has full accessibility, most are inaccessible."),
    ],
)
def test_the_same_meaning_in_other_words_holds(claim: str, evidence: str) -> None:
    assert not broken(claim, evidence) & {"negation", "direction"}


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("It is about ten times as common in girls.", "It hits 2.74% of girls and 0.28% of boys."),
        ("The dose was more than seven times the usual.", "The dose was 50 mg and not 6.5 mg."),
        ("Six out of ten patients had it.", "It was found in 16 of those 27 patients."),
        ("It was over 50% likelier there.", "The hazard ratio was 1.57 there."),
        ("It cost about a third.", "It saved 66.3% of the cost."),
        ("Costs fell by more than half.", "Costs fell from 6,980 to 3,113 dollars."),
    ],
)
def test_what_follows_from_the_cited_numbers_is_no_hard_lock(claim: str, evidence: str) -> None:
    assert "number" not in broken(claim, evidence)
    assert "number" in broken(claim.replace(".", ", at 17 of 19."), evidence)


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


def test_marks_part_numbers_in_words() -> None:
    (sentence,) = read("Of thirty, five and a hundred, two out of three.")
    assert [(q.text, round(q.value)) for q in quantities(sentence)] == [
        ("thirty", 30), ("five", 5), ("a hundred", 100), ("two out of three", 67),
    ]  # fmt: skip


def test_a_measured_value_is_no_share() -> None:
    (sentence,) = read("It has an nDCG@10 of 40.2, a recall@5 of 80 and a ratio of 0.5 of 0.9.")
    assert [q.value for q in quantities(sentence)] == [10, 40.2, 5, 80, 0.5, 0.9]


def test_a_byte_is_no_bit() -> None:
    words = "QLoRA finetunes a model with 4-bit weights."
    assert "number" in broken("QLoRA finetunes a model with 4-byte weights.", words)
    assert not broken("QLoRA finetunes a model with weights of four bits.", words)
