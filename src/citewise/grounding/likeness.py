"""How alike in meaning a text and the words it cites are, by the sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from citewise.library.embedding import PassageInput, packaged_encoder
from citewise.library.passages import sentence_spans

_LONGEST_TEXT = 600
"""Characters of a text that are compared; the encoder reads about twice that."""


def likeness(pairs: Sequence[tuple[str, str]]) -> list[float]:
    """The cosine of each text with the sentence of its evidence that is nearest, 0 to 1.

    Sentences are read with the words around them (``citewise.library.embedding``); what the encoder
    does not read of long evidence is not compared. Raises ModelFileError when the installed model
    is damaged.
    """
    cut = [(text[:_LONGEST_TEXT], words) for text, words in pairs]
    texts = list(dict.fromkeys(text for text, _ in cut))
    cited = list(dict.fromkeys(words for _, words in cut))
    encoder = packaged_encoder()
    # One after the other: a short text beside a long one is padded to its length.
    read = encoder.embed_passages(PassageInput(text) for text in texts)
    vectors = dict(zip(texts, (item.passage for item in read), strict=True))
    inputs = [PassageInput(words, tuple(sentence_spans(words))) for words in cited]
    parts = {
        words: np.vstack([item.passage, item.sentences])
        for words, item in zip(cited, encoder.embed_passages(inputs), strict=True)
    }
    return [max(0.0, float((parts[words] @ vectors[text]).max())) for text, words in cut]
