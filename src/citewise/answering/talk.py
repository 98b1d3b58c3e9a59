"""What a talk has been about: its subject, and the papers that 'it' and 'they' stand for.

Only the messages are read, so that a talk can be taken up from anywhere. A question that says
nothing of a subject ('by how much?', 'what are the limitations?') goes on with the one before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from citewise.answering.form import others
from citewise.answering.kinds import SEVERAL, WIDE, kind_of
from citewise.answering.wishes import WHICH_ONE
from citewise.grounding.overlap import FRAME_WORDS, STOP_WORDS, background, stem
from citewise.library.library import Library
from citewise.types import Message, Paper, QuestionKind, short_name, without_tex

DECLINED = "The papers in this library don't answer that"
"""How an answer begins that declines; the papers it names are only the nearest."""

LEANING = re.compile(
    r"\b(?:it|its|itself|they|them|their|theirs|this|that|these|those|he|she|his|her|there"
    r"|the (?:same|former|latter|first|second|third|last|other|others|authors?|paper|method|model"
    r"|approach|system|work|framework|technique|dataset|benchmark))\b"
    r"|^(?:and|but|so|also|what about|how about|or)\b|\b(?:the )?(?:one|ones|both|either)\b"
    r"|\bthe two\b",
    re.IGNORECASE,
)
_OF_ITSELF = re.compile(
    r"(?<!\bthan )(?<!\bwith )(?<!\bto )(?<!\band )(?<!\bor )(?<!\bon )(?<!\bfor )(?<!\bagainst )"
    r"\b(?:it|its|itself|they|their|them)$",
    re.IGNORECASE,
)
"""A pronoun that may mean what its own question names before it; not that of 'faster than it'."""
_PEOPLE = re.compile(
    r"^(?:what|which|how)\b.*\bdo they (?:use|apply|take|choose|pick)\b.*?\b(?:for|in)"
    r" (?P<field>.+)",
    re.IGNORECASE,
)
"""'They' may be whoever works in the field that is named: 'what do they use for drug design?'"""
_CLAUSE = re.compile(r"[,;:.?!]\s|\s(?:and|but|or)\s", re.IGNORECASE)
"""Between what a question names and the clause in which a pronoun stands for it."""
_OPENING = re.compile(
    r"^(?:(?:and|but|so|or|also|ok|okay|then|well|now|no(?=,? (?:i|not)\b)|sorry"
    r"|actually)(?:,\s*|\s+)|i (?:mean|meant|am asking about|was asking about)(?:,\s*|\s+)"
    r"|(?:no|yes|yeah|right|sure|great|cool|nice|good|fine|thanks|thank you|hm+|oh|ah)[,;.!]+\s*)+",
    re.IGNORECASE,
)
ABOUT = re.compile(r"^(?:what|how) (?:about|of)\s+", re.IGNORECASE)
_FRAGMENT = re.compile(
    r"^(?:(?:only|even|also|just) )?(?:in|on|for|with|without|at|by|from|among|under|after|before"
    r"|during|compared (?:to|with)|against|to|of)\b(?!.*\b(?:is|are|was|were|does|do|did|can|has"
    r"|have)\b)",
    re.IGNORECASE,
)
"""What only goes on with the question before it ('in children?', 'compared with pruning?')."""
_CORRECTION = re.compile(
    r"not (?P<old>[^,.;?!]{2,40}?)(?:,? but|,)\s+(?P<new>[^,;?!]{2,60}?)[\s.!]*", re.IGNORECASE
)
"""'Not A, B': B is meant where A was said."""
_ASKING = re.compile(
    r"\b(?:is|are|was|were|does|do|did|can|could|has|have|had|will|would|should|may|why|how|what"
    r"|which|who|whom|whose|when|where|tell|give|show|list|find|explain|compare|describe)\b",
    re.IGNORECASE,
)
_FOR_PAPERS = re.compile(
    r"^(?:[\w'’-]+ ){0,4}?(?:papers?|works?|studies|articles|surveys?|reviews|research|literature)"
    r" (?:on|about|of|regarding)\s+\w",
    re.IGNORECASE,
)
"""A wish for papers that says itself what they are to be about, in whatever words."""
_LEADING = re.compile(r"^(?:(?:in|on|for|with|of|to|by)\s+)?(?:the\s+)?", re.IGNORECASE)
_AFTERTHOUGHT = re.compile(r"[\s,]*\b(?:then|instead|now)?[\s?.!]*$", re.IGNORECASE)
_FEW_WORDS = 3
_WORD = re.compile(r"[A-Za-z][\w+-]*")
_ASPECTS = frozenset(
    stem(word)
    for word in """
    ability able accuracy accurate achieve adult advantage adverse affect again age aim analysis
    animal answer anyone apply approach assume assumption author available average bad baseline
    beginner benchmark benefit best better big bigger biggest bit boy brief briefly build case
    cause century challenge change cheap cheapest child children cite claim code cohort common
    compare comparison compute computer conclude conclusion condition confirm consumption
    context continue contribution cool core cost country criticism damage danger dangerous data
    dataset datasets decrease degrade depend describe detail detailed device differ difference
    difficult disadvantage discuss doctor dosage dose downside drawback drop duration easy
    effect effective efficacy elaborate elderly else energy error evaluate evaluation event
    evidence exact exactly example expect expensive experiment explain extent extra factor fail
    failure fall far fast faster fastest female figure find finding fine-tuning finetuning first
    follow-up frequency frequent fund funded funding future gain gender girl given go good gpu
    gpus great group grow happen hard harder hardware harm harmful hello help hey hi high higher
    highest hour human hurt idea impact implement implementation important improve improvement
    include increase individual influence input insight interesting involve involved issue keep
    key kind know known lack large larger largest last latency length less level licence license
    limit limitation long longer longest lose loss low lower lowest machine main male man matter
    mean means measure measured mechanism member memory men method metric mice minute model
    money month more mortality mouse much necessary need new newest nice notable novel number
    observe ok okay oldest open open-source optimal original outcome outperform output overhead
    parameter participant patient people percent percentage perform performance person please
    population possible power practical precise prerequisite prevalence price problem procedure
    process produce proof prove provide public publicly published purpose quality quantity quote
    rare rat rate ratio reach real reason receive reduce reduction region related release
    released reliable repeat rephrase repository require requirement result retrain retraining
    rise risk robust run safe safest safety sample save saving savings scale sensitive sentence
    set setting setup severe sex short shorten shorter shortest show side side-effect
    significance significant similar simple simpler simply size slow slower slowest small
    smaller smallest sorry source special speed speed-up speedup sponsor stage step strength
    strong strongest study subject success suffer summarise summarize summary support sure
    system take task technique test tested thank thank-you thanks theory throughput thx time
    tool train training treatment trial trick true tune tuned tuning type uk unit us usa usual
    validate value vary version way weak weakest weakness well woman women word work worse worst
    wrong year yield young
    """.split()
)
"""Stems of words that may be asked of any study or method, or of no paper at all: a question that
has no others names no subject. Own list."""
_MOST_ASPECTS = 3
"""Content words from which a question stands by itself, however common they are."""
_WORDS_OF_A_TITLE = 3
"""Words from which what is in bold may be a title; a figure has fewer."""
_SEVERAL = 2
_MOST_THAT_SPEAK = 50
"""Papers that are looked through for those that speak of what is asked about instead."""
_COMMON = 0.25
"""Share of a library's papers from which a word names no subject in it. Chosen by hand."""
_FEW_PAPERS, _FEW_SHARE = 3, 0.02
"""Papers, and the share of a library's, that may have a name that is still one. Chosen by hand."""
MOST_PAPERS = 10
"""Papers of an answer that a talk goes on with."""
_MOST_TURNS = 30
"""Turns back to which a question may go on: each that is looked at takes a search."""


