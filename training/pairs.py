"""Make the training pairs of the entailment model: claims and questions beside words of abstracts.

    python training/pairs.py --data DIR --out PAIRS.jsonl [--arxiv 9000]

Three sources, all of which may be shipped: SciFact's training claims (CC BY 4.0), PubMedQA (MIT),
and arXiv abstracts (CC0) with claims made by rule; and, in training/written/*.jsonl, claims and
questions written for citewise over such abstracts (Apache-2.0, as the project; see ENTAILMENT.md).
SciFact's test claims and the papers that they cite, the sample papers and all human-labelled sets
that calibrate or measure the checker stay out.

A row is {"task", "text", "evidence", "label", "kind", "id", "held_out", "alike"}: for the task
`claim` the label is 0 (supported), 1 (contradicted) or 2 (not stated), for `question` 0 (not
answered) or 1; `alike` is what citewise.grounding.likeness says of the two texts.
One paper in twelve is held out for development, by a hash of its id.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from fit_checker import (
    change_direction,
    change_name,
    change_negation,
    change_number,
    held_out,
    records,
    reword,
)

from citewise.grounding.entailment import nearest_sentences, passage_for, spelled_out
from citewise.grounding.likeness import likeness
from citewise.library.embedding import packaged_encoder

SEED = 20261121
SUPPORTED, CONTRADICTED, NOT_STATED = 0, 1, 2
CLAIMS = {
    "s1": SUPPORTED,
    "s2": SUPPORTED,
    "a": SUPPORTED,
    "c": CONTRADICTED,
    "c2": CONTRADICTED,
    "n": NOT_STATED,
    "h": NOT_STATED,
}
"""What the claims of training/written say of their abstract, by key."""
QUESTIONS = {"q": 1, "q2": 1, "u": 0, "u2": 0, "u3": 0}
"""Whether the abstract answers the questions of training/written, by key."""
SHORT = {
    "t": SUPPORTED,
    "t2": SUPPORTED,
    "r": CONTRADICTED,
    "r2": CONTRADICTED,
    "n": NOT_STATED,
    "n2": NOT_STATED,
}
"""What the claims of training/written/h*.jsonl say of their one to three sentences, by key."""
BACKED = SHORT | {"t3": SUPPORTED, "n3": NOT_STATED, "n4": NOT_STATED}
"""What the claims of training/written/backed-*.jsonl say of the words beside them, by key."""
LEANING = {
    "t": (SUPPORTED,),
    "t2": (SUPPORTED,),
    "l": (SUPPORTED, NOT_STATED),
    "l2": (SUPPORTED, NOT_STATED),
    "l3": (SUPPORTED, NOT_STATED),
    "c": (CONTRADICTED,),
    "c2": (CONTRADICTED, NOT_STATED),
    "n": (NOT_STATED,),
    "n2": (NOT_STATED,),
    "n3": (NOT_STATED,),
}
"""What the claims of training/written/leaning-*.jsonl say of the words beside them, by key.

