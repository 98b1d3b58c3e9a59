"""The long way to an answer: split the question, search each part, look again, cross-check.

After MIRAGE and the many works on question decomposition, but without a model where there is none:
comparisons are split by their sides, joined questions at their joints, overviews by aspects. A
question for one thing takes the short way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from citewise.answering.evidence import Selection, names_held, select_evidence
from citewise.answering.kinds import SEVERAL, WIDE, kind_of
from citewise.answering.talk import leans_on_history
from citewise.backends.base import Backend, Splitter, WritingTask
from citewise.backends.extractive import ExtractiveBackend
from citewise.grounding.abstention import ANSWERABLE, answerability
from citewise.grounding.locks import names
from citewise.grounding.overlap import read
from citewise.grounding.quantities import Quantity, quantities
from citewise.library.library import Library
from citewise.types import Evidence, Hit, Question, QuestionKind, Usage, short_name

MOST_PARTS = 4
PAPERS_A_PART = 8
"""Papers that are looked at for one sub-question."""
_SENTENCES_A_PART = 8
_PER_PAPER = 3
_KEPT_A_PART = 3
"""Sentences of each sub-question that the writer is offered in any case."""
_SECOND_LOOK_WORDS = 3
_NEAR_THE_BEST = 0.8
_RIVALS_AMONG = 8
"""Sentences among which two are looked for that disagree, and how near the best they are."""
_MOST_PAPERS = 32
_OWN_SCORE = 0.9
"""Share of a paper's score in its sub-question's search that counts where each part is an answer of
its own (sides of a comparison, joined questions)."""
_ASPECT_SCORE = 0.5
"""The same where the parts only widen the search (overviews, lists)."""

_JOINT = re.compile(
    r"[?.!]\s+(?=\S+\s)|[,;]?\s+and\s+(?=(?:how|what|which|why|when|where|who|whom|whose|by (?:how"
    r"|what)|does|do|did|is|are|was|were|can|could|has|have)\b)",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r"\b(?:and|or|versus|vs|both|each|as well as)\b|[,;]", re.IGNORECASE)
_ASPECT = (
    r"(?:,?\s+(?:in terms of|with respect to|with regard to|regarding|concerning|when it comes to"
    r"|on|in|at|for|by)\s+(?P<aspect>[^?.]+))?[?.!\s]*$"
)
_TO = r"(?:and|with|to|against|from|versus|vs\.?)"
_SIDES = (
    re.compile(
        r"^(?:please )?(?:compare|contrast|distinguish)\s+(?P<a>.+?),?\s+"
        rf"{_TO}\s+(?P<b>.+?){_ASPECT}",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:differences?|trade-?offs?|comparison|contrast)\s+(?:between|of)\s+(?P<a>.+?),?\s+"
        rf"(?:and|with|from)\s+(?P<b>.+?){_ASPECT}",
        re.IGNORECASE,
    ),
    re.compile(
        rf"^how\s+(?:do|does|did|are|is)\s+(?P<a>.+?),?\s+(?:and|versus|vs\.?)\s+(?P<b>.+?)\s+"
        rf"(?:differ|different|compare)\b{_ASPECT}",
        re.IGNORECASE,
    ),
    re.compile(
        rf"^how\s+(?:do|does|did|is|are)\s+(?P<a>.+?)\s+(?:differ|different|compared?)\s+{_TO}\s+"
        rf"(?P<b>.+?){_ASPECT}",
        re.IGNORECASE,
    ),
    re.compile(
        r"^which\s+(?:one\s+)?(?P<aspect>[^,:]+?)\s*[,:]\s*(?P<a>.+?),?\s+or\s+(?P<b>.+?)[?.!\s]*$",
        re.IGNORECASE,
    ),
    re.compile(rf"^(?P<a>[^?]+?)\s+(?:versus|vs\.?)\s+(?P<b>.+?){_ASPECT}", re.IGNORECASE),
)
_AND_SAY = re.compile(
    r",?\s+and (?:then )?(?:say|tell|state|explain|show|name|list|give|report|find)\b[^?]*",
    re.IGNORECASE,
)
_ENUMERATION = re.compile(
    r"^(?P<frame>.*\b(?:about|on|of|for|with|using|use|in|to|study|studies|address|cover))\s+"
    r"(?P<items>[^,;?]+(?:,\s*[^,;?]+)*,?\s+(?:and|or)\s+[^,;?]+?)[?.!\s]*$",
    re.IGNORECASE,
)
_FRAME = re.compile(
    r"^(?:please\s+)?(?:(?:give|show|list|name|find|write|summari[sz]e|describe|outline|tell)\b"
    r"(?:\s+(?:me|us|all|every|an?|the|some))*\s*|what\s+(?:is|do|does|are|has|have)\b\s*"
    r"|(?:which|what|how)\b\s*)?(?:(?:an?|the|all|any|current|recent|main|different|known|there"
    r"|we|been|done|papers?|works?|studies|research|methods?|approaches|models?|ways|techniques"
    r"|overview|survey|summary|state|art|ideas|say|says|said|know|find|report|that|which|who|are|is"
    r"|do|have|has|of|on|about|in|for|to|with)\s+)*",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<!\w)[A-Z][\w.-]*\w(?: (?:of |for )?[A-Z\d][\w.-]*)*")
_IT = re.compile(
    r"\b(?:it|they|this|that)(?= |$)(?! (?:is|was) (?:known|possible|true))", re.IGNORECASE
)
_ITS = re.compile(r"\b(?:its|their)\b", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:the|a|an|both)\s+", re.IGNORECASE)
_OWN = re.compile(r"\b(?:we|our|ours|it|its)\b", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][A-Za-z-]{3,}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a question is taken apart."""

    parts: tuple[str, ...]
    """Sub-questions, each to be understood by itself; empty for a question that is one."""
    usage: Usage = Usage()  # noqa: RUF009 - frozen, so that all may share it
    """What a model was asked for it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A sub-question with what was found for it."""

    question: Question
    evidence: tuple[Evidence, ...]
    """Numbered as in the whole evidence; empty when too little was found."""


