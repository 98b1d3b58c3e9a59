"""The doors of the Library and Evaluate rooms for files: uploads, exports, reports.

Gradio carries what the rooms show; files go through here, in pieces, so that a large one neither
fills the memory nor a folder of Gradio's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.responses import StreamingResponse as Streaming

from citewise.errors import CitewiseError, UsageError
from citewise.evaluation import runs
from citewise.export import EXPORTS
from citewise.library.library import Library
from citewise.types import Paper
from citewise.web.adding import MOST_BYTES, Adding
from citewise.web.views import MOST_CHOSEN, View, every, named

log = logging.getLogger("citewise")

MEDIA_TYPES = {
    "jsonl": ("application/jsonl", "jsonl"),
    "bibtex": ("application/x-bibtex", "bib"),
    "ris": ("application/x-research-info-systems", "ris"),
    "csv": ("text/csv", "csv"),
}
"""Media type and file name's end of each export."""
_FORM_BYTES = 4 * 2**20

UserOf = Callable[[Request], str]


def add_library_routes(
    app: FastAPI, library: Library, adding: Adding, *, prefix: str = "", user_of: UserOf
) -> None:
    """Let ``app`` take files for a library and hand out its papers, under ``prefix``."""

    async def upload(request: Request) -> Response:
        lot, name = request.query_params.get("lot", ""), request.query_params.get("name", "")
        user = user_of(request)
        try:
            if int(request.headers.get("content-length") or 0) > MOST_BYTES:
                return _too_large(name)
            path = await run_in_threadpool(adding.receive, lot, name, user)
        except (UsageError, ValueError) as error:
            return _refused(str(error))
        size = 0
        try:
            with path.open("wb") as file:
                async for piece in request.stream():
                    size += len(piece)
                    if size > MOST_BYTES or not adding.room_for(lot, len(piece), user):
                        adding.drop(lot, user)
                        return _too_large(name)
                    await run_in_threadpool(file.write, piece)
        except OSError as error:
            adding.drop(lot, user)
            log.warning("a file that was sent could not be kept: %s", error)
            return _refused("The server has no room for the file.", 507)
        return JSONResponse({"received": size})

    async def begin(request: Request) -> Response:
        try:
            job = adding.begin(request.query_params.get("lot", ""), user_of(request))
        except UsageError as error:
            return _refused(str(error))
        return JSONResponse({"job": job.number})

    async def export(request: Request) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > _FORM_BYTES:
                return _refused("Too many papers are named; export all, or fewer.", 413)
        fields = {
            name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()
        }
        fields = {**request.query_params, **fields}
        try:
            kind = fields.get("format", "")
            if kind not in EXPORTS:
                raise UsageError(f"Papers are exported as {', '.join(EXPORTS)}.")
            papers = _papers_of(library, fields)
            # A view that cannot be is an answer of its own, before the first byte.
            first = await run_in_threadpool(lambda: next(papers, None))
        except (UsageError, ValueError) as error:
            return _refused(str(error))
        except CitewiseError as error:
            return _refused(str(error), 503)
        media, end = MEDIA_TYPES[kind]

        def lines() -> Iterator[bytes]:
            def again() -> Iterator[Paper]:
                if first is not None:
                    yield first
                yield from papers

            for line in EXPORTS[kind](again()):
                yield line.encode("utf-8", "backslashreplace")

        return Streaming(
            lines(),
            media_type=f"{media}; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="papers.{end}"'},
        )

    def report(name: str) -> Response:
        try:
            file = runs.load(name).info.report
        except CitewiseError:
            file = None
        if file is None:
            return PlainTextResponse("There is no such report.", 404)
        # Its own policy lets nothing in or out; this one also takes it out of our origin.
        return FileResponse(
            file,
            media_type="text/html; charset=utf-8",
            headers={"content-security-policy": "sandbox allow-scripts; frame-ancestors 'self'"},
        )

    app.add_api_route(f"{prefix}/papers/upload", upload, methods=["POST"])
    app.add_api_route(f"{prefix}/papers/begin", begin, methods=["POST"])
    app.add_api_route(f"{prefix}/papers/export", export, methods=["GET", "POST"])
    app.add_api_route(f"{prefix}/evaluations/{{name}}/report.html", report, methods=["GET"])


def _papers_of(library: Library, fields: dict[str, str]) -> Iterator[Paper]:
    """The papers that a form names: by id, or as a view."""
    if "ids" not in fields:
        return every(library, View.of(fields))
    ids = json.loads(fields["ids"])
    if not isinstance(ids, list) or len(ids) > MOST_CHOSEN:
        raise UsageError(f"Up to {MOST_CHOSEN} papers can be named; export all, or fewer.")
    return named(library, [str(paper_id) for paper_id in ids])


def _refused(said: str, status: int = 400) -> Response:
    return JSONResponse({"error": said}, status)


def _too_large(name: str) -> Response:
    return _refused(
        f"{name or 'The file'} is too large: the page takes files of {MOST_BYTES // 2**20} MB and "
        "lots of four times that. `citewise ingest` reads larger ones.",
        413,
    )
