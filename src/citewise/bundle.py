"""A folder that proves itself: answers with the abstracts they quote, for people and programs.

``answers.md`` is for reading, ``papers.bib`` for a reference manager; ``answers.jsonl`` and
``papers.jsonl`` hold everything the proof needs, and ``manifest.json`` names each file with its
SHA-256. The hashes find what was changed by accident or by a hand that forgot one of the files.
Whoever rewrites all of them consistently is found only by verifying against a library, which
holds the papers from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citewise.errors import AnswerFileError, UsageError
from citewise.export import to_bibtex
from citewise.grounding.verify import Failure, verify_answer
from citewise.types import Json, Paper, sha256_of

FORMAT = 1
MANIFEST, ANSWERS, PAPERS = "manifest.json", "answers.jsonl", "papers.jsonl"
READABLE, REFERENCES = "answers.md", "papers.bib"
FILES = (ANSWERS, PAPERS, READABLE, REFERENCES)
LARGEST_FILE = 64 * 2**20
"""Bytes; a larger file in a stranger's bundle is not read."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!~$])")


@dataclass(frozen=True, slots=True)
class Proof:
    """What verifying found."""

    answers: int
    spans: int
    """Quoted words, all answers together."""
    failures: tuple[Failure, ...]

    @property
    def proved(self) -> bool:
        """Whether everything holds."""
        return not self.failures

    def to_dict(self) -> Json:
        """The fields by name."""
        return {
            "answers": self.answers,
            "spans": self.spans,
            "proved": self.proved,
            "failures": [failure.to_dict() for failure in self.failures],
        }


def prove(answers: Iterable[Mapping[str, Any]], papers: Mapping[str, Paper]) -> Proof:
    """Verify saved answers (interface objects) against papers by id.

    Never raises: what is not a whole answer is a failure by its id.
    """
    failures: list[Failure] = []
    count = spans = 0
    for answer in answers:
        count += 1
        name = str(answer.get("id"))
        if "error" in answer:
            failures.append(Failure(name, f"was not answered: {answer['error']}"))
            continue
        try:
            failures += verify_answer(answer, papers)
            spans += sum(len(citation["spans"]) for citation in answer["citations"])
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            failures.append(Failure(name, f"is not a whole answer ({error!r})"))
    return Proof(count, spans, tuple(failures))


def quoted_ids(answer: Mapping[str, Any]) -> list[str]:
    """Ids of the papers that a saved answer cites; empty for what is no answer."""
    try:
        return [str(citation["paper"]["id"]) for citation in answer.get("citations") or []]
    except (KeyError, TypeError):
        return []


