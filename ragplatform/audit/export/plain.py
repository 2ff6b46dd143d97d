"""Records as JSON lines of our own, and as rows of a spreadsheet."""

import csv
import io
import re
from typing import Final

from ragplatform.audit.export import reading
from ragplatform.audit.record import Record, canonical, stamp
from ragplatform.model import Json

COLUMNS: Final = (
    "origin index leaf time action outcome tenant actor via purpose request_id policy "
    "documents passages subjects details sealed"
).split()

# A cell that begins so is a formula to a spreadsheet, which runs it. The apostrophe in front makes
# it text. Source: OWASP, CSV Injection.
_FORMULA: Final = re.compile(r"[=+\-@\t\r\n\0＝＋－＠]")

# What could steer a terminal that shows the file; line breaks stay, quoted.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def event(record: Record) -> dict[str, Json]:
    """Return all that a record holds, but for the contents of its sealed parts, by name."""
    return reading.flat(record)


def heading() -> str:
    """Return the first line of the spreadsheet."""
    return _line(COLUMNS)


def row(record: Record) -> str:
    """Return the record as one record of RFC 4180, its line break included.

    A cell that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    passages = reading.passages(record)
    cells = {
        **{name: str(value or "") for name, value in reading.flat(record).items()},
        "index": str(record.index),
        "time": stamp(record.time),
        "via": reading.client(record),
        "policy": reading.policy(record),
        "documents": " ".join(reading.documents(record)),
        "passages": " ".join(passage.chunk for passage in passages),
        "subjects": " ".join(reading.subjects(record)),
        "details": canonical(reading.plain(record.details)).decode(),
        "sealed": " ".join(reading.sealed_parts(record)),
    }
    return _line([_safe(cells[name]) for name in COLUMNS])


def _safe(cell: str) -> str:
    shown = _CONTROL.sub("\ufffd", cell)
    return f"'{shown}" if _FORMULA.match(cell) else shown


def _line(cells: list[str]) -> str:
    held = io.StringIO()
    csv.writer(held, lineterminator="\r\n").writerow(cells)
    return held.getvalue()
