"""The report tells why each question failed, filters, and lets nothing hostile become markup."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from citewise.errors import UsageError
from citewise.evaluation import page, plots, report
from citewise.evaluation.datasets import Nugget, Question, Value
from citewise.evaluation.measures import Row, summarise
from citewise.types import Json, sha256_of

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
ABSTRACT = "Pruning halves the memory. It runs at 27 fps on a phone."


def question(name: str = "q-1", **fields: Any) -> Question:
    base = Question(
        id=name,
        kind="number",
        question="How fast is it?",
        required=("p1",),
        nuggets=(Nugget(("27 fps",), "p1", "It runs at 27 fps"),),
        value=Value(27.0, "fps", 0.0),
        must_not=("178 fps",),
    )
    return replace(base, **fields)


def answer(
    text: str = "It runs at 27 fps. [1]", *, answered: bool = True, cited: str = "p1"
) -> Json:
    quote = "It runs at 27 fps"
    at = ABSTRACT.index(quote)
    span = {"start": at, "end": at + len(quote), "text": quote, "sha256": sha256_of(quote)}
    return {
        "answer": text,
        "answered": answered,
        "confidence": 0.8,
        "sentences": [
            {"text": text, "citations": [1], "support": 0.9, "verdict": "supported", "spans": []}
        ],
        "citations": [{"n": 1, "paper": {"id": cited, "title": "One"}, "spans": [span]}],
        "retrieved": [{"rank": 1, "paper_id": "p1", "title": "One", "score": 1.0}],
    }


def row(asked: Question, given: Json | None, **scores: float | None) -> Json:
    return {
        "id": asked.id,
        "kind": asked.kind,
        "question_sha256": asked.id,
        "answer": given,
        "scores": {
            "answered": 1.0,
            "correct": 1.0,
            "confidence": 0.8,
            "latency_ms": 20.0,
            **scores,
        },
        "error": None if given else "BackendError: down",
        "gold": asked.to_dict(),
    }


def summary_of(rows: list[Json]) -> Json:
    figures = summarise([Row(r["kind"], r["id"], r["scores"]) for r in rows], resamples=20)
    shown = {name: figure.to_dict() for name, figure in figures.items()}
    return {
        "what": "questions", "set": "dev", "backend": "extractive", "questions": len(rows),
        "commit": "0123", "figures": shown, "kinds": {"number": {"n": len(rows), **shown}},
    }  # fmt: skip


class Seen(HTMLParser):
    """Tags and attributes as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_hostile_words_are_text_everywhere() -> None:
    asked = question(
        question=HOSTILE, must_not=(HOSTILE,), note=HOSTILE, kind="followup", whole=HOSTILE,
        acceptable=("p2",), nuggets=(Nugget((HOSTILE,), "p1", HOSTILE),),
    )  # fmt: skip
    given = answer(HOSTILE)
    given["citations"][0]["paper"]["title"] = HOSTILE
    given["retrieved"][0]["title"] = HOSTILE
    rows = [row(asked, given, correct=0.0)]
    clean, hostile = (
        Seen(page.render(summary_of(rows), made, {"p2": title}))
        for made, title in (([row(question(kind="followup"), answer())], ""), (rows, HOSTILE))
    )
    assert {tag for tag, _ in hostile.tags} - {"li", "ul", "p", "h4"} == {
        tag for tag, _ in clean.tags
    } - {"li", "ul", "p", "h4"}
    assert sum(tag == "script" for tag, _ in hostile.tags) == 1
    assert not any(name.startswith("on") for _, attrs in hostile.tags for name in attrs)


@given(words=st.text(alphabet="<>/ab\"'&=!-", min_size=1, max_size=12))
def test_no_text_of_an_answer_adds_a_tag(words: str) -> None:
    rows = [row(question(), answer(words))]
    plain = [row(question(), answer("plain"))]
    tags = [[tag for tag, _ in Seen(page.render(summary_of(r), r)).tags] for r in (rows, plain)]
    # A missing fact is one line more in the list of faults.
    assert set(tags[0]) <= {*tags[1], "ul", "li", "h4", "span"}
    assert tags[0].count("script") == 1


