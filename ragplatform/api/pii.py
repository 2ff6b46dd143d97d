"""Routes on personal data in texts that callers bring."""

from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request

from ragplatform.api import schemas
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.model import Principal
from ragplatform.redaction import TextRequest
from ragplatform.wiring import Platform

# About 300 pages. Whatever is larger goes through the command line or ingest, in the background.
_LARGEST_BODY: Final = 1024 * 1024
_ANALYZE: Final = "/v1/pii:analyze"
_REDACT: Final = "/v1/pii:redact"
LIMITS: Final[Mapping[str, int]] = {_ANALYZE: _LARGEST_BODY, _REDACT: _LARGEST_BODY}


def add_routes(app: FastAPI, platform: Platform) -> None:
    """Add ``/v1/pii:analyze`` and ``/v1/pii:redact``."""

    @app.post(_ANALYZE, tags=["personal data"], dependencies=[ONE_TURN])
    def analyze(request: Request, who: Caller, body: schemas.AnalyzeBody) -> schemas.AnalyzeOut:
        """Say where personal data stands in texts that you bring; the texts are not kept.

        The record of the audit log holds counts by type, and no text.
        """
        asked = _request(request, who, body)
        found = platform.redactor.analyse(asked, body.min_score)
        return schemas.AnalyzeOut(
            request_id=asked.request_id,
            results=[
                schemas.AnalyzedText(spans=[schemas.SpanOut.of(finding) for finding in findings])
                for findings in found
            ],
        )

    @app.post(_REDACT, tags=["personal data"], dependencies=[ONE_TURN])
    def redact(request: Request, who: Caller, body: schemas.RedactBody) -> schemas.RedactOut:
        """Return texts that you bring without the personal data in them; nothing is kept.

        Pseudonyms are given only for types that you may see in clear for the purpose; other types
        become masks.
        """
        asked = _request(request, who, body)
        redactor = platform.redactor
        done = redactor.mask(asked) if body.mode == "mask" else redactor.redact(asked)
        return schemas.RedactOut(
            request_id=asked.request_id,
            results=[schemas.RedactedText.of(one) for one in done],
        )


def _request(request: Request, who: Principal, body: schemas.TextsBody) -> TextRequest:
    return TextRequest(
        principal=who,
        purpose=body.purpose,
        texts=body.given,
        collection=body.collection,
        request_id=request.state.request_id,
        trace=request.state.trace,
    )