Where words speak for a claim (or against it) without stating it, half the mass goes to each."""
IN_PART = {
    "t": SUPPORTED,
    "t2": SUPPORTED,
    "t3": SUPPORTED,
    "p": NOT_STATED,
    "p2": NOT_STATED,
    "p3": NOT_STATED,
    "r": CONTRADICTED,
    "n": NOT_STATED,
}
"""What the sentences of training/written/parts-*.jsonl say of their page, by key."""
TERSE = {"k1": 1, "k2": 1, "k3": 1, "k4": 1, "v1": 0, "v2": 0, "v3": 0}
"""Whether the abstract answers the questions of training/written/t*.jsonl, by key."""
WORDED_CLAIMS = {"t": SUPPORTED, "r": CONTRADICTED, "n": NOT_STATED}
"""What the claims of training/written/worded-*.jsonl and close-*.jsonl say of their abstract, by
key."""
ANSWERS = {
    "t": SUPPORTED,
    "t2": SUPPORTED,
    "t3": SUPPORTED,
    "t4": SUPPORTED,
    "p": NOT_STATED,
    "p2": NOT_STATED,
    "p3": NOT_STATED,
    "r": CONTRADICTED,
    "r2": CONTRADICTED,
    "n": NOT_STATED,
    "n2": NOT_STATED,
}
"""What the sentences of training/written/answers-*.jsonl say of their passages, by key."""
WORDED_QUESTIONS = {"q": 1, "u": 0}
"""Whether the abstract answers the questions of training/written/worded-*.jsonl, by key."""
WRITTEN = Path(__file__).parent / "written"
CORPUS = Path(__file__).parent.parent / "eval" / "corpus"
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][A-Za-z]*[A-Z][A-Za-z]*(?:-\d+)?\b")
_CUT = re.compile(r"(?<=[.!?]) (?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Row:
    """One training pair; see the module."""

    task: str
    text: str
    evidence: str
    label: int
    kind: str
    id: str

    @property
    def held_out(self) -> bool:
        """Whether its paper is kept for development."""
        return held_out(self.id)


def claim(text: str, evidence: str, label: int, kind: str, paper: str) -> Row:
    """A claim beside the sentences of ``evidence`` that are nearest to it."""
    return Row("claim", text, nearest_sentences(text, [evidence]), label, kind, paper)


def question(text: str, evidence: str, label: int, kind: str, paper: str, title: str = "") -> Row:
    """A question beside the title and the sentences of ``evidence`` that are nearest to it.

    Units are in full on both sides, as where the model is asked.
    """
    return Row(
        "question", spelled_out(text), passage_for(text, title, evidence), label, kind, paper
    )


def sentences_of(text: str) -> list[str]:
    """Sentences of usable length."""
    return [s for s in _CUT.split(" ".join(text.split())) if 40 <= len(s) <= 350]


def nearest_others(titles: Sequence[str], count: int) -> list[list[int]]:
    """For each title the places of the ``count`` most similar other titles."""
    vectors = packaged_encoder().embed_queries(list(titles))
    places: list[list[int]] = []
    for start in range(0, len(titles), 512):
        cosine = vectors[start : start + 512] @ vectors.T
        cosine[np.arange(len(cosine)), np.arange(start, start + len(cosine))] = -2.0
        top = np.argpartition(-cosine, count, axis=1)[:, :count]
        places += [[int(p) for p in row] for row in top]
    return places


def scifact_rows(data: Path, rng: random.Random) -> Iterator[Row]:
    """Labelled claims: beside their evidence, beside the rest of the abstract, and as queries."""
    test = {line.split("\t")[1] for line in (data / "scifact/qrels.tsv").read_text().splitlines()}
    pairs = [p for p in records(data / "scifact/pairs_train.jsonl") if str(p["doc_id"]) not in test]
    labels = {"SUPPORT": SUPPORTED, "CONTRADICT": CONTRADICTED, "NOINFO": NOT_STATED}
    others = nearest_others([str(p["title"]) for p in pairs], 8)
    for place, pair in enumerate(pairs):
        text, abstract, paper = (
            str(pair["claim"]),
            str(pair["abstract"]),
            f"scifact:{pair['doc_id']}",
        )
        label = labels[str(pair["label"])]
        yield claim(text, abstract, label, "scifact", paper)
        evidence = [str(s) for s in _evidence(pair)]
        if label != NOT_STATED and evidence:
            yield claim(text, " ".join(evidence), label, "scifact-evidence", paper)
            rest = " ".join(
                s for s in sentences_of(abstract) if not any(e[:60] in s for e in evidence)
            )
            if len(rest) > 200 and rng.random() < 0.5:
                yield claim(text, rest, NOT_STATED, "scifact-rest", paper)
        title = str(pair["title"])
        yield question(text, abstract, int(label != NOT_STATED), "scifact", paper, title)
        other = pairs[rng.choice(others[place])]
        if other["doc_id"] != pair["doc_id"]:
            away = str(other["abstract"])
            yield question(text, away, 0, "scifact-other", paper, str(other["title"]))


def _evidence(pair: dict[str, Any]) -> list[str]:
    found = pair.get("evidence_sentences") or []
    return [s if isinstance(s, str) else str(s.get("text", "")) for s in found]


def pubmedqa_rows(data: Path, rng: random.Random) -> Iterator[Row]:
    """Questions beside the abstract that answers them and beside similar ones; conclusions."""
    items = records(data / "pubmedqa/pqal.jsonl")
    texts = [" ".join(str(c) for c in item["contexts"]) for item in items]  # type: ignore[attr-defined]
    others = nearest_others([str(item["question"]) for item in items], 6)
    for place, item in enumerate(items):
        paper = f"pubmedqa:{item['_id']}"
        asked = str(item["question"])
        yield question(asked, texts[place], 1, "pubmedqa", paper)
        yield question(asked, texts[rng.choice(others[place])], 0, "pubmedqa-other", paper)
        concluded = sentences_of(str(item["long_answer"]))
        if concluded and item["answer"] != "maybe":
            yield claim(concluded[0], texts[place], SUPPORTED, "pubmedqa-conclusion", paper)
            yield claim(
                concluded[0], texts[rng.choice(others[place])], NOT_STATED, "pubmedqa-other", paper
            )


def arxiv_rows(data: Path, rng: random.Random, count: int) -> Iterator[Row]:
    """Sentences of abstracts, verbatim and changed by rule, and titles as queries."""
    samples = re.sub(r"\W+", "", " ".join(p.read_text("utf-8") for p in CORPUS.glob("*"))).lower()
    papers = []
    with gzip.open(data / "arxiv/papers-112k.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            paper = json.loads(line)
            if 500 < len(paper["text"]) < 2400:
                papers.append(paper)
    rng.shuffle(papers)
    papers = [
        p for p in papers[: 2 * count] if re.sub(r"\W+", "", p["title"]).lower() not in samples
    ][:count]
    names = [name for p in papers for name in _NAME.findall(p["text"])]
    others = nearest_others([p["title"] for p in papers], 6)
    for place, paper in enumerate(papers):
        text, ident = paper["text"], f"arxiv:{paper['_id']}"
        own = sentences_of(text)
        neighbour = papers[rng.choice(others[place])]
        theirs = sentences_of(neighbour["text"])
        if len(own) < 4 or not theirs:
            continue
        chosen = rng.choice(own)
        absent = [n for n in rng.sample(names, 8) if n.lower() not in text.lower()] or ["XQuadNet"]
        window = _window(own, chosen, rng)
        reworded = reword(chosen, paper["title"], rng) or chosen
        kept = shorten(reworded, rng) or reworded
        yield Row("claim", kept, window, SUPPORTED, "rule-kept", ident)
        rest = " ".join(s for s in own if s != chosen)
        yield claim(kept, rest, NOT_STATED, "rule-removed", ident)
        made = {
            "number": (change_number(kept, rng), CONTRADICTED),
            "name": (change_name(kept, rng, absent), NOT_STATED),
            "direction": (change_direction(kept, rng), CONTRADICTED),
            "negation": (change_negation(kept, rng), CONTRADICTED),
            "other": (rng.choice(theirs), NOT_STATED),
        }
        usable = [(kind, c, label) for kind, (c, label) in made.items() if c]
        kind, changed, label = rng.choice(usable)
        yield Row("claim", str(changed), window, label, f"rule-{kind}", ident)
        if place % 2 == 0:
            yield question(paper["title"], text, 1, "title", ident)
            yield question(paper["title"], neighbour["text"], 0, "title-other", ident)


def _window(own: Sequence[str], chosen: str, rng: random.Random) -> str:
    """The chosen sentence with up to three neighbours."""
    at = own.index(chosen)
    before, after = rng.randint(0, 2), rng.randint(0, 2)
    return " ".join(own[max(0, at - before) : at + after + 1])


_TAIL = re.compile(
    r", (?:which|where|while|with|using|thereby|leading|enabling|including|such as|and)\b[^,]*\.$"
)
_LEAD = re.compile(r"^(?:[A-Z][a-z]+(?: [a-z]+){1,7}), (?=[a-z])")


def shorten(sentence: str, rng: random.Random) -> str | None:
    """The sentence without its last clause or its lead-in; what is left is still said."""
    options = []
    if (tail := _TAIL.search(sentence)) and tail.start() > 50:
        options.append(sentence[: tail.start()] + ".")
    if (lead := _LEAD.search(sentence)) and len(sentence) - lead.end() > 50:
        rest = sentence[lead.end() :]
        options.append(rest[0].upper() + rest[1:])
    return rng.choice(options) if options else None


def written(files: str) -> list[dict[str, Any]]:
    """The lines of the files of training/written with such names, in order."""
    return [item for path in sorted(WRITTEN.glob(files)) for item in records(path)]


def written_rows(data: Path, rng: random.Random) -> Iterator[Row]:
    """Claims and questions written by hand over abstracts; each also beside another abstract."""
    items = written("w[0-9].jsonl")
    found = abstracts_of(data, items)
    texts = {ident: text for ident, (_, text) in found.items()}
    items = [item for item in items if item["id"] in texts]
    if not items:
        return
    others = nearest_others([texts[item["id"]][:300] for item in items], 5)
    for place, item in enumerate(items):
        text = texts[item["id"]]
        title = found[item["id"]][0]
        stranger, away = found[items[rng.choice(others[place])]["id"]]
        for key, label in CLAIMS.items():
            if key in item:
                yield claim(item[key], text, label, f"written-{key}", item["id"])
        true = rng.choice([key for key in ("s1", "s2", "a") if key in item])
        yield claim(item[true], away, NOT_STATED, "written-other", item["id"])
        for key, label in QUESTIONS.items():
            if key in item:
                yield question(item[key], text, label, f"written-{key}", item["id"], title)
        yield question(item[rng.choice("qu")], away, 0, "written-other", item["id"], stranger)


def evidence_rows() -> Iterator[Row]:
    """Claims written over one to three sentences of biomedical abstracts, beside these alone."""
    for item in written("h*.jsonl"):
        for key, label in SHORT.items():
            yield Row("claim", item[key], item["e"], label, f"short-{key}", item["id"])


def backed_rows() -> Iterator[Row]:
    """Claims as people make them over words of articles, of web pages and of abstracts."""
    for name in ("health", "web", "science"):
        for item in written(f"backed-{name}.jsonl"):
            for key, label in BACKED.items():
                if key in item:
                    yield claim(item[key], item["e"], label, f"{name}-{key}", item["id"])


def leaning_rows(files: str) -> Iterator[Row]:
    """Claims about health that words state, speak for, speak against or have no bearing on."""
    for item in written(files):
        for key, labels in LEANING.items():
            for label in labels:
                yield claim(item[key], item["e"], label, f"leaning-{key}", item["id"])


def parts_rows(files: str) -> Iterator[Row]:
    """Sentences of an encyclopaedia that a page backs whole, or but for one detail."""
    for item in written(files):
        for key, label in IN_PART.items():
            yield claim(item[key], item["e"], label, f"parts-{key}", item["id"])


def close_rows(data: Path) -> Iterator[Row]:
    """Claims in the very words of an abstract, but for what decides."""
    items = written("close-*.jsonl")
    found = abstracts_of(data, items)
    for item in items:
        _, text = found[item["id"]]
        for key, label in WORDED_CLAIMS.items():
            for said in item[key]:
                yield claim(said, text, label, f"close-{key}", item["id"])


def answer_rows() -> Iterator[Row]:
    """Sentences of an assistant's answer beside the passages that it read for a question."""
    for item in written("answers-*.jsonl"):
        for key, label in ANSWERS.items():
            yield claim(item[key], item["e"], label, f"answers-{key}", item["id"])
        yield question(item["question"], item["e"], 1, "answers-q", item["id"])


