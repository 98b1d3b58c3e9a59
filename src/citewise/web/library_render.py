"""HTML of the Library room: what it holds, its papers, one of them, how papers came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from citewise.export import EXPORTS
from citewise.library.browsing import Page, Themes, Timeline
from citewise.types import Hit, IngestReport, Paper
from citewise.web.adding import Job
from citewise.web.room_html import attributes, button, clean, message, plural, rich, text

ORDERS: Mapping[str, str] = {
    "newest": "newest first",
    "oldest": "oldest first",
    "title": "by title",
    "added": "last added first",
}
"""Orders of the papers and what a person calls them."""

BEST = "best match first"
"""What the order is called while something is searched for."""

_FORMAT_NAMES = {"jsonl": "JSON lines", "bibtex": "BibTeX", "ris": "RIS", "csv": "CSV"}
_SHOWN_AUTHORS = 3
_SHOWN_REJECTIONS = 200
_MOST_BARS = 60

_DOT = '<span class="cw-dot" aria-hidden="true"> · </span>'


@dataclass(frozen=True, slots=True)
class Facts:
    """What stands at the head of the room."""

    name: str
    papers: int
    embedded: int
    sources: Mapping[str, int]
    earliest: str | None
    latest: str | None


# ---------------------------------------------------------------- head and search


def head_html(facts: Facts) -> str:
    """Name, number of papers, their dates and sources, and how much is embedded."""
    parts = [plural(facts.papers, "paper")]
    if facts.earliest and facts.latest:
        parts.append(f"{text(facts.earliest)} to {text(facts.latest)}")
    parts += [
        f"{text(source)} {count:,}" if len(facts.sources) > 1 else f"from {text(source)}"
        for source, count in facts.sources.items()
    ]
    share = facts.embedded / facts.papers if facts.papers else 1.0
    bar = ""
    if facts.embedded < facts.papers:
        bar = (
            '<p class="cw-embedded"><progress'
            + attributes({"max": facts.papers, "value": facts.embedded})
            + f' aria-label="Papers embedded"></progress><span>{facts.embedded:,} of '
            f"{facts.papers:,} embedded ({_floor(share)}); the others are found by their words "
            "alone</span></p>"
        )
    elif facts.papers:
        parts.append("all embedded")
    return clean(
        f'<header class="cw-lib-head"><h2>{text(facts.name)}</h2>'
        f'<p class="cw-lib-facts">{_DOT.join(parts)}</p>{bar}</header>'
    )


def _floor(share: float) -> str:
    """Per cent that are never rounded up to all."""
    return f"{int(100 * share)}%"


def adder_html(limit_bytes: int, most_files: int) -> str:
    """Where files are dropped; the browser sends them on."""
    return clean(
        '<section class="cw-adder"'
        + attributes({"data_cw_limit": limit_bytes, "data_cw_number": most_files})
        + '><label class="cw-drop" for="cw-files"><strong>Add papers</strong>'
        "<span>Drop files here or choose them: BibTeX, RIS, CSV, JSON lines, arXiv, PubMed, "
        "OpenAlex, BEIR, Daily Papers; plain or .gz, up to "
        f"{limit_bytes // 2**20:,} MB each</span></label>"
        '<input type="file" id="cw-files" class="cw-files" multiple aria-label="Add papers">'
        '<p class="cw-sending" role="status"></p></section>'
    )


def find_html(sources: Sequence[str]) -> str:
    """The search field, the order and the filters."""
    orders = "".join(f'<option value="{name}">{title}</option>' for name, title in ORDERS.items())
    brought = "".join(
        f'<option value="{text(source)}">{text(source)}</option>' for source in sources
    )

    def field(name: str, label: str, hint: str) -> str:
        return (
            f'<label><span>{label}</span><input type="text" name="{name}" autocomplete="off" '
            f'maxlength="200" placeholder="{hint}"></label>'
        )

    return clean(
        '<form class="cw-find" role="search"><div class="cw-find-line">'
        '<input type="search" name="q" aria-label="Search the papers" autocomplete="off" '
        'maxlength="2000" placeholder="Search the papers …">'
        f'<select name="order" aria-label="Order"><option value="best" hidden>{BEST}</option>'
        f"{orders}</select></div>"
        '<details class="cw-narrow"><summary>Filters<span class="cw-narrow-note"></span></summary>'
        '<div class="cw-fields">'
        + field("since", "From", "2024-10")
        + field("until", "To", "2025")
        + field("author", "Author", "part of a name")
        + f'<label><span>Source</span><select name="source"><option value="">all</option>{brought}'
        "</select></label>"
        + button("Clear", "cw-link", data_cw_do="clear")
        + "</div></details></form>"
    )


# ---------------------------------------------------------------- the list


def _about(paper: Paper) -> str:
    parts = []
    if paper.authors:
        more = max(len(paper.authors), paper.author_count or 0) - _SHOWN_AUTHORS
        parts.append(
            text(", ".join(paper.authors[:_SHOWN_AUTHORS])) + (f" +{more}" if more > 0 else "")
        )
    if paper.organization:
        parts.append(text(paper.organization))
    if date := paper.published or paper.date_text:
        parts.append(f"<time>{text(date)}</time>")
    return _DOT.join(parts)


def _row(paper: Paper) -> str:
    title = paper.heading
    pick = button(
        "",
        "cw-pick",
        role="checkbox",
        aria_checked="false",
        aria_label=f"Choose {title}",
        data_cw_do="pick",
        data_cw_key=paper.id,
        data_cw_title=title,
    )
    label = (
        f'<span class="cw-row-title">{rich(title)}</span>'
        f'<span class="cw-row-about">{_about(paper)}</span>'
    )
    opener = button(label, "cw-row-open", data_cw_do="open", data_cw_key=paper.id)
    return f'<li class="cw-row" data-cw-key="{text(paper.id)}">{pick}{opener}</li>'


def list_html(page: Page, limit: int, *, what: str, note: str = "", number: int = 0) -> str:
    """A page of papers, what they are (``what`` is text), and the way to the other pages.

    ``number`` is that of the browser's request, which thereby knows its answer.
    """
    total = page.total
    exports = "".join(
        f"<li>{button(_FORMAT_NAMES[name], 'cw-link', data_cw_do='export', data_cw_key=name)}</li>"
        for name in EXPORTS
    )
    bar = (
        '<div class="cw-bar"><p class="cw-count" role="status">'
        f'<span class="cw-found">{text(what)}</span>'
        '<span class="cw-chosen" hidden></span></p>'
        '<span class="cw-deeds"><span class="cw-of-chosen" hidden>'
        + button("Ask only these", "cw-link", data_cw_do="only")
        + button("Remove", "cw-link cw-danger", data_cw_do="remove")
        + button("Choose none", "cw-link", data_cw_do="none")
        + "</span>"
        + (
            '<details class="cw-menu-of"><summary>Export</summary>'
            f'<ul aria-label="Formats">{exports}</ul></details>'
            if total
            else ""
        )
        + '</span></div><div class="cw-sure" hidden></div>'
    )
    rows = "".join(_row(paper) for paper in page.papers)
    said = f'<p class="cw-aside">{text(note)}</p>' if note else ""
    empty = "" if page.papers or note else '<p class="cw-nothing">No paper here.</p>'
    return clean(
        f'<section class="cw-list"{attributes({"data_cw_number": number})}>{bar}{said}'
        f'<ol class="cw-rows">{rows}</ol>{empty}{_pager(page, limit)}</section>'
    )


def _pager(page: Page, limit: int) -> str:
    last = max(0, (page.total - 1) // limit)
    at = page.offset // limit
    if not last:
        return ""

    def turn(label: str, to: int, name: str) -> str:
        return button(
            label,
            "cw-turn-page",
            data_cw_do="page",
            data_cw_number=to,
            aria_label=name,
            disabled=not 0 <= to <= last,
        )

    return (
        '<nav class="cw-pager" aria-label="Pages">'
        + turn("First", 0, "First page")
        + turn("Earlier", at - 1, "Page before")
        + f'<span>{at + 1:,} of {last + 1:,}</span><span class="cw-of">'
        f"papers {page.offset + 1:,} to {page.offset + len(page.papers):,}</span>"
        + turn("Later", at + 1, "Next page")
        + turn("Last", last, "Last page")
        + "</nav>"
    )


# ---------------------------------------------------------------- one paper


def _cosine(value: float | None) -> str:
    """How near a paper is in meaning; nothing for one found by its words alone."""
    if value is None:
        return ""
    return f'<span class="cw-near-by" title="cosine of their meaning">{value:.2f}</span>'


def paper_html(paper: Paper, similar: Sequence[Hit], *, embedded: bool) -> str:
    """A paper with everything known of it and the papers like it."""
    rows = []
    if paper.authors:
        more = (paper.author_count or 0) - len(paper.authors)
        said = ", ".join(paper.authors) + (f" and {more} more" if more > 0 else "")
        rows.append(("Authors", text(said)))
    elif paper.author_count:
        rows.append(("Authors", text(plural(paper.author_count, "author"))))
    for name, value in (
        ("Organization", paper.organization),
        ("Published", paper.published or paper.date_text),
        ("arXiv", paper.arxiv_id),
        ("DOI", paper.doi),
    ):
        if value:
            rows.append((name, text(value)))
    if paper.link:
        rows.append(("Address", f'<a href="{text(paper.link)}">{text(paper.link)}</a>'))
    rows.append(("Id", f"<code>{text(paper.id)}</code>"))
    if paper.places:
        places = ", ".join(
            f"{place.file}, line {place.line} ({place.source})" for place in paper.places[:5]
        )
        more = len(paper.places) - 5
        rows.append(("Read from", text(places) + (f" and {more} more" if more > 0 else "")))
    facts = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows)
    near = "".join(
        "<li>"
        + button(
            f"<span>{rich(other.paper.heading)}</span>",
            "cw-link",
            data_cw_do="open",
            data_cw_key=other.paper.id,
        )
        + _cosine(other.dense_score)
        + "</li>"
        for other in similar
    )
    if near:
        near = f'<h4>Similar papers</h4><ol class="cw-similar">{near}</ol>'
    elif not embedded:
        near = (
            '<p class="cw-aside">Similar papers are shown once this paper is embedded; until then '
            "it is found by its words.</p>"
        )
    deeds = "".join(
        button(label, "cw-deed" + css, data_cw_do=do, data_cw_key=paper.id, data_cw_title=title)
        for label, css, do, title in (
            ("Ask only this", "", "only", paper.heading),
            ("Remove", " cw-danger", "remove", paper.heading),
        )
    )
    abstract = paper.abstract.strip() or "The library holds no abstract of this paper."
    return clean(
        f'<article class="cw-reading" data-cw-key="{text(paper.id)}">'
        + button("Back", "cw-link cw-back", data_cw_do="close")
        + f"<h3>{rich(paper.heading)}</h3>"
        f'<p class="cw-deeds">{deeds}</p><div class="cw-sure" hidden></div>'
        f'<p class="cw-words">{rich(abstract)}</p><dl class="cw-facts">{facts}</dl>{near}</article>'
    )


# ---------------------------------------------------------------- the picture of the library


def picture_html(timeline: Timeline, themes: Themes | None, *, empty: bool) -> str:
    """The library over time and by theme; ``themes`` is None while they are being made."""
    if empty:
        return clean(
            '<section class="cw-picture"><h3>An empty library</h3><p>Drop files into “Add papers” '
            "above: exports of Zotero, Mendeley or EndNote will do.</p></section>"
        )
    return clean(
        '<section class="cw-picture"><h3>Over time</h3>'
        + _columns(timeline)
        + "<h3>Themes</h3>"
        + _themes(themes)
        + "</section>"
    )


def _columns(timeline: Timeline) -> str:
    months = _filled(timeline.months)
    # Years also where most papers name no month.
    dated = sum(count for _, count in timeline.years)
    by_month = 2 * sum(count for _, count in timeline.months) > dated
    bars = months if by_month and 1 < len(months) <= _MOST_BARS else list(timeline.years)
    bars = bars[-_MOST_BARS:]
    if not bars:
        return '<p class="cw-aside">No paper has a date.</p>'
    width, height, foot = 480.0, 120.0, 18.0
    most = max(count for _, count in bars)
    step = width / len(bars)
    parts = []
    for at, (when, count) in enumerate(bars):
        tall = (height - 14) * count / most
        label = f"{when}: {plural(count, 'paper')}"
        parts.append(
            f'<g class="cw-column" tabindex="0" role="button" data-cw-do="when" '
            f'data-cw-key="{text(when)}" aria-label="{text(label)}"><title>{text(label)}</title>'
            f'<rect class="cw-ground" x="{at * step:.1f}" y="0" width="{step:.1f}" '
            f'height="{height:.0f}"></rect><rect class="cw-bar-of" x="{at * step + step * 0.1:.1f}"'
            f' y="{height - tall:.1f}" width="{step * 0.8:.1f}" height="{tall:.1f}"></rect></g>'
        )
    ends = [(0.0, "start", bars[0][0]), (width, "end", bars[-1][0])]
    labels = "".join(
        f'<text x="{x:.0f}" y="{height + foot - 4:.0f}" text-anchor="{anchor}">{text(when)}</text>'
        for x, anchor, when in (ends if len(bars) > 1 else ends[:1])
    )
    top = f'<text x="0" y="9" text-anchor="start" class="cw-most">{most:,}</text>'
    undated = (
        f'<p class="cw-aside">{plural(timeline.undated, "paper")} without a date.</p>'
        if timeline.undated
        else ""
    )
    return (
        f'<svg class="cw-columns" viewBox="0 0 {width:.0f} {height + foot:.0f}" role="group" '
        f'aria-label="Papers over time">{"".join(parts)}{top}{labels}</svg>{undated}'
    )


def _filled(months: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Every month from the first to the last."""
    if not months:
        return []
    known = dict(months)
    year, month = int(months[0][0][:4]), int(months[0][0][5:7])
    found = []
    while (name := f"{year:04}-{month:02}") <= months[-1][0]:
        found.append((name, known.get(name, 0)))
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return found


