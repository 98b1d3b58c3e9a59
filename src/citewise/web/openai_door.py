"""The door for chat programs: ``/v1/chat/completions`` and ``/v1/models`` as OpenAI's clients
speak them, so that citewise can be chosen as a model.

The last message is the question, the messages before it are the conversation; system messages and
sampling settings do not touch an answer that is made of the papers' own words. Citations stand in
the text as ``[1]`` with a list of references under it, again as ``url_citation`` annotations, and
the whole *answer* object of the command is in the field ``citewise``.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from citewise.answering.plain import marked, spoken
from citewise.backends.writing import defused
from citewise.errors import BackendError, BusyError, CitewiseError, UsageError
from citewise.types import (
    Answer,
    Citation,
    Done,
    Effort,
    Filters,
    Json,
    Message,
    Paper,
    SentenceReady,
    Working,
    filters_of,
)
from citewise.web.context import Asks
from citewise.web.guard import Places
from citewise.web.talk import in_thread

log = logging.getLogger("citewise")

MODELS: Mapping[str, Effort] = {
    "citewise": Effort.NORMAL,
    "citewise-quick": Effort.QUICK,
    "citewise-deep": Effort.DEEP,
}
"""Names under which a chat program finds citewise, and the effort that each stands for."""
NEAREST = 3
"""Papers named where the question is not answered."""
_WEB = re.compile(r"https?://[^\s<>\"'()\[\]\\`]+")
_MARK = re.compile(r"\[(\d+)\]")


class _RefusedError(Exception):
    """What the client is told in place of an answer."""

    def __init__(
        self,
        status: int,
        text: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers
        self.body: Json = {"error": {"message": text, "type": kind, "param": param, "code": code}}

    def response(self) -> Response:
        return JSONResponse(self.body, self.status, self.headers)


@dataclass(frozen=True, slots=True)
class _Call:
    """A request, understood."""

    model: str
    question: str
    history: tuple[Message, ...]
    effort: Effort
    filters: Filters
    stream: bool
    with_usage: bool
    """Whether a stream ends with a piece that holds the usage alone."""
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))


def routes(assistant: Asks, places: Places) -> list[Route]:
    """The door's routes; every question takes one of ``places``."""

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model(name) for name in MODELS]})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        return JSONResponse(_model(name)) if name in MODELS else _no_model(name).response()

    async def completions(request: Request) -> Response:
        try:
            call = _understood(await request.body())
            if call.stream:
                return await _streamed(assistant, places, call)
            return JSONResponse(await _whole(assistant, places, call))
        except Exception as error:  # noqa: BLE001  # logged there, and said in the client's way
            return _refusal(error).response()

    return [
        Route("/v1/models", models),
        Route("/v1/models/{name}", model),
        Route("/v1/chat/completions", completions, methods=["POST"]),
    ]


def _model(name: str) -> Json:
    return {"id": name, "object": "model", "created": 0, "owned_by": "citewise"}


def _no_model(name: str) -> _RefusedError:
    known = ", ".join(MODELS)
    return _RefusedError(
        404,
        f"There is no model {name[:100]!r} here; there are {known}.",
        param="model",
        code="model_not_found",
    )


# -- what is asked ----------------------------------------------------------------------------


def _understood(body: bytes) -> _Call:
    try:
        asked: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _RefusedError(400, f"The request is not JSON: {error}.") from error
    if not isinstance(asked, dict):
        raise _RefusedError(400, "The request must be a JSON object.")
    name = asked.get("model")
    if not isinstance(name, str):
        raise _RefusedError(400, "Name a model as text.", param="model")
    if name not in MODELS:
        raise _no_model(name)
    if asked.get("n") not in (None, 1):
        raise _RefusedError(400, "There is one answer to a question: n must be 1.", param="n")
    form = asked.get("response_format")
    if form is not None and (not isinstance(form, dict) or form.get("type") != "text"):
        raise _RefusedError(
            400,
            "Answers are text; their structure is in the field citewise.",
            param="response_format",
        )
    stream = asked.get("stream") or False
    if not isinstance(stream, bool):
        raise _RefusedError(400, "stream must be true or false.", param="stream")
    options = asked.get("stream_options") or {}
    if not isinstance(options, dict):
        raise _RefusedError(400, "stream_options must be an object.", param="stream_options")
    *history, last = _messages(asked.get("messages"))
    if last.role != "user":
        raise _RefusedError(400, "The last message must be the user's.", param="messages")
    return _Call(
        model=name,
        question=last.content,
        history=tuple(history),
        effort=MODELS[name],
        filters=_filters(asked.get("citewise")),
        stream=stream,
        with_usage=bool(options.get("include_usage")),
    )


