"""Train the relevance branch of the entailment model: does a query ask for this paper?

    pip install torch onnx safetensors tokenizers numpy
    python training/train_relevance.py ROWS --out CHECKPOINT [--begin CHECKPOINT] [--mix graded=1]

``ROWS`` is the folder of relevance_rows.py. Word embeddings stay those of the shipped entailment
model; the six layers are trained as a copy of their own, with a head of one output. They begin
with its weights, taken out of the eight-bit graph, and its head for ``answered``, or with those of
another checkpoint of this script. What begins like HELD_OUT is measured and not trained on. The
same rows give the same steps. PyTorch is needed here only.
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
from names import HELD_OUT
from onnx import numpy_helper
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from train_entailment import (
    ANSWERED,
    LAYERS,
    LONGEST,
    LONGEST_TEXT,
    CrossEncoder,
    auroc,
    batches,
    tensors,
)

MODELS = ROOT / "src" / "citewise" / "models"
SEED = 5
BATCH, AHEAD, RATE = 32, 20, 1e-4
MIX = {"scifact": 2.0, "written": 0.6, "queries": 2.0, "graded": 1.0}
"""How often each row of a file is trained on, by the file's name; below 1, a share of its rows."""
SMOOTHING = 0.02
"""How far the wanted probabilities stay away from 0 and 1."""
BEGUN = 0.4
"""Share that the weights it began with have in those that are written: so they do better on queries
unlike those of the training (Wortsman et al. 2022, Robust fine-tuning of zero-shot models)."""
MEASURED = 60
"""Queries of each file that are measured on the way."""


@dataclass(frozen=True, slots=True)
class Row:
    """A query beside a paper."""

    ids: tuple[int, ...]
    second: int
    """Where the paper begins."""
    grade: int
    query: str


def shipped() -> CrossEncoder:
    """The shipped entailment model, its weights as they are in eight bits.

    Its fifth output, which is what is trained, begins as ``answered``.
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
        ids = (*first, *theirs.ids[: LONGEST - len(first) - 1], 102)
        rows.append(Row(ids, len(first), row["grade"], row["id"]))
    return rows


def mixed(rows: Sequence[Row], times: float, rng: random.Random) -> list[Row]:
    """The rows that are trained on, so many times; of less than once, that share of them."""
    kept = [row for row in rows if not row.query.startswith(HELD_OUT)]
    if times < 1:
        return [row for row in kept if rng.random() < times]
    return [row for row in kept for _ in range(int(times))]


def held(rows: Sequence[Row], rng: random.Random) -> list[Row]:
    """The rows of some queries that are not trained on."""
    names = sorted({row.query for row in rows if row.query.startswith(HELD_OUT)})
    rng.shuffle(names)
    return [row for row in rows if row.query in set(names[:MEASURED])]


def relevant(model: CrossEncoder, batch: Sequence[Row]) -> Tensor:
    """Log-odds, shape (batch,)."""
    found: Tensor = model(*tensors(batch))[:, -1]
    return found


def measured(model: CrossEncoder, rows: Sequence[Row]) -> float:
    """AUROC of what belongs (2) against what does not (0)."""
    scores: list[float] = []
    with torch.no_grad():
        for begin in range(0, len(rows), BATCH):
            scores += relevant(model, rows[begin : begin + BATCH]).tolist()
    clear = [at for at, row in enumerate(rows) if row.grade != 1]
    return auroc([scores[at] for at in clear], [rows[at].grade == 2 for at in clear])


def branch(model: CrossEncoder) -> dict[str, Tensor]:
    """What is trained: the layers, the pool and the last output."""
    state = model.state_dict()
    parts = {name: w for name, w in state.items() if name.startswith(("layers.", "pool."))}
    parts |= {f"head.{end}": state[f"head.{end}"][-1:] for end in ("weight", "bias")}
    return {name: value.clone().contiguous() for name, value in parts.items()}


def put(model: CrossEncoder, parts: Mapping[str, Tensor]) -> None:
    """Put what was trained before into the model; layers that it lacks stay as they are."""
    state = model.state_dict()
    for name, value in parts.items():
        target = state[name][-1:] if name.startswith("head.") else state[name]
        target.copy_(value)


def main() -> None:
    """Train and write a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("rows", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--begin", type=Path)
    parser.add_argument("--mix", nargs="+", metavar="FILE=TIMES")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    given = [one.split("=") for one in options.mix or ()]
    mix = {name: float(times) for name, times in given} or MIX
    torch.set_num_threads(options.threads)
    rng = random.Random(SEED)
    model = shipped()
    if options.begin:
        put(model, safetensors.torch.load_file(options.begin))
    pool: list[Row] = []
    watched: dict[str, list[Row]] = {}
    for name, times in mix.items():
        rows = read(options.rows / f"{name}.jsonl")
        pool += mixed(rows, times, rng)
        watched[name] = held(rows, random.Random(SEED))
    begun = branch(model)
    parameters = [
        weight for part in (model.layers, model.pool, model.head) for weight in part.parameters()
    ]
    optimiser = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01)
    steps, started, shown = len(pool) // BATCH, time.monotonic(), time.monotonic()

    def said() -> str:
        return " ".join(f"{name} {measured(model, rows):.4f}" for name, rows in watched.items())

    print(f"{len(pool)} rows, {steps} steps; {said()}", flush=True)
    for step, batch in enumerate(batches(pool, BATCH, rng, AHEAD), 1):
        if step > steps:
            break
        optimiser.param_groups[0]["lr"] = RATE * min(1, step / (0.06 * steps)) * (1 - step / steps)
        wanted = torch.tensor([row.grade / 2 for row in batch])
        loss = functional.binary_cross_entropy_with_logits(
            relevant(model, batch), wanted * (1 - 2 * SMOOTHING) + SMOOTHING
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if time.monotonic() - shown > 480:
            shown = time.monotonic()
            print(f"step {step}, {(shown - started) / 60:.1f} min: {said()}", flush=True)
    print(f"{(time.monotonic() - started) / 60:.1f} min: {said()}")
    put(model, {name: BEGUN * begun[name] + (1 - BEGUN) * w for name, w in branch(model).items()})
    print(f"mean of the begun and the trained weights: {said()}")
    safetensors.torch.save_file(branch(model), options.out)


if __name__ == "__main__":
    main()
