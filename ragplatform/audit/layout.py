"""Where the writer keeps what: names of logs and files, and the line that closes a group."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from ragplatform.audit.record import canonical
from ragplatform.errors import AuditError, TamperedError

KEY: Final = "key.pub"
CHECKPOINT: Final = "checkpoint"
LOCK: Final = "lock"

# "above" sorts before every key of a record, so a record's line stays canonical when the digest of
# the commit line above it is put in front.
COMMIT_START: Final = b'{"checkpoint":'

# As labels name tenants. No dot, so that an origin says where its tenant begins; no slash, so that
# a folder named after it lies where it should.
_TENANT: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

_BLOCK: Final = 64 * 1024

_SEGMENT: Final = re.compile(r"segment-(\d{12})\.jsonl")


def process_name(kind: str, number: int) -> str:
    """Return the origin of the deployment's own log in the ``number``-th process of a kind."""
    return kind if number == 1 else f"{kind}-{number}"


def tenant_origin(process: str, tenant: str) -> str:
    """Return the origin of a tenant's log in a process: ``api.mercy``, ``api-2.mercy``.

    The number goes before the tenant, since ``api.mercy-2`` is that of a tenant called mercy-2.

    Raises ``AuditError`` for a name that no tenant has.
    """
    if not _TENANT.fullmatch(tenant):
        raise AuditError(
            f"nothing can be recorded for tenant {tenant[:80]!r}: wanted lower-case letters, "
            "digits, '_' and '-', 63 at most; mend the key or the claim that names it"
        )
    return f"{process}.{tenant}"


def tenant_of(origin: str) -> str:
    """Return whose log an origin is: a tenant's name, or "" for the deployment's own.

    Logs from before tenants had their own are the deployment's, and hold records of all.
    """
    return origin.partition(".")[2]


def segment_name(first: int) -> str:
    """Return the name of the segment whose first record has this index."""
    return f"segment-{first:012d}.jsonl"


def segments(directory: Path) -> list[tuple[int, Path]]:
    """Return the segments of a log in order, each with the index of its first record."""
    found = []
    for path in directory.iterdir():
        match = _SEGMENT.fullmatch(path.name)
        if match:
            found.append((int(match[1]), path))
    return sorted(found)


def head(above: bytes | None) -> bytes:
    """Return how the first record of a group begins: with the digest of the commit line above it.

    Without it a commit line in the middle could be altered and no later signature would tell.
    ``above`` is None for the first record of the log.
    """
    digest = b"null" if above is None else b'"' + hashlib.sha256(above).hexdigest().encode() + b'"'
    return b'{"above":' + digest + b","


def bind(line: bytes, above: bytes | None) -> bytes:
    """Return the first record of a group with the digest of the commit line above it put in."""
    return head(above) + line[1:]


def commit_line(note: str, leaves: Sequence[bytes]) -> bytes:
    """Return the line that closes a group: the signed checkpoint and the group's leaf hashes.

    The leaf hashes let a verifier name the one bad record in a group of many.
    """
    return canonical({"checkpoint": note, "leaves": [leaf.hex() for leaf in leaves]})


def note_of(line: bytes) -> str:
    """Return the signed checkpoint in a commit line. Raises ``TamperedError`` if there is none."""
    try:
        return str(json.loads(line)["checkpoint"])
    except (ValueError, KeyError, TypeError) as error:
        raise TamperedError("a commit line of the audit log is damaged") from error


def lines_from_end(path: Path) -> Iterator[bytes]:
    """Yield the complete lines of a file from the last to the first, without line feeds."""
    with path.open("rb") as file:
        end = file.seek(0, 2)
        rest = b""
        whole = False
        while end > 0:
            start = max(0, end - _BLOCK)
            file.seek(start)
            rest = file.read(end - start) + rest
            end = start
            first, *lines = rest.split(b"\n")
            if not whole and lines:
                # What follows the last line feed is a line still being written.
                lines.pop()
                whole = True
                yield from reversed(lines)
                rest = first
            elif whole:
                yield from reversed(lines)
                rest = first
        if whole and rest:
            yield rest


def leaves_of(line: bytes) -> list[bytes]:
    """Return the leaf hashes that a commit line lists.

    Raises ``TamperedError`` if there are none.
    """
    try:
        return [bytes.fromhex(leaf) for leaf in json.loads(line)["leaves"]]
    except (ValueError, KeyError, TypeError) as error:
        raise TamperedError("a commit line of the audit log is damaged") from error
