from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import scripted  # type: ignore[import-not-found]  # beside this file

from citewise.answering.assistant import Assistant
from citewise.errors import UsageError
from citewise.library.embedding import MiniLM
from citewise.library.library import Library
from citewise.sources import read
from citewise.types import Paper
from citewise.web import adding as adding_module
from citewise.web.adding import Adding, Job
from citewise.web.rooms import pages_of
from citewise.web.views import View, every, look

LOT = "a" * 32


def record(at: int, **fields: object) -> str:
    given = {
        "id": f"p{at}",
        "title": f"Paper {at} about decoding",
        "abstract": f"We decode {at} tokens at once. Nothing is lost.",
        "published": f"2024-{at % 12 + 1:02}",
    }
    return json.dumps(given | fields) + "\n"


@pytest.fixture
def shelf(tmp_path: Path, encoder: MiniLM) -> Iterator[Library]:
    with Library.open(tmp_path / "shelf", embedder=encoder) as library:
        yield library


@pytest.fixture
def adding(shelf: Library) -> Iterator[Adding]:
    made = Adding(shelf)
    yield made
    made.close()


def wait_for(adding: Adding, number: int) -> Job:
    deadline = time.monotonic() + 60
    while adding.job is None or adding.job.number < number or adding.job.going:
        assert time.monotonic() < deadline, adding.job
        time.sleep(0.02)
    return adding.job


def test_a_bad_record_leaves_the_good_ones(shelf: Library, adding: Adding) -> None:
    path = adding.receive(LOT, "C:\\papers\\mine <b>.jsonl", "ada")
    path.write_text(record(1) + record(2, abstract="") + "nonsense\n" + record(3), "utf-8")
    adding.begin(LOT, "ada")
    job = wait_for(adding, 1)
    assert (job.state, job.by, job.files) == ("done", "ada", ("mine <b>.jsonl",))
    assert job.report is not None
    assert job.report.added == 2
    assert [(r.file, r.line) for r in job.report.rejected] == [
        ("mine <b>.jsonl", 2),
        ("mine <b>.jsonl", 3),
    ]
    assert len(shelf) == 2
    # found by its words at once, embedded later, and the file is gone
    assert shelf.find("decode tokens", 2).hits
    assert shelf.waiting() == 2
    assert not path.exists()


def test_lots_wait_for_each_other_and_a_stopped_one_is_whole(
    shelf: Library, adding: Adding, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = threading.Event()

    def slowly(paths: Any) -> Iterator[Any]:
        for at, item in enumerate(read(paths)):
            if at == 3:
                slow.set()
                time.sleep(0.5)
            yield item

    monkeypatch.setattr(adding_module, "read", slowly)
    text = "".join(record(at) for at in range(6))
    for lot in (LOT, "b" * 32):
        adding.receive(lot, "p.jsonl").write_text(text, "utf-8")
        adding.begin(lot)
    assert slow.wait(20)
    adding.stop()
    wait_for(adding, 2)
    assert [(job.number, job.state) for job in adding.jobs()] == [(1, "stopped"), (2, "done")]
    first = adding.jobs()[0].report
    assert first is not None
    assert first.added == 3
    assert len(shelf) == 6
    assert shelf.check() == []
    adding.forget()
    assert adding.jobs() == ()


def test_what_no_lot_may_be(adding: Adding, monkeypatch: pytest.MonkeyPatch) -> None:
    for word in ("../etc", "", "x" * 100, "a/b" * 5):
        with pytest.raises(UsageError):
            adding.receive(word, "p.jsonl")
    with pytest.raises(UsageError, match="No file"):
        adding.begin(LOT)
    monkeypatch.setattr(adding_module, "MOST_FILES", 2)
    names = [adding.receive(LOT, name) for name in ("../../etc/passwd", "..")]
    assert [path.name for path in names] == ["passwd", "file"]
    with pytest.raises(UsageError, match="At most 2"):
        adding.receive(LOT, "third")


def test_an_abandoned_lot_is_thrown_away(shelf: Library) -> None:
    now = [0.0]
    adding = Adding(shelf, clock=lambda: now[0])
    path = adding.receive(LOT, "left.jsonl")
    path.write_text("x", "utf-8")
    now[0] = 4000.0
    adding.receive("b" * 32, "p.jsonl")
    assert not path.exists()
    adding.close()


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM
) -> Iterator[tuple[str, Library]]:
    folder = tmp_path_factory.mktemp("served") / "shelf"
    with (
        Library.open(folder, embedder=encoder) as library,
        scripted.serving(Assistant(library)) as url,
    ):
        yield url, library


