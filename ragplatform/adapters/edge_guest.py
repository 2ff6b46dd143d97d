"""The embedded index as seen from a process that another one holds it for."""

import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from ragplatform.adapters.edge_wire import (
    PROTOCOL,
    OwnerGoneError,
    decode_vector,
    encode_terms,
    encode_vector,
    peer_of,
    receive_frame,
    send_frame,
    short_path,
)
from ragplatform.adapters.filters import encode_filter
from ragplatform.adapters.payload import checked_payload, decode_payload, encode_labels
from ragplatform.errors import (
    ConfigurationError,
    IndexUnavailableError,
    InvalidRequestError,
    PlatformError,
    PolicyError,
    TamperedError,
    TooLargeError,
)
from ragplatform.model import AnyOf, Hit, Json, Labels, Passage, TermWeights
from ragplatform.ports import Entry

# About 1 MiB a frame at 384 dimensions, so that searches get their turn between two batches.
_BATCH: Final = 128

# A greeting is answered from memory; the owner may be busy in the engine for a second or two.
GREETING_TIMEOUT_S: Final = 5.0
# Longer than any single operation at 10^6 passages.
REQUEST_TIMEOUT_S: Final = 120.0

_ERRORS: Final[Mapping[str, type[PlatformError]]] = {
    kind.code: kind
    for kind in (
        ConfigurationError,
        IndexUnavailableError,
        InvalidRequestError,
        PolicyError,
        TamperedError,
        TooLargeError,
    )
}


class GuestIndex:
    """A ``Store`` that asks the owner. Safe to call from several threads."""

    def __init__(self, *, folder: Path, dim: int) -> None:
        """Greet the owner. Raises ``OwnerGoneError`` when nobody answers on the socket."""
        self._folder = folder
        self._dim = dim
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []
        self._closed = False
        self.owner = 0
        """The process id of the owner."""
        self._give_back(self._connect())

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Store the entries through the owner, in batches."""
        documents: list[Json] = [
            [
                entry.passage.chunk.id,
                checked_payload(entry, self._dim),
                encode_vector(entry.vector),
                encode_terms(entry.terms),
            ]
            for entry in entries
        ]
        for start in range(0, len(documents), _BATCH):
            self._ask("upsert", documents[start : start + _BATCH])

    def search_within(
        self, vector: Sequence[float], terms: TermWeights, tree: AnyOf, limit: int
    ) -> list[Hit]:
        """Search through the owner."""
        if not tree.branches or limit < 1:
            return []
        found = self._ask(
            "search", encode_vector(vector), encode_terms(terms), encode_filter(tree), limit
        )
        return [_decode_hit(hit) for hit in cast("list[Json]", found)]

    def fetch_within(self, chunk: str, tree: AnyOf) -> Hit | None:
        """Fetch through the owner."""
        if not tree.branches:
            return None
        found = self._ask("fetch", chunk, encode_filter(tree))
        return None if found is None else _decode_hit(found)

    def browse_within(self, tree: AnyOf, limit: int) -> list[Passage]:
        """Browse through the owner."""
        if not tree.branches or limit < 1:
            return []
        found = self._ask("browse", encode_filter(tree), limit)
        return [_decode_passage(passage) for passage in cast("list[Json]", found)]

    def generations(self, tenant: str) -> Mapping[str, Mapping[str, int]]:
        """List generations through the owner."""
        return cast("dict[str, dict[str, int]]", self._ask("generations", tenant))

    def passages(
        self, tenant: str, document: str, generation: str, *, after: str = "", limit: int
    ) -> list[Passage]:
        """List passages through the owner."""
        found = self._ask("passages", tenant, document, generation, after, limit)
        return [_decode_passage(passage) for passage in cast("list[Json]", found)]

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """Retire through the owner."""
        return cast("int", self._ask("retire", tenant, document, keep_generation))

    def remove(self, tenant: str, document: str) -> int:
        """Remove through the owner."""
        return cast("int", self._ask("remove", tenant, document))

    def relabel(self, document: str, labels: Labels, access_class: str) -> int:
        """Relabel through the owner."""
        return cast("int", self._ask("relabel", document, encode_labels(labels, access_class)))

    def scrub(self, tenant: str) -> None:
        """Scrub through the owner."""
        self._ask("scrub", tenant)

    def count(self) -> int:
        """Count through the owner."""
        return cast("int", self._ask("count"))

    def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for peer in idle:
            peer.close()

    def _ask(self, name: str, *arguments: Json) -> Json:
        peer = self._take()
        try:
            answer = _exchange(peer, [name, list(arguments)])
        except TooLargeError:
            self._give_back(peer)
            raise
        except BaseException:
            # Half a conversation may be left on it: the next answer would be of this request.
            peer.close()
            raise
        self._give_back(peer)
        return _unwrapped(answer)

    def _take(self) -> socket.socket:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, peer: socket.socket) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(peer)
                return
        peer.close()

    def _connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            peer.settimeout(GREETING_TIMEOUT_S)
            with short_path(self._folder) as path:
                peer.connect(path)
            self.owner = peer_of(peer)
            _unwrapped(_exchange(peer, ["hello", PROTOCOL, self._dim]))
            peer.settimeout(REQUEST_TIMEOUT_S)
        except (OSError, IndexUnavailableError) as error:
            peer.close()
            raise OwnerGoneError("nobody answers on the index's socket") from error
        except BaseException:
            peer.close()
            raise
        return peer


def _exchange(peer: socket.socket, request: Json) -> Json:
    try:
        send_frame(peer, request)
        return receive_frame(peer)
    except TimeoutError as error:
        raise IndexUnavailableError(
            "the process that holds the index did not answer in time"
        ) from error
    except OSError as error:
        raise OwnerGoneError("the process that holds the index went away") from error


def _unwrapped(answer: Json) -> Json:
    match answer:
        case {"ok": found}:
            return found
        case {"error": str(code), "message": str(message)}:
            raise _ERRORS.get(code, IndexUnavailableError)(message)
    raise OwnerGoneError("the peer on the index's socket does not speak its protocol")


def _decode_passage(document: Json) -> Passage:
    match document:
        case [str(chunk), payload]:
            return decode_payload(chunk, payload)
    raise TamperedError("the process that holds the index sent something else than a passage")


def _decode_hit(document: Json) -> Hit:
    match document:
        case [str(chunk), payload, int() | float() as score, int() | float() as lexical, vector]:
            passage = decode_payload(chunk, payload)
            return Hit(passage, float(score), float(lexical), decode_vector(vector))
    raise TamperedError("the process that holds the index sent something else than a passage")
