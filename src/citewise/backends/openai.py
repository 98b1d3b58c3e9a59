"""Language models behind the OpenAI protocol: OpenAI itself, and every server that speaks it.

Requests go through the openai package; its answers are read here byte by byte, because a server may
be slow, broken or hostile, and a limit that only counts whole events does not hold against one that
never finishes its first.
"""

from __future__ import annotations

import codecs
import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from citewise.backends.limits import Limits
from citewise.backends.writing import AnswerCutError, ChatTurn, clean
from citewise.errors import (
    BackendAuthError,
    BackendError,
    BackendTimeoutError,
    BackendUnavailableError,
)
from citewise.types import Usage

if TYPE_CHECKING:
    import openai

_log = logging.getLogger("citewise")

OFFICIAL_URL: Final = "https://api.openai.com/v1"

NO_KEY: Final = "no-key-needed"
"""Sent to servers that need no key, because the protocol's clients always send one."""

_INSTEAD: Final = "the backend extractive needs no key, no server and no model"

_RETRIED: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_ERROR_BYTES: Final = 64 * 1024
_SAID_CHARS: Final = 300
_OWN_HEADERS: Final = frozenset(
    "host connection accept accept-encoding content-type content-length user-agent "
    "authorization".split()
)


class _FailedError(Exception):
    """An attempt that failed: what to tell people, and whether another may do better."""

    def __init__(
        self, error: BackendError, *, again: bool = False, wait_s: float | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.again = again
        self.wait_s = wait_s


class _StatusError(Exception):
    """A response that is no answer, with the beginning of its body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: str) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.headers = headers
        self.body = body


@dataclass(slots=True)
class _Reply:
    """What is known so far of one reply."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: str | None = None
    done: bool = False
    started: bool = False

    @property
    def usage(self) -> Usage:
        return Usage(self.prompt_tokens, self.completion_tokens, 1)


@dataclass(slots=True)
class _Form:
    """Which optional parameters the server understands; learned from its refusals."""

    refused: set[str] = field(default_factory=set)

    def body(self, model: str, turns: Sequence[ChatTurn], max_tokens: int) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": turn.role, "content": turn.content} for turn in turns],
            "stream": True,
        }
        if "stream" in self.refused:
            # The package is still told to stream, for it then leaves the reading to us.
            body["extra_body"] = {"stream": False}
        elif "stream_options" not in self.refused:
            body["stream_options"] = {"include_usage": True}
        if "temperature" not in self.refused:
            body["temperature"] = 0
        # Newer models of OpenAI refuse the old name, many other servers ignore the new one.
        new_name = "max_tokens" in self.refused
        body["max_completion_tokens" if new_name else "max_tokens"] = max_tokens
        return body

    def without(self, complaint: str) -> _Form | None:
        """A form that may pass after that complaint, or None when there is nothing to change."""
        for name in ("stream_options", "max_tokens", "temperature", "stream"):
            if re.search(rf"\b{name}\b", complaint) and name not in self.refused:
                return _Form(self.refused | {name})
        if not self.refused & {"stream", "stream_options"}:
            return _Form(self.refused | {"stream_options"})
        return None


