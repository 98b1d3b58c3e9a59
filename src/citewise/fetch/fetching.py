"""From a service into the library, page by page; an interrupted fetch goes on where it stopped."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from citewise.errors import FetchError, LibraryError, UsageError
from citewise.fetch.client import Client
from citewise.fetch.services import Service
from citewise.library.filling import OnProgress, Progress
from citewise.library.library import Library
from citewise.sources import FORMATS, ReadLimits, Source
from citewise.types import Json, Paper, Rejection

CURSORS_FILE = "fetches.json"
"""In the library's folder: where interrupted fetches go on."""
_KEPT_SECONDS = 24 * 3600.0
"""After a day a list has changed, and its cursor may be worthless: it is begun anew."""
_EMPTY_TRIES = 3


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What a fetch brought; every record is counted once."""

    service: str
    query: str
    fetched: int
    """Records that came, those of an interrupted run before it not counted."""
    total: int | None
    """How many the service has, where it says so."""
    complete: bool
    """Whether the list was read to its end, not just to ``most``."""
    added: int
    updated: int
    unchanged: int
    duplicate: int
    rejected: tuple[Rejection, ...]
    resumed: bool
    """Whether it went on with an interrupted fetch."""
    seconds: float

    def to_dict(self) -> Json:
        """The fields by name."""
        value: Json = {name: getattr(self, name) for name in self.__slots__}
        value["seconds"] = round(self.seconds, 3)
        value["rejected"] = [
            {"file": r.file, "line": r.line, "reason": r.reason, "title": r.title}
            for r in self.rejected
        ]
        return value


def fetch(
    library: Library,
    service: Service,
    *,
    most: int = 200,
    anew: bool = False,
    embed: bool = True,
    client: Client | None = None,
    on_progress: OnProgress | None = None,
) -> FetchReport:
    """Bring up to ``most`` papers of a service's list into the library.

    Each page is in the library before the next is asked for. Interrupted, the same call goes on
    where it stopped, within a day; ``anew`` begins again. Raises FetchError when the service does
    not answer as documented, UsageError for ``most`` below 1.
    """
    if most < 1:
        raise UsageError(f"{most} papers cannot be fetched; ask for at least 1.")
    started = time.perf_counter()
    cursors = _Cursors(library.path / CURSORS_FILE)
    name = f"{service.name}:{service.query}"
    kept = None if anew else cursors.get(name)
    cursor, before = kept if kept else (service.first, 0)
    counts = dict.fromkeys(("added", "updated", "unchanged", "duplicate"), 0)
    rejected: list[Rejection] = []
    fetched, total, complete = 0, None, False
    asking = client or Client(service.base, service.interval)
    try:
        last = b""
        while before + fetched < most and not complete:
            left = most - before - fetched
            body = _page(asking, service, cursor, left)
            if body == last:
                # A service that does not know pages gives the first one for ever.
                complete = True
                break
            last = body
            page = service.page(cursor, body)
            total = page.total if page.total is not None else total
            records = list(_records(service, name, body))[:left]
            report = library.add(records, embed=False)
            for outcome in counts:
                counts[outcome] += getattr(report, outcome)
            rejected += report.rejected
            fetched += len(records)
            if page.next is None:
                complete = True
            else:
                cursor = page.next
                cursors.put(name, cursor, before + fetched)
            if on_progress:
                on_progress(Progress("fetching", before + fetched, _goal(most, total)))
        cursors.drop(name)
    finally:
        if client is None:
            asking.close()
    if embed:
        library.embed(on_progress)
    return FetchReport(
        service=service.name,
        query=service.query,
        fetched=fetched,
        total=total,
        complete=complete,
        **counts,
        rejected=tuple(rejected),
        resumed=kept is not None,
        seconds=time.perf_counter() - started,
    )


def _goal(most: int, total: int | None) -> int:
    return most if total is None else min(most, total)


def _page(client: Client, service: Service, cursor: str, left: int) -> bytes:
    """The answer at ``cursor``; asked again while it is empty though the list goes on.

    arXiv does that now and then.
    """
    for _ in range(_EMPTY_TRIES):
        body = client.get(service.params(cursor, left))
        page = service.page(cursor, body)
        if page.records or page.next is None:
            return body
    raise FetchError(
        f"{service.name} answers with empty pages though it has {page.total} papers. Run the same "
        "command again later: it goes on where it stopped."
    )


def _records(service: Service, name: str, body: bytes) -> Iterator[Paper | Rejection]:
    """The papers of an answer, as the reader of its format gives them."""
    source = Source(name, io.BufferedReader(io.BytesIO(body)), limits=ReadLimits())
    for record in FORMATS[service.reader].read(source):
        if isinstance(record, Paper):
            # A line of an answer that nobody keeps says nothing.
            places = tuple(replace(place, line=0) for place in record.places)
            yield replace(record, places=places)
        else:
            yield record


class _Cursors:
    """A small file of where to go on, written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def _read(self) -> dict[str, Json]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            # Without it the list is only read from its beginning.
            return {}
        return found if isinstance(found, dict) else {}

    def get(self, name: str) -> tuple[str, int] | None:
        """Cursor and number of papers that have come so far."""
        entry = self._read().get(name)
        try:
            assert entry is not None
            if time.time() - float(entry["when"]) < _KEPT_SECONDS:
                return str(entry["cursor"]), int(entry["fetched"])
        except (AssertionError, KeyError, TypeError, ValueError):
            pass
        return None

    def put(self, name: str, cursor: str, fetched: int) -> None:
        """Keep where to go on."""
        entry = {"cursor": cursor, "fetched": fetched, "when": time.time()}
        self._write({**self._read(), name: entry})

    def drop(self, name: str) -> None:
        """Forget a fetch that is done."""
        entries = self._read()
        if entries.pop(name, None) is not None:
            self._write(entries)

    def _write(self, entries: dict[str, Json]) -> None:
        beside = self._path.with_suffix(".tmp")
        try:
            beside.write_text(json.dumps(entries, indent=1, ensure_ascii=False), "utf-8")
            os.replace(beside, self._path)
        except OSError as error:
            raise LibraryError(
                f"{self._path} cannot be written ({error.strerror}). Mend the folder's "
                "permissions, or free some space."
            ) from error
