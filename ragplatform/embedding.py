"""Texts that callers bring, as vectors of the encoder in use, without what is personal in them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import DeniedError, InvalidRequestError, NotFoundError, PlatformError
from ragplatform.model import Json, Principal
from ragplatform.policy.engine import Policies
from ragplatform.policy.questions import Action as Act
from ragplatform.ports import Edition, Editions, Vectors
from ragplatform.privacy.gate import Privacy
from ragplatform.redaction import TextRequest

LONGEST_TEXT = 16_000
"""The encoder reads the beginning of a text alone; more than this it was never meant to."""
LONGEST_TOGETHER = 500_000


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors, one row for each text in order, and the manifest name of the encoder's model."""

    vectors: Vectors
    model: str


class TextEmbedder:
    """Turns texts of callers into vectors as questions are: with a plain word for each value.

    Such a vector tells nothing of whom a text names. Nothing is kept but counts, in the audit log.
    """

    def __init__(
        self, *, policies: Policies, privacy: Privacy, editions: Editions, audit: TenantLogs
    ) -> None:
        self._policies = policies
        self._privacy = privacy
        self._editions = editions
        self._audit = audit

    def models(self) -> list[str]:
        """Return the names of the encoders that can be asked for: the one that answers now."""
        return [self._editions.current().model]

    def permits(self, request: TextRequest) -> bool:
        """Return whether policy lets the caller have texts embedded for the purpose."""
        return self._policies.may(request.principal, Act.EMBED, request.purpose)

    def embed(self, request: TextRequest, model: str) -> Embedded:
        """Return the texts as vectors of Euclidean length 1, after recording how much it was.

        1. They are not too long. 2. The model is the one in use. 3. Policy decides. 4. All texts
        are searched for personal data, and each value becomes the plain word of its type. 5. They
        are embedded. 6. Counts are recorded, durable, and only then anything is returned.

        Raises ``InvalidRequestError``, ``NotFoundError``, ``DeniedError``, ``DetectorError`` rather
        than embed a text unsearched, and ``AuditError``: then there is no answer.
        """
        _require_bounds(request.texts)  # 1
        edition = self._edition(model)  # 2
        self._require_permission(request, model)  # 3
        try:
            views, replaced = self._views(request)  # 4
            vectors = edition.embedder.embed(views)  # 5
        except PlatformError as error:
            self._record(request, Action.FAILED, Outcome.FAILURE, {"code": error.code})
            raise
        details: dict[str, Json] = {"model": edition.model, "replaced": dict(replaced)}
        self._record(request, Action.EMBEDDED, Outcome.SUCCESS, details)  # 6
        return Embedded(vectors, edition.model)

    def _edition(self, model: str) -> Edition:
        edition = self._editions.current()
        if edition.model != model:
            raise NotFoundError("model: wanted the encoder that /v1/models names")
        return edition

    def _views(self, request: TextRequest) -> tuple[list[str], Counter[str]]:
        views, replaced = [], Counter[str]()
        found = self._privacy.inspect(request.texts)
        for text, spans in zip(request.texts, found, strict=True):
            acted_on = self._privacy.acted_on(spans, request.collection)
            replaced.update(span.entity for span in acted_on)
            masked = self._privacy.masked(text, spans, request.collection)
            views.append(self._privacy.embed_view(masked))
        return views, replaced

    def _require_permission(self, request: TextRequest, model: str) -> None:
        decision = self._policies.decide_duty(request.principal, Act.EMBED, request.purpose)
        if decision.allowed:
            return
        details: dict[str, Json] = {"act": Act.EMBED, "policies": list(decision.policies)}
        self._record(request, Action.DENIED, Outcome.DENIED, details)
        raise DeniedError(
            f"policy denies embedding with {model} for this purpose: {decision.why_not}"
        )

    def _record(
        self,
        request: TextRequest,
        action: Action,
        outcome: Outcome,
        details: Mapping[str, Json],
    ) -> None:
        digest = self._policies.digest
        self._audit.append(request.event(action, outcome, policy=digest, details=details))


def embeds(policies: Policies, principal: Principal) -> bool:
    """Return whether there is a purpose for which the principal may have texts embedded."""
    return any(
        policies.may(principal, Act.EMBED, purpose) for purpose in policies.purposes(principal)
    )


def _require_bounds(texts: Sequence[str]) -> None:
    if any(len(text) > LONGEST_TEXT for text in texts):
        raise InvalidRequestError(f"input: a text has over {LONGEST_TEXT:,} characters")
    if sum(map(len, texts)) > LONGEST_TOGETHER:
        raise InvalidRequestError(
            f"input: over {LONGEST_TOGETHER:,} characters together; send fewer at once, or a batch"
        )
