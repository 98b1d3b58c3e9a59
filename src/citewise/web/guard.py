"""What stands between the door and the application: ceilings, closed routes, sessions kept apart.

Gradio keeps what a browser does under a session name that the browser itself chooses, and asks
nobody whether the name is his: whoever knows it reads its events and stops its work. So the user's
own name is put before every session name on its way in; nobody can say another's.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode

from citewise.errors import BusyError
from citewise.web.auth import USER, refuse

BODY_BYTES = 2 * 1024 * 1024
"""Most bytes of a request; 10,000 turns of two lines fit. Files are not counted."""
_SHELF = r"(?:/library/[a-z0-9-]+)?"
"""Where a page lies: at the root, or for a further library under its name."""
UPLOADS = re.compile(_SHELF + r"/(?:gradio_api/upload|papers/upload)/?")
"""Where files come in, held to limits of their own."""
ASKING_AT_ONCE = 20
"""Questions of programs that are worked on at the same time."""
WAITING = 200
"""Questions of programs that wait for their turn; further ones are told to come again."""

_CLOSED = re.compile(
    _SHELF
    + r"/gradio_api/(?:proxy=|vibe-|undo-vibe|process_recording|deep_link|run-history|runs\b|dev/"
    r"|stream/|profiling)|/monitoring\b"
)
"""Routes of Gradio's that the page does not use: the less there is, the less can be wrong."""
_IN_PATH = re.compile(rf"({_SHELF}/gradio_api/heartbeat/)([^/]+)/?")
_GRADIO = re.compile(_SHELF + "/gradio_api/")


class Guard:
    """ASGI middleware behind the door; see the module."""

    def __init__(self, app: Any, *, body_bytes: int = BODY_BYTES) -> None:
        self._app = app
        self._most = body_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request through, with its session name made the user's own, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"])
        if _CLOSED.match(path):
            await refuse(404, "There is nothing here.", "not_found_error").send(send)
            return
        user = str(scope.get(USER, ""))
        if user:
            _make_own(scope, user)
        if scope["method"] in ("POST", "PUT", "PATCH") and not UPLOADS.fullmatch(path):
            body = await _whole_body(scope, receive, self._most)
            if body is None:
                text = f"The request is larger than {self._most} bytes."
                await refuse(413, text, "invalid_request_error").send(send)
                return
            if user and _GRADIO.match(path):
                body = _with_own_session(body, user)
                if body is None:
                    text = "This takes a JSON object."
                    await refuse(400, text, "invalid_request_error").send(send)
                    return
            receive = _again(scope, body, receive)
        await self._app(scope, receive, send)


def _make_own(scope: Any, user: str) -> None:
    """Put the user's name before the session in the path and the query."""
    query = scope["query_string"].decode("latin-1")
    if "session_hash" in query:
        pairs = [
            (name, f"{user}:{value}" if name == "session_hash" else value)
            for name, value in parse_qsl(query, keep_blank_values=True)
        ]
        scope["query_string"] = urlencode(pairs).encode()
    if match := _IN_PATH.fullmatch(scope["path"]):
        scope["path"] = f"{match[1]}{user}:{match[2]}"
        scope["raw_path"] = scope["path"].encode()


def _with_own_session(body: bytes, user: str) -> bytes | None:
    """The JSON of a request with the user's name before its session; None where it is no object."""
    if not body:
        return body
    try:
        # Read and written again, so that a name given twice means one thing to everybody.
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if isinstance(value.get("session_hash"), str):
        value["session_hash"] = f"{user}:{value['session_hash']}"
    return json.dumps(value).encode()


async def _whole_body(scope: Any, receive: Any, most: int) -> bytes | None:
    """The body of a request; None when it is larger than ``most`` bytes."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _again(scope: Any, body: bytes, receive: Any) -> Any:
    """A ``receive`` that gives the read body once more, and then what comes after it."""
    scope["headers"] = [
        *((name, value) for name, value in scope["headers"] if name != b"content-length"),
        (b"content-length", str(len(body)).encode()),
    ]
    given = False

    async def replay() -> Any:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


class Places:
    """So many questions at once and so many waiting; belongs to one event loop."""

    def __init__(self, at_once: int = ASKING_AT_ONCE, waiting: int = WAITING) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._most = waiting

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A place, after waiting for it. Raises BusyError where too many wait already."""
        if self._free.locked() and self._waiting >= self._most:
            raise BusyError(f"{self._waiting} questions are waiting already; ask again in a moment")
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
