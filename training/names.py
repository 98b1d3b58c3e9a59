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

RELEVANCE_BEGINS = 3
"""The first layer that the relevance branch has for itself; those before are the entailment
model's."""
HELD_OUT = ("h3-", "h6-", "h7-", "ha-")
"""What the graded questions begin with that the branch is not trained on."""
