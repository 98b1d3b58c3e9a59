"""A run as one HTML file that needs nothing else: figures, plots, and every question.

The file loads nothing and sends nothing, and says so to the browser (its Content-Security-Policy
allows its own style and script by their hashes and nothing more). Titles, answers and questions
come from outside: they are escaped, always.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from citewise.errors import UsageError
from citewise.evaluation import plots
from citewise.evaluation.datasets import Question, question_of
from citewise.evaluation.measures import (
    BINS,
    Row,
    Scores,
    cited_papers,
    completed,
    has_nugget,
    has_value,
    holds,
    plain,
    risk_curve,
)
from citewise.evaluation.report import (
    GROUPS,
    NOT_SHARES,
    cells,
    facts_of,
    heading,
    judge_text,
    read_results,
    read_summary,
    title_of,
)
from citewise.sample import sample_folder
from citewise.sources import read
from citewise.types import Json, Paper

REPORT_FILE = "report.html"

_OUTCOMES = {
    "correct": "correct",
    "partly": "partly correct",
    "wrong": "wrong",
    "refused": "wrongly not answered",
    "error": "not asked for an error",
}


def outcome(scores: Mapping[str, float | None]) -> str:
    """What became of a question: ``correct``, ``partly``, ``wrong``, ``refused`` or ``error``."""
    if scores.get("failed"):
        return "error"
    if scores.get("correct"):
        return "correct"
    if scores.get("partly"):
        return "partly"
    return "wrong" if scores.get("answered") else "refused"


def why(
    question: Question,
    answer: Json | None,
    scores: Mapping[str, float | None],
    titles: Mapping[str, str],
    error: str | None = None,
) -> list[str]:
    """What is wrong with an answer, in words; empty when nothing is."""
    if answer is None:
        return [f"It could not be asked: {error or 'unknown error'}"]
    faults = []
    if not question.answerable:
        return ["It was answered, though the papers do not hold the answer."] * bool(
            answer["answered"]
        )
    found = [str(paper["paper_id"]) for paper in answer["retrieved"]]
    for paper in question.required:
        if paper not in found:
            faults.append(f"Not retrieved: {titles.get(paper, paper)}")
    if not answer["answered"]:
        return ["It was not answered, though the papers hold the answer.", *faults]
    text = plain(answer["answer"])
    faults += [
        f"Missing fact: {' | '.join(nugget.forms)}"
        for nugget in question.nuggets
        if not has_nugget(text, nugget)
    ]
    if question.value is not None and not has_value(text, question.value):
        faults.append(f"Missing number: {question.value.value:g} {question.value.unit}".rstrip())
    faults += [f"Must not be said: {wrong}" for wrong in question.must_not if holds(text, wrong)]
    cited = cited_papers(answer)
    faults += [
        f"Not cited: {titles.get(paper, paper)}"
        for paper in question.required
        if paper not in cited and paper in found
    ]
    expected = {*question.required, *question.acceptable}
    strange = [paper for paper in cited if paper not in expected]
    # Outside of lists another paper is no error in itself (eval/GUIDELINE.md).
    if question.kind == "list":
        faults += [f"Does not belong in the list: {titles.get(p, p)}" for p in strange]
    inexact = int((scores.get("spans") or 0) - (scores.get("spans_right") or 0))
    if inexact:
        faults.append(f"{inexact} cited spans are not the words of their abstract.")
    if (recall := scores.get("citation_recall")) is not None and recall < 1:
        faults.append(f"{1 - recall:.0%} of the sentences are not backed by what they cite.")
    return faults


def render(summary: Json, rows: Sequence[Json], titles: Mapping[str, str] | None = None) -> str:
    """The page. ``rows`` are the lines of ``results.jsonl``; ``titles`` by paper id.

    Titles that answers carry need not be given. Raises UsageError for rows without their gold.
    """
    known = dict(titles or {})
    for row in rows:
        for paper in (row.get("answer") or {}).get("retrieved", ()):
            known.setdefault(str(paper["paper_id"]), str(paper["title"]))
    try:
        questions = [question_of(row["gold"]) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            "the results lack the gold of their questions; run the evaluation again"
        ) from error
    policy = (
        f"default-src 'none'; style-src '{_hash(_STYLE)}'; script-src '{_hash(_SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    title = heading(summary)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header><p class="brand">citewise evaluation</p><h1>{escape(title)}</h1></header>
<main>
{_figures(summary)}
{_plots(summary, rows, questions)}
{_judged(summary)}
{_questions(rows, questions, known)}
{_provenance(summary)}
</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def write(folder: Path, titles: Mapping[str, str] | None = None) -> Path:
    """Write ``report.html`` of the run in a folder; returns its path.

    Raises UsageError when the folder holds no run of questions.
    """
    page = render(read_summary(folder), read_results(folder), titles)
    file = folder / REPORT_FILE
    file.write_text(page, encoding="utf-8")
    return file


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _figures(summary: Json) -> str:
    figures: Json = summary["figures"]
    grouped = {name for names in GROUPS.values() for name in names}
    groups = {**GROUPS, "More": tuple(name for name in figures if name not in grouped)}
    tables = "".join(
        _table(title, {name: figures[name] for name in names if name in figures})
        for title, names in groups.items()
    )
    return (
        '<section><h2>Figures</h2><p class="note">95 % bootstrap intervals, questions about one '
        "paper drawn together. Unanswered questions score zero.</p>"
        f'<div class="groups">{tables}</div></section>'
    )


def _table(title: str, figures: Mapping[str, Json]) -> str:
    if not figures:
        return ""
    lines = []
    for name, figure in figures.items():
        value, interval, n = cells(name, figure)
        share = name not in NOT_SHARES
        drawn = plots.interval_line(figure["value"], figure["low"], figure["high"]) if share else ""
        lines.append(
            f"<tr><th>{escape(title_of(name))}</th><td>{value}</td><td>{drawn}</td>"
            f"<td>{interval}</td><td>{n}</td></tr>"
        )
    return (
        f'<div class="scroll"><table class="figures"><thead><tr><th>{escape(title)}</th>'
        "<th>value</th><th>0 to 1</th><th>95 % interval</th><th>n</th></tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _plots(summary: Json, rows: Sequence[Json], questions: Sequence[Question]) -> str:
    scored = completed([
        Row(question.kind, question.cluster, row["scores"])
        for row, question in zip(rows, questions, strict=True)
    ])  # fmt: skip
    shown = [("Correct, by kind of question", plots.interval_bars(_by_kind(summary), "By kind"))]
    risk = risk_curve(scored)
    if len(risk):
        shown.append(("Risk and coverage", plots.risk_coverage([float(value) for value in risk])))
    if bins := _bins(scored):
        shown.append(("Calibration", plots.reliability(bins)))
    times = [ms for row in scored if (ms := row.scores.get("latency_ms")) is not None]
    if times:
        shown.append(("Latency", plots.latency(times)))
    figures = "".join(
        f"<figure><figcaption>{escape(name)}</figcaption>{svg}</figure>" for name, svg in shown
    )
    return f'<section><h2>Plots</h2><div class="plots">{figures}</div></section>'


def _judged(summary: Json) -> str:
    if not summary.get("judge"):
        return ""
    lines = "".join(
        f"<li>{escape(line)}</li>" for line in judge_text(summary["judge"]).splitlines()
    )
    return f"<section><h2>Support, by a judge model</h2><ul>{lines}</ul></section>"


def _by_kind(summary: Json) -> list[plots.Bar]:
    bars = []
    for kind, figures in (summary.get("kinds") or {}).items():
        # For what cannot be answered, abstaining is correct.
        figure = figures.get("accuracy") or figures.get("abstention_recall")
        if figure:
            name = kind.replace("_", " ")
            bars.append(
                plots.Bar(name, figure["value"], figure["low"], figure["high"], figure["n"])
            )
    return bars


def _bins(rows: Sequence[Row]) -> list[tuple[float, float, int]]:
    answered = [row.scores for row in rows if row.scores.get("answered")]
    if not answered:
        return []
    sure = np.asarray([scores.get("confidence") or 0.0 for scores in answered])
    right = np.asarray([scores.get("correct_answer") or 0.0 for scores in answered])
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    return [
        (
            float(sure[place == at].mean()),
            float(right[place == at].mean()),
            int((place == at).sum()),
        )
        for at in range(BINS)
        if (place == at).any()
    ]


def _questions(
    rows: Sequence[Json], questions: Sequence[Question], titles: Mapping[str, str]
) -> str:
    items, kinds, outcomes = [], dict[str, int](), dict[str, int]()
    for row, question in zip(rows, questions, strict=True):
        became = outcome(row["scores"])
        kinds[question.kind] = kinds.get(question.kind, 0) + 1
        outcomes[became] = outcomes.get(became, 0) + 1
        items.append(_question(row, question, became, titles))
    kind_options = "".join(
        f'<option value="{escape(kind)}">{escape(kind.replace("_", " "))} ({count})</option>'
        for kind, count in kinds.items()
    )
    outcome_options = "".join(
        f'<option value="{name}">{label} ({outcomes[name]})</option>'
        for name, label in _OUTCOMES.items()
        if name in outcomes
    )
    failed = len(rows) - outcomes.get("correct", 0)
    return f"""<section><h2>Questions</h2>
