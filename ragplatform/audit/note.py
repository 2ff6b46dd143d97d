"""Checkpoints as signed notes, for the writer.

Source: C2SP signed-note (https://c2sp.org/signed-note) and tlog-checkpoint
(https://c2sp.org/tlog-checkpoint). A checkpoint reads: origin, number of records, root hash, an
empty line, and one line for each signature.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ragplatform.errors import ConfigurationError, TamperedError

# The algorithm byte of an Ed25519 key. Source: C2SP signed-note, "Signature types".
_ED25519: Final = b"\x01"

# signed-note forbids white space and "+" in names; the rest keeps an origin usable as a folder.
_ORIGIN: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,126}(/[a-z0-9][a-z0-9._-]{0,126}){0,3}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log that its signer vouches for: the first ``size`` records have ``root``."""

    size: int
    root: bytes


def parse_checkpoint(note: str) -> Checkpoint:
    """Return what a checkpoint says, whoever signed it.

    Raises ``TamperedError`` when it is none.
    """
    try:
        _, size, root, _ = note.split("\n", 3)
        return Checkpoint(int(size), base64.b64decode(root, validate=True))
    except ValueError as error:
        origin = note.split("\n", 1)[0][:80]
        raise TamperedError(f"a checkpoint of {origin!r} is damaged") from error


class Signer:
    """Signs and checks the checkpoints of one origin with one key."""

    def __init__(self, origin: str, seed: bytes) -> None:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigurationError(
                f"the audit origin {origin!r} is not usable: wanted lower-case letters, digits, "
                "'.', '_' and '-', in parts separated by '/'"
            )
        if len(seed) != 32:
            raise ConfigurationError(f"the audit signing key has {len(seed)} bytes, wanted 32")
        self.origin = origin
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()
        body = _ED25519 + self.public_key
        self._key_id = hashlib.sha256(origin.encode() + b"\n" + body).digest()[:4]
        self.verifier_key = f"{origin}+{self._key_id.hex()}+{base64.b64encode(body).decode()}"

    def sign(self, checkpoint: Checkpoint) -> str:
        """Return the checkpoint as a signed note."""
        root = base64.b64encode(checkpoint.root).decode()
        return self.sign_text(f"{self.origin}\n{checkpoint.size}\n{root}\n")

    def sign_text(self, text: str) -> str:
        """Return any text of whole lines as a signed note.

        Its first line must be none that an origin could be, or it might pass for a checkpoint.
        """
        signature = base64.b64encode(self._key_id + self._key.sign(text.encode())).decode()
        return f"{text}\n— {self.origin} {signature}\n"

    def open(self, note: str) -> Checkpoint:
        """Return the checkpoint in a note that this key signed.

        Raises ``TamperedError`` unless the note is, to the letter, what this key would sign.
        """
        checkpoint = parse_checkpoint(note)
        # Ed25519 gives one signature for one text, so whoever has the key can sign again and
        # compare: no second way to write the same signature gets through.
        if self.sign(checkpoint) != note:
            raise TamperedError(f"a checkpoint of {self.origin!r} is not signed by its key")
        return checkpoint
