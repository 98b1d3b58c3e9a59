"""Keys stay where they belong, and nothing reaches beyond this machine."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import subprocess
import sys
import textwrap
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support import openai_server as servers
from tests.support.openai_server import OpenAIServer, Seen

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-MARKED-9d3c71e5a2"
MARK = b"9d3c71e5a2"
"""Searched for in everything that is written: half a key is no less a leak."""

# Every logger of the process at debug, into the same stream as everything else; and each address
# that Python looks up or connects to. (What the native parts of Chroma, tantivy and onnxruntime
# do is not seen by an audit hook: CI runs without a network.)
RUNNER = textwrap.dedent(
    """
    import logging, sys
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    logging.getLogger("citewise").setLevel(logging.DEBUG)

    def watch(event, args):
        if event == "socket.connect":
            address = args[1]
            host = address[0] if isinstance(address, tuple) else "unix"
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            host = args[0]
        elif event in ("socket.sendto", "urllib.Request"):
            host = str(args[-1])
        else:
            return
        sys.__stderr__.write(f"REACHED {host}\\n")

    sys.addaudithook(watch)
    from citewise.cli import main
    sys.exit(main(sys.argv[1:]))
    """
)


def command(folder: Path, *arguments: str, key: str = KEY) -> tuple[list[str], dict[str, str]]:
    """The command with its environment, a marked key in it; it may write into ``folder``."""
    own = {name: str(folder / name.lower()) for name in ("HOME", "TMPDIR", "XDG_CONFIG_HOME")}
    for path in own.values():
        Path(path).mkdir(parents=True, exist_ok=True)
    env = {
        **{name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")},
        **own,
        "PYTHONPATH": str(ROOT / "src"),
        "OPENAI_API_KEY": key,
        "CITEWISE_API_KEY": key,
        "OPENAI_LOG": "debug",
        "NO_PROXY": "127.0.0.1",
        "PYTHONFAULTHANDLER": "1",
    }
    return [sys.executable, "-c", RUNNER, *arguments], env


def run(folder: Path, *arguments: str, key: str = KEY) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    line, env = command(folder, *arguments, key=key)
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, timeout=110, check=False)


def echo(exchange: servers.Exchange) -> None:
    """An error that repeats the key, as some servers do."""
    given = exchange.request.headers.get("authorization", "")
    exchange.json(400, {"error": {"message": f"bad key {given}", "code": given}})


def leaks(folder: Path, *outputs: bytes) -> list[str]:
    found = ["output" for output in outputs if MARK in output]
    for path in folder.rglob("*"):
        if path.is_file() and MARK in path.read_bytes():
            found.append(str(path))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small library in it."""
    folder = tmp_path_factory.mktemp("place")
    paper = {"title": "Lantern", "abstract": "Lantern halves the memory of the cache. It is fast."}
    (folder / "papers.jsonl").write_text(json.dumps(paper))
    done = run(folder, "ingest", "--library", "lib", "papers.jsonl")
    assert done.returncode == 0, done.stderr.decode()
    assert_here(done.stderr)
    return folder


def assert_here(output: bytes) -> None:
    reached = set(re.findall(r"^REACHED (.*)$", output.decode("utf-8", "replace"), re.MULTILINE))
    assert reached <= {"127.0.0.1", "localhost", "::1", "None", "unix"}, reached


ASK = ("ask", "--library", "lib", "-v", "How does Lantern change the memory of the cache?")


def test_an_answer_without_a_model_reaches_nobody(place: Path) -> None:
    done = run(place, *ASK)
    assert done.returncode == 0, done.stderr.decode()
    assert b"halves" in done.stdout
    assert_here(done.stderr)


def quoting(request: Seen) -> str:
    return (
        f"Lantern halves the memory of the cache [1]. {request.headers.get('authorization')} [1]."
    )


@pytest.mark.parametrize("behaviour", [servers.replying(quoting), echo])
def test_a_key_is_in_nothing_that_is_written(
    behaviour: servers.Behaviour, place: Path, tmp_path: Path
) -> None:
    """Also where the server gives it back, as an error or as its answer."""
    with OpenAIServer(behaviour) as server:
        done = run(place, *ASK, "--backend", server.spec(), "--bundle", str(tmp_path / "bundle"))
        assert server.requests
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert_here(done.stderr)
    assert b"DEBUG" in done.stderr, "the run was at debug level"
    assert leaks(place, done.stdout, done.stderr) == []
    assert leaks(tmp_path) == []


def asked_of_the_page(client: httpx.Client) -> str:
    """Everything that the page sends for a question: itself, its events, and both other doors."""
    pages = [client.get(path) for path in ("/", "/config", "/v1/models", "/healthz")]
    dependencies = pages[1].json()["dependencies"]
    body = {
        "data": [ASK[-1], "normal", None, None],
        "session_hash": "s1",
        "fn_index": next(int(d["id"]) for d in dependencies if d["api_name"] == "ask"),
    }
    assert client.post("/gradio_api/queue/join", json=body).status_code == 200
    text = "".join(page.text for page in pages)
    with (
        contextlib.suppress(httpx.RemoteProtocolError),
        client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "s1"}) as reply,
    ):
        text += "".join(reply.iter_text())
    assert "process_completed" in text
    turn = {"role": "user", "content": ASK[-1]}
    for stream in (False, True):
        sent = {"model": "citewise", "messages": [turn], "stream": stream}
        text += client.post("/v1/chat/completions", json=sent).text
    broken = client.post("/v1/chat/completions", content=b"{")
    assert broken.status_code >= 400
    return text + broken.text + client.get("/papers/export?format=jsonl").text


