"""Answers without a model: the papers' own sentences, chosen and put in a readable order.

Nothing is written but what a paper says. The only change to a sentence is at its start: a
connecting phrase that leans on what stood before ('However,', 'To address this,') is dropped. A
sentence whose subject leans ('It', 'These results') is led by the one before it: putting a name in
its place would be a guess.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from citewise.backends.base import Length, WritingTask
from citewise.backends.conditions import SURVEYS, Condition, condition_of, what_to_read_on
from citewise.backends.definition import NOT_DEFINED, defines, tells_of, thing_defined
from citewise.backends.facets import facet_asked
from citewise.backends.figures import figure_for, in_bold, measure_missing, things_named
from citewise.backends.parts import unlabelled
from citewise.backends.premise import DISAGREE, both_sides, contradiction
from citewise.grounding.belonging import BARELY, BESIDE_BEST, SQUARELY, told_of
from citewise.grounding.remarks import NOT_STATED, SEE_ABOVE
from citewise.library.orders import paper_sentences
from citewise.types import (
    Evidence,
    Message,
    Paper,
    Question,
    QuestionKind,
    Usage,
    short_name,
    without_tex,
)

_CONNECTIVE = re.compile(
    r"^(?:however|moreover|furthermore|in addition|additionally|also|finally|lastly|therefore|thus"
    r"|hence|consequently|as a result|as such|besides|meanwhile|nevertheless|nonetheless"
    r"|specifically|more specifically|in particular|notably|importantly|remarkably|crucially"
    r"|surprisingly|interestingly|then|first|second|third|firstly|secondly|thirdly|to this end"
    r"|to that end|for example|for instance|in contrast|on the other hand|overall|in summary"
    r"|in short|in fact|indeed|similarly|accordingly|concretely|conversely|instead|yet|still"
    r"|likewise|subsequently|by contrast|together|next|and|but|so)"
    r"(?! (?:to|of|with|from|than)\b),?\s+"
    r"(?=\S)",
    re.IGNORECASE,
)
_PURPOSE = re.compile(
    r"^to (?:address|tackle|overcome|solve|mitigate|remedy|alleviate|fill|bridge|achieve|meet"
    r"|handle|resolve|counter|combat|close|do|answer|support|reali[sz]e|reduce|improve|accomplish)"
    r"\s+(?:(?:all |both )?(?:this|these|those|that|such|it|them|so)\b"
    r"|the (?:above|former|latter)\b)[^,]{0,60},\s+"
    r"|^(?:addressing|motivated by|inspired by|building (?:up)?on|following|leveraging|given)"
    r"\s+(?:this|these|those|that|such|it|them)\b[^,]{0,60},\s+",
    re.IGNORECASE,
)
_SPEAKS_OF_ITSELF = re.compile(
    r"\b(?:we|our)\b|\bthis (?:paper|work|study|article|survey)\b", re.IGNORECASE
)
_COMPARING = frozenset(
    "compare compared comparison contrast versus differ difference differences between and with"
    " how does what are the from each other two papers methods models approaches please both"
    " same".split()
)
_HOW_ROW = "How"
_ASPECTS = (
    (
        "What it does",
        re.compile(
            r"\b(?:we|this (?:paper|work|study)|our)\b.{0,40}\b(?:propos|present|introduc|develop"
            r"|design|describ|investigat|explor|stud)\w*|\b(?:called|dubbed|named)\b",
            re.IGNORECASE,
        ),
    ),
    (
        _HOW_ROW,
        re.compile(
            r"\b(?:by|using|via|through|leverag\w+|consists? of|combin\w+|employ\w*|incorporat\w+"
            r"|uses?|based on)\b(?! up to\b)(?!.*\d ?(?:x|×|%|times)(?!\w))",
            re.IGNORECASE,
        ),
    ),
    (
        "Result",
        re.compile(
            r"\d ?(?:x|×|%|\\?times|-?fold|points|fps)(?!\w)"
            r"|\b(?:outperform|surpass|achiev|exceed|superior|faster|speed-?ups?|competitive"
            r"|state-of-the-art)\w*|\b(?:reduc|improv|increas|decreas|sav|accelerat)\w*.{0,80}\d",
            re.IGNORECASE,
        ),
    ),
    (
        "Tested on",
        re.compile(r"\b(?:datasets?|benchmarks?|experiments?|evaluat\w+|tested)\b", re.IGNORECASE),
    ),
)
"""Aspects of a comparison and the sentences that speak to them, in the order of the table."""

_NAME_LIKE = re.compile(r"[A-Za-z][\w-]*[A-Z\d][\w-]*|(?<=[\w,] )[A-Z][\w-]+")

_GAP = re.compile(
    r"(?:however|nevertheless|nonetheless|yet|still|but)\b.*\b(?:un(?:known|clear|certain|explored)"
    r"|little is known|poorly understood|elusive|remains? to be"
    r"|(?:not|never)(?: (?:been|yet|fully|well|clearly))* (?:known|clear|understood|established"
    r"|stud(?:y|ied)|investigated|determined))\b",
    re.IGNORECASE,
)
"""Tells what is not known, which is true only against what was said before."""
_NEEDS_COMMA = frozenset(
    "also then first second third yet still instead together next and but so overall thus"
    " hence".split()
)
_LEANING = re.compile(
    r"^(?:only \d[\d.,]*\s?%?(?: \([^)]{1,30}\))? (?:had|have|has|was|were|showed|needed|received)"
    r"|it|its|they|their|them|he|she|one|another|both|such|here(?!,? we\b)|this|that|these|those"
    r"|(?:(?:for|in|on|to|of) )?the (?:former|latter|second|third|other|two|same)|doing so"
    r"|(?:by|in) doing so|in this way"
    r"|(?:with|based on|under|among|given|from|through|on) (?:this|that|these|those|it|them))\b"
    # 'This paper' is the one under whose title the sentence stands.
    r"(?! (?:paper|work|study|article|survey|thesis|report|manuscript|review)\b)",
    re.IGNORECASE,
)
_OWN_REFERENCE = re.compile(r"[\[【]((?:\^|#)?\d[\d\s,;–-]*)[\]】]")
_MARK = re.compile(r"^\s*(?:\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})\)|\d{1,2}\.|[-–•])\s+")
_AVAILABLE = re.compile(
    r"\b(?:code|codes|codebase|weights|models?|data|dataset|implementations?|demo|project page"
    r"|checkpoints?|repository)\b.{0,60}\b(?:available|released?|open-?sourced?|public(?:ly)?|found"
    r"|provided (?:at|in)|https?)\b|https?://|github\.com",
    re.IGNORECASE,
)
_ASKS_WHERE = re.compile(
    r"\b(?:code|github|repositor|available|availability|open[- ]?source|released?|where|url|link"
    r"|download|licen[cs]e)",
    re.IGNORECASE,
)

_SENTENCES = {
    QuestionKind.NUMBER: 3,
    QuestionKind.FACT: 4,
    QuestionKind.YES_NO: 3,
    QuestionKind.HOW: 3,
    QuestionKind.DEFINITION: 3,
    QuestionKind.COMPARISON: 2,
    QuestionKind.LIST: 1,
    QuestionKind.OVERVIEW: 1,
}
"""Sentences of one paper in an answer."""
_SENTENCES_IN_DETAIL = {QuestionKind.LIST: 3, QuestionKind.OVERVIEW: 3}
_SENTENCES_IN_DETAIL_OTHERWISE = 6
"""The same where more is wanted."""
_PAPERS_IN_SHORT = {QuestionKind.LIST: 3, QuestionKind.OVERVIEW: 3, QuestionKind.COMPARISON: 3}
_PAPERS_IN_SHORT_OTHERWISE = 1
"""Papers that are told of in a short answer, with one sentence each."""
_SENTENCES_OF_A_FURTHER_PAPER = 1
"""The same behind the paper that fits best, where the question is of one."""
_FEW_PAPERS = 5
"""Up to which an overview has one sentence more of each."""
_SENTENCES_OF_THE_ONLY_PAPER = 3
"""The same where a list or an overview comes down to one paper."""

_ANY_NUMBER = (QuestionKind.LIST, QuestionKind.OVERVIEW)
"""Kinds of question that are answered by all papers that belong."""
_NEAR_TO_COMPARE = 0.75
_NEAR_OTHERWISE = 0.88
"""A further paper is told of when its best sentence scores this share of the best one's."""
_ABOUT_WHAT_IS_COMPARED = 0.45
"""And when it holds this share of the question's words, of the most that any paper holds: one that
shares a word is not about the matter. These shares were chosen on the dev questions."""
NONE_SQUARELY = "No paper here is squarely about that. The nearest:"
MAY_MISS = "These papers may not answer that; they come nearest:"
_MAY_MISS = (QuestionKind.YES_NO, QuestionKind.HOW, QuestionKind.FACT)
"""Kinds of question that whatever comes near seems to answer. Figures are right or missing."""
_MOST_UNHEARD = 3
_MOST_UNSAID = 3
_MOST_PAPERS = {QuestionKind.LIST: 8, QuestionKind.OVERVIEW: 9, QuestionKind.COMPARISON: 3}
_MOST_PAPERS_OTHERWISE = 3
_MOST_WANTED = 15
"""Papers that are told at most, however many are asked for."""
_COMPARED_AT_LEAST = 2
_FIGURES = frozenset({QuestionKind.NUMBER, QuestionKind.COMPARISON})
"""Kinds of question that a figure answers, if they ask for one."""
_NEAR_AT_LEAST = 0.55
_WIDER = 0.5
"""Share of the best score that a paper must come to that is told for a condition it holds."""
_ON_THE_MATTER = 0.3
"""Where a sentence denies a thing, instead the share of the question's words that its paper must
hold, of the most that any holds: many papers do without training. Chosen by hand on six
questions."""
_SENTENCE_NEAR = 0.72
"""A further sentence of a paper is told when it scores this share of the paper's best."""
_NAMESAKE_NEAR = 0.75
"""Papers of one name are told side by side when the second fits the question nearly as well."""
_MOST_NAMESAKES = 4
_LONGEST_LEAD = 2
"""Sentences that may go before one that leans on them."""
_TELLING_NEAR = 0.85
_HOLLOW = re.compile(
    r"^[^,;:]{0,60}\b(?:further|future|additional|more|larger?) (?:[\w-]+ ){0,3}?"
    r"(?:research|stud(?:y|ies)|trials?|work|investigations?|data)\b"
    r".*\b(?:needed|required|warranted|necessary|should)\b"
    r"|\b(?:we hope\b|we believe (?:that )?(?:this|our) [\w-]+ (?:will|can|could)\b"
    r"|pav(?:e|es|ing) the way\b"
    r"|(?:great|significant|strong) (?:potential|promise)\b"
    r"|(?:spark|inspire|foster|stimulate|encourage)s? (?:further|future|more|new) "
    r"(?:research|work|studies)\b"
    r"|(?:valuable|useful) insights?\b|future (?:research|works?|studies)\b|sheds? light\b"
    r"|(?:findings|results|work|study|insights) (?:will|may|might|could) (?:\w+ )?"
    r"(?:help|aid|contribute|promote)\b"
    r"|set(?:s|ting)? the stage\b|opens? (?:up )?new\b"
    r"|(?:outline|discuss|highlight|suggest|present|identif|provide)\w* (?:[\w-]+ ){0,4}?"
    r"(?:future|promising|potential|open) (?:research )?(?:directions?|challenges|avenues)\b"
    r"|need for (?:further|future|additional|more|larger)\b"
    r"|needs? to be (?:found|addressed|confirmed|determined|explored|investigated|studied)\b)",
    re.IGNORECASE,
)
"""Hopes for what a paper may lead to: they say nothing of it."""
_INTENTION = re.compile(
    r"\b(?:we|(?:our|this) (?:paper|work|study|article)) (?:\w+ ){0,2}?"
    r"(?:attempt|seek|strive|intend|aim|tackle|address|investigate|explore|examine|discuss|focus|stud(?:y|ies)|contribute)"
    r"(?:e?s|e?d)?\b(?!.*\b(?:observ|find|found|show|demonstrat|report|reveal|propos|introduc"
    r"|present|achiev|outperform|surpass|by \w+ing)\w*)",
    re.IGNORECASE,
)
"""What a paper sets out to do, rather than what it does or finds."""
_SECTIONS = (
    ("Surveys", re.compile(r"\bsurveys?\b|\breview(?:s|ed)?\b|\btaxonomy\b", re.IGNORECASE), True),
    (
        "Benchmarks and evaluations",
        re.compile(r"\bbenchmark\w*|\bevaluat\w+|\bdatasets?\b|\btestbed\b", re.IGNORECASE),
        True,
    ),
    (
        "Methods",
        re.compile(
            r"\b(?:we|this (?:paper|work|study|article)|our \w+) (?:\w+ ){0,2}"
            r"(?:propos|present|introduc|develop|design)\w*|\b(?:called|dubbed|named)\b",
            re.IGNORECASE,
        ),
        False,
    ),
)
"""What an overview's papers are grouped by: a heading, what shows it, and whether the title must
show it (any paper has experiments on benchmarks). The rest are findings."""
_FINDINGS = "Findings"
_FEWEST_THAT_SAY = 2
"""Papers that say what is asked of a matter from which those that do not are left out."""
_FEWEST_TO_GROUP = 4
"""Papers from which an overview is grouped, if they are not all of one sort."""
DIFFERENT_FIGURES = "Two papers give different figures for what may be the same thing:"
_FEWEST_WORDS = 5
"""A shorter sentence ('Efficiency.') says nothing by itself."""