def _themes(themes: Themes | None) -> str:
    if themes is None:
        return '<p class="cw-status" role="status">grouping the papers by meaning</p>'
    if not themes.themes:
        few = themes.looked_at < 2
        why = "Too few papers are embedded" if few else "The papers are too much alike"
        return f'<p class="cw-aside">{why} to group them.</p>'
    most = max(theme.papers for theme in themes.themes)
    first, last = _span(themes)
    rows = []
    for at, theme in enumerate(themes.themes):
        share = theme.papers / themes.looked_at
        bar = (
            '<svg class="cw-theme-bar" viewBox="0 0 100 6" preserveAspectRatio="none" '
            f'aria-hidden="true"><rect x="0" y="0" width="{100 * theme.papers / most:.1f}" '
            'height="6"></rect></svg>'
        )
        label = (
            f'<span class="cw-theme-words">{text(", ".join(theme.words))}</span>{bar}'
            f"{_spark(theme.months, first, last)}"
            f'<span class="cw-theme-count">{_share(share)}</span>'
        )
        rows.append(
            "<li>"
            + button(
                label,
                "cw-theme-row",
                data_cw_do="theme",
                data_cw_number=at,
                aria_label=f"{', '.join(theme.words)}: {plural(theme.papers, 'paper')}",
            )
            + "</li>"
        )
    of = (
        f"from a sample of {themes.looked_at:,} of {themes.embedded:,} embedded papers"
        if themes.looked_at < themes.embedded
        else f"from {plural(themes.looked_at, 'embedded paper')}"
    )
    return (
        f'<ol class="cw-themes">{"".join(rows)}</ol><p class="cw-aside">Papers grouped by '
        f"meaning, {of}; each line shows a theme’s share and its months.</p>"
    )


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def _span(themes: Themes) -> tuple[str, str]:
    months = [month for theme in themes.themes for month, _ in theme.months]
    return (min(months), max(months)) if months else ("", "")


