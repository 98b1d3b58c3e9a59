from __future__ import annotations

import io
import json
import re
import time
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import scripted  # type: ignore[import-not-found]  # beside this file
from tests.support.browser import WAIT, Room, browser, needs_browser, open_room

from citewise.answering.assistant import Assistant
from citewise.bundle import verify_bundle
from citewise.library.library import Library
from citewise.types import Filters

__all__ = ["browser", "open_room"]

pytestmark = needs_browser


@pytest.fixture
def room(open_room: Any, address: str) -> Room:
    made: Room = open_room(address)
    return made


QUESTION = "Which papers make decoding faster?"


def test_an_answer_streams_into_the_talk(
    room: Room, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "pause", 0.25)
    room.page.evaluate(
        """() => {
          window.seen = [];
          new MutationObserver(() => {
            const turn = document.querySelector('#cw-current .cw-turn');
            if (turn) window.seen.push([
              turn.querySelectorAll('.cw-chip').length,
              turn.querySelector('.cw-status')?.textContent ?? null,
              turn.querySelector('.cw-question h2').getBoundingClientRect().top,
              turn.querySelector('.cw-s')?.getBoundingClientRect().top ?? null,
            ]);
          }).observe(document.body, {childList: true, subtree: true, characterData: true});
        }"""
    )
    room.ask(QUESTION)
    seen = room.page.evaluate("window.seen")
    assert {count for count, *_ in seen} >= {0, 1, 2, 3, 4}
    assert "searching 475 papers" in {status for _, status, *_ in seen}
    # nothing that is being read moves while more comes in
    tops = {round(top) for chips, _, _, top in seen if chips >= 1 and top is not None}
    assert len(tops) == 1
    assert room.page.input_value("#cw-box textarea") == ""


def test_a_chip_opens_its_paper_with_the_quoted_words_marked(room: Room) -> None:
    room.ask(QUESTION)
    room.page.locator("#cw-current .cw-chip").nth(2).click()
    card = room.sees(".cw-cards .cw-card.cw-open")
    assert card.locator(".cw-title").inner_text() == scripted.PAPERS[1].title
    assert card.locator(".cw-abstract").is_visible()
    marks = card.locator("mark").all_inner_texts()
    assert marks == [span.text for span in scripted.speed_answer().citations[1].spans]
    assert room.in_view(".cw-cards .cw-open mark", ".cw-cards")
    lit = room.page.locator("#cw-talk .cw-s.cw-lit").all_inner_texts()
    assert "".join(lit).startswith("Others save the work")
    # and back: from the paper to its sentence
    card.locator(".cw-used button").click()
    assert room.in_view("#cw-talk .cw-s.cw-lit", "#cw-talk")


def test_a_chip_marks_the_words_of_its_own_sentence(room: Room) -> None:
    room.ask(QUESTION)
    first, second, third = (span.text for span in scripted.speed_answer().citations[0].spans)
    for chip, own in ((0, [first, second]), (1, [third])):
        room.page.locator("#cw-current .cw-chip").nth(chip).click()
        card = room.sees(".cw-cards .cw-card.cw-open")
        assert card.locator("mark").count() == 3
        strong = card.locator("mark:not(.cw-faint)").all_inner_texts()
        assert [text[:11] for text in strong] == [text[:11] for text in own]
        assert room.in_view(".cw-cards .cw-open mark:not(.cw-faint)", ".cw-cards")
        lit = "".join(room.page.locator("#cw-talk .cw-s.cw-lit").all_inner_texts())
        assert lit.startswith(("One paper drafts", "It decodes")[chip])
        assert ("One paper" in lit) != ("It decodes" in lit)
        assert room.page.locator("#cw-talk .cw-chip.cw-lit").count() == 1
    # hovering quotes the same words
    room.page.locator("#cw-current .cw-chip").nth(0).hover()
    assert third[:11] not in room.sees("#cw-tip.cw-on").inner_text()
    # the paper's own head stands for all of them
    card = room.page.locator(".cw-cards .cw-card").first
    card.locator(".cw-card-open").click()
    card.locator(".cw-card-open").click()
    assert card.locator("mark:not(.cw-faint)").count() == 3


