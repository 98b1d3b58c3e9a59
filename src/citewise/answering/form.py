"""What people say of the last answer instead of asking anew: 'shorter', 'source?', 'any others?'.

Such a turn holds no subject, so it is taken for one only where it is the whole of what was said:
'how much shorter is the training?' and 'more on protein folding' are questions.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import lru_cache

from citewise.answering.aside import plain_words
from citewise.backends.base import WritingTask
from citewise.backends.extractive import ExtractiveBackend, standing_alone
from citewise.export import to_bibtex
from citewise.library.library import Library
from citewise.types import Evidence, Message, Paper, Span, Usage

_FEWEST_WORDS = 4
"""A shorter sentence ('Colorectal cancer.') stands in any answer."""
_LONGEST = 120
"""Characters; what is longer asks something."""
RESTS_ON = "The last answer rests on these words of the abstracts:"
NO_LINKS = "The sources of these papers give no links."
NOTHING_SAID = "There is no answer before this that was drawn from the papers."


class Form(StrEnum):
    """What is wanted of the last answer."""

    SHORTER = "shorter"
    LONGER = "longer"
    AGAIN = "again"
    WORDS = "words"
    """The very words of the papers that it rests on."""
    LINKS = "links"
    BIBTEX = "bibtex"


_THAT = r"(?:that|this|it|them|these|those)"
_BEFORE = (
    r"(?:(?:and|ok|okay|so|but|hm+|well|wait|sorry|no|please|now|just|can you|could you|would you"
    r"|can i|could i|i want|i need|i would like|i'd like|let me) )*"
)
_GIVE = (
    r"(?:(?:give|show|send|tell|get|have|see|list|what are|what is|what's|do you have)(?: me)? )?"
)
_ALL = r"(?:(?:the|a|an|any|all|your|their|its|some) )*"
_OF_THAT = rf"(?: (?:for|to|of|about|on) (?:{_THAT}|all of them)(?: papers?| studies| answer)?)?"
_TELL = (
    rf"(?:(?:make|keep|say|tell|explain|put|give|write|answer|summari[sz]e|sum|repeat)(?: me| us)?"
    rf"(?: {_THAT})?(?: up)? )?"
)
_FORMS = {
    Form.SHORTER: (
        rf"{_TELL}(?:(?:a|much|even|more|bit|little) )*(?:short(?:er)?|brief(?:ly|er)?"
        r"|concise(?:ly)?|simply|simpler|tl ?dr|eli5)(?: version| answer| summary)?"
        rf"|{_TELL}in (?:short|brief|a nutshell|(?:one|a|a single|two|three|a few|fewer)"
        r" (?:short )?(?:sentences?|lines?|words?)"
        r"|(?:simple|simpler|plain) (?:words|terms|english))"
        rf"|{_TELL}(?:(?:one|two) sentences?(?: only)?|to a (?:beginner|child|layman|layperson))"
        rf"|summari[sz]e(?: {_THAT})?|sum {_THAT} up"
    ),
    Form.LONGER: (
        rf"{_TELL}(?:in (?:more|greater|full) (?:detail|depth)|at (?:more |greater )?length"
        r"|(?:a (?:bit|little) )?(?:more|longer)|(?:a )?longer (?:answer|version)"
        r"|(?:some |any )?(?:more|further) (?:details?|information|info))"
        r"|more detailed|go (?:on|deeper)|continue|tell me more|elaborate|expand"
        rf"|(?:elaborate|expand) on {_THAT}|details"
    ),
    Form.AGAIN: (
        rf"(?:repeat|say) (?:{_THAT}|the (?:last )?answer)(?: again| once more)?|say again"
        r"|come again|again|once more|what did you (?:just )?say"
    ),
    Form.WORDS: (
        rf"are you (?:really |quite |very )?(?:sure|certain)(?: (?:about|of) {_THAT})?|really"
        r"|is (?:that|this|it) (?:really )?(?:so|right|correct)"
        r"|where (?:does|do|did) (?:it|they|the (?:papers?|abstracts?|authors)) (?:say|state) "
        rf"(?:{_THAT}|so)|where (?:is|was) {_THAT} (?:from|said|stated|written)|where is {_THAT}"
        rf" (?:said|stated|written|coming) (?:from)?|where (?:do|did) you (?:get|find|read) {_THAT}"
        r"(?: from)?|says who|who says (?:that|so|this)|how do you know(?: that| this)?"
        rf"|prove {_THAT}|what makes you say that"
        rf"|(?:cite )?{_GIVE}{_ALL}(?:sources?|evidence|proof|citations?|quotes?){_OF_THAT}"
    ),
    # 'Its DOI' is one paper's, whose record tells it.
    Form.LINKS: (
        r"(?!.*\bits\b)"
        rf"{_GIVE}{_ALL}(?:links?|urls?|dois?|pdfs?|arxiv (?:ids?|links?|numbers?)|identifiers?)"
        rf"{_OF_THAT}|where can i (?:find|read|get|download) {_THAT}(?: papers?)?"
    ),
    Form.BIBTEX: (
        rf"{_GIVE}{_ALL}(?:bib ?tex|bib|bibliography|references?)(?: entr(?:y|ies)| file| export)?"
        rf"{_OF_THAT}|how (?:do|can|should) i cite {_THAT}(?: papers?)?"
    ),
}
_WHOLE = {
    form: re.compile(rf"{_BEFORE}(?:{said})(?: (?:please|then|now|again))*")
    for form, said in _FORMS.items()
}
_THINGS = (
    r"(?:papers?|works?|stud(?:y|ies)|articles?|methods?|models?|approach(?:es)?|systems?|research"
    r"|results?|techniques?|ones?|trials?|reviews?|surveys?|datasets?|benchmarks?)"
)
_OTHERS = re.compile(
    r"(?:(?:and|ok|okay|so|but|great|thanks|cool|please),? )*(?:can you |could you )?"
    r"(?:are there|is there|do you (?:have|know)(?: of)?|have you got"
    r"|(?:show|give|tell|find)(?: me)?|list|what|which|what about|how about)?"
    r"(?: ?\b(?:any|some|the|few|a few|still))*(?:^| ?\b)"
    rf"(?:others?(?: {_THINGS})?|another(?: {_THINGS})?"
    rf"|(?:anything|something|what|who) (?:else|similar)|else"
    rf"|(?:(?<=any )|(?<=are there ))more(?: {_THINGS})?|more {_THINGS}"
    rf"|(?:similar|related|comparable) {_THINGS})"
    r"(?: (?:is|are) there| do you have)?"
    r"(?: (?:about|on|of|like|to|in|with) (?:this|that|these|those|it|them|here|the (?:same )?"
    rf"(?:topic|subject|matter|library))(?: topic| subject| matter| library| {_THINGS})?"
    r"| here| out there| there| known)?"
    r"(?P<added> (?:that|which|who|using|with|without|for|in|by|from) .+)?[\s?.!]*",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def form_of(text: str) -> Form | None:
    """What a turn wants of the last answer; None where it asks something."""
    if len(text) > _LONGEST:
        return None
    said = plain_words(text)
    return next((form for form, whole in _WHOLE.items() if whole.fullmatch(said)), None)


def others(text: str) -> str | None:
    """What a wish for further papers on the same matter adds to it, or ''; None for no such wish.

    'Are there others that use tree search?' adds 'that use tree search'.
    """
    match = _OTHERS.fullmatch(" ".join(text.split()))
    return (match["added"] or "").strip(" ?.!") if match else None


def without_forms(history: Sequence[Message]) -> tuple[Message, ...]:
    """A talk without such turns and their answers, which say the same again."""
    kept: list[Message] = []
    skipping = False
    for turn in history:
        if turn.role == "user":
            # Before any answer, 'sources' is what somebody looks for.
            skipping = bool(kept) and form_of(turn.content) is not None
        if not skipping:
            kept.append(turn)
    return tuple(kept)


class Quoting(ExtractiveBackend):
    """Writes all that it is offered, by paper: the words that an answer rests on."""

    def write(self, task: WritingTask) -> Generator[str, None, Usage]:
        """Yield a heading and the sentences of each paper."""
        yield f"{RESTS_ON}\n"
        for at, item in enumerate(task.evidence):
            if not at or item.paper.id != task.evidence[at - 1].paper.id:
                yield f"\n**{item.paper.heading}**\n\n"
            yield f"{standing_alone(item.span.text)[0]} [{item.n}]\n"
        return Usage()


def quoted_in(answer: str, papers: Sequence[Paper], library: Library) -> tuple[Evidence, ...]:
    """The sentences of papers that stand in an answer."""
    said = _letters(answer)
    rows = library.sentences([paper.id for paper in papers])
    found = []
    for rank, paper in enumerate(papers, 1):
        for ordinal, offsets in enumerate(rows[paper.id].spans if paper.id in rows else ()):
            span = Span.of(paper.abstract, *offsets)
            told, _ = standing_alone(span.text)
            if len(told.split()) >= _FEWEST_WORDS and _letters(told) in said:
                found.append(Evidence(0, paper, span, 1.0, ordinal, rank))
    return tuple(replace(item, n=n) for n, item in enumerate(found, 1))


def _letters(text: str) -> str:
    # An answer puts figures in bold and numbers of citations behind what it quotes.
    return re.sub(r"[\W_]+", "", re.sub(r"\[\d+\]", "", text)).casefold()


def records_of(papers: Sequence[Paper], form: Form) -> str:
    """Where papers can be read, or their BibTeX: what their sources say, and no claim."""
    if form is Form.BIBTEX:
        # The abstract makes an entry too long to be read in a talk.
        entries = to_bibtex(replace(paper, abstract="") for paper in papers)
        return f"```bibtex\n{''.join(entries).strip()}\n```"
    linked = [f"- {paper.heading}: {paper.link}" for paper in papers if paper.link]
    return "\n".join(linked) or NO_LINKS
