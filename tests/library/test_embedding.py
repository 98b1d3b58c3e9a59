from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewise.errors import CitewiseError
from citewise.library.embedding import Embedder, MiniLM, PassageInput, PassageVectors
from citewise.library.library import Library
from citewise.models.loading import ModelFileError

SENTENCES = (
    "Speculative decoding lets a small draft model propose several tokens.",
    "The large model then checks all of them in one forward pass.",
    "We plant tomatoes in May, once the nights are warm.",
)


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    with as_file(files("citewise") / "models" / "minilm") as folder:
        shutil.copytree(folder, tmp_path / "model")
    return tmp_path / "model"


def passage(sentences: Sequence[str]) -> PassageInput:
    spans = []
    at = 0
    for sentence in sentences:
        spans.append((at, at + len(sentence)))
        at += len(sentence) + 1
    return PassageInput(" ".join(sentences), tuple(spans))


def one(model: MiniLM, item: PassageInput) -> PassageVectors:
    (vectors,) = model.embed_passages([item])
    return vectors


def test_it_is_an_embedder(model: MiniLM) -> None:
    embedder: Embedder = model
    assert embedder.dimensions == 384
    assert embedder.max_tokens == 254
    assert embedder.fingerprint.startswith("all-MiniLM-L6-v2-int8/256:")


@pytest.mark.parametrize(
    ("text", "paraphrase", "unrelated"),
    [
        (
            "How can language models generate text faster?",
            "Methods that speed up the inference of large language models",
            "A recipe for lentil soup with cumin",
        ),
        (
            "protein structure prediction",
            "Predicting how amino acid chains fold into three dimensions",
            "Detecting fraud in financial transactions",
        ),
        ("The cat sits on the mat.", "A cat is sitting on a rug.", "Stocks fell on Monday."),
    ],
)
def test_a_paraphrase_is_nearer_than_something_else(
    model: MiniLM, text: str, paraphrase: str, unrelated: str
) -> None:
    asked, near, far = model.embed_queries([text, paraphrase, unrelated])
    assert asked @ near > asked @ far + 0.3


def test_the_cosine_of_full_precision_is_kept(model: MiniLM) -> None:
    # Measured with the published weights in 32 bits, by a forward pass written in numpy.
    a, b, c = model.embed_queries(SENTENCES)
    assert a @ b == pytest.approx(0.2888, abs=0.02)
    assert a @ c == pytest.approx(0.0215, abs=0.02)


def test_a_question_read_quickly_has_about_the_vector_that_the_encoder_gives_it(
    model: MiniLM,
) -> None:
    questions = [
        "Which papers speed up decoding of large language models?",
        "What is known about sleep and memory in older adults?",
        "quantum error correction with surface codes",
        "Does aspirin lower the risk of colorectal cancer?",
        *SENTENCES,
    ]
    cosines = model.embed_quickly(questions) @ model.embed_queries(questions).T
    assert cosines.diagonal().min() > 0.85
    # It is another model that reads them.
    assert cosines.diagonal().max() < 0.999
    assert (cosines.argmax(axis=1) == np.arange(len(questions))).all()
    assert model.embed_quickly([]).shape == (0, 384)


def test_an_embedder_that_has_read_once_has_all_its_models_open(tmp_path: Path) -> None:
    fresh = MiniLM()
    with Library.open(tmp_path / "library", embedder=fresh) as library:
        library.warm()
    assert set(fresh._sessions) == {"model.onnx", "questions.onnx"}


def test_a_question_unlike_those_trained_with_is_read_by_the_encoder(model: MiniLM) -> None:
    for text, tokens in (("graphs and words " * 21, 63), ("graphs", 1), ("", 0)):
        assert model.count_tokens([text]) == [tokens]
        assert model.embed_quickly([text])[0] @ model.embed_queries([text])[0] > 0.9999


def test_every_sentence_gets_a_unit_vector_that_knows_its_neighbours(model: MiniLM) -> None:
    item = passage(SENTENCES)
    found = one(model, item)
    assert found.passage.shape == (384,)
    assert found.sentences.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(found.sentences, axis=1), 1, atol=1e-5)
    alone = model.embed_queries(SENTENCES)
    own = (found.sentences * alone).sum(axis=1)
    assert (own > 0.5).all()
    assert (own < 0.9999).all()
    assert found.sentences[1] @ alone[1] > found.sentences[2] @ alone[1]


