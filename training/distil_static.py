"""Make the static encoder's table: a vector a word piece whose means are what six layers give.

    pip install torch numpy
    python training/distil_static.py read LIBRARY... --leave-out QRELS --out DATA.npz
    python training/distil_static.py train DATA.npz --out src/citewise/models/static

``read`` needs citewise and libraries that its usual encoder has embedded (training/STATIC.md names
them). Their passages and sentences are texts with the vectors wanted; sentences and questions of
``training/written`` and titles are embedded on the way, and each word piece by itself, for the
table to begin with. Papers that a qrels file of ``--leave-out`` names are left out.

``train`` needs PyTorch. It brings the cosine of each passage, sentence and short text with the
wanted vector towards 1, and their cosines with each other towards those of the wanted vectors. The
same data, seed and number of steps give the same batches.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from texts import said

SEED = 20261122
WIDTH, PIECES = 384, 30_522
"""Of the encoder's vectors, and in its vocabulary."""
CLS, SEP = 101, 102
PASSAGES, SHORT, COMPARED = 64, 256, 256
"""Passages and short texts a step, and sentences of them that are compared with each other."""
RATE, WHOLE_RATE = 3e-3, 1e-2
ALIKE = 3.0
"""Weight of the cosines with each other beside those with the wanted vectors."""
COMMON = 200
"""Passages with a word piece from which it begins with less weight."""
HELD_OUT = 100
"""One text in so many is not trained on."""
TITLES = 15_000
SENTENCE = 199
"""Letters of a sentence of ``training/written`` that is read, at most."""

Arrays = dict[str, NDArray[Any]]


# ------------------------------------------------------------------------------------------- data


def passages_of(
    library: Path, most: int, left_out: set[str], rng: random.Random
) -> Iterator[tuple[list[int], NDArray[Any], list[tuple[int, int]], NDArray[Any]]]:
    """Of each passage its ids and vector, and its sentences' places among the ids and vectors."""
    # Here, for an environment with PyTorch need not have citewise.
    from citewise.library.embedding import packaged_encoder  # noqa: PLC0415 - see above
    from citewise.library.indexing import lead_of  # noqa: PLC0415 - see above
    from citewise.library.vectors import VectorIndex  # noqa: PLC0415 - see above

    database = sqlite3.connect(f"file:{library / 'papers.sqlite'}?mode=ro", uri=True)
    rows = database.execute("SELECT id, paper_id, first, last FROM passages ORDER BY id").fetchall()
    rows = [row for row in rows if row[1] not in left_out]
    rng.shuffle(rows)
    rows = rows[:most]
    index = VectorIndex(library / "vectors")
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        got = index._collection().get(ids=[row[0] for row in part], include=["embeddings"])
        wanted = dict(zip(got["ids"], np.asarray(got["embeddings"], np.float32), strict=True))
        marks = ",".join("?" * len(part))
        papers = {
            row[0]: row[1:]
            for row in database.execute(
                "SELECT id, title, abstract, sentences, sentence_vectors FROM papers"
                f" WHERE id IN ({marks})",
                [row[1] for row in part],
            )
        }
        leads = {paper: lead_of(row[0]) for paper, row in papers.items()}
        texts = [leads[paper] + papers[paper][1][first:last] for _, paper, first, last in part]
        pieces = packaged_encoder().pieces(texts)
        for (passage, paper, first, last), (ids, begins) in zip(part, pieces, strict=True):
            _, _, stored, blob = papers[paper]
            spans = json.loads(stored)
            if passage not in wanted or blob is None or len(blob) != WIDTH * len(spans):
                continue
            shift = len(leads[paper]) - first
            inside = [at for at, (low, high) in enumerate(spans) if low >= first and high <= last]
            places = [
                (int(low), int(high))
                for low, high in (
                    np.searchsorted(begins, [spans[at][0] + shift, spans[at][1] + shift])
                    for at in inside
                )
            ]
            vectors = np.frombuffer(blob, np.int8).reshape(-1, WIDTH)[inside]
            kept = [at for at, (low, high) in enumerate(places) if high > low]
            yield (
                ids.tolist(),
                wanted[passage].astype(np.float16),
                [places[at] for at in kept],
                vectors[kept],
            )
    index.close()