def quoted(sentence: str) -> str:
    """A sentence of a paper as it stands in an answer: its own '[12]' is no citation of ours."""
    return _OWN_REFERENCE.sub(r"(\1)", sentence)


def standing_alone(sentence: str) -> tuple[str, bool]:
    """A sentence as it can open a paragraph, and whether the one before it must come along."""
    told = _MARK.sub("", quoted(sentence))
    text = unlabelled(told)
    begins_part = text != told
    against = _GAP.match(text) is not None
    while not against and (match := _CONNECTIVE.match(text)):
        word = match.group().strip().rstrip(",").lower()
        if word in _NEEDS_COMMA and "," not in match.group():
            break
        text = text[match.end() :]
    if purpose := _PURPOSE.match(text):
        text = text[purpose.end() :]
    # 'CONCLUSION These data' means all that was found, not the sentence before.
    leans = against or (not begins_part and _LEANING.match(text) is not None)
    if text[:1].islower() and text.split(maxsplit=1)[0].islower():
        text = text[0].upper() + text[1:]
    return text, leans


def says_where(sentence: str) -> bool:
    """Whether a sentence says where code or data can be had, and little else."""
    return _AVAILABLE.search(sentence) is not None


def is_hollow(sentence: str) -> bool:
    """Whether a sentence only hopes for what its paper may lead to."""
    return _HOLLOW.search(sentence) is not None


