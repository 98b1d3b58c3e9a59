"""Readers: one file format each; every one yields papers or rejections."""

from __future__ import annotations

from citewise.sources.base import Reader, ReadLimits, Source
from citewise.sources.identity import derive_id, identity_keys
from citewise.sources.reading import FORMATS, read, recognise

__all__ = [
    "FORMATS",
    "ReadLimits",
    "Reader",
    "Source",
    "derive_id",
    "identity_keys",
    "read",
    "recognise",
]
