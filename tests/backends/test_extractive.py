from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.answering.citations import CitedText
from citewise.backends.base import WritingTask
from citewise.backends.conditions import NONE_SAYS, NOT_SAID
from citewise.backends.definition import NOT_DEFINED
from citewise.backends.extractive import (
    MAY_MISS,
    NONE_SQUARELY,
    ExtractiveBackend,
    standing_alone,
)
from citewise.backends.writing import collect
from citewise.grounding.remarks import NOT_STATED, SEE_ABOVE
from citewise.library.passages import sentence_spans
from citewise.types import Evidence, Message, Paper, Question, QuestionKind, Span, Usage, Verdict

LANTERN = Paper(
    id="p1",
    title="Lantern: a cache for long texts",
    abstract="Caches grow with every word of a text. However, most of their words are never read "
    "again. We present Lantern, which forgets what nobody reads. It halves the memory of the "
    "cache. Moreover, it reaches 81.5 points on the long benchmark.",
)
HARBOR = Paper(
    id="p2",
    title="Harbor",
    abstract="Harbor stores every word of a text on a disk. It needs no training at all. "
    "Efficiency. As a result, a single processor is enough for a whole library.",
)


def evidence(*papers: Paper, belong: Mapping[str, float] = {}) -> tuple[Evidence, ...]:
    """All sentences of the papers, the first ones best; ``belong`` by the papers' ids."""
    found: list[Evidence] = []
    for rank, paper in enumerate(papers, 1):
        for at, (start, end) in enumerate(sentence_spans(paper.abstract)):
            span = Span.of(paper.abstract, start, end)
            chance = belong.get(paper.id, 1.0)
            one = Evidence(len(found) + 1, paper, span, 0.9 - at / 100, at, rank, belongs=chance)
            found.append(one)
    return tuple(found)


def written(
    kind: QuestionKind,
    *papers: Paper,
    asked: str = "What does it do?",
    belong: Mapping[str, float] = {},
    unsure: bool = False,
) -> CitedText:
    offered = evidence(*papers, belong=belong)
    task = WritingTask(Question(asked, asked, kind), offered, unsure=unsure)
    cited = CitedText(offered)
    for piece in ExtractiveBackend().write(task):
        list(cited.feed(piece))
    list(cited.finish())
    return cited


@pytest.mark.parametrize("kind", QuestionKind)
def test_every_kind_of_answer_is_cited_and_supported(kind: QuestionKind) -> None:
    cited = written(kind, LANTERN, HARBOR, asked="Compare Lantern and Harbor.")
    assert cited.sentences
    assert all(s.verdict is Verdict.SUPPORTED for s in cited.sentences)
    assert cited.notes() == []


@pytest.mark.parametrize("kind", QuestionKind)
def test_nothing_is_said_but_what_a_paper_says(kind: QuestionKind) -> None:
    said = written(kind, LANTERN, HARBOR, asked="Compare Lantern and Harbor.").sentences
    words = set(re.findall(r"\w+", f"{LANTERN.abstract} {HARBOR.abstract}".casefold()))
    # A table also has names for its rows, and words for an empty cell.
    table = f"what it does how results {SEE_ABOVE} {NOT_STATED}"
    titles = set(re.findall(r"\w+", f"{LANTERN.title} {HARBOR.title} {table}".casefold()))
    for sentence in said:
        assert set(re.findall(r"\w+", sentence.text.casefold())) <= words | titles


@pytest.mark.parametrize("kind", [QuestionKind.LIST, QuestionKind.OVERVIEW])
def test_a_list_has_one_line_a_paper(kind: QuestionKind) -> None:
    lines = written(kind, LANTERN, HARBOR).text.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"- **{LANTERN.title}** ")
    assert lines[1].startswith(f"- **{HARBOR.title}** ")


