"""The index on a Qdrant server or cluster, through qdrant-client.

The same vectors, payload and filter as in ``edge``. In one collection for all tenants they are kept
apart by the filter: Qdrant's own token constraints on payload fields are gone.
"""

import contextlib
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, cast

from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from ragplatform.adapters.filters import KEYWORDS, require_branches, within
from ragplatform.adapters.fusion import (
    DEFAULTS,
    DENSE,
    FEWEST_CANDIDATES,
    TERMS,
    Found,
    factor,
    fused,
)
from ragplatform.adapters.payload import (
    checked_payload,
    decode_payload,
    encode_labels,
    is_chunk_id,
    origin,
    require_vector,
)
from ragplatform.errors import (
    ConfigurationError,
    IndexRefusedError,
    IndexUnavailableError,
    PlatformError,
)
from ragplatform.model import AnyOf, Hit, Labels, Narrow, Passage, Scope, TermWeights
from ragplatform.ports import Entry

# The server refuses bodies above 32 MiB; 128 passages of 384 dimensions are about 2 MiB.
_BATCH: Final = 128
_PAGE: Final = 4096
_SCRUB_S: Final = 300.0
_SCRUB_PAUSE_S: Final = 0.5
_DONE: Final = models.CollectionStatus.GREEN
_MOST_GENERATIONS: Final = 1000
# Waiting does not help against these: no key, or one that may not.
_REFUSED: Final = frozenset({401, 403})


def connect(*, url: str, api_key: str | None, timeout_s: int) -> QdrantClient:
    """Return a client of the server at ``url`` that talks to nothing else.

    Nothing is sent yet. ``timeout_s`` bounds each request.
    """
    return QdrantClient(
        url=url,
        api_key=api_key,
        timeout=timeout_s,
        prefer_grpc=False,
        # The check would send a request from the constructor, the inference one to Qdrant's cloud.
        check_compatibility=False,
        cloud_inference=False,
        # A proxy named in the environment, or a redirect, would carry records elsewhere.
        trust_env=False,
        follow_redirects=False,
    )


def collections(client: QdrantClient) -> frozenset[str]:
    """Return the names of all collections. Raises ``IndexUnavailableError``."""
    with _server("list its collections"):
        return frozenset(found.name for found in client.get_collections().collections)


def drop(client: QdrantClient, collection: str) -> None:
    """Delete a collection. Raises ``IndexUnavailableError``."""
    with _server("delete a collection"):
        client.delete_collection(collection)


