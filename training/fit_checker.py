"""Make the checker's tables, fit its few parameters and measure it.

python training/fit_checker.py --table --data DIR     background frequencies (CC0 abstracts)
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from citewise.grounding.overlap import plain, read_sentence, split_sentences

REPOSITORY = Path(__file__).resolve().parents[1]
TABLE = REPOSITORY / "src/citewise/data/background.tsv.gz"
STEMS, NAMES = 24_000, 14_000


def abstracts(data: Path) -> Iterator[dict[str, str]]:
    """The records of the CC0 arXiv set."""
    with gzip.open(data / "arxiv/papers-112k.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def make_table(data: Path, every: int = 2) -> None:
    """Count in how many abstracts each stem occurs and which words are written with a capital."""
    frequency: collections.Counter[str] = collections.Counter()
    capital: collections.Counter[str] = collections.Counter()
    middle: collections.Counter[str] = collections.Counter()
    documents = 0
    for number, record in enumerate(abstracts(data)):
        if number % every:
            continue
        documents += 1
        seen: set[str] = set()
        for piece in split_sentences(plain(record["text"])):
            for sentence in read_sentence(piece):
                for place, token in enumerate(sentence.tokens):
                    if place and token.text.isalpha() and len(token.text) > 2:
                        middle[token.lower] += 1
                        capital[token.lower] += token.text[0].isupper()
                seen.update(term.stem for term in sentence.terms)
        frequency.update(seen)
    lines = [f"documents\t{documents}"]
    stems = [s for s, n in frequency.most_common(STEMS) if n >= 4]
    lines += [f"{s}\t{frequency[s]}" for s in sorted(stems)]
    names = [w for w, n in middle.most_common() if n >= 5 and capital[w] >= 0.8 * n][:NAMES]
    lines += [f"{w}\tN" for w in sorted(names)]
    TABLE.parent.mkdir(parents=True, exist_ok=True)
    TABLE.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))
    print(f"{documents} abstracts, {len(stems)} stems, {len(names)} names", file=sys.stderr)


def main() -> None:
    """Parse the arguments and do what they ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        make_table(arguments.data)


if __name__ == "__main__":
    main()
