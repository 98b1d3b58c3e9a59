"""Train the relevance branch of the entailment model: does a question for papers ask for this one?

    pip install torch onnx safetensors tokenizers numpy
    python training/train_relevance.py ROWS.jsonl --out CHECKPOINT

``ROWS`` is written by fit_belonging.py --rows: a question beside title and nearest sentences of a
paper, with the grade that the paper was given, 0 to 2. The lower layers of the shipped entailment
model stay as they are and are run once; the upper ones are trained as a copy of their own, with a
head of one output. It begins with the weights and the head of ``answered``, taken out of the
eight-bit graph. Questions of HELD_OUT are not trained on. The same rows give the same steps.
PyTorch is needed here only.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.torch
import torch
from build_encoder import ROOT
from names import HELD_OUT, RELEVANCE_BEGINS
from onnx import numpy_helper
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from train_entailment import (
    ANSWERED,
    LAYERS,
    LONGEST,
    LONGEST_TEXT,
    WIDTH,
    CrossEncoder,
    auroc,
    batches,
    tensors,
)

MODELS = ROOT / "src" / "citewise" / "models"
SEED = 5
BATCH, AHEAD, EPOCHS, RATE = 32, 20, 1.25, 1e-4
SMOOTHING = 0.02
"""How far the wanted probabilities stay away from 0 and 1."""


@dataclass(slots=True)
class Row:
    """A question beside a paper."""

    ids: list[int]
    second: int
    """Where the paper begins."""
    grade: int
    question: str
    hidden: Tensor | None = None
    """What comes out of the lower layers, in 16 bits, shape (tokens, 384)."""


def shipped() -> CrossEncoder:
    """The shipped entailment model, its weights as they are in eight bits.

    Its fifth output begins as ``answered``.
    """
    model = onnx.load(MODELS / "entailment" / "model.onnx")
    found = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    state = {
        "words.weight": found["words.q"] * found["words.scale"],
        "places.weight": found["places"],
        "types.weight": found["types"],
        "norm.weight": found["embeddings.LayerNorm.gamma"],
        "norm.bias": found["embeddings.LayerNorm.beta"],
    }
    biases = (
        ("qkv", "qkv.bias"),
        ("out", "attention.output.dense.bias"),
        ("up", "up.bias"),
        ("down", "output.dense.bias"),
    )
    norms = (("out_norm", "attention.output.LayerNorm"), ("down_norm", "output.LayerNorm"))
    for layer in range(LAYERS):
        at, ours = f"encoder.layer.{layer}.", f"layers.{layer}."
        for part, bias in biases:
            state[f"{ours}{part}.weight"] = (found[f"{at}{part}.q"] * found[f"{at}{part}.scale"]).T
            state[f"{ours}{part}.bias"] = found[at + bias]
        for part, name in norms:
            state[f"{ours}{part}.weight"] = found[f"{at}{name}.gamma"]
            state[f"{ours}{part}.bias"] = found[f"{at}{name}.beta"]
    for end in ("weight", "bias"):
        head = found[f"head.{end}"]
        state[f"head.{end}"] = np.concatenate([head, head[ANSWERED : ANSWERED + 1]])
        state[f"pool.{end}"] = found[f"pool.{end}"]
    torch.manual_seed(SEED)
    encoder = CrossEncoder()
    encoder.load_state_dict(
        {name: torch.tensor(np.ascontiguousarray(w)).float() for name, w in state.items()}
    )
    return encoder


def read(path: Path) -> list[Row]:
    """The rows as token ids."""
    tokenizer = Tokenizer.from_file(str(MODELS / "minilm" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    found: list[dict[str, Any]] = [json.loads(line) for line in path.open(encoding="utf-8")]
    texts = tokenizer.encode_batch([row["text"] for row in found], add_special_tokens=False)
    papers = tokenizer.encode_batch([row["evidence"] for row in found], add_special_tokens=False)
    rows = []
    for row, ours, theirs in zip(found, texts, papers, strict=True):
        first = [101, *ours.ids[:LONGEST_TEXT], 102]
        ids = [*first, *theirs.ids[: LONGEST - len(first) - 1], 102]
        rows.append(Row(ids, len(first), row["grade"], row["id"]))
    return rows


def added(mask: Tensor) -> Tensor:
    """What is added to the attention for a mask of shape (batch, tokens)."""
    return torch.where(mask[:, None, None, :] > 0, 0.0, -1e4)


def run_lower(model: CrossEncoder, rows: Sequence[Row]) -> None:
    """Keeps with each row what comes out of the lower layers."""
    ordered = sorted(rows, key=lambda row: len(row.ids))
    for begin in range(0, len(ordered), BATCH):
        batch = ordered[begin : begin + BATCH]
        ids, types, mask = tensors(batch)
        with torch.no_grad():
            hidden = model.words(ids) + model.places.weight[: ids.shape[1]] + model.types(types)
            hidden = model.norm(hidden)
            for layer in model.layers[:RELEVANCE_BEGINS]:
                hidden = layer(hidden, added(mask))
        for at, row in enumerate(batch):
            row.hidden = hidden[at, : len(row.ids)].half().clone()


def upper(model: CrossEncoder, batch: Sequence[Row]) -> Tensor:
    """Log-odds, shape (batch,)."""
    longest = max(len(row.ids) for row in batch)
    hidden, mask = torch.zeros(len(batch), longest, WIDTH), torch.zeros(len(batch), longest)
    for at, row in enumerate(batch):
        assert row.hidden is not None
        hidden[at, : len(row.ids)] = row.hidden.float()
        mask[at, : len(row.ids)] = 1
    for layer in model.layers[RELEVANCE_BEGINS:]:
        hidden = layer(hidden, added(mask))
    found: Tensor = model.head(torch.tanh(model.pool(hidden[:, 0])))[:, -1]
    return found


def measured(model: CrossEncoder, held: Sequence[Row]) -> float:
    """AUROC of what belongs (2) against what does not (0) over held-out rows."""
    scores: list[float] = []
    with torch.no_grad():
        for begin in range(0, len(held), BATCH):
            scores += upper(model, held[begin : begin + BATCH]).tolist()
    clear = [at for at, row in enumerate(held) if row.grade != 1]
    return auroc([scores[at] for at in clear], [held[at].grade == 2 for at in clear])


def trained(model: CrossEncoder) -> Mapping[str, Tensor]:
    """The branch: the upper layers, the pool and the last output."""
    begins = (*(f"layers.{layer}." for layer in range(RELEVANCE_BEGINS, LAYERS)), "pool.")
    state = {name: w for name, w in model.state_dict().items() if name.startswith(begins)}
    return state | {
        f"head.{end}": model.state_dict()[f"head.{end}"][-1:].clone() for end in ("weight", "bias")
    }


def main() -> None:
    """Train and write a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = random.Random(SEED)
    model, rows = shipped(), read(options.rows)
    run_lower(model, rows)
    held = [row for row in rows if row.question.startswith(HELD_OUT)]
    pool = [row for row in rows if not row.question.startswith(HELD_OUT)]
    parts: list[nn.Module] = [*model.layers[RELEVANCE_BEGINS:], model.pool, model.head]
    parameters = [weight for part in parts for weight in part.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01)
    steps, started, shown = int(EPOCHS * len(pool) / BATCH), time.monotonic(), time.monotonic()
    print(f"{len(pool)} rows, {len(held)} held out, {steps} steps; {measured(model, held):.4f}")
    for step, batch in enumerate(batches(pool, BATCH, rng, AHEAD), 1):
        if step > steps:
            break
        optimiser.param_groups[0]["lr"] = RATE * min(1, step / (0.06 * steps)) * (1 - step / steps)
        wanted = torch.tensor([row.grade / 2 for row in batch])
        loss = functional.binary_cross_entropy_with_logits(
            upper(model, batch), wanted * (1 - 2 * SMOOTHING) + SMOOTHING
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if time.monotonic() - shown > 180:
            shown = time.monotonic()
            minutes = (shown - started) / 60
            print(f"step {step}, {minutes:.1f} min: {measured(model, held):.4f}", flush=True)
    print(f"held out {measured(model, held):.4f}")
    state = {name: value.contiguous() for name, value in trained(model).items()}
    safetensors.torch.save_file(state, options.out)


if __name__ == "__main__":
    main()