def _says_little(sentence: str) -> bool:
    """Whether a sentence tells only what a paper hopes for or sets out to do."""
    return is_hollow(sentence) or _INTENTION.search(sentence) is not None


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The evidence that is told, by paper."""

    groups: list[list[Evidence]]
    """The paper with the best sentence first."""
    wider: Sequence[list[Evidence]] = ()
    """For a list, also papers further off: a condition that they hold may still qualify them."""
    namesakes: bool = False
    """Whether the papers share the name that the question uses."""


def _chosen(task: WritingTask) -> _Chosen:
    """The evidence that is told, by paper: the paper with the best sentence first.

    A comparison is about the papers that the question names, if it names at least two.
    """
    groups: dict[str, list[Evidence]] = {}
    wants_place = _ASKS_WHERE.search(task.question.standalone) is not None
    for item in task.evidence:
        said = item.span.text
        if len(said.split()) >= _FEWEST_WORDS and (wants_place or not says_where(said)):
            groups.setdefault(item.paper.id, []).append(item)
    if not groups:
        return _Chosen([[task.evidence[0]]] if task.evidence else [])
    ranked = sorted(groups.values(), key=lambda group: -group[0].score)
    kind = task.question.kind
    if kind is QuestionKind.COMPARISON:
        asked = task.question.standalone
        if named := _named(ranked, asked):
            return _Chosen(named[: _most_papers(task) + 1])
    if kind in _ANY_NUMBER:
        kept = told_of([group[0].belongs for group in ranked], kind)
        told = [group for group, keep in zip(ranked, kept, strict=True) if keep]
        told = told or [max(ranked, key=lambda group: group[0].belongs)]
        if facet := facet_asked(task.question.standalone):
            saying = [group for group in told if facet.said_in(group[0].span.text)]
            told = saying if len(saying) >= _FEWEST_THAT_SAY else told
        wider = [group for group in ranked if group[0].belongs >= BARELY]
        likeliest = sorted(told, key=lambda group: -group[0].belongs * group[0].score)
        if what_to_read_on(task.question.standalone):
            likeliest.sort(key=lambda group: not _holds(group[0].paper, SURVEYS))
            return _Chosen(likeliest[: _most_papers(task)], wider)
        likeliest = likeliest[: _most_papers(task)]
        return _Chosen([group for group in told if group in likeliest], wider)
    compared = kind is QuestionKind.COMPARISON
    if not compared and (namesakes := _namesakes(ranked, task.question.standalone)):
        return _Chosen(namesakes[:_MOST_NAMESAKES], namesakes=True)
    best = ranked[0][0].score
    least = best * (_NEAR_TO_COMPARE if compared else _NEAR_OTHERWISE)
    about = max(group[0].covered for group in ranked) if compared else 0.0
    near = [
        group
        for place, group in enumerate(ranked)
        if (group[0].score >= least and group[0].covered >= about * _ABOUT_WHAT_IS_COMPARED)
        or (compared and place < _COMPARED_AT_LEAST and group[0].score >= best * _NEAR_AT_LEAST)
    ]
    if kind is QuestionKind.NUMBER:
        things = things_named(task.question.standalone)
        held = [_names_held(group[0].paper, things) == len(things) for group in near]
        # Where one paper is of the thing that is named, the figures of others are not asked for.
        near = [group for group, holds in zip(near, held, strict=True) if holds] or near
    return _Chosen(near[: _most_papers(task)])


def _most_sentences(task: WritingTask) -> int:
    """Sentences of one paper in an answer of the length that is wanted."""
    kind = task.question.kind
    if task.length is Length.SHORT:
        return 1
    if task.length is Length.LONG:
        return _SENTENCES_IN_DETAIL.get(kind, _SENTENCES_IN_DETAIL_OTHERWISE)
    return _SENTENCES[kind]


_COUNT = r"(?P<count>one|two|three|four|five|six|seven|eight|nine|ten|[1-9]\d?)"
_COUNT_WANTED = re.compile(
    r"^(?:(?:please|can|could|would|you|i|we|want|need|to|know|give|show|list|name|find|recommend"
    r"|suggest|tell|pick|get|read|me|us|what|which|are|the|any|just|only|some|about)\s+)*"
    rf"(?:top[- ]|best |first |main |most \w+ )?{_COUNT} (?:[a-z][\w-]* ){{0,3}}?"
    r"(?:papers?|works?|methods?|studies|study|articles?|approach(?:es)?|examples?|techniques?"
    r"|models?|datasets?|benchmarks?|surveys?|reviews?|ways?|systems?|frameworks?)\b",
    re.IGNORECASE,
)
_NUMBERS = "one two three four five six seven eight nine ten".split()


def _papers_wanted(question: str) -> int | None:
    """How many papers a question asks to be told ('give me three papers on ...')."""
    match = _COUNT_WANTED.match(question)
    if match is None:
        return None
    count = match["count"].lower()
    return _NUMBERS.index(count) + 1 if count in _NUMBERS else int(count)


def _most_papers(task: WritingTask) -> int:
    """Papers that an answer of the length that is wanted tells of."""
    kind = task.question.kind
    if kind in _ANY_NUMBER and (wanted := _papers_wanted(task.question.standalone)):
        return min(wanted, _MOST_WANTED)
    if task.length is Length.SHORT:
        return _PAPERS_IN_SHORT.get(kind, _PAPERS_IN_SHORT_OTHERWISE)
    return _MOST_PAPERS.get(kind, _MOST_PAPERS_OTHERWISE)


def _namesakes(ranked: Sequence[list[Evidence]], question: str) -> list[list[Evidence]]:
    """The papers that share the name a question uses, if nothing else in it tells them apart."""
    holding = [group[0].paper.id for group in ranked if _holds_names(group[0].paper, question)]
    for name in re.findall(
        r"(?<!\w)[A-Za-z][\w-]*[A-Z0-9][\w-]*|(?<!^)(?<!\w)[A-Z][\w-]+", question
    ):
        # 'LLM inference with ...' is not called LLM.
        start = re.compile(rf"{re.escape(name)}(?=:| v?\d|$)", re.IGNORECASE)
        sharing = [group for group in ranked if start.match(group[0].paper.title)]
        # Case tells Medusa from MEDUSA.
        sharing = [g for g in sharing if g[0].paper.title.startswith(name)] or sharing
        if holding and any(group[0].paper.id not in holding for group in sharing):
            continue
        if len(sharing) > 1 and sharing[1][0].score >= sharing[0][0].score * _NAMESAKE_NEAR:
            return sharing
    return []


def _holds_names(paper: Paper, question: str) -> bool:
    """Whether a paper has two names of a question or more, and all that it has."""
    named = set(_NAME_LIKE.findall(question))
    text = f"{paper.title} {paper.abstract}"
    return len(named) > 1 and all(_place(name, text, exact=False) >= 0 for name in named)


def _names_held(paper: Paper, names: Sequence[str]) -> int:
    """How many of the names a paper has."""
    text = without_tex(f"{paper.title} {paper.abstract}")
    return sum(_goes_by(name.removesuffix("s"), text) for name in names)


def _goes_by(name: str, text: str) -> bool:
    """Whether a text has a name, in any number, or words that it is short for."""
    in_full = r"\w*\W+".join(map(re.escape, name))
    # 'μP' may be set as TeX.
    as_it_stands = re.sub(r"[^\x00-\x7f]", r"\\w+", re.escape(name))
    pattern = rf"(?<!\w)(?:{as_it_stands}s?(?!\w)|{in_full}\w)"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _is_stranger(paper: Paper, asked: str) -> bool:
    """Whether a paper has none of the names of a question: its figures are of other things."""
    names = things_named(asked)
    return bool(names) and not _names_held(paper, names)


def _told_apart(
    chosen: _Chosen, condition: Condition
) -> tuple[list[list[Evidence]], list[list[Evidence]]]:
    """The papers that hold a condition and belong, what says so first, and those that do not."""
    groups = chosen.wider or chosen.groups
    held = [_holds(group[0].paper, condition) for group in groups]
    holding = [group for group, holds in zip(groups, held, strict=True) if holds]
    others = [group for group, holds in zip(groups, held, strict=True) if not holds]
    # A sentence that denies a thing scores low: that its paper is on the matter shows otherwise.
    about = _ON_THE_MATTER * max(g[0].covered for g in groups) if condition.telling else 0.0
    near = 0.0 if condition.telling else _WIDER * max(g[0].score for g in chosen.groups)
    beside = chosen.groups if condition.among_all else holding
    best = BESIDE_BEST[QuestionKind.LIST] * max((g[0].belongs for g in beside), default=0.0)
    fitting = [
        group
        for group in holding
        if group[0].score >= near and group[0].belongs >= best and group[0].covered >= about
    ]
    if not fitting and not any(group in chosen.groups for group in others):
        # An answer from far off is better than an empty one.
        fitting = holding
    return [_saying_first(group, condition) for group in fitting], others


def _holds(paper: Paper, condition: Condition) -> bool:
    """Whether a paper holds a condition by its title or its abstract."""
    spans = paper_sentences(paper.abstract)
    return condition.held_by(paper.title, [paper.abstract[start:end] for start, end in spans])


def _saying_first(group: list[Evidence], condition: Condition) -> list[Evidence]:
    """A paper's evidence with the sentence first that says that it holds a condition."""
    said = [item for item in group if condition.said_in(item.span.text)]
    said.sort(key=lambda item: _SPEAKS_OF_ITSELF.search(item.span.text) is None)
    return [*said[:1], *(item for item in group if item not in said[:1])]


