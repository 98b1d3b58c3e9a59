"""A small server with the OpenAI protocol on loopback that behaves as badly as it is told to.

    with OpenAIServer("Halves the memory [1].") as server:
        ...  # ask server.url; then look at server.requests

A script is a list of behaviours, one for each request in order; the last one repeats. A plain
string is a streamed answer.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 120, "completion_tokens": 34, "total_tokens": 154}

Behaviour = Callable[["Exchange"], None]


@dataclass
class Seen:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: dict[str, Any]

    @property
    def text(self) -> str:
        """Headers and body, to look for what must not be there."""
        return json.dumps([self.path, self.headers, self.body])

    @property
    def last_user_turn(self) -> str:
        return str(self.body["messages"][-1]["content"])


@dataclass
class Exchange:
    """What a behaviour answers with."""

    handler: BaseHTTPRequestHandler
    request: Seen
    stopping: threading.Event
    hung_up: threading.Event

    def head(self, status: int, kind: str, headers: dict[str, str] | None = None) -> None:
        self.handler.send_response(status)
        self.handler.send_header("Content-Type", kind)
        for name, value in (headers or {}).items():
            self.handler.send_header(name, value)
        # The end of the body is the end of the connection.
        self.handler.send_header("Connection", "close")
        self.handler.end_headers()

    def send(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def json(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        self.head(status, "application/json", headers)
        self.send(json.dumps(value).encode())

    def wait(self, seconds: float) -> None:
        """Keep silent, but not longer than the server lives or the client stays."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.stopping.is_set():
            if self.gone():
                self.hung_up.set()
                return
            time.sleep(0.01)

    def gone(self) -> bool:
        connection = self.handler.connection
        connection.setblocking(False)
        try:
            return len(connection.recv(1, socket.MSG_PEEK)) == 0
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            connection.setblocking(True)


@dataclass
class OpenAIServer:
    """The server; use it as a context manager."""

    script: str | Behaviour | Sequence[str | Behaviour] = "Ready."
    requests: list[Seen] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when a client left before its answer was complete."""

    def __enter__(self) -> OpenAIServer:
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                owner._answer(self)

            def do_GET(self) -> None:
                owner._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            # Of many clients that connect at once, only five would find room.
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Base URL, to be given to a client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def spec(self, model: str = "small") -> str:
        """The server as a backend's name."""
        return f"openai-compatible:{model}@{self.url}"

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length") or 0)
        body = json.loads(handler.rfile.read(length) or b"{}")
        headers = {name.casefold(): value for name, value in handler.headers.items()}
        seen = Seen(handler.path, headers, body)
        with self._lock:
            number = len(self.requests)
            self.requests.append(seen)
        script = self.script
        if isinstance(script, str) or callable(script):
            script = [script]
        step = script[min(number, len(script) - 1)]
        behaviour = streamed(step) if isinstance(step, str) else step
        try:
            behaviour(Exchange(handler, seen, self._stopping, self.hung_up))
        except OSError:
            self.hung_up.set()


def event(delta: str | None = None, *, finish: str | None = None, **more: object) -> bytes:
    """One server-sent event of a streamed answer."""
    choice = {"index": 0, "delta": {"content": delta} if delta is not None else {}}
    value = {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "small",
        "choices": [{**choice, "finish_reason": finish}],
        **more,
    }
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def pieces_of(text: str, size: int = 7) -> list[str]:
    """``text`` in pieces as a model would send it."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def _events(pieces: Iterable[str], *, finish: str, usage: bool) -> Iterator[bytes]:
    for piece in pieces:
        yield event(piece)
    yield event(finish=finish)
    if usage:
        yield event(choices=[], usage=USAGE)
    yield b"data: [DONE]\n\n"


def streamed(text: str | Iterable[str], *, finish: str = "stop") -> Behaviour:
    """The whole answer, event by event; usage when the client asked for it."""
    pieces = pieces_of(text) if isinstance(text, str) else list(text)

    def behave(exchange: Exchange) -> None:
        wants = (exchange.request.body.get("stream_options") or {}).get("include_usage", False)
        exchange.head(200, "text/event-stream")
        for data in _events(pieces, finish=finish, usage=wants):
            exchange.send(data)

    return behave


def plain(text: str) -> Behaviour:
    """One JSON object, though a stream was asked for."""

    def behave(exchange: Exchange) -> None:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        exchange.json(200, {"choices": [choice], "usage": USAGE})

    return behave


def replying(answer: Callable[[Seen], str]) -> Behaviour:
    """A streamed answer made from the request, such as one that lies about its evidence."""

    def behave(exchange: Exchange) -> None:
        streamed(answer(exchange.request))(exchange)

    return behave


def half(text: str) -> Behaviour:
    """The beginning of an answer, then the line is cut."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, "text/event-stream")
        for piece in pieces_of(text):
            exchange.send(event(piece))

    return behave


