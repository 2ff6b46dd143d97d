"""What runs were called with: sealed in the ledger, and a place that erasure goes through."""

import base64
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from ingest.places import Waiting
from ingest.runs import Run, Runs
from ragplatform import openers
from ragplatform.config import Settings
from ragplatform.errors import InvalidRequestError, TamperedError
from ragplatform.privacy.sealing import seal_text, unseal_text

_USE: Final = "run-arguments"
_SUBJECT: Final = "subject="


def sealed(settings: Settings, tenant: str, run: str, words: list[str]) -> str:
    """Return the words sealed under the deployment's key, bound to the run."""
    key = openers.derive(settings, _USE, tenant)
    return base64.b64encode(seal_text(key, json.dumps(words), _USE, tenant, run)).decode()


def unsealed(settings: Settings, run: Run) -> list[str]:
    """Return the words that a run was called with.

    Raises ``InvalidRequestError`` for a run of which they are not kept any more.
    """
    if not run.arguments:
        raise InvalidRequestError(
            f"run {run.run} is {run.standing}, and what it was called with is not kept: call "
            "`run` as it was called then, or `quarantine retry` for what was put aside"
        )
    key = openers.derive(settings, _USE, run.tenant)
    text = unseal_text(
        key, base64.b64decode(run.arguments), _USE, run.tenant, run.run, what="run's arguments"
    )
    return [str(word) for word in json.loads(text)]


class CallsPlace:
    """The calls of runs that may be taken up again: a label of theirs may name a person."""

    name: Final = "calls"

    def __init__(
        self,
        *,
        runs: Runs,
        opened: Callable[[Run], list[str]],
        subject_ref: Callable[[str, str], str],
    ) -> None:
        """``opened`` returns the words that a run was called with."""
        self._runs = runs
        self._opened = opened
        self._subject_ref = subject_ref

    def erase_document(self, tenant: str, document: str) -> int:
        """Return 0: no call names a document."""
        return 0

    def erase_subjects(self, tenant: str, subjects: frozenset[str]) -> Mapping[str, int]:
        """Drop the calls that name these people, and those that nobody can read."""
        went: Counter[str] = Counter()
        for run in self._runs.with_arguments(tenant):
            try:
                named = self._named(tenant, self._opened(run)) & subjects
            except TamperedError:
                self._runs.drop_arguments(run.run)
                continue
            if named:
                self._runs.drop_arguments(run.run)
                went.update(named)
        return went

    def _named(self, tenant: str, words: list[str]) -> frozenset[str]:
        raw_ids = (word.removeprefix(_SUBJECT) for word in words if word.startswith(_SUBJECT))
        return frozenset(self._subject_ref(tenant, one) for one in raw_ids)

    def waiting(self, tenant: str, document: str) -> Waiting | None:
        """Return None: no document lies there."""
        return None

    def why_kept(self, tenant: str, subjects: frozenset[str]) -> Mapping[str, str]:
        """Return nobody: a call may always be dropped."""
        return {}

    def left_of(self, tenant: str, document: str) -> int:
        """Return 0: no call names a document."""
        return 0
