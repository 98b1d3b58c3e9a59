"""Whatever is killed and whenever: what was acknowledged is there, once, and the indexes agree."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.processes import Python

from citewise.errors import LibraryError
from citewise.library import library as library_module
from citewise.library.embedding import MiniLM
from citewise.library.library import Library

FILES, PAPERS_A_FILE = 6, 40
TOTAL = FILES * PAPERS_A_FILE

INGEST = """
import sys
from citewise import Library
with Library.open(sys.argv[1]) as library:
    print("open", flush=True)
    for path in sys.argv[2:]:
        library.ingest(path)
        print(path, flush=True)
"""

DIE_AT = """
import os, signal, sys
from citewise.library.lexical import LexicalIndex
from citewise.library.library import Library
from citewise.library.papers import PaperStore
from citewise.library.vectors import VectorIndex
room = {c.__name__: c for c in (LexicalIndex, Library, PaperStore, VectorIndex)}[sys.argv[2]]
real, left = getattr(room, sys.argv[3]), [int(sys.argv[4])]
def dying(*args, **kwargs):
    left[0] -= 1
    if left[0] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
setattr(room, sys.argv[3], dying)
if sys.argv[5] == "repair":
    Library.repair(sys.argv[1])
else:
    Library.open(sys.argv[1]).ingest(sys.argv[5])
