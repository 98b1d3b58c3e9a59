from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import httpx
import pytest
import scripted  # type: ignore[import-not-found]  # beside this file
from argon2 import PasswordHasher

from citewise.answering.assistant import Assistant
from citewise.errors import UsageError
from citewise.library.library import Library
from citewise.web.server import build_app
from citewise.web.users import Users

pytest.importorskip("mcp", reason="the extra citewise[mcp] is not installed")
httpx2 = pytest.importorskip("httpx2", reason="comes with the extra citewise[mcp]")

from mcp import Client  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

T = TypeVar("T")
HOW_FAST = "How much faster does drafting without a draft model decode?"


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Users:
    made = Users(tmp_path_factory.mktemp("agents") / "users.json", PasswordHasher(1, 8, 1))
    made.add("ada", "correct horse")
    return made


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, users: Users) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mcp")
    papers = folder / "papers.jsonl"
    papers.write_text(
        "".join(json.dumps(paper.to_dict(abstract=True)) + "\n" for paper in scripted.PAPERS)
    )
    with Library.open(folder / "library") as library:
        library.ingest(papers)
        with scripted.serving(Assistant(library), users=users, mcp=True) as url:
            yield url


@pytest.fixture(scope="module")
def agent(address: str, users: Users) -> Callable[[Callable[[Any], Awaitable[T]]], T]:
    token = users.make_token("ada")

    def run(scene: Callable[[Any], Awaitable[T]]) -> T:
        async def inside() -> T:
            headers = {"authorization": f"Bearer {token}"}
            async with (
                httpx2.AsyncClient(headers=headers, timeout=60) as http,
                Client(streamable_http_client(f"{address}/mcp", http_client=http)) as client,
            ):
                return await scene(client)

        return asyncio.run(inside())

    return run


def test_an_agent_finds_three_tools_that_only_read(agent: Any) -> None:
    async def scene(client: Any) -> Any:
        return (await client.list_tools()).tools

    tools = {tool.name: tool for tool in agent(scene)}
    assert set(tools) == {"ask", "search", "read_paper"}
    assert all(tool.annotations.read_only_hint for tool in tools.values())
    assert tools["ask"].input_schema["required"] == ["question"]
    assert tools["search"].input_schema["properties"]["k"]["maximum"] == 100


def test_an_agent_asks_and_follows_a_citation(agent: Any) -> None:
    async def scene(client: Any) -> Any:
        asked = await client.call_tool("ask", {"question": HOW_FAST})
        paper = asked.structured_content["citations"][0]["paper"]["id"]
        return asked, await client.call_tool("read_paper", {"paper_id": paper})

    asked, read = agent(scene)
    assert "3.1" in asked.content[0].text
    assert "References\n\n- [1] Drafting Without a Draft" in asked.content[0].text
    abstract = read.structured_content["abstract"]
    for span in asked.structured_content["citations"][0]["spans"]:
        assert abstract[span["start"] : span["end"]] == span["text"]


def test_an_agent_searches_within_filters(agent: Any) -> None:
    async def scene(client: Any) -> Any:
        return [
            (
                await client.call_tool("search", {"query": "decoding faster", **more})
            ).structured_content
            for more in ({}, {"k": 1}, {"papers": ["p-prune"]}, {"since": "2025-04"})
        ]

    found = [{hit["paper"]["id"] for hit in result["hits"]} for result in agent(scene)]
    assert found[0] >= {"p-draft", "p-prune"}
    assert len(found[1]) == 1
    assert found[2:] == [{"p-prune"}, {"p-draft"}]


def test_history_is_folded_in(agent: Any) -> None:
    turns = [
        {"role": "user", "content": HOW_FAST},
        {"role": "assistant", "content": "Drafting Without a Draft decodes 3.1 times faster [1]."},
    ]

    async def scene(client: Any) -> Any:
        return await client.call_tool(
            "ask", {"question": "What does it need to train?", "history": turns}
        )

    asked = agent(scene).structured_content
    assert asked["standalone_question"] != asked["question"]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("ask", {"question": ""}, "The question is empty"),
        ("ask", {"question": "x" * 10_001}, "at most 10000"),
        ("ask", {"question": "x?", "since": "soon"}, "soon"),
        ("ask", {"question": "x?", "effort": "enormous"}, "effort"),
        ("ask", {"question": "x?", "history": [{"role": "king"}]}, "user or assistant"),
        ("search", {"query": "x", "k": 0}, "greater than or equal to 1"),
        ("search", {"query": "x", "k": 10**9}, "less than or equal to 100"),
        ("read_paper", {"paper_id": "../../etc/passwd"}, "No paper has the id"),
        ("ask", {}, "question"),
    ],
)
def test_what_cannot_be_done_is_said_to_the_agent(
    agent: Any, tool: str, arguments: dict[str, Any], said: str
) -> None:
    async def scene(client: Any) -> Any:
        return await client.call_tool(tool, arguments)

    result = agent(scene)
    assert result.is_error
    assert said in result.content[0].text
    assert "Traceback" not in result.content[0].text


def test_a_stranger_finds_no_tools(address: str) -> None:
    reply = httpx.post(f"{address}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert reply.status_code == 401


def test_without_being_asked_for_there_are_no_tools() -> None:
    with scripted.serving(scripted.ScriptedAssistant(0)) as url:
        reply = httpx.post(f"{url}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert reply.status_code in (404, 405)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "citewise.web.mcp_door", raising=False)
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    with pytest.raises(UsageError, match=r"pip install 'citewise\[mcp\]'"):
        build_app(scripted.ScriptedAssistant(0), mcp=True)
