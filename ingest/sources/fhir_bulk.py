"""Bulk export of a FHIR server: start it, wait for it, and know which files it gave.

Source: HL7 FHIR Bulk Data Access (Flat FHIR) 2.0, "Export": kick-off, status, complete status.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from ingest.sources.fhir_http import Answer, FhirServer, refused, wait_s
from ragplatform.errors import ConfigurationError, SourceError

_POLL_S: Final = 5.0
_MOST_FILES: Final = 100_000
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
# Source: FHIR R4, data type `instant`.
_INSTANT: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One file of resources of one type, and where it lies."""

    type: str
    url: str


@dataclass(frozen=True, slots=True)
class Exported:
    """One finished export. ``deleted`` is None where the server does not speak of deletions.

    ``taken_at`` is the server's own time: what changes later is in no file.
    """

    taken_at: str
    files: tuple[ExportedFile, ...]
    deleted: tuple[ExportedFile, ...] | None
    errors: tuple[ExportedFile, ...]
    token_for_files: bool
    status_url: str


def export_path(level: str) -> str:
    """Return where an export of a level begins: ``system``, ``patient`` or ``group:ID``.

    Raises ``ConfigurationError`` for another word.
    """
    kind, _, identity = level.partition(":")
    if kind == "group" and _ID.fullmatch(identity):
        return f"Group/{identity}/$export"
    paths = {"system": "$export", "patient": "Patient/$export"}
    if level not in paths:
        raise ConfigurationError("level: one of system, patient, group:ID, search")
    return paths[level]


class BulkExport:
    """Runs exports of one level and set of types."""

    def __init__(
        self, *, server: FhirServer, level: str, types: tuple[str, ...], patience_s: float
    ) -> None:
        """Raises ``ConfigurationError`` for a level or type that FHIR does not know."""
        if wrong := [name for name in types if not _TYPE.fullmatch(name)]:
            raise ConfigurationError(f"types: {wrong[0]!r} is no type of a FHIR resource")
        self._server = server
        self._path = export_path(level)
        self._types = types
        self._patience_s = patience_s

    def run(self, since: str) -> Exported:
        """Have the server export what changed since an instant, all for ``""``, and wait for it.

        Raises ``SourceError`` when it refuses, fails, or takes longer than our patience.
        """
        asked = {"_outputFormat": "application/fhir+ndjson"}
        if since:
            asked["_since"] = since
        if self._types:
            asked["_type"] = ",".join(self._types)
        answer = self._server.ask(f"{self._path}?{urlencode(asked)}", prefer="respond-async")
        where = answer.headers.get("content-location", "")
        if answer.status != 202 or not where:
            raise refused(answer.status)
        try:
            return _manifest(self._finished(where), where)
        except BaseException:
            self._server.discard(where)
            raise

    def _finished(self, where: str) -> Answer:
        """Ask for the status until the export is done. Waits as long as the server asks to."""
        until = time.monotonic() + self._patience_s
        while True:
            answer = self._server.ask(where, accept="application/json")
            if answer.status == 200:
                return answer
            if answer.status != 202:
                raise refused(answer.status)
            wait = wait_s(answer.headers, default_s=_POLL_S)
            if time.monotonic() + wait > until:
                raise SourceError(
                    f"the FHIR server's export took over {self._patience_s:,.0f} s: raise "
                    "`patience_s`, or export fewer types"
                )
            self._server.sleep(wait)

    def forget(self, exported: Exported) -> None:
        """Let the server delete its files."""
        self._server.discard(exported.status_url)


def is_instant(value: object) -> bool:
    """Return whether it is an instant as FHIR writes them."""
    return isinstance(value, str) and _INSTANT.fullmatch(value) is not None


def _manifest(answer: Answer, where: str) -> Exported:
    """Return what a manifest says. Raises ``SourceError`` when it is not one, or not whole."""
    manifest = answer.json()
    taken_at = manifest.get("transactionTime")
    if not is_instant(taken_at):
        raise SourceError("the export's manifest has no transactionTime")
    if any(_relation(one) == "next" for one in _rows(manifest, "link")):
        # Served only to who asks for partial manifests, which we do not: half of it is missing.
        raise SourceError("the export's manifest is a part, which was not asked for")
    return Exported(
        taken_at=str(taken_at),
        files=_files(manifest, "output"),
        deleted=_files(manifest, "deleted") if "deleted" in manifest else None,
        errors=_files(manifest, "error"),
        token_for_files=manifest.get("requiresAccessToken") is True,
        status_url=where,
    )


def _files(manifest: Mapping[str, Any], field: str) -> tuple[ExportedFile, ...]:
    found = []
    for row in _rows(manifest, field):
        kind, url = row.get("type", ""), row.get("url")
        if not isinstance(kind, str) or not isinstance(url, str) or not url:
            raise SourceError(f"the export's manifest names under `{field}` what is no file")
        found.append(ExportedFile(kind, url))
    return tuple(found)


def _rows(manifest: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    rows = manifest.get(field) or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SourceError(f"the export's manifest has a field `{field}` that is no list of files")
    if len(rows) > _MOST_FILES:
        raise SourceError(f"the export's manifest names over {_MOST_FILES:,} files")
    return rows


def _relation(row: Mapping[str, Any]) -> object:
    return row.get("relation")
