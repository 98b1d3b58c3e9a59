from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import scripted  # type: ignore[import-not-found]  # beside this file
from argon2 import PasswordHasher

from citewise.errors import BusyError
from citewise.web.guard import BODY_BYTES, Places
from citewise.web.users import Users


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    users = Users(tmp_path_factory.mktemp("two") / "users.json", PasswordHasher(1, 8, 1))
    with scripted.serving(scripted.ScriptedAssistant(0.01), users=_with(users)) as url:
        ada, eve = (
            httpx.Client(
                base_url=url,
                headers={"authorization": f"Bearer {users.make_token(name)}"},
                timeout=30,
            )
            for name in ("ada", "eve")
        )
        with ada, eve:
            yield ada, eve


def _with(users: Users) -> Users:
    for name in ("ada", "eve"):
        users.add(name, "correct horse")
    return users


def endpoint(client: httpx.Client, name: str) -> int:
    config = client.get("/config").json()
    return next(int(d["id"]) for d in config["dependencies"] if d["api_name"] == name)


def join(client: httpx.Client, session: str, question: str) -> str:
    body = {
        "data": [question, "normal", None, None],
        "session_hash": session,
        "fn_index": endpoint(client, "ask"),
    }
    reply = client.post("/gradio_api/queue/join", json=body)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["event_id"])


def events(client: httpx.Client, session: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    # Gradio breaks the stream of a session that there is not.
    with (
        contextlib.suppress(httpx.RemoteProtocolError),
        client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as reply,
    ):
        for line in reply.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
    return found


def test_knowing_a_session_does_not_open_it(two: tuple[httpx.Client, httpx.Client]) -> None:
    ada, eve = two
    join(ada, "s1", "adas question, faster?")
    for guess in ("s1", "ada:s1", "/s1"):
        seen = json.dumps(events(eve, guess))
        assert "adas question" not in seen
        assert "p-draft" not in seen
    answers = [e for e in events(ada, "s1") if e["msg"] == "process_completed"]
    assert answers[0]["output"]["data"][0]["question"] == "adas question, faster?"


def test_one_session_name_of_two_users_is_two_sessions(
    two: tuple[httpx.Client, httpx.Client],
) -> None:
    for client in two:
        join(client, "same", f"question by {client.headers['authorization'][-6:]}")
    for client in two:
        (done,) = [e for e in events(client, "same") if e["msg"] == "process_completed"]
        assert done["output"]["data"][0]["question"].endswith(client.headers["authorization"][-6:])


def test_nobody_stops_another_users_work(two: tuple[httpx.Client, httpx.Client]) -> None:
    ada, eve = two
    join(ada, "s2", "slow one, please")
    number = endpoint(eve, "ask")
    for guess in ("s2", "ada:s2"):
        body = {"session_hash": guess, "fn_index": number, "event_id": "0"}
        assert eve.post("/gradio_api/cancel", json=body).status_code == 200
    (done,) = [e for e in events(ada, "s2") if e["msg"] == "process_completed"]
    assert done["success"] is True
    assert done["output"]["data"][0]["question"] == "slow one, please"


@pytest.mark.parametrize("body", [b"[1]", b"nonsense", b"[" * 100_000, b'"text"', b"\xff"])
def test_a_body_that_hides_its_session_is_refused(
    two: tuple[httpx.Client, httpx.Client], body: bytes
) -> None:
    for path in ("queue/join", "cancel", "component_server"):
        assert two[1].post(f"/gradio_api/{path}", content=body).status_code == 400


def test_a_session_named_twice_is_one_session(two: tuple[httpx.Client, httpx.Client]) -> None:
    ada, eve = two
    number = endpoint(eve, "ask")
    body = (
        f'{{"session_hash": "ada:s3", "session_hash": "s3", "fn_index": {number},'
        ' "data": ["eves own", "normal", null, null]}'
    )
    headers = {"content-type": "application/json"}
    eve.post("/gradio_api/queue/join", content=body, headers=headers)
    join(ada, "s3", "adas own")
    (done,) = [e for e in events(ada, "s3") if e["msg"] == "process_completed"]
    assert done["output"]["data"][0]["question"] == "adas own"
    assert "eves own" in json.dumps(events(eve, "s3"))


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/proxy=https://x.hf.space/",
        "/gradio_api/vibe-code",
        "/gradio_api/deep_link",
        "/gradio_api/run-history/buckets",
        "/gradio_api/dev/reload",
        "/gradio_api/runs",
        "/monitoring",
        "/monitoring/summary",
    ],
)
def test_what_the_page_does_not_need_is_closed(address: str, path: str) -> None:
    assert httpx.get(address + path).status_code == 404
    assert httpx.post(address + path).status_code == 404


def test_a_huge_request_is_refused_before_it_is_read(address: str) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(64):
            yield b"x" * (BODY_BYTES // 8)

    for content in (b"x" * (BODY_BYTES + 1), slowly()):
        with httpx.Client() as client:
            try:
                reply = client.post(f"{address}/gradio_api/queue/join", content=content)
            except httpx.WriteError:
                continue  # the server hung up while more was coming
            assert reply.status_code == 413
            assert str(BODY_BYTES) in reply.json()["error"]["message"]


def test_a_file_named_by_its_path_is_not_served(address: str) -> None:
    for name in ("/etc/passwd", __file__, str(Path.cwd() / "pyproject.toml")):
        assert httpx.get(f"{address}/gradio_api/file={name}").status_code in (403, 404)


def test_places_are_waited_for_and_then_refused() -> None:
    async def scene() -> list[str]:
        places, log = Places(at_once=2, waiting=3), []
        leave = asyncio.Event()

        async def ask(name: str) -> None:
            try:
                async with places.one():
                    log.append(f"{name} in")
                    await leave.wait()
            except BusyError:
                log.append(f"{name} busy")

        tasks = [asyncio.create_task(ask(str(n))) for n in range(8)]
        await asyncio.sleep(0)
        log.append("-")
        tasks[2].cancel()  # one of those that wait goes away
        leave.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        await ask("later")
        return log

    assert asyncio.run(scene()) == [
        *("0 in", "1 in", "5 busy", "6 busy", "7 busy", "-", "3 in", "4 in", "later in")
    ]