<form class="filters" id="filters">
<label>Kind <select id="kind"><option value="">all ({len(rows)})</option>{kind_options}</select>
</label>
<label>Outcome <select id="outcome"><option value="">all ({len(rows)})</option>
<option value="failed">all that failed ({failed})</option>{outcome_options}</select></label>
<label>Holds <input id="words" type="search" placeholder="words, paper or id"></label>
<output id="shown">{len(rows)} shown</output>
<button type="button" id="open">Open all shown</button>
</form>
<noscript><p class="note">Without JavaScript the questions cannot be filtered.</p></noscript>
<div id="questions">{"".join(items)}</div></section>"""


def _question(row: Json, question: Question, became: str, titles: Mapping[str, str]) -> str:
    answer: Json | None = row.get("answer")
    scores: Scores = row["scores"]
    faults = why(question, answer, scores, titles, row.get("error"))
    parts = []
    if question.history:
        turns = "".join(
            f"<p><b>{escape(turn.role)}</b> {escape(turn.content)}</p>" for turn in question.history
        )
        parts.append(f'<h4>Earlier</h4><div class="history">{turns}</div>')
    if faults:
        parts.append(
            '<h4>What is wrong</h4><ul class="faults">'
            + "".join(f"<li>{escape(fault)}</li>" for fault in faults)
            + "</ul>"
        )
    parts.append('<div class="sides">' + _said(answer) + _gold(question, answer, titles) + "</div>")
    parts.append(f'<p class="scores">{_scores(scores)}</p>')
    return (
        f'<details class="question {became}" data-kind="{escape(question.kind)}" '
        f'data-outcome="{became}"><summary><span class="badge">{_OUTCOMES[became]}</span>'
        f'<span class="id">{escape(question.id)}</span>'
        f'<span class="kind">{escape(question.kind.replace("_", " "))}</span>'
        f'<span class="asked">{escape(question.question)}</span></summary>'
        f"{''.join(parts)}</details>"
    )


def _said(answer: Json | None) -> str:
    if answer is None:
        return "<div><h4>Answer</h4><p>none</p></div>"
    sentences = "".join(
        f'<li><span class="verdict {escape(s["verdict"])}">{escape(s["verdict"])} '
        f"{s['support']:.2f}</span> {escape(s['text'])} "
        f"{escape(' '.join(f'[{n}]' for n in s['citations']))}</li>"
        for s in answer["sentences"]
    )
    cited = "".join(
        f"<li>[{citation['n']}] <b>{escape(str(citation['paper']['title']))}</b>"
        + "".join(f"<blockquote>{escape(span['text'])}</blockquote>" for span in citation["spans"])
        + "</li>"
        for citation in answer["citations"]
    )
    found = "".join(f"<li>{escape(str(paper['title']))}</li>" for paper in answer["retrieved"][:10])
    return (
        f'<div><h4>Answer <span class="small">confidence {answer["confidence"]:.2f}</span></h4>'
        f'<div class="answer">{_BOLD.sub(_bold, escape(answer["answer"]))}</div>'
        + (f'<h4>Sentences</h4><ul class="plain">{sentences}</ul>' if sentences else "")
        + (f'<h4>Cited</h4><ul class="plain">{cited}</ul>' if cited else "")
        + f"<details><summary>Retrieved</summary><ol>{found}</ol></details></div>"
    )


_BOLD = re.compile(r"\*\*([^*\n]{1,300})\*\*")


def _bold(found: re.Match[str]) -> str:
    return f"<b>{found[1]}</b>"


def _gold(question: Question, answer: Json | None, titles: Mapping[str, str]) -> str:
    text = plain(answer["answer"]) if answer is not None and answer["answered"] else ""
    cited = cited_papers(answer) if answer is not None else ()
    lines = []
    for nugget in question.nuggets:
        lines.append(
            f"<li>{_mark(has_nugget(text, nugget))} {escape(' | '.join(nugget.forms))}"
            f"<blockquote>{escape(nugget.span)}</blockquote></li>"
        )
    if question.value is not None:
        value = question.value
        lines.append(
            f"<li>{_mark(has_value(text, value))} {value.value:g} {escape(value.unit)} "
            f"(± {value.tolerance:g})</li>"
        )
    papers = "".join(
        f"<li>{_mark(paper in cited)} {escape(titles.get(paper, paper))}</li>"
        for paper in question.required
    )
    accepted = "".join(
        f"<li>{escape(titles.get(paper, paper))}</li>" for paper in question.acceptable
    )
    banned = "".join(f"<li>{escape(words)}</li>" for words in question.must_not)
    if not question.answerable:
        lines.append("<li>The papers do not hold the answer: it should say so.</li>")
    return (
        "<div><h4>Gold</h4>"
        + f'<ul class="plain">{"".join(lines)}</ul>'
        + (f'<h4>Must be cited</h4><ul class="plain">{papers}</ul>' if papers else "")
        + (f"<h4>May be cited</h4><ul>{accepted}</ul>" if accepted else "")
        + (f"<h4>Must not be said</h4><ul>{banned}</ul>" if banned else "")
        + (f'<p class="note">{escape(question.note)}</p>' if question.note else "")
        + "</div>"
    )


def _mark(there: bool) -> str:
    return (
        '<span class="there" title="there">✓</span>'
        if there
        else '<span class="missing" title="missing">✗</span>'
    )


def _scores(scores: Scores) -> str:
    shown = ("nugget_recall", "number", "cited_precision", "cited_recall", "citation_recall",
             "citation_precision", "ndcg_at_10", "words", "latency_ms")  # fmt: skip
    named = {"words": "words", "latency_ms": "ms"}
    said = [
        f"{value:.0f} {named[name]}" if name in named else f"{escape(title_of(name))} {value:.2f}"
        for name in shown
        if (value := scores.get(name)) is not None
    ]
    tokens = sum(scores.get(name) or 0 for name in ("prompt_tokens", "completion_tokens"))
    if tokens:
        cost = scores.get("cost")
        said.append(f"{tokens:.0f} tokens, cost {'not known' if cost is None else f'{cost:.3g}'}")
    return " · ".join(said)


def _provenance(summary: Json) -> str:
    lines = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts_of(summary).items()
        if value
    )
    return f"<section><h2>Made with</h2><table>{lines}</table></section>"


_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5a6675;--paper:#fff;--card:#f6f8fa;
--edge:#d9dfe6;--accent:#2563a8;--good:#1a7f4b;--bad:#b3261e;--half:#9a6700}
@media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--soft:#9aa7b6;--paper:#12161c;
--card:#1a2028;--edge:#2e3844;--accent:#79b0f0;--good:#5cc98b;--bad:#ff8a80;--half:#e3b341}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:28px}
.brand{margin:0;color:var(--soft);font-size:14px}
h1{margin:2px 0 8px;font-size:26px;line-height:1.25}
h2{margin:32px 0 8px;font-size:20px}
h4{margin:14px 0 4px;font-size:14px;color:var(--soft)}
.note,.small{color:var(--soft);font-size:14px}
.small{font-weight:400}
.scroll{overflow-x:auto}
.groups{columns:2;column-gap:40px}
.groups>div{break-inside:avoid;margin-bottom:22px}
.groups thead th:first-child{font-weight:600;color:var(--ink);font-size:15px}
.groups table{width:100%}
@media (max-width:1020px){.groups{columns:1}}
table{border-collapse:collapse;font-size:15px}
th,td{padding:4px 12px 4px 0;border-bottom:1px solid var(--edge);text-align:left;
vertical-align:top;font-weight:400;overflow-wrap:anywhere}
thead th{color:var(--soft);font-size:13px}
.figures th{overflow-wrap:normal}
.figures td{font-variant-numeric:tabular-nums;white-space:nowrap}
.figures td:nth-child(2){font-weight:600}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:16px}
figure{margin:0;padding:12px;background:var(--card);border:1px solid var(--edge);border-radius:8px}
figcaption{font-weight:600;margin-bottom:6px}
svg{display:block;width:100%;height:auto}
svg.inline{width:120px;height:16px;margin-top:4px}
@media (max-width:640px){.figures td:nth-child(3),.figures th:nth-child(3){display:none}
th,td{padding-right:8px}.filters{position:static}}
svg text{fill:var(--soft);font-size:12px}
svg text.small{font-size:11px;fill:var(--ink)}
svg .grid{stroke:var(--edge);fill:none}
svg .bar{fill:var(--accent);opacity:.45}
svg .interval{stroke:var(--ink);stroke-width:1.5;fill:none}
svg .thick{stroke:var(--accent);stroke-width:4;opacity:.4}
svg .line{stroke:var(--accent);stroke-width:2;fill:none}
svg .dot{fill:var(--accent)}
svg .diagonal{stroke:var(--soft);stroke-dasharray:4 4;fill:none}
.filters{display:flex;flex-wrap:wrap;gap:10px 16px;align-items:center;position:sticky;top:0;
background:var(--paper);padding:10px 0;border-bottom:1px solid var(--edge);z-index:1;font-size:15px}
select,input,button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--edge);
border-radius:6px;padding:4px 8px}
output{color:var(--soft)}
.question{border:1px solid var(--edge);border-left:4px solid var(--bad);border-radius:6px;
margin:8px 0;padding:6px 14px}
.question.correct{border-left-color:var(--good)}
.question.partly{border-left-color:var(--half)}
.question[hidden]{display:none}
.question>summary{cursor:pointer;display:flex;gap:10px;align-items:baseline;flex-wrap:wrap}
.badge{flex:none;font-size:13px;font-weight:600;color:var(--bad);min-width:104px}
.correct .badge{color:var(--good)}
.partly .badge{color:var(--half)}
.id,.kind{flex:none;color:var(--soft);font-size:13px;font-variant-numeric:tabular-nums}
.kind{min-width:84px}
.asked{flex:1 1 320px;min-width:0;overflow-wrap:anywhere}
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:0 28px}
.sides>div{min-width:0}
.answer,.history{white-space:pre-wrap;overflow-wrap:anywhere}
.history p{margin:2px 0}
.faults li{color:var(--bad)}
ul,ol{margin:4px 0;padding-left:22px}
ul.plain{list-style:none;padding-left:0}
li{margin:4px 0;overflow-wrap:anywhere}
blockquote{margin:3px 0 6px;padding-left:10px;border-left:3px solid var(--edge);color:var(--soft);
font-size:14px}
.verdict{font-size:12px;color:var(--good)}
.verdict.partly{color:var(--half)}
.verdict.unsupported,.verdict.uncited,.missing{color:var(--bad)}
.there{color:var(--good)}
.scores{color:var(--soft);font-size:13px}
main{padding-bottom:60px}
@media print{.filters{display:none}}
"""

