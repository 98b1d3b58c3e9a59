"""A headless Chromium for tests, and a page in it that notes what no page of ours may do."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("CITEWISE_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(
        # Where a browser is demanded, its absence fails the launch instead.
        CHROMIUM is None and not os.environ.get("CITEWISE_REQUIRE_BROWSER"),
        reason="no Chromium on this machine: the page is not tested in a browser "
        "(install one, or name it in CITEWISE_CHROMIUM)",
    ),
]
WAIT = 30_000
CUT_OFF = re.compile(r"AbortError: signal is aborted|Connection errored out")
"""What Gradio's own script says of a stream that was open as the page was left."""


@pytest.fixture(scope="module")  # not longer: Playwright's event loop stands in asyncio's way
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser
        browser.close()


class Room:
    """A page that notes what no page of ours may do."""

    def __init__(self, page: Any, address: str, opens_with: str = ".cw-welcome") -> None:
        self.page = page
        self.faults: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._request)
        page.goto(address)
        page.wait_for_selector(opens_with, timeout=WAIT)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")

    def _request(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.hostname != "127.0.0.1":
            self.faults.append(f"request: {request.url}")

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """The page is left for another; that this cuts off a stream is no fault of the page."""
        before = len(self.faults)
        yield
        self.faults[before:] = [one for one in self.faults[before:] if not CUT_OFF.search(one)]

    def reload(self) -> None:
        """Load the page anew."""
        with self.leaving():
            self.page.reload()

    def type(self, question: str) -> None:
        self.page.fill("#cw-box textarea", question)
        self.page.press("#cw-box textarea", "Enter")

    def ask(self, question: str) -> None:
        self.type(question)
        self.page.wait_for_function(
            """question => {
              const turn = document.querySelector('#cw-current .cw-turn:not(.cw-busy)');
              return turn && turn.querySelector('.cw-question h2').textContent.trim() === question
            }""",
            arg=question.strip(),
            timeout=WAIT,
        )

    def sees(self, selector: str) -> Any:
        self.page.wait_for_selector(selector, timeout=WAIT)
        return self.page.locator(selector)

    def enters(self, field: Any, value: str, shown: str) -> Any:
        """Type ``value`` and Enter into a field, until ``shown`` (a selector) is seen.

        Gradio drops what is typed into a box that it is still drawing.
        """
        for _ in range(5):
            field.fill(value)
            field.press("Enter")
            try:
                self.page.wait_for_selector(shown, timeout=WAIT / 6)
            except sync_api.TimeoutError:
                continue
            break
        return self.sees(shown)

    def barriers(self) -> list[tuple[str, str]]:
        """What axe-core finds wrong for people who cannot see, or not well: rule and element."""
        axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core is missing")
        found = axe.Axe().run(self.page)["violations"]
        return [(v["id"], n["html"][:200]) for v in found for n in v["nodes"]]

    def in_view(self, selector: str, pane: str) -> bool:
        return bool(
            self.page.evaluate(
                """([selector, pane]) => {
                  const a = document.querySelector(selector).getBoundingClientRect();
                  const b = document.querySelector(pane).getBoundingClientRect();
                  return a.top >= b.top - 1 && a.top < Math.min(b.bottom, innerHeight)
                    && a.left >= b.left - 1
                }""",
                [selector, pane],
            )
        )


@pytest.fixture
def open_room(browser: Any) -> Iterator[Any]:
    rooms: list[Room] = []

    def make(
        address: str,
        width: int = 1440,
        height: int = 900,
        opens_with: str = ".cw-welcome",
        **options: Any,
    ) -> Room:
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce", **options
        )
        rooms.append(Room(context.new_page(), address, opens_with))
        return rooms[-1]

    yield make
    faults = [fault for room in rooms for fault in room.faults]
    for room in rooms:
        room.page.context.close()
    assert not faults, "\n".join(faults)
