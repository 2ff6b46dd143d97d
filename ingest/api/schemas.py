"""What the routes of ingest take and give."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue

from ingest.intake import documents_of
from ingest.queue import QueuedRun, RunEvent, RunState, What
from ragplatform.api.schemas import Body
from ragplatform.model import Purpose

Name = Annotated[str, Field(min_length=1, max_length=128)]


class RunBody(Body):
    """Which of the configured sources to take in now."""

    purpose: Purpose = Field(examples=["HOPERAT"])
    source: Name = Field(description="Its name in `sources.toml`.")


class PurposeBody(Body):
    """Why you act."""

    purpose: Purpose = Field(examples=["HOPERAT"])


class RunOut(BaseModel):
    """One run that was asked for. `outcome` is its summary, or `error`, once it is done."""

    id: str
    kind: What
    source: str | None
    collection: str
    asked_by: str
    purpose: Purpose
    state: RunState
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    outcome: dict[str, JsonValue]

    @classmethod
    def of(cls, run: QueuedRun) -> "RunOut":
        """Return the run for the wire."""
        return cls(
            id=run.run,
            kind=run.kind,
            source=run.what if run.kind is What.SOURCE else None,
            collection=run.collection,
            asked_by=run.principal.id,
            purpose=run.purpose,
            state=run.state,
            asked_at=run.asked_at,
            started_at=run.started_at,
            finished_at=run.finished_at,
            outcome=dict(run.outcome),
        )


class RunsOut(BaseModel):
    """Runs, newest first."""

    runs: list[RunOut]
    has_more: bool


class FileOut(BaseModel):
    """An uploaded file in the shape of OpenAI's files API, with where it went.

    Its bytes are kept, sealed, only until it is taken in; `filename` is "" from then on.
    """

    id: str = Field(examples=["file-2f6d0f2b6f4e4c0d8b7a0f3f1c9d5e11"])
    object: Literal["file"] = "file"
    bytes: int
    created_at: int = Field(description="Seconds since 1970.")
    filename: str
    purpose: Literal["user_data"] = "user_data"
    status: Literal["uploaded", "processed", "error"]
    status_details: str | None = Field(
        None, description="Why it was not taken in: a word of the table of reasons."
    )
    collection: str
    run: str = Field(description="The run that takes it in: `/v1/ingest/runs/{id}`.")
    documents: list[str] = Field(description="Ids of the documents that it became.")


class FilesOut(BaseModel):
    """Uploaded files, newest first, in the shape of OpenAI's lists."""

    object: Literal["list"] = "list"
    data: list[FileOut]
    first_id: str | None
    last_id: str | None
    has_more: bool


class FileGone(BaseModel):
    """That a file, and what became of it, is gone."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


def file_out(run: QueuedRun, name: str, events: list[RunEvent]) -> FileOut:
    """Return an upload for the wire, read from its run and what happened in it."""
    files = [event.body for event in events if event.kind == "file"]
    reasons = [str(one["reason"]) for one in files if one.get("reason")]
    documents = documents_of(events)
    status: Literal["uploaded", "processed", "error"] = "uploaded"
    if run.state.final:
        # An archive that gave some documents and kept others out did go in.
        status = "processed" if documents and run.state is RunState.SUCCEEDED else "error"
    details = reasons[0] if reasons else run.outcome.get("error")
    if run.state is RunState.CANCELLED:
        details = RunState.CANCELLED.value
    return FileOut(
        id=f"file-{run.run}",
        bytes=run.size,
        created_at=int(run.asked_at.timestamp()),
        filename=name,
        status=status,
        status_details=str(details) if details and status == "error" else None,
        collection=run.collection,
        run=run.run,
        documents=documents,
    )
