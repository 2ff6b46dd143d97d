"""The embedded index: the real Qdrant engine inside this process, in one folder.

One process at a time may open the folder; ``shared_edge`` lets several use it together.

Measured with qdrant-edge-py 0.9.0 on two cores: ``update`` alone survives kill -9 (the write-ahead
log is in the page cache) but calls no fsync, so a power cut could lose it. ``flush`` syncs log and
segments in 10 to 18 ms. Every change here is flushed before the call returns. The engine holds
Python's global lock while it works, so calls from several threads run one after another.
"""

import contextlib
import os
import shutil
import tempfile
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

import qdrant_edge as engine

from ragplatform.adapters.edge_classes import KnownClasses, Numbers, Plan, names_class
from ragplatform.adapters.edge_scrub import OPTIMIZERS, scrub
from ragplatform.adapters.filters import (
    CLASS_NUMBER,
    KEYWORDS,
    class_number,
    require_branches,
    within,
)
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
    IndexLockedError,
    IndexUnavailableError,
    PlatformError,
)
from ragplatform.model import AnyOf, Clause, Hit, Json, Labels, Narrow, Passage, Scope, TermWeights
from ragplatform.ports import Entry

_PAGE: Final = 4096
_MOST_GENERATIONS: Final = 1000
# A corpus of millions has few: each is a whole set of labels.
_MOST_CLASSES: Final = 1_000_000


