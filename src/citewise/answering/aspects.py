"""Whether the paper that a question means speaks at all of the part of a study it is asked for.

'What are the limitations of X?' is near to every sentence on X, also where none tells of limits.
Abstracts say each such part in few ways: where none of these is there, nor is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from citewise.answering.evidence import own_work_starts
from citewise.answering.gist import gist_asked, telling
from citewise.answering.talk import content_words, is_aspect, mention, without_opening
from citewise.backends.facets import MENDS
from citewise.backends.figures import counted
from citewise.backends.parts import Part, parts_of
from citewise.grounding.entailment import spelled_out
from citewise.grounding.overlap import stem
from citewise.library.orders import paper_sentences, without_orders
from citewise.types import Evidence, Hit, Paper, Question, Span, short_name, without_tex


@dataclass(frozen=True, slots=True)
class _Aspect:
    """A part of a study: how questions ask for it and how abstracts say it."""

    called: str
    asked: re.Pattern[str]
    said: re.Pattern[str]
    own: bool = False
    """Whether abstracts begin by telling the same of the work of others."""


def _aspect(called: str, asked: str, said: str, *, own: bool = False) -> _Aspect:
    asking, saying = (re.compile(rf"\b(?:{words})", re.IGNORECASE) for words in (asked, said))
    return _Aspect(called, asking, saying, own)


_ASPECTS = (
    _aspect(
        "its limitations",
        r"limitations?\b|limits\b(?=\W*$| (?:are|were|of|do|does|did)\b)|drawbacks?\b"
        r"|weakness(?:es)?\b|shortcomings?\b|disadvantages?\b|caveats?\b|downsides?\b",
        r"limit|drawback|weakness|shortcoming|disadvantage|caveat|downside|cauti|however|despite|fail"
        r"|remains?\b|cannot\b|can not\b|unable|unclear|unknown|lack|insufficient|inadequate"
        r"|trade-?off|at the (?:cost|expense)|degrad|suffer|struggl|worse|underperform|bias"
        r"|confound|pending\b|small sample|no improvement|(?:little|no) (?:research|evidence)"
        r"|(?:further|future|more|larger) .{0,60}\b(?:need|requir|warrant|necessary|should)"
        r"|not (?:always|yet|all|every|necessarily|generali[sz]|scale|transfer|work|hold|be able)",
        own=True,
    ),
    _aspect(
        "its funding",
        r"fund(?:s|ed|ing|ers?)?\b|sponsor\w*|financ\w*|grants?\b|(?:paid|pays?) (?:for|by)\b",
        r"fund(?:s|ed|ing|ers?)?\b|sponsor|financ|grants?\b|supported by (?:the|an?|[A-Z])",
    ),
    _aspect(
        "conflicts of interest",
        r"(?:conflicts?|competing|declarations?)(?: of)? interests?",
        r"(?:conflicts?|competing|declarations?)(?: of)? interests?|disclos",
    ),
    _aspect(
        "code or data that can be had",
        r"codes?\b|codebase|source\b|repositor\w+|github|open[- ]?sourced?\b|available|availability"
        r"|released?\b|public\b|publicly\b|download|checkpoints?\b",
        r"https?:|github|open[- ]?sourc|publicly|releas|codes?\b|download"
        r"|(?:is|are|be|freely) available"
        r"|available (?:at|from|on|in|via|for|under|online)\b",
    ),
    _aspect(
        "its hardware",
        r"hardware|[GCT]PUs?\b|accelerators?\b|processors?\b|devices?\b|machines?\b|chips?\b",
        r"hardware|[GCT]PUs?\b|accelerators?\b|processors?\b|devices?\b|machines?\b|chips?\b|FPGA"
        r"|ASIC|NVIDIA|RTX|CUDA|[AHV]100|TITAN|Jetson|phones?\b|smartphones?\b|servers?\b|clusters?\b"
        r"|nodes?\b|computers?\b|laptops?\b|robots?\b|microcontrollers?\b|scanners?\b|edge\b",
        own=True,
    ),
    _aspect(
        "energy",
        r"energy|power consumption|electricity|carbon|emissions?\b|(?:how much|what) power\b",
        r"energy|power\b|electricity|carbon|emission|watts?\b|joules?\b|\d[\d.]* ?[mk]?[WJ]\b",
    ),
    _aspect(
        "costs",
        r"costs?\b|prices?\b|expensive\b|expenses\b|money\b|cheap\b",
        r"costs?\b|cost|price|expens|money|cheap|budget|economic|afford|dollars?\b|USD|euros?\b"
        r"|(?<!\w)[$€£]\s?\d",
        own=True,
    ),
    _aspect(
        "side effects",
        r"side[- ]effects?\b|adverse\b|harms?\b|harmful\b|toxicity\b|safety\b|safe\b"
        r"|complications?\b",
        r"side[- ]effect|adverse|harm|toxic|safe|secur|attack|tolera|complication|discontinu"
        r"|withdr[ae]w|bleed|injur|danger|infection|(?:increas|excess|elevat)\w* (?:[\w-]+ ){0,3}"
        r"(?:mortality|deaths?|risks?)\b",
    ),
    _aspect(
        "future work",
        r"future (?:work|research|directions?|stud(?:y|ies)|plans?)|next steps?\b"
        r"|open (?:problems?|questions?|issues?)|(?:further|more) (?:research|stud(?:y|ies)|work)",
        r"future|further|next\b|open (?:problem|question|issue|challenge)|remain|warrant|need"
        r"|should\b|direction|promising|pav(?:e|es|ing)|unexplored|unclear|unknown|prospects?\b|outlook"
        r"|opportunit",
    ),
    _aspect(
        "doses",
        r"dos(?:e|es|age|ages|ing)\b",
        r"dos(?:e|es|ed|age|ages|ing)\b|\d[\d.,]* ?(?:[mkµμn]?g|IU|U|m[lL]|mmol|[mµμ]M|Gy|units?)\b"
        r"|(?:daily|weekly)\b",
    ),
    _aspect(
        "ages",
        r"(?:mean|median|average) age\b|how old\b|what age|which age|ages?\b",
        r"ag(?:e|es|ed)\b|years? old|year-olds?|old(?:er)?\b|elder|young|child|adult|infan"
        r"|adolescen|newborn|neonat|p(?:a)?ediatric|boys?\b|girls?\b|school",
    ),
    _aspect(
        "how long it took",
        r"duration\b|follow-?\s?up\b|training time\b|how long (?:was|were|is|did|does)\b",
        r"duration|follow-?\s?up|followed|latency|real[- ]time|overnight|(?:19|20)\d\d\b"
        r"|(?:milli|micro)?seconds?\b|secs?\b|\d ?[mµμ]?s\b|min(?:ute)?s?\b|hours?\b|h\b|days?\b"
        r"|weeks?\b|months?\b|years?\b|decades?\b|(?:dai|month|week|year)ly\b|annual",
    ),
    _aspect(
        "its data",
        r"data\b|datasets?\b|data ?bases?\b|corp(?:us|ora)\b",
        r"data(?:[- ]?(?:sets?|bases?))?\b"
        r"(?![- ](?:cent|parallel|movement|transfer|process|driven))"
        r"|corp(?:us|ora)\b|benchmark|samples?\b|cohort|surveys?\b|trials?\b|patients?\b|subjects\b"
        r"|participants?\b|individuals\b|population|regist(?:er|ry|ries)\b|records?\b|questionnaire"
        r"|interviews?\b|images?\b|recordings?\b|\d\w* tokens\b|documents\b|mice\b"
        r"|rats?\b|animals?\b|specimens?\b|tissues?\b|cell lines?\b|cells?\b|strains?\b|sera\b"
        r"|alleles?\b|genomes?\b|simulat|on (?:the )?(?![GCT]PU)(?-i:[A-Z]\w*[A-Z0-9])",
    ),
)
"""Parts of a study that many abstracts leave out. Own lists. What every abstract tells (problem,
idea, results) is told in too many ways to be known by its words: see ``gist``."""

_END_OF_A_TITLE = 40
"""Characters by which a title is known."""
_QUESTION_WORD = re.compile(r"\b(?:what|which|how|why|who|where|when)\b", re.IGNORECASE)
_COINED = r"[A-Za-z]+[a-z]*[A-Z0-9][\w+-]*\w"
_GIVEN = re.compile(
    r"\b(?i:propos|introduc|present|develop|call|dub|nam|term|creat|releas)\w*\b"
    rf"[^.;:]{{0,80}}?(?<![\w-])({_COINED})(?![\w-])"
)
"""A name that a paper gives to what it makes: with capitals or digits inside."""
_JOINED = re.compile(r"\b(?:and|or|but|than)\b|[,;:]\s", re.IGNORECASE)
_OF_OTHERS = re.compile(
    rf"\b{MENDS}"
    r"|\b(?:existing|previous|prior|traditional|conventional|earlier) (?:\w+ ){0,2}\w+s\b",
    re.IGNORECASE,
)
"""Around limits that are those of other work."""
_NUMBER = re.compile(
    r"\d|(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven"
    r"|eigh|nine)teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundreds?|thousands?"
    r"|millions?|billions?|dozens?|several|single|both)$",
    re.IGNORECASE,
)
_BEHIND, _BEFORE = 6, 1
"""Words behind a number, and before it, among which is what it counts."""
_SAME_COUNT = tuple(
    frozenset(map(stem, words.split()))
    for words in (
        "patient participant subject people person man men woman women child children adult"
        " individual volunteer case control infant boy girl mother student respondent rater user"
        " worker clinician physician doctor nurse male female n cohort sample birth youth veteran"
        " randomised randomized enrolled recruited included assigned surveyed interviewed",
        "parameter b m",
        "animal mouse mice rat monkey dog rabbit pig fish n",
        "paper article publication study work trial review reference report",
        "gpu card device node",
        "set dataset corpus corpora benchmark",
        "frame fp",  # 'FPS' less its last letter
        "millisecond second minute hour day week month year",
    )
)
"""Words for the same things, where they are counted."""
_SAID_OTHERWISE = frozenset(
    map(
        stem,
        "set dataset benchmark task model method baseline point dollar euro byte gb mb tb".split(),
    )
)
"""What abstracts name without counting it, or give by a sign."""


@dataclass(frozen=True, slots=True)
class AspectAsked:
    """That a question asks one paper for a part of a study."""

    paper: Paper
    spoken: frozenset[int] = frozenset()
    """Places of the sentences of its abstract that speak of it."""
    unsaid: str | None = None
    """Why the paper does not answer it; None if it speaks of it."""
    gist: bool = False
    """Whether it is what every abstract tells, and ``spoken`` is to be told in its order."""


def aspect_asked(question: Question, hits: Sequence[Hit]) -> AspectAsked | None:
    """Whether the one paper that a question means says what it is asked for.

    None where several papers are meant, or something that this is not known of.
    """
    papers = [hit.paper for hit in hits]
    meant = _meant(question, papers)
    if len(meant) != 1:
        return None
    paper = meant[0]
    name = short_name(paper.heading).rstrip(". ")
    asked = _without_names(question.text if question.focus else question.standalone, paper)
    if len(_QUESTION_WORD.findall(asked)) > 1 or _JOINED.search(asked):
        return None
    # A name may be that of a matter, of which others tell.
    others = [one for one in papers if one is not paper and name.casefold() in _text(one)]
    if thing := counted(asked):
        things = _same(_root(thing))
        if _counts(_text(paper), things):
            counting = enumerate(map(spelled_out, _sentences(paper)))
            counted_in = (at for at, text in counting if _counts(text.casefold(), things))
            return AspectAsked(paper, frozenset(counted_in))
        if things & _SAID_OTHERWISE or any(_counts(_text(one), things) for one in others):
            return None
        unsaid = f"the abstract of '{name}' does not say how many {thing}"
        return AspectAsked(paper, unsaid=unsaid)
    aspect = next((one for one in _ASPECTS if one.asked.search(asked)), None)
    if aspect is None and (gist := gist_asked(asked)):
        return AspectAsked(paper, frozenset(telling(gist, _sentences(paper))), gist=True)
    if aspect is None or not all(map(is_aspect, content_words(aspect.asked.sub(" ", asked)))):
        return None
    if _speaks_of(aspect, paper):
        return AspectAsked(paper, _speaking(aspect, paper))
    if any(_speaks_of(aspect, one) for one in others):
        return None
    return AspectAsked(paper, unsaid=f"the abstract of '{name}' says nothing of {aspect.called}")


def speaking_first(asked: AspectAsked, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The sentences of the paper that is meant, those that speak of what it is asked for first.

    ``evidence``: what was found, best first. The others are there to lead them.
    """
    found = {item.span.start: at for at, item in enumerate(evidence) if item.paper == asked.paper}
    spans = paper_sentences(asked.paper.abstract)
    order = sorted(
        range(len(spans)),
        key=lambda at: (
            at not in asked.spoken,
            0 if asked.gist else found.get(spans[at][0], len(evidence)),
            at,
        ),
    )
    return tuple(
        Evidence(
            n=n,
            paper=asked.paper,
            span=Span.of(asked.paper.abstract, *spans[at]),
            score=1.0 if at in asked.spoken else 0.0,
            ordinal=at,
            paper_rank=1,
        )
        for n, at in enumerate(order, 1)
    )


