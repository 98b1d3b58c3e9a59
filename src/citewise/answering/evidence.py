"""Which sentences of the found papers speak to the question."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from citewise.answering.kinds import SEVERAL, WIDE, rival_named
from citewise.answering.question import matter_of
from citewise.answering.spelling import in_vocabulary
from citewise.answering.talk import mention
from citewise.answering.wording import asks_why, wording_of
from citewise.backends.conditions import Condition
from citewise.backends.definition import how_plainly
from citewise.backends.extractive import is_hollow, says_where, standing_alone
from citewise.backends.facets import facet_asked
from citewise.backends.figures import counted, figure_for
from citewise.backends.parts import Part, parts_of, unlabelled
from citewise.grounding.abstention import RULE, Features
from citewise.grounding.belonging import LIKELY, Closeness, chances
from citewise.grounding.entailment import entailment_model, passage_for, spelled_out
from citewise.grounding.overlap import background, stem
from citewise.library.lexical import names_in, without_shortened
from citewise.library.library import Library
from citewise.library.orders import joined
from citewise.library.papers import SentenceRow
from citewise.library.retrieval import named_first
from citewise.types import Evidence, Hit, Paper, Question, QuestionKind, Span

MEANING_WEIGHT = 0.45
WORDS_WEIGHT = 0.35
PAPER_WEIGHT = 0.35
"""What counts in a sentence's score: cosine to the question, rarity-weighted words shared with it,
and its paper's rank. Chosen on the dev questions (`citewise eval questions --split dev`)."""

LEAST_PAPER_SCORE = 0.3
"""What the rank of the last found paper is worth, of 1 for the first."""

OWN_SHARE = 0.5
"""How much the sentence's own words count against those of its title, where several papers answer
together. Where one does, its name says nothing of which of its sentences does: there, not at all.
"""

KIND_BONUS = 0.08
"""For a sentence of the form that the kind of question wants (a figure, a definition, a result)."""

WORDING_BONUS = 0.12
"""For a sentence whose wording is that of an answer: a cause, a means, both sides compared."""
FIGURE_BONUS = 0.1
"""For a sentence whose figure is of the unit, the thing or the measure that is asked for. By both
the sentences of a paper are ordered, not the papers: the figure may be of another matter."""

DEFINITION_BONUS = 0.4
"""More, for a sentence that says 'X is ...' when it is asked what X is; less if it does so less
plainly."""

_LONGEST_LEAD = 2
"""Sentences that are added before one that leans on them."""
_WHOLE_ABSTRACT = 40
"""More sentences than an abstract has."""
_LEADING = 10
_LEADS = 0.67
"""Papers of a list that something is told of, whatever others say: those that belong two thirds as
likely as the likeliest."""
_SIDES = 4
"""Papers of a comparison of which every sentence is offered, if there is room."""

BACKGROUND_PENALTY = {True: 0.06, False: 0.1}
"""For a sentence before the abstract comes to its own work: mostly others' problems. By whether
several papers answer together."""

PART_WORTH = {
    True: {Part.RESULTS: 0.08, Part.CONCLUSION: 0.08},
    False: {
        Part.SETTING_OUT: -0.15,
        Part.METHODS: -0.08,
        Part.RESULTS: 0.04,
        Part.CONCLUSION: 0.08,
    },
}
"""For a sentence of a labelled part of its abstract. By whether several papers answer together."""

_ASKS_OF_THE_STUDY = re.compile(
    r"\bhow (?:was|were|did (?:they|the (?:authors|study|trial|researchers)))\b"
    r"|\b(?:methods?|design(?:ed)?|measured|enrolled|recruited|took part|participants?|samples?"
    r"|funded|registered|aims?|objectives?|purpose|hypothes[ie]s|end ?-?points?"
    r"|outcome measures?)\b",
    re.IGNORECASE,
)
"""A question for how a study was done or why: of its parts, any may tell."""

AIM_PENALTY = 0.2
"""For a sentence that says what was to be found out, or hoped for, where it is asked what is so."""

