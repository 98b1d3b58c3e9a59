"""Papers from live services: the only part of citewise that needs the network."""

from __future__ import annotations

from citewise.fetch.client import Client
from citewise.fetch.fetching import FetchReport, fetch
from citewise.fetch.services import SERVICES, ArxivQuery, DailyPapers, OpenAlexSearch, Service

__all__ = [
    "SERVICES",
    "ArxivQuery",
    "Client",
    "DailyPapers",
    "FetchReport",
    "OpenAlexSearch",
    "Service",
    "fetch",
]