def _meant(question: Question, papers: Sequence[Paper]) -> list[Paper]:
    """The papers that a question points at or names."""
    if len(question.filters.papers) == 1:
        return [paper for paper in papers if paper.id in question.filters.papers]
    asked = question.standalone
    named = [paper for paper in papers if mention(paper, asked) is not None]
    # A question that is folded into another loses words like 'Study of' before a title.
    ends = [(paper, paper.heading.rstrip(". ")[-_END_OF_A_TITLE:].casefold()) for paper in papers]
    named = named or [paper for paper, end in ends if end in asked.casefold()]
    return named or [paper for paper in papers if _names_its_work(paper, asked)]


def _names_its_work(paper: Paper, asked: str) -> bool:
    """Whether a question has the name that a paper gives to its own work in its abstract alone."""
    if _title_names(paper.heading):
        return False
    given = {name for text in _sentences(paper) for name in _GIVEN.findall(text)}
    return not given.isdisjoint(re.findall(r"[\w+-]+", asked))


def _title_names(heading: str) -> bool:
    """Whether a title begins with a name, 'NAME: ...'."""
    name = short_name(heading)
    return name != heading and " " not in name


def _without_names(asked: str, paper: Paper) -> str:
    asked, heading = without_tex(asked), without_tex(paper.heading)
    names = [heading, short_name(heading)]
    if not _title_names(heading):
        names += [name for text in _sentences(paper) for name in _GIVEN.findall(text)]
    for name in names:
        asked = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", asked, flags=re.IGNORECASE)
    return without_opening(" ".join(asked.split()))


