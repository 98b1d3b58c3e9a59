from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import pytest
from tests.support.openai_server import Behaviour, OpenAIServer

from citewise.backends.base import WritingTask
from citewise.types import Effort, Evidence, Paper, Question, Span

StartServer = Callable[..., OpenAIServer]
MakeTask = Callable[..., WritingTask]

SENTENCES = (
    "Lantern halves the memory of the cache.",
    "It reaches 81.5 points on the long benchmark.",
    "Harbor needs no training at all.",
)


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


def make_evidence(
    sentences: Sequence[str], title: str = "Lantern: a cache"
) -> tuple[Evidence, ...]:
    found = []
    for n, text in enumerate(sentences, 1):
        paper = Paper(id=f"p{n}", title=title, abstract=text, published="2024-10")
        found.append(Evidence(n, paper, Span.of(text, 0, len(text)), 0.9, 0, n))
    return tuple(found)


@pytest.fixture
def make_task() -> MakeTask:
    def make(
        question: str = "What does Lantern do to memory?",
        sentences: Sequence[str] = SENTENCES,
        effort: Effort = Effort.NORMAL,
    ) -> WritingTask:
        return WritingTask(Question(question, question), make_evidence(sentences), effort=effort)

    return make
