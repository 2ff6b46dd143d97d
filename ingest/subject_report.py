"""All that is held on one person, for that person: documents, values, consents, who saw what.

Sources: GDPR article 15; 45 CFR 164.524 (access) and 164.528 (accounting of disclosures). Policy
decides twice: whether the caller may make such a report at all, and then, document by document and
type by type, what of it may be shown. What may not be shown is counted, so that nothing is left out
unseen. Other people's values in the person's documents stay pseudonyms.

1. Policy. 2. On record, as begun. 3. Collect. 4. On record, with what is shown. 5. Give it out.
"""

import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ingest.holds import Holds
from ingest.keeping import Keeping
from ragplatform.access.register import Register
from ragplatform.audit.disclosures import Disclosure, about_subject
from ragplatform.audit.events import Action, Outcome, event_of
from ragplatform.audit.index import AuditIndex
from ragplatform.audit.index_query import AuditQuery
from ragplatform.audit.logs import TenantLogs
from ragplatform.audit.query import find_logs, read
from ragplatform.catalog import DocumentEntry, SqlCatalog
from ragplatform.errors import DeniedError
from ragplatform.model import Json, Labels, Passage, Principal, Purpose
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Circumstances
from ragplatform.ports import Index
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.tokens import entity_of

_PAGE: Final = 200
# The person asks for what is about them.
_RELATED: Final = Circumstances(related=True)