class EdgeIndex:
    """Implements ``Index`` over one folder that no other process has open."""

    def __init__(self, *, folder: Path, dim: int) -> None:
        """Open the index in ``folder``, made if absent, for dense vectors of length ``dim``.

        Raises ``IndexLockedError`` while another process has it open, ``ConfigurationError`` when
        it holds vectors of another length, ``IndexUnavailableError`` when it cannot be opened.
        """
        self._dim = dim
        self._lock = threading.RLock()
        self._home = folder / "edge"
        self._shard: engine.EdgeShard | None = _open(folder, dim)
        self._classes = KnownClasses(self._stored_classes())

    @property
    def dim(self) -> int:
        """The length of the dense vectors."""
        return self._dim

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Store the entries; an entry whose chunk id is already there replaces it.

        On the disk when the call returns. Raises ``InvalidRequestError`` for an entry that the
        engine would not keep as it is; then none is stored.
        """
        if not entries:
            return
        payloads = [checked_payload(entry, self._dim) for entry in entries]
        with _engine("store passages"):
            points = [
                engine.Point(
                    entry.passage.chunk.id,
                    {
                        DENSE: list(map(float, entry.vector)),
                        TERMS: _sparse(entry.terms),
                    },
                    _numbered(payload),
                )
                for entry, payload in zip(entries, payloads, strict=True)
            ]
            self._classes.add(str(payload["tenant_class"]) for payload in payloads)
            self._write(engine.UpdateOperation.upsert_points(points))

    def search(
        self,
        vector: Sequence[float],
        terms: TermWeights,
        scope: Scope,
        limit: int,
        narrow: Narrow | None = None,
    ) -> list[Hit]:
        """Return up to ``limit`` hits in the scope, best first, dense and sparse fused."""
        return self.search_within(vector, terms, within(scope, narrow), limit)

    def search_within(
        self, vector: Sequence[float], terms: TermWeights, tree: AnyOf, limit: int
    ) -> list[Hit]:
        """Search under a filter that another process of ours made from a scope of its own.

        Term rarity is counted over the filter's passages alone. Counted over all of them, the
        order of hits would tell what passages outside the scope say.
        """
        if not tree.branches or limit < 1:
            return []
        require_vector(vector, self._dim, "of the search")
        plan = self._classes.plan(tree)
        found = self._found(vector, terms, plan, limit)
        named = all(names_class(tree, hit.passage) for hit in found)
        if plan.version != self._classes.version or not named:
            # A class came in meanwhile, and the shorter filter may have let its passages through,
            # or counted them for how rare a term is.
            found = self._found(vector, terms, Plan(tree, plan.version), limit)
        return found

    def _found(
        self, vector: Sequence[float], terms: TermWeights, plan: Plan, limit: int
    ) -> list[Hit]:
        candidates = max(limit, FEWEST_CANDIDATES)
        with _engine("search"):
            allowed = None if plan.tree is None else _compiled(plan.tree, plan.numbers)
            points = self._open_shard().query(
                engine.QueryRequest(
                    # All that either search brought: how they are cut is decided with both scores.
                    limit=2 * candidates,
                    # Each has the filter. Given here once more, the engine adds it to each of
                    # theirs and then checks every passage by both: 3 ms more over 100,000.
                    prefetches=_prefetches(vector, terms, allowed, candidates),
                    query=_formula(terms),
                    with_payload=True,
                    with_vector=[DENSE],
                )
            )
        found = [Found(str(p.id), p.payload, float(p.score), _dense(p.vector)) for p in points]
        return fused(found, vector, limit)

    def fetch(self, chunk: str, scope: Scope) -> Hit | None:
        """Return one passage if it exists and lies in the scope, else None; its score is 1."""
        return self.fetch_within(chunk, within(scope))

    def fetch_within(self, chunk: str, tree: AnyOf) -> Hit | None:
        """Fetch under a filter that another process of ours made from a scope of its own."""
        if not tree.branches or not is_chunk_id(chunk):
            return None
        wanted = engine.Filter(
            must=[engine.HasIdCondition({uuid.UUID(chunk)}), _compiled(tree, {})]
        )
        with _engine("fetch a passage"):
            found, _ = self._open_shard().scroll(
                engine.ScrollRequest(limit=1, filter=wanted, with_payload=True)
            )
        return Hit(decode_payload(chunk, found[0].payload), 1.0) if found else None

    def browse(self, scope: Scope, narrow: Narrow, limit: int) -> list[Passage]:
        """Return up to ``limit`` passages in the scope that fit ``narrow``, by chunk id."""
        return self.browse_within(within(scope, narrow), limit)

    def browse_within(self, tree: AnyOf, limit: int) -> list[Passage]:
        """Browse under a filter that another process of ours made from a scope of its own."""
        if not tree.branches or limit < 1:
            return []
        with _engine("browse"):
            found, _ = self._open_shard().scroll(
                engine.ScrollRequest(limit=limit, filter=_compiled(tree, {}), with_payload=True)
            )
        return [decode_payload(str(record.id), record.payload) for record in found]

    def generations(self, tenant: str) -> Mapping[str, Mapping[str, int]]:
        """Return, for each document of the tenant, the number of chunks in each generation."""
        counts: dict[str, dict[str, int]] = {}
        offset: int | uuid.UUID | str | None = None
        with self._lock, _engine("list generations"):
            while True:
                found, offset = self._open_shard().scroll(
                    engine.ScrollRequest(
                        offset=offset,
                        limit=_PAGE,
                        filter=_all_of({"tenant": [tenant]}),
                        with_payload=["document", "generation"],
                    )
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
        with _engine("list passages"):
            found, _ = self._open_shard().scroll(
                engine.ScrollRequest(
                    # The engine's page begins with the id that it is given, if that is there.
                    offset=uuid.UUID(after) if after else None,
                    limit=limit + 1,
                    filter=_document(tenant, document, generation=[generation]),
                    with_payload=True,
                )
            )
        behind = [record for record in found if str(record.id) != after][:limit]
        return [decode_payload(str(record.id), record.payload) for record in behind]

    def retire(self, tenant: str, document: str, keep_generation: str) -> int:
        """Delete the document's chunks of every other generation; return how many went."""
        gone = 0
        with self._lock, _engine("retire old generations"):
            # The engine is told which generations go, never which one stays: a negative
            # condition that fails to match would delete the one to keep.
            while others := sorted(self._generations_of(tenant, document) - {keep_generation}):
                went = self._delete(_document(tenant, document, generation=others))
                if not went:
                    raise IndexUnavailableError("the index engine lists chunks it cannot find")
                gone += went
        return gone

    def remove(self, tenant: str, document: str) -> int:
        """Delete all chunks of the document; return how many went."""
        with self._lock, _engine("remove a document"):
            return self._delete(_document(tenant, document))

    def relabel(self, document: str, labels: Labels, access_class: str) -> int:
        """Give all chunks of the document new labels without re-embedding; return how many."""
        with self._lock, _engine("relabel a document"):
            chosen = _document(labels.tenant, document)
            count = self._count(chosen)
            if count:
                payload = _numbered(encode_labels(labels, access_class))
                self._classes.add([str(payload["tenant_class"])])
                self._write(engine.UpdateOperation.set_payload_by_filter(chosen, payload))
            return count

    def scrub(self, tenant: str) -> None:
        """Leave nothing in the files of what was deleted so far; the tenant makes no difference."""
        del tenant
        with self._lock, _engine("scrub deleted passages"):
            scrub(self._open_shard(), self._home)

    def count(self) -> int:
        """Return the number of chunks stored, over all tenants."""
        with _engine("count"):
            return self._count(None)

    def close(self) -> None:
        """Flush and release the folder. Calling it again does nothing."""
        with self._lock:
            shard, self._shard = self._shard, None
        if shard is not None:
            with _engine("close"):
                shard.flush()
                shard.close()

    def _open_shard(self) -> engine.EdgeShard:
        if self._shard is None:
            raise IndexUnavailableError("the index is closed: open it again")
        return self._shard

    def _write(self, operation: engine.UpdateOperation) -> None:
        with self._lock:
            shard = self._open_shard()
            shard.update(operation)
            shard.flush()

    def _delete(self, chosen: engine.Filter) -> int:
        count = self._count(chosen)
        if count:
            self._write(engine.UpdateOperation.delete_points_by_filter(chosen))
        return count

    def _count(self, chosen: engine.Filter | None) -> int:
        return int(self._open_shard().count(engine.CountRequest(exact=True, filter=chosen)))

    def _stored_classes(self) -> dict[str, int]:
        with _engine("list classes"):
            found = _counted_classes(self._open_shard(), None)
        if len(found) >= _MOST_CLASSES:
            raise IndexUnavailableError(f"the index holds {_MOST_CLASSES} classes or more")
        return found

    def _generations_of(self, tenant: str, document: str) -> set[str]:
        found = self._open_shard().facet(
            engine.FacetRequest(
                "generation",
                limit=_MOST_GENERATIONS,
                exact=True,
                filter=_document(tenant, document),
            )
        )
        return {str(hit.value) for hit in found.hits}


