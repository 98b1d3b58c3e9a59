"""What works, what doesn't, and what to do about it."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from citewise.backends.registry import available, backend_from
from citewise.backends.writing import ModelBackend
from citewise.config import DEFAULT_EMBEDDER, Config
from citewise.errors import CitewiseError
from citewise.library.embedders import embedder_from
from citewise.library.embedding import read_once
from citewise.library.library import Library
from citewise.sample import sample_folder
from citewise.types import Json

_PACKAGES = (
    "chromadb",
    "gradio",
    "llama-index-core",
    "onnxruntime",
    "openai",
    "tantivy",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    well: bool
    detail: str
    """What was found; when it is not well, also what to do."""

    def to_dict(self) -> Json:
        """The fields by name."""
        return {"what": self.what, "well": self.well, "detail": self.detail}


def examine(config: Config) -> list[Finding]:
    """Look at the installation, the library and the backend; asks a model one question."""
    return [
        _python(),
        *_packages(),
        _encoder(config),
        _sample(),
        _library(config),
        *_backends(),
        _chosen_backend(config),
    ]


def _python() -> Finding:
    found = ".".join(str(part) for part in sys.version_info[:3])
    good = sys.version_info >= (3, 11)
    return Finding("Python", good, found if good else f"{found}; install 3.11 or later")


def _packages() -> list[Finding]:
    findings = []
    for name in _PACKAGES:
        try:
            findings.append(Finding(name, True, version(name)))
        except PackageNotFoundError:
            findings.append(Finding(name, False, f"missing; `pip install {name}`"))
    return findings


def _encoder(config: Config) -> Finding:
    started = time.perf_counter()
    try:
        encoder = embedder_from(config.embedder or DEFAULT_EMBEDDER)
        read_once(encoder)
    except CitewiseError as error:
        return Finding("encoder", False, str(error))
    spent = (time.perf_counter() - started) * 1000
    return Finding("encoder", True, f"{encoder.fingerprint}, ready in {spent:.0f} ms")


def _sample() -> Finding:
    try:
        return Finding("sample papers", True, f"{len(list(sample_folder().glob('*.txt')))} pages")
    except CitewiseError as error:
        return Finding("sample papers", False, str(error))


def _library(config: Config) -> Finding:
    if not config.library.exists():
        return Finding(
            "library", True, f"none in {config.library} yet; `citewise ingest --sample` fills one"
        )
    try:
        with Library.open(
            config.library, embedder=config.embedder, vectors=config.vectors, create=False
        ) as library:
            problems = library.check()
            if config.embedder is None:
                # It may be another of the shipped ones than a new library would get.
                read_once(library.embedder)
            papers, waiting = len(library), library.waiting()
    except CitewiseError as error:
        return Finding("library", False, str(error))
    if problems:
        mend = "`citewise doctor --repair` makes the indexes again"
        return Finding("library", False, f"{'; '.join(problems)}; {mend}")
    later = f"; {waiting} wait for `citewise embed`" if waiting else ""
    return Finding("library", True, f"{papers} papers in {config.library}, indexes agree{later}")


def _backends() -> list[Finding]:
    # A backend that lacks a key is no fault of the installation.
    return [
        Finding(
            f"backend {info.name}",
            True,
            f"{'ready' if info.ready else 'not set up'}: {info.detail}",
        )
        for info in available()
    ]


def _chosen_backend(config: Config) -> Finding:
    what = f"backend in use: {config.backend}"
    started = time.perf_counter()
    try:
        backend = backend_from(config.backend, limits=config.model)
        if not isinstance(backend, ModelBackend):
            return Finding(what, True, "needs no model")
        _, usage = backend.probe()
    except CitewiseError as error:
        return Finding(what, False, str(error))
    spent = (time.perf_counter() - started) * 1000
    tokens = usage.prompt_tokens + usage.completion_tokens
    return Finding(what, True, f"answered in {spent:.0f} ms with {tokens} tokens")