_AIM = re.compile(
    r"^to (?:assess|clarify|determine|evaluate|examine|explore|identify|investigate|understand)\b"
    r"(?!.*\b(?:observ|find|found|show|demonstrat|report|reveal|propos|present|introduc)\w*)"
    r"|^(?:the )?baseline characteristics\b"
    # One word boundary for all: looked for in every sentence, each of its own costs a millisecond.
    r"|\b(?:primary (?:end ?-?points?|outcomes?)(?: measures?)? (?:was|were)\b"
    r"(?!.*(?:%|\b(?:not|met|reached|similar|differ|significant|lower|higher|reduced)))"
    r"|is registered (?:with|at|as|in)\b"
    r"|(?:objective|aim|purpose|goal)s? of (?:this|the present|our) (?:study|paper|work|review)\b"
    r"|(?:unclear|unknown|not (?:clear|known)|debated) (?:\w+ )?(?:whether|if|how|why)\b"
    r"|(?:we (?:\w+ )?(?:sought|aim(?:ed)?|hypothesi[sz]ed?|ask(?:ed)?|stud(?:y|ied)"
    r"|investigated?|examined?|explored?|measured?|quantif(?:y|ied))"
    r" (?:to|that|whether|if|how|the)\b"
    r"|(?:this|the present|our) (?:study|paper|work|article|review) (?:\w+ )?"
    r"(?:sought|seeks|aims|aimed|asks|(?:examin|investigat|explor|assess|evaluat)e[sd])\b"
    r"|(?:questions? (?:of|is|was|remains?)|(?:test|ask|assess)(?:s|ed|es|ing)?"
    r"|(?:determin|examin|investigat|explor|evaluat)(?:e[sd]?|ing)) (?:whether|if)\b)"
    r"(?!.*\b(?:observ|find|found|show|demonstrat|report|reveal)\w*))",
    re.IGNORECASE,
)

READ_SENTENCES = 3
"""Sentences of the best paper that the model reads one by one, best first."""
READ_WEIGHT = 0.12
"""What the model's log-odds that a sentence answers count beside its score. Chosen on labelled
sentences (training/SENTENCES.md), as the next two."""
FITS_WEIGHT = 0.2
HOPES_WEIGHT = 0.6
"""What the wording of a sentence counts there once more: the model takes an aim for an answer."""

FACET_PENALTY = 0.3
"""For a sentence that does not say what is asked of a matter (its drawbacks, its uses ...)."""

_FIGURE = re.compile(r"\d")
_RESULT = re.compile(
    r"\b(?:outperform|achiev|improv|reduc|result|show|demonstrat|surpass|accelerat|speed-?up"
    r"|better|faster|state-of-the-art|increas|decreas|sav)\w*",
    re.IGNORECASE,
)
_PROPOSAL = re.compile(
    r"\b(?:we|this (?:paper|work|study|article|survey)|our \w+) (?:\w+ )?(?:propose|present"
    r"|introduce|develop|describe|study|investigate|explore|survey|review|design|offer|show|build|provide)\w*"
    r"|\b(?:is|are) (?:a|an|the) (?:novel|new)\b|\bcalled\b|\bdubbed\b|\bnamed\b",
    re.IGNORECASE,
)
_FUNCTION_WORDS = frozenset(
    "what which who whom whose when where why how many much does do did done is are was were be"
    " been has have had can could will would should may might must shall the a an of in on at to"
    " for from by with without and or but not if then than that this these those there it its they"
    " them their he she we you i me my our your one ones any some all every each both also just"
    " only so as into out up over under about between among per via after before more most less"
    " least very such other another same wrote written author authors published"
    " give gives list name names find show tell describe explain"
    " compare paper papers work works study studies method methods approach approaches use used"
    " uses using get gets got make makes made let lets put say says said mention mentions mentioned"
    " please plain plainly simply briefly gist elaborate beginner beginners layman biggest newest"
    " latest anything something anyone someone somebody everyone everybody anybody nobody whoever"
    " whatever whichever really actually quite rather maybe perhaps meant lot lots stuff thing"
    " things folks besides apart instead else yet ever even".split()
)
"""Words of questions that say nothing of their subject."""

