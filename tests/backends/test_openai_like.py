"""llama-index's client for servers with the OpenAI protocol; it needs openai 2: .ci/openai2."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest
from tests.backends.conftest import MakeTask, StartServer

from citewise.backends.base import WritingTask
from citewise.backends.registry import backend_from
from citewise.backends.writing import ModelBackend, collect
from citewise.errors import BackendError

ANSWER = "Lantern halves the memory of the cache [1]."


@pytest.fixture(scope="module")
def openai_like() -> Any:
    name = "llama_index.llms.openai_like"
    if os.environ.get("CITEWISE_REQUIRE_OPENAI_LIKE"):
        return importlib.import_module(name).OpenAILike
    return pytest.importorskip(name, reason="needs openai 2; .ci/openai2 runs it").OpenAILike


def model(openai_like: Any, url: str) -> Any:
    return openai_like(
        model="tiny", api_base=url, api_key="none", is_chat_model=True, max_retries=0, timeout=5.0
    )


def test_it_writes_an_answer(openai_like: Any, serve: StartServer, make_task: MakeTask) -> None:
    server = serve(ANSWER)
    backend = backend_from(model(openai_like, server.url))
    assert isinstance(backend, ModelBackend)
    task: WritingTask = make_task()
    text, usage = collect(backend.write(task))
    assert text == ANSWER
    assert usage.calls == 1
    assert "Lantern halves the memory" in str(server.requests[-1])


def test_its_failure_is_told(openai_like: Any, make_task: MakeTask) -> None:
    backend = backend_from(model(openai_like, "http://127.0.0.1:9/v1"))
    with pytest.raises(BackendError, match=r"failed|slow"):
        collect(backend.write(make_task()))
