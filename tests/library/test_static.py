"""The static encoder: a table of word pieces, added up."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise import Library
from citewise.errors import FingerprintError
from citewise.library.embedding import PassageInput, packaged_encoder
from citewise.library.passages import sentence_spans
from citewise.library.static import StaticEncoder, static_encoder
from citewise.models.loading import ModelFileError
from citewise.types import Paper

TEXT = "Otters hold hands while they sleep. They float on their backs. A raft is their herd."


def test_its_vectors_are_near_those_of_six_layers() -> None:
    spans = tuple(sentence_spans(TEXT))
    passage = PassageInput(TEXT, spans)
    (ours,) = static_encoder().embed_passages([passage])
    (theirs,) = packaged_encoder().embed_passages([passage])
    assert float(ours.passage @ theirs.passage) > 0.6
    # Each sentence is nearer to itself than to the others.
    cosines = ours.sentences @ theirs.sentences.T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]
    assert ours.tokens == theirs.tokens


def test_vectors_of_abstracts_are_near_those_of_six_layers(sample_library: Library) -> None:
    abstracts = [
        PassageInput(paper.abstract[:900]) for paper in islice(sample_library.papers(), 40)
    ]
    ours, theirs = (
        np.stack([item.passage for item in encoder.embed_passages(abstracts)])
        for encoder in (static_encoder(), packaged_encoder())
    )
    assert float((ours * theirs).sum(axis=1).mean()) > 0.85
    assert (ours @ theirs.T).argmax(axis=1).tolist() == list(range(40))


def test_a_question_is_nearest_to_what_answers_it() -> None:
    encoder = static_encoder()
    texts = [TEXT, "Transformers attend to every token.", "Enzymes bind to their substrates."]
    passages = [item.passage for item in encoder.embed_passages(map(PassageInput, texts))]
    questions = ["How do sea otters sleep?", "attention of transformers", "what binds an enzyme"]
    cosines = encoder.embed_queries(questions) @ np.stack(passages).T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]


@given(st.lists(st.text(max_size=60), max_size=5), st.text(max_size=60))
def test_any_text_has_one_vector_alone_and_among_others(texts: list[str], text: str) -> None:
    encoder = static_encoder()
    alone = encoder.embed_queries([text])[0]
    assert np.array_equal(encoder.embed_queries([*texts, text])[-1], alone)
    length = float(np.linalg.norm(alone))
    has_words = encoder.count_tokens([text])[0] > 0
    assert length == pytest.approx(1.0 if has_words else 0.0, abs=1e-4)


@given(st.text(max_size=200))
def test_any_span_has_a_vector_or_zeros(text: str) -> None:
    spans = ((0, len(text)), (0, 0), *sentence_spans(text))
    (found,) = static_encoder().embed_passages([PassageInput(text, spans)])
    assert found.sentences.shape == (len(spans), 384)
    lengths = np.linalg.norm(found.sentences, axis=1)
    assert np.all((np.abs(lengths - 1) < 1e-4) | (lengths == 0))
    assert lengths[1] == 0


def test_a_span_outside_of_its_text_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        list(static_encoder().embed_passages([PassageInput("Otters.", ((2, 99),))]))


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    sums = '{"files": {"table.npz": "' + "0" * 64 + '"}}'
    (tmp_path / "checksums.json").write_text(sums)
    (tmp_path / "table.npz").write_bytes(b"PK")
    with pytest.raises(ModelFileError, match=r"table\.npz has sha256"):
        StaticEncoder(tmp_path).embed_queries(["otters"])


def test_a_library_remembers_that_it_was_made_with_it(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library", embedder="static") as library:
        library.add([Paper("otter", "Otters", TEXT), Paper("bee", "Bees", "Bees dance in hives.")])
        assert library.waiting() == 0
    with Library.open(tmp_path / "library") as again:
        assert again.info().embedder.startswith("citewise-static/")
        assert again.search("where do otters sleep", 1)[0].paper.id == "otter"
        assert again.search("where do otters sleep", 1)[0].dense_rank == 1
    with pytest.raises(FingerprintError, match="was made with the embedder citewise-static"):
        Library.open(tmp_path / "library", embedder="minilm")
    with Library.repair(tmp_path / "library", embedder="minilm") as changed:
        assert changed.info().embedder.startswith("all-MiniLM")
    with Library.open(tmp_path / "library") as last:
        assert last.search("where do otters sleep", 1)[0].dense_rank == 1
