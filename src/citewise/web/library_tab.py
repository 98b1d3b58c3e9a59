"""The Library room: papers in, papers found and read, papers out.

The browser's side is ``assets/rooms.js``: it keeps what is being looked at and chosen, and says so
through one wire, an HTML component out of sight with two events. ``look`` asks for a page of papers
(a newer one overtakes an older), ``act`` for everything else.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from citewise.errors import CitewiseError
from citewise.library.library import Library
from citewise.web import library_render, render
from citewise.web.adding import MOST_BYTES, MOST_FILES, Adding
from citewise.web.context import PageContext
from citewise.web.library_render import Facts
from citewise.web.room_html import plural
from citewise.web.views import MOST_CHOSEN, PAGE_PAPERS, View, look

log = logging.getLogger("citewise")

SIMILAR = 6
TICK_S = 1.0
AT_ONCE = 8
"""Requests of the room that are worked on at the same time."""

_WIRE = """
window.citewiseWires = window.citewiseWires || {};
window.citewiseWires.library = (name, data) => trigger(name === 'look' ? 'look' : 'act', data);
document.dispatchEvent(new Event('cw-wired-library'));
"""


def area(elem_id: str, value: str = "") -> gr.HTML:
    """A place for HTML that the server makes."""
    return gr.HTML(value, elem_id=elem_id, apply_default_css=False, js_on_load=None, padding=False)


def wire(elem_id: str, script: str) -> gr.HTML:
    """A component out of sight through which the browser calls the server."""
    return gr.HTML("", elem_id=elem_id, apply_default_css=False, js_on_load=script, padding=False)


def said(event: gr.EventData) -> Mapping[str, Any]:
    """What the browser sent along; anything but an object counts as nothing."""
    data = getattr(event, "_data", None)
    return data if isinstance(data, dict) else {}


class _Room:
    """What the room's handlers share."""

    def __init__(
        self, library: Library, adding: Adding | None, libraries: Mapping[str, str]
    ) -> None:
        self.library = library
        self.libraries = libraries
        self.name = next(iter(libraries), library.path.name)
        self.adding = adding
        self._themes_wanted = threading.Lock()
        self._facts: tuple[object, Facts] | None = None

    # -- what stands where -------------------------------------------------------------------

    def head(self) -> str:
        return library_render.head_html(self.facts())

    def facts(self) -> Facts:
        papers = len(self.library)
        key = (papers, self.library.path)
        embedded = papers - self.library.waiting()
        kept = self._facts
        if kept is None or kept[0] != key:
            # Counting sources reads a whole table: once, until papers come or go.
            bounds = self.library.dates()
            facts = Facts(
                self.name,
                papers,
                embedded,
                self.library.sources(),
                bounds[0] if bounds else None,
                bounds[1] if bounds else None,
            )
            self._facts = kept = (key, facts)
        facts = kept[1]
        return Facts(facts.name, papers, embedded, facts.sources, facts.earliest, facts.latest)

    def find(self) -> str:
        return library_render.find_html(sorted(self.facts().sources))

    def list(self, values: Mapping[str, Any]) -> str:
        number = values.get("n")
        number = number if isinstance(number, int) else 0
        try:
            view = View.of(values)
            page, note = look(self.library, view)
            if view.page and not page.papers and page.total:
                # Papers were removed meanwhile.
                last = (page.total - 1) // PAGE_PAPERS
                page, note = look(self.library, View.of({**values, "page": last}))
        except CitewiseError as error:
            return library_render.failure_html(str(error), number)
        if view.theme is not None:
            words = ", ".join(self.library.themes().themes[view.theme].words)
            what = f"{plural(page.total, 'paper')} about {words}"
        elif view.query:
            what = f"{plural(page.total, 'paper')} found"
        else:
            what = plural(page.total, "paper")
        return library_render.list_html(page, PAGE_PAPERS, what=what, note=note, number=number)

    def paper(self, paper_id: str) -> str:
        try:
            paper = self.library.paper(paper_id)
            embedded = not self.library.waiting()
        except CitewiseError as error:
            return library_render.failure_html(str(error))
        try:
            similar = self.library.similar(paper_id, SIMILAR).hits
        except CitewiseError as error:
            # The paper can be read all the same.
            log.warning("no similar papers: %s", error)
            similar = ()
        return library_render.paper_html(paper, similar, embedded=embedded)

    def picture(self) -> tuple[str, bool]:
        """The library over time and by theme, and whether it is complete."""
        ready = self.library.themes_so_far()
        if ready is None:
            self._make_themes()
        empty = len(self.library) == 0
        html = library_render.picture_html(self.library.timeline(), ready, empty=empty)
        return html, ready is not None or empty

    def _make_themes(self) -> None:
        if not self._themes_wanted.acquire(blocking=False):
            return

        def work() -> None:
            try:
                self.library.themes()
            except CitewiseError as error:
                log.warning("the papers could not be grouped: %s", error)
            finally:
                self._themes_wanted.release()

        threading.Thread(target=work, name="citewise-themes", daemon=True).start()

    def job(self, user: str) -> str:
        """What becomes of the files of this user; others' are nobody else's business."""
        if self.adding is None:
            return ""
        waiting = self.library.waiting()
        jobs = self.adding.jobs(user)
        return "".join(library_render.job_html(job, waiting=waiting) for job in jobs)

    def going(self) -> bool:
        """Whether something changes by itself: files being read, papers being embedded."""
        adding = self.adding is not None and self.adding.going
        return adding or self.library.waiting() > 0


