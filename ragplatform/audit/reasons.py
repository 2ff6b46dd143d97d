"""Why somebody did what needs a reason: long enough to be judged, and sealed inside a record."""

from typing import Final

from ragplatform.errors import InvalidRequestError

SHORTEST_REASON: Final = 10
LONGEST_REASON: Final = 1000


def required_reason(text: str) -> str:
    """Return the reason without blanks around it.

    Raises ``InvalidRequestError`` for one that no reviewer could judge, or that is too long.
    """
    reason = text.strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise InvalidRequestError(
            f"reason: wanted {SHORTEST_REASON} to {LONGEST_REASON} characters, for a reviewer"
        )
    return reason
