"""Conditions that a question sets on the papers themselves: what sort they are, what they lack.

'Surveys of X', 'randomised trials of X', 'X without Y', 'X other than Y'. Words alone do not find
such papers: a search for 'X without Y' finds what is about Y. So the condition is taken out of
what is searched for, and then checked on each paper's title and abstract.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from citewise.grounding.overlap import stem


@lru_cache(maxsize=256)
def _any_case(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_WORK = r"(?:paper|work|study|article|report|manuscript)"
_HEAD = (
    r"(?=\s*(?:[,.;:?!()–—]|$)|\s+-|\s+(?:of|for|on|in|about|to|that|which|with|and|from|is|are"
    r"|was|were|by|at|as|where|has|have|using|called|named|dubbed|covering|comprising|containing"
    r"|consisting|spanning|designed|built|based|tailored|suites?|papers?|articles?|studies)\b)"
)
"""What follows a noun that is no mere attribute of the next one ('dataset distillation')."""
_GAP = (
    r"(?:[\s,]+(?!(?:on|across|using|with|by|that|which|to|over|via|from|against|for|based"
    r"|than|in)\b)[^\s,.;]+){0,12}?[\s,]+"
)
_MAKES = (
    rf"\b(?:we|this {_WORK}|our {_WORK})\b[^.;]{{0,60}}?\b(?:introduc|present|propos|releas|creat"
    r"|construct|provid|collect|curat|compil|assembl|develop|buil[dt]|contribut|publish|offer"
    r"|design|establish|conduct|perform|undert|did|carried out|report|giv)\w*"
)
_CONTENTS = r"(?:\b(?:on|using|with|from|across|via|over|against|by)\b(?: [\w-]+){0,4} )$"
"""Before a noun in a title: what the work was done with, not what it is."""


@dataclass(frozen=True, slots=True)
class _Sort:
    """A sort of paper."""

    called: str
    """As an answer calls it, with its article."""
    asked: str
    """What a question calls it."""
    noun: str
    """What papers of the sort call themselves."""
    shown: str = r"(?!)"
    """What else in an abstract shows that a paper is one."""
    unless: str = r"(?!)"
    """What in a title or an own sentence shows that it is a study of such papers instead."""

    def titled(self, title: str) -> bool:
        """Whether a title says that its paper is of this sort."""
        return any(
            re.search(_CONTENTS, title[: match.start()], re.IGNORECASE) is None
            for match in _any_case(rf"\b(?:{self.noun}){_HEAD}").finditer(title)
        )

    def said_in(self, sentence: str) -> bool:
        """Whether a sentence says of its own paper that it is of this sort."""
        return _own(self.noun, self.shown).search(sentence) is not None

    def held_by(self, title: str, sentences: Sequence[str]) -> bool:
        """Whether a paper is of this sort by its title or a sentence of its abstract."""
        other = _own(self.unless, r"(?!)")
        if _any_case(self.unless).search(title) or any(map(other.search, sentences)):
            return False
        return self.titled(title) or any(map(self.said_in, sentences))


@lru_cache(maxsize=64)
def _own(noun: str, shown: str) -> re.Pattern[str]:
    """What says of its own paper that it is of a sort."""
    return _any_case(
        rf"{_MAKES}{_GAP}\b(?:{noun}){_HEAD}"
        rf"|\b(?:this|our|the (?:present|current|proposed)) (?:[\w-]+ ){{0,3}}?\b(?:{noun}){_HEAD}"
        rf"|^\W*(?:(?:study )?design|methods?)\W+(?:[\w-]+,? ){{0,6}}?\b(?:{noun}){_HEAD}"
        rf"|{shown}"
    )


_REVIEWS = r"(?:surveys?|(?<!peer )(?<!code )(?<!peer-)\breviews?|overviews?|tutorials?)"
_META = r"meta-?\s?analys[ie]s|metaanalys[ie]s"
_SYSTEMATIC = r"systematic (?:\w+ ){0,2}reviews?|scoping reviews?"
_OF_STUDIES = rf"{_META}|systematic (?:literature |\w+ )?reviews?|\breviews?\b"
_SORTS = (
    _Sort(
        "a systematic review",
        _SYSTEMATIC,
        rf"{_SYSTEMATIC}|systematic literature (?:reviews?|surveys?)",
        r"\b(?:medline|pubmed|embase)\b[^.]{0,80}\bsearch|\bsearch\w*\b[^.]{0,60}\b(?:medline"
        r"|pubmed|embase)\b|\bwe systematically (?:review|search)",
    ),
    _Sort(
        "a meta-analysis",
        _META,
        _META,
        r"\b(?:random|fixed)[- ]effects? (?:model|meta)|\bpooled (?:odds|relative|risk|hazard"
        r"|estimate|effect|analysis of)",
    ),
    _Sort(
        "a survey or review",
        r"surveys?(?: papers| articles)?|(?:literature )?reviews?(?: papers| articles)?"
        r"|(?:tutorial|overview) (?:papers|articles)|tutorials?",
        rf"{_REVIEWS}|{_META}",
        rf"\b(?:we|this {_WORK}|our {_WORK}) (?:(?:\w+ly|also|first|then|aim to|will|have) )*"
        rf"(?:surveys?|reviews?|overviews?|summari[sz]es? (?:the )?(?:recent|current|state"
        r"|literature|advances))\b(?! (?:generation|writing))",
    ),
    _Sort(
        "a randomised trial",
        r"(?:randomi[sz]ed|controlled|clinical)(?:[, -]+[\w-]+){0,3}?[ -](?:trials?|studies|study)"
        r"|RCTs?|trials",
        r"(?:randomi[sz]ed|controlled|clinical|crossover|double-blind)(?:[, -]+[\w-]+){0,4}?[ -]"
        r"(?:trials?|study|experiment)",
        r"\b(?:were|was) (?:then )?random(?:ly (?:assigned|allocated|divided)|i[sz]ed)\b"
        r"|\bwe random(?:ly (?:assigned|allocated)|i[sz]ed)\b|\bdouble-blind\b",
        _OF_STUDIES,
    ),
    _Sort(
        "a cohort study",
        r"(?:prospective |retrospective )?(?:cohort|longitudinal|follow-up) (?:studies|study)"
        r"|cohorts",
        r"(?:[\w-]+ )?cohort(?: study| studies| analysis)?|longitudinal study|prospective study"
        r"|follow-?up study",
        r"\b(?:prospective|retrospective|population-based|birth) cohort\b|\bwe followed\b",
        _OF_STUDIES,
    ),
    _Sort(
        "a case-control study",
        r"case[- ]control(?:led)? (?:studies|study)",
        r"case[- ]control(?:led)?(?: study| analysis)?",
        r"\bcases and [^.]{0,40}\bcontrols\b",
        _OF_STUDIES,
    ),
    _Sort(
        "a case report",
        r"case (?:reports?|series)",
        r"case (?:reports?|series)|report of (?:a|two|three) cases?",
        r"\bwe (?:report|describe|present) (?:on )?(?:a|an|the|one|two|three)(?: [\w-]+){0,3}?"
        r" (?:cases?|patients?|man|woman|boy|girl|infant|child)\b",
    ),
    _Sort(
        "a cross-sectional study",
        r"cross-?sectional (?:studies|study|surveys?)",
        r"cross-?sectional (?:[\w-]+ )?(?:study|survey|analysis)",
        r"\bcross-?sectional\b",
        _OF_STUDIES,
    ),
    _Sort(
        "a benchmark",
        r"benchmarks?|test ?beds?|test suites?|leaderboards?",
        r"benchmark(?:s|ing)?|[\w$-]+bench|test ?beds?|leaderboards?|test suites?",
        rf"\bwe benchmark\b|\bthis {_WORK} benchmarks\b"
        r"|\bis (?:a|the)(?: [\w-]+){0,4} benchmark\b",
    ),
    _Sort(
        "a dataset or corpus",
        r"data ?sets?|corpora|corpus",
        r"data ?sets?|corpora|corpus|benchmarks?|[\w$-]+bench|databases?|treebanks?",
        r"\bis (?:a|the)(?: [\w-]+){0,4} (?:dataset|corpus)\b",
    ),
)
"""The more particular first: a systematic review is asked for by a longer name than a review."""

_OPENING = (
    r"^(?:(?:please|can|could|would|you|give|show|find|get|tell|recommend|suggest|me|us|list|name"
    r"|enumerate|i|want|need|looking|search|for|which|what|are|is|there|any|some|all|every|the|an?|do"
    r"|does|did|we|have|has|exist|know|of|them|these|those|recent|new|good|best|public(?:ly)?"
    r"|published|existing|available|large|major|latest|main|important|other|open|comprehensive"
    r"|papers?|works?|articles?|publications?|studies|that|presenting|introducing|present"
    r"|introduces?|propose|releases?|provides?|describes?|reports?|conducts?|conducted|performs?"
    r"|performed|were|was|been)\s+)*"
)
_NO_ATTRIBUTE = (
    r"(?!(?:for|of|on|in|with|by|to|from|that|which|who|whose|what|how|why|when|where|using|uses?"
    r"|used|are|is|was|were|do|does|did|can|could|should|and|or|but|than|as|at|about|methods?"
    r"|models|approaches|papers|techniques|systems|works|authors|people|it|they|he|she|this|that"
    r"|without|between|across|against|need|needs|has|have|had|be|been|if)\b)"
)
_ASKED_HEAD = rf"(?:{_HEAD}|(?<=s|a)(?=\s+\w))"
"""The same in a question: a plural is no attribute ('Which trials tested ...?')."""
_ATTRIBUTES = rf"(?P<attributes>(?:{_NO_ATTRIBUTE}[\w/+'’.-]+\s+){{0,5}}?)"
_SAID_OF_THEM = _any_case(
    r"^\s*(?:papers?\b|articles?\b|studies\b|that\b|which\b|are\b|were\b|is\b|was\b|have been\b"
    r"|there\b|exists?\b|available\b|published\b|proposed\b|introduced\b|conducted\b|done\b|about\b"
    r"|of\b|on\b|covering\b|concerning\b|regarding\b|covers?\b|discuss\b|\w+ed(?: at)?\b|\s+)*"
)
"""What stands between the sort and the matter: 'trials [that were conducted on] statins'."""
_TAIL = _any_case(r"\s+(?:are there|exist|are available)[\s?.!]*$")
_OWN_WISH = _any_case(
    r"^(?:please |can you |could you |i (?:want|need) )*(?:(?:give|write|make|draft|provide|sketch"
    r"|do|prepare|compile)\b.{0,30}\ban? (?:[\w-]+ ){0,2}?(?:survey|review)\b"
    r"|(?:survey|review) (?!of\b|on\b|papers|articles)|an? (?:short|brief|quick)\b)"
)
"""A wish for an overview of the assistant's own."""
_REVIEWING = _any_case(
    r"^(?:(?:which|what|are there any|list|find|show|name|all|the|any)\s+)*(?:papers|works|articles"
    r"|studies|publications)\s+(?:that\s+|which\s+)?(?:review|survey)\s+"
)
_SURVEY = next(sort for sort in _SORTS if sort.called == "a survey or review")


