"""A FHIR server as a source: bulk export where it has one, search and history where not.

One resource is one document, named by its type and id, with its patient's names and identifiers
beside it. So one changed observation costs one document, a deleted one takes one away, and what a
server marks on one (``meta.security``) closes that one.
"""

import email.utils
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from ingest.sources import fhir_resources as parts
from ingest.sources.fhir_bulk import BulkExport, Exported, ExportedFile, is_instant
from ingest.sources.fhir_http import FhirServer, Json, refused
from ingest.sources.fhir_spool import Lines, Spool
from ingest.sources.port import Entries, Found, Gone, Listing, too_large
from ragplatform.errors import ConfigurationError, MovedOnError, SourceError

_MOST_PAGES: Final = 1_000_000
_PAGE: Final = 500
# What changed while a page was made may carry an older time than the page.
_OVERLAP: Final = timedelta(seconds=10)
_MOST_ATTACHMENTS: Final = 16


@dataclass(frozen=True, slots=True)
class FhirOptions:
    """How much of a server is taken, and how.

    ``types`` are the types of resource, all that the server exports for none. ``deletions`` says
    how it tells of them: ``manifest`` (of a bulk export), ``history``, ``full`` for not at all, and
    ``""`` to find out. ``full_every_days`` is how old the last complete listing may become.
    """

    types: tuple[str, ...] = ()
    deletions: str = ""
    full_every_days: int = 30
    largest_export: int = 64 * 1024**3
    largest_line: int = 64 * 1024**2
    attachments: bool = True
    scratch: Path | None = None


@dataclass(frozen=True, slots=True)
class _Cursor:
    """Since when changes are missing, how deletions are told, and when all was last listed."""

    since: str
    deletions: str
    full: str

    @classmethod
    def read(cls, text: str) -> "_Cursor | None":
        try:
            value = json.loads(text)
            cursor = cls(str(value["since"]), str(value["deletions"]), str(value["full"]))
            date.fromisoformat(cursor.full)
        except (ValueError, KeyError, TypeError):
            return None
        return cursor if is_instant(cursor.since) else None

    def __str__(self) -> str:
        return json.dumps({"since": self.since, "deletions": self.deletions, "full": self.full})


