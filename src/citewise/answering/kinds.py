"""Which kind of answer a question wants.

Rules know the plain forms; people use a hundred others. So a linear model reads what the rules say
together with the question's words, pairs of words and shape. Its weights come from questions
written for the purpose (``training/fit_kinds.py``), and its table is in the package.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from citewise.backends.definition import asks_what_is_proposed, thing_defined
from citewise.backends.measure import measure_named
from citewise.types import QuestionKind

KINDS = tuple(QuestionKind)
"""The order of the columns of the table."""
TABLE = "data/kinds.tsv.gz"
WIDE = (QuestionKind.LIST, QuestionKind.OVERVIEW)
"""Kinds of question that any number of papers may belong to."""
SEVERAL = (*WIDE, QuestionKind.COMPARISON)
"""Kinds of question that no single paper answers."""

_LONGEST = 2_000
"""Characters of a question that are looked at."""
_TOKEN = re.compile(r"[^\W\d_][\w'’]*|\d[\d.,]*|[?,:;]")
_NAME = re.compile(r"\b(?:[A-Z][a-z]*[A-Z0-9][\w-]*|[A-Z]{2,}[\w-]*)\b")
_STEP = 7
"""Words by which the lengths that are told apart differ."""

_MEASURE = (
    r"(?:speed-?ups?|accuracy|throughput|latency|reductions?|scores?|gains?|rates?|ratios?"
    r"|percentage|perplexity|F1|mAP|mIoU|FID|BLEU|AUC|fps|costs?|price|power|length|size|weight"
    r"|duration|age|dose|prevalence|incidence|mortality|sensitivity|specificity)"
)
_NUMBER = re.compile(
    # 'How do I decide how many ...' asks for a way.
    r"(?:^|[,;:.?!]\s|\b(?:by|about|around|roughly|approximately|exactly|to|in|on|at|with|of|than"
    r"|over|under|for|from|after|within|and|but|or|so|me|know|tell|say|report)\s)how (?:many|much"
    r"|fast|large|big|long|often|high|low|small|deep|wide|accurate|far)\b"
    r"|\bwhat (?:percentage|percent|fraction|share|number|size|score|accuracy|speed-?up|factor)\b"
    rf"|\b(?:which|what)(?:['’]?s| is| was| are| were)?(?: the)?(?: [\w-]+){{0,2}}? {_MEASURE}"
    r"(?= (?:do|does|did|is|was|are|were|can|has|have|of|for|on|in|with|at)\b|[?.]|$)"
    r"|\bby what (?:factor|margin|percentage)\b|\bto what extent\b",
    re.IGNORECASE,
)
_REACHED = re.compile(
    r"^(?:what|which) .*\b(?:does|do|did|can|has|have) .*"
    r"\b(?:get|reach|achieve|score|obtain|attain)(?:ed)?\b",
    re.IGNORECASE,
)
_SHORT_MEASURE = re.compile(r"(?:.*\s)?(?:(?=\S*[A-Z\d@])\S{1,9}[^\ss]|recall|precision)")
"""With ``_REACHED``, how a measure is written: 'What PSNR does it get?' wants a figure."""
_KEYWORDS = re.compile(
    r"^(?!.*\b(?:wh(?:o|at|ats|ich|en|ere|y)|how|is|are|was|were|do|does|did|can|has|have|explain"
    rf"|define|describe|tell|find|meaning)\b)(?=.*\b(?:{_MEASURE}|memory)\b)"
    rf"|^(?:[\w-]+ ){{0,2}}?{_MEASURE} (?:of|for|on|when|if|with|in|at|per)\b",
    re.IGNORECASE,
)
"""No sentence, but keywords with a measure among them ('Lantern accuracy on long texts')."""
_MANY = (
    r"(?:papers|methods|works|approaches|models|studies|systems|techniques|benchmarks|datasets"
    r"|frameworks|surveys|algorithms|architectures|tools|designs|projects|networks|articles"
    r"|publications|experiments|trials|schemes|tricks|groups|teams|rcts|meta-analyses|reviews"
    r"|cohorts|case (?:reports|series|studies)|corpora|preprints|registries)"
)
_BETWEEN = (
    r"(?!(?:do|does|did|can|could|should|would|will|may|has|have|had|makes?|limits?|causes?|helps?"
    r"|in|of|on|for|by|with|from|to|at|about|between)\s)[\w-]+\s+"
)
"""A word that may stand between 'which' and the things asked for."""
_WHETHER = (
    r"(?:is|are|was|were|does|do|did|can|could|has|have|will|would|should)\s"
    r"(?!(?:there|you|we|i|any|anyone|some|other)\b)"
)
"""Begins a question that is answered by yes or no, though it ends in things that lists are of."""
_LIST = re.compile(
    rf"^(?:which|what|are there(?: any)?)\s+(?:{_BETWEEN}){{0,4}}{_MANY}\b"
    r"|^(?:which|what|who) of (?:(?:them|these|those)\b|[A-Z][^?]*, [^?]* and )"
    rf"|^(?!{_WHETHER})(?:[\w-]+\s+){{0,3}}{_MANY}"
    r" (?:about|on|for|that|which|where|with|using|of|in|\w+ing)\b"
    r"|^(?:(?!what|which|how|who|why)[\w'’-]+\s+){1,6}(?:papers|studies|articles|publications)[?.!]*$"
    rf"|^(?!{_WHETHER})(?:[\w-]+\s+){{0,4}}{_MANY}[?.!]*$"
    r"|^(?:is|are) there (?:(?:any|an?|some|other)\s+)?(?:[\w-]+\s+){0,2}(?:work|papers?|research"
    r"|stud(?:y|ies)|survey|review|dataset|benchmark)s?"
    r" (?:on|about|that|which|for|of|using|with|in)\b"
    r"|\bwhich ones\b[^?]*[?.!]*$"
    r"|^(?:what(?:['’]?s| are| is)? )?(?:the |an? |some |any )?(?:\w+ )?(?:alternatives?"
    r"|successors?|substitutes?|replacements?|variants?|extensions?|examples?|follow-?ups?)"
    r" (?:to|of|for)\b"
    r"|^(?:does|did|do|has|is) any(?:one|body)\b|^any(?:thing|one|body)\b"
    r"|^what (?:can|could|should) (?:i|we|you|one) use (?:instead|in place)\b"
    rf"|\bwhich (?:of the (?:[\w-]+\s+){{0,4}}{_MANY}\b(?!.*\bor\b)|(?:papers|studies)\b)"
    r"|^who (?:else|works?|has|have|(?!is\b|was\b|does\b|wrote\b)\w+s)\b|\b(?:list|name) them\b"
    r"|^(?:what|which) (?:[\w-]+\s+){1,12}(?:are|were|have been) (?:there|described|proposed"
    r"|reported|presented|studied|mentioned|listed|in here)\b"
    rf"|^(?:list|name|enumerate)\b|^(?:find|show|give)\b.{{0,40}}\b(?:all|every|{_MANY})\b"
    r"|\bhow many (?:of (?:them|these|those)\b|(?:[\w-]+\s+){0,4}"
    r"(?:papers|works|studies|methods)\b)|\b(?:which|what|who) are they\b(?=[?. ]*$)"
    rf"|^(?!{_WHETHER}).*\b(?:all|every|any) (?:the )?(?:[\w-]+\s+){{0,2}}"
    rf"(?:{_MANY}|paper|work|study|method)\b",
    re.IGNORECASE,
)
_COUNTED_AND_NAMED = re.compile(
    r"\bhow many\b.*\b(?:(?:which|what|who) (?:ones )?are they|(?:list|name) them|which ones)\b",
    re.IGNORECASE,
)
"""How many papers, and which."""
_COMPARISON = re.compile(
    r"\b(?:compare[ds]?|comparison|contrast|versus|vs\.?|differ(?:s|ences?)?"
    r"|different(?= from\b| than\b| to\b|[?.]|$)"
    r"|as opposed to|distinguish(?:es)?|trade-?offs? between|the two (?:\w+ )?"
    r"(?:report|use|do|take)"
    r"|(?:do|does) .{1,60} agree|in which .{1,40} and in which|side by side|respectively"
    r"|which (?:[\w-]+ ){1,12}and (?:\w+ )?which)\b"
    r"|^[^?:,]{2,60} against [^?:,]{2,60}[:,]"
    r"|\b(?:do|does|did)\b.{3,90}\beach (?!other\b|of\b)\w+"
    r"|\b(?:the same|a common) (?:problem|question|task|goal|idea|thing)\b"
    r"|\b(?:two|both) (?:works|papers|methods|models|studies|approaches|systems)\b"
    r"|\b(?:how (?:do|does)|what (?:do|does|did)) each\b"
    r"|^which (?:is|was|one|found|has|had|does|did|uses|reports?|runs|needs)\b.{3,120}\bor\b",
    re.IGNORECASE,
)
_BETTER = re.compile(
    r"\b(?:better|best|worse|worst|faster|fastest|cheaper|cheapest|smaller|larger|bigger|higher"
    r"|lower|longer|shorter|safer|stronger|easier|quicker|more|less|fewer|most|least|superior"
    r"|should (?:i|we|one))\b",
    re.IGNORECASE,
)
_EITHER = re.compile(
    r"^(?:(?:which|what|is|are|does|do|should)\b|[^?:,]{1,60}\b(?:or|against)\b)"
    r"(?:(?<=or)|(?<=against)|.*\b(?:or|against)\b)(?! (?:less|more|fewer|not|so)\b)",
    re.IGNORECASE,
)
"""With a word of ``_BETTER``: a choice between two ('A or B: which is cheaper?')."""
_TWO = re.compile(r"^[\w-]+(?:,? [\w-]+){0,2} or (?!not\b|less\b|more\b)[\w-]+", re.IGNORECASE)
_POLITE = re.compile(
    r"^(?:(?:please|hi|hello|hey|(?:can|could|would|will) you(?: please)?|i (?:want|need) to know"
    r")\b[,!]?\s+)+",
    re.IGNORECASE,
)
_MEASURED = re.compile(
    r"^(?:by )?how (?:much|many|fast|large|big|long|high|low|small|accurate)\b(?!.*\b(?:differ\w*"
    r"|contrast|versus|vs)\b)",
    re.IGNORECASE,
)
"""A question for a figure, though it compares ('how fast is it compared with')."""
_OF_TWO = re.compile(
    r"^which of (?:the two|both|(?:(?!\bof\b|,).){1,60} and [^,]{1,60}?) (?:is|are|was|has|uses?"
    r"|needs?|runs?|does|do|reports?)\b",
    re.IGNORECASE,
)
_ANY_OF_A_SORT = re.compile(
    r"^(?:which|what)\s+(?!(?:causes|makes|limits|helps|keeps|lets|sets|distinguishes|drives|explains"
    r"|separates|goes|counts|happens|holds|stands|comes|gives|leads|prevents|stops|hinders|remains"
    r"|changes|works|triggers|determines|influences|affects|governs)\b)"
    r"(?:[a-z][\w-]*\s+){0,2}?(?:[a-z][\w-]*[a-z](?<![sui])s|[A-Z]+s|data|criteria)\s+"
    r"(?!(?:does|did|is|was|has|had|of|in|for|on|from|with|by|to|at|about|between|and|or|as|than"
    r"|when|if|while)\b|(?:do|are|were|have|can|could|will|would|should)\s+(?:the|this|that|these"
    r"|those|it|they|its|their|he|she|[A-Z]\S*|\w+[A-Z]\S*)(?:\s|$))"
    r"(?!.*\b(?:the|this|that|these|those) (?:[\w-]+ ){0,2}(?:paper|study|work|authors|survey|trial"
    r"|report|benchmark|dataset|article|review)\b)",
)
"""Asks for whatever is of a sort, of no one paper ('which losses work on small objects')."""
_RIVAL = re.compile(
    r"\b(?:beats?|outperforms?|surpass(?:es)?|(?:better|faster|cheaper|smaller|more \w+) than"
    r"|alternatives? (?:to|for)|substitutes? for|instead of|replaces?|in place of)\s+(?P<what>.+)",
    re.IGNORECASE | re.DOTALL,
)
_WHATEVER = re.compile(r"^(?:which|what|who)\b(?!.*\b(?:do|does|did)\b)", re.IGNORECASE)
"""With ``_RIVAL``: whatever beats or replaces it, and not what the one thing beats."""
_WHAT_IS = re.compile(
    r"^what(?:['’]?s| is| are) (?!the |some |all |any )"
    rf"(?:(?:[\w-]+\s+){{0,3}}{_MANY}|(?:an? )?{_MEASURE})[?.!]*$",
    re.IGNORECASE,
)
_OVERVIEW = re.compile(
    r"^(?:sketch|outline|survey|review)\b|\b(?:overview|survey of|summar(?:y|ise|ize)"
    r"|state of the art|the state of"
    r"|(?:main|key|big) (?:ideas|approaches|ways|lines|directions|findings)|what is known"
    r"|(?:broad|big) picture|in a nutshell|tell me about|(?:what is|what's) (?:going on|out there)"
    r"|state of (?:play|knowledge|research)|what do we know|what (?:\w+ ){0,6}(?:has"
    r"|have) been (?:done|tried|proposed|reported|found|shown|made|developed)"
    r"|research (?:is there )?(?:on|about)|(?:ways|approaches|techniques|tricks|designs"
    r"|architectures|limits|ideas|causes|reasons|solutions) (?:to|of|for|are there|exist|have been)"
    r"|what do (?:\w+ )?(?:papers|studies|works|evaluations|people|researchers)"
    r" (?:say|reveal|show|report|find|propose|do|know)"
    r"|how (?:is|are) .{3,60} (?:tackled|addressed|handled|treated|used|studied) (?:in|across|here)"
    r"|how (?:do|are|have) (?:people|researchers|papers|methods|current|recent|different)"
    r"|how good are)\b"
    r"|^(?:what(?:['’]?s| are| is) )?(?:(?:the|some|any|my|your|most) )?(?:\w+ )?(?:ways? to"
    r"|options (?:for|to)|tips for|pitfalls|mistakes in|failure modes)\b"
    r"|^what (?:helps|works) (?:against|with|for)\b",
    re.IGNORECASE,
)
_HOW = re.compile(
    r"^(?:how|why|in what way|by what means|explain how|describe how)\b", re.IGNORECASE
)
_YES_NO = re.compile(
    r"^(?:is|are|was|were|does|do|did|can|could|has|have|had|will|would|should|isn't|doesn't)\b",
    re.IGNORECASE,
)


def by_rule(text: str) -> QuestionKind:
    """The kind that the rules give for a question without polite words around it."""
    if _WHAT_IS.search(text):
        return QuestionKind.DEFINITION
    if _MEASURED.search(text) and not _LIST.search(text):
        return QuestionKind.NUMBER
    if _COMPARISON.search(text) or _OF_TWO.search(text):
        return QuestionKind.COMPARISON
    chosen = _TWO.search(text) or (_BETTER.search(text) and _EITHER.search(text))
    if chosen and not _LIST.search(text):
        return QuestionKind.COMPARISON
    if _OVERVIEW.search(text):
        return QuestionKind.OVERVIEW
    if _LIST.search(text):
        return QuestionKind.LIST
    if _NUMBER.search(text) or _KEYWORDS.search(text):
        return QuestionKind.NUMBER
    measure = measure_named(text) if _REACHED.search(text) else None
    if measure and _SHORT_MEASURE.fullmatch(measure.name):
        return QuestionKind.NUMBER
    if thing_defined(text) or asks_what_is_proposed(text):
        return QuestionKind.DEFINITION
    if _YES_NO.search(text):
        return QuestionKind.YES_NO
    if _HOW.search(text):
        return QuestionKind.HOW
    return QuestionKind.FACT


def features(question: str) -> frozenset[str]:
    """What the model sees of a question: words, pairs of them, how it begins, its shape, the rules.

    Digits are all one digit, so that figures are seen as figures.
    """
    text = _plain(question)
    words = ["#" if t[0].isdigit() else t.lower().replace("’", "'") for t in _TOKEN.findall(text)]
    line = ["^", *words, "$"]
    names = len(_NAME.findall(text))
    return frozenset(
        [
            *(f"1 {word}" for word in line),
            *(f"2 {one} {two}" for one, two in pairwise(line)),
            *(f"^ {' '.join(words[:count])}" for count in (1, 2, 3)),
            f"names {min(names, 2)}",
            f"words {min(len(text.split()) // _STEP, 4)}",
            f"commas {min(text.count(','), 2)}",
            f"rule {by_rule(text).value}",
            f"any of a sort {bool(_ANY_OF_A_SORT.search(text[:1].lower() + text[1:]))}",
        ]
    )


@dataclass(frozen=True, slots=True)
class KindModel:
    """A linear model: a row of weights for each feature, a column for each of ``KINDS``."""

    bias: NDArray[np.float32]
    rows: Mapping[str, NDArray[np.float32]]

    def kind(self, question: str) -> QuestionKind:
        """The kind with the highest sum."""
        known = [self.rows[name] for name in features(question) if name in self.rows]
        return KINDS[int(np.argmax(self.bias + np.sum(known, axis=0) if known else self.bias))]


@lru_cache(maxsize=1)
def _model() -> KindModel:
    table = resources.files("citewise").joinpath(TABLE).read_bytes()
    rows = {}
    for line in gzip.decompress(table).decode("utf-8").splitlines():
        name, *weights = line.split("\t")
        rows[name] = np.array(weights, np.float32)
    return KindModel(rows.pop("bias"), rows)


def kind_of(question: str) -> QuestionKind:
    """The kind of answer a question wants, by its words."""
    kind = _model().kind(question)
    if kind is QuestionKind.NUMBER and _COUNTED_AND_NAMED.search(_plain(question)):
        return QuestionKind.LIST
    if kind is QuestionKind.FACT and rival_named(question) and _WHATEVER.search(_plain(question)):
        return QuestionKind.LIST
    return kind


def rival_named(question: str) -> str:
    """What is to be beaten or replaced, with the words behind it; empty where nothing is."""
    match = _RIVAL.search(_plain(question))
    return match["what"] if match else ""


def _plain(question: str) -> str:
    return _POLITE.sub("", " ".join(question[:_LONGEST].split()))
