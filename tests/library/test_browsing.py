from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from citewise.errors import UsageError
from citewise.library.browsing import cluster, distinctive_words
from citewise.library.embedding import MiniLM
from citewise.library.library import Library
from citewise.types import Filters, Paper, Place

TOPICS = {
    "wool": (
        "Sheep grow wool, and shepherds shear the wool of each sheep in spring.",
        "Merino sheep carry finer wool than other sheep.",
        "Washing wool shrinks it; shepherds dry the wool of their sheep slowly.",
        "A sheep that is shorn late loses wool on thorns.",
    ),
    "bread": (
        "Sourdough bread rises for a night before the oven bakes the dough.",
        "The oven gives bread its crust, and dough with more water a finer crumb.",
        "Rye dough makes bread that keeps for a week outside of the oven.",
        "Salt slows the dough, so bread with salt needs a longer rise.",
    ),
}


def papers() -> Iterator[Paper]:
    dates = ["2024-03-05", "2024-01", "2023", None]
    for topic, abstracts in TOPICS.items():
        for at, abstract in enumerate(abstracts):
            yield Paper(
                id=f"{topic}-{at}",
                title=f"{'Zebra' if at else 'apple'} {topic} {at}",
                abstract=abstract,
                published=dates[at],
                source="jsonl",
                places=(Place("jsonl", "p.jsonl", at + 1),),
            )


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM) -> Iterator[Library]:
    with Library.open(tmp_path_factory.mktemp("browse") / "shelf", embedder=encoder) as library:
        library.add(papers())
        yield library


def ids(shelf: Library, **order: object) -> list[str]:
    return [paper.id for paper in shelf.page(**order).papers]  # type: ignore[arg-type]


def test_pages_come_in_every_order_and_hold_each_paper_once(shelf: Library) -> None:
    newest, oldest = ids(shelf, order="newest"), ids(shelf, order="oldest")
    assert sorted(newest) == sorted(oldest) == sorted(paper.id for paper in papers())
    assert newest[:2] == ["bread-0", "wool-0"]
    assert oldest[:2] == ["wool-2", "bread-2"]
    # without a date: last in either direction
    assert set(newest[-2:]) == set(oldest[-2:]) == {"wool-3", "bread-3"}
    # capital letters do not come before small ones
    assert ids(shelf, order="title")[:2] == ["bread-0", "wool-0"]
    assert ids(shelf, order="added")[0] == "bread-3"


def test_turning_pages(shelf: Library) -> None:
    turned = [ids(shelf, order="title", offset=at, limit=3) for at in (0, 3, 6, 9)]
    assert [len(page) for page in turned] == [3, 3, 2, 0]
    assert [one for page in turned for one in page] == ids(shelf, order="title")
    assert shelf.page(offset=6, limit=3).total == 8


def test_filters_narrow_the_pages(shelf: Library) -> None:
    page = shelf.page(Filters(since="2024"), order="oldest")
    assert page.total == 4
    assert [paper.id for paper in page.papers] == ["wool-1", "bread-1", "wool-0", "bread-0"]
    with pytest.raises(UsageError, match="not a date"):
        shelf.page(Filters(since="yesterday"))


def test_pages_follow_what_comes_and_goes(tmp_path: Path, encoder: MiniLM) -> None:
    with Library.open(tmp_path / "shelf", embedder=encoder) as library:
        library.add(list(papers())[:4], embed=False)
        assert library.page().total == 4
        library.add(papers(), embed=False)
        assert library.page().total == 8
        library.remove(["wool-0"])
        assert "wool-0" not in ids(library)
        assert library.page().total == 7
        # nothing is embedded: there is no theme
        assert library.themes().themes == ()


def test_similar_papers_are_of_the_same_topic(shelf: Library) -> None:
    found = shelf.similar("wool-1", 3).hits
    assert {other.paper.id for other in found} == {"wool-0", "wool-2", "wool-3"}


def test_themes_part_the_topics_and_are_named_by_their_words(shelf: Library) -> None:
    themes = shelf.themes()
    assert themes.looked_at == themes.embedded == 8
    assert [theme.papers for theme in themes.themes] == [4, 4]
    for theme in themes.themes:
        (topic,) = {paper_id.split("-")[0] for paper_id in theme.ids}
        assert {"wool": {"sheep", "wool"}, "bread": {"dough", "oven", "bread"}}[topic] & set(
            theme.words
        )
        assert theme.months == (("2024-01", 1), ("2024-03", 1))
    assert shelf.themes_so_far() is themes
    assert shelf.themes() is themes


def test_the_timeline_counts_each_paper_once(shelf: Library) -> None:
    timeline = shelf.timeline()
    assert timeline.months == (("2024-01", 2), ("2024-03", 2))
    assert timeline.years == (("2023", 2), ("2024", 4))
    assert timeline.undated == 2


def test_clusters_repeat_and_survive_equal_vectors() -> None:
    rng = np.random.default_rng(5)
    rows = np.concatenate([rng.normal(3 * np.eye(4)[at], 0.1, (20, 4)) for at in range(3)])
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    member, nearness = cluster(vectors, 3)
    assert sorted(np.bincount(member).tolist()) == [20, 20, 20]
    assert all(len(set(member[at : at + 20])) == 1 for at in (0, 20, 40))
    assert nearness.min() > 0.9
    assert (cluster(vectors, 3)[0] == member).all()
    same = np.tile(vectors[:1], (5, 1))
    assert set(cluster(same, 3)[0]) == {0}


def test_words_that_all_share_name_nothing() -> None:
    texts = ["Tiny models fill a KV cache."] * 3 + ["Tiny models see images."] * 3
    first, second = distinctive_words(texts, [0, 0, 0, 1, 1, 1], 2)
    assert "KV cache" in first
    assert "images" in " ".join(second)
    assert not any("tiny" in word.casefold() for word in (*first, *second))
