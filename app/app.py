"""Serves the default library: ``python app/app.py``; the command ``citewise chat`` does more."""

from __future__ import annotations

from citewise import Assistant, Library
from citewise.web.server import serve

if __name__ == "__main__":
    serve(
        Assistant(Library.open()),
        ready=lambda url: print(f"citewise is ready on {url}", flush=True),
    )