def _telling(group: Sequence[Evidence]) -> list[Evidence]:
    """A paper's evidence with what it says of itself before what it says of the field.

    Only among sentences that come near the best: a list is of what qualifies a paper.
    """
    near = [item for item in group if item.score >= group[0].score * _TELLING_NEAR]
    own = [item for item in near if _SPEAKS_OF_ITSELF.search(item.span.text)]
    rest = [item for item in group if item not in own]
    own.sort(key=lambda item: _INTENTION.search(item.span.text) is not None)
    return sorted((*own, *rest), key=lambda item: is_hollow(item.span.text))


def _told_first(item: Evidence, task: WritingTask) -> list[Evidence]:
    """The evidence of an item's paper, the item first."""
    group = [other for other in task.evidence if other.paper.id == item.paper.id]
    return [
        item,
        *(other for other in group if other is not item and not says_where(other.span.text)),
    ]


def _figure_first(group: Sequence[Evidence], asked: str) -> list[Evidence]:
    """A paper's evidence with a sentence first that holds a figure of the kind asked for."""
    found = [
        (figure.near, -place, item)
        for place, item in enumerate(group)
        if item.score >= group[0].score * _SENTENCE_NEAR
        and (figure := figure_for(item.span.text, asked))
        and figure.fits
    ]
    if not found:
        return list(group)
    first = max(found)[2]
    return [first, *(item for item in group if item is not first)]


