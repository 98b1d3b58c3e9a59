"""What all tests share: no connection leaves the machine, and one library of the sample papers."""

from __future__ import annotations

import ipaddress
import os
import pickle
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings

from citewise.library.embedding import MiniLM
from citewise.library.library import Library
from citewise.types import IngestReport

# A busy machine is slow now and then; a test is judged by what it finds, not by its milliseconds.
# CI judges the same change alike each time; elsewhere chance looks further.
settings.register_profile("citewise", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("citewise")

# Gradio's client, which only tests use, reports its use to huggingface.co unless told not to.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

CORPUS = Path(__file__).resolve().parent.parent / "eval" / "corpus"


def _is_here(host: object, *, lookup: bool) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(name).split("%")[0])
    except ValueError:
        return False
    # To look up a number asks nobody.
    return lookup or address.is_loopback or address.is_unspecified


@pytest.fixture(scope="session")
def forbidden_connections() -> Iterator[list[str]]:
    """Hosts beyond the loopback that this process tried to reach; each try failed."""
    tried: list[str] = []
    patch = pytest.MonkeyPatch()

    def guarded(
        real: Callable[..., Any], host_of: Callable[..., object], *, lookup: bool
    ) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            host = host_of(*args, **kwargs)
            if not _is_here(host, lookup=lookup):
                tried.append(str(host))
                raise PermissionError(f"a test tried to reach {host}: only the loopback is allowed")
            return real(*args, **kwargs)

        return call

    def peer(sock: socket.socket, address: Any) -> object:
        return address[0] if sock.family in (socket.AF_INET, socket.AF_INET6) else None

    def asked(host: object, *_: object, **__: object) -> object:
        return host

    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)
        patch.setattr(socket.socket, name, guarded(real, peer, lookup=False))
    for name in ("getaddrinfo", "gethostbyname"):
        patch.setattr(socket, name, guarded(getattr(socket, name), asked, lookup=True))
    yield tried
    patch.undo()


@pytest.fixture(autouse=True)
def only_loopback(forbidden_connections: list[str]) -> Iterator[None]:
    """A test that reaches beyond the loopback fails, even where the code survives the refusal."""
    forbidden_connections.clear()
    yield
    assert not forbidden_connections, f"tried to reach {forbidden_connections}"


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of the five sample dumps."""
    return CORPUS


@pytest.fixture(scope="session")
def encoder() -> MiniLM:
    """The encoder that ships with citewise, loaded once."""
    return MiniLM()


@pytest.fixture(scope="session")
def filling(
    tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM
) -> Iterator[tuple[Library, IngestReport]]:
    """A library filled from the five dumps, and the report of filling it.

    Where several processes test, the first fills it, and each takes a copy for itself.
    """
    base = tmp_path_factory.getbasetemp()
    filled = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "filled"
    with FileLock(f"{filled}.lock"):
        if not filled.exists():
            aside = tmp_path_factory.mktemp("filling")
            with Library.open(aside / "library", embedder=encoder) as library:
                (aside / "report").write_bytes(pickle.dumps(library.ingest(CORPUS)))
            aside.rename(filled)
    report: IngestReport = pickle.loads((filled / "report").read_bytes())  # noqa: S301 - of this run
    folder = tmp_path_factory.mktemp("sample") / "library"
    shutil.copytree(filled / "library", folder)
    with Library.open(folder, embedder=encoder) as library:
        yield library, report


@pytest.fixture(scope="session")
def sample_library(filling: tuple[Library, IngestReport]) -> Library:
    """All 475 sample papers, embedded. Shared by all tests: read from it, never write to it."""
    return filling[0]
