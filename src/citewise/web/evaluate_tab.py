"""The Evaluate room: run the evaluation questions, watch, read what went wrong, compare runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from citewise.errors import CitewiseError, UsageError
from citewise.evaluation import runs
from citewise.evaluation.compare import Comparison
from citewise.library.library import Library
from citewise.web import evaluate_render, render
from citewise.web.context import PageContext
from citewise.web.evaluating import Evaluating
from citewise.web.library_tab import area, said, wire

TICK_S = 0.5
AT_ONCE = 4

_WIRE = """
window.citewiseWires = window.citewiseWires || {};
window.citewiseWires.evaluate = (name, data) => trigger('act', data);
"""


class _Room:
    """What the room's handlers share."""

    def __init__(self, context: PageContext, library: Library, evaluating: Evaluating) -> None:
        self.context = context
        self.library = library
        self.evaluating = evaluating

    def form(self) -> str:
        backends = [assistant.backend.name for assistant in self.context.assistants]
        return evaluate_render.form_html(runs.sets(self.library), backends)

    def progress(self) -> str:
        run = self.evaluating.run
        if run is None:
            return ""
        return evaluate_render.progress_html(
            run.name, run.progress, by=self.evaluating.by, error=run.error
        )

    def listed(self, shown: str) -> str:
        return evaluate_render.runs_html(runs.listed(self.evaluating.folder), shown)

    def run(self, name: str, against: str = "") -> str:
        folder = self.evaluating.folder
        try:
            one = runs.load(name, folder)
            compared: Comparison | None = None
            fault = ""
            if against:
                try:
                    compared = runs.compare(against, name, folder)
                except CitewiseError as error:
                    fault = str(error)
            wanted = {
                paper
                for row in one.rows
                for paper in ((row.get("gold") or {}).get("required") or ())
            }
            titles = {
                paper_id: paper.title
                for paper_id, paper in self.library.papers_by_id(sorted(wanted)).items()
            }
            return evaluate_render.run_html(one, runs.listed(folder), titles, compared, fault)
        except CitewiseError as error:
            return evaluate_render.failure_html(str(error))
        except (KeyError, TypeError, ValueError):
            return evaluate_render.failure_html(
                f"The run {name} cannot be read; it was made by another version of citewise."
            )

    def start(self, values: Mapping[str, Any], user: str) -> None:
        limit = str(values.get("limit") or "").strip()
        if limit and not limit.isdecimal():
            raise UsageError("How many questions? Give a number, or leave it empty for all.")
        assistant = self.context.assistant(str(values.get("backend") or ""))
        self.evaluating.start(
            str(values.get("set") or ""),
            library=self.library,
            backend=assistant.backend,
            limit=int(limit) if limit else None,
            by=user,
        )


def build_evaluate_tab(context: PageContext) -> None:
    """Put the room's components into the open Gradio container."""
    library, evaluating = context.library, context.evaluating
    if not isinstance(library, Library) or evaluating is None:
        # A stand-in can be asked, not measured.
        area("cw-evaluate-about", render.evaluate_html())
        return
    room = _Room(context, library, evaluating)
    line = wire("cw-eval-wire", _WIRE)
    with gr.Column(elem_id="cw-eval"):
        area("cw-eval-head", evaluate_render.head_html())
        form = area("cw-eval-form")
        progress = area("cw-eval-progress")
        with gr.Row(elem_id="cw-eval-body"):
            with gr.Column(elem_id="cw-eval-left"):
                listed = area("cw-eval-runs")
            with gr.Column(elem_id="cw-eval-right"):
                run = area("cw-eval-run")
    ticks = gr.Timer(TICK_S, active=False)
    # The run that a tab shows, and the state in which it last saw the one at work.
    shown = gr.State("")
    seen = gr.State("")
    outputs = [form, progress, listed, run, ticks, shown, seen]
    names = ("form", "progress", "listed", "run", "ticks", "shown", "seen")

    def update(**changed: Any) -> list[Any]:
        return [changed.get(name, gr.skip()) for name in names]

    def show(name: str, against: str = "") -> dict[str, Any]:
        return {"run": room.run(name, against), "listed": room.listed(name), "shown": name}

    def on_visit(name: str) -> list[Any]:
        changed: dict[str, Any] = {"form": room.form(), "progress": room.progress()}
        done = [one.name for one in runs.listed(evaluating.folder) if one.state == "done"]
        if not name and done:
            changed |= show(done[0])
        else:
            changed["listed"] = room.listed(name)
        return update(**changed, ticks=gr.Timer(active=evaluating.going))

    def on_tick(name: str, before: str) -> list[Any]:
        now = room.progress()
        if evaluating.going:
            return update(progress=now, seen=now) if now != before else update()
        changed: dict[str, Any] = {"progress": now, "ticks": gr.Timer(active=False), "seen": now}
        one = evaluating.run
        if one is not None and one.state == "done":
            changed |= show(one.name)
        else:
            changed["listed"] = room.listed(name)
        return update(**changed)

    def on_act(name: str, event: gr.EventData, request: gr.Request) -> list[Any]:
        values = said(event)
        do = values.get("do")
        if do == "show":
            return update(**show(str(values.get("name")), str(values.get("against") or "")))
        if do == "stop":
            evaluating.stop()
        elif do == "start":
            try:
                room.start(values, context.user_of(request))
            except CitewiseError as error:
                return update(progress=evaluate_render.failure_html(str(error)))
        else:
            return update()
        return update(
            progress=room.progress(), listed=room.listed(name), ticks=gr.Timer(active=True)
        )

    quietly: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": AT_ONCE,
        "outputs": outputs,
    }
    line.act(on_act, inputs=shown, trigger_mode="multiple", **quietly)
    context.opened["evaluate"].click(on_visit, inputs=shown, **quietly)
    ticks.tick(on_tick, inputs=[shown, seen], trigger_mode="once", **quietly)
    for other, knob in context.opened.items():
        if other != "evaluate":
            knob.click(
                lambda: gr.Timer(active=False),
                outputs=ticks,
                show_progress="hidden",
                api_visibility="private",
            )