def near_rows(rng: random.Random) -> Iterator[Row]:
    """True claims of `backed_rows` and `evidence_rows` beside words about something near.

    Their own words taken away, what is nearest by the sentence encoder does not back them. Rows of
    the kind `pair` have any two texts: they teach the cosine alone (``--weight pair=0``).
    """
    rows = [*backed_rows(), *evidence_rows()]
    words = list({row.evidence: row.id for row in rows}.items())
    kept = np.array([held_out(ident) for _, ident in words])
    encoder = packaged_encoder()
    vectors = encoder.embed_queries([text for text, _ in words])
    cosines = encoder.embed_queries([row.text for row in rows]) @ vectors.T
    for row, near in zip(rows, cosines, strict=True):
        near[kept != row.held_out] = -2.0
        places = [at for at in np.argsort(-near)[:80] if words[at][1] != row.id]
        kind = row.kind.split("-")[0]
        for low, high in ((0, 8), (8, 60)):
            other = words[rng.choice(places[low:high])][0]
            if row.label == SUPPORTED:
                yield Row("claim", row.text, other, NOT_STATED, f"near-{kind}", row.id)
            elif low:
                yield Row("claim", row.text, other, NOT_STATED, f"pair-{kind}", row.id)
        if rng.random() < 0.15:
            yield Row("claim", row.text, rng.choice(words)[0], NOT_STATED, "pair-any", row.id)


