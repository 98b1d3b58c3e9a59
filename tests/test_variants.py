"""Questions and claims in British spelling, papers in American, and the other way round."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import citewise
from citewise.library.library import Library
from citewise.types import Message, Paper, Verdict
from citewise.variants import american, other_spellings

PAIRS = [
    ("optimise", "optimize"),
    ("quantisation", "quantization"),
    ("tokenisers", "tokenizers"),
    ("analysing", "analyzing"),
    ("behavioural", "behavioral"),
    ("misbehaviour", "misbehavior"),
    ("neighbours", "neighbors"),
    ("fibres", "fibers"),
    ("kilometres", "kilometers"),
    ("centred", "centered"),
    ("labelled", "labeled"),
    ("unlabelled", "unlabeled"),
    ("leukaemia", "leukemia"),
    ("Anaemia", "Anemia"),
    ("oestrogen", "estrogen"),
    ("apnoea", "apnea"),
    ("defence", "defense"),
    ("practised", "practiced"),
    ("programmes", "programs"),
    ("analogue", "analog"),
    ("distil", "distill"),
    ("manoeuvring", "maneuvering"),
]
SAME = (
    "expertise precise noise noisy revised supervised unsupervised layerwise promising comprises"
    " raised exercise otherwise enterprise improvised surprisingly until still programmers dialogue"
    " hours contour analyses paralysis four parameter diameter perimeter archaeology model models"
    " controlled compelled fetch federated hemisphere tired size prize"
)


@pytest.mark.parametrize(("british", "wanted"), PAIRS)
def test_both_spellings_of_a_word(british: str, wanted: str) -> None:
    assert american(british) == wanted
    assert wanted in set(other_spellings(british))
    assert american(f"We ({british}) it.") == f"We ({wanted}) it."


@pytest.mark.parametrize("british", [one for one, _ in PAIRS if one != "manoeuvring"])
def test_the_british_spelling_is_found_from_the_american(british: str) -> None:
    assert british in set(other_spellings(american(british)))


def test_words_that_only_look_british_stay() -> None:
    assert american(SAME) == SAME


@given(st.text(max_size=200))
def test_american_spelling_is_final(text: str) -> None:
    once = american(text)
    assert american(once) == once


def _library(folder: Path, *abstracts: str) -> Library:
    library = Library.open(folder)
    library.add(
        Paper(f"paper-{number}", f"On matter {number}", abstract)
        for number, abstract in enumerate(abstracts)
    )
    return library


GPU = "We optimize the kernels of graphics cards. They run twice as fast as before."
FISH = "Salmon return to the river in which they hatched. Their sense of smell leads them there."
CELLS = "The behaviour of tumour cells in zebrafish is followed. They migrate along the vessels."


@pytest.mark.parametrize("effort", ["normal", "deep"])
def test_a_search_finds_what_is_spelled_otherwise(tmp_path: Path, effort: str) -> None:
    with _library(tmp_path, FISH, GPU, CELLS) as library:
        best = library.find("optimising", effort=effort).hits[0]
        assert best.paper.id == "paper-1"
        assert best.lexical_rank == 1
        best = library.find("tumor behavior", effort=effort).hits[0]
        assert (best.paper.id, best.lexical_rank) == ("paper-2", 1)


def test_matched_words_are_told_as_they_were_typed(tmp_path: Path) -> None:
    with _library(tmp_path, FISH, GPU, CELLS) as library:
        best = library.find("Optimising kernels").hits[0]
        assert best.matched_words == ("Optimising", "kernels")


def test_a_word_is_spelled_as_most_papers_do(tmp_path: Path) -> None:
    with _library(tmp_path, FISH, GPU, CELLS) as library:
        spelled = library.as_spelled("Optimise the behavior of Labour and of randomised tumours.")
        assert spelled == "Optimize the behaviour of Labour and of randomised tumours."


def test_no_paper_is_said_to_lack_a_word_that_is_spelled_otherwise(tmp_path: Path) -> None:
    with _library(tmp_path, FISH, GPU, CELLS) as library:
        assistant = citewise.Assistant(library)
        answer = assistant.ask("How do they optimise graphics cards?")
        assert answer.answered
        assert "mentions" not in answer.text
        talk = [
            Message("user", "How do they optimise graphics cards?"),
            Message("assistant", answer.text),
        ]
        assert assistant.ask("How fast do they run?", history=talk).answered


def test_a_claim_is_backed_whatever_its_spelling() -> None:
    british = "The defence optimises the behaviour of labelled tumour cells in leukaemia."
    other = "The defense optimizes the behavior of labeled tumor cells in leukemia."
    for claim, evidence in ((british, other), (other, british)):
        assert citewise.check(claim, evidence).verdict is Verdict.SUPPORTED
        assert citewise.check(claim.replace("tumo", "fibro"), evidence).support < 0.9


SETS = (
    "Datasets of maps. Two datasets show that fine-tuning helps. It ran in real time.",
    "Datasets of songs. Three datasets are annotated, and fine-tuning takes an hour.",
    "Datasets of fish. In real time, all over the river, they are counted. Overall it works.",
)


def test_one_word_or_two_as_the_papers_have_it(tmp_path: Path) -> None:
    with _library(tmp_path, *SETS) as library:
        asked = "On how many data sets did finetuning work in realtime, over all songs?"
        spelled = library.as_spelled(asked)
        assert spelled == "On how many datasets did fine tuning work in real time, over all songs?"
        assert library.as_spelled("state-of-the-art data-set out of sea water") == (
            "state-of-the-art dataset out of sea water"
        )