def read(libraries: Sequence[Path], left_out: set[str], most: int) -> Arrays:
    """Everything that ``train`` needs; the first library also gives titles."""
    from citewise.library.embedding import packaged_encoder  # noqa: PLC0415 - see passages_of

    rng = random.Random(SEED)
    found = [item for library in libraries for item in passages_of(library, most, left_out, rng)]
    texts = {
        text
        for path in sorted((Path(__file__).parent / "written").glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
        for text in said(json.loads(line), SENTENCE)
    }
    short = sorted(texts)
    database = sqlite3.connect(f"file:{libraries[0] / 'papers.sqlite'}?mode=ro", uri=True)
    titles = [row[0] for row in database.execute("SELECT title FROM papers ORDER BY id") if row[0]]
    short += rng.sample(titles, min(TITLES, len(titles)))
    encoder = packaged_encoder()
    ids = [pieces.tolist() for pieces, _ in encoder.pieces(short)]
    print(f"{len(found)} passages, {len(short)} short texts", flush=True)
    return {
        "ids": np.concatenate([np.array(item[0], np.int32) for item in found]),
        "ends": np.cumsum([0, *(len(item[0]) for item in found)]),
        "vectors": np.array([item[1] for item in found]),
        "sentences": np.array([place for item in found for place in item[2]], np.int16),
        "sentence_ends": np.cumsum([0, *(len(item[2]) for item in found)]),
        "sentence_vectors": np.concatenate([item[3] for item in found]),
        "short_ids": np.concatenate([np.array(one, np.int32) for one in ids]),
        "short_ends": np.cumsum([0, *map(len, ids)]),
        "short_vectors": encoder.embed_queries(short).astype(np.float16),
        "alone": alone(encoder._opened("model.onnx")),
    }


def alone(session: Any) -> NDArray[np.float32]:
    """What the six layers make of each word piece by itself, shape (30522, 384)."""
    found = np.zeros((PIECES, WIDTH), np.float32)
    for start in range(0, PIECES, 256):
        ids = np.array(
            [[CLS, piece, SEP] for piece in range(start, min(start + 256, PIECES))], np.int64
        )
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        found[start : start + len(ids)] = session.run(["token_embeddings"], given)[0].mean(axis=1)
    return found


# --------------------------------------------------------------------------------------- training


def train(data: Arrays, steps: int, threads: int) -> tuple[NDArray[np.float32], float]:
    """The table, and the share of a passage's vector in those of its sentences."""
    # Here, for an environment with citewise need not have PyTorch.
    import torch  # noqa: PLC0415 - see above
    from torch.nn import functional  # noqa: PLC0415 - see above

    torch.manual_seed(SEED)
    torch.set_num_threads(threads)
    rng = np.random.default_rng(SEED)
    passages, short = len(data["ends"]) - 1, len(data["short_ends"]) - 1
    owner = np.repeat(np.arange(passages), np.diff(data["ends"]))
    seen = np.unique(owner.astype(np.int64) * PIECES + data["ids"]) % PIECES
    weight = (1 + np.bincount(seen, minlength=PIECES) / COMMON) ** -0.5
    start = data["alone"] / np.linalg.norm(data["alone"], axis=1, keepdims=True)
    table = torch.nn.Parameter(torch.from_numpy((start * weight[:, None]).astype(np.float32)))
    whole = torch.nn.Parameter(torch.tensor(0.5))
    optimiser = torch.optim.Adam(
        [{"params": [table], "lr": RATE}, {"params": [whole], "lr": WHOLE_RATE}]
    )

    def means(parts: Sequence[NDArray[Any]]) -> Any:
        ends = np.cumsum([0, *map(len, parts)])
        ids = torch.from_numpy(np.concatenate(parts).astype(np.int64))
        summed = functional.embedding_bag(ids, table, torch.from_numpy(ends[:-1]), mode="mean")
        return functional.normalize(summed, dim=1)

    def wanted(rows: NDArray[Any]) -> Any:
        return functional.normalize(torch.from_numpy(rows.astype(np.float32)), dim=1)

    def pairs(picked: NDArray[Any], texts: NDArray[Any]) -> tuple[tuple[Any, Any], ...]:
        """Passages, sentences and short texts: what is given and what is wanted."""
        ends, sentence_ends = data["ends"], data["sentence_ends"]
        ours = means([data["ids"][ends[at] : ends[at + 1]] for at in picked])
        rows = [range(sentence_ends[at], sentence_ends[at + 1]) for at in picked]
        parts = [
            data["ids"][ends[at] + data["sentences"][n][0] : ends[at] + data["sentences"][n][1]]
            for at, inside in zip(picked, rows, strict=True)
            for n in inside
        ]
        of = np.repeat(np.arange(len(picked)), [len(inside) for inside in rows])
        sentences = functional.normalize(means(parts) + whole * ours[of], dim=1)
        every = np.concatenate([np.array(inside, np.int64) for inside in rows])
        short_ends = data["short_ends"]
        asked = means([data["short_ids"][short_ends[at] : short_ends[at + 1]] for at in texts])
        return (
            (ours, wanted(data["vectors"][picked])),
            (sentences, wanted(data["sentence_vectors"][every])),
            (asked, wanted(data["short_vectors"][texts])),
        )

    def cosines(found: tuple[tuple[Any, Any], ...]) -> list[Any]:
        return [(a * b).sum(1).mean() for a, b in found]

    held = np.arange(0, passages, HELD_OUT)[:300], np.arange(0, short, HELD_OUT)[:400]
    pools = [np.array([n for n in range(count) if n % HELD_OUT]) for count in (passages, short)]
    shown = 0.0
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / steps)
        found = pairs(
            rng.choice(pools[0], PASSAGES, replace=False),
            rng.choice(pools[1], SHORT, replace=False),
        )
        given, want = (
            torch.cat([found[0][side], found[1][side][:COMPARED], found[2][side]])
            for side in (0, 1)
        )
        alike = ((given @ given.T - want @ want.T) ** 2).mean()
        loss = 3.0 - sum(cosines(found)) + ALIKE * alike
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if time.monotonic() - shown > 30 or step == steps - 1:
            shown = time.monotonic()
            with torch.no_grad():
                said = ", ".join(f"{float(value):.4f}" for value in cosines(pairs(*held)))
            print(
                f"step {step + 1}: held out, passages, sentences, short texts: {said}", flush=True
            )
    return table.detach().numpy(), float(whole.detach())