def _with_figure(parts: Sequence[str], asked: str, *, sure: bool) -> list[str]:
    """Sentences with the figure in bold that is asked for.

    Without one, what is likeliest to be it, if its sentence has no other, unless only what is
    ``sure`` counts: none in bold is better than a wrong one.
    """
    found = [figure_for(part, asked) for part in parts]
    ranked = [(one.fits, not one.fits and one.near, -at) for at, one in enumerate(found) if one]
    if not ranked:
        return list(parts)
    place = -max(ranked)[2]
    figure = found[place]
    if figure is None or not (figure.fits or (figure.alone and not sure)):
        return list(parts)
    return [in_bold(part, figure) if at == place else part for at, part in enumerate(parts)]


def _led(item: Evidence, offered: Mapping[int, Evidence]) -> list[Evidence] | None:
    """The sentence with those before it that it leans on, or None when one was not offered."""
    run = [item]
    while standing_alone(run[0].span.text)[1]:
        before = offered.get(run[0].ordinal - 1)
        if before is None or len(run) > _LONGEST_LEAD:
            return None
        run.insert(0, before)
    return run


def _is_undefined(asked: str, groups: Sequence[Sequence[Evidence]]) -> bool:
    """Whether it is asked what something is that no abstract told of says, in no title either."""
    thing = thing_defined(asked)
    if thing is None:
        return False
    return not any(
        defines(item.span.text, asked)
        or tells_of(item.span.text, asked)
        or thing.casefold() in item.paper.heading.casefold()
        for group in groups
        for item in group
    )


