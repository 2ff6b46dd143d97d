"""Routes on files that callers bring, in the shape of OpenAI's files API.

Why they act stands in a header, as these clients cannot put it elsewhere: they send it with every
request when they are made with ``default_headers``.
"""

from typing import Annotated, Any, Final

import anyio.from_thread
from fastapi import FastAPI, Header, Query, Request

from ingest.api.form import Form
from ingest.api.runs import asking
from ingest.api.schemas import FileGone, FileOut, FilesOut, file_out
from ingest.intake import Intake, Upload
from ingest.queue import What, new_run
from ingest.sources import parse_labels
from ragplatform.access.desk import Caller as Asking
from ragplatform.api.caller import Caller
from ragplatform.api.fairness import ONE_TURN
from ragplatform.errors import ConfigurationError, InvalidRequestError, NotFoundError
from ragplatform.model import Purpose

FILES: Final = "/v1/files"
# What a form adds to its file: the fields and the boundaries.
FORM_BYTES: Final = 512 * 1024
_PREFIX: Final = "file-"
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["collection", "file"],
                    "properties": {
                        "collection": {"type": "string", "description": "Where it goes."},
                        "purpose": {"type": "string", "enum": ["user_data"]},
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


def add_routes(app: FastAPI, intake: Intake) -> None:
    """Add the routes under ``/v1/files``."""

    @app.post(FILES, tags=["ingest"], dependencies=[ONE_TURN], openapi_extra=_FORM)
    def upload(request: Request, who: Caller, why: Why) -> FileOut:
        """Bring a file. It lies sealed until a worker has taken it in, and is destroyed then."""
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
        upload = Upload(new_run(), form.file_name, _labels(form))
        run = intake.accept(asked, upload, _collection(form), form.file())
        return _file_out(intake, asked, run.run)

    @app.get(FILES, tags=["ingest"])
    def files(
        request: Request,
        who: Caller,
        why: Why,
        after: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> FilesOut:
        """Return the files that you brought, newest first; for operators all of the tenant."""
        asked = asking(request, who, why)
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
        return _file_out(intake, asking(request, who, why), _run(file_id))

    @app.delete(FILES + "/{file_id}", tags=["ingest"], dependencies=[ONE_TURN])
    def delete(request: Request, who: Caller, why: Why, file_id: str) -> FileGone:
        """Take back a file: one that waits is destroyed, what it became is erased.

        Erasing needs the right to erase; what is held stays, and the answer is 403.
        """
        intake.remove(asking(request, who, why), _run(file_id))
        return FileGone(id=file_id)


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
