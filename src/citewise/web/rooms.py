"""What the Library and Evaluate rooms need of a server: who adds files, who evaluates, which
libraries there are and where each one's page lies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastapi import FastAPI, Request

from citewise.library.library import Library
from citewise.web.adding import Adding
from citewise.web.auth import USER
from citewise.web.context import Shelves
from citewise.web.evaluating import Evaluating
from citewise.web.library_routes import add_library_routes

SHELVES_PATH = "/library"
"""Under this the pages of all libraries but the first lie, each by its name."""


def pages_of(libraries: Sequence[Shelves]) -> dict[str, str]:
    """Where the page of each library lies, by the name it is shown under: the first at ``/``.

    Names come from folders; two of one name are told apart by a number.
    """
    pages: dict[str, str] = {}
    for library in libraries:
        name = own = library.path.name or "library"
        count = 1
        while word_of(own) in {word_of(other) for other in pages}:
            count += 1
            own = f"{name} ({count})"
        pages[own] = f"{SHELVES_PATH}/{word_of(own)}" if pages else ""
    return pages


def word_of(name: str) -> str:
    """A name as it can stand in an address."""
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-") or "library"


class Rooms:
    """The background of the rooms; close it when the server ends."""

    def __init__(self) -> None:
        self.evaluating = Evaluating()
        self._adding: list[Adding] = []

    def open(self, app: FastAPI, library: Shelves, prefix: str) -> Adding | None:
        """Give a library's page its doors in ``app``; None for a stand-in that takes no papers."""
        if not isinstance(library, Library):
            return None
        adding = Adding(library)
        self._adding.append(adding)
        add_library_routes(app, library, adding, prefix=prefix, user_of=_user)
        return adding

    def close(self) -> None:
        """Stop what goes on; the libraries are whole."""
        self.evaluating.close()
        for adding in self._adding:
            adding.close()


def _user(request: Request) -> str:
    return str(request.scope.get(USER) or "")