@dataclass(frozen=True, slots=True)
class _Turn:
    asked: str
    answer: str = ""

    @property
    def declined(self) -> bool:
        return self.answer.startswith(DECLINED)


class Talk:
    """What is known of a talk when the next question comes."""

    def __init__(self, history: Sequence[Message], library: Library) -> None:
        self._library = library
        self._turns = _turns(history)[-_MOST_TURNS:]
        self._told: dict[int, tuple[Paper, ...]] = {}

    @property
    def asked(self) -> str:
        """The last question that stands by itself.

        What was asked about in its place since ('what about Medusa?') is put there.
        """
        return self._subject[0]

    @property
    def papers(self) -> tuple[Paper, ...]:
        """What 'it' means: the papers that were asked about by name, or else that were told of."""
        return self._subject[1]

    @cached_property
    def last(self) -> tuple[Paper, ...]:
        """The papers that the last answer shows, be it that it declines."""
        return self._papers_of(len(self._turns) - 1) if self._turns else ()

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """Ids of all papers that were told of since the subject began."""
        told = (paper.id for at in self._answered(self._start) for paper in self._papers_of(at))
        # A model's answer need not name its papers.
        return tuple(dict.fromkeys(told)) or tuple(paper.id for paper in self.papers)

    @cached_property
    def several(self) -> tuple[Paper, ...]:
        """The papers of the last answer that told of more than one, and did not choose of them."""
        for at in self._answered(0):
            asked = without_opening(self._turns[at].asked)
            if WHICH_ONE.match(asked) and kind_of(asked) not in WIDE:
                continue
            if len(papers := self._papers_of(at)) > 1:
                return papers
        return self.papers

    @cached_property
    def compared(self) -> tuple[Paper, ...]:
        """What 'which one' and 'both' mean: the last two, where one was told of after another."""
        newest = [self._papers_of(at) for at in self._answered(0)][:2]
        one_each = len(newest) == 2 and all(len(papers) == 1 for papers in newest)
        both = newest[1] + newest[0] if one_each and newest[0] != newest[1] else ()
        listed = {paper.id for paper in self.several}
        return self.several if all(one.id in listed for one in both) else both

    @cached_property
    def _start(self) -> int:
        """The turn with which the subject began."""
        return next((at for at in range(len(self._turns) - 1, 0, -1) if self._begins(at)), 0)

    @cached_property
    def _subject(self) -> tuple[str, tuple[Paper, ...]]:
        if not self._turns:
            return "", ()
        start = self._start
        first = asked = without_opening(self._turns[start].asked)
        named = named_papers(first, self._library)
        for turn in self._turns[start + 1 :]:
            if put_right := corrected(turn.asked, asked):
                first = asked = put_right
                named = named_papers(asked, self._library)
            other = other_matter(turn.asked, named, self._library)
            if other and not _FRAGMENT.match(other):
                asked = in_its_place(other, first, self._library).question
                named = named_papers(other, self._library)
        at = next(self._answered(start), None)
        if at is None:
            return asked, tuple(named)
        told = self._papers_of(at) or tuple(
            _likeliest(f"{asked} {self._turns[at].answer}", self._library)
        )
        if others(self._turns[at].asked) is not None:
            return asked, told
        shown = {paper.id for turn in self._answered(start) for paper in self._papers_of(turn)}
        if at > start and set(told) < set(named):
            # The last answer tells which of them is meant by now.
            shown = {paper.id for paper in told}
        meant = tuple(paper for paper in named if paper.id in shown)
        # No answer need have told of Medusa; 'Alzheimer's disease' may be more than a title.
        coined = tuple(paper for paper in named if _is_coined(short_name(paper.heading)))
        return asked, meant or coined or told

    def _begins(self, at: int) -> bool:
        """Whether a question began a subject of its own."""
        before = next(self._answered(0, at), None)
        told = self._papers_of(before) if before is not None else ()
        return stands_alone(self._turns[at].asked, told, self._library)

    def _answered(self, start: int, end: int | None = None) -> Iterator[int]:
        """The turns that were answered, newest first."""
        for at in reversed(range(start, len(self._turns) if end is None else end)):
            if self._turns[at].answer and not self._turns[at].declined:
                yield at

    def _papers_of(self, at: int) -> tuple[Paper, ...]:
        if at not in self._told:
            answer = self._turns[at].answer
            found = _headed_papers(answer, self._library) or named_papers(answer, self._library)
            self._told[at] = tuple(found)
        return self._told[at]


