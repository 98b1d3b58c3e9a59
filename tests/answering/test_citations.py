from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from citewise.answering.citations import CitedText
from citewise.types import Evidence, Paper, SentenceReady, Span, Verdict

ABSTRACTS = (
    "Lantern halves the memory of the cache. It reaches 81.5 points on the long benchmark.",
    "Harbor needs no training at all. It runs on a single processor.",
    "Quill writes unit tests for small programs. It finds 12 faults.",
    "Ember sorts letters by their colour.",
    "Gale measures the wind at sea.",
)
TITLES = ("Lantern: a cache", "Harbor", "Quill: tests", "Ember", "Gale")


def offered() -> tuple[Evidence, ...]:
    """1 and 2 are Lantern's sentences, 3 and 4 Harbor's, 5 and 6 Quill's, 7 Ember's, 8 Gale's."""
    found: list[Evidence] = []
    for rank, (title, abstract) in enumerate(zip(TITLES, ABSTRACTS, strict=True), 1):
        paper = Paper(id=f"p{rank}", title=title, abstract=abstract)
        for at, match in enumerate(re.finditer(r"\S[^.]*(?:\.\d[^.]*)?\.", abstract)):
            span = Span.of(abstract, *match.span())
            found.append(Evidence(len(found) + 1, paper, span, 0.9, at, rank))
    return tuple(found)


def cite(*pieces: str) -> tuple[CitedText, list[SentenceReady]]:
    cited = CitedText(offered())
    events = [event for piece in pieces for event in cited.feed(piece)]
    return cited, [*events, *cited.finish()]


def read(text: str) -> list[tuple[str, tuple[int, ...]]]:
    """Sentences with the evidence texts' papers they cite."""
    return [(sentence.text, sentence.citations) for sentence in cite(text)[0].sentences]


ONE = "Lantern halves the memory of the cache"
TWO = "Harbor needs no training at all"


@pytest.mark.parametrize(
    ("written", "sentences", "shown"),
    [
        (f"{ONE} [1].", [(f"{ONE}.", (1,))], f"{ONE}. [1]"),
        (f"{ONE}. [1]", [(f"{ONE}.", (1,))], f"{ONE}. [1]"),
        (f"{ONE}.[1]", [(f"{ONE}.", (1,))], f"{ONE}. [1]"),
        (f"{ONE}[1].", [(f"{ONE}.", (1,))], f"{ONE}. [1]"),
        (f"{ONE}【1】.", [(f"{ONE}.", (1,))], f"{ONE}. [1]"),
        (f"{ONE} [^1].", [(f"{ONE}.", (1,))], f"{ONE}. [1]"),
        (f"{ONE} [citation: 1].", [(f"{ONE}.", (1,))], f"{ONE}. [1]"),
        (f"{ONE} [1][3].", [(f"{ONE}.", (1, 2))], f"{ONE}. [1] [2]"),
        (f"{ONE} [1, 3].", [(f"{ONE}.", (1, 2))], f"{ONE}. [1] [2]"),
        (f"{ONE} [1; 3].", [(f"{ONE}.", (1, 2))], f"{ONE}. [1] [2]"),
        (f"{ONE} [1-3].", [(f"{ONE}.", (1, 2))], f"{ONE}. [1] [2]"),
        (f"{ONE} [1–3].", [(f"{ONE}.", (1, 2))], f"{ONE}. [1] [2]"),
        (f"{ONE} [1][1].", [(f"{ONE}.", (1,))], f"{ONE}. [1]"),
        # Both sentences are of one paper, which has one number.
        (f"{ONE} [1][2].", [(f"{ONE}.", (1,))], f"{ONE}. [1]"),
        # At most three pieces of evidence for a sentence.
        (f"{ONE} [1][3][5][7].", [(f"{ONE}.", (1, 2, 3))], f"{ONE}. [1] [2] [3]"),
        (
            f"{TWO}. [3] {ONE}. [1]",
            [(f"{TWO}.", (1,)), (f"{ONE}.", (2,))],
            f"{TWO}. [1] {ONE}. [2]",
        ),
        (
            f"{TWO} [3]. {ONE} [1].",
            [(f"{TWO}.", (1,)), (f"{ONE}.", (2,))],
            f"{TWO}. [1] {ONE}. [2]",
        ),
        (
            f"- {TWO} [3].\n- {ONE} [1].",
            [(f"{TWO}.", (1,)), (f"{ONE}.", (2,))],
            f"- {TWO}. [1]\n- {ONE}. [2]",
        ),
        (f"1. {TWO} [3].", [(f"{TWO}.", (1,))], f"1. {TWO}. [1]"),
        (f"> {TWO} [3].", [(f"{TWO}.", (1,))], f"> {TWO}. [1]"),
        (f"## Caches\n\n{ONE} [1].", [(f"{ONE}.", (1,))], f"## Caches\n\n{ONE}. [1]"),
        (f"**Lantern** \n\n{ONE} [1].", [(f"{ONE}.", (1,))], f"**Lantern** \n\n{ONE}. [1]"),
        (f"- **Harbor** — {TWO} [3].", [(f"{TWO}.", (1,))], f"- **Harbor** — {TWO}. [1]"),
        (f"{TWO.replace('no', '**no**')} [3].", [(f"{TWO}.", (1,))], None),
        (f"These papers do so:\n\n- {ONE} [1].", [(f"{ONE}.", (1,))], None),
        # A claim is no mere announcement or heading when it cites something.
        (f"{ONE} [1]:", [(f"{ONE}:", (1,))], f"{ONE}: [1]"),
        (f"### {ONE} [1]", [(ONE, (1,))], f"### {ONE} [1]"),
        ("It lies in [0, 1] there [1].", [("It lies in [0, 1] there.", (1,))], None),
        (f"{ONE} [99].", [(f"{ONE}.", ())], f"{ONE}."),
        (f"{ONE} [1][99].", [(f"{ONE}.", (1,))], f"{ONE}. [1]"),
        (f"{ONE}.", [(f"{ONE}.", ())], f"{ONE}."),
        ("", [], ""),
        ("\n \n", [], ""),
        ("[1]", [], ""),
    ],
)
def test_reads_markers_as_writers_set_them(
    written: str, sentences: list[tuple[str, tuple[int, ...]]], shown: str | None
) -> None:
    cited, _ = cite(written)
    assert [(s.text, s.citations) for s in cited.sentences] == sentences
    if shown is not None:
        assert cited.text == shown


