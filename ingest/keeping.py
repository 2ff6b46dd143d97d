"""The one place that says whether a document may go: holds, labels and the law.

Everything that erases, replaces or takes out asks here first, whoever it acts for: no role of any
policy gets past it.
"""

from collections.abc import Callable
from datetime import date
from typing import Final

from ingest.holds import Holds
from ingest.retention import Retention
from ragplatform.catalog import DocumentEntry
from ragplatform.model import Labels

LEGAL_HOLD: Final = "legal-hold"
"""The restriction by which a label holds a document, beside the holds of cases."""


class Keeping:
    """Answers for documents what keeps them. Raises ``UnavailableError`` when it cannot tell."""

    def __init__(self, *, holds: Holds, retention: Retention, today: Callable[[], date]) -> None:
        """``today`` gives the day by which a time of keeping is over, in the deployment's zone."""
        self._holds = holds
        self._retention = retention
        self._today = today

    @property
    def retention(self) -> Retention:
        """The rules of how long documents are kept."""
        return self._retention

    @property
    def today(self) -> date:
        """The day by which times of keeping are counted."""
        return self._today()

    def why_held(self, entry: DocumentEntry, labels: Labels) -> str | None:
        """Return why the document has to stay as it is, or None: it may be replaced.

        A case holds it, one of those whom it is about, or its collection; or its labels do.
        """
        cases = self._holds.cases_on(
            entry.tenant,
            document=entry.document,
            collection=entry.collection,
            subjects=entry.subjects,
        )
        if cases:
            return f"it is on legal hold for {_cases(len(cases))}"
        if LEGAL_HOLD in labels.restrictions:
            return "its labels put it on legal hold"
        return None

    def why_kept(self, entry: DocumentEntry, labels: Labels) -> str | None:
        """Return why nobody may erase the document today, or None: it may go.

        1. A hold. 2. The day that its labels name. 3. The minimum of ``retention.toml``.
        """
        if held := self.why_held(entry, labels):  # 1
            return held
        today = self._today()
        # A day that cannot be read is later than any that can, and so keeps the document.
        if labels.retain_until >= today.isoformat():  # 2
            return f"it has to be kept until {labels.retain_until}"
        terms = self._retention.terms(entry, labels)
        if terms.kept_until and terms.kept_by and terms.kept_until >= today:  # 3
            rule = terms.kept_by.id
            return f"retention rule {rule} keeps it until {terms.kept_until.isoformat()}"
        return None

    def why_aside_kept(self, entry: DocumentEntry, labels: Labels) -> str | None:
        """Return why what was put aside may not be destroyed, or None: it may.

        The minimum of a retention rule is for what was taken in: this was not, and its source has
        it.
        """
        if held := self.why_held(entry, labels):
            return held
        if labels.retain_until >= self._today().isoformat():
            return f"it has to be kept until {labels.retain_until}"
        return None

    def why_subject_held(self, tenant: str, subject: str) -> str | None:
        """Return why nothing of a person may go, whatever is kept of them; None: it may."""
        cases = self._holds.cases_on_subject(tenant, subject)
        return f"the person is on legal hold for {_cases(len(cases))}" if cases else None


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"
