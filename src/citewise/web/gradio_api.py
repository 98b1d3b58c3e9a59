"""The named endpoints of Gradio's own API: ``/ask`` and ``/search``, for ``gradio_client``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradio.events import api

from citewise.errors import CitewiseError, UsageError
from citewise.types import Filters, Json, filters_of, messages_of
from citewise.web.context import PageContext
from citewise.web.guard import ASKING_AT_ONCE

MOST_HITS = 100
"""Papers that one search may return."""


def add_endpoints(context: PageContext) -> None:
    """Put both into the open ``gr.Blocks``.

    Each returns the object that the command prints with ``--json``, or
    ``{"error": {"type", "message"}}``, for Gradio hides every error that it was not told of.
    """

    def ask(
        question: str,
        effort: str = "normal",
        history: list[dict[str, str]] | None = None,
        filters: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Answer a question; ``history`` has turns with role and content."""
        return _plainly(
            lambda: (
                context.assistant()
                .ask(question, _turns(history), effort=effort, filters=_filters(filters))
                .to_dict()
            )
        )

    def search(
        query: str, k: int = 10, filters: dict[str, Any] | None = None, effort: str = "normal"
    ) -> dict[str, Any]:
        """Rank the papers for a query; with effort deep by reading the best of them."""
        return _plainly(
            lambda: context.library.find(
                query, min(int(k), MOST_HITS), _filters(filters), effort=effort
            ).to_dict()
        )

    # They share their places with nobody else: the page's own questions have as many.
    api(ask, api_name="ask", concurrency_limit=ASKING_AT_ONCE)
    api(search, api_name="search", concurrency_limit=ASKING_AT_ONCE)


def _turns(history: object) -> Any:
    try:
        return messages_of(history or [])  # type: ignore[arg-type]  # what else it is, is said below
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "history must be a list of turns, each with role (user or assistant) and content."
        ) from error


def _filters(given: object) -> Filters:
    try:
        return filters_of(given or {})
    except ValueError as error:
        raise UsageError(str(error)) from error


def _plainly(work: Callable[[], Json]) -> Json:
    """``work()``, with errors of ours as an object."""
    try:
        return work()
    except CitewiseError as error:
        return {"error": {"type": type(error).__name__, "message": str(error)}}
