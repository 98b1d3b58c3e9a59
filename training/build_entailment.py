"""Builds the entailment model that citewise ships, from a checkpoint of train_entailment.py.

    pip install onnx safetensors numpy onnxruntime tokenizers
    python training/build_entailment.py CHECKPOINT.safetensors... [--measure PAIRS.jsonl]
    python training/build_entailment.py --unpack CHECKPOINT.safetensors

Of several checkpoints the mean is built (Wortsman et al. 2022, arXiv:2203.05482); one that is named
twice counts twice.

The graph is written node by node with ``onnx``, in eight bits as the sentence encoder is; the
tokenizer is the encoder's own. The same checkpoint gives the same bytes. ``--measure`` builds the
graph in full precision as well and prints how far the two agree on held-out rows. ``--unpack``
writes what is shipped as a checkpoint to go on from, in the eight bits that it has.

The graph lacks the relevance branch that lists and overviews need: train_relevance.py and
build_relevance.py go on from it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import safetensors.numpy
from build_encoder import LAYERS, ROOT, Array, Graph, Kind, layer_names, layers, norm
from onnx import TensorProto, helper, numpy_helper

from citewise.grounding.entailment import EntailmentModel

OUTPUTS = 4
"""Those that are built; a later one, of the sentence encoder's cosine, helps in training alone."""
OUT = ROOT / "src" / "citewise" / "models" / "entailment"


def published_names(state: Mapping[str, Array]) -> dict[str, Array]:
    """The checkpoint's weights under the names that the published model uses."""
    named = layer_names(state) | {
        "embeddings.word_embeddings.weight": state["words.weight"],
        "embeddings.position_embeddings.weight": state["places.weight"],
        "embeddings.token_type_embeddings.weight": state["types.weight"],
    }
    for end in ("weight", "bias"):
        named[f"pool.{end}"] = state[f"pool.{end}"]
        named[f"head.{end}"] = state[f"head.{end}"]
    return named


def mean_of(checkpoints: Sequence[Path]) -> dict[str, Array]:
    """The mean of the checkpoints' weights, under their names there."""
    states = [safetensors.numpy.load_file(path) for path in checkpoints]
    share = np.float32(1 / len(states))
    for state in states:
        # Checkpoints from before the seventh stage have no output but these.
        state.update({name: state[name][:OUTPUTS] for name in state if name.startswith("head.")})
    return {name: np.sum([s[name] * share for s in states], axis=0) for name in states[0]}


