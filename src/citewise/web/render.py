"""All HTML of the page is made here, and everything leaves through one sanitiser.

Papers, questions, answers and errors are untrusted text. They are escaped where they are put in,
and the finished HTML passes a strict allow-list once more (:func:`clean`): no styles, no images,
no scripts, no links but http and https, MathML only as :mod:`citewise.web.mathematics` writes it.

Answers are Markdown with ``[1]`` markers. Sentences and markers are found in the source, carried
through the Markdown renderer as private-use characters, and become spans and buttons while the
text is written out, so that they nest properly whatever the Markdown does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise
from typing import Any

import nh3
from markdown_it import MarkdownIt

from citewise.answering.aside import ASKS_NOTHING
from citewise.conversations import ConversationInfo
from citewise.types import (
    Answer,
    Citation,
    Filters,
    Paper,
    Retrieved,
    Sentence,
    Span,
    Verdict,
    short_name,
)
from citewise.web import mathematics
from citewise.web.context import Described
from citewise.web.mathematics import drawn, formulas, readable, with_formulas

ALLOWED_TAGS: frozenset[str] = frozenset(
    """a article aside blockquote br button cite code dd del details div dl dt em footer h1 h2 h3 h4
    header hr li mark nav ol p pre section small span strong sub summary sup table tbody td th
    thead time tr ul""".split()
    + sorted(mathematics.TAGS)
)
"""Every tag that may reach the page."""

ALLOWED_ATTRIBUTES: frozenset[str] = frozenset(
    """class hidden href rel role start target title type aria-current aria-expanded aria-hidden
    aria-label aria-live aria-pressed data-cw-act data-cw-ask data-cw-c data-cw-key data-cw-open
    data-cw-paper data-cw-quote data-cw-room data-cw-s data-cw-sentences data-cw-title
    data-cw-turn""".split()
    + sorted(mathematics.ATTRIBUTES)
)
"""Every attribute that may reach the page; ``class`` only with names of ours."""

MAX_QUOTE = 420
"""Characters of a quote shown while hovering over a citation."""

EXPORTS: Mapping[str, str] = {
    "md": "Markdown with BibTeX",
    "json": "JSON",
    "zip": "Bundle that proves itself",
}
"""What an answer or a conversation can be taken along as, by the name of its file's end."""

NEAREST = 5
"""Papers offered when the question has no answer."""

_PLAIN = re.compile(r"[\w.%+-]{1,24}")
_WEB = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
_MARKER = re.compile(r"\[(\d{1,4})\](?![(\[]\D)")
_AFTER_SENTENCE = re.compile(r"(?:[ \t]*\[\d{1,4}\]|[.,;:!?*_]+(?=[ \t]*\[\d))*")
_MATH = re.compile(r"\$[^$\n]{1,400}\$")

# Private-use characters that stand for our marks while Markdown is rendered.
_START, _END, _CHIP, _VERDICT, _STOP = "\ue000", "\ue001", "\ue002", "\ue003", "\ue004"
_MARK = re.compile(f"[{_START}{_CHIP}{_VERDICT}](\\d+){_STOP}|{_END}")
_ANY_MARK = re.compile("[\ue000-\ue1ff]")
# Mathematics keeps its backslashes and underscores: they travel as private-use characters too.
_HIDE = {ord(c): chr(0xE100 + ord(c)) for c in "\\_*^~`[]<>&!|"}
_SHOW = {ord(hidden): chr(char) for char, hidden in _HIDE.items()}
_LONGEST_KEPT = 24
"""Characters of a word that a chip keeps on its line; with a longer one it may stand alone."""
_UNREAD = frozenset("*_`|\\")
"""Characters that Markdown may add to or take from a sentence."""

_VERDICTS: Mapping[Verdict, tuple[str, str]] = {
    Verdict.SUPPORTED: ("supported", "The cited words back this sentence."),
    Verdict.PARTLY: ("doubtful", "The cited words back only a part of this sentence."),
    Verdict.UNSUPPORTED: ("doubtful", "The cited words do not back this sentence."),
    Verdict.UNCITED: ("uncited", "No paper is cited for this sentence."),
}


def attribute(tag: str, name: str, value: str) -> str | None:
    """What stays of an attribute that the allow-list names; None takes it away."""
    if name == "class":
        return " ".join(c for c in value.split() if c.startswith("cw-")) or None
    if name == "href":
        return value if _WEB.match(value) else None
    if name == "type":
        return "button" if tag == "button" else None
    if name in mathematics.ATTRIBUTES:
        return value if tag in mathematics.TAGS and _PLAIN.fullmatch(value) else None
    return value


