"""What is asked: the kind of answer wanted, and the question with its history folded in.

All of this is done by rule, so that it works without a model; a backend that has one may rewrite
the question better.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from citewise.answering.kinds import SEVERAL, WIDE, by_rule, kind_of
from citewise.answering.periods import wished_period
from citewise.answering.spelling import respelled
from citewise.answering.wishes import pointed_at, wished_papers
from citewise.backends.conditions import OfSort, condition_of
from citewise.grounding.overlap import background, stem
from citewise.library.library import Library
from citewise.library.passages import sentence_spans
from citewise.types import Filters, Message, Paper, Question, QuestionKind, short_name

_LEANING = re.compile(
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
_CLAUSE = re.compile(r"[,;:.?!]\s|\s(?:and|but|or)\s", re.IGNORECASE)
"""Between what a question names and the clause in which a pronoun stands for it."""
_PRONOUN_ONE = re.compile(
    r"\b(?:that|this|the) (?:one|paper|method|model|approach|system|work|framework|technique"
    r"|latter|first|former)\b|\b(?:it|they|this|that)\b(?! (?:is|was) (?:known|possible|true))",
    re.IGNORECASE,
)
_PRONOUN_OWNER = re.compile(r"\b(?:its|their|that one's|this one's)\b", re.IGNORECASE)
_PRONOUN_MANY = re.compile(r"\b(?:them|these|those|both|they|the two|the others?)\b", re.IGNORECASE)
_ORDINAL = re.compile(
    r"\bthe (first|second|third|fourth|last|former|latter)"
    r"(?: (?:one|(?:one )?of (?:these|them|those|the two)|paper|method|model|approach|system))?"
    r"(?=[\s?.,!]|$)",
    re.IGNORECASE,
)
_NEW_ONE = re.compile(
    r"\bthe (?:one|ones|paper|method|model|work) (?:that|which|who|with|from|for|by|on|using)\b"
    r"|\b(?:another|any other|other) (?:one|paper|method|model|work|approach)s?\b",
    re.IGNORECASE,
)
_OF_SEVERAL = re.compile(
    r"\b(?:which|what) (?:one|of)\b|\b(?:both|the two|the others?|any of|none of)\b", re.IGNORECASE
)
_OWN_MATTER = 3
"""Words from which a question for 'other papers' says itself what they are to be about."""
_PLACES = {"first": 0, "former": 0, "second": 1, "third": 2, "fourth": 3}
_OPENING = re.compile(r"^(?:and|but|so|also|ok|okay|then|well)[,\s]+", re.IGNORECASE)
_ABOUT = re.compile(r"^(?:what|how) about\s+", re.IGNORECASE)

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
    r"|say|exist|deal(?:s|ing)?|look(?:s|ing)? (?=at)|treat|address|discuss|concern|that|between"
    r"|at|of|on|about|in|for|to|with|behind)\b[,:]?\s+)+",
    re.IGNORECASE,
)
"""How a question for several papers begins before it comes to its matter."""
_TAIL = re.compile(
    r"[\s,:;–-]*\b(?:please|in a nutshell|side by side|an? (?:short |brief )?overview"
    r"|(?:list|name) them|(?:in|across) (?:here|the library|th(?:is|ese) (?:library|papers))"
    r"|(?:which|what) \w+ (?:exist|are there|have been proposed)"
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
_MOST_FOCUS = 8
_LONGEST_NAME = 6
"""Words of a title that can stand for its paper in a question."""
_MOST_NAMES = 4


def _kind_here(text: str, library: Library) -> QuestionKind:
    """``kind_of``, where the library has a say: what is said of one paper is no overview.

    A few words that ask for nothing ('graph networks on phones') want one.
    """
    bare = "?" not in text and len(text.split()) <= _LONGEST_TOPIC and not _ASKS.search(text)
    topic = bare and by_rule(text) is QuestionKind.FACT
    kind = QuestionKind.OVERVIEW if topic else kind_of(text)
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
    condition = condition_of(asked) if question.kind in WIDE else None
    for wanted in (asked,) if condition is None else (condition.matter, asked):
        matter = _FRAME.sub("", _TAIL.sub("", wanted))
        if re.search(r"\w{2}", matter):
            return matter
    return asked


def named_papers(text: str, library: Library, limit: int = _MOST_FOCUS) -> list[Paper]:
    """Papers whose title or short name stands in ``text``, in the order of their first mention."""
    if not text.strip():
        return []
    found: list[tuple[int, Paper]] = []
    for hit in library.find(text, 3 * limit).hits:
        position = _mention(hit.paper, text)
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
    return named_papers("\n".join(head for head in heads if head.strip()), library)


def _likeliest(text: str, library: Library) -> list[Paper]:
    """The paper that a turn was about when it does not name any: the nearest one."""
    return [hit.paper for hit in library.find(text, 1).hits] if text.strip() else []


def _mention(paper: Paper, text: str) -> int | None:
    """Where ``text`` mentions the paper, or None."""
    position = text.casefold().find(paper.heading.casefold())
    if position >= 0:
        return position
    name = short_name(paper.heading)
    # A short name in plain lower-case words ("attention") would be found everywhere.
    if name == paper.heading or not any(c.isupper() or c.isdigit() for c in name):
        return None
    # 'spikegpt' can only be SpikeGPT; 'medusa' may be anything.
    mixed = any(c.isupper() for c in name[1:]) and not name.isupper()
    coined = " " not in name and (mixed or any(c.isdigit() for c in name))
    match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE if coined else 0)
    return match.start() if match else None


def leans_on_history(question: str) -> bool:
    """Whether a question cannot be understood by itself."""
    return bool(_LEANING.search(question)) or len(question.split()) <= 3


def without_commands(question: str) -> str:
    """The question without sentences that only tell the assistant how to behave.

    They would pull the search away from what is asked. All stays where nothing else is left.
    """
    sentences = [question[start:end] for start, end in sentence_spans(question)]
    kept = [sentence for sentence in sentences if not _COMMAND.search(sentence)]
    return " ".join(kept) if kept else question


_WORD = re.compile(r"[A-Za-z][\w+-]*")
_FEW_PAPERS, _FEW_SHARE = 3, 0.02
"""Papers, and the share of a library's, that may have a name that is still one. Chosen by hand."""


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
    spelled, misspelt = respelled(without_commands(" ".join(question.split())), library)
    dated = wished_period(spelled, given, library)
    wished = wished_papers(dated.text, dated.filters, library)
    text, chosen, notes = wished.text, wished.filters, (*misspelt, *dated.notes, *wished.notes)
    if not history:
        return Question(question, text, _kind_here(text, library), chosen, notes=notes)
    answers = [turn.content for turn in reversed(history) if turn.role == "assistant"]
    last_answer = answers[0] if answers else ""
    asked_before = _asked_before(history)
    focus = (
        _headed_papers(last_answer, library)
        or named_papers(last_answer, library)
        or named_papers(asked_before, library)
        or _likeliest(f"{asked_before} {last_answer}", library)
    )
    if len(focus) == 1 and _OF_SEVERAL.search(text):
        # "Which one ...?" after a look at one of them is about the several before.
        earlier = (_headed_papers(answer, library) for answer in answers[1:])
        focus = next((papers for papers in earlier if len(papers) > 1), focus)
    if (new := _NEW_ONE.search(text)) and not rewritten:
        # "the one that searches with A*" is another paper on the same matter.
        text = _OPENING.sub("", text)
        standalone = f"{text[:1].upper()}{text[1:]}"
        own = _FRAME.sub("", _NEW_ONE.sub("", text)).split()
        if "other" not in new[0].lower() or len(own) < _OWN_MATTER:
            standalone += f" ({asked_before.strip()})"
        return Question(question, standalone, kind_of(text), chosen, notes=notes)
    picked = _picked(text, len(focus))
    if picked is not None:
        focus = [focus[picked]]
        text = _ORDINAL.sub("that one", text, count=1)
    ids = tuple(paper.id for paper in focus)
    pointed = pointed_at(text, focus, chosen)
    chosen, notes = pointed.filters, (*notes, *pointed.notes)
    if rewritten:
        ids = () if _turns_away(rewritten, focus, library) else ids
        return Question(question, rewritten, kind_of(rewritten), chosen, ids, notes)
    if _turns_away(text, focus, library):
        return Question(question, text, kind_of(text), chosen, notes=notes)
    if not leans_on_history(text):
        # It may still be about the same papers: they stay in focus, the words stay as they are.
        return Question(question, text, kind_of(text), chosen, ids, notes)
    several = len(focus) > 1 and kind_of(asked_before) in SEVERAL
    standalone = _fold(text, [short_name(paper.heading) for paper in focus], asked_before, several)
    # Names may hold words ('Benchmark') that would be read as a wish for a list.
    kind = kind_of(_fold(text, ["Xa", "Xb", "Xc"][: len(focus)], ""))
    if kind is QuestionKind.OVERVIEW and len(focus) == 1:
        kind = QuestionKind.HOW
    return Question(question, standalone, kind, chosen, ids, notes)


