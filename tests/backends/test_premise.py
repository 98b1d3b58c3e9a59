from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.answering.citations import CitedText
from citewise.answering.kinds import kind_of
from citewise.backends.base import WritingTask
from citewise.backends.extractive import ExtractiveBackend
from citewise.backends.premise import (
    DISAGREE,
    ONE_SAYS_NO,
    OPPOSITE,
    OTHER_FIGURE,
    both_sides,
    contradiction,
)
from citewise.library.passages import sentence_spans
from citewise.types import Evidence, Paper, Question, QuestionKind, Span, Verdict

LANTERN = Paper(
    id="p1",
    title="Lantern: a cache for long texts",
    abstract="Previous caches rely on a fixed eviction rule. We present Lantern, which adapts its "
    "eviction rule dynamically. Lantern reduces the memory of the cache by 40% without "
    "compromising answer quality or requiring fine-tuning. It runs on 8 GPUs. With a tuned rule, "
    "Lantern is 3x faster than Harbor.",
)
QUILL = Paper(
    id="p2",
    title="Quill: labels without hands",
    abstract="Quill is a training-free way to label that needs no tuning of knobs. It is a "
    "no-teacher labeller with negligible performance loss. Labels are ultimately unnecessary for "
    "Quill. Quill cannot rank, and none of the models reached 70%. Quill does not readily learn "
    "from noisy labels. The combined approach of Harbor results in degraded performance (9% "
    "accuracy). Ink7 is dispensable for writing, and Quill is required for writing in time.",
)


TRIAL = Paper(
    id="p3",
    title="Effects of brontol in older adults: a randomised trial",
    abstract="Brontol may reduce the risk of stroke. Brontol had no significant effect on the "
    "incidence of stroke. Neither brontol nor placebo had an effect on fever. No association was "
    "detected between brontol and fractures. There is no evidence that brontol improves memory. "
    "Brontol increased weight but did not clearly increase appetite. Low brontol was "
    "associated with increased anxiety.",
)


def evidence(*papers: Paper) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    for rank, paper in enumerate(papers, 1):
        for at, (start, end) in enumerate(sentence_spans(paper.abstract)):
            span = Span.of(paper.abstract, start, end)
            found.append(Evidence(len(found) + 1, paper, span, 0.9 - at / 100, at, rank))
    return tuple(found)


def lead(question: str, *papers: Paper) -> str | None:
    found = contradiction(question, kind_of(question), evidence(*(papers or (LANTERN,))))
    return found.lead if found else None


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Does Lantern increase the memory of the cache?", "reduces the memory"),
        ("Why does Lantern hurt answer quality?", "without compromising"),
        ("Does Lantern require fine-tuning?", "or requiring fine-tuning"),
        ("Why does Lantern use a fixed eviction rule?", "dynamically"),
        ("Is Lantern slower than Harbor?", "3x faster than Harbor"),
        ("Is Harbor faster than Lantern?", "3x faster than Harbor"),
        # However it is denied: in one word, of a passive, of none of them, by its own work.
        ("Does Quill need retraining?", "training-free"),
        ("Why does quill require tuning of knobs?", "no tuning"),
        ("Does Quill need a teacher to be good?", "no-teacher"),
        ("Are its labels necessary for Quill?", "Labels are ultimately unnecessary"),
        ("Did all Quill labellers reach 70%?", "none of the models reached"),
        ("Can Quill learn from noisy labels?", "not readily learn"),
        ("Does combining Quill with Harbor help accuracy?", "degraded performance"),
        ("Does Quill hurt accuracy a lot?", "negligible performance loss"),
    ],
)
def test_what_an_abstract_denies_is_found(question: str, said: str) -> None:
    found = contradiction(question, kind_of(question), evidence(LANTERN, QUILL))
    assert found is not None
    assert found.lead == OPPOSITE
    assert said in found.item.span.text


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Why does brontol lower stroke risk?", "no significant effect"),
        ("Does brontol reduce fever?", "Neither brontol nor placebo"),
        ("Does brontol increase fractures?", "No association"),
        ("Does brontol improve memory?", "no evidence"),
        ("Does brontol increase appetite?", "did not clearly increase"),
    ],
)
def test_that_a_treatment_does_nothing_is_found_however_it_is_said(
    question: str, said: str
) -> None:
    found = contradiction(question, kind_of(question), evidence(TRIAL))
    assert found is not None
    assert said in found.item.span.text


CONTEST = Paper(
    id="p4",
    title="Harbor Revisited: caches for long texts",
    abstract="We ask whether TideX outperforms KelpY. KelpY consistently outperforms TideX on long "
    "texts. TideX is outperformed by MoorZ. MoorZ did not surpass KelpY. Pain was lower with "
    "brontol than with placebo. Brontol reduced fever more than placebo. FernQ uses less memory "
    "than KelpY, and reaches higher recall than MoorZ. FernQ lags behind MoorZ when texts are "
    "short.",
)