def test_a_key_is_in_nothing_that_the_page_sends_or_keeps(place: Path) -> None:
    """The server gives it back each time, in an answer, then in an error, then in an answer."""
    turns = itertools.cycle([servers.replying(quoting), echo])

    def behaviour(exchange: servers.Exchange) -> None:
        next(turns)(exchange)

    with OpenAIServer(behaviour) as server, (place / "page.log").open("w+b") as log:
        chat = ("chat", "--library", "lib", "-v", "--port", "0", "--backend", server.spec())
        line, env = command(place, *chat)
        with subprocess.Popen(line, cwd=place, env=env, stdout=log, stderr=log) as page:
            try:
                deadline = time.monotonic() + 100
                while not (url := re.search(rb"http://127\.0\.0\.1:\d+", written(place))):
                    assert page.poll() is None, written(place)
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                with httpx.Client(base_url=url[0].decode(), timeout=60) as client:
                    sent = asked_of_the_page(client)
            finally:
                page.terminate()
                page.wait(30)
        assert any(request.headers.get("authorization") for request in server.requests)
    assert MARK.decode() not in sent
    assert leaks(place) == [], "the log of the page and all that it keeps"
    assert_here(written(place))


def written(place: Path) -> bytes:
    return (place / "page.log").read_bytes()


def test_a_key_is_in_no_result_of_an_evaluation(place: Path) -> None:
    (place / "asked.jsonl").write_text(json.dumps({"id": "a", "question": ASK[-1]}) + "\n")
    with OpenAIServer(servers.replying(quoting)) as server:
        named = ("--library", "lib", "-v", "--backend", server.spec())
        batch = run(place, "ask", *named, "--batch", "asked.jsonl", "--out", "answers.jsonl")
        evaluated = run(place, "eval", "dev", "--limit", "1", *named, "--out", "results")
    assert batch.returncode == 0, batch.stderr.decode()
    assert (place / "answers.jsonl").read_text().strip()
    assert list((place / "results").rglob("*.jsonl")), evaluated.stderr.decode()
    outputs = [o for d in (batch, evaluated) for o in (d.stdout, d.stderr)]
    assert leaks(place, *outputs) == []


def test_a_key_is_in_no_traceback(place: Path) -> None:
    """A failure that nobody foresaw, told by Python with all its frames."""
    broken = (
        "import citewise.backends.openai as o\n"
        "def fail(self, *a, **k): raise RuntimeError(f'unforeseen {self!r} {vars(self)!r}')\n"
        "o.OpenAIChat.stream = fail\n"
    )
    line, env = command(place, *ASK, "--backend", "openai-compatible:m@http://127.0.0.1:9/v1")
    line[2] = line[2].replace("from citewise.cli", broken + "from citewise.cli")
    done = subprocess.run(line, cwd=place, env=env, capture_output=True, timeout=110, check=False)
    assert done.returncode != 0
    assert b"unforeseen" in done.stderr
    assert leaks(place, done.stdout, done.stderr) == []


def test_a_redirect_to_another_host_never_carries_the_key(place: Path) -> None:
    with OpenAIServer("Never.") as other:
        behaviour = servers.redirecting(other.url.replace("127.0.0.1", "localhost") + "/x")
        with OpenAIServer(behaviour) as server:
            done = run(place, *ASK, "--backend", server.spec())
    assert done.returncode == 1
    assert other.requests == []
    assert b"redirect" in done.stderr
    assert leaks(place, done.stdout, done.stderr) == []


def versions(lines: list[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for line in lines:
        if found := re.match(r"([\w.-]+)(?:\[[\w,]+\])?==(\d+(?:\.\d+)*)", line):
            yield found[1].lower(), tuple(map(int, found[2].split(".")))


@pytest.mark.parametrize(
    ("package", "least", "why"),
    [
        ("gradio", (6, 21), "file, redirect and SSRF holes before"),
        ("defusedxml", (0, 7), "entity bombs through the standard library's parsers before"),
        ("nh3", (0, 3), "the sanitiser"),
        ("chromadb", (1, 5), "embedding functions made from stored configuration before"),
    ],
)
def test_versions_that_close_known_holes(package: str, least: tuple[int, ...], why: str) -> None:
    pins = dict(versions((ROOT / "requirements.txt").read_text().splitlines()))
    assert pins[package] >= least, why
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    [wanted] = [d for d in project["dependencies"] if re.match(rf"{package}\b", d)]
    floor = re.search(r">=(\d+(?:\.\d+)*)", wanted)
    assert floor is not None
    assert tuple(map(int, floor[1].split("."))) >= least, why