def _turns(history: Sequence[Message]) -> list[_Turn]:
    turns: list[_Turn] = []
    for message in history:
        if message.role == "user" or not turns:
            turns.append(_Turn(message.content if message.role == "user" else ""))
        if message.role == "assistant":
            turns[-1] = _Turn(turns[-1].asked, message.content)
    return turns


def leans_on_history(question: str) -> bool:
    """Whether a question cannot be understood by itself, as far as its form tells."""
    return bool(LEANING.search(question)) or len(question.split()) <= _FEW_WORDS


def stands_alone(question: str, papers: Sequence[Paper], library: Library) -> bool:
    """Whether a question names a subject of its own, after an answer that told of ``papers``."""
    text = without_opening(question)
    opened = text != question.strip()
    if others(text) is not None or _CORRECTION.fullmatch(text):
        return False
    if ABOUT.match(text) or (not _ASKING.search(text) and (opened or _FRAGMENT.match(text))):
        return False
    if turns_away(text, papers, library):
        return True
    if LEANING.search(text) or of_those(text, papers, library):
        return False
    if _FOR_PAPERS.match(text):
        return True
    words = content_words(text)
    if not papers and len(words) > 1 and not all(map(is_aspect, words)):
        # The answer before told of nothing that it could lean on, however common its words.
        return True
    own = own_terms(text, library)
    kind = kind_of(text)
    topic = "?" not in text and not _ASKING.search(text) and len(own) > 1
    if kind is QuestionKind.LIST or topic:
        return bool(own)
    whole = kind in (*SEVERAL, QuestionKind.DEFINITION) or len(words) > _MOST_ASPECTS
    if len(text.split()) <= _FEW_WORDS or (len(papers) == 1 and not whole):
        own -= terms_of(papers, library)
    return bool(own)


