"""Sealed parts: clear text that only a permitted reviewer may open, encrypted inside the record.

Each record has its own random data key, wrapped under a key of its tenant. Hashes of the tree are
over ciphertext, so a key can be destroyed without breaking the tree.

Records say under which version they were sealed. Under version 1 one sealing key of the deployment
gave the keys of all tenants; under version 2 each tenant has a sealing key of its own; under
version 3 the key of each record hangs on a seed of its own as well, which can be destroyed.
"""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ragplatform.audit.seeds import SealSeeds
from ragplatform.errors import ConfigurationError, TamperedError

# 96 bits, drawn at random. A data key seals a handful of fields; a tenant's key wraps one data key
# for each sealed record, safe up to 2**32 of them. Source: NIST SP 800-38D, section 8.3.
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32

DEPLOYMENT_KEY: Final = 1
TENANT_KEY: Final = 2
RECORD_KEY: Final = 3


@dataclass(frozen=True, slots=True)
class Sealed:
    """The encrypted parts of one record: the wrapped data key, and the ciphertext by name.

    ``version`` says whose sealing key opens them: ``DEPLOYMENT_KEY``, ``TENANT_KEY`` or, with
    the record's own seed, ``RECORD_KEY``.
    """

    key: bytes
    parts: Mapping[str, bytes]
    version: int = TENANT_KEY


class Sealer:
    """Seals and opens the parts of one origin's records under one sealing key."""

    def __init__(self, origin: str, sealing_key: bytes, seeds: SealSeeds | None = None) -> None:
        """With ``seeds`` each record gets a key that can be destroyed."""
        if len(sealing_key) != 32:
            raise ConfigurationError(f"the audit sealing key has {len(sealing_key)} bytes, not 32")
        self._origin = origin
        self._sealing_key = sealing_key
        self._seeds = seeds
        self._wrappers: dict[bytes, AESGCM] = {}
        self._keys: dict[bytes, bytes] = {}

    def seal(self, parts: Mapping[str, str], *, tenant: str, index: int) -> Sealed:
        """Return the parts encrypted for the record ``index``, and for no other place."""
        data_key = os.urandom(_KEY_BYTES)
        cipher = AESGCM(data_key)
        version = TENANT_KEY if self._seeds is None else RECORD_KEY
        label = _label(version)
        wrapper = self._wrapper(version, tenant, index)
        return Sealed(
            version=version,
            key=_encrypt(wrapper, data_key, self._place(label, index, "")),
            parts={
                name: _encrypt(cipher, text.encode(), self._place(label, index, name))
                for name, text in parts.items()
            },
        )

    def open(self, sealed: Sealed, *, tenant: str, index: int) -> dict[str, str]:
        """Return the parts in clear.

        Raises ``TamperedError`` when a bit differs from what was sealed, or the key does, and
        ``ForgottenError`` when the record's seed was destroyed.
        """
        label = _label(sealed.version)
        try:
            wrapper = self._wrapper(sealed.version, tenant, index)
            cipher = AESGCM(_decrypt(wrapper, sealed.key, self._place(label, index, "")))
            return {
                name: _decrypt(cipher, box, self._place(label, index, name)).decode()
                for name, box in sealed.parts.items()
            }
        except (InvalidTag, ValueError) as error:
            raise TamperedError(
                f"the sealed parts of audit record {index} of {self._origin!r} do not open: they "
                "were altered or moved, or the sealing key is another one"
            ) from error

    def _wrapper(self, version: int, tenant: str, index: int) -> AESGCM:
        info = f"{_label(version)}/{tenant}".encode()
        if version == RECORD_KEY:
            if self._seeds is None:
                raise ConfigurationError("the seeds of this log's sealed parts are not at hand")
            return AESGCM(hmac.digest(self._derived(info), self._seeds.seed(index), "sha256"))
        cipher = self._wrappers.get(info)
        if cipher is None:
            cipher = self._wrappers[info] = AESGCM(self._derived(info))
        return cipher

    def _derived(self, info: bytes) -> bytes:
        key = self._keys.get(info)
        if key is None:
            key = HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(self._sealing_key)
            self._keys[info] = key
        return key

    def _place(self, label: str, index: int, name: str) -> bytes:
        # Bound to origin, index and name, a ciphertext cannot be passed off as another one's.
        return f"{label}\n{self._origin}\n{index}\n{name}".encode()


def _label(version: int) -> str:
    return f"ragplatform/audit-seal/v{version}"


def _encrypt(cipher: AESGCM, clear: bytes, place: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, clear, place)


def _decrypt(cipher: AESGCM, box: bytes, place: bytes) -> bytes:
    return cipher.decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], place)
