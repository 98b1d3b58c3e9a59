"""Two people with a login of their own, each in a browser: neither sees the other's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scripted  # type: ignore[import-not-found]  # beside this file
from argon2 import PasswordHasher

from citewise.web.users import Users

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = os.environ.get("CITEWISE_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CITEWISE_REQUIRE_BROWSER"),
        reason="no Chromium on this machine: the login is not tested in a browser",
    ),
]
WAIT = 30_000
SECRET = "Which papers make Adas secret project faster?"


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    users = Users(tmp_path / "users.json", PasswordHasher(1, 8, 1))
    with (
        scripted.serving(scripted.ScriptedAssistant(0), users=users_of(users)) as url,
        sync_api.sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        both = []
        for name in ("ada", "bob"):
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.goto(f"{url}/?c=nowhere")
            assert page.url.startswith(f"{url}/login?next=")
            page.fill("#username", name)
            page.fill("#password", "correct horse")
            page.keyboard.press("Enter")
            page.wait_for_url(f"{url}/?c=nowhere")
            page.goto(url)
            page.wait_for_selector(".cw-welcome", timeout=WAIT)
            both.append(page)
        yield both[0], both[1]
        browser.close()


def users_of(users: Users) -> Users:
    for name in ("ada", "bob"):
        users.add(name, "correct horse")
    return users


def ask(page: Any, question: str) -> None:
    page.fill("#cw-box textarea", question)
    page.press("#cw-box textarea", "Enter")
    page.wait_for_function(
        """question => {
          const turn = document.querySelector('#cw-current .cw-turn:not(.cw-busy)');
          return turn && turn.querySelector('.cw-question').textContent.includes(question)
        }""",
        arg=question,
        timeout=WAIT,
    )


def test_neither_sees_what_the_other_asks(pages: tuple[Any, Any]) -> None:
    ada, bob = pages
    ask(ada, SECRET)
    ada.wait_for_selector(".cw-conv", timeout=WAIT)
    address = ada.url
    assert "c=" in address
    # not in Bob's list
    ask(bob, "Which papers make decoding faster?")
    bob.wait_for_selector(".cw-conv", timeout=WAIT)
    assert "secret project" not in bob.content()
    assert bob.locator(".cw-conv").count() == 1
    # nor by its address
    bob.goto(address)
    bob.wait_for_selector("#cw-current .cw-error", timeout=WAIT)
    assert "no such conversation" in bob.inner_text("#cw-current .cw-error")
    assert "secret project" not in bob.content()
    # while Ada still has it after a reload, and alone
    ada.reload()
    ada.wait_for_selector("#cw-current .cw-turn", timeout=WAIT)
    assert "secret project" in ada.inner_text("#cw-current")
    assert ada.locator(".cw-conv").count() == 1


def test_after_logging_out_the_page_is_gone(pages: tuple[Any, Any]) -> None:
    ada, bob = pages
    root = ada.url
    ada.goto(f"{root.rstrip('/')}/logout")
    ada.click("button")
    ada.wait_for_url("**/login")
    ada.goto(root)
    assert "/login" in ada.url
    bob.reload()
    bob.wait_for_selector(".cw-welcome", timeout=WAIT)