@dataclass(frozen=True, slots=True)
class OfSort:
    """Papers of a sort are asked for."""

    sort: _Sort
    matter: str
    """The question without the condition; empty where nothing else is asked."""

    telling = False
    """Whether it is a denial in passing that shows it, which need not be near the question."""
    among_all = True
    """Whether it is beside all papers found that one must belong, not beside those that hold it."""

    def wordings(self, matter: str) -> tuple[str, ...]:
        """What is searched for to find papers on a matter that hold it."""
        return (f"{self.sort.called} of {matter}", matter)

    @property
    def near(self) -> str:
        """What leads the papers that do not hold it."""
        return f"Near, but not {self.sort.called} by title or abstract:"

    @property
    def none(self) -> str:
        """What leads them where none holds it."""
        return f"No paper says that it is {self.sort.called}. The nearest:"

    def against(self, title: str) -> bool:
        """Never: a paper of another sort may be as near."""
        return False

    def titled(self, title: str) -> bool:
        """Whether a title says it well enough: a sentence of the abstract may tell more."""
        return self.sort.titled(title)

    def said_in(self, sentence: str) -> bool:
        """Whether a sentence of a paper says so."""
        return self.sort.said_in(sentence)

    def held_by(self, title: str, sentences: Sequence[str]) -> bool:
        """Whether a paper holds it by its title or by what its abstract says."""
        return self.sort.held_by(title, sentences)


