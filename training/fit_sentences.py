"""Teaches the relevance branch which sentence of a paper answers a question, and measures it.

    python training/fit_sentences.py --data DIR --fit       a second head, into relevance.onnx
    python training/fit_sentences.py --data DIR --report    the tables of SENTENCES.md

``DIR`` holds ``scifact/``, ``pubmedqa/`` and ``arxiv/papers-112k.jsonl.gz``. The head reads what
the branch's own reads (384 numbers) and gives ``answering``, its log-odds and a correction, so that
no layer is trained and no list is judged otherwise. Run it after build_relevance.py, which writes
the branch without it. Nothing but numpy and onnx is needed; the same labels give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from build_relevance import FOLDER
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from pairs import WRITTEN, abstracts_of

from citewise import Library
from citewise.answering import evidence
from citewise.answering.kinds import kind_of
from citewise.grounding.entailment import EntailmentModel, answer_pairs
from citewise.library.orders import paper_sentences
from citewise.models.loading import open_session
from citewise.types import Hit, Paper, Question, Span

Floats = NDArray[np.float64]

HEAD, OUT = "relevance.answering", "answering"
RIDGE = 0.3
STEPS, RATE = 300, 0.02
ROUNDS = 400
SEED = 20261123


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the paper that answers it and which of its sentences do."""

    question: str
    paper: str
    title: str
    abstract: str
    sentences: tuple[str, ...]
    best: int
    """Place of the sentence that one would show alone."""
    answering: frozenset[int]
    """Places of all that answer, the best one too."""
    kept: bool
    """Whether it measures and teaches nothing."""


def labelled(data: Path) -> list[Asked]:
    """The questions of written/answering.jsonl whose abstract has a sentence that answers."""
    lines = (WRITTEN / "answering.jsonl").read_text("utf-8").splitlines()
    items = [json.loads(line) for line in lines]
    found = abstracts_of(data, items)
    made = []
    for item in items:
        title, text = found[item["id"]]
        sentences = tuple(text[start:end] for start, end in paper_sentences(text))
        for question, places in zip(item["q"], item["a"], strict=True):
            assert all(0 < place <= len(sentences) for place in places), item["id"]
            if places:
                held = frozenset(place - 1 for place in places)
                kept = item.get("kept", False)
                made.append(
                    Asked(question, item["id"], title, text, sentences, places[0] - 1, held, kept)
                )
    return made


def pooled(asked: Sequence[Asked]) -> list[Floats]:
    """What the branch's head reads of each sentence beside its question: n by 384 each."""
    model = onnx.load(FOLDER / "relevance.onnx")
    tanh = next(node for node in model.graph.node if node.op_type == "Tanh").output[0]
    model.graph.output.append(helper.make_tensor_value_info(tanh, TensorProto.FLOAT, None))
    reader = EntailmentModel(session=open_session(model.SerializeToString()))
    pairs = [pair for one in asked for pair in answer_pairs(one.question, titled(one))]
    rows: Floats = np.array(reader.outputs("relevance.onnx", tanh, pairs), np.float64)
    ends = np.cumsum([len(one.sentences) for one in asked])
    return np.split(rows, ends[:-1])


def titled(asked: Asked) -> list[tuple[str, str]]:
    """The sentences of its paper, each with the title."""
    return [(asked.title, sentence) for sentence in asked.sentences]


def parts_of(model: onnx.ModelProto) -> dict[str, Floats]:
    """The weights of a graph."""
    return {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}


def fitted(asked: Sequence[Asked], rows: Sequence[Floats], head: Floats) -> Floats:
    """The weights of the second head: the first one's and a correction.

    Of each question the cross-entropy between the softmax over its paper's sentences and those that
    answer, in equal shares; a ridge on the correction, for columns of variance 1.
    """
    spread = np.concatenate(rows).std(axis=0) + 1e-3
    inputs = [row / spread for row in rows]
    begun = [row @ head for row in rows]
    wanted = [
        np.array([at in one.answering for at in range(len(row))]) / len(one.answering)
        for one, row in zip(asked, rows, strict=True)
    ]
    weights = np.zeros(len(head))
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        gradient = RIDGE * weights
        for x, start, y in zip(inputs, begun, wanted, strict=True):
            odds = x @ weights + start
            share = np.exp(odds - odds.max())
            gradient = gradient + x.T @ (share / share.sum() - y) / len(inputs)
        # Adam (Kingma and Ba 2015).
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.99 * square + 0.01 * gradient**2
        weights = weights - RATE * (mean / (1 - 0.9**step)) / (
            np.sqrt(square / (1 - 0.99**step)) + 1e-8
        )
    taught: Floats = head + weights / spread
    return taught