def _messages(value: object) -> list[Message]:
    """The conversation, without what systems and tools say in it."""
    if not isinstance(value, list) or not value:
        raise _RefusedError(400, "messages must be a list with a question.", param="messages")
    found = []
    for at, item in enumerate(value):
        where = f"messages[{at}]"
        role = item.get("role") if isinstance(item, dict) else None
        if role in ("system", "developer", "tool", "function"):
            continue
        if role not in ("user", "assistant"):
            raise _RefusedError(
                400, f"{where} needs a role, user or assistant.", param=f"{where}.role"
            )
        content = _text(item.get("content"), f"{where}.content")
        if content or role == "user":
            found.append(Message(role, content))
    if not found:
        raise _RefusedError(400, "messages holds no question.", param="messages")
    return found


def _text(content: object, where: str) -> str:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [
        part["text"]
        for part in parts
        if isinstance(part, dict)
        and part.get("type") in ("text", "refusal")
        and isinstance(part.get("text"), str)
    ]
    if len(texts) != len(parts):
        raise _RefusedError(400, f"{where} must be text, or parts of text alone.", param=where)
    return "\n".join(texts)


def _filters(value: object) -> Filters:
    """The request's own field ``citewise``: ``{"filters": {"since", "until", ...}}``."""
    given = {} if value is None else value
    if not isinstance(given, dict) or not given.keys() <= {"filters"}:
        raise _RefusedError(400, "citewise may hold filters and nothing else.", param="citewise")
    try:
        return filters_of(given.get("filters") or {})
    except ValueError as error:
        raise _RefusedError(400, f"{error}.", param="citewise.filters") from error


# -- what is answered -------------------------------------------------------------------------


async def _whole(assistant: Asks, places: Places, call: _Call) -> Json:
    said = _Said()
    async with places.one():
        async for event in in_thread(_events(assistant, call)):
            if isinstance(event, SentenceReady):
                said.add(event)
            elif isinstance(event, Done):
                if said.changed(event.answer):
                    said = _Said()
                said.finish(event.answer)
                message = {
                    "role": "assistant",
                    "content": said.text,
                    "refusal": None,
                    "annotations": said.annotations(event.answer),
                }
                choice = {
                    "index": 0,
                    "message": message,
                    "logprobs": None,
                    "finish_reason": "stop",
                }
                return {
                    "id": call.id,
                    "object": "chat.completion",
                    "created": call.created,
                    "model": call.model,
                    "choices": [choice],
                    "usage": _usage(event.answer),
                    "citewise": event.answer.to_dict(),
                }
    raise RuntimeError("the answer ended without its last event")


def _events(assistant: Asks, call: _Call) -> Any:
    return assistant.stream(
        call.question, call.history, effort=call.effort.value, filters=call.filters
    )


