"""Signed checkpoints as a witness reads them, and the cosignatures that it adds.

Shares no code with the writer's ``note``: a witness must not repeat the writer's mistakes.

Source: C2SP signed-note (https://c2sp.org/signed-note), tlog-checkpoint
(https://c2sp.org/tlog-checkpoint) and tlog-cosignature (https://c2sp.org/tlog-cosignature).
"""

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass, replace
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ragplatform.errors import ConfigurationError, TamperedError

# Source: C2SP signed-note, "Signature types"; tlog-cosignature, "Format".
LOG_KEY: Final = 0x01
COSIGNER_KEY: Final = 0x04

_HASH_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64

# Source: C2SP signed-note: a name is not empty and holds neither white space nor "+".
_NAME: Final = re.compile(r"[^\s+]{1,255}")
_VERIFIER_KEY: Final = re.compile(r"(?P<name>[^\s+]{1,255})\+(?P<id>[0-9a-f]{8})\+(?P<body>\S+)")
_SIGNATURE_LINE: Final = re.compile(r"— (?P<name>[^\s+]{1,255}) (?P<blob>[A-Za-z0-9+/]+={0,2})")
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: whose it says it is, under which key, and the signature's bytes."""

    name: str
    key_id: bytes
    blob: bytes

    @property
    def line(self) -> str:
        """The line as it stands under a note, with its line feed."""
        text = base64.b64encode(self.key_id + self.blob).decode()
        return f"— {self.name} {text}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint that was read, not yet verified: what it says, and who signed it.

    ``text`` is what the signatures are over, with its last line feed.
    """

    text: str
    origin: str
    size: int
    root: bytes
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        """Return the note as it is written to a file."""
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)

    def with_signatures(self, added: tuple[Signature, ...]) -> "Note":
        """Return the note with further signatures; one of the same key takes the place of its
        older one.
        """
        keys = {(signature.name, signature.key_id) for signature in added}
        kept = (s for s in self.signatures if (s.name, s.key_id) not in keys)
        return replace(self, signatures=(*kept, *added))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key that is trusted, of a log or of a witness."""

    name: str
    algorithm: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The four bytes by which a signature line names the key."""
        body = bytes([self.algorithm]) + self.public
        return hashlib.sha256(self.name.encode() + b"\n" + body).digest()[:4]

    def __str__(self) -> str:
        """Return the key as one word: name, key id, and the key itself."""
        body = base64.b64encode(bytes([self.algorithm]) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{body}"

    def signed(self, note: Note) -> bool:
        """Return whether the note bears a log's signature by this key."""
        return self.algorithm == LOG_KEY and any(
            self._holds(signature.blob, note.text.encode()) for signature in self._own(note)
        )

    def cosigned_at(self, note: Note) -> int | None:
        """Return when a witness with this key cosigned the note, in seconds since 1970; None if
        it did not.
        """
        if self.algorithm != COSIGNER_KEY:
            return None
        for signature in self._own(note):
            if len(signature.blob) != 8 + _SIGNATURE_BYTES:
                continue
            (at,) = struct.unpack(">Q", signature.blob[:8])
            if self._holds(signature.blob[8:], _cosigned_text(at, note)):
                return int(at)
        return None

    def of_this_key(self, note: Note) -> tuple[Signature, ...]:
        """Return the signature lines that name this key; they may be wrong."""
        return tuple(self._own(note))

    def _own(self, note: Note) -> list[Signature]:
        return [s for s in note.signatures if s.name == self.name and s.key_id == self.key_id]

    def _holds(self, signature: bytes, text: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


class Cosigner:
    """Signs checkpoints as a witness, with the time at which it saw them.

    The signed text does not hold the witness's name, so a key must be that of one witness alone.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"a witness cannot be called {name[:80]!r}: wanted a name without blanks or '+', "
                "such as witness.example/w1"
            )
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.key = VerifierKey(name, COSIGNER_KEY, self._key.public_key().public_bytes_raw())

    def cosign(self, note: Note, at: int) -> Signature:
        """Return the cosignature: that this was the largest consistent state seen at that time."""
        signature = self._key.sign(_cosigned_text(at, note))
        return Signature(self.key.name, self.key.key_id, struct.pack(">Q", at) + signature)


def parse_key(text: str) -> VerifierKey:
    """Return the verifier key in a line of text.

    Raises ``ConfigurationError`` unless it is an Ed25519 key of a log or a witness whose key id
    fits: one digit lost in copying must not make a key that nothing verifies under.
    """
    match = _VERIFIER_KEY.fullmatch(text.strip())
    body = _base64(match["body"]) if match else None
    if match is None or body is None or len(body) != 1 + _HASH_BYTES:
        raise ConfigurationError(f"{text.strip()[:80]!r} is not a verifier key: NAME+ID+KEY")
    key = VerifierKey(match["name"], body[0], body[1:])
    if key.algorithm not in {LOG_KEY, COSIGNER_KEY} or key.key_id.hex() != match["id"]:
        raise ConfigurationError(
            f"the verifier key of {key.name!r} is damaged or of an unknown kind: copy it anew"
        )
    return key


def parse_note(text: str) -> Note:
    """Return the checkpoint in a text. Who signed it is not verified here.

    Raises ``TamperedError`` when it is none, to the letter.
    """
    body, mark, tail = text.partition("\n\n")
    lines = body.split("\n")
    root = _base64(lines[2]) if len(lines) > 2 else None
    if not mark or root is None or len(root) != _HASH_BYTES or not _SIZE.fullmatch(lines[1]):
        raise TamperedError("wanted a checkpoint: origin, size, root, an empty line, signatures")
    if not lines[0] or not all(lines) or not tail.endswith("\n"):
        raise TamperedError("a checkpoint has an empty line or lacks its last line feed")
    signatures = tuple(_parse_signature(line) for line in tail[:-1].split("\n"))
    return Note(body + "\n", lines[0], int(lines[1]), root, signatures)


def parse_signatures(text: str) -> tuple[Signature, ...]:
    """Return the signatures in a witness's answer. Raises ``TamperedError`` when it is no such."""
    if not text.endswith("\n"):
        raise TamperedError("wanted signature lines, each with its line feed")
    return tuple(_parse_signature(line) for line in text[:-1].split("\n"))


def _parse_signature(line: str) -> Signature:
    match = _SIGNATURE_LINE.fullmatch(line)
    blob = _base64(match["blob"]) if match else None
    # Four bytes of key id and at least one of signature.
    if match is None or blob is None or len(blob) < 5:
        raise TamperedError("a line under a checkpoint is not a signature")
    return Signature(match["name"], blob[:4], blob[4:])


def _cosigned_text(at: int, note: Note) -> bytes:
    return f"cosignature/v1\ntime {at}\n{note.text}".encode()


def _base64(text: str) -> bytes | None:
    """Return the bytes of base64 text, or None unless it is the one right way to write them."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