def _asks_of_people(text: str, papers: Sequence[Paper], library: Library) -> bool:
    """Whether 'they' are those who work in a field that papers here have, but none in focus."""
    asked = _PEOPLE.search(text)
    field = own_terms(asked["field"], library) if asked else set()
    held = library.document_frequencies(list(field))
    return bool(field) and all(held.values()) and not field & terms_of(papers, library)


def of_those(text: str, papers: Sequence[Paper], library: Library) -> bool:
    """Whether a question is which of the papers before it is or does something.

    'Which ones ...' always is; 'which is best for graphs?' where they speak of graphs.
    """
    match = WHICH_ONE.match(without_opening(text))
    if match is None or len(papers) < _SEVERAL:
        return False
    return bool(match["ones"]) or own_terms(text, library) <= terms_of(papers, library)


def without_opening(question: str) -> str:
    """A question without what only ties it to the talk ('ok, and ...')."""
    return _OPENING.sub("", question.strip()) or question.strip()


def own_terms(text: str, library: Library) -> set[str]:
    """The words of a question, as the library looks for them, that name a subject."""
    words = content_words(text)
    own = [word for word in words if not is_aspect(word)]
    if len(words) > _MOST_ASPECTS:
        return set(library.terms(" ".join(own)))
    common = _COMMON * len(library)
    found = library.document_frequencies(library.terms(" ".join(own)))
    return {term for term, papers in found.items() if papers <= common}