async def _streamed(assistant: Asks, places: Places, call: _Call) -> Response:
    pieces = _pieces(assistant, places, call)
    # What is refused at once gets a status of its own, before anything is sent.
    first = await anext(pieces)

    async def all_pieces() -> AsyncIterator[str]:
        try:
            yield first
            async for piece in pieces:
                yield piece
        except Exception as error:  # noqa: BLE001  # as above
            yield f"data: {json.dumps(_refusal(error).body)}\n\n"
        finally:
            await pieces.aclose()

    return StreamingResponse(
        all_pieces(),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _pieces(assistant: Asks, places: Places, call: _Call) -> Any:
    """The lines of a streamed answer; what is being done comes as comments, which clients skip."""

    def chunk(delta: Json, *, end: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}
        return line({"choices": [choice], **more})

    def line(more: Json) -> str:
        head = {
            "id": call.id,
            "object": "chat.completion.chunk",
            "created": call.created,
            "model": call.model,
        }
        return f"data: {json.dumps(head | more)}\n\n"

    said = _Said()
    async with places.one():
        begun = False
        async for event in in_thread(_events(assistant, call)):
            if not begun:
                begun = True
                yield chunk({"role": "assistant", "content": ""})
            if isinstance(event, Working):
                yield f": {' '.join(event.text.split())}\n\n"
            elif isinstance(event, SentenceReady):
                if piece := said.add(event):
                    yield chunk({"content": piece})
            elif isinstance(event, Done):
                answer = event.answer
                yield chunk({"content": said.finish(answer)})
                yield chunk(
                    {"annotations": said.annotations(answer)},
                    end="stop",
                    citewise=answer.to_dict(),
                )
                if call.with_usage:
                    yield line({"choices": [], "usage": _usage(answer)})
                yield "data: [DONE]\n\n"
                return
    raise RuntimeError("the answer ended without its last event")


class _Said:
    """The text that a client has been given so far."""

    def __init__(self) -> None:
        self.text = ""
        self._plain = ""
        self._gap = ""
        self._from = 0

    def _say(self, text: str) -> str:
        text = harmless(text, after=self.text)
        self.text += text
        return text

    def add(self, event: SentenceReady) -> str:
        """The next piece, with its doubt; the white space that ends it comes with the one after."""
        self._plain += event.text
        text = self._gap + spoken(event.text, event.sentence)
        self._gap = text[len(text.rstrip()) :]
        return self._say(text.rstrip())

    def changed(self, answer: Answer) -> bool:
        """Whether the answer says something else than its pieces did."""
        return self._plain.strip() != answer.text.strip()

    def finish(self, answer: Answer) -> str:
        """What is missing: the text itself where it changed or never streamed, and its papers."""
        before = len(self.text)
        if self.changed(answer):
            if self._plain.strip():
                self._say("\n\nThe answer after the check:\n\n")
            self._from = len(self.text)
            self._say(marked(answer).strip())
        self.text += _papers(answer)
        return self.text[before:]

    def annotations(self, answer: Answer) -> list[Json]:
        """Each marker of the answer with its paper: ``text[start_index:end_index] == '[1]'``."""
        cited = {citation.n: citation for citation in answer.citations}
        end = len(self.text) - len(_papers(answer))
        return [
            _annotation(cited[int(mark[1])], mark)
            for mark in _MARK.finditer(self.text, self._from, end)
            if int(mark[1]) in cited
        ]


def _annotation(citation: Citation, mark: re.Match[str]) -> Json:
    return {
        "type": "url_citation",
        "url_citation": {
            "start_index": mark.start(),
            "end_index": mark.end(),
            "title": citation.paper.heading,
            "url": citation.paper.url or "",
            "paper_id": citation.paper.id,
            "quotes": [span.text for span in citation.spans],
        },
    }


def said_of(answer: Answer) -> str:
    """An answer as a chat program is given it: doubts in words, references under it."""
    said = _Said()
    said.finish(answer)
    return said.text


def _papers(answer: Answer) -> str:
    """The references under an answer, or the nearest papers under none."""
    if answer.citations:
        lines = [f"- [{c.n}] {_paper(c.paper)}" for c in answer.citations]
        return "\n\nReferences\n\n" + "\n".join(lines)
    if not answer.answered and answer.retrieved:
        titles = [f"- {_plain(item.title)}" for item in answer.retrieved[:NEAREST]]
        return "\n\nNearest papers\n\n" + "\n".join(titles)
    return ""


def _paper(paper: Paper) -> str:
    date = f" ({_plain(paper.published)})" if paper.published else ""
    url = paper.link if paper.link and _WEB.fullmatch(paper.link) else ""
    return f"{_plain(paper.heading)}{date}" + (f" {url}" if url else "")


def _plain(text: str) -> str:
    return harmless(defused(text))


_LIVE = re.compile(r"(?<=!)(?=\[)|(?<=\])(?=\()|(?=<[A-Za-z/!?])")
"""Where Markdown would begin an image, a link or HTML."""
_DEFINITION = re.compile(r"^([ >]*\[[^\]\n]*\])(?=:)", re.MULTILINE)
"""What would make links of all markers of that name."""


def harmless(text: str, *, after: str = "") -> str:
    """Markdown of which a chat program can make neither image nor link nor HTML.

    The words may come from a paper or a model, and an image is fetched without being clicked.
    ``after`` is the text that it follows.
    """
    edge = after[-1:]
    text = _LIVE.sub(r"\\", edge + text)[len(edge) :]
    return _DEFINITION.sub(r"\1\\", text)


def _usage(answer: Answer) -> Json:
    prompt, completion = answer.usage.prompt_tokens, answer.usage.completion_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _refusal(error: Exception) -> _RefusedError:
    """What a client is told of an error: ours as they are, of others only that there was one."""
    if isinstance(error, _RefusedError):
        return error
    # Asking again would cost the same and fail again; OpenAI's clients heed this.
    final = {"x-should-retry": "false"}
    if isinstance(error, BusyError):
        return _RefusedError(
            503, str(error), kind="server_error", code="busy", headers={"retry-after": "2"}
        )
    if isinstance(error, UsageError):
        return _RefusedError(400, str(error))
    if isinstance(error, BackendError):
        return _RefusedError(502, str(error), kind="server_error", headers=final)
    if isinstance(error, CitewiseError):
        return _RefusedError(500, str(error), kind="server_error", headers=final)
    log.error("answering for a program failed", exc_info=error)
    text = "Something inside citewise failed; the details are in the log of the server."
    return _RefusedError(500, text, kind="server_error", headers=final)
