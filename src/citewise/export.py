"""Papers in the formats that reference managers and other programs read."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from citewise.types import Paper

_LATEX_SPECIAL = re.compile(r"([&%#_])")


def to_jsonl(papers: Iterable[Paper]) -> Iterator[str]:
    """One JSON object a line, with the abstract; ``ingest`` reads it back."""
    for paper in papers:
        yield json.dumps(paper.to_dict(abstract=True), ensure_ascii=False) + "\n"


def to_csv(papers: Iterable[Paper]) -> Iterator[str]:
    """Comma-separated values with a head; authors joined by ``; ``."""
    columns = ("id", "title", "abstract", "authors", "published", "url", "source")
    yield _row(columns)
    for paper in papers:
        yield _row(
            (
                paper.id,
                paper.title,
                paper.abstract,
                "; ".join(paper.authors),
                paper.published or "",
                paper.url or "",
                paper.source or "",
            )
        )


def _row(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _braced(text: str) -> str:
    """Text for a BibTeX field: specials escaped outside of mathematics, braces balanced."""
    parts = text.split("$")
    if len(parts) % 2 == 0:
        parts, glue = ["\\$".join(parts)], ""
    else:
        glue = "$"
    escaped = glue.join(
        part if at % 2 else _LATEX_SPECIAL.sub(r"\\\1", part.replace("\\%", "%"))
        for at, part in enumerate(parts)
    )
    if escaped.count("{") != escaped.count("}"):
        escaped = escaped.replace("{", "").replace("}", "")
    return escaped


def to_bibtex(papers: Iterable[Paper]) -> Iterator[str]:
    """One ``@misc`` entry a paper, with what its source says and nothing more."""
    for paper in papers:
        fields = {
            "title": "{" + _braced(paper.title) + "}",
            "author": _braced(" and ".join(paper.authors)),
            "year": (paper.published or "")[:4],
            "month": (paper.published or "")[5:7],
            "eprint": paper.arxiv_id or "",
            "archiveprefix": "arXiv" if paper.arxiv_id else "",
            "doi": paper.doi or "",
            "url": paper.url or "",
            "abstract": _braced(paper.abstract),
        }
        body = "".join(f"  {name} = {{{text}}},\n" for name, text in fields.items() if text)
        key = re.sub(r"[^\w:.-]", "_", paper.id)
        yield f"@misc{{{key},\n{body}}}\n\n"


def to_ris(papers: Iterable[Paper]) -> Iterator[str]:
    """One RIS record a paper."""
    for paper in papers:
        lines = ["TY  - GEN", f"ID  - {paper.id}", f"TI  - {paper.title}"]
        lines += [f"AU  - {author}" for author in paper.authors]
        if paper.published:
            lines.append(f"PY  - {paper.published[:4]}")
            lines.append(f"DA  - {paper.published.replace('-', '/')}")
        for tag, text in (("DO", paper.doi), ("UR", paper.url), ("AB", paper.abstract)):
            if text:
                lines.append(f"{tag}  - {text}")
        yield "\n".join([*lines, "ER  - ", "", ""])


EXPORTS: Mapping[str, Callable[[Iterable[Paper]], Iterator[str]]] = {
    "jsonl": to_jsonl,
    "bibtex": to_bibtex,
    "ris": to_ris,
    "csv": to_csv,
}
"""Writers by the name that ``papers export --format`` takes."""