SPECIFIC = 2.0
"""Words of a single paper whose rarity a question's words must have together, to be as specific as
can be."""
READ_FOR_ANSWER = 2
"""Papers that the model reads beside the question, best first."""
_MOSTLY_UNKNOWN = 0.45
"""Share of a question's words that no paper has from which several papers do not answer it either:
own questions had up to 0.34 of everyday words ('get rid of') and from 0.53 of missing names."""
_MUCH_UNKNOWN = 0.35
"""Share from which an answer says first what no paper mentions. Of 2,388 questions that a paper
answers 16 have such a word; without capitals a name ('botox') cannot be told from other words."""
SEVERAL_ANSWER = 0.75
"""About what a question has that its paper answers. No single paper answers a question about
several: those get it where the papers have to do with them at all, and a list or an overview the
more of it, the surer one of them belongs there. Two papers that are named can be compared."""
_NEAR_WHATEVER_THE_WORDS = 0.9
"""Of the cosines, from which words say nothing more: a small library has few of them. No other
matter came to more than 0.87."""
_NEAR_THE_MATTER = {True: 0.86, False: 0.5}
_COVERED_GIVES, _NAMES_GIVE, _UNKNOWN_COSTS = 0.25, 0.5, 0.6
"""Cosines of the best sentence and of the best passage, together, from which papers have to do with
a question, by whether it is about several: less where its words stand in one sentence or its names
in the papers, more where words of it stand nowhere. After a logistic fit on 90 questions of that
kind and 149 on other matters, and a look at 155 about single papers and 200 on other matters;
training/ABSTENTION.md says what it declines."""
_SHARED_AT_LEAST = 0.3
"""The same of a question's words that one paper holds, less those that stand nowhere, while papers
have no vectors yet."""

_NAME = re.compile(r"[\w$][\w$./+-]*")
_COINED = re.compile(r"[a-z][A-Z]")
"""What only a name has: 'SpecExec'."""
_SHORT_NAME = 4
"""Letters up to which a name easily stands inside of other words."""

