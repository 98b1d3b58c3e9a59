"""Ask a server that we did not write: the litellm proxy with a mocked model, plain and streamed.

    python eval/servers/litellm_check.py [--environment DIR]

Makes an environment of its own for litellm (about 600 MB; in the system's temporary folder unless
DIR is named, and used again when it is there), starts the proxy on loopback, asks it through
citewise and prints one line a check. Exit status 0 when all hold. Needs the package index the first
time and no key.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from citewise.backends.limits import Limits
from citewise.backends.openai import OpenAIChat
from citewise.backends.writing import ChatTurn, ModelBackend, collect
from citewise.errors import BackendError
from citewise.types import Usage

ANSWER = "Lantern halves the memory of the cache [1]."
KEY = "sk-loopback-check"
CONFIG = f"""\
model_list:
  - model_name: mock
    litellm_params:
      model: openai/mock
      api_key: unused
      mock_response: "{ANSWER}"
general_settings:
  master_key: {KEY}
litellm_settings:
  telemetry: false
"""


def environment(folder: Path) -> Path:
    """The folder with litellm's commands, installed when it is not there yet."""
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    if not any(commands.glob("litellm*")):
        print(f"installing litellm into {folder} (about 600 MB)", file=sys.stderr)
        venv.create(folder, with_pip=True)
        python = str(commands / "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "litellm[proxy]"], check=True)
    return commands


@contextmanager
def proxy(commands: Path, wait_s: float) -> Iterator[str]:
    """A running proxy; its base URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text(CONFIG, encoding="utf-8")
        log = Path(folder) / "log.txt"
        settings = {
            **os.environ,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "NO_PROXY": "127.0.0.1",
            "PATH": f"{commands}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        for name in ("OPENAI_API_KEY", "DATABASE_URL", "PYTHONPATH"):
            settings.pop(name, None)
        command = [str(commands / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
        with log.open("wb") as output:
            server = subprocess.Popen(
                [*command, "--port", str(port)], stdout=output, stderr=output, env=settings
            )
        try:
            end = time.monotonic() + wait_s
            while not _alive(f"http://127.0.0.1:{port}/health/liveliness"):
                if server.poll() is not None or time.monotonic() > end:
                    raise SystemExit(
                        "litellm did not start:\n" + log.read_text(errors="replace")[-3000:]
                    )
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.terminate()
            server.wait(20)


def _alive(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def checks(url: str) -> dict[str, Callable[[], object]]:
    """Each raises AssertionError, or returns what was seen."""
    turns = (ChatTurn("system", "Be short."), ChatTurn("user", "What is halved?"))

    def model(name: str = "mock", key: str = KEY, *, streamed: bool = True) -> OpenAIChat:
        limits = Limits(silence_s=20, retries=0)
        return OpenAIChat(name, url, key, limits=limits, streamed=streamed)

    def streamed() -> object:
        pieces = []
        reply = model().stream(turns, max_tokens=100)
        try:
            while True:
                pieces.append(next(reply))
        except StopIteration as end:
            usage: Usage = end.value
        assert "".join(pieces) == ANSWER, pieces
        assert len(pieces) > 1, "it came in one piece"
        assert usage.prompt_tokens > 0, usage
        assert usage.completion_tokens > 0, usage
        return f"{len(pieces)} pieces, {usage}"

    def plain() -> object:
        text, usage = collect(model(streamed=False).stream(turns, max_tokens=100))
        assert text == ANSWER, text
        assert usage.completion_tokens > 0, usage
        return f"{text!r}, {usage}"

    def probe() -> object:
        return ModelBackend(model()).probe()

    def fails(name: str, key: str) -> object:
        try:
            collect(model(name, key).stream(turns, max_tokens=100))
        except BackendError as error:
            seen = f"{type(error).__name__}: {error}"
        else:
            raise AssertionError("it answered")
        assert key not in seen, "the key is in the message"
        return seen

    return {
        "streamed": streamed,
        "plain": plain,
        "probe of the doctor": probe,
        "unknown model": lambda: fails("absent", KEY),
        # Without a database litellm says 400 here, not 401.
        "wrong key": lambda: fails("mock", "sk-wrong-key-here"),
    }


def main() -> int:
    """Run all checks; 0 when they hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    shared = Path(tempfile.gettempdir()) / "citewise-litellm"
    parser.add_argument("--environment", type=Path, default=shared, help="default: %(default)s")
    parser.add_argument("--wait", type=float, default=120, help="seconds for the proxy to start")
    arguments = parser.parse_args()
    failed = 0
    with proxy(environment(arguments.environment), arguments.wait) as url:
        for name, check in checks(url).items():
            try:
                print(f"ok      {name}: {check()}")
            except (AssertionError, BackendError) as error:
                failed += 1
                print(f"FAILED  {name}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
