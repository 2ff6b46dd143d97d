"""How rows of the audit index are printed: for people, as JSON, and as CSV for spreadsheets."""

import csv
import sys
from collections.abc import Sequence
from typing import Final

from ragplatform.audit.disclosures import Disclosure, UnderGlass
from ragplatform.audit.index_query import Entry
from ragplatform.audit.record import stamp
from ragplatform.commands import console
from ragplatform.model import Json
from ragplatform.reviewing import Listed

EVENT_COLUMNS: Final = (
    *("record", "time", "action", "outcome", "who", "purpose", "names", "sealed"),
)
GLASS_COLUMNS: Final = (
    *("opening", "time", "action", "outcome", "who", "what", "showed it", "record"),
)
_COLUMNS: Final = (
    *("time", "recipient", "via", "purpose", "exempt", "how", "action", "documents", "passages"),
    *("request", "record", "leaf"),
)


def _place(entry: Entry) -> str:
    return f"{entry.origin}/{entry.index}"


def _located(entry: Entry) -> dict[str, Json]:
    return {
        "origin": entry.origin,
        "index": entry.index,
        "leaf": entry.leaf.hex(),
        "time": stamp(entry.time),
        "action": entry.action,
        "outcome": entry.outcome,
        "tenant": entry.tenant,
        "actor": entry.actor,
        "via": entry.via or None,
        "purpose": entry.purpose,
        "request_id": entry.request_id,
    }


def event_json(row: Listed) -> dict[str, Json]:
    """Return one record for machines."""
    record = row.record
    return {
        **_located(row.entry),
        "details": None if record is None else dict(record.details),
        "sealed": sorted(record.sealed.parts) if record and record.sealed else [],
    }


def event_row(row: Listed) -> Sequence[str]:
    """Return one record for people, in order of ``EVENT_COLUMNS``."""
    entry, record = row.entry, row.record
    passages = record.details.get("passages") if record else None
    return (
        _place(entry),
        stamp(entry.time)[:19],
        entry.action,
        entry.outcome,
        entry.actor,
        entry.purpose or "",
        f"{len(passages)} passages" if isinstance(passages, list) else "",
        ", ".join(sorted(record.sealed.parts)) if record and record.sealed else "",
    )


def _disclosure_row(row: Disclosure) -> Sequence[str]:
    entry = row.entry
    return (
        stamp(entry.time),
        entry.actor,
        entry.via,
        entry.purpose or "",
        "yes" if row.exempt else "no",
        str(row.how),
        entry.action,
        " ".join(row.documents),
        " ".join(row.passages),
        entry.request_id,
        _place(entry),
        entry.leaf.hex(),
    )


def print_disclosures(rows: Sequence[Disclosure], *, as_json: bool, as_csv: bool) -> None:
    """Print disclosures as a table, JSON lines, or CSV with a header."""
    if as_json:
        for row in rows:
            console.print_json(
                {
                    **_located(row.entry),
                    "how": str(row.how),
                    "passages": list(row.passages),
                    "documents": list(row.documents),
                    "exempt": row.exempt,
                }
            )
    elif as_csv:
        written = csv.writer(sys.stdout, lineterminator="\n")
        written.writerow(_COLUMNS)
        written.writerows([_inert(cell) for cell in _disclosure_row(row)] for row in rows)
    else:
        shown = [0, 1, 3, 5, 7, 10]
        console.table(
            [_COLUMNS[at] for at in shown],
            [[_disclosure_row(row)[at] for at in shown] for row in rows],
        )


def _inert(cell: str) -> str:
    """Return the cell so that no spreadsheet runs it as a formula: an actor chose its own id."""
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def glass_json(row: UnderGlass) -> dict[str, Json]:
    """Return one act under a broken glass for machines."""
    return {
        **_located(row.entry),
        "opening": row.opening,
        "how": str(row.how),
        "showed": row.showed,
    }


def glass_row(row: UnderGlass) -> Sequence[str]:
    """Return one act under a broken glass, in order of ``GLASS_COLUMNS``."""
    entry = row.entry
    return (
        row.opening[:12],
        stamp(entry.time)[:19],
        entry.action,
        entry.outcome,
        entry.actor,
        str(row.how),
        "yes" if row.showed else "no",
        _place(entry),
    )
