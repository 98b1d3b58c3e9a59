from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import scripted  # type: ignore[import-not-found]  # beside this file
from argon2 import PasswordHasher
from gradio_client import Client  # type: ignore[import-untyped]

from citewise.errors import UsageError, UsersError
from citewise.web.server import make_server
from citewise.web.users import Users

PASSWORD = "correct horse"
HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Users:
    made = Users(tmp_path_factory.mktemp("users") / "users.json", PasswordHasher(1, 8, 1))
    for name in ("ada", "bob", "eve"):
        made.add(name, PASSWORD)
    return made


@pytest.fixture(scope="module")
def locked(users: Users) -> Iterator[str]:
    with scripted.serving(scripted.ScriptedAssistant(0), users=users) as url:
        yield url


@pytest.fixture
def stranger(locked: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=locked) as client:
        yield client


def log_in(
    client: httpx.Client, name: str, password: str = PASSWORD, **more: Any
) -> httpx.Response:
    return client.post(
        "/login", data={"username": name, "password": password}, headers=HTML, **more
    )


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/config"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/user"),
        ("POST", "/gradio_api/call/ask"),
        ("POST", "/gradio_api/queue/join"),
        ("GET", "/gradio_api/queue/data?session_hash=x"),
        ("GET", "/gradio_api/heartbeat/x"),
        ("POST", "/gradio_api/cancel"),
        ("POST", "/gradio_api/upload"),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/startup-events"),
        ("GET", "/assets/index.js"),
        ("GET", "/theme.css"),
        ("GET", "/monitoring"),
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("POST", "/mcp"),
        ("POST", "/logout"),
        ("GET", "/docs"),
        ("GET", "/no/such/path"),
        ("GET", "//login"),
        ("GET", "/healthz/../config"),
    ],
)
def test_nothing_answers_a_stranger(stranger: httpx.Client, method: str, path: str) -> None:
    reply = stranger.request(method, path)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert reply.json()["error"]["message"] == "Log in first."
    assert "content-security-policy" in reply.headers


def test_a_strangers_browser_comes_to_the_login_page(stranger: httpx.Client) -> None:
    assert stranger.get("/healthz").json() == {"status": "ok"}
    reply = stranger.get("/", headers=HTML)
    assert (reply.status_code, reply.headers["location"]) == (303, "/login?next=/")
    page = stranger.get("/login").text
    assert 'type="password"' in page
    # the whole page is in itself, and asks nobody for anything
    assert "src=" not in page
    assert "http" not in page


def test_the_right_password_opens_the_page(stranger: httpx.Client) -> None:
    reply = log_in(stranger, "ada")
    assert (reply.status_code, reply.headers["location"]) == (303, "/")
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    assert stranger.get("/", headers=HTML).status_code == 200
    assert stranger.get("/gradio_api/user").json() == "ada"
    assert stranger.get("/config").status_code == 200


def test_behind_tls_the_cookie_is_secure(locked: str) -> None:
    with httpx.Client(base_url=locked, headers={"x-forwarded-proto": "https"}) as client:
        cookie = log_in(client, "ada").headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert cookie.endswith("; Secure")


def test_a_wrong_password_opens_nothing_and_is_not_shown(stranger: httpx.Client) -> None:
    reply = log_in(stranger, "<b>ada", "not this one")
    assert reply.status_code == 401
    assert "set-cookie" not in reply.headers
    assert "Name or password is wrong." in reply.text
    assert "not this one" not in reply.text
    assert "<b>ada" not in reply.text
    # nothing tells whether the name exists
    assert reply.text.replace("&lt;b&gt;ada", "") == log_in(stranger, "ada", "nor").text.replace(
        "ada", ""
    )
    assert stranger.get("/config").status_code == 401


def test_wrong_passwords_are_slowed_and_others_are_not(stranger: httpx.Client) -> None:
    replies = [log_in(stranger, "eve", f"guess number {n}") for n in range(5)]
    assert [reply.status_code for reply in replies][:3] == [401] * 3
    assert replies[-1].status_code == 429
    assert int(replies[-1].headers["retry-after"]) >= 1
    assert "try again in" in replies[-1].text
    # while slowed, the right one is not even tried
    assert log_in(stranger, "eve").status_code == 429
    assert log_in(stranger, "bob").status_code == 303


def test_logging_out_ends_the_login_on_the_server(stranger: httpx.Client, locked: str) -> None:
    log_in(stranger, "ada")
    kept = dict(stranger.cookies)
    assert "logged in as <strong>ada</strong>" in stranger.get("/logout").text
    assert stranger.get("/config").status_code == 200
    assert stranger.post("/logout").headers["location"] == "/login"
    assert stranger.get("/config").status_code == 401
    assert httpx.get(f"{locked}/config", cookies=kept).status_code == 401


def test_a_planted_cookie_never_becomes_a_login(stranger: httpx.Client, locked: str) -> None:
    name = log_in(stranger, "ada").headers["set-cookie"].partition("=")[0]
    with httpx.Client(base_url=locked, cookies={name: "planted"}) as victim:
        reply = log_in(victim, "bob")
        assert "planted" not in reply.headers["set-cookie"]
    assert httpx.get(f"{locked}/config", cookies={name: "planted"}).status_code == 401