def _speaks_of_another(group: Sequence[Evidence], asked: str) -> bool:
    """Whether a paper only says in passing what is asked for: the rest of it is of its own work."""
    said = group[0].span.text
    return (
        defines(said, asked)
        and _SPEAKS_OF_ITSELF.search(said) is None
        and short_name(group[0].paper.heading).casefold() not in asked.casefold()
    )


def figure_missing(question: Question, papers: Sequence[Paper]) -> str | None:
    """The measure whose figure is asked for, if none of the papers gives it, else None."""
    if question.kind is not QuestionKind.NUMBER:
        return None
    texts = (
        paper.abstract[start:end]
        for paper in papers
        for start, end in paper_sentences(paper.abstract)
    )
    return measure_missing(question.standalone, texts)


def _own_work(group: Sequence[Evidence]) -> list[Evidence]:
    """A paper's sentences in order, from the first that speaks of its own work."""
    ordered = sorted(group, key=lambda item: item.ordinal)
    name = short_name(ordered[0].paper.heading)
    for at, item in enumerate(ordered):
        if _SPEAKS_OF_ITSELF.search(item.span.text) or name in item.span.text:
            return ordered[at:]
    return ordered


def _cell(text: str) -> str:
    """Text that cannot end a table's cell."""
    return text.replace("|", "\\|")


def _wants_table(question: str, groups: Sequence[Sequence[Evidence]]) -> bool:
    """Whether a comparison is of whole papers, with no particular aspect asked for."""
    if len(groups) < 2:
        return False
    rest = question
    for group in groups:
        rest = re.sub(re.escape(short_name(group[0].paper.heading)), " ", rest, flags=re.IGNORECASE)
    left = [word for word in re.findall(r"[A-Za-z]{3,}", rest) if word.lower() not in _COMPARING]
    return len(left) <= 1


def _named(ranked: Sequence[list[Evidence]], asked: str) -> list[list[Evidence]]:
    """The papers that a comparison names, in its order; none unless it names at least two."""
    titles = [without_tex(group[0].paper.heading) for group in ranked]
    # Case tells Medusa from MEDUSA, if the question minds it.
    for exact in (True, False):
        places = {at: _place(short_name(title), asked, exact) for at, title in enumerate(titles)}
        for word in _NAME_LIKE.findall(asked):
            # 'Sarathi-Serve' names the paper that ends '... with Sarathi-Serve'.
            holding = [at for at, title in enumerate(titles) if _place(word, title, exact) >= 0]
            if len(holding) == 1 and places[holding[0]] < 0:
                places[holding[0]] = _place(word, asked, exact)
        found = sorted((place, at) for at, place in places.items() if place >= 0)
        if len(found) > 1:
            return [ranked[at] for _, at in found]
    return []


