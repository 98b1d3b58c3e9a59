"""Two people with a login of their own, each in a browser: neither sees what is the other's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from argon2 import PasswordHasher
from tests.support.browser import WAIT, Room, browser, needs_browser
from tests.web import scripted

from citewise.answering.assistant import Assistant
from citewise.library.embedding import MiniLM
from citewise.library.library import Library
from citewise.web.users import Users

__all__ = ["browser"]

pytestmark = needs_browser

SECRET = "How much faster does pruning make Adas secret project?"
FILE = "adas-own-notes.jsonl"
LOT = "0" * 32


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("apart")
    users = Users(folder / "users.json", PasswordHasher(1, 8, 1))
    for name in ("ada", "bob"):
        users.add(name, "correct horse")
    with Library.open(folder / "shelf", embedder=encoder) as library:
        library.add(scripted.PAPERS)
        with scripted.serving(Assistant(library), users=users) as url:
            yield url


@pytest.fixture(scope="module")
def both(browser: Any, served: str) -> Iterator[tuple[Room, Room]]:
    """Ada's browser and Bob's, each logged in with the address they first asked for."""
    rooms = []
    for name in ("ada", "bob"):
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.goto(f"{served}/?c=nowhere")
        assert page.url.startswith(f"{served}/login?next=")
        page.fill("#username", name)
        page.fill("#password", "correct horse")
        page.keyboard.press("Enter")
        page.wait_for_url(f"{served}/?c=nowhere")
        rooms.append(Room(page, served))
        assert name in rooms[-1].sees(".cw-person summary").inner_text()
    yield rooms[0], rooms[1]
    for room in rooms:
        room.page.context.close()
        # Gradio complains where a page is left while it waits; requests elsewhere are what counts.
        assert not [fault for fault in room.faults if fault.startswith("request:")]


def conversation(room: Room) -> str:
    address: str = room.page.url
    return parse_qs(urlsplit(address).query)["c"][0]


def test_neither_sees_what_the_other_asks(both: tuple[Room, Room], served: str) -> None:
    ada, bob = both
    ada.ask(SECRET)
    ada.sees(".cw-conv")
    hers, address = conversation(ada), ada.page.url
    # not in Bob's list, nor found by its words
    bob.ask("What drops the time to the first token?")
    bob.page.fill("#cw-search textarea, #cw-search input", "secret")
    bob.page.wait_for_function("!document.querySelector('.cw-conv')", timeout=WAIT)
    bob.page.fill("#cw-search textarea, #cw-search input", "")
    bob.sees(".cw-conv")
    assert bob.page.locator(".cw-conv").count() == 1
    # nor by its address
    bob.page.goto(address)
    assert "no such conversation" in bob.sees("#cw-current .cw-error").inner_text()
    # nor taken along, nor judged, nor asked further, by whoever knows what it is called
    bob.page.evaluate(
        """hers => {
          history.replaceState(null, "", `?c=${hers}`);
          document.querySelector("main").insertAdjacentHTML("beforeend",
            '<button data-cw-act="export" data-cw-key="json" id="steal">x</button>');
          document.querySelector("#steal").click();
          document.querySelector("#steal").remove();
        }""",
        hers,
    )
    assert "no such conversation" in bob.sees("#cw-notice.cw-on").inner_text()
    bob.ask("And how much faster is that?")
    assert conversation(bob) != hers
    assert "secret" not in bob.page.content()
    # while Ada still has it after a reload, alone and unchanged
    ada.reload()
    assert "secret project" in ada.sees("#cw-current .cw-turn").inner_text()
    assert ada.page.locator(".cw-conv").count() == 1
    assert ada.page.locator(".cw-turn").count() == 1


def test_one_narrows_the_search_and_the_other_searches_all(both: tuple[Room, Room]) -> None:
    ada, bob = both
    ada.page.click("#cw-new")
    ada.sees(".cw-welcome")
    ada.page.click("#cw-filter-box .label-wrap")
    since = ada.page.locator("#cw-since input, #cw-since textarea")
    ada.enters(since, "2025-04", ".cw-filter")
    bob.reload()
    bob.page.click("#cw-new")
    bob.sees(".cw-welcome")
    assert bob.page.locator(".cw-filter").count() == 0
    bob.ask("How much faster does pruning attention heads make decoding?")
    assert bob.page.locator("#cw-current .cw-within").count() == 0


def test_what_becomes_of_ones_files_is_told_to_nobody_else(
    both: tuple[Room, Room], served: str, tmp_path: Path
) -> None:
    ada, bob = both
    record = {"id": "new", "title": "A further paper", "abstract": "It halves the cost."}
    dropped = tmp_path / FILE
    dropped.write_text(json.dumps(record) + "\nno JSON\n", "utf-8")
    for room in both:
        room.page.click(".cw-door[data-cw-room=library]")
        room.sees(".cw-row")
    ada.page.set_input_files("#cw-files", str(dropped))
    assert "1 rejected" in ada.sees(".cw-job.cw-done").inner_text()
    # the papers are everybody's, the report is hers
    bob.reload()
    bob.page.wait_for_function("document.querySelectorAll('.cw-row').length === 4", timeout=WAIT)
    assert bob.page.locator(".cw-job").count() == 0
    assert FILE not in bob.page.content()
    # nor can he close it
    bob.page.evaluate(
        """() => {
          document.querySelector("main").insertAdjacentHTML("beforeend",
            '<button data-cw-do="dismiss" id="shut">x</button>');
          document.querySelector("#shut").click();
        }"""
    )
    bob.page.locator(".cw-row-open").first.click()
    bob.sees(".cw-reading")
    ada.reload()
    assert FILE in ada.sees(".cw-job.cw-done").inner_text()
    # nor begin or fill a lot of hers whose word he knows
    hers, his = ada.page.context.request, bob.page.context.request
    sent = hers.post(f"{served}/papers/upload?lot={LOT}&name=a.jsonl", data=json.dumps(record))
    assert sent.ok
    assert his.post(f"{served}/papers/begin?lot={LOT}").status == 400
    assert hers.post(f"{served}/papers/begin?lot={LOT}").ok


def test_logging_out_in_the_page_ends_the_login(both: tuple[Room, Room], served: str) -> None:
    ada, bob = both
    for scheme in ("light", "dark"):
        ada.page.emulate_media(color_scheme=scheme)
        ada.page.click(".cw-person summary")
        ada.page.wait_for_selector(".cw-logout", timeout=WAIT)
        assert ada.barriers() == []
        ada.page.keyboard.press("Escape")
    ada.page.click(".cw-person summary")
    ada.page.click(".cw-logout")
    ada.page.wait_for_url("**/login")
    for scheme in ("light", "dark"):
        ada.page.emulate_media(color_scheme=scheme)
        assert ada.barriers() == []
    ada.page.goto(served)
    assert "/login" in ada.page.url
    bob.page.goto(served)
    assert "bob" in bob.sees(".cw-person summary").inner_text()
