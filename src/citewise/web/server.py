"""The server of the page: one ASGI application on one port, safe headers, a clean end."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
import webbrowser
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from citewise.errors import CitewiseError, PortInUseError, UsageError
from citewise.web import theme
from citewise.web.auth import USER, Door, check_reach, user_of
from citewise.web.context import Asks, PageContext
from citewise.web.gradio_import import lean_import
from citewise.web.guard import Guard, Places

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI, Request

    from citewise.web.mcp_door import McpDoor
    from citewise.web.users import Users

log = logging.getLogger("citewise")

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        # Gradio compiles its templates in the browser, hence unsafe-eval. What counts here: no
        # image, font, script or connection may leave for another host, whatever the HTML says.
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        b"connect-src 'self'; media-src 'self' data: blob:; worker-src 'self' blob:; "
        b"object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
    ),
    # Not "no-referrer": browsers then send forms of our own without their origin, as strangers'.
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)


class _Headers:
    """ASGI middleware that adds the security headers to every answer."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
            await send(message)

        await self.app(scope, receive, sending if scope["type"] == "http" else send)


def build_app(
    assistant: Asks,
    *,
    others: Sequence[Asks] = (),
    users: Users | None = None,
    host: str = "127.0.0.1",
    mcp: bool = False,
    on_step: Callable[[str], None] | None = None,
) -> FastAPI:
    """The whole server as an ASGI application: the page at ``/``, ``/healthz`` beside it.

    ``others`` answer with further backends, which their page offers, or from further libraries,
    each of which has a page of its own under ``/library/``. With ``users`` everything but
    ``/healthz`` wants a login; without, ``host`` is what a browser may call this machine besides
    its loopback names. With ``mcp`` agents find tools at ``/mcp``;
    raises UsageError where the extra for it is not installed. ``on_step`` is told what begins.
    """
    say = on_step or _silent
    say("importing the page's parts")
    with lean_import():
        import gradio as gr  # noqa: PLC0415  # takes seconds, as what is made with it
    from fastapi import FastAPI  # noqa: PLC0415  # comes with gradio
    from fastapi.middleware.cors import CORSMiddleware  # noqa: PLC0415

    from citewise.web import openai_door  # noqa: PLC0415
    from citewise.web.page import build_page  # noqa: PLC0415
    from citewise.web.rooms import Rooms, pages_of  # noqa: PLC0415  # imports fastapi

    say("loading the search model and the index")
    # Here, because the page opens with questions that it looks for among the papers.
    _warm(assistant)
    say("drawing the page")
    places = Places()
    tools = _tools(assistant, places) if mcp else None
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=(lambda _: tools.running()) if tools else None,
    )
    # No page of another host may read an answer. Where the application says nothing about it,
    # Gradio allows them all as soon as the host is not this machine.
    app.add_middleware(CORSMiddleware)
    app.add_middleware(Guard)
    # Added last, met first: nothing is done for a stranger, and a refusal has the headers too.
    app.add_middleware(Door, users=users, host=host)
    app.add_middleware(_Headers)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    app.router.routes.extend(openai_door.routes(assistant, places))
    if tools is not None:
        app.router.routes.append(tools.route())

    app.state.rooms = rooms = Rooms()
    shelves: dict[Path, list[Asks]] = {}
    for one in (assistant, *others):
        shelves.setdefault(one.library.path, []).append(one)
    libraries = pages_of([asked[0].library for asked in shelves.values()])
    # The page at the root takes every path that none before it has taken.
    for asked, (name, prefix) in reversed(
        list(zip(shelves.values(), libraries.items(), strict=True))
    ):
        context = replace(
            PageContext.of(asked, user_of=user_of),
            adding=rooms.open(app, asked[0].library, prefix),
            evaluating=rooms.evaluating,
            login=users is not None,
            libraries={name: prefix, **libraries},
        )
        app = gr.mount_gradio_app(
            app,
            build_page(context),
            path=prefix or "/",
            theme=theme.theme(),
            head=theme.head(),
            show_error=False,
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            auth_dependency=_user if users is not None else None,
        )
    return app


def _silent(step: str) -> None:
    del step


