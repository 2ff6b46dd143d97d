"""Documents inside documents: what one file of a run gives, within bounds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ingest.expand import expand
from ingest.parse.kind import may_hold_members
from ingest.parse.unpack import Allowance, Opened
from ingest.prepare import Parser
from ingest.sources import SourceFile
from ragplatform.errors import QuarantinedError

# Archives in archives in mails are met; beyond this depth they were only ever made to do harm.
_MAX_NESTING: Final = 4
_MAX_MEMBERS: Final = 10_000
_MAX_TOTAL: Final = 512 * 1024 * 1024


@dataclass(slots=True)
class Budget:
    """What one file of a run may still give, counted over all its nesting."""

    members: int = _MAX_MEMBERS
    total: int = _MAX_TOTAL
    depth: int = _MAX_NESTING


class Members:
    """Opens archives, mailboxes and mails."""

    def __init__(self, *, parser: Parser) -> None:
        self._parser = parser

    def open(self, source: SourceFile, data: bytes, budget: Budget) -> Opened | None:
        """Return what lies in the file, or None if it is of a kind that holds no other.

        Raises ``QuarantinedError`` with the reason why it cannot be opened: among them
        ``archive_bomb`` when the budget is spent or the nesting too deep.
        """
        name = source.path.name
        if not may_hold_members(data, name):
            return None
        allowance = Allowance(max(budget.members, 0), max(budget.total, 0))
        opened = self._parser.unpack(data, name, allowance)
        if budget.depth <= 0 and opened.members:
            raise QuarantinedError("archive_bomb", f"nested deeper than {_MAX_NESTING}")
        budget.members -= len(opened.members)
        budget.total -= sum(len(member.data) for member in opened.members)
        return opened

    def inside(self, source: SourceFile, opened: Opened | None) -> Iterator[SourceFile]:
        """Yield the documents that were found in the file; one about many people in its parts."""
        for member in opened.members if opened else ():
            inner = source.inside(member.path, member.data, member.refused)
            if member.refused:
                yield inner
            else:
                yield from expand([inner], splitter=self._parser, largest_file=len(member.data))
