"""Papers in the formats that reference managers and other programs read."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping

from citewise.types import Paper

_LATEX_SPECIAL = re.compile(r"(?<!\\)([&%#_])")
_DOLLAR = re.compile(r"(?<!\\)\$")
_NO_NAMES = frozenset({"jr", "sr", "ii", "iii", "iv"})
_NO_WORDS = frozenset({"a", "an", "the", "on", "of", "in", "for", "to", "and", "with", "by"})
_ESCAPED = re.compile(r"\\.", re.DOTALL)


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
    # With RFC 4180's own line end a carriage return within a cell is quoted too.
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def _braced(text: str) -> str:
    """Text for a BibTeX field: specials escaped outside of mathematics, braces balanced."""
    parts = _DOLLAR.split(text)
    if len(parts) % 2 == 0:
        parts = ["\\$".join(parts)]
    escaped = "$".join(
        part if at % 2 else _LATEX_SPECIAL.sub(r"\\\1", part) for at, part in enumerate(parts)
    )
    # BibTeX counts every brace, other programs only those without a backslash.
    if not (_balanced(escaped) and _balanced(_ESCAPED.sub("", escaped))):
        escaped = escaped.replace("{", "").replace("}", "")
    # A backslash at the end would take the field's own brace along.
    return f"{escaped} " if escaped.endswith("\\") else escaped


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def _plain(text: str) -> str:
    """The letters and digits of ``text`` in ASCII and lower case, blanks kept."""
    bare = unicodedata.normalize("NFKD", re.sub(r"['’]", "", text.casefold()))
    return re.sub(r"[^a-z0-9]+", " ", bare.encode("ascii", "ignore").decode())


def _key(paper: Paper) -> str:
    """``brandt2025drafting``: first author, year and first word of the title; the id without any.

    Where the authors are not known, the title's first word stands for them.
    """
    author = paper.authors[0] if paper.authors else ""
    names = [
        name
        for name in _plain(author.partition(",")[0].replace("-", "")).split()
        if name not in _NO_NAMES
    ]
    title = _plain(paper.title).split()
    words = [word for word in title if word not in _NO_WORDS and word[0].isalpha()]
    first, *rest = [*names[-1:], *words] or [re.sub(r"[^\w:.-]", "_", paper.id)]
    return first + (paper.published or "")[:4] + "".join(rest[:1])


def _letters(place: int) -> str:
    """Nothing for the first of its key, then ``b`` to ``z``, then numbers."""
    return "" if place == 1 else chr(ord("a") + place - 1) if place <= 26 else f"-{place}"


def to_bibtex(papers: Iterable[Paper]) -> Iterator[str]:
    """One ``@misc`` entry a paper, with what its source says and nothing more.

    Not ``@article``, which BibTeX complains of without its journal: that is not kept. Of entries
    with one key the second ends in ``b``, as reference managers have it.
    """
    seen: dict[str, int] = {}
    for paper in papers:
        fields = {
            "title": "{" + _braced(paper.title) + "}",
            "author": _braced(" and ".join(paper.authors)),
            "year": (paper.published or "")[:4],
            "month": (paper.published or "")[5:7],
            # BibLaTeX's field: BibTeX has no place for a day.
            "date": paper.published or "",
            "eprint": paper.arxiv_id or "",
            "archiveprefix": "arXiv" if paper.arxiv_id else "",
            "doi": paper.doi or "",
            "url": paper.url or "",
            "abstract": _braced(paper.abstract),
        }
        body = "".join(f"  {name} = {{{text}}},\n" for name, text in fields.items() if text)
        key = _key(paper)
        seen[key] = seen.get(key, 0) + 1
        key += _letters(seen[key])
        yield f"@misc{{{key},\n{body}}}\n\n"


def to_ris(papers: Iterable[Paper]) -> Iterator[str]:
    """One RIS record a paper."""
    for paper in papers:
        date = paper.published or ""
        fields = [
            ("TY", "GEN"),
            ("ID", paper.id),
            ("TI", paper.title),
            *(("AU", author) for author in paper.authors),
            ("PY", date[:4]),
            ("DA", date.replace("-", "/")),
            ("DO", paper.doi),
            ("UR", paper.url),
            ("AB", paper.abstract),
        ]
        # A field is one line.
        lines = [f"{tag}  - {' '.join(text.split())}" for tag, text in fields if text]
        yield "\n".join([*lines, "ER  - ", "", ""])


EXPORTS: Mapping[str, Callable[[Iterable[Paper]], Iterator[str]]] = {
    "jsonl": to_jsonl,
    "bibtex": to_bibtex,
    "ris": to_ris,
    "csv": to_csv,
}
"""Writers by the name that ``papers export --format`` takes."""
