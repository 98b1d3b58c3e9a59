"""What people say to the assistant that asks nothing of the papers: 'hi', 'thanks', 'who are you?'.

Such a turn is answered in a line and counts for nothing in the talk: what follows leans on the
question before it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from citewise.library.library import Library
from citewise.library.papers import Order
from citewise.types import Message

ASKS_NOTHING = "nothing was asked of the papers"
"""The reason that such an answer gives for having no citations."""

_CORE = (
    r"(?:ok|okay|thanks?|thank you|thx|ty|cheers|got it|i see|bye|goodbye|see you|great|cool|nice"
    r"|perfect|awesome|excellent|good|super|wow|lovely|interesting|helpful|much appreciated)"
)
_THANKS = re.compile(
    rf"(?=.*\b{_CORE}\b)(?:(?:{_CORE}|oh|ah|that(?:'s| is| was)|very|so|all|and|many|a lot|lots"
    r"|much|for (?:that|this|(?:the|your) help))(?:\s+|$))+"
)
_GREETING = re.compile(
    r"(?:hi|hello|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day))"
    r"(?: (?:there|all|everyone|citewise|again))?(?: how are you(?: doing)?(?: today)?)?"
)
_TOOL = r"(?:citewise|this (?:tool|page|site|thing|app|assistant|bot))"
_ABOUT_IT = re.compile(
    r"(?:please )?help(?: me)?|(?:who|what) are you|how do you work|what should i ask"
    r"|what (?:can|do) you do|what can i (?:ask|do)(?: (?:you|here))?"
    rf"|(?:what is|what's|how does|how do i use) {_TOOL}(?: work)?"
    r"|(?:are you|is this) (?:an? )?(?:ai|bot|chatbot|human|llm|robot|chatgpt)"
)
_HELD = (
    r"(?: do you (?:have|know|hold)"
    r"|(?: are)? (?:there|here|in (?:here|(?:the|this|your) (?:library|collection|database))))"
)
_ABOUT_LIBRARY = re.compile(
    rf"how many (?:papers|articles|abstracts|studies|documents)(?:{_HELD})?"
    rf"|(?:what|which) (?:papers|articles|abstracts|documents|topics){_HELD}"
    r"|(?:what's|what is) in (?:here|(?:the|this|your) (?:library|collection|database))"
    r"|what do you (?:have|know)|what are these papers about|what is th(?:e|is) library about"
    r"|how (?:big|large|old|recent) is (?:the|this|your) (?:library|collection|database)"
)
_NEWEST = re.compile(
    r"(?:(?:which|what) (?:is|are|was|were) |what's |(?:show|give|tell) me )?(?:the )?"
    r"(?:(?P<newest>newest|latest|most recent)|oldest|earliest)"
    r" (?:paper|article|abstract|study|document|publication)(?P<several>s)?"
    rf"(?: you (?:have|know|hold)|{_HELD})?"
)
_SEVERAL = 5
_SIGNS = re.compile(r"[^\w\s'’]+")


def plain_words(text: str) -> str:
    """What was said in lower case and without signs."""
    return " ".join(_SIGNS.sub(" ", text.casefold()).replace("’", "'").split())


def aside(text: str, library: Library) -> str | None:
    """What to say to a turn that asks nothing of the papers; None for any other."""
    said = plain_words(text)
    if not said:
        return None
    if _GREETING.fullmatch(said):
        return f"Hello. {_holds(library)} Ask a question about them."
    if _ABOUT_IT.fullmatch(said):
        return (
            f"{_holds(library)} Ask a question about them: each sentence of an answer shows the "
            "words of the paper that back it, and where the papers do not hold the answer, that "
            "is what you are told."
        )
    if _ABOUT_LIBRARY.fullmatch(said):
        return f"{_holds(library)} Ask for a list or an overview of a matter to see what they say."
    if asked := _NEWEST.fullmatch(said):
        return _newest(asked, library)
    if _THANKS.fullmatch(said):
        return "You are welcome."
    return None


def without_asides(history: Sequence[Message], library: Library) -> tuple[Message, ...]:
    """A talk without such turns and what was said to them."""
    kept: list[Message] = []
    skipping = False
    for turn in history:
        if turn.role == "user":
            skipping = aside(turn.content, library) is not None
        if not skipping:
            kept.append(turn)
    return tuple(kept)


def _newest(asked: re.Match[str], library: Library) -> str:
    """The newest papers, or the oldest, as their records date them."""
    order: Order = "newest" if asked["newest"] else "oldest"
    page = library.page(order=order, limit=_SEVERAL if asked["several"] else 1)
    dated = [f"'{paper.heading}' ({paper.published})" for paper in page.papers if paper.published]
    if not dated:
        return "No record of a paper here says when it was published."
    if len(dated) == 1:
        return f"By the papers' records, the {order} is {dated[0]}."
    return "\n".join(
        [f"By the papers' records, the {order} are:\n", *(f"- {one}" for one in dated)]
    )


def _holds(library: Library) -> str:
    count = len(library)
    dates = library.dates()
    papers = "1 paper" if count == 1 else f"{count:,} papers"
    if dates is None:
        return f"This library holds {papers}."
    since, until = (date[:4] for date in dates)
    when = f"in {since}" if since == until else f"from {since} to {until}"
    return f"This library holds {papers}; those that are dated were published {when}."