def then_silence(text: str = "", seconds: float = 30.0) -> Behaviour:
    """The beginning of an answer, then nothing, with the line kept open."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, "text/event-stream")
        for piece in pieces_of(text):
            exchange.send(event(piece))
        exchange.wait(seconds)

    return behave


def silence(seconds: float = 30.0) -> Behaviour:
    """Nothing, not even a status."""
    return lambda exchange: exchange.wait(seconds)


def only_comments(every: float = 0.02) -> Behaviour:
    """Signs of life for ever, but no answer."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, "text/event-stream")
        while not exchange.stopping.is_set():
            exchange.send(b": still thinking\n\n")
            time.sleep(every)

    return behave


def byte_by_byte(text: str, every: float = 0.0) -> Behaviour:
    """The whole answer, one byte at a time."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, "text/event-stream")
        for data in _events(pieces_of(text), finish="stop", usage=True):
            for at in range(len(data)):
                exchange.send(data[at : at + 1])
                if every:
                    time.sleep(every)

    return behave


def endless(text: str = "and so on ", every: float = 0.0) -> Behaviour:
    """An answer that never ends."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, "text/event-stream")
        while not exchange.stopping.is_set():
            exchange.send(event(text))
            if every:
                time.sleep(every)

    return behave


def endless_line() -> Behaviour:
    """One event that never ends."""

    def behave(exchange: Exchange) -> None:
        exchange.head(200, "text/event-stream")
        exchange.send(b'data: {"choices": [{"delta": {"content": "')
        while not exchange.stopping.is_set():
            exchange.send(b"x" * 65_536)

    return behave


def raw(data: bytes, *, status: int = 200, kind: str = "text/event-stream") -> Behaviour:
    """Any bytes."""

    def behave(exchange: Exchange) -> None:
        exchange.head(status, kind)
        exchange.send(data)

    return behave


def failing(
    status: int,
    message: str = "it failed",
    *,
    headers: dict[str, str] | None = None,
    code: str = "",
) -> Behaviour:
    """An error as OpenAI words it."""
    error = {"message": message, "type": "error", "code": code or None}
    return lambda exchange: exchange.json(status, {"error": error}, headers)


def endless_failure(status: int = 500) -> Behaviour:
    """An error whose explanation never ends."""

    def behave(exchange: Exchange) -> None:
        exchange.head(status, "application/json")
        while not exchange.stopping.is_set():
            exchange.send(b" " * 4096)

    return behave


def redirecting(url: str, status: int = 307) -> Behaviour:
    """Sends the client elsewhere."""
    return lambda exchange: exchange.json(status, {}, {"Location": url})


def needing_key(key: str, then: Behaviour) -> Behaviour:
    """Refuses every other key, and repeats it in its complaint as some servers do."""

    def behave(exchange: Exchange) -> None:
        given = exchange.request.headers.get("authorization", "").removeprefix("Bearer ")
        if given == key:
            then(exchange)
        else:
            failing(401, f"Incorrect API key provided: {given}")(exchange)

    return behave


def refusing(
    parameter: str, then: Behaviour, *, status: int = 400, named: bool = True
) -> Behaviour:
    """Refuses requests that use a parameter, naming it or not."""

    def behave(exchange: Exchange) -> None:
        if parameter in exchange.request.body:
            message = f"Unsupported parameter: '{parameter}'" if named else "bad request"
            failing(status, message)(exchange)
        else:
            then(exchange)

    return behave