@dataclass(frozen=True, slots=True)
class Deep:
    """What was found for a question and its parts."""

    hits: tuple[Hit, ...]
    selection: Selection
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    """What was done, for people."""


@dataclass(slots=True)
class _Part:
    question: Question
    hits: tuple[Hit, ...]
    selection: Selection

    @property
    def odds(self) -> float:
        return answerability(self.selection.features, self.selection.unknown_words).probability

    @property
    def weak(self) -> bool:
        return not self.selection.evidence or self.odds < ANSWERABLE


Search = Callable[[Question, int], tuple[Hit, ...]]
"""Papers for a question, at most so many."""


class PartByPart(ExtractiveBackend):
    """Answers joined questions one after the other with the papers' own sentences."""

    def __init__(self, parts: Sequence[Part]) -> None:
        """``parts``: those without evidence are passed over."""
        self._parts = tuple(part for part in parts if part.evidence)

    def write(self, task: WritingTask) -> Generator[str, None, Usage]:
        """Yield the answers line by line; only what answers best is told twice."""
        told: set[int] = set()
        for part in self._parts:
            # The best one may be told again: it is the answer.
            best = part.evidence[0].n
            fresh = tuple(i for i in part.evidence if i.n == best or i.n not in told)
            text = ""
            for piece in super().write(replace(task, question=part.question, evidence=fresh)):
                text += piece
                yield piece
            told.update(int(n) for n in re.findall(r"\[(\d+)\]", text))
            yield "\n\n"
        return Usage()


def are_joined(question: Question) -> bool:
    """Whether the parts of a question are questions of their own, each to be answered."""
    return question.kind not in SEVERAL


def is_simple(question: Question) -> bool:
    """Whether a question asks for one thing: nothing in it is joined, compared or surveyed."""
    if question.kind in SEVERAL:
        return False
    return _SEVERAL.search(question.standalone) is None and not _joined(question.standalone)


def plan(question: Question, backend: Backend) -> Plan:
    """The parts of a question: by the backend if it can split, by rule otherwise."""
    if is_simple(question):
        return Plan(())
    if not isinstance(backend, Splitter):
        return Plan(split(question))
    parts, usage = backend.split(question)
    return Plan(split(question) if parts is None else parts[:MOST_PARTS], usage)


