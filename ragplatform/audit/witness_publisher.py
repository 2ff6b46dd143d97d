"""Hands each log's newest checkpoint to every witness, apart from the appends, and keeps count."""

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from ragplatform.audit.events import Action, AuditEvent, Outcome
from ragplatform.audit.layout import KEY
from ragplatform.audit.query import find_logs, newest_checkpoint
from ragplatform.audit.recovery import make_folders
from ragplatform.audit.storage import Storage, WriterLock, put
from ragplatform.audit.witness import Witness, durable_note
from ragplatform.audit.witness_notes import Note, parse_note
from ragplatform.errors import (
    AuditLockedError,
    PlatformError,
    TamperedError,
    WitnessConflictError,
)
from ragplatform.model import Json

_log = structlog.get_logger("ragplatform.witness")

COSIGNED: Final = "checkpoint.cosigned"
_FOLDER: Final = "witness"
_LONGEST_PAUSE_S: Final = 60.0

Record = Callable[[AuditEvent], object]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a witness is with one log. Times are seconds since 1970."""

    witness: str
    size: int = 0
    """Over how many records it holds a checkpoint."""
    root: str = ""
    """The root that it holds, in hexadecimal."""
    current_at: float = 0.0
    """When it last held the newest one; 0 if it never did."""
    problem: str = ""
    """Why the last try failed; empty after one that did not."""
    conflict: bool = False
    """Whether it holds another history than the log."""
    recorded: str = ""
    """What of this stands in the audit log: empty, ``lagging`` or ``conflict``."""


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a witness is behind a log now."""

    log: str
    standing: Standing
    newest: int
    behind_s: float
    """For how long it has not held the newest checkpoint; 0 when it does."""
    late: bool
    """Whether that is longer than it may be."""

    @property
    def records(self) -> int:
        """How many records are not under a checkpoint that it holds."""
        return max(0, self.newest - self.standing.size)

    @property
    def good(self) -> bool:
        """Whether nobody needs to do anything about it."""
        return not self.late and not self.standing.conflict


