"""What a small cross-encoder makes of a text beside the words it cites.

Three things: whether words support or contradict a claim, whether they answer a question, and, by
a branch of its own, whether a paper belongs among those that a question asks for. How they were
made is in ``training/ENTAILMENT.md`` and ``training/RELEVANCE.md``.
"""

from __future__ import annotations

import heapq
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from citewise.grounding.overlap import background, read
from citewise.models.loading import ModelFolder, in_passes, open_session, open_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_JUDGES, _RELEVANCE = "model.onnx", "relevance.onnx"
"""Two files, though the second goes on from the first's word embeddings: onnxruntime computes every
output of a graph, asked for or not."""
_CLS, _SEP = 101, 102
"""Their numbers in the model's vocabulary."""
_LONGEST, _LONGEST_TEXT = 256, 96
"""Tokens of a pair and of its first text, as in training; what is longer is cut at its end."""
_BATCH_TOKENS = 512
"""Tokens in one forward pass."""
_CANDIDATES = 64
"""Sentences of long evidence that are looked at twice."""
_LONGEST_PART = 100_000
"""Characters of one text that are looked through for sentences near a claim."""
_SURROGATES = re.compile("[\ud800-\udfff]")
NEAREST_CHARACTERS = 800
"""About 160 tokens: longer evidence is cut down to its nearest sentences, as in training."""
MATTER_CHARACTERS = 400
"""The same where it is asked what a paper is about, as in that training."""


def nearest_sentences(text: str, evidence: Sequence[str], limit: int = NEAREST_CHARACTERS) -> str:
    """The sentences of ``evidence`` that share most with ``text``, in their order, as one text.

    Shared content words count by their rarity, once each; a sentence whose words the chosen ones
    hold already counts less. At least one sentence, then as many as fit in ``limit`` characters.
    """
    sentences = [s for part in evidence for s in read(part[:_LONGEST_PART]) if s.text]
    if sum(len(sentence.text) + 1 for sentence in sentences) <= limit:
        return " ".join(sentence.text for sentence in sentences)
    weight = background().weight
    wanted = {term.stem: weight(term.stem) for s in read(text) for term in s.terms}
    held = [{t.stem for t in sentence.terms} & wanted.keys() for sentence in sentences]
    whole = [sum(wanted[stem] for stem in stems) for stems in held]
    # A megabyte has too many sentences to weigh each anew after every choice.
    left = heapq.nlargest(_CANDIDATES, range(len(sentences)), key=lambda at: (whole[at], -at))
    chosen: list[int] = []
    missing = dict(wanted)
    room = limit
    while left:
        best = max(
            left,
            key=lambda place: (
                sum(missing[stem] for stem in held[place]) + 0.3 * whole[place],
                -place,
            ),
        )
        left.remove(best)
        room -= len(sentences[best].text) + 1
        if chosen and room < 0:
            break
        chosen.append(best)
        for stem in held[best]:
            missing[stem] = 0.0
    return " ".join(sentences[place].text for place in sorted(chosen))


_SPELLED = {
    "fps": "frames per second", "FPS": "frames per second", "ms": "milliseconds",
    "us": "microseconds", "µs": "microseconds",
    "s": "seconds", "min": "minutes", "h": "hours", "hrs": "hours", "x": "times", "KB": "kilobytes",
    "MB": "megabytes", "GB": "gigabytes", "TB": "terabytes", "GiB": "gibibytes", "W": "watts",
    "mW": "milliwatts", "kW": "kilowatts", "J": "joules", "mJ": "millijoules", "k": "thousand",
    "K": "thousand", "M": "million", "B": "billion", "T": "trillion", "kg": "kilograms",
    "mg": "milligrams", "g": "grams", "km": "kilometres", "cm": "centimetres", "mm": "millimetres",
}  # fmt: skip
_FIGURE = re.compile(
    r"(?<![\w-])((?!(?:19|20)\d\ds)\d[\d.,]*)[ -]?("
    + "|".join(sorted(_SPELLED, key=len, reverse=True))
    + r")(?![\w-])"
)


def spelled_out(text: str) -> str:
    """``text`` with the units of its figures in full: '8ms' is '8 milliseconds'.

    The model has few abbreviated units in its vocabulary, and those who ask write them in full.
    """
    return _FIGURE.sub(lambda m: f"{m[1]} {_SPELLED[m[2]]}", text)


def passage_for(question: str, title: str, abstract: str, limit: int = NEAREST_CHARACTERS) -> str:
    """What the model reads of a paper beside a question: its title and nearest sentences.

    ``limit``: characters of these sentences; ``MATTER_CHARACTERS`` beside a question for papers.
    """
    nearest = nearest_sentences(spelled_out(question), [spelled_out(abstract)], limit)
    return f"{title.rstrip('. ')}. {nearest}" if title.strip() else nearest