def test_a_table_keeps_its_cells_and_every_marker() -> None:
    table = (
        "Both are caches [1].\n\n| Name | Memory |\n|---|---|\n"
        "| Lantern [1] | half [3] |\n| Quill [5] | Ember [7] Harbor [3] Gale [8] |\n"
    )
    cited, _ = cite(table)
    assert cited.text.endswith(
        "| Name | Memory |\n|---|---|\n"
        "| Lantern [1] | half [2] |\n| Quill [3] | Ember [4] Harbor [2] Gale [5] |"
    )
    assert [s.text for s in cited.sentences[1:]] == ["Lantern half", "Quill Ember Harbor Gale"]
    assert cited.sentences[2].citations == (3, 4, 2, 5)
    assert all(s.verdict is not Verdict.UNCITED for s in cited.sentences), "a head claims nothing"


def test_a_row_of_a_table_that_cites_nothing_is_marked() -> None:
    cited, _ = cite("| Name | Memory |\n|---|---|\n| Lantern [1] | half |\n| Gale | a tenth |\n")
    assert [s.verdict for s in cited.sentences][-1] is Verdict.UNCITED


def test_numbers_never_offered_are_dropped_and_said() -> None:
    cited, _ = cite(f"{ONE} [1][99]. {TWO} [0][100].")
    assert cited.invented == [99, 0, 100]
    assert [c.n for c in cited.citations] == [1]
    assert any("[99]" in note and "[100]" in note for note in cited.notes())
    assert "99" not in cited.text


def test_a_sentence_without_citation_is_marked_and_counted() -> None:
    cited, _ = cite(f"{ONE} [1]. The moon is made of cheese.")
    assert [s.verdict for s in cited.sentences] == [Verdict.SUPPORTED, Verdict.UNCITED]
    assert cited.sentences[1].support == 0
    assert any("1 of 2" in note for note in cited.notes())


def test_a_wrong_number_is_not_called_supported() -> None:
    cited, _ = cite("It reaches 91.5 points on the long benchmark [2].")
    assert cited.sentences[0].verdict in (Verdict.PARTLY, Verdict.UNSUPPORTED)
    assert any("91.5" in reason for reason in cited.sentences[0].reasons)


def test_well_backed_words_leave_no_note() -> None:
    assert cite(f"{ONE} [1].")[0].notes() == []


def test_a_sentence_comes_while_the_next_is_written() -> None:
    cited = CitedText(offered())
    said = f"{ONE} [1]. {TWO} [3]. Quill writes unit tests"
    assert [event.sentence.text for event in cited.feed(said) if event.sentence] == [f"{ONE}."]