def _open(folder: Path, dim: int) -> engine.EdgeShard:
    home = folder / "edge"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not home.exists():
            _create(folder, home, dim)
    except OSError as error:
        raise IndexUnavailableError(f"the index in {folder} cannot be made: {error}") from error
    with _engine(f"open {home}"):
        try:
            shard = engine.EdgeShard.load(str(home), _config(dim))
        except Exception as error:
            raise _reason(home, dim, error) from error
        known = shard.info().payload_schema
        for field in KEYWORDS:
            if field not in known:
                shard.update(
                    engine.UpdateOperation.create_field_index(
                        field, engine.KeywordIndexParams(is_tenant=field == "tenant")
                    )
                )
        _number_classes(shard)
        shard.flush()
        return shard


def _number_classes(shard: engine.EdgeShard) -> None:
    """Give their class's number to the passages that were stored before it was kept.

    Once, for indexes made before: 100,000 passages in 1,000 classes take 2.0 s.
    """
    number = engine.IntegerIndexParams(lookup=True, range=False)
    if CLASS_NUMBER not in shard.info().payload_schema:
        shard.update(engine.UpdateOperation.create_field_index(CLASS_NUMBER, number))
    without = engine.IsEmptyCondition(CLASS_NUMBER)
    for keyword in _counted_classes(shard, engine.Filter(must=[without])):
        chosen = engine.Filter(must=[_any_of("tenant_class", [keyword]), without])
        payload = {CLASS_NUMBER: class_number(keyword)}
        shard.update(engine.UpdateOperation.set_payload_by_filter(chosen, payload))


def _counted_classes(shard: engine.EdgeShard, chosen: engine.Filter | None) -> dict[str, int]:
    """Return of each class how many of the chosen passages it has, where it has any."""
    request = engine.FacetRequest("tenant_class", limit=_MOST_CLASSES, exact=True, filter=chosen)
    return {str(hit.value): int(hit.count) for hit in shard.facet(request).hits}


def _numbered(payload: dict[str, Json]) -> dict[str, Json]:
    """Return the payload with the number of its class, by which a filter may say what it is not."""
    return {**payload, CLASS_NUMBER: class_number(str(payload["tenant_class"]))}


def _create(folder: Path, home: Path, dim: int) -> None:
    """Make an empty store beside its place and move it there: it is whole or it is absent."""
    draft = Path(tempfile.mkdtemp(prefix="edge.new-", dir=folder))
    try:
        with _engine(f"create {home}"):
            engine.EdgeShard.create(str(draft), _config(dim)).close()
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            draft.rename(home)
        parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _reason(home: Path, dim: int, error: Exception) -> PlatformError:
    """Tell the three causes apart; the engine raises plain ``Exception`` with a text for all."""
    said = str(error)
    if "WouldBlock" in said:
        return IndexLockedError(
            f"another process has the index in {home.parent} open: stop it, or use the index "
            "through it"
        )
    if "incompatible" in said:
        return ConfigurationError(
            f"the index in {home.parent} was made for another encoder than this one of {dim} "
            "dimensions: choose that encoder again, or rebuild the index"
        )
    return IndexUnavailableError(f"the index in {home.parent} does not open: see the cause")


