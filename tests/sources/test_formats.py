from __future__ import annotations

import gzip
import io
import json
import sys
import tracemalloc
from pathlib import Path

import pytest
from eval.fuzz import READERS

from citewise.errors import UsageError
from citewise.sources import FORMATS, ReadLimits, derive_id, identity_keys, read, recognise
from citewise.types import Paper, Rejection

DATA = Path(__file__).parent / "data"


def split(path: Path | list[Path], **options: object) -> tuple[list[Paper], list[Rejection]]:
    items = list(read(path, **options))  # type: ignore[arg-type]  # the tests' own options
    return (
        [item for item in items if isinstance(item, Paper)],
        [item for item in items if isinstance(item, Rejection)],
    )


def test_the_formats_are_those_that_the_fuzzing_knows() -> None:
    assert sorted(FORMATS) == sorted(READERS)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("zotero.bib", "bibtex"),
        ("endnote.ris", "ris"),
        ("pubmed.xml", "pubmed"),
        ("arxiv.atom", "arxiv"),
        ("arxiv-snapshot.jsonl", "arxiv"),
        ("openalex.json", "openalex"),
        ("own.csv", "csv"),
        ("own.jsonl", "jsonl"),
        ("beir.jsonl", "beir"),
    ],
)
def test_a_format_is_known_by_its_content_plain_or_compressed(
    file: str, name: str, tmp_path: Path
) -> None:
    data = (DATA / file).read_bytes()
    assert recognise(data.decode()) == name
    packed = tmp_path / "no-hint-in-the-name"
    packed.write_bytes(
        gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])
    )
    plain, _ = split(DATA / file)
    compressed, _ = split(packed)
    assert plain
    assert [p.id for p in plain] == [p.id for p in compressed]
    assert {p.places[0].source for p in plain} == {name}


def test_bibtex() -> None:
    papers, rejections = split(DATA / "zotero.bib")
    first, second = papers
    assert first.title == "GPU decoding for München: 70% size, 100% accuracy"
    assert first.abstract == (
        r"We decode >3 times faster, at a cost of ~$5 & no loss. Our \method needs $H_{2}O$ only."
    )
    assert first.authors == ("Jörg Müller", "P. Erdős", "The Made-up Team")
    assert (first.author_count, first.published) == (3, "2024-01")
    assert first.id == first.arxiv_id == "2401.01234"
    assert first.places[0].line == 5
    assert (second.title, second.doi, second.id) == ("A Plain Title", *["10.1234/abc.5"] * 2)
    assert (second.authors, second.author_count) == (("Jane Doe",), None)
    assert second.published == "2023-05-06"
    assert second.places[0].line == 28
    assert [(r.line, r.title) for r in rejections] == [
        (18, None),
        (22, "Nothing More Than a Title"),
    ]


def test_bibtex_keeps_its_macros_and_lines_over_many_entries(tmp_path: Path) -> None:
    path = tmp_path / "many.bib"
    entries = "".join(
        f"@article{{k{n},\n title = {{T{n}}},\n abstract = where\n}}\n\n" for n in range(350)
    )
    path.write_text('@string{where = "Seen in all."}\n' + entries)
    papers, rejections = split(path)
    assert not rejections
    assert [p.title for p in papers] == [f"T{n}" for n in range(350)]
    assert {p.abstract for p in papers} == {"Seen in all."}
    assert [p.places[0].line for p in papers] == [2 + 5 * n for n in range(350)]


def test_ris() -> None:
    papers, rejections = split(DATA / "endnote.ris")
    first, second = papers
    assert first.abstract == "First we study. Then we study the study."
    assert first.authors == ("Jörg Müller", "Jane Doe Jr.")
    assert (first.published, first.id, first.places[0].line) == ("2021-03-04", "10.1234/xyz", 1)
    assert (second.title, second.abstract) == ("Older tags", "Still an abstract.")
    assert (second.id, second.published) == ("cs/9901001", "1999")
    assert [r.line for r in rejections] == [21, 24]
    assert "ends inside" in rejections[1].reason


