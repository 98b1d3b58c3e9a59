"""The texts that the question reader is trained with, and what the encoder makes of them.

    python training/query_texts.py texts DATA --leave-out DATA/scifact/qrels.tsv --out TEXTS.npz
    python training/query_texts.py questions DATA --leave-out QRELS --out QUESTIONS.npz

``DATA`` holds ``arxiv/``, ``scifact/`` and ``pubmedqa/``. ``texts`` draws sentences, titles and
pieces of sentences of their abstracts, takes the sentences and questions of ``training/written``,
and embeds each by itself with the six layers. No question, claim or judgement of these sets is
read; of SciFact, abstracts that a qrels file of ``--leave-out`` names are left out.

``questions`` puts titles and pieces of sentences into the forms in which people ask, and adds some
of those texts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from names import KEPT_BACK
from numpy.typing import NDArray
from texts import said

from citewise.library.embedding import packaged_encoder
from citewise.library.passages import sentence_spans

SEED = 20261122
CLS, SEP = 101, 102
SHORTEST, LONGEST = 4, 64
"""Tokens of a text, special ones included: other questions are read by the six layers."""
SENTENCE = 249
"""Letters of a sentence of ``training/written`` that is read, at most."""
PIECES = 40_000
"""Of such texts those that ``questions`` makes of, and as many that it takes as they are."""
ARXIV = 40_000
"""Abstracts of the arXiv set that are drawn; three sentences of each, every second one's title."""
ASKED = 110_000
"""Questions that are made of titles and of pieces of sentences."""
FORMS = (
    "what is {a}?",
    "what is {a} and how does it work?",
    "how does {a} work?",
    "how is {a} done?",
    "how can {a} be made cheaper?",
    "how can {a} be improved?",
    "how do {a} and {b} differ?",
    "how much does {a} help {b}?",
    "how many {a} does it use?",
    "how fast is {a}?",
    "how well does {a} do on {b}?",
    "by how much does {a} improve {b}?",
    "why does {a} fail?",
    "why is {a} needed for {b}?",
    "does {a} improve {b}?",
    "does {a} need {b}?",
    "is {a} better than {b}?",
    "is there any work on {a}?",
    "are there papers about {a} without {b}?",
    "can {a} be used for {b}?",
    "which papers are about {a}?",
    "which papers propose {a} for {b}?",
    "which methods exist for {a}?",
    "which methods need no {b} for {a}?",
    "which paper introduces {a}?",
    "which is more accurate, {a} or {b}?",
    "what do papers say about {a}?",
    "what accuracy does {a} reach on {b}?",
    "what share of {a} is {b}?",
    "what speedup does {a} report?",
    "what causes {a}?",
    "what problems does {a} have?",
    "what makes {a} hard, and how do {b} and {c} help?",
    "how is {a} related to {b}, and what follows for {c}?",
    "what are the effects of {a} on {b}?",
    "what are the risks of {a}?",
    "what dataset was used to test {a}?",
    "who uses {a} for {b}?",
    "when should one use {a} instead of {b}?",
    "give an overview of {a}",
    "give an overview of {a}: how is it used for {b}?",
    "list papers on {a}",
    "compare {a} with {b}",
    "compare {a}, {b} and {c}",
    "tell me about {a}",
    "papers on {a} with {b}",
    "{a} or {b}: which is better for {c}?",
    "{a} in {b}",
    "{a} vs {b}",
    "{a} {b}",
    "{a}",
)
"""In which people ask; ``a``, ``b`` and ``c`` are matters of papers drawn at random."""

Arrays = dict[str, NDArray[Any]]


def abstracts(data: Path, left_out: set[str], rng: random.Random) -> Iterator[tuple[str, str, int]]:
    """Title, text and how many of its sentences are wanted."""
    with gzip.open(data / "arxiv" / "papers-112k.jsonl.gz", "rt", encoding="utf-8") as lines:
        every = [json.loads(line) for line in lines]
    for at, record in enumerate(rng.sample(every, min(ARXIV, len(every)))):
        yield record["title"] if at % 2 else "", record["text"], 3
    with (data / "scifact" / "corpus.jsonl").open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            if str(record["_id"]) not in left_out:
                yield record["title"], record["text"], 12
    with (data / "pubmedqa" / "pqal.jsonl").open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            yield "", " ".join(record["contexts"]), 12