def test_logging_in_again_ends_the_earlier_login(stranger: httpx.Client, locked: str) -> None:
    log_in(stranger, "ada")
    first = dict(stranger.cookies)
    log_in(stranger, "bob")
    assert stranger.get("/gradio_api/user").json() == "bob"
    assert httpx.get(f"{locked}/config", cookies=first).status_code == 401


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1"])
def test_another_hosts_page_cannot_act_for_a_user(stranger: httpx.Client, origin: str) -> None:
    log_in(stranger, "ada")
    foreign = {"origin": origin}
    asked = stranger.post("/gradio_api/call/ask", json={"data": ["faster?"]}, headers=foreign)
    assert asked.status_code == 403
    assert stranger.post("/logout", headers=foreign).status_code == 403
    data = {"username": "bob", "password": PASSWORD}
    assert stranger.post("/login", data=data, headers=foreign).status_code == 403
    own = {"origin": str(stranger.base_url).rstrip("/")}
    asked = stranger.post("/gradio_api/call/ask", json={"data": ["faster?"]}, headers=own)
    assert asked.status_code == 200
    read = stranger.get("/config", headers=foreign)
    assert "access-control-allow-origin" not in read.headers


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        ("/?view=1", "/?view=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("http://evil.example", "/"),
        ("/\r\nset-cookie: a=b", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_a_login_never_leads_elsewhere(stranger: httpx.Client, wanted: str, given: str) -> None:
    data = {"username": "ada", "password": PASSWORD, "next": wanted}
    assert stranger.post("/login", data=data, headers=HTML).headers["location"] == given
    assert stranger.get("/login", params={"next": wanted}).headers["location"] == given


def test_a_huge_login_form_is_refused(stranger: httpx.Client) -> None:
    assert log_in(stranger, "ada", "x" * 100_000).status_code == 413


def test_programs_come_in_with_a_token(locked: str, users: Users) -> None:
    token = users.make_token("ada")
    good = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{locked}/gradio_api/user", headers=good).json() == "ada"
    for bad in ("cw_wrong", token[:-1], "correct horse"):
        reply = httpx.get(f"{locked}/config", headers={"authorization": f"Bearer {bad}"})
        assert reply.status_code == 401
    # neither in an address, nor as a cookie
    assert httpx.get(f"{locked}/config", params={"token": token}).status_code == 401
    users.revoke("ada")
    assert httpx.get(f"{locked}/config", headers=good).status_code == 401


def test_a_removed_user_is_out_at_once(locked: str, users: Users) -> None:
    users.add("guest", PASSWORD)
    with httpx.Client(base_url=locked) as client:
        log_in(client, "guest")
        assert client.get("/config").status_code == 200
        users.remove("guest")
        assert client.get("/config").status_code == 401


def test_gradios_own_client_logs_in(
    locked: str, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY", True)
    by_name = Client(locked, auth=("ada", PASSWORD), verbose=False, analytics_enabled=False)
    assert by_name.predict("faster?", "normal", api_name="/ask")["answered"] is True
    token = {"Authorization": f"Bearer {users.make_token('bob')}"}
    by_token = Client(locked, headers=token, verbose=False, analytics_enabled=False)
    assert by_token.predict("faster?", "normal", api_name="/ask")["answered"] is True
    with pytest.raises(Exception, match="Could not login"):
        Client(locked, auth=("ada", "wrong one"), verbose=False, analytics_enabled=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "example.org"])
def test_others_are_not_served_without_a_login(host: str) -> None:
    with pytest.raises(UsageError, match=r"must log in.*--auth FILE"):
        make_server(scripted.ScriptedAssistant(), host=host, port=0)


def test_a_server_that_nobody_could_enter_is_not_started(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    with pytest.raises(UsersError, match="no file of users"):
        make_server(scripted.ScriptedAssistant(), port=0, users=Users(path))
    path.write_text('{"users": {}}')
    with pytest.raises(UsersError, match="has no users"):
        make_server(scripted.ScriptedAssistant(), port=0, users=Users(path))


def test_without_login_only_this_machine_is_served(address: str) -> None:
    parts = urlsplit(address)
    assert parts.port
    for host, status in (
        (f"127.0.0.1:{parts.port}", 200),
        (f"localhost:{parts.port}", 200),
        ("evil.example", 403),
        (f"127.0.0.1.evil.example:{parts.port}", 403),
        ("", 403),
    ):
        # a page whose name was pointed at the loopback still sends its own name
        with socket.create_connection(("127.0.0.1", parts.port), 10) as raw:
            raw.sendall(
                f"GET /config HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
            )
            assert raw.recv(100).split()[1] == str(status).encode(), host
    foreign = {"origin": "http://evil.example", "content-type": "text/plain"}
    body = json.dumps({"data": ["faster?"]})
    asked = httpx.post(f"{address}/gradio_api/call/ask", content=body, headers=foreign)
    assert asked.status_code == 403
