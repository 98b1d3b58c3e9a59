"""Both indexes made again from the papers, beside the old ones, which serve until they are done.

Needed for another embedder, other rules, another place of the vectors, or after damage. Killed, it
leaves the old indexes as they were, and the next rebuild to the same goal goes on where it stopped.
"""

from __future__ import annotations

import shutil
from itertools import islice
from pathlib import Path

from citewise.errors import LibraryLockedError
from citewise.library.embedding import Embedder
from citewise.library.filling import EMBED_BATCH, OnProgress, Progress
from citewise.library.indexing import embed_papers
from citewise.library.lexical import LexicalIndex
from citewise.library.locks import WriterLock
from citewise.library.orders import paper_sentences, without_orders
from citewise.library.papers import SCHEMA_VERSION, PaperStore
from citewise.library.shelves import folders, name_of, place_of, tidy
from citewise.library.vectors import VectorIndex
from citewise.types import Filters

_WORD_BATCH = 5_000


def rebuild(
    path: Path,
    store: PaperStore,
    embedder: Embedder,
    vectors: str | None,
    settings: dict[str, str],
    on_progress: OnProgress | None,
) -> None:
    """Make both indexes again and put them in the old ones' place.

    ``settings`` are written into the books with it. Others may add papers meanwhile, who still see
    the old indexes. Raises LibraryLockedError when another process embeds or rebuilds.
    """
    lock = WriterLock(path)
    with lock.embedding() as ours:
        if not ours:
            raise LibraryLockedError(
                f"Another process is embedding the papers of {path}. Wait until it is done, or "
                "end it; it goes on later."
            )
        with lock.writing():
            store.upgrade()
            # Asked for before the number is known: the place decides what the goal is.
            place = place_of(path, store, vectors, 0)
            goal = f"{settings['fingerprint']} {name_of(place)} {SCHEMA_VERSION}"
            number, goes_on = store.begin_rebuild(goal)
            tidy(path, store)
            words = folders(path, number)["lexical"]
            shutil.rmtree(words, ignore_errors=True)
            if not goes_on:
                shutil.rmtree(folders(path, number)["dense"], ignore_errors=True)
        index = VectorIndex(place_of(path, store, vectors, number))
        try:
            store.unstage_changed()
            _embed_all(store, index, embedder, on_progress)
            with lock.writing():
                # What others have added or changed since, which cannot be much.
                store.unstage_changed()
                _embed_all(store, index, embedder, on_progress)
                if _agree(store, index):
                    _embed_all(store, index, embedder, on_progress)
                _index_words(store, words, on_progress)
                store.finish_rebuild({**settings, "vectors": name_of(place)})
        finally:
            index.close()
        with lock.writing():
            tidy(path, store)


def _embed_all(
    store: PaperStore,
    index: VectorIndex,
    embedder: Embedder,
    on_progress: OnProgress | None,
) -> None:
    after = 0
    while rows := store.not_rebuilt(after, EMBED_BATCH):
        after = rows[-1][0]
        papers = [paper for _, paper in rows]
        spans = {paper.id: paper_sentences(paper.abstract) for paper in papers}
        embedded = embed_papers(papers, spans, embedder)
        index.update(
            [row.id for row in embedded.rows],
            [row.paper_id for row in embedded.rows],
            embedded.vectors,
        )
        staged = [(paper, spans[paper.id]) for paper in papers]
        # The books are checked once more at the end: no lock is needed while others may write.
        store.stage(
            staged,
            embedded.by_paper,
            embedded.sentence_vectors,
            embedded.wordings,
            embedded.stems,
        )
        if on_progress:
            on_progress(Progress("embedding", store.count_rebuilt(), store.count("all")))


def _agree(store: PaperStore, index: VectorIndex) -> bool:
    """Make vectors and books agree again where a killed process or a server has parted them.

    Whether papers have to be embedded once more.
    """
    told = store.staged_passages()
    if index.count() == len(told):
        return False
    held = index.ids()
    index.forget(sorted(held - told))
    lost = {passage.rpartition("#")[0] for passage in told - held}
    store.unstage(lost)
    return bool(lost)


def _index_words(store: PaperStore, folder: Path, on_progress: OnProgress | None) -> None:
    words = LexicalIndex(folder)
    papers = iter(store.select(Filters()))
    total, done = store.count("all"), 0
    while batch := list(islice(papers, _WORD_BATCH)):
        words.update((paper.id, paper.title, without_orders(paper.abstract)) for paper in batch)
        done += len(batch)
        if on_progress:
            on_progress(Progress("indexing", done, total))