SURVEYS = OfSort(_SURVEY, "")
_ARTICLES = r"(?:(?:any|an?|the|further|additional|extra|more|separate|second|all|its|their)\s+)*"
_THING = r"(?P<thing>\w[\w-]*(?:\s+\w[\w-]*){0,2})"
_ASKS_WITHOUT = _any_case(
    r"(?:\b(?:that|which)\s+)?(?:\b(?:do|does|did|works?|can)(?:\s+|(?=n['’]t)))?"
    r"(?:\b(?:without(?: (?:using|needing|requiring|relying on|access to|the use of|the need for))?"
    r"|with no|needs? no|requires? no|uses? no|free of|in the absence of|avoid(?:s|ing)?"
    r"|dispense with)|(?:\bnot|n['’]t) (?:need|require|use|using|rely(?:ing)? on"
    r"|depend(?:ing)? on|involve|assume))"
    rf"\s+{_ARTICLES}{_THING}"
)
"""A question for what does without something."""
_ASKS_FREE = _any_case(
    r"(?:\b(?:that|which)\s+)?(?:\b(?:are|is)\s+)?"
    r"(?<![\w-])(?!collision|error|noise|risk|hands|disease|bug|progression|event|relapse|deadlock"
    r"|cost|wait|lock|trouble|side)(?P<thing>[a-z]{3,})[- ]free\b"
)
"""The same, as 'training-free'; not what is only praised."""
_ASKS_OTHER = _any_case(
    r",?\s*\b(?:but not|except(?: for)?|other than|excluding|apart from|aside from"
    rf"|(?:that are |are )?not (?:about|on|based on))\s+{_ARTICLES}{_THING}"
)
"""A question for what is about something else."""
_USES = (
    r"(?:need|requir|rel(?:y|ies)|us(?:e|ing)\b|depend|involv|assum|access|hav(?:e|ing)|employ"
    r"|necessitat|demand|call for|contain|includ|leverag|exploit|any\b|resort)\w*"
)
_DENIES = _any_case(
    rf"(?:n['’]t|\b(?:not|never|no longer|neither|nor))\s+(?:\w+\s+){{0,2}}?{_USES}"
    r"(?P<used>[^.;:,]{0,60})"
    r"|\b(?:without(?! (?:\w+ )?(?:sacrific|compromis|degrad|los[st]|hurt|harm|reduc|decreas"
    r"|affect|chang|increas|introduc)\w*)"
    r"|no(?! longer| matter| (?:significant )?(?:effect|change|difference|influence|impact"
    r"|evidence))|eliminat\w+|avoid\w*|obviat\w*|abstain\w* from|free (?:of|from)"
    r"|(?:alleviat|remov|reliev|lift|circumvent|bypass)\w* (?:the )?(?:need|requirement|dependen\w+"
    r"|reliance|necessity)|bypass\w*|circumvent\w*|dispens\w+ with|do(?:es|ing)? away with"
    r"|break\w* away from|forgo\w*|independent of|absence of)\b(?P<lacked>[^.;:,]{0,60})"
    rf"|\b(?:instead of|rather than)\s+{_ARTICLES}(?P<rather>[\w-]+(?: [\w-]+)?)"
    r"|\b(?P<free>[\w-]{1,40})[- ]free\b|\b(?P<less>\w{3,40})-less\b"
)
_STOPS = frozenset(
    "a an the of in on at to for from by with and or but that which models is are be when while as"
    " during using if do does can still use used work works exist them it they this these".split()
)
_HOLLOW_HEADS = frozenset(map(stem, "data model information sample image example signal".split()))
"""What 'Y-free' leaves out: what needs no calibration data is calibration-free."""
_WINDOW = 7
NOT_SAID = "Near, though their abstracts do not say so:"
NONE_SAYS = "No abstract says so in as many words. The nearest:"
ALL_OF_IT = "All that was found speaks of it. The nearest:"