def split(question: Question) -> tuple[str, ...]:
    """Sub-questions by rule: two to four, or none when the question is one."""
    text = question.standalone.strip()
    parts = _joined(text)
    if not parts and question.kind in WIDE:
        parts = _enumerated(text)
        if not parts and question.kind is QuestionKind.OVERVIEW:
            parts = _aspects(text)
    elif not parts:
        parts = _sides(text)
    parts = list(dict.fromkeys(parts))[:MOST_PARTS]
    return tuple(parts) if len(parts) > 1 else ()


def gather(question: Question, parts: Sequence[str], search: Search, library: Library, *,
           papers: int, most: int, most_per_paper: int) -> Deep:  # fmt: skip
    """Search the question and its parts, look again where little was found, merge the evidence.

    ``papers``: looked at for the whole question; ``most`` sentences are offered, more where the
    parts' best ones are not among them. Each part's best stay in.
    """
    notes = [f"Searched for {len(parts)} sub-questions: {_listed(parts)}."]
    searched: list[_Part] = []
    for text in parts:
        asked = replace(question, text=text, standalone=text, kind=kind_of(text))
        part = _found(asked, search(asked, PAPERS_A_PART), library)
        if part.weak:
            part = _look_again(part, search, library, notes)
        searched.append(part)
    share = _ASPECT_SCORE if question.kind in WIDE else _OWN_SCORE
    hits = _merged_hits(search(question, papers), searched, share)
    whole = select_evidence(question, hits, library, most=most, most_per_paper=most_per_paper)
    evidence = _merged(whole, searched, question, hits)
    selection = replace(whole, evidence=evidence)
    best = max(searched, key=lambda part: part.odds)
    if are_joined(question) and best.odds > _Part(question, hits, whole).odds:
        # Half of the questions can be answered: then they are.
        selection = replace(best.selection, evidence=evidence)
    numbers = {(item.paper.id, item.ordinal): item for item in evidence}
    found = tuple(
        Part(
            part.question,
            ()
            if part.weak
            else tuple(
                replace(item, n=numbers[item.paper.id, item.ordinal].n)
                for item in part.selection.evidence
                if (item.paper.id, item.ordinal) in numbers
            ),
        )
        for part in searched
    )
    fitting = [_on_all_names(part.question, part.selection.evidence[:2]) for part in searched]
    notes += _disagreements(fitting)
    return Deep(hits, selection, found, tuple(notes))


# -- taking a question apart ------------------------------------------------------------------


def _joined(text: str) -> list[str]:
    """'How fast is X, and what does it need?' as two questions, the second with its subject."""
    pieces = [piece.strip(" ,;?.!") for piece in _JOINT.split(text)]
    pieces = [piece for piece in pieces if piece]
    # 'In which papers ... and in which ...' and 'what X and Y do' are one question.
    if len(pieces) < 2 or any(len(piece.split()) < 3 for piece in pieces):
        return []
    first = pieces[0]
    named = _NAME.search(first, len(first.split(maxsplit=1)[0]))
    parts = [f"{first}?"]
    for piece in pieces[1:]:
        asked = f"{piece[:1].upper()}{piece[1:]}"
        if named:
            asked = _IT.sub(lambda _: named[0], asked, count=1)
            asked = _ITS.sub(lambda _: f"{named[0]}'s", asked, count=1)
        if leans_on_history(asked) and not (named and named[0] in asked):
            asked += f" ({named[0] if named else _FRAME.sub('', first)})"
        parts.append(f"{asked}?")
    return parts


def _sides(text: str) -> list[str]:
    text = _AND_SAY.sub("", text)
    for pattern in _SIDES:
        match = pattern.search(text)
        if match is None:
            continue
        sides = [*_items(match["a"]), *_items(match["b"])]
        if len(sides) > MOST_PARTS or any(len(side.split()) > 12 for side in sides):
            continue
        aspect = (match["aspect"] or "").strip()
        # All other words are such that say nothing of the matter: the search is for these.
        about = f" ({aspect})" if aspect else ""
        return [f"What do the papers say of {side}{about}?" for side in sides]
    return []


