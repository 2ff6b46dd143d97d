"""Authenticated encryption of many bytes in bounded memory, under a key that is used once.

The bytes are cut into segments. A segment's nonce is its number and whether it is the last, so
none can be left out, moved, repeated or cut off unseen.

Source: V. T. Hoang, R. Reyhanitabar, P. Rogaway, D. Vizár, Online authenticated-encryption and its
nonce-reuse misuse-resistance (CRYPTO 2015): the construction STREAM.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ragplatform.errors import TamperedError

SEGMENT_BYTES: Final = 64 * 1024
_TAG_BYTES: Final = 16
_COUNTER_BYTES: Final = 11


def seal_stream(key: bytes, plain: Iterable[bytes], bound: bytes) -> Iterator[bytes]:
    """Yield the sealed segments of the bytes; at least one, also of none.

    ``key`` must seal nothing else ever: nonces begin anew at each call.
    """
    cipher = AESGCM(key)
    number = 0
    waiting: bytes | None = None
    for segment in _segments(plain):
        if waiting is not None:
            yield cipher.encrypt(_nonce(number, last=False), waiting, bound)
            number += 1
        waiting = segment
    yield cipher.encrypt(_nonce(number, last=True), waiting or b"", bound)


def unseal_stream(key: bytes, sealed: Iterable[bytes], bound: bytes) -> Iterator[bytes]:
    """Yield what ``seal_stream`` was given, segment by segment, each after it proved genuine.

    Raises ``TamperedError`` when anything differs from what was written. That the end is missing
    is known at the end alone: act on nothing before.
    """
    cipher = AESGCM(key)
    number = 0
    waiting: bytes | None = None
    for segment in _segments(sealed, SEGMENT_BYTES + _TAG_BYTES):
        if waiting is not None:
            yield _opened(cipher, waiting, _nonce(number, last=False), bound)
            number += 1
        waiting = segment
    yield _opened(cipher, waiting or b"", _nonce(number, last=True), bound)


def _opened(cipher: AESGCM, sealed: bytes, nonce: bytes, bound: bytes) -> bytes:
    try:
        return cipher.decrypt(nonce, sealed, bound)
    except (InvalidTag, ValueError) as error:
        raise TamperedError("a sealed file is not what was written: restore its copy") from error


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_COUNTER_BYTES, "big") + bytes([last])


def _segments(pieces: Iterable[bytes], size: int = SEGMENT_BYTES) -> Iterator[bytes]:
    """Cut pieces of any length into full segments and a shorter rest."""
    held = bytearray()
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            room = size - len(held)
            held += rest[:room]
            rest = rest[room:]
            if len(held) == size:
                yield bytes(held)
                held.clear()
    if held:
        yield bytes(held)
