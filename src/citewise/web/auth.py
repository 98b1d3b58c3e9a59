"""Who may come in: the login page, its sessions, tokens for programs, and the door before it all.

Without users the door lets everybody in who sits at this machine. With users nothing but
``/healthz`` and the login page answers a stranger: the page, Gradio's API, files and the doors for
programs lie behind it alike. A browser shows a cookie, a program ``Authorization: Bearer TOKEN``;
neither a password nor a token is ever taken from an address.
"""

from __future__ import annotations

import asyncio
import hashlib
import html
import ipaddress
import json
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, quote, urlsplit

from citewise.errors import UsageError, UsersError
from citewise.web.users import Users, tidy_name

if TYPE_CHECKING:
    import gradio as gr

log = logging.getLogger("citewise")

IDLE_S = 24 * 3600.0
"""A login that was not used for so long has ended."""
LONGEST_S = 7 * 24 * 3600.0
"""No login lasts longer."""
MOST_SESSIONS = 10_000
"""Logins kept at once; the one used least recently ends for a further one."""
_LOGIN_BYTES = 8 * 1024
"""What a login form may hold."""
_LOGINS_AT_ONCE = 20
"""Logins that wait for their password to be hashed, one after the other; others come again."""
OPEN_PATHS = frozenset({"/healthz"})
"""What answers anybody, besides the login page."""
USER = "citewise.user"
"""Where the ASGI scope names the user; absent without login."""


def user_of(request: gr.Request) -> str:
    """The user of a Gradio event, or '' where the server has no login."""
    return str(request.username or "")


# -- logins -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Session:
    user: str
    mark: str
    """Changes with the password, which ends the login."""
    made: float
    used: float


class Sessions:
    """Logins in memory, by the hash of a random word that the browser keeps in a cookie.

    They end with the server. Safe to use from several threads.
    """

    def __init__(
        self,
        users: Users,
        *,
        clock: Callable[[], float] = time.monotonic,
        most: int = MOST_SESSIONS,
    ) -> None:
        self._users = users
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, user: str) -> str:
        """Begin a login; the word is new every time, so none that was planted becomes valid."""
        word = secrets.token_urlsafe(32)
        now = self._clock()
        session = _Session(user, self._users.mark_of(user) or "", now, now)
        with self._lock:
            self._sessions[_digest(word)] = session
            while len(self._sessions) > self._most:
                self._sessions.popitem(last=False)
        return word

    def user(self, word: str) -> str | None:
        """Whose login this is, if it still holds. Raises UsersError."""
        key = _digest(word)
        with self._lock:
            session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock()
        holds = (
            now - session.made < LONGEST_S
            and now - session.used < IDLE_S
            and self._users.mark_of(session.user) == session.mark
        )
        with self._lock:
            if not holds:
                self._sessions.pop(key, None)
                return None
            if key in self._sessions:
                self._sessions[key] = replace(session, used=now)
                self._sessions.move_to_end(key)
        return session.user

    def close(self, word: str) -> None:
        """End a login."""
        with self._lock:
            self._sessions.pop(_digest(word), None)


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    last: float


class Attempts:
    """How long a login must wait after wrong passwords: per name and address, and per each alone.

    The wait doubles with every further one. A name alone is slowed late and little, so that a
    stranger cannot keep its owner out; memory is bounded whatever comes.
    """

    FREE: ClassVar = {"both": 3, "address": 30, "name": 30}
    """Wrong passwords before the first wait."""
    LONGEST_WAIT_S: ClassVar = {"both": 300.0, "address": 300.0, "name": 30.0}
    FORGOTTEN_S = 3600.0
    """After so long without another the count starts anew."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, most: int = MOST_SESSIONS
    ) -> None:
        self._clock = clock
        self._most = most
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failures)

    def begin(self, name: str, address: str) -> float:
        """Seconds to wait before trying; 0 counts as a wrong password until ``passed``."""
        now = self._clock()
        wait = max(self._wait(key, now) for key in _keys(name, address))
        if wait <= 0:
            for key in _keys(name, address):
                self._failures[key] = _Failures(self._count(key, now) + 1, now)
                self._failures.move_to_end(key)
            while len(self._failures) > self._most:
                self._failures.popitem(last=False)
        return wait

    def passed(self, name: str, address: str) -> None:
        """The password was right: forget the name's failures, but not the address's others."""
        both, place, alone = _keys(name, address)
        self._failures.pop(both, None)
        self._failures.pop(alone, None)
        if place in self._failures:
            old = self._failures[place]
            self._failures[place] = replace(old, count=old.count - 1)

    def _count(self, key: tuple[str, str], now: float) -> int:
        old = self._failures.get(key)
        return 0 if old is None or now - old.last > self.FORGOTTEN_S else old.count

    def _wait(self, key: tuple[str, str], now: float) -> float:
        over = self._count(key, now) - self.FREE[key[0]]
        if over < 0:
            return 0.0
        wait = min(2.0**over, self.LONGEST_WAIT_S[key[0]])
        return max(0.0, self._failures[key].last + wait - now)


def _keys(name: str, address: str) -> tuple[tuple[str, str], ...]:
    place = _place(address)
    # Hashed, for a name may be of any length.
    who = _digest(name)
    return ("both", f"{who} {place}"), ("address", place), ("name", who)


def _place(address: str) -> str:
    """An address, or for IPv6 the network that one person has to himself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


