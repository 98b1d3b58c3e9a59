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

KEPT_BACK = {"kept": 0, "w8": 120}
"""Lines of files of written/ from which on no model is trained: others are measured with them."""
KEPT = "kept-"
"""What queries begin with that relevance_rows.py keeps for measuring."""
HELD_OUT = ("h3-", "h6-", "h7-", "ha-", "kk-", "kl-", "km-", "kp-", "kr-", "ks-", "kt-", KEPT)
"""What queries begin with that the relevance branch is not trained on."""
