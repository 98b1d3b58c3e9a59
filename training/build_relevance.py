"""Builds the relevance branch of the entailment model that citewise ships.

    pip install onnx safetensors numpy onnxruntime tokenizers
    python training/build_relevance.py CHECKPOINT.safetensors

``CHECKPOINT`` is one of train_relevance.py: layers that begin, as those of the entailment model,
with its word embeddings, and a head of one output, ``relevant``. Those embeddings go into the
branch's file too, and the entailment model stays as it is: onnxruntime computes every output of a
graph, asked for or not. The same checkpoint gives the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx.utils
import safetensors.numpy
from build_encoder import ROOT, Array, Graph, layer_names, layers
from onnx import TensorProto, helper

PREFIX = "relevance"
FOLDER = ROOT / "src" / "citewise" / "models" / "entailment"


def embeddings_of(nodes: Sequence[Any]) -> str:
    """The name of what goes into the first layer of the entailment model."""
    made = {output: node for node in nodes for output in node.output}
    product = next(node for node in nodes if "encoder.layer.0.qkv.q" in node.input)
    # Backwards over the rounding to eight bits: QuantizeLinear of a Mul of the value and a factor.
    return str(made[made[product.input[0]].input[0]].input[0])


def grafted(model: onnx.ModelProto, state: Mapping[str, Array]) -> bytes:
    """The embeddings of the model with the branch: ``relevant``, float32 (batch, 1), log-odds."""
    graph = Graph("tokens", list(model.graph.node), list(model.graph.initializer))
    hidden = layers(
        graph,
        layer_names(state, prefix=PREFIX),
        embeddings_of(graph.nodes),
        next(node.output[0] for node in graph.nodes if "attention_mask" in node.input),
        out="",
        first_only=True,
        prefix=PREFIX,
    )
    first = graph.node("Squeeze", [hidden, "second"])
    for name, out in (("pool", ""), ("head", "relevant")):
        ends = [
            graph.constant(f"{PREFIX}.{name}.{end}", state[f"{name}.{end}"])
            for end in ("weight", "bias")
        ]
        first = graph.node("Gemm", [first, *ends], out=out, transB=1)
        if name == "pool":
            first = graph.node("Tanh", [first])
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            model.graph.name,
            list(model.graph.input),
            [
                model.graph.output[0],
                helper.make_tensor_value_info(first, TensorProto.FLOAT, ["batch", 1]),
            ],
            graph.weights,
        ),
        producer_name=model.producer_name,
        ir_version=model.ir_version,
        opset_imports=list(model.opset_import),
    )
    inputs = [one.name for one in model.graph.input]
    alone = onnx.utils.Extractor(made).extract_model(inputs, [first])
    onnx.checker.check_model(alone)
    content: bytes = alone.SerializeToString(deterministic=True)
    return content


def main() -> None:
    """Writes the branch and its checksums."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="of the entailment model")
    options = parser.parse_args()
    content = grafted(
        onnx.load(options.folder / "model.onnx"), safetensors.numpy.load_file(options.checkpoint)
    )
    (options.folder / "relevance.onnx").write_bytes(content)
    sums = json.loads((options.folder / "checksums.json").read_text("utf-8"))
    sums["relevance"] = hashlib.sha256(options.checkpoint.read_bytes()).hexdigest()
    sums["files"]["relevance.onnx"] = hashlib.sha256(content).hexdigest()
    (options.folder / "checksums.json").write_text(json.dumps(sums, indent=2) + "\n", "utf-8")
    print(f"relevance.onnx: {len(content):,} bytes, sha256 {sums['files']['relevance.onnx']}")


if __name__ == "__main__":
    main()
