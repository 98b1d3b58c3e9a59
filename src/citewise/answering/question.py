"""What is asked: the kind of answer wanted, and the question with its history folded in.

All of this is done by rule, so that it works without a model; a backend that has one may rewrite
the question better.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from citewise.answering.form import others
from citewise.answering.kinds import SEVERAL, WIDE, by_rule, kind_of
from citewise.answering.periods import wished_period
from citewise.answering.spelling import respelled
from citewise.answering.talk import (
    ABOUT,
    Talk,
    corrected,
    in_its_place,
    named_papers,
    of_those,
    other_matter,
    own_terms,
    stands_alone,
    terms_of,
    turns_away,
    without_opening,
)
from citewise.answering.wishes import only, pointed_at, wished_papers
from citewise.backends.conditions import OfSort, condition_of, what_to_read_on
from citewise.backends.facets import facet_asked
from citewise.library.library import Library
from citewise.library.passages import sentence_spans
from citewise.types import Filters, Message, Paper, Question, QuestionKind, short_name

_PRONOUN_ONE = re.compile(
    r"\b(?:that|this|the) (?:one|paper|method|model|approach|system|work|framework|technique"
    r"|latter|first|former)\b|\b(?:it|they|this|that)\b(?! (?:is|was) (?:known|possible|true))",
    re.IGNORECASE,
)
_PRONOUN_OWNER = re.compile(r"\b(?:its|their|that one's|this one's)\b", re.IGNORECASE)
_PRONOUN_MANY = re.compile(r"\b(?:them|these|those|both|they|the two|the others?)\b", re.IGNORECASE)
_NTH = (
    r"(?P<{0}>first|former|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|latter"
    r"|\d+(?:st|nd|rd|th))"
)
_THING = (
    r"(?: (?:ones?|(?:ones? )?of (?:these|them|those|the two)|papers?|stud(?:y|ies)|works?|methods?"
    r"|models?|approach(?:es)?|systems?|articles?))?"
)
_PLACED = re.compile(
    rf"\bthe {_NTH.format('one')} and (?:the )?{_NTH.format('two')}{_THING}(?=[\s?.,:;!]|$)"
    r"|\bthe (?P<end>first|last) (?P<count>two|three|four|five|\d)" + _THING + r"(?=[\s?.,:;!]|$)"
    rf"|\bthe {_NTH.format('nth')}{_THING}(?=['’]s\b|[\s?.,:;!]|$)"
    r"(?! (?:step|time|place|authors?|thing|trial|year|line|half|part|sentence|to|ever)\b)"
    r"|(?:\bnumber |\bno\. ?|#)(?P<number>[1-9])(?!\w|\.\d)",
    re.IGNORECASE,
)
"""Papers pointed at by their place in a list."""


def _as_pronoun(match: re.Match[str]) -> str:
    return "those" if match["two"] or match["end"] else "that one"


_NEW_ONE = re.compile(
    r"\bthe (?:one|ones|paper|method|model|work) (?:that|which|who|with|from|for|by|on|using)\b"
    r"|\b(?:another|any other|other) (?:one|paper|method|model|work|approach)s?\b",
    re.IGNORECASE,
)
_OF_THE_PAPERS = re.compile(r"\bof the papers\b", re.IGNORECASE)
_OF_SEVERAL = re.compile(
    r"\b(?:which|what) (?:one|of)\b|\b(?:both|the two|the others?|any of|none of)\b", re.IGNORECASE
)
_DESCRIBED = re.compile(r"\bthe (?P<sort>(?:[\w-]+ ){1,3})one\b", re.IGNORECASE)
"""A paper pointed at by what it alone of a list is about ('the ultrasound one')."""
_ONLY = re.compile(
    r"^(?:(?:and|ok|okay|but|please),? )?(?:only|just)(?: (?:show|list|give)(?: me)?)? (?:the )?"
    r"(?:those|these|ones)(?= |$)",
    re.IGNORECASE,
)
"""Narrows the list before it ('only those from 2025')."""
_OWN_MATTER = 3
"""Words from which a question for 'other papers' says itself what they are to be about."""
_PLACES = (
    ("first", "former"), ("second",), ("third",), ("fourth",), ("fifth",), ("sixth",), ("seventh",),
    ("eighth",), ("ninth",), ("tenth",),
)  # fmt: skip
_COUNTS = {"two": 2, "three": 3, "four": 4, "five": 5}

_COMMAND = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b.{0,60}\b(?:sources?|instructions?|papers?|rules?"
    r"|prompts?|above|previous|everything|evidence)\b|\bfrom now on\b|\byou are now\b"
    r"|^\W*(?:system|assistant|developer)\s*:|\b(?:answer|reply|respond|say)\b.{0,30}\b(?:only"
    r"|just|exactly|nothing but)\b.{0,40}\b(?:word|with|that)\b|\bjust (?:say|answer|reply)\b"
    r"|\bcite (?:nothing|only|no)\b|\bpretend\b",
    re.IGNORECASE | re.DOTALL,
)
"""A sentence that commands the assistant instead of asking about papers."""

_FRAME = re.compile(
    r"^(?:(?:please|just|hi|hello|hey|can|could|would|will|you|me|us|i|i'd|like|want|need to know"
    r"|give|show|tell|get|find|list|name|enumerate|sketch|outline|summari[sz]e|describe|compare"
    r"|contrast|an?|the|all|any|some|every|everything|each|your|short|brief|quick|broad|general"
    r"|main|key|overview|summary|synopsis|rundown|(?:survey|review|picture|list|comparison"
    r"|differences?|state) (?:of|on|between)|(?:art|play|knowledge)(?= (?:in|of|on|for)\b|:)"
    r"|which|what|what's|who|how|how many|many|do|does|did|is|are|there|has|have|been|we|people"
    r"|researchers|authors|papers?|works?|stud(?:y|ies)|articles?|research|literature|methods?"
    r"|approaches|techniques|ways|tricks|ideas|known|know|going|out(?= there)|done|tried|proposed"
    r"|i['’]?m after|need(?= (?:the |all )?(?:papers|works|studies|methods)\b)|looking(?= for)"
    r"|com(?:e|es|ing) up with|against|in (?:which|what)"
    r"|say|exist|deal(?:s|ing)?|look(?:s|ing)? (?=at)|treat|address|discuss|concern|that|between"
    r"|at|of|on|about|in|for|to|with|behind)\b[,:]?\s+)+",
    re.IGNORECASE,
)
"""How a question for several papers begins before it comes to its matter."""
_TAIL = re.compile(
    r"[\s,:;–-]*\b(?:please|in a nutshell|side by side|an? (?:short |brief )?overview"
    r"|(?:list|name) them|(?:in|across) (?:here|the library|th(?:is|ese) (?:library|papers))"
    r"|(?:which|what) (?:\w+ ){1,3}(?:exist|are there|have been proposed)"
    r"|(?:what is|what's) (?:going on|out there))[\s.?!]*$",
    re.IGNORECASE,
)
_LONGEST_TOPIC = 7
"""Words of a question that may be a bare topic."""
_ASKS = re.compile(
    r"\b(?:what|which|who|whom|whose|when|where|why|how|explain|define|tell|give|show|find)\b"
    r"|^(?:is|are|was|were|does|do|did|can|could|has|have|had|will|would|should|may)\b",
    re.IGNORECASE,
)
_FOR_ANYONE = re.compile(
    r"^(?:(?:how )?(?:can|could|do|should|would) (?:i|we|you|one)|how to|is it possible to"
    r"|has any(?:one|body)|(?:is|are) there (?:an?|any) (?:ways?|methods?|approach(?:es)?))\b",
    re.IGNORECASE,
)
"""How a question begins that any paper may answer that has a way."""
_FEWEST_OF_A_LIST = 2
_LONGEST_NAME = 6
"""Words of a title that can stand for its paper in a question."""
_MOST_NAMES = 4


def _kind_here(text: str, library: Library) -> QuestionKind:
    """``kind_of``, where the library has a say: what is said of one paper is no overview.

    A few words that ask for nothing ('graph networks on phones') want one.
    """
    bare = "?" not in text and len(text.split()) <= _LONGEST_TOPIC and not _ASKS.search(text)
    if what_to_read_on(text):
        return QuestionKind.LIST
    topic = bare and by_rule(text) is QuestionKind.FACT
    kind = QuestionKind.OVERVIEW if topic else kind_of(text)
    facet = facet_asked(text)
    if kind is QuestionKind.FACT and facet is not None and facet.wants_several(text):
        kind = QuestionKind.OVERVIEW
    condition = condition_of(text)
    if condition is not None and kind not in WIDE:
        # 'Is there a survey of X?' wants the surveys, 'methods other than X' compares nothing.
        if isinstance(condition, OfSort) or _FOR_ANYONE.search(text):
            return QuestionKind.LIST
        kind = bare_kind if (bare_kind := kind_of(condition.matter)) in WIDE else kind
    if kind is QuestionKind.OVERVIEW and len(named_papers(text, library, 2)) == 1:
        return QuestionKind.HOW
    return kind


def matter_of(question: Question) -> str:
    """What is searched for: a question for several papers without its frame.

    'Give me an overview of X' is about X, and 'overview' stands in papers on anything. A question
    that is all frame stays as it is.
    """
    asked = question.standalone
    if question.kind not in SEVERAL:
        return asked
    asked = what_to_read_on(asked) or asked
    condition = condition_of(asked) if question.kind in WIDE else None
    for wanted in (asked,) if condition is None else (condition.matter, asked):
        # 'Which methods work' is all frame.
        matter = _FRAME.sub("", f"{_TAIL.sub('', wanted)} ").strip()
        if re.search(r"\w{2}", matter):
            return matter
    return asked


def without_commands(question: str) -> str:
    """The question without sentences that only tell the assistant how to behave.

    They would pull the search away from what is asked. All stays where nothing else is left.
    """
    sentences = [question[start:end] for start, end in sentence_spans(question)]
    kept = [sentence for sentence in sentences if not _COMMAND.search(sentence)]
    return " ".join(kept) if kept else question


def _spelled(turn: Message, library: Library) -> Message:
    if turn.role != "user":
        return turn
    return replace(turn, content=library.as_spelled(turn.content))


def understand(
    question: str,
    history: Sequence[Message],
    library: Library,
    *,
    filters: Filters | None = None,
    rewritten: str | None = None,
) -> Question:
    """The question made ready for searching.

    ``rewritten`` is a standalone form that a model made; without it, names and papers of the last
    turns are carried over by rule. The focus holds the papers that the question leans on.
    """
    given = filters or Filters()
    typed = library.as_spelled(without_commands(" ".join(question.split())))
    spelled, misspelt = respelled(typed, library)
    narrows = bool(history) and _ONLY.match(spelled)
    if narrows:
        # A date that is wished for is read behind what it dates.
        spelled = _ONLY.sub("Papers", spelled)
    dated = wished_period(spelled, given, library)
    wished = wished_papers(dated.text, dated.filters, library)
    text, chosen, notes = wished.text, wished.filters, (*misspelt, *dated.notes, *wished.notes)
    if not history:
        return Question(question, text, _kind_here(text, library), chosen, notes=notes)
    talk = Talk([_spelled(turn, library) for turn in history], library)
    if (added := others(text)) is not None:
        return _others(question, rewritten or _of_others(talk, added), talk.shown, chosen, notes)
    if narrows and not rewritten:
        those = only(text, talk.several, chosen)
        rest = text.partition(" ")[2]
        standalone = f"{talk.asked.rstrip('?. ')} {rest}".strip()
        ids = tuple(paper.id for paper in talk.several)
        kind = QuestionKind.LIST
        return Question(
            question, standalone, kind, those.filters, ids, notes=(*notes, *those.notes)
        )
    if (meant := corrected(text, talk.asked)) and not rewritten:
        return Question(question, meant, _kind_here(meant, library), chosen, notes=notes)
    if (new := _NEW_ONE.search(text)) and not rewritten:
        # "the one that searches with A*" is another paper on the same matter.
        text = without_opening(text)
        standalone = f"{text[:1].upper()}{text[1:]}"
        own = _FRAME.sub("", _NEW_ONE.sub("", text)).split()
        if "other" not in new[0].lower() or len(own) < _OWN_MATTER:
            standalone += f" ({talk.asked.strip()})"
        return Question(question, standalone, kind_of(text), chosen, notes=notes)
    shown = talk.last if len(talk.last) > 1 else talk.several
    if (described := _described(text, shown, library)) and not rewritten:
        wished = only(talk.asked, [described], chosen)
        kind = _kind_of_named(talk.asked, 1)
        kind = QuestionKind.HOW if kind in WIDE else kind
        ids = (described.id,)
        return Question(question, talk.asked, kind, wished.filters, ids, (*notes, *wished.notes))
    if picked := _picked(text, shown):
        wished = only(_PLACED.sub(_as_pronoun, text, count=1), picked, chosen)
        names = [short_name(paper.heading) for paper in picked]
        standalone = rewritten or _fold(wished.text, names, "")
        kind = _kind_of_named(wished.text, len(picked))
        if len(picked) == 1 and kind in WIDE:
            kind = QuestionKind.HOW
        ids = tuple(paper.id for paper in picked)
        return Question(question, standalone, kind, wished.filters, ids, (*notes, *wished.notes))
    # "Which one ...?" after a look at one of them is about the several before.
    of_several = (
        _OF_SEVERAL.search(text)
        or _PRONOUN_MANY.search(text)
        or of_those(text, talk.compared, library)
    )
    focus = talk.compared if of_several else talk.papers
    ids = tuple(paper.id for paper in focus)
    # 'How many of the papers prune heads?' is about all where none of those has heads.
    of_all = _OF_THE_PAPERS.search(text) and not own_terms(text, library) <= terms_of(
        focus, library
    )
    if not of_all:
        pointed = pointed_at(text, focus, chosen, of_those=of_those(text, focus, library))
        chosen, notes = pointed.filters, (*notes, *pointed.notes)
    if rewritten:
        ids = () if turns_away(rewritten, focus, library) else ids
        return Question(question, rewritten, kind_of(rewritten), chosen, ids, notes)
    if stands_alone(text, focus, library):
        text = without_opening(text)
        # It may still be about the same papers: they stay in focus, the words stay as they are.
        held = own_terms(text, library) & terms_of(focus, library)
        away = turns_away(text, focus, library) or (not held and kind_of(text) in WIDE)
        kind = _kind_here(text, library)
        return Question(question, text, kind, chosen, () if away else ids, notes)
    if other := other_matter(text, focus, library):
        same = in_its_place(other, talk.asked, library)
        kind = _kind_here(talk.asked if same.papers else same.question, library)
        if same.papers and not chosen.papers:
            chosen = replace(chosen, papers=same.papers)
        return Question(question, same.question, kind, chosen, notes=notes)
    asked = talk.asked
    names = [short_name(paper.heading) for paper in focus]
    unnamed = kind_of(asked) in SEVERAL or not any(name in asked for name in names)
    if len(focus) == 1 and kind_of(asked) in WIDE:
        # One of a list was looked at: it is the subject now.
        asked = focus[0].heading
    standalone = _fold(text, names, asked, len(focus) > 1 and unnamed)
    if len(focus) == 1 and len(named_papers(names[0], library)) > 1 and not chosen.papers:
        # Its name alone would find the others of that name too.
        chosen = replace(chosen, papers=ids)
    kind = _kind_of_named(text, len(focus))
    return Question(question, standalone, kind, chosen, ids, notes, leans=True)


def _of_others(talk: Talk, added: str) -> str:
    """What papers like those of a talk are about, and what further is wished of them."""
    names = [short_name(paper.heading) for paper in talk.papers]
    one = len(talk.papers) == 1 and any(name in talk.asked for name in names)
    asked = talk.papers[0].heading if one else talk.asked.rstrip("?. ")
    return f"{asked} {added}".strip()


def _others(
    question: str,
    standalone: str,
    shown: tuple[str, ...],
    chosen: Filters,
    notes: tuple[str, ...],
) -> Question:
    """The wish for papers on the same matter that were not shown yet."""
    if shown:
        what = "paper" if len(shown) == 1 else f"{len(shown)} papers"
        notes = (*notes, f"Left out: the {what} shown before.")
    kind = kind_of(standalone)
    kind = kind if kind in WIDE else QuestionKind.LIST
    return Question(question, standalone, kind, chosen, shown=shown, notes=notes)


def _described(question: str, papers: Sequence[Paper], library: Library) -> Paper | None:
    """The paper of a list that a correction means, if no other one has its words.

    'The fastest one' is a question of its own; 'I meant the fast one' points.
    """
    rest = without_opening(question)
    match = _DESCRIBED.fullmatch(rest.rstrip(" ?.!"))
    if match is None or rest == question.strip():
        return None
    words = set(library.terms(match["sort"]))
    fitting = [paper for paper in papers if words and words <= terms_of([paper], library)]
    return fitting[0] if len(fitting) == 1 else None


def _kind_of_named(text: str, papers: int) -> QuestionKind:
    """The kind of a question that leans on so many papers.

    Their names may hold words ('Benchmark') that would be read as a wish for a list.
    """
    kind = kind_of(_fold(text, ["Xa", "Xb", "Xc"][:papers], ""))
    return QuestionKind.HOW if papers == 1 and kind is QuestionKind.OVERVIEW else kind


def _picked(question: str, papers: Sequence[Paper]) -> list[Paper]:
    """The papers of the last answer that a question picks by their places ('the second one')."""
    match = _PLACED.search(question)
    if match is None or len(papers) < _FEWEST_OF_A_LIST:
        return []
    if match["end"]:
        count = _COUNTS.get(match["count"].lower()) or int(match["count"])
        return list(papers[:count] if match["end"].lower() == "first" else papers[-count:])
    said = [match[name] for name in ("one", "two", "nth", "number") if match[name]]
    places = [_place(word.lower(), len(papers)) for word in said]
    return [papers[at] for at in places if 0 <= at < len(papers)]


def _place(word: str, count: int) -> int:
    """The place that a word says, from 0, in a list of ``count``."""
    if word in ("last", "latter"):
        return count - 1
    if word[0].isdigit():
        return int(re.sub(r"\D", "", word)) - 1
    return next(at for at, words in enumerate(_PLACES) if word in words)


def _fold(question: str, names: Sequence[str], asked_before: str, several: bool = False) -> str:
    """The question with the names it leans on written out, or with what was asked before it.

    ``several``: the last answer told of several papers, so that 'it' is their matter. Titles too
    long to be said are not written out either.
    """
    question = ABOUT.sub("", without_opening(question)) or question
    question = question[:1].upper() + question[1:]
    asked_before = asked_before.strip()
    if any(name in question for name in names):
        return question
    many = _PRONOUN_MANY.search(question)
    long = len(names) > _MOST_NAMES or any(len(name.split()) > _LONGEST_NAME for name in names)
    if not names or (asked_before and (long or (several and not many))):
        matter = _FRAME.sub("", asked_before).rstrip("?. ") or asked_before
        return f"{question} ({matter})" if matter else question
    together = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    for pattern, text in (
        (_PRONOUN_MANY if len(names) > 1 else None, together),
        (_PRONOUN_OWNER, f"{names[0]}'s"),
        (_PRONOUN_ONE, names[0]),
        (_PRONOUN_MANY, together),
    ):
        if pattern is not None and pattern.search(question):
            return pattern.sub(text.replace("\\", r"\\"), question, count=1)
    return f"{question.rstrip('?. ')} in {together}?"
