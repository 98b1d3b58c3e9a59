"""Searches that explain themselves, and papers like a paper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from citewise import Library
from citewise.batch import search_batch
from citewise.cli import main
from citewise.errors import PaperNotFoundError, UsageError
from citewise.library.embedding import quickest
from citewise.types import Filters, Hit, Paper

PAPERS = {
    "cats": "The feline slept on the warm windowsill. It purred whenever its owner came near.",
    "dogs": "The hound slept on the warm rug by the door. It barked whenever its owner came near.",
    "stars": "Telescopes resolve distant galaxies. Redshift tells how fast they recede from us.",
    "moons": "Telescopes find moons of distant planets. Their orbits tell how heavy planets are.",
    "law": "Courts interpret contracts by the intention of both parties. Appeals are costly.",
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with Library.open(tmp_path_factory.mktemp("explained") / "library") as opened:
        opened.add([Paper(name, f"On {name}", text) for name, text in PAPERS.items()])
        opened.add([Paper("late", "Late", "Felines purr. Courts are closed.")], embed=False)
        yield opened


def _by_id(hits: tuple[Hit, ...]) -> dict[str, Hit]:
    return {hit.paper.id: hit for hit in hits}


def test_a_hit_names_the_words_as_typed_and_the_nearest_sentence(library: Library) -> None:
    hits = _by_id(library.search("Purring CATS, galaxies that recede FAST?", 6))
    assert hits["cats"].matched_words == ("Purring", "CATS")
    assert hits["stars"].matched_words == ("galaxies", "recede", "FAST")
    assert hits["law"].matched_words == ()
    sentence = hits["stars"].sentence
    assert sentence is not None
    assert PAPERS["stars"][sentence.start : sentence.end] == sentence.text
    assert sentence.text == "Redshift tells how fast they recede from us."
    assert hits["stars"].lexical_score is not None
    assert hits["stars"].lexical_score > 0
    assert hits["stars"].dense_score is not None
    assert -1 <= hits["stars"].dense_score <= 1


def test_the_nearest_sentence_is_the_one_of_highest_cosine(sample_library: Library) -> None:
    query = "speculative decoding with a draft model"
    vector = quickest(sample_library.embedder)([query])[0]
    for hit in sample_library.search(query, 10):
        row = sample_library.sentences([hit.paper.id])[hit.paper.id]
        assert row.vectors is not None
        assert hit.sentence is not None
        cosines = row.vectors @ vector
        assert (hit.sentence.start, hit.sentence.end) == row.spans[int(cosines.argmax())]
        assert hit.sentence_score == pytest.approx(float(cosines.max()), abs=1e-4)


def test_a_paper_without_vectors_is_explained_by_its_words(library: Library) -> None:
    late = _by_id(library.search("courts closed", 6))["late"]
    assert late.matched_words == ("courts", "closed")
    assert late.sentence is not None
    assert (late.sentence.text, late.sentence_score) == ("Courts are closed.", None)
    assert (late.dense_rank, late.dense_score) == (None, None)


def test_unexplained_is_the_same_ranking_without_the_reasons(library: Library) -> None:
    explained = library.find("distant galaxies", 5)
    bare = library.find("distant galaxies", 5, explain=False)
    assert [(h.paper.id, h.score) for h in bare.hits] == [
        (h.paper.id, h.score) for h in explained.hits
    ]
    assert all(hit.sentence is None and not hit.matched_words for hit in bare.hits)


def test_similar_papers_share_the_subject_and_leave_the_paper_out(library: Library) -> None:
    for one, other in (("cats", "dogs"), ("moons", "stars")):
        found = library.similar(one, 10)
        assert found.query == f"On {one}"
        assert found.hits[0].paper.id == other
        assert one not in {hit.paper.id for hit in found.hits}
        assert {hit.dense_rank for hit in found.hits if hit.dense_rank} == {1, 2, 3, 4}
    assert {"warm", "slept"} <= set(library.similar("dogs", 1).hits[0].matched_words)
    assert [hit.rank for hit in library.similar("cats", 2).hits] == [1, 2]


def test_similar_without_vectors_goes_by_words_and_says_so(library: Library) -> None:
    found = library.similar("late", 2)
    assert {hit.paper.id for hit in found.hits} == {"cats", "law"}
    assert any("compared by its words" in note for note in found.notes)


def test_similar_obeys_filters_and_refuses_what_is_not_there(library: Library) -> None:
    only = Filters(papers=("law", "cats"))
    assert [hit.paper.id for hit in library.similar("cats", 5, only).hits] == ["law"]
    with pytest.raises(PaperNotFoundError, match="papers list"):
        library.similar("nobody")
    with pytest.raises(UsageError, match="at least 1"):
        library.similar("cats", 0)


def test_similar_agrees_with_meaning_on_the_sample_papers(sample_library: Library) -> None:
    papers = [paper.id for paper in sample_library.papers()][::40]
    rows = sample_library.sentences([paper.id for paper in sample_library.papers()])
    means = {key: row.vectors.mean(axis=0) for key, row in rows.items() if row.vectors is not None}
    near = 0
    for paper in papers:
        cosines = {key: float(np.dot(means[paper], mean)) for key, mean in means.items()}
        closest = sorted(cosines, key=lambda key: -cosines[key])[1:21]
        near += sample_library.similar(paper, 1).hits[0].paper.id in closest
    assert near >= 0.8 * len(papers)


def test_the_command_explains_and_finds_similar_papers(
    library: Library, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[str | int | None, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["search", *words, "--library", str(library.path)])
        return ended.value.code, *capsys.readouterr()

    _, said, _ = run("distant galaxies", "-v", "-k", "1")
    assert "by words: 1 (BM25" in said
    assert "by meaning: 1 (cosine" in said
    assert "words: distant, galaxies" in said
    assert "nearest sentence (cosine 0." in said
    assert "resolve distant galaxies." in said
    like = json.loads(run("--like", "stars", "--json", "-k", "1")[1])["hits"][0]
    assert like["paper"]["id"] == "moons"
    assert {"distant", "Telescopes"} <= set(like["matched_words"])
    assert like["sentence"]["text"] == PAPERS["moons"][: like["sentence"]["end"]]
    assert -1 <= like["sentence_score"] <= 1
    assert like["dense_score"]
    assert like["lexical_score"]
    status, _, said = run("--like", "nobody")
    assert status == 1
    assert "'nobody'" in said
    status, _, said = run("galaxies", "--like", "stars")
    assert status == 2
    assert "--like" in said


def test_a_batch_leaves_the_reasons_out_and_ranks_alike(library: Library, tmp_path: Path) -> None:

    queries = tmp_path / "queries.jsonl"
    odd = ["distant galaxies", "the", "\x00", '"unbalanced (', "x" * 1_000_000]
    queries.write_text(
        "".join(json.dumps({"_id": f"q{n}", "text": text}) + "\n" for n, text in enumerate(odd))
    )
    report = search_batch(library, queries, tmp_path / "run.trec", k=3)
    assert report.done == len(odd)
    rows = [line.split() for line in (tmp_path / "run.trec").read_text().splitlines()]
    first = [row[2] for row in rows if row[0] == "q0"]
    assert first == [hit.paper.id for hit in library.search("distant galaxies", 3)]