# -- the door ---------------------------------------------------------------------------------


class Door:
    """ASGI middleware: nothing behind it is reached by somebody who may not.

    Without ``users`` it serves whoever names this machine as host, which keeps web pages of other
    hosts out, also those whose name was pointed at the loopback. With them it demands a login.
    """

    def __init__(self, app: Any, *, users: Users | None = None, host: str = "127.0.0.1") -> None:
        self._app = app
        self._users = users
        self._host = host.lower()
        self._attempts = Attempts()
        self._hashing = asyncio.Lock()
        self._waiting = 0
        if users is not None:
            self._sessions = Sessions(users)
            # Cookies are not kept apart by port: two servers on one host must not share a name.
            mark = hashlib.sha256(str(users.path.resolve()).encode()).hexdigest()[:8]
            self._cookie = f"citewise-{mark}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Let a request through or answer it here."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = _Asked(scope)
        try:
            answer = await self._refusal(request, receive)
        except UsersError as error:
            log.error("%s", error)
            answer = refuse(503, "The server cannot read its file of users; its log says more.")
        if answer is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer.send(send)

    async def _refusal(self, request: _Asked, receive: Any) -> Reply | None:
        """What to answer in place of the application; None to let the request through."""
        if request.path in OPEN_PATHS:
            return None
        if self._users is None:
            if not self._names_this_machine(request.header("host")):
                return refuse(
                    403,
                    "This page is served to its own machine only; open it as http://127.0.0.1 or "
                    "http://localhost with its port, or start it with --auth.",
                )
            return self._foreign(request)
        bearer = _bearer(request.header("authorization"))
        if bearer is not None:
            owner = self._users.owner_of(bearer)
            if owner is None:
                return _unknown(
                    request, "The token is not known; `citewise users token` makes one."
                )
            request.scope[USER] = owner
            return None
        if (refusal := self._foreign(request)) is not None:
            return refusal
        word = request.cookie(self._cookie_name(request))
        user = self._sessions.user(word) if word else None
        if request.path in ("/login", "/login/"):
            return await self._login(request, receive, word, user)
        if user is None:
            return _unknown(request, "Log in first.")
        request.scope[USER] = user
        if request.path in ("/logout", "/logout/"):
            return self._logout(request, word or "", user)
        return None

    def _names_this_machine(self, header: str) -> bool:
        try:
            name = (urlsplit(f"//{header}").hostname or "").lower()
        except ValueError:
            return False
        return name == self._host or is_loopback(name)

    def _foreign(self, request: _Asked) -> Reply | None:
        """Refuse what a page of another host makes a browser send."""
        origin = request.header("origin")
        if not origin or request.method in ("GET", "HEAD", "OPTIONS"):
            return None
        if urlsplit(origin).netloc.lower() == request.header("host").lower():
            return None
        return refuse(403, "This request came from a page of another host.")

    def _cookie_name(self, request: _Asked) -> str:
        # A browser takes this prefix only for this very host and through TLS.
        return f"__Host-{self._cookie}" if request.secure else self._cookie

    def _set_cookie(self, request: _Asked, word: str, age: float) -> tuple[str, str]:
        secure = "; Secure" if request.secure else ""
        return (
            "set-cookie",
            f"{self._cookie_name(request)}={word}; Path=/; Max-Age={int(age)}; HttpOnly; "
            f"SameSite=Lax{secure}",
        )

    async def _login(
        self, request: _Asked, receive: Any, word: str | None, user: str | None
    ) -> Reply:
        onward = _onward(request.query("next"))
        if request.method in ("GET", "HEAD"):
            if user is not None:
                return _redirect(onward)
            return _page(200, _form(onward))
        if request.method != "POST":
            return refuse(405, "The login page takes GET and POST.")
        fields = await _form_fields(receive)
        if fields is None:
            return refuse(413, "The login form is too large.")
        name, password = tidy_name(fields.get("username", "")), fields.get("password", "")
        onward = _onward(fields.get("next", onward))
        address = request.address
        if self._waiting >= _LOGINS_AT_ONCE:
            return self._denied(
                request, 503, "Many are logging in just now; try again.", name, onward
            )
        wait = self._attempts.begin(name, address)
        if wait > 0:
            text = f"Too many wrong passwords; try again in {int(wait) + 1} s."
            reply = self._denied(request, 429, text, name, onward)
            return reply.having(("retry-after", str(int(wait) + 1)))
        self._waiting += 1
        try:
            # One at a time: each takes 64 MiB and a processor.
            async with self._hashing:
                users = self._users
                assert users is not None
                right = await asyncio.to_thread(users.password_is, name, password)
        finally:
            self._waiting -= 1
        if not right:
            log.warning("a login as %r from %s failed", name[:64], address)
            return self._denied(request, 401, "Name or password is wrong.", name, onward)
        self._attempts.passed(name, address)
        if word:
            self._sessions.close(word)
        cookie = self._set_cookie(request, self._sessions.open(name), LONGEST_S)
        if request.wants_html:
            return _redirect(onward).having(cookie)
        return Reply(200, b'{"success": true}', (("content-type", "application/json"), cookie))

    def _denied(self, request: _Asked, status: int, text: str, name: str, onward: str) -> Reply:
        if request.wants_html:
            return _page(status, _form(onward, name, text))
        return refuse(status, text)

    def _logout(self, request: _Asked, word: str, user: str) -> Reply:
        if request.method in ("GET", "HEAD"):
            return _page(200, _goodbye(user))
        if request.method != "POST":
            return refuse(405, "Logging out takes GET and POST.")
        self._sessions.close(word)
        return _redirect("/login").having(self._set_cookie(request, "", 0))


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_reach(host: str, users: Users | None) -> None:
    """Raises UsageError where others could reach ``host`` unasked, UsersError without any user."""
    if users is None and not is_loopback(host.lower()):
        raise UsageError(
            f"others can reach {host}, so they must log in: add users with `citewise users add "
            "NAME --auth FILE` and start with --auth FILE; without, only this machine is served "
            "(--host 127.0.0.1)"
        )
    if users is not None and not users.names():
        raise UsersError(
            f"{users.path} has no users; add one with `citewise users add NAME --auth {users.path}`"
        )


