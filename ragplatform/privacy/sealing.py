"""Authenticated encryption of values, under a data key for each subject that is itself wrapped."""

import hashlib
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ragplatform.errors import TamperedError
from ragplatform.privacy.keys import KEY_BYTES, Keys

# NIST SP 800-38D, section 8.2.2: random nonces of 96 bits. A subject's key seals far fewer than
# the 2^32 values that it allows.
_NONCE_BYTES: Final = 12


def _bound(*parts: str) -> bytes:
    """Return the parts with their lengths, so that no two lists give the same bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _seal(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _open(key: bytes, sealed: bytes, bound: bytes, what: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError) as error:
        raise TamperedError(f"the vault's {what} is not what was written") from error


class Sealing:
    """Seals and opens what the vault stores; knows no database."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def check(self) -> bytes:
        """Return a value by which a vault recognises its own keys and tells nothing of them."""
        key = self._keys.derive("vault-check", "")
        return hmac.new(key, b"ragplatform vault", hashlib.sha256).digest()

    def new_key(self, tenant: str, subject: str) -> bytes:
        """Return a fresh data key for the subject, wrapped; only the wrapped form is stored."""
        kek = self._keys.derive("vault-kek", tenant)
        return _seal(kek, os.urandom(KEY_BYTES), _bound("subject-key", tenant, subject))

    def unwrap(self, tenant: str, subject: str, wrapped: bytes) -> bytes:
        """Return the subject's data key. Raises ``TamperedError``."""
        kek = self._keys.derive("vault-kek", tenant)
        return _open(kek, wrapped, _bound("subject-key", tenant, subject), "wrapped key")

    def seal(self, key: bytes, tenant: str, subject: str, token: str, value: str) -> bytes:
        """Return the value encrypted, bound to where it is stored."""
        plain = value.encode("utf-8", "surrogatepass")
        return _seal(key, plain, _bound("value", tenant, subject, token))

    def open(self, key: bytes, tenant: str, subject: str, token: str, sealed: bytes) -> str:
        """Return the value. Raises ``TamperedError`` when it, or its place, was changed."""
        plain = _open(key, sealed, _bound("value", tenant, subject, token), "value")
        return plain.decode("utf-8", "surrogatepass")
