# ruff: noqa: E501 (claims in tables stay on one line)
from __future__ import annotations

import re
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewise.grounding.checker import check, check_batch
from citewise.types import Verdict

CORPUS = Path(__file__).resolve().parents[2] / "eval" / "corpus"

MS = "Mixing and Shifting: Exploiting Global and Local Dependencies in Vision MLPs"
PMOD = "p-MoD: Building Mixture-of-Depths MLLMs via Progressive Ratio Decay"
DEFT = "From PEFT to DEFT: Parameter Efficient Finetuning for Reducing Activation Density"
BEST = (
    "Adaptive Inference-Time Compute: LLMs Can Predict if They Can Do Better, Even Mid-Generation"
)
LLAVA = "Dynamic-LLaVA: Efficient Multimodal Large Language Models via Dynamic Vision-language"
SORTED = "SortedNet, a Place for Every Network and Every Network in its Place"
KAT = "Kolmogorov-Arnold Transformer"
LAZY = "The Lazy Neuron Phenomenon: On Emergence of Activation Sparsity in Transformers"
ARITH = "Interpreting and Improving Large Language Models in Arithmetic Calculation"
RELAXED = "Relaxed Recursive Transformers: Effective Parameter Sharing with Layer-wise LoRA"
BAG = "Bag of Tricks for Inference-time Computation of LLM Reasoning"
FINAL = "FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction"


@cache
def abstract(title: str) -> str:
    for file in sorted(CORPUS.glob("*.txt")):
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        for at, line in enumerate(lines):
            if line.startswith(title):
                return next(x for x in lines[at + 1 :] if len(x) > 300)
    raise AssertionError(f"the corpus has no paper {title!r}")


HONEST = [
    (MS, "MS-MLP reaches 83.8 percent top-1 accuracy on ImageNet-1K with 85M parameters."),
    (MS, "With 85 million parameters, MS-MLP attains 83.8% top-1 accuracy on ImageNet-1K."),
    (MS, "The authors present Mix-Shift-MLP, in which the local receptive field used for mixing "
         "grows with the amount of spatial shifting."),
    (MS, "Combined with the Swin Transformer, MS-MLP improves ImageNet-1K classification by 0.5% "
         "with Swin-B."),
    (MS, "Token-mixing MLPs achieve competitive performance with low computational cost."),
    (MS, "Their success comes mostly from avoiding self-attention, which is computationally heavy."),
    (PMOD, "p-MoD needs only 55.6% of the TFLOPs and 53.8% of the KV cache storage at inference."),
    (PMOD, "It matches or surpasses the baseline models across 14 benchmarks."),
    (PMOD, "Training takes 77.7% of the GPU hours of the baseline."),
    (PMOD, "The MoD module is adapted with tanh-gated weight normalization (TanhNorm) and symmetric "
           "token reweighting (STRing)."),
    (PMOD, "p-MoD gradually reduces the token retention ratio layer by layer, following a shifted "
           "cosine schedule."),
    (PMOD, "Vision tokens are more redundant in deeper layers."),
    (DEFT, "DEFT reduces activation density by up to 50.72% on RoBERTa Large."),
    (DEFT, "On Flan-T5 XXL, it lowers the encoder density by 53.19% and the decoder density by "
           "90.60%."),
    (DEFT, "The method is used with techniques such as QLoRA, LoRA and adapters."),
    (DEFT, "A density loss encourages higher activation sparsity in pre-trained models."),
    (BEST, "With 16 samples, the win rate of Llama 3.1 8B against GPT-4 on AlpacaEval rises from 21% "
           "to 34%."),
    (BEST, "Math performance on GSM8K improves from 84% to 91%."),
    (BEST, "Best-of-N sampling is computationally expensive because it needs an external reward "
           "model and several generated samples."),
    (BEST, "The predictions are obtained without an external reward model."),
    (BEST, "The authors introduce a generative self-evaluation scheme that adaptively reduces the "
           "number of generated samples."),
    (LLAVA, "Dynamic-LLaVA cuts computation in the prefill stage by about 75%."),
    (LLAVA, "It reduces computation by roughly 50% during decoding without a KV cache."),
    (LLAVA, "It dynamically reduces the redundancy of the vision context in the prefill stage."),
    (LLAVA, "Existing methods reduce vision context redundancy, but their efficiency gains diminish "
            "during decoding."),
    (SORTED, "SortedNet is a generalized and scalable solution that exploits the modularity of deep "
             "neural networks for efficient dynamic inference."),
    (SORTED, "One round of training scales the number of sub-networks to hundreds."),
    (SORTED, "Sub-networks share parameters and are trained together with the main model."),
    (KAT, "KAT replaces MLP layers with Kolmogorov-Arnold Network (KAN) layers."),
    (KAT, "The authors identify three challenges in integrating KANs into transformers."),
    (KAT, "B-spline functions are not optimized for parallel computing on modern hardware, so "
          "inference is slower."),
    (KAT, "Rational functions replace B-splines to be more compatible with modern GPUs."),
    (LAZY, "On average only 3.0% of entries are nonzero for T5-Base and 6.3% for ViT-B16."),
    (LAZY, "Larger Transformers with more layers are sparser."),
    (LAZY, "Sparsity also emerges when training on random labels or random inputs."),
    (ARITH, "LLMs frequently involve a small fraction (under 5%) of attention heads in arithmetic."),
    (ARITH, "Fine-tuning these heads improves mathematical ability without compromising performance "
            "on non-mathematical tasks."),
    (RELAXED, "Recursive Transformers use a single block of unique layers that is repeated several "
              "times in a loop."),
    (RELAXED, "The recursive Gemma 1B outperforms TinyLlama 1.1B and Pythia 1B."),
    (BAG, "Tuning temperature can improve reasoning performance by up to 5%."),
    (BAG, "The study uses more than 20,000 A100-80G GPU hours and over 1,000 experiments."),
    (FINAL, "FinalMLP adds feature gating and interaction aggregation layers to a two-stream MLP."),
]  # fmt: skip

