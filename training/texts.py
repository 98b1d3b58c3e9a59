"""What several scripts of this folder do with texts."""

from __future__ import annotations

from collections.abc import Iterator

_NO_TEXTS = ("id", "paper", "papers", "kind", "writer", "source", "grades")
"""Fields of a record that hold no sentence."""


def said(value: object, most: int, name: str = "") -> Iterator[str]:
    """The sentences and questions in a record of ``written``, of up to ``most`` letters."""
    if isinstance(value, str):
        if 12 < len(value) <= most and name not in _NO_TEXTS:
            yield value
    elif isinstance(value, dict):
        for key, inside in value.items():
            yield from said(inside, most, str(key))
    elif isinstance(value, list):
        for inside in value:
            yield from said(inside, most, name)
