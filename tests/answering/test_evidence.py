from __future__ import annotations

import json
from pathlib import Path

import pytest

from citewise.answering import evidence as evidence_module
from citewise.answering.assistant import Assistant
from citewise.answering.evidence import Selection, select_evidence
from citewise.answering.kinds import kind_of
from citewise.backends.extractive import standing_alone
from citewise.library.library import Library
from citewise.types import Paper, Question

QUESTION = "How much faster is Superposed Decoding than nucleus sampling?"


def select(library: Library, text: str, *, most: int = 24, most_per_paper: int = 6) -> Selection:
    question = Question(text, text, kind_of(text))
    hits = library.find(text, 12).hits
    return select_evidence(question, hits, library, most=most, most_per_paper=most_per_paper)


@pytest.fixture(scope="module")
def selection(sample_library: Library) -> Selection:
    return select(sample_library, QUESTION)


def test_evidence_is_numbered_and_quotes_its_paper(
    selection: Selection, sample_library: Library
) -> None:
    assert [item.n for item in selection.evidence] == list(range(1, len(selection.evidence) + 1))
    for item in selection.evidence:
        abstract = sample_library.paper(item.paper.id).abstract
        assert abstract[item.span.start : item.span.end] == item.span.text
        assert 0 <= item.score <= 1
        assert item.ordinal >= 0
        assert item.paper_rank >= 1


def test_no_sentence_is_offered_twice(selection: Selection) -> None:
    places = [(item.paper.id, item.span.start) for item in selection.evidence]
    assert len(set(places)) == len(places)


def test_the_sentence_that_answers_is_among_the_first(selection: Selection) -> None:
    assert any("2.44" in item.span.text for item in selection.evidence[:4])


@pytest.mark.parametrize(("most", "most_per_paper"), [(1, 1), (5, 2), (24, 6), (200, 3)])
def test_the_limits_hold(most: int, most_per_paper: int, sample_library: Library) -> None:
    evidence = select(sample_library, QUESTION, most=most, most_per_paper=most_per_paper).evidence
    assert evidence
    leaning = {
        (item.paper.id, item.ordinal) for item in evidence if standing_alone(item.span.text)[1]
    }
    # A sentence that leans on the one before it brings that one along.
    chosen = [item for item in evidence if (item.paper.id, item.ordinal + 1) not in leaning]
    by_paper = [item.paper.id for item in chosen]
    assert len(chosen) <= most
    assert max(by_paper.count(paper_id) for paper_id in by_paper) <= most_per_paper


def test_features_are_shares(sample_library: Library) -> None:
    for text in (QUESTION, "How long should a sourdough loaf rise?", "?", "zzzz qqqq"):
        features = select(sample_library, text).features
        for name in features.__slots__:
            assert -1e-6 <= getattr(features, name) <= 1 + 1e-6, name


def test_what_is_counted_must_be_counted_by_the_paper_that_is_named(
    sample_library: Library,
) -> None:
    # Other papers near it count GPUs; its own abstract counts none.
    asked = "How many {} does Superposed Decoding use?"
    assert select(sample_library, asked.format("GPUs")).features.wanted == 0
    assert select(sample_library, "How many drafts does it take?").features.wanted == 1


