"""Indexes made again beside the old ones; vectors on a Chroma server; embedders of others."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.openai_server import Exchange, OpenAIServer, failing
from tests.support.processes import Python

from citewise.errors import FingerprintError, LibraryError, UsageError, VectorsAwayError
from citewise.library.embedders import embedder_from
from citewise.library.embedding import EmbedderError, MiniLM
from citewise.library.library import Library, Progress
from citewise.library.vectors import ChromaServer, VectorIndex
from citewise.types import Paper

ANIMALS = [
    Paper("zebra", "On zebras", "Zebras have stripes. Nobody else does."),
    Paper("otter", "On otters", "Otters hold hands while they sleep."),
    Paper("heron", "On herons", "Herons stand on one leg in the water."),
]


def many(n: int) -> list[Paper]:
    return [Paper(f"q{at}", f"Quagga {at}", f"Quagga {at} grazes. It sleeps.") for at in range(n)]


def assert_whole(library: Library) -> None:
    assert library.check() == []
    assert library.waiting() == 0
    books = {row.id for paper in library.papers() for row in library._store.passages_of(paper.id)}
    assert library._vectors.ids() == books
    paper = next(library.papers())
    hit = library.search(paper.title, 3)[0]
    assert hit.dense_rank is not None
    assert hit.lexical_rank is not None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "library"


# -- beside the old ones -----------------------------------------------------------------------


def test_another_embedder_is_taken_while_the_old_one_serves(folder: Path, encoder: MiniLM) -> None:
    narrow = MiniLM(window=64)
    seen: list[Progress] = []
    found: list[str] = []

    with Library.open(folder, embedder=encoder) as old:
        old.add([*many(100), *ANIMALS])

        def watch(progress: Progress) -> None:
            seen.append(progress)
            found.append(old.search("stripes of zebras", 1)[0].paper.id)
            if progress.step == "embedding" and progress.done == 64:
                # Changed, removed and added behind the back of the one that rebuilds.
                old.add([Paper("q3", "Quagga 3", "Okapis hide in the forest.")], embed=False)
                old.remove(["q4"])
                old.add([Paper("late", "Late", "It came late.")], embed=False)

        with Library.repair(folder, embedder=narrow, on_progress=watch) as new:
            assert len(new) == 103
            assert_whole(new)
            assert new.search("okapis", 1)[0].paper.id == "q3"
            assert new.search("came late", 1)[0].paper.id == "late"
        assert set(found) == {"zebra"}
        assert {progress.step for progress in seen} == {"embedding", "indexing"}
        # One that goes on with the old embedder learns it at once, not by wrong answers.
        with pytest.raises(FingerprintError, match="doctor --repair"):
            old.search("zebra")
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [
        *("lexical-1", "vectors-1")
    ]


KILL = """
import os, signal, sys
from citewise.library.embedding import MiniLM
from citewise.library.library import Library
from citewise.library.papers import PaperStore
real, left = getattr(PaperStore, sys.argv[2]), [int(sys.argv[3])]
def dying(*args, **kwargs):
    left[0] -= 1
    if left[0] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
