"""What of a run's sources is new or changed, file by file and inside files.

Whoever asks decides what comes of it: a run takes it in, a plan counts it.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Protocol, TypeAlias

from ingest.aside_run import AsideOfRun
from ingest.containers import Containers
from ingest.graves import ERASED_BEFORE
from ingest.ledger import Entry, Ledger, State
from ingest.members import Budget, Contents, Members
from ingest.refusals import Refusal, guarded
from ingest.report import FileState
from ingest.sources import Later, SourceFile
from ingest.work import Fingerprinter, Target, Work
from ragplatform.errors import MovedOnError, QuarantinedError, UnreadableError

# So many sources are looked up at once; of those in memory only so many bytes.
_WINDOW: Final = 200
_WINDOW_BYTES: Final = 8 * 1024 * 1024
_CAME_BACK: Final = "a document of this very content was erased: two people may let it in"


class Stopwatch(Protocol):
    """Counts time towards a stage."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Count the time inside towards the stage."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A document to be taken in. ``known`` is what the ledger held of it, None for a new one."""

    work: Work
    known: Entry | None


@dataclass(frozen=True, slots=True)
class Settled:
    """A file of which nothing is to be done: its shown name, and how it ended before.

    ``unpacked`` for one that is no document itself. ``entry`` is None for an archive just read.
    """

    name: str
    state: FileState
    reason: str = ""
    entry: Entry | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that cannot be looked at or into."""

    subject: Work | SourceFile
    refusal: Refusal
    known: Entry | None = None


Finding: TypeAlias = Changed | Settled | Refused

_ENDS: Final = {
    State.INDEXED: FileState.UNCHANGED,
    State.QUARANTINED: FileState.QUARANTINED,
    State.FORGOTTEN: FileState.FORGOTTEN,
    State.UNPACKED: FileState.UNCHANGED,
}


@dataclass(frozen=True, slots=True)
class Retry:
    """Narrows a run to what did not go in: failed or cut off, and on request the quarantine.

    ``reason`` narrows the quarantine to what was put aside for it, ``""`` to nothing less. Without
    ``narrow`` all else is looked at too, as in every run.
    """

    quarantined: bool = False
    reason: str = ""
    narrow: bool = True

    def takes(self, known: Entry) -> bool:
        """Return whether the source is tried again."""
        if known.state is State.QUARANTINED:
            return self.quarantined and self.reason in {"", known.reason}
        return known.state is State.PENDING


