"""Authenticated encryption of values, under a data key for each subject."""

import hashlib
import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ragplatform.errors import TamperedError
from ragplatform.privacy.keys import Keys

# NIST SP 800-38D, section 8.2.2: random nonces of 96 bits. A subject's key seals far fewer than
# the 2^32 values that it allows.
_NONCE_BYTES: Final = 12


def seal(key: bytes, plain: bytes, *bound: str) -> bytes:
    """Return the bytes encrypted with AES-GCM, bound to the words that say where they belong."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, _bound(bound))


def unseal(key: bytes, sealed: bytes, *bound: str, what: str) -> bytes:
    """Return what ``seal`` was given. Raises ``TamperedError`` when it, or its place, changed."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(bound))
    except (InvalidTag, ValueError) as error:
        raise TamperedError(f"the vault's {what} is not what was written") from error


def seal_text(key: bytes, text: str, *bound: str) -> bytes:
    """Return the text encrypted, bound to where it is stored."""
    return seal(key, text.encode("utf-8", "surrogatepass"), *bound)


def unseal_text(key: bytes, sealed: bytes, *bound: str, what: str) -> str:
    """Return the text. Raises ``TamperedError`` when it, or its place, was changed."""
    return unseal(key, sealed, *bound, what=what).decode("utf-8", "surrogatepass")


def check_value(keys: Keys) -> bytes:
    """Return a value by which a vault recognises its own keys and that tells nothing of them."""
    return hmac.new(keys.derive("vault-check", ""), b"ragplatform vault", hashlib.sha256).digest()


def _bound(parts: tuple[str, ...]) -> bytes:
    """Return the parts with their lengths, so that no two lists give the same bytes."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