"""


def records(text: str, n: int = PAPERS_A_FILE, start: int = 0) -> str:
    return "".join(
        json.dumps({"id": f"p{at}", "title": f"Paper number {at}", "abstract": f"{text} {at}."})
        + "\n"
        for at in range(start, start + n)
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    paths = []
    for n in range(FILES):
        paths.append(folder / f"{n}.jsonl")
        text = "A quagga grazes. We count its stripes, and find"
        paths[-1].write_text(records(text, start=n * PAPERS_A_FILE))
    return paths


def assert_whole(library: Library, acknowledged: int) -> None:
    ids = [paper.id for paper in library.papers()]
    assert len(ids) == len(set(ids)) >= acknowledged
    assert library.check() == []
    held = library._vectors._collection().get()
    assert {metadata["paper_id"] for metadata in held["metadatas"] or []} == set(ids)
    if ids:
        assert library.search("quagga stripes", 3)


def test_killed_at_any_moment_and_again_over_the_same_files(
    tmp_path: Path, encoder: MiniLM, files: list[Path]
) -> None:
    folder = tmp_path / "library"
    wait = random.Random(7)
    known = 0
    for _ in range(6):
        process = Python(INGEST, folder, *files)
        if known:
            # Whatever happens before is the same for every process; the moments differ after it.
            assert process.stdout.readline() == "open\n"
        time.sleep(wait.uniform(0, 1.2))
        process.kill()
        told = process.finish().split()
        known = max(known, PAPERS_A_FILE * sum(line.endswith(".jsonl") for line in told))
        with Library.open(folder, embedder=encoder) as library:
            assert_whole(library, known)
            known = max(known, len(library))
            # Some must be left to fill for the next one.
            if len(library) == TOTAL:
                library.remove([paper.id for paper in library.papers()][:-20])
                known = len(library)
    with Library.open(folder, embedder=encoder) as library:
        library.ingest(files)
        assert len(library) == TOTAL
        assert_whole(library, TOTAL)
        again = library.ingest(files)
        assert (again.added, again.updated, again.unchanged) == (0, 0, TOTAL)


@pytest.mark.parametrize(
    ("room", "deed", "time_"),
    [
        ("PaperStore", "set_meta", 2),
        ("LexicalIndex", "update", 1),
        ("PaperStore", "mark_lexical", 1),
        ("VectorIndex", "update", 1),
        ("PaperStore", "mark_dense", 1),
        ("PaperStore", "mark_dense", 2),
    ],
)
def test_killed_at_each_seam(
    tmp_path: Path, encoder: MiniLM, room: str, deed: str, time_: int
) -> None:
    file = tmp_path / "papers.jsonl"
    file.write_text(records("A quagga grazes. It has stripes.", 70))
    folder = tmp_path / "library"
    process = Python(DIE_AT, folder, room, deed, time_, file)
    process.finish()
    assert process.returncode == -signal.SIGKILL, "it did not come to this point"
    with Library.open(folder, embedder=encoder) as library:
        assert_whole(library, 0 if deed == "set_meta" else 70)
        library.ingest(file)
        assert len(library) == 70
        assert_whole(library, 70)


def test_killed_between_vectors_and_books_then_changed(
    tmp_path: Path, encoder: MiniLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "papers.jsonl"
    file.write_text(
        records("Quaggas graze in the steppe all day long, and sleep at night. " * 40, 3)
    )
    folder = tmp_path / "library"
    Python(DIE_AT, folder, "PaperStore", "mark_dense", 1, file).finish()
    # As after a large fill: opening leaves the embedding to a task of its own.
    monkeypatch.setattr(library_module, "_FINISH_AT_OPENING", 0)
    with Library.open(folder, embedder=encoder) as library:
        file.write_text(records("Quaggas graze, and here is another", 3))
        assert library.ingest(file).updated == 3
        library.remove(["p2"])
        assert_whole(library, 2)
        assert sorted(library._vectors._collection().get()["ids"]) == ["p0#0", "p1#0"]


@pytest.mark.parametrize("deed", ["begin_rebuild", "stage", "finish_rebuild"])
def test_a_repair_killed_halfway_loses_no_paper(tmp_path: Path, encoder: MiniLM, deed: str) -> None:
    folder = tmp_path / "library"
    file = tmp_path / "papers.jsonl"
    file.write_text(records("A quagga grazes. It has stripes.", 20))
    with Library.open(folder, embedder=encoder) as library:
        library.ingest(file)
    process = Python(DIE_AT, folder, "PaperStore", deed, 1, "repair")
    process.finish()
    assert process.returncode == -signal.SIGKILL
    with Library.open(folder, embedder=encoder) as library:
        assert_whole(library, 20)


# -- disks -----------------------------------------------------------------------------------

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """A small disk in memory at one place; called again, it is mounted again with new options."""
    point = tmp_path / "disk"
    point.mkdir()

    def mounted(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            pytest.skip(f"no disk can be mounted here: {error}")
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        return point

    yield mounted
    if point.is_mount():
        subprocess.run(["umount", "--lazy", str(point)], check=False)


@pytest.mark.parametrize("size", [300, 800, 1400, 2000])
def test_a_full_disk_is_said_and_leaves_the_library_whole(
    mount: Mount, encoder: MiniLM, files: list[Path], size: int
) -> None:
    folder = mount(f"size={size}k") / "library"
    acknowledged = 0
    try:
        with Library.open(folder, embedder=encoder) as library:
            for path in files:
                library.ingest(path)
                acknowledged += PAPERS_A_FILE
            (folder / "ballast").write_bytes(b"\0" * 64_000_000)
    except LibraryError as error:
        assert "full" in str(error)  # noqa: PT017 - one of two good endings
    except OSError:
        pytest.fail("the disk was large enough: the test proves nothing")
    mount("remount,size=100m")
    with Library.open(folder, embedder=encoder) as library:
        assert_whole(library, acknowledged)
        library.ingest(files)
        assert_whole(library, TOTAL)


def test_a_folder_that_cannot_be_written_to(mount: Mount, encoder: MiniLM) -> None:
    point = mount("size=20m")
    with Library.open(point / "library", embedder=encoder) as library:
        library.add([])
    mount("remount,ro")
    for folder in ("library", "new"):
        with pytest.raises(LibraryError, match=r"--library|permissions"):
            Library.open(point / folder, embedder=encoder)
    with pytest.raises(LibraryError, match=r"--library|permissions"):
        Library.repair(point / "library", embedder=encoder)
    mount("remount,rw")
    with Library.open(point / "library", embedder=encoder) as library:
        assert library.check() == []
