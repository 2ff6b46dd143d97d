"""Texts that callers bring: what is personal in them, or the same texts without it, on record."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ragplatform.audit.events import Action, AuditEvent, Outcome, event_of
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import DeniedError, PlatformError
from ragplatform.model import Json, Labels, Principal, Purpose, Span
from ragplatform.policy.engine import Policies
from ragplatform.privacy.gate import Privacy
from ragplatform.privacy.verdict import Verdict, verdict


@dataclass(frozen=True, slots=True)
class TextRequest:
    """Texts of one principal, brought for one purpose, to be treated as a collection's are.

    ``collection`` None means the general rules.
    """

    principal: Principal
    purpose: Purpose
    texts: Sequence[str] = field(repr=False)
    collection: str | None
    request_id: str
    trace: str = ""

    def event(
        self, action: Action, outcome: Outcome, *, policy: str, details: Mapping[str, Json]
    ) -> AuditEvent:
        """Return the record of what was done with the texts: how much of them, never what."""
        return event_of(
            self.principal,
            action,
            outcome,
            request_id=self.request_id,
            trace=self.trace,
            purpose=str(self.purpose),
            policy=policy,
            details={
                "texts": len(self.texts),
                "characters": sum(map(len, self.texts)),
                "collection": self.collection,
                **details,
            },
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of personal data, and what the rules do with it."""

    span: Span
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what is personal in it, and how many values of each type went or stayed.

    ``text`` is None when a rule keeps such a text out altogether; ``quarantine`` then says why.
    """

    text: str | None = field(repr=False)
    replaced: Mapping[str, int]
    kept: Mapping[str, int]
    quarantine: str | None = None


class Redactor:
    """Examines and redacts what callers bring. Keeps nothing of it but counts, in the audit log."""

    def __init__(self, *, policies: Policies, privacy: Privacy, audit: TenantLogs) -> None:
        self._policies = policies
        self._privacy = privacy
        self._audit = audit

    def analyse(self, request: TextRequest, min_score: float | None = None) -> list[list[Finding]]:
        """Return what is personal in each text, in order, after recording how much it was.

        Without ``min_score`` the thresholds of the rules decide. 1. Policy decides whether the
        caller may act for the purpose. 2. All texts are searched. 3. Counts are recorded,
        durable, and only then anything is returned.

        Raises ``DeniedError``, ``DetectorError`` rather than leave a text unsearched, and
        ``AuditError`` when there can be no record: then there is no answer.
        """
        self._require_permission(request)  # 1
        found = [self._findings(request, spans) for spans in self._inspected(request)]  # 2
        reported = [
            [
                one
                for one in findings
                if (one.verdict.counts if min_score is None else one.span.score >= min_score)
            ]
            for findings in found
        ]
        counts = Counter(one.span.entity for findings in reported for one in findings)
        self._record(request, Action.ANALYSED, details={"found": dict(counts)})  # 3
        return reported

    def mask(self, request: TextRequest) -> list[Redacted]:
        """Return each text with ``[TYPE]`` for what was found; steps and errors as ``analyse``."""
        self._require_permission(request)
        done = []
        for text, spans in zip(request.texts, self._inspected(request), strict=True):
            counts = Counter(s.entity for s in self._privacy.acted_on(spans, request.collection))
            masked = self._privacy.masked(text, spans, request.collection)
            done.append(Redacted(masked, counts, {}))
        self._record_redacted(request, "mask", done)
        return done

    def redact(self, request: TextRequest) -> list[Redacted]:
        """Return each text as ``privacy.toml`` wants it in an index; else as ``mask``.

        Types that the caller may not see in clear become masks where the rules say pseudonyms: a
        token for a value of one's choice would tell whose data a token elsewhere is.
        """
        self._require_permission(request)
        reveals = self._policies.reveals(request.principal, request.purpose)
        labels = Labels(request.principal.tenant, request.collection or "")
        done = []
        for text, spans in zip(request.texts, self._inspected(request), strict=True):
            result = self._privacy.transform(text, spans, labels)
            kept = Counter(span.entity for span in result.kept)
            replaced = Counter(result.counts)
            replaced.subtract(kept)
            shown = self._privacy.unlinkable(result.text, reveals)
            done.append(
                Redacted(None if result.quarantine else shown, +replaced, kept, result.quarantine)
            )
        self._record_redacted(request, "policy", done)
        return done

    def _require_permission(self, request: TextRequest) -> None:
        if self._policies.may(request.principal, "declare", request.purpose):
            return
        self._record(request, Action.DENIED, Outcome.DENIED)
        raise DeniedError(self._policies.refusal_reason(request.principal, request.purpose))

    def _inspected(self, request: TextRequest) -> list[list[Span]]:
        try:
            return self._privacy.inspect(request.texts)
        except PlatformError as error:
            self._record(request, Action.FAILED, Outcome.FAILURE, {"code": error.code})
            raise

    def _findings(self, request: TextRequest, spans: Sequence[Span]) -> list[Finding]:
        rules, collection = self._privacy.rules, request.collection
        return [Finding(span, verdict(rules, span, collection)) for span in spans]

    def _record_redacted(self, request: TextRequest, mode: str, done: Sequence[Redacted]) -> None:
        replaced: Counter[str] = Counter()
        kept: Counter[str] = Counter()
        for one in done:
            replaced.update(one.replaced)
            kept.update(one.kept)
        details: dict[str, Json] = {"mode": mode, "replaced": dict(replaced), "kept": dict(kept)}
        self._record(request, Action.REDACTED, details=details)

    def _record(
        self,
        request: TextRequest,
        action: Action,
        outcome: Outcome = Outcome.SUCCESS,
        details: Mapping[str, Json] | None = None,
    ) -> None:
        digest = self._policies.digest
        self._audit.append(request.event(action, outcome, policy=digest, details=details or {}))
