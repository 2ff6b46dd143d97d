"""The route by which reviewers take their tenant's audit records away."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import FastAPI, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ragplatform.api.caller import Caller
from ragplatform.audit.events import Action
from ragplatform.audit.export.formats import WRITERS, Format
from ragplatform.audit.export.selection import Selection
from ragplatform.wiring import Platform


class ExportParams(BaseModel):
    """In which format, and conditions that must all hold."""

    model_config = ConfigDict(extra="forbid")

    format: Format
    since: AwareDatetime | None = Field(None, description="The earliest time wanted.")
    until: AwareDatetime | None = Field(None, description="The first time not wanted; or now.")
    action: list[Action] = Field([], description="Only these kinds of act.")
    request_id: str | None = Field(None, min_length=1, max_length=256)


def add_routes(app: FastAPI, platform: Platform) -> None:
    """Add ``/v1/audit/export``."""

    @app.get(
        "/v1/audit/export",
        tags=["audit"],
        response_class=StreamingResponse,
        responses={200: {"content": {w.media_type.split(";")[0]: {} for w in WRITERS.values()}}},
    )
    def audit_export(
        request: Request, who: Caller, asked: Annotated[ExportParams, Query()]
    ) -> StreamingResponse:
        """Export your tenant's audit records, for reviewers, oldest first within each log.

        Sealed parts stay sealed. The export is recorded when it begins and when it is done; a body
        that ends early was not recorded as done.
        """
        now = datetime.now(UTC)
        blocks = platform.exporter.export(
            who,
            request.state.request_id,
            asked.format,
            Selection(
                until=min(asked.until or now, now),
                since=asked.since,
                request_id=asked.request_id,
                actions=frozenset(asked.action),
            ),
        )
        name = f"audit.{asked.format}"
        return StreamingResponse(
            blocks,
            media_type=WRITERS[asked.format].media_type,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
