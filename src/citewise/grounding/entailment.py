"""What a small cross-encoder makes of a text beside the words it cites."""

from __future__ import annotations

from collections.abc import Sequence

from citewise.grounding.overlap import background, read

NEAREST_CHARACTERS = 800
"""About 160 tokens: evidence that is longer is cut down to its nearest sentences."""


def nearest_sentences(text: str, evidence: Sequence[str], limit: int = NEAREST_CHARACTERS) -> str:
    """The sentences of ``evidence`` that share most with ``text``, in their order, as one text.

    Shared content words count by their rarity, once each; a sentence whose words the chosen ones
    hold already counts less. At least one sentence, then as many as fit in ``limit`` characters.
    """
    sentences = [sentence for part in evidence for sentence in read(part) if sentence.text]
    if sum(len(sentence.text) + 1 for sentence in sentences) <= limit:
        return " ".join(sentence.text for sentence in sentences)
    weight = background().weight
    wanted = {term.stem: weight(term.stem) for s in read(text) for term in s.terms}
    held = [{t.stem for t in sentence.terms} & wanted.keys() for sentence in sentences]
    chosen: list[int] = []
    missing = dict(wanted)
    room = limit
    while len(chosen) < len(sentences):
        best = max(
            (place for place in range(len(sentences)) if place not in chosen),
            key=lambda place: (
                sum(missing[stem] for stem in held[place])
                + 0.3 * sum(wanted[stem] for stem in held[place]),
                -place,
            ),
        )
        room -= len(sentences[best].text) + 1
        if chosen and room < 0:
            break
        chosen.append(best)
        for stem in held[best]:
            missing[stem] = 0.0
    return " ".join(sentences[place].text for place in sorted(chosen))
