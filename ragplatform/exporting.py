"""Letting a tenant's reviewers take its audit records away, in the format that they name."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.export.formats import WRITERS, Format
from ragplatform.audit.export.selection import Selection, entries, logs_of
from ragplatform.audit.export.writing import Export
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import DeniedError
from ragplatform.model import Json, Principal, Purpose
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Action as Act


class AuditExporter:
    """Exports the records of the caller's own tenant, each export on record in its log."""

    def __init__(self, *, policies: Policies, audit: TenantLogs, folder: Path) -> None:
        """``folder`` holds the logs."""
        self._policies = policies
        self._audit = audit
        self._folder = folder

    def export(
        self, who: Principal, request_id: str, form: Format, selection: Selection
    ) -> Iterator[bytes]:
        """Return the wanted records of the principal's tenant, block by block.

        1. Policy decides, as about reading the log. 2. That it begins is recorded, by which
        conditions. 3. The blocks leave as they are made, the last one held back. 4. That it is done
        is recorded, with count and digest. 5. The last block leaves.

        An export that broke off, or whose end could not be recorded, lacks its last block and has
        no record of its end.

        Raises ``DeniedError``, and ``AuditError`` when it cannot be recorded.
        """
        mine = replace(selection, tenant=who.tenant)
        details: dict[str, Json] = {"format": str(form), **mine.said()}
        begun: dict[str, Json] = details | {"stage": "begun"}
        if not self._policies.may(who, Act.REVIEW_AUDIT, Purpose.COMPLIANCE):  # 1
            self._record(who, request_id, Outcome.DENIED, begun)
            raise DeniedError("exporting the audit log is a duty of compliance reviewers")
        logs = logs_of(self._folder, mine)
        self._record(who, request_id, Outcome.SUCCESS, begun)  # 2
        made = Export((entry.record for entry in entries(logs, mine)), WRITERS[form])
        return self._blocks(who, request_id, made, details)

    def _blocks(
        self, who: Principal, request_id: str, made: Export, details: Mapping[str, Json]
    ) -> Iterator[bytes]:
        held: bytes | None = None
        for block in made.blocks():  # 3
            if held is not None:
                yield held
            held = block
        done = made.done
        ended: dict[str, Json] = {"stage": "done", "records": done.records, "sha256": done.sha256}
        self._record(who, request_id, Outcome.SUCCESS, {**details, **ended})  # 4
        yield held or b""  # 5

    def _record(
        self, who: Principal, request_id: str, outcome: Outcome, details: Mapping[str, Json]
    ) -> None:
        self._audit.append(
            event_of(
                who,
                Action.EXPORTED,
                outcome,
                request_id=request_id,
                purpose=Purpose.COMPLIANCE.value,
                policy=self._policies.digest,
                details=details,
            )
        )