@pytest.mark.parametrize(
    "question",
    [
        "Why does TideX outperform KelpY?",
        "Is TideX better than KelpY on long texts?",
        "Why is KelpY worse than TideX?",
        "Does KelpY lag behind TideX?",
        "Is TideX superior to MoorZ?",
        "Why does MoorZ outperform KelpY?",
        "Is pain higher with brontol than with placebo?",
        "Why does placebo reduce fever more than brontol?",
        "Does KelpY use less memory than FernQ?",
    ],
)
def test_a_question_that_puts_two_things_the_wrong_way_round_is_told(question: str) -> None:
    assert lead(question, CONTEST) in (OPPOSITE, ONE_SAYS_NO)


@pytest.mark.parametrize(
    "question",
    [
        "Why is TideX worse than KelpY?",
        "Does TideX underperform KelpY?",
        "Why does TideX lag behind KelpY?",
        "Is TideX inferior to MoorZ?",
        "Why does KelpY beat TideX?",
        "Was pain higher with placebo than with brontol?",
        "Does placebo reduce fever less than brontol?",
        "Does KelpY use more memory than FernQ?",
        # Of another measure, of other texts, or only at times.
        "Is TideX faster than KelpY?",
        "Is TideX better than KelpY on images?",
        "Why does FernQ outperform MoorZ?",
    ],
)
def test_that_the_loser_is_named_first_is_no_contradiction(question: str) -> None:
    assert lead(question, CONTEST) is None


def test_what_another_does_better_than_the_asked_one_denies_nothing() -> None:
    said = "TideX performs better than KelpY while improving the variety of answers."
    asked = "Does KelpY reduce the variety of answers?"
    assert lead(asked, Paper("p", "Variety with TideX", said)) is None
    own = Paper(
        "p", "KelpY at sea", "KelpY performs better than TideX while improving the variety."
    )
    assert lead("Does KelpY reduce the variety?", own) == OPPOSITE


def test_what_a_thing_is_meant_for_denies_nothing() -> None:
    asked = "Why do long routes slow KelpY down?"
    title = "Long routes of KelpY"
    meant = "We introduce an approach for the long routes to accelerate KelpY."
    assert lead(asked, Paper("p", title, meant)) is None
    seen = "Long routes were found to accelerate KelpY."
    assert lead(asked, Paper("p", title, seen)) == OPPOSITE


def test_a_name_that_holds_another_name_is_not_that_one() -> None:
    paper = Paper("p", "Rows of boats", "QR-Skiff exceeds the full rig on every course.")
    assert lead("Why is Skiff worse than the full rig?", paper) is None
    assert lead("Why is QR-Skiff worse than the full rig?", paper) == OPPOSITE


def test_what_is_said_of_the_winner_denies_nothing_of_another() -> None:
    paper = Paper("a", "KelpY Revisited", "Our TideX outperforms caches on long texts.")
    assert lead("Why does KelpY underperform on long texts?", paper) is None
    assert lead("Why does TideX underperform on long texts?", paper) == OPPOSITE


def test_that_little_of_a_thing_raises_what_the_thing_lowers_denies_nothing() -> None:
    assert lead("Why does brontol reduce anxiety?", TRIAL) is None


def test_a_title_that_says_so_is_not_contradicted_by_its_abstract() -> None:
    asked = "Why does brontol promote growth of moss?"
    inhibiting = "At night brontol inhibits growth of moss."
    assert lead(asked, Paper("a", "Brontol and moss", inhibiting)) == OPPOSITE
    assert lead(asked, Paper("a", "Brontol promotes growth of moss", inhibiting)) is None
    # What a title is of, it does not say.
    asked = "Why does brontol prevent rust?"
    denied = "Brontol did not prevent rust."
    assert lead(asked, Paper("a", "Brontol for the prevention of rust", denied)) == OPPOSITE


def test_of_several_denials_the_fullest_is_told() -> None:
    asked = "Why does brontol reduce cancer of the skin?"
    first, second = "It did not reduce cancer of the lung.", "Brontol did not reduce skin cancer."
    paper = Paper("a", "Brontol and cancer of the skin", f"{first} {second}")
    found = contradiction(asked, kind_of(asked), evidence(paper))
    assert found is not None
    assert found.item.span.text == second


def test_a_name_that_many_titles_have_is_no_paper_s_own() -> None:
    asked = "Does ZV increase the risk of flu?"
    therapy = Paper("a", "Care of adults with ZV", "Care reduces the risk of flu greatly.")
    other = Paper("b", "Counting ZV", "We count how many adults have ZV.")
    assert lead(asked, therapy) == OPPOSITE
    assert lead(asked, therapy, other) is None


