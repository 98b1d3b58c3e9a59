from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
from tests.support.openai_server import OpenAIServer, Seen, replying

from citewise.cli import _parser, main
from citewise.library.embedding import MiniLM
from citewise.library.library import Library

ROOT = Path(__file__).resolve().parents[1]
QUESTION = "Which papers speed up speculative decoding?"
OFF_TOPIC = "How long should a sourdough loaf rise?"
PAPER = {"id", "title", "authors", "author_count", "published", "url", "source", "organization"}
SPAN = {"start", "end", "text", "sha256"}


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on standard output; anything beside it is a fault."""
        assert self.out.endswith("\n")
        assert "\n" not in self.out[:-1]
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


Cite = Callable[..., Ran]


@pytest.fixture(scope="module")
def folder(sample_library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample library's folder, copied: commands open and close it as they like."""
    copy = tmp_path_factory.mktemp("cli") / "library"
    shutil.copytree(sample_library.path, copy)
    return copy


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the person who runs the tests decides one."""
    for name in ("CITEWISE_LIBRARY", "CITEWISE_BACKEND", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def cite(folder: Path, capsys: pytest.CaptureFixture[str]) -> Cite:
    """Run the command in this process, on the sample library unless another is named."""

    def run(*words: str | Path, library: Path | None = folder) -> Ran:
        named = [] if library is None else ["--library", str(library)]
        with pytest.raises(SystemExit) as ended:
            main([*map(str, words[:1]), *named, *map(str, words[1:])])
        captured = capsys.readouterr()
        status = ended.value.code
        assert isinstance(status, int)
        assert "Traceback" not in captured.err
        return Ran(status, captured.out, captured.err)

    return run


def heed_interrupts() -> None:
    """A shell has the jobs that it runs in the background ignore Ctrl-C: undo that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*words: str | Path, **more: Any) -> subprocess.Popen[str]:
    """The command as a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "NO_COLOR": "1", **more.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-m", "citewise", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=env,
        **more,
        preexec_fn=heed_interrupts,
    )


def one_line(text: str) -> str:
    """The text, which is one line and says no more than a person wants to know."""
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if line.strip() and not line.endswith(" ...")]
    assert len(lines) == 1, text
    return lines[0]


def write_lines(path: Path, *values: object) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), "utf-8")
    return path


RECORDS = (
    {"id": "a-1", "title": "Lantern", "abstract": "Lantern halves the memory of the cache."},
    {"id": "a-2", "title": "Harbor", "abstract": "Harbor needs no training at all."},
)


# -- ingest -----------------------------------------------------------------------------------


def test_ingest_says_what_it_did_and_again_that_nothing_changed(cite: Cite, tmp_path: Path) -> None:
    records = write_lines(tmp_path / "mine.jsonl", *RECORDS, {"title": "No abstract"})
    library = tmp_path / "new"
    first = cite("ingest", records, library=library)
    assert first.status == 0, "a rejected record is no failure unless --strict"
    assert first.out.startswith("2 added, 0 updated, 0 unchanged, 0 duplicate, 1 rejected")
    assert re.search(r"mine\.jsonl:3: rejected: .*abstract", first.err)
    again = cite("ingest", records, "--json", "--strict", library=library)
    assert again.status == 1
    counts = again.json
    assert {"added", "updated", "unchanged", "duplicate", "rejected"} <= counts.keys()
    assert (counts["added"], counts["unchanged"], counts["papers"]) == (0, 2, 2)
    [rejected] = counts["rejected"]
    assert {"file", "line", "reason"} <= rejected.keys()
    assert (rejected["file"], rejected["line"]) == ("mine.jsonl", 3)
    changed = write_lines(
        tmp_path / "mine.jsonl", RECORDS[0], {**RECORDS[1], "abstract": "Harbor needs a day."}
    )
    updated = cite("ingest", changed, "--json", library=library).json
    assert (updated["updated"], updated["unchanged"], updated["papers"]) == (1, 1, 2)


def test_ingest_reads_standard_input(tmp_path: Path) -> None:
    records = write_lines(tmp_path / "mine.jsonl", *RECORDS)
    ran = subprocess.run(
        [sys.executable, "-m", "citewise", "ingest", "-", "--json", "--library", tmp_path / "new"],
        input=records.read_bytes(),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        timeout=60,
        check=True,
    )
    assert json.loads(ran.stdout)["added"] == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"\x89PNG\r\n\x1a\n\x00\xff" * 40, "text"), (b"Dear diary\n", "--format")],
)
def test_ingest_of_something_else_fails_in_words(
    content: bytes, said: str, cite: Cite, tmp_path: Path
) -> None:
    (tmp_path / "thing.txt").write_bytes(content)
    ran = cite("ingest", tmp_path / "thing.txt", library=tmp_path / "new")
    assert ran.status == 1
    assert "thing.txt" in one_line(ran.err)
    assert said in ran.err


def test_interrupted_ingest_leaves_the_library_whole(tmp_path: Path, corpus: Path) -> None:
    library = tmp_path / "interrupted"
    page = sorted(corpus.glob("*.txt"), key=lambda page: page.stat().st_size)[2]
    process = start("ingest", page, "--library", library)
    deadline = time.monotonic() + 60
    # In the middle: the papers are there, their vectors are being made.
    while not (library / "vectors" / "chroma.sqlite3").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "Interrupted." in err
    assert "Traceback" not in err
    with Library.open(library) as opened:
        assert opened.check() == []
        assert opened.find("speculative decoding", 3).hits
        again = opened.ingest(page)
        assert (again.added, again.updated, again.rejected) == (0, 0, ())


# -- search -----------------------------------------------------------------------------------


def test_search_ranks_papers_for_people_and_programs(cite: Cite) -> None:
    said = cite("search", "speculative decoding", "-k", "3")
    assert said.status == 0
    assert re.findall(r"^ +(\d)\. ", said.out, re.MULTILINE) == ["1", "2", "3"]
    found = cite("search", "speculative decoding", "-k", "3", "--json").json
    assert {"query", "hits", "timings_ms"} <= found.keys()
    assert found["query"] == "speculative decoding"
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3]
    for hit in found["hits"]:
        assert {"rank", "paper", "score", "passage"} <= hit.keys()
        assert hit["paper"].keys() >= PAPER
        assert hit["passage"].keys() == SPAN
        assert hit["paper"]["title"] in said.out


def test_a_deep_search_says_what_reading_the_papers_made_of_them(cite: Cite) -> None:
    words = ("search", "draft tokens ahead to decode faster", "-v", "-k", "3")
    assert "read beside the query" not in cite(*words).out
    assert cite(*words, "--effort", "deep").out.count("read beside the query: log-odds") == 3
    assert cite(*words, "--effort", "deeper").status == 2
    one = cite(*words, "--json").json["hits"][0]["paper"]["id"]
    refused = cite("search", "--like", one, "--effort", "deep")
    assert refused.status == 2
    assert "--like has none" in refused.err


def test_filters_hold_in_search_ask_and_list(cite: Cite) -> None:
    hits = cite("search", "language models", "--since", "2024", "--json").json["hits"]
    assert hits
    assert all(hit["paper"]["published"] >= "2024" for hit in hits)
    listed = cite("papers", "list", "--until", "2023", "--json").json["papers"]
    assert listed
    assert all(paper["published"] < "2024" for paper in listed)
    one = cite("search", QUESTION, "--json").json["hits"][2]["paper"]["id"]
    only = cite("ask", QUESTION, "--paper", one, "--json").json
    assert {paper["paper_id"] for paper in only["retrieved"]} == {one}
    assert [p["id"] for p in cite("papers", "list", one, "--json").json["papers"]] == [one]
    assert cite("papers", "list", "--source", "nobody", "--json").json == {"papers": []}


def test_a_date_that_is_none_is_wrong_usage(cite: Cite) -> None:
    for words in (("search", "x"), ("ask", "x"), ("papers", "list")):
        ran = cite(*words, "--since", "yesterday", "--json")
        assert ran.status == 2
        assert "yesterday" in ran.json["error"]
        assert "yesterday" in one_line(ran.err)


# -- ask --------------------------------------------------------------------------------------


def test_ask_prints_a_cited_answer_with_its_sources(cite: Cite) -> None:
    ran = cite("ask", QUESTION)
    assert ran.status == 0
    # A list says of how many papers it was judged.
    assert ran.err == "" or one_line(ran.err).endswith("were searched.")
    answer, _, sources = ran.out.partition("Sources")
    assert "**" not in answer
    assert "[1]" in answer
    cited = set(re.findall(r" \[(\d+)\]", answer))
    assert cited == set(re.findall(r"^\[(\d+)\] ", sources, re.MULTILINE))


def test_ask_gives_the_interface_s_answer(cite: Cite) -> None:
    answer = cite("ask", "--json", QUESTION).json
    assert {
        "id", "question", "standalone_question", "answer", "answered", "sentences", "citations",
        "retrieved", "confidence", "backend", "effort", "usage", "timings_ms", "library",
    } <= answer.keys()  # fmt: skip
    assert answer["answered"] is True
    assert answer["question"] == QUESTION
    assert {"prompt_tokens", "completion_tokens", "calls", "cost"} == answer["usage"].keys()
    assert {"retrieve", "write", "check", "total"} <= answer["timings_ms"].keys()
    assert 0 <= answer["confidence"] <= 1
    for sentence in answer["sentences"]:
        assert {"text", "citations", "support", "verdict"} <= sentence.keys()
        assert sentence["verdict"] in ("supported", "partly", "unsupported", "uncited")
    for n, citation in enumerate(answer["citations"], 1):
        assert {"n", "paper", "spans"} <= citation.keys()
        assert citation["n"] == n
        assert citation["paper"].keys() >= PAPER
        assert all(span.keys() == SPAN for span in citation["spans"])
    for paper in answer["retrieved"]:
        assert {"rank", "paper_id", "title", "score"} <= paper.keys()


def test_ask_prints_the_answer_again_where_the_check_changed_it(
    cite: Cite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    lie = "Napoleon ate 977 kg of cheese [1]."

    def reply(request: Seen) -> str:
        quoted = re.search(r"^\[1\] \(.*?\) (.+?)\.?$", request.last_user_turn, re.MULTILINE)
        assert quoted is not None
        return f"{quoted[1]} [1]. It is well known. {lie}"

    with OpenAIServer(replying(reply)) as server:
        ran = cite("ask", "--backend", server.spec(), QUESTION)
    assert ran.status == 0
    streamed, _, final = ran.out.partition("The answer after the check:")
    assert "977 kg" in streamed
    assert "(?unsupported" in streamed
    assert "977 kg" not in final
    assert "It is well known. (?uncited" in final
    assert "1 sentence was dropped" in ran.err
    unchanged = cite("ask", QUESTION)
    assert "after the check" not in unchanged.out


def test_ask_declines_what_the_papers_do_not_hold(cite: Cite) -> None:
    ran = cite("ask", OFF_TOPIC)
    assert ran.status == 0, "to say that nothing is there is work done"
    assert "don't answer that" in ran.out
    assert "Sources" not in ran.out
    answer = cite("ask", OFF_TOPIC, "--json").json
    assert answer["answered"] is False
    assert answer["citations"] == []
    assert answer["retrieved"]


def test_words_need_no_quotes(cite: Cite) -> None:
    assert cite("ask", "--json", *OFF_TOPIC.split()).json["question"] == OFF_TOPIC


@pytest.mark.parametrize(
    "words", [("ask", "what is \udcff decoding"), ("search", "a \udcff model")]
)
def test_bytes_that_are_no_text_are_no_obstacle(words: tuple[str, ...], cite: Cite) -> None:
    assert cite(*words, "--json").status == 0


def test_escape_codes_in_a_paper_do_not_reach_the_terminal(cite: Cite, tmp_path: Path) -> None:
    evil = {"title": "Lantern\x1b]0;owned\x07", "abstract": "Lantern\x1b[2J halves all memory."}
    library = tmp_path / "new"
    cite("ingest", write_lines(tmp_path / "evil.jsonl", evil), library=library)
    for words in (("ask", "What does Lantern halve?"), ("search", "Lantern"), ("papers", "list")):
        ran = cite(*words, library=library)
        assert "Lantern" in ran.out
        assert "\x1b" not in ran.out + ran.err


def test_a_backend_that_cannot_be_used_says_what_to_do(cite: Cite) -> None:
    ran = cite("ask", "--backend", "openai:some-model", QUESTION)
    assert ran.status == 1
    assert "OPENAI_API_KEY" in one_line(ran.err)
    assert "extractive" in ran.err
    assert cite("ask", "--backend", "nobody", QUESTION).status == 2


# -- check, verify ----------------------------------------------------------------------------


def test_check_says_whether_words_back_a_claim(cite: Cite) -> None:
    text = "Lantern halves the memory of the cache."
    held = cite("check", "Lantern halves the memory.", text, "--json")
    assert held.status == 0
    assert {"support", "supported", "reasons"} <= held.json.keys()
    assert held.json["supported"] is True
    wrong = cite("check", "Lantern doubles speed by 90%.", text, "--json").json
    assert wrong["supported"] is False
    assert wrong["reasons"]
    assert wrong["support"] < held.json["support"]
    assert cite("check", "Lantern doubles speed by 90%.", text).out.startswith("unsupported (0.")


def test_verify_proves_a_saved_answer_and_names_what_was_changed(
    cite: Cite, tmp_path: Path
) -> None:
    saved = tmp_path / "answer.json"
    saved.write_text(cite("ask", QUESTION, "--json").out, "utf-8")
    proved = cite("verify", saved)
    assert proved.status == 0
    assert "all hold" in proved.out
    answer = json.loads(saved.read_text("utf-8"))
    answer["citations"][0]["spans"][0]["sha256"] = "0" * 64
    write_lines(saved, answer)
    ran = cite("verify", saved)
    assert ran.status == 1
    assert answer["id"] in ran.out
    assert "hash" in ran.out
    told = cite("verify", saved, "--json")
    assert told.status == 1
    assert told.json["proved"] is False
    [failure] = told.json["failures"]
    assert failure["answer"] == answer["id"]


@pytest.mark.parametrize(
    "content", ["", "no json\n", "[]", "{}", "[1]", '{"id": 1}', "\ufeffx", '{"sentences": 1}']
)
@pytest.mark.parametrize("json_wanted", [False, True])
def test_verify_of_something_else_fails_in_words(
    content: str, json_wanted: bool, cite: Cite, tmp_path: Path
) -> None:
    (tmp_path / "x.jsonl").write_text(content, "utf-8")
    ran = cite("verify", tmp_path / "x.jsonl", *(["--json"] if json_wanted else []))
    assert ran.status == 1
    assert not json_wanted or ran.json


def test_verify_survives_numbers_without_bounds(cite: Cite, tmp_path: Path) -> None:
    answer = cite("ask", QUESTION, "--json").json
    answer["citations"][0]["spans"][0]["start"] = float("inf")
    ran = cite("verify", write_lines(tmp_path / "x.jsonl", answer))
    assert ran.status == 1
    assert "not a whole answer" in ran.out


# -- papers -----------------------------------------------------------------------------------


def test_papers_list_and_show(cite: Cite) -> None:
    listed = cite("papers", "list", "--json").json["papers"]
    assert len(listed) == 475
    assert all(paper.keys() >= PAPER for paper in listed)
    assert len(cite("papers", "list").out.splitlines()) == 475
    shown = cite("papers", "show", listed[7]["id"], "--json").json["papers"]
    assert [paper["id"] for paper in shown] == [listed[7]["id"]]
    assert shown[0]["abstract"]
    assert shown[0]["places"]
    said = cite("papers", "show", listed[7]["id"]).out
    assert listed[7]["title"] in said
    assert "read from" in said


@pytest.mark.parametrize("action", ["show", "remove", "list", "export"])
def test_a_paper_that_is_not_there_is_said(action: str, cite: Cite) -> None:
    ran = cite("papers", action, "nosuch", "--json")
    assert ran.status == 1
    assert "nosuch" in ran.json["error"]


def test_papers_remove_removes_from_everything(cite: Cite, tmp_path: Path) -> None:
    library = tmp_path / "new"
    cite("ingest", write_lines(tmp_path / "mine.jsonl", *RECORDS), library=library)
    assert cite("papers", "remove", "a-1", "nosuch", library=library).status == 1
    assert len(cite("papers", "list", "--json", library=library).json["papers"]) == 2
    assert cite("papers", "remove", "a-1", "--json", library=library).json == {"removed": 1}
    hits = cite("search", "memory of the cache", "--json", library=library).json["hits"]
    assert [hit["paper"]["id"] for hit in hits] == ["a-2"]
    assert cite("info", "--json", library=library).json["papers"] == 1


def test_export_with_json_is_one_object(cite: Cite, tmp_path: Path) -> None:
    whole = cite("papers", "export", "--json").json["papers"]
    assert len(whole) == 475
    assert all(paper["abstract"] for paper in whole)
    out = tmp_path / "out.bib"
    told = cite("papers", "export", "--format", "bibtex", "--out", out, "--json").json
    assert told["exported"] == 475
    assert out.read_text("utf-8").count("@misc{") == 475


# -- info, doctor, eval -----------------------------------------------------------------------


def test_info_tells_what_the_library_holds(cite: Cite, folder: Path) -> None:
    told = cite("info", "--json").json
    assert (told["papers"], told["embedded"], told["path"]) == (475, 475, str(folder))
    assert {"passages", "sources", "disk_bytes", "embedder", "fingerprint"} <= told.keys()
    said = cite("info").out
    for value in ("475", told["fingerprint"], told["embedder"], "daily-papers"):
        assert value in said


def test_doctor_finds_a_sound_installation_sound(cite: Cite) -> None:
    ran = cite("doctor", "--json")
    assert ran.json["well"] is True, ran.json
    assert ran.status == 0
    assert all({"what", "well", "detail"} == finding.keys() for finding in ran.json["findings"])


@pytest.mark.parametrize("name", ["model.onnx", "questions.onnx"])
def test_doctor_sees_a_damaged_model(
    cite: Cite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with as_file(files("citewise") / "models" / "minilm") as folder:
        shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / name).write_bytes(b"damaged")
    monkeypatch.setattr("citewise.doctor.embedder_from", lambda _: MiniLM(tmp_path / "model"))
    ran = cite("doctor")
    assert ran.status == 1
    assert re.search(rf"^MEND encoder: .*{name} has sha256", ran.out, re.MULTILINE)


def test_doctor_sees_a_backend_that_is_down(cite: Cite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ran = cite("doctor", "--backend", f"openai-compatible:m@http://127.0.0.1:{port}/v1")
    assert ran.status == 1
    assert re.search(rf"^MEND backend in use: .*{port}", ran.out, re.MULTILINE)


def test_doctor_repair_makes_indexes_of_other_rules_again(cite: Cite, tmp_path: Path) -> None:
    library = tmp_path / "new"
    cite("ingest", write_lines(tmp_path / "mine.jsonl", *RECORDS), library=library)
    with contextlib.closing(sqlite3.connect(library / "papers.sqlite")) as store, store:
        store.execute("UPDATE meta SET value = 'cw-older' WHERE key = 'fingerprint'")
    assert "--repair" in one_line(cite("search", "cache", library=library).err)
    ran = cite("doctor", library=library)
    assert ran.status == 1
    assert "--repair" in ran.out
    assert cite("doctor", "--repair", library=library).status == 0
    hits = cite("search", "memory of the cache", "--json", library=library).json["hits"]
    assert hits[0]["paper"]["id"] == "a-1"
    assert cite("doctor", "--repair", library=tmp_path / "none").status == 1


# -- chat -------------------------------------------------------------------------------------


def test_chat_with_its_port_taken_says_so_in_one_line(cite: Cite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = cite("chat", "--port", str(port))
    assert ran.status == 1
    assert str(port) in one_line(ran.err)
    assert "--port" in ran.err
    assert cite("chat", "--port", "99999").status == 2


def test_chat_serves_the_page_until_it_is_interrupted(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = start("chat", "--json", "--port", str(port), "--library", folder)
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["papers"] == 475
    assert str(port) in ready["url"]
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode in (0, 130), err
    assert out == ""
    assert "Traceback" not in err


# -- what goes wrong around it ----------------------------------------------------------------

READING = [("search", "x"), ("ask", "x"), ("papers", "list"), ("info",)]


@pytest.mark.parametrize("words", READING)
def test_a_folder_that_is_no_library_is_said_in_one_line(
    words: tuple[str, ...], cite: Cite, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    ran = cite(*words, library=tmp_path)
    assert ran.status == 1
    assert "not a citewise library" in one_line(ran.err)
    missing = cite(*words, library=tmp_path / "missing")
    assert missing.status == 1
    assert "ingest" in one_line(missing.err)
    assert not (tmp_path / "missing").exists(), "asking makes no library"


@pytest.mark.parametrize("words", [("ingest", "--sample"), ("chat",)])
def test_writing_into_a_folder_of_other_things_is_refused(
    words: tuple[str, ...], cite: Cite, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    ran = cite(*words, library=tmp_path)
    assert ran.status == 1
    assert "not a citewise library" in one_line(ran.err)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["notes.txt"]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("ask",),
        ("ask", "  "),
        ("ask", "x", "--batch", "q.jsonl"),
        ("ask", "--batch", "q.jsonl"),
        ("ask", "x", "--effort", "enormous"),
        ("search",),
        ("search", "x", "-k", "0"),
        ("search", "x", "-k", "many"),
        ("search", "--batch", "q.jsonl"),
        ("check", "claim"),
        ("check", "--batch", "p.jsonl"),
        ("papers",),
        ("papers", "show"),
        ("papers", "export", "--format", "docx"),
        ("ingest",),
        ("verify",),
        ("eval", "nosuch"),
        ("ask", "--batch", "nosuch.jsonl", "--out", "out.jsonl"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_why(
    words: tuple[str, ...], cite: Cite, folder: Path, tmp_path: Path
) -> None:
    ran = cite(*words, library=folder) if words else cite(library=None)
    assert ran.status == 2
    assert ran.out == ""
    assert ran.err.strip()


@pytest.mark.parametrize(
    "words",
    [
        ("papers", "export", "--out", "{no}/papers.jsonl"),
        ("search", "--batch", "{queries}", "--run", "{queries}/run.trec"),
        ("ask", "--batch", "{queries}", "--out", "{queries}/answers.jsonl"),
        ("check", "--batch", "{pairs}", "--out", "{pairs}/x.jsonl"),
    ],
)
def test_output_that_cannot_be_written_is_said_in_one_line(
    words: tuple[str, ...], cite: Cite, tmp_path: Path
) -> None:
    queries = write_lines(
        tmp_path / "queries.jsonl", {"_id": "1", "id": "1", "text": "x", "question": "x"}
    )
    pairs = write_lines(tmp_path / "pairs.jsonl", {"id": 1, "claim": "x", "evidence": "x"})
    filled = [w.format(no=tmp_path / "no" / "such", queries=queries, pairs=pairs) for w in words]
    ran = cite(*filled)
    assert ran.status == 1
    assert str(tmp_path) in one_line(ran.err)


def test_json_is_utf8_whatever_the_terminal_speaks(folder: Path) -> None:
    env = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    process = start("papers", "export", "--format", "ris", "--library", folder, env=env)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "γ" in out


def test_a_reader_that_has_seen_enough_is_no_failure(folder: Path) -> None:
    process = start("papers", "export", "--library", folder)
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0
    assert err == ""


# -- help -------------------------------------------------------------------------------------


def _commands() -> dict[str, argparse.ArgumentParser]:
    for action in _parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("the command has no commands")


INTERFACE = {
    "ingest": {"--format", "--strict"},
    "search": {"-k", "--batch", "--run"},
    "ask": {"--backend", "--effort", "--batch", "--out"},
    "check": {"--batch", "--out"},
    "verify": set(),
    "chat": {"--host", "--port"},
    "eval": {"--backend", "--split", "--out", "--gate"},
    "papers": {"--format", "--out"},
    "info": set(),
    "doctor": set(),
}
FILTERS = {"--since", "--until", "--source", "--author", "--paper"}
EVERYWHERE = {"--library", "--json", "--quiet", "-q", "--verbose", "-v"}


@pytest.mark.parametrize("name", sorted(_commands()))
def test_help_names_every_option(name: str, cite: Cite) -> None:
    ran = cite(name, "--help", library=None)
    assert ran.status == 0
    assert ran.err == ""
    parser = _commands()[name]
    told = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", ran.out))
    options = {option for action in parser._actions for option in action.option_strings}
    assert options <= told
    assert INTERFACE.get(name, set()) | EVERYWHERE <= options
    assert (options >= FILTERS) == (name in ("search", "ask", "papers"))
    for action in parser._actions:
        assert action.help or action.choices or action.metavar or action.option_strings


def test_help_names_every_command(cite: Cite) -> None:
    ran = cite("--help", library=None)
    assert ran.status == 0
    assert all(re.search(rf"^ +{name} ", ran.out, re.MULTILINE) for name in _commands())
    assert set(INTERFACE) <= set(_commands())


def test_version_is_the_package_s(cite: Cite) -> None:
    ran = cite("--version", library=None)
    assert ran.status == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", ran.out)


# -- the README -------------------------------------------------------------------------------


def _python_blocks() -> list[str]:
    readme = ROOT / "README.md"
    text = readme.read_text("utf-8") if readme.exists() else ""
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def test_the_readme_s_python_runs(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = _python_blocks()
    if not blocks:
        pytest.skip("README.md has no Python yet")
    # Its example ingests a file of the reader's own and asks a library of the reader's own.
    shutil.copytree(folder, tmp_path / "my-library")
    (tmp_path / "eval").symlink_to(ROOT / "eval")
    write_lines(tmp_path / "papers.jsonl", *RECORDS)
    monkeypatch.setenv("CITEWISE_LIBRARY", str(tmp_path / "my-library"))
    names: dict[str, Any] = {"__name__": "readme"}
    with _inside(tmp_path):
        for block in blocks:
            flags = compile("0", "x", "eval").co_flags
            code = compile(block, "README.md", "exec", flags=flags)
            exec(code, names)  # noqa: S102 - our own README
