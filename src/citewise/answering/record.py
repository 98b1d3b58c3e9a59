"""Questions that a paper's record answers and no abstract does: 'when was X published?'.

What the record holds is told as the reason why there is no answer to cite; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from citewise.types import Hit, Paper, Question, short_name

_WHO_WROTE = re.compile(
    r"^who(?:'s|’s| is| are| was| were| has| have| had| first| originally)*"
    r" (?:the )?(?:authors?\b|inventors?\b|creators?\b|behind\b|wrote\b|invented\b|created\b"
    r"|published\b|developed\b|proposed\b|introduced\b|designed\b|made\b|built\b|came up\b)"
    r"|\b(?:who|which people|which researchers) (?:are|were|is|was) the authors?\b"
    r"|^(?:name|list|give)\b.{0,20} authors of\b",
    re.IGNORECASE,
)
_MOST_AUTHORS = 6

_PAPER = r"(?:paper|preprint|article|study|work|manuscript|publication)"
_IT = rf"(?:(?:the )?@(?:['’]s)?(?: {_PAPER})?|the {_PAPER} @)"
_GIVE = r"(?:(?:what(?:['’]s| is| was)|(?:give|show|tell) me|find|get|do you have) )?(?:the |an? )?"
_LEAN = re.compile(rf"\b(?:its?|(?:this|that|the) {_PAPER})\b", re.IGNORECASE)


def _of_it(what: str) -> str:
    return rf"(?:{what} (?:of|on|to|for) {_IT}|@(?:['’]s)? {what})"


def _published(paper: Paper) -> str | None:
    return paper.published or paper.date_text


def _counted(paper: Paper) -> str | None:
    count = paper.author_count or len(paper.authors)
    return str(count) if count else None


def _first(paper: Paper) -> str | None:
    return paper.authors[0] if paper.authors else None


def _last(paper: Paper) -> str | None:
    whole = len(paper.authors) == (paper.author_count or len(paper.authors))
    return paper.authors[-1] if paper.authors and whole else None


def _arxiv(paper: Paper) -> str | None:
    return f"arXiv:{paper.arxiv_id}" if paper.arxiv_id else None


_Told = Callable[[Paper], str | None]
_ASKED: tuple[tuple[re.Pattern[str], str, _Told], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), unsaid, told)
    for pattern, unsaid, told in (
        (
            rf"(?:when|(?:in )?(?:what|which) (?:year|month)) (?:was|did|is) {_IT}"
            r" (?:first )?(?:publish(?:ed)?|released?|submitted|posted|written|come out|appear)"
            rf"|{_GIVE}{_of_it('(?:(?:publication|release) (?:date|year)|year of publication)')}"
            rf"|how (?:old|new|recent) is {_IT}",
            "says when it was published",
            _published,
        ),
        (rf"{_GIVE}{_of_it('doi')}", "gives its DOI", lambda paper: paper.doi),
        (
            rf"{_GIVE}{_of_it('arxiv(?: id| number| identifier)?')}",
            "gives its arXiv id",
            _arxiv,
        ),
        (
            rf"{_GIVE}{_of_it('(?:(?:arxiv )?(?:link|url)|web ?page|address|pdf)')}"
            rf"|where (?:can|do) i (?:read|find|get|download) {_IT}",
            "says where it can be read",
            lambda paper: paper.link,
        ),
        (
            r"how many (?:co-?)?(?:authors|people|researchers)"
            rf" (?:does {_IT} have|has {_IT}(?: got)?|wrote {_IT}|are(?: there)? (?:on|of) {_IT})"
            rf"|{_GIVE}{_of_it('number of authors')}",
            "says how many authors it has",
            _counted,
        ),
        (
            rf"who(?:['’]s| is| was) (?:the )?{_of_it('first author')}",
            "names its authors",
            _first,
        ),
        (
            rf"who(?:['’]s| is| was) (?:the )?{_of_it('(?:last|senior) author')}",
            "names its authors",
            _last,
        ),
    )
)
"""Questions that hold a paper's name (``@``) and nothing else of their own, what abstracts do not
say, and what the record does."""


def asked_of_record(question: Question, hits: Sequence[Hit]) -> str | None:
    """Why a question for what papers' records hold has no answer to cite: no abstract says it.

    None for other questions. Where the record of a paper that it names says it, so does the reason.
    """
    named = [
        (paper, asked)
        for hit in hits
        for paper in (hit.paper,)
        if (asked := _named(question, paper))
    ]
    for pattern, unsaid, told in _ASKED:
        papers = [paper for paper, asked in named if pattern.fullmatch(asked)]
        if papers:
            return f"no abstract {unsaid}; {_records(papers, told)}"
    return _authors(question, hits)


def _named(question: Question, paper: Paper) -> str | None:
    """The question with ``@`` for the paper that it names or leans on; None where it does not."""
    asked = " ".join(question.standalone.split()).strip(" ?.!")
    for name in (paper.heading, short_name(paper.heading)):
        # Most papers are not named: a pattern for each would cost more than all the rest.
        if name.casefold() not in asked.casefold():
            continue
        named = re.sub(
            rf"[\"'“‘]?(?<!\w){re.escape(name)}(?!\w)[\"'”’]?(?!s\b)",
            "@",
            asked,
            count=1,
            flags=re.IGNORECASE,
        )
        if named != asked:
            return named
    if (question.focus or question.filters.papers) == (paper.id,):
        asked = " ".join(question.text.split()).strip(" ?.!")
        return _LEAN.sub("@", asked, count=1)
    return None


def _records(papers: Sequence[Paper], told: _Told) -> str:
    said = [
        f"the record of '{paper.heading}' does: {known}"
        for paper in papers
        if (known := told(paper))
    ]
    if said:
        return "; ".join(said)
    return f"the record of '{papers[0].heading}' here does not either"


def _authors(question: Question, hits: Sequence[Hit]) -> str | None:
    if not _WHO_WROTE.search(question.standalone.strip()):
        return None
    asked = question.standalone.casefold()
    marked = [w for w in re.findall(r"[A-Za-z][\w-]+", question.standalone) if not w[1:].islower()]
    named = [
        hit.paper
        for hit in hits
        if short_name(hit.paper.heading).casefold() in asked
        or any(word in f"{hit.paper.heading} {hit.paper.abstract}" for word in marked)
    ]
    if not named and "author" not in asked:
        return None
    if not named or not named[0].authors:
        return "abstracts do not name their authors, and the papers' records here do not either"
    paper = named[0]
    shown = ", ".join(paper.authors[:_MOST_AUTHORS])
    more = " and others" if len(paper.authors) > _MOST_AUTHORS else ""
    return f"no abstract names its authors; the record of '{paper.heading}' does: {shown}{more}"
