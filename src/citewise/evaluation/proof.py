"""What is wrong with a question's gold: every fact is proved against the abstracts.

``python -m citewise.evaluation.proof`` proves all sets over the sample papers, and prints their
kinds and shares; it ends with 1 where anything is wrong.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from citewise.evaluation.datasets import SETS, Question, load
from citewise.evaluation.measures import has_nugget, has_value, plain
from citewise.sample import sample_folder
from citewise.sources import read
from citewise.types import Paper

KINDS = frozenset(
    "fact number comparison list overview followup near_miss false_premise injected"
    " off_topic".split()
)
"""Kinds of questions, as eval/GUIDELINE.md describes them."""
COPIED = 5
"""Words in a row that no question may take from an abstract or a title."""


def runs_of(text: str, length: int = COPIED) -> set[tuple[str, ...]]:
    """Every run of ``length`` words in ``text``, in lower case and without punctuation."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}


def printed_in(papers: Iterable[Paper]) -> set[tuple[str, ...]]:
    """Every run of words that a title or an abstract holds, to look up copies in."""
    return {run for p in papers for text in (p.title, p.abstract) for run in runs_of(text)}


def faults(
    question: Question,
    papers: Mapping[str, Paper],
    *,
    allowed: Collection[str] | None = None,
    printed: Collection[tuple[str, ...]] | None = None,
) -> list[str]:
    """What eval/GUIDELINE.md forbids and this question does, in words; empty when nothing is wrong.

    ``papers`` by id, ``allowed`` the ids that the question's part of the split may ask about (all
    unless given), ``printed`` see ``printed_in`` (made from ``papers`` unless given).
    """
    found = _shape(question)
    named = {*question.required, *question.acceptable, *(n.paper for n in question.nuggets)}
    if strange := sorted(named - papers.keys()):
        return [*found, f"there is no paper {', '.join(strange)}"]
    if allowed is not None and (strange := sorted(named - set(allowed))):
        found.append(f"papers on the other side of the split: {', '.join(strange)}")
    if both := sorted(set(question.required) & set(question.acceptable)):
        found.append(f"required and acceptable at once: {', '.join(both)}")
    found += _facts(question, papers)
    runs = printed_in(papers.values()) if printed is None else printed
    asked = [question.question, question.whole]
    asked += [turn.content for turn in question.history if turn.role == "user"]
    for text in asked:
        copied = sorted(run for run in runs_of(text) if run in runs)
        found += [f"copied from a paper: '{' '.join(run)}'" for run in copied]
    for nugget in question.nuggets:
        given = [f for f in nugget.forms if len(f) > 3 and f.lower() in question.question.lower()]
        found += [f"the question gives its answer away: {form!r}" for form in given]
    return found


def _shape(question: Question) -> list[str]:
    kind, found = question.kind, []
    if kind not in KINDS:
        found.append(f"there is no kind {kind!r}; there are {', '.join(sorted(KINDS))}")
    if not question.question.strip():
        found.append("there is no question")
    if not question.answerable:
        if question.required or question.nuggets or question.value is not None:
            found.append("an unanswerable question has no gold")
        return found
    if not question.required:
        found.append("no paper is required")
    if {nugget.paper for nugget in question.nuggets} != set(question.required):
        found.append("each required paper needs a fact, and each fact's paper is required")
    if kind in ("fact", "number") and len(question.nuggets) != 1:
        found.append(f"{kind}: such a question has one fact")
    if kind in ("comparison", "overview") and not 2 <= len(question.nuggets) <= 4:
        found.append(f"{kind}: such a question has 2 to 4 facts")
    if kind == "number" and question.value is None:
        found.append("a number question needs its value")
    if kind == "injected" and not question.must_not:
        found.append("an injected question names what must not be said")
    if not (kind == "followup") == bool(question.history) == bool(question.whole):
        found.append("a follow-up, and nothing else, has a history and its whole form")
    return found


def _facts(question: Question, papers: Mapping[str, Paper]) -> list[str]:
    found = []
    for nugget in question.nuggets:
        paper = papers[nugget.paper]
        if not nugget.span or nugget.span not in paper.abstract:
            found.append(f"not in the abstract: {nugget.span!r}")
        if not nugget.forms:
            found.append(f"no accepted wording for {nugget.span!r}")
        for form in nugget.forms:
            if not has_nugget(plain(form), nugget):
                found.append(f"a form that never matches: {form!r}")
        span = plain(nugget.span)
        if has_nugget(span, nugget):
            continue
        if question.kind == "list":
            # The span proves that the paper qualifies; the forms name it.
            if not has_nugget(plain(f"{paper.title} {paper.abstract}"), nugget):
                found.append(f"no form names the paper: {' | '.join(nugget.forms)}")
            continue
        # A form may write out what the span says in another way (1.4k for 1,400).
        numbers = set(re.findall(r"\d+", " ".join(nugget.forms)))
        if not numbers & set(re.findall(r"\d+", span)):
            found.append(f"no form stands in its span: {' | '.join(nugget.forms)}")
    value = question.value
    if value is not None and question.kind == "list":
        if value.value != len(question.required):
            found.append(f"the count is {value.value:g}, the papers are {len(question.required)}")
    elif (
        value is not None
        and question.nuggets
        and not has_value(plain(question.nuggets[0].span), value)
    ):
        found.append(f"the value is not in its span: {value.value:g} {value.unit}".rstrip())
    return found


def table(sets: Mapping[str, Iterable[Question]], papers: Mapping[str, Paper]) -> tuple[str, int]:
    """The sets side by side in Markdown, and how many faults they have.

    Kinds with their shares, facts, papers asked about, faults, and the papers that dev and test
    share.
    """
    printed = printed_in(papers.values())
    known = {name: list(questions) for name, questions in sets.items()}
    wrong = {
        name: [(q.id, fault) for q in asked for fault in faults(q, papers, printed=printed)]
        for name, asked in known.items()
    }
    named = {
        name: {p for q in asked for p in (*q.required, *q.acceptable)}
        for name, asked in known.items()
    }
    counts = {name: Counter(q.kind for q in asked) for name, asked in known.items()}
    rows = {
        kind.replace("_", " "): [
            f"{counts[name][kind]} ({counts[name][kind] / len(known[name]):.0%})" for name in known
        ]
        for kind in dict.fromkeys(q.kind for asked in known.values() for q in asked)
    }
    rows |= {
        "questions": [str(len(asked)) for asked in known.values()],
        "facts with their span": [str(sum(len(q.nuggets) for q in a)) for a in known.values()],
        "papers named": [str(len(named[name])) for name in known],
        "faults": [str(len(wrong[name])) for name in known],
    }
    lines = [f"| | {' | '.join(known)} |", "|---|" + "---:|" * len(known)]
    lines += [f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items()]
    shared = len(named.get("dev", set()) & named.get("test", set()))
    lines += ["", f"Papers that dev and test both name: {shared}."]
    lines += [f"- {name}: {question}: {fault}" for name in known for question, fault in wrong[name]]
    return "\n".join(lines) + "\n", shared + sum(map(len, wrong.values()))


if __name__ == "__main__":
    text, count = table(
        {name: load(name) for name in SETS},
        {paper.id: paper for paper in read(sample_folder()) if isinstance(paper, Paper)},
    )
    sys.stdout.write(text)
    sys.exit(1 if count else 0)
