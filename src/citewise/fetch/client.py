"""A polite HTTP client for a few known services: slow, patient, and nowhere else.

It asks one thing at a time and waits between two. What is temporary is tried again, later each
time. It follows no redirect to another host and talks to no private address, so that a service, or
a name that resolves strangely, cannot make it look into the network it runs in; a loopback address
is reached only where it was named as the service's own address, as tests do.
"""

from __future__ import annotations

import ipaddress
import logging
import random
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from importlib.metadata import version

import httpx

from citewise.errors import FetchError

logger = logging.getLogger("citewise")

MAX_BYTES = 64 * 2**20
"""Of one answer, decompressed; a page of 100 OpenAlex works has 2 to 4 MB."""
MAX_SECONDS = 300.0
"""For one answer, from asking to its last byte."""
_SILENCE_SECONDS = 60.0
_TRIES = 6
_FIRST_WAIT = 3.0
_LONGEST = 120.0
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})
_SECRET = re.compile(r"((?:api_key|key|token|mailto)=)[^&\s]+", re.IGNORECASE)
_TAGS = re.compile(r"<[^>]*>")


_HTTPX_LOGGER = logging.getLogger("httpx")


def _without_secrets(record: logging.LogRecord) -> bool:
    record.msg, record.args = _shown(record.getMessage()), ()
    return True


class Client:
    """Asks one service, politely."""

    def __init__(
        self,
        base: str,
        interval: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        max_bytes: int = MAX_BYTES,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        """``base``: address of the service; ``interval``: seconds between two requests, at least.

        Raises FetchError for an address that is neither https nor a loopback address.
        """
        self._base = httpx.URL(base)
        self._interval = interval
        self._sleep = sleep
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._next = 0.0
        self._loopback = _is_loopback(self._base.host)
        if self._base.scheme != "https" and not (self._base.scheme == "http" and self._loopback):
            raise FetchError(
                f"Papers are fetched over https, not from {_shown(base)}. Correct the address."
            )
        # It logs whole addresses, and a key may stand in one.
        _HTTPX_LOGGER.addFilter(_without_secrets)
        self._http = httpx.Client(
            headers={"User-Agent": f"citewise/{version('citewise')}"},
            timeout=httpx.Timeout(_SILENCE_SECONDS, connect=20.0),
            follow_redirects=False,
            trust_env=not self._loopback,
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, params: Mapping[str, str]) -> bytes:
        """The body of the answer to a query. Raises FetchError when there is none in the end."""
        wait = _FIRST_WAIT
        for tried in range(1, _TRIES + 1):
            self._take_turn()
            try:
                return self._get(self._base.copy_merge_params(params))
            except _Temporary as trouble:
                if tried == _TRIES:
                    raise FetchError(
                        f"{self._base.host} did not answer after {_TRIES} tries ({trouble}). Run "
                        "the same command again later: it goes on where it stopped."
                    ) from trouble
                # A little chance, so that many clients do not come back all at once.
                pause = (
                    trouble.after if trouble.after is not None else wait * random.uniform(1, 1.3)
                )
                pause = min(pause, _LONGEST)
                logger.warning("%s: %s; asking again in %.0f s", self._base.host, trouble, pause)
                self._sleep(pause)
                wait *= 2
        raise AssertionError("the loop above ends by itself")

    def _take_turn(self) -> None:
        pause = self._next - self._clock()
        if pause > 0:
            self._sleep(pause)

    def _get(self, url: httpx.URL) -> bytes:
        self._look_up(url)
        started = self._clock()
        for _ in range(4):
            try:
                with self._http.stream("GET", url) as answer:
                    self._look_at_peer(answer)
                    if answer.is_redirect:
                        url = self._redirected(url, answer)
                        continue
                    body = self._body(answer, started)
            except httpx.InvalidURL as error:
                raise FetchError(f"{self._base.host} sent us to no address: {error}.") from error
            except httpx.TransportError as error:
                raise _Temporary(str(error) or type(error).__name__) from error
            finally:
                self._next = self._clock() + self._interval
            if answer.is_success:
                return body
            said = _message(body)
            if answer.status_code in _TEMPORARY:
                raise _Temporary(
                    f"status {answer.status_code}", _retry_after(answer.headers.get("retry-after"))
                )
            raise FetchError(
                f"{self._base.host} refused with status {answer.status_code}"
                f"{f': {said}' if said else ''}. {_advice(answer.status_code)}"
            )
        raise FetchError(f"{self._base.host} sends from one address to the next. Try again later.")

    def _body(self, answer: httpx.Response, started: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in answer.iter_bytes():
            size += len(part)
            if size > self._max_bytes:
                raise FetchError(
                    f"{self._base.host} answers with more than {self._max_bytes} bytes, which no "
                    "page of papers has. Ask for less."
                )
            if self._clock() - started > self._max_seconds:
                raise _Temporary(f"the answer took longer than {self._max_seconds:.0f} s")
            parts.append(part)
        return b"".join(parts)

    def _redirected(self, url: httpx.URL, answer: httpx.Response) -> httpx.URL:
        target = url.join(answer.headers.get("location", ""))
        if target.host != self._base.host or target.scheme not in ("https", self._base.scheme):
            raise FetchError(
                f"{self._base.host} sends to {_shown(str(target))[:200]}, which is not followed. "
                "If the service has moved, update citewise."
            )
        return target

    def _look_up(self, url: httpx.URL) -> None:
        """Raises FetchError where the service's name stands for a private address."""
        if self._loopback or _goes_by_proxy(url):
            return
        try:
            found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
        except OSError as error:
            raise _Temporary(f"its name cannot be looked up ({error})") from error
        for *_, address in found:
            self._must_be_public(str(address[0]))

    def _look_at_peer(self, answer: httpx.Response) -> None:
        """The name may have been looked up anew: what counts is who has answered."""
        stream = answer.extensions.get("network_stream")
        peer = stream.get_extra_info("server_addr") if stream is not None else None
        if peer and not self._loopback and not _goes_by_proxy(answer.url):
            self._must_be_public(str(peer[0]))

    def _must_be_public(self, address: str) -> None:
        if not ipaddress.ip_address(address.split("%")[0]).is_global:
            raise FetchError(
                f"{self._base.host} stands for {address}, a private address, which is not asked. "
                "Check the network's name service."
            )


class _Temporary(Exception):  # noqa: N818 - it never leaves this module
    """Worth another try."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after
        """Seconds that the service asks to wait."""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _goes_by_proxy(url: httpx.URL) -> bool:
    proxies = urllib.request.getproxies()
    named = url.scheme in proxies or "all" in proxies
    return named and not urllib.request.proxy_bypass(url.host)


def _retry_after(value: str | None) -> float | None:
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _message(body: bytes) -> str:
    text = " ".join(_TAGS.sub(" ", body[:2_000].decode("utf-8", "replace")).split())
    return _shown("".join(c for c in text if c.isprintable()))[:300]


def _shown(text: str) -> str:
    """Text without keys and addresses of people, for messages and logs."""
    return _SECRET.sub(r"\1...", text)


def _advice(status: int) -> str:
    if status in (401, 403):
        return "Give your key for the service, or wait a day if its free use is spent."
    return "Check the query."