class _Secret(str):
    """A text that no listing of variables shows: debuggers and some tracebacks print them."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class OpenAIChat:
    """A chat model behind the OpenAI protocol; one object serves many threads.

    Streams, retries before the first piece, never follows a redirect, and turns every error into a
    BackendError whose message holds no key.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        name: str | None = None,
        limits: Limits | None = None,
        streamed: bool = True,
        account_headers: bool = False,
        key_variable: str | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """``base_url``: None for OpenAI itself, which needs ``api_key``; other servers may not.

        ``streamed``: False asks for the reply in one piece. ``account_headers``: also send what the
        openai package reads from the environment (organisation, project, custom headers): for
        OpenAI and gateways to it, never for strangers. ``key_variable``: the environment variable
        that messages name; OPENAI_API_KEY for OpenAI and CITEWISE_API_KEY for others unless given.
        Raises BackendAuthError when the key is missing or malformed.
        """
        self._model = model
        self._url = base_url or OFFICIAL_URL
        self._key_variable = key_variable or ("CITEWISE_API_KEY" if base_url else "OPENAI_API_KEY")
        self._limits = limits or Limits()
        self._account_headers = account_headers
        self._sleep = sleep
        self.name = name or (
            f"openai-compatible:{model}@{public_url(base_url)}" if base_url else f"openai:{model}"
        )
        """As given on the command line, without any secret."""
        key = (api_key or "").strip()
        if not key and base_url is None:
            raise BackendAuthError(
                f"{self.name} needs a key: set {self._key_variable} to yours. "
                f"Without one, {_INSTEAD}"
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise BackendAuthError(
                f"the key for {self.name} holds characters that no key has (spaces, line ends or "
                f"letters beyond ASCII): copy it again into {self._key_variable}"
            )
        self._key = _Secret(key or NO_KEY)
        self._form = _Form() if streamed else _Form({"stream"})
        self._lock = threading.Lock()
        self._made: openai.OpenAI | None = None

    def stream(
        self, messages: Sequence[ChatTurn], *, max_tokens: int
    ) -> Generator[str, None, Usage]:
        """Yield the reply piece by piece; return what it cost. Closing it closes the connection.

        Raises BackendAuthError, BackendTimeoutError or BackendUnavailableError when nothing came,
        AnswerCutError when the reply broke off after its first piece.
        """
        # What the import takes is not the server's time.
        _imported()
        max_tokens = self._limits.max_tokens or max_tokens
        deadline = time.monotonic() + self._limits.total_s
        form = self._form
        attempts = 0
        while True:
            reply = _Reply()
            try:
                yield from self._attempt(form, messages, max_tokens, deadline, reply)
            except _StatusError as refusal:
                simpler = form.without(refusal.body) if refusal.status in (400, 422) else None
                if simpler is not None:
                    form = simpler
                    continue
                failed = self._refused(refusal)
            except _FailedError as failure:
                failed = failure
            else:
                # Kept only once it has helped: most refusals are about something else.
                self._form = form
                return reply.usage
            if reply.started:
                raise AnswerCutError(str(failed.error), reply.usage) from None
            attempts += 1
            wait_s = self._wait(failed, attempts, deadline)
            if wait_s is None:
                tried = f" (tried {attempts} times)" if attempts > 1 else ""
                raise type(failed.error)(f"{failed.error}{tried}") from None
            _log.info("%s; next attempt in %.1f s", failed.error, wait_s)
            self._sleep(wait_s)

    def close(self) -> None:
        """Close idle connections; the object may be used again."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def _attempt(
        self,
        form: _Form,
        turns: Sequence[ChatTurn],
        max_tokens: int,
        deadline: float,
        reply: _Reply,
    ) -> Generator[str, None, None]:
        try:
            create: Any = self._client().chat.completions.create
            with create(**form.body(self._model, turns, max_tokens)) as stream:
                response = stream.response
                kind = str(response.headers.get("content-type", "")).casefold()
                chunks = self._chunks(response.iter_bytes(), deadline)
                if "text/html" in kind:
                    raise _FailedError(
                        BackendUnavailableError(
                            f"{self.name} answered with a web page: the URL is not that of an "
                            "API; it usually ends in /v1"
                        )
                    )
                if "json" in kind and "event-stream" not in kind:
                    yield from self._keyless(self._whole(chunks, reply))
                else:
                    yield from self._keyless(self._events(chunks, reply))
        except (_FailedError, _StatusError):
            # Some servers keep the line open, or drop it, after the last word: that is no loss.
            if reply.finish is None:
                raise
        except Exception as error:  # noqa: BLE001 - the one place where foreign errors are translated
            status = _status_in(error)
            if status is not None:
                raise status from None
            if reply.finish is None:
                raise self._translated(error) from None
        if reply.finish == "length":
            raise _FailedError(
                BackendUnavailableError(
                    f"{self.name} used up its {max_tokens} tokens before the end of its answer"
                )
            )
        if reply.finish == "content_filter":
            raise _FailedError(
                BackendUnavailableError(f"{self.name} was stopped by its own content filter")
            )

    def _keyless(self, pieces: Iterator[str]) -> Iterator[str]:
        """The pieces with ``***`` for the key, should the server write it into its answer."""
        held = ""
        try:
            for piece in pieces:
                held += piece
                if self._key == NO_KEY:
                    keep = 0
                else:
                    held = held.replace(self._key, "***")
                    # The end may be the beginning of the key.
                    longest = min(len(held), len(self._key) - 1)
                    keep = next((n for n in range(longest, 0, -1) if self._key[:n] == held[-n:]), 0)
                ready, held = held[: len(held) - keep], held[len(held) - keep :]
                if ready:
                    yield ready
        except (_FailedError, _StatusError):
            if held:
                yield held
            raise
        if held:
            yield held

    def _chunks(self, raw: Iterator[bytes], deadline: float) -> Iterator[bytes]:
        size = 0
        for chunk in raw:
            size += len(chunk)
            if size > self._limits.max_bytes:
                raise _FailedError(
                    BackendUnavailableError(
                        f"{self.name} sent more than {self._limits.max_bytes} bytes and was stopped"
                    )
                )
            if time.monotonic() > deadline:
                raise self._too_slow(f"the whole answer took over {self._limits.total_s:g} s")
            yield chunk

    def _events(self, chunks: Iterator[bytes], reply: _Reply) -> Generator[str, None, None]:
        last = time.monotonic()
        for line in _lines(chunks):
            # Comments and bare bytes keep a connection open, but they are not an answer.
            if time.monotonic() - last > self._limits.silence_s:
                raise self._too_slow(f"nothing came for over {self._limits.silence_s:g} s")
            if line is None or not line.startswith("data:"):
                continue
            data = line[5:].strip()
            if data == "[DONE]":
                reply.done = True
                return
            yield from self._parts(self._parsed(data), "delta", reply)
            # Afterwards, for the time that the reader of this piece took is not the server's.
            last = time.monotonic()
        if reply.finish is None:
            raise _FailedError(
                BackendUnavailableError(f"{self.name} broke off in the middle of its answer"),
                again=True,
            )

    def _whole(self, chunks: Iterator[bytes], reply: _Reply) -> Generator[str, None, None]:
        text = b"".join(chunks).decode("utf-8", "replace")
        yield from self._parts(self._parsed(text), "message", reply)
        reply.done = True

    def _parsed(self, text: str) -> dict[str, Any]:
        # Skipping what cannot be read could turn an answer into its opposite.
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise _FailedError(
                BackendUnavailableError(f"{self.name} sent something that is not JSON"), again=True
            )
        return value

    def _parts(
        self, event: Mapping[str, Any], part: str, reply: _Reply
    ) -> Generator[str, None, None]:
        if event.get("error"):
            raise _FailedError(
                BackendUnavailableError(
                    f"{self.name} reported an error: {self._said(json.dumps(event))}"
                ),
                again=True,
            )
        usage = event.get("usage")
        if isinstance(usage, dict):
            reply.prompt_tokens = _count(usage.get("prompt_tokens"))
            reply.completion_tokens = _count(usage.get("completion_tokens"))
        choices = event.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(choice, dict):
            return
        content = choice.get(part)
        if isinstance(content, dict):
            text = _text_of(content.get("content"))
            if text:
                reply.started = True
                yield text
            elif content.get("refusal"):
                raise _FailedError(
                    BackendUnavailableError(
                        f"{self.name} declines to answer: {self._scrubbed(str(content['refusal']))}"
                    )
                )
        if isinstance(choice.get("finish_reason"), str):
            reply.finish = choice["finish_reason"]

    def _wait(self, failed: _FailedError, attempts: int, deadline: float) -> float | None:
        if not failed.again or attempts > self._limits.retries:
            return None
        # Spread out, so that many asks at once do not come back together.
        wait_s = 0.5 * 2 ** (attempts - 1) * random.uniform(0.8, 1.2)
        if failed.wait_s is not None:
            if failed.wait_s > self._limits.retry_wait_s:
                return None
            wait_s = failed.wait_s
        wait_s = min(wait_s, self._limits.retry_wait_s)
        return wait_s if time.monotonic() + wait_s < deadline else None

    def _refused(self, refusal: _StatusError) -> _FailedError:
        status = refusal.status
        said = self._said(refusal.body)
        if 300 <= status < 400:
            place = public_url(refusal.headers.get("location", "")) or "elsewhere"
            return _FailedError(
                BackendUnavailableError(
                    f"{self.name} redirects to {self._scrubbed(place)}, which is not followed, for "
                    "the key would go along: if you trust that address, give it as the URL"
                )
            )
        if status in (401, 403):
            # What the server says is left out: it may repeat the key.
            return _FailedError(
                BackendAuthError(
                    f"{self.name} refuses the key (status {status}): set {self._key_variable} to "
                    f"one that is valid there. Without one, {_INSTEAD}"
                )
            )
        if status == 404:
            return _FailedError(
                BackendUnavailableError(
                    f"{self.name}: there is no model {self._model!r}, or no API, at "
                    f"{public_url(self._url)} (status 404: {said}): check the model's name, and "
                    "the URL, which usually ends in /v1"
                )
            )
        if status == 429:
            spent = "insufficient_quota" in refusal.body
            wait_s = _retry_after(refusal.headers)
            asks = f", and asks to wait {wait_s:.0f} s" if wait_s else ""
            advice = "the account has no credit left" if spent else "ask again later"
            return _FailedError(
                BackendUnavailableError(
                    f"{self.name} takes no more requests for now (status 429{asks}): {advice}"
                ),
                again=not spent,
                wait_s=wait_s,
            )
        return _FailedError(
            BackendUnavailableError(f"{self.name} failed (status {status}): {said}"),
            again=status in _RETRIED,
            wait_s=_retry_after(refusal.headers),
        )

    def _translated(self, error: Exception) -> _FailedError:
        chain = list(_chain(error))
        names = {kind.__name__ for fault in chain for kind in type(fault).__mro__}
        where = public_url(self._url)
        if "ConnectTimeout" in names:
            return _FailedError(
                BackendTimeoutError(
                    f"{self.name}: no connection to {where} within {self._limits.connect_s:g} s: "
                    "is the server running, and the address right?"
                )
            )
        if "TimeoutException" in names or "APITimeoutError" in names:
            return self._too_slow(f"nothing came for over {self._limits.silence_s:g} s")
        if "ConnectError" in names:
            return _FailedError(
                BackendUnavailableError(
                    f"{self.name}: nothing answers at {where}: is the server running, and the "
                    f"address right? Meanwhile, {_INSTEAD}"
                ),
                again=True,
            )
        if names & {"InvalidURL", "UnsupportedProtocol"}:
            return _FailedError(
                BackendUnavailableError(f"{self.name}: {where} is not an address of a server")
            )
        if "TransportError" in names:
            return _FailedError(
                BackendUnavailableError(f"{self.name}: the connection to {where} broke"), again=True
            )
        reason = self._scrubbed(str(chain[-1]))
        return _FailedError(
            BackendUnavailableError(
                f"{self.name} could not be asked: {type(chain[-1]).__name__}: {reason}"
            )
        )

    def _too_slow(self, what: str) -> _FailedError:
        return _FailedError(
            BackendTimeoutError(
                f"{self.name} is too slow: {what}. Ask again, or take a faster model"
            )
        )

    def _said(self, body: str) -> str:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            error = value.get("error", value)
            if isinstance(error, dict):
                error = error.get("message", error.get("detail", error))
            return self._scrubbed(str(error))
        if "<html" in body.casefold():
            return "a web page"
        return self._scrubbed(body) or "no reason given"

    def _scrubbed(self, text: str) -> str:
        if self._key != NO_KEY:
            text = text.replace(self._key, "***")
        text = re.sub(r"\b(?:sk|pk|Bearer)[-_ ][\w*.-]{6,}", "***", clean(text))
        text = re.sub(r"//[^/@\s]*@", "//", text)
        text = " ".join(text.split())
        return text if len(text) <= _SAID_CHARS else text[: _SAID_CHARS - 1] + "…"

    def _client(self) -> openai.OpenAI:
        with self._lock:
            if self._made is None:
                openai = _imported()
                limits = self._limits
                self._made = openai.OpenAI(
                    api_key=self._key,
                    base_url=self._url,
                    # Retried here: with a ceiling on the whole, and on what a server may ask for.
                    max_retries=0,
                    http_client=openai.DefaultHttpxClient(
                        follow_redirects=False,
                        timeout=openai.Timeout(limits.silence_s, connect=limits.connect_s),
                        event_hooks={"request": [self._own], "response": [self._looked_at]},
                    ),
                    timeout=openai.Timeout(limits.silence_s, connect=limits.connect_s),
                )
            return self._made

    def _own(self, request: Any) -> None:
        if self._account_headers:
            return
        for header in set(request.headers) - _OWN_HEADERS:
            del request.headers[header]
        # An address with user and password has put them there already.
        given = request.headers.get("authorization", "")
        if self._key != NO_KEY or not given.startswith("Basic "):
            request.headers["authorization"] = f"Bearer {self._key}"

    def _looked_at(self, response: Any) -> None:
        """Stop at responses that are no answer before anyone reads their endless bodies."""
        if 200 <= response.status_code < 300:
            return
        body = b""
        deadline = time.monotonic() + self._limits.silence_s
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _ERROR_BYTES or time.monotonic() > deadline:
                break
        response.close()
        raise _StatusError(
            response.status_code,
            {name.casefold(): value for name, value in response.headers.items()},
            body[:_ERROR_BYTES].decode("utf-8", "replace"),
        )


def _imported() -> ModuleType:
    # Takes 1.3 s to import, which those who ask without a model need not wait for.
    import openai  # noqa: PLC0415

    return openai


def public_url(url: str | None) -> str:
    """``url`` without what may be secret: user, password, query and fragment."""
    try:
        parts = urlsplit(url or "")
        host = parts.hostname or ""
        netloc = f"[{host}]" if ":" in host else host
        netloc += f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return clean(urlunsplit((parts.scheme, netloc, parts.path, "", "")))


def _lines(chunks: Iterator[bytes]) -> Iterator[str | None]:
    """Lines without their ends; None whenever bytes came that end no line."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    held: list[str] = []
    for chunk in chunks:
        text = decoder.decode(chunk)
        if "\n" not in text:
            held.append(text)
            yield None
            continue
        *ended, rest = ("".join(held) + text).split("\n")
        held = [rest]
        for line in ended:
            yield line.rstrip("\r")
    yield "".join(held) + decoder.decode(b"", final=True)


def _text_of(content: object) -> str:
    # Some servers send a list of typed parts, thoughts among them.
    if isinstance(content, list):
        return "".join(
            str(part.get("text", ""))
            for part in content
            if isinstance(part, dict) and part.get("type") == "text"
        )
    return content if isinstance(content, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _chain(error: BaseException) -> Iterator[BaseException]:
    fault: BaseException | None = error
    while fault is not None:
        yield fault
        fault = fault.__cause__


def _status_in(error: Exception) -> _StatusError | None:
    # openai 2 wraps what a hook raises, openai 3 lets it pass.
    return next((fault for fault in _chain(error) if isinstance(fault, _StatusError)), None)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds a server asks to wait: RFC 9110, section 10.2.3, as a number or a date."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