def test_back_uncovers_the_talk_on_a_telephone(open_room: Any, address: str) -> None:
    room: Room = open_room(address, 390, 844)
    room.ask(QUESTION)
    there, steps = room.page.url, "history.length"
    for opener, shown, close in (
        ("#cw-current .cw-chip >> nth=0", "body.cw-evidence", ".cw-panel-close"),
        (".cw-menu", "body.cw-drawer", None),
    ):
        room.page.click(opener)
        room.sees(shown)
        room.page.go_back()
        room.page.wait_for_selector(shown, state="detached", timeout=WAIT)
        assert room.page.url == there
        assert room.page.locator("#cw-current .cw-chip").count() == 4
        if close:
            before = room.page.evaluate(steps)
            room.page.click(opener)
            room.sees(shown)
            room.page.click(close)
            room.page.wait_for_function("history.state?.cwOver === undefined", timeout=WAIT)
            assert room.page.evaluate(steps) == before
    # a place that is entered from a cover leaves no step behind that does nothing
    room.page.click(".cw-menu")
    room.page.click("#cw-new")
    room.sees(".cw-welcome")
    room.page.go_back()
    room.sees("#cw-current .cw-foot")
    assert room.page.url == there


def test_a_chip_stays_on_the_line_of_its_words(open_room: Any, address: str) -> None:
    room: Room = open_room(address, 600, 800)
    room.ask(QUESTION)
    for width in range(330, 600, 9):
        room.page.set_viewport_size({"width": width, "height": 800})
        alone = room.page.evaluate(
            """() => [...document.querySelectorAll('#cw-current .cw-chip')].filter(chip => {
              const rects = [...chip.previousSibling.getClientRects()];
              return rects[rects.length - 1].bottom <= chip.getBoundingClientRect().top;
            }).length"""
        )
        assert alone == 0, f"{alone} chips alone on a line at {width} pixels"


def test_a_far_mark_is_scrolled_into_view(open_room: Any, address: str) -> None:
    room: Room = open_room(address, 1024, 420)
    room.ask(QUESTION)
    room.page.locator("#cw-current .cw-chip").last.click()
    room.sees(".cw-cards .cw-open mark")
    assert room.in_view(".cw-cards .cw-open mark", ".cw-cards")


def test_hovering_or_focusing_tells_source_and_doubt(room: Room) -> None:
    room.ask(QUESTION)
    room.page.locator("#cw-current .cw-chip").first.hover()
    tip = room.sees("#cw-tip.cw-on")
    # its formula is drawn
    assert tip.inner_text().startswith("Drafting Without a Draft:")
    assert tip.locator("math").count() >= 1
    assert "no draft model and no training" in tip.inner_text()
    room.page.locator("#cw-current .cw-doubtful").focus()
    assert "without any loss" in room.sees("#cw-tip.cw-on").inner_text()
    room.page.keyboard.press("Escape")
    room.page.wait_for_selector("#cw-tip", state="hidden", timeout=WAIT)


def test_a_question_beside_the_papers_shows_the_card(room: Room) -> None:
    room.ask("How long should bread rise?")
    card = room.sees("#cw-current .cw-none")
    assert "Not in these papers" in card.inner_text()
    assert "shares only the word 'time'" in card.inner_text()
    room.page.locator("#cw-current .cw-none .cw-link").nth(1).click()
    opened = room.sees(".cw-cards .cw-open")
    assert opened.locator(".cw-title").inner_text() == scripted.PAPERS[1].title
    assert opened.locator(".cw-abstract").is_visible()


def test_an_error_is_a_plain_message_and_the_next_question_works(room: Room) -> None:
    room.ask("please refuse")
    text = room.sees("#cw-current .cw-error").inner_text()
    assert "refuses the connection" in text
    assert "Traceback" not in text
    room.ask("please crash")
    text = room.sees("#cw-current .cw-error").inner_text()
    assert "secret detail" not in text
    room.ask(QUESTION)
    assert room.sees("#cw-current .cw-chip").count() == 4
    assert room.page.locator("#cw-past .cw-error").count() == 2


def test_stop_works_at_once_and_keeps_what_had_come(room: Room, script: Any) -> None:
    closed = script.closed
    room.type("a slow answer, please")
    room.sees("#cw-current .cw-chip")
    assert not room.page.locator("#cw-ask").is_visible()
    room.page.click("#cw-stop")
    room.page.wait_for_selector("#cw-current .cw-note", timeout=1500)
    assert "One paper drafts" in room.page.inner_text("#cw-current")
    room.page.wait_for_selector("#cw-ask", timeout=WAIT)
    room.ask(QUESTION)
    assert room.page.locator("#cw-current .cw-chip").count() == 4
    assert script.histories[-1][0].content == "a slow answer, please"
    # the stopped one was in the middle of a step, and closes at its end
    deadline = time.monotonic() + 60
    while script.closed < closed + 2 and time.monotonic() < deadline:
        room.page.wait_for_timeout(50)
    assert script.closed == closed + 2


