"""Opens what hands checkpoints to witnesses and reads back what they hold, by the settings."""

import hashlib
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx2
from cryptography.x509 import Certificate

from ragplatform import egress, openers
from ragplatform.audit.proofs import consistency_proof
from ragplatform.audit.query import find_logs
from ragplatform.audit.storage import Disk
from ragplatform.audit.verify import VerifyReport
from ragplatform.audit.witness import FolderWitness, HttpWitness, Reply, Witness, log_key
from ragplatform.audit.witness_book import CosigningWitness
from ragplatform.audit.witness_folder import HeldCheckpoints
from ragplatform.audit.witness_notes import Note, VerifierKey, parse_key, parse_note
from ragplatform.audit.witness_proofs import extends
from ragplatform.audit.witness_publisher import Publisher, Record
from ragplatform.audit.witness_timestamp import (
    TimestampWitness,
    kept_tokens,
    read_chain,
    stamped_at,
)
from ragplatform.config import Settings
from ragplatform.errors import (
    ConfigurationError,
    EgressBlockedError,
    PlatformError,
    TamperedError,
    WitnessError,
)

# Far above any answer of the protocols: a cosignature, a token, the newest checkpoint of each log.
_LARGEST_ANSWER: Final = 16 * 1024 * 1024


class Exchange:
    """Speaks HTTP with witnesses, inside the allowed networks."""

    def __init__(self, settings: Settings, *urls: str) -> None:
        self._allowed = openers.allowed(settings, *urls)
        self._timeout_s = settings.witness_timeout_s
        self._tls = egress.tls_context(
            settings.witness_ca_file,
            cert_file=settings.witness_cert_file,
            key_file=settings.witness_key_file,
        )

    def post(self, url: str, body: bytes, media_type: str) -> Reply:
        """Return the answer to a body. Raises ``WitnessError`` when none comes."""
        return self._ask("POST", url, body, {"Content-Type": media_type})

    def get(self, url: str) -> Reply:
        """Return the document at a URL. Raises ``WitnessError`` when no answer comes."""
        return self._ask("GET", url, None, {})

    def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        # A connection for each request: they are seconds apart, and none is left open behind.
        client = egress.client(self._allowed, timeout_s=self._timeout_s, tls=self._tls)
        try:
            with client, client.stream(method, url, content=body, headers=headers) as response:
                found = b""
                for piece in response.iter_bytes():
                    found += piece
                    if len(found) > _LARGEST_ANSWER:
                        raise WitnessError(f"{url} answers more than any witness would")
                return Reply(response.status_code, found)
        except EgressBlockedError as error:
            raise WitnessError(
                f"{url} is outside the allowed networks: put it into witness_urls, and its network "
                "into allowed_networks"
            ) from error
        except httpx2.HTTPError as error:
            raise WitnessError(f"{url} does not answer ({type(error).__name__})") from error


def open_witnesses(settings: Settings) -> list[Witness]:
    """Return the witnesses in the settings.

    Raises ``ConfigurationError`` for a key, certificate or file that cannot be used.
    """
    disk = Disk()
    folders = [HeldCheckpoints(Path(folder), storage=disk) for folder in settings.witness_folders]
    every_s = settings.witness_interval_s
    found: list[Witness] = [
        FolderWitness(held, every_s=every_s, prove=consistency_proof) for held in folders
    ]
    if not settings.witness_urls and not settings.timestamp_url:
        return found
    exchange = Exchange(settings)
    for url, key in _cosigners(settings).items():
        found.append(
            HttpWitness(url, key=key, every_s=every_s, post=exchange.post, prove=consistency_proof)
        )
    if settings.timestamp_url:
        found.append(
            TimestampWitness(
                settings.timestamp_url,
                chain=_chain(settings),
                every_s=settings.timestamp_interval_s,
                post=exchange.post,
                storage=disk,
                copies=folders,
            )
        )
    return found


def open_publisher(settings: Settings, record: Record) -> Publisher:
    """Return what keeps the witnesses up with the logs; ``record`` takes what must be on record."""
    return Publisher(
        settings.audit_dir,
        witnesses=open_witnesses(settings),
        record=record,
        late_after_s=settings.witness_late_s,
        storage=Disk(),
        now=time.time,
    )


def open_own_witness(folder: Path) -> CosigningWitness:
    """Open the witness that this host runs for others. Raises ``ConfigurationError``."""
    return CosigningWitness.open(folder, storage=Disk(), now=time.time)


def held_elsewhere(
    settings: Settings, where: str, key: VerifierKey | None, origins: Iterable[str]
) -> dict[str, list[Note]]:
    """Return the checkpoints that a witness holds, by origin, the largest first.

    ``where`` is a folder, with all that were ever handed to it, or the URL of a witness, with the
    newest of each log. ``origins`` are those that a witness of others is asked for: it cannot be
    asked for all. With a key only what that witness cosigned is taken.

    Raises ``WitnessError`` when the witness cannot be read, ``TamperedError`` when what it holds
    is damaged, or not cosigned.
    """
    if "://" in where:
        return trusted(where, _from_url(settings, where, origins), key)
    return trusted(where, _from_folder(Path(where)), key)