class QdrantIndex:
    """Implements ``Index`` over one collection of a Qdrant server."""

    def __init__(self, *, client: QdrantClient, collection: str, dim: int) -> None:
        """Use the collection, made if absent, for dense vectors of length ``dim``.

        Raises ``ConfigurationError`` when it holds vectors of another length,
        ``IndexUnavailableError`` when the server does not answer.
        """
        self._client: QdrantClient | None = client
        self._collection = collection
        self._dim = dim
        with _server("prepare the collection"):
            if not client.collection_exists(collection):
                self._create(client)
            self._check(client)

    @property
    def dim(self) -> int:
        """The length of the dense vectors."""
        return self._dim

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Store the entries; an entry whose chunk id is already there replaces it.

        In the server's log when the call returns. Raises ``InvalidRequestError`` for an entry
        that the server would not keep as it is; then none is stored.
        """
        payloads = [checked_payload(entry, self._dim) for entry in entries]
        points = [
            models.PointStruct(
                id=entry.passage.chunk.id,
                vector={DENSE: list(map(float, entry.vector)), TERMS: _sparse(entry.terms)},
                payload=payload,
            )
            for entry, payload in zip(entries, payloads, strict=True)
        ]
        with _server("store passages"):
            for start in range(0, len(points), _BATCH):
                self._open().upsert(self._collection, points[start : start + _BATCH], wait=True)

    def search(
        self,
        vector: Sequence[float],
        terms: TermWeights,
        scope: Scope,
        limit: int,
        narrow: Narrow | None = None,
    ) -> list[Hit]:
        """Return up to ``limit`` hits in the scope, best first, dense and sparse fused.

        Term rarity is counted over the scope's passages alone. Counted over all of them, the
        order of hits would tell what passages outside the scope say.
        """
        if scope.empty or limit < 1:
            return []
        require_vector(vector, self._dim, "of the search")
        allowed = _compiled(within(scope, narrow))
        candidates = max(limit, FEWEST_CANDIDATES)
        with _server("search"):
            response = self._open().query_points(
                self._collection,
                prefetch=_prefetches(vector, terms, allowed, candidates),
                query=_formula(terms),
                query_filter=allowed,
                # All that either search brought: how they are cut is decided with both scores.
                limit=2 * candidates,
                with_payload=True,
                with_vectors=[DENSE],
            )
            found = [
                Found(str(p.id), p.payload, float(p.score), _dense(p.vector))
                for p in response.points
            ]
        return fused(found, vector, limit)

    def fetch(self, chunk: str, scope: Scope) -> Hit | None:
        """Return one passage if it exists and lies in the scope, else None; its score is 1."""
        if scope.empty or not is_chunk_id(chunk):
            return None
        wanted = models.Filter(
            must=[models.HasIdCondition(has_id=[uuid.UUID(chunk)]), _compiled(within(scope))]
        )
        with _server("fetch a passage"):
            found, _ = self._open().scroll(
                self._collection, scroll_filter=wanted, limit=1, with_payload=True
            )
        return Hit(decode_payload(chunk, found[0].payload), 1.0) if found else None

    def browse(self, scope: Scope, narrow: Narrow, limit: int) -> list[Passage]:
        """Return up to ``limit`` passages in the scope that fit ``narrow``, by chunk id."""
        if scope.empty or limit < 1:
            return []
        wanted = _compiled(within(scope, narrow))
        with _server("browse"):
            found, _ = self._open().scroll(
                self._collection, scroll_filter=wanted, limit=limit, with_payload=True
            )
        return [decode_payload(str(record.id), record.payload) for record in found]

    def generations(self, tenant: str) -> Mapping[str, Mapping[str, int]]:
        """Return, for each document of the tenant, the number of chunks in each generation."""
        counts: dict[str, dict[str, int]] = {}
        offset = None
        with _server("list generations"):
            while True:
                found, offset = self._open().scroll(
                    self._collection,
                    scroll_filter=_all_of({"tenant": [tenant]}),
                    limit=_PAGE,
                    offset=offset,
                    with_payload=["document", "generation"],
                )
                for record in found:
                    document, generation = origin(record.payload)
                    of = counts.setdefault(document, {})
                    of[generation] = of.get(generation, 0) + 1
                if offset is None:
                    return counts

    def passages(
        self, tenant: str, document: str, generation: str, *, after: str = "", limit: int
    ) -> list[Passage]:
        """Return up to ``limit`` passages of one generation of a tenant's document, in order."""
        if limit < 1:
            return []
        with _server("list passages"):
            found, _ = self._open().scroll(
                self._collection,
                scroll_filter=_document(tenant, document, generation=[generation]),
                # The server's page begins with the id that it is given, if that is there.
                offset=after or None,
                limit=limit + 1,
                with_payload=True,
            )
        behind = [record for record in found if str(record.id) != after][:limit]
        return [decode_payload(str(record.id), record.payload) for record in behind]

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """Delete the document's chunks of every other generation; return how many went."""
        gone = 0
        with _server("retire old generations"):
            # The server is told which generations go, never which one stays: a negative
            # condition that fails to match would delete the one to keep.
            while others := sorted(self._generations_of(tenant, document) - {keep_generation}):
                went = self._delete(_document(tenant, document, generation=others))
                if not went:
                    raise IndexUnavailableError("the Qdrant server lists chunks it cannot find")
                gone += went
        return gone

    def remove(self, tenant: str, document: str) -> int:
        """Delete all chunks of the document; return how many went."""
        with _server("remove a document"):
            return self._delete(_document(tenant, document))

    def relabel(self, document: str, labels: Labels, access_class: str) -> int:
        """Give all chunks of the document new labels without re-embedding; return how many."""
        chosen = _document(labels.tenant, document)
        with _server("relabel a document"):
            count = self._count(chosen)
            if count:
                self._open().set_payload(
                    self._collection, encode_labels(labels, access_class), points=chosen, wait=True
                )
            return count

    def scrub(self, tenant: str) -> None:
        """Ask the server to write anew every segment that holds deleted passages, and wait for it.

        Its log keeps old operations until its segments are full: see docs/life-cycle.md.
        """
        del tenant
        with _server("scrub deleted passages"):
            self._open().update_collection(
                self._collection,
                optimizers_config=models.OptimizersConfigDiff(
                    # The least that the server takes.
                    deleted_threshold=1e-6,
                    vacuum_min_vector_number=100,
                ),
            )
            deadline = time.monotonic() + _SCRUB_S
            while self._open().get_collection(self._collection).status != _DONE:
                if time.monotonic() > deadline:
                    raise IndexUnavailableError(
                        "the server has not yet removed what was deleted from its files: its "
                        "passages cannot be found any more; run the erasure again to see it done"
                    )
                time.sleep(_SCRUB_PAUSE_S)

    def count(self) -> int:
        """Return the number of chunks stored, over all tenants."""
        with _server("count"):
            return self._count(None)

    def close(self) -> None:
        """Release the connections. Calling it again does nothing."""
        client, self._client = self._client, None
        if client is not None:
            with _server("close"):
                client.close()

    def _open(self) -> QdrantClient:
        if self._client is None:
            raise IndexUnavailableError("the index is closed: open it again")
        return self._client

    def _create(self, client: QdrantClient) -> None:
        # Another process may make it in the same moment; if nobody did, ``_check`` finds out.
        with contextlib.suppress(UnexpectedResponse):
            client.create_collection(
                self._collection,
                vectors_config={
                    DENSE: models.VectorParams(size=self._dim, distance=models.Distance.COSINE)
                },
                sparse_vectors_config={
                    TERMS: models.SparseVectorParams(modifier=models.Modifier.IDF)
                },
            )

    def _check(self, client: QdrantClient) -> None:
        found = client.get_collection(self._collection)
        vectors = found.config.params.vectors
        size = vectors[DENSE].size if isinstance(vectors, dict) and DENSE in vectors else None
        if size != self._dim:
            raise ConfigurationError(
                f"the collection {self._collection!r} was made for vectors of length {size}, not "
                f"{self._dim}: choose its encoder again, or name another collection and rebuild"
            )
        for field in set(KEYWORDS) - set(found.payload_schema):
            client.create_payload_index(
                self._collection,
                field,
                models.KeywordIndexParams(
                    type=models.KeywordIndexType.KEYWORD, is_tenant=field == "tenant"
                ),
                wait=True,
            )

    def _delete(self, chosen: models.Filter) -> int:
        count = self._count(chosen)
        if count:
            self._open().delete(self._collection, models.FilterSelector(filter=chosen), wait=True)
        return count

    def _count(self, chosen: models.Filter | None) -> int:
        return self._open().count(self._collection, count_filter=chosen, exact=True).count

    def _generations_of(self, tenant: str, document: str) -> set[str]:
        found = self._open().facet(
            self._collection,
            "generation",
            facet_filter=_document(tenant, document),
            limit=_MOST_GENERATIONS,
            exact=True,
        )
        return {str(hit.value) for hit in found.hits}