def _bare(word: str) -> str:
    """A word's stem; tuning and training anew are training."""
    word = re.sub(r"^re-?(?=train)", "", word.lower())
    if word.startswith("pre"):
        return stem(word.replace("-", ""))
    return "train" if re.search(r"train|tun(?:e|ing)$", word) else stem(word)


def _bare_words(text: str) -> list[str]:
    """The bare words of a text, in order; those of 'self-attention' are two."""
    return [_bare(word) for word in re.findall(r"pre-\w+|re-\w+|\w+", text)]


@dataclass(frozen=True, slots=True)
class Without:
    """What does without something is asked for."""

    thing: tuple[str, ...]
    """What is to be absent, as it was typed."""
    matter: str
    """The question without the condition; empty where nothing else is asked."""

    near = NOT_SAID
    none = NONE_SAYS
    telling = True
    among_all = False

    def wordings(self, matter: str) -> tuple[str, ...]:
        """What is searched for to find papers on a matter that hold it."""
        return (
            f"{matter} without {' '.join(self.thing)}",
            f"{self._freed()[0]}-free {matter}",
            matter,
        )

    def _freed(self) -> tuple[str, ...]:
        """The words of the thing that make 'Y-free': its head, or what stands before a dull one."""
        *before, head = self.thing
        return (before[-1], *self.thing) if before and _bare(head) in _HOLLOW_HEADS else (head,)

    def titled(self, title: str) -> bool:
        """Never: the sentence that denies it is told where there is one."""
        return False

    def said_in(self, sentence: str) -> bool:
        """Whether a sentence denies the thing ('without any training', 'training-free')."""
        whole = set(_bare_words(" ".join(self.thing)))
        freed = set(_bare_words(" ".join(self._freed()))) - {"model"}
        for match in _DENIES.finditer(sentence):
            if one := match["free"] or match["less"]:
                # 'Pose-free' and 'camera-pose-free'.
                if freed & set(_bare_words(one)):
                    return True
            elif (rather := match["rather"]) is not None:
                if set(_bare_words(rather)[: len(whole)]) == whole:
                    return True
            elif whole <= set(_bare_words(match["used"] or match["lacked"] or "")[:_WINDOW]):
                return True
        return False

    def held_by(self, title: str, sentences: Sequence[str]) -> bool:
        """Whether a paper denies it, in its title or its abstract."""
        if self.said_in(title):
            return True
        return not self.against(title) and any(map(self.said_in, sentences))

    def against(self, title: str) -> bool:
        """Whether a title is about what is to be absent."""
        return set(_bare_words(" ".join(self.thing))) <= set(_bare_words(title))


