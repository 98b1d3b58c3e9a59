"""Any llama-index language model as a backend."""

from __future__ import annotations

import importlib
import logging
import re
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from citewise.backends.writing import AnswerCutError, ChatTurn, clean
from citewise.errors import (
    BackendAuthError,
    BackendError,
    BackendTimeoutError,
    BackendUnavailableError,
    UnknownBackendError,
)
from citewise.types import Usage

_log = logging.getLogger("citewise")

_CHARS_PER_TOKEN = 8
"""More than any tokenizer averages on prose: a reply longer than this per token is not stopping."""

_PROMPT_COUNTS = ("prompt_tokens", "input_tokens", "prompt_eval_count")
_COMPLETION_COUNTS = ("completion_tokens", "output_tokens", "eval_count")


def is_llama_index_llm(value: object) -> bool:
    """Whether that is an object of llama-index's LLM class; does not import llama-index."""
    return any(
        kind.__name__ in ("BaseLLM", "LLM") and kind.__module__.startswith("llama_index.core")
        for kind in type(value).__mro__
    )


def llm_at(path: str) -> object:
    """The llama-index LLM at an import path: an object, a class or a function without arguments.

    ``package.module.name`` or ``package.module:name``. Raises UnknownBackendError when nothing
    usable is there, with what went wrong.
    """
    module_name, colon, attribute = path.partition(":")
    if not colon:
        module_name, _, attribute = path.rpartition(".")
    if not module_name or not attribute:
        raise UnknownBackendError(
            f"llama-index:{path} names no object: write llama-index:package.module.name"
        )
    try:
        found = getattr(importlib.import_module(module_name), attribute)
        value = found if is_llama_index_llm(found) or not callable(found) else found()
    except Exception as error:  # noqa: BLE001 - foreign code runs here and may raise anything
        raise UnknownBackendError(
            f"llama-index:{path} cannot be loaded: {type(error).__name__}: {_scrubbed(error)}. "
            "Is its package installed, and its folder on PYTHONPATH?"
        ) from None
    if not is_llama_index_llm(value):
        raise UnknownBackendError(
            f"llama-index:{path} is a {type(value).__name__}, not a llama-index LLM"
        )
    return value


class LlamaIndexChat:
    """A llama-index LLM as a chat model.

    Its own settings hold for temperature, tokens and timeouts; the ceilings on the whole time and
    on the length of a reply are kept between its pieces.
    """

    def __init__(self, llm: Any, *, name: str | None = None, total_s: float = 120.0) -> None:
        """``llm``: a llama-index LLM object; ``total_s``: seconds for a whole reply."""
        self._llm = llm
        self._total_s = total_s
        model = getattr(getattr(llm, "metadata", None), "model_name", None)
        kind = type(llm).__name__
        self.name = name or (
            f"llama-index:{kind}" + (f"({model})" if model and model != "unknown" else "")
        )
        """As given on the command line, or the class and the model's name."""

    def stream(
        self, messages: Sequence[ChatTurn], *, max_tokens: int
    ) -> Generator[str, None, Usage]:
        """Yield the reply piece by piece; return what it cost, as far as the model says.

        Raises a BackendError when nothing came, AnswerCutError when the reply broke off.
        """
        # Takes 3.3 s to import, which those who ask without it need not wait for.
        from llama_index.core.base.llms.types import ChatMessage, MessageRole  # noqa: PLC0415

        turns = [
            ChatMessage(role=MessageRole(turn.role), content=turn.content) for turn in messages
        ]
        deadline = time.monotonic() + self._total_s
        said = 0
        usage = Usage(calls=1)
        pieces = self._pieces(turns)
        try:
            for response in pieces:
                piece = response[0]
                usage = _usage_of(response[1]) or usage
                said += len(piece)
                if piece:
                    yield piece
                if time.monotonic() > deadline:
                    raise BackendTimeoutError(
                        f"{self.name} is too slow: the answer took over {self._total_s:g} s"
                    )
                if said > max_tokens * _CHARS_PER_TOKEN:
                    raise BackendUnavailableError(
                        f"{self.name} was stopped after {said} characters: "
                        "it did not come to an end"
                    )
        except BackendError as error:
            if said:
                raise AnswerCutError(str(error), usage) from None
            raise
        except Exception as error:  # noqa: BLE001 - the one place where foreign errors are translated
            translated = self._translated(error)
            if said:
                raise AnswerCutError(str(translated), usage) from None
            raise translated from None
        finally:
            pieces.close()
        return usage

    def _pieces(self, turns: list[Any]) -> Generator[tuple[str, Any], None, None]:
        try:
            responses: Iterator[Any] = self._llm.stream_chat(turns)
            first = next(responses, None)
        except (NotImplementedError, AttributeError):
            response = self._llm.chat(turns)
            yield response.message.content or "", response
            return
        so_far = ""
        try:
            while first is not None:
                # Some models fill in the new piece, some only the text so far.
                whole = first.message.content or ""
                piece = first.delta
                if piece is None:
                    piece = whole[len(so_far) :] if whole.startswith(so_far) else whole
                so_far += piece
                yield piece, first
                first = next(responses, None)
        finally:
            close = getattr(responses, "close", None)
            if close is not None:
                close()

    def _translated(self, error: Exception) -> BackendError:
        kind = type(error).__name__
        status = getattr(error, "status_code", None)
        said = _scrubbed(error, getattr(self._llm, "api_key", None))
        if status in (401, 403) or "Authentication" in kind or "PermissionDenied" in kind:
            return BackendAuthError(
                f"{self.name}: the key is missing or refused ({kind}): give the model object a "
                "valid one. The backend extractive needs none"
            )
        if "Timeout" in kind or isinstance(error, TimeoutError):
            return BackendTimeoutError(f"{self.name} is too slow ({kind}): {said}")
        return BackendUnavailableError(f"{self.name} failed ({kind}): {said}")


def _usage_of(response: Any) -> Usage | None:
    """What a response says of its cost, wherever the adapter left it."""
    raw = getattr(response, "raw", None)
    for place in (_got(raw, "usage"), raw, getattr(response, "additional_kwargs", None)):
        prompt = _first_count(place, _PROMPT_COUNTS)
        completion = _first_count(place, _COMPLETION_COUNTS)
        if prompt or completion:
            return Usage(prompt, completion, 1)
    return None


def _first_count(place: Any, names: Sequence[str]) -> int:
    for name in names:
        value = _got(place, name)
        if isinstance(value, int) and value > 0:
            return value
    return 0


def _got(place: Any, name: str) -> Any:
    return place.get(name) if isinstance(place, dict) else getattr(place, name, None)


def _scrubbed(error: Exception, key: object = None) -> str:
    text = " ".join(clean(str(error)).split())
    if isinstance(key, str) and len(key) > 3:
        text = text.replace(key, "***")
    return re.sub(r"\b(?:sk|pk|Bearer)[-_ ][\w*.-]{6,}", "***", text)[:300] or "no reason given"
