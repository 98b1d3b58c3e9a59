from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest
from tests.support.openai_server import Behaviour, OpenAIServer

StartServer = Callable[..., OpenAIServer]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own keys and addresses never decide a test."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "CITEWISE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def serve() -> Iterator[StartServer]:
    """Start servers; each stops when the test ends."""
    with ExitStack() as stack:

        def start(script: str | Behaviour | Sequence[str | Behaviour] = "Ready.") -> OpenAIServer:
            return stack.enter_context(OpenAIServer(script))

        yield start