class Fhir:
    """The resources of a FHIR server."""

    def __init__(
        self, *, server: FhirServer, export: BulkExport | None, options: FhirOptions
    ) -> None:
        """``export`` is None for a server without bulk export: its types are then searched.

        Raises ``ConfigurationError`` when it does not say which types those are.
        """
        if export is None and not options.types:
            raise ConfigurationError("types: a server without bulk export is searched type by type")
        self._server = server
        self._export = export
        self._options = options
        self._spool = Spool(options.scratch)

    def list(self, cursor: str) -> Listing:
        """Return the resources. Facts: type, security, tag, profile, category, patient.

        A listing is complete, whatever the cursor, where the server tells of no deletions, and
        from time to time: what else changes by a patient's new name is then seen.
        """
        known = _Cursor.read(cursor)
        oldest = datetime.now(UTC).date() - timedelta(days=self._options.full_every_days)
        if known and (not known.deletions or date.fromisoformat(known.full) < oldest):
            known = None
        self._spool.close()
        self._spool = Spool(self._options.scratch)
        export = self._export
        entries = self._exported(export, known) if export else self._searched(known)
        return Listing(entries, complete=known is None)

    def _exported(self, export: BulkExport, known: _Cursor | None) -> Entries:
        """List by a bulk export. Nothing is given before all of it is here."""
        exported = export.run(known.since if known else "")
        try:
            for file in exported.errors:
                _require_whole(self._downloaded(file, exported))
            # Patients first: every other resource's document names its patient.
            files = sorted(exported.files, key=lambda one: one.type != "Patient")
            lines = [(file.type, self._downloaded(file, exported)) for file in files]
            gone = [list(self._downloaded(file, exported)) for file in exported.deleted or ()]
        finally:
            export.forget(exported)
        for kind, of_file in lines:
            yield from self._of_lines(kind, of_file)
        deleted = [name for of_file in gone for line in of_file for name in _deletions(line)]
        if known and known.deletions == "history":
            deleted.extend(self._deleted_since(known.since))
        yield from (Gone(name) for name in deleted if not self._spool.knows(name))
        return str(self._next(known, exported.taken_at, told=exported.deleted is not None))

    def _downloaded(self, file: ExportedFile, exported: Exported) -> Lines:
        room = self._options.largest_export - self._spool.size
        return self._spool.lines_of(
            lambda into: self._server.save(
                file.url, into, limit=room, authorised=exported.token_for_files
            ),
            longest=self._options.largest_line,
        )

    def _of_lines(self, kind: str, lines: Lines) -> Iterator[Found]:
        for number, (line, place) in enumerate(lines.placed(), start=1):
            resource = parts.parsed(line)
            if resource is None:
                digest = hashlib.sha256(line).hexdigest()[:32]
                name = f"{kind or 'Unknown'}/unreadable-{number}.json"
                yield Found(name, digest, unread="a line is no resource with an id")
            else:
                yield from self._of_resource(resource, line, place)

    def _of_resource(
        self, resource: parts.Resource, line: bytes, place: int | None = None
    ) -> Iterator[Found]:
        """Yield the resource, if it was not met before: of history, the newest comes first."""
        name = parts.name_of(str(resource["resourceType"]), str(resource["id"]))
        if self._spool.knows(name):
            return
        self._spool.keep(name, line, place)
        if resource["resourceType"] == "Patient":
            self._spool.keep_patient(str(resource["id"]), parts.stub_of(resource))
            patient = ""
        else:
            patient = self._patient(parts.patient_of(resource))[1]
        facts, unread = parts.facts_of(resource)
        yield Found(
            name,
            parts.version_of(resource, line, patient),
            len(line),
            parts.modified_of(resource),
            facts,
            unread,
        )

    def _patient(self, identity: str) -> tuple[bytes, str]:
        """Return by what a patient is known, and its digest; the server is asked once for each."""
        if not identity:
            return b"", ""
        kept = self._spool.patient(identity)
        if kept is None:
            answer = self._server.ask(f"Patient/{identity}")
            if answer.status not in {200, 404, 410}:
                raise refused(answer.status)
            found = parts.parsed(answer.body) if answer.status == 200 else None
            stub = parts.stub_of(found) if found and found.get("id") == identity else b""
            kept = self._spool.keep_patient(identity, stub)
        return kept

    def _next(self, known: _Cursor | None, since: str, *, told: bool) -> _Cursor:
        """Return the cursor for next time. Without a sign of deletions it lists all again."""
        deletions = self._options.deletions or (known.deletions if known else "")
        if not deletions:
            deletions = "manifest" if told else "history" if self._keeps_history() else "full"
        today = datetime.now(UTC).date().isoformat()
        full = known.full if known else today
        return _Cursor(since, "" if deletions == "full" else deletions, full)

    def _keeps_history(self) -> bool:
        """Return whether the server says that it tells the history of all its resources."""
        answer = self._server.ask("metadata")
        statement = answer.json() if answer.status == 200 else {}
        rows = [one for one in _list(statement.get("rest")) if isinstance(one, dict)]
        return any(
            isinstance(one, dict) and one.get("code") == "history-system"
            for row in rows
            for one in _list(row.get("interaction"))
        )

    def _searched(self, known: _Cursor | None) -> Entries:
        """List by search; what changed since, by history, which tells deletions too."""
        before = self._server.ask("metadata")
        if before.status != 200:
            raise refused(before.status)
        since = _server_time(before.headers.get("date", ""))
        gone: dict[str, None] = {}
        # Patients first: every other resource's document names its patient.
        for kind in sorted(self._options.types, key=lambda one: one != "Patient"):
            if known is None:
                for entry in self._pages(f"{kind}?{urlencode({'_count': _PAGE})}"):
                    yield from self._of_entry(entry)
                continue
            for entry in self._history(known.since, kind):
                if name := _deleted_name(entry):
                    if not self._spool.knows(name):
                        gone[name] = None
                elif (name := _entry_name(entry)) and name not in gone:
                    yield from self._of_entry(entry)
        yield from (Gone(name) for name in gone)
        return str(self._next(known, since, told=False))

    def _of_entry(self, entry: Json) -> Iterator[Found]:
        """Yield the resource of one entry of a Bundle."""
        line = json.dumps(entry.get("resource"), ensure_ascii=False).encode("utf-8", "replace")
        resource = parts.parsed(line)
        search = entry.get("search")
        if isinstance(search, dict) and search.get("mode") in {"outcome", "include"}:
            return
        if resource is None:
            raise SourceError("the FHIR server lists what is no resource with an id")
        yield from self._of_resource(resource, line)

    def _deleted_since(self, since: str) -> Iterator[str]:
        """Yield the names of what was deleted since, and not made again."""
        latest: dict[str, bool] = {}
        for entry in self._history(since, ""):
            if name := _deleted_name(entry):
                latest.setdefault(name, True)
            elif name := _entry_name(entry):
                latest.setdefault(name, False)
        yield from (name for name, deleted in latest.items() if deleted)

    def _history(self, since: str, kind: str) -> Iterator[Json]:
        """Yield what happened since, the newest first. Source: FHIR R4, RESTful API, history."""
        path = f"{kind}/_history" if kind else "_history"
        for entry in self._pages(f"{path}?{urlencode({'_since': since, '_count': _PAGE})}"):
            # Some servers forget `_since` on the next page.
            if _is_older(entry, since):
                return
            yield entry

    def _pages(self, url: str) -> Iterator[Json]:
        """Yield the entries of a Bundle and of those that follow it."""
        for _ in range(_MOST_PAGES):
            bundle = self._server.get(url)
            if bundle.get("resourceType") != "Bundle":
                raise SourceError("the FHIR server's answer is no Bundle")
            yield from (one for one in _list(bundle.get("entry")) if isinstance(one, dict))
            links = [one for one in _list(bundle.get("link")) if isinstance(one, dict)]
            following = [one.get("url") for one in links if one.get("relation") == "next"]
            if not following or following[0] == url:
                return
            url = str(following[0])
        raise SourceError(f"the FHIR server gives over {_MOST_PAGES:,} pages")

    def read(self, found: Found, limit: int) -> bytes:
        """Return the resource as it was listed, with its patient, its attachments inside it.

        An export is a state of one moment: what is deleted after it is read as it was, and told as
        gone by the next listing.
        """
        line = self._spool.line(found.name)
        if line is None:
            line = self._fetched(found.name)
        resource = parts.parsed(line)
        if resource is None:
            raise MovedOnError("the resource is no longer one")
        if len(line) > limit:
            raise too_large(limit)
        stub, digest = self._patient(
            "" if resource["resourceType"] == "Patient" else parts.patient_of(resource)
        )
        if parts.version_of(resource, line, digest) != found.version:
            raise MovedOnError("the resource changed after it was listed")
        if self._options.attachments:
            line = self._with_attachments(resource, line, limit)
        document = parts.document_of(line, stub)
        if len(document) > limit:
            raise too_large(limit)
        return document

    def _fetched(self, name: str) -> bytes:
        answer = self._server.ask(parts.reference_of_name(name))
        if answer.status in {404, 410}:
            raise MovedOnError("the resource was deleted after it was listed")
        if answer.status != 200:
            raise refused(answer.status)
        return answer.body.strip()

    def _with_attachments(self, resource: parts.Resource, line: bytes, limit: int) -> bytes:
        """Return the resource with what its attachments point at on this very server."""
        inlined = 0
        for attachment in parts.linked_attachments(resource):
            if inlined >= _MOST_ATTACHMENTS or not self._server.is_home(str(attachment["url"])):
                continue
            answer = self._server.ask(str(attachment["url"]))
            binary = parts.parsed(answer.body) if answer.status == 200 else None
            if binary and isinstance(binary.get("data"), str):
                attachment["data"] = binary["data"]
                attachment.setdefault("contentType", binary.get("contentType", ""))
                inlined += 1
        if not inlined:
            return line
        whole = json.dumps(resource, ensure_ascii=False).encode("utf-8", "replace")
        if len(whole) > limit:
            raise too_large(limit)
        return whole

    def close(self) -> None:
        """Close the connections and forget what was listed."""
        self._spool.close()
        self._server.close()


