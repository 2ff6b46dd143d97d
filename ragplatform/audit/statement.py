"""What vouches for a segment that was moved elsewhere: a statement signed with the log's own key.

It lies beside the log, so that a log that is being written can be archived, and a verifier needs no
other log to tell what was moved from what was removed. Its first line keeps it from being passed
off as a checkpoint, whose first line is the origin.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ragplatform.audit.note import Signer
from ragplatform.errors import TamperedError

_KIND: Final = "ragplatform archived segment"
_TEXT: Final = re.compile(
    rf"{_KIND}\n(?P<origin>[^\n]+)\n(?P<first>[0-9]+)\n(?P<count>[0-9]+)\n"
    r"(?P<sha256>[0-9a-f]{64})\n(?P<recorded>[^\n]+)\n"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """That a segment, with so many records from ``first`` on, was archived."""

    first: int
    count: int
    sha256: str
    """The digest of the segment's bytes, in hexadecimal."""
    recorded: str
    """Where the act is recorded: origin and index, as in ``cli.mercy/17``."""

    @property
    def name(self) -> str:
        """The name of the file that it is kept in, beside the log."""
        return f"archived-{self.first:012d}.note"

    def signed(self, signer: Signer) -> str:
        """Return it as a signed note."""
        return signer.sign_text(
            f"{_KIND}\n{signer.origin}\n{self.first}\n{self.count}\n{self.sha256}\n{self.recorded}\n"
        )


def read_statements(directory: Path, signer: Signer) -> dict[int, Statement]:
    """Return the statements beside a log by the index of the first record that they are about.

    Raises ``TamperedError`` for one that the log's key did not sign.
    """
    found = {}
    for path in sorted(directory.glob("archived-*.note")):
        note = path.read_text("utf-8", errors="replace")
        match = _TEXT.match(note)
        said = match and Statement(
            int(match["first"]), int(match["count"]), match["sha256"], match["recorded"]
        )
        if not said or said.name != path.name or said.signed(signer) != note:
            raise TamperedError(f"{path} is not signed by the log's key: keep it as evidence")
        found[said.first] = said
    return found
