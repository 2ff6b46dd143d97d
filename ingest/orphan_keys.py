"""Retires the vault's keys of people and documents of whom nothing is kept any more.

A document that leaves its source takes its own key along, but the people it was about keep theirs
until they are erased, with the values that were found in it. 1. Policy permits it. 2. Whose key is
in use: whoever a document, a file, a quarantined item or a legal hold is about. 3. Of the others
those that were so at an earlier look as well. 4. On record. 5. Destroyed, unless used since.
"""

import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingest.aside import Aside
from ingest.keeping import Keeping
from ingest.ledger import Ledger
from ragplatform.audit.events import MOST_NAMED, Action, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.catalog import SqlCatalog
from ragplatform.errors import DeniedError
from ragplatform.model import Json, Labels, Principal, Purpose
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import STRANGER
from ragplatform.privacy.vault import Vault
from ragplatform.sealed_files import SealedFiles


@dataclass(frozen=True, slots=True)
class Retired:
    """How many keys were, or would be, destroyed, and how many values went with them."""

    keys: int = 0
    values: int = 0

    def summary(self) -> dict[str, Json]:
        """Return the counts."""
        return {"keys": self.keys, "values": self.values}


class OrphanKeys:
    """Retires the keys of one tenant."""

    def __init__(
        self,
        *,
        principal: Principal,
        purpose: Purpose,
        policies: Policies,
        vault: Vault,
        catalog: SqlCatalog,
        ledger: Ledger,
        files: SealedFiles,
        aside: Callable[[], AbstractContextManager[Aside]],
        keeping: Keeping,
        audit: TenantLogs,
    ) -> None:
        self._principal = principal
        self._purpose = purpose
        self._policies = policies
        self._vault = vault
        self._catalog = catalog
        self._ledger = ledger
        self._files = files
        self._aside = aside
        self._keeping = keeping
        self._audit = audit
        self._request = uuid.uuid4().hex

    def retire(self, *, now: datetime, after: timedelta, dry_run: bool) -> Retired:
        """Destroy the keys that nothing has been kept under for that long.

        Raises ``DeniedError``, on record, for who may erase nobody. May be repeated after a crash.
        """
        tenant = self._principal.tenant
        self._require_eraser()  # 1
        orphans = self._vault.orphans.look(tenant, self._in_use(), now=now, after=after)  # 2, 3
        going = [one for one in orphans if self._keeping.why_subject_held(tenant, one) is None]
        if dry_run:
            return Retired(len(going))
        keys = values = 0
        for start in range(0, len(going), MOST_NAMED):
            some = going[start : start + MOST_NAMED]
            self._record({"keys": len(some)}, some, Outcome.SUCCESS)  # 4
            gone = [self._vault.retire(tenant, one) for one in some]  # 5
            keys += sum(one is not None for one in gone)
            values += sum(one or 0 for one in gone)
        return Retired(keys, values)

    def _in_use(self) -> frozenset[str]:
        tenant = self._principal.tenant
        used = set(self._files.refs(tenant))
        documents = {one.document for one in self._ledger.entries(tenant=tenant) if one.is_there}
        for entry in self._catalog.documents(tenant):
            used |= entry.subjects
            documents.add(entry.document)
        with self._aside() as aside:
            for item in aside.items(tenant):
                used |= item.subjects
                documents.add(item.document)
        used |= {self._vault.subject_ref(tenant, f"document:{one}") for one in documents}
        return frozenset(used)

    def _require_eraser(self) -> None:
        labels = Labels(self._principal.tenant, "")
        decision = self._policies.decide(self._principal, "forget", self._purpose, labels, STRANGER)
        if not decision.allowed:
            self._record({"keys": 0, "reason": decision.why_not[:200]}, [], Outcome.DENIED)
            raise DeniedError(f"keys are retired by who may erase: {decision.why_not}")

    def _record(self, details: dict[str, Json], subjects: Sequence[str], outcome: Outcome) -> None:
        self._audit.append(
            event_of(
                self._principal,
                Action.KEYS_RETIRED,
                outcome,
                request_id=self._request,
                purpose=str(self._purpose),
                policy=self._policies.digest,
                subjects=list(subjects),
                details=details,
            )
        )