@pytest.mark.parametrize("kind", QuestionKind)
def test_references_inside_an_abstract_are_no_citations_of_ours(kind: QuestionKind) -> None:
    paper = replace(
        HARBOR,
        abstract="We present Harbor, which follows earlier work [2] and [1, 3]. Harbor is fast "
        "and needs [99] no training.",
    )
    cited = written(kind, paper, LANTERN, asked="Compare Harbor and Lantern.")
    assert not cited.invented
    quoted = [s for s in cited.sentences if "earlier work" in s.text or "no training" in s.text]
    assert quoted
    for sentence in quoted:
        if kind is not QuestionKind.COMPARISON:
            assert {cited.citations[n - 1].paper.id for n in sentence.citations} == {"p2"}


def test_the_figure_that_answers_comes_first_and_in_bold() -> None:
    text = written(QuestionKind.NUMBER, LANTERN, asked="How many points does it reach?").text
    assert "reaches **81.5 points** on" in text
    assert text.index("81.5") < text.index("Caches grow")
    assert re.search(r"\[\*\*\d", text) is None


def test_no_figure_of_a_stranger_answers_for_a_named_thing() -> None:
    asked = "How many points does QUILL reach?"
    named = replace(HARBOR, abstract="QUILL reaches 60 points on it. It needs no training at all.")
    told = written(QuestionKind.NUMBER, named, LANTERN, asked=asked).text
    assert "**60 points**" in told
    assert LANTERN.title not in told
    stranger = written(QuestionKind.NUMBER, LANTERN, asked=asked).text
    assert "81.5 points" in stranger
    assert "**81.5" not in stranger
    for short in ("quick units in long lists", "QUILLs", "the QUILL-2"):
        spelled = replace(LANTERN, abstract=f"We present {short}. It reaches 81.5 points on it.")
        assert "**81.5 points**" in written(QuestionKind.NUMBER, spelled, asked=asked).text


def test_where_no_abstract_says_what_a_thing_is_that_is_said_first() -> None:
    told = written(QuestionKind.DEFINITION, LANTERN, asked="What is a library?").text
    assert told.startswith(NOT_DEFINED)
    known = written(QuestionKind.DEFINITION, LANTERN, asked="What is Lantern?").text
    assert NOT_DEFINED not in known


def test_a_title_with_a_star_is_a_heading_still() -> None:
    cited = written(QuestionKind.FACT, replace(LANTERN, title="L*-Lantern: a cache"))
    assert all(sentence.verdict is Verdict.SUPPORTED for sentence in cited.sentences)


def test_a_word_that_begins_two_titles_is_no_name_of_theirs() -> None:
    one = replace(LANTERN, title="LLM caches for long texts")
    two = replace(HARBOR, title="LLM storage on disks")
    for kind in (QuestionKind.HOW, QuestionKind.FACT):
        told = written(kind, one, two, asked="How can an LLM cache be kept small?").text
        assert "go by that name" not in told


def test_what_merely_says_where_the_code_is_is_told_to_who_asks_for_it() -> None:
    paper = replace(HARBOR, abstract=f"{HARBOR.abstract} The code is available at harbor.example.")
    for kind in QuestionKind:
        assert "available" not in written(kind, paper, asked="How does Harbor work?").text
    assert "available" in written(QuestionKind.FACT, paper, asked="Where is the code?").text


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Give me two papers on caches", 2),
        ("top 3 methods for long texts", 3),
        ("name one paper about caches", 1),
        ("Which papers halve memory?", 4),
        # These numbers count something else.
        ("Which papers use two GPUs for one cache?", 4),
        ("Which papers on caches of 2 methods are there?", 4),
    ],
)
def test_as_many_papers_as_are_asked_for(asked: str, told: int) -> None:
    papers = [replace(LANTERN, id=f"p{at}", title=f"Cache {at}") for at in range(4)]
    cited = written(QuestionKind.LIST, *papers, asked=asked)
    assert len({citation.paper.id for citation in cited.citations}) == told