def _spark(months: Sequence[tuple[str, int]], first: str, last: str) -> str:
    """A line of a theme's papers by month, all themes over the same months."""
    if not first or first == last:
        return "<span></span>"
    known = dict(months)
    every = _filled([(first, 0), (last, 0)])[-_MOST_BARS:]
    counts = [known.get(month, 0) for month, _ in every]
    most = max(counts) or 1
    points = " ".join(
        f"{100 * at / (len(counts) - 1 or 1):.1f},{17 - 15 * count / most:.1f}"
        for at, count in enumerate(counts)
    )
    return (
        '<svg class="cw-spark" viewBox="0 0 100 18" preserveAspectRatio="none" aria-hidden="true">'
        f'<polyline points="{points}"></polyline></svg>'
    )


# ---------------------------------------------------------------- how papers came in


def job_html(job: Job, *, waiting: int = 0) -> str:
    """What became of the files that were dropped in, or how far they are."""
    names = ", ".join(job.files[:3]) + (
        f" and {len(job.files) - 3} more" if len(job.files) > 3 else ""
    )
    stop = button("Stop", "cw-deed", data_cw_do="stop") if job.state == "reading" else ""
    if job.going:
        said = "waiting" if job.state == "waiting" else plural(job.done, "record") + " read"
        return clean(
            f'<section class="cw-job cw-going" data-cw-number="{job.number}" aria-busy="true">'
            '<p class="cw-job-line">'
            f'<strong>Adding {text(names)}</strong><span role="status">{said}</span>{stop}</p>'
            '<progress aria-label="Reading"></progress></section>'
        )
    close = button("Close", "cw-link", data_cw_do="dismiss")
    title = {"done": "Added", "stopped": "Stopped", "failed": "Not added"}[job.state]
    parts = [f'<p class="cw-job-line"><strong>{title}: {text(names)}</strong>{close}</p>']
    if job.error:
        parts.append(f'<p class="cw-job-error" role="alert">{text(job.error)}</p>')
    if job.state == "stopped":
        parts.append("<p>What had been read is in the library, whole; the rest was left out.</p>")
    if job.report is not None:
        parts += [_counts(job.report), _rejections(job.report)]
    if waiting and job.state == "done":
        parts.append(
            f"<p>{plural(waiting, 'paper')} still to embed; until then found by words alone.</p>"
        )
    return clean(
        f'<section class="cw-job cw-{job.state}" data-cw-number="{job.number}">'
        f"{''.join(parts)}</section>"
    )


