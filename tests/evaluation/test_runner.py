"""The harness must be able to fail: each kind of bad assistant gets the score it deserves."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from citewise.errors import BackendError, BackendUnavailableError, UsageError
from citewise.evaluation.datasets import Question, load
from citewise.evaluation.runner import (
    Pair,
    Results,
    cached_library,
    evaluate,
    load_beir,
    load_pairs,
    our_judge,
    rescore,
    run_check,
    run_questions,
    run_retrieval,
)
from citewise.library.library import Library
from citewise.types import (
    Answer,
    Citation,
    Effort,
    Message,
    Paper,
    Retrieved,
    SearchResult,
    Sentence,
    Span,
    Support,
    Usage,
    Verdict,
)

DEV = load("dev")
GOLD = {question.question: question for question in (*DEV, *load("first"))}
UNANSWERABLE = sum(not question.answerable for question in DEV)


def answer_of(
    question: Question, quotes: Sequence[tuple[Paper, Span]], *, answered: bool = True
) -> Answer:
    """An answer that quotes spans, each as a sentence that cites it, and names every form."""
    numbers = {paper.id: n for n, paper in enumerate({p.id: p for p, _ in quotes}.values(), 1)}
    by_id = {paper.id: paper for paper, _ in quotes}
    spans = {p: tuple(s for paper, s in quotes if paper.id == p) for p in numbers}
    said = [f"{span.text} [{numbers[paper.id]}]" for paper, span in quotes]
    said += [nugget.forms[0] for nugget in question.nuggets]
    said += [f"{question.value.value:g} {question.value.unit}"] if question.value else []
    return Answer(
        id="a",
        question=question.question,
        standalone_question=question.standalone,
        text=". ".join(said) if answered else "The papers don't answer that.",
        answered=answered,
        sentences=tuple(
            Sentence(span.text, (numbers[paper.id],), 1.0, Verdict.SUPPORTED)
            for paper, span in quotes
        ),
        citations=tuple(Citation(n, by_id[p], spans[p]) for p, n in numbers.items()),
        retrieved=tuple(
            Retrieved(rank, paper, "", 1 / rank) for rank, paper in enumerate(question.required, 1)
        ),
        confidence=0.9 if answered else 0.1,
        backend="stub",
        effort=Effort.NORMAL,
        usage=Usage(),
        timings_ms={"total": 1.0},
        library="cw-stub",
    )


class Perfect:
    """Knows the gold."""

    def __init__(self, papers: Mapping[str, Paper]) -> None:
        self.papers = papers
        self.asked: list[str] = []

    def ask(self, question: str, history: Sequence[Message]) -> Answer:
        self.asked.append(question)
        return self.answer(GOLD[question])

    def answer(self, gold: Question) -> Answer:
        return answer_of(gold, self.quotes(gold), answered=gold.answerable)

    def quotes(self, gold: Question) -> list[tuple[Paper, Span]]:
        found = []
        for nugget in gold.nuggets:
            abstract = self.papers[nugget.paper].abstract
            at = abstract.index(nugget.span)
            found.append((self.papers[nugget.paper], Span.of(abstract, at, at + len(nugget.span))))
        return found


class AlwaysAbstains(Perfect):
    def answer(self, gold: Question) -> Answer:
        return answer_of(gold, (), answered=False)


class NeverAbstains(Perfect):
    def quotes(self, gold: Question) -> list[tuple[Paper, Span]]:
        if gold.answerable:
            return super().quotes(gold)
        paper = next(iter(self.papers.values()))
        return [(paper, Span.of(paper.abstract, 0, 60))]

    def answer(self, gold: Question) -> Answer:
        return answer_of(gold, self.quotes(gold))


class CitesWrongPapers(Perfect):
    """Says the right words and cites the start of a paper that has nothing to do with them."""

    def answer(self, gold: Question) -> Answer:
        right = super().answer(gold)
        used = {*gold.required, *gold.acceptable}
        wrong = next(paper for name, paper in self.papers.items() if name not in used)
        span = Span.of(wrong.abstract, 0, 60)
        return replace(
            right,
            citations=tuple(replace(c, paper=wrong, spans=(span,)) for c in right.citations),
        )


class RanksBackwards(Perfect):
    def answer(self, gold: Question) -> Answer:
        others = [name for name in self.papers if name not in gold.required]
        order = [*others, *gold.required]
        shuffled = tuple(Retrieved(n, name, "", 0.0) for n, name in enumerate(order, 1))
        return replace(super().answer(gold), retrieved=shuffled)


class SaysWhatItMustNot(Perfect):
    def answer(self, gold: Question) -> Answer:
        right = super().answer(gold)
        return replace(right, text=". ".join([right.text, *gold.must_not]))


class Fails(Perfect):
    def ask(self, question: str, history: Sequence[Message]) -> Answer:
        raise BackendError("the server is down")


@pytest.fixture(scope="module")
def papers(sample_library: Library) -> dict[str, Paper]:
    return {paper.id: paper for paper in sample_library.papers()}


def figures(results: Results) -> dict[str, float]:
    return {name: figure["value"] for name, figure in results.summary["figures"].items()}


def run(kind: Callable[[Mapping[str, Paper]], Perfect], papers: Mapping[str, Paper]) -> Results:
    return run_questions(kind(papers), DEV, papers=papers.values())


PERFECT = (
    "recall_at_5", "rr", "ndcg_at_10", "nugget_recall", "number", "list_f1", "cited_precision",
    "cited_recall", "citation_recall", "citation_precision", "citation_f1", "span_exactness",
    "accuracy", "precision", "crag", "answered", "abstained_near_miss", "abstention_precision",
    "abstention_recall",
)  # fmt: skip


def test_who_knows_the_gold_gets_full_marks(papers: dict[str, Paper]) -> None:
    got = figures(run(Perfect, papers))
    assert {name: got[name] for name in PERFECT} == dict.fromkeys(PERFECT, 1.0)
    assert got["aurc"] == got["over_refusal"] == got["false_said"] == got["failed"] == 0.0
    assert got["calibration_error"] == pytest.approx(0.1)


def test_who_always_abstains_gets_nothing_but_abstention(papers: dict[str, Paper]) -> None:
    results = run(AlwaysAbstains, papers)
    got = figures(results)
    zero = ("nugget_recall", "number", "list_f1", "cited_precision", "cited_recall",
            "citation_f1", "accuracy", "answered")  # fmt: skip
    assert {name: got[name] for name in zero} == dict.fromkeys(zero, 0.0)
    assert got["over_refusal"] == got["abstained_near_miss"] == got["aurc"] == 1.0
    assert got["abstention_precision"] == pytest.approx(UNANSWERABLE / len(DEV))
    assert got["crag"] == pytest.approx(UNANSWERABLE / len(DEV))
    # Nothing vanishes: each answerable question counts.
    assert results.summary["figures"]["citation_f1"]["n"] == len(DEV) - UNANSWERABLE
    assert "precision" not in got


def test_who_never_abstains_pays_for_it(papers: dict[str, Paper]) -> None:
    got = figures(run(NeverAbstains, papers))
    assert got["abstained_near_miss"] == got["abstention_recall"] == 0.0
    assert got["precision"] == pytest.approx(1 - UNANSWERABLE / len(DEV))
    assert got["crag"] == pytest.approx(1 - 2 * UNANSWERABLE / len(DEV))
    assert got["accuracy"] == 1.0
    assert got["aurc"] > 0


def test_who_cites_wrong_papers_has_no_citations(papers: dict[str, Paper]) -> None:
    got = figures(run(CitesWrongPapers, papers))
    assert got["cited_precision"] == got["cited_recall"] == got["list_f1"] == 0.0
    assert got["citation_recall"] < 0.05
    assert got["citation_precision"] < 0.05
    assert got["nugget_recall"] == got["span_exactness"] == 1.0


def test_shuffled_papers_are_seen_in_every_span(papers: dict[str, Paper]) -> None:
    names = list(papers)
    moved = {
        name: replace(papers[name], abstract=papers[names[at - 1]].abstract)
        for at, name in enumerate(names)
    }
    results = run_questions(Perfect(papers), DEV, papers=moved.values())
    assert figures(results)["span_exactness"] == 0.0
    assert results.summary["corpus_sha256"] != run(Perfect, papers).summary["corpus_sha256"]


def test_who_ranks_backwards_finds_nothing(papers: dict[str, Paper]) -> None:
    got = figures(run(RanksBackwards, papers))
    assert got["recall_at_10"] == got["ndcg_at_10"] == 0.0
    assert got["rr"] < 0.01


def test_who_says_what_is_false_is_wrong(papers: dict[str, Paper]) -> None:
    results = run(SaysWhatItMustNot, papers)
    assert figures(results)["false_said"] == 1.0
    for result in results.rows:
        if result.question.answerable and result.question.must_not:
            assert (result.scores["correct"], result.scores["crag"]) == (0.0, -1.0)


def test_who_fails_gets_nothing_at_all(papers: dict[str, Paper]) -> None:
    results = run(Fails, papers)
    got = figures(results)
    assert got["failed"] == 1.0
    # An error is no abstention, not even where abstaining is right.
    assert got["abstained_near_miss"] == got["answered"] == got["over_refusal"] == 0.0
    assert got["nugget_recall"] == got["citation_f1"] == got["rr"] == got["crag"] == 0.0
    assert len(results.summary["failed"]) == len(DEV)


def test_a_judge_that_always_says_yes_shows_in_citation_recall(papers: dict[str, Paper]) -> None:
    wrong = run(CitesWrongPapers, papers)
    abstracts = {name: paper.abstract for name, paper in papers.items()}
    gullible = rescore(wrong, lambda claim, evidence, context: True, abstracts)
    assert figures(gullible)["citation_recall"] == 1.0
    assert figures(gullible)["cited_precision"] == 0.0
    again = rescore(wrong, our_judge, abstracts)
    assert figures(again)["citation_recall"] == figures(wrong)["citation_recall"]


# -- a checker ----------------------------------------------------------------------------------

PAIRS = [
    Pair("Pruning halves the memory.", ("Pruning halves the memory of the network.",), True),
    Pair("Pruning halves the memory.", ("Pruning never halves the memory of the network.",), False),
    Pair("The model runs at 27 fps.", ("On this board, the model runs at 27 fps.",), True),
    Pair("The model runs at 27 fps.", ("The model does not run at 27 fps.",), False),
    Pair("Distillation helps small students.", ("Quantisation slows training.",), False),
]


def test_a_checker_that_always_says_yes_is_worth_a_coin() -> None:
    yes = Support(1.0, Verdict.SUPPORTED)
    got = run_check(PAIRS, check=lambda claim, evidence: yes)["figures"]
    assert got["check_auroc"]["value"] == got["check_balanced_accuracy"]["value"] == 0.5
    assert got["overlap_auroc"]["value"] > 0.5


def test_our_checker_beats_word_overlap_on_denied_claims() -> None:
    summary = run_check(PAIRS)
    got = summary["figures"]
    assert got["check_auroc"]["value"] > got["overlap_auroc"]["value"]
    assert (summary["questions"], summary["backed"]) == (5, 2)


def test_pairs_are_read_in_the_usual_fields(tmp_path: Path) -> None:
    rows = [
        {"claim": "c", "evidence": "e", "label": "SUPPORTS"},
        {"claim": "c", "evidence": ["e", "f"], "supported": False},
        {"hypothesis": "c", "premise": "e", "label": "not_entailment"},
        {"claim": "c", "references": ["e"], "attribution_label": "attributable"},
        {"claim": "c", "evidence_oracle": "e", "label": "partially_supported"},
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert [pair.label for pair in load_pairs(file)] == [True, False, False, True, False]
    file.write_text('{"claim": "c", "evidence": "e", "label": "maybe"}\n', "utf-8")
    with pytest.raises(UsageError, match=r"line 1.*'maybe'"):
        load_pairs(file)


# -- runs ---------------------------------------------------------------------------------------


def test_a_run_that_was_cut_off_goes_on(papers: dict[str, Paper], tmp_path: Path) -> None:
    questions = DEV[:6]
    whole = run_questions(Perfect(papers), questions, tmp_path, papers=papers.values())
    lines = (tmp_path / "results.jsonl").read_text("utf-8").splitlines()
    (tmp_path / "summary.json").unlink()
    (tmp_path / "results.jsonl").write_text("\n".join(lines[:3]) + "\n" + lines[3][:40], "utf-8")
    second = Perfect(papers)
    seen: list[tuple[int, int]] = []
    resumed = run_questions(
        second, questions, tmp_path, lambda *at: seen.append(at), papers=papers.values()
    )
    assert second.asked == [question.question for question in questions[3:]]
    assert seen[-1] == (6, 6)
    ids = [json.loads(line)["id"] for line in (tmp_path / "results.jsonl").open(encoding="utf-8")]
    assert ids == [question.id for question in questions]
    same = ("nugget_recall", "citation_f1", "rr", "words")
    assert [figures(resumed)[name] for name in same] == [figures(whole)[name] for name in same]


def test_retrieval_and_check_go_on_too(sample_library: Library, tmp_path: Path) -> None:
    class Counting:
        asked = 0

        def find(self, query: str, k: int) -> SearchResult:
            self.asked += 1
            return sample_library.find(query, k)

    some = [q for q in DEV if q.answerable][:5]
    queries = {q.id: q.standalone for q in some}
    wanted = {q.id: q.required for q in some}
    whole = run_retrieval(Counting(), queries, wanted, out=tmp_path / "r")
    trec = (tmp_path / "r" / "run.trec").read_text("utf-8")
    kept = (tmp_path / "r" / "results.jsonl").read_text("utf-8").splitlines()[:2]
    for cut, left in (("\n".join(kept) + "\n" + kept[0][:30], 3), (None, 0)):
        if cut is not None:
            (tmp_path / "r" / "summary.json").unlink()
            (tmp_path / "r" / "results.jsonl").write_text(cut, "utf-8")
        second = Counting()
        again = run_retrieval(second, queries, wanted, out=tmp_path / "r", fresh=False)
        assert second.asked == left
        assert again["figures"]["ndcg_at_10"] == whole["figures"]["ndcg_at_10"]
        assert (tmp_path / "r" / "run.trec").read_text("utf-8") == trec
    third = Counting()
    run_retrieval(third, queries, wanted, out=tmp_path / "r")
    assert third.asked == 5, "a finished run is made anew"

    asked: list[str] = []

    def yes(claim: str, evidence: Sequence[str]) -> Support:
        asked.append(claim)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return Support(1.0, Verdict.SUPPORTED)

    with pytest.raises(KeyboardInterrupt):
        run_check(PAIRS, check=yes, out=tmp_path / "c")
    run_check(PAIRS, check=yes, out=tmp_path / "c")
    assert len(asked) == 3 + 3
    assert len((tmp_path / "c" / "results.jsonl").read_text("utf-8").splitlines()) == len(PAIRS)


def test_who_fails_on_and_on_is_not_asked_any_more(
    papers: dict[str, Paper], tmp_path: Path
) -> None:
    with pytest.raises(BackendUnavailableError, match=r"3 questions in a row.*the server is down"):
        run_questions(Fails(papers), DEV, tmp_path, papers=papers.values(), give_up_after=3)
    mended = Perfect(papers)
    run_questions(mended, DEV[:4], tmp_path, papers=papers.values())
    assert len(mended.asked) == 4


@pytest.mark.parametrize("change", ["finished", "identity", "papers"])
def test_nothing_is_reused_where_it_might_differ(
    papers: dict[str, Paper], tmp_path: Path, change: str
) -> None:
    questions = DEV[:3]
    run_questions(
        Perfect(papers), questions, tmp_path, papers=papers.values(), identity={"backend": "a"}
    )
    if change != "finished":
        (tmp_path / "summary.json").unlink()
    known = list(papers.values())[: 400 if change == "papers" else None]
    identity = {"backend": "b" if change == "identity" else "a"}
    second = Perfect(papers)
    run_questions(second, questions, tmp_path, papers=known, identity=identity)
    assert len(second.asked) == 3


def test_a_summary_says_what_it_was_made_with(papers: dict[str, Paper]) -> None:
    made = run(Perfect, papers).summary
    assert made["papers"] == 475
    for name in ("questions_sha256", "corpus_sha256", "code_sha256"):
        assert len(made[name]) == 64
    assert made["machine"]["processors"] >= 1
    assert made["versions"]["numpy"]
    assert set(made["kinds"]) == {question.kind for question in DEV}
    assert "answer_system" in made["prompts"]


def test_the_first_questions_are_answered_with_exact_spans(
    sample_library: Library, tmp_path: Path
) -> None:
    outcome = evaluate("first", out=tmp_path, library=sample_library)
    got = {name: figure["value"] for name, figure in outcome.summary["figures"].items()}
    assert got["span_exactness"] == 1.0
    assert got["failed"] == 0.0
    assert got["recall_at_5"] > 0.8
    assert got["abstained_off_topic"] > 0.5
    assert "citation F1 (ALCE)" in outcome.text
    assert (tmp_path / "RESULTS.md").is_file()
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["set"] == "first"


def test_retrieval_of_the_questions(sample_library: Library, tmp_path: Path) -> None:
    outcome = evaluate("retrieval", limit=10, out=tmp_path, library=sample_library)
    assert outcome.summary["figures"]["recall_at_10"]["value"] > 0.8
    run_lines = (tmp_path / "run.trec").read_text("utf-8").splitlines()
    assert len(run_lines[0].split()) == 6


def test_a_paper_that_came_under_another_id_first_counts(
    tmp_path: Path, sample_library: Library
) -> None:
    wanted = {paper for question in load("first")[:5] for paper in question.required}
    assert wanted
    with Library.open(tmp_path / "library") as library:
        for n, paper in enumerate(sample_library.papers_by_id([*wanted]).values()):
            library.add([Paper(f"elsewhere{n}", paper.title, paper.abstract)])
            library.add([paper])
        assert len(library) == len(wanted)
        outcome = evaluate("first", limit=5, out=tmp_path / "out", library=library)
    assert outcome.summary["figures"]["recall_at_10"]["value"] == 1.0


def test_a_beir_folder(tmp_path: Path, sample_library: Library) -> None:
    some = list(sample_library.papers())[:12]
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for n, paper in enumerate(some):
            file.write(json.dumps({"_id": f"d{n}", "title": paper.title, "text": paper.abstract}))
            file.write("\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for n, paper in enumerate(some):
            file.write(json.dumps({"_id": f"q{n}", "text": paper.title}) + "\n")
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(11)) + "q11\td0\t0\n"
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged, "utf-8")

    queries, wanted = load_beir(folder)
    assert len(queries) == 12
    assert wanted == {f"q{n}": [f"d{n}"] for n in range(11)}
    built = cached_library(folder / "corpus.jsonl", tmp_path / "cache")
    assert cached_library(folder / "corpus.jsonl", tmp_path / "cache") == built
    with Library.open(built) as library:
        right = run_retrieval(library, queries, wanted)
        shifted = {f"q{n}": [f"d{(n + 6) % 12}"] for n in range(12)}
        wrong = run_retrieval(library, queries, shifted)
    assert right["figures"]["ndcg_at_10"]["value"] > 0.95
    assert right["questions"] == 11
    assert wrong["figures"]["ndcg_at_10"]["value"] < 0.6


def test_without_a_library_the_sample_is_filled_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "papers").mkdir()
    record = {"title": "Lantern", "abstract": "Lantern halves the memory of the cache."}
    (tmp_path / "papers" / "sample.jsonl").write_text(json.dumps(record), "utf-8")
    monkeypatch.setattr("citewise.evaluation.runner.sample_folder", lambda: tmp_path / "papers")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said: list[str] = []
    for name in ("one", "again"):
        outcome = evaluate("first", limit=1, out=tmp_path / name, say=said.append)
        assert outcome.summary["questions"] == 1
    assert len([words for words in said if "Building the library of papers, once" in words]) == 1
    (folder,) = (tmp_path / "cache" / "citewise" / "evaluation").iterdir()
    with Library.open(folder, create=False) as library:
        assert [paper.title for paper in library.papers()] == ["Lantern"]


def test_what_cannot_be_evaluated_is_said(tmp_path: Path, sample_library: Library) -> None:
    with pytest.raises(UsageError, match="nothing to evaluate called 'nosuch'"):
        evaluate("nosuch", library=sample_library)
    with pytest.raises(UsageError, match="no BEIR folder"):
        evaluate(str(tmp_path), library=sample_library)
    with pytest.raises(UsageError, match="at least 1"):
        evaluate("first", limit=0, library=sample_library)
