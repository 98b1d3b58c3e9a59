"""Backends by name: the one place that knows which there are, and that reads their keys."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import cast

from citewise.backends.base import Backend
from citewise.backends.extractive import ExtractiveBackend
from citewise.backends.limits import Limits
from citewise.backends.llama import LlamaIndexChat, is_llama_index_llm, llm_at
from citewise.backends.openai import OpenAIChat
from citewise.backends.writing import ChatModel, ModelBackend
from citewise.errors import UnknownBackendError
from citewise.types import Price

FORMS: Mapping[str, str] = {
    "extractive": "sentences of the papers, without any model",
    "openai:MODEL": "a model of OpenAI; OPENAI_API_KEY, and OPENAI_BASE_URL if set",
    "openai-compatible:MODEL@URL": (
        "any server with the OpenAI protocol (Ollama, vLLM, llama.cpp, LM Studio, litellm); "
        "CITEWISE_API_KEY if it needs a key"
    ),
    "llama-index:IMPORT.PATH": "any llama-index LLM: an object, or what makes one",
}
"""What can be given as a backend's name, and what it is."""

_MODEL_AT_URL = re.compile(r"(?P<model>[^\s]+?)@(?P<url>https?://\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """One kind of backend, for people."""

    name: str
    """As it is written, with what to fill in in capitals."""
    ready: bool
    """True when nothing is missing to use it; says nothing of a server's health."""
    detail: str
    """What it is, or what is missing."""


def backend_from(
    spec: str | object,
    *,
    limits: Limits | None = None,
    env: Mapping[str, str] | None = None,
    prices: Mapping[str, Price] | None = None,
) -> Backend:
    """The backend of that name, or for that object: a Backend, a ChatModel or a llama-index LLM.

    ``limits``: for servers; ``env``: where keys and addresses are read, the process's environment
    unless given; ``prices``: what models cost, by backend's name, whole or without its address
    (``openai-compatible:llama3.2``). Raises UnknownBackendError for anything else, BackendAuthError
    when a key is missing.
    """
    backend = _backend_from(spec, limits, env)
    if isinstance(backend, ModelBackend) and prices:
        backend.price = (
            prices.get(backend.name) or prices.get(backend.name.partition("@")[0]) or backend.price
        )
    return backend


def _backend_from(
    spec: str | object, limits: Limits | None, env: Mapping[str, str] | None
) -> Backend:
    if not isinstance(spec, str):
        return _of_object(spec)
    values = os.environ if env is None else env
    kind, _, rest = spec.strip().partition(":")
    if kind == "extractive" and not rest:
        return ExtractiveBackend()
    if kind == "openai" and rest:
        return ModelBackend(
            OpenAIChat(
                rest,
                values.get("OPENAI_BASE_URL") or None,
                values.get("OPENAI_API_KEY"),
                name=f"openai:{rest}",
                limits=limits,
                account_headers=True,
                key_variable="OPENAI_API_KEY",
            )
        )
    if kind == "openai-compatible" and rest:
        match = _MODEL_AT_URL.fullmatch(rest)
        if match is None:
            raise UnknownBackendError(
                f"{_shown(spec)} lacks a model or an address: write openai-compatible:MODEL@URL, "
                "such as openai-compatible:llama3.2@http://127.0.0.1:11434/v1"
            )
        return ModelBackend(
            OpenAIChat(
                match["model"],
                match["url"],
                # OPENAI_API_KEY is not for strangers.
                values.get("CITEWISE_API_KEY") or None,
                limits=limits,
            )
        )
    if kind == "llama-index" and rest:
        return ModelBackend(LlamaIndexChat(llm_at(rest), name=f"llama-index:{rest}"))
    raise UnknownBackendError(f"there is no backend {_shown(spec)}; there are {_listed()}")


def available(env: Mapping[str, str] | None = None) -> tuple[BackendInfo, ...]:
    """Every kind of backend, whether it can be used here, and what it lacks; asks no server."""
    values = os.environ if env is None else env
    client = find_spec("openai") is not None
    lacks = {
        "extractive": None,
        "openai:MODEL": (
            "set OPENAI_API_KEY to your key" if not values.get("OPENAI_API_KEY") else None
        ),
        "openai-compatible:MODEL@URL": None,
        "llama-index:IMPORT.PATH": (
            None if find_spec("llama_index") else "install llama-index-core and a model's package"
        ),
    }
    infos = []
    for form, what in FORMS.items():
        lack = lacks[form]
        if form.startswith("openai") and not client:
            lack = "install the package openai"
        infos.append(BackendInfo(form, lack is None, what if lack is None else f"{lack} ({what})"))
    return tuple(infos)


def _of_object(value: object) -> Backend:
    if is_llama_index_llm(value):
        return ModelBackend(LlamaIndexChat(value))
    if hasattr(value, "write") and hasattr(value, "standalone") and hasattr(value, "name"):
        return cast(Backend, value)
    if hasattr(value, "stream") and hasattr(value, "name"):
        return ModelBackend(cast(ChatModel, value))
    raise UnknownBackendError(
        f"a {type(value).__name__} is not a backend: give a name ({_listed()}), an object with "
        "write and standalone (citewise.backends.base.Backend), or a llama-index LLM object"
    )


def _listed() -> str:
    return ", ".join(FORMS)


def _shown(spec: str) -> str:
    """A name as given, without the password that an address in it may hold."""
    return repr(re.sub(r"//[^/@\s]*@", "//", spec)[:200])
