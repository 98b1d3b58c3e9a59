"""What is asked: the kind of answer wanted, and the question with its history folded in.

All of this is done by rule, so that it works without a model; a backend that has one may rewrite
the question better.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from citewise.answering.wishes import pointed_at, wished_papers
from citewise.grounding.overlap import background, stem
from citewise.library.library import Library
from citewise.library.passages import sentence_spans
from citewise.types import Filters, Message, Paper, Question, QuestionKind, short_name

_NUMBER = re.compile(
    r"\b(how (?:many|much|fast|large|big|long|often|high|low|small|deep|wide|accurate|far)"
    r"|what (?:percentage|percent|fraction|share|number|size|score|accuracy|speed-?up|factor)"
    r"|(?:which|what)(?: (?:is|was|are|were))?(?: the)?(?: [\w-]+){0,2}? (?:speed-?ups?|accuracy"
    r"|throughput|latency|reductions?|scores?|gains?|rates?|ratios?|percentage|perplexity|F1|mAP"
    r"|BLEU)(?= (?:do|does|did|is|was|are|were|can|has|have|of|for|on|in|with|at)\b|[?.]|$)"
    r"|by what (?:factor|margin|percentage)|to what extent)\b",
    re.IGNORECASE,
)
_MANY = (
    r"(?:papers|methods|works|approaches|models|studies|systems|techniques|benchmarks|datasets"
    r"|frameworks|surveys|algorithms|architectures|tools|designs|projects|networks)"
)
_BETWEEN = (
    r"(?!(?:do|does|did|can|could|should|would|will|may|has|have|had|makes?|limits?|causes?|helps?"
    r"|in|of|on|for|by|with|from|to|at|about|between)\s)[\w-]+\s+"
)
"""A word that may stand between 'which' and the things asked for."""
_LIST = re.compile(
    rf"^(?:which|what|are there(?: any)?)\s+(?:{_BETWEEN}){{0,4}}{_MANY}\b"
    r"|^(?:which|what|who) of (?:(?:them|these|those)\b|[A-Z][^?]*, [^?]* and )"
    rf"|^(?:[\w-]+\s+){{0,3}}{_MANY} (?:about|on|for|that|which|with|using|of|in)\b"
    rf"|^(?:list|name|enumerate)\b|^(?:find|show|give)\b.{{0,40}}\b(?:all|every|{_MANY})\b"
    r"|\bhow many (?:of (?:them|these|those)\b|(?:[\w-]+\s+){0,2}"
    r"(?:papers|works|studies|methods)\b)"
    rf"|\b(?:all|every|any) (?:the )?(?:[\w-]+\s+){{0,2}}(?:{_MANY}|paper|work|study|method)\b",
    re.IGNORECASE,
)
_COMPARISON = re.compile(
    r"\b(?:compare[ds]?|comparison|contrast|versus|vs\.?|differ(?:s|ent|ence|ences)?"
    r"|as opposed to|distinguish(?:es)?|trade-?offs? between|the two (?:\w+ )?"
    r"(?:report|use|do|take)"
    r"|(?:do|does) .{1,60} agree|in which .{1,40} and in which|which (?:\w+ ){1,4}and which)\b"
    r"|\b(?:two|both) (?:works|papers|methods|models|studies|approaches|systems)\b"
    r"|\bhow (?:do|does) each\b"
    r"|^which (?:is|was|one|found|has|had|does|did|uses|reports?|runs|needs)\b.{3,120}\bor\b",
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
_WHAT_IS = re.compile(
    rf"^what (?:is|are) (?!the |some |all |any )(?:[\w-]+\s+){{0,3}}{_MANY}[?.!]*$", re.IGNORECASE
)
_OVERVIEW = re.compile(
    r"\b(?:overview|survey of|summar(?:y|ise|ize)|state of the art|the state of"
    r"|main (?:ideas|approaches|ways|lines)|what is known|what do we know|what (?:\w+ ){0,6}(?:has"
    r"|have) been (?:done|tried|proposed|reported|found|shown|made|developed)"
    r"|research (?:on|about)|(?:ways|approaches|techniques|designs|architectures|limits|ideas)"
    r" (?:to|of|for|are there|exist)|what do (?:\w+ )?(?:papers|studies|works|evaluations|people)"
    r" (?:say|reveal|show|report|find|propose)"
    r"|how (?:do|are|have) (?:people|researchers|papers|methods|current|recent|different)"
    r"|how good are)\b",
    re.IGNORECASE,
)
_DEFINITION = re.compile(
    r"^what (?:does|do|did) .{1,80} (?:do|propose|introduce|contribute|present|suggest|offer)\b"
    r"|^(?:what (?:is|are|was)|what does .{1,60} (?:mean|stand for)|define|explain what)\b",
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
    r"|^(?:and|but|so|also|what about|how about|or)\b|\b(?:the )?(?:one|ones|both|either)\b"
    r"|\bthe two\b",
    re.IGNORECASE,
)
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

_YEAR = r"((?:19|20)\d\d)"
_DATE_WISHES: tuple[tuple[re.Pattern[str], int | None, int | None], ...] = (
    (re.compile(rf",?\s*\bbetween {_YEAR} and {_YEAR}\b", re.IGNORECASE), 0, 0),
    (re.compile(rf",?\s*\b(?:since|from) {_YEAR}(?: on(?:wards?)?)?\b", re.IGNORECASE), 0, None),
    (re.compile(rf",?\s*\b(?:after|later than) {_YEAR}\b", re.IGNORECASE), 1, None),
    (re.compile(rf",?\s*\b(?:before|earlier than) {_YEAR}\b", re.IGNORECASE), None, -1),
    (re.compile(rf",?\s*\b(?:until|up to) {_YEAR}\b", re.IGNORECASE), None, 0),
    (
        re.compile(rf",?\s*\b(?:published|released|written|dated) in {_YEAR}\b", re.IGNORECASE),
        0,
        0,
    ),
)
"""Wishes about dates: the pattern, and what is added to its first and its last year for the
earliest and the latest year wanted; None where that side is open."""

_MOST_FOCUS = 6


def kind_of(question: str) -> QuestionKind:
    """The kind of answer a question wants, by its words."""
    text = " ".join(question.split())
    if _WHAT_IS.search(text):
        return QuestionKind.DEFINITION
    if _MEASURED.search(text) and not _LIST.search(text):
        return QuestionKind.NUMBER
    if _COMPARISON.search(text) or _OF_TWO.search(text):
        return QuestionKind.COMPARISON
    if _OVERVIEW.search(text):
        return QuestionKind.OVERVIEW
    if _LIST.search(text):
        return QuestionKind.LIST
    if _NUMBER.search(text):
        return QuestionKind.NUMBER
    if _DEFINITION.search(text) and len(text.split()) <= 12:
        return QuestionKind.DEFINITION
    if _YES_NO.search(text):
        return QuestionKind.YES_NO
    if _HOW.search(text):
        return QuestionKind.HOW
    return QuestionKind.FACT


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


def without_commands(question: str) -> str:
    """The question without sentences that only tell the assistant how to behave.

    They would pull the search away from what is asked. All stays where nothing else is left.
    """
    sentences = [question[start:end] for start, end in sentence_spans(question)]
    kept = [sentence for sentence in sentences if not _COMMAND.search(sentence)]
    return " ".join(kept) if kept else question


def wished_filters(question: str, given: Filters) -> tuple[str, Filters]:
    """The question without its wishes about dates, and the filters that they amount to.

    'since 2024', 'after 2022', 'before 2023', 'between 2020 and 2022', 'published in 2021'. A
    filter that was given explicitly stands above a wish.
    """
    since, until = given.since, given.until
    for pattern, earliest, latest in _DATE_WISHES:
        match = pattern.search(question)
        if match is None:
            continue
        first, last = int(match[1]), int(match[match.lastindex or 1])
        if earliest is not None and since is None:
            since = str(first + earliest)
        if latest is not None and until is None:
            until = str(last + latest)
        question = " ".join((question[: match.start()] + question[match.end() :]).split())
        break
    return question.replace(" ?", "?"), replace(given, since=since, until=until)


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
    text, chosen = wished_filters(without_commands(" ".join(question.split())), given)
    wished = wished_papers(text, chosen, library)
    text, chosen, notes = wished.text, wished.filters, (*_dates_told(given, chosen), *wished.notes)
    if not history:
        return Question(question, text, kind_of(text), chosen, notes=notes)
    last_answer = next((turn.content for turn in reversed(history) if turn.role == "assistant"), "")
    asked_before = next((turn.content for turn in reversed(history) if turn.role == "user"), "")
    focus = (
        _headed_papers(last_answer, library)
        or named_papers(last_answer, library)
        or named_papers(asked_before, library)
        or _likeliest(f"{asked_before} {last_answer}", library)
    )
    if _NEW_ONE.search(text) and not rewritten:
        # "the one that searches with A*" is another paper on the same matter.
        text = _OPENING.sub("", text)
        standalone = f"{text[:1].upper()}{text[1:]} ({asked_before.strip()})"
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
    standalone = _fold(text, [short_name(paper.title) for paper in focus], asked_before)
    # Names may hold words ('Benchmark') that would be read as a wish for a list.
    kind = kind_of(_fold(text, ["Xa", "Xb", "Xc"][: len(focus)], ""))
    return Question(question, standalone, kind, chosen, ids, notes)


def _turns_away(text: str, focus: Sequence[Paper], library: Library) -> bool:
    """Whether a question names something that papers here have, but none of those in focus.

    'How fast is FastDepth?' after a talk about energy is about another paper.
    """
    if _LEANING.search(text):
        return False
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


def _dates_told(given: Filters, chosen: Filters) -> Iterator[str]:
    """A note on the dates that a question wished for."""
    if (given.since, given.until) != (chosen.since, chosen.until):
        since = f" from {chosen.since} on" if chosen.since else ""
        until = f" until the end of {chosen.until}" if chosen.until else ""
        yield f"Only papers published{since}{until} were searched."


def _picked(question: str, count: int) -> int | None:
    """Which of ``count`` papers a question picks by its place ('the second one'), or None."""
    match = _ORDINAL.search(question)
    if match is None or count < 2:
        return None
    word = match[1].lower()
    place = count - 1 if word in ("last", "latter") else _PLACES.get(word, 0)
    return place if place < count else None


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
