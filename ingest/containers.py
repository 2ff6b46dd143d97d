"""What lies inside files: which archives can be passed over, and what left one since it was read.

A container is an archive, a mail with attachments, or a file about many people that is cut in
parts. Its row in the ledger says for which version all that lies in it is settled. Only after it
was read to its end is anything gone that it held before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ingest.ledger import CONTENTS_OPEN, Claim, Entry, Ledger, Place, State
from ingest.removal import Removed, Remover, Why
from ingest.work import Work, take_in_hand
from ragplatform.catalog import SqlCatalog

# The keys of so many inner documents are kept before it is looked which containers are through.
_MOST_KEYS: Final = 50_000
_SETTLED: Final = frozenset({State.INDEXED, State.QUARANTINED, State.FORGOTTEN, State.UNPACKED})


@dataclass(slots=True)
class _Container:
    work: Work
    is_document: bool
    read: bool = False
    seen: set[str] = field(default_factory=set)


class Containers:
    """The containers that one run has opened. For one thread."""

    def __init__(self, *, run: str, ledger: Ledger, catalog: SqlCatalog, remover: Remover) -> None:
        self._run = run
        self._ledger = ledger
        self._catalog = catalog
        self._remover = remover
        self._open: dict[str, _Container] = {}
        self._keys = 0
        self._enough = _MOST_KEYS

    def unchanged(self, work: Work, known: Entry | None) -> list[Entry] | None:
        """Return what lies in the file, if neither it nor anything inside need be looked at.

        Empty for a file that holds no other. None says that it has to be opened.
        """
        if known is None or known.generation != work.generation or known.place != work.place:
            return None
        if known.state not in {State.INDEXED, State.QUARANTINED, State.UNPACKED}:
            return None
        return self.inside(known)

    def inside(self, known: Entry) -> list[Entry] | None:
        """Return all that lies in a source at any depth, None when not all of it is settled."""
        if not known.contents:
            return []
        if known.contents != known.generation:
            return None
        found: list[Entry] = []
        for one in self._ledger.inside(known.tenant, known.collection, known.source_key):
            if one.state is State.GONE:
                continue
            deeper = self.inside(one)
            if one.state not in _SETTLED or deeper is None:
                return None
            found += [one, *deeper]
        return found

    def open(self, work: Work, known: Entry | None, *, is_document: bool) -> None:
        """Note that a file was opened, before anything that lies in it is written anywhere.

        Raises ``HeldError`` when another live run has it in work, ``ForgottenError`` when it was
        erased.
        """
        if self._remover.dry:
            self._open[work.key] = _Container(work, is_document)
            return
        settled = known is not None and known.generation == work.generation
        if known is None or not settled or known.state not in _SETTLED:
            self._claim(work)
        self._open[work.key] = _Container(work, is_document)

    def saw(self, container: str, key: str) -> None:
        """Note one of the sources that lie in an opened file."""
        self._open[container].seen.add(key)
        self._keys += 1

    def read(self, container: str) -> None:
        """Note that the file was read to its end, and all in it was seen."""
        self._open[container].read = True

    def moved(self, known: Entry, place: Place) -> None:
        """Note that an unchanged source was met in another place than the ledger knows it from."""
        if self._remover.dry:
            return
        self._ledger.put_in_place(known.tenant, known.collection, place, [known.source_key])

    def finish(self, *, last: bool) -> Iterator[Removed]:
        """Take out what left the containers that were read; note which are settled throughout.

        Before the ``last`` time only when many keys are kept, and then again what is not settled
        yet.
        """
        if not last and self._keys < self._enough:
            return
        # What was opened last lies deepest.
        for key, one in reversed(list(self._open.items())):
            if one.read:
                yield from self._finish(one)
                settled = not self._remover.dry and self._settle(one)
                if settled or last:
                    self._keys -= len(one.seen)
                    del self._open[key]
        self._enough = max(_MOST_KEYS, 2 * self._keys)

    def _finish(self, one: _Container) -> Iterator[Removed]:
        labels = one.work.labels
        inside = self._ledger.inside(labels.tenant, labels.collection, one.work.key)
        left = [e for e in inside if e.is_there and e.source_key not in one.seen]
        yield from self._remover.remove(left, Why.LEFT_CONTAINER)

    def _settle(self, one: _Container) -> bool:
        """Note that all in the container is settled, if it is; return whether."""
        work, labels = one.work, one.work.labels
        where = (labels.tenant, labels.collection)
        known = self._ledger.known(*where, one.seen)
        if any(not _is_settled(known.get(key)) for key in one.seen):
            return False
        own = self._ledger.lookup(*where, work.key)
        if own is None or own.generation != work.generation:
            return False
        if not one.is_document and own.state is not State.UNPACKED:
            if self._catalog.document(own.document) is not None:
                # It was a document itself until now.
                self._remover.clear(own, Why.BECAME_CONTAINER)
            self._ledger.commit_unpacked(self._claim(work))
        self._ledger.close_container(*where, work.key, work.generation)
        return True

    def _claim(self, work: Work) -> Claim:
        name = f"container ({work.sha256[:12]})"
        return take_in_hand(self._ledger, work, run=self._run, name=name, contents=CONTENTS_OPEN)


def _is_settled(known: Entry | None) -> bool:
    if known is None or known.state not in _SETTLED:
        return False
    return not known.contents or known.contents == known.generation