def _tools(assistant: Asks, places: Places) -> McpDoor:
    try:
        from citewise.web.mcp_door import McpDoor  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise UsageError(
            f"--mcp needs packages that are not installed ({error}); "
            "`pip install 'citewise[mcp]'` brings them"
        ) from error
    return McpDoor(assistant, places)


def _user(request: Request) -> str | None:
    """Whom the door let in; Gradio hands it on as ``gr.Request.username``."""
    user: str | None = request.scope.get(USER)
    return user


def _listen(host: str, port: int) -> socket.socket:
    """A socket bound to ``host`` and ``port`` (0 for any free one)."""
    if not 0 <= port <= 65535:
        # getaddrinfo would take it modulo 65536
        raise UsageError(f"port {port} does not exist; name one from 1 to 65535 with --port")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error}; name another with --host and --port"
        ) from error
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        # Bound but not listening would let a second process bind as well and fail only later.
        sock.listen(128)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(
                f"port {port} on {host} is in use; stop what uses it or name another with --port"
            ) from error
        raise UsageError(
            f"cannot listen on {host}, port {port}: {error.strerror}; "
            "name another with --host and --port"
        ) from error
    return sock


def make_server(
    assistant: Asks,
    *,
    others: Sequence[Asks] = (),
    host: str = "127.0.0.1",
    port: int = 7860,
    users: Users | None = None,
    mcp: bool = False,
    ready: Callable[[str], None] | None = None,
    on_step: Callable[[str], None] | None = None,
) -> tuple[uvicorn.Server, socket.socket]:
    """The server, not yet running, and its bound socket: ``server.run(sockets=[socket])``.

    ``others`` and ``on_step`` are as for ``build_app``; ``ready`` is called with the page's address
    once it is served. Raises PortInUseError, UsersError where nobody could log in, and UsageError
    where the host cannot be listened on or is reached by others and no ``users`` are given, or
    ``mcp`` lacks its extra.
    """
    check_reach(host, users)
    sock = _listen(host, port)
    try:
        app = build_app(assistant, others=others, users=users, host=host, mcp=mcp, on_step=on_step)
        import uvicorn  # noqa: PLC0415  # comes with gradio
    except BaseException:
        sock.close()
        raise
    shown_host = f"[{host}]" if ":" in host else host
    url = f"http://{shown_host}:{sock.getsockname()[1]}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started and ready is not None:
                ready(url)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Every open page holds a connection for good. Closed here, their tasks end by
            # themselves; left alone, they are cancelled later, with a traceback each.
            connection: Any
            for connection in list(self.server_state.connections):
                connection.transport.close()
            await super().shutdown(sockets)
            await asyncio.to_thread(app.state.rooms.close)

    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
    return Server(config), sock


def _warm(assistant: Asks) -> None:
    try:
        assistant.library.warm()
    except CitewiseError as error:
        # the first question will meet it again and say so to the person who asks
        log.warning("the library could not be made ready: %s", error)


def serve(
    assistant: Asks,
    *,
    others: Sequence[Asks] = (),
    host: str = "127.0.0.1",
    port: int = 7860,
    users: Users | None = None,
    mcp: bool = False,
    open_browser: bool = False,
    ready: Callable[[str], None] | None = None,
    on_step: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until interrupted; prints nothing.

    ``on_step`` is told what begins while the page is made, in words for people; ``ready`` is called
    with the page's address once it answers, and with ``open_browser`` it is opened then. Raises as
    ``make_server``. Ctrl-C ends it without an error.
    """

    def on_ready(url: str) -> None:
        # The first library is ready by now.
        rest = {id(one.library): one for one in others if one.library is not assistant.library}
        for library in rest.values():
            threading.Thread(target=_warm, args=(library,), daemon=True).start()
        if ready is not None:
            ready(url)
        if open_browser:
            webbrowser.open(url)

    server, sock = make_server(
        assistant,
        others=others,
        host=host,
        port=port,
        users=users,
        mcp=mcp,
        ready=on_ready,
        on_step=on_step,
    )
    try:
        server.run(sockets=[sock])
    except KeyboardInterrupt:
        # uvicorn has shut down by now and only passes the signal on.
        log.debug("interrupted")
    finally:
        sock.close()
