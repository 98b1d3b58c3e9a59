from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM, MockLLM

from citewise.backends.base import WritingTask
from citewise.backends.llama import LlamaIndexChat, is_llama_index_llm, llm_at
from citewise.backends.writing import AnswerCutError, ChatTurn, ModelBackend, collect
from citewise.errors import (
    BackendAuthError,
    BackendTimeoutError,
    BackendUnavailableError,
    UnknownBackendError,
)
from citewise.types import Usage

TURNS = (ChatTurn("system", "Be short."), ChatTurn("user", "What is halved?"))
ANSWER = "Lantern halves the memory [1]."
KEY = "SECRET-MARK-c0ffee"


class Scripted(CustomLLM):
    """A real llama-index LLM that says what it is told, in pieces."""

    reply: str = ANSWER
    deltas: bool = True
    api_key: str = KEY
    error: Any = None
    error_after: int = 0
    raw: Any = None

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="scripted-1")

    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        return CompletionResponse(text=self.reply, raw=self.raw)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **_: Any
    ) -> CompletionResponseGen:
        def gen() -> CompletionResponseGen:
            for number, at in enumerate(range(0, len(self.reply), 6)):
                if self.error is not None and number == self.error_after:
                    raise self.error
                delta = self.reply[at : at + 6] if self.deltas else None
                yield CompletionResponse(text=self.reply[: at + 6], delta=delta, raw=self.raw)

        return gen()


class OnlyWhole(Scripted):
    """One that cannot stream, as some adapters can not."""

    def stream_chat(self, messages: Any, **_: Any) -> Any:
        raise NotImplementedError

    def chat(self, messages: Any, **_: Any) -> ChatResponse:
        return ChatResponse(message=ChatMessage(content=self.reply), raw=self.raw)


@pytest.mark.parametrize("deltas", [True, False])
def test_streams_piece_by_piece(deltas: bool) -> None:
    reply = LlamaIndexChat(Scripted(deltas=deltas)).stream(TURNS, max_tokens=50)
    assert next(reply) == "Lanter"
    assert "Lanter" + collect(reply)[0] == ANSWER


def test_one_that_cannot_stream_is_asked_for_the_whole() -> None:
    assert collect(LlamaIndexChat(OnlyWhole()).stream(TURNS, max_tokens=50))[0] == ANSWER


@pytest.mark.parametrize(
    "raw",
    [
        {"usage": {"prompt_tokens": 12, "completion_tokens": 3}},
        {"usage": {"input_tokens": 12, "output_tokens": 3}},
        {"prompt_eval_count": 12, "eval_count": 3},
        SimpleNamespace(usage=SimpleNamespace(prompt_tokens=12, completion_tokens=3)),
    ],
)
def test_cost_is_found_where_adapters_leave_it(raw: object) -> None:
    for llm in (Scripted(raw=raw), OnlyWhole(raw=raw)):
        assert collect(LlamaIndexChat(llm).stream(TURNS, max_tokens=50))[1] == Usage(12, 3, 1)


def test_unknown_cost_is_one_call() -> None:
    assert collect(LlamaIndexChat(Scripted()).stream(TURNS, max_tokens=50))[1] == Usage(0, 0, 1)


class RefusedAuthenticationError(Exception):
    status_code = 401


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RefusedAuthenticationError(f"bad key {KEY}"), BackendAuthError),
        (TimeoutError(f"slow, {KEY}"), BackendTimeoutError),
        (RuntimeError(f"{KEY} exploded"), BackendUnavailableError),
    ],
)
def test_foreign_errors_become_ours_without_the_key(error: Exception, kind: type) -> None:
    with pytest.raises(kind) as raised:
        collect(LlamaIndexChat(Scripted(error=error)).stream(TURNS, max_tokens=50))
    assert KEY not in str(raised.value)
    assert raised.value.__suppress_context__
    assert "scripted-1" in str(raised.value)


def test_failure_after_the_first_words_keeps_them() -> None:
    llm = Scripted(error=RuntimeError("line cut"), error_after=2)
    reply = LlamaIndexChat(llm).stream(TURNS, max_tokens=50)
    assert next(reply) + next(reply) == ANSWER[:12]
    with pytest.raises(AnswerCutError, match="line cut"):
        next(reply)


def test_one_that_does_not_stop_is_stopped() -> None:
    with pytest.raises(AnswerCutError, match="did not come to an end"):
        collect(LlamaIndexChat(Scripted(reply="so on " * 1000)).stream(TURNS, max_tokens=50))


def test_one_that_is_too_slow_is_stopped() -> None:
    with pytest.raises(AnswerCutError, match="too slow"):
        collect(LlamaIndexChat(Scripted(), total_s=-1).stream(TURNS, max_tokens=50))


def test_it_writes_answers(make_task: Callable[..., WritingTask]) -> None:
    # This one repeats its prompt: what was sent is what comes back.
    said = collect(ModelBackend(LlamaIndexChat(MockLLM())).write(make_task()))[0]
    assert "[1] (Lantern: a cache, 2024-10) Lantern halves the memory of the cache." in said


def test_its_name_tells_class_and_model() -> None:
    assert LlamaIndexChat(Scripted()).name == "llama-index:Scripted(scripted-1)"


def test_models_are_told_from_other_things() -> None:
    assert is_llama_index_llm(MockLLM())
    assert not is_llama_index_llm(MockLLM)
    assert not is_llama_index_llm("MockLLM")
    assert not is_llama_index_llm(ChatMessage(content="x"))


@pytest.mark.parametrize("path", ["llama_index.core.llms.MockLLM", "llama_index.core.llms:MockLLM"])
def test_import_path_may_name_a_class(path: str) -> None:
    assert isinstance(llm_at(path), MockLLM)


def test_import_path_may_name_an_object_or_a_function(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_models.py").write_text(
        "from llama_index.core.llms import MockLLM\n"
        "one = MockLLM(max_tokens=7)\n"
        "def make(): return MockLLM(max_tokens=8)\n"
        f"def fail(): raise RuntimeError('Bearer {KEY}')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert getattr(llm_at("my_models.one"), "max_tokens", 0) == 7
    assert getattr(llm_at("my_models.make"), "max_tokens", 0) == 8
    with pytest.raises(UnknownBackendError) as raised:
        llm_at("my_models.fail")
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("nothing", "package.module.name"),
        ("no_such_package.Model", "no_such_package"),
        ("llama_index.core.llms.Absent", "Absent"),
        ("os.path.sep", "not a llama-index LLM"),
        ("os.getcwd", "not a llama-index LLM"),
    ],
)
def test_import_path_that_holds_no_model_says_why(path: str, word: str) -> None:
    with pytest.raises(UnknownBackendError, match=word):
        llm_at(path)


def test_neither_library_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, citewise.backends.llama, citewise.backends.openai as o\n"
        "o.OpenAIChat('m', 'http://127.0.0.1:1/v1')\n"
        "assert not {'openai', 'llama_index', 'httpx'} & set(sys.modules), 'imported'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
