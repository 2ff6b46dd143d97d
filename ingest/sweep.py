"""What a source no longer has, and when so much of it is missing that nothing may be taken out.

A share that is not mounted, a bucket with another prefix or a token that sees less all look like a
source that lost its documents. More than a share of what is known goes only when somebody says so.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ingest.ledger import Entry, Ledger
from ingest.work import Fingerprinter, Target
from ragplatform.errors import UnavailableError
from ragplatform.model import Json


def _nothing() -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a source has, to be asked when all that it lists was gone through.

    ``names`` gives the names of all that it has, None when the listing did not come to its end or
    was narrowed: then only what ``gone`` names is taken out, which a feed of changes may tell.
    ``many`` permits to take out more than the guard does.
    """

    source: str
    names: Callable[[], Iterable[str] | None]
    gone: Callable[[], Iterable[str]] = _nothing
    many: bool = False


@dataclass(frozen=True, slots=True)
class Guard:
    """More than ``documents`` and more than ``percent`` of a source go only when permitted."""

    percent: int = 20
    documents: int = 10

    def refuses(self, gone: int, known: int) -> bool:
        """Return whether so many may not go without being permitted."""
        return gone > self.documents and gone * 100 > self.percent * known


class MassRemovalError(UnavailableError):
    """A source lost so much at once that nothing of it was taken out."""

    code = "mass_removal"

    def __init__(self, source: str, gone: int, known: int) -> None:
        """``gone`` of the ``known`` documents of a source are not there any more."""
        where = f"source {source!r}" if source else "the paths given"
        super().__init__(
            f"{where}: {gone:,} of {known:,} files are not there any more; nothing was taken out. "
            "See that the place is there as a whole; if they are really gone, run again with "
            "--remove-many"
        )
        self.counts: dict[str, Json] = {"source": source, "gone": gone, "known": known}


class Absent:
    """Tells which of a source's documents are gone."""

    def __init__(
        self, *, target: Target, fingerprint: Fingerprinter, ledger: Ledger, guard: Guard
    ) -> None:
        self._where = (target.principal.tenant, target.collection)
        self._fingerprint = fingerprint
        self._ledger = ledger
        self._guard = guard

    def of(self, sweep: Sweep) -> list[Entry]:
        """Return what the ledger knows of the source and the source does not have any more.

        Raises ``MassRemovalError`` when that is more than the guard lets go.
        """
        keys = self._ledger.keys_of(*self._where, sweep.source)
        gone = self._keys(sweep, sweep.gone())
        names = sweep.names()
        if names is not None:
            there = self._keys(sweep, names)
            missing = [key for key in keys if key not in there]
        else:
            missing = [key for key in keys if key in gone]
        if not sweep.many and self._guard.refuses(len(missing), len(keys)):
            raise MassRemovalError(sweep.source, len(missing), len(keys))
        known = self._ledger.known(*self._where, missing)
        return [known[key] for key in missing if key in known]

    def _keys(self, sweep: Sweep, names: Iterable[str]) -> set[str]:
        return {self._fingerprint.key_of(name, sweep.source) for name in names}
