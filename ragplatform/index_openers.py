"""Opens what is searched: the encoder, the weigher of terms, and the editions of the index.

As in ``openers``, adapters whose libraries take seconds to import are imported where a part is
opened.
"""

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ragplatform.adapters.encoder_folder import bert_form
from ragplatform.adapters.shared_edge import SharedEdgeIndex
from ragplatform.adapters.tenant_indexes import TENANT, TenantIndexes
from ragplatform.config import EmbeddingPrecision, IndexBackend, Settings, read_secret
from ragplatform.editions import EditionBook, EditionRow, FollowedEditions
from ragplatform.errors import ConfigurationError, UnavailableError
from ragplatform.openers import model_store
from ragplatform.ports import Edition, Embedder, Index, TermWeigher

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

# Not "index": in it lies a folder "edge", and a tenant may be called that.
_INDEXES: Final = "indexes"


def open_embedder(
    settings: Settings, model: str = "", precision: EmbeddingPrecision | None = None
) -> Embedder:
    """Load an encoder of dense vectors, by default the one that the settings name.

    Raises ``ModelError`` when its files are not right.
    """
    folder = model_store(settings).resolve(model or settings.embedding_model)
    if bert_form(folder) is not None:
        from ragplatform.adapters.bert_encoder import BertEncoder

        int8 = (precision or settings.embedding_precision) is EmbeddingPrecision.INT8
        return BertEncoder(folder=folder, int8=int8, threads=settings.model_threads or None)
    from ragplatform.adapters.encoder import SentenceEncoder

    return SentenceEncoder(folder=folder, threads=settings.model_threads or None)


def open_weigher() -> TermWeigher:
    """Return the weigher of terms."""
    from ragplatform.adapters.bm25 import Bm25Weigher

    return Bm25Weigher()


