"""Which paper is this: ids, and the keys by which one paper is known from several sources."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

from citewise.sources.text import clean
from citewise.types import Paper, sha256_of

# Both schemes: https://info.arxiv.org/help/arxiv_identifier.html
_ARXIV = r"(?:\d{2}(?:0[1-9]|1[0-2])\.\d{4,5}|[a-z][a-z-]*(?:\.[a-z]{2})?/\d{7})"
_ARXIV_ID = re.compile(rf"(?:arxiv:\s*)?({_ARXIV})(?:v\d+)?", re.IGNORECASE | re.ASCII)
_ARXIV_URL = re.compile(
    rf"(?:arxiv\.org/(?:abs|pdf|html|format|ps)|huggingface\.co/papers|alphaxiv\.org/abs)/({_ARXIV})"
    r"(?:v\d+)?(?:\.pdf)?(?:[/?#].*)?$",
    re.IGNORECASE | re.ASCII,
)
_ARXIV_DOI = re.compile(rf"10\.48550/arxiv\.({_ARXIV})(?:v\d+)?", re.IGNORECASE | re.ASCII)
# After Crossref's recommended pattern: https://www.crossref.org/blog/dois-and-matching-regular-expressions/
_DOI = re.compile(r"(?:doi:\s*|https?://(?:dx\.)?doi\.org/)?(10\.\d{4,9}/\S+)", re.IGNORECASE)
_DOI_URL = re.compile(r"^https?://(?:[\w.-]+/)(?:\S*?/)?(10\.\d{4,9}/[^\s?#]+)", re.IGNORECASE)
# Prints of one text differ in them, and no reader sees it.
_JOINERS = str.maketrans("", "", "\u200c\u200d")
_DASHES = re.compile(r"[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]")
_SINGLE_QUOTES = re.compile(r"[\u2018-\u201b\u2032`\u00b4]")
_DOUBLE_QUOTES = re.compile(r"[\u201c-\u201f\u2033]|''")


def arxiv_id_of(text: str | None) -> str | None:
    """The arXiv id without its version in an id or address such as ``arXiv:2503.15337v2``."""
    if not text:
        return None
    text = text.strip()
    match = _ARXIV_ID.fullmatch(text) or _ARXIV_URL.search(text)
    if match is None:
        doi = doi_of(text)
        match = _ARXIV_DOI.fullmatch(doi) if doi else None
    return match[1].lower() if match else None


def doi_of(text: str | None) -> str | None:
    """The DOI in lower case in an id or address such as ``https://doi.org/10.1/ABC``."""
    if not text:
        return None
    text = text.strip()
    if match := _DOI.fullmatch(text):
        found = match[1]
    elif match := _DOI_URL.match(text):
        found = unquote(match[1])
    else:
        return None
    return found.rstrip(".,;").lower()


def normalise(text: str) -> str:
    """``text`` without what differs between two prints of the same words.

    NFKC, case folded, whitespace folded, typographic quotes and dashes made plain; idempotent.
    """
    text = clean(text)
    if text.isascii():
        # The same in a tenth of the time; of white space, a clean text has blanks alone.
        text = text.lower().replace("`", "'").replace("''", '"')
        return " ".join(text.split()) if "  " in text else text
    text = text.translate(_JOINERS)
    # Case folding can undo the composition, so a second pass is needed for a stable result.
    for _ in range(2):
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = _DOUBLE_QUOTES.sub('"', _SINGLE_QUOTES.sub("'", _DASHES.sub("-", text)))
    return " ".join(text.split())


def _fingerprint(title: str, abstract: str) -> str:
    return sha256_of(normalise(title).rstrip(". ") + "\n" + normalise(abstract))


def derive_id(title: str, abstract: str) -> str:
    """``p`` and 12 hexadecimal digits, the same wherever the same words were printed.

    Twelve digits are 48 bits: among a million papers the chance of any collision is 0.2 %.
    """
    return "p" + _fingerprint(title, abstract)[:12]


def identity_keys(paper: Paper) -> tuple[str, ...]:
    """Everything that names this paper, surest first; two papers that share a key are one.

    ``arxiv:`` and the id without version, ``doi:`` and the DOI in lower case (both also found in
    ``paper.url``), and always ``text:`` and the hash of title and abstract.
    """
    keys = []
    arxiv = arxiv_id_of(paper.arxiv_id) or arxiv_id_of(paper.url) or arxiv_id_of(paper.doi)
    if arxiv:
        keys.append(f"arxiv:{arxiv}")
    doi = doi_of(paper.doi) or doi_of(paper.url)
    # arXiv's own DOI says nothing that the arXiv id doesn't.
    if doi and not _ARXIV_DOI.fullmatch(doi):
        keys.append(f"doi:{doi}")
    keys.append(f"text:{_fingerprint(paper.title, paper.abstract)}")
    return tuple(keys)