def test_examples_follow_ups_and_a_new_conversation(room: Room, script: Any) -> None:
    examples = room.page.locator(".cw-welcome .cw-ask")
    assert examples.count() == 6
    first = examples.first.inner_text()
    examples.first.click()
    room.sees("#cw-current .cw-foot")
    assert room.page.inner_text("#cw-current .cw-question h2").strip() == first
    room.page.locator("#cw-current .cw-next .cw-ask").first.click()
    room.sees("#cw-past .cw-turn")
    room.sees("#cw-current .cw-foot")
    assert len(script.histories[-1]) == 2
    # a chip of an earlier turn still opens its paper
    key = room.page.locator("#cw-past .cw-chip").first.get_attribute("data-cw-open")
    room.page.locator("#cw-past .cw-chip").first.click()
    assert room.sees(".cw-cards .cw-open").get_attribute("data-cw-key") == key
    room.page.click("#cw-new")
    room.sees(".cw-welcome")
    assert room.page.locator(".cw-turn").count() == 0
    room.page.wait_for_function("!document.querySelector('.cw-cards').children.length")
    room.ask(QUESTION)
    assert script.histories[-1] == ()


def test_keys(room: Room) -> None:
    box = room.page.locator("#cw-box textarea")
    box.fill("one")
    box.press("Shift+Enter")
    box.press_sequentially("two")
    assert box.input_value() == "one\ntwo"
    assert room.page.locator(".cw-turn").count() == 0
    box.press("Enter")
    room.sees("#cw-current .cw-foot")
    assert room.page.inner_text("#cw-current .cw-question h2").split() == ["one", "two"]
    room.page.locator("#cw-current .cw-chip").first.focus()
    room.page.keyboard.press("Enter")
    room.sees(".cw-cards .cw-open")
    room.page.keyboard.press("/")
    assert room.page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    assert box.input_value() == ""


def test_hostile_text_is_text(room: Room) -> None:
    room.ask(f"evil {scripted.HOSTILE}")
    room.page.locator("#cw-current .cw-chip").first.hover()
    room.page.locator("#cw-current .cw-chip").first.click()
    card = room.sees(".cw-cards .cw-open")
    assert "<script>window.hacked=1</script>" in card.inner_text()
    assert "${window.hacked=1}" in room.page.inner_text("#cw-current .cw-question h2")
    room.page.wait_for_timeout(300)
    assert room.page.evaluate("window.hacked") is None
    inside = ".cw-turn :is(script, img, svg, iframe, style, form, input), .cw-cards :is(img, svg)"
    assert room.page.locator(inside).count() == 0
    links = room.page.locator(".cw-turn a, .cw-cards a").evaluate_all("all => all.map(a => a.href)")
    assert all(link.startswith("http") for link in links)


@pytest.mark.parametrize("width", [390, 768])
def test_a_narrow_page_slides_the_evidence_over(open_room: Any, address: str, width: int) -> None:
    room: Room = open_room(address, width, 844)
    assert room.page.evaluate("document.documentElement.scrollWidth") <= width
    room.ask(QUESTION)
    assert not room.page.locator("#cw-right").is_visible()
    room.page.locator("#cw-current .cw-chip").first.click()
    assert room.sees(".cw-cards .cw-open mark").first.is_visible()
    assert room.in_view(".cw-cards .cw-open mark", ".cw-cards")
    room.page.keyboard.press("Escape")
    room.page.wait_for_selector("#cw-right", state="hidden", timeout=WAIT)
    assert room.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_reload_keeps_the_conversation(room: Room, open_room: Any, address: str) -> None:
    room.ask("Which papers make decoding faster, said Ämilie?")
    room.ask("And which need no training?")
    kept = parse_qs(urlsplit(room.page.url).query)["c"]
    room.reload()
    room.sees("#cw-past .cw-turn")
    assert parse_qs(urlsplit(room.page.url).query)["c"] == kept
    assert room.page.inner_text("#cw-current h2") == "And which need no training?"
    room.page.locator("#cw-past .cw-chip").first.click()
    assert room.sees(".cw-cards .cw-open mark").first.is_visible()
    # found by its words, from another tab
    other: Room = open_room(address)
    other.page.fill("#cw-search textarea, #cw-search input", "ÄMILIE training")
    other.page.wait_for_function("document.querySelectorAll('.cw-conv').length === 1", timeout=WAIT)
    other.page.click(".cw-conv-open")
    assert other.sees("#cw-past .cw-turn").count() == 1
    assert parse_qs(urlsplit(other.page.url).query)["c"] == kept
    # renamed, and deleted only after a second thought
    other.page.hover(".cw-conv")
    other.page.click(".cw-conv .cw-dots")
    other.page.get_by_role("button", name="Rename", exact=True).click()
    other.page.fill(".cw-manage input", "Fast <b>decoding</b>")
    other.page.keyboard.press("Enter")
    other.page.wait_for_function(
        "document.querySelector('.cw-conv-title').textContent === 'Fast <b>decoding</b>'",
        timeout=WAIT,
    )
    other.page.hover(".cw-conv")
    other.page.click(".cw-conv .cw-dots")
    other.page.click(".cw-manage .cw-danger")
    other.page.get_by_role("button", name="Keep", exact=True).click()
    assert other.page.locator(".cw-conv").count() == 1
    other.page.click(".cw-conv .cw-dots")
    other.page.click(".cw-manage .cw-danger")
    other.page.click(".cw-manage .cw-danger")
    other.sees(".cw-welcome")
    assert urlsplit(other.page.url).query == ""
    room.reload()
    assert "no such conversation" in room.sees("#cw-current .cw-error").inner_text()


