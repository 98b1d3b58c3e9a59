"""The measure that a question names ('the hazard ratio'), and whether a figure is its value.

A measure is called by its last word ('accuracy', 'age'), or by two where that one says nothing by
itself ('hazard ratio'), or by its initials ('HR').
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = r"(?!(?:what|which|how|who|why|when|is|are|was|were|do|does|did|much|many|by)\b)[^\s?,;:]+"
_MEASURE = re.compile(
    r"(?:(?:\bwhat|^(?:\w+ )?which)(?:['’]?s| is| was| are| were)?(?: the| an?)? "
    # No sentence, but keywords.
    r"|^(?!.*\b(?:what|which|how|who|why|when|is|are|was|were|do|does|did)\b)(?:the )?)"
    rf"((?:{_ONE} ){{0,4}}?{_ONE})"
    r"(?= (?:of|for|in|on|with|at|by|from|over|between|among|after|to|under|per|without|when|if|is"
    r"|was|are|were|does|do|did|can|should|has|have|had|reached|reported|achieved|obtained|found)\b"
    # Behind it may stand what was asked before.
    r"|[?.,]*(?:$| \())",
    re.IGNORECASE,
)
_NAMED = (
    r"(?:the |its |their |an? )?"
    rf"((?!(?:in|on|of|for|with|over|at|from|to|it)\b)(?:{_ONE} ){{0,3}}?{_ONE})"
)
_AGAINST = r"(?= (?:than|over|against|compared|relative|versus|vs|on|for|at)\b|[?.,]*$)"
_IMPROVED = re.compile(
    r"\bhow much (?:"
    rf"(?:do|does|did|has|have) {_NAMED} (?:fall|drop|rise|decline|improve|increase|decrease)"
    r"(?= (?:in|for|with|at|from|after|when|if|by)\b|[?.,]*$)"
    rf"|(?:higher|lower|greater) (?:is|are|was|were) {_NAMED}"
    r"(?= (?:per|in|on|for|with|at|after|when|than)\b|[?.,]*$)"
    r"|(?!(?:of|more|less|fewer|better|worse)\b|\w+er\b)"
    rf"{_NAMED}(?= (?:is|was|are|were|does|do|did|can|has|have|had)\b)"
    r"|.*\b(?:better|worse|beat|outperform|exceed|surpass|improve)\b.* in (?:terms of )?"
    rf"{_NAMED}{_AGAINST}"
    r"|.*\b(?:improve|increase|raise|boost|enhance|reduce|decrease|lower|cut|change)s? "
    rf"{_NAMED}(?= (?:of|in|with|by|from|after|when|if)\b|{_AGAINST}))",
    re.IGNORECASE,
)
"""A question for how much there is of a measure, or how much it changes."""
_HOW_OLD = re.compile(r"\bhow old\b", re.IGNORECASE)
_CALLED_OTHERWISE = re.compile(
    r"(?:years?|percent\w*|share|fraction|proportion|number|amount|factor|margin|extent|gain|effect"
    r"|impact|improve\w*|reduc\w*|increas\w*|decreas\w*|decline|drop|differen\w*|change|savings?"
    r"|hardware|software|[cgt]pus?|devices?|machines?|accelerators?|processors?|servers?|chips?"
    r"|data|datasets?|languages?)$",
    re.IGNORECASE,
)
"""What papers do not call so where they give its figure, or what has none."""
_HEAD = re.compile(
    r"(?:ratio|rate|risk|score|value|level|index|error|size|length|time)s?$", re.IGNORECASE
)
"""Says nothing by itself."""
_FILLER = r"[-\s](?:value|score|level|use|usage|consumption)s?"
"""'The F1 score' is F1."""
_HYPHEN = r"[-‐–\s]"
_ELSEWHERE = re.compile(
    r"^-|[;?!]|[.,]\s+\w|\b(?:and|but|or|while|whereas|than|versus|vs)\b"
    r"|\b(?:for|per|each|every|all|the|these|those|at|in|on|with|within|after|by(?:\s\w+){0,2})\s+\$?$",
    re.IGNORECASE,
)
"""What stands between a measure and a figure of something else."""
_SEVERAL = re.compile(r"\w\)?,? and $")
_QUALIFIED = re.compile(
    r"\s?(?:\([^()\d]*\)\s)?(?:(?!(?:of|in|on|for|with|at|by|from|to|and|or|as|is|was|were"
    r"|ha[sd]|have|the|an?)\b)[\w-]+\s){0,2}"
)
"""What may stand between a figure and its measure: '82% end-to-end accuracy'."""
_OF_FIGURE = re.compile(
    r"\s?(?:(?!(?:at|by|to|and|or|from)\b)[\w-]+\s){0,2}(?:(?:in|for|on|of)\s(?:the\s)?)?"
    + _QUALIFIED.pattern
)
"""The same where it says in what something is gained: '5% in accuracy'."""
_NEXT = re.compile(r"\s?(?:,|/|and\b|,\sand\b|or\b|but\b|with\b|at\b)")
_BY = re.compile(r"\bby(?:\s[a-z]+){0,4}\s?[~$+]*$")
_BREAK = re.compile(r"[;,)]|\band\b|\bor\b")
_FAR = 60
"""Characters that may stand between a measure and its figure."""
_LEAD = 25
"""Characters before a measure that say of what it is."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What a question wants to know the value of."""

    name: str
    core: tuple[str, ...]
    """The words without which it is another measure, in lower case."""
    called: re.Pattern[str]


