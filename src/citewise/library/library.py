"""The one door to a library: papers in, ranked papers out."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from citewise.config import user_library
from citewise.errors import (
    CitewiseError,
    FingerprintError,
    LibraryError,
    LibraryLockedError,
    NotALibraryError,
    PaperNotFoundError,
    UsageError,
    VectorsAwayError,
)
from citewise.library.browsing import Browser, Page, Themes, Timeline
from citewise.library.embedders import (
    LlamaIndexEmbedding,
    as_embedder,
    embedder_from,
    shipped_embedder,
)
from citewise.library.embedding import (
    Embedder,
    EmbedderAwayError,
    MiniLM,
    read_once,
)
from citewise.library.filling import Filler, OnProgress
from citewise.library.filling import Progress as Progress
from citewise.library.lexical import LEXICAL_RULE, LexicalIndex
from citewise.library.locks import WriterLock
from citewise.library.orders import paper_sentences
from citewise.library.papers import Index, Order, PaperStore, SentenceRow, day_range
from citewise.library.passages import PASSAGE_RULE
from citewise.library.patience import PatientEmbedder, PatientVectors, Remarks
from citewise.library.rebuilding import rebuild
from citewise.library.retrieval import LONGEST_QUERY, Retriever, named_first
from citewise.library.shelves import (
    LOCAL,
    Shelves,
    check_place,
    folders,
    generation_of,
    place_of,
)
from citewise.library.static import StaticEncoder
from citewise.library.vectors import Place, UnnamedServer, VectorIndex
from citewise.sources import ReadLimits, read
from citewise.sources.identity import identity_keys
from citewise.types import (
    Effort,
    Filters,
    Hit,
    IngestReport,
    Json,
    Paper,
    Rejection,
    SearchResult,
    sha256_of,
)

if TYPE_CHECKING:
    from citewise.bridges import CitewiseRetriever

logger = logging.getLogger("citewise")

PAPERS_FILE = "papers.sqlite"
_SURROGATE = re.compile("[\ud800-\udfff]")
_WRITE_BATCH, _LARGEST_BATCH = 500, 4_000
"""Records that are written at once: few at first, so that their words are found soon, then more,
for each commit of the words costs a tenth of a second."""
_WRITE_CHARS = 4_000_000
"""Characters of the abstracts written together; their sentences take ten times as much memory."""
_FINISH_AT_OPENING = 200
"""Papers a killed process left that opening still embeds by itself; more is a task of its own."""
_SIGNS: dict[Index, str] = {"lexical": "meta.json", "dense": "chroma.sqlite3"}
"""A file that each index has from its beginning, and that is never empty."""
_EMBED_LATER = "embed_later"
"""Said in the library's settings while papers wait for ``embed`` because their owner wants so."""
_INDEX_FORMAT = "1"
"""Part of a library's fingerprint: changes whenever an index is laid out differently."""
_CALIBRATION = "calibration"
_QUIET_SECONDS = 1.0
"""How long after a search the background still leaves the processor to those who ask."""


@dataclass(frozen=True, slots=True)
class LibraryInfo:
    """What a library holds."""

    path: str
    papers: int
    passages: int
    sentences: int
    embedded: int
    """Papers whose passages are all in the vector index."""
    sources: dict[str, int]
    earliest: str | None
    latest: str | None
    undated: int
    disk_bytes: int
    embedder: str
    vectors: str
    """``local``, or the address of the Chroma server that holds them."""
    fingerprint: str
    strictness: float | None
    """Log-odds that an answer must have more than among the sample papers; None before that was
    learnt."""

    def to_dict(self) -> Json:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was learnt of a library from its own papers."""

    strictness: float
    """Log-odds that an answer must have more than among the sample papers."""
    papers: int
    """In the library when it was learnt."""
    rule: str
    """By which it was learnt; of no use to another."""


def default_path() -> Path:
    """Where the library lies when none is named: ``$CITEWISE_LIBRARY``, else the user's data."""
    named = os.environ.get("CITEWISE_LIBRARY")
    return Path(named) if named else user_library()