def _counts(report: IngestReport) -> str:
    counts = (
        (report.added, "added"),
        (report.updated, "updated"),
        (report.unchanged, "unchanged"),
        (report.duplicate, "duplicate"),
        (len(report.rejected), "rejected"),
    )
    return (
        '<ul class="cw-counts">'
        + "".join(
            f'<li class="cw-{name}{"" if count else " cw-zero"}"><b>{count:,}</b> {name}</li>'
            for count, name in counts
        )
        + "</ul>"
    )


def _rejections(report: IngestReport) -> str:
    if not report.rejected:
        return ""
    shown = report.rejected[:_SHOWN_REJECTIONS]
    rows = "".join(
        f"<tr><td>{text(r.file)}</td><td>{r.line or ''}</td><td>{text(r.title or '')}</td>"
        f"<td>{text(r.reason)}</td></tr>"
        for r in shown
    )
    more = len(report.rejected) - len(shown)
    rest = f'<p class="cw-aside">and {more:,} more, not shown</p>' if more else ""
    return (
        '<div class="cw-scroll"><table class="cw-rejected"><caption>Rejected records</caption>'
        '<thead><tr><th scope="col">file</th><th scope="col">line</th><th scope="col">title</th>'
        f'<th scope="col">reason</th></tr></thead><tbody>{rows}</tbody></table></div>{rest}'
    ).replace("<caption>Rejected records</caption>", "")


def note_html(said: str) -> str:
    """A thing that was done."""
    return message(said, title="Done", kind="note")


def failure_html(said: str, number: int = 0) -> str:
    """Why something could not be shown; ``number`` as for ``list_html``."""
    return clean(f"<div{attributes({'data_cw_number': number})}>{message(said)}</div>")