def test_nothing_is_loaded_from_elsewhere() -> None:
    rows = [row(question(), answer())]
    made = page.render(summary_of(rows), rows)
    assert not [a for _, attrs in Seen(made).tags for a in attrs if a in ("src", "href")]
    assert "@import" not in made
    assert "url(" not in made
    policy = next(a["content"] for t, a in Seen(made).tags if "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


CASES = [
    ({}, answer(), []),
    ({}, answer("It runs at 26 fps."), ["Missing fact: 27 fps", "Missing number: 27 fps"]),
    ({}, answer("It runs at 27 fps, not at 178 fps."), ["Must not be said: 178 fps"]),
    ({}, answer(cited="p9"), ["Not cited: One"]),
    ({"required": ("p1", "p7")}, answer(), ["Not retrieved: Seven"]),
    ({}, answer(answered=False), ["It was not answered, though the papers hold the answer."]),
    ({"kind": "list", "value": None}, answer(cited="p7"),
     ["Not cited: One", "Does not belong in the list: Seven"]),
    ({"kind": "near_miss"}, answer(),
     ["It was answered, though the papers do not hold the answer."]),
    ({"kind": "near_miss"}, answer(answered=False), []),
    ({}, None, ["It could not be asked: BackendError: down"]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "given_answer", "faults"), CASES)
def test_each_failure_is_said_in_words(
    fields: dict[str, Any], given_answer: Json | None, faults: list[str]
) -> None:
    titles = {"p1": "One", "p7": "Seven"}
    assert page.why(question(**fields), given_answer, {}, titles, "BackendError: down") == faults


def test_an_unbacked_sentence_and_a_false_span_are_said() -> None:
    faults = page.why(
        question(), answer(), {"citation_recall": 0.5, "spans": 3.0, "spans_right": 1.0}, {}
    )
    assert faults == [
        "2 cited spans are not the words of their abstract.",
        "50% of the sentences are not backed by what they cite.",
    ]


def test_a_page_is_written_into_the_folder_of_its_run(tmp_path: Path) -> None:
    rows = [row(question("q-1"), answer()), row(question("q-2"), None, correct=0.0, failed=1.0)]
    report.write(summary_of(rows), tmp_path)
    with pytest.raises(UsageError, match="holds no results"):
        page.write(tmp_path)
    lines = "".join(f"{json.dumps(r)}\n" for r in rows)
    (tmp_path / "results.jsonl").write_text(lines, "utf-8")
    made = page.write(tmp_path).read_text("utf-8")
    assert 'data-outcome="error"' in made
    assert "not asked for an error" in made
    assert made.count("<svg viewBox") == 4


def test_results_without_gold_are_refused(tmp_path: Path) -> None:
    old = row(question(), answer())
    del old["gold"]
    with pytest.raises(UsageError, match="run the evaluation again"):
        page.render(summary_of([old]), [old])


def test_a_bar_is_as_long_as_its_value() -> None:
    drawn = plots.interval_bars(
        [plots.Bar("a", 0.5, 0.25, 0.75, 4), plots.Bar("b", 1.0, None, None, 2)], "t"
    )
    widths = [float(w) for w in re.findall(r'class="bar"[^>]*? width="([\d.]+)"', drawn)]
    assert widths[0] == pytest.approx(widths[1] / 2)
    assert drawn.count('class="interval"') == 1


@given(st.lists(st.floats(0, 1e6), max_size=30))
@example([5e-324])
def test_latency_is_drawn_for_any_times(times: list[float]) -> None:
    Seen(plots.latency(times))
    for x in re.findall(r"points=\"([^\"]*)\"", plots.latency(times)):
        assert all(0 <= float(p.split(",")[0]) <= 420 for p in x.split())


@pytest.mark.browser
def test_the_filter_works_in_a_browser_without_a_request(tmp_path: Path) -> None:
    browser_path = "/usr/bin/chromium"
    if not Path(browser_path).exists() and not os.environ.get("CITEWISE_REQUIRE_BROWSER"):
        pytest.skip("no Chromium here")
    api = pytest.importorskip("playwright.sync_api")
    rows = [
        row(question("q-1"), answer()),
        row(question("q-2", kind="fact", question=HOSTILE), answer("no"), correct=0.0),
        row(question("q-3"), answer("no"), correct=0.0),
    ]
    file = tmp_path / "report.html"
    file.write_text(page.render(summary_of(rows), rows), "utf-8")
    asked: list[str] = []
    faults: list[str] = []
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("console", lambda message: faults.append(message.text))
        tab.on("dialog", lambda dialog: faults.append(dialog.message))
        tab.goto(file.as_uri())

        def shown() -> list[str]:
            return [e.inner_text() for e in tab.query_selector_all(".question:not([hidden]) .id")]

        assert shown() == ["q-1", "q-2", "q-3"]
        tab.select_option("#outcome", "failed")
        assert shown() == ["q-2", "q-3"]
        tab.select_option("#kind", "fact")
        assert shown() == ["q-2"]
        tab.select_option("#kind", "")
        tab.fill("#words", "q-3")
        assert shown() == ["q-3"]
        tab.click("#open")
        assert tab.query_selector(".question[open] .faults") is not None
        browser.close()
    assert asked == [file.as_uri()]
    assert faults == []