def test_of_more_papers_than_are_told_the_likeliest_are_told() -> None:
    papers = [replace(LANTERN, id=f"p{at}", title=f"Cache {at}") for at in range(12)]
    belong = {f"p{at}": 0.4 + at / 30 for at in range(12)}
    cited = written(QuestionKind.LIST, *papers, asked="Which papers?", belong=belong)
    told = [citation.paper.id for citation in cited.citations]
    assert sorted(told) == sorted(f"p{at}" for at in range(12 - len(told), 12))
    assert 1 < len(told) < 12


def test_surveys_are_the_first_to_read() -> None:
    survey = replace(HARBOR, title="Caches of all kinds: a survey")
    cited = written(QuestionKind.LIST, LANTERN, survey, asked="What should I read on caches?")
    assert [citation.paper.title for citation in cited.citations] == [survey.title, LANTERN.title]


def test_one_paper_alone_is_no_list() -> None:
    cited = written(QuestionKind.LIST, LANTERN)
    assert not cited.text.startswith("- ")
    assert len(cited.sentences) > 1


def test_case_tells_one_name_from_another() -> None:
    other = replace(LANTERN, id="p3", title="LANTERN: a lamp for ships")
    text = written(QuestionKind.FACT, LANTERN, other, asked="Is the cache of Lantern fast?").text
    assert "go by that name" not in text
    assert (
        "go by that name"
        in written(
            QuestionKind.FACT, LANTERN, replace(LANTERN, id="p3"), asked="Is Lantern fast?"
        ).text
    )


def test_another_name_of_the_question_tells_namesakes_apart() -> None:
    lamp = replace(LANTERN, id="p3", title="Lantern: a lamp for ships")
    rival = replace(HARBOR, id="p4", abstract="Harbor reads faster than Lantern does.")
    for asked in ("Why does Harbor beat Lantern?", "Is Lantern slower than Harbor?"):
        told = written(QuestionKind.HOW, LANTERN, lamp, rival, asked=asked).text
        assert "go by that name" not in told
    told = written(QuestionKind.HOW, LANTERN, lamp, asked="Why does Harbor beat Lantern?").text
    assert "go by that name" in told


def test_a_table_says_nothing_twice() -> None:
    cited = written(QuestionKind.COMPARISON, LANTERN, HARBOR, asked="Compare Lantern and Harbor.")
    assert cited.text.startswith("| |")
    cells = [
        cell.strip()
        for cell in re.split(r"[|\n]|\[\d\]", cited.text)
        if len(cell) > 30 and NOT_STATED not in cell
    ]
    assert len(set(cells)) == len(cells)


def test_a_word_that_says_nothing_is_not_told() -> None:
    for kind in QuestionKind:
        assert "Efficiency." not in written(kind, HARBOR).text


def test_the_same_evidence_gives_the_same_answer() -> None:
    for kind in QuestionKind:
        assert written(kind, LANTERN, HARBOR).text == written(kind, LANTERN, HARBOR).text


def test_without_evidence_nothing_is_written() -> None:
    assert written(QuestionKind.FACT).text == ""


def test_it_costs_nothing_and_leaves_questions_to_the_rules() -> None:
    backend = ExtractiveBackend()
    assert backend.name == "extractive"
    assert backend.standalone("And it?", [Message("user", "What is Lantern?")]) == (None, Usage())
    task = WritingTask(Question("x", "x"), evidence(LANTERN))
    pieces = backend.write(task)
    assert collect(pieces)[1] == Usage()


@pytest.mark.parametrize(
    ("sentence", "opening"),
    [
        ("However, most words are never read.", "Most words"),
        ("Moreover, Lantern is fast.", "Lantern is fast."),
        ("To this end, we present Lantern.", "We present"),
        ("(2) Lantern is fast.", "Lantern is fast."),
        ("2. Lantern is fast.", "Lantern is fast."),
        ("nn-Lantern is fast.", "nn-Lantern is fast."),
        ("Thus far nothing is known.", "Thus far nothing"),
        ("In addition to Harbor, Lantern is fast.", "In addition to Harbor"),
        ("In contrast with Harbor, it is fast.", "In contrast with"),
    ],
)
def test_a_connecting_word_is_left_out_at_the_start(sentence: str, opening: str) -> None:
    text, leans = standing_alone(sentence)
    assert text.startswith(opening)
    assert not leans