def trusted(where: str, notes: Iterable[Note], key: VerifierKey | None) -> dict[str, list[Note]]:
    """Return checkpoints by origin, the largest first; all cosigned, if there is a key.

    Raises ``TamperedError`` at one that is not.
    """
    found: dict[str, list[Note]] = defaultdict(list)
    for note in notes:
        if key is not None and key.cosigned_at(note) is None:
            raise TamperedError(
                f"the checkpoint of {note.origin} over {note.size} records that {where} holds is "
                f"not cosigned by {key.name}"
            )
        found[note.origin].append(note)
    return {origin: sorted(held, key=lambda note: -note.size) for origin, held in found.items()}


def compared(
    log: Path, report: VerifyReport, history: Mapping[str, Sequence[Note]]
) -> VerifyReport:
    """Return the verdict on a log with what a witness holds of it from before its newest state."""
    if not report.ok or report.origin not in history:
        return report
    problem = history_problem(log, history[report.origin])
    return replace(report, ok=not problem, problem=problem)


def history_problem(log: Path, held: Sequence[Note]) -> str:
    """Return what is wrong between the held checkpoints of one log, or "" for nothing.

    The largest must be verified against the log's records by itself. That the others lead up to it
    is shown by proofs, which whoever keeps the files cannot make up.
    """
    key = log_key(log)
    for note in held:
        newest = held[0]
        if not key.signed(note):
            return f"a held checkpoint over {note.size} records is not signed by the log's key"
        try:
            proof = consistency_proof(log, note.size, newest.size)
        except PlatformError as error:
            return f"the held checkpoint over {note.size} records cannot be compared: {error}"
        if not extends(note.size, note.root, newest.size, newest.root, proof):
            return (
                f"the log was forked: the {newest.size} records of the newest held checkpoint do "
                f"not continue the {note.size} of an older one"
            )
    return ""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time-stamp that is kept of a log: over which state, of when, and what is wrong with it."""

    note: Note
    at: datetime | None
    problem: str


def check_tokens(settings: Settings, log: Path) -> list[Stamp]:
    """Return the time-stamps of a log, the newest first, each verified, and compared with the log.

    Raises ``ConfigurationError`` when the settings name no authority.
    """
    chain = _chain(settings)
    kept = list(kept_tokens(log, Disk()).tokens(log_key(log).name))
    if not kept:
        return []
    notes = [note for note, _ in kept]
    forked = openers.verify_audit(settings, log, str(notes[0])).problem or history_problem(
        log, notes
    )
    found: list[Stamp] = []
    for note, token in kept:
        try:
            found.append(Stamp(note, stamped_at(note, token, chain), forked))
        except TamperedError as error:
            found.append(Stamp(note, None, str(error)))
    return found


def verifier_keys(settings: Settings) -> list[VerifierKey]:
    """Return the public key of every log, for a witness that is to know them."""
    return [log_key(log) for log in find_logs(settings.audit_dir)]


def cosigner_at(settings: Settings, where: str) -> VerifierKey | None:
    """Return the key that the settings name for the witness at a URL; None if they do not."""
    return _cosigners(settings).get(where)


def _cosigners(settings: Settings) -> dict[str, VerifierKey]:
    pairs = (entry.split(" ", 1) for entry in settings.witness_urls)
    return {url: parse_key(key) for url, key in pairs}


def _chain(settings: Settings) -> Sequence[Certificate]:
    if settings.timestamp_chain_file is None:
        raise ConfigurationError("set timestamp_chain_file: time-stamps are verified by it")
    return read_chain(settings.timestamp_chain_file)


def _from_folder(folder: Path) -> list[Note]:
    held = HeldCheckpoints(folder, storage=Disk())
    if not folder.is_dir():
        raise WitnessError(f"the folder {folder} is not there: mount it")
    return [note for origin in held.origins() for note in held.held(origin)]


def _from_url(settings: Settings, url: str, origins: Iterable[str]) -> list[Note]:
    exchange = Exchange(settings, url)
    every = exchange.get(f"{url.rstrip('/')}/checkpoints")
    if every.status == HTTPStatus.OK:
        # Two empty lines stand between notes; within a note there is one.
        parts = (part.strip("\n") for part in _text(url, every).split("\n\n\n"))
        return [parse_note(part + "\n") for part in parts if part]
    # A witness of others cannot name a log that is gone. Source: C2SP tlog-witness 1.1.0.
    found = []
    for origin in origins:
        digest = hashlib.sha256(origin.encode()).hexdigest()
        reply = exchange.get(f"{url.rstrip('/')}/{digest}/checkpoint")
        if reply.status == HTTPStatus.OK:
            found.append(parse_note(_text(url, reply)))
        elif reply.status != HTTPStatus.NOT_FOUND:
            raise WitnessError(f"{url} answers {reply.status}: it is no witness that can be read")
    return found


def _text(url: str, reply: Reply) -> str:
    try:
        return reply.body.decode()
    except UnicodeDecodeError as error:
        raise TamperedError(f"what {url} holds is not text") from error