def _prefetches(
    vector: Sequence[float], terms: TermWeights, allowed: models.Filter, candidates: int
) -> list[models.Prefetch]:
    dense = models.Prefetch(
        query=list(map(float, vector)), using=DENSE, filter=allowed, limit=candidates
    )
    if not terms.indices:
        return [dense]
    sparse = models.Prefetch(
        query=_sparse(terms),
        using=TERMS,
        filter=allowed,
        limit=candidates,
        params=models.SearchParams(idf=models.IdfCorpusParams(corpus=allowed)),
    )
    return [dense, sparse]


def _formula(terms: TermWeights) -> models.FormulaQuery:
    """Return what the fused score is made of; see ``fusion``."""
    if not terms.indices:
        return models.FormulaQuery(formula="$score[0]", defaults=DEFAULTS)
    lexical = models.MultExpression(mult=[factor(terms.counted), "$score[1]"])
    return models.FormulaQuery(
        formula=models.SumExpression(sum=["$score[0]", lexical]), defaults=DEFAULTS
    )


def _dense(vectors: object) -> list[float]:
    """Return the dense vector among those of a point."""
    return cast("dict[str, list[float]]", vectors)[DENSE]


def _sparse(terms: TermWeights) -> models.SparseVector:
    return models.SparseVector(indices=list(terms.indices), values=list(map(float, terms.values)))


def _compiled(tree: AnyOf) -> models.Filter:
    require_branches(tree)
    conditions: list[models.FieldCondition | models.Filter] = []
    for branch in tree.branches:
        found = [_any_of(clause.field, sorted(clause.any_of)) for clause in branch.clauses]
        if branch.none_of:
            conditions.append(
                models.Filter(
                    must=[*found],
                    must_not=[_any_of(one.field, sorted(one.any_of)) for one in branch.none_of],
                )
            )
        else:
            conditions.append(found[0] if len(found) == 1 else models.Filter(must=[*found]))
    return models.Filter(should=[*conditions])


def _document(tenant: str, document: str, **more: list[str]) -> models.Filter:
    return _all_of({"tenant": [tenant], "document": [document], **more})


def _all_of(fields: Mapping[str, list[str]]) -> models.Filter:
    return models.Filter(must=[_any_of(field, values) for field, values in fields.items()])


def _any_of(field: str, values: list[str]) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=values))


@contextlib.contextmanager
def _server(act: str) -> Iterator[None]:
    """Turn whatever the client raises into ``IndexUnavailableError``.

    Its transport, its parser and its own checks each raise errors of their own families.
    """
    try:
        yield
    except PlatformError:
        raise
    except UnexpectedResponse as error:
        if error.status_code in _REFUSED:
            raise IndexRefusedError(
                f"the Qdrant server refuses to {act} ({error.status_code}): see to its API key in "
                "qdrant_api_key_file and to what that key may do"
            ) from error
        raise IndexUnavailableError(
            f"the Qdrant server failed to {act}: it answered {error.status_code}"
        ) from error
    except Exception as error:
        raise IndexUnavailableError(f"the Qdrant server failed to {act}: see the cause") from error
