"""The long way: questions taken apart, searched part by part, put together again."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.answering.conftest import StartServer
from tests.support import openai_server as servers
from tests.support.openai_server import Seen

from citewise.answering import deep
from citewise.answering.assistant import Assistant
from citewise.answering.kinds import kind_of
from citewise.backends.extractive import ExtractiveBackend
from citewise.backends.limits import Limits
from citewise.backends.registry import backend_from
from citewise.grounding.verify import verify_answer
from citewise.library.embedding import MiniLM
from citewise.library.library import Library
from citewise.types import Answer, Effort, Evidence, Paper, Question, QuestionKind, Span, Verdict

COMPARISON = "Compare Falcon and Superposed Decoding."
JOINED = "What is Superposed Decoding and how does Falcon draft its tokens?"
SINGLE = "How much faster is Superposed Decoding than nucleus sampling?"
LIMITS = Limits(connect_s=2.0, silence_s=5.0, total_s=20.0, retry_wait_s=0.1)


def question(text: str) -> Question:
    return Question(text, text, kind_of(text))


@pytest.fixture(scope="module")
def assistant(sample_library: Library) -> Assistant:
    return Assistant(sample_library)


def proved(answer: Answer, library: Library) -> Answer:
    papers = library.papers_by_id([citation.paper.id for citation in answer.citations])
    assert verify_answer(answer.to_dict(), papers) == []
    return answer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Compare Lantern and Harbor.", [["Lantern"], ["Harbor"]]),
        ("How do Lantern and Harbor differ in memory?",
         [["Lantern", "memory"], ["Harbor", "memory"]]),
        ("How does Lantern differ from Harbor?", [["Lantern"], ["Harbor"]]),
        ("What is the difference between the pruning of weights and quantization?",
         [["pruning of weights"], ["quantization"]]),
        ("Compare Lantern, Harbor and Quill in terms of speed", [["Lantern", "speed"],
         ["Harbor", "speed"], ["Quill", "speed"]]),
        ("Which is faster, Lantern or Harbor?", [["Lantern", "faster"], ["Harbor", "faster"]]),
        ("Lantern vs. Harbor", [["Lantern"], ["Harbor"]]),
        ("What is Lantern, and how much memory does it save?",
         [["What is Lantern?"], ["how much memory does Lantern save?"]]),
        ("How fast is Lantern? What are its limits?",
         [["How fast is Lantern?"], ["What are Lantern's limits?"]]),
        ("How do caches work and which datasets test them?",
         [["How do caches work?"], ["which datasets test them", "caches work"]]),
        ("Which papers are about pruning, quantization or distillation?",
         [["papers are about pruning"], ["about quantization"], ["about distillation"]]),
        ("Give an overview of research on model pruning.",
         [["methods", "pruning"], ["results", "pruning"], ["limits", "pruning"]]),
    ],
)  # fmt: skip
def test_questions_are_split_by_rule(text: str, words: list[list[str]]) -> None:
    parts = deep.split(question(text))
    assert len(parts) == len(words), parts
    for part, wanted in zip(parts, words, strict=True):
        for word in wanted:
            assert word.casefold() in part.casefold(), parts


@pytest.mark.parametrize(
    "text",
    [
        SINGLE,
        "What is speculative decoding?",
        "Does quantization hurt the accuracy of language models?",
        "How does Lantern keep what it has read?",
        "Who wrote Lantern?",
    ],
)
def test_a_question_for_one_thing_is_not_split(text: str) -> None:
    assert deep.is_simple(question(text))
    assert deep.split(question(text)) == ()


@given(st.text(), st.sampled_from(QuestionKind))
def test_any_text_is_split_into_few_parts_or_none(text: str, kind: QuestionKind) -> None:
    parts = deep.split(replace(question(text), kind=kind))
    assert len(parts) in (0, 2, 3, 4)
    assert all(part.strip() for part in parts)
    assert len(set(parts)) == len(parts)


def test_a_comparison_is_searched_by_its_sides(
    assistant: Assistant, sample_library: Library
) -> None:
    answer = proved(assistant.ask(COMPARISON, effort="deep"), sample_library)
    assert answer.notes[0].startswith("Searched for 2 sub-questions")
    assert "Falcon" in answer.notes[0]
    assert "Superposed Decoding" in answer.notes[0]
    titles = {citation.paper.title.split(":")[0] for citation in answer.citations}
    assert titles == {"Falcon", "Superposed Decoding"}
    assert all(s.verdict is Verdict.SUPPORTED for s in answer.sentences)
    assert answer.usage.calls == 0


def test_each_of_two_joined_questions_is_answered(
    assistant: Assistant, sample_library: Library
) -> None:
    answer = proved(assistant.ask(JOINED, effort="deep"), sample_library)
    titles = [citation.paper.title for citation in answer.citations]
    assert titles[0].startswith("Superposed Decoding")
    assert any(title.startswith("Falcon") for title in titles)
    assert all(s.verdict is Verdict.SUPPORTED for s in answer.sentences)


def test_half_an_answer_is_given_and_the_other_half_named(
    assistant: Assistant, sample_library: Library
) -> None:
    asked = "What is Superposed Decoding, and how long should a sourdough loaf rise?"
    answer = proved(assistant.ask(asked, effort="deep"), sample_library)
    assert answer.answered
    assert {c.paper.title.split(":")[0] for c in answer.citations} == {"Superposed Decoding"}
    assert any("sourdough" in note and "little was found" in note.lower() for note in answer.notes)


def test_what_nobody_wrote_about_is_declined_after_a_second_look(assistant: Assistant) -> None:
    answer = assistant.ask(
        "How long should a sourdough loaf rise, and which flour does a baker take?", effort="deep"
    )
    assert not answer.answered
    assert sum("Looked again" in note or "Little was found" in note for note in answer.notes) == 2


def test_a_simple_question_takes_the_short_way_and_says_so(assistant: Assistant) -> None:
    answer, plain = (assistant.ask(SINGLE, effort=e) for e in (Effort.DEEP, Effort.NORMAL))
    assert answer.text == plain.text
    assert len(answer.retrieved) == len(plain.retrieved)
    assert any("short way" in note for note in answer.notes)
    assert answer.effort is Effort.DEEP


def test_no_paper_or_sentence_is_offered_twice(assistant: Assistant) -> None:
    for asked in (COMPARISON, JOINED, "Give an overview of research on model pruning."):
        gathered = assistant.gather(asked, effort=Effort.DEEP)
        found = gathered.selection.evidence
        assert [item.n for item in found] == list(range(1, len(found) + 1))
        assert len({(item.paper.id, item.ordinal) for item in found}) == len(found)
        # Parts may ask for something else: whether a paper belongs is one thing of the whole.
        assert len({(item.paper.id, item.belongs) for item in found}) == len(
            {item.paper.id for item in found}
        )
        ids = [hit.paper.id for hit in gathered.hits]
        assert len(set(ids)) == len(ids)
        assert [hit.rank for hit in gathered.hits] == list(range(1, len(ids) + 1))
        offered = {item.n for item in found}
        assert gathered.parts
        assert all(item.n in offered for part in gathered.parts for item in part.evidence)


def test_the_long_way_is_not_long(assistant: Assistant) -> None:
    def least(asked: str, effort: Effort) -> float:
        """Processor seconds, which do not grow with what else the machine does."""
        times = []
        for _ in range(3):
            begun = time.process_time()
            assistant.ask(asked, effort=effort)
            times.append(time.process_time() - begun)
        return min(times)

    for asked in (COMPARISON, JOINED):
        assert least(asked, Effort.DEEP) < 6 * least(asked, Effort.NORMAL)


# -- with a model -----------------------------------------------------------------------------


def scripted(split: str) -> servers.Behaviour:
    """Splits as told, then quotes the first two sentences it is offered."""

    def answer(request: Seen) -> str:
        if "sub-questions, one a line" in request.last_user_turn:
            return split
        lines = [line for line in request.last_user_turn.splitlines() if line.startswith("[")]
        quoted = [line.partition(") ")[2].rstrip(".") for line in lines[:2]]
        return " ".join(f"{text} [{n}]." for n, text in enumerate(quoted, 1))

    return servers.replying(answer)


def on(serve: StartServer, behaviour: servers.Behaviour, library: Library) -> Assistant:
    return Assistant(library, backend_from(serve(behaviour).spec(), limits=LIMITS))


def test_a_model_splits_and_is_told_the_parts(sample_library: Library, serve: StartServer) -> None:
    parts = ["How does Falcon draft tokens?", "How does Superposed Decoding draft texts?"]
    server = serve(scripted("Here they are:\n1. {}\n- {}\n".format(*parts)))
    assistant = Assistant(sample_library, backend_from(server.spec(), limits=LIMITS))
    answer = proved(assistant.ask(COMPARISON, effort="deep"), sample_library)
    assert all(part in answer.notes[0] for part in parts)
    assert all(f"- {part}" in server.requests[1].last_user_turn for part in parts)
    assert answer.usage.calls == len(server.requests) == 2
    assert all(s.verdict is Verdict.SUPPORTED for s in answer.sentences)


def test_a_model_may_find_that_nothing_is_to_be_split(
    sample_library: Library, serve: StartServer
) -> None:
    answer = on(serve, scripted("SINGLE"), sample_library).ask(COMPARISON, effort="deep")
    assert not any("sub-questions" in note for note in answer.notes)
    assert answer.answered


@pytest.mark.parametrize("reply", ["Sure!", "I cannot do that:", "\n\n"])
def test_a_useless_split_is_left_to_the_rules(
    reply: str, sample_library: Library, serve: StartServer
) -> None:
    answer = on(serve, scripted(reply), sample_library).ask(COMPARISON, effort="deep")
    assert answer.notes[0].startswith("Searched for 2 sub-questions")


def test_a_simple_question_costs_no_call_to_split_it(
    sample_library: Library, serve: StartServer
) -> None:
    answer = on(serve, scripted("SINGLE"), sample_library).ask(SINGLE, effort="deep")
    assert answer.usage.calls == 1


# -- cross-checking ---------------------------------------------------------------------------


def said(text: str, title: str) -> Evidence:
    paper = Paper(id=title, title=title, abstract=text)
    return Evidence(1, paper, Span.of(text, 0, len(text)), 0.9, 0, 1)


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        (("Lantern reduces the memory of the cache by 50%.", "Lantern: a cache"),
         ("We find that Lantern reduces the memory of the cache by 31%.", "A second look"), True),
        (("GPT-4 solves 67% of the coding problems.", "Quill"),
         ("GPT-4 solves 85% of the coding problems.", "Ember"), True),
        (("Lantern reduces the memory of the cache by 50%.", "Lantern: a cache"),
         ("Lantern reduces the memory of the cache by 50 percent.", "A second look"), False),
        (("Lantern reduces the memory of the cache by 50%.", "Lantern: a cache"),
         ("Harbor reduces the memory of the cache by 31%.", "Harbor: a cache"), False),
        (("Our model reaches 81% accuracy on LongBench.", "Lantern: a cache"),
         ("Our model reaches 79% accuracy on LongBench.", "Harbor: a cache"), False),
        (("Lantern reduces the memory of the cache by 50%.", "Lantern: a cache"),
         ("Lantern runs 3 times faster.", "A second look"), False),
    ],
)  # fmt: skip
def test_different_numbers_for_one_thing_are_seen(
    one: tuple[str, str], other: tuple[str, str], differs: bool
) -> None:
    assert deep.disagree(said(*one), said(*other)) is differs
    assert deep.disagree(said(*other), said(*one)) is differs


def test_papers_disagree_only_on_what_the_question_names() -> None:
    found = [
        said("GPT-4 solves 67% of the coding problems.", "Quill"),
        said("GPT-4 solves 85% of the coding problems.", "Ember"),
    ]
    for asked, rivals in (("What share of problems does GPT-4 solve?", found),
                          ("What share of problems does MAGIC solve?", [])):  # fmt: skip
        question = Question(asked, asked, QuestionKind.NUMBER)
        assert list(deep.rivals(question, found)) == rivals


def test_papers_that_disagree_are_shown_side_by_side(
    tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM
) -> None:
    folder = tmp_path_factory.mktemp("apart")
    with Library.open(folder / "library", embedder=encoder) as library:
        library.add(
            [
                Paper(id="a", title="Lantern: a cache",
                      abstract="Lantern reduces the memory of the cache by 50%. It is small."),
                Paper(id="b", title="A second look at caches",
                      abstract="Lantern reduces the memory of the cache by 31% in our test of it."),
                Paper(id="c", title="Harbor", abstract="Harbor needs no training at all."),
            ]
        )  # fmt: skip
        answer = Assistant(library, ExtractiveBackend()).ask(
            "By how much does Lantern reduce the cache memory, and does Harbor need training?",
            effort="deep",
        )
    [note] = [note for note in answer.notes if "different numbers" in note]
    assert "50%" in note
    assert "31%" in note