def terse_rows(data: Path, rng: random.Random) -> Iterator[Row]:
    """Questions as people type them, beside their abstract; one also beside a similar abstract."""
    items = written("t*.jsonl")
    found = abstracts_of(data, items)
    others = nearest_others([found[item["id"]][1][:300] for item in items], 5)
    for place, item in enumerate(items):
        title, text = found[item["id"]]
        for key, label in TERSE.items():
            yield question(item[key], text, label, f"terse-{key}", item["id"], title)
        stranger, away = found[items[rng.choice(others[place])]["id"]]
        yield question(item["k1"], away, 0, "terse-other", item["id"], stranger)


def number_rows(data: Path, rng: random.Random) -> Iterator[Row]:
    """Questions for a figure, written by hand: those the abstract answers and those it does not."""
    items = written("numbers.jsonl")
    found = abstracts_of(data, items)
    others = nearest_others([found[item["id"]][1][:300] for item in items], 5)
    for place, item in enumerate(items):
        title, text = found[item["id"]]
        stranger, away = found[items[rng.choice(others[place])]["id"]]
        for asked in item["q"]:
            yield question(asked, text, 1, "written-q", item["id"], title)
        for asked in item["u"]:
            yield question(asked, text, 0, "written-u", item["id"], title)
        asked = rng.choice(item["q"])
        yield question(asked, away, 0, "written-other", item["id"], stranger)