@dataclass(frozen=True, slots=True)
class OtherThan:
    """What is about something else is asked for."""

    thing: tuple[str, ...]
    """What it is not to be about, as it was typed."""
    matter: str
    """The question without the condition; empty where nothing else is asked."""

    near = ""
    none = ALL_OF_IT
    telling = False
    among_all = False

    def wordings(self, matter: str) -> tuple[str, ...]:
        """What is searched for to find papers on a matter that hold it."""
        return (matter,)

    def against(self, title: str) -> bool:
        """Whether a title is about it."""
        return not self.held_by(title, ())

    def titled(self, title: str) -> bool:
        """Never: a paper on something else need not say so."""
        return False

    def said_in(self, sentence: str) -> bool:
        """Never: a paper on something else need not say so."""
        return False

    def held_by(self, title: str, sentences: Sequence[str]) -> bool:
        """Whether neither the title nor the abstract speaks of it."""
        thing = set(_bare_words(" ".join(self.thing)))
        return not any(thing <= set(_bare_words(text)) for text in (title, *sentences))


Condition = OfSort | Without | OtherThan


_TO_LEARN = r"(?:learn|know|understand|get into|read)(?: (?:more )?about)?"
_TO_READ = _any_case(
    r"^(?:(?:what|which|where|can|could|would|should|do|does|you|i|we|is|are|be|please|some|an?|the"
    r"|good|best|great|nice|right|first|introductory|recommend(?:ed)?|suggest(?:ed)?|me|single|next"
    r"|most|important|must|one|key|how)\s+)*"
    r"(?:papers?|works?|articles?|surveys?|reading|overview)?\s*(?:to )?"
    r"\b(?:read(?:ing)?|start(?:ing)?|begin|get started|introduction|primer)\b"
    r"(?: (?:reading|point|with|first|up|here))*\s+(?:papers?\s+)?"
    rf"(?:about|on|of|for|with|in|(?:if i want )?to {_TO_LEARN}|when it comes to"
    r"|(?<=introduction )to)\s+"
)


def what_to_read_on(question: str) -> str | None:
    """The matter of a wish for something to begin with ('what should I read first on X?')."""
    match = _TO_READ.match(question)
    return question[match.end() :] if match else None


@lru_cache(maxsize=256)
def condition_of(question: str) -> Condition | None:
    """The condition that a question sets on the papers themselves, if any."""
    for pattern in (_ASKS_OTHER, _ASKS_WITHOUT, _ASKS_FREE):
        if match := pattern.search(question):
            words = match["thing"].split()
            stop = next((at for at, word in enumerate(words) if at and word.lower() in _STOPS), 3)
            thing = tuple(words[:stop])
            end = match.start("thing") + len(" ".join(thing))
            end = match.end() if pattern is _ASKS_FREE else end
            matter = " ".join(f"{question[: match.start()]} {question[end:]}".split())
            matter = _TAIL.sub("", matter).rstrip(" ?.!")
            if pattern is _ASKS_OTHER:
                return OtherThan(thing, matter)
            return Without(thing, matter)
    return _sort_of(question)


def _sort_of(question: str) -> OfSort | None:
    if _OWN_WISH.search(question):
        return None
    if match := _REVIEWING.search(question):
        return OfSort(_SURVEY, question[match.end() :].strip(" ?.!"))
    for sort in _SORTS:
        match = _any_case(rf"{_OPENING}{_ATTRIBUTES}(?:{sort.asked}){_ASKED_HEAD}").search(question)
        if match:
            rest = _SAID_OF_THEM.sub("", question[match.end() :], count=1)
            return OfSort(sort, f"{match['attributes']}{_TAIL.sub('', rest)}".strip(" ?.!"))
    return None