def post(url: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_files_go_in_and_papers_come_out(served: tuple[str, Library]) -> None:
    url, library = served
    hostile = '=cmd|"<script>alert(1)</script>"'
    big = "".join(record(at, title=f"Paper {at:04} {hostile}") for at in range(700))
    # more than other requests may hold
    large = (big + " " * (3 * 2**20) + "\n").encode()
    status, said = post(f"{url}/papers/upload?lot={LOT}&name=big.jsonl", large)
    assert (status, json.loads(said)) == (200, {"received": len(large)})
    status, said = post(f"{url}/papers/begin?lot={LOT}")
    assert status == 200
    deadline = time.monotonic() + 60
    while len(library) < 700 and time.monotonic() < deadline:
        time.sleep(0.05)

    def export(**fields: str) -> str:
        status, body = post(f"{url}/papers/export", urlencode(fields).encode())
        assert status == 200
        return body.decode()

    every_one = [json.loads(line) for line in export(format="jsonl", order="title").splitlines()]
    assert [paper["id"] for paper in every_one] == [f"p{at}" for at in range(700)]
    assert every_one[5]["abstract"].startswith("We decode 5 tokens")
    some = export(format="bibtex", ids=json.dumps(["p3", "gone", "p1"]))
    assert [line for line in some.splitlines() if line.startswith("@")] == [
        "@misc{paper2024cmd,",
        "@misc{paper2024cmdb,",
    ]
    with urllib.request.urlopen(f"{url}/papers/export?format=ris&since=2024-12") as reply:
        assert reply.read().count(b"TY  - GEN") == 58
    assert export(format="ris", since="2024-12").count("TY  - GEN") == 58
    assert export(format="csv", q="decode 42 tokens").count("We decode") == 200


def test_a_wrong_request_is_refused_in_words(served: tuple[str, Library]) -> None:
    url, _ = served
    for path, body, status, words in (
        ("papers/export", b"format=exe", 400, "jsonl"),
        ("papers/export", b"format=csv&since=soon", 400, "not a date"),
        ("papers/export", b"format=csv&ids=%7B%7D", 400, "named"),
        ("papers/begin?lot=" + "c" * 32, b"", 400, "No file"),
        ("papers/upload?lot=../x&name=y", b"z", 400, "proper name"),
    ):
        got, said = post(f"{url}/{path}", body)
        assert (got, words in json.loads(said)["error"]) == (status, True), path
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{url}/evaluations/..%2f..%2fetc/report.html", timeout=10)
    assert caught.value.code == 404


def test_a_large_file_is_refused_before_it_is_sent(served: tuple[str, Library]) -> None:
    url, _ = served
    lot = "d" * 32
    status, said = post(
        f"{url}/papers/upload?lot={lot}&name=huge.gz", b"x", **{"Content-Length": str(2**40)}
    )
    assert status == 413
    assert "citewise ingest" in json.loads(said)["error"]


def test_another_site_cannot_add_papers(served: tuple[str, Library]) -> None:
    url, _ = served
    status, _ = post(
        f"{url}/papers/upload?lot={LOT}&name=x", b"x", Origin="http://elsewhere.example"
    )
    assert status == 403


def test_a_view_of_anything_a_browser_may_say(shelf: Library) -> None:
    shelf.add(read_lines(record(1), record(2)), embed=False)
    page, _ = look(shelf, View.of({"q": "p2", "page": "0", "order": "nonsense"}))
    assert page.papers[0].id == "p2"
    assert look(shelf, View.of({"page": 10**30}))[0].papers == ()
    assert [p.id for p in every(shelf, View.of({"q": "decode", "order": "oldest"}))] == ["p1", "p2"]
    for wrong in ({"q": 5}, {"q": "x" * 5000}, {"page": "many"}, {"theme": "x"}):
        with pytest.raises(UsageError):
            View.of(wrong)
    with pytest.raises(UsageError, match="themes have changed"):
        look(shelf, View.of({"theme": 3}))


def read_lines(*lines: str) -> Iterator[Paper]:
    for at, line in enumerate(lines):
        fields = json.loads(line)
        yield Paper(**fields, source=f"line {at}")


def test_libraries_of_one_name_have_pages_of_their_own() -> None:
    class Shelf(scripted.ScriptedLibrary):  # type: ignore[misc]  # no stubs for a neighbour
        def __init__(self, path: str) -> None:
            self.path = Path(path)

    found = pages_of([Shelf("/x/main"), Shelf("/y/Main"), Shelf("/z/größe"), Shelf("/w/../etc")])
    assert list(found.values()) == ["", "/library/main-2", "/library/gr-sse", "/library/etc"]
    assert list(found)[1] == "Main (2)"
