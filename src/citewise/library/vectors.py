"""Vectors of the passages in Chroma; Chroma's types stop here.

What Chroma 1.5 does otherwise than one expects, and what is done about it: the default space is
L2 (cosine is asked for), ``add`` ignores an id that exists (``upsert`` is used), a call takes at
most 5,461 rows (batches), a filter of more than 32,766 values fails (it is applied here instead),
a client that has queried never sees another process's additions in ``query``, and may fail over
them (``reload`` opens anew), and all clients of a process on one path share one engine that
outlives them (each index takes an engine of its own, and stops it).

The index lies in a folder, or in a collection of a Chroma server. Such a server has no
authentication of its own since Chroma 1.0: it belongs on the loopback, in a private network, or
behind a proxy that asks for a key.
"""

from __future__ import annotations

import base64
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from citewise.errors import LibraryError, UsageError, VectorsAwayError
from citewise.library.papers import Ids

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection
    from chromadb.config import System

_COLLECTION = "passages"
_MOST_ROWS_A_CALL = 5_000
_MOST_ROWS_A_REQUEST = 1_000
"""To a server, which takes them as JSON: 8 MB."""
_COMPARED_ONE_BY_ONE = 200
"""Allowed papers up to which their own passages are compared, and no index is asked. In an index of
185,567 passages Chroma's filter took 150 to 420 ms, the longer the fewer papers it let through; 800
neighbours without one took 10 ms, 4,000 took 42, the passages of 100 papers 7."""
_MOST_HELD = 2_000
"""Passages up to which all are held in memory (3 MB) and compared, in 0.4 ms where asking Chroma
takes 2.5: about 1,000 papers. It also gives the same order in every process, as Chroma does not at
the far end. They are read once after every change, in 0.07 ms each."""
_PASSAGES_AT_A_TIME = 4
_MANY_NEIGHBOURS = 1_000
"""From here on, at 10 ms, fewer allowed ones among them are enough."""
_MOST_NEIGHBOURS = 8_000
"""Neighbours that are looked through for allowed ones; what is further off is left to the words."""
_CONNECT_SECONDS = 5.0
_LOOKS = 3
"""How often an index is opened anew that another process keeps writing to at the same moment."""
_OPENING = threading.Lock()


