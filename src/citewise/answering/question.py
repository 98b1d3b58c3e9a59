"""What is asked: the kind of answer wanted, and the question with its history folded in.

All of this is done by rule, so that it works without a model; a backend that has one may rewrite
the question better.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from citewise.library.library import Library
from citewise.types import Filters, Message, Paper, Question, QuestionKind

_NUMBER = re.compile(
    r"\b(how (?:many|much|fast|large|big|long|often|high|low|small|deep|wide|accurate|far)"
    r"|what (?:percentage|percent|fraction|share|number|size|score|accuracy|speed-?up|factor)"
    r"|(?:which|what) (?:speed-?up|accuracy|throughput|latency|reduction|score|gain|rate|ratio)"
    r"|by what (?:factor|margin|percentage)|to what extent)\b",
    re.IGNORECASE,
)
_LIST = re.compile(
    r"^(?:and |so |then )?(?:which|what|list|name|show|find|give|are there|who)\b"
    r"(?=.*\b(?:papers|methods|works|approaches|models|studies|systems|techniques|benchmarks"
    r"|datasets|frameworks|surveys|authors|algorithms|architectures|ones|of them|of these"
    r"|of those)\b)|\bhow many (?:papers|methods|works|studies|of (?:them|these|those))\b",
    re.IGNORECASE,
)
_COMPARISON = re.compile(
    r"\b(?:compare[ds]?|comparison|versus|vs\.?|differ(?:s|ent|ence|ences)?|in contrast"
    r"|(?:better|worse|faster|slower|larger|smaller|more|less|cheaper) than"
    r"|as opposed to|distinguish(?:es)?|trade-?offs? between)\b",
    re.IGNORECASE,
)
_OVERVIEW = re.compile(
    r"\b(?:overview|survey|summar(?:y|ise|ize)|state of the art|main (?:ideas|approaches|ways)"
    r"|what is known|what (?:has|have) been (?:done|tried|proposed)|research (?:on|about)"
    r"|ways (?:to|of|are there)|approaches (?:to|for|exist)|what do (?:the )?papers say"
    r"|how do (?:people|researchers|papers|methods|current|recent))\b",
    re.IGNORECASE,
)
_DEFINITION = re.compile(
    r"^(?:what (?:is|are|was)|what does .{1,60} (?:mean|stand for)|define|explain what)\b",
    re.IGNORECASE,
)
_HOW = re.compile(
    r"^(?:how|why|in what way|by what means|explain how|describe how)\b", re.IGNORECASE
)
_YES_NO = re.compile(
    r"^(?:is|are|was|were|does|do|did|can|could|has|have|had|will|would|should|isn't|doesn't)\b",
    re.IGNORECASE,
)

_LEANING = re.compile(
    r"\b(?:it|its|itself|they|them|their|theirs|this|that|these|those|he|she|his|her|there"
    r"|the (?:same|former|latter|first|second|third|last|other|others|authors?|paper|method|model"
    r"|approach|system|work|framework|technique|dataset|benchmark))\b"
    r"|^(?:and|but|so|also|what about|how about|or)\b|\b(?:the )?(?:one|ones|both|either)\b",
    re.IGNORECASE,
)
_PRONOUN_ONE = re.compile(
    r"\b(?:that|this|the) (?:one|paper|method|model|approach|system|work|framework|technique"
    r"|latter|first|former)\b|\b(?:it|they|this|that)\b(?! (?:is|was) (?:known|possible|true))",
    re.IGNORECASE,
)
_PRONOUN_OWNER = re.compile(r"\b(?:its|their|that one's|this one's)\b", re.IGNORECASE)
_PRONOUN_MANY = re.compile(r"\b(?:them|these|those|both|they|the two|the others?)\b", re.IGNORECASE)
_OPENING = re.compile(r"^(?:and|but|so|also|ok|okay|then|well)[,\s]+", re.IGNORECASE)
_ABOUT = re.compile(r"^(?:what|how) about\s+", re.IGNORECASE)

_MOST_FOCUS = 6


def kind_of(question: str) -> QuestionKind:
    """The kind of answer a question wants, by its words."""
    text = " ".join(question.split())
    if _LIST.search(text) and not _COMPARISON.search(text):
        return QuestionKind.LIST
    if _COMPARISON.search(text):
        return QuestionKind.COMPARISON
    if _NUMBER.search(text):
        return QuestionKind.NUMBER
    if _OVERVIEW.search(text):
        return QuestionKind.OVERVIEW
    if _DEFINITION.search(text) and len(text.split()) <= 8:
        return QuestionKind.DEFINITION
    if _YES_NO.search(text):
        return QuestionKind.YES_NO
    if _HOW.search(text):
        return QuestionKind.HOW
    return QuestionKind.FACT


def short_name(title: str) -> str:
    """What a paper is called in talk: the part of its title before a colon, if that is short."""
    head = title.split(":", 1)[0].strip()
    return head if head != title and len(head) <= 40 else title


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


def _mention(paper: Paper, text: str) -> int | None:
    """Where ``text`` mentions the paper, or None."""
    position = text.casefold().find(paper.title.casefold())
    if position >= 0:
        return position
    name = short_name(paper.title)
    # A short name in plain lower-case words ("attention") would be found everywhere.
    if name == paper.title or not any(c.isupper() or c.isdigit() for c in name):
        return None
    match = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    return match.start() if match else None


def leans_on_history(question: str) -> bool:
    """Whether a question cannot be understood by itself."""
    return bool(_LEANING.search(question)) or len(question.split()) <= 3


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
    text = " ".join(question.split())
    chosen = filters or Filters()
    if not history or not leans_on_history(text):
        return Question(question, rewritten or text, kind_of(rewritten or text), chosen)
    last_answer = next((turn.content for turn in reversed(history) if turn.role == "assistant"), "")
    asked_before = next((turn.content for turn in reversed(history) if turn.role == "user"), "")
    focus = named_papers(last_answer, library) or named_papers(asked_before, library)
    standalone = rewritten or _fold(
        text, [short_name(paper.title) for paper in focus], asked_before
    )
    return Question(
        question,
        standalone,
        kind_of(text) if not rewritten else kind_of(rewritten),
        chosen,
        tuple(paper.id for paper in focus),
    )


def _fold(question: str, names: Sequence[str], asked_before: str) -> str:
    """The question with the names it leans on written out, or with what was asked before it."""
    question = _OPENING.sub("", question)
    question = question[:1].upper() + question[1:]
    if not names:
        return f"{question} ({asked_before.strip()})" if asked_before else question
    if any(name in question for name in names):
        return question
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
        return f"{question} ({asked_before.strip()})"
    return f"{question.rstrip('?. ')} in {together}?"
