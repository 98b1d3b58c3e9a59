"""Keeps both indexes in step with the papers: words at once, vectors as time allows.

A paper can be found by its words as soon as it is written. Its vectors follow, batch by batch. They
are computed without any lock, so that other processes can add papers meanwhile, and written under
the writer's lock if the paper is still as it was.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from citewise.errors import LibraryError, LibraryLockedError
from citewise.library.embedding import Embedder
from citewise.library.indexing import embed_papers
from citewise.library.lexical import words_of
from citewise.library.locks import WriterLock
from citewise.library.papers import PaperStore
from citewise.library.shelves import Shelves

EMBED_BATCH = 64
"""Papers embedded between two looks at the lock: some seconds of work that a kill can cost."""
_BACKGROUND_BATCH = 16
"""Less, so that the background stops within a second or two."""
_MOST_SENTENCES = 10_000
"""Of the papers embedded together, unless one alone has more: each takes 1.5 KiB meanwhile."""
_WORD_BATCH = 5_000
_COUNT_BATCH = 50
"""Papers whose words are counted between two looks at the lock: some 15 ms."""
_OTHERS_SECONDS = 0.2
_LOOK_SECONDS = 3.0
"""How often the background looks for papers that another process has added."""
_NICE = 10
_HOURS = 6 * 3600.0
"""Patience of one that embeds with another that reads a large file: the vectors are not lost."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long task is."""

    step: Literal["fetching", "reading", "indexing", "embedding", "calibrating on"]
    done: int
    total: int | None
    """None while it is not known."""


OnProgress = Callable[[Progress], None]