class _Asked:
    """What the door reads of a request."""

    def __init__(self, scope: Any) -> None:
        self.scope = scope
        self.path = str(scope["path"])
        self.method = str(scope.get("method", "GET"))
        self.secure = scope.get("scheme") in ("https", "wss")
        client = scope.get("client")
        self.address = str(client[0]) if client else ""

    def header(self, name: str) -> str:
        wanted = name.encode()
        for key, value in self.scope["headers"]:
            if key == wanted:
                return str(value.decode("latin-1"))
        return ""

    @property
    def wants_html(self) -> bool:
        return "text/html" in self.header("accept")

    def cookie(self, name: str) -> str | None:
        # Several Cookie headers may come over HTTP/2.
        for key, value in self.scope["headers"]:
            if key == b"cookie":
                try:
                    found = SimpleCookie(value.decode("latin-1")).get(name)
                except CookieError:
                    continue
                if found is not None:
                    return str(found.value)
        return None

    def query(self, name: str) -> str:
        fields: dict[str, list[str]] = parse_qs(self.scope["query_string"].decode("latin-1"))
        return fields.get(name, [""])[0]


def _bearer(header: str) -> str | None:
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _onward(path: str) -> str:
    """Where to go after the login: only ever a path of ours."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\", "/login", "/logout"))
    return path if plain and path.isprintable() and path.isascii() else "/"


async def _form_fields(receive: Any) -> dict[str, str] | None:
    """The fields of a form; None when it is too large."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        body += message.get("body", b"")
        if len(body) > _LOGIN_BYTES:
            return None
        more = message.get("more_body", False)
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}


