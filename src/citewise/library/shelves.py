"""Where a library's indexes lie: beside its papers, or their vectors on a Chroma server.

Indexes that are made again lie beside the old ones under the next number, until the books name
them.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from citewise.errors import FingerprintError, LibraryError
from citewise.library.lexical import LexicalIndex
from citewise.library.papers import Index, PaperStore
from citewise.library.vectors import ChromaServer, Place, UnnamedServer, VectorIndex

LOCAL = "local"
"""Names the library's own folder where a server may be named."""


@dataclass(slots=True)
class Shelves:
    """The two indexes that the books name; replaced when another process has made them again."""

    generation: int
    lexical: LexicalIndex
    vectors: VectorIndex


def folders(path: Path, generation: int) -> dict[Index, Path]:
    """The folders of the indexes of one number."""
    suffix = f"-{generation}" if generation else ""
    return {"lexical": path / f"lexical{suffix}", "dense": path / f"vectors{suffix}"}


def generation_of(store: PaperStore) -> int:
    """The number of the indexes that the books name."""
    number = store.meta("generation") or "0"
    if not (number.isdecimal() and len(number) < 10):
        raise LibraryError(
            f"The library is damaged or was changed by another program: {number[:40]!r} is no "
            "number of its indexes. Restore it from a copy."
        )
    return int(number)


def place_of(path: Path, store: PaperStore, named: str | None, generation: int) -> Place:
    """Where the vectors of one number lie for someone who has ``named`` a server, or nothing."""
    if named and named != LOCAL:
        return ChromaServer.of(named, f"citewise-{store.library_id()}-{generation}")
    known = store.meta("vectors") or LOCAL
    if known != LOCAL and named is None:
        return UnnamedServer(known)
    return folders(path, generation)["dense"]


def name_of(place: Place) -> str:
    """How the books call a place of vectors; never with a password."""
    return LOCAL if isinstance(place, Path) else place.url


def check_place(path: Path, store: PaperStore, place: Place) -> None:
    """Raises FingerprintError where the library's vectors are elsewhere than in ``place``."""
    known, wanted = store.meta("vectors") or LOCAL, name_of(place)
    if known == wanted:
        return
    if store.claims("dense"):
        where = "in its own folder" if known == LOCAL else f"on {known}"
        raise FingerprintError(
            f"The vectors of the library {path} are {where}, not "
            f"{'in its own folder' if wanted == LOCAL else f'on {wanted}'}. Its papers are whole; "
            f"`citewise doctor --repair --vectors {wanted}` makes the vectors there."
        )
    store.set_meta("vectors", wanted)


def tidy(path: Path, store: PaperStore) -> None:
    """Delete the folders of indexes that nobody needs any more; hold the writer's lock."""
    kept = {generation_of(store)}
    begun = store.meta("rebuild_generation") or ""
    if begun.isdecimal():
        kept.add(int(begun))
    needed = {folder.name for number in kept for folder in folders(path, number).values()}
    for folder in (*path.glob("lexical*"), *path.glob("vectors*"), path / "replaced"):
        if folder.is_dir() and folder.name not in needed:
            shutil.rmtree(folder, ignore_errors=True)
