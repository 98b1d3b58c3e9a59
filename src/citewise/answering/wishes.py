"""Wishes inside a question about which papers to look at: 'by Apple', 'in that paper'.

They become filters and leave the words that are searched for. A wish that no paper fits is told and
otherwise left alone: an answer from other papers is better than none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from citewise.library.library import Library
from citewise.types import Filters, Hit, Paper, Question, short_name

_NAME = r"(?P<name>[A-Z][\w.'’&-]*(?: (?:of |de |van |von )?[A-Z][\w.'’&-]*){0,3})"
_PAPERS = r"(?:papers?|works?|studies|study|articles?|publications?|research|preprints?|reports?)"
_LOWER = r"(?P<lower>[a-z]{2,}(?: [a-z.]+)? [a-z]{2,})"
_SOMEBODY = rf"(?:{_NAME}|{_LOWER})"
_BY = (
    re.compile(rf"\b(?P<kept>{_PAPERS}) (?:are |is |were |was )?(?:by|from) {_NAME}(?!\w)"),
    re.compile(
        r"\b(?P<kept>)(?:that (?:was|were) )?(?:written|authored|published|co-authored) by "
        rf"{_NAME}(?!\w)"
    ),
    re.compile(
        rf"^(?P<did>[Ww]h(?:at|ich)(?: {_PAPERS})?) (?:did|does|do|has|have) {_NAME} "
        r"(?:publish(?:ed)?|wr(?:i|o)t(?:e|ten)|author(?:ed)?)\b"
    ),
    re.compile(rf"(?P<kept>)\b{_NAME}(?:['’]s|(?<=s)['’]) (?={_PAPERS}\b)"),
)
"""Wishes that are plainly for an author or an organisation."""
_MAYBE_BY = (
    re.compile(
        rf"^(?P<did>[Ww]hat(?: work| research)?) (?:did|does|do|has|have|is|are) {_SOMEBODY} "
        r"(?:done|(?:been )?work(?:ed|ing)? on|do(?=\W*$)|stud(?:y|ied)|been studying)\b"
    ),
    re.compile(
        rf"^(?P<did>(?:[A-Za-z']+ ){{0,3}}(?:[Aa]ny|[Ss]ome)(?:thing| {_PAPERS})|(?i:{_PAPERS}))"
        rf" (?:by|from) {_SOMEBODY}(?=\W*$| (?:on|about)\b)"
    ),
    re.compile(rf"(?P<kept>),? \b(?:by|from|at) {_NAME}(?!\w)"),
)
"""What may be such a wish: if a paper has that author or organisation."""
_THAT_PAPER = re.compile(
    r"\b(?:in|of|from|by) (?:that|this|the same|the (?:latter|former|first|second|third|last)) "
    r"(?:paper|work|study|article)\b",
    re.IGNORECASE,
)
_THOSE_PAPERS = re.compile(
    r"\b(?:which|what|who|how many|any|some|all|none|each|one) of (?:them|those|these|the (?:two"
    r"|three|four|papers))\b|\bin (?:those|these|the same) (?:papers|works|studies)\b",
    re.IGNORECASE,
)
WHICH_ONE = re.compile(
    r"^which(?: (?P<ones>ones?)\b| (?:is|are|was|were|has|have|had|do|does|did|can|could|needs?"
    r"|uses?|used|works?|runs?|reports?|shows?|gives?)\b)(?!.*\bor\b)",
    re.IGNORECASE,
)
"""Asks for some of those that were told of: it does not say which what."""
_TITLE = r"(?P<name>[A-Z$][\w$.+-]*(?: [A-Z\d][\w.+-]*){0,3})"
_NAMED_PAPER = re.compile(
    rf"\bthe {_TITLE} (?:papers?|abstract|work|article)\b"
    rf"|^[Ww]hat (?:results? |findings? )?(?:does|did) {_TITLE.replace('name', 'saying')} "
    r"(?:report|propose|present|introduce|find|conclude)\b"
)
_NOT_NAMES = frozenset("Daily Arxiv ArXiv".split())


@dataclass(frozen=True, slots=True)
class Wished:
    """A question after its wishes were taken out."""

    text: str
    filters: Filters
    notes: tuple[str, ...] = ()
    """What became of the wishes, for people."""


def wished_papers(question: str, given: Filters, library: Library) -> Wished:
    """The question without its wishes about authors, organisations and named papers.

    Filters that were given stay: a wish narrows them.
    """
    for pattern in _BY:
        if match := pattern.search(question):
            return _by(question, match, given, library, certain=True)
    for pattern in () if _NAMED_PAPER.search(question) else _MAYBE_BY:
        if match := pattern.search(question):
            return _by(question, match, given, library, certain=False)
    if match := _NAMED_PAPER.search(question):
        return _named(question, match["name"] or match["saying"], given, library)
    return Wished(question, given)


def pointed_at(
    question: str, focus: Sequence[Paper], given: Filters, *, of_those: bool = False
) -> Wished:
    """What a follow-up says of the papers of the last answer: 'in that paper', 'which of them'."""
    if not focus:
        return Wished(question, given)
    if _THAT_PAPER.search(question):
        return only(question, focus[:1], given)
    if (of_those or _THOSE_PAPERS.search(question)) and len(focus) > 1:
        note = f"Only the {len(focus)} papers of the last answer were searched."
        return Wished(question, _within(given, [paper.id for paper in focus]), (note,))
    return Wished(question, given)


def only(question: str, papers: Sequence[Paper], given: Filters) -> Wished:
    """The wish for these papers and no others."""
    what = "paper" if len(papers) == 1 else f"{len(papers)} papers"
    names = "; ".join(short_name(paper.heading) for paper in papers)
    note = f"Only the {what} pointed at was searched: {names}."
    if len(papers) > 1:
        note = note.replace(" was ", " were ")
    return Wished(question, _within(given, [paper.id for paper in papers]), (note,))


def _by(
    question: str, match: re.Match[str], given: Filters, library: Library, *, certain: bool
) -> Wished:
    # 'What did Ada Bo publish on caches?' is 'Which papers are there on caches?'
    groups = match.groupdict()
    lower = groups.get("lower")
    name = str(match["name"] or lower).rstrip(".'’&-")
    ids = library.ids_by(name, as_written=not (certain or lower))
    if not certain and _is_matter(name, len(ids), library):
        return Wished(question, given)
    if not ids and not certain:
        return Wished(question, given)
    kept = "Which papers are there" if groups.get("did") else groups["kept"]
    text = " ".join(f"{question[: match.start()]}{kept}{question[match.end() :]}".split())
    text = re.sub(r"\s+([?.,!])", r"\1", text)
    if not ids:
        note = f"No paper here names {name} as its author or organisation: the wish was left out."
        return Wished(text, given, (note,))
    count = "1 paper" if len(ids) == 1 else f"{len(ids)} papers"
    note = f"Only what is by {name} was searched: {count} of {len(library)}."
    return Wished(text, _within(given, ids), (note,))


def _is_matter(name: str, papers: int, library: Library) -> bool:
    """Whether more papers speak of what is called so than are by somebody of that name.

    'From English' is no wish for papers by Ann English.
    """
    told = library.document_frequencies(library.terms(name)).values()
    return min(told, default=0) > papers


def _named(question: str, name: str, given: Filters, library: Library) -> Wished:
    if name in _NOT_NAMES:
        return Wished(question, given)
    called = [
        hit.paper
        for hit in library.find(name, 20).hits
        if _starts(hit.paper.heading, name)
        or short_name(hit.paper.heading).casefold() == name.casefold()
    ]
    # Case tells Medusa from MEDUSA.
    called = [paper for paper in called if paper.heading.startswith(name)] or called
    if not called:
        return Wished(question, given)
    titles = "; ".join(paper.heading for paper in called)
    return Wished(
        question, _within(given, [paper.id for paper in called]), (f"Only searched: {titles}.",)
    )


def _starts(title: str, name: str) -> bool:
    return re.match(rf"{re.escape(name)}(?![\w-])", title, re.IGNORECASE) is not None


def _within(given: Filters, ids: Sequence[str]) -> Filters:
    both = tuple(i for i in ids if not given.papers or i in given.papers)
    return replace(given, papers=both or given.papers or tuple(ids))


_ANYTHING = re.compile(
    r"(?:\W|\b(?:what|which|how|does|do|did|is|are|was|were|has|have|the|an?|of|in|by|and|its|main"
    r"|key|most|important|results?|findings?|conclusions?|contributions?|ideas?|claims?|report(?:s|ed)?"
    r"|propos(?:es?|ed|al)|works?|shows?|showed|finds?|found|presents?|introduces?|achieves?"
    r"|authors?|about|tell|me|more|please|summari[sz]e|summary|describe|explain|papers?|stud(?:y|ies)"
    r"|methods?|approach)\b)*",
    re.IGNORECASE,
)
"""What is left of a question that asks a paper for nothing in particular."""


def asks_what_it_says(question: Question, hits: Sequence[Hit]) -> bool:
    """Whether a question names a found paper and asks for what that says: all of it will do."""
    left = question.standalone
    for paper in (hit.paper for hit in hits):
        for name in dict.fromkeys((paper.heading, short_name(paper.heading))):
            if name.casefold() not in left.casefold():
                continue
            left = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", left, flags=re.IGNORECASE)
    return left != question.standalone and _ANYTHING.fullmatch(left) is not None
