"""Takes what was deleted out of the embedded engine's files.

Qdrant Edge only marks a deleted point. Its payload and vectors stay in the segment's files, and the
operation that brought it in stays in the write-ahead log: measured with 0.9.0, a byte search finds
a passage's text in both after ``delete`` and ``flush``. Two things of the engine's own take it out.
The vacuum writes each segment that holds deleted points anew and drops the old folder. And the log
drops a full segment once all in it is applied, so it is pushed on by operations that change nothing
until every segment is gone that was there before.

A passage that was stored again under its id, with another text, would keep its old text until one
of its segment is deleted. That does not happen: a chunk's id is made from its document's content.
"""

import contextlib
import json
import re
import shutil
from pathlib import Path
from typing import Final

import qdrant_edge as engine

from ragplatform.errors import IndexUnavailableError

# Of whole points: a single deleted one makes the vacuum write its segment anew. Nothing else calls
# ``optimize``, and no segment reaches the size from which it would build a graph.
OPTIMIZERS: Final = engine.EdgeOptimizersConfig(
    deleted_threshold=1e-9, vacuum_min_vector_number=0, indexing_threshold=2**40
)
_CLOSED: Final = re.compile(r"closed-(\d+)")
# A segment of the log holds 32 MiB.
_PUSH: Final = {"scrub": "0" * 1_000_000}
_MOST_PUSHES: Final = 400
_FEW: Final = 8


def scrub(shard: engine.EdgeShard, home: Path) -> None:
    """Leave nothing of a deleted point in the files below ``home``.

    Raises ``IndexUnavailableError`` when the engine's files are not laid out as they are known.
    """
    while shard.optimize():
        # The folder of a segment that was written anew goes with the flush.
        shard.flush()
    shard.flush()
    _drop_strays(home)
    _push_log(shard, home / "wal")


def _drop_strays(home: Path) -> None:
    """Remove the half-written segments that a killed vacuum left: the engine never reads them."""
    drafts = home / "temp_segments"
    try:
        for draft in drafts.iterdir() if drafts.is_dir() else ():
            shutil.rmtree(draft)
    except OSError as error:
        raise IndexUnavailableError(
            f"half-written files in {drafts} could not be removed: {error.strerror}"
        ) from error


def _push_log(shard: engine.EdgeShard, log: Path) -> None:
    """Write to the log until all of it came after this moment."""
    mark = _applied(log)
    nothing = engine.Filter(
        must=[engine.FieldCondition("document", match=engine.MatchValue("\0scrub"))]
    )
    for count in range(1, _MOST_PUSHES + 1):
        shard.update(engine.UpdateOperation.set_payload_by_filter(nothing, _PUSH))
        if count % _FEW == 0:
            shard.flush()
            starts = _closed_starts(log)
            if starts and min(starts) > mark:
                return
    raise IndexUnavailableError(
        "the index engine's log could not be emptied: what was erased may still stand in it"
    )


def _applied(log: Path) -> int:
    try:
        return int(json.loads((log / "first-index").read_bytes())["ack_index"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexUnavailableError(
            "the index engine's log is not laid out as it is known: nothing can be said about what "
            "it holds"
        ) from error


def _closed_starts(log: Path) -> list[int]:
    with contextlib.suppress(OSError):
        names = (_CLOSED.fullmatch(path.name) for path in log.iterdir())
        return [int(match[1]) for match in names if match]
    return []
