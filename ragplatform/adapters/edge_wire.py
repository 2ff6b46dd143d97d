"""What processes say to each other about the embedded index, and who may listen.

Frames are four bytes of length, big-endian, and that much JSON, bounded. The kernel vouches for
the user at the other end; anybody but our own user is turned away on both sides.
"""

import base64
import contextlib
import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, cast

import numpy as np

from ragplatform.errors import ConfigurationError, IndexUnavailableError, TooLargeError
from ragplatform.model import AnyOf, Hit, Json, Labels, Passage, TermWeights
from ragplatform.ports import Entry

SOCKET_NAME: Final = "owner.sock"
PROTOCOL: Final = 4

# A page of 10,000 passages of 4 KiB fits; a length read from a stranger's bytes does not.
MAX_FRAME: Final = 64 * 2**20
_LENGTH: Final = struct.Struct(">I")
_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid; see unix(7).


class OwnerGoneError(IndexUnavailableError):
    """The process that holds the index went away, perhaps in the middle of the request."""


class Store(Protocol):
    """What can be asked of an index whose filter is compiled already."""

    def upsert(self, entries: Sequence[Entry]) -> None:
        """See ``Index.upsert``."""

    def search_within(
        self, vector: Sequence[float], terms: TermWeights, tree: AnyOf, limit: int
    ) -> list[Hit]:
        """See ``Index.search``."""

    def fetch_within(self, chunk: str, tree: AnyOf) -> Hit | None:
        """See ``Index.fetch``."""

    def browse_within(self, tree: AnyOf, limit: int) -> list[Passage]:
        """See ``Index.browse``."""

    def generations(self, tenant: str) -> Mapping[str, Mapping[str, int]]:
        """See ``Index.generations``."""

    def passages(
        self, tenant: str, document: str, generation: str, *, after: str = "", limit: int
    ) -> list[Passage]:
        """See ``Index.passages``."""

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """See ``Index.retire``."""

    def remove(self, tenant: str, document: str) -> int:
        """See ``Index.remove``."""

    def relabel(self, document: str, labels: Labels, access_class: str) -> int:
        """See ``Index.relabel``."""

    def scrub(self, tenant: str) -> None:
        """See ``Index.scrub``."""

    def count(self) -> int:
        """See ``Index.count``."""

    def close(self) -> None:
        """See ``Index.close``."""


@contextlib.contextmanager
def short_path(folder: Path) -> Iterator[str]:
    """Yield a path of the folder's socket that is short enough for the kernel.

    ``sun_path`` holds 108 bytes and data folders lie deeper than that. The path goes through an
    open descriptor of the folder, so its length does not depend on where the folder lies.
    """
    handle = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{handle}/{SOCKET_NAME}"
    finally:
        os.close(handle)


def send_frame(peer: socket.socket, document: Json) -> None:
    """Send one document. Raises ``TooLargeError`` before anything is sent."""
    body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    if len(body) > MAX_FRAME:
        raise TooLargeError(f"a message of {len(body)} bytes is too large: ask for less at once")
    peer.sendall(_LENGTH.pack(len(body)) + body)


def receive_frame(peer: socket.socket) -> Json:
    """Receive one document.

    Raises ``OwnerGoneError`` at the end of the stream or within a frame, and for a length or a
    body that no process of ours sends.
    """
    (length,) = _LENGTH.unpack(_receive(peer, _LENGTH.size))
    if length > MAX_FRAME:
        raise OwnerGoneError("the peer on the index's socket does not speak its protocol")
    try:
        return cast("Json", json.loads(_receive(peer, length)))
    except (ValueError, RecursionError):
        raise OwnerGoneError("the peer on the index's socket does not speak its protocol") from None


def peer_of(peer: socket.socket) -> int:
    """Return the process id at the other end.

    Raises ``ConfigurationError`` when it belongs to another user. Source: SO_PEERCRED, unix(7).
    """
    found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(found)
    if uid != os.geteuid():
        raise ConfigurationError(
            f"the index's socket has user {uid} at its other end, and this is {os.geteuid()}: run "
            "both processes as one user"
        )
    return int(pid)


def _receive(peer: socket.socket, length: int) -> bytes:
    body = bytearray()
    while len(body) < length:
        part = peer.recv(min(length - len(body), 2**20))
        if not part:
            raise OwnerGoneError("the process at the other end of the index's socket went away")
        body += part
    return bytes(body)


def encode_vector(vector: Sequence[float]) -> Json:
    """Return the vector as base64 of float32, little-endian."""
    # The engine keeps float32: these are its very bits, at a third of the size of decimal text.
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


def decode_vector(document: Json) -> list[float]:
    """Return the vector that ``encode_vector`` wrote. Raises ``ValueError`` or ``TypeError``."""
    raw = base64.b64decode(cast("str", document), validate=True)
    return cast("list[float]", np.frombuffer(raw, dtype="<f4").tolist())


def encode_terms(terms: TermWeights) -> Json:
    """Return the weights as two lists, and how many of them count aside."""
    return [list(terms.indices), list(map(float, terms.values)), terms.aside]


def decode_terms(document: Json) -> TermWeights:
    """Return the weights that ``encode_terms`` wrote. Raises ``ValueError`` or ``TypeError``."""
    match document:
        case [[*indices], [*values], int(aside)]:
            return TermWeights(
                tuple(map(int, cast("list[int]", indices))),
                tuple(map(float, cast("list[float]", values))),
                aside,
            )
    raise ValueError("terms")
