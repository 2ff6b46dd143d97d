"""Each tenant may have an index of its own, and no change of that choice hides what is there."""

import uuid
import warnings
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from ragplatform import index_openers
from ragplatform.adapters import qdrant
from ragplatform.config import Settings
from ragplatform.errors import ConfigurationError, InvalidRequestError
from ragplatform.model import AllOf, Chunk, Clause, Labels, Passage, Scope, TermWeights
from ragplatform.ports import Entry
from tests.fakes_index import scope

DIM = 4
EAST = (1.0, 0.0, 0.0, 0.0)
NO_TERMS = TermWeights((), ())


@pytest.fixture(params=["edge", "qdrant"])
def deployment(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, object]:
    """Settings of a deployment on each backend, the server's being a stand-in in memory."""
    server = QdrantClient(":memory:")
    monkeypatch.setattr(server, "close", lambda: None)
    monkeypatch.setattr(qdrant, "connect", lambda **_: server)
    warnings.filterwarnings("ignore", message="Payload indexes have no effect")
    url = "http://127.0.0.1:6333" if request.param == "qdrant" else ""
    return {"data_dir": tmp_path, "index_backend": request.param, "qdrant_url": url}


def settings(deployment: dict[str, object], *, per_tenant: bool) -> Settings:
    return Settings(**deployment, index_per_tenant=per_tenant)  # type: ignore[arg-type]


def entry(tenant: str, number: int) -> Entry:
    text = f"a passage of {tenant}"
    chunk = Chunk(str(uuid.UUID(int=number)), 0, text, 0, len(text))
    labels = Labels(tenant, "notes")
    return Entry(
        Passage(chunk, f"d{number}", "A letter", labels, "open", frozenset(), "g1"), EAST, NO_TERMS
    )


def everything(tenant: str) -> Scope:
    return scope(AllOf((Clause("access_class", frozenset({"open"})),)), tenant=tenant)


@pytest.mark.parametrize("before", [True, False])
def test_a_layout_that_the_settings_do_not_say_is_refused_and_not_found_empty(
    deployment: dict[str, object], before: bool
) -> None:
    index = index_openers.open_index(settings(deployment, per_tenant=before), DIM)
    index.upsert([entry("mercy", 1)])
    index.close()

    with pytest.raises(ConfigurationError, match="index_per_tenant"):
        index_openers.open_index(settings(deployment, per_tenant=not before), DIM)
    with pytest.raises(ConfigurationError, match="index_per_tenant"):
        index_openers.require_index_layout(settings(deployment, per_tenant=not before))

    again = index_openers.open_index(settings(deployment, per_tenant=before), DIM)
    assert again.count() == 1
    again.close()


def test_each_tenant_s_passages_are_in_an_index_of_their_own(
    deployment: dict[str, object],
) -> None:
    chosen = settings(deployment, per_tenant=True)
    index = index_openers.open_index(chosen, DIM)
    index.upsert([entry("mercy", 1), entry("edge", 2), entry("edge", 3)])

    assert index_openers.require_index_layout(chosen).tenants == ["edge", "mercy"]
    assert index.count() == 3
    for tenant, count in (("mercy", 1), ("edge", 2)):
        hits = index.search(EAST, NO_TERMS, everything(tenant), 9)
        assert [hit.passage.labels.tenant for hit in hits] == [tenant] * count
    assert index.fetch(str(uuid.UUID(int=1)), everything("edge")) is None
    index.close()


@pytest.mark.parametrize("tenant", ["..", "../mercy", "", "a/b", "Mercy", "a.b", "a" * 64])
def test_a_name_that_no_tenant_has_opens_no_index(
    deployment: dict[str, object], tenant: str, tmp_path: Path
) -> None:
    chosen = settings(deployment, per_tenant=True)
    index = index_openers.open_index(chosen, DIM)

    with pytest.raises(InvalidRequestError):
        index.upsert([entry("mercy", 1), entry(tenant, 2)])
    with pytest.raises(InvalidRequestError):
        index.search(EAST, NO_TERMS, everything(tenant), 9)

    assert index.count() == 0
    assert {path.name for path in tmp_path.iterdir()} <= {"indexes"}
    index.close()


def test_no_file_of_one_tenant_s_index_holds_text_of_another(tmp_path: Path) -> None:
    index = index_openers.open_index(Settings(data_dir=tmp_path, index_per_tenant=True), DIM)
    index.upsert([entry("mercy", 1), entry("harbor", 2)])
    index.close()

    for own, other in (("mercy", "harbor"), ("harbor", "mercy")):
        files = [path for path in (tmp_path / "indexes" / own).rglob("*") if path.is_file()]
        raw = b"".join(path.read_bytes() for path in files)
        assert f"a passage of {own}".encode() in raw
        assert other.encode() not in raw
