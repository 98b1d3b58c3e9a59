from __future__ import annotations

import pytest

from citewise.backends.conditions import OfSort, OtherThan, Without, condition_of, what_to_read_on


@pytest.mark.parametrize(
    ("question", "sort", "matter"),
    [
        ("survey of glass caches", "a survey or review", "glass caches"),
        ("Is there a review of glass caches?", "a survey or review", "glass caches"),
        ("Which papers are surveys of glass caches?", "a survey or review", "glass caches"),
        ("Which surveys cover glass caches?", "a survey or review", "glass caches"),
        ("Which papers review glass caches?", "a survey or review", "glass caches"),
        ("glass cache benchmarks", "a benchmark", "glass cache"),
        ("Which papers introduce datasets of lamps?", "a dataset or corpus", "lamps"),
        ("systematic reviews of lamps", "a systematic review", "lamps"),
        ("list meta-analyses on lamps", "a meta-analysis", "lamps"),
        ("Which RCTs tested lamps?", "a randomised trial", "lamps"),
        ("any cohort studies about lamps?", "a cohort study", "lamps"),
        ("case reports of broken lamps", "a case report", "broken lamps"),
    ],
)
def test_the_sort_of_paper_is_read_apart_from_the_matter(
    question: str, sort: str, matter: str
) -> None:
    read = condition_of(question)
    assert isinstance(read, OfSort)
    assert (read.sort.called, read.matter) == (sort, matter)


@pytest.mark.parametrize(
    "question",
    [
        "Give me a survey of glass caches.",
        "Review the work on glass caches.",
        "a short review of glass caches",
        "Which methods distil datasets?",
        "Which papers use dataset distillation?",
        "How do caches of glass review their lamps?",
        "How well does Lantern do on the long benchmark?",
        # Praise, no thing to be absent.
        "error-free caches",
        "a hands-free lamp",
    ],
)
def test_a_sort_that_is_only_spoken_of_is_no_condition(question: str) -> None:
    assert condition_of(question) is None


@pytest.mark.parametrize(
    ("question", "thing", "matter"),
    [
        ("caches without any lamps", ("lamps",), "caches"),
        ("Which caches don't need glass lamps?", ("glass", "lamps"), "Which caches"),
        ("caches that do not rely on lamps", ("lamps",), "caches"),
        ("caches without access to the lamp data", ("lamp", "data"), "caches"),
        ("Can I cache texts without lamps?", ("lamps",), "Can I cache texts"),
        ("lamp-free caches for texts", ("lamp",), "caches for texts"),
        ("Which caches are lamp-free?", ("lamp",), "Which caches"),
    ],
)
def test_what_is_to_be_absent_is_read(question: str, thing: tuple[str, ...], matter: str) -> None:
    assert condition_of(question) == Without(thing, matter)


@pytest.mark.parametrize("words", ["other than", "except", "but not", "excluding", "not based on"])
def test_what_papers_are_not_to_be_about_is_read(words: str) -> None:
    read = condition_of(f"caches {words} glass lamps")
    assert read == OtherThan(("glass", "lamps"), "caches")
    assert read.held_by("Wood", ["We present a cache of wood."])
    assert not read.held_by("Wood", ["We present a cache of wood.", "It beats glass lamps."])


@pytest.mark.parametrize(
    ("asked", "title", "sentence"),
    [
        ("surveys of caches", "Caches: A Survey", "Caches grow."),
        ("surveys of caches", "Caches", "In this survey, we look at caches."),
        ("surveys of caches", "Caches", "This paper reviews caches of glass."),
        ("benchmarks for caches", "LampBench: how caches do", "Caches grow."),
        ("benchmarks for caches", "Caches", "We introduce Lamp, a large and fair benchmark."),
        (
            "datasets of caches",
            "Caches",
            "Here we collect and release a new dataset of lamps.",
        ),
        ("RCTs of lamps", "Lamps at night", "METHODS 90 patients were randomly assigned to lamps."),
        ("RCTs of lamps", "Lamps: a randomised controlled trial", "Lamps help."),
        ("cohort studies of lamps", "Lamps", "DESIGN Prospective cohort study."),
        ("meta-analyses of lamps", "Lamps", "We conducted a meta-analysis of all lamps."),
        ("case reports of lamps", "Lamps", "We report a patient who broke a lamp."),
    ],
)
def test_a_paper_is_of_a_sort_by_its_title_or_what_it_says(
    asked: str, title: str, sentence: str
) -> None:
    read = condition_of(asked)
    assert read is not None
    assert read.held_by(title, [sentence])


@pytest.mark.parametrize(
    ("asked", "title", "sentence"),
    [
        ("surveys of caches", "Survey generation with caches", "We write surveys with caches."),
        ("surveys of caches", "Caches", "Peer review is slow."),
        ("benchmarks for caches", "Caches", "We present Lamp, which wins on the long benchmark."),
        ("datasets of caches", "Dataset distillation for caches", "We test it on three datasets."),
        ("RCTs of lamps", "Lamps: a meta-analysis of randomised trials", "Lamps help."),
        ("RCTs of lamps", "Lamps", "We did a systematic review of randomised trials."),
    ],
)
def test_a_paper_that_only_speaks_of_a_sort_is_not_of_it(
    asked: str, title: str, sentence: str
) -> None:
    read = condition_of(asked)
    assert read is not None
    assert not read.held_by(title, [sentence])


@pytest.mark.parametrize(
    "said",
    [
        "It needs no glass lamps.",
        "A glass-lamp-free cache.",
        "It is lamp-free.",
        "It alleviates the need for glass lamps.",
        "It breaks away from glass lamps.",
        "It does not rely on any glass lamps.",
        "It stores words without using glass lamps.",
        "It uses wood rather than glass lamps.",
    ],
)
def test_a_denial_is_seen(said: str) -> None:
    assert Without(("glass", "lamps"), "caches").said_in(said)


@pytest.mark.parametrize(
    "said",
    [
        "It uses glass lamps.",
        "Neither the cache nor the glass lamp has a switch.",
        "It is faster without sacrificing the glass lamps.",
        "It does not break when glass lamps fall.",
        "Short walks rather than exhaustive glass lamps are used.",
        "Lamps have no effect on the glass lamps of others.",
    ],
)
def test_what_only_sounds_like_a_denial_is_none(said: str) -> None:
    assert not Without(("glass", "lamps"), "caches").said_in(said)


def test_a_title_about_the_thing_outweighs_a_denial_in_passing() -> None:
    without = Without(("lamps",), "caches")
    assert not without.held_by("Better lamps", ["Without lamps, texts are dark."])
    assert without.held_by("Caches without lamps", ["Lamps break."])


def test_the_word_before_data_is_what_is_left_out() -> None:
    without = condition_of("caches without calibration data")
    assert without is not None
    assert without.said_in("A calibration-free cache.")
    assert without.said_in("A data-free cache.")


@pytest.mark.parametrize(
    ("question", "matter"),
    [
        ("Where should I start reading on glass caches?", "glass caches?"),
        ("what would be a good first paper to read about lamps", "lamps"),
        ("What should I read to learn about lamps?", "lamps?"),
        ("Recommend an introduction to caches", "caches"),
        ("Which caches read lamps?", None),
        ("Where do caches start on glass?", None),
        ("How should a cache read in parallel with lamps?", None),
    ],
)
def test_a_wish_for_something_to_begin_with_is_read(question: str, matter: str | None) -> None:
    assert what_to_read_on(question) == matter
