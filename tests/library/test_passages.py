from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewise.library.embedding import MiniLM
from citewise.library.passages import Offsets, passage_spans, sentence_spans
from citewise.sources import read
from citewise.types import Paper

# Text as abstracts and their breakages have it: marks, abbreviations, formulas, other scripts.
PIECES = st.sampled_from(
    'We show that . ? ! ... 。 ！ … e.g. i.e. et al. Fig. 3 (1) 1. a) 2.58x " ” ) ] } $ \\ , ; : -'
    " framework.To Open.Intel nn-JIT.web The However J. Smith L. etc. 한국어의 中文 naïve 🙂 é"
    " antidisestablishmentarianism 0.5 arXiv:2410.10814 \n \t \u00a0 \u2003".split(" ")
)
TEXTS = st.one_of(
    st.text(max_size=300),
    st.lists(PIECES, max_size=120).map(" ".join),
    st.lists(PIECES, max_size=60).map("".join),
)


def inside(spans: list[Offsets]) -> set[int]:
    return {at for start, end in spans for at in range(start, end)}


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two.", ["One.", "Two."]),
        ("  One!  Two?\nThree ", ["One!", "Two?", "Three"]),
        (
            "It is fast, e.g. 2.5 times. See Fig. 3 for more.",
            ["It is fast, e.g. 2.5 times.", "See Fig. 3 for more."],
        ),
        (
            "Speed rises to 2.58x. Our results hold.",
            ["Speed rises to 2.58x.", "Our results hold."],
        ),
        ("By J. Smith et al. in 2024.", ["By J. Smith et al. in 2024."]),
        (
            "We give a framework.To tackle this, we train.",
            ["We give a framework.", "To tackle this, we train."],
        ),
        ("We use Open.Intel, a chip.", ["We use Open.Intel, a chip."]),
        ('He said "stop." Then it ended.', ['He said "stop."', "Then it ended."]),
        ("第一句。第二句！", ["第一句。", "第二句！"]),
        ("等等。。。", ["等等。。。"]),
        ("No end", ["No end"]),
        ("", []),
        (" \n\t ", []),
    ],
)
def test_sentences_of_an_abstract(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


@given(TEXTS)
def test_every_character_that_is_not_blank_is_in_exactly_one_sentence(text: str) -> None:
    spans = sentence_spans(text)
    covered = [at for start, end in spans for at in range(start, end)]
    assert covered == sorted(set(covered))
    assert {at for at, character in enumerate(text) if not character.isspace()} <= set(covered)
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)


@settings(max_examples=60)
@given(TEXTS, st.integers(1, 254))
def test_passages_fit_the_model_and_leave_nothing_out(
    encoder: MiniLM, text: str, limit: int
) -> None:
    sentences = sentence_spans(text)
    spans = passage_spans(text, sentences, limit, encoder.count_tokens)
    if limit >= 3:  # A Korean syllable is three tokens, and nothing smaller can be cut off.
        assert all(
            tokens <= limit for tokens in encoder.count_tokens([text[s:e] for s, e in spans])
        )
    assert all(end <= start for (_, end), (start, _) in pairwise(spans)), "passages overlap"
    assert {at for at in inside(sentences) if not text[at].isspace()} <= inside(spans)


def test_a_word_longer_than_a_passage_is_cut(encoder: MiniLM) -> None:
    text = "中" * 1000 + " " + "한" * 600
    spans = passage_spans(text, sentence_spans(text), 254, encoder.count_tokens)
    assert max(encoder.count_tokens([text[s:e] for s, e in spans])) <= 254
    assert {at for at, character in enumerate(text) if character != " "} <= inside(spans)


def test_a_short_abstract_is_one_passage_and_a_long_one_is_cut_evenly(encoder: MiniLM) -> None:
    sentence = "The model reads every word of it and remembers what it read. "
    for times, parts in ((3, 1), (20, 2), (40, 3)):
        text = (sentence * times).strip()
        spans = passage_spans(text, sentence_spans(text), 200, encoder.count_tokens)
        sizes = encoder.count_tokens([text[s:e] for s, e in spans])
        assert len(spans) == parts
        assert max(sizes) - min(sizes) <= 40
        assert all(text[start:].startswith("The model") for start, _ in spans)


def test_no_sample_abstract_is_cut_short(corpus: Path, encoder: MiniLM) -> None:
    papers = [record for record in read([corpus]) if isinstance(record, Paper)]
    assert len(papers) == 545
    for paper in papers[::9]:
        sentences = sentence_spans(paper.abstract)
        spans = passage_spans(paper.abstract, sentences, 254, encoder.count_tokens)
        text = "".join(paper.abstract[start:end] for start, end in spans)
        assert "".join(text.split()) == "".join(paper.abstract.split())


@pytest.mark.parametrize("text", ["." * 200_000, "。" * 200_000, "a." * 100_000, ". " * 100_000])
def test_a_hostile_text_takes_no_longer_than_its_length(text: str) -> None:
    started = time.process_time()
    sentence_spans(text + "x")
    assert time.process_time() - started < 3