def _turns_away(text: str, focus: Sequence[Paper], library: Library) -> bool:
    """Whether a question names something that papers here have, but none of those in focus.

    'How fast is FastDepth?' after a talk about energy is about another paper, and in 'what does
    FastDepth use, and how fast is it?' the pronoun is its.
    """
    leaning = _LEANING.search(text)
    if leaning and not _OF_ITSELF.search(text[: leaning.end()]):
        return False
    if leaning:
        # In 'how many GPUs does it need?' the pronoun is not the GPUs'.
        earlier = list(_CLAUSE.finditer(text, 0, leaning.start()))
        text = text[: earlier[-1].start()] if earlier else ""
    table = background().frequency
    words = [
        word for at, word in enumerate(_WORD.findall(text))
        if any(c.isupper() or c.isdigit() for c in word[1:])
        or (at and (word[0].isupper() or stem(word.lower()) not in table))
    ]  # fmt: skip
    frequency = library.document_frequencies(library.terms(" ".join(words)))
    few = max(_FEW_PAPERS, int(_FEW_SHARE * len(library)))
    named = {term for term, count in frequency.items() if 0 < count <= few}
    held = {term for one in focus for term in library.terms(f"{one.title} {one.abstract}")}
    return bool(named - held)


def _picked(question: str, count: int) -> int | None:
    """Which of ``count`` papers a question picks by its place ('the second one'), or None."""
    match = _ORDINAL.search(question)
    if match is None or count < 2:
        return None
    word = match[1].lower()
    place = count - 1 if word in ("last", "latter") else _PLACES.get(word, 0)
    return place if place < count else None


