"""Documents inside documents: what one file of a run gives, within bounds."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ingest.expand import cut, pieces
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


@dataclass(frozen=True, slots=True)
class Contents:
    """What lies in a file, to be gone through once; ``empty`` says that nothing does.

    ``nests`` is 1 where it lies one level deeper, 0 for the parts of the file itself.
    """

    sources: Iterable[SourceFile] = field(default=(), repr=False)
    empty: bool = True
    is_document: bool = True
    nests: int = 0


class Members:
    """Opens archives, mailboxes and mails, and cuts files about many people."""

    def __init__(self, *, parser: Parser) -> None:
        self._parser = parser

    def contents(self, source: SourceFile, data: bytes, budget: Budget) -> Contents:
        """Return the documents that lie in the file, or its parts, one about each person.

        Raises ``QuarantinedError`` with the reason why it cannot be opened: among them
        ``archive_bomb`` when the budget is spent or the nesting too deep.
        """
        if not may_hold_members(data, source.path.name):
            parts = cut(source, data, splitter=self._parser)
            return Contents(pieces(source, data, parts), not parts, not parts)
        opened = self._open(source.path.name, data, budget)
        inner = (source.inside(one.path, one.data, one.refused) for one in opened.members)
        return Contents(inner, not opened.members, opened.is_document, nests=1)

    def _open(self, name: str, data: bytes, budget: Budget) -> Opened:
        allowance = Allowance(max(budget.members, 0), max(budget.total, 0))
        opened = self._parser.unpack(data, name, allowance)
        if budget.depth <= 0 and opened.members:
            raise QuarantinedError("archive_bomb", f"nested deeper than {_MAX_NESTING}")
        budget.members -= len(opened.members)
        budget.total -= sum(len(member.data) for member in opened.members)
        return opened
