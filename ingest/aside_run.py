"""What one run asks the quarantine, and tells it."""

from collections.abc import Collection
from dataclasses import replace
from typing import Protocol

from ingest.aside import Aside, Decisions, Item, ItemState, entry_of
from ingest.prepare import Ready
from ingest.quarantine_rules import QuarantineRules, Rule
from ingest.removal import Keeps
from ingest.report import Report
from ingest.silence import WARNING, Silence
from ingest.work import Target, Work
from ragplatform.audit.events import Action, Outcome
from ragplatform.errors import AuditError
from ragplatform.model import Json


class Recorder(Protocol):
    """Makes a record of the run durable."""

    def __call__(
        self,
        action: Action,
        outcome: Outcome,
        details: dict[str, Json],
        subjects: Collection[str] = (),
    ) -> None:
        """Raise ``AuditError`` when it cannot: then the act does not happen."""


class AsideOfRun:
    """The quarantine as one run over one collection sees it."""

    def __init__(
        self,
        *,
        run: str,
        target: Target,
        aside: Aside,
        rules: QuarantineRules,
        silence_documents: int,
    ) -> None:
        """``silence_documents``: so many without any personal data are suspicious."""
        self._run = run
        self._target = target
        self._aside = aside
        self._rules = rules
        self._record: Recorder = _no_record
        self._keeping: Keeps | None = None
        self._decisions = Decisions()
        expected = target.collection in rules.expecting
        self._silence = Silence(expected=expected, least=silence_documents)

    def begin(self, record: Recorder, keeping: Keeps) -> None:
        """Read what people decided until now; the run goes by that, and records by ``record``.

        ``keeping`` says what of it nobody may destroy.
        """
        self._record, self._keeping = record, keeping
        where = self._target
        self._decisions = self._aside.decisions(where.principal.tenant, where.collection)

    def decided(self, work: Work) -> Work:
        """Return the work with the reasons that people decided are not to keep it out."""
        approved = self._decisions.approved.get((work.document, work.generation), frozenset())
        ruled = self._rules.waived(self._target.collection, work.source.name)
        unasked = self._rules.unasked(self._target.collection)
        return replace(work, waived=approved | ruled.keys() | unasked)

    def rejects(self, work: Work) -> bool:
        """Return whether these very bytes were rejected."""
        return self._decisions.rejected.get(work.document) == work.sha256

    def keep(self, work: Work, reason: str, detail: str) -> None:
        """Keep a document for whoever decides; a rule that rejects decides at once, on record."""
        who = self._target.principal.id
        self._aside.keep(work, reason=reason, detail=detail, run=self._run, put_by=who)
        rule = self._rules.rejecting(work.labels.collection, reason, work.source.name)
        item = self._aside.item(work.labels.tenant, work.document) if rule else None
        # No rule decides about what a case or the law keeps: it waits for people.
        if rule is not None and item is not None and self._why_kept(item) is None:
            self._record_ruled(rule, work)
            self._aside.reject(item, by=f"rule {rule.id}")

    def record_waived(self, ready: Ready) -> None:
        """Record by which rules a document comes in that would else be kept out."""
        ruled = self._rules.waived(self._target.collection, ready.work.source.name)
        for reason in sorted(ready.waived & ruled.keys()):
            self._record_ruled(ruled[reason], ready.work)

    def taken_in(self, work: Work) -> None:
        """Drop what was put aside of a document that is in the index now."""
        if work.document in self._decisions.held:
            self._aside.done(work.labels.tenant, work.document)

    def why_kept(self, tenant: str, document: str) -> str | None:
        """Return why what was put aside of a document may not be destroyed, or None."""
        item = self._aside.item(tenant, document)
        return None if item is None else self._why_kept(item)

    def why_waits(self, tenant: str, document: str, sha256: str) -> str | None:
        """Return why no newer version may replace what was put aside, or None."""
        if document not in self._decisions.held:
            return None
        item = self._aside.item(tenant, document)
        if item is None or not item.kept or item.sha256 == sha256:
            return None
        return self._kept_by().why_held(entry_of(item), item.labels)

    def gone(self, tenant: str, document: str) -> None:
        """Drop what was put aside of a document that is gone."""
        if document in self._decisions.held:
            self._aside.done(tenant, document)

    def _why_kept(self, item: Item) -> str | None:
        if item.state is ItemState.REJECTED:
            return None
        return self._kept_by().why_aside_kept(entry_of(item), item.labels)

    def _kept_by(self) -> Keeps:
        if self._keeping is None:
            raise AuditError("a run that has not begun cannot tell what is kept: nothing was done")
        return self._keeping

    def listen(self, ready: Ready) -> None:
        """Count one document that goes in."""
        self._silence.listen(ready)

    def warn(self, report: Report) -> None:
        """Record and report it when the run found nothing personal where something must be."""
        if self._silence.suspicious:
            details: dict[str, Json] = {
                "collection": self._target.collection,
                "documents": self._silence.documents,
            }
            self._record(Action.SILENCE, Outcome.SUCCESS, details)
            report.warnings.append(WARNING)

    def _record_ruled(self, rule: Rule, work: Work) -> None:
        details: dict[str, Json] = {
            "document": work.document,
            "generation": work.generation,
            "rule": rule.id,
            "act": str(rule.act),
            "reason": rule.reason,
            "rules": self._rules.digest,
        }
        self._record(Action.QUARANTINE_RULED, Outcome.SUCCESS, details, work.subjects)


def _no_record(
    action: Action,
    outcome: Outcome,
    details: dict[str, Json],
    subjects: Collection[str] = (),
) -> None:
    raise AuditError(f"{action} of a run that has not begun: nothing was done")
