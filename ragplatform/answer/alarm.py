"""What ends an answer that holds what may not leave: on record first, with the text sealed."""

from typing import NoReturn

from ragplatform.answer.retrieve import Retrieved, event_about
from ragplatform.audit.events import Action, Outcome
from ragplatform.audit.logs import TenantLogs
from ragplatform.errors import UnsafeAnswerError
from ragplatform.model import Json


class ExitAlarm:
    """Cuts answers off at the exit."""

    def __init__(self, *, audit: TenantLogs, model: str, longest: int) -> None:
        """``model`` is who wrote; at most the last ``longest`` characters are sealed."""
        self._audit = audit
        self._model = model
        self._longest = longest

    def cut(self, retrieved: Retrieved, *, found: str, where: str, text: str) -> NoReturn:
        """Record what was found where, and end the answer.

        Raises ``UnsafeAnswerError``, or ``AuditError`` where that could not be recorded.
        """
        details: dict[str, Json] = {"found": found, "where": where, "model": self._model}
        sealed = {"answer": text[-self._longest :]}
        about = (retrieved.request, retrieved.scope)
        event = event_about(*about, Action.EXIT_BLOCKED, Outcome.DENIED, details, sealed)
        self._audit.append(event)
        raise UnsafeAnswerError("the model wrote what may not leave; the answer was cut off there")