def test_another_figure_for_the_same_thing_is_found() -> None:
    assert lead("Why does Lantern run on 64 GPUs?") == OTHER_FIGURE
    assert lead("Why does Lantern run on 8 GPUs?") is None


@pytest.mark.parametrize(
    "question",
    [
        # The abstract says so.
        "Does Lantern reduce the memory of the cache?",
        "Is Lantern faster than Harbor?",
        "Why does Lantern adapt its eviction rule dynamically?",
        "Does Lantern work without fine-tuning?",
        "Does Quill rank or label with noise?",
        # It says so of another.
        "Is Quill required for writing?",
        # The abstract is silent.
        "Does Lantern increase the energy of training?",
        "Does Lantern require a second model?",
        "Does Harbor increase the memory of the cache?",
        "Is Lantern slower than Quill?",
        # No premise that could be false.
        "Which rule increases the memory of the cache?",
        "How much memory does Lantern need?",
        "How does Lantern increase the memory of the cache?",
    ],
)
def test_there_is_no_false_alarm(question: str) -> None:
    assert lead(question) is None


def test_a_paper_that_agrees_stands_against_one_that_does_not() -> None:
    question = "Why does pruning reduce accuracy?"
    harmless = Paper("a", "Quill", "We find that pruning improves accuracy on all tasks.")
    harmful = Paper("b", "Harbor", "We find that pruning reduces accuracy on all tasks.")
    assert lead(question, harmless) == OPPOSITE
    new = Paper("c", "Quill", "With our new method pruning improves accuracy on all tasks.")
    assert lead(question, new) is None
    # Asked openly, of nothing in particular: one paper's way of pruning is not all of it.
    assert lead("Does pruning reduce accuracy?", harmless) is None
    assert lead(question, harmless, harmful) is None


def test_of_what_no_paper_is_named_after_only_a_denial_is_told_and_as_one_paper_s() -> None:
    paper = Paper("a", "Quill", "We find that a second pass is unnecessary for pruning.")
    assert lead("Is a second pass needed for pruning?", paper) == ONE_SAYS_NO
    assert lead("Is a third pass needed for pruning?", paper) is None


def test_the_answer_says_so_first_and_stays_proved() -> None:
    asked = "Does Lantern increase the memory of the cache?"
    offered = evidence(LANTERN)
    cited = CitedText(offered)
    task = WritingTask(Question(asked, asked, QuestionKind.YES_NO), offered)
    for piece in ExtractiveBackend().write(task):
        list(cited.feed(piece))
    list(cited.finish())
    assert cited.text.startswith(OPPOSITE)
    assert "reduces the memory" in cited.sentences[0].text
    assert all(sentence.verdict is Verdict.SUPPORTED for sentence in cited.sentences)


@given(st.text(max_size=80), st.sampled_from(QuestionKind))
def test_any_question_can_be_looked_at(question: str, kind: QuestionKind) -> None:
    contradiction(question, kind, evidence(LANTERN))
    contradiction(f"Does {question} slow Lantern down", kind, evidence(LANTERN))


def test_papers_that_disagree_are_told_side_by_side() -> None:
    asked = "Does pruning reduce accuracy?"
    harmless = Paper("a", "Quill", "We find that pruning improves accuracy on all tasks.")
    harmful = Paper("b", "Harbor", "We find that pruning reduces accuracy on all tasks.")
    offered = evidence(harmless, harmful)
    cited = CitedText(offered)
    task = WritingTask(Question(asked, asked, QuestionKind.YES_NO), offered)
    for piece in ExtractiveBackend().write(task):
        list(cited.feed(piece))
    list(cited.finish())
    assert cited.text.startswith(DISAGREE)
    assert {citation.paper.id for citation in cited.citations} == {"a", "b"}
    assert all(sentence.verdict is Verdict.SUPPORTED for sentence in cited.sentences)
    assert both_sides(asked, QuestionKind.YES_NO, evidence(harmful)) is None
    assert both_sides(asked, QuestionKind.YES_NO, evidence(harmless)) is None


@pytest.mark.parametrize(
    "against",
    [
        # The same is said in another way.
        "Low pruning raises costs, so increased costs stay.",
        # How much there is of it.
        "Pruning is used where costs are high and many.",
        # It agrees as well.
        "Pruning reduces costs at first, and increases costs at night.",
    ],
)
def test_papers_that_say_the_same_do_not_disagree(against: str) -> None:
    asked = "Does pruning reduce costs?"
    offered = evidence(
        Paper("a", "Quill", "We find that pruning reduces costs."), Paper("b", "Harbor", against)
    )
    assert both_sides(asked, QuestionKind.YES_NO, offered) is None