def build(weights: Mapping[str, Array], kind: Kind) -> bytes:
    """The cross-encoder as a serialised ONNX model.

    Inputs ``input_ids``, ``token_type_ids`` and ``attention_mask``, int64 (batch, tokens); output
    ``logits``, float32 (batch, 4).
    """
    graph = Graph(kind)
    word = graph.rows("words", weights["embeddings.word_embeddings.weight"], "input_ids")
    length = graph.node("Shape", ["input_ids"], start=1, end=2)
    places = graph.constant("places", weights["embeddings.position_embeddings.weight"])
    place = graph.node("Slice", [places, graph.constant("zero", np.zeros(1, np.int64)), length])
    types = graph.constant("types", weights["embeddings.token_type_embeddings.weight"])
    typed = graph.node("Add", [graph.node("Gather", [types, "token_type_ids"]), place])
    hidden = norm(graph, weights, graph.node("Add", [word, typed]), "embeddings.LayerNorm")
    mask = graph.node("Cast", ["attention_mask"], to=TensorProto.INT32)
    hidden = layers(graph, weights, hidden, mask, out="", first_only=True)
    first = graph.node("Squeeze", [hidden, graph.constant("second", np.ones(1, np.int64))])
    for name, out in (("pool", ""), ("head", "logits")):
        # Two small layers in full precision: they cost nothing and decide everything.
        first = graph.node(
            "Gemm",
            [
                first,
                graph.constant(f"{name}.weight", weights[f"{name}.weight"]),
                graph.constant(f"{name}.bias", weights[f"{name}.bias"]),
            ],
            out=out,
            transB=1,
        )
        if name == "pool":
            first = graph.node("Tanh", [first])
    shape = ["batch", "tokens"]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "citewise-entailment",
            [
                helper.make_tensor_value_info(name, TensorProto.INT64, shape)
                for name in ("input_ids", "token_type_ids", "attention_mask")
            ],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", OUTPUTS])],
            graph.weights,
        ),
        producer_name="citewise training/build_entailment.py",
        ir_version=9,
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)],
    )
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def unpacked(model: onnx.ModelProto) -> dict[str, Array]:
    """A built model's weights under the names of a checkpoint."""
    held = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}

    def linear(name: str) -> Array:
        found: Array = (held[f"{name}.q"].astype(np.float32) * held[f"{name}.scale"]).T
        return found

    state = {
        "words.weight": held["words.q"].astype(np.float32) * held["words.scale"],
        "places.weight": held["places"],
        "types.weight": held["types"],
        "norm.weight": held["embeddings.LayerNorm.gamma"],
        "norm.bias": held["embeddings.LayerNorm.beta"],
    }
    for layer in range(LAYERS):
        ours, at = f"layers.{layer}.", f"encoder.layer.{layer}."
        for name, norm_of, bias in (
            ("qkv", "", "qkv.bias"),
            ("out", "attention.output", "attention.output.dense.bias"),
            ("up", "", "up.bias"),
            ("down", "output", "output.dense.bias"),
        ):
            state[f"{ours}{name}.weight"] = linear(f"{at}{name}")
            state[f"{ours}{name}.bias"] = held[f"{at}{bias}"]
            if norm_of:
                state[f"{ours}{name}_norm.weight"] = held[f"{at}{norm_of}.LayerNorm.gamma"]
                state[f"{ours}{name}_norm.bias"] = held[f"{at}{norm_of}.LayerNorm.beta"]
    for name in ("pool.weight", "pool.bias", "head.weight", "head.bias"):
        state[name] = held[name]
    return {name: np.ascontiguousarray(value) for name, value in state.items()}


def measure(exact: bytes, small: bytes, rows: Path) -> None:
    """Prints how far the eight-bit model's probabilities are from full precision."""
    kept = [json.loads(line) for line in rows.open(encoding="utf-8")]
    pairs = [(str(r["text"]), str(r["evidence"])) for r in kept if r["held_out"]][:400]
    found = []
    for model in (exact, small):
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        judge = EntailmentModel(session=session)
        found.append(
            np.array([[r.supported, r.contradicted, r.answered] for r in judge.read(pairs)])
        )
    away = np.abs(found[0] - found[1])
    print(
        f"{len(pairs)} pairs: probabilities differ by {away.mean():.4f}, at most {away.max():.3f}"
    )


def main() -> None:
    """Builds and writes the model, or measures it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("checkpoints", type=Path, nargs="*")
    parser.add_argument("--unpack", type=Path, metavar="FILE", help="write the shipped model so")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--measure", type=Path, metavar="PAIRS")
    options = parser.parse_args()
    if options.unpack:
        safetensors.numpy.save_file(unpacked(onnx.load(OUT / "model.onnx")), options.unpack)
        return
    if not options.checkpoints:
        parser.error("a checkpoint, or --unpack")
    weights = published_names(mean_of(options.checkpoints))
    content = build(weights, "tokens")
    if options.measure:
        measure(build(weights, "fp32"), content, options.measure)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "model.onnx").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    sources = [hashlib.sha256(path.read_bytes()).hexdigest() for path in options.checkpoints]
    sums = {"weights": sources, "files": {"model.onnx": digest}}
    (options.out / "checksums.json").write_text(json.dumps(sums, indent=2) + "\n", "utf-8")
    print(f"model.onnx: {len(content):,} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
