"""The server of a cosigning witness. It runs on another host than the logs that it watches.

    POST /add-checkpoint            the protocol's one call
    GET  /HASH/checkpoint           the newest checkpoint of a log that was cosigned
    GET  /checkpoints               those of all logs, for `audit verify --from-checkpoint`
    GET  /livez

``HASH`` is the SHA-256 of the log's origin, in lower-case hexadecimal.

Source: C2SP tlog-witness, version 1.1.0 (https://c2sp.org/tlog-witness). The last two are ours.
"""

import hashlib
from http import HTTPStatus

import structlog
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ragplatform.audit.witness_book import CosigningWitness, RefusalError
from ragplatform.errors import PlatformError

_log = structlog.get_logger("ragplatform.witness")

# A checkpoint with its proof takes about 3 KiB; a note may bear some further signatures.
LARGEST_REQUEST = 64 * 1024

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def create_witness_app(witness: CosigningWitness) -> Starlette:
    """Return the application over a witness; whoever opened the witness closes it."""

    async def add_checkpoint(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return _text("the request is too large\n", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return await run_in_threadpool(_added, witness, body)

    async def checkpoint(request: Request) -> Response:
        wanted = request.path_params["hash"]
        origins = await run_in_threadpool(witness.held.origins)
        found = [o for o in origins if hashlib.sha256(o.encode()).hexdigest() == wanted]
        if not found:
            return _text("no checkpoint of this log was cosigned\n", HTTPStatus.NOT_FOUND)
        return await run_in_threadpool(_newest, witness, found)

    async def checkpoints(_: Request) -> Response:
        origins = await run_in_threadpool(witness.held.origins)
        return await run_in_threadpool(_newest, witness, origins)

    async def livez(_: Request) -> Response:
        return _text("ok\n")

    return Starlette(
        routes=[
            Route("/add-checkpoint", add_checkpoint, methods=["POST"]),
            Route("/{hash}/checkpoint", checkpoint),
            Route("/checkpoints", checkpoints),
            Route("/livez", livez),
        ]
    )


async def _body(request: Request) -> bytes | None:
    """Return the body, or None for one that no honest client sends."""
    found = b""
    async for piece in request.stream():
        found += piece
        if len(found) > LARGEST_REQUEST:
            return None
    return found


def _added(witness: CosigningWitness, body: bytes) -> Response:
    try:
        return _text(witness.add_checkpoint(body))
    except RefusalError as refused:
        _log.warning("checkpoint_refused", status=int(refused.status), reason=str(refused))
        if refused.known_size is None:
            return _text(f"{refused}\n", refused.status)
        return Response(
            f"{refused.known_size}\n",
            refused.status,
            headers=_HEADERS,
            media_type="text/x.tlog.size",
        )
    except (PlatformError, OSError) as error:
        # Its disk is full, or its memory damaged: then it signs nothing.
        _log.error("witness_unable", error=str(error))
        return _text("the witness cannot sign now\n", HTTPStatus.SERVICE_UNAVAILABLE)


def _newest(witness: CosigningWitness, origins: list[str]) -> Response:
    try:
        notes = [note for origin in origins if (note := witness.held.newest(origin))]
    except (PlatformError, OSError) as error:
        _log.error("witness_unable", error=str(error))
        return _text("what was cosigned cannot be read\n", HTTPStatus.SERVICE_UNAVAILABLE)
    return _text("\n\n".join(map(str, notes)))


def _text(text: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return PlainTextResponse(text, status, headers=_HEADERS)
