"""Questions for a part of a study that the abstract leaves out, and for one that it tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from citewise.answering.assistant import Assistant
from citewise.library.library import Library
from citewise.types import Message, Paper

H2O = Paper(
    id="h2o",
    title="H$_2$O: heavy hitters of attention",
    abstract="We present H2O, which keeps the tokens that matter. H2O halves the memory of caches "
    "for long texts. Without its heavy hitters, answers degrade. H2O runs on two A100 GPUs.",
)
LANTERN = Paper(
    id="lantern",
    title="Lantern: a cache for long texts",
    abstract="Caches for long texts need much memory. However, existing methods fail on phones and "
    "have severe limitations. We present Lantern, a cache that forgets what nobody reads. It "
    "halves the memory of caches and reads texts twice as fast as before. On eight H800 GPUs it "
    "serves 12B parameters. Our code is available at https://example.org/lantern.",
)
HARBOR = Paper(
    id="harbor",
    title="Harbor: texts on a disk",
    abstract="We present Harbor, a store that keeps caches for long texts on a disk. It was tested "
    "on the BigBooks dataset. However, it degrades when disks are slow, and each read is costly.",
)
TRIAL = Paper(
    id="trial",
    title="Daily walks against back pain in clerks: a randomised trial of two years.",
    abstract="BACKGROUND Back pain is common in clerks. METHODS We randomised 231 clerks to daily "
    "walks or to usual care. RESULTS Pain fell by 14% with walks (hazard ratio 0.81). Blisters "
    "were the only adverse events. CONCLUSIONS Daily walks relieve back pain in clerks.",
)


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    folder: Path = tmp_path_factory.mktemp("aspects")
    with Library.open(folder / "library") as opened:
        opened.add([H2O, LANTERN, HARBOR, TRIAL])
        yield Assistant(opened)


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        # The limits of others are not its own.
        ("What are the limitations of Lantern?", "'Lantern' says nothing of its limitations"),
        ("Who funded Harbor?", "'Harbor' says nothing of its funding"),
        ("Is the code of Harbor available?", "'Harbor' says nothing of code or data"),
        ("What hardware does Harbor use?", "'Harbor' says nothing of its hardware"),
        ("How many parameters does Harbor have?", "'Harbor' does not say how many parameters"),
    ],
)
def test_what_an_abstract_leaves_out_is_declined(
    assistant: Assistant, question: str, reason: str
) -> None:
    answer = assistant.ask(question)
    assert not answer.answered
    assert f"the abstract of {reason}" in answer.text


@pytest.mark.parametrize("unit", ["FPS", "frames per second"])
def test_a_frame_rate_in_short_is_not_called_left_out(unit: str, tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library:
        told = f"We present Quill, a renderer of books. It draws their pages at 12 {unit}."
        library.add([replace(HARBOR, title="Quill: drawing books", abstract=told), LANTERN])
        answer = Assistant(library).ask("How many FPS does Quill run at?")
    assert "**12" in answer.text


@pytest.mark.parametrize("asked", ["sets", "data sets", "datasets", "benchmarks"])
def test_datasets_are_counted_whatever_they_are_called(asked: str, tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library:
        told = "We present Quill, a renderer of books. It is better on six of nine datasets."
        library.add([replace(HARBOR, title="Quill: drawing books", abstract=told), LANTERN])
        talk = [
            Message("user", "What is Quill?"),
            Message("assistant", "Quill draws books [1]."),
        ]
        answer = Assistant(library).ask(f"On how many {asked} does it help?", history=talk)
    assert "six of nine" in answer.text


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("What are the limitations of Harbor?", "degrades when disks are slow"),
        ("Where is the code of Lantern?", "example.org/lantern"),
        ("What hardware was used for Lantern?", "H800"),
        ("How many GPUs does Lantern need?", "eight H800"),
        ("How many parameters does Lantern have?", "12B"),
        ("What data was Harbor tested on?", "BigBooks"),
        ("What results does Lantern report?", "halves the memory"),
        # More is asked than whether there are any.
        ("What limitations of caches does Lantern overcome?", "Lantern"),
    ],
)
def test_what_an_abstract_tells_in_its_own_words_is_answered(
    assistant: Assistant, question: str, said: str
) -> None:
    answer = assistant.ask(question)
    assert answer.answered
    assert said in answer.text


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("What are the limitations of H2O?", "Without its heavy hitters, answers degrade."),
        ("How many GPUs does H2O need?", "H2O runs on two A100 GPUs."),
        ("What hardware was Lantern tested on?", "On eight H800 GPUs it serves 12B parameters."),
    ],
)
def test_what_is_asked_for_is_told_and_nothing_beside_it(
    assistant: Assistant, question: str, told: str
) -> None:
    answer = assistant.ask(question)
    assert answer.answered
    assert [sentence.text for sentence in answer.sentences] == [told]


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ("how many participants?", True),
        ("were there side effects?", True),
        ("who funded it?", False),
        ("how old were they?", False),
        ("and the limitations?", False),
    ],
)
def test_a_talk_of_one_paper_hears_what_that_leaves_out(
    assistant: Assistant, question: str, answered: bool
) -> None:
    asked = f"Tell me about {TRIAL.title}"
    history = [Message("user", asked), Message("assistant", assistant.ask(asked).text)]
    answer = assistant.ask(question, history)
    assert answer.answered is answered
    assert answered or "Daily walks against back pain" in answer.text.split("The nearest")[0]


def test_a_figure_that_no_abstract_gives_is_told_first_and_believed_less(
    assistant: Assistant,
) -> None:
    known = assistant.ask("What is the hazard ratio of back pain with daily walks?")
    assert "do not give" not in known.text
    missing = assistant.ask("What is the prevalence of back pain in clerks with daily walks?")
    assert missing.text.startswith("These abstracts do not give the prevalence.")
    assert missing.confidence < known.confidence - 0.2
