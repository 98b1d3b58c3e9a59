from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from citewise.answering.assistant import Assistant
from citewise.grounding.verify import verify_answer
from citewise.library.library import Library
from citewise.types import Paper, sha256_of

Tamper = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def saved(sample_library: Library) -> dict[str, Any]:
    """An answer with several citations, as it comes back from a file."""
    answer = Assistant(sample_library).ask("Which papers speed up speculative decoding?")
    value: dict[str, Any] = json.loads(json.dumps(answer.to_dict()))
    assert len(value["citations"]) > 1
    return value


@pytest.fixture(scope="module")
def papers(saved: dict[str, Any], sample_library: Library) -> dict[str, Paper]:
    return sample_library.papers_by_id([c["paper"]["id"] for c in saved["citations"]])


def span_words(answer: dict[str, Any]) -> None:
    answer["citations"][0]["spans"][0]["text"] += " always"


def span_words_with_their_hash(answer: dict[str, Any]) -> None:
    span = answer["citations"][0]["spans"][0]
    span["text"] = span["text"].replace(" ", "  ", 1)
    span["sha256"] = sha256_of(span["text"])


def span_offsets(answer: dict[str, Any]) -> None:
    span = answer["citations"][0]["spans"][0]
    span["start"], span["end"] = span["start"] + 1, span["end"] + 1


def span_outside(answer: dict[str, Any]) -> None:
    span = answer["citations"][0]["spans"][0]
    span["start"], span["end"] = 100_000, 100_000 + len(span["text"])


def span_hash(answer: dict[str, Any]) -> None:
    answer["citations"][0]["spans"][0]["sha256"] = "0" * 64


def sentence_words(answer: dict[str, Any]) -> None:
    answer["sentences"][0]["text"] = "It is 970 times faster than ever before."


def sentence_words_in_both_places(answer: dict[str, Any]) -> None:
    new = "It is 970 times faster than ever before."
    old = answer["sentences"][0]["text"]
    answer["sentences"][0]["text"] = new
    answer["answer"] = answer["answer"].replace(old, new)


def words_between_sentences(answer: dict[str, Any]) -> None:
    answer["answer"] += "\nAll of this is proved beyond doubt."


def words_within_a_line(answer: dict[str, Any]) -> None:
    text = answer["sentences"][0]["text"]
    answer["answer"] = answer["answer"].replace(text, f"{text} Nobody doubts it.")


def long_heading(answer: dict[str, Any]) -> None:
    answer["answer"] += "\n## " + "they are all wrong " * 5


def marker_moved(answer: dict[str, Any]) -> None:
    answer["answer"] = answer["answer"].replace("[1]", "[2]")


def support_no_number(answer: dict[str, Any]) -> None:
    answer["sentences"][0]["support"] = float("nan")


def verdict_raised(answer: dict[str, Any]) -> None:
    verdict = answer["sentences"][0]["verdict"]
    answer["sentences"][0]["verdict"] = "partly" if verdict == "supported" else "supported"


def uncited_called_supported(answer: dict[str, Any]) -> None:
    answer["sentences"][0] |= {"citations": [], "spans": [], "verdict": "supported"}


def uncited_with_support(answer: dict[str, Any]) -> None:
    answer["sentences"][0] |= {"citations": [], "spans": [], "verdict": "uncited"}


def unknown_citation(answer: dict[str, Any]) -> None:
    answer["sentences"][0]["citations"] = [77]


def citation_added(answer: dict[str, Any]) -> None:
    answer["sentences"][0]["citations"].append(2)


def unknown_words(answer: dict[str, Any]) -> None:
    answer["sentences"][0]["spans"] = [[1, 55]]


def citation_twice(answer: dict[str, Any]) -> None:
    answer["citations"].append(answer["citations"][0])


def title(answer: dict[str, Any]) -> None:
    answer["citations"][0]["paper"]["title"] = "Another paper"


def no_sentences(answer: dict[str, Any]) -> None:
    answer["sentences"], answer["citations"] = [], []


def test_a_fresh_answer_is_proved(saved: dict[str, Any], papers: dict[str, Paper]) -> None:
    assert verify_answer(saved, papers) == []


def test_a_declined_answer_is_proved(sample_library: Library) -> None:
    declined = Assistant(sample_library).ask("How long should a sourdough loaf rise?")
    assert not declined.answered
    assert verify_answer(declined.to_dict(), {}) == []


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (span_words, "do not have their hash"),
        (span_words_with_their_hash, "the abstract of"),
        (span_offsets, "the abstract of"),
        (span_outside, "the abstract of"),
        (span_hash, "do not have their hash"),
        (sentence_words, "sentence 1 is not in the answer's text"),
        (sentence_words_in_both_places, "sentence 1 is saved as"),
        (words_between_sentences, "proved beyond doubt"),
        (words_within_a_line, "which is none of its sentences"),
        (long_heading, "they are all wrong"),
        (marker_moved, "the answer's text cites"),
        (support_no_number, "checked again it is"),
        (verdict_raised, "checked again it is"),
        (uncited_called_supported, "cites nothing but is called supported"),
        (uncited_with_support, "cites nothing but has support"),
        (unknown_citation, "which the answer does not list"),
        (citation_added, "its words are of others"),
        (unknown_words, "points at words that the answer does not list"),
        (citation_twice, "is listed twice"),
        (title, "is called"),
        (no_sentences, "the answer has no sentences"),
    ],
)
def test_whatever_is_changed_is_named(
    tamper: Tamper, named: str, saved: dict[str, Any], papers: dict[str, Paper]
) -> None:
    changed = copy.deepcopy(saved)
    tamper(changed)
    assert changed != saved
    failures = verify_answer(changed, papers)
    assert any(named in failure.what for failure in failures), failures
    assert {failure.answer for failure in failures} == {saved["id"]}


def test_a_raised_support_is_named(saved: dict[str, Any], papers: dict[str, Paper]) -> None:
    doubtful = copy.deepcopy(saved)
    sentence_words_in_both_places(doubtful)
    honest = verify_answer(doubtful, papers)
    assert len(honest) == 1
    # Written down as it is, the doubt is proved; raised, it is not.
    again = honest[0].what
    support = float(again.split("checked again it is ")[1].split()[1])
    verdict = again.split("checked again it is ")[1].split()[0]
    doubtful["sentences"][0] |= {"support": support, "verdict": verdict}
    assert verify_answer(doubtful, papers) == []
    doubtful["sentences"][0]["support"] = support + 0.05
    assert "sentence 1 is saved as" in verify_answer(doubtful, papers)[0].what


def test_a_changed_abstract_is_named(saved: dict[str, Any], papers: dict[str, Paper]) -> None:
    first = saved["citations"][0]["paper"]["id"]
    changed = papers | {
        first: replace(papers[first], abstract=papers[first].abstract.replace(".", "!"))
    }
    named = [failure.what for failure in verify_answer(saved, changed)]
    assert named
    assert all(f"the abstract of {first} differs" in what for what in named)


def test_a_removed_paper_is_named(saved: dict[str, Any], papers: dict[str, Paper]) -> None:
    first = saved["citations"][0]["paper"]["id"]
    left = {paper_id: paper for paper_id, paper in papers.items() if paper_id != first}
    assert [failure.what for failure in verify_answer(saved, left)] == [
        f"citation [1]: the paper {first} is not in the library"
    ]


@pytest.mark.parametrize("broken", [{}, {"id": "x"}, {"id": "x", "citations": [1]}])
def test_what_is_no_answer_is_not_taken_for_one(broken: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        verify_answer(broken, {})
