"""Proof, later, that a saved answer still says what the papers say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from citewise.grounding.checker import check
from citewise.grounding.remarks import without_remarks
from citewise.types import Json, Paper, Verdict, sha256_of

_TABLE_RULE = re.compile(r"[\s|:]*-[\s|:-]*")
_LAYOUT_WORDS = 16
"""A longer heading or announcement is a claim."""
SUPPORT_TOLERANCE = 0.005
"""Difference in support that rounding in a saved answer may make."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that a saved answer says and that cannot be proved."""

    answer: str
    """Id of the answer."""
    what: str
    """What fails, for people."""

    def to_dict(self) -> Json:
        """The fields by name."""
        return {"answer": self.answer, "what": self.what}


def verify_answer(saved: Mapping[str, Any], papers: Mapping[str, Paper]) -> list[Failure]:
    """Everything in a saved answer that ``papers`` (by id) do not prove; empty when all holds.

    Each span must stand in its abstract at its offsets with its hash, each sentence's check must
    repeat with the same verdict, each citation must exist, and the answer's text must consist of
    its sentences. Raises ValueError, KeyError or TypeError for what is not an answer.
    """
    name = str(saved["id"])
    failures: list[Failure] = []
    spans: dict[int, list[str]] = {}
    titles: dict[int, str] = {}

    def fail(what: str) -> None:
        failures.append(Failure(name, what))

    for citation in saved["citations"]:
        n, paper_id = int(citation["n"]), str(citation["paper"]["id"])
        if n in spans:
            fail(f"citation [{n}] is listed twice")
        spans[n] = [str(span["text"]) for span in citation["spans"]]
        titles[n] = str(citation["paper"]["title"])
        paper = papers.get(paper_id)
        if paper is None:
            fail(f"citation [{n}]: the paper {paper_id} is not in the library")
            continue
        if paper.title != titles[n]:
            fail(f"citation [{n}]: the paper {paper_id} is called {paper.title!r}")
        for span in citation["spans"]:
            start, end, text = int(span["start"]), int(span["end"]), str(span["text"])
            if sha256_of(text) != span["sha256"]:
                fail(f"citation [{n}]: the quoted words at {start}:{end} do not have their hash")
            elif not 0 <= start < end or paper.abstract[start:end] != text:
                fail(f"citation [{n}]: the abstract of {paper_id} differs at {start}:{end}")
    for what in _unaccounted(saved, titles.values()):
        fail(what)
    for place, sentence in enumerate(saved["sentences"], 1):
        text = str(sentence["text"])
        if not _stands_in(text, str(saved["answer"])):
            fail(f"sentence {place} is not in the answer's text")
        unknown = [n for n in sentence["citations"] if n not in spans]
        if unknown:
            fail(f"sentence {place} cites {unknown}, which the answer does not list")
            continue
        if not sentence["citations"]:
            if sentence["verdict"] != Verdict.UNCITED.value:
                fail(f"sentence {place} cites nothing but is called {sentence['verdict']}")
            elif not abs(float(sentence["support"])) <= SUPPORT_TOLERANCE:
                fail(f"sentence {place} cites nothing but has support {sentence['support']}")
            continue
        refs = [(int(n), int(at)) for n, at in sentence.get("spans") or []]
        if any(n not in spans or not 0 <= at < len(spans[n]) for n, at in refs):
            fail(f"sentence {place} points at words that the answer does not list")
            continue
        if refs and {n for n, _ in refs} != set(sentence["citations"]):
            fail(f"sentence {place} cites {sentence['citations']}, but its words are of others")
            continue
        evidence = [spans[n][at] for n, at in refs] or [
            span for n in sentence["citations"] for span in spans[n]
        ]
        context = " ".join(dict.fromkeys(titles[n] for n, _ in refs))
        again = check(without_remarks(text), evidence, context=context)
        # Written so that a support that is no number does not pass.
        drifted = not abs(again.support - float(sentence["support"])) <= SUPPORT_TOLERANCE
        if again.verdict.value != sentence["verdict"] or drifted:
            reasons = f" ({'; '.join(again.reasons)})" if again.reasons else ""
            fail(
                f"sentence {place} is saved as {sentence['verdict']} {sentence['support']}, "
                f"checked again it is {again.verdict.value} {again.support:.4f}{reasons}"
            )
    return failures


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def _stands_in(sentence: str, answer: str) -> bool:
    """Whether a sentence's words stand in the answer, whatever its marks and white space."""
    return _letters(sentence) in _letters(_without_markers(answer))


def _unaccounted(saved: Mapping[str, Any], cited: Iterable[str]) -> Iterator[str]:
    """What a person reads in an answer though none of its sentences says it."""
    sentences = saved["sentences"]
    answer = str(saved["answer"])
    marked = {int(n) for n in re.findall(r"\[(\d{1,4})\]", answer)}
    meant = {int(n) for sentence in sentences for n in sentence["citations"]}
    if marked != meant:
        yield f"the answer's text cites {sorted(marked)}, its sentences {sorted(meant)}"
    if not sentences:
        if saved.get("answered", True) is not False:
            yield "the answer has no sentences"
        return
    titles = {*cited, *(str(paper["title"]) for paper in saved.get("retrieved") or [])}
    layout = {_letters(t) for title in titles for t in (title, title.split(":", 1)[0])}
    # Longest first, so that a sentence within another does not break it.
    said = sorted({_letters(str(sentence["text"])) for sentence in sentences}, key=len)[::-1]
    lines = _without_markers(answer).split("\n")
    for at, line in enumerate(lines):
        rest = _letters(re.sub(r"^\s*(?:>\s*)*\d{1,2}[.)]\s", "", line))
        for words in filter(None, said):
            rest = rest.replace(words, "")
        ruled = any(_TABLE_RULE.fullmatch(below) for below in lines[at + 1 : at + 2])
        table_head = line.lstrip().startswith("|") and ruled
        announces = line.lstrip().startswith("#") or line.rstrip(" *_").endswith(":")
        short = len(line.split()) <= _LAYOUT_WORDS
        if rest and rest not in layout and not (table_head or (announces and short)):
            yield f"the answer says {line.strip()[:200]!r}, which is none of its sentences"


def _without_markers(answer: str) -> str:
    """The answer without its ``[1]`` markers."""
    parts = answer.split("[")
    kept = [parts[0]]
    for part in parts[1:]:
        inside, closed, rest = part.partition("]")
        kept.append(rest if closed and inside.isdigit() else "[" + part)
    return "".join(kept)