_OWN_WORK = re.compile(
    r"\b(?:we|our|ours)\b|\bthis (?:paper|work|study|article|survey|thesis|report)\b|\bhere,",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The sentences an answer may be written from, and how well they fit the question."""

    evidence: tuple[Evidence, ...]
    """Numbered from 1, best first."""
    features: Features
    unknown_words: tuple[str, ...]
    """Words of the question that stand in no paper of the library, as they were typed."""
    belongs: Mapping[str, float] = field(default_factory=dict)
    """The probability of each paper, by id, that a question for any number of papers asks for it;
    empty for other questions and for what the papers have nothing to do with."""
    asks_nothing: bool = False
    """Whether no word of the question says what it is about ('what do the papers say?')."""
    unheard: tuple[str, ...] = ()
    """Words in lower case that stand in no paper and are no everyday words, where they are a good
    part of what is asked."""


@dataclass(frozen=True, slots=True)
class _Terms:
    """The question's words as the word index knows them, weighted by rarity."""

    weights: dict[str, float]
    """Inverse document frequency of each stemmed word, at least 0; sums to 1 unless empty."""
    unknown: tuple[str, ...]
    """Words that stand in no paper, as they were typed."""
    unknown_weight: float
    specific: float
    """How much the words say that papers have: their summed rarity beside that of SPECIFIC words of
    a single paper; 0 to 1."""

    def covered(self, terms: Iterable[str]) -> float:
        """Rarity-weighted share of the question's words among ``terms``, 0 to 1."""
        return sum(self.weights.get(term, 0.0) for term in set(terms))


def _question_terms(text: str, library: Library) -> _Terms:
    """The rarity weights of a question's words in this library.

    idf = ln(1 + (N - df + 0.5) / (df + 0.5)), as in BM25 (Robertson & Zaragoza 2009, eq. 3.3).
    """
    typed: dict[str, str] = {}
    for word in re.findall(r"\w[\w.-]*\w|\w", without_shortened(text)):
        if word.lower() in _FUNCTION_WORDS:
            continue
        for term in library.terms(word):
            typed.setdefault(term, word)
    frequencies = library.document_frequencies(list(typed))
    papers = max(1, len(library))
    raw = {term: math.log(1 + (papers - df + 0.5) / (df + 0.5)) for term, df in frequencies.items()}
    total = sum(raw.values()) or 1.0
    absent = [term for term in typed if not frequencies[term]]
    unknown = sum(raw[term] for term in absent)
    rarest = math.log(1 + (papers - 0.5) / 1.5)
    return _Terms(
        {term: weight / total for term, weight in raw.items()},
        tuple(dict.fromkeys(typed[term] for term in absent)),
        unknown / total,
        min(1.0, (sum(raw.values()) - unknown) / (SPECIFIC * rarest)),
    )


_FORMS = {
    QuestionKind.NUMBER: _FIGURE,
    QuestionKind.DEFINITION: _PROPOSAL,
    QuestionKind.COMPARISON: _RESULT,
    **dict.fromkeys(WIDE, _PROPOSAL),
}
"""The form of a sentence that a kind of question wants."""


def _form_bonus(sentence: str, question: Question) -> float:
    """What a sentence gains by having the form that the kind of question wants."""
    if question.kind is QuestionKind.DEFINITION and (
        plain := how_plainly(sentence, question.standalone)
    ):
        return KIND_BONUS + DEFINITION_BONUS * plain
    form = _FORMS.get(question.kind)
    return KIND_BONUS if form and form.search(sentence) else 0.0


_Scored = tuple[float, Hit, int, Span]


def _has_figure_for(sentence: str, question: str) -> bool:
    if not _FIGURE.search(sentence):
        return False
    figure = figure_for(sentence, question)
    return figure is not None and figure.fits


def _only_hopes(sentence: str) -> bool:
    """Whether a sentence says what was to be found out, or hoped for."""
    return bool(_AIM.search(unlabelled(sentence)) or is_hollow(sentence))


def _spread(scores: Sequence[float]) -> list[float]:
    """Scores of the found papers from LEAST_PAPER_SCORE for the worst to 1 for the best."""
    low, high = min(scores), max(scores)
    if high <= low:
        return [1.0] * len(scores)
    return [
        LEAST_PAPER_SCORE + (1 - LEAST_PAPER_SCORE) * (score - low) / (high - low)
        for score in scores
    ]


def _rearranged(scores: Sequence[float], gains: Sequence[float]) -> list[float]:
    """The same scores, given to a paper's sentences in the order that they have with the gains."""
    order = sorted(range(len(scores)), key=lambda at: (-scores[at] - gains[at], at))
    given = dict(zip(order, sorted(scores, reverse=True), strict=True))
    return [given[at] for at in range(len(scores))]


def own_work_starts(sentences: Sequence[str]) -> int:
    """Place of the first sentence about the paper's own work; 0 when none says so."""
    return next((at for at, text in enumerate(sentences) if _OWN_WORK.search(text)), 0)


def _names_in(question: str) -> list[str]:
    """Words of a question that are names or figures: capitals inside, or digits."""
    names = []
    for sentence in re.split(r"(?<=[.?!:])\s+", question):
        for at, word in enumerate(_NAME.findall(sentence)):
            word = word.strip(".-/")
            marked = any(c.isdigit() for c in word) or any(c.isupper() for c in word[1:])
            if marked or (at > 0 and word[:1].isupper()):
                names.append(word)
    return list(dict.fromkeys(names))


def names_first(question: Question, hits: Sequence[Hit], library: Library) -> tuple[Hit, ...]:
    """The found papers, those first that hold a name of the question which few papers hold.

    A title that begins with a name ('NAME: ...') holds it once more, however common the word is.
    Where several papers answer together, in the order in which they were found.
    """
    if question.kind in SEVERAL:
        return tuple(hits)
    held = Counter(library.named(question.standalone))
    titles = tuple(f"{name}:" for name in names_in(question.standalone))
    held.update(hit.paper.id for hit in hits if hit.paper.title.startswith(titles))
    return named_first(hits, held)


def plainest(question: Question, hits: Sequence[Hit], library: Library) -> list[float]:
    """How plainly each of the found papers says what the thing is that a question wants defined."""
    rows = library.sentences([hit.paper.id for hit in hits])
    return [
        max(
            (
                how_plainly(hit.paper.abstract[start:end], question.standalone)
                for start, end in (rows[hit.paper.id].spans if hit.paper.id in rows else ())
            ),
            default=0.0,
        )
        for hit in hits
    ]


def names_held(question: Question, texts: Sequence[str]) -> float:
    """Share of the question's names that the papers hold, 1 when it has none.

    One paper must hold them all, unless the question is about several.
    """
    names = [letters for name in _names_in(question.standalone) if (letters := _letters(name))]
    if not names or not texts:
        return 1.0
    several = question.kind in SEVERAL
    held = [_held_by(text, names) for text in texts[: 5 if several else 3]]
    if several:
        return sum(map(any, zip(*held, strict=True))) / len(names)
    return max(map(sum, held)) / len(names)


def _held_by(text: str, names: Sequence[str]) -> list[bool]:
    """Which names, as ``_letters`` gives them, a text has; a short one must be a word of its own.

    Otherwise every 'distinguish' would hold 'GUI'.
    """
    letters = _letters(text)
    return [name in letters and (len(name) > _SHORT_NAME or _as_word(name, text)) for name in names]


def _as_word(name: str, text: str) -> bool:
    parted = "[^a-z0-9]?".join(map(re.escape, name))
    return re.search(rf"(?<![a-z]){parted}s?(?![a-z])", text.casefold()) is not None


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _wanted_found(question: Question, texts: Sequence[str], library: Library) -> float:
    """1 unless a count is asked for and no found paper counts such things."""
    thing = counted(spelled_out(question.standalone))
    wanted = library.terms(thing)[-1:]
    if not wanted or not texts:
        return 1.0
    # Of what has a name, its own papers must count them.
    names = [_letters(name) for name in _names_in(question.standalone) if name != thing]
    own = [text for text in texts if names and all(_held_by(text, names))]
    for text in (own or texts)[:2]:
        # Looked ahead: '180 talks across 60 people' holds two counts.
        for found in re.finditer(r"(?<!\d)(?=(\d[\d.,]*(?:\\?%)?[ -]?(?:\w+[ -]){0,3}\w+))", text):
            # As it stands too: a question for 'FPS' is not spelled out.
            if wanted[0] in library.terms(f"{found[1]} {spelled_out(found[1])}"):
                return 1.0
    return 0.0


def _touches_matter(
    question: Question, terms: _Terms, features: Features, *, embedded: bool
) -> bool:
    """Whether the papers have to do with what a question asks for.

    ``features``: those that are seen without the model. ``embedded``: whether most of the papers
    have vectors to go by; where they have not, words decide.
    """
    several = question.kind in SEVERAL
    if several:
        # Everyday words say nothing: few papers hold few of them.
        common = background().frequency
        rare = (word for word in terms.unknown if stem(word.lower()) not in common)
        named = not all(word.islower() and in_vocabulary(word) for word in rare)
        if named and terms.unknown_weight >= _MOSTLY_UNKNOWN:
            return False
    unknown = _UNKNOWN_COSTS * features.unknown
    if not embedded:
        return features.covered_by_paper - unknown >= _SHARED_AT_LEAST
    near = features.cosine + features.passage
    matter = near + _COVERED_GIVES * features.covered - unknown
    if _names_in(question.standalone):
        matter += _NAMES_GIVE * features.names
    return near >= _NEAR_WHATEVER_THE_WORDS or matter >= _NEAR_THE_MATTER[several]


def _answered(question: Question, titles: Sequence[str], abstracts: Sequence[str]) -> float:
    """The model's greatest probability that one of the best papers answers the question."""
    asked = spelled_out(question.standalone)
    best = list(zip(titles, abstracts, strict=True))[:READ_FOR_ANSWER]
    pairs = [(asked, passage_for(asked, title, abstract)) for title, abstract in best]
    return max(one.answered for one in entailment_model().read(pairs))


def sentences_of(paper: Paper, row: SentenceRow) -> list[str]:
    """The sentences of a paper's abstract."""
    return [paper.abstract[start:end] for start, end in row.spans]


def _own_words(paper: Paper, rows: Mapping[str, SentenceRow]) -> str:
    """The abstract without what its sentences leave out: words that are meant for a machine."""
    row = rows.get(paper.id)
    return joined(paper.abstract, row.spans)[0] if row is not None else paper.abstract


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A found paper beside the question."""

    hit: Hit
    spans: tuple[Span, ...]
    """Its sentences; what follows of them is in their order."""
    cosines: NDArray[np.float32]
    """With the question; zeros while the paper is not embedded."""
    terms: tuple[frozenset[str], ...]
    title_terms: frozenset[str]
    closeness: Closeness


def seen_of(question: Question, hits: Sequence[Hit], library: Library) -> list[Seen]:
    """The found papers beside the question, in order, without those removed meanwhile."""
    matter = matter_of(question)
    return _seen_of(
        hits,
        library.sentences([hit.paper.id for hit in hits]),
        library.embedder.embed_queries([matter])[0],
        _question_terms(matter, library),
        library,
    )


def _seen_of(
    hits: Sequence[Hit],
    rows: Mapping[str, SentenceRow],
    vector: NDArray[np.float32],
    terms: _Terms,
    library: Library,
) -> list[Seen]:
    found = []
    for hit in hits:
        row = rows.get(hit.paper.id)
        if row is None:
            continue
        spans = tuple(Span.of(hit.paper.abstract, start, end) for start, end in row.spans)
        inside = tuple(frozenset(library.terms(span.text)) for span in spans)
        title = frozenset(library.terms(hit.paper.title))
        cosines = _cosines(row.vectors, vector, len(spans))
        nearest = None if row.vectors is None else float(cosines.max(initial=0.0))
        closeness = Closeness(nearest, terms.covered(title.union(*inside)), min(1.0, hit.score))
        found.append(Seen(hit, spans, cosines, inside, title, closeness))
    return found


def _belong(
    question: Question, seen: Sequence[Seen], rows: Mapping[str, SentenceRow]
) -> dict[str, float]:
    """The chance of each paper that a question for any number of them asks for it, by id.

    None for the paper of what is to be beaten or replaced: 'what beats X' does not ask for X.
    """
    papers = [one.hit.paper for one in seen]
    rival = rival_named(question.standalone)
    found = chances(
        question,
        [(paper.title, _own_words(paper, rows)) for paper in papers],
        [one.closeness for one in seen],
    )
    return {
        paper.id: 0.0 if mention(paper, rival) is not None else chance
        for paper, chance in zip(papers, found, strict=True)
    }


def _add_leads(chosen: dict[tuple[str, int], _Scored], scored: Sequence[_Scored]) -> None:
    """Add the sentence before each chosen one that leans on it ('It ...', 'These results ...')."""
    by_place = {(item[1].paper.id, item[2]): item for item in scored}
    for paper_id, ordinal in list(chosen):
        for _ in range(_LONGEST_LEAD):
            _, leans = standing_alone(by_place[paper_id, ordinal][3].text)
            if not leans or ordinal == 0:
                break
            ordinal -= 1
            chosen.setdefault((paper_id, ordinal), by_place[paper_id, ordinal])


def _add_holding(
    chosen: dict[tuple[str, int], _Scored], scored: Sequence[_Scored], condition: Condition
) -> None:
    """Add the sentence by which each paper holds a condition, or else its best one."""
    sentences: dict[str, list[_Scored]] = {}
    for item in scored:
        sentences.setdefault(item[1].paper.id, []).append(item)
    for paper_id, items in sentences.items():
        said = [item for item in items if condition.said_in(item[3].text)]
        if said or condition.held_by(items[0][1].paper.title, [item[3].text for item in items]):
            best = min(said or items, key=lambda item: _OWN_WORK.search(item[3].text) is None)
            chosen.setdefault((paper_id, best[2]), best)


def _best_first(scored: Iterable[_Scored]) -> list[_Scored]:
    return sorted(scored, key=lambda item: (-item[0], item[1].rank, item[2]))


def _answering_first(question: Question, scored: Sequence[_Scored]) -> list[_Scored]:
    """Scored sentences, those of the best paper in the order in which they answer.

    ``scored``: best first. The papers stay in their order.
    """
    best = scored[0][1].paper if scored else None
    found = [at for at, item in enumerate(scored) if item[1].paper == best][:READ_SENTENCES]
    if best is None or len(found) < 2:
        return list(scored)
    said = [scored[at][3].text for at in found]
    odds = entailment_model().answering(question.standalone, [(best.title, text) for text in said])
    fits = wording_of(question)
    gains = [
        READ_WEIGHT * one + FITS_WEIGHT * fits(text, best.title) - HOPES_WEIGHT * _only_hopes(text)
        for one, text in zip(odds, said, strict=True)
    ]
    ordered = list(scored)
    for at, score in zip(found, _rearranged([scored[at][0] for at in found], gains), strict=True):
        ordered[at] = (score, *scored[at][1:])
    return _best_first(ordered)


def _in_turn(
    scored: Sequence[_Scored], kind: QuestionKind, belongs: Mapping[str, float]
) -> Sequence[_Scored]:
    """Scored sentences in the order in which they are given their places.

    A comparison must have all that its sides say before it says that something is not stated, and a
    list something of each of the papers that most likely belong.
    """
    if belongs:
        least = _LEADS * max(belongs.values())
        likely = [paper_id for paper_id, chance in belongs.items() if chance >= least]
        likeliest = sorted(likely, key=lambda paper_id: -belongs[paper_id])[:_LEADING]
        firsts = {item[1].paper.id: item for item in reversed(scored)}
        leading = [firsts[paper_id] for paper_id in likeliest if paper_id in firsts]
        return [*leading, *(item for item in scored if item not in leading)]
    if kind is not QuestionKind.COMPARISON:
        return scored
    sides = list(dict.fromkeys(item[1].paper.id for item in scored))[:_SIDES]
    return sorted(scored, key=lambda item: item[1].paper.id not in sides)


def select_evidence(
    question: Question,
    hits: Sequence[Hit],
    library: Library,
    *,
    most: int,
    most_per_paper: int,
    condition: Condition | None = None,
) -> Selection:
    """The best sentences of the found papers: ``most`` in all, ``most_per_paper`` of one paper.

    A comparison gets whole abstracts, so that what is not stated can be told from what was not
    looked at. Of a paper that holds the ``condition``, what says so is there besides.
    """
    if question.kind is QuestionKind.COMPARISON:
        most, most_per_paper = 2 * most, _WHOLE_ABSTRACT
    matter = matter_of(question)
    facet = facet_asked(question.standalone)
    terms = _question_terms(facet.matter(matter) if facet else matter, library)
    if not hits:
        nothing = Features(0.0, 0.0, 0.0, 0.0, terms.unknown_weight, 0.0, 0.0, 0.0, 0.0)
        return Selection((), nothing, terms.unknown)
    several = question.kind in SEVERAL
    vector = library.embedder.embed_queries([matter])[0]
    rows = library.sentences([hit.paper.id for hit in hits])
    seen = _seen_of(hits, rows, vector, terms, library)
    covered = {one.hit.paper.id: one.closeness.covered for one in seen}
    paper_scores = _spread([hit.score for hit in hits])
    worth = {hit.paper.id: score for hit, score in zip(hits, paper_scores, strict=True)}
    scored: list[_Scored] = []
    own_share = OWN_SHARE if several else 0.0
    best_covered = 0.0
    of_the_study = _ASKS_OF_THE_STUDY.search(question.standalone) is not None
    # A number that is asked for is as often one of the methods.
    by_part = several or not (of_the_study or question.kind is QuestionKind.NUMBER)
    for_findings = facet is not None or not (several or of_the_study)
    # A cause is often part of the problem that a paper sets out from.
    of_a_cause = asks_why(question.standalone)
    fits = wording_of(question)
    for one in seen:
        texts = [span.text for span in one.spans]
        own_work = own_work_starts(texts)
        # A list tells what a part begins with; behind it come the details.
        parts = [parts_of([text])[0] for text in texts] if several else parts_of(texts)
        scores: list[float] = []
        for ordinal, span in enumerate(one.spans):
            own = terms.covered(one.terms[ordinal])
            shared = terms.covered(one.terms[ordinal] | one.title_terms)
            score = (
                MEANING_WEIGHT * float(one.cosines[ordinal])
                + WORDS_WEIGHT * (own_share * own + (1 - own_share) * shared)
                + PAPER_WEIGHT * worth[one.hit.paper.id]
            )
            part = parts[ordinal]
            if facet is not None:
                # What a matter lacks stands as often before the abstract comes to its own work.
                score -= 0.0 if facet.said_in(span.text) else FACET_PENALTY
            else:
                score += _form_bonus(span.text, question)
                if by_part and part in PART_WORTH[several]:
                    score += PART_WORTH[several][part]
                elif ordinal < own_work and part in (None, Part.SETTING_OUT) and not of_a_cause:
                    score -= BACKGROUND_PENALTY[several]
            if says_where(span.text):
                score -= KIND_BONUS
            if for_findings and _only_hopes(span.text):
                score -= AIM_PENALTY
            scores.append(score)
            best_covered = max(best_covered, shared)
        gains = [WORDING_BONUS * fits(text, one.hit.paper.title) for text in texts]
        if question.kind is QuestionKind.NUMBER:
            fitting = [_has_figure_for(text, question.standalone) for text in texts]
            gains = [gain + FIGURE_BONUS * has for gain, has in zip(gains, fitting, strict=True)]
        told = zip(_rearranged(scores, gains), one.spans, strict=True)
        scored += [(score, one.hit, ordinal, span) for ordinal, (score, span) in enumerate(told)]
    scored = _best_first(scored)
    if not several:
        scored = _answering_first(question, scored)
    titles = [hit.paper.title for hit in hits[:5]]
    abstracts = [_own_words(hit.paper, rows) for hit in hits[:5]]
    texts = [f"{title}. {words}" for title, words in zip(titles, abstracts, strict=True)]
    features = Features(
        cosine=max((one.closeness.cosine or 0.0 for one in seen), default=0.0),
        passage=max(0.0, *(hit.dense_score or 0.0 for hit in hits)),
        covered=best_covered,
        covered_by_paper=max(covered.values(), default=0.0),
        unknown=terms.unknown_weight,
        names=names_held(question, texts),
        wanted=_wanted_found(question, texts, library),
        specific=terms.specific,
        answered=0.0,
        strictness=_strictness(library),
    )
    with_vectors = sum(row.vectors is not None for row in rows.values())
    belongs: dict[str, float] = {}
    if _touches_matter(question, terms, features, embedded=2 * with_vectors > len(rows)):
        # What asks for nothing in particular asks for any paper.
        if question.kind in WIDE and terms.weights:
            belongs = _belong(question, seen, rows)
            likeliest = max(belongs.values(), default=0.0)
            answered = SEVERAL_ANSWER * min(1.0, likeliest / LIKELY)
        elif several:
            both = sum(mention(hit.paper, question.standalone) is not None for hit in hits) > 1
            answered = 1.0 if both else SEVERAL_ANSWER
        elif any(_COINED.search(word) for word in terms.unknown):
            # Whatever else a talk adds to the question: none of these papers is of that.
            answered = 0.0
        else:
            answered = _answered(question, titles, abstracts)
        features = replace(features, answered=answered)
    chosen: dict[tuple[str, int], _Scored] = {}
    taken: dict[str, int] = {}
    for item in _in_turn(scored, question.kind, belongs):
        paper_id = item[1].paper.id
        if len(chosen) >= most:
            break
        if taken.get(paper_id, 0) < most_per_paper:
            taken[paper_id] = taken.get(paper_id, 0) + 1
            chosen[paper_id, item[2]] = item
    if condition is not None:
        _add_holding(chosen, scored, condition)
    _add_leads(chosen, scored)
    offered = list(chosen.values())
    if several:
        offered = _best_first(offered)
    evidence = tuple(
        Evidence(
            n=n,
            paper=hit.paper,
            span=span,
            score=min(1.0, max(0.0, score)),
            ordinal=ordinal,
            paper_rank=hit.rank,
            covered=covered[hit.paper.id],
            belongs=belongs.get(hit.paper.id, 1.0),
        )
        for n, (score, hit, ordinal, span) in enumerate(offered, 1)
    )
    unheard = [word for word in terms.unknown if word.islower() and not in_vocabulary(word)]
    if terms.unknown_weight < _MUCH_UNKNOWN:
        unheard = []
    return Selection(evidence, features, terms.unknown, belongs, not terms.weights, tuple(unheard))


def _strictness(library: Library) -> float:
    """What was learnt of the library's own papers (answering.recalibration); 0 before it was."""
    known = library.calibration
    return known.strictness if known is not None and known.rule == RULE else 0.0


def _cosines(
    vectors: NDArray[np.float32] | None, query: NDArray[np.float32], count: int
) -> NDArray[np.float32]:
    """Cosine of each sentence with the query, 0 to 1; zeros for a paper not embedded yet."""
    if vectors is None:
        return np.zeros(count, np.float32)
    similarities: NDArray[np.float32] = np.clip(vectors @ query, 0.0, 1.0)
    return similarities