def _text(paper: Paper) -> str:
    return spelled_out(f"{paper.heading}. {without_orders(paper.abstract)}").casefold()


def _sentences(paper: Paper) -> list[str]:
    return [paper.abstract[start:end] for start, end in paper_sentences(paper.abstract)]


def _speaks_of(aspect: _Aspect, paper: Paper) -> bool:
    by_title = not aspect.own and aspect.said.search(paper.heading) is not None
    return by_title or bool(_speaking(aspect, paper))


def _speaking(aspect: _Aspect, paper: Paper) -> frozenset[int]:
    """Places of the sentences that speak of it."""
    sentences = _sentences(paper)
    start, parts = own_work_starts(sentences), parts_of(sentences)
    return frozenset(
        at
        for at, text in enumerate(sentences)
        if aspect.said.search(text)
        and (
            not aspect.own
            or (at >= start and parts[at] is not Part.SETTING_OUT and not _OF_OTHERS.search(text))
        )
    )


def _root(word: str) -> str:
    return stem(word.lower().removesuffix("s"))


def _same(thing: str) -> frozenset[str]:
    """A thing with those that are counted in its place."""
    return next((words for words in _SAME_COUNT if thing in words), frozenset((thing,)))


def _counts(text: str, things: frozenset[str]) -> bool:
    """Whether a number stands near one of the things."""
    words = re.findall(r"[^\W\d_]+\d\w*|\d[\d.,]*|[^\W\d_]+", text)
    return any(
        _root(word) in things
        for at, number in enumerate(words)
        if _NUMBER.match(number)
        for word in words[max(0, at - _BEFORE) : at + _BEHIND]
    )