def content_words(text: str) -> list[str]:
    """The words of a question, but for those that every question has."""
    passed_over = STOP_WORDS | FRAME_WORDS
    return [
        word for word in re.findall(r"\w[\w.+-]*\w|\w", text) if word.lower() not in passed_over
    ]


def is_aspect(word: str) -> bool:
    """Whether a word may be asked of any study, so that it names no subject."""
    return stem(word.lower()) in _ASPECTS


def terms_of(papers: Sequence[Paper], library: Library) -> set[str]:
    """The words of papers, as the library looks for them."""
    return {term for one in papers for term in library.terms(f"{one.title} {one.abstract}")}


def other_matter(question: str, papers: Sequence[Paper], library: Library) -> str:
    """What a question wants to know the same of ('and Medusa?', 'what about children?'), or ''.

    Not what is asked of the same subject ('what about its speed?', 'and the limitations?').
    """
    text = without_opening(question)
    about = ABOUT.match(text)
    opened = text != question.strip()
    if not about and (_ASKING.search(text) or not (opened or _FRAGMENT.match(text))):
        return ""
    rest = _AFTERTHOUGHT.sub("", text[about.end() :] if about else text)
    if not rest or LEANING.search(rest):
        return ""
    new = own_terms(rest, library)
    if len(papers) == 1:
        new -= terms_of(papers, library)
    return rest if new or named_papers(rest, library) else ""


def corrected(question: str, asked: str) -> str:
    """What was asked before with its words put right ('not A, B'), or ''."""
    match = _CORRECTION.fullmatch(without_opening(question))
    if match is None:
        return ""
    old = re.compile(rf"(?<!\w){re.escape(match['old'].strip())}(?!\w)", re.IGNORECASE)
    return old.sub(lambda _: match["new"].strip(), asked) if old.search(asked) else ""


@dataclass(frozen=True, slots=True)
class OfAnother:
    """What was asked before, asked of another matter."""

    question: str
    papers: tuple[str, ...] = ()
    """Ids of those that speak of it, where the matter before is still meant; else empty."""


def in_its_place(other: str, asked: str, library: Library) -> OfAnother:
    """The question that was asked before, of another matter: in the place of its name or its only
    word, or beside it where papers have to do with both, or else by itself.
    """
    bare = _LEADING.sub("", other)
    names = [short_name(paper.heading) for paper in named_papers(asked, library)]
    old = next((name for name in names if name in asked), None)
    if named_papers(bare, library):
        return OfAnother(asked.replace(old, bare) if old else f"{bare}?")
    own = [word for word in content_words(asked) if own_terms(word, library)]
    if len(own) == 1 and not names and bare == other:
        # 'What is federated learning?' becomes 'What is split learning?'.
        old_one = rf"(?<!\w){re.escape(own[0])}(?: {re.escape(bare.split()[-1])})?(?!\w)"
        return OfAnother(re.sub(old_one, lambda _: bare, asked))
    words, before = own_terms(other, library), own_terms(asked, library)
    found = [hit.paper for hit in library.find(other, _MOST_THAT_SPEAK).hits]
    held = {paper.id: terms_of([paper], library) for paper in found}
    held = {ident: terms for ident, terms in held.items() if words <= terms}
    if not any(2 * len(before & terms) >= len(before) for terms in held.values()):
        return OfAnother(other)
    # What none of them has was the old matter's own.
    shared = set().union(*held.values())
    kept = [word for word in content_words(asked) if own_terms(word, library) <= shared]
    return OfAnother(f"{other[:1].upper()}{other[1:]} ({' '.join(kept)})", tuple(held))