_SCRIPT = """
"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const all = [...document.querySelectorAll(".question")];
  const text = new Map(all.map((one) => [one, one.textContent.toLowerCase()]));
  const shown = () => all.filter((one) => !one.hidden);
  const filter = () => {
    const kind = at("kind").value, outcome = at("outcome").value;
    const words = at("words").value.toLowerCase().split(/\\s+/).filter(Boolean);
    for (const one of all) {
      const fits = (!kind || one.dataset.kind === kind)
        && (!outcome || one.dataset.outcome === outcome
            || (outcome === "failed" && one.dataset.outcome !== "correct"))
        && words.every((word) => text.get(one).includes(word));
      one.hidden = !fits;
    }
    at("shown").textContent = shown().length + " shown";
  };
  for (const id of ["kind", "outcome", "words"]) at(id).addEventListener("input", filter);
  at("filters").addEventListener("submit", (event) => event.preventDefault());
  at("open").addEventListener("click", () => {
    const some = shown(), open = some.some((one) => !one.open);
    for (const one of some) one.open = open;
  });
  filter();
})();
"""


def sample_titles() -> dict[str, str]:
    """Titles of the sample papers by id."""
    return {paper.id: paper.title for paper in read(sample_folder()) if isinstance(paper, Paper)}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write(f"{write(Path(name), sample_titles())}\n")
