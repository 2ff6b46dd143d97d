"""Time-stamps over checkpoints: a third party's word that a log said this at that time.

Source: RFC 3161 (Time-Stamp Protocol); section 3.4 for its transport over HTTP.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from ragplatform.audit.storage import Storage, put
from ragplatform.audit.witness import Post, rolled_back
from ragplatform.audit.witness_folder import HeldCheckpoints
from ragplatform.audit.witness_notes import Note, Signature
from ragplatform.errors import ConfigurationError, TamperedError, WitnessConflictError, WitnessError

STAMPED: Final = "checkpoint.stamped"
STAMP: Final = "checkpoint.tsr"

_LARGEST_TOKEN: Final = 256 * 1024


def read_chain(path: Path) -> list[Certificate]:
    """Return the certificates in a PEM file: the authority's roots, and those between.

    Raises ``ConfigurationError`` when it cannot be read or holds no root.
    """
    try:
        chain = load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: wanted certificates in PEM: {error}") from error
    if not any(certificate.issuer == certificate.subject for certificate in chain):
        raise ConfigurationError(f"{path}: holds no root certificate of the authority")
    return chain


def stamped_at(note: Note, token: bytes, chain: Sequence[Certificate]) -> datetime:
    """Return the time that a token gives a checkpoint, after verifying it.

    Raises ``TamperedError`` when it is not a time-stamp over this very note by an authority under
    one of the roots.
    """
    return _verify(note, _decode(token), chain, VerifierBuilder()).tst_info.gen_time


class TimestampWitness:
    """Has checkpoints time-stamped, and keeps the tokens beside the log and in folders."""

    def __init__(
        self,
        url: str,
        *,
        chain: Sequence[Certificate],
        every_s: float,
        post: Post,
        storage: Storage,
        copies: Iterable[HeldCheckpoints] = (),
    ) -> None:
        self.name: Final = url
        self.every_s: Final = every_s
        self._chain = chain
        self._post = post
        self._storage = storage
        self._copies = tuple(copies)

    def hand_over(self, log: Path, note: Note, known: int) -> Sequence[Signature]:
        """Ask for a time-stamp over the note, verify it, and keep it.

        An authority remembers nothing: whether the log continued shows only when it is verified
        against the tokens that were kept.
        """
        if known > note.size:
            raise WitnessConflictError(rolled_back(note, known))
        builder = TimestampRequestBuilder(str(note).encode(), HashAlgorithm.SHA256)
        request = builder.build()
        reply = self._post(self.name, request.as_bytes(), "application/timestamp-query")
        if reply.status != HTTPStatus.OK or len(reply.body) > _LARGEST_TOKEN:
            raise WitnessError(f"the time-stamping authority answers {reply.status}")
        try:
            _verify(note, _decode(reply.body), self._chain, VerifierBuilder.from_request(request))
        except TamperedError as error:
            raise WitnessError(
                f"the time-stamping authority's answer is not good: {error}"
            ) from error
        for held in (kept_tokens(log, self._storage), *self._copies):
            try:
                held.add_token(note, reply.body)
            except OSError as error:
                raise WitnessError(f"{held.folder} takes no time-stamp: {error}") from error
        # The newest lies beside the log as well, for whoever packs evidence. The token is last, so
        # that it never stands there without its note.
        put(self._storage, log / STAMPED, str(note).encode())
        put(self._storage, log / STAMP, reply.body)
        return ()


def kept_tokens(log: Path, storage: Storage) -> HeldCheckpoints:
    """Return where the time-stamps of a log are kept beside it."""
    return HeldCheckpoints(log / "witness" / "timestamps", storage=storage)


def _decode(token: bytes) -> TimeStampResponse:
    try:
        return decode_timestamp_response(token)
    except ValueError as error:
        raise TamperedError("a time-stamp is damaged") from error


def _verify(
    note: Note, response: TimeStampResponse, chain: Sequence[Certificate], builder: VerifierBuilder
) -> TimeStampResponse:
    for certificate in chain:
        # What is under another certificate is trusted only through that one.
        root = certificate.issuer == certificate.subject
        add = builder.add_root_certificate if root else builder.add_intermediate_certificate
        builder = add(certificate)
    try:
        builder.build().verify_message(response, str(note).encode())
    except (VerificationError, ValueError) as error:
        raise TamperedError(f"a time-stamp over {note.origin} does not hold: {error}") from error
    return response