def build_library_tab(context: PageContext) -> None:
    """Put the room's components into the open Gradio container."""
    library = context.library
    if not isinstance(library, Library):
        # A stand-in can be asked, not looked around in.
        _only_facts(context)
        return
    room = _Room(library, context.adding, context.libraries)
    line = wire("cw-lib-wire", _WIRE)
    with gr.Column(elem_id="cw-lib"):
        with gr.Row(elem_id="cw-lib-top"):
            head = area("cw-lib-head")
            area("cw-lib-add", library_render.adder_html(MOST_BYTES, MOST_FILES))
        job = area("cw-lib-job")
        with gr.Row(elem_id="cw-lib-body"):
            with gr.Column(elem_id="cw-lib-left"):
                find = area("cw-lib-find")
                papers = area("cw-lib-list")
            with gr.Column(elem_id="cw-lib-right"):
                paper = area("cw-lib-paper")
                picture = area("cw-lib-picture")
    ticks = gr.Timer(TICK_S, active=False)
    shown = [head, job, find, papers, paper, picture, ticks]

    def update(**changed: Any) -> list[Any]:
        names = ("head", "job", "find", "papers", "paper", "picture", "ticks")
        return [changed.get(name, gr.skip()) for name in names]

    def on_look(event: gr.EventData) -> list[Any]:
        return update(papers=room.list(said(event)))

    def on_visit(request: gr.Request) -> list[Any]:
        html, whole = room.picture()
        ticking = gr.Timer(active=room.going() or not whole)
        job = room.job(context.user_of(request))
        return update(head=room.head(), job=job, picture=html, ticks=ticking)

    # What each tab last saw, so that a tick sends only what has changed.
    seen = gr.State(("", "", "", 0))

    def on_tick(before: tuple[str, str, str, int], request: gr.Request) -> list[Any]:
        headed, doing = room.head(), room.job(context.user_of(request))
        drawn, whole = room.picture()
        count = len(room.library)
        changed: dict[str, Any] = {}
        for name, old, new in (
            ("head", before[0], headed),
            ("job", before[1], doing),
            ("picture", before[2], drawn),
        ):
            if old != new:
                changed[name] = new
        if not room.going() and whole:
            changed["ticks"] = gr.Timer(active=False)
        return [*update(**changed), (headed, doing, drawn, count)]

    def on_act(event: gr.EventData, request: gr.Request) -> list[Any]:
        values, user = said(event), context.user_of(request)
        do = values.get("do")
        if do == "open":
            return update(paper=room.paper(str(values.get("id"))))
        if do == "close":
            return update(paper="")
        if do == "remove":
            return on_remove(values, user)
        adding = room.adding
        if do == "stop" and adding is not None:
            adding.stop(user)
        elif do == "dismiss" and adding is not None:
            adding.forget(user)
        elif do != "watch":
            return update()
        return update(job=room.job(user), ticks=gr.Timer(active=True))

    def on_remove(values: Mapping[str, Any], user: str) -> list[Any]:
        ids = values.get("ids")
        if not isinstance(ids, list) or len(ids) > MOST_CHOSEN:
            return update()
        try:
            removed = library.remove([str(paper_id) for paper_id in ids])
        except CitewiseError as error:
            return update(job=library_render.failure_html(str(error)))
        log.info("%d papers removed through the page%s", removed, f" by {user}" if user else "")
        drawn, _ = room.picture()
        return update(
            head=room.head(),
            papers=room.list(values.get("view") or {}),
            paper="",
            picture=drawn,
            job=library_render.note_html(f"{plural(removed, 'paper')} removed."),
        )

    quietly: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": AT_ONCE,
    }
    line.look(on_look, outputs=shown, trigger_mode="always_last", **quietly)
    line.act(on_act, outputs=shown, trigger_mode="multiple", **quietly)
    visited = context.opened["library"]
    visited.click(lambda: update(find=room.find()), outputs=shown, **quietly)
    visited.click(on_visit, outputs=shown, **quietly)
    ticks.tick(on_tick, inputs=seen, outputs=[*shown, seen], trigger_mode="once", **quietly)
    for other, button in context.opened.items():
        if other != "library":
            # Nobody looks: nothing is asked until the next visit.
            button.click(lambda: gr.Timer(active=False), outputs=ticks, **quietly)


def _only_facts(context: PageContext) -> None:
    about = area("cw-library-about")
    refresh: Callable[[], str] = lambda: render.shelves_html(  # noqa: E731
        context.library.info(), context.library.path.name
    )
    context.opened["library"].click(
        refresh, outputs=about, show_progress="hidden", api_visibility="private"
    )