@pytest.mark.parametrize(
    ("before", "kept"),
    [
        (f"{ONE} [1]. {TWO} and then it", [(f"{ONE}.", (1,))]),
        (f"{ONE}. [1] {TWO}", [(f"{ONE}.", (1,))]),
        (f"{ONE} [1]. {TWO} [3].", [(f"{ONE}.", (1,)), (f"{TWO}.", (2,))]),
        # What was cut is the next sentence, not the marker of this one.
        (f"{ONE}. [1]", [(f"{ONE}.", (1,))]),
        (f"{ONE} wit", []),
    ],
)
def test_a_sentence_cut_in_half_is_forgotten(
    before: str, kept: list[tuple[str, tuple[int, ...]]]
) -> None:
    cited = CitedText(offered())
    list(cited.feed(before))
    cited.drop_unfinished()
    list(cited.finish())
    assert [(s.text, s.citations) for s in cited.sentences] == kept


PIECES = st.sampled_from(
    [
        f"{ONE} [1]. ",
        f"{TWO}. [3] ",
        "It finds 12 faults【6】. ",
        "Method B [2]. GPT is one. ",
        "See Smith et al. [4] The rest is old [1, 3-5]. ",
        "approx [7]. Foo is 3.5 times faster[99]. ",
        "These papers do so: ",
        "They agree:\n",
        "- Ember sorts letters [7].\n",
        "2) Gale measures [8] the wind! ",
        "**Harbor** ",
        "**Harbor** — ",
        "## Results\n",
        "### Lantern wins [1]\n",
        "| Quill [5] | Ember [7] |\n",
        "|---|---|\n",
        "> ",
        "\n",
        "\n\n\n",
        "\r\n",
        "It lies in [0, 1]. ",
        "Is it so? [2] ",
        "数量は半分です。[3]",
        "e.g. ",
        "no end",
        " ",
        "[1",
        "]",
        "—",
        "* ",
        "`code [1]` ",
        "A. ",
        "-- ",
        "…",
    ]
)
TEXTS = st.lists(PIECES, max_size=9).map("".join) | st.text(
    alphabet=st.sampled_from("abA1 [](),.!:;-–*#|>\n\r\t【】`_é。"), max_size=60
)


@st.composite
def cut_up(draw: st.DrawFn) -> list[str]:
    text = draw(TEXTS)
    places = draw(st.lists(st.integers(0, len(text)), max_size=12).map(sorted))
    ends = [0, *places, len(text)]
    return [text[a:b] for a, b in pairwise(ends)]


def outcome(pieces: Sequence[str]) -> object:
    cited, _ = cite(*pieces)
    return cited.sentences, cited.citations, cited.text, cited.invented


@settings(max_examples=250)
@given(cut_up())
@example(["Method B [2]", ". GPT is one. Foo is bar. Ember is so [7]. And more. And"])
@example(["one\r", "\ntwo [1]."])
@example([f"{ONE} [1]. {TWO} [3]. Ember is so. And old. They agree:"])
@example([f"{ONE} [1]. {TWO} [3]. Ember is so. **Harbor** — is new. And old. "])
@example([f"{ONE} [1]. {TWO} [3]. 数量は半分です。[3]次は速い。[4]終わり。そう。"])
def test_any_split_of_the_same_text_gives_the_same_answer(pieces: list[str]) -> None:
    assert outcome(pieces) == outcome(["".join(pieces)])
    assert outcome(list("".join(pieces))) == outcome(["".join(pieces)])


@settings(max_examples=250)
@given(cut_up())
def test_whatever_is_written_the_answer_holds_together(pieces: list[str]) -> None:
    cited, events = cite(*pieces)
    numbers = [citation.n for citation in cited.citations]
    assert numbers == list(range(1, len(numbers) + 1)), "numbered from 1 without a gap"
    appearing = [n for sentence in cited.sentences for n in sentence.citations]
    assert list(dict.fromkeys(appearing)) == numbers, "in the order in which they appear"
    for citation in cited.citations:
        for span in citation.spans:
            assert citation.paper.abstract[span.start : span.end] == span.text
    for sentence in cited.sentences:
        assert {n for n, _ in sentence.spans} == set(sentence.citations)
        for n, at in sentence.spans:
            assert 0 <= at < len(cited.citations[n - 1].spans)
        assert (sentence.verdict is Verdict.UNCITED) == (not sentence.citations)
    assert "".join(event.text for event in events).strip() == cited.text
    assert [event.sentence for event in events if event.sentence] == cited.sentences