DISHONEST = [
    (MS, "MS-MLP reaches 86.8 percent top-1 accuracy on ImageNet-1K with 85M parameters."),
    (MS, "With 58 million parameters, MS-MLP attains 83.8% top-1 accuracy on ImageNet-1K."),
    (MS, "With 85 million parameters, MS-MLP attains 83.8% top-1 accuracy on CIFAR-100."),
    (MS, "The local receptive field used for mixing shrinks as the amount of spatial shifting "
         "decreases the number of classes."),
    (MS, "Combined with the ConvNeXt backbone, MS-MLP improves ImageNet-1K classification by 0.5%."),
    (MS, "Token-mixing MLPs never achieve competitive performance in computer vision tasks."),
    (MS, "MS-MLP does not achieve competitive performance in multiple vision benchmarks."),
    (PMOD, "p-MoD needs only 35.6% of the TFLOPs and 53.8% of the KV cache storage at inference."),
    (PMOD, "It matches or surpasses the baseline models across 41 benchmarks."),
    (PMOD, "p-MoD gradually increases the token retention ratio layer by layer."),
    (PMOD, "Vision tokens exhibit lower redundancy in deeper layers."),
    (PMOD, "p-MoD fails to match the performance of the baseline models across 14 benchmarks."),
    (PMOD, "p-MoD is trained on the LAION dataset with reinforcement learning."),
    (DEFT, "DEFT reduces activation density by up to 70.72% on RoBERTa Large."),
    (DEFT, "DEFT reduces activation density by up to 50.72% on DeBERTa Large."),
    (DEFT, "DEFT increases activation density by up to 50.72% on RoBERTa Large."),
    (DEFT, "A density loss encourages lower activation sparsity in pre-trained models."),
    (BEST, "The win rate of Llama 3.1 8B against GPT-4 on AlpacaEval rises from 21% to 44%."),
    (BEST, "Math performance on GSM8K degrades from 84% to 91%."),
    (BEST, "Math performance on MATH-500 improves from 84% to 91%."),
    (BEST, "The win rate of Mistral 7B against GPT-4 on AlpacaEval increases from 21% to 34%."),
    (BEST, "Best-of-N sampling is not computationally expensive."),
    (BEST, "The predictions are obtained with an external reward model."),
    (LLAVA, "Dynamic-LLaVA cuts computation in the prefill stage by about 95%."),
    (LLAVA, "Dynamic-LLaVA increases computation consumption in the prefill stage."),
    (LLAVA, "It reduces the computation by 80% during decoding without a KV cache."),
    (LLAVA, "Dynamic-LLaVA needs human annotators to select video frames."),
    (SORTED, "SortedNet cannot scale the number of sub-networks beyond a few."),
    (SORTED, "The sub-networks do not share parameters with the main model."),
    (SORTED, "SortedNet improves reading comprehension in low-resource languages."),
    (KAT, "KAT replaces MLP layers with Mamba layers."),
    (KAT, "The authors identify seven key challenges."),
    (KAT, "The standard B-spline function is optimized for parallel computing on modern hardware."),
    (LAZY, "On average 30.0% of entries are nonzero for T5-Base."),
    (LAZY, "On average only 3.0% of entries are nonzero for BERT-Base."),
    (LAZY, "Smaller Transformers with fewer layers are sparser as measured by the percentage of "
           "nonzero entries."),
    (LAZY, "Sparsity does not emerge using training datasets with random labels."),
    (ARITH, "LLMs frequently involve a large fraction (more than 50%) of attention heads."),
    (RELAXED, "The recursive Gemma 1B underperforms similar-sized vanilla pretrained models such as "
              "TinyLlama 1.1B and Pythia 1B."),
    (RELAXED, "Parameter sharing is very effective in modern LLMs and offers no reduction in size."),
    (BAG, "Tuning temperature can improve reasoning performance by up to 15%."),
    (BAG, "The study uses more than 50,000 A100-80G GPU hours."),
    (FINAL, "FinalMLP performs worse than many sophisticated two-stream CTR models."),
]  # fmt: skip


