"""Questions drafted from a library's own papers, for a person to accept or mend.

So that anyone can measure their own papers. By rule: two sorts of sentences hold a fact that can be
asked for without understanding it. A sentence with a measured number (*by 40 %*, *27 fps*) is asked
for the number, a sentence in which the authors propose something is asked what it is. By prompt: a
language model asks in words of its own; what it gives as the answer must stand in the sentence that
it names, or the draft is dropped. The gold of a draft is its sentence. A draft counts for nothing
until a person sets ``accepted`` to true.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from citewise import prompts
from citewise.backends.writing import ChatTurn, ModelBackend, defused
from citewise.errors import UsageError
from citewise.evaluation.datasets import Nugget, Question, Value
from citewise.evaluation.measures import SEED, has_nugget, has_value, plain
from citewise.evaluation.proof import faults, runs_of
from citewise.library.passages import sentence_spans
from citewise.types import Json, Paper, Usage

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
PROMPTS = ("draft_question_system", "draft_question_user")
_NOTHING = "NONE"
"""What a model is told to reply when an abstract holds nothing to ask for."""
_PER_PAPER = 2
_TOKENS = 768
_LONGEST_ANSWER = 12
"""Words of an answer that still can be looked for as they stand."""
_FIELD = re.compile(r"^\W*(?P<name>QUESTION|ANSWER|SENTENCE)\W*:\s*(?P<text>.+)$", re.IGNORECASE)
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
    by_id = {paper.id: paper for paper in known}
    return [_row(n, question, by_id[question.required[0]]) for n, question in enumerate(mixed, 1)]


def _row(n: int, question: Question, paper: Paper) -> Json:
    printed = runs_of(paper.title) | runs_of(paper.abstract)
    row = {**question.to_dict(), "id": f"own-{n:03d}"}
    row["check"] = faults(question, {paper.id: paper}, printed=printed)
    row["accepted"] = False
    return row


class ModelDrafter:
    """Drafts questions with a language model, one call a paper."""

    def __init__(self, backend: ModelBackend) -> None:
        self._backend = backend
        self.usage = Usage()
        """What all replies cost."""
        self.dropped = 0
        """Drafts whose answer does not stand in the sentence that they name, and replies without
        any draft."""

    def drafts(
        self,
        papers: Iterable[Paper],
        *,
        limit: int = 40,
        seed: int = SEED,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Json]:
        """Drafts as ``draft_all`` gives them, each as soon as it is there.

        Papers are asked about in an order of chance with a fixed seed, until there are enough or no
        paper is left. Raises BackendError when the model does not reply.
        """
        known = list(papers)
        random.Random(seed).shuffle(known)
        made = 0
        for paper in known:
            if made >= limit:
                return
            for question in self.draft(paper)[: limit - made]:
                made += 1
                yield _row(made, question, paper)
            if on_progress:
                on_progress(made, limit)

    def draft(self, paper: Paper) -> tuple[Question, ...]:
        """The usable questions that the model asks about one paper, two at most."""
        sentences = [paper.abstract[start:end] for start, end in sentence_spans(paper.abstract)]
        user = prompts.load(PROMPTS[1]).render(
            title=defused(paper.title, 300),
            sentences="\n".join(f"{n}. {defused(s)}" for n, s in enumerate(sentences, 1)),
        )
        turns = (
            ChatTurn("system", prompts.load(PROMPTS[0]).render(nothing=_NOTHING)),
            ChatTurn("user", user),
        )
        reply, usage = self._backend.reply(turns, _TOKENS)
        self.usage += usage
        given = _drafts_in(reply)
        found = [
            question
            for asked, answer, number in given[:_PER_PAPER]
            if (question := _drafted(paper, sentences, asked, answer, number))
        ]
        self.dropped += max(1, min(len(given), _PER_PAPER)) - len(found)
        return tuple(found)


def _drafts_in(reply: str) -> list[tuple[str, str, int]]:
    """Question, answer and number of its sentence, of each complete draft in a reply."""
    found, fields = [], dict[str, str]()
    for line in reply.splitlines():
        match = _FIELD.match(line.strip())
        if match is None:
            continue
        name = match["name"].upper()
        if name == "QUESTION":
            fields = {}
        fields[name] = match["text"].strip().strip("*\"'`“”").strip()
        number = re.search(r"\d+", fields.get("SENTENCE", ""))
        if len(fields) == 3 and number:
            found.append((fields["QUESTION"], fields["ANSWER"], int(number.group())))
            fields = {}
    return found


def _drafted(
    paper: Paper, sentences: Sequence[str], asked: str, answer: str, number: int
) -> Question | None:
    if not 0 < number <= len(sentences) or not 0 < len(answer.split()) <= _LONGEST_ANSWER:
        return None
    sentence = sentences[number - 1]
    nugget = Nugget((answer.rstrip(".,;"),), paper.id, sentence)
    text = plain(sentence)
    if len(asked.split()) < 3 or not has_nugget(text, nugget):
        return None
    measured = re.match(_NUMBER, answer, re.IGNORECASE)
    value = None
    if measured:
        unit = _UNITS.get(measured["unit"].lower(), measured["unit"])
        value = Value(float(measured["number"]), unit, 0.0)
        if not has_value(text, value):
            value = None
    kind = "fact" if value is None else "number"
    return Question(
        f"{paper.id}-{kind}", kind, asked, required=(paper.id,), nuggets=(nugget,), value=value
    )


def refuse_to_replace(file: Path) -> None:
    """Raises UsageError when there is such a file."""
    if file.exists():
        raise UsageError(
            f"{file} is there already and may hold accepted questions; name another one with --out"
        )


def write_drafts(rows: Sequence[Json], file: Path) -> None:
    """Write drafts as a question file; raises UsageError rather than replace one that is there."""
    refuse_to_replace(file)
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
