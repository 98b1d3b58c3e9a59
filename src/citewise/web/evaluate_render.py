"""HTML of the Evaluate room: what can be run, what is running, one run, two runs compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from citewise.evaluation import page as report_page
from citewise.evaluation import plots
from citewise.evaluation.compare import Comparison
from citewise.evaluation.datasets import question_of
from citewise.evaluation.measures import BETTER
from citewise.evaluation.report import NOT_SHARES, cells, facts_of, title_of
from citewise.evaluation.runs import LoadedRun, RunInfo, RunProgress, SetInfo
from citewise.types import Json
from citewise.web.evaluating import MOST_QUESTIONS
from citewise.web.room_html import attributes, button, clean, message, plural, text

CARDS: Mapping[str, str] = {
    "accuracy": "right answers, of all that the papers hold",
    "nugget_recall": "facts that had to be said and were",
    "citation_f1": "sentences backed by what they cite, and no more than needed",
    "span_exactness": "quotations that stand in the abstract word for word",
    "abstention_recall": "questions beside the papers that were declined",
    "latency_p50_ms": "half of the answers came within this time",
}
"""Figures shown large, and what they mean in plain words."""

_OUTCOMES = {
    "correct": "correct",
    "partly": "partly correct",
    "wrong": "wrong",
    "refused": "wrongly declined",
    "error": "could not be asked",
}
_STATES = {"cancelled": "Stopped", "failed": "Failed", "done": "Done"}


def head_html() -> str:
    """What the room is for."""
    return clean(
        '<header class="cw-eval-head"><h2>Evaluate</h2><p>Questions whose answers are known are '
        "asked one after the other; each answer is compared with the facts it must hold and the "
        "papers it must cite.</p></header>"
    )


def form_html(sets: Sequence[SetInfo], backends: Sequence[str]) -> str:
    """What to run: a set of questions, how many of them, and who writes."""
    options = "".join(
        f'<option value="{text(one.name)}">{text(one.title)}{_fits(one)}</option>' for one in sets
    )
    writers = "".join(f'<option value="{text(name)}">{text(name)}</option>' for name in backends)
    poor = [one for one in sets if not one.fits]
    note = (
        '<p class="cw-aside">The questions are about the sample papers; those whose papers this '
        "library lacks will count as wrong.</p>"
        if poor
        else ""
    )
    return clean(
        '<form class="cw-eval-form"><label><span>Questions</span><select name="set">'
        f"{options}</select></label><label><span>How many</span>"
        f'<input type="number" name="limit" min="1" max="{MOST_QUESTIONS}" inputmode="numeric" '
        'placeholder="all"></label><label><span>Answers written by</span>'
        f'<select name="backend">{writers}</select></label>'
        + button("Run", "cw-deed cw-main", data_cw_do="eval-start")
        + f"</form>{note}"
    )


def _fits(one: SetInfo) -> str:
    return "" if one.fits else f", {one.fitting} fit this library"


def progress_html(
    name: str, progress: RunProgress | None, *, by: str = "", error: str | None = None
) -> str:
    """How far the run is, or how it ended; empty before the first one."""
    if progress is None:
        return message(error) if error else ""
    whose = f", started by {text(by)}" if by else ""
    if progress.state == "running":
        bar = f"<progress{attributes({'max': progress.total, 'value': progress.done})}"
        return clean(
            '<section class="cw-job cw-going" aria-busy="true"><p class="cw-job-line"><strong>'
            f'Running {text(name)}{whose}</strong><span role="status">{progress.done} of '
            f"{plural(progress.total, 'question')}</span>"
            + button("Stop", "cw-deed", data_cw_do="eval-stop")
            + f'</p>{bar} aria-label="Questions asked"></progress></section>'
        )
    state = _STATES.get(progress.state, progress.state)
    said = f'<p class="cw-job-error" role="alert">{text(error)}</p>' if error else ""
    return clean(
        f'<section class="cw-job cw-{text(progress.state)}"><p class="cw-job-line"><strong>'
        f"{state}: {text(name)}</strong><span>{progress.done} of "
        f"{plural(progress.total, 'question')} asked</span></p>{said}</section>"
    )


def runs_html(found: Sequence[RunInfo], shown: str) -> str:
    """All runs, newest first; ``shown`` is the name of the one that is open."""
    if not found:
        return clean(
            '<section class="cw-runs"><h3>Runs</h3><p class="cw-aside">None yet. Three questions '
            "take a few seconds.</p></section>"
        )
    rows = []
    for run in found:
        figure = run.figures.get("accuracy")
        right = cells("accuracy", figure)[0] if figure else run.state
        when = run.made[:16].replace("T", " ")
        label = (
            f'<span class="cw-run-what">{text(run.set)}, {text(run.backend)}</span>'
            f'<span class="cw-run-when">{text(when)} · '
            f"{plural(run.done, 'question')}{'' if run.done == run.total else f' of {run.total}'}"
            f'</span><span class="cw-run-figure">{text(right)}</span>'
        )
        rows.append(
            "<li>"
            + button(
                label,
                "cw-run-row",
                data_cw_do="eval-show",
                data_cw_key=run.name,
                disabled=run.state != "done",
                aria_current="true" if run.name == shown else None,
            )
            + "</li>"
        )
    return clean(
        '<section class="cw-runs"><h3>Runs</h3><p class="cw-aside">The number is the accuracy.</p>'
        f'<ol class="cw-rows">{"".join(rows)}</ol></section>'
    )


def run_html(
    run: LoadedRun,
    others: Sequence[RunInfo],
    titles: Mapping[str, str],
    compared: Comparison | None = None,
    fault: str = "",
) -> str:
    """One run: its figures, how it compares, what went wrong, and its whole report."""
    figures: Json = run.summary["figures"]
    cards = "".join(
        _card(name, figures[name], meaning) for name, meaning in CARDS.items() if name in figures
    )
    info = run.info
    return clean(
        f'<section class="cw-eval-run"><h3>{text(info.set)}, {text(info.backend)}: '
        f"{plural(info.done, 'question')}</h3>"
        f'<ul class="cw-cards-of">{cards}</ul>'
        + _against(run, others, compared, fault)
        + _failures(run, titles)
        + _all_figures(figures)
        + _made_with(run.summary)
        + '<p class="cw-report-line">'
        + button(
            "The whole report",
            "cw-deed",
            data_cw_do="eval-report",
            data_cw_key=info.name,
            aria_expanded="false",
        )
        + '</p><div class="cw-report"></div></section>'
    )


def _card(name: str, figure: Json, meaning: str) -> str:
    value, interval, n = cells(name, figure)
    line = ""
    if name not in NOT_SHARES:
        line = plots.interval_line(figure["value"], figure["low"], figure["high"])
        line = line.replace('class="', 'class="cw-').replace("cw-inline", "cw-plot")
    between = f"95 %: {interval}; " if interval else ""
    return (
        f'<li><span class="cw-card-name">{text(title_of(name))}</span>'
        f'<span class="cw-card-value">{text(value)}</span>{line}'
        f'<span class="cw-card-n">{between}n {text(n)}</span>'
        f'<span class="cw-card-means">{text(meaning)}</span></li>'
    )


def _against(
    run: LoadedRun, others: Sequence[RunInfo], compared: Comparison | None, fault: str
) -> str:
    earlier = [one for one in others if one.state == "done" and one.name != run.info.name]
    if not earlier:
        return ""
    chosen = compared.a.rsplit("/", 1)[-1] if compared else ""
    options = "".join(
        f'<option value="{text(one.name)}"{" selected" if one.name == chosen else ""}>'
        f"{text(one.made[:16].replace('T', ' '))}, {text(one.set)}, {text(one.backend)} "
        f"({one.done})</option>"
        for one in earlier
    )
    table = f'<p class="cw-job-error" role="alert">{text(fault)}</p>' if fault else ""
    if compared is not None:
        rows = "".join(
            f'<tr class="cw-{text(d.verdict.split()[0])}"><th scope="row">{text(title_of(d.name))}'
            f"</th><td>{d.a:.3f}</td><td>{d.b:.3f}</td><td>{d.change:+.3f}</td>"
            f"<td>{d.low:+.3f} to {d.high:+.3f}</td><td>{text(d.verdict)}</td></tr>"
            for d in compared.differences
        )
        test = compared.mcnemar
        sure = (
            f"<p>Right in the earlier run alone: {test.only_a}, in this one alone: {test.only_b}; "
            f"by chance that happens with p = {test.p:.3f} (McNemar, exact).</p>"
            if test is not None
            else ""
        )
        warned = "".join(
            f'<p class="cw-job-error">Beware: {text(w)}</p>' for w in compared.warnings
        )
        table = (
            f"{sure}{warned}<p>{plural(compared.questions, 'question')} in both"
            f"{f', {compared.left_out} left out' if compared.left_out else ''}; each line is a "
            "test of its own at 95 %.</p>"
            '<div class="cw-scroll"><table><thead><tr><th scope="col">figure</th>'
            '<th scope="col">earlier</th><th scope="col">this</th><th scope="col">change</th>'
            '<th scope="col">95 % interval</th><th scope="col">this run is</th></tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )
    return (
        '<div class="cw-compare"><label><span>Compare with</span> '
        f'<select data-cw-do="eval-compare" data-cw-key="{text(run.info.name)}">'
        f'<option value="">no other run</option>{options}</select></label>{table}</div>'
    )


def _failures(run: LoadedRun, titles: Mapping[str, str]) -> str:
    items = []
    right = 0
    for row in run.rows:
        became = report_page.outcome(row["scores"])
        if became == "correct":
            right += 1
            continue
        question = question_of(row["gold"])
        faults = report_page.why(
            question, row.get("answer"), row["scores"], titles, row.get("error")
        )
        wrong = "".join(f"<li>{text(fault)}</li>" for fault in faults)
        answer = str((row.get("answer") or {}).get("answer") or "")
        said = "".join(f"<p>{text(line)}</p>" for line in answer.splitlines() if line.strip())
        items.append(
            f'<li><details><summary><span class="cw-became cw-was-{text(became)}">'
            f"{text(_OUTCOMES.get(became, became))}</span> {text(question.question)}</summary>"
            f'<ul class="cw-faults">{wrong}</ul><div class="cw-said">{said}</div></details></li>'
        )
    if not items:
        return f"<h4>No failures: all {right} are correct</h4>"
    return (
        f"<h4>{plural(len(items), 'failure')}, {right} correct</h4>"
        f'<ol class="cw-failures">{"".join(items)}</ol>'
    )


def _all_figures(figures: Json) -> str:
    rows = []
    for name, figure in figures.items():
        value, interval, n = cells(name, figure)
        better = {"lower": "lower is better"}.get(BETTER.get(name, ""), "")
        rows.append(
            f'<tr><th scope="row">{text(title_of(name))}</th><td>{text(value)}</td>'
            f"<td>{text(interval)}</td><td>{text(n)}</td><td>{better}</td></tr>"
        )
    return (
        '<details class="cw-unfold"><summary>All figures</summary><div class="cw-scroll"><table>'
        '<thead><tr><th scope="col">figure</th><th scope="col">value</th>'
        '<th scope="col">95 % interval</th><th scope="col">n</th><th scope="col"></th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div></details>"
    )


def _made_with(summary: Json) -> str:
    rows = "".join(
        f"<dt>{text(name)}</dt><dd>{text(value)}</dd>"
        for name, value in facts_of(summary).items()
        if value
    )
    return (
        '<details class="cw-unfold"><summary>Made with</summary>'
        f'<dl class="cw-facts">{rows}</dl></details>'
    )


def note_html(said: str) -> str:
    """What stands where a run will be."""
    return clean(f'<p class="cw-aside">{text(said)}</p>')


def failure_html(said: str) -> str:
    """Why something could not be done."""
    return message(said)