# -- what the door answers --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the door's own."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]

    def having(self, *headers: tuple[str, str]) -> Reply:
        """The same with more headers."""
        return replace(self, headers=(*self.headers, *headers))

    async def send(self, send: Any) -> None:
        """Give it to the ASGI server."""
        headers: Iterable[tuple[str, str]] = (
            *self.headers,
            ("content-length", str(len(self.body))),
            ("cache-control", "no-store"),
        )
        await send(
            {
                "type": "http.response.start",
                "status": self.status,
                "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers],
            }
        )
        await send({"type": "http.response.body", "body": self.body})


def refuse(status: int, text: str, kind: str = "permission_error") -> Reply:
    """A refusal for programs, in the shape that OpenAI's clients read."""
    error = {"message": text, "type": kind, "param": None, "code": None}
    body = json.dumps({"error": error, "detail": text}).encode()
    return Reply(status, body, (("content-type", "application/json"),))


def _unknown(request: _Asked, text: str) -> Reply:
    if request.wants_html and request.method in ("GET", "HEAD"):
        query = request.scope["query_string"].decode("latin-1")
        onward = f"{request.path}?{query}" if query else request.path
        return _redirect(f"/login?next={quote(onward, safe='/')}")
    reply = refuse(401, text, "authentication_error")
    return reply.having(("www-authenticate", 'Bearer realm="citewise"'))


def _redirect(path: str) -> Reply:
    return Reply(303, b"", (("location", path),))


def _page(status: int, body: str) -> Reply:
    return Reply(
        status,
        _PAGE.replace("{body}", body).encode(),
        (("content-type", "text/html; charset=utf-8"),),
    )


def _form(onward: str, name: str = "", said: str = "") -> str:
    note = f'<p class="said" role="alert">{html.escape(said)}</p>' if said else ""
    first, second = ("", " autofocus") if name else (" autofocus", "")
    return f"""<form method="post" action="/login">
<h1>citewise</h1>{note}
<label for="username">Name</label>
<input id="username" name="username" autocomplete="username" autocapitalize="none" required
 maxlength="64" value="{html.escape(name[:64])}"{first}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required
 maxlength="1000"{second}>
<input type="hidden" name="next" value="{html.escape(onward)}">
<button>Log in</button>
</form>"""


def _goodbye(user: str) -> str:
    return f"""<form method="post" action="/logout">
<h1>citewise</h1>
<p>You are logged in as <strong>{html.escape(user)}</strong>.</p>
<button>Log out</button>
<p><a href="/">Back to the papers</a></p>
</form>"""


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>citewise: log in</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<style>
:root { --room: #f3f4f0; --raised: #fff; --ink: #1c2421; --ink-2: #55605b; --line: #8b968f;
  --lamp: #17604c; --on-lamp: #fff; --red: #9c2f25; }
@media (prefers-color-scheme: dark) { :root { --room: #131917; --raised: #212a26; --ink: #e1e7e2;
  --ink-2: #a0aca5; --line: #66736c; --lamp: #86cdb2; --on-lamp: #0e1a15; --red: #f0998e; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--room);
  color: var(--ink); font: 1rem/1.5 -apple-system, "Segoe UI", "Cantarell", "Noto Sans",
  "Helvetica Neue", "Liberation Sans", sans-serif; }
form { width: min(22rem, 100vw - 2rem); }
h1 { font: 600 2rem/1 "Iowan Old Style", "Charter", "Palatino Linotype", "Noto Serif", "Georgia",
  "Liberation Serif", serif; color: var(--lamp); margin: 0 0 1.5rem; letter-spacing: -.01em; }
label { display: block; margin: 1rem 0 .25rem; font-size: .9rem; color: var(--ink-2); }
input { width: 100%; padding: .6rem .7rem; font: inherit; color: var(--ink);
  background: var(--raised); border: 1px solid var(--line); border-radius: 6px; }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 2px solid var(--lamp);
  outline-offset: 2px; }
button { margin-top: 1.5rem; width: 100%; padding: .65rem; font: inherit; font-weight: 600;
  color: var(--on-lamp); background: var(--lamp); border: 0; border-radius: 6px; cursor: pointer; }
a { color: var(--lamp); }
.said { color: var(--red); margin: 0; }
</style></head><body><main>
{body}
</main></body></html>
"""
