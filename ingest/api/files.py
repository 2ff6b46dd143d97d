"""Routes on files that callers bring, in the shape of OpenAI's files API.

Why they act stands in a header, as these clients cannot put it elsewhere: they send it with every
request when they are made with ``default_headers``.
"""

from typing import Annotated, Any, Final, Literal

import anyio.from_thread
from fastapi import FastAPI, Header, Query, Request
from fastapi.responses import StreamingResponse

from ingest.api import batch_files
from ingest.api.form import Form
from ingest.api.runs import asking
from ingest.api.schemas import FileGone, FileOut, FilesOut, file_out
from ingest.intake import Intake, Upload
from ingest.queue import What, new_run
from ingest.sources import parse_labels
from ragplatform.access.desk import Caller as Asking
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.batches.desk import BatchDesk
from ragplatform.errors import ConfigurationError, InvalidRequestError, NotFoundError
from ragplatform.model import Purpose

FILES: Final = "/v1/files"
# What a form adds to its file: the fields and the boundaries.
FORM_BYTES: Final = 512 * 1024
_PREFIX: Final = "file-"
_LINES: Final = "application/jsonl"
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "collection": {
                            "type": "string",
                            "description": "Where it goes; none for a batch's requests.",
                        },
                        "purpose": {"type": "string", "enum": ["user_data", "batch"]},
                        "label": {
                            "type": "array",
                            "items": {"type": "string"},
                            "description": "As on the command line: `subject=mrn:MH-204518`.",
                        },
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "The last part of the form.",
                        },
                    },
                }
            }
        },
    }
}

Why = Annotated[
    Purpose, Header(alias="X-Purpose-Of-Use", description="Why you act, such as HOPERAT.")
]
FileId = Annotated[str, "The id of a file"]


def add_routes(app: FastAPI, intake: Intake, desk: BatchDesk) -> None:
    """Add the routes under ``/v1/files``; ``desk`` keeps the files of batches."""
    _add_looks(app, intake, desk)

    @app.post(FILES, tags=["ingest"], dependencies=[ONE_TURN], openapi_extra=_FORM)
    def upload(request: Request, who: Caller, why: Why) -> FileOut:
        """Bring a file. It lies sealed until a worker has taken it in, and is destroyed then.

        One of purpose `batch` holds requests, and is destroyed when its batch has ended.
        """
        stream = request.stream()

        async def piece() -> bytes:
            # An empty piece means no more to the form, and may come in between here.
            async for data in stream:
                if data:
                    return data
            return b""

        form = Form(request.headers.get("content-type", ""), lambda: anyio.from_thread.run(piece))
        form.read_fields()
        asked = asking(request, who, why)
        if form.fields.get("purpose") == [batch_files.BATCH]:
            return batch_files.bring(desk, asked, form.file_name, form.file())
        upload = Upload(new_run(), form.file_name, _labels(form))
        run = intake.accept(asked, upload, _collection(form), form.file())
        return _file_out(intake, asked, run.run)

    @app.delete(FILES + "/{file_id}", tags=["ingest"], dependencies=[ONE_TURN])
    def delete(request: Request, who: Caller, why: Why, file_id: str) -> FileGone:
        """Take back a file: one that waits is destroyed, what it became is erased.

        Erasing needs the right to erase; what is held stays, and the answer is 403. The answers of
        a batch are destroyed.
        """
        if batch_files.is_of_batch(file_id):
            batch_files.remove(desk, asking(request, who, why), file_id)
            return FileGone(id=file_id)
        intake.remove(asking(request, who, why), _run(file_id))
        return FileGone(id=file_id)


def _add_looks(app: FastAPI, intake: Intake, desk: BatchDesk) -> None:
    @app.get(FILES, tags=["ingest"])
    def files(
        request: Request,
        who: Caller,
        why: Why,
        after: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        purpose: Annotated[Literal["user_data", "batch"], Query()] = "user_data",
    ) -> FilesOut:
        """Return the files that you brought, newest first; for operators all of the tenant.

        Files of requests, of purpose `batch`, are a list of their own, and yours alone.
        """
        asked = asking(request, who, why)
        if purpose == batch_files.BATCH:
            own = batch_files.listed(desk, asked)
            ends = (own[0].id, own[-1].id) if own else (None, None)
            return FilesOut(data=own, first_id=ends[0], last_id=ends[1], has_more=False)
        before = _run(after) if after else None
        found = intake.runs(asked, kind=What.FILE, before=before, limit=limit + 1)
        data = [_file_out(intake, asked, one.run) for one in found[:limit]]
        return FilesOut(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=len(found) > limit,
        )

    @app.get(FILES + "/{file_id}", tags=["ingest"])
    def one_file(request: Request, who: Caller, why: Why, file_id: str) -> FileOut:
        """Say what became of a file. 404 alike for what is not there and what is not yours."""
        if batch_files.is_of_batch(file_id):
            return batch_files.one_file(desk, asking(request, who, why), file_id)
        return _file_out(intake, asking(request, who, why), _run(file_id))

    @app.get(
        FILES + "/{file_id}/content",
        tags=["ingest"],
        dependencies=[ONE_TURN],
        response_class=StreamingResponse,
        responses={200: {"content": {_LINES: {}}}},
    )
    def content(request: Request, who: Caller, why: Why, file_id: str) -> StreamingResponse:
        """Return the answers, or the errors, of a batch of yours that has ended, line by line.

        What was erased since is a line that says so. No other file can be read.
        """
        lines = batch_files.content(desk, asking(request, who, why), file_id)
        return StreamingResponse(lines, media_type=_LINES)


def _file_out(intake: Intake, asked: Asking, run: str) -> FileOut:
    found = intake.run(asked, run)
    if found.kind is not What.FILE:
        raise NotFoundError("you brought no file of that id")
    events = intake.all_events(asked, run) if found.state.final else []
    return file_out(found, intake.name(found.tenant, run), events)


def _run(file_id: str) -> str:
    if not file_id.startswith(_PREFIX):
        raise NotFoundError("you brought no file of that id")
    return file_id.removeprefix(_PREFIX)


def _collection(form: Form) -> str:
    given = form.fields.get("collection", [])
    if len(given) != 1:
        raise InvalidRequestError("collection: wanted one, before the file")
    return given[0]


def _labels(form: Form) -> Any:  # GivenLabels
    try:
        return parse_labels(form.fields.get("label", []))
    except ConfigurationError as error:
        raise InvalidRequestError(str(error)) from error