@dataclass(frozen=True, slots=True)
class ChromaServer:
    """A collection on a Chroma server."""

    url: str
    """Without name, password or token: this one may be shown and kept."""
    collection: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What proves to the server who asks."""

    @classmethod
    def of(cls, text: str, collection: str) -> ChromaServer:
        """From an address such as ``http://host:8000``, with ``name:password@`` where needed.

        ``$CITEWISE_VECTORS_TOKEN`` is sent as a bearer token. Raises UsageError for what is no
        such address; the message holds no password.
        """
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not host or parts.path.strip("/"):
            raise UsageError(
                "The address of a Chroma server is written http://HOST:PORT, or https://...; "
                "correct --vectors or $CITEWISE_VECTORS."
            )
        shown = f"[{host}]" if ":" in host else host
        headers = {}
        if token := os.environ.get("CITEWISE_VECTORS_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        elif parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        port = port or (443 if parts.scheme == "https" else 8000)
        return cls(f"{parts.scheme}://{shown}:{port}", collection, headers)

    def __str__(self) -> str:
        return f"the Chroma server at {self.url}"


@dataclass(frozen=True, slots=True)
class UnnamedServer:
    """A server that the library's settings name, but nobody who has opened the library.

    It is not asked: a library from elsewhere must not send questions to an address of its own.
    """

    url: str


Place = Path | ChromaServer | UnnamedServer


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """All passages of a small index, or none where it has more than ``_MOST_HELD``."""

    ids: tuple[str, ...]
    owners: tuple[str, ...]
    rows: NDArray[np.float32]
    whole: bool
    total: int | None
    """Passages of the index; None where it would have to be asked over the network."""

    def nearest(
        self, vector: NDArray[np.float32], limit: int, allowed: Ids | None
    ) -> list[tuple[str, str, float]]:
        if not self.ids:
            return []
        # einsum takes one thread: see feedback.similarities.
        cosines = np.einsum("nd,d->n", self.rows, vector)
        # The ids are in order, and break ties.
        order = np.argsort(-cosines, kind="stable").tolist()
        if allowed is not None:
            within = frozenset(allowed)
            order = [at for at in order if self.owners[at] in within]
        return [(self.ids[at], self.owners[at], float(cosines[at])) for at in order[:limit]]


class VectorIndex:
    """Approximate nearest passages by cosine."""

    def __init__(self, place: Place) -> None:
        """Open or create the index at ``place``; Chroma is imported only at first use."""
        self.place = place
        self._lock = threading.RLock()
        self._engine: System | None = None
        self._passages: Collection | None = None
        self._held: _Held | None = None
        self._holding = threading.Lock()
        self._changes = 0
        self._rows = _MOST_ROWS_A_CALL if isinstance(place, Path) else _MOST_ROWS_A_REQUEST

    def _collection(self) -> Collection:
        with self._lock:
            if self._passages is None:
                with self._explained("opened"):
                    if isinstance(self.place, UnnamedServer):
                        raise VectorsAwayError(
                            f"The vectors of this library are on {self.place.url}, which is not "
                            f"asked unless you name it: --vectors {self.place.url}, or "
                            "$CITEWISE_VECTORS."
                        )
                    if isinstance(self.place, Path):
                        self.place.mkdir(parents=True, exist_ok=True)
                        self._engine, self._passages = _open(self.place)
                    else:
                        self._engine, self._passages = _connect(self.place)
            return self._passages

    @contextmanager
    def _explained(self, deed: str) -> Iterator[None]:
        try:
            yield
        except LibraryError:
            raise
        # Chroma raises bare and foreign errors.
        except Exception as error:
            if isinstance(self.place, ChromaServer):
                raise self._of_server(error, deed) from error
            cause: BaseException = error
            while cause.__context__ is not None:
                # Its cleaning up after a failure fails as well, and would hide the failure.
                cause = cause.__context__
            if "disk is full" in str(cause) or "No space left" in str(cause):
                raise LibraryError(
                    f"The disk that holds {self.place} is full ({cause}). What was acknowledged "
                    "is kept; free some space and run the same command again."
                ) from error
            raise LibraryError(
                f"The vector index in {self.place} cannot be {deed} ({str(cause)[:300]}). "
                "`citewise doctor --repair` makes it again from the papers."
            ) from error

    def _of_server(self, error: Exception, deed: str) -> LibraryError:
        # Its own client is the one that fails; importing it here costs nothing any more.
        import httpx  # noqa: PLC0415

        chain: list[BaseException] = [error]
        while (before := chain[-1].__cause__ or chain[-1].__context__) is not None:
            chain.append(before)
        if any(isinstance(e, httpx.TransportError | OSError) for e in chain) or "connect" in str(
            error
        ):
            return VectorsAwayError(
                f"{self.place} cannot be reached. Start it (`chroma run --path DIR`), or correct "
                "--vectors; until then papers are found by their words alone."
            )
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        return LibraryError(
            f"The vectors on {self.place} cannot be {deed} ({said}). `citewise doctor --repair` "
            "makes them again from the papers."
        )

    def warm(self) -> None:
        """Import Chroma and open the index now."""
        self._collection()

    def update(
        self,
        ids: Sequence[str],
        paper_ids: Sequence[str],
        vectors: NDArray[np.float32],
        forget: Sequence[str] = (),
    ) -> None:
        """Add or replace passages (n ids, n papers, an n by d matrix) and forget others.

        The id of a passage is its paper's id, ``#``, and a number.
        """
        passages = self._collection()
        try:
            with self._explained("written to"):
                for begin in range(0, len(forget), self._rows):
                    passages.delete(ids=list(forget[begin : begin + self._rows]))
                for begin in range(0, len(ids), self._rows):
                    end = begin + self._rows
                    passages.upsert(
                        ids=list(ids[begin:end]),
                        embeddings=vectors[begin:end],
                        metadatas=[{"paper_id": paper_id} for paper_id in paper_ids[begin:end]],
                    )
        finally:
            self._let_go()

    def _let_go(self) -> None:
        """Hold nothing of what was read before now."""
        with self._lock:
            self._changes += 1
            self._held = None

    def reload(self) -> None:
        """See what another process has written."""
        if not isinstance(self.place, Path):
            # A server tells everybody the same.
            return
        with self._lock:
            # Not stopped: another thread may be in the middle of a query. It ends with its last
            # reference.
            self._engine = None
            self._passages = None
            self._let_go()

    def search(
        self, vector: NDArray[np.float32], limit: int, allowed: Ids | None = None
    ) -> list[tuple[str, str, float]]:
        """Nearest passages to a unit vector as (passage id, paper id, cosine), best first.

        ``allowed`` restricts to those papers.
        """
        passages = self._collection()
        if limit < 1 or (allowed is not None and not allowed):
            return []
        with self._explained("read"):
            for _ in range(_LOOKS):
                try:
                    held = self._read_whole(passages)
                    if held.whole:
                        return held.nearest(vector, limit, allowed)
                    return _nearest(passages, vector, limit, allowed, held.total)
                except Exception as error:
                    if not _is_behind(error) or not isinstance(self.place, Path):
                        raise
                # Another process has just written: one that opens anew reads all of it.
                self.reload()
                passages = self._collection()
            return _nearest(passages, vector, limit, allowed, None)

    def _read_whole(self, passages: Collection) -> _Held:
        """All passages, where they are few and no server's."""
        held = self._held
        if held is not None:
            return held
        # Under a lock, so that of many threads one reads and the others wait for it.
        with self._holding:
            if (held := self._held) is not None:
                return held
            before = self._changes
            held = _whole_of(passages) if isinstance(self.place, Path) else _too_many(None)
            with self._lock:
                # What was opened before a change, and read after it, may be as old.
                if self._changes == before and self._passages is passages:
                    self._held = held
            return held

    def count(self) -> int:
        """Passages in the index."""
        passages = self._collection()
        with self._explained("read"):
            return int(passages.count())

    def forget(self, ids: Sequence[str]) -> None:
        """Forget passages."""
        self.update((), (), np.zeros((0, 1), np.float32), ids)

    def ids(self) -> set[str]:
        """Ids of all passages in the index."""
        passages = self._collection()
        found: set[str] = set()
        with self._explained("read"):
            while True:
                page = passages.get(limit=50_000, offset=len(found), include=[])["ids"]
                found.update(page)
                if not page:
                    return found

    def drop(self) -> None:
        """Forget everything on a server; the folder of a local index is its owner's to delete."""
        passages = self._collection()
        if isinstance(self.place, ChromaServer):
            with self._explained("deleted"):
                cast("Any", passages)._client.delete_collection(
                    name=passages.name, tenant="default_tenant", database="default_database"
                )
        self.close()

    def close(self) -> None:
        """Stop Chroma's engine and let go of its files; a later call opens it again."""
        with self._lock:
            engine, self._engine, self._passages = self._engine, None, None
            self._let_go()
        if engine is not None:
            engine.stop()