def test_a_span_over_the_whole_text_differs_from_the_passage_by_the_special_tokens_only(
    model: MiniLM,
) -> None:
    text = " ".join(SENTENCES)
    found = one(model, PassageInput(text, ((0, len(text)),)))
    assert found.sentences[0] @ found.passage > 0.99


def test_a_sentence_is_the_mean_of_the_tokens_that_begin_in_it(model: MiniLM) -> None:
    text = " ".join(SENTENCES)
    words = model.token_offsets([text])[0]
    half = len(words) // 2
    split = words[half][0]
    by_word = one(model, PassageInput(text, tuple(words)))
    halves = one(model, PassageInput(text, ((0, split), (split, len(text)))))
    # A mean lies between its parts: it is nearer to the tokens it pools than to the others.
    near = by_word.sentences @ halves.sentences.T
    assert near[:half, 0].mean() > near[:half, 1].mean()
    assert near[half:, 1].mean() > near[half:, 0].mean()
    # Moving a boundary inside the blank before a word moves no token.
    moved = one(model, PassageInput(text, ((0, split - 1), (split - 1, len(text)))))
    np.testing.assert_array_equal(moved.sentences, halves.sentences)


def test_spans_may_come_in_any_order_and_overlap(model: MiniLM) -> None:
    item = passage(SENTENCES)
    spans = item.sentences
    turned = PassageInput(item.text, (spans[2], spans[0], spans[0]))
    plain = one(model, item).sentences
    np.testing.assert_array_equal(one(model, turned).sentences, plain[[2, 0, 0]])


def test_neighbours_in_a_batch_do_not_change_a_vector(model: MiniLM) -> None:
    items = [passage(SENTENCES[: 1 + n % 3]) for n in range(7)]
    items.append(PassageInput(" ".join(SENTENCES * 8), ((0, 10),)))
    items.append(PassageInput("!!! ??? £££ 12345 $100\\times$", ()))
    together = list(model.embed_passages(items))
    for item, found in zip(items, together, strict=True):
        alone = one(model, item)
        assert alone.passage @ found.passage > 0.9999
        assert ((alone.sentences * found.sentences).sum(axis=1) > 0.9999).all()


def test_order_is_kept_beyond_what_is_read_ahead(model: MiniLM) -> None:
    texts = [f"Paper {n} " + "on graphs " * (n % 17) for n in range(300)]
    found = [item.tokens for item in model.embed_passages(PassageInput(t) for t in texts)]
    assert found == model.count_tokens(texts)


def test_passages_stream(model: MiniLM) -> None:
    read = 0

    def endless() -> object:
        nonlocal read
        while True:
            read += 1
            yield PassageInput(f"Text {read}")

    stream = model.embed_passages(endless())  # type: ignore[arg-type]
    next(iter(stream))
    assert read < 1000


def test_nothing_in_nothing_out(model: MiniLM) -> None:
    assert model.embed_queries([]).shape == (0, 384)
    assert list(model.embed_passages([])) == []
    assert model.count_tokens([]) == []
    assert model.token_offsets([]) == []


def test_an_empty_text_has_a_vector_and_a_blank_sentence_has_none(model: MiniLM) -> None:
    empty = one(model, PassageInput("", ((0, 0),)))
    assert np.linalg.norm(empty.passage) == pytest.approx(1, abs=1e-5)
    assert empty.tokens == 0
    assert not empty.sentences.any()
    blank = one(model, PassageInput("One.    Two.", ((0, 4), (4, 8), (8, 12))))
    assert not blank.sentences[1].any()
    assert blank.sentences[[0, 2]].any(axis=1).all()


def test_a_long_text_is_cut_at_max_tokens_and_says_so(model: MiniLM) -> None:
    fits = "graph " * 254
    longer = fits + "banana " * 50
    whole, cut = model.embed_passages(
        [PassageInput(fits), PassageInput(longer, ((0, 5), (len(fits), len(longer))))]
    )
    assert (whole.tokens, whole.truncated) == (254, False)
    assert (cut.tokens, cut.truncated) == (304, True)
    assert whole.passage @ cut.passage > 0.9999
    assert not cut.sentences[1].any()
    # Only the last token that fits is changed, and it is seen.
    changed = one(model, PassageInput("graph " * 253 + "banana"))
    assert changed.passage @ whole.passage < 0.9999


