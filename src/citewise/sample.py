"""The sample papers that travel with citewise: five pages of Daily Papers, 475 papers."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from citewise.errors import CitewiseError


def sample_folder() -> Path:
    """Where the five pages lie: inside the installed package, or in the checkout's ``eval/corpus``.

    Raises CitewiseError when neither is there.
    """
    installed = Path(str(files("citewise") / "sample"))
    checkout = Path(__file__).resolve().parents[2] / "eval" / "corpus"
    for folder in (installed, checkout):
        if folder.is_dir():
            return folder
    raise CitewiseError("The sample papers are missing from this installation; install it again.")