def _open(folder: Path) -> tuple[System, Collection]:
    # 1.4 s of import: reading a library's books must not pay for it.
    import chromadb  # noqa: PLC0415
    from chromadb.config import Settings  # noqa: PLC0415

    settings = Settings(anonymized_telemetry=False, allow_reset=False)
    return _engine_of(
        lambda: chromadb.PersistentClient(path=str(folder), settings=settings), _COLLECTION
    )


def _connect(server: ChromaServer) -> tuple[System, Collection]:
    import chromadb  # noqa: PLC0415 - see _open
    from chromadb.config import Settings  # noqa: PLC0415

    parts = urlsplit(server.url)
    settings = Settings(anonymized_telemetry=False)
    # Chroma's own client waits for ever.
    socket.create_connection((parts.hostname, parts.port or 8000), _CONNECT_SECONDS).close()
    return _engine_of(
        lambda: chromadb.HttpClient(
            host=parts.hostname or "",
            port=parts.port or 8000,
            ssl=parts.scheme == "https",
            headers=dict(server.headers),
            settings=settings,
        ),
        server.collection,
    )


def _engine_of(make: Callable[[], ClientAPI], collection: str) -> tuple[System, Collection]:
    from chromadb.api.shared_system_client import SharedSystemClient  # noqa: PLC0415 - see _open

    with _OPENING:
        known = set(SharedSystemClient._identifier_to_system)
        try:
            client = make()
        finally:
            # Out of Chroma's register, so that no other client of this process gets this engine:
            # it would see no other process's additions, would be stopped together with this one,
            # and one that could not be opened would stay so.
            engine = None
            for name in set(SharedSystemClient._identifier_to_system) - known:
                engine = SharedSystemClient._identifier_to_system.pop(name)
                SharedSystemClient._identifier_to_refcount.pop(name, None)
    assert engine is not None
    passages = client.get_or_create_collection(
        collection, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
    )
    return engine, passages


