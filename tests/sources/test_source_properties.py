from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from citewise.sources import FORMATS, ReadLimits, derive_id, identity_keys, read
from citewise.sources.dates import iso_date
from citewise.sources.identity import arxiv_id_of, doi_of, normalise
from citewise.sources.latex import latex_to_text
from citewise.sources.text import clean
from citewise.types import Paper, Rejection

SAMPLES = [path.read_bytes() for path in sorted((Path(__file__).parent / "data").iterdir())]
LIMITS = ReadLimits(max_line_bytes=10_000, max_depth=12)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sample file with some of its bytes replaced, doubled or gone."""
    data = draw(st.sampled_from(SAMPLES))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.integers(0, 40))
        data = data[:at] + draw(st.binary(max_size=12)) + data[at + gone :]
    return data


def check_all(path: Path, name: str | None) -> None:
    for item in read(path, format=name, limits=LIMITS):
        if isinstance(item, Rejection):
            assert item.reason
            continue
        assert item.title
        assert item.abstract
        assert item.abstract == clean(item.abstract)
        assert item.places[0].line >= 1
        json.dumps(item.to_dict(abstract=True)).encode()


@pytest.mark.parametrize("name", [None, *sorted(FORMATS)])
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300) | damaged())
@example(data=b"\x1f\x8b")
@example(data=b"\xff\xfe\x00")
@example(data=b"[" * 5000)
@example(data=b'{"results": [' + b"[" * 3000)
@example(data=b"@article{" + b"{" * 3000)
def test_no_bytes_make_a_reader_raise(
    name: str | None, data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / f"bytes-{name}"
    path.write_bytes(data)
    check_all(path, name)


@settings(max_examples=60, deadline=None)
@given(bad=st.binary(max_size=200).filter(lambda data: b"\n" not in data))
def test_one_bad_line_costs_one_record(
    bad: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "one-bad.jsonl"
    abstract = "It holds. " * 300
    good = [json.dumps({"title": f"T{n}", "abstract": abstract}).encode() for n in range(2)]
    path.write_bytes(b"\n".join([good[0], bad, good[1]]))
    papers = [p for p in read(path, format="jsonl") if isinstance(p, Paper)]
    assert [(p.title, p.places[0].line) for p in papers] == [("T0", 1), ("T1", 3)]


@given(st.text())
@example("a\u200bb\u202e \U000e0041c\ud800")
@example(" \t\n x \r\n y\u2028z ")
def test_cleaning_leaves_one_visible_line(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert cleaned == cleaned.strip()
    assert not set("\n\r\t\0\u200b\u202e\ufeff") & set(cleaned)
    cleaned.encode()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Sm", "Sc"]), min_size=1))
def test_visible_words_survive_cleaning(text: str) -> None:
    hidden = set("\u115f\u1160\u3164\uffa0")
    assert clean(text) == "".join(char for char in text if char not in hidden)


@given(st.text(max_size=60), st.text(max_size=60))
def test_the_id_does_not_change_with_case_form_or_wrapping(title: str, abstract: str) -> None:
    wrapped = "  " + clean(abstract).replace(" ", "\n  ") + "\n"
    composed = unicodedata.normalize("NFC", clean(title))
    assert derive_id(composed, wrapped) == derive_id(title, abstract)
    assert normalise(normalise(title)) == normalise(title)


def test_two_papers_with_one_title_stay_two() -> None:
    assert derive_id("Dolphin", "A model.") != derive_id("Dolphin", "Another model.")
    assert derive_id("A “quoted” — title.", "x") == derive_id('A "quoted" - Title', "X")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2503.15337", "2503.15337"),
        ("arXiv:2503.15337v2", "2503.15337"),
        ("https://arxiv.org/abs/hep-th/9901001v3", "hep-th/9901001"),
        ("http://www.arxiv.org/pdf/2503.15337v1.pdf", "2503.15337"),
        ("https://huggingface.co/papers/2503.15337", "2503.15337"),
        ("10.48550/arXiv.2503.15337", "2503.15337"),
        ("https://doi.org/10.48550/ARXIV.2503.15337", "2503.15337"),
        ("2513.15337", None),
        ("https://example.org/2503.15337", None),
        ("", None),
        (None, None),
    ],
)
def test_arxiv_ids(text: str | None, expected: str | None) -> None:
    assert arxiv_id_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1234/ABC", "10.1234/abc"),
        ("doi: 10.1234/abc", "10.1234/abc"),
        ("https://doi.org/10.1234/a(b)c", "10.1234/a(b)c"),
        ("https://dl.acm.org/doi/10.1145/3292500.3330701?x=1", "10.1145/3292500.3330701"),
        ("https://example.org/paper", None),
        ("11.1234/abc", None),
        (None, None),
    ],
)
def test_dois(text: str | None, expected: str | None) -> None:
    assert doi_of(text) == expected


def test_a_paper_is_known_by_its_address() -> None:
    by_address = Paper("x", "T", "A", url="https://arxiv.org/abs/2503.15337v4")
    by_doi = Paper("y", "T", "A", doi="10.48550/arXiv.2503.15337")
    assert identity_keys(by_address) == identity_keys(by_doi)
    assert [key.partition(":")[0] for key in identity_keys(by_address)] == ["arxiv", "text"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Oct 12, 2024", "2024-10-12"),
        ("12 October 2024", "2024-10-12"),
        ("Mon, 2 Apr 2007 19:18:42 GMT", "2007-04-02"),
        ("2024-10-12T00:00:00.000Z", "2024-10-12"),
        ("2021/03/04/", "2021-03-04"),
        ("2021///", "2021"),
        ("2024-10", "2024-10"),
        ("May 2024", "2024-05"),
        ("2019 Mar 5", "2019-03-05"),
        (2020, "2020"),
        ("Feb 30, 2024", None),
        ("2024-13", None),
        ("Aug 25", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_dates(text: str | int | None, expected: str | None) -> None:
    assert iso_date(text) == expected


def test_a_day_without_year_needs_one() -> None:
    assert iso_date("Aug 25", year=2025) == "2025-08-25"
    assert iso_date("Feb 29", year=2025) is None
    assert iso_date("Oct 12, 2024", year=2025) == "2024-10-12"


@given(st.text(alphabet=st.characters(exclude_characters="\\{"), max_size=80))
def test_text_without_latex_stays_as_it_is(text: str) -> None:
    assert latex_to_text(text) == text


@pytest.mark.parametrize(
    ("latex", "words"),
    [
        (r"Erd{\H o}s and G{\"o}del \v C", "Erdős and Gödel Č"),
        (r"{70% Size}, 100\% Accuracy & more \& more", "70% Size, 100% Accuracy & more & more"),
        (r"{H}$_2$O at $x^{2} \le 5$, 5 {\textless} 6", r"H$_2$O at $x^{2} \le 5$, 5 < 6"),
        (r"\emph{two words} and \url{http://a.b/~c_d}", "two words and http://a.b/~c_d"),
        (r"our \method{} is {broken", r"our \method is broken"),
    ],
)
def test_latex(latex: str, words: str) -> None:
    assert latex_to_text(latex) == words


@given(st.text(alphabet="\\{}$%&~^_'\"aeiouHcv \n", max_size=40))
def test_no_latex_makes_the_decoder_raise(text: str) -> None:
    assert isinstance(latex_to_text(text), str)
