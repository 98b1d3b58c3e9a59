"""What checkpoints call the parts of a layer, and what the published model calls them."""

from __future__ import annotations

PARTS = (
    ("out", "attention.output.dense"),
    ("out_norm", "attention.output.LayerNorm"),
    ("up", "intermediate.dense"),
    ("down", "output.dense"),
    ("down_norm", "output.LayerNorm"),
)
"""Ours and theirs; a checkpoint's ``qkv`` is their query, key and value one after the other."""
