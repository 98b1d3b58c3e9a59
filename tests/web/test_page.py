from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import scripted  # type: ignore[import-not-found]  # beside this file
from argon2 import PasswordHasher
from gradio_client import Client  # type: ignore[import-untyped]

from citewise.conversations import ConversationInfo, Conversations, TurnState
from citewise.errors import PortInUseError, UsageError
from citewise.types import Filters, Message
from citewise.web.chat_tab import by_day, called, filters_of
from citewise.web.context import Asks, PageContext
from citewise.web.server import serve
from citewise.web.talk import Talk, converse, opened, stopped
from citewise.web.users import Users


@pytest.fixture
def kept() -> Iterator[Conversations]:
    made = Conversations.in_memory()
    yield made
    made.close()


def last(
    assistant: Asks,
    question: str,
    kept: Conversations,
    talk: Talk | None = None,
    **options: Any,
) -> Talk:
    *_, end = converse(assistant, question, talk or Talk(), kept, **options)
    return end


def test_an_answer_comes_in_steps_and_only_grows(kept: Conversations) -> None:
    assistant = scripted.ScriptedAssistant(0)
    steps = list(converse(assistant, "Which papers make it faster?", Talk(), kept))
    assert "searching 475 papers" in steps[1].current
    chips = [step.current.count('class="cw-chip') for step in steps]
    assert chips == sorted(chips)
    assert chips[-1] == 4
    assert [step.working for step in steps] == [True] * (len(steps) - 1) + [False]
    assert "cw-busy" not in steps[-1].current


def test_the_next_question_knows_the_conversation(kept: Conversations) -> None:
    assistant = scripted.ScriptedAssistant(0)
    first = last(assistant, "Which papers make it faster?", kept)
    second = last(assistant, "And which of them need no training?", kept, first)
    assert assistant.histories[0] == ()
    assert [m.role for m in assistant.histories[1]] == ["user", "assistant"]
    assert assistant.histories[1][0].content == "Which papers make it faster?"
    assert second.past == first.current
    assert "And which of them" in second.current
    assert len(second.history) == 4


def test_an_error_of_ours_is_said_and_the_stream_closed(kept: Conversations) -> None:
    assistant = scripted.ScriptedAssistant(0)
    end = last(assistant, "please refuse", kept)
    assert "refuses the connection" in end.current
    assert "--backend extractive" in end.current
    assert not end.working
    assert end.history == ()
    assert assistant.closed == 1


def test_any_other_error_tells_nothing_of_the_inside(
    kept: Conversations, caplog: pytest.LogCaptureFixture
) -> None:
    end = last(scripted.ScriptedAssistant(0), "please crash", kept)
    assert "the details are in the log" in end.current
    assert "secret detail" not in end.current
    assert "Traceback" not in end.current
    assert "secret detail" in caplog.text


def test_giving_up_closes_the_stream(kept: Conversations) -> None:
    assistant = scripted.ScriptedAssistant(0)
    steps = converse(assistant, "Which papers make it faster?", Talk(), kept)
    for _ in range(4):
        talk = next(steps)
    steps.close()  # type: ignore[attr-defined]  # a generator
    assert assistant.closed == 1
    end = stopped(talk, kept)
    assert "Stopped" in end.current
    assert "One paper drafts" in end.current
    assert end.history[1] == Message("assistant", talk.pieces[0].text)
    assert not end.working
    assert stopped(end, kept) is end
    (turn,) = kept.get(talk.conversation).turns
    assert turn.state is TurnState.STOPPED
    assert turn.said == talk.pieces[0].text


def test_what_was_kept_looks_as_it_did(kept: Conversations) -> None:
    assistant = scripted.ScriptedAssistant(0)
    talk = last(assistant, "Which papers make it faster?", kept)
    talk = last(assistant, "How long should bread rise?", kept, talk)
    again = opened(kept.get(talk.conversation), assistant.library)
    assert again.past == talk.past
    assert again.current == talk.current
    assert again.history == talk.history
    talk = last(assistant, "please refuse", kept, again)
    again = opened(kept.get(talk.conversation), assistant.library)
    assert again.current == talk.current
    assert "refuses the connection" in again.current