def _is_behind(error: Exception) -> bool:
    """Whether Chroma failed over rows that its books have and its index, read before, lacks.

    So it does from the moment when another process writes the first vectors, or some that a filter
    names, until the index is opened anew.
    """
    return "Nothing found on disk" in str(error) or "Error finding id" in str(error)


def _too_many(total: int | None) -> _Held:
    return _Held((), (), np.zeros((0, 1), np.float32), False, total)


def _whole_of(passages: Collection) -> _Held:
    if (total := passages.count()) > _MOST_HELD:
        return _too_many(total)
    got = passages.get(include=["embeddings"], limit=_MOST_HELD + 1)
    ids = got["ids"]
    if len(ids) > _MOST_HELD:
        return _too_many(len(ids))
    order = sorted(range(len(ids)), key=ids.__getitem__)
    named = tuple(ids[at] for at in order)
    owners = tuple(passage_id.rpartition("#")[0] for passage_id in named)
    return _Held(named, owners, np.asarray(got["embeddings"], np.float32)[order], True, len(ids))


def _nearest(
    passages: Collection,
    vector: NDArray[np.float32],
    limit: int,
    allowed: Ids | None,
    total: int | None,
) -> list[tuple[str, str, float]]:
    if allowed is None:
        return _query(passages, vector, limit)
    if len(allowed) <= _COMPARED_ONE_BY_ONE:
        return _compared(passages, vector, limit, allowed)
    within = frozenset(allowed)
    # As many as should hold most of the limit, where papers have one to two passages each.
    asked = int(0.4 * limit * total / len(allowed)) if total else 0
    asked = max(4 * limit, min(asked, _MOST_NEIGHBOURS))
    while True:
        nearest = _query(passages, vector, asked)
        found = [row for row in nearest if row[1] in within]
        enough = limit / (2 if asked < _MANY_NEIGHBOURS else 4)
        if len(found) >= enough or len(nearest) < asked or asked >= _MOST_NEIGHBOURS:
            return found[:limit]
        # Going by those that were seen.
        share = max(len(found), 1) / asked
        asked = min(max(2 * asked, int(0.7 * limit / share)), _MOST_NEIGHBOURS)


def _compared(
    passages: Collection, vector: NDArray[np.float32], limit: int, allowed: Ids
) -> list[tuple[str, str, float]]:
    """The nearest passages of a few papers, each compared with the vector."""
    found: list[tuple[str, str, float]] = []
    waiting, first = list(allowed), 0
    while waiting:
        numbers = range(first, first + _PASSAGES_AT_A_TIME)
        got = passages.get(
            ids=[f"{paper_id}#{number}" for paper_id in waiting for number in numbers],
            include=["embeddings"],
        )
        ids = got["ids"]
        if not ids:
            break
        rows = np.asarray(got["embeddings"], np.float32)
        cosines = np.einsum("nd,d->n", rows, vector).tolist()
        owners = [passage_id.rpartition("#")[0] for passage_id in ids]
        found += zip(ids, owners, cosines, strict=True)
        # Only a long text has more passages than these.
        held = set(ids)
        waiting = [paper_id for paper_id in waiting if f"{paper_id}#{numbers[-1]}" in held]
        first += _PASSAGES_AT_A_TIME
    return sorted(found, key=lambda row: (-row[2], row[0]))[:limit]


def _query(
    passages: Collection, vector: NDArray[np.float32], limit: int
) -> list[tuple[str, str, float]]:
    found = passages.query(
        query_embeddings=cast("Any", [vector]),
        n_results=limit,
        # Reading the metadata as well takes as long as finding the neighbours.
        include=["distances"],
    )
    ids = found["ids"][0]
    distances = (found["distances"] or [[]])[0]
    return [
        (passage_id, passage_id.rpartition("#")[0], 1.0 - float(distance))
        for passage_id, distance in zip(ids, distances, strict=True)
        # None where another thread has just removed the passage.
        if distance is not None
    ]
