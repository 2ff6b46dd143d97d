"""The edge of one document: whatever goes wrong with it becomes a reason, and takes nothing else.

The same edge stands in the job and in every worker.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ingest.report import FileState
from ragplatform.errors import (
    DetectorError,
    HeldError,
    PlatformError,
    QuarantinedError,
    UnavailableError,
)
from ragplatform.model import Labels

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one document did not go in.

    ``held`` says that another run is at work on it, so that nothing of it may be touched.
    ``labels`` and ``subjects`` are what its own fields made of them, where it could be read: who
    erases or holds by a person has to find it too. None and nothing where it could not.
    """

    state: FileState
    reason: str
    detail: str
    held: bool = False
    labels: Labels | None = None
    subjects: frozenset[str] = frozenset()


def guarded(act: Callable[[], _T]) -> _T | Refusal:
    """Return what the act returns, or why it could not.

    Raises ``UnavailableError`` when a part is away that every document needs.
    """
    try:
        return act()
    except QuarantinedError as error:
        return Refusal(FileState.QUARANTINED, error.reason, str(error))
    except HeldError as error:
        return Refusal(FileState.FAILED, error.code, str(error), held=True)
    except DetectorError as error:
        return Refusal(FileState.FAILED, error.code, str(error))
    except UnavailableError:
        raise
    except PlatformError as error:
        return Refusal(FileState.FAILED, error.code, str(error))
    except OSError as error:
        return Refusal(FileState.FAILED, "unreadable", error.strerror or "cannot be read")
    except Exception as error:
        # A bug of ours takes one document. Its message may hold text: only its kind is kept.
        return Refusal(FileState.FAILED, "internal", f"{type(error).__name__} in ingest")