def measure_named(question: str) -> Measure | None:
    """The measure that a question names, unless papers would call it otherwise."""
    if _HOW_OLD.search(question):
        return Measure("age", ("age",), re.compile(r"\baged?\b", re.IGNORECASE))
    match = _MEASURE.search(question) or _IMPROVED.search(question)
    named = next(filter(None, match.groups()), "") if match else ""
    words = re.sub(f"{_FILLER}$", "", named, flags=re.IGNORECASE).split()
    core = words[-2:] if words and _HEAD.match(words[-1]) else words[-1:]
    if not core or _CALLED_OTHERWISE.match(core[-1]) or (len(core) == 1 and _HEAD.match(core[0])):
        return None
    parts = re.split(_HYPHEN, " ".join(core).removesuffix("s"))
    initials = "".join(word[0].upper() for word in words)
    called = [rf"(?i:{_HYPHEN.join(map(re.escape, parts))})"]
    # The 'adjusted hazard ratio' is 'AHR' or 'HR'.
    called += [re.escape(initials[at:]) for at in range(len(initials) - 1)]
    if len(core) > 1:
        # The 'concordance index' is the 'C-index'.
        called.append(rf"{re.escape(core[0][0].upper())}{_HYPHEN}(?i:{re.escape(core[1])})")
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(called)})(?i:s?(?:{_FILLER})?)(?!\w)")
    return Measure(" ".join(words), tuple(word.lower() for word in core), pattern)


def said_beside(
    measure: Measure, before: str, after: str, *, gained: bool = False, follows: bool = False
) -> str | None:
    """What precedes a figure and its measure, or None where it does not stand beside it.

    ``gained``: how much the measure changes by ('accuracy by 5%'). ``follows``: another figure
    stands where ``before`` begins.
    """
    for match in reversed(list(measure.called.finditer(before))):
        between = before[match.end() :]
        if gained:
            between = _BY.sub("", between)
        if len(between) > _FAR or _ELSEWHERE.search(between):
            break
        lead = before[: match.start()]
        if follows and _OF_FIGURE.fullmatch(lead) and _NEXT.match(between):
            # '13% for accuracy, 10% for precision': it is the measure of the figure before.
            break
        # 'A sensitivity and specificity of': of which is each?
        if not _SEVERAL.search(lead) or re.search(r"\b(?:is|was)\b", between):
            return lead[-_LEAD:]
    found = measure.called.search(after)
    qualified = _OF_FIGURE if gained else _QUALIFIED
    return before[-_LEAD:] if found and qualified.fullmatch(after[: found.start()]) else None


def own_clause(before: str, after: str) -> str:
    """What is said around a figure in its own part of the sentence."""
    return f"{_BREAK.split(before)[-1]} {_BREAK.split(after, maxsplit=1)[0]}"