def _items(text: str) -> list[str]:
    """'A, B and C' as its items."""
    found = re.split(r",\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+", text)
    return [_ARTICLE.sub("", item.strip()) for item in found if item.strip()]


def _enumerated(text: str) -> list[str]:
    match = _ENUMERATION.match(text)
    if match is None:
        return []
    items = _items(match["items"])
    if not 2 <= len(items) <= MOST_PARTS or any(len(item.split()) > 5 for item in items):
        return []
    return [f"{match['frame']} {item}?" for item in items]


def _aspects(text: str) -> list[str]:
    topic = _FRAME.sub("", text).strip(" ?.!,;")
    if not topic:
        return []
    return [
        f"Which methods are proposed for {topic}?",
        f"What results are reported for {topic}?",
        f"What are the limits and open problems of {topic}?",
    ]


# -- searching the parts ----------------------------------------------------------------------


def _found(asked: Question, hits: tuple[Hit, ...], library: Library) -> _Part:
    chosen = select_evidence(
        asked, hits, library, most=_SENTENCES_A_PART, most_per_paper=_PER_PAPER
    )
    return _Part(asked, hits, chosen)


def _look_again(part: _Part, search: Search, library: Library, notes: list[str]) -> _Part:
    """Search once more with words of the best passage: the papers' own words for the matter."""
    words = _telling_words(part, library)
    asked = part.question
    if not words:
        notes.append(f"Little was found for “{asked.text}”.")
        return part
    wider = replace(asked, standalone=f"{asked.standalone} {' '.join(words)}")
    known = {hit.paper.id for hit in part.hits}
    new = [hit for hit in search(wider, PAPERS_A_PART) if hit.paper.id not in known]
    again = _found(asked, (*part.hits, *new), library)
    little = "; little was found all the same" if again.weak else ""
    notes.append(f"Looked again for “{asked.text}” with the words {', '.join(words)}{little}.")
    return again


def _telling_words(part: _Part, library: Library) -> list[str]:
    """The rarest words of the best passage that the question lacks and other papers have."""
    if not part.hits:
        return []
    asked = set(library.terms(part.question.standalone))
    typed: dict[str, str] = {}
    for word in _WORD.findall(part.hits[0].passage.text):
        for term in library.terms(word):
            if term not in asked:
                typed.setdefault(term, word.lower())
    frequencies = library.document_frequencies(list(typed))
    shared = [term for term in typed if frequencies[term] > 1]
    shared.sort(key=lambda term: (frequencies[term], term))
    return [typed[term] for term in shared[:_SECOND_LOOK_WORDS]]


def _merged_hits(hits: Sequence[Hit], parts: Sequence[_Part], share: float) -> tuple[Hit, ...]:
    """All papers, each with its best score, best first."""
    best = {hit.paper.id: hit for hit in hits}
    for part in parts:
        for hit in part.hits:
            score = hit.score * share
            known = best.get(hit.paper.id)
            if known is None or score > known.score:
                best[hit.paper.id] = replace(known or hit, score=round(score, 6))
    ranked = sorted(best.values(), key=lambda hit: (-hit.score, hit.paper.id))[:_MOST_PAPERS]
    return tuple(replace(hit, rank=n) for n, hit in enumerate(ranked, 1))


def _merged(
    whole: Selection, parts: Sequence[_Part], question: Question, hits: Sequence[Hit]
) -> tuple[Evidence, ...]:
    """The whole question's evidence and each part's best, without doubles, best first."""
    ranks = {hit.paper.id: hit.rank for hit in hits}
    merged = {(item.paper.id, item.ordinal): item for item in whole.evidence}
    kept: dict[tuple[str, int], Evidence] = {}
    for part in parts:
        for item in part.selection.evidence[:_KEPT_A_PART]:
            place = (item.paper.id, item.ordinal)
            if item.paper.id not in ranks:
                continue
            known = merged.get(place)
            if question.kind in WIDE:
                # It fits one aspect; how far it answers the question was judged for all alike, and
                # so was whether its paper belongs.
                score = (
                    known.score if known else min((i.score for i in merged.values()), default=0.0)
                )
            else:
                score = max(item.score, known.score if known else 0.0)
            kept[place] = replace(
                item,
                score=score,
                paper_rank=ranks[item.paper.id],
                belongs=whole.belongs.get(item.paper.id, 1.0),
            )
    merged.update(kept)
    ranked = sorted(merged.values(), key=lambda item: (-item.score, item.paper_rank, item.ordinal))
    return tuple(replace(item, n=n) for n, item in enumerate(ranked, 1))


