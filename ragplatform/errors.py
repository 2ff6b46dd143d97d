"""Every error the platform raises on purpose, as one tree.

    PlatformError
    ├── RequestError               the caller can mend the request
    │   ├── InvalidRequestError
    │   │   └── UnsupportedError
    │   ├── UnauthenticatedError
    │   ├── DeniedError            policy says no; the caller may know it
    │   ├── NotFoundError          absent, or the caller may not know of it
    │   ├── TooLargeError
    │   └── BusyError
    ├── UnavailableError           a part is away; nothing was done
    │   ├── AuditError
    │   │   └── AuditLockedError
    │   ├── IndexUnavailableError
    │   │   └── IndexRefusedError
    │   ├── IndexLockedError
    │   ├── HeldError
    │   ├── GeneratorError
    │   │   └── UnsafeAnswerError
    │   ├── DetectorError
    │   ├── SourceError
    │   ├── WitnessError
    │   └── ForwardError
    ├── ConfigurationError         the operator must mend settings, keys or files
    │   ├── PolicyError
    │   ├── ModelError
    │   └── VaultError
    ├── ForgottenError             the document was erased and stays out
    ├── MovedOnError               a source's document is no longer what was listed
    ├── UnreadableError            a source answers, but does not let us read one document
    ├── EgressBlockedError         something tried to leave the allowed networks
    ├── TamperedError              evidence or ciphertext is not what was written
    │   └── WitnessConflictError   a witness holds another history of the log
    └── QuarantinedError           one document cannot go in; the job goes on
        └── ParseError

Each class has a stable ``code``; messages never contain document or question text.
"""

from typing import ClassVar


class PlatformError(Exception):
    """The root of all errors that the platform raises on purpose."""

    code: ClassVar[str] = "internal"


class RequestError(PlatformError):
    """The request cannot be served as it stands."""

    code = "request"


class InvalidRequestError(RequestError):
    """A field of the request is missing, malformed or outside its limits."""

    code = "invalid_request"


class UnsupportedError(InvalidRequestError):
    """The request asks for something that this service does not do; ``param`` names the field."""

    code = "unsupported"

    def __init__(self, param: str, message: str) -> None:
        super().__init__(f"{param}: {message}")
        self.param = param


class UnauthenticatedError(RequestError):
    """The caller did not prove who it is.

    Every one says the same, whatever was wrong: what a caller learns of a bad token helps only
    whoever forges the next. ``reason`` is for the operator's log and holds no part of the token.
    """

    code = "unauthenticated"

    def __init__(self, reason: str) -> None:
        super().__init__("send a key or token that is in force as `Authorization: Bearer ...`")
        self.reason = reason


class DeniedError(RequestError):
    """Policy denies the request, and the caller may know that it does."""

    code = "denied"


class NotFoundError(RequestError):
    """The thing does not exist, or the caller may not know whether it does."""

    code = "not_found"


class TooLargeError(RequestError):
    """The request is larger than the service accepts."""

    code = "too_large"


class BusyError(RequestError):
    """As much is at work as may be, and the caller's turn did not come.

    ``retry_after_s`` says when it is worth while to ask again.
    """

    code = "busy"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnavailableError(PlatformError):
    """A part that the action needs is away, so the action was not taken."""

    code = "unavailable"


class AuditError(UnavailableError):
    """The audit record could not be made durable, so the action was not taken."""

    code = "audit_unavailable"


class AuditLockedError(AuditError):
    """Another process writes this audit log."""

    code = "audit_locked"


class IndexUnavailableError(UnavailableError):
    """The vector index did not answer."""

    code = "index_unavailable"


class IndexRefusedError(IndexUnavailableError):
    """The vector index answers, and does not let us in: waiting for it would not help."""

    code = "index_refused"


class IndexLockedError(UnavailableError):
    """Another process holds the embedded index and cannot be reached through its socket."""

    code = "index_locked"


class HeldError(UnavailableError):
    """Another live run works on this source, or took it over; it will see it through."""

    code = "held_by_other_run"


class GeneratorError(UnavailableError):
    """The model server did not answer, or stopped before its answer was complete."""

    code = "generator_unavailable"


class UnsafeAnswerError(GeneratorError):
    """The model wrote what may not leave in any form, so the answer was cut off there."""

    code = "answer_unsafe"


class DetectorError(UnavailableError):
    """The search for personal data failed, so the text was not let through."""

    code = "detector_failed"


class SourceError(UnavailableError):
    """A source of documents did not answer, refused us, or answered what cannot be understood."""

    code = "source_unavailable"


class WitnessError(UnavailableError):
    """A witness of the audit log did not take a checkpoint; it is offered again."""

    code = "witness_unavailable"


class ForwardError(UnavailableError):
    """The receiver of forwarded audit records did not take one; it is sent again."""

    code = "forward_unavailable"


class ConfigurationError(PlatformError):
    """A setting, key or file must be mended by the operator."""

    code = "configuration"


class PolicyError(ConfigurationError):
    """The policies are missing, malformed or do not fit their schema."""

    code = "policy_invalid"


class ModelError(ConfigurationError):
    """A model is missing, is not in the manifest, or differs from its recorded hash."""

    code = "model_invalid"


class VaultError(ConfigurationError):
    """The vault cannot be opened with the keys at hand."""

    code = "vault_unavailable"


class ForgottenError(PlatformError):
    """The source was erased, and stays out whatever its file holds now."""

    code = "forgotten"


class MovedOnError(PlatformError):
    """What was listed is another version by now, or gone: the next run will meet it as it is."""

    code = "changed_meanwhile"


class UnreadableError(PlatformError):
    """One document cannot be read although its source answers: it is tried again at each run."""

    code = "unreadable"


class EgressBlockedError(PlatformError):
    """A connection to an address outside the allowed networks was refused."""

    code = "egress_blocked"


class TamperedError(PlatformError):
    """Stored evidence or ciphertext is not what was written."""

    code = "tampered"


class WitnessConflictError(TamperedError):
    """A witness holds a history of the log that the log's files do not continue."""

    code = "witness_conflict"


class QuarantinedError(PlatformError):
    """A document cannot be indexed safely; ``reason`` is a short stable word for the report."""

    code = "quarantined"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ParseError(QuarantinedError):
    """The document's bytes could not be turned into text."""

    code = "parse_failed"