def test_honest_rewordings_pass_and_dishonest_ones_do_not() -> None:
    alarms = [
        (claim, result.reasons)
        for title, claim in HONEST
        if not (result := check(claim, abstract(title), context=title)).supported
    ]
    missed = [
        claim
        for title, claim in DISHONEST
        if check(claim, abstract(title), context=title).supported
    ]
    assert len(alarms) <= 0.1 * len(HONEST), alarms
    assert len(missed) <= 0.05 * len(DISHONEST), missed


@pytest.mark.parametrize("title", [MS, PMOD, DEFT, BEST, LLAVA, SORTED, KAT, LAZY, ARITH, BAG])
def test_every_sentence_of_an_abstract_is_backed_by_it(title: str) -> None:
    text = abstract(title)
    for sentence in re.split(r"(?<=[.!?]) (?=[A-Z])", text):
        result = check(sentence, text)
        assert result.supported
        assert result.support >= 0.95
        assert result.reasons == ()


@pytest.mark.parametrize("title", [MS, PMOD, DEFT, BEST, LAZY])
def test_one_changed_number_always_breaks(title: str) -> None:
    text = abstract(title)
    for sentence in re.split(r"(?<=[.!?]) (?=[A-Z])", text):
        for match in re.finditer(r"\d+(?:\.\d+)?", sentence):
            new = str(float(match.group()) + 3.5) if "." in match.group() else match.group() + "7"
            claim = sentence[: match.start()] + new + sentence[match.end() :]
            assert not check(claim, text).supported, claim


def test_reason_names_the_number_and_what_the_words_say() -> None:
    result = check("It is a 12.5x speedup.", "We report a 5.54x speedup.")
    assert result.verdict is Verdict.UNSUPPORTED
    assert result.reasons[0] == "12.5x is not in the cited words; they say 5.54x"


NIGHTS = (
    "In a trial with 300 nurses, those on fixed night shifts slept less than those whose shifts "
    "rotated, and made more errors in the last hours of a shift. A short nap halfway through the "
    "night reduced the errors of both groups, while coffee did so only in nurses younger than "
    "thirty. Sick leave was not studied."
)


def test_a_plain_claim_is_more_than_its_words() -> None:
    assert check("A nap in mid-shift cut errors in both groups.", NIGHTS).supported
    assert not check("The nurses took a short nap every hour.", NIGHTS).supported
    beyond = check("All nurses of the trial were younger than thirty.", NIGHTS)
    assert beyond.verdict is Verdict.PARTLY
    assert beyond.reasons == ("the cited words hold the claim's words, but nowhere together",)
    useless = check("A short nap did nothing for the errors of either group.", NIGHTS)
    assert useless.verdict is Verdict.PARTLY
    assert useless.reasons[-1] == "the cited words seem to say the opposite"


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("Patients under forty were helped, while older ones gained nothing.",
         "Of all patients only those under forty benefited."),
        ("Wages rose in towns, whereas villages saw no rise.",
         "The rise of wages was confined to towns."),
    ],
)  # fmt: skip
def test_a_true_claim_of_two_facts_is_not_called_the_opposite(claim: str, words: str) -> None:
    assert "the cited words seem to say the opposite" not in check(claim, words).reasons


