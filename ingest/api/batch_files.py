"""Files of batches among the other files: requests that are brought, answers that are taken.

Their ids begin otherwise than those of documents, and they are their submitter's alone.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from ingest.api.schemas import FileOut
from ragplatform.access.desk import Caller
from ragplatform.api.openai.batches import ERRORS, INPUT, OUTPUT, line_state
from ragplatform.batches.book import BatchInput
from ragplatform.batches.desk import BatchDesk
from ragplatform.errors import NotFoundError

BATCH: Final = "batch"


def is_of_batch(file_id: str) -> bool:
    """Return whether an id is that of a batch's file."""
    return file_id.startswith((INPUT, OUTPUT, ERRORS))


def bring(desk: BatchDesk, caller: Caller, name: str, pieces: Iterable[bytes]) -> FileOut:
    """Keep a file of requests. Raises as ``BatchDesk.accept``."""
    return _input_out(desk.accept(caller, pieces), name)


def listed(desk: BatchDesk, caller: Caller) -> list[FileOut]:
    """Return the caller's files of requests, newest first."""
    return [_input_out(one, "") for one in desk.inputs(caller)]


def one_file(desk: BatchDesk, caller: Caller, file_id: str) -> FileOut:
    """Return one file of a batch. Raises ``NotFoundError``."""
    if file_id.startswith(INPUT):
        return _input_out(desk.input(caller, file_id.removeprefix(INPUT)), "")
    prefix, batch = _parts(file_id)
    found = desk.standing(caller, batch).batch
    size = desk.size(batch, line_state(prefix))
    if not found.state.final or not size:
        raise NotFoundError("there is no such file or batch of yours for this purpose")
    return _out(file_id, size, found.ended, "batch_output")


def content(desk: BatchDesk, caller: Caller, file_id: str) -> Iterator[bytes]:
    """Return the answers, or the errors, of a batch, line by line. Raises ``NotFoundError``."""
    prefix, batch = _parts(file_id)
    return desk.answers(caller, batch, line_state(prefix))


def remove(desk: BatchDesk, caller: Caller, file_id: str) -> None:
    """Destroy a file of requests, or a batch with all its answers. Raises ``NotFoundError``."""
    if file_id.startswith(INPUT):
        desk.remove(caller, file_id.removeprefix(INPUT))
    else:
        desk.remove_answers(caller, _parts(file_id)[1])


def _parts(file_id: str) -> tuple[str, str]:
    prefix = next((one for one in (OUTPUT, ERRORS) if file_id.startswith(one)), None)
    if prefix is None:
        raise NotFoundError("only the answers of a batch can be read")
    return prefix, file_id.removeprefix(prefix)


def _input_out(one: BatchInput, name: str) -> FileOut:
    return _out(f"{INPUT}{one.file}", one.bytes, one.created, BATCH, name)


def _out(file_id: str, size: int, created: float, purpose: str, name: str = "") -> FileOut:
    return FileOut.model_validate(
        {
            "id": file_id,
            "bytes": size,
            "created_at": int(created),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
            "collection": "",
            "run": "",
            "documents": [],
        }
    )
