from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import scripted  # type: ignore[import-not-found]  # beside this file
from tests.support.browser import WAIT, Room, browser, needs_browser, open_room

from citewise.answering.assistant import Assistant
from citewise.library.embedding import MiniLM
from citewise.library.library import Library

__all__ = ["browser", "open_room"]

pytestmark = needs_browser

HOSTILE = (
    '<img src=x onerror="window.hacked=1"> & ${window.hacked=1} <script>window.hacked=1</script>'
)


TOPICS = (
    "We decode {} tokens at once with a small draft model. Nothing is lost.",
    "Removing {} attention heads makes a transformer smaller. Pruning costs accuracy.",
)


def line(at: int, **fields: object) -> str:
    given = {
        "id": f"p{at:02}",
        "title": f"Paper {at:02} about decoding",
        "abstract": TOPICS[at % 2].format(at),
        "authors": ["Wanda Lind" if at == 7 else "A. Reader"],
        "published": f"2024-{at % 12 + 1:02}",
    }
    return json.dumps(given | fields) + "\n"


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM
) -> Iterator[tuple[str, Library]]:
    folder = tmp_path_factory.mktemp("rooms")
    first = folder / "first.jsonl"
    first.write_text("".join(line(at) for at in range(25)), "utf-8")
    with (
        pytest.MonkeyPatch.context() as patch,
        Library.open(folder / "shelf", embedder=encoder) as library,
    ):
        # evaluations are kept in the user's data
        patch.setenv("XDG_DATA_HOME", str(folder / "data"))
        library.ingest(first)
        with (
            library.embedding_in_background(),
            Library.open(folder / "other", embedder=encoder) as other,
            scripted.serving(Assistant(library), others=[Assistant(other)]) as url,
        ):
            yield url, library


def titles(room: Room) -> list[str]:
    found: list[str] = room.page.locator(".cw-row-title").all_inner_texts()
    return found


def at_work(name: str) -> bool:
    return any(thread.name == name for thread in threading.enumerate())


def wait_for_titles(room: Room, count: int) -> None:
    room.page.wait_for_function(
        "count => document.querySelectorAll('#cw-lib-list:not([aria-busy]) .cw-row').length"
        " === count",
        arg=count,
        timeout=WAIT,
    )


def test_filters_themes_months_and_other_libraries(
    open_room: Any, served: tuple[str, Library]
) -> None:
    url, _ = served
    room: Room = open_room(f"{url}/#library", width=390, height=844, opens_with=".cw-row")
    page = room.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click(".cw-narrow summary")
    page.fill(".cw-fields [name=since]", "2024-12")
    wait_for_titles(room, 2)
    assert page.inner_text(".cw-narrow-note") == ": from 2024-12"
    page.fill(".cw-fields [name=since]", "some day")
    assert "not a date" in room.sees("#cw-lib-list .cw-error").inner_text()
    page.click("[data-cw-do=clear]")
    wait_for_titles(room, 20)
    # a month of the picture, with the keyboard
    page.locator("g[data-cw-key='2024-02']").press("Enter")
    wait_for_titles(room, 2)
    theme = room.sees(".cw-theme-row").first
    theme.click()
    page.wait_for_function(
        "document.querySelector('.cw-found')?.textContent.includes(' about ')", timeout=WAIT
    )
    # a paper covers the narrow page; Escape goes back to its row
    page.locator(".cw-row-open").first.click()
    assert room.sees(".cw-similar .cw-link").count() > 0
    page.keyboard.press("Escape")
    page.wait_for_selector(".cw-reading", state="detached", timeout=WAIT)
    assert page.evaluate("document.activeElement.className") == "cw-row-open"
    page.click(".cw-choose summary")
    with room.leaving():
        page.click(".cw-shelf[aria-current=false]")
        room.sees("#cw-lib-list .cw-nothing")
    assert "An empty library" in page.inner_text("#cw-lib-picture")
    assert page.inner_text(".cw-lib-head h2") == "other"


def test_a_search_finds_authors_and_says_when_nothing_matches(
    open_room: Any, served: tuple[str, Library]
) -> None:
    url, _ = served
    room: Room = open_room(f"{url}/#library", opens_with=".cw-row")
    page = room.page
    page.fill(".cw-find [name=q]", "wanda lind")
    wait_for_titles(room, 1)
    assert titles(room) == ["Paper 07 about decoding"]
    page.fill(".cw-find [name=q]", "xyzzyq flurbinator")
    page.wait_for_selector(".cw-row", state="detached", timeout=WAIT)
    assert "Nothing matches “xyzzyq flurbinator”" in page.inner_text("#cw-lib-list")
    page.fill(".cw-find [name=q]", "pruning heads")
    room.sees(".cw-row")
    assert "Nothing matches" not in page.inner_text("#cw-lib-list")


