"""The questions, answers and comments that are sealed about people, and destroying them."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Final

from ragplatform.audit.query import find_logs, lines_from, origin_of
from ragplatform.audit.record import decode
from ragplatform.audit.seal import RECORD_KEY
from ragplatform.audit.seeds import SealSeeds

# Reasons and notes stay: they are what staff answer for, and not the subject's data.
_PARTS: Final = frozenset({"question", "answer", "comment", "earlier", "filters", "searched"})
_REFERENCE: Final = re.compile(rb'"(s_[^"\\]*)"')
_REQUEST: Final = re.compile(rb'"request":"([^"\\]*)"')


class SealedTexts:
    """The sealed questions, answers and comments of all logs. ``seeds``: those of an origin."""

    def __init__(self, folder: Path, seeds: Callable[[str], SealSeeds]) -> None:
        self._folder = folder
        self._seeds = seeds

    def about(
        self, tenant: str, subjects: Collection[str]
    ) -> Mapping[str, Mapping[str, list[int]]]:
        """Return, by subject and origin, the records that seal a text of a request about them.

        A request was about everybody whom one of its records names. Records whose segments were
        moved to an archive, and those sealed before each had a key of its own, are not among them.
        Every log is read twice, however many subjects there are.
        """
        logs = find_logs(self._folder, tenant=tenant)
        named = _named(logs, frozenset(subjects))
        found: dict[str, dict[str, list[int]]] = {}
        for log in logs:
            origin = origin_of(log)
            for line in lines_from(log):
                match = _REQUEST.search(line)
                if b'"sealed":{' not in line or match is None or match[1] not in named:
                    continue
                record = decode(line, origin=origin)
                sealed = record.sealed
                mine = record.tenant == tenant and sealed is not None
                if mine and sealed and sealed.version == RECORD_KEY and set(sealed.parts) <= _PARTS:
                    for subject in sorted(named[match[1]]):
                        theirs = found.setdefault(subject, {})
                        theirs.setdefault(origin, []).append(record.index)
        return found

    def destroy(self, origin: str, indexes: list[int]) -> int:
        """Make what these records seal unreadable for good; return how many still were readable.

        Who calls this must have recorded ``Action.SEAL_DESTROYED`` first.
        """
        return self._seeds(origin).destroy(indexes)


def _named(logs: Iterable[Path], subjects: frozenset[str]) -> Mapping[bytes, set[str]]:
    """Return, by request, which of the subjects a record of it names."""
    found: dict[bytes, set[str]] = {}
    for log in logs:
        for line in lines_from(log):
            here = subjects.intersection(one.decode() for one in _REFERENCE.findall(line))
            if here and (match := _REQUEST.search(line)) and match[1]:
                found.setdefault(match[1], set()).update(here)
    return found