def turns_away(text: str, papers: Sequence[Paper], library: Library) -> bool:
    """Whether a question names something that papers here have, but none of those in focus.

    'How fast is FastDepth?' after a talk about energy is about another paper, and in 'what does
    FastDepth use, and how fast is it?' the pronoun is its.
    """
    if _asks_of_people(text, papers, library):
        return True
    leaning = LEANING.search(text)
    if leaning and not _OF_ITSELF.search(text[: leaning.end()]):
        return False
    if leaning:
        # In 'how many GPUs does it need?' the pronoun is not the GPUs'.
        earlier = list(_CLAUSE.finditer(text, 0, leaning.start()))
        text = text[: earlier[-1].start()] if earlier else ""
    known = {paper.id for paper in papers}
    if any(paper.id not in known for paper in named_papers(text, library)):
        return True
    table = background().frequency
    words = [
        word for at, word in enumerate(_WORD.findall(text))
        if any(c.isupper() or c.isdigit() for c in word[1:])
        or (at and (word[0].isupper() or stem(word.lower()) not in table))
    ]  # fmt: skip
    frequency = library.document_frequencies(library.terms(" ".join(words)))
    few = max(_FEW_PAPERS, int(_FEW_SHARE * len(library)))
    rare = {term for term, count in frequency.items() if 0 < count <= few}
    return bool(rare - terms_of(papers, library))


def named_papers(text: str, library: Library, limit: int = MOST_PAPERS) -> list[Paper]:
    """Papers whose title or short name stands in ``text``, in the order of their first mention."""
    if not text.strip():
        return []
    found: list[tuple[int, Paper]] = []
    for hit in library.find(text, 3 * limit).hits:
        position = mention(hit.paper, text)
        if position is not None:
            found.append((position, hit.paper))
    found.sort(key=lambda item: item[0])
    return [paper for _, paper in found[:limit]]


def _headed_papers(answer: str, library: Library) -> list[Paper]:
    """The papers that an answer of ours is about: those in its headings, lists and table's head.

    Other papers may be named in the sentences that it quotes.
    """
    heads = re.findall(r"\*\*([^*\n]+)\*\*", answer)
    table = re.match(r"\s*\|(.+)\|\s*\n\s*\|[-:| ]+\|", answer)
    if table is not None:
        heads += [cell.strip() for cell in table[1].split("|")]
    found = named_papers("\n".join(head for head in heads if head.strip()), library)
    # A title says which of the papers of one name it is.
    titled = {short_name(paper.heading) for paper in found if paper.heading in heads}
    found = [p for p in found if p.heading in heads or short_name(p.heading) not in titled]
    # Of many titles together, not every one is found.
    known = {name for paper in found for name in (paper.heading, short_name(paper.heading))}
    missed = [
        head for head in heads if len(head.split()) >= _WORDS_OF_A_TITLE and head not in known
    ]
    further = [
        paper for head in missed for paper in named_papers(head, library) if paper.heading == head
    ]
    if not further:
        return found
    every = {paper.id: paper for paper in (*found, *further)}
    return sorted(every.values(), key=lambda paper: answer.find(short_name(paper.heading)))


def _likeliest(text: str, library: Library) -> list[Paper]:
    """The paper that a turn was about when it does not name any: the nearest one."""
    return [hit.paper for hit in library.find(text, 1).hits] if text.strip() else []


def _is_coined(name: str) -> bool:
    return " " not in name or not name[1:].islower()


def mention(paper: Paper, text: str) -> int | None:
    """Where ``text`` mentions the paper, or None."""
    text, heading = without_tex(text), without_tex(paper.heading)
    position = text.casefold().find(heading.casefold())
    if position >= 0:
        return position
    name = short_name(heading)
    # A short name in plain lower-case words ("attention") would be found everywhere.
    if name == heading or not any(c.isupper() or c.isdigit() for c in name):
        return None
    # 'spikegpt' can only be SpikeGPT; 'medusa' may be anything.
    mixed = any(c.isupper() for c in name[1:]) and not name.isupper()
    coined = " " not in name and (mixed or any(c.isdigit() for c in name))
    match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE if coined else 0)
    return match.start() if match else None