class Publisher:
    """Keeps witnesses up with the logs in one folder; one process at a time does."""

    def __init__(
        self,
        folder: Path,
        *,
        witnesses: Sequence[Witness],
        record: Record,
        late_after_s: float,
        storage: Storage,
        now: Callable[[], float],
    ) -> None:
        self._folder = folder
        self.witnesses: Final = tuple(witnesses)
        self._record = record
        self._late_after_s = late_after_s
        self._storage = storage
        self._now = now
        self._cosigned = threading.Lock()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def push(self, *, witnesses: Iterable[Witness] | None = None) -> list[Lag]:
        """Offer every log's newest checkpoint to every witness now, and return where each stands.

        A log or witness that fails keeps no other from its turn.
        """
        found: list[Lag] = []
        for witness in self.witnesses if witnesses is None else witnesses:
            with self._turn(witness) as mine:
                logs = find_logs(self._folder)
                found += [
                    self._offer(log, witness) if mine else self._standing(log, witness)
                    for log in logs
                ]
        return found

    def status(self) -> list[Lag]:
        """Return where each witness stands with each log, without asking any."""
        return [
            self._standing(log, witness)
            for witness in self.witnesses
            for log in find_logs(self._folder)
        ]

    def start(self) -> None:
        """Go on offering, in a thread for each witness, until ``close``."""
        for witness in self.witnesses:
            thread = threading.Thread(
                target=self._keep_up, args=(witness,), name=f"witness {witness.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Stop offering; a try that is under way is waited for, as long as its time-out lets it."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @contextlib.contextmanager
    def _turn(self, witness: Witness) -> Iterator[bool]:
        """Give whether this process may offer to the witness now; if not, another one does."""
        try:
            lock = WriterLock(self._folder / f"witness-{_slug(witness.name)}.lock")
        except (AuditLockedError, FileNotFoundError):
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _standing(self, log: Path, witness: Witness) -> Lag:
        return self._lag(log, witness, _read(log, witness.name), _newest_size(log))

    def _keep_up(self, witness: Witness) -> None:
        pause = witness.every_s
        failing = False
        while not self._stop.wait(pause):
            failing = not self._kept_up(witness)
            # A witness that is away is not asked as often, and never given up.
            longest = max(_LONGEST_PAUSE_S, witness.every_s)
            pause = min(pause * 2, longest) if failing else witness.every_s
        # What was recorded since the last round, as a rule that the service stopped.
        if not failing:
            self._kept_up(witness)

    def _kept_up(self, witness: Witness) -> bool:
        try:
            lags = self.push(witnesses=[witness])
        except OSError as error:
            _log.warning("witness_round_failed", witness=witness.name, error=str(error))
            return False
        failed = [lag for lag in lags if lag.standing.problem]
        for lag in failed:
            _log.warning(
                "witness_failed",
                witness=witness.name,
                log=lag.log,
                conflict=lag.standing.conflict,
                reason=lag.standing.problem,
            )
        return not failed

    def _offer(self, log: Path, witness: Witness) -> Lag:
        """Offer one log's newest checkpoint to one witness, and write down what came of it."""
        before = _read(log, witness.name)
        try:
            note = parse_note(newest_checkpoint(log))
            if note.size and (before.problem or (before.size, before.root) != _state(note)):
                # Synced only when there is something to hand over, and not in every round.
                note = durable_note(log)
                self._hand_over(log, witness, note, before)
            size, root = _state(note)
            after = replace(
                before, size=size, root=root, current_at=self._now(), problem="", conflict=False
            )
            newest = size
        except (PlatformError, OSError) as error:
            conflict = isinstance(error, WitnessConflictError) or before.conflict
            after = replace(before, problem=str(error), conflict=conflict)
            newest = _newest_size(log)
        lag = self._recorded(self._lag(log, witness, after, newest))
        self._write(log, before, lag.standing)
        return lag

    def _hand_over(self, log: Path, witness: Witness, note: Note, before: Standing) -> None:
        signatures = witness.hand_over(log, note, before.size)
        if signatures:
            self._keep_cosigned(log, note.with_signatures(tuple(signatures)))

    def _lag(self, log: Path, witness: Witness, standing: Standing, newest: int) -> Lag:
        behind_s = 0.0
        if standing.size != newest or standing.problem:
            # A log that no witness has seen yet is as late as it is old.
            since = standing.current_at or _begun_at(log)
            behind_s = max(0.0, self._now() - since)
        # One that is asked every five minutes is five minutes behind without being late.
        late = standing.size != newest and behind_s > self._late_after_s + witness.every_s
        return Lag(log.name, standing, newest, behind_s, late)

    def _recorded(self, lag: Lag) -> Lag:
        """Record in the audit log, once, that a witness fell behind, disagrees, or is back."""
        standing = lag.standing
        state = "conflict" if standing.conflict else "lagging" if lag.late else standing.recorded
        if lag.good and not standing.problem:
            state = ""
        if state == standing.recorded:
            return lag
        action = {
            "conflict": Action.WITNESS_CONFLICT,
            "lagging": Action.WITNESS_LAGGING,
            "": Action.WITNESS_CAUGHT_UP,
        }[state]
        details: dict[str, Json] = {
            "witness": standing.witness[-200:],
            "log": lag.log[:200],
            "held": standing.size,
            "records": lag.newest,
            "behind_s": int(lag.behind_s),
        }
        outcome = Outcome.FAILURE if state else Outcome.SUCCESS
        try:
            self._record(AuditEvent(action, outcome, "", "system", "", details=details))
        except PlatformError as error:
            # Tried again with the next round.
            _log.error("witness_state_not_recorded", action=str(action), error=error.code)
            return lag
        return replace(lag, standing=replace(standing, recorded=state))

    def _write(self, log: Path, before: Standing, after: Standing) -> None:
        # While nothing changes the time alone is not worth a sync in every round.
        fresh = after.current_at - before.current_at < self._late_after_s / 4
        if fresh and replace(after, current_at=before.current_at) == before:
            return
        path = _path(log, after.witness)
        try:
            make_folders(path.parent, self._storage)
            put(self._storage, path, json.dumps(asdict(after), indent=1).encode())
        except OSError as error:
            _log.warning("witness_state_not_kept", log=log.name, error=str(error))

    def _keep_cosigned(self, log: Path, note: Note) -> None:
        """Keep the newest checkpoint with the cosignatures of all witnesses that signed it."""
        path = log / COSIGNED
        with self._cosigned:
            with contextlib.suppress(FileNotFoundError, UnicodeDecodeError, TamperedError):
                kept = parse_note(path.read_text("utf-8"))
                if kept.text == note.text:
                    note = kept.with_signatures(note.signatures)
            put(self._storage, path, str(note).encode())


def cosigned(log: Path) -> str | None:
    """Return the newest checkpoint of a log that witnesses cosigned, or None without any."""
    try:
        return (log / COSIGNED).read_text("utf-8")
    except FileNotFoundError:
        return None


def _path(log: Path, witness: str) -> Path:
    return log / _FOLDER / f"{_slug(witness)}.json"


def _slug(witness: str) -> str:
    """Return a file's name for a witness, unlike that of every other one."""
    plain = re.sub(r"[^a-z0-9]+", "-", witness.lower()).strip("-")[-40:]
    return f"{plain}-{hashlib.sha256(witness.encode()).hexdigest()[:8]}"


def _read(log: Path, witness: str) -> Standing:
    try:
        kept = json.loads(_path(log, witness).read_bytes())
        return Standing(**{**kept, "witness": witness})
    except (FileNotFoundError, ValueError, TypeError):
        # A damaged file only makes us ask the witness what it holds.
        return Standing(witness)


def _state(note: Note) -> tuple[int, str]:
    return note.size, note.root.hex()


def _newest_size(log: Path) -> int:
    try:
        return parse_note(newest_checkpoint(log)).size
    except (PlatformError, OSError):
        return 0


def _begun_at(log: Path) -> float:
    try:
        return (log / KEY).stat().st_mtime
    except OSError:
        return 0.0