def test_what_is_in_force_is_seen_and_removable(room: Room, script: Any) -> None:
    room.ask(QUESTION)
    room.page.locator("#cw-current .cw-chip").last.click()
    room.page.click(".cw-cards .cw-open [data-cw-act=only]")
    chip = room.sees(".cw-filter")
    assert "only How Much of a Layer Is Needed" in chip.inner_text()
    room.page.click("#cw-filter-box .label-wrap")
    since = room.page.locator("#cw-since input, #cw-since textarea")
    assert "is no date" in room.enters(since, "someday", ".cw-filter.cw-wrong").inner_text()
    since.fill("2024-10")
    since.press("Enter")
    room.page.wait_for_selector(".cw-wrong", state="detached", timeout=WAIT)
    room.page.get_by_text("deep", exact=True).click()
    room.ask("And then?")
    assert script.asked[-1] == (
        "And then?",
        "deep",
        Filters(since="2024-10", papers=("p-prune",)),
    )
    assert "since 2024-10, only How" in room.page.inner_text("#cw-current .cw-within")
    room.page.locator(".cw-filter").first.click()
    room.page.wait_for_function(
        "document.querySelectorAll('.cw-filter').length === 1", timeout=WAIT
    )
    assert since.input_value() == ""
    room.page.click("#cw-new")
    room.page.wait_for_selector(".cw-filter", state="detached", timeout=WAIT)