def answers_markdown(answers: Sequence[Mapping[str, Any]]) -> str:
    """Saved answers for reading: question, answer, and the quoted words under each source.

    What papers say is escaped, so that no title or abstract becomes markup.
    """
    parts = []
    for answer in answers:
        lines = [f"# {_escaped(str(answer['question']))}", "", str(answer["answer"]).strip(), ""]
        if answer["citations"]:
            lines += ["## Sources", ""]
        for citation in answer["citations"]:
            paper = citation["paper"]
            known = [paper.get("published"), paper.get("url")]
            extra = ", ".join(_escaped(str(value)) for value in known if value)
            lines += [f"[{citation['n']}] {_escaped(str(paper['title']))}", ""]
            if extra:
                lines[-2] += f" ({extra})"
            for span in citation["spans"]:
                quoted = _escaped(" ".join(str(span["text"]).split()))
                lines += [f"> {quoted}", "", f"(characters {span['start']} to {span['end']})", ""]
        parts.append("\n".join(lines).rstrip() + "\n")
    return "\n---\n\n".join(parts)


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def write_bundle(
    answers: Sequence[Mapping[str, Any]], papers: Mapping[str, Paper], folder: str | Path
) -> Path:
    """Write ``answers`` (interface objects) and the ``papers`` they cite into ``folder``.

    The folder is created; it may exist if it is empty or holds a bundle, which is replaced. The
    manifest is written last: a bundle without one is not whole. Raises UsageError for a folder
    with anything else in it, and for an answer whose cited papers are not all given.
    """
    target = Path(folder)
    known = {MANIFEST, *FILES}
    try:
        strangers = sorted(p.name for p in target.iterdir() if p.name not in known)
    except FileNotFoundError:
        strangers = []
    except OSError as error:
        raise UsageError(f"{target} cannot hold a bundle: {error.strerror}.") from error
    if strangers:
        raise UsageError(
            f"{target} holds other files ({strangers[0]}); name a new or empty folder."
        )
    cited = {ident: papers.get(ident) for answer in answers for ident in quoted_ids(answer)}
    gone = [ident for ident, paper in cited.items() if paper is None]
    if gone:
        raise UsageError(
            f"The paper {gone[0]} is cited but no longer in the library; without its abstract "
            "a bundle proves nothing. Leave that answer out, or ingest the paper again."
        )
    quoted = [paper for paper in cited.values() if paper is not None]
    contents = {
        ANSWERS: "".join(json.dumps(dict(a), ensure_ascii=False) + "\n" for a in answers),
        PAPERS: "".join(_paper_line(paper) for paper in quoted),
        READABLE: answers_markdown(answers),
        REFERENCES: "".join(to_bibtex(quoted)),
    }
    files = {}
    try:
        target.mkdir(parents=True, exist_ok=True)
        (target / MANIFEST).unlink(missing_ok=True)
        for name, text in contents.items():
            data = text.encode("utf-8", "surrogatepass")
            (target / name).write_bytes(data)
            files[name] = hashlib.sha256(data).hexdigest()
        manifest = {"format": FORMAT, "made_by": "citewise", "files": files}
        (target / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise UsageError(f"The bundle cannot be written to {target}: {error.strerror}.") from error
    return target


def _paper_line(paper: Paper) -> str:
    value = {**paper.to_dict(abstract=True), "abstract_sha256": sha256_of(paper.abstract)}
    return json.dumps(value, ensure_ascii=False) + "\n"


def is_bundle(path: str | Path) -> bool:
    """Whether ``path`` is a folder, and so to be verified as a bundle."""
    return Path(path).is_dir()


def verify_bundle(folder: str | Path) -> Proof:
    """Prove a bundle by itself, without any library.

    Every file must have its hash, every abstract its own, and every answer is verified against the
    abstracts in the bundle. Only files of a bundle's own names are read, none that is a link or
    larger than 64 MiB. Raises AnswerFileError when the folder holds no bundle.
    """
    source = Path(folder)
    try:
        manifest = json.loads(_content(source, MANIFEST))
        files = {str(name): str(digest) for name, digest in manifest["files"].items()}
        form = manifest["format"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AnswerFileError(f"{source / MANIFEST} is not a bundle's manifest.") from error
    if form != FORMAT:
        raise AnswerFileError(
            f"{source} is a bundle of format {form!r}; this version reads format {FORMAT}."
        )
    failures = []
    contents: dict[str, bytes] = {}
    for name in FILES:
        try:
            contents[name] = _content(source, name)
        except AnswerFileError as error:
            failures.append(Failure("bundle", str(error)))
            contents[name] = b""
            continue
        if hashlib.sha256(contents[name]).hexdigest() != files.get(name):
            failures.append(Failure("bundle", f"{name} was changed after the bundle was made"))
    papers: dict[str, Paper] = {}
    for number, record in _lines(contents[PAPERS], PAPERS, failures):
        try:
            paper = Paper(str(record["id"]), str(record["title"]), str(record["abstract"]))
            whole = sha256_of(paper.abstract) == record["abstract_sha256"]
        except KeyError as error:
            failures.append(Failure("bundle", f"{PAPERS}:{number}: {error} is missing"))
            continue
        if not whole:
            what = f"the abstract of {paper.id} does not have its hash"
            failures.append(Failure("bundle", what))
        papers[paper.id] = paper
    answers = [answer for _, answer in _lines(contents[ANSWERS], ANSWERS, failures)]
    proof = prove(answers, papers)
    if not answers:
        failures.append(Failure("bundle", f"{ANSWERS} holds no answers"))
    return Proof(proof.answers, proof.spans, (*failures, *proof.failures))


def _content(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise AnswerFileError(f"{folder} holds no {name}; it is not a whole bundle.")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise AnswerFileError(f"{path} is larger than {LARGEST_FILE >> 20} MiB; not read.")
        return path.read_bytes()
    except OSError as error:
        raise AnswerFileError(f"{path} cannot be read: {error.strerror}.") from error


def _lines(
    content: bytes, name: str, failures: list[Failure]
) -> Iterable[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers; others become failures."""
    try:
        text = content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        failures.append(Failure("bundle", f"{name} is not UTF-8"))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            yield number, value
        else:
            failures.append(Failure("bundle", f"{name}:{number}: not a JSON object"))