def test_pubmed() -> None:
    papers, rejections = split(DATA / "pubmed.xml")
    first, third = papers
    assert first.title == "Effects of H2O on Drosophila."
    assert first.abstract == "BACKGROUND: Water is wet. RESULTS: It stayed wet (p < 0.05)."
    assert first.authors == ("Ana María García", "Wet Things Group")
    assert (first.id, first.doi, first.published) == ("12345678", "10.1000/abc.1", "2019-03-05")
    assert (first.author_count, first.places[0].line) == (2, 4)
    assert (third.published, third.date_text) == ("1998", "1998 Dec-1999 Jan")
    assert (third.authors, third.author_count) == (("R Roe",), None)
    assert [(r.line, r.title) for r in rejections] == [(26, "Letter without an abstract.")]


def test_xml_goes_on_behind_a_damaged_record(tmp_path: Path) -> None:
    path = tmp_path / "broken.xml"
    text = (DATA / "pubmed.xml").read_text("utf-8")
    path.write_text(text.replace("without an abstract.", "with <b>no end & that."), "utf-8")
    papers, rejections = split(path)
    assert [p.id for p in papers] == ["12345678", "3"]
    assert papers[1].places[0].line == 34
    assert [r.line for r in rejections] == [26]
    assert "malformed" in rejections[0].reason