def with_head(model: onnx.ModelProto, weights: Floats) -> bytes:
    """The branch with ``answering``, float32 (batch, 1), beside ``relevant``."""
    graph = model.graph
    tanh = next(node for node in graph.node if node.op_type == "Tanh").output[0]
    for kept, fields in ((graph.node, "output"), (graph.output, "name")):
        old = [one for one in kept if OUT in getattr(one, fields)]
        for one in old:
            kept.remove(one)
    for one in [one for one in graph.initializer if one.name.startswith(HEAD)]:
        graph.initializer.remove(one)
    bias = parts_of(model)["relevance.head.bias"]
    for end, value in (("weight", weights[None].astype(np.float32)), ("bias", bias)):
        graph.initializer.append(numpy_helper.from_array(value, f"{HEAD}.{end}"))
    ends = [f"{HEAD}.{end}" for end in ("weight", "bias")]
    graph.node.append(helper.make_node("Gemm", [tanh, *ends], [OUT], OUT, transB=1))
    graph.output.append(helper.make_tensor_value_info(OUT, TensorProto.FLOAT, ["batch", 1]))
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def write(content: bytes) -> None:
    """Put the branch and its checksum in their places."""
    (FOLDER / "relevance.onnx").write_bytes(content)
    sums = json.loads((FOLDER / "checksums.json").read_text("utf-8"))
    sums["files"]["relevance.onnx"] = hashlib.sha256(content).hexdigest()
    (FOLDER / "checksums.json").write_text(json.dumps(sums, indent=2) + "\n", "utf-8")
    print(f"relevance.onnx: {len(content):,} bytes, sha256 {sums['files']['relevance.onnx']}")


def ordered(asked: Sequence[Asked], folder: Path) -> list[list[int]]:
    """Places of the sentences of each question's paper, as citewise would tell them, best first."""
    papers = {
        one.paper: Paper(
            id=one.paper, title=one.title or one.paper, abstract=" ".join(one.sentences)
        )
        for one in asked
    }
    orders = []
    with Library.open(folder / "shelf") as library:
        library.add(papers.values())
        for one in asked:
            question = Question(one.question, one.question, kind_of(one.question))
            hit = Hit(1, papers[one.paper], 1.0, Span.of(one.abstract, 0, len(one.abstract)))
            found = evidence.select_evidence(question, [hit], library, most=40, most_per_paper=40)
            orders.append([item.ordinal for item in found.evidence])
    return orders


def measured(asked: Sequence[Asked], orders: Sequence[Sequence[int]]) -> str:
    """A row of the table: how often the first sentence answers, and is the best; with intervals."""
    firsts = np.array([order[0] in one.answering for one, order in zip(asked, orders, strict=True)])
    best = np.array([order[0] == one.best for one, order in zip(asked, orders, strict=True)])
    inverse = np.array(
        [
            1 / (1 + next(at for at, place in enumerate(order) if place in one.answering))
            for one, order in zip(asked, orders, strict=True)
        ]
    )
    rng = np.random.default_rng(SEED)
    drawn = [firsts[rng.integers(0, len(firsts), len(firsts))].mean() for _ in range(ROUNDS)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return f"{firsts.mean():.3f} [{low:.3f}, {high:.3f}] | {best.mean():.3f} | {inverse.mean():.3f}"


def main() -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--report", action="store_true")
    options = parser.parse_args()
    asked = labelled(options.data)
    if options.fit:
        model = onnx.load(FOLDER / "relevance.onnx")
        taught = [one for one in asked if not one.kept]
        head = parts_of(model)["relevance.head.weight"][0]
        write(with_head(model, fitted(taught, pooled(taught), head)))
    if options.report:
        print("| questions | n | read | first answers | first is the best | MRR |")
        print("|---|---|---|---|---|---|")
        shipped = evidence.READ_SENTENCES
        for read in (0, shipped):
            evidence.READ_SENTENCES = read
            with tempfile.TemporaryDirectory() as folder:
                orders = ordered(asked, Path(folder))
            for name, kept in (("taught", False), ("kept", True)):
                picked = [at for at, one in enumerate(asked) if one.kept is kept]
                row = measured([asked[at] for at in picked], [orders[at] for at in picked])
                print(f"| {name} | {len(picked)} | {read} | {row} |", flush=True)


if __name__ == "__main__":
    main()