class SubjectReporter:
    """Makes reports on people of one tenant, for one principal."""

    def __init__(
        self,
        *,
        principal: Principal,
        purpose: Purpose,
        policies: Policies,
        privacy: Privacy,
        index: Index,
        catalog: SqlCatalog,
        register: Register,
        holds: Holds,
        keeping: Keeping,
        audit: TenantLogs,
        audit_index: AuditIndex,
        logs: Path,
    ) -> None:
        self._principal = principal
        self._purpose = purpose
        self._policies = policies
        self._privacy = privacy
        self._index = index
        self._catalog = catalog
        self._register = register
        self._holds = holds
        self._keeping = keeping
        self._audit = audit
        self._audit_index = audit_index
        self._logs = logs
        self._request = uuid.uuid4().hex

    def report(self, raw_id: str, *, form: str) -> dict[str, Json]:
        """Return all that is held on the person.

        Raises ``DeniedError``, on record, for whom policy denies it.
        """
        tenant = self._principal.tenant
        subject = self._privacy.subject_ref(tenant, raw_id)
        self._require_permission(subject)  # 1
        self._record({"format": form}, subject)  # 2
        reveals = self._policies.reveals(self._principal, self._purpose)
        values = self._privacy.values_of(tenant, subject)
        clear = {token: value for token, value in values.items() if entity_of(token) in reveals}
        classes = self._catalog.classes(tenant)
        entries = [one for one in self._catalog.documents(tenant) if subject in one.subjects]
        documents = [
            self._document(one, classes[one.access_class], clear, reveals) for one in entries
        ]
        withheld = Counter(entity_of(token) for token in values if token not in clear)
        told = Counter(map(entity_of, clear))
        self._record(  # 4
            {
                "documents": len(documents),
                "passages": sum(_length(one["passages"]) for one in documents),
                "values": dict(told),
                "format": form,
            },
            subject,
        )
        return {
            "tenant": tenant,
            "subject": subject,
            "made_by": self._principal.id,
            "purpose": str(self._purpose),
            "documents": documents,
            "values": [
                {"type": entity_of(token), "value": value, "shown_as": token}
                for token, value in sorted(clear.items())
            ],
            "values_withheld": dict(sorted(withheld.items())),
            "consents": self._consents(subject),
            "relations": self._relations(subject),
            "glass": self._glass(subject),
            "disclosures": self._disclosures(subject),
            "holds": len(self._holds.cases_on_subject(tenant, subject)),
            "reports_before": self._reports_before(subject),
        }

    def _document(
        self,
        entry: DocumentEntry,
        labels: Labels,
        clear: Mapping[str, str],
        reveals: frozenset[str],
    ) -> dict[str, Json]:
        decision = self._policies.decide(self._principal, "read", self._purpose, labels, _RELATED)
        terms = self._keeping.retention.terms(entry, labels)
        passages: list[Json] = []
        if decision.allowed:
            passages = [
                {"page": one.chunk.page, "text": self._shown(one, clear, reveals)}
                for one in self._passages(entry)
            ]
        held = self._keeping.why_held(entry, labels)
        return {
            "document": entry.document,
            "title": entry.title,
            "collection": entry.collection,
            "media_type": entry.media_type,
            "dated": entry.dated,
            "indexed_at": entry.indexed_at.isoformat(timespec="seconds"),
            "sensitivity": labels.sensitivity.name.lower(),
            "department": labels.department,
            "restrictions": sorted(labels.restrictions),
            "categories": sorted(labels.categories),
            "about_others_too": len(entry.subjects) > 1,
            "on_legal_hold": held is not None,
            "kept_until": _latest(labels.retain_until, terms.kept_until),
            "to_be_erased_from": terms.due.isoformat() if terms.due else "",
            "passages_withheld_by": [] if decision.allowed else _reasons(decision.policies),
            "passages": passages,
        }

    def _passages(self, entry: DocumentEntry) -> Iterator[Passage]:
        found: list[Passage] = []
        after = ""
        while page := self._index.passages(
            entry.tenant, entry.document, entry.generation, after=after, limit=_PAGE
        ):
            found += page
            after = page[-1].chunk.id
        yield from sorted(found, key=lambda passage: passage.chunk.ordinal)

    def _shown(self, passage: Passage, clear: Mapping[str, str], reveals: frozenset[str]) -> str:
        hidden = [span for span in passage.chunk.spans if span.entity not in reveals]
        text = self._privacy.without_tagged(passage.chunk.text, hidden)
        for token, value in clear.items():
            text = text.replace(token, value)
        return text

    def _consents(self, subject: str) -> list[Json]:
        return [
            {
                "purpose": str(one.purpose),
                "consent": str(one.consent),
                "starts": one.starts.isoformat(),
                "ends": one.ends.isoformat() if one.ends else "",
            }
            for one in self._register.consents(self._principal.tenant, subject)
        ]

    def _relations(self, subject: str) -> list[Json]:
        return [
            {
                "person": one.principal,
                "starts": one.starts.isoformat(),
                "ends": one.ends.isoformat() if one.ends else "",
            }
            for one in self._register.related_to(self._principal.tenant, subject)
        ]

    def _glass(self, subject: str) -> list[Json]:
        return [
            {
                "person": one.principal,
                "purpose": str(one.purpose),
                "starts": one.starts.isoformat(),
                "ends": one.ends.isoformat(),
                "verdict": one.verdict or "",
            }
            for one in self._register.openings(self._principal.tenant)
            if one.subject == subject
        ]

    def _disclosures(self, subject: str) -> list[Json]:
        tenant = self._principal.tenant
        self._audit_index.catch_up(find_logs(self._logs, tenant=tenant))
        query = AuditQuery(tenant=tenant, subject=subject, oldest_first=True)
        found: list[Json] = []
        cursor: str | None = None
        while True:
            page = about_subject(self._audit_index, query, limit=_PAGE, cursor=cursor)
            found += [_disclosure(one) for one in page.found]
            cursor = page.cursor
            if cursor is None:
                return found

    def _reports_before(self, subject: str) -> list[Json]:
        return [
            {"at": str(record.time), "by": record.actor}
            for log in find_logs(self._logs, tenant=self._principal.tenant)
            for record in read(log, action=Action.SUBJECT_REPORTED, tenant=self._principal.tenant)
            if subject in record.subjects
            and record.outcome is Outcome.SUCCESS
            and record.request_id != self._request
            and record.details.get("documents") is not None
        ]

    def _require_permission(self, subject: str) -> None:
        decision = self._policies.decide_duty(self._principal, "report_subject", self._purpose)
        if decision.allowed:
            return
        why = self._policies.why_not(self._principal, "report_subject", self._purpose, decision)
        self._record({"reason": why[:200]}, subject, Outcome.DENIED)
        raise DeniedError(f"policy denies it: {why}")

    def _record(
        self, details: dict[str, Json], subject: str, outcome: Outcome = Outcome.SUCCESS
    ) -> None:
        self._audit.append(
            event_of(
                self._principal,
                Action.SUBJECT_REPORTED,
                outcome,
                request_id=self._request,
                purpose=str(self._purpose),
                policy=self._policies.digest,
                subjects=[subject],
                details=details,
            )
        )


def _disclosure(one: Disclosure) -> Json:
    return {
        "at": one.entry.time.isoformat(timespec="seconds"),
        "to": one.entry.actor,
        "through": one.entry.via,
        "purpose": one.entry.purpose,
        "act": one.entry.action,
        "documents": list(one.documents),
        "passages": len(one.passages),
        "record": f"{one.entry.origin}/{one.entry.index}",
    }


def _length(value: Json) -> int:
    return len(value) if isinstance(value, list) else 0


def _reasons(policies: tuple[str, ...]) -> list[str]:
    return list(policies) or ["no policy permits it"]


def _latest(label: str, rule: object) -> str:
    return max(label, str(rule) if rule else "")