@pytest.mark.parametrize(
    "sentence",
    [
        "They need a second model.",
        "This is due to the cache.",
        "Only 3 (1.1%) needed a second model.",
    ],
)
def test_a_sentence_that_leans_on_another_is_known(sentence: str) -> None:
    assert standing_alone(sentence)[1]


def test_what_begins_a_part_leans_on_nothing() -> None:
    text, leans = standing_alone("CONCLUSIONS These data show that glass forgets.")
    assert text == "These data show that glass forgets."
    assert not leans


@pytest.mark.parametrize(
    "sentence",
    ["However, how glass forgets is unknown.", "Yet, what it keeps has not been studied."],
)
def test_what_is_not_known_is_told_against_what_is(sentence: str) -> None:
    assert standing_alone(sentence) == (sentence, True)


@given(st.text(max_size=80))
def test_any_sentence_can_be_looked_at(sentence: str) -> None:
    text, _ = standing_alone(sentence)
    assert text.casefold().strip() in sentence.casefold() or len(text) <= len(sentence) + 2


@pytest.mark.parametrize("kind", [QuestionKind.YES_NO, QuestionKind.HOW, QuestionKind.FACT])
def test_an_answer_that_may_miss_the_question_says_so(kind: QuestionKind) -> None:
    unsure = written(kind, LANTERN, unsure=True)
    assert unsure.text.startswith(MAY_MISS)
    assert unsure.sentences
    assert all(sentence.verdict is Verdict.SUPPORTED for sentence in unsure.sentences)
    assert unsure.notes() == []
    assert MAY_MISS not in written(kind, LANTERN).text
    assert MAY_MISS not in written(QuestionKind.NUMBER, LANTERN, unsure=True).text


@pytest.mark.parametrize("kind", [QuestionKind.LIST, QuestionKind.OVERVIEW])
def test_papers_that_do_not_belong_are_not_told_of(kind: QuestionKind) -> None:
    both = written(kind, LANTERN, HARBOR, belong={"p1": 0.7, "p2": 0.5}).text
    assert "Lantern" in both
    assert "Harbor" in both
    assert NONE_SQUARELY not in both
    one = written(kind, LANTERN, HARBOR, belong={"p1": 0.06, "p2": 0.5}).text
    assert "Lantern" not in one
    assert "Harbor" in one


def test_a_list_of_what_is_merely_near_says_so() -> None:
    near = written(QuestionKind.LIST, LANTERN, HARBOR, belong={"p1": 0.15, "p2": 0.02})
    assert near.text.startswith(NONE_SQUARELY)
    assert "Lantern" in near.text
    assert "Harbor" not in near.text
    assert all(sentence.verdict is Verdict.SUPPORTED for sentence in near.sentences)
    assert near.notes() == []
    nothing = written(QuestionKind.LIST, LANTERN, HARBOR, belong={"p1": 0.01, "p2": 0.02}).text
    assert nothing.startswith(NONE_SQUARELY)
    assert "Harbor" in nothing


def test_papers_that_are_compared_are_told_of_whether_or_not_they_belong() -> None:
    asked = "Compare Lantern and Harbor."
    far = {"p1": 0.01, "p2": 0.02}
    compared = written(QuestionKind.COMPARISON, LANTERN, HARBOR, asked=asked, belong=far).text
    assert compared == written(QuestionKind.COMPARISON, LANTERN, HARBOR, asked=asked).text


@pytest.mark.parametrize("kind", [QuestionKind.LIST, QuestionKind.OVERVIEW])
def test_a_sentence_that_says_little_still_leads_one_that_leans_on_it(kind: QuestionKind) -> None:
    paper = Paper("p:6", "Glass", "We investigate caches of glass. They hold a text for a year.")
    lead, best, *others = evidence(paper, HARBOR)
    offered = (replace(best, n=1, score=0.95), replace(lead, n=2, score=0.5), *others)
    told = "".join(ExtractiveBackend().write(WritingTask(Question("?", "?", kind), offered)))
    assert "We investigate caches of glass. [2] They hold a text for a year. [1]" in told