# -- cross-checking ---------------------------------------------------------------------------


def _disagreements(answers: Sequence[Sequence[Evidence]]) -> Iterator[str]:
    """A note for each two papers whose best sentences give different numbers for one thing."""
    unique = {(item.paper.id, item.ordinal): item for found in answers for item in found}
    for one, other in combinations(unique.values(), 2):
        if one.paper.id != other.paper.id and disagree(one, other):
            yield (
                "Two papers give different numbers for what may be the same thing: "
                f"“{one.span.text}” ({short_name(one.paper.heading)}) and "
                f"“{other.span.text}” ({short_name(other.paper.heading)})."
            )


def rivals(question: Question, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """Two of the best sentences, of two papers, that ``disagree``; none for lists and the like.

    Each paper must hold all names of the question: what others say is of something else.
    """
    if question.kind in SEVERAL or not evidence:
        return ()
    near = [item for item in evidence if item.score >= evidence[0].score * _NEAR_THE_BEST]
    pairs = combinations(_on_all_names(question, near)[:_RIVALS_AMONG], 2)
    return next(((a, b) for a, b in pairs if a.paper.id != b.paper.id and disagree(a, b)), ())


def _on_all_names(question: Question, evidence: Sequence[Evidence]) -> list[Evidence]:
    """The evidence from papers that hold all names of a question."""
    return [
        item
        for item in evidence
        if names_held(question, [f"{item.paper.title} {item.paper.abstract}"]) == 1.0
    ]


def disagree(one: Evidence, other: Evidence) -> bool:
    """Whether two papers' sentences give different numbers for what is most likely one thing.

    Each gives one number of a kind, in the same unit; they share what is counted; and both speak of
    the same name, which is one paper's own or stands in sentences of which neither speaks of its
    own work. Careful rather than complete: two methods on one benchmark are no disagreement.
    """
    mine, theirs = _Said.by(one), _Said.by(other)
    shared = mine.names & theirs.names
    own = {_folded(short_name(item.paper.heading)) for item in (one, other)}
    if not shared & own and (not shared or mine.own_work or theirs.own_work):
        return False
    if len(mine.words & theirs.words) < 2:
        return False
    return any(
        a.unit == b.unit
        and (a.unit or a.after == b.after)
        and abs(a.value - b.value) > 0.005 * max(abs(a.value), abs(b.value))
        for a in mine.numbers
        for b in theirs.numbers
        if mine.only(a) and theirs.only(b)
    )


@dataclass(frozen=True, slots=True)
class _Said:
    """What a sentence says a number of."""

    names: frozenset[str]
    words: frozenset[str]
    numbers: tuple[Quantity, ...]
    own_work: bool

    @classmethod
    def by(cls, item: Evidence) -> _Said:
        sentences = read(item.span.text)
        found = {_folded(name.text) for s in sentences for name in names(s)}
        own_work = bool(_OWN.search(item.span.text))
        title = _folded(short_name(item.paper.heading))
        return cls(
            frozenset(found | {title}),
            frozenset(term.stem for s in sentences for term in s.terms) - found,
            tuple(
                number
                for s in sentences
                for q in quantities(s)
                for number in (q.parts or (q,))
                if q.source != "name"
            ),
            own_work,
        )

    def only(self, number: Quantity) -> bool:
        return sum(q.unit == number.unit for q in self.numbers) == 1


def _folded(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _listed(parts: Sequence[str]) -> str:
    return "; ".join(f"“{part}”" for part in parts)
