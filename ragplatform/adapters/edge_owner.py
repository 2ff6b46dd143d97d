"""Answers other processes for the one that has the embedded index open."""

import contextlib
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, cast

from ragplatform.adapters.edge_wire import (
    PROTOCOL,
    SOCKET_NAME,
    Store,
    decode_terms,
    decode_vector,
    encode_vector,
    peer_of,
    receive_frame,
    send_frame,
    short_path,
)
from ragplatform.adapters.filters import decode_filter
from ragplatform.adapters.payload import decode_labels, decode_payload, encode_payload
from ragplatform.errors import ConfigurationError, InvalidRequestError, PlatformError
from ragplatform.model import Hit, Json
from ragplatform.ports import Entry

_BACKLOG: Final = 64


class OwnerServer:
    """Answers the other processes for the one that has the index open."""

    def __init__(self, *, store: Store, dim: int, folder: Path) -> None:
        """Listen on the folder's socket, replacing one that a dead owner left.

        Only the holder of the owner's lock may do this.
        """
        self._store = store
        self._dim = dim
        self._folder = folder
        self._lock = threading.Lock()
        self._peers: set[socket.socket] = set()
        self._closing = False
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with short_path(folder) as path:
                (folder / SOCKET_NAME).unlink(missing_ok=True)
                self._listener.bind(path)
                (folder / SOCKET_NAME).chmod(0o600)
                self._listener.listen(_BACKLOG)
        except BaseException:
            self._listener.close()
            raise
        threading.Thread(target=self._accept, name="index-owner", daemon=True).start()

    def close(self) -> None:
        """Stop answering; requests under way lose their connection and are asked again."""
        with self._lock:
            self._closing = True
            peers = list(self._peers)
        (self._folder / SOCKET_NAME).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._closing:
                    peer.close()
                    return
                self._peers.add(peer)
            threading.Thread(
                target=self._serve, args=(peer,), name="index-guest", daemon=True
            ).start()

    def _serve(self, peer: socket.socket) -> None:
        try:
            peer_of(peer)
            while True:
                reply = self._reply(receive_frame(peer))
                if self._closing:
                    # The guest asks the next owner. A late answer could be of a closed index.
                    return
                send_frame(peer, reply)
        except (OSError, PlatformError):
            return
        finally:
            with self._lock:
                self._peers.discard(peer)
            peer.close()

    def _reply(self, request: Json) -> Json:
        try:
            return {"ok": self._act(request)}
        except PlatformError as error:
            return {"error": error.code, "message": str(error)}
        except (TypeError, ValueError, LookupError):
            return {"error": InvalidRequestError.code, "message": "a request is malformed"}

    def _act(self, request: Json) -> Json:
        match request:
            case [str(name), [*arguments]] if name in _OPERATIONS:
                return _OPERATIONS[name](self._store, arguments)
            case ["hello", int(protocol), int(dim)]:
                return self._greet(protocol, dim)
        raise InvalidRequestError("the index's owner does not know this request")

    def _greet(self, protocol: int, dim: int) -> Json:
        if protocol != PROTOCOL:
            raise ConfigurationError(
                "the process that holds the index runs another version of this software: stop it"
            )
        if dim != self._dim:
            raise ConfigurationError(
                f"the process that holds the index uses vectors of length {self._dim}, this one "
                f"of {dim}: give both the same encoder"
            )
        return None


def _encode_hit(hit: Hit) -> Json:
    passage = hit.passage
    vector = encode_vector(hit.vector)
    return [passage.chunk.id, encode_payload(passage), hit.score, hit.lexical, vector]


def _upsert(store: Store, arguments: list[Json]) -> Json:
    entries = []
    for document in cast("list[list[Json]]", arguments[0]):
        chunk, payload, vector, terms = document
        passage = decode_payload(cast("str", chunk), payload)
        entries.append(Entry(passage, decode_vector(vector), decode_terms(terms)))
    store.upsert(entries)
    return None


def _search(store: Store, arguments: list[Json]) -> Json:
    vector, terms, tree, limit = arguments
    hits = store.search_within(
        decode_vector(vector), decode_terms(terms), decode_filter(tree), cast("int", limit)
    )
    return [_encode_hit(hit) for hit in hits]


def _fetch(store: Store, arguments: list[Json]) -> Json:
    chunk, tree = arguments
    hit = store.fetch_within(cast("str", chunk), decode_filter(tree))
    return None if hit is None else _encode_hit(hit)


def _browse(store: Store, arguments: list[Json]) -> Json:
    tree, limit = arguments
    found = store.browse_within(decode_filter(tree), cast("int", limit))
    return [[passage.chunk.id, encode_payload(passage)] for passage in found]


def _generations(store: Store, arguments: list[Json]) -> Json:
    [tenant] = arguments
    return {name: {**counts} for name, counts in store.generations(cast("str", tenant)).items()}


def _passages(store: Store, arguments: list[Json]) -> Json:
    tenant, document, generation, after, limit = arguments
    found = store.passages(
        cast("str", tenant),
        cast("str", document),
        cast("str", generation),
        after=cast("str", after),
        limit=cast("int", limit),
    )
    return [[passage.chunk.id, encode_payload(passage)] for passage in found]


def _retire(store: Store, arguments: list[Json]) -> Json:
    tenant, document, generation = arguments
    return store.retire(cast("str", tenant), cast("str", document), cast("str", generation))


def _remove(store: Store, arguments: list[Json]) -> Json:
    tenant, document = arguments
    return store.remove(cast("str", tenant), cast("str", document))


def _relabel(store: Store, arguments: list[Json]) -> Json:
    document, fields = arguments
    labels, access_class = decode_labels(fields)
    return store.relabel(cast("str", document), labels, access_class)


def _scrub(store: Store, arguments: list[Json]) -> Json:
    [tenant] = arguments
    store.scrub(cast("str", tenant))
    return None


def _count(store: Store, arguments: list[Json]) -> Json:
    del arguments
    return store.count()


_OPERATIONS: Final[Mapping[str, Callable[[Store, list[Json]], Json]]] = {
    "upsert": _upsert,
    "search": _search,
    "fetch": _fetch,
    "browse": _browse,
    "generations": _generations,
    "passages": _passages,
    "retire": _retire,
    "remove": _remove,
    "relabel": _relabel,
    "scrub": _scrub,
    "count": _count,
}