def test_an_overview_of_several_papers_is_grouped_by_what_they_say() -> None:
    survey = Paper("p3", "A survey of caches", "This survey covers a hundred caches for texts.")
    found = Paper("p4", "Caches forget", "We find that big caches forget what they read first.")
    cited = written(QuestionKind.OVERVIEW, LANTERN, HARBOR, survey, found)
    lines = [line for line in cited.text.splitlines() if line]
    headings = [line for line in lines if line.endswith(":")]
    assert headings == ["Methods:", "Findings:", "Surveys:"]
    assert "Lantern" in lines[lines.index("Methods:") + 1]
    assert "A survey of caches" in lines[lines.index("Surveys:") + 1]
    assert sum(line.startswith("- ") for line in lines) == 4
    assert cited.notes() == []
    few = written(QuestionKind.OVERVIEW, LANTERN, survey)
    assert not any(line.endswith(":") for line in few.text.splitlines())


@pytest.mark.parametrize(
    ("empty", "left_out"),
    [
        ("We hope that our caches pave the way for new texts.", "We hope"),
        ("In this work, we address several questions of caches.", "several questions"),
    ],
)
def test_an_overview_tells_what_a_paper_does_rather_than_what_it_hopes_or_sets_out_to_do(
    empty: str, left_out: str
) -> None:
    paper = Paper("p:5", "Glass caches", f"{empty} We build caches of glass.")
    cited = written(QuestionKind.OVERVIEW, LANTERN, paper)
    assert "We build caches of glass." in cited.text
    assert left_out not in cited.text


def test_a_comparison_is_of_the_papers_that_it_names() -> None:
    named = Paper("p6", "Forgetting on time with Two-Lamps", "Two-Lamps forgets old texts fast.")
    other = Paper("p7", "A near miss", "It keeps texts in a cache as Lantern and Two-Lamps do.")
    asked = "Two-Lamps versus Lantern: how does each forget?"
    text = written(QuestionKind.COMPARISON, other, LANTERN, named, asked=asked).text
    assert text.index("Two-Lamps forgets") < text.index("Lantern: a cache")
    assert "near miss" not in text


@pytest.mark.parametrize(
    ("sentence", "opening"),
    [
        ("CONCLUSIONS Glass forgets.", "Glass forgets."),
        ("MATERIALS AND METHODS: We built it.", "We built it."),
        ("CONCLUSIONS AND RELEVANCE Among 90 readers, glass forgot.", "Among 90 readers"),
        ("RESEARCH DESIGN AND METHODS A total of 9 were built.", "A total of 9"),
        ("AUTHORS' CONCLUSIONS mRNA of glass forgets.", "mRNA of"),
        ("DESIGN, SETTING, AND PARTICIPANTS Nine readers took part.", "Nine readers"),
        ("RESULT(S): Glass forgets.", "Glass forgets."),
        ("Background/Aims: Glass is old.", "Glass is old."),
        ("Methods and Findings We built it.", "We built it."),
        ("Abstract Background: Glass is old.", "Glass is old."),
        ("CONCLUSIONS However, MRI of glass is slow.", "MRI of glass"),
        ("CONCLUSIONS MRI of glass is slow.", "MRI of glass"),
        ("Results of MRI scans differ.", "Results of MRI"),
        ("Design Automation is old.", "Design Automation"),
        ("Clinical Trial: nine readers.", "Clinical Trial"),
        ("CONTEXT is a cache.", "CONTEXT is"),
        ("RESULTS", "RESULTS"),
        ("DNA Glass is a brand.", "DNA Glass"),
    ],
)
def test_the_label_of_a_part_is_not_told(sentence: str, opening: str) -> None:
    assert standing_alone(sentence)[0].startswith(opening)


