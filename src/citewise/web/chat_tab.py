"""The Chat room: conversations on the left, the talk in the middle, the evidence on the right.

What a person does to a conversation or an answer comes through one component out of sight, the
bus: ``assets/page.js`` triggers its events with the ids in question, the handlers here answer them.
Which conversation is open stands in the page's address (``?c=ID``) and comes with every question.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import gradio as gr

from citewise.conversations import Conversation, ConversationInfo
from citewise.errors import CitewiseError
from citewise.evaluation.inbox import add_to_inbox
from citewise.transcript import file_name, to_bundle, to_json, to_markdown
from citewise.types import Effort, Filters, short_name
from citewise.web import render
from citewise.web.context import PageContext, Shelves
from citewise.web.talk import Talk, converse, in_thread, opened, stopped, titles_of

log = logging.getLogger("citewise")

EXAMPLES: tuple[str, ...] = (
    "What is speculative decoding?",
    "Compare Falcon and Kangaroo",
    "What are the main ways to shrink the KV cache?",
    "Which papers run large models on phones?",
    "Which quantization methods go below 4 bits?",
    "How do I bake sourdough bread?",
)
"""Questions to start from when the library holds the sample papers."""

_SAMPLE_SIGN = "Falcon: Faster and Parallel Inference of Large Language Models"
"""Start of a title among the sample papers."""

MOST_ONLY = 200
"""Papers that the Library room can hand over to be asked alone."""
ASKING_AT_ONCE = 20
"""Questions worked on at the same time; further ones wait in line."""

_DATE = re.compile(r"\d{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?")
_EVERY_SOURCE = "every source"
_QUIETLY: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def _examples(library: Shelves) -> tuple[str, ...]:
    """Questions to start from that this library can answer."""
    hits = library.find(_SAMPLE_SIGN, 1).hits
    if hits and hits[0].paper.title.startswith(_SAMPLE_SIGN):
        return EXAMPLES
    others = library.find("we propose a new method and show results", 5).hits
    return tuple(
        f"What does {short_name(hit.paper.title)} propose?" for hit in others if hit.paper.title
    )


def by_day(
    infos: Sequence[ConversationInfo], now: datetime
) -> dict[str, tuple[ConversationInfo, ...]]:
    """Conversations under the names of their days, as seen at ``now``, the latest first."""
    days = {"Today": 0, "Yesterday": 1, "The last seven days": 6}
    groups: dict[str, list[ConversationInfo]] = {name: [] for name in (*days, "Earlier")}
    for info in infos:
        ago = now.date() - datetime.fromisoformat(info.changed).astimezone(now.tzinfo).date()
        name = next((n for n, most in days.items() if ago <= timedelta(days=most)), "Earlier")
        groups[name].append(info)
    return {name: tuple(group) for name, group in groups.items() if group}


def filters_of(
    since: str, until: str, source: str, author: str, only: Sequence[str]
) -> tuple[Filters, dict[str, str]]:
    """The filters that a person typed, without those that are wrong; what is wrong with which."""
    faults = {}
    dates: dict[str, str | None] = {}
    for name, typed in (("since", since), ("until", until)):
        date = (typed or "").strip()
        dates[name] = date or None
        if date and not _DATE.fullmatch(date):
            faults[name] = f"“{date[:20]}” is no date: 2024, 2024-10 or 2024-10-12"
            dates[name] = None
    chosen = source if source and source != _EVERY_SOURCE else None
    return (
        Filters(dates["since"], dates["until"], chosen, (author or "").strip() or None, (*only,)),
        faults,
    )


def called(backends: Sequence[str]) -> list[str]:
    """What backends are called where room is scarce: the model, where it tells them apart."""
    short = [name.partition(":")[2].partition("@")[0] or name for name in backends]
    return [s if short.count(s) == 1 else name for s, name in zip(short, backends, strict=True)]


class _ChatRoom:
    """The components of the room and what happens in it."""

    def __init__(self, context: PageContext) -> None:
        self.context = context
        self.library = context.library
        info = self.library.info()
        self.sources = [_EVERY_SOURCE, *info.sources]
        self.drawn_with = info.papers
        self.components: dict[str, Any] = {}
        self._judging = threading.Lock()
        self._build()
        self._wire()

    # -- what there is -----------------------------------------------------------------------

    def _build(self) -> None:
        put = self.components
        put["talk"] = gr.State(Talk())
        put["only"] = gr.State(())
        put["bus"] = gr.HTML(
            elem_id="cw-bus",
            visible="hidden",
            js_on_load="window.citewiseBus(trigger)",
        )
        put["aux"] = gr.JSON(visible=False)
        put["parcel"] = gr.JSON(visible=False)
        with gr.Row(elem_id="cw-body"):
            with gr.Column(elem_id="cw-side"):
                self._build_side()
            with gr.Column(elem_id="cw-left"):
                with gr.Column(elem_id="cw-talk"):
                    put["past"] = _area("", "cw-past")
                    put["current"] = _area(self._welcome(), "cw-current")
                with gr.Column(elem_id="cw-composer"), gr.Column(elem_id="cw-desk"):
                    self._build_composer()
            with gr.Column(elem_id="cw-right"):
                _area(render.panel_html(), "cw-panel")

    def _build_side(self) -> None:
        put = self.components
        put["fresh"] = gr.Button("New conversation", elem_id="cw-new", size="sm")
        with gr.Accordion("Filters", open=False, elem_id="cw-filter-box"):
            with gr.Row(elem_id="cw-dates"):
                for name, label in (("since", "Since"), ("until", "Until")):
                    put[name] = gr.Textbox(
                        label=label,
                        placeholder="2024-10",
                        max_lines=1,
                        elem_id=f"cw-{name}",
                        min_width=60,
                        max_length=30,
                    )
            put["source"] = gr.Dropdown(
                self.sources, value=_EVERY_SOURCE, label="Source", elem_id="cw-source"
            )
            put["author"] = gr.Textbox(
                label="Author", placeholder="part of a name", max_lines=1, elem_id="cw-author"
            )
        put["search"] = gr.Textbox(
            label="Search conversations",
            show_label=False,
            container=False,
            placeholder="Search conversations …",
            max_lines=1,
            elem_id="cw-search",
        )
        put["convs"] = _area("", "cw-convs-list")
        if self.context.kept_note:
            _area(
                render.message_html(
                    self.context.kept_note, title="Conversations are not kept", kind="note"
                ),
                "cw-kept-note",
            )

    def _build_composer(self) -> None:
        put = self.components
        put["chips"] = _area("", "cw-chips")
        put["box"] = gr.Textbox(
            label="Your question",
            show_label=False,
            placeholder="Ask the papers …",
            lines=1,
            max_lines=6,
            elem_id="cw-box",
            container=False,
        )
        with gr.Row(elem_id="cw-controls"):
            put["effort"] = gr.Radio(
                [e.value for e in Effort],
                value=Effort.NORMAL.value,
                label="Effort",
                show_label=False,
                container=False,
                elem_id="cw-effort",
            )
            backends = [assistant.backend.name for assistant in self.context.assistants]
            put["backend"] = gr.Dropdown(
                list(zip(called(backends), backends, strict=True)),
                value=backends[0],
                label="Backend",
                show_label=False,
                container=False,
                filterable=False,
                visible=len(backends) > 1,
                elem_id="cw-backend",
            )
            put["ask"] = gr.Button("Ask", variant="primary", elem_id="cw-ask", size="sm")
            put["stop"] = gr.Button("Stop", elem_id="cw-stop", size="sm", visible=False)

    # -- what leads to what ------------------------------------------------------------------

    def _wire(self) -> None:
        put = self.components
        bus, state, search = put["bus"], put["talk"], put["search"]
        given = [put[n] for n in ("since", "until", "source", "author", "only")]
        how = [put["effort"], put["backend"], *given, put["aux"], state]
        self.shown = ["past", "current", "talk", "box", "ask", "stop", "convs"]
        shown = [put[name] for name in self.shown]
        self.all_shown = [
            *self.shown, "since", "until", "source", "author", "only", "chips", "effort", "backend"
        ]  # fmt: skip
        all_shown = [put[name] for name in self.all_shown]
        working: dict[str, Any] = {
            **_QUIETLY,
            "concurrency_limit": ASKING_AT_ONCE,
            "trigger_mode": "once",
        }
        place = len(how) - 2
        asking = gr.on(
            [put["box"].submit, put["ask"].click],
            self.on_ask,
            inputs=[put["box"], *how],
            outputs=shown,
            js=f"(...given) => {{ given[{place + 1}] = window.citewiseAux(); return given; }}",
            **working,
        )
        again = bus.retry(self.on_again, inputs=how, outputs=shown, **working)
        at_once: dict[str, Any] = {**_QUIETLY, "queue": False}
        # Without this, Gradio drops what is done while the same before it is still being done: the
        # reason for a thumb, the second of two conversations that are deleted.
        each: dict[str, Any] = {**at_once, "trigger_mode": "multiple"}
        cancels = [asking, again]
        put["stop"].click(self.on_stop, state, shown, cancels=cancels, **at_once)
        put["fresh"].click(self.on_fresh, None, all_shown, cancels=cancels, **at_once)
        bus.select(self.on_open, search, all_shown, cancels=cancels, **at_once)
        # What the address names when the room is entered: a quick first question outlives it.
        bus.focus(self.on_open, search, all_shown, **at_once)
        bus.edit(self.on_rename, search, put["convs"], **each)
        bus.delete(self.on_delete, [search, state], all_shown, **each)
        search.change(self.on_search, search, put["convs"], trigger_mode="always_last", **at_once)
        bus.like(self.on_thumb, state, None, **each)
        bus.download(self.on_export, state, put["parcel"], **each).then(
            None, put["parcel"], js="(parcel) => window.citewiseSave(parcel)", **_QUIETLY
        )
        filtering = [put[n] for n in ("since", "until", "source", "author", "only", "chips")]
        for change in (
            put["since"].submit, put["since"].blur, put["until"].submit, put["until"].blur,
            put["author"].submit, put["author"].blur, put["source"].input,
        ):  # fmt: skip
            change(self.on_filter, given, put["chips"], **at_once)
        bus.clear(self.on_unfilter, given, filtering, **at_once)
        bus.option_select(self.on_only, given, filtering, **at_once)

    def _out(self, names: Sequence[str], **values: Any) -> list[Any]:
        return [values.get(name, gr.skip()) for name in names]

    # -- asking ------------------------------------------------------------------------------

    async def on_ask(
        self,
        question: str,
        effort: str,
        backend: str,
        since: str,
        until: str,
        source: str,
        author: str,
        only: Sequence[str],
        aux: dict[str, Any] | None,
        talk: Talk,
        request: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        """Ask what is in the box."""
        question = (question or "").strip()
        if not question:
            yield self._out(self.shown)
            return
        owner = self.context.user_of(request)
        aux = aux or {}
        replacing = str(aux.get("replacing") or "")
        try:
            # After a restart of the server the tab knows better than its state here.
            if (aux.get("c") or "") != talk.conversation:
                talk = self._opened(str(aux.get("c") or ""), owner)
        except CitewiseError:
            talk = Talk()
        filters, _ = filters_of(since, until, source, author, only)
        first = True
        steps = converse(
            self.context.assistant(backend),
            question,
            talk,
            self.context.kept,
            owner=owner,
            effort=effort,
            filters=filters,
            replacing=int(replacing) if replacing.isdecimal() else None,
        )
        async for step in in_thread(steps):
            if first:
                yield self._out(
                    self.shown,
                    past=step.past,
                    current=step.current,
                    talk=step,
                    box="",
                    ask=gr.update(visible=False),
                    stop=gr.update(visible=True),
                    convs=self._listed(owner),
                )
                first = False
            elif step.working:
                yield self._out(self.shown, current=step.current, talk=step)
            if not step.working:
                yield self._idle(step, past=step.past)

    async def on_again(
        self,
        effort: str,
        backend: str,
        since: str,
        until: str,
        source: str,
        author: str,
        only: Sequence[str],
        aux: dict[str, Any] | None,
        talk: Talk,
        event: gr.EventData,
        request: gr.Request,
    ) -> AsyncIterator[list[Any]]:
        """Ask a question of this conversation once more, with what is in force now."""
        del aux
        told = _told(event)
        owner = self.context.user_of(request)
        try:
            found = self.context.kept.get(str(told.get("c") or talk.conversation), owner)
        except CitewiseError as error:
            yield self._idle(_saying(str(error)))
            return
        turn = next((t for t in found.turns if str(t.id) == str(told.get("turn"))), None)
        if turn is None:
            yield self._out(self.shown)
            return
        where = {"c": found.id, "replacing": turn.id}
        async for step in self.on_ask(
            turn.question, effort, backend, since, until, source, author, only, where, talk, request
        ):
            # The box holds what the person is about to ask next.
            step[self.shown.index("box")] = gr.skip()
            yield step

    def on_stop(self, talk: Talk) -> list[Any]:
        """Stop at once and keep what had come."""
        return self._idle(stopped(talk, self.context.kept))

    def _idle(self, talk: Talk, **values: Any) -> list[Any]:
        return self._out(
            self.shown,
            current=talk.current,
            talk=talk,
            ask=gr.update(visible=True),
            stop=gr.update(visible=False),
            **values,
        )

    # -- conversations -----------------------------------------------------------------------

    def _opened(self, name: str, owner: str) -> Talk:
        if not name:
            return Talk()
        return opened(self.context.kept.get(name, owner), self.library)

    def _listed(self, owner: str, words: str = "") -> str:
        found = self.context.kept.search(words or "", owner)
        groups = by_day(found, datetime.now().astimezone())
        return render.conversations_html(groups, searched=bool((words or "").strip()))

    def _welcome(self, *, arrived: bool = False) -> str:
        papers = self.library.info().papers
        return render.welcome_html(papers, _examples(self.library), arrived=arrived)

    def _arrival(self, talk: Talk, owner: str, words: str = "", **values: Any) -> list[Any]:
        return self._out(
            self.all_shown,
            past=talk.past,
            current=talk.current or self._welcome(arrived=True),
            talk=talk,
            ask=gr.update(visible=True),
            stop=gr.update(visible=False),
            convs=self._listed(owner, words),
            **values,
        )

    def on_fresh(self, request: gr.Request) -> list[Any]:
        """Begin a conversation, with no filter in force."""
        return self._arrival(
            Talk(), self.context.user_of(request), box="", **self._filling(Filters())
        )

    def on_open(self, words: str, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Open a conversation with what was in force at its last question."""
        owner = self.context.user_of(request)
        told = _told(event)
        name = str(told.get("c") or "")
        if not name and told.get("start"):
            # The page is drawn once for all, and papers may have come since.
            same = not told.get("back") and self.library.info().papers == self.drawn_with
            current = gr.skip() if same else self._welcome()
            return self._out(self.all_shown, convs=self._listed(owner, words), current=current)
        try:
            talk = self._opened(name, owner)
        except CitewiseError as error:
            return self._arrival(_saying(str(error)), owner, words)
        if not name:
            return self._arrival(talk, owner, words, **self._filling(Filters()))
        last = self.context.kept.get(name, owner).turns[-1:]
        values: dict[str, Any] = {}
        for turn in last:
            values = self._filling(turn.filters)
            values["effort"] = turn.effort.value
            if turn.backend in {a.backend.name for a in self.context.assistants}:
                values["backend"] = turn.backend
        return self._arrival(talk, owner, words, **values)

    def on_rename(self, words: str, event: gr.EventData, request: gr.Request) -> str:
        """Give a conversation another title."""
        owner, told = self.context.user_of(request), _told(event)
        self._try(
            lambda: self.context.kept.rename(str(told["c"]), str(told.get("title", "")), owner)
        )
        return self._listed(owner, words)

    def on_delete(
        self, words: str, talk: Talk, event: gr.EventData, request: gr.Request
    ) -> list[Any]:
        """Forget a conversation; the person has confirmed it."""
        owner, told = self.context.user_of(request), _told(event)
        self._try(lambda: self.context.kept.delete(str(told["c"]), owner))
        if talk.conversation == told.get("c") or told.get("open"):
            return self._arrival(Talk(), owner, words, **self._filling(Filters()))
        return self._out(self.all_shown, convs=self._listed(owner, words))

    def on_search(self, words: str, request: gr.Request) -> str:
        """The conversations that hold the words."""
        return self._listed(self.context.user_of(request), words)

    def on_thumb(self, talk: Talk, event: gr.EventData, request: gr.Request) -> None:
        """Keep what a person thinks; an answer found wanting becomes a draft question."""
        told = _told(event)
        reason = told.get("reason")

        def work() -> None:
            # The thumb and its reason come one after the other, and may overtake each other.
            with self._judging:
                turn = self.context.kept.judge(
                    str(told.get("c") or talk.conversation),
                    int(told["turn"]),
                    int(told["thumb"]),
                    None if reason is None else str(reason),
                    self.context.user_of(request),
                )
                if turn.thumb < 0 and turn.answer is not None:
                    add_to_inbox(turn.question, turn.answer, turn.reason)

        self._try(work)

    def on_export(self, talk: Talk, event: gr.EventData, request: gr.Request) -> dict[str, Any]:
        """A conversation, or one turn of it, as a file for the browser to save."""
        told = _told(event)
        try:
            found = self.context.kept.get(
                str(told.get("c") or talk.conversation), self.context.user_of(request)
            )
            return self._packed(found, str(told.get("turn") or ""), str(told.get("form")))
        except CitewiseError as error:
            return {"error": str(error)}

    def _packed(self, found: Conversation, turn: str, form: str) -> dict[str, Any]:
        turns = [t for t in found.turns if not turn or str(t.id) == turn]
        title = turns[0].question if turn and turns else found.title
        cited = {c.paper.id for t in turns if t.answer for c in t.answer.citations}
        papers = self.library.papers_by_id(sorted(cited))
        if form == "json":
            content, kind = to_json(title, turns).encode(), "application/json"
        elif form == "zip":
            content, kind = to_bundle(turns, papers), "application/zip"
        else:
            content, kind = to_markdown(turns, papers).encode(), "text/markdown"
            form = "md"
        return {
            "name": file_name(title, form),
            "type": kind,
            "data": base64.b64encode(content).decode("ascii"),
        }

    def _try(self, work: Any) -> None:
        """Do ``work``; what fails is said to the person in a notice of the page's own."""
        try:
            work()
        except CitewiseError as error:
            gr.Warning(str(error), title="That did not work")
        except (KeyError, ValueError, TypeError) as error:
            log.debug("the page sent what no page of ours sends: %r", error)

    # -- filters -----------------------------------------------------------------------------

    def _filling(self, filters: Filters) -> dict[str, Any]:
        source = filters.source if filters.source in self.sources else _EVERY_SOURCE
        said = render.filters_text(filters, titles_of(filters.papers, self.library))
        return {
            "since": filters.since or "",
            "until": filters.until or "",
            "source": source,
            "author": filters.author or "",
            "only": filters.papers,
            "chips": render.chips_html(said, {}),
        }

    def on_filter(
        self, since: str, until: str, source: str, author: str, only: Sequence[str]
    ) -> str:
        """The chips for what is in force."""
        filters, faults = filters_of(since, until, source, author, only)
        said = render.filters_text(filters, titles_of(filters.papers, self.library))
        return render.chips_html(said, faults)

    def on_unfilter(
        self,
        since: str,
        until: str,
        source: str,
        author: str,
        only: Sequence[str],
        event: gr.EventData,
    ) -> list[Any]:
        """Take one filter away."""
        key = str(_told(event).get("key") or "")
        kept = tuple(paper for paper in only if key != f"paper:{paper}")
        return self._filtered(
            "" if key == "since" else since,
            "" if key == "until" else until,
            _EVERY_SOURCE if key == "source" else source,
            "" if key == "author" else author,
            kept,
        )

    def on_only(
        self,
        since: str,
        until: str,
        source: str,
        author: str,
        only: Sequence[str],
        event: gr.EventData,
    ) -> list[Any]:
        """Ask only this paper, and those chosen before; or only the papers that are named."""
        told = _told(event)
        paper, named = str(told.get("paper") or ""), told.get("papers")
        wanted = only if paper in only or not paper else (*only, paper)
        if isinstance(named, list):
            wanted = tuple(map(str, named[:MOST_ONLY]))
        return self._filtered(since, until, source, author, wanted)

    def _filtered(
        self, since: str, until: str, source: str, author: str, only: Sequence[str]
    ) -> list[Any]:
        chips = self.on_filter(since, until, source, author, only)
        return [since, until, source, author, tuple(only), chips]


def _area(value: str, elem_id: str) -> gr.HTML:
    return gr.HTML(value, elem_id=elem_id, apply_default_css=False, js_on_load=None, padding=False)


def _saying(text: str) -> Talk:
    """A talk that holds a message alone."""
    return Talk(current=render.turn_html("", render.message_html(text, title="Not here")))


def _told(event: gr.EventData) -> dict[str, Any]:
    """What the page's script sent along; nothing where it is no object."""
    data = event._data
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except ValueError:
            return {}
    return data if isinstance(data, dict) else {}


def build_chat_tab(context: PageContext) -> None:
    """Put the room's components into the open Gradio container."""
    _ChatRoom(context)