class Filler:
    """Writes what the indexes lack."""

    def __init__(
        self,
        store: PaperStore,
        shelves: Shelves,
        embedder: Embedder,
        lock: WriterLock,
        refresh: Callable[[], None],
    ) -> None:
        """``refresh`` makes the indexes see what other processes have written."""
        self._store = store
        self._shelves = shelves
        self._embedder = embedder
        self._lock = lock
        self._refresh = refresh
        self._counted = 0
        """Row number up to which the words of papers have been counted."""

    @contextmanager
    def writing(self, patience: float | None = None) -> Iterator[None]:
        """Be the one that writes, upon what all others have written."""
        with self._lock.writing(patience):
            self._store.upgrade()
            # Chroma keeps the index in memory: written upon an old state, it would lose what
            # another process has added since.
            self._refresh()
            yield

    def index_words(self) -> None:
        """Bring the words up to date; hold the writer's lock."""
        while True:
            stale = self._store.stale_entries("lexical")
            papers = self._store.to_index(_WORD_BATCH)
            if not stale and not papers:
                return
            self._shelves.lexical.update(papers, stale)
            self._store.mark_lexical([paper_id for paper_id, _, _ in papers])
            self._store.forgotten("lexical", stale)

    @contextmanager
    def indexing_words_beside(self) -> Iterator[Callable[[], None]]:
        """Gives what to call when papers were written: their words follow in a thread beside.

        Hold the writer's lock. A call waits for nothing, and raises what went wrong with words of
        before; when the context ends, all words are up to date.
        """
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="citewise-words") as beside:
            begun: list[Future[None]] = []

            def index() -> None:
                # What is at work goes on until no paper is left, these among them.
                if begun and begun[0].done():
                    begun.pop().result()
                if not begun:
                    begun.append(beside.submit(self.index_words))

            yield index
            for last in begun:
                last.result()
            # It may have looked for papers just before the last were written.
            self.index_words()

    def forget_vectors(self) -> None:
        """Take stale passages out of the vectors; hold the writer's lock."""
        stale = self._store.stale_entries("dense")
        if stale:
            self._shelves.vectors.forget(stale)
            self._store.forgotten("dense", stale)

    def embed(self, on_progress: OnProgress | None = None, *, wait: bool = True) -> int:
        """Embed all papers that are not yet, and count those; hold no lock.

        Where another process is at it, waits until it has done them, or ends and leaves them here;
        without ``wait`` they are left to it.
        """
        if wait:
            self.count_words(on_progress)
        total = self._store.count_missing("dense")
        if not total:
            return 0
        left = total
        with ThreadPoolExecutor(max_workers=1) as warming:
            # Importing Chroma takes over a second, mostly waiting for files: meanwhile, embed.
            warmed = warming.submit(self._shelves.vectors.warm)
            while left:
                with self._lock.embedding() as ours:
                    while ours and self.embed_batch(self._embedder, EMBED_BATCH, _HOURS):
                        left = self._told(total, on_progress)
                if not ours and not wait:
                    break
                if not ours:
                    time.sleep(_OTHERS_SECONDS)
                left = self._told(total, on_progress)
            warmed.result()
        return total

    def _told(self, total: int, on_progress: OnProgress | None) -> int:
        left = self._store.count_missing("dense")
        if on_progress:
            # Another process may have added some meanwhile.
            on_progress(Progress("embedding", max(total, left) - left, max(total, left)))
        return left

    def embed_batch(self, embedder: Embedder, most: int, patience: float | None = None) -> int:
        """Embed up to ``most`` papers; 0 when none is left. Hold no lock.

        Raises LibraryLockedError when another process writes for longer than ``patience`` seconds.
        """
        waiting = self._store.to_embed(most)
        if not waiting:
            return 0
        held = 0
        for count, (_, spans) in enumerate(waiting):
            held += len(spans)
            if held > _MOST_SENTENCES and count:
                del waiting[count:]
                break
        papers = [paper for paper, _ in waiting]
        embedded = embed_papers(papers, {paper.id: spans for paper, spans in waiting}, embedder)
        with self.writing(patience):
            self.forget_vectors()
            # Another process may have changed, removed or embedded some of them.
            embedded = embedded.only(self._store.still_to_embed(papers))
            # Intent, vectors, books: killed in between, the same rows are written once more,
            # or forgotten if their paper has changed meanwhile.
            self._store.intend_dense([row.id for row in embedded.rows])
            self._shelves.vectors.update(
                [row.id for row in embedded.rows],
                [row.paper_id for row in embedded.rows],
                embedded.vectors,
            )
            self._store.mark_dense(
                embedded.by_paper,
                embedded.sentence_vectors,
                embedded.wordings,
                embedded.stems,
            )
        return len(papers)

    def count_words(
        self,
        on_progress: OnProgress | None = None,
        patience: float | None = _HOURS,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Count the words of papers that were embedded without it; hold no lock.

        Ends between two batches when ``stop`` says so; the next call goes on there.
        """
        while self._store.lacks_wordings() and not stop():
            generation = self._store.meta("generation")
            waiting = self._store.without_wording(self._counted, _COUNT_BATCH)
            papers = [paper for _, paper, _ in waiting]
            counted, stems = words_of((paper.id, paper.title, w) for _, paper, w in waiting)
            with self.writing(patience):
                if not waiting:
                    self._counted = 0
                    self._store.all_words_counted()
                    return
                self._store.add_wordings(papers, counted, stems, generation)
            self._counted = waiting[-1][0]
            if on_progress and len(waiting) == _COUNT_BATCH:
                on_progress(Progress("indexing", self._counted, self._store.count("all")))

    def _count_in_background(self, stop: threading.Event, busy: Callable[[], bool]) -> None:
        if not self._store.counts_words():
            with self.writing():
                pass  # brings the tables up to date
        self.count_words(patience=None, stop=lambda: stop.is_set() or busy())

    def embed_in_background(
        self,
        embedder: Embedder,
        stop: threading.Event,
        busy: Callable[[], bool],
        then: Callable[[], None],
    ) -> None:
        """Embed whatever is missing until ``stop``, now and later; runs in a thread of its own.

        ``then`` is called every few seconds while nothing is missing. Gives way to other threads,
        to other processes that embed, and while ``busy``. Raises LibraryError for what will not
        mend itself by waiting.
        """
        _be_nice()
        while not stop.is_set():
            if busy():
                stop.wait(0.3)
                continue
            with suppress(LibraryError):
                # A folder that cannot be written to is as good for searching.
                self._count_in_background(stop, busy)
            if not self._store.count_missing("dense"):
                then()
                stop.wait(_LOOK_SECONDS)
                continue
            done = 0
            with self._lock.embedding() as ours:
                if ours:
                    # Whoever writes for long will have done so the next time.
                    with suppress(LibraryLockedError):
                        done = self.embed_batch(embedder, _BACKGROUND_BATCH)
            # Between two batches there is room for one that was asked for to take the turn.
            stop.wait(0.1 if done else 1.0)


def _be_nice() -> None:
    # Linux gives each thread a niceness of its own; elsewhere it would be the whole process's.
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