def test_a_figure_that_a_paper_gives_is_not_called_unstated() -> None:
    flash = Paper(
        "p8",
        "Flash: texts from a disk",
        "We present Flash, which reads by rows. With Flash texts grow to twice the memory, "
        "with a 4-5x increase in speed.",
    )
    text = written(QuestionKind.COMPARISON, flash, LANTERN, asked="Compare Flash and Lantern.").text
    result = next(line for line in text.splitlines() if line.startswith("| Result"))
    assert "4-5x increase" in result
    assert NOT_STATED not in result


def test_a_list_of_what_does_without_tells_who_says_so() -> None:
    free = Paper("p9", "Glass caches", "We present a retraining-free cache of glass for texts.")
    asked = "Which caches need no training?"
    text = written(QuestionKind.LIST, LANTERN, free, HARBOR, asked=asked).text
    said, _, unsaid = text.partition(NOT_SAID)
    assert "Glass caches" in said
    assert "It needs no training at all" in said
    assert "Lantern" in unsaid
    asked = "Which caches don't need any training?"
    assert NOT_SAID in written(QuestionKind.LIST, LANTERN, free, HARBOR, asked=asked).text
    none = written(QuestionKind.LIST, LANTERN, asked="Which caches work without a lamp?").text
    assert none.startswith(NONE_SAYS)


def test_an_overview_of_what_does_without_tells_who_says_so() -> None:
    free = Paper("p9", "Glass caches", "We present a lamp-free cache of glass for texts.")
    text = written(QuestionKind.OVERVIEW, LANTERN, free, asked="caches without a lamp").text
    said, _, unsaid = text.partition(NOT_SAID)
    assert "Glass caches" in said
    assert "Lantern" in unsaid


def test_papers_of_the_sort_asked_for_come_first_and_apart() -> None:
    survey = Paper("p9", "Caches for texts: a survey", "Caches of texts grow with every word.")
    lead = "Near, but not a survey or review by title or abstract:"
    for kind in (QuestionKind.LIST, QuestionKind.OVERVIEW):
        text = written(kind, LANTERN, survey, HARBOR, asked="surveys of caches for texts").text
        held, _, near = text.partition(lead)
        assert "a survey**" in held
        assert "Lantern" not in held
        assert "Lantern" in near
    none = written(QuestionKind.LIST, LANTERN, HARBOR, asked="surveys of caches for texts").text
    assert none.startswith("No paper says that it is a survey or review. The nearest:")


def test_what_is_about_the_other_thing_is_not_told() -> None:
    wood = Paper("p9", "Wood", "We present a cache of wood that stores every word of a text.")
    text = written(QuestionKind.LIST, LANTERN, wood, asked="Which caches other than Lantern?").text
    assert "Wood" in text
    assert "Lantern" not in text
    none = written(QuestionKind.LIST, LANTERN, asked="Which caches other than Lantern?").text
    assert none.startswith("All that was found speaks of it.")


def test_a_paper_whose_title_is_about_what_is_to_be_absent_comes_last() -> None:
    about = Paper("p8", "Better lamps for caches", "We present lamps for caches of texts.")
    asked = "Which caches work without lamps?"
    text = written(QuestionKind.LIST, about, LANTERN, HARBOR, asked=asked).text
    assert text.startswith(NONE_SAYS)
    assert text.index("Harbor") < text.index("Better lamps")


def test_what_holds_a_condition_is_told_where_nothing_else_is() -> None:
    asked = "Which caches work without glass?"
    near = Paper("p8", "Words on a disk", "It keeps every word of a text without any glass.")
    far = replace(evidence(near)[0], covered=0.1, belongs=0.9)
    lantern = replace(evidence(LANTERN)[3], n=2, covered=1.0, belongs=0.1)
    task = WritingTask(Question(asked, asked, QuestionKind.LIST), (far, lantern))
    assert "Words on a disk" in "".join(ExtractiveBackend().write(task))