def test_a_wider_window_reads_further_and_is_another_space(model: MiniLM) -> None:
    wide = MiniLM(window=512)
    text = "graph " * 254 + "banana " * 50
    assert wide.max_tokens == 510
    assert not one(wide, PassageInput(text)).truncated
    assert wide.fingerprint != model.fingerprint
    same = "A text that fits both."
    assert wide.embed_queries([same])[0] @ model.embed_queries([same])[0] > 0.9999


@pytest.mark.parametrize("window", [-1, 2, 513])
def test_a_window_the_model_does_not_have_is_refused(window: int) -> None:
    with pytest.raises(ValueError, match="3 to 512"):
        MiniLM(window=window)


def test_a_span_outside_its_text_is_refused(model: MiniLM) -> None:
    with pytest.raises(ValueError, match="outside"):
        one(model, PassageInput("short", ((0, 6),)))


TEXT = st.text(max_size=80) | st.text(alphabet="aé\ud800𝒳 .,$\\ß漢", max_size=80)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXT, min_size=1, max_size=4))
def test_any_text_has_a_unit_vector_and_offsets_in_code_points(
    model: MiniLM, texts: list[str]
) -> None:
    for found in (model.embed_queries(texts), model.embed_quickly(texts)):
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)
    offsets = model.token_offsets(texts)
    assert [len(spans) for spans in offsets] == model.count_tokens(texts)
    for text, spans in zip(texts, offsets, strict=True):
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert spans == sorted(spans)


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(TEXT, max_size=5))
def test_counts_add_up_over_joined_texts(model: MiniLM, texts: list[str]) -> None:
    assert model.count_tokens([" ".join(texts)]) == [sum(model.count_tokens(texts))]


def test_offsets_point_at_words_after_accents_and_emoji(model: MiniLM) -> None:
    text = "Poincaré 🧪 maps"
    (spans,) = model.token_offsets([text])
    assert text[spans[-1][0] : spans[-1][1]] == "maps"


def test_twenty_threads_get_what_one_gets() -> None:
    fresh = MiniLM()
    texts = [f"{SENTENCES[n % 3]} {n}" for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda text: fresh.embed_queries([text])[0], texts))
    expected = MiniLM(alone=True).embed_queries(texts)
    assert ((np.stack(found) * expected).sum(axis=1) > 0.9999).all()


def test_the_encoder_of_one_thread_reads_on_the_thread_that_asks() -> None:
    alone = MiniLM().on_one_thread()
    alone.load()
    session, readers = alone._sessions["model.onnx"], set()

    class Watched:
        def run(self, *given: object) -> object:
            readers.add(threading.get_ident())
            return session.run(*given)

    alone._sessions["model.onnx"] = Watched()
    list(alone.embed_passages([PassageInput(SENTENCES[n % 3] * 20) for n in range(12)]))
    assert readers == {threading.get_ident()}


@pytest.mark.parametrize("name", ["model.onnx", "questions.onnx", "tokenizer.json"])
def test_a_changed_file_is_refused(copied: Path, name: str) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"{name} has sha256 .* Install citewise again"):
        MiniLM(copied).load()


@pytest.mark.parametrize(
    "name", ["model.onnx", "questions.onnx", "tokenizer.json", "checksums.json"]
)
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(CitewiseError, match=name):
        MiniLM(copied).load()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": {"model.onnx": "00"}}'])
def test_checksums_that_say_nothing_are_refused(copied: Path, content: str) -> None:
    (copied / "checksums.json").write_text(content)
    with pytest.raises(ModelFileError, match=r"checksums\.json"):
        MiniLM(copied)


def test_other_weights_have_another_fingerprint(copied: Path, model: MiniLM) -> None:
    sums = json.loads((copied / "checksums.json").read_text())
    assert MiniLM(copied).fingerprint == model.fingerprint
    sums["files"]["model.onnx"] = "0" * 64
    (copied / "checksums.json").write_text(json.dumps(sums))
    assert MiniLM(copied).fingerprint != model.fingerprint


def test_importing_and_constructing_load_no_runtime() -> None:
    code = (
        "import sys; from citewise.library.embedding import MiniLM; MiniLM().fingerprint;"
        "sys.exit(any(name in sys.modules for name in ('onnxruntime', 'tokenizers', 'torch')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
