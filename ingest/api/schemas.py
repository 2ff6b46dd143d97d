"""What the routes of ingest take and give."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, JsonValue

from ingest.by_hand import KEYS
from ingest.intake import documents_of
from ingest.queue import QueuedRun, RunEvent, RunState, What
from ingest.runs import Run
from ragplatform.api.schemas import Body
from ragplatform.errors import InvalidRequestError
from ragplatform.model import Json, Purpose

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
    document: str | None = Field(description="What is taken out of quarantine.")
    collection: str
    asked_by: str
    purpose: Purpose
    state: RunState
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    outcome: dict[str, JsonValue]
    progress: dict[str, JsonValue] | None = Field(
        None,
        description="How far the last attempt at it is, as `ragplatform-ingest status` says it; "
        "null in lists, and before a worker has it.",
    )

    @classmethod
    def of(cls, run: QueuedRun, attempt: Run | None = None) -> "RunOut":
        """Return the run for the wire; ``attempt`` is the ledger's of it."""
        return cls(
            id=run.run,
            kind=run.kind,
            source=run.what if run.kind is What.SOURCE else None,
            document=run.what if run.kind is What.QUARANTINE else None,
            collection=run.collection,
            asked_by=run.principal.id,
            purpose=run.purpose,
            state=run.state,
            asked_at=run.asked_at,
            started_at=run.started_at,
            finished_at=run.finished_at,
            outcome=dict(run.outcome),
            progress=None if attempt is None else attempt.standing_json(),
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
    purpose: Literal["user_data", "batch", "batch_output"] = "user_data"
    status: Literal["uploaded", "processed", "error"]
    status_details: str | None = Field(
        None, description="Why it was not taken in: a word of the table of reasons."
    )
    collection: str = Field(description='Where it went; "" for files of batches.')
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
        went_in = documents and run.state in {RunState.SUCCEEDED, RunState.INCOMPLETE}
        status = "processed" if went_in else "error"
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


class LabelsBody(Body):
    """Labels to be given by hand: those named replace the document's, the others stay."""

    sensitivity: Literal["public", "internal", "confidential", "restricted"] | None = None
    department: Annotated[str, Field(max_length=63)] | None = None
    restrictions: list[Name] | None = Field(
        None, max_length=32, description="All of them; an empty list removes every one."
    )
    retain_until: Annotated[str, Field(max_length=10)] | None = Field(
        None, description="A day, such as 2032-12-31."
    )
    state: Annotated[str, Field(max_length=63)] | None = None

    def changes(self) -> dict[str, Json]:
        """Return the labels that were named. Raises ``InvalidRequestError`` for none."""
        named: dict[str, Json] = self.model_dump(include=set(KEYS), exclude_none=True)
        if not named:
            raise InvalidRequestError(f"name a label: {', '.join(KEYS)}")
        return named


class RelabelBody(LabelsBody):
    """Labels to be given by hand, and why you act."""

    purpose: Purpose = Field(examples=["COMPLIANCE"])


class RelabelOut(BaseModel):
    """How many passages got other labels."""

    passages: int
