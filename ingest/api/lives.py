"""Routes on how documents go, and on their labels."""

from typing import Annotated

from fastapi import FastAPI, Path, Request, Response

from ingest.api.runs import asking
from ingest.api.schemas import ErasureBody, ErasureOut, Name, RelabelBody, RelabelOut
from ingest.erasures import LifeDesk
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.model import Purpose

CertificateId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


def add_routes(app: FastAPI, desk: LifeDesk) -> None:
    """Add the routes under ``/v1/erasures``, and the one that relabels."""

    @app.post("/v1/erasures", tags=["erasure"], dependencies=[ONE_TURN])
    def erase(request: Request, who: Caller, body: ErasureBody) -> ErasureOut:
        """Erase a document, or all about people with the values kept of them, and certify it.

        What is on hold or has to be kept stays, and all that was named with it: 403 says why. An
        answer of 503 means that not all went: ask again, and it is finished.
        """
        ended = desk.erase(
            asking(request, who, body.purpose),
            document=body.document,
            subjects=body.subjects or [],
            dry_run=body.dry_run,
        )
        return ErasureOut.of(ended)

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