def cleaner(
    tags: frozenset[str],
    attributes: frozenset[str],
    filtered: Callable[[str, str, str], str | None],
    *,
    gone: str,
) -> Callable[[str], str]:
    """A sanitiser: what it is given, with nothing left that the allow-lists do not name.

    ``filtered`` says what stays of an attribute; tags named in ``gone`` go with what is in them.
    """
    made = nh3.Cleaner(
        tags=set(tags),
        clean_content_tags={"script", "style", "iframe", "template", "noscript", gone, "mtext"},
        attributes={"*": set(attributes) - {"rel", "target"}},
        attribute_filter=filtered,
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return lambda html: made.clean(unicode(html))


_CLEAN = cleaner(ALLOWED_TAGS, ALLOWED_ATTRIBUTES, attribute, gone="svg")


def clean(html: str) -> str:
    """``html`` with nothing left that the allow-list does not name."""
    return _CLEAN(html)


def unicode(text: str) -> str:
    """``text`` without lone surrogates, of the same length."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _text(text: str) -> str:
    return escape(unicode(text), quote=True)


def _rich(text: str) -> str:
    """Text as HTML, its formulas drawn."""
    return with_formulas(unicode(text))


def _attributes(values: Mapping[str, str | None]) -> str:
    return "".join(f' {k}="{_text(v)}"' for k, v in values.items() if v is not None)


def _button(label: str, css: str, **data: str | None) -> str:
    """A button; ``label`` is HTML, the rest is text (``data_cw_ask`` becomes ``data-cw-ask``)."""
    values = {name.replace("_", "-"): value for name, value in data.items()}
    return f'<button type="button" class="{css}"{_attributes(values)}>{label}</button>'


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit].rsplit(" ", 1)[0] + " …"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# ---------------------------------------------------------------- the prose of an answer


@dataclass(frozen=True, slots=True)
class _Placed:
    """Where a sentence stands in the Markdown source."""

    index: int
    start: int
    end: int
    mark: int
    """Where its verdict is shown: behind the markers that follow it."""


def _readable(text: str, skip: Iterable[tuple[int, int]] = ()) -> tuple[str, list[int]]:
    """The characters of ``text`` that Markdown leaves alone, and where each stands."""
    hidden = {i for start, end in skip for i in range(start, end)}
    kept = [
        (char, i)
        for i, char in enumerate(text)
        if i not in hidden and not char.isspace() and char not in _UNREAD
    ]
    return "".join(char for char, _ in kept), [i for _, i in kept]


def _place(text: str, sentences: Sequence[Sentence]) -> list[_Placed]:
    """Find the sentences in ``text``, in order; one that is not there is left out."""
    stream, where = _readable(text, (m.span() for m in _MARKER.finditer(text)))
    placed = []
    cursor = 0
    for index, sentence in enumerate(sentences):
        wanted, _ = _readable(sentence.text, (m.span() for m in _MARKER.finditer(sentence.text)))
        at = stream.find(wanted, cursor) if wanted else -1
        if at < 0:
            continue
        cursor = at + len(wanted)
        start, end = where[at], where[cursor - 1] + 1
        after = _AFTER_SENTENCE.match(text, end)
        placed.append(_Placed(index, start, end, after.end() if after else end))
    return placed


def _markdown() -> MarkdownIt:
    md = MarkdownIt("commonmark", {"html": False, "linkify": False, "typographer": False})
    md.enable("table").disable(["image", "html_inline", "html_block", "code", "reference"])
    md.add_render_rule("text", _render_text)
    md.add_render_rule("code_inline", _render_code)
    md.add_render_rule("fence", _render_block)
    return md


def _walk(source: str, env: dict[str, Any]) -> str:
    """Write ``source`` out, turning marks into the spans and buttons that ``env`` holds.

    A chip stays on the line of the word before it.
    """
    out: list[str] = []
    kept = False

    def put(text: str) -> None:
        text = with_formulas(text.translate(_SHOW))
        css = env["spans"].get(env["open"])
        out.append(f"<span {css}>{text}</span>" if css and text.strip() else text)

    marks = list(_MARK.finditer(source))
    position = 0
    for at, match in enumerate(marks):
        text = source[position : match.start()]
        if kept and text:
            out.append("</span>")
            kept = False
        words, word = _last_word(text) if _chip_follows(marks, at) else (text, "")
        put(words)
        if word:
            out.append('<span class="cw-keep">')
            kept = True
            put(word)
        position = match.end()
        kind = match.group()[0]
        if kind == _END:
            env["open"] = None
        elif kind == _START:
            env["open"] = int(match.group(1))
        else:
            out.append(env["chips" if kind == _CHIP else "verdicts"].get(int(match.group(1)), ""))
    if kept:
        out.append("</span>")
    put(source[position:])
    return "".join(out)


def _chip_follows(marks: Sequence[re.Match[str]], at: int) -> bool:
    """Whether a chip is among the marks that stand together from ``marks[at]`` on."""
    while marks[at].group()[0] != _CHIP:
        at += 1
        if at == len(marks) or marks[at].start() > marks[at - 1].end():
            return False
    return True


def _last_word(text: str) -> tuple[str, str]:
    """A text and its last word apart; no word where that is a part of a formula, or very long."""
    begin = text.rfind(" ") + 1
    whole = not any(start < begin < end for start, end, _ in formulas(text.translate(_SHOW)))
    fits = whole and len(text) - begin <= _LONGEST_KEPT
    return (text[:begin], text[begin:]) if fits else (text, "")


def _render_text(self: Any, tokens: Any, i: int, options: Any, env: dict[str, Any]) -> str:
    return _walk(tokens[i].content, env)


def _render_code(self: Any, tokens: Any, i: int, options: Any, env: dict[str, Any]) -> str:
    return f"<code>{_walk(tokens[i].content, env)}</code>"


def _render_block(self: Any, tokens: Any, i: int, options: Any, env: dict[str, Any]) -> str:
    return f"<pre><code>{_walk(tokens[i].content, env)}</code></pre>\n"


_MD = _markdown()


def _chip(citation: Citation, turn: str) -> str:
    quote = _shorten(" … ".join(span.text for span in citation.spans), MAX_QUOTE)
    return _button(
        str(citation.n),
        "cw-chip",
        data_cw_open=f"{turn}:{citation.n}",
        data_cw_title=citation.paper.heading,
        data_cw_quote=quote,
        aria_label=f"Source {citation.n}: {citation.paper.heading}",
    )


def _verdict(sentence: Sentence) -> str:
    word, meaning = _VERDICTS[sentence.verdict]
    why = " ".join(_sentence_case(reason) for reason in sentence.reasons) or meaning
    label = '<span aria-hidden="true">✓</span>' if word == "supported" else word
    return _button(
        label,
        f"cw-verdict cw-{word}",
        data_cw_title=word.capitalize(),
        data_cw_quote=why,
        aria_label=f"{word.capitalize()}. {why}",
    )


def _sentence_case(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?…" else ".")


def prose_html(
    text: str,
    sentences: Sequence[Sentence],
    citations: Sequence[Citation],
    *,
    turn: str = "1",
) -> str:
    """Markdown as HTML, its sentences wrapped, its markers as chips, its verdicts shown.

    ``turn`` names the turn of the conversation: chips point at ``turn:n``, sentences carry
    ``turn:index`` (from 0). A marker without its citation stays as it is written.
    """
    text = _ANY_MARK.sub("\ufffd", unicode(text))
    by_number = {citation.n: citation for citation in citations}
    placed = _place(text, sentences)
    shown = readable(text)
    again = _place(shown, [replace(s, text=readable(unicode(s.text))) for s in sentences])
    # A command that reaches over sentences would cost them their verdicts.
    if len(again) == len(placed):
        text, placed = shown, again

    marks: list[tuple[int, int, str]] = []
    for p in placed:
        marks.append((p.start, 2, f"{_START}{p.index}{_STOP}"))
        marks.append((p.end, 0, _END))
        marks.append((p.mark, 1, f"{_VERDICT}{p.index}{_STOP}"))
    source = _MATH.sub(lambda m: m.group().translate(_HIDE), text)
    maths = [(start, end) for start, end, _ in formulas(text)]
    for start, end in maths:
        source = source[:start] + text[start:end].translate(_HIDE) + source[end:]
    skips = {}
    for m in _MARKER.finditer(text):
        if any(start < m.start() < end for start, end in maths):
            continue
        if int(m.group(1)) in by_number:
            # a marker is moved against its sentence: the space before it goes
            begin = m.start()
            while begin and text[begin - 1] in " \t" and begin > 1 and text[begin - 2] != "\n":
                begin -= 1
            skips[begin] = m.end()
            marks.append((m.end(), -1, f"{_CHIP}{int(m.group(1))}{_STOP}"))
    pieces: list[str] = []
    position = 0
    cuts = sorted({at for at, _, _ in marks} | set(skips) | set(skips.values()) | {len(text)})
    ordered = sorted(marks, key=lambda mark: (mark[0], mark[1]))
    next_mark = 0
    skipping_until = -1
    for cut in cuts:
        if position >= skipping_until:
            pieces.append(source[position:cut])
        while next_mark < len(ordered) and ordered[next_mark][0] <= cut:
            pieces.append(ordered[next_mark][2])
            next_mark += 1
        if cut in skips:
            skipping_until = max(skipping_until, skips[cut])
        position = cut

    env: dict[str, Any] = {
        "open": None,
        "chips": {n: _chip(citation, turn) for n, citation in by_number.items()},
        "verdicts": {p.index: _verdict(sentences[p.index]) for p in placed},
        "spans": {
            p.index: f'class="cw-s cw-s-{_VERDICTS[sentences[p.index].verdict][0]}" '
            f'data-cw-s="{_text(turn)}:{p.index}"'
            for p in placed
        },
    }
    tokens = _MD.parse("".join(pieces), env)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h3"
    return clean(f'<div class="cw-prose">{_MD.renderer.render(tokens, _MD.options, env)}</div>')


# ---------------------------------------------------------------- evidence


def _marked(abstract: str, spans: Sequence[Span], citing: Sequence[Sequence[str]]) -> str:
    """The abstract as HTML with the words of ``spans`` marked, each for the sentences ``citing``.

    Where spans overlap, their words are marked for the sentences of all of them.
    """
    within = [(s.start, min(s.end, len(abstract))) for s in spans]
    edges = sorted({edge for start, end in within if 0 <= start < end for edge in (start, end)})
    ranges: list[tuple[int, int, list[str]]] = []
    for start, end in pairwise(edges):
        over = [i for i, (first, last) in enumerate(within) if first <= start and end <= last]
        names = list(dict.fromkeys(s for i in over for s in citing[i]))
        if ranges and over and ranges[-1][1:] == (start, names):
            ranges[-1] = (ranges[-1][0], end, names)
        elif over:
            ranges.append((start, end, names))
    abstract = unicode(abstract)
    pieces = list(drawn(abstract))

    def piece(start: int, end: int) -> str:
        # A formula of which only a part is marked stays as it is written.
        out = []
        for first, last, made in pieces:
            if start <= first and last <= end:
                out += [escape(abstract[start:first]), made]
                start = last
        return "".join([*out, escape(abstract[start:end])])

    out = []
    position = 0
    for start, end, names in ranges:
        out.append(piece(position, start))
        out.append(f"<mark{_of(names)}>{piece(start, end)}</mark>")
        position = end
    out.append(piece(position, len(abstract)))
    return "".join(out)


def _of(sentences: Sequence[str]) -> str:
    return _attributes({"data-cw-sentences": " ".join(sentences) or None})


def _about(paper: Paper) -> str:
    """Who, when and where, as far as the source says."""
    parts = []
    if paper.authors:
        names = ", ".join(paper.authors[:3])
        total = max(len(paper.authors), paper.author_count or 0)
        parts.append(_text(names) + (f" and {total - 3} more" if total > 3 else ""))
    elif paper.author_count:
        parts.append(_plural(paper.author_count, "author"))
    if paper.organization:
        parts.append(_text(paper.organization))
    if date := paper.published or paper.date_text:
        parts.append(f"<time>{_text(date)}</time>")
    if paper.source:
        parts.append(_text(paper.source))
    if paper.link and _WEB.match(paper.link):
        parts.append(f'<a href="{_text(paper.link)}">open the paper</a>')
    return '<span class="cw-dot" aria-hidden="true"> · </span>'.join(parts)


def _about_it(paper: Paper, *, kept: bool) -> str:
    """What can be done with an open paper."""
    if not kept:
        return ""
    return (
        '<p class="cw-do">'
        + _button(
            "Ask only this paper",
            "cw-link",
            data_cw_act="only",
            data_cw_paper=paper.id,
            data_cw_title=short_name(paper.heading),
        )
        + "</p>"
    )


def _card(
    key: str,
    label: str,
    paper: Paper,
    spans: Sequence[Span],
    *,
    sentences: Sequence[str] = (),
    citing: Sequence[Sequence[str]] = (),
    focus: bool = False,
    past: str = "",
) -> str:
    """``citing`` names the sentences of each span.

    ``past`` says in words why the cited words cannot be shown in their abstract any more.
    """
    quotes = "".join(
        f"<blockquote{_of(names)}>{_rich(span.text)}</blockquote>"
        for span, names in zip(spans, citing, strict=True)
    )
    backlinks = ""
    if sentences:
        links = ", ".join(
            _button(
                str(int(s.rsplit(":", 1)[-1]) + 1),
                "cw-link",
                data_cw_act="sentence",
                data_cw_s=s,
                aria_label=f"Show sentence {int(s.rsplit(':', 1)[-1]) + 1} of the answer",
            )
            for s in sentences
        )
        word = "sentence" if len(sentences) == 1 else "sentences"
        backlinks = f'<p class="cw-used">Cited in {word} {links}</p>'
    if past:
        abstract = f'<p class="cw-past-note">{_text(past)}</p>{quotes}'
    elif paper.abstract.strip():
        abstract = f"<p>{_marked(paper.abstract, spans, citing)}</p>"
    else:
        abstract = "<p>The library holds no abstract of this paper.</p>"
    about = _about(paper)
    opener = _button(
        f'<span class="cw-n">{_text(label)}</span>'
        f'<span class="cw-title">{_rich(paper.heading)}</span>',
        "cw-card-open",
        data_cw_open=key,
        aria_expanded="true" if focus else "false",
    )
    return (
        f'<article class="cw-card{" cw-open" if focus else ""}" data-cw-key="{_text(key)}"'
        f' data-cw-sentences="{_text(" ".join(sentences))}">'
        f"<h3>{opener}</h3>"
        + (f'<p class="cw-about">{about}</p>' if about else "")
        + f'<div class="cw-quotes">{quotes}</div>'
        + f'<div class="cw-abstract">{abstract}{_about_it(paper, kept=not past)}</div>'
        + f"{backlinks}</article>"
    )


def evidence_html(
    citation: Citation,
    paper: Paper | None = None,
    *,
    turn: str = "1",
    sentences: Sequence[Sentence] = (),
    focus: bool = False,
    kept: bool = False,
) -> str:
    """A cited paper: its title, what is known of it, and its abstract with the cited words marked.

    ``paper`` is the library's paper where ``citation.paper`` comes without its abstract;
    ``sentences`` are the answer's, to say which of them cite it; ``focus`` opens the card. Of an
    answer that was ``kept``, the paper may be gone or changed since, which the card then says.
    """
    whole = paper or citation.paper
    past = ""
    if kept and paper is None:
        past = "This paper is no longer in the library. These words of it were cited:"
    elif kept and any(whole.abstract[s.start : s.end] != s.text for s in citation.spans):
        past = "The abstract in the library has changed since. These words of it were cited:"
    used = [f"{turn}:{i}" for i, s in enumerate(sentences) if citation.n in s.citations]
    citing = [
        [f"{turn}:{i}" for i, s in enumerate(sentences) if (citation.n, at) in s.spans]
        for at in range(len(citation.spans))
    ]
    return clean(
        _card(
            f"{turn}:{citation.n}",
            str(citation.n),
            whole,
            citation.spans,
            sentences=used,
            citing=citing,
            focus=focus,
            past=past,
        )
    )


def retrieved_html(
    retrieved: Sequence[Retrieved], *, turn: str = "1", openable: Iterable[str] = ()
) -> str:
    """Papers that were looked at, best first; those whose ids are ``openable`` are buttons."""
    can_open = frozenset(openable)
    rows = []
    for item in retrieved:
        title = _rich(item.title)
        if item.paper_id in can_open:
            title = _button(title, "cw-link", data_cw_open=f"{turn}:r{item.rank}")
        rows.append(f"<li>{title}</li>")
    return clean(f'<ol class="cw-retrieved">{"".join(rows)}</ol>')


def store_html(
    citations: Sequence[Citation],
    papers: Mapping[str, Paper],
    *,
    turn: str = "1",
    sentences: Sequence[Sentence] = (),
    retrieved: Sequence[Retrieved] = (),
    kept: bool = False,
) -> str:
    """The evidence of one turn, kept beside it and out of sight until the page shows it.

    ``kept``: of an answer from an earlier day, whose papers may be gone (:func:`evidence_html`).
    """
    cited = [
        evidence_html(
            citation, papers.get(citation.paper.id), turn=turn, sentences=sentences, kept=kept
        )
        for citation in citations
    ]
    near = [
        clean(_card(f"{turn}:r{item.rank}", "·", papers[item.paper_id], ()))
        for item in retrieved
        if item.paper_id in papers
    ]
    return clean(
        f'<div class="cw-store" hidden data-cw-turn="{_text(turn)}">{"".join(cited + near)}</div>'
    )


# ---------------------------------------------------------------- one turn of the talk


def question_html(question: str, *, turn: str = "", within: str = "") -> str:
    """What the person asked, as typed; with ``turn`` it can be edited.

    ``within`` names the filters it was asked with.
    """
    lines = "<br>".join(_text(line) for line in question.strip().splitlines())
    edit = ""
    if turn:
        edit = _button(
            "Edit",
            "cw-link cw-edit",
            data_cw_act="edit",
            data_cw_turn=turn,
            data_cw_quote=question,
            aria_label="Edit this question and ask again",
        )
    searched = f'<p class="cw-within">{_text(within)}</p>' if within else ""
    return clean(f'<header class="cw-question"><h2>{lines}</h2>{edit}{searched}</header>')


def status_html(text: str) -> str:
    """What the assistant is doing now."""
    return clean(f'<p class="cw-status" role="status">{_text(text)}</p>')


def message_html(text: str, *, title: str = "That did not work", kind: str = "error") -> str:
    """A plain message in place of an answer; ``kind`` is ``error`` or ``note``."""
    css = "cw-note" if kind == "note" else "cw-error"
    body = "<br>".join(_text(line) for line in text.strip().splitlines())
    return clean(
        f'<section class="cw-message {css}" role="{"status" if kind == "note" else "alert"}">'
        f"<h3>{_text(title)}</h3><p>{body}</p></section>"
    )


def _asks(questions: Sequence[str], css: str) -> str:
    rows = "".join(
        f"<li>{_button(_rich(question), css, data_cw_ask=question)}</li>" for question in questions
    )
    return f'<ul class="cw-asks">{rows}</ul>'


def _tally(answer: Answer) -> str:
    counts: dict[str, int] = {}
    for sentence in answer.sentences:
        word = _VERDICTS[sentence.verdict][0]
        counts[word] = counts.get(word, 0) + 1
    parts = [f"{n} {word}" for word, n in counts.items()]
    if len(counts) == 1 and len(answer.sentences) > 1:
        parts = [f"all {len(answer.sentences)} sentences {next(iter(counts))}"]
    elif counts == {"supported": 1}:
        parts = ["the sentence is supported"]
    parts.append(f"confidence {round(100 * min(max(answer.confidence, 0.0), 1.0))} %")
    if total := answer.timings_ms.get("total"):
        parts.append(f"{total:.0f} ms" if total < 1000 else f"{total / 1000:.1f} s")
    parts.append(_text(answer.backend))
    return '<span class="cw-dot" aria-hidden="true"> · </span>'.join(parts)


def copy_text(answer: Answer) -> str:
    """The answer as Markdown, followed by the papers and words that its numbers point at."""
    lines = [answer.text.strip(), ""]
    for citation in answer.citations:
        paper = citation.paper
        about = ", ".join(part for part in (paper.published or paper.date_text, paper.link) if part)
        lines.append(f"[{citation.n}] {paper.heading}{f' ({about})' if about else ''}")
        lines.extend(f"    “{span.text}”" for span in citation.spans)
    return "\n".join(lines).strip()


def _foot(answer: Answer, turn: str, thumb: int, reason: str) -> str:
    """What is known of an answer, and what can be done with it."""
    tally = _tally(answer) if answer.answered else _text(answer.backend)
    exports = "".join(
        _button(label, "cw-link", data_cw_act="export", data_cw_key=form, data_cw_turn=turn)
        for form, label in EXPORTS.items()
    )
    thumbs = "".join(
        _button(
            "",
            f"cw-icon cw-thumb cw-{name}",
            data_cw_act="thumb",
            data_cw_key=str(value),
            data_cw_turn=turn,
            data_cw_quote=reason if thumb == value else "",
            aria_label=label,
            aria_pressed="true" if thumb == value else "false",
        )
        for value, name, label in ((1, "up", "This answer is good"), (-1, "down", "It is not"))
    )
    return (
        f'<footer class="cw-foot"><span class="cw-tally">{tally}</span><span class="cw-acts">'
        + _button("Copy", "cw-link", data_cw_act="copy", data_cw_quote=copy_text(answer))
        + _again(turn)
        + f'<details class="cw-more"><summary>Export</summary><div>{exports}</div></details>'
        + thumbs
        + "</span></footer>"
    )


def _again(turn: str) -> str:
    return _button("Ask again", "cw-link cw-again", data_cw_act="again", data_cw_turn=turn)


def again_html(turn: str) -> str:
    """What can be done about a question without an answer."""
    return clean(f'<footer class="cw-foot"><span class="cw-acts">{_again(turn)}</span></footer>')


def answer_html(
    answer: Answer,
    *,
    turn: str = "1",
    openable: Iterable[str] = (),
    thumb: int = 0,
    reason: str = "",
) -> str:
    """A finished answer: prose with chips and verdicts, or the card that says there is none.

    ``openable`` holds ids of retrieved papers whose cards are in the turn's store; ``thumb`` (1, 0
    or -1) and ``reason`` are what a person said of it.
    """
    can_open = frozenset(openable)
    text = answer.text
    if not answer.answered and answer.retrieved:
        # the rest of the text lists the nearest papers, which the card shows as buttons
        text = text.strip().split("\n\n", 1)[0]
    prose = prose_html(text, answer.sentences, answer.citations, turn=turn)
    parts: list[str] = []
    if answer.answered or answer.reason == ASKS_NOTHING:
        parts.append(prose)
    else:
        reason = answer.reason or ""
        if reason.strip() and reason.strip(" .").casefold() in answer.text.casefold():
            reason = ""
        parts.append('<section class="cw-none"><h3>Not in these papers</h3>')
        parts.append(prose)
        if reason:
            parts.append(f'<p class="cw-reason">{_text(_sentence_case(reason))}</p>')
        if answer.retrieved:
            parts.append("<h4>Nearest papers</h4>")
            parts.append(retrieved_html(answer.retrieved[:NEAREST], turn=turn, openable=can_open))
        parts.append("</section>")
    for note in answer.notes:
        parts.append(f'<p class="cw-aside">{_text(_sentence_case(note))}</p>')
    parts.append(_foot(answer, turn, thumb, reason))
    if answer.suggestions:
        title = "Ask next" if answer.answered else "These can be answered"
        parts.append(f'<section class="cw-next"><h3>{title}</h3>')
        parts.append(_asks(answer.suggestions, "cw-ask"))
        parts.append("</section>")
    if answer.answered and answer.retrieved:
        parts.append(
            '<details class="cw-looked"><summary>'
            f"{_plural(len(answer.retrieved), 'paper')} looked at</summary>"
            + retrieved_html(answer.retrieved, turn=turn, openable=can_open)
            + "</details>"
        )
    return clean(f'<div class="cw-answer">{"".join(parts)}</div>')


def turn_html(
    question: str,
    body: str,
    *,
    turn: str = "1",
    conversation: str = "",
    within: str = "",
    busy: bool = False,
) -> str:
    """One turn: the question and ``body``, which is HTML made by the other functions here."""
    css = "cw-turn cw-busy" if busy else "cw-turn"
    asked = question_html(question, turn="" if busy else turn, within=within)
    return clean(
        f'<article class="{css}" data-cw-turn="{_text(turn)}" data-cw-c="{_text(conversation)}">'
        f"{asked}{body}</article>"
    )


def filters_text(filters: Filters, titles: Mapping[str, str]) -> dict[str, str]:
    """What restricts a search, in words, by the name of its filter; papers by ``paper:ID``."""
    said = {}
    if filters.since:
        said["since"] = f"since {filters.since}"
    if filters.until:
        said["until"] = f"until {filters.until}"
    if filters.source:
        said["source"] = f"from {filters.source}"
    if filters.author:
        said["author"] = f"by {filters.author}"
    for paper in filters.papers:
        said[f"paper:{paper}"] = f"only {titles.get(paper, paper)}"
    return said


def within_text(filters: Filters, titles: Mapping[str, str]) -> str:
    """The same as one line under a question; empty where nothing restricts."""
    said = list(filters_text(filters, titles).values())
    return "Asked " + ", ".join(said) if said else ""


def chips_html(said: Mapping[str, str], faults: Mapping[str, str]) -> str:
    """The filters in force as chips that remove themselves; ``faults`` say what is wrong."""
    if not said and not faults:
        return ""
    chips = "".join(
        _button(
            f'<span>{_text(faults.get(key, words))}</span><span aria-hidden="true">×</span>',
            "cw-filter cw-wrong" if key in faults else "cw-filter",
            data_cw_act="unfilter",
            data_cw_key=key,
            aria_label=f"{faults.get(key, words)}: remove this filter",
        )
        for key, words in {**said, **faults}.items()
    )
    return clean(f'<div class="cw-filters">{chips}</div>')


def conversations_html(
    groups: Mapping[str, Sequence[ConversationInfo]], *, searched: bool = False
) -> str:
    """The conversations that are kept, under the names of their days."""
    if not any(groups.values()):
        words = "None holds these words." if searched else "Nothing has been asked yet."
        return clean(f'<p class="cw-none-kept">{words}</p>')
    parts = []
    for name, group in groups.items():
        rows = "".join(
            f'<li class="cw-conv" data-cw-c="{_text(info.id)}">'
            + _button(
                f'<span class="cw-conv-title">{_text(info.title)}</span>',
                "cw-conv-open",
                data_cw_act="open",
                data_cw_c=info.id,
                data_cw_title=info.title,
            )
            + _button(
                "",
                "cw-icon cw-dots",
                data_cw_act="manage",
                data_cw_c=info.id,
                aria_label=f"Rename, export or delete “{info.title}”",
                aria_expanded="false",
            )
            + "</li>"
            for info in group
        )
        if rows:
            parts.append(f'<h2>{_text(name)}</h2><ul class="cw-convs">{rows}</ul>')
    return clean(f'<nav class="cw-kept" aria-label="Conversations">{"".join(parts)}</nav>')


# ---------------------------------------------------------------- the room itself


def header_html(
    papers: int,
    library: str,
    backend: str,
    rooms: Mapping[str, str],
    *,
    libraries: Mapping[str, str] | None = None,
    user: str = "",
) -> str:
    """The page's head: the rooms, what is asked, who writes the answers, light and dark.

    ``rooms`` are their labels by name; the browser marks the one that is open. ``backend`` is empty
    where a person chooses among several. Of several ``libraries``, the paths of their pages by
    name, another can be chosen; ``library`` is the one here. ``user`` is who is logged in.
    """
    doors = "".join(
        _button(_text(label), "cw-door", data_cw_room=name) for name, label in rooms.items()
    )
    who = f'<span class="cw-wide">backend <strong>{_text(backend)}</strong></span>'
    here = f'<span class="cw-wide">library <strong>{_text(library)}</strong></span>'
    several = libraries is not None and len(libraries) > 1
    return clean(
        '<header class="cw-head">'
        + _button("", "cw-icon cw-menu", data_cw_act="side", aria_label="Conversations and filters")
        + f'<h1 class="cw-brand">citewise</h1><nav class="cw-doors" aria-label="Rooms">{doors}'
        f'</nav><span class="cw-about-all"><span>{_plural(papers, "paper")}</span>'
        f"{who if backend else ''}{'' if several else here}</span>"
        '<span class="cw-tools">'
        + (_libraries(library, libraries) if libraries is not None and several else "")
        + _button(
            "Evidence",
            "cw-link cw-evidence-toggle",
            data_cw_act="panel",
            aria_label="Show the evidence",
        )
        + (_logged_in(user) if user else "")
        + _button(
            "", "cw-icon cw-theme", data_cw_act="theme", aria_label="Switch between light and dark"
        )
        + "</span></header>"
    )


def _libraries(library: str, pages: Mapping[str, str]) -> str:
    choices = "".join(
        "<li>"
        + _button(
            _text(name),
            "cw-link cw-shelf",
            data_cw_act="library",
            data_cw_key=page or "/",
            aria_current="page" if name == library else "false",
        )
        + "</li>"
        for name, page in sorted(pages.items(), key=lambda item: item[1])
    )
    return (
        f'<details class="cw-more cw-choose"><summary title="Library {_text(library)}; choose '
        f'another"><span class="cw-what">library</span> <strong>{_text(library)}</strong></summary>'
        f"<ul>{choices}</ul></details>"
    )


def _logged_in(user: str) -> str:
    return (
        f'<details class="cw-more cw-choose cw-person"><summary title="Logged in as {_text(user)}">'
        f"<strong>{_text(user)}</strong></summary>"
        f"<div><p>Logged in as <strong>{_text(user)}</strong>. Conversations are yours alone.</p>"
        + _button("Log out", "cw-link cw-logout", data_cw_act="logout")
        + "</div></details>"
    )


def shelves_html(info: Described, library: str) -> str:
    """What a library holds, in figures."""
    rows = [("Papers", f"{info.papers:,}")]
    if info.earliest and info.latest:
        rows.append(("Published", f"{info.earliest} to {info.latest}"))
    rows += [(f"From {source}", f"{count:,}") for source, count in info.sources.items()]
    listed = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in rows)
    return clean(
        f'<section class="cw-page"><h2>{_text(library)}</h2><dl class="cw-facts">{listed}</dl>'
        "<p>Papers are added with <code>citewise ingest PATH</code>.</p></section>"
    )


def evaluate_html() -> str:
    """How answers are measured, for who has the command at hand."""
    return clean(
        '<section class="cw-page"><h2>Evaluate</h2><p>Answers are measured on questions whose '
        "facts are proved by the words of the papers.</p><p><code>citewise eval first</code> asks "
        "the 30 first questions and writes a report; <code>citewise eval --help</code> names the "
        "other sets.</p></section>"
    )


def welcome_html(papers: int, examples: Sequence[str], *, arrived: bool = False) -> str:
    """What stands in the talk before the first question.

    ``arrived``: because a person went here, and the address must name no conversation any more.
    """
    if papers:
        lead = (
            f"Answers are put together from {_plural(papers, 'abstract')} and nothing else. "
            "Every sentence carries a number; press it to read the words behind it."
        )
        rows = "<h3>For instance</h3>" + _asks(examples, "cw-ask")
    else:
        lead = (
            "The library is empty. Add papers in the Library room, or with “citewise ingest PATH”, "
            "and ask again."
        )
        rows = ""
    here = ' data-cw-c=""' if arrived else ""
    return clean(
        f'<section class="cw-welcome"{here}>'
        "<h2>What do the papers say?</h2>"
        f"<p>{_text(lead)}</p>{rows}</section>"
    )


def panel_html() -> str:
    """The evidence side before anything is cited."""
    return clean(
        '<section class="cw-panel"><header class="cw-panel-head"><h2>Evidence</h2>'
        '<span class="cw-panel-note"></span>'
        + _button("Close", "cw-link cw-panel-close", data_cw_act="close")
        + '</header><div class="cw-cards"></div><div class="cw-panel-empty">'
        "<p>The papers behind an answer appear here, with the cited words marked.</p>"
        '<dl><dt><span class="cw-chip cw-sample">1</span></dt><dd>opens its source</dd>'
        '<dt><span class="cw-verdict cw-supported">✓</span></dt>'
        "<dd>the cited words back the sentence</dd>"
        '<dt><span class="cw-verdict cw-doubtful">doubtful</span></dt>'
        "<dd>they back only a part of it, or none; it says why</dd>"
        '<dt><span class="cw-verdict cw-uncited">uncited</span></dt>'
        "<dd>no paper is named for it</dd></dl></div></section>"
    )