def test_a_short_name_inside_of_a_word_names_no_paper(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library:
        library.add(
            [
                Paper("a", "Agents", "We distinguish agents by their training."),
                Paper("b", "Costs", "Training of agents takes 8 GPUs."),
            ]
        )
        features = select(library, "How many GPUs does the training of GUI agents take?").features
    # It also asks of GPUs, which a paper has.
    assert features.names == 0.5
    assert features.wanted == 1


def test_a_second_count_close_behind_another_is_seen(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library:
        library.add([Paper("a", "Talks", "Talks: 180 annotated conversations across 60 actors.")])
        features = select(library, "How many actors are in the talks?").features
    assert features.wanted == 1


def test_a_unit_that_is_asked_for_in_short_is_known(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library:
        library.add([Paper("a", "LAMP: driving", "LAMP drives at speeds of 12 FPS.")])
        features = select(library, "How many FPS does LAMP run at?").features
    assert features.wanted == 1


def test_the_sentence_with_the_figure_asked_for_is_offered_first(tmp_path: Path) -> None:
    plain = "The sleep of nurses on green tea was long for 40 nurses on green tea."
    told = "On tea, nurses had a sleep of 7 hours."
    with Library.open(tmp_path / "library") as library:
        library.add([Paper("a", "Tea and nurses", f"{plain} {told}")])
        asked = "How many hours was the sleep of nurses on green tea?"
        [found] = select(library, asked, most_per_paper=1).evidence
    assert found.span.text == told


def test_a_sentence_that_only_states_an_aim_does_not_come_first(tmp_path: Path) -> None:
    record = {
        "title": "Tea and sleep",
        "abstract": "OBJECTIVE To determine whether green tea improves the sleep of nurses. "
        "RESULTS Nurses who drank green tea had better sleep, by 20 minutes.",
    }
    with Library.open(tmp_path / "library") as library:
        papers = tmp_path / "papers.jsonl"
        papers.write_text(json.dumps(record), encoding="utf-8")
        library.ingest(papers)
        found = select(library, "Does green tea improve the sleep of nurses?").evidence
    assert found[0].span.text.startswith("RESULTS")


TEA = (
    "BACKGROUND Green tea is drunk by nurses. Their sleep on green tea is much discussed. "
    "METHODS Nurses were given green tea or water. The sleep of nurses on green tea was compared. "
    "RESULTS Of the nurses, 40 drank green tea. Sleep was 20 minutes longer in those nurses. "
    "CONCLUSIONS Green tea lengthens the sleep of nurses. Further trials of green tea and the "
    "sleep of nurses are needed."
)
"""Its sentences share about as many words with a question of tea and sleep."""


@pytest.mark.parametrize(
    ("asked", "opening"),
    [
        ("Does green tea improve the sleep of nurses?", "CONCLUSIONS"),
        ("How was the sleep of nurses on green tea compared?", "The sleep of nurses"),
    ],
)
def test_what_a_paper_concludes_comes_first_unless_its_doing_is_asked_for(
    asked: str, opening: str, tmp_path: Path
) -> None:
    with Library.open(tmp_path / "library") as library:
        library.add([Paper("a", "Tea and nurses", TEA), Paper("b", "Coffee", "Coffee is black.")])
        found = select(library, asked).evidence
    assert found[0].span.text.startswith(opening)


@pytest.mark.parametrize(
    "empty",
    [
        "The primary end point was the sleep of nurses on green tea.",
        "Further trials of green tea and the sleep of nurses are needed.",
        "How green tea acts on the sleep of nurses needs to be studied.",
        "To understand how green tea acts on the sleep of nurses, we asked 40 nurses.",
        "The trial of green tea and the sleep of nurses is registered with Trials, number 12.",
        "This study examines green tea and the sleep of nurses.",
        "In a trial, 40 nurses tested whether their sleep improves on green tea.",
        "It is unclear whether green tea improves the sleep of nurses.",
        "Our findings may contribute to the sleep of nurses.",
    ],
)
def test_a_sentence_that_tells_no_finding_does_not_come_first(empty: str, tmp_path: Path) -> None:
    told = "The sleep of nurses on green tea was 20 minutes longer."
    with Library.open(tmp_path / "library") as library:
        library.add([Paper("a", "Tea and nurses", f"{told} {empty}")])
        found = select(library, "Does green tea improve the sleep of nurses?").evidence
    assert found[0].span.text == told


@pytest.mark.parametrize(
    ("asked", "told", "other"),
    [
        (
            "How does Lantern shorten the decoding of long texts?",
            "Decoding of texts is shortened by keeping every second key.",
            "Experiments show that Lantern shortens the decoding of long texts by 40%.",
        ),
        (
            "Why does Lantern lose accuracy on long texts?",
            "Its accuracy falls because keys of long texts are dropped.",
            "We measure the accuracy that Lantern can lose on long texts.",
        ),
        (
            "What causes the loss of accuracy on long texts?",
            "The loss on long texts stems from dropped keys.",
            "We measure the loss of accuracy on long texts.",
        ),
        (
            "Is Lantern faster than Beacon at decoding long texts?",
            "It decodes texts 3 times as fast as Beacon, or 2 times compared with Buoy.",
            "Lantern is fast at decoding long texts.",
        ),
        (
            "Which is faster at decoding long texts, Lantern or Beacon?",
            "It decodes texts 3 times as fast as Beacon.",
            "Lantern is fast at decoding long texts.",
        ),
    ],
)
def test_the_sentence_worded_as_an_answer_comes_first(
    asked: str, told: str, other: str, tmp_path: Path
) -> None:
    with Library.open(tmp_path / "library") as library:
        library.add(
            [Paper("a", "Lantern", f"{other} {told}"), Paper("b", "Coffee", "It is black.")]
        )
        found = select(library, asked).evidence
    assert found[0].span.text == told


def test_a_cause_is_told_though_it_is_part_of_the_problem(tmp_path: Path) -> None:
    cause = "Decoding of long texts slows down because keys pile up in memory."
    own = "We measure how the decoding of long texts slows down."
    with Library.open(tmp_path / "library") as library:
        library.add([Paper("a", "Lantern", f"{cause} {own}")])
        found = select(library, "Why does the decoding of long texts slow down?").evidence
    assert found[0].span.text == cause


def test_the_sentence_that_answers_comes_before_one_with_more_of_the_words(tmp_path: Path) -> None:
    paper = Paper(
        id="p",
        title="Ice on the wings of drones",
        abstract="Ice on the wings of drones is a danger of winter flights. We study ice on the "
        "wings of drones in a cold tunnel. A thin film of wax keeps wings free for an hour. "
        "Without it ice forms in four minutes.",
    )
    with Library.open(tmp_path / "shelf") as library:
        library.add([paper])
        evidence = select(library, "How can ice on drone wings be prevented?").evidence
    assert "film of wax" in evidence[0].span.text


@pytest.mark.parametrize("asked", [QUESTION, "How does SpecExec choose what to draft?"])
def test_reading_moves_sentences_within_their_papers_alone(
    asked: str, sample_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def standing() -> tuple[list[str], list[tuple[str, float]]]:
        evidence = select(sample_library, asked, most=200, most_per_paper=40).evidence
        papers = list(dict.fromkeys(item.paper.id for item in evidence))
        return papers, sorted((item.paper.id, item.score) for item in evidence)

    read = standing()
    monkeypatch.setattr(evidence_module, "READ_SENTENCES", 0)
    assert standing() == read


def test_no_talk_makes_a_paper_answer_for_a_name_that_none_has(sample_library: Library) -> None:
    asked = "How does PlinkSpec pick the tokens that it drafts? ({})".format
    for matter in ("drafts of speculative decoding", "tokens drafted by a small model"):
        assert select(sample_library, asked(matter)).features.answered == 0
    assert select(sample_library, "How does drafting pick tokens?").features.answered > 0


def test_words_that_no_paper_has_are_known(sample_library: Library) -> None:
    strange = select(sample_library, "How long should a sourdough loaf rise?")
    assert "sourdough" in strange.unknown_words
    assert select(sample_library, QUESTION).unknown_words == ()
    assert strange.features.unknown > select(sample_library, QUESTION).features.unknown


@pytest.mark.parametrize(
    "question",
    [
        "Please explain Lantern simply, to a beginner.",
        "In plain words: the gist of Lantern?",
        "Does any paper mention Lantern?",
        "What is the biggest Lantern?",
        "What is the latest on Lantern?",
    ],
)
def test_how_something_is_to_be_told_is_looked_for_in_no_paper(
    question: str, tmp_path: Path
) -> None:
    papers = [
        Paper("lantern", "Lantern", "We present Lantern, a cache."),
        Paper("words", "Words", "Words are counted in caches."),
    ]
    with Library.open(tmp_path / "library") as library:
        library.add(papers)
        assert select(library, question).unknown_words == ()
        assert select(library, f"{question} A krill?").unknown_words == ("krill",)


def test_without_hits_there_is_no_evidence(sample_library: Library) -> None:
    question = Question(QUESTION, QUESTION)
    nothing = select_evidence(question, (), sample_library, most=24, most_per_paper=6)
    assert nothing.evidence == ()


def test_the_same_question_finds_the_same_evidence(
    selection: Selection, sample_library: Library
) -> None:
    assert select(sample_library, QUESTION) == selection


def test_each_found_paper_of_a_list_is_judged_once_for_all_its_sentences(
    sample_library: Library,
) -> None:
    # Eight papers are about such networks, few of them about large graphs.
    text = "Which papers train graph neural networks on graphs that do not fit in memory?"
    chosen = select(sample_library, text)
    assert {item.paper.id for item in chosen.evidence} <= chosen.belongs.keys()
    for item in chosen.evidence:
        assert item.belongs == chosen.belongs[item.paper.id]
    best = max(chosen.evidence, key=lambda item: item.belongs)
    worst = min(chosen.evidence, key=lambda item: item.belongs)
    assert "graph" in best.paper.title.lower() + best.paper.abstract.lower()
    assert best.belongs > 2 * worst.belongs


@pytest.mark.parametrize("asked", ["which methods beat {}", "what are alternatives to {}?"])
def test_what_is_to_be_beaten_is_not_listed(asked: str, sample_library: Library) -> None:
    own = next(p.id for p in sample_library.papers() if p.title.startswith("GPTQ: "))
    assert select(sample_library, "which papers are about GPTQ").belongs[own] > 0.5
    chosen = select(sample_library, asked.format("GPTQ")).belongs
    assert chosen[own] == 0.0
    assert max(chosen.values()) > 0.1


def test_each_paper_that_most_likely_belongs_is_offered(sample_library: Library) -> None:
    text = "Which papers prune language models?"
    question = Question(text, text, kind_of(text))
    hits = sample_library.find(question.standalone, 18).hits
    few = select_evidence(question, hits, sample_library, most=8, most_per_paper=8)
    best = max(few.belongs.values())
    likely = sorted((one for one in few.belongs.values() if one >= 0.67 * best), reverse=True)[:8]
    offered = {item.paper.id for item in few.evidence}
    assert len(likely) > 2
    assert all(one in offered for one, p in few.belongs.items() if p >= likely[-1])


@pytest.mark.parametrize("text", ["Which papers are there?", QUESTION, "Which opera is longest?"])
def test_papers_are_judged_only_where_a_question_asks_for_some(
    text: str, sample_library: Library
) -> None:
    chosen = select(sample_library, text)
    assert not chosen.belongs
    assert all(item.belongs == 1.0 for item in chosen.evidence)


def test_a_question_of_rare_words_is_more_specific_than_one_of_common_ones(
    sample_library: Library,
) -> None:
    common = select(sample_library, "Is it a good model?").features
    rare = select(sample_library, "Does pruning shrink Kolmogorov-Arnold networks?").features
    assert 0 <= common.specific < rare.specific <= 1


def test_a_list_of_what_no_paper_names_is_not_answered(sample_library: Library) -> None:
    named = select(sample_library, "Which papers are about speculative decoding?")
    strange = select(sample_library, "Which papers are about sourdough?")
    assert named.features.answered > 0.5
    assert strange.features.answered == 0.0


def test_what_a_thing_is_may_be_said_by_a_paper_on_something_else(tmp_path: Path) -> None:
    records = [
        {
            "title": f"Tern gliding in port {number}",
            "abstract": f"We speed up tern gliding {number} times. Tern gliding gains by it.",
        }
        for number in range(2, 22)
    ]
    said = "Tern gliding is a way of sailing in which boats are drawn by birds."
    records.append(
        {
            "title": "Harbour fees of small islands, a census",
            "abstract": f"We count what small islands ask of boats that moor in harbours. {said} "
            "Islands with one harbour ask more than those with two, and more in summer. Fees pay "
            "for piers, lamps and a keeper. Half of the towns publish no price list at all.",
        }
    )
    papers = tmp_path / "papers.jsonl"
    papers.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    with Library.open(tmp_path / "library") as library:
        library.ingest(papers)
        found = [hit.paper.title for hit in library.search("What is tern gliding?", 12)]
        answer = Assistant(library).ask("What is tern gliding?")
    assert records[-1]["title"] not in found
    assert answer.sentences[0].text == said


@pytest.mark.parametrize("name", ["HoPE", "ZeRO"])
def test_the_paper_that_bears_a_name_is_read_before_those_that_hold_the_word(
    name: str, sample_library: Library
) -> None:
    found = Assistant(sample_library).gather(f"why does {name} work better than other methods?")
    assert found.hits[0].paper.title.startswith(f"{name}:")