def test_a_question_takes_another_s_place(kept: Conversations) -> None:
    assistant = scripted.ScriptedAssistant(0)
    talk = last(assistant, "One?", kept)
    talk = last(assistant, "Two?", kept, talk)
    second = talk.turn
    talk = last(assistant, "Three?", kept, talk)
    talk = last(assistant, "Two, better?", kept, talk, replacing=second)
    assert "One?" in talk.past
    assert "Two?" not in talk.past
    assert [m.content for m in assistant.histories[-1] if m.role == "user"] == ["One?"]
    asked = [turn.question for turn in kept.get(talk.conversation).turns]
    assert asked == ["One?", "Two, better?"]


def test_what_is_in_force_goes_to_the_assistant_and_is_said(kept: Conversations) -> None:
    assistant = scripted.ScriptedAssistant(0)
    wanted = Filters(since="2024", papers=("p-prune",))
    talk = last(assistant, "Fast?", kept, effort="deep", filters=wanted)
    assert assistant.asked == [("Fast?", "deep", wanted)]
    assert "Asked since 2024, only How Much of a Layer Is Needed" in talk.current
    (turn,) = kept.get(talk.conversation).turns
    assert turn.filters == wanted


def test_what_is_gone_or_changed_since_is_said(kept: Conversations) -> None:
    assistant = scripted.ScriptedAssistant(0)
    talk = last(assistant, "Fast?", kept)
    known = {p.id: p for p in scripted.PAPERS}
    known["p-cache"] = replace(known["p-cache"], abstract="Another text altogether.")
    del known["p-prune"]
    library = assistant.library
    library.papers_by_id = lambda ids: {i: known[i] for i in ids if i in known}
    html = opened(kept.get(talk.conversation), library).current
    assert html.count("This paper is no longer in the library") == 1
    assert html.count("The abstract in the library has changed since") == 1
    assert "Removing the least used third of all heads" in html


def test_a_question_that_a_killed_server_left_can_be_asked_again(kept: Conversations) -> None:
    pending = kept.begin("Left alone?")
    html = opened(kept.get(pending.conversation), scripted.ScriptedLibrary()).current
    assert "before this was answered" in html
    assert 'data-cw-act="again"' in html


def test_days_have_names() -> None:
    now = datetime(2025, 1, 31, 12, tzinfo=UTC)
    infos = [
        ConversationInfo(name, name, "", (now - timedelta(days=days)).isoformat(), 1)
        for name, days in (("a", 0), ("b", 1), ("c", 5), ("d", 6.6), ("e", 300))
    ]
    groups = {day: [i.id for i in group] for day, group in by_day(infos, now).items()}
    assert groups == {
        "Today": ["a"],
        "Yesterday": ["b"],
        "The last seven days": ["c"],
        "Earlier": ["d", "e"],
    }


def test_backends_go_by_their_models_where_these_differ() -> None:
    here, there = "openai-compatible:small@http://a.b/v1", "openai-compatible:small@http://c.d/v1"
    assert called(["extractive", "openai:large", here]) == ["extractive", "large", "small"]
    assert called([here, there]) == [here, there]


def test_what_is_no_date_is_said_and_left_out() -> None:
    filters, faults = filters_of(" 2024-10 ", "soon", "every source", "  ", ())
    assert filters == Filters(since="2024-10")
    assert faults.keys() == {"until"}
    assert "soon" in faults["until"]
    assert filters_of("", "2024-13", "bibtex", "Li", ("p",))[0] == Filters(
        source="bibtex", author="Li", papers=("p",)
    )


