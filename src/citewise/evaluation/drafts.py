"""Questions drafted by rule from a library's own papers, for a person to accept or mend.

So that anyone can measure their own papers: two sorts of sentences hold a fact that can be asked
for without understanding it. A sentence with a measured number (*by 40 %*, *27 fps*) is asked for
the number, a sentence in which the authors propose something is asked what it is. The gold of a
draft is its sentence. A draft counts for nothing until a person sets ``accepted`` to true.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from citewise.errors import UsageError
from citewise.evaluation.datasets import Nugget, Question, Value
from citewise.evaluation.measures import SEED, has_nugget, has_value, plain
from citewise.evaluation.proof import faults, runs_of
from citewise.library.passages import sentence_spans
from citewise.types import Json, Paper

_UNIT = (
    r"%|percent|×|x|times|fps|ms|milliseconds|seconds|minutes|hours|GPU hours|GB|MB|GiB|"
    r"tokens/s|mAP|BLEU|points"
)
_NUMBER = rf"(?P<number>\d+(?:\.\d+)?)\s?\\?(?P<unit>{_UNIT})(?![A-Za-z0-9])"
_HEDGE = r"(?:about|over|up to|around|nearly|more than|approximately|as much as|an average of)"
_CHANGE = re.compile(
    r"\b(?P<verb>reduc|improv|increas|decreas|lower|accelerat|outperform|surpass|boost|cut)"
    r"(?:e|es|s|ed|ing|ting|ts)?\b"
    rf"\s+(?P<what>[^,.;:()\[\]]{{4,70}}?)\s+by\s+(?:{_HEDGE}\s+)?{_NUMBER}",
    re.IGNORECASE,
)
_REACH = re.compile(
    r"\b(?:achiev|reach|attain|obtain|yield|deliver)(?:e|es|s|ed|ing)?\b\s+"
    rf"(?:an?\s+)?(?:{_HEDGE}\s+)?{_NUMBER}\s+(?:of\s+)?(?P<what>[A-Za-z][^,.;:()\[\]]{{3,50}}?)"
    r"(?=\s+(?:on|over|for|in|with|compared|than|while|and|by|at|across|using)\b|[,.;:]|$)",
    re.IGNORECASE,
)
_PROPOSE = re.compile(
    r"\b(?:we|this (?:paper|work)|the authors)\s+(?:therefore\s+|thus\s+|then\s+)?"
    r"(?:propos|introduc|present|develop|design)(?:e|es|s)\s+"
    r"(?P<thing>(?:an?|the|two|three)?\s*[A-Za-z][^.;:]{10,160}?)"
    r"(?=\s+(?:that|which|to|for|by|where|in which)\b|[.,;:]|$)",
    re.IGNORECASE,
)
_STEMS: Mapping[str, str] = {
    "reduc": "reduce", "improv": "improve", "increas": "increase", "decreas": "decrease",
    "lower": "lower", "accelerat": "accelerate", "outperform": "outperform",
    "surpass": "surpass", "boost": "boost", "cut": "cut",
}  # fmt: skip
_UNITS: Mapping[str, str] = {"percent": "%", "×": "x", "times": "x"}
_SHORT_NAME = 5
"""Words of a title before its colon that still make a name."""


def draft(paper: Paper, *, most: int = 2) -> tuple[Question, ...]:
    """At most ``most`` questions about one paper: numbers first, then what it proposes."""
    sentences = [paper.abstract[start:end] for start, end in sentence_spans(paper.abstract)]
    found = [made for make in (_number, _proposal) for s in sentences if (made := make(paper, s))]
    kinds: dict[str, Question] = {}
    for question in found:
        # One of each sort: two numbers of one abstract are easily taken for each other.
        kinds.setdefault(question.kind, question)
    return tuple(kinds.values())[:most]


def draft_all(papers: Iterable[Paper], *, limit: int = 40, seed: int = SEED) -> list[Json]:
    """Drafts over many papers, spread by chance with a fixed seed: lines of a question file.

    Each has ``accepted`` (false) and ``check``, what a person has to mend first (a copied run of
    words, say). Numbers and proposals alternate as far as there are both.
    """
    known = list(papers)
    random.Random(seed).shuffle(known)
    by_kind: dict[str, list[Question]] = {"number": [], "fact": []}
    for paper in known:
        for question in draft(paper):
            by_kind[question.kind].append(question)
        if all(len(questions) >= limit for questions in by_kind.values()):
            break
    mixed = list(_alternating(by_kind["number"], by_kind["fact"]))[:limit]
    rows = []
    for n, question in enumerate(mixed, 1):
        paper = next(p for p in known if p.id == question.required[0])
        printed = runs_of(paper.title) | runs_of(paper.abstract)
        row = {**question.to_dict(), "id": f"own-{n:03d}"}
        row["check"] = faults(question, {paper.id: paper}, printed=printed)
        row["accepted"] = False
        rows.append(row)
    return rows


def write_drafts(rows: Sequence[Json], file: Path) -> None:
    """Write drafts as a question file; raises UsageError rather than replace one that is there."""
    if file.exists():
        raise UsageError(
            f"{file} is there already and may hold accepted questions; name another one with --out"
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file} cannot be written to ({error.strerror})") from error


def _number(paper: Paper, sentence: str) -> Question | None:
    change, reach = _CHANGE.search(sentence), _REACH.search(sentence)
    match = change or reach
    if match is None:
        return None
    what = _tidy(match["what"])
    name = _name(paper)
    if what.lower().startswith(("and ", "or ", "to ")):
        return None
    if change:
        asked = f"By how much does {name} {_STEMS[change['verb'].lower()]} {what}?"
    unit = _UNITS.get(match["unit"].lower(), match["unit"])
    if not change:
        asked = f"{'How many times' if unit == 'x' else 'What'} {what} does {name} reach?"
    number = float(match["number"])
    written = f"{match['number']}{unit}" if unit in ("%", "x") else f"{match['number']} {unit}"
    forms = tuple(dict.fromkeys([written, re.sub(r"\\", "", match.group()[match.start("number")
                                 - match.start() :])]))  # fmt: skip
    nugget = Nugget(forms, paper.id, sentence)
    value = Value(number, unit, 0.0)
    text = plain(sentence)
    if not has_nugget(text, nugget) or not has_value(text, value):
        return None
    return Question(
        f"{paper.id}-number", "number", asked, required=(paper.id,), nuggets=(nugget,), value=value
    )


def _proposal(paper: Paper, sentence: str) -> Question | None:
    match = _PROPOSE.search(sentence)
    if match is None:
        return None
    thing = _tidy(match["thing"])
    # A name that the question holds already is no answer to it.
    name = _name(paper)
    if len(thing.split()) < 3 or thing.lower() in name.lower():
        return None
    # 'NAME, a framework' is answered by what it is.
    named, comma, rest = thing.partition(",")
    if comma and len(named.split()) == 1 and len(rest.split()) >= 3:
        thing = rest.strip()
    core = re.sub(r"^(?:an?|the|two|three)\s+", "", thing, flags=re.IGNORECASE)
    nugget = Nugget((core,), paper.id, sentence)
    if not has_nugget(plain(sentence), nugget):
        return None
    return Question(
        f"{paper.id}-fact",
        "fact",
        f"What does {name} propose?",
        required=(paper.id,),
        nuggets=(nugget,),
    )


def _name(paper: Paper) -> str:
    head, colon, _ = paper.title.partition(":")
    if colon and 0 < len(head.split()) <= _SHORT_NAME:
        return head.strip()
    return f"the paper '{paper.title.strip()}'"


def _tidy(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip(" ,;-")


def _alternating(a: Sequence[Question], b: Sequence[Question]) -> Iterator[Question]:
    for at in range(max(len(a), len(b))):
        yield from a[at : at + 1]
        yield from b[at : at + 1]
