"""Silence is suspicious: records of patients in which a whole run finds nothing personal.

A model that was not loaded, a layer of text that is an empty form, the wrong folder: each looks
like a run in which all went well.
"""

from typing import Final

from ingest.prepare import Ready
from ragplatform.model import Mode

# Found by chance in texts about nobody: places, dates, links. What is masked, kept under a token
# or dropped points at somebody.
_ABOUT_NOBODY: Final = frozenset({Mode.KEEP, Mode.TAG})
WARNING: Final = "no_personal_data"


class Silence:
    """Listens to one run over a collection."""

    def __init__(self, *, expected: bool, least: int) -> None:
        """``expected``: whether the collection holds personal data in any case.

        Fewer than ``least`` documents say nothing.
        """
        self._expected = expected
        self._least = least
        self._heard = 0
        self.documents = 0

    def listen(self, ready: Ready) -> None:
        """Count one document that goes in."""
        self.documents += 1
        text = ready.transformed[0]
        self._heard += any(mode not in _ABOUT_NOBODY for _, mode in text.methods)

    @property
    def suspicious(self) -> bool:
        """Whether nothing was found in all that was searched, where something must be."""
        return self._expected and self.documents >= self._least and not self._heard