def answer_pairs(question: str, sentences: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the model reads of a question beside title and sentence of papers, in training too."""
    asked = spelled_out(question)
    return [(asked, passage_for(asked, *titled)) for titled in sentences]


@dataclass(frozen=True, slots=True)
class Entailment:
    """What the model says of a text beside evidence; probabilities, 0 to 1."""

    supported: float
    """That the evidence supports the text, taken as a claim."""
    contradicted: float
    """That the evidence contradicts it; what is left of 1 is 'not stated'."""
    answered: float
    """That the evidence answers the text, taken as a question."""


class EntailmentModel:
    """The cross-encoders in the package, on the CPU. Safe to use from several threads.

    Loaded at its first use. Raises ModelFileError when its files are missing or not the ones that
    citewise ships.
    """

    def __init__(self, *, session: Any = None) -> None:
        """``session``: an onnxruntime session to use instead of the packaged model."""
        self._given = session
        self._lock = threading.Lock()
        self._sessions: dict[str, Any] = {}
        self._words: Tokenizer | None = None

    def load(self) -> None:
        """Load models and tokenizer now, so that the first question does not wait for them."""
        for file in (_JUDGES, _RELEVANCE):
            self._ready(file)

    def read(self, pairs: Sequence[tuple[str, str]]) -> list[Entailment]:
        """Judge each text beside its evidence, in order; pairs of similar length go together."""
        return [_entailment(logits) for logits in self.outputs(_JUDGES, "logits", pairs)]

    def belong(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """For each question beside what a paper is about, the log-odds that it asks for that paper.

        In order. The second of a pair is ``passage_for`` of ``MATTER_CHARACTERS``.
        """
        return [float(row[0]) for row in self.outputs(_RELEVANCE, "relevant", pairs)]

    def answering(self, question: str, sentences: Sequence[tuple[str, str]]) -> list[float]:
        """For each title and sentence of a paper, the log-odds that it is the one to answer with.

        In order. They compare within a paper: training/SENTENCES.md.
        """
        pairs = answer_pairs(question, sentences)
        return [float(row[0]) for row in self.outputs(_RELEVANCE, "answering", pairs)]

    def outputs(self, file: str, name: str, pairs: Sequence[tuple[str, str]]) -> list[Any]:
        """One row of an output of a model, by its file, for each pair; for training too."""
        session, tokenizer = self._ready(file)
        texts = _ids(tokenizer, [text for text, _ in pairs])
        evidence = _ids(tokenizer, [words for _, words in pairs])
        rows = []
        for ours, theirs in zip(texts, evidence, strict=True):
            first = [_CLS, *ours[:_LONGEST_TEXT], _SEP]
            rows.append((first, [*theirs[: _LONGEST - len(first) - 1], _SEP]))
        lengths = [len(first) + len(second) for first, second in rows]

        def judge(batch: Sequence[int]) -> list[Any]:
            width = lengths[batch[0]]
            ids = np.zeros((len(batch), width), np.int64)
            types, mask = np.zeros_like(ids), np.zeros_like(ids)
            for row, at in enumerate(batch):
                first, second = rows[at]
                ids[row, : len(first) + len(second)] = first + second
                types[row, len(first) : len(first) + len(second)] = 1
                mask[row, : len(first) + len(second)] = 1
            feed = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
            (found,) = session.run([name], feed)
            return list(found)

        return in_passes(judge, lengths, _BATCH_TOKENS)

    def _ready(self, file: str) -> tuple[Any, Tokenizer]:
        with self._lock:
            if self._words is None:
                # The tokenizer is the sentence encoder's: all start from one model.
                words = ModelFolder.packaged("minilm").verified("tokenizer.json")
                self._words = open_tokenizer(words)
            if file not in self._sessions:
                self._sessions[file] = self._given or open_session(
                    ModelFolder.packaged("entailment").verified(file)
                )
            return self._sessions[file], self._words


@lru_cache(maxsize=1)
def entailment_model() -> EntailmentModel:
    """The one model of this process."""
    return EntailmentModel()


def _ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    # A lone surrogate has no UTF-8 form.
    clean = [_SURROGATES.sub("\ufffd", text) for text in texts]
    return [code.ids for code in tokenizer.encode_batch_fast(clean, add_special_tokens=False)]


def _entailment(logits: Any) -> Entailment:
    powers = np.exp(logits[:3] - logits[:3].max())
    shares = powers / powers.sum()
    answered = 1.0 / (1.0 + np.exp(-float(logits[3])))
    return Entailment(float(shares[0]), float(shares[1]), float(answered))