def test_a_reason_that_is_given_while_the_thumb_is_being_kept_is_not_lost(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[str] = []

    def slowly(question: str, answer: Any, reason: str) -> None:
        time.sleep(1.5)
        kept.append(reason)

    monkeypatch.setattr("citewise.web.chat_tab.add_to_inbox", slowly)
    room.ask(QUESTION)
    room.page.click("#cw-current .cw-down")
    room.page.fill(".cw-why input", "It says nothing of dialogue.")
    room.page.keyboard.press("Enter")
    deadline = time.monotonic() + 30
    while len(kept) < 2 and time.monotonic() < deadline:
        room.page.wait_for_timeout(50)
    assert kept == ["", "It says nothing of dialogue."]


def test_an_answer_is_exported_judged_and_asked_anew(
    room: Room, script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = tmp_path / "inbox.jsonl"
    monkeypatch.setattr("citewise.evaluation.inbox.inbox_file", lambda: inbox)
    room.ask(QUESTION)
    exported = {}
    for form in ("md", "json", "zip"):
        room.page.click("#cw-current .cw-more summary")
        with room.page.expect_download(timeout=WAIT) as download:
            room.page.click(f"#cw-current .cw-more [data-cw-key={form}]")
        exported[form] = Path(download.value.path()).read_bytes()
        assert download.value.suggested_filename == f"which-papers-make-decoding-faster.{form}"
    markdown = exported["md"].decode()
    assert "needs no draft model and no training [1]." in markdown
    assert "@misc{brandt2025drafting," in markdown
    answer = json.loads(exported["json"])["turns"][0]["answer"]
    assert answer["citations"][1]["paper"]["id"] == "p-cache"
    with zipfile.ZipFile(io.BytesIO(exported["zip"])) as bundle:
        bundle.extractall(tmp_path / "bundle")
    assert not [f for f in verify_bundle(tmp_path / "bundle").failures if "differs" in f.what]
    # a thumb down with a reason is a draft question
    room.page.click("#cw-current .cw-down")
    room.page.fill(".cw-why input", "It says nothing of dialogue.")
    room.page.keyboard.press("Enter")
    room.sees("#cw-notice.cw-on")
    deadline = time.monotonic() + 60
    # The thumb alone makes a draft too, a moment before.
    while "nothing of dialogue" not in (inbox.read_text() if inbox.exists() else ""):
        assert time.monotonic() < deadline
        room.page.wait_for_timeout(50)
    draft = json.loads(inbox.read_text())
    assert draft["question"] == QUESTION
    assert draft["inbox"]["reason"] == "It says nothing of dialogue."
    assert room.page.get_attribute("#cw-current .cw-down", "aria-pressed") == "true"
    # again, and then edited: the later turn goes
    asked = len(script.asked)
    room.page.click("#cw-current .cw-again")
    room.page.wait_for_selector("#cw-current .cw-down[aria-pressed=false]", timeout=WAIT)
    assert len(script.asked) == asked + 1
    room.ask("Second?")
    room.page.locator("#cw-past .cw-turn").hover()
    room.page.click("#cw-past .cw-edit")
    assert room.page.input_value("#cw-box textarea") == QUESTION
    assert "the turn after it go" in room.page.inner_text("#cw-editing")
    room.ask("First, better?")
    assert room.page.locator(".cw-turn").count() == 1
    assert script.histories[-1] == ()
    room.reload()
    room.sees("#cw-current .cw-foot")
    assert room.page.inner_text("#cw-talk h2") == "First, better?"


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_nothing_is_out_of_reach(open_room: Any, address: str, scheme: str, width: int) -> None:
    room: Room = open_room(address, width, color_scheme=scheme)
    room.ask(QUESTION)
    room.page.evaluate("document.querySelector('#cw-filter-box .label-wrap').click()")
    room.page.locator("#cw-current .cw-chip").nth(2).click()
    room.sees(".cw-cards .cw-open mark")
    assert room.barriers() == []


def test_rooms_stand_in_the_address(open_room: Any, address: str) -> None:
    room: Room = open_room(f"{address}/#library", opens_with="#cw-room-library .cw-facts")
    assert room.page.inner_text(".cw-door[aria-current=page]") == "Library"
    assert "475" in room.page.inner_text("#cw-room-library")
    assert not room.page.locator("#cw-talk").is_visible()
    room.page.click(".cw-door[data-cw-room=evaluate]")
    assert "citewise eval" in room.sees("#cw-room-evaluate .cw-page").inner_text()
    assert urlsplit(room.page.url).fragment == "evaluate"
    room.page.go_back()
    assert room.sees("#cw-room-library .cw-facts").is_visible()
    room.page.keyboard.press("/")
    assert room.page.evaluate("document.activeElement.tagName") == "TEXTAREA"
    assert room.page.locator("#cw-talk").is_visible()


def test_light_and_dark_follow_the_system_and_the_switch(open_room: Any, address: str) -> None:
    room: Room = open_room(address, color_scheme="dark")
    ground = "getComputedStyle(document.querySelector('#cw-left')).backgroundColor"
    dark = room.page.evaluate(ground)
    room.page.click(".cw-theme")
    light = room.page.evaluate(ground)
    assert sum(map(int, re.findall(r"\d+", light))) > 600 > sum(map(int, re.findall(r"\d+", dark)))
    room.reload()
    room.page.wait_for_selector(".cw-welcome", timeout=WAIT)
    room.page.wait_for_function(f"{ground} === {json.dumps(light)}", timeout=WAIT)


def test_the_real_assistant_in_the_page(open_room: Any, tmp_path: Path) -> None:
    source = tmp_path / "papers.jsonl"
    source.write_text(
        "\n".join(
            json.dumps({"id": p.id, "title": p.title, "abstract": p.abstract})
            for p in scripted.PAPERS
        ),
        "utf-8",
    )
    library = Library.open(tmp_path / "shelf")
    assert library.ingest(str(source)).added == 3
    with scripted.serving(Assistant(library)) as url:
        room: Room = open_room(url)
        head = room.page.inner_text("#cw-header")
        assert "3 papers" in head
        assert "extractive" in head
        room.ask("How much faster does pruning attention heads make decoding?")
        room.page.locator("#cw-current .cw-chip").first.click()
        marks = room.sees(".cw-cards .cw-open mark").all_inner_texts()
        key = room.page.get_attribute(".cw-cards .cw-open .cw-card-open", "data-cw-open")
        assert key is not None
        abstracts = " ".join(paper.abstract for paper in scripted.PAPERS)
        assert marks
        assert all(mark in abstracts for mark in marks)
        room.ask("How long should bread rise in the oven?")
        assert room.sees("#cw-current .cw-none").is_visible()
    library.close()