def test_title_holds_names_and_numbers() -> None:
    words = "We propose a decoding method that needs no draft model."
    claim = "FlashDraft-2 is a decoding method that needs no draft model."
    assert not check(claim, words).supported
    assert check(claim, words, context="FlashDraft-2: Decoding without drafts").supported


def test_what_a_paper_does_is_not_said_of_another() -> None:
    words = "We present recursive decoding, a method that samples tokens without replacement."
    claim = (
        "FlashDraft-2 presents recursive decoding, a method that samples tokens without "
        "replacement."
    )
    assert check(claim, words).supported
    assert check(claim, words, context="FlashDraft-2: Recursive decoding").supported
    assert not check(claim, words, context="Recursive decoding of tokens").supported


@pytest.mark.parametrize("evidence", ["", "   ", [], ["", " "]])
def test_nothing_cited_backs_nothing(evidence: str | list[str]) -> None:
    result = check("Any claim.", evidence)
    assert (result.support, result.verdict) == (0.0, Verdict.UNSUPPORTED)
    assert result.reasons == ("no words are cited",)


def test_a_part_of_a_denied_sentence_is_not_backed() -> None:
    words = "It is not true that scaling improves accuracy on every task."
    assert not check("Scaling improves accuracy on every task.", words).supported


def test_a_batch_says_what_single_checks_say() -> None:
    pairs = [(claim, abstract(title), title) for title, claim in (HONEST + DISHONEST)[::7]]
    assert check_batch(pairs) == [check(c, e, context=t) for c, e, t in pairs]


WORDS = st.lists(
    st.sampled_from(
        """model improves accuracy by 5.54x 70% not without GPT-4 CIFAR-10 faster than the baseline
        of three datasets ( ) , . ; $\\times$ LLMs Bayesian 1,000 up to we propose α-net e.g.""".split()
    ),
    min_size=1,
    max_size=40,
).map(" ".join)


@given(st.one_of(st.text(max_size=300), WORDS), st.one_of(st.text(max_size=300), WORDS))
@settings(max_examples=300, deadline=None)
def test_any_text_gets_a_probability(claim: str, evidence: str) -> None:
    result = check(claim, evidence, context=claim[:40])
    assert 0.0 <= result.support <= 1.0
    assert result == check(claim, evidence, context=claim[:40])
    assert result.supported or result.reasons


@given(WORDS, st.lists(WORDS, max_size=3))
@settings(max_examples=200, deadline=None)
def test_a_claim_that_is_cited_word_for_word_is_supported(claim: str, others: list[str]) -> None:
    if re.search(r"\w", claim):
        assert check(claim, [*others, claim]).supported


@given(WORDS, st.lists(WORDS, min_size=2, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_the_order_of_the_cited_texts_does_not_matter(claim, texts, random) -> None:  # type: ignore[no-untyped-def]
    shuffled = list(texts)
    random.shuffle(shuffled)
    assert check(claim, texts) == check(claim, shuffled)


@pytest.mark.parametrize(
    "unit",
    ["a", "1,", "1.", "((", ". ", "\n", " \n", "not ", "A", "5x ", "GPT-4 ", "\\", "{$", "~", "'a", "^²",
     "faster slower ", "e.g. ", "-", "ab-"],
)  # fmt: skip
def test_long_texts_take_bounded_time(unit: str) -> None:
    # A fifth of a megabyte shows what grows with the square of the length.
    assert seconds_for(unit, 200_000) < 6


def test_a_megabyte_takes_bounded_time() -> None:
    assert seconds_for("5x ", 1_000_000) < 20


def seconds_for(unit: str, length: int) -> float:
    text = (unit * (length // len(unit) + 1))[:length]
    start = time.process_time()  # other work on the machine doesn't count
    check("GPT-4 is not 5x faster than a slower model, up to 70%.", text)
    check(text, "GPT-4 is not 5x faster.")
    return time.process_time() - start