def test_an_evaluation_of_three_questions_shows_its_figures(
    open_room: Any, served: tuple[str, Library]
) -> None:
    url, _ = served
    room: Room = open_room(f"{url}/#evaluate", opens_with=".cw-eval-form")
    page = room.page
    for count in ("3", "2"):
        page.fill("[name=limit]", count)
        page.click("[data-cw-do=eval-start]")
        page.wait_for_function(
            "count => document.querySelector('.cw-eval-run h3')?.textContent"
            ".endsWith(`: ${count} questions`)",
            arg=count,
            timeout=WAIT,
        )
    cards = room.sees(".cw-cards-of").inner_text()
    assert "accuracy" in cards
    assert "95 %" in cards
    # this library lacks the papers that the questions are about
    assert "fit this library" in page.inner_text("[name=set]")
    page.locator(".cw-failures summary").first.click()
    assert page.locator(".cw-faults li").count() > 0
    assert page.locator(".cw-run-row").count() == 2
    page.select_option(".cw-compare select", index=1)
    assert "2 questions in both" in room.sees(".cw-compare table >> xpath=../..").inner_text()
    page.click("[data-cw-do=eval-report]")
    frame = page.frame_locator(".cw-report-frame")
    assert frame.locator("h1").inner_text(timeout=WAIT).startswith("questions, first")
    # a number that cannot be is said, and starts nothing
    page.fill("[name=limit]", "0")
    page.click("[data-cw-do=eval-start]")
    assert "Ask 1 to" in room.sees("#cw-eval-progress .cw-error").inner_text()
    assert page.locator(".cw-run-row").count() == 2


def test_axe_finds_nothing_in_the_rooms(open_room: Any, served: tuple[str, Library]) -> None:
    url, _ = served
    room: Room = open_room(f"{url}/#library", opens_with=".cw-row")
    page = room.page
    page.click(".cw-narrow summary")
    page.locator(".cw-row-open").first.click()
    room.sees(".cw-reading .cw-similar")
    page.click(".cw-choose summary")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert room.barriers() == []
    page.click(".cw-door[data-cw-room=evaluate]")
    room.sees(".cw-eval-form")
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert room.barriers() == []


# The last: it changes what the others look at.
def test_papers_are_added_read_chosen_exported_and_removed(
    open_room: Any, served: tuple[str, Library], tmp_path: Path
) -> None:
    url, library = served
    room: Room = open_room(f"{url}/#library", opens_with=".cw-row")
    page = room.page
    assert "25 papers" in page.inner_text(".cw-lib-facts")
    assert titles(room)[0] == "Paper 23 about decoding"
    page.click("[aria-label='Next page']")
    wait_for_titles(room, 5)

    # a file with a bad record: the good ones come in, the bad one is named
    dropped = tmp_path / "mine & <b>yours.jsonl"
    dropped.write_text(
        line(90, title=HOSTILE, published="2025-01") + line(91, abstract="") + "no JSON\n", "utf-8"
    )
    page.set_input_files("#cw-files", str(dropped))
    report = room.sees(".cw-job.cw-done")
    assert "1 added" in report.inner_text()
    assert "2 rejected" in report.inner_text()
    rejected = page.locator(".cw-job tbody tr").all_inner_texts()
    assert [row.split("\t")[:2] for row in rejected] == [
        ["mine & <b>yours.jsonl", "2"],
        ["mine & <b>yours.jsonl", "3"],
    ]
    assert "abstract" in rejected[0]
    page.click("[data-cw-do=dismiss]")

    # found, and its hostile title is text
    page.fill(".cw-find [name=q]", "decode 90 tokens")
    room.page.wait_for_function(
        "document.querySelector('.cw-found')?.textContent.endsWith('found')", timeout=WAIT
    )
    page.fill(".cw-find [name=q]", "")
    page.wait_for_function(
        "document.querySelector('.cw-found')?.textContent === '26 papers'", timeout=WAIT
    )
    assert titles(room)[0] == HOSTILE
    page.locator(".cw-row-open").first.click()
    reading = room.sees(".cw-reading")
    assert reading.locator("h3").inner_text() == HOSTILE
    assert "mine & <b>yours.jsonl, line 1" in reading.inner_text()
    assert page.evaluate("window.hacked") is None
    inside = "#cw-room-library :is(img, script, iframe, style, a[href^=javascript])"
    assert page.locator(inside).count() == 0

    # two chosen ones as BibTeX
    for at in (1, 2):
        page.locator(".cw-pick").nth(at).click()
    wanted = titles(room)[1:3]
    assert page.inner_text(".cw-chosen") == "2 chosen"
    page.click(".cw-menu-of summary")
    with page.expect_download(timeout=WAIT) as download:
        page.click("[data-cw-do=export][data-cw-key=bibtex]")
    saved = Path(download.value.path()).read_text("utf-8")
    assert download.value.suggested_filename == "papers.bib"
    assert saved.count("@misc{") == 2
    assert all(title in saved for title in wanted)

    # removed only after a second word
    page.click(".cw-of-chosen [data-cw-do=remove]")
    assert "Remove 2 papers" in room.sees(".cw-sure:not([hidden])").inner_text()
    page.click("[data-cw-do=keep]")
    assert len(library) == 26
    page.click(".cw-of-chosen [data-cw-do=remove]")
    page.click("[data-cw-do=remove-now]")
    page.wait_for_function(
        "document.querySelector('.cw-lib-facts').textContent.startsWith('24 papers')", timeout=WAIT
    )
    assert len(library) == 24
    page.wait_for_function(
        "wanted => ![...document.querySelectorAll('.cw-row-title')]"
        ".some((row) => wanted.includes(row.textContent))",
        arg=wanted,
        timeout=WAIT,
    )

    # handed to the chat, which says what is in force
    last = titles(room)[-1]
    page.locator(".cw-row-open").last.click()
    page.wait_for_function(
        "title => document.querySelector('.cw-reading h3')?.textContent === title",
        arg=last,
        timeout=WAIT,
    )
    page.click(".cw-reading [data-cw-do=only]")
    page.wait_for_selector(f"#cw-composer >> text=only {last}", timeout=WAIT)


