"""Routes on how documents go, and on their labels."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import FastAPI, Path, Query, Request, Response

from ingest.api.lives_schemas import ErasureBody, ErasureOrderOut, ErasureOut
from ingest.api.runs import asking
from ingest.api.schemas import Name, RelabelBody, RelabelOut
from ingest.erasures import LifeDesk, Ordered
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.model import Purpose

_ERASURES: Final = "/v1/erasures"
# Ten thousand people, each by an id of a hundred characters.
LIMITS: Final[Mapping[str, int]] = {_ERASURES: 1024 * 1024}

CertificateId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


def add_routes(app: FastAPI, desk: LifeDesk) -> None:
    """Add the routes under ``/v1/erasures``, and the one that relabels."""

    @app.post(
        _ERASURES,
        tags=["erasure"],
        dependencies=[ONE_TURN],
        responses={202: {"model": ErasureOrderOut, "description": "It waits for a worker."}},
    )
    def erase(
        request: Request, response: Response, who: Caller, body: ErasureBody
    ) -> ErasureOut | ErasureOrderOut:
        """Erase a document, or all about people with the values kept of them, and certify it.

        One is erased at once where the index is small. Several people, and one where it is large,
        are an order: 202, and a worker does it. What is on hold or has to be kept stays: of one,
        403 says why; of several, only those whom it is about. An answer of 503 means that not all
        went: ask again, and it is finished.
        """
        ended = desk.erase(
            asking(request, who, body.purpose),
            document=body.document,
            subjects=body.subjects or [],
            dry_run=body.dry_run,
        )
        if isinstance(ended, Ordered):
            response.status_code = 202
            response.headers["Location"] = f"{_ERASURES}/{ended.standing.erasure}"
            return ErasureOrderOut.of(ended)
        return ErasureOut.of(ended)

    @app.get(_ERASURES + "/{erasure}", tags=["erasure"])
    def order(
        request: Request,
        who: Caller,
        erasure: CertificateId,
        purpose: Purpose,
        after: Annotated[int, Query(ge=0, description="The last number of a page.")] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> ErasureOrderOut:
        """Say how far an order is, and what became of those that it names, page by page."""
        asked = asking(request, who, purpose)
        return ErasureOrderOut.of(desk.standing(asked, erasure, after=after, limit=limit))

    _add_others(app, desk)


def _add_others(app: FastAPI, desk: LifeDesk) -> None:
    @app.get(
        "/v1/erasures/{erasure}/certificate",
        tags=["erasure"],
        response_class=Response,
        responses={200: {"content": {"application/json": {}}}},
    )
    def certificate(
        request: Request, who: Caller, erasure: CertificateId, purpose: Purpose
    ) -> Response:
        """Return the kept copy of a certificate: `certificate verify` checks it anywhere."""
        text = desk.certificate(asking(request, who, purpose), erasure)
        return Response(text, media_type="application/json")

    @app.post("/v1/documents/{document}:relabel", tags=["erasure"], dependencies=[ONE_TURN])
    def relabel(request: Request, who: Caller, document: Name, body: RelabelBody) -> RelabelOut:
        """Give a document other labels, which hold from the next question on.

        Policy must permit it under the old labels and under the new; a hold keeps a document from
        being opened further.
        """
        done = desk.relabel(asking(request, who, body.purpose), document, body.changes())
        return RelabelOut(passages=done.passages)
