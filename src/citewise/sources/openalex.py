"""OpenAlex works as JSON, whose abstracts come as an index of words and their positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from citewise.sources.base import Source, make_paper
from citewise.sources.identity import arxiv_id_of
from citewise.sources.json_records import head_records, json_records
from citewise.types import Paper, Rejection

NAME = "openalex"
_PREFIX = "https://openalex.org/"


class OpenAlexReader:
    """Reads works (https://docs.openalex.org/api-entities/works): one a line, a list, or a page.

    The id is the ``W`` number. A list of authors that OpenAlex cut gives no count.
    """

    name = NAME

    def recognises(self, head: str) -> bool:
        """By the inverted abstract or an id at openalex.org."""
        return any(
            "abstract_inverted_index" in record or str(record.get("id")).startswith(_PREFIX + "W")
            for record in head_records(head)
        )

    def read(self, source: Source) -> Iterator[Paper | Rejection]:
        """Papers and rejections in the order of the file."""
        for line, value, problem in json_records(source):
            if value is None:
                yield source.reject(line, problem or "no object")
                continue
            # A page of results that stands on one line among others.
            results = value.get("results")
            for work in results if isinstance(results, list) else (value,):
                if isinstance(work, dict):
                    yield _paper(source, line, work)
                else:
                    yield source.reject(line, "an item of the results is no object")


def _paper(source: Source, line: int, work: dict[str, Any]) -> Paper | Rejection:
    title = work.get("title") or work.get("display_name")
    abstract = work.get("abstract")
    index = work.get("abstract_inverted_index")
    if not abstract and isinstance(index, dict):
        abstract = abstract_of(index)
        if abstract is None:
            return source.reject(
                line, "the inverted abstract has positions that are no numbers", str(title or "")
            )
    number = work.get("id")
    number = number.removeprefix(_PREFIX) if isinstance(number, str) else None
    authorships = work.get("authorships")
    names = [
        authorship["author"].get("display_name")
        for authorship in (authorships if isinstance(authorships, list) else [])
        if isinstance(authorship, dict) and isinstance(authorship.get("author"), dict)
    ]
    authors = [name for name in names if isinstance(name, str)]
    complete = authors and not work.get("is_authors_truncated")
    date = work.get("publication_date") or work.get("publication_year")
    addresses = list(_addresses(work))
    return make_paper(
        source,
        NAME,
        line,
        title=title,
        abstract=abstract,
        paper_id=number,
        authors=authors,
        author_count=len(authors) if complete else None,
        date=date if isinstance(date, str | int) else None,
        url=addresses[0] if addresses else (_PREFIX + number if number else None),
        doi=work.get("doi"),
        arxiv_id=next((address for address in addresses if arxiv_id_of(address)), None),
    )


def abstract_of(index: dict[str, Any]) -> str | None:
    """The words of an inverted index in their order, or None when a position is no integer."""
    placed: list[tuple[int, str]] = []
    for word, positions in index.items():
        if not isinstance(positions, list):
            return None
        for position in positions:
            if not isinstance(position, int) or isinstance(position, bool):
                return None
            placed.append((position, word))
    placed.sort(key=lambda pair: pair[0])
    return " ".join(word for _, word in placed)


def _addresses(work: dict[str, Any]) -> Iterator[str]:
    locations = [work.get("primary_location"), work.get("best_oa_location")]
    others = work.get("locations")
    locations.extend(others if isinstance(others, list) else [])
    for location in locations:
        address = location.get("landing_page_url") if isinstance(location, dict) else None
        if isinstance(address, str) and address.strip():
            yield address