def _require_whole(lines: Lines) -> None:
    """Raise ``SourceError`` when the server says that it could not export all.

    What it left out would be taken for deleted. Its words may hold personal data.
    """
    for line in lines:
        outcome = parts.json_map(line)
        rows = _list(outcome.get("issue"))
        # What is no outcome, or names no severity, is taken for the worst.
        severities = {one.get("severity") if isinstance(one, dict) else None for one in rows}
        if not rows or severities - {"warning", "information", "success"}:
            raise SourceError(
                "the FHIR server could not export all that was asked for: see its own log"
            )


def _deletions(line: bytes) -> Iterator[str]:
    """Yield the names that a Bundle of deletions holds.

    Source: Bulk Data Access 2.0, "Response - Complete Status", ``deleted``: Bundles of type
    transaction whose entries are requests to delete.
    """
    bundle = parts.json_map(line)
    if bundle.get("resourceType") != "Bundle":
        raise SourceError("the export tells deletions in what is no Bundle")
    for entry in _list(bundle.get("entry")):
        name = _deleted_name(entry) if isinstance(entry, dict) else None
        if not name:
            raise SourceError("the export tells a deletion that cannot be understood")
        yield name


def _deleted_name(entry: Json) -> str | None:
    request = entry.get("request")
    if not isinstance(request, dict) or request.get("method") != "DELETE":
        return None
    return parts.name_of_reference(request.get("url"))


def _entry_name(entry: Json) -> str | None:
    resource = entry.get("resource")
    if not isinstance(resource, dict):
        return None
    return parts.name_of_reference(f"{resource.get('resourceType')}/{resource.get('id')}")


def _is_older(entry: Json, since: str) -> bool:
    response = entry.get("response")
    at = response.get("lastModified") if isinstance(response, dict) else None
    if not is_instant(at):
        return False
    return datetime.fromisoformat(str(at)) < datetime.fromisoformat(since)


def _server_time(header: str) -> str:
    """Return the server's own time, a little earlier. Raises ``SourceError`` if it tells none."""
    try:
        at = email.utils.parsedate_to_datetime(header)
    except (ValueError, TypeError) as error:
        raise SourceError("the FHIR server does not say what time it is (`Date`)") from error
    return (at.astimezone(UTC) - _OVERLAP).isoformat(timespec="seconds")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