def _asked_before(history: Sequence[Message]) -> str:
    """The last question that can be understood by itself, or else the last one."""
    asked = [turn.content for turn in reversed(history) if turn.role == "user"]
    whole = (text for text in asked if not _LEANING.search(text) and len(text.split()) > 1)
    return next(whole, asked[0] if asked else "")


def _fold(question: str, names: Sequence[str], asked_before: str, several: bool = False) -> str:
    """The question with the names it leans on written out, or with what was asked before it.

    ``several``: the last answer told of several papers, so that 'it' is their matter. Titles too
    long to be said are not written out either.
    """
    question = _OPENING.sub("", question)
    question = question[:1].upper() + question[1:]
    asked_before = asked_before.strip()
    if any(name in question for name in names):
        return question
    many = _PRONOUN_MANY.search(question)
    long = len(names) > _MOST_NAMES or any(len(name.split()) > _LONGEST_NAME for name in names)
    if not names or long or (several and not many):
        matter = _FRAME.sub("", asked_before).rstrip("?. ") or asked_before
        return f"{question} ({matter})" if matter else question
    if match := _ABOUT.match(question):
        named = next((name for name in names if name in asked_before), None)
        if named and not _LEANING.search(question[match.end() :]):
            return asked_before.replace(named, question[match.end() :].rstrip("?. "))
    together = names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
    for pattern, text in (
        (_PRONOUN_MANY if len(names) > 1 else None, together),
        (_PRONOUN_OWNER, f"{names[0]}'s"),
        (_PRONOUN_ONE, names[0]),
        (_PRONOUN_MANY, together),
    ):
        if pattern is not None and pattern.search(question):
            return pattern.sub(text.replace("\\", r"\\"), question, count=1)
    if _ABOUT.match(question):
        return f"{question} ({asked_before})"
    return f"{question.rstrip('?. ')} in {together}?"