@pytest.mark.parametrize("version", ["1.0", "1..0"])
@pytest.mark.parametrize(
    ("encoding", "said"),
    [("rUTF-8", "unknown encoding: rUTF-8"), ("shift_jis", "multi-byte encodings")],
)
def test_xml_in_an_unusable_encoding_says_so(
    version: str, encoding: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "odd.xml"
    head = f'<?xml version="{version}" encoding="{encoding}"?>\n'
    record = "<PubmedArticle><PMID>3</PMID></PubmedArticle>"
    path.write_text(f"{head}<PubmedArticleSet>{record}</PubmedArticleSet>", "utf-8")
    papers, rejections = split(path)
    assert papers == []
    assert [said in r.reason for r in rejections] == [True]


def test_cut_off_xml_keeps_what_came_before(tmp_path: Path) -> None:
    path = tmp_path / "cut.xml"
    path.write_text((DATA / "pubmed.xml").read_text("utf-8").partition("Two months")[0], "utf-8")
    papers, rejections = split(path)
    assert [p.id for p in papers] == ["12345678"]
    assert [r.line for r in rejections] == [26, 34]


def test_xml_entities_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xml"
    path.write_text(
        '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
        "<PubmedArticleSet><PubmedArticle>&b;</PubmedArticle></PubmedArticleSet>"
    )
    papers, rejections = split(path)
    assert not papers
    assert "entities" in rejections[0].reason


def test_arxiv_atom() -> None:
    papers, rejections = split(DATA / "arxiv.atom")
    (paper,) = papers
    assert paper.id == paper.arxiv_id == "hep-ex/0307015"
    assert (paper.title, paper.published) == ("Multi-Electron Production at HERA", "2003-07-07")
    assert paper.abstract == "Events are measured at high energy."
    assert (paper.doi, paper.places[0].line) == ("10.1140/epjc/s2003-01326-x", 7)
    assert identity_keys(paper)[:2] == ("arxiv:hep-ex/0307015", "doi:10.1140/epjc/s2003-01326-x")
    assert [(r.line, r.title) for r in rejections] == [(20, "No summary here")]


def test_arxiv_snapshot() -> None:
    papers, rejections = split(DATA / "arxiv-snapshot.jsonl")
    first, last = papers
    assert first.authors == ("C. Balázs", "E. L. Berger", "M. L. King Jr.")
    assert (first.id, first.published) == ("0704.0001", "2007-04-02")
    assert first.title == "Calculation of prompt diphoton production"
    assert last.authors == ("C. Balázs", "E. L. Berger", "P. M. Nadolsky", "C.-P. Yuan")
    assert (last.published, last.date_text, last.doi) == (None, "2008-12-13", None)
    assert [r.line for r in rejections] == [2]


def test_openalex() -> None:
    papers, rejections = split(DATA / "openalex.json")
    (paper,) = papers
    assert paper.abstract == "Open access is free access"
    assert (paper.id, paper.doi) == ("W2741809807", "10.7717/peerj.4375")
    assert (paper.arxiv_id, paper.published) == ("1802.04321", "2018-02-13")
    assert paper.authors == ("Heather Piwowar", "Jason Priem")
    assert paper.places[0].line == 4
    assert [(r.line, r.title) for r in rejections] == [(15, "Without an abstract")]


def test_openalex_positions_far_apart_cost_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "works.jsonl"
    work = {"id": "https://openalex.org/W9", "title": "T"}
    index = {"far": [10**15], "away": [10**18], "so": [-5]}
    path.write_text(
        json.dumps({**work, "abstract_inverted_index": index})
        + "\n"
        + json.dumps({**work, "abstract_inverted_index": {"a": ["b"]}})
    )
    papers, rejections = split(path)
    assert [p.abstract for p in papers] == ["so far away"]
    assert [r.line for r in rejections] == [2]


def test_a_page_of_openalex_on_one_long_line(tmp_path: Path) -> None:
    work = json.loads((DATA / "openalex.json").read_text())["results"][0]
    works = [{**work, "id": f"https://openalex.org/W{n}"} for n in range(1, 401)]
    path = tmp_path / "page.json"
    path.write_text(json.dumps({"meta": {"count": 400}, "results": works}))
    assert path.stat().st_size > 2 * 65536
    papers, rejections = split(path)
    assert [p.id for p in papers] == [f"W{n}" for n in range(1, 401)]
    assert not rejections


def test_csv() -> None:
    papers, rejections = split(DATA / "own.csv")
    first, short, last = papers
    assert (first.title, first.abstract) == (
        'Semicolons; and "quotes"',
        "An abstract over two lines.",
    )
    assert (first.id, first.published, first.places[0].line) == ("a-1", "2020", 2)
    assert (short.id, short.places[0].line) == (derive_id(short.title, short.abstract), 4)
    assert last.authors == ("Doe, Jane", "Roe, R.")
    assert (last.published, last.doi, last.source) == ("2021-05", "10.1234/q", "my shelf")
    assert last.places[0].source == "csv"
    assert [(r.line, r.title) for r in rejections] == [(5, "No title here.")]


def test_csv_lines_stay_right_behind_an_unreadable_one(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"title,abstract\nA,first one\nB\xff,lost\nC,third one\n")
    papers, rejections = split(path)
    assert [(p.title, p.places[0].line) for p in papers] == [("A", 2), ("C", 4)]
    assert [r.line for r in rejections] == [3]


def test_jsonl_says_each_bad_line_and_keeps_the_others() -> None:
    papers, rejections = split(DATA / "own.jsonl", year=2025)
    one, three = papers
    assert (one.id, one.published, one.source) == ("17", "2024-10", "my shelf")
    assert (one.authors, one.arxiv_id) == (("A. B.", "C. D."), "2410.00001")
    assert (three.authors, three.published, three.date_text) == (
        ("A. B.", "C. D."),
        "2025-08-25",
        "Aug 25",
    )
    assert [r.line for r in rejections] == [2, 3, 4]
    assert rejections[1].title == "Two"


def test_what_a_paper_exports_is_read_back(tmp_path: Path) -> None:
    papers, _ = split([DATA / "own.jsonl", DATA / "openalex.json", DATA / "zotero.bib"])
    path = tmp_path / "export.jsonl"
    path.write_text("".join(json.dumps(p.to_dict(abstract=True)) + "\n" for p in papers))
    again, rejections = split(path)
    assert not rejections
    assert [p.to_dict() for p in again] == [p.to_dict() for p in papers]


def test_beir_ids_stay_as_they_are() -> None:
    papers, rejections = split(DATA / "beir.jsonl")
    assert [p.id for p in papers] == ["MED-10", "4983"]
    assert (papers[0].published, papers[0].authors) == ("2025-03-20", ("A. B.",))
    assert papers[0].url == "https://example.org/10"
    assert [r.line for r in rejections] == [2]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    data = gzip.compress((DATA / "beir.jsonl").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    items = list(read(["-"]))
    assert [i.id for i in items if isinstance(i, Paper)] == ["MED-10", "4983"]
    assert {i.places[0].file for i in items if isinstance(i, Paper)} == {"-"}


def test_a_folder_is_read_in_order_without_its_hidden_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("b.jsonl", "a.jsonl", ".hidden", "sub/c.jsonl", ".git/d.jsonl"):
        (tmp_path / name).write_text(json.dumps({"title": name, "abstract": "An abstract."}))
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    papers, rejections = split(tmp_path)
    assert [p.title for p in papers] == ["a.jsonl", "b.jsonl", "sub/c.jsonl"]
    assert [(r.file, r.line) for r in rejections] == [("picture.png", 0)]


def test_utf16_and_byte_order_marks(tmp_path: Path) -> None:
    text = (DATA / "own.csv").read_text("utf-8")
    for encoding in ("utf-16", "utf-8-sig"):
        path = tmp_path / encoding
        path.write_text(text, encoding)
        assert [p.id for p in split(path)[0]] == [p.id for p in split(DATA / "own.csv")[0]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n\n ", "empty"),
        (bytes(range(256)) * 20, "not text"),
        (b"%PDF-1.7\nsome text", "not text"),
        ("Ein Text ohne Papier, schön.".encode("latin-1"), "UTF-8"),
        (b"just a letter to somebody", "export it anew as one of these: arxiv, "),
        (gzip.compress(b"title,abstract\nA,b\n" * 9000)[:-20], "ends too early"),
        (b"\x1f\x8bnot really gzip", "check the file"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "given"
    path.write_bytes(content)
    _, rejections = split([path, DATA / "beir.jsonl"])
    assert (rejections[0].file, rejections[0].line) == ("given", 0)
    assert words in rejections[0].reason


def test_a_path_that_is_not_there_does_not_stop_the_others(tmp_path: Path) -> None:
    papers, rejections = split([tmp_path / "nowhere", DATA / "beir.jsonl"])
    assert len(papers) == 2
    assert rejections[0] == Rejection("nowhere", 0, "there is no such file; check the path")


def test_wrong_options_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="daily-papers"):
        read([], format="docx")
    with pytest.raises(UsageError, match="four digits"):
        read([], year=25)


def test_limits(tmp_path: Path) -> None:
    path = tmp_path / "many.jsonl"
    line = json.dumps({"title": "T", "abstract": "A small abstract."})
    deep = '{"title": "D", "abstract": "d", "x": ' + "[" * 50_000 + "]" * 50_000 + "}"
    wide = json.dumps({"title": "W", "abstract": "x" * 300_000})
    path.write_text("\n".join([line, deep, wide, line, line]))

    papers, rejections = split(path, limits=ReadLimits(max_line_bytes=200_000))
    assert [p.places[0].line for p in papers] == [1, 4, 5]
    assert [r.line for r in rejections] == [2, 3]
    assert "deeper" in rejections[0].reason
    assert "longer" in rejections[1].reason

    papers, rejections = split(path, limits=ReadLimits(max_records=2))
    assert len(papers) == 1
    assert "2 records" in rejections[-1].reason

    papers, rejections = split(path, limits=ReadLimits(max_file_bytes=250_000))
    assert len(papers) == 1
    assert "250000 bytes" in rejections[-1].reason


def test_what_precedes_damage_in_a_compressed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    lines = [json.dumps({"title": f"T{n}", "abstract": f"Abstract {n}."}) for n in range(20_000)]
    packed = gzip.compress("\n".join(lines).encode())
    path.write_bytes(packed[: len(packed) // 2])
    papers, rejections = split(path)
    assert len(papers) > 5000
    assert [p.title for p in papers] == [f"T{n}" for n in range(len(papers))]
    assert len(rejections) == 1
    assert f"after line {len(papers)}" in rejections[0].reason


def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl.gz"
    line = json.dumps({"title": "T", "abstract": "A small abstract. " * 50}).encode() + b"\n"
    path.write_bytes(gzip.compress(line * 8_000, 1))
    tracemalloc.start()
    try:
        assert sum(isinstance(item, Paper) for item in read(path)) == 8_000
        assert tracemalloc.get_traced_memory()[1] < 3 * 2**20 < 8_000 * len(line)
    finally:
        tracemalloc.stop()


def test_a_library_among_the_papers_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "papers.jsonl").write_text('{"title": "A title", "abstract": "We show it."}\n')
    library = tmp_path / "library" / "vectors"
    library.mkdir(parents=True)
    (tmp_path / "library" / "papers.sqlite").write_bytes(b"SQLite format 3\0")
    (library / "other.jsonl").write_text('{"title": "Hidden", "abstract": "Not a paper."}\n')
    found = list(read([tmp_path]))
    assert [getattr(record, "title", None) for record in found] == ["A title"]
