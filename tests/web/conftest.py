from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import scripted  # type: ignore[import-not-found]  # beside this file

from citewise.web.page import make_server

Served = Callable[[Any], Any]


@contextmanager
def serving(assistant: Any) -> Iterator[str]:
    """The page of ``assistant`` on a free port of the loopback; yields its address."""
    addresses: list[str] = []
    server, sock = make_server(assistant, port=0, ready=addresses.append)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not addresses:
        assert thread.is_alive(), "the server ended before it was ready"
        assert time.monotonic() < deadline, "the server was not ready within a minute"
        time.sleep(0.02)
    try:
        yield addresses[0]
    finally:
        server.should_exit = True
        thread.join(15)


@pytest.fixture(scope="session")
def script() -> Any:
    return scripted.ScriptedAssistant()


@pytest.fixture(scope="session")
def address(script: Any) -> Iterator[str]:
    with serving(script) as url:
        yield url
