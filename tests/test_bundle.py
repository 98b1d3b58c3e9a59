from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from citewise.answering.assistant import Assistant
from citewise.bundle import Proof, prove, verify_bundle, write_bundle
from citewise.errors import AnswerFileError, UsageError
from citewise.library.library import Library
from citewise.sources import read
from citewise.types import Paper, sha256_of


@pytest.fixture(scope="module")
def made(sample_library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    assistant = Assistant(sample_library)
    answers = [
        assistant.ask("Which papers speed up speculative decoding?"),
        assistant.ask("How do I bake sourdough bread?"),
    ]
    assert answers[0].answered
    assert not answers[1].answered
    papers = {c.paper.id: c.paper for answer in answers for c in answer.citations}
    folder = tmp_path_factory.mktemp("made") / "bundle"
    return write_bundle([answer.to_dict() for answer in answers], papers, folder)


@pytest.fixture
def bundle(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "bundle"))


def whats(proof: Proof) -> str:
    return "; ".join(failure.what for failure in proof.failures)


def test_a_bundle_proves_itself_without_a_library(bundle: Path) -> None:
    proof = verify_bundle(bundle)
    assert proof.proved
    assert proof.answers == 2
    assert proof.spans > 1
    assert sorted(p.name for p in bundle.iterdir()) == [
        "answers.jsonl", "answers.md", "manifest.json", "papers.bib", "papers.jsonl",
    ]  # fmt: skip


def test_a_bundle_reads_well_and_its_papers_can_be_ingested(bundle: Path) -> None:
    text = (bundle / "answers.md").read_text("utf-8")
    answer = json.loads((bundle / "answers.jsonl").read_text("utf-8").split("\n", 1)[0])
    assert text.startswith("# Which papers speed up speculative decoding?")
    assert answer["answer"].strip() in text
    cited = {c["paper"]["id"] for c in answer["citations"]}
    for name in ("papers.jsonl", "papers.bib"):
        records = list(read(bundle / name))
        assert len([r for r in records if isinstance(r, Paper)]) == len(cited)
    assert f"[{len(cited)}] " in text


def change_line(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    lines = path.read_text("utf-8").splitlines()
    value = json.loads(lines[0])
    change(value)
    path.write_text("\n".join([json.dumps(value), *lines[1:]]) + "\n", "utf-8")


def hash_again(bundle: Path) -> None:
    """What a forger does who knows about the manifest."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    path.write_text(json.dumps(manifest), "utf-8")


def better_number(answer: dict[str, Any]) -> None:
    answer["sentences"][0]["text"] = "It is 970 times faster than ever before."


def other_abstract(paper: dict[str, Any]) -> None:
    paper["abstract"] = "Nothing of the kind. " + paper["abstract"]


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("answers.jsonl", better_number, "sentence 1 is not in the answer's text"),
        ("papers.jsonl", other_abstract, "does not have its hash"),
    ],
)
def test_a_changed_file_is_named_and_hashing_it_again_does_not_help(
    name: str, change: Callable[[dict[str, Any]], None], told: str, bundle: Path
) -> None:
    change_line(bundle / name, change)
    proof = verify_bundle(bundle)
    assert f"{name} was changed" in whats(proof)
    hash_again(bundle)
    proof = verify_bundle(bundle)
    assert "was changed" not in whats(proof)
    assert told in whats(proof)


def test_an_abstract_changed_with_its_hash_no_longer_holds_the_quotes(bundle: Path) -> None:
    def change(paper: dict[str, Any]) -> None:
        other_abstract(paper)
        paper["abstract_sha256"] = sha256_of(paper["abstract"])

    change_line(bundle / "papers.jsonl", change)
    hash_again(bundle)
    assert "the abstract of" in whats(verify_bundle(bundle))


def test_a_removed_paper_and_a_missing_file_are_named(bundle: Path) -> None:
    papers = bundle / "papers.jsonl"
    first, rest = papers.read_text("utf-8").split("\n", 1)
    papers.write_text(rest, "utf-8")
    assert f"the paper {json.loads(first)['id']} is not" in whats(verify_bundle(bundle))
    papers.unlink()
    assert "holds no papers.jsonl" in whats(verify_bundle(bundle))


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 9, "files": {}}', b"\xff\xfe", b"[" * 9999],
)
def test_what_is_no_bundle_is_said_in_words(content: bytes, bundle: Path) -> None:
    (bundle / "manifest.json").write_bytes(content)
    with pytest.raises(AnswerFileError):
        verify_bundle(bundle)


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"[1]\n", b"{}\n", b'{"id": 1}\n', b""])
@pytest.mark.parametrize("name", ["answers.jsonl", "papers.jsonl"])
def test_spoiled_files_fail_the_proof_and_never_raise(
    content: bytes, name: str, bundle: Path
) -> None:
    (bundle / name).write_bytes(content)
    hash_again(bundle)
    assert not verify_bundle(bundle).proved


def test_links_out_of_a_bundle_are_not_followed(bundle: Path, tmp_path: Path) -> None:
    outside = tmp_path / "papers.jsonl"
    shutil.move(bundle / "papers.jsonl", outside)
    (bundle / "papers.jsonl").symlink_to(outside)
    assert not verify_bundle(bundle).proved


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine", "utf-8")
    with pytest.raises(UsageError, match=r"thesis\.tex"):
        write_bundle([], {}, tmp_path)
    assert (tmp_path / "thesis.tex").read_text("utf-8") == "mine"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_bundle_needs_the_abstracts_it_quotes(made: Path, tmp_path: Path) -> None:
    answer = json.loads((made / "answers.jsonl").read_text("utf-8").split("\n", 1)[0])
    with pytest.raises(UsageError, match="no longer in the library"):
        write_bundle([answer], {}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_titles_and_quotes_stay_text_in_the_readable_file(tmp_path: Path) -> None:
    paper: Mapping[str, Any] = {"id": "x", "title": "A <b>bold</b> [link](http://evil)"}
    answer = {
        "id": "a", "question": "what # is *this*?", "answer": "Nothing.", "sentences": [],
        "answered": False, "citations": [{"n": 1, "paper": paper, "spans": []}],
    }  # fmt: skip
    folder = write_bundle([answer], {"x": Paper("x", paper["title"], "Text.")}, tmp_path / "b")
    text = (folder / "answers.md").read_text("utf-8")
    assert r"\<b\>bold\</b\> \[link\](http://evil)" in text
    assert r"# what \# is \*this\*?" in text


def test_prove_names_what_is_no_answer() -> None:
    proof = prove([{"id": "x"}, {"id": "y", "error": "the server was away"}], {})
    assert [failure.answer for failure in proof.failures] == ["x", "y"]
    assert proof.answers == 2