def worded_rows(data: Path, rng: random.Random) -> Iterator[Row]:
    """Things asked in several ways, claims turned round; some also beside a similar abstract."""
    items = written("worded-*.jsonl")
    found = abstracts_of(data, items)
    others = nearest_others([found[item["id"]][1][:300] for item in items], 5)
    for place, item in enumerate(items):
        title, text = found[item["id"]]
        for key, label in WORDED_CLAIMS.items():
            for said in item[key]:
                yield claim(said, text, label, f"worded-{key}", item["id"])
        for key, label in WORDED_QUESTIONS.items():
            for asked in item[key]:
                yield question(asked, text, label, f"worded-{key}", item["id"], title)
        stranger, away = found[items[rng.choice(others[place])]["id"]]
        yield claim(rng.choice(item["t"]), away, NOT_STATED, "worded-other", item["id"])
        yield question(rng.choice(item["q"]), away, 0, "worded-other", item["id"], stranger)


def abstracts_of(data: Path, items: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Title (empty for PubMedQA) and abstract of the papers that items are about, by their id."""
    ids = {item["id"] for item in items}
    return {ident: (title, text) for ident, title, text in _papers(data) if ident in ids}


def _papers(data: Path) -> Iterator[tuple[str, str, str]]:
    """Id, title and abstract of every paper of the public sets."""
    with gzip.open(data / "arxiv/papers-112k.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            paper = json.loads(line)
            yield f"arxiv:{paper['_id']}", paper["title"], paper["text"]
    for paper in records(data / "scifact/corpus.jsonl"):
        yield f"scifact:{paper['_id']}", str(paper["title"]), str(paper["text"])
    for item in records(data / "pubmedqa/pqal.jsonl"):
        text = " ".join(str(c) for c in item["contexts"])  # type: ignore[attr-defined]
        yield f"pubmedqa:{item['_id']}", "", text


def write(rows: Iterable[Row], out: Path) -> int:
    """Write the rows; their number."""
    count = 0
    waiting = iter(rows)
    with out.open("w", encoding="utf-8") as lines:
        while some := list(islice(waiting, 512)):
            cosines = likeness([(row.text, row.evidence) for row in some])
            for row, cosine in zip(some, cosines, strict=True):
                value = {**asdict(row), "held_out": row.held_out, "alike": round(cosine, 4)}
                lines.write(json.dumps(value, ensure_ascii=False) + "\n")
            count += len(some)
    return count


def main() -> None:
    """Write the pairs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--only",
        help="scifact, pubmedqa, arxiv, written, numbers, evidence, backed, leaning, parts, "
        "moreleaning, moreparts, close, answers, near, terse or worded",
    )
    parser.add_argument("--arxiv", type=int, default=9000, help="papers to make pairs of by rule")
    options = parser.parse_args()
    rng = random.Random(SEED)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    sources: dict[str, Iterable[Row]] = {
        "scifact": scifact_rows(options.data, rng),
        "pubmedqa": pubmedqa_rows(options.data, rng),
        "arxiv": arxiv_rows(options.data, rng, options.arxiv),
        # Chances of their own, so that more written rows leave the others as they are.
        "written": written_rows(options.data, random.Random(SEED)),
        "numbers": number_rows(options.data, random.Random(SEED)),
        "evidence": evidence_rows(),
        "backed": backed_rows(),
        "leaning": leaning_rows("leaning-*.jsonl"),
        "parts": parts_rows("parts-*.jsonl"),
        "moreleaning": leaning_rows("more-leaning.jsonl"),
        "moreparts": parts_rows("more-parts.jsonl"),
        "close": close_rows(options.data),
        "answers": answer_rows(),
        "near": near_rows(random.Random(SEED)),
        "terse": terse_rows(options.data, random.Random(SEED)),
        "worded": worded_rows(options.data, random.Random(SEED)),
    }
    for name, rows in sources.items():
        if options.only not in (None, name):
            continue
        print(name, write(rows, options.out.with_suffix(f".{name}.jsonl")), flush=True)


if __name__ == "__main__":
    main()
