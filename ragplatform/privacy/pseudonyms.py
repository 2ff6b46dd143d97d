"""Keyed pseudonyms: the same value gives the same token in one tenant, unrelated ones in others."""

import base64
import hashlib
import hmac
import unicodedata
from typing import Final, Protocol

from ragplatform.privacy.keys import KeySource
from ragplatform.privacy.normalise import normalise

# What is made of a document needs the keys of these uses, and no others.
DOCUMENT_KEYS: Final = ("token", "subject", "date-shift")
# A year either way hides the season of an admission and keeps ages true to a year.
_LONGEST_SHIFT: Final = 365


class Tokeniser(Protocol):
    """Gives the pseudonym of a value."""

    def __call__(self, entity: str, value: str) -> str:
        """Return the token, ``[ENTITY:16 characters]``; equal for equal values."""


class Pseudonyms:
    """Makes tokens and subject references. Pure: nothing is written down."""

    def __init__(self, keys: KeySource) -> None:
        self._keys = keys

    def token(self, tenant: str, entity: str, value: str) -> str:
        """Return the token of a value, equal for every spelling that means the same.

        80 bits of HMAC-SHA256: a clash needs about 10^12 values of one tenant.
        """
        message = f"{entity}\0{normalise(entity, value)}".encode("utf-8", "surrogatepass")
        return f"[{entity}:{self._code('token', tenant, message)[:16]}]"

    def tokeniser(self, tenant: str) -> Tokeniser:
        """Return the tokeniser of one tenant."""

        def tokenise(entity: str, value: str) -> str:
            return self.token(tenant, entity, value)

        return tokenise

    def subject_ref(self, tenant: str, raw_id: str) -> str:
        """Return the keyed reference by which payloads and principals name a subject."""
        folded = unicodedata.normalize("NFKC", raw_id).strip().casefold()
        message = folded.encode("utf-8", "surrogatepass")
        return "s_" + self._code("subject", tenant, message)[:24]

    def clue(self, tenant: str, key: str) -> str:
        """Return the keyed form of a clue: what the vault looks up instead of a name's part."""
        message = key.encode("utf-8", "surrogatepass")
        return self._code("clue", tenant, message)[:24]

    def date_shift(self, tenant: str, subject: str) -> int:
        """Return by how many days the subject's dates move: -365 to 365, never 0.

        The same for all dates of a subject, so that order and intervals stay.
        """
        message = subject.encode("utf-8", "surrogatepass")
        key = self._keys.derive("date-shift", tenant)
        digest = hmac.new(key, message, hashlib.sha256).digest()
        number = int.from_bytes(digest[:8]) % (2 * _LONGEST_SHIFT)
        return number - _LONGEST_SHIFT + (number >= _LONGEST_SHIFT)

    def _code(self, use: str, tenant: str, message: bytes) -> str:
        digest = hmac.new(self._keys.derive(use, tenant), message, hashlib.sha256).digest()
        return base64.b32encode(digest).decode("ascii").lower()
