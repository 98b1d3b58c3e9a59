"""PubMed and MEDLINE XML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from citewise.sources.base import Source, make_paper
from citewise.sources.dates import iso_date
from citewise.sources.text import clean
from citewise.types import Paper, Rejection

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAME = "pubmed"
_RECORDS = frozenset({"PubmedArticle", "PubmedBookArticle"})
_SIGN = re.compile(r"<(?:PubmedArticleSet|PubmedArticle|PubmedBookArticle|MedlineCitation)[\s>]")
_YEAR = re.compile(r"\s*(\d{4})\b", re.ASCII)


class PubmedReader:
    """Reads the XML of PubMed's own export, its E-utilities and its yearly files.

    Fields after https://dtd.nlm.nih.gov/ncbi/pubmed/doc/out/250101/. A structured abstract keeps
    its labels (``METHODS: ...``). The id is the PMID.
    """

    name = NAME

    def recognises(self, head: str) -> bool:
        """By an element that only PubMed has."""
        return head.lstrip("\ufeff \t\r\n").startswith("<") and bool(_SIGN.search(head))

    def read(self, source: Source) -> Iterator[Paper | Rejection]:
        """Papers and rejections in the order of the file."""
        # The parser takes 20 ms to import, which only this format should pay.
        from citewise.sources.xml_records import xml_records  # noqa: PLC0415

        for line, element, problem in xml_records(source, _RECORDS):
            if element is None:
                yield source.reject(line, problem or "no element")
            else:
                yield _paper(source, line, element)


def _paper(source: Source, line: int, record: Element) -> Paper | Rejection:
    citation = record.find("MedlineCitation")
    if citation is None:
        citation = record.find("BookDocument")
    if citation is None:
        return source.reject(line, "the article has no citation")
    article = citation.find("Article")
    article = citation if article is None else article
    pmid = clean(citation.findtext("PMID") or "") or None
    authors = list(_authors(article))
    author_list = article.find("AuthorList")
    complete = author_list is not None and author_list.get("CompleteYN", "Y") == "Y"
    date, printed = _date(article)
    return make_paper(
        source,
        NAME,
        line,
        title=_words(article.find("ArticleTitle")) or _words(article.find("VernacularTitle")),
        abstract=_abstract(article),
        paper_id=pmid,
        authors=authors,
        author_count=len(authors) if authors and complete else None,
        date=date,
        date_text=printed,
        url=f"https://pubmed.ncbi.nlm.nih.gov/{pmid}/" if pmid else None,
        doi=_doi(record, article),
    )


def _words(element: Element | None) -> str:
    return "" if element is None else clean("".join(element.itertext()))


def _abstract(article: Element) -> str:
    parts = []
    for part in article.findall("Abstract/AbstractText"):
        words = _words(part)
        label = clean(part.get("Label") or "")
        if words:
            parts.append(f"{label}: {words}" if label and label != "UNLABELLED" else words)
    return " ".join(parts)


def _authors(article: Element) -> Iterator[str]:
    for author in article.findall("AuthorList/Author"):
        collective = author.find("CollectiveName")
        if collective is not None:
            yield _words(collective)
            continue
        names = (
            author.findtext("ForeName") or author.findtext("Initials"),
            *(author.findtext(key) for key in ("LastName", "Suffix")),
        )
        yield " ".join(name.strip() for name in names if name)


def _date(article: Element) -> tuple[str | None, str | None]:
    """The date of the issue, or the electronic one where the issue has none; and as printed."""
    for path in ("Journal/JournalIssue/PubDate", "Book/PubDate", "ArticleDate"):
        element = article.find(path)
        if element is None:
            continue
        free = clean(element.findtext("MedlineDate") or "")
        if free:
            # Such as '2000 Spring' or '1998 Dec-1999 Jan': only the first year is certain.
            year = _YEAR.match(free)
            return (iso_date(free) or (year[1] if year else None)), free
        parts = [clean(element.findtext(key) or "") for key in ("Year", "Month", "Day")]
        if parts[0]:
            printed = " ".join(part for part in parts if part)
            joined = "-".join(parts) if parts[1].isdigit() else printed
            return iso_date(joined.rstrip("-")) or parts[0], printed
    return None, None


def _doi(record: Element, article: Element) -> str | None:
    for path, key in (("ELocationID", "EIdType"),):
        for element in article.findall(path):
            if element.get(key) == "doi" and element.get("ValidYN", "Y") == "Y":
                return element.text
    # Only the article's own ids: the same element also lists those of its references.
    for element in record.findall("PubmedData/ArticleIdList/ArticleId"):
        if element.get("IdType") == "doi":
            return element.text
    return None