def _place(name: str, text: str, exact: bool) -> int:
    """Where ``text`` has the name, -1 if it does not; ``exact`` minds the case."""
    pattern = rf"(?<![\w-]){re.escape(name)}(?![\w-])"
    match = re.search(pattern, text, 0 if exact else re.IGNORECASE)
    return match.start() if match else -1


def _section(group: Sequence[Evidence]) -> str:
    """What sort of thing a paper says, by its title and the sentence that is told of it."""
    for heading, pattern, by_title in _SECTIONS:
        text = group[0].paper.title if by_title else _telling(group)[0].span.text
        if pattern.search(text):
            return heading
    return _FINDINGS


class ExtractiveBackend:
    """Writes with the papers' own sentences; needs no model, key or network."""

    name = "extractive"

    def standalone(self, question: str, history: Sequence[Message]) -> tuple[str | None, Usage]:
        """Leaves the standalone form to the rules."""
        return None, Usage()

    def write(self, task: WritingTask) -> Generator[str, None, Usage]:
        """Yield the answer line by line."""
        kind = task.question.kind
        chosen = _chosen(task)
        groups = chosen.groups
        against = contradiction(task.question.standalone, kind, task.evidence)
        if against is not None:
            yield f"{against.lead}\n\n"
            yield from self._sections([_told_first(against.item, task)], 2, None)
            return Usage()
        rivals = task.rivals or both_sides(task.question.standalone, kind, task.evidence)
        if rivals:
            yield f"{DIFFERENT_FIGURES if task.rivals else DISAGREE}\n\n"
            yield from self._sections([_told_first(item, task) for item in rivals], 1, None)
            return Usage()
        if task.unheard:
            words = ", ".join(f"'{word}'" for word in task.unheard[:_MOST_UNHEARD])
            yield f"No paper here mentions {words}. The nearest:\n\n"
        condition = condition_of(task.question.standalone) if kind in _ANY_NUMBER else None
        squarely = any(group[0].belongs >= SQUARELY for group in groups)
        if kind in _ANY_NUMBER and not (condition or squarely or task.unheard) and groups:
            yield f"{NONE_SQUARELY}\n\n"
        short = task.length is Length.SHORT
        sentences = _most_sentences(task)
        facet = facet_asked(task.question.standalone)
        table = not short and _wants_table(task.question.standalone, groups)
        if kind is QuestionKind.COMPARISON and table:
            yield from self._table(groups)
        elif condition is not None:
            yield from self._list_holding(chosen, condition, _most_papers(task), sentences)
        elif kind is QuestionKind.OVERVIEW and len(groups) > 1 and facet is None:
            few = len(groups) <= _FEW_PAPERS and not short
            yield from self._overview(groups, sentences + few)
        elif kind in _ANY_NUMBER and len(groups) > 1:
            yield from self._listed(groups, sentences)
        else:
            asked = task.question.standalone if kind in _FIGURES else None
            if kind in _ANY_NUMBER and not short:
                long = task.length is Length.LONG
                sentences = _SENTENCES_IN_DETAIL_OTHERWISE if long else _SENTENCES_OF_THE_ONLY_PAPER
            if chosen.namesakes:
                yield "Several papers here go by that name:\n\n"
                sentences = min(2, sentences)
            elif kind is QuestionKind.DEFINITION:
                if _is_undefined(task.question.standalone, groups):
                    yield f"{NOT_DEFINED}\n\n"
                elif groups and _speaks_of_another(groups[0], task.question.standalone):
                    sentences = 1
            elif not task.unheard and (
                missing := figure_missing(task.question, [group[0].paper for group in groups])
            ):
                yield f"These abstracts do not give the {missing}. The nearest:\n\n"
            elif task.unsure and kind in _MAY_MISS and not task.unheard:
                yield f"{MAY_MISS}\n\n"
            sure = kind is QuestionKind.COMPARISON
            every = sure or task.length is Length.LONG
            further = None if every else _SENTENCES_OF_A_FURTHER_PAPER
            yield from self._sections(groups, sentences, asked, sure=sure, further=further)
        return Usage()

    def _overview(self, groups: Sequence[Sequence[Evidence]], sentences: int) -> Iterator[str]:
        """A list, parted by what the papers say: surveys, evaluations, methods, findings."""
        parts: dict[str, list[Sequence[Evidence]]] = {}
        for group in groups:
            parts.setdefault(_section(group), []).append(group)
        if len(groups) < _FEWEST_TO_GROUP or len(parts) == 1:
            yield from self._listed(groups, sentences)
            return
        gap = ""
        for heading, members in parts.items():
            yield f"{gap}{heading}:\n\n"
            gap = "\n"
            yield from self._listed(members, sentences)

    def _list_holding(
        self, chosen: _Chosen, condition: Condition, papers: int, sentences: int
    ) -> Iterator[str]:
        """The papers that hold a condition, then the nearest that do not."""
        holding, others = _told_apart(chosen, condition)
        least = SQUARELY if holding else 0.0
        near = [g for g in others if g in chosen.groups and g[0].belongs >= least]
        near.sort(key=lambda group: condition.against(group[0].paper.title))
        near = near[:_MOST_UNSAID] if condition.near or not holding else []
        for group in holding[:papers]:
            titled = condition.titled(group[0].paper.title)
            if titled or not condition.said_in(group[0].span.text):
                yield from self._listed([sorted(group, key=lambda item: -item.score)], sentences)
                continue
            run = _led(group[0], {item.ordinal: item for item in group}) or group[:1]
            words = [standing_alone(run[0].span.text)[0], *(quoted(i.span.text) for i in run[1:])]
            told = " ".join(f"{text} [{i.n}]" for text, i in zip(words, run, strict=True))
            yield f"- **{group[0].paper.heading}** — {told}\n"
        if near:
            gap = "\n" if holding else ""
            yield f"{gap}{condition.near if holding else condition.none}\n\n"
            yield from self._listed(near, sentences)

    def _listed(self, groups: Sequence[Sequence[Evidence]], sentences: int) -> Iterator[str]:
        for group in groups:
            first, *rest = _telling(group)
            # A second sentence must add something; what does not may still lead one that leans.
            rest.sort(key=lambda item: _says_little(item.span.text))
            adding = sum(not _says_little(item.span.text) for item in rest)
            parts = list(self._sentences([first, *rest], min(sentences, 1 + adding)))
            yield f"- **{group[0].paper.heading}** — {' '.join(parts)}\n"

    @staticmethod
    def _table(groups: Sequence[Sequence[Evidence]]) -> Iterator[str]:
        """A row for each aspect, a column for each paper, sentences of the papers as cells."""
        yield (
            "| | "
            + " | ".join(_cell(short_name(group[0].paper.heading)) for group in groups)
            + " |\n"
        )
        yield "|---" * (len(groups) + 1) + "|\n"
        told: set[int] = set()
        for aspect, pattern in _ASPECTS:
            cells = []
            for group in groups:
                fitting = [
                    item
                    for item in _own_work(group)
                    if item.n not in told and pattern.search(item.span.text)
                ]
                if not fitting:
                    # Of how something is done, every abstract says something.
                    said = aspect == _HOW_ROW or any(
                        pattern.search(item.span.text) for item in _own_work(group)
                    )
                    cells.append(SEE_ABOVE if said else NOT_STATED)
                    continue
                item = next((i for i in fitting if not standing_alone(i.span.text)[1]), fitting[0])
                run = _led(item, {other.ordinal: other for other in group}) or [item]
                run = [part for part in run if part.n not in told]
                told.update(part.n for part in run)
                words = [standing_alone(run[0].span.text)[0]]
                words += [quoted(part.span.text) for part in run[1:]]
                cells.append(
                    " ".join(
                        f"{_cell(text)} [{part.n}]" for text, part in zip(words, run, strict=True)
                    )
                )
            if any(cell.endswith("]") for cell in cells):
                yield f"| {aspect} | " + " | ".join(cells) + " |\n"

    def _sections(
        self,
        groups: Sequence[Sequence[Evidence]],
        sentences: int,
        asked: str | None,
        *,
        sure: bool = False,
        further: int | None = None,
    ) -> Iterator[str]:
        """A heading and sentences for each paper; the figure that is asked for is in bold.

        Papers behind the first have ``further`` sentences at most, where that is given.
        """
        for place, group in enumerate(groups):
            yield f"**{group[0].paper.heading}**\n\n"
            told = _figure_first(group, asked) if asked else group
            most = min(sentences, further) if place and further else sentences
            parts = list(self._sentences(told, most))
            if asked and not _is_stranger(group[0].paper, asked):
                parts = _with_figure(parts, asked, sure=sure)
            for part in parts:
                yield f"{part} "
            yield "\n\n"

    def _sentences(self, group: Sequence[Evidence], most: int) -> Iterator[str]:
        """The best sentence first, the others after it in the order of the abstract.

        A sentence that leans on the one before it is led by it; where that was not offered, the
        sentence is left out, unless there is no other.
        """
        best = max(item.score for item in group)
        # The first one may have been put there for what it says.
        least = 0.0 if most >= _SENTENCES_IN_DETAIL_OTHERWISE else best * _SENTENCE_NEAR
        near = [item for item in group[1:most] if item.score >= least]
        chosen = [group[0], *near]
        offered = {item.ordinal: item for item in group}
        said: set[int] = set()
        for item in [chosen[0], *sorted(chosen[1:], key=lambda item: item.ordinal)]:
            run = _led(item, offered)
            if run is None:
                continue
            for place, part in enumerate(run):
                if part.ordinal in said:
                    continue
                follows = part.ordinal - 1 in said and place > 0
                text = quoted(part.span.text) if follows else standing_alone(part.span.text)[0]
                said.add(part.ordinal)
                yield f"{text} [{part.n}]"
        if not said:
            yield f"{standing_alone(chosen[0].span.text)[0]} [{chosen[0].n}]"