def _config(dim: int) -> engine.EdgeConfig:
    return engine.EdgeConfig(
        vectors={DENSE: engine.EdgeVectorParams(size=dim, distance=engine.Distance.Cosine)},
        sparse_vectors={TERMS: engine.EdgeSparseVectorParams(modifier=engine.Modifier.Idf)},
        optimizers=OPTIMIZERS,
        # Without the log a second process can open the folder at the same time.
        wal_enabled=True,
    )


def _prefetches(
    vector: Sequence[float], terms: TermWeights, allowed: engine.Filter | None, candidates: int
) -> list[engine.Prefetch]:
    dense = engine.Prefetch(
        limit=candidates,
        query=engine.Query.Nearest(list(map(float, vector)), using=DENSE),
        filter=allowed,
    )
    if not terms.indices:
        return [dense]
    sparse = engine.Prefetch(
        limit=candidates,
        query=engine.Query.Nearest(_sparse(terms), using=TERMS),
        filter=allowed,
        params=None if allowed is None else _rarity(allowed),
    )
    return [dense, sparse]


def _rarity(allowed: engine.Filter) -> engine.SearchParams:
    return engine.SearchParams(idf=engine.IdfParams(corpus=allowed))


def _formula(terms: TermWeights) -> engine.Formula:
    """Return what the fused score is made of; see ``fusion``."""
    dense = engine.Expression.Variable("$score[0]")
    if not terms.indices:
        return engine.Formula(dense, DEFAULTS)
    weight = engine.Expression.Constant(factor(terms.counted))
    lexical = engine.Expression.Mult([weight, engine.Expression.Variable("$score[1]")])
    return engine.Formula(engine.Expression.Sum([dense, lexical]), DEFAULTS)


def _dense(vectors: object) -> list[float]:
    """Return the dense vector among those of a point."""
    return cast("dict[str, list[float]]", vectors)[DENSE]


def _sparse(terms: TermWeights) -> engine.SparseVector:
    return engine.SparseVector(list(terms.indices), list(map(float, terms.values)))


def _compiled(tree: AnyOf, numbers: Mapping[Clause, Numbers]) -> engine.Filter:
    """Return the tree as the engine understands it; ``numbers`` as in ``Plan``."""
    require_branches(tree)
    # A branch of one clause stands by itself: wrapped in a filter of its own it is checked passage
    # by passage, three times slower over 10,000 of them.
    conditions: list[engine.FieldCondition | engine.Filter] = []
    for branch in tree.branches:
        found = [
            _of_classes(numbers[clause])
            if clause in numbers
            else _any_of(clause.field, sorted(clause.any_of))
            for clause in branch.clauses
        ]
        if branch.none_of:
            conditions.append(
                engine.Filter(
                    must=[*found],
                    must_not=[_any_of(one.field, sorted(one.any_of)) for one in branch.none_of],
                )
            )
        else:
            conditions.append(found[0] if len(found) == 1 else engine.Filter(must=[*found]))
    return engine.Filter(should=[*conditions])


def _document(tenant: str, document: str, **more: list[str]) -> engine.Filter:
    return _all_of({"tenant": [tenant], "document": [document], **more})


def _all_of(fields: Mapping[str, list[str]]) -> engine.Filter:
    return engine.Filter(must=[_any_of(field, values) for field, values in fields.items()])


def _any_of(field: str, values: list[str]) -> engine.FieldCondition:
    return engine.FieldCondition(field, match=engine.MatchAny(values))


def _of_classes(numbers: Numbers) -> engine.FieldCondition:
    """Return what is true of the passages of the classes that have these numbers, or of the others.

    Either is false of a passage without a number; of that a ``must_not`` would be true.
    """
    some = sorted(numbers.of)
    match = engine.MatchExcept(some) if numbers.left_out else engine.MatchAny(some)
    return engine.FieldCondition(CLASS_NUMBER, match=match)


@contextlib.contextmanager
def _engine(act: str) -> Iterator[None]:
    """Turn whatever the engine raises into ``IndexUnavailableError``.

    It raises plain ``Exception``, and for a panic in its Rust code a ``BaseException``.
    """
    try:
        yield
    except (PlatformError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise IndexUnavailableError(f"the index engine failed to {act}: see the cause") from error