def open_edition_book(settings: Settings) -> EditionBook:
    """Open the table that says which edition of the index answers."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return EditionBook(settings.catalog_url)


def open_editions(settings: Settings) -> FollowedEditions:
    """Open the edition of the index that answers, and follow a switch to another one.

    The first edition of a deployment is that of the encoder that the settings name. Raises
    ``ConfigurationError`` when the edition that answers cannot be asked with the models at hand.
    """
    book = open_edition_book(settings)
    try:
        row = book.answering()
        if row is None:
            embedder, weigher = open_embedder(settings), open_weigher()
            added = book.add(
                model=settings.embedding_model,
                encoder=embedder.version,
                weigher=weigher.version,
                dim=embedder.dim,
            )
            # Another process may have been first.
            row = book.answering() or added
        first = open_edition(settings, row)
    except BaseException:
        book.close()
        raise
    return FollowedEditions(book=book, first=first, open_one=partial(open_edition, settings))


def open_other_indexes(settings: Settings, name: str) -> list[Index]:
    """Open the index of every edition but this one; the caller closes them."""
    book = open_edition_book(settings)
    try:
        rows = [row for row in book.all() if row.name != name]
    finally:
        book.close()
    return [open_index(settings, row.dim, row.place) for row in rows]


def open_edition(settings: Settings, row: EditionRow) -> Edition:
    """Open one edition of the index with the encoder and weigher that it was made by.

    Raises ``ConfigurationError`` when the model of that name, or this program, makes other vectors
    or weights by now: a search by them would find anything.
    """
    embedder, weigher = open_encoder(settings, row.model, row.encoder), open_weigher()
    if (embedder.version, weigher.version) != (row.encoder, row.weigher):
        raise ConfigurationError(
            f"the index was made by {row.encoder} and {row.weigher}; model {row.model} and this "
            f"program make {embedder.version} and {weigher.version}: put the model back as it was, "
            "or run `ragplatform-ingest reindex` to make the index's next edition"
        )
    index = open_index(settings, embedder.dim, row.place)
    return Edition(row.name, row.model, embedder, weigher, index)


def open_encoder(settings: Settings, model: str, version: str) -> Embedder:
    """Load a model's encoder in the precision that has this version, or else as the settings say.

    Raises ``ModelError`` when its files are not right.
    """
    embedder = open_embedder(settings, model)
    for precision in EmbeddingPrecision:
        if embedder.version == version:
            break
        embedder = open_embedder(settings, model, precision)
    return embedder


def open_index(settings: Settings, dim: int, place: str = "") -> Index:
    """Open the index that the settings name: one, or one for each tenant.

    ``place`` tells editions apart. Raises ``ConfigurationError`` when there are passages laid out
    the other way.
    """
    require_index_layout(settings, place)
    if not settings.index_per_tenant:
        return _open_one_index(settings, dim, place)
    return TenantIndexes(
        dim=dim,
        open_one=lambda tenant: _open_one_index(settings, dim, place, tenant),
        begun=lambda: _index_layout(settings, place).tenants,
    )


def drop_index(settings: Settings, place: str) -> None:
    """Delete what stands in the place of an edition that no longer answers.

    Raises ``UnavailableError`` when it could not be deleted.
    """
    if settings.index_backend is IndexBackend.EDGE:
        for folder in (
            settings.data_dir / f"index{place}",
            settings.data_dir / f"{_INDEXES}{place}",
        ):
            try:
                shutil.rmtree(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UnavailableError(f"{folder} could not be deleted: {error}") from error
        return
    from ragplatform.adapters.qdrant import collections, drop

    client = _qdrant(settings)
    try:
        own = f"{settings.qdrant_collection}{place}"
        for name in collections(client):
            if name == own or name.startswith(f"{own}."):
                drop(client, name)
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class IndexLayout:
    """Which indexes there are: the one for all tenants, and those of single tenants."""

    shared: bool
    tenants: Sequence[str]


def require_index_layout(settings: Settings, place: str = "") -> IndexLayout:
    """Return which indexes there are.

    Raises ``ConfigurationError`` when they are laid out another way than the settings say: what
    was taken in would be there, and nobody would find it.
    """
    found = _index_layout(settings, place)
    if settings.index_per_tenant and found.shared:
        raise ConfigurationError(
            "index_per_tenant is true, but one index for all tenants is there: set it to false, "
            "or take everything in again in another data folder and collection"
        )
    if not settings.index_per_tenant and found.tenants:
        raise ConfigurationError(
            f"index_per_tenant is false, but {len(found.tenants)} tenants have an index of their "
            "own: set it to true, or take everything in again in another data folder and collection"
        )
    return found


def _index_layout(settings: Settings, place: str) -> IndexLayout:
    if settings.index_backend is IndexBackend.EDGE:
        folders = (settings.data_dir / f"{_INDEXES}{place}").glob("*/")
        shared = _index_folder(settings, place).exists()
        return IndexLayout(shared, _tenants(f.name for f in folders))
    from ragplatform.adapters.qdrant import collections

    client = _qdrant(settings)
    try:
        names = collections(client)
    finally:
        client.close()
    whole = f"{settings.qdrant_collection}{place}"
    own = f"{whole}."
    rest = (name.removeprefix(own) for name in names if name.startswith(own))
    return IndexLayout(whole in names, _tenants(rest))


def _tenants(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if TENANT.fullmatch(name))


def _index_folder(settings: Settings, place: str, tenant: str = "") -> Path:
    if tenant:
        return settings.data_dir / f"{_INDEXES}{place}" / tenant
    return settings.data_dir / f"index{place}"


def _open_one_index(settings: Settings, dim: int, place: str, tenant: str = "") -> Index:
    if settings.index_backend is IndexBackend.EDGE:
        return SharedEdgeIndex(folder=_index_folder(settings, place, tenant), dim=dim)
    from ragplatform.adapters.qdrant import QdrantIndex

    name = f"{settings.qdrant_collection}{place}"
    collection = f"{name}.{tenant}" if tenant else name
    return QdrantIndex(client=_qdrant(settings), collection=collection, dim=dim)


def _qdrant(settings: Settings) -> "QdrantClient":
    from ragplatform.adapters.qdrant import connect

    key = settings.qdrant_api_key_file
    return connect(
        url=settings.qdrant_url,
        api_key=read_secret(key) if key else None,
        timeout_s=settings.qdrant_timeout_s,
    )