def test_a_library_that_cannot_be_written_to_still_has_its_page() -> None:
    assistant = scripted.ScriptedAssistant(0)
    (assistant.library.path / "conversations.sqlite").mkdir()
    context = PageContext.of((assistant,))
    assert "conversations.sqlite" in context.kept_note
    assert last(assistant, "Fast?", context.kept).conversation


def test_a_taken_port_is_one_plain_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"port {port} .*--port") as caught:
            serve(scripted.ScriptedAssistant(), port=port)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port"), [("203.0.113.7", 0), ("127.0.0.1", 99999), ("127.0.0.1", -1)]
)
def test_an_address_that_cannot_be_is_a_wrong_use(host: str, port: int, tmp_path: Path) -> None:
    users = Users(tmp_path / "users.json", PasswordHasher(1, 8, 1))
    users.add("ada", "correct horse")
    with pytest.raises(UsageError, match="--port"):
        serve(scripted.ScriptedAssistant(), host=host, port=port, users=users)


def test_interrupting_ends_cleanly() -> None:
    src = str(Path(__file__).parents[2] / "src")
    server = subprocess.Popen(
        [sys.executable, str(Path(scripted.__file__)), "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": src, "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
    )
    try:
        assert server.stdout
        url = server.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        with urllib.request.urlopen(f"{url}/healthz", timeout=10) as reply:
            assert reply.status == 200
        started = time.monotonic()
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=15)
        assert time.monotonic() - started < 8
        assert server.returncode == 0
        assert out == ""
        assert err == ""
    finally:
        server.kill()
        server.wait()


def test_the_page_may_not_load_from_elsewhere(address: str) -> None:
    with urllib.request.urlopen(address, timeout=10) as reply:
        policy = reply.headers["content-security-policy"]
        html = reply.read().decode()
    assert "default-src 'self'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy
    # what a browser fetches by itself; social preview metadata is read by nobody here
    fetched = re.findall(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']([^"']+)""", html)
    assert [url for url in fetched if re.match(r"(?:https?:)?//", url)] == []


@pytest.fixture
def client(address: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    # Gradio's client, not the server, would look up its maker's host.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)
    return Client(address, verbose=False, analytics_enabled=False)


def asked_with(client: Any, **more: Any) -> Any:
    return client.predict(question="Which make it faster?", api_name="/ask", **more)


def test_a_program_may_add_history_and_filters(script: Any, client: Any) -> None:
    turns = [{"role": "user", "content": "before"}, {"role": "assistant", "content": "so"}]
    filters = {"since": "2025", "papers": ["p-draft"]}
    assert asked_with(client, history=turns, filters=filters)["answered"] is True
    assert script.histories[-1] == (Message("user", "before"), Message("assistant", "so"))
    assert script.asked[-1][2] == Filters(since="2025", papers=("p-draft",))
    client.predict("decoding", 3, filters, api_name="/search")
    assert script.library.filters[-1] == Filters(since="2025", papers=("p-draft",))


def test_programs_ask_and_search(client: Any) -> None:
    answer = client.predict("Which papers make it faster?", "normal", api_name="/ask")
    assert answer["answered"] is True
    assert answer["citations"][0]["spans"][0]["text"].startswith("We show that")
    assert client.predict("decoding", 3, api_name="/search")["query"] == "decoding"
    refused = client.predict("please refuse", "normal", api_name="/ask")
    assert refused["error"]["type"] == "BackendUnavailableError"
    assert "user or assistant" in asked_with(client, history=[{"role": "king"}])["error"]["message"]
    wrong = asked_with(client, filters={"colour": "red"})
    assert wrong["error"]["type"] == "UsageError"
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/ask", "/search"}


def test_many_ask_at_once(client: Any) -> None:
    def ask(i: int) -> str:
        return str(client.predict(f"faster, number {i}?", "normal", api_name="/ask")["question"])

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(20))) == [f"faster, number {i}?" for i in range(20)]
