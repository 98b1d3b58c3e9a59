from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.grounding.entailment import (
    EntailmentModel,
    entailment_model,
    nearest_sentences,
    passage_for,
    spelled_out,
)
from citewise.models.loading import ModelFileError, ModelFolder

EVIDENCE = (
    "We trained 40 patients twice a week for three months. Exercise lowered systolic blood "
    "pressure by 9 mmHg on average, while body weight stayed the same."
)


def test_the_labels_stand_in_their_order() -> None:
    backed, denied, open_ = entailment_model().read(
        [
            ("Physical training brings blood pressure down.", EVIDENCE),
            ("Exercise did not lower systolic blood pressure.", EVIDENCE),
            ("Physical training lengthens sleep.", EVIDENCE),
        ]
    )
    assert backed.supported > max(denied.supported, open_.supported)
    assert denied.contradicted > max(backed.contradicted, open_.contradicted)
    undecided = [1 - one.supported - one.contradicted for one in (backed, denied, open_)]
    assert undecided[2] == max(undecided)


def test_claim_and_evidence_are_not_interchangeable() -> None:
    general, special = "Physical training brings blood pressure down.", EVIDENCE
    forward, backward = entailment_model().read([(general, special), (special, general)])
    assert forward.supported > 0.5 > backward.supported


def test_a_question_is_answered_by_what_says_it_and_by_nothing_else() -> None:
    told, untold, elsewhere = entailment_model().read(
        [
            ("What did exercise do to blood pressure?", EVIDENCE),
            ("How old were the patients on average?", EVIDENCE),
            ("What did exercise do to blood pressure?", "Language models predict the next word."),
        ]
    )
    assert told.answered > max(untold.answered, elsewhere.answered)


def test_a_pair_is_judged_alike_alone_and_among_others() -> None:
    pairs = [(f"Claim number {n} is about sleep.", EVIDENCE[: 20 + 9 * n]) for n in range(12)]
    model = entailment_model()
    together = model.read(pairs)
    alone = [model.read([pair])[0] for pair in pairs]
    for one, other in zip(together, alone, strict=True):
        assert np.allclose(
            [one.supported, one.contradicted, one.answered],
            [other.supported, other.contradicted, other.answered],
            atol=1e-3,
        )
    assert model.read([]) == []


@pytest.mark.parametrize("text", ["", "\ud800", "a" * 50_000, "\x00", "語" * 999])
def test_any_text_is_read(text: str) -> None:
    [one] = entailment_model().read([(text, text)])
    assert 0 <= one.supported <= 1
    assert 0 <= one.contradicted <= 1
    assert 0 <= one.answered <= 1


@given(st.text(max_size=300), st.lists(st.text(max_size=300), max_size=4), st.integers(1, 400))
def test_nearest_sentences_are_words_of_the_evidence_in_their_order(
    text: str, evidence: list[str], limit: int
) -> None:
    found = nearest_sentences(text, evidence, limit)
    everything = nearest_sentences(text, evidence, 10**9)
    at = 0
    for word in found.split():
        at = everything.index(word, at) + len(word)
    assert bool(found) == bool(everything)


def test_of_long_evidence_the_sentence_that_is_meant_stays() -> None:
    padding = " ".join(f"Sentence {n} tells of weather and of winds at sea." for n in range(90))
    meant = "Exercise lowered systolic pressure by nine points."
    found = nearest_sentences("Exercise lowers pressure.", [f"{padding} {meant} {padding}"])
    assert meant in found
    assert len(found) <= 900


def test_a_paper_is_read_with_its_title() -> None:
    assert passage_for("x", "A Title.", "Some words.") == "A Title. Some words."
    assert passage_for("x", " ", "Some words.") == "Some words."


@pytest.mark.parametrize("damage", ["byte", "missing", "checksums", "nested"])
def test_a_damaged_model_is_not_used(damage: str, tmp_path: Path) -> None:
    packaged = ModelFolder.packaged("entailment")
    shutil.copytree(Path(str(packaged.path)), tmp_path / "m")
    folder = ModelFolder(tmp_path / "m")
    assert folder.verified("model.onnx") == packaged.verified("model.onnx")
    if damage == "byte":
        content = bytearray(folder.verified("model.onnx"))
        content[1000] ^= 1
        (tmp_path / "m/model.onnx").write_bytes(content)
    elif damage == "missing":
        (tmp_path / "m/model.onnx").unlink()
    elif damage == "nested":
        (tmp_path / "m/checksums.json").write_text("[" * 100_000, "utf-8")
    else:
        (tmp_path / "m/checksums.json").write_text(json.dumps({"files": []}), "utf-8")
    with pytest.raises(ModelFileError, match="citewise again"):
        folder.verified("model.onnx")


def test_a_model_of_ones_own_can_be_given() -> None:
    class Session:
        def run(self, names: list[str], feed: dict[str, object]) -> list[object]:
            ids = feed["input_ids"]
            assert isinstance(ids, np.ndarray)
            return [np.tile(np.array([9.0, 0.0, 0.0, -9.0], np.float32), (len(ids), 1))]

    [one] = EntailmentModel(session=Session()).read([("a", "b")])
    assert one.supported > 0.99
    assert one.answered < 0.01


def test_a_question_for_milliseconds_is_answered_by_ms() -> None:
    title, abstract = "MobileSAM", "MobileSAM runs at 27 fps and takes 8ms on the image encoder."
    asked = "At how many frames per second does MobileSAM run?"
    other = "How many dollars does MobileSAM cost a month?"
    answered, open_ = entailment_model().read(
        [(asked, passage_for(asked, title, abstract)), (other, passage_for(other, title, abstract))]
    )
    assert answered.answered > 0.5 > open_.answered


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("27fps, 8ms and 16-GB", "27 frames per second, 8 milliseconds and 16 gigabytes"),
        ("1.4k samples, 7B parameters", "1.4 thousand samples, 7 billion parameters"),
        (
            "the 1990s, Qwen-VL-7B, 224x224 and GPT-4 s",
            "the 1990s, Qwen-VL-7B, 224x224 and GPT-4 s",
        ),
    ],
)
def test_units_of_figures_are_spelled_out(text: str, spelled: str) -> None:
    assert spelled_out(text) == spelled
    assert spelled_out(spelled) == spelled


def test_a_graph_has_no_more_outputs_than_are_asked_for() -> None:
    # onnxruntime computes all of them, whichever it is asked for; two heads over one row are cheap.
    packaged = ModelFolder.packaged("entailment")
    for file, outputs in (
        ("model.onnx", ["logits"]),
        ("relevance.onnx", ["relevant", "answering"]),
    ):
        graph = onnxruntime.InferenceSession(packaged.verified(file))
        assert [one.name for one in graph.get_outputs()] == outputs


def test_the_sentence_that_answers_is_told_from_others_of_its_paper() -> None:
    title = "Night shifts and sleep of bus drivers"
    sentences = (
        "Bus drivers who work night shifts sleep badly.",
        "We asked 340 bus drivers on night shifts about sleep and mood.",
        "Night shifts cost bus drivers two hours of sleep.",
        "Longer breaks did not help.",
    )
    for question, wanted in (
        ("How many people were asked?", 1),
        ("How many hours of sleep do night shifts cost?", 2),
        ("Did breaks improve the sleep of bus drivers?", 3),
    ):
        odds = entailment_model().answering(question, [(title, said) for said in sentences])
        assert max(range(4), key=odds.__getitem__) == wanted