def short_texts(data: Path, left_out: set[str]) -> list[str]:
    """What the student reads, in no order, each once."""
    rng = random.Random(SEED)
    found: set[str] = set()
    for title, text, wanted in abstracts(data, left_out, rng):
        spans = sentence_spans(text)
        picked = [text[start:end] for start, end in rng.sample(spans, min(wanted, len(spans)))]
        for sentence in picked:
            words = sentence.split()
            if rng.random() < 0.3 and len(words) > 6:
                # As people ask: a few words, not a sentence.
                long = rng.randint(3, min(14, len(words)))
                start = rng.randint(0, len(words) - long)
                sentence = " ".join(words[start : start + long]).strip(".,;:()")
            found.add(sentence)
        if title:
            found.add(title)
    for path in sorted((Path(__file__).parent / "written").glob("*.jsonl")):
        lines = path.read_text("utf-8").splitlines()
        for line in lines[: KEPT_BACK.get(path.stem)]:
            found.update(said(json.loads(line), SENTENCE))
    texts = sorted(text for text in found if len(text) > 3)
    rng.shuffle(texts)
    return texts


def questions(data: Path, left_out: set[str]) -> list[str]:
    """Matters of titles and sentences in the forms in which people ask, and some short texts."""
    rng = random.Random(SEED + 1)
    with gzip.open(data / "arxiv" / "papers-112k.jsonl.gz", "rt", encoding="utf-8") as lines:
        titles = [json.loads(line)["title"] for line in lines]
    matters: list[str] = []
    for title in titles:
        for part in re.split(r":\s+|\?\s*", title):
            words = part.split()
            if 1 <= len(words) <= 12:
                # Names keep their capitals.
                matters.append(" ".join(w if w[1:] != w[1:].lower() else w.lower() for w in words))
    short = short_texts(data, left_out)
    for text in rng.sample(short, min(PIECES, len(short))):
        words = text.rstrip(".").split()
        long = rng.randint(2, 7)
        start = rng.randint(0, max(0, len(words) - long))
        matters.append(" ".join(words[start : start + long]).strip(".,;:()"))
    found = set(rng.sample(short, min(PIECES, len(short))))
    matters = [matter for matter in matters if matter]
    for _ in range(ASKED):
        a, b, c = (rng.choice(matters) for _ in range(3))
        text = rng.choice(FORMS).format(a=a, b=b, c=c)
        found.add(text[0].upper() + text[1:] if rng.random() < 0.8 else text)
    texts = sorted(found)
    rng.shuffle(texts)
    return texts


def embedded(texts: Sequence[str]) -> Arrays:
    """Short texts as token ids, and their vectors."""
    encoder = packaged_encoder()
    ids = [
        [CLS, *pieces.tolist(), SEP]
        for begin in range(0, len(texts), 4096)
        for pieces, _ in encoder.pieces(texts[begin : begin + 4096])
    ]
    kept = [at for at, one in enumerate(ids) if SHORTEST <= len(one) <= LONGEST]
    print(f"{len(kept)} texts, {sum(len(ids[at]) for at in kept):,} tokens", flush=True)
    return {
        "ids": np.concatenate([np.array(ids[at], np.int32) for at in kept]),
        "ends": np.cumsum([0, *(len(ids[at]) for at in kept)]),
        "vectors": encoder.embed_queries([texts[at] for at in kept]).astype(np.float16),
    }


def judged_in(qrels: Path) -> set[str]:
    """The papers that a qrels file names."""
    return {line.split("\t")[1] for line in qrels.read_text("utf-8").splitlines()[1:]}


def main() -> None:
    """Write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("texts", "questions"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--leave-out", type=Path, help="qrels whose SciFact abstracts are left out")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    left_out = judged_in(options.leave_out) if options.leave_out else set()
    made = short_texts if options.what == "texts" else questions
    arrays: Any = embedded(made(options.data, left_out))
    np.savez(options.out, **arrays)


if __name__ == "__main__":
    main()
