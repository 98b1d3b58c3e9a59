"""citewise: a research assistant that backs every sentence with the exact words of a paper.

>>> from citewise import Assistant, Library  # doctest: +SKIP
>>> library = Library.open("my-library")  # doctest: +SKIP
>>> library.ingest("papers.jsonl")  # doctest: +SKIP
>>> Assistant(library).ask("Which papers speed up decoding?")  # doctest: +SKIP
"""

from __future__ import annotations

from citewise.answering.assistant import Assistant
from citewise.answering.recalibration import recalibrate
from citewise.conversations import Conversation, ConversationInfo, Conversations, Turn
from citewise.errors import CitewiseError
from citewise.grounding.checker import check, check_batch
from citewise.library.library import Library, Progress
from citewise.types import (
    Answer,
    Citation,
    Done,
    Effort,
    Event,
    Evidence,
    Filters,
    Hit,
    IngestReport,
    Message,
    Paper,
    QuestionKind,
    Rejection,
    SearchResult,
    Sentence,
    SentenceReady,
    Span,
    Support,
    Usage,
    Verdict,
    Working,
)

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Assistant",
    "Citation",
    "CitewiseError",
    "Conversation",
    "ConversationInfo",
    "Conversations",
    "Done",
    "Effort",
    "Event",
    "Evidence",
    "Filters",
    "Hit",
    "IngestReport",
    "Library",
    "Message",
    "Paper",
    "Progress",
    "QuestionKind",
    "Rejection",
    "SearchResult",
    "Sentence",
    "SentenceReady",
    "Span",
    "Support",
    "Turn",
    "Usage",
    "Verdict",
    "Working",
    "__version__",
    "check",
    "check_batch",
    "recalibrate",
]
