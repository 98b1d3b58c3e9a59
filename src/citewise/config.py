"""Settings, from arguments, environment and file, in that order; nothing is read at import."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import platformdirs

from citewise.backends.limits import Limits
from citewise.errors import UsageError
from citewise.sources.base import ReadLimits
from citewise.types import Price

CONFIG_FILE = "config.toml"
DEFAULT_BACKEND = "extractive"
DEFAULT_EMBEDDER = "minilm"


def user_library() -> Path:
    """Where the library lies when nothing names one: in the user's data folder."""
    return Path(platformdirs.user_data_dir("citewise", False)) / "library"


@dataclass(frozen=True, slots=True)
class Config:
    """What can be set once instead of at every call."""

    library: Path
    """Folder of the library; ``$CITEWISE_LIBRARY``, or ``library`` in the file."""
    backend: str = DEFAULT_BACKEND
    """Who writes answers; ``$CITEWISE_BACKEND``, or ``backend`` in the file."""
    backends: tuple[str, ...] = ()
    """Further ones that the page offers beside ``backend``; a list in the file."""
    prices: Mapping[str, Price] = field(default_factory=dict)
    """What models cost, by backend; ``[prices."openai:MODEL"]`` in the file alone."""
    limits: ReadLimits = field(default_factory=ReadLimits)
    """Bounds of what is read of a file of papers; ``[limits]`` in the file alone."""
    model: Limits = field(default_factory=Limits)
    """How long and how much a model's server may take; ``[model]`` in the file alone."""
    embedder: str | None = None
    """What turns texts into vectors; ``$CITEWISE_EMBEDDER``, or ``embedder`` in the file. None: the
    shipped one that the library was made with, ``DEFAULT_EMBEDDER`` for a new one."""
    vectors: str | None = None
    """Chroma server of the vectors, ``http://host:8000``; ``$CITEWISE_VECTORS``, or ``vectors`` in
    the file. None: where the library's own settings say."""
    auth: Path | None = None
    """File of the page's users; ``$CITEWISE_AUTH``, or ``auth`` in the file."""

    @classmethod
    def load(
        cls,
        *,
        library: str | None = None,
        backend: str | None = None,
        embedder: str | None = None,
        vectors: str | None = None,
        auth: str | None = None,
        env: Mapping[str, str] | None = None,
        file: Path | None = None,
    ) -> Config:
        """Arguments win over the environment, the environment over the file.

        The file is ``config.toml`` in the user's configuration folder unless given; it may be
        absent. Raises UsageError when it is not valid TOML or names an unknown setting.
        """
        values = os.environ if env is None else env
        path = file or Path(platformdirs.user_config_dir("citewise", False)) / CONFIG_FILE
        stored = _read(path)
        folder = library or values.get("CITEWISE_LIBRARY") or stored.get("library")
        people = auth or values.get("CITEWISE_AUTH") or stored.get("auth")
        return cls(
            library=Path(folder).expanduser() if folder else user_library(),
            backend=(
                backend
                or values.get("CITEWISE_BACKEND")
                or stored.get("backend")
                or DEFAULT_BACKEND
            ),
            backends=tuple(stored.get("backends", ())),
            prices=stored.get("prices", {}),
            limits=stored.get("limits") or ReadLimits(),
            model=stored.get("model") or Limits(),
            embedder=(
                embedder or values.get("CITEWISE_EMBEDDER") or stored.get("embedder") or None
            ),
            vectors=vectors or values.get("CITEWISE_VECTORS") or stored.get("vectors") or None,
            auth=Path(people).expanduser() if people else None,
        )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"The settings in {path} cannot be read: {error}.") from error
    prices = content.pop("prices", {})
    limits = _bounds("limits", ReadLimits, content.pop("limits", {}), path)
    model = _bounds("model", Limits, content.pop("model", {}), path)
    backends = content.pop("backends", [])
    if not isinstance(backends, list) or not all(isinstance(name, str) for name in backends):
        raise UsageError(f'{path}: backends is a list of texts, such as backends = ["extractive"].')
    known = set(Config.__dataclass_fields__) - {"backends", "prices", "limits", "model"}
    for name, value in content.items():
        if name not in known or not isinstance(value, str):
            raise UsageError(
                f"{path} sets {name!r}; it may set {', '.join(sorted(known))}, each to a text, "
                "backends, prices, limits and model."
            )
    return {
        **content,
        "backends": backends,
        "prices": _prices(prices, path),
        "limits": limits,
        "model": model,
    }


_Bounds = TypeVar("_Bounds", ReadLimits, Limits)


def _bounds(name: str, of: type[_Bounds], table: object, path: Path) -> _Bounds:
    known = of.__slots__
    if not isinstance(table, dict) or not table.keys() <= set(known):
        raise UsageError(f"{path}: [{name}] may set {', '.join(known)}.")
    try:
        return of(**table)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _prices(table: object, path: Path) -> dict[str, Price]:
    if not isinstance(table, dict):
        raise UsageError(f'{path} sets prices to a value; write [prices."openai:MODEL"] above it.')
    found = {}
    for name, row in table.items():
        given = dict(row) if isinstance(row, dict) else {}
        currency = given.pop("currency", "")
        numbers = [
            value
            for value in given.values()
            if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        ]
        if (
            given.keys() != {"prompt", "completion"}
            or len(numbers) != 2
            or not isinstance(currency, str)
        ):
            raise UsageError(
                f"{path}: the price of {name!r} needs prompt and completion, each the price of a "
                "million tokens (0 or more), and may have a currency, a text."
            )
        found[name] = Price(float(given["prompt"]), float(given["completion"]), currency)
    return found