def write(table: NDArray[np.float32], whole: float, folder: Path) -> None:
    """The table in eight bits with a scale a row, and its checksum."""
    scales = (np.maximum(np.abs(table).max(axis=1), 1e-9) / 127).astype(np.float32)
    rows = np.rint(table / scales[:, None]).astype(np.int8)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "table.npz"
    np.savez(file, rows=rows, scales=scales, whole=np.float32(whole))
    sums = {"files": {file.name: hashlib.sha256(file.read_bytes()).hexdigest()}}
    (folder / "checksums.json").write_text(json.dumps(sums, indent=1) + "\n", encoding="utf-8")
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, {sums['files'][file.name]}")


def main() -> None:
    """Read or train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    steps = parser.add_subparsers(dest="step", required=True)
    reading = steps.add_parser("read")
    reading.add_argument("libraries", type=Path, nargs="+")
    reading.add_argument("--leave-out", type=Path, help="qrels whose papers are left out")
    reading.add_argument("--most", type=int, default=60_000, help="passages of a library")
    reading.add_argument("--out", type=Path, required=True)
    training = steps.add_parser("train")
    training.add_argument("data", type=Path)
    training.add_argument("--steps", type=int, default=4_000)
    training.add_argument("--threads", type=int, default=2)
    training.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.step == "read":
        judged: set[str] = set()
        if options.leave_out:
            lines = options.leave_out.read_text("utf-8").splitlines()[1:]
            judged = {line.split("\t")[1] for line in lines}
        arrays: Any = read(options.libraries, judged, options.most)
        np.savez(options.out, **arrays)
    else:
        with np.load(options.data) as data:
            arrays = {name: data[name] for name in data.files}
        write(*train(arrays, options.steps, options.threads), options.out)


if __name__ == "__main__":
    main()
