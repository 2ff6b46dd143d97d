"""Relations from a CSV file, as other systems export them: all of it, or nothing."""

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Final

from ragplatform.access.desk import RawRelation
from ragplatform.errors import InvalidRequestError

_NEEDED: Final = ("principal", "subject")
_KNOWN: Final = (*_NEEDED, "starts", "ends")


def read_feed(path: Path) -> list[RawRelation]:
    """Return the relations of a CSV file with the columns ``principal,subject,starts,ends``.

    The last two may be absent or empty. Times are ISO 8601 with a zone; a date alone means its
    whole day in UTC, so that what ``ends`` on a day still holds on it. Raises
    ``InvalidRequestError`` naming the line of whatever is wrong: half a feed would close to some
    what is open to them.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_relations(csv.DictReader(file, strict=True)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequestError(f"{path}: cannot be read as CSV: {error}") from error


def _relations(rows: "csv.DictReader[str]") -> Iterator[RawRelation]:
    columns = rows.fieldnames or []
    if not set(_NEEDED) <= set(columns) <= set(_KNOWN) or len(set(columns)) < len(columns):
        raise InvalidRequestError(f"the first line must name the columns {', '.join(_KNOWN)}")
    for row in rows:
        try:
            yield _relation(row)
        except ValueError as error:
            raise InvalidRequestError(f"line {rows.line_num}: {error}") from error


def _relation(row: "dict[str | Any, str | Any]") -> RawRelation:
    # A cell too many has no column; one too few has no value.
    if None in row or None in row.values():
        raise ValueError("it has another number of cells than the first line")
    if not row["principal"].strip() or not row["subject"].strip():
        raise ValueError("principal and subject are needed")
    return RawRelation(
        principal=row["principal"],
        subject=row["subject"],
        starts=_moment(row.get("starts", ""), timedelta()),
        ends=_moment(row.get("ends", ""), timedelta(days=1)),
    )


def _moment(text: str, of_day: timedelta) -> datetime | None:
    """Return the moment, or None for an empty cell; of a date, the given time of its day."""
    stripped = text.strip()
    if not stripped:
        return None
    if len(stripped) == len("2026-01-31"):
        day = date.fromisoformat(stripped)
        if of_day and day == date.max:
            # The last day there is: what many systems write for "no end".
            return None
        return datetime.combine(day, time(), UTC) + of_day
    moment = datetime.fromisoformat(stripped)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone, such as 2026-01-31T08:00:00Z")
    return moment