setattr(PaperStore, sys.argv[2], dying)
Library.repair(sys.argv[1], embedder=MiniLM(window=64))
"""


@pytest.mark.parametrize(("deed", "times"), [("stage", 2), ("finish_rebuild", 1)])
def test_killed_halfway_the_old_one_still_works(
    folder: Path, encoder: MiniLM, deed: str, times: int
) -> None:
    with Library.open(folder, embedder=encoder) as library:
        library.add([*many(100), *ANIMALS])
    killed = Python(KILL, folder, deed, times)
    killed.finish()
    assert killed.returncode == -signal.SIGKILL
    with Library.open(folder, embedder=encoder) as old:
        assert_whole(old)
        old.remove(["zebra"])
    seen: list[Progress] = []
    with Library.repair(folder, embedder=MiniLM(window=64), on_progress=seen.append) as new:
        assert len(new) == 102
        assert_whole(new)
    # It went on where it stopped.
    assert seen[0].done >= 64


def test_a_reader_follows_a_repair_by_another_process(folder: Path, encoder: MiniLM) -> None:
    with Library.open(folder, embedder=encoder) as reader:
        reader.add(ANIMALS)
        assert reader.search("zebra", 1)[0].paper.id == "zebra"
        code = "import sys; from citewise import Library; Library.repair(sys.argv[1]).close()"
        assert Python(code, folder).wait() == 0
        assert_whole(reader)
        assert reader.add([Paper("late", "Late", "It came late.")]).added == 1
        assert_whole(reader)


# -- a Chroma server ---------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def start_chroma(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[int], subprocess.Popen[bytes]]]:
    command = Path(sys.executable).with_name("chroma")
    if not command.exists():
        pytest.skip("the command chroma is not installed beside Python")
    data = tmp_path_factory.mktemp("chroma")
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int) -> subprocess.Popen[bytes]:
        address = ["--host", "127.0.0.1", "--port", str(port)]
        started.append(
            subprocess.Popen(
                [str(command), "run", "--path", str(data), *address],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "CHROMA_TELEMETRY": "0"},
            )
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
            except OSError:
                assert time.monotonic() < deadline, "the Chroma server does not start"
                time.sleep(0.1)
            else:
                return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def chroma(start_chroma: Callable[[int], subprocess.Popen[bytes]]) -> str:
    port = free_port()
    start_chroma(port)
    return f"http://127.0.0.1:{port}"


def test_a_library_with_its_vectors_on_a_server(
    folder: Path, tmp_path: Path, encoder: MiniLM, chroma: str
) -> None:
    with Library.open(folder, embedder=encoder, vectors=chroma) as library:
        assert library.add([*ANIMALS, *many(70)]).added == 73
        assert_whole(library)
        assert not list(folder.glob("vectors*"))
        assert library.info().vectors == chroma
        library.remove(["otter"])
        library.add([Paper("zebra", "On zebras", "Okapis hide in the forest.")])
        assert_whole(library)
        hits = library.search("herons standing in water", 3, papers=["heron", "zebra"])
        assert hits[0].paper.id == "heron"
        # Another library on the same server is another collection.
        with Library.open(tmp_path / "other", embedder=encoder, vectors=chroma) as other:
            other.add(ANIMALS[:1])
            assert_whole(other)
        assert_whole(library)
        # What another process adds is seen at once.
        code = (
            "import sys; from citewise import Library; from citewise.types import Paper\n"
            "with Library.open(sys.argv[1], vectors=sys.argv[2]) as library:\n"
            "    library.add([Paper('late', 'Late', 'A giraffe eats leaves of high trees.')])\n"
        )
        assert Python(code, folder, chroma).wait() == 0
        assert library.search("animal eating leaves", 1)[0].paper.id == "late"
    # A library names an address, but only its owner has it asked.
    with Library.open(folder, embedder=encoder) as unnamed:
        found = unnamed.find("herons in water", 1)
        assert found.hits[0].paper.id == "heron"
        assert any("is not asked unless you name it" in note for note in found.notes)
        with pytest.raises(VectorsAwayError, match="--vectors http"):
            unnamed.add([Paper("x", "X", "Words.")])
        assert unnamed.search("words", 1)[0].paper.id == "x"
    with pytest.raises(FingerprintError, match="--repair --vectors local"):
        Library.open(folder, embedder=encoder, vectors="local")
    with Library.repair(folder, embedder=encoder, vectors="local") as local:
        assert_whole(local)
        assert local.info().vectors == "local"
    with pytest.raises(FingerprintError, match=f"--repair --vectors {re.escape(chroma)}"):
        Library.open(folder, embedder=encoder, vectors=chroma)
    with Library.repair(folder, embedder=encoder, vectors=chroma) as again:
        assert_whole(again)


def test_a_server_that_goes_away_leaves_the_words(
    folder: Path,
    encoder: MiniLM,
    start_chroma: Callable[[int], subprocess.Popen[bytes]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    server = start_chroma(port)
    url = f"http://ada:sesame@127.0.0.1:{port}"
    with caplog.at_level(logging.DEBUG), Library.open(folder, embedder=encoder, vectors=url) as it:
        it.add(ANIMALS)
        server.kill()
        server.wait()
        found = it.find("herons in water", 1)
        assert found.hits[0].paper.id == "heron"
        (note,) = found.notes
        assert f"http://127.0.0.1:{port} cannot be reached" in note
        with pytest.raises(VectorsAwayError, match="chroma run"):
            it.add([Paper("late", "Late", "Giraffes are tall.")])
        # The paper itself is kept, and its vectors follow.
        assert it.search("giraffes", 1)[0].paper.id == "late"
        assert it.waiting() == 1
        assert any("cannot be reached" in problem for problem in it.check())
    with Library.open(folder, embedder=encoder, vectors=url) as away:
        assert away.search("zebra", 1)[0].paper.id == "zebra"
    start_chroma(port)
    with Library.open(folder, embedder=encoder, vectors=url) as back:
        back.embed()
        assert_whole(back)
        assert "sesame" not in repr(back._vectors.place) + str(back.info().to_dict())
    assert "sesame" not in caplog.text
    assert b"sesame" not in b"".join(path.read_bytes() for path in folder.glob("papers.sqlite*"))


@pytest.mark.parametrize(
    "url", ["host:8000", "ftp://host", "http://", "http://host:x", "http://a:b@host/path", "disk"]
)
def test_what_is_no_address_of_a_server(url: str) -> None:
    with pytest.raises(UsageError, match="http://HOST:PORT") as caught:
        ChromaServer.of(url, "x")
    assert "a:b" not in str(caught.value)


def test_a_name_and_a_password_become_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CITEWISE_VECTORS_TOKEN", raising=False)
    server = ChromaServer.of("https://ada:s%40same@vectors.example.org", "x")
    assert server.url == "https://vectors.example.org:443"
    assert server.headers == {"Authorization": "Basic YWRhOnNAc2FtZQ=="}
    monkeypatch.setenv("CITEWISE_VECTORS_TOKEN", "t0ken")
    assert ChromaServer.of("http://h", "x").headers == {"Authorization": "Bearer t0ken"}
    assert VectorIndex(server).place is server


# -- embedders of others -----------------------------------------------------------------------


def vector_of(text: str) -> list[float]:
    """A bag of letters: enough to tell animals apart."""
    return [float(text.lower().count(letter)) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"]


def embeddings(exchange: Exchange) -> None:
    rows = [
        {"object": "embedding", "index": at, "embedding": vector_of(text)}
        for at, text in enumerate(exchange.request.body["input"])
    ]
    exchange.json(200, {"object": "list", "model": "m", "data": rows[::-1], "usage": {}})


def test_an_openai_compatible_server_embeds(
    folder: Path, monkeypatch: pytest.MonkeyPatch, encoder: MiniLM
) -> None:
    monkeypatch.setenv("CITEWISE_API_KEY", "for-the-server")
    monkeypatch.setenv("OPENAI_API_KEY", "for-openai-alone")
    with OpenAIServer(embeddings) as server:
        name = f"openai-compatible:letters@{server.url}"
        with Library.open(folder, embedder=name) as library:
            library.add([*ANIMALS, Paper("long", "Long", "Quaggas graze. " * 300)])
            assert_whole(library)
            assert library.embedder.dimensions == 26
            assert library.info().embedder == "openai-compatible:letters/254"
            assert len(library.sentences(["zebra"])["zebra"].spans) == 2
            assert library.info().passages > 4
        seen = server.requests
        assert {request.path for request in seen} == {"/v1/embeddings"}
        assert all("for-openai-alone" not in request.text for request in seen)
        assert seen[0].headers["authorization"] == "Bearer for-the-server"
        with pytest.raises(FingerprintError, match="openai-compatible:letters"):
            Library.open(folder, embedder=encoder)
    # The server is gone: the words are still there.
    with Library.open(folder, embedder=name) as away:
        found = away.find("zebras have stripes", 1)
        assert found.hits[0].paper.id == "zebra"
        assert any("does not answer" in note for note in found.notes)
        with pytest.raises(EmbedderError, match="does not answer"):
            away.add([Paper("late", "Late", "Giraffes are tall.")])
        assert away.search("giraffes", 1)[0].paper.id == "late"


def lying(rows: list[Any]) -> Callable[[Exchange], None]:
    def behave(exchange: Exchange) -> None:
        data = [{"index": at, "embedding": row} for at, row in enumerate(rows)]
        exchange.json(200, {"object": "list", "data": data})

    return behave


@pytest.mark.parametrize(
    "behaviour",
    [lying([]), lying([[1.0, 2.0], [1.0, 2.0, 3.0]]), lying([["x"]]), failing(404)],
)
def test_what_gives_no_vectors_is_said(behaviour: Callable[[Exchange], None]) -> None:
    with OpenAIServer(behaviour) as server:
        embedder = embedder_from(f"openai-compatible:m@{server.url}")
        with pytest.raises(EmbedderError, match="m"):
            embedder.embed_queries(["one"])


def test_a_llama_index_embedding_object_embeds(folder: Path) -> None:
    from llama_index.core.base.embeddings.base import BaseEmbedding  # noqa: PLC0415 - 3 s

    class Letters(BaseEmbedding):
        def _get_query_embedding(self, query: str) -> list[float]:
            return vector_of(query)

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return vector_of(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return vector_of(text)

    with Library.open(folder, embedder=Letters(model_name="letters")) as library:
        library.add(ANIMALS)
        assert_whole(library)
        vector = library.embedder.embed_queries(["zebra"])[0]
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["word2vec", "openai-compatible:x", "llama-index:nowhere.Model", "llama-index:os.path"]
)
def test_an_unknown_embedder_is_said_with_what_there_is(name: str) -> None:
    with pytest.raises((UsageError, LibraryError), match=r"embedder|loaded|embed"):
        embedder_from(name)