class Changes:
    """Compares sources with the ledger. For one thread, and one run."""

    def __init__(
        self,
        *,
        target: Target,
        fingerprint: Fingerprinter,
        members: Members,
        containers: Containers,
        ledger: Ledger,
        aside: AsideOfRun,
        retry: Retry | None,
    ) -> None:
        """With ``retry`` all else is passed over, unread and untold, if it is a narrow one."""
        self._retry = retry
        self._narrow = retry is not None and retry.narrow
        self._where = (target.principal.tenant, target.collection)
        self._fingerprint = fingerprint
        self._members = members
        self._containers = containers
        self._ledger = ledger
        self._aside = aside

    def among(self, sources: Iterable[SourceFile], watch: Stopwatch) -> Iterator[Finding]:
        """Yield what is found of every source, in order, and before it of what lies inside."""
        for source, known in self._looked_up(sources, watch):
            if not self._narrow or (known is not None and self._unfinished(known)):
                yield from self._of(source, known, Budget(), watch)

    def _looked_up(
        self, sources: Iterable[SourceFile], watch: Stopwatch
    ) -> Iterator[tuple[SourceFile, Entry | None]]:
        for window in _windows(sources):
            keys = [self._fingerprint.key(source) for source in window]
            with watch.stage("ledger"):
                known = self._ledger.known(*self._where, keys)
                new = {key: self._fingerprint.document_of(key) for key in keys if key not in known}
                known |= self._ledger.buried(*self._where, new)
            for source, key in zip(window, keys, strict=True):
                yield source, known.get(key)

    def _of(
        self, source: SourceFile, known: Entry | None, budget: Budget, watch: Stopwatch
    ) -> Iterator[Finding]:
        if known is not None and known.state is State.FORGOTTEN:
            # What was erased stays out with all that lies in it, although its file is still there.
            yield Settled(source.name, FileState.FORGOTTEN, entry=known)
        elif source.later is None:
            yield from self._of_content(source, known, budget, watch)
        else:
            yield from self._of_later(source, source.later, known, budget, watch)

    def _of_later(
        self,
        source: SourceFile,
        later: Later,
        known: Entry | None,
        budget: Budget,
        watch: Stopwatch,
    ) -> Iterator[Finding]:
        """Yield what is found of a source whose content is read only if it is not known."""
        if later.sha256:
            work = guarded(partial(self._fingerprint, source))
            if isinstance(work, Work):
                with watch.stage("ledger"):
                    inside = self._passable(work, known)
                if inside is not None:
                    yield from self._passed_over(work, known, inside)
                    return
        try:
            with watch.stage("read"):
                source = replace(source, content=later.read(), later=None)
        except QuarantinedError as error:
            source = replace(source, refused=error.reason, later=None)
        except MovedOnError as error:
            yield Settled(source.name, FileState.DEFERRED, error.code)
            return
        except UnreadableError as error:
            # What was taken in before stays: nothing says that it is not so any more.
            yield Settled(source.name, FileState.FAILED, error.code)
            return
        yield from self._of_content(source, known, budget, watch)

    def _passable(self, work: Work, known: Entry | None) -> list[Entry] | None:
        """Return what lies in a file that can be passed over, None if it has to be opened."""
        if _is_anew(work, known):
            return None
        inside = self._containers.unchanged(work, known)
        if inside is None or any(map(self._is_tried_again, (known, *inside))):
            return None
        return inside

    def _of_content(
        self, source: SourceFile, known: Entry | None, budget: Budget, watch: Stopwatch
    ) -> Iterator[Finding]:
        with watch.stage("fingerprint"):
            work = guarded(partial(self._fingerprint, source))
        if isinstance(work, Refusal):
            yield Refused(source, work, known)
            return
        work = self._aside.decided(work)
        if self._aside.rejects(work):
            # Before it is opened: nothing that lies in it is wanted either.
            yield Settled(source.name, FileState.REJECTED, "rejected", known)
            return
        with watch.stage("ledger"):
            inside = self._passable(work, known)
        if inside is not None:
            yield from self._passed_over(work, known, inside)
            return
        if self._was_erased(work, known):
            refusal = Refusal(FileState.QUARANTINED, ERASED_BEFORE, _CAME_BACK)
            yield self._same(work, known) or Refused(work, refusal, known)
            return
        with watch.stage("unpack"):
            contents = guarded(partial(self._contents, work, budget))
        if isinstance(contents, Refusal):
            refusal = self._told_of_members(contents, known)
            yield self._same(work, known) or Refused(work, refusal, known)
            return
        yield from self._opened(work, known, contents, budget, watch)

    def _told_of_members(self, refusal: Refusal, known: Entry | None) -> Refusal:
        """Return the refusal of a file that cannot be opened, with what stays in of it.

        Nothing says that a damaged archive lost what it held: its documents are not taken out.
        """
        if known is None or not known.contents:
            return refusal
        rows = self._ledger.inside(known.tenant, known.collection, known.source_key)
        if not (held := sum(row.state is State.INDEXED for row in rows)):
            return refusal
        stays = f"{held} documents of its earlier version stay in until it can be opened or is gone"
        return replace(refusal, detail=f"{refusal.detail}; {stays}")

    def _was_erased(self, work: Work, known: Entry | None) -> bool:
        """Return whether its content was erased under another name, and nobody let it in since."""
        if not work.data or ERASED_BEFORE in work.waived:
            return False
        if known is not None and known.state is State.INDEXED and known.sha256 == work.sha256:
            # It was in under both names, and one of them was erased.
            return False
        mark = self._fingerprint.content_mark(work)
        return bool(self._ledger.graves.among(work.labels.tenant, [mark]))

    def _opened(
        self,
        work: Work,
        known: Entry | None,
        contents: Contents,
        budget: Budget,
        watch: Stopwatch,
    ) -> Iterator[Finding]:
        """Yield what is found of all that lies in the file, then of the file."""
        held_some = known is not None and bool(known.contents)
        # Whatever lay in an older version of it is gone when it holds nothing any more.
        if held_some or not (contents.empty and contents.is_document):
            held = guarded(
                partial(self._containers.open, work, known, is_document=contents.is_document)
            )
            if isinstance(held, Refusal):
                yield Refused(work, held, known)
                return
            budget.depth -= contents.nests
            for inner, inner_known in self._looked_up(self._inner(work, contents), watch):
                yield from self._of(inner, inner_known, budget, watch)
            budget.depth += contents.nests
            self._containers.read(work.key)
        if contents.is_document:
            yield self._same(work, known) or Changed(work, known)
        else:
            yield Settled(work.source.name, FileState.UNPACKED)

    def _contents(self, work: Work, budget: Budget) -> Contents:
        if work.data is None or work.source.refused:
            return Contents()
        return self._members.contents(work.source, work.data, budget)

    def _inner(self, work: Work, contents: Contents) -> Iterator[SourceFile]:
        for inner in contents.sources:
            placed = replace(inner, container=work.key)
            self._containers.saw(work.key, self._fingerprint.key(placed))
            yield placed

    def _same(self, work: Work, known: Entry | None) -> Settled | None:
        """Return how the same bytes ended before through the same pipeline, if they did."""
        if known is None or known.generation != work.generation or _is_anew(work, known):
            return None
        if known.state not in {State.INDEXED, State.QUARANTINED} or self._is_tried_again(known):
            return None
        if known.place != work.place:
            self._containers.moved(known, work.place)
        return Settled(work.source.name, _ENDS[known.state], known.reason, known)

    def _is_tried_again(self, known: Entry | None) -> bool:
        return known is not None and self._retry is not None and self._retry.takes(known)

    def _unfinished(self, known: Entry) -> bool:
        """Return whether it, or something that lies in it, is to be tried again."""
        if self._is_tried_again(known):
            return True
        inside = self._containers.inside(known)
        return inside is None or any(map(self._is_tried_again, inside))

    def _passed_over(
        self, work: Work, known: Entry | None, inside: Sequence[Entry]
    ) -> Iterator[Finding]:
        """Yield how all in an unchanged file ended before; only its own name is known."""
        name = work.source.name
        for entry in inside:
            if entry.state is not State.UNPACKED:
                shown = f"{name}/{entry.display_name or entry.document}"
                yield Settled(shown, _ENDS[entry.state], entry.reason, entry)
        if known is not None:
            yield Settled(name, _ENDS[known.state], known.reason, known)


def _is_anew(work: Work, known: Entry | None) -> bool:
    """Return whether people decided that what was put aside is to be looked at anew."""
    if known is None or known.state is not State.QUARANTINED:
        return False
    return work.source.again or known.reason in work.waived


def _windows(sources: Iterable[SourceFile]) -> Iterator[list[SourceFile]]:
    window: list[SourceFile] = []
    size = 0
    for source in sources:
        window.append(source)
        size += len(source.content or b"")
        if len(window) == _WINDOW or size >= _WINDOW_BYTES:
            yield window
            window, size = [], 0
    if window:
        yield window
