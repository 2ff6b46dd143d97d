"""Stages that do what the document says, made by name in whatever process an engine has."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from ingest.engine import Batch, Stage
from ingest.refusals import Refusal
from ingest.report import FileState, Tally
from ingest.sources import GivenLabels, SourceFile
from ingest.stages import Processed
from ingest.work import Work
from ragplatform.errors import ConfigurationError, UnavailableError
from ragplatform.model import Labels


def document(key: str, order: bytes = b"") -> Work:
    """Return a document whose bytes are an order to the stages."""
    source = SourceFile(Path(f"{key}.txt"), f"{key}.txt", GivenLabels())
    labels = Labels("mercy", "clinical")
    return Work(source, order, key, "", labels, frozenset(), key, "generation")


def batches(*documents: Work, size: int = 2) -> list[Batch]:
    """Return the documents in batches of a size."""
    return [Batch(documents[at : at + size]) for at in range(0, len(documents), size)]


def make(folder: Path) -> Stage:
    """Return the stages; note in the folder that this process made some."""
    made = folder / f"made-{os.getpid()}"
    made.write_text(str(int(made.read_text()) + 1 if made.exists() else 1))
    return _stage


def make_none(folder: Path) -> Stage:
    """Fail as a worker without the right models does."""
    raise ConfigurationError("a worker has other models than the job")


def make_dead(folder: Path) -> Stage:
    """End the process before there is a stage."""
    os.kill(os.getpid(), signal.SIGKILL)
    return _stage


def _stage(works: Sequence[Work]) -> Processed:
    for work in works:
        _obey(work.data or b"")
    outcomes = tuple(Refusal(FileState.QUARANTINED, work.key, str(os.getpid())) for work in works)
    tally = Tally(characters=len(works))
    return Processed(outcomes, tally)


def _obey(order: bytes) -> None:
    word, _, rest = order.partition(b" ")
    match word:
        case b"kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case b"kill-once":
            path = Path(os.fsdecode(rest))
            if not path.exists():
                path.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        case b"sleep":
            time.sleep(float(rest))
        case b"unavailable":
            raise UnavailableError("the parser's process cannot be started")
