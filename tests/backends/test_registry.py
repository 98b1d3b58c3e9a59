from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.llms import MockLLM
from tests.support.openai_server import OpenAIServer

from citewise.backends.base import WritingTask
from citewise.backends.extractive import ExtractiveBackend
from citewise.backends.registry import FORMS, available, backend_from
from citewise.backends.writing import collect
from citewise.errors import BackendAuthError, UnknownBackendError

Serve = Callable[..., OpenAIServer]
MakeTask = Callable[..., WritingTask]
KEY = "SECRET-MARK-c0ffee"


def test_extractive_needs_nothing() -> None:
    assert backend_from(" extractive ").name == "extractive"


def test_openai_takes_key_and_address_from_the_environment(
    serve: Serve, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve("Halved [1].")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    backend = backend_from("openai:gpt-small")
    assert backend.name == "openai:gpt-small"
    assert collect(backend.write(make_task()))[0] == "Halved [1]."
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].body["model"] == "gpt-small"


def test_openai_without_key_says_what_to_do() -> None:
    with pytest.raises(BackendAuthError, match=r"OPENAI_API_KEY.*extractive"):
        backend_from("openai:gpt-small")


def test_compatible_server_needs_no_key_and_never_sees_that_of_openai(
    serve: Serve, make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = serve("Halved [1].")
    backend = backend_from(server.spec("llama3.2:3b"))
    assert backend.name == f"openai-compatible:llama3.2:3b@{server.url}"
    assert collect(backend.write(make_task()))[0] == "Halved [1]."
    assert server.requests[0].body["model"] == "llama3.2:3b"
    assert KEY not in server.requests[0].text


def test_compatible_server_gets_its_own_key(serve: Serve, make_task: MakeTask) -> None:
    server = serve("Halved [1].")
    env = {"CITEWISE_API_KEY": "own-key", "OPENAI_API_KEY": KEY}
    collect(backend_from(server.spec(), env=env).write(make_task()))
    assert server.requests[0].headers["authorization"] == "Bearer own-key"


@pytest.mark.parametrize("model", ["small", "@cf/meta/llama-3", "org/model@v2", "a:b"])
def test_models_may_hold_what_addresses_hold(serve: Serve, make_task: MakeTask, model: str) -> None:
    server = serve("Halved [1].")
    collect(backend_from(server.spec(model)).write(make_task()))
    assert server.requests[0].body["model"] == model


def test_password_in_an_address_is_never_shown() -> None:
    backend = backend_from(f"openai-compatible:m@http://me:{KEY}@127.0.0.1:1/v1")
    assert KEY not in backend.name
    with pytest.raises(UnknownBackendError) as raised:
        backend_from(f"openai-compatible:http://me:{KEY}@127.0.0.1:1/v1")
    assert KEY not in str(raised.value)


def test_llama_index_by_path_and_as_object(make_task: MakeTask) -> None:
    path = "llama-index:llama_index.core.llms.MockLLM"
    assert backend_from(path).name == path
    for spec in (path, MockLLM()):
        assert "Lantern halves" in collect(backend_from(spec).write(make_task()))[0]


def test_objects_that_are_backends_are_taken_as_they_are() -> None:
    backend = ExtractiveBackend()
    assert backend_from(backend) is backend


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "gpt-4",
        "openai",
        "openai:",
        "extractive:x",
        "openai-compatible:",
        "openai-compatible:model",
        "openai-compatible:@http://127.0.0.1/v1",
        "openai-compatible:model@127.0.0.1:8000",
        "llama-index:",
        "llama-index:absent_package.Model",
        42,
        None,
        object(),
    ],
)
def test_anything_else_is_refused_in_plain_words(spec: Any) -> None:
    with pytest.raises(UnknownBackendError) as raised:
        backend_from(spec, env={"OPENAI_API_KEY": KEY})
    assert KEY not in str(raised.value)


def test_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UnknownBackendError) as raised:
        backend_from("gtp-4")
    assert "'gtp-4'" in str(raised.value)
    for form in FORMS:
        assert form in str(raised.value)


@given(st.text(max_size=30).filter(lambda text: ":" not in text and text.strip() != "extractive"))
def test_no_text_breaks_it(spec: str) -> None:
    with pytest.raises(UnknownBackendError):
        backend_from(spec)


def test_available_tells_what_is_missing() -> None:
    bare = {info.name: info for info in available({})}
    assert set(bare) == set(FORMS)
    assert bare["extractive"].ready
    assert not bare["openai:MODEL"].ready
    assert "OPENAI_API_KEY" in bare["openai:MODEL"].detail
    keyed = {info.name: info for info in available({"OPENAI_API_KEY": KEY})}
    assert keyed["openai:MODEL"].ready
    assert KEY not in repr(keyed)
