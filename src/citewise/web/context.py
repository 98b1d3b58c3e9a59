"""What every room of the page is given: whom to ask, whose papers, and who is looking.

The page talks to the library and the assistant through the small protocols here, which
:class:`citewise.Library` and :class:`citewise.Assistant` meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from citewise.conversations import Conversations
from citewise.errors import LibraryError
from citewise.types import Answer, Event, Filters, Message, Paper, SearchResult

if TYPE_CHECKING:
    import gradio as gr

    from citewise.web.adding import Adding
    from citewise.web.evaluating import Evaluating

ROOMS: Mapping[str, str] = {"chat": "Chat", "library": "Library", "evaluate": "Evaluate"}
"""The rooms of the page by the name that its address carries (``#library``)."""


class Described(Protocol):
    """What the page needs of a library's description; :class:`citewise.LibraryInfo` has it."""

    @property
    def papers(self) -> int:
        """Their number."""
        ...

    @property
    def sources(self) -> Mapping[str, int]:
        """Papers by the reader that brought them."""
        ...

    @property
    def earliest(self) -> str | None:
        """The earliest date of a paper, ISO 8601."""
        ...

    @property
    def latest(self) -> str | None:
        """The latest date of a paper, ISO 8601."""
        ...


class Named(Protocol):
    """What the page needs of a backend."""

    @property
    def name(self) -> str:
        """As given on the command line, without any secret."""
        ...


class Shelves(Protocol):
    """What the page needs of a library."""

    @property
    def path(self) -> Path:
        """Its folder."""
        ...

    def papers_by_id(self, ids: Sequence[str], /) -> Mapping[str, Paper]:
        """Papers with their abstracts; unknown ids are left out."""
        ...

    def info(self) -> Described:
        """How many papers there are, and of what kind."""
        ...

    def find(
        self, query: str, k: int = 10, filters: Filters | None = None, /, *, effort: str = "normal"
    ) -> SearchResult:
        """The best ``k`` papers."""
        ...

    def warm(self) -> None:
        """Load what the first question needs."""
        ...


class Asks(Protocol):
    """What the page needs of an assistant; :class:`citewise.Assistant` has it."""

    @property
    def library(self) -> Shelves:
        """The library it answers from."""
        ...

    @property
    def backend(self) -> Named:
        """What writes the answers."""
        ...

    def stream(
        self,
        question: str,
        history: Sequence[Message] = (),
        /,
        *,
        effort: str = "normal",
        filters: Filters | None = None,
    ) -> Iterator[Event]:
        """The answer as it comes; closing the iterator stops the work."""
        ...

    def ask(
        self,
        question: str,
        history: Sequence[Message] = (),
        /,
        *,
        effort: str = "normal",
        filters: Filters | None = None,
    ) -> Answer:
        """The whole answer."""
        ...


def nobody(request: object) -> str:
    """The user of a page without login: the empty name."""
    del request
    return ""


@dataclass(frozen=True, slots=True)
class PageContext:
    """What the rooms share. Made once when the server starts."""

    assistants: tuple[Asks, ...]
    """One for each backend that the operator configured; the first is asked unless the person
    chooses. All answer from the same library."""
    kept: Conversations = field(default_factory=Conversations.in_memory)
    """The conversations; unless given, they end with the server."""
    kept_note: str = ""
    """Why conversations are not kept with the library, for people; empty where they are."""
    login: bool = False
    """Whether people have to log in."""
    user_of: Callable[[Any], str] = nobody
    """The name of the person behind a ``gr.Request``; empty where nobody has to log in."""
    opened: Mapping[str, gr.Button] = field(default_factory=dict)
    """By room, a button out of sight that the page presses whenever the room is entered: a room
    fills or refreshes itself with ``context.opened["library"].click(...)``. Filled in by the page
    before it builds the rooms."""
    adding: Adding | None = None
    """What reads the files that people drop in."""
    evaluating: Evaluating | None = None
    """What runs evaluations; one for the whole server."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    """All libraries that the operator named: where each one's page lies, by name; this page's own
    comes first."""

    @classmethod
    def of(
        cls, assistants: Sequence[Asks], *, user_of: Callable[[Any], str] = nobody
    ) -> PageContext:
        """With the conversations that lie in the library's folder.

        Where they cannot be kept there, the page works all the same and says so.
        """
        try:
            kept, note = Conversations.open(assistants[0].library.path), ""
        except LibraryError as error:
            kept, note = Conversations.in_memory(), str(error)
        return cls(tuple(assistants), kept=kept, kept_note=note, user_of=user_of)

    @property
    def library(self) -> Shelves:
        """The library that the page is about."""
        return self.assistants[0].library

    def assistant(self, backend: str = "") -> Asks:
        """The assistant that writes with ``backend``; the first one for an unknown name."""
        named = {assistant.backend.name: assistant for assistant in self.assistants}
        return named.get(backend, self.assistants[0])
