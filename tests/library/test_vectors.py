from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.support.processes import Python

from citewise.errors import LibraryError
from citewise.library import vectors as vectors_module
from citewise.library.vectors import VectorIndex

DIMENSIONS = 16


def unit_vectors(n: int, seed: int = 0) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(n, DIMENSIONS)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def fill(index: VectorIndex, n: int, seed: int = 0) -> NDArray[np.float32]:
    vectors = unit_vectors(n, seed)
    index.update(
        [f"p{i // 2}#{i % 2}" for i in range(n)], [f"p{i // 2}" for i in range(n)], vectors
    )
    return vectors


@pytest.fixture(params=["held", "asked"])
def index(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[VectorIndex]:
    """An index that is held in memory while it is small, and one that never is."""
    if request.param == "asked":
        monkeypatch.setattr(vectors_module, "_MOST_HELD", -1)
    index = VectorIndex(tmp_path / "vectors")
    yield index
    index.close()


def test_the_nearest_passages_come_first_with_their_cosine(index: VectorIndex) -> None:
    vectors = fill(index, 200)
    query = unit_vectors(1, seed=9)[0]
    cosines = vectors @ query
    found = index.search(query, 5)
    assert [passage for passage, _, _ in found] == [
        f"p{i // 2}#{i % 2}" for i in np.argsort(-cosines)[:5]
    ]
    assert [cosine for _, _, cosine in found] == pytest.approx(sorted(cosines)[:-6:-1], abs=1e-5)
    assert all(passage.startswith(f"{paper}#") for passage, paper, _ in found)


def test_writing_again_replaces_and_forgetting_removes(index: VectorIndex) -> None:
    first = fill(index, 20)
    assert index.search(first[3], 1)[0][2] == pytest.approx(1.0, abs=1e-5)
    other = fill(index, 20, seed=1)
    assert index.count() == 20
    assert index.search(other[3], 1)[0][2] == pytest.approx(1.0, abs=1e-5)
    nothing = np.zeros((0, DIMENSIONS), np.float32)
    index.update([], [], nothing, ["p1#0", "p1#1", "never there"])
    assert index.count() == 18
    assert "p1" not in {paper for _, paper, _ in index.search(other[3], 20)}


@pytest.mark.parametrize("others", [0, 50_000])
def test_a_filter_of_any_length_is_exact(index: VectorIndex, others: int) -> None:
    vectors = fill(index, 600)
    allowed = [f"p{i}" for i in range(100, 110)] + [f"x{i}" for i in range(others)]
    found = index.search(vectors[0], 30, allowed)
    assert {paper for _, paper, _ in found} == set(allowed[:10])
    assert len(found) == 20
    cosines = [cosine for _, _, cosine in found]
    assert cosines == sorted(cosines, reverse=True)
    assert index.search(vectors[0], 5, []) == []


def test_every_passage_of_a_long_paper_is_looked_at_behind_a_filter(index: VectorIndex) -> None:
    fill(index, 60)
    vectors = unit_vectors(9, seed=3)
    index.update([f"long#{i}" for i in range(9)], ["long"] * 9, vectors)
    found = index.search(vectors[8], 20, ["long", "p2"])
    assert found[0][:2] == ("long#8", "long")
    assert found[0][2] == pytest.approx(1.0, abs=1e-5)
    assert len(found) == 11


def test_more_rows_than_chroma_takes_in_a_call(index: VectorIndex) -> None:
    fill(index, 6_000)
    assert index.count() == 6_000
    index.update(
        [], [], np.zeros((0, DIMENSIONS), np.float32), [f"p{i // 2}#{i % 2}" for i in range(6_000)]
    )
    assert index.count() == 0
    assert index.search(unit_vectors(1)[0], 3) == []


def test_a_reader_sees_another_process_after_a_reload(index: VectorIndex, tmp_path: Path) -> None:
    fill(index, 10)
    vector = unit_vectors(1, seed=5)[0]
    index.search(vector, 1)
    script = (
        "import sys, numpy as np; from pathlib import Path;"
        "from citewise.library.vectors import VectorIndex;"
        "VectorIndex(Path(sys.argv[1])).update(['new#0'], ['new'],"
        " np.array([eval(sys.argv[2])], np.float32))"
    )
    assert Python(script, tmp_path / "vectors", vector.tolist()).wait() == 0
    index.reload()
    assert index.search(vector, 1)[0][:2] == ("new#0", "new")


def test_what_an_index_says_that_was_opened_before_a_reload_is_not_held(tmp_path: Path) -> None:
    index = VectorIndex(tmp_path / "vectors")
    fill(index, 10)
    before = index._collection()
    index.reload()
    index._collection()
    assert index._read_whole(before).whole
    assert index._held is None
    assert index._read_whole(index._collection()) is index._held
    index.close()


def test_closing_lets_go_of_the_files_and_a_folder_can_be_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    for _ in range(3):
        index = VectorIndex(folder)
        fill(index, 10)
        index.search(unit_vectors(1)[0], 1)
        index.close()
        # Chroma's engine closes its files in a thread of its own.
        deadline = time.monotonic() + 60
        while held := [name for name in open_files() if str(folder) in name]:
            assert time.monotonic() < deadline, held
            time.sleep(0.02)
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        folder.rmdir()


def open_files() -> list[str]:
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not list a process's open files")
    names = []
    for fd in os.listdir("/proc/self/fd"):
        # One of them was open for the listing only.
        with suppress(FileNotFoundError):
            names.append(os.readlink(f"/proc/self/fd/{fd}"))
    return names


def test_a_damaged_index_says_how_to_mend_it(tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    folder.mkdir()
    (folder / "chroma.sqlite3").write_bytes(b"no database " * 100)
    with pytest.raises(LibraryError, match="doctor --repair"):
        VectorIndex(folder).count()
