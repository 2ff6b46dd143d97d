"""Keys for one purpose and one tenant each, all derived from the deployment's master secret."""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ragplatform.errors import VaultError

KEY_BYTES: Final = 32


class KeySource(Protocol):
    """Gives keys of one use and tenant each."""

    def derive(self, use: str, tenant: str) -> bytes:
        """Return the 32-byte key of one use in one tenant."""


class Keys:
    """Derives purpose-bound keys. Holds the master secret and never shows it."""

    __slots__ = ("_derived", "_master")

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise VaultError(f"the master key must have {KEY_BYTES} bytes, this has {len(master)}")
        self._master = master
        self._derived: dict[tuple[str, str], bytes] = {}

    def __repr__(self) -> str:
        return "Keys(***)"

    def derive(self, use: str, tenant: str) -> bytes:
        """Return the 32-byte key of one use in one tenant; unrelated to every other.

        Source: RFC 5869 with an empty salt; the info string binds use, version and tenant.
        """
        found = self._derived.get((use, tenant))
        if found is None:
            info = f"ragplatform/{use}/v1/{tenant}".encode()
            found = HKDF(SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self._master)
            self._derived[use, tenant] = found
        return found

    def only(self, uses: Iterable[str], tenant: str) -> "FewKeys":
        """Return the keys of these uses in one tenant, for a process that needs no others."""
        return FewKeys({(use, tenant): self.derive(use, tenant) for use in uses})


class FewKeys:
    """Some derived keys without the secret they come from; may be handed to another process."""

    __slots__ = ("_derived",)

    def __init__(self, derived: Mapping[tuple[str, str], bytes]) -> None:
        self._derived = dict(derived)

    def __repr__(self) -> str:
        return "FewKeys(***)"

    def derive(self, use: str, tenant: str) -> bytes:
        """Return the key of one use in one tenant.

        Raises ``VaultError`` for one that was not handed over.
        """
        found = self._derived.get((use, tenant))
        if found is None:
            raise VaultError(f"this process was not given the key for {use!r} of that tenant")
        return found