def test_a_report_comes_though_an_answer_from_before_overtook_it(
    open_room: Any, served: tuple[str, Library], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, library = served
    room: Room = open_room(f"{url}/#library", opens_with=".cw-row")
    page = room.page
    count = len(library)
    looked, seen, added = threading.Event(), threading.Event(), threading.Event()

    def held(name: str, until: threading.Event, told: threading.Event | None = None) -> None:
        whole: Callable[..., Any] = getattr(Library, name)

        def slow(*given: Any, **named: Any) -> Any:
            if told is not None:
                told.set()
            assert until.wait(WAIT / 1000)
            return whole(*given, **named)

        monkeypatch.setattr(Library, name, slow)

    # the page asks what goes on, and is still being told while files come in and are read
    held("timeline", added, told=looked)
    held("add", seen)
    page.evaluate("citewiseWires.library('act', { do: 'watch' })")
    assert looked.wait(WAIT / 1000)
    dropped = tmp_path / "late.jsonl"
    dropped.write_text(line(97), "utf-8")
    page.set_input_files("#cw-files", str(dropped))
    room.sees(".cw-job.cw-going")
    seen.set()
    while len(library) == count or library.waiting() or at_work("citewise-adding"):
        page.wait_for_timeout(50)
    added.set()
    assert "1 added" in room.sees(".cw-job.cw-done").inner_text()
    page.click("[data-cw-do=dismiss]")
    page.wait_for_selector(".cw-job", state="detached", timeout=WAIT)


def test_papers_that_come_in_are_counted_in_every_room(
    open_room: Any, served: tuple[str, Library], tmp_path: Path
) -> None:
    url, library = served
    room: Room = open_room(f"{url}/#library", opens_with=".cw-row")
    page = room.page
    count = len(library)
    good, junk = tmp_path / "good.jsonl", tmp_path / "junk.txt"
    good.write_text(line(95), "utf-8")
    junk.write_text("nothing of the kind\n", "utf-8")
    page.set_input_files("#cw-files", [str(good), str(junk)])
    report = room.sees(".cw-job.cw-done").inner_text()
    assert "1 added" in report
    # what a person before a page can do, not before a command line
    assert "export it anew as one of these" in report
    assert "--" not in report
    words = f"{count + 1} papers"
    page.wait_for_function(
        "words => document.querySelector('#cw-header').innerText.includes(words)",
        arg=words,
        timeout=WAIT,
    )
    page.click(".cw-door[data-cw-room=chat]")
    welcome = "words => document.querySelector('.cw-welcome').innerText.includes(words)"
    page.wait_for_function(welcome, arg=f"{count + 1} abstracts", timeout=WAIT)
    room.reload()
    room.sees(".cw-welcome")
    page.wait_for_function(welcome, arg=f"{count + 1} abstracts", timeout=WAIT)