def fingerprint_of(embedder: Embedder) -> str:
    """What must agree for a library's indexes to be used: layout, embedder, and the rules."""
    parts = (_INDEX_FORMAT, embedder.fingerprint, PASSAGE_RULE, LEXICAL_RULE)
    return "cw-" + sha256_of("|".join(parts))[:16]


class Library:
    """Papers, their passages and words. Safe to use from several threads; close it after use."""

    def __init__(
        self, path: Path, store: PaperStore, embedder: Embedder, vectors: str | None = None
    ) -> None:
        """Use ``Library.open``."""
        self.path = path
        self.embedder = embedder
        self.fingerprint = fingerprint_of(embedder)
        self._store = store
        if isinstance(embedder, MiniLM | StaticEncoder):
            # Others would have to be asked.
            store.dimensions = embedder.dimensions
        self._named = vectors
        self._said = Remarks()
        self._shelves = self._take_shelves()
        self._retriever = self._new_retriever()
        self._browser = Browser(store)
        self._filler = Filler(store, self._shelves, embedder, WriterLock(path), self._refresh)
        self._asked = 0.0
        self._calibration: Calibration | None = None
        self._refreshing = threading.Lock()
        self._seen_of_others = store.changes_by_others()

    def _take_shelves(self) -> Shelves:
        number = generation_of(self._store)
        place = place_of(self.path, self._store, self._named, number)
        if not isinstance(place, UnnamedServer):
            check_place(self.path, self._store, place)
        self._heal(self.path, self._store, number, place)
        lexical = LexicalIndex(folders(self.path, number)["lexical"])
        return Shelves(number, lexical, VectorIndex(place))

    def _new_retriever(self) -> Retriever:
        # What is away is said, and done without.
        return Retriever(
            self._store,
            self._lexical,
            cast(VectorIndex, PatientVectors(self._vectors, self._said)),
            PatientEmbedder(self.embedder, self._said, self._store.held_dimensions),
        )

    @property
    def _lexical(self) -> LexicalIndex:
        return self._shelves.lexical

    @property
    def _vectors(self) -> VectorIndex:
        return self._shelves.vectors

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        embedder: Embedder | LlamaIndexEmbedding | str | None = None,
        vectors: str | None = None,
        create: bool = True,
        on_progress: OnProgress | None = None,
    ) -> Library:
        """Open the library in ``path`` (``default_path()`` unless named); made when absent.

        ``embedder``: one of your own, a llama-index embedding object, or a name such as
        ``openai-compatible:MODEL@URL``; the shipped one that it was made with unless given,
        ``minilm`` for a new library. The library remembers its embedder, and takes no other.
        ``vectors``: the Chroma server that holds the vectors, ``http://host:8000``, or ``local``
        for the library's own folder, where they are unless a server was ever named.

        Finishes what a killed process left undone. Raises NotALibraryError for a folder that holds
        something else (or, with ``create=False``, nothing), FingerprintError when its indexes were
        made otherwise, LibraryError when it cannot be used.
        """
        folder = Path(path) if path is not None else default_path()
        store = cls._open_store(folder, create)
        try:
            chosen = _embedder(embedder, store)
            cls._check_fingerprint(folder, store, chosen)
            library = cls(folder, store, chosen, vectors)
        except BaseException:
            store.close()
            raise
        try:
            library._finish(on_progress)
        except BaseException:
            library.close()
            raise
        return library

    @staticmethod
    def _open_store(folder: Path, create: bool) -> PaperStore:
        try:
            if folder.exists() and not folder.is_dir():
                raise NotALibraryError(
                    f"{folder} is a file, not a library folder. Name a folder with --library."
                )
            filled = folder.is_dir() and any(folder.iterdir())
            if filled and not (folder / PAPERS_FILE).is_file():
                raise NotALibraryError(
                    f"{folder} holds other things and is not a citewise library. Name an empty or "
                    "new folder with --library."
                )
            if create:
                folder.mkdir(parents=True, exist_ok=True)
                if not os.access(folder, os.W_OK):
                    raise PermissionError(13, "permission denied")
        except OSError as error:
            raise LibraryError(
                f"The library folder {folder} cannot be used ({error.strerror}). Name "
                "another one with --library, or mend its permissions."
            ) from error
        return PaperStore(folder / PAPERS_FILE, create=create)

    @staticmethod
    def _check_fingerprint(folder: Path, store: PaperStore, embedder: Embedder) -> None:
        known = store.meta("fingerprint")
        if known is None:
            store.set_meta("fingerprint", fingerprint_of(embedder))
            store.set_meta("embedder", embedder.fingerprint)
        elif known != fingerprint_of(embedder):
            made_with = store.meta("embedder")
            what = (
                "other rules" if made_with == embedder.fingerprint else f"the embedder {made_with}"
            )
            raise FingerprintError(
                f"The library {folder} was made with {what} than this citewise uses"
                f" ({embedder.fingerprint}). Its papers are whole; "
                "`citewise doctor --repair` makes its indexes again, beside the old ones, which "
                "serve until then."
            )

    @staticmethod
    def _heal(folder: Path, store: PaperStore, generation: int, place: Place) -> None:
        """An index whose files are gone or empty is made again from the papers."""
        gone = [
            index
            for index, at in folders(folder, generation).items()
            if (index == "lexical" or isinstance(place, Path))
            and _is_gone(at / _SIGNS[index])
            and store.claims(index)
        ]
        if not gone:
            return
        try:
            with WriterLock(folder).writing(0):
                for index in gone:
                    logger.warning("the %s index of %s is gone: it is made again", index, folder)
                    # First: killed right after, it is found gone again.
                    shutil.rmtree(folders(folder, generation)[index], ignore_errors=True)
                    store.reset_index(index)
        except LibraryLockedError:
            # Whoever holds the lock is making it.
            logger.info("another process is filling %s: using what is there", folder)

    @classmethod
    def repair(
        cls,
        path: str | Path | None = None,
        *,
        embedder: Embedder | LlamaIndexEmbedding | str | None = None,
        vectors: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Library:
        """Make both indexes of a library again from its papers, and open it.

        For another embedder, other rules of this citewise, another place of the vectors
        (``vectors``, see ``open``) and after damage. The old indexes serve until the new ones are
        complete; interrupted, the same call goes on where it stopped.
        """
        folder = Path(path) if path is not None else default_path()
        store = cls._open_store(folder, create=False)
        try:
            chosen = _embedder(embedder, store)
            if vectors is None and (store.meta("vectors") or LOCAL) != LOCAL:
                raise UsageError(
                    f"The vectors of {folder} are on {store.meta('vectors')}. Say where they are "
                    f"to be made again: `--vectors {store.meta('vectors')}`, or `--vectors local`."
                )
            settings = {"embedder": chosen.fingerprint, "fingerprint": fingerprint_of(chosen)}
            rebuild(folder, store, chosen, vectors, settings, on_progress)
            if store.meta(_EMBED_LATER) is not None:
                store.unset_meta(_EMBED_LATER)
        except OSError as error:
            raise LibraryError(
                f"The library folder {folder} cannot be written to ({error.strerror}). Mend its "
                "permissions, or free some space."
            ) from error
        finally:
            store.close()
        return cls.open(
            folder, embedder=chosen, vectors=vectors, create=False, on_progress=on_progress
        )

    # -- papers in ---------------------------------------------------------------------------

    def ingest(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        format: str | None = None,  # noqa: A002 - the interface's name
        year: int | None = None,
        embed: bool = True,
        limits: ReadLimits | None = None,
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """Add or update papers from files, folders or ``-``.

        Each is found by its words as soon as it is read; then all are embedded, unless ``embed`` is
        false, which leaves that to ``embed()``.

        ``format`` is recognised from the content when not named; ``year`` completes dates that are
        printed without one; ``limits`` bounds what is read of a file. Bad records are reported,
        never in the way of good ones. Interrupted, it leaves the library whole; again over the
        same files, it goes on where it stopped.
        """
        named = [paths] if isinstance(paths, str | Path) else list(paths)
        notes: list[str] = []
        records = read(named, format=format, year=year, limits=limits, on_note=notes.append)
        report = self.add(records, embed=embed, on_progress=on_progress)
        return replace(report, notes=(*report.notes, *notes))

    def add(
        self,
        records: Iterable[Paper | Rejection],
        *,
        embed: bool = True,
        on_progress: OnProgress | None = None,
    ) -> IngestReport:
        """Add or update papers; what ``ingest`` does after reading."""
        started = time.perf_counter()
        report = IngestReport()
        rejected: list[Rejection] = []
        seen: set[str] = set()
        counts = {"added": 0, "updated": 0, "unchanged": 0, "duplicate": 0}
        with self._filler.writing():
            if not embed and self._store.meta(_EMBED_LATER) is None:
                # Before the first paper: killed, the next opening must not embed either.
                self._store.set_meta(_EMBED_LATER, "1")
            stream = iter(records)
            size = _WRITE_BATCH
            with self._filler.indexing_words_beside() as index_words:
                while batch := _batch(stream, size):
                    size = min(2 * size, _LARGEST_BATCH)
                    papers = []
                    for record in batch:
                        refused = record if isinstance(record, Rejection) else _refusal(record)
                        if refused is not None:
                            rejected.append(refused)
                        elif isinstance(record, Paper):
                            papers.append(record)
                    outcomes = self._store.write(
                        [
                            (paper, identity_keys(paper), tuple(paper_sentences(paper.abstract)))
                            for paper in papers
                        ],
                        seen,
                    )
                    for outcome in outcomes:
                        counts[outcome] += 1
                    index_words()
                    if on_progress:
                        done = sum(counts.values()) + len(rejected)
                        on_progress(Progress("reading", done, None))
            self._filler.forget_vectors()
        if embed:
            self._embed(on_progress)
        return replace(
            report,
            added=counts["added"],
            updated=counts["updated"],
            unchanged=counts["unchanged"],
            duplicate=counts["duplicate"],
            rejected=tuple(rejected),
            seconds=time.perf_counter() - started,
        )

    def remove(self, ids: Sequence[str]) -> int:
        """Remove papers from everything; counts those that were there."""
        with self._filler.writing():
            wordings = self._store.wordings(list(ids)).values()
            removed = self._store.remove(list(ids))
            self._filler.index_words()
            self._filler.forget_vectors()
            numbers = {number for wording in wordings for number in wording.numbers.tolist()}
            stems = self._store.stems(sorted(numbers))
            gone = [number for number, stem in stems.items() if not self._lexical.holds(stem)]
            self._store.forget_stems(gone)
        return removed

    def embed(self, on_progress: OnProgress | None = None) -> int:
        """Embed the papers that are not yet; counts them. Resumes after an interruption.

        Other processes can search and add papers meanwhile. Where one of them is embedding, waits
        for it to be done.
        """
        with self._filler.writing():
            self._filler.index_words()
            self._filler.forget_vectors()
        return self._embed(on_progress)

    def _embed(self, on_progress: OnProgress | None) -> int:
        done = self._filler.embed(on_progress)
        if self._store.meta(_EMBED_LATER) is not None:
            self._store.unset_meta(_EMBED_LATER)
        return done

    @contextmanager
    def embedding_in_background(
        self, then: Callable[[Callable[[], bool]], None] = lambda stopped: None
    ) -> Iterator[None]:
        """Embed what is missing, now and as papers are added, in a thread that gives way to others.

        It waits while there are searches, lets other processes write in between, and has stopped
        when the context ends. ``then`` is called every few seconds while nothing is missing; what
        it is given says whether the context has ended.
        """
        stop = threading.Event()
        embedder = self.embedder
        if isinstance(embedder, MiniLM):
            # One thread beside those that answer, whose priority can be lowered.
            embedder = embedder.on_one_thread()

        def work() -> None:
            try:
                self._filler.embed_in_background(
                    embedder, stop, self._is_asked, lambda: then(stop.is_set)
                )
            except CitewiseError as error:
                logger.warning("embedding in the background has stopped: %s", error)

        thread = threading.Thread(target=work, name="citewise-embedding", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _is_asked(self) -> bool:
        return time.monotonic() - self._asked < _QUIET_SECONDS

    def _finish(self, on_progress: OnProgress | None) -> None:
        words_left = self._store.count_missing("lexical") or self._store.stale_entries("lexical")
        left = self._store.count_missing("dense")
        stale = self._store.stale_entries("dense")
        # Later was asked for, or it would take long: then only what takes no time.
        now = 0 < left <= _FINISH_AT_OPENING and self._store.meta(_EMBED_LATER) is None
        if not (words_left or now or stale):
            return
        try:
            with self._filler.writing(0):
                self._filler.index_words()
                self._filler.forget_vectors()
            if now:
                self._filler.embed(on_progress, wait=False)
        except LibraryLockedError:
            logger.info("another process is filling %s: using what is there", self.path)
        except (VectorsAwayError, EmbedderAwayError) as error:
            # Whoever searches is told.
            logger.info("%s cannot be finished now: %s", self.path, error)

    # -- papers out --------------------------------------------------------------------------

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        since: str | None = None,
        until: str | None = None,
        source: str | None = None,
        author: str | None = None,
        papers: Sequence[str] = (),
        effort: str = Effort.NORMAL,
    ) -> tuple[Hit, ...]:
        """The best ``k`` papers for a query, each with its best passage.

        ``since`` and ``until`` are ISO 8601 dates of any precision, ``author`` part of a name.
        ``effort`` as in ``find``. Raises UsageError for a date that is not one, ``k`` below 1 or
        another effort.
        """
        filters = Filters(since, until, source, author, tuple(papers))
        return self.find(query, k, filters, effort=effort).hits

    def find(
        self,
        query: str,
        k: int = 10,
        filters: Filters | None = None,
        *,
        effort: str = Effort.NORMAL,
        explain: bool = True,
    ) -> SearchResult:
        """As ``search``, with timings and what a person should know about the search.

        With effort ``deep`` the best papers are read beside the query and ranked anew, which takes
        some 100 ms once the model is loaded; ``quick`` is as ``normal``. Without ``explain`` the
        hits leave out which words matched and which sentence is nearest.
        """
        wanted = filters or Filters()

        def search() -> SearchResult:
            if Effort(effort) is not Effort.DEEP:
                return self._retriever.search(query, k, wanted, explain=explain)
            # The rooms of the checker know the library; a deep search alone needs one of them.
            from citewise.grounding.reranking import READ, reranked  # noqa: PLC0415

            found = self._retriever.search(query, max(k, READ), wanted, explain=explain)
            mark = time.perf_counter()
            words = self.as_spelled(query.lstrip()[:LONGEST_QUERY])
            hits = reranked(words, found.hits)
            hits = named_first(hits, self._lexical.named(words, mainly=True))[:k]
            took = (time.perf_counter() - mark) * 1000
            timings = {**found.timings_ms, "rerank": took}
            timings["total"] += took
            return replace(found, hits=hits, timings_ms=timings)

        return self._searched(k, search)

    def similar(self, paper_id: str, k: int = 10, filters: Filters | None = None) -> SearchResult:
        """The ``k`` papers most like one of the library's, itself left out; no model runs.

        Raises PaperNotFoundError, and UsageError as ``search`` does.
        """
        return self._searched(
            k, lambda: self._retriever.similar(self.paper(paper_id), k, filters or Filters())
        )

    def _searched(self, k: int, search: Callable[[], SearchResult]) -> SearchResult:
        if k < 1:
            raise UsageError(f"k is {k}; ask for at least 1 paper.")
        self._asked = time.monotonic()
        self._refresh()
        try:
            with self._said.listening() as remarks:
                found = search()
            return replace(found, notes=(*found.notes, *remarks)) if remarks else found
        except ValueError as error:
            raise UsageError(f"{error}.") from error
        finally:
            self._asked = time.monotonic()

    def _refresh(self) -> None:
        """See what another process has written since the last look."""
        if self._store.changes_by_others() <= self._seen_of_others:
            return
        with self._refreshing:
            changes = self._store.changes_by_others()
            if changes > self._seen_of_others:
                if generation_of(self._store) != self._shelves.generation:
                    self._follow_rebuild()
                else:
                    self._lexical.reload()
                    self._vectors.reload()
                self._seen_of_others = changes

    def _follow_rebuild(self) -> None:
        """Use the indexes that another process has made; the old ones are deleted."""
        self._check_fingerprint(self.path, self._store, self.embedder)
        new = self._take_shelves()
        self._shelves.generation = new.generation
        self._shelves.lexical, self._shelves.vectors = new.lexical, new.vectors
        self._retriever = self._new_retriever()

    def paper(self, paper_id: str) -> Paper:
        """One paper with its places; raises PaperNotFoundError."""
        found = self._store.papers([paper_id]).get(paper_id)
        if found is None:
            raise PaperNotFoundError(
                f"No paper in {self.path} has the id {paper_id!r}. "
                "`citewise papers list` shows the ids."
            )
        return replace(found, places=self._store.places(paper_id))

    def papers(self, filters: Filters | None = None) -> Iterator[Paper]:
        """The papers that pass the filters, in the order in which they came.

        Raises UsageError for a date that is not one.
        """
        try:
            yield from self._store.select(filters or Filters())
        except ValueError as error:
            raise UsageError(f"{error}.") from error

    def ids_by(self, name: str, *, as_written: bool = False) -> tuple[str, ...]:
        """Ids of the papers by an author or an organisation of that name, in any case.

        With ``as_written`` authors in the case of ``name`` alone: what is measured by EEG is not
        by Kyrre Eeg.
        """
        return tuple(self._store.ids_by(name, as_written=as_written))

    def papers_by_id(self, ids: Sequence[str]) -> dict[str, Paper]:
        """Papers by id; unknown ids are left out."""
        return self._store.papers(ids)

    def held_as(self, paper: Paper) -> str | None:
        """Id under which a paper is held, which may have come from elsewhere first; else None."""
        return self._store.held_as(identity_keys(paper))

    def page(
        self,
        filters: Filters | None = None,
        *,
        order: Order = "newest",
        offset: int = 0,
        limit: int = 20,
    ) -> Page:
        """Some of the papers that pass the filters, in an order, and how many there are.

        Turning pages stays quick in a large library. Raises UsageError for a date that is not one.
        """
        try:
            return self._browser.page(filters or Filters(), order, offset, limit)
        except ValueError as error:
            raise UsageError(f"{error}.") from error

    def timeline(self) -> Timeline:
        """How many papers were published when."""
        return self._browser.timeline()

    def themes(self) -> Themes:
        """What the papers are about; takes seconds at first, and is kept."""
        return self._browser.themes()

    def themes_so_far(self) -> Themes | None:
        """What ``themes`` last gave, at once; None before the first time."""
        return self._browser.themes_so_far()

    def sources(self) -> dict[str, int]:
        """Papers by the reader that brought them."""
        return self._store.sources()

    def dates(self) -> tuple[str, str] | None:
        """Earliest and latest date of publication; None without any date."""
        return self._store.date_bounds()

    def sentences(self, ids: Sequence[str]) -> dict[str, SentenceRow]:
        """Sentences of papers by id: offsets, and vectors where they have been embedded."""
        return self._store.sentences(ids)

    def terms(self, text: str) -> list[str]:
        """The stemmed words of ``text`` that the word index knows how to look for."""
        return self._lexical.terms(text)

    def as_spelled(self, text: str) -> str:
        """The text with each word in the spelling, British or American, that more papers have."""
        return self._lexical.as_spelled(text)

    def document_frequencies(self, terms: Sequence[str]) -> dict[str, int]:
        """In how many papers each stemmed word stands."""
        return self._lexical.document_frequencies(terms)

    def named(self, query: str) -> dict[str, int]:
        """Papers that hold names of a query which few papers hold, by how many such names."""
        return self._lexical.named(query)

    def __len__(self) -> int:
        return self._store.count("all")

    def sample(self, most: int, seed: int) -> list[Paper]:
        """Up to ``most`` papers that have vectors, drawn at random."""
        return self._store.sample_embedded(most, seed)

    @property
    def calibration(self) -> Calibration | None:
        """What was learnt of the library from its own papers; None before it was."""
        kept = self._store.meta(_CALIBRATION)
        return self._calibration if kept is None else Calibration(**json.loads(kept))

    def calibrate(self, calibration: Calibration) -> None:
        """Keep what was learnt of the library; in this process alone where it cannot be written."""
        self._calibration = calibration
        with suppress(LibraryError):
            self._store.set_meta(_CALIBRATION, json.dumps(asdict(calibration)))

    def waiting(self) -> int:
        """Papers that are not embedded yet: found by their words alone."""
        return self._store.count_missing("dense")

    def info(self) -> LibraryInfo:
        """What the library holds."""
        papers = self._store.count("all")
        bounds = self._store.date_bounds()
        calibration = self.calibration
        return LibraryInfo(
            path=str(self.path),
            papers=papers,
            passages=self._store.count("passages"),
            sentences=self._store.count("sentences"),
            embedded=papers - self._store.count_missing("dense"),
            sources=self._store.sources(),
            earliest=bounds[0] if bounds else None,
            latest=bounds[1] if bounds else None,
            undated=papers - self._store.count("dated"),
            disk_bytes=_disk_bytes(self.path),
            embedder=self.embedder.fingerprint,
            vectors=self._store.meta("vectors") or LOCAL,
            fingerprint=self.fingerprint,
            strictness=None if calibration is None else calibration.strictness,
        )

    def check(self) -> list[str]:
        """What is wrong between papers and indexes, in words; empty when all agree.

        Papers that are not embedded yet are nothing wrong: ``info`` counts them.
        """
        self._refresh()
        problems = []
        papers, passages = self._store.count("all"), self._store.count("passages")
        words = self._lexical.count()
        if words != papers:
            problems.append(f"the word index holds {words} papers, the library {papers}")
        try:
            vectors = self._vectors.count()
        except VectorsAwayError as error:
            return [*problems, str(error)]
        if vectors != passages:
            problems.append(f"the vector index holds {vectors} passages, the library {passages}")
        return problems

    def as_retriever(self, k: int = 10, filters: Filters | None = None) -> CitewiseRetriever:
        """A llama-index retriever that gives the best passage of each of ``k`` papers."""
        # llama-index takes 3 s to import, and the bridge imports this module.
        from citewise.bridges import CitewiseRetriever  # noqa: PLC0415

        return CitewiseRetriever(self, k, filters)

    def warm(self) -> None:
        """Load the encoder and open the indexes now, side by side."""
        with ThreadPoolExecutor(max_workers=1) as background:
            opened = background.submit(self._vectors.warm)
            read_once(self.embedder)
            with suppress(VectorsAwayError):
                # The first search will say so to the person who asks.
                opened.result()

    def close(self) -> None:
        """Let go of the files."""
        self._vectors.close()
        self._store.close()

    def __enter__(self) -> Library:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _batch(records: Iterator[Paper | Rejection], size: int) -> list[Paper | Rejection]:
    batch: list[Paper | Rejection] = []
    chars = 0
    for record in records:
        batch.append(record)
        chars += len(record.abstract) if isinstance(record, Paper) else 0
        if len(batch) == size or chars > _WRITE_CHARS:
            break
    return batch


def _embedder(given: Embedder | LlamaIndexEmbedding | str | None, store: PaperStore) -> Embedder:
    if given is None:
        return shipped_embedder(store.meta("embedder"))
    return embedder_from(given) if isinstance(given, str) else as_embedder(given)


def _is_gone(file: Path) -> bool:
    try:
        return file.stat().st_size == 0
    except OSError:
        return True


def _refusal(paper: Paper) -> Rejection | None:
    """Why a paper that no reader has checked cannot be kept, or None."""
    reason = None
    texts = (paper.id, paper.title, paper.abstract, *paper.authors)
    if not paper.id:
        reason = "the paper has no id"
    elif not paper.abstract.strip():
        reason = "the paper has no abstract"
    elif any(not text.isascii() and _SURROGATE.search(text) for text in texts):
        reason = "the paper holds half a character (a lone surrogate)"
    elif paper.published is not None:
        try:
            day_range(paper.published)
        except ValueError as error:
            reason = str(error)
    if reason is None:
        return None
    place = paper.places[0] if paper.places else None
    return Rejection(place.file if place else "-", place.line if place else 0, reason, paper.title)


def _disk_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # An index merges its files at any time.
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total
